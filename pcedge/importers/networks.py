"""Bayesian and Markov networks as tables over variables: what the readers of networks collect and check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.data.axis import MAX_SYMBOLS, Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import FormatError
from pcedge.limits import MemoryBudget

#: how far the sum of a row of probabilities may be from 1 in a file: what rounding to few digits makes
ROUNDED = 0.02

#: how far it may be without a note
EXACT = 1e-9

#: bytes of memory for an entry of a table while it is read
ENTRY_BYTES = 40

State = str | int | float


@dataclass(frozen=True, eq=False)
class Factor:
    """Hold a table over some variables: its product with the others is the distribution."""

    #: the variables of the table's axes
    scope: tuple[int, ...]
    table: FloatArray


@dataclass(frozen=True, eq=False)
class Network:
    """Hold a network: the product of its factors, over all variables."""

    names: tuple[str, ...]
    #: of every variable, the states' names, or how many there are: 0, 1, …
    states: tuple[tuple[State, ...] | int, ...]
    factors: tuple[Factor, ...]
    #: remarks for the user
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Give the number of states of every variable."""
        return tuple(states if isinstance(states, int) else len(states) for states in self.states)

    @property
    def grid(self) -> ValueGrid:
        """Give the grid of the states."""
        return ValueGrid(
            tuple(
                Axis(name, column, "integers", count=states, outside="refuse")
                if isinstance(states, int)
                else Axis(name, column, "states", states=states)
                for column, (name, states) in enumerate(zip(self.names, self.states, strict=True))
            )
        )


class Collected:
    """Collect the variables and tables of a file, check them, and give the network."""

    def __init__(self, where: str, budget: MemoryBudget, *, rescale: bool = False) -> None:
        """Start with nothing.

        Args:
            where: the file's name, for messages.
            budget: of the file's memory.
            rescale: take rows of any positive sum, as counts; else they must sum to 1 within `ROUNDED`.
        """
        self.where = where
        self.budget = budget
        self.names: list[str] = []
        self.states: list[tuple[State, ...] | int] = []
        self._factors: list[Factor] = []
        self._numbers: dict[str, int] = {}
        #: by variable: where its table stands, and its parents
        self._given: dict[int, str] = {}
        self._parents: dict[int, tuple[int, ...]] = {}
        self._rescale = rescale
        self._off, self._farthest = 0, 0.0

    def add_variable(self, name: str, states: Sequence[State] | int, at: str) -> None:
        """Take a variable.

        Raises:
            FormatError: the name was taken, two states have one name, or there are none or too many.
        """
        if not name or name in self._numbers:
            raise FormatError(
                "network-variable", f"{at}: a variable must have a name of its own, got {name[:40]!r} again"
            )
        count = states if isinstance(states, int) else len(states)
        if not 1 <= count <= MAX_SYMBOLS:
            raise FormatError(
                "network-variable", f"{at}: {name[:40]} must have 1..{MAX_SYMBOLS} states, it has {count}"
            )
        if not isinstance(states, int):
            known = {str(state).strip() for state in states}
            if len(known) != count:
                raise FormatError("network-variable", f"{at}: the states of {name[:40]} must have a name each")
        self.budget.take(400 + (0 if isinstance(states, int) else 100 * count))
        self._numbers[name] = len(self.names)
        self.names.append(name)
        self.states.append(states if isinstance(states, int) else tuple(states))

    def known(self, name: str) -> bool:
        """Tell whether there is such a variable."""
        return name in self._numbers

    def variable(self, name: str, at: str) -> int:
        """Find a variable.

        Raises:
            FormatError: there is none.
        """
        if name not in self._numbers:
            raise FormatError("network-variable", f"{at}: a table must be over variables of the file, {name!r} is none")
        return self._numbers[name]

    def size(self, variable: int) -> int:
        """Count a variable's states."""
        states = self.states[variable]
        return states if isinstance(states, int) else len(states)

    def room(self, scope: Sequence[int], at: str) -> tuple[int, ...]:
        """Give the shape of a table, and take its memory from the budget.

        Raises:
            FormatError: a variable is there twice, or the table is too large for the file.
        """
        if len(set(scope)) != len(scope):
            twice = next(variable for variable in scope if list(scope).count(variable) > 1)
            raise FormatError(
                "network-table", f"{at}: a table must name a variable once, {self.names[twice]!r} is twice"
            )
        if len(scope) > 32 and sum(self.size(variable) > 1 for variable in scope) > 32:
            raise FormatError("network-table", f"{at}: a table must have at most 32 variables, it has {len(scope)}")
        shape = tuple(self.size(variable) for variable in scope)
        self.budget.take(ENTRY_BYTES * math.prod(shape))
        return shape

    def add_table(self, child: int, parents: Sequence[int], values: FloatArray, at: str) -> None:
        """Take the distributions of a variable, one for each states of its parents.

        Args:
            child: the variable.
            parents: its parents, in the order of the values.
            values: all probabilities; the child's states run fastest, those of the first parent slowest.
            at: the place in the file.

        Raises:
            FormatError: the variable has a table already, a probability is no such, or a row does not sum to 1.
        """
        name = self.names[child]
        if child in self._given:
            raise FormatError(
                "network-table", f"{at}: {name!r} must have one table, {self._given[child]} gives one too"
            )
        self._given[child] = at
        self._parents[child] = tuple(parents)
        scope = (*parents, child)
        table = self._checked(scope, values, at).reshape(-1, self.size(child))
        sums = table.sum(axis=1)
        off = np.abs(sums - 1)
        farthest = int(np.argmax(off))
        if not sums.all() or (off[farthest] > ROUNDED and not self._rescale):
            wrong = farthest if sums.all() else int(np.flatnonzero(sums == 0)[0])
            raise FormatError(
                "network-table",
                f"{at}: the probabilities of {name!r} must sum to 1 for all states of its parents, for "
                f"{self._described(parents, wrong)} they sum to {sums[wrong]:.6g}",
            )
        self._off += int((off > EXACT).sum())
        self._farthest = max(self._farthest, float(off[farthest]))
        if self.size(child) > 1:
            self._keep(scope, table / sums[:, None])

    def add_factor(self, scope: Sequence[int], values: FloatArray, at: str) -> None:
        """Take a table of a Markov network; the first variable's states run slowest.

        Raises:
            FormatError: an entry is negative or not finite, or all are 0.
        """
        table = self._checked(scope, values, at)
        if not table.any():
            raise FormatError("network-table", f"{at}: a table must have an entry above 0, all are 0")
        self._keep(tuple(scope), table)

    def network(self, *, directed: bool = True) -> Network:
        """Give the network.

        Raises:
            FormatError: there is no variable; or, of a directed one, a variable has no table or is its own ancestor.
        """
        if not self.names:
            raise FormatError("network-variable", f"{self.where} must have at least one variable, it has none")
        notes = []
        if directed:
            if missing := [name for place, name in enumerate(self.names) if place not in self._given]:
                raise FormatError(
                    "network-table", f"{self.where}: every variable must have a table, {missing[0]!r} has none"
                )
            self._check_order()
        if self._off:
            notes.append(
                f"{self._off} rows of probabilities did not sum to 1 and were divided by their sums, which are off by "
                f"{self._farthest:.3g} at most"
            )
        return Network(tuple(self.names), tuple(self.states), tuple(self._factors), tuple(notes))

    def _checked(self, scope: Sequence[int], values: FloatArray, at: str) -> FloatArray:
        wanted = math.prod(self.size(variable) for variable in scope)
        if values.size != wanted:
            listed = ", ".join(self.names[variable] for variable in scope[:8]) + (", …" if len(scope) > 8 else "")
            raise FormatError(
                "network-table", f"{at}: a table over {listed} must have {wanted} entries, it has {values.size}"
            )
        if not (np.isfinite(values).all() and (values >= 0).all()):
            wrong = values[~(np.isfinite(values) & (values >= 0))][0]
            raise FormatError("network-table", f"{at}: an entry must be finite and not negative, got {wrong}")
        return values

    def _keep(self, scope: tuple[int, ...], table: FloatArray) -> None:
        """Keep a factor without its variables of one state, which change nothing."""
        rest = tuple(variable for variable in scope if self.size(variable) > 1)
        self._factors.append(Factor(rest, table.reshape([self.size(variable) for variable in rest])))

    def _described(self, parents: Sequence[int], row: int) -> str:
        """Say which states of the parents a row is for."""
        if not parents:
            return "all"
        words = []
        for parent in reversed(parents):
            row, place = divmod(row, self.size(parent))
            states = self.states[parent]
            words.append(f"{self.names[parent]} = {place if isinstance(states, int) else states[place]}")
        return ", ".join(reversed(words))

    def _check_order(self) -> None:
        """Refuse a variable that is its own ancestor, and so no conditional distribution."""
        waits = [len(self._parents[variable]) for variable in range(len(self.names))]
        children: list[list[int]] = [[] for _ in self.names]
        for child, parents in self._parents.items():
            for parent in parents:
                children[parent].append(child)
        ready = [variable for variable, count in enumerate(waits) if not count]
        left = len(self.names)
        while ready:
            left -= 1
            variable = ready.pop()
            for child in children[variable]:
                waits[child] -= 1
                if not waits[child]:
                    ready.append(child)
        if left:
            first = next(self.names[variable] for variable, count in enumerate(waits) if count)
            raise FormatError(
                "network-cycle",
                f"{self.where}: no variable may be its own ancestor, {first!r} is, or below one that is",
            )
