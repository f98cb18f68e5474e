"""The two schedules and their replay: structure of the programs, equality with plain integers, and brute force."""

from __future__ import annotations

import operator
from collections import Counter
from itertools import product as combinations

import make_vectors as oracle
import numpy as np
import pytest
import strategies
from helpers.intervals import share_out
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, NotStructuredError
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.schedules import code_schedule
from pcedge.schedule.steps import Interval, ListSum, Op, Schedule, Step, describe, revives

SMALL = {"max_variables": 5, "max_states": 3, "max_symbols": 3}


def chain(variables: int, states: int, symbols: int = 2, seed: int = 0) -> Circuit:
    """Make a hidden Markov model, coded from its first variable on."""
    rng = np.random.default_rng(seed)
    layers: list = []
    for variable in reversed(range(variables)):
        layers.append(InputLayer(variable, rng.dirichlet(np.ones(symbols), states)))
        if variable < variables - 1:
            pairs = np.repeat(np.arange(states)[:, None], 2, axis=1)
            layers.append(ProductLayer((len(layers) - 1, len(layers) - 2), pairs))
        weights = rng.dirichlet(np.ones(states), states if variable else 1)
        layers.append(SumLayer((len(layers) - 1,), weights))
    return Circuit(tuple(layers))


def plain_likelihood(circuit: IntegerCircuit, record: list[int]) -> tuple[int, int]:
    """Compute a record's likelihood layer by layer, in plain integers, without a schedule."""
    bits, keep = circuit.state_bits, circuit.tails

    def normalise(accumulated: list[int], exponent: int) -> tuple[list[int], int]:
        if keep:
            return oracle.kept_normalise(accumulated, exponent, bits)
        return oracle.normalise(accumulated, exponent, bits, False)

    values: list[tuple[list[int], int]] = []
    for layer in circuit.layers:
        if isinstance(layer, IntegerInput):
            symbol = record[layer.variable]
            column = [int(row[-1] if symbol < 0 else row[symbol + 1] - row[symbol]) for row in layer.cumulative]
            exponent = -circuit.leaf_bits
            if layer.tails is not None:
                tail = int(layer.tails[symbol])
                column, exponent = [oracle.tail_entry(count, tail) for count in column], exponent - oracle.TAIL_BITS
            values.append(normalise(column, exponent))
            continue
        below = [values[child] for child in layer.children]
        if isinstance(layer, IntegerSum):
            whole = below[0]
            for part in below[1:]:
                whole = oracle.kept_align(whole, part) if keep else oracle.align(whole, part)
            weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
            mixed = (
                oracle.kept_mix(weights.tolist(), whole[0], layer.tails)
                if keep
                else oracle.accumulate(weights.tolist(), whole[0])
            )
            values.append(normalise(mixed, whole[1] - circuit.weight_bits))
            continue
        gather = layer.gather.tolist()
        running = ([below[0][0][row[0]] for row in gather], below[0][1])
        for place in range(1, len(below)):
            others = [below[place][0][row[place]] for row in gather]
            multiply = oracle.kept_product if keep else operator.mul
            multiplied = [multiply(m, other) for m, other in zip(running[0], others, strict=True)]
            running = normalise(multiplied, running[1] + below[place][1])
        values.append(running)
    return values[-1][0][0], values[-1][1]


def matrix_uses(schedule: Schedule) -> Counter[int]:
    return Counter(step.layer for step in schedule.steps if step.op in (Op.UP, Op.DOWN))


def check_program(circuit: IntegerCircuit, schedule: Schedule) -> None:
    """Check that every value is made once, read only while it lives, and freed once, by the step that reads it last."""
    last = {step.target: number for number, step in enumerate(schedule.steps) if not isinstance(step, Interval)}
    last |= {source.value: number for number, step in enumerate(schedule.steps) for source in step.sources}
    for number, frees in enumerate(schedule.frees):
        assert all(last[value] == number for value in frees)
    alive: set[int] = set()
    sizes: dict[int, int] = {}
    freed: set[int] = set()
    for step, frees in zip(schedule.steps, schedule.frees, strict=True):
        for source in step.sources:
            assert source.value in alive, describe(step)
            assert 0 <= source.offset
            assert source.offset + source.units <= sizes[source.value]
        for source, gather in zip(step.sources, getattr(step, "gathers", ()), strict=False):
            assert gather is None or (gather.min() >= 0 and gather.max() < source.units)
        if isinstance(step, ListSum):
            assert len(step.lists.indptr) == step.units + 1
            assert step.lists.columns == step.source.units
        if not isinstance(step, Interval):
            assert step.target not in sizes
            sizes[step.target] = step.units
            alive.add(step.target)
        assert alive.issuperset(frees)
        assert freed.isdisjoint(frees)
        freed.update(frees)
        alive.difference_update(frees)
    assert alive == ({schedule.result} if schedule.result >= 0 else set())
    assert sorted(sizes) == list(range(len(sizes)))


class TestPrograms:
    @given(strategies.integer_circuits())
    def test_likelihood(self, circuit):
        schedule = ReferenceEngine(circuit).program.likelihood
        check_program(circuit, schedule)
        sums = {index for index, layer in enumerate(circuit.layers) if isinstance(layer, IntegerSum)}
        assert matrix_uses(schedule) == dict.fromkeys(sums, 1)
        assert not any(revives(step) for step in schedule.steps)
        assert {step.op for step in schedule.steps} <= {Op.LEAF, Op.UP, Op.MULTIPLY, Op.ALIGN}

    @given(strategies.integer_circuits())
    def test_code(self, circuit):
        schedule = ReferenceEngine(circuit).program.code
        check_program(circuit, schedule)
        uses = matrix_uses(schedule)
        sums = {index for index, layer in enumerate(circuit.layers) if isinstance(layer, IntegerSum)}
        assert set(uses) == sums
        assert max(uses.values(), default=0) <= 2
        downs = Counter(step.layer for step in schedule.steps if step.op is Op.DOWN)
        assert downs == dict.fromkeys(sums, 1)
        coded = [step.variable for step in schedule.steps if step.op is Op.INTERVAL]
        assert tuple(coded) == circuit.order

    @given(strategies.integer_circuits())
    def test_are_pure_functions_of_the_circuit(self, circuit):
        first, second = ReferenceEngine(circuit), ReferenceEngine(circuit)
        for one, two in (
            (first.program.code, second.program.code),
            (first.program.likelihood, second.program.likelihood),
        ):
            assert [describe(s) for s in one.steps] == [describe(s) for s in two.steps]
            assert [s.sources for s in one.steps] == [s.sources for s in two.steps]
            assert one.frees == two.frees

    @given(strategies.integer_circuits(), st.data())
    def test_contexts_of_intervals_are_never_zero(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, missing=data.draw(st.booleans()), min_records=1))

        def observe(_: int, step: Step, result) -> None:
            if step.op is Op.INTERVAL:
                assert (result[0].sum(axis=0) > 0).all()

        ReferenceEngine(circuit).intervals(records, observe)

    @given(strategies.integer_circuits(), st.data())
    def test_every_value_fits_its_width(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, missing=True, min_records=1))
        engine = ReferenceEngine(circuit)

        def observe(_: int, step: Step, result) -> None:
            mantissa, exponent = result
            assert mantissa.min() >= 0
            assert mantissa.max() < 2**circuit.state_bits
            assert exponent.min() >= -(2**30)
            if step.op not in (Op.ALIGN, Op.INTERVAL):
                largest = mantissa.max(axis=0)
                assert ((largest == 0) | (largest >> (circuit.state_bits - 1) == 1)).all()
                assert ((largest > 0) | (not revives(step))).all()
            if step.op is Op.INTERVAL:
                assert int(mantissa.sum(axis=0).max()).bit_length() <= circuit.widths.context_sum

        engine.likelihood(records, observe)
        engine.intervals(records, observe)

    @given(strategies.unstructured_circuits())
    def test_unstructured_circuits_have_no_walk(self, circuit):
        engine = ReferenceEngine(quantize(circuit))
        text = r"^layers \d+ and \d+ \(product\) partition the scope \[.*\] differently: "
        with pytest.raises(NotStructuredError, match=text):
            code_schedule(engine.circuit)
        check_program(engine.circuit, engine.program.likelihood)
        check_program(engine.circuit, engine.program.code)

    @pytest.mark.slow
    def test_a_chain_of_3000_variables_does_not_recurse(self):
        engine = ReferenceEngine(quantize(chain(3000, 2)))
        assert len(engine.program.likelihood.steps) == 3000 + 3000 + 2999
        check_program(engine.circuit, engine.program.code)
        records = np.zeros((2, 3000), dtype=np.int64)
        mantissa, exponent = engine.likelihood(records)
        assert mantissa.min() > 0
        assert exponent.max() < -1000
        lo, hi = engine.intervals(records)
        assert (lo < hi).all()

    def test_chain(self):
        """A chain needs no way up beyond its leaves: one use a sum."""
        engine = ReferenceEngine(quantize(chain(20, 4)))
        assert set(matrix_uses(engine.program.code).values()) == {1}
        ops = Counter(step.op for step in engine.program.code.steps)
        assert ops == {Op.INIT: 1, Op.DOWN: 20, Op.INTERVAL: 20, Op.LEAF: 19, Op.MULTIPLY: 19}

    def test_star(self):
        """A product of all variables keeps one running product, with the context, and none without."""
        leaves = [InputLayer(v, np.array([[0.2, 0.8], [0.7, 0.3]])) for v in range(9)]
        product = ProductLayer(tuple(range(9)), np.repeat(np.arange(2)[:, None], 9, axis=1))
        circuit = quantize(Circuit((*leaves, product, SumLayer((9,), np.array([[0.5, 0.5]])))))
        ops = Counter(step.op for step in ReferenceEngine(circuit).program.code.steps)
        assert ops == {Op.INIT: 1, Op.DOWN: 1, Op.INTERVAL: 9, Op.LEAF: 8, Op.MULTIPLY: 8}

    def test_balanced_tree_uses_each_sum_at_most_twice_and_few_vectors(self):
        circuit = quantize(strategies.make_circuit(1, 12, 4, 3, "balanced"))
        schedule = ReferenceEngine(circuit).program.code
        alive = peak = 0
        for step, frees in zip(schedule.steps, schedule.frees, strict=True):
            alive += not isinstance(step, Interval)
            peak = max(peak, alive)
            alive -= len(frees)
        assert max(matrix_uses(schedule).values()) <= 2
        assert peak <= 24


class TestLikelihood:
    @given(strategies.integer_circuits() | strategies.unstructured_circuits().map(quantize), st.data())
    def test_equals_plain_integers(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, missing=data.draw(st.booleans()), min_records=1))
        mantissa, exponent = ReferenceEngine(circuit).likelihood(records)
        expected = [plain_likelihood(circuit, record) for record in records.tolist()]
        assert list(zip(mantissa.tolist(), exponent.tolist(), strict=True)) == expected

    def test_is_exact_where_nothing_is_truncated(self):
        """Powers of two only: mantissas stay powers of two, and the likelihoods of all records add up to 1."""
        coin = np.array([[0.5, 0.5], [0.25, 0.75]])
        leaves = [InputLayer(v, coin) for v in range(3)]
        product = ProductLayer((0, 1, 2), np.array([[0, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 1]]))
        circuit = Circuit((*leaves, product, SumLayer((3,), np.array([[0.5, 0.25, 0.125, 0.125]]))))
        mantissa, exponent = ReferenceEngine(quantize(circuit)).likelihood(list(combinations((0, 1), repeat=3)))
        assert sum(m * 2.0**e for m, e in zip(mantissa.tolist(), exponent.tolist(), strict=True)) == 1.0
        found = mantissa * np.exp2(exponent)
        exact = np.exp(log_likelihood(circuit, list(combinations((0, 1), repeat=3))))
        np.testing.assert_allclose(found, exact, rtol=1e-12)

    @given(strategies.integer_circuits())
    def test_nothing_observed_is_nearly_certain(self, circuit):
        missing = np.full((1, len(circuit.cardinalities)), -1)
        mantissa, exponent = ReferenceEngine(circuit).likelihood(missing)
        value = float(mantissa[0]) * 2.0 ** float(exponent[0])
        # A dropped weight of a sum with tails adds a little to what the others share out.
        excess = 1.0
        for layer in circuit.layers:
            if isinstance(layer, IntegerSum) and layer.tails:
                excess *= 1 + layer.weights.shape[1] * 2.0 ** -(circuit.weight_bits + 4)
        assert 1 - len(circuit.layers) * 12 * 2.0 ** (1 - circuit.state_bits) < value <= excess

    def test_impossible_is_zero(self):
        certain = InputLayer(0, np.array([[0.0, 1.0]]))
        engine = ReferenceEngine(quantize(Circuit((certain,))))
        mantissa, exponent = engine.likelihood([[0], [1], [-1]])
        assert mantissa.tolist() == [0, 32768, 32768]
        assert exponent.tolist() == [-(2**30), -15, -15]

    def test_batches_do_not_matter(self):
        circuit = quantize(strategies.make_circuit(2, 4, 3, 4, "random"))
        engine = ReferenceEngine(circuit)
        records = np.random.default_rng(0).integers(0, circuit.cardinalities, (2500, 4))
        together = engine.likelihood(records)
        apart = [engine.likelihood(part) for part in np.array_split(records, 7)]
        assert (together[0] == np.concatenate([a[0] for a in apart])).all()
        lo, hi = engine.intervals(records)
        assert (lo == np.concatenate([engine.intervals(part)[0] for part in np.array_split(records, 7)])).all()
        assert (hi > lo).all()

    def test_no_records(self):
        engine = ReferenceEngine(quantize(chain(3, 2)))
        empty = np.zeros((0, 3), dtype=np.int64)
        assert engine.likelihood(empty)[0].shape == (0,)
        assert engine.intervals(empty)[0].shape == (0, 3)

    def test_data_errors(self):
        engine = ReferenceEngine(quantize(chain(3, 2)))
        with pytest.raises(DataError, match=r"^record 1, variable 2: a symbol must be in -1\.\.1, got 2$"):
            engine.likelihood([[0, 0, 0], [0, 0, 2]])


class TestIntervals:
    @settings(max_examples=60)
    @given(strategies.integer_circuits(**SMALL), st.data())
    def test_of_all_symbols_are_disjoint_in_order_and_inside(self, circuit, data):
        """For a random past and each variable: the intervals of its symbols share out 2^P without a gap."""
        engine = ReferenceEngine(circuit)
        past = data.draw(strategies.records_for(circuit, min_records=1))
        whole = 1 << circuit.scale_bits
        for ends in share_out(engine, past):
            assert (ends <= whole).all()
            assert (ends > 0.99 * whole).all()

    @settings(max_examples=60)
    @given(strategies.integer_circuits(), st.data())
    def test_depend_on_the_past_only(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, min_records=2))
        other = records.copy()
        cut = data.draw(st.integers(0, len(circuit.order) - 1))
        for variable in circuit.order[cut:]:
            other[:, variable] = np.roll(records[:, variable], 1)
        same = other[:, circuit.order[cut]] == records[:, circuit.order[cut]]
        engine = ReferenceEngine(circuit)
        for one, two in zip(engine.intervals(records), engine.intervals(other), strict=True):
            assert (one[:, :cut] == two[:, :cut]).all()
            assert (one[same, cut] == two[same, cut]).all()

    def test_an_alternative_that_is_ruled_out_stays_out(self):
        """A sum over three product layers, of which one has all the weight: the others must not be revived."""
        sides = InputLayer(0, np.array([[1.0, 0.0], [0.0, 1.0]]))
        other = InputLayer(1, np.array([[0.5, 0.5]]))
        products = [ProductLayer((0, 1), np.array([[side, 0]])) for side in (0, 1, 0)]
        circuit = Circuit((sides, other, *products, SumLayer((2, 3, 4), np.array([[0.0, 1.0, 0.0]]))))
        lo, hi = ReferenceEngine(quantize(circuit, order=(0, 1))).intervals([[0, 0], [1, 0]])
        assert hi[0, 0] - lo[0, 0] < 2**10
        assert hi[1, 0] - lo[1, 0] > 2**24 - 2**11

    def test_missing_symbols_are_empty_intervals(self):
        engine = ReferenceEngine(quantize(chain(4, 3)))
        lo, hi = engine.intervals([[0, -1, 1, -1]])
        assert lo[0, [1, 3]].tolist() == [0, 0]
        assert hi[0, [1, 3]].tolist() == [0, 0]
        assert (hi[0, [0, 2]] > lo[0, [0, 2]]).all()


class TestStatistics:
    """Not equality: how near the coder's shares come to the float circuit."""

    @settings(max_examples=40)
    @given(strategies.float_circuits(**SMALL, sharpness=0.0), st.data())
    def test_shares_multiply_to_the_probability_of_every_record(self, circuit, data):
        records = np.array(list(combinations(*(range(c) for c in circuit.cardinalities))))
        order = strategies.shuffled_order(circuit, data.draw(st.integers(0, 99)))
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 16, 16, floor=1), order=order))
        lo, hi = engine.intervals(records)
        coded = ((hi - lo) / 2.0**24).prod(axis=1)
        exact = np.exp(log_likelihood(circuit, records))
        assert abs(exact.sum() - 1) < 1e-4
        assert 1 - 1e-3 * len(circuit.cardinalities) < coded.sum() <= 1
        assert np.abs(coded - exact).sum() < 0.02 * len(circuit.layers)

    @settings(max_examples=40)
    @given(strategies.float_circuits(**SMALL), st.data())
    def test_missing_symbols_are_summed_out(self, circuit, data):
        """The shares of a record with gaps multiply to its marginal probability."""
        records = data.draw(strategies.records_for(circuit, missing=True, min_records=1))
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 16, 16, floor=1)))
        lo, hi = engine.intervals(records)
        coded = np.where(hi > lo, (hi - lo) / 2.0**24, 1.0).prod(axis=1)
        exact = np.exp(log_likelihood(circuit, records))
        assert np.abs(coded - exact).max() < 0.02 * len(circuit.layers)
