"""Variables that both sides of a stream know, as encode and decode take them."""

from __future__ import annotations

from typing import Any

from pcedge.codec.container import Stream
from pcedge.codec.files import source_of
from pcedge.codec.given import in_words
from pcedge.data import Reading, is_table, load_array, table_head
from pcedge.data.maps import DataMap
from pcedge.data.symbolizer import Symbolizer
from pcedge.data.table import parse_header
from pcedge.errors import DataError, UsageError


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


def refuse_given(mapping: DataMap | None, text: str) -> None:
    """Refuse given variables of a circuit whose variables are no numbers of the data.

    Raises:
        UsageError: it has a predictor stage or a symbolizer.
    """
    if mapping is not None:
        stage = "symbolizer" if isinstance(mapping, Symbolizer) else "predictor stage"
        raise UsageError(
            f"--given must go with a circuit whose variables are numbers of the data, this one has a {stage}: leave "
            f"what the receiver knows ({text}) out of the data, and train a circuit on the others"
        )


def known_values(path: str | None, head: Stream) -> Any:
    """Read the values that a receiver gives; None where there is no file.

    Where the file that was encoded had a header and this one has, columns go by their names; else by their order.

    Raises:
        DataError: a given variable's name is that of no column, or of several.
    """
    if path is None:
        return None
    reading = Reading()
    values = load_array(path, reading)
    table = table_head(path, reading)
    wanted = _names_of(head)
    if table is None or table.names is None or wanted is None:
        return values
    names = [name.strip() for name in table.names]
    odd = [name for name in wanted if names.count(name) != 1]
    if odd:
        raise DataError(
            f"{path} must have one column of each given variable's name, {in_words(list(map(repr, wanted)))}, it has "
            f"{names.count(odd[0])} of {odd[0]!r} among {in_words(list(map(repr, names)))}; without a header columns "
            "are taken in the order of the variables"
        )
    return values[:, [names.index(name) for name in wanted]]


def _names_of(head: Stream) -> list[str] | None:
    """Give the names of the given variables in the table that was encoded; None where they do not tell which is which.

    What stands before the numbers of a table is its header, which the stream carries.
    """
    form = source_of(head)
    if form is None or form.format not in ("csv", "tsv"):
        return None
    names = [name.strip() for name in parse_header(form.head.decode("utf-8-sig", "replace")) or ()]
    given = [names[variable] for variable in head.given if variable < len(names)]
    usable = len(given) == len(head.given) and all(name and names.count(name) == 1 for name in given)
    return given if usable else None
