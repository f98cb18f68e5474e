"""Needed widths: no number of any record is wider, the ranges are reached, and files and C++ hold them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import configs, integer_circuits, unstructured_circuits

from pcedge import arithmetic
from pcedge.arrays import IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, ToolError, UsageError
from pcedge.export import from_onnx, read_onnx, to_onnx, write_onnx
from pcedge.export.engine.project import write_project
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule import ranges
from pcedge.schedule.program import Program
from pcedge.schedule.ranges import analyse, declared_widths
from pcedge.schedule.steps import Op, Schedule
from pcedge.simulate.csim import Csim


def all_records(circuit: IntegerCircuit, most: int = 3000) -> IntArray:
    """List every record, with every symbol missing or not; of many some."""
    symbols = [range(-1, count) for count in circuit.cardinalities]
    count = int(np.prod([len(s) for s in symbols], dtype=np.float64))
    if count <= most:
        return np.array(list(itertools.product(*symbols)), dtype=np.int64)
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(-1, n, most) for n in circuit.cardinalities], axis=1)


class Watch:
    """Keep the widest number of every signal while the reference runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, circuit: IntegerCircuit) -> None:
        self.widest = dict.fromkeys(declared_widths(circuit), 0)
        self.circuit = circuit
        for name in ("normalise", "interval_scale", "interval_bound"):
            monkeypatch.setattr(arithmetic, name, self.around(name, getattr(arithmetic, name)))

    def see(self, name: str, values: IntArray) -> None:
        self.widest[name] = max(self.widest[name], int(np.max(values, initial=0)).bit_length())

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*operands: Any) -> Any:
            result = function(*operands)
            if name == "normalise":
                self.see("accumulator", operands[0])
                self.see("state", result[0])
                least, most = int(result[1].min()), int(result[1].max())
                bits = 1 + max(max(most, 0).bit_length(), (-least - 1).bit_length() if least < 0 else 0)
                self.widest["exponent"] = max(self.widest["exponent"], bits)
            elif name == "interval_scale":
                self.see("context_sum", operands[0].sum(axis=0))
                self.see("scale", result[1])
            else:
                weighted, _, amount, scale, widths = operands
                self.see("weighted", weighted)
                shifted = arithmetic.shift(weighted, amount)
                self.see("bound_input", shifted)
                self.see("bound_product", shifted * scale)
                assert widths is self.circuit.widths
            return result

        return watched


def assert_within(circuit: IntegerCircuit, schedule: Schedule, records: IntArray, run: Callable[..., Any]) -> None:
    """Compare every value of every record with its ranges."""
    state = ranges._Analysis(circuit, {}, schedule.keep)
    spans = []
    for step in schedule.steps:
        state.run(step)
        spans.append(None if step.op is Op.INTERVAL else state.spans[step.target])

    def observe(index: int, step: object, result: tuple[IntArray, IntArray]) -> None:
        span, (mantissa, exponent) = spans[index], result
        if span is None:
            return
        assert (mantissa >= span.low[:, None]).all() and (mantissa <= span.high[:, None]).all(), step
        assert exponent.min() >= span.exponents[0] and exponent.max() <= span.exponents[1], step
        assert mantissa.max(axis=0).min() >= span.top, step

    run(records, observe)


@settings(max_examples=60, deadline=None)
@given(circuit=integer_circuits(max_variables=5, max_states=4, max_symbols=3))
def test_no_number_is_wider_than_needed(circuit: IntegerCircuit) -> None:
    needed, records = Program.of(circuit).needed, all_records(circuit)
    with pytest.MonkeyPatch.context() as monkeypatch:
        watch = Watch(monkeypatch, circuit)
        engine = ReferenceEngine(circuit)
        engine.likelihood(records)
        for shifted in (records, np.where(records < 0, 0, records)):
            engine.intervals(shifted)
    for name, bits in watch.widest.items():
        assert bits <= needed[name] <= declared_widths(circuit)[name], name
    assert_within(circuit, engine.program.likelihood, records, engine.likelihood)
    assert_within(circuit, engine.program.code, records, engine.intervals)


@settings(max_examples=20, deadline=None)
@given(circuit=unstructured_circuits(max_variables=5, max_states=3), config=configs())
def test_circuits_without_a_tree_have_bounds_too(circuit: Circuit, config: QuantizationConfig) -> None:
    integers = quantize(circuit, config)
    needed, records = Program.of(integers).needed, all_records(integers, 300)
    with pytest.MonkeyPatch.context() as monkeypatch:
        watch = Watch(monkeypatch, integers)
        ReferenceEngine(integers).intervals(records)
    assert all(bits <= needed[name] for name, bits in watch.widest.items())


def spread(weight_bits: int, states: int = 4) -> IntegerCircuit:
    """Make two variables below rows that all point at one state: its column holds every row's whole sum."""
    certain = np.eye(states)[np.zeros(states, dtype=int)]
    same = np.repeat(np.arange(states)[:, None], 2, axis=1)
    layers = (
        InputLayer(0, np.full((states, 2), 0.5)), InputLayer(1, np.full((states, 2), 0.5)), SumLayer((1,), certain),
        ProductLayer((0, 2), same), SumLayer((3,), np.full((1, states), 1 / states)),
    )  # fmt: skip
    return quantize(Circuit(layers), QuantizationConfig(weight_bits, 8, 12))


@pytest.mark.parametrize("weight_bits", [4, 8, 16])
def test_designed_circuits_reach_the_bound(weight_bits: int) -> None:
    circuit = spread(weight_bits)
    needed = Program.of(circuit).needed
    with pytest.MonkeyPatch.context() as monkeypatch:
        watch = Watch(monkeypatch, circuit)
        engine = ReferenceEngine(circuit)
        engine.likelihood(all_records(circuit))
        engine.intervals(all_records(circuit))
    # Four contexts of 2^(A-1) reach one column: 2^(W+A+1); the bound allows mantissas just below 2^A.
    assert (needed["accumulator"], watch.widest["accumulator"]) == (
        max(weight_bits + 14, 23),
        max(weight_bits + 14, 23),
    )
    assert needed["weight"] == declared_widths(circuit)["weight"]
    assert needed["context_sum"] - watch.widest["context_sum"] in (0, 1)
    assert needed["weighted"] - watch.widest["weighted"] in (0, 1)


def test_narrow_circuits_need_less_than_declared() -> None:
    # 64 leaves of which the root uses two: the declared sum of a context has room for 64 terms.
    weights = np.zeros((1, 64))
    weights[0, :2] = 0.5
    leaves = InputLayer(0, np.random.default_rng(0).dirichlet(np.ones(4), 64))
    circuit = quantize(Circuit((leaves, SumLayer((0,), weights))))
    needed, declared = Program.of(circuit).needed, declared_widths(circuit)
    assert (needed["context_sum"], declared["context_sum"]) == (17, 22)
    assert (needed["weight"], declared["weight"]) == (8, 9)
    assert needed["exponent"] < declared["exponent"]


def test_a_large_circuit_takes_about_a_second() -> None:
    states, variables = 16, 784
    rng = np.random.default_rng(0)
    same = np.repeat(np.arange(states)[:, None], 2, axis=1)
    table, weights = rng.dirichlet(np.ones(256), states), rng.dirichlet(np.ones(states), states)
    layers: list[Any] = [InputLayer(0, table)]
    for variable in range(1, variables):
        layers += [SumLayer((len(layers) - 1,), weights), InputLayer(variable, table)]
        layers.append(ProductLayer((len(layers) - 1, len(layers) - 2), same))
    layers.append(SumLayer((len(layers) - 1,), weights[:1]))
    circuit = quantize(Circuit(tuple(layers)))
    assert circuit.structured
    start = time.process_time()
    _ = Program.of(circuit).needed
    assert time.process_time() - start < 5  # about 1 s on an idle core


class TestFiles:
    def test_the_file_holds_them(self, tmp_path: Path) -> None:
        circuit = spread(8)
        model = to_onnx(circuit)
        held = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(held["pcedge.needed"]) == Program.of(circuit).needed
        write_onnx(circuit, tmp_path / "m.onnx")
        assert read_onnx(tmp_path / "m.onnx").digest == circuit.digest

    def test_an_older_file_has_none(self) -> None:
        model = to_onnx(spread(8))
        kept = [entry for entry in model.metadata_props if entry.key != "pcedge.needed"]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        assert from_onnx(model).digest == spread(8).digest

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", r"^onnx-needed: the needed widths must be JSON \("),
            (
                "[]",
                r"^onnx-needed: the needed widths must be an object of weight, leaf, state, accumulator, .*exponent$",
            ),
            ("{}", r"^onnx-needed: the needed widths must be an object of weight, "),
            ("less", r"^onnx-needed: the needed width of accumulator must be 23, got 22$"),
            ("true", r"^onnx-needed: the needed width of weight must be 9, got True$"),
        ],
    )
    def test_a_wrong_entry_is_refused(self, text: str, message: str) -> None:
        model = to_onnx(spread(8))
        entry = next(entry for entry in model.metadata_props if entry.key == "pcedge.needed")
        held = json.loads(entry.value)
        changed = {"less": held | {"accumulator": held["accumulator"] - 1}, "true": held | {"weight": True}}
        entry.value = json.dumps(changed[text]) if text in changed else text
        with pytest.raises(FormatError, match=message) as caught:
            from_onnx(model)
        assert caught.value.rule == "onnx-needed"

    def test_notes_are_free_and_no_part_of_the_digest(self, tmp_path: Path) -> None:
        circuit = spread(8)
        write_onnx(circuit, tmp_path / "m.onnx", {"author": "me"})
        assert read_onnx(tmp_path / "m.onnx").digest == circuit.digest
        with pytest.raises(
            UsageError, match=r"^a note must have a name that the format does not use, got 'pcedge.needed'$"
        ):
            to_onnx(circuit, {"pcedge.needed": "{}"})


@pytest.mark.csim
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("accumulator_bits", 24, "the accumulator can overflow"),
        ("needed_weighted_bits", 60, "a weighted entry can over"),
    ],
)
def test_a_tampered_width_does_not_compile(name: str, value: int, message: str, tmp_path: Path) -> None:
    folder = write_project(spread(16), tmp_path / "project")
    path = folder / "src/pcedge_config.hpp"
    lines = path.read_text().splitlines(keepends=True)
    place = next(index for index, line in enumerate(lines) if f" {name} = " in line)
    assert int(lines[place].split("=")[1].strip(" ;\n")) != value
    lines[place] = f"  static constexpr int {name} = {value};\n"
    path.write_text("".join(lines))
    with pytest.raises(ToolError, match=message):
        Csim(folder).compile()


@pytest.mark.csim
def test_the_generated_widths_compile(tmp_path: Path) -> None:
    folder = write_project(spread(16), tmp_path / "project")
    text = (folder / "src/pcedge_config.hpp").read_text()
    for name, bits in Program.of(spread(16)).needed.items():
        assert f"  static constexpr int needed_{name}_bits = {bits};\n" in text
    Csim(folder).compile()


def test_schedules_are_analysed_apart() -> None:
    circuit = spread(8)
    found = [analyse(circuit, s) for s in (Program.of(circuit).likelihood, Program.of(circuit).code)]
    assert (found[0].context_sum, found[0].accumulator) == (0, 1 << 22)
    assert found[1].context_sum > 0
