"""One reloadable engine in SystemVerilog for eleven circuits: images, what it refuses, jobs without a circuit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.engine import CIRCUITS
from helpers.nightly import cases
from helpers.rtl_jobs import demand_jobs
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import SHARPNESS, TREES, make_circuit, shuffled_order, steep

from pcedge.drivers.contract import DIGEST_WORDS, IMAGE_NAMES, Job, Status
from pcedge.drivers.device import Device
from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, ToolError, UsageError, WidthError
from pcedge.export import RtlSize, write_onnx, write_rtl
from pcedge.export.rtl.capacity import RtlCapacity, capacity_from, capacity_of, rtl_image_words
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.rtl import RtlProject

pytestmark = [pytest.mark.rtl, needs_verilator]

SIZE = RtlSize(8, 3, 4, 2)

#: the floor may be any, and is a number of the image
WITH_FLOOR = replace(CIRCUITS[1], floor=37)

#: words of an image before those of its memories
FRONT = len(IMAGE_NAMES) + DIGEST_WORDS


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtlProject]:
    """Compile one engine, for all circuits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        folder = tmp_path_factory.mktemp("reload") / "p"
        made = RtlProject(write_rtl(CIRCUITS[0], folder, size=SIZE, reload=True, fit=CIRCUITS[1:]))
        made.compile()
        yield made


@pytest.fixture(scope="module")
def capacity(project: RtlProject) -> RtlCapacity:
    return capacity_from(project.manifest.table["capacity"])


def resealed(words: np.ndarray) -> np.ndarray:
    """Give an image that was changed its right CRC."""
    fresh = words[:-1].astype("<u4")
    return np.append(fresh, np.array([zlib.crc32(fresh.tobytes())], dtype="<u4"))


def test_one_engine_is_every_circuit(project: RtlProject, capacity: RtlCapacity) -> None:
    assert len(CIRCUITS) == 11 and len({c.weight_bits for c in CIRCUITS}) > 2
    for stalls in (None, (90, 4)):
        with project.device(stalls) as device:
            assert device.info.reload and device.info.record == 0
            for circuit in [*CIRCUITS, WITH_FLOOR] if stalls is None else CIRCUITS[::-2]:
                engine = ReferenceEngine(circuit)
                image = rtl_image_words(circuit, capacity)
                device.load(image)
                assert device.cycles == 0
                assert (device.info.digest, device.info.record) == (circuit.digest, len(circuit.order))
                assert device.info.floor == circuit.floor
                demand_jobs(device, engine, engine.sample(7, seed=1))
                assert_array_equal(device.read_back(len(image)), image)


def drawn(seed: int) -> IntegerCircuit:
    """Draw a circuit of any shape and of any widths that circuits of one engine need not share."""
    dice = np.random.default_rng([20, seed])
    variables, states, symbols = (int(dice.integers(low, high)) for low, high in ((1, 13), (1, 7), (2, 18)))
    circuit = make_circuit(seed, variables, states, symbols, TREES[seed % len(TREES)], SHARPNESS[seed % len(SHARPNESS)])
    if dice.random() < 0.2:
        circuit = steep(circuit, 8)
    order = shuffled_order(circuit, seed) if dice.random() < 0.5 else None
    config = QuantizationConfig(
        weight_bits=int(dice.integers(2, 13)), leaf_bits=11, state_bits=13, coder="wide",
        floor=[None, 1, 7][int(dice.integers(3))], leaf_masters=[None, None, 1, 3][int(dice.integers(4))],
        tails=bool(dice.integers(2)),
    )  # fmt: skip
    return quantize(circuit, config, order=order)


#: weights of 6 bits, with tails of leaves, in an engine of 12: a lone mantissa of 1 is 2^6 there
LIFTED = (22, 33)


@pytest.mark.parametrize(
    ("seeds", "size"),
    cases(
        [(LIFTED, RtlSize(16, 5, 8, 4))],
        [(LIFTED, RtlSize(16, 5, 8, 4)), (range(12), RtlSize(4, 2, 2, 2)), (range(500), RtlSize(16, 5, 8, 4))],
    ),
)
def test_drawn_circuits_through_one_build(seeds: Sequence[int], size: RtlSize, tmp_path: Path) -> None:
    """Every job of every circuit, with stalls and without; numbers say which, for the build has room for all."""
    circuits = [drawn(seed) for seed in seeds]
    built = RtlProject(write_rtl(circuits[0], tmp_path / "p", size=size, reload=True, fit=circuits[1:]))
    room = capacity_from(built.manifest.table["capacity"])
    with built.device() as device, built.device((110, 6)) as stalled:
        for number, circuit in zip(seeds, circuits, strict=True):
            engine, one = ReferenceEngine(circuit), stalled if number % 2 else device
            one.load(rtl_image_words(circuit, room))
            records = np.random.default_rng(number).integers(0, circuit.cardinalities, (9, len(circuit.order)))
            demand_jobs(one, engine, np.concatenate([engine.sample(2 + number % 7, seed=number), records]))


def test_golden_vectors_and_manifest(project: RtlProject, capacity: RtlCapacity) -> None:
    assert project.golden().startswith("16 records, ")
    assert capacity == capacity_of(CIRCUITS, SIZE)
    manifest = project.manifest
    assert manifest.reload and manifest.table["loaded_bits"] == capacity.memory_bits > 0
    assert not list((project.folder / "rtl").glob("*.hex"))
    with pytest.raises(FormatError, match="the capacity of a reloadable build must be whole"):
        capacity_from(manifest.table["capacity"] | {"sizes": {}})
    older = {name: value for name, value in manifest.table["capacity"]["sizes"].items() if name != "MIX_TAILS"}
    with pytest.raises(FormatError, match="sizes must have MIX_TAILS: export the project again"):
        capacity_from(manifest.table["capacity"] | {"sizes": older})


class TestRefused:
    """A refused image leaves no circuit, and the next right one is taken."""

    def load(self, device: Device, words: np.ndarray) -> Status:
        with pytest.raises(ToolError, match="the engine must end LOAD with status 0"):
            device.run(Job.LOAD, [], [[words.astype(np.uint32)]], [])
        assert device.info.record == 0
        return device.status

    def test_by_the_engine(self, project: RtlProject, capacity: RtlCapacity) -> None:
        right = rtl_image_words(CIRCUITS[1], capacity)
        names = list(IMAGE_NAMES)

        def changed(place: int, word: int) -> np.ndarray:
            words = right.copy()
            words[place] = word
            return resealed(words)

        # bits beyond the first step's
        beyond = FRONT + len(capacity.layout.memories) + capacity.sizes["STEP_WIDTH"] // 32
        assert capacity.sizes["STEP_WIDTH"] % 32
        bad, large = Status.BAD_IMAGE, Status.TOO_LARGE
        damaged = right.copy()
        damaged[-3] ^= 1
        cases = [
            (changed(0, 1), bad), (changed(names.index("version"), 2), bad), (changed(names.index("sections"), 9), bad),
            (changed(names.index("widths"), 0), large), (changed(names.index("shape"), 5), large),
            (changed(names.index("record"), 10_000), large | bad),
            (changed(names.index("state_words"), 1 << 20), large),
            (changed(names.index("cardinality"), 1 << 20), large), (changed(names.index("code_steps"), 0), bad),
            (changed(names.index("likelihood_steps"), 1), bad), (changed(FRONT, 1 << 30), large | bad),
            (changed(FRONT + 6, 1), bad), (changed(beyond, 0xFFFFFFFF), large),
            (damaged, bad), (right[:-1], bad), (right[:3], bad), (right[: FRONT + 3], bad), (right[:50], bad),
            (np.append(right, [0, 0]), bad),
        ]  # fmt: skip
        with project.device() as device:
            for number, (words, status) in enumerate(cases):
                assert self.load(device, words) == status, number
                if number % 4 == 0:
                    device.load(right)
            with pytest.raises(UsageError, match="the engine must have a circuit, none is loaded"):
                device.likelihood(np.zeros((1, 5), dtype=np.int64))
            device.load(right)
            engine = ReferenceEngine(CIRCUITS[1])
            demand_jobs(device, engine, engine.sample(4, seed=1))

    def test_jobs_without_a_circuit_take_their_packets(self, project: RtlProject, capacity: RtlCapacity) -> None:
        row = np.zeros(5, dtype=np.uint32)
        with project.device() as device:
            for job, records, packets in (
                (Job.LIKELIHOOD, [2, 0, 1], [[row, row], [], [row]]), (Job.ENCODE, [0, 1, 0], [[], [row], []]),
                (Job.DECODE, [1, 1, 0], [[row], [row], []]), (Job.SAMPLE, [0, 0, 5], [[], [], [row]]),
                (Job.READ, [], []),
            ):  # fmt: skip
                with pytest.raises(ToolError, match="the engine must end"):
                    device.run(job, records, packets, [])
                assert device.status == Status.NOT_LOADED
                assert device.cycles == 0
            device.load(rtl_image_words(CIRCUITS[2], capacity))
            device.built_jobs = None  # else the driver refuses it
            with pytest.raises(ToolError, match="the engine must end PACK"):
                device.run(Job.PACK, [1, 0, 0], [[row, row], [], []], [])
            assert device.status == Status.BAD_JOB

    def test_by_driver_and_exporter(self, project: RtlProject, capacity: RtlCapacity) -> None:
        right = rtl_image_words(CIRCUITS[1], capacity)
        with project.device() as device:
            for words, text in (
                (right[:20], "it must have more than 25 words, got 20"),
                (np.append(right[:-1], right[-1] ^ 1), "its CRC-32 must be right: it is damaged"),
                (np.concatenate([right[:1], [7], right[2:]]), "version must be 1, got 7"),
            ):
                with pytest.raises(FormatError, match=text):
                    device.load(words)
        circuit = make_circuit(1, 30, 9, 6, "random", 0.2)
        with pytest.raises(WidthError, match=r"must be at most .* in this build, .*--fit makes room"):
            rtl_image_words(quantize(circuit, QuantizationConfig(6, 10, 12, "small")), capacity)
        with pytest.raises(WidthError, match="leaf_bits must be 10 in this build, the circuit has 11"):
            rtl_image_words(quantize(circuit, QuantizationConfig(6, 11, 12, "small")), capacity)


def test_command_writes_an_image(project: RtlProject, capacity: RtlCapacity, tmp_path: Path) -> None:
    model, out = tmp_path / "m.onnx", tmp_path / "m.img"
    write_onnx(CIRCUITS[3], model)
    done = run("image", model, "--project", project.folder, "--out", out)
    assert (done.exit_code, done.exception) == (0, None)
    assert_array_equal(np.fromfile(out, "<u4"), rtl_image_words(CIRCUITS[3], capacity))
    done = run("export", model, "--target", "rtl", "--memories", "reload", "--macs", 4, "--out", tmp_path / "p")
    assert (done.exit_code, done.exception) == (0, None)
    assert RtlProject(tmp_path / "p").manifest.reload
