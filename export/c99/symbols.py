"""The symbolizer of a circuit as C99: sizes, tables and the calls of its steps, forward and back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pcedge.data.steps import NEIGHBOURS, Difference, Neighbour, Offset, Planes, Relation, Step, Window, Zigzag
from pcedge.data.symbolizer import Symbolizer
from pcedge.data.words import Words
from pcedge.export.c99.arrays import array, unsigned_type

#: the step of every kind as the source's switches name them
_NAMES = ("DIFFERENCE", "NEIGHBOUR", "RELATION", "ZIGZAG", "OFFSET", "COLOUR", "PLANES", "WINDOW")


@dataclass(eq=False)
class Symbols:
    """Hold what header and source say of a symbolizer."""

    #: what the header defines
    sizes: dict[str, object]
    #: lines of the source
    tables: list[str]
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """Hold what a step sees of a block: how many pieces, and the shape of each.

    Before a window the pieces are `rows`, of which the last block may have fewer; behind it and without one they are
    records, as many as there are.
    """

    pieces: str
    shape: tuple[int, ...]
    #: whether axis 0 runs over the rows
    rows: bool

    @property
    def count(self) -> str:
        """Give how many numbers there are."""
        return f"{self.pieces} * {math.prod(self.shape)}U"

    def along(self, axis: int, axes: int = 1) -> tuple[str, list[str], int]:
        """Give the sizes around some axes, along each, and within: C, C, a number."""
        within = axis - self.rows
        if within < 0:
            return "1U", ["rows", *(f"{size}U" for size in self.shape[: axes - 1])], math.prod(self.shape[axes - 1 :])
        outer = f"{self.pieces} * {math.prod(self.shape[:within])}U"
        inner = math.prod(self.shape[within + axes :])
        return outer, [f"{size}U" for size in self.shape[within : within + axes]], inner


class _Tables:
    """Collect tables; equal ones are one."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.names: dict[tuple[str, tuple[int, ...]], str] = {}

    def add(self, numbers: Sequence[int], kind: str | None = None) -> str:
        """Write a table; give its name."""
        key = (kind or self.kind, tuple(numbers))
        if key not in self.names:
            self.names[key] = f"STEP_{len(self.names)}"
        return self.names[key]

    def text(self, forward: Sequence[str], backward: Sequence[str]) -> list[str]:
        """Write all tables; those of one way only are left out with it."""
        lines = []
        for (kind, numbers), name in self.names.items():
            ways = [any(re.search(rf"\b{name}\b", line) for line in way) for way in (forward, backward)]
            switch = {(True, False): "PCEDGE_MAPS", (False, True): "PCEDGE_MAPS_BACK"}.get((ways[0], ways[1]), "1")
            lines += [f"#if {switch}", *array(kind, name, numbers), "#endif"]
        return lines

    def even(self, numbers: Words) -> str:
        """Write a table of one number where all are equal; give its name and its length, as arguments."""
        flat = numbers.ravel().tolist()
        flat = flat[:1] if len(set(flat)) == 1 else flat
        return f"{self.add(flat)}, {len(flat)}U"


def lay_out_symbols(symbolizer: Symbolizer) -> Symbols:
    """Lay out a symbolizer."""
    tops, steps, window = symbolizer.tops, symbolizer.steps, symbolizer.window
    records = symbolizer.records(window.sizes[0]) if window else 1
    most = max(int(top.max(initial=0)) for top in tops)
    tables = _Tables("word_t")
    before = [math.prod(top.shape) * symbolizer.segment_rows for top in tops[: len(steps) + 1]]
    behind = [0]
    if window:
        at = steps.index(window)
        behind = [math.prod(top.shape) * records for top in tops[at + 1 :]]
        before = before[: at + 1]
    out = Symbols({}, [])
    kept = line = 0
    rows_seen = window is not None
    for step, top in zip(steps, tops, strict=False):
        shape = top.shape[1:] if rows_seen else top.shape
        seen = _Seen("rows" if rows_seen else f"{records if window else 1}U", shape, rows_seen)
        if isinstance(step, Window):
            rows_seen = False
            _window(out, tables, step, shape, records)
        else:
            lasting = math.prod(shape) if rows_seen and getattr(step, "axis", None) == 0 else 0
            state = f"&m->previous[{kept}U]" if lasting else "NULL"
            forward, backward = _calls(step, seen, tables, top, state)
            kept += lasting
            line = max(line, lasting if isinstance(step, Neighbour) else 0)
            out.forward.append(f"  {forward}")
            out.backward.insert(0, f"  {backward}")
        if isinstance(step, Planes):  # the others give what is below, or tell
            out.backward.insert(1, f"  valid &= all_below(words, {seen.count}, {tables.even(top)});")
    last = f"{records}U * {math.prod(tops[-1].shape)}U"
    out.backward.insert(0, f"  valid &= all_below(words, {last}, {tables.even(tops[-1])});")
    kinds = {type(step).__name__.upper() for step in steps}
    out.tables = [
        *(f"#define STEP_{name} {int(name in kinds)}" for name in _NAMES),
        f"#define LEAST UINT64_C({symbolizer.low % 2**64})",
        f"#define SPAN UINT64_C({symbolizer.high - symbolizer.low})",
        f"#define WORDS_AT_END m->{'tiles' if window else 'words'}",
        *tables.text(out.forward, out.backward), *out.tables,
    ]  # fmt: skip
    out.sizes = {
        "NUMBER_TYPE": "uint8_t" if symbolizer.dtype == "bool" else f"{symbolizer.dtype}_t",
        "WORD_TYPE": unsigned_type(most),
        "WORD_SUM_TYPE": unsigned_type(max(most, (1 << 32) - 1)),
        "ROWS": f"{symbolizer.segment_rows}U",
        "COLUMNS": f"{math.prod(symbolizer.shape)}U",
        "RECORDS": f"{records}U",
        "WORDS": f"{max(before)}U",
        "TILES": f"{max(behind)}U",
        "KEPT_WORDS": f"{kept}U",
        "LINE": f"{line}U",
    }
    return out


def _window(out: Symbols, tables: _Tables, step: Window, shape: tuple[int, ...], records: int) -> None:
    """Write how rows are cut into records; the row axis has no length of its own."""
    cut = len(step.sizes)
    counts = (1, *step.counts((step.sizes[0], *shape))[1:])
    rest, entries = math.prod(shape[cut - 1 :]), math.prod(step.record((1, *shape)))
    out.tables = [
        f"#define WINDOW_AXES {cut}U", f"#define WINDOW_REST {rest}U", f"#define WINDOW_ENTRIES {entries}U",
        *array("uint32_t", "WINDOW_LENGTHS", (step.sizes[0], *shape[: cut - 1])),
        *array("uint32_t", "WINDOW_SIZES", step.sizes), *array("uint32_t", "WINDOW_COUNTS", counts),
    ]  # fmt: skip
    out.forward += ["  cut(m->tiles, words, rows);", "  words = m->tiles;"]
    out.backward[:0] = ["  join_rows(m->words, words, rows, &valid);", "  words = m->words;"]


def _calls(step: Step, seen: _Seen, tables: _Tables, top: Words, state: str) -> tuple[str, str]:
    """Write the calls that do and undo a step."""
    even = tables.even(top)
    begun = "m->begun" if state != "NULL" else "0"
    if isinstance(step, Difference):
        outer, (count,), inner = seen.along(step.axis)
        arguments = f"(words, {outer}, {count}, {inner}U, {even}, {state}, {begun});"
        return f"difference_of{arguments}", f"undo_difference{arguments}"
    if isinstance(step, Neighbour):
        outer, (rows, columns), inner = seen.along(step.axis, 2)
        kind = f"{NEIGHBOURS.index(step.predictor)}U"
        line = "m->line" if state != "NULL" else "NULL"
        arguments = f"({kind}, words, {outer}, {rows}, {columns}, {inner}U, {even}, {state}, {line}, {begun});"
        return f"neighbour_of{arguments}", f"undo_neighbour{arguments}"
    if isinstance(step, Relation):
        outer, (count,), inner = seen.along(step.axis)
        sides = [(step.minus, step.plus), (step.plus, step.minus)]
        ways = [
            f"relate(words, {outer}, {count}, {inner}U, {step.target}U, "
            f"{tables.add((*added, *taken) or (0,), 'uint32_t')}, {len(added) + len(taken)}U, {len(added)}U, {even});"
            for added, taken in sides
        ]
        return ways[0], ways[1]
    if isinstance(step, Offset):
        amounts = np.array([step.amount % (entry + 1) for entry in top.ravel().tolist()], dtype=np.uint64)
        table = tables.even(amounts if len(np.unique(top)) > 1 else amounts[:1])
        if table.split(", ")[1] != even.split(", ")[1]:
            table = f"{tables.add(np.broadcast_to(amounts, top.size).tolist())}, {top.size}U"
            even = f"{tables.add(top.ravel().tolist())}, {top.size}U"
        name = table.split(",")[0]
        ways = [f"shift_all(words, {seen.count}, {name}, {back}, {even});" for back in (0, 1)]
        return ways[0], ways[1]
    if isinstance(step, Planes):
        bits = f"{tables.add(step.bits, 'uint8_t')}, {len(step.bits)}U"
        return f"split_planes(words, {seen.count}, {bits});", f"join_planes(words, {seen.count}, {bits}, &valid);"
    if isinstance(step, Zigzag):
        return f"zigzag(words, {seen.count}, {even});", f"undo_zigzag(words, {seen.count}, {even});"
    return f"colour(words, {seen.count}, {even});", f"undo_colour(words, {seen.count}, {even}, &valid);"
