"""The commands that complete records and classify them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit import MISSING, Circuit, log_likelihood
from pcedge.circuit import classify as classify_floats
from pcedge.circuit.inference import check_records, find_variable
from pcedge.cli.files import is_float_file, read_float, read_integer
from pcedge.cli.filling import write_filled
from pcedge.cli.grids import integer_mark, said_missing
from pcedge.cli.inputs import (
    ARRAY,
    DATA,
    MODEL,
    Marker,
    engine_options,
    reading_of,
    reading_options,
    said_header,
    to_symbols,
)
from pcedge.cli.output import Command, Result, counted, options_given, progress, save_array, save_table, table
from pcedge.data.forms import SUFFIXES
from pcedge.data.reading import Reading
from pcedge.errors import DataError, UsageError
from pcedge.integer import IntegerCircuit

#: classes whose confusion is shown to people
SHOWN = 16


@click.command("map", cls=Command, example="pcedge map m.onnx x.npy --missing -1 --out y.npy")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option(
    "--missing", type=Marker(), help="What marks a missing value beside empty cells, NA and NaN: an integer or nan."
)
@click.option(
    "--out", required=True, type=ARRAY, help="Write the data with nothing missing: .npy, .csv or .tsv; - is stdout."
)
@engine_options
@reading_options
def complete(
    model: str, data: str, missing: float | None, out: Path, engine_name: str, threads: int, dtype: str | None,
    shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Fill in missing values by the most probable ones, all of a record together.

    Of a float circuit or an integer one. The result says how many completions are proved to be the most probable.
    """
    from pcedge.circuit import most_probable
    from pcedge.engines import most_probable as most_probable_integers
    from pcedge.native import open_engine

    circuit: Circuit | IntegerCircuit = read_float(model) if is_float_file(model) else read_integer(model)
    if isinstance(circuit, Circuit) and (given := options_given("engine_name", "threads")):
        raise click.UsageError(f"--{given[0].split('_')[0]} must go with an integer circuit (.onnx), {model} is none")
    reading = reading_of(circuit, dtype, shape, missing, header, partial=True)
    raw, symbols = _records(circuit, data, reading, missing)
    header_entry = said_header(data, reading)
    gaps = symbols == MISSING
    result: dict[str, Any] = {
        "out": str(out), "records": len(symbols), "completed": int(gaps.any(axis=1).sum()), "filled": int(gaps.sum()),
    }  # fmt: skip
    if isinstance(circuit, Circuit):
        found = most_probable(circuit, symbols)
        records, exact, impossible = found.records, found.exact, 0
        result |= {"log_likelihood": _mean(found.log_likelihood), "log_bound": _mean(found.log_bound)}
    else:
        engine = open_engine(circuit, engine_name, threads)
        with progress("records") as move:
            told = most_probable_integers(engine.program, symbols, engine, move)
        records, exact, impossible = told.records, told.exact, int((told.likelihood[0] == 0).sum())
    result |= {
        "exact": bool(exact.all()), "exact_records": int(exact.sum()), "impossible": impossible,
        "integers": not isinstance(circuit, Circuit),
    } | header_entry  # fmt: skip
    write_filled(out, data, reading, raw, records, gaps)
    text = f"{out}: {counted(result['filled'], 'value')} of {counted(result['completed'], 'record')} filled in; "
    if result["exact"]:
        text += "no completion is more probable"
    else:
        open_ones = len(exact) - int(exact.sum())
        text += f"of {open_ones} another completion may be more probable: the circuit is not deterministic"
    if impossible:
        text += f"; {impossible} are impossible"
    return result, text, 0


@click.command(cls=Command, example="pcedge classify m.onnx x.npy --variable class --float c.pcedge")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option(
    "--variable",
    default="class",
    show_default=True,
    help="The variable that is the class: a name of the grid, or a number.",
)
@click.option("--float", "floats", type=MODEL, help="The float circuit, to compare with: accuracy before quantization.")
@click.option(
    "--missing", type=Marker(), help="What marks a missing value beside empty cells, NA and NaN: an integer or nan."
)
@click.option("--out", type=ARRAY, help="Write the class of every record: .npy, .csv or .tsv.")
@click.option(
    "--probabilities",
    type=ARRAY,
    help="Write how probable each class is, in parts of 2^-16, float64 (records, classes).",
)
@engine_options
@reading_options
def classify(
    model: str, data: str, variable: str, floats: str | None, missing: float | None, out: Path | None,
    probabilities: Path | None, engine_name: str, threads: int, dtype: str | None, shape: str | None,
    header: bool | None,
) -> Result:  # fmt: skip
    """Classify records by the integer likelihood of each class; no float takes part.

    The data may have the class or not. A float circuit is quantized by the defaults, and compared with.
    """
    from pcedge.engines.queries import chosen, likelihoods
    from pcedge.native import open_engine
    from pcedge.ranking import SHARE_BITS, shares

    before, circuit = _pair(model, floats)
    place = find_variable(circuit, variable)
    reading = reading_of(circuit, dtype, shape, missing, header, partial=True)
    _, symbols = _records(circuit, data, reading, missing, place)
    header_entry = said_header(data, reading) | said_missing(circuit, np.delete(symbols, place, axis=1), missing, place)
    engine = open_engine(circuit, engine_name, threads)
    with progress("classes") as move:
        weighed = likelihoods(engine, symbols, place, move)
    given, known = chosen(engine, weighed), symbols[:, place] != MISSING
    truth = symbols[known, place]
    values = _values(circuit, place)
    result: dict[str, Any] = {
        "records": len(symbols), "variable": variable if circuit.grid is None else circuit.grid.names[place],
        "labelled": int(known.sum()), "accuracy": _share(given[known] == truth), "float_accuracy": None,
        "agreement": None, "impossible": int((given == MISSING).sum()), "classes": values.tolist(), "confusion": None,
    } | header_entry  # fmt: skip
    if before is not None:
        other = _float_classes(before, symbols, place)
        result |= {"float_accuracy": _share(other[known] == truth), "agreement": _share(other == given)}
    if known.any():
        # Records that are impossible with every class are in no column.
        sure = given[known] != MISSING
        confusion = np.zeros((len(values), len(values)), dtype=np.int64)
        np.add.at(confusion, (truth[sure], given[known][sure]), 1)
        result["confusion"] = confusion.tolist()
    if out is not None:
        labels = _labels(values, given)
        if labels.dtype.kind == "U" and (form := SUFFIXES.get(out.suffix.lower())) in ("csv", "tsv"):
            save_table(out, form, labels[:, None].tolist())
        else:
            save_array(out, labels)
        result["out"] = str(out)
    if probabilities is not None:
        save_array(probabilities, shares(*weighed).T / (1 << SHARE_BITS))
        result["probabilities"] = str(probabilities)
    return result, _shown(result), 0


def _pair(model: str, floats: str | None) -> tuple[Circuit | None, IntegerCircuit]:
    """Open the float circuit, if there is one, and the integer one.

    Raises:
        UsageError: both files are float circuits, or the circuits are not over the same symbols.
    """
    from pcedge.engines import ReferenceEngine
    from pcedge.evaluate.evaluation import check_pair
    from pcedge.quantize import QuantizationConfig, quantize

    if is_float_file(model):
        if floats is not None:
            raise UsageError(f"--float must go with an integer circuit, {model} is a float one")
        before = read_float(model)
        return before, quantize(before, QuantizationConfig.of(before))
    circuit = read_integer(model)
    if floats is None:
        return None, circuit
    before = read_float(floats)
    check_pair(before, ReferenceEngine(circuit))
    return before, circuit


def _records(
    circuit: Circuit | IntegerCircuit, data: str, reading: Reading, missing: float | None, hidden: int | None = None
) -> tuple[NDArray[Any], IntArray]:
    """Read data: as they were read, and as symbols, (N, variables), -1 where missing.

    Args:
        circuit: the circuit.
        data: the file.
        reading: how it is read, with values that may be missing.
        missing: the mark of a missing value.
        hidden: a variable that the data need not have.

    Raises:
        UsageError: the circuit has a symbolizer.
        DataError: the data do not fit, or there are none.
    """
    from pcedge.data import load_array

    if circuit.symbolizer is not None:
        raise UsageError("queries must be of a circuit without a symbolizer, whose variables are the data's own")
    raw = load_array(data, reading)
    if not len(raw):
        raise DataError(f"{data} must hold at least one record, it holds none")
    rows = raw.reshape(len(raw), -1)
    absent = circuit.grid is None and hidden is not None and rows.shape[1] == len(circuit.cardinalities) - 1
    if absent:
        rows = np.insert(rows, hidden, 0, axis=1)  # type: ignore[arg-type]
    symbols = check_records(to_symbols(circuit, rows, integer_mark(missing)), circuit.cardinalities, allow_missing=True)
    if absent:
        symbols[:, hidden] = MISSING
    return raw, symbols


def _float_classes(circuit: Circuit, symbols: IntArray, place: int) -> IntArray:
    """Give the float circuit's classes; `MISSING` of records that are impossible to it with every class."""
    asked = symbols.copy()
    asked[:, place] = MISSING
    possible = np.isfinite(log_likelihood(circuit, asked))
    classes = np.full(len(symbols), MISSING, dtype=np.int64)
    if possible.any():
        classes[possible] = classify_floats(circuit, asked[possible], place)
    return classes


def _values(circuit: IntegerCircuit, place: int) -> NDArray[Any]:
    """Give what the symbols of a variable stand for."""
    return np.arange(circuit.cardinalities[place]) if circuit.grid is None else circuit.grid.axes[place].values


def _labels(values: NDArray[Any], given: IntArray) -> NDArray[Any]:
    """Give the class of every record by its value; of an impossible one an empty text, or NaN."""
    if values.dtype.kind not in "iuf":
        return np.where(given == MISSING, "", values.astype(str)[np.maximum(given, 0)])
    labels = values[np.maximum(given, 0)]
    return np.where(given == MISSING, np.nan, labels) if (given == MISSING).any() else labels


def _share(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if right.size else None


def _mean(logs: NDArray[np.float64]) -> float | None:
    return float(logs.mean()) if logs.size else None


def _shown(result: dict[str, Any]) -> list[Any]:
    """Write a classification for people."""
    lines = [f"{counted(result['records'], 'record')}, variable {result['variable']}, {len(result['classes'])} classes"]
    if result["accuracy"] is not None:
        lines[0] += f": accuracy {result['accuracy']:.4f} in integers"
        if result["float_accuracy"] is not None:
            lines[0] += f", {result['float_accuracy']:.4f} float"
    if result["agreement"] is not None:
        lines.append(f"agreement of integers and floats: {result['agreement']:.4f}")
    if result["impossible"]:
        lines.append(f"{result['impossible']} records are impossible with every class")
    if out := result.get("out"):
        lines.append(f"classes in {out}")
    if result["confusion"] is None or len(result["classes"]) > SHOWN:
        return lines
    names = [str(name) for name in result["classes"]]
    rows: list[list[object]] = [[name, *row] for name, row in zip(names, result["confusion"], strict=True)]
    return [*lines, table("classes of the data, and those given", ["class", *names], rows)]
