"""Round trips of circuits that others learned: wide sums, thousands of decision nodes, and circuits without a tree.

The files are read where they lie; tests of data that are not there are skipped.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import SHARED

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, sample
from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.evaluate import statistics
from pcedge.export import from_onnx, to_onnx
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.ort import OrtSession
from pcedge.verify import verify

WIDE = QuantizationConfig(weight_bits=16)

#: circuit, its vtree (None: the nodes' own), its data set, float nats on the whole test split
PSDDS = {
    "nltcs.psdd.gz": ("nltcs.vtree", "nltcs", -6.044764),
    "msnbc-yitao-c.psdd.gz": (None, "msnbc", -6.045353),
    "plants.psdd.gz": ("plants.vtree", "plants", -13.354223),
}


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} does not exist; PCEDGE_SHARED_DATA names the folder of the data")
    return path


def psdd(name: str, tmp_path: Path) -> Circuit:
    from pcedge.importers import import_circuit

    vtree = PSDDS[name][0]
    source = shared(f"psdd/{name}")
    if vtree is None:  # elsewhere, so that no vtree lies beside it
        source = tmp_path / name
        source.write_bytes(shared(f"psdd/{name}").read_bytes())
    return import_circuit(source, vtree=shared(f"psdd/{vtree}") if vtree else None).circuit


def spn(name: str) -> Circuit:
    from pcedge.importers import import_circuit

    return import_circuit(shared(f"spn/{name}.spn")).circuit


def benchmark(name: str, records: int) -> np.ndarray:
    return np.load(shared(f"debd/{name}.npz"))["test"][:records]


def nips5(records: int) -> np.ndarray:
    with gzip.open(shared("spn/NIPS5_input.txt.gz"), "rt") as file:
        return np.loadtxt(file, delimiter=";", dtype=np.float64, max_rows=records).astype(np.int64)


def deterministic(elements: int, variables: int = 4, seed: int = 0) -> Circuit:
    """Make what a PSDD looks like: a decision of many elements, each over records that no other element allows."""
    rng = np.random.default_rng(seed)
    sides = []
    layers: list = []
    symbols = 32
    for variable in range(variables):
        layers.append(InputLayer(variable, np.vstack([np.eye(symbols), np.full((1, symbols), 1 / symbols)])))
        sides.append(len(layers) - 1)
    pairs = rng.permutation(symbols * symbols)[:elements]
    layers.append(ProductLayer((0, 1), np.stack([pairs // symbols, pairs % symbols], axis=1)))
    free = np.full((elements, 2), symbols)
    free[:, 0] = rng.integers(0, symbols + 1, elements)
    layers.append(ProductLayer((2, 3), free))
    layers.append(ProductLayer((4, 5), np.repeat(np.arange(elements)[:, None], 2, axis=1)))
    weights = rng.dirichlet(np.full(elements, 0.05)) + 1e-7
    rows = SparseRows(np.array([0, elements]), np.arange(elements), weights / weights.sum(), elements)
    layers.append(SumLayer((6,), rows))
    return Circuit(tuple(layers))


class TestWideSums:
    def test_every_possible_record_stays_possible(self):
        circuit = deterministic(300)
        records = sample(circuit, 500)
        small = [quantize(circuit, QuantizationConfig(9, small_weights=way)) for way in ("auto", "round")]
        assert (ReferenceEngine(small[0]).likelihood(records)[0] > 0).all()
        assert small[0].layers[-1].weights.values.min() == 1
        assert small[1].layers[-1].weights.values.min() == 0

    def test_more_bits_lose_less(self):
        circuit = deterministic(300)
        records = sample(circuit, 2000)
        losses = [
            statistics(circuit, ReferenceEngine(quantize(circuit, QuantizationConfig(w))), records).loss
            for w in (9, 12, 16)
        ]
        assert losses[0] > losses[1] > losses[2]
        assert losses[2] < 2e-3

    @pytest.mark.parametrize("weight_bits", [8, 16])
    def test_any_record_comes_back(self, weight_bits):
        """Eight bits cannot hold 300 elements; records of those that vanish are coded all the same."""
        circuit = deterministic(300)
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(weight_bits)))
        records = np.vstack([sample(circuit, 50), np.random.default_rng(1).integers(0, 32, (50, 4))])
        assert np.isneginf(log_likelihood(circuit, records)).any()
        assert (decode(engine, encode(engine, records)) == records).all()

    def test_onnxruntime_is_equal(self):
        pytest.importorskip("onnxruntime")
        circuit = quantize(deterministic(300), WIDE)
        assert from_onnx(to_onnx(circuit)).digest == circuit.digest
        assert verify(circuit, sample(deterministic(300), 40), ["ort"]).mismatches == 0

    @pytest.mark.csim
    def test_the_kernels_are_equal(self):
        """W 16 needs weights of 17 bits, wider than the memory's usual type."""
        assert verify(quantize(deterministic(300), WIDE), sample(deterministic(300), 20), ["csim"]).mismatches == 0

    def test_batches_of_wide_sums_are_small(self):
        engine = ReferenceEngine(quantize(deterministic(900), WIDE))
        records = sample(deterministic(900), 1500)
        assert engine.batch == 1024
        lo, hi = engine.intervals(records)
        other = ReferenceEngine(engine.circuit)
        other.__dict__["batch"] = 7
        assert all((a == b).all() for a, b in zip((lo, hi), other.intervals(records), strict=True))


class TestPsdds:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", PSDDS)
    def test_comes_back_and_onnxruntime_is_equal(self, name, tmp_path):
        circuit, x = psdd(name, tmp_path), benchmark(PSDDS[name][1], 100)
        engine = ReferenceEngine(quantize(circuit, WIDE))
        assert engine.circuit.structured
        assert (decode(engine, encode(engine, x)) == x).all()
        report = statistics(circuit, engine, x)
        assert report.loss * x.shape[1] < 0.1
        pytest.importorskip("onnxruntime")
        got = OrtSession(engine.circuit, quick=True).run(x)
        for name_, values in zip(
            ("mantissa", "exponent", "lo", "hi"), (*engine.likelihood(x), *engine.intervals(x)), strict=True
        ):
            assert (got[name_] == values).all()

    @pytest.mark.slow
    @pytest.mark.csim
    @pytest.mark.parametrize("name", ["nltcs.psdd.gz", "msnbc-yitao-c.psdd.gz"])
    def test_the_kernels_are_equal(self, name, tmp_path):
        circuit = quantize(psdd(name, tmp_path), WIDE)
        assert verify(circuit, benchmark(PSDDS[name][1], 50), ["csim"]).mismatches == 0

    @pytest.mark.csim
    def test_nips5(self):
        pytest.importorskip("onnxruntime")
        circuit = spn("NIPS5")
        x = nips5(300)
        engine = ReferenceEngine(quantize(circuit, WIDE))
        assert engine.circuit.structured
        assert (decode(engine, encode(engine, x)) == x).all()
        assert verify(engine.circuit, x).mismatches == 0


class TestWithoutTree:
    @pytest.mark.parametrize(("name", "data"), [("NLTCS_200", "nltcs"), ("PLANTS_4000", "plants")])
    def test_benchmarks(self, name, data):
        circuit, x = spn(name), benchmark(data, 200)
        engine = ReferenceEngine(quantize(circuit, WIDE))
        assert not engine.circuit.structured
        assert (decode(engine, encode(engine, x)) == x).all()
        assert abs(statistics(circuit, engine, x).loss) * x.shape[1] < 0.02

    @pytest.mark.parametrize("name", ["NIPS10", "NIPS20", "NIPS80"])
    def test_counts(self, name):
        circuit = spn(name)
        x = sample(circuit, 200)
        engine = ReferenceEngine(quantize(circuit, WIDE))
        assert not engine.circuit.structured
        assert (decode(engine, encode(engine, x)) == x).all()
        assert abs(statistics(circuit, engine, x).loss) * x.shape[1] < 0.1
