"""A simulated board: the registers and streams of an engine in front of its C simulation."""

from __future__ import annotations

import queue
import struct
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np

from pcedge.drivers.contract import CONTROL, CYCLES, DONE, INFO, INFO_WORDS, JOB, RECORDS, START, STATUS, Job
from pcedge.drivers.interface import Words
from pcedge.errors import ToolError
from pcedge.toolchain.compiled import unusable

#: bytes of what a simulation says at its end
MOST_SAID = 4000


class Board:
    """Registers and one port a stream; a job runs when all of its packets have come, as the engine would wait."""

    def __init__(
        self, executable: Path, streams: int, stalls: tuple[int, int] | None = None, cwd: Path | None = None
    ) -> None:
        """Start the simulation, in `cwd`; with `stalls`, (share of 256, seed), ends are not ready at random."""
        command = [str(executable), "serve", str(streams), *map(str, stalls or ())]
        # What it says last, it says of its end; a file takes it without a reader.
        self.said = tempfile.TemporaryFile()  # closed with the board
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, cwd=cwd
            )
        except OSError as error:
            self.said.close()
            raise unusable(executable, error) from error
        self.ports = [SimulatedPort(self) for _ in range(streams)]
        self.registers: dict[int, int] = {}
        self.lock = threading.Lock()

    def read(self, offset: int) -> int:
        """Give a register's value; reading the control register clears DONE."""
        with self.lock:
            value = self.registers.get(offset, 0)
            if offset == CONTROL:
                self.registers[CONTROL] = value & ~DONE
            return value

    def write(self, offset: int, value: int) -> None:
        """Set a register; START in the control register starts the job of the job register."""
        with self.lock:
            self.registers[offset] = value & 0xFFFFFFFF
        self.advance()

    def advance(self) -> None:
        """Run the job if it was started and all of its packets are there."""
        with self.lock:
            if self.registers.get(CONTROL, 0) & START and all(
                len(port.arrived) >= self._packets(index) for index, port in enumerate(self.ports)
            ):
                self._run()
                self.registers[CONTROL] = DONE

    def close(self) -> None:
        """End the simulation."""
        for pipe in (self.process.stdin, self.process.stdout):
            # A simulation that has ended took not all that was written.
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.process.wait()
        self.said.close()

    def _ended(self) -> ToolError:
        """Say how the simulation ended."""
        status = self.process.wait()
        self.said.seek(0)
        text = self.said.read(MOST_SAID).decode("utf-8", "replace").strip()
        return ToolError(f"the engine's testbench must answer, it ended with {status}" + (f": {text}" if text else ""))

    def _packets(self, index: int) -> int:
        job, records = self.registers.get(JOB, 0), self.registers.get(RECORDS + 4 * index, 0)
        if job == Job.LOAD:
            return int(index == 0)
        if job in (Job.DECODE, Job.SAMPLE, Job.UNPACK):
            return int(records > 0)
        if job == Job.PACK:
            return records + 1 if records else 0
        return records if job in (Job.LIKELIHOOD, Job.ENCODE, Job.SCORE) else 0

    def _run(self) -> None:
        counts = [self.registers.get(RECORDS + 4 * index, 0) for index in range(len(self.ports))]
        pieces = [struct.pack(f"<{1 + len(counts)}I", self.registers.get(JOB, 0), *counts)]
        for index, port in enumerate(self.ports):
            packets = [port.arrived.pop(0) for _ in range(self._packets(index))]
            beats = [np.stack([packet, np.zeros_like(packet)], axis=1) for packet in packets]
            for packet_beats in beats:
                packet_beats[-1, 1] = 1
            pieces.append(struct.pack("<I", sum(map(len, beats))))
            pieces += [packet_beats.astype("<u4").tobytes() for packet_beats in beats]
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"".join(pieces))
            self.process.stdin.flush()
            words = self._words(3 + INFO_WORDS)
            for port in self.ports:
                sent = self._words(2 * int(self._words(1)[0])).reshape(-1, 2)
                for packet in np.split(sent[:, 0], np.flatnonzero(sent[:, 1]) + 1)[:-1]:
                    port.left.put(packet)
        except OSError as error:
            raise self._ended() from error
        self.registers |= {STATUS: int(words[0]), CYCLES: int(words[1]), CYCLES + 4: int(words[2])}
        self.registers |= {INFO + 4 * index: int(word) for index, word in enumerate(words[3:])}

    def _words(self, count: int) -> Words:
        assert self.process.stdout is not None
        data = self.process.stdout.read(4 * count)
        if len(data) < 4 * count:
            raise self._ended()
        return np.frombuffer(data, dtype="<u4")


class SimulatedPort:
    """Both ends of one stream of a board."""

    def __init__(self, board: Board) -> None:
        """Belong to a board."""
        self.board = board
        self.arrived: list[Words] = []
        self.left: queue.Queue[Words] = queue.Queue()

    def send(self, words: Words, stop: threading.Event | None = None) -> None:  # never waits
        """Send one packet; it waits in a FIFO without end."""
        with self.board.lock:
            self.arrived.append(np.array(words, dtype=np.uint32))
        self.board.advance()

    def receive(self, limit: int, stop: threading.Event | None = None) -> Words:
        """Wait for one packet of at most so many words, or until `stop` is set; without it, for none that is not there.

        Raises:
            ToolError: it is longer, or none came.
        """
        while True:
            try:
                packet = self.left.get(timeout=0.05)
                break
            except queue.Empty as error:
                if stop is None or stop.is_set():
                    raise ToolError("the engine must send a packet, it sent none") from error
        if len(packet) > limit:
            raise ToolError(f"a packet must have at most {limit} words, got {len(packet)}")
        return packet
