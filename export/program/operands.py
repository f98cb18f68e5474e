"""Operands: one number for a variable and the weights of its latent (docs/engine-memories.md, section Phrases)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.export.program.packing import Column, PackedTable, pack
from pcedge.schedule.steps import Op

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Operands:
    """Number what UP, DOWN, LEAF and INTERVAL work with: variable v has the number v, layers may share it."""

    #: by number: the sum layer, -1 where there is none
    layers: Integers
    #: rows and columns of the layer's weights; 0 where no step asks
    rows: Integers
    columns: Integers

    def number_of(self, layers: Integers) -> Integers:
        """Give the numbers of layers, (steps,) each."""
        numbers = np.full(int(self.layers.max(initial=-1)) + 1, -1, dtype=np.int64)
        numbers[self.layers[self.layers >= 0]] = np.flatnonzero(self.layers >= 0)
        return numbers[layers]

    def table(self, addresses: Integers) -> PackedTable:
        """Pack a row a number: `weights`, `rows` and `columns`.

        Args:
            addresses: of the weights of every layer, by its index.
        """
        has = self.layers >= 0
        weights = np.zeros(len(self.layers), dtype=np.int64)
        weights[has] = addresses[self.layers[has]]
        columns = {"weights": weights, "rows": self.rows, "columns": self.columns}
        return pack({name: Column(column, has) for name, column in columns.items()})


def number_operands(programs: Sequence[dict[str, Column]], variables: int) -> Operands:
    """Number the operands of some programs.

    A layer shares the number of the first variable whose INTERVAL stands behind its DOWN, before that of another
    layer; where nothing goes down, of the last LEAF before its UP: of its own latent's variable, in a hidden tree.
    Layers that find none follow behind the variables.

    Args:
        programs: columns of `STEP_FIELDS`; `weights` names layers.
        variables: how many there are.
    """
    layer_of = [-1] * variables
    taken: set[int] = set()
    for columns in programs:
        down = bool((columns["kind"].values == Op.DOWN).any())
        layer = variable = -1
        for kind, asked, named in zip(*(columns[n].values.tolist() for n in ("kind", "weights", "variable")), strict=True):
            if kind in (Op.LEAF, Op.INTERVAL):
                variable = named
            if kind == (Op.DOWN if down else Op.UP):
                layer = asked
            ends = kind == (Op.INTERVAL if down else Op.UP)
            if ends and min(layer, variable) >= 0 and layer not in taken and layer_of[variable] < 0:
                layer_of[variable] = layer
                taken.add(layer)
    every = [column.values[column.used] for columns in programs if (column := columns["weights"])]
    others = dict.fromkeys(int(layer) for layers in every for layer in layers if int(layer) not in taken)
    layers = np.array([*layer_of, *others], dtype=np.int64)
    rows, columns_of = (np.zeros(int(layers.max(initial=-1)) + 1, dtype=np.int64) for _ in range(2))
    for columns in programs:
        kinds, asked = columns["kind"].values, columns["weights"]
        for kind, result, source in ((Op.UP, rows, columns_of), (Op.DOWN, columns_of, rows)):
            for sizes, name in ((result, "units"), (source, "a_units")):
                has = asked.used & (kinds == kind) & columns[name].used
                sizes[asked.values[has]] = columns[name].values[has]
    has = layers >= 0
    return Operands(layers, *(np.where(has, sizes[np.where(has, layers, 0)], 0) if has.any() else np.zeros_like(layers)
                              for sizes in (rows, columns_of)))  # fmt: skip
