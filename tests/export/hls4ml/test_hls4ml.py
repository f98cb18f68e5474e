"""Circuits in hls4ml models: bit for bit through compile() and predict(), alone and behind a network."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import HLS
from numpy.testing import assert_array_equal
from strategies import CircuitMaker, make_circuit

import pcedge
from pcedge.circuit import load_circuit
from pcedge.data import load_array
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, MissingToolError, UsageError
from pcedge.export import append_to_hls4ml, to_hls4ml
from pcedge.export.hls4ml import model as export_hls4ml
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import tools

hls4ml = pytest.importorskip("hls4ml", reason="hls4ml is not installed (extra hls)")

IO_TYPES = ("io_parallel", "io_stream")

#: the exponent of an impossible record
ZERO_EXPONENT = -(2**30)


def unstructured(seed: int) -> IntegerCircuit:
    """Make a circuit with two products that partition the root differently."""
    maker = CircuitMaker(seed, 7, 3, 5, "random", 0.25)
    names = maker.rng.permutation(7).tolist()
    outs = maker.region(names, [names[:1], names[1:]]) + maker.region(names, [names[:2], names[2:]])
    circuit = quantize(maker.finish(outs))
    assert not circuit.structured
    return circuit


def assert_equals_engine(circuit: IntegerCircuit, found: np.ndarray[Any, Any], symbols: np.ndarray[Any, Any]) -> None:
    mantissas, exponents = ReferenceEngine(circuit).likelihood(symbols)
    assert_array_equal(found, np.stack([mantissas, exponents], axis=1))


def nearest(values: np.ndarray[Any, Any], circuit: IntegerCircuit, *, missing: bool) -> np.ndarray[Any, Any]:
    """Give the symbols that a network's numbers stand for."""
    whole = np.floor(values + 0.5).astype(np.int64)
    symbols = np.clip(whole, 0, np.array(circuit.cardinalities) - 1)
    return np.where(whole < 0, -1, symbols) if missing else symbols


def two_outputs(folder: Path, io_type: str, sizes: dict[str, int]) -> Any:
    """Make a network of five inputs and dense layers side by side, in a namespace of its own."""
    from hls4ml.model import ModelGraph
    from hls4ml.utils.config import create_config

    settings = create_config(
        output_dir=str(folder), project_name="net", backend="Vitis", io_type=io_type, namespace="design", write_tar=True
    )
    settings["HLSConfig"] = {"Model": {"Precision": "ap_fixed<20,10>", "ReuseFactor": 1}}
    rng = np.random.default_rng(3)
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "name": "features", "input_shape": [5]}]
    for name, size in sizes.items():
        layers.append(
            {
                "class_name": "Dense", "name": name, "inputs": ["features"], "n_in": 5, "n_out": size,
                "weight_data": rng.normal(size=(5, size)), "bias_data": rng.normal(1.5, 1, size=size), "use_bias": True,
            }
        )  # fmt: skip
    return ModelGraph.from_layer_list(settings, layers, inputs=["features"], outputs=list(sizes))


@pytest.mark.csim
@pytest.mark.slow
def test_digits_equal_the_reference(tmp_path: Path) -> None:
    circuit = quantize(load_circuit("digits"))
    model = pcedge.to_hls4ml(circuit, tmp_path / "project")  # type: ignore[attr-defined]
    model.compile()
    images = load_array("digits").reshape(-1, 64).astype(np.int64)
    assert len(images) == 360
    rng = np.random.default_rng(0)
    partial = np.where(rng.random(images.shape) < rng.random((360, 1)), -1, images)
    partial[0] = -1  # the value one
    partial[1, 1:] = -1
    for symbols in (images, partial):
        for dtype in (np.float64, np.float32):
            assert_equals_engine(circuit, model.predict(symbols.astype(dtype)), symbols)
    assert_equals_engine(circuit, model.predict(images[:1].astype(np.float64))[None], images[:1])
    # What is no symbol: above the last one, the last; negative, however far, missing.
    odd = np.where(rng.random(images.shape) < 0.1, rng.choice([17, 31, 32, 1000, -2, -1000], images.shape), images)
    assert_equals_engine(circuit, model.predict(odd.astype(np.float64)), nearest(odd, circuit, missing=True))


class TestNotANumber:
    """NaN was scored as the last symbol."""

    @pytest.mark.csim
    def test_predict_refuses_it(self, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(3, 4, 2, 5, "hidden"))
        model = to_hls4ml(circuit, tmp_path)
        records = np.zeros((3, 4))
        for dtype in (np.float64, np.float32):
            for bad in (np.nan, np.inf, -np.inf):
                records[1, 2] = bad
                text = f"the inputs of a model must be finite, got {bad} at (1, 2); a negative integer stands for a"
                with pytest.raises(DataError, match=re.escape(text)):
                    model.predict(records.astype(dtype))
        model.compile()
        records[1, 2] = -1
        assert_equals_engine(circuit, model.predict(records), records.astype(np.int64))

    @pytest.mark.csim
    def test_a_model_with_a_layer_appended_refuses_it(self, tmp_path: Path) -> None:
        model = two_outputs(tmp_path, "io_parallel", {"left": 6})
        append_to_hls4ml(model, quantize(make_circuit(11, 6, 3, 9, "balanced", 0.25)))
        features = np.zeros((2, 5))
        features[1, 0] = np.nan
        with pytest.raises(DataError, match=r"must be finite, got nan at \(1, 0\)$"):
            model.predict(features)
        with pytest.raises(DataError, match=r"must be finite, got nan at \(1, 0\)$"):
            model.trace(features)

    @pytest.mark.csim
    def test_the_kernel_takes_it_as_missing(self, tmp_path: Path) -> None:
        """A network of floats can give NaN: it is a missing symbol, in float and double, whatever negative ones are."""
        (tmp_path / "nearest.cpp").write_text(NEAREST)
        command = [*tools.compiler(), *tools.CXX_FLAGS, f"-I{HLS / 'include'}", "-isystem", str(tools.ap_types())]
        subprocess.run([*command, "nearest.cpp", "-o", "nearest"], cwd=tmp_path, check=True)
        done = subprocess.run([tmp_path / "nearest"], check=True, capture_output=True, text=True)
        # Symbols 0..14, 15 is missing: NaN, -NaN, then both infinities, huge, -0.6, -0.5, 0.49, 3.5, 14.4, 14.6.
        symbols = [15, 15, 14, 15, 14, 15, 15, 0, 0, 4, 14, 14]
        zeros = [15, 15, 14, 0, 14, 0, 0, 0, 0, 4, 14, 14]
        assert done.stdout.split() == [*map(str, symbols)] * 2 + [*map(str, zeros)] * 2


NEAREST = """
#include "pcedge/sequential/hls4ml.hpp"
#include <cmath>
#include <cstdio>
#include <limits>
struct engine {
  using symbol_t = ap_uint<4>;
  static constexpr int MISSING = 15;
};
template <bool MISSING, class T> void all() {
  const T values[] = {std::numeric_limits<T>::quiet_NaN(), -std::numeric_limits<T>::quiet_NaN(),
                      std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                      T(1e30), T(-1e30), T(-0.6), T(-0.5), T(0.49), T(3.5), T(14.4), T(14.6)};
  for (const T value : values)
    std::printf("%u\\n", unsigned(pcedge::nearest_symbol<engine, MISSING>(value, 14)));
}
int main() {
  all<true, float>();
  all<true, double>();
  all<false, float>();
  all<false, double>();
}
"""


@pytest.mark.csim
@pytest.mark.slow
def test_extreme_exponents_on_a_stream(tmp_path: Path) -> None:
    # Without tails some are impossible.
    circuit = quantize(make_circuit(5, 300, 4, 300, "chain", 0.0), QuantizationConfig(12, 16, 16, tails=False))
    model = to_hls4ml(circuit, tmp_path, backend="Vivado", io_type="io_stream", name="Head", part="xc7z020")
    assert model.config.get_config_value("Part") == "xc7z020"
    model.compile()
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, circuit.cardinalities, (40, 300))
    symbols[20:][rng.random((20, 300)) < 0.9] = -1
    symbols[0] = 0
    symbols[1] = np.array(circuit.cardinalities) - 1
    assert_equals_engine(circuit, model.predict(symbols.astype(np.float64)), symbols)
    mantissas, exponents = ReferenceEngine(circuit).likelihood(symbols)
    assert exponents[mantissas > 0].min() < -2000
    assert set(exponents[mantissas == 0].tolist()) == {ZERO_EXPONENT}


@pytest.mark.csim
@pytest.mark.slow
def test_two_heads_behind_a_network(tmp_path: Path) -> None:
    structured = quantize(make_circuit(11, 6, 3, 9, "balanced", 0.25))
    heads = {"left": (structured, True), "right": (unstructured(2), False)}
    features = np.random.default_rng(2).normal(size=(400, 5)) * 2
    models = {io_type: two_outputs(tmp_path / io_type, io_type, {"left": 6, "right": 7}) for io_type in IO_TYPES}
    for model in models.values():
        with pytest.raises(UsageError, match=r"^after must name one of the model's outputs left, right, got none$"):
            append_to_hls4ml(model, structured)
        for output, (circuit, missing) in heads.items():
            assert append_to_hls4ml(model, circuit, after=output, missing=missing, name=f"{output}_density") is model
        assert model.outputs == ["left_density", "right_density"]
    # Arrays can also be looked at; what goes through a stream is the same.
    models["io_parallel"].outputs += heads
    for model in models.values():
        model.compile()
    *found, left, right = models["io_parallel"].predict(features)
    for likelihood, streamed in zip(found, models["io_stream"].predict(features), strict=True):
        assert_array_equal(likelihood, streamed)
    for (circuit, missing), likelihood, numbers in zip(heads.values(), found, (left, right), strict=True):
        assert (numbers < -0.5).any() and (numbers > max(circuit.cardinalities)).any()
        assert_equals_engine(circuit, likelihood, nearest(numbers, circuit, missing=missing))
        assert len(np.unique(likelihood, axis=0)) > 50
    with tarfile.open(tmp_path / "io_stream.tar.gz") as archive:
        assert "firmware/left_density/layer.hpp" in archive.getnames()


@pytest.mark.csim
@pytest.mark.slow
def test_a_dense_network_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    circuit = quantize(make_circuit(7, 10, 4, 6, "hidden", 0.25))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).eval()
    config = hls4ml.utils.config_from_pytorch_model(network, (4,), channels_last_conversion="off")
    # The network's last numbers are symbols: rounded and held at 0 and 7 by their type.
    config["LayerName"] = {"_2": {"Precision": {"result": "ap_ufixed<3,3,AP_RND,AP_SAT>"}}}
    model = hls4ml.converters.convert_from_pytorch_model(
        network, hls_config=config, output_dir=str(tmp_path / "net"), backend="Vitis"
    )
    append_to_hls4ml(model, circuit)
    assert model.outputs == ["likelihood"]
    model.outputs.append("_2")  # to see the symbols
    model.compile()
    features = np.random.default_rng(5).normal(size=(300, 4)).astype(np.float32) * 8
    likelihood, numbers = model.predict(features)
    assert_array_equal(np.unique(numbers), np.arange(8))
    assert_equals_engine(circuit, likelihood, nearest(numbers, circuit, missing=False))
    assert len(np.unique(likelihood, axis=0)) > 50


def test_the_project_holds_the_likelihood_only(tmp_path: Path) -> None:
    model = to_hls4ml(unstructured(1), tmp_path / "project", project_name="density")
    model.write()
    layer = tmp_path / "project/firmware/likelihood"
    names = {path.relative_to(layer).as_posix() for path in layer.rglob("*") if path.is_file()}
    kernels = {"pcedge/sequential/hls4ml.hpp", "pcedge/sequential/interpreter.hpp"}
    assert {"layer.hpp", "pcedge_config.hpp", "pcedge_memories.cpp"} | kernels <= names
    assert "code_steps = 0;" in (layer / "pcedge_memories.hpp").read_text()
    assert "#pragma HLS DATAFLOW" in (tmp_path / "project/firmware/density.cpp").read_text()


def test_a_saved_model_is_read_in_another_process(tmp_path: Path) -> None:
    from hls4ml.utils.serialization import serialize_model

    model = to_hls4ml(unstructured(1), tmp_path / "project")
    serialize_model(model, tmp_path / "model.fml")
    code = (
        "import sys, pcedge.export.hls4ml.layer; from hls4ml.utils.serialization import deserialize_model; "
        "deserialize_model(sys.argv[1]).write()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.fml"], check=True)
    assert (tmp_path / "project/firmware/likelihood/layer.hpp").is_file()
    assert "pcedge::likelihood_layer" in (tmp_path / "project/firmware/pc_model.cpp").read_text()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"backend": "Quartus"}, r"^backend must be one of Vitis, Vivado, got 'Quartus'$"),
        ({"io_type": "io_serial"}, r"^io_type must be one of io_parallel, io_stream, got 'io_serial'$"),
        ({"name": "my-head"}, r"^name must start with a letter, go on with .* hls4ml, got 'my-head'$"),
        ({"name": "input"}, r"^name must start with a letter, go on with .* hls4ml, got 'input'$"),
        ({"name": "pc_model"}, r"^name must be new, but 'pc_model' is there already$"),
        ({"project_name": "class"}, r"^project_name must start with a letter, go on with .* hls4ml, got 'class'$"),
        ({"project_name": "defines"}, r"^project_name must start with a letter, go on with .* hls4ml, got 'defines'$"),
        ({"project_name": "1st"}, r"^project_name must start with a letter, go on with .* hls4ml, got '1st'$"),
    ],
)
def test_wrong_choices(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        to_hls4ml(unstructured(1), **changed)


def test_what_does_not_fit_a_network(tmp_path: Path) -> None:
    circuit = quantize(make_circuit(11, 6, 3, 9, "balanced", 0.25))
    model = two_outputs(tmp_path, "io_parallel", {"left": 6, "right": 7})
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"after": "middle"}, r"^after must be one of left, right, got 'middle'$"),
        ({"after": "right"}, r"^the circuit must have 7 variables, as many as right has numbers, got 6$"),
        ({"after": "left", "name": "right"}, r"^name must be new, but 'right' is there already$"),
    )
    for options, text in wrong:
        with pytest.raises(UsageError, match=text):
            append_to_hls4ml(model, circuit, **options)
    with pytest.raises(UsageError, match=r"^the circuit must be an IntegerCircuit, as quantize gives it, not Circuit$"):
        append_to_hls4ml(model, make_circuit(11, 6, 3, 9, "balanced"))  # type: ignore[arg-type]
    append_to_hls4ml(model, circuit, after="left")
    model.outputs.append("left")
    text = r"^the output left must not be the input of another layer, so that the likelihood can follow it$"
    with pytest.raises(UsageError, match=text):
        append_to_hls4ml(model, circuit, after="left", name="second")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def none(name: str, *more: Any, **options: Any) -> Any:
        if name == "hls4ml":
            raise ModuleNotFoundError(name, name=name)
        return real(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(
        MissingToolError, match=r"^a circuit in an hls4ml model needs the package hls4ml.*pcedge\[hls\]"
    ):
        export_hls4ml.to_hls4ml(unstructured(1))


def test_importing_pcedge_imports_no_hls4ml() -> None:
    code = "import sys, pcedge, pcedge.export; pcedge.to_hls4ml; sys.exit('hls4ml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'pcedge' has no attribute 'to_hls5ml'"):
        _ = pcedge.to_hls5ml
