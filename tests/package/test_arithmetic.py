"""The primitives: conformance vectors, and the invariants of docs/arithmetic.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise

import make_vectors as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcedge import arithmetic, tails
from pcedge.arithmetic import EXACT_BITS, LIMITS, ZERO_EXPONENT, Widths
from pcedge.circuit import SparseRows
from pcedge.errors import WidthError

#: columns that hold vectors, even where they have one entry
VECTORS = {"weights", "vector", "result", "accumulated", "mantissa", "first", "second", "context", "digits", "bytes"}


def rows_of(name: str) -> Iterator[tuple[dict[str, int], dict[str, list[int]]]]:
    """Read a file of vectors: for each case its integers and its vectors."""
    header, *lines = (oracle.FOLDER / f"{name}.csv").read_text(encoding="ascii").splitlines()
    for line in lines:
        fields = dict(zip(header.split(","), line.split(","), strict=True))
        yield (
            {key: int(text) for key, text in fields.items() if key not in VECTORS or name == "reciprocal"},
            {key: [int(part) for part in text.split()] for key, text in fields.items() if key in VECTORS},
        )


def column(values: list[int] | int) -> np.ndarray:
    """Make a batch of one record."""
    return np.array([values] if isinstance(values, int) else [[v] for v in values], dtype=np.int64)


def widths(scale_bits: int = 24, **changes: int) -> Widths:
    values = {
        "weight_bits": 8, "leaf_bits": 12, "state_bits": 16, "scale_bits": scale_bits, "range_bits": 2 * scale_bits,
        "floor": 1, "cardinality": 2, "terms": 1,
    }  # fmt: skip
    return Widths(**{**values, **changes})


@pytest.mark.parametrize("name", oracle.FILES)
def test_files_are_what_the_oracle_writes(name):
    assert (oracle.FOLDER / f"{name}.csv").read_text(encoding="ascii") == oracle.text_of(name)


class TestVectors:
    """Equality of the numpy code with the files."""

    def test_accumulate(self):
        for numbers, vectors in rows_of("accumulate"):
            weights = np.array(vectors["weights"], dtype=np.int64).reshape(numbers["rows"], numbers["columns"])
            used = weights.T if numbers["transposed"] else weights
            vector, expected = column(vectors["vector"]), column(vectors["result"])
            assert (arithmetic.mix_dense(used.astype(np.float64), vector) == expected).all()
            sparse = SparseRows.from_dense(weights)
            sparse = sparse.transposed() if numbers["transposed"] else sparse
            mixed = arithmetic.mix_sparse(sparse.indptr, sparse.indices, sparse.values, vector)
            assert (mixed == expected).all()

    def test_normalise(self):
        for numbers, vectors in rows_of("normalise"):
            mantissa, exponent = arithmetic.normalise(
                column(vectors["accumulated"]), column(numbers["exponent"]), numbers["state_bits"],
                bool(numbers["revive"]),
            )  # fmt: skip
            assert mantissa[:, 0].tolist() == vectors["mantissa"]
            assert exponent.tolist() == [numbers["new_exponent"]]

    def test_normalise_in_one_batch(self):
        """Records with left, right and no shift, and zero ones, side by side."""
        for state_bits in range(8, 17):
            for revive in (0, 1):
                cases = [
                    (n, v) for n, v in rows_of("normalise") if (n["state_bits"], n["revive"]) == (state_bits, revive)
                ]
                size = max(len(v["accumulated"]) for _, v in cases)
                padded = np.array([v["accumulated"] + [0] * (size - len(v["accumulated"])) for _, v in cases]).T
                exponents = np.array([n["exponent"] for n, _ in cases])
                mantissa, exponent = arithmetic.normalise(padded, exponents, state_bits, bool(revive))
                assert exponent.tolist() == [n["new_exponent"] for n, _ in cases]
                for place, (_, v) in enumerate(cases):
                    assert mantissa[: len(v["mantissa"]), place].tolist() == v["mantissa"]

    def test_align(self):
        for numbers, vectors in rows_of("align"):
            mantissa, exponent = arithmetic.align(
                (column(vectors["first"]), column(numbers["first_exponent"])),
                (column(vectors["second"]), column(numbers["second_exponent"])),
            )
            assert mantissa[:, 0].tolist() == vectors["mantissa"]
            assert exponent.tolist() == [numbers["exponent"]]

    def test_tails(self):
        for numbers, _ in rows_of("tails"):
            entry = tails.tailed(column(numbers["count"])[None], column(numbers["tail"]))
            assert entry.tolist() == [[numbers["entry"]]]

    def test_kept_mix(self):
        for numbers, vectors in rows_of("kept_mix"):
            weights = np.array(vectors["weights"], dtype=np.int64).reshape(numbers["rows"], numbers["columns"])
            vector, expected = column(vectors["vector"]), column(vectors["result"])
            dropped = (weights == 0).astype(np.float64) if numbers["tails"] else None
            dense = partial(arithmetic.mix_dense, weights.astype(np.float64))
            assert (tails.mix(dense, vector, dropped) == expected).all()
            rows = SparseRows.from_dense(weights)
            sparse = partial(arithmetic.mix_sparse, rows.indptr, rows.indices, rows.values)
            assert (tails.mix(sparse, vector, dropped) == expected).all()

    def test_kept_product(self):
        for numbers, _ in rows_of("kept_product"):
            assert tails.multiply(column(numbers["one"]), column(numbers["two"])).tolist() == [numbers["product"]]

    def test_kept_normalise(self):
        for numbers, vectors in rows_of("kept_normalise"):
            mantissa, exponent = arithmetic.normalise(
                column(vectors["accumulated"]), column(numbers["exponent"]), numbers["state_bits"], False, True
            )
            assert mantissa[:, 0].tolist() == vectors["mantissa"]
            assert exponent.tolist() == [numbers["new_exponent"]]

    def test_kept_align(self):
        for numbers, vectors in rows_of("kept_align"):
            mantissa, exponent = arithmetic.align(
                (column(vectors["first"]), column(numbers["first_exponent"])),
                (column(vectors["second"]), column(numbers["second_exponent"])),
                True,
            )
            assert mantissa[:, 0].tolist() == vectors["mantissa"]
            assert exponent.tolist() == [numbers["exponent"]]

    def test_reciprocal(self):
        rows = [numbers for numbers, _ in rows_of("reciprocal")]
        divisors = np.array([row["divisor"] for row in rows])
        assert arithmetic.reciprocal(divisors).tolist() == [row["result"] for row in rows]

    def test_score(self):
        for numbers, vectors in rows_of("score"):
            found = arithmetic.score(np.array(vectors["mantissa"]), column(numbers["exponent"]), numbers["state_bits"])
            assert found.tolist() == [numbers["score"]]

    def test_interval(self):
        for numbers, vectors in rows_of("interval"):
            context = column(vectors["context"])
            sizes = widths(
                numbers["scale_bits"], leaf_bits=numbers["leaf_bits"], state_bits=numbers["state_bits"],
                floor=numbers["floor"], cardinality=numbers["cardinality"], terms=len(context),
            )  # fmt: skip
            amount, scale = arithmetic.interval_scale(context, numbers["cardinality"], sizes)
            assert (amount.tolist(), scale.tolist()) == ([numbers["amount"]], [numbers["scale"]])
            weighted, symbol = column(numbers["weighted"]), column(numbers["symbol"])
            bound = arithmetic.interval_bound(weighted, symbol, amount, scale, sizes)
            assert bound.tolist() == [numbers["bound"]]

    def test_encode(self):
        for numbers, vectors in rows_of("encode"):
            sizes = widths(numbers["scale_bits"])
            low, width, start, end = (column(numbers[name]) for name in ("low", "range", "start", "end"))
            low, width = arithmetic.range_narrow(low, width, start, end, sizes)
            digits = []
            for _ in range(int(arithmetic.range_bytes(width, sizes)[0])):
                digit, low, width = arithmetic.range_shift_out(low, width, sizes)
                digits.append(int(digit[0]))
            assert digits == vectors["digits"]
            assert (low.tolist(), width.tolist()) == ([numbers["new_low"]], [numbers["new_range"]])
            assert arithmetic.range_flush(low, sizes).tolist() == [numbers["flush"]]

    def test_decode(self):
        for numbers, vectors in rows_of("decode"):
            sizes = widths(numbers["scale_bits"])
            width, start, end = (column(numbers[name]) for name in ("range", "start", "end"))
            assert (width >> sizes.scale_bits).tolist() == [numbers["unit"]]
            passed, width = arithmetic.range_narrow(np.zeros_like(width), width, start, end, sizes)
            offset = column(numbers["offset"]) - passed
            moves = int(arithmetic.range_bytes(width, sizes)[0])
            for place in range(moves):
                _, offset, width = arithmetic.range_shift_out(offset, width, sizes)
                offset |= vectors["bytes"][place]
            assert (offset.tolist(), width.tolist()) == ([numbers["new_offset"]], [numbers["new_range"]])
            assert moves == numbers["used"]


class TestReciprocal:
    divisors = np.arange(2**15, 2**16 + 1, dtype=np.int64)

    def test_is_never_above_the_truth_and_close(self):
        result = arithmetic.reciprocal(self.divisors)
        missing = (1 << 33) - result * self.divisors
        assert (missing >= 0).all()
        assert (missing[:-1] * 2**15 < 2**33).all()
        assert missing[-1] == 0

    def test_equals_the_oracle_everywhere(self):
        assert arithmetic.reciprocal(self.divisors).tolist() == [oracle.reciprocal(d) for d in self.divisors.tolist()]

    def test_every_intermediate_fits(self):
        table = arithmetic.RECIPROCAL_TABLE
        start = table[np.minimum(self.divisors >> 7, 511) - 256]
        error = ((1 << 32) - self.divisors * start) >> 14
        assert table.max() < 2**16
        assert error.min() >= 0
        assert int((start * error).max()) < 2 ** widths().signals()["reciprocal_product"]
        assert arithmetic.reciprocal(self.divisors).max() < 2**18


@st.composite
def any_widths(draw: st.DrawFn) -> Widths:
    scale_bits = draw(st.sampled_from((16, 24)))
    cardinality = draw(st.sampled_from((1, 2, 3, 9, 255, 256)))
    return widths(
        scale_bits, weight_bits=draw(st.integers(*LIMITS["weight_bits"])), leaf_bits=draw(st.integers(8, 16)),
        state_bits=draw(st.integers(8, 16)), cardinality=cardinality, terms=draw(st.sampled_from((1, 2, 3, 17, 128))),
        floor=draw(st.integers(1, 2 ** (scale_bits - 1) // cardinality)),
    )  # fmt: skip


class TestWidths:
    @given(any_widths())
    def test_signals_hold_their_widest_values(self, sizes):
        top = 2**sizes.state_bits - 1
        total = sizes.terms * top
        signals = sizes.signals()
        room = 2**sizes.scale_bits - sizes.floor
        widest = {
            "weight": 2**sizes.weight_bits,
            "leaf": 2**sizes.leaf_bits,
            "state": top,
            "accumulator": max(sizes.terms * 2**sizes.weight_bits * top, top * top, 2**sizes.leaf_bits),
            "context_sum": total,
            "weighted": total * 2**sizes.leaf_bits,
            "bound_input": 2 ** (sizes.scale_bits + 2) - 1,
            "scale": (2**18 - 1) * room >> 17,
            "scale_product": (2**18 - 1) * room,
            "bound_product": (2 ** (sizes.scale_bits + 2) - 1) * ((2**18 - 1) * room >> 17),
            "range": 2**sizes.range_bits - 1,
            "low": 2 * (2**sizes.range_bits - 1),
            "symbol": sizes.cardinality,
            "reciprocal_product": 0,  # tried on all divisors above
        }
        assert widest.keys() == signals.keys()
        for name, value in widest.items():
            assert value.bit_length() <= signals[name], name
        assert max(signals.values()) <= EXACT_BITS

    def test_missing_is_never_a_symbol(self):
        for cardinality in range(1, 300):
            assert (1 << widths(cardinality=cardinality).symbol) - 1 >= cardinality

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"weight_bits": 1}, "weight_bits must be in 2..16, got 1"),
            ({"weight_bits": 17}, "weight_bits must be in 2..16, got 17"),
            ({"leaf_bits": 7}, "leaf_bits must be in 8..16, got 7"),
            ({"leaf_bits": 17}, "leaf_bits must be in 8..16, got 17"),
            ({"state_bits": 7}, "state_bits must be in 8..16, got 7"),
            ({"state_bits": 17}, "state_bits must be in 8..16, got 17"),
            ({"scale_bits": 25}, "scale_bits must be in 16..24, got 25"),
            ({"range_bits": 49}, "range_bits must be in 32..48, got 49"),
            (
                {"scale_bits": 16, "range_bits": 48},
                "scale_bits and range_bits must be 16 and 32 or 24 and 48, got 16 and 48",
            ),
            ({"floor": 0}, "floor must be at least 1 and leave half of 2^24 to 2 symbols, got 0"),
            ({"floor": 2**22 + 1}, "floor must be at least 1 and leave half of 2^24 to 2 symbols, got 4194305"),
            ({"terms": 2**30}, "signal accumulator must fit 53 bits, it needs 54"),
            ({"leaf_bits": 16, "terms": 2**22}, "signal weighted must fit 53 bits, it needs 54"),
        ],
    )
    def test_errors(self, changes, text):
        with pytest.raises(WidthError, match=f"^{re.escape(text)}$"):
            widths(**changes)

    def test_limits_are_allowed(self):
        assert widths(floor=2**22).floor == 2**22
        assert widths(leaf_bits=16, terms=2**21).weighted == 53


class TestNormalise:
    @given(
        st.lists(st.lists(st.integers(0, 2**53 - 1) | st.integers(0, 3), min_size=3, max_size=3), min_size=1),
        st.integers(8, 16),
        st.booleans(),
    )
    def test_truncates_so_that_the_largest_has_all_bits(self, records, state_bits, revive):
        values = np.array(records, dtype=np.int64).T
        exponent = np.full(len(records), -20, dtype=np.int64)
        mantissa, moved = arithmetic.normalise(values, exponent, state_bits, revive)
        for place, record in enumerate(records):
            found = mantissa[:, place].tolist()
            if max(record) == 0:
                assert found == [2 ** (state_bits - 1) * revive] * 3
                assert moved[place] == (-20 if revive else ZERO_EXPONENT)
                continue
            assert max(found).bit_length() == state_bits
            unit = Fraction(2) ** int(moved[place] + 20)
            for before, after in zip(record, found, strict=True):
                assert 0 <= before - after * unit < unit or before == after * unit

    def test_exponent_stays_at_its_least(self):
        for exponent in (ZERO_EXPONENT, 2 * ZERO_EXPONENT):
            _, moved = arithmetic.normalise(column([1]), column(exponent), 16, False)
            assert moved.tolist() == [ZERO_EXPONENT]
            _, moved = arithmetic.normalise(column([0]), column(exponent), 16, True)
            assert moved.tolist() == [ZERO_EXPONENT]

    @given(st.lists(st.integers(0, 2**53 - 1), min_size=1))
    def test_bit_length(self, values):
        assert arithmetic.bit_length(np.array(values)).tolist() == [v.bit_length() for v in values]

    def test_bit_length_around_powers_of_two(self):
        values = [2**n + d for n in range(1, 53) for d in (-1, 0, 1)] + [2**53 - 1]
        assert arithmetic.bit_length(np.array(values)).tolist() == [v.bit_length() for v in values]


class TestMix:
    def test_sparse_with_empty_rows(self):
        """A column that no row uses is an empty list on the way down: its context is zero."""
        indptr, indices = np.array([0, 0, 2, 2, 3, 3]), np.array([0, 1, 1])
        mixed = arithmetic.mix_sparse(indptr, indices, None, column([3, 4]))
        assert mixed[:, 0].tolist() == [0, 7, 0, 4, 0]
        assert arithmetic.mix_sparse(np.array([0, 0]), np.array([], int), None, column([3]))[:, 0].tolist() == [0]

    def test_dense_is_exact_below_2_to_53(self):
        weights = np.array([[2**26 - 1, 2**26 - 3, 2**26 - 5]], dtype=np.float64)
        mantissa = column([2**25 + 1, 2**25 - 1, 2**25 + 3])
        exact = sum(int(w) * int(m) for w, m in zip(weights[0], mantissa[:, 0], strict=True))
        assert arithmetic.mix_dense(weights, mantissa).tolist() == [[exact]]


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Widths, list[int], list[list[int]]]:
    """Draw widths, a context and cumulative tables."""
    sizes = draw(any_widths())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    units = int(rng.integers(1, sizes.terms + 1))
    top = 2**sizes.state_bits - 1
    context = rng.choice([0, 1, top, int(rng.integers(0, top + 1))], units)
    context[rng.integers(0, units)] = draw(st.sampled_from((1, top, 2 ** (sizes.state_bits - 1))))
    ends = np.sort(rng.integers(0, 2**sizes.leaf_bits + 1, (units, sizes.cardinality + 1)), axis=1)
    if draw(st.booleans()):  # mass at the ends: long runs of symbols without any
        ends[:, 1:-1] = rng.choice([0, 2**sizes.leaf_bits], (units, 1))
    ends[:, 0], ends[:, -1] = 0, 2**sizes.leaf_bits
    return sizes, context.tolist(), ends.tolist()


class TestIntervals:
    @given(mixtures())
    def test_are_in_order_and_never_empty(self, mixture):
        sizes, context, tables = mixture
        amount, scale = arithmetic.interval_scale(column(context), sizes.cardinality, sizes)
        weighted = [oracle.accumulate([context], [t[x] for t in tables])[0] for x in range(sizes.cardinality + 1)]
        symbols = np.arange(sizes.cardinality + 1)
        bounds = arithmetic.interval_bound(np.array(weighted), symbols, amount, scale, sizes).tolist()
        assert bounds[0] == 0
        assert all(below + sizes.floor <= above for below, above in pairwise(bounds))
        assert bounds[-1] <= 2**sizes.scale_bits
        # The loss of rounding: the shares of all symbols together lack less than 2^-14.5 of the room.
        room = 2**sizes.scale_bits - sizes.cardinality * sizes.floor
        assert 2**sizes.scale_bits - bounds[-1] <= room / 2**14.5 + 2

    @given(mixtures())
    def test_equal_the_oracle(self, mixture):
        sizes, context, tables = mixture
        amount, scale = arithmetic.interval_scale(column(context), sizes.cardinality, sizes)
        shift, factor = oracle.interval_scale(
            sum(context), sizes.cardinality, sizes.leaf_bits, sizes.scale_bits, sizes.floor
        )
        assert (amount.tolist(), scale.tolist()) == ([shift], [factor])
        for symbol in range(0, sizes.cardinality + 1, max(1, sizes.cardinality // 5)):
            weighted = oracle.accumulate([context], [t[symbol] for t in tables])[0]
            bound = arithmetic.interval_bound(column(weighted), column(symbol), amount, scale, sizes)
            assert bound.tolist() == [
                oracle.interval_bound(weighted, symbol, shift, factor, sizes.scale_bits, sizes.floor)
            ]


@st.composite
def coder_steps(draw: st.DrawFn) -> tuple[Widths, int, int, int, int]:
    """Draw a state that the invariants allow, and an interval."""
    scale_bits = draw(st.sampled_from((16, 24)))
    bits = 2 * scale_bits
    width = draw(st.integers(2 ** (bits - 8), 2**bits - 1) | st.sampled_from((2 ** (bits - 8), 2**bits - 1)))
    low = draw(st.integers(0, 2**bits - 1) | st.just(2**bits - 1))
    start = draw(st.integers(0, 2**scale_bits - 1) | st.just(2**scale_bits - 1))
    end = draw(st.integers(start + 1, 2**scale_bits) | st.just(start + 1))
    return widths(scale_bits), low, width, start, end


class TestRange:
    @given(coder_steps())
    def test_invariants_hold_after_every_step(self, case):
        sizes, low, width, start, end = case
        bits = sizes.range_bits
        lows, ranges = arithmetic.range_narrow(column(low), column(width), column(start), column(end), sizes)
        assert low <= lows[0] <= lows[0] + ranges[0] <= low + width
        moves = int(arithmetic.range_bytes(ranges, sizes)[0])
        assert 0 <= moves <= sizes.scale_bits // 8
        for _ in range(moves):
            assert int(lows[0]).bit_length() <= sizes.signals()["low"]
            before = (int(lows[0]), int(ranges[0]))
            digit, lows, ranges = arithmetic.range_shift_out(lows, ranges, sizes)
            assert 0 <= digit[0] < 512
            # Nothing is lost: digit and new low are the old low, and the range is the old range, 256 times finer.
            assert (int(digit[0]) << bits) + int(lows[0]) == before[0] << 8
            assert int(ranges[0]) == before[1] << 8
            assert lows[0] < 2**bits
        assert 2 ** (bits - 8) <= ranges[0] < 2**bits
        assert lows[0] + ranges[0] < 2 ** (bits + 1)
        flushed = int(arithmetic.range_flush(lows, sizes)[0])
        assert flushed < 512
        assert lows[0] <= flushed << (bits - 8) < lows[0] + ranges[0]
