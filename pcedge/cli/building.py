"""The commands around the vendor's tools: `build` runs them, `report` reads what they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pcedge.cli import streams
from pcedge.cli.output import Command, Result, announce, table
from pcedge.errors import DataError, MissingToolError, ToolError

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(cls=Command, example="pcedge build build/m --steps csim,synthesis,cosim")
@click.argument("folder", type=FOLDER)
@click.option(
    "--steps", default="csim,synthesis", show_default=True,
    help="Some of csim, synthesis, cosim (of the RTL), ip (export), impl (place and route).",
)  # fmt: skip
@click.option("--top", "chosen", multiple=True, help="A top, more than once for several; default: all.")
@click.option(
    "--tool", default="auto", show_default=True, type=click.Choice(["auto", "vitis", "vitis_hls"]),
    help="vitis: components, with vitis-run and v++; vitis_hls: run_hls.tcl.",
)  # fmt: skip
def build(folder: Path, steps: str, chosen: tuple[str, ...], tool: str) -> Result:
    """Run the vendor's tools on a project; where none is installed, print what would be run, and exit 3."""
    from pcedge.export.vitis.files import STEPS, with_needed
    from pcedge.toolchain.vitis import choose_flow, execute, plan, reports, tops_of

    names = tuple(name.strip() for name in steps.split(",") if name.strip())
    if not names or set(names) - set(STEPS):
        raise click.UsageError(f"--steps must name some of {', '.join(STEPS)}, got {steps!r}")
    tops = tops_of(folder)
    if set(chosen) - set(tops):
        raise click.UsageError(f"--top must be one of {', '.join(tops)}, got {', '.join(chosen)}")
    tops = [top for top in tops if top in chosen or not chosen]
    result: dict[str, Any] = {"out": str(folder), "steps": list(with_needed(names)), "tops": tops}
    try:
        flow = choose_flow(tool)
    except MissingToolError as error:
        commands = plan(tops, names, "vitis" if tool == "auto" else tool)
        streams.say(f"pcedge: {error}")
        result |= {"error": type(error).__name__, "message": str(error), "exit": error.exit_code}
        result |= {"tool": None, "commands": [command.as_dict() for command in commands]}
        lines = [f"nothing was run; in {folder} this would have been:", *(command.shell() for command in commands)]
        return result, "\n".join(lines), error.exit_code
    commands = plan(tops, names, flow)
    for command in commands:
        announce(f"{command.top}: {command.step}, log in {folder / command.log}")
        execute(folder, command)
    by_top = reports(folder)
    for top in tops if "synthesis" in result["steps"] else ():
        if "synthesis" not in by_top.get(top, {}):
            raise ToolError(f"{flow} must leave the report of C synthesis of {top}, it left none")
    by_top = {top: by_top[top] for top in tops if top in by_top}
    result |= {"tool": flow, "commands": [command.as_dict() for command in commands], "reports": _for_machines(by_top)}
    text: list[object] = [f"{folder}: {', '.join(result['steps'])} of {', '.join(tops)} by {flow}"]
    return result, text + _for_people(by_top), 0


@click.command(cls=Command, example="pcedge report build/m")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def report(path: Path) -> Result:
    """Read the reports of the vendor's tools: those of a project, or one file of C synthesis or Vivado."""
    from pcedge.toolchain.reports import as_dict, read_report
    from pcedge.toolchain.vitis import Found, reports

    if not path.is_dir():
        one = read_report(path)
        kind = type(one).__name__.lower()
        result = {"file": str(path), "kind": kind, "report": as_dict(one)}
        return result, _for_people({str(path): {kind: Found(str(path), one, False)}}), 0
    parsed = reports(path)
    if not parsed:
        raise DataError(f"{path} must hold reports of a vendor's tool, it holds none; pcedge build {path} makes them")
    return {"out": str(path), "reports": _for_machines(parsed)}, _for_people(parsed), 0


def _for_machines(parsed: Any) -> dict[str, Any]:
    from pcedge.toolchain.reports import as_dict

    return {
        top: {
            kind: {"file": one.file, "outdated": one.outdated, **as_dict(one.report)} for kind, one in kinds.items()
        }
        for top, kinds in parsed.items()
    }  # fmt: skip


def _for_people(parsed: Any) -> list[object]:
    """Show resources and clocks, each with the tool that says so."""
    rows: list[list[object]] = []
    clocks: list[list[object]] = []
    devices: dict[str, Any] = {}
    old = []
    for top, kinds in parsed.items():
        for kind, one in kinds.items():
            report = one.report
            if kind == "timing":
                verdict = "met" if report.met else f"{report.failing_endpoints} endpoints fail"
                if report.setup_slack_ns is None:
                    verdict = "nothing constrained"
                asked = ", ".join(f"{clock.period_ns:g}" for clock in report.clocks) or "?"
                clocks.append([top, "Vivado", asked, _format_ns(report.period_ns), "", "", verdict])
            else:
                source = "HLS estimate" if kind == "synthesis" else f"Vivado {report.state}"
                rows.append([top, source, *_counts(report.used)])
                devices.setdefault(report.part, report.available)
            if kind == "synthesis":
                verdict = "met" if report.estimated_ns <= report.target_ns else "missed"
                latency, interval = (
                    _span(report.latency_min, report.latency_max),
                    _span(report.interval_min, report.interval_max),
                )
                asked = f"{report.target_ns:g}"
                clocks.append([top, "HLS estimate", asked, _format_ns(report.estimated_ns), latency, interval, verdict])
            if one.outdated:
                old.append(one.file)
    shown: list[object] = []
    rows += [["device", device, *_counts(available)] for device, available in devices.items()]
    if rows:
        shown.append(
            table(
                "resources used",
                ["top", "by", "LUT", "FF", "DSP", "BRAM 18", "URAM"],
                rows,
            )
        )
    if clocks:
        columns = ["top", "by", "asked ns", "reached ns", "latency", "interval", "clock"]
        shown.append(table("clock, and cycles of a call (?: they depend on the data)", columns, clocks))
    shown += [f"{name}: older than the project, or of another part: build again" for name in old]
    return shown


def _counts(amounts: Any) -> list[object]:
    return [amounts.lut, amounts.ff, amounts.dsp, amounts.bram18, "" if amounts.uram is None else amounts.uram]


def _span(shortest: int | None, longest: int | None) -> str:
    first, last = ("?" if cycles is None else str(cycles) for cycles in (shortest, longest))
    return first if first == last else f"{first} to {last}"


def _format_ns(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"
