"""The commands that change a float circuit's size: prune and grow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, Sizes, header_option, mean_bits, reading_of, said_header, to_symbols
from pcedge.cli.output import Command, Result, announce, must_come_with, whole_file

if TYPE_CHECKING:
    from pcedge.circuit import Circuit


@click.command(cls=Command, example="pcedge prune c.pcedge --data digits --fraction 0.5 --shape edges --out p.pcedge")
@click.argument("circuit", type=MODEL)
@click.option("--data", required=True, type=DATA, help="Train records: a data file (its train split), or digits.")
@click.option("--fraction", type=float, help="Share of the edges, states or blocks to drop, 0..1.")
@click.option(
    "--schedule", type=click.Choice(["sap"]),
    help="sap: in place of a fraction, every layer loses the edges that its PQ index says.",
)  # fmt: skip
@click.option(
    "--gamma", default=0.5, show_default=True, type=float, help="Of --schedule: a layer of PQ index I loses gamma I."
)
@click.option(
    "--shape", default="edges", show_default=True, help="edges (single ones), states (whole latent states) or blocks."
)
@click.option("--block", default="4x4", show_default=True, type=Sizes(2), help="Rows and columns of a block.")
@click.option("--global", "whole", is_flag=True, help="Compare states or blocks of the whole circuit, not of a layer.")
@click.option("--missing", type=int, help="The value that marks a missing symbol; it is summed out.")
@header_option
@click.option("--out", required=True, type=OUT, help="The pruned float circuit, to be trained further.")
def prune(
    circuit: str,
    data: str,
    fraction: float | None,
    schedule: str | None,
    gamma: float,
    shape: str,
    block: tuple[int, int],
    whole: bool,
    missing: int | None,
    header: bool | None,
    out: Path,
) -> Result:
    """Drop what the data use least of a float circuit, by circuit flow."""
    from pcedge.circuit import save_circuit
    from pcedge.compress import expected_flows, loss_bound, sap_round
    from pcedge.compress import prune as drop
    from pcedge.data import load_data
    from pcedge.errors import DataError

    if (fraction is None) is (schedule is None):
        raise click.UsageError("either --fraction or --schedule must be given")
    must_come_with("--schedule", schedule is not None, "gamma", without=("shape", "block"))
    if whole and schedule is not None:
        raise click.UsageError("--global must come without --schedule, which settles it")
    before = read_float(circuit)
    reading = reading_of(before, missing=missing, header=header)
    records = to_symbols(before, load_data(data, reading).train, missing)
    header_entry = said_header(data, reading)
    announce(f"computing flows of {len(records)} records")
    flows = expected_flows(before, records)
    if fraction is None:
        pruned = sap_round(before, flows, gamma)
    else:
        pruned = drop(before, flows, fraction, shape, block=block, even=not whole)
    bits_before = mean_bits(before, records)
    if not math.isfinite(bits_before):
        raise DataError(f"the records of {data} must be possible in {circuit}, at least one has probability 0")
    bits_after = mean_bits(pruned.circuit, records)
    bound = loss_bound(before, pruned.dropped, records) / math.log(2) / len(before.cardinalities)
    with whole_file(out) as fresh:
        save_circuit(pruned.circuit, fresh)
    result = {
        "out": str(out), "shape": shape, "fraction": fraction, "records": len(records), "dropped_edges": pruned.edges,
        "dropped_flow": pruned.flow / len(records),
        "parameters_before": before.parameters, "parameters_after": pruned.circuit.parameters,
        "bits_per_variable_before": bits_before,
        "bits_per_variable_after": bits_after if math.isfinite(bits_after) else None,
        "loss_bound": bound if math.isfinite(bound) else None,
    } | header_entry  # fmt: skip
    if schedule is not None:
        result |= {"schedule": schedule, "gamma": gamma}
    text = (
        f"{out}: {before.parameters} parameters before, {pruned.circuit.parameters} after; "
        f"{bits_before:z.4f} bits a variable before, {bits_after:z.4f} after"
    )
    # Above what was lost at most, a bound of many bits tells nobody anything.
    return result, text + (f", at most {bound:z.4f} lost" if math.isfinite(bound) else ""), 0


def flows_of(
    circuit: Circuit, data: str, missing: int | None, header: bool | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Tell how prunable a circuit is and what its latents say, for machines and for people."""
    from pcedge.circuit import SumLayer
    from pcedge.compress import expected_flows, latent_information, pq_index
    from pcedge.compress.sparsity import NOTHING
    from pcedge.data import load_data

    reading = reading_of(circuit, missing=missing, header=header)
    records = to_symbols(circuit, load_data(data, reading).train, missing)
    announce(f"computing flows of {len(records)} records")
    flows = expected_flows(circuit, records)
    edges = {
        str(index): flow.reshape(-1)
        for index, (layer, flow) in enumerate(zip(circuit.layers, flows, strict=True))
        if isinstance(layer, SumLayer) and flow is not None
    }
    whole = pq_index(np.concatenate(list(edges.values()))) if edges else 0.0
    layers = {index: pq_index(flow) for index, flow in edges.items()}
    information = {str(index): bits for index, bits in latent_information(circuit, flows).items()}
    silent = sum(bits <= NOTHING for bits in information.values())
    result = {
        "records": len(records), "pq_index": {"circuit": whole, "layers": layers},
        "latent_information": information, "silent_latents": silent,
    } | said_header(data, reading)  # fmt: skip
    words = {
        "pq_index": f"{whole:.3f} of all sum edges (0: all are used alike, near 1: few are used), of layers "
        f"{min(layers.values(), default=0):.3f} to {max(layers.values(), default=0):.3f}",
        "latent_information": f"{sum(information.values()):.2f} bits a record of {len(information)} latents with their "
        f"parents, {min(information.values(), default=0):.4f} to {max(information.values(), default=0):.4f}",
        "silent_latents": f"{silent} say nothing of their parents (at most {NOTHING} bits)",
    }
    return result, words


@click.command(cls=Command, example="pcedge grow c.pcedge --factor 2 --noise 0.3 --out g.pcedge")
@click.argument("circuit", type=MODEL)
@click.option("--factor", default=2, show_default=True, type=click.IntRange(1), help="Units made of every unit.")
@click.option(
    "--noise", default=0.3, show_default=True, type=float, help="Spread of the noise on the parameters, 0..1."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the noise.")
@click.option("--data", type=DATA, help="Records (train split) whose bits are told before and after.")
@click.option("--missing", type=int, help="The value that marks a missing symbol; it is summed out.")
@header_option
@click.option("--out", required=True, type=OUT, help="The grown float circuit, to be trained further.")
def grow(
    circuit: str,
    factor: int,
    noise: float,
    seed: int,
    data: str | None,
    missing: int | None,
    header: bool | None,
    out: Path,
) -> Result:
    """Clone every latent state of a float circuit, with noise, so that training can go on."""
    from pcedge.circuit import save_circuit
    from pcedge.compress import grow as clone
    from pcedge.data import load_data

    must_come_with("--data", data is not None, "header")
    before = read_float(circuit)
    after = clone(before, factor, noise, seed)
    result: dict[str, Any] = {
        "out": str(out), "factor": factor, "noise": noise, "seed": seed,
        "parameters_before": before.parameters, "parameters_after": after.parameters,
    }  # fmt: skip
    text = f"{out}: {before.parameters} parameters before, {after.parameters} after"
    if data is not None:
        reading = reading_of(before, missing=missing, header=header)
        records = to_symbols(before, load_data(data, reading).train, missing)
        result |= said_header(data, reading)
        bits = [mean_bits(compared, records) for compared in (before, after)]
        for name, value in zip(("before", "after"), bits, strict=True):
            result[f"bits_per_variable_{name}"] = value if math.isfinite(value) else None
        text += f"; {bits[0]:z.4f} bits a variable before, {bits[1]:z.4f} after"
    with whole_file(out) as fresh:
        save_circuit(after, fresh)
    return result, text, 0
