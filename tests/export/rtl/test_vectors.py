"""Units over vectors against their conformance vectors and the reference."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.rtl_units import KEPT_LANES, LANES, ROWS, VECTOR_UNITS, WIDE, needs_verilator
from helpers.units import join, signed, split
from helpers.vector_files import Row, cut, rows_of

from pcedge import arithmetic, tails

pytestmark = [pytest.mark.rtl, needs_verilator]


def normalise_stimuli(case: Row, lanes: int, number: int, width: int = WIDE) -> list[dict[str, int]]:
    """Make the rows of one vector."""
    rows = cut(case["accumulated"], lanes)
    common = {"in_exponent": case["exponent"], "in_revive": case.get("revive", 0), "in_keep": case.get("keep", 0),
              "in_lift": case.get("lift", 0)}  # fmt: skip
    return [
        {"in_last": 1, **common} | {"in_last": int(k == len(rows) - 1), "in_tag": number & 255,
         "in_used": (1 << len(row)) - 1, "in_entries": join(row, width)}
        for k, row in enumerate(rows)
    ]  # fmt: skip


def check_normalise(unit: str, cases: list[Row], state_bits: int, lanes: int, width: int = WIDE, **how: int) -> None:
    """Send vectors through a pc_normalise and compare."""
    stimuli = [s for n, case in enumerate(cases) for s in normalise_stimuli(case, lanes, n, width)]
    outputs = iter(VECTOR_UNITS.run({unit: stimuli}, **how)[unit].outputs)
    for number, case in enumerate(cases):
        rows = cut(case["mantissa"], lanes)
        for place, row in enumerate(rows):
            got = next(outputs)
            assert split(got["out_mantissas"], state_bits, lanes) == row + [0] * (lanes - len(row)), case
            assert signed(got["out_exponent"], 32) == case["new_exponent"], case
            assert (got["out_last"], got["out_tag"]) == (int(place == len(rows) - 1), number & 255), case
    assert not list(outputs)


class TestNormalise:
    @pytest.mark.parametrize("state_bits", range(8, 17))
    def test_conformance(self, state_bits: int) -> None:
        cases = [row for row in rows_of("normalise") if row["state_bits"] == state_bits]
        assert len(cases) > 30
        if state_bits in (13, 16):
            check_normalise(f"normalise_{state_bits}", cases, state_bits, LANES)
        short = [case for case in cases if len(case["accumulated"]) <= LANES]
        check_normalise(f"normalise_row_{state_bits}", short, state_bits, LANES, gap=100)

    @pytest.mark.parametrize("state_bits", range(8, 17))
    def test_conformance_where_what_is_possible_stays(self, state_bits: int) -> None:
        cases = [row | {"keep": 1} for row in rows_of("kept_normalise") if row["state_bits"] == state_bits]
        assert len(cases) > 15
        check_normalise(f"kept_normalise_{state_bits}", cases, state_bits, KEPT_LANES)
        plain = [row for row in rows_of("normalise") if row["state_bits"] == state_bits]
        check_normalise(f"kept_normalise_{state_bits}", plain, state_bits, KEPT_LANES)
        if state_bits == 16:
            short = [case for case in cases + plain if len(case["accumulated"]) <= KEPT_LANES]
            check_normalise("kept_normalise_row", short, 16, KEPT_LANES)

    @staticmethod
    def drawn(rng: np.random.Generator, lanes: int, rows: int, width: int, state_bits: int, keep: bool) -> Row:
        size = int(rng.integers(1, lanes * rows + 1))
        top = 1 << int(rng.integers(0, width + 1))
        entries = rng.integers(0, top, size) * (rng.random(size) < rng.choice((0.1, 1)))
        exponent = int(rng.choice((0, -5, -(2**30), -(2**31), 3 - 2**30)))
        revive = bool(rng.integers(2)) and not keep
        mantissa, moved = arithmetic.normalise(entries[:, None], np.array([exponent]), state_bits, revive, keep)
        return {"accumulated": entries.tolist(), "exponent": exponent, "revive": int(revive), "keep": int(keep),
                "mantissa": mantissa[:, 0].tolist(), "new_exponent": int(moved[0])}  # fmt: skip

    @pytest.mark.parametrize("gap", [0, 60, 200])
    @pytest.mark.parametrize("unit", ["normalise_13", "kept_normalise_13", "normalise_small"])
    def test_random_vectors_of_all_lengths_back_to_back(self, unit: str, gap: int) -> None:
        rng = np.random.default_rng(gap)
        lanes, rows, width, bits = {"normalise_small": (2, 3, 17, 8)}.get(unit, (LANES, ROWS, WIDE, 13))
        lanes = KEPT_LANES if unit.startswith("kept") else lanes
        keeps = [bool(k) for k in rng.integers(0, 2 if unit.startswith("kept") else 1, 200)]
        cases = [self.drawn(rng, lanes, rows, width, bits, keep) for keep in keeps]
        check_normalise(unit, cases, bits, lanes, width, gap=gap, seed=gap + 1)

    def test_latencies(self) -> None:
        case = {"accumulated": [3, 2, 1], "exponent": 0}
        for unit, latency in (("normalise_row_16", 5), ("kept_normalise_row", 6), ("normalise_16", 7),
                              ("kept_normalise_16", 8)):  # fmt: skip
            lanes = KEPT_LANES if unit.startswith("kept") else LANES
            stimuli = [s for n in range(20) for s in normalise_stimuli(case, lanes, n)]
            assert VECTOR_UNITS.run({unit: stimuli}, gap=80)[unit].latencies() == {latency}


def mix_stimuli(case: Row, rows: int, columns: int, weight_bits: int, state_bits: int) -> list[dict[str, int]]:
    """Cut a matrix into tiles, and give them target by target."""
    down = bool(case.get("transposed", 0))
    matrix = np.zeros((-(-case["rows"] // rows) * rows, -(-case["columns"] // columns) * columns), dtype=np.int64)
    matrix[: case["rows"], : case["columns"]] = np.array(case["weights"]).reshape(case["rows"], case["columns"])
    targets, sources = (columns, rows) if down else (rows, columns)
    parts = cut(case["vector"], sources)
    stimuli = []
    for target in range((matrix.shape[1] if down else matrix.shape[0]) // targets):
        for place, part in enumerate(parts):
            row, column = (place, target) if down else (target, place)
            tile = matrix[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
            stimuli.append({
                "in_first": int(place == 0), "in_last": int(place == len(parts) - 1), "in_down": int(down),
                "in_tag": target & 255, "in_weights": join(tile.ravel().tolist(), weight_bits),
                "in_vector": join(part, state_bits), "in_keep": case.get("keep", 0), "in_tails": case.get("tails", 0),
                "in_lift": case.get("lift", 0),
            })  # fmt: skip
    return stimuli


def check_mix(unit: str, rows: int, columns: int, cases: list[Row], **how: int) -> None:
    """Send products of matrices and vectors through a pc_mix and compare."""
    stimuli = [s for case in cases for s in mix_stimuli(case, rows, columns, 17, 16)]
    outputs = iter(VECTOR_UNITS.run({unit: stimuli}, **how)[unit].outputs)
    for case in cases:
        targets = columns if case.get("transposed", 0) else rows
        for place, row in enumerate(cut(case["result"], targets)):
            got = next(outputs)
            assert split(got["out_sums"], 40, columns) == row + [0] * (columns - len(row)), case
            assert got["out_tag"] == place & 255
    assert not list(outputs)


class TestMix:
    @pytest.mark.parametrize(("unit", "rows", "columns"), [("mix_square", 4, 4), ("mix_wide", 2, 4), ("mix_one", 1, 1)])
    def test_conformance(self, unit: str, rows: int, columns: int) -> None:
        cases = list(rows_of("accumulate", "result"))
        assert len(cases) > 300
        check_mix(unit, rows, columns, cases)
        check_mix(unit, rows, columns, cases[::7], gap=128)

    def test_conformance_where_what_is_possible_stays(self) -> None:
        kept = [row | {"keep": 1} for row in rows_of("kept_mix", "result")]
        assert len(kept) > 200
        # places beyond the matrix have tails too: their mantissas are zero
        check_mix("kept_mix", 2, 4, [self.without_empty_targets(case) for case in kept])
        check_mix("kept_mix", 2, 4, list(rows_of("accumulate", "result")))

    @staticmethod
    def without_empty_targets(case: Row) -> Row:
        """Fill up the targets of a matrix with tails, so that those beyond it have none."""
        if not case["tails"] or case["rows"] % 2 == 0:
            return case
        whole = case["weights"] + case["weights"][: case["columns"]]
        return case | {"rows": case["rows"] + 1, "weights": whole, "result": case["result"] + case["result"][:1]}

    @pytest.mark.parametrize("lift", [1, 5])
    def test_lifted_weights_and_tails(self, lift: int) -> None:
        """A step whose weights are all shifted gives sums that are."""
        cases = [
            row | {"keep": 1, "lift": lift, "weights": [w << lift for w in row["weights"]],
                   "result": [r << lift for r in row["result"]]}
            for row in map(self.without_empty_targets, rows_of("kept_mix", "result")) if row["weight_bits"] + lift <= 16
        ]  # fmt: skip
        check_mix("kept_mix", 2, 4, cases)

    def test_latencies(self) -> None:
        once = {"in_first": 1, "in_last": 1}
        for unit, latency in (("mix_square", 6), ("mix_wide", 5), ("mix_one", 4), ("kept_mix", 7)):
            assert VECTOR_UNITS.run({unit: [once] * 50}, gap=80)[unit].latencies() == {latency}


class TestAccumulate:
    @pytest.mark.parametrize(("lanes", "rows"), [(4, 8), (1, 64), (3, 43)])
    def test_conformance_down_by_sparse_rows(self, lanes: int, rows: int) -> None:
        """Every product that is not zero is added by itself, source after source; then the rows are read."""
        size = lanes * rows
        cases = [row for row in rows_of("accumulate", "result") if row["transposed"] and row["columns"] <= size]
        assert len(cases) > 60
        stimuli: list[dict[str, int] | None] = []
        reads = []
        for case in cases:
            matrix = np.array(case["weights"]).reshape(case["rows"], case["columns"])
            clear = 1
            for source, target in zip(*np.nonzero(matrix), strict=True):
                place = {"in_lane": int(target) % lanes, "in_row": int(target) // lanes}
                value = int(matrix[source, target]) * case["vector"][source]
                stimuli.append({"in_add": 1, "in_value": value, "in_clear": clear, **place})
                clear = 0
            stimuli.append(None)
            for place, row in enumerate(cut(case["result"], lanes)):
                reads.append((len(stimuli) - stimuli.count(None), list(row) + [0] * (lanes - len(row))))
                stimuli.append({"read_row": place})
            stimuli.append(None)
        name = f"accumulate_{lanes}_{rows}"
        outputs = VECTOR_UNITS.run({name: stimuli})[name].outputs
        for number, row in reads:
            assert split(outputs[number]["read_sums"], 34, lanes) == row

    def test_one_sum_in_every_cycle(self) -> None:
        values = [1, 5, 2**33, 7, 0, 3]
        stimuli = [{"in_add": 1, "in_clear": int(n == 0), "in_value": v, "in_row": 5, "in_lane": 3, "read_row": 5}
                   for n, v in enumerate(values)]  # fmt: skip
        outputs = VECTOR_UNITS.run({"accumulate_4_8": stimuli})["accumulate_4_8"].outputs
        assert [split(got["read_sums"], 34, 4)[3] for got in outputs[2:]] == np.cumsum(values)[:-2].tolist()


class TestMultiply:
    def test_random_products(self) -> None:
        rng = np.random.default_rng(1)
        top = 2**16 - 1
        first, second = rng.choice((0, 1, 2, top, 12345, top - 1), (2, 300, 4))
        exponents = rng.choice((0, -1, -(2**30), 12, -77), (2, 300))
        stimuli = [
            {"in_tag": n & 255, "in_first": join(first[n].tolist(), 16), "in_second": join(second[n].tolist(), 16),
             "in_first_exponent": int(exponents[0, n]), "in_second_exponent": int(exponents[1, n])}
            for n in range(300)
        ]  # fmt: skip
        trace = VECTOR_UNITS.run({"multiply": stimuli}, gap=30)["multiply"]
        assert trace.latencies() == {2}
        for n, got in enumerate(trace.outputs):
            assert split(got["out_entries"], 32, 4) == (first[n] * second[n]).tolist()
            assert signed(got["out_exponent"], 33) == int(exponents[:, n].sum())
            assert got["out_tag"] == n & 255

    @pytest.mark.parametrize("bits", range(8, 17))
    def test_conformance_where_what_is_possible_stays(self, bits: int) -> None:
        cases = [row for row in rows_of("kept_product") if row["state_bits"] == bits]
        groups = cut(cases, 5)
        stimuli = [{"in_first": join([c["one"] for c in g], bits), "in_second": join([c["two"] for c in g], bits),
                    "in_keep": 1} for g in groups]  # fmt: skip
        trace = VECTOR_UNITS.run({f"kept_multiply_{bits}": stimuli})[f"kept_multiply_{bits}"]
        assert trace.latencies() == {3}
        got = [entry for out in trace.outputs for entry in split(out["out_entries"], 2 * bits, 5)]
        assert got == [case["product"] for case in cases]

    def test_random_products_where_what_is_possible_stays(self) -> None:
        """Also of mantissas whose lowest bits are those of 1."""
        first, second = np.random.default_rng(2).choice((0, 1, 2, 257, 2**15 + 1, 2**16 - 1), (2, 200, 5))
        stimuli = [{"in_first": join(a.tolist(), 16), "in_second": join(b.tolist(), 16), "in_keep": 1}
                   for a, b in zip(first, second, strict=True)]  # fmt: skip
        outputs = VECTOR_UNITS.run({"kept_multiply_16": stimuli})["kept_multiply_16"].outputs
        assert [split(got["out_entries"], 32, 5) for got in outputs] == tails.multiply(first, second).tolist()


class TestAlign:
    @pytest.mark.parametrize(("unit", "name", "lanes"), [("align", "align", 4), ("kept_align", "kept_align", 5)])
    def test_conformance(self, unit: str, name: str, lanes: int) -> None:
        cases = list(rows_of(name))
        assert len(cases) >= (46 if unit == "kept_align" else 200)
        stimuli, expected = [], []
        for case in cases:
            done = 0
            for own, other in (("first", "second"), ("second", "first")):
                for row in cut(case[own], lanes):
                    exponents = {"in_exponent": case[f"{own}_exponent"], "in_other": case[f"{other}_exponent"]}
                    stimuli.append({"in_mantissas": join(row, 16), "in_keep": int(unit != "align")} | exponents)
                    expected.append((case["mantissa"][done : done + len(row)], case["exponent"]))
                    done += len(row)
        trace = VECTOR_UNITS.run({unit: stimuli}, gap=20)[unit]
        assert trace.latencies() == {3 if unit == "align" else 4}
        for got, (row, exponent) in zip(trace.outputs, expected, strict=True):
            assert split(got["out_mantissas"], 16, lanes) == row + [0] * (lanes - len(row))
            assert signed(got["out_exponent"], 32) == exponent


class TestFifo:
    @pytest.mark.parametrize("depth", [2, 3, 9, 16])
    @pytest.mark.parametrize(("gap", "stall"), [(0, 0), (0, 200), (200, 0), (128, 128)])
    def test_words_come_out_once_and_in_order(self, depth: int, gap: int, stall: int) -> None:
        words = [(n * 37) & 4095 for n in range(600)]
        trace = VECTOR_UNITS.run({f"fifo_{depth}": [{"in": w} for w in words]}, gap=gap, stall=stall, seed=depth)
        one = trace[f"fifo_{depth}"]
        assert [out["out"] for out in one.outputs] == words
        inside = [sum(t < cycle for t in one.taken) - sum(g < cycle for g in one.given) for cycle in one.taken[::5]]
        assert max(inside) <= depth
        if not stall:
            assert one.latencies() == {1}
        if stall == 200:
            assert max(inside) >= depth - 1, "it must fill up"
