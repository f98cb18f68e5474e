"""What a circuit costs on the engine in SystemVerilog before synthesis: cycles, memories, area (docs/rtl.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pcedge.export.open_target import OpenTarget, find_open_target
from pcedge.export.project.manifest import BUILT_JOBS, RTL
from pcedge.export.project.prediction import stage_of
from pcedge.export.rtl.area import AreaEstimate, estimate_area, multipliers
from pcedge.export.rtl.cycles import cycles_per_symbol
from pcedge.export.rtl.fitting import lower_for
from pcedge.export.rtl.memories import BLOCKS, Memory, engine_memories, mapped
from pcedge.export.rtl.params import sizes_of
from pcedge.export.rtl.size import RtlSize
from pcedge.export.rtl.stage.tables import stage_tables
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program


@dataclass(frozen=True)
class RtlCost:
    """Hold what a circuit costs on an engine; nothing was synthesised."""

    #: None for `rtl`, which is no device
    target: OpenTarget | None
    size: RtlSize
    #: what the engine is built for
    built_jobs: tuple[str, ...]
    variables: int
    #: by job
    cycles_per_symbol: dict[str, float]
    multipliers: dict[str, int]
    memories: list[Memory]
    #: words of lanes of a stream's row memory
    state_words: int
    #: of the target's family, or of all
    areas: dict[str, AreaEstimate]
    #: bits of the memories of the circuit's predictor stage, which stands beside the engine; None where it has none
    stage: dict[str, int] | None = None

    @property
    def clock_mhz(self) -> float | None:
        """Give the clock that the target asks for."""
        return None if self.target is None else 1e3 / self.target.clock_ns

    def as_dict(self) -> dict[str, Any]:
        """Give all numbers by name; those that the estimate of an HLS engine has too have its names."""
        clock = self.clock_mhz
        jobs = rates_of(self.cycles_per_symbol, self.variables, clock)
        result: dict[str, Any] = {
            **asdict(self.size), "target": RTL if self.target is None else self.target.name, "memories": "baked",
            "built_jobs": list(self.built_jobs),
            "clock_mhz": clock, "jobs": jobs, "multipliers": self.multipliers, "state_words": self.state_words,
            "memory_bits": {memory.name: memory.bits for memory in self.memories},
            "memory_map": {
                memory.name: {"words": memory.words, "width": memory.width, "reads": memory.reads,
                              "copies": memory.copies,
                              "bram": {family: mapped(memory, family).bram for family in self.areas}}
                for memory in self.memories
            },
            "initiation_interval": {name: job["cycles_per_record"] for name, job in jobs.items()},
        }  # fmt: skip
        if self.stage is not None:
            result["stage"] = {"memory_bits": self.stage}
        areas = {family: resources_of(area, self.target) for family, area in self.areas.items()}
        return result | {"resources": areas if self.target is None else areas[self.target.family]}


def rates_of(
    cycles_per_symbol: Mapping[str, float], variables: int, clock_mhz: float | None
) -> dict[str, dict[str, float | None]]:
    """Give cycles and, at a clock, symbols a second by job."""
    return {
        name: {
            "cycles_per_record": round(cycles * variables, 3), "cycles_per_symbol": cycles,
            "symbols_per_second": None if clock_mhz is None else 1e6 * clock_mhz / cycles,
        } for name, cycles in cycles_per_symbol.items()
    }  # fmt: skip


def resources_of(area: AreaEstimate, target: OpenTarget | None) -> dict[str, Any]:
    """Give an estimate by name, beside what a device holds."""
    result: dict[str, Any] = {
        "calibrated": area.lut is not None, "family": area.family, "total": area.total, "fmax_mhz": area.fmax_mhz,
        "errors": area.errors, "builds": area.builds, "builds_of_these_sources": area.current,
    }  # fmt: skip
    if target is not None:
        device = {name: getattr(target.resources, name) for name in area.total}
        share = {
            name: None if amount is None or not device[name] else 100 * amount / device[name]
            for name, amount in area.total.items()
        }
        result |= {"device": device, "share": share, "missing": area.missing(target.resources)}
    return result


def estimate_rtl(
    source: IntegerCircuit | Program, size: RtlSize, target: str = RTL, jobs: Sequence[str] = BUILT_JOBS
) -> RtlCost:
    """Count the cycles and memories of an engine, and estimate what it takes of a device.

    Args:
        source: a structured-decomposable integer circuit, or its program.
        size: of the engine.
        target: `rtl`, or a device of the open flow: a shipped one's name, or the path of a TOML file.
        jobs: what the engine is built for.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit, or no device has that name.
    """
    device = None if target == RTL else find_open_target(target)
    image = lower_for(source, size, target, jobs)
    sizes = sizes_of(image)
    families = list(BLOCKS) if device is None else [device.family]
    return RtlCost(
        device, image.size, image.jobs, len(image.circuit.order), cycles_per_symbol(image), multipliers(sizes),
        engine_memories(sizes), image.rows * size.lanes, {family: estimate_area(sizes, family) for family in families},
        None if stage_of(image.circuit) is None else stage_tables(image.circuit).memory_bits,
    )  # fmt: skip


def missing_of(
    source: IntegerCircuit | Program, size: RtlSize, target: str, jobs: Sequence[str] = BUILT_JOBS, harden: str = "none"
) -> list[str]:
    """List the resources of which a device has too little for an engine, by the estimate; none of `rtl`.

    Args:
        source: a structured-decomposable integer circuit, or its program.
        size: of the engine.
        target: `rtl`, or a device of the open flow.
        jobs: what the engine is built for.
        harden: one of `size.LEVELS`; what it takes itself is not counted.

    Raises:
        UsageError: the engine cannot hold the circuit, or no device has that name.
    """
    if target == RTL:
        return []
    device = find_open_target(target)
    sizes = sizes_of(lower_for(source, size, target, jobs, harden=harden))
    return estimate_area(sizes, device.family).missing(device.resources)
