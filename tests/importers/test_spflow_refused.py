"""SPFlow's text, its equations and Libra's circuits: what is refused, by line and unit, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.importers import import_circuit

CASES = [
    ("G_4 Gaussian(V0|1.0)\n# V0\n", FormatError, r"spn-syntax: .*G_4: mean=…;stdev=… must stand here, got '1\.0'"),
    ("G Gamma(V0|alpha=1.0;beta=0)\n", FormatError, r"import-leaf: .*G: beta must not be 0"),
    ("G Gamma(V0|alpha=1.0;alpha=1.0)\n", FormatError, r"spn-syntax: .*G: alpha=…;beta=… must stand here"),
    ("N NegativeBinomial(V0|n=3;p=0.5)\n", FormatError, r"got NegativeBinomial: SPFlow itself gives it no likelihood"),
    ("P PiecewiseLinear(V0|[0.,1.];[1.,1.])\n", FormatError, r"got PiecewiseLinear: integrate it over bins and write"),
    ("M MinMax(V0|a=1)\n", FormatError, r"import-leaf: .*M: the type must be one of Histogram, .*, got MinMax: write"),
    ("C Categorical(V0|p=[0.1 0.2 ... 0.1 0.2])\n", FormatError, r"numpy elided some, it wrote '\.\.\.' \(…\): write"),
    ("C Categorical(V0|p=[0.1, 0.2, …, 0.2])\n", FormatError, r"numpy elided some, it wrote '…'"),
    ("H Histogram(V0|[0.,1.,...,9.];[0.1,...,0.1])\n", FormatError, r"numpy elided some, it wrote '\.\.\.'"),
    ("C Categorical(V0|p=[0.1, 0.2 0.7])\n", FormatError, r"must have commas between all of them or none"),
    ("C CategoricalDictionary(V0|p={0.5: 1.0})\n", FormatError, r"symbols must be integers in 0\.\.65535, got 0\.5"),
    ("C CategoricalDictionary(V0|p={0: 0.5, 0: 0.5})\n", FormatError, r"a symbol must be given once, 0 is given twice"),
    ("C CategoricalDictionary(V0|p={0, 1})\n", FormatError, r"symbols with their probabilities, '{0: 0\.5, 3: 0\.5}'"),
    ("U Uniform(V0|density=0.5;start=0;end=2;type=Type.COUNT)\n", FormatError, r"its type is COUNT: write a Cat"),
    ("P ProductNode(A,B){A Bernoulli(V0|p=0.5)\nB Gaussian(V0|mean=0.;stdev=1.)}\n", CircuitError,
     r"variable 'V0' must have tables or densities over real numbers, it has both"),
    ("P ProductNode(A,B){A Poisson(V0|mean=2.)\nB Gaussian(V0|mean=0.;stdev=1.)}\n", UsageError,
     r"densities of variable 'V0' must be over real numbers all, or over whole ones all"),
    ('{"spn": 1}', FormatError, r"must be SPFlow's text, it seems to be JSON, as LibSPN writes it"),
    # equations
    ("(0.3*(Bernoulli(V0|p=0.5)) + 0.7*(Bernoulli(V0|p=0.1))", FormatError, r"close every parenthesis, 1 are open"),
    ("(Bernoulli(V0|p=0.5)) Bernoulli(V1|p=0.5)", FormatError, r"line 1: '\*', '\+' or '\)' must stand here, got 'B"),
    ("(Bernoulli(V0|p=0.5) +\n 0.7*(Bernoulli(V0|p=0.1)))", FormatError, r"line 2: every term of a sum must have"),
    ("(-1*(Bernoulli(V0|p=0.5)) + 2*(Bernoulli(V0|p=0.1)))", FormatError, r"import-weight: .*SumNode_2: a weight"),
    ("(Bernoulli(V0|p=0.5) * Bernoulli(V0|p=0.1))", CircuitError, r"ProductNode_2 \(line 1\) is not decomposable"),
    ("(Bernoulli(V0|p=0.5) *", FormatError, r"must close every parenthesis"),
    ("0.5*(Bernoulli(V0|p=0.5)) + ", FormatError, r"a unit, 'Name Type\(…\)', must stand here"),
    ("(0.5*(Nothing(V0|p=0.5)))", FormatError, r"the type must be one of .*, got Nothing"),
    ("(0.5*(Bernoulli(V0)))", FormatError, r"'Bernoulli\(variable\|…\)' must stand here, got 'Bernoulli"),
    ("()", FormatError, r"a weight, a leaf or '\(' must stand here, got '\)'"),
    # Libra
    ("(2 2)\nv 0 0\nv 1 2\n* 0 1\nEOF\n", FormatError, r"libra-line: .*line 3: a variable and a symbol of it must"),
    ("(2 2)\nv 0 0\nv 1 1\n* 0 2\nEOF\n", FormatError, r"line 4: a unit must be above its children, unit 2 is not"),
    ("(2 2)\nv 0 0\nv 1 1\n* 0 1\n", FormatError, r"must hold units and end with EOF: a truncated file of Libra"),
    ("(2 2)\nv 0 0\nv 1 1\nn 0.5\nEOF\n", FormatError, r"line 4: 'v variable symbol', .* as in Libra's circuits, got"),
    ("(2 2)\nv 0 0\nEOF\nv 1 1\n", FormatError, r"line 4: nothing must follow EOF"),
]  # fmt: skip


def test_symbols_far_out_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.spn"
    leaves = "".join(f"L{place} CategoricalDictionary(V0|p={{65535: 1.0}})\n" for place in range(1000))
    path.write_text("S SumNode(" + ",".join(f"1*L{place}" for place in range(1000)) + "){" + leaves + "}")
    with pytest.raises(FormatError, match=r"import-size: .*a\.spn must need at most 67108864 bytes"):
        import_circuit(path)


@pytest.mark.parametrize(("text", "kind", "message"), CASES)
def test_refused(text: str, kind: type[Exception], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.spn"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=message):
        import_circuit(path)
