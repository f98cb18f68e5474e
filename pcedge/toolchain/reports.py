"""Reports of the vendor's tools, read into typed results: C synthesis (XML), Vivado utilization and timing (text).

The elements of the XML are those that Vitis HLS has written since 2020; the tables are those of `report_utilization`
and `report_timing_summary` (UG906, Vivado Design Suite User Guide: Design Analysis and Closure Techniques).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from pcedge.errors import FormatError
from pcedge.toolchain.xml_values import xml_values

#: a report beyond this is none: the largest of C synthesis are some megabytes. It is read piece by piece, and only what
#: is looked for is kept
MAX_BYTES = 1 << 26
#: characters of a line and of a name in a head, lines, and clocks at most
LONGEST, LONGEST_NAME, MOST_LINES, MOST_CLOCKS = 1 << 16, 1000, 1 << 21, 10_000

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


_HEADS = ("Design", "Device", "Design State")

_AREAS = ("Resources", "AvailableResources")
#: the paths in the XML that are read
_WANTED = {
    *(f"UserAssignments/{name}" for name in ("TopModelName", "Part", "TargetClockPeriod", "unit")),
    *(f"PerformanceEstimates/SummaryOfTimingAnalysis/{name}" for name in ("EstimatedClockPeriod", "unit")),
    *(f"PerformanceEstimates/SummaryOfOverallLatency/{end}-caseLatency" for end in ("Best", "Worst")),
    *(f"PerformanceEstimates/SummaryOfOverallLatency/Interval-{end}" for end in ("min", "max")),
    *(f"AreaEstimates/{a}/{name}" for a in _AREAS for name in ("LUT", "FF", "DSP", "DSP48E", "BRAM_18K", "URAM")),
}


@dataclass(frozen=True)
class ReportedAmounts:
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
    used: ReportedAmounts
    available: ReportedAmounts


@dataclass(frozen=True)
class Utilization:
    """Hold what `report_utilization` counts."""

    design: str
    part: str
    #: as in the report: Synthesized, Routed, …
    state: str
    used: ReportedAmounts
    available: ReportedAmounts


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
    with _text_of(path):
        with _open(path) as file:
            start = file.read(LONGEST)
        if start.lstrip().startswith("<"):
            with _open(path) as file:
                return parse_synthesis(iter(lambda: file.read(LONGEST), ""), str(path))
        kinds = {mark for line in _lines(path) for mark in ("Site Type", "WNS(ns)") if mark in line}
        if "Site Type" in kinds:
            return parse_utilization(_lines(path), str(path))
        if "WNS(ns)" in kinds:
            return parse_timing(_lines(path), str(path))
    raise FormatError(
        "report-kind",
        f"{path} must be the XML of C synthesis, or the text of report_utilization or report_timing_summary",
    )


def parse_synthesis(text: str | Iterable[str], where: str) -> Synthesis:
    """Read `csynth.xml`, or the one of a top, `TOP_csynth.xml`.

    Args:
        text: the XML, whole or in pieces.
        where: its file, for messages.

    Raises:
        FormatError: rule `csynth-xml`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("csynth-xml", f"{where}: {reason}")

    values = xml_values([text] if isinstance(text, str) else text, _WANTED, broken)

    def at(path: str, default: str | None = None) -> str:
        value = values.get(path, default)
        if value is None or (not value.strip() and default is None):
            raise broken(f"must have a text at {path}")
        return value.strip()

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

    def amounts(section: str) -> ReportedAmounts:
        def count(*names: str) -> int:
            for name in names:
                value = at(f"AreaEstimates/{section}/{name}", "none")
                if value != "none":
                    if not _COUNT.fullmatch(value):
                        raise broken(f"{name} of {section} must be a whole number, got {value!r}")
                    return int(value)
            raise broken(f"{section} must count {names[0]}")

        uram = count("URAM") if f"AreaEstimates/{section}/URAM" in values else None
        return ReportedAmounts(count("LUT"), count("FF"), count("DSP", "DSP48E"), count("BRAM_18K"), uram)

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


def parse_utilization(text: str | Iterable[str], where: str) -> Utilization:
    """Read the text of `report_utilization`.

    Args:
        text: the report, or its lines.
        where: its file, for messages.

    Raises:
        FormatError: rule `vivado-utilization`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("vivado-utilization", f"{where}: {reason}")

    columns: list[str] = []
    counts: dict[str, tuple[int, int]] = {}
    heads: dict[str, str] = {}
    for line in text.splitlines() if isinstance(text, str) else text:
        _note_head(line, heads)
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "Used" in cells:
            columns = cells if cells[0] == "Site Type" and "Available" in cells else []
            continue
        # A star marks a count that later steps still change.
        name = _SITES.get(cells[0].rstrip("*"))
        # Tables of how logic is spread repeat some rows; the first one counts.
        if not columns or name is None or name in counts:
            continue
        if len(cells) != len(columns):
            raise broken(f"the row {cells[0]} must have {len(columns)} cells, it has {len(cells)}")
        used, available = (cells[columns.index(column)] for column in ("Used", "Available"))
        counts[name] = (_sites(used, name, broken), _sites(available, name, broken))
    missing = [name for name in ("lut", "ff", "dsp", "bram") if name not in counts]
    if missing:
        raise broken(f"must have rows of LUTs, registers, DSPs and block RAM tiles, {', '.join(missing)} is missing")

    def amounts(column: int) -> ReportedAmounts:
        uram = counts["uram"][column] if "uram" in counts else None
        return ReportedAmounts(
            counts["lut"][column], counts["ff"][column], counts["dsp"][column], counts["bram"][column], uram
        )

    return Utilization(
        _head(heads, "Design", broken), _head(heads, "Device", broken), _head(heads, "Design State", broken),
        amounts(0), amounts(1),
    )  # fmt: skip


def parse_timing(text: str | Iterable[str], where: str) -> Timing:
    """Read the text of `report_timing_summary`.

    Args:
        text: the report, or its lines.
        where: its file, for messages.

    Raises:
        FormatError: rule `vivado-timing`.
    """

    def broken(reason: str) -> FormatError:
        return FormatError("vivado-timing", f"{where}: {reason}")

    heads: dict[str, str] = {}
    clocks: list[Clock] = []
    summary: list[str] = []  # the header, a rule, and the row
    for line in text.splitlines() if isinstance(text, str) else text:
        _note_head(line, heads)
        if (summary and len(summary) < 3) or (not summary and "WNS(ns)" in line and "TNS(ns)" in line):
            summary.append(line)
        if clock := _CLOCK.fullmatch(line):
            clocks.append(Clock(clock[1], float(clock[2])))
            if len(clocks) > MOST_CLOCKS:
                raise broken(f"must have at most {MOST_CLOCKS} clocks")
    if len(summary) < 3:
        raise broken("must have the design timing summary, a header with WNS(ns), a rule and a row of numbers")
    names, cells = re.split(r"\s{2,}", summary[0].strip()), summary[2].split()
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
    return Timing(_head(heads, "Design", broken), number("WNS(ns)"), number("WHS(ns)"), failing, tuple(clocks))


def _sites(value: str, name: str, broken: Callable[[str], FormatError]) -> int:
    """Read a count of sites; half a tile of block RAM is one of 18 Kbit."""
    units, dot, fraction = value.partition(".")
    if not _COUNT.fullmatch(units) or (dot and (name != "bram" or fraction not in ("0", "5"))):
        raise broken(f"a count of {name} must be a whole number, of tiles also a half, got {value!r}")
    return 2 * int(units) + (fraction == "5") if name == "bram" else int(units)


def _note_head(line: str, heads: dict[str, str]) -> None:
    """Keep the first value of what the head names."""
    key, colon, value = line.strip("| ").partition(":")
    if line.startswith("|") and colon and key.strip() in _HEADS and value.strip():
        heads.setdefault(key.strip(), value.strip()[:LONGEST_NAME])


def _head(heads: dict[str, str], name: str, broken: Callable[[str], FormatError]) -> str:
    if name not in heads:
        raise broken(f"must name its {name.lower()} in the head")
    return heads[name]


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig")


def _lines(path: Path) -> Iterator[str]:
    with _open(path) as file:
        for _ in range(MOST_LINES):
            line = file.readline(LONGEST)
            if len(line) == LONGEST and not line.endswith("\n"):
                raise FormatError("report-kind", f"{path} must have lines of fewer than {LONGEST} characters")
            if not line:
                return
            yield from line.splitlines()
    raise FormatError("report-kind", f"{path} must have fewer than {MOST_LINES} lines")


@contextmanager
def _text_of(path: Path) -> Iterator[None]:
    """Refuse what is too large or no text."""
    if path.stat().st_size > MAX_BYTES:
        raise FormatError("report-kind", f"{path} must be a report of at most {MAX_BYTES} bytes")
    try:
        yield
    except UnicodeDecodeError as error:
        raise FormatError("report-kind", f"{path} must be text in UTF-8 ({error})") from error
