"""The order in which a network's variables are summed out, and the tree of tables that it makes: min-fill."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pcedge.errors import FormatError

#: a table of more entries than this is counted no further
HOPELESS = 1 << 48

#: how finely sizes are compared: logarithms of whole numbers, rounded, so that every machine finds the same order
_SCALE = 1 << 16


@dataclass(frozen=True, eq=False)
class Bucket:
    """Hold what is known when a variable is summed out: a table over it and its separator."""

    variable: int
    #: the variables that the table has beside it, ascending; all are summed out later
    separator: tuple[int, ...]
    #: numbers of the factors that are multiplied into the table
    factors: list[int] = field(default_factory=list)
    #: numbers of the buckets whose sums are multiplied into it
    children: list[int] = field(default_factory=list)

    @property
    def clique(self) -> tuple[int, ...]:
        """Give all variables of the table, its own as the last."""
        return (*self.separator, self.variable)


@dataclass(frozen=True, eq=False)
class Plan:
    """Hold the buckets, children before parents."""

    buckets: list[Bucket]
    #: entries of all tables together
    entries: int
    #: the bucket of the largest table, and its entries
    largest: tuple[Bucket, int]


def plan(scopes: Sequence[Sequence[int]], sizes: Sequence[int]) -> Plan:
    """Choose an order by min-fill, ties by the size of the table, and by weighted min-fill; the smaller one is taken.

    Of equal tables that of the variable with the most states comes first: it is out of all that follow.

    Args:
        scopes: the variables of every factor; variables of one state need not be among them.
        sizes: the number of states of every variable.
    """
    neighbours: list[set[int]] = [set() for _ in sizes]
    for scope in scopes:
        for variable in scope:
            neighbours[variable].update(scope)
            neighbours[variable].discard(variable)
    dense = _dense(neighbours)
    if dense is not None:
        return Plan([dense], HOPELESS, (dense, HOPELESS))
    plans = [_buckets(scopes, sizes, _eliminate(neighbours, sizes, weighted=weighted)) for weighted in (False, True)]
    return min(plans, key=lambda found: found.entries)


def check_size(found: Plan, names: Sequence[str], limit: int, where: str) -> None:
    """Refuse tables of more than `limit` entries together.

    Raises:
        FormatError: they have more; the message names the largest clique.
    """
    if found.entries <= min(limit, HOPELESS - 1):
        return
    bucket, size = found.largest
    listed = [names[variable] for variable in sorted(bucket.clique)]
    clique = ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
    counts = [f"{count:,}" if count < HOPELESS else f"more than {HOPELESS:,}" for count in (size, found.entries)]
    raise FormatError(
        "network-size",
        f"{where}: the tables of its cliques must have at most {limit:,} entries together, they have {counts[1]}; the "
        f"clique of variables {clique} has {counts[0]}; give a higher --limit, or cut edges",
    )


def _dense(neighbours: Sequence[set[int]]) -> Bucket | None:
    """Find variables of which each has so many neighbours among them that no order helps; None where there are none.

    The variable with the fewest neighbours is taken out again and again; the most that one of them has then is a lower
    bound of the largest clique of every order (treewidth). It also bounds the time that finding a good order takes.
    """
    degrees = [len(around) for around in neighbours]
    queue = [(degree, variable) for variable, degree in enumerate(degrees)]
    heapq.heapify(queue)
    gone = [False] * len(degrees)
    while queue:
        degree, variable = heapq.heappop(queue)
        if gone[variable] or degree != degrees[variable]:
            continue
        around = [other for other in neighbours[variable] if not gone[other]]
        if 1 << degree >= HOPELESS:
            return Bucket(variable, tuple(sorted(around)))
        gone[variable] = True
        for other in around:
            degrees[other] -= 1
            heapq.heappush(queue, (degrees[other], other))
    return None


def _eliminate(edges: Sequence[set[int]], sizes: Sequence[int], *, weighted: bool) -> list[tuple[int, set[int]]]:
    """Sum out one variable after the other: always one that joins the fewest pairs of neighbours, or the lightest.

    Returns:
        The variables in their order, with their neighbours at that time; the last of them has a table of more than
        `HOPELESS` entries, if there is such a one.
    """
    graph = _Graph(edges, sizes, weighted)
    queue = [(*graph.cost(variable), variable) for variable in range(len(sizes))]
    heapq.heapify(queue)
    done = [False] * len(sizes)
    order: list[tuple[int, set[int]]] = []
    while queue:
        *cost, variable = heapq.heappop(queue)
        if done[variable] or tuple(cost) != graph.cost(variable):
            continue
        done[variable] = True
        order.append((variable, set(graph.neighbours[variable])))
        if math.prod([sizes[other] for other in order[-1][1]], start=sizes[variable]) > HOPELESS:
            break
        for changed in graph.remove(variable):
            heapq.heappush(queue, (*graph.cost(changed), changed))
    return order


class _Graph:
    """Hold which variables are in one table, and for each how many of its neighbours are not neighbours themselves.

    Pairs of neighbours are counted as all pairs less those that are joined, triangles, which change with single edges:
    so a variable with very many neighbours costs no more than others.
    """

    def __init__(self, edges: Sequence[set[int]], sizes: Sequence[int], weighted: bool) -> None:
        count = len(sizes)
        self.neighbours: list[set[int]] = [set() for _ in range(count)]
        self._weight = list(sizes) if weighted else [1] * count
        self._size = [round(math.log2(size) * _SCALE) for size in sizes]
        #: the logarithm of the table's entries
        self._table = list(self._size)
        #: sums over the neighbours of their weights and of the squares of these
        self._sum, self._squares = [0] * count, [0] * count
        #: the weight of pairs of neighbours that are joined
        self._joined = [0] * count
        for one, around in enumerate(edges):
            for other in sorted(around):
                if one < other:
                    self._join(one, other)

    def cost(self, variable: int) -> tuple[int, int, int]:
        """Give the weight of the pairs that summing it out would join, the size of its table, and less its states."""
        pairs = (self._sum[variable] ** 2 - self._squares[variable]) // 2
        return pairs - self._joined[variable], self._table[variable], -self._size[variable]

    def remove(self, variable: int) -> set[int]:
        """Take a variable out, join all its neighbours, and give those whose costs may have changed."""
        around = sorted(self.neighbours[variable])
        changed = set(around)
        weight = self._weight
        for one in around:
            near = self.neighbours[one]
            near.discard(variable)
            common = sum(weight[other] for other in self.neighbours[variable] if other in near)
            self._joined[one] -= weight[variable] * common
            self._count(one, variable, -1)
        for place, one in enumerate(around):
            for other in around[:place]:
                if other not in self.neighbours[one]:
                    changed |= self._join(one, other)
        self.neighbours[variable] = set()
        return changed

    def _join(self, one: int, other: int) -> set[int]:
        """Add an edge; give those that are neighbours of both."""
        weight = self._weight
        common = self.neighbours[one] & self.neighbours[other]
        both = weight[one] * weight[other]
        for third in common:
            self._joined[third] += both
            self._joined[one] += weight[other] * weight[third]
            self._joined[other] += weight[one] * weight[third]
        self.neighbours[one].add(other)
        self.neighbours[other].add(one)
        self._count(one, other, 1)
        self._count(other, one, 1)
        return common

    def _count(self, variable: int, neighbour: int, sign: int) -> None:
        weight = self._weight[neighbour]
        self._sum[variable] += sign * weight
        self._squares[variable] += sign * weight**2
        self._table[variable] += sign * self._size[neighbour]


def _buckets(scopes: Sequence[Sequence[int]], sizes: Sequence[int], order: list[tuple[int, set[int]]]) -> Plan:
    """Make the tree: a bucket's sum goes to that of the first variable of its separator, and so does a factor."""
    rank = {variable: place for place, (variable, _) in enumerate(order)}
    buckets = [Bucket(variable, tuple(sorted(around))) for variable, around in order]
    counts = [math.prod([sizes[variable] for variable in bucket.clique]) for bucket in buckets]
    largest = max(range(len(buckets)), key=counts.__getitem__)
    found = Plan(buckets, sum(counts), (buckets[largest], counts[largest]))
    if len(order) < len(sizes):  # given up
        return found
    for place, bucket in enumerate(buckets):
        if bucket.separator:
            buckets[min(rank[variable] for variable in bucket.separator)].children.append(place)
    for number, scope in enumerate(scopes):
        if scope:
            buckets[min(rank[variable] for variable in scope)].factors.append(number)
    return found
