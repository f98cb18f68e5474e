"""Hugin's NET: nodes with their states, and a potential for each, as lists in lists."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.networks import Collected, Network
from pcedge.importers.text import decode
from pcedge.importers.tokens import Tokens
from pcedge.limits import MemoryBudget

RULE = "net-syntax"

_TOKEN = re.compile(
    r'(?P<skip>\s+|%[^\n]*)|(?P<quoted>"(?P<inside>[^"\\]*(?:\\.[^"\\]*)*)")|(?P<sign>[{}()\[\];,|=])|[^\s{}()\[\];,|="%]+',
    re.DOTALL,
)

#: kinds of nodes and what to do about them
_OTHERS = {
    "continuous": "make states of its values first",
    "utility": "take utilities and decisions out first",
    "decision": "take utilities and decisions out first",
    "function": "take function nodes out first",
}


@dataclass(eq=False)
class _Potential:
    """Hold a potential: read when all nodes are known, for it may stand before these."""

    at: str
    heads: list[str]
    parents: list[str]
    data: FloatArray | None


def read(data: bytes, where: str, budget: MemoryBudget) -> Network:
    """Read a NET file: `net { … }` with nodes and potentials beside it, or all within `class NAME { … }`.

    The numbers of a potential stand in lists in lists, one for each states of the first parent, and so on; those of the
    variable itself are the innermost. A potential without `data` is uniform. Rows are divided by their sums, as Hugin
    does it. Attributes other than states and data are skipped, and so is what stands after `%` in a line.

    Raises:
        FormatError: the text breaks the format, a table its rules; the message has the line.
    """
    tokens = Tokens(decode(data, where), _TOKEN, RULE, where)
    collected = Collected(where, budget, rescale=True)
    potentials: list[_Potential] = []
    within = False
    while not tokens.ended:
        if within and tokens.takes("}"):
            within = False
            continue
        keyword = tokens.word("net, node or potential")
        if keyword == "net":
            tokens.skip_block()
        elif keyword == "class" and not within:
            tokens.words_until("{")
            tokens.expect("{")
            within = True
        elif keyword in ("node", "discrete"):
            if keyword == "discrete" and (word := tokens.word("node")) != "node":
                raise tokens.wrong_last("node", word)
            _node(tokens, collected)
        elif keyword == "potential":
            potentials.append(_potential(tokens, budget))
        elif keyword in _OTHERS:
            at, name = tokens.at_last, " ".join(tokens.words_until("{;")[-1:])
            raise FormatError(RULE, f"{at}: {name[:40]!r} must be a discrete node, it is {keyword}; {_OTHERS[keyword]}")
        elif within and tokens.takes("="):
            tokens.skip_statement()
        elif keyword == "instance":
            raise FormatError(
                RULE, f"{tokens.at_last}: a class must hold nodes alone, got an instance; unroll it first"
            )
        else:
            raise tokens.wrong_last("net, node or potential", keyword)
    if within:
        raise tokens.wrong("'}'")
    for potential in potentials:
        _table(potential, collected)
    return collected.network()


def _node(tokens: Tokens, collected: Collected) -> None:
    """Take `NAME { states = ("a" "b"); … }`."""
    at = tokens.at
    name = tokens.word("a name")
    states: list[str] | None = None
    tokens.expect("{")
    while not tokens.takes("}"):
        attribute = tokens.word("an attribute or '}'")
        tokens.expect("=")
        if attribute == "states":
            tokens.expect("(")
            states = [word for group in tokens.groups(",", ")") for word in group]
            tokens.expect(";")
        else:
            tokens.skip_statement()
    if states is None:
        raise FormatError(RULE, f"{at}: {name[:40]!r} must have states")
    collected.add_variable(name, states, at)


def _potential(tokens: Tokens, budget: MemoryBudget) -> _Potential:
    """Take `(A | B C) { data = ((…)(…)); }`."""
    at = tokens.at
    tokens.expect("(")
    heads = tokens.words_until("|)")
    parents = tokens.words_until(")") if tokens.takes("|") else []
    tokens.expect(")")
    budget.take(800 + 120 * len(parents))
    data = None
    tokens.expect("{")
    while not tokens.takes("}"):
        attribute = tokens.word("data or '}'")
        tokens.expect("=")
        if attribute == "data":
            data = _numbers(tokens)
            budget.take(8 * len(data))
        elif attribute in ("model_nodes", "model_data"):
            raise FormatError(RULE, f"{at}: a potential must have numbers, got {attribute}; let Hugin save its table")
        else:
            tokens.skip_statement()
    return _Potential(at, heads, parents, data)


def _numbers(tokens: Tokens) -> FloatArray:
    """Take numbers in lists in lists, in their order; parentheses must close."""
    depth, parts = 0, []
    while True:
        if tokens.takes("("):
            depth += 1
        elif depth and tokens.takes(")"):
            depth -= 1
        elif tokens.is_sign and not (depth and tokens.token == ","):
            break
        else:
            parts.append(tokens.numbers_here(","))
    if depth:
        raise tokens.wrong("')'")
    tokens.expect(";")
    return np.concatenate([np.zeros(0), *parts])


def _table(potential: _Potential, collected: Collected) -> None:
    """Make the table of a potential."""
    if len(potential.heads) != 1:
        raise FormatError(
            RULE, f"{potential.at}: a potential must be of one variable given others, got {len(potential.heads)}"
        )
    child, *parents = (collected.variable(name, potential.at) for name in (*potential.heads, *potential.parents))
    shape = collected.room((*parents, child), potential.at)
    values = np.ones(math.prod(shape)) if potential.data is None else potential.data
    collected.add_table(child, parents, values, potential.at)
