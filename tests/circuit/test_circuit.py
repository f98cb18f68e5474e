"""The float circuit: its rules, its queries against enumeration, its file, and its structure."""

import functools
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.messages import whole
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.circuit import (
    Circuit,
    InputLayer,
    ProductLayer,
    SparseRows,
    SumLayer,
    load_circuit,
    log_conditional,
    log_likelihood,
    sample,
    save_circuit,
)
from pcedge.circuit.structure import Shape, coding_order, layer_scopes, region_tree, variables_of
from pcedge.errors import CircuitError, DataError, FormatError, NotStructuredError, PcedgeError
from pcedge.quantize import quantize
from pcedge.schedule import write_program


def gather(*rows):
    return np.array(rows, dtype=np.int64)


def coin(variable, *heads):
    return InputLayer(variable, np.array(heads or (0.5,), dtype=np.float64))


def sums(children, *rows):
    return SumLayer(tuple(children), np.array(rows, dtype=np.float64))


def sparse(indptr, indices, values, columns):
    return SparseRows(np.array(indptr, np.int64), np.array(indices, np.int64), np.array(values, np.float64), columns)


TWO = (coin(0, 0.25, 0.75), coin(1, 0.5, 0.125))
PAIR = ProductLayer((0, 1), gather((0, 0), (1, 1)))

# ------------------------------------------------------------------------------------------------ circuits to test


def rows(generator, units, columns):
    return generator.dirichlet(np.ones(columns), units)


def holes(generator, units, columns):
    """Random sparse rows, at least one entry each."""
    dense = generator.random((units, columns)) * (generator.random((units, columns)) < 0.5)
    dense[np.arange(units), generator.integers(columns, size=units)] += 0.5
    return SparseRows.from_dense(dense / dense.sum(axis=1, keepdims=True))


def random_circuit(seed):
    """A structured circuit: three variables, shared layers, dense and sparse sums, gathers out of order."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 5, size=3)
    layers = [
        InputLayer(0, generator.random(sizes[0])),
        InputLayer(1, rows(generator, sizes[1], 3)),
        InputLayer(2, rows(generator, sizes[2], 4)),
        InputLayer(2, rows(generator, 2, 4)),
    ]

    def product(children, units):
        columns = [generator.integers(layers[child].shape.units, size=units) for child in children]
        layers.append(ProductLayer(tuple(children), np.stack(columns, axis=1).astype(np.int64)))
        return len(layers) - 1

    def mixture(children, units, is_sparse):
        columns = sum(layers[child].shape.units for child in children)
        weights = (holes if is_sparse else rows)(generator, units, columns)
        layers.append(SumLayer(tuple(children), weights))
        return len(layers) - 1

    third = mixture([2, 3], 3, seed % 2 == 0)
    pair = product([1, 0], 4)
    first = mixture([pair], 3, True)
    second = mixture([pair], 2, False)
    tops = [product([first, third], 3), product([second, third], 2), product([2, second], 3)]
    top = mixture(tops, 2, seed % 3 == 0)
    mixture([top], 1, False)
    return Circuit(tuple(layers))


def not_structured():
    """Two partitions of {0, 1, 2}: {0, 1} with {2}, and {0} with {1, 2}."""
    generator = np.random.default_rng(3)
    return Circuit(
        (
            InputLayer(0, generator.random(2)),
            InputLayer(1, rows(generator, 2, 3)),
            InputLayer(2, rows(generator, 2, 4)),
            ProductLayer((0, 1), gather((0, 0), (1, 1))),
            ProductLayer((3, 2), gather((0, 1), (1, 0))),
            ProductLayer((1, 2), gather((0, 1), (1, 0))),
            ProductLayer((0, 5), gather((0, 0), (1, 1))),
            SumLayer((4, 6), rows(generator, 1, 4)),
        )
    )


def every_kind():
    return [random_circuit(seed) for seed in range(6)] + [not_structured()]


def enumeration(circuit):
    return np.array(list(itertools.product(*map(range, circuit.cardinalities))), dtype=np.int64)


def brute(circuit, record):
    """Evaluate p by the definition, unit by unit, without logarithms or arrays of records."""

    @functools.cache
    def value(index, unit):
        layer = circuit.layers[index]
        if isinstance(layer, InputLayer):
            symbol = record[layer.variable]
            if layer.kind == "bernoulli":
                return layer.probabilities[unit] if symbol == 1 else 1 - layer.probabilities[unit]
            return layer.probabilities[unit, symbol]
        if isinstance(layer, ProductLayer):
            return np.prod([value(child, layer.gather[unit, c]) for c, child in enumerate(layer.children)])
        columns = [(child, below) for child in layer.children for below in range(circuit.layers[child].shape.units)]
        if isinstance(layer.weights, SparseRows):
            entries = slice(layer.weights.indptr[unit], layer.weights.indptr[unit + 1])
            pairs = zip(layer.weights.indices[entries], layer.weights.values[entries], strict=True)
        else:
            pairs = enumerate(layer.weights[unit])
        return sum(weight * value(*columns[column]) for column, weight in pairs)

    return value(len(circuit.layers) - 1, 0)


# ------------------------------------------------------------------------------------------------ rules

HALF = (0.5, 0.5)
REFUSED = [
    ((), "a circuit must have at least one layer, got none"),
    ((coin(0, 0.5, 0.5),), "the last layer is the root and must have 1 unit, got 2"),
    ((*TWO, PAIR), "the last layer is the root and must have 1 unit, got 2"),
    ((coin(1),), "the root must cover every variable, variable 0 is missing from its scope"),
    (
        (coin(0), coin(2), ProductLayer((0, 1), gather((0, 0)))),
        "the root must cover every variable, variable 1 is missing from its scope",
    ),
    ((coin(1), coin(0)), "the root must cover every variable, variable 1 is missing from its scope"),
    ((coin(-1),), "layer 0 (input): variable must not be negative, got -1"),
    ((coin(2**40),), "layer 0 (input): variable must be at most the number of layers, got 1099511627776"),
    ((InputLayer(0, np.zeros((1, 0))),), "layer 0 (input): a leaf must have at least one symbol, got 0"),
    (
        (InputLayer(0, np.zeros(0)), SumLayer((0,), np.zeros((1, 0)))),
        "layer 0 (input) must have at least one unit, got 0",
    ),
    (
        (InputLayer(0, np.full((1, 1, 1), 1.0)),),
        "layer 0 (input, variable 0): probabilities must have 1 (Bernoulli) or 2 (categorical) dimensions, got 3",
    ),
    ((coin(0, np.nan),), "layer 0 (input, variable 0): probabilities must be finite, got nan"),
    ((coin(0, np.inf),), "layer 0 (input, variable 0): probabilities must be finite, got inf"),
    ((coin(0, -0.25),), "layer 0 (input, variable 0): probabilities must not be negative, got -0.25"),
    ((coin(0, 1.5),), "layer 0 (input, variable 0): a Bernoulli probability must be at most 1, got 1.5"),
    (
        (InputLayer(0, np.array([HALF, (0.5, 0.25)])), sums([0], HALF)),
        "layer 0 (input, variable 0): the distribution of unit 1 must sum to 1, got 0.75",
    ),
    (
        (TWO[0], sums([0], (0.5, 0.25))),
        "layer 1 (sum): the weights of unit 0 must sum to 1, got 0.75",
    ),
    ((TWO[0], sums([0], (0.5, 0.50001))), "layer 1 (sum): the weights of unit 0 must sum to 1, got 1.00001"),
    ((TWO[0], sums([0], (np.nan, 0.5))), "layer 1 (sum): weights must be finite, got nan"),
    ((TWO[0], sums([0], (-0.5, 1.5))), "layer 1 (sum): weights must not be negative, got -0.5"),
    (
        (TWO[0], sums([0], (0.5, 0.25, 0.25))),
        "layer 1 (sum): weights must have one column a child unit, 2, got 3",
    ),
    ((TWO[0], SumLayer((), np.ones((1, 0)))), "layer 1 (sum): weights must have one column a child unit, 0, got 0"),
    (
        (TWO[0], sums([1], HALF)),
        "layer 1 (sum) must name only earlier layers as children, got layer 1: a cycle, or a wrong order",
    ),
    (
        (TWO[0], sums([2], HALF), sums([1], (1.0,))),
        "layer 1 (sum) must name only earlier layers as children, got layer 2: a cycle, or a wrong order",
    ),
    (
        (TWO[0], sums([-1], HALF)),
        "layer 1 (sum) must name only earlier layers as children, got layer -1: a cycle, or a wrong order",
    ),
    ((coin(0), sums([0, 0], HALF)), "layer 1 (sum) must name each child layer once, got [0, 0]"),
    (
        (coin(0), coin(1), sums([0, 1], HALF)),
        "layer 2 (sum) is not smooth: its children must have one scope, layer 1 has [1], layer 0 has [0]",
    ),
    (
        (coin(0), coin(0), ProductLayer((0, 1), gather((0, 0)))),
        "layer 2 (product) is not decomposable: its children must have disjoint scopes, layer 1 repeats [0]",
    ),
    ((coin(0), ProductLayer((0,), gather((0,)))), "layer 1 (product) must have at least two children, got 1"),
    (
        (*TWO, ProductLayer((0, 1), gather((0, 2)))),
        "layer 2 (product): layer 1 has units 0..1, gather names 2",
    ),
    (
        (*TWO, ProductLayer((0, 1), gather((-1, 0)))),
        "layer 2 (product): layer 0 has units 0..1, gather names -1",
    ),
    (
        (*TWO, ProductLayer((0, 1), gather((0, 0, 0)))),
        "layer 2 (product): gather must have shape (1, 2), got (1, 3)",
    ),
    (
        (coin(0), InputLayer(0, np.array([(0.5, 0.25, 0.25)])), sums([0, 1], HALF)),
        "layer 1 (input): all leaves of variable 0 must have the same symbols, 2 in layer 0, got 3",
    ),
    ((coin(0), coin(0)), "layer 0 (input) must be used by a later layer, nothing uses it"),
    (
        (coin(0), sums([0], (1.0,)), sums([0], (1.0,))),
        "layer 1 (sum) must be used by a later layer, nothing uses it",
    ),
]


@pytest.mark.parametrize(("layers", "text"), REFUSED, ids=range(len(REFUSED)))
def test_rules(layers, text):
    with pytest.raises(CircuitError, match=whole(text)):
        Circuit(layers)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (
            sparse([0, 2], [0, 1], [0.5, 0.25], 2),
            "layer 1 (sum): the weights of unit 0 must sum to 1, got 0.75",
        ),
        (sparse([0, 2], [0, 1], [-1, 2], 2), "layer 1 (sum): weights must not be negative, got -1"),
        (sparse([0, 2], [0, 1], [np.inf, 1], 2), "layer 1 (sum): weights must be finite, got inf"),
        (
            sparse([0, 1], [0, 1], HALF, 2),
            "layer 1 (sum): row pointers must run from 0 to the number of entries, 2",
        ),
        (
            sparse([1, 2], [0, 1], HALF, 2),
            "layer 1 (sum): row pointers must run from 0 to the number of entries, 2",
        ),
        (
            sparse([0, 2], [0], HALF, 2),
            "layer 1 (sum): row pointers must run from 0 to the number of entries, 2",
        ),
        (sparse([0, 2], [0, 2], HALF, 2), "layer 1 (sum): columns must be in 0..1, got 2"),
        (sparse([0, 2], [1, 0], HALF, 2), "layer 1 (sum): the columns of a row must ascend without repetition"),
        (sparse([0, 2], [1, 1], HALF, 2), "layer 1 (sum): the columns of a row must ascend without repetition"),
        (
            sparse([0, 2], [0, 1], HALF, 3),
            "layer 1 (sum): weights must have one column a child unit, 2, got 3",
        ),
    ],
)
def test_sparse_rules(weights, text):
    with pytest.raises(CircuitError, match=whole(text)):
        Circuit((TWO[0], SumLayer((0,), weights)))


@pytest.mark.parametrize("indptr", [[0, 0, 2], [0, 2, 2], [0, 3, 2]])
def test_sparse_rows_hold_an_entry(indptr):
    empty = 0 if indptr[1] == 0 else 1
    weights = sparse(indptr, [0, 1], HALF, 2)
    text = f"layer 1 (sum): every row must hold at least one entry, row {empty} holds none"
    with pytest.raises(CircuitError, match=whole(text)):
        Circuit((TWO[0], SumLayer((0,), weights), sums([1], HALF)))


def test_normalised_within_the_tolerance():
    Circuit((TWO[0], sums([0], (0.5, 0.5 + 9e-7))))


def test_counts_and_scopes():
    circuit = not_structured()
    assert circuit.cardinalities == (2, 3, 4)
    assert [variables_of(scope) for scope in circuit.scopes] == [
        [0], [1], [2], [0, 1], [0, 1, 2], [1, 2], [0, 1, 2], [0, 1, 2],
    ]  # fmt: skip
    assert circuit.parameters == 2 + 6 + 8 + 4


def test_sparse_rows_convert():
    dense = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    there = SparseRows.from_dense(dense)
    assert (there.toarray() == dense).all() and there.shape == (2, 3)
    assert (there.transposed().toarray() == dense.T).all()
    assert (there.transposed().transposed().indices == there.indices).all()


# ------------------------------------------------------------------------------------------------ queries


@pytest.mark.parametrize("circuit", every_kind(), ids=range(7))
def test_likelihood_is_the_definition(circuit):
    x = enumeration(circuit)
    expected = np.array([brute(circuit, tuple(record)) for record in x])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(log_likelihood(circuit, x), np.log(expected), rtol=1e-10)
    assert expected.sum() == pytest.approx(1)


@pytest.mark.parametrize("circuit", every_kind(), ids=range(7))
def test_marginals_and_conditionals_are_sums(circuit):
    x = enumeration(circuit)
    probability = np.exp(log_likelihood(circuit, x))
    for evidence in itertools.product(*(range(-1, size) for size in circuit.cardinalities)):
        known = np.array(evidence)
        agrees = ((known == -1) | (x == known)).all(axis=1)
        assert np.exp(log_likelihood(circuit, known[None])[0]) == pytest.approx(probability[agrees].sum())
        queries = np.where(known == -1, x[:: max(1, len(x) // 5)], -1)
        joint = [((query == -1) | (x == query)).all(axis=1) & agrees for query in queries]
        expected = [probability[both].sum() / probability[agrees].sum() for both in joint]
        found = log_conditional(circuit, queries, np.tile(known, (len(queries), 1)))
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-9)


def test_impossible_symbols_have_no_likelihood():
    circuit = Circuit((coin(0, 0.0, 0.0), sums([0], HALF)))
    assert log_likelihood(circuit, [[1], [0], [-1]]).tolist() == [-np.inf, 0.0, 0.0]


def test_shapes_and_dtypes_of_data():
    circuit = not_structured()
    x = enumeration(circuit)
    expected = log_likelihood(circuit, x)
    assert np.array_equal(log_likelihood(circuit, x.astype(np.uint8)[:, :, None]), expected)
    assert np.array_equal(log_likelihood(circuit, np.tile(x, (60, 1)))[-len(x) :], expected)
    assert log_likelihood(circuit, x[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        ([[0.0, 1, 2]], "data must be integers, got float64"),
        ([[0.0, np.nan, 2]], "data must be integers, got float64 with NaN; write missing symbols as -1"),
        ([["a", "b", "c"]], "data must be integers, got <U1"),
        ([0, 1, 2], "data must have shape (records, …) with 3 symbols a record, got (3,)"),
        ([[0, 1]], "data must have shape (records, …) with 3 symbols a record, got (1, 2)"),
        ([[0, 0, 0], [0, 3, 0]], "record 1, variable 1: a symbol must be in -1..2, got 3"),
        ([[0, 0, -2]], "record 0, variable 2: a symbol must be in -1..3, got -2"),
        (np.array([[0, 0, 2**64 - 1]], dtype=np.uint64), f"symbols must be below 4, got {2**64 - 1}"),
    ],
)
def test_data_refusals(x, text):
    with pytest.raises(DataError, match=whole(text)):
        log_likelihood(not_structured(), x)


def test_conditional_refusals():
    circuit = not_structured()
    with pytest.raises(DataError, match=whole("query and evidence must have one shape, got (1, 3) and (2, 3)")):
        log_conditional(circuit, [[0, 0, 0]], [[-1, -1, -1]] * 2)
    with pytest.raises(
        DataError, match=whole("a variable must not be in query and evidence, variable 2 of record 1 is")
    ):
        log_conditional(circuit, [[0, -1, -1], [0, -1, 1]], [[-1, 1, 1]] * 2)


# ------------------------------------------------------------------------------------------------ samples


def bound(freedom):
    """Chi-square's mean plus five standard deviations: a right sampler passes it with any of the fixed seeds."""
    return freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("circuit", every_kind(), ids=range(7))
@pytest.mark.parametrize("evidence", [None, [1, -1, -1], [-1, 2, -1], [-1, 0, 3]])
def test_samples_follow_the_distribution(circuit, evidence):
    x = enumeration(circuit)
    probability = np.exp(log_likelihood(circuit, x))
    if evidence is not None:
        probability *= ((np.array(evidence) == -1) | (x == evidence)).all(axis=1)
        probability /= probability.sum()
    count = 20_000
    drawn = sample(circuit, count, seed=11, evidence=evidence)
    found = np.bincount(np.ravel_multi_index(tuple(drawn.T), circuit.cardinalities), minlength=len(x))
    expected = count * probability
    assert (found[expected == 0] == 0).all()
    used = expected > 0
    chi_square = ((found[used] - expected[used]) ** 2 / expected[used]).sum()
    assert chi_square < bound(used.sum() - 1)


def test_samples_repeat_with_the_seed():
    circuit = random_circuit(1)
    assert np.array_equal(sample(circuit, 50, seed=4), sample(circuit, 50, seed=4))
    assert not np.array_equal(sample(circuit, 50, seed=4), sample(circuit, 50, seed=5))
    assert sample(circuit, 0).shape == (0, 3)


def test_samples_with_all_or_impossible_evidence():
    circuit = random_circuit(0)
    assert (sample(circuit, 5, evidence=[1, 2, 3]) == [1, 2, 3]).all()
    never = Circuit((coin(0, 0.0),))
    with pytest.raises(DataError, match=whole("the evidence must have a positive probability, it has 0")):
        sample(never, 1, evidence=[1])


# ------------------------------------------------------------------------------------------------ file


def equal(first, second):
    if len(first.layers) != len(second.layers):
        return False
    for a, b in zip(first.layers, second.layers, strict=True):
        if type(a) is not type(b) or a.shape.children != b.shape.children:
            return False
        if isinstance(a, InputLayer):
            same = a.variable == b.variable and np.array_equal(a.probabilities, b.probabilities)
        elif isinstance(a, ProductLayer):
            same = np.array_equal(a.gather, b.gather)
        elif isinstance(a.weights, SparseRows) != isinstance(b.weights, SparseRows):
            return False
        elif isinstance(a.weights, SparseRows):
            same = a.weights.columns == b.weights.columns and all(
                np.array_equal(getattr(a.weights, name), getattr(b.weights, name))
                for name in ("indptr", "indices", "values")
            )
        else:
            same = np.array_equal(a.weights, b.weights)
        if not same:
            return False
    return True


@pytest.mark.parametrize("circuit", every_kind(), ids=range(7))
def test_file_round_trip(tmp_path, circuit):
    save_circuit(circuit, tmp_path / "a.pcedge")
    loaded = load_circuit(str(tmp_path / "a.pcedge"))
    assert equal(loaded, circuit)
    x = enumeration(circuit)
    assert np.array_equal(log_likelihood(loaded, x), log_likelihood(circuit, x))


def test_a_slice_is_saved_as_it_reads(tmp_path):
    wide = np.linspace(0, 1, 12).reshape(2, 6)[:, ::-2]
    circuit = Circuit((InputLayer(0, wide / wide.sum(axis=1, keepdims=True)), sums([0], HALF)))
    save_circuit(circuit, tmp_path / "a.pcedge")
    assert equal(load_circuit(tmp_path / "a.pcedge"), circuit)


def metadata_file(path, metadata):
    from safetensors.numpy import save

    from pcedge.circuit.file import _checksum

    tensors = {"0.probabilities": np.array([0.5])}
    metadata = {"sha256": _checksum(metadata.get("layers"), tensors), **metadata}
    path.write_bytes(save(tensors, {"pcedge": json.dumps(metadata)}))


def test_file_refusals(tmp_path):
    path = tmp_path / "a.pcedge"
    good = {"format": "pcedge-circuit", "version": 1}
    cases = [
        ({"format": "other", "version": 1}, f"circuit-format: {path} must say format 'pcedge-circuit', got 'other'"),
        ({**good, "version": True}, f"circuit-version: {path} must be of version 1, got True"),
        (
            {**good, "layers": [], "sha256": "0"},
            f"circuit-checksum: {path} must have the numbers of its checksum: damaged file",
        ),
        ({**good, "version": "1"}, f"circuit-version: {path} must be of version 1, got '1'"),
        (good, f"circuit-layers: {path} must describe every layer with its tensors (KeyError('layers'))"),
    ]
    for layers, reason in (
        ([{"kind": "leaf"}], "KeyError('children')"),
        ([{"kind": "leaf", "children": []}], "ValueError(\"layer 0 must be input, product or sum, got 'leaf'\")"),
        ([{"kind": "sum", "children": [0]}], "KeyError('0.weights')"),
        ([{"kind": "input", "variable": 0.9}], "ValueError('an index must be an integer, got 0.9')"),
    ):
        text = f"circuit-layers: {path} must describe every layer with its tensors ({reason})"
        cases.append(({**good, "layers": layers}, text))
    for metadata, text in cases:
        metadata_file(path, metadata)
        with pytest.raises(FormatError, match=whole(text)):
            load_circuit(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(FormatError, match=f"^circuit-container: {re.escape(str(path))} must be a safetensors file \\("):
        load_circuit(path)
    with pytest.raises(FileNotFoundError):
        load_circuit(tmp_path / "none.pcedge")


def test_file_of_a_broken_circuit(tmp_path):
    path = tmp_path / "a.pcedge"
    metadata_file(path, {"format": "pcedge-circuit", "version": 1, "layers": [{"kind": "input", "variable": 1}]})
    with pytest.raises(CircuitError, match=whole(REFUSED[3][1])):
        load_circuit(path)


def test_damaged_files(tmp_path):
    """Truncations and flipped bits give a PcedgeError, or the same circuit where no bit with a meaning changed."""
    save_circuit(random_circuit(0), tmp_path / "a.pcedge")
    data = (tmp_path / "a.pcedge").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(300):
        damaged = bytearray(data)
        if trial % 4 == 0:
            damaged = damaged[: generator.integers(len(data))]
        elif trial % 4 == 1:
            damaged[generator.integers(len(data))] ^= 1 << generator.integers(8)
        else:
            damaged[generator.integers(header)] ^= 1 << generator.integers(8)
        (tmp_path / "b.pcedge").write_bytes(damaged)
        try:
            circuit = load_circuit(tmp_path / "b.pcedge")
        except PcedgeError:
            refused += 1
            continue
        save_circuit(circuit, tmp_path / "b.pcedge")
        assert (tmp_path / "b.pcedge").read_bytes() == data
    assert refused > 290


# ------------------------------------------------------------------------------------------------ regions


def chain(count):
    """Shapes of x0 (x1 (x2 …)), one unit each."""
    shapes = [Shape("input", 1, (), count - 1, 2)]
    for variable in range(count - 2, -1, -1):
        shapes.append(Shape("input", 1, (), variable, 2))
        below = len(shapes) - 2
        shapes.append(Shape("product", 1, (below, below + 1), gather=gather((0, 0))))
    return shapes


def test_region_tree():
    circuit = random_circuit(2)
    tree = region_tree(circuit.shapes)
    assert [variables_of(region.scope) for region in tree] == [[2], [0], [1], [0, 1], [0, 1, 2]]
    assert [region.children for region in tree] == [(), (), (), (1, 2), (0, 3)]
    assert coding_order(tree) == (2, 0, 1)
    scopes = layer_scopes(circuit.shapes)
    assert sorted(index for region in tree for index in region.layers) == list(range(len(circuit.layers)))
    assert all(scopes[index] == region.scope for region in tree for index in region.layers)


@pytest.mark.parametrize("order", [(2, 0, 1), (2, 1, 0), (0, 1, 2), (1, 0, 2)])
def test_given_coding_order(order):
    assert coding_order(region_tree(random_circuit(2).shapes, order)) == order


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ((0, 2, 1), "the coding order must finish a region before it enters the next; it leaves one in between"),
        ((0, 1), "the coding order must name each of the 3 variables once, got [0, 1]…"),
        ((0, 1, 1), "the coding order must name each of the 3 variables once, got [0, 1, 1]…"),
    ],
)
def test_wrong_coding_order(order, text):
    with pytest.raises(CircuitError, match=whole(text)):
        region_tree(random_circuit(2).shapes, order)


def test_not_structured():
    text = (
        "layers 4 and 6 (product) partition the scope [0, 1, 2] differently: it is not structured-decomposable, so "
        "only the numpy reference can code with it"
    )
    with pytest.raises(NotStructuredError, match=whole(text)):
        region_tree(not_structured().shapes)


def test_long_chains():
    tree = region_tree(chain(1500))
    assert coding_order(tree) == tuple(range(1500))
    assert coding_order(region_tree(chain(12), tuple(reversed(range(12))))) == tuple(reversed(range(12)))


def test_wide_scopes_are_cut_short():
    leaves = [Shape("input", 1, (), variable, 2) for variable in range(10)]
    zeros = np.zeros((1, 10), dtype=np.int64)
    half = Shape("product", 1, tuple(range(5)), gather=zeros[:, :5])
    rest = Shape("product", 1, (10, *range(5, 10)), gather=zeros[:, :6])
    other = Shape("product", 1, tuple(range(10)), gather=zeros)
    text = (
        "layers 11 and 12 (product) partition the scope [0, 1, 2, 3, 4, 5, 6, 7]… (10 variables) differently: it is "
        "not structured-decomposable, so only the numpy reference can code with it"
    )
    with pytest.raises(NotStructuredError, match=whole(text)):
        region_tree([*leaves, half, rest, other, Shape("sum", 1, (11, 12), columns=2)])


def test_equal_circuits_give_equal_bytes(tmp_path):
    circuit = every_kind()[0]
    for name in "abcdef":
        save_circuit(circuit, tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in "abcdef"}) == 1


def far_apart() -> Circuit:
    """Two units whose likelihoods are more than float64 can hold apart, and a unit that uses the small one alone."""
    count = 200
    layers = [InputLayer(v, np.array([0.5, 1e-9])) for v in range(count)]
    gather = np.stack([np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)])
    weights = SparseRows.from_dense(np.array([[1.0, 0.0], [0.0, 1.0]]))
    top = SumLayer((count + 1,), np.array([[0.5, 0.5]]))
    return Circuit((*layers, ProductLayer(tuple(range(count)), gather), SumLayer((count,), weights), top))


def test_sums_of_small_units_do_not_underflow():
    circuit = far_apart()
    from pcedge.circuit.inference import inside

    values = inside(circuit, np.ones((1, 200), dtype=np.int64))
    assert values[-2][0, 1] == pytest.approx(200 * np.log(1e-9))
    dense = SumLayer(circuit.layers[-2].children, circuit.layers[-2].weights.toarray())
    values = inside(Circuit((*circuit.layers[:-2], dense, circuit.layers[-1])), np.ones((1, 200), dtype=np.int64))
    assert values[-2][0, 1] == pytest.approx(200 * np.log(1e-9))


def test_sampling_with_evidence_that_one_unit_calls_impossible():
    leaves = InputLayer(0, np.array([[1.0, 0.0], [0.0, 1.0]])), InputLayer(1, np.array([0.2, 0.7]))
    product = ProductLayer((0, 1), np.array([[0, 0], [1, 1]]))
    inner = SumLayer((2,), np.array([[1.0, 0.0], [0.5, 0.5]]))
    circuit = Circuit((*leaves, product, inner, SumLayer((3,), np.array([[0.5, 0.5]]))))
    assert (sample(circuit, 50, evidence=[1, -1])[:, 0] == 1).all()
    with pytest.raises(DataError, match="record 0 has 0"):
        log_conditional(Circuit((leaves[0], SumLayer((0,), np.array([[1.0, 0.0]])))), [[-1]], [[1]])


class TestForms:
    """Arrays and layers as callers have them."""

    @pytest.mark.parametrize(("layers", "text"), [
        (None, "layers must be a tuple of layers, got NoneType"),
        ((1, 2), "layer 0 must be an InputLayer, ProductLayer or SumLayer, got int"),
    ])  # fmt: skip
    def test_what_is_no_layer_is_refused(self, layers: object, text: str) -> None:
        with pytest.raises(CircuitError, match=f"^{text}$"):
            Circuit(layers)  # type: ignore[arg-type]

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
    def test_lists_of_any_integers(self, dtype: str) -> None:
        def circuit(indptr: list[int]) -> Circuit:
            rows = SparseRows(np.array(indptr, dtype), np.array([0, 1, 0, 1], dtype), np.full(4, 0.5), 2)
            leaf = InputLayer(0, np.array([[0.25, 0.75], [0.5, 0.5]]))
            return Circuit((leaf, SumLayer((0,), rows), SumLayer((1,), np.array([[0.5, 0.5]]))))

        np.testing.assert_array_equal(log_likelihood(circuit([0, 2, 4]), [[0]]), np.log([0.375]))
        with pytest.raises(CircuitError, match=r"every row must hold at least one entry|row pointers"):
            circuit([0, 4, 4])

    def test_lists_may_be_plain(self) -> None:
        rows = SparseRows([0, 2], [0, 1], [0.5, 0.5], 2)  # type: ignore[arg-type]
        circuit = Circuit((InputLayer(0, np.array([[0.25, 0.75], [0.5, 0.5]])), SumLayer((0,), rows)))
        np.testing.assert_array_equal(log_likelihood(circuit, [[0]]), np.log([0.375]))


@pytest.mark.parametrize("values", [np.ones(1, "f4"), np.ones(1, ">f8"), [1], np.ones(1, "i1")])
@pytest.mark.parametrize("kind", ["i8", "i4", ">i8", "u8"])
def test_numbers_of_any_type_are_saved_as_they_are_read(values: object, kind: str, tmp_path: Path) -> None:
    leaves = InputLayer(0, np.array([0.1, 0.9])), InputLayer(1, np.array([0.3, 0.9]))
    rows = SparseRows(np.array([0, 1]), np.array([0]), values, 1)  # type: ignore[arg-type]
    circuit = Circuit((*leaves, ProductLayer((0, 1), np.zeros((1, 2), kind)), SumLayer((2,), rows)))
    save_circuit(circuit, tmp_path / "c.pcedge")
    x = np.array([[0, 0], [1, 0], [1, 1]])
    assert_array_equal(log_likelihood(load_circuit(tmp_path / "c.pcedge"), x), log_likelihood(circuit, x))


def test_a_failed_write_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = make_circuit(0, 3, 2, 2, "chain")
    path = tmp_path / "c.pcedge"
    save_circuit(circuit, path)
    before = path.read_bytes()

    def fail(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    for write in (lambda: save_circuit(circuit, path), lambda: write_program(quantize(circuit), path)):
        with pytest.raises(OSError, match="the disk is full"):
            write()
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
