"""Pruning by circuit flow: single edges, whole latent states, or blocks of rows and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, ProductLayer, SumLayer
from pcedge.circuit.rows import entries, float_entries, positions
from pcedge.compress.flows import BoolArray
from pcedge.compress.passes import Evidence, Outcome, Pass, Target, smallest_step
from pcedge.compress.rebuilding import rebuilt
from pcedge.compress.sparsity import sap_fraction
from pcedge.errors import UsageError

SHAPES = ("edges", "states", "blocks")


@dataclass(frozen=True, eq=False)
class Pruned:
    """Hold a pruned circuit and what was taken from it."""

    #: what is left, its rows normalised again
    circuit: Circuit
    #: for every layer of the circuit before: the sum edges that were dropped, in the shape of its weights (sparse rows:
    #: of their values), None for other layers
    dropped: tuple[BoolArray | None, ...]
    #: flow of the dropped edges, summed over the records
    flow: float

    @property
    def edges(self) -> int:
        """Count the dropped sum edges."""
        return sum(int(mask.sum()) for mask in self.dropped if mask is not None)


@dataclass(frozen=True, eq=False)
class _Edges:
    """Hold the edges of one sum layer as flat arrays."""

    rows: IntArray
    columns: IntArray
    weights: FloatArray
    flows: FloatArray

    def kept_weight(self, keep: BoolArray) -> FloatArray:
        return np.bincount(self.rows, weights=self.weights * keep).astype(np.float64)

    def best(self) -> IntArray:
        """Give every row's edge of most flow, and of the largest weight where flows are equal."""
        order = np.lexsort((self.weights, self.flows, self.rows))
        return np.asarray(order[np.append(np.flatnonzero(np.diff(self.rows[order])), len(order) - 1)])


def prune(
    circuit: Circuit,
    flows: Sequence[FloatArray | None],
    fraction: float,
    shape: str = "edges",
    *,
    block: tuple[int, int] = (4, 4),
    even: bool = True,
) -> Pruned:
    """Drop what the least flow passes, and all units that nothing uses any more.

    - `edges`: the sum edges of least flow in the whole circuit; every row keeps its best. A layer becomes sparse rows
      where that is smaller.
    - `states`: latent states of least flow: a unit below sums goes with its column, the product's gathers, its leaf
      and the rows of the sums below that only it used. Dense layers stay dense and get smaller.
    - `blocks`: blocks of rows and columns of a sum's weights; what stays are sparse rows that list whole blocks, also
      entries that are 0, so that hardware can skip the others by a fixed pattern.

    Args:
        circuit: any circuit.
        flows: from `expected_flows`, or a training's expected counts; entries of products and leaves are not used.
        fraction: share of the edges, states or blocks to drop, 0..1 (1 excluded).
        shape: `edges`, `states` or `blocks`.
        block: rows and columns of a block.
        even: drop the same share of the states of every layer, and of the blocks of every row of blocks, so that equal
            layers stay equal; otherwise those of least flow in the whole circuit. Edges are always compared in the
            whole circuit.

    Raises:
        UsageError: a fraction, shape or block out of its range, or flows that do not fit the circuit.

    Example:
        >>> from pcedge.circuit import InputLayer
        >>> coins = InputLayer(0, np.array([0.1, 0.5, 0.9]))
        >>> circuit = Circuit((coins, SumLayer((0,), np.array([[0.25, 0.5, 0.25]]))))
        >>> prune(circuit, [None, np.array([[5.0, 1.0, 4.0]])], 0.4).circuit.layers[1].weights.tolist()
        [[0.5, 0.5]]
    """
    if shape not in SHAPES:
        raise UsageError(f"shape must be one of {', '.join(SHAPES)}, got {shape!r}")
    if not 0 <= fraction < 1:
        raise UsageError(f"fraction must be at least 0 and below 1, got {fraction}")
    if len(block) != 2 or min(block) < 1:
        raise UsageError(f"a block must have at least 1 row and 1 column, got {block}")
    edges = _all_edges(circuit, flows)
    if shape == "edges":
        keep = _select_edges(edges, fraction)
    elif shape == "states":
        keep = _select_states(circuit, edges, fraction, even)
    else:
        keep = _select_blocks(circuit, edges, fraction, block, even)
    return _pruned(circuit, edges, keep, shape)


def sap_round(circuit: Circuit, flows: Sequence[FloatArray | None], gamma: float = 0.5) -> Pruned:
    """Drop from every sum layer the share of its edges that the PQ index of their flows gives (SAP, one round).

    A layer whose flow is spread evenly keeps its edges, one in which few edges carry most loses many; every row keeps
    its best edge. A layer that loses an edge becomes sparse rows, so that no training gives it back. Between rounds the
    circuit is to be trained again, with new flows; when to stop is the caller's choice, by validation records.

    Args:
        circuit: any circuit.
        flows: as of `prune`.
        gamma: how bold a round is, above 0: a layer of PQ index I loses the share gamma I, at most 0.9.

    Raises:
        UsageError: gamma is out of its range, or the flows do not fit the circuit.

    Example:
        >>> from pcedge.circuit import InputLayer
        >>> coins = InputLayer(0, np.array([0.1, 0.5, 0.7, 0.9]))
        >>> circuit = Circuit((coins, SumLayer((0,), np.array([[0.5, 0.2, 0.2, 0.1]]))))
        >>> sap_round(circuit, [None, np.array([[96.0, 2.0, 1.0, 1.0]])]).edges
        1
    """
    edges = _all_edges(circuit, flows)
    keep: dict[int, BoolArray] = {}
    for index, some in edges.items():
        keep |= _select_edges({index: some}, sap_fraction(some.flows, gamma))
    # Dense rows would get their dropped edges back from the pseudocounts of the next training.
    return _pruned(circuit, edges, keep, "blocks")


def _all_edges(circuit: Circuit, flows: Sequence[FloatArray | None]) -> dict[int, _Edges]:
    if len(flows) != len(circuit.layers):
        raise UsageError(f"flows must have an entry for each of {len(circuit.layers)} layers, got {len(flows)}")
    return {
        index: _edges(index, layer, flows[index])
        for index, layer in enumerate(circuit.layers)
        if isinstance(layer, SumLayer)
    }


def _pruned(circuit: Circuit, edges: dict[int, _Edges], keep: dict[int, BoolArray], shape: str) -> Pruned:
    dropped: list[BoolArray | None] = [None] * len(circuit.layers)
    flow = 0.0
    for index, mask in keep.items():
        flow += float(edges[index].flows[~mask].sum())
        layer = circuit.layers[index]
        if isinstance(layer, SumLayer):
            dropped[index] = ~mask.reshape(entries(layer.weights).shape)
    return Pruned(rebuilt(circuit, keep, sparse=shape), tuple(dropped), flow)


def _edges(index: int, layer: SumLayer, flows: FloatArray | None) -> _Edges:
    weights = layer.weights
    (rows, columns), values = positions(weights), float_entries(weights).reshape(-1)
    if flows is None or np.size(flows) != len(values):
        got = None if flows is None else np.shape(flows)
        raise UsageError(f"the flows of layer {index} (sum) must be one for each of its {len(values)} edges, got {got}")
    flat = np.asarray(flows, dtype=np.float64).reshape(-1)
    if not np.isfinite(flat).all() or (flat < 0).any():
        raise UsageError(f"the flows of layer {index} (sum) must be finite and not negative")
    # What cannot be has no flow, whatever a training's smoothed counts say.
    return _Edges(rows, columns, values, np.where(values > 0, flat, 0.0))


def _select_edges(edges: dict[int, _Edges], fraction: float) -> dict[int, BoolArray]:
    sizes = [len(layer_edges.rows) for layer_edges in edges.values()]
    if not sizes:
        return {}
    safe = np.zeros(sum(sizes), dtype=bool)
    starts = np.cumsum([0, *sizes])
    for start, layer_edges in zip(starts, edges.values(), strict=False):
        safe[start + layer_edges.best()] = True
    weights = np.concatenate([layer_edges.weights for layer_edges in edges.values()])
    order = np.lexsort((weights, np.concatenate([layer_edges.flows for layer_edges in edges.values()])))
    keep = np.ones(sum(sizes), dtype=bool)
    keep[order[~safe[order]][: _share(fraction, len(keep))]] = False
    return {index: keep[start : start + size] for index, start, size in zip(edges, starts, sizes, strict=False)}


def state_layers(circuit: Circuit) -> list[int]:
    """Find the layers whose units are latent states: only sums use them, so each is a column of theirs."""
    used: set[int] = set()
    taken: set[int] = set()
    for layer in circuit.layers:
        if isinstance(layer, SumLayer):
            used.update(layer.children)
        elif isinstance(layer, ProductLayer):
            taken.update(layer.children)
    return sorted(used - taken)


def _select_states(circuit: Circuit, edges: dict[int, _Edges], fraction: float, even: bool) -> dict[int, BoolArray]:
    latents = state_layers(circuit)
    sizes = {child: circuit.layers[child].shape.units for child in latents}
    flow = {child: np.zeros(sizes[child]) for child in latents}
    first_column: dict[tuple[int, int], int] = {}
    for index, layer_edges in edges.items():
        totals = np.bincount(
            layer_edges.columns, weights=layer_edges.flows, minlength=circuit.layers[index].shape.columns
        )
        start = 0
        for child in circuit.layers[index].shape.children:
            units = circuit.layers[child].shape.units
            first_column[index, child] = start
            if child in flow:
                flow[child] += totals[start : start + units]
            start += units
    masks = {child: np.ones(sizes[child], dtype=bool) for child in latents}
    if even:
        for child in latents:
            order = np.argsort(flow[child], kind="stable")
            masks[child][order[: _share(fraction, sizes[child])]] = False
    else:
        ranked = sorted((value, child, unit) for child in latents for unit, value in enumerate(flow[child]))
        best = {child: int(flow[child].argmax()) for child in latents}
        for _, child, unit in [item for item in ranked if item[2] != best[item[1]]][: _share(fraction, len(ranked))]:
            masks[child][unit] = False
    # A row that would lose all its weight keeps the state of its best edge.
    for index, layer_edges in edges.items():
        mask = _column_mask(circuit, index, masks)[layer_edges.columns]
        empty = layer_edges.kept_weight(mask) == 0
        for edge in layer_edges.best()[empty]:
            for child in circuit.layers[index].shape.children:
                unit = int(layer_edges.columns[edge]) - first_column[index, child]
                if child in masks and 0 <= unit < sizes[child]:
                    masks[child][unit] = True
    return {index: _column_mask(circuit, index, masks)[layer_edges.columns] for index, layer_edges in edges.items()}


def _column_mask(circuit: Circuit, index: int, masks: dict[int, BoolArray]) -> BoolArray:
    columns = []
    for child in circuit.layers[index].shape.children:
        columns.append(masks.get(child, np.ones(circuit.layers[child].shape.units, dtype=bool)))
    return np.concatenate(columns)


def _select_blocks(
    circuit: Circuit, edges: dict[int, _Edges], fraction: float, block: tuple[int, int], even: bool
) -> dict[int, BoolArray]:
    number: dict[int, IntArray] = {}
    means: list[FloatArray] = []
    groups: list[IntArray] = []
    offset, group_offset = 0, 0
    for index, layer_edges in edges.items():
        across = -(-circuit.layers[index].shape.columns // block[1])
        names, block_of = np.unique(
            layer_edges.rows // block[0] * across + layer_edges.columns // block[1], return_inverse=True
        )
        number[index] = block_of.reshape(-1) + offset
        # The mean, so that the smaller blocks at the border are compared fairly.
        means.append(np.bincount(block_of.reshape(-1), weights=layer_edges.flows) / np.bincount(block_of.reshape(-1)))
        groups.append(names // across + group_offset)
        offset += len(names)
        group_offset += int(names[-1]) // across + 1
    if not means:
        return {}
    mean, group = np.concatenate(means), np.concatenate(groups)
    order = np.lexsort((mean, group))
    sizes = np.bincount(group)
    rank = np.empty(len(mean), dtype=np.int64)
    rank[order] = np.arange(len(mean)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if even:
        keep = rank >= np.minimum([_share(fraction, int(size)) for size in sizes], sizes - 1)[group]
    else:
        ranked = np.argsort(mean, kind="stable")
        # The best block of every row of blocks stays.
        free = ranked[rank[ranked] < sizes[group[ranked]] - 1]
        keep = np.ones(len(mean), dtype=bool)
        keep[free[: _share(fraction, len(mean))]] = False
    for index, layer_edges in edges.items():
        empty = layer_edges.kept_weight(keep[number[index]]) == 0
        keep[number[index][layer_edges.best()[empty]]] = True
    return {index: keep[blocks] for index, blocks in number.items()}


def _share(fraction: float, count: int) -> int:
    """Give the whole part of a share; 0.29 of 100 is 29, though the product is a little less."""
    return math.floor(fraction * count + 1e-9)


#: a search for the fraction that reaches a target takes so many steps, each of which keeps this share
STEPS, KEPT = 128, 0.96

#: what is said where it stands alone
UNLIMITED = "prune must have a budget or the share to drop, as in prune:states=0.5"


def _told(argument: str | None) -> tuple[str, float | None]:
    """Read `states=0.5`: the shape, and the share where one is named."""
    shape, equals, said = (argument or "edges").partition("=")
    if shape not in SHAPES:
        raise UsageError(f"prune must be told one of {', '.join(SHAPES)}, got prune:{argument}")
    if not equals:
        return shape, None
    try:
        fraction = float(said)
    except ValueError:
        fraction = math.nan
    if not 0 <= fraction < 1:
        raise UsageError(f"prune:{shape}= must be followed by the share to drop, at least 0 and below 1, got {said!r}")
    return shape, fraction


def _check(told: str | None) -> None:
    _told(told)


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    shape, fraction = _told(argument)
    flows = evidence.flows(circuit)
    if fraction is None:
        if target is None:
            raise UsageError(UNLIMITED)

        def build(step: int) -> Circuit:
            return prune(circuit, flows, 1 - KEPT**step, shape, even=False).circuit

        fraction = 1 - KEPT ** smallest_step(build, STEPS, target)
    pruned = prune(circuit, flows, fraction, shape, even=False)
    return Outcome(pruned.circuit, ({"fraction": fraction, "dropped_edges": pruned.edges},))


PRUNE = Pass(
    "prune", _run, "structure", ("data", "target"), "edges, states or blocks of least flow",
    "edges (the default), states or blocks, and the share to drop in place of a budget: prune:states=0.5",
    "Dang, Liu and Van den Broeck, 2022; Pruning by Explaining (Yeom et al., 2021)",
    _check, UNLIMITED,
)  # fmt: skip
