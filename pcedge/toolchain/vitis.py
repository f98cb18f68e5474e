"""The vendor's flow on a project directory: what is run for it, running it, and finding its reports."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pcedge.errors import FormatError, MissingToolError, ToolError
from pcedge.export.project.manifest import MANIFEST, read_manifest, tops_named
from pcedge.export.vitis.files import (
    CLASSIC_COMMAND,
    COMPONENT_ARGUMENTS,
    COMPONENT_COMMANDS,
    classic_work,
    component,
    component_work,
    with_needed,
)
from pcedge.toolchain.reports import Report, Synthesis, Utilization, read_report
from pcedge.toolchain.tools import vendor_tool

#: flows by the name of `pcedge build --tool`, and what each needs
FLOWS = {"vitis": ("vitis-run", "v++"), "vitis_hls": ("vitis_hls",)}

#: where logs are kept, below the project
LOGS = "build/logs"


@dataclass(frozen=True)
class VendorCommand:
    """Describe one run of a tool."""

    #: the step, or all of them where one run does them
    step: str
    #: the top, or all of them
    top: str
    #: the words, the tool by its name
    words: tuple[str, ...]
    #: the folder it runs in, relative to the project
    folder: str
    #: variables of the environment that it reads
    variables: dict[str, str]

    @property
    def log(self) -> str:
        """Name the log, relative to the project."""
        return f"{LOGS}/{self.top}-{self.step}.log".replace(" ", "+")

    def shell(self) -> str:
        """Write the command as a line for a shell in the project's folder."""
        words = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()] + [shlex.join(self.words)]
        line = " ".join(words)
        return line if self.folder == "." else f"(cd {shlex.quote(self.folder)} && {line})"

    def as_dict(self) -> dict[str, object]:
        """Give the fields for machines."""
        return {
            "step": self.step, "top": self.top, "command": list(self.words), "folder": self.folder,
            "variables": self.variables, "log": self.log,
        }  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Hold one report of a top."""

    #: relative to the project
    file: str
    report: Report
    #: written before the project was, or for another part: it does not speak of these sources
    outdated: bool


def choose_flow(tool: str) -> str:
    """Choose the flow whose tools are installed; `auto` prefers that of a current Vitis.

    Args:
        tool: auto, vitis or vitis_hls.

    Raises:
        MissingToolError: none is, with what to do about it.
    """
    reasons = []
    for flow in FLOWS if tool == "auto" else (tool,):
        try:
            for name in FLOWS[flow]:
                vendor_tool(name)
            return flow
        except MissingToolError as error:
            reasons.append(str(error))
    raise MissingToolError("no vendor tool was found: " + "; ".join(reasons))


def tops_of(folder: Path) -> list[str]:
    """Read the tops of a project.

    Raises:
        FormatError: the directory is no project, or its manifest names no tops.
    """
    return tops_named(read_manifest(folder), str(folder / MANIFEST))


def plan(tops: list[str], steps: tuple[str, ...], flow: str) -> list[VendorCommand]:
    """List the runs of a flow, synthesis included where a later step needs it.

    Args:
        tops: names of the tops.
        steps: some of `STEPS`.
        flow: vitis or vitis_hls.
    """
    steps = with_needed(steps)
    if flow == "vitis_hls":
        variables = {"PCEDGE_STEPS": " ".join(steps), "PCEDGE_TOPS": " ".join(tops)}
        return [VendorCommand(" ".join(steps), " ".join(tops), CLASSIC_COMMAND, ".", variables)]
    return [
        VendorCommand(step, top, (*COMPONENT_COMMANDS[step], *COMPONENT_ARGUMENTS), component(top), {})
        for top in tops
        for step in steps
    ]


def execute(folder: Path, command: VendorCommand) -> None:
    """Run one command of a plan; its output goes to its log.

    Raises:
        MissingToolError: the tool is not there, or cannot be started.
        ToolError: it failed; the message ends with the end of its log.
        FormatError: the project has no folder for the top.
    """
    where = folder / command.folder
    if not where.is_dir():
        raise FormatError("project-component", f"{where} must be there: export the project again")
    log = folder / command.log
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [vendor_tool(command.words[0]), *command.words[1:]]
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                words, cwd=where, env=os.environ | command.variables, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        except OSError as error:
            raise MissingToolError(f"{words[0]} must be a program that can be started: {error}") from error
    if done.returncode:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            end = file.read().decode("utf-8", "replace").strip()
        raise ToolError(
            f"{command.step} of {command.top} failed with exit status {done.returncode}; its log is {log}:\n{end}"
        )


def reports(folder: Path) -> dict[str, dict[str, Found]]:
    """Read the reports that the vendor's tools left in a project.

    Of a top that both flows made, those of the flow that ran last are read.

    Returns:
        By top, by kind: `synthesis`, `utilization`, `timing`; only those that are there.

    Raises:
        FormatError: the directory is no project, or a report is damaged or of another kind or top.
    """
    manifest = read_manifest(folder)
    part = manifest.part
    born = (folder / MANIFEST).stat().st_mtime
    by_top: dict[str, dict[str, Found]] = {}
    for top in tops_named(manifest, str(folder / MANIFEST)):
        files = max((_files(folder, work, top) for work in (component_work(top), classic_work(top))), key=_newest)
        for kind, path in files.items():
            report = read_report(path)
            if type(report).__name__.lower() != kind:
                raise FormatError("report-kind", f"{path} must be a report of {kind}")
            if isinstance(report, Synthesis) and report.top != top:
                raise FormatError("csynth-xml", f"{path} must be of the top {top}, it is of {report.top}")
            other = isinstance(report, Synthesis | Utilization) and not _same_part(report.part, str(part))
            older = path.stat().st_mtime < born
            name = path.relative_to(folder).as_posix()
            by_top.setdefault(top, {})[kind] = Found(name, report, older or other)
    return by_top


def _files(folder: Path, work: str, top: str) -> dict[str, Path]:
    """Name the reports of a top that are there; of Vivado's those after routing before those after synthesis."""
    vivado = folder / work / "impl/verilog/report"
    candidates = {
        "synthesis": [folder / work / "syn/report" / name for name in ("csynth.xml", f"{top}_csynth.xml")],
        "utilization": [vivado / f"{top}_utilization_{state}.rpt" for state in ("routed", "synth")],
        "timing": [vivado / f"{top}_timing_{state}.rpt" for state in ("routed", "synth")],
    }
    there = {kind: next((path for path in paths if path.is_file()), None) for kind, paths in candidates.items()}
    return {kind: path for kind, path in there.items() if path}


def _newest(files: dict[str, Path]) -> float:
    return max((path.stat().st_mtime for path in files.values()), default=0.0)


def _same_part(one: str, other: str) -> bool:
    """Compare parts as all tools write them: with or without dashes, leading xc, package and speed."""
    short, long = sorted((name.replace("-", "").lower().removeprefix("xc") for name in (one, other)), key=len)
    return long.startswith(short)
