"""Reports of the vendor's tools, read into typed results: C synthesis (XML), Vivado utilization and timing (text).

The elements of the XML are those that Vitis HLS has written since 2020; the tables are those of `report_utilization`
and `report_timing_summary` (UG906, Vivado Design Suite User Guide: Design Analysis and Closure Techniques).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pcedge.errors import FormatError

#: a report beyond this is none: the largest of C synthesis are some megabytes
MAX_BYTES = 1 << 26

_COUNT = re.compile(r"[0-9]{1,15}")
#: a row of the clock summary: name, waveform, period, frequency
_CLOCK = re.compile(r" *(\S{1,999}) +\{[0-9. ]+\} +([0-9]{1,9}\.[0-9]{1,6}) +[0-9]{1,9}\.[0-9]{1,6} *")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
#: what C synthesis writes for a latency that depends on the data, as on the number of records
_UNKNOWN = ("undef", "?", "-", "inf")

_SITES = {
    "CLB LUTs": "lut", "Slice LUTs": "lut", "CLB Registers": "ff", "Slice Registers": "ff", "DSPs": "dsp",
    "Block RAM Tile": "bram", "URAM": "uram",
}  # fmt: skip


@dataclass(frozen=True)
class Amounts:
    """Count resources, used or available."""

    lut: int
    ff: int
    dsp: int
    #: block RAMs of 18 Kbit; one of 36 Kbit counts as two
    bram18: int
    #: None where the report has no such row, as for families without UltraRAM
    uram: int | None


@dataclass(frozen=True)
class Synthesis:
    """Hold what C synthesis estimates; place and route may differ."""

    top: str
    part: str
    #: clock period that was asked for, ns
    target_ns: float
    #: clock period that the tool estimates, ns
    estimated_ns: float
    #: cycles of a call, least and most; None where they depend on the data
    latency_min: int | None
    latency_max: int | None
    #: cycles between the starts of two calls; None where they depend on the data
    interval_min: int | None
    interval_max: int | None
    used: Amounts
    available: Amounts


@dataclass(frozen=True)
class Utilization:
    """Hold what `report_utilization` counts."""

    design: str
    part: str
    #: as in the report: Synthesized, Routed, …
    state: str
    used: Amounts
    available: Amounts


@dataclass(frozen=True)
class Clock:
    """Hold a clock of the timing report."""

    name: str
    period_ns: float


@dataclass(frozen=True)
class Timing:
    """Hold the summary of `report_timing_summary`."""

    design: str
    #: worst slack of setup and of hold, ns; None where nothing is constrained
    setup_slack_ns: float | None
    hold_slack_ns: float | None
    #: endpoints that fail setup, hold or pulse width
    failing_endpoints: int
    clocks: tuple[Clock, ...]

    @property
    def met(self) -> bool:
        """Say whether every constraint is met, and there is one."""
        return self.failing_endpoints == 0 and self.setup_slack_ns is not None

    @property
    def period_ns(self) -> float | None:
        """Give the shortest period that the slack of setup leaves, ns; None with other than one clock."""
        if len(self.clocks) != 1 or self.setup_slack_ns is None:
            return None
        return round(self.clocks[0].period_ns - self.setup_slack_ns, 6)


Report = Synthesis | Utilization | Timing


def as_dict(report: Report) -> dict[str, object]:
    """Give the fields of a report by name, for machines."""
    fields = asdict(report)
    if isinstance(report, Timing):
        fields |= {"met": report.met, "period_ns": report.period_ns}
    return fields


def read_report(path: Path) -> Report:
    """Read a report of any of the three kinds, told apart by what it holds.

    Raises:
        FormatError: it is no such report, or a damaged one.
        OSError: the file cannot be read.
    """
    text = _text(path)
    if text.lstrip().startswith("<"):
        return parse_synthesis(text, str(path))
    if "Site Type" in text:
        return parse_utilization(text, str(path))
    if "WNS(ns)" in text:
        return parse_timing(text, str(path))
    raise FormatError(
        "report-kind",
        f"{path} must be the XML of C synthesis, or the text of report_utilization or report_timing_summary",
    )


def parse_synthesis(text: str, where: str) -> Synthesis:
    """Read `csynth.xml`, or the one of a top, `TOP_csynth.xml`.

    Args:
        text: the XML.
        where: its file, for messages.

    Raises:
        FormatError: rule `csynth-xml`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("csynth-xml", f"{where}: {reason}")

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise broken("a report must have no document type and no entities")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise broken(f"must be XML ({error})") from error

    def at(path: str, default: str | None = None) -> str:
        found = root.findtext(path, default)
        if found is None or (not found.strip() and default is None):
            raise broken(f"must have a text at {path}")
        return found.strip()

    def period(path: str, unit: str) -> float:
        if at(unit, "ns") != "ns":
            raise broken(f"{unit} must be ns, got {at(unit)!r}")
        value = at(path)
        if not _DECIMAL.fullmatch(value) or float(value) < 0:
            raise broken(f"{path} must be a number of nanoseconds, got {value!r}")
        return float(value)

    def cycles(name: str) -> int | None:
        value = at(f"PerformanceEstimates/SummaryOfOverallLatency/{name}")
        if value in _UNKNOWN:
            return None
        if not _COUNT.fullmatch(value):
            raise broken(f"{name} must be a number of cycles or undef, got {value!r}")
        return int(value)

    def amounts(part: str) -> Amounts:
        def count(*names: str) -> int:
            for name in names:
                value = at(f"AreaEstimates/{part}/{name}", "none")
                if value != "none":
                    if not _COUNT.fullmatch(value):
                        raise broken(f"{name} of {part} must be a whole number, got {value!r}")
                    return int(value)
            raise broken(f"{part} must count {names[0]}")

        uram = count("URAM") if root.find(f"AreaEstimates/{part}/URAM") is not None else None
        return Amounts(count("LUT"), count("FF"), count("DSP", "DSP48E"), count("BRAM_18K"), uram)

    timing = "PerformanceEstimates/SummaryOfTimingAnalysis"
    return Synthesis(
        top=at("UserAssignments/TopModelName"),
        part=at("UserAssignments/Part"),
        target_ns=period("UserAssignments/TargetClockPeriod", "UserAssignments/unit"),
        estimated_ns=period(f"{timing}/EstimatedClockPeriod", f"{timing}/unit"),
        latency_min=cycles("Best-caseLatency"),
        latency_max=cycles("Worst-caseLatency"),
        interval_min=cycles("Interval-min"),
        interval_max=cycles("Interval-max"),
        used=amounts("Resources"),
        available=amounts("AvailableResources"),
    )


def parse_utilization(text: str, where: str) -> Utilization:
    """Read the text of `report_utilization`.

    Args:
        text: the report.
        where: its file, for messages.

    Raises:
        FormatError: rule `vivado-utilization`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("vivado-utilization", f"{where}: {reason}")

    columns: list[str] = []
    found: dict[str, tuple[int, int]] = {}
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "Used" in cells:
            columns = cells if cells[0] == "Site Type" and "Available" in cells else []
            continue
        # A star marks a count that later steps still change.
        name = _SITES.get(cells[0].rstrip("*"))
        # Tables of how logic is spread repeat some rows; the first one counts.
        if not columns or name is None or name in found:
            continue
        if len(cells) != len(columns):
            raise broken(f"the row {cells[0]} must have {len(columns)} cells, it has {len(cells)}")
        used, available = (cells[columns.index(column)] for column in ("Used", "Available"))
        found[name] = (_sites(used, name, broken), _sites(available, name, broken))
    missing = [name for name in ("lut", "ff", "dsp", "bram") if name not in found]
    if missing:
        raise broken(f"must have rows of LUTs, registers, DSPs and block RAM tiles, {', '.join(missing)} is missing")

    def amounts(place: int) -> Amounts:
        uram = found["uram"][place] if "uram" in found else None
        return Amounts(found["lut"][place], found["ff"][place], found["dsp"][place], found["bram"][place], uram)

    return Utilization(
        _head(text, "Design", broken), _head(text, "Device", broken), _head(text, "Design State", broken),
        amounts(0), amounts(1),
    )  # fmt: skip


def parse_timing(text: str, where: str) -> Timing:
    """Read the text of `report_timing_summary`.

    Args:
        text: the report.
        where: its file, for messages.

    Raises:
        FormatError: rule `vivado-timing`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("vivado-timing", f"{where}: {reason}")

    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if "WNS(ns)" in line and "TNS(ns)" in line), None)
    if start is None or start + 2 >= len(lines):
        raise broken("must have the design timing summary, a header with WNS(ns), a rule and a row of numbers")
    names, cells = re.split(r"\s{2,}", lines[start].strip()), lines[start + 2].split()
    if len(names) != len(cells):
        raise broken(f"the row of the summary must have {len(names)} numbers, it has {len(cells)}")
    row = dict(zip(names, cells, strict=True))

    def number(name: str) -> float | None:
        value = row.get(name)
        if value is None:
            raise broken(f"the summary must have a column {name}")
        if value == "NA":
            return None
        if not _DECIMAL.fullmatch(value):
            raise broken(f"{name} must be a number or NA, got {value!r}")
        return float(value)

    failing = 0
    for kind in ("TNS", "THS", "TPWS"):
        count = row.get(f"{kind} Failing Endpoints")
        if count is None or not (_COUNT.fullmatch(count) or count == "NA"):
            raise broken(f"{kind} Failing Endpoints must be a whole number or NA, got {count!r}")
        failing += 0 if count == "NA" else int(count)
    clocks = [found for found in map(_CLOCK.fullmatch, lines) if found]
    return Timing(
        _head(text, "Design", broken), number("WNS(ns)"), number("WHS(ns)"), failing,
        tuple(Clock(found[1], float(found[2])) for found in clocks),
    )  # fmt: skip


def _sites(value: str, name: str, broken: Callable[[str], FormatError]) -> int:
    """Read a count of sites; half a tile of block RAM is one of 18 Kbit."""
    whole, dot, part = value.partition(".")
    if not _COUNT.fullmatch(whole) or (dot and (name != "bram" or part not in ("0", "5"))):
        raise broken(f"a count of {name} must be a whole number, of tiles also a half, got {value!r}")
    return 2 * int(whole) + (part == "5") if name == "bram" else int(whole)


def _head(text: str, name: str, broken: Callable[[str], FormatError]) -> str:
    for line in text.splitlines():
        key, colon, value = line.strip("| ").partition(":")
        if line.startswith("|") and colon and key.strip() == name and value.strip():
            return value.strip()
    raise broken(f"must name its {name.lower()} in the head")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FormatError("report-kind", f"{path} must be a report of at most {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError("report-kind", f"{path} must be text in UTF-8 ({error})") from error
