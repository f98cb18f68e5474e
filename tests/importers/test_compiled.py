"""Compiled circuits: ACE's in both dialects, c2d's with weights and without, by an evaluator of their own."""

from __future__ import annotations

import gzip
import itertools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.paths import DATA

from pcedge.circuit import load_circuit, log_likelihood
from pcedge.cli import group
from pcedge.errors import CircuitError, FormatError
from pcedge.importers import Imported, import_circuit

COMPILED = DATA / "compiled"
AC, LMAP = (COMPILED / "grass.net.ac").read_text(), (COMPILED / "grass.net.lmap").read_text()
NNF, WEIGHTS = (COMPILED / "either.nnf").read_text(), (COMPILED / "either.weights").read_text()


def evaluate(text: str, literal: Callable[[int], float]) -> float:
    """Evaluate lines of negation normal form by their definition."""
    values: list[float] = []
    for words in (line.split() for line in text.splitlines()):
        if words[0] in "Ll":
            values.append(literal(int(words[1])))
        elif words[0] in ("A", "*"):
            values.append(math.prod(values[int(word)] for word in words[2:]))
        elif words[0] in ("O", "+"):
            values.append(sum(values[int(word)] for word in words[3 if words[0] == "O" else 2 :]))
    return values[-1]


def of_lmap(text: str, record: tuple[int, ...], log: bool = False) -> Callable[[int], float]:
    """Give the literals' values for a record: 0 for indicators of other states."""
    names = re.findall(r"cc\$V\$(\w+)\$", text)
    values: dict[int, float] = {}
    for kind, literal, weight, rest in re.findall(r"cc\$([IPCA])\$(-?\d+)\$([^$\n]+)\$?(.*)", text):
        value = math.exp(float(weight)) if log else float(weight)
        words = [word for word in rest.split("$") if word not in ("+", "")]
        same = kind != "I" or record[names.index(words[0])] == int(words[-1])
        values[int(literal)] = value if same else 0.0
    return values.__getitem__


def values(made: Imported, records: object) -> np.ndarray:
    return np.exp(log_likelihood(made.circuit, records) + made.log_constant)  # type: ignore[arg-type]


def place(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files; give the first."""
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder / next(iter(files))


@pytest.mark.parametrize("name", ["grass.net", "grass_old.net"])
def test_both_dialects_of_ace(name: str) -> None:
    made = import_circuit(COMPILED / f"{name}.ac")
    text, lmap = ((COMPILED / f"{name}.{suffix}").read_text() for suffix in ("ac", "lmap"))
    records = list(itertools.product(range(3), range(2), range(3)))
    expected = [evaluate(text, of_lmap(lmap, record)) for record in records]
    assert sum(expected) == pytest.approx(1, abs=1e-12)
    assert expected[0] == pytest.approx(0.5 * 0.6 * 0.95, abs=1e-15)  # the network's own tables
    assert np.allclose(values(made, records), expected, rtol=1e-12, atol=1e-15)
    assert made.names == ("weather", "sprinkler", "grass") and made.notes == ()
    assert made.circuit.grid is not None
    if name == "grass_old.net":
        found = made.circuit.grid.symbols_of(np.array([["rain", "off", "wet"], ["sun", "on", "damp"]]))
        assert found.tolist() == [[2, 0, 2], [0, 1, 1]]
    else:
        assert made.circuit.grid.plain  # states without names are the integers


def test_logarithms_and_partial_evidence(tmp_path: Path) -> None:
    text = re.sub(
        r"(cc\$[IPC]\$-?\d+\$)([^$\n]+)",
        lambda m: m[1] + (repr(math.log(float(m[2]))) if float(m[2]) else "-inf"),
        LMAP,
    ).replace("NORMAL", "LOG_E")
    made = import_circuit(place(tmp_path, {"a.ac": AC, "a.lmap": text}))
    records = list(itertools.product(range(3), range(2), range(3)))
    expected = [evaluate(AC, of_lmap(text, record, log=True)) for record in records]
    assert np.allclose(values(made, records), expected, rtol=1e-12, atol=1e-15)
    wet = sum(value for record, value in zip(records, expected, strict=True) if record[2] == 2)
    assert values(made, [[-1, -1, 2]])[0] == pytest.approx(wet, rel=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_c2d_that_is_not_smooth(weighted: bool, tmp_path: Path) -> None:
    files = {"a.nnf": NNF} | ({"a.weights": WEIGHTS} if weighted else {})
    made = import_circuit(place(tmp_path, files))
    told = {1: 0.3, -1: 0.7, 2: 0.25, -2: 0.75, 3: 2.0, -3: 0.5} if weighted else {}
    records = list(itertools.product((0, 1), repeat=4))
    # A model's weight is that of all its literals, whatever the circuit mentions.
    expected = [
        math.prod(told.get((v + 1) * (1 if value else -1), 1.0) for v, value in enumerate(record))
        * bool((record[0] or record[1]) and record[3])
        for record in records
    ]
    assert np.allclose(values(made, records), expected, rtol=1e-12, atol=1e-15)
    assert values(made, [[-1] * 4])[0] == pytest.approx(sum(expected), rel=1e-12)
    assert made.notes == ("2 nodes did not mention all variables beside them; these are free there",)
    assert made.circuit.grid is None and made.names == ()


def test_weights_of_a_model_counter_are_the_same(tmp_path: Path) -> None:
    line = "c weights 0.3 0.7 0.25 0.75 2.0 0.5\n"
    first = import_circuit(place(tmp_path, {"a.nnf": NNF, "a.weights": WEIGHTS}))
    second = import_circuit(place(tmp_path, {"b.nnf": NNF, "b.weights": line}))
    records = list(itertools.product((0, 1), repeat=4))
    assert np.array_equal(values(first, records), values(second, records))


def test_a_literal_map_beside_an_nnf_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.net.lmap.gz").write_bytes(gzip.compress(LMAP.encode()))
    (tmp_path / "a.net.nnf.gz").write_bytes(gzip.compress(AC.encode()))
    made = import_circuit(tmp_path / "a.net.nnf.gz")
    assert made.format == "nnf" and made.names == ("weather", "sprinkler", "grass")


def test_what_a_branch_does_not_mention_is_free(tmp_path: Path) -> None:
    """A variable of the map that the circuit leaves out changes no record's value."""
    lmap = LMAP + "cc$V$extra$4\ncc$I$99$1.0$+$extra$2\n"
    made = import_circuit(place(tmp_path, {"a.ac": AC, "a.lmap": lmap}))
    records = [(0, 0, 0, 3), (2, 0, 1, 0)]
    assert np.allclose(values(made, records), [evaluate(AC, of_lmap(LMAP, record)) for record in records], rtol=1e-12)
    assert made.notes == ("1 nodes did not mention all variables beside them; these are free there",)


def test_constants_alone_are_reckoned(tmp_path: Path) -> None:
    text = "nnf 6 5 3\nl 3\nl 2\n+ 2 0 1\nl 1\n* 2 2 3\n+ 1 4\n"
    lmap = "cc$V$a$2$no$yes\ncc$I$1$1.0$a$yes$1\ncc$P$2$0.25$a$0\ncc$A$3$0.5\n"
    made = import_circuit(place(tmp_path, {"a.ac": text, "a.lmap": lmap}))
    assert values(made, [[0], [1]]).tolist() == pytest.approx([0, 0.75])


def test_import_command_and_states(tmp_path: Path) -> None:
    out = tmp_path / "c.pcedge"
    run = CliRunner().invoke(group, ["import", str(COMPILED / "grass_old.net.ac"), "--out", str(out), "--json"])
    assert run.exit_code == 0, run.output
    assert load_circuit(out).grid == import_circuit(COMPILED / "grass_old.net.ac").circuit.grid


AC_ERRORS: list[tuple[Callable[[str], str], Callable[[str], str], type[Exception], str]] = [
    (lambda t: t.replace("nnf 72", "nnf 73"), str, FormatError,
     r"nnf-line: .*a\.ac must hold the 73 nodes of its header"),
    (lambda t: t[: t.rindex("+")], str, FormatError,
     r"must hold the 72 nodes of its header, .* it holds 71: a damaged"),
    (lambda t: t.replace("l 1\n", "l 77\n"), str, FormatError,
     r"nnf-literal: .*line 3: a literal must be one .* got 77"),
    (lambda t: t.replace("+ 3 46 58 70", "+ 3 46 58 72"), str, FormatError,
     r"import-undefined: .*line 74: children must stand above their node, 72 does not"),
    (lambda t: t.replace("+ 3 46 58 70", "+ 4 46 58 70"), str, FormatError,
     r"line 74: a node must have as many children"),
    (lambda t: t.replace("+ 3 46 58 70", "X 3 46 58 70"), str, FormatError, r"line 74: .* this one maximises"),
    (lambda t: t.replace("+ 3 46 58 70", "Q 3"), str, FormatError, r"'L literal', 'A count children' or .* got 'Q 3'"),
    (lambda t: t.replace("nnf 72", "a 1\nnnf 72"), str, FormatError,
     r"must stand before the nodes; d4 writes such files"),
    (lambda t: t.split("nnf")[0], str, FormatError, r"must have a line 'nnf nodes edges variables', it has none"),
    (lambda t: t + "nnf 1 1 1\n", str, FormatError, r"line 75: one header"),
    (str, lambda t: t.replace("ALWAYS_SUM", "ALWAYS_MAX"), FormatError,
     r"lmap-line: .*line 2: .*got 'ALWAYS_MAX': what max"),
    (str, lambda t: t.replace("NORMAL", "LOG_2"), FormatError,
     r"lmap-line: .*weights must be NORMAL or LOG_E, got 'LOG_2'"),
    (str, lambda t: t.replace("cc$I$1$", "cc$I$2$"), FormatError,
     r"import-duplicate: .*a literal must not be 0 and be"),
    (str, lambda t: t.replace("weather$2", "weather$3"), FormatError,
     r"lmap-line: .*weather has the states 0\.\.2, got 3"),
    (str, lambda t: t.replace("cc$V$weather$3", "cc$V$weather$3$a$a$b"), FormatError,
     r"1\.\.65536 states, with a name each"),
    (str, lambda t: t.replace("cc$V$grass", "cc$V$weather"), FormatError, r"'weather' must be defined once"),
    (str, lambda t: t.replace("$+$weather$0", "$X$weather$0"), FormatError,
     r"summed out, '\+', literal 1 is maximised"),
    (str, lambda t: t.replace("$+$weather$0", "$+$wether$0"), FormatError, r"must have a variable of a V line above"),
    (str, lambda t: t.replace("0.95", "-0.95"), FormatError, r"import-weight: .*finite and not negative, got -0\.95"),
    (str, lambda t: t.replace("cc$N$35", "cc$Q$35"), FormatError, r"'cc\$' must be followed by one of K, .* got 'Q'"),
    (str, lambda t: "c nothing\n", FormatError, r"must name at least one variable"),
    (str, lambda t: re.sub(r"(cc\$I\$\d+\$)1\.0", r"\g<1>0.0", t), CircuitError, r"must have mass, the circuit is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "other", "kind", "message"), AC_ERRORS)
def test_ace_errors(
    change: Callable[[str], str], other: Callable[[str], str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    files = {"a.ac": change(AC), "a.lmap": other(LMAP)}
    assert files != {"a.ac": AC, "a.lmap": LMAP}
    with pytest.raises(kind, match=message):
        import_circuit(place(tmp_path, files))


def test_ace_needs_its_literal_map(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"lmap-missing: .*a\.net\.ac must have its literal map beside it, as a\.net\.lmap"
    ):
        import_circuit(place(tmp_path, {"a.net.ac": AC}))


def test_a_product_of_one_variable_twice_is_refused(tmp_path: Path) -> None:
    text = "nnf 3 2 1\nL 1\nL 1\nA 2 0 1\n"
    with pytest.raises(CircuitError, match=r"node 2 \(line 4\) is not decomposable"):
        import_circuit(place(tmp_path, {"a.nnf": text}))


@pytest.mark.parametrize(
    ("nnf", "weights", "message"),
    [
        (
            NNF,
            "1 0.3\n",
            r"weights-line: .*both literals of a variable must have a weight, or none, variable 1 has one",
        ),
        (NNF, "9 0.3\n", r"weights-line: .*line 1: a literal must be of the variables 1\.\.4, got 9"),
        (NNF, "1 0.3\n1 0.3\n", r"import-duplicate: .*line 2: the weight of a literal must be given once, got 1 twice"),
        (NNF, "1\n", r"weights-line: .*'literal weight' must stand here, got '1'"),
        (NNF, "1 -2\n", r"import-weight: "),
        (NNF, "1 0\n-1 0\n", r"variable 1 must have a weight above 0, both are 0"),
        (NNF.replace("7 6 4", "7 6 3"), "", r"nnf-literal: .*line 6: a literal must be one of .* got 4"),
        (NNF.replace("7 6 4", "7 6 99999999"), "", r"nnf-line: .*a variable must be in 1\.\.1048576, got 99999999"),
        (NNF.replace("7 6 4", "7 6 1000000"), "", r"import-size: .*must need at most \d+ bytes"),
    ],
)
def test_nnf_errors(nnf: str, weights: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        import_circuit(place(tmp_path, {"a.nnf": nnf, "a.weights": weights}))


def test_unsatisfiable(tmp_path: Path) -> None:
    with pytest.raises(CircuitError, match=r"the root must have mass, the circuit is 0 for every record"):
        import_circuit(place(tmp_path, {"a.nnf": "nnf 1 0 2\nO 0 0\n"}))
