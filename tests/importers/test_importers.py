"""Importers: reference likelihoods, what each format means, and what is refused by name."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.nightly import WAITS
from helpers.paths import DATA, SHARED

from benchmarks.mutate import PARSERS
from pcedge.circuit import load_circuit, log_likelihood, sample, save_circuit
from pcedge.circuit.structure import region_tree
from pcedge.cli import group
from pcedge.errors import FormatError, MissingToolError, UsageError
from pcedge.importers import Imported, files, import_circuit, spflow_binary
from pcedge.importers.files import READERS
from pcedge.limits import BOUNDS

KNOWN = ", ".join(READERS)


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return path


def original(made: Imported, x: object) -> np.ndarray:
    """Give the log-likelihood of the file as it was written."""
    return log_likelihood(made.circuit, x) + made.log_constant  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# Reference values


@pytest.mark.parametrize("kind", ["spn", "bin"])
def test_nips5_rows(kind: str) -> None:
    if kind == "bin":
        pytest.importorskip("capnp", reason="needs the extra capnp")
    made = import_circuit(DATA / "spn" / f"NIPS5.{kind}")
    x = np.loadtxt(DATA / "spn" / "NIPS5_input.txt.gz", delimiter=";").astype(np.int64)
    expected = np.loadtxt(DATA / "spn" / "NIPS5_loglikelihood.txt.gz")
    assert len(x) == 10000
    assert np.abs(original(made, x) - expected).max() < 1e-9
    assert made.circuit.cardinalities == (72,) * 5
    assert made.names == (("pca", "building", "training", "part", "clause") if kind == "spn" else ())


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("spn/NLTCS_200.spn", "nltcs", -6.182998),
        ("spn/PLANTS_4000.spn", "plants", -20.096335),
        ("psdd/nltcs.psdd.gz", "nltcs", -6.044764),
        ("psdd/nltcs.clt.psdd.gz", "nltcs", -6.759045),
        pytest.param("psdd/msnbc-yitao-c.psdd.gz", "msnbc", -6.045353, marks=pytest.mark.slow),
        pytest.param("psdd/plants.psdd.gz", "plants", -13.354223, marks=WAITS),
    ],
)
def test_reference_likelihoods(name: str, data: str, expected: float) -> None:
    made = import_circuit(shared(name))
    x = np.load(shared(f"debd/{data}.npz"))["test"]
    assert abs(original(made, x).mean() - expected) < 1e-6


def test_psdd_layers_follow_the_vtree() -> None:
    made = import_circuit(shared("psdd/nltcs.psdd.gz"))
    kinds = [shape.kind for shape in made.circuit.shapes]
    assert (kinds.count("input"), kinds.count("product"), kinds.count("sum")) == (16, 15, 15)
    assert len(region_tree(made.circuit.shapes)) == 31
    with_tree = import_circuit(shared("psdd/nltcs.clt.psdd.gz"), vtree=shared("psdd/nltcs.vtree"))
    assert with_tree.notes == ("14 units that the root does not reach were left out",)


@pytest.mark.parametrize("name", ["hclt", "mixed"])
def test_pyjuice_files(name: str) -> None:
    made = import_circuit(DATA / "pyjuice" / f"{name}.jpc")
    expected = json.loads((DATA / "pyjuice" / f"{name}.json").read_text())
    assert np.abs(original(made, expected["records"]) - expected["log_likelihood"]).max() < 1e-12
    assert abs(made.log_constant) < 1e-6  # float32 rows, normalised again in float64


# What the formats mean


def test_small_spn() -> None:
    made = import_circuit(DATA / "small.spn")
    sizes = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    counts = np.array([[0.4, 0.2, 0.2, 0.2], [0, 0.6, 0.3, 0.3]])
    for count, size in itertools.product(range(4), range(3)):
        p = 0.25 * counts[0, count] * sizes[:, size].mean() + 0.75 * counts[1, count] * sizes[1, size]
        assert original(made, [[count, size]])[0] == pytest.approx(math.log(p) if p else -np.inf, abs=1e-12)
    assert made.log_constant == pytest.approx(math.log(0.25 * 1.0 + 0.75 * 1.2), abs=1e-12)
    assert log_likelihood(made.circuit, [[-1, -1]])[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["small", "small2"])
def test_small_psdds_in_both_dialects(name: str, tmp_path: Path) -> None:
    text = (DATA / f"{name}.psdd").read_text()
    made = import_circuit(DATA / f"{name}.psdd", vtree=DATA / "small.vtree")
    inferred = import_circuit(write(tmp_path / "a.psdd", text))
    records = np.array(list(itertools.product((0, 1), repeat=4)))
    expected = [naive_psdd(text, record) for record in records]
    assert np.allclose(np.exp(original(made, records)), expected, rtol=1e-12, atol=1e-15)
    assert np.array_equal(original(made, records), original(inferred, records))


def naive_psdd(text: str, record: np.ndarray) -> float:
    """Evaluate a PSDD by its definition, one line after the other."""
    values: dict[int, float] = {}
    for words in (line.split() for line in text.splitlines()):
        if words[0] == "L":
            values[int(words[1])] = float((record[abs(int(words[3])) - 1] == 1) == (int(words[3]) > 0))
        elif words[0] == "T":
            logs = [float(word) for word in words[4:]]
            zero = 1 - math.exp(logs[0]) if len(logs) == 1 else math.exp(logs[0])
            values[int(words[1])] = math.exp(logs[-1]) if record[int(words[3]) - 1] else zero
        elif words[0] == "D":
            elements = zip(words[4::3], words[5::3], words[6::3], strict=True)
            values[int(words[1])] = sum(values[int(p)] * values[int(s)] * math.exp(float(w)) for p, s, w in elements)
    return list(values.values())[-1]


def test_shared_units_stay_shared_and_depths_share_layers() -> None:
    made = import_circuit(DATA / "small.spn")
    assert [shape.kind for shape in made.circuit.shapes] == ["input", "input", "sum", "product", "product", "sum"]
    assert [shape.units for shape in made.circuit.shapes] == [2, 2, 1, 1, 1, 1]


def test_every_format_has_its_bounds_and_is_tried_damaged() -> None:
    readers = {"xmlbif" if suffix == "xml" else suffix for suffix in READERS}
    names = {"xml": "xmlbif", "circuit": "logistic"}  # other files have these suffixes' names
    readers = {names.get(suffix, suffix) for suffix in READERS}
    assert readers <= set(files._A_BYTE) & set(BOUNDS) & set(PARSERS)


def test_gzip_and_suffixes(tmp_path: Path) -> None:
    packed = tmp_path / "x.SPN.gz"
    packed.write_bytes(gzip.compress((DATA / "small.spn").read_bytes()))
    assert import_circuit(packed).format == "spn"
    plain = write(tmp_path / "x.txt", (DATA / "small.spn").read_text())
    assert import_circuit(plain, format="spn").names == ("count", "size")
    with pytest.raises(UsageError, match=rf"the suffix of .*x\.txt must be one of {KNOWN}, got 'txt'"):
        import_circuit(plain)
    with pytest.raises(UsageError, match=rf"--format must be one of {KNOWN}, got 'onnx'"):
        import_circuit(plain, format="onnx")
    with pytest.raises(UsageError, match=r"a vtree belongs to the format psdd, got one for spn"):
        import_circuit(packed, vtree=DATA / "small.vtree")


def test_vtree_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "m.learned.psdd", (DATA / "small.psdd").read_text())
    (tmp_path / "m.vtree.gz").write_bytes(gzip.compress(b"vtree 1\nL 0 1\n"))
    with pytest.raises(FormatError, match=r"psdd-vtree: .*, line 5: variable 3 must belong .* 2 is no leaf"):
        import_circuit(tmp_path / "m.learned.psdd")


def test_constant_is_kept_in_the_file(tmp_path: Path) -> None:
    made = import_circuit(DATA / "spn" / "NIPS5.spn")
    save_circuit(made.circuit, tmp_path / "c.pcedge")
    assert load_circuit(tmp_path / "c.pcedge").log_constant == made.log_constant == pytest.approx(0.4105278, abs=1e-6)


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "c.pcedge"
    run = CliRunner().invoke(group, ["import", str(DATA / "small.psdd"), "--out", str(out), "--json"])
    assert run.exit_code == 0
    said = json.loads(run.stdout)
    assert (said["format"], said["variables"], said["structured"]) == ("psdd", 4, True)
    assert said["layers"] == {"input": 4, "product": 3, "sum": 3}
    assert load_circuit(out).cardinalities == (2, 2, 2, 2)
    wrong = CliRunner().invoke(group, ["import", str(DATA / "small.vtree"), "--out", str(out)])
    assert wrong.exit_code == 2 and f"must be one of {KNOWN}, got 'vtree'" in wrong.stderr
    bad = CliRunner().invoke(group, ["import", str(write(tmp_path / "a.spn", "A B")), "--out", str(tmp_path / "d")])
    assert bad.exit_code == 1 and "a unit, 'Name Type(…)', must stand here" in bad.stderr
    assert not (tmp_path / "d").exists()


def test_sparse_sums_far_below_and_impossible() -> None:
    """Deterministic circuits: of thousands of units all but a few are zero, and others are far below the best."""
    made = import_circuit(DATA / "small2.psdd", vtree=DATA / "small.vtree")
    drawn = sample(made.circuit, 2000, seed=3)
    frequency = np.bincount(drawn @ [8, 4, 2, 1], minlength=16) / 2000
    records = np.array(list(itertools.product((0, 1), repeat=4)))
    assert np.abs(frequency - np.exp(log_likelihood(made.circuit, records))).max() < 0.05


def test_loglik_shows_the_files_own_likelihood(tmp_path: Path) -> None:
    out, data, logs = tmp_path / "c.pcedge", tmp_path / "x.npy", tmp_path / "l.npy"
    x = np.loadtxt(DATA / "spn" / "NIPS5_input.txt.gz", delimiter=";", max_rows=100).astype(np.int64)
    np.save(data, x)
    assert CliRunner().invoke(group, ["import", str(DATA / "spn" / "NIPS5.spn"), "--out", str(out)]).exit_code == 0
    run = CliRunner().invoke(group, ["loglik", str(out), str(data), "--out", str(logs), "--json"])
    expected = np.loadtxt(DATA / "spn" / "NIPS5_loglikelihood.txt.gz", max_rows=100)
    assert np.abs(np.load(logs) - expected).max() < 1e-9
    assert json.loads(run.stdout)["log_constant"] == load_circuit(out).log_constant
    assert (
        "with 0.410528 nats that importing the circuit took out"
        in CliRunner().invoke(group, ["loglik", str(out), str(data)]).stdout
    )


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capnp", None)
    spflow_binary._schema.cache_clear()
    with pytest.raises(MissingToolError, match=r"reading Cap'n Proto circuits \(\.bin\) needs .*pcedge\[capnp\]"):
        import_circuit(DATA / "spn" / "NIPS5.bin")


def test_equal_leaves_are_one_unit_and_their_edges_one_edge(tmp_path: Path) -> None:
    leaf = "{} Histogram(V0|[0.,1.,2.];[0.25,0.75])\n"
    text = "S SumNode(0.25*A,0.5*B,0.25*C){" + leaf.format("A") + leaf.format("B") + "C Bernoulli(V0|0.5)\n}"
    path = tmp_path / "a.spn"
    path.write_text(text)
    made = import_circuit(path)
    assert [shape.units for shape in made.circuit.shapes] == [2, 1]
    assert np.allclose(np.exp(log_likelihood(made.circuit, [[0], [1]])), [0.3125, 0.6875], rtol=1e-14)


def test_pyjuice_masks_and_orders(tmp_path: Path) -> None:
    """A mask sets weights to zero, and an array in Fortran order is the same array."""
    nodes = pickle.loads((DATA / "pyjuice" / "hclt.jpc").read_bytes())
    x = json.loads((DATA / "pyjuice" / "hclt.json").read_text())["records"]
    plain = import_circuit(DATA / "pyjuice" / "hclt.jpc")
    weights = nodes[4]["params"]
    nodes[4]["params"] = np.asfortranarray(weights)
    (tmp_path / "a.jpc").write_bytes(pickle.dumps(nodes))
    assert np.array_equal(original(import_circuit(tmp_path / "a.jpc"), x), original(plain, x))
    mask = np.zeros(weights.shape, dtype=bool)
    mask[0, 0, 1] = mask[3] = True
    nodes[4] |= {"zero_param_mask": mask}
    (tmp_path / "a.jpc").write_bytes(pickle.dumps(nodes))
    masked = import_circuit(tmp_path / "a.jpc")
    nodes[4] = {k: v for k, v in nodes[4].items() if k != "zero_param_mask"} | {"params": np.where(mask, 0, weights)}
    (tmp_path / "a.jpc").write_bytes(pickle.dumps(nodes))
    assert np.array_equal(original(masked, x), original(import_circuit(tmp_path / "a.jpc"), x))
    assert masked.circuit.parameters < plain.circuit.parameters or masked.log_constant < plain.log_constant - 0.01
