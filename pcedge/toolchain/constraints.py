"""Constraint files of nextpnr, written from a board's pins."""

from __future__ import annotations

from pcedge.errors import UsageError
from pcedge.export.open_target import FAMILIES, OpenTarget

_LPF_PULL = {"up": "UP", "down": "DOWN", "none": "NONE"}


def constraints(target: OpenTarget) -> str:
    """Write the pins of a board as its family's constraint file: LPF, PCF or CST.

    Raises:
        UsageError: the target is a device without a board, or asks for a pull-down where the family has none.
    """
    board = target.board
    if board is None:
        raise UsageError(f"pins must be of a board, {target.name} is a device alone")
    lines: list[str] = []
    form = FAMILIES[target.family].constraints
    for port, pin in board.pins.items():
        if form == "lpf":
            lines.append(f'LOCATE COMP "{port}" SITE "{pin.pin}";')
            lines.append(f'IOBUF PORT "{port}" IO_TYPE={pin.standard} PULLMODE={_LPF_PULL[pin.pull]};')
        elif form == "pcf":
            if pin.pull == "down":
                raise UsageError(f"pull of {port} must be up or none on {target.family}, got down")
            pull = "-pullup yes " if pin.pull == "up" else ""
            lines.append(f"set_io {pull}{port} {pin.pin}")
        else:
            lines.append(f'IO_LOC "{port}" {pin.pin};')
            lines.append(f'IO_PORT "{port}" IO_TYPE={pin.standard} PULL_MODE={_LPF_PULL[pin.pull]};')
    if form == "lpf":
        lines.append(f'FREQUENCY PORT "clk" {board.oscillator_mhz:g} MHZ;')
    elif form == "pcf":
        lines.append(f"set_frequency clk {board.oscillator_mhz:g}")
    return "\n".join(lines) + "\n"
