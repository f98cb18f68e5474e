"""Engines of machines that this one is not, under an emulator of user programs: aarch64 with its vectors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.engine_contract import CIRCUITS
from helpers.special import rounded_up
from numpy.testing import assert_array_equal

import pcedge
from pcedge.engines import ReferenceEngine
from pcedge.integer import IntegerCircuit
from pcedge.native import NativeEngine
from pcedge.native.build import FLAGS, SOURCES
from pcedge.schedule import Program

#: by their names here, where they are not those of examples
MADE = CIRCUITS | {"sums that round up": rounded_up()}

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (Debian: gcc-aarch64-linux-gnu, qemu-user)")
    folder = tmp_path_factory.mktemp("aarch64")
    objects = []
    for name, flags in (("engine", []), ("engine", ["-DPCE_ONE"]), ("library", [])):
        objects.append(folder / f"{len(objects)}.o")
        command = [COMPILER, *FLAGS, "-Werror", "-DPCE_ISA=base", *flags]
        subprocess.run([*command, "-c", SOURCES / f"{name}.c", "-o", objects[-1]], check=True)
    source = Path(__file__).parent / "cross/runner.c"
    made = folder / "runner"
    subprocess.run([COMPILER, *FLAGS, f"-I{SOURCES}", "-static", source, *objects, "-o", made], check=True)
    return made


@pytest.mark.parametrize("lanes", [3, 70])
@pytest.mark.parametrize(
    "name", ["nltcs", "shuttle", "sharp and narrow", "wide", "unstructured", "nested", "sums that round up"]
)
def test_the_same_integers(runner: Path, name: str, lanes: int, tmp_path: Path) -> None:
    circuit = MADE[name] if name in MADE else pcedge.load(name)
    assert isinstance(circuit, IntegerCircuit)
    program = Program.of(circuit)
    reference = ReferenceEngine(program)
    records = np.ascontiguousarray(reference.sample(141 if lanes > 8 else 7, seed=1), dtype=np.int64)
    native = NativeEngine(program)
    tables = native.tables
    arrays = [np.ascontiguousarray(array) for array in (
        tables.likelihood.rows, tables.code.rows, tables.weights, tables.tables, tables.lists, tables.pairs,
        tables.sums,
    )]  # fmt: skip
    sizes = np.array([*(a.nbytes for a in arrays), records.nbytes, len(records), lanes], dtype=np.int64)
    given = tmp_path / "program"
    given.write_bytes(sizes.tobytes() + bytes(native._native) + b"".join(a.tobytes() for a in [*arrays, records]))
    done = subprocess.run([EMULATOR, runner, given], check=True, capture_output=True).stdout

    def take(count: int) -> np.ndarray:  # type: ignore[type-arg]
        nonlocal done
        part, done = done[: 8 * count], done[8 * count :]
        return np.frombuffer(part, dtype=np.int64)

    mantissa, exponent = reference.likelihood(records)
    assert_array_equal(take(len(records)), mantissa)
    assert_array_equal(take(len(records)), exponent)
    for ends in reference.intervals(records):
        assert_array_equal(take(records.size).reshape(records.shape), ends)
    stops = take(lanes)
    coded, done = done[: stops[-1]], done[stops[-1] :]
    assert [coded[a:b] for a, b in zip([0, *stops[:-1]], stops, strict=True)] == reference.encode_lanes(records, lanes)
    assert_array_equal(take(records.size).reshape(records.shape), records)
