"""The command that tells which variables make a record unlikely."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from pcedge.circuit import Circuit
from pcedge.cli.files import is_float_file, read_float, read_integer
from pcedge.cli.grids import integer_mark, said_missing
from pcedge.cli.inputs import (
    ARRAY,
    DATA,
    MODEL,
    Marker,
    engine_options,
    reading_of,
    reading_options,
    refuse_other_mark,
    said_header,
    said_tokens,
    to_symbols,
)
from pcedge.cli.output import Command, Result, must_come_with, options_given, progress, save_array, table
from pcedge.cli.scoring import column_names
from pcedge.data.value_grid import field_columns
from pcedge.errors import DataError, UsageError
from pcedge.export.onnx.shipped import is_shipped
from pcedge.integer import IntegerCircuit

if TYPE_CHECKING:
    from pcedge.evaluate.explaining import Explanation


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Take numbers of records and slices of them, as 0,5,7 or 3:9; : is all."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a tuple of numbers and slices."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        found = [re.fullmatch(r"([0-9]{1,18})|([0-9]{0,18}):([0-9]{0,18})", part) for part in parts]
        if not all(found):
            self.fail(f"it must be numbers of records such as 0,5,7 or 3:9, from 0, got {value!r}", param, ctx)
        return tuple(
            int(match[1]) if match[1] else slice(*(int(end) if end else None for end in match.group(2, 3)))
            for match in found if match is not None
        )  # fmt: skip


@click.command(cls=Command, example="pcedge explain m.onnx x.npy --top 3")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("--records", type=Numbers(), help="Explain these records, as 0,5,7 or 3:9; : is all.")
@click.option(
    "--top", type=click.IntRange(1), default=5, show_default=True, help="Explain so many records, those of most bits."
)
@click.option(
    "--most", type=click.IntRange(1), default=5, show_default=True,
    help="List so many variables of each record, those of most bits.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(["share", "given-others"]), default="share", show_default=True,
    help="Which bits order the variables that are listed.",
)  # fmt: skip
@click.option(
    "--chain-only",
    is_flag=True,
    help="Leave out the bits of each variable given all others, for which every record is scored once a variable.",
)
@click.option("--missing", type=Marker(), help="What marks a missing value, an integer or nan; it is summed out.")
@click.option(
    "--out", type=ARRAY, help="Write the shares of the records that are explained, float64: .npy, .csv or .tsv."
)
@engine_options
@reading_options
def explain(
    model: str, data: str, records: tuple[int | slice, ...] | None, top: int, most: int, by: str, chain_only: bool,
    missing: float | None, out: Path | None, engine_name: str, threads: int, dtype: str | None, shape: str | None,
    header: bool | None,
) -> Result:  # fmt: skip
    """Tell which variables make records unlikely: the bits of each, which sum to the record's -log2 p.

    A share is what a variable costs given those coded before it, by an integer circuit the width of its coding
    interval. digits is the integer circuit here, see pcedge zoo.
    """
    from pcedge.data import load_array
    from pcedge.data.predictor import Predictor
    from pcedge.evaluate.explaining import explain_records, explain_rows
    from pcedge.native import open_engine

    must_come_with("--records", records is not None, without=("top",))
    must_come_with("--chain-only", chain_only, without=("by",))
    circuit: Circuit | IntegerCircuit
    if not is_shipped(model) and is_float_file(model):
        circuit = read_float(model)
        if given := options_given("engine_name", "threads"):
            raise click.UsageError(f"--{given[0].split('_')[0]} must go with an integer circuit, {model} is none")
    else:
        circuit = read_integer(model)
    source = circuit if isinstance(circuit, Circuit) else open_engine(circuit, engine_name, threads)
    reading = reading_of(circuit, dtype, shape, missing, header, partial=True)
    refuse_other_mark(circuit, data, reading, missing)
    raw = load_array(data, reading)
    said = said_header(data, reading)
    if not len(raw):
        raise DataError(f"{data} must hold at least one record, it holds none")
    if isinstance(circuit.symbolizer, Predictor):
        if by != "share":
            raise UsageError(
                "--by given-others must go with a circuit of records, this one has a predictor stage: a number decides "
                "the classes of those after it"
            )
        x, count = raw, len(raw)
        found = explain_rows(source, raw, _numbers(records, count), top, missing)
    else:
        x = to_symbols(circuit, raw, integer_mark(missing))
        said, count = said | said_missing(circuit, x, missing), len(x)
        with progress("variables") as move:
            found = explain_records(
                source, x, _numbers(records, count), top, others=not chain_only, progress=move
            )  # fmt: skip
    if out is not None:
        save_array(out, found.shares)
    names = column_names(circuit, data, reading, found.shares.shape[1])
    result: dict[str, Any] = {"records": count, "variables": found.shares.shape[1]} | said
    result |= said_tokens(circuit, raw, missing)
    result |= {"columns": names, "coding_order": None if found.order is None else list(found.order)}
    if isinstance(circuit, IntegerCircuit):
        result |= {"scale_bits": circuit.scale_bits, "floor": circuit.floor}
    values = _values(circuit, x, found)
    result["explained"] = [_record(found, place, names, values, by, most) for place in range(len(found.records))]
    return result, _in_words(result, count), 0


def _numbers(records: tuple[int | slice, ...] | None, count: int) -> list[int] | None:
    """Give the numbers of records that an option names, each once, in its order; None where there is none.

    Raises:
        UsageError: one is none of them.
    """
    if records is None:
        return None
    numbers: dict[int, None] = {}
    for part in records:
        some = range(*part.indices(count)) if isinstance(part, slice) else [part]
        numbers |= dict.fromkeys(some)
    if not numbers:
        raise UsageError(f"--records must name some of the {count} records, it names none")
    return list(numbers)


def _values(circuit: Circuit | IntegerCircuit, x: NDArray[Any], found: Explanation) -> list[list[Any]] | None:
    """Give the values of the records that are explained, for machines; None of data that have other columns."""
    some = x[found.records]
    if circuit.grid is not None:
        some = circuit.grid.values_of(some)
    elif some.dtype.names is not None:
        some = field_columns(some)
    rows: list[list[Any]] = some.reshape(len(some), -1).tolist()
    if any(len(row) != found.shares.shape[1] for row in rows):
        return None
    return [[_plain(value) for value in row] for row in rows]


def _plain(value: Any) -> Any:
    """Give a value as JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _record(
    found: Explanation,
    place: int,
    names: list[str] | None,
    values: list[list[Any]] | None,
    by: str,
    most: int,
) -> dict[str, Any]:
    """Describe one record for machines; null stands for bits without end."""
    per_variable = {
        "shares": found.shares, "given_others": found.given_others, "widths": found.widths, "raw_bits": found.raw_bits,
    }  # fmt: skip
    arrays = {name: [_plain(number) for number in array[place].tolist()]
              for name, array in per_variable.items() if array is not None}  # fmt: skip
    gone = found.missing[place]
    bits = found.shares if by == "share" or found.given_others is None else found.given_others
    order = np.argsort(-bits[place], kind="stable")
    listed = []
    for variable in order[~gone[order]][:most].tolist():
        entry: dict[str, Any] = {"variable": variable}
        if names is not None:
            entry["name"] = names[variable]
        if values is not None:
            entry["value"] = values[place][variable]
        singular = {"shares": "share", "widths": "width"}
        listed.append(entry | {singular.get(name, name): array[variable] for name, array in arrays.items()})
    return {
        "record": int(found.records[place]), "bits": _plain(float(found.bits[place])),
        "likelihood_bits": _plain(float(found.likelihood_bits[place])), "top": listed,
        "missing": np.flatnonzero(gone).tolist(),
    } | arrays  # fmt: skip


def _in_words(result: dict[str, Any], count: int) -> list[Any]:
    """Make the table for people: the first variables of each record, and what the others sum to."""
    columns = ["record", "bits", "variable", "value", "share"]
    others = any("given_others" in record for record in result["explained"])
    rows: list[list[object]] = []
    for record in result["explained"]:
        head: list[object] = [record["record"], _bits(record["bits"])]
        for entry in record["top"]:
            value = entry.get("value", "")
            row = [*head, entry.get("name", entry["variable"]), "" if value is None else value, _bits(entry["share"])]
            rows.append([*row, _bits(entry["given_others"])] if others else row)
            head = ["", ""]
    some, variables = len(result["explained"]), result["variables"]
    title = f"{some} of {count} records, in bits, and of their {variables} variables those of most bits"
    return [table(title, columns + ["given others"] * others, rows)]


def _bits(bits: float | None) -> float | str:
    return "∞" if bits is None else bits
