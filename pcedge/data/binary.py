"""Readers of numbers in binary files: numpy's, IDX, raw. Nothing is unpickled, and no header is believed unchecked."""

from __future__ import annotations

import gzip
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import refused
from pcedge.errors import DataError
from pcedge.limits import BOUNDS, check_bytes, read_file

Array = NDArray[Any]

#: the third byte of an IDX file, http://yann.lecun.com/exdb/mnist/ ("the IDX file format"), numbers are big-endian
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
IDX_FLOATS = {0x0D: "float", 0x0E: "double"}

#: bytes of the header of a `.npy` file, at most: numpy writes fewer than 400 for an array of numbers
MOST_HEADER = 4096

#: bytes asked for at a time
CHUNK = 1 << 20


def read_npy(path: Path) -> Array:
    """Read a `.npy` file.

    Raises:
        DataError: it is damaged, or holds objects.
    """
    with refused(path, ".npy file of numbers"), path.open("rb") as file:
        status = os.fstat(file.fileno())
        array = _read_array(file, status.st_size if stat.S_ISREG(status.st_mode) else None)
        if file.read(1):
            raise DataError(f"{path} must end after its {array.nbytes} bytes of numbers, more follow")
        return array


def read_npz(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Read the arrays of these names from an `.npz` file; of one that has none of them, only the names it has.

    Raises:
        DataError: it is damaged, holds objects, or would need too much memory.
    """
    # zipfile rather than numpy.load, which leaves a damaged file open.
    with refused(path, ".npz file of numbers"), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        chosen = {name: archive.getinfo(members[name]) for name in names if name in members}
        for info in chosen.values():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{info.filename} must be stored or deflated, as numpy writes it")
        # Only what is packed can be more than the file.
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in chosen.values())
        check_bytes(
            "npz" if packed else "npy",
            sum(info.file_size for info in chosen.values()),
            path.stat().st_size,
            str(path),
            DataError,
            "; unpack its arrays: a .npy file may have any size",
        )
        arrays = {}
        for name, info in chosen.items():
            with archive.open(info) as member:
                arrays[name] = _read_array(member, info.file_size)
        # The names are enough for the message about the array that is missing.
        return arrays or {name: np.zeros(0) for name in members}


def _read_array(file: IO[bytes], size: int | None) -> Array:
    """Read an array in numpy's form from a file of so many bytes; refuse a header that says more before it is read."""
    version = np.lib.format.read_magic(file)
    # numpy reserves what the length says, up to 4 GiB, and may take seconds for a long header that is no literal.
    start = file.tell()
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > MOST_HEADER:
        raise ValueError(f"its header must have at most {MOST_HEADER} bytes, it says {length}")
    # Many within each other are more than Python's parser can hold: a MemoryError.
    if (count := file.read(length).count(b"{")) > 1:
        raise ValueError(f"its header must be one dictionary of names and numbers, it opens {count}")
    file.seek(start)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if any(length < 0 for length in shape):
        raise ValueError(f"the shape must have no negative size, got {shape}")
    needed = math.prod(shape) * dtype.itemsize
    if size is not None and not dtype.hasobject and needed > size - file.tell():
        raise ValueError(f"{needed} bytes of numbers must follow its header, {size - file.tell()} do")
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


def read_raw(path: Path, dtype: np.dtype[Any], record: tuple[int, ...]) -> Array:
    """Read a file that holds nothing but numbers.

    Raises:
        DataError: the file cannot be read, or does not hold whole records.
    """
    with refused(path, "readable file"), path.open("rb") as file:
        data = read_file(file, str(path), DataError)
    return raw_numbers(data, str(path), dtype, record)


def raw_numbers(data: bytes, path: str, dtype: np.dtype[Any], record: tuple[int, ...]) -> Array:
    """Give the numbers of which a file consists, as `read_raw`."""
    size = math.prod(record) * dtype.itemsize
    count, left = divmod(len(data), max(1, size))
    if left:
        raise DataError(
            f"{path} must hold whole records of {size} bytes, {left} of its {len(data)} bytes are left after {count}"
        )
    if dtype.kind == "b" and data.strip(b"\0\1"):
        raise DataError(f"{path} must hold bytes 0 and 1 for {dtype}, it holds others")
    made = np.frombuffer(data, dtype=dtype).reshape(count, *record)
    # The order of bytes of fields is theirs.
    return made if dtype.names else made.astype(dtype.newbyteorder("="))


def read_idx(path: Path) -> Array:
    """Read an IDX file, packed by gzip if its name says so.

    Raises:
        DataError: it is damaged, holds no integers, or would need too much memory.
    """
    packed = path.name.lower().endswith(".gz")
    with refused(path, "gzip file" if packed else "readable file"):
        with gzip.open(path) if packed else path.open("rb") as file:
            return _read_idx(path, file, packed)


def _read_idx(path: Path, file: BinaryIO | gzip.GzipFile, packed: bool) -> Array:
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
    # Memory holds the parts, then joined, then in this machine's order of bytes.
    size = path.stat().st_size
    allowance = BOUNDS["idx"].allowance(size) // 3 if packed else expected
    data = _take(file, min(expected, allowance) + 1)
    if len(data) > allowance:
        check_bytes("idx", 3 * expected, size, str(path), DataError, "; unpack it first")
    if len(data) != expected:
        got = "more" if len(data) > expected else f"{len(data)}"
        raise DataError(f"{path} must hold {expected} bytes after its IDX header of shape {shape}, it holds {got}")
    return np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _take(file: BinaryIO | gzip.GzipFile, count: int) -> bytes:
    """Read up to so many bytes; fewer mean the end of the file."""
    chunks = []
    while count > 0 and (chunk := file.read(min(count, CHUNK))):
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
