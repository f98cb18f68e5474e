"""A project as a core of FuseSoC: `pcedge.core` with lint, sim and synth, and what they read (docs/rtl-flow.md)."""

from __future__ import annotations

from collections.abc import Iterable

from pcedge.export.rtl.stage.project import STAGE_TOP
from pcedge.export.rtl.testbench_files import GOLDEN_BENCH, PORTS
from pcedge.export.rtl.top import TOP

#: of the core, and of the script of its target synth
CORE, SCRIPT = "pcedge.core", "scripts/synth.tcl"

#: name of the core
NAME = "pcedge_engine"

#: the module that the simulation is of: the registers and streams, those of all streams side by side
BENCH_TOP = "pc_axi"

#: what Verilator says of generated functions, of comparisons that one size makes trivial, and of outputs that one size
#: leaves open; and of names beside the instances of several cores
_OFF = ("DECLFILENAME", "UNUSEDPARAM", "UNUSEDSIGNAL", "UNSIGNED", "CMPCONST", "PINCONNECTEMPTY", "VARHIDDEN")

#: what a wheel's rules of make lack, which was configured without a compiler, and what none minds
_MAKE = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD_NEWEST=-std=gnu++20 CFG_LDLIBS_THREADS=-pthread OPT_FAST=-O1"


def core_files(names: Iterable[str], digest: str, version: str) -> dict[str, bytes]:
    """Write the core of a project, and the script of its target `synth`.

    Args:
        names: of the project's files.
        digest: the circuit's, in hexadecimal digits.
        version: of pcedge.
    """
    rtl = sorted(name for name in names if name.startswith("rtl/"))
    sources = [name for name in rtl if name.endswith(".sv")]
    headers = [name for name in rtl if name.endswith(".svh")]
    images = [name for name in rtl if name.endswith(".hex")]
    golden = sorted(name for name in names if name.startswith("golden/"))
    return {
        CORE: _core(sources, headers, images, golden, digest, version).encode(),
        SCRIPT: _script(sources, f"{NAME}_{version}.json").encode(),
    }


def _core(
    sources: list[str], headers: list[str], images: list[str], golden: list[str], digest: str, version: str
) -> str:  # fmt: skip
    off = ", ".join(f"-Wno-{name}" for name in _OFF)
    lines = [
        "CAPI=2:",
        "# Made by pcedge export. Sources name images and headers without a folder: all lie where a tool runs.",
        f"name: ::{NAME}:{version}",
        f"description: Engine of the probabilistic circuit {digest[:16]}",
        "",
        "filesets:",
        "  rtl:",
        "    files:",
        *(f"      - {name}: {{is_include_file: true, copyto: {_flat(name)}}}" for name in headers),
        *(f"      - {name}: {{copyto: {_flat(name)}}}" for name in sources),
        "    file_type: systemVerilogSource",
        "  images:",
        "    files:",
        *(f"      - {name}: {{copyto: {_flat(name)}}}" for name in images),
        "    file_type: user",
        "  bench:",
        "    files:",
        f"      - {GOLDEN_BENCH}: {{file_type: cppSource}}",
        f"      - {PORTS}: {{file_type: cppSource, is_include_file: true}}",
        *(f"      - {name}: {{file_type: user, copyto: {name}}}" for name in golden),
        "  synthesis:",
        "    files:",
        f"      - {SCRIPT}: {{file_type: user, copyto: synth.tcl}}",
        "",
        "targets:",
        "  default: &default",
        "    filesets: [rtl, images]",
        f"    toplevel: {TOP}",
        "  lint:",
        "    <<: *default",
        "    description: Verilator's warnings, each an error",
        "    flow: lint",
        "    flow_options:",
        "      tool: verilator",
        f"      verilator_options: [-Wall, {off}]",
        "  sim:",
        "    description: Verilator, likelihood, encode and decode against the golden vectors",
        "    flow: sim",
        "    filesets: [rtl, images, bench]",
        f"    toplevel: {BENCH_TOP}",
        "    flow_options:",
        "      tool: verilator",
        f"      verilator_options: [--assert, {off}]",
        f"      make_options: ['{_MAKE}']",
        "  synth:",
        "    description: Netlist for ECP5 by yosys",
        "    flow: generic",
        "    filesets: [rtl, images, synthesis]",
        f"    toplevel: {TOP}",
        "    flow_options:",
        "      tool: yosys",
        "      arch: ecp5",
        "      output_format: json",
        "      yosys_template: synth.tcl",
    ]
    if f"rtl/{STAGE_TOP}.sv" in sources:
        lines += [
            "  lint_stage:",
            "    <<: *default",
            "    description: Verilator's warnings of the predictor stage, each an error",
            f"    toplevel: {STAGE_TOP}",
            "    flow: lint",
            "    flow_options:",
            "      tool: verilator",
            f"      verilator_options: [-Wall, {off}]",
        ]
    return "\n".join([*lines, ""])


def _script(sources: list[str], netlist: str) -> str:
    """Write what yosys does, in Tcl: parameters reach sources before images are opened, which -defer sees to."""
    return "\n".join([
        f"# Made by pcedge export; the target synth of {CORE} runs it.",
        f"yosys read_verilog -sv -defer {' '.join(map(_flat, sources))}",
        f"yosys hierarchy -check -top {TOP}",
        f"yosys synth_ecp5 -top {TOP} -json {netlist}",
        "",
    ])  # fmt: skip


def _flat(name: str) -> str:
    return name.rpartition("/")[2]
