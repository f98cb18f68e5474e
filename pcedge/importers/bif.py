"""BIF, the interchange format of Bayesian networks: variables with their states, and a table for each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.networks import Collected, Network
from pcedge.importers.text import decode, integer
from pcedge.importers.tokens import Tokens
from pcedge.limits import MemoryBudget

RULE = "bif-syntax"

_TOKEN = re.compile(
    r'(?P<skip>\s+|//[^\n]*|/\*.*?\*/)|(?P<quoted>"(?P<inside>[^"]*)")|(?P<sign>[{}()\[\];,|])'
    r'|(?:[^\s{}()\[\];,|"/]|/(?![/*]))+',
    re.DOTALL,
)


@dataclass(eq=False)
class _Block:
    """Hold a probability block: tables are read when all variables are known, for they may stand before these."""

    at: str
    #: words of the parenthesis, between commas and bars
    header: list[list[str]]
    table: FloatArray | None = None
    default: FloatArray | None = None
    #: where it stands, the states of the parents, the probabilities
    rows: list[tuple[str, list[list[str]], FloatArray]] = field(default_factory=list)


def read(data: bytes, where: str, budget: MemoryBudget) -> Network:
    """Read a BIF file, version 0.15 and what is written by that name today.

    A row in parentheses is for the states of the parents that it names, whatever the order of the rows. A `table` has
    all probabilities: the states of the last parent run fastest, those of the variable itself slowest. `default` is
    for all states of the parents that no row names. Commas and bars are blanks; properties and comments are skipped.

    Raises:
        FormatError: the text breaks the format, a table its rules; the message has the line.
    """
    tokens = Tokens(decode(data, where), _TOKEN, RULE, where)
    collected = Collected(where, budget)
    blocks: list[_Block] = []
    while not tokens.ended:
        keyword = tokens.word("network, variable or probability")
        if keyword == "network":
            _skip_network(tokens)
        elif keyword == "variable":
            _variable(tokens, collected)
        elif keyword == "probability":
            blocks.append(_block(tokens, budget))
        else:
            raise tokens.wrong_last("network, variable or probability", keyword)
    for block in blocks:
        _table(block, collected)
    return collected.network()


def _skip_network(tokens: Tokens) -> None:
    """Go past `NAME { property …; }`."""
    tokens.words_until("{")
    tokens.expect("{")
    while not tokens.takes("}"):
        if tokens.word("property or '}'") == "property":
            tokens.skip_statement()


def _variable(tokens: Tokens, collected: Collected) -> None:
    """Take `NAME { type discrete [ N ] { state, … }; }`."""
    at = tokens.at
    name = " ".join(tokens.words_until("{"))
    tokens.expect("{")
    states: list[str] | None = None
    while not tokens.takes("}"):
        keyword = tokens.word("type, property or '}'")
        if keyword == "property":
            tokens.skip_statement()
            continue
        if keyword != "type" or states is not None:
            raise tokens.wrong_last("one type, or property", keyword)
        kind = tokens.word("discrete")
        if kind != "discrete":
            raise FormatError(
                RULE,
                f"{at}: {name[:40]!r} must have a discrete type, got {kind[:40]!r}; make states of its values first",
            )
        tokens.expect("[")
        count = integer(tokens.word("a number of states"), tokens.at)
        tokens.expect("]")
        tokens.expect("{")
        states = _named(tokens.groups(",", "}"), count)
        tokens.takes(";")
        if len(states) != count:
            raise FormatError(
                "network-variable",
                f"{at}: {name[:40]!r} must have the {count} states that it says, it names {len(states)}",
            )
    if states is None:
        raise FormatError(RULE, f"{at}: {name[:40]!r} must have a type")
    tokens.takes(";")
    collected.add_variable(name, states, at)


def _named(groups: list[list[str]], count: int) -> list[str]:
    """Tell whether names are words or, with blanks in them, what stands between commas: by how many there must be."""
    words = [word for group in groups for word in group]
    return [" ".join(group) for group in groups] if len(words) != count == len(groups) else words


def _block(tokens: Tokens, budget: MemoryBudget) -> _Block:
    """Take `(variable | parents) { rows }`."""
    at = tokens.at
    tokens.expect("(")
    block = _Block(at, tokens.groups(",|", ")"))
    budget.take(800)
    tokens.expect("{")
    while not tokens.takes("}"):
        at = tokens.at
        if tokens.takes("("):
            states = tokens.groups(",", ")")
            row = tokens.numbers(",", ";")
            budget.take(700 + 8 * len(row) + 120 * sum(map(len, states)))
            block.rows.append((at, states, row))
            continue
        keyword = tokens.word("table, default, property, '(' or '}'")
        if keyword == "property":
            tokens.skip_statement()
        elif keyword in ("table", "default") and getattr(block, keyword) is None:
            setattr(block, keyword, tokens.numbers(",", ";"))
            budget.take(8 * len(getattr(block, keyword)))
        else:
            raise tokens.wrong_last("one table, one default, or property", keyword)
    tokens.takes(";")
    return block


def _table(block: _Block, collected: Collected) -> None:
    """Make the table of a block."""
    names: list[str] = []
    for group in block.header:
        whole = " ".join(group)
        names += [whole] if collected.known(whole) else group
    if not names:
        raise FormatError(RULE, f"{block.at}: probability must name a variable")
    child, *parents = (collected.variable(name, block.at) for name in names)
    shape = collected.room((*parents, child), block.at)
    states = shape[-1]
    if block.table is not None:
        if block.rows:
            raise FormatError(RULE, f"{block.at}: {names[0]!r} must have a table or rows, it has both")
        if block.table.size != math.prod(shape):
            collected.add_table(child, parents, block.table, block.at)  # says how many it must have
        ordered = block.table.reshape(states, -1).T
        collected.add_table(child, parents, np.ascontiguousarray(ordered).reshape(-1), block.at)
        return
    values = np.full((math.prod(shape[:-1]), states), np.nan)
    if block.default is not None:
        values[:] = _of(states, block.default, block.at)
    given = np.zeros(len(values), dtype=bool)
    lookup = [{str(state): place for place, state in enumerate(_states(collected, parent))} for parent in parents]
    for at, words, row in block.rows:
        place = _row(at, _named(words, len(parents)), lookup, names[1:])
        if given[place]:
            raise FormatError(
                "network-table", f"{at}: {names[0]!r} must have one row for states of its parents, it has two"
            )
        given[place] = True
        values[place] = _of(states, row, at)
    if block.default is None and not given.all():
        missing = next(
            chosen for place, chosen in enumerate(product(*lookup)) if not given[place]
        )  # the names in the order of the rows
        raise FormatError(
            "network-table",
            f"{block.at}: {names[0]!r} must have a row for all states of its parents, or a default, it has none for "
            f"({', '.join(missing)})",
        )
    collected.add_table(child, parents, values.reshape(-1), block.at)


def _states(collected: Collected, variable: int) -> tuple[object, ...]:
    states = collected.states[variable]
    assert isinstance(states, tuple)
    return states


def _row(at: str, words: list[str], lookup: list[dict[str, int]], parents: list[str]) -> int:
    """Find the row of some states of the parents."""
    if len(words) != len(lookup):
        raise FormatError(
            "network-table", f"{at}: a row must name a state of each of {len(lookup)} parents, got {len(words)}"
        )
    place = 0
    for word, known, parent in zip(words, lookup, parents, strict=True):
        if word not in known:
            raise FormatError(
                "network-table",
                f"{at}: {parent!r} must have one of its states, {', '.join(list(known)[:8])}, got {word[:40]!r}",
            )
        place = place * len(known) + known[word]
    return place


def _of(states: int, row: FloatArray, at: str) -> FloatArray:
    if len(row) != states:
        raise FormatError("network-table", f"{at}: a row must have {states} probabilities, got {len(row)}")
    return row
