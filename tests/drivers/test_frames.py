"""Frames of the bridge: what they are, and what is made of bytes that are none."""

from __future__ import annotations

import random

import pytest
from helpers.serial_lines import DeafLine
from hypothesis import given
from hypothesis import strategies as st

from pcedge.drivers import serial as driver
from pcedge.drivers.frames import Command, Frame, Result, first_frame
from pcedge.drivers.serial import Link
from pcedge.errors import FormatError, ToolError


def test_golden_frames() -> None:
    # docs/board.md: the control register is read; the engine of two streams was reset
    assert Frame(7, Command.READ, b"\x00\x00\x01").as_bytes().hex() == "a5070103000001e7fd"
    assert Frame(1, Result.DONE, b"\x01\x02").as_bytes().hex() == "a50100020102c64e"


@given(st.binary(max_size=300), st.binary(max_size=255), st.binary(max_size=40))
def test_a_frame_is_found_behind_garbage(before: bytes, payload: bytes, behind: bytes) -> None:
    frame = Frame(3, 4, payload)
    found, left = first_frame(before.replace(b"\xa5", b"\x5a") + frame.as_bytes() + behind)
    assert (found, left) == (frame, behind)


def test_a_false_beginning_hides_no_frame() -> None:
    frame = Frame(9, 0, bytes(range(40)))
    # the first announces more than there is, the second has another CRC
    assert first_frame(b"\xa5\x01\x00\xff" + frame.as_bytes()) == (frame, b"")
    assert first_frame(b"\xa5\x01\x00\x00\x00\x01" + frame.as_bytes() + b"\xa5") == (frame, b"\xa5")


def test_a_frame_comes_byte_by_byte() -> None:
    data, come = Frame(9, 1, bytes(random.Random(2).randbytes(255))).as_bytes(), b""
    for byte in data[:-1]:
        found, come = first_frame(come + bytes([byte]))
        assert found is None
    assert first_frame(come + data[-1:])[0] is not None


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"", ToolError, r"^a board must answer on COM9 within 0\.\d+ s, nothing came: is it the board's port"),
        (b"\xf8\x00\xa5\x80", ToolError, r"^the bridge on COM9 must answer in frames, \d+ other bytes came: is "),
        (Frame(1, 0, b"\x02\x01").as_bytes(), FormatError, r"^bridge-version: the bridge on COM9 must be of version 1"),
        (Frame(8, 1, b"").as_bytes(), ToolError, r"^the line COM9 must carry a frame unharmed once in 4 times, 4 "),
        (Frame(1, 2, b"").as_bytes(), ToolError, r"^the bridge on COM9 must take RESET, it says REFUSED$"),
    ],
)  # fmt: skip
def test_what_answers_is_said(answer: bytes, kind: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "REPLY_SECONDS", 0.001)
    line = DeafLine(answer)
    with pytest.raises(kind, match=text):
        Link(line, "COM9")
    assert len(line.written) == (1 if answer.startswith(b"\xa5\x01") else driver.TRIES)
    assert len(set(line.written)) == 1
