"""From float to integer circuits: rounding, merging, ordering, errors, and the statistics of what is lost."""

from __future__ import annotations

import re
from itertools import permutations, product

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, sample
from pcedge.circuit.structure import clustered_order, layer_scopes, variables_of
from pcedge.engines import ReferenceEngine
from pcedge.errors import CircuitError, WidthError
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.quantize.rounding import CALIBRATION_PRIOR, ZERO_BITS, largest_remainder, least_code_length


def log2_values(mantissa, exponent):
    with np.errstate(divide="ignore"):
        return np.log2(mantissa.astype(np.float64)) + exponent


def coins(*probabilities: float, variable: int = 0) -> InputLayer:
    return InputLayer(variable, np.array([[1 - p, p] for p in probabilities]))


def integer_coin(variable: int = 0, ones: tuple[int, ...] = (1024,)) -> IntegerInput:
    return IntegerInput(variable, np.array([[0, 4096 - one, 4096] for one in ones]))


def assemble(*layers, weight_bits=8, leaf_bits=12, floor=1, order=None) -> IntegerCircuit:
    variables = 1 + max(layer.variable for layer in layers if isinstance(layer, IntegerInput))
    order = tuple(range(variables)) if order is None else order
    return IntegerCircuit(tuple(layers), weight_bits, leaf_bits, 16, 24, 48, floor, order)


def code_length(row: np.ndarray, counts: np.ndarray) -> float:
    """Give the expected code length that `least_code_length` promises to minimise, but for a constant."""
    return sum(
        count * (ZERO_BITS if value == 0 else -np.log2(value))
        for value, count in zip(row, counts, strict=True)
        if count
    )


class TestLeastCodeLength:
    @given(st.integers(1, 4), st.integers(4, 10), st.booleans(), st.integers(0, 2**32 - 1))
    def test_no_other_row_is_shorter(self, columns, total, counted, seed):
        rng = np.random.default_rng(seed)
        row = rng.dirichlet(np.full(columns, 0.4))
        if columns > 1 and rng.random() < 0.3:
            row[0] = 0
            row /= row.sum()
        counts = rng.exponential(5000, columns) if counted else None
        (rounded,) = least_code_length(row[None], total, counts=None if counts is None else counts[None])
        assert rounded.sum() == total and rounded.min() >= 0 and (rounded[row == 0] == 0).all()
        used = row if counts is None else np.where(row > 0, counts, 0) + CALIBRATION_PRIOR * row
        best = min(
            code_length(other, used)
            for other in product(range(total + 1), repeat=columns)
            if sum(other) == total and all(value == 0 for value, share in zip(other, row, strict=True) if share == 0)
        )
        assert code_length(rounded, used) <= best + 1e-9

    @given(st.integers(1, 40), st.sampled_from((4, 16, 256, 65536)), st.integers(0, 2**32 - 1))
    def test_sums_are_exact_and_integers_stay(self, columns, total, seed):
        rng = np.random.default_rng(seed)
        rows = rng.dirichlet(np.full(columns, 0.1), 5)
        rounded = least_code_length(rows, total)
        assert (rounded.sum(axis=1) == total).all()
        assert (least_code_length(rounded / total, total) == rounded).all()

    @given(st.integers(1, 20), st.sampled_from((16, 64)), st.integers(0, 2**32 - 1))
    def test_keep_leaves_no_positive_entry_out(self, columns, total, seed):
        rows = np.random.default_rng(seed).dirichlet(np.full(columns, 0.05), 4)
        rounded = least_code_length(rows, total, keep=True)
        fits = (rows > 0).sum(axis=1) <= total
        assert ((rounded > 0) == (rows > 0))[fits].all()
        assert (rounded.sum(axis=1) == total).all()

    def test_loses_less_than_the_least_error(self):
        row = np.array([[0.9, 0.03, 0.03, 0.03, 0.01]])
        assert largest_remainder(row, 16).tolist() == [[14, 1, 1, 0, 0]]
        assert least_code_length(row, 16).tolist() == [[13, 1, 1, 1, 0]]


class TestLargestRemainder:
    @given(st.integers(1, 12), st.integers(1, 6), st.sampled_from((4, 256, 4096, 65536)), st.integers(0, 2**32 - 1))
    def test_sums_are_exact_zeros_stay_and_errors_are_below_one(self, columns, rows, total, seed):
        rng = np.random.default_rng(seed)
        table = rng.dirichlet(np.full(columns, 0.3), rows) + 1e-9
        table[rng.random(table.shape) < 0.3] = 0
        table[:, 0] += 1e-12
        rounded = largest_remainder(table, total)
        exact = table / table.sum(axis=1, keepdims=True) * total
        assert rounded.dtype == np.int64
        assert (rounded.sum(axis=1) == total).all()
        assert (rounded[table == 0] == 0).all()
        assert (rounded >= 0).all()
        assert np.abs(rounded - exact).max() < 1

    @given(st.lists(st.integers(0, 300), min_size=1, max_size=9).filter(any))
    def test_integers_stay_as_they_are(self, counts):
        row = np.array([counts], dtype=np.float64)
        for scaled in (row, row / row.sum(), row * 0.1):
            assert largest_remainder(scaled, sum(counts)).tolist() == [counts]

    def test_equal_remainders_go_to_the_first(self):
        assert largest_remainder(np.array([[1.0, 1, 1]]), 4).tolist() == [[2, 1, 1]]
        assert largest_remainder(np.array([[1.0, 1, 1]]), 5).tolist() == [[2, 2, 1]]
        assert largest_remainder(np.array([[0.0, 1, 1, 1]]), 8).tolist() == [[0, 3, 3, 2]]

    def test_many_equal_remainders_go_to_the_first(self):
        """More entries than a sort that is not stable leaves in order."""
        counts = largest_remainder(np.tile([1.0, 2.0], 150)[None], 520)[0]  # 1.1556 and 2.3111: 70 of the latter rise
        assert counts.tolist() == [1, 3] * 70 + [1, 2] * 80

    def test_certain_rows_get_everything(self):
        assert largest_remainder(np.array([[0.0, 1.0], [0.3, 0.0]]), 256).tolist() == [[0, 256], [256, 0]]

    def test_order_of_entries_does_not_change_counts(self):
        table = np.array([[0.11, 0.23, 0.29, 0.37]])
        whole = largest_remainder(table, 64)[0]
        for order in permutations(range(4)):
            assert (largest_remainder(table[:, order], 64)[0] == whole[list(order)]).all()


class TestQuantize:
    @given(strategies.integer_circuits(), st.data())
    def test_result_obeys_its_own_rules(self, circuit, data):
        again = IntegerCircuit(
            circuit.layers, circuit.weight_bits, circuit.leaf_bits, circuit.state_bits, circuit.scale_bits,
            circuit.range_bits, circuit.floor, circuit.order, tails=circuit.tails,
        )  # fmt: skip
        assert (again.digest, again.likelihood_digest) == (circuit.digest, circuit.likelihood_digest)
        variables = [layer.variable for layer in circuit.layers if isinstance(layer, IntegerInput)]
        assert sorted(variables) == list(range(len(circuit.cardinalities)))
        place = {variable: rank for rank, variable in enumerate(circuit.order)}
        scopes = layer_scopes(circuit.shapes)
        for layer in circuit.layers:
            if isinstance(layer, ProductLayer):
                ranks = [min(place[v] for v in variables_of(scopes[child])) for child in layer.children]
                assert ranks == sorted(ranks)

    @given(strategies.float_circuits(max_variables=8), st.data())
    def test_merging_and_ordering_keep_the_meaning(self, circuit, data):
        from pcedge.quantize.post_training import _merge_inputs, _order_children

        records = data.draw(strategies.records_for(circuit, missing=True, min_records=1))
        merged = Circuit(_merge_inputs(circuit.layers))
        order = strategies.shuffled_order(circuit, data.draw(st.integers(0, 99)))
        shapes = [layer.shape for layer in merged.layers]
        ordered = Circuit(_order_children(merged.layers, shapes, order))
        before = log_likelihood(circuit, records)
        for after in (merged, ordered):
            np.testing.assert_allclose(log_likelihood(after, records), before, rtol=1e-9, atol=1e-9)

    def test_two_input_layers_of_a_variable_become_one(self):
        halves = SumLayer((0, 1), np.array([[0.25, 0.75]]))
        model = quantize(Circuit((coins(0.5), coins(1.0), halves)))
        assert [type(layer) for layer in model.layers] == [IntegerInput, IntegerSum]
        assert model.layers[0].cumulative.tolist() == [[0, 2048, 4096], [0, 0, 4096]]
        assert model.layers[1].weights.tolist() == [[64, 192]]

    def test_bernoulli_equals_categorical(self):
        one = quantize(Circuit((InputLayer(0, np.array([0.3])),)))
        two = quantize(Circuit((InputLayer(0, np.array([[0.7, 0.3]])),)))
        assert one.digest == two.digest

    def test_sparse_equals_dense_rounding(self):
        rng = np.random.default_rng(3)
        dense = rng.dirichlet(np.ones(7), 5) * (rng.random((5, 7)) < 0.6)
        dense[:, 0] += 0.01
        dense /= dense.sum(axis=1, keepdims=True)
        leaf = InputLayer(0, rng.dirichlet(np.ones(3), 7))
        root = SumLayer((1,), np.full((1, 5), 0.2))
        models = [
            quantize(Circuit((leaf, SumLayer((0,), weights), root)), QuantizationConfig(small_weights="round"))
            for weights in (dense, SparseRows.from_dense(dense))
        ]  # fmt: skip
        assert (models[0].layers[1].weights == models[1].layers[1].weights.toarray()).all()
        assert models[0].digest != models[1].digest

    def test_largest_child_is_coded_last_unless_an_order_is_given(self):
        pair = ProductLayer((0, 1), np.array([[0, 0]]))
        three = ProductLayer((3, 2), np.array([[0, 0]]))
        circuit = Circuit((coins(0.5), coins(0.5, variable=1), coins(0.5, variable=2), pair, three))
        assert quantize(circuit).order == (2, 0, 1)
        given_order = quantize(circuit, order=(1, 0, 2))
        assert given_order.order == (1, 0, 2)
        assert given_order.layers[-1].children == (3, 2)

    def test_digest_tells_every_part(self):
        base = assemble(integer_coin())
        others = [
            assemble(integer_coin(ones=(1025,))),
            assemble(integer_coin(), weight_bits=7),
            assemble(integer_coin(), floor=2),
            IntegerCircuit(base.layers, 8, 12, 15, 24, 48, 1, (0,)),
            IntegerCircuit(base.layers, 8, 12, 16, 16, 32, 1, (0,)),
            assemble(integer_coin(), integer_coin(1), ProductLayer((0, 1), np.array([[0, 0]]))),
            assemble(integer_coin(), integer_coin(1), ProductLayer((1, 0), np.array([[0, 0]])), order=(1, 0)),
        ]
        assert len({base.digest, *(other.digest for other in others)}) == 1 + len(others)

    @given(strategies.unstructured_circuits())
    def test_unstructured_circuits_take_any_order(self, circuit):
        model = quantize(circuit)
        assert not model.structured
        variables = range(len(circuit.cardinalities))
        assert sorted(model.order) == list(variables)
        assert model.order == clustered_order(circuit.shapes)
        assert quantize(circuit, order=tuple(reversed(variables))).order == tuple(reversed(variables))

    def test_variables_below_the_same_layers_stand_together(self):
        leaves = [InputLayer(v, np.array([0.5])) for v in range(4)]
        one = np.zeros((1, 2), dtype=np.int64)
        circuit = Circuit((
            *leaves, ProductLayer((0, 2), one), ProductLayer((1, 3), one), ProductLayer((4, 5), one),
            ProductLayer((0, 5), one), ProductLayer((7, 2), one), SumLayer((6, 8), np.array([[0.5, 0.5]])),
        ))  # fmt: skip
        assert quantize(circuit).order == (0, 1, 3, 2)  # 0, 1 and 3 lie below one more layer, 1 and 3 below two


class TestErrors:
    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (
                lambda: assemble(IntegerInput(0, np.array([[0, 4095]]))),
                "layer 0 (input): leaf table of variable 0, unit 0 must sum to 4096, got 4095",
            ),
            (
                lambda: assemble(IntegerInput(0, np.array([[1, 4096]]))),
                "layer 0 (input): leaf table of variable 0, unit 0 must sum to 4096, got 4095",
            ),
            (
                lambda: assemble(IntegerInput(0, np.array([[0, 9, 8, 4096]]))),
                "layer 0 (input): leaf table of variable 0, unit 0 must never fall, it does",
            ),
            (
                lambda: assemble(integer_coin(ones=(1, 2)), IntegerSum((0,), np.array([[200, 57]]))),
                "layer 1 (sum): weights of unit 0 must sum to 256, got 257",
            ),
            (
                lambda: assemble(integer_coin(ones=(1, 2)), IntegerSum((0,), np.array([[257, -1]]))),
                "layer 1 (sum): weights must not be negative, got -1",
            ),
            (
                lambda: assemble(
                    integer_coin(ones=(1, 2)),
                    IntegerSum((0,), SparseRows(np.array([0, 1]), np.array([2]), np.array([256]), 2)),
                ),
                "layer 1 (sum): columns must be in 0..1",
            ),
            (
                lambda: assemble(
                    integer_coin(ones=(1, 2)),
                    IntegerSum((0,), SparseRows(np.array([0, 0]), np.array([], int), np.array([], int), 2)),
                ),
                "layer 1 (sum): every sparse row must hold at least one entry",
            ),
            (
                lambda: assemble(integer_coin(), integer_coin(), IntegerSum((0, 1), np.array([[128, 128]]))),
                "layer 1 (input): an integer circuit must have one input layer a variable, variable 0 has layer 0 too",
            ),
            (
                lambda: assemble(
                    integer_coin(ones=(1, 2)),
                    IntegerSum((0,), SparseRows(np.array([0, 2]), np.array([1, 1]), np.array([128, 128]), 2)),
                ),
                "layer 1 (sum): the columns of a row must ascend without repetition",
            ),
            (
                lambda: assemble(
                    integer_coin(ones=(1, 2)),
                    IntegerSum((0,), SparseRows(np.array([0, 2]), np.array([1]), np.array([128, 128]), 2)),
                ),
                "layer 1 (sum): every weight must have a column, got 1 columns",
            ),
            (lambda: assemble(integer_coin(), order=(1,)), "the coding order must name each of the 1 variables once"),
            (
                lambda: assemble(integer_coin(), integer_coin(1), ProductLayer((1, 0), np.array([[0, 0]]))),
                "layer 2 (product) must list its children in coding order",
            ),
        ],
    )
    def test_circuit(self, make, text):
        with pytest.raises(CircuitError, match=f"^{re.escape(text)}"):
            make()

    @pytest.mark.parametrize(
        ("order", "text"),
        [
            ((0, 0, 1), "the coding order must name each of the 3 variables once, got [0, 0, 1]…"),
            ((0, 1), "the coding order must name each of the 3 variables once, got [0, 1]…"),
            ((0, 2, 1), "the coding order must finish a region before it enters the next; it leaves one in between"),
        ],
    )
    def test_order(self, order, text):
        pair = ProductLayer((0, 1), np.array([[0, 0]]))
        three = ProductLayer((3, 2), np.array([[0, 0]]))
        circuit = Circuit((coins(0.5), coins(0.5, variable=1), coins(0.5, variable=2), pair, three))
        with pytest.raises(CircuitError, match=f"^{re.escape(text)}$"):
            quantize(circuit, order=order)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"weight_bits": 1}, "weight_bits must be in 2..16, got 1"),
            ({"leaf_bits": 17}, "leaf_bits must be in 8..16, got 17"),
            ({"state_bits": 7}, "state_bits must be in 8..16, got 7"),
            ({"coder": "huge"}, "coder must be one of small, wide, got 'huge'"),
        ],
    )
    def test_config(self, changes, text):
        with pytest.raises(WidthError, match=f"^{re.escape(text)}$"):
            QuantizationConfig(**changes)

    def test_floor_leaves_half(self):
        with pytest.raises(
            WidthError, match=r"^floor must be at least 1 and leave half of 2\^16 to 2 symbols, got 16385$"
        ):
            quantize(Circuit((coins(0.5),)), QuantizationConfig(coder="small", floor=16385))


class TestStatistics:
    """Not equality: how near the integers come to the float circuit."""

    @pytest.mark.parametrize("tree", strategies.TREES)
    @pytest.mark.parametrize("seed", range(4))
    def test_likelihood_is_close_at_high_widths(self, tree, seed):
        circuit = strategies.make_circuit(seed, 6, 4, 5, tree)
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 16, 16)))
        records = sample(circuit, 500, seed=seed)
        exact = log_likelihood(circuit, records) / np.log(2)
        found = log2_values(*engine.likelihood(records))
        assert np.mean(np.abs(found - exact)) < 0.2
        assert abs(np.mean(found - exact)) < 0.05

    def test_wider_is_closer(self):
        circuit = strategies.make_circuit(5, 8, 5, 6, "hidden")
        records = sample(circuit, 1000, seed=1)
        exact = log_likelihood(circuit, records) / np.log(2)
        lost = []
        for bits in ((3, 8, 8), (5, 10, 12), (8, 16, 16)):
            found = log2_values(*ReferenceEngine(quantize(circuit, QuantizationConfig(*bits))).likelihood(records))
            lost.append(float(np.mean(np.abs(np.maximum(found, -60) - exact))))
        assert lost == sorted(lost, reverse=True)
        assert lost[-1] < 0.1 < lost[0]
