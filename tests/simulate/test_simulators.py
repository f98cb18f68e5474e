"""Simulators of projects: one interface, and the same cases for each. Another back end is a subclass of a few lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.drivers.size import EngineSize
from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export import write_project, write_unrolled
from pcedge.quantize import quantize
from pcedge.simulate.base import Simulator
from pcedge.simulate.csim import Csim
from pcedge.simulate.parallel import EngineCsim
from pcedge.simulate.projects import simulators
from pcedge.simulate.unrolled import UnrolledCsim

CIRCUIT = quantize(make_circuit(3, 4, 2, 3, "hidden"))


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulators")
    write_project(CIRCUIT, folder / "engine", shape=EngineSize(2, 2))
    write_unrolled(CIRCUIT, folder / "unrolled")
    return folder


class Cases:
    """What every simulator must do."""

    #: the project, and a file of golden vectors that it compares
    project: str
    vectors = "golden/likelihood.i64"

    def simulator(self, folder: Path) -> Simulator:
        raise NotImplementedError

    def test_it_equals_the_reference(self, projects: Path) -> None:
        engine, simulator = ReferenceEngine(CIRCUIT), self.simulator(projects / self.project)
        assert simulator.compile().is_file() and simulator.folder == projects / self.project
        records = engine.sample(9)
        records[0, 1] = records[1] = -1
        for found, expected in zip(simulator.likelihood(records), engine.likelihood(records), strict=True):
            assert_array_equal(found, expected)
        assert simulator.golden()

    def test_what_differs_is_a_mismatch_and_what_is_cut_is_refused(self, projects: Path, tmp_path: Path) -> None:
        shutil.copytree(projects / self.project, tmp_path / "p", copy_function=shutil.copy2)
        path, simulator = tmp_path / "p" / self.vectors, self.simulator(tmp_path / "p")
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(MismatchError):
            simulator.golden()
        path.write_bytes(data[:-1])
        with pytest.raises(ToolError):
            simulator.golden()
        path.write_bytes(data)
        manifest = json.loads((tmp_path / "p/manifest.json").read_text())
        (tmp_path / "p/manifest.json").write_text(json.dumps(manifest | {"golden_records": 3}))
        with pytest.raises(FormatError):
            self.simulator(tmp_path / "p").golden()

    def test_only_its_own_projects(self, projects: Path, tmp_path: Path) -> None:
        other = "unrolled" if self.project == "engine" else "engine"
        with pytest.raises(FormatError, match="kernel must be"):
            self.simulator(projects / other).compile()
        with pytest.raises(FormatError, match="must hold a manifest"):
            self.simulator(tmp_path).compile()


@pytest.mark.csim
class TestKernels(Cases):
    project = "engine"

    def simulator(self, folder: Path) -> Simulator:
        return Csim(folder)


@pytest.mark.csim
class TestEngine(Cases):
    project = "engine"

    def simulator(self, folder: Path) -> Simulator:
        return EngineCsim(folder)


@pytest.mark.csim
class TestUnrolled(Cases):
    project = "unrolled"
    vectors = "golden/results.i64"

    def simulator(self, folder: Path) -> Simulator:
        return UnrolledCsim(folder)


def test_what_a_project_has(projects: Path, tmp_path: Path) -> None:
    assert list(simulators(projects / "engine")) == ["kernels", "engine"]
    assert list(simulators(projects / "unrolled")) == ["kernels"]
    assert list(simulators(write_project(CIRCUIT, tmp_path / "one"))) == ["kernels"]
    assert list(simulators(write_project(CIRCUIT, tmp_path / "reload", reload=True))) == ["engine"]
    assert np.all([one.manifest.variables == 4 for one in simulators(projects / "engine").values()])
