"""Densities integrated over bins: against closed forms of the standard library, far into the tails."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pcedge.circuit.densities import COUNTS, REAL, Density
from pcedge.errors import CircuitError

EDGES = np.array([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.5, 6.0])

CDFS = {
    "gaussian": ((0.3, 1.2), NormalDist(0.3, 1.2).cdf),
    "laplace": ((0.3, 1.2), lambda x: 0.5 + math.copysign(0.5, x - 0.3) * -math.expm1(-abs(x - 0.3) / 1.2)),
    "logistic": ((0.3, 1.2), lambda x: 1 / (1 + math.exp((0.3 - x) / 1.2))),
    "uniform": ((-2.0, 3.0), lambda x: min(max((x + 2) / 5, 0), 1)),
    "exponential": ((-1.0, 0.7), lambda x: 1 - math.exp(-(x + 1) / 0.7) if x > -1 else 0.0),
    "lognormal": ((0.1, 0.8), lambda x: NormalDist(0.1, 0.8).cdf(math.log(x)) if x > 0 else 0.0),
    "gamma": ((1.0, 0.7), lambda x: 1 - math.exp(-x / 0.7) if x > 0 else 0.0),
    "histogram": ((-2.0, 0.0, 4.0, 1.0, 0.5), lambda x: min(max((x + 2) / 4, 0), 0.5) + min(max(x / 8, 0), 0.5)),
}  # fmt: skip


@pytest.mark.parametrize("family", list(REAL))
def test_masses_are_differences_of_the_distribution_function(family: str) -> None:
    if family == "gamma":
        pytest.importorskip("scipy")
    parameters, cdf = CDFS[family]
    masses = Density(family, parameters).masses(EDGES, clip=False)
    assert_allclose(masses, np.diff([cdf(x) for x in EDGES.tolist()]), rtol=1e-12, atol=1e-15)
    clipped = Density(family, parameters).masses(EDGES)
    assert clipped.sum() == pytest.approx(1, abs=1e-14) and (clipped[1:-1] == masses[1:-1]).all()


def test_far_tails_keep_their_digits() -> None:
    # log Q(x) of a standard normal, by continued fractions with 40 digits
    known = {5.0: -15.064998393988727, 20.0: -203.91715537109727, 40.0: -804.6084420137538, 100.0: -5005.524208694205}
    for x, log_tail in known.items():
        for sign in (1, -1):
            edges = [x, x + 50] if sign > 0 else [-x - 50, -x]
            assert Density("gaussian", (0, 1)).log_masses(edges, clip=False)[0] == pytest.approx(log_tail, rel=1e-13)
    # What has mass keeps a positive entry, however far it is.
    assert (Density("gaussian", (0, 1e-8)).masses([-1.0, 0.5, 1.0, 2.0]) > 0).all()


@pytest.mark.parametrize("family", list(COUNTS))
def test_counts(family: str) -> None:
    parameters = {"poisson": (3.5,), "negative_binomial": (2.5, 0.3), "geometric": (0.3,), "trials": (0.3,),
                  "binomial": (7, 0.3)}[family]  # fmt: skip
    n, p = (*parameters, 0.0)[:2]
    formula = {
        "poisson": lambda k: math.exp(-3.5) * 3.5**k / math.factorial(k),
        "negative_binomial": lambda k: math.gamma(k + n) / math.gamma(n) / math.factorial(k) * p**n * (1 - p) ** k,
        "geometric": lambda k: 0.3 * 0.7**k,
        "trials": lambda k: 0.3 * 0.7 ** (k - 1) if k else 0.0,
        "binomial": lambda k: math.comb(7, k) * 0.3**k * 0.7 ** (7 - k) if k <= 7 else 0.0,
    }[family]
    density = Density(family, parameters)
    expected = [formula(k) for k in range(12)]
    assert_allclose(density.count_masses(0, 12, clip=False), expected, rtol=1e-12)
    clipped = density.count_masses(2, 5)
    assert_allclose(clipped[1:-1], expected[3:6], rtol=1e-12)
    assert clipped.sum() == pytest.approx(1, abs=1e-13) and clipped[0] == pytest.approx(sum(expected[:3]), rel=1e-12)


def test_a_poisson_of_mean_0_and_a_sure_success() -> None:
    assert Density("poisson", (0.0,)).count_masses(0, 3).tolist() == [1, 0, 0]
    assert Density("geometric", (1.0,)).count_masses(0, 3).tolist() == [1, 0, 0]
    assert Density("binomial", (3, 1.0)).count_masses(0, 5, clip=False).tolist() == [0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("family", "parameters", "refused"),
    [
        ("cauchy", (0, 1), "a density must be one of gaussian"),
        ("gaussian", (0, 0), "the std of a gaussian must be above 0, got 0.0"),
        ("gaussian", (0,), "a gaussian must have mean, std, got 1 numbers"),
        ("gaussian", (math.nan, 1), "the parameters of a gaussian must be finite"),
        ("uniform", (1, 1), "the ends of a uniform must ascend, got 1.0 and 1.0"),
        ("poisson", (-1,), "the mean of a poisson must not be negative, got -1.0"),
        ("geometric", (0,), "the p of a geometric must be a probability, got 0.0"),
        ("histogram", (0, 0, 1), "a histogram must have at least 2 breaks that ascend"),
        ("histogram", (0, 1, -1), "the densities of a histogram must not be negative"),
    ],
)
def test_refusals(family: str, parameters: tuple[float, ...], refused: str) -> None:
    with pytest.raises(CircuitError, match=refused):
        Density(family, parameters)
    with pytest.raises(CircuitError, match="a poisson is over whole numbers and has no bins"):
        Density("poisson", (1,)).masses([0, 1])
