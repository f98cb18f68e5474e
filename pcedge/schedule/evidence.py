"""What given variables say of what is coded before them, as columns (docs/program.md, section Given variables)."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.structure import Regions
from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.steps import Op
from pcedge.schedule.tables import PICK, BoolArray, Layers, Refs, Steps, upward, whole_values


def check_given(circuit: IntegerCircuit, given: Sequence[int]) -> tuple[int, ...]:
    """Demand variables of a circuit, each once; give them in ascending order.

    Raises:
        UsageError: they are no list of integers, one is no variable, or stands twice.
    """
    variables = len(circuit.order)
    try:
        given = [operator.index(variable) for variable in given]
    except TypeError:
        raise UsageError(f"given variables must be a list of integers, got {given!r}") from None
    for variable in given:
        if not 0 <= variable < variables:
            raise UsageError(f"given variables must be 0..{variables - 1}, got {variable}")
    if len(set(given)) != len(given):
        raise UsageError(f"given variables must each be named once, got {', '.join(map(str, given))}")
    return tuple(sorted(given))


@dataclass(frozen=True, eq=False)
class Scopes:
    """Tell of every layer what is coded and what is given in its scope."""

    #: whether something is coded in it
    coding: BoolArray
    #: whether something is coded after it
    needed: BoolArray
    #: whether something is given in it, and something coded before it: then it has evidence ahead of the walk
    ahead: BoolArray

    @staticmethod
    def of(circuit: IntegerCircuit, regions: Regions, given: tuple[int, ...]) -> Scopes:
        """Look at the places of the coding order."""
        known = np.isin(circuit.order, given)
        places = np.flatnonzero(~known)
        first, end = regions.first, regions.first + regions.size
        coded = np.searchsorted(places, end) - np.searchsorted(places, first)
        coding = coded > 0
        ahead = (coded < regions.size) & (first > places.min(initial=len(known)))
        chosen = regions.of_layer
        return Scopes(coding[chosen], (end <= places.max(initial=-1))[chosen], ahead[chosen])


def look_ahead(steps: Steps, layers: Layers, scopes: Scopes, revive: BoolArray) -> IntArray:
    """Add the steps that come before the walk: the likelihood of what is given, all else summed out.

    Returns:
        The id of every layer's value, -1 where it has none.
    """
    if not scopes.ahead.any():
        return np.full(len(layers.units), -1, dtype=np.int64)
    # Children in which nothing is given integrate to one: the products go on without them.
    kept = scopes.ahead[layers.child]
    user, count = layers.user[kept], np.bincount(layers.user[kept], minlength=len(layers.units))
    starts = np.concatenate([[0], np.cumsum(count)])
    some = replace(
        layers, starts=starts, user=user, child=layers.child[kept], place=np.arange(len(user)) - starts[user],
        offset=layers.offset[kept], column=layers.column[kept],
    )  # fmt: skip
    chosen = scopes.ahead
    # The walk's keys begin at -1.
    keys = (np.arange(len(layers.units)) - len(layers.units) - 1) * layers.room
    single = np.flatnonzero(layers.product & chosen & (count == 1))
    edges = starts[single]
    bent = some.column[edges] >= 0
    known = np.full(len(layers.units), -1, dtype=np.int64)
    known[single[bent]] = steps.reserve(int(bent.sum()))
    # A product of one child that it reads as it is has the child's value; chains of such end at what has its own.
    source = np.arange(len(layers.units))
    source[single[~bent]] = some.child[edges[~bent]]
    while (source != source[source]).any():
        source = source[source]
    through = replace(some, child=source[some.child])
    values = upward(steps, through, chosen, keys, keys[user] + some.place - 1, revive, revive | layers.leaf, known)
    picks = edges[bent]
    steps.add(
        Op.LIST, known[single[bent]], keys[single[bent]], layers.units[single[bent]],
        whole_values(layers, values, through.child[picks]), layer=single[bent], revive=revive[single[bent]],
        columns=(some.column[picks], -1), parts=PICK,
    )  # fmt: skip
    return values[source]


def later_evidence(
    steps: Steps, layers: Layers, scopes: Scopes, values: IntArray, keys: IntArray
) -> tuple[Refs, IntArray]:
    """Add, for products, the products of the values ahead of all children after an edge's.

    `keys` are those of layers, from which on there is room.

    Returns:
        Of every edge what is to come after its child, id -1 where it is nothing, and the column of the gather list
        through which that is read.
    """
    edges = len(layers.child)
    ids, units = np.full(edges, -1, dtype=np.int64), np.zeros(edges, dtype=np.int64)
    columns = np.full(edges, -1, dtype=np.int64)
    wanted = layers.product & scopes.coding
    counts = layers.children
    # Whether something is coded in this child or one before it, so that what comes after is wanted.
    so_far = np.concatenate([[0], np.cumsum(scopes.coding[layers.child])])
    useful = so_far[1:] > so_far[layers.starts[layers.user]]
    for back in range(1, int(counts[wanted].max(initial=0))):
        # The edges so far from the end of their layers, and those after them.
        at = layers.starts[1:][wanted & (counts > back)] - 1 - back
        after = at + 1
        has, more = scopes.ahead[layers.child[after]], ids[after] >= 0
        # What comes after alone, or what the edge after has already.
        ids[at] = np.where(has, values[layers.child[after]], ids[after])
        units[at] = np.where(has, layers.units[layers.child[after]], units[after])
        columns[at] = np.where(has, layers.column[after], columns[after])
        both = at[has & more & useful[at]]
        if not len(both):
            continue
        user, made = layers.user[both], steps.reserve(len(both))
        zeros = np.zeros(len(both), dtype=np.int64)
        steps.add(
            Op.MULTIPLY, made, keys[user] + back, layers.units[user], Refs(ids[both], zeros, units[both]),
            Refs(ids[both + 1], zeros, units[both + 1]), layer=user, columns=(columns[both], columns[both + 1]),
        )  # fmt: skip
        ids[both], units[both], columns[both] = made, layers.units[user], -1
    ids[~(scopes.coding[layers.child] & wanted[layers.user])] = -1
    return Refs(ids, np.zeros(edges, dtype=np.int64), units), columns
