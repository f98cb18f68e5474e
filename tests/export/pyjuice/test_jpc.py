"""A float circuit as PyJuice's file: read back by our reader, and by PyJuice where it is installed."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.paths import DATA
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood, sample, save_circuit
from pcedge.cli import group
from pcedge.export import write_jpc
from pcedge.importers import import_circuit

NAMES = [
    "compiled/grass.net.ac", "compiled/either.nnf", "small.clt", "small.jpc", "small.spn", "small2.psdd",
    "spn/NIPS5.spn", "pyjuice/hclt.jpc", "pyjuice/mixed.jpc",
]  # fmt: skip


def read_back(circuit: Circuit, path: Path) -> None:
    write_jpc(circuit, path)
    again = import_circuit(path)
    x = np.concatenate([sample(circuit, 50, seed=1), np.full((1, len(circuit.cardinalities)), -1)])
    found = log_likelihood(again.circuit, x) + again.log_constant
    assert again.circuit.cardinalities == circuit.cardinalities
    assert np.abs(found - log_likelihood(circuit, x)).max() < 1e-6 * (1 + len(circuit.cardinalities))


@pytest.mark.parametrize("name", NAMES)
def test_imported_circuits_are_read_back(name: str, tmp_path: Path) -> None:
    read_back(import_circuit(DATA / name).circuit, tmp_path / "c.jpc")


@pytest.mark.parametrize("structure", ["balanced", "hidden", "chain"])
def test_drawn_circuits_are_read_back(structure: str, tmp_path: Path) -> None:
    read_back(make_circuit(3, 9, 5, 4, structure), tmp_path / "c.jpc")


def nested() -> Circuit:
    """Build sums of sums and products of products, which PyJuice has not."""
    generator = np.random.default_rng(2)
    leaves = [InputLayer(v, generator.dirichlet(np.ones(3), 2)) for v in range(3)]
    pairs = np.array([[0, 0], [1, 1]])
    weights = generator.dirichlet(np.ones(2), 2)
    return Circuit((
        *leaves, ProductLayer((0, 1), pairs), ProductLayer((2, 3), pairs), SumLayer((4,), weights),
        SumLayer((5,), weights), SumLayer((4, 6), generator.dirichlet(np.ones(4))[None]),
    ))  # fmt: skip


def test_products_and_sums_take_turns(tmp_path: Path) -> None:
    read_back(nested(), tmp_path / "c.jpc")
    vectors: list[dict[str, Any]] = pickle.loads((tmp_path / "c.jpc").read_bytes())
    for vector in vectors:
        assert all(vectors[child]["type"] != vector["type"] for child in vector["chs"])
    assert [vector["type"] for vector in vectors].count("Input") == 3


def test_the_form_is_that_of_pyjuice_itself(tmp_path: Path) -> None:
    """Fields, types of arrays and the pickled distribution are those of a file that PyJuice wrote."""
    write_jpc(import_circuit(DATA / "pyjuice" / "hclt.jpc").circuit, tmp_path / "c.jpc")
    ours, theirs = (
        {vector["type"]: vector for vector in pickle.loads(path.read_bytes())}
        for path in (tmp_path / "c.jpc", DATA / "pyjuice" / "hclt.jpc")
    )
    assert set(ours) == set(theirs)
    for kind, vector in theirs.items():
        assert set(ours[kind]) == set(vector)
        for field, value in vector.items():
            assert type(ours[kind][field]) is type(value)
            if isinstance(value, np.ndarray):
                assert (ours[kind][field].dtype, ours[kind][field].ndim) == (value.dtype, value.ndim)
    codes = [
        [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(kinds["Input"]["dist"])
         if opcode.name not in ("MEMOIZE", "FRAME")]
        for kinds in (ours, theirs)
    ]  # fmt: skip
    assert [argument for _, argument in codes[0]] == [argument for _, argument in codes[1]]


@pytest.mark.parametrize("name", NAMES)
def test_pyjuice_reads_it(name: str, tmp_path: Path) -> None:
    """PyJuice's own nodes, evaluated in float64: its compiled pass needs CUDA."""
    pyjuice = pytest.importorskip("pyjuice")
    circuit = import_circuit(DATA / name).circuit
    write_jpc(circuit, tmp_path / "c.jpc")
    x = sample(circuit, 20, seed=1)
    values: dict[Any, np.ndarray] = {}
    root = pyjuice.load(str(tmp_path / "c.jpc"))
    for vector in root:
        if vector.is_input():
            (variable,) = vector.scope.to_list()
            values[vector] = vector._params.double().reshape(vector.num_nodes, -1).numpy()[:, x[:, variable]].T
        elif vector.is_prod():
            edges = vector.edge_ids.numpy()
            values[vector] = np.prod([values[child][:, edges[:, c]] for c, child in enumerate(vector.chs)], axis=0)
        else:
            below = np.concatenate([values[child] for child in vector.chs], axis=1)
            values[vector] = below @ vector.get_params(as_matrix=True).double().numpy().T
    assert np.abs(np.log(values[root][:, 0]) - log_likelihood(circuit, x)).max() < 1e-5


def test_command(tmp_path: Path) -> None:
    save_circuit(nested(), tmp_path / "c.pcedge")
    out = tmp_path / "c.jpc"
    run = CliRunner().invoke(group, ["export", str(tmp_path / "c.pcedge"), "--target", "pyjuice", "--out", str(out)])
    assert run.exit_code == 0 and "bytes for pyjuice.load" in run.output
    assert import_circuit(out).circuit.cardinalities == (3, 3, 3)
