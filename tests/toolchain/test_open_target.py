"""Devices and boards of the open flow: their files, and the constraint files that are written from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.commands import run

from pcedge.errors import UsageError
from pcedge.export import find_target
from pcedge.export.open_target import (
    FAMILIES,
    Fabric,
    find_open_target,
    is_open_target,
    open_targets,
    read_open_target,
)  # fmt: skip
from pcedge.export.target import shipped
from pcedge.toolchain.constraints import constraints

BOARDS = {"colorlight-i5", "icebreaker", "tang-nano-20k", "tang-nano-9k", "ulx3s-85f"}
DEVICES = {"ecp5-25k", "ecp5-85k", "gowin-gw1n-9", "gowin-gw2a-18", "ice40-up5k"}
TEXT = shipped("rtl")["ulx3s-85f"]


def test_shipped_devices_and_boards() -> None:
    targets = open_targets()
    assert {name for name, target in targets.items() if target.board} == BOARDS
    assert {name for name, target in targets.items() if not target.board} == DEVICES
    assert targets["ecp5-25k"].resources == Fabric(24288, 24288, 28, 56, "DP16KD", 197)
    assert targets["ecp5-85k"].resources == Fabric(83640, 83640, 156, 208, "DP16KD", 197)
    assert targets["ice40-up5k"].resources == Fabric(5280, 5280, 8, 30, "SB_RAM40_4K", 39, 4)
    assert targets["gowin-gw2a-18"].resources == Fabric(20736, 15552, 48, 46, "BSRAM", 66)
    assert targets["ecp5-25k"].frequency_mhz == 100
    for target in targets.values():
        assert target.family in FAMILIES
        if target.board:  # the oscillator is the clock
            assert abs(target.frequency_mhz - target.board.oscillator_mhz) < 0.01
            device = [d for d in targets.values() if d.device == target.device and not d.board]
            assert [d.resources for d in device] == [target.resources]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "colorlight-i5",
            'LOCATE COMP "clk" SITE "P3";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33 PULLMODE=NONE;\n'
            'LOCATE COMP "uart_rx" SITE "H18";\nIOBUF PORT "uart_rx" IO_TYPE=LVCMOS33 PULLMODE=NONE;\n'
            'LOCATE COMP "uart_tx" SITE "J17";\nIOBUF PORT "uart_tx" IO_TYPE=LVCMOS33 PULLMODE=NONE;\n'
            'LOCATE COMP "led" SITE "U16";\nIOBUF PORT "led" IO_TYPE=LVCMOS33 PULLMODE=NONE;\n',
        ),
        ("icebreaker", "set_io clk 35\nset_io uart_rx 6\nset_io uart_tx 9\nset_io led 11\n"),
        (
            "tang-nano-9k",
            'IO_LOC "clk" 52;\nIO_PORT "clk" IO_TYPE=LVCMOS33 PULL_MODE=NONE;\n'
            'IO_LOC "uart_rx" 18;\nIO_PORT "uart_rx" IO_TYPE=LVCMOS33 PULL_MODE=NONE;\n'
            'IO_LOC "uart_tx" 17;\nIO_PORT "uart_tx" IO_TYPE=LVCMOS33 PULL_MODE=NONE;\n'
            'IO_LOC "led" 10;\nIO_PORT "led" IO_TYPE=LVCMOS18 PULL_MODE=NONE;\n',
        ),
        ("ecp5-25k", ""),
    ],
)  # fmt: skip
def test_constraint_files(name: str, text: str) -> None:
    assert constraints(open_targets()[name]) == text


def test_a_pull_that_a_family_lacks() -> None:
    text = shipped("rtl")["icebreaker"].replace('{pin = "6"}', '{pin = "6", pull = "down"}')
    with pytest.raises(UsageError, match=r"^pull of uart_rx must be up or none on ice40, got down$"):
        constraints(read_open_target(text, "b.toml"))
    up = constraints(read_open_target(text.replace("down", "up"), "b.toml"))
    assert "set_io -pullup yes uart_rx 6\n" in up


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('family = "ecp5"', 'family = "max10"', "family must be one of ecp5, ice40, gowin, got 'max10'"),
        ('flow = "rtl"', 'flow = "hls"', "flow must be one of rtl, got 'hls'"),
        ('device = "85k"', "device = 85", "device must be letters, digits, dots, slashes and dashes, got 85"),
        ('device = "85k"', 'device = "85k --evil"', "device must be letters, digits, dots, slashes and dashes, got"),
        ("clock_ns = 40.0", "clock_ns = 0", "clock_ns must be a number in 0.001 to 1000000, got 0"),
        ("lut = 83640\n", "", "resources lacks lut"),
        ("lut = 83640", "lut = -1", "lut of resources must be a whole number in 0..1000000000, got -1"),
        ("dsp = 156", "dsp = 156\nalm = 3", "resources must hold nothing else, got alm"),
        ('bridge = "uart"', 'bridge = "usb"', "bridge must be one of uart, spi, got 'usb'"),
        ('bridge = "uart"', 'bridge = "spi"', "pins must name clk, spi_clk, spi_cs_n, spi_mosi, spi_miso, spi_clk, "),
        ('uart_rx = {pin = "M1"}\n', "", "pins must name clk, uart_rx, uart_tx, uart_rx is missing"),
        ('uart_rx = {pin = "M1"}', 'uart_rx = {pin = "L4"}', "pins must be used once, L4 is of uart_rx and uart_tx"),
        ('{pin = "M1"}', '"M1"', "board.pins.uart_rx must be a table"),
        ("clock_ns", 'pads = ["1"]\nclock_ns', "pads must name three pins of gowin, and none of others, got 1"),
        ("baud = 1000000", "baud = 0.5", "baud must be a whole number in 1..1000000000, got 0.5"),
    ],
)
def test_a_file_that_breaks_a_rule(old: str, new: str, reason: str) -> None:
    assert old in TEXT
    start = "b.toml must be a TOML file with the fields of a device of the open flow ("
    with pytest.raises(UsageError, match=re.escape(start + reason)):
        read_open_target(TEXT.replace(old, new), "b.toml")


def test_devices_of_the_open_flow_take_no_hls(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^ecp5-25k .* takes no HLS: the target must be one of vitis-hls, alveo-u50"):
        find_target("ecp5-25k")
    assert "ecp5-25k" in run("export", "digits", "--target", "ecp5-25k", "--out", tmp_path / "p").output
    assert is_open_target("ulx3s-85f") and not is_open_target("kv260")
    with pytest.raises(
        UsageError, match=r"^the device must be one of colorlight-i5, .* or a \.toml file, got 'kv260'$"
    ):
        find_open_target("kv260")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace('name = "ulx3s-85f"', 'name = "mine"'))
    assert is_open_target(str(path)) and find_open_target(str(path)).name == "mine"
    assert not is_open_target(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"none\.toml must be a TOML file .*No such file"):
        find_open_target(str(tmp_path / "none.toml"))
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"mine\.toml must be a TOML file"):
        find_open_target(str(path))
