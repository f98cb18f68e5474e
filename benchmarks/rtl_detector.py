"""A detector of AXOL1TL's size as an unrolled kernel, parts of it placed and routed, and the depth of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.errors import PcedgeError
from pcedge.export.open_target import find_open_target
from pcedge.export.unrolled.cells import Cell
from pcedge.export.unrolled.kernel import Kernel, unroll
from pcedge.export.unrolled.lowering import OUTPUTS, lower
from pcedge.export.unrolled.stages import place
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain.open_flow import Timing, place_with_seeds, synthesize

#: as the trigger's: 57 inputs of 8 bits; 255 symbols, and the code of a missing one
INPUTS, SYMBOLS, STATES = 57, 255, 4

#: short mantissas, for speed, and nothing kept possible that rounding makes 0
CONFIG = QuantizationConfig(10, 10, 8, tails=False)

#: inputs of the parts that are placed and routed, each with one more level of products and sums
PARTS = (2, 4, 8)

#: the shortest time between two events, and the latency that is asked for
EVENT_NS, LATENCY_NS = 25.0, 50.0


def detector(inputs: int, states: int = STATES) -> Circuit:
    """Make a circuit over a balanced tree: leaves of two slopes, products of two, dense sums."""
    dice = np.random.default_rng(0)
    layers: list[InputLayer | ProductLayer | SumLayer] = []
    level = []
    for variable in range(inputs):
        mean, width = dice.uniform(20, 230, (states, 1)), dice.uniform(8, 40, (states, 1))
        heights = np.exp(-np.abs(np.arange(SYMBOLS) - mean) / width) + 1e-4
        layers.append(InputLayer(variable, heights / heights.sum(axis=1, keepdims=True)))
        level.append(len(layers) - 1)
    while len(level) > 1:
        above = []
        for pair in (level[i : i + 2] for i in range(0, len(level), 2)):
            if len(pair) == 1:
                above += pair
                continue
            layers.append(ProductLayer(tuple(pair), np.tile(np.arange(states)[:, None], (1, 2))))
            weights = dice.dirichlet(np.ones(states), 1 if len(level) == 2 else states)
            layers.append(SumLayer((len(layers) - 1,), weights))
            above.append(len(layers) - 1)
        level = above
    return Circuit(tuple(layers))


def cells_of(inputs: int) -> tuple[Kernel, list[Cell]]:
    """Give the kernel of a detector and its cells."""
    kernel = unroll(quantize(detector(inputs), CONFIG))
    return kernel, lower(kernel)


def whole() -> dict[str, Any]:
    """Count what the whole detector is made of, and estimate its stages."""
    kernel, cells = cells_of(INPUTS)
    stages = place(cells, OUTPUTS, 2)
    deep = place(cells, OUTPUTS)
    return {
        "adders": kernel.counts.adders, "multipliers": kernel.counts.multipliers, "tables": kernel.counts.tables,
        "at_once_ns": stages.longest_ns, "deep_latency": deep.latency, "deep_ns": deep.longest_ns,
    }  # fmt: skip


def placed(sources: Sequence[Path], top: str, folder: Path, speed: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Place and route a pipeline without pins on the largest ECP5; give area, clock and the limiting path."""
    target = replace(find_open_target("ecp5-85k"), speed=speed)
    netlist = synthesize(sources, top, target, folder)
    timings = place_with_seeds(netlist, target, folder, seeds, out_of_context=True)
    best = max(
        (timing for timing in timings.values() if isinstance(timing, Timing)), key=lambda timing: timing.fmax_mhz,
        default=None,
    )  # fmt: skip
    if best is None:
        raise next(timing for timing in timings.values() if isinstance(timing, PcedgeError))
    kinds: dict[str, float] = {}
    for step in best.critical_path:
        kinds[step.kind] = kinds.get(step.kind, 0.0) + step.delay_ns
    return {**netlist.totals, "mhz": round(best.fmax_mhz, 1), "path": {k: round(v, 2) for k, v in kinds.items()}}
