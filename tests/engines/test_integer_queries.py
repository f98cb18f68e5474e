"""Queries of integer circuits: classes, shares and completions, against plain integers and enumeration."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.classifiers import completions, naive_bayes, tree
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import integer_circuits, make_circuit, records_for, steep

from pcedge import circuit as floats
from pcedge import ranking
from pcedge.circuit import MISSING, Circuit, InputLayer, ProductLayer, SparseRows
from pcedge.engines import ReferenceEngine, classify, likelihoods, most_probable, shares
from pcedge.engines.completion import is_deterministic
from pcedge.integer import IntegerInput
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule import Program
from pcedge.schedule.steps import Align, Leaf, Multiply

SMALL = {"max_variables": 5, "max_states": 3, "max_symbols": 4}


class TestClasses:
    @settings(max_examples=60)
    @given(st.data())
    def test_are_the_lowest_symbols_of_the_greatest_likelihood(self, data):
        circuit = data.draw(integer_circuits(**SMALL))
        engine = ReferenceEngine(circuit)
        records = data.draw(records_for(circuit, missing=True))
        variable = data.draw(st.integers(0, len(circuit.order) - 1))
        found, parts = classify(engine, records, variable), shares(engine, records, variable)
        for row, record in enumerate(records):
            asked = np.tile(record, (circuit.cardinalities[variable], 1))
            asked[:, variable] = np.arange(len(asked))
            values = [Fraction(int(m)) * Fraction(2) ** int(e) if m else 0
                      for m, e in zip(*engine.likelihood(asked), strict=True)]  # fmt: skip
            best = max(values)
            assert found[row] == (values.index(best) if best else MISSING)
            assert parts[row].sum() == (2**16 if best else 0)
            for part, value in zip(parts[row], values, strict=True):
                assert not best or abs(Fraction(int(part), 2**16) - value / sum(values)) < Fraction(2, 2**16)

    def test_what_a_record_says_of_its_class_is_not_used(self):
        circuit = naive_bayes(4)
        engine = ReferenceEngine(quantize(circuit))
        records = floats.sample(circuit, 50)
        hidden = records.copy()
        hidden[:, 4] = MISSING
        assert_array_equal(classify(engine, records, "class"), classify(engine, hidden, "class"))

    def test_ties_go_to_the_lowest_symbol(self):
        leaf = InputLayer(0, np.array([[0.1, 0.3, 0.3, 0.3]]))
        assert classify(ReferenceEngine(quantize(Circuit((leaf,)))), [[-1], [0]], 0).tolist() == [1, 1]

    def test_are_those_of_floats_but_for_near_ties(self):
        circuit = naive_bayes(5, classes=6, features=8)
        records = floats.sample(circuit, 2000, 1)
        one, two = classify(ReferenceEngine(quantize(circuit)), records, "class"), floats.classify(circuit, records, 8)
        sure = np.sort(floats.posterior(circuit, records, 8), axis=1)
        assert (one == two)[sure[:, -1] - sure[:, -2] > 0.02].all() and (one == two).mean() > 0.99

    def test_onnxruntime_gives_the_same(self):
        pytest.importorskip("onnxruntime")
        from pcedge.simulate.ort import OrtSession

        circuit = quantize(naive_bayes(6))
        records = floats.sample(naive_bayes(6), 40)
        session, keys = OrtSession(circuit), []
        for label in range(3):
            records[:, 4] = label
            found = session.run(records)
            keys.append(ranking.order(found["mantissa"], found["exponent"], circuit.state_bits))
        assert_array_equal(np.argmax(keys, axis=0), classify(ReferenceEngine(circuit), records, 4))


class TestCompletions:
    @settings(max_examples=60)
    @given(st.data())
    def test_equal_plain_integers(self, data):
        circuit = data.draw(integer_circuits(**SMALL))
        records = data.draw(records_for(circuit, missing=True))
        found = most_probable(circuit, records)
        for row, record in enumerate(records):
            if (record == MISSING).sum() > 1:
                assert found.records[row].tolist() == Plain(circuit).completed(record.tolist())
            else:
                assert found.exact[row]
        assert (found.records != MISSING).all()
        assert_array_equal(np.where(records == MISSING, found.records, records), found.records)
        for got, wanted in zip(found.likelihood, ReferenceEngine(circuit).likelihood(found.records), strict=True):
            assert_array_equal(got, wanted)

    @pytest.mark.parametrize("seed", range(6))
    def test_of_what_is_only_possible_equal_plain_integers(self, seed):
        """Steep circuits in few bits: whole rows of mantissas of 1, which weigh nothing."""
        config = QuantizationConfig(weight_bits=4, leaf_bits=8, state_bits=8)
        circuit = quantize(steep(make_circuit(seed, 7, 5, 5, "random", 0.3), 4), config)
        rng = np.random.default_rng(seed)
        records = np.stack([rng.integers(0, size, 60) for size in circuit.cardinalities], axis=1)
        records[rng.random(records.shape) < 0.4] = MISSING
        records = records[(records == MISSING).sum(axis=1) > 1]
        assert most_probable(circuit, records).records.tolist() == [
            Plain(circuit).completed(record) for record in records.tolist()
        ]

    @pytest.mark.parametrize("make", [naive_bayes, tree])
    def test_of_deterministic_circuits_are_the_best_of_all(self, make):
        for seed in range(4):
            circuit = make(seed)
            integers = quantize(circuit, QuantizationConfig(weight_bits=12, state_bits=16))
            assert is_deterministic(integers)
            engine = ReferenceEngine(integers)
            evidence = floats.sample(circuit, 12, seed)
            evidence[np.random.default_rng(seed).random(evidence.shape) < 0.6] = MISSING
            found = most_probable(integers, evidence)
            assert found.exact.all()
            keys = ranking.order(*found.likelihood, 16)
            for row, record in enumerate(evidence):
                every = completions(record, circuit.cardinalities)
                best = ranking.order(*engine.likelihood(every), 16).max()
                # Truncation, 2^-15 a step, decides between what is that near.
                assert (best - keys[row]) / 2**15 < len(Program.of(integers).likelihood.steps) * 2**-14

    def test_are_as_probable_as_those_of_floats(self):
        circuit = make_circuit(8, 12, 4, 6, "balanced")
        evidence = floats.sample(circuit, 300, 2)
        evidence[np.random.default_rng(2).random(evidence.shape) < 0.5] = MISSING
        found = most_probable(quantize(circuit), evidence)
        wanted = floats.most_probable(circuit, evidence)
        logs = floats.log_likelihood(circuit, found.records)
        assert abs(logs.mean() - wanted.log_likelihood.mean()) < 0.01
        assert (found.records == wanted.records).all(axis=1).mean() > 0.85

    def test_batches_give_the_same(self, monkeypatch):
        circuit = quantize(make_circuit(9, 6, 3, 4, "hidden"))
        evidence = np.full((9, 6), MISSING)
        evidence[:, 0] = np.arange(9) % circuit.cardinalities[0]
        told = []
        whole = most_probable(circuit, evidence)
        monkeypatch.setattr("pcedge.engines.completion.BATCH_NUMBERS", 1)
        parts = most_probable(circuit, evidence, progress=lambda done, total: told.append((done, total)))
        assert_array_equal(parts.records, whole.records)
        assert told == [(n, 9) for n in range(1, 10)]

    def test_mixtures_of_leaves_are_no_leaves(self):
        leaf = InputLayer(0, np.array([[0.5, 0.5], [0.1, 0.9]]))
        mixed = floats.SumLayer((0,), np.array([[0.5, 0.5]]))
        other = InputLayer(1, np.array([[0.5, 0.5]]))
        circuit = Circuit((leaf, mixed, other, ProductLayer((1, 2), [[0, 0]])))
        assert floats.is_deterministic(circuit) and not is_deterministic(quantize(circuit))
        assert most_probable(quantize(circuit), [[-1, -1], [0, -1]]).exact.tolist() == [False, True]


def test_likelihoods_tell_their_progress():
    told = []
    engine = ReferenceEngine(quantize(naive_bayes(0)))
    mantissa, _ = likelihoods(engine, [[0, 0, 0, 0, 0]], "class", lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)] and mantissa.shape == (3, 1)


class Plain:
    """State the rules of the page anew, one record at a time, in Python's integers."""

    def __init__(self, circuit):
        self.circuit, self.schedule = circuit, Program.of(circuit).likelihood
        self.keep = self.schedule.keep

    def completed(self, record):
        values, steps = {}, self.schedule.steps
        for step in steps:
            values[step.target] = self.value(step, values, record)
        made, wanted = list(record), {self.schedule.result: 0}
        for step in reversed(steps):
            unit = wanted.get(step.target)
            if unit is None:
                continue
            if isinstance(step, Leaf):
                if record[step.variable] == MISSING:
                    own = self.entries(step.layer)[0][unit]
                    made[step.variable] = own.index(max(own))
            elif isinstance(step, Align):
                first, second = step.sources
                if unit < first.units:
                    wanted[first.value] = unit
                else:
                    wanted[second.value] = unit - first.units
            elif isinstance(step, Multiply):
                for source, gather in zip(step.sources, step.gathers, strict=True):
                    wanted[source.value] = unit if gather is None else int(gather[unit])
            else:
                weighed = self.weighed(step.layer, unit, values[step.source.value][0])
                best = max(weight for _, weight in weighed)
                wanted[step.source.value] = next(place for place, weight in weighed if weight == best)
        return made

    def entries(self, index):
        layer = self.circuit.layers[index]
        assert isinstance(layer, IntegerInput)
        counts = np.diff(layer.cumulative, axis=1).tolist()
        if self.keep and layer.tails is not None:
            tails = layer.tails.tolist()
            counts = [[c << 15 if c else 1 << (15 - e) for c, e in zip(row, tails, strict=True)] for row in counts]
            return counts, -self.circuit.leaf_bits - 15
        return counts, -self.circuit.leaf_bits

    def weighed(self, index, unit, mantissa):
        layer = self.circuit.layers[index]
        weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
        pairs = [(c, w) for c, w in enumerate(weights[unit].tolist()) if w or layer.tails]
        if not self.keep:
            return [(c, w * mantissa[c]) for c, w in pairs]
        live = [0 if m == 1 else m for m in mantissa]
        out = [(c, w * live[c] if w else live[c] >> 4) for c, w in pairs]
        return out if any(v for _, v in out) else [(c, 1 if mantissa[c] else 0) for c, _ in pairs]

    def value(self, step, values, record):
        if isinstance(step, Leaf):
            entries, exponent = self.entries(step.layer)
            symbol = record[step.variable]
            return self.normalised([max(row) if symbol == MISSING else row[symbol] for row in entries], exponent)
        sides = [values[source.value] for source in step.sources]
        if isinstance(step, Align):
            top = max(exponent for _, exponent in sides)
            out = []
            for mantissa, exponent in sides:
                out += [m >> min(top - exponent, 53) or (1 if self.keep and m else 0) for m in mantissa]
            return out, top
        if isinstance(step, Multiply):
            left, right = ([m[k] for k in (range(step.units) if g is None else g.tolist())]
                           for (m, _), g in zip(sides, step.gathers, strict=True))  # fmt: skip
            products = []
            for a, b in zip(left, right, strict=True):
                product = 0 if self.keep and 1 in (a, b) else a * b
                products.append(product or (1 if self.keep and a and b else 0))
            return self.normalised(products, sides[0][1] + sides[1][1])
        best = [max(v for _, v in self.weighed(step.layer, unit, sides[0][0])) for unit in range(step.units)]
        return self.normalised(best, sides[0][1] - self.circuit.weight_bits)

    def normalised(self, entries, exponent):
        length = max(entries).bit_length()
        if length == 0:
            return [0] * len(entries), -(2**30)
        move = length - self.circuit.state_bits
        out = [v >> move if move >= 0 else v << -move for v in entries]
        if self.keep:
            out = [1 if v and (m == 0 or (v == 1 and length > 1)) else m for v, m in zip(entries, out, strict=True)]
        return out, max(exponent + move, -(2**30))
