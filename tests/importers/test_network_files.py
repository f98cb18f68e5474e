"""Readers of networks: one network in four formats gives one circuit, every form of each, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.paths import DATA

from pcedge.circuit import load_circuit, log_likelihood
from pcedge.circuit.file import circuit_checksum
from pcedge.cli import group
from pcedge.errors import CircuitError, FormatError
from pcedge.importers import import_circuit

NETWORKS = DATA / "networks"
FORMATS = ("bif", "xml", "uai", "net")

# The network of the files, as tables by states: season, weather, road, late.
SEASON = {"cold": 0.375, "warm": 0.625}
WEATHER = {"cold": {"sun": 0.25, "rain": 0.25, "snow": 0.5}, "warm": {"sun": 0.625, "rain": 0.375, "snow": 0.0}}
ROAD = {
    ("sun", "cold"): (0.75, 0.125, 0.125), ("sun", "warm"): (1.0, 0.0, 0.0), ("rain", "cold"): (0.125, 0.5, 0.375),
    ("rain", "warm"): (0.0, 1.0, 0.0), ("snow", "cold"): (0.0625, 0.1875, 0.75), ("snow", "warm"): (0.25, 0.5, 0.25),
}  # fmt: skip
LATE = {("dry", "sun"): 0.0625, ("icy", "snow"): 0.875, ("icy", "rain"): 0.75}
STATES = (("cold", "warm"), ("sun", "rain", "snow"), ("dry", "wet", "icy"), ("no", "yes"))


def probability(season: str, weather: str, road: str, late: str) -> float:
    yes = LATE.get((road, weather), 0.25)
    given = ROAD[weather, season][("dry", "wet", "icy").index(road)]
    return SEASON[season] * WEATHER[season][weather] * given * (yes if late == "yes" else 1 - yes)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class TestFourFormats:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_product_of_the_tables(self, kind: str) -> None:
        made = import_circuit(NETWORKS / f"small.{kind}")
        records = list(itertools.product(*(range(len(states)) for states in STATES)))
        expected = [probability(*(s[v] for s, v in zip(STATES, record, strict=True))) for record in records]
        found = np.exp(log_likelihood(made.circuit, records) + made.log_constant)
        assert np.abs(found - expected).max() < 1e-15
        assert np.count_nonzero(expected) < len(expected)

    @pytest.mark.parametrize("kind", ["bif", "xml", "net"])
    def test_names_and_states(self, kind: str) -> None:
        grid = import_circuit(NETWORKS / f"small.{kind}").circuit.grid
        assert grid is not None
        assert grid.names == ("season", "weather", "road", "late")
        assert tuple(axis.states for axis in grid.axes) == STATES
        assert grid.symbols_of([["warm", "rain", "wet", "no"]]).tolist() == [[1, 1, 1, 0]]

    def test_uai_has_numbers_for_names(self) -> None:
        made = import_circuit(NETWORKS / "small.uai")
        assert made.names == ("V0", "V1", "V2", "V3")
        assert made.circuit.grid is not None and made.circuit.grid.plain

    def test_they_give_one_circuit(self) -> None:
        """The order of states in a table differs between BIF and XMLBIF: what is read must not."""
        bif, xml, net, uai = (import_circuit(NETWORKS / f"small.{kind}") for kind in ("bif", "xml", "net", "uai"))
        assert circuit_checksum(bif.circuit) == circuit_checksum(xml.circuit) == circuit_checksum(net.circuit)
        for one, other in zip(bif.circuit.layers, uai.circuit.layers, strict=True):
            assert type(one) is type(other)
        assert bif.notes == xml.notes == uai.notes == ()
        assert net.notes == (
            "2 rows of probabilities did not sum to 1 and were divided by their sums, which are off by 7 at most",
        )

    def test_a_markov_network_keeps_its_constant(self) -> None:
        made = import_circuit(NETWORKS / "pairs.uai")
        first = np.array([[4.0, 2.4], [1.0, 0.0]])
        second = np.array([[2.25, 3.25, 3.75], [0.0, 0.0, 10.0]])
        third = np.array([1, 2, 0.5])
        product = first[:, :, None] * second[None] * third
        assert math.isclose(made.log_constant, math.log(product.sum()), rel_tol=1e-14)
        records = list(np.ndindex(2, 2, 3))
        found = np.exp(log_likelihood(made.circuit, records) + made.log_constant)
        assert np.allclose(found, product.reshape(-1), rtol=1e-13, atol=0)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_on_the_command_line(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / f"n.{kind}.gz"
        path.write_bytes(gzip.compress((NETWORKS / f"small.{kind}").read_bytes()))
        out = tmp_path / "c.pcedge"
        done = CliRunner().invoke(group, ["import", str(path), "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert "4 variables" in done.output and "not structured" not in done.output
        assert load_circuit(out).cardinalities == (2, 3, 3, 2)
        again = tmp_path / "d.pcedge"
        CliRunner().invoke(group, ["import", str(path), "--out", str(again)])
        assert out.read_bytes() == again.read_bytes()


BIF = """network n {{ }}
variable a {{ type discrete [ 2 ] {{ t, f }}; }}
variable b {{ type discrete [ 2 ] {{ t, f }}; }}
probability ( a ) {{ table 0.5, 0.5; }}
{0}
"""


def bif(tmp_path: Path, block: str) -> np.ndarray:
    """Give p(b | a) as (a, b) that a block says."""
    circuit = import_circuit(write(tmp_path / "a.bif", BIF.format(block))).circuit
    joint = np.exp(log_likelihood(circuit, list(np.ndindex(2, 2)))).reshape(2, 2)
    return joint / joint.sum(axis=1, keepdims=True)


class TestBif:
    WANTED = ((0.25, 0.75), (0.875, 0.125))

    @pytest.mark.parametrize(
        "block",
        [
            "probability ( b | a ) { (t) 0.25, 0.75; (f) 0.875, 0.125; }",
            "probability ( b | a ) { (f) 0.875, 0.125; (t) 0.25, 0.75; }",
            "probability ( b | a ) { table 0.25, 0.875, 0.75, 0.125; }",
            'probability("b" "a") { table 0.25 0.875 0.75 0.125; };',
            "probability ( b, a ) { (f) 0.875 0.125; default 0.25 0.75; }",
            "probability ( b | a ) { default 0.875 0.125; (t) 2.5e-1 .75; property p = (t) 1, 2; // (f) 1 0;\n}",
            'probability ( b | a ) { property "a \\"; (t)" ; /* ; } */ (t) 0.25, 0.75;\n(f) 0.875, 0.125; }',
            'probability ( b | a ) { property size 5" ; (t) 0.25, 0.75; (f) 0.875, 0.125; }',
        ],
    )
    def test_forms_of_a_table(self, tmp_path: Path, block: str) -> None:
        assert np.allclose(bif(tmp_path, block), self.WANTED, rtol=1e-14)

    def test_the_order_of_parents_is_that_of_the_header(self, tmp_path: Path) -> None:
        text = """variable z { type discrete [2] { 0, 1 }; } variable y { type discrete [3] { a, b, c }; }
        variable x { type discrete [2] { 0, 1 }; }
        probability (z) { table .5 .5; } probability (y) { table .25 .25 .5; }
        probability (x | y, z) { %s }"""
        ones = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625]
        table = " ".join(str(1 - one) for one in ones) + " " + " ".join(map(str, ones))
        pairs = itertools.product("abc", "01")
        rows = "".join(f"({y}, {z}) {1 - one} {one};" for (y, z), one in zip(pairs, ones, strict=True))
        for body in (f"table {table};", rows):
            circuit = import_circuit(write(tmp_path / "a.bif", text % body)).circuit
            both = log_likelihood(circuit, [[z, y, 1] for y in range(3) for z in range(2)])
            prior = log_likelihood(circuit, [[z, y, -1] for y in range(3) for z in range(2)])
            assert np.allclose(np.exp(both - prior), ones, atol=1e-15)

    def test_names_with_blanks(self, tmp_path: Path) -> None:
        text = """network n { } variable my var { type discrete [ 2 ] { very low, high }; }
        variable b { type discrete [ 2 ] { t, f }; }
        probability ( my var ) { table 0.25, 0.75; } probability ( b | my var ) { (very low) 1, 0; (high) 0, 1; }"""
        circuit = import_circuit(write(tmp_path / "a.bif", text)).circuit
        assert circuit.grid is not None and circuit.grid.names == ("my var", "b")
        assert circuit.grid.axes[0].states == ("very low", "high")
        assert np.allclose(np.exp(log_likelihood(circuit, [[0, 0], [0, 1], [1, 1]])), [0.25, 0.0, 0.75], rtol=1e-14)

    def test_signs_in_names(self, tmp_path: Path) -> None:
        text = """network n { } variable a/b.c-d { type discrete [ 3 ] { <=5, 5-10, =>10 }; }
        probability ( a/b.c-d ) { table 0.25, 0.25, 0.5; }"""
        circuit = import_circuit(write(tmp_path / "a.bif", text)).circuit
        assert circuit.grid is not None and circuit.grid.axes[0].states == ("<=5", "5-10", "=>10")

    def test_tables_before_variables(self, tmp_path: Path) -> None:
        head, variables = "probability (a) { table 0.25 0.75; }", "variable a { type discrete [2] { x y }; }"
        made = import_circuit(write(tmp_path / "a.bif", head + variables))
        assert np.allclose(np.exp(log_likelihood(made.circuit, [[0], [1]])), [0.25, 0.75], rtol=1e-14)

    def test_rounded_rows_are_divided_by_their_sums(self, tmp_path: Path) -> None:
        text = BIF.format("probability ( b | a ) { (t) 0.333, 0.666; (f) 0.5, 0.5; }")
        made = import_circuit(write(tmp_path / "a.bif", text))
        assert made.notes == (
            "1 rows of probabilities did not sum to 1 and were divided by their sums, which are off by 0.001 at most",
        )
        found = np.exp(log_likelihood(made.circuit, [[0, 0], [0, 1]]))
        assert np.allclose(found, [0.5 / 3, 1 / 3], atol=1e-15)
        assert abs(made.log_constant) < 1e-15

    def test_states_that_mean_missing_elsewhere(self, tmp_path: Path) -> None:
        text = "variable a { type discrete [2] { None, some }; } probability (a) { table 0.25 0.75; }"
        grid = import_circuit(write(tmp_path / "a.bif", text)).circuit.grid
        assert grid is not None and grid.symbols_of([["None"], ["some"]]).tolist() == [[0], [1]]


class TestXmlbif:
    def test_encodings(self, tmp_path: Path) -> None:
        text = (NETWORKS / "small.xml").read_text().replace("US-ASCII", "UTF-16").replace(">wet<", ">naß<")
        (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
        grid = import_circuit(tmp_path / "a.xml").circuit.grid
        assert grid is not None and grid.axes[2].states == ("dry", "naß", "icy")

    def test_a_definition_may_stand_first(self, tmp_path: Path) -> None:
        text = (NETWORKS / "small.xml").read_text()
        start, end = text.index("<VARIABLE"), text.index("<DEFINITION>")
        moved = text[:start] + text[end:].replace("</NETWORK>", text[start:end] + "</NETWORK>")
        made = import_circuit(write(tmp_path / "a.xml", moved))
        assert circuit_checksum(made.circuit) == circuit_checksum(import_circuit(NETWORKS / "small.xml").circuit)


class TestNet:
    def test_classes_and_uniform_potentials(self, tmp_path: Path) -> None:
        text = """class A { inputs = (); HR_x = "a ; }"; node_size = (1 2);
        node a { states = ("x" "y,z"); subtype = label; } node b { states = ("0" "1" "2"); }
        potential (b | a) { } potential (a | ) { data = ( 1 3 ) ; } }"""
        circuit = import_circuit(write(tmp_path / "a.net", text)).circuit
        assert circuit.grid is not None and circuit.grid.axes[0].states == ("x", "y,z")
        found = np.exp(log_likelihood(circuit, list(np.ndindex(2, 3))))
        assert np.allclose(found, [1 / 12] * 3 + [0.25] * 3, atol=1e-15)


# Refusals: the format, what in the file is replaced by what, the rule, the text

REFUSED = {
    "bif": [
        ('network "on', 'netz "on', "bif-syntax",
            r"small\.bif, line 2: network, variable or probability must stand here, got 'netz'"),
        ("discrete [ 2 ] { cold", "continuous [ 2 ] { cold", "bif-syntax",
            "'season' must have a discrete type, got 'cont"),
        ("[ 2 ] { cold, warm", "[ 3 ] { cold, warm", "network-variable", "the 3 states that it says, it names 2"),
        ("cold, warm };", "cold, cold };", "network-variable", "line 5: the states of season must have a name each"),
        ("variable road", "variable season", "network-variable", "must have a name of its own, got 'season' again"),
        ("| road, weather", "| road, sky", "network-variable",
            "line 20: a table must be over variables .*, 'sky' is none"),
        ("| road, weather", "| road, road", "network-table", "a table must name a variable once, 'road' is twice"),
        ("| road, weather", "| late, weather", "network-table", "a table must name a variable once, 'late' is twice"),
        ("0.9375, 0.0625;", "0.9375;", "network-table", "line 22: a row must have 2 probabilities, got 1"),
        ("(dry, sun)", "(dry)", "network-table", "line 22: a row must name a state of each of 2 parents, got 1"),
        ("(dry, sun)", "(dry, hail)", "network-table",
            "'weather' must have one of its states, sun, rain, snow, got 'hail'"),
        ("(dry, sun)", "(icy, snow)", "network-table", "line 23: 'late' must have one row for states .*, it has two"),
        ("default 0.75, 0.25;", "", "network-table", r"'late' must have a row for .*, it has none for \(dry, rain\)"),
        ("default 0.75, 0.25;", "table 0 1;", "bif-syntax", "'late' must have a table or rows, it has both"),
        ("0.375, 0.625;", "0.375, 0.625, 0;", "network-table", "a table over season must have 2 entries, it has 3"),
        ("table 0.375, 0.625;", "", "network-table",
            r"'season' must have a row for all states .*, it has none for \(\)"),
        ("0.375, 0.625;", "0.375, 0.425;", "network-table", "'season' must sum to 1 .*, for all they sum to 0.8"),
        ("0.125, 0.5, 0.375", "0.125, 0.5, 0.475", "network-table",
            "'road' must sum to 1 .*, for weather = rain, season = cold they sum to 1.1"),
        ("0.125, 0.5, 0.375", "0.125, -0.5, 1.375", "network-table",
            "an entry must be finite and not negative, got -0.5"),
        ("0.125, 0.5, 0.375", "0.125, half, 0.375", "import-number",
            "line 36: a finite number must stand here, got 'half'"),
        ("0.375, 0.625; }", "0.375, 0.625; } probability (season) { table 1 0; }", "network-table",
            "'season' must have one table, .*line 26 gives one too"),
        ("probability ( season ) { table 0.375, 0.625; }", "", "network-table", "every variable .* 'season' has none"),
        ("probability ( season ) { table 0.375, 0.625; }", "probability (season | late) { default .5 .5; }",
            "network-cycle", "no variable may be its own ancestor"),
        ("probability ( season )", "probability ( )", "bif-syntax", "probability must name a variable"),
        ("dry, wet, icy };", "dry, wet, icy ", "bif-syntax",
            "line 17: one type, or property must stand here, got 'variable'"),
        ("is late { or not */", "", "bif-syntax", "line 15: a word, a number or a sign must stand here, got"),
    ],
    "xml": [
        ("<BIF VERSION", "<smile VERSION", "xmlbif-syntax",
            "the root element of XMLBIF must be <BIF>, got <smile>, which is GeNIe"),
        ("<BIF VERSION", "<svg VERSION", "xmlbif-syntax", "line 8: .* must be <BIF>, got <svg>: save it as XMLBIF"),
        ("<!ELEMENT NET", "<!ENTITY a 'b'><!ELEMENT NET", "xmlbif-syntax",
            "line 6: a document must declare no entities"),
        ("<!ELEMENT NET", "<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a; <!ELEMENT NET", "xmlbif-syntax",
            "no entities"),
        ("</NETWORK>", "", "xmlbif-syntax", r"small\.xml must be XML \(mismatched tag"),
        ("on the way", "&way;", "xmlbif-syntax", r"must be XML \(undefined entity"),
        ("nature", "decision", "xmlbif-syntax", "'season' must have the type nature, got 'decision'"),
        ("<FOR>season</FOR>", "", "xmlbif-syntax", "a DEFINITION must have one FOR, it has 0"),
        ("<OUTCOME>cold</OUTCOME>", "<VALUE>cold</VALUE>", "xmlbif-syntax", "<VALUE> must be that of XMLBIF 0.3"),
        ("<TABLE>0.375 0.625", "<TABLE>0.375 0.625 0", "network-table",
            "line 22: a table over season must have 2 entries"),
        ("<TABLE>0.375 0.625", "<TABLE>0.375 x", "import-number", "line 22: a finite number must stand here, got 'x'"),
        ("US-ASCII", "klingon", "xmlbif-syntax", "must be XML"),
    ],
    "uai": [
        ("BAYES", "LIMID", "uai-syntax", r"small\.uai must begin with BAYES or MARKOV, got 'LIMID'"),
        ("2 3 3 2", "2 3 3 0", "network-variable", r"V3 must have 1\.\.65536 states, it has 0"),
        ("3 2 1 3", "3 2 1 4", "network-variable", r"function 3: a variable must be in 0\.\.3, got 4"),
        ("3 2 1 3", "0", "uai-syntax", "function 3 must have a variable, for the network is Bayesian"),
        ("\n18\n 0.9375", "\n19\n 0.9375", "network-table",
            "function 3 must have 18 entries for its variables, it says 19"),
        ("0.125 0.875", "0.125 0.875 7", "uai-syntax", "must end after the last function, got '7'"),
        ("0.125 0.875", "0.125", "uai-syntax", "must have entry 17 of function 3, it ends before: a truncated file"),
        ("0.125 0.875", "0.125 nan", "import-number",
            "entry 17 of function 3: a finite number must stand here, got 'nan'"),
        ("0.25 0.25 0.5\n 0.625 0.375 0\n", "0.25 0.625 0.25 0.375 0.5 0\n", "network-table",
            "function 1: the states of the function's last variable must run fastest, .* a table that pgmpy wrote"),
    ],
    "net": [
        ("discrete node", "continuous node", "net-syntax",
            "'road' must be a discrete node, it is continuous; make states"),
        ("discrete node", "decision", "net-syntax", "'road' must be a discrete node, it is decision; take utilities"),
        ("potential (season)", "potential (season late)", "net-syntax",
            "a potential must be of one variable .*, got 2"),
        ("data = (0.375 0.625);", "model_data = (Beta(1,2));", "net-syntax", "must have numbers, got model_data"),
        ("data = (0.375 0.625);", "data = (0.375 0.625;", "net-syntax", r"line 17: '\)' must stand here, got ';'"),
        ("data = (0.375 0.625);", "data = (0 0);", "network-table", "'season' must sum to 1 .*, for all they sum to 0"),
        ("states = (\"cold\" \"warm\");", "", "net-syntax", "line 6: 'season' must have states"),
        ("potential (season)", "instance (season)", "net-syntax",
            "line 15: a class must hold nodes alone, got an instance; unroll it first"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "old", "new", "rule", "text"),
    [pytest.param(kind, *case, id=f"{kind}-{place}") for kind in REFUSED for place, case in enumerate(REFUSED[kind])],
)
def test_refused(tmp_path: Path, kind: str, old: str, new: str, rule: str, text: str) -> None:
    whole = (NETWORKS / f"small.{kind}").read_text()
    assert old in whole
    path = write(tmp_path / f"small.{kind}", whole.replace(old, new, 1))
    with pytest.raises(FormatError, match=text) as caught:
        import_circuit(path)
    assert caught.value.rule == rule


@pytest.mark.parametrize("kind", FORMATS)
def test_a_mark_of_utf_8_is_no_part_of_the_text(tmp_path: Path, kind: str) -> None:
    text = (NETWORKS / f"small.{kind}").read_text().replace('encoding="US-ASCII"', "")
    made = import_circuit(write(tmp_path / f"small.{kind}", "\ufeff" + text.replace("\n", "\r\n")))
    assert circuit_checksum(made.circuit) == circuit_checksum(import_circuit(NETWORKS / f"small.{kind}").circuit)


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_files_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FormatError, match=r"small\.\w+ must"):
        import_circuit(write(tmp_path / f"small.{kind}", ""))


def test_a_network_without_mass_is_refused(tmp_path: Path) -> None:
    text = "MARKOV 2 2 2 2 2 0 1 2 0 1 4 1 0 0 0 4 0 1 1 1"
    with pytest.raises(CircuitError, match=r"a\.uai must give some record a probability above 0, it gives none any"):
        import_circuit(write(tmp_path / "a.uai", text))
