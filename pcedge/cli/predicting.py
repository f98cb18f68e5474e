"""The command that predicts what an integer circuit will lose once it is refined."""

from __future__ import annotations

from typing import Any

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import MODEL
from pcedge.cli.output import Command, Result, table


@click.command(cls=Command, example="pcedge predict m.onnx")
@click.argument("model", type=MODEL)
def predict(model: str) -> Result:
    """Predict how many bits a variable an integer circuit loses against its float circuit after --refine em.

    It reads the circuit alone: neither data nor the float circuit. The prediction is a regression on measured circuits;
    its error is told beside it. Of a circuit that was refined already it says what rounding it once more would leave.
    """
    from pcedge.search.features import features, shares_tables
    from pcedge.search.surrogate import NOISE, TRUSTED, load_surrogate

    surrogate = load_surrogate()
    found = features(read_integer(model))
    lost, error, outside = surrogate.predict(found), surrogate.error_of(found), surrogate.outside(found)
    result: dict[str, Any] = {
        "predicted_bits_lost": lost, "error": error, "kendall_tau": surrogate.kendall_tau,
        "families": list(surrogate.families), "features": found, "outside": outside,
    }  # fmt: skip
    kind = "whose leaves share tables" if shares_tables(found) else "whose leaves have tables of their own"
    lines = [
        f"predicted loss after --refine em: {lost:.4f} bits a variable against the float circuit",
        f"error: {error:.4f} bits a variable, the median over circuits {kind} of families that were left out of the "
        f"fit; Kendall tau of the order of all {surrogate.kendall_tau:.2f}, {len(surrogate.families)} families",
    ]
    if lost < NOISE:
        lines.append(f"losses below {NOISE} are noise of the records that circuits were measured on")
    if surrogate.kendall_tau < TRUSTED:
        lines.append(
            f"a tau below {TRUSTED} orders circuits only roughly: refine those that are close, and measure them"
        )
    if outside:
        lines.append(f"outside of what was measured, so that the error may be larger: {', '.join(outside)}")
    rows: list[list[object]] = [[name, f"{value:.3f}"] for name, value in found.items()]
    return (
        result,
        ["\n".join(lines), table("features, base-2 logarithms but for widths", ["feature", "value"], rows)],
        0,
    )
