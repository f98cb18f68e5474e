"""Juice's text of a circuit, `.jpc` as ProbabilisticCircuits.jl writes it; PyJuice's `.jpc` is a pickle."""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.graph import MAX_SYMBOLS, Leaf, Product, Sum, Unit
from pcedge.importers.normalise import Draft
from pcedge.importers.numbering import check_variable, numbered_layers
from pcedge.importers.text import decode, integer, log_probability
from pcedge.limits import MemoryBudget

RULE = "jpc-line"
_TEXT = re.compile(rb"\s*(c[^\n]*\n\s*)*jpc[ \t]+[0-9]")
#: words of a line that are no children or logarithms, and how many words each child has
_HEADS = {"L": (4, 0), "I": (5, 0), "C": (4, 1), "P": (4, 1), "S": (4, 2)}


def is_text(data: bytes) -> bool:
    """Tell Juice's text from PyJuice's pickle."""
    return data.startswith((b"c ", b"c\n", b"jpc ")) or _TEXT.match(data[:4096]) is not None


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read literals `L`, indicators `I`, categoricals `C`, products `P` and sums `S`, children first, the root last.

    The ids of vtree nodes say nothing and are not looked at. Variables have numbers from 1, with gaps or not; symbols
    are the integers from 0.

    Raises:
        FormatError: a line breaks the format; the message has it.
        CircuitError: the circuit is not smooth, not decomposable, or has no mass.
    """
    units: dict[Hashable, Unit] = {}
    promised = last = -1
    for line, content in enumerate(decode(data, where).split("\n"), 1):
        words, at = content.split(), f"{where}, line {line}"
        if not words or words[0].startswith("c"):
            continue
        if words[0] == "jpc":
            if promised >= 0 or len(words) != 2:
                raise FormatError(RULE, f"{at}: one header 'jpc count' must stand in the file")
            promised = integer(words[1], at)
            continue
        if promised < 0:
            raise FormatError(RULE, f"{at}: 'jpc count' must stand before the nodes")
        head, each = _HEADS.get(words[0], (0, 0))
        if not head or len(words) < head or (len(words) - head) % each if each else len(words) != head:
            raise FormatError(
                RULE,
                f"{at}: 'L id vtree literal', 'I id vtree variable symbol', 'C id vtree variable {{log}}', "
                f"'P id vtree count {{id}}' or 'S id vtree count {{id log}}' must stand here, got "
                f"{' '.join(words)[:60]!r}",
            )
        last = integer(words[1], at)
        if last in units:
            raise FormatError("import-duplicate", f"{at}: node {last} must be defined once")
        name = f"node {last} (line {line})"
        units[last] = _inner(units, words, name, at) if words[0] in "PS" else _leaf(words, name, at, budget)
    if len(units) != promised or not units:
        raise FormatError(
            RULE,
            f"{where} must hold the {max(promised, 0)} nodes of its header, the last is the root; it holds "
            f"{len(units)}: a damaged file",
        )
    return numbered_layers(units, last, budget)


def _leaf(words: list[str], name: str, at: str, budget: MemoryBudget) -> Leaf:
    number = integer(words[3], at, None if words[0] == "L" else 1)
    variable = check_variable(abs(number), at, RULE)
    if words[0] == "C":
        if not 0 < len(words) - 4 <= MAX_SYMBOLS:
            raise FormatError(
                "import-leaf", f"{at}: a categorical must have 1..{MAX_SYMBOLS} logarithms, got {len(words) - 4}"
            )
        logs = np.array([log_probability(word, at) for word in words[4:]])
        with np.errstate(over="ignore"):  # what is not finite is refused with the unit's name
            return Leaf(name, variable, np.exp(logs))
    symbol = int(number > 0) if words[0] == "L" else integer(words[4], at)
    if symbol >= MAX_SYMBOLS:
        raise FormatError("import-leaf", f"{at}: a symbol must be in 0..{MAX_SYMBOLS - 1}, got {symbol}")
    return Leaf(name, variable, one_hot(symbol, max(2, symbol + 1), budget))


def one_hot(symbol: int, count: int, budget: MemoryBudget) -> FloatArray:
    """Give the table of a leaf with all its mass on one symbol."""
    budget.take(8 * count)
    table = np.zeros(count)
    table[symbol] = 1.0
    return table


def _inner(units: dict[Hashable, Unit], words: list[str], name: str, at: str) -> Unit:
    step = 1 if words[0] == "P" else 2
    children = tuple(integer(word, at) for word in words[4::step])
    if integer(words[3], at) != len(children) or not children:
        raise FormatError(RULE, f"{at}: a node must have as many children as it says, {words[3]}, got {len(children)}")
    if wrong := [child for child in children if child not in units]:
        raise FormatError("import-undefined", f"{at}: children must stand above their node, {wrong[0]} does not")
    if words[0] == "P":
        return Product(name, children)
    return Sum(name, children, tuple(log_probability(word, at) for word in words[5::2]))
