"""The command that runs compression passes over a float circuit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.files import read_float
from pcedge.cli.inputs import DATA, MODEL, OUT, header_option, reading_of, said_header, to_symbols
from pcedge.cli.output import Command, Result, announce, must_come_with, options_given, table, warn, whole_file
from pcedge.cli.watching import aside, own_checkpoint, resumable

if TYPE_CHECKING:
    from pcedge.arrays import FloatArray
    from pcedge.circuit import Circuit
    from pcedge.search.compression import Compressed

#: options that say a target, and the units that they are of
TARGETS = {"budget_weights": "weights", "budget_kbit": "kbit", "budget_cycles": "cycles", "max_loss": "loss"}

#: what a cost is, in words
WORDS = {"weights": "weights", "kbit": "kbit of ROM", "cycles": "cycles a symbol", "loss": "bits a variable lost"}

POSITIVE = click.FloatRange(0, min_open=True)


@click.command(
    cls=Command,
    example="pcedge compress c.pcedge --data digits --passes merge,fold --budget-weights 4300 --out p.pcedge",
)
@click.argument("circuit", type=MODEL, required=False)
@click.option("--list", "listed", is_flag=True, help="Print the passes: what each keeps, needs and reduces, and stop.")
@click.option("--data", type=DATA, help="Train records (and valid ones, where the file has splits).  [default: records "
              "that are drawn from the circuit or --teacher]")  # fmt: skip
@click.option("--passes", default="auto", show_default=True, help="Passes with commas between them, as merge,fold.")
@click.option("--budget-weights", type=click.IntRange(1, 10**15), help="Stored weights of sums at most.")
@click.option("--budget-kbit", type=POSITIVE, help="All ROM of the exported project at most, in 1,000 bits.")
@click.option("--budget-cycles", type=POSITIVE, help="Cycles a symbol at most, of the engine that encodes.")
@click.option("--macs", type=click.IntRange(1), help="Of the engine that cycles or ROM are of.  "
              "[default: 16, of ROM 1]")  # fmt: skip
@click.option("--streams", type=click.IntRange(1), help="Of that engine.  [default: 4, of ROM 1]")
@click.option("--max-loss", type=POSITIVE, help="Bits a variable of valid lost at most: as small as that allows.")
@click.option("--multiple", default=1, show_default=True, type=click.IntRange(1),
              help="States of a latent in multiples of so many, the lanes of the engine.")  # fmt: skip
@click.option("--protect", help="Records that count more, LABELS.npy:LABEL=WEIGHT,…, labels one a train record.")
@click.option("--marginal", help="First sum out all variables but these, by name or number, as 0,3,temp.")
@click.option("--refit", type=click.IntRange(0), help="M-steps after each pass that changes the distribution.  "
              "[default: 25]")  # fmt: skip
@click.option("--teacher", type=MODEL, help="The float circuit that records are drawn from where there are no data.")
@click.option("--weight-bits", type=int, help="W that memory and cycles are counted at.  [default: as of quantize]")
@click.option("--leaf-bits", type=int, help="L that memory is counted at.  [default: as of quantize]")
@click.option("--missing", type=int, help="The value that marks a missing symbol; it is summed out.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of what is drawn.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or a torch device such as cuda.")
@header_option
@click.option("--out", type=OUT, help="The smaller float circuit.")
def compress(
    circuit: str | None, listed: bool, data: str | None, passes: str, budget_weights: int | None,
    budget_kbit: float | None, budget_cycles: float | None, macs: int | None, streams: int | None,
    max_loss: float | None, multiple: int, protect: str | None, marginal: str | None, refit: int | None,
    teacher: str | None, weight_bits: int | None, leaf_bits: int | None, missing: int | None, seed: int, device: str,
    header: bool | None, out: Path | None,
) -> Result:  # fmt: skip
    """Make a float circuit smaller by passes, each followed by the same refit, within one budget.

    Costs are those of the export. The passes run in the order in which they are named; the result is a float circuit,
    to be quantized. Killed, the same command goes on after the last pass that was done.
    """
    if listed:
        return _list()
    if circuit is None or out is None:
        raise click.UsageError(f"{'CIRCUIT' if circuit is None else '--out'} must be given, or --list")
    from pcedge.circuit import save_circuit
    from pcedge.quantize.config import QuantizationConfig
    from pcedge.search.compression import REFIT, CompressConfig
    from pcedge.search.compression import compress as run

    given = {"budget_weights": budget_weights, "budget_kbit": budget_kbit, "budget_cycles": budget_cycles,
             "max_loss": max_loss}  # fmt: skip
    said = [name for name, value in given.items() if value is not None]
    if len(said) > 1:
        raise click.UsageError(f"one budget must be given, got {' and '.join(_option(name) for name in said)}")
    must_come_with("--data", data is not None, "protect", "missing", "header")
    must_come_with("--budget-kbit or --budget-cycles", budget_kbit is not None or budget_cycles is not None,
                   "macs", "streams", "weight_bits", "leaf_bits")  # fmt: skip
    if data is not None and options_given("teacher"):
        raise click.UsageError("--teacher must come without --data, whose place it takes")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"the folder of --out must exist, {out.parent} does not")
    before = read_float(circuit)
    start, chosen = before, None
    if marginal is not None:
        start, chosen = _marginal(before, marginal)
    splits, entry = (None, {}) if data is None else _records(before, data, chosen, missing, header)
    usual = QuantizationConfig.of(start)
    teacher_circuit = None if teacher is None else read_float(teacher)
    if teacher_circuit is not None and marginal is not None:
        teacher_circuit = _marginal(teacher_circuit, marginal)[0]
    config = CompressConfig(
        passes, TARGETS[said[0]] if said else None, float(given[said[0]] or 0) if said else 0.0, macs, streams,  # type: ignore[arg-type]
        multiple, REFIT if refit is None else refit, seed, device,
        replace(usual, weight_bits=usual.weight_bits if weight_bits is None else weight_bits,
                leaf_bits=usual.leaf_bits if leaf_bits is None else leaf_bits),
    )  # fmt: skip
    weights = None if protect is None else _protected(protect, 0 if splits is None else len(splits.train))
    checkpoint = own_checkpoint(out)

    def watch(number: int, total: int, what: str) -> None:
        announce(f"pass {number + 1} of {total}: {what}")

    with resumable(checkpoint):
        made = run(
            start, splits, config, weights=weights, teacher=teacher_circuit,
            checkpoint=checkpoint, aside=aside, watcher=watch,
        )  # fmt: skip
    with whole_file(out) as fresh:
        save_circuit(made.circuit, fresh)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    result = _result(before, made, config.value, said) | entry | {"out": str(out), "seed": seed}
    kept = not said or result["budget"]["kept"]
    if not kept:
        unit, cost = WORDS[TARGETS[said[0]]], result["budget"]["after"]
        warn(f"the budget of {config.value:,.6g} {unit} is not kept, it is {cost:,.6g}; the exit status is 1")
    return result, _text(out, made, result), 0 if kept else 1


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _list() -> Result:
    """Describe the passes."""
    from pcedge.compress.table import AUTO, AUTO_EXACT, AUTO_KBIT, PASSES

    rows = {
        each.name: {
            "keeps": each.keeps, "needs": list(each.needs), "reduces": each.reduces, "argument": each.argument or None,
            "source": each.source,
        }
        for each in PASSES.values()
    }  # fmt: skip
    text = table(
        "passes", ["pass", "reduces", "keeps", "needs", "behind a colon", "source"],
        [[each.name, each.reduces, each.keeps, ", ".join(each.needs), each.argument, each.source]
         for each in PASSES.values()],
    )  # fmt: skip
    line = f"auto: {AUTO}, with --budget-kbit {AUTO_KBIT}, without a budget {AUTO_EXACT}"
    return {"passes": rows, "auto": {"kbit": AUTO_KBIT, "other": AUTO, "none": AUTO_EXACT}}, [text, line], 0


def _marginal(circuit: Circuit, names: str) -> tuple[Circuit, list[int]]:
    """Sum out all variables but those that are named."""
    from pcedge.compress import marginal
    from pcedge.errors import UsageError

    chosen = []
    for name in names.split(","):
        if circuit.grid is not None:
            chosen.append(circuit.grid.variable(name.strip()))
        elif name.strip().isdecimal():
            chosen.append(int(name))
        else:
            raise UsageError(f"--marginal must name variables by their numbers, got {name.strip()!r}")
    return marginal(circuit, sorted(chosen)), sorted(chosen)


def _records(
    circuit: Circuit, data: str, chosen: list[int] | None, missing: int | None, header: bool | None
) -> tuple[Any, dict[str, Any]]:
    """Read train and validation records as symbols; of a marginal circuit their columns."""
    import numpy as np

    from pcedge.data import Splits, load_data

    reading = reading_of(circuit, missing=missing, header=header)
    read = load_data(data, reading)

    def symbols(split: Any) -> Any:
        if split is None or not len(split):
            return None
        records = np.asarray(to_symbols(circuit, split, missing))
        records = records.reshape(len(records), -1)
        return records if chosen is None else records[:, chosen]

    return Splits(symbols(read.train), symbols(read.valid)), said_header(data, reading)


def _protected(text: str, records: int) -> FloatArray:
    """Read LABELS.npy:LABEL=WEIGHT,… into a weight for every record."""
    import numpy as np

    from pcedge.compress.protect import record_weights
    from pcedge.data import load_array
    from pcedge.errors import UsageError

    path, colon, pairs = text.rpartition(":")
    factors: dict[int, float] = {}
    for pair in pairs.split(","):
        label, equals, weight = pair.partition("=")
        try:
            if int(label) in factors:
                raise UsageError(f"--protect must name a label once, {label} is named twice")
            factors[int(label)] = float(weight)
        except ValueError:
            colon = ""
        if not equals or not colon:
            raise UsageError(f"--protect must read LABELS.npy:LABEL=WEIGHT, as y.npy:8=4, got {text!r}")
    labels = np.asarray(load_array(path))
    if labels.shape == (records, 1):
        labels = labels[:, 0]
    if labels.shape != (records,):
        raise UsageError(
            f"the labels of {path} must be one for each of {records} train records, got shape {labels.shape}"
        )
    return record_weights(labels, factors)


def _result(before: Circuit, made: Compressed, value: float, said: list[str]) -> dict[str, Any]:
    """Give the result for machines."""
    budget = None
    if made.cost is not None:
        budget = {
            "unit": TARGETS[said[0]], "value": value, "before": made.cost[0], "after": made.cost[1],
            "kept": made.cost[1] <= value,
        }  # fmt: skip
    steps = [
        {
            "pass": step.name, "argument": step.argument, "keeps": step.keeps, "weights_before": step.weights[0],
            "weights_after": step.weights[1], "cost_before": step.cost[0], "cost_after": step.cost[1],
            "predicted_loss": _finite(step.predicted_bits), "bits_before": step.bits_before,
            "bits_after": _finite(step.bits_after), "bits_refitted": _finite(step.bits_refitted),
            "refit": step.refit, "seconds": step.seconds, "trace": [dict(row) for row in step.trace],
        }
        for step in made.steps
    ]  # fmt: skip
    return {
        "parameters_before": before.parameters, "parameters_after": made.circuit.parameters,
        "weights_before": made.weights[0], "weights_after": made.weights[1],
        "bits_per_variable_before": made.bits_before, "bits_per_variable_after": _finite(made.bits_after),
        "budget": budget, "records": {"train": made.records[0], "valid": made.records[1], "drawn": made.drawn},
        "variables": len(made.circuit.cardinalities), "passes": steps,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(out: Path, made: Compressed, result: dict[str, Any]) -> Any:
    """Tell people what was done."""
    rows: list[list[object]] = [
        [step.name if step.argument is None else f"{step.name}:{step.argument}", step.weights[0], step.weights[1],
         f"{step.bits_before:z.4f}", f"{step.bits_after:z.4f}", f"{step.bits_refitted:z.4f}" if step.refit else "",
         f"{step.seconds:.1f}"]
        for step in made.steps
    ]  # fmt: skip
    steps = table(
        f"{out}", ["pass", "weights before", "after", "bits before", "after", "refitted", "seconds"], rows
    )  # fmt: skip
    line = (
        f"{result['parameters_before']} parameters before, {result['parameters_after']} after; "
        f"{made.bits_before:z.4f} bits a variable of {made.records[1]} validation records before, "
        f"{made.bits_after:z.4f} after"
    )
    if made.cost is not None:
        unit = WORDS[result["budget"]["unit"]]
        line += f"; {made.cost[0]:,.6g} {unit} before, {made.cost[1]:,.6g} of {result['budget']['value']:,.6g} allowed"
    if made.drawn:
        line += "; records were drawn from the circuit, for there were no data"
    return [steps, line]
