"""Sparsifying: EM under a prior that makes latent states pay for themselves, until a budget holds.

The M-step of a sum shares out its expected counts. Here it is the one of a Dirichlet prior of negative counts on whole
states: of a state j that the records reach f_j times, the count of every edge that leads to it becomes

    n'_ij = n_ij max(0, f_j - tau) / f_j,

so a state that explains tau records or fewer gets nothing, and what it explained goes to other states in the steps that
follow, which merging or dropping states at once cannot do. The best state of a latent stays, and so does the best edge
of a row. tau is in records: a description length, what the memory of a state costs over what one record costs.

Nobody has to know tau. It starts at an eighth of the mean flow of a state and follows the budget by dual ascent: after
each step it grows by the factor exp(0.02 (cost - budget) / budget), between 0.5 % and 5 % a step, so it slows as the
cost comes near. In the step that goes below the budget the states of least flow die one by one until it just holds.
Tables are counted anew too, drawn to what they were at first; leaves with parameters stay as they are. A weight of 0
stays 0. Training after the pass brings the rest.

Edges can die in place of states, by the same formula with the edge's own flow; the best of a row stays. That is for
hardware that skips single weights: engines of one multiplier, and unrolled circuits. Tiles of weights were tried too
and are no option: with 6,000 weights of digits, tiles of 4 x 4 had 2.12 bits where states had 1.976.

After Xia, Tsang and Lau, "Structured Bayesian Compression for Deep Neural Networks Based on the Turbo-VBI Approach",
IEEE Transactions on Signal Processing 2023: there groups of weights have a prior that switches them off together. The
controller after Dutta, Gupta and Agarwal, "VTrans", 2024: there the multiplier of a constraint finds the sparsity that
a budget needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import float_entries, positions, with_entries
from pcedge.compress.flows import BoolArray
from pcedge.compress.passes import Evidence, Flows, Outcome, Pass, Target, smallest_step
from pcedge.compress.pruning import state_layers
from pcedge.compress.rebuilding import rebuilt
from pcedge.errors import UsageError

#: tau starts at this share of the mean flow of a state
FIRST = 1 / 8
#: how much the logarithm of tau grows a step, for a cost of twice the budget
RATE = 0.02
#: the least and the most that it grows, so that the steps end, and states have the time to take over what others lose
LEAST, MOST = 0.005, 0.05
#: steps at most; after them states of least flow are dropped until the budget holds
STEPS = 200
#: steps under a tau that is given
STEPS_OF_GIVEN = 40

#: records that are added to a row's counts, spread over the edges that stay
SUM_PSEUDOCOUNT = 0.3
#: records that are added to a leaf's counts, as its table was at first: it has been drawn to what it should be, and its
#: counts alone would learn the train records by heart
LEAF_PSEUDOCOUNT = 30.0


@dataclass(frozen=True, eq=False)
class _Groups:
    """Number what lives or dies as a whole: the states of all latents, or all edges."""

    #: the family of every group, ascending, of which one stays: a state's latent, or an edge's row
    families: IntArray
    #: for every sum layer the row and the group of its edges, flat; the group is -1 below units that products use too
    edges: dict[int, tuple[IntArray, IntArray]]

    def flow(self, flows: Flows) -> FloatArray:
        """Add up what passes every group."""
        total = np.zeros(len(self.families))
        for index, (_, groups) in self.edges.items():
            values = np.asarray(flows[index]).reshape(-1)
            total += np.bincount(groups[groups >= 0], weights=values[groups >= 0], minlength=len(total))
        return total

    def alive(self, circuit: Circuit) -> BoolArray:
        """Tell which groups have a weight above 0."""
        alive = np.zeros(len(self.families), dtype=bool)
        for index, (_, groups) in self.edges.items():
            layer = circuit.layers[index]
            assert isinstance(layer, SumLayer)
            some = groups[(groups >= 0) & (float_entries(layer.weights).reshape(-1) > 0)]
            alive[some] = True
        return alive

    def kept(self, alive: BoolArray) -> dict[int, BoolArray]:
        """Tell of every sum layer's edges whether their groups live."""
        return {index: (groups < 0) | alive[groups] for index, (_, groups) in self.edges.items()}

    def best(self, flow: FloatArray) -> BoolArray:
        """Choose the group of most flow of every family."""
        order = np.lexsort((flow, self.families))
        best = np.zeros(len(flow), dtype=bool)
        best[order[np.append(np.flatnonzero(np.diff(self.families[order])), len(order) - 1)]] = True
        return best


def _states(circuit: Circuit) -> _Groups:
    first: dict[int, int] = {}
    families: list[IntArray] = []
    for number, latent in enumerate(state_layers(circuit)):
        first[latent] = sum(len(some) for some in families)
        families.append(np.full(circuit.layers[latent].shape.units, number, dtype=np.int64))
    if not any(len(some) > 1 for some in families):
        raise UsageError(
            "sparsify must have a circuit with latents, layers of two units or more that only sums use; it has none"
        )
    edges = {}
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, SumLayer):
            rows, columns = positions(layer.weights)
            of_column = []
            for child in layer.children:
                units = circuit.layers[child].shape.units
                of_column.append(first[child] + np.arange(units) if child in first else np.full(units, -1))
            edges[index] = (rows, np.concatenate(of_column)[columns])
    return _Groups(np.concatenate(families), edges)


def _edges(circuit: Circuit) -> _Groups:
    families: list[IntArray] = []
    edges = {}
    first, first_row = 0, 0
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, SumLayer):
            rows, _ = positions(layer.weights)
            families.append(first_row + rows)
            edges[index] = (rows, first + np.arange(len(rows)))
            first, first_row = first + len(rows), first_row + layer.weights.shape[0]
    if not families:
        raise UsageError("sparsify must have a circuit with sums; it has none")
    return _Groups(np.concatenate(families), edges)


@dataclass(frozen=True)
class _Level:
    """Hold what may die: how a circuit is cut into groups, and how it is rebuilt without the dead ones."""

    groups: Callable[[Circuit], _Groups]
    #: as of `rebuilt`; dense rows would get their dropped edges back from the pseudocounts of the next training
    sparse: str


#: what may die, by its name in `sparsify:edges`
LEVELS = {"states": _Level(_states, "states"), "edges": _Level(_edges, "blocks")}


@dataclass(frozen=True, eq=False)
class _Step:
    """Hold what stands before an M-step, so that it can be taken with any tau."""

    circuit: Circuit
    #: the circuit before the first step
    first: Circuit
    groups: _Groups
    flows: Flows
    flow: FloatArray
    alive: BoolArray
    multiple: int
    sparse: str

    def living(self, tau: float) -> BoolArray:
        """Choose the groups that live on: those of more than tau records, and the best of every family and row."""
        families = self.groups.families
        order = np.lexsort((-self.flow, ~self.alive, families))
        sizes = np.bincount(families)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[families[order]]
        enough = np.bincount(families, weights=self.alive & (self.flow > tau)).astype(np.int64)
        # A single state needs no lanes.
        enough = np.where(enough > 1, -(-enough // self.multiple) * self.multiple, 1)
        alive = self.alive & (rank < enough[families])
        self._rescue(alive)
        return alive

    def _rescue(self, alive: BoolArray) -> None:
        """Let the best edge of every row that the root still reaches live on, from the root down."""
        used = [np.zeros(layer.shape.units, dtype=bool) for layer in self.circuit.layers]
        used[-1][:] = True
        for index in range(len(used) - 1, -1, -1):
            layer = self.circuit.layers[index]
            if isinstance(layer, ProductLayer):
                for column, child in enumerate(layer.children):
                    used[child][layer.gather[used[index], column]] = True
            elif isinstance(layer, SumLayer):
                rows, groups = self.groups.edges[index]
                weights, flows = float_entries(layer.weights).reshape(-1), np.asarray(self.flows[index]).reshape(-1)
                stays = ((groups < 0) | alive[groups]) & (weights > 0)
                empty = used[index] & (np.bincount(rows, weights=stays) == 0)
                if empty.any():
                    order = np.lexsort((weights, flows, rows))
                    best = order[np.append(np.flatnonzero(np.diff(rows[order])), len(order) - 1)]
                    alive[groups[best[empty]]] = True
                _, columns = positions(layer.weights)
                reached = np.zeros(layer.weights.shape[1], dtype=bool)
                reached[columns[((groups < 0) | alive[groups]) & used[index][rows]]] = True
                start = 0
                for child in layer.children:
                    used[child] |= reached[start : start + len(used[child])]
                    start += len(used[child])

    def taken(self, tau: float, alive: BoolArray) -> Circuit:
        """Give the circuit after the M-step; edges that died have the weight 0."""
        # A group that lives on in spite of tau keeps its counts.
        kept = self.groups.best(self.flow) | (self.flow <= tau)
        share = np.where(kept, 1.0, 1 - tau / np.where(kept, 1.0, self.flow)) * alive
        layers: list[Layer] = list(self.circuit.layers)
        for index, layer in enumerate(layers):
            counts = self.flows[index]
            if isinstance(layer, SumLayer):
                layers[index] = self._sum(layer, np.asarray(counts), *self.groups.edges[index], share)
            elif isinstance(layer, InputLayer) and layer.parametric is None:
                first = self.first.layers[index]
                assert isinstance(first, InputLayer)
                table = np.asarray(counts) + LEAF_PSEUDOCOUNT * first.table
                table /= table.sum(axis=1, keepdims=True)
                layers[index] = InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)
        return replace(self.circuit, layers=tuple(layers), log_constant=0.0)

    def built(self, tau: float, alive: BoolArray) -> Circuit:
        """Give the circuit after the M-step without what died."""
        return rebuilt(self.taken(tau, alive), self.groups.kept(alive), self.sparse)

    def last(self, target: Target) -> tuple[float, BoolArray]:
        """Find the tau that lets just so many groups die that the target holds, and who lives on under it."""
        taus = np.concatenate([[0.0], np.sort(self.flow[self.alive])])

        def build(deaths: int) -> Circuit:
            tau = float(taus[deaths])
            return self.built(tau, self.living(tau))

        tau = float(taus[smallest_step(build, len(taus) - 1, target)])
        return tau, self.living(tau)

    @staticmethod
    def _sum(layer: SumLayer, counts: FloatArray, rows: IntArray, groups: IntArray, share: FloatArray) -> SumLayer:
        weights = float_entries(layer.weights)
        of_edge = np.where(groups < 0, 1.0, share[groups])
        stays = (of_edge > 0) & (weights.reshape(-1) > 0)
        spread = SUM_PSEUDOCOUNT / np.maximum(np.bincount(rows, weights=stays), 1)
        values = np.where(stays, counts.reshape(-1) * of_edge + spread[rows], 0.0)
        totals = np.bincount(rows, weights=values)
        # A row of which nothing stays is one of a state that died, which nothing reaches.
        values = np.where(totals[rows] > 0, values / np.where(totals > 0, totals, 1.0)[rows], weights.reshape(-1))
        return SumLayer(layer.children, with_entries(layer.weights, values.reshape(weights.shape)))


def sparsify(circuit: Circuit, evidence: Evidence, target: Target | float, level: str = "states") -> Outcome:
    """Take steps of EM under a prior that lets states or edges die, and drop those that did.

    Args:
        circuit: any circuit with sums; for `states` one with latents: layers of two units or more that only sums use.
        evidence: its train records are counted in every step.
        target: the limit that tau follows, for `loss` as small as the limit allows; or tau itself in records, at least
            0, for 40 steps.
        level: what may die, `states` or `edges`; a layer that loses edges becomes sparse rows.

    Returns:
        The circuit, and for every step tau, how many states or edges live, and what is left costs in the target's unit.

    Raises:
        UsageError: an argument is out of its range, the circuit has nothing that may die, or the target is too small.

    Example:
        >>> from pcedge.circuit import ProductLayer, sample
        >>> table = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2]])
        >>> states = ProductLayer((0, 1), np.array([[0, 0], [1, 1], [2, 2]]))
        >>> top = SumLayer((2,), np.array([[0.4, 0.5, 0.1]]))
        >>> circuit = Circuit((InputLayer(0, table), InputLayer(1, table), states, top))
        >>> x = sample(circuit, 200, seed=0)
        >>> sparsify(circuit, Evidence(x, x), 5.0).circuit.layers[0].table.shape
        (2, 2)
    """
    if level not in LEVELS:
        raise UsageError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    if not isinstance(target, Target) and not 0 <= target < math.inf:
        raise UsageError(f"tau must be at least 0 and finite, got {target}")
    groups, sparse = LEVELS[level].groups(circuit), LEVELS[level].sparse
    if isinstance(target, Target):
        return _towards(circuit, evidence, target, groups, sparse)
    first, alive = circuit, groups.alive(circuit)
    trace = []
    for _ in range(STEPS_OF_GIVEN):
        flows = evidence.flows(circuit)
        step = _Step(circuit, first, groups, flows, groups.flow(flows), alive, 1, sparse)
        alive = step.living(target)
        circuit = step.taken(target, alive)
        trace.append({"tau": target, "live": int(alive.sum())})
    return Outcome(rebuilt(circuit, groups.kept(alive), sparse), tuple(trace))


def _towards(circuit: Circuit, evidence: Evidence, target: Target, groups: _Groups, sparse: str) -> Outcome:
    """Take steps whose tau follows a target."""
    if target.unit != "loss" and target.reached(circuit):
        return Outcome(circuit)
    first, alive, tau, cost = circuit, groups.alive(circuit), 0.0, None
    trace: list[dict[str, Any]] = []
    for number in range(STEPS):
        flows = evidence.flows(circuit)
        step = _Step(circuit, first, groups, flows, groups.flow(flows), alive, target.multiple, sparse)
        if number == 0:
            tau = FIRST * float(step.flow.sum()) / int(alive.sum())
        living = step.living(tau)
        # Only for a loss does it matter what the parameters are.
        if cost is None or target.unit == "loss" or not np.array_equal(living, alive):
            cost = target.cost(step.built(tau, living))
        if (cost > target.value) == (target.unit == "loss") or number == STEPS - 1:
            tau, living = step.last(target)
            made = step.built(tau, living)
            cost = target.cost(made)
            if target.unit == "loss" and cost > target.value:  # the M-step alone loses more; what was before holds it
                return Outcome(rebuilt(circuit, groups.kept(alive), sparse), tuple(trace))
            trace.append({"tau": tau, "live": int(living.sum()), "cost": cost})
            return Outcome(made, tuple(trace))
        trace.append({"tau": tau, "live": int(living.sum()), "cost": cost})
        circuit, alive = step.taken(tau, living), living
        distance = abs(cost - target.value) / target.value if target.value > 0 else 0.0
        tau *= math.exp(min(MOST, max(LEAST, RATE * distance)))
    raise AssertionError("the last step returns")


#: what is said where it stands alone
UNLIMITED = "sparsify must have a budget or the records that a state must explain, as in sparsify:20"


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    _check(argument)
    if argument is None or argument in LEVELS:
        if target is None:
            raise UsageError(UNLIMITED)
        return sparsify(circuit, evidence, target, argument or "states")
    return sparsify(circuit, evidence, float(argument))


def _check(argument: str | None) -> None:
    if argument is None or argument in LEVELS:
        return
    try:
        tau = float(argument)
    except ValueError:
        tau = math.nan
    if not 0 <= tau < math.inf:
        raise UsageError(
            f"sparsify:WHAT must be {' or '.join(LEVELS)}, or a number of records of at least 0, got {argument!r}"
        )


SPARSIFY = Pass(
    "sparsify", _run, "structure", ("data", "target"), "latent states, and with them weights, tables and cycles",
    "`edges` in place of states, or the records that a state must explain in place of a budget",
    "after Xia, Tsang and Lau, Turbo-VBI, 2023, and Dutta, Gupta and Agarwal, VTrans, 2024",
    _check, UNLIMITED,
)  # fmt: skip
