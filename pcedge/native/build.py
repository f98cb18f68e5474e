"""Build the shared library of the native engine with any C compiler; setup.py and a checkout use it alike.

It is read by setup.py before anything is installed, so it imports nothing of pcedge. `python -m pcedge.native.build`
builds the library where the package lies, `--hdf5-plugin FOLDER` the plugin of HDF5.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent / "src"

#: file name of the library, by `sys.platform`
NAME = {"win32": "pcedge.dll", "darwin": "libpcedge.dylib"}.get(sys.platform, "libpcedge.so")

FLAGS = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")

_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512cd", "-mbmi2", "-mlzcnt",
           "-mprefer-vector-width=512")  # fmt: skip

#: instruction sets beside the compiler's own, by machine: how the compiler makes code for each
ISAS = {
    "x86_64": {"sse41": ("-mssse3", "-msse4.1"),
               "avx2": ("-mavx2", "-mbmi2", "-mlzcnt"),
               "avx512": (*_AVX512,),
               "vnni": (*_AVX512, "-mavx512vnni", "-mavx512vbmi2")},
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
        machine = {"AMD64": "x86_64"}.get(platform.machine(), platform.machine())
        isas = ISAS.get(machine, {})
        has = []
        # Each takes seconds, and none needs another.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            base = pool.submit(_engines, command, "base", (), folder)
            others = {isa: pool.submit(_engines, command, isa, flags, folder) for isa, flags in isas.items()}
            objects = base.result()
            for isa, engines in others.items():
                try:
                    objects += engines.result()
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


def build_plugin(folder: Path) -> Path:
    """Compile the plugin of HDF5 into a folder, for `HDF5_PLUGIN_PATH`; give its path.

    Raises:
        BuildError: there is no compiler, it cannot compile the plugin, or this is Windows.
    """
    if sys.platform == "win32":
        raise BuildError("the plugin of HDF5 is for Linux and macOS; import pcedge.codec.hdf5_filter does the same")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"libpcedge_hdf5{Path(NAME).suffix}"
    _run([*compiler(), *FLAGS, "-shared", "-o", str(target), str(SOURCES / "hdf5_plugin.c"), "-ldl"])
    return target


def _engines(command: list[str], isa: str, flags: tuple[str, ...], folder: Path) -> list[Path]:
    """Compile the engine of an instruction set, for whole blocks and for one record."""
    common = [f"-DPCE_ISA={isa}", *flags]
    return [
        _compile(command, common, "engine", folder / f"{isa}.o"),
        _compile(command, [*common, "-DPCE_ONE"], "engine", folder / f"{isa}_one.o"),
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
        if sys.argv[1:2] == ["--hdf5-plugin"] and len(sys.argv) == 3:
            print(build_plugin(Path(sys.argv[2])))
        elif sys.argv[1:]:
            sys.exit("usage: python -m pcedge.native.build [--hdf5-plugin FOLDER]")
        else:
            build(Path(__file__).parent / "lib" / NAME)
    except BuildError as error:
        sys.exit(f"it was not built: {error}")
