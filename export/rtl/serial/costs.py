"""What a circuit costs on the serial engine before synthesis: cycles, its model's memory, area (docs/rtl.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pcedge.export.open_target import OpenTarget, find_open_target
from pcedge.export.project.manifest import RTL
from pcedge.export.rtl.area import AreaEstimate
from pcedge.export.rtl.costs import rates_of, resources_of
from pcedge.export.rtl.serial.area import FAMILY, check_device, serial_area
from pcedge.export.rtl.serial.cycles import cycles_of
from pcedge.export.rtl.serial.image import ENTRY_BITS, LANES, MEMORY_WORDS, SerialImage, lower_serial
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: what the engine does, in the order of its figures
SERIAL_JOBS = ("likelihood", "encode", "decode")


@dataclass(frozen=True)
class SerialCost:
    """Hold what a circuit costs on the serial engine; nothing was synthesised."""

    #: None for `rtl`, which is no device
    target: OpenTarget | None
    variables: int
    #: by job; of decode about, it depends on the data
    cycles_per_symbol: dict[str, float]
    #: of the model, by what is in it
    memory_bits: dict[str, int]
    area: AreaEstimate
    #: of the model's memory
    memory_room: int = MEMORY_WORDS * LANES * ENTRY_BITS

    @property
    def clock_mhz(self) -> float | None:
        """Give the clock that the target asks for."""
        return None if self.target is None else 1e3 / self.target.clock_ns

    def as_dict(self) -> dict[str, Any]:
        """Give all numbers by name; those that the parallel engine's estimate has too have its names."""
        clock = self.clock_mhz
        jobs = rates_of(self.cycles_per_symbol, self.variables, clock)
        resources = resources_of(self.area, self.target)
        return {
            "engine": "serial", "target": RTL if self.target is None else self.target.name, "clock_mhz": clock,
            "jobs": jobs, "memory_bits": self.memory_bits, "memory_room": self.memory_room,
            "initiation_interval": {name: job["cycles_per_record"] for name, job in jobs.items()},
            "resources": {FAMILY: resources} if self.target is None else resources,
        }  # fmt: skip


def serial_cycles(image: SerialImage) -> dict[str, float]:
    """Give the cycles of a symbol, by job."""
    return {job: round(cycles_of(image, job) / len(image.lowered.circuit.order), 3) for job in SERIAL_JOBS}


def serial_memory(image: SerialImage) -> dict[str, int]:
    """Give the bits of the model, by what is in it."""
    return {name: words * LANES * ENTRY_BITS for name, words in image.parts.items()}


def estimate_serial(source: IntegerCircuit | Program, target: str = RTL) -> SerialCost:
    """Count the cycles and the model of a serial engine.

    Args:
        source: a structured-decomposable integer circuit, or its program.
        target: `rtl`, or a device of the open flow: a shipped one's name, or the path of a TOML file.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit, the device has no memory for a model, or none has that name.
    """
    device = None if target == RTL else find_open_target(target)
    check_device(target)
    image = lower_serial(source)
    return SerialCost(
        device, len(image.lowered.circuit.order), serial_cycles(image), serial_memory(image), serial_area()
    )
