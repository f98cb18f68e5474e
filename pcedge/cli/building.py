"""The commands around tools of hardware: `build` runs them, `report` reads what they wrote."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from pcedge.cli import streams as said
from pcedge.cli.completing import devices
from pcedge.cli.inputs import ModelPath
from pcedge.cli.output import Command, Result, announce, options_given, table
from pcedge.errors import DataError, MissingToolError, ToolError

#: options of `build` by the flow that has them
_VENDOR, _OPEN = ("steps", "chosen", "tool"), ("target", "seeds", "seed", "frequency", "parallel")

#: options of `build` that only a circuit has, and not a project
_CIRCUIT = ("out", "kernel", "which", "macs", "streams", "lanes", "table_lanes", "cores", "jobs", "memories",
            "harden")  # fmt: skip


class Source(ModelPath):
    """Take a project's folder, or a circuit as `export` does."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let folders through."""
        return Path(value) if Path(value).is_dir() else super().convert(value, param, ctx)


@click.command(cls=Command, example="pcedge build m.onnx --target ecp5-25k --macs 16 --streams 8 --out build/m")
@click.argument("source", type=Source(exists=True, dir_okay=True))
@click.option(
    "--target", shell_complete=devices,
    help="Of RTL: ecp5-25k, ecp5-85k, ice40-up5k, gowin-gw2a-18, gowin-gw1n-9, a board, or a TOML file of your own.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="Place with so many; keep the best."
)
@click.option("--seed", type=click.IntRange(1), default=1, show_default=True, help="The first seed.")
@click.option("--frequency", type=click.FloatRange(min=0, min_open=True), help="MHz to reach.  [default: the target's]")
@click.option("--parallel", type=click.IntRange(1), default=1, show_default=True, help="Seeds at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="Of a circuit: the project directory.")
@click.option("--kernel", type=click.Choice(["engine", "unrolled"]), default="engine", help="Of a circuit: see export.")
@click.option("--engine", "which", type=click.Choice(["parallel", "serial"]), help="Of a circuit: see export.")
@click.option("--macs", type=int, help="Of a circuit: see export.")
@click.option("--streams", type=int, help="Of a circuit: see export.")
@click.option("--lanes", type=int, help="Of a circuit: see export.")
@click.option("--table-lanes", type=int, help="Of a circuit: see export.")
@click.option("--cores", type=int, help="Of a circuit: see export.")
@click.option("--jobs", help="Of a circuit: see export.")
@click.option("--memories", type=click.Choice(["baked", "reload"]), help="Of a circuit: see export.")
@click.option("--harden", type=click.Choice(["none", "parity", "tmr"]), help="Of a circuit: see export.")
@click.option(
    "--steps", default="csim,synthesis", show_default=True,
    help="Some of csim, synthesis, cosim (of the RTL), ip (export), impl (place and route).",
)  # fmt: skip
@click.option("--top", "chosen", multiple=True, help="A top, more than once for several; default: all.")
@click.option(
    "--tool", default="auto", show_default=True, type=click.Choice(["auto", "vitis", "vitis_hls"]),
    help="vitis: components, with vitis-run and v++; vitis_hls: run_hls.tcl.",
)  # fmt: skip
def build(
    source: Path | str, target: str | None, seeds: int, seed: int, frequency: float | None, parallel: int,
    out: Path | None, kernel: str, which: str | None, macs: int | None, streams: int | None,
    lanes: int | None, table_lanes: int | None, cores: int | None, jobs: str | None, memories: str | None,
    harden: str | None, steps: str, chosen: tuple[str, ...], tool: str,
) -> Result:  # fmt: skip
    """Build hardware: a project of RTL, or a circuit for a device, by open tools; an HLS project by the vendor's.

    Where no tool of the vendor is installed, what would be run is printed; exit 3.
    """
    from pcedge.cli.open_building import build_open
    from pcedge.toolchain.building import is_rtl

    if frequency is not None and not math.isfinite(frequency):
        raise click.UsageError(f"--frequency must be a finite number, got {frequency}")
    if not isinstance(source, Path):
        refuse("a project", *_VENDOR)
        if target is None or out is None:
            raise click.UsageError("a circuit must come with --target, a device, and --out")
        sizes = {"which": which, "macs": macs, "streams": streams, "lanes": lanes, "table_lanes": table_lanes,
                 "cores": cores, "jobs": jobs, "search_bits": None, "memories": memories,
                 "harden": harden}  # fmt: skip
        export_for(source, target, out, kernel, sizes)
        return build_open(out, target, seeds, seed, frequency, parallel)
    refuse("a circuit", *_CIRCUIT)
    if is_rtl(source):
        refuse("an HLS project", *_VENDOR)
        return build_open(source, target, seeds, seed, frequency, parallel)
    refuse("a project of RTL or a circuit", *_OPEN)
    return _build_vendor(source, steps, chosen, tool)


def refuse(goes_with: str, *names: str) -> None:
    """Refuse options that have no effect here.

    Raises:
        click.UsageError: one of them is on the command line.
    """
    if wrong := options_given(*names):
        name = {"chosen": "top", "which": "engine"}.get(wrong[0], wrong[0]).replace("_", "-")
        raise click.UsageError(f"--{name} must go with {goes_with}")


def export_for(model: str, target: str, out: Path, kernel: str, sizes: dict[str, Any]) -> None:
    """Write the project of a circuit for a device, as `export` does.

    Raises:
        UsageError: the target is no device of the open flow.
    """
    from pcedge.cli.exporting import export
    from pcedge.export.open_target import find_open_target

    find_open_target(target)
    given = ("adders", "latency", "data", "records", "dtype", "shape", "header")
    others: dict[str, Any] = dict.fromkeys(given)
    assert export.callback is not None
    announce(f"{out}: project for {target}")
    export.callback(model=model, target=target, out=out, kernel=kernel, fit=(), **sizes, **others)


def _build_vendor(folder: Path, steps: str, chosen: tuple[str, ...], tool: str) -> Result:
    """Run the vendor's tools on an HLS project."""
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
        said.say(f"pcedge: {error}")
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


@click.command(cls=Command, example="pcedge report build/m build/n --html builds.html")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Of builds of RTL: one page, no network.")
def report(paths: tuple[Path, ...], html: Path | None) -> Result:
    """Read reports: those of a project, or one file of C synthesis or Vivado; compare builds of RTL projects."""
    from pcedge.cli.open_building import report_builds
    from pcedge.toolchain.building import is_rtl

    if len(paths) > 1 or html is not None or (paths[0].is_dir() and is_rtl(paths[0])):
        if wrong := [path for path in paths if not path.is_dir() or not is_rtl(path)]:
            raise click.UsageError(f"what is compared must be projects of RTL, {wrong[0]} is none")
        return report_builds(paths, html)
    return _report_vendor(paths[0])


def _report_vendor(path: Path) -> Result:
    """Read the reports of the vendor's tools."""
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
