"""Format 3 of ONNX files: deep and large circuits, which loop over their steps (docs/onnx.md, section Loops)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from strategies import integer_circuits, records_for, unstructured_circuits

from pcedge.circuit import Circuit
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, ToolError
from pcedge.export import from_onnx, read_onnx, to_onnx, write_onnx
from pcedge.export.onnx.loop import COLUMNS, allocate
from pcedge.export.onnx.loop_graph import FIELDS
from pcedge.export.onnx.metadata import DEEP, LARGE, format_of
from pcedge.integer import IntegerCircuit
from pcedge.learn.structures import balanced_binary_tree
from pcedge.learn.structures import chain as hidden_chain
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.schedules import code_schedule, likelihood_schedule
from pcedge.schedule.steps import Interval
from pcedge.schedule.steps import describe as name_of
from pcedge.schedule.tables import Table, likelihood_table
from pcedge.schedule.walk import code_table
from pcedge.simulate.ort import OrtSession
from pcedge.verify.ladder import verify


def loop(circuit: IntegerCircuit) -> onnx.ModelProto:
    return to_onnx(circuit, version="3")


class TestChoice:
    @pytest.mark.parametrize(("variables", "version"), [(DEEP // 2 - 1, "2"), (DEEP // 2 + 1, "3")])
    def test_a_deep_circuit_loops(self, variables: int, version: str) -> None:
        assert format_of(quantize(hidden_chain(range(variables), [2] * variables, 2))) == version

    @pytest.mark.parametrize(("variables", "version"), [(LARGE // 8, "2"), (LARGE // 2, "3")])
    def test_a_large_circuit_loops(self, variables: int, version: str) -> None:
        assert format_of(quantize(balanced_binary_tree(range(variables), [2] * variables, 2))) == version

    def test_another_format_is_refused(self) -> None:
        model = loop(small_circuit())
        metadata(model, "pcedge.format", "6")
        with pytest.raises(FormatError, match=r"^onnx-version: the format must be '2', got '6'; that of deep"):
            from_onnx(model)


class TestRoundTrip:
    @given(circuit=integer_circuits())
    def test_nothing_is_lost(self, circuit: IntegerCircuit) -> None:
        read = from_onnx(loop(circuit))
        assert read.digest == circuit.digest
        assert (read.order, read.widths) == (circuit.order, circuit.widths)
        assert [(s.kind, s.units, s.children) for s in read.shapes] == [
            (s.kind, s.units, s.children) for s in circuit.shapes
        ]

    @settings(max_examples=10)
    @given(circuit=integer_circuits())
    def test_the_checker_passes(self, circuit: IntegerCircuit) -> None:
        onnx.checker.check_model(loop(circuit), full_check=True)

    def test_nested_tables_and_the_constant_stay(self) -> None:
        layers = hidden_chain(range(5), [4] * 5, 2).layers
        circuit = quantize(Circuit(layers, log_constant=-2.5), QuantizationConfig(leaf_masters=2))
        read = from_onnx(loop(circuit))
        assert (read.digest, read.log_constant) == (circuit.digest, -2.5)
        assert [len(nested.masters) for nested in read.nested] == [len(nested.masters) for nested in circuit.nested]

    def test_the_same_circuit_gives_the_same_bytes(self, tmp_path: Path) -> None:
        circuit = quantize(hidden_chain(range(DEEP), [2] * DEEP, 2))
        write_onnx(circuit, tmp_path / "a")
        write_onnx(read_onnx(tmp_path / "a"), tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_few_nodes_however_deep(self) -> None:
        counts = {len(loop(quantize(hidden_chain(range(n), [2] * n, 2))).graph.node) for n in (10, 1000)}
        assert len(counts) == 1 and counts.pop() < 40


class TestEquality:
    @pytest.mark.parametrize("make", [small_circuit, chain])
    def test_every_runtime_gives_the_reference(self, make: Callable[[], IntegerCircuit]) -> None:
        circuit = make()
        for quick in (False, True):
            session = OrtSession(loop(circuit), quick=quick)
            for count in (0, 1, 50):
                records = with_missing(circuit, count)
                assert_equal(session.run(records), expected(circuit, records))
                assert_equal(session.run(records, batch=7), expected(circuit, records))
        results = ReferenceEvaluator(session.model).run(None, {"symbols": records})
        assert_equal(dict(zip(expected(circuit, records), results, strict=True)), expected(circuit, records))

    @examples(usual=20, nightly=80)
    @given(data=st.data(), circuit=integer_circuits(max_variables=6, max_states=4, max_symbols=4))
    def test_onnxruntime_equals_numpy(self, data: st.DataObject, circuit: IntegerCircuit) -> None:
        records = data.draw(records_for(circuit, 12, missing=data.draw(st.booleans())))
        assert_equal(OrtSession(loop(circuit), quick=True).run(records), expected(circuit, records))

    @settings(max_examples=20)
    @given(data=st.data(), circuit=unstructured_circuits())
    def test_an_unstructured_circuit_has_a_likelihood_only(self, data: st.DataObject, circuit: Circuit) -> None:
        integers = quantize(circuit)
        session = OrtSession(loop(integers), quick=True)
        records = data.draw(records_for(integers, 12, missing=True))
        assert_equal(session.run(records), expected(integers, records))

    def test_a_deep_circuit(self) -> None:
        circuit = quantize(hidden_chain(range(DEEP), [3] * DEEP, 2))
        records = with_missing(circuit, 9)
        session = OrtSession(circuit)
        assert session.loops
        assert_equal(session.run(records), expected(circuit, records))

    @examples(usual=20, nightly=80)
    @given(data=st.data(), circuit=integer_circuits(max_variables=6, max_states=4))
    def test_every_step_equals_the_reference(self, data: st.DataObject, circuit: IntegerCircuit) -> None:
        records = data.draw(records_for(circuit, 6, missing=True, min_records=1))
        seen: dict[str, list[Any]] = {"likelihood": [], "code": []}
        engine = ReferenceEngine(circuit)
        engine.likelihood(records, lambda index, step, result: seen["likelihood"].append((step, result)))
        engine.intervals(records, lambda index, step, result: seen["code"].append((step, result)))
        trace = OrtSession(loop(circuit), quick=True).trace(records)
        for name, steps in seen.items():
            for found, (step, (mantissa, exponent)) in zip(trace[name], steps, strict=True):
                if isinstance(step, Interval):
                    assert found is None
                    continue
                assert found is not None
                np.testing.assert_array_equal(found[0], mantissa, err_msg=name_of(step))
                np.testing.assert_array_equal(found[1], exponent, err_msg=name_of(step))


class TestMemory:
    @given(circuit=integer_circuits())
    def test_no_value_is_overwritten_while_it_is_read(self, circuit: IntegerCircuit) -> None:
        for table, schedule in (
            (likelihood_table(circuit), likelihood_schedule(circuit)),
            (code_table(circuit), code_schedule(circuit)),
        ):
            memory = allocate(table)
            held: dict[int, int] = {}
            for step in schedule.steps:
                for source in step.sources:
                    for cell in range(source.offset, source.offset + source.units):
                        assert held[int(memory.address[source.value]) + cell] == source.value
                if not isinstance(step, Interval):
                    first = int(memory.address[step.target])
                    assert first + step.units <= memory.size
                    held |= dict.fromkeys(range(first, first + step.units), step.target)

    @pytest.mark.parametrize("make", [hidden_chain, balanced_binary_tree])
    def test_a_deep_schedule_needs_little(self, make: Callable[..., Circuit]) -> None:
        def sizes(variables: int) -> list[int]:
            circuit = quantize(make(range(variables), [2] * variables, 2))
            tables: list[Table] = [likelihood_table(circuit, by_regions=True)]
            return [allocate(table).size for table in tables]

        # A chain needs the same for any length, a tree some more for each level.
        assert sizes(4096)[0] <= sizes(256)[0] + 4 * 2 * 4


def column(name: str, row: int, value: int) -> Callable[[onnx.ModelProto], Any]:
    return lambda model: replace(model, "layers", put((row, COLUMNS.index(name)), value))


def field(row: int, name: str) -> Callable[[onnx.ModelProto], Any]:
    def change(array: Any) -> Any:
        array[row, FIELDS.index(name)] += 1
        return array

    return lambda model: replace(model, "likelihood", change)


def drop(name: str) -> Callable[[onnx.ModelProto], Any]:
    def change(model: onnx.ModelProto) -> None:
        place = next(place for place, tensor in enumerate(model.graph.initializer) if tensor.name == name)
        del model.graph.initializer[place]

    return change


#: (rule, what the message says, what is changed)
TAMPERED: list[tuple[str, str, Callable[[onnx.ModelProto], Any]]] = [
    ("onnx-structure", "the description must be an object of widths", lambda m: metadata(m, "pcedge.circuit", "[]")),
    ("onnx-needed", "must not say needed widths", lambda m: m.metadata_props.add(key="pcedge.needed", value="{}")),
    ("onnx-initializers", "a model of format 3 must have the initializer 'edges'", drop("edges")),
    ("onnx-initializers", "'order' must have 1 dimensions, got 2", lambda m: replace(m, "order", lambda a: a[None])),
    ("onnx-structure", "layers must have 8 columns and edges 2", lambda m: replace(m, "layers", lambda a: a[:, :7])),
    ("onnx-structure", "kind of a layer must be in 0..3, got 4", column("kind", 0, 4)),
    ("onnx-structure", "units of a layer must be in 1..2147483647, got 0", column("units", 0, 0)),
    ("onnx-structure", "children of a layer must be in", column("children", 4, -1)),
    ("onnx-structure", "as many children as there are edges", column("children", 0, 1)),
    ("onnx-structure", "variable of a layer must be in 0..4, got 99", column("variable", 0, 99)),
    ("onnx-structure", "symbols of a layer must be in 1..", column("symbols", 0, 0)),
    ("onnx-structure", "data of a layer must be in", column("data", 0, -5)),
    ("onnx-structure", "must name only earlier layers", lambda m: replace(m, "edges", put((0, 0), 4))),
    ("onnx-structure", "a gather list must begin in the positions", lambda m: replace(m, "edges", put((1, 1), -1))),
    ("onnx-structure", "a leaf table must begin in the tables", lambda m: replace(m, "states", put((0,), -1))),
    ("onnx-initializers", "'tables' must hold what layers and edges name", lambda m: replace(
        m, "states", put((0,), 999))),
    ("onnx-initializers", "'states' must hold what layers and edges name", column("data", 0, 999)),
    ("onnx-initializers", "'weights' must hold what layers and edges name", column("data", 4, 999)),
    ("onnx-initializers", "'positions' must hold what layers and edges name", column("sources", 2, 999)),
    ("onnx-initializers", "'positions' must hold what layers and edges name", lambda m: replace(
        m, "edges", put((1, 1), 999))),
    ("onnx-size", "a circuit must have at most", column("symbols", 0, 2**31 - 1)),
    ("onnx-parameters", "the coding order must name each", lambda m: replace(m, "order", put((0,), 1))),
    ("onnx-parameters", "must sum to 256", lambda m: replace(m, "weights", put((-1,), 65))),
    ("onnx-digest", "the digest must be that of the circuit", lambda m: metadata(m, "pcedge.digest", "00" * 32)),
    *(("onnx-initializers", "'likelihood' must hold what the circuit says", field(3, name)) for name in FIELDS),
    ("onnx-initializers", "'intervals' must hold what the circuit says", lambda m: replace(
        m, "intervals", lambda a: a[::-1])),
    ("onnx-initializers", "missing or too many", lambda m: m.graph.initializer.append(
        numpy_helper.from_array(np.zeros(1, np.int64), "more"))),
    ("onnx-graph", "it differs", lambda m: m.graph.node[0].attribute[0].ints.reverse()),
]  # fmt: skip


class TestRules:
    @pytest.mark.parametrize(("rule", "text", "change"), TAMPERED)
    def test_a_changed_file_is_refused(
        self, tmp_path: Path, rule: str, text: str, change: Callable[[onnx.ModelProto], Any]
    ) -> None:
        model = loop(small_circuit())
        change(model)
        assert_refused(tmp_path, model, rule, text)

    def test_damaged_bytes_never_change_the_circuit_silently(self, tmp_path: Path) -> None:
        circuit = small_circuit()
        refuse_damage(tmp_path, circuit, loop(circuit).SerializeToString(deterministic=True))


class TestParts:
    """The rung of onnxruntime loads and runs a model part after part."""

    @pytest.mark.parametrize("nodes", [1, 7])
    def test_parts_give_the_same(self, monkeypatch: pytest.MonkeyPatch, nodes: int) -> None:
        monkeypatch.setattr("pcedge.simulate.ort.PART_NODES", nodes)
        for circuit in (small_circuit(), chain()):
            told: list[tuple[int, int]] = []
            session = OrtSession(circuit, progress=lambda done, total, told=told: told.append((done, total)))  # type: ignore[misc]
            assert len(told) > 1 and told[-1][0] == told[-1][1] == len(told)
            records = with_missing(circuit, 20)
            assert_equal(session.run(records, batch=7), expected(circuit, records))
            assert told[-3:] == [(7, 20), (14, 20), (20, 20)]
            assert len(session.trace(records)["code"]) == len(code_schedule(circuit).steps)

    def test_a_limit_of_time_says_what_to_do(self) -> None:
        with pytest.raises(ToolError, match=r"^the onnxruntime rung must end within 1e-09 s, it had loaded 0 of"):
            verify(small_circuit(), with_missing(small_circuit(), 3), rungs=("ort",), ort_seconds=1e-9)

    def test_a_run_ends_at_the_limit(self) -> None:
        circuit = quantize(hidden_chain(range(2 * DEEP), [2] * (2 * DEEP), 2))
        session = OrtSession(circuit, seconds=4)
        begin = time.monotonic()
        with pytest.raises(ToolError, match=r"^the onnxruntime rung must end within 4 s, .*give it more time"):
            while True:
                session.run(with_missing(circuit, 128))
        assert time.monotonic() - begin < 30

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_a_signal_ends_it_at_once(self, tmp_path: Path, number: int, code: int) -> None:
        circuit = quantize(hidden_chain(range(4 * DEEP), [2] * (4 * DEEP), 2))
        write_onnx(circuit, tmp_path / "deep.onnx")
        np.save(tmp_path / "x.npy", with_missing(circuit, 1024))
        program = [sys.executable, "-m", "pcedge", "verify", "deep.onnx", "--data", "x.npy", "--rungs", "ort"]
        with subprocess.Popen(
            program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"COLUMNS": "80"}
        ) as child:
            assert child.stderr is not None
            assert b"onnxruntime" in child.stderr.readline()
            time.sleep(3)
            child.send_signal(number)
            begin = time.monotonic()
            rest = child.communicate(timeout=60)[1]
        assert time.monotonic() - begin < 20
        assert child.returncode == code, rest


class TestScale:
    """Time grows with the circuit and no faster; figures of 100,000 variables are in docs/results.md."""

    @pytest.mark.parametrize("make", [hidden_chain, balanced_binary_tree])
    def test_ten_thousand_variables(self, make: Callable[..., Circuit]) -> None:
        circuit = make(range(10_000), [2] * 10_000, 2)
        begin = time.process_time()
        integers = quantize(circuit)
        assert from_onnx(to_onnx(integers)).digest == integers.digest
        # About 2 s; what was quadratic took minutes.
        assert time.process_time() - begin < 20
