"""Readers of integer data: the shipped digits, .npy, .npz and IDX files. Nothing is unpickled."""

from __future__ import annotations

import gzip
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import DataError

#: integer records, or any array that a reader found in a file
Array = NDArray[Any]

#: name of the shipped data set: UCI "Optical Recognition of Handwritten Digits", CC BY 4.0
DIGITS = "digits"
DIGITS_FILE = Path(__file__).with_name("digits.npz")

#: the third byte of an IDX file, http://yann.lecun.com/exdb/mnist/ ("the IDX file format"), numbers are big-endian
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
IDX_FLOATS = {0x0D: "float", 0x0E: "double"}

SPLITS = ("train", "valid", "test")
#: bytes asked for at a time, so that a header with absurd sizes cannot ask for the whole memory
CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Splits:
    """Hold a data set's splits: integers of shape (records, …), in the dtype and shape of their file.

    Raises:
        DataError: a split holds no integers or has no records axis, train is empty, or the splits' records differ in
            shape.
    """

    #: what parameters are learned from
    train: Array
    #: what training may look at to know when to stop
    valid: Array | None = None
    #: what training never looks at
    test: Array | None = None

    def __post_init__(self) -> None:
        """Check dtypes and shapes."""
        for name in SPLITS:
            part = getattr(self, name)
            if part is None:
                continue
            _check_array(part, f"split {name}")
            if part.shape[1:] != self.train.shape[1:]:
                raise DataError(
                    f"all splits must have records of one shape, train has {self.train.shape[1:]}, "
                    f"{name} has {part.shape[1:]}"
                )
        if len(self.train) == 0:
            raise DataError(f"split train must hold at least one record, got shape {self.train.shape}")


def load_data(source: str | Path) -> Splits:
    """Load a data set with its splits.

    Args:
        source: `digits` for the shipped set, or a file: `.npz` with the arrays train and, if there are any, valid and
            test; `.npy` or IDX (`.gz` too), whose one array becomes train.

    Raises:
        DataError: there is no such file, it breaks its format, or its arrays are no integer records.

    Example:
        >>> load_data("digits").test.shape
        (360, 8, 8)
    """
    arrays = _read(source)
    if "train" not in arrays:
        raise DataError(f"{source} must hold an array named train, it holds {_names(arrays)}")
    return Splits(arrays["train"], arrays.get("valid"), arrays.get("test"))


def load_array(path: str | Path) -> Array:
    """Load the one array to be coded or verified.

    Args:
        path: `.npy` or IDX for its array; `.npz`, or the name `digits`, for its split test, else valid, else train.

    Raises:
        DataError: there is no such file, it breaks its format, or its array holds no integer records.

    Example:
        >>> load_array("digits").shape
        (360, 8, 8)
    """
    arrays = _read(path)
    for name in reversed(SPLITS):
        if name in arrays:
            _check_array(arrays[name], f"{path}" if len(arrays) == 1 else f"{path}: {name}")
            return arrays[name]
    raise DataError(f"{path} must hold an array named test, valid or train, it holds {_names(arrays)}")


def _check_array(array: Array, where: str) -> None:
    if array.dtype.kind not in "iub":
        raise DataError(f"{where} must hold integers, got {array.dtype}")
    if array.ndim < 2:
        raise DataError(f"{where} must have shape (records, …), got {array.shape}")


def _names(arrays: dict[str, Array]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"


def _read(source: str | Path) -> dict[str, Array]:
    """Read all arrays of a source by name; a file of one array gives it the name train."""
    path = DIGITS_FILE if source == DIGITS else Path(source)
    if not path.is_file():
        raise DataError(f"{source} must be a file, or the name {DIGITS!r} of the shipped set; there is no such file")
    name = path.name.lower()
    if name.endswith(".npz"):
        return _read_npz(path)
    if name.endswith(".npy"):
        with _refused(path, ".npy file of numbers"), path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise DataError(f"{path} must end after its {array.nbytes} bytes of numbers, more follow")
            return {"train": array}
    if name.endswith((".gz", "ubyte", ".idx")) or path.suffix.lower().startswith(".idx"):
        with _refused(path, "gzip file" if name.endswith(".gz") else "readable file"):
            with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
                return {"train": _read_idx(path, file)}
    raise DataError(f"{source} must end in .npy, .npz, .idx, -ubyte or .gz (IDX), got {path.suffix or repr(path.name)}")


@contextmanager
def _refused(path: Path, expected: str) -> Iterator[None]:
    """Turn what the libraries say about a damaged file into a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of headers that it repairs by guessing
            yield
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, SyntaxError, MemoryError, OverflowError, RuntimeError,
        NotImplementedError, UserWarning, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise DataError(f"{path} must be a whole {expected} ({type(error).__name__}: {error})") from error


def _read_npz(path: Path) -> dict[str, Array]:
    # zipfile rather than numpy.load, which leaves a damaged file open.
    with _refused(path, ".npz file of numbers"), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        arrays = {}
        for name in SPLITS:
            if name in members:
                with archive.open(members[name]) as member:
                    arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
        # The names are enough for the message about the array that is missing.
        return arrays or {name: np.zeros(0) for name in members}


def _read_idx(path: Path, file: BinaryIO | gzip.GzipFile) -> Array:
    magic = _take(file, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(
            f"{path} must start with an IDX magic number, two zero bytes first, got {magic.hex() or 'none'}"
        )
    code, dimensions = magic[2], magic[3]
    if code in IDX_FLOATS:
        raise DataError(f"{path} must hold integers, its IDX type 0x{code:02x} is {IDX_FLOATS[code]}")
    if code not in IDX_TYPES:
        raise DataError(f"{path} must have an IDX type of 0x08, 0x09, 0x0b or 0x0c, got 0x{code:02x}")
    if dimensions == 0:
        raise DataError(f"{path} must have at least one IDX dimension, got 0")
    header = _take(file, 4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path} must have {4 * dimensions} bytes of IDX sizes, it ends after {len(header)}")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    dtype = np.dtype(IDX_TYPES[code])
    expected = dtype.itemsize
    for size in shape:
        expected *= size
    data = _take(file, expected + 1)
    if len(data) != expected:
        got = "more" if len(data) > expected else f"{len(data)}"
        raise DataError(f"{path} must hold {expected} bytes after its IDX header of shape {shape}, it holds {got}")
    return np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _take(file: BinaryIO | gzip.GzipFile, count: int) -> bytes:
    """Read up to so many bytes; fewer mean the end of the file."""
    parts = []
    while count > 0 and (part := file.read(min(count, CHUNK))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
