"""Likelihoods in order and as shares, against fractions."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcedge.arithmetic import ZERO_EXPONENT
from pcedge.ranking import SHARE_BITS, order, shares

LIKELIHOOD = st.one_of(
    st.just((0, ZERO_EXPONENT)),
    st.tuples(st.integers(2**15, 2**16 - 1), st.one_of(st.integers(-40, 1), st.integers(-(2**29), 0))),
    st.tuples(st.integers(2**15, 2**15 + 1), st.integers(-20, -18)),
)
MANY = st.lists(LIKELIHOOD, min_size=1, max_size=12)


def value(pair):
    # Relative to one exponent: 2^-2^29 itself is no number to write down.
    return (0, 0) if pair[0] == 0 else (pair[1], pair[0])


@given(MANY)
def test_the_order_is_that_of_the_values(pairs):
    mantissa, exponent = np.array(pairs, dtype=np.int64).T
    keys = order(mantissa, exponent, 16).tolist()
    for one, key in zip(pairs, keys, strict=True):
        for other, second in zip(pairs, keys, strict=True):
            low = min(one[1], other[1]) if one[0] and other[0] else 0
            if one[0] and other[0] and abs(one[1] - other[1]) < 99:
                left, right = one[0] << (one[1] - low), other[0] << (other[1] - low)
            else:
                left, right = value(one), value(other)
                left, right = ((0,) if one[0] == 0 else (1, *left)), ((0,) if other[0] == 0 else (1, *right))
            assert (key > second, key == second) == (left > right, left == right)
    assert all(0 <= key < 2**47 for key in keys)


@given(MANY)
def test_shares_are_the_largest_remainders_of_aligned_likelihoods(pairs):
    mantissa, exponent = (column[:, None] for column in np.array(pairs, dtype=np.int64).T)
    got = shares(mantissa, exponent)[:, 0].tolist()
    if not mantissa.any():
        assert got == [0] * len(pairs)
        return
    top = max(e for m, e in pairs if m)
    aligned = [(m << SHARE_BITS) >> min(top - e, 53) if m else 0 for m, e in pairs]
    exact = [Fraction(a << SHARE_BITS, sum(aligned)) for a in aligned]
    wanted = [int(part) for part in exact]
    by_rest = sorted(range(len(exact)), key=lambda k: (-(exact[k] - int(exact[k])), k))
    for k in by_rest[: 2**SHARE_BITS - sum(wanted)]:
        wanted[k] += 1
    assert got == wanted and sum(got) == 2**SHARE_BITS
    assert got[int(order(mantissa, exponent, 16)[:, 0].argmax())] == max(got)
