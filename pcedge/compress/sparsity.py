"""How unevenly flow is shared: the PQ index, the schedule of pruning that follows it, and what latents say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, SumLayer
from pcedge.circuit.rows import float_entries, positions
from pcedge.compress.flows import flow_layers
from pcedge.errors import UsageError

#: the part of a layer's edges that one round drops at most
MOST = 0.9

#: bits a record, below which a latent says nothing of its parent
NOTHING = 1e-4


def pq_index(flows: ArrayLike) -> float:
    """Give the PQ index of flows (p = 1/2, q = 1): 0 where all are equal, near 1 where a few have everything.

    I = 1 - d^(1/q - 1/p) ||w||_p / ||w||_q = 1 - (sum of sqrt(w))^2 / (d sum of w), for d flows w. Scaling the flows or
    repeating them leaves it (Diao et al., "Pruning Deep Neural Networks from a Sparsity Perspective", ICLR 2023). There
    w are weights, but a row's weights sum to 1 and say nothing of how often the row is used.

    Args:
        flows: expected counts of edges, of any shape, from `expected_flows`.

    Returns:
        The index, 0..1; 0 where no flow passes.

    Raises:
        UsageError: there are none, or one is negative or not finite.

    Example:
        >>> pq_index([1, 1, 1, 1]), pq_index([[1, 0], [0, 0]])
        (0.0, 0.75)
    """
    flat = np.asarray(flows, dtype=np.float64).reshape(-1)
    if not len(flat) or not np.isfinite(flat).all() or (flat < 0).any():
        raise UsageError("a PQ index must be of finite flows that are not negative, at least one")
    total = float(flat.sum())
    # Rounding may leave a little less than 0 of equal flows.
    return 0.0 if total == 0 else max(0.0, 1.0 - float(np.sqrt(flat / total).sum()) ** 2 / len(flat))


def sap_fraction(flows: ArrayLike, gamma: float = 0.5) -> float:
    """Give the share of edges that a round of sparsity-informed adaptive pruning (SAP) drops.

    Of d flows at least m = d (1 - I) matter, I the PQ index; a round drops the share gamma (1 - m / d), at most 0.9.

    Args:
        flows: as of `pq_index`.
        gamma: how bold a round is, above 0.

    Raises:
        UsageError: the flows or gamma are out of range.

    Example:
        >>> sap_fraction([9, 1, 0, 0], 0.5)
        0.3
    """
    if not 0 < gamma < np.inf:
        raise UsageError(f"gamma must be above 0 and finite, got {gamma}")
    return min(gamma * pq_index(flows), MOST)


def latent_information(circuit: Circuit, flows: Sequence[FloatArray | None]) -> dict[int, float]:
    """Estimate what each latent says of its parent: the mutual information of a sum layer's units and its columns.

    Rows of a sum layer are states of the parent, columns those of the latent below, and the flows of its edges their
    joint counts. Few records seem to say too much: the estimate is less by (c - r - s + 1) / 2N nats, for c cells, r
    rows and s columns with a flow of at least one record and N records in all (Miller and Madow, 1955). Cells of less
    are left out: an expected count of a record that is spread over many cells adds far less bias than one drawn.

    Args:
        circuit: the circuit.
        flows: from `expected_flows`.

    Returns:
        Bits of every sum layer of several units that has a flow, by its number in the circuit; not negative.

    Raises:
        UsageError: the flows do not fit the circuit.

    Example:
        >>> from pcedge.circuit import InputLayer
        >>> layers = InputLayer(0, np.eye(2)), SumLayer((0,), np.eye(2)), SumLayer((1,), np.full((1, 2), 0.5))
        >>> flows = [np.eye(2) * 500, np.eye(2) * 500, np.full((1, 2), 500.0)]
        >>> {layer: round(bits, 3) for layer, bits in latent_information(Circuit(layers), flows).items()}
        {1: 1.001}
    """
    information = {}
    for index, layer in enumerate(flow_layers(circuit, flows)):
        if not isinstance(layer, SumLayer) or layer.shape.units < 2:
            continue
        rows, columns = positions(layer.weights)
        cells = float_entries(layer.weights).reshape(-1)
        records = float(cells.sum())
        if records == 0:
            continue
        of_row, of_column = np.bincount(rows, weights=cells), np.bincount(columns, weights=cells)
        some = cells > 0
        ratio = cells[some] * records / (of_row[rows[some]] * of_column[columns[some]])
        bias = sum(sign * int((counts >= 1).sum()) for sign, counts in ((1, cells), (-1, of_row), (-1, of_column))) + 1
        nats = float((cells[some] * np.log(ratio)).sum()) / records - bias / (2 * records)
        information[index] = max(0.0, nats / math.log(2))
    return information
