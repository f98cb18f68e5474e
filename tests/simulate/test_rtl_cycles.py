"""The cycle model of the engine in SystemVerilog: what it counts is what Verilator counts, job after job."""

from pathlib import Path

import numpy as np
import pytest
from helpers.nightly import cases
from helpers.rtl_jobs import demand_equal, drawn
from helpers.rtl_units import needs_verilator

from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import UsageError
from pcedge.export import RtlSize, load_zoo
from pcedge.export.rtl import timing
from pcedge.export.rtl.coded import code_streams
from pcedge.export.rtl.cycles import CycleModel
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.export.rtl.tries import first_tries, tries_of
from pcedge.schedule.steps import Interval


@pytest.mark.rtl
@needs_verilator
class TestEqualsVerilator:
    @pytest.mark.nightly
    def test_digits(self, tmp_path: Path) -> None:
        demand_equal(load_zoo("digits"), RtlSize(16, 8, 4, 2), tmp_path / "digits", (8, 20))

    @pytest.mark.parametrize(
        ("seed", "coder", "tails", "size"),
        cases(
            [(4, "wide", True, (8, 3, 4, 1))],
            [
                *((seed, "wide", True, (8, 3, 4, 1)) for seed in range(4, 7)),
                (4, "small", False, (1, 1, 1, 1)),
                # a pass of one beat behind a longer one: its interval was lost once, and decoding stood still
                (5, "small", True, (4, 5, 2, 2)),
                (1, "wide", False, (64, 2, 8, 4)),
                (2, "small", True, (32, 4, 32, 2)),
                (3, "wide", False, (16, 8, 4, 4)),
                (6, "wide", True, (4, 16, 4, 4)),
                (8, "wide", False, (16, 64, 16, 8)),
            ],
        ),
    )
    def test_steps_of_every_kind(
        self, tmp_path: Path, seed: int, coder: str, tails: bool, size: tuple[int, int, int, int]
    ) -> None:
        demand_equal(drawn(seed, coder, tails), RtlSize(*size), tmp_path / "project", (1, 5, 23))

    def test_a_wrong_latency_is_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timing, "WRITTEN", timing.WRITTEN + 1)
        with pytest.raises(AssertionError):
            demand_equal(drawn(4, "wide", True), RtlSize(8, 3, 4, 1), tmp_path / "project", (1,))


class TestModel:
    def test_passes_end_so_far_apart_that_no_interval_is_lost(self) -> None:
        circuit = drawn(5, "small", True)
        assert [lower_rtl(circuit, RtlSize(*size)).pass_gap for size in ((4, 5, 2, 2), (4, 5, 2, 1))] == [1, 0]
        assert lower_rtl(circuit, RtlSize(4, 5, 2, 2, shared_product=True)).pass_gap == 7

    def test_refuses_a_job_that_is_not_built(self) -> None:
        model = CycleModel(lower_rtl(drawn(4, "wide", True), RtlSize(4, 2, 2, 2), jobs=["encode"]))
        assert model.count("encode", [1, 1]) > 0
        with pytest.raises(UsageError, match="the job must be one that the engine is built for, encode, got decode"):
            model.count("decode", [1, 1])

    def test_a_job_without_records_ends_at_once(self) -> None:
        model = CycleModel(lower_rtl(drawn(4, "wide", True), RtlSize(4, 2, 2, 2)))
        assert [model.count(job, [0, 0]) for job in ("likelihood", "encode", "decode")] == [1, 1, 1]

    def test_refuses_what_is_no_job(self) -> None:
        model = CycleModel(lower_rtl(drawn(4, "wide", True), RtlSize(4, 2, 2, 2)))
        with pytest.raises(UsageError, match="the job must be one of likelihood, encode, decode, sample, got 'score'"):
            model.count("score", [1, 1])
        with pytest.raises(UsageError, match="records must be one number for each of 2 streams, got 1"):
            model.count("encode", [1])
        for wrong in (-1, 1.5):
            said = f"records of a stream must be a whole number of at least 0, got {wrong}"
            with pytest.raises(UsageError, match=said):
                model.count("likelihood", [1, wrong])

    def test_digits_are_those_of_the_coder(self) -> None:
        circuit = drawn(5, "small", True)
        engine = ReferenceEngine(circuit)
        records = engine.sample(9, seed=1)
        streams = code_streams(engine, records, 4, first_tries(circuit))
        assert [stream.size for stream in streams] == [len(lane) for lane in encode_lanes(engine, records, 4)]
        assert [sum(stream.used) + 1 for stream in streams] == [stream.size for stream in streams]

    def test_a_search_begins_with_what_is_likely(self) -> None:
        circuit = drawn(5, "small", True)
        assert circuit.cardinalities[0] == 4 and circuit.widths.cardinality == 9
        engine = ReferenceEngine(circuit)
        firsts = first_tries(circuit)
        order = [step.variable for step in engine.program.code.steps if isinstance(step, Interval)]
        records = np.tile(np.array(firsts), (4, 1))
        # the one of 4 that is tried first, then those behind it, and before
        records[:, 0] = [firsts[0], *(symbol for symbol in range(4) if symbol != firsts[0])]
        found = [code_streams(engine, record[None], 1, firsts)[0].tries for record in records]
        assert [tries[order.index(0)] for tries in found] == [1, *np.delete(tries_of(4)[firsts[0]], firsts[0])]
        assert all(count == 1 for tries in found for at, count in enumerate(tries) if at != order.index(0))
