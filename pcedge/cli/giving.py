"""Variables that both sides of a stream know, as encode and decode take them."""

from __future__ import annotations

from typing import Any

from pcedge.codec.given import in_words
from pcedge.data import Reading, is_table, load_array, table_head
from pcedge.errors import UsageError


def variables_of(text: str, data: str, reading: Reading, count: int) -> tuple[int, ...]:
    """Find the variables that `--given` names: by the columns of a table's header, or by their numbers.

    Args:
        text: names and numbers with commas between them; a name of the header goes before a number.
        data: the file with the records.
        reading: how it is read.
        count: the circuit's variables.

    Raises:
        UsageError: one is none of them, or is named twice.
    """
    head = table_head(data, reading) if is_table(data, reading) else None
    names = [] if head is None or head.names is None else [name.strip() for name in head.names]
    found = []
    for word in (word.strip() for word in text.split(",")):
        if names.count(word) > 1:
            raise UsageError(f"--given must name one column, {word!r} is the name of {names.count(word)} of {data}")
        if word in names:
            found.append(names.index(word))
        elif word.isascii() and word.isdecimal() and int(word) < count:
            found.append(int(word))
        else:
            known = in_words(list(map(repr, names)))
            columns = f"columns of {data}, {known}, or numbers" if names else "numbers of variables"
            raise UsageError(f"--given must name {columns} 0..{count - 1}, got {word!r}")
    if len(set(found)) != len(found):
        raise UsageError(f"--given must name every variable once, got {text}")
    return tuple(sorted(found))


def known_values(path: str | None) -> Any:
    """Read the values that a receiver gives; None where there is no file."""
    return None if path is None else load_array(path, Reading())
