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
    layer; in a program without DOWN, of the last LEAF before its UP: of its own latent's variable, in a hidden tree.
    Layers that find none follow behind the variables.

    Args:
        programs: columns of `STEP_FIELDS`; `weights` names layers.
        variables: how many there are.
    """
    own: dict[int, int] = {}  # layer to variable
    for columns in programs:
        _pair(columns, own)
    asked = [columns["weights"] for columns in programs]
    every = dict.fromkeys(int(layer) for column in asked for layer in column.values[column.used])
    of_variable = {variable: layer for layer, variable in own.items()}
    layers = np.array(
        [*(of_variable.get(variable, -1) for variable in range(variables)), *(n for n in every if n not in own)],
        dtype=np.int64,
    )
    sides = np.zeros((2, int(layers.max(initial=-1)) + 2), dtype=np.int64)
    for columns, weights in zip(programs, asked, strict=True):
        for kind, names in ((Op.UP, ("units", "a_units")), (Op.DOWN, ("a_units", "units"))):
            for side, name in zip(sides, names, strict=True):
                has = weights.used & columns[name].used & (columns["kind"].values == kind)
                side[weights.values[has]] = columns[name].values[has]
    # The last entry, 0, is of no layer.
    rows, columns_of = sides[:, layers]
    return Operands(layers, rows, columns_of)


def _pair(columns: dict[str, Column], own: dict[int, int]) -> None:
    """Find layers and variables that stand beside each other, for layers and variables without a partner."""
    down = bool((columns["kind"].values == Op.DOWN).any())
    taken = set(own.values())
    layer = variable = -1
    numbers = (columns[name].values.tolist() for name in ("kind", "weights", "variable"))
    for kind, asked, named in zip(*numbers, strict=True):
        if kind in (Op.LEAF, Op.INTERVAL):
            variable = named
        if kind == (Op.DOWN if down else Op.UP):
            layer = asked
        both = kind == (Op.INTERVAL if down else Op.UP) and min(layer, variable) >= 0
        if both and layer not in own and variable not in taken:
            own[layer] = variable
            taken.add(variable)
