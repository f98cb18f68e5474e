"""Reports of nextpnr: clock frequency, critical path and utilisation, in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcedge.errors import FormatError

#: bytes of a report, at most: one with the timing of every net has 1 kB a net
MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class Used:
    """Count sites of a kind."""

    used: int
    available: int


@dataclass(frozen=True)
class Step:
    """Hold one step of a path: through a cell, or along a net to the next one."""

    #: clk-to-q, logic, routing or setup
    kind: str
    delay_ns: float
    #: where it begins and ends, as cell.port
    start: str
    end: str
    #: the net of a step along one, else empty
    net: str
    #: where the sources name the net, as unit.sv:12.3-12.9
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Arrival:
    """Say when a signal arrives at an input that a clock samples, from a register or from a pin."""

    delay_ns: float
    #: the net on which it arrives
    net: str
    #: where the sources name the net
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Clocked:
    """Hold what a report says of one clock."""

    name: str
    fmax_mhz: float
    asked_mhz: float


@dataclass(frozen=True)
class PlacedReport:
    """Hold nextpnr's report of a design after routing."""

    clocks: tuple[Clocked, ...]
    #: the slowest path from a clock to itself, by the clock's name
    paths: Mapping[str, tuple[Step, ...]]
    #: by the kind of site, as nextpnr names it
    utilisation: Mapping[str, Used]
    #: the latest arrival at a clocked input of each cell, by the cell's name; empty where the report does not have it
    arrivals: Mapping[str, Arrival]


def read_report(path: Path) -> PlacedReport:
    """Read the JSON that nextpnr writes with `--report`.

    Raises:
        FormatError: it is none, or lacks what every one has.
    """
    if path.stat().st_size > MAX_BYTES:
        raise FormatError("nextpnr-report", f"{path} must be a report of at most {MAX_BYTES} bytes")
    try:
        table = json.loads(path.read_bytes())
        clocks = tuple(
            Clocked(_plain(name), float(clock["achieved"]), float(clock["constraint"]))
            for name, clock in sorted(table["fmax"].items())
        )
        paths: dict[str, tuple[Step, ...]] = {}
        for one in table["critical_paths"]:
            if one["from"] == one["to"] and one["from"].startswith("posedge "):
                paths[_plain(one["from"].removeprefix("posedge "))] = tuple(map(_step, one["path"]))
        utilisation = {
            kind: Used(int(count["used"]), int(count["available"]))
            for kind, count in sorted(table["utilization"].items())
        }
        arrivals: dict[str, Arrival] = {}
        for net in table.get("detailed_net_timings", ()):
            for end in net["endpoints"]:
                if end["event"].startswith("posedge "):
                    late = max(map(float, end["delay"]))
                    if end["cell"] not in arrivals or arrivals[end["cell"]].delay_ns < late:
                        arrivals[end["cell"]] = Arrival(late, str(net["net"]), tuple(map(str, net["sources"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("nextpnr-report", f"{path} must be the report of nextpnr ({error!r})") from error
    return PlacedReport(clocks, paths, utilisation, arrivals)


def _step(step: Mapping[str, Any]) -> Step:
    start, end = (f"{step[end]['cell']}.{step[end]['port']}" for end in ("from", "to"))
    sources = tuple(map(str, step.get("sources", ())))
    return Step(str(step["type"]), float(step["delay"]), start, end, str(step.get("net", "")), sources)


def _plain(name: str) -> str:
    """Take from a clock's name what nextpnr adds when the clock goes through a pad and a global buffer."""
    for mark in ("$SB_IO_IN_$glb_clk", "$SB_IO_IN", "$TRELLIS_IO_IN", "$glb_clk", "_IBUF_O_O", "_IBUF_O"):
        name = name.removesuffix(mark)
    return name.removeprefix("$glbnet$").removesuffix("$TRELLIS_IO_IN")
