"""Merging of latent states by the least loss of expected code length (docs/passes.md, section merge)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.determinism import is_deterministic
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.rows import float_entries
from pcedge.compress.flows import flow_layers
from pcedge.compress.latents import Latent, find_latents
from pcedge.compress.passes import Evidence, Flows, Outcome, Pass, Target, smallest_step
from pcedge.errors import UsageError

#: what is said where it stands alone
UNLIMITED = "merge must have a budget or the mean number of states a latent, as in merge:8"

#: records' worth of a row that its parameters add to its flows, so that states which no record reaches have some
PRIOR = 1e-3

#: values of a latent's table that losses are computed on at a time, pairs of states times columns
VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class MergePath:
    """Hold the merges of a circuit in the order of their losses: every number of them is a circuit.

    Args:
        circuit: the circuit before.
        flows: its expected counts.
        latents: the latents that are merged.
        steps: (latent's number, state that stays, state that joins it), both numbered as before any merge.
        losses: nats that each step loses, over all records that were counted.
    """

    circuit: Circuit
    flows: Flows
    latents: tuple[Latent, ...]
    steps: tuple[tuple[int, int, int], ...]
    losses: FloatArray

    def cut(self, count: int) -> MergePath:
        """Give the path of the first steps."""
        return replace(self, steps=self.steps[:count], losses=self.losses[:count])

    @property
    def last(self) -> Circuit:
        """Give the circuit after all steps."""
        return self.after(len(self.steps))

    def sizes(self, count: int | None = None) -> IntArray:
        """Give every latent's states after so many steps, after all by default."""
        merged = np.bincount([step[0] for step in self.steps[:count]], minlength=len(self.latents))
        return np.array([latent.states for latent in self.latents], dtype=np.int64) - merged

    def after(self, count: int) -> Circuit:
        """Give the circuit after so many steps: states that joined are one, a mean by the records of each."""
        groups = [np.arange(latent.states) for latent in self.latents]
        for number, stays, joins in self.steps[:count]:
            groups[number][groups[number] == joins] = stays
        return _grouped(self.circuit, self.flows, self.latents, groups)


def merge_path(circuit: Circuit, flows: Flows, least: Sequence[int] | int = 1) -> MergePath:
    """Merge the two states that lose least, again and again, until every latent has its least number.

    Two states of a latent are told apart by their neighbours: its leaf, its children and its parents. With n_a records
    in state a, N(a, t) of them with t in neighbour T, merging a and b loses, for every T, the mutual information
    n_a H(T|a) + n_b H(T|b) - (n_a + n_b) H(T|a or b) in nats, with its sign turned: what a code for T has to pay for
    not knowing which of the two it was. Losses of neighbours are added, an upper bound where they depend on each other.

    Args:
        circuit: a structured-decomposable circuit with latents (`find_latents`).
        flows: from `expected_flows` or a training's counts.
        least: states that every latent keeps at least, one number or one for each latent.

    Raises:
        UsageError: the circuit has no latents, is not structured-decomposable or is deterministic, or the flows do not
            fit.

    Example:
        >>> from pcedge.compress import expected_flows
        >>> leaves = InputLayer(0, np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]))
        >>> circuit = Circuit((leaves, SumLayer((0,), np.array([[0.25, 0.5, 0.25]]))))
        >>> path = merge_path(circuit, expected_flows(circuit, [[0], [1]]))
        >>> path.after(1).layers[0].table.round(6).tolist(), path.losses.round(6).tolist()[:1]
        ([[0.9, 0.1], [0.1, 0.9]], [0.0])
    """
    latents = _checked(circuit)
    counts = _smoothed(circuit, flows)
    lows = [least] * len(latents) if isinstance(least, int) else list(least)
    states = _States(counts, latents, lows)
    steps: list[tuple[int, int, int]] = []
    losses: list[float] = []
    while (best := states.best()) is not None:
        number, first, second, loss = best
        steps.append((number, first, second))
        losses.append(max(loss, 0.0))
        states.join(number, first, second)
    return MergePath(circuit, flows, latents, tuple(steps), np.array(losses))


def _checked(circuit: Circuit) -> tuple[Latent, ...]:
    """Give the latents of a circuit that can be merged."""
    if circuit.spans is None:
        raise UsageError("merge must have a structured-decomposable circuit, this one is not")
    latents = tuple(latent for latent in find_latents(circuit) if latent.states > 1)
    if not latents:
        raise UsageError(
            "merge must have latents: layers of two units and more that only dense sums use, each unit with rows of "
            "its own below; this circuit has none"
        )
    if is_deterministic(circuit):
        raise UsageError("merge must not have a deterministic circuit, which merged states would make one no more")
    return latents


def _smoothed(circuit: Circuit, flows: Flows) -> tuple[Layer, ...]:
    """Give the counts of every layer, with a little of its parameters for rows that nothing reaches."""
    flow_layers(circuit, flows)
    added: Flows = []
    for layer, flow in zip(circuit.layers, flows, strict=True):
        if flow is None:
            added.append(None)
        elif isinstance(layer, InputLayer):
            added.append(flow + PRIOR * layer.table)
        else:
            assert isinstance(layer, SumLayer)
            added.append(flow + PRIOR * float_entries(layer.weights))
    return flow_layers(circuit, added)


def _g(values: FloatArray) -> FloatArray:
    """Compute n log n, 0 at 0."""
    return np.asarray(values * np.log(np.maximum(values, 1e-300)))


class _States:
    """Hold the count tables of all latents, and what merging each pair of states loses."""

    def __init__(self, counts: Sequence[Layer], latents: Sequence[Latent], least: Sequence[int]) -> None:
        self.latents, self.least = latents, least
        self.left = [latent.states for latent in latents]
        #: joint counts of every layer that latents look at, as arrays that merging changes
        self.tables: dict[int, FloatArray] = {}
        for index, layer in enumerate(counts):
            if isinstance(layer, InputLayer):
                self.tables[index] = layer.table.copy()
            elif isinstance(layer, SumLayer) and isinstance(layer.weights, np.ndarray):
                self.tables[index] = layer.weights.copy()
        gathers = {latent.layer: counts[latent.layer] for latent in latents}
        #: of every latent: (layer, rows that belong to the states in order) and (layer, columns likewise)
        self.rows: list[list[tuple[int, IntArray]]] = []
        self.columns: list[list[tuple[int, IntArray]]] = []
        for latent in latents:
            layer = gathers[latent.layer]
            every = np.arange(latent.states)
            self.rows.append([
                (child, every if column < 0 or not isinstance(layer, ProductLayer) else layer.gather[:, column])
                for child, column in latent.rows
            ])  # fmt: skip
            self.columns.append([(user, first + every) for user, first in latent.columns])
        #: who else looks at a layer's table: by its columns where a latent has its rows, and the other way round
        self.by_rows: dict[int, int] = {}
        self.by_columns: dict[int, list[int]] = {}
        for number in range(len(latents)):
            for child, _ in self.rows[number]:
                self.by_rows[child] = number
            for user, _ in self.columns[number]:
                self.by_columns.setdefault(user, []).append(number)
        self.loss = [self._losses(number) for number in range(len(latents))]
        self.least_loss = np.array([self._least(number) for number in range(len(latents))])

    def best(self) -> tuple[int, int, int, float] | None:
        """Give the pair that loses least."""
        number = int(np.argmin(self.least_loss))
        if not np.isfinite(self.least_loss[number]):
            return None
        pair = int(np.argmin(self.loss[number]))
        first, second = divmod(pair, self.latents[number].states)
        return number, first, second, float(self.least_loss[number])

    def join(self, number: int, first: int, second: int) -> None:
        """Add the second state to the first, in all tables and in the losses of the neighbours."""
        for child, rows in self.rows[number]:
            table = self.tables[child]
            a, b = rows[first], rows[second]
            for other in self.by_columns.get(child, []):
                self._neighbour(other, child, table[a], table[b], rows=False)
            table[a] += table[b]
            table[b] = 0.0
        for user, columns in self.columns[number]:
            table = self.tables[user]
            a, b = columns[first], columns[second]
            above = self.by_rows.get(user)
            if above is not None:
                self._neighbour(above, user, table[:, a], table[:, b], rows=True)
            table[:, a] += table[:, b]
            table[:, b] = 0.0
        self.left[number] -= 1
        self.loss[number][second, :] = self.loss[number][:, second] = np.inf
        self._update(number, first)
        touched = {number}
        for child, _ in self.rows[number]:
            touched.update(self.by_columns.get(child, []))
        for user, _ in self.columns[number]:
            if user in self.by_rows:
                touched.add(self.by_rows[user])
        for other in touched:
            self.least_loss[other] = self._least(other)

    def _neighbour(self, other: int, layer: int, first: FloatArray, second: FloatArray, *, rows: bool) -> None:
        """Change a neighbour's losses for two of its columns that become one."""
        places = next(at for index, at in (self.rows if rows else self.columns)[other] if index == layer)
        a, b = first[places], second[places]
        both = a + b

        def pairs(values: FloatArray) -> FloatArray:
            logs = _g(values)
            return np.asarray(logs[:, None] + logs[None, :] - _g(values[:, None] + values[None, :]))

        self.loss[other] += pairs(both) - pairs(a) - pairs(b)

    def _table(self, number: int) -> tuple[FloatArray, FloatArray]:
        """Give the counts of a latent's states beside all their neighbours, (states, columns), and by neighbour.

        The totals of a state are not the same for all: a leaf counts only records that have its variable.
        """
        parts = [self.tables[child][rows] for child, rows in self.rows[number]]
        parts += [self.tables[user][:, columns].T for user, columns in self.columns[number]]
        return np.concatenate(parts, axis=1), np.stack([part.sum(axis=1) for part in parts], axis=1)

    def _losses(self, number: int) -> FloatArray:
        """Compute the losses of all pairs; infinite below and on the diagonal."""
        table, totals = self._table(number)
        states = len(table)
        alone = _g(table).sum(axis=1) - _g(totals).sum(axis=1)
        loss = alone[:, None] + alone[None, :]
        step = max(1, VALUES // table.size)
        for start in range(0, states, step):
            some = slice(start, start + step)
            loss[some] -= _g(table[some, None] + table[None]).sum(axis=2) - _g(totals[some, None] + totals).sum(axis=2)
        loss[np.tril_indices(states)] = np.inf
        return np.asarray(loss)

    def _update(self, number: int, state: int) -> None:
        """Compute the losses of the pairs of one state anew."""
        table, totals = self._table(number)
        alone = _g(table).sum(axis=1) - _g(totals).sum(axis=1)
        fresh = alone + alone[state]
        fresh -= _g(table + table[state]).sum(axis=1) - _g(totals + totals[state]).sum(axis=1)
        loss = self.loss[number]
        loss[state, state + 1 :] = np.where(np.isinf(loss[state, state + 1 :]), np.inf, fresh[state + 1 :])
        loss[:state, state] = np.where(np.isinf(loss[:state, state]), np.inf, fresh[:state])

    def _least(self, number: int) -> float:
        return float(self.loss[number].min()) if self.left[number] > self.least[number] else np.inf


def _grouped(circuit: Circuit, flows: Flows, latents: Sequence[Latent], groups: Sequence[IntArray]) -> Circuit:
    """Make the circuit whose states are groups of states: rows become means by records, columns are added."""
    counts = _smoothed(circuit, flows)
    layers: list[Layer] = list(circuit.layers)
    row_groups: dict[int, IntArray] = {}
    column_groups: dict[int, list[tuple[int, IntArray]]] = {}
    changed = set()
    for latent, group in zip(latents, groups, strict=True):
        kept, numbers = np.unique(group, return_inverse=True)
        if len(kept) == latent.states:
            continue
        layer = circuit.layers[latent.layer]
        for child, column in latent.rows:
            of_row = np.empty(latent.states, dtype=np.int64)
            of_row[np.arange(latent.states) if column < 0 else layer.gather[:, column]] = numbers  # type: ignore[union-attr]
            row_groups[child] = of_row
            changed.add(child)
        if isinstance(layer, ProductLayer):
            gather = np.repeat(np.arange(len(kept))[:, None], len(layer.children), axis=1)
            layers[latent.layer] = ProductLayer(layer.children, gather)
        for user, first in latent.columns:
            column_groups.setdefault(user, []).append((first, numbers))
            changed.add(user)
    for index in sorted(changed):
        layer, counted = circuit.layers[index], counts[index]
        if isinstance(layer, InputLayer):
            assert isinstance(counted, InputLayer)
            layers[index] = _joined_leaves(layer, counted.table, row_groups[index])
            continue
        assert isinstance(layer, SumLayer) and isinstance(counted, SumLayer) and isinstance(counted.weights, np.ndarray)
        table = float_entries(layer.weights)
        if index in row_groups:
            table = _mean_rows(table, counted.weights.sum(axis=1, keepdims=True), row_groups[index])
        if index in column_groups:
            of_column = np.arange(table.shape[1])
            for first, numbers in column_groups[index]:
                of_column[first : first + len(numbers)] = first + numbers
            _, of_column = np.unique(of_column, return_inverse=True)
            table = _added(table.T, of_column).T
        layers[index] = SumLayer(layer.children, table / table.sum(axis=1, keepdims=True))
    return replace(circuit, layers=tuple(layers), log_constant=0.0)


def _added(table: FloatArray, numbers: IntArray) -> FloatArray:
    """Add the rows of one number."""
    total = np.zeros((int(numbers.max()) + 1, table.shape[1]))
    np.add.at(total, numbers, table)
    return total


def _mean_rows(table: FloatArray, used: FloatArray, numbers: IntArray) -> FloatArray:
    """Give the mean of the rows of one number by their records: priors of the training stay, as counts would not."""
    return _added(used * table, numbers) / _added(used, numbers)


def _joined_leaves(layer: InputLayer, counts: FloatArray, numbers: IntArray) -> InputLayer:
    """Join the leaves of one number: tables by their counts, parameters by their records."""
    if layer.parametric is not None:
        parameters = _mean_rows(layer.parametric.parameters, counts.sum(axis=1, keepdims=True), numbers)
        return InputLayer.of(
            layer.variable, Parametric(layer.parametric.kind, parameters, layer.parametric.cardinality)
        )
    table = _mean_rows(layer.table, counts.sum(axis=1, keepdims=True), numbers)
    table /= table.sum(axis=1, keepdims=True)
    return InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    mean = None if argument is None else _mean_states(argument)
    if mean is None and target is None:
        raise UsageError(UNLIMITED)
    flows = evidence.flows(circuit)
    path = merge_path(circuit, flows)
    total = sum(latent.states for latent in path.latents)
    multiple = 1 if target is None else target.multiple

    def build(count: int) -> MergePath:
        least = path.sizes(count)
        return (
            path.cut(count)
            if multiple == 1
            else merge_path(circuit, flows, multiples_of(least, path.latents, multiple))
        )

    if mean is not None:
        count = max(0, total - round(mean * len(path.latents)))
    else:
        assert target is not None
        count = smallest_step(lambda steps: build(steps).last, len(path.steps), target)
    chosen = build(count)
    sizes = chosen.sizes()
    trace = tuple(
        {"layer": latent.layer, "states_before": latent.states, "states": int(size)}
        for latent, size in zip(path.latents, sizes, strict=True)
        if size != latent.states
    )
    return Outcome(chosen.last, trace)


def _check(told: str | None) -> None:
    if told is not None:
        _mean_states(told)


def _mean_states(argument: str) -> float:
    try:
        mean = float(argument)
    except ValueError:
        mean = np.nan
    if not (np.isfinite(mean) and mean >= 1):
        raise UsageError(f"merge:STATES must have a mean number of states of at least 1, got {argument!r}")
    return mean


def multiples_of(sizes: IntArray, latents: Sequence[Latent], multiple: int) -> list[int]:
    """Round sizes to multiples of the engine's lanes, up to what a latent has; a single state stays one."""
    multiple = min(multiple, max(latent.states for latent in latents))
    rounded = np.maximum(multiple, multiple * np.round(sizes / multiple).astype(np.int64))
    most = np.array([latent.states for latent in latents])
    return [int(size) for size in np.where(sizes == 1, 1, np.minimum(rounded, most))]


MERGE = Pass(
    "merge", _run, "structure", ("data", "target"), "latent states, and with them weights, tables and cycles",
    "the mean number of states a latent, in place of a budget",
    "after Muralidharan et al., Minitron, 2024 (prune by importance, then distil); information bottleneck",
    _check, UNLIMITED,
)  # fmt: skip
