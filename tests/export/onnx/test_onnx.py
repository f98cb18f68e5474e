from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.nightly import examples
from helpers.onnx_models import (
    assert_equal,
    assert_refused,
    chain,
    expected,
    metadata,
    put,
    refuse_damage,
    replace,
    small_circuit,
    with_missing,
)
from helpers.paths import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from strategies import integer_circuits, make_circuit, records_for, unstructured_circuits

import pcedge.export.onnx
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, FormatError, MissingToolError, WidthError
from pcedge.export import from_onnx, placements, read_onnx, to_onnx, write_onnx
from pcedge.export.onnx.initializers import check_size
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.steps import Op
from pcedge.schedule.steps import describe as name_of
from pcedge.simulate.ort import OrtSession


def replace_constant(circuit: IntegerCircuit, constant: float) -> IntegerCircuit:
    return dataclasses.replace(circuit, log_constant=constant)


class TestRoundTrip:
    @examples(usual=40, nightly=100)
    @given(circuit=integer_circuits())
    def test_nothing_is_lost(self, circuit: IntegerCircuit) -> None:
        read = from_onnx(to_onnx(circuit))
        assert read.digest == circuit.digest
        assert (read.order, read.widths) == (circuit.order, circuit.widths)
        assert [(s.kind, s.units, s.children) for s in read.shapes] == [
            (s.kind, s.units, s.children) for s in circuit.shapes
        ]

    def test_the_parameters_are_equal_arrays(self, tmp_path: Path) -> None:
        circuit = small_circuit()
        write_onnx(circuit, tmp_path / "model.onnx")
        read: Any = read_onnx(tmp_path / "model.onnx")
        for left, right in zip(circuit.layers, read.layers, strict=True):
            for name in ("cumulative", "gather"):
                if hasattr(left, name):
                    np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
                    assert getattr(right, name).dtype == np.int64
        sparse, dense = read.layers[2].weights, read.layers[4].weights
        assert sparse.indptr.tolist() == [0, 2, 3]
        assert sparse.indices.tolist() == [0, 2, 1]
        assert sparse.values.tolist() == [128, 128, 256]
        assert sparse.columns == 3
        assert dense.tolist() == [[64, 64, 64, 64]]

    def test_the_same_circuit_gives_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_onnx(small_circuit(), tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        write_onnx(read_onnx(tmp_path / "a"), tmp_path / "c")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()

    def test_texts_for_people_may_change(self) -> None:
        circuit = small_circuit()
        model = to_onnx(circuit)
        model.doc_string = model.graph.doc_string = model.producer_name = model.graph.name = "mine"
        model.graph.node[0].doc_string = model.functions[0].doc_string = "mine"
        model.graph.node[0].metadata_props.add(key="mine", value="too")
        model.metadata_props.add(key="author", value="me")
        assert from_onnx(model).digest == circuit.digest

    def test_a_missing_file_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_onnx(tmp_path / "none.onnx")


class TestModel:
    @settings(max_examples=25)
    @given(circuit=integer_circuits())
    def test_the_checker_passes(self, circuit: IntegerCircuit) -> None:
        onnx.checker.check_model(to_onnx(circuit), full_check=True)

    def test_parameters_are_stored_once_in_the_smallest_type(self) -> None:
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in to_onnx(chain(40)).graph.initializer}
        shapes = {name: (t.shape, t.dtype.name) for name, t in tensors.items() if name[0] != "i"}
        assert shapes == {
            "tables_5": ((5, 3), "uint16"),
            "states_5x3": ((1, 3), "uint8"),
            "weights_3x3": ((1, 3, 3), "uint16"),
            "weights_1x3": ((1, 1, 3), "uint16"),
        }

    @pytest.mark.parametrize(("bits", "name"), [((7, 8), "uint8 uint16"), ((8, 16), "uint16 int32")])
    def test_types_hold_the_largest_value_allowed(self, bits: tuple[int, int], name: str) -> None:
        config = QuantizationConfig(weight_bits=bits[0], leaf_bits=bits[1])
        circuit = quantize(make_circuit(1, 3, 3, 4, "hidden"), config)
        tensors = {
            tensor.name: numpy_helper.to_array(tensor).dtype.name for tensor in to_onnx(circuit).graph.initializer
        }
        weights = {dtype for key, dtype in tensors.items() if key.startswith("weights")}
        tables = {dtype for key, dtype in tensors.items() if key.startswith("tables")}
        assert f"{weights.pop()} {tables.pop()}" == name
        assert not weights and not tables

    def test_equal_steps_share_a_node(self) -> None:
        states, same = 3, np.repeat(np.arange(3)[:, None], 8, axis=1)
        generator = np.random.default_rng(0)
        layers: list[Any] = [InputLayer(v, generator.dirichlet(np.ones(4), states)) for v in range(8)]
        layers += [SumLayer((v,), generator.dirichlet(np.ones(states), states)) for v in range(8)]
        layers.append(ProductLayer(tuple(range(8, 16)), same))
        layers.append(SumLayer((16,), np.full((1, states), 1 / states)))
        nodes = [node for node in to_onnx(quantize(Circuit(tuple(layers)))).graph.node if node.output[0][0] == "L"]
        sums = [node for node in nodes if node.op_type == "KeptSum"]
        layers_of = [next(list(a.ints) for a in node.attribute if a.name == "layers") for node in sums]
        assert layers_of == [[8, 9, 10, 11, 12, 13, 14, 15], [17]]
        assert sum(node.op_type == "KeptLeaf" for node in nodes) == 1

    def test_a_sum_too_wide_for_the_shift_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pcedge.export.onnx.writer._SHIFT_BITS", 40)
        with pytest.raises(WidthError, match=r"^signal accumulator must fit 24 bits in an ONNX model, it needs 32$"):
            to_onnx(small_circuit())

    def test_bodies_use_standard_operators_only(self) -> None:
        model = to_onnx(small_circuit())
        known = {function.name for function in model.functions}
        for function in model.functions:
            for node in function.node:
                assert node.domain == "" or (node.domain == "pcedge" and node.op_type in known)


class TestEquality:
    @pytest.mark.parametrize("quick", [False, True])
    @pytest.mark.parametrize("make", [small_circuit, chain])
    def test_every_runtime_gives_the_reference(self, make: Callable[[], IntegerCircuit], quick: bool) -> None:
        circuit = make()
        session = OrtSession(circuit, quick=quick)
        for count in (0, 1, 50):
            records = with_missing(circuit, count)
            wanted = expected(circuit, records)
            assert_equal(session.run(records), wanted)
            assert_equal(session.run(records, batch=7), wanted)
            results = ReferenceEvaluator(session.model).run(None, {"symbols": records})
            assert_equal(dict(zip(wanted, results, strict=True)), wanted)

    @examples(usual=60, nightly=480)
    @given(data=st.data(), circuit=integer_circuits(max_variables=6, max_states=4, max_symbols=4))
    def test_onnxruntime_equals_numpy(self, data: st.DataObject, circuit: IntegerCircuit) -> None:
        records = data.draw(records_for(circuit, 12, missing=data.draw(st.booleans())))
        assert_equal(OrtSession(circuit, quick=True).run(records), expected(circuit, records))

    @examples(usual=15, nightly=60)
    @given(data=st.data(), circuit=integer_circuits(max_variables=8, max_symbols=5))
    def test_plain_onnxruntime_and_the_onnx_reference_equal_numpy(
        self, data: st.DataObject, circuit: IntegerCircuit
    ) -> None:
        records = data.draw(records_for(circuit, 12, missing=True))
        wanted = expected(circuit, records)
        session = OrtSession(circuit)
        assert_equal(session.run(records), wanted)
        results = ReferenceEvaluator(session.model).run(None, {"symbols": records})
        assert_equal(dict(zip(wanted, results, strict=True)), wanted)

    @examples(usual=12, nightly=40)
    @given(data=st.data(), circuit=unstructured_circuits())
    def test_an_unstructured_circuit_has_a_likelihood_only(self, data: st.DataObject, circuit: Circuit) -> None:
        integers = quantize(circuit)
        session = OrtSession(integers, quick=True)
        records = data.draw(records_for(integers, 12, missing=True))
        assert_equal(session.run(records), expected(integers, records))
        assert integers.structured or [o.name for o in session.model.graph.output] == ["mantissa", "exponent"]
        assert from_onnx(session.model).digest == integers.digest

    def test_a_model_can_be_run_too(self) -> None:
        circuit = small_circuit()
        records = with_missing(circuit, 5)
        assert_equal(OrtSession(to_onnx(circuit)).run(records), expected(circuit, records))

    def test_a_missing_onnxruntime_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingToolError, match=r"^the onnxruntime rung needs .*'pcedge\[ort\]' brings it, or in"):
            OrtSession(small_circuit())

    def test_data_are_checked_first(self) -> None:
        with pytest.raises(DataError, match=r"^record 0, variable 1: a symbol must be in -1..1, got 2$"):
            OrtSession(small_circuit(), quick=True).run([[0, 2]])


class TestTrace:
    @examples(usual=20, nightly=80)
    @given(data=st.data(), circuit=integer_circuits(max_variables=6, max_states=4))
    def test_every_step_equals_the_reference(self, data: st.DataObject, circuit: IntegerCircuit) -> None:
        records = data.draw(records_for(circuit, 6, missing=True, min_records=1))
        seen: dict[str, list[Any]] = {"likelihood": [], "code": []}
        engine = ReferenceEngine(circuit)
        engine.likelihood(records, lambda index, step, result: seen["likelihood"].append((step, result)))
        engine.intervals(records, lambda index, step, result: seen["code"].append((step, result)))
        trace = OrtSession(circuit, quick=True).trace(records)
        assert list(trace) == ["likelihood", "code"]
        for name, steps in seen.items():
            assert len(trace[name]) == len(steps)
            for found, (step, (mantissa, exponent)) in zip(trace[name], steps, strict=True):
                if step.op is Op.INTERVAL:
                    assert found is None
                    continue
                assert found is not None
                np.testing.assert_array_equal(found[0], mantissa, err_msg=name_of(step))
                np.testing.assert_array_equal(found[1], exponent, err_msg=name_of(step))

    def test_placements_name_tensors_of_the_model(self) -> None:
        circuit = small_circuit()
        known = {name for node in to_onnx(circuit).graph.node for name in node.output}
        for places in placements(circuit).values():
            assert all(place.mantissa in known and place.exponent in known for place in places if place)


def describe(model: onnx.ModelProto, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the description of the circuit in a model."""
    entry = next(entry for entry in model.metadata_props if entry.key == "pcedge.circuit")
    described = json.loads(entry.value)
    change(described)
    entry.value = json.dumps(described)


def names(model: onnx.ModelProto, prefix: str) -> list[str]:
    return [tensor.name for tensor in model.graph.initializer if tensor.name.startswith(prefix)]


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def layer(index: int, **fields: Any) -> Callable[[onnx.ModelProto], None]:
    return lambda model: describe(model, lambda d: d["layers"][index].update(fields))


def blocks(name: str) -> Callable[[onnx.ModelProto], None]:
    """Let the first block have another name."""
    return lambda model: describe(model, lambda d: d["blocks"].__setitem__(0, name))


def swap_inputs(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "KeptProduct")
    node.input[0], node.input[2] = node.input[2], node.input[0]


def turn_shift(model: onnx.ModelProto) -> None:
    function = next(function for function in model.functions if function.name == "ShiftRight")
    shift = next(node for node in function.node if node.op_type == "BitShift")
    shift.attribute[0].s = b"LEFT"


#: (rule, what the message says, what is changed)
TAMPERED: list[tuple[str, str, Callable[[onnx.ModelProto], Any]]] = [
    ("onnx-metadata", "must have the metadata 'pcedge.format'", lambda m: m.ClearField("metadata_props")),
    ("onnx-metadata", "is repeated", lambda m: m.metadata_props.append(m.metadata_props[0])),
    ("onnx-version", "the format must be '2', got '1'", lambda m: metadata(m, "pcedge.format", "1")),
    ("onnx-structure", "must be JSON", lambda m: metadata(m, "pcedge.circuit", "{")),
    ("onnx-structure", "must be JSON", lambda m: metadata(m, "pcedge.circuit", "[" * 100000)),
    ("onnx-structure", "must be JSON", lambda m: metadata(m, "pcedge.circuit", "9" * 10000)),
    ("onnx-structure", "object of widths, order, blocks and layers", lambda m: metadata(m, "pcedge.circuit", "[]")),
    ("onnx-structure", "object of weight_bits", lambda m: describe(m, lambda d: d["widths"].pop("floor"))),
    ("onnx-structure", "must be an integer in", lambda m: describe(m, lambda d: d["widths"].update(floor=-1))),
    ("onnx-structure", "must be an integer in", lambda m: describe(m, lambda d: d["widths"].update(floor=True))),
    ("onnx-structure", "must be an integer in", lambda m: describe(m, lambda d: d["order"].append(10**12))),
    ("onnx-structure", "order must be a list", lambda m: describe(m, lambda d: d.update(order=3))),
    ("onnx-structure", "layers must be a list", lambda m: describe(m, lambda d: d.update(layers=[3]))),
    ("onnx-structure", "must have the keys of its kind", layer(0, kind="max")),
    ("onnx-structure", "must have the keys of its kind", layer(0, kind=[])),
    ("onnx-structure", "must have the keys of its kind", layer(0, more=1)),
    ("onnx-structure", "variable must be an integer in 0..4", layer(0, variable=10**15)),
    ("onnx-structure", "row must be an integer in 0..0", layer(0, block=[0, 1])),
    ("onnx-structure", "block must be an integer in 0..", layer(0, block=[99, 0])),
    ("onnx-structure", "block must be a number in the list of blocks and a row, got 3", layer(0, block=3)),
    ("onnx-structure", "blocks must be a list of names", lambda m: describe(m, lambda d: d.update(blocks=[3]))),
    ("onnx-structure", "must be an integer in 0..3", layer(4, children=[4])),
    ("onnx-structure", "children must be a list", layer(4, children="3")),
    ("onnx-structure", "must name three initializers", layer(2, lists=["weights"])),
    ("onnx-structure", "children of one number of units", lambda m: describe(m, lambda d: d["layers"].__setitem__(
        3, {"kind": "product", "children": [0, 2]}))),
    ("onnx-parameters", "the coding order must name each", lambda m: describe(m, lambda d: d.update(order=[0, 0]))),
    ("onnx-parameters", "weight_bits must be in 2..16", lambda m: describe(
        m, lambda d: d["widths"].update(weight_bits=17))),
    ("onnx-parameters", "unit 0 must sum to 256, got 257", lambda m: replace(m, "weights_1x4", put((0, 0, 0), 65))),
    ("onnx-parameters", "must never fall", lambda m: replace(m, "tables_4", put((1, 0), 5000))),
    ("onnx-parameters", "columns must be in 0..2", lambda m: replace(m, lists_of(m)[1], put((1,), 3))),
    ("onnx-parameters", "gather names 9", lambda m: replace(m, "gathers_4x2", put((0, 0, 0), 9))),
    ("onnx-digest", "the digest must be that of the circuit", lambda m: metadata(m, "pcedge.digest", "00" * 32)),
    ("onnx-digest", "the digest must be that of the circuit", lambda m: replace(
        m, "weights_1x4", lambda a: np.array([[[63, 65, 64, 64]]], np.uint16))),
    ("onnx-initializers", "it names an external file", external),
    ("onnx-initializers", "must be whole and uint8", lambda m: replace(m, "weights", lambda a: a.astype(np.float32))),
    ("onnx-initializers", "must be whole and uint8", lambda m: replace(m, "weights", lambda a: np.array(["x", "y"]))),
    ("onnx-initializers", "must hold as many integers", lambda m: m.graph.initializer[0].dims.__setitem__(0, 2**40)),
    ("onnx-initializers", "no empty dimension", lambda m: m.graph.initializer[0].dims.__setitem__(0, 0)),
    ("onnx-initializers", "no empty dimension", lambda m: m.graph.initializer[0].dims.__setitem__(0, -1)),
    ("onnx-initializers", "is repeated", lambda m: m.graph.initializer.append(m.graph.initializer[0])),
    ("onnx-initializers", "must name an initializer, got 'nothing'", blocks("nothing")),
    ("onnx-initializers", "must have 2 dimensions, got 1", blocks("weights")),
    ("onnx-initializers", "must have 3 dimensions, got 2", layer(3, block=[0, 0])),
    ("onnx-initializers", "the tables of its units must be in 0..", lambda m: replace(
        m, "states_4x3", put((0, 0), 99))),
    ("onnx-initializers", "starts must ascend within", lambda m: replace(m, lists_of(m)[2], put((0, 1), 9))),
    ("onnx-initializers", "starts must ascend within", lambda m: replace(m, lists_of(m)[2], put((0, 2), 2**30))),
    ("onnx-initializers", "entries must be in 0..2", lambda m: replace(m, lists_of(m)[0], put((0,), -1))),
    ("onnx-initializers", "missing or too many", lambda m: m.graph.initializer.append(
        numpy_helper.from_array(np.zeros(1, np.int64), "more"))),
    ("onnx-initializers", "'weights_1x4' must hold what the circuit says", lambda m: replace(
        m, "weights_1x4", lambda a: a.astype(np.int32))),
    ("onnx-initializers", "must hold what the circuit says", lambda m: replace(
        m, names(m, "i")[-1], lambda a: a + 1)),
    ("onnx-opset", "must have IR version 10 and import", lambda m: setattr(m.opset_import[0], "version", 22)),
    ("onnx-opset", "must have IR version 10 and import", lambda m: setattr(m, "ir_version", 9)),
    ("onnx-interface", "the inputs must be symbols", lambda m: m.graph.input.append(m.graph.input[0])),
    ("onnx-interface", "the outputs must be mantissa, exponent, lo, hi", lambda m: m.graph.output.pop()),
    ("onnx-functions", "'ShiftRight' differs", turn_shift),
    ("onnx-functions", "got", lambda m: m.functions.append(m.functions[0])),
    ("onnx-graph", "KeptProduct 'L", swap_inputs),
    ("onnx-graph", "nodes, got", lambda m: m.graph.node.append(helper.make_node("Identity", ["lo"], ["more"]))),
    ("onnx-graph", "no training information", lambda m: m.training_info.add()),
]  # fmt: skip


def lists_of(model: onnx.ModelProto) -> list[str]:
    """Name the initializers of the sparse sum's lists."""
    entry = next(entry for entry in model.metadata_props if entry.key == "pcedge.circuit")
    return list(json.loads(entry.value)["layers"][2]["lists"])


class TestNotes:
    """What stands beside the circuit in a file: its constant is protected, texts for people are free."""

    @pytest.mark.parametrize("version", ["2", "3"])
    def test_a_damaged_constant_is_refused(self, version: str) -> None:
        circuit = replace_constant(small_circuit(), -1.25)
        whole = to_onnx(circuit, version=version).SerializeToString(deterministic=True)
        assert read_onnx(whole).log_constant == -1.25
        for old, new in (
            (b"-1.25", b"-9.25"),
            (b"log_constant", b"log_konstant"),
            (b"log_constant_d", b"log_constant_e"),
        ):
            assert old in whole
            with pytest.raises(FormatError, match=r"^onnx-constant: the digest of the log constant must be "):
                read_onnx(whole.replace(old, new, 1))

    @pytest.mark.parametrize("version", ["2", "3"])
    def test_shapes_and_texts_of_other_tools_are_free(self, version: str) -> None:
        circuit = small_circuit()
        model = onnx.shape_inference.infer_shapes(to_onnx(circuit, version=version))
        assert model.graph.value_info
        model.functions[0].value_info.add(name="x")
        for node in model.graph.node:
            node.doc_string = "a text"
            for attribute in node.attribute:
                attribute.doc_string = "a text"
                if attribute.HasField("g"):
                    attribute.g.name = attribute.g.doc_string = attribute.g.node[0].doc_string = "a text"
        assert from_onnx(model).digest == circuit.digest


class TestRules:
    @pytest.mark.parametrize(("rule", "text", "change"), TAMPERED)
    def test_a_changed_file_is_refused(
        self, tmp_path: Path, rule: str, text: str, change: Callable[[onnx.ModelProto], Any]
    ) -> None:
        model = to_onnx(small_circuit())
        change(model)
        assert_refused(tmp_path, model, rule, text)

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"no model at all")
        with pytest.raises(FormatError, match=r"^onnx-container: .* must be an ONNX file"):
            read_onnx(tmp_path / "model.onnx")

    def test_sizes_are_bounded(self) -> None:
        with pytest.raises(FormatError, match=r"^onnx-size: a circuit must have at most 268435456 parameters"):
            check_size(parameters=2**28 + 1)

    def test_every_rule_is_on_the_page(self) -> None:
        page = (ROOT / "docs/onnx.md").read_text(encoding="utf-8")
        sources = "".join(
            path.read_text(encoding="utf-8") for path in Path(pcedge.export.onnx.__file__).parent.glob("*.py")
        )
        rules = set(re.findall(r'"(onnx-[a-z]+)"', sources))
        assert {rule for rule, _, _ in TAMPERED} <= rules
        for rule in rules:
            assert f"`{rule}`" in page

    def test_damaged_bytes_never_change_the_circuit_silently(self, tmp_path: Path) -> None:
        circuit = small_circuit()
        refuse_damage(tmp_path, circuit, to_onnx(circuit).SerializeToString(deterministic=True))
