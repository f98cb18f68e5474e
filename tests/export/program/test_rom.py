"""What lies in the read-only memories: packed rows, banks, leaf tables once; and that they are counted as generated."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.cpp import compile_plain
from helpers.nightly import NIGHTLY
from helpers.special import SPECIAL, special
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from strategies import integer_circuits, make_circuit

from pcedge.circuit import SparseRows
from pcedge.drivers.layout import STEP_FIELDS
from pcedge.drivers.size import EngineSize
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.engine.loaded_memories import reload_code
from pcedge.export.engine.memories import memories_code
from pcedge.export.engine.project import write_project
from pcedge.export.program.banks import Bank, BankCode, lay_in_banks
from pcedge.export.program.image import capacity_of
from pcedge.export.program.leaves import LeafMemories
from pcedge.export.program.lowering import Lowered, lower
from pcedge.export.program.packing import Column, pack
from pcedge.export.program.steps import INDEX_BITS
from pcedge.integer import IntegerCircuit
from pcedge.integer.circuit import IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.steps import Interval, Leaf, ListSum, Multiply, Op, Zeros, zeros_of
from pcedge.simulate.csim import Csim


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Column]:
    """Draw columns of a table, some of them constant, rising, stepped, 32 bits wide, or hardly used."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 12))
    made = {}
    for number in range(draw(st.integers(1, 9))):
        top = 1 << int(rng.integers(0, 33))
        factor = int(rng.integers(1, 20))
        values = rng.integers(0, top, rows) // factor * factor
        if rng.random() < 0.3:
            values = int(rng.integers(0, 100)) + int(rng.integers(0, 9)) * np.arange(rows)
        made[f"c{number}"] = Column(values.astype(np.int64), rng.random(rows) < rng.choice([0.3, 0.8, 1.1]))
    return made


@given(columns())
def test_packed_columns_come_back(columns: dict[str, Column]) -> None:
    table = pack(columns)
    for name, column in columns.items():
        assert_array_equal(table.column(name)[column.used], column.values[column.used])
    assert table.bits == table.rows * sum(table.word_bits)
    for bits, words in zip(table.word_bits, table.words, strict=True):
        assert 0 < bits <= 64 and int(words.max()).bit_length() <= bits


def test_columns_take_the_bits_that_they_need() -> None:
    used = np.ones(4, dtype=bool)
    half = np.array([True, False, True, False])
    table = pack(
        {
            "constant": Column(np.full(4, 9), used),
            "rising": Column(np.array([5, 8, 11, 14]), used),
            "stepped": Column(np.array([100, 148, 116, 100]), used),
            "first": Column(np.array([3, 0, 6, 0]), half),
            "second": Column(np.array([0, 7, 0, 5]), ~half),
        }
    )
    assert {name: field.bits for name, field in table.fields.items()} == {
        "constant": 0, "rising": 0, "stepped": 2, "first": 1, "second": 1,
    }  # fmt: skip
    assert table.row_bits == 3  # no row uses both first and second


def read_banks(banks: tuple[Bank, ...], top: int, place: int, size: int) -> NDArray[np.int64]:
    """Read a block as the generated function does."""
    bank = [bank for bank in banks if bank.base <= place][-1]
    start, row = place - bank.base, bank.code.row
    marks = bank.marks[start // row : (start + size) // row] if row else bank.marks
    return bank.code.load(bank.entries[start : start + size], marks, top)


def read_rows(program: Lowered, place: int, units: int, length: int) -> NDArray[np.int64]:
    """Read a block whose rows are turned rows of a table as the kernels do."""
    assert program.rows is not None and place >= program.turned_base
    columns = program.shape.tile[1]
    start, bits = int(program.rows.starts.entries[length]), (length - 1).bit_length()
    stride = (length + 2 * columns - 2) // columns * columns
    stored = read_banks(program.turned, INDEX_BITS, place - program.turned_base, units)
    rows = []
    for entry in stored.tolist():
        number, turn = entry >> bits, entry & ((1 << bits) - 1)
        row = read_banks(program.rows.banks, program.circuit.weight_bits, start + number * stride, stride)
        for column in range(length):
            # What a tile reads at once lies side by side, from any column on.
            first = column + turn if column + turn < length else column + turn - length
            side = row[first : first + columns]
            assert len(side) == columns
            rows.append(side[0])
            assert_array_equal(side, [row[(first + lane) % length] for lane in range(columns)])
    return np.array(rows)


def cumulative(leaves: LeafMemories, leaf_bits: int, variable: int, unit: int) -> list[int]:
    """Read a leaf table as engine_t::cumulative does."""
    row = {name: int(leaves.variables.column(name)[variable]) for name in leaves.variables.fields}
    number = row["list"] + unit if leaves.leaves is None else int(leaves.leaves.entries[row["list"] + unit])
    cardinality, whole = row["cardinality"], 1 << leaf_bits
    shift, scale = 0, whole
    if leaves.nested is not None:
        number, shift, scale = (
            int(leaves.nested.column(name)[row["nested"] + number]) for name in ("master", "shift", "scale")
        )
    found = [0]
    for symbol in range(1, cardinality):
        if symbol + leaves.tails.entries[row["tails"] + number] >= cardinality:
            entry = whole
        else:
            # Words of one entry: odd ones in one memory, in the other the multiples of 2, of 4 and so on.
            own, above = cardinality // 2, cardinality - 1 - cardinality // 2
            if symbol % 2:
                entry = int(leaves.tables.entries[row["tables"] + number * own + symbol // 2])
            else:
                order = sorted(range(2, cardinality, 2), key=lambda k: (k & -k, k))
                entry = int(leaves.uppers.entries[row["uppers"] + number * above + order.index(symbol)])
        found.append(shift + (scale * entry >> leaf_bits))
    return [*found, whole]


@given(integer_circuits())
def test_memories_hold_the_circuit(circuit: IntegerCircuit) -> None:
    program = lower(circuit)
    for layer in circuit.layers:
        if isinstance(layer, IntegerInput):
            for unit, row in enumerate(layer.cumulative):
                assert cumulative(program.leaves, circuit.leaf_bits, layer.variable, unit) == row.tolist()
    pairs = ((program.likelihood, program.likelihood_program), (program.code, program.code_program))
    for schedule, memory in pairs:
        decoded = {name: memory.column(name) for name in STEP_FIELDS}
        for index, step in enumerate(schedule.steps):
            found = {name: int(column[index]) for name, column in decoded.items()}
            layer = None if step.op is Op.INIT else circuit.layers[step.layer]
            zeros = zeros_of(step, schedule.keep, layer is not None and circuit.has_tails(step.layer))
            assert (found["kind"], found["revive"]) == (step.op, zeros)
            if zeros == Zeros.TAIL and isinstance(layer, IntegerInput):
                assert_array_equal(read_banks(program.indices, 31, found["list"], len(layer.tails)), layer.tails)
            if step.op is not Op.INTERVAL:
                assert found["units"] == step.units
                assert found["target"] + step.units <= program.state_words
                assert found["target_exponent"] < program.exponent_slots
            if isinstance(step, Leaf | Interval):
                assert found["variable"] == step.variable
            if step.op in (Op.ALIGN, Op.INTERVAL):
                assert [found["a_units"], found["b_units"]][: len(step.sources)] == [s.units for s in step.sources]
            lists = step.lists if isinstance(step, ListSum) else None
            if isinstance(layer, IntegerSum) and step.op in (Op.UP, Op.DOWN):
                weights = layer.weights
                if isinstance(weights, SparseRows):
                    lists, weights = weights, weights.values
                    assert found["values"]
                if step.op is Op.DOWN or lists is None:
                    assert found["a_units"] == step.sources[0].units
                if lists is None and weights.shape[1] in circuit.row_lengths:
                    read = read_rows(program, found["weights"], *weights.shape)
                else:
                    assert found["weights"] < max(1, program.turned_base)
                    read = read_banks(program.weights, circuit.weight_bits, found["weights"], weights.size)
                assert_array_equal(read, weights.ravel())
            assert found["lists"] == (lists is not None)
            if lists is not None:
                expected = np.concatenate([np.diff(lists.indptr), lists.indices])
                assert_array_equal(read_banks(program.indices, INDEX_BITS, found["list"], len(expected)), expected)
            for gather, flag, place in zip(
                step.gathers if isinstance(step, Multiply) else (None, None),
                ("gather_a", "gather_b"),
                ("list", "list_b"),
                strict=True,
            ):
                assert found[flag] == (gather is not None)
                if gather is not None:
                    assert_array_equal(read_banks(program.indices, INDEX_BITS, found[place], len(gather)), gather)


@given(st.integers(0, 2**32 - 1), st.integers(1, 16))
def test_banks_give_every_block_back(seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = []
    for _ in range(int(rng.integers(0, 8))):
        shift = int(rng.integers(0, top + 1))
        block = rng.integers(0, (1 << top - shift) + 1, int(rng.choice([1, 16, 300, 5000]))) << shift
        block = np.minimum(block, 1 << int(rng.integers(0, top + 1))).astype(np.int64)
        if len(block) % 4 == 0 and rng.random() < 0.5:
            block = block.reshape(-1, 4)
            sure = rng.random(len(block)) < 0.3
            block[sure] = np.eye(4, dtype=np.int64)[rng.integers(0, 4, int(sure.sum()))] << top
            # As in a sum: 2^top stands alone in its row.
            block[~sure] = np.minimum(block[~sure], (1 << top) - 1)
        blocks.append(block)
    banks, addresses = lay_in_banks(blocks, top)
    for block, address in zip(blocks, addresses, strict=True):
        assert_array_equal(read_banks(banks, top, int(address), block.size), block.ravel())
    assert sum(len(bank.entries) for bank in banks) == sum(block.size for block in blocks)
    for bank in banks:
        assert bank.entries.max() >> bank.code.width == 0


def test_banks_are_as_wide_as_their_blocks_need() -> None:
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 255, 20000)
    fine[:2] = 1, 254
    coarse = rng.integers(0, 15, 20000) * 16
    coarse[:2] = 16, 224
    sure = fine.copy()
    sure[9] = 256
    plain = BankCode(8, 0, False)
    assert [bank.code for bank in lay_in_banks([fine, fine[::-1].copy()], 8)[0]] == [plain]
    assert [bank.code for bank in lay_in_banks([fine, coarse], 8)[0]] == [BankCode(4, 4, False), plain]
    # 255 is in no row of a block with a certain child: all ones are free to stand for 256.
    assert [bank.code for bank in lay_in_banks([sure], 8)[0]] == [BankCode(8, 0, True)]
    taken = sure.copy()
    taken[10] = 255
    assert [bank.code for bank in lay_in_banks([taken], 8)[0]] == [BankCode(9, 0, False)]
    # In rows a mark of one bit says where.
    rows = taken.reshape(-1, 4).copy()
    rows[2:4] = [[0, 256, 0, 0], [255, 1, 0, 0]]
    assert [bank.code for bank in lay_in_banks([rows], 8)[0]] == [BankCode(8, 0, True, 4)]
    assert [bank.code for bank in lay_in_banks([sure, taken], 8)[0]] == [BankCode(8, 0, True), BankCode(9, 0, False)]
    assert [bank.code for bank in lay_in_banks([np.array([0, 256, 256, 0])], 8)[0]] == [BankCode(1, 8, False)]
    # Too few weights to pay for a bank of their own.
    assert [bank.code for bank in lay_in_banks([fine, coarse[:100]], 8)[0]] == [plain]


def declared_bits(header: str, source: str) -> dict[str, int]:
    """Count the bits of all arrays of the generated text, and see that no entry is wider than its array says."""
    found = {}
    arrays = r"PCEDGE_ROM\(std::uint(\d+)_t, (\d+)\) (pcedge_memories::)?(\w+)\[(\d+)\]"
    for kind, bits, _, name, size in re.findall(rf"static const {arrays};", header):
        assert int(bits) <= int(kind)
        found[name] = int(bits) * int(size)
    for _, bits, _, name, size, text in re.findall(rf"const {arrays} = {{([^}}]*)}};", source):
        numbers = [int(number.rstrip("ul")) for number in text.replace("\n", " ").split(",") if number.strip()]
        assert len(numbers) == int(size) and found[name] == int(bits) * len(numbers)
        assert max(numbers).bit_length() <= int(bits)
    assert source.count("= {") == header.count("static const ") == len(found)
    return found


def check_counted(circuit: IntegerCircuit) -> None:
    program = lower(circuit)
    counted = program.memory_bits()
    found = declared_bits(*memories_code(program))

    def of(*names: str) -> int:
        return sum(bits for name, bits in found.items() if re.sub(r"_\d+$", "", name) in names)

    weights = ("marks", "turned", "row_starts", "row_table0", "row_table0_marks")
    for key in ("weights", "indices", "leaves", "variables"):
        assert counted[key] == of(key, *(weights if key == "weights" else []))
    assert counted.get("row_table", 0) == of("row_starts", "row_table0", "row_table0_marks")
    assert counted["tables"] == of("tables", "uppers", "tails", "nested")
    for name in ("likelihood", "code"):
        parts = (f"{name}_{part}" for part in ("program", "forms", "places", "rows", "phrases"))
        assert counted[f"{name}_program"] == of(*parts)
    assert counted["operands"] == of("operands")
    assert counted["programs"] == counted["likelihood_program"] + counted["code_program"] + counted["operands"]
    dictionaries = (f"{name}_{part}" for name in ("likelihood", "code") for part in ("forms", "places", "phrases"))
    assert counted["dictionaries"] == of(*dictionaries)
    assert counted["rom"] == sum(found.values())


@pytest.mark.parametrize("macs", [2, 16, 64])
def test_every_row_of_a_tile_reads_its_own_copy(macs: int) -> None:
    circuit = special("row table")
    program = lower(circuit, shape=EngineSize(macs))
    height = program.shape.tile[0]
    places = program.likelihood_program.column("weights")
    for step, place in zip(program.likelihood.steps, places.tolist(), strict=True):
        if step.op is Op.UP and circuit.dense_sums[step.layer].weights.shape[1] in circuit.row_lengths:
            weights = circuit.dense_sums[step.layer].weights
            assert (place - program.turned_base) % height == program.turned_base % height == 0
            assert_array_equal(read_rows(program, place, *weights.shape), weights.ravel())
    assert program.rows is not None and program.rows.copies == -(-height // 2)
    once = sum(bank.bits for bank in program.rows.banks)
    counted = program.memory_bits()
    assert counted["row_table"] == program.rows.copies * once + program.rows.starts.bits
    header = memories_code(program)[0]
    assert len(set(re.findall(r" row_table(\d+)_0\[", header))) == program.rows.copies


@given(integer_circuits())
def test_memory_bits_are_those_of_the_generated_text(circuit: IntegerCircuit) -> None:
    check_counted(circuit)


@pytest.mark.parametrize("name", SPECIAL)
def test_special_circuits_are_counted(name: str) -> None:
    check_counted(special(name))


def bound(header: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Find the memories of a header, with the kind of table that they belong to, and the storage that they name."""
    names = re.findall(r"^  static (?:const )?PCEDGE_ROM\([^)]*\) (\w+)\[", header, re.M)
    storage = re.findall(r"^#pragma HLS BIND_STORAGE variable = (\w+) type = (\w+)$", header, re.M)
    return {name: re.sub(r"(_memory|_[0-9]+)$", "", name) for name in names}, sorted(storage)


@pytest.mark.parametrize("name", ["unequal latents", "nested tables"])
def test_memories_that_many_places_read_name_their_storage(name: str) -> None:
    circuit, shape = special(name), EngineSize(16)
    names, storage = bound(memories_code(lower(circuit, shape=shape))[0])
    many = ("indices", "tables", "uppers", "tails", "nested", "variables", "operands")
    many += ("likelihood_places", "code_places")
    assert {names[own] for own, _ in storage} >= {"tables", "variables"}
    assert name == "nested tables" or {names[own] for own, _ in storage} >= {"operands", "code_places"}
    assert storage == sorted((own, "rom_np") for own, kind in names.items() if kind in many)
    names, storage = bound(reload_code(capacity_of([circuit], shape))[0])
    expected = [(own, "ram_1wnr") for own, kind in names.items() if re.match("indices|tails|nested_|variables_", kind)]
    assert len(expected) == 11
    assert storage == sorted([*expected, ("tables_memory", "ram_t2p"), ("uppers_memory", "ram_t2p")])


def test_one_table_shared_by_all_is_stored_once() -> None:
    leaves = lower(special("one table")).leaves
    assert (
        len(leaves.tables.entries) + len(leaves.uppers.entries) == 6
        and leaves.leaves is not None
        and leaves.leaves.bits == 0
    )


@pytest.mark.csim
@pytest.mark.parametrize("name", SPECIAL)
def test_special_circuits_in_csim(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small circuits have one bank: without a price they have all that their blocks can have.
    monkeypatch.setattr("pcedge.export.program.banks.BANK_PRICE", 0)
    circuit = special(name)
    codes = {bank.code for bank in lower(circuit).weights}
    if name == "certain children":
        assert codes == {BankCode(1, 8, False)}
    elif name == "a certain child":
        assert any(code.certain for code in codes)
    elif name == "trailing zeros":
        assert len({code.shift for code in codes}) > 2
    if not NIGHTLY:  # what a memory holds does not depend on the family of integers
        compile_plain(monkeypatch)
    compare(circuit, tmp_path)


@pytest.mark.csim
def test_rows_of_several_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcedge.export.program.packing.WORD_BITS", 12)
    circuit = quantize(make_circuit(11, 7, 5, 6, "random", 0.25), QuantizationConfig(6, 9, 12))
    assert len(lower(circuit).code_program.steps.word_bits) > 1
    if not NIGHTLY:
        compile_plain(monkeypatch)
    compare(circuit, tmp_path)


def compare(circuit: IntegerCircuit, folder: Path) -> None:
    engine = ReferenceEngine(circuit)
    csim = Csim(write_project(circuit, folder / "project"))
    assert "equal the golden vectors" in csim.golden()
    rng = np.random.default_rng(1)
    records = rng.integers(0, circuit.cardinalities, (30, len(circuit.cardinalities)))
    partial = np.where(rng.random(records.shape) < 0.3, -1, records)
    assert_array_equal(csim.likelihood(partial), engine.likelihood(partial))
    assert_array_equal(csim.intervals(records), engine.intervals(records))
    coded = encode_lanes(engine, records, 3)
    assert csim.encode(records, 3) == coded
    assert_array_equal(csim.decode(coded, len(records)), records)


@pytest.mark.csim
def test_memories_of_exact_widths_hold_the_same(tmp_path: Path) -> None:
    # What a synthesis tool reads, ap_uint of exact widths, is else compiled by nobody here.
    circuit = quantize(make_circuit(12, 7, 5, 9, "random", 0.25), QuantizationConfig(6, 9, 12))
    folder = write_project(circuit, tmp_path / "project")
    header = folder / "src/pcedge_memories.hpp"
    text = header.read_text()
    assert text.count("#ifdef __SYNTHESIS__") == 1
    header.write_text(text.replace("#ifdef __SYNTHESIS__", "#if 1"))
    assert "equal the golden vectors" in Csim(folder).golden()
