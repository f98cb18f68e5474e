"""The commands that change a float circuit's size: prune and grow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, Sizes, header_option, mean_bits, reading_of, said_header, to_symbols
from pcedge.cli.output import Command, Result, announce, must_come_with, whole_file


@click.command(cls=Command, example="pcedge prune c.pcedge --data digits --fraction 0.5 --shape edges --out p.pcedge")
@click.argument("circuit", type=MODEL)
@click.option("--data", required=True, type=DATA, help="Train records: a data file (its train split), or digits.")
@click.option("--fraction", required=True, type=float, help="Share of the edges, states or blocks to drop, 0..1.")
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
    fraction: float,
    shape: str,
    block: tuple[int, int],
    whole: bool,
    missing: int | None,
    header: bool | None,
    out: Path,
) -> Result:
    """Drop what the data use least of a float circuit, by circuit flow."""
    from pcedge.circuit import save_circuit
    from pcedge.compress import expected_flows, loss_bound
    from pcedge.compress import prune as drop
    from pcedge.data import load_data
    from pcedge.errors import DataError

    before = read_float(circuit)
    reading = reading_of(before, missing=missing, header=header)
    records = to_symbols(before, load_data(data, reading).train, missing)
    header_entry = said_header(data, reading)
    announce(f"computing flows of {len(records)} records")
    pruned = drop(before, expected_flows(before, records), fraction, shape, block=block, even=not whole)
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
    text = (
        f"{out}: {before.parameters} parameters before, {pruned.circuit.parameters} after; "
        f"{bits_before:z.4f} bits a variable before, {bits_after:z.4f} after"
    )
    # Above what was lost at most, a bound of many bits tells nobody anything.
    return result, text + (f", at most {bound:z.4f} lost" if math.isfinite(bound) else ""), 0


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
