"""Files of the Circuit-Model-Zoo: Juice's text, Chow-Liu trees, logistic circuits, PSDDs of any numbers and ids."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import DATA

from pcedge.circuit import log_likelihood
from pcedge.circuit.structure import region_tree
from pcedge.errors import CircuitError, FormatError
from pcedge.importers import Imported, import_circuit

JPC, CLT, LOGISTIC = ((DATA / name).read_text() for name in ("small.jpc", "small.clt", "density.circuit"))


def values(made: Imported, records: object) -> np.ndarray:
    return np.exp(log_likelihood(made.circuit, records) + made.log_constant)  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# Juice's text


def naive_jpc(text: str, symbols: dict[int, int]) -> float:
    """Evaluate Juice's text by its definition, one line after the other."""
    found: dict[str, float] = {}
    for kind, node, _, *rest in (line.split() for line in text.splitlines() if line[0] in "LICPS"):
        if kind == "L":
            found[node] = float(symbols[abs(int(rest[0]))] == (int(rest[0]) > 0))
        elif kind == "I":
            found[node] = float(symbols[int(rest[0])] == int(rest[1]))
        elif kind == "C":
            found[node] = math.exp(float(rest[1 + symbols[int(rest[0])]]))
        elif kind == "P":
            found[node] = math.prod(found[child] for child in rest[1:])
        else:
            pairs = zip(rest[1::2], rest[2::2], strict=True)
            found[node] = sum(found[child] * math.exp(float(log)) for child, log in pairs)
    return list(found.values())[-1]


def test_juice_text() -> None:
    made = import_circuit(DATA / "small.jpc")
    records = list(itertools.product(range(2), range(3), range(4)))
    expected = [naive_jpc(JPC, dict(zip((1, 2, 4), record, strict=True))) for record in records]
    assert sum(expected) == pytest.approx(1, abs=1e-12)
    assert np.allclose(values(made, records), expected, rtol=1e-12, atol=1e-15)
    assert made.names == ("V1", "V2", "V4") and made.circuit.grid is not None
    assert [axis.column for axis in made.circuit.grid.axes] == [0, 1, 3]
    assert made.circuit.grid.symbols_of([[1, 2, 77, 3]]).tolist() == [[1, 2, 3]]


def test_juice_text_of_literals(tmp_path: Path) -> None:
    text = (
        "c written by hand in the form of ProbabilisticCircuits.jl\njpc 7\nL 0 0 1\nL 1 0 -1\nL 2 1 2\nL 3 1 -2\n"
        "P 4 2 2 0 2\nP 5 2 2 1 3\nS 6 2 2 4 -0.35667494393873245 5 -1.2039728043259361\n"
    )
    made = import_circuit(write(tmp_path / "a.jpc", text))
    assert values(made, [[1, 1], [0, 0], [1, 0]]) == pytest.approx([0.7, 0.3, 0], abs=1e-15)
    assert made.circuit.grid is None


JPC_ERRORS: list[tuple[Callable[[str], str], str]] = [
    (lambda t: t.replace("jpc 11", "jpc 12"), r"jpc-line: .*must hold the 12 nodes of its header, .* it holds 11"),
    (lambda t: t.replace("jpc 11\n", "jpc 11\njpc 11\n"), r"jpc-line: .*line 4: one header"),
    (
        lambda t: t.replace("P 6 0 3", "P 6 0 2"),
        r"jpc-line: .*line 10: a node must have as many children as it says, 2",
    ),
    (lambda t: t.replace("P 6 0 3 0 2 4", "P 6 0 3 0 2 9"), r"import-undefined: .*line 10: .* node, 9 does not"),
    (lambda t: t.replace("I 5 0 4 3", "I 4 0 4 3"), r"import-duplicate: .*line 9: node 4 must be defined once"),
    (lambda t: t.replace("I 5 0 4 3", "I 5 0 4 99999999"), r"import-leaf: .*a symbol must be in 0\.\.65535"),
    (lambda t: t.replace("I 5 0 4 3", "G 5 0 4 3"), r"jpc-line: .*must stand here, got 'G 5 0 4 3'"),
    (lambda t: t.replace("L 0 0 1", "L 0 0 0"), r"jpc-line: .*a variable must be in 1\.\.1048576, got 0"),
    (lambda t: t.replace("7 -1.2039728043259361", "7 nan"), r"import-number: .*got 'nan'"),
]


@pytest.mark.parametrize(("change", "message"), JPC_ERRORS)
def test_juice_text_errors(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    changed = change(JPC)
    assert changed != JPC
    with pytest.raises(FormatError, match=message):
        import_circuit(write(tmp_path / "a.jpc", changed))


def test_juice_text_must_be_smooth(tmp_path: Path) -> None:
    text = "jpc 3\nL 0 0 1\nL 1 0 2\nS 2 0 2 0 -0.5 1 -1\n"
    with pytest.raises(CircuitError, match=r"node 2 \(line 4\) is not smooth"):
        import_circuit(write(tmp_path / "a.jpc", text))


# Chow-Liu trees


def naive_clt(record: tuple[int, ...]) -> float:
    """Multiply the conditional probabilities of small.clt: 2 and 5 are roots, 4 below 2, 1 and 3 below 4."""
    one, two, three, four, five = record

    def chance(value: int, p: float) -> float:
        return p if value else 1 - p

    below = chance(four, (0.2, 0.9)[two]) * chance(one, (0.65, 0.4)[four]) * chance(three, (1.0, 0.05)[four])
    return chance(two, 0.3) * chance(five, 0.75) * below


def test_chow_liu_tree() -> None:
    made = import_circuit(DATA / "small.clt")
    records = list(itertools.product((0, 1), repeat=5))
    assert np.allclose(values(made, records), [naive_clt(record) for record in records], rtol=1e-12, atol=1e-15)
    assert made.circuit.grid is None and made.circuit.parameters < 40
    region_tree(made.circuit.shapes)  # it can be coded


def test_older_chow_liu_trees_have_one_root_and_do_not_say_so(tmp_path: Path) -> None:
    made = import_circuit(write(tmp_path / "a.clt", "2\n2 0.3\n1 2 0.9 0.2\n"))
    again = import_circuit(write(tmp_path / "b.clt", "2\n1\n2 0.3\n1 2 0.9 0.2\n"))
    records = list(itertools.product((0, 1), repeat=2))
    assert values(made, records) == pytest.approx([0.7 * 0.8, 0.3 * 0.1, 0.7 * 0.2, 0.3 * 0.9])
    assert np.array_equal(values(made, records), values(again, records))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5\n2\n", "6\n2\n", r"clt-line: .*must have a line for each of its 6 variables, 2 of roots first; it has 5"),
        ("5\n2\n", "x\n2\n", r"import-number: .*line 1: an integer"),
        ("5\n2\n", "c\nc\n", r"import-number"),
        ("2 0.3\n", "2 0.3 0.1\n", r"clt-line: .*line 3: 'variable p' must stand here, got '2 0\.3 0\.1'"),
        ("4 2 0.9 0.2", "4 2 0.9", r"clt-line: .*line 5: 'variable parent p1 p0' must stand here"),
        ("4 2 0.9 0.2", "4 2 1.9 0.2", r"import-weight: .*line 5: a probability must be in 0\.\.1, got 1\.9"),
        ("4 2 0.9 0.2", "4 9 0.9 0.2", r"import-undefined: .*the parent of variable 4 must have a line, 9 has not"),
        ("4 2 0.9 0.2", "4 1 0.9 0.2", r"import-cycle: .*variable 4 must not be above itself"),
        ("3 4 0.05 1.0", "1 4 0.05 1.0", r"import-duplicate: .*line 7: variable 1 must have one line"),
        ("5\n2\n", "0.5 1\n", r"clt-line: .*line 1: the number of variables must stand here"),
    ],
)
def test_chow_liu_errors(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in CLT
    with pytest.raises(FormatError, match=message):
        import_circuit(write(tmp_path / "a.clt", CLT.replace(old, new)))


# Logistic circuits


def naive_scores(text: str, record: tuple[int, ...]) -> list[float]:
    """Add the weights along the one way of a record through a logistic circuit, for each class."""
    active: dict[str, bool] = {}
    scores: dict[str, np.ndarray] = {}
    for line in text.splitlines():
        words = line.split()
        if words[0] in ("T", "F"):
            active[words[1]] = record[int(words[3]) - 1] == (words[0] == "T")
            scores[words[1]] = np.array([float(word) for word in words[4:]])
        elif words[0] == "D":
            for prime, sub, *weights in (found.split() for found in re.findall(r"\(([^)]*)\)", line)):
                if active[prime] and active[sub]:
                    active[words[1]] = True
                    scores[words[1]] = np.array([float(word) for word in weights]) + scores[prime] + scores[sub]
            active.setdefault(words[1], False)
            last = words[1]
        elif words[0] == "B":
            return list(scores[last] + [float(word) for word in words[1:]])
    raise AssertionError("no bias")


def test_a_logistic_circuit_that_is_a_density() -> None:
    made = import_circuit(DATA / "density.circuit")
    records = list(itertools.product((0, 1), repeat=3))
    joint = {
        (*record, c): math.exp(score) for record in records for c, score in enumerate(naive_scores(LOGISTIC, record))
    }
    assert sum(joint.values()) == pytest.approx(1, abs=1e-12)
    assert np.allclose(values(made, list(joint)), list(joint.values()), rtol=1e-12)
    assert made.names == ("V1", "V2", "V3", "class") and made.circuit.grid is not None
    assert made.circuit.grid.axes[3].kind == "states" and made.circuit.grid.axes[3].column == 3


def test_a_logistic_circuit_of_one_class_has_no_class(tmp_path: Path) -> None:
    lines = []
    for line in LOGISTIC.splitlines():
        one = re.sub(r"(-?[\d.e-]+) -?[\d.e-]+(?=\)| *$)", r"\1", line) if line[0] in "TFDB" else line
        lines.append("B 0.0" if line[0] == "B" else one)
    made = import_circuit(write(tmp_path / "a.circuit", "\n".join(lines)))
    records = list(itertools.product((0, 1), repeat=3))
    expected = [math.exp(naive_scores(LOGISTIC, record)[0]) / 0.4 for record in records]
    assert np.allclose(values(made, records), expected, rtol=1e-9)
    assert made.circuit.grid is None


LOGISTIC_ERRORS: list[tuple[Callable[[str], str], str]] = [
    (lambda t: t.replace("B -0.9", "B -0.8"),
     r"circuit-density: .*a\.circuit must hold a density: .* they add up to 1\.0\d+\. A logistic circuit"),
    (lambda t: t[: t.index("B ")], r"circuit-line: .*must end with the bias, 'B \{weight\}': a truncated file"),
    (lambda t: t.replace("D 7 3 2", "D 7 3 3"), r"circuit-line: .*node 7 must have as many elements .* got 2"),
    (lambda t: t.replace("(4 5 ", "(4 9 "),
     r"import-undefined: .*prime and sub must stand above their node, 4 9 do not"),
    (lambda t: t.replace("T 0 0 1 0.0 0.0", "T 0 0 1 0.0"), r"circuit-line: .*a weight a class, 1, got 2"),
    (lambda t: t.replace("F 1 0 1", "F 0 0 1"), r"import-duplicate: .*node 0 must be defined once"),
    (lambda t: t.replace("T 0 0 1", "X 0 0 1"), r"circuit-line: .*must stand here, got 'X 0 0 1"),
    (lambda t: t + "T 9 0 1 0.0 0.0\n", r"circuit-line: .*at the end, 'B"),
    (lambda t: "B 0.5\n", r"circuit-line: .*the bias must stand below the nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), LOGISTIC_ERRORS)
def test_logistic_errors(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    changed = change(LOGISTIC)
    assert changed != LOGISTIC
    with pytest.raises(FormatError, match=message):
        import_circuit(write(tmp_path / "a.circuit", changed))


# PSDDs: ids of vtree nodes, numbers of variables, logarithms


def test_a_psdd_without_ids_of_vtree_nodes(tmp_path: Path) -> None:
    """All ids are 0: with the vtree or without, it is the circuit of the file that has them."""
    records = list(itertools.product((0, 1), repeat=4))
    expected = values(import_circuit(DATA / "small.psdd", vtree=DATA / "small.vtree"), records)
    for vtree in (None, DATA / "small.vtree"):
        made = import_circuit(DATA / "without_ids.psdd", vtree=vtree)
        assert np.array_equal(values(made, records), expected)
        region_tree(made.circuit.shapes)
    beside = write(tmp_path / "a.psdd", (DATA / "without_ids.psdd").read_text())
    write(tmp_path / "a.vtree", (DATA / "small.vtree").read_text())
    assert np.array_equal(values(import_circuit(beside), records), expected)


def test_a_psdd_without_ids_must_fit_a_vtree_that_is_given(tmp_path: Path) -> None:
    own = (DATA / "without_ids.psdd").read_text()
    write(tmp_path / "a.psdd", own)
    other = write(tmp_path / "other.vtree", "vtree 7\nL 0 1\nL 1 3\nI 2 0 1\nL 3 2\nI 4 2 3\nL 5 4\nI 6 4 5\n")
    with pytest.raises(FormatError, match=r"psdd-vtree: .*line 14: node 11 must have the variables of one vtree node"):
        import_circuit(tmp_path / "a.psdd", vtree=other)
    less = write(tmp_path / "less.vtree", "vtree 1\nL 0 1\n")
    with pytest.raises(FormatError, match=r"psdd-vtree: .*line 5: node 2 must .* \(the vtree of another file\?\)"):
        import_circuit(tmp_path / "a.psdd", vtree=less)
    write(tmp_path / "swapped.psdd", own.replace("D 10 0 1 1 2", "D 10 0 1 2 1"))
    with pytest.raises(FormatError, match=r"prime 2 and sub 1 belong to the vtree nodes 2 and 0"):
        import_circuit(tmp_path / "swapped.psdd", vtree=DATA / "small.vtree")
    import_circuit(tmp_path / "swapped.psdd")  # without a vtree the order of a product's factors means nothing


def test_a_psdd_without_ids_that_is_no_circuit_is_told_so(tmp_path: Path) -> None:
    text = "psdd 3\nL 0 0 1\nL 1 0 2\nD 2 0 1 0 1 0\nD 3 0 1 2 0 0\n"
    with pytest.raises(CircuitError, match=r"element 0 of node 3 \(line 5\) is not decomposable"):
        import_circuit(write(tmp_path / "a.psdd", text))


GAP = (
    "psdd 5\nL 0 0 2\nT 1 2 5 -0.2\nL 2 0 -2\nT 3 2 5 -1.0\nD 4 1 2 0 1 -0.35667494393873245 2 3 -1.2039728043259361\n"
)


@pytest.mark.parametrize("tree", [None, "vtree 3\nL 0 2\nL 2 5\nI 1 0 2\n"])
@pytest.mark.parametrize("ids", [True, False])
def test_variables_of_any_numbers(tree: str | None, ids: bool, tmp_path: Path) -> None:
    text = GAP if ids else re.sub(r"(?m)^([LTD] \d+) \d+", r"\1 0", GAP)
    if tree:
        write(tmp_path / "a.vtree", tree)
    made = import_circuit(write(tmp_path / "a.psdd", text))
    assert made.names == ("V2", "V5") and made.circuit.grid is not None
    data = [[9, 1, 9, 9, 1], [9, 1, 9, 9, 0], [9, 0, 9, 9, 1], [9, 0, 9, 9, 0]]
    records = made.circuit.grid.symbols_of(data)
    expected = [0.7 * math.exp(-0.2), 0.7 * (1 - math.exp(-0.2)), 0.3 * math.exp(-1), 0.3 * (1 - math.exp(-1))]
    assert values(made, records) == pytest.approx(expected, rel=1e-12)
    assert made.circuit.grid.matched(["V5", "V2"]).symbols_of([[0, 1]]).tolist() == [[1, 0]]


def test_vtree_leaves_of_one_variable(tmp_path: Path) -> None:
    write(tmp_path / "a.vtree", "vtree 3\nL 0 2\nL 2 2\nI 1 0 2\n")
    with pytest.raises(FormatError, match=r"vtree-line: .*line 3: every variable must be in one leaf, 2 is in 0"):
        import_circuit(write(tmp_path / "a.psdd", GAP))


ROUNDED = "psdd 5\nL 0 0 1\nT 1 2 2 {t}\nL 2 0 -1\nT 3 2 2 1e-12\nD 4 1 2 0 1 {d} 2 3 -1.2039728043259361\n"


def test_logarithms_that_rounding_took_above_0(tmp_path: Path) -> None:
    """One rule for true nodes and decisions: up to 1e-6 it is rounding, and the probability 1."""
    for log in ("2.220446049250313e-16", "9e-7"):
        made = import_circuit(write(tmp_path / "a.psdd", ROUNDED.format(t=log, d="-0.35667494393873245")))
        assert values(made, [[1, 1], [1, 0], [0, 1], [0, 0]]) == pytest.approx([0.7, 0, 0.3, 0], abs=1e-15)
    one = ROUNDED.replace("{d} 2 3 -1.2039728043259361", "{d} 2 3 -inf")
    for log in ("0", "2.220446049250313e-16", "9e-7"):
        made = import_circuit(write(tmp_path / "a.psdd", one.format(t="-0.5", d=log)))
        assert made.log_constant == 0.0


@pytest.mark.parametrize(("t", "d"), [("2e-6", "-0.35"), ("-0.5", "2e-6")])
def test_logarithms_above_rounding(t: str, d: str, tmp_path: Path) -> None:
    line = 3 if t == "2e-6" else 6
    message = (
        rf"psdd-line: .*line {line}: the logarithm of a probability must not be above 0, got 2e-06; rounding explains"
    )
    with pytest.raises(FormatError, match=message):
        import_circuit(write(tmp_path / "a.psdd", ROUNDED.format(t=t, d=d)))
