"""Constant arrays as text of C."""

from __future__ import annotations

from collections.abc import Sequence

#: numbers on a line
_COLUMNS = 24


def unsigned_type(most: int) -> str:
    """Name the smallest type for numbers up to `most`."""
    return next(f"uint{bits}_t" for bits in (8, 16, 32, 64) if most < 1 << bits)


def signed_type(most: int) -> str:
    """Name the smallest type of at least 32 bits for numbers of either sign up to `most`."""
    return next(f"int{bits}_t" for bits in (32, 64) if most < 1 << (bits - 1))


def literal(number: int) -> str:
    """Write a number; the least of 64 bits has no literal of its own."""
    if number >= 0:
        return f"{number}U"
    return str(number) if number > -(1 << 63) else "INT64_MIN"


def array(kind: str, name: str, numbers: Sequence[int]) -> list[str]:
    """Write an array of numbers."""
    values = [literal(number) for number in numbers]
    rows = [f"  {', '.join(values[at : at + _COLUMNS])}," for at in range(0, len(values), _COLUMNS)]
    return [f"static const {kind} {name}[{len(values)}] = {{", *rows, "};"]


def structs(kind: str, name: str, rows: Sequence[Sequence[int | str]]) -> list[str]:
    """Write an array of structures; a text stands as it is."""
    body = [f"  {{{', '.join(e if isinstance(e, str) else literal(e) for e in row)}}}," for row in rows]
    return [f"static const {kind} {name}[{len(rows)}] = {{", *body, "};"]
