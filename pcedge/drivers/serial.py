"""The engine of a board on a serial line: registers and streams by frames of its bridge (docs/board.md)."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pcedge.drivers.device import Device
from pcedge.drivers.frames import (
    HEAD,
    MOST_PAYLOAD,
    MOST_RECEIVED,
    MOST_SENT,
    MOST_WIDE,
    QUIET_SECONDS,
    TAIL,
    VERSION,
    Command,
    Flag,
    Frame,
    Result,
    first_frame,
)
from pcedge.drivers.interface import Words
from pcedge.engines.base import LaneCoder
from pcedge.errors import FormatError, ToolError, UsageError, missing_extra

#: symbols a second where the caller names none, as on the shipped boards
BAUD = 1_000_000

#: seconds that a reply may take beside those of its bytes; a bridge forgets what is not whole in a tenth of them
REPLY_SECONDS = 0.5

#: how often a frame is sent at most
TRIES = 4

#: seconds before a stream that had no word, or no room, is asked again
PAUSE = 0.002

#: seconds without a byte after which a bridge has forgotten what was not whole, with room for the host's own delays
SETTLED = 2 * QUIET_SECONDS


class Line(Protocol):
    """Send and receive bytes, as `serial.Serial` does."""

    #: seconds that `read` waits at most
    timeout: float | None

    @property
    def in_waiting(self) -> int:
        """Tell how many bytes have come."""

    def write(self, data: bytes) -> Any:
        """Send bytes."""

    def read(self, size: int) -> bytes:
        """Wait for so many bytes, or for the time-out; give what came."""

    def reset_input_buffer(self) -> None:
        """Forget what came."""


class Link:
    """Exchange frames with a bridge; it is the engine's registers too. Threads take turns."""

    def __init__(self, line: Line, name: str, baud: int = BAUD) -> None:
        """Reset the bridge at the other end of a line, which messages call by its name.

        Raises:
            ToolError: there is none.
            FormatError: it is of another version.
        """
        self.line, self.name = line, name
        self.seconds = REPLY_SECONDS + 10 * (2 * MOST_PAYLOAD) / baud
        self._lock = threading.Lock()
        self._sequence = 0
        self._come = b""
        said = self.exchange(Command.RESET)
        if len(said) != 2 or said[0] != VERSION:
            raise FormatError(
                "bridge-version", f"the bridge on {name} must be of version {VERSION}, it says {said.hex()}"
            )
        #: streams of the engine
        self.streams = said[1]

    def exchange(self, command: Command, payload: bytes = b"") -> bytes:
        """Send a frame and give the payload of its reply; a frame without one is sent again.

        Raises:
            ToolError: no reply came, or the bridge refuses the frame.
        """
        with self._lock:
            self._sequence = (self._sequence + 1) % 256
            frame = Frame(self._sequence, command, payload)
            heard = damaged = 0
            for _ in range(TRIES):
                reply, count = self._try(frame)
                heard += count
                # A reply to what was damaged may be damaged too, so its sequence says nothing.
                if reply is not None and reply.code != Result.DAMAGED:
                    break
                damaged += reply is not None
                self._settle()
            else:
                raise self._failed(heard, damaged)
        if reply.code != Result.DONE:
            raise ToolError(f"the bridge on {self.name} must take {command.name}, it says {_result(reply.code)}")
        return reply.payload

    def read(self, offset: int) -> int:
        """Give a register's value."""
        return int.from_bytes(self.exchange(Command.READ, struct.pack("<HB", offset, 1)), "little")

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        self.exchange(Command.WRITE, struct.pack("<HI", offset, value & 0xFFFFFFFF))

    def _try(self, frame: Frame) -> tuple[Frame | None, int]:
        """Send a frame once; give its reply, None where none comes, and how many bytes came."""
        end, heard = time.monotonic() + self.seconds, 0
        try:
            self.line.write(frame.as_bytes())
            while (left := end - time.monotonic()) > 0:
                reply, self._come = first_frame(self._come)
                if reply is None:
                    self.line.timeout = left
                    data = self.line.read(max(HEAD + TAIL - len(self._come), self.line.in_waiting, 1))
                    self._come += data
                    heard += len(data)
                elif reply.sequence == frame.sequence or reply.code == Result.DAMAGED:
                    return reply, heard
                # else it is the reply to a frame that was given up
        except OSError as error:  # SerialException is one
            raise self._ended(error) from error
        return None, heard

    def _settle(self) -> None:
        """Wait until nothing comes: a reply that comes late is none to the next frame, and the bridge has forgotten."""
        self._come, self.line.timeout = b"", SETTLED
        try:
            while self.line.read(MOST_PAYLOAD):
                pass
        except OSError as error:
            raise self._ended(error) from error

    def _ended(self, error: OSError) -> ToolError:
        return ToolError(f"the line {self.name} must stay open, it did not: {error}")

    def _failed(self, heard: int, damaged: int) -> ToolError:
        if damaged:
            return ToolError(
                f"the line {self.name} must carry a frame unharmed once in {TRIES} times, {damaged} came to the board "
                "damaged: a shorter cable or a slower line may help"
            )
        if heard:
            return ToolError(
                f"the bridge on {self.name} must answer in frames, {heard} other bytes came: is the speed of the line "
                "that of the board, and is a bitstream with the bridge on it?"
            )
        return ToolError(
            f"a board must answer on {self.name} within {self.seconds:.2g} s, nothing came: is it the board's port, "
            "and is a bitstream with the bridge on it?"
        )


@dataclass(eq=False)
class LinkPort:
    """Both ends of one stream of the engine behind a link."""

    link: Link
    stream: int
    #: whether the words of the last packet were bytes: then those of the next are asked for as bytes
    narrow: bool = True

    def send(self, words: Words, stop: threading.Event) -> None:
        """Send one packet; return when it was taken.

        Raises:
            ToolError: `stop` was set before, or the link failed.
        """
        at = 0
        while at < len(words):
            narrow = bool((words[at : at + MOST_SENT] < 256).all())
            part = words[at : at + (MOST_SENT if narrow else MOST_WIDE)]
            flags = (Flag.NARROW if narrow else Flag(0)) | (Flag.LAST if at + len(part) == len(words) else Flag(0))
            data = part.astype(np.uint8 if narrow else "<u4").tobytes()
            taken = self.link.exchange(Command.SEND, bytes([self.stream, flags]) + data)
            at += taken[0]
            if taken[0] < len(part):
                _pause(stop, "take a packet")

    def receive(self, limit: int, stop: threading.Event) -> Words:
        """Wait for one packet of at most so many words.

        Raises:
            ToolError: it is longer, `stop` was set before it came, or the link failed.
        """
        parts: list[Words] = []
        left, narrow = limit, self.narrow
        while left:
            most = min(left, MOST_RECEIVED if narrow else MOST_WIDE)
            asked = bytes([self.stream, Flag.NARROW if narrow else 0, most])
            said = self.link.exchange(Command.RECEIVE, asked)
            flags = Flag(said[0])
            words = np.frombuffer(said[1:], np.uint8 if narrow else "<u4").astype(np.uint32)
            parts.append(words)
            left -= len(words)
            if flags & Flag.LAST:
                packet = np.concatenate(parts)
                self.narrow = bool((packet < 256).all())
                return packet
            if flags & Flag.WIDE:
                narrow = False
            elif not len(words):
                _pause(stop, "give a packet")
        raise ToolError(f"a packet must have at most {limit} words, stream {self.stream} gives more")


def _pause(stop: threading.Event, what: str) -> None:
    if stop.wait(PAUSE):
        raise ToolError(f"the engine must {what} before its job ends, it did not")


def _result(code: int) -> str:
    return Result(code).name if code in tuple(Result) else str(code)


@contextmanager
def open_serial(
    port: str, *, baud: int = BAUD, engine: LaneCoder | None = None, timeout: float = 60.0
) -> Iterator[Device]:
    """Open the engine of a board on a serial line, which is reset, for the time of the context.

    Args:
        port: the port, as `/dev/ttyUSB0` or `COM3`, or a URL of pyserial.
        baud: symbols a second, as in the board's target.
        engine: whose circuit the board must hold; None takes any.
        timeout: seconds that a job may take.

    Raises:
        UsageError: the port cannot be opened, or the board holds another circuit.
        ToolError: nothing answers, or something else than a bridge.
        FormatError: the bridge or its engine is of another version.
        MissingToolError: pyserial is not installed.
    """
    try:
        import serial
        from serial.tools import list_ports
    except ImportError as error:
        raise missing_extra("pyserial", "device", "a board on a serial line") from error
    try:
        line = serial.serial_for_url(port, baudrate=baud, timeout=REPLY_SECONDS, write_timeout=timeout)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        there = ", ".join(found.device for found in list_ports.comports()) or "none"
        raise UsageError(
            f"the port must be one that can be opened at {baud} baud, {port} is not ({error}); there are: {there}"
        ) from error
    with line:
        line.reset_input_buffer()
        link = Link(line, port, baud)
        device = Device(link, [LinkPort(link, stream) for stream in range(link.streams)], timeout)
        if engine is not None:
            device.need_circuit(engine)
        yield device
