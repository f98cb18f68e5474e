"""Options and helpers of all commands that take data."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.shell_completion import CompletionItem

from pcedge.circuit import Circuit, log_likelihood
from pcedge.circuit.inference import check_records
from pcedge.cli.completing import begun
from pcedge.cli.grids import placed_grid, variables_option
from pcedge.cli.output import ARRAYS, warn
from pcedge.cli.streams import say
from pcedge.codec.checking import SAMPLE_SECONDS, VERIFY
from pcedge.data import Reading, is_table, table_head
from pcedge.data.forms import SUFFIXES
from pcedge.data.maps import reading_for, symbols_of
from pcedge.data.predictor import Predictor
from pcedge.data.readers import KNOWN, notes_of, split_name
from pcedge.data.widths import wider_numbers
from pcedge.errors import DataError, UsageError
from pcedge.export import zoo
from pcedge.export.onnx.shipped import is_shipped
from pcedge.integer import IntegerCircuit
from pcedge.native.choice import ENGINES

#: what a data argument may be, for help texts
ACCEPTED = (
    "digits, or .npy, .npz, IDX, .csv, .wav, .flac, .mat, .h5, .nc, .parquet, .arff, .las, .laz, .edf, WFDB, .fits, "
    ".tif, a folder of images or recordings, or raw binary (--dtype, --shape); FILE::NAME takes one array of several"
)

#: names of a header that are shown to people
SHOWN = 6

#: what to do about numbers that are no symbols
AUTO = "pcedge train --symbolizer auto takes signed and wide numbers"

#: symbols up to here are those of small alphabets: -1 among them is a mark, not a number with a sign
SMALL = 255

#: what stands for a value that a table or floats do not have, where nobody says by what: no symbol is near it
UNSEEN = -(2**52)

#: far above any alphabet, and safe in every integer type that follows
MAX_SYMBOL = 2**31 - 1


class PipedPath(click.Path):
    """Take a file; - is stdin where it must exist, else stdout."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give - the name that it has as a file."""
        if self.allow_dash and os.fspath(value) == "-":
            value = "/dev/stdin" if self.exists else "/dev/stdout"
        return super().convert(value, param, ctx)


class DataPath(PipedPath):
    """Take a file or folder, an array in a file as FILE::NAME, or the name of the shipped data."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let the names through."""
        if value == "digits":
            return value
        path, name = split_name(value)
        if name is not None:
            super().convert(str(path), param, ctx)
            return value
        return super().convert(value, param, ctx)


class ArrayPath(PipedPath):
    """Take a file that an array of numbers is written to, in the form that its suffix says; - is stdout."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse suffixes of what cannot be written."""
        path = super().convert(value, param, ctx)
        if (suffix := Path(path).suffix.lower()) in KNOWN and SUFFIXES.get(suffix) not in ARRAYS:
            self.fail(f"it must end in .npy, .csv, .tsv or in what says nothing, got {Path(path).name}", param, ctx)
        return path


class Marker(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Take what marks a missing value: an integer, or nan."""

    name = "integer or nan"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give an integer or NaN."""
        if isinstance(value, int | float):
            return value
        if str(value).lower() == "nan":
            return math.nan
        return click.INT.convert(value, param, ctx)


class ModelPath(PipedPath):
    """Take a file, or the name or digest of a shipped circuit; - is stdin where it may be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let names and digests through."""
        try:
            if value in zoo() or is_shipped(value):
                return value
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the names and files."""
        return begun(zoo(), incomplete)


DATA = DataPath(exists=True, allow_dash=True)
MODEL = ModelPath(exists=True, dir_okay=False)
FILE = click.Path(exists=True, dir_okay=False)
OUT = click.Path(dir_okay=False, path_type=Path)
ARRAY = ArrayPath(dir_okay=False, path_type=Path, allow_dash=True)


class Sizes(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Take whole numbers above 0 with x between them, such as 28x28."""

    name = "sizes"

    def __init__(self, count: int | None = None) -> None:
        """Say how many numbers there must be; None takes any."""
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a tuple."""
        if isinstance(value, tuple):
            return value
        sizes = str(value).lower().split("x")
        right = all(size.isdecimal() and int(size) for size in sizes)
        if not right or self.count not in (None, len(sizes)):
            form = "4x4" if self.count == 2 else "28x28"
            self.fail(f"it must be sizes with x between them such as {form}, got {value!r}", param, ctx)
        return tuple(int(size) for size in sizes)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a data file does not say itself."""
    for option in (
        variables_option,
        click.option("--shape", help="Shape of a record of raw binary, as 64x2.  [default: 1]"),
        click.option("--dtype", help="Type of raw binary or of a table's numbers, as int16, <i2 or >u4."),
        header_option,
    ):
        command = option(command)
    return command


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say who does the work."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(1), default=1, show_default=True,
            help="Threads of the native engine that share the lanes.",
        ),
        click.option(
            "--engine", "engine_name", type=click.Choice(ENGINES), default="auto", show_default=True,
            help="Who computes: native, numpy, or the first of them that is there. The result is the same.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def verify_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how much of what is written is decoded and compared."""
    for option in (
        click.option("--no-verify", "check", flag_value="none", help="The same as --verify none."),
        click.option(
            "--verify", "check", type=click.Choice(VERIFY),
            help="Decode the stream and compare it with the data before it takes its place: all of it; the first and "
            f"the last segment for up to {SAMPLE_SECONDS:g} seconds; or nothing.  [default: all, with numpy sample]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


#: the option of every command that reads tables
header_option = click.option(
    "--header/--no-header",
    default=None,
    help="Whether the first line of a table is a header.  [default: it is one if it holds names and no number]",
)


def said_header(source: str, reading: Reading, key: str = "header") -> dict[str, Any]:
    """Say on stderr what was taken as the header of a table; give it for a result, and nothing for what is no table.

    Of a folder of recordings it says what was made of them.
    """
    for note in notes_of(source):
        say(note)
    if not is_table(source, reading):
        return {}
    head = table_head(source, reading)
    if head is None or head.names is None:
        if head is not None and head.counted and reading.header is None:
            warn(
                f"{source}: line {head.first.line} is taken as a record, though it counts the columns as a header may; "
                "--header passes over it"
            )
        return {key: None}
    shown = ", ".join(repr(name) for name in head.names[:SHOWN])
    more = f", … ({len(head.names)} columns)" if len(head.names) > SHOWN else ""
    say(f"{source}: line {head.first.line} is taken as the header: {shown}{more}")
    return {key: list(head.names)}


def said_bytes(source: str, array: Any) -> None:
    """Warn of bytes that look like those of wider numbers, as which a circuit would learn nothing of their order."""
    found = wider_numbers(array)
    if found is None:
        return
    if found.endswith("bytes"):
        advice = f"records of {found}; --columns NAME:TYPE,… reads raw binary by its fields, .view(dtype) an array"
    else:
        advice = f"{found} numbers; --dtype {found} reads raw binary so, .view({found.split()[0]!r}) an array"
    warn(f"{source}: the bytes look like those of {advice}")


def each_reading(reading: Reading, *sources: str | None) -> list[Reading]:
    """Give the reading of each of a command's sources: a header is for those that are tables.

    Raises:
        UsageError: none of them is a table, and the reading says whether there is a header.
    """
    tables = [source is not None and is_table(source, reading) for source in sources]
    if reading.header is not None and not any(tables):
        raise UsageError("--header and --no-header must go with a table, none of the data is one")
    return [reading if table else replace(reading, header=None) for table in tables]


def to_records(circuit: Circuit | IntegerCircuit, x: Any, missing: int | None = None) -> Any:
    """Make records of symbols of data: by the circuit's symbolizer, if it has one.

    Raises:
        DataError: the data do not fit.
        UsageError: missing symbols are marked, and the circuit has a symbolizer.
    """
    if circuit.symbolizer is None:
        return x
    refuse_missing(missing)
    return symbols_of(circuit.symbolizer, x)


def to_symbols(circuit: Circuit | IntegerCircuit, x: Any, missing: int | None) -> Any:
    """Make records of symbols as `to_records` does; without a symbolizer write missing symbols as -1."""
    if circuit.grid is not None:
        return x
    if circuit.symbolizer is not None:
        return to_records(circuit, x, missing)
    marked = mark_missing(x, missing)
    if missing is None and not (marked == -1).any():
        # Where nothing marks a missing symbol, no message may call -1 one.
        check_records(marked, circuit.cardinalities, allow_missing=False)
    return marked


def mean_bits(circuit: Circuit, records: Any) -> float:
    """Compute the mean bits a variable."""
    return float(-log_likelihood(circuit, records).mean() / math.log(2) / len(circuit.cardinalities))


def bits_per_value(circuit: Circuit | IntegerCircuit, bits: float | None, x: Any) -> dict[str, float | None]:
    """Give the bits for each value of the data, where these are not the circuit's variables."""
    if circuit.symbolizer is None:
        return {}
    of = circuit.symbolizer
    size = of.records(len(x)) if isinstance(of, Predictor) else x.size
    return {"bits_per_value": None if bits is None or not size else bits / size}


def reading_of(
    circuit: Circuit | IntegerCircuit,
    dtype: str | None = None,
    shape: str | None = None,
    missing: float | None = None,
    header: bool | None = None,
    partial: bool = False,
) -> Reading:
    """Say what a file does not say itself: the options, and what the circuit's columns or its grid know.

    Args:
        circuit: the circuit that the data are for.
        dtype: the option of that name, as the next three are.
        shape: see there.
        missing: see there.
        header: see there.
        partial: whether values may be missing; without a symbolizer then also where nothing marks them but an empty
            cell, NA, or NaN.

    Raises:
        UsageError: as `Reading`; columns are told for a circuit without a grid.
    """
    grid = placed_grid(circuit)
    if grid is not None:
        return Reading(dtype, shape, missing, header, grid=grid, partial=partial, placed=grid is not circuit.grid)
    if circuit.symbolizer is None and partial and (missing is None or math.isnan(missing)):
        missing = UNSEEN
    typed = getattr(circuit.symbolizer, "source", None) is not None
    return reading_for(circuit.symbolizer, Reading(dtype, shape, missing, header, typed=typed))


def refuse_missing(missing: int | None) -> None:
    """Refuse a marker of missing symbols beside a symbolizer: a value that is missing has no differences."""
    if missing is not None:
        raise UsageError("--missing must not be given for a circuit with a symbolizer, which maps whole records only")


def refuse_other_mark(circuit: Circuit | IntegerCircuit, data: str, reading: Reading, missing: float | None) -> None:
    """Refuse a marker of missing values that data have none of: where columns mark them by NaN, an array holds NaN.

    Raises:
        UsageError: it is another.
    """
    columns = getattr(circuit.symbolizer, "source", None)
    if missing is None or math.isnan(missing) or columns is None or not columns.marks_missing:
        return
    if math.isnan(columns.mark) and not is_table(data, reading):
        raise UsageError(
            f"--missing must be nan for {data}, by which the circuit's columns mark missing values, got {missing}: "
            "only a table's cells may hold another mark"
        )


def said_tokens(circuit: Circuit | IntegerCircuit, x: Any, missing: float | None) -> dict[str, int]:
    """Count the missing numbers that count with their tokens, and say so on stderr; of a circuit that has some."""
    stage = circuit.symbolizer
    if not isinstance(stage, Predictor) or stage.missing_token is None:
        return {}
    assert stage.source is not None
    tokens = 0 if missing is not None else int(np.ma.getmaskarray(stage.cells(x)).sum())
    if tokens:
        say(
            f"{tokens} of {len(x) * stage.columns} numbers are missing, and count with the bits of their "
            f"tokens; --missing {stage.source.mark} sums them out"
        )
    return {"missing_tokens": tokens}


def mark_missing(x: Any, missing: int | None) -> Any:
    """Write missing symbols as -1; without a marker -1 is a wrong symbol like any other."""
    if x.dtype.kind not in "iub":
        return x
    marked = np.zeros(x.shape, dtype=bool) if missing is None else x == missing
    if x.dtype == np.int64:  # as only what is marked so is read
        marked |= x == UNSEEN
    rest = x[~marked]
    if rest.size and rest.min() < 0:
        advice = AUTO
        if missing is None and (rest >= -1).all() and rest.max() <= SMALL:
            advice = f"--missing {rest.min()} marks it as missing; {advice}"
        raise DataError(f"symbols must not be negative, got {rest.min()}; {advice}")
    if rest.size and int(rest.max()) > MAX_SYMBOL:
        raise DataError(f"symbols must be at most {MAX_SYMBOL}, got {rest.max()}; {AUTO}")
    if not marked.any():
        return x
    return np.where(marked, -1, np.where(marked, 0, x).astype(np.int64))


def jobs_of(text: str) -> tuple[str, ...]:
    """Read names of jobs with commas between them."""
    return tuple(name.strip() for name in text.split(","))
