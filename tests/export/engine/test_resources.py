"""The estimate of resources: its rules on numbers that can be counted by hand, and what it must never do."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from helpers.special import special

from pcedge.circuit import load_circuit
from pcedge.drivers.size import EngineSize
from pcedge.export.engine.amounts import Amounts
from pcedge.export.engine.loaded_memories import copies
from pcedge.export.engine.resources import (
    either,
    estimate_resources,
    lut_ram,
    memory,
    multiplexer,
    multiplier,
    shifter,
    tree_adders,
)
from pcedge.export.program.image import capacity_of
from pcedge.export.program.lowering import Program, lower
from pcedge.export.target import FAMILIES, Resources, find_target
from pcedge.quantize import QuantizationConfig, quantize


@pytest.fixture(scope="module")
def programs() -> dict[EngineSize, Program]:
    circuit = quantize(load_circuit("digits"), QuantizationConfig(5, 12, 16))
    shapes = [
        EngineSize(macs, streams, bits) for macs, streams, bits in ((1, 1, 1), (16, 4, 2), (64, 8, 2), (128, 8, 4))
    ]
    return {shape: lower(circuit, shape=shape) for shape in shapes}


@pytest.mark.parametrize(
    ("sides", "family", "dsp"),
    [
        ((16, 16), "7-series", 1), ((17, 24), "7-series", 1), ((17, 25), "7-series", 2),
        ((17, 26), "ultrascale-plus", 1),
        ((18, 18), "ultrascale-plus", 2), ((40, 30), "7-series", 4), ((4, 30), "7-series", 0), ((5, 16), "7-series", 1),
    ],
)  # fmt: skip
def test_multipliers(sides: tuple[int, int], family: str, dsp: int) -> None:
    assert multiplier(*sides, family).dsp == multiplier(*sides[::-1], family).dsp == dsp
    assert multiplier(3, 16, family) == Amounts(lut=32, ff=32)


def test_small_parts() -> None:
    assert multiplexer(1, 16).lut == 0 and multiplexer(4, 16).lut == 16 and multiplexer(5, 16).lut == 32
    assert shifter(16, 15).lut == 32 and shifter(16, 16).lut == 48


@pytest.mark.parametrize(
    ("depth", "width", "ports", "expected"),
    [
        (0, 8, 1, Amounts()), (64, 16, 1, Amounts(lut=16)), (65, 15, 2, Amounts(lut=60)),
        (1024, 18, 1, Amounts(bram18=1)),
        (1025, 18, 1, Amounts(bram18=2)), (512, 36, 1, Amounts(bram18=1)), (512, 36, 2, Amounts(bram18=2)),
        (512, 36, 3, Amounts(bram18=3)), (1024, 18, 3, Amounts(bram18=2)),
        (16384, 9, 1, Amounts(bram18=8)), (100, 640, 1, Amounts(bram18=18)), (100, 640, 2, Amounts(bram18=36)),
    ],
)  # fmt: skip
def test_memories(depth: int, width: int, ports: int, expected: Amounts) -> None:
    assert memory(depth, width, ports) == expected
    assert memory(depth, width, ports).bram18 * 18 * 1024 + expected.lut * 64 >= depth * width


def test_written_memories_have_a_reader_a_copy() -> None:
    assert memory(512, 36, 4, written=True) == Amounts(bram18=4)
    assert memory(1024, 18, 2, written=True) == Amounts(bram18=2)
    assert memory(64, 16, 2, written=True) == Amounts(lut=2 * 24)
    assert memory(128, 16, 1, written=True) == Amounts(lut=48) and memory(129, 16, 1, written=True) == Amounts(bram18=1)


def test_trees_have_an_adder_less_than_terms() -> None:
    assert [tree_adders(EngineSize(macs).tile) for macs in (1, 2, 4, 8, 64)] == [0, 1, 4, 10, 2 * 8 * 7]
    assert [either(inputs, 8).lut for inputs in (0, 1, 2, 6, 7)] == [0, 0, 8, 8, 16]


def test_accumulators_lie_in_look_up_tables_whatever_their_depth() -> None:
    assert lut_ram(64, 3) == Amounts(lut=4) and lut_ram(65, 4, 2) == Amounts(lut=2 * 2 * 2 * 4)


def test_states_have_a_copy_for_each_of_two_readers(programs: dict[EngineSize, Program]) -> None:
    shape = EngineSize(1, 1, 1)
    bits = programs[shape].memory_bits()
    # Too large for look-up tables, and small enough for one block a copy; all else of a stream is in look-up tables.
    assert 1024 < bits["state"] <= 512 * 36 // 2 and bits["exponents"] <= 1024
    assert estimate_resources(programs[shape], "7-series").blocks["streams"].bram18 == 2


def test_shares(programs: dict[EngineSize, Program]) -> None:
    program = next(iter(programs.values()))
    found = estimate_resources(program, "7-series")
    own = found.total
    device = Resources(lut=2 * own.lut, ff=own.ff, dsp=4 * own.dsp, bram36=0, uram=0)
    assert found.shares(device) == {"lut": 50, "ff": 100, "dsp": 25, "bram18": None}


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_add_up_and_grow(programs: dict[EngineSize, Program], family: str) -> None:
    found = {shape: estimate_resources(program, family) for shape, program in programs.items()}
    for estimate in found.values():
        for kind in ("lut", "ff", "dsp", "bram18"):
            assert getattr(estimate.total, kind) == sum(getattr(amounts, kind) for amounts in estimate.blocks.values())
    totals = [estimate.total for estimate in found.values()]
    for less, more in pairwise(totals):
        assert less.lut < more.lut and less.ff < more.ff and less.dsp < more.dsp and less.bram18 <= more.bram18
    for shape, estimate in found.items():
        # 6 x 16 bits are one slice each; the wide products of the bounds are more.
        assert estimate.blocks["mix"].dsp == shape.multipliers["mix"]
        assert estimate.blocks["vector"].dsp == shape.multipliers["vector"]
        assert estimate.blocks["interval"].dsp >= shape.multipliers["interval"]


def test_memories_hold_what_is_counted(programs: dict[EngineSize, Program]) -> None:
    for shape, program in programs.items():
        blocks = estimate_resources(program, "7-series").blocks
        bits = program.memory_bits()
        for name in ("weights", "tables", "programs"):
            held = blocks[name].bram18 * 18 * 1024 + blocks[name].lut * 64
            assert held >= bits[name], (shape, name)
    lists = lower(special("sparse sums"), shape=EngineSize(4))
    assert estimate_resources(lists, "7-series").blocks["lists"].lut * 64 >= 4 * lists.memory_bits()["indices"] > 0


@pytest.mark.parametrize("shape", [EngineSize(1, 1, 1), EngineSize(16, 4, 2), EngineSize(64, 2, 3)])
def test_loaded_memories_hold_what_is_counted(shape: EngineSize) -> None:
    circuits = [special("sparse sums"), special("nested tables")]
    program, capacity = lower(circuits[0], shape=shape), capacity_of(circuits, shape)
    baked, loaded = (estimate_resources(program, "7-series", room) for room in (None, capacity))
    bits = capacity.memory_kinds()
    held = {name: amounts.bram18 * 18 * 1024 + amounts.lut * 64 for name, amounts in loaded.blocks.items()}
    for kind in ("weights", "tables", "programs"):
        assert held[kind] >= bits[kind], kind
    assert held["lists"] >= 4 * bits["indices"] > 0
    assert bits["loaded"] == capacity.memory_bits and bits["state"] == capacity.sizes["state_words"] * 12
    # Room for both circuits, in plain fields, and what loads it.
    assert loaded.blocks["image"].ff > 0 and "image" not in baked.blocks
    assert loaded.total.lut > baked.total.lut and loaded.blocks["vector"] == baked.blocks["vector"]


def test_copies_of_loaded_tables_serve_two_lanes_each() -> None:
    circuit = quantize(load_circuit("digits"))
    blocks = {}
    for shape in (EngineSize(4, 1, 2), EngineSize(64, 1, 2)):
        found = estimate_resources(lower(circuit, shape=shape), "7-series", capacity_of([circuit], shape))
        blocks[copies(shape)] = found.blocks["tables"].bram18
    alone = {count: blocks[count] / count for count in blocks}
    assert list(alone) == [1, 4] and alone[4] <= alone[1]


def test_what_a_device_lacks(programs: dict[EngineSize, Program]) -> None:
    program = max(programs.values(), key=lambda program: program.shape.macs)
    estimate = estimate_resources(program, "7-series")
    small, large = find_target("arty-a7").resources, find_target("alveo-u50").resources
    assert small is not None and large is not None
    assert "dsp" in estimate.missing(small) and "dsp" not in estimate.missing(large)
    said = estimate.as_dict()
    assert said["calibrated"] is False and said["family"] == "7-series"
    assert math.isclose(estimate.total.dsp, sum(amounts.dsp for amounts in estimate.blocks.values()))
