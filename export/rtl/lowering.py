"""Lowering to the engine in SystemVerilog: rows of the program, and the memories they address (docs/rtl.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import assert_never

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.rows import SparseRows
from pcedge.errors import UsageError
from pcedge.export.program.packing import Column, PackedTable, pack
from pcedge.export.project.manifest import BUILT_JOBS, EVERY_JOB
from pcedge.export.rtl.rows import Integers, RowPlaces, Shape, place_rows
from pcedge.export.rtl.size import RtlSize
from pcedge.export.rtl.tries import first_tries
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Down,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Schedule,
    Step,
    Up,
    Zeros,
)  # fmt: skip


class Kind(IntEnum):
    """Number what a row of the program does; `pc_params.svh` has the same numbers."""

    INIT = 0
    LEAF = 1
    UP = 2
    DOWN = 3
    #: sums of listed entries, each times a weight where the row says so
    LIST = 4
    MULTIPLY = 5
    ALIGN = 6
    #: codes a symbol; where it is fused, the LEAF of the same variable behind it too
    INTERVAL = 7
    #: products of entries that two lists name
    GATHER = 8
    #: the record is done
    END = 9


#: cycles that lie between two contexts whose intervals share a multiplier (`pc_interval`)
SHARED_CYCLES = 8

#: and where they do not: both ends go through one unit, and start and size through one product
OWN_CYCLES = 2

#: what a row says besides its kind
FIELDS = (
    "kind", "zeros", "flag", "target", "target_slot", "a", "a_slot", "b", "b_slot", "rows", "last", "a_rows", "blocks",
    "weights", "list", "variable", "leaves", "tails",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RtlImage:
    """Hold all that the engine reads of one circuit."""

    program: Program
    size: RtlSize
    #: of `EVERY_JOB`, in their order
    jobs: tuple[str, ...]
    #: rows of both programs, each ended by an END, and what each of `FIELDS` is in them
    steps: PackedTable
    columns: dict[str, Column]
    #: the first row of the likelihood and of the code; a program that no job runs has no rows
    starts: tuple[int, int]
    #: tiles of weights, (tiles, macs), up to 2^W
    tiles: Integers
    #: entries of lists, (entries, 4): last of its list, no entry, a position, and a second position or a weight
    lists: Integers
    #: numbers of leaf tables, (words, table lanes), −1 where a lane has no unit
    leaves: Integers
    #: cumulative entries of even and of odd symbols, (words,) each, 0 to 2^L
    even: Integers
    odd: Integers
    #: `cardinality`, how many tables of that many symbols there are, `tables`, and where they begin: `even`, `odd`;
    #: `first`, the symbol that a decoder tries first
    variables: PackedTable
    variable_columns: dict[str, Column]
    #: exponents of tails, a run a layer with tails
    tails: Integers
    #: rows and slots of a stream
    rows: int
    slots: int
    #: rows of the longest vector
    most_rows: int
    #: of the tiles, so many at the end lie in logic, not in block RAM
    tiles_beside: int = 0

    @property
    def circuit(self) -> IntegerCircuit:
        """Give the circuit."""
        return self.program.circuit

    @property
    def counts(self) -> tuple[int, int]:
        """Count the rows of the likelihood and of the code, each with its END."""
        return self.starts[1], self.steps.rows - self.starts[1]

    @property
    def shortest_pass(self) -> int:
        """Count the beats of the shortest pass through the tables with a context; 0 where there is none."""
        rows = self.columns["a_rows"].values[self.columns["kind"].values == Kind.INTERVAL]
        return int(rows.min(initial=1 << 30)) * (self.size.lanes // self.size.table_lanes) if len(rows) else 0

    @property
    def shared_product(self) -> bool:
        """Tell whether intervals and range coders share a multiplier: where no pass waits for it, or by the size."""
        chosen = self.size.shared_product
        return self.shortest_pass >= SHARED_CYCLES if chosen is None else chosen

    @property
    def pass_gap(self) -> int:
        """Count the cycles that a pass waits after the one before, so that contexts are far enough apart."""
        return max(0, (SHARED_CYCLES if self.shared_product else OWN_CYCLES) - self.shortest_pass)


def lower_rtl(
    source: IntegerCircuit | Program, size: RtlSize, lift: int = 0, jobs: Sequence[str] = BUILT_JOBS
) -> RtlImage:
    """Lay out the programs of a circuit that jobs run, and what they read.

    Args:
        source: the circuit, or its program.
        size: of the engine.
        lift: weights are multiplied by 2^lift.
        jobs: of `EVERY_JOB`, those that it is built for.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: a vector that may be revived is read in parts; a job is none, or there is none.
    """
    if not jobs or set(jobs) - set(EVERY_JOB):
        raise UsageError(f"jobs must be some of {', '.join(EVERY_JOB)}, got {', '.join(jobs) or 'none'}")
    program = Program.of(source).with_given(())
    circuit = program.circuit
    _ = circuit.tree
    memories = _Memories(circuit, size, lift)
    rows: list[dict[str, int]] = []
    places = []
    starts = []
    if "score" in jobs and "likelihood" not in jobs:
        raise UsageError(f"score must go with likelihood, got {', '.join(jobs)}")
    for job, beside in (("pack", "encode"), ("unpack", "decode")):
        if job in jobs and beside not in jobs:
            raise UsageError(f"{job} must go with {beside}, got {', '.join(jobs)}")
    codes = set(jobs) - {"likelihood", "score"}
    searches = bool(codes & {"decode", "sample", "unpack"})
    for schedule, runs in ((program.likelihood, "likelihood" in jobs), (program.code, bool(codes))):
        starts.append(len(rows))
        if not runs:
            continue
        placed = place_rows(schedule, size.lanes, searches=searches)
        places.append(placed)
        rows += _rows(program, schedule, placed, memories)
    columns = {
        name: Column(
            np.array([row.get(name, 0) for row in rows], dtype=np.int64),
            np.array([name in row for row in rows], dtype=bool),
        )
        for name in FIELDS
    }
    firsts = first_tries(circuit) if searches else (0,) * len(circuit.cardinalities)
    even, odd, variables = _tables(circuit, memories.numbers, firsts)
    chosen = tuple(job for job in EVERY_JOB if job in jobs)
    return RtlImage(
        program, size, chosen, pack(columns), columns, (starts[0], starts[1]),
        _stacked(memories.tiles.parts, size.core.macs),
        _stacked(memories.lists.parts, 4), _stacked(memories.leaves.parts, size.table_lanes), even, odd,
        pack(variables), variables,
        _stacked(memories.tails.parts, 0), max(placed.rows for placed in places),
        max(placed.slots for placed in places), max(row.get("rows", 1) for row in rows),
    )  # fmt: skip


@dataclass
class _Store:
    """Collect runs of one memory, each different one once."""

    parts: list[IntArray] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)
    end: int = 0

    def put(self, run: IntArray) -> int:
        """Give the address of a run."""
        address = self.known.setdefault(run.tobytes(), self.end)
        if address == self.end and len(run):
            self.parts.append(run)
            self.end += len(run)
        return address


@dataclass
class _Memories:
    """Collect what rows address."""

    circuit: IntegerCircuit
    size: RtlSize
    lift: int = 0
    tiles: _Store = field(default_factory=_Store)
    lists: _Store = field(default_factory=_Store)
    leaves: _Store = field(default_factory=_Store)
    tails: _Store = field(default_factory=_Store)
    #: number of every leaf table among those of as many symbols
    numbers: dict[int, dict[bytes, int]] = field(default_factory=dict)
    laid: dict[tuple[object, ...], int] = field(default_factory=dict)

    def matrix(self, layer: int, units: Shape, columns: Shape) -> tuple[int, int]:
        """Give the first tile of a dense matrix and its blocks of rows."""
        rows, lanes = self.size.tile_rows, self.size.lanes
        positions = units.positions
        blocks = int(positions.max()) // rows + 1
        key = ("matrix", layer, units.segments, columns.segments)
        if key not in self.laid:
            found = self.circuit.layers[layer]
            assert isinstance(found, IntegerSum) and isinstance(found.weights, np.ndarray)
            padded = np.zeros((blocks * rows, columns.rows * lanes), dtype=np.int64)
            padded[np.ix_(positions, columns.positions)] = found.weights << self.lift
            tiles = padded.reshape(blocks, rows, columns.rows, lanes).swapaxes(1, 2)
            self.laid[key] = self.tiles.put(np.ascontiguousarray(tiles.reshape(-1, rows * lanes)))
        return self.laid[key], blocks

    def sums(self, lists: SparseRows, units: Shape, source: Shape, *, weighted: bool) -> int:
        """Give the first entry of lists whose entries are added up, one list a lane."""
        positions = source.positions
        entries: list[list[int]] = []
        of_lane = dict(zip(units.positions.tolist(), range(lists.shape[0]), strict=True))
        for lane in range(units.rows * units.lanes):
            row = of_lane.get(lane)
            span = range(0) if row is None else range(int(lists.indptr[row]), int(lists.indptr[row + 1]))
            for at in span:
                weight = int(lists.values[at]) << self.lift if weighted else 0
                entries.append([int(at == span[-1]), 0, int(positions[lists.indices[at]]), weight])
            if not span:
                entries.append([1, 1, 0, 0])
        return self.lists.put(np.array(entries, dtype=np.int64))

    def gathers(self, step: Multiply, units: Shape, sources: Sequence[Shape]) -> int:
        """Give the first entry of a list of pairs, one a lane."""
        entries = np.tile(np.array([1, 1, 0, 0], dtype=np.int64), (units.rows * units.lanes, 1))
        for column, gather, source in zip((2, 3), step.gathers, sources, strict=True):
            chosen = source.positions[: step.units] if gather is None else source.positions[gather]
            entries[units.positions, column] = chosen
        entries[units.positions, 1] = 0
        return self.lists.put(entries)

    def leaf(self, layer: int, units: Shape) -> int:
        """Give the first word of the numbers of a variable's tables."""
        found = self.circuit.layers[layer]
        assert isinstance(found, IntegerInput)
        group = self.numbers.setdefault(found.cumulative.shape[1] - 1, {})
        words = np.full(units.rows * units.lanes, -1, dtype=np.int64)
        words[units.positions] = [group.setdefault(row.tobytes(), len(group)) for row in found.cumulative]
        return self.leaves.put(words.reshape(-1, self.size.table_lanes))


def _rows(
    program: Program, schedule: Schedule, placed: RowPlaces, memories: _Memories
) -> list[dict[str, int]]:  # fmt: skip
    rows = []
    steps = list(schedule.steps)
    index = 0
    while index < len(steps):
        step = steps[index]
        row = _row(program, schedule, step, placed, memories)
        following = steps[index + 1] if index + 1 < len(steps) else None
        if isinstance(step, Interval) and isinstance(following, Leaf) and following.variable == step.variable:
            leaf = _row(program, schedule, following, placed, memories)
            if leaf["leaves"] == row["leaves"] and leaf["rows"] == row["a_rows"]:
                row = leaf | row | {"flag": 1, "zeros": leaf["zeros"]}
                index += 1
        rows.append(row)
        index += 1
    end = {"kind": int(Kind.END), "zeros": 0, "flag": 0}
    if schedule.result >= 0:
        end |= dict(zip(("a", "a_slot"), placed.places[schedule.result], strict=True))
    return [*rows, end]


def _row(
    program: Program, schedule: Schedule, step: Step, placed: RowPlaces, memories: _Memories
) -> dict[str, int]:  # fmt: skip
    zeros = program.zeros(schedule, step)
    row = {"kind": int(step.op), "zeros": int(zeros), "flag": 0}
    parts = [placed.part(source) for source in step.sources]
    for name, source, (_, first) in zip("ab", step.sources, parts, strict=False):
        row |= {name: first, f"{name}_slot": placed.places[source.value][1]}
    shapes = [shape for shape, _ in parts]
    if isinstance(step, Interval):
        return row | {
            "a_rows": shapes[0].rows, "variable": step.variable, "leaves": memories.leaf(step.layer, shapes[0])
        }  # fmt: skip
    target = placed.shape(step.target)
    if zeros in (Zeros.REVIVE, Zeros.TAIL) and len(target.segments) > 1:
        raise UsageError(
            f"a vector that may be revived, or has tails, must be read as a whole, got parts of {target.segments} units"
        )
    row |= dict(zip(("target", "target_slot"), placed.places[step.target], strict=True))
    row |= {"rows": target.rows, "last": (target.segments[-1] - 1) % target.lanes if len(target.segments) == 1
            else target.lanes - 1}  # fmt: skip
    match step:
        case Init():
            return row
        case Leaf():
            tails = program.circuit.layers[step.layer]
            assert isinstance(tails, IntegerInput)
            row |= {"variable": step.variable, "leaves": memories.leaf(step.layer, target), "a_rows": target.rows}
            if zeros == Zeros.TAIL and tails.tails is not None:
                row["tails"] = memories.tails.put(np.asarray(tails.tails, dtype=np.int64))
            return row
        case Up() | Down():
            return row | _mixture(program.circuit, step, target, shapes[0], memories)
        case ListSum():
            lists = memories.sums(step.lists, target, shapes[0], weighted=False)
            return row | {"kind": int(Kind.LIST), "list": lists}
        case Multiply():
            if all(gather is None for gather in step.gathers):
                return row
            return row | {"kind": int(Kind.GATHER), "list": memories.gathers(step, target, shapes)}
        case Align():
            return row | {"a_rows": shapes[0].rows}
        case _:
            assert_never(step)


def _mixture(
    circuit: IntegerCircuit, step: Up | Down, target: Shape, source: Shape, memories: _Memories
) -> dict[str, int]:  # fmt: skip
    layer = circuit.layers[step.layer]
    assert isinstance(layer, IntegerSum)
    up = isinstance(step, Up)
    if isinstance(layer.weights, SparseRows):
        rows = layer.weights if up else _transposed(layer.weights)
        lists = memories.sums(rows, target, source, weighted=True)
        return {"kind": int(Kind.LIST), "flag": 1, "list": lists}
    units, columns = (target, source) if up else (source, target)
    address, blocks = memories.matrix(step.layer, units, columns)
    return {"weights": address, "blocks": blocks, "a_rows": source.rows}


def _transposed(rows: SparseRows) -> SparseRows:
    order = np.argsort(rows.indices, kind="stable")
    counts = np.bincount(rows.indices, minlength=rows.columns)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return SparseRows(indptr, rows.row_of_entry[order], rows.values[order], rows.shape[0])


def _tables(
    circuit: IntegerCircuit, numbers: dict[int, dict[bytes, int]], firsts: Sequence[int]
) -> tuple[Integers, Integers, dict[str, Column]]:  # fmt: skip
    """Put the entries of even symbols in one memory, of odd ones in another, so that neighbours are read at once.

    Entries of a symbol lie side by side, a table each.
    """
    even: list[Integers] = []
    odd: list[Integers] = []
    starts: dict[int, tuple[int, int, int, int]] = {}
    ends = [0, 0]
    for symbols, group in sorted(numbers.items()):
        tables = np.stack([np.frombuffer(row, dtype=np.int64) for row in group])[:, :-1]
        starts[symbols] = (symbols, len(group), ends[0], ends[1])
        for side, parts in enumerate((even, odd)):
            words = tables[:, side::2]
            parts.append(words.T.ravel())
            ends[side] += words.size
    columns = {
        name: Column(np.array([starts[symbols][at] for symbols in circuit.cardinalities]), _all(circuit.cardinalities))
        for at, name in enumerate(("cardinality", "tables", "even", "odd"))
    } | {"first": Column(np.array(firsts), _all(firsts))}
    return np.concatenate(even), np.concatenate(odd), columns


def _all(items: Sequence[object]) -> np.ndarray:
    return np.ones(len(items), dtype=bool)


def _stacked(parts: list[IntArray], columns: int) -> Integers:
    empty = np.zeros((0, columns) if columns else 0, dtype=np.int64)
    return np.concatenate([empty, *parts]).astype(np.int64)
