"""Phrases: steps that come together again and again, named by one row (docs/engine-memories.md, section Phrases)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pcedge.drivers.layout import KIND, PLACES, UNITS
from pcedge.export.program.operands import Operands
from pcedge.export.program.packing import Column, PackedTable, distinct, pack
from pcedge.export.program.phrase_memory import CHOICES, COLUMNS, LISTS, ROWS, PhraseMemory
from pcedge.schedule.steps import Op

#: the most steps of a phrase
MOST_STEPS = 8

#: the most places, operands and sizes of a phrase of several steps: all that are tried
TRIED = ((3, 1, 1), (4, 1, 1), (4, 2, 0), (4, 2, 1), (4, 2, 2), (5, 2, 1))


@dataclass(frozen=True)
class Phrase:
    """Hold some steps: what others share with them, and their own arguments."""

    #: a row a step: `KIND`, then `CHOICES`; -1 for what it does not use
    rows: tuple[tuple[int, ...], ...]
    places: tuple[int, ...]
    operands: tuple[int, ...]
    sizes: tuple[int, ...]

    def within(self, most: Sequence[int]) -> bool:
        """Tell whether it has at most so many places, operands and sizes."""
        return len(self.places) <= most[0] and len(self.operands) <= most[1] and len(self.sizes) <= most[2]


def find_phrases(columns: dict[str, Column], operands: Operands) -> PhraseMemory:
    """Find the phrases of a program that make it smallest, of those that are tried.

    Args:
        columns: `STEP_FIELDS`; `weights` names layers.
        operands: of this program and maybe others.
    """
    places, steps = _read(columns, operands)
    spans = [[_phrase(steps[start:end]) for end in _ends(steps, start)] for start in range(len(steps))]
    return min((_pack(columns, places, _divide(spans, most)) for most in TRIED), key=lambda program: program.bits)


@dataclass(frozen=True)
class _Step:
    """Hold the numbers of a step; -1 for what it does not use."""

    does: tuple[int, ...]
    target: int
    a: int
    b: int
    operand: int
    variable: int
    units: int
    a_units: int
    b_units: int
    #: whether each source is read through a gather list
    gathers: tuple[bool, bool]
    #: whether it uses `LISTS`
    listed: bool


def _read(columns: dict[str, Column], operands: Operands) -> tuple[PackedTable, list[_Step]]:
    """Number the places of a program, and give its steps."""
    values = {name: np.where(column.used, column.values, -1) for name, column in columns.items()}
    some = np.concatenate([columns[side].used for side in PLACES])
    every = np.ones(int(some.sum()), dtype=bool)
    pairs = (np.concatenate([values[name] for name in names])[some] for names in (PLACES, PLACES.values()))
    rows, numbers = distinct([Column(column, every) for column in pairs])
    whole = np.ones(len(rows[0]), dtype=bool)
    places = pack({name: Column(row, whole) for name, row in zip(("address", "slot"), rows, strict=True)})
    spread = np.full(len(some), -1, dtype=np.int64)
    spread[some] = numbers
    values |= zip(PLACES, np.split(spread, len(PLACES)), strict=True)
    weighted = columns["weights"].used
    values["operand"] = np.full(len(weighted), -1, dtype=np.int64)
    values["operand"][weighted] = operands.number_of(columns["weights"].values[weighted])
    does = np.stack([values[name] for name in KIND], axis=1).tolist()
    gathers = np.stack([values["gather_a"] == 1, values["gather_b"] == 1], axis=1).tolist()
    rest = (values[name].tolist() for name in (*PLACES, "operand", "variable", *UNITS))
    listed = columns["list"].used | columns["list_b"].used
    return places, [
        _Step(tuple(form), *numbers, tuple(gather), uses)
        for form, *numbers, gather, uses in zip(does, *rest, gathers, listed.tolist(), strict=True)
    ]


def _ends(steps: list[_Step], start: int) -> list[int]:
    """Give the ends of phrases that are tried: few arguments, and one step at most for whose lists a row has room."""
    most_places, most_operands, _ = np.max(TRIED, axis=0)
    places: set[int] = {-1}
    operands: set[int] = {-1}
    lists = 0
    for end in range(start, min(start + MOST_STEPS, len(steps))):
        step = steps[end]
        places |= {step.target, step.a, step.b}
        operands |= {step.operand, step.variable}
        lists += step.listed
        if end > start and (len(places) - 1 > most_places or len(operands) - 1 > most_operands or lists > 1):
            return list(range(start + 1, end + 1))
    return list(range(start + 1, min(start + MOST_STEPS, len(steps)) + 1))


@dataclass
class _Sizes:
    """Follow the sizes of values through a phrase: which are the same, and which of them an operand says."""

    parents: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    #: by size: operands that say it, with their side
    said: list[dict[int, int]] = field(default_factory=list)
    #: by place: the size of the value that is there
    now: dict[int, int] = field(default_factory=dict)

    def new(self, number: int) -> int:
        self.parents.append(len(self.parents))
        self.numbers.append(number)
        self.said.append({})
        return len(self.parents) - 1

    def root(self, size: int) -> int:
        while self.parents[size] != size:
            size = self.parents[size]
        return size

    def of(self, place: int, number: int) -> int:
        """Give the size of a source, of which a step says the number."""
        found = self.now.get(place)
        if found is None or self.numbers[found] != number:  # a part of what is there
            found = self.now[place] = self.new(number)
        return found

    def join(self, first: int, second: int) -> None:
        first, second = self.root(first), self.root(second)
        if first != second:
            self.parents[second] = first
            self.said[first] = self.said[second] | self.said[first]


def _phrase(steps: list[_Step]) -> Phrase:
    """Read steps as a phrase: arguments are numbered in the order of their coming."""
    places: dict[int, int] = {}
    operands: dict[int, int] = {}
    sizes = _Sizes()
    needs: list[tuple[int, int, int]] = []
    for step in steps:
        for place in (step.a, step.b, step.target):
            places.setdefault(place, len(places))
        for operand in (step.operand, step.variable):
            operands.setdefault(operand, len(operands))
        needs.append(_follow(step, sizes))
    places.pop(-1, None)
    operands.pop(-1, None)
    places = {place: number for number, place in enumerate(places)} | {-1: -1}
    operands = {operand: number for number, operand in enumerate(operands)} | {-1: -1}
    rest: dict[int, int] = {}
    rows = []
    for step, needed in zip(steps, needs, strict=True):
        roots = [sizes.root(size) if size >= 0 else -1 for size in needed]
        own = step.operand
        if own < 0:
            own = next((next(iter(sizes.said[root])) for root in roots if root >= 0 and sizes.said[root]), -1)
        choices = []
        for root, size, side in zip(roots, needed, _SIDES.get(step.does[0], (-1, -1, -1)), strict=True):
            if size < 0:
                choices.append(-1)
            elif step.operand >= 0 and side >= 0:
                choices.append(side)
            elif own in sizes.said[root]:
                choices.append(sizes.said[root][own])
            else:
                choices.append(COLUMNS + 1 + rest.setdefault(root, len(rest)))
        rows.append((
            *step.does, places[step.target], places[step.a], places[step.b], operands[own], operands[step.variable],
            *choices,
        ))  # fmt: skip
    del places[-1], operands[-1]
    return Phrase(tuple(rows), tuple(places), tuple(operands), tuple(sizes.numbers[root] for root in rest))


#: the sides of its operand that say the units of a step's result and of its source
_SIDES = {Op.UP: (ROWS, COLUMNS, -1), Op.DOWN: (COLUMNS, ROWS, -1)}


def _follow(step: _Step, sizes: _Sizes) -> tuple[int, int, int]:
    """Give the sizes of a step's result and sources, where it says them, and note what is alike."""
    kind = step.does[0]
    a = sizes.of(step.a, step.a_units) if step.a_units >= 0 else -1
    b = sizes.of(step.b, step.b_units) if step.b_units >= 0 else -1
    made = sizes.new(step.units) if step.units >= 0 else -1
    if kind == Op.MULTIPLY:
        for place, gathered in zip((step.a, step.b), step.gathers, strict=True):
            if not gathered:
                sizes.join(made, sizes.of(place, step.units))
    if step.operand >= 0:
        for size, side in zip((made, a), _SIDES[Op(kind)], strict=False):
            if size >= 0:
                sizes.said[sizes.root(size)].setdefault(step.operand, side)
    if step.target >= 0:
        sizes.now[step.target] = made
    return made, a, b


def _divide(spans: list[list[Phrase]], most: Sequence[int]) -> list[Phrase]:
    """Divide a program into the fewest phrases within some limits; those that are too rare to pay are not used."""
    allowed: set[tuple[tuple[int, ...], ...]] | None = None
    within = [[p for n, p in enumerate(span) if n == 0 or p.within(most)] for span in spans]
    while True:
        fewest = [0] * (len(spans) + 1)
        best: list[Phrase] = []
        for start in range(len(spans) - 1, -1, -1):
            options = [p for p in within[start] if len(p.rows) == 1 or allowed is None or p.rows in allowed]
            best.append(min(options, key=lambda phrase: fewest[start + len(phrase.rows)]))
            fewest[start] = 1 + fewest[start + len(best[-1].rows)]
        chosen: list[Phrase] = []
        start = 0
        while start < len(spans):
            chosen.append(best[-1 - start])
            start += len(chosen[-1].rows)
        times = Counter(phrase.rows for phrase in chosen)
        # A phrase saves all rows but one each time, and costs a row of the table of phrases for each of its steps.
        rare = {rows for rows, count in times.items() if len(rows) > 1 and count * (len(rows) - 1) < len(rows)}
        if allowed is not None and not rare:
            return chosen
        allowed = set(times) - rare


def _pack(columns: dict[str, Column], places: PackedTable, phrases: list[Phrase]) -> PhraseMemory:
    """Pack phrases: a row each, and once the rows of the steps of each different one."""
    first: dict[tuple[tuple[int, ...], ...], int] = {}
    table: list[tuple[int, ...]] = []
    for rows in Counter(phrase.rows for phrase in phrases):
        first[rows] = len(table)
        table += [(*row, int(number == len(rows) - 1)) for number, row in enumerate(rows)]
    steps = {"phrase": _column([first[phrase.rows] for phrase in phrases])}
    for kind, name in (("places", "place"), ("operands", "operand"), ("sizes", "size")):
        arguments: list[tuple[int, ...]] = [getattr(phrase, kind) for phrase in phrases]
        for number in range(max(map(len, arguments), default=0)):
            steps[f"{name}{number}"] = _column([a[number] if number < len(a) else -1 for a in arguments])
    ends = np.cumsum([len(phrase.rows) for phrase in phrases])
    starts = ends - [len(phrase.rows) for phrase in phrases]
    for name in LISTS:
        spread = np.where(columns[name].used, columns[name].values, -1)
        steps[name] = _column([int(spread[start:end].max()) for start, end in zip(starts, ends, strict=True)])
    names = (*KIND, *CHOICES, "last")
    packed = pack({name: _column(column) for name, column in zip(names, zip(*table, strict=True), strict=True)})
    return PhraseMemory(pack(steps), packed, places, max(len(rows) for rows in first))


def _column(numbers: Sequence[int]) -> Column:
    values = np.array(numbers, dtype=np.int64)
    return Column(values, values >= 0)
