"""The command that makes integers of a float circuit."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pcedge.circuit import Circuit
from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, reading_options, said_header, to_symbols
from pcedge.cli.measuring import (
    chosen_in_words,
    held_records,
    measured,
    measured_in_words,
    refinement_in_words,
    sizes,
)
from pcedge.cli.output import Command, Result, announce, must_come_with, progress, whole_file
from pcedge.quantize.config import CODERS, ROUNDINGS, SMALL_WEIGHTS, QuantizationConfig

#: train records whose flows say which leaf tables may be shared, at most
CALIBRATION = 4096

#: share of a budget of memory that a search leaves to the refinement of what it finds
RESERVE = 0.005

#: seconds between two lines that say how far a search is, at least
SAY_EVERY = 10.0


@click.command(
    cls=Command, example="pcedge quantize c.pcedge --weight-bits 4 --data train.npy --refine em --out m.onnx"
)
@click.argument("circuit", type=MODEL)
@click.option("--weight-bits", default=8, show_default=True, type=int, help="W, 2..16: rows of weights sum to 2^W.")
@click.option("--leaf-bits", default=12, show_default=True, type=int, help="L, 8..16: leaf tables sum to 2^L.")
@click.option("--state-bits", default=16, show_default=True, type=int, help="A, 8..16: bits of a state's entry.")
@click.option(
    "--coder", default="wide", show_default=True, type=click.Choice(list(CODERS)),
    help="wide (48-bit range) or small (32-bit range).",
)  # fmt: skip
@click.option(
    "--floor",
    type=int,
    help="f, 1 and more: f of 2^P (P 24, of coder small 16) goes to every symbol first, at most half of it to all.  "
    "[default: 2^-15 of the code space for all together, at least 1 each]",
)
@click.option(
    "--small-weights",
    default="auto",
    show_default=True,
    type=click.Choice(SMALL_WEIGHTS),
    help="Keep weights below 2^-W at 1, round them, or (auto) keep those of sparse rows.",
)
@click.option(
    "--rounding", default=ROUNDINGS[0], show_default=True, type=click.Choice(ROUNDINGS), help="How rows are rounded."
)
@click.option("--data", type=DATA, help="Train records, for --refine, --leaf-tables and a budget.")
@click.option("--missing", type=int, help="The value of --data that marks a missing symbol.")
@click.option("--leaf-tables", type=click.IntRange(1), help="Let all leaves share at most so many tables.")
@click.option(
    "--leaf-masters", type=click.IntRange(1), help="Store leaf tables as shifts and scales of so many masters."
)
@click.option(
    "--refine",
    default="none",
    show_default=True,
    type=click.Choice(["none", "em"]),
    help="Train the integers: em is expectation maximisation with rounded weights (needs the extra train).",
)
@click.option("--passes", type=click.IntRange(1), help="Passes of --refine over the data.  [default: 40]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of --refine, --leaf-tables.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or a torch device such as cuda.")
@click.option(
    "--budget-kbit", type=click.FloatRange(0, min_open=True), help="All ROM of the exported project, in 1,000 bits."
)
@click.option("--budget-multiplier-bits", type=click.IntRange(1), help="Partial products of the two multipliers.")
@click.option(
    "--generations", default=10, show_default=True, type=click.IntRange(0), help="How long a budget's search is."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes of a budget's search.")
@click.option("--checkpoint", type=OUT, help="A file that a killed search of the same settings goes on from.")
@reading_options
@click.option("--out", required=True, type=OUT, help="The integer circuit, one ONNX file.")
def quantize(
    circuit: str, weight_bits: int, leaf_bits: int, state_bits: int, coder: str, floor: int | None, small_weights: str,
    rounding: str, data: str | None, missing: int | None, leaf_tables: int | None, leaf_masters: int | None,
    refine: str, passes: int | None, seed: int, device: str, budget_kbit: float | None,
    budget_multiplier_bits: int | None, generations: int, workers: int, checkpoint: Path | None, dtype: str | None,
    shape: str | None, header: bool | None, out: Path,
) -> Result:  # fmt: skip
    """Round a float circuit to integers, trained on data if you like, and write it as ONNX.

    With a budget, the width options are the greatest widths, and a search chooses those of every layer. It compares
    the coding intervals of held-out records, and does not look at records that the integers call impossible; they are
    counted in the end. A budget that does not bind may choose worse than none where few records are held out.
    """
    from pcedge.bounds import bounds_notes
    from pcedge.compress import share_leaves
    from pcedge.data import Reading, load_data
    from pcedge.export import write_onnx
    from pcedge.learn.training import check_device
    from pcedge.quantize import quantize as to_integers
    from pcedge.quantize.calibration import calibration_flows
    from pcedge.search.costs import multiplier_bits
    from pcedge.search.search import Budget, SearchConfig, search

    config = QuantizationConfig(
        weight_bits, leaf_bits, state_bits, coder, floor, small_weights, rounding, leaf_masters=leaf_masters
    )  # fmt: skip
    source = read_float(circuit, "; only these can be quantized")
    if passes is not None and refine == "none":
        raise click.UsageError("--passes must come with --refine")
    if budget_kbit is not None and not math.isfinite(budget_kbit):
        raise click.UsageError(f"--budget-kbit must be a finite number, got {budget_kbit}")
    for name, file in (("--out", out), ("--checkpoint", checkpoint)):
        if file is not None and not file.absolute().parent.is_dir():
            raise click.UsageError(f"the folder of {name} must exist, {file.parent} does not")
    budget = None
    if budget_kbit is not None or budget_multiplier_bits is not None:
        budget = Budget(None if budget_kbit is None else round(1000 * budget_kbit), budget_multiplier_bits)
    if data is not None and refine == "none" and leaf_tables is None and budget is None:
        raise click.UsageError("--data must come with --refine, --leaf-tables or a budget")
    if data is None and budget is not None:
        raise click.UsageError("a budget must come with --data, the records that the search measures")
    if leaf_masters is not None and budget is not None:
        raise click.UsageError("a budget must come without --leaf-masters")
    must_come_with("a budget", budget is not None, "checkpoint", "generations", "workers")
    must_come_with("--data", data is not None, "header")
    if data is None and (refine != "none" or leaf_tables is not None or missing is not None):
        raise click.UsageError("--refine, --leaf-tables and --missing must come with --data")
    if refine != "none":
        check_device(_refinement(passes, seed, device).learn)
    fitted, chosen = source, None
    held: Any = None
    searched: dict[str, Any] = {}
    headed: dict[str, Any] = {}
    kept: list[int] = []
    if data is not None:
        reading = Reading(dtype, shape, missing, header)
        splits = load_data(data, reading).map(lambda part: to_symbols(source, part, missing))
        headed = said_header(data, reading)
        train = splits.train.reshape(len(splits.train), -1)
        held = held_records(train, splits.valid, seed)
        if budget is not None:
            settings = SearchConfig(generations=generations, workers=workers, seed=seed)
            room = budget
            if refine != "none" and budget.memory_bits is not None:
                # Refined weights may need another bank of the ROM.
                room = replace(budget, memory_bits=max(1, round(budget.memory_bits * (1 - RESERVE))))
            announce("searching")
            searched = {
                "generations": generations, "resumed_at": None, "held_out_records": len(held),
                "compared_records": min(settings.many, len(held)),
            }  # fmt: skip
            with progress("searching") as move:
                tell = _Telling(move, len(source.cardinalities), searched, checkpoint)
                chosen = search(
                    source, held, room, config, settings, tables=leaf_tables, device=device,
                    refining=None if refine == "none" else (train, _refinement(passes, seed, device)),
                    checkpoint=checkpoint, progress=tell,
                )  # fmt: skip
            fitted, config = chosen.circuit, chosen.config
        elif leaf_tables is not None:
            announce(f"counting the flows of {min(len(train), CALIBRATION)} records")
            flows = calibration_flows(source, train[:CALIBRATION], device)
            fitted = share_leaves(source, flows, tables=leaf_tables, seed=seed)
    before = to_integers(fitted, config) if chosen is None else chosen.integers
    model, left_out = before, False
    if refine != "none":
        model = to_integers(_refined(fitted, train, splits.valid, config, passes, seed, device, kept.append), config)
        if chosen is not None and not _keeps(model, budget):
            announce("what --refine found does not keep the budget, so it is left out")
            model, left_out = before, True
    with whole_file(out) as fresh:
        write_onnx(model, fresh, bounds_notes(source, model))
        size = fresh.stat().st_size
    result: dict[str, Any] = {
        "out": str(out),
        "digest": model.digest.hex(),
        "bytes": size,
        "structured": model.structured,
    } | headed
    text = f"{out}: {result['bytes']} bytes, digest {model.digest.hex()[:16]}…"
    more, said = sizes(model)
    result |= more
    text += f"\n{said}"
    if chosen is not None:
        result["multiplier_bits"] = multiplier_bits(model)
        widths = chosen.candidate.weight_bits
        result["chosen"] = {
            "weight_bits": {str(bits): widths.count(bits) for bits in sorted(set(widths))},
            "leaf_bits": config.leaf_bits, "state_bits": config.state_bits, "leaf_tables": chosen.candidate.tables,
        }  # fmt: skip
        result["search"] = searched
        text += f"\nmultiplier bits: {result['multiplier_bits']}\n{chosen_in_words(result['chosen'])}"
        text += (
            f"\nsearch: {generations} generations, candidates compared on {searched['compared_records']} of "
            f"{searched['held_out_records']} held-out records"
        )
    if chosen is not None or refine != "none":
        announce("measuring held-out records")
        result["held_out"] = measured(source, model, held, seed)
        if refine != "none":
            alone = result["held_out"] if model is before else measured(source, before, held, seed)
            result["refinement"] = {
                "held_out_records": len(held), "bits_per_record_before": alone["bits_per_record"],
                "bits_per_record_after": result["held_out"]["bits_per_record"],
                "passes": _refinement(passes, seed, device).passes, "pass_kept": kept[0], "left_out": left_out,
            }  # fmt: skip
            text += f"\n{refinement_in_words(result['refinement'])}"
        text += f"\n{measured_in_words(result['held_out'])}"
    return result, text, 0


class _Telling:
    """Move the bar of a search, and say from time to time how far it is."""

    def __init__(self, move: Any, variables: int, searched: dict[str, Any], checkpoint: Path | None) -> None:
        self.move, self.variables, self.searched = move, variables, searched
        self.resumed = checkpoint if checkpoint is not None and checkpoint.exists() else None
        self.said = -math.inf

    def __call__(self, generation: int, total: int, bits: float) -> None:
        """Be told of a generation and the bits a variable of the best."""
        self.move(generation, total)
        if self.resumed is not None:
            announce(f"going on from generation {generation} of {self.resumed}")
            self.searched["resumed_at"], self.resumed = generation, None
        if generation >= total or time.monotonic() - self.said >= SAY_EVERY:
            self.said = time.monotonic()
            announce(f"generation {generation} of {total}, best {bits * self.variables:.2f} bits a record")


def _keeps(model: Any, budget: Any) -> bool:
    from pcedge.export.program.lowering import lower
    from pcedge.search.costs import multiplier_bits

    memory, multiplier = budget.memory_bits, budget.multiplier_bits
    return (memory is None or lower(model).memory_bits()["rom"] <= memory) and (
        multiplier is None or multiplier_bits(model) <= multiplier
    )


def _refined(
    circuit: Circuit, train: Any, valid: Any, config: QuantizationConfig, passes: int | None, seed: int, device: str,
    kept: Any,
) -> Circuit:  # fmt: skip
    from pcedge.quantize import refine

    held = None if valid is None or not len(valid) else valid.reshape(len(valid), -1)
    announce(f"refining on {len(train)} records")
    with progress("refining") as move:
        return refine(
            circuit, train, config, _refinement(passes, seed, device), valid=held,
            progress=lambda index, total, *_: move(index, total), kept=kept,
        )  # fmt: skip


def _refinement(passes: int | None, seed: int, device: str) -> Any:
    from pcedge.quantize import RefineConfig

    settings = RefineConfig(seed=seed)
    if passes is not None:
        settings = replace(settings, passes=passes, gradual=passes // 2)
    return replace(settings, learn=replace(settings.learn, device=device))
