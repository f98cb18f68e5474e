"""The model of the serial engine: all that it reads of a circuit, in one memory of words of four entries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export.rtl.lowering import Kind, RtlImage, lower_rtl
from pcedge.export.rtl.serial.search import Search, plan_searches
from pcedge.export.rtl.size import RtlSize
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Zeros

#: lanes of a row, entries of a word
LANES = 4

#: bits of an entry
ENTRY_BITS = 16

#: words of the memory: four SB_SPRAM256KA side by side
MEMORY_WORDS = 16384

#: words of a step
STEP_WORDS = 2

#: the size that steps are lowered with
SIZE = RtlSize(macs=LANES, streams=1, lanes=LANES, table_lanes=1)

#: rows, slots and rows of a vector that fields of a step can name
_MOST_ROWS = 256

#: a weight of 2^W and the last entry of a table, 2^L, must fit 16 bits
_MOST_BITS = 15

_OTHER = "--engine parallel has no such limit"

Words = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class SerialImage:
    """Hold the model of one circuit."""

    lowered: RtlImage
    #: (words, 4)
    words: Words
    #: words by what is in them
    parts: dict[str, int]
    #: words that each step addresses
    lengths: tuple[int, ...]
    #: of every variable how a decoder finds its symbol
    searches: tuple[Search, ...]

    @property
    def starts(self) -> tuple[int, int]:
        """Give the first words of the likelihood and of the code."""
        likelihood, code = self.lowered.starts
        return STEP_WORDS * likelihood, STEP_WORDS * code

    @property
    def most_rows(self) -> int:
        """Count the rows of the longest vector, a target or a source."""
        columns = self.lowered.columns
        return int(max(columns[name].values.max(initial=1) for name in ("rows", "a_rows")))


def lower_serial(source: IntegerCircuit | Program) -> SerialImage:
    """Lay out the model of a circuit.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit; the message says what is too large.
    """
    engine = ReferenceEngine(source)
    lowered = lower_rtl(engine.program, SIZE)
    circuit = lowered.circuit
    if (lowered.columns["zeros"].values > Zeros.REVIVE).any():
        raise UsageError(
            "a circuit of the serial engine must have no tails: pcedge quantize --no-tails makes one, and --engine "
            "parallel takes it as it is"
        )
    for name in ("weight_bits", "leaf_bits"):
        if (bits := getattr(circuit, name)) > _MOST_BITS:
            raise UsageError(
                f"{name} of a circuit must be at most {_MOST_BITS} for the serial engine, got {bits}; {_OTHER}"
            )
    for name, count in (("rows", lowered.rows), ("exponents", lowered.slots)):
        if count > _MOST_ROWS:
            raise UsageError(
                f"vectors of the serial engine must take at most {_MOST_ROWS} {name}, got {count}; {_OTHER}"
            )
    searches = plan_searches(engine)
    runs = _Runs(lowered, searches)
    steps = np.stack([runs.step(index) for index in range(lowered.steps.rows)])
    # Places of what follows the steps are known when all of it is there.
    words, parts = runs.joined(steps)
    if len(words) > MEMORY_WORDS:
        each = ", ".join(f"{name} {count}" for name, count in parts.items())
        raise UsageError(
            f"the model must fit {MEMORY_WORDS} words of {LANES} entries for the serial engine, got "
            f"{len(words)}: {each}; {_OTHER}"
        )
    return SerialImage(lowered, words, parts, runs.lengths, tuple(searches))


class _Runs:
    """Collect runs of words that steps address, each different one once."""

    def __init__(self, image: RtlImage, searches: list[Search]) -> None:
        self.image, self.searches = image, searches
        #: tables of leaves, and the first entry of each
        self.tables: list[IntArray] = []
        self.table_at: dict[bytes, int] = {}
        self.entries = 0
        #: what steps address: name and words, and of each step which run it has
        self.runs: dict[tuple[str, bytes], IntArray] = {}
        self.of_step: list[tuple[str, bytes] | None] = []
        self.columns = {name: column.values for name, column in image.columns.items()}
        self.inputs = {layer.variable: layer for layer in image.circuit.layers if isinstance(layer, IntegerInput)}
        self.zeros = self._table(np.zeros(image.circuit.widths.cardinality + 1, dtype=np.int64))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Count the words that each step addresses."""
        return tuple(0 if key is None else len(self.runs[key]) for key in self.of_step)

    def step(self, index: int) -> IntArray:
        """Give the words of a step, without the place of what it addresses."""
        at = {name: int(values[index]) for name, values in self.columns.items()}
        kind = Kind(at["kind"])
        cardinality = first = 0
        run: IntArray | None = None
        name = ""
        if kind in (Kind.LEAF, Kind.INTERVAL):
            cardinality = int(self.image.circuit.cardinalities[at["variable"]])
            first = self.searches[at["variable"]].first
            name, run = "places", self._places(at)
        elif kind in (Kind.UP, Kind.DOWN):
            name, run = "weights", self._weights(at, kind)
        elif kind in (Kind.LIST, Kind.GATHER):
            name, run = "lists", self._list(at)
        self.of_step.append(None)
        if run is not None:
            key = (name, run.tobytes())
            self.runs.setdefault(key, run)
            self.of_step[-1] = key
        low = int(kind) | min(at["zeros"], 1) << 4 | at["flag"] << 5 | at["last"] << 6
        rows, a_rows = max(1, at["rows"]) - 1, max(1, at["a_rows"]) - 1
        return np.array(
            [
                [low | rows << 8, at["a"] | at["target"] << 8, at["b"] | a_rows << 8, 0],
                [at["target_slot"] | at["a_slot"] << 8, at["b_slot"] | first << 8, at["variable"], cardinality],
            ]
        )

    def joined(self, steps: IntArray) -> tuple[Words, dict[str, int]]:
        """Put steps, runs and tables one after the other, and tell the steps where."""
        steps = steps.copy()
        place = STEP_WORDS * len(steps)
        tables_end = place * LANES + self.entries
        parts = {"steps": place, "tables": -(-self.entries // LANES)}
        word = -(-tables_end // LANES)
        runs: list[IntArray] = []
        where: dict[tuple[str, bytes], int] = {}
        for key, run in self.runs.items():
            where[key] = word
            runs.append(run + place * LANES if key[0] == "places" else run)
            parts[key[0]] = parts.get(key[0], 0) + len(run)
            word += len(run)
        for step, named in zip(steps, self.of_step, strict=True):
            if named is not None:
                step[0, 3] = where[named]
        tables = np.concatenate([*self.tables, np.zeros(-self.entries % LANES, dtype=np.int64)])
        words = np.concatenate([steps.reshape(-1, LANES), tables.reshape(-1, LANES), *runs])
        # What does not fit 16 bits is a model that does not fit the memory, which is refused.
        return (words & 0xFFFF).astype(np.uint16), parts

    def _table(self, table: IntArray) -> int:
        key = table.tobytes()
        if key not in self.table_at:
            self.table_at[key] = self.entries
            self.tables.append(table)
            self.entries += len(table)
        return self.table_at[key]

    def _places(self, at: dict[str, int]) -> IntArray:
        """Give the first entries of a variable's tables; a lane without a unit has a table of zeros."""
        layer = self.inputs[at["variable"]]
        # The leaves' numbers say which lanes have a unit.
        units = self.image.leaves[at["leaves"] : at["leaves"] + at["a_rows"] * LANES, 0] >= 0
        places = np.full(len(units), self.zeros, dtype=np.int64)
        places[units] = [self._table(table) for table in layer.cumulative]
        return places.reshape(-1, LANES)

    def _weights(self, at: dict[str, int], kind: Kind) -> IntArray:
        """Give a matrix unit by unit of the target, each over the source's rows: DOWN has it transposed."""
        inner = at["a_rows"] if kind == Kind.UP else at["rows"]
        tiles = self.image.tiles[at["weights"] : at["weights"] + at["blocks"] * inner]
        matrix = tiles.reshape(at["blocks"], inner * LANES)
        if kind == Kind.DOWN:
            matrix = matrix.T
        padded = np.zeros((at["rows"] * LANES, at["a_rows"] * LANES), dtype=np.int64)
        padded[: len(matrix), : matrix.shape[1]] = matrix
        return padded.reshape(-1, LANES)

    def _list(self, at: dict[str, int]) -> IntArray:
        """Give as many lists as the target has lanes."""
        lists = self.image.lists[at["list"] :]
        ends = np.flatnonzero(lists[:, 0])[at["rows"] * LANES - 1] + 1
        last, none, first, second = lists[:ends].T
        return np.stack([last | none << 1, first, second, np.zeros_like(first)], axis=1)
