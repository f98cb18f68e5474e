"""From densities to leaves: the grid of the least loss for a number of symbols, and leaves integrated over it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.data.readers import load_array
from pcedge.data.reading import Reading
from pcedge.data.value_grid import Axis, ValueGrid
from pcedge.errors import CircuitError, DataError, UsageError
from pcedge.importers.graph import DensityLeaf, Leaf, Units

#: symbols of a real variable where nobody says how many
SYMBOLS = 64

#: symbols of a variable of whole numbers, at most; what its leaves may have beyond the last one; what is too much
COUNTS, TAIL, LOST = 4096, 1e-9, 1e-3

#: how the bins of a real variable are chosen
BINS = ("even", "least-loss")

#: nats that even bins may forget of a variable: where they forget more, a component is far narrower than the range
MOST_LOSS = 1.0

#: families whose bins may be even: of others a few wide bins would hold nearly all
_EVEN = ("gaussian", "laplace", "logistic", "exponential", "uniform", "histogram")

#: values that must stand behind a distinct one, in the mean, for data to count as steps of a scale
_REPEATED = 4

#: cells between which the edges of a grid are chosen, at most
CELLS = 512

#: points of each density that the cells are made of
_POINTS = 256

#: densities that the search looks at, at most: of more, evenly many
_LOOKED_AT = 64


@dataclass(frozen=True, eq=False)
class Gridding:
    """Hold how real values become symbols: the choices of whoever imports."""

    #: symbols of a real variable, at most
    symbols: int = SYMBOLS
    #: records of values that the grid is chosen for, (records, columns), NaN where missing; None takes the leaves'
    #: quantiles
    data: NDArray[np.float64] | None = None
    #: what becomes of values beyond the ends: `clip` or `refuse`
    outside: str = "clip"
    #: `even`: bins of one width, so that a score tells the density up to a constant; `least-loss`: those that forget
    #: least, which code best
    bins: str = "even"

    def __post_init__(self) -> None:
        """Check number and names."""
        if not 2 <= self.symbols <= 4096:
            raise UsageError(f"the symbols of a grid must be in 2..4096, got {self.symbols}")
        if self.bins not in BINS:
            raise UsageError(f"the bins of a grid must be one of {', '.join(BINS)}, got {self.bins!r}")


@dataclass(frozen=True, eq=False)
class Gridded:
    """Hold an axis, the tables of the densities over it, and what its bins forget."""

    axis: Axis
    #: (densities, symbols)
    tables: FloatArray
    #: nats: the mean of log density less that of a bin's mean density, over the densities
    loss: float


def load_values(source: str | Path) -> NDArray[np.float64]:
    """Load real values that a grid is chosen for, float64 of (records, columns), NaN where one is missing.

    Raises:
        DataError: there is no such file, it breaks its format, or holds no numbers.
    """
    array = load_array(source, Reading(missing=math.nan, typed=True))
    if array.dtype.names is not None:
        array = np.stack([np.asarray(array[name], dtype=np.float64).ravel() for name in array.dtype.names], axis=1)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{source} must hold numbers, got {array.dtype}")
    return np.asarray(array.reshape(len(array), -1), dtype=np.float64)


def grid_variable(
    name: str,
    column: int,
    densities: Sequence[Density],
    weights: Sequence[float] | None = None,
    gridding: Gridding | None = None,
) -> Gridded:
    """Choose the grid of a variable by its leaves' densities, and integrate them over it.

    Densities over real numbers get bins: with data of few distinct steps one around each, else bins of one width, or
    edges of the least mean loss, found by dynamic programming among the densities' quantiles and those of the data.
    Densities over whole numbers get integers from 0.

    Args:
        name: the variable's name.
        column: the data's column.
        densities: of all leaves of the variable; all over real numbers, or all over whole ones.
        weights: how much each counts, as the weight of its mixture component; None takes all alike.
        gridding: how many symbols, and data; None takes the defaults.

    Raises:
        UsageError: real and whole numbers are mixed, or there is no density.
    """
    chosen = gridding or Gridding()
    if not densities:
        raise UsageError(f"variable {name!r} must have at least one density, it has none")
    if len({density.counts for density in densities}) != 1:
        raise UsageError(f"the densities of variable {name!r} must be over real numbers all, or over whole ones all")
    shares = np.ones(len(densities)) if weights is None else np.asarray(weights, dtype=np.float64)
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(densities), 1 / len(densities))
    values = _values(chosen, column)
    if densities[0].counts:
        return _grid_counts(name, column, densities, chosen, values)
    edges = _edges(densities, shares, chosen, values)
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise CircuitError(
            f"variable {name!r} must have bins wider than the steps of float64 near {edges[0]:g}, its leaves are "
            "narrower: subtract an offset from the data and fit again"
        )
    clip = chosen.outside == "clip"
    axis = Axis(name, column, "bins", tuple(edges.tolist()), outside=chosen.outside)
    tables = np.stack([density.masses(edges, clip=clip) for density in densities])
    return Gridded(axis, tables, _loss(densities, shares, edges))


def grid_all(
    names: Sequence[str],
    densities: Mapping[int, Sequence[Density]],
    weights: Mapping[int, Sequence[float]] | None = None,
    gridding: Gridding | None = None,
) -> dict[int, Gridded]:
    """Grid some variables, by their numbers; those with the same densities, as of every step of an HMM, are found once.

    Without data such variables share one grid.
    """
    made: dict[int, Gridded] = {}
    known: dict[object, Gridded] = {}
    for variable, leaves in densities.items():
        shares = None if weights is None else weights.get(variable)
        key = (tuple(leaves), None if shares is None else tuple(shares))
        if (gridding is None or gridding.data is None) and key in known:
            same = known[key]
            axis = replace(same.axis, name=names[variable], column=variable)
            made[variable] = Gridded(axis, same.tables, same.loss)
            continue
        made[variable] = known[key] = grid_variable(names[variable], variable, leaves, shares, gridding)
    return made


def grid_units(
    units: Units | Mapping[Hashable, object],
    names: Sequence[str],
    gridding: Gridding | None = None,
    columns: Sequence[int] | None = None,
) -> tuple[dict[Hashable, object], ValueGrid, tuple[float, ...]]:
    """Turn the density leaves of a graph of units into leaves over a grid.

    Args:
        units: every unit by its key, `DensityLeaf` among them.
        names: of the variables.
        gridding: how many symbols, and data.
        columns: the data's column of every variable; None takes their order.

    Returns:
        The units, the grid of all variables (integers from 0 where leaves are tables), and what the bins of every
        variable forget, in nats.

    Raises:
        CircuitError: a variable has tables and densities over real numbers.
        UsageError: real and whole numbers are mixed.
    """
    places = range(len(names)) if columns is None else columns
    real: dict[int, dict[Hashable, Density]] = {}
    tables: dict[int, int] = {}
    for key, unit in units.items():
        if isinstance(unit, DensityLeaf):
            real.setdefault(unit.variable, {})[key] = unit.density
        elif isinstance(unit, Leaf):
            tables[unit.variable] = max(tables.get(unit.variable, 0), len(unit.table))
    result: dict[Hashable, object] = dict(units)
    axes: list[Axis] = []
    losses = []
    for variable, (name, column) in enumerate(zip(names, places, strict=True)):
        leaves = real.get(variable, {})
        if not leaves:
            axes.append(Axis(name, column, "integers", count=tables.get(variable, 1), outside="refuse"))
            losses.append(0.0)
            continue
        key, first = next(iter(leaves.items()))
        if variable in tables and not first.counts:
            raise CircuitError(f"variable {name!r} must have tables or densities over real numbers, it has both")
        made = grid_variable(name, column, list(leaves.values()), None, gridding)
        axis, symbols = made.axis, max(made.axis.symbols, tables.get(variable, 0))
        rows = list(made.tables)
        if symbols > axis.symbols:  # beside wider tables
            axis = Axis(name, column, "integers", count=symbols, outside=axis.outside)
            rows = [density.count_masses(0, symbols, clip=axis.outside == "clip") for density in leaves.values()]
        for (key, _), row in zip(leaves.items(), rows, strict=True):
            leaf = units[key]
            assert isinstance(leaf, DensityLeaf)
            result[key] = Leaf(leaf.name, variable, row)
        axes.append(axis)
        losses.append(made.loss)
    return result, ValueGrid(tuple(axes)), tuple(losses)


def _values(gridding: Gridding, column: int) -> FloatArray | None:
    if gridding.data is None:
        return None
    if gridding.data.ndim != 2 or column >= gridding.data.shape[1]:
        raise UsageError(f"the data of a grid must have column {column}, they have shape {gridding.data.shape}")
    values = np.asarray(gridding.data[:, column], dtype=np.float64)
    values = values[np.isfinite(values)]
    return np.sort(values) if len(values) else None


def _grid_counts(
    name: str, column: int, densities: Sequence[Density], gridding: Gridding, values: FloatArray | None
) -> Gridded:
    """Take the integers from 0 up to where less than `TAIL` is left, and what the data hold, within `COUNTS`."""
    clip = gridding.outside == "clip"
    most = 0.0 if values is None else float(values[-1])
    count = 2
    while True:
        tail = max(float(density.count_masses(0, count + 1)[-1]) for density in densities)
        if tail < TAIL and most < count:
            break
        if count == COUNTS:
            if tail > LOST:
                raise CircuitError(
                    f"variable {name!r} must have counts below {COUNTS}, {100 * tail:.3g} % of a leaf's mass lies "
                    "beyond: scale the counts down and fit again"
                )
            break
        count = min(count + max(1, count // 8), COUNTS)
    axis = Axis(name, column, "integers", count=count, outside=gridding.outside)
    tables = np.stack([density.count_masses(0, count, clip=clip) for density in densities])
    return Gridded(axis, tables, 0.0)


def _edges(
    densities: Sequence[Density], shares: FloatArray, gridding: Gridding, values: FloatArray | None
) -> FloatArray:
    """Choose edges: around each step of data, those of histograms, of one width, or by the least loss."""
    if values is not None and (found := _steps(values, gridding.symbols)) is not None:
        return found
    if all(density.family in ("histogram", "uniform") for density in densities):
        breaks = np.unique(np.concatenate([_breaks(density) for density in densities]))
        apart = 1e-9 * (breaks[-1] - breaks[0])  # what sums and differences made of one number is one
        breaks = breaks[np.concatenate([[True], np.diff(breaks) > apart])]
        if len(breaks) - 1 <= gridding.symbols:
            return np.asarray(breaks)  # nothing is lost
    if gridding.bins == "even" and all(density.family in _EVEN for density in densities):
        even, constant = _even(densities, gridding.symbols, values), values is not None and values[0] == values[-1]
        if constant or _loss(densities, shares, even) <= MOST_LOSS:
            return even
    if values is not None and values[0] == values[-1]:
        values = None  # an edge on each side of the one value would leave it a bin without mass
    cells = _cells(densities, values)
    if len(cells) - 1 <= gridding.symbols:
        return cells
    return cells[_chosen(_costs(densities, shares, cells, values), gridding.symbols)]


def _steps(values: FloatArray, symbols: int) -> FloatArray | None:
    """Give one bin around each step of data that are multiples of a step, and one beyond each end; None of others."""
    distinct = np.unique(values)
    if len(distinct) < 2 or len(distinct) * _REPEATED > len(values):
        return None
    step = float(np.diff(distinct).min())
    places = (distinct - distinct[0]) / step
    count = round(float(places[-1])) + 1
    if count + 2 > symbols or np.abs(places - places.round()).max() > 1e-3:
        return None
    return np.asarray(distinct[0] + step * (np.arange(count + 3) - 1.5))


def _even(densities: Sequence[Density], symbols: int, values: FloatArray | None) -> FloatArray:
    """Give edges of bins of one width over the range that the densities and the data reach.

    A score is the logarithm of a bin's mass: of bins of one width that of the density, less a constant. Wide bins in
    the tails would make what lies there as likely as what lies in the middle.
    """
    ends = np.stack([density.points(_POINTS)[[0, -1]] for density in densities])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if values is not None:
        if values[0] == values[-1] and low < values[0] < high:  # a constant: it, what is less, and what is more
            return np.array([2 * low - values[0], low, high, 2 * high - values[0]])
        low, high = min(low, float(values[0])), max(high, float(values[-1]))
    return np.linspace(low, high, symbols + 1)


def _breaks(density: Density) -> FloatArray:
    return density.breaks if density.family == "histogram" else np.array(density.parameters)


def _looked_at(densities: Sequence[Density]) -> list[int]:
    """Choose some of many different densities."""
    different = {density: place for place, density in enumerate(densities)}
    places = list(different.values())
    picked = np.unique(np.linspace(0, len(places) - 1, min(len(places), _LOOKED_AT)).astype(int))
    return [places[place] for place in picked]


def _cells(densities: Sequence[Density], values: FloatArray | None) -> FloatArray:
    """Make the edges to choose among: points of all densities and quantiles of the data, evenly by their number."""
    sets = [densities[place].points(_POINTS) for place in _looked_at(densities)]
    if values is not None:
        quantiles = np.quantile(values, np.linspace(0, 1, _POINTS))
        margin = 1e-9 * max(1.0, float(np.abs(quantiles).max()))
        sets += [quantiles] * max(1, len(sets) // 2) + [np.array([quantiles[0] - margin, quantiles[-1] + margin])]
    points = np.unique(np.concatenate(sets))
    # Points nearer to each other than their own last digits are one.
    points = points[np.concatenate([[True], np.diff(points) > 1e-12 * np.maximum(np.abs(points[1:]), 1e-200)])]
    if len(points) > CELLS + 1:
        points = points[np.unique(np.linspace(0, len(points) - 1, CELLS + 1).round().astype(int))]
    return np.asarray(points)


def _costs(
    densities: Sequence[Density], shares: FloatArray, cells: FloatArray, values: FloatArray | None
) -> FloatArray:
    """Give what joining the cells i..j-1 into one bin costs in nats, (cells + 1, cells + 1); see `_loss`."""
    widths = np.diff(cells)
    spans = cells[None, :] - cells[:, None]
    total: FloatArray = np.zeros((len(cells), len(cells)))
    looked = _looked_at(densities)
    parts = [(densities[place].masses(cells, clip=False), shares[place]) for place in looked]
    rest = sum(share for _, share in parts)
    if values is not None:
        parts = [(mass, share / rest / 2) for mass, share in parts]
        parts.append((np.histogram(values, cells)[0] / len(values), 0.5))
    for mass, share in parts:
        with np.errstate(divide="ignore", invalid="ignore"):
            fine = np.where(mass > 0, mass * np.log(mass / widths), 0.0)
            sums, entropies = (np.concatenate([[0.0], np.cumsum(part)]) for part in (mass, fine))
            joint = sums[None, :] - sums[:, None]
            coarse = np.where(joint > 0, joint * np.log(joint / spans), 0.0)
            total += share * (entropies[None, :] - entropies[:, None] - coarse)
    return np.asarray(np.maximum(total, 0.0))


def _chosen(costs: FloatArray, bins: int) -> NDArray[np.int64]:
    """Find the edges of so many bins with the least sum of costs, by dynamic programming."""
    count = len(costs)
    upper = np.where(np.tri(count, k=0, dtype=bool), np.inf, costs)
    best = upper[0].copy()
    froms = np.zeros((bins, count), dtype=np.int64)
    for step in range(1, bins):
        joint = best[:, None] + upper
        froms[step] = joint.argmin(axis=0)
        best = joint[froms[step], np.arange(count)]
    picked = [count - 1]
    for step in range(bins - 1, 0, -1):
        picked.append(int(froms[step][picked[-1]]))
    return np.array([0, *reversed(picked)], dtype=np.int64)


def _loss(densities: Sequence[Density], shares: FloatArray, edges: FloatArray) -> float:
    """Give what bins forget: E log f(x) less E log of the bin's mean density, between the ends, in nats."""
    looked = _looked_at(densities)
    rest = sum(shares[place] for place in looked)
    loss = 0.0
    for place in looked:
        density = densities[place]
        fine = np.unique(np.concatenate([edges, density.points(4 * _POINTS)]))
        fine = fine[(fine >= edges[0]) & (fine <= edges[-1])]
        mass, widths = density.masses(fine, clip=False), np.diff(fine)
        starts = np.searchsorted(fine, edges)
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.where(mass > 0, mass * np.log(mass / widths), 0.0).sum()
            for (low, high), (first, last) in zip(pairwise(starts), pairwise(edges), strict=True):
                whole = mass[low:high].sum()
                inner -= whole * np.log(whole / (last - first)) if whole > 0 else 0.0
        loss += shares[place] / rest * inner if rest > 0 else 0.0
    return float(max(loss, 0.0))
