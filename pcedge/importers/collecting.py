"""What the readers of live objects have in common: units that are collected, and a budget without a file."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray
from pcedge.errors import UsageError
from pcedge.importers.graph import Product, Sum
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow_leaves import Content, RawLeaf, RawUnits, draft_of
from pcedge.importers.spflow_names import Variables, numbered_from_one
from pcedge.limits import MemoryBudget

#: bytes that a live object counts as: what it holds was in memory already, so only the ceiling of `BOUNDS` holds
_LIVE = 1 << 40

#: in place of a unit: the factor 1, over no variable
ONE = -1

Keys = NDArray[np.int64]


class Collected:
    """Collect units under numbers; variables are columns of the data until the end."""

    def __init__(self, what: str) -> None:
        """Start with none; `what` names the object in messages."""
        self.what = what
        self.units: dict[Hashable, RawLeaf | Product | Sum] = {}

    def leaf(self, name: str, column: int, content: Content) -> int:
        """Add a leaf."""
        self.units[len(self.units)] = RawLeaf(name, column, content)
        return len(self.units) - 1

    def product(self, name: str, children: Sequence[int]) -> int:
        """Add a product; that of one factor is this factor, and `ONE` is no factor."""
        factors = [child for child in children if child != ONE]
        if len(factors) < 2:
            return factors[0] if factors else ONE
        self.units[len(self.units)] = Product(name, tuple(factors))
        return len(self.units) - 1

    def sum(self, name: str, children: Sequence[int], log_weights: Sequence[float]) -> int:
        """Add a sum.

        Raises:
            UsageError: a child is `ONE`.
        """
        if ONE in children:
            raise UsageError(f"{self.what}: {name} must be over units with variables, one has none")
        self.units[len(self.units)] = Sum(name, tuple(children), tuple(log_weights))
        return len(self.units) - 1

    def draft(self, root: int, gridding: Gridding | None, budget: MemoryBudget | None = None) -> Draft:
        """Make the layers; variables are in the order of their columns, named V and the column.

        Args:
            root: the root's number.
            gridding: how real values become symbols.
            budget: of a file's memory; None for a live object, whose numbers are in memory already.

        Raises:
            CircuitError: a rule of circuits is broken.
        """
        return by_columns(self.units, root, gridding, budget or MemoryBudget("spn", _LIVE, self.what, UsageError))


def by_columns(units: RawUnits, root: Hashable, gridding: Gridding | None, budget: MemoryBudget) -> Draft:
    """Make layers of units whose variables are columns of the data: in their order, named V and the column.

    Raises:
        FormatError, CircuitError: a rule of circuits is broken.
    """
    columns = sorted({unit.variable for unit in units.values() if isinstance(unit, RawLeaf)})
    place = {column: index for index, column in enumerate(columns)}
    placed = {
        key: RawLeaf(unit.name, place[unit.variable], unit.content) if isinstance(unit, RawLeaf) else unit
        for key, unit in units.items()
    }
    names = tuple(f"V{column}" for column in columns)
    draft = draft_of(
        placed,
        root,
        Variables(names, tuple(columns), names, numbered_from_one(columns)),
        gridding or Gridding(),
        budget,
    )
    return replace(draft, variables=()) if draft.grid is None else draft


def numbers(tensor: Any) -> FloatArray:
    """Give a torch tensor, or anything like an array, as float64."""
    detached = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return np.asarray(detached, dtype=np.float64)


def kind_of(thing: Any, package: str, known: Sequence[str]) -> str:
    """Give the name of the first class of an object, its own or one it inherits, that a package defines and we know.

    Returns:
        The name, or that of the object's own class if none is known.
    """
    for kind in type(thing).__mro__:
        if kind.__module__.split(".")[0] == package and kind.__name__ in known:
            return kind.__name__
    return type(thing).__name__


def log_softmax(logits: FloatArray, axis: int | tuple[int, ...]) -> FloatArray:
    """Give the logarithms of a softmax."""
    top = logits.max(axis=axis, keepdims=True)
    return np.asarray(logits - top - np.log(np.exp(logits - top).sum(axis=axis, keepdims=True)))
