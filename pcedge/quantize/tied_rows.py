"""EM with tied rows: what a refinement keeps of a row table (docs/quantization.md, section Row tables)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit
from pcedge.circuit.row_table import RowTable
from pcedge.compress.rows import RowClusters, by_length, tied_sums
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.rows import round_matrix


class TiedRows:
    """Hold the table of a circuit's dense sums while their parameters are fitted."""

    def __init__(self, circuit: Circuit, model: Any, config: QuantizationConfig, least: float) -> None:
        """Find which rows are equal but for their turn; `least` is what a dropped weight counts as."""
        self.config, self.least = config, least
        sums = tied_sums(circuit)
        numbers = model.by_layer(np.arange(len(model.parameters)))
        #: by length: the parameters of every row, (rows, length)
        self.entries: dict[int, IntArray] = by_length({index: numbers[index] for index in sums})  # type: ignore[assignment]
        found = {length: RowTable.of(rows) for length, rows in by_length(sums).items()}
        self.clusters = RowClusters(
            {length: table.rows for length, table in found.items()},
            {length: table.numbers for length, table in found.items()},
            {length: table.turns for length, table in found.items()},
        )
        #: the table as it is in use: some rows rounded
        self.used: dict[int, FloatArray] = dict(self.clusters.tables)
        #: when each row of the table is rounded, 0..1
        self.turn: dict[int, FloatArray] = {}

    def draw(self, generator: np.random.Generator) -> None:
        """Draw when each row is rounded."""
        self.turn = {length: generator.random(len(table)) for length, table in self.clusters.tables.items()}

    def update(self, model: Any, counts: Any) -> None:
        """Give every row the best of the table, and the table the most likely rows for the counts."""
        values = counts.cpu().numpy().astype(np.float64)
        counted = {length: values[entries] for length, entries in self.entries.items()}
        self.clusters.assign(counted)
        self.clusters.average(counted, model.config.sum_pseudocount)

    def put(self, model: Any, share: float) -> None:
        """Round the rows whose turn has come, and put all into the model."""
        bits = self.config.weight_bits
        keep = self.config.small_weights == "keep"
        for length, table in self.clusters.tables.items():
            counts = round_matrix(table, 1 << bits, self.config, None, keep=keep)
            rounded = np.maximum(counts / (1 << bits), self.least)
            self.used[length] = np.where((self.turn[length] < share)[:, None], rounded, table)
        self._write(model)

    def open(self, model: Any, share: float, more: float) -> None:
        """Loosen the rows that this share leaves free, so that what was dropped may come back."""
        for length, table in self.used.items():
            loose = (table + more) / (table + more).sum(axis=1, keepdims=True)
            free: NDArray[np.bool_] = self.turn[length] >= share
            self.used[length] = np.where(free[:, None], loose, table)
        self._write(model)

    def _write(self, model: Any) -> None:
        for length, entries in self.entries.items():
            rows = self.clusters.expanded(length, self.used[length])
            places = torch.tensor(entries.ravel(), device=model.device)
            model.parameters[places] = torch.tensor(rows.ravel(), dtype=model.dtype, device=model.device)
