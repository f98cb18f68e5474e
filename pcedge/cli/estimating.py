"""The command that counts the cycles and memories of an engine before synthesis."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import MODEL
from pcedge.cli.output import Command, Result, in_words, memory_in_words, must_come_with, table

if TYPE_CHECKING:
    from pcedge.export.program.image import Capacity
    from pcedge.export.program.lowering import Program
    from pcedge.export.target import Target

#: jobs, in the order of the table
JOBS = ("likelihood", "encode", "decode")


@click.command(cls=Command, example="pcedge estimate m.onnx --target vitis-hls --rate 10e6")
@click.argument("model", type=MODEL)
@click.option("--target", default="vitis-hls", show_default=True, help="A target's name or TOML file: its clock.")
@click.option("--macs", default=1, show_default=True, type=int, help="A power of two in 1..4096, a cycle.")
@click.option("--streams", default=1, show_default=True, type=int, help="Records in flight, 1..64.")
@click.option("--search-bits", type=int, help="Bits a decoder finds in a round, 1..4.  [default: by macs and symbols]")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Symbols a second: find the least macs and streams."
)
@click.option(
    "--memories", default="baked", show_default=True, type=click.Choice(["baked", "reload"]), help="As export takes it."
)
@click.option("--fit", multiple=True, type=MODEL, help="With --memories reload: another circuit that must fit.")
@click.option("--job", default="encode", show_default=True, type=click.Choice(JOBS), help="The job of --rate.")
def estimate(
    model: str, target: str, macs: int, streams: int, search_bits: int | None, rate: float | None, memories: str,
    fit: tuple[str, ...], job: str,
) -> Result:  # fmt: skip
    """Count cycles, multipliers and memory bits of the engine before synthesis; estimate what it takes of a device.

    Memory bits count each memory once, state and symbols once a stream; the table of resources counts the copies too.
    """
    from pcedge.export.engine.cycles import busy_cycles, smallest
    from pcedge.export.engine.cycles import estimate as count
    from pcedge.export.program.image import capacity_of
    from pcedge.export.program.lowering import lower
    from pcedge.export.program.size import EngineSize, default_search_bits
    from pcedge.export.target import find_target

    if fit and memories != "reload":
        raise click.UsageError("--fit must go with --memories reload")
    must_come_with("--rate", rate is not None, "job", without=("macs", "streams"))
    if rate is not None and not math.isfinite(rate):
        raise click.UsageError(f"--rate must be a finite number, got {rate}")
    circuit = read_integer(model)
    board = find_target(target)
    clock = 1e9 / board.clock_ns
    variables = len(circuit.order)
    shape = EngineSize(macs, streams, default_search_bits(circuit, macs) if search_bits is None else search_bits)
    if rate is not None:
        wanted = clock * variables / rate
        found = smallest(circuit, job, wanted, search_bits)
        if found is None:
            most = EngineSize(4096, 32, default_search_bits(circuit, 4096) if search_bits is None else search_bits)
            unit, cycles = max(busy_cycles(circuit, most, job).items(), key=lambda pair: pair[1])
            text = (
                f"no engine reaches {rate:g} symbols a second at {clock / 1e6:g} MHz: that is {wanted:.1f} cycles a "
                f"record, and {unit} alone takes {cycles} with {most.macs} macs"
            )
            return {"reached": False, "rate": rate, "limited_by": unit, "cycles_per_record": cycles}, text, 1
        shape = found
    jobs = {name: count(circuit, shape, name) for name in JOBS}
    program = lower(circuit, shape=shape)
    others = [read_integer(name) for name in fit]
    capacity = capacity_of([circuit, *others], shape) if memories == "reload" else None
    memory: dict[str, Any] = program.memory_bits() if capacity is None else capacity.memory_kinds()
    widths, sizes = (circuit.widths, program.sizes) if capacity is None else (capacity.widths, capacity.sizes)
    memory["symbols"] = 2 * sizes["variables"] * widths.symbol
    for name in ("state", "exponents", "symbols"):
        memory[name] *= shape.streams
    result: dict[str, Any] = {
        "macs": shape.macs, "streams": shape.streams, "search_bits": shape.search_bits, "memories": memories,
        "clock_mhz": clock / 1e6,
        "jobs": {
            name: asdict(counted) | {
                "cycles_per_symbol": counted.cycles_per_record / variables,
                "symbols_per_second": clock * variables / counted.cycles_per_record,
            }
            for name, counted in jobs.items()
        },
        "multipliers": shape.multipliers,
        "state_words": sizes["state_words"],
        "memory_bits": memory,
    }  # fmt: skip
    if rate is not None:
        result |= {"reached": True, "rate": rate}
    resources, shown = _resources(program, board, capacity)
    result |= {"initiation_interval": {name: counted.cycles_per_record for name, counted in jobs.items()}}
    result["resources"] = resources
    lines = [f"{shape.macs} macs, {shape.streams} streams, {shape.search_bits} search bits, {clock / 1e6:g} MHz"]
    lines.append(f"{'job':<12}{'cycles/symbol':>15}{'cycles/record':>15}{'latency/cycles':>16}{'symbols/s':>12}")
    for name, counted in jobs.items():
        per = counted.cycles_per_record / variables
        lines.append(
            f"{name:<12}{per:>15.2f}{counted.cycles_per_record:>15.1f}{counted.latency:>16}{clock / per:>12.3g}"
        )
    lines += [f"multipliers: {in_words(shape.multipliers)}", f"memory: {memory_in_words(memory)}"]
    return result, ["\n".join(lines), *shown], 0


def _resources(
    program: Program, target: Target, capacity: Capacity | None
) -> tuple[dict[str, object] | None, list[object]]:
    """Estimate what the engine takes of a target's device; nothing where the target file says no family."""
    from pcedge.export.engine.resources import estimate_resources

    if target.family is None:
        return None, [f"no resources are estimated: the target {target.name} says no family"]
    found = estimate_resources(program, target.family, capacity)
    said, total = found.as_dict(), asdict(found.total)
    rows: list[list[object]] = [[name, *asdict(amounts).values()] for name, amounts in found.blocks.items()]
    rows.append(["all", *total.values()])
    lines: list[object] = []
    if target.resources is not None:
        held = [int(getattr(target.resources, name)) for name in total]
        rows.append([target.part, *held])
        missing = found.missing(target.resources)
        shares = found.shares(target.resources)
        said |= {"device": dict(zip(total, held, strict=True)), "share": shares, "missing": missing}
        parts = [f"{name} {share:.1f} %" for name, share in shares.items() if share is not None]
        lines.append(f"share of {target.part}: {', '.join(parts)}")
        if missing:
            lines.append(f"by this estimate {target.part} has too little of: {', '.join(missing)}")
    title = f"resources, counted, not calibrated: {target.family}"
    lines.append("nothing was synthesised: docs/engine.md says how each part is counted")
    return said, [table(title, ["block", "LUT", "FF", "DSP", "BRAM 18"], rows), *lines]
