"""The top of a board: its clock, its line, and what a target must be for it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from helpers.commands import run
from helpers.open_tools import needs
from strategies import make_circuit

from pcedge.errors import UsageError
from pcedge.export import write_onnx
from pcedge.export.open_target import OpenTarget, Pin, find_open_target, open_targets
from pcedge.export.rtl.board import FLASH_PINS, board_code, board_for, bridge_size, bridge_sources
from pcedge.export.rtl.pll import clock_code, clock_of
from pcedge.quantize import QuantizationConfig, quantize

BOARDS = [target for target in open_targets().values() if target.board is not None]


def at(name: str, mhz: float) -> OpenTarget:
    """Give a board with another clock than its oscillator's."""
    return replace(find_open_target(name), clock_ns=1000 / mhz)


@pytest.mark.parametrize("target", BOARDS, ids=lambda target: target.name)
def test_shipped_boards_have_a_bridge(target: OpenTarget) -> None:
    size = bridge_size(target, 4)
    assert target.board is not None
    assert size.divisor * target.board.baud == 1e6 * target.board.oscillator_mhz  # no error at all
    assert size.quiet_cycles == round(50_000 * target.board.oscillator_mhz)
    code = board_for(target, 4)
    assert f".DIVISOR({size.divisor})" in code and "pll" not in code
    # every pin of the target is a port of the top
    assert set(target.board.pins) == {"clk", "uart_rx", "uart_tx", "led"}
    assert all(f" {port}" in code.split(");")[0] for port in target.board.pins)
    assert set(bridge_sources()) == {"pc_bridge.sv", "pc_uart_receiver.sv", "pc_uart_sender.sv"}


def test_a_serial_engine_reads_a_flash_memory_where_the_board_has_its_pins() -> None:
    target = find_open_target("icebreaker")
    assert target.board is not None
    flash = {name: Pin(str(14 + place)) for place, (_, name) in enumerate(FLASH_PINS)}
    with_flash = replace(target, board=replace(target.board, pins={**target.board.pins, **flash}))
    code = board_for(with_flash, 1, serial=True)
    assert "pcedge_flash engine" in code and all(f".{name}({name})" in code for name in flash)
    assert all(f" {name}" in code.split(");")[0] for name in flash)
    for other in (board_for(with_flash, 1), board_for(target, 1, serial=True)):
        assert "pcedge_top engine" in other and "flash" not in other


@pytest.mark.parametrize(
    ("name", "asked", "made", "cell"),
    [
        # ecppll -i 25 -o 75; icepll -i 12 -o 20; 27 MHz by 2 and by 3
        ("ulx3s-85f", 75.0, 75.0, "EHXPLLL"),
        ("colorlight-i5", 80.0, 80.0, "EHXPLLL"),
        ("icebreaker", 20.0, 19.875, "SB_PLL40_PAD"),
        ("tang-nano-20k", 54.0, 54.0, "rPLL"),
        ("tang-nano-9k", 40.5, 40.5, "rPLL"),
    ],
)
def test_a_pll_makes_what_is_asked_for_or_less(name: str, asked: float, made: float, cell: str) -> None:
    clock = clock_of(at(name, asked))
    assert clock.pll is not None and clock.mhz == pytest.approx(made, abs=1e-6)
    assert clock_code(clock).lstrip().removeprefix("(*").count(cell) == 1
    if name == "icebreaker":
        # icepll: F_PLLIN 12, DIVR 0, DIVF 52, DIVQ 5, FILTER_RANGE 1 give 19.875 MHz
        for part in (".DIVR(0)", ".DIVF(52)", ".DIVQ(5)", ".FILTER_RANGE(1)"):
            assert part in clock_code(clock)


def test_what_no_pll_makes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^clock_ns of ulx3s-85f must be its oscillator's, 40, or one that its PLL "):
        clock_of(at("ulx3s-85f", 1.5))
    with pytest.raises(UsageError, match=r"^ecp5-25k must have a board, it has none$"):
        clock_of(find_open_target("ecp5-25k"))


def test_a_line_that_the_clock_does_not_make_is_refused() -> None:
    target = find_open_target("icebreaker")
    assert target.board is not None
    for baud in (9_000_000, 2_500_000):
        board = replace(target.board, baud=baud)
        with pytest.raises(UsageError, match=rf"^baud of icebreaker must be its clock of 12 MHz by .*, got {baud}$"):
            bridge_size(replace(target, board=board), 1)
    assert bridge_size(replace(target, board=replace(target.board, baud=115200)), 1).divisor == 104
    with pytest.raises(UsageError, match=r"^icebreaker must have a board whose bridge is a uart, it has none$"):
        bridge_size(replace(target, board=replace(target.board, bridge="spi")), 1)


@pytest.mark.parametrize("engine", ["serial", "parallel"])
def test_export_refuses_what_build_would(engine: str, tmp_path: Path) -> None:
    """A build comes minutes later, and says it then too."""
    circuit = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "wide", tails=False))
    write_onnx(circuit, tmp_path / "m.onnx")
    text = files("pcedge.export.targets").joinpath("icebreaker.toml").read_text()
    (tmp_path / "board.toml").write_text(text.replace("baud = 1000000", "baud = 9000000"))
    words = ("export", tmp_path / "m.onnx", "--engine", engine, "--out", tmp_path / "p", "--target")
    done = run(*words, tmp_path / "board.toml")
    assert done.exit_code == 2 and not (tmp_path / "p").exists()
    assert "baud of icebreaker must be its clock of 12 MHz by a whole number" in " ".join(done.output.split())
    assert run(*words, "icebreaker").exit_code == 0


@pytest.mark.rtl
@needs("yosys")
def test_yosys_knows_the_cells(tmp_path: object) -> None:
    """A PLL's ports and parameters are those of yosys' models; what else it is nextpnr says, at night."""
    import re

    from pcedge.toolchain.open_tools import yosys_share

    for name, models, cell in (
        ("ulx3s-85f", "lattice/cells_bb_ecp5.v", "EHXPLLL"),
        ("icebreaker", "ice40/cells_sim.v", "SB_PLL40_PAD"),
        ("tang-nano-20k", "gowin/cells_sim.v", "rPLL"),
    ):
        text = (yosys_share() / models).read_text()
        module = re.search(rf"module {cell}\b.*?endmodule", text, re.DOTALL)
        assert module is not None
        used = re.findall(r"\.(\w+)\(", clock_code(clock_of(at(name, 60.0))))
        assert used and all(re.search(rf"\b{word}\b", module[0]) for word in used), name


def test_the_top_has_its_streams() -> None:
    code = board_code(bridge_size(find_open_target("ulx3s-85f"), 3))
    assert code.count("_tvalid(to_valid[") == 3 and "s_axis_3" not in code and "[95:0] from_data" in code
