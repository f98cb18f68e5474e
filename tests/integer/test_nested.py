"""Nested leaf tables: shifts and scales of masters, in numpy, ONNX and C++, fitted, refined, refused; the option."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from onnx import numpy_helper

from pcedge.arithmetic import nested_tables
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit
from pcedge.cli import group
from pcedge.compress import expected_flows, share_leaves
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.evaluate import statistics
from pcedge.export import read_onnx
from pcedge.export.onnx.reader import from_onnx
from pcedge.export.onnx.writer import to_onnx
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, RefineConfig, nest, quantize, refine
from pcedge.verify import verify

CONFIG = QuantizationConfig(8, 10, 16, leaf_masters=8)


@pytest.fixture(scope="module")
def digits():
    splits = load_data("digits")
    return tuple(part.reshape(len(part), -1).astype(np.int64) for part in (splits.train, splits.test))


@pytest.fixture(scope="module")
def shared(digits) -> Circuit:
    circuit = load_circuit("digits")
    return share_leaves(circuit, expected_flows(circuit, digits[0]), tables=100)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(8, 16))
def test_any_shift_and_scale_makes_a_table(seed: int, symbols: int, leaf_bits: int) -> None:
    rng, whole = np.random.default_rng(seed), 1 << leaf_bits
    masters = np.sort(rng.integers(0, whole + 1, (3, symbols + 1)), axis=1)
    masters[:, 0], masters[:, -1] = 0, whole
    shift = rng.integers(0, whole + 1, 20)
    scale = rng.integers(0, whole + 1 - shift)
    number = rng.integers(0, 3, 20)
    tables = nested_tables(masters, number, shift, scale, leaf_bits)
    assert (np.diff(tables, axis=1) >= 0).all() and (tables[:, 0] == 0).all() and (tables[:, -1] == whole).all()
    for row, (m, b, a) in zip(tables.tolist(), zip(number, shift, scale, strict=True), strict=True):
        assert row[1:-1] == [int(b) + (int(a) * int(c) >> leaf_bits) for c in masters[m, 1:-1]]


def test_finds_what_was_nested() -> None:
    shapes = np.array([[8, 4, 2, 2], [1, 1, 6, 8]]) / 16
    shares = np.array([[4, 8, 4], [0, 16, 0], [2, 2, 12], [16, 0, 0]]) / 16
    tables = np.concatenate([[[b, *(a * shape), c] for b, a, c in shares] for shape in shapes])
    nested, leaves = nest(tables, masters=2, leaf_bits=8)
    assert len(nested.masters) == 2
    assert_array_equal(np.diff(leaves, axis=1), tables * 256)
    # Both shapes with no share make one table.
    assert len(nested.parts) == 7 and nested.symbols == 6
    assert len(nest(tables, masters=1, leaf_bits=8)[0].masters) == 1


def test_costs_little_and_is_stored_small(shared: Circuit, digits) -> None:
    plain, nested = (quantize(shared, replace(CONFIG, leaf_masters=masters)) for masters in (None, 16))
    assert [len(tables.masters) for tables in nested.nested] == [16] and not plain.nested
    sizes = [lower(circuit).memory_bits()["tables"] for circuit in (plain, nested)]
    assert sizes[1] < sizes[0] / 3
    losses = [statistics(shared, ReferenceEngine(circuit), digits[1]).loss for circuit in (plain, nested)]
    assert losses[1] < losses[0] + 0.02


def test_a_form_of_storing_and_no_part_of_the_meaning(shared: Circuit) -> None:
    nested = quantize(shared, CONFIG)
    plain = replace(nested, nested=())
    assert plain.digest == nested.digest
    again = from_onnx(to_onnx(nested))
    for one, other in zip(again.nested, nested.nested, strict=True):
        assert_array_equal(one.masters, other.masters)
        assert_array_equal(one.parts, other.parts)
    assert not from_onnx(to_onnx(plain)).nested
    assert len(to_onnx(nested).SerializeToString()) < len(to_onnx(plain).SerializeToString())


def mixed() -> IntegerCircuit:
    """Make a circuit with tables of 2, 3, 5 and 9 symbols."""
    rng = np.random.default_rng(3)
    sizes = (5, 2, 9, 3, 5)
    layers: list[object] = [InputLayer(v, rng.dirichlet(np.ones(size), 3)) for v, size in enumerate(sizes)]
    layers.append(ProductLayer(tuple(range(5)), np.repeat(np.arange(3)[:, None], 5, axis=1)))
    layers.append(SumLayer((5,), np.array([[0.25, 0.5, 0.25]])))
    return quantize(Circuit(tuple(layers)), QuantizationConfig(6, 9, 12, leaf_masters=2))  # type: ignore[arg-type]


@pytest.mark.csim
def test_every_rung_says_the_same(digits, shared: Circuit) -> None:
    rng = np.random.default_rng(1)
    circuit = mixed()
    assert [tables.symbols for tables in circuit.nested] == [5, 9]
    report = verify(circuit, rng.integers(0, circuit.cardinalities, (60, 5)), ["ort", "csim"])
    assert report.mismatches == 0
    assert verify(quantize(shared, CONFIG), digits[1][:40], ["ort", "csim"]).mismatches == 0


def test_refinement_keeps_masters(shared: Circuit, digits) -> None:
    refined = refine(shared, digits[0], CONFIG, RefineConfig(passes=6, gradual=2))
    integers = quantize(refined, CONFIG)
    assert integers.digest == quantize(refined, CONFIG).digest
    assert [len(tables.masters) for tables in integers.nested] == [8]
    # The masters are in the refined circuit: with more allowed there are none to find.
    assert [len(tables.masters) for tables in quantize(refined, replace(CONFIG, leaf_masters=40)).nested] == [8]
    before = statistics(shared, ReferenceEngine(quantize(shared, CONFIG)), digits[1]).loss
    assert statistics(shared, ReferenceEngine(integers), digits[1]).loss < before


@pytest.mark.parametrize(
    "tables, masters, text",
    [
        (np.full((3, 5), np.nan), 1, "nest must have tables that are distributions, got others"),
        (np.zeros((3, 5)), 1, "nest must have tables that are distributions, got others"),
        (np.full((3, 2), 0.5), 1, r"nest must have tables of at least 4 symbols, got shape \(3, 2\)"),
        (np.full((3, 4), 0.25), 0, r"nest must have masters of at least 1 and leaf_bits in 8\.\.16, got 0 and 8"),
    ],
)
def test_no_tables_to_nest(tables: np.ndarray, masters: int, text: str) -> None:
    with pytest.raises(UsageError, match=f"^{text}$"):
        nest(tables, masters, 8)


def test_refusals(shared: Circuit) -> None:
    with pytest.raises(UsageError, match=r"^leaf_masters must be at least 1, got 0$"):
        QuantizationConfig(leaf_masters=0)
    circuit = mixed()
    five, nine = circuit.nested

    def changed(**parts: object) -> None:
        replace(circuit, nested=(replace(five, **parts), nine))  # type: ignore[arg-type]

    with pytest.raises(CircuitError, match=r"^nested tables must be of the circuit's numbers of .*, got \[9, 5\]$"):
        replace(circuit, nested=(nine, five))
    with pytest.raises(CircuitError, match=r"of 5 symbols must be int64, with master, shift and scale each$"):
        changed(parts=five.parts[:, :2])
    with pytest.raises(CircuitError, match=r"every master must rise from 0 to 512 and never fall$"):
        changed(masters=five.masters + 1)
    with pytest.raises(CircuitError, match=r"masters must be in 0\.\.1, got 1\.\.2$"):
        changed(parts=five.parts + np.array([1, 0, 0]))
    with pytest.raises(CircuitError, match=r"shift and scale of table 0 .*, their sum at most 512, got \[\d+, \d+\]$"):
        changed(parts=five.parts + np.array([0, 513, 0]))
    with pytest.raises(CircuitError, match=r"of 5 symbols must be the circuit's different tables in their order$"):
        changed(parts=five.parts[::-1])
    with pytest.raises(CircuitError, match=r"^masters of 5 symbols must stand in the order in which tables name them$"):
        changed(masters=five.masters[::-1].copy(), parts=five.parts * [-1, 1, 1] + [1, 0, 0])


@pytest.mark.parametrize("name", ["masters_6", "nested_6"])
def test_a_changed_file_is_refused(name: str) -> None:
    model = to_onnx(mixed())
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = numpy_helper.to_array(tensor).copy()
            values[-1, 0] = 600
            tensor.CopyFrom(numpy_helper.from_array(values, name))
    with pytest.raises(FormatError, match=r"^onnx-parameters: .*nested tables of 5 symbols"):
        from_onnx(model)
    onnx.checker.check_model(model)


class TestCommand:
    def run(self, *arguments: object):
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    def test_writes_masters(self, tmp_path: Path) -> None:
        out = tmp_path / "m.onnx"
        done = self.run("quantize", "digits", "--leaf-masters", 6, "--out", out, "--json")
        assert done.exit_code == 0, done.output
        circuit = read_onnx(out)
        assert json.loads(done.stdout)["digest"] == circuit.digest.hex()
        assert [len(tables.masters) for tables in circuit.nested] == [6]

    def test_not_with_a_budget(self, tmp_path: Path) -> None:
        out = tmp_path / "m.onnx"
        more = ("--data", "digits", "--budget-kbit", 200, "--leaf-masters", 6)
        done = self.run("quantize", "digits", *more, "--out", out)
        assert done.exit_code == 2 and not out.exists()
        assert "a budget must come without --leaf-masters" in done.output + done.stderr


def test_the_command_says_where_plain_tables_are_smaller(tmp_path: Path) -> None:
    def run(masters: int, *more: str) -> str:
        words = ["quantize", "digits", "--leaf-masters", str(masters), "--out", str(tmp_path / "m.onnx"), *more]
        return CliRunner().invoke(group, words).stdout

    sizes = json.loads(run(9999, "--json"))
    plain = sizes["rom_bits_of_plain_tables"]
    assert plain == lower(replace(read_onnx(tmp_path / "m.onnx"), nested=())).memory_bits()["rom"]
    assert sizes["memory_bits"]["rom"] > plain
    note = "with plain leaf tables the ROM would have"
    assert f"note: {note} {plain / 1000:.3f} kbit, less than with masters" in run(9999)
    assert note not in run(4)
