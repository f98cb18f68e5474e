"""What a circuit costs on the parallel engine before synthesis: cycles, multipliers, memories, resources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.errors import UsageError
from pcedge.export.engine.amounts import ResourceEstimate
from pcedge.export.engine.cycles import JOBS, Estimate, busy_cycles, estimate, smallest
from pcedge.export.engine.resources import estimate_resources
from pcedge.export.program.image import capacity_of
from pcedge.export.program.lowering import lower
from pcedge.export.program.storage import cheapest_rows
from pcedge.export.project.prediction import stage_costs
from pcedge.export.project.stage import StageCode
from pcedge.export.target import DEFAULT_TARGET, Target, find_target
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: memories that each stream has its own of
_PER_STREAM = ("state", "exponents", "symbols")


@dataclass(frozen=True, eq=False)
class Cost:
    """Hold what a circuit costs on an engine; nothing was synthesised (docs/engine.md, section Cost)."""

    target: Target
    size: EngineSize
    #: `baked` or `reload`
    memories: str
    variables: int
    #: cycles of every job
    jobs: dict[str, Estimate]
    state_words: int
    #: bits of every memory, `rom` or `loaded` the sum of those that hold the circuit
    memory_bits: dict[str, int]
    #: None where the target says no family
    resources: ResourceEstimate | None
    #: of the circuit's predictor stage, if it has one; it is beside the engine and not in its other figures
    stage: StageCode | None = None

    @property
    def clock_hz(self) -> float:
        """Give the clock of the target."""
        return 1e9 / self.target.clock_ns

    def cycles_per_symbol(self, job: str) -> float:
        """Give the cycles a symbol where all streams are busy."""
        return self.jobs[job].cycles_per_record / self.variables

    def symbols_per_second(self, job: str) -> float:
        """Give the symbols a second where all streams are busy."""
        return self.clock_hz / self.cycles_per_symbol(job)

    def as_dict(self) -> dict[str, Any]:
        """Give all numbers by name, but for the resources."""
        return {
            "macs": self.size.macs, "streams": self.size.streams, "search_bits": self.size.search_bits,
            "memories": self.memories, "clock_mhz": self.clock_hz / 1e6,
            "jobs": {
                name: asdict(counted) | {
                    "cycles_per_symbol": self.cycles_per_symbol(name),
                    "symbols_per_second": self.symbols_per_second(name),
                }
                for name, counted in self.jobs.items()
            },
            "multipliers": self.size.multipliers,
            "state_words": self.state_words,
            "memory_bits": self.memory_bits,
        } | ({"stage": self.stage.as_dict()} if self.stage else {})  # fmt: skip


#: what limits a rate where no size of the engine does
STAGE_UNIT = "predictor stage"


@dataclass(frozen=True)
class OutOfReach:
    """Hold why no engine reaches a rate."""

    rate: float
    #: cycles a record that the rate leaves
    wanted: float
    #: the unit that takes the most, its cycles a record, and the macs of the largest engine
    unit: str
    cycles: int
    macs: int
    clock_mhz: float


def estimate_cost(
    circuit: IntegerCircuit | Program,
    *,
    target: str = DEFAULT_TARGET,
    size: EngineSize | None = None,
    memories: str = "baked",
    fit: Sequence[IntegerCircuit] = (),
) -> Cost:
    """Count the cycles, multipliers and memory bits of an engine, and estimate what it takes of a device.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        target: name of a shipped target, or the path of a TOML file.
        size: the sizes of the engine; None takes one multiply-accumulate a cycle and one stream.
        memories: `baked` or `reload`.
        fit: with `reload`, further circuits that the memories must have room for.

    Raises:
        UsageError: the target is unknown, or there are no such memories.
        NotStructuredError: the circuit cannot be coded.
        WidthError: circuits of one engine differ in a width that it fixes.

    Example:
        >>> from pcedge.export import load_zoo
        >>> cost = estimate_cost(load_zoo("nltcs"), target="zcu104", size=EngineSize(16, 4))
        >>> cost.cycles_per_symbol("encode") < cost.cycles_per_symbol("decode")
        True
    """
    if memories not in ("baked", "reload"):
        raise UsageError(f"memories must be baked or reload, got {memories!r}")
    if fit and memories != "reload":
        raise UsageError("fit must come with the memories reload")
    program, board = Program.of(circuit), find_target(target)
    size = size or EngineSize(search_bits=default_search_bits(program.circuit, 1))
    lowered = lower(cheapest_rows(program, size), shape=size)
    capacity = capacity_of([program, *fit], size) if memories == "reload" else None
    memory = lowered.memory_bits() if capacity is None else capacity.memory_kinds()
    widths, sizes = (program.circuit.widths, lowered.sizes) if capacity is None else (capacity.widths, capacity.sizes)
    memory["symbols"] = 2 * sizes["variables"] * widths.symbol
    memory |= {name: memory[name] * size.streams for name in _PER_STREAM}
    return Cost(
        board, size, memories, len(program.circuit.order), {job: estimate(program, size, job) for job in JOBS},
        sizes["state_words"], memory,
        None if board.family is None else estimate_resources(lowered, board.family, capacity),
        stage_costs(program.circuit),
    )  # fmt: skip


def smallest_for(
    circuit: IntegerCircuit | Program,
    rate: float,
    job: str,
    target: str = DEFAULT_TARGET,
    search_bits: int | None = None,
) -> EngineSize | OutOfReach:
    """Find the least macs, and for these the least streams, that reach so many symbols a second; or what limits it.

    Raises:
        UsageError: the rate is not positive and finite, the target or job is unknown.
        NotStructuredError: the circuit cannot be coded.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"rate must be positive and finite, got {rate}")
    program = Program.of(circuit)
    clock = 1e9 / find_target(target).clock_ns
    wanted = clock * len(program.circuit.order) / rate
    stage = stage_costs(program.circuit)
    if stage is not None and stage.passes > wanted:  # a record is a number, whose class and token the stage makes
        return OutOfReach(rate, wanted, STAGE_UNIT, stage.passes, 1, clock / 1e6)
    size = smallest(program, job, wanted, search_bits)
    if size is not None:
        return size
    bits = default_search_bits(program.circuit, 4096) if search_bits is None else search_bits
    unit, cycles = max(busy_cycles(program, EngineSize(4096, 32, bits), job).items(), key=lambda pair: pair[1])
    return OutOfReach(rate, wanted, unit, cycles, 4096, clock / 1e6)
