"""Constraint files of nextpnr, written from a board's pins."""

from __future__ import annotations

from pcedge.errors import UsageError
from pcedge.export.open_target import FAMILIES, OpenTarget, Pin
from pcedge.toolchain.fence import PORTS

_LPF_PULL = {"up": "UP", "down": "DOWN", "none": "NONE"}


def constraints(target: OpenTarget) -> str:
    """Write the pins of a board as its family's constraint file: LPF, PCF or CST; nothing where nextpnr chooses them.

    Raises:
        UsageError: the target asks for a pull-down where the family has none.
    """
    board, lines = target.board, list[str]()
    form = FAMILIES[target.family].constraints
    pins = dict(zip(PORTS, map(Pin, target.pads), strict=False)) if board is None else board.pins
    for port, pin in pins.items():
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
    return "".join(f"{line}\n" for line in lines)
