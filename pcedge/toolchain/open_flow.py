"""The open flow from SystemVerilog to a bitstream: synthesis, place and route, packing.

A result is kept beside its log, and made again only where sources, options or tools have changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pcedge.errors import FormatError, PcedgeError, ToolError, UsageError
from pcedge.export.open_target import OpenTarget
from pcedge.toolchain import open_tools
from pcedge.toolchain.children import Run, finish, finish_all
from pcedge.toolchain.constraints import constraints
from pcedge.toolchain.fence import FENCE, fence
from pcedge.toolchain.kept import gather, is_kept, keep, named, read_by, state_of
from pcedge.toolchain.netlists import Netlist, amounts, read_netlist, read_ports
from pcedge.toolchain.timing_reports import PlacedReport, Step, Used, read_report

#: how each family is synthesised
_SYNTHESIS = {"ecp5": "synth_ecp5", "ice40": "synth_ice40 -dsp -spram", "gowin": "synth_gowin"}

#: yosys' models of a family's cells, for designs that name some: its commands of synthesis read them too late for that
_CELLS = {"ecp5": "+/ecp5/cells_bb.v", "ice40": "+/ice40/cells_sim.v", "gowin": "+/gowin/cells_sim.v"}

#: what takes a netlist to a device, and what makes a bitstream of that, by family
PLACERS = {"ecp5": "nextpnr-ecp5", "ice40": "nextpnr-ice40", "gowin": "nextpnr-gowin"}
PACKERS = {"ecp5": "ecppack", "ice40": "icepack", "gowin": "gowin-pack"}

#: names of what nextpnr leaves for the packer, and of bitstreams
_ROUTED = {"ecp5": "routed.config", "ice40": "routed.asc", "gowin": "routed.json"}
_BITSTREAMS = {"ecp5": "bitstream.bit", "ice40": "bitstream.bin", "gowin": "bitstream.fs"}

#: seeds of nextpnr
MOST_SEED = 2**31 - 1

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
#: yosys goes on where a parameter has not the value that an instance gives it, and cuts what is connected
_RESIZED = re.compile(r"^Warning: Resizing cell port (.*)\.$", re.MULTILINE)
_TEXT = re.compile(r"[A-Za-z0-9_./ -]*")


@dataclass(frozen=True)
class Timing:
    """Hold a placed and routed design."""

    #: the highest frequency of the clock, after routing; of the slowest clock where there are several
    fmax_mhz: float
    #: that was asked for
    asked_mhz: float
    #: the slowest path from a register to a register
    critical_path: tuple[Step, ...]
    #: by the kind of site, as nextpnr names it: TRELLIS_COMB, ICESTORM_LC, LUT4, …
    utilisation: Mapping[str, Used]
    #: what `pack` reads; None for a design out of context, which has no pins
    bitstream_source: Path | None
    seed: int
    #: all that nextpnr reports
    report: PlacedReport
    log: Path
    #: which tool made it
    tool: str

    @property
    def met(self) -> bool:
        """Tell whether the frequency that was asked for is reached."""
        return self.fmax_mhz >= self.asked_mhz


def synthesize(
    sources: Sequence[Path], top: str, target: OpenTarget, folder: Path, *,
    parameters: Mapping[str, int | str] | None = None, defines: Mapping[str, str] | None = None,
    include: Sequence[Path] = (), flags: Sequence[str] = (), fenced: bool = False, names_cells: bool = False,
) -> Netlist:  # fmt: skip
    """Synthesise a top for a device, or give the netlist that is there where nothing has changed.

    Sources, headers (`.svh`, `.vh`) and images (`.hex`, `.mem`) that lie beside them are copied into `folder/inputs`,
    where yosys runs: `include` and `$readmemh` name them without a folder.

    Args:
        sources: SystemVerilog, packages before what imports them.
        top: the module at the top.
        target: the device.
        folder: takes `netlist.json`, `netlist.v`, the script and the log.
        parameters: of the top, by name.
        defines: macros, by name.
        include: folders of more headers and images.
        flags: for yosys' synthesis command of the family, as `-abc2`.
        fenced: whether registers stand between the ports and three pins, see `toolchain.fence`; the netlist's top is
            `pcedge_fence` then, and so is the unit that holds what the fence takes.
        names_cells: whether sources name cells of the family, as a PLL.

    Raises:
        UsageError: a source is not there, two have one name, or a name is none.
        MissingToolError: yosys is missing.
        ToolError: it failed, or took an instance's port for one of another width; its own text is in the message.
        FormatError: it left no netlist of the top.
    """
    if fenced:
        around = _fence(sources, top, folder, parameters or {}, defines or {}, include)
        sources, top, parameters, include = [*sources, around], FENCE, {}, [*include, *_folders(sources)]
    inputs = [*sources, *read_by(sources, include)]
    names = named(inputs)[: len(sources)]
    script = _script(names, top, target, parameters or {}, defines or {}, flags)
    if names_cells:
        script = f"read_verilog -lib {_CELLS[target.family]}\n{script}"
    tool = open_tools.version("yosys")
    state = state_of(inputs, {"script": script, "yosys": tool})
    folder = folder.resolve()
    json, verilog, stamp = folder / "netlist.json", folder / "netlist.v", folder / "synthesis.sha256"
    if not is_kept(stamp, state, [json, verilog]):
        gather(inputs, folder / "inputs")
        (folder / "synthesis.ys").write_text(script, encoding="utf-8")
        command = (*open_tools.command("yosys"), "-s", "../synthesis.ys")
        log = folder / "synthesis.log"
        check_ports(finish(Run(f"synthesis of {top} for {target.name}", command, folder / "inputs", log)), log)
        if not (json.is_file() and verilog.is_file()):
            raise ToolError(f"yosys must leave {json.name} and {verilog.name} in {folder}, it left none")
        keep(stamp, state, [json, verilog])
    cells, kinds, units = read_netlist(json, top)
    return Netlist(json, verilog, top, cells, amounts(target.family, kinds, units), units, tool)


def check_ports(said: str, log: Path) -> None:
    """Refuse a netlist of instances that have not the widths of what is connected: it is not what its sources are."""
    if resized := _RESIZED.findall(said):
        raise ToolError(
            f"ports of instances must be as wide as what they are connected to, yosys resized {len(resized)}, the "
            f"first {resized[0]}; its log is {log}"
        )


def ports_of(
    sources: Sequence[Path], top: str, folder: Path, *, parameters: Mapping[str, int | str] | None = None,
    defines: Mapping[str, str] | None = None, include: Sequence[Path] = (),
) -> dict[str, tuple[str, int]]:  # fmt: skip
    """Give direction and number of bits of a top's ports, by name; the arguments and errors are as of `synthesize`."""
    inputs = [*sources, *read_by(sources, include)]
    names = named(inputs)[: len(sources)]
    script = "\n".join(
        [*reading(names, top, parameters or {}, defines or {}), "blackbox", "write_json ../ports.json", ""]
    )
    state = state_of(inputs, {"script": script, "yosys": open_tools.version("yosys")})
    folder = folder.resolve() / "ports"
    ports, stamp = folder / "ports.json", folder / "ports.sha256"
    if not is_kept(stamp, state, [ports]):
        gather(inputs, folder / "inputs")
        (folder / "ports.ys").write_text(script, encoding="utf-8")
        command = (*open_tools.command("yosys"), "-s", "../ports.ys")
        finish(Run(f"reading {top}", command, folder / "inputs", folder / "ports.log"))
        keep(stamp, state, [ports])
    return read_ports(ports, top)


def place_and_route(
    netlist: Netlist, target: OpenTarget, folder: Path, seed: int = 1, frequency_mhz: float | None = None, *,
    out_of_context: bool = False,
) -> Timing:  # fmt: skip
    """Place and route a netlist with one seed, or give what is there where nothing has changed.

    A clock that is not reached is no error: see `Timing.met`.

    Args:
        netlist: of the same family as the target.
        target: the device; where it has a board the ports of the top are at the board's pins, else at pins that
            nextpnr chooses.
        folder: takes a folder `seed-…` with the report, the log, and what `pack` reads.
        seed: of nextpnr; the same seed gives the same result.
        frequency_mhz: what to reach; None takes the target's.
        out_of_context: without pins, for a part of a design; of ECP5 only, others take `pins.fence`.

    Raises:
        UsageError: the seed is out of its range, or the family has no placement without pins.
        MissingToolError: nextpnr is missing.
        ToolError: it failed, as where the design does not fit; its own text is in the message.
    """
    (result,) = place_with_seeds(netlist, target, folder, [seed], frequency_mhz, out_of_context=out_of_context).values()
    if isinstance(result, PcedgeError):
        raise result
    return result


def place_with_seeds(
    netlist: Netlist, target: OpenTarget, folder: Path, seeds: Sequence[int], frequency_mhz: float | None = None, *,
    out_of_context: bool = False, parallel: int = 1, ended: Callable[[int], None] = lambda seed: None,
) -> dict[int, Timing | PcedgeError]:  # fmt: skip
    """Place and route a netlist with several seeds; give all results, or why there is none, by seed.

    Args:
        netlist: as of `place_and_route`; so are `target`, `folder`, `frequency_mhz`, and `out_of_context`.
        target: the device.
        folder: takes a folder `seed-…` for each.
        seeds: of nextpnr.
        frequency_mhz: what to reach.
        out_of_context: without pins.
        parallel: how many at a time; each takes a core, and of a large device a gigabyte.
        ended: is told each seed that was placed and routed now, and was not there before.
    """
    if out_of_context and target.family != "ecp5":
        raise UsageError(f"placement without pins must be for ecp5, {target.name} is of {target.family}")
    if wrong := [seed for seed in seeds if not 1 <= seed <= MOST_SEED]:
        raise UsageError(f"a seed must be in 1..{MOST_SEED}, got {wrong[0]}")
    name = PLACERS[target.family]
    command, tool = open_tools.command(name), open_tools.version(name)
    asked = target.frequency_mhz if frequency_mhz is None else frequency_mhz
    pins = "" if out_of_context else constraints(target)
    folder = folder.resolve()
    runs: dict[int, Run] = {}
    states: dict[int, str] = {}
    for seed in dict.fromkeys(seeds):
        words = placement(target, asked, seed, out_of_context=out_of_context, pins=bool(pins))
        options = {"words": words, "pins": pins, "tool": tool}
        place = folder / f"seed-{seed}"
        states[seed] = state_of([netlist.json], options)
        if is_kept(place / "routed.sha256", states[seed], _left(place, target, out_of_context)):
            continue
        place.mkdir(parents=True, exist_ok=True)
        gather([netlist.json], place / "inputs", link=True)
        if pins:
            (place / "inputs" / _pins_file(target)).write_text(pins, encoding="utf-8")
        what = f"place and route of {netlist.top} for {target.name} with seed {seed}"
        runs[seed] = Run(what, (*command, *words), place / "inputs", place / "routed.log")
    numbers = list(runs)

    def routed(number: int) -> None:
        seed = numbers[number]  # noted at once: an interrupt of later ones takes nothing from it
        place = folder / f"seed-{seed}"
        keep(place / "routed.sha256", states[seed], _left(place, target, out_of_context))
        ended(seed)

    failed = finish_all(list(runs.values()), parallel, routed)
    results: dict[int, Timing | PcedgeError] = {}
    for seed in dict.fromkeys(seeds):
        place = folder / f"seed-{seed}"
        error = failed[numbers.index(seed)] if seed in runs else None
        results[seed] = error or _timing(place, target, asked, seed, out_of_context, tool)
    return results


def pack(timing: Timing, target: OpenTarget, folder: Path) -> Path | None:
    """Make the bitstream of a placed and routed design; None for one out of context, which has no pins.

    Args:
        timing: of `place_and_route` for the same target.
        target: the device.
        folder: takes the bitstream and the log.

    Raises:
        MissingToolError: the packer is missing.
        ToolError: it failed; its own text is in the message.
    """
    routed = timing.bitstream_source
    if routed is None:
        return None
    name = PACKERS[target.family]
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / _BITSTREAMS[target.family]
    # Relative: tools in WebAssembly see a /tmp of their own.
    near = Path(os.path.relpath(routed, folder)).as_posix()
    words = {
        "ecp5": ("--compress", "--input", near, "--bit", out.name),
        "ice40": (near, out.name),
        "gowin": ("-d", target.device, "-o", out.name, near),
    }[target.family]
    state, stamp = state_of([routed], {"tool": open_tools.version(name), "words": words}), folder / "packed.sha256"
    if not is_kept(stamp, state, [out]):
        finish(Run(f"packing {target.name}", (*open_tools.command(name), *words), folder, folder / "packed.log"))
        if not out.is_file():
            raise ToolError(f"{name} must leave {out}, it left none")
        keep(stamp, state, [out])
    return out


def counted(timing: Timing, netlist: Netlist, target: OpenTarget) -> dict[str, int | str]:
    """Count `lut`, `ff`, `dsp`, `bram` as the device counts them, with `bram_kind`, and of iCE40 `spram`.

    Tables that only carry a chain or pass a signal on count too. What nextpnr does not count by itself, as flip-flops
    of iCE40, which share their cells with tables, is that of the netlist.
    """

    def sites(*kinds: str) -> int:
        return sum(used.used for kind, used in timing.utilisation.items() if kind in kinds)

    totals: dict[str, int | str] = dict(netlist.totals)
    around = netlist.units.get(FENCE, {})
    if target.family == "ecp5":
        totals |= {"lut": sites("TRELLIS_COMB"), "ff": sites("TRELLIS_FF")}
        totals |= {"dsp": sites("MULT18X18D"), "bram": sites("DP16KD")}
    elif target.family == "ice40":
        totals |= {"lut": sites("ICESTORM_LC"), "dsp": sites("ICESTORM_DSP"), "bram": sites("ICESTORM_RAM")}
        totals |= {"spram": sites("ICESTORM_SPRAM")}
    else:
        totals |= {"lut": sites("LUT4", "ALU", "RAM16SDP4"), "ff": sites("DFF"), "bram": sites("BSRAM")}
    for resource, count in around.items():
        totals[resource] = int(totals[resource]) - (0 if resource in ("dsp", "bram") else count)
    return totals | {"bram_kind": target.resources.bram_kind}


def _fence(
    sources: Sequence[Path], top: str, folder: Path, parameters: Mapping[str, int | str], defines: Mapping[str, str],
    include: Sequence[Path],
) -> Path:  # fmt: skip
    """Write the fence of a top."""
    ports = ports_of(sources, top, folder, parameters=parameters, defines=defines, include=include)
    path = folder / "fence" / f"{FENCE}.sv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fence(top, ports, parameters), encoding="utf-8")
    return path


def _folders(sources: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(path.parent for path in sources))


def reading(
    names: Sequence[str], top: str, parameters: Mapping[str, int | str], defines: Mapping[str, str]
) -> list[str]:
    """Write how yosys reads a design, a command a line."""
    for name in (top, *parameters, *defines):
        if not _NAME.fullmatch(name):
            raise UsageError(f"names of modules, parameters and macros must be letters, digits and _, got {name!r}")
    for value in (*(value for value in parameters.values() if isinstance(value, str)), *defines.values()):
        if not _TEXT.fullmatch(value):
            raise UsageError(f"values of parameters and macros must be letters, digits, dots and dashes, got {value!r}")
    if wrong := [name for name in names if " " in name]:
        raise UsageError(f"names of sources must have no spaces, got {wrong[0]!r}")
    macros = "".join(f" -D {name}={value}" if value else f" -D {name}" for name, value in defines.items())
    # Deferred: with the values of the defaults, images that are not there would be opened.
    lines = [f"read_verilog -sv -defer{macros} {' '.join(names)}"]
    if parameters:
        values = (f'-set {name} "{v}"' if isinstance(v, str) else f"-set {name} {v}" for name, v in parameters.items())
        lines.append(f"chparam {' '.join(values)} $abstract\\{top}")
    return [*lines, f"hierarchy -check -top {top}"]


def _script(
    names: Sequence[str], top: str, target: OpenTarget, parameters: Mapping[str, int | str],
    defines: Mapping[str, str], flags: Sequence[str],
) -> str:  # fmt: skip
    """Write what yosys does to synthesise, a command a line."""
    lines = reading(names, top, parameters, defines)
    synthesis = _SYNTHESIS[target.family]
    if target.family == "gowin":
        synthesis += f" -family {target.device.split('-')[0].lower().rstrip('rz')}"
    lines.append(f"{' '.join([synthesis, *flags])} -top {top} -json ../netlist.json")
    lines.append("write_verilog -noattr ../netlist.v")
    return "\n".join(lines) + "\n"


def placement(
    target: OpenTarget, frequency_mhz: float | None = None, seed: int = 1, *, out_of_context: bool = False,
    pins: bool = False,
) -> list[str]:  # fmt: skip
    """Give the words of nextpnr in a folder with `netlist.json`, beside which it leaves its report a level up."""
    asked = target.frequency_mhz if frequency_mhz is None else frequency_mhz
    words = ["--json", "netlist.json", "--report", "../report.json", "--freq", f"{asked:g}", "--seed", str(seed)]
    words += ["--timing-allow-fail", "--detailed-timing-report"]
    routed, file = f"../{_ROUTED[target.family]}", _pins_file(target)
    if target.family == "gowin":
        words += ["--device", target.part, "--vopt", f"family={target.device}", "--write", routed]
        return words + (["--vopt", f"cst={file}"] if pins else [])
    words += [f"--{target.device}", "--package", target.package]
    if target.family == "ice40":
        words += ["--asc", routed]
        return words + (["--pcf", file] if pins else ["--pcf-allow-unconstrained"])
    # why not the default one: docs/rtl-flow.md, pcedge build
    words += ["--speed", target.speed, "--placer", "static", "--threads", "1"]
    if out_of_context:
        return [*words, "--out-of-context"]
    words += ["--textcfg", routed]
    return words + (["--lpf", file] if pins else ["--lpf-allow-unconstrained"])


def _pins_file(target: OpenTarget) -> str:
    return {"ecp5": "pins.lpf", "ice40": "pins.pcf", "gowin": "pins.cst"}[target.family]


def _left(place: Path, target: OpenTarget, out_of_context: bool) -> list[Path]:
    """Name what nextpnr leaves."""
    return [place / "report.json", *([] if out_of_context else [place / _ROUTED[target.family]])]


def _timing(place: Path, target: OpenTarget, asked: float, seed: int, out_of_context: bool, tool: str) -> Timing:
    report = read_report(place / "report.json")
    if not report.clocks:
        raise FormatError("nextpnr-report", f"{place / 'report.json'} must have a clock: the design has no register")
    slowest = min(report.clocks, key=lambda clock: clock.fmax_mhz)
    source = None if out_of_context else place / _ROUTED[target.family]
    return Timing(
        slowest.fmax_mhz, asked, report.paths.get(slowest.name, ()), report.utilisation, source, seed, report,
        place / "routed.log", tool,
    )  # fmt: skip
