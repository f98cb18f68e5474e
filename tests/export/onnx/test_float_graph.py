"""A float circuit as plain ONNX: what onnxruntime gives is `log_likelihood`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers.paths import DATA
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood, save_circuit
from pcedge.circuit.rows import SparseRows
from pcedge.cli import group
from pcedge.errors import FormatError
from pcedge.export import float_onnx, write_float_onnx
from pcedge.export.onnx import float_graph
from pcedge.importers import import_circuit

ort = pytest.importorskip("onnxruntime")


def run(model: onnx.ModelProto, symbols: object) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"symbols": np.asarray(symbols, dtype=np.int64)})
    assert found.dtype == np.float64
    return found  # type: ignore[no-any-return]


def drawn(circuit: Circuit, count: int = 100) -> np.ndarray:
    """Draw records, a third of them with missing symbols."""
    generator = np.random.default_rng(3)
    x = np.stack([generator.integers(0, symbols, count) for symbols in circuit.cardinalities], axis=1)
    some = x[::3]
    some[generator.random(some.shape) < 0.4] = -1
    return x


def same(circuit: Circuit, x: np.ndarray) -> onnx.ModelProto:
    model = float_onnx(circuit)
    found, expected = run(model, x), log_likelihood(circuit, x)
    assert np.array_equal(np.isneginf(found), np.isneginf(expected))
    finite = np.isfinite(expected)
    assert np.abs(found[finite] - expected[finite]).max(initial=0) < 1e-9
    return model


def hmm(steps: int, states: int = 6, symbols: int = 5) -> Circuit:
    """Build a hidden Markov model whose tables are shared by all steps."""
    generator = np.random.default_rng(5)
    emissions, moves = (generator.dirichlet(np.ones(size), states) for size in (symbols, states))
    layers: list[InputLayer | ProductLayer | SumLayer] = []
    for step in reversed(range(steps)):
        layers.append(InputLayer(step, emissions))
        if step < steps - 1:
            layers.append(SumLayer((len(layers) - 2,), moves))
            pairs = np.stack([np.arange(states)] * 2, axis=1)
            layers.append(ProductLayer((len(layers) - 2, len(layers) - 1), pairs))
    layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(states))[None]))
    return Circuit(tuple(layers))


def mixture(variables: int, components: int = 4) -> Circuit:
    generator = np.random.default_rng(6)
    leaves = [InputLayer(v, generator.dirichlet(np.ones(3 + v % 2), components)) for v in range(variables)]
    product = ProductLayer(tuple(range(variables)), np.stack([np.arange(components)] * variables, axis=1))
    return Circuit((*leaves, product, SumLayer((variables,), generator.dirichlet(np.ones(components))[None])))


@pytest.mark.parametrize("structure", ["balanced", "hidden", "chain"])
@pytest.mark.parametrize("seed", [1, 2])
def test_drawn_circuits(structure: str, seed: int) -> None:
    circuit = make_circuit(seed, 9, 5, 4, structure)
    same(circuit, drawn(circuit))


@pytest.mark.parametrize(
    "name",
    ["compiled/grass.net.ac", "compiled/either.nnf", "small.clt", "small.jpc", "small.spn", "small2.psdd",
     "spn/NIPS5.spn", "pyjuice/hclt.jpc", "pyjuice/mixed.jpc"],
)  # fmt: skip
def test_imported_circuits(name: str) -> None:
    """Sparse rows, zeros, several depths and unstructured products."""
    circuit = import_circuit(DATA / name).circuit
    same(circuit, drawn(circuit))
    if len(circuit.cardinalities) < 6 and max(circuit.cardinalities) < 5:
        every = itertools.product(*(range(-1, symbols) for symbols in circuit.cardinalities))
        same(circuit, np.array(list(every)))


def test_a_long_chain_takes_nodes_by_its_length_and_shares_its_tables() -> None:
    short, long = hmm(40), hmm(400)
    models = [same(circuit, drawn(circuit, 20)) for circuit in (short, long)]
    counts = [len(model.graph.node) for model in models]
    assert counts[1] < 10.5 * counts[0]
    parameters = [sum(len(tensor.raw_data) for tensor in model.graph.initializer) for model in models]
    assert parameters[1] < parameters[0] + 400 * 200  # indices a step, but no table


def test_a_mixture_takes_few_nodes_however_many_variables() -> None:
    circuit = mixture(200)
    model = same(circuit, drawn(circuit))
    assert len(model.graph.node) < 40
    assert {node.domain for node in model.graph.node} == {""} and not model.functions


def vanishing(size: int) -> Circuit:
    """Build dense sums each of whose rows is over children far below the others'."""
    tables = np.full((size, 2), 1e-200)
    tables[:, 1] = 1 - 1e-200
    tables[0] = 0.5, 0.5
    doubled = ProductLayer((0, 1), np.stack([np.arange(size)] * 2, axis=1))
    weights = np.full((size, size), 1 / (size - 1))
    weights[:, 0] = 0.0
    weights[0] = np.eye(size)[0]
    root = np.full((1, size), 1 / (size - 1))
    root[0, 0] = 0.0
    return Circuit(
        (InputLayer(0, tables), InputLayer(1, tables), doubled, SumLayer((2,), weights), SumLayer((3,), root))
    )


@pytest.mark.parametrize("exact", [float_graph.EXACT, 0])
def test_units_far_below_the_best_keep_their_own_digits(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of dense sums: in logarithms, and as a product of matrices with what vanishes done again."""
    monkeypatch.setattr(float_graph, "EXACT", exact)
    circuit = vanishing(5)
    x = np.array([[0, 0], [0, 1], [1, 1], [-1, 0], [-1, -1]])
    assert log_likelihood(circuit, x)[0] == pytest.approx(2 * np.log(1e-200))
    model = same(circuit, x)
    assert any(node.op_type == "MatMul" for node in model.graph.node) == (exact == 0)
    for structure in ("balanced", "hidden"):
        other = make_circuit(4, 8, 4, 5, structure)
        same(other, drawn(other))


def test_impossible_records_are_minus_infinity() -> None:
    circuit = Circuit((
        InputLayer(0, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])),
        SumLayer((0,), SparseRows(np.array([0, 2]), np.array([0, 1]), np.array([0.25, 0.75]), 2)),
    ))  # fmt: skip
    found = run(float_onnx(circuit), [[0], [1], [2], [-1]])
    assert found.tolist() == pytest.approx([np.log(0.25), np.log(0.75), -np.inf, 0.0])


@pytest.mark.parametrize("symbol", [-2, 4, 1 << 41])
def test_symbols_out_of_range_are_an_error_of_the_runtime(symbol: int) -> None:
    """They must not be looked up in another variable's table."""
    circuit = mixture(3)
    with pytest.raises(Exception, match=r"out of data bounds|out of bounds"):
        run(float_onnx(circuit), [[0, symbol, 0]])


def test_metadata_and_bytes(tmp_path: Path) -> None:
    circuit = import_circuit(DATA / "spn" / "NIPS5.spn").circuit
    write_float_onnx(circuit, tmp_path / "a.onnx")
    write_float_onnx(circuit, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    notes = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert notes == {"log_constant": repr(circuit.log_constant), "grid": circuit.grid.to_json()}
    named = import_circuit(DATA / "compiled" / "grass_old.net.ac").circuit
    notes = {entry.key: entry.value for entry in float_onnx(named).metadata_props}
    assert [axis["name"] for axis in json.loads(notes["grid"])["axes"]] == ["weather", "sprinkler", "grass"]


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float_graph, "MAX_BYTES", 1000)
    with pytest.raises(FormatError, match=r"onnx-size: parameters must take 1000 bytes at most in an ONNX file"):
        float_onnx(mixture(50))


COMMANDS: list[tuple[list[str], Callable[[str], bool]]] = [
    (["--target", "pyjuice", "--out", "f.x"], lambda said: "must end in .jpc, pyjuice.load takes no other" in said),
    (["--target", "onnx-float", "--out", "f.onnx", "--macs", "4"],
     lambda said: "--macs must go with a project, --target onnx-float makes none" in said),
]  # fmt: skip


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    circuit = import_circuit(DATA / "spn" / "NIPS5.spn").circuit
    save_circuit(circuit, "c.pcedge")
    done = CliRunner().invoke(group, ["export", "c.pcedge", "--target", "onnx-float", "--out", "f.onnx"])
    assert (
        done.exit_code == 0 and "for any ONNX runtime; the imported file's own log-likelihood is 0.4105" in done.output
    )
    x = drawn(circuit)
    assert np.allclose(run(onnx.load("f.onnx"), x), log_likelihood(circuit, x), atol=1e-9)
    for words, tells in COMMANDS:
        wrong = CliRunner().invoke(group, ["export", "c.pcedge", *words])
        assert wrong.exit_code == 2 and tells(wrong.stderr), wrong.stderr
    integer = CliRunner().invoke(
        group, ["export", str(DATA / "small.spn"), "--target", "onnx-float", "--out", "g.onnx"]
    )
    assert integer.exit_code != 0 and "must be a float circuit (.pcedge), it is none" in integer.stderr
