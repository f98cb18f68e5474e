"""Phrases: steps that come together again and again, named by one row (docs/engine-memories.md, section Phrases)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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

#: the sides of its operand that say the units of a step's result and of its source
SIDES = {Op.UP: (ROWS, COLUMNS), Op.DOWN: (COLUMNS, ROWS)}


def find_phrases(columns: dict[str, Column], operands: Operands) -> PhraseMemory:
    """Find the phrases of a program that make it smallest, of those that are tried.

    Args:
        columns: `STEP_FIELDS`; `weights` names layers.
        operands: of this program and maybe others.
    """
    places, steps = _read(columns, operands)
    reader = _Reader()
    spans = [reader.spans(steps[start : start + MOST_STEPS]) for start in range(len(steps))]
    return min((_pack(columns, places, _divide(spans, most)) for most in TRIED), key=lambda program: program.bits)


class _Step(NamedTuple):
    """Hold the numbers of a step, or, in the reading of a phrase, the order in which the phrase comes to them.

    -1 stands for what the step does not use.
    """

    #: `KIND`
    does: tuple[int, ...]
    #: of source a, source b and the result
    places: tuple[int, ...]
    #: of the layer and of the variable
    operands: tuple[int, ...]
    #: `UNITS`
    units: tuple[int, ...]
    #: 1 if it uses `LISTS`
    listed: int


@dataclass(frozen=True, eq=False)
class Template:
    """Hold what equal phrases share: a row a step, `KIND` and then `CHOICES`; there is one of the same rows."""

    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Phrase:
    """Hold some steps: what others share with them, and their own arguments."""

    template: Template
    places: tuple[int, ...]
    operands: tuple[int, ...]
    sizes: tuple[int, ...]

    def within(self, most: Sequence[int]) -> bool:
        """Tell whether it has at most so many places, operands and sizes."""
        return len(self.places) <= most[0] and len(self.operands) <= most[1] and len(self.sizes) <= most[2]


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
    values["weights"][weighted] = operands.number_of(columns["weights"].values[weighted])
    groups = [KIND, ("a", "b", "target"), ("weights", "variable"), UNITS]
    parts = [[tuple(row) for row in np.stack([values[name] for name in group], axis=1).tolist()] for group in groups]
    listed = (columns["list"].used | columns["list_b"].used).astype(int).tolist()
    return places, [_Step(*row) for row in zip(*parts, listed, strict=True)]


@dataclass
class _Reader:
    """Read steps as phrases; those that differ in their arguments only are looked at once."""

    templates: dict[tuple[tuple[int, ...], ...], Template] = field(default_factory=dict)
    #: by steps in the order of a phrase's coming to their numbers: the template, and which numbers of units are left
    known: dict[tuple[_Step, ...], tuple[Template, tuple[int, ...]]] = field(default_factory=dict)

    def spans(self, steps: Sequence[_Step]) -> list[Phrase]:
        """Read the first step, the first two and so on: all that have few arguments, and room for their lists."""
        most_places, most_operands, _ = (max(counts) for counts in zip(*TRIED, strict=True))
        places, operands, units = {-1: -1}, {-1: -1}, {-1: -1}
        ordered: list[_Step] = []
        found: list[Phrase] = []
        for step in steps:
            ordered.append(_Step(
                step.does, _order(places, step.places), _order(operands, step.operands), _order(units, step.units),
                step.listed,
            ))  # fmt: skip
            if found and (
                len(places) - 1 > most_places
                or len(operands) - 1 > most_operands
                # A row has room for the lists of one step.
                or sum(each.listed for each in ordered) > 1
            ):
                break
            key = tuple(ordered)
            if key not in self.known:
                rows, left = _template(ordered)
                self.known[key] = self.templates.setdefault(rows, Template(rows)), left
            template, left = self.known[key]
            numbers = tuple(units)[1:]
            found.append(Phrase(template, tuple(places)[1:], tuple(operands)[1:], tuple(numbers[n] for n in left)))
        return found


def _order(seen: dict[int, int], numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Number numbers in the order of their coming; -1 stays."""
    return tuple(seen.setdefault(number, len(seen) - 1) for number in numbers)


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
        """Add the size of a new value."""
        self.parents.append(len(self.parents))
        self.numbers.append(number)
        self.said.append({})
        return len(self.parents) - 1

    def root(self, size: int) -> int:
        """Give the one of all sizes that are the same."""
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
        """Note that two sizes are the same."""
        first, second = self.root(first), self.root(second)
        if first != second:
            self.parents[second] = first
            self.said[first] = self.said[second] | self.said[first]

    def follow(self, step: _Step) -> tuple[int, ...]:
        """Give the sizes of a step's result and sources, where it says them, and note what is alike."""
        units, a_units, b_units = step.units
        a, b, target = step.places
        sources = [self.of(place, number) if number >= 0 else -1 for place, number in ((a, a_units), (b, b_units))]
        made = self.new(units) if units >= 0 else -1
        if step.does[0] == Op.MULTIPLY:
            # invariant: a source without a gather list is as long as the result
            for place, name in ((a, "gather_a"), (b, "gather_b")):
                if not step.does[KIND.index(name)]:
                    self.join(made, self.of(place, units))
        if step.operands[0] >= 0:
            for size, side in zip((made, sources[0]), SIDES[Op(step.does[0])], strict=True):
                if size >= 0:
                    self.said[self.root(size)].setdefault(step.operands[0], side)
        if target >= 0:
            self.now[target] = made
        return made, *sources


def _template(steps: Sequence[_Step]) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Say what each step does and which arguments it takes; and give the numbers of units that no operand says."""
    sizes = _Sizes()
    needs = [sizes.follow(step) for step in steps]
    left: dict[int, int] = {}
    rows = []
    for step, needed in zip(steps, needs, strict=True):
        roots = [sizes.root(size) if size >= 0 else -1 for size in needed]
        operand, variable = step.operands
        # Only one operand's row is read for a step.
        known = [next(iter(sizes.said[root])) for root in roots if root >= 0 and sizes.said[root]]
        operand = known[0] if operand < 0 and known else operand
        sides = [-1 if root < 0 else sizes.said[root].get(operand, -1) for root in roots]
        if step.operands[0] >= 0:  # of a square block of one size, each side would do
            sides[:2] = (-1 if root < 0 else side for root, side in zip(roots, SIDES[Op(step.does[0])], strict=False))
        units = [
            -1 if root < 0 else side if side >= 0 else COLUMNS + 1 + left.setdefault(root, len(left))
            for root, side in zip(roots, sides, strict=True)
        ]
        a, b, target = step.places
        rows.append((*step.does, target, a, b, operand, variable, *units))
    return tuple(rows), tuple(sizes.numbers[root] for root in left)


def _divide(spans: list[list[Phrase]], most: Sequence[int]) -> list[Phrase]:
    """Divide a program into the fewest phrases within some limits; those that are too rare to pay are not used."""
    # Phrases of 2 steps and more, with the start of the next one.
    within = [
        [(start + steps, phrase) for steps, phrase in enumerate(span, 1) if steps > 1 and phrase.within(most)]
        for start, span in enumerate(spans)
    ]
    rare: set[Template] = set()
    allowed: set[Template] | None = None
    while allowed is None or rare:
        fewest = [0] * (len(spans) + 1)
        best = [(start + 1, span[0]) for start, span in enumerate(spans)]
        for start in range(len(spans) - 1, -1, -1):
            least = fewest[start + 1]
            for end, phrase in within[start]:
                if fewest[end] < least and (allowed is None or phrase.template in allowed):
                    least, best[start] = fewest[end], (end, phrase)
            fewest[start] = 1 + least
        chosen: list[Phrase] = []
        start = 0
        while start < len(spans):
            start, phrase = best[start]
            chosen.append(phrase)
        times = Counter(phrase.template for phrase in chosen)
        # A phrase saves all rows but one each time, and costs a row of the table of phrases for each of its steps.
        rare = {t for t, count in times.items() if len(t.rows) > 1 and count * (len(t.rows) - 1) < len(t.rows)}
        allowed = set(times) - rare
    return chosen


def _pack(columns: dict[str, Column], places: PackedTable, phrases: list[Phrase]) -> PhraseMemory:
    """Pack phrases: a row each, and once the rows of the steps of each different one."""
    first: dict[Template, int] = {}
    table: list[tuple[int, ...]] = []
    for template in dict.fromkeys(phrase.template for phrase in phrases):
        first[template] = len(table)
        table += [(*row, int(number == len(template.rows) - 1)) for number, row in enumerate(template.rows)]
    steps = {"phrase": _column([first[phrase.template] for phrase in phrases])}
    for kind, name in (("places", "place"), ("operands", "operand"), ("sizes", "size")):
        arguments: list[tuple[int, ...]] = [getattr(phrase, kind) for phrase in phrases]
        for number in range(max(map(len, arguments))):
            steps[f"{name}{number}"] = _column([a[number] if number < len(a) else -1 for a in arguments])
    starts = np.cumsum([0, *(len(phrase.template.rows) for phrase in phrases[:-1])])
    for name in LISTS:
        # At most one step of a phrase has any.
        spread = np.where(columns[name].used, columns[name].values, -1)
        steps[name] = _column(np.maximum.reduceat(spread, starts).tolist())
    names = (*KIND, *CHOICES, "last")
    packed = pack({name: _column(column) for name, column in zip(names, zip(*table, strict=True), strict=True)})
    return PhraseMemory(pack(steps), packed, places, max(len(template.rows) for template in first))


def _column(numbers: Sequence[int]) -> Column:
    values = np.array(numbers, dtype=np.int64)
    return Column(values, values >= 0)
