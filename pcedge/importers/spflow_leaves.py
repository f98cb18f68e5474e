"""SPFlow's leaves: what stands in their parentheses, and how all leaves of a variable come to one set of symbols."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError, FormatError
from pcedge.importers.graph import MAX_SYMBOLS, DensityLeaf, Leaf, Product, Sum, Units, layers_of
from pcedge.importers.gridding import Gridding, grid_units
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow_names import Variables
from pcedge.importers.text import number
from pcedge.limits import MemoryBudget

RULE = "spn-syntax"
#: parameters and breaks lie within plus and minus this, so that sums and products of them stay finite
MOST = 1e150

_SPACE = re.compile(r"\s+")
_LIST = re.compile(r"(?:[a-z]\w*\s*=\s*)?\[([^\[\]]*)\]\Z")
_PAIRS = re.compile(r"(?:p\s*=\s*)?\{([^{}]*)\}\Z")
_ELIDED = re.compile(r"\.\.\.|…")


@dataclass(frozen=True)
class Histogram:
    """Hold a histogram as it is written; it is over real numbers if it says so, or another leaf of its variable is."""

    breaks: tuple[float, ...]
    densities: tuple[float, ...]
    #: whether it says that it is over real numbers
    real: bool


@dataclass(frozen=True)
class Chances:
    """Hold the probabilities of some symbols; all others have 0."""

    of: tuple[tuple[int, float], ...]


#: what a leaf is: weights of the symbols 0, 1, … or of some, a density, or a histogram over either
Content = FloatArray | Chances | Density | Histogram


@dataclass(frozen=True, eq=False, slots=True)
class RawLeaf:
    """Hold a leaf before its variable's symbols are known."""

    name: str
    variable: int
    content: Content


RawUnits = Mapping[Hashable, RawLeaf | Product | Sum]


def draft_of(
    units: RawUnits,
    root: Hashable,
    variables: Variables,
    gridding: Gridding,
    budget: MemoryBudget,
) -> Draft:
    """Give all leaves of a variable one set of symbols, and make layers.

    A variable with a density over real numbers, or a histogram that says so, gets bins; its other histograms are
    taken as those of real numbers too. Where all is integers from 0 of V0, V1, … in columns 0, 1, …, there is no grid.

    Args:
        units: every unit by its key.
        root: the root's key.
        variables: their names and columns.
        gridding: how real values become symbols.
        budget: of the file's memory.

    Raises:
        FormatError, CircuitError: as `layers_of` and `grid_units`; a histogram's breaks are no symbols.
    """
    real = {unit.variable for unit in units.values() if isinstance(unit, RawLeaf) and _is_real(unit.content)}
    made: dict[Hashable, Leaf | DensityLeaf | Product | Sum] = {}
    totals: dict[Hashable, float] = {}
    for key, unit in units.items():
        if not isinstance(unit, RawLeaf):
            made[key] = unit
        elif isinstance(unit.content, Density):
            made[key] = DensityLeaf(unit.name, unit.variable, unit.content)
        elif isinstance(unit.content, Chances):
            made[key] = Leaf(unit.name, unit.variable, _chance_table(unit.content, budget))
        elif not isinstance(unit.content, Histogram):
            made[key] = Leaf(unit.name, unit.variable, unit.content)
        elif unit.variable in real:
            density, totals[key] = _normalised(unit.content, unit.name)
            made[key] = DensityLeaf(unit.name, unit.variable, density)
        else:
            made[key] = Leaf(unit.name, unit.variable, histogram_table(unit.content, unit.name, budget))
    names, columns = variables.names, variables.columns
    grid: ValueGrid | None = None
    losses: tuple[float, ...] = ()
    dense = any(isinstance(unit, DensityLeaf) for unit in made.values())
    named = names != tuple(f"V{column}" for column in columns)
    if dense or named or columns != tuple(range(len(names))):
        gridded, grid, found = grid_units(made, names, gridding, columns)
        for key, total in totals.items():
            leaf = cast(Leaf, gridded[key])
            gridded[key] = Leaf(leaf.name, leaf.variable, leaf.table * total)
        made, losses = cast("dict[Hashable, Leaf | DensityLeaf | Product | Sum]", gridded), found if dense else ()
    # No density is left.
    draft = layers_of(cast(Units, made), root, len(names), budget)
    return replace(draft, variables=names, grid=grid, losses=losses, notes=draft.notes + variables.notes)


def _is_real(content: Content) -> bool:
    if isinstance(content, Histogram):
        return content.real
    return isinstance(content, Density) and not content.counts


def _normalised(content: Histogram, name: str) -> tuple[Density, float]:
    """Give a histogram over real numbers as a density, and its total, which need not be 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.dot(np.diff(content.breaks), content.densities))
    if not (math.isfinite(total) and total > 0):
        raise CircuitError(f"{name} must have a finite total above zero, got {total}")
    return density("histogram", (*content.breaks, *content.densities), name), total


def density(family: str, parameters: Sequence[float], at: str) -> Density:
    """Make a density.

    Raises:
        FormatError: its parameters are out of range.
    """
    if wrong := [value for value in parameters if not abs(value) <= MOST]:
        raise FormatError(
            "import-leaf", f"{at}: the parameters of a {family} must be within {MOST:g}, got {wrong[0]:g}"
        )
    try:
        return Density(family, tuple(parameters))
    except CircuitError as error:
        raise FormatError("import-leaf", f"{at}: {error}") from error


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


def chances(pairs: Iterable[tuple[float, float]], at: str) -> Chances:
    """Check pairs of a symbol and its probability.

    Raises:
        FormatError: a symbol is no integer in range or named twice, or a probability is negative or not finite.
    """
    known: dict[int, float] = {}
    for symbol, probability in pairs:
        if not (symbol == math.floor(symbol) and 0 <= symbol < MAX_SYMBOLS):
            raise FormatError("import-leaf", f"{at}: symbols must be integers in 0..{MAX_SYMBOLS - 1}, got {symbol:g}")
        if int(symbol) in known:
            raise FormatError("import-leaf", f"{at}: a symbol must be given once, {int(symbol)} is given twice")
        known[int(symbol)] = probability
    categorical_table(list(known.values()), at)
    return Chances(tuple(known.items()))


def _chance_table(content: Chances, budget: MemoryBudget) -> FloatArray:
    symbols = 1 + max(symbol for symbol, _ in content.of)
    budget.take(8 * symbols)
    table = np.zeros(symbols)
    for symbol, probability in content.of:
        table[symbol] = probability
    return table


def histogram(breaks: Sequence[float], densities: Sequence[float], points: Sequence[float], at: str) -> Histogram:
    """Check a histogram; it is one over real numbers if a break, or a point that represents a bin, is no integer.

    Raises:
        FormatError: the breaks do not ascend, or there is not one density, finite and not negative, for every bin.
    """
    rising = all(abs(b) <= MOST for b in breaks) and all(a < b for a, b in pairwise(breaks))
    if len(breaks) < 2 or not rising:
        raise FormatError(
            "import-leaf", f"{at}: a histogram must have at least 2 breaks that ascend, {list(breaks[:8])} came"
        )
    if len(densities) != len(breaks) - 1:
        raise FormatError(
            "import-leaf", f"{at}: {len(breaks)} breaks need {len(breaks) - 1} densities, got {len(densities)}"
        )
    categorical_table(densities, at)
    real = any(value != math.floor(value) for value in (*breaks, *points))
    return Histogram(tuple(breaks), tuple(densities), real)


def histogram_table(content: Histogram, at: str, budget: MemoryBudget) -> FloatArray:
    """Make a leaf's table of a histogram over integers: symbol x has the density of the bin with break <= x < next.

    The last break is the number of symbols. Below the first break the probability is 0.

    Raises:
        FormatError: the breaks hold a negative one or end above `MAX_SYMBOLS`, or the table needs too much memory.
    """
    breaks = content.breaks
    if breaks[0] < 0 or breaks[-1] > MAX_SYMBOLS:
        raise FormatError(
            "import-leaf", f"{at}: symbols must be in 0..{MAX_SYMBOLS - 1}, the breaks run {breaks[0]}..{breaks[-1]}"
        )
    # an eighth more than the numbers: what else the reader holds must not be what has no room
    budget.take(9 * int(breaks[-1]))
    widths = np.diff(np.concatenate([[0], np.asarray(breaks, dtype=np.int64)]))
    return np.repeat(np.concatenate([[0.0], content.densities]), widths)


def log_weights(weights: Sequence[float], at: str) -> tuple[float, ...]:
    """Take the logarithms of weights.

    Raises:
        FormatError: one is negative or not finite.
    """
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise FormatError("import-weight", f"{at}: a weight must be finite and not negative, got {weight}")
    return tuple(math.log(weight) if weight > 0 else -math.inf for weight in weights)


# The text in a leaf's parentheses


def _numbers(text: str, at: str) -> list[float]:
    """Read a list as Python or numpy print it: with commas, or with spaces alone."""
    _refuse_elided(text, at)
    inner = _LIST.match(text.strip())
    if not inner:
        raise FormatError(RULE, f"{at}: a list '[…]' must stand here, got {text.strip()[:40]!r}")
    if "," not in inner[1]:
        return [number(word, at) for word in inner[1].split()]
    # numpy puts spaces and line ends after its commas
    words = [word.strip() for word in inner[1].split(",")]
    if spaced := next((word for word in words if _SPACE.search(word)), None):
        raise FormatError(
            RULE, f"{at}: numbers must have commas between all of them or none, as in [0.2, 0.8], got {spaced[:40]!r}"
        )
    return [number(word, at) for word in words]


def _refuse_elided(text: str, at: str) -> None:
    if elided := _ELIDED.search(text):
        raise FormatError(
            "import-leaf",
            f"{at}: a list must hold all its numbers, numpy elided some, it wrote {elided[0]!r} (…): write the file "
            "again after numpy.set_printoptions(threshold=sys.maxsize)",
        )


def _histogram(parameters: str, at: str) -> Content:
    _refuse_elided(parameters, at)
    lists = parameters.split(";")
    if len(lists) not in (2, 3):  # some versions write points that represent the bins in a third list
        raise FormatError(
            RULE, f"{at}: a histogram must have the lists of breaks and densities, got {len(lists)} lists"
        )
    points = _numbers(lists[2], at) if len(lists) == 3 else []
    return histogram(_numbers(lists[0], at), _numbers(lists[1], at), points, at)


def _categorical(parameters: str, at: str) -> Content:
    return categorical_table(_numbers(parameters, at), at)


def _dictionary(parameters: str, at: str) -> Content:
    _refuse_elided(parameters, at)
    inner = _PAIRS.match(parameters.strip())
    words = [word.partition(":") for word in inner[1].split(",")] if inner else [("", "", "")]
    if not all(colon for _, colon, _ in words):
        raise FormatError(
            RULE, f"{at}: symbols with their probabilities, '{{0: 0.5, 3: 0.5}}', must stand here, got "
            f"{parameters.strip()[:40]!r}"
        )  # fmt: skip
    return chances([(number(key.strip(), at), number(value.strip(), at)) for key, _, value in words], at)


def _bernoulli(parameters: str, at: str) -> Content:
    (one,) = _named(parameters, ("p",), at)
    return categorical_table([1 - one, one], at)


def _named(parameters: str, names: Sequence[str], at: str, ignored: Sequence[str] = ()) -> list[float]:
    """Read 'name=number;name=number', or the numbers alone in the order of the names."""
    found: dict[str, float] = {}
    words = [word.strip() for word in parameters.split(";")]
    for place, word in enumerate(words):
        name, equal, value = word.partition("=")
        if not equal:
            name, value = (names[place] if place < len(names) else ""), word
        if name.strip() in ignored:
            continue
        if name.strip() not in names or name.strip() in found:
            break
        found[name.strip()] = number(value.strip(), at)
    else:
        if len(found) == len(names):
            return [found[name] for name in names]
    raise FormatError(
        RULE, f"{at}: {';'.join(f'{name}=…' for name in names)} must stand here, got {parameters.strip()[:60]!r}"
    )


def _uniform(parameters: str, at: str) -> Content:
    low_type = re.search(r"type\s*=\s*(?:Type\.)?(\w+)", parameters)
    if low_type and low_type[1] in ("COUNT", "CATEGORICAL", "ORDINAL", "BINARY"):
        raise FormatError(
            "import-leaf", f"{at}: a Uniform must be over real numbers, its type is {low_type[1]}: write a Categorical"
        )
    height, start, end = _named(parameters, ("density", "start", "end"), at, ("type",))
    return replace(histogram((start, end), (height,), (), at), real=True)


def _parametric(family: str, names: Sequence[str], own: Callable[..., tuple[float, ...]]) -> Callable[..., Content]:
    def read(parameters: str, at: str) -> Content:
        values = _named(parameters, names, at)
        try:
            converted = own(*values)
        except ZeroDivisionError as error:
            raise FormatError("import-leaf", f"{at}: {names[-1]} must not be 0") from error
        return density(family, converted, at)

    return read


#: leaf types, and what reads the text of their parameters; SPFlow's parameters are those of scipy but for the rates
LEAVES: dict[str, Callable[[str, str], Content]] = {
    "Histogram": _histogram,
    "Categorical": _categorical,
    "CategoricalDictionary": _dictionary,
    "Bernoulli": _bernoulli,
    "Gaussian": _parametric("gaussian", ("mean", "stdev"), lambda mean, std: (mean, std)),
    "LogNormal": _parametric("lognormal", ("mean", "stdev"), lambda mean, std: (mean, std)),
    "Gamma": _parametric("gamma", ("alpha", "beta"), lambda alpha, beta: (alpha, 1 / beta)),
    "Exponential": _parametric("exponential", ("l",), lambda rate: (0.0, 1 / rate)),
    "Uniform": _uniform,
    "Poisson": _parametric("poisson", ("mean",), lambda mean: (mean,)),
    "Geometric": _parametric("trials", ("p",), lambda p: (p,)),
}

#: leaf types that are known and not read, and what to do
REFUSED = {
    "NegativeBinomial": "SPFlow itself gives it no likelihood; write it as a Categorical over its counts",
    "Hypergeometric": "SPFlow itself gives it no likelihood; write it as a Categorical over its counts",
    "PiecewiseLinear": "integrate it over bins and write it as a Histogram",
    "Conditional": "it depends on values from outside the circuit",
    "CLTree": "write each as sums and products of Bernoulli leaves",
}


def read_leaf(kind: str, parameters: str, at: str) -> Content:
    """Read what stands in a leaf's parentheses behind its variable.

    Raises:
        FormatError: the type is not known, or its parameters break the format.
    """
    if kind in LEAVES:
        return LEAVES[kind](parameters, at)
    advice = REFUSED.get(kind, "write a leaf of another type as a Histogram over the bins of its values")
    raise FormatError("import-leaf", f"{at}: the type must be one of {', '.join(LEAVES)}, got {kind}: {advice}")
