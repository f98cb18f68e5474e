"""Files as they were: in which form numbers lie in a file, and how it is written again byte for byte (docs/data.md)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.binary import raw_numbers
from pcedge.data.damage import refused
from pcedge.data.readers import DIGITS, fields_in, is_table, load_array, split_name, table_head
from pcedge.data.reading import Reading
from pcedge.data.sounds import FLAC, WAV, packed, read_flac, unpacked, wav_header, wav_of
from pcedge.data.structs import check_padding
from pcedge.data.table import is_mark
from pcedge.data.value_grid import CODED
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.limits import read_file

Array = NDArray[Any]

#: forms in which numbers can be written
FORMATS = ("npy", "csv", "tsv", "raw", "wav", "idx")

#: suffixes that say what a file holds, and the form that is; other suffixes that readers know cannot be written
SUFFIXES = {".npy": "npy", ".csv": "csv", ".tsv": "tsv", ".idx": "idx", **dict.fromkeys(WAV, "wav")}

#: bytes of a file beside its numbers that a stream carries at most
MOST_FRAME = 1 << 20
#: bytes of a `.npy` file from which on it is mapped into memory, not read
LEAST_MAPPED = 1 << 26

_DELIMITERS = {"tab": "\t", "semicolon": ";", "blank": " "}
_NUMBER = re.compile(r"[<>|]?([iu][1248]|f[248]|b1)|<i3")
_TEXT = re.compile(r"[!-~]+( [!-~]+)*")


@dataclass(frozen=True)
class Form:
    """Say how a file is written from its numbers."""

    #: one of `FORMATS`, and words: a type of number that is not the array's, and what the form needs (docs/stream.md)
    text: str
    #: the file's own bytes before and after the numbers
    head: bytes = b""
    tail: bytes = b""
    #: bytes at the end that did not fill a record
    padding: bytes = b""

    @property
    def format(self) -> str:
        """Give the format's name."""
        return self.text.partition(" ")[0]

    @property
    def words(self) -> tuple[str, ...]:
        """Give the words after it."""
        return tuple(self.text.split(" ")[1:])

    @property
    def number(self) -> str | None:
        """Give the type of the file's numbers, where it is not the array's."""
        return next((word for word in self.words if _NUMBER.fullmatch(word)), None)

    def check(self) -> Form:
        """Demand a form that can be written.

        Raises:
            StreamError: it is none, as a forged stream may say.
        """
        known = (*_DELIMITERS, "fortran", "flat", "crlf", "open")
        fits = self.format in FORMATS and _TEXT.fullmatch(self.text) and len(self.text) <= 1 << 16
        if not fits or not all(
            w in known or any(p.fullmatch(w) for p in (_NUMBER, _PLACES, _MISSING)) for w in self.words
        ):
            raise StreamError(f"the source of the data must be a form that can be written, got {self.text[:60]!r}")
        return self


_PLACES = re.compile(r"places=[0-9]{1,2}(,[0-9]{1,2})*")
#: what marks a missing number, and how a table writes it
_MISSING = re.compile(r"missing=(nan|-?[0-9]{1,20}):([!-~]{0,20})")


def load_file(source: str | Path, reading: Reading) -> tuple[Array, Form | None, str | None]:
    """Load the one array to be coded, with the form in which its file is written again.

    Returns:
        The array; its file's form, None where the file cannot be written again; and what must be said of that.

    Raises:
        DataError, UsageError: as `load_array`; bytes between fields that are not 0.
    """
    if reading.grid is not None:
        return load_array(source, reading).astype(reading.grid.dtype), None, f"{source}: {CODED}"
    path, chosen = split_name(source)
    if chosen is None and (mapped := _mapped(path, source, reading)) is not None:
        return mapped, Form("npy"), None
    padding = b""
    raw = reading.number if not is_table(source, reading) else None
    raw = fields_in(path, reading) if raw is None else raw
    if raw is not None:
        array, padding = _raw(path, source, reading, raw)
    else:
        array = load_array(source, reading)
    check_padding(array)
    # What is decoded lies so, whatever order a file has.
    array = array if array.dtype.names else np.ascontiguousarray(array)
    if source == DIGITS and not path.exists():
        return array, None, None
    form = None if chosen is not None or path.is_dir() else _find(path, source, array, reading, padding)
    if form is None:
        return array, None, f"{source} cannot be written again byte for byte: decoding gives its values"
    if path.suffix.lower() in FLAC:
        return array, form, f"{source} comes back as a WAV file of the same samples"
    return array, form, None


def _mapped(path: Path, source: str | Path, reading: Reading) -> Array | None:
    """Map a large `.npy` file that is as numpy writes it, and whose integers need no change; None for all others."""
    if path.suffix.lower() != ".npy" or reading.dtype is not None or not path.is_file():
        return None
    if path.stat().st_size < LEAST_MAPPED or is_table(source, reading):
        return None
    with refused(path, ".npy file of numbers"), path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        if fortran or len(shape) < 2 or dtype.kind not in "iub" or math.prod(shape) * dtype.itemsize <= 0:
            return None
        if path.stat().st_size != start + math.prod(shape) * dtype.itemsize:
            return None
        array: Array = np.memmap(path, dtype, "r", start, shape)
        usual = io.BytesIO()
        np.lib.format.write_array_header_1_0(usual, np.lib.format.header_data_from_array_1_0(array))
        file.seek(0)
        return array if file.read(start) == usual.getvalue() else None


def _raw(path: Path, source: str | Path, reading: Reading, dtype: np.dtype[Any]) -> tuple[Array, bytes]:
    """Read raw binary; what does not fill a record is given beside it."""
    record = () if dtype.names else reading.record
    left = path.stat().st_size % (math.prod(record) * dtype.itemsize) if path.is_file() else 0
    if not left:
        return load_array(source, reading), b""
    with refused(path, "readable file"), path.open("rb") as file:
        data = read_file(file, str(path), DataError)
    return raw_numbers(data[:-left], str(path), dtype, record), data[-left:]


def _find(path: Path, source: str | Path, array: Array, reading: Reading, padding: bytes) -> Form | None:
    """Find the form that gives back a file's very bytes."""
    with refused(path, "readable file"), path.open("rb") as file:
        data = read_file(file, str(path), DataError)
    if reading.number is not None and not is_table(source, reading):
        return replace(_checked("raw", array, data, reading.number.str, padding), padding=padding)
    if is_table(source, reading):
        return _table(source, array, data, reading)
    for find in (_npy, _wav, _idx):
        if (form := find(path, array, data)) is not None:
            return form if write(form, array) == data or path.suffix.lower() in FLAC else None
    raw = Form("raw", padding=padding)
    return raw if write(raw, array) == data else None


def _checked(name: str, array: Array, data: bytes, number: str, padding: bytes) -> Form:
    plain = Form(name, padding=padding)
    return plain if write(plain, array) == data else Form(f"{name} {number}", padding=padding)


def _npy(path: Path, array: Array, data: bytes) -> Form | None:
    if not data.startswith(b"\x93NUMPY"):
        return None
    if write(Form("npy"), array) == data:
        return Form("npy")
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    words = ["npy"]
    if dtype.names is None and dtype.str != array.dtype.str:
        words.append(dtype.str)
    words += ["fortran"] * fortran + ["flat"] * (len(shape) == 1 and array.ndim == 2)
    short = Form(" ".join(words))
    return short if write(short, array) == data else replace(short, head=data[: file.tell()])


def _wav(path: Path, array: Array, data: bytes) -> Form | None:
    if path.suffix.lower() in FLAC or data[:4] == b"fLaC":
        rate = read_flac(path)[1]
        number = {"int16": "<i2", "int8": "<i2", "int32": "<i3"}[array.dtype.name]
        size = array.size * int(number[-1])
        words = f"wav {number}" if np.dtype(array.dtype).newbyteorder("<").str != number else "wav"
        return Form(words, wav_header(rate, array.shape[1], number, size), b"\0" * (size % 2))
    if data[:4] != b"RIFF":
        return None
    wav = wav_of(data, str(path))
    head, tail = data[: wav.start], data[wav.end :]
    if len(head) + len(tail) > MOST_FRAME:
        return None
    same = wav.number in ("u1", array.dtype.newbyteorder("<").str)
    return Form("wav" if same else f"wav {wav.number}", head, tail)


def _idx(path: Path, array: Array, data: bytes) -> Form | None:
    if data[:2] != b"\0\0" or array.dtype.names is not None:
        return None
    size = array.size * array.dtype.itemsize
    return Form(
        "idx" if array.dtype.itemsize == 1 else f"idx {array.dtype.newbyteorder('>').str}", data[: len(data) - size]
    )


def _table(source: str | Path, array: Array, data: bytes, reading: Reading) -> Form | None:
    head = table_head(source, reading)
    if head is None:
        return None
    ending = b"\r\n" if b"\r\n" in data[: 1 << 16] else b"\n"
    lines = data.split(ending, head.first.line + 1 if reading.missing is None else -1)
    start = head.first.line - (0 if head.named else 1)
    before = sum(len(line) + len(ending) for line in lines[:start])
    if not start and data.startswith(b"\xef\xbb\xbf"):
        before = 3
    sample = _sample(lines, start)
    words = ["csv" if "\t" not in sample else "tsv"]
    delimiter = next((name for name, sign in _DELIMITERS.items() if sign in sample), None)
    if delimiter is not None and words[0] == "csv":
        words.append(delimiter)
    words += ["crlf"] * (ending == b"\r\n") + ["open"] * (not data.endswith(ending))
    sign = _DELIMITERS[delimiter or "tab"] if words[0] == "tsv" or delimiter else ","
    end = start + 1 if reading.missing is None else len(lines)
    if array.dtype.names is not None:
        cells = _first_numbers((_sample(lines, n).split(sign) for n in range(start, end)), len(array.dtype.names))
        words.append("places=" + ",".join(str(len(cell.partition(".")[2])) for cell in cells))
    form = Form(" ".join(words), data[:before])
    try:
        if len(form.head) <= MOST_FRAME and write(form, array) == data:
            return form
        if len(form.head) > MOST_FRAME or reading.missing is None:
            return None
        mark = "nan" if reading.missing != reading.missing else str(int(reading.missing))
        every = (cell for n in range(start, end) for cell in _sample(lines, n).split(sign))
        gap = next((cell for cell in every if is_mark(cell) or cell == mark), "")
        form = replace(form, text=f"{form.text} missing={mark}:{gap}")
        return form if write(form, array) == data else None
    except (DataError, UsageError):
        return None


def _first_numbers(rows: Iterable[list[str]], count: int) -> list[str]:
    """Give the first cell of each column that is not missing."""
    cells = [""] * count
    left = set(range(count))
    for row in rows:
        for number in [n for n in left if n < len(row) and not is_mark(row[n])]:
            cells[number] = row[number]
            left.remove(number)
        if not left:
            break
    return cells


def _sample(lines: list[bytes], start: int) -> str:
    return lines[start].decode("utf-8-sig", "replace").strip(" \r\n") if start < len(lines) else ""


def write(form: Form, array: Array) -> bytes:
    """Write a file.

    Raises:
        DataError: the numbers do not fit the form.
        UsageError: the form cannot hold such an array.
    """
    return WRITERS[form.format](form, array) + form.padding


def form_of(name: str, array: Array) -> Form:
    """Give the form of a format for an array that came from none.

    Raises:
        UsageError: the format needs what an array does not say.
    """
    if name == "wav":
        raise UsageError(
            "a WAV file must have a sample rate, which only a stream of a WAV or FLAC file carries; .npy holds "
            "any array"
        )
    if name == "idx":
        raise UsageError(
            "an IDX file must have its header, which only a stream of an IDX file carries, for all its records; "
            ".npy holds any array"
        )
    if name not in FORMATS:
        raise UsageError(f"the format must be one of {', '.join(FORMATS)}, got {name!r}")
    return Form(name)


def part_of_wav(form: Form, frames: int) -> Form:
    """Give the form of a WAV file of some frames of another one, with its rate and type of samples.

    Raises:
        DataError: the form's header is none of a WAV file.
    """
    wav = wav_of(form.head, "the stream's source")
    size = frames * wav.channels * int(wav.number[-1])
    return Form(form.text, wav_header(wav.rate, wav.channels, wav.number, size), b"\0" * (size % 2))


def _write_npy(form: Form, array: Array) -> bytes:
    made = _numbers(form, array)
    if "flat" in form.words:
        made = made.reshape(-1)
    if "fortran" in form.words:
        made = np.asfortranarray(made)
    if form.head:
        return form.head + made.tobytes("F" if "fortran" in form.words else "C") + form.tail
    file = io.BytesIO()
    np.save(file, made, allow_pickle=False)
    return file.getvalue()


def _numbers(form: Form, array: Array) -> Array:
    number = form.number
    if number is None:
        return array
    made = unpacked(packed(array, number), number) if number.endswith("3") else array.astype(number)
    if ((made != array) & ((made == made) | (array == array))).any():
        raise DataError(f"the numbers must fit {number}, they do not")
    return made


def _write_raw(form: Form, array: Array) -> bytes:
    if form.number is None:
        # Nothing in the file says its order of bytes: it is the one that readers take it for.
        array = array if array.dtype.names else array.astype(array.dtype.newbyteorder("<"))
        return form.head + array.tobytes() + form.tail
    return form.head + packed(array, form.number) + form.tail


def _write_wav(form: Form, array: Array) -> bytes:
    if not form.head:
        form_of("wav", array)
    return _write_raw(form, array)


def _write_table(form: Form, array: Array) -> bytes:
    delimiter = "\t" if form.format == "tsv" else ","
    delimiter = next((_DELIMITERS[word] for word in form.words if word in _DELIMITERS), delimiter)
    ending = "\r\n" if "crlf" in form.words else "\n"
    places = next((word[7:].split(",") for word in form.words if word.startswith("places=")), None)
    head = form.head
    marked = next((found for word in form.words if (found := _MISSING.fullmatch(word))), None)
    mark, gap = (None, "") if marked is None else (marked[1], marked[2])
    if array.dtype.names is not None:
        odd = next((name for name in array.dtype.names if array.dtype[name].kind not in "biuf"), None)
        if odd is not None or array.ndim != 1:
            kind = None if odd is None else array.dtype[odd]
            what = f"{kind.base} of shape {kind.shape}" if kind is not None and kind.shape else f"{kind}"
            what = f"records of shape {array.shape[1:]} a row" if odd is None else f"{what} in field {odd!r}"
            raise UsageError(
                f"a table must be of records whose fields are numbers, got {what}: an output that ends in .npy holds it"
            )
        columns = [_texts(array[name], None if places is None else places[n % len(places)], mark, gap)
                   for n, name in enumerate(array.dtype.names)]  # fmt: skip
        if not form.words and not head:
            quoted = [f'"{name}"' if delimiter in name else name for name in array.dtype.names]
            head = (delimiter.join(quoted) + ending).encode()
        rows = [delimiter.join(row) for row in zip(*columns, strict=True)]
    else:
        flat = array.reshape(len(array), math.prod(array.shape[1:]))
        flat = flat.astype(np.uint8) if flat.dtype.kind == "b" else flat
        texts = ([str(number) for number in row] for row in flat.tolist())
        rows = [delimiter.join(gap if cell == mark else cell for cell in row) for row in texts]
    text = ending.join(rows) + (ending if rows and "open" not in form.words else "")
    return head + text.encode() + form.tail


def _texts(column: Array, places: str | None, mark: str | None, gap: str) -> list[str]:
    """Write the cells of a column; NaN and the integer `mark` are written as `gap`."""
    if column.dtype.kind == "b":
        column = column.astype(np.uint8)
    if column.dtype.kind != "f":
        return [gap if (text := str(value)) == mark else text for value in column.tolist()]
    if places is None:
        return [gap if value != value else repr(value) for value in column.tolist()]
    return [gap if value != value else f"{value:.{places}f}" for value in column.tolist()]


WRITERS: dict[str, Callable[[Form, Array], bytes]] = {
    "npy": _write_npy, "csv": _write_table, "tsv": _write_table, "raw": _write_raw, "wav": _write_wav,
    "idx": _write_wav,
}  # fmt: skip
