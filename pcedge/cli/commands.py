"""The commands, each giving (result for machines, text for people, exit status)."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click
import numpy as np

from pcedge.cli.completing import rungs
from pcedge.cli.compressing import flows_of
from pcedge.cli.files import (
    describe_archive,
    describe_stream,
    is_float_file,
    read_float,
    read_integer,
    segments_in_words,
)
from pcedge.cli.grids import grid_in_words, integer_mark, said_missing
from pcedge.cli.inputs import (
    ARRAY,
    DATA,
    MODEL,
    Marker,
    ModelPath,
    bits_per_value,
    engine_options,
    header_option,
    reading_of,
    reading_options,
    refuse_other_mark,
    said_header,
    said_tokens,
    to_records,
    to_symbols,
)
from pcedge.cli.measuring import layers_in_words, parts, tails_in_words, tails_of
from pcedge.cli.output import (
    Command,
    Result,
    announce,
    in_words,
    mcu_line,
    memory_in_words,
    must_come_with,
    options_given,
    progress,
    save_array,
    table,
    warn,
)
from pcedge.codec.packets import damaged_in_words
from pcedge.data.columns import Columns
from pcedge.errors import DataError


@click.command(cls=Command, example="pcedge doctor")
def doctor() -> Result:
    """Show which tools were found, where, what overrides each, and what each is needed for."""
    from pcedge.toolchain.tools import survey

    tools = survey()
    # A path is as long as it is: it stands below.
    paths = {t.name: t.found for t in tools if t.found and os.sep in t.found}
    rows: list[list[object]] = [
        [t.name, "below" if t.name in paths else t.found or "missing", t.needed_for, t.override] for t in tools
    ]
    missing = [t.name for t in tools if not t.found and t.required]
    result = {"tools": [t.as_dict() for t in tools], "missing": missing}
    lines = [f"{name}: {path}" for name, path in paths.items()]
    return result, [table("tools", ["tool", "found", "needed for", "override"], rows), *lines], 3 if missing else 0


@click.command(cls=Command, example="pcedge info m.onnx")
@click.argument("model", type=ModelPath(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--against",
    type=MODEL,
    help="The float circuit of an integer one: computes bounds on extra bits, for a file without.",
)
@click.option("--data", type=DATA, help="Of a float circuit: train records whose flows say how prunable it is.")
@click.option("--missing", type=int, help="The value of --data that marks a missing symbol; it is summed out.")
@header_option
def info(model: str, against: str | None, data: str | None, missing: int | None, header: bool | None) -> Result:
    """Describe a float or integer circuit, a compressed stream, or an archive; - is stdin.

    All checksums of a stream are computed. digits is the float circuit here, see pcedge zoo.
    """
    from pcedge.circuit import Circuit, InputLayer

    stream = describe_stream(model) or describe_archive(model)
    words: dict[str, str] = {}
    if against is not None and (stream or is_float_file(model)):
        raise click.UsageError(f"--against must go with an integer circuit (.onnx), {model} is none")
    must_come_with("--data", data is not None, "missing", "header")
    if data is not None and (stream or not is_float_file(model)):
        raise click.UsageError(f"--data must go with a float circuit, {model} is none")
    if stream:
        result: dict[str, Any] = stream
        if "segment_list" in stream:
            words["segment_list"] = segments_in_words(stream["segment_list"])
        if result["dtype"].startswith("|V"):
            words["dtype"] = f"records of {result['dtype'][2:]} bytes, whose fields the circuit's columns give"
    elif is_float_file(model):
        circuit: Circuit = read_float(model)
        kinds = [layer.shape.kind for layer in circuit.layers]
        result = {
            "kind": "float circuit",
            "variables": len(circuit.cardinalities),
            "symbols": max(circuit.cardinalities),
            "layers": {kind: kinds.count(kind) for kind in ("input", "product", "sum")},
            "parameters": circuit.parameters,
            "leaves": sorted({layer.kind for layer in circuit.layers if isinstance(layer, InputLayer)}),
            "structured": _structured(circuit),
        }
        result |= _symbolizer(circuit) | _grid(circuit)
        if data is not None:
            used, more = flows_of(circuit, data, missing, header)
            result, words = result | used, words | more
    else:
        from pcedge.cli.bounding import bounds_of
        from pcedge.export.program.lowering import lower

        integers = read_integer(model)
        kinds = [shape.kind for shape in integers.shapes]
        result = {
            "kind": "integer circuit",
            "variables": len(integers.order),
            "symbols": max(integers.cardinalities),
            "layers": {kind: kinds.count(kind) for kind in ("input", "product", "sum")},
            "digest": integers.digest.hex(),
            "structured": integers.structured,
            "coding": ["numpy", "ort", "csim"] if integers.structured else ["numpy"],
            "widths": integers.widths.as_dict(),
            "signals": integers.widths.signals(),
        }
        if integers.structured:
            program = lower(integers)
            result["steps"] = {"likelihood": len(program.likelihood.steps), "code": len(program.code.steps)}
            result["state_words"] = program.state_words
            result["memory_bits"] = program.memory_bits()
        result |= parts(integers)
        result["tails"] = tails_of(integers)
        if integers.tails:
            result["likelihood_digest"] = integers.likelihood_digest.hex()
        if integers.log_constant:
            result["log_constant"] = integers.log_constant
        bounds, words = bounds_of(model, integers, against)
        result |= bounds
        words["layer_weight_bits"] = f"sum layers: {layers_in_words(result['layer_weight_bits'])}"
        words["leaf_tables"] = f"{result['leaf_tables']} different"
        words["tails"] = tails_in_words(result["tails"])
        if "memory_bits" in result:
            words["memory_bits"] = memory_in_words(result["memory_bits"])
        result |= _symbolizer(integers) | _grid(integers)
    if "grid" in result:
        words["grid"] = grid_in_words(circuit.grid if is_float_file(model) else integers.grid)  # type: ignore[arg-type]
    if "damaged_packets" in result:
        numbers = result["damaged_packets"]
        words["damaged_packets"] = damaged_in_words(numbers, result["packets"]) if numbers else "none"
    texts = {name: words.get(name) or in_words(value) for name, value in result.items()}
    text = "\n".join(f"{name.replace('_', ' ')}: {text}" for name, text in texts.items())
    if damaged := result.get("damaged_packets"):
        warn(f"{words['damaged_packets']}: another checksum than that of its bytes, or an impossible place")
    return result, text, 1 if damaged else 0


@click.command(cls=Command, example="pcedge verify m.onnx --data x.npy --rungs ort,csim")
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help="Records: a data file, or digits (its test split).")
@click.option(
    "--rungs",
    default="ort,csim",
    show_default=True,
    shell_complete=rungs,
    help="Rungs below numpy: ort, csim, engine, rtl, netlist, unrolled, predictor, native, mcu; by default predictor "
    "too where the circuit has one.",
)
@click.option("--records", type=click.IntRange(1), help="Compare the first records only.")
@click.option(
    "--ort-seconds",
    type=click.FloatRange(0),
    default=3600,
    show_default=True,
    help="The time that the rung ort may take; 0 sets no limit.",
)
@reading_options
def verify(
    model: str, data: str, rungs: str, records: int | None, ort_seconds: float, dtype: str | None, shape: str | None,
    header: bool | None,
) -> Result:  # fmt: skip
    """Compare onnxruntime and the HLS kernels with the numpy reference, bit for bit; exit 1 on any mismatch.

    A symbol of -1 is missing. Streams are compared on the complete records only, those without a missing symbol.
    """
    from pcedge.data import load_array
    from pcedge.export.project.prediction import golden_rows, stage_of
    from pcedge.verify import verify as climb

    circuit = read_integer(model)
    names = [name.strip() for name in rungs.split(",") if name.strip()]
    if not names:
        raise click.UsageError("--rungs must name at least one rung")
    reading = reading_of(circuit, dtype, shape, header=header)
    values = load_array(data, reading)
    predictor = stage_of(circuit)
    if predictor is not None:
        values = values[: records and golden_rows(predictor, records)]
        names += [] if options_given("rungs") else ["predictor"]
    x = to_records(circuit, values)[:records]
    header_entry = said_header(data, reading)
    report = climb(
        circuit, x, names, announce=announce, bars=progress, ort_seconds=ort_seconds or None,
        rows=None if predictor is None else values,
    )  # fmt: skip
    complete = int((np.reshape(x, (len(x), -1)) != -1).all(axis=1).sum())
    rows: list[list[object]] = [[c.rung, c.output, c.vectors, c.mismatches] for c in report.comparisons]
    text: list[object] = [table("equality with the numpy reference", ["rung", "output", "vectors", "mismatches"], rows)]
    text += [f"{c.rung}, {c.output}: first mismatch: {c.first}" for c in report.comparisons if c.first]
    text += [f"{rung}: skipped: {reason}" for rung, reason in report.skipped]
    text += [
        table(f"cells of {family} that all jobs went through", ["cell", "number"], [[c, n] for c, n in counts.items()])
        for family, counts in report.cells.items()
    ]
    text += [mcu_line(core, figures) for core, figures in report.mcu.items()]
    counted = {"records": len(x), "complete_records": complete} | header_entry
    if complete < len(x):
        text.append(
            f"streams: compared on the {complete} complete records of {len(x)}, the others have missing symbols"
        )
    return report.as_dict() | counted, text, 1 if report.mismatches else 0


@click.command(cls=Command, example="pcedge loglik m.onnx x.npy --missing -1")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("--missing", type=Marker(), help="What marks a missing value, an integer or nan; it is summed out.")
@click.option("--out", type=ARRAY, help="Write every record's log-likelihood in nats, float64: .npy, .csv or .tsv.")
@engine_options
@reading_options
def loglik(
    model: str, data: str, missing: float | None, out: Path | None, engine_name: str, threads: int, dtype: str | None,
    shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Compute the mean log-likelihood in nats and in bits per variable.

    digits is the float circuit here, see pcedge zoo.

    That of an imported circuit is the one of its file as it was written: the constant of its import is added. That of
    an integer circuit is the one of its integers, which are normalised: the constant is told, and not added.
    """
    from pcedge.arithmetic import log_of
    from pcedge.circuit import Circuit, log_likelihood
    from pcedge.circuit.inference import check_records
    from pcedge.data import load_array
    from pcedge.data.predictor import Predictor
    from pcedge.evaluate.numbers import gaps_of, row_log_likelihood
    from pcedge.native import open_engine

    circuit = read_float(model) if is_float_file(model) else read_integer(model)
    if isinstance(circuit, Circuit) and (given := options_given("engine_name", "threads")):
        raise click.UsageError(f"--{given[0].split('_')[0]} must go with an integer circuit (.onnx), {model} is none")
    engine = None if isinstance(circuit, Circuit) else open_engine(circuit, engine_name, threads)
    reading = reading_of(circuit, dtype, shape, missing, header, partial=True)
    refuse_other_mark(circuit, data, reading, missing)
    raw = load_array(data, reading)
    header_entry = said_header(data, reading)
    if not len(raw):
        raise DataError(f"{data} must hold at least one record, it holds none")
    stage = circuit.symbolizer if isinstance(circuit.symbolizer, Predictor) else None
    x = raw if stage is not None else to_symbols(circuit, raw, integer_mark(missing))
    unseen = said_missing(circuit, x, missing).get("missing_symbols", 0)
    partial = missing is not None or bool(unseen)
    if stage is not None:
        logs, constant = row_log_likelihood(circuit, raw, missing, engine), 0.0
        variables = stage.columns
    elif isinstance(circuit, Circuit):
        logs = log_likelihood(circuit, check_records(x, circuit.cardinalities, allow_missing=partial))
        variables, constant = len(circuit.cardinalities), circuit.log_constant
        logs = logs + constant
    else:
        assert engine is not None
        constant = circuit.log_constant
        logs = log_of(*engine.likelihood(engine.check(x, allow_missing=partial)))
        variables = len(engine.circuit.order)
    if out is not None:
        save_array(out, logs)
    mean = float(logs.mean())
    impossible = int(np.isneginf(logs).sum())
    finite = math.isfinite(mean)
    result: dict[str, Any] = {
        "records": len(logs),
        "mean_nats": mean if finite else None,
        "bits_per_variable": -mean / math.log(2) / variables if finite else None,
        "impossible": impossible,
    } | header_entry
    if stage is not None and missing is not None:
        unseen = int(gaps_of(stage, x, missing).sum())
    if unseen or missing is not None:
        result["missing_symbols"] = unseen
    result |= said_tokens(circuit, raw, missing)
    possible = logs[np.isfinite(logs)]
    if impossible:
        result["mean_nats_of_possible"] = float(possible.mean()) if len(possible) else None
    result["log_constant_added"] = isinstance(circuit, Circuit)
    if constant:
        result["log_constant"] = constant
    told = _constant(constant, isinstance(circuit, Circuit))
    result |= bits_per_value(circuit, -mean / math.log(2) * len(logs) if finite else None, raw)
    if not finite:
        text = f"mean: -inf nats ({impossible} of {len(logs)} records are impossible)"
        if len(possible):
            bits = -possible.mean() / math.log(2) / variables
            text += f"; of the {len(possible)} others: {possible.mean():z.6f} nats, {bits:z.6f} bits a variable"
        return result, text + told + _unseen(unseen, len(x) * variables), 0
    key = "bits_per_value" if circuit.symbolizer else "bits_per_variable"
    text = f"mean: {mean:z.6f} nats, {result[key]:z.6f} bits a {key[9:]}, {len(logs)} records"
    return result, text + told + _unseen(unseen, len(x) * variables), 0


def _constant(constant: float, added: bool) -> str:
    """Say what the constant of an import has to do with a log-likelihood; one that is rounding is not worth a word."""
    if abs(constant) <= 1e-9:
        return ""
    if added:
        return f", with {constant:z.6f} nats that importing the circuit took out"
    return f", without {constant:z.6f} nats that importing the circuit took out: that of the float circuit has them"


def _unseen(missing: int, count: int) -> str:
    return f"; {missing} of {count} symbols are missing, and count among the variables" if missing else ""


def _symbolizer(circuit: Any) -> dict[str, Any]:
    from pcedge.data.predictor import Predictor
    from pcedge.data.specification import specification

    steps = circuit.symbolizer
    if steps is None:
        return {}
    if isinstance(steps, Predictor):
        return {
            "predictor": {
                "dtype": steps.dtype, "shape": list(steps.shape), "neighbours": len(steps.neighbours),
                "groups": len(steps.groups), "adaptive": steps.adaptation is not None, "classes": len(steps.classes),
            } | _columns(steps.source)
        }  # fmt: skip
    return {"symbolizer": {"dtype": steps.dtype, "shape": list(steps.shape), "steps": specification(steps)}}


def _grid(circuit: Any) -> dict[str, Any]:
    """Give what the symbols of every variable stand for."""
    if circuit.grid is None:
        return {}
    return {"grid": [axis.as_dict() | {"symbols": axis.symbols} for axis in circuit.grid.axes]}


def _columns(source: Columns | None) -> dict[str, Any]:
    if source is None:
        return {}
    mark = {} if source.mark is None else {"missing": str(source.mark) if math.isnan(source.mark) else source.mark}
    return {"columns": [str(column) for column in source.columns]} | mark


def _structured(circuit: Any) -> bool:
    from pcedge.circuit.structure import region_tree
    from pcedge.errors import NotStructuredError

    try:
        region_tree(circuit.shapes)
    except NotStructuredError:
        return False
    return True
