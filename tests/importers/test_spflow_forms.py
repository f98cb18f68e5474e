"""SPFlow's text in all its forms, against formulas evaluated in plain Python."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import DATA

from pcedge.circuit import load_circuit, log_likelihood, save_circuit
from pcedge.importers import Imported, import_circuit
from pcedge.importers.gridding import Gridding
from pcedge.quantize import quantize


def read(text: str, folder: Path, gridding: Gridding | None = None, suffix: str = "spn") -> Imported:
    path = folder / f"a.{suffix}"
    path.write_text(text, encoding="utf-8")
    return import_circuit(path, gridding=gridding)


def densities(made: Imported, x: Sequence[Sequence[float]]) -> list[float]:
    """Give the file's likelihood of the bin, integer or state that holds each value, over the bins' widths."""
    circuit = made.circuit
    assert circuit.grid is not None
    symbols = circuit.grid.symbols_of(np.array(x, dtype=np.float64))
    likelihood = np.exp(log_likelihood(circuit, symbols) + made.log_constant)
    for place, axis in enumerate(circuit.grid.axes):
        if axis.kind == "bins":
            likelihood /= np.diff(axis.edges)[symbols[:, place]]
    return likelihood.tolist()


# Real values


UNIT = """SumNode_0 SumNode(0.6*Histogram_1, 0.4*Histogram_2){
\tHistogram_1 Histogram(V0|[0.,0.25,0.5,1.];[2.,1.,0.5];[0.,0.,0.])
\tHistogram_2 Histogram(V0|[0.,0.25,0.5,1.];[0.4,0.4,1.6];[0.,0.,0.])
\t}"""


def test_histograms_over_real_values(tmp_path: Path) -> None:
    made = read(UNIT, tmp_path)
    assert made.circuit.grid is not None and made.circuit.grid.axes[0].edges == (0.0, 0.25, 0.5, 1.0)
    x = [0.0, 0.1, 0.25, 0.49, 0.5, 0.99]
    expected = [0.6 * (2 if v < 0.25 else 1 if v < 0.5 else 0.5) + 0.4 * (0.4 if v < 0.5 else 1.6) for v in x]
    assert densities(made, [[v] for v in x]) == pytest.approx(expected, rel=1e-12)
    assert made.log_constant == pytest.approx(0, abs=1e-12) and made.losses == pytest.approx((0.0,), abs=1e-12)
    save_circuit(made.circuit, tmp_path / "c.pcedge")
    assert load_circuit(tmp_path / "c.pcedge").grid == made.circuit.grid
    assert quantize(made.circuit).grid == made.circuit.grid


def test_a_histogram_that_holds_more_than_one_has_its_constant(tmp_path: Path) -> None:
    made = read("H Histogram(V0|[0.,0.5,2.];[2.,2.])\n", tmp_path)
    assert made.log_constant == pytest.approx(math.log(4), abs=1e-12)
    assert densities(made, [[0.2], [1.9]]) == pytest.approx([2, 2], rel=1e-12)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("H Histogram(V0|[0.,1.,3.];[0.5,0.25])", None),
        ("H Histogram(V0|[0.,1.,3.];[0.5,0.25];[0,2])", None),
        ("H Histogram(V0|[0.,1.,3.];[0.5,0.25];[0.5,2.])", "bins"),
        ("S SumNode(0.5*H,0.5*G){H Histogram(V0|[0.,1.,3.];[0.5,0.25])\nG Histogram(V0|[0.,0.5,3.];[1,0.2])}", "bins"),
        ("S SumNode(0.5*H,0.5*G){H Histogram(V0|[0.,1.,3.];[0.5,0.25])\nG Gaussian(V0|mean=1.;stdev=2.)}", "bins"),
        ("S SumNode(0.5*H,0.5*G){H Histogram(V0|[0.,1.,3.];[0.5,0.25])\nG Poisson(V0|mean=1.)}", "integers"),
    ],
)  # fmt: skip
def test_a_variable_is_over_integers_or_real_values(text: str, kind: str | None, tmp_path: Path) -> None:
    made = read(text, tmp_path)
    grid = made.circuit.grid
    assert (None if grid is None else grid.axes[0].kind) == kind
    if kind is None:
        assert np.exp(log_likelihood(made.circuit, [[0], [1], [2]])) == pytest.approx([0.5, 0.25, 0.25])
    elif kind == "bins" and "G " not in text:
        assert densities(made, [[0.5], [2.5]]) == pytest.approx([0.5, 0.25])


def normal(x: float, mean: float, std: float) -> float:
    """Give the probability below x, as Python's error function has it."""
    return 0.5 * math.erfc((mean - x) / (std * math.sqrt(2)))


#: leaves, the probability below x by the formula, and values at which to look
CONTINUOUS: list[tuple[str, Callable[[float], float]]] = [
    ("Gaussian(V0|mean=10.0;stdev=5.0)", lambda x: normal(x, 10, 5)),
    ("LogNormal(V0|mean=0.5;stdev=0.25)", lambda x: normal(math.log(x), 0.5, 0.25) if x > 0 else 0.0),
    ("Exponential(V0|l=0.5)", lambda x: 1 - math.exp(-0.5 * x) if x > 0 else 0.0),
    # of shape 2: 1 - (1 + bx) exp(-bx), b the rate
    ("Gamma(V0|alpha=2.0;beta=3.0)", lambda x: 1 - (1 + 3 * x) * math.exp(-3 * x) if x > 0 else 0.0),
    ("Uniform(V0|density=0.25;start=1.0;end=5.0;type=None)", lambda x: min(max((x - 1) / 4, 0), 1)),
]


@pytest.mark.parametrize(("leaf", "below"), CONTINUOUS, ids=lambda case: str(case)[:9])
def test_densities(leaf: str, below: Callable[[float], float], tmp_path: Path) -> None:
    if leaf.startswith("Gamma"):
        pytest.importorskip("scipy", reason="needs the extra models")
    made = read(f"L {leaf}\n", tmp_path, Gridding(symbols=16))
    assert made.circuit.grid is not None
    edges = made.circuit.grid.axes[0].edges
    ends = [-math.inf, *edges[1:-1], math.inf]
    expected = [(1.0 if b == math.inf else below(b)) - (0.0 if a == -math.inf else below(a))
                for a, b in itertools.pairwise(ends)]  # fmt: skip
    found = np.exp(log_likelihood(made.circuit, np.arange(len(edges) - 1)[:, None]) + made.log_constant)
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert made.losses[0] < 0.05


COUNTS: list[tuple[str, Callable[[int], float]]] = [
    ("Poisson(V0|mean=3.5)", lambda k: math.exp(-3.5) * 3.5**k / math.factorial(k)),
    ("Geometric(V0|p=0.25)", lambda k: 0.25 * 0.75 ** (k - 1) if k else 0.0),
    ("Bernoulli(V0|p=0.25)", lambda k: (0.75, 0.25)[k] if k < 2 else 0.0),
    ("CategoricalDictionary(V0|p={0: 0.5, 5: 0.5})", lambda k: 0.5 if k in (0, 5) else 0.0),
    ("Categorical(V0|p=[0.2, 0.3, 0.5])", lambda k: (0.2, 0.3, 0.5)[k] if k < 3 else 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("leaf", "mass"), COUNTS, ids=lambda case: str(case)[:9])
def test_counts(leaf: str, mass: Callable[[int], float], tmp_path: Path) -> None:
    made = read(f"L {leaf}\n", tmp_path)
    count = made.circuit.cardinalities[0]
    found = np.exp(log_likelihood(made.circuit, np.arange(count)[:, None]) + made.log_constant)
    assert found[:-1].tolist() == pytest.approx([mass(k) for k in range(count - 1)], rel=1e-12)
    # the last symbol takes what is beyond, of a distribution without an end
    assert found[-1] == pytest.approx(1 - math.fsum(mass(k) for k in range(count - 1)), rel=1e-6)


def test_gaussians_of_very_different_widths(tmp_path: Path) -> None:
    text = """SumNode_0 SumNode(0.3*ProductNode_1, 0.7*ProductNode_4){
      ProductNode_1 ProductNode(Gaussian_2, Gaussian_3){
        Gaussian_2 Gaussian(V0|mean=10.0;stdev=5.0)
        Gaussian_3 Gaussian(V1|mean=0.0;stdev=1e-08)
      }
      ProductNode_4 ProductNode(Gaussian_5, Gaussian_6){
        Gaussian_5 Gaussian(V0|mean=20.0;stdev=10.0)
        Gaussian_6 Gaussian(V1|mean=4.5;stdev=0.7)
      }
    }
    # V0;V1"""
    made = read(text, tmp_path)
    grid = made.circuit.grid
    assert grid is not None and max(made.losses) < 0.01
    x = np.array([[9.0, 0.0], [12.0, 1e-9], [25.0, 4.0], [3.0, 5.5]])
    symbols = grid.symbols_of(x)
    for record, found in zip(symbols, np.exp(log_likelihood(made.circuit, symbols)), strict=True):
        masses = []
        for axis, symbol, leaves in zip(grid.axes, record, [((10, 5), (20, 10)), ((0, 1e-8), (4.5, 0.7))], strict=True):
            low = -math.inf if symbol == 0 else axis.edges[symbol]
            high = math.inf if symbol == axis.symbols - 1 else axis.edges[symbol + 1]
            masses.append([normal(high, *leaf) - normal(low, *leaf) for leaf in leaves])
        expected = 0.3 * masses[0][0] * masses[1][0] + 0.7 * masses[0][1] * masses[1][1]
        assert found == pytest.approx(expected, rel=1e-6)


# Forms of the text


MIXTURE = (
    "(0.3*((Categorical(V0|p={a}) * Categorical(V1|p={c}))) + 0.7*((Categorical(V0|p={b}) * Categorical(V1|p={d}))))"
)
LISTS = {
    "python": ["[0.2, 0.8]", "[0.9, 0.1]", "[0.5, 0.25, 0.25]", "[0.1, 0.1, 0.8]"],
    "numpy": ["[0.2 0.8]", "[0.9 0.1]", "[0.5  0.25 0.25]", "[0.1\n 0.1\n 0.8]"],
    "numpy 2": ["[np.float64(0.2), np.float64(0.8)]", "[np.float64(0.9), np.float64(0.1)]",
                "[np.float32(0.5), np.float32(0.25), np.float32(0.25)]", "[0.1, 0.1, numpy.float64(0.8)]"],
}  # fmt: skip


@pytest.mark.parametrize("lists", LISTS.values(), ids=LISTS)
def test_equations_and_numpys_lists(lists: list[str], tmp_path: Path) -> None:
    made = read(MIXTURE.format(**dict(zip("abcd", lists, strict=True))), tmp_path)
    first, second = [(0.2, 0.8), (0.9, 0.1)], [(0.5, 0.25, 0.25), (0.1, 0.1, 0.8)]
    for x, y in itertools.product(range(2), range(3)):
        expected = sum(w * p[x] * q[y] for w, p, q in zip((0.3, 0.7), first, second, strict=True))
        assert math.exp(log_likelihood(made.circuit, [[x, y]])[0]) == pytest.approx(expected, rel=1e-12)
    assert made.names == ("V0", "V1") and made.circuit.grid is None


def test_an_equation_is_the_same_circuit_as_the_graph(tmp_path: Path) -> None:
    graph = """SumNode_0 SumNode(0.3*P1, 0.7*P4){
      P1 ProductNode(A, S){
        A Categorical(V0|p=[0.2, 0.8])
        S SumNode(0.5*B, 0.5*C){
          B Histogram(V1|[0.,1.,3.];[0.5,0.25])
          C Bernoulli(V1|p=0.5)
        }
      }
      P4 ProductNode(D, E){
        D Categorical(V0|p=[0.9, 0.1])
        E Categorical(V1|p=[0.1, 0.1, 0.8])
      }
    }"""
    equation = (
        "(0.3*((Categorical(V0|p=[0.2, 0.8]) * "
        "(0.5*(Histogram(V1|[0.,1.,3.];[0.5,0.25])) + 0.5*(Bernoulli(V1|p=0.5)))))"
        " + 0.7*((Categorical(V0|p=[0.9, 0.1]) * Categorical(V1|p=[0.1, 0.1, 0.8]))))\n# V0;V1\n"
    )
    x = np.array(list(itertools.product(range(2), range(3))))
    first, second = read(graph, tmp_path), read(equation, tmp_path)
    assert np.array_equal(log_likelihood(first.circuit, x), log_likelihood(second.circuit, x))
    kinds = [[(shape.kind, shape.units) for shape in made.circuit.shapes] for made in (first, second)]
    assert kinds[0] == kinds[1]


def test_a_leaf_alone_and_deep_equations(tmp_path: Path) -> None:
    assert read("Bernoulli(V3|p=0.25)", tmp_path).circuit.grid.axes[0].column == 3  # type: ignore[union-attr]
    depth = 5000
    deep = read("(1.0*(" * depth + "Bernoulli(V0|p=0.25)" + "))" * depth, tmp_path)
    assert np.exp(log_likelihood(deep.circuit, [[1]])[0]) == pytest.approx(0.25)


def test_names_with_parentheses_bars_and_letters(tmp_path: Path) -> None:
    text = """P ProductNode(A, B, C){
    A Bernoulli(sepal length (cm)|p=0.25)
    B Bernoulli(größe|2|p=0.5)
    C Bernoulli(c) * x|p=0.125)
    }
    # größe|2;c) * x;sepal length (cm)"""
    made = read(text, tmp_path)
    assert made.names == ("größe|2", "c) * x", "sepal length (cm)")
    assert np.exp(log_likelihood(made.circuit, [[0, 1, 1]])[0]) == pytest.approx(0.5 * 0.125 * 0.25)
    unnamed = read(text.rpartition("#")[0], tmp_path)
    assert unnamed.names == ("sepal length (cm)", "größe|2", "c) * x")
    assert unnamed.notes == (
        "the file has no line '# name;name;…': the variables are in the order of their first leaves",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("end", "names", "columns"),
    [
        ("", ("V1", "V5"), (1, 5)),
        ("# V0;V1;V2;V3;V4;V5\n", ("V1", "V5"), (1, 5)),
        ("# V5;V1\n", ("V1", "V5"), (1, 5)),
        ("# V5;x;V1\n", ("V5", "V1"), (0, 2)),
    ],
)
def test_scopes_of_any_numbers(end: str, names: tuple[str, ...], columns: tuple[int, ...], tmp_path: Path) -> None:
    made = read(
        "P ProductNode(A, B){\nA Categorical(V1|p=[0.2, 0.8])\nB Categorical(V5|p=[0.5, 0.3, 0.2])\n}\n" + end, tmp_path
    )
    grid = made.circuit.grid
    assert grid is not None and made.names == names == grid.names
    assert tuple(axis.column for axis in grid.axes) == columns
    data = np.zeros((1, 6), dtype=int)
    data[0, columns[names.index("V1")]], data[0, columns[names.index("V5")]] = 1, 2
    assert np.exp(log_likelihood(made.circuit, grid.symbols_of(data))[0]) == pytest.approx(0.8 * 0.2)
    left = [note for note in made.notes if note.startswith("variables without a leaf were left out")]
    assert len(left) == (1 if ";V3;" in end or ";x;" in end else 0)


def test_variables_from_one_on_are_said(tmp_path: Path) -> None:
    made = read("P ProductNode(A, B){\nA Bernoulli(V1|p=0.5)\nB Bernoulli(V2|p=0.5)\n}", tmp_path)
    assert made.notes == ("the variables are numbered 1..2: V1 is of column 1, the second of the data, and so on",)


def test_libras_circuits(tmp_path: Path) -> None:
    text = f"(2 3)\nv 0 1\nv 0 0\nv 1 2\nv 1 0\n* 0 2\n* 1 3\n+ 4 {math.log(0.7)} 5 {math.log(0.3)}\nEOF\n"
    made = read(text, tmp_path)
    assert np.exp(log_likelihood(made.circuit, [[1, 2], [0, 0], [1, 0]])) == pytest.approx([0.7, 0.3, 0.0])
    assert made.circuit.cardinalities == (2, 3) and made.circuit.grid is None


def test_a_shipped_file_over_real_values_of_half_the_size(tmp_path: Path) -> None:
    """NIPS5 with its breaks halved has at half its inputs the likelihoods that the SPN compiler's tests name."""

    def halved(match: re.Match[str]) -> str:
        return "|[" + ",".join(str(float(word) / 2) for word in match[1].split(",")) + "];"

    text = (DATA / "spn" / "NIPS5.spn").read_text()
    made = read(re.sub(r"\|\[([^\]]*)\];", halved, text), tmp_path, Gridding(symbols=128))
    x = np.loadtxt(DATA / "spn" / "NIPS5_input.txt.gz", delimiter=";")[:500]
    expected = np.loadtxt(DATA / "spn" / "NIPS5_loglikelihood.txt.gz")[:500]
    assert np.log(densities(made, (x / 2).tolist())) == pytest.approx(expected, abs=1e-9)


# Cap'n Proto


def message(breaks: list[int], points: list[float], kind: str, meta: str, scope: int = 0) -> bytes:
    from pcedge.importers.spflow_binary import _schema

    made = _schema()[0].Header.new_message()
    model = made.init("model")
    model.numFeatures = 1
    node = model.init("nodes", 1)[0].init("hist")
    node.breaks, node.binReprPoints, node.type, node.metaType, node.scope = breaks, points, kind, meta, scope
    node.densities = [2 / 3, 1 / 3] + [0.0] * (len(breaks) - 3)
    return bytes(made.to_bytes())


@pytest.mark.parametrize(
    ("breaks", "points", "kind", "meta", "edges"),
    [
        ([0, 1, 2], [0.0, 1.0], "categorical", "discrete", None),
        ([0, 1, 3], [0.0, 2.0], "count", "discrete", None),
        ([0, 1, 2], [0.5, 1.5], "categorical", "discrete", (0.0, 1.0, 2.0)),  # the points are the bins' middles
        ([0, 2, 4], [1.0, 3.0], "categorical", "real", (0.0, 2.0, 4.0)),
        ([0, 2, 4], [1.0, 3.0], "positive", "discrete", (0.0, 2.0, 4.0)),
        ([0, 0, 1], [0.25, 0.75], "real", "real", (0.0, 0.5, 1.0)),  # cut from 0, 0.5, 1
        ([0, 0, 0, 1], [-0.25, 0.25, 0.75], "real", "real", (-0.5, 0.0, 0.5, 1.0)),
    ],
)
def test_binary_files_say_whether_they_are_over_real_values(
    breaks: list[int], points: list[float], kind: str, meta: str, edges: tuple[float, ...] | None, tmp_path: Path
) -> None:
    pytest.importorskip("capnp", reason="needs the extra capnp")
    (tmp_path / "a.bin").write_bytes(message(breaks, points, kind, meta))
    made = import_circuit(tmp_path / "a.bin")
    grid = made.circuit.grid
    assert (None if grid is None else grid.axes[0].edges) == (None if edges is None else pytest.approx(edges))
    if edges is not None:
        assert densities(made, [[points[0]], [points[1]]]) == pytest.approx([2 / 3, 1 / 3])


def test_binary_files_whose_breaks_are_lost_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("capnp", reason="needs the extra capnp")
    from pcedge.errors import FormatError

    (tmp_path / "a.bin").write_bytes(message([0, 0, 0, 1], [0.125, 0.375, 0.75], "real", "real"))
    with pytest.raises(
        FormatError, match=r"HistogramNode_0: the breaks .* must be those of bins of one width, .* as text"
    ):
        import_circuit(tmp_path / "a.bin")
    (tmp_path / "a.bin").write_bytes(message([0, 1, 2], [0.5], "real", "real"))
    with pytest.raises(FormatError, match=r"a histogram over real values must have a point for every bin"):
        import_circuit(tmp_path / "a.bin")


def test_binary_scopes_and_gaussians(tmp_path: Path) -> None:
    pytest.importorskip("capnp", reason="needs the extra capnp")
    from pcedge.importers.spflow_binary import _schema

    made = _schema()[0].Header.new_message()
    model = made.init("model")
    model.numFeatures = 2
    nodes = model.init("nodes", 3)
    nodes[0].init("product").children = [1, 2]
    nodes[1].id, nodes[2].id = 1, 2
    nodes[1].init("gaussian").mean, nodes[1].gaussian.stddev, nodes[1].gaussian.scope = 2.0, 3.0, 1
    nodes[2].init("categorical").probabilities, nodes[2].categorical.scope = [0.25, 0.75], 2
    (tmp_path / "a.bin").write_bytes(made.to_bytes())
    read_back = import_circuit(tmp_path / "a.bin")
    grid = read_back.circuit.grid
    assert grid is not None and [(axis.name, axis.column) for axis in grid.axes] == [("V1", 1), ("V2", 2)]
    assert read_back.notes[0].startswith("the variables are numbered 1..2")
    edges = grid.axes[0].edges
    found = np.exp(log_likelihood(read_back.circuit, [[5, 1]])[0])
    assert found == pytest.approx(0.75 * (normal(edges[6], 2, 3) - normal(edges[5], 2, 3)), rel=1e-9)
