"""SPFlow's text form of a circuit: units by name, each with its type and, in braces, the units below it."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.graph import MAX_SYMBOLS, Leaf, Product, Sum, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.importers.text import decode, number
from pcedge.limits import MemoryBudget

#: a unit: its name, its type, what stands in its parentheses
_UNIT = re.compile(r"([^\s(){}\[\]|;,*#]+)[ \t]+([A-Za-z]\w*)\(([^(){}]*)\)")
_SPACE = re.compile(r"\s+")
_LIST = re.compile(r"(?:[a-z]\w*\s*=\s*)?\[([^\[\]]*)\]\Z")
#: the start of a unit that is no unit only because of what stands in its parentheses
_OPENED = re.compile(r"[^\s(){}\[\]|;,*#]+[ \t]+[A-Za-z]\w*\([^(){}]*[({]")

RULE = "spn-syntax"


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read an SPFlow text file.

    The first unit is the root. A unit may be written several times, as SPFlow does with one that has several parents,
    if every time it is the same. The last line that starts with `#` names the variables in their order; without one,
    V0, V1, … are taken by their numbers.

    Returns:
        The layers, not yet normalised, with the variables' names.

    Raises:
        FormatError: the text breaks the format; the message has the line or the unit.
        CircuitError: a rule of circuits is broken; the message has the unit.
    """
    entries, names = _scan(decode(data, where), where)
    if not entries:
        raise FormatError(RULE, f"{where} must hold at least one unit, 'Name Type(…)', it holds none")
    if not names:
        names = _number_variables(entries, where)
    index = {name: position for position, name in enumerate(names)}
    units: dict[Hashable, Unit] = {}
    for name, (kind, inside, line) in entries.items():
        at = f"{where}, line {line}, {name}"
        if kind in LEAVES:
            variable, _, parameters = inside.partition("|")
            if variable.strip() not in index:
                known = ", ".join(names[:8]) + ("…" if len(names) > 8 else "")
                raise FormatError(RULE, f"{at}: the variable must be one of {known}, got {variable.strip()[:40]!r}")
            table = LEAVES[kind](parameters, at, budget)
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
    root = next(iter(entries))
    return replace(layers_of(units, root, len(names), budget), variables=tuple(names))


def _scan(text: str, where: str) -> tuple[dict[str, tuple[str, str, int]], list[str]]:
    """Give every unit as (type, what is in its parentheses, line) in the order of the file, and the last comment."""
    entries: dict[str, tuple[str, str, int]] = {}
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
            if depth < 0 or (sign == "{" and not entries):
                raise FormatError(RULE, f"{where}, line {line}: {sign!r} must close or follow a unit")
        elif unit := _UNIT.match(text, position):
            position = unit.end()
            name, kind, inside = unit.groups()
            before = entries.setdefault(name, (kind, inside, line))
            if before[0] != kind or "".join(before[1].split()) != "".join(inside.split()):
                raise FormatError(
                    "import-duplicate", f"{where}, line {line}: {name} must be defined once, line {before[2]} differs"
                )
        else:
            got = text[position : position + 40].splitlines()[0]
            raise FormatError(
                RULE,
                f"{where}, line {line}: a unit, 'Name Type(…)', must stand here, got {got!r}{_hint(text, position)}",
            )
        line += text.count("\n", start, position)
    if depth:
        raise FormatError(RULE, f"{where} must close every brace, {depth} are open at its end: a truncated file")
    names = [name.strip() for name in comment.split(";")] if comment.strip() else []
    if len(set(names)) != len(names) or (names and "" in names):
        raise FormatError(RULE, f"{where}: the last line must name every variable once, got {comment.strip()[:80]!r}")
    return entries, names


def _hint(text: str, position: int) -> str:
    """Say what to do about forms of other writers that are not read."""
    if _OPENED.match(text, position):
        return (
            "; within a unit's parentheses must be none: write np.float64(0.5) as 0.5, and give variables names without"
        )
    if text[position] == "(" and not text[:position].strip():
        return (
            "; equations, as spn_to_str_equation of SPFlow writes, and Libra's circuits are not read: write the "
            "circuit with spn_to_str_ref_graph"
        )
    return ""


def _number_variables(entries: dict[str, tuple[str, str, int]], where: str) -> list[str]:
    """Name the variables V0, V1, … where the file does not name them."""
    used = {inside.partition("|")[0].strip() for kind, inside, _ in entries.values() if kind in LEAVES}
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
    words = [word.strip() for word in inner[1].split(",")]
    if spaced := next((word for word in words if _SPACE.search(word)), None):
        raise FormatError(RULE, f"{at}: numbers must have commas between them, as in [0.2, 0.8], got {spaced[:40]!r}")
    return [number(word, at) for word in words]


def _histogram(parameters: str, at: str, budget: MemoryBudget) -> FloatArray:
    lists = parameters.split(";")
    if len(lists) not in (2, 3):  # some versions write points that represent the bins in a third list
        raise FormatError(
            RULE, f"{at}: a histogram must have the lists of breaks and densities, got {len(lists)} lists"
        )
    return histogram_table(_numbers(lists[0], at), _numbers(lists[1], at), at, budget)


def _categorical(parameters: str, at: str, budget: MemoryBudget) -> FloatArray:
    return categorical_table(_numbers(parameters, at), at)


def _bernoulli(parameters: str, at: str, budget: MemoryBudget) -> FloatArray:
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


def histogram_table(breaks: Sequence[float], densities: Sequence[float], at: str, budget: MemoryBudget) -> FloatArray:
    """Make a leaf's table of a histogram over integers: symbol x has the density of the bin with break <= x < next.

    The last break is the number of symbols. Below the first break the probability is 0.

    Raises:
        FormatError: the breaks do not ascend, are no integers, hold a negative one, end above `MAX_SYMBOLS`, or there
            is not one density, finite and not negative, for every bin; or the table needs too much memory.
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
    # A bin without integers would lose its mass, and one that ends between two would weigh wrongly.
    real = next((index for index, value in enumerate(breaks) if value != math.floor(value)), None)
    if real is not None:
        raise FormatError(
            "import-leaf",
            f"{at}: the breaks of a histogram must be integers, break {real} is {breaks[real]!r}: a histogram over "
            "real values has to be turned into one over integer symbols first",
        )
    if breaks[0] < 0 or breaks[-1] > MAX_SYMBOLS:
        raise FormatError(
            "import-leaf", f"{at}: symbols must be in 0..{MAX_SYMBOLS - 1}, the breaks run {breaks[0]}..{breaks[-1]}"
        )
    budget.take(8 * int(breaks[-1]))
    by_bin = np.concatenate([[0.0], categorical_table(densities, at)])
    widths = np.diff(np.concatenate([[0], np.asarray(breaks, dtype=np.int64)]))
    return np.repeat(by_bin, widths)
