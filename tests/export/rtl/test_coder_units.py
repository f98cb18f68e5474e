"""Units of intervals and of the range coder against their conformance vectors and the reference."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.rtl_units import CODER_UNITS, needs_verilator
from helpers.units import join, split
from helpers.vector_files import Row, cut, rows_of

from pcedge import arithmetic
from pcedge.engines.range_coder import RangeEncoder

pytestmark = [pytest.mark.rtl, needs_verilator]

CODERS = (16, 24)
PROBE, TAKE, LOAD, TRY = range(4)


def widths(scale_bits: int) -> arithmetic.Widths:
    """Make widths of a circuit with one symbol."""
    return arithmetic.Widths(8, 12, 16, scale_bits, 2 * scale_bits, 1, cardinality=2, terms=1)


class TestLeaf:
    @pytest.mark.parametrize("bits", range(8, 17))
    def test_conformance_of_tails(self, bits: int) -> None:
        cases = [row for row in rows_of("tails") if row["leaf_bits"] == bits]
        assert len(cases) == 32
        rng = np.random.default_rng(bits)
        stimuli = []
        for case in cases:
            below = rng.integers(0, (1 << bits) - case["count"] + 1, 4)
            stimuli.append({"in_below": join(below.tolist(), bits + 1), "in_tails": 1, "in_exponent": case["tail"],
                            "in_above": join((below + case["count"]).tolist(), bits + 1)})  # fmt: skip
        trace = CODER_UNITS.run({f"leaf_{bits}": stimuli}, gap=50)[f"leaf_{bits}"]
        assert trace.latencies() == {2}
        for case, got in zip(cases, trace.outputs, strict=True):
            assert split(got["out_entries"], bits + 16, 4) == [case["entry"]] * 4

    def test_counts_and_missing_symbols(self) -> None:
        rng = np.random.default_rng(2)
        tables = np.sort(rng.integers(0, 4097, (200, 4, 2)))
        stimuli = [
            {"in_below": join(t[:, 0].tolist(), 13), "in_above": join(t[:, 1].tolist(), 13), "in_missing": n % 5 == 0}
            for n, t in enumerate(tables)
        ]
        for n, got in enumerate(CODER_UNITS.run({"leaf_plain": stimuli})["leaf_plain"].outputs):
            expected = [4096] * 4 if n % 5 == 0 else (tables[n, :, 1] - tables[n, :, 0]).tolist()
            assert split(got["out_entries"], 13, 4) == expected

    def test_nested_tables(self) -> None:
        rng = np.random.default_rng(3)
        masters = np.sort(rng.integers(0, 4097, (4, 9)), axis=1)
        masters[:, 0], masters[:, -1] = 0, 4096
        number, shift = rng.integers(0, 4, 4), rng.integers(0, 2000, 4)
        scale = np.array([0, 4096 - shift[1], 2048, 100])
        stimuli = [
            {"in_first": x == 0, "in_last": x == 8, "in_master": join(masters[number, x].tolist(), 13),
             "in_shift": join(shift.tolist(), 13), "in_scale": join(scale.tolist(), 13)}
            for x in range(9)
        ]  # fmt: skip
        expected = arithmetic.nested_tables(masters, number, shift, scale, 12)
        trace = CODER_UNITS.run({"nested": stimuli})["nested"]
        assert trace.latencies() == {3}
        assert [split(got["out_entries"], 13, 4) for got in trace.outputs] == expected.T.tolist()


class TestIntervals:
    def test_reciprocal_conformance_and_all_divisors(self) -> None:
        cases = list(rows_of("reciprocal"))
        assert len(cases) > 600
        divisors = np.arange(2**15, 2**16 + 1, 7)
        stimuli = [{"in_divisor": case["divisor"]} for case in cases] + [{"in_divisor": int(d)} for d in divisors]
        trace = CODER_UNITS.run({"reciprocal": stimuli})["reciprocal"]
        expected = [case["result"] for case in cases] + arithmetic.reciprocal(divisors).tolist()
        assert [got["out_result"] for got in trace.outputs] == expected
        assert trace.latencies() == {6}

    @pytest.mark.parametrize("scale_bits", CODERS)
    @pytest.mark.parametrize("sum_bits", [8, 23])
    def test_scale_conformance(self, scale_bits: int, sum_bits: int) -> None:
        cases = [r for r in rows_of("interval") if r["scale_bits"] == scale_bits and sum(r["context"]) < 1 << sum_bits]
        assert len(cases) > 50
        stimuli = [
            {"in_tag": n & 255, "in_total": sum(c["context"]), "in_floors": c["cardinality"] * c["floor"]}
            for n, c in enumerate(cases)
        ]
        name = f"scale_{scale_bits}_{sum_bits}"
        trace = CODER_UNITS.run({name: stimuli}, gap=20)[name]
        assert trace.latencies() == {15}
        for n, (case, got) in enumerate(zip(cases, trace.outputs, strict=True)):
            amount = sum_bits - got["out_zeros"] + case["leaf_bits"] - (scale_bits + 2)
            assert (amount, got["out_scale"], got["out_tag"]) == (case["amount"], case["scale"], n & 255), case

    @pytest.mark.parametrize(
        ("name", "scale_bits", "leaf_bits", "latency"),
        [
            *((f"interval_{p}_{bits}", p, bits, 21) for p in CODERS for bits in (8, 12, 16)),
            *((f"shared_interval_{p}_{bits}", p, bits, 27) for p, bits in ((16, 8), (24, 12), (24, 16))),
        ],
    )
    def test_bound_conformance(self, name: str, scale_bits: int, leaf_bits: int, latency: int) -> None:
        cases = [r for r in rows_of("interval") if (r["scale_bits"], r["leaf_bits"]) == (scale_bits, leaf_bits)]
        assert len(cases) > 70
        stimuli = [{"in_tag": n & 255, "in_total": sum(case["context"]), "in_lower": case["weighted"],
                    "in_upper": case["weighted"], "in_below": case["symbol"] * case["floor"], "in_floor": case["floor"],
                    "in_floors": case["cardinality"] * case["floor"]} for n, case in enumerate(cases)]  # fmt: skip
        for gap in (0, 128):
            trace = CODER_UNITS.run({name: stimuli}, gap=gap)[name]
            assert trace.latencies() == {latency}
            for n, (case, got) in enumerate(zip(cases, trace.outputs, strict=True)):
                assert (got["out_start"], got["out_tag"]) == (case["bound"], n & 255), case
                assert got["out_end"] == case["bound"] + case["floor"], case

    @pytest.mark.parametrize(
        "name",
        ["interval_24_12", "interval_16_12", "interval_16_parts", "shared_interval_24_12", "shared_interval_16_12"],
    )
    def test_random_intervals(self, name: str) -> None:
        """Both ends of symbols of random mixtures, of variables with different numbers of symbols."""
        leaf_bits, p, state_bits = (9, 24, 8) if name.endswith("parts") else (12, int(name.split("_")[-2]), 16)
        rng = np.random.default_rng(7)
        stimuli, expected = [], []
        for _ in range(150):
            units, cardinality = int(rng.integers(1, 17)), int(rng.integers(1, 300))
            context = rng.integers(0, 1 << int(rng.integers(1, state_bits + 1)), units) + (rng.random() < 0.5)
            context[0] = max(1, context[0])
            tables = np.sort(rng.integers(0, (1 << leaf_bits) + 1, (units, cardinality + 1)), axis=1)
            tables[:, 0], tables[:, -1] = 0, 1 << leaf_bits
            floor = int(rng.integers(1, (1 << (p - 1)) // cardinality + 1))
            w = arithmetic.Widths(8, leaf_bits, state_bits, p, 2 * p, floor, cardinality, 16)
            symbol = int(rng.integers(0, cardinality))
            ends = [int(context @ tables[:, symbol + k]) for k in (0, 1)]
            amount, scale = arithmetic.interval_scale(context[:, None], cardinality, w)
            expected.append([
                int(arithmetic.interval_bound(np.array([q]), np.array([symbol + k]), amount, scale, w)[0])
                for k, q in enumerate(ends)
            ])  # fmt: skip
            stimuli.append({"in_total": int(context.sum()), "in_lower": ends[0], "in_upper": ends[1],
                            "in_below": symbol * floor, "in_floor": floor,
                            "in_floors": cardinality * floor})  # fmt: skip
        outputs = CODER_UNITS.run({name: stimuli}, gap=60)[name].outputs
        assert [[got["out_start"], got["out_end"]] for got in outputs] == expected


class TestRangeSteps:
    @pytest.mark.parametrize(
        ("name", "p"),
        [
            ("narrow_16", 16),
            ("narrow_24", 24),
            ("narrow_16_parts", 24),
            ("shared_narrow_16", 16),
            ("shared_narrow_24", 24),
        ],
    )
    @pytest.mark.parametrize("gap", [0, 128])
    def test_encode_conformance(self, name: str, p: int, gap: int) -> None:
        cases = [row for row in rows_of("encode") if row["scale_bits"] == p]
        assert len(cases) == 160
        stimuli = [
            {"in_tag": n, "in_low": c["low"], "in_range": c["range"], "in_start": c["start"], "in_end": c["end"]}
            for n, c in enumerate(cases)
        ]
        flushes = [{"in_low": case["new_low"], "in_range": case["new_range"], "in_flush": 1} for case in cases]
        trace = CODER_UNITS.run({name: stimuli + flushes}, gap=gap)[name]
        assert trace.latencies() == {7}
        for n, (case, got) in enumerate(zip(cases, trace.outputs, strict=False)):
            assert (got["out_low"], got["out_range"], got["out_tag"]) == (case["new_low"], case["new_range"], n), case
            assert self.digits(got, p) == case["digits"], case
        for case, got in zip(cases, trace.outputs[160:], strict=True):
            assert self.digits(got, p) == [case["flush"]] and got["out_flush"], case

    @staticmethod
    def digits(got: dict[str, int], p: int) -> list[int]:
        """Read the digits that left."""
        found = list((got["out_bytes"]).to_bytes(p // 8, "big"))[: got["out_count"]]
        return [found[0] | got["out_carry"] << 8, *found[1:]] if found else []

    @staticmethod
    def takes(cases: list[Row], p: int) -> list[dict[str, int]]:
        return [
            {"in_tag": n, "in_operation": TAKE, "in_offset": c["offset"], "in_range": c["range"],
             "in_start": c["start"], "in_end": c["end"], "in_bytes": int.from_bytes(bytes(c["bytes"]), "big"),
             "in_hold": n & 1}
            for n, c in enumerate(cases)
        ]  # fmt: skip

    @pytest.mark.parametrize("p", CODERS)
    @pytest.mark.parametrize("gap", [0, 128])
    @pytest.mark.parametrize("kind", ["locate", "shared_locate"])
    def test_decode_conformance(self, kind: str, p: int, gap: int) -> None:
        cases = [row for row in rows_of("decode") if row["scale_bits"] == p]
        assert len(cases) == 160
        trace = CODER_UNITS.run({f"{kind}_{p}": self.takes(cases, p)}, gap=gap)[f"{kind}_{p}"]
        assert trace.latencies() == {9}
        for n, (case, got) in enumerate(zip(cases, trace.outputs, strict=True)):
            assert (got["out_offset"], got["out_range"]) == (case["new_offset"], case["new_range"]), case
            assert (got["out_used"], got["out_left"], got["out_tag"]) == (case["used"], 0, n)

    @pytest.mark.parametrize("p", CODERS)
    def test_an_offset_that_leaves_its_range_is_told_and_held(self, p: int) -> None:
        rng = np.random.default_rng(p)
        cases = [row for row in rows_of("decode") if row["scale_bits"] == p]
        for case in cases:
            over = (case["range"] >> p) * case["end"]
            case["offset"] = min((1 << 2 * p) - 1, over + int(rng.choice((0, 1, 1 << p, (1 << p) - 1, 2**63 >> 1))))
        outputs = CODER_UNITS.run({f"locate_{p}": self.takes(cases, p)})[f"locate_{p}"].outputs
        for n, (case, got) in enumerate(zip(cases, outputs, strict=True)):
            width = (case["range"] >> p) * (case["end"] - case["start"])
            offset = width - 1 if n & 1 else case["offset"] - (case["range"] >> p) * case["start"]
            moved = offset << 8 * case["used"] | int.from_bytes(bytes(case["bytes"][: case["used"]]), "big")
            left = offset >= width or n & 1
            assert (got["out_offset"], got["out_left"]) == (moved % (1 << 2 * p), left), case

    @pytest.mark.parametrize("p", CODERS)
    def test_probes(self, p: int) -> None:
        """A bound that the position has just reached, has just not, and any."""
        rng = np.random.default_rng(p)
        stimuli, expected = [], []
        for case in (row for row in rows_of("decode") if row["scale_bits"] == p):
            unit = case["range"] >> p
            for bound in (case["start"], case["end"], case["offset"] // unit, case["offset"] // unit + 1,
                          int(rng.integers(0, (1 << p) + 1))):  # fmt: skip
                bound = min(bound, 1 << p)
                stimuli.append({"in_offset": case["offset"], "in_range": case["range"], "in_start": bound,
                                "in_unit": unit, "in_bound": bound})  # fmt: skip
                expected.append(int(unit * bound <= case["offset"]))
        both = {name: [{key: s[key] for key in s if key in CODER_UNITS.units[name].inputs} for s in stimuli]
                for name in (f"probe_{p}", f"located_probe_{p}", f"shared_probe_{p}")}  # fmt: skip
        assert 0.2 < np.mean(expected) < 0.8
        for name, trace in CODER_UNITS.run(both, gap=10).items():
            assert [got.get("out_reached", got.get("probe_reached")) for got in trace.outputs] == expected, name
            assert trace.latencies() == {6}

    @pytest.mark.parametrize("p", CODERS)
    def test_tries(self, p: int) -> None:
        """The symbol's own interval, those beside it and any, of the highest symbol too, which nothing lies above."""
        rng = np.random.default_rng(p)
        stimuli, expected = [], []
        for n, case in enumerate(row for row in rows_of("decode") if row["scale_bits"] == p):
            unit, start, end, full = case["range"] >> p, case["start"], case["end"], 1 << p
            offset, near = case["offset"], case["offset"] // unit
            ends = [(start, end), (end, full), (0, start), (near, near + 1), (near + 1, full), (max(near - 1, 0), near)]
            ends.append(tuple(sorted(int(any_) for any_ in rng.choice(full, 2, replace=False))))
            for low, high in ends:
                if not low < high <= full:
                    continue
                top = len(stimuli) % 3 == 0
                stimuli.append({"in_tag": n, "in_operation": TRY, "in_offset": offset, "in_range": case["range"],
                                "in_start": low, "in_end": high, "in_hold": 1, "in_top": int(top)})  # fmt: skip
                below, above = offset < unit * low, offset >= unit * high and not top
                expected.append((n, int(not (below or above)), int(below), int(above)))
        for name in (f"tries_{p}", f"shared_tries_{p}"):
            trace = CODER_UNITS.run({name: stimuli}, gap=10)[name]
            assert [tuple(got.values()) for got in trace.outputs] == expected, name
            assert trace.latencies() == {9}
        # a symbol, and each side, often
        assert min(np.mean([each[1:] for each in expected], axis=0)) > 0.15


Operations = list[tuple[int, int | None, int]]


def lanes_of(outputs: list[dict[str, int]], streams: int) -> list[list[bytes]]:
    """Collect the bytes of every stream's lanes."""
    done: list[list[bytes]] = [[] for _ in range(streams)]
    begun = [bytearray() for _ in range(streams)]
    for got in outputs:
        begun[got["out_stream"]].append(got["out_byte"])
        if got["out_last"]:
            done[got["out_stream"]].append(bytes(begun[got["out_stream"]]))
            begun[got["out_stream"]].clear()
    assert not any(begun), "every lane must end"
    return done


def intervals(rng: np.random.Generator, count: int, p: int) -> list[tuple[int, int]]:
    """Draw intervals: narrow, wide, at the ends."""
    out = []
    for _ in range(count):
        size = int(rng.choice((1, 2, 200, 1 << (p - 1), (1 << p) - 1, int(rng.integers(1, 1 << p)))))
        start = int(rng.choice((0, (1 << p) - size, int(rng.integers(0, (1 << p) - size + 1)))))
        out.append((start, start + size))
    return out


class TestLanes:
    @pytest.mark.parametrize("p", CODERS)
    @pytest.mark.parametrize("streams", [1, 5])
    @pytest.mark.parametrize("stall", [0, 150])
    def test_lanes_equal_the_reference(self, p: int, streams: int, stall: int) -> None:
        rng = np.random.default_rng(p + streams)
        stimuli, expected = [], [[] for _ in range(streams)]
        for _ in range(4):
            drawn = [intervals(rng, int(rng.integers(1, 60)), p) for _ in range(streams)]
            for place in range(61):
                for stream, lane in enumerate(drawn):
                    if place < len(lane):
                        stimuli.append({"in_stream": stream, "in_start": lane[place][0], "in_end": lane[place][1]})
                    elif place == len(lane):
                        stimuli.append({"in_stream": stream, "in_flush": 1})
            for stream, lane in enumerate(drawn):
                encoder = RangeEncoder(1, widths(p))
                for start, end in lane:
                    encoder.encode(np.array([start]), np.array([end]))
                expected[stream].append(encoder.finish()[0])
        name = f"lanes_{p}_{streams}"
        assert lanes_of(CODER_UNITS.run({name: stimuli}, stall=stall)[name].outputs, streams) == expected

    @pytest.mark.parametrize("p", CODERS)
    def test_runs_that_a_carry_goes_through_and_not(self, p: int) -> None:
        """Digits of two streams in turn: runs of ff, each ended by a carry, by none, by the end of the lane."""
        rng = np.random.default_rng(p)
        lanes: list[list[int]] = [[], []]
        stimuli = []
        ends = []
        for length in (0, 1, 2, 3, 4, 300):
            for end in range(3):
                for first in ([], [7]):
                    digits = [*first, *[255] * length, *([256 + 3], [9], [])[end]]
                    if digits and not (end == 0 and not first):
                        ends.append(digits)
        for number, digits in enumerate(ends):
            stream = number & 1
            place = 0
            while place < len(digits):
                # a carry comes with the first digit of an operation only
                count = int(rng.integers(1, p // 8 + 1))
                part = digits[place : place + 1]
                while len(part) < count and place + len(part) < len(digits) and digits[place + len(part)] < 256:
                    part.append(digits[place + len(part)])
                place += len(part)
                flush = place == len(digits)
                if flush and len(part) > 1:  # the last digit comes alone
                    place, flush, part = place - 1, False, part[:-1]
                word = int.from_bytes(bytes(d & 255 for d in part), "big") << (p - 8 * len(part))
                stimuli.append({"in_stream": stream, "in_flush": flush, "in_count": len(part), "in_carry": part[0] >> 8,
                                "in_bytes": word})  # fmt: skip
                if number % 7 == 3:
                    stimuli.append({"in_stream": 1 - stream, "in_count": 0})
            total = sum(digit << 8 * k for k, digit in enumerate(reversed(digits)))
            lanes[stream].append(total.to_bytes(len(digits), "big"))  # type: ignore[arg-type]
        for stall in (0, 128):
            outputs = CODER_UNITS.run({f"carry_{p}": stimuli}, stall=stall)[f"carry_{p}"].outputs
            assert lanes_of(outputs, 2) == lanes

    @pytest.mark.parametrize("p", CODERS)
    def test_decoder_finds_what_was_encoded(self, p: int) -> None:
        """Three lanes: two LOADs, then for every symbol probes at its ends and a TAKE with the next bytes."""
        rng = np.random.default_rng(p)
        lanes, drawn = [], [intervals(rng, 40, p) for _ in range(3)]
        for lane in drawn:
            encoder = RangeEncoder(1, widths(p))
            for start, end in lane:
                encoder.encode(np.array([start]), np.array([end]))
            lanes.append(encoder.finish()[0] + bytes(2 * p))
        size = p // 8
        stimuli, expected, states = [], [], [(0, 0)] * 3
        places = [0] * 3

        def operate(stream: int, **values: int) -> None:
            part = lanes[stream][places[stream] : places[stream] + size]
            stimuli.append({"in_stream": stream, "in_bytes": int.from_bytes(part, "big"), **values})

        for _ in range(2):
            for stream in range(3):
                operate(stream, in_operation=LOAD)
                places[stream] += size
                states[stream] = (int.from_bytes(lanes[stream][: places[stream]], "big"), (1 << 2 * p) - 1)
        for place in range(40):
            for stream in range(3):
                start, end = drawn[stream][place]
                offset, width = states[stream]
                for bound in (start, end):
                    operate(stream, in_operation=PROBE, in_start=bound)
                    expected.append(int((width >> p) * bound <= offset))
                assert expected[-2:] == [1, 0]
            for stream in range(3):
                start, end = drawn[stream][place]
                offset, width = states[stream]
                operate(stream, in_operation=TAKE, in_start=start, in_end=end)
                offset, width = offset - (width >> p) * start, (width >> p) * (end - start)
                while width < 1 << (2 * p - 8):
                    offset, width = offset << 8 | lanes[stream][places[stream]], width << 8
                    places[stream] += 1
                states[stream] = offset, width
        spaced = [s for values in stimuli for s in (values, *[None] * 9)]
        probes = CODER_UNITS.run({f"decoder_probe_{p}": spaced})[f"decoder_probe_{p}"].outputs
        assert [got["probe_reached"] for got in probes] == expected
        outs = CODER_UNITS.run({f"decoder_out_{p}": spaced})[f"decoder_out_{p}"].outputs
        assert sum(out["out_used"] for out in outs) == sum(places)
        assert not any(out["out_left"] for out in outs)


class TestScore:
    @pytest.mark.parametrize("bits", range(8, 17))
    def test_conformance(self, bits: int) -> None:
        cases = [row for row in rows_of("score") if row["state_bits"] == bits]
        assert len(cases) > 120
        stimuli = [{"in_mantissa": case["mantissa"], "in_exponent": case["exponent"]} for case in cases]
        trace = CODER_UNITS.run({f"score_{bits}": stimuli}, gap=10)[f"score_{bits}"]
        assert trace.latencies() == {4}
        assert [got["out_score"] for got in trace.outputs] == [case["score"] for case in cases]

    def test_limits(self) -> None:
        rng = np.random.default_rng(5)
        mantissas = rng.integers(2**15, 2**16, 400)
        exponents = rng.choice((-15, -16, 0, 3, -(2**24) - 15, -(2**24) - 14, -(2**24) - 13, -(2**30), -4000), 400)
        expected = arithmetic.score(mantissas, exponents, 16).tolist()
        stimuli = [{"in_mantissa": int(m), "in_exponent": int(e)} for m, e in zip(mantissas, exponents, strict=True)]
        assert [got["out_score"] for got in CODER_UNITS.run({"score_16": stimuli})["score_16"].outputs] == expected


def test_every_file_of_vectors_is_read() -> None:
    """What is named here is read by a unit's test; the predictor stage's are not of these units."""
    read = {"accumulate", "align", "decode", "encode", "interval", "kept_align", "kept_mix", "kept_normalise",
            "kept_product", "normalise", "reciprocal", "score", "tails"}  # fmt: skip
    from helpers.paths import VECTORS

    assert {file.stem for file in VECTORS.glob("*.csv")} - read == {"adaptation", "prediction", "token"}
    assert cut([1, 2, 3], 2) == [[1, 2], [3]]
