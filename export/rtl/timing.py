"""Latencies of the engine's units, and what every row of the program does to them, for the cycle model (docs/rtl.md).

The numbers are those of `sources/`: a source that changes its pipeline changes its line here, and the tests of the
cycle model compare with Verilator's count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pcedge.arithmetic import ceil_log2
from pcedge.arrays import IntArray
from pcedge.export.rtl.lowering import Kind, RtlImage
from pcedge.export.rtl.size import RtlSize

# ---- pc_scheduler
#: from the pick of a step that is fetched to the cycle in which it is there
FETCH = 6
#: from the pick of a step that is issued to the head of a unit's queue
ISSUE = 5
#: from that pick to what follows of it: the next fetch, a record's end, a step that waits
ISSUED = 2
#: from what a step waits for to the pick of it
MAY = 1
#: steps that wait at a unit, and from a unit's take of one to the pick that knows of it
CREDIT = 4
CREDITED = 2

# ---- pc_writer
#: vectors that a writer takes at a time, and its rows at least
VECTORS, PLACES = 15, 16
#: from a vector's last row to the first ask for the port
ASK = 4
#: from the last row's grant to the cycle in which the stream's next step may be issued
WRITTEN = 2

# ---- pc_mix_unit
#: from a tile to its row of sums, without the levels of the adder tree
MIX = 6

# ---- pc_vector_unit
#: from a step that is taken to its first read; of a step that reads lists
READ, LISTED = 1, 4
#: from the last read to the row
VECTOR = 5
#: from an END's read to its result in the output, and words of a result
RESULT, RESULT_WORDS = 4, 2

# ---- pc_table_unit
#: from a pass that is taken to its first beat, less one; so far apart are passes at least
SET_UP = 4
#: from a beat to its row of counts
COUNTS = 10
#: from the last beat to what was weighed, without the levels of the adder tree
WEIGHED = 10

# ---- pc_coder
#: from what was weighed to pc_interval's input
WEIGHED_HELD = 1
#: from an input of pc_interval to the interval; with a shared product there is one every so many cycles after a job's
#: start, from this one on, and it asks for products so many cycles after an input
INTERVAL = 21
SHARED_INTERVAL, SHARED_EVERY, SHARED_FROM = 26, 8, 2
SHARED_ASKS = (7, 12, 17, 21, 22)
#: from an interval that an encoder takes to the digits that wait for the output
NARROWED = 8
#: an encoder takes so many cycles an interval, and so does a decoder
RANGE = 2
#: from the last cycle of pc_carry's at a lane's end to the output without that lane
CLOSED = 4
#: from an interval that a decoder tries to what it says of the symbol, and to the next one's room
TRIED, TAKEN = 9, 11
#: from the end of a search to the cycle in which the stream's next step may be issued
FOUND = 2
#: passes that wait for the tables
PASSES = 3

# ---- pc_symbols
#: from the pick of a stream whose word comes in to its next one
WORD = 2
#: from a pass that is taken to the read of its symbol
SYMBOL = 1
#: from the read of a decoder's symbol to the output, and until the stream's next one may be read
GIVEN, GIVEN_NEXT = 3, 4


class Unit(IntEnum):
    """Name who does a step; the first three have a queue each."""

    MIX = 0
    VECTOR = 1
    TABLE = 2
    END = 3


@dataclass(frozen=True)
class Work:
    """Say what a row of the program is to the units."""

    unit: Unit
    #: cycles that it keeps its unit at work; of the vector unit its reads
    beats: int
    #: rows that it writes
    rows: int
    #: of a vector step: whether it reads lists
    listed: bool
    #: of a table step: whether it reads the context, and whether it writes counts
    weighs: bool
    leaf: bool
    #: of an INTERVAL
    variable: int


def works_of(image: RtlImage, paired: bool) -> tuple[tuple[Work, ...], tuple[Work, ...]]:
    """Give the rows of the likelihood and of the code; `paired` reads both operands of a vector step at once."""
    ends = np.flatnonzero(image.lists[:, 0])
    rows = [_work(image, row, ends, 1 if paired else 2) for row in range(image.steps.rows)]
    return tuple(rows[: image.starts[1]]), tuple(rows[image.starts[1] :])


def writer_places(most_rows: int) -> int:
    """Give the rows of a writer's ring: four of the longest vectors."""
    return max(PLACES, 1 << ceil_log2(4 * most_rows))


def mix_levels(size: RtlSize) -> int:
    """Give the levels of the mixing unit's adder trees."""
    return ceil_log2(max(size.lanes, size.tile_rows))


def table_levels(size: RtlSize) -> int:
    """Give the levels of the table unit's adder trees."""
    return ceil_log2(size.table_lanes)


def needs_pair_copy(image: RtlImage) -> bool:
    """Tell whether second operands come from a copy of the rows of their own: where one port is what jobs wait for.

    That is where its beats are more than those of every other unit, and than rows that are written, one a cycle.
    """
    groups = image.size.lanes // image.size.table_lanes
    for works in works_of(image, paired=False):
        beats = {unit: sum(work.beats for work in works if work.unit == unit) for unit in Unit}
        contexts = sum(work.beats for work in works if work.weighs) // groups
        written = sum(work.rows for work in works)
        if beats[Unit.VECTOR] + contexts > max(beats[Unit.MIX], beats[Unit.TABLE], written):
            return True
    return False


def _work(image: RtlImage, row: int, ends: IntArray, reads: int) -> Work:
    of = {name: int(column.values[row]) for name, column in image.columns.items()}
    kind, rows, lanes = Kind(of["kind"]), of["rows"], image.size.lanes
    groups = lanes // image.size.table_lanes
    match kind:
        case Kind.UP:
            unit, beats = Unit.MIX, of["blocks"] * of["a_rows"]
        case Kind.DOWN:
            unit, beats = Unit.MIX, of["blocks"] * rows
        case Kind.LEAF | Kind.INTERVAL:
            unit, beats = Unit.TABLE, of["a_rows"] * groups
        case Kind.LIST | Kind.GATHER:
            first = int(np.searchsorted(ends, of["list"]))  # a list a lane
            entries = int(ends[first + rows * lanes - 1]) + 1 - of["list"]
            unit, beats = Unit.VECTOR, entries * (reads if kind == Kind.GATHER else 1)
        case Kind.MULTIPLY:
            unit, beats = Unit.VECTOR, reads * rows
        case Kind.INIT | Kind.ALIGN:
            unit, beats = Unit.VECTOR, rows
        case Kind.END:
            unit, beats = Unit.END, 1
    weighs = kind == Kind.INTERVAL
    return Work(
        unit, beats, rows, kind in (Kind.LIST, Kind.GATHER), weighs, kind == Kind.LEAF or (weighs and of["flag"] == 1),
        of["variable"],
    )  # fmt: skip
