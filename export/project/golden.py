"""Golden vectors: what the reference computes for some records, for a testbench to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.engines.lanes import decode_lanes, encode_intervals
from pcedge.engines.reference import ReferenceEngine
from pcedge.schedule.steps import Interval, Step

#: lanes of the golden streams where there are enough records
GOLDEN_LANES = 4

FNV_OFFSET, FNV_PRIME = 2166136261, 16777619

#: words of results that are held until they are hashed
BLOCK_WORDS = 1 << 21


@dataclass(frozen=True, eq=False)
class Golden:
    """Hold records and the reference's results for them."""

    #: symbols, (N, variables)
    records: IntArray
    #: mantissa and exponent of every record
    likelihood: Vector
    #: interval ends in coding order, (N, variables) each
    intervals: Vector
    #: hash of every step's result, (N, steps), of the two schedules
    likelihood_hashes: NDArray[np.uint32]
    code_hashes: NDArray[np.uint32]
    #: one byte string a lane
    lanes: list[bytes]


def make_golden(engine: ReferenceEngine, records: IntArray) -> Golden:
    """Compute the golden results of checked records, all of them in one batch."""
    up = _Hashes(len(records), len(engine.program.likelihood.steps))
    likelihood = engine.likelihood(records, up.observe)
    walk = _Hashes(len(records), len(engine.program.code.steps))
    intervals = engine.intervals(records, walk.observe)
    # An interval's two ends stand where the other steps have their vector.
    interval_steps = [index for index, step in enumerate(engine.program.code.steps) if isinstance(step, Interval)]
    for column, index in enumerate(interval_steps):
        walk.put(index, np.stack([intervals[0][:, column], intervals[1][:, column]]))
    lanes = encode_intervals(engine.circuit.widths, *intervals, max(1, min(GOLDEN_LANES, len(records))))
    return Golden(records, likelihood, intervals, up.table(), walk.table(), lanes)


def draw_records(engine: ReferenceEngine, count: int, seed: int = 0) -> IntArray:
    """Draw records from the integer circuit: what random bytes decode to is a sample."""
    generator = np.random.default_rng(seed)
    bits = sum(max(1, int(v - 1).bit_length()) for v in engine.circuit.cardinalities) + 64
    lanes = [generator.integers(0, 255, size=bits // 8 * 2 + 8, dtype=np.uint8).tobytes() for _ in range(count)]
    return decode_lanes(engine, lanes, count, strict=False)


def fnv(words: IntArray) -> NDArray[np.uint32]:
    """Hash the columns of (words, N) by FNV-1a over 32-bit words."""
    state = np.full(words.shape[1], FNV_OFFSET, dtype=np.uint32)
    for row in words.astype(np.uint32):  # the low 32 bits, of a negative word too
        state = (state ^ row) * np.uint32(FNV_PRIME)  # modulo 2^32, as arrays are
    return state


class _Hashes:
    """Collect the hash of every step: its mantissas, then its exponent."""

    def __init__(self, records: int, steps: int) -> None:
        self.hashes = np.zeros((records, steps), dtype=np.uint32)
        #: results that are not hashed yet, and their steps, by how many words they have
        self.waiting: dict[int, tuple[list[int], list[IntArray]]] = {}
        self.words = 0

    def observe(self, index: int, step: Step, result: Vector) -> None:
        if not isinstance(step, Interval):  # what stands there instead is put when it is known
            self.put(index, np.concatenate([result[0], result[1][None]]))

    def put(self, index: int, words: IntArray) -> None:
        """Keep the words of a step, (words, N), until there are enough to hash many steps at once."""
        indices, results = self.waiting.setdefault(len(words), ([], []))
        indices.append(index)
        results.append(words)
        self.words += words.size
        if self.words > BLOCK_WORDS:
            self.flush()

    def flush(self) -> None:
        for indices, results in self.waiting.values():
            self.hashes[:, indices] = fnv(np.concatenate(results, axis=1)).reshape(len(indices), -1).T
        self.waiting.clear()
        self.words = 0

    def table(self) -> NDArray[np.uint32]:
        """Give the hashes, (N, steps)."""
        self.flush()
        return self.hashes
