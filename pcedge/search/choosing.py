"""How a search makes candidates: starts, offspring, and layers' W that fill a budget (docs/search.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import InputLayer
from pcedge.errors import UsageError
from pcedge.search.candidates import LEAST, Candidate, Choices

#: the part of the memory that a start may give to leaf tables
WORTH = (0.05, 0.5)

#: numbers of leaf tables that starts try, at most
COUNTS = 8

#: candidates of either kind, many W or one for all, that a search starts with
STARTS = 4

#: factors by which the layers' own losses may be wrong together
TRUSTED = (0.2, 5.0)

#: layers that change at a time, at most, as a part of all
CHANGES = 0.05

#: how often a candidate is made to fill the budget better, and which part of it may stay empty
TRIES, SLACK = 4, 0.0005


@dataclass(frozen=True)
class Limits:
    """Hold what a candidate must keep."""

    #: bits of all read-only memories, exact
    memory: int | None
    multiplier: int | None


@dataclass(frozen=True)
class Losses:
    """Hold what numbers of tables, L and A lose, each alone, in bits a record."""

    tables: dict[int | None, float]
    leaf: dict[int, float]
    state: dict[int, float]

    @staticmethod
    def measured(choices: Choices, limits: Limits, records: IntArray) -> Losses:
        """Measure them, and make the layers' losses at every W add up to what all together lose.

        Raises:
            UsageError: the budget is below the least that there is.
        """
        widest, variables = choices.whole, len(choices.base.cardinalities)
        least = _least(choices)
        for what, limit, bits_of in (
            ("multiplier", limits.multiplier, choices.multiplier_bits), ("memory", limits.memory, choices.memory_bits),
        ):  # fmt: skip
            if limit is not None and (bits := bits_of(least)) > limit:
                raise UsageError(f"the budget must be at least {bits} bits of {what} for this circuit, got {limit}")
        none = choices.bits(widest, records)

        def lost(other: Candidate) -> float:
            return (choices.bits(other, records) - none) * variables

        tables = _worth(choices, limits.memory)
        middle = tables[(len(tables) - 1) // 2]
        by_tables = {count: lost(replace(widest, tables=count)) for count in tables}
        leaves = range(LEAST["leaf"], widest.leaf_bits + 1)
        states = range(LEAST["state"] if limits.multiplier is not None else widest.state_bits, widest.state_bits + 1)
        by_leaf = {bits: lost(replace(widest, tables=middle, leaf_bits=bits)) - by_tables[middle] for bits in leaves}
        by_state = {bits: lost(replace(widest, state_bits=bits)) for bits in states}
        if choices.sums:
            even = [replace(widest, weight_bits=(bits,) * len(choices.sums)) for bits in choices.levels]
            together = np.array([lost(one) for one in even])
            alone = choices.lost - choices.lost[-1]
            sums = alone.sum(axis=1)
            factors = np.where((sums > 0) & (together > 0), together / np.where(sums > 0, sums, 1.0), 1.0)
            choices.lost = alone * np.clip(factors, *TRUSTED)[:, None]
        return Losses(by_tables, by_leaf, by_state)


def _least(choices: Choices) -> Candidate:
    return Candidate((LEAST["weight"],) * len(choices.sums), LEAST["leaf"], LEAST["state"], choices.counts[0])


def starts(choices: Choices, limits: Limits, losses: Losses) -> list[Candidate]:
    """Give candidates to begin with: those with the least expected loss, some of them with one W for all.

    The losses are taken to add up, of weights and of tables the part that remains.
    """
    widest, least, left = choices.whole, _least(choices), choices.remains
    # What the estimate does not see is taken from the least candidate, until one is counted.
    unseen = 0 if limits.memory is None else choices.memory_bits(least) - choices.estimated_bits(least)
    budget = None if limits.memory is None else limits.memory - unseen
    ranked: list[tuple[float, Candidate]] = []
    for count, leaf, state in product(losses.tables, losses.leaf, losses.state):
        candidate = replace(widest, tables=count, leaf_bits=leaf, state_bits=state)
        some = [_fill(choices, candidate, budget, limits.multiplier, choices.lost)]
        for bits in choices.levels:
            even = replace(candidate, weight_bits=(bits,) * len(choices.sums))
            if budget is None or choices.estimated_bits(even) <= budget:
                some.append(even if choices.fits(even, limits.multiplier) else None)
        other = left * losses.tables[count] + losses.leaf[leaf] + losses.state[state]
        ranked += [(other + left * choices.weight_loss(one), one) for one in some if one is not None]
    ranked.sort(key=lambda pair: pair[0])
    chosen: dict[Candidate, None] = {}
    for mixed in (True, False):
        good = [one for _, one in ranked if (len(set(one.weight_bits)) > 1) is mixed]
        accepted = 0
        for one in good:
            exact = filled(choices, one, limits) if mixed else one
            if exact is not None and _keeps(choices, exact, limits):
                chosen[exact] = None
                accepted += 1
            if accepted == STARTS:
                break
    return list(chosen) or [least]


def _keeps(choices: Choices, candidate: Candidate, limits: Limits) -> bool:
    return choices.fits(candidate, limits.multiplier) and (
        limits.memory is None or choices.memory_bits(candidate) <= limits.memory
    )


def _worth(choices: Choices, memory: int | None) -> list[int | None]:
    """Give the numbers of leaf tables that a start tries: those that take some of the memory, and not most."""
    known = choices.counts
    if memory is None:
        return known[-1:]
    sizes = {layer.table.shape[1] for layer in choices.base.layers if isinstance(layer, InputLayer)}
    bits = sum(symbols - 1 for symbols in sizes) * choices.limits.leaf_bits
    some: list[int | None] = [
        count for count in known if count is not None and WORTH[0] * memory <= count * bits <= WORTH[1] * memory
    ]
    some = (some or known[:-1])[::-1]
    return list(dict.fromkeys([*some[:: -(-len(some) // COUNTS) or 1][::-1], known[-1]]))


def filled(
    choices: Choices, candidate: Candidate, limits: Limits, dice: np.random.Generator | None = None
) -> Candidate | None:
    """Give the layers of a candidate the W that lose least within the budget, and fill it; None if there are none.

    With dice every loss is multiplied by a random factor, so that offspring differ.
    """
    losses = choices.lost if dice is None else choices.lost * dice.lognormal(0.0, 0.3, choices.lost.shape[1])
    if limits.memory is None:
        return _fill(choices, candidate, None, limits.multiplier, losses)
    best, best_bits = None, -1
    # What the estimate does not see hardly changes with W: begin with that of the candidate as it is.
    budget = limits.memory - (choices.memory_bits(candidate) - choices.estimated_bits(candidate))
    for _ in range(TRIES):
        fill = _fill(choices, candidate, budget, limits.multiplier, losses)
        if fill is None:
            break
        bits = choices.memory_bits(fill)
        if best_bits < bits <= limits.memory:
            best, best_bits = fill, bits
        if fill == candidate or 0 <= limits.memory - bits <= SLACK * limits.memory:
            break
        budget += limits.memory - bits
        candidate = fill
    return best


def _fill(
    choices: Choices, candidate: Candidate, budget: int | None, multiplier: int | None, losses: FloatArray
) -> Candidate | None:
    """Do what `filled` says, with an estimated memory: one price a bit for all layers, found by bisection."""
    if not choices.sums:
        return candidate if budget is None or choices.estimated_bits(candidate) <= budget else None
    top = len(choices.levels)
    if multiplier is not None:
        # A certain child needs one bit more than W.
        top = min(top, multiplier // candidate.state_bits - candidate.leaf_bits - LEAST["weight"])
        if top < 1:
            return None
    columns = np.arange(len(choices.sums))

    def chosen(price: float) -> IntArray:
        return np.asarray(np.argmin(losses[:top] + price * choices.stored[:top], axis=0))

    def bits(levels: IntArray) -> int:
        return int(choices.stored[levels, columns].sum())

    levels = chosen(0.0)
    if budget is not None:
        least = replace(candidate, weight_bits=(LEAST["weight"],) * len(choices.sums))
        budget -= choices.estimated_bits(least) - int(choices.stored[0].sum())
        if bits(levels) > budget:
            low, high = -60.0, 40.0  # log2 of the bits lost for a stored bit
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (low, middle) if bits(chosen(2.0**middle)) <= budget else (middle, high)
            levels = chosen(2.0**high)
            if bits(levels) > budget:
                return None
    return replace(candidate, weight_bits=tuple(int(level) for level in levels + LEAST["weight"]))


def mutated(choices: Choices, parent: Candidate, limits: Limits, dice: np.random.Generator) -> Candidate:
    """Make an offspring: another L or number of tables with W to match, W shared out anew, or some switched."""
    kind = dice.random()
    if kind < 0.6 or not choices.sums:
        moved = parent
        if kind < 0.4 or not choices.sums:
            counts = choices.counts
            index = counts.index(parent.tables) + int(dice.integers(-1, 2))
            leaf = parent.leaf_bits + int(dice.integers(-1, 2))
            state = parent.state_bits + (int(dice.integers(-1, 2)) if limits.multiplier is not None else 0)
            moved = replace(
                parent, tables=counts[min(max(index, 0), len(counts) - 1)],
                leaf_bits=min(max(leaf, LEAST["leaf"]), choices.limits.leaf_bits),
                state_bits=min(max(state, LEAST["state"]), choices.limits.state_bits),
            )  # fmt: skip
        return filled(choices, moved, limits, dice) or parent
    bits = np.array(parent.weight_bits)
    count = int(dice.integers(1, max(2, round(CHANGES * len(bits))) + 1))
    mixed = dice.permutation(len(bits))
    bits[mixed[:count]] = np.minimum(bits[mixed[:count]] + 1, choices.limits.weight_bits)
    return _lower(choices, replace(parent, weight_bits=_tuple(bits)), mixed[count:], limits) or parent


def _lower(choices: Choices, candidate: Candidate, others: IntArray, limits: Limits) -> Candidate | None:
    """Lower W of other layers, one after the other, until the budget holds; None if it does not."""
    bits = np.array(candidate.weight_bits)
    lower = np.maximum(bits[others] - 1, LEAST["weight"]) - LEAST["weight"]
    saved = np.cumsum(choices.stored[bits[others] - LEAST["weight"], others] - choices.stored[lower, others])
    need = 0
    for _ in range(TRIES):
        count = 0 if need <= 0 else int(np.searchsorted(saved, need)) + 1
        if count > len(others):
            return None
        changed = bits.copy()
        changed[others[:count]] = lower[:count] + LEAST["weight"]
        lowered = replace(candidate, weight_bits=_tuple(changed))
        over = 0 if limits.memory is None else choices.memory_bits(lowered) - limits.memory
        if over <= 0:
            return lowered if choices.fits(lowered, limits.multiplier) else None
        need = max(need, 0) + over
    return None


def spent(choices: Choices, candidate: Candidate, limits: Limits) -> Candidate:
    """Spend what a candidate leaves of the memory on the layers that gain most a bit."""
    if limits.memory is None or not choices.sums:
        return candidate
    remaining = limits.memory - choices.memory_bits(candidate)
    for _ in range(8 * TRIES):
        rows = np.array(candidate.weight_bits) - LEAST["weight"]
        columns = np.arange(len(rows))
        costs = np.maximum(choices.stored - choices.stored[rows, columns], 0)
        higher = (np.arange(len(choices.levels))[:, None] > rows) & (costs <= remaining)
        gains = np.where(higher, (choices.lost[rows, columns] - choices.lost) / np.maximum(costs, 1), 0.0)
        best = gains.argmax(axis=0)
        order = np.argsort(-gains[best, columns], kind="stable")
        order = order[gains[best, columns][order] > 0]
        taken = order[np.cumsum(costs[best, columns][order]) <= remaining]
        if not len(taken):
            break
        rows[taken] = best[taken]
        raised = replace(candidate, weight_bits=_tuple(rows + LEAST["weight"]))
        left = limits.memory - choices.memory_bits(raised)
        if left < 0 or not choices.fits(raised, limits.multiplier):
            remaining //= 2
            continue
        candidate, remaining = raised, left
    return candidate


def _tuple(bits: IntArray) -> tuple[int, ...]:
    return tuple(int(value) for value in bits)
