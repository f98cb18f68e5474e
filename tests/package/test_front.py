"""The front door: what `import pcedge` offers, from data to verified bytes."""

from __future__ import annotations

import importlib
import io
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from helpers.commands import as_json
from numpy.testing import assert_array_equal

import pcedge
from pcedge.data import load_array
from pcedge.errors import StreamError, UsageError
from pcedge.export import load_zoo, zoo


def test_names_are_found_after_every_room_is_imported():
    for found in pkgutil.walk_packages(pcedge.__path__, "pcedge."):
        if found.name not in ("pcedge.__main__", "pcedge.export.hls4ml.layer") and "learn.em" not in found.name:
            importlib.import_module(found.name)
    rooms = {found.name for found in pkgutil.iter_modules(pcedge.__path__)}
    assert not rooms & set(pcedge.__all__)
    for name in pcedge.__all__:
        assert callable(getattr(pcedge, name)), name
    assert set(pcedge.__all__) <= set(dir(pcedge))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pcedge.nothing


def test_importing_pcedge_imports_nothing():
    script = "import sys, pcedge; assert not [n for n in sys.modules if n.startswith(('pcedge.', 'numpy'))]"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_circuits_of_every_form_are_opened(tmp_path):
    circuit = pcedge.load("digits")
    assert isinstance(circuit, pcedge.Circuit)
    pcedge.save_circuit(circuit, tmp_path / "c.pcedge")
    integers = pcedge.to_integer(circuit, weight_bits=6)
    assert integers.weight_bits == 6
    pcedge.write_onnx(integers, tmp_path / "m.onnx")
    pcedge.write_program(integers, tmp_path / "m.pcp")
    assert isinstance(pcedge.load("nltcs"), pcedge.IntegerCircuit)
    for name, kind in (
        ("c.pcedge", pcedge.Circuit),
        ("m.onnx", pcedge.IntegerCircuit),
        ("m.pcp", pcedge.IntegerCircuit),
    ):
        path = tmp_path / name
        with path.open("rb") as file:
            for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file):
                found = pcedge.load(source)
                assert isinstance(found, kind)
                assert kind is pcedge.Circuit or found.digest == integers.digest


def test_shipped_circuits_are_meant_by_their_names(tmp_path, monkeypatch):
    """What Python writes with the name of a circuit, the command line reads with it."""
    x = load_array("digits")
    stream = pcedge.encode("digits", x)
    assert stream == pcedge.encode(load_zoo("digits"), x)
    (tmp_path / "x.pce").write_bytes(stream)
    assert as_json("decode", "digits", tmp_path / "x.pce", tmp_path / "y.npy")["records"] == len(x)
    assert_array_equal(np.load(tmp_path / "y.npy"), x)
    assert_array_equal(pcedge.decode("digits", stream), x)
    assert_array_equal(pcedge.decode("digits", str(tmp_path / "x.pce")), x)
    assert_array_equal(pcedge.Codec("digits").decode(tmp_path / "x.pce"), x)
    with (tmp_path / "x.pce").open("rb") as file:
        assert_array_equal(pcedge.decode("digits", file), x)
    assert pcedge.Codec("nltcs").digest == zoo()["nltcs"]["digest"]
    monkeypatch.chdir(tmp_path)
    pcedge.write_program(pcedge.load("nltcs"), "digits")
    assert pcedge.Codec("digits").digest == pcedge.load("digits").digest.hex() == zoo()["nltcs"]["digest"]
    with pytest.raises(FileNotFoundError, match="'lion'"):
        pcedge.Codec("lion")


def test_codec(tmp_path):
    integers, x = pcedge.to_integer(pcedge.load("digits")), load_array("digits")[:40]
    pcedge.write_program(integers, tmp_path / "m.pcp")
    pcedge.write_onnx(integers, tmp_path / "m.onnx")
    data = pcedge.encode(integers, x)
    for source in (tmp_path / "m.pcp", tmp_path / "m.onnx", pcedge.Program.of(integers)):
        assert pcedge.encode(source, x) == data
        assert_array_equal(pcedge.decode(source, data), x)
    codec = pcedge.Codec(integers, lanes=1)
    again = pcedge.Codec.from_config(codec.get_config(), tmp_path / "m.pcp")
    assert again.encode(x) == codec.encode(x) != data
    out = np.empty_like(x)
    assert codec.decode(codec.encode(x), out) is out
    assert_array_equal(out, x)
    with pytest.raises(UsageError, match=r"^out must be uint8 of shape \(40, "):
        codec.decode(data, np.empty((1, 2)))
    with pytest.raises(UsageError, match=r"^lanes must be an integer of at least 1, got 0"):
        pcedge.Codec(integers, 0)
    with pytest.raises(UsageError, match=r"^the configuration must be of pcedge and the circuit"):
        pcedge.Codec.from_config(codec.get_config(), pcedge.load("nltcs"))
    with pytest.raises(StreamError):
        codec.decode(data[:-1])


def test_a_circuit_is_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, x = pcedge.load("nltcs"), np.zeros((3, 16), dtype=np.uint8)
    first = pcedge.encode(circuit, x)
    monkeypatch.setattr("pcedge.front.Codec", None)
    assert pcedge.encode(circuit, x) == first
    assert_array_equal(pcedge.decode(circuit, first), x)
    with pytest.raises(UsageError, match=r"^lanes must be an integer of at least 1, got 0$"):
        pcedge.encode(circuit, x, lanes=0)
