"""The PQ index, the rounds of pruning that follow it, and what latents say of their parents."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.commands import run
from helpers.messages import whole
from hypothesis import given
from hypothesis import strategies as st
from strategies import float_circuits, unstructured_circuits

from pcedge.circuit import Circuit, InputLayer, SparseRows, SumLayer, load_circuit, log_likelihood, sample, save_circuit
from pcedge.circuit.rows import float_entries, positions
from pcedge.compress import expected_flows, latent_information, pq_index, sap_fraction, sap_round
from pcedge.errors import UsageError
from pcedge.learn import hidden_chow_liu_tree

FLOWS = st.lists(st.floats(0, 1e6).map(lambda value: value if value > 1e-6 else 0.0), min_size=1, max_size=30)


@given(FLOWS)
def test_the_index_is_its_definition(flows: list[float]) -> None:
    w = np.array(flows)
    index = pq_index(w)
    assert 0 <= index < 1
    if w.sum() > 0:
        p, q, d = 0.5, 1.0, len(w)
        norms = [(w**power).sum() ** (1 / power) for power in (p, q)]
        assert index == pytest.approx(1 - d ** (1 / q - 1 / p) * norms[0] / norms[1], abs=1e-9)
        assert index == pytest.approx(pq_index(1e3 * w), abs=1e-9) == pytest.approx(pq_index([*w, *w]), abs=1e-9)
    else:
        assert index == 0


def test_the_index_by_hand() -> None:
    assert pq_index(np.full((3, 7), 0.1)) == 0
    assert pq_index([4, 0, 0, 0]) == 0.75 and pq_index([9, 1, 0, 0]) == pytest.approx(0.6)
    assert sap_fraction([9, 1, 0, 0], 0.5) == pytest.approx(0.3) and sap_fraction([9, 1, 0, 0], 9) == 0.9


@pytest.mark.parametrize("flows", [[], [1.0, -1e-9], [np.nan], [np.inf]])
def test_what_is_no_flow(flows: list[float]) -> None:
    with pytest.raises(
        UsageError, match=whole("a PQ index must be of finite flows that are not negative, at least one")
    ):
        pq_index(flows)


def test_a_round_by_hand() -> None:
    """The even layer keeps all, the uneven one its share, and every row its best edge."""
    weights = np.array([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])
    leaf = InputLayer(0, np.array([0.1, 0.4, 0.6, 0.9]))
    circuit = Circuit((leaf, SumLayer((0,), weights), SumLayer((1,), np.array([[0.5, 0.5]]))))
    # I = 1 - (3 + 1 + 1 + 5 * 0.5)^2 / (8 * 12.25) = 0.42602: 0.9 I of 8 edges are 3 whole ones.
    flows = [None, np.array([[9.0, 1.0, 1.0, 0.25], [0.25, 0.25, 0.25, 0.25]]), np.array([[6.0, 6.0]])]
    pruned = sap_round(circuit, flows, 0.9)
    assert pruned.edges == 3 and pruned.flow == 0.75
    rows = pruned.circuit.layers[1].weights
    # Of equal flows and weights the first goes; the second row keeps its last.
    assert isinstance(rows, SparseRows) and rows.indptr.tolist() == [0, 3, 5]
    assert pruned.circuit.layers[2].weights.tolist() == [[0.5, 0.5]]


@given(st.data())
def test_rounds_keep_circuits(data: st.DataObject) -> None:
    circuit = data.draw(st.one_of(float_circuits(8, 6, 5), unstructured_circuits()))
    flows = expected_flows(circuit, sample(circuit, 30, seed=1))
    gamma = data.draw(st.sampled_from((1e-6, 0.3, 1.0, 100.0)))
    pruned = sap_round(circuit, flows, gamma)
    assert pruned.circuit.cardinalities == circuit.cardinalities
    for layer, mask, flow in zip(circuit.layers, pruned.dropped, flows, strict=True):
        if isinstance(layer, SumLayer):
            assert mask is not None and mask.sum() <= sap_fraction(flow, gamma) * flow.size
            (rows, _), kept = positions(layer.weights), ~mask.reshape(-1)
            assert set(rows[kept].tolist()) == set(range(layer.shape.units))
    if gamma == 1e-6:
        assert pruned.edges == 0


def test_training_gives_no_edge_back() -> None:
    pytest.importorskip("torch", reason="training needs torch")
    from pcedge.learn import LearnConfig, fit

    circuit = hidden_chow_liu_tree([-1, 0, 1, 1], [3] * 4, latents=6)
    records = sample(circuit, 300, seed=1)
    for _ in range(3):
        pruned = sap_round(circuit, expected_flows(circuit, records), 0.3)
        assert pruned.edges > 0
        circuit = fit(records, LearnConfig(iterations=2, patience=0), circuit=pruned.circuit)
        sums = [[layer for layer in c.layers if isinstance(layer, SumLayer)] for c in (pruned.circuit, circuit)]
        assert [np.count_nonzero(float_entries(s.weights)) for s in sums[0]] == [
            np.count_nonzero(float_entries(s.weights)) for s in sums[1]
        ]


def test_round_refusals() -> None:
    circuit = Circuit((InputLayer(0, np.array([0.2, 0.5])), SumLayer((0,), np.array([[0.5, 0.5]]))))
    for gamma in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=whole(f"gamma must be above 0 and finite, got {gamma}")):
            sap_round(circuit, [None, np.ones((1, 2))], gamma)
    with pytest.raises(UsageError, match=whole("flows must have an entry for each of 2 layers, got 1")):
        sap_round(circuit, [None])


# ---------------------------------------------------------------------------------------------------- latents


def latent(cells: np.ndarray, sparse: bool = False) -> tuple[Circuit, list[np.ndarray]]:
    """A latent whose joint counts with its parent are given, and its flows."""
    rows = cells / cells.sum(axis=1, keepdims=True)
    layer = SumLayer((0,), SparseRows.from_dense(rows) if sparse else rows)
    root = SumLayer((1,), cells.sum(axis=1, keepdims=True).T / cells.sum())
    circuit = Circuit((InputLayer(0, np.eye(cells.shape[1])), layer, root))
    return circuit, [np.diag(cells.sum(axis=0)), cells[cells > 0] if sparse else cells, cells.sum(axis=1)[None]]


@pytest.mark.parametrize("sparse", [False, True])
def test_information_by_hand(sparse: bool) -> None:
    # p = 3/8, 1/8, 0, 1/2: I = 3/8 log2(3/8 / (1/2 3/8)) + 1/8 log2(1/8 / (1/2 5/8)) + 1/2 log2(1/2 / (1/2 5/8))
    circuit, flows = latent(np.array([[3000.0, 1000.0], [0.0, 4000.0]]), sparse)
    plain = 3 / 8 + 1 / 8 * np.log2(0.4) + 1 / 2 * np.log2(1.6)
    assert latent_information(circuit, flows) == {1: pytest.approx(plain - (3 - 2 - 2 + 1) / 16000 / np.log(2))}


def test_chance_is_taken_off() -> None:
    """Counts of independent variables: what is left of the information is about 0, and never below."""
    dice, left, plain = np.random.default_rng(0), [], []
    for _ in range(200):
        cells = dice.multinomial(300, np.full(16, 1 / 16)).reshape(4, 4) + 0.0
        left.append(latent_information(*latent(cells))[1])
        share = cells / 300
        outer = share.sum(axis=1, keepdims=True) * share.sum(axis=0)
        plain.append(float((share * np.log2(np.maximum(share, 1e-300) / outer)).sum()))
    assert np.mean(plain) > 0.02 and np.median(left) < 0.002 and min(left) == 0


def test_few_records_say_what_many_say() -> None:
    circuit = load_circuit("digits")
    few, many = (sum(latent_information(circuit, expected_flows(circuit, sample(circuit, n, seed=1))).values())
                 for n in (200, 5000))  # fmt: skip
    assert few == pytest.approx(many, rel=0.05)


def test_what_says_nothing() -> None:
    cells = np.outer([1.0, 2, 3], [1, 1, 2]) * 100
    assert latent_information(*latent(cells)) == {1: 0}
    # A root has no parent, and where nothing flows nothing is known.
    circuit = hidden_chow_liu_tree([-1, 0, 1], [2, 2, 2], latents=3)
    assert len(latent_information(circuit, expected_flows(circuit, sample(circuit, 5, seed=0)))) == 2
    assert latent_information(circuit, expected_flows(circuit, np.zeros((0, 3), dtype=int))) == {}


# ---------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparsity")
    circuit = hidden_chow_liu_tree([-1, 0, 1, 1], [3] * 4, latents=6)
    save_circuit(circuit, folder / "c.pcedge")
    np.save(folder / "x.npy", sample(circuit, 200, seed=1).astype(np.uint8))
    return folder


def test_cli_info(files) -> None:
    result = json.loads(run("info", files / "c.pcedge", "--data", files / "x.npy", "--json").stdout)
    circuit, x = load_circuit(files / "c.pcedge"), np.load(files / "x.npy")
    flows = expected_flows(circuit, x)
    sums = [index for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
    assert result["records"] == 200
    assert result["pq_index"]["layers"] == {str(i): pytest.approx(pq_index(flows[i])) for i in sums}
    joined = np.concatenate([np.reshape(flows[i], -1) for i in sums])
    assert result["pq_index"]["circuit"] == pytest.approx(pq_index(joined))
    found = latent_information(circuit, flows)
    assert result["latent_information"] == {str(i): pytest.approx(bits) for i, bits in found.items()}
    assert result["silent_latents"] == sum(bits <= 1e-4 for bits in found.values())
    said = run("info", files / "c.pcedge", "--data", files / "x.npy").stdout
    assert f"pq index: {pq_index(joined):.3f} of all sum edges" in said
    assert f"\nsilent latents: {result['silent_latents']} say nothing of their parents" in said
    assert "pq_index" not in json.loads(run("info", files / "c.pcedge", "--json").stdout)


def test_cli_prune_by_schedule(files, tmp_path) -> None:
    words = (
        "prune",
        files / "c.pcedge",
        "--data",
        files / "x.npy",
        "--schedule",
        "sap",
        "--out",
        tmp_path / "p.pcedge",
    )
    result = json.loads(run(*words, "--gamma", 0.8, "--json").stdout)
    circuit, x = load_circuit(files / "c.pcedge"), np.load(files / "x.npy")
    pruned = sap_round(circuit, expected_flows(circuit, x), 0.8)
    assert (result["fraction"], result["schedule"], result["gamma"]) == (None, "sap", 0.8)
    assert result["dropped_edges"] == pruned.edges > 0
    after = log_likelihood(load_circuit(tmp_path / "p.pcedge"), x)
    np.testing.assert_array_equal(after, log_likelihood(pruned.circuit, x))


@pytest.mark.parametrize(
    "words, text",
    [
        (("prune", "c.pcedge", "--data", "x.npy", "--out", "p"), "either --fraction or --schedule must be given"),
        (
            ("prune", "c.pcedge", "--data", "x.npy", "--schedule", "sap", "--fraction", "0.5", "--out", "p"),
            "either --fraction or --schedule must be given",
        ),
        (
            ("prune", "c.pcedge", "--data", "x.npy", "--schedule", "sap", "--shape", "edges", "--out", "p"),
            "--shape must come without --schedule, which settles it",
        ),
        (
            ("prune", "c.pcedge", "--data", "x.npy", "--schedule", "sap", "--global", "--out", "p"),
            "--global must come without --schedule, which settles it",
        ),
        (
            ("prune", "c.pcedge", "--data", "x.npy", "--fraction", "0.5", "--gamma", "0.5", "--out", "p"),
            "--gamma must come with --schedule",
        ),
        (("info", "c.pcedge", "--missing", "0"), "--missing must come with --data"),
        (("info", "x.npy", "--data", "x.npy"), "--data must go with a float circuit, x.npy is none"),
    ],
)
def test_cli_refusals(files, monkeypatch, words, text) -> None:
    monkeypatch.chdir(files)
    done = run(*words)
    assert done.exit_code == 2 and text in done.output + done.stderr
