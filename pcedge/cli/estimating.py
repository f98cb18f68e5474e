"""The command that counts the cycles and memories of an engine before synthesis."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.completing import targets
from pcedge.cli.files import read_integer
from pcedge.cli.inputs import MODEL, jobs_of
from pcedge.cli.output import Command, Result, in_words, memory_in_words, must_come_with, options_given, table

if TYPE_CHECKING:
    from pcedge.export.engine.costs import Cost
    from pcedge.export.open_target import OpenTarget
    from pcedge.export.rtl.area import AreaEstimate
    from pcedge.export.rtl.costs import RtlCost
    from pcedge.export.rtl.serial.costs import SerialCost
    from pcedge.export.rtl.size import RtlSize
    from pcedge.integer.circuit import IntegerCircuit

#: jobs, in the order of the table
JOBS = ("likelihood", "encode", "decode")


@click.command(cls=Command, example="pcedge estimate m.onnx --target vitis-hls --rate 10e6")
@click.argument("model", type=MODEL)
@click.option(
    "--target", default="vitis-hls", show_default=True, shell_complete=targets(),
    help="A target's name or TOML file: its clock. rtl, or a device as ecp5-25k: the engine in SystemVerilog.",
)  # fmt: skip
@click.option(
    "--macs", default=1, type=int,
    help="A power of two in 1..4096, a cycle; of RTL of each core.  [default: 1; of RTL as export]",
)  # fmt: skip
@click.option("--streams", default=1, type=int, help="Records in flight, 1..64.  [default: 1; of RTL as export]")
@click.option(
    "--engine", "which", type=click.Choice(["parallel", "serial"]),
    help="Of RTL: serial has no sizes.  [default: parallel; as export, serial for devices of iCE40 without sizes]",
)  # fmt: skip
@click.option(
    "--lanes", type=int, help="Of RTL: entries of a row, a power of two.  [default: a tile as square as can be]"
)
@click.option("--table-lanes", type=int, help="Of RTL: leaf tables read a cycle, a power of two.  [default: 2]")
@click.option("--cores", type=int, help="Of RTL: share macs and streams out to so many, as export does.  [default: 1]")
@click.option("--jobs", help="Of RTL: what the engine is built for, as export takes it.")
@click.option(
    "--search-bits", type=int, help="Of HLS: bits a decoder finds in a round, 1..4.  [default: by macs and symbols]"
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Of HLS: symbols a second; find the least macs and streams."
)
@click.option(
    "--memories",
    default="baked",
    show_default=True,
    type=click.Choice(["baked", "reload"]),
    help="Of HLS, as export takes it.",
)
@click.option("--fit", multiple=True, type=MODEL, help="With --memories reload: another circuit that must fit.")
@click.option("--job", default="encode", show_default=True, type=click.Choice(JOBS), help="Of HLS: the job of --rate.")
def estimate(
    model: str, target: str, macs: int, streams: int, which: str | None, lanes: int | None, table_lanes: int | None,
    cores: int | None, jobs: str | None, search_bits: int | None, rate: float | None, memories: str,
    fit: tuple[str, ...], job: str,
) -> Result:  # fmt: skip
    """Count cycles, multipliers and memory bits of the engine before synthesis; estimate what it takes of a device.

    Memory bits count each memory once, state and symbols once a stream; the table of resources counts the copies too.
    """
    from pcedge.drivers.size import EngineSize, default_search_bits
    from pcedge.export.engine.costs import STAGE_UNIT, OutOfReach, estimate_cost, smallest_for
    from pcedge.export.rtl.serial.project import is_serial_target
    from pcedge.export.rtl.size import is_rtl_target, size_for
    from pcedge.schedule import Program

    if is_rtl_target(target):
        if wrong := options_given("search_bits", "rate", "memories", "fit", "job"):
            raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a target of HLS, {target} is of RTL")
        sized = options_given("macs", "streams", "lanes", "table_lanes", "cores", "jobs")
        if which == "serial" and sized:
            raise click.UsageError(f"--{sized[0].replace('_', '-')} must go with --engine parallel")
        if which == "serial" or (which is None and not sized and is_serial_target(target)):
            return _of_serial(read_integer(model), target)
        of_all = (macs if options_given("macs") else None, streams if options_given("streams") else None)
        chosen = size_for(*of_all, lanes, table_lanes, cores)
        return _of_rtl(read_integer(model), target, chosen, jobs)
    if wrong := options_given("which", "lanes", "table_lanes", "cores", "jobs"):
        name = "engine" if wrong[0] == "which" else wrong[0].replace("_", "-")
        raise click.UsageError(f"--{name} must go with a target of RTL, {target} is of HLS")
    if fit and memories != "reload":
        raise click.UsageError("--fit must go with --memories reload")
    must_come_with("--rate", rate is not None, "job", without=("macs", "streams"))
    if rate is not None and not math.isfinite(rate):
        raise click.UsageError(f"--rate must be a finite number, got {rate}")
    program = Program.of(read_integer(model))
    circuit = program.circuit
    if rate is None:
        size = EngineSize(macs, streams, default_search_bits(circuit, macs) if search_bits is None else search_bits)
    else:
        answer = smallest_for(program, rate, job, target, search_bits)
        if isinstance(answer, OutOfReach):
            behind = "" if answer.unit == STAGE_UNIT else f" with {answer.macs} macs"
            text = (
                f"no engine reaches {rate:g} symbols a second at {answer.clock_mhz:g} MHz: that is {answer.wanted:.1f} "
                f"cycles a record, and {answer.unit} alone takes {answer.cycles}{behind}"
            )
            refusal = {"reached": False, "rate": rate, "limited_by": answer.unit, "cycles_per_record": answer.cycles}
            return refusal, text, 1
        size = answer
    others = [read_integer(name) for name in fit]
    cost = estimate_cost(program, target=target, size=size, memories=memories, fit=others)
    result: dict[str, Any] = cost.as_dict()
    if rate is not None:
        result |= {"reached": True, "rate": rate}
    resources, shown = _resources(cost)
    result |= {"initiation_interval": {name: counted.cycles_per_record for name, counted in cost.jobs.items()}}
    result["resources"] = resources
    clock = cost.clock_hz / 1e6
    lines = [f"{size.macs} macs, {size.streams} streams, {size.search_bits} search bits, {clock:g} MHz"]
    lines.append(f"{'job':<12}{'cycles/symbol':>15}{'cycles/record':>15}{'latency/cycles':>16}{'symbols/s':>12}")
    for name, counted in cost.jobs.items():
        lines.append(
            f"{name:<12}{cost.cycles_per_symbol(name):>15.2f}{counted.cycles_per_record:>15.1f}{counted.latency:>16}"
            f"{cost.symbols_per_second(name):>12.3g}"
        )
    lines += [f"multipliers: {in_words(size.multipliers)}", f"memory: {memory_in_words(cost.memory_bits)}"]
    if circuit.row_lengths and "row_table" not in cost.memory_bits:
        reason = "images hold these" if memories == "reload" else "at this size they take less ROM"
        lines.append(f"the row table is stored as whole matrices: {reason}")
    if cost.stage is not None:
        kbit = [f"{name.replace('_', ' ')} {bits / 1000:.3f}" for name, bits in cost.stage.memory_bits.items()]
        widths = [f"{name} {one} × {other} bits" for name, (one, other) in cost.stage.multipliers.items()]
        lines.append(
            f"predictor stage, each of its tops: kbit: {', '.join(kbit)}; multiplications a number, at most: "
            f"{cost.stage.multiplications}, by multipliers: {', '.join(widths) or 'none'}; passes of its loops a "
            f"number: {cost.stage.passes}"
        )
        lines.append(
            "it stands beside the engine, and neither the rates above nor the resources count it: at this clock it "
            f"takes at most {cost.clock_hz / max(1, cost.stage.passes):.3g} numbers a second"
        )
    return result, ["\n".join(lines), *shown], 0


def _cycles(cost: RtlCost | SerialCost, title: str) -> object:
    """List cycles and rates by job."""
    clock = cost.clock_mhz
    rows: list[list[object]] = [
        [
            name,
            f"{cycles:.2f}",
            f"{cycles * cost.variables:.1f}",
            "" if clock is None else f"{1e6 * clock / cycles:,.0f}",
        ]
        for name, cycles in cost.cycles_per_symbol.items()
    ]
    at = "" if clock is None else f"; {clock:g} MHz are asked"
    return table(title + at, ["job", "a symbol", "a record", "symbols/s"], rows)


def _of_serial(circuit: IntegerCircuit, target: str) -> Result:
    """Count the cycles and the model of the serial engine."""
    from pcedge.export.rtl.serial.costs import estimate_serial

    cost = estimate_serial(circuit, target)
    held, parts = sum(cost.memory_bits.values()), (f"{name} {n:,}" for name, n in cost.memory_bits.items())
    shown: list[object] = [
        f"the serial engine, 1 stream; --engine parallel, or sizes, estimate the parallel one for {target}",
        _cycles(cost, "cycles, of decode about"),
        f"model: {held:,} of {cost.memory_room:,} bits: {', '.join(parts)}",
        _areas([cost.area], cost.target, ()),
        f"nothing was synthesised: area and clock are the mean and the median of {cost.area.builds} engines, which "
        "circuits change little" + ("" if cost.area.current else "; these were of earlier sources"),
    ]
    result = cost.as_dict()
    return result, shown + _too_little(result, cost.target), 0


def _areas(areas: list[AreaEstimate], target: OpenTarget | None, counted: tuple[str, ...]) -> object:
    """List what an engine takes by family, and what a device holds; what is counted has no error beside it."""
    rows: list[list[object]] = []
    for area in areas:
        errors = {
            name: f" ± {100 * error['left_out']:.0f} %" for name, error in area.errors.items() if name not in counted
        }
        amounts = ["" if n is None else f"{n:,}{errors.get(name, '')}" for name, n in area.total.items()]
        clock = "" if area.fmax_mhz is None else f"{area.fmax_mhz:.0f}{errors.get('fmax_mhz', '')}"
        rows.append([area.family, *amounts, clock])
    if target is not None:
        held = target.resources
        rows.append([target.name, held.lut, held.ff, held.dsp, held.bram, f"{1e3 / target.clock_ns:g}"])
    return table("resources", ["family", "LUT", "FF", "DSP", "block RAM", "MHz"], rows)


def _too_little(result: dict[str, Any], target: OpenTarget | None) -> list[object]:
    """Say of what a device has too little."""
    missing = [] if target is None else result["resources"]["missing"]
    return [f"by this estimate {target.name} has too little of: {', '.join(missing)}"] if target and missing else []


def _of_rtl(circuit: IntegerCircuit, target: str, size: RtlSize, jobs: str | None) -> Result:
    """Estimate the engine in SystemVerilog."""
    from pcedge.export.project.manifest import BUILT_JOBS
    from pcedge.export.rtl.area import COUNTED
    from pcedge.export.rtl.costs import estimate_rtl
    from pcedge.export.rtl.memories import mapped

    cost = estimate_rtl(circuit, size, target, BUILT_JOBS if jobs is None else jobs_of(jobs))
    shared = "" if size.cores == 1 else f"; {size.cores} cores share macs and streams out"
    shown: list[object] = [
        f"{size.macs} macs, {size.streams} streams, {size.lanes} lanes, {size.table_lanes} table lanes{shared}"
    ]
    shown.append(_cycles(cost, "cycles of a long run, as simulation counts them"))
    shown.append(f"multipliers: {in_words(cost.multipliers)}")
    families = list(cost.areas)
    rows: list[list[object]] = [
        [
            memory.name,
            memory.words,
            memory.width,
            memory.reads,
            memory.copies,
            *(mapped(memory, family).bram for family in families),
        ]
        for memory in cost.memories
    ]
    shown.append(table("memories, and block RAMs", ["memory", "words", "bits", "reads", "copies", *families], rows))
    shown.append(_areas(list(cost.areas.values()), cost.target, COUNTED))
    shown += _calibrated(list(cost.areas.values()))
    if cost.stage is not None:
        kbit = [f"{name.replace('_', ' ')} {bits / 1000:.3f}" for name, bits in cost.stage.items()]
        shown.append(
            f"the predictor stage stands beside the engine, and no figure above counts it: kbit: {', '.join(kbit)}"
        )
    result = cost.as_dict()
    return result, shown + _too_little(result, cost.target), 0


def _calibrated(areas: list[AreaEstimate]) -> list[object]:
    """Say what the estimate rests on."""
    from pcedge.export.rtl.area import COUNTED

    lines: list[object] = ["nothing was synthesised: cycles, multipliers and block RAMs are counted"]
    fitted = [area for area in areas if area.lut is not None]
    if fitted:
        lines.append(
            f"look-up tables and registers are fitted to {fitted[0].builds} builds; errors are those of fits without "
            "the family" + ("" if fitted[0].current else "; these builds were of earlier sources")
        )
        off = [
            f"{area.family} " + " and ".join(f"{100 * area.errors[name]['left_out']:.0f} %" for name in COUNTED)
            for area in fitted
        ]
        lines.append(f"counts of multipliers and block RAMs were off in these builds by, in the mean: {', '.join(off)}")
    if uncalibrated := [area.family for area in areas if area.lut is None]:
        lines.append(f"look-up tables and registers are not calibrated: {', '.join(uncalibrated)}")
    return lines


def _resources(cost: Cost) -> tuple[dict[str, object] | None, list[object]]:
    """Tell what the engine takes of a target's device; nothing where the target file says no family."""
    target, estimate = cost.target, cost.resources
    if estimate is None:
        return None, [f"no resources are estimated: the target {target.name} says no family"]
    result, total = estimate.as_dict(), asdict(estimate.total)
    rows: list[list[object]] = [[name, *asdict(amounts).values()] for name, amounts in estimate.blocks.items()]
    rows.append(["all", *total.values()])
    lines: list[object] = []
    if target.resources is not None:
        available = [int(getattr(target.resources, name)) for name in total]
        rows.append([target.part, *available])
        missing = estimate.missing(target.resources)
        shares = estimate.shares(target.resources)
        result |= {"device": dict(zip(total, available, strict=True)), "share": shares, "missing": missing}
        percentages = [f"{name} {share:.1f} %" for name, share in shares.items() if share is not None]
        lines.append(f"share of {target.part}: {', '.join(percentages)}")
        if missing:
            lines.append(f"by this estimate {target.part} has too little of: {', '.join(missing)}")
    title = f"resources, counted, not calibrated: {target.family}"
    lines.append("nothing was synthesised: docs/engine.md says how each part is counted")
    return result, [table(title, ["block", "LUT", "FF", "DSP", "BRAM 18"], rows), *lines]
