"""Row tables in memories: images hold whole matrices, cycles stay, and copies are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.special import special
from numpy.testing import assert_array_equal

from pcedge.drivers.size import EngineSize
from pcedge.export.engine.cycles import count_cycles
from pcedge.export.engine.loaded_memories import reload_code
from pcedge.export.engine.memories import memories_code
from pcedge.export.engine.resources import estimate_resources
from pcedge.export.program.image import capacity_of, image_words, make_image
from pcedge.export.program.lowering import lower
from pcedge.export.program.row_memories import stride_of
from pcedge.export.program.storage import cheapest_rows

SIZES = [EngineSize(1), EngineSize(8, 2), EngineSize(64, 3)]


@pytest.mark.parametrize(
    "length, columns, stride", [(5, 1, 5), (1, 4, 4), (2, 4, 8), (5, 4, 8), (6, 4, 12), (16, 8, 24)]
)
def test_a_row_has_room_for_any_turn(length: int, columns: int, stride: int) -> None:
    assert stride_of(length, columns) == stride
    assert stride % columns == 0 and length + columns - 1 <= stride < length + 2 * columns - 1


@pytest.mark.parametrize("shape", SIZES)
def test_an_image_holds_whole_matrices(shape: EngineSize) -> None:
    circuit = special("row table")
    plain = replace(circuit, row_lengths=())
    image, expected = make_image(circuit, shape), make_image(plain, shape)
    for name, values in expected.sections.items():
        assert_array_equal(image.sections[name], values)
    capacity = capacity_of([circuit], shape)
    assert capacity == capacity_of([plain], shape)
    assert_array_equal(image_words(circuit, capacity), image_words(plain, capacity))
    assert "row_table = false" in reload_code(capacity)[0]


@pytest.mark.parametrize("shape", SIZES)
def test_beats_are_those_of_matrices(shape: EngineSize) -> None:
    circuit = special("row table")
    plain = replace(circuit, row_lengths=())
    for job in ("likelihood", "encode", "decode"):
        assert count_cycles(circuit, shape, job, 4) == count_cycles(plain, shape, job, 4)


def test_resources_grow_with_the_rows_of_a_tile() -> None:
    circuit = special("row table")
    more = []
    for macs in (4, 16, 64):
        with_table, without = (
            estimate_resources(lower(one, shape=EngineSize(macs)), "7-series").blocks["weights"]
            for one in (circuit, replace(circuit, row_lengths=()))
        )
        more.append(with_table.lut - without.lut)
    assert 0 < more[0] < more[1] < more[2]


def test_a_circuit_without_a_table_asks_for_none() -> None:
    header, source = memories_code(lower(special("one table")))
    assert "row_table = false" in header and "row_table0_" not in source and "turned_0" not in source


def test_an_engine_stores_whole_matrices_where_copies_of_a_table_take_more() -> None:
    """One row a matrix, so a table pays at one mac; a tile of 64 rows takes 32 copies of it."""
    circuit = special("row table")
    plain = replace(circuit, row_lengths=())
    stored = {}
    for macs in (1, 4, 1024):
        shape = EngineSize(macs)
        program = cheapest_rows(circuit, shape)
        stored[macs] = program.circuit.row_lengths
        least = min(lower(one, shape=shape).memory_bits()["rom"] for one in (circuit, plain))
        assert macs == 1 or lower(program, shape=shape).memory_bits()["rom"] == least
        assert program.circuit.digest == circuit.digest
    assert stored[1] == circuit.row_lengths and stored[1024] == ()
