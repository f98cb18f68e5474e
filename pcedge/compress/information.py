"""What the states of a latent say of their neighbours: mutual information of the expected counts, less its bias."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.compress.passes import Flows


def edge_information(circuit: Circuit, flows: Flows, records: int) -> dict[int, float]:
    """Estimate the mutual information (bits a record) between the rows and the columns of every dense sum layer.

    Rows are the states of the parent, columns those of the latent below. The estimate of so few records is too large by
    (rows − 1)(columns − 1)/2N nats where every cell is used (Miller and Madow, 1955), which is taken off.

    Args:
        circuit: any circuit.
        flows: its expected counts.
        records: how many records they are of.

    Returns:
        For every sum layer of several rows its information; below 0 where less is there than few records feign.
    """
    found = {}
    for index, (layer, flow) in enumerate(zip(circuit.layers, flows, strict=True)):
        if not isinstance(layer, SumLayer) or isinstance(layer.weights, SparseRows) or flow is None or len(flow) < 2:
            continue
        total = float(flow.sum())
        if total <= 0:
            found[index] = 0.0
            continue
        cells = [flow.sum(axis=1), flow.sum(axis=0), flow.reshape(-1)]
        used = [int((part > 0).sum()) for part in cells]
        nats = sum(sign * _entropy(part / total) for sign, part in zip((1, 1, -1), cells, strict=True))
        found[index] = (nats + (used[0] + used[1] - used[2] - 1) / (2 * records)) / np.log(2)
    return found


def _entropy(shares: FloatArray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
