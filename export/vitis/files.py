"""The vendor's part of a project: components of Vitis HLS, the older Tcl, and a shell script.

Option names are those of UG1399, Vitis High-Level Synthesis User Guide (configuration files, Tcl commands), and UG1702,
Vitis Reference Guide (`v++`, `vitis-run`), 2023.2 to 2026.1.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from pcedge.export.target import Target


@dataclass(frozen=True)
class Sources:
    """Name what the components of a project are compiled from, and the arguments of their testbench."""

    files: tuple[str, ...]
    testbench: str
    #: for C simulation
    csim: str = "golden golden"
    #: for cosimulation: RTL has no hook that shows the steps, so only what the tops give is compared
    cosim: str = "outputs golden"


#: functions that are synthesised, each as a component of its own, and what they are compiled from
KERNEL_TOPS = ("pc_likelihood", "pc_encode", "pc_decode")
KERNELS = Sources(("src/pcedge_top.cpp", "src/pcedge_memories.cpp"), "testbench/testbench.cpp")
ENGINE_TOPS = ("pc_engine",)
ENGINE = Sources(("src/pcedge_engine.cpp", "src/pcedge_memories.cpp"), "testbench/engine.cpp", cosim="golden golden")

#: steps of the vendor's flow, in their order; all after synthesis need its result
STEPS = ("csim", "synthesis", "cosim", "ip", "impl")

#: steps that run where the user names none
DEFAULT_STEPS = ("csim", "synthesis")

#: the command of each step in a component's folder
COMPONENT_COMMANDS = {
    "csim": ("vitis-run", "--mode", "hls", "--csim"),
    "synthesis": ("v++", "-c", "--mode", "hls"),
    "cosim": ("vitis-run", "--mode", "hls", "--cosim"),
    "ip": ("vitis-run", "--mode", "hls", "--package"),
    "impl": ("vitis-run", "--mode", "hls", "--impl"),
}

#: what follows the command. It runs in the component's folder, so that paths in the configuration mean the same whether
#: a version of the tool takes them from there or from the working directory.
COMPONENT_ARGUMENTS = ("--config", "hls_config.cfg", "--work_dir", "work")

#: the command of the older flow, which takes steps and tops from the variables PCEDGE_STEPS and PCEDGE_TOPS
CLASSIC_COMMAND = ("vitis_hls", "-f", "run_hls.tcl")


def with_needed(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Put steps in their order, with synthesis where a later one needs it."""
    wanted = set(steps)
    if wanted & {"cosim", "ip", "impl"}:
        wanted.add("synthesis")
    return tuple(step for step in STEPS if step in wanted)


def component(top: str) -> str:
    """Name the folder of a top's component within the project."""
    return f"components/{top}"


def component_work(top: str) -> str:
    """Name the folder that the component flow writes, with reports below `hls/`."""
    return "/".join((component(top), "work", "hls"))


def classic_work(top: str) -> str:
    """Name the folder that the Tcl flow writes, of the same layout."""
    return f"build_{top}/solution"


def vendor_files(target: Target, tops: dict[Sources, tuple[str, ...]]) -> dict[str, str]:
    """Write the texts of the vendor's part, by their path in the project."""
    every = [top for names in tops.values() for top in names]
    values = {"part": target.part, "clock_ns": target.clock_ns, "tops": " ".join(every), "steps": " ".join(STEPS)}
    values["default_steps"] = " ".join(DEFAULT_STEPS)
    texts = {"run_vitis.sh": _fill("run_vitis.sh", values | _cases())}
    cases = []
    for sources, names in tops.items():
        testbenches = {"testbench": sources.testbench, "csim": sources.csim, "cosim": sources.cosim}
        listed = " ".join(sources.files)
        cases.append(
            f"    {' - '.join(names)} {{ set files {{{listed}}}; set testbench {sources.testbench}\n"
            f"        set csim {{{sources.csim}}}; set cosim {{{sources.cosim}}} }}"
        )
        files_of = "\n".join(f"syn.file=../../{name}" for name in sources.files)
        for top in names:
            named = values | testbenches | {"top": top, "sources": files_of}
            texts[f"{component(top)}/hls_config.cfg"] = _fill("hls_config.cfg", named)
    texts["run_hls.tcl"] = _fill("run_hls.tcl", values | {"sources": "\n".join(cases)})
    return texts


def _cases() -> dict[str, str]:
    words = {step: shlex.join((*command, *COMPONENT_ARGUMENTS)) for step, command in COMPONENT_COMMANDS.items()}
    return {"cases": "\n".join(f"        {step}) {command} ;;" for step, command in words.items())}


def _fill(name: str, values: dict[str, object]) -> str:
    text = files("pcedge.export.vitis").joinpath("templates", name).read_text(encoding="utf-8")
    return Template(text).substitute(values)
