"""Hardened engines: a project's SystemVerilog with parity on memories and voted registers, as one source of Verilog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pcedge.errors import FormatError, UsageError
from pcedge.export.project.manifest import Manifest, read_manifest
from pcedge.export.rtl.size import LEVELS
from pcedge.toolchain import open_tools
from pcedge.toolchain.checked_memories import GUARD, GUARD_HARDENED, check_memories, netlist_module
from pcedge.toolchain.children import Run, finish
from pcedge.toolchain.faults import Faults, put_faults
from pcedge.toolchain.kept import gather, is_kept, keep, named, read_by, state_of
from pcedge.toolchain.open_flow import check_ports, reading

#: the guard as a black box, so that it is still there when memories are found
_STUB = f"(* blackbox *) module {GUARD} (input clk, input rst, input start, input busy, output upset); endmodule\n"

#: words stay words and a memory is one cell, with the registers behind its ports that synthesis would take into it too;
#: others are plain, with enable and reset in front of them
_PREPARE = (
    "proc", "flatten", "opt_expr", "opt_clean", "memory_collect", "opt_merge", "opt_reduce -full", "opt_expr",
    "opt_clean", "memory_dff", "memory_collect", "opt_clean",
)  # fmt: skip

#: what a source needs no more; `keep` stays
_NOTES = "attrmap -tocase keep -remove src -remove hdlname -remove module_src -remove top -remove cells_not_processed"


def level_of(manifest: Manifest) -> str:
    """Name the level of hardening of a project's engine.

    Raises:
        FormatError: there is no such level.
    """
    level = manifest.table.get("harden", "none")
    if level not in LEVELS:
        raise FormatError("project-manifest", f"harden must be one of {', '.join(LEVELS)}, got {level!r}")
    return str(level)


def hardened(folder: Path, sources: list[Path], top: str) -> list[Path]:
    """Give what a top of a project is compiled from: its sources, or of a hardened engine the one that is made of them.

    Args:
        folder: the project.
        sources: its sources of the top.
        top: the module at the top.

    Raises:
        FormatError: the project is damaged.
        MissingToolError: yosys is missing.
        ToolError: it failed; its own text is in the message.
    """
    level = level_of(read_manifest(folder))
    if level == "none":
        return sources
    return [harden(sources, top, level, folder / "build" / "hardened" / top)]


def harden(sources: Sequence[Path], top: str, level: str, folder: Path) -> Path:
    """Make the hardened Verilog of a top, or give what is there where nothing has changed.

    Args:
        sources: SystemVerilog of an engine; headers and images beside them are read too.
        top: the module at the top; `pc_guard` must be below it.
        level: one of `LEVELS`; `none` writes the same registers and memories without checks.
        folder: takes `TOP.v`, `TOP.json`, which is the same in yosys' JSON, and the logs.

    Returns:
        The source, which reads no other file.

    Raises:
        UsageError: there is no such level, or a source is not there.
        MissingToolError: yosys is missing.
        ToolError: it failed; its own text is in the message.
        FormatError: there is no guard, or a memory that cannot be checked.
    """
    if level not in LEVELS:
        raise UsageError(f"a level of hardening must be one of {', '.join(LEVELS)}, got {level!r}")
    kept = [path for path in sources if path.stem != GUARD or level == "none"]
    inputs = [*kept, *read_by(kept)]
    names = named(inputs)[: len(kept)]
    room = files("pcedge.export.rtl").joinpath("harden")
    added = {name: room.joinpath(name).read_text("utf-8") for name in _ADDED}
    folder = folder.resolve()
    plain, checked, result = (folder / name for name in ("plain.json", "checked.json", f"{top}.v"))
    first = [*reading(names, top, {}, {}), *_PREPARE, "write_json ../plain.json"]
    second = _second(top, level)
    state = state_of(inputs, {
        "first": first, "second": second, "added": added, "stub": _STUB, "level": level,
        "yosys": open_tools.version("yosys"), "checks": _own_code(),
    })  # fmt: skip
    stamp = folder / "hardened.sha256"
    if is_kept(stamp, state, [result]):
        return result
    gather(inputs, folder / "inputs")
    if level != "none":
        (folder / "inputs" / f"{GUARD}.v").write_text(_STUB, encoding="utf-8")
        first.insert(0, f"read_verilog {GUARD}.v")
    for name, text in added.items():
        (folder / "inputs" / name).write_text(text, encoding="utf-8")
    _yosys(f"reading {top}", first, folder, "plain")
    design = read_design(plain)
    if level != "none":
        check_memories(netlist_module(design, plain), plain)
    checked.write_text(json.dumps(design), encoding="utf-8")
    _yosys(f"hardening {top}", second, folder, "hardened")
    keep(stamp, state, [result])
    return result


def put_faults_in(source: Path) -> tuple[Path, Faults]:
    """Make the Verilog of a hardened top whose state can be flipped from outside, for campaigns in a simulator.

    Args:
        source: what `harden` gave.

    Returns:
        The source `TOP-faults.v`, whose module has the top's name, and what can be flipped.

    Raises:
        MissingToolError: yosys is missing.
        ToolError: it failed; its own text is in the message.
        FormatError: a memory has ports that faults are not made for.
    """
    folder, top = source.parent, source.stem
    design = read_design(folder / f"{top}.json")
    faults = put_faults(netlist_module(design, source))
    (folder / "faults.json").write_text(json.dumps(design), encoding="utf-8")
    lines = ["read_json ../faults.json", "opt_clean", f"write_verilog -noattr ../{top}-faults.v"]
    _yosys(f"putting faults into {top}", lines, folder, "faults")
    return folder / f"{top}-faults.v", faults


#: sources of ours that hardened ones are made with
_ADDED = ("pc_guard_hardened.sv", "pc_triple.sv", "triple_map.v")


def _second(top: str, level: str) -> list[str]:
    """Write what yosys does with a netlist whose memories are checked, a command a line."""
    lines = ["read_json ../checked.json"]
    if level != "none":
        lines += [f"read_verilog -sv -defer {GUARD_HARDENED}.sv", f"hierarchy -check -top {top}", "proc", "flatten"]
        lines += ["opt_clean"]
    if level == "tmr":
        lines += ["techmap -map triple_map.v", "read_verilog -sv -defer pc_triple.sv", f"hierarchy -check -top {top}"]
        lines += ["proc", "flatten"]
    lines += ["opt_clean -purge", "delete t:$scopeinfo", _NOTES]
    return [*lines, f"write_json ../{top}.json", f"write_verilog ../{top}.v"]


def read_design(path: Path) -> dict[str, Any]:
    """Read a netlist in yosys' JSON.

    Raises:
        FormatError: it is none.
    """
    try:
        design: dict[str, Any] = json.loads(path.read_bytes())
        if not isinstance(design["modules"], dict):
            raise ValueError("modules must be a table")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("netlist", f"{path} must be a netlist as yosys writes it ({error!r})") from error
    return design


def _yosys(what: str, lines: Sequence[str], folder: Path, name: str) -> None:
    script = folder / f"{name}.ys"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = (*open_tools.command("yosys"), "-s", f"../{script.name}")
    log = folder / f"{name}.log"
    check_ports(finish(Run(what, command, folder / "inputs", log)), log)


def _own_code() -> str:
    return Path(check_memories.__code__.co_filename).read_text("utf-8")
