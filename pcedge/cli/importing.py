"""The command that reads other software's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pcedge.cli.grids import Columns, grid_in_words
from pcedge.cli.inputs import DATA
from pcedge.cli.output import Command, whole_file
from pcedge.importers.estimators.parameters import COMPONENTS
from pcedge.importers.files import READERS
from pcedge.importers.gridding import BINS, SYMBOLS

_IN = click.Path(exists=True, dir_okay=False)


@click.command("import", cls=Command, example="pcedge import nltcs.psdd --vtree nltcs.vtree --out c.pcedge")
@click.argument("file", type=_IN)
@click.option("--format", "kind", help=f"One of {', '.join(READERS)}.  [default: the suffix of FILE, .gz left off]")
@click.option("--vtree", type=_IN, help="The vtree of a PSDD.  [default: FILE's stem with .vtree, else none]")
@click.option(
    "--symbols", type=click.IntRange(2, 4096), default=SYMBOLS, show_default=True,
    help="Symbols of a variable of real values, at most.",
)  # fmt: skip
@click.option(
    "--data", type=DATA, help="Real values that the grid is chosen for, in the model's columns.  [default: its leaves]"
)
@click.option(
    "--bins", type=click.Choice(BINS), default=BINS[0], show_default=True,
    help="Bins of real values: of one width, for scores, or those that forget least, for coding.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1, 1 << 16), help="How many steps the circuit of a hidden Markov model has."
)
@click.option(
    "--components", type=click.IntRange(1, 1 << 16),
    help=f"How many components stand for the kernels of a density.  [default: {COMPONENTS}]",
)  # fmt: skip
@click.option(
    "--variables", type=Columns(), help="The columns of the data that hold these variables.  [default: the model's]"
)
@click.option(
    "--limit", type=click.IntRange(1),
    help="Entries of the tables that a network is compiled to, at most.  [default: what the memory for a file of its "
    "size has room for, half a million or more]",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The float circuit.")
def import_file(
    file: str, kind: str | None, vtree: str | None, symbols: int, data: str | None, variables: dict[str, int] | None,
    limit: int | None, out: Path, bins: str, steps: int | None, components: int | None,
) -> tuple[dict[str, Any], Any, int]:  # fmt: skip
    """Read a model of other software, such as a circuit of SPFlow or a Bayesian network, and write it as .pcedge.

    Units are normalised; the constant that this takes out is shown, and kept in the file. Variables of real values get
    a grid, whose bins the symbols are: it is in the file too, and data are read by it.
    """
    from dataclasses import replace

    from pcedge.circuit import save_circuit
    from pcedge.circuit.structure import region_tree
    from pcedge.errors import NotStructuredError, UsageError
    from pcedge.importers import import_circuit
    from pcedge.importers.gridding import Gridding, load_values

    gridding = Gridding(symbols, None if data is None else load_values(data), bins=bins)
    imported = import_circuit(
        file, format=kind, vtree=vtree, gridding=gridding, limit=limit, steps=steps,
        components=components,
    )  # fmt: skip
    circuit = imported.circuit
    if variables is not None:
        if circuit.grid is None:
            raise UsageError("--variables must go with a model whose variables have names, this one has none")
        circuit = replace(circuit, grid=circuit.grid.placed(variables))
    with whole_file(out) as fresh:
        save_circuit(circuit, fresh)
    try:
        region_tree(circuit.shapes)
        structured = True
    except NotStructuredError:
        structured = False
    kinds = [shape.kind for shape in circuit.shapes]
    result = {
        "out": str(out),
        "format": imported.format,
        "variables": len(circuit.cardinalities),
        "symbols": max(circuit.cardinalities),
        "layers": {name: kinds.count(name) for name in ("input", "product", "sum")},
        "parameters": circuit.parameters,
        "structured": structured,
        "log_constant": imported.log_constant,
        "names": list(imported.names),
        "notes": list(imported.notes),
    }
    if circuit.grid is not None:
        result["grid"] = [axis.as_dict() | {"symbols": axis.symbols} for axis in circuit.grid.axes]
    if any(imported.losses):
        result["grid_loss_nats"] = list(imported.losses)
    layers = ", ".join(f"{count} {name}" for name, count in result["layers"].items())  # type: ignore[attr-defined]
    lines = [
        f"{out}: {result['variables']} variables, layers {layers}, {circuit.parameters} parameters",
        f"log constant: {imported.log_constant:.12g} nats (the file's log-likelihood is the circuit's plus this)",
    ]
    if circuit.grid is not None:
        lines.append(f"grid: {grid_in_words(circuit.grid)}")
    if any(imported.losses):
        lines.append(f"the bins forget {sum(imported.losses):.4g} nats a record of the model's density")
    if not structured:
        lines.append("not structured-decomposable: it can be evaluated and marginalised, coding costs more")
    return result, "\n".join([*lines, *(f"note: {note}" for note in imported.notes)]), 0
