"""Circuits by their digests: shipped ones as MODEL, and those that a stream names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import strategies
from helpers.commands import as_json, run
from numpy.testing import assert_array_equal

import pcedge
from pcedge.codec import registry
from pcedge.errors import UsageError
from pcedge.export import load_zoo, write_onnx, zoo
from pcedge.export.onnx import shipped
from pcedge.export.onnx.shipped import is_shipped, shipped_name, zoo_bytes
from pcedge.quantize import quantize
from pcedge.schedule.serialised import write_program


@pytest.fixture(autouse=True)
def no_circuits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Know no circuit but the shipped ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_named", {})
    monkeypatch.setenv("PCEDGE_CIRCUITS", str(tmp_path / "circuits"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("name", list(zoo()))
def test_a_digest_is_a_name(name: str) -> None:
    digest = zoo()[name]["digest"]
    for word in (digest, digest[:8], digest[:20].upper(), f"digest:{digest[:8]}", f"digest:{digest}"):
        assert shipped_name(word) == name and is_shipped(word)
        assert zoo_bytes(word) == zoo_bytes(name)
        (entry,) = as_json("zoo", word)["circuits"]
        assert entry == {"name": name, **zoo()[name]}
    assert f"digest {digest[:8]}" in " ".join(run("zoo").stdout.split())


def test_a_digest_is_the_integer_circuit_everywhere(tmp_path: Path) -> None:
    digest = zoo()["digits"]["digest"][:8]
    assert as_json("info", "digits")["kind"] == "float circuit"
    assert as_json("info", digest)["kind"] == "integer circuit"
    assert load_zoo(digest).digest == pcedge.load(digest).digest == bytes.fromhex(zoo()["digits"]["digest"])
    assert pcedge.Codec(digest).digest == zoo()["digits"]["digest"]
    as_json("encode", digest, "digits", "x.pce", "--lanes", 1)
    assert (tmp_path / "x.pce").read_bytes() == pcedge.encode("digits", pcedge.load_array("digits"), 1)
    assert as_json("score", digest, "digits") == as_json("score", "digits", "digits")
    assert run("zoo", digest, "--out", "m.onnx").exit_code == 0
    assert (tmp_path / "m.onnx").read_bytes() == zoo_bytes("digits")


def test_what_is_no_digest_of_one_circuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = zoo()["nltcs"]["digest"]
    for word in (digest[:7], digest[:8] + "g", digest + "0", "0" * 8, "", None, 5):
        assert shipped_name(word) is None
    with pytest.raises(UsageError, match=r"^a digest must be that of a shipped circuit, 00000000 begins none; "):
        load_zoo("digest:00000000")
    with pytest.raises(UsageError, match=r"^a digest must have 8 to 64 hexadecimal digits behind digest:, got 'dige"):
        shipped_name("digest:" + digest[:7])
    for word, text in (("digest:00000000", "begins none"), ("digest:1", "8 to 64 hexadecimal"), ("0" * 8, "not exist")):
        done = run("info", word)
        assert done.exit_code == 2 and text in done.output
    # A file of that name goes first.
    write_program(load_zoo("nltcs"), tmp_path / zoo()["digits"]["digest"][:8])
    assert as_json("info", zoo()["digits"]["digest"][:8])["digest"] == digest
    both = {"a": {"digest": "ab" * 32}, "b": {"digest": "ab" * 31 + "cd"}}
    monkeypatch.setattr(shipped, "zoo", lambda: both)
    with pytest.raises(
        UsageError, match=r"^a digest must be that of one shipped circuit, abababab begins those of a, b$"
    ):
        shipped_name("abababab")
    assert shipped_name("ab" * 32) == "a"


def test_a_stream_names_its_circuit(tmp_path: Path) -> None:
    x = pcedge.load_array("digits")
    for folder in ("streams", "streams/a"):
        (tmp_path / folder).mkdir()
    stream = pcedge.encode("digits", x)
    table = np.random.default_rng(0).integers(0, 2, (9, 16)).astype(np.uint8)
    (tmp_path / "streams/x.npy.pce").write_bytes(stream)
    (tmp_path / "streams/a/y.npy.pce").write_bytes(pcedge.encode("nltcs", table))
    assert as_json("decode", "streams/x.npy.pce", "y.npy")["records"] == 360
    assert_array_equal(np.load("y.npy"), x)
    assert as_json("decode", "streams/x.npy.pce", "y.npy", "--records", "5:7", "--engine", "numpy")["records"] == 2
    assert_array_equal(np.load("y.npy"), x[5:7])
    # Each of many by its own.
    for words in (["streams/x.npy.pce", "streams/a/y.npy.pce"], ["streams/"], ["streams/**/*.pce"]):
        said = as_json("decode", *words, "back/", "--again")
        assert said["written"] == 2
    assert_array_equal(np.load("back/x.npy"), x)
    assert_array_equal(np.load("back/a/y.npy"), table)
    for source in (stream, "streams/x.npy.pce", Path("streams/x.npy.pce"), memoryview(stream)):
        assert_array_equal(pcedge.decode(None, source), x)
    with open("streams/x.npy.pce", "rb") as file:
        assert_array_equal(pcedge.decode(None, file, records=slice(0, 3)), x[:3])
        assert_array_equal(pcedge.decode(None, file), x)
    assert pcedge.decode_file(None, stream) == pcedge.decode_file("digits", stream)


def test_circuits_of_folders_are_found(tmp_path: Path) -> None:
    circuit = quantize(strategies.make_circuit(0, 4, 3, 4, "chain"))
    x = np.zeros((3, 4), dtype=np.uint8)
    (tmp_path / "x.pce").write_bytes(pcedge.encode(circuit, x))
    wrong = as_json("decode", "x.pce", "y.npy", status=2)["message"]
    assert wrong.startswith(
        f"the circuit {circuit.digest.hex()[:32]} must be in one of the folders {tmp_path}/circuits, "
    )
    with pytest.raises(UsageError, match="must be in one of the folders"):
        pcedge.decode(None, (tmp_path / "x.pce").read_bytes())
    (tmp_path / "circuits").mkdir()
    for write in (lambda: write_onnx(circuit, tmp_path / "circuits/any.onnx"), lambda: registry.keep_circuit(circuit)):
        write()
        registry._named.clear()
        assert as_json("decode", "x.pce", "y.npy")["records"] == 3
        assert list(registry._named) == [circuit.digest.hex()]
        assert as_json("decode", "x.pce", "y.npy")["records"] == 3  # now the process knows it
        (tmp_path / "circuits/any.onnx").unlink(missing_ok=True)


def test_refusals(tmp_path: Path) -> None:
    np.save("x.npy", np.zeros((2, 64), dtype=np.uint8))
    assert run("pack", "digits", "x.npy", "x.pcz").exit_code == 0
    assert "as an archive: pcedge unpack takes it" in as_json("decode", "x.pcz", "y.npy", status=1)["message"]
    for words in (("decode", "digits", "y.npy"), ("decode", "x.npy", "y.npy")):
        done = run(*words)
        assert done.exit_code == 2 and "Missing argument 'STREAM...'" in done.output
    assert run("decode", "x.pce").exit_code == 2
    assert not (tmp_path / "y.npy").exists()
