"""Unrolled kernels: the same integers as the reference, adders never above the plain form, projects and refusals."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.nightly import NIGHTLY, examples
from helpers.paths import HLS, SHARED
from helpers.unrolled_model import Model
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import configs, integer_circuits, make_circuit, records_for, unstructured_circuits

from pcedge import arithmetic
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, FormatError, MismatchError, MissingToolError, ToolError, UsageError
from pcedge.export import load_zoo, write_onnx, write_project, write_unrolled
from pcedge.export.unrolled import adders
from pcedge.export.unrolled.kernel import MAX_EDGES, edges, unroll
from pcedge.export.unrolled.project import beat_bits, results
from pcedge.export.unrolled.tables import code_bits
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.csim import Csim
from pcedge.simulate.unrolled import FAST, UnrolledCsim
from pcedge.toolchain import tools
from pcedge.toolchain.compiled import compared
from pcedge.verify import verify

WAYS = ("plain", "shared") if adders.has_da4ml() else ("plain",)

needs_da = pytest.mark.skipif(not adders.has_da4ml(), reason="the extra da is not installed")


def spn(name: str) -> IntegerCircuit:
    from pcedge.importers import import_circuit

    path = SHARED / f"spn/{name}.spn"
    if not path.exists():
        pytest.skip(f"{path} does not exist; PCEDGE_SHARED_DATA names the folder of the data")
    return quantize(import_circuit(path).circuit)


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Draw rows of weights: dense, sparse, certain, equal to or near each other."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns, bits = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(2, 16))
    matrix = np.floor(rng.dirichlet(np.full(columns, 0.5), rows) * 2**bits).astype(np.int64)
    matrix[rng.random(matrix.shape) < draw(st.sampled_from((0.0, 0.3, 0.8)))] = 0
    for row in range(1, rows):
        if rng.random() < 0.3:
            matrix[row] = matrix[row - 1]
            matrix[row, rng.integers(columns)] = rng.integers(0, 2**bits + 1)
    return matrix


class TestAdders:
    @given(matrices())
    def test_graphs_multiply_by_their_matrix(self, matrix: np.ndarray) -> None:
        top = [65535] * matrix.shape[1]
        graph = adders.plain(matrix)
        assert (graph.matrix() == matrix).all()
        assert len(graph.adds) == adders.plain_adders(matrix)
        near = adders.spanning(matrix, adders._plain_terms)
        assert (near.matrix() == matrix).all()
        assert len(near.adds) <= len(graph.adds)
        if adders.has_da4ml():
            found = adders.through_da4ml(matrix, top)
            assert (found.matrix() == matrix).all()
            best = adders.shared(matrix, top)
            assert (best.matrix() == matrix).all()
            assert len(best.adds) <= min(len(graph.adds), len(near.adds), len(found.adds))

    @given(matrices(), st.integers(0, 2**32 - 1))
    def test_ranges_hold_every_value(self, matrix: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        top = rng.integers(0, 65536, matrix.shape[1])
        graph = adders.spanning(matrix, adders._plain_terms)
        values = graph.forms @ np.where(rng.random(len(top)) < 0.5, top, 0).astype(object)
        for value, (low, high) in zip(values, graph.ranges(top.tolist()), strict=True):
            assert low <= value <= high
            bits = adders.width(low, high)
            assert -(1 << (bits - 1)) * (low < 0) <= low and high < 1 << (bits - (low < 0))

    @given(st.integers(0, 1 << 17))
    def test_signed_digits_are_canonical(self, value: int) -> None:
        digits = adders.signed_digits(value)
        assert sum((-1 if negative else 1) << shift for shift, negative in digits) == value
        assert all(b[0] - a[0] >= 2 for a, b in itertools.pairwise(digits))

    def test_a_near_row_costs_its_change_only(self) -> None:
        matrix = np.array([[173, 91, 45, 219], [173, 91, 45, 220], [173, 95, 45, 220]])
        cheapest = min(adders.plain_adders(matrix[row : row + 1]) for row in range(3))
        assert len(adders.spanning(matrix, adders._plain_terms).adds) == cheapest + 2

    @needs_da
    def test_large_matrices_go_in_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        matrix = np.random.default_rng(0).integers(0, 256, (24, 8))
        matrix[12:, :4] = matrix[:12, 4:] = 0  # two groups that share no columns
        monkeypatch.setattr(adders, "BLOCK_ENTRIES", 16)
        assert [len(block) for block in adders._blocks(matrix)] == [4] * 6
        assert (adders.through_da4ml(matrix, [255] * 8).matrix() == matrix).all()

    def test_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adders, "has_da4ml", lambda: False)
        with pytest.raises(MissingToolError, match=r"da4ml.*pip install 'pcedge\[da\]'"):
            adders.shared(np.ones((1, 2), dtype=np.int64), [1, 1])


def check(circuit: IntegerCircuit, records: np.ndarray, ways: Sequence[str] = WAYS) -> None:
    """Compare the statements with the reference, with exact and with 64-bit integers."""
    expected = results(ReferenceEngine(circuit), records).tolist()
    counts = []
    for way in ways:
        kernel = unroll(circuit, way)
        counts.append(kernel.counts.adders)
        assert kernel.counts.adders <= kernel.counts.left_adders <= kernel.counts.plain_adders
        assert kernel.counts.multipliers <= kernel.counts.plain_products
        for exact in (True, False):
            model = Model(kernel, exact)
            assert [model.run(record) for record in records.tolist()] == expected
    assert counts == sorted(counts, reverse=True)


class TestStatements:
    @pytest.mark.slow
    @given(st.data())
    @examples(usual=30, nightly=60)
    def test_structured_circuits(self, data: st.DataObject) -> None:
        circuit = data.draw(integer_circuits())
        check(circuit, data.draw(records_for(circuit, missing=data.draw(st.booleans()))))

    @pytest.mark.slow
    @given(st.data())
    @examples(usual=20, nightly=40)
    def test_unstructured_circuits(self, data: st.DataObject) -> None:
        circuit = quantize(data.draw(unstructured_circuits()), data.draw(configs()))
        check(circuit, data.draw(records_for(circuit, missing=data.draw(st.booleans()))))

    def test_zeros_do_not_win_an_alignment(self) -> None:
        """Of two products over a scope the first is ruled out by variable 0, and its exponent would be the greater."""
        variables = 12
        table = np.full((2, 9), 0.001)  # nine symbols: too many for tables of several variables
        table[0], table[1, 0] = 1 / 9, 0.992
        first = np.array([np.eye(9)[0], [0.3, 0.7, *[0.0] * 7]])
        layers = [InputLayer(v, table if v else first) for v in range(variables)]
        products = [ProductLayer(tuple(range(variables)), np.full((1, variables), unit)) for unit in (0, 1)]
        total = SumLayer((variables, variables + 1), np.array([[0.5, 0.5]]))
        circuit = quantize(Circuit((*layers, *products, total)))
        others = [1] * (variables - 1)
        records = np.array([[1, *others], [0, *others], [2, *others], [-1] * variables])
        assert (results(ReferenceEngine(circuit), records)[:, 0] != 0).tolist() == [True, True, False, True]
        check(circuit, records)

    def test_equal_products_are_made_once(self) -> None:
        leaves = [InputLayer(v, np.linspace(0.1, 0.9, 9 * 9).reshape(9, 9) / 1.0) for v in range(2)]
        leaves = [InputLayer(v, leaf.probabilities / leaf.probabilities.sum(axis=1, keepdims=True))
                  for v, leaf in enumerate(leaves)]  # fmt: skip
        gather = np.array([[0, 1], [0, 1], [2, 2]])
        product = ProductLayer((0, 1), gather)
        kernel = unroll(quantize(Circuit((*leaves, product, SumLayer((2,), np.array([[0.2, 0.3, 0.5]]))))), "plain")
        assert (kernel.counts.plain_products, kernel.counts.multipliers) == (3, 2)

    def test_few_binary_variables_are_one_table(self) -> None:
        circuit = quantize(make_circuit(3, 3, 4, 2, "balanced"))
        counts = unroll(circuit, "plain").counts
        assert (counts.adders, counts.multipliers) == (0, 0)
        assert counts.tables <= 2  # mantissa and exponent of the root

    def test_score_is_close_to_the_logarithm(self) -> None:
        rng = np.random.default_rng(0)
        mantissa, exponent = rng.integers(1 << 15, 1 << 16, 5000), rng.integers(-3000, -16, 5000)
        error = arithmetic.score(mantissa, exponent, 16) / 256 + np.log2(mantissa) + exponent
        assert -0.006 < error.min() and error.max() < 0.01

    def test_score_table_of_the_header(self) -> None:
        text = (HLS / "include/pcedge/arith/score_table.inc").read_text()
        assert [int(word) for word in re.findall(r"\d+", text)] == arithmetic.score_table().tolist()


def build_many(circuits: dict[str, IntegerCircuit], folder: Path) -> Path:
    """Compile the projects of several circuits into one executable, whose first argument is the project's name."""
    headers = ("program/port.hpp", "arith/unrolled.hpp", "testbench/files.hpp")
    parts = [f'#include "pcedge/{name}"' for name in headers]
    parts += [f"#include <{name}>" for name in ("cinttypes", "cstdint", "cstdio", "fstream", "string", "vector")]
    parts.append("#define main run_project")
    for name, circuit in circuits.items():
        place = write_unrolled(circuit, folder / name).resolve()
        files = ("src/pcedge_unrolled.hpp", "src/pcedge_unrolled.cpp", "testbench/unrolled.cpp")
        includes = "\n".join(f'#include "{place / file}"' for file in files)
        parts.append(f"#undef PCEDGE_UNROLLED_TOP_HPP\nnamespace {name} {{\n{includes}\n}}")
    choice = "\n".join(
        f'  if (name == "{name}") return {name}::run_project(count - 1, words + 1);' for name in circuits
    )
    parts.append(
        "#undef main\nint main(int count, char **words) {\n"
        f'  const std::string name = count > 1 ? words[1] : "";\n{choice}\n  return 3;\n}}\n'
    )
    (folder / "all.cpp").write_text("\n".join(parts))
    include, source = folder / next(iter(circuits)) / "include", folder / next(iter(circuits)) / "src"
    tools.run(
        [*tools.compiler(), *tools.CXX_FLAGS, *FAST, f"-I{include}", f"-I{source}", "-isystem", str(tools.ap_types()),
         "all.cpp", "-o", "all"],
        folder, "compiling all",
    )  # fmt: skip
    return folder / "all"


def run_one(executable: Path, name: str, records: np.ndarray) -> np.ndarray:
    folder = executable.parent
    (folder / "in").write_bytes(records.astype("<i4").tobytes())
    subprocess.run([executable, name, "run", "in", "out"], cwd=folder, check=True)
    return np.frombuffer((folder / "out").read_bytes(), dtype="<i8").reshape(-1, 3)


def compare_all(circuits: dict[str, IntegerCircuit], folder: Path, count: int) -> None:
    executable = build_many(circuits, folder)
    for name, circuit in circuits.items():
        rng = np.random.default_rng(1)
        records = rng.integers(0, circuit.cardinalities, (count, len(circuit.cardinalities)))
        records[rng.random(records.shape) < np.linspace(0, 0.9, count)[:, None]] = -1
        assert_array_equal(run_one(executable, name, records), results(ReferenceEngine(circuit), records), err_msg=name)


@pytest.mark.csim
@pytest.mark.slow
def test_compiled_random_circuits(tmp_path: Path) -> None:
    """Widths, trees and sharpness in one compilation; every record may be impossible. The large ones wait for night."""
    circuits = {}
    trees = ("chain", "balanced", "star", "hidden", "random")
    for case in range(12) if NIGHTLY else (0, 1, 2, 3, 4, 9):
        float_circuit = make_circuit(
            case, 3 + case, 1 + case % 6, 2 + case % 8, trees[case % 5], (0.0, 0.25, 0.6)[case % 3]
        )
        circuits[f"case{case}"] = quantize(
            float_circuit, QuantizationConfig(2 + case, 8 + case % 9, 8 + (case * 5) % 9, ("wide", "small")[case % 2])
        )
    compare_all(circuits, tmp_path, 200)


@pytest.mark.csim
@pytest.mark.slow
def test_compiled_spns(tmp_path: Path) -> None:
    """The largest waits for night."""
    names = ("NIPS5", "NIPS10", "NIPS20", "NLTCS_200", *(["NIPS80"] if NIGHTLY else []))
    compare_all({name: spn(name) for name in names}, tmp_path, 1000)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    circuit = quantize(make_circuit(11, 6, 3, 4, "random"))
    folder = write_unrolled(circuit, tmp_path_factory.mktemp("unrolled") / "project")
    UnrolledCsim(folder).compile()
    return folder


@pytest.mark.csim
class TestProject:
    def test_verify_takes_the_project(self, small: Path) -> None:
        from pcedge.export import read_onnx

        circuit = read_onnx(small / "model.onnx")
        records = np.random.default_rng(0).integers(0, circuit.cardinalities, (40, len(circuit.cardinalities)))
        report = verify(circuit, records, ["unrolled"], project=small)
        assert [(c.rung, c.output, c.vectors, c.mismatches) for c in report.comparisons] == [
            ("unrolled", "pc_unrolled", 40, 0), ("unrolled", "pc_unrolled, partial evidence", 40, 0),
        ]  # fmt: skip
        other = quantize(make_circuit(12, 6, 3, 4, "random"))
        with pytest.raises(UsageError, match="must be a project of this circuit"):
            verify(other, records[:, : len(other.cardinalities)] % 2, ["unrolled"], project=small)

    def test_mismatches_name_record_and_output(self, small: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(small, tmp_path / "project")
        path = folder / "golden/results.i64"
        values = np.frombuffer(path.read_bytes(), dtype="<i8").copy()
        values[3 * 4 + 2] += 1
        path.write_bytes(values.tobytes())
        with pytest.raises(
            MismatchError, match=rf"MISMATCH record 4, score: expected {values[14]}, got {values[14] - 1}"
        ):
            UnrolledCsim(folder).golden()
        path.write_bytes(values.tobytes()[:-8])
        with pytest.raises(ToolError, match="golden must hold the results of all its records"):
            UnrolledCsim(folder).golden()

    @pytest.mark.parametrize(
        ("right", "wrong", "got"),
        [
            ("beat.last.to_bool()", "false", "record 15, beat: expected TLAST 1, .*, got TLAST 0, these"),
            ("word = 0;", "word = -1;", "record 0, beat: expected TLAST 0, .*, got TLAST 0, others"),
        ],
    )
    def test_a_batch_ends_where_its_records_do(
        self, right: str, wrong: str, got: str, small: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(small, tmp_path / "project")
        source = folder / "src/pcedge_unrolled.cpp"
        text = source.read_text()
        assert text.count(right) == 1
        source.write_text(text.replace(right, wrong))
        with pytest.raises(MismatchError, match=f"MISMATCH {got}"):
            UnrolledCsim(folder).golden()
        with pytest.raises(ToolError, match="csim run"):
            UnrolledCsim(folder).run(np.zeros((2, 6), dtype=np.int64))

    def test_what_was_compared_is_what_the_manifest_says(self, small: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(small, tmp_path / "project")
        assert compared(UnrolledCsim(folder).golden()) == {"records": 32, "results": 96}
        # Files that are cut at the same record are whole for the testbench, which knows no manifest.
        for name, size in (("symbols.i32", 4 * 6), ("results.i64", 8 * 3)):
            path = folder / "golden" / name
            path.write_bytes(path.read_bytes()[:-size])
        with pytest.raises(
            FormatError, match="golden must hold 32 records, as the manifest says; the testbench compared 31"
        ):
            UnrolledCsim(folder).golden()
        done = run("simulate", folder)
        assert done.exit_code == 1 and "project-golden: " in done.stderr
        path = folder / "golden/symbols.i32"
        path.write_bytes(b"\x7f" + path.read_bytes()[1:])
        with pytest.raises(
            ToolError, match=r"symbols\.i32: record 0, variable 0: a symbol must be in -1\.\.\d, got 127"
        ):
            UnrolledCsim(folder).golden()

    def test_sanitizers_find_nothing(self, small: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(small, tmp_path / "project")
        # ap_private.h extends signs by shifts of negative numbers.
        flags = ("-fsanitize=address,undefined", "-fno-sanitize=shift", "-fno-sanitize-recover=all")
        csim = UnrolledCsim(folder, flags)
        probe = tmp_path / "probe.cpp"
        probe.write_text("int main() { return 0; }\n")
        try:
            tools.run([*tools.compiler(), *csim.flags, probe, "-o", tmp_path / "probe"], tmp_path, "probe")
        except ToolError:
            pytest.skip("the compiler has no sanitizers")
        assert "equal the golden vectors" in csim.golden()

    def test_makefile_builds_without_pcedge(self, small: Path, tmp_path: Path) -> None:
        if not shutil.which("make"):
            pytest.skip("make is not installed")
        folder = shutil.copytree(small, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
        words = ["make", "csim", f"CXX={' '.join(tools.compiler())}", f"AP_TYPES={tools.ap_types()}"]
        assert "equal the golden vectors" in tools.run(words, folder, "make csim")

    def test_commands(self, small: Path, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(11, 6, 3, 4, "random"))
        write_onnx(circuit, tmp_path / "m.onnx")
        done = run("export", tmp_path / "m.onnx", "--kernel", "unrolled", "--out", tmp_path / "p", "--json")
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        manifest = json.loads((tmp_path / "p/manifest.json").read_text())
        assert said["kernel"] == manifest["kernel"] == "unrolled"
        assert said["counts"] == manifest["counts"]
        done = run("simulate", small, "--json")
        assert json.loads(done.stdout) == {
            "out": str(small), "mismatches": 0, "golden_records": 32,
            "compared": {"kernels": {"records": 32, "results": 96}},
        }  # fmt: skip


class TestRefusals:
    def test_too_many_edges(self) -> None:
        circuit = quantize(make_circuit(0, 12, 6, 9, "balanced"))
        assert edges(circuit) <= MAX_EDGES
        found = load_zoo("mnist-16")
        expected = (
            f"an unrolled kernel must have at most {MAX_EDGES} edges, got {edges(found)}; the engine has no limit"
        )
        with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
            unroll(found)

    def test_too_long_records(self) -> None:
        variables = 1100
        layers = [InputLayer(v, np.array([[0.125] * 8])) for v in range(variables)]
        product = ProductLayer(tuple(range(variables)), np.zeros((1, variables), dtype=np.int64))
        with pytest.raises(UsageError, match="records of at most 4096 bits, got 4400 bits for 1100 variables"):
            unroll(quantize(Circuit((*layers, product))))

    def test_unknown_adders(self) -> None:
        with pytest.raises(UsageError, match="adders must be one of auto, shared, plain, got 'magic'"):
            unroll(quantize(make_circuit(0, 2, 2, 2, "chain")), "magic")

    def test_no_records(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="golden vectors must have at least one record, got none"):
            write_unrolled(quantize(make_circuit(0, 2, 2, 2, "chain")), tmp_path / "p", records=np.zeros((0, 2), int))

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(0, 4, 3, 5, "chain"))
        write_onnx(circuit, tmp_path / "m.onnx")
        for module in ("adders", "kernel"):
            monkeypatch.setattr(f"pcedge.export.unrolled.{module}.has_da4ml", lambda: False)
        words = ["export", tmp_path / "m.onnx", "--kernel", "unrolled", "--out", tmp_path / "p"]
        done = run(*words)
        assert done.exit_code == 0
        assert "sums share no adders: pip install 'pcedge[da]' brings da4ml, which lets them" in done.stderr
        counts = json.loads((tmp_path / "p/manifest.json").read_text())["counts"]
        text = f"({counts['left_adders']} if none were shared, {counts['plain_adders']} if no small sum were a table"
        assert text in done.stdout
        assert json.loads((tmp_path / "p/manifest.json").read_text())["adders"] == "plain"
        done = run(*words, "--adders", "shared")
        assert done.exit_code == 3
        assert "needs the package da4ml" in done.stderr

    def test_adders_of_an_engine(self, tmp_path: Path) -> None:
        write_onnx(quantize(make_circuit(0, 2, 2, 2, "chain")), tmp_path / "m.onnx")
        done = run("export", tmp_path / "m.onnx", "--adders", "plain", "--out", tmp_path / "p")
        assert done.exit_code == 2
        assert "--adders must go with --kernel unrolled" in done.stderr

    def test_projects_of_other_kernels(self, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(0, 2, 2, 2, "chain"))
        folder = write_project(circuit, tmp_path / "p")
        with pytest.raises(FormatError, match=r"kernel must be unrolled, got 'engine'$"):
            _ = UnrolledCsim(folder).manifest
        # One kernel's project may take the place of the other's: nothing of the old one stays.
        write_unrolled(circuit, folder)
        assert not (folder / "src/pcedge_top.cpp").exists()
        with pytest.raises(FormatError, match=r"kernel must be engine, got 'unrolled'$"):
            _ = Csim(folder).manifest
        write_project(circuit, folder)
        assert not (folder / "src/pcedge_unrolled.cpp").exists()


@pytest.mark.parametrize(
    ("bits", "beat"), [(1, 8), (8, 8), (9, 16), (17, 32), (24, 32), (129, 256), (1025, 2048), (4096, 4096)]
)
def test_beats_are_powers_of_two_of_bytes(bits: int, beat: int) -> None:
    assert beat_bits(bits) == beat


def test_the_ports_have_the_widths_of_a_dma(tmp_path: Path) -> None:
    circuit = quantize(make_circuit(5, 7, 3, 9, "random"))
    bits = sum(code_bits(cardinality) for cardinality in circuit.cardinalities)
    assert 16 < bits < 31, "the padding must be seen"
    folder = write_unrolled(circuit, tmp_path / "p", adders="plain")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["record_bits"], manifest["result_bits"]) == (32, 128)
    header = (folder / "src/pcedge_unrolled.hpp").read_text()
    assert "RECORD_BITS = 32;" in header and "RESULT_BITS = 128;" in header


def test_record_layout() -> None:
    circuit = quantize(make_circuit(5, 7, 3, 9, "random"))
    place = 0
    for (start, bits), cardinality in zip(unroll(circuit, "plain").record, circuit.cardinalities, strict=True):
        assert (start, bits) == (place, code_bits(cardinality))
        assert cardinality <= (1 << bits) - 1  # all ones are never a symbol
        place += bits
