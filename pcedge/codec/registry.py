"""Circuits found by their digests: those that a process has named, and files in folders (docs/stores.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pcedge.codec.source import Source, open_program, shipped
from pcedge.engines.base import Engine
from pcedge.errors import PcedgeError, UsageError
from pcedge.native import open_engine
from pcedge.schedule.program import Program
from pcedge.schedule.serialised import digest_of, to_bytes

#: names folders of circuits, as PATH does those of programs
ENVIRONMENT = "PCEDGE_CIRCUITS"

#: suffixes of files that hold an integer circuit
SUFFIXES = (".pcp", ".onnx")

_named: dict[str, Program] = {}


def folders() -> list[Path]:
    """List the folders in which circuits are looked for: those that `PCEDGE_CIRCUITS` names, then the user's own."""
    named = [Path(name) for name in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if name]
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [*named, home / "pcedge" / "circuits"]


def name_circuit(source: Source) -> str:
    """Have this process know a circuit; give its digest, 64 hexadecimal digits.

    Raises:
        FormatError: a file breaks its format.
        UsageError: the source is no circuit.
    """
    program = open_program(source)
    digest = program.circuit.digest.hex()
    _named[digest] = program
    return digest


def digest_for(circuit: Source | None, digest: str | None, codec: str) -> str:
    """Give the digest of a codec's circuit, which this process knows then if it is given.

    Raises:
        UsageError: neither circuit nor digest is given, they are not of one another, or the digest is none.
    """
    if circuit is not None:
        found = name_circuit(circuit)
        if digest not in (None, found):
            raise UsageError(f"the circuit must be {digest}, got {found}")
        return found
    if not isinstance(digest, str):
        raise UsageError(f"the codec {codec} must have a circuit, or the digest of one")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError(f"the digest of a circuit must be 64 hexadecimal digits in lower case, got {digest[:80]!r}")
    return digest


def keep_circuit(source: Source, folder: str | os.PathLike[str] | None = None) -> Path:
    """Write a circuit to a folder of circuits, the first of `folders` where none is named; give the file's path."""
    program = open_program(source)
    place = Path(folder) if folder is not None else folders()[0]
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{program.circuit.digest.hex()}.pcp"
    fresh = path.with_suffix(f".{os.getpid()}.part")
    fresh.write_bytes(to_bytes(program))
    fresh.replace(path)
    return path


def find_circuit(digest: str) -> Program:
    """Find a circuit by its digest: named in this process, else a file in one of the folders, else shipped.

    Args:
        digest: 64 hexadecimal digits, or the first 32, which a stream has.

    Raises:
        UsageError: there is none; the message names the digest, and where it was looked for.
    """
    if (known := next((known for known in _named if known.startswith(digest)), None)) is not None:
        return _named[known]
    for path in _files(digest):
        try:
            whole = _digest_of(path, path.stat().st_mtime_ns)
            if whole.startswith(digest):
                _named[whole] = open_program(path)
                return _named[whole]
        except (PcedgeError, OSError):
            continue  # another file may hold it
    if (found := shipped(digest)) is not None:
        _named[found.circuit.digest.hex()] = found
        return found
    raise UsageError(
        f"the circuit {digest} must be in one of the folders {', '.join(map(str, folders()))}: put its .pcp or .onnx "
        f"file there, name a folder by {ENVIRONMENT}, or give the circuit"
    )


@lru_cache(maxsize=16)
def engine_of(digest: str) -> Engine:
    """Open the engine of a circuit that is found by its digest.

    Raises:
        UsageError: there is no such circuit.
    """
    return open_engine(find_circuit(digest))


def _files(digest: str) -> Iterator[Path]:
    """List the files that may hold a circuit, those with its name first."""
    for folder in folders():
        yield from sorted(path for suffix in SUFFIXES for path in folder.glob(f"{digest}*{suffix}"))
    for folder in folders():
        yield from sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)


@lru_cache(maxsize=1024)
def _digest_of(path: Path, _: int) -> str:
    """Read a file's digest: that of a program stands in its head."""
    with path.open("rb") as file:
        found = digest_of(file.read(64))
    return found.hex() if found is not None else open_program(path).circuit.digest.hex()
