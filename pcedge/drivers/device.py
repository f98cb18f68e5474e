"""An engine behind registers and streams, with the functions of the Python codec (docs/engine.md, section Driver)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.codec import stream
from pcedge.drivers.contract import (
    CONTROL,
    CYCLES,
    DONE,
    JOB,
    MISSING_WORD,
    RECORDS,
    START,
    STATUS,
    Job,
    Status,
)  # fmt: skip
from pcedge.drivers.image_check import check_image
from pcedge.drivers.interface import Info, Port, Registers, Words, read_info
from pcedge.drivers.rtl_image import image_of
from pcedge.drivers.size import EngineSize
from pcedge.engines.base import LaneCoder, Progress
from pcedge.errors import DataError, StreamError, ToolError, UsageError
from pcedge.integer.circuit import IntegerCircuit

#: the lane of an encoder that coded nothing: its flush (docs/stream.md, section Lane)
NOTHING = b"\0"


#: jobs that every engine has, or refuses by itself: what an engine is built for leaves them out
ALWAYS = (Job.LOAD, Job.READ, Job.TELL)

#: what a job that was not begun, and so gives no packet, says
REFUSED = Status.NOT_LOADED | Status.BAD_IMAGE | Status.TOO_LARGE | Status.BAD_JOB


class Device:
    """Run jobs on an engine, with the results of `ReferenceEngine`, `encode` and `decode`.

    Raises:
        FormatError: the registers are not those of an engine that this driver knows.
    """

    def __init__(
        self, registers: Registers, ports: Sequence[Port], timeout: float = 60.0,
        built_jobs: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """Take registers and one port a stream; a job that takes longer than `timeout` seconds has failed.

        Args:
            registers: of the engine.
            ports: of its streams.
            timeout: seconds that a job may take.
            built_jobs: what the engine was built for, as a project's manifest says it; None where nobody knows.
        """
        self.registers, self.ports, self.timeout = registers, list(ports), timeout
        self.built_jobs = None if built_jobs is None else tuple(built_jobs)
        #: clock cycles of the last call
        self.cycles = 0
        #: what the last job said
        self.status = Status(0)
        #: what the build is, and which circuit it holds
        self.info: Info
        self.run(Job.TELL, [], [], [])
        if len(self.ports) != self.info.streams:
            raise UsageError(f"the engine has {self.info.streams} streams, got {len(self.ports)} ports")

    def load(self, image: ArrayLike) -> None:
        """Check a circuit's image (`image_words`), load it, read it back, and compare.

        Raises:
            UsageError: it is no list of 32-bit words.
            FormatError: it is damaged, or leads beyond its memories (`check_image`); nothing was sent.
            ToolError: the engine refuses it, or gives other words back.
        """
        words = image_of(image)
        if self.info.reload:  # else the engine says that it takes none
            check_image(words, EngineSize(self.info.macs, self.info.streams, self.info.search_bits))
        # A load that does not end leaves nothing to count on.
        self.info = replace(self.info, record=0)
        self.run(Job.LOAD, [], [[words]], [])
        back = self.read_back(len(words))
        if not np.array_equal(back, words):
            index = int(np.flatnonzero(back[: len(words)] != words[: len(back)])[:1].sum())
            raise ToolError(f"the engine must give the image back as it was sent, word {index} differs")

    def read_back(self, limit: int) -> Words:
        """Read the image that is loaded, of at most so many words."""
        self.need_circuit()
        return self.run(Job.READ, [], [], [[limit]])[0][0]

    def likelihood(self, records: ArrayLike) -> Vector:
        """Give mantissas and exponents, (N,) each, of records (N, variables); −1 is missing.

        Raises:
            DataError: a symbol is beyond the alphabet of its variable.
        """
        results = self._of_each(Job.LIKELIHOOD, records, 2)
        return results[:, 0].astype(np.int64), results[:, 1].view(np.int32).astype(np.int64)

    def score(self, records: ArrayLike) -> IntArray:
        """Give scores, (N,) int64 in parts of 2^-8 bit, of records (N, variables); −1 is missing.

        Raises:
            DataError: a symbol is beyond the alphabet of its variable.
            UsageError: the engine is known not to be built for the job.
            ToolError: it does not have the job.
        """
        return self._of_each(Job.SCORE, records, 1)[:, 0].astype(np.int64)

    def _of_each(self, job: Job, records: ArrayLike, words: int) -> Words:
        """Run a job that gives so many words for each record: (N, words)."""
        rows = self.rows(records)
        streams = self.info.streams
        counts = [len(range(k, len(rows), streams)) for k in range(streams)]
        packets = [list(rows[k::streams]) for k in range(streams)]
        replies = self.run(job, counts, packets, [[words] * count for count in counts])
        results = np.zeros((len(rows), words), dtype=np.uint32)
        for k in range(streams):
            if counts[k]:
                results[k::streams] = np.stack(replies[k])
        return results

    def encode_lanes(self, records: IntArray, lanes: int) -> list[bytes]:
        """Encode records; record i goes to lane i mod `lanes`, and lanes that are more than streams take turns.

        Raises:
            DataError: a symbol is missing, or beyond the alphabet of its variable.
        """
        rows = self.rows(records)
        _need_lanes(lanes)
        if (rows == MISSING_WORD).any():
            raise DataError("records to encode must have no missing symbols")
        cycles, coded = 0, []
        for first in range(0, lanes, self.info.streams):
            batch = [rows[lane::lanes] for lane in range(first, min(first + self.info.streams, lanes))]
            # A symbol moves at most P / 8 bytes.
            limits = [
                [lane_rows.size * (self.info.scale_bits // 8) + 16] if len(lane_rows) else [] for lane_rows in batch
            ]
            counts = [len(lane_rows) for lane_rows in batch]
            replies = self.run(Job.ENCODE, counts, [list(lane_rows) for lane_rows in batch], limits)
            coded += [
                packets[0].astype(np.uint8).tobytes() if packets else NOTHING for packets in replies[: len(batch)]
            ]
            cycles += self.cycles
        self.cycles = cycles
        return coded

    def decode_lanes(self, lanes: list[bytes], count: int, *, job: Job = Job.DECODE) -> IntArray:
        """Decode `count` records of shape (N, variables) from their lanes.

        With `job` SAMPLE the lanes may be any bytes, at least one each.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """
        self.need_circuit()
        _need_lanes(len(lanes))
        if count < 0:
            raise UsageError(f"the number of records must be at least 0, got {count}")
        for lane, data in enumerate(lanes):
            if not data or (lane >= count and job == Job.DECODE and len(data) != len(NOTHING)):
                raise StreamError(f"lane {lane} must have a byte, and one only if no record is its, got {len(data)}")
        cycles, records = 0, np.zeros((count, self.info.record), dtype=np.int64)
        for first in range(0, len(lanes), self.info.streams):
            batch = range(first, min(first + self.info.streams, len(lanes)))
            counts = [len(range(lane, count, len(lanes))) for lane in batch]
            packets = [
                [np.frombuffer(lanes[lane], dtype=np.uint8).astype(np.uint32)] if counts[lane - first] else []
                for lane in batch
            ]
            replies = self.run(
                job, counts, packets, [[self.info.record] * number for number in counts], allowed=Status.BAD_LANE
            )
            if self.status & Status.BAD_LANE:
                raise StreamError(
                    f"lanes {batch[0]} to {batch[-1]} must be what an encoder writes, one is not: damaged payload"
                )
            for lane, reply in zip(batch, replies, strict=False):
                if reply:
                    records[lane :: len(lanes)] = np.stack(reply)
            cycles += self.cycles
        self.cycles = cycles
        return records

    def sample(self, count: int, seed: int = 0) -> IntArray:
        """Draw records from the circuit: what random bytes decode to.

        Raises:
            UsageError: the number of records is negative.
        """
        self.need_circuit()
        if count < 0:
            raise UsageError(f"the number of records must be at least 0, got {count}")
        generator = np.random.default_rng(seed)
        streams = min(self.info.streams, max(count, 1))
        # Enough for symbols that each take all bits of the scale; zeros behind them would not be random.
        size = -(-count // streams) * self.info.record * (self.info.scale_bits // 8) + self.info.range_bits // 8
        lanes = [generator.integers(0, 256, size, dtype=np.uint8).tobytes() for _ in range(streams)]
        return self.decode_lanes(lanes, count, job=Job.SAMPLE)

    def encode(self, engine: LaneCoder, x: ArrayLike, lanes: int | None = None) -> bytes:
        """Compress records to a stream as `pcedge.codec.encode` does; `engine` says shapes, alphabets and digest."""
        return stream.encode(self.coder(engine), x, lanes)

    def decode(self, engine: LaneCoder, data: bytes) -> NDArray[np.generic]:
        """Restore the records of a stream as `pcedge.codec.decode` does."""
        self.need_circuit(engine)
        return stream.decode(_OnDevice(engine.circuit, self), data)

    def coder(self, engine: LaneCoder) -> LaneCoder:
        """Give what codes lanes here in place of an engine of the same circuit, for functions of `pcedge.codec`."""
        self.need_circuit(engine)
        return _OnDevice(engine.circuit, self).with_given(engine.given)

    def rows(self, records: ArrayLike) -> Words:
        """Give records, (N, variables), as words; −1 is missing."""
        self.need_circuit()
        rows = np.asarray(records)
        if rows.ndim != 2 or rows.shape[1] != self.info.record or rows.dtype.kind not in "iu":
            raise UsageError(
                f"records must be integers of shape (N, {self.info.record}), got {rows.dtype} {rows.shape}"
            )
        for end in (int(rows.min()), int(rows.max())) if rows.size else ():
            if not -1 <= end < self.info.cardinality:
                raise DataError(f"symbols must be in 0..{self.info.cardinality - 1}, or -1 for missing, got {end}")
        return np.where(rows < 0, MISSING_WORD, rows).astype(np.uint32)

    def need_circuit(self, engine: LaneCoder | None = None) -> None:
        """Demand that a circuit is loaded, or this one."""
        if not self.info.record:
            raise UsageError("the engine must have a circuit, none is loaded: load an image first")
        if engine is not None and engine.circuit.digest != self.info.digest:
            raise UsageError(
                f"the engine must hold the circuit {engine.circuit.digest.hex()}, it holds {self.info.digest.hex()}"
            )

    def run(
        self,
        job: Job,
        records: Sequence[int],
        packets: Sequence[list[Words]],
        limits: Sequence[list[int]],
        allowed: Status = Status(0),  # noqa: B008  # a constant
    ) -> list[list[Words]]:
        """Start a job, send every stream's packets, and receive as many as there are limits.

        Raises:
            UsageError: the engine is known not to be built for the job; nothing was sent.
            ToolError: the engine refuses the job, or does not end it, or not all packets have come in time.
            DataError: a symbol is beyond the alphabet of its variable.
        """
        # Before a word is sent: the serial engine takes no packets of such a job, they would be those of the next one.
        if self.built_jobs is not None and job not in ALWAYS and job.name.lower() not in self.built_jobs:
            raise UsageError(
                f"the engine must be built for {job.name.lower()}, it is built for {', '.join(self.built_jobs)}"
            )
        for index, count in enumerate([*records, *[0] * (len(self.ports) - len(records))]):
            self.registers.write(RECORDS + 4 * index, count)
        self.registers.write(JOB, int(job))
        # Reading clears DONE, which a job that was given up may have left.
        self.registers.read(CONTROL)
        self.registers.write(CONTROL, START)
        stop = Event()
        with ThreadPoolExecutor(max_workers=max(1, len(packets) + len(limits))) as pool:
            sends = [
                pool.submit(_send, port, stream_data, stop)
                for port, stream_data in zip(self.ports, packets, strict=False)
            ]
            receives = [
                pool.submit(_receive, port, stream_data, stop)
                for port, stream_data in zip(self.ports, limits, strict=False)
            ]
            try:
                self.status = status = self._wait(job, [*sends, *receives])
            finally:
                stop.set()
            self.cycles = self.registers.read(CYCLES) | self.registers.read(CYCLES + 4) << 32
            if status & Status.UPSET:
                raise ToolError(
                    f"a memory of the engine gave {job.name} a word that was not written: run it once more, and if it "
                    "says so again, load the circuit, or the device, again"
                )
            if status & Status.BAD_SYMBOL:
                raise DataError("symbols must be within the alphabets of their variables, the engine says one is not")
            if status & ~allowed:
                raise ToolError(f"the engine must end {job.name} with status 0, it says {status!r}")
            for sent in sends:
                sent.result()
            return [received.result() for received in receives]

    def _wait(self, job: Job, moving: Sequence[Future[Any]]) -> Status:
        """Wait until the engine is done and all packets have moved; of a refused job none need to."""
        end = time.monotonic() + self.timeout
        done, status = False, Status(0)
        while not done or not (status & REFUSED or all(packets.done() for packets in moving)):
            if any(packets.done() and packets.exception() for packets in moving):
                break
            if not done and self.registers.read(CONTROL) & DONE:
                done, status = True, Status(self.registers.read(STATUS))
                if job in (Job.LOAD, Job.TELL):
                    # A refused image leaves no circuit; an engine with read-only memories keeps its own.
                    self.info = read_info(self.registers)
                continue
            if time.monotonic() > end:
                raise ToolError(f"the engine must end {job.name} within {self.timeout:g} s, it did not")
            time.sleep(1e-4)
        return status


@dataclass(frozen=True, eq=False)
class _OnDevice:
    """Code the lanes of a circuit on the device that holds it."""

    circuit: IntegerCircuit
    device: Device
    given: tuple[int, ...] = ()

    def with_given(self, given: Sequence[int]) -> _OnDevice:
        if given:
            raise UsageError(
                f"a device codes every variable of its circuit, the variables given here are {list(given)}: an engine "
                "of pcedge takes them"
            )
        return self

    def encode_lanes(self, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
        return self.device.encode_lanes(records, lanes)

    def decode_lanes(
        self, lanes: list[bytes], count: int, progress: Progress | None = None, known: IntArray | None = None
    ) -> IntArray:
        return self.device.decode_lanes(lanes, count)


def _need_lanes(lanes: int) -> None:
    if lanes < 1:
        raise UsageError(f"there must be at least one lane, got {lanes}")


def _send(port: Port, packets: list[Words], stop: Event) -> None:
    for packet in packets:
        port.send(packet, stop)


def _receive(port: Port, limits: list[int], stop: Event) -> list[Words]:
    return [port.receive(limit, stop) for limit in limits]
