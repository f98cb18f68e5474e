"""SPFlow's text form of a circuit: units by name, each with its type and, in braces, the units below it."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.graph import MAX_SYMBOLS, MAX_TABLE, Leaf, Product, Sum, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.importers.text import decode, number

#: a unit: its name, its type, what stands in its parentheses
_UNIT = re.compile(r"([^\s(){}\[\]|;,*#]+)[ \t]+([A-Za-z]\w*)\(([^(){}]*)\)")
_SPACE = re.compile(r"\s+")
_LIST = re.compile(r"(?:[a-z]\w*\s*=\s*)?\[([^\[\]]*)\]\Z")

RULE = "spn-syntax"


def read(data: bytes, where: str) -> tuple[Draft, tuple[str, ...]]:
    """Read an SPFlow text file.

    The first unit is the root. A unit may be written several times, as SPFlow does with one that has several parents,
    if every time it is the same. The last line that starts with `#` names the variables in their order; without one,
    V0, V1, … are taken by their numbers.

    Returns:
        The layers, not yet normalised, and the variables' names.

    Raises:
        FormatError: the text breaks the format; the message has the line or the unit.
        CircuitError: a rule of circuits is broken; the message has the unit.
    """
    found, names = _scan(decode(data, where), where)
    if not found:
        raise FormatError(RULE, f"{where} must hold at least one unit, 'Name Type(…)', it holds none")
    if not names:
        names = _numbered(found, where)
    index = {name: position for position, name in enumerate(names)}
    units: dict[Hashable, Unit] = {}
    budget = MAX_TABLE
    for name, (kind, inside, line) in found.items():
        at = f"{where}, line {line}, {name}"
        if kind in LEAVES:
            variable, _, parameters = inside.partition("|")
            if variable.strip() not in index:
                known = ", ".join(names[:8]) + ("…" if len(names) > 8 else "")
                raise FormatError(RULE, f"{at}: the variable must be one of {known}, got {variable.strip()[:40]!r}")
            table = LEAVES[kind](parameters, at)
            budget -= len(table)
            if budget < 0:
                raise FormatError("import-size", f"{where}: all leaf tables must hold {MAX_TABLE} numbers at most")
            units[name] = Leaf(name, index[variable.strip()], table)
        elif kind == "ProductNode":
            units[name] = Product(name, tuple(_words(inside, at)))
        elif kind == "SumNode":
            units[name] = _sum(name, _words(inside, at), at)
        else:
            raise FormatError(
                "import-leaf",
                f"{at}: the type must be SumNode, ProductNode, {', '.join(LEAVES)}, got {kind}; a leaf of another "
                "type has to be turned into a histogram over integer symbols first",
            )
    root = next(iter(found))
    return layers_of(units, root, len(names)), tuple(names)


def _scan(text: str, where: str) -> tuple[dict[str, tuple[str, str, int]], list[str]]:
    """Give every unit as (type, what is in its parentheses, line) in the order of the file, and the last comment."""
    found: dict[str, tuple[str, str, int]] = {}
    comment = ""
    position, line, depth = 0, 1, 0
    while position < len(text):
        sign = text[position]
        start = position
        if space := _SPACE.match(text, position):
            position = space.end()
        elif sign == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            comment = text[start + 1 : position]
        elif sign in "{}":
            depth += 1 if sign == "{" else -1
            position += 1
            if depth < 0 or (sign == "{" and not found):
                raise FormatError(RULE, f"{where}, line {line}: {sign!r} must close or follow a unit")
        elif unit := _UNIT.match(text, position):
            position = unit.end()
            name, kind, inside = unit.groups()
            before = found.setdefault(name, (kind, inside, line))
            if before[0] != kind or "".join(before[1].split()) != "".join(inside.split()):
                raise FormatError(
                    "import-duplicate", f"{where}, line {line}: {name} must be defined once, line {before[2]} differs"
                )
        else:
            got = text[position : position + 40].splitlines()[0]
            raise FormatError(RULE, f"{where}, line {line}: a unit, 'Name Type(…)', must stand here, got {got!r}")
        line += text.count("\n", start, position)
    if depth:
        raise FormatError(RULE, f"{where} must close every brace, {depth} are open at its end: a truncated file")
    names = [name.strip() for name in comment.split(";")] if comment.strip() else []
    if len(set(names)) != len(names) or (names and "" in names):
        raise FormatError(RULE, f"{where}: the last line must name every variable once, got {comment.strip()[:80]!r}")
    return found, names


def _numbered(found: dict[str, tuple[str, str, int]], where: str) -> list[str]:
    """Name the variables V0, V1, … where the file does not name them."""
    used = {inside.partition("|")[0].strip() for kind, inside, _ in found.values() if kind in LEAVES}
    if not all(re.match(r"V[0-9]{1,6}\Z", name) for name in used):
        raise FormatError(RULE, f"{where} must name its variables in a last line '# name;name;…', it has none")
    count = 1 + max((int(name[1:]) for name in used), default=-1)
    if count != len(used):
        raise FormatError(RULE, f"{where} must have leaves of V0..V{count - 1}, or a last line '# name;name;…'")
    return [f"V{position}" for position in range(count)]


def _words(inside: str, at: str) -> list[str]:
    words = [word.strip() for word in inside.split(",")]
    if not all(words):
        raise FormatError(RULE, f"{at}: the children must be given by name, got {inside[:40]!r}")
    return words


def _sum(name: str, words: list[str], at: str) -> Sum:
    children, weights = [], []
    for word in words:
        weight, star, child = word.partition("*")
        if not star or not child.strip():
            raise FormatError(RULE, f"{at}: a child must be given as weight*name, got {word[:40]!r}")
        children.append(child.strip())
        weights.append(number(weight.strip(), at))
    return Sum(name, tuple(children), log_weights(weights, at))


def log_weights(weights: Sequence[float], at: str) -> tuple[float, ...]:
    """Take the logarithms of weights.

    Raises:
        FormatError: one is negative or not finite.
    """
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise FormatError("import-weight", f"{at}: a weight must be finite and not negative, got {weight}")
    return tuple(math.log(weight) if weight > 0 else -math.inf for weight in weights)


def _numbers(text: str, at: str) -> list[float]:
    inner = _LIST.match(text.strip())
    if not inner:
        raise FormatError(RULE, f"{at}: a list '[…]' must stand here, got {text.strip()[:40]!r}")
    # numpy wrote the list: it puts commas, and spaces and line ends after them
    return [number(word.strip(), at) for word in inner[1].split(",")]


def _histogram(parameters: str, at: str) -> FloatArray:
    parts = parameters.split(";")
    if len(parts) not in (2, 3):  # some versions write points that represent the bins in a third list
        raise FormatError(
            RULE, f"{at}: a histogram must have the lists of breaks and densities, got {len(parts)} lists"
        )
    return histogram_table(_numbers(parts[0], at), _numbers(parts[1], at), at)


def _categorical(parameters: str, at: str) -> FloatArray:
    return categorical_table(_numbers(parameters, at), at)


def _bernoulli(parameters: str, at: str) -> FloatArray:
    one = number(parameters.strip().removeprefix("p=").strip(), at)
    return categorical_table([1 - one, one], at)


#: leaf types and what turns their parameters into a table
LEAVES = {"Histogram": _histogram, "Categorical": _categorical, "Bernoulli": _bernoulli}


def categorical_table(values: Sequence[float], at: str) -> FloatArray:
    """Make a leaf's table of a list of probabilities.

    Raises:
        FormatError: there are none or too many, or one is negative or not finite.
    """
    if not 0 < len(values) <= MAX_SYMBOLS:
        raise FormatError("import-leaf", f"{at}: a leaf must have 1..{MAX_SYMBOLS} symbols, got {len(values)}")
    for value in values:
        if not (math.isfinite(value) and value >= 0):
            raise FormatError("import-leaf", f"{at}: a probability must be finite and not negative, got {value}")
    return np.array(values, dtype=np.float64)


def histogram_table(breaks: Sequence[float], densities: Sequence[float], at: str) -> FloatArray:
    """Make a leaf's table of a histogram over integers: symbol x has the density of the bin with break <= x < next.

    The last break is the number of symbols. Below the first break the probability is 0.

    Raises:
        FormatError: the breaks do not ascend, hold a negative integer, end above `MAX_SYMBOLS`, or there is not one
            density, finite and not negative, for every bin.
    """
    rising = all(math.isfinite(b) for b in breaks) and all(a < b for a, b in pairwise(breaks))
    if len(breaks) < 2 or not rising:
        raise FormatError(
            "import-leaf", f"{at}: a histogram must have at least 2 breaks that ascend, {breaks[:8]} came"
        )
    if len(densities) != len(breaks) - 1:
        raise FormatError(
            "import-leaf", f"{at}: {len(breaks)} breaks need {len(breaks) - 1} densities, got {len(densities)}"
        )
    if math.ceil(breaks[0]) < 0 or not 0 < math.ceil(breaks[-1]) <= MAX_SYMBOLS:
        raise FormatError(
            "import-leaf", f"{at}: symbols must be in 0..{MAX_SYMBOLS - 1}, the breaks run {breaks[0]}..{breaks[-1]}"
        )
    by_bin = np.concatenate([[0.0], categorical_table(densities, at)])
    table: FloatArray = by_bin[np.searchsorted(breaks, np.arange(math.ceil(breaks[-1])), side="right")]
    return table
