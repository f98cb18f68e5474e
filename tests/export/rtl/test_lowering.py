"""The lowering to rows: what they compute is what the reference computes, and no part of a vector is misplaced."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.nightly import examples
from helpers.rtl_replay import Replay
from helpers.special import special
from hypothesis import given
from hypothesis import strategies as st
from strategies import integer_circuits, records_for

from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.export.rtl.rows import Shape, place_rows
from pcedge.export.rtl.size import RtlSize
from pcedge.integer import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Interval

SIZES = [RtlSize(1, 1, 1, 1), RtlSize(4, 2, 2, 1), RtlSize(8, 2, 4, 2), RtlSize(16, 4, 4, 2), RtlSize(64, 4, 16, 4)]


def replayed(circuit: IntegerCircuit, size: RtlSize, records: np.ndarray) -> None:
    """Demand the reference's likelihoods and intervals of every record."""
    image, engine = lower_rtl(circuit, size), ReferenceEngine(circuit)
    mantissa, exponent = engine.likelihood(records)
    for number, record in enumerate(records):
        assert Replay(image, record).run(0) == (mantissa[number], exponent[number])
    whole = records[(records >= 0).all(axis=1)]
    low, high = engine.intervals(whole)
    for number, record in enumerate(whole):
        replay = Replay(image, record)
        replay.run(1)
        found = [replay.intervals[variable] for variable in circuit.order]
        assert found == list(zip(low[number].tolist(), high[number].tolist(), strict=True))


class TestRows:
    @examples(60, 1000)
    @given(st.data())
    def test_rows_compute_what_the_schedules_say(self, data: st.DataObject) -> None:
        circuit = data.draw(integer_circuits(8, 6))
        size = data.draw(st.sampled_from(SIZES))
        records = data.draw(records_for(circuit, 3, missing=data.draw(st.booleans()), min_records=1))
        replayed(circuit, size, records)

    @pytest.mark.parametrize(
        "name", ["sparse sums", "mixed cardinalities", "certain children", "unequal latents", "one table"]
    )
    def test_corners(self, name: str) -> None:
        circuit = special(name)
        dice = np.random.default_rng(1)
        records = np.stack([dice.integers(-1, symbols, 4) for symbols in circuit.cardinalities], axis=1)
        records[:2] = np.maximum(records[:2], 0)
        replayed(circuit, RtlSize(16, 4, 4, 2), records)


class TestPlaces:
    @examples(40, 400)
    @given(st.data())
    def test_parts_begin_rows_and_values_do_not_meet(self, data: st.DataObject) -> None:
        program = Program.of(data.draw(integer_circuits(8, 6)))
        lanes = data.draw(st.sampled_from((1, 2, 4, 8)))
        for schedule in (program.likelihood, program.code):
            placed = place_rows(schedule, lanes)
            taken: dict[int, set[int]] = {}
            for step, frees in zip(schedule.steps, schedule.frees, strict=True):
                for source in step.sources:
                    shape, first = placed.part(source)
                    assert sum(shape.segments) == source.units
                    assert set(range(first, first + shape.rows)) <= taken[source.value]
                if not isinstance(step, Interval):
                    first, rows = placed.places[step.target][0], placed.shape(step.target).rows
                    own = set(range(first, first + rows))
                    assert max(own) < placed.rows
                    assert not any(own & other for other in taken.values())
                    taken[step.target] = own
                for value in frees:
                    del taken[value]

    def test_segments_begin_rows(self) -> None:
        shape = Shape((3, 5, 1), 4)
        assert shape.rows == 4
        assert shape.positions.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 12]
        assert all(a < b for a, b in pairwise(shape.positions.tolist()))


class TestSize:
    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ((12, 1, 2, 1), "macs must be a power of two in 1..4096, got 12"),
            ((16, 1, 32, 1), "lanes must be a power of two in 4..16, got 32"),
            ((16, 1, 2, 1), "lanes must be a power of two in 4..16, got 2"),
            ((16, 1, 4, 8), "table_lanes must be a power of two in 1..4, got 8"),
            ((16, 65, 4, 2), "streams must be in 1..64, got 65"),
        ],
    )
    def test_refuses(self, values: tuple[int, int, int, int], text: str) -> None:
        with pytest.raises(UsageError, match=text):
            RtlSize(*values)
