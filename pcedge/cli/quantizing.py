"""The command that makes integers of a float circuit."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import click

from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, reading_of, reading_options, said_header, to_symbols
from pcedge.cli.measuring import (
    chosen_in_words,
    held_records,
    measure_held_out,
    measured_in_words,
    refinement_in_words,
    sizes,
    tails_in_words,
    tails_of,
)
from pcedge.cli.output import Command, Result, announce, must_come_with, progress, whole_file
from pcedge.quantize.config import CODERS, ROUNDINGS, SMALL_WEIGHTS, QuantizationConfig, default_widths

if TYPE_CHECKING:
    from pcedge.search.budget import Stage

#: seconds between two lines that say how far a search is, at least
SAY_EVERY = 10.0


@click.command(
    cls=Command, example="pcedge quantize c.pcedge --weight-bits 4 --data train.npy --refine em --out m.onnx"
)
@click.argument("circuit", type=MODEL)
@click.option(
    "--weight-bits", type=int, help="W, 2..16: rows of weights sum to 2^W.  [default: 8, 12 with a grid that clips]"
)
@click.option(
    "--leaf-bits",
    type=int,
    help="L, 8..16: leaf tables sum to 2^L.  [default: 12, 15 with a predictor stage, or a grid that clips]",
)
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
@click.option(
    "--tails/--no-tails", default=True, show_default=True,
    help="Whether likelihoods keep every record possible that the float circuit calls possible.",
)  # fmt: skip
@click.option("--data", type=DATA, help="Train records, for --refine, --leaf-tables, --row-table and a budget.")
@click.option("--missing", type=int, help="The value of --data that marks a missing symbol.")
@click.option("--leaf-tables", type=click.IntRange(1), help="Let all leaves share at most so many tables.")
@click.option(
    "--leaf-masters", type=click.IntRange(1), help="Store leaf tables as shifts and scales of so many masters."
)
@click.option(
    "--row-table", type=click.IntRange(1),
    help="Let all rows of dense sums share one table of at most so many rows, each turned (needs scipy).",
)  # fmt: skip
@click.option(
    "--refine",
    default="none",
    show_default=True,
    type=click.Choice(["none", "em"]),
    help="Train the integers: em is expectation maximisation with rounded weights (needs the extra train).",
)
@click.option("--passes", type=click.IntRange(1), help="Passes of --refine over the data.  [default: 40]")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of --refine and what is shared."
)
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
    circuit: str, weight_bits: int | None, leaf_bits: int | None, state_bits: int, coder: str, floor: int | None,
    small_weights: str, rounding: str, tails: bool, data: str | None, missing: int | None, leaf_tables: int | None,
    leaf_masters: int | None, row_table: int | None, refine: str, passes: int | None, seed: int, device: str,
    budget_kbit: float | None, budget_multiplier_bits: int | None, generations: int, workers: int,
    checkpoint: Path | None, dtype: str | None, shape: str | None, header: bool | None, out: Path,
) -> Result:  # fmt: skip
    """Round a float circuit to integers, trained on data if you like, and write it as ONNX.

    With a budget, the width options are the greatest widths, and a search chooses those of every layer. It compares
    the coding intervals of held-out records, and does not look at records that the integers call impossible; they are
    counted in the end. A budget that does not bind may choose worse than none where few records are held out.
    """
    from pcedge.bounds import bounds_notes
    from pcedge.data import load_data
    from pcedge.export import write_onnx
    from pcedge.learn.training import check_device
    from pcedge.search.budget import quantize_within
    from pcedge.search.costs import multiplier_bits
    from pcedge.search.search import Budget, SearchConfig

    source = read_float(circuit, "; only these can be quantized")
    usual = default_widths(source)
    weight_bits = usual[0] if weight_bits is None else weight_bits
    config = QuantizationConfig(
        weight_bits, usual[1] if leaf_bits is None else leaf_bits, state_bits, coder, floor, small_weights, rounding,
        leaf_masters=leaf_masters, tails=tails, row_table=row_table is not None,
    )  # fmt: skip
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
    shared = leaf_tables is not None or row_table is not None
    if data is not None and refine == "none" and not shared and budget is None:
        raise click.UsageError("--data must come with --refine, --leaf-tables, --row-table or a budget")
    if data is None and budget is not None:
        raise click.UsageError("a budget must come with --data, the records that the search measures")
    for name, given in (("--leaf-masters", leaf_masters), ("--row-table", row_table)):
        if given is not None and budget is not None:
            raise click.UsageError(f"a budget must come without {name}")
    must_come_with("a budget", budget is not None, "checkpoint", "generations", "workers")
    must_come_with("--data", data is not None, "header")
    if data is None and (refine != "none" or shared or missing is not None):
        raise click.UsageError("--refine, --leaf-tables, --row-table and --missing must come with --data")
    refinement = None if refine == "none" else _refinement(passes, seed, device)
    if refinement is not None:
        check_device(refinement.learn)
    train: Any = None
    valid: Any = None
    held_out: Any = None
    headed: dict[str, Any] = {}
    if data is not None:
        reading = reading_of(source, dtype, shape, missing, header)
        splits = load_data(data, reading).map(lambda values: to_symbols(source, values, missing))
        headed = said_header(data, reading)
        train = splits.train.reshape(len(splits.train), -1)
        held_out = held_records(train, splits.valid, seed)
        if splits.valid is not None and len(splits.valid):
            valid = splits.valid.reshape(len(splits.valid), -1)
    settings = SearchConfig(generations=generations, workers=workers, seed=seed)
    with _Watch(len(source.cardinalities), checkpoint) as watch:
        outcome = quantize_within(
            source, config, train=train, valid=valid, held_out=held_out, budget=budget, settings=settings,
            tables=leaf_tables, rows=row_table, refinement=refinement, seed=seed, device=device,
            checkpoint=checkpoint, watcher=watch,
        )  # fmt: skip
    model, chosen, source = outcome.integers, outcome.chosen, outcome.source
    if outcome.left_out:
        announce("what --refine found does not keep the budget, so it is left out")
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
    more, remark = sizes(model)
    result |= more
    text += f"\n{remark}"
    result["tails"] = tails_of(model, source)
    text += f"\ntails: {tails_in_words(result['tails'])}"
    if chosen is not None:
        result["multiplier_bits"] = multiplier_bits(model)
        searched = {
            "generations": generations, "resumed_at": watch.resumed_at, "held_out_records": len(held_out),
            "compared_records": min(settings.many, len(held_out)),
        }  # fmt: skip
        widths = chosen.candidate.weight_bits
        result["chosen"] = {
            "weight_bits": {str(bits): widths.count(bits) for bits in sorted(set(widths))},
            "leaf_bits": chosen.config.leaf_bits, "state_bits": chosen.config.state_bits,
            "leaf_tables": chosen.candidate.tables,
        }  # fmt: skip
        result["search"] = searched
        text += f"\nmultiplier bits: {result['multiplier_bits']}\n{chosen_in_words(result['chosen'])}"
        text += (
            f"\nsearch: {generations} generations, candidates compared on {searched['compared_records']} of "
            f"{searched['held_out_records']} held-out records"
        )
    if row_table is not None and not model.row_lengths:
        text += (
            "\nrow table: none is stored, for no rows take fewer bits as numbers and turns of one than by themselves; "
            "fewer --row-table may"
        )
    if chosen is not None or refinement is not None or row_table is not None:
        announce("measuring held-out records")
        result["held_out"] = measure_held_out(source, model, held_out, seed)
        if refinement is not None:
            before = outcome.unrefined
            alone = result["held_out"] if model is before else measure_held_out(source, before, held_out, seed)
            result["refinement"] = {
                "held_out_records": len(held_out), "bits_per_record_before": alone["bits_per_record"],
                "bits_per_record_after": result["held_out"]["bits_per_record"],
                "passes": refinement.passes, "pass_kept": outcome.pass_kept, "left_out": outcome.left_out,
            }  # fmt: skip
            text += f"\n{refinement_in_words(result['refinement'])}"
        text += f"\n{measured_in_words(result['held_out'])}"
    return result, text, 0


class _Watch:
    """Show a bar for each stage of the work, and say from time to time how far a search is."""

    def __init__(self, variables: int, checkpoint: Path | None) -> None:
        self.variables = variables
        self.resumed = checkpoint if checkpoint is not None and checkpoint.exists() else None
        #: the generation that a search went on from
        self.resumed_at: int | None = None
        self.said = -math.inf
        self.stage: Stage | None = None
        self.bar = ExitStack()

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def begin(self, stage: Stage, records: int) -> None:
        """Say what is being done."""
        self.stage = stage
        self.bar.close()
        match stage:
            case "search":
                announce("searching")
            case "flows":
                announce(f"counting the flows of {records} records")
                return
            case "refine":
                announce(f"refining on {records} records")
            case _:
                assert_never(stage)
        self.move = self.bar.enter_context(progress("searching" if stage == "search" else "refining"))

    def step(self, done: int, total: int, bits: float | None = None) -> None:
        """Move the bar; of a search the bits a variable of the best are said too."""
        self.move(done, total)
        if bits is None:
            return
        if self.resumed is not None:
            announce(f"going on from generation {done} of {self.resumed}")
            self.resumed_at, self.resumed = done, None
        if done >= total or time.monotonic() - self.said >= SAY_EVERY:
            self.said = time.monotonic()
            announce(f"generation {done} of {total}, best {bits * self.variables:z.2f} bits a record")


def _refinement(passes: int | None, seed: int, device: str) -> Any:
    from pcedge.quantize import RefineConfig

    settings = RefineConfig(seed=seed)
    if passes is not None:
        settings = replace(settings, passes=passes, gradual=passes // 2)
    return replace(settings, learn=replace(settings.learn, device=device))
