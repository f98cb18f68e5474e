"""A board on a serial line, simulated by its pins behind a pseudo-terminal: all jobs, and all that can go wrong."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.nightly import WAITS
from helpers.rtl_units import needs_verilator
from helpers.serial_lines import NoisyLine
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.arithmetic import log_of
from pcedge.drivers import serial as driver
from pcedge.drivers.contract import INFO, JOB, MAGIC, RECORDS, Job, Status
from pcedge.drivers.device import Device
from pcedge.drivers.frames import Command, Flag, Frame, Result, first_frame
from pcedge.drivers.serial import Link, LinkPort, open_serial
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import UsageError
from pcedge.export import RtlSize, write_rtl
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.serial import DIVISOR, SerialBoard

serial = pytest.importorskip("serial", reason="needs pyserial (pcedge[device])")
pytestmark = [pytest.mark.rtl, needs_verilator]

STREAMS = 2
CIRCUIT = quantize(make_circuit(4, 6, 4, 9, "random", 0.3), QuantizationConfig(6, 10, 12))
ENGINE = ReferenceEngine(CIRCUIT)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        folder = write_rtl(CIRCUIT, tmp_path_factory.mktemp("board") / "project", size=RtlSize(4, STREAMS, 2, 2))
        SerialBoard(folder).compile()
    return folder


@pytest.fixture(scope="module")
def port(project: Path) -> Iterator[str]:
    """Run one board for all tests: each opens it as it was left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        with SerialBoard(project).port() as path:
            yield path


@pytest.fixture
def line(port: str) -> Iterator[serial.Serial]:
    with serial.Serial(port, driver.BAUD, timeout=1.0) as opened:
        opened.reset_input_buffer()
        yield opened


def asked(line: serial.Serial, data: bytes) -> Frame | None:
    """Send bytes and give the frame that comes back."""
    line.write(data)
    come = b""
    while more := line.read(max(1, line.in_waiting)):
        come += more
        found, left = first_frame(come)
        if found is not None:
            assert left == b""
            return found
    assert come == b""
    return None


def jobs(device: Device, records: np.ndarray) -> None:
    """Demand the reference's results of every job."""
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    assert_array_equal(device.likelihood(hidden), ENGINE.likelihood(hidden))
    coded = encode_lanes(ENGINE, records, 3)
    assert device.encode_lanes(records, 3) == coded and device.cycles > records.size
    assert_array_equal(device.decode_lanes(coded, len(records)), records)
    noise = [np.random.default_rng(lane).bytes(200) for lane in range(STREAMS)]
    expected = decode_lanes(ENGINE, noise, 4, strict=False)
    assert_array_equal(device.decode_lanes(noise, 4, job=Job.SAMPLE), expected)


def test_every_job_is_the_references(port: str) -> None:
    with open_serial(port, engine=ENGINE) as device:
        assert (device.info.digest, device.info.streams) == (CIRCUIT.digest, STREAMS)
        jobs(device, ENGINE.sample(21, seed=1))


def test_a_noisy_line_changes_no_bit(line: serial.Serial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "REPLY_SECONDS", 0.1)
    monkeypatch.setattr(driver, "TRIES", 20)
    noisy = NoisyLine(line, 0.004, 11)
    link = Link(noisy, "noise")
    jobs(Device(link, [LinkPort(link, k) for k in range(STREAMS)]), ENGINE.sample(8, seed=1))
    assert noisy.hits > 5


def test_after_garbage_it_is_there(line: serial.Serial) -> None:
    dice = random.Random(3)
    for garbage in (dice.randbytes(900), b"\xa5" * 300, b"\xa5\x01\x02\xff", b"\xa5\x01"):
        line.write(garbage)
        for _ in range(8):  # the simulation takes its time on a machine with other work
            time.sleep(0.2)
            line.reset_input_buffer()
            found = asked(line, Frame(5, Command.RESET, b"").as_bytes())
            if found is not None and found.sequence == 5:
                break
        assert found == Frame(5, Result.DONE, bytes([1, STREAMS]))


def test_what_is_no_frame_is_refused(line: serial.Serial) -> None:
    def reply(code: int, payload: bytes) -> Frame | None:
        number = next(numbers)
        found = asked(line, Frame(number, code, payload).as_bytes())
        assert found is not None and found.sequence == number
        return found

    numbers = iter(range(1, 256))
    for code, payload in (
        (9, b""), (Command.RESET, b"\0"),
        (Command.READ, b"\0\0"), (Command.READ, b"\0\0\0"), (Command.READ, b"\0\0\x40"), (Command.READ, b"\0\0\x01\0"),
        (Command.READ, b"\x01\0\x01"), (Command.READ, b"\0\x04\x01"),
        (Command.WRITE, b"\x10\0"), (Command.WRITE, b"\x10\0\1\2\3"), (Command.WRITE, b"\x11\0\1\2\3\4"),
        (Command.SEND, b"\0\0"), (Command.SEND, b"\0\0\1\2\3"), (Command.SEND, b"\2\0\1\2\3\4"),
        (Command.SEND, b"\0\4\1\2\3\4"), (Command.RECEIVE, b"\0\0\0"), (Command.RECEIVE, b"\0\0\x40"),
        (Command.RECEIVE, b"\0\1\1"), (Command.RECEIVE, b"\2\0\1"), (Command.RECEIVE, b"\0\2\xff"),
    ):  # fmt: skip
        found = reply(code, payload)
        assert found is not None and (found.code, found.payload) == (Result.REFUSED, b""), (code, payload)
    damaged = bytearray(Frame(7, Command.READ, b"\0\0\1").as_bytes())
    damaged[5] ^= 8
    assert asked(line, bytes(damaged)) == Frame(7, Result.DAMAGED, b"")
    found = reply(Command.READ, struct.pack("<HB", INFO, 2))
    assert found is not None and struct.unpack("<2I", found.payload) == (MAGIC, 1)


def test_a_frame_that_comes_again_is_not_done_again(line: serial.Serial) -> None:
    def send(sequence: int, code: int, payload: bytes) -> Frame | None:
        return asked(line, Frame(sequence, code, payload).as_bytes())

    send(1, Command.RESET, b"")
    write = (2, Command.WRITE, struct.pack("<HII", RECORDS, 11, 12))
    assert send(*write) == send(*write) == Frame(2, Result.DONE, b"")
    other = (3, Command.WRITE, struct.pack("<HI", RECORDS, 5))
    assert send(*other) == Frame(3, Result.DONE, b"")
    read = struct.pack("<HB", RECORDS, 2)
    values = send(4, Command.READ, read)
    assert values is not None and struct.unpack("<2I", values.payload) == (5, 12)
    send(5, Command.WRITE, struct.pack("<HI", RECORDS, 6))
    # its sequence is not that of the frame before it, so it is another; then the reply is the one that was kept
    again = send(4, Command.READ, read)
    assert again is not None and struct.unpack("<2I", again.payload) == (6, 12)
    assert send(4, Command.READ, struct.pack("<HB", JOB, 1)) == again
    # a reset forgets: the same number is another frame
    send(4, Command.RESET, b"")
    fresh = send(4, Command.READ, read)
    assert fresh is not None and struct.unpack("<2I", fresh.payload) == (0, 0)


def test_words_and_bytes_of_streams(line: serial.Serial) -> None:
    """Drive a job by hand: what is sent in parts, asked for in parts, and has words that are no bytes."""
    link = Link(line, "hand")
    records = ENGINE.sample(1, seed=2)
    mantissa, exponent = (int(part[0]) for part in ENGINE.likelihood(records))
    link.write(RECORDS, 1)
    link.write(JOB, Job.LIKELIHOOD)
    link.write(0, 1)
    assert link.exchange(Command.RECEIVE, bytes([0, 0, 5])) == b"\0"  # nothing yet, and it does not wait for ever
    symbols = bytes(records[0].tolist())
    assert link.exchange(Command.SEND, bytes([0, Flag.NARROW]) + symbols[:2]) == b"\2"
    wide = records[0, 2:].astype("<u4").tobytes()
    assert link.exchange(Command.SEND, bytes([0, Flag.LAST]) + wide) == bytes([records.shape[1] - 2])
    # the mantissa is no byte: a narrow reply ends before it
    while (said := link.exchange(Command.RECEIVE, bytes([0, Flag.NARROW, 9]))) == bytes([Flag.NARROW]):
        time.sleep(0.001)
    assert said == bytes([Flag.NARROW | Flag.WIDE]) and mantissa > 255
    first = link.exchange(Command.RECEIVE, bytes([0, 0, 1]))
    rest = link.exchange(Command.RECEIVE, bytes([0, 0, 63]))
    assert (first[0], rest[0]) == (0, Flag.LAST)
    assert struct.unpack("<Ii", first[1:] + rest[1:]) == (mantissa, exponent)


def test_a_stream_without_room_says_how_much_it_took(line: serial.Serial) -> None:
    link = Link(line, "hand")
    # a stream without records in the job takes none: its first word is offered, and stays so
    link.write(RECORDS, 1)
    link.write(JOB, Job.LIKELIHOOD)
    link.write(0, 1)
    size = len(CIRCUIT.order)
    assert link.exchange(Command.SEND, bytes([1, Flag.NARROW | Flag.LAST]) + bytes(size)) == b"\1"
    assert link.exchange(Command.SEND, bytes([0, 0]) + bytes(4)) == b"\0"
    assert link.exchange(Command.RECEIVE, bytes([0, 0, 1])) == b"\0"
    link = Link(line, "hand")  # it is forgotten with a reset
    assert link.exchange(Command.SEND, bytes([0, 0]) + bytes(4)) == b"\1"


def test_a_job_that_was_left_is_over(line: serial.Serial, port: str) -> None:
    link = Link(line, "left")
    link.write(RECORDS, 3)
    link.write(JOB, Job.ENCODE)
    link.write(0, 1)
    link.exchange(Command.SEND, bytes([0, Flag.NARROW]) + b"\1\1\1")
    with open_serial(port) as device:
        assert device.status == Status(0)
        records = ENGINE.sample(4, seed=3)
        assert_array_equal(device.likelihood(records), ENGINE.likelihood(records))


def test_errors_say_what_is_there(port: str) -> None:
    other = ReferenceEngine(quantize(make_circuit(5, 6, 4, 9, "random", 0.3), QuantizationConfig(6, 10, 12)))
    with pytest.raises(UsageError, match=f"^the engine must hold the circuit {other.circuit.digest.hex()}, it holds "):
        with open_serial(port, engine=other):
            pass
    with pytest.raises(UsageError, match=r"^the port must be one that can be opened at 9600 baud, /nowhere/ttyUSB0 "):
        with open_serial("/nowhere/ttyUSB0", baud=9600):
            pass


def test_the_command(port: str, project: Path, tmp_path: Path) -> None:
    records = ENGINE.sample(9, seed=4).astype(np.uint8)
    x, ours, board, back = (tmp_path / name for name in ("x.npy", "ours.pce", "board.pce", "back.npy"))
    np.save(x, records)
    model = project / "model.onnx"
    said = as_json("device", project, "--port", port, "--info")
    assert (said["digest"], said["streams"]) == (CIRCUIT.digest.hex(), STREAMS)
    as_json("encode", model, x, ours)
    said = as_json("device", model, "--port", port, "--encode", x, "--out", board)
    assert board.read_bytes() == ours.read_bytes() and said["bytes"] == len(ours.read_bytes()) and said["cycles"] > 0
    as_json("device", model, "--port", port, "--decode", ours, "--out", back)
    assert back.read_bytes() == x.read_bytes()
    said = as_json("device", model, "--port", port, "--likelihood", x, "--out", tmp_path / "l.npy")
    assert_array_equal(np.load(tmp_path / "l.npy"), log_of(*ENGINE.likelihood(records)))
    assert said["records"] == 9
    for words, status, text in (
        (("--encode", x), 2, "--encode must come with --out"),
        ((), 2, "one of --info, --encode, --decode, --likelihood must be given, got 0"),
        (("--info", "--lanes", "2"), 2, "--lanes must go with --encode"),
    ):
        done = run("device", model, "--port", port, *words)
        assert done.exit_code == status and text in " ".join(done.output.split())
    done = run("device", model, "--port", "/nowhere/tty", "--info")
    assert done.exit_code == 2 and "/nowhere/tty is not" in done.output


@WAITS
def test_another_divisor(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board whose bits are not of a power of two of cycles, at night: it is compiled anew."""
    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    assert DIVISOR != 25
    with SerialBoard(project, divisor=25).device() as device:
        jobs(device, ENGINE.sample(6, seed=1))
