"""Build the shared library of the native engine with any C compiler; setup.py and a checkout use it alike.

It is read by setup.py before anything is installed, so it imports nothing of pcedge. `python -m pcedge.native.build`
builds the library where the package lies.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent / "src"

#: file name of the library, by `sys.platform`
NAME = {"win32": "pcedge.dll", "darwin": "libpcedge.dylib"}.get(sys.platform, "libpcedge.so")

FLAGS = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")

#: instruction sets beside the compiler's own, by machine: how the compiler makes code for each
ISAS = {
    "x86_64": {"avx2": ("-mavx2", "-mbmi2", "-mlzcnt"),
               "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mbmi2", "-mlzcnt"),
               "vnni": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mbmi2", "-mlzcnt")},
}  # fmt: skip


class BuildError(Exception):
    """No compiler, or it failed."""


def compiler() -> list[str]:
    """Find a C compiler: `PCEDGE_CC`, that of the machine, else zig.

    Raises:
        BuildError: there is none.
    """
    if named := os.environ.get("PCEDGE_CC"):
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    # pip hides what is installed from what it builds.
    hidden = Path(sysconfig.get_path("purelib")) / "ziglang" / ("zig.exe" if os.name == "nt" else "zig")
    if hidden.is_file():
        return [str(hidden), "cc"]
    raise BuildError("a C compiler is needed: cc, gcc, clang, the one that PCEDGE_CC names, or the package ziglang")


def build(target: Path) -> None:
    """Compile the library; an instruction set that the compiler does not know is left out.

    Raises:
        BuildError: there is no compiler, or it cannot compile the engine at all.
    """
    command = compiler()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = _engines(command, "base", (), folder)
        has = []
        machine = {"AMD64": "x86_64"}.get(platform.machine(), platform.machine())
        for isa, flags in ISAS.get(machine, {}).items():
            try:
                objects += _engines(command, isa, flags, folder)
            except BuildError:
                continue
            has.append(f"-DPCE_HAS_{isa.upper()}")
        objects.append(_compile(command, has, "library", folder / "library.o"))
        made = folder / NAME
        _run([*command, "-shared", "-o", str(made), *map(str, objects)])
        target.parent.mkdir(parents=True, exist_ok=True)
        # A library that a process holds open is replaced, not written over.
        fresh = target.with_name(target.name + ".new")
        shutil.copyfile(made, fresh)
        os.replace(fresh, target)


def _engines(command: list[str], isa: str, flags: tuple[str, ...], folder: Path) -> list[Path]:
    """Compile the engine of an instruction set, for whole blocks and for few records."""
    common = [f"-DPCE_ISA={isa}", *flags]
    return [
        _compile(command, common, "engine", folder / f"{isa}.o"),
        _compile(command, [*common, "-DPCE_FEW"], "engine", folder / f"{isa}_few.o"),
    ]


def _compile(command: list[str], flags: list[str], name: str, out: Path) -> Path:
    _run([*command, *FLAGS, *flags, "-c", str(SOURCES / f"{name}.c"), "-o", str(out)])
    return out


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"the compiler {command[0]} cannot be started ({error})") from error
    if done.returncode:
        raise BuildError(f"{shlex.join(command)} failed:\n{done.stderr.strip()}")


if __name__ == "__main__":
    try:
        build(Path(__file__).parent / "lib" / NAME)
    except BuildError as error:
        sys.exit(f"the native engine was not built: {error}")
