"""How much memory a reader of foreign files may take: a bound by the bytes of the file (SECURITY.md)."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from pcedge.errors import FormatError, PcedgeError, UsageError

#: what any reader may take, however small its file
FLOOR = 1 << 26
#: the ceiling of readers that hold no more than some bytes for each byte of the file
NO_CEILING = 1 << 62
#: bytes taken from a pipe or a device at most: nothing tells how much is to come
MAX_PIPED = 1 << 28

#: what a reader takes: a file by its path, its bytes, or an open binary file from where it stands
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


@dataclass(frozen=True)
class Bound:
    """Bound the memory of a reader, above an idle process with the same imports."""

    #: bytes of memory for each byte of the file
    factor: int
    #: bytes of memory for any file
    ceiling: int

    def allowance(self, size: int) -> int:
        """Give the bytes of memory that a file of `size` bytes may take; what needs more is refused.

        Example:
            >>> [Bound(16, 1 << 30).allowance(size) for size in (10, 1 << 24, 1 << 40)]
            [67108864, 268435456, 1073741824]
        """
        return min(max(FLOOR, self.factor * size), self.ceiling)


#: by reader; where a small file can stand for much, the ceiling holds too
BOUNDS = {
    "circuit": Bound(512, 1 << 34),
    "onnx": Bound(512, 1 << 34),
    "program": Bound(512, 1 << 34),
    "spn": Bound(512, 1 << 34),
    "bin": Bound(512, 1 << 34),
    "psdd": Bound(512, 1 << 34),
    "vtree": Bound(128, 1 << 34),
    "jpc": Bound(512, 1 << 34),
    "json": Bound(512, 1 << 34),
    "skops": Bound(1024, 1 << 34),
    "pkl": Bound(1024, 1 << 34),
    "pickle": Bound(1024, 1 << 34),
    "joblib": Bound(1024, 1 << 34),
    "ac": Bound(512, 1 << 34),
    "nnf": Bound(512, 1 << 34),
    "lmap": Bound(512, 1 << 34),
    "weights": Bound(512, 1 << 34),
    "clt": Bound(512, 1 << 34),
    "logistic": Bound(512, 1 << 34),
    # networks: what is compiled of them too, unless the user gives a limit
    "bif": Bound(512, 1 << 34),
    "xmlbif": Bound(512, 1 << 34),
    "uai": Bound(512, 1 << 34),
    "net": Bound(512, 1 << 34),
    "csv": Bound(256, NO_CEILING),
    "npy": Bound(4, NO_CEILING),
    "npz": Bound(128, 1 << 34),
    "idx": Bound(128, 1 << 34),
    "images": Bound(128, 1 << 34),
    "raw": Bound(4, NO_CEILING),
    # formats whose numbers are packed: FLAC, LAZ, HDF5 and so on
    "packed": Bound(512, 1 << 34),
    "stream": Bound(64, NO_CEILING),
    "symbolizer": Bound(64, 1 << 28),
    "manifest": Bound(64, 1 << 28),
    "target": Bound(64, 1 << 28),
    "image": Bound(64, 1 << 34),
    "checkpoint": Bound(16, NO_CEILING),
    "xml": Bound(1, FLOOR),
    "report": Bound(1, FLOOR),
}


def _file_size(message: str) -> FormatError:
    return FormatError("file-size", message)


def check_bytes(
    reader: str,
    needed: int,
    size: int,
    where: str,
    refuse: Callable[[str], PcedgeError] = _file_size,
    advice: str = "",
) -> None:
    """Refuse a file that needs more memory than its reader may take; to be called before the memory is taken.

    Args:
        reader: a key of `BOUNDS`.
        needed: bytes of memory that the file needs.
        size: bytes of the file.
        where: the file's name, for the message.
        refuse: makes the error of the message; by default a FormatError of the rule `file-size`.
        advice: what the user can do, put at the end.

    Raises:
        PcedgeError: it needs more.

    Example:
        >>> check_bytes("npy", 80, 80, "x.npy")
    """
    allowed = BOUNDS[reader].allowance(size)
    if needed > allowed:
        raise refuse(
            f"{where} must need at most {allowed} bytes of memory for a file of {size} bytes, it needs {needed}{advice}"
        )


class MemoryBudget:
    """Add up what a reader takes for one file, and refuse before it takes more than it may."""

    def __init__(self, reader: str, size: int, where: str, refuse: Callable[[str], PcedgeError]) -> None:
        """Start with nothing taken; the arguments are those of `check_bytes`."""
        self.taken = 0
        self._of_file = reader, size, where, refuse
        self._allowed = BOUNDS[reader].allowance(size)

    @property
    def left(self) -> int:
        """Give the bytes that may still be taken."""
        return self._allowed - self.taken

    def take(self, count: int) -> None:
        """Count memory that stays taken until the file is read.

        Raises:
            PcedgeError: it is too much.
        """
        self.taken += count
        self.check()

    def check(self, count: int = 0) -> None:
        """Demand that so much more memory may be taken for a moment.

        Raises:
            PcedgeError: it is too much.
        """
        if self.taken + count > self._allowed:
            reader, size, where, refuse = self._of_file
            check_bytes(reader, self.taken + count, size, where, refuse)


def read_source(source: Source) -> tuple[bytes, str]:
    """Give the bytes of a file, and its name for messages.

    Raises:
        UsageError: the source is neither a path nor bytes nor a binary file.
        FormatError: a pipe or device gives more than `MAX_PIPED` bytes.
        OSError: the file cannot be read.

    Example:
        >>> read_source(b"abc")
        (b'abc', 'the bytes given')
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "the bytes given"
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return read_file(file, str(source)), str(source)
    read = getattr(source, "read", None)
    if read is None or isinstance(source, io.TextIOBase):
        raise UsageError(f"a file must be a path, bytes or an open binary file, got {type(source).__name__}")
    name = getattr(source, "name", None)
    where = name if isinstance(name, str) else "the file given"
    data = read()
    if not isinstance(data, bytes):
        raise UsageError(f"{where} must be open in binary mode, reading it gives {type(data).__name__}")
    return data, where


def read_file(file: BinaryIO, where: str, refuse: Callable[[str], PcedgeError] = _file_size) -> bytes:
    """Read an open file to its end; a pipe or device, whose size nobody knows, no further than `MAX_PIPED` bytes.

    Raises:
        PcedgeError: a pipe or device gives more; the error is the one that `refuse` makes.
    """
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file.read()
    parts, left = [], MAX_PIPED
    while part := file.read(min(1 << 20, left + 1)):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise refuse(f"{where} must give at most {MAX_PIPED} bytes, for it is no file on a disk, it gives more")
    return b"".join(parts)
