"""ONNX models: what they must give, changes of their parts, and the damage that a reader must refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pcedge.arrays import IntArray
from pcedge.circuit import MISSING, Circuit, InputLayer, ProductLayer, SparseRows, SumLayer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError
from pcedge.export import read_onnx
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize


def expected(circuit: IntegerCircuit, records: IntArray) -> dict[str, IntArray]:
    """Compute with the reference what a model of the circuit must give, by the names of its outputs."""
    engine = ReferenceEngine(circuit)
    found = dict(zip(("mantissa", "exponent"), engine.likelihood(records), strict=True))
    if circuit.structured:
        found |= dict(zip(("lo", "hi"), engine.intervals(records), strict=True))
    return found


def assert_equal(found: dict[str, Any], wanted: dict[str, IntArray]) -> None:
    """Demand the same outputs in the same order, all of them int64."""
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == np.int64
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def with_missing(circuit: IntegerCircuit, count: int, seed: int = 0) -> IntArray:
    """Draw records with a fifth of their symbols missing."""
    generator = np.random.default_rng(seed)
    records = generator.integers(0, circuit.cardinalities, (count, len(circuit.cardinalities)))
    records[generator.random(records.shape) < 0.2] = MISSING
    return records


def assert_refused(folder: Path, model: onnx.ModelProto, rule: str, text: str) -> None:
    """Write a model, and demand that the reader refuses it by a rule, with a text."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match=f"^{rule}: ") as caught:
        read_onnx(path)
    assert caught.value.rule == rule
    assert text in str(caught.value)


def small_circuit() -> IntegerCircuit:
    """Make a circuit with every kind of initializer: tables, dense and sparse weights, gather lists."""
    left = InputLayer(0, np.array([[0.1, 0.9, 0.0], [0.3, 0.3, 0.4], [0.0, 0.5, 0.5]]))
    right = InputLayer(1, np.array([0.25, 0.75, 1.0]))
    mixed = SumLayer((1,), SparseRows.from_dense(np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])))
    product = ProductLayer((0, 2), np.array([[0, 1], [2, 0], [1, 1], [2, 1]]))
    return quantize(Circuit((left, right, mixed, product, SumLayer((3,), np.full((1, 4), 0.25)))))


def chain(variables: int = 5, states: int = 3) -> IntegerCircuit:
    """Make a hidden Markov model whose tables and weights are the same everywhere."""
    generator = np.random.default_rng(1)
    table = generator.dirichlet(np.ones(4), states)
    weights = generator.dirichlet(np.ones(states), states)
    same = np.repeat(np.arange(states)[:, None], 2, axis=1)
    layers: list[Any] = [InputLayer(variables - 1, table)]
    for variable in reversed(range(variables - 1)):
        layers.append(SumLayer((len(layers) - 1,), weights))
        layers += [InputLayer(variable, table), ProductLayer((len(layers), len(layers) - 1), same)]
    layers.append(SumLayer((len(layers) - 1,), weights[:1]))
    return quantize(Circuit(tuple(layers)))


def metadata(model: onnx.ModelProto, key: str, value: str) -> None:
    """Set an entry of the model's metadata."""
    next(entry for entry in model.metadata_props if entry.key == key).value = value


def replace(model: onnx.ModelProto, name: str, change: Callable[[Any], Any]) -> None:
    """Change an initializer's values."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(numpy_helper.to_array(tensor).copy())), name))


def put(place: tuple[int, ...], value: int) -> Callable[[Any], Any]:
    """Make a change that sets one entry of an array, for `replace`."""

    def change(array: Any) -> Any:
        array[place] = value
        return array

    return change


def refuse_damage(tmp_path: Path, circuit: IntegerCircuit, whole: bytes) -> None:
    """Demand that damaged bytes of a file are refused, or are the same circuit."""
    generator = np.random.default_rng(7)
    refused = 0
    for trial in range(300):
        data = bytearray(whole)
        for place in generator.integers(0, len(data), generator.integers(1, 4)):
            data[place] = generator.integers(0, 256)
        if trial % 10 == 0:
            del data[int(generator.integers(0, len(data))) :]
        (tmp_path / "model.onnx").write_bytes(data)
        try:
            assert read_onnx(tmp_path / "model.onnx").digest == circuit.digest
        except FormatError:
            refused += 1
    assert refused > 250
