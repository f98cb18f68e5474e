"""Unrolled kernels in SystemVerilog, in Verilator: the reference's integers and the manifest's latency, any stalls."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.nightly import cases
from helpers.paths import SHARED
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import TREES, make_circuit, steep

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, MismatchError
from pcedge.export import write_onnx, write_unrolled_rtl
from pcedge.export.project.manifest import MANIFEST
from pcedge.export.unrolled.project import results
from pcedge.importers import import_circuit
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.projects import simulators
from pcedge.simulate.unrolled_rtl import UnrolledRtl
from pcedge.verify import verify

pytestmark = [pytest.mark.rtl, needs_verilator]


@pytest.fixture(scope="module", autouse=True)
def plain_compiler() -> Iterator[None]:
    """Take the compiler without the headers that tests of HLS compile ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        yield


def records_of(circuit: IntegerCircuit, count: int) -> np.ndarray:
    """Draw symbols of any kind, from none to most of a record missing."""
    dice = np.random.default_rng(1)
    records = dice.integers(0, circuit.cardinalities, (count, len(circuit.cardinalities)))
    records[dice.random(records.shape) < np.linspace(0, 0.9, count)[:, None]] = -1
    return records


def check(circuit: IntegerCircuit, folder: Path, latency: int | None = None, adders: str = "plain") -> UnrolledRtl:
    """Demand the reference's results and the manifest's latency, with stalls and without."""
    project = UnrolledRtl(write_unrolled_rtl(circuit, folder, latency=latency, adders=adders))
    records = records_of(circuit, 300)
    expected = results(ReferenceEngine(circuit), records)
    found, cycles = project.measured(records)
    assert_array_equal(found, expected)
    assert cycles == project.manifest.table["latency_cycles"] == (latency or cycles)
    assert_array_equal(project.run(records, (128, 7)), expected)
    return project


def drawn(case: int) -> IntegerCircuit:
    """Draw a circuit, every one of another width, tree, sharpness and alphabet."""
    circuit = make_circuit(case, 3 + case % 5, 1 + case % 5, 2 + case % 9, TREES[case % 5], (0.0, 0.25, 0.6)[case % 3])
    if case % 4 == 1:
        circuit = steep(circuit, 12)
    config = QuantizationConfig(2 + case % 11, 8 + case % 9, 8 + (case * 5) % 9, tails=case % 2 == 1)
    return quantize(circuit, config)


class TestCircuits:
    @pytest.mark.parametrize("case", cases((1,), range(12)))
    def test_every_result_is_the_references(self, case: int, tmp_path: Path) -> None:
        check(drawn(case), tmp_path / "p")

    def test_sums_over_several_layers_and_impossible_records(self, tmp_path: Path) -> None:
        """Two products over one scope, of which records rule out each, both, or none."""
        table = np.full((2, 70), 0.2 / 69)  # 70 symbols: a memory, not look-up tables
        table[0], table[1, 0] = 1 / 70, 0.8
        first = np.zeros((2, 70))
        first[0, 0], first[1, :2] = 1.0, (0.3, 0.7)
        layers = [InputLayer(v, table / table.sum(axis=1, keepdims=True) if v else first) for v in range(4)]
        products = [ProductLayer((0, 1, 2, 3), np.full((1, 4), unit)) for unit in (0, 1)]
        circuit = quantize(Circuit((*layers, *products, SumLayer((4, 5), np.array([[0.5, 0.5]])))))
        project = check(circuit, tmp_path / "p")
        records = np.array([[0, 1, 1, 1], [1, 1, 1, 1], [2, 1, 1, 1], [-1] * 4])
        found = project.run(records)
        assert (found[:, 0] != 0).tolist() == [True, True, False, True]
        assert found[2, 2] == 2**32 - 1

    @pytest.mark.parametrize("name", cases((), ("NIPS5", "NIPS10", "NIPS20", "NLTCS_200", "NIPS80")))
    def test_spns(self, name: str, tmp_path: Path) -> None:
        path = SHARED / f"spn/{name}.spn"
        if not path.exists():
            pytest.skip(f"{path} does not exist; PCEDGE_SHARED_DATA names the folder of the data")
        check(quantize(import_circuit(path).circuit), tmp_path / "p", adders="auto")

    @pytest.mark.parametrize("latency", cases((9,), (2, 9)))
    def test_latency_is_what_was_asked_for(self, latency: int, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(3, 4, 2, 130, "balanced"))
        check(circuit, tmp_path / "p", latency)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[IntegerCircuit, Path]:
    """Compile a small kernel with a memory."""
    circuit = quantize(make_circuit(11, 4, 3, 130, "random"))
    folder = write_unrolled_rtl(circuit, tmp_path_factory.mktemp("unrolled") / "project")
    UnrolledRtl(folder).compile()
    return circuit, folder


class TestProject:
    def test_golden_vectors(self, small: tuple[IntegerCircuit, Path]) -> None:
        _, folder = small
        assert list(simulators(folder)) == ["rtl"]
        said = UnrolledRtl(folder).golden()
        assert re.fullmatch(r"32 records, 96 results: equal; latency \d+ cycles, a record a cycle", said)

    def test_wrong_tables_are_found(self, small: tuple[IntegerCircuit, Path], tmp_path: Path) -> None:
        folder = shutil.copytree(small[1], tmp_path / "p")
        image = next((folder / "rtl").glob("*.hex"))
        image.write_text(re.sub("(?m).$", lambda digit: f"{int(digit[0], 16) ^ 1:x}", image.read_text()))
        with pytest.raises(MismatchError, match=r"^rtl: \w+ of record \d+ must be -?\d+, got -?\d+$"):
            UnrolledRtl(folder).golden()

    def test_a_wrong_register_is_found(self, small: tuple[IntegerCircuit, Path], tmp_path: Path) -> None:
        """A signal that is read a cycle early is another record's."""
        folder = shutil.copytree(small[1], tmp_path / "p", ignore=shutil.ignore_patterns("build"))
        source = folder / "rtl/pc_unrolled.sv"
        text = source.read_text()
        source.write_text(re.sub(r"(out_mantissa = mantissa)_\d+;", r"\g<1>;", text))
        assert source.read_text() != text
        with pytest.raises(MismatchError, match=r"^rtl: \w+ of record \d+ must be "):
            UnrolledRtl(folder).golden()

    def test_a_wrong_latency_is_found(self, small: tuple[IntegerCircuit, Path], tmp_path: Path) -> None:
        folder = shutil.copytree(small[1], tmp_path / "p")
        manifest = json.loads((folder / MANIFEST).read_text())
        cycles = manifest["latency_cycles"]
        (folder / MANIFEST).write_text(json.dumps(manifest | {"latency_cycles": cycles + 1}))
        with pytest.raises(MismatchError, match=f"latency must be the manifest's {cycles + 1} cycles, got {cycles}$"):
            UnrolledRtl(folder).golden()

    def test_verify(self, small: tuple[IntegerCircuit, Path]) -> None:
        circuit, folder = small
        report = verify(circuit, records_of(circuit, 40), ["rtl"], project=folder)
        assert report.mismatches == 0
        assert [(one.rung, one.vectors) for one in report.comparisons] == [("rtl", 40), ("rtl", 40)]

    def test_golden_files_are_the_manifests(self, small: tuple[IntegerCircuit, Path], tmp_path: Path) -> None:
        folder = shutil.copytree(small[1], tmp_path / "p")
        (folder / "golden/results.i64").write_bytes(b"\0" * 24)
        with pytest.raises(FormatError, match="must hold the records that the manifest counts"):
            UnrolledRtl(folder).golden()

    def test_commands(self, small: tuple[IntegerCircuit, Path], tmp_path: Path) -> None:
        circuit, folder = small
        write_onnx(circuit, tmp_path / "m.onnx")
        words = ["export", tmp_path / "m.onnx", "--kernel", "unrolled", "--out", tmp_path / "p"]
        done = run(*words, "--target", "ecp5-25k", "--latency", "5", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["latency_cycles"] == 5
        manifest = json.loads((tmp_path / "p" / MANIFEST).read_text())
        assert (manifest["kernel"], manifest["target"]) == ("unrolled-rtl", {"name": "ecp5-25k"})
        done = run("simulate", folder, "--json")
        assert json.loads(done.stdout) == {
            "out": str(folder), "mismatches": 0, "golden_records": 32,
            "compared": {"rtl": {"records": 32, "results": 96}},
            "latency_cycles": json.loads((folder / MANIFEST).read_text())["latency_cycles"],
        }  # fmt: skip
        done = run(*words, "--latency", "5")
        assert done.exit_code == 2
        assert "--latency must go with --kernel unrolled and a target of RTL" in done.stderr
