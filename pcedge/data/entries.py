"""Reading and writing of the parts of a predictor stage's JSON form (docs/predictor.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from pcedge.data.symbolizer import integer, integers
from pcedge.errors import UsageError


def entries(where: str, value: object) -> list[Any]:
    """Demand a list."""
    if not isinstance(value, list):
        raise UsageError(f"{where} must be a list, got {str(value)[:40]}")
    return value


def offsets(where: str, value: object) -> tuple[tuple[int, ...], ...]:
    """Read a list of lists of integers."""
    return tuple(integers(where, offset) for offset in entries(where, value))


def read_object(kind: Any, entry: object) -> Any:
    """Read a group, an adaptation or a feature."""
    what = kind.__name__.lower()
    names = {field.name: field.type for field in fields(kind)}
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise UsageError(f"a predictor's {what} must be an object of {', '.join(sorted(names))}")
    readers: dict[str, Any] = {
        "int": integer,
        "str": _text,
        "tuple[int, ...]": integers,
        "tuple[Offset, ...]": offsets,
    }
    return kind(**{name: readers[str(of)](f"{what}: {name}", entry[name]) for name, of in names.items()})


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where} must be a text, got {str(value)[:40]}")
    return value


def listed(value: Any) -> dict[str, Any]:
    """Give a dataclass as an object of lists."""
    lists: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    return lists
