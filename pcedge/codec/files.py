"""Files as streams: what comes back is the file, byte for byte, where its form is known."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.codec import stream
from pcedge.codec.container import Stream, parse
from pcedge.codec.decoder import Decoder, StreamFile, range_of
from pcedge.codec.fields import Field
from pcedge.data.forms import Form, form_of, load_file, part_of_wav, write
from pcedge.data.maps import reading_for
from pcedge.data.reading import PLAIN, Reading
from pcedge.data.value_grid import ValueGrid
from pcedge.engines.base import LaneCoder, Progress
from pcedge.errors import StreamError, UsageError
from pcedge.integer import IntegerCircuit

Array = NDArray[Any]


class Packed(NamedTuple):
    """Hold a stream made of a file, and what it was made of."""

    stream: bytes
    array: Array
    #: None where the file cannot be written again
    form: Form | None
    #: what must be said of how it comes back
    note: str | None


class Restored(NamedTuple):
    """Hold a file made of a stream."""

    data: bytes
    array: Array
    #: the format's name, and numpy's name of the type of the numbers in the file
    format: str
    dtype: str


def encode_file(
    engine: LaneCoder,
    source: str | Path,
    reading: Reading = PLAIN,
    lanes: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Compress a file; the stream carries what writes it again byte for byte.

    Args:
        engine: what codes the circuit's lanes.
        source: a file as `load_array` takes it.
        reading: what it does not say itself, and the circuit's columns do not know.
        lanes: S, as in `pcedge.codec.encode`.
        progress: told (records done, records in all).

    Raises:
        DataError: the file is damaged, or its data do not fit the circuit.
        UsageError: lanes is not positive, or the reading does not fit the file.
    """
    told = replace(reading_for(engine.circuit.symbolizer, reading), grid=coded_grid(engine.circuit))
    array, form, note = load_file(source, told)
    return Packed(stream.encode(engine, array, lanes, progress, fields_of(form)), array, form, note)


def decode_file(
    engine: LaneCoder, data: bytes, name: str | None = None, progress: Progress | None = None,
    given: ArrayLike | None = None,
) -> Restored:  # fmt: skip
    """Restore the file of a stream.

    Args:
        engine: the circuit's engine.
        data: the stream.
        name: the format that is written (`pcedge.data.forms.FORMATS`); None takes that of the file which was encoded,
            and `npy` where the stream names none.
        progress: told (records done, records in all).
        given: the values of the stream's given variables, as in `pcedge.codec.decode`.

    Raises:
        StreamError: the stream is damaged, or of another circuit.
        UsageError: the format cannot hold the data, or given values as in `pcedge.codec.decode`.
        DataError: the numbers do not fit the format, or the given values are not those of the encoder.
    """
    restored = file_of(parse(data), stream.decode(engine, data, progress, given), name)
    return with_values(engine.circuit, restored, name)


def coded_grid(circuit: IntegerCircuit) -> ValueGrid | None:
    """Give the grid by which data become the symbols of a stream; None where they are symbols already."""
    return None if circuit.grid is None or circuit.grid.plain else circuit.grid


def values_of(circuit: IntegerCircuit, symbols: Array) -> Array:
    """Give the values of a stream's symbols, columns as the data had them; the symbols where there is no grid."""
    grid = coded_grid(circuit)
    return symbols if grid is None else grid.values_of(symbols)[:, _order(grid)]


def with_values(circuit: IntegerCircuit, restored: Restored, name: str | None) -> Restored:
    """Write the values of restored symbols: a table with the variables' names, or numbers as a `.npy` file.

    Raises:
        UsageError: the format cannot hold the values.
    """
    if coded_grid(circuit) is None:
        return restored
    values = values_of(circuit, restored.array)
    data, written = write_values(circuit, values, name or "npy")
    return Restored(data, values, written, str(values.dtype))


def write_values(circuit: IntegerCircuit, values: Array, name: str) -> tuple[bytes, str]:
    """Write values as `values_of` gives them: a table with the variables' names, or numbers as a `.npy` file.

    Raises:
        UsageError: the format cannot hold the values.
    """
    grid = circuit.grid
    assert grid is not None
    if name in ("csv", "tsv"):
        return table_bytes(name, [[grid.names[place] for place in _order(grid)], *values.tolist()]), name
    if name != "npy":
        raise UsageError(f"the values of a grid must be written as npy, csv or tsv, got {name}")
    if values.dtype.hasobject:
        texts = next(axis.name for axis in grid.axes if axis.values.dtype.kind not in "iuf")
        raise UsageError(f"the states of {texts!r} are texts, which a .npy file does not hold: write csv or tsv")
    return write(form_of("npy", values), values), "npy"


def table_bytes(name: str, rows: list[list[Any]]) -> bytes:
    """Write rows of cells, texts in quotes where they need them, as `csv` or `tsv`."""
    text = io.StringIO()
    csv.writer(text, delimiter="," if name == "csv" else "\t", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _order(grid: ValueGrid) -> list[int]:
    return sorted(range(len(grid.axes)), key=lambda place: grid.axes[place].column)


def file_of(head: Stream, array: Array, name: str | None = None) -> Restored:
    """Write the data of a stream as a file, with what its header carries of the file that was encoded.

    Raises:
        StreamError: the header names no form that can be written.
        UsageError: the format cannot hold the data.
        DataError: the numbers do not fit the format.
    """
    form = source_of(head)
    if form is None or name not in (None, form.format):
        form = form_of(name or "npy", array)
    return Restored(write(form, array), array, form.format, _written(form, array))


def decode_records(
    engine: LaneCoder, file: StreamFile, records: slice, name: str | None = None, given: ArrayLike | None = None
) -> Restored:
    """Restore some records of a stream as a file of their own.

    Args:
        engine: the circuit's engine.
        file: the stream.
        records: a slice of step 1, both of whose ends are among the records or behind the last; negative ones count
            from there.
        name: the format that is written; None takes that of the file which was encoded where it can hold a part of
            it (all but `idx`), else `npy`.
        given: the values of the stream's given variables for every record of it, as in `pcedge.codec.decode`.

    Raises:
        StreamError: the stream is damaged, or of another circuit.
        UsageError: there are no such records, the format cannot hold them, or given values as in `decode`.
        DataError: the given values are not those of the encoder.
    """
    start, stop = range_of(records, len(decoder := Decoder.of(engine, file, given)))
    array = decoder.read(start, stop)
    form = source_of(file.head)
    # A header that counts the records, and what stands behind the last of them, are those of the whole.
    if form is not None and form.format in ("csv", "tsv", "raw") and name in (None, form.format):
        part = replace(form, head=form.head if form.format != "raw" else b"", tail=b"", padding=b"")
    elif form is not None and form.format == "wav" and name in (None, "wav"):
        part = part_of_wav(form, len(array))
    else:
        part = form_of(name or "npy", array)
    return with_values(engine.circuit, Restored(write(part, array), array, part.format, _written(part, array)), name)


def _written(form: Form, array: Array) -> str:
    """Name the type of numbers that a `.npy` file holds; other formats name none, so it is that of the array."""
    number = form.number if form.format == "npy" else None
    return str(array.dtype if number is None else np.dtype(number))


def fields_of(form: Form | None) -> dict[int, bytes]:
    """Give the fields that carry a form; a `.npy` file as numpy writes it needs none."""
    if form is None or form == Form("npy"):
        return {}
    fields: dict[int, bytes] = {Field.SOURCE: form.text.encode("ascii")}
    if form.head or form.tail:
        fields[Field.FRAME] = len(form.head).to_bytes(4, "little") + form.head + form.tail
    if form.padding:
        fields[Field.PADDING] = form.padding
    return fields


def source_of(parsed: Stream) -> Form | None:
    """Give the form that a stream carries; None where there is none.

    Raises:
        StreamError: it is none that can be written.
    """
    fields = dict(parsed.fields)
    if Field.SOURCE not in fields:
        return None
    frame = fields.get(Field.FRAME, bytes(4))
    size = int.from_bytes(frame[:4], "little")
    if len(frame) < 4 + size:
        raise StreamError(f"field 2 must have 4 bytes of a length and {size} more, it has {len(frame)}")
    try:
        text = fields[Field.SOURCE].decode("ascii")
    except UnicodeDecodeError as error:
        raise StreamError(f"field 1 must be ASCII, got {fields[Field.SOURCE][:40]!r}") from error
    return Form(text, frame[4 : 4 + size], frame[4 + size :], fields.get(Field.PADDING, b"")).check()
