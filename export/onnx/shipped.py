"""The circuits that come with the package, as ONNX files with their measured figures (benchmarks/make_zoo.py)."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit

#: what may stand before the digits of a digest, and how many of them must be there
DIGEST, LEAST_DIGITS = "digest:", 8


def zoo() -> dict[str, dict[str, Any]]:
    """List the shipped circuits by name, with what they are of and what was measured.

    Example:
        >>> "digits" in zoo()
        True
    """
    entries: dict[str, dict[str, Any]] = json.loads(_folder().joinpath("zoo.json").read_text(encoding="utf-8"))
    return entries


def shipped_name(name: object) -> str | None:
    """Give the name of the shipped circuit that is meant; None where none is, or where there is a file of that name.

    Args:
        name: the name itself; or its digest, or the first 8 or more of its hexadecimal digits, also behind `digest:`.

    Raises:
        UsageError: digits begin the digests of several shipped circuits; or of none, behind `digest:`.

    Example:
        >>> shipped_name("digits"), shipped_name("digest:ccdbf743"), shipped_name("ccdbf743"), shipped_name("ccdbf74")
        ('digits', 'digits', 'digits', None)
    """
    if not isinstance(name, str) or not name or Path(name).is_file():
        return None
    known = zoo()
    if name in known:
        return name
    told = name.startswith(DIGEST)
    digits = name.removeprefix(DIGEST).lower()
    if not re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},64}}", digits):
        if told:
            raise UsageError(
                f"a digest must have {LEAST_DIGITS} to 64 hexadecimal digits behind {DIGEST}, got {name[:80]!r}"
            )
        return None
    found = [key for key, entry in known.items() if entry["digest"].startswith(digits)]
    if len(found) > 1:
        raise UsageError(f"a digest must be that of one shipped circuit, {digits} begins those of {', '.join(found)}")
    if told and not found:
        raise UsageError(f"a digest must be that of a shipped circuit, {digits} begins none; pcedge zoo lists them")
    return found[0] if found else None


def is_shipped(name: object) -> bool:
    """Tell whether a name means a shipped circuit, as `shipped_name` says; a file of that name goes first.

    Raises:
        UsageError: as there.
    """
    return shipped_name(name) is not None


def zoo_bytes(name: str) -> bytes:
    """Give the ONNX file of a shipped circuit, by its name or digest.

    Raises:
        UsageError: there is no such circuit.
    """
    return bytes(_folder().joinpath(f"{zoo_name(name)}.onnx").read_bytes())


def load_zoo(name: str) -> IntegerCircuit:
    """Load a shipped circuit, by its name or digest.

    Raises:
        UsageError: there is no such circuit.
    """
    from pcedge.export.onnx.reader import read_onnx_bytes  # with onnx, which the names of the zoo do not need

    return read_onnx_bytes(zoo_bytes(name), name)


def zoo_name(name: str) -> str:
    """Give the name of a shipped circuit, by its name, whatever files there are, or by its digest.

    Raises:
        UsageError: there is no such circuit.
    """
    known = zoo()
    found = name if name in known else shipped_name(name)
    if found is None:
        raise UsageError(f"a circuit of the zoo must be one of {', '.join(known)}, or a digest of one, got {name!r}")
    return found


def _folder() -> Any:
    return files("pcedge.data") / "zoo"
