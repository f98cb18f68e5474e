"""Estimators in files: those of memory, read without their libraries and without executing what a file holds."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from helpers.paths import DATA
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from pcedge import from_estimator, import_circuit
from pcedge.circuit import Circuit, log_likelihood
from pcedge.errors import FormatError

X, Y = load_iris(return_X_y=True)
LABELS = np.array(["setosa", "versicolor", "virginica"])[Y]
FILES = DATA / "estimators"

MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "mixture": (lambda: GaussianMixture(2, covariance_type="diag", random_state=np.random.RandomState(0)).fit(X), {}),
    "bayesian": (lambda: BayesianGaussianMixture(n_components=2, covariance_type="diag", random_state=0).fit(X), {}),
    "labels": (lambda: GaussianNB().fit(X, LABELS), {}),
    "categories": (lambda: CategoricalNB().fit(X.astype(int), Y), {}),
    "binary": (lambda: BernoulliNB(binarize=np.float64(2)).fit(X, Y), {}),
    "tokens": (lambda: MultinomialNB().fit(X, Y), {"steps": 3}),
    "kernels": (lambda: KernelDensity(bandwidth=0.3).fit(X, sample_weight=np.arange(1, 151)), {"components": 5}),
    "tree": (lambda: DecisionTreeClassifier(max_depth=3).fit(X, LABELS), {}),
    "forest": (lambda: RandomForestClassifier(3, max_depth=3).fit(X, Y), {}),
    "isolation": (lambda: IsolationForest(n_estimators=3).fit(X), {}),
    "pipeline": (lambda: make_pipeline(StandardScaler(), GaussianNB()).fit(X, Y), {}),
}

WRITERS: dict[str, Callable[[Any, Path], object]] = {
    "skops": lambda model, path: skops.io.dump(model, path),
    **{
        f"pickle-{number}": lambda model, path, number=number: path.write_bytes(pickle.dumps(model, number))
        for number in (0, 2, 4, 5)
    },
    "joblib": lambda model, path: joblib.dump(model, path),
    "joblib-zlib": lambda model, path: joblib.dump(model, path, compress=3),
}  # fmt: skip


def check_same(one: Circuit, other: Circuit) -> None:
    assert one.grid == other.grid and len(one.layers) == len(other.layers) and one.log_constant == other.log_constant
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        for name in ("probabilities", "gather", "weights"):
            if hasattr(mine, name):
                assert_array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_the_object(tmp_path: Path, name: str) -> None:
    make, choices = MODELS[name]
    model = make()
    expected = from_estimator(model, **choices)
    for writer, write in WRITERS.items():
        suffix = {"pickle-0": "pickle"}.get(writer, writer.partition("-")[0].replace("pickle", "pkl"))
        path = tmp_path / f"{writer}.{suffix}"
        write(model, path)
        check_same(import_circuit(path, **choices).circuit, expected)


def test_names_of_features_and_hmms_come_along(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    model = GaussianNB().fit(pandas.DataFrame(X, columns=list("abcd")), LABELS)
    for writer, write in WRITERS.items():
        path = tmp_path / f"m.{writer.partition('-')[0]}"
        write(model, path)
        assert import_circuit(path).names == ("a", "b", "c", "d", "class")
    chain = import_circuit(FILES / "chain.joblib", steps=4).circuit
    assert log_likelihood(chain, [[0, 0, 0, 0]])[0] == pytest.approx(np.log(
        np.array([0.75, 0.25]) * [0.7, 0.1] @ np.linalg.matrix_power(
            np.array([[0.9, 0.1], [0.4, 0.6]]) @ np.diag([0.7, 0.1]), 3) @ np.ones(2)))  # fmt: skip


def test_the_kept_files_need_no_library() -> None:
    program = (
        "import sys\nfrom pcedge import import_circuit\n"
        f"for name in ('mixture.skops', 'bayes.pkl', 'kernels.pickle', 'forest.joblib'):\n"
        f"    print(len(import_circuit({str(FILES)!r} + '/' + name).circuit.cardinalities))\n"
        "assert not {'sklearn', 'joblib', 'skops', 'scipy', 'hmmlearn'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["4", "5", "2", "5"], done.stderr


class Evil:
    """Run a command when a pickle of it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_that_calls_is_refused_unexecuted(tmp_path: Path, inside: bool) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pkl"
    held: Any = Evil(mark)
    if inside:
        model = GaussianNB().fit(X, Y)
        model.epsilon_ = held
        held = model
    for suffix, write in (("pkl", WRITERS["pickle-4"]), ("pickle", WRITERS["pickle-0"]), ("joblib", WRITERS["joblib"])):
        write(held, path.with_suffix(f".{suffix}"))
        with pytest.raises(
            FormatError, match=r"must hold a known estimator, it mentions '\w+\.system': nothing of it was run"
        ):
            import_circuit(path.with_suffix(f".{suffix}"))
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the trap is one
    assert mark.exists()


@pytest.mark.parametrize(
    "code", [b"csklearn.utils\nsystem\n(tR.", b"cbuiltins\neval\n(S'1'\ntR.", b"\x80\x04\x8c\x02os\x8c\x06system\x93."]
)
def test_other_names_are_refused(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(code)
    with pytest.raises(FormatError, match=r"import-pickle: .*a\.pkl must hold a known estimator, it mentions"):
        import_circuit(path)


def rewritten(path: Path, out: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in change(members).items():
            archive.writestr(name, data)
    return out


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


SKOPS: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "no schema": (lambda held: {k: v for k, v in held.items() if k != "schema.json"}, "must hold one schema.json"),
    "another class": (
        lambda held: held | {"schema.json": held["schema.json"].replace(b"sklearn.pipeline", b"os").replace(
            b'"Pipeline"', b'"system"')},
        "must hold a known estimator, it mentions 'os.system': nothing of it was run"),
    "objects": (
        lambda held: {
            k: npy(np.array([Evil(Path("x"))], dtype=object)) if k.endswith(".npy") else v for k, v in held.items()},
        "must hold .npy files of as many numbers as they say"),
    "a shape of its own": (
        lambda held: {k: v.replace(b"(4,)", b"(9,)") for k, v in held.items()},
        "must hold .npy files of as many numbers as"),
    "depth": (lambda held: {"schema.json": b'{"__loader__":"ListNode","content":[' * 200 + b"]}" * 200}, "60 deep"),
    "depth of JSON": (lambda held: {"schema.json": b"[" * 200_000}, "must be a whole .skops file"),
    "no estimator": (
        lambda held: {"schema.json": b'{"__loader__":"JsonNode","content":"[1]"}'},
        "must hold an estimator, it holds a list"),
    "a loader of its own": (
        lambda held: {"schema.json": b'{"__loader__":"EvalNode","content":"1"}'},
        "must be one that estimators have, got 'EvalNode'"),
    "a node that is not there": (
        lambda held: {"schema.json": b'{"__loader__":"CachedNode","__id__":7}'}, "must be a whole .skops file"),
}  # fmt: skip


@pytest.mark.parametrize("name", SKOPS)
def test_damaged_skops(tmp_path: Path, name: str) -> None:
    change, text = SKOPS[name]
    path = rewritten(FILES / "mixture.skops", tmp_path / "a.skops", change)
    with pytest.raises(FormatError, match=text):
        import_circuit(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps({"a": "b"}) + " " * (1 << 26))
    with pytest.raises(FormatError, match=r"import-size: .*a\.skops must need at most"):
        import_circuit(path)


def attributes_of(**changed: Any) -> Any:
    model = GaussianNB().fit(X, Y)
    for name, value in changed.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"theta_": np.full((3, 4), np.nan)}, r"GaussianNB\.theta_ must be finite, got nan"),
        ({"theta_": np.zeros((2, 4))}, r"GaussianNB\.theta_ must be of shape 3×any, got \(2, 4\)"),
        ({"var_": np.zeros((3, 4))}, r"GaussianNB\.var_ must be above 0, got 0"),
        ({"class_prior_": np.array(["a", "b", "c"])}, r"GaussianNB\.class_prior_ must be numbers"),
        ({"class_prior_": np.array([-1.0, 1, 1])}, r"GaussianNB\.class_prior_ must be 0 or more, got -1"),
    ],
)
def test_wrong_attributes_are_named(tmp_path: Path, changed: dict[str, Any], text: str) -> None:
    model, path = attributes_of(**changed), tmp_path / "a.skops"
    skops.io.dump(model, path)
    for read in (lambda: from_estimator(model), lambda: import_circuit(path)):
        with pytest.raises(FormatError, match=f"import-estimator: {text}"):
            read()


def test_trees_that_are_none(tmp_path: Path) -> None:
    tree = DecisionTreeClassifier(max_depth=2).fit(X, Y)
    state = tree.tree_.__getstate__()
    path = tmp_path / "a.pkl"
    data = pickle.dumps(tree, 4)
    whole = state["nodes"].tobytes()
    for field, value, text in (
        ("left_child", 0, "must have a feature and two nodes behind it"),
        ("feature", 9, "must have a feature"),
    ):
        nodes = state["nodes"].copy()
        nodes[field][0] = value
        assert data.count(whole) == 1
        path.write_bytes(data.replace(whole, nodes.tobytes()))
        with pytest.raises(FormatError, match=f"import-estimator: node 0 of DecisionTreeClassifier {text}"):
            import_circuit(path)
