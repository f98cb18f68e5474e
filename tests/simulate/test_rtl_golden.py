"""`pcedge simulate` of an engine in SystemVerilog: every job is compared, and damage is said before compiling."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import run
from strategies import make_circuit

from pcedge.arithmetic import score
from pcedge.drivers.contract import Job
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import FormatError, MismatchError, UsageError
from pcedge.export import RtlSize, load_zoo, write_onnx, write_rtl
from pcedge.export.unrolled.rtl import write_unrolled_rtl
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.rtl import RtlProject
from pcedge.simulate.unrolled_rtl import UnrolledRtl

CIRCUIT = quantize(make_circuit(3, 5, 3, 5, "random", 0.3), QuantizationConfig(6, 10, 12, "small"))
ENGINE = ReferenceEngine(CIRCUIT)

#: every job but those of packets, whose place a reference has not here
JOBS = ("likelihood", "encode", "decode", "sample", "score")


class Wrong(RtlProject):
    """Stand for an engine that does every job as the reference does, but for one."""

    #: the job that it does wrong
    job = ""

    @contextmanager
    def device(self, stalls: tuple[int, int] | None = None) -> Iterator[SimpleNamespace]:  # type: ignore[override]
        def off(job: str) -> int:
            return int(job == self.job)

        def back(lanes: list[bytes], count: int, *, job: Job = Job.DECODE) -> np.ndarray:
            records = decode_lanes(ENGINE, lanes, count)
            records[2, 1] += off(job.name.lower())
            return records

        def scored(records: np.ndarray) -> np.ndarray:
            return score(*ENGINE.likelihood(records), CIRCUIT.state_bits) + off("score")

        def likelihood(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            mantissas, exponents = ENGINE.likelihood(records)
            return mantissas, exponents + off("likelihood")

        def encode(records: np.ndarray, lanes: int) -> list[bytes]:
            return [lane + b"\1" * off("encode") for lane in encode_lanes(ENGINE, records, lanes)]

        yield SimpleNamespace(
            likelihood=likelihood, score=scored, encode_lanes=encode, decode_lanes=back, cycles=160
        )  # fmt: skip


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ("likelihood", r"^rtl: likelihood of record 0 must be \["),
        ("score", r"^rtl: score of record 0 must be \d+, got \d+$"),
        ("encode", r"^rtl: lane 0 must be the \d+ bytes that the reference wrote$"),
        ("decode", r"^rtl: decoded record 2 differs first in variable 1$"),
        ("sample", r"^rtl: sampled record 2 differs first in variable 1$"),
    ],
)
def test_every_job_is_compared(job: str, text: str, tmp_path: Path) -> None:
    project = Wrong(write_rtl(CIRCUIT, tmp_path / "p", size=RtlSize(4, 2, 2), jobs=JOBS))
    assert project.golden().endswith(
        "equal; cycles a symbol: likelihood 2.00, score 2.00, encode 2.00, decode 2.00, sample 2.00"
    )
    object.__setattr__(project, "job", job)
    with pytest.raises(MismatchError, match=text):
        project.golden()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project that has every kind of file."""
    jobs = ("likelihood", "encode", "decode", "sample", "score", "pack")
    return write_rtl(CIRCUIT, tmp_path_factory.mktemp("golden") / "p", size=RtlSize(4, 2, 2), jobs=jobs)


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def text(path: Path) -> None:
    path.write_text("no circuit")


def other(path: Path) -> None:
    write_onnx(load_zoo("nltcs"), path)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("golden/symbols.i32", gone, "golden/symbols.i32 must be a file that can be read: export the project again"),
        ("golden/lanes.bin", gone, "golden/lanes.bin must be a file that can be read: export the project again"),
        ("golden/packets.bin", gone, "golden/packets.bin must be a file that can be read: export the project again"),
        ("golden/likelihood.i64", cut, "golden must hold golden vectors"),
        ("golden/packets.bin", cut, "golden/packets.bin must hold packets"),
        ("model.onnx", gone, "model.onnx must be the project's circuit: export it again"),
        ("model.onnx", text, "model.onnx must be an ONNX file"),
        ("model.onnx", other, f"model.onnx must be the circuit {CIRCUIT.digest.hex()} of the manifest, it is "),
        ("testbench/engine.cpp", gone, "testbench/engine.cpp must be there: export the project again"),
        ("testbench/ports.hpp", gone, "testbench/ports.hpp must be there: export the project again"),
        ("rtl/pc_axi.sv", gone, "rtl/pc_axi.sv must be there: export the project again"),
        ("rtl/params.svh", gone, "rtl/params.svh must be there: export the project again"),
        ("rtl/weights.hex", gone, "rtl/weights.hex must be there: export the project again"),
    ],
)
def test_damage_is_bad_data(
    name: str, damage: Callable[[Path], None], said: str, project: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(project, tmp_path / "p")
    damage(folder / name)
    done = run("simulate", folder)
    assert done.exit_code == 1 and said in " ".join(done.stderr.split())
    # What costs no minute is said before the compiler is.
    assert ("compiling" in done.stderr) == (not name.startswith(("golden", "model")))
    if name.startswith("rtl/"):
        done = run("build", folder, "--target", "ecp5-25k")
        assert done.exit_code == 1 and said in " ".join(done.stderr.split())


def test_no_board_takes_an_unrolled_kernel(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^an unrolled kernel must be for a device, ulx3s-85f is a board, "):
        write_unrolled_rtl(CIRCUIT, tmp_path / "p", target="ulx3s-85f")
    assert not (tmp_path / "p").exists()


def test_an_unrolled_kernel_needs_its_testbench(tmp_path: Path) -> None:
    folder = write_unrolled_rtl(CIRCUIT, tmp_path / "p", latency=3)
    (folder / "testbench/unrolled_rtl.cpp").unlink()
    with pytest.raises(FormatError, match=r"testbench/unrolled_rtl\.cpp must be there: export the project again$"):
        UnrolledRtl(folder).compile()
