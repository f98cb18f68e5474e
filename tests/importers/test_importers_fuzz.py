"""Damaged files: each reader gives a typed error or a valid circuit, in bounded time and memory, and runs nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.nightly import NIGHTLY
from helpers.paths import DATA

from pcedge.circuit import log_likelihood
from pcedge.errors import PcedgeError
from pcedge.importers import import_circuit
from pcedge.importers.files import READERS
from pcedge.importers.gridding import Gridding

MUTATIONS = 2000 if NIGHTLY else 800
#: few bins, for finding many takes most of the time
COARSE = Gridding(symbols=4)
#: what a damaged number may become
WORDS = [
    b"nan",
    b"inf",
    b"-inf",
    b"-1",
    b"0",
    b"1e999",
    b"1e-400",
    b"99999999999999999999",
    b"4294967296",
    b"",
    b"[",
    b"{",
    b"\xff",
]


def mutate(data: bytes, generator: np.random.Generator) -> bytes:
    """Damage a file in one to three places."""
    for _ in range(int(generator.integers(1, 4))):
        size = max(len(data), 1)
        a, b = sorted(int(i) for i in generator.integers(0, size, 2))
        kind = int(generator.integers(0, 7))
        if kind == 0:
            data = data[:a] + bytes([data[a] ^ (1 << int(generator.integers(0, 8)))]) + data[a + 1 :] if data else data
        elif kind == 1:
            data = data[:b]
        elif kind == 2:
            data = data[:b] + data[a : a + 64] + data[b:]
        elif kind == 3:
            data = data[:a] + data[a + int(generator.integers(1, 40)) :]
        else:
            tokens = [match.span() for match in re.finditer(rb"[\w.+-]+", data)]
            if len(tokens) < 2:
                continue
            first, second = (tokens[int(i)] for i in np.sort(generator.integers(0, len(tokens), 2)))
            one, two = data[slice(*first)], data[slice(*second)]
            if kind == 4:
                one, two = WORDS[int(generator.integers(0, len(WORDS)))], two
            elif kind == 5:
                one, two = two, one
            else:
                one = two
            if first[1] <= second[0]:
                data = data[: first[0]] + one + data[first[1] : second[0]] + two + data[second[1] :]
    return data


#: the file that lies beside one of a format, by suffix
BESIDE = {"psdd": "vtree", "ac": "lmap", "nnf": "weights"}
#: what is damaged beside whole files of each suffix: the file beside it, or a file of another form
MORE = {
    "psdd-inferred": "psdd", "vtree": "psdd", "psdd-without-ids": "psdd", "jpc-text": "jpc", "lmap": "ac",
    "weights": "nnf",
}  # fmt: skip


def sources(kind: str) -> list[tuple[bytes, bytes | None]]:
    """Give the whole files that are damaged, with the file beside them."""
    names: dict[str, list[tuple[str, str | None]]] = {
        "spn": [(f"{name}.spn", None) for name in ("small", "spn/NIPS5", "leaves", "equation", "libra")],
        "json": [("deeprob.json", None), ("deeprob_tree.json", None)],
        "bin": [("spn/NIPS5.bin", None)],
        "skops": [("estimators/mixture.skops", None)],
        "pkl": [("estimators/bayes.pkl", None)],
        "pickle": [("estimators/kernels.pickle", None)],
        "joblib": [("estimators/forest.joblib", None)],
        "psdd": [("small.psdd", "small.vtree"), ("small2.psdd", "small.vtree")],
        "psdd-without-ids": [("without_ids.psdd", "small.vtree"), ("without_ids.psdd", None)],
        "jpc": [("pyjuice/hclt.jpc", None), ("pyjuice/mixed.jpc", None)],
        "jpc-text": [("small.jpc", None)],
        "ac": [(f"compiled/{name}.ac", f"compiled/{name}.lmap") for name in ("grass.net", "grass_old.net")],
        "nnf": [("compiled/either.nnf", "compiled/either.weights"), ("compiled/either.nnf", None)],
        "clt": [("small.clt", None)],
        "circuit": [("density.circuit", None)],
        **{kind: [(f"networks/small.{kind}", None)] for kind in ("bif", "xml", "net")},
        "uai": [("networks/small.uai", None), ("networks/pairs.uai", None)],
    }
    names |= {"psdd-inferred": names["psdd"], "vtree": names["psdd"], "lmap": names["ac"], "weights": names["nnf"][:1]}
    assert kind in names, f"{kind} needs files here"
    return [
        ((DATA / file).read_bytes(), (DATA / beside).read_bytes() if beside else None) for file, beside in names[kind]
    ]


@pytest.mark.parametrize("kind", [*READERS, *MORE])
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    if kind == "bin":
        pytest.importorskip("capnp", reason="needs the extra capnp")
    generator = np.random.default_rng(7)
    suffix = MORE.get(kind, kind)
    files = sources(kind)
    path, companion = tmp_path / f"a.{suffix}", tmp_path / f"a.{BESIDE.get(suffix, 'none')}"
    valid = slowest = 0
    for number in range(MUTATIONS):
        data, beside = files[number % len(files)]
        if kind in BESIDE.values():
            beside = mutate(beside or b"", generator)
        else:
            data = mutate(data, generator)
        path.write_bytes(data)
        companion.unlink(missing_ok=True)
        if beside is not None and kind != "psdd-inferred":
            companion.write_bytes(beside)
        start = time.perf_counter()
        try:
            made = import_circuit(path, gridding=COARSE)
        except PcedgeError as error:
            assert str(error)
        else:
            valid += 1
            missing = np.full((1, len(made.circuit.cardinalities)), -1)
            assert abs(log_likelihood(made.circuit, missing)[0]) < 1e-9  # normalised: everything summed out is 1
        slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 5
    assert 0 < valid < MUTATIONS  # some damage means nothing, and most is found
