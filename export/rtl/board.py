"""The top of a board, `pcedge_board`: a clock, a UART and the bridge around the engine's top (docs/board.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from pcedge.drivers.frames import QUIET_SECONDS
from pcedge.errors import UsageError
from pcedge.export.open_target import OpenTarget
from pcedge.export.rtl.pll import clock_code, clock_of
from pcedge.export.rtl.top import LITE, TOP

#: name of the module, and of its source
BOARD_TOP = "pcedge_board"

#: the top of a serial engine that takes its model out of a flash memory, and the board's pins of that
FLASH_TOP = "pcedge_flash"
FLASH_PINS = (("output", "flash_cs_n"), ("output", "flash_sck"), ("output", "flash_mosi"), ("input", "flash_miso"))

#: cycles a bit, at least; and how far the line may be from what was asked for
LEAST_DIVISOR, MOST_OFF = 4, 0.02

#: cycles that a word of a stream is waited for
WAIT_CYCLES = 4096

#: cycles of the reset after power-on
POWER_ON_CYCLES = 15


@dataclass(frozen=True)
class BridgeSize:
    """Hold the sizes of a bridge."""

    streams: int
    #: clock cycles a bit of the line
    divisor: int
    #: clock cycles within which the next byte of a frame must come
    quiet_cycles: int
    #: clock cycles within which a word of a stream must move
    wait_cycles: int = WAIT_CYCLES


def bridge_size(target: OpenTarget, streams: int) -> BridgeSize:
    """Give the sizes of the bridge on a board.

    Raises:
        UsageError: the target has no board, its bridge is no UART, or its clock does not make its baud.
    """
    board = target.board
    if board is None or board.bridge != "uart":
        raise UsageError(f"{target.name} must have a board whose bridge is a uart, it has none")
    clock_hz = 1e6 * clock_of(target).mhz
    divisor = round(clock_hz / board.baud)
    if divisor < LEAST_DIVISOR or abs(clock_hz / divisor / board.baud - 1) > MOST_OFF:
        raise UsageError(
            f"baud of {target.name} must be its clock of {clock_hz / 1e6:g} MHz by a whole number of at least "
            f"{LEAST_DIVISOR}, within {MOST_OFF:.0%}, got {board.baud}"
        )
    return BridgeSize(streams, divisor, round(clock_hz * QUIET_SECONDS))


def bridge_sources() -> dict[str, bytes]:
    """Give the hand-written sources of the bridge, by name."""
    room = files("pcedge.export.rtl").joinpath("bridge")
    return {item.name: item.read_bytes() for item in sorted(room.iterdir(), key=lambda item: item.name)
            if item.name.endswith(".sv")}  # fmt: skip


def board_code(size: BridgeSize, clock: str = "", *, flash: bool = False) -> str:
    """Write `pcedge_board.sv`.

    Args:
        size: of the bridge.
        clock: SystemVerilog that makes `clock` and `locked` of the port `clk`; empty takes the port itself.
        flash: whether the engine is a serial one that takes its model out of the board's flash memory.
    """
    return "\n".join([*_lines(size, clock, FLASH_PINS if flash else ()), ""])


def board_for(target: OpenTarget, streams: int, *, serial: bool = False) -> str:
    """Write `pcedge_board.sv` for a board; the errors are those of `bridge_size`.

    A serial engine takes its model out of a flash memory where the board has the pins of one.
    """
    size = bridge_size(target, streams)
    pins = {} if target.board is None else target.board.pins
    flash = serial and all(name in pins for _, name in FLASH_PINS)
    return board_code(size, clock_code(clock_of(target)), flash=flash)


def _lines(size: BridgeSize, clock: str, flash: Sequence[tuple[str, str]]) -> Iterator[str]:
    streams = size.streams
    more = "".join(f", {direction} logic {name}" for direction, name in flash)
    yield f"// {BOARD_TOP}: the engine behind a serial line. Generated."
    yield f"module {BOARD_TOP} (input logic clk, input logic uart_rx, output logic uart_tx, output logic led{more});"
    yield "  logic clock, locked;"
    yield clock or "  assign clock = clk;\n  assign locked = 1'b1;"
    yield "  // it begins with 0 where a device is configured: all is reset before anything moves"
    yield "  logic [3:0] since;"
    yield "  initial since = '0;"
    yield f"  wire rst = since != 4'd{POWER_ON_CYCLES};"
    yield "  always_ff @(posedge clock or negedge locked)"
    yield "    if (!locked) since <= '0;"
    yield "    else if (rst) since <= since + 1'b1;"
    yield "  logic come, go, going, understood, engine_rst, irq_unused;"
    yield "  logic [7:0] come_data, go_data;"
    yield f"  pc_uart_receiver #(.DIVISOR({size.divisor})) receiver ("
    yield "      .clk(clock), .rst(rst), .line(uart_rx), .out_valid(come), .out_data(come_data));"
    yield f"  pc_uart_sender #(.DIVISOR({size.divisor})) sender ("
    yield "      .clk(clock), .rst(rst), .in_valid(go), .in_ready(going), .in_data(go_data), .line(uart_tx));"
    # the bridge gives whole words and reads no responses
    constants = {"awprot": "3'd0", "arprot": "3'd0", "wstrb": "4'hf"}
    wires = [(bits, name) for _, bits, name in LITE if name not in constants]
    for bits, name in wires:
        yield f"  logic {f'[{bits - 1}:0] ' if bits > 1 else ''}{name};"
    for side in ("to", "from"):
        yield f"  logic [{streams - 1}:0] {side}_valid, {side}_ready;"
        if side == "from":
            yield f"  logic [{streams - 1}:0] from_last;"
    yield "  logic [31:0] to_data;"
    yield "  logic to_last;"
    yield f"  logic [{32 * streams - 1}:0] from_data;"
    parameters = (
        f".STREAMS({streams}), .QUIET_CYCLES({size.quiet_cycles}), .WAIT_CYCLES({size.wait_cycles})"
    )  # fmt: skip
    yield f"  pc_bridge #({parameters}) bridge ("
    yield "      .clk(clock), .rst(rst), .in_valid(come), .in_data(come_data), .out_valid(go), .out_ready(going),"
    yield "      .out_data(go_data), .engine_rst(engine_rst), .understood(understood),"
    for _, name in wires:
        if not name.endswith("resp"):
            yield f"      .m_axi_{name}({name}),"
    yield "      .to_data(to_data), .to_last(to_last), .to_valid(to_valid), .to_ready(to_ready),"
    yield "      .from_data(from_data), .from_last(from_last), .from_valid(from_valid), .from_ready(from_ready));"
    yield "  logic engine_reset;"
    yield "  always_ff @(posedge clock) engine_reset <= rst || engine_rst;"
    if flash:
        yield "  logic booted_unused;"
    yield f"  {FLASH_TOP if flash else TOP} engine ("
    for name in ("booted", *(name for _, name in flash)) if flash else ():
        yield f"      .{name}({'booted_unused' if name == 'booted' else name}),"
    yield "      .clk(clock), .rst(engine_reset), .irq(irq_unused),"
    for stream in range(streams):
        yield f"      .s_axis_{stream}_tdata(to_data), .s_axis_{stream}_tlast(to_last), .s_axis_{stream}_tkeep(4'hf),"
        yield f"      .s_axis_{stream}_tvalid(to_valid[{stream}]), .s_axis_{stream}_tready(to_ready[{stream}]),"
        word = f"{32 * stream + 31}:{32 * stream}"
        yield f"      .m_axis_{stream}_tdata(from_data[{word}]), .m_axis_{stream}_tlast(from_last[{stream}]),"
        yield f"      .m_axis_{stream}_tkeep(), .m_axis_{stream}_tvalid(from_valid[{stream}]),"
        yield f"      .m_axis_{stream}_tready(from_ready[{stream}]),"
    joined = [f".s_axi_{name}({constants.get(name, name)})" for _, _, name in LITE]
    yield "      " + ",\n      ".join(joined) + ");"
    yield "  always_ff @(posedge clock)"
    yield "    if (rst) led <= 1'b0;"
    yield "    else if (understood) led <= !led;"
    yield "endmodule"
