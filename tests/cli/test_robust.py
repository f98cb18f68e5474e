"""What hostile use found: inputs kept, other people's files left alone, damaged projects refused or mended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood, sample, save_circuit
from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.errors import (
    CircuitError,
    DataError,
    FormatError,
    MissingToolError,
    PcedgeError,
    ToolError,
    UsageError,
    WidthError,
)
from pcedge.export.engine.project import write_project
from pcedge.integer import IntegerCircuit, IntegerInput
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.csim import Csim
from pcedge.simulate.parallel import EngineCsim
from pcedge.toolchain import tools
from pcedge.verify import verify


@pytest.fixture
def files(tmp_path: Path) -> Path:
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    save_circuit(circuit, tmp_path / "c.pcedge")
    np.save(tmp_path / "x.npy", sample(circuit, 20, seed=1).astype(np.uint8))
    assert run("quantize", tmp_path / "c.pcedge", "--out", tmp_path / "m.onnx").exit_code == 0
    return tmp_path


class TestInputsAreKept:
    def test_an_output_is_never_an_input(self, files: Path) -> None:
        before = {path.name: path.read_bytes() for path in files.iterdir()}
        for words in (
            ["encode", files / "m.onnx", files / "x.npy", files / "x.npy"],
            ["encode", files / "m.onnx", files / "x.npy", files / "m.onnx"],
            ["quantize", files / "c.pcedge", "--out", files / "c.pcedge"],
            ["loglik", files / "m.onnx", files / "x.npy", "--out", files / "x.npy"],
        ):
            result = run(*words)
            assert result.exit_code == 2 and "another file than the input" in result.stderr
        assert {path.name: path.read_bytes() for path in files.iterdir()} == before

    def test_a_link_is_followed_and_a_device_is_written_to(self, files: Path) -> None:
        (files / "link.pce").symlink_to(files / "real.pce")
        assert run("encode", files / "m.onnx", files / "x.npy", files / "link.pce").exit_code == 0
        assert (files / "link.pce").is_symlink() and (files / "real.pce").stat().st_size > 40
        assert run("encode", files / "m.onnx", files / "x.npy", "/dev/null").exit_code == 0
        assert not Path("/dev/null").is_file()

    def test_an_empty_name_is_wrong_usage(self, files: Path) -> None:
        assert run("encode", files / "m.onnx", files / "x.npy", "").exit_code == 2

    @pytest.mark.parametrize("model", ["c.pcedge", "m.onnx"])
    def test_only_the_marker_is_missing(self, model: str, files: Path) -> None:
        x = np.load(files / "x.npy")
        signed = x.astype(np.int8)
        signed[0, 0] = -1
        large = x.astype(np.uint64)
        large[0, 0] = 2**64 - 1
        for data, text in ((signed, "must not be negative, got -1"), (large, "got 18446744073709551615")):
            np.save(files / "bad.npy", data)
            result = run("loglik", files / model, files / "bad.npy", "--missing", 3)
            assert result.exit_code == 1 and text in result.stderr

    def test_numbers_behind_an_array_are_refused(self, files: Path) -> None:
        (files / "twice.npy").write_bytes((files / "x.npy").read_bytes() * 2)
        result = run("encode", files / "m.onnx", files / "twice.npy", files / "t.pce")
        assert result.exit_code == 1 and "more follow" in result.stderr


class TestProjects:
    def test_a_new_export_leaves_other_files(self, files: Path) -> None:
        out = files / "p"
        run("export", files / "m.onnx", "--out", out)
        (out / "src/notes.txt").write_text("mine")
        (out / "golden/old.bin").write_text("mine")
        assert run("export", files / "m.onnx", "--out", out).exit_code == 0
        assert (out / "src/notes.txt").read_text() == (out / "golden/old.bin").read_text() == "mine"

    def test_a_foreign_manifest_is_refused(self, files: Path) -> None:
        out = files / "p"
        (out / "src").mkdir(parents=True)
        (out / "manifest.json").write_text("{}")
        (out / "src/pcedge_config.hpp").write_text("mine")
        result = run("export", files / "m.onnx", "--out", out)
        assert result.exit_code == 2 and "it holds other files" in result.stderr
        assert (out / "src/pcedge_config.hpp").read_text() == "mine"

    def test_a_failed_export_keeps_the_earlier_one(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out = files / "p"
        run("export", files / "m.onnx", "--out", out)
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

        write = Path.write_bytes

        def full(path: Path, data: bytes) -> int:
            if path.name == "model.onnx":
                raise OSError(28, "No space left on device")
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", full)
        result = run("export", files / "m.onnx", "--out", out)
        assert result.exit_code == 1 and "No space left" in result.stderr
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
        assert run("export", files / "m.onnx", "--out", files / "new").exit_code == 1
        assert not (files / "new").exists() and not list(files.glob(".pcedge-*"))

    def test_golden_vectors_need_a_record(self, files: Path) -> None:
        np.save(files / "none.npy", np.zeros((0, 4), dtype=np.uint8))
        result = run("export", files / "m.onnx", "--data", files / "none.npy", "--out", files / "p")
        assert result.exit_code == 1 and "at least one record" in result.stderr
        assert not (files / "p").exists()

    @pytest.mark.parametrize(
        "text", ["{}", '{"format": "pcedge-project"}', "[" * 100000, "null", '{"format": "pcedge-project", "steps": 3}']
    )
    def test_damaged_manifests(self, text: str, files: Path) -> None:
        run("export", files / "m.onnx", "--out", files / "p")
        (files / "p/manifest.json").write_text(text)
        with pytest.raises(FormatError, match="project-manifest"):
            Csim(files / "p").compile()

    @pytest.mark.csim
    def test_a_damaged_build_is_made_again(self, files: Path) -> None:
        csim = Csim(write_project(make_circuit_model(), files / "p"))
        built = csim.compile()
        stamp = built.stat().st_mtime_ns
        assert csim.compile().stat().st_mtime_ns == stamp
        built.write_bytes(b"junk")
        assert "equal the golden vectors" in csim.golden()

    @pytest.mark.csim
    def test_an_absurd_count_of_lanes(self, files: Path) -> None:
        folder = write_project(make_circuit_model(), files / "p")
        (folder / "golden/lanes.bin").write_bytes(b"\xff\xff\xff\xff")
        with pytest.raises(ToolError, match="must hold all the lanes that it announces"):
            Csim(folder).golden()

    @pytest.mark.csim
    def test_a_compiler_that_writes_nothing(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PCEDGE_CXX", str(shutil.which("true")))
        with pytest.raises(ToolError, match="must write an executable, it wrote none"):
            Csim(write_project(make_circuit_model(), files / "p")).compile()

    @pytest.mark.csim
    def test_a_compiler_that_writes_no_program(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it wrote is not kept: where it is repaired, at its old place, all is well."""
        broken = files / "cxx"
        broken.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho no program > "$2"; chmod +x "$2"\n')
        broken.chmod(0o755)
        folder = write_project(make_circuit_model(), files / "p", reload=True)
        monkeypatch.setenv("PCEDGE_CXX", str(broken))
        with pytest.raises(ToolError, match="the compiler must write a program that can be started, it did not"):
            EngineCsim(folder).golden()
        with pytest.raises(ToolError, match="the compiler must write a program"), EngineCsim(folder).device():
            pass
        monkeypatch.delenv("PCEDGE_CXX")
        broken.write_text("#!/bin/sh\nexec " + " ".join(tools.compiler()) + ' "$@"\n')
        monkeypatch.setenv("PCEDGE_CXX", str(broken))
        assert "equal" in EngineCsim(folder).golden()
        manifest = json.loads((folder / "manifest.json").read_text())
        for streams in (0, 65, "2", None):
            (folder / "manifest.json").write_text(json.dumps(manifest | {"streams": streams}))
            with pytest.raises(FormatError, match=r"streams must be (a whole number|in 1\.\.64), got"):
                with EngineCsim(folder).device():
                    pass
        (folder / "manifest.json").write_text(json.dumps(manifest))
        shutil.rmtree(folder / "include")
        with pytest.raises(FormatError, match="must have the folder include/pcedge, as every project has"):
            EngineCsim(folder).golden()

    def test_a_place_below_a_file(self, files: Path) -> None:
        (files / "file").write_text("")
        with pytest.raises(UsageError, match="file must be a directory, or a place for one"):
            write_project(make_circuit_model(), files / "file/p")


def make_circuit_model() -> IntegerCircuit:
    return quantize(make_circuit(3, 2, 2, 3, "hidden"))


class TestCompilers:
    def test_relative_paths_and_arguments(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = tmp_path / "my dir" / "g++"
        found.parent.mkdir()
        found.write_text("#!/bin/sh\n")
        found.chmod(0o755)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PCEDGE_CXX", "my dir/g++")
        assert tools.compiler() == [str(found)]
        monkeypatch.setenv("PCEDGE_CXX", f"'{found}' -O0")
        assert tools.compiler() == [str(found), "-O0"]
        for unknown in ('"', "' '", "none at all"):
            monkeypatch.setenv("PCEDGE_CXX", unknown)
            with pytest.raises(MissingToolError, match="PCEDGE_CXX must name"):
                tools.compiler()


class TestApi:
    @pytest.mark.parametrize("dtype", [np.uint16, np.uint64, np.float64])
    def test_tables_are_int64(self, dtype: Any) -> None:
        with pytest.raises(CircuitError, match="leaf tables must be int64"):
            IntegerCircuit((IntegerInput(0, np.array([[0, 250, 5, 256]], dtype=dtype)),), 8, 8, 16, 24, 48, 1, (0,))

    def test_lists_and_numpy_integers_make_layers(self) -> None:
        leaf = InputLayer(np.int64(0), [[0.5, 0.5], [0.25, 0.75]])  # type: ignore[arg-type]
        circuit = Circuit((leaf, SumLayer([np.int64(0)], [[0.5, 0.5]])))  # type: ignore[arg-type]
        x = np.array([[0], [1], [1]], dtype=np.uint8)
        assert_array_equal(decode(ReferenceEngine(quantize(circuit)), encode(ReferenceEngine(quantize(circuit)), x)), x)

    @pytest.mark.parametrize(
        ("make", "error", "text"),
        [
            (lambda: InputLayer(0, np.array(["a", "b"])), CircuitError, "must be an array of numbers"),
            (lambda: InputLayer("0", np.array([0.5])), CircuitError, "variable of an input layer must be an integer"),
            (lambda: ProductLayer((0.0, 1), np.zeros((1, 2), int)), CircuitError, "must be integers"),
            (lambda: QuantizationConfig(weight_bits=8.0), WidthError, "weight_bits must be an integer"),
            (lambda: QuantizationConfig(floor=1.5), WidthError, "floor must be an integer"),
            (lambda: quantize(make_circuit_model()), CircuitError, "must have a float circuit, got IntegerCircuit"),
            (lambda: verify(make_circuit_model(), [[0, 0]], []), UsageError, "at least one rung"),
            (
                lambda: encode(ReferenceEngine(make_circuit_model()), [[0, 0]], 2.5),
                UsageError,
                "lanes must be an integer",
            ),
            (lambda: encode(ReferenceEngine(make_circuit_model()), [[0, 0], [0]]), DataError, "records of one length"),
            (lambda: sample(make_circuit(3, 2, 2, 3, "hidden"), -1), UsageError, "must not be negative"),
            (
                lambda: log_likelihood(make_circuit(3, 2, 2, 3, "hidden"), np.ma.masked_equal([[0, 1]], 1)),
                DataError,
                "must be a plain array, got a masked one",
            ),
        ],
    )
    def test_misuse_is_typed(self, make: Any, error: type[PcedgeError], text: str) -> None:
        with pytest.raises(error, match=text):
            make()

    def test_buffers_are_streams_too(self) -> None:
        engine = ReferenceEngine(make_circuit_model())
        packed = encode(engine, np.zeros((3, 2), dtype=np.uint8))
        for buffer in (bytearray(packed), memoryview(packed)):
            assert_array_equal(decode(engine, buffer), np.zeros((3, 2)))  # type: ignore[arg-type]


def test_terminating_a_command_leaves_no_files(files: Path) -> None:
    np.save(files / "many.npy", np.tile(np.load(files / "x.npy"), (20000, 1)))
    scratch = files / "scratch"
    scratch.mkdir()
    words = [
        sys.executable,
        "-m",
        "pcedge",
        "encode",
        files / "m.onnx",
        files / "many.npy",
        files / "o",
        "--lanes",
        "1",
    ]
    child = subprocess.Popen(words, env={**os.environ, "TMPDIR": str(scratch)}, stderr=subprocess.PIPE)
    time.sleep(2)
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=120)[1].endswith(b"pcedge: terminated\n")
    assert child.returncode == 143
    assert not list(scratch.iterdir()) and not (files / "o").exists() and not list(files.glob(".pcedge-*"))


def test_json_stays_json_on_every_error(files: Path) -> None:
    for words in (["encode", files / "none", "x", "y"], ["quantize", "digits", "--weight-bits", "x", "--out", "q"]):
        done = subprocess.run(
            [sys.executable, "-m", "pcedge", *map(str, words), "--json"], capture_output=True, text=True, cwd=files
        )
        assert done.returncode == 2 and json.loads(done.stdout)["exit"] == 2
