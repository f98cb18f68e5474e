"""The command that compares an integer circuit with its float circuit beyond the average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pcedge.cli.files import read_float, read_integer
from pcedge.cli.inputs import (
    DATA,
    FILE,
    MODEL,
    OUT,
    bits_per_value,
    each_reading,
    reading_of,
    reading_options,
    said_header,
)
from pcedge.cli.measuring import tails_in_words, tails_of
from pcedge.cli.output import Command, Result, announce, counted, progress, table, whole_file
from pcedge.errors import UsageError

#: what the rows of a result are called in tables
NAMES = {
    "float": "float circuit", "likelihood": "integer likelihood", "intervals": "coding intervals", "file": "file",
}  # fmt: skip


@click.command(
    cls=Command, example="pcedge evaluate c.pcedge m.onnx --data x.npy --labels y.npy --ood z.npy --plot loss.png"
)
@click.argument("circuit", type=MODEL)
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help="Records: a data file, or digits (its test split).")
@click.option("--labels", type=FILE, help="A class a record: IDX, .npy or .csv of integers.")
@click.option("--ood", type=DATA, help="Out-of-distribution records, which are to be told from the data.")
@click.option("--records", type=click.IntRange(1), help="Take the first records only, of --data and of --ood.")
@click.option(
    "--queries", default=1000, show_default=True, type=click.IntRange(0), help="Marginal and as many conditional ones."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the queries.")
@click.option("--lanes", default=100, show_default=True, type=click.IntRange(1), help="S of the file that is counted.")
@click.option("--plot", type=OUT, help="Draw the loss to a .png, .svg or .pdf file (extra plot).")
@reading_options
def evaluate(
    circuit: str,
    model: str,
    data: str,
    labels: str | None,
    ood: str | None,
    records: int | None,
    queries: int,
    seed: int,
    lanes: int,
    plot: Path | None,
    dtype: str | None,
    shape: str | None,
    header: bool | None,
) -> Result:
    """Compare an integer circuit with its float circuit: worst records, classes, queries, out-of-distribution data."""
    from pcedge.data import Reading, load_array, load_labels
    from pcedge.engines import ReferenceEngine
    from pcedge.evaluate import evaluate as measure
    from pcedge.evaluate.evaluation import check_pair
    from pcedge.evaluate.plot import FORMATS, draw, need_matplotlib

    if plot is not None:
        if plot.suffix.lower() not in FORMATS:
            raise UsageError(f"a plot must end in {', '.join(FORMATS)}, got {plot.name!r}")
        if not plot.resolve().parent.is_dir():
            raise click.UsageError(f"the folder of {plot} must exist")
        need_matplotlib()
    floats, engine = read_float(circuit), ReferenceEngine(read_integer(model))
    check_pair(floats, engine)
    reading = reading_of(floats, dtype, shape, header=header)
    of_data, of_ood, of_labels = each_reading(reading, data, ood, labels)
    of_labels = Reading(header=of_labels.header)
    x = load_array(data, of_data)
    headers = said_header(data, of_data)
    classes = others = None
    if labels is not None:
        classes = load_labels(labels, of_labels)
        headers |= said_header(labels, of_labels, "labels_header")
    if ood is not None:
        others = load_array(ood, of_ood)
        headers |= said_header(ood, of_ood, "ood_header")
    # whole_file checks the rest of the plot's place before minutes of work, not after.
    with contextlib.nullcontext() if plot is None else whole_file(plot) as fresh:
        with _stages() as move:
            evaluation = measure(
                floats, engine, x,
                labels=classes, ood=others,
                records=records, queries=queries, seed=seed, lanes=lanes, progress=move,
            )  # fmt: skip
        if plot is not None and fresh is not None:
            names = [click.format_filename(name, shorten=True) for name in (model, circuit)]
            title = f"{names[0]} against {names[1]}, {evaluation.records} records"
            draw(evaluation, fresh, plot.suffix.lower(), title)
    result = evaluation.as_dict() | {"digest": engine.circuit.digest.hex()} | headers
    tails = tails_of(engine.circuit, floats)
    if tails is not None and not tails["possible_kept"]:
        result["tails"] = tails
    if engine.circuit.log_constant:
        result["log_constant"] = engine.circuit.log_constant
    result["file"] |= bits_per_value(engine.circuit, 8 * evaluation.file_bytes, x[: evaluation.rows])
    if one := bits_per_value(engine.circuit, evaluation.records * result["variables"], x[: evaluation.rows]):
        scale = one["bits_per_value"]
        result["bits_per_value"] = {
            name: None if bits is None or scale is None else bits * scale
            for name, bits in result["bits_per_variable"].items()
        }
    if plot is not None:
        result["plot"] = str(plot)
    return result, _tables(result, tails_in_words(tails)), 0


@contextlib.contextmanager
def _stages() -> Iterator[Any]:
    """Show one bar, and say what is being done when that changes."""
    stage = ""
    with progress("evaluating") as move:

        def report(what: str, done: int, total: int) -> None:
            nonlocal stage
            if what != stage:
                stage = what
                announce(f"measuring: {what}")
            move(done, total)

        yield report


def _tables(result: dict[str, Any], tails: str) -> list[Any]:
    blocks = [_lengths(result), _distribution(result)]
    blocks += [*_remarks(result), f"tails: {tails}"]
    if "classes" in result:
        blocks.append(_classes(result["classes"], _possible(result["records"], result["float_impossible"])))
    if "queries" in result:
        blocks.append(_queries(result["queries"]))
    if "ood" in result:
        blocks += _ood(result)
    if "plot" in result:
        blocks.append(f"plot in {result['plot']}")
    return blocks


def _lengths(result: dict[str, Any]) -> Any:
    file, records = result["file"], result["records"]
    names = NAMES | {"file": f"file, {counted(file['lanes'], 'lane')}"}
    if result["impossible"]:
        names["likelihood"] += f", of {records - result['impossible']} possible"
    if result["float_impossible"]:
        names["float"] += f", of {records - result['float_impossible']} possible"
    bits = result["bits_per_record"]
    # Means over different records are not subtracted: the likelihood's are compared on those that both call possible.
    over = {
        "float": 0.0, "likelihood": result["likelihood_loss"]["mean"], "intervals": result["loss"]["mean"],
        "file": None if result["float_impossible"] else bits["file"] - bits["float"],
    }  # fmt: skip
    rows: list[list[object]] = [
        [name, _cell(bits[key]), _cell(result["bits_per_variable"][key]), _cell(over[key])]
        for key, name in names.items()
    ]
    title = (
        f"{counted(records, 'record')} of {counted(result['variables'], 'variable')}; as a file of "
        f"{counted(file['lanes'], 'lane')}, which is not "
        f"written, {file['bytes']} bytes"
    )
    return table(title, ["code", "bits/record", "bits/variable", "over float"], rows)


def _distribution(result: dict[str, Any]) -> Any:
    loss = result["loss"]
    rows: list[list[object]] = [
        ["mean", _cell(loss["mean"])],
        ["standard deviation", _cell(loss["standard_deviation"])],
    ]
    for name, value in loss["quantiles"].items():
        rows.append([name if name in ("min", "max") else f"{name} %", _cell(value)])
    over = _possible(result["records"], result["float_impossible"])
    return table(f"loss: coding intervals less float{over}", ["over the records", "bits/record"], rows)


def _remarks(result: dict[str, Any]) -> list[str]:
    lines = []
    worst = result["worst"]
    if worst is not None:
        label = f", class {worst['label']}" if "label" in worst else ""
        lines.append(
            f"worst record: {worst['record']}{label}, {worst['float_bits']:z.4f} bits float, "
            f"{worst['interval_bits']:z.4f} in integers, loss {worst['loss']:z.4f}"
        )
    lines.append(f"records with a loss above 1 %: {result['above_1_percent']} of {result['records']}")
    lines.append(
        f"records that are impossible: {result['impossible']} to the integer likelihood, "
        f"{result['float_impossible']} to the float circuit"
    )
    if "log_constant" in result:
        lines.append(
            f"log constant: {result['log_constant']:z.6f} nats that importing the circuit took out are in none of "
            "these figures"
        )
    symbols = result["records"] * result["variables"]
    lines.append(f"symbols coded at the floor: {result['floor_symbols']} of {symbols}")
    return lines


def _possible(records: int, impossible: int) -> str:
    """Say which records a mean is over, where it is not over all."""
    return f", of {records - impossible} possible to the float circuit" if impossible else ""


def _classes(classes: list[dict[str, Any]], over: str) -> Any:
    rows: list[list[object]] = []
    for row in classes:
        loss = row["loss"]
        figures = [row["float_bits"], loss["mean"], loss["quantiles"]["99.9"], loss["quantiles"]["max"]]
        worst = "" if row["worst_record"] is None else row["worst_record"]
        rows.append([row["label"], row["records"], *map(_cell, figures), worst, row["impossible"]])
    columns = ["class", "records", "float", "mean", "99.9 %", "worst", "record", "zero p"]
    title = f"classes: mean float bits, then the loss{over}; zero p: impossible to the integers"
    return table(title, columns, rows)


def _queries(queries: dict[str, Any]) -> Any:
    rows: list[list[object]] = []
    for key, unit in (("marginal", "bits"), ("conditional", "p")):
        query = queries[key]
        errors = [_brief(query[name]) for name in ("mean_error", "p99.9_error", "max_error")]
        rows.append([f"{key}, {unit}", query["queries"], *errors, query["impossible"], query["undefined"]])
    columns = ["error of", "queries", "mean", "99.9 %", "max", "zero p", "undefined"]
    left = sum(queries[key][name] for key in ("marginal", "conditional") for name in ("impossible", "undefined"))
    over = ", and like undefined not in the errors" if left else ""
    title = f"random queries, seed {queries['seed']}; zero p: impossible to the integers alone{over}"
    return table(title, columns, rows)


def _ood(result: dict[str, Any]) -> list[Any]:
    ood = result["ood"]
    missed = {"float": "float_impossible", "likelihood": "impossible"}
    rows: list[list[object]] = []
    for key, area in ood["auroc"].items():
        name, impossible = NAMES[key], [one.get(missed.get(key, ""), 0) for one in (result, ood)]
        if any(impossible):
            name += f", bits of {result['records'] - impossible[0]} and {ood['records'] - impossible[1]} possible"
        # Areas near 1 differ in the last digits, as in the plot.
        bits = _cell(result["bits_per_record"][key]), _cell(ood["bits_per_record"][key])
        rows.append([name, *bits, f"{area:z.5f}"])
    columns = ["score", "data, bits", "others, bits", "AUROC"]
    return [
        table(f"{result['records']} records told from {ood['records']} out-of-distribution records", columns, rows),
        f"others that are impossible: {ood['impossible']} to the integer likelihood, {ood['float_impossible']} to the "
        "float circuit",
    ]


def _cell(value: float | None) -> object:
    return "" if value is None else value


def _brief(value: float | None) -> object:
    """Write a small error with three digits."""
    return "" if value is None else f"{value:z.3g}"
