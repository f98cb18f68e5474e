"""The command line as scripts see it: results, exit statuses, JSON, and what is left on disk after an error."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, log_likelihood, sample, save_circuit
from pcedge.cli.table import TABLE
from pcedge.data import load_array
from pcedge.export import write_onnx
from pcedge.quantize import QuantizationConfig, quantize


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small float circuit, its integer circuit and data."""
    folder = tmp_path_factory.mktemp("files")
    circuit = make_circuit(7, 6, 3, 4, "hidden")
    save_circuit(circuit, folder / "c.pcedge")
    np.save(folder / "x.npy", sample(circuit, 50, seed=1).astype(np.uint8).reshape(50, 2, 3))
    assert run("quantize", folder / "c.pcedge", "--out", folder / "m.onnx").exit_code == 0
    return folder


@pytest.mark.parametrize("command", TABLE)
def test_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"pcedge {command}" in result.output.split("Example", 1)[1]
    assert "--json" in result.output


def test_quantize_takes_the_fixed_options(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    result = as_json(
        "quantize", files / "c.pcedge", "--weight-bits", 4, "--leaf-bits", 10, "--state-bits", 9, "--out", out
    )
    assert result["structured"] is True and result["bytes"] == out.stat().st_size
    info = as_json("info", out)
    assert (info["widths"]["weight_bits"], info["widths"]["leaf_bits"], info["widths"]["state_bits"]) == (4, 10, 9)
    assert info["digest"] == result["digest"]


def test_a_file_takes_its_place_with_the_usual_permissions(files: Path, tmp_path: Path) -> None:
    run("quantize", files / "c.pcedge", "--out", tmp_path / "m.onnx")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "m.onnx").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_encode_and_decode_bring_dtype_and_shape_back(files: Path, tmp_path: Path) -> None:
    x = np.load(files / "x.npy")
    for lanes in (1, 8):
        result = as_json("encode", files / "m.onnx", files / "x.npy", tmp_path / "x.pce", "--lanes", lanes)
        assert result["bytes"] == (tmp_path / "x.pce").stat().st_size and result["lanes"] == lanes
        back = as_json("decode", files / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy")
        assert back == {"out": str(tmp_path / "y.npy"), "records": 50, "shape": [50, 2, 3], "dtype": "uint8"}
        y = np.load(tmp_path / "y.npy")
        assert y.dtype == x.dtype
        assert_array_equal(y, x)


def test_an_output_without_suffix_keeps_its_name(files: Path, tmp_path: Path) -> None:
    run("encode", files / "m.onnx", files / "x.npy", tmp_path / "packed")
    run("decode", files / "m.onnx", tmp_path / "packed", tmp_path / "restored")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packed", "restored"]


def test_loglik_of_float_and_integer_circuits(files: Path, tmp_path: Path) -> None:
    circuit = make_circuit(7, 6, 3, 4, "hidden")
    x = np.load(files / "x.npy").reshape(50, 6).astype(np.int16)
    x[::3, 1] = -1
    np.save(tmp_path / "x.npy", x)
    expected = log_likelihood(circuit, x)
    result = as_json("loglik", files / "c.pcedge", tmp_path / "x.npy", "--missing", -1, "--out", tmp_path / "ll.npy")
    assert result["mean_nats"] == pytest.approx(expected.mean())
    assert result["bits_per_variable"] == pytest.approx(-expected.mean() / np.log(2) / 6)
    assert np.load(tmp_path / "ll.npy") == pytest.approx(expected)
    integers = as_json("loglik", files / "m.onnx", tmp_path / "x.npy", "--missing", -1)
    assert integers["mean_nats"] == pytest.approx(expected.mean(), abs=0.05)
    marked = np.where(x == -1, 255, x).astype(np.uint8)
    np.save(tmp_path / "marked.npy", marked)
    assert as_json("loglik", files / "c.pcedge", tmp_path / "marked.npy", "--missing", 255)["records"] == 50


def test_no_figure_is_a_negative_zero(tmp_path: Path) -> None:
    """What is certain costs nothing, not less than nothing."""
    save_circuit(Circuit((InputLayer(0, np.array([[1.0, 0.0]])),)), tmp_path / "c.pcedge")
    np.save(tmp_path / "x.npy", np.zeros((3, 1), dtype=np.uint8))
    for option in ((), ("--json",)):
        said = run("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy", *option)
        assert said.exit_code == 0 and "-0.0" not in said.stdout, said.output
    said = run("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy")
    assert "mean: 0.000000 nats, 0.000000 bits a variable" in said.stdout
    result = as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy")
    assert result["mean_nats"] == result["bits_per_variable"] == 0


def test_unmarked_missing_symbols_are_bad_data(files: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((2, 6), -1))
    result = run("loglik", files / "c.pcedge", tmp_path / "x.npy")
    assert result.exit_code == 1
    assert "--missing -1 marks it as missing" in result.stderr


def test_impossible_records_have_no_number_in_json(tmp_path: Path) -> None:
    from pcedge.circuit import Circuit, InputLayer

    save_circuit(Circuit((InputLayer(0, np.array([[1.0, 0.0]])),)), tmp_path / "c.pcedge")
    np.save(tmp_path / "x.npy", np.ones((3, 1), dtype=np.uint8))
    result = as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy")
    assert result == {
        "records": 3, "mean_nats": None, "bits_per_variable": None, "impossible": 3, "mean_nats_of_possible": None,
        "log_constant_added": True,
    }  # fmt: skip
    np.save(tmp_path / "x.npy", np.array([[1], [0]], dtype=np.uint8))
    assert as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy")["mean_nats_of_possible"] == 0
    said = run("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy").stdout
    start = "mean: -inf nats (1 of 2 records are impossible); of the 1 others: "
    assert re.match(re.escape(start) + r"-?0.000000 nats, -?0.000000 bits a variable$", said)


def test_missing_symbols_are_counted(files: Path, tmp_path: Path) -> None:
    x = np.load(files / "x.npy").astype(np.int16).reshape(50, 6)
    x[:7, 2] = -1
    np.save(tmp_path / "x.npy", x)
    words = "loglik", files / "m.onnx", tmp_path / "x.npy", "--missing", -1
    assert as_json(*words)["missing_symbols"] == 7
    assert run(*words).stdout.endswith("; 7 of 300 symbols are missing, and count among the variables\n")


def test_quantize_says_widths_and_memory(files: Path, tmp_path: Path) -> None:
    words = "quantize", files / "c.pcedge", "--weight-bits", 5, "--out", tmp_path / "m.onnx"
    found, info = as_json(*words), as_json("info", files / "m.onnx")
    assert (found["widths"]["weight_bits"], found["widths"]["leaf_bits"]) == (5, 12)
    assert found["memory_bits"] == as_json("info", tmp_path / "m.onnx")["memory_bits"]
    rom = f"ROM {found['memory_bits']['rom'] / 1000:.3f} kbit (weights "
    assert f"\nweight bits 5, leaf bits 12, state bits 16\nmemory: {rom}" in run(*words).stdout
    assert sum(info["layer_weight_bits"].values()) == info["layers"]["sum"] and info["leaf_masters"] == 0
    said = run("info", files / "m.onnx").stdout
    assert re.search(rf"^memory bits: ROM {info['memory_bits']['rom'] / 1000:.3f} kbit \(weights ", said, re.M)
    assert re.search(rf"^leaf tables: {info['leaf_tables']} different$", said, re.M)
    assert "note: the file holds these bounds already" not in said
    said = run("info", files / "m.onnx", "--against", files / "c.pcedge").stdout
    assert "note: the file holds these bounds already; --against computed them anew" in said
    said = run("estimate", files / "m.onnx").stdout
    assert "latency/cycles" in said and f"ROM {info['memory_bits']['rom'] / 1000:.3f} kbit" in said
    # Brackets are text, not markup.
    assert re.search(r"programs [0-9.]+ \[likelihood program [0-9.]+, code program [0-9.]+", said)


def test_estimate_of_a_reloadable_engine(files: Path, tmp_path: Path) -> None:
    write_onnx(quantize(make_circuit(7, 9, 4, 5, "hidden")), tmp_path / "more.onnx")
    reload = "estimate", files / "m.onnx", "--target", "zcu104", "--memories", "reload"
    baked, alone, both = as_json(*reload[:4]), as_json(*reload), as_json(*reload, "--fit", tmp_path / "more.onnx")
    assert (baked["memories"], alone["memories"]) == ("baked", "reload") and alone["jobs"] == baked["jobs"] == both[
        "jobs"
    ]
    assert "rom" not in alone["memory_bits"] and alone["memory_bits"]["loaded"] < both["memory_bits"]["loaded"]
    assert "image" in alone["resources"]["blocks"] and "image" not in baked["resources"]["blocks"]
    assert f"loaded memories {alone['memory_bits']['loaded'] / 1000:.3f} kbit (weights " in run(*reload).stdout


def test_layers_are_shown_by_weight_bits(tmp_path: Path) -> None:
    circuit = make_circuit(7, 6, 3, 4, "hidden")
    sums = [index for index, layer in enumerate(circuit.layers) if layer.shape.kind == "sum"]
    mixed = quantize(circuit, QuantizationConfig(6, layer_weight_bits=((sums[0], 3),)))
    write_onnx(mixed, tmp_path / "m.onnx")
    found = as_json("info", tmp_path / "m.onnx")["layer_weight_bits"]
    assert found["3"] == 1 and sum(found.values()) == len(sums)
    said = run("info", tmp_path / "m.onnx").stdout
    shown = ", ".join(f"{count} of {bits} bits" for bits, count in found.items())
    assert f"layer weight bits: sum layers: {shown}\n" in said


def test_verify_counts_complete_records(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    x = np.load(files / "x.npy").astype(np.int16).reshape(50, 6)
    x[:7, 2] = -1
    np.save(tmp_path / "x.npy", x)
    words = "verify", files / "m.onnx", "--rungs", "ort", "--data"
    found = as_json(*words, tmp_path / "x.npy")
    assert (found["records"], found["complete_records"]) == (50, 43)
    text = "streams: compared on the 43 complete records of 50"
    assert text in " ".join(run(*words, tmp_path / "x.npy").stdout.split())
    assert "complete records" not in run(*words, files / "x.npy").stdout
    assert "A symbol of -1 is missing." in run("verify", "--help").stdout


def test_interrupt_and_termination_are_among_the_statuses() -> None:
    said = " ".join(run("--help").stdout.split())
    assert "3 a tool or extra is missing, 130 interrupted, 143 terminated." in said


@pytest.mark.csim
def test_export_simulate_verify(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "project"
    assert as_json("export", files / "m.onnx", "--target", "vitis-hls", "--out", out)["target"] == "vitis-hls"
    assert json.loads((out / "manifest.json").read_text())["golden_records"] == 16
    as_json("export", files / "m.onnx", "--records", 5, "--out", tmp_path / "five")
    assert json.loads((tmp_path / "five/manifest.json").read_text())["golden_records"] == 5
    assert {"Makefile", "manifest.json", "run_hls.tcl", "model.onnx", "src", "golden"} <= set(os.listdir(out))
    assert as_json("simulate", out)["mismatches"] == 0
    report = as_json("verify", files / "m.onnx", "--data", files / "x.npy", "--rungs", "ort,csim")
    assert report["mismatches"] == 0
    assert {c["rung"] for c in report["comparisons"]} == {"ort", "csim"}
    assert all(c["vectors"] in (8, 50) for c in report["comparisons"])
    golden = out / "golden/symbols.i32"
    damaged = np.frombuffer(golden.read_bytes(), dtype="<i4").copy()
    damaged[0] = (damaged[0] + 1) % 2
    golden.write_bytes(damaged.tobytes())
    result = run("simulate", out)
    assert result.exit_code == 1
    assert "MISMATCH record 0, likelihood step" in result.stderr


def test_verify_exits_1_and_names_the_step_on_a_mismatch(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from pcedge.simulate.ort import OrtSession

    run_true, trace_true = OrtSession.run, OrtSession.trace

    def run_wrong(self: Any, x: Any, **more: Any) -> Any:
        outputs = run_true(self, x, **more)
        outputs["mantissa"] = outputs["mantissa"].copy()
        outputs["mantissa"][5:] ^= 1
        return outputs

    def trace_wrong(self: Any, x: Any) -> Any:
        traces = trace_true(self, x)
        mantissa, exponent = traces["likelihood"][2]
        traces["likelihood"][2] = (mantissa ^ 1, exponent)
        return traces

    monkeypatch.setattr(OrtSession, "run", run_wrong)
    monkeypatch.setattr(OrtSession, "trace", trace_wrong)
    report = as_json("verify", files / "m.onnx", "--data", files / "x.npy", "--rungs", "ort", status=1)
    first = next(c for c in report["comparisons"] if c["output"] == "likelihood")
    assert first["mismatches"] == 45
    assert first["first"].startswith("record 5: likelihood step 2 (")


def test_training_is_repeatable(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", train=rng.integers(0, 3, (80, 4)), valid=rng.integers(0, 3, (20, 4)))
    for name in ("a", "b"):
        result = as_json(
            "train", "--data", tmp_path / "d.npz", "--latents", 2, "--seed", 3, "--iterations", 4, "--out",
            tmp_path / name,
        )  # fmt: skip
        assert result["variables"] == 4
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["quantize", "{d}/none.pcedge", "--out", "{t}/m.onnx"], 2, "does not exist"),
        (["quantize", "{d}/m.onnx", "--out", "{t}/m.onnx"], 2, "must be a float circuit"),
        (["quantize", "{d}/x.npy", "--out", "{t}/m.onnx"], 2, "must be a float circuit"),
        (["quantize", "{d}/c.pcedge", "--weight-bits", "17", "--out", "{t}/m.onnx"], 2, "weight_bits must be in 2..16"),
        (["quantize", "{d}/c.pcedge", "--coder", "huge", "--out", "{t}/m.onnx"], 2, "'huge' is not one of"),
        (["quantize", "{d}/c.pcedge", "--out", "{t}/no/m.onnx"], 2, "the folder of"),
        (["export", "{d}/m.onnx", "--target", "toaster", "--out", "{t}/p"], 2, "the target must be one of vitis-hls"),
        (["export", "{d}/c.pcedge", "--out", "{t}/p"], 2, "run pcedge quantize first"),
        (["verify", "{d}/m.onnx", "--data", "{d}/x.npy", "--rungs", "gpu"], 2, "a rung must be one of ort, csim"),
        (["verify", "{d}/m.onnx", "--data", "{d}/x.npy", "--rungs", ","], 2, "at least one rung"),
        (["encode", "{d}/m.onnx", "{d}/m.onnx", "{t}/x.pce"], 1, "must"),
        (["decode", "{d}/m.onnx", "{d}/x.npy", "{t}/y.npy"], 1, "a stream must start with 8e504345"),
        (["info", "{d}/x.npy"], 1, "onnx-container"),
        (["simulate", "{d}"], 1, "pcedge: {d} must hold a manifest.json, as every project of pcedge export does; it"),
        (["image", "{d}/m.onnx", "--project", "{d}", "--out", "{t}/i"], 1, "pcedge: {d} must hold a manifest.json, as"),
        (
            ["estimate", "{d}/m.onnx", "--macs", "4", "--rate", "1e6"],
            2,
            "--macs must come without --rate, which settles",
        ),
        (["estimate", "{d}/m.onnx", "--streams", "1", "--rate", "1e6"], 2, "--streams must come without --rate"),
        (["estimate", "{d}/m.onnx", "--fit", "{d}/m.onnx"], 2, "--fit must go with --memories reload"),
        (["estimate", "{d}/m.onnx", "--job", "decode"], 2, "--job must come with --rate"),
        (
            ["info", "{d}/m.onnx", "--against", "{d}/m.onnx"],
            2,
            "m.onnx must be a float circuit (.pcedge), it is none\n",
        ),
        (["quantize", "{d}/m.onnx", "--out", "{t}/o"], 2, "it is none; only these can be quantized\n"),
        (["encode", "{d}/m.onnx", "{d}/x.npy"], 2, "Missing argument"),
        (["fly"], 2, "No such command"),
    ],
)
def test_wrong_use(words: list[str], status: int, text: str, files: Path, tmp_path: Path) -> None:
    result = run(*(word.format(d=files, t=tmp_path) for word in words))
    assert result.exit_code == status, result.output
    assert text.format(d=files) in result.stderr
    assert "Traceback" not in result.output
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.full((3, 6), 0.5), "must hold integers, got float64 such as 0.5"),
        (np.full((3, 6), np.nan), "must hold integers, got float64"),
        (np.zeros((3, 5), dtype=np.uint8), "with 6 symbols a record, got \\(3, 5\\)"),
        (np.full((3, 6), 9, dtype=np.uint8), "record 0, variable 0: a symbol must be in 0.."),
    ],
)
def test_bad_data_keeps_the_old_file(array: Any, text: str, files: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", array)
    (tmp_path / "x.pce").write_bytes(b"old")
    result = run("encode", files / "m.onnx", tmp_path / "bad.npy", tmp_path / "x.pce")
    assert result.exit_code == 1
    assert re.search(text, result.stderr)
    assert (tmp_path / "x.pce").read_bytes() == b"old"


def test_info_describes_a_stream(files: Path, tmp_path: Path) -> None:
    run("encode", files / "m.onnx", files / "x.npy", tmp_path / "x.pce", "--lanes", 5)
    found = as_json("info", tmp_path / "x.pce")
    assert (found["kind"], found["shape"], found["dtype"], found["lanes"]) == ("stream", [50, 2, 3], "uint8", 5)
    assert as_json("info", files / "m.onnx")["digest"].startswith(found["digest"])


def test_a_target_file_of_ones_own(files: Path, tmp_path: Path) -> None:
    target = tmp_path / "board.toml"
    target.write_text('name = "board"\nflow = "vitis-hls"\npart = "xc7a35ticsg324-1L"\nclock_ns = 10.0\n')
    as_json("export", files / "m.onnx", "--target", target, "--out", tmp_path / "p")
    assert "set_part {xc7a35ticsg324-1L}" in (tmp_path / "p/run_hls.tcl").read_text()
    assert json.loads((tmp_path / "p/manifest.json").read_text())["target"]["name"] == "board"
    target.write_text('name = "board"\n')
    result = run("export", files / "m.onnx", "--target", target, "--out", tmp_path / "q")
    assert result.exit_code == 2 and "must be a TOML file with name, flow, part and clock_ns" in result.stderr
    assert not (tmp_path / "q").exists()


def test_training_says_where_it_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 3, (60, 3)))
    checkpoint = tmp_path / "run"
    words = ["train", "--data", tmp_path / "x.npy", "--latents", 2, "--out", tmp_path / "c.pcedge", "--patience", 0]
    words += ["--checkpoint", checkpoint, "--checkpoint-seconds", 0, "--iterations"]
    assert "going on" not in run(*words, 2).stderr
    assert f"going on from iteration 2 of {checkpoint} …\n" in run(*words, 4).stderr
    assert f"the run of {checkpoint} is complete …\n" in run(*words, 4).stderr


def test_options_of_training_that_keep_each_other_idle(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 2, (60, 3))
    np.savez(tmp_path / "x.npz", train=x, valid=x[:20])
    save_circuit(make_circuit(7, 3, 2, 3, "hidden"), tmp_path / "c.pcedge")
    words = ["train", "--data", tmp_path / "x.npz", "--latents", 2, "--out", tmp_path / "o.pcedge"]
    result = run(*words, "--patience", 20, "--validate-every", 25)
    text = "--patience must be 0 or at least --validate-every, got 20 and 25: training would stop with no second look"
    assert result.exit_code == 2 and text in result.stderr and not (tmp_path / "o.pcedge").exists()
    assert as_json(*words, "--patience", 0, "--validate-every", 25, "--iterations", 30)["iterations"] == 30
    # The default of the other gives way.
    assert as_json(*words, "--validate-every", 25, "--iterations", 300)["iterations"] >= 50
    assert as_json(*words, "--patience", 1, "--iterations", 30)["iterations"] <= 30
    for more, texts in (
        (["--block", 2], ["--block has no effect without --structure independent"]),
        (["--structure", "independent", "--block", 2, "--batch", 9], []),
        (["--holdout", 0.2], ["--holdout has no effect on data with a validation split"]),
        (["--checkpoint-seconds", 2], []),  # of the checkpoint beside --out
        (["--leaves", "logistic", "--blur", 0.1], ["--blur has no effect on leaves without tables"]),
        (["--validate-every", 9], ["--validate-every has no effect beyond --iterations: the last parameters are"]),
        (
            ["--init", tmp_path / "c.pcedge", "--leaves", "logistic"],
            [f"--{name} has no effect with --init, whose circuit says it" for name in ("leaves", "latents")],
        ),
    ):
        result = run(*words, "--iterations", 2, *more)
        assert result.exit_code == 0, result.output
        warnings = [line for line in result.stderr.splitlines() if "warning" in line]
        assert len(warnings) == len(texts)
        assert all(line.startswith(f"pcedge: warning: {text}") for line, text in zip(warnings, texts, strict=True))


def test_training_takes_missing_symbols_only_where_they_are_marked(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(-1, 3, (60, 3))
    np.save(tmp_path / "x.npy", x)
    words = ["train", "--data", tmp_path / "x.npy", "--latents", 2, "--iterations", 2, "--out", tmp_path / "c.pcedge"]
    result = run(*words)
    assert result.exit_code == 1 and "--missing -1 marks it as missing" in result.stderr
    assert as_json(*words, "--missing", -1)["variables"] == 3
    result = run(*words, "--missing", -1, "--device", "nosuch")
    assert result.exit_code == 2 and "device must be cpu or a torch device that works here" in result.stderr


def test_usage_errors_in_json() -> None:
    done = subprocess.run([sys.executable, "-m", "pcedge", "encode", "--json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit"] == 2


def test_errors_in_json(files: Path, tmp_path: Path) -> None:
    error = as_json("decode", files / "m.onnx", files / "x.npy", tmp_path / "y.npy", status=1)
    assert error["error"] == "StreamError" and error["exit"] == 1


def test_a_missing_extra_exits_3(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("verify", files / "m.onnx", "--data", files / "x.npy", "--rungs", "ort")
    assert result.exit_code == 3
    assert "pip install 'pcedge[ort]' brings it" in result.stderr


def test_doctor_exits_3_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCEDGE_CXX", "no-such-compiler")
    report = as_json("doctor", status=3)
    assert report["missing"][0] == "C++ compiler"
    assert all({"name", "found", "needed_for", "override"} <= set(tool) for tool in report["tools"])


def test_digits_is_a_data_set_by_name(tmp_path: Path) -> None:
    result = as_json("loglik", "digits", "digits")
    assert result["records"] == len(load_array("digits")) >= 300


def test_interrupt_exits_130(files: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.tile(np.load(files / "x.npy"), (4000, 1, 1)))
    code = "import sys; from pcedge.cli import main; sys.argv = sys.argv[1:]; sys.stderr.write('begun\\n'); main()"
    words = [
        "pcedge",
        "encode",
        str(files / "m.onnx"),
        str(tmp_path / "x.npy"),
        str(tmp_path / "x.pce"),
        "--lanes",
        "1",
        "--engine",  # the native one may be done before the signal comes
        "numpy",
        "--json",
    ]
    child = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stderr is not None and child.stderr.readline() == b"begun\n"
    try:
        child.wait(timeout=4)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
    told, said = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert json.loads(told) == {"error": "Interrupted", "message": "interrupted", "exit": 130}
    assert said.splitlines()[-1] == b"pcedge: interrupted" and b"Traceback" not in said
    assert b"" not in said.splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy"]
