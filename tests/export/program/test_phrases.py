"""Programs as phrases: they hold the steps, and stay small where latents have different numbers of states."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import integer_circuits

from benchmarks.step_programs import CASES, Case, integers, mnist_parents, tree_circuit
from pcedge.circuit import load_circuit
from pcedge.drivers.layout import KIND, STEP_FIELDS
from pcedge.export import load_zoo
from pcedge.export.program.lowering import Arrangement, arrange, lower
from pcedge.export.program.operands import number_operands
from pcedge.export.program.packing import Column
from pcedge.export.program.phrases import MOST_STEPS, TRIED, find_phrases
from pcedge.export.program.places import cheapest, framed, lowest_first
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Interval, Op


@cache
def of(case: Case) -> tuple[IntegerCircuit, Arrangement]:
    """Make a circuit of the size of MNIST; programs do not depend on how many symbols there are."""
    circuit = integers(case, symbols=2)
    return circuit, arrange(circuit)


def check_steps(circuit: IntegerCircuit, arranged: Arrangement) -> None:
    """Demand that phrases give every number that a step uses, whether they are chosen or not."""
    operands, phrased = arranged.phrased
    addresses = 16 * np.arange(len(circuit.layers))
    table = operands.table(addresses)
    for assembled, memory in zip((arranged.up, arranged.walk), phrased, strict=True):
        assert memory is not None
        memory = replace(memory, operands=table)
        assert memory.count == len(assembled.columns["kind"].values) and 1 <= memory.longest <= MOST_STEPS
        for name in STEP_FIELDS:
            column = assembled.columns[name]
            wanted = addresses[column.values] if name == "weights" else column.values
            assert_array_equal(memory.column(name)[column.used], wanted[column.used], err_msg=name)


@given(integer_circuits())
def test_phrases_hold_the_steps(circuit: IntegerCircuit) -> None:
    check_steps(circuit, arrange(circuit))


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_phrases_hold_the_steps_of_unequal_trees(seed: int, fold: bool, tails: bool) -> None:
    rng = np.random.default_rng(seed)
    parents = (-1, *(int(rng.integers(0, child)) for child in range(1, int(rng.integers(2, 20)))))
    circuit = tree_circuit(parents, Case("small", (1, 2, 3, 5), fold), seed, symbols=3)
    integers = quantize(circuit, QuantizationConfig(4, 10, tails=tails))
    check_steps(integers, arrange(integers))


def test_a_part_at_the_begin_of_a_value_has_its_own_size() -> None:
    """DOWN makes 5 entries, and INTERVAL takes the first 3 of them: the same place, but not the columns."""
    times = 6
    used = {
        Op.DOWN: {"units": 5, "a_units": 2, "target": 0, "target_exponent": 0, "a": 5, "a_exponent": 1},
        Op.INTERVAL: {"a_units": 3, "a": 0, "a_exponent": 0},
    }
    rows = [
        {**dict.fromkeys(KIND, 0), **used[kind], "kind": int(kind), name: number}
        for number in range(times)
        for kind, name in ((Op.DOWN, "weights"), (Op.INTERVAL, "variable"))
    ]
    columns = {
        name: Column(np.array([row.get(name, 0) for row in rows]), np.array([name in row for row in rows]))
        for name in STEP_FIELDS
    }
    operands = number_operands([columns], times)
    assert_array_equal(operands.layers, np.arange(times))
    found = replace(find_phrases(columns, operands), operands=operands.table(np.arange(times)))
    assert found.steps.rows == times and found.longest == 2
    for name in ("units", "a_units"):
        assert_array_equal(found.column(name)[columns[name].used], columns[name].values[columns[name].used])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_programs_take_a_fifth_of_850_kbit_at_most(case: Case) -> None:
    """Of circuits of the size of MNIST; without phrases and frames they take up to 389 kbit."""
    circuit, arranged = of(case)
    bits = lower(circuit, arranged).memory_bits()
    assert bits["programs"] <= 170_000
    # Far less, in fact: a ninth.
    assert bits["programs"] <= 850_000 / 8
    assert bits["programs"] == bits["likelihood_program"] + bits["code_program"] + bits["operands"]
    check_steps(circuit, arranged)


@pytest.mark.parametrize("name", ["digits", "mnist-16", "nltcs", "shuttle"])
def test_shipped_circuits_take_less_than_with_a_row_a_step(name: str) -> None:
    circuit = quantize(load_circuit("digits")) if name == "digits" else load_zoo(name)
    assert isinstance(circuit, IntegerCircuit)
    plain, found = (lower(circuit, arrange(circuit, plain=plain)).memory_bits() for plain in (True, False))
    assert found["programs"] < plain["programs"] and found["state"] <= plain["state"]
    assert plain["operands"] == 0


def test_a_latent_and_its_variable_share_a_number() -> None:
    operands, _ = of(CASES[3])[1].phrased
    parents = mnist_parents()
    inner = {parent for parent in parents if parent >= 0}
    assert len(operands.layers) == len(parents)
    # Latents without children were folded: only their variables are left.
    assert {number for number, layer in enumerate(operands.layers) if layer >= 0} == inner
    assert_array_equal(operands.number_of(operands.layers[sorted(inner)]), sorted(inner))


def test_limits_of_phrases() -> None:
    _, found = of(CASES[1])[1].phrased[1]
    assert found is not None
    most = max(count for count, _, _ in TRIED), max(count for _, count, _ in TRIED)
    assert len(found.arguments("place")) <= most[0] and len(found.arguments("operand")) <= most[1]
    ends = np.flatnonzero(found.phrases.column("last"))
    assert int(np.diff(ends, prepend=-1).max()) == found.longest
    assert found.steps.rows < found.count / 5


def test_frames_give_every_slot_its_own_address() -> None:
    circuit, _ = of(CASES[1])
    schedule = Program.of(circuit).code
    packed, found = lowest_first(schedule), framed(schedule)
    starts = dict(sorted({(slot, address) for address, slot in found.locations.values()}))
    assert len(starts) == found.slots == packed.slots < len(set(packed.locations.values())) / 10
    ends = [*list(starts.values())[1:], found.state]
    for step in schedule.steps:
        if not isinstance(step, Interval):
            address, slot = found.locations[step.target]
            assert address + step.units <= ends[slot]
    assert packed.state <= found.state <= 16 * found.slots
    assert cheapest(schedule, circuit.state_bits).locations == found.locations
