"""Row tables: turned rows, shared and rounded as one; a form of storing, in ONNX and program files; what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from strategies import float_circuits, integer_circuits, make_circuit, records_for

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, sample, save_circuit
from pcedge.circuit.inference import log_likelihood
from pcedge.cli import group
from pcedge.compress import expected_flows, share_rows
from pcedge.compress.rows import renumbered, tied_sums
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.evaluate import statistics
from pcedge.export import read_onnx
from pcedge.export.onnx.reader import from_onnx
from pcedge.export.onnx.writer import onnx_bytes, to_onnx
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit, RowTable
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine
from pcedge.schedule.serialised import from_bytes, to_bytes
from pcedge.search.budget import quantize_within
from pcedge.search.search import Budget

CONFIG = QuantizationConfig(5, 10, 16, row_table=True)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    splits = load_data("digits")
    return tuple(part.reshape(len(part), -1).astype(np.int64) for part in (splits.train, splits.test))


@pytest.fixture(scope="module")
def shared(digits: tuple[np.ndarray, np.ndarray]) -> Circuit:
    circuit = load_circuit("digits")
    return share_rows(circuit, expected_flows(circuit, digits[0]), rows=64)


def with_rows(seed: int = 4) -> IntegerCircuit:
    """Make a small circuit with rows of several lengths in a table."""
    circuit = quantize(make_circuit(seed, 6, 4, 5, "hidden"), QuantizationConfig(3, 9, 12))
    lengths = sorted({layer.weights.shape[1] for layer in circuit.dense_sums.values()} - {1})
    assert len(lengths) > 1
    return replace(circuit, row_lengths=tuple(lengths))


class TestTable:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 9), st.integers(1, 4))
    def test_is_the_smallest_and_in_order(self, seed: int, units: int, length: int, largest: int) -> None:
        rows = np.random.default_rng(seed).integers(0, largest, (units, length))
        table = RowTable.of(rows)
        assert_array_equal(table.expanded(), rows)
        known: list[list[int]] = []
        for row, number, turn in zip(rows.tolist(), table.numbers, table.turns, strict=True):
            turns = [row[-t:] + row[:-t] if t else row for t in range(length)]
            found = [(known.index(one), t) for t, one in enumerate(turns) if one in known]
            if not found:
                known.append(row)
            assert (number, turn) == (found[0] if found else (len(known) - 1, 0))
        assert table.rows.tolist() == known

    def test_counts_the_bits_of_numbers_and_turns(self) -> None:
        table = RowTable.of(np.array([[1, 2, 5], [5, 1, 2], [2, 1, 5]]))
        assert (table.number_bits, table.turn_bits, table.turns.tolist()) == (1, 2, [0, 2, 0])


class TestSharing:
    @given(float_circuits(max_variables=6, sharpness=0.0), st.integers(0, 2**32 - 1))
    def test_numbers_of_states_are_no_part_of_the_distribution(self, circuit: Circuit, seed: int) -> None:
        rng = np.random.default_rng(seed)
        used = {index: rng.random(len(weights)) for index, weights in tied_sums(circuit).items()}
        records = rng.integers(0, circuit.cardinalities, (8, len(circuit.cardinalities)))
        moved, _ = renumbered(circuit, used)
        np.testing.assert_allclose(log_likelihood(moved, records), log_likelihood(circuit, records), atol=1e-9)

    def test_products_need_no_more_lists_than_before(self, shared: Circuit) -> None:
        before = load_circuit("digits")
        plain, named = quantize(before, CONFIG), quantize(shared, CONFIG)
        assert lower(named).memory_bits()["indices"] == lower(plain).memory_bits()["indices"]
        assert all(
            np.array_equal(one.gather, other.gather)
            for one, other in zip(plain.layers, named.layers, strict=True)
            if isinstance(one, ProductLayer) and isinstance(other, ProductLayer)
        )

    def test_costs_what_the_rows_lose(self, digits: Any) -> None:
        circuit = load_circuit("digits")
        flows = expected_flows(circuit, digits[0])
        bits = [
            -log_likelihood(share_rows(circuit, flows, rows), digits[1]).mean() / 64 / np.log(2)
            for rows in (32, 128, 512, 1009)
        ]
        assert bits == sorted(bits, reverse=True)
        assert bits[-1] == pytest.approx(-log_likelihood(circuit, digits[1]).mean() / 64 / np.log(2), abs=1e-3)

    def test_rows_are_turned_rows_of_so_few(self, shared: Circuit) -> None:
        table = RowTable.of(np.concatenate(list(tied_sums(shared).values())))
        assert len(table.rows) == 64 and (table.turns > 0).any()

    def test_an_equal_flow_chooses_any(self) -> None:
        layers = (InputLayer(0, np.full((3, 2), 0.5)), SumLayer((0,), np.full((1, 3), 1 / 3)))
        circuit = Circuit(layers)
        again = share_rows(circuit, [np.ones((3, 2)), np.ones((1, 3))], rows=5)
        assert_array_equal(again.layers[1].weights, circuit.layers[1].weights)

    def test_refuses_no_row(self, shared: Circuit) -> None:
        with pytest.raises(UsageError, match=r"^share_rows must have a table of at least 1 row, got 0$"):
            share_rows(shared, [], rows=0)


class TestRounding:
    def test_turned_rows_are_rounded_as_one(self, shared: Circuit) -> None:
        circuit = quantize(shared, CONFIG)
        assert circuit.row_lengths == (16,) and len(circuit.row_tables[16].rows) <= 64
        plain = quantize(shared, replace(CONFIG, row_table=False))
        assert not plain.row_lengths
        alike = replace(plain, row_lengths=(16,))
        assert len(alike.row_tables[16].rows) >= len(circuit.row_tables[16].rows)

    def test_flows_count_for_the_row_that_all_share(self, shared: Circuit, digits: Any) -> None:
        circuit = quantize(shared, CONFIG, flows=expected_flows(shared, digits[0]))
        assert len(circuit.row_tables[16].rows) <= 64

    def test_a_table_that_takes_more_bits_is_not_made(self) -> None:
        assert quantize(load_circuit("digits"), replace(CONFIG, weight_bits=8)).row_lengths == ()

    def test_refinement_keeps_the_table(self, shared: Circuit, digits: Any) -> None:
        refined = refine(shared, digits[0], CONFIG, RefineConfig(passes=8, gradual=4))
        circuit = quantize(refined, CONFIG)
        assert len(circuit.row_tables[16].rows) <= 64
        # What was fitted is what is stored: nothing is left to round.
        for index, layer in circuit.dense_sums.items():
            assert_array_equal(layer.weights, refined.layers[index].weights * 32)
        before = statistics(shared, ReferenceEngine(quantize(shared, CONFIG)), digits[1]).loss
        assert statistics(shared, ReferenceEngine(circuit), digits[1]).loss < before

    def test_widths_of_single_layers_do_not_fit(self) -> None:
        with pytest.raises(UsageError, match=r"^a row table must come without layer_weight_bits: its rows have one W$"):
            QuantizationConfig(row_table=True, layer_weight_bits=((1, 4),))
        with pytest.raises(UsageError, match=r"^row_table must be true or false, got 3$"):
            QuantizationConfig(row_table=3)  # type: ignore[arg-type]


class TestStoring:
    @given(integer_circuits(max_variables=5))
    def test_is_no_part_of_the_meaning_and_comes_back(self, circuit: IntegerCircuit) -> None:
        plain = replace(circuit, row_lengths=())
        assert (plain.digest, plain.likelihood_digest) == (circuit.digest, circuit.likelihood_digest)
        for version in ("4", "5") if circuit.row_lengths else ("2", "3"):
            model = to_onnx(circuit, version=version)
            again = from_onnx(model)
            assert again.row_lengths == circuit.row_lengths and again.digest == circuit.digest
            assert to_onnx(again, version=version) == model
            assert next(e.value for e in model.metadata_props if e.key == "pcedge.format") == version
        program = from_bytes(to_bytes(circuit)).circuit
        assert program.row_lengths == circuit.row_lengths and program.digest == circuit.digest

    @given(integer_circuits(max_variables=4), st.data())
    def test_every_runtime_says_the_same(self, circuit: IntegerCircuit, data: st.DataObject) -> None:
        records = data.draw(records_for(circuit, max_records=4, missing=True, min_records=1))
        expected = ReferenceEvaluator(to_onnx(replace(circuit, row_lengths=()))).run(None, {"symbols": records})
        found = ReferenceEvaluator(to_onnx(circuit)).run(None, {"symbols": records})
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, other)

    def test_the_table_is_there_once(self, shared: Circuit) -> None:
        circuit = quantize(shared, CONFIG)
        tensors = {tensor.name: tensor.dims for tensor in to_onnx(circuit).graph.initializer}
        assert list(tensors["rows_16"]) == list(circuit.row_tables[16].rows.shape)
        assert not any(name.startswith("weights_") and name.endswith("x16") for name in tensors)
        assert len(onnx_bytes(circuit)) < len(onnx_bytes(replace(circuit, row_lengths=())))


class TestCommand:
    def run(self, *arguments: object) -> Any:
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    def test_writes_a_table(self, tmp_path: Path) -> None:
        out = tmp_path / "m.onnx"
        more = ("--weight-bits", 5, "--leaf-bits", 10, "--row-table", 64, "--leaf-tables", 100)
        done = self.run("quantize", "digits", "--data", "digits", *more, "--out", out, "--json")
        assert done.exit_code == 0, done.output
        circuit = read_onnx(out)
        result = json.loads(done.stdout)
        assert result["digest"] == circuit.digest.hex() and circuit.row_lengths == (16,)
        told = json.loads(self.run("info", out, "--json").stdout)
        assert told["row_table"] == len(circuit.row_tables[16].rows) <= 64 and told["leaf_tables"] <= 100
        assert result["memory_bits"]["row_table"] == told["row_table"] * 16 * 5
        plain = lower(replace(circuit, row_lengths=())).memory_bits()
        assert result["memory_bits"]["rom"] < plain["rom"] and "row_table" not in plain
        assert result["held_out"]["records"] > 0
        words = self.run("info", out).stdout
        assert re.search(r"\(weights [0-9.]+ \[row table [0-9.]+\], tables", words)
        predicted = self.run("predict", out)
        assert predicted.exit_code == 2
        assert f"weights of their own, this one has a table of {told['row_table']} rows" in predicted.output
        for macs, stored in ((1, False), (1024, True)):
            words = self.run("estimate", out, "--macs", macs).stdout
            assert ("the row table is stored as whole matrices: at this size they take less ROM" in words) == stored

    def test_a_table_that_does_not_pay_is_told(self, tmp_path: Path) -> None:
        circuit = make_circuit(2, 2, 1, 2, "hidden")
        save_circuit(circuit, tmp_path / "c.pcedge")
        np.save(tmp_path / "x.npy", sample(circuit, 50).astype(np.uint8))
        out = tmp_path / "m.onnx"
        done = self.run("quantize", tmp_path / "c.pcedge", "--data", tmp_path / "x.npy", "--row-table", 9, "--out", out)
        assert done.exit_code == 0 and "row table: none is stored, for no rows take fewer bits" in done.stdout
        assert "held out: " in done.stdout

    def test_bounds_are_over_the_renumbered_circuit(self, tmp_path: Path) -> None:
        """Products that share a child renumber their lists, so that layers of the float circuit given differ."""
        circuit = make_circuit(3, 6, 5, 4, "random")
        save_circuit(circuit, tmp_path / "c.pcedge")
        np.save(tmp_path / "x.npy", sample(circuit, 200).astype(np.uint8))
        out = tmp_path / "m.onnx"
        more = ("--data", tmp_path / "x.npy", "--row-table", 8, "--weight-bits", 4, "--out", out, "--json")
        done = self.run("quantize", tmp_path / "c.pcedge", *more)
        assert done.exit_code == 0, done.output
        assert read_onnx(out).row_lengths

    @pytest.mark.parametrize(
        "more, text",
        [
            (("--row-table", 4), "--refine, --leaf-tables, --row-table and --missing must come with --data"),
            (("--row-table", 4, "--data", "digits", "--budget-kbit", 200), "a budget must come without --row-table"),
        ],
    )
    def test_wrong_usage(self, more: tuple[object, ...], text: str, tmp_path: Path) -> None:
        done = self.run("quantize", "digits", *more, "--out", tmp_path / "m.onnx")
        assert done.exit_code == 2 and text in done.output + done.stderr

    def test_a_search_does_not_count_it(self, shared: Circuit, digits: Any) -> None:
        text = r"^a budget must come without a row table, which a search does not count$"
        with pytest.raises(UsageError, match=text):
            quantize_within(shared, CONFIG, held_out=digits[1], budget=Budget(memory_bits=300_000))


class TestRefused:
    @pytest.mark.parametrize("lengths", [(1,), (3, 2), (2, 2), (99,), [2], (2.0,), ("2",)])
    def test_lengths_that_are_none(self, lengths: Any) -> None:
        text = r"^lengths of a row table must be columns of the circuit's dense sums, 2 or more, ascending, got .*$"
        with pytest.raises(CircuitError, match=text):
            replace(with_rows(), row_lengths=lengths)

    def test_a_file_of_another_version(self) -> None:
        model = to_onnx(with_rows())
        for version, text in (("2", "widths, order, blocks and layers"), ("3", "widths"), ("6", "'4' and '5'")):
            changed = onnx.ModelProto()
            changed.CopyFrom(model)
            next(e for e in changed.metadata_props if e.key == "pcedge.format").value = version
            with pytest.raises(FormatError, match=rf"^onnx-(structure|version): .*{text}$"):
                from_onnx(changed)

    @pytest.mark.parametrize("kind", ["numbers", "turns"])
    def test_a_number_that_names_nothing(self, kind: str) -> None:
        model = to_onnx(with_rows())
        tensor = next(t for t in model.graph.initializer if t.name.startswith(f"{kind}_"))
        values = numpy_helper.to_array(tensor).copy()
        values.flat[0] = 200
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        with pytest.raises(FormatError, match=rf"^onnx-parameters: rows of length \d: {kind} must be in 0\.\.\d+, got"):
            from_onnx(model)

    @pytest.mark.parametrize("kind", ["rows", "numbers", "turns"])
    def test_a_part_that_is_missing(self, kind: str) -> None:
        model = to_onnx(with_rows())
        index = next(n for n, t in enumerate(model.graph.initializer) if t.name.startswith(f"{kind}_"))
        del model.graph.initializer[index]
        with pytest.raises(FormatError, match=r"^onnx-initializers: "):
            from_onnx(model)

    def test_another_way_to_name_the_same_rows(self) -> None:
        model = to_onnx(with_rows())
        names = {tensor.name: tensor for tensor in model.graph.initializer}
        rows = next(name for name in names if name.startswith("rows_"))
        length = int(rows.removeprefix("rows_"))
        names[rows].CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(names[rows]), 1, axis=1), rows))
        for name, tensor in names.items():
            if name.startswith("turns_") and name.endswith(f"x{length}"):
                turns = (numpy_helper.to_array(tensor) + 1) % length
                tensor.CopyFrom(numpy_helper.from_array(turns.astype(np.uint8), name))
        with pytest.raises(FormatError, match=r"^onnx-initializers: initializer .* must hold what the circuit says"):
            from_onnx(model)

    @pytest.mark.parametrize("rows", [[], 3, [2.5], ["2"], [-1]])
    def test_lengths_of_a_file(self, rows: Any) -> None:
        model = to_onnx(with_rows())
        entry = next(e for e in model.metadata_props if e.key == "pcedge.circuit")
        told = ", ".join(str(length) for length in with_rows().row_lengths).replace(" ", "")
        assert f'"rows":[{told}]' in entry.value
        text = str(rows).replace(" ", "").replace("'", '"')
        entry.value = entry.value.replace(f'"rows":[{told}]', f'"rows":{text}')
        with pytest.raises(FormatError, match=r"^onnx-structure: .*rows"):
            from_onnx(model)
