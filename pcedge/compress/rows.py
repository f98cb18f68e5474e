"""One table of rows for all sums: states renumbered, rows clustered (docs/quantization.md, section Row tables)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer, parameters_of
from pcedge.circuit.row_table import LEAST_LENGTH, expand
from pcedge.circuit.rows import SparseRows
from pcedge.compress.flows import flow_layers
from pcedge.errors import UsageError
from pcedge.extras import needing

#: rounds of clustering
ROUNDS = 16
#: what a place next to the diagonal counts when states are numbered
NEAR = 0.5
#: the least probability whose logarithm is taken
LEAST = 1e-6
#: how much a row's own row of the table counts where it chooses anew: a row that no record reaches keeps what it has
OWN = 1e-3


@dataclass(eq=False)
class RowClusters:
    """Hold a table of rows by their lengths, and of every row that shares it a number and a turn.

    Entry j of a row of length n is entry (j + turn) mod n of its row in the table.
    """

    tables: dict[int, FloatArray]
    numbers: dict[int, IntArray]
    turns: dict[int, IntArray]

    def expanded(self, length: int, tables: FloatArray | None = None) -> FloatArray:
        """Give all rows of a length, of these tables or of others in their place."""
        given = self.tables[length] if tables is None else tables
        rows: FloatArray = expand(given, self.numbers[length], self.turns[length])
        return rows

    def assign(self, counts: dict[int, FloatArray]) -> None:
        """Give every row the row of the table, and its turn, that codes its counts in the fewest bits."""
        for length, table in self.tables.items():
            values = counts[length] + OWN * self.expanded(length)
            logs = np.log(np.maximum(table, LEAST)).T
            best = np.full(len(values), -np.inf)
            for turn in range(length):
                score = np.roll(values, turn, axis=1) @ logs
                top = score.max(axis=1)
                better = top > best
                best[better] = top[better]
                self.numbers[length][better] = score[better].argmax(axis=1)
                self.turns[length][better] = turn

    def average(self, counts: dict[int, FloatArray], pseudocount: float = 0.0) -> None:
        """Make the table that is most likely for the counts; a row that nothing takes stays."""
        for length, table in self.tables.items():
            places = (np.arange(length) + self.turns[length][:, None]) % length
            sums = np.full(table.shape, pseudocount / length)
            np.add.at(sums, (self.numbers[length][:, None], places), counts[length])
            totals = sums.sum(axis=1, keepdims=True)
            taken = (np.bincount(self.numbers[length], minlength=len(table))[:, None] > 0) & (totals > 0)
            self.tables[length] = np.where(taken, sums / np.where(totals > 0, totals, 1.0), table)


def share_rows(circuit: Circuit, flows: Sequence[FloatArray | None], rows: int = 512, seed: int = 0) -> Circuit:
    """Give the dense sums of a circuit at most `rows` different rows, each of them turned as a sum likes.

    States that one sum alone mixes are renumbered first, so that most flow lies about the diagonal of its matrix: the
    distribution does not change. Rows of one length are then clustered by the Kullback–Leibler divergence to a turned
    row of the table, weighted by how often they are used: this is the code length that sharing costs.

    Args:
        circuit: any circuit; sparse sums stay as they are.
        flows: from `expected_flows` or `count_flows`; they say how often rows are used.
        rows: how many rows the table may have; every length has one at least.
        seed: seed of the first rows.

    Returns:
        A circuit whose sums `quantize` with `row_table` stores as turned rows of one table.

    Raises:
        UsageError: a number out of its range, or flows that do not fit the circuit.

    Example:
        >>> coins = InputLayer(0, np.array([[0.5, 0.5], [0.9, 0.1]]))
        >>> layers = (coins, SumLayer((0,), np.array([[0.9, 0.1], [0.1, 0.9]])), SumLayer((1,), np.array([[0.5, 0.5]])))
        >>> flows = [np.ones((2, 2)), np.ones((2, 2)), np.ones((1, 2))]
        >>> share_rows(Circuit(layers), flows, rows=1).layers[1].weights.round(1).tolist()
        [[0.8, 0.2], [0.2, 0.8]]
    """
    if type(rows) is not int or rows < 1:
        raise UsageError(f"share_rows must have a table of at least 1 row, got {rows!r}")
    circuit, used = renumbered(circuit, _used(circuit, flows))
    if not used:
        return circuit
    tied = tied_sums(circuit)
    counts = by_length({index: layer * used[index][:, None] for index, layer in tied.items()})
    clusters = _started(counts, rows, np.random.default_rng([seed, 21]))
    for _ in range(ROUNDS):
        clusters.assign(counts)
        clusters.average(counts)
    return with_rows(circuit, {length: clusters.expanded(length) for length in counts})


def renumber(circuit: Circuit, flows: Sequence[FloatArray | None]) -> Circuit:
    """Number the states of a circuit as `share_rows` does, and do nothing else: what that gives compares with this.

    Raises:
        UsageError: flows that do not fit the circuit.
    """
    return renumbered(circuit, _used(circuit, flows))[0]


def _used(circuit: Circuit, flows: Sequence[FloatArray | None]) -> dict[int, FloatArray]:
    """Tell how often the rows of the sums are used that may be of a table."""
    counted = flow_layers(circuit, flows)
    return {index: parameters_of(counted[index]).sum(axis=1) for index in tied_sums(circuit)}


def tied_sums(circuit: Circuit) -> dict[int, FloatArray]:
    """Give the weights of those sum layers whose rows may be of a table: dense, of two columns and more."""
    return {
        index: layer.weights
        for index, layer in enumerate(circuit.layers)
        if isinstance(layer, SumLayer)
        and not isinstance(layer.weights, SparseRows)
        and layer.weights.shape[1] >= LEAST_LENGTH
    }


def by_length(matrices: dict[int, FloatArray]) -> dict[int, FloatArray]:
    """Stack matrices with rows of one length, in the order of their layers."""
    groups: dict[int, list[FloatArray]] = {}
    for _, matrix in sorted(matrices.items()):
        groups.setdefault(matrix.shape[1], []).append(matrix)
    return {length: np.concatenate(group) for length, group in sorted(groups.items())}


def with_rows(circuit: Circuit, rows: dict[int, FloatArray]) -> Circuit:
    """Put rows, stacked as `by_length` does, in the place of those of the sums that may be of a table."""
    layers, ends = list(circuit.layers), dict.fromkeys(rows, 0)
    for index, matrix in tied_sums(circuit).items():
        length = matrix.shape[1]
        first = ends[length]
        ends[length] = first + len(matrix)
        layers[index] = SumLayer(circuit.layers[index].children, rows[length][first : ends[length]])  # type: ignore[union-attr]
    return replace(circuit, layers=tuple(layers))


def renumbered(circuit: Circuit, used: dict[int, FloatArray]) -> tuple[Circuit, dict[int, FloatArray]]:
    """Number states from the root down so that the flow of row i of a matrix lies about its diagonal.

    Only states that one sum alone mixes are renumbered: the columns of its matrix, and the units of its child.

    Args:
        circuit: the float circuit.
        used: of every sum of `tied_sums` how often its rows are used.

    Returns:
        The circuit, and the same of its sums.
    """
    with needing("scipy", "models", "numbering the states of a row table"):
        from scipy.optimize import linear_sum_assignment

    users: dict[int, list[int]] = {}
    for index, layer in enumerate(circuit.layers):
        for child in () if isinstance(layer, InputLayer) else layer.children:
            users.setdefault(child, []).append(index)
    layers, moved, used = list(circuit.layers), set[int](), dict(used)
    for index in sorted(used, reverse=True):
        layer = layers[index]
        assert isinstance(layer, SumLayer) and not isinstance(layer.weights, SparseRows)
        weights, child = layer.weights, layer.children[0]
        if len(layer.children) > 1 or users[child] != [index] or not _movable(layers[child]):
            continue
        width = weights.shape[1]
        # Where the diagonal meets each row: its own state's number, if it has one.
        middle = _ranks(layers, users, index, moved) * width // len(weights)
        away = np.abs(np.arange(width) - middle[:, None])
        wanted = NEAR ** np.minimum(away, width - away)
        flow = weights * used[index][:, None]
        place = linear_sum_assignment(flow.T @ wanted, maximize=True)[1]
        order = np.argsort(place)
        layers[index] = replace(layer, weights=weights[:, order])
        _reorder(layers, users, used, child, order)
        moved.add(index)
    return replace(circuit, layers=tuple(layers)), used


def _ranks(layers: list[Layer], users: dict[int, list[int]], index: int, moved: set[int]) -> IntArray:
    """Rank the rows of a sum by the numbers of the states above that have them."""
    height = layers[index].shape.units
    above = users.get(index, [])
    product = layers[above[0]] if len(above) == 1 else None
    if isinstance(product, ProductLayer):
        mixing = users.get(above[0], [])
        if len(mixing) == 1 and mixing[0] in moved:
            # The product's units stand in their new order already.
            own = product.gather[:, product.children.index(index)]
            number = np.full(height, len(own))
            np.minimum.at(number, own, np.arange(len(own)))
            return np.argsort(np.argsort(number, kind="stable"), kind="stable")
    return np.arange(height)


def _movable(layer: Layer) -> bool:
    """Tell whether the units of a layer can be put in another order."""
    if isinstance(layer, InputLayer):
        return layer.parametric is None
    return isinstance(layer, ProductLayer) or not isinstance(layer.weights, SparseRows)


def _reorder(
    layers: list[Layer], users: dict[int, list[int]], used: dict[int, FloatArray], index: int, order: IntArray
) -> None:
    """Put the units of a layer in another order, and with a product's those that it alone has, one a unit.

    So gather lists stay what they were: a product whose unit u multiplies unit u of every child needs none.
    """
    layer = layers[index]
    if isinstance(layer, ProductLayer):
        gather = layer.gather[order]
        for column, child in enumerate(layer.children):
            own = layer.gather[:, column]
            if users[child] == [index] and _movable(layers[child]) and _one_each(own, layers[child].shape.units):
                below = np.empty_like(own)
                below[own] = own[order]
                _reorder(layers, users, used, child, below)
                gather[:, column] = own
        layers[index] = replace(layer, gather=gather)
    elif isinstance(layer, InputLayer):
        layers[index] = replace(layer, probabilities=layer.probabilities[order])
    else:
        assert not isinstance(layer.weights, SparseRows)
        layers[index] = replace(layer, weights=layer.weights[order])
        if index in used:
            used[index] = used[index][order]


def _one_each(gather: IntArray, units: int) -> bool:
    """Tell whether a list names every unit once."""
    return len(gather) == units and len(np.unique(gather)) == units


def _started(counts: dict[int, FloatArray], count: int, generator: np.random.Generator) -> RowClusters:
    """Choose rows to start from, far ones likelier, as k-means++ does; every length has one at least."""
    lengths = np.concatenate([np.full(len(values), length) for length, values in counts.items()])
    groups = {length: np.flatnonzero(lengths == length) for length in counts}
    used = np.concatenate([np.maximum(values.sum(axis=1), 1e-9) for values in counts.values()])
    shares = {length: values / used[groups[length], None] for length, values in counts.items()}
    own = np.concatenate([(values * np.log(np.maximum(values, LEAST))).sum(axis=1) for values in shares.values()])
    distance = np.full(len(used), np.inf)
    chosen: dict[int, list[FloatArray]] = {length: [] for length in counts}
    for _ in range(min(max(count, len(groups)), len(used))):
        empty = next((length for length, rows in chosen.items() if not rows), None)
        if empty is not None:
            row = int(groups[empty][np.argmax(used[groups[empty]])])
        else:
            chance = used * np.maximum(distance, 0.0)
            if not chance.any():
                break
            row = int(generator.choice(len(used), p=chance / chance.sum()))
        length = int(lengths[row])
        group = groups[length]
        start = shares[length][row - group[0]]
        chosen[length].append(start)
        logs = np.log(np.maximum(start, LEAST))
        turned = np.stack([np.roll(logs, turn) for turn in range(length)], axis=1)
        distance[group] = np.minimum(distance[group], own[group] - (shares[length] @ turned).max(axis=1))
    return RowClusters(
        {length: np.stack(rows) for length, rows in chosen.items()},
        {length: np.zeros(len(group), dtype=np.int64) for length, group in groups.items()},
        {length: np.zeros(len(group), dtype=np.int64) for length, group in groups.items()},
    )
