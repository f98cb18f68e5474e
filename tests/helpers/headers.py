"""Headers that nearly every C++ source of the tests reads, parsed once: a compilation takes half the time.

Nothing is hidden by it: `tests/hls/test_cpp_quality.py` compiles sources of every kind without, with all warnings. And
-O1 in the place of -O2, a quarter less; at night sources are compiled as users do it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers.nightly import NIGHTLY
from pcedge.errors import MissingToolError, ToolError
from pcedge.simulate.unrolled import FAST
from pcedge.toolchain import tools

#: Read before a source. To g++ what is parsed already is no system header any more, and it would warn of ap_int.h: -w.
#: With -fpch-preprocess ccache can tell what was read.
AHEAD = ("-w", "-fpch-preprocess", "-include")

#: For g++: what it tells its compiler where the last of its levels is -O2.
SPECS = "*cc1plus:\n+ %{O2:-O1}\n\n"

NAMES = (
    "algorithm", "cinttypes", "cstdint", "cstdio", "cstdlib", "deque", "fstream", "iostream", "map", "queue", "sstream",
    "string", "type_traits", "vector", "ap_int.h",
)  # fmt: skip

#: the flags of all compilations that matter to the headers
FLAGS = tuple(flag for flag in tools.CXX_FLAGS if flag.startswith(("-std", "-O", "-D__AP")))

#: what must be the same where the headers are parsed and where they are read: g++ takes those that fit, or parses
VARIANTS = {"usual": (), "fast": FAST, "none": ("-O0",), "address": ("-fsanitize=address",)}


def words(command: str, folder: Path) -> str:
    """Give a command that reads the headers first, whether or not they are parsed yet; another's than g++ as it is.

    Args:
        command: a compiler's, perhaps behind a compiler cache.
        folder: where they are kept, apart for every compiler and ap_int.h.
    """
    try:
        said = subprocess.run([*command.split(), "--version"], capture_output=True, text=True, check=True).stdout
        types = tools.ap_types()
    except (OSError, subprocess.CalledProcessError, MissingToolError):
        return command
    # clang goes by the name g++ too; a command's words are told apart by spaces.
    if "Free Software Foundation" not in said or " " in str(folder):
        return command
    specs = "" if NIGHTLY else SPECS
    state = hashlib.sha256("\n".join([said, str(types), *NAMES, *FLAGS, str(VARIANTS), specs]).encode())
    for path in sorted(types.rglob("*.h")):
        state.update(path.read_bytes())
    header = folder / state.hexdigest()[:16] / "first.hpp"
    if not header.exists():
        header.parent.mkdir(parents=True, exist_ok=True)
        header.with_name("specs").write_text(specs)
        header.write_text("".join(f"#include <{name}>\n" for name in NAMES))
    return " ".join([command, *AHEAD, str(header), f"-specs={header.with_name('specs')}"])


def bare() -> list[str]:
    """Find the compiler as a user has it: it says all warnings, and a source must include what it needs."""
    command = tools.compiler()
    return command[: command.index(AHEAD[0])] if AHEAD[0] in command else command


@functools.cache
def parse() -> None:
    """Parse the headers where the compiler reads them first, once for all processes and later runs."""
    command = tools.compiler()
    if AHEAD[0] not in command or sys.platform == "win32":
        return
    import fcntl

    place = command.index(AHEAD[-1]) + 1
    header, behind = Path(command[place]), command[place + 1 :]
    fresh, parsed = header.with_name("parsed"), header.with_name(f"{header.name}.gch")

    def one(name: str) -> None:
        flags = [*behind, *FLAGS, *VARIANTS[name], "-isystem", tools.ap_types(), "-x", "c++-header"]
        tools.run([*bare(), *flags, header, "-o", fresh / name], header.parent, "parsing headers")

    with header.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not parsed.is_dir():
            # Those of another compiler or ap_int.h have a third of a gigabyte; who still reads them parses the text.
            for old in header.parent.parent.glob(f"*/{parsed.name}"):
                shutil.rmtree(old, ignore_errors=True)
            fresh.mkdir(exist_ok=True)
            # Without, compilations only take longer.
            with contextlib.suppress(ToolError), ThreadPoolExecutor(max_workers=2) as pool:
                list(pool.map(one, VARIANTS))
                os.replace(fresh, parsed)
