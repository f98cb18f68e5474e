"""Where registers of an unrolled kernel stand: never before what is read, no stage longer than it may be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_circuit

from pcedge.errors import UsageError
from pcedge.export.unrolled.cells import MEMORY, REGISTER, SETUP, Cell, read_constant
from pcedge.export.unrolled.kernel import unroll
from pcedge.export.unrolled.lowering import OUTPUTS, lower, used
from pcedge.export.unrolled.stages import Stages, place
from pcedge.export.unrolled.verilog import memories
from pcedge.quantize import quantize


@st.composite
def graphs(draw: st.DrawFn) -> list[Cell]:
    """Draw cells that read cells before them, some of them memories."""
    dice = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells = [Cell("symbol_0", 7, False, "", (), 0.0)]
    for number in range(draw(st.integers(1, 30))):
        names = [cells[i].name for i in dice.integers(0, len(cells), 1 + dice.integers(3))]
        if dice.random() < 0.2:
            cells.append(Cell(f"t{number}", 8, False, "", (names[0],), 0.0, (1, 2, 3)))
        else:
            cells.append(Cell(f"c{number}", 8, False, "", tuple(names), float(dice.choice([0.0, 1.2, 2.5, 6.2]))))
    return used(cells, [cells[-1].name])


def longest(cells: list[Cell], stages: Stages) -> float:
    """Time every stage, from registers and memories on; every operand is made before it is read."""
    ready: dict[str, float] = {}
    found = 0.0
    for cell in cells:
        at = stages.stage[cell.name] - bool(cell.entries)
        begin = REGISTER
        for name in cell.operands:
            assert stages.stage[name] <= at
            if stages.stage[name] == at:
                begin = max(begin, ready[name])
        ready[cell.name] = MEMORY if cell.entries else begin + cell.delay
        found = max(found, begin if cell.entries else ready[cell.name])
    return found + SETUP


@given(graphs(), st.data())
def test_registers_stand_between_stages(cells: list[Cell], data: st.DataObject) -> None:
    outputs = [cells[-1].name]
    usual = place(cells, outputs)
    assert longest(cells, usual) <= max(7.5, MEMORY + SETUP) + 1e-9
    assert usual.latency == usual.stage[outputs[0]] + 1
    with pytest.raises(UsageError, match=r"^the latency must be in \d+\.\.\d+ cycles, .* got 1000$") as refused:
        place(cells, outputs, 1000)
    low, high = (int(word) for word in str(refused.value).split(" in ")[1].split(" cycles")[0].split(".."))
    asked = data.draw(st.integers(low, high))
    stages = place(cells, outputs, asked)
    assert stages.latency == asked
    assert max(stages.stage.values()) < asked
    assert longest(cells, stages) <= stages.longest_ns + 1e-9


def test_more_registers_make_shorter_stages() -> None:
    cells = lower(unroll(quantize(make_circuit(5, 6, 3, 9, "balanced")), "plain"))
    lengths = [place(cells, OUTPUTS, latency).longest_ns for latency in (3, 6, 12)]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] > 1.5 * lengths[2]


def test_tables_of_one_symbol_share_a_memory() -> None:
    cells = lower(unroll(quantize(make_circuit(5, 3, 4, 130, "star")), "plain"))
    stages = place(cells, OUTPUTS)
    tables = memories(cells, stages)
    assert sum(len(table.cells) for table in tables) > len(tables)
    for table in tables:
        lines = table.image().split()
        assert len(lines) == table.words
        word = int(lines[60], 16)
        for cell in table.cells:
            assert word & ((1 << cell.bits) - 1) == cell.entries[60] & ((1 << cell.bits) - 1)
            word >>= cell.bits
        assert word == 0


def test_read_constant_has_a_column_a_bit() -> None:
    assert read_constant([1, 2, 3, -1], 2, "@0") == "{1'(4'he >> @0), 1'(4'hd >> @0)}"
