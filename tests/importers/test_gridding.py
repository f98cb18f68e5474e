"""The choice of grids: the least loss for a number of symbols, data of few values, histograms without loss."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pcedge.circuit.densities import Density
from pcedge.errors import CircuitError, UsageError
from pcedge.importers import gridding
from pcedge.importers.graph import DensityLeaf, Leaf
from pcedge.importers.gridding import Gridding, grid_all, grid_units, grid_variable

TWO = [Density("gaussian", (0, 1)), Density("gaussian", (10, 0.1))]


def test_the_loss_falls_with_the_symbols_and_is_that_of_the_bins() -> None:
    losses = [
        grid_variable("x", 0, TWO, None, Gridding(symbols, bins="least-loss")).loss for symbols in (8, 16, 64, 256)
    ]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1e-3
    made = grid_variable("x", 0, TWO, [0.25, 0.75], Gridding(16, bins="least-loss"))
    # The same by sums over a fine grid: E log f - E log(mass / width).
    expected = 0.0
    edges = np.array(made.axis.edges)
    for density, share in zip(TWO, (0.25, 0.75), strict=True):
        mean, std = density.parameters
        x = np.linspace(max(edges[0], mean - 8 * std), min(edges[-1], mean + 8 * std), 400001)
        f = np.exp(-0.5 * ((x - mean) / std) ** 2) / std / np.sqrt(2 * np.pi)
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        flat = density.masses(edges, clip=False)[place] / np.diff(edges)[place]
        kept = (f > 0) & (flat > 0)
        expected += share * np.sum((f * np.log(f / flat))[kept]) * (x[1] - x[0])
    assert made.loss == pytest.approx(expected, rel=2e-2)


def test_dynamic_programming_finds_the_best_edges() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        costs = np.triu(generator.random((9, 9)).cumsum(axis=1), 1)
        picked = gridding._chosen(costs, 4)
        best = min(
            ((0, *inner, 8) for inner in itertools.combinations(range(1, 8), 3)),
            key=lambda edges: sum(costs[a, b] for a, b in itertools.pairwise(edges)),
        )  # fmt: skip
        assert sum(costs[a, b] for a, b in itertools.pairwise(picked.tolist())) == pytest.approx(
            sum(costs[a, b] for a, b in itertools.pairwise(best))
        )


def test_bins_of_one_width_reach_over_densities_and_data() -> None:
    made = grid_variable("x", 0, TWO, None, Gridding(32))
    edges = np.array(made.axis.edges)
    assert (edges[0], edges[-1], len(edges)) == (-8, 10.8, 33)
    assert_allclose(np.diff(edges), 18.8 / 32)
    # A score of these is the density's, but for the bins' one width.
    x = np.array([-0.3, 0.2, 1.7])
    logs = np.log(made.tables[0][made.axis.find(x, allow_missing=False)]) - np.log(18.8 / 32)
    assert_allclose(logs, -0.5 * made.axis.values[made.axis.find(x, allow_missing=False)] ** 2 - 0.919, atol=0.03)
    far = np.random.default_rng(0).normal(50, 1, (1000, 1))
    assert grid_variable("x", 0, TWO, None, Gridding(32, far)).axis.edges[-1] == far.max()
    # A few even bins would hold nearly all of what is skewed.
    skewed = grid_variable("x", 0, [Density("lognormal", (0, 1))], None, Gridding(32))
    assert skewed.loss < 0.01 and np.ptp(np.diff(skewed.axis.edges)) > 1


def test_data_of_steps_get_a_bin_each_and_one_beyond_each_end() -> None:
    data = np.repeat([0.0, 4.0, 1.0, 1.0, np.nan], 4)[:, None]
    made = grid_variable("x", 0, TWO, None, Gridding(64, data))
    assert made.axis.edges == (-1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert made.axis.find(np.array([0, 4, 1, -7, 99]), allow_missing=False).tolist() == [1, 5, 2, 0, 6]
    # Few real values, each seen once, are no steps; nor are those of no common step.
    for values in ([0.0, 4.0, 1.0], [0.0, 1.0, np.pi] * 4):
        made = grid_variable("x", 0, TWO, None, Gridding(64, np.array(values)[:, None]))
        assert (made.axis.edges[0], made.axis.edges[-1]) == (-8, 10.8)


def test_a_constant_gets_three_bins() -> None:
    made = grid_variable("x", 0, [Density("gaussian", (0, 1e-3))], None, Gridding(64, np.zeros((100, 1))))
    assert made.axis.edges == (-0.016, -0.008, 0.008, 0.016)
    assert made.tables[0, 1] == pytest.approx(1) and 0 < made.tables[0, 2] < 1e-14


def test_a_constant_has_mass() -> None:
    constant = np.zeros((50, 1))
    gridded = grid_variable("x", 0, [Density("gaussian", (0.0, 2.0))], gridding=Gridding(17, constant))
    (symbol,) = np.unique(gridded.axis.find(constant[:, 0], allow_missing=False))
    assert gridded.tables[0, symbol] > 0.03


def test_histograms_lose_nothing() -> None:
    leaves = [Density.histogram([0, 0.25, 0.5, 1], [2, 1, 0.5]), Density.histogram([0, 0.3, 1], [1, 1])]
    made = grid_variable("x", 0, leaves)
    assert made.axis.edges == (0.0, 0.25, 0.3, 0.5, 1.0) and made.loss == pytest.approx(0, abs=1e-15)
    assert_allclose(made.tables, [[0.5, 0.05, 0.2, 0.25], [0.25, 0.05, 0.2, 0.5]])


def test_equal_variables_share_a_grid() -> None:
    made = grid_all(["a", "b"], {0: TWO, 1: TWO})
    assert made[1].tables is made[0].tables and (made[1].axis.name, made[1].axis.column) == ("b", 1)


def test_units_on_a_grid() -> None:
    units = {
        "a": DensityLeaf("a", 0, Density("gaussian", (0, 1))),
        "b": Leaf("b", 1, np.array([0.5, 0.25, 0.25])),
        "c": DensityLeaf("c", 1, Density("poisson", (2.0,))),
    }
    made, grid, losses = grid_units(units, ["x", "y"], Gridding(16))
    assert grid.cardinalities == (16, 16) and losses[0] > 0 and losses[1] == 0
    assert_array_equal(made["b"].table, units["b"].table)
    assert made["c"].table.sum() == pytest.approx(1)
    units["d"] = DensityLeaf("d", 1, Density("gaussian", (0, 1)))
    with pytest.raises(CircuitError, match="variable 'y' must have tables or densities over real numbers, it has both"):
        grid_units({key: units[key] for key in "abd"}, ["x", "y"])
    with pytest.raises(UsageError, match="the densities of variable 'y' must be over real numbers all"):
        grid_units({key: units[key] for key in "acd"}, ["x", "y"])


def test_counts_reach_as_far_as_their_leaves() -> None:
    made = grid_variable("n", 0, [Density("poisson", (100.0,)), Density("poisson", (300.0,))])
    assert made.axis.symbols > 400 and made.tables[:, -1].max() < 1e-9
    with pytest.raises(CircuitError, match=r"variable 'n' must have counts below 4096, 100 % of a leaf's mass lies"):
        grid_variable("n", 0, [Density("poisson", (1e6,))])


def test_leaves_narrower_than_floats_are_refused() -> None:
    with pytest.raises(
        CircuitError, match=r"variable 't' must have bins wider than the steps of float64 near 1\.7e\+18"
    ):
        grid_variable("t", 0, [Density("gaussian", (1.7e18, 1.0))])


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"the symbols of a grid must be in 2\.\.4096, got 1"):
        Gridding(1)
    with pytest.raises(UsageError, match="the bins of a grid must be one of even, least-loss, got 'odd'"):
        Gridding(bins="odd")
    with pytest.raises(UsageError, match="variable 'x' must have at least one density, it has none"):
        grid_variable("x", 0, [])
    with pytest.raises(UsageError, match=r"the data of a grid must have column 1, they have shape \(1, 1\)"):
        grid_variable("x", 1, TWO, None, Gridding(8, np.zeros((1, 1))))
