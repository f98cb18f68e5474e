"""The command that makes integers of a float circuit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pcedge.circuit import Circuit
from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, reading_options, to_symbols
from pcedge.cli.output import Command, Result, announce, progress, whole_file
from pcedge.errors import MissingToolError, UsageError
from pcedge.quantize.config import ROUNDINGS, SMALL_WEIGHTS, QuantizationConfig

#: train records that calibrate the rounding and the shared tables, at most
CALIBRATION = 4096


@click.command(
    cls=Command, example="pcedge quantize c.pcedge --weight-bits 4 --data train.npy --refine em --out m.onnx"
)
@click.argument("circuit", type=MODEL)
@click.option("--weight-bits", default=8, show_default=True, type=int, help="W, 2..16: rows of weights sum to 2^W.")
@click.option("--leaf-bits", default=12, show_default=True, type=int, help="L, 8..16: leaf tables sum to 2^L.")
@click.option("--state-bits", default=16, show_default=True, type=int, help="A, 8..16: bits of a state's entry.")
@click.option("--coder", default="wide", show_default=True, help="wide (48-bit range) or small (32-bit range).")
@click.option(
    "--floor",
    type=int,
    help="f of 2^P goes to every symbol first.  [default: 2^-15 of the code space for all together, at least 1 each]",
)
@click.option(
    "--small-weights",
    default="auto",
    show_default=True,
    help=f"{', '.join(SMALL_WEIGHTS)}: keep weights below 2^-W at 1, round them, or (auto) keep those of sparse rows.",
)
@click.option(
    "--rounding", default=ROUNDINGS[0], show_default=True, help=f"How rows are rounded: {' or '.join(ROUNDINGS)}."
)
@click.option("--data", type=DATA, help="Train records: calibrate the rounding; for --refine, --leaf-tables.")
@click.option("--missing", type=int, help="The value of --data that marks a missing symbol.")
@click.option("--leaf-tables", type=click.IntRange(1), help="Let all leaves share at most so many tables.")
@click.option(
    "--refine",
    default="none",
    show_default=True,
    type=click.Choice(["none", "em", "qat"]),
    help="Train the integers: em (rounded expectation maximisation) or qat (gradients through brevitas, extra qat).",
)
@click.option("--passes", type=click.IntRange(1), help="Passes of --refine over the data.  [default: 10]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of --refine, --leaf-tables.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or a torch device such as cuda.")
@reading_options
@click.option("--out", required=True, type=OUT, help="The integer circuit, one ONNX file.")
def quantize(
    circuit: str, weight_bits: int, leaf_bits: int, state_bits: int, coder: str, floor: int | None, small_weights: str,
    rounding: str, data: str | None, missing: int | None, leaf_tables: int | None, refine: str, passes: int | None,
    seed: int, device: str, dtype: str | None, shape: str | None, out: Path,
) -> Result:  # fmt: skip
    """Round a float circuit to integers, trained on data if you like, and write it as ONNX."""
    from pcedge.coder import bounds_notes
    from pcedge.data import Reading, load_data
    from pcedge.export import write_onnx
    from pcedge.quantize import quantize as to_integers

    config = QuantizationConfig(weight_bits, leaf_bits, state_bits, coder, floor, small_weights, rounding)
    source = read_float(circuit)
    if data is None and (refine != "none" or leaf_tables is not None or missing is not None):
        raise click.UsageError("--refine, --leaf-tables and --missing must come with --data")
    if passes is not None and refine == "none":
        raise click.UsageError("--passes must come with --refine")
    fitted, flows = source, None
    if data is not None:
        splits = load_data(data, Reading(dtype, shape, missing)).map(lambda part: to_symbols(source, part, missing))
        train = splits.train.reshape(len(splits.train), -1)
        if refine == "none" or leaf_tables is not None:
            announce(f"counting the flows of {min(len(train), CALIBRATION)} records")
            flows = _flows(source, train[:CALIBRATION], device)
        if leaf_tables is not None:
            from pcedge.compress import share_leaves

            assert flows is not None
            fitted = share_leaves(source, flows, tables=leaf_tables, seed=seed)
        if refine != "none":
            fitted = _refined(fitted, train, splits.valid, config, refine, passes, seed, device)
        if refine != "none" or leaf_tables is not None:
            # Refined parameters are integers already, and one table for leaves of many flows has one rounding.
            flows = None
    model = to_integers(fitted, config, flows=flows)
    with whole_file(out, circuit, *([] if data is None else [data])) as fresh:
        write_onnx(model, fresh, bounds_notes(source, model))
    result: dict[str, Any] = {
        "out": str(out),
        "digest": model.digest.hex(),
        "bytes": out.stat().st_size,
        "structured": model.structured,
    }
    return result, f"{out}: {result['bytes']} bytes, digest {model.digest.hex()[:16]}…", 0


def _flows(circuit: Circuit, records: Any, device: str) -> Any:
    """Count flows by torch where it is installed, else in numpy."""
    from pcedge.compress import expected_flows
    from pcedge.learn import LearnConfig, count_flows

    try:
        return count_flows(circuit, records, LearnConfig(device=device))
    except MissingToolError:
        return expected_flows(circuit, records)


def _refined(
    circuit: Circuit, train: Any, valid: Any, config: QuantizationConfig, kind: str, passes: int | None, seed: int,
    device: str,
) -> Circuit:  # fmt: skip
    if kind == "qat":
        raise UsageError("--refine qat is not there yet")
    from pcedge.quantize import RefineConfig, refine

    settings = RefineConfig(seed=seed)
    if passes is not None:
        settings = replace(settings, passes=passes, gradual=min(settings.gradual, passes - 1))
    settings = replace(settings, learn=replace(settings.learn, device=device))
    held = None if valid is None or not len(valid) else valid.reshape(len(valid), -1)
    announce(f"refining on {len(train)} records")
    with progress("refining") as move:
        return refine(
            circuit, train, config, settings, valid=held, progress=lambda index, total, *_: move(index, total)
        )
