"""Read the conformance vectors of tests/vectors for units that take them apart themselves."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from helpers.paths import VECTORS

Row = dict[str, Any]
Entry = TypeVar("Entry")

#: columns that hold vectors in some file
LISTS = frozenset(("weights", "vector", "accumulated", "mantissa", "first", "second", "context", "bytes", "digits"))


def rows_of(name: str, *lists: str) -> Iterator[Row]:
    """Read a file of vectors; `lists` names columns that are lists in this file and numbers in others."""
    names = LISTS.difference(("mantissa",) if name == "score" else ()).union(lists)
    with (VECTORS / f"{name}.csv").open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            yield {key: list(map(int, text.split())) if key in names else int(text) for key, text in row.items()}


def cut(entries: Sequence[Entry], size: int) -> list[Sequence[Entry]]:
    """Cut a sequence into pieces, the last one may be shorter."""
    return [entries[k : k + size] for k in range(0, len(entries), size)]
