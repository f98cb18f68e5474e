"""A reloadable engine behind its registers and streams: images, what it refuses, misplaced TLASTs, the PYNQ driver."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.engine import CIRCUITS, SHAPE, run_all, same_packets
from helpers.paths import ROOT
from numpy.testing import assert_array_equal
from strategies import make_circuit, steep

from pcedge.cli import group
from pcedge.codec.packets import PacketLayout, decode_packets
from pcedge.drivers import Device, open_overlay
from pcedge.drivers import packets as device_packets
from pcedge.drivers.contract import CONTROL, DONE, IMAGE_NAMES, INFO, JOB, RECORDS, START, STATUS, Job, Status
from pcedge.drivers.image_check import check_image, read_words
from pcedge.drivers.layout import SECTIONS
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import DataError, FormatError, StreamError, ToolError, UsageError, WidthError
from pcedge.export import write_onnx, write_project
from pcedge.export.engine.cycles import count_cycles
from pcedge.export.program.image import Capacity, capacity_from, capacity_of, image_words
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.steps import Op
from pcedge.simulate.board import Board
from pcedge.simulate.parallel import EngineCsim
from pcedge.verify import verify


@pytest.fixture(scope="module")
def capacity() -> Capacity:
    return capacity_of(CIRCUITS, SHAPE)


@pytest.fixture(scope="module")
def csim(tmp_path_factory: pytest.TempPathFactory) -> EngineCsim:
    """Compile one engine, for all circuits."""
    folder = tmp_path_factory.mktemp("reload") / "p"
    return EngineCsim(write_project(CIRCUITS[0], folder, shape=SHAPE, reload=True, fit=CIRCUITS[1:]))


@pytest.fixture
def device(csim: EngineCsim) -> Iterator[Device]:
    with csim.device() as opened:
        yield opened


def records_of(circuit: IntegerCircuit, count: int = 23) -> np.ndarray:
    return np.random.default_rng(1).integers(0, circuit.cardinalities, (count, len(circuit.cardinalities)))


@pytest.mark.csim
def test_circuits_through_one_engine(csim: EngineCsim, device: Device, capacity: Capacity) -> None:
    assert device.info.reload and device.info.record == 0 and len(CIRCUITS) == 11
    executable = csim.executable.stat()
    for circuit in [*CIRCUITS, CIRCUITS[0]]:
        device.load(image_words(circuit, capacity))
        assert (device.info.record, device.info.digest) == (len(circuit.order), circuit.digest)
        run_all(device, ReferenceEngine(circuit), records_of(circuit))
    assert csim.executable.stat() == executable
    assert capacity_from(capacity.as_dict()) == capacity
    assert csim.golden().startswith("16 records")


@pytest.mark.csim
def test_random_stalls_change_no_bit(csim: EngineCsim, capacity: Capacity) -> None:
    for share in (60, 245):
        with csim.device(stalls=(share, share)) as device:
            for circuit in CIRCUITS[3:7]:
                device.load(image_words(circuit, capacity))
                run_all(device, ReferenceEngine(circuit), records_of(circuit))


def load_unchecked(device: Device, words: np.ndarray) -> None:
    """Load as a host does that checks nothing."""
    device.run(Job.LOAD, [], [[words]], [])


@pytest.mark.csim
def test_images_that_are_refused(device: Device, capacity: Capacity) -> None:
    """By the driver before a word is sent, and by the engine where a host sends them all the same."""
    circuit = CIRCUITS[4]
    words = image_words(circuit, capacity)
    assert len(words) > 500
    rng = np.random.default_rng(0)
    cut = [words[:size] for size in (1, 30, len(words) // 2, len(words) - 1)]
    changed = []
    for place in [0, 1, 2, 5, *rng.integers(0, len(words), 12)]:
        changed.append(words.copy())
        changed[-1][place] ^= np.uint32(1 << int(rng.integers(0, 32)))
    device.load(image_words(CIRCUITS[1], capacity))
    for damaged in [*changed, *cut, np.append(words, np.uint32(0))]:
        with pytest.raises(FormatError, match=r"^engine-image: "):
            device.load(damaged)
    assert device.info.digest == CIRCUITS[1].digest  # nothing was sent
    for damaged in changed:
        with pytest.raises(ToolError, match=r"^the engine must end LOAD with status 0, it says .*(BAD|TOO)_"):
            load_unchecked(device, damaged)
    for damaged in cut:
        with pytest.raises(ToolError, match=r"BAD_IMAGE|TOO_LARGE"):
            load_unchecked(device, damaged)
    with pytest.raises(ToolError, match="BAD_IMAGE"):
        load_unchecked(device, np.append(words, np.uint32(0)))
    # A refused image leaves no circuit, and a good one is taken afterwards.
    assert device.info.record == 0
    with pytest.raises(UsageError, match=r"^the engine must have a circuit, none is loaded: load an image first$"):
        device.encode(ReferenceEngine(circuit), records_of(circuit))
    device.load(words)
    run_all(device, ReferenceEngine(circuit), records_of(circuit))


@pytest.mark.csim
def test_an_engine_says_what_does_not_fit(device: Device, capacity: Capacity) -> None:
    words = image_words(CIRCUITS[0], capacity).copy()
    place = 17 + 8  # sizes of the sections follow the header
    words[place] = capacity.sections["weights"][0] + 1
    words[-1] = zlib.crc32(words[:-1].tobytes())
    with pytest.raises(ToolError, match="TOO_LARGE"):
        load_unchecked(device, words)
    # An image that is whole and sound, of a circuit that is larger than the build.
    other = quantize(make_circuit(0, 30, 1, 2, "random"), QuantizationConfig(4, 10, 12, "small"))
    large = image_words(other, capacity_of([*CIRCUITS, other], SHAPE))
    with pytest.raises(ToolError, match="TOO_LARGE"):
        device.load(large)
    assert device.info.record == 0


def changed_word(words: np.ndarray, section: str, place: int, value: int) -> np.ndarray:
    """Give an image with another word in a section, and a CRC that is right."""
    front = len(IMAGE_NAMES) + 8
    counts = words[front : front + len(SECTIONS)].astype(int)
    changed = words.copy()
    changed[front + len(SECTIONS) + int(counts[: SECTIONS.index(section)].sum()) + place] = value
    changed[-1] = zlib.crc32(changed[:-1].tobytes())
    return changed


@pytest.mark.csim
def test_words_that_are_no_addresses_of_the_build(device: Device, capacity: Capacity) -> None:
    """The engine bounds each word by itself, whatever the CRC says."""
    words = image_words(CIRCUITS[4], capacity)
    sizes = capacity.sizes
    for section, value in (
        ("code_target", sizes["state_words"]), ("code_a_exponent", sizes["exponent_slots"]), ("weights", 257),
        ("code_units", sizes["max_units"] + 1), ("variables_cardinality", 0), ("code_variable", sizes["variables"]),
        ("indices", sizes["state_words"] + 1), ("tables", 1 << 10), ("likelihood_list", 1 << 31),
    ):  # fmt: skip
        with pytest.raises(ToolError, match=r"it says .*TOO_LARGE"):
            load_unchecked(device, changed_word(words, section, 0, value))
        assert device.info.record == 0
    for name, value in (
        ("likelihood_result", sizes["state_words"]),
        ("likelihood_result_exponent", sizes["exponent_slots"]),
    ):
        changed = words.copy()
        changed[list(IMAGE_NAMES).index(name)] = value
        changed[-1] = zlib.crc32(changed[:-1].tobytes())
        with pytest.raises(ToolError, match=r"it says .*TOO_LARGE"):
            load_unchecked(device, changed)
    for name in ("code_steps", "likelihood_steps", "record"):
        changed = words.copy()
        changed[list(IMAGE_NAMES).index(name)] -= 1
        changed[-1] = zlib.crc32(changed[:-1].tobytes())
        with pytest.raises(ToolError, match=r"it says .*BAD_IMAGE"):
            load_unchecked(device, changed)
    device.load(words)
    run_all(device, ReferenceEngine(CIRCUITS[4]), records_of(CIRCUITS[4]))


@pytest.mark.csim
def test_simulation_ends_where_a_host_checks_nothing(csim: EngineCsim, capacity: Capacity) -> None:
    """What the engine takes, for each word is within its bound, and the driver would refuse."""
    words = image_words(CIRCUITS[4], capacity)
    sections = read_words(words, SHAPE).sections
    down, up = (int(np.flatnonzero(sections["code_kind"] == op)[0]) for op in (Op.DOWN, Op.UP))
    table = int(sections["variables_tables"][int(sections["variables_cardinality"].argmax())])
    slot, word = capacity.sizes["exponent_slots"] - 1, capacity.sizes["state_words"] - 1
    tile = 16 * (capacity.sections["weights"][0] // 16 - 1)
    ends = "^the engine's testbench must answer, it ended with 3: simulation: "
    for section, place, value, text in (
        ("code_a_exponent", down, slot, "cycles in which nothing moves must be below 65536, got 65536"),
        ("code_target", up, word, r"an address of an engine's memory must be below \d+, got"),
        ("code_weights", up, tile, "an address of weights must be below"),
        ("tables", table, 1023, r"a number of an accumulator must be below \d+, got"),
    ):
        changed = changed_word(words, section, place, value)
        with csim.device() as device:
            with pytest.raises(FormatError, match=r"^engine-image: "):
                device.load(changed)
            load_unchecked(device, changed)
            with pytest.raises(ToolError, match=ends + ".*" + text):
                device.encode_lanes(records_of(CIRCUITS[4]), 3)


def test_images_that_are_not_made(capacity: Capacity) -> None:
    with pytest.raises(WidthError, match=r"^leaf_bits must be 10 in this build, the circuit has 9$"):
        image_words(quantize(make_circuit(0, 3, 2, 3, "random"), QuantizationConfig(4, 9, 12, "small")), capacity)
    with pytest.raises(
        WidthError,
        match=r"^weight_bits must be at most 8 in this build, the circuit has 9; export with --fit makes room$",
    ):
        image_words(quantize(make_circuit(0, 3, 2, 3, "random"), QuantizationConfig(9, 10, 12, "small")), capacity)
    with pytest.raises(
        WidthError,
        match=r"^variables must be at most 11 in this build, the circuit has 30; export with --fit makes room$",
    ):
        image_words(quantize(make_circuit(0, 30, 1, 2, "random"), QuantizationConfig(4, 10, 12, "small")), capacity)
    with pytest.raises(WidthError, match=r"must be 10 in this build"):
        capacity_of([CIRCUITS[0], quantize(make_circuit(0, 3, 2, 3, "random"), QuantizationConfig(4, 9, 12))], SHAPE)
    saved = capacity.as_dict()
    with pytest.raises(FormatError, match="the capacity of a reloadable build must be whole"):
        capacity_from(saved | {"sections": {}})
    assert set(SECTIONS) == set(capacity.sections)


@pytest.mark.csim
def test_misplaced_ends_of_records(csim: EngineCsim, capacity: Capacity) -> None:
    circuit = CIRCUITS[3]
    engine, records = ReferenceEngine(circuit), records_of(circuit, 9).astype(np.uint32)
    short, long = records[1][:-2], np.append(records[4], [1, 2, 3]).astype(np.uint32)
    packets = [records[0], short, records[2], records[3], long, *records[5:]]
    cut = records.astype(np.int64)
    cut[1, -2:] = -1
    with csim.device() as device:
        device.load(image_words(circuit, capacity))
        board = device.registers
        assert isinstance(board, Board)
        for place in range(3):
            board.write(RECORDS + 4 * place, 3)
        board.write(JOB, Job.LIKELIHOOD)
        board.write(CONTROL, START)
        assert not board.read(CONTROL) & DONE
        for number, packet in enumerate(packets):
            board.ports[number % 3].send(packet)
        assert board.read(CONTROL) & DONE and not board.read(CONTROL) & DONE
        assert board.read(STATUS) == Status.BAD_FRAME
        found = np.array([board.ports[number % 3].receive(2) for number in range(9)], dtype=np.uint32)
        expected = engine.likelihood(cut)
        assert_array_equal(found[:, 0], expected[0])
        assert_array_equal(found[:, 1].view(np.int32), expected[1])
        run_all(device, engine, records_of(circuit))


@pytest.mark.csim
def test_symbols_beyond_their_alphabet(device: Device, capacity: Capacity) -> None:
    """Nothing is changed silently: also where a larger alphabet of another variable has the symbol."""
    circuit = next(circuit for circuit in CIRCUITS if len(set(circuit.cardinalities)) > 1)
    device.load(image_words(circuit, capacity))
    records = records_of(circuit, 9)
    sizes = np.array(circuit.cardinalities)
    for variable in np.flatnonzero(sizes < sizes.max())[[0, -1]]:
        wrong = np.maximum(records, 0)
        wrong[4, variable] = sizes[variable]
        for job in (device.likelihood, lambda x: device.encode_lanes(x, 5)):
            with pytest.raises(
                DataError, match="symbols must be within the alphabets of their variables, the engine says"
            ):
                job(wrong)
            assert device.status == Status.BAD_SYMBOL
    run_all(device, ReferenceEngine(circuit), records)


@pytest.mark.csim
def test_lanes_that_no_encoder_wrote(device: Device, capacity: Capacity) -> None:
    circuit = CIRCUITS[3]
    engine, records = ReferenceEngine(circuit), records_of(circuit, 9)
    device.load(image_words(circuit, capacity))
    good = encode_lanes(engine, records, 5)
    assert device.encode_lanes(records, 5) == good
    for wrong in (good[1][:-1], good[1][:1], good[1] + b"\0", b"\xff" * len(good[1]), b"\x12\x34", b""):
        lanes = [good[0], wrong, *good[2:]]
        with pytest.raises(StreamError):
            decode_lanes(engine, lanes, 9)
        with pytest.raises(StreamError, match=r"^lanes? "):
            device.decode_lanes(lanes, 9)
        # As a sample any bytes are good, and what is held at the end of the range goes on as in the reference.
        if wrong:
            drawn = device.decode_lanes(lanes, 9, job=Job.SAMPLE)
            assert_array_equal(drawn, decode_lanes(engine, lanes, 9, strict=False))
    assert_array_equal(device.decode_lanes(good, 9), records)
    # More lanes than records: the rest are an encoder's that coded nothing.
    few = encode_lanes(engine, records[:2], 4)
    assert device.encode_lanes(records[:2], 4) == few
    assert_array_equal(device.decode_lanes(few, 2), records[:2])
    for lanes in ([*few[:3], b"\0\0"], [*few[:3], b""]):
        with pytest.raises(StreamError):
            decode_lanes(engine, lanes, 2)
        with pytest.raises(StreamError, match=r"^lane 3 must have a byte, and one only if no record is its, got [02]$"):
            device.decode_lanes(lanes, 2)


@pytest.mark.csim
def test_packets(device: Device, capacity: Capacity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rules, records that are longer than a packet and shorter, any bytes, and what is refused."""
    circuit = quantize(make_circuit(0, 6, 2, 9, "chain", 0.6), replace(QuantizationConfig(4, 10, 12, "small"), floor=1))
    engine = ReferenceEngine(circuit)
    device.load(image_words(circuit, capacity))
    rng = np.random.default_rng(0)
    records = rng.integers(0, circuit.cardinalities, (30, 6))
    assert {packet[0] & 1 for packet in same_packets(device, engine, records, 5)} == {0, 1}
    # Carries into bytes that have passed, which are not sent yet.
    for seed in (2, 5, 9, 13):
        carrying = np.random.default_rng(seed).integers(0, circuit.cardinalities, (30, 6))
        same_packets(device, engine, carrying, 6)
    # Symbols that cost little: many records a packet, more than are sent, or asked for, at first.
    same_packets(device, engine, engine.sample(60, seed=1), 30)
    layout = PacketLayout.of(engine, 8, 20)
    for _ in range(40):
        packet = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()
        expected = decode_packets(engine, [packet], layout, 20)
        found = device_packets.decode_packets(device, engine, [packet], layout, 20)
        assert_array_equal(found.records, expected.records)
        assert found.damaged == expected.damaged
    with pytest.raises(UsageError, match=r"^the engine must hold the circuit "):
        device_packets.encode_packets(device, ReferenceEngine(CIRCUITS[0]), records, layout)
    with pytest.raises(UsageError, match=r"^packets of this circuit with a checksum of 32 bits must have 8\.\.65535 "):
        device_packets.decode_packets(device, engine, [], replace(layout, size=7, crc_bits=32), 20)
    with pytest.raises(DataError, match=r"^records to encode must have no missing symbols$"):
        device_packets.encode_packets(device, engine, np.full((2, 6), -1), layout)
    with pytest.raises(ToolError, match=r"^the engine must end PACK with status 0, it says .*BAD_FRAME"):
        device.run(Job.PACK, [1], [[np.array([9, 9]), records[0]]], [[10]])
    same_packets(device, engine, records[:4], 6)
    monkeypatch.setattr(device, "run", lambda *_: [[np.zeros(6, dtype=np.uint32)]])
    with pytest.raises(
        ToolError, match=r"^a packet must have 5 bytes and 1\.\.24 symbols, the engine gives 5 and says 0$"
    ):
        device_packets.encode_packets(device, engine, records[:4], PacketLayout(6, 1))


@pytest.mark.csim
def test_packets_take_the_cycles_of_lanes(device: Device, capacity: Capacity) -> None:
    """And one more, for the word before a packet."""
    circuit = CIRCUITS[3]
    device.load(image_words(circuit, capacity))
    records = records_of(circuit, 3)
    device.run(Job.PACK, [3], [[np.array([400]), *records]], [[401]])
    assert device.cycles == 1 + count_cycles(circuit, SHAPE, "encode", [3, 0, 0])
    # Bytes that are more than three records have; of two the last symbols do not come, which takes as long.
    for size in (400, len(records) * 2):
        word = np.concatenate([[0], np.arange(size) % 251])
        (reply,), *_ = device.run(Job.UNPACK, [3], [[word]], [[3 * len(circuit.order)]])
        assert device.cycles == 1 + count_cycles(circuit, SHAPE, "decode", [len(reply) // len(circuit.order), 0, 0])


@pytest.mark.csim
def test_values_that_are_none(device: Device, capacity: Capacity) -> None:
    words = image_words(CIRCUITS[2], capacity)
    for image, what in (([], "float64 of shape"), (words.reshape(1, -1), "uint32 of shape"), (b"PCE1", "of shape")):
        with pytest.raises(UsageError, match=rf"^an image must be a list of 32-bit words, got .*{what}"):
            device.load(image)
    with pytest.raises(UsageError, match=r"^an image must have words of 32 bits, got larger or negative ones$"):
        device.load(words.astype(np.int64) + (1 << 32))
    device.load(words)
    records = records_of(CIRCUITS[2])
    for value in (-2, device.info.cardinality, 1 << 32):
        with pytest.raises(DataError, match=rf"^symbols must be in 0\.\.\d+, or -1 for missing, got {value}$"):
            device.likelihood(np.full_like(records, value, dtype=np.int64))
    with pytest.raises(DataError, match=r"^records to encode must have no missing symbols$"):
        device.encode_lanes(np.full_like(records, -1), 2)
    for lanes in (0, -1):
        with pytest.raises(UsageError, match=rf"^there must be at least one lane, got {lanes}$"):
            device.encode_lanes(records, lanes)
    with pytest.raises(UsageError, match=r"^the number of records must be at least 0, got -3$"):
        device.sample(-3)


@pytest.mark.csim
def test_jobs_that_are_refused_end(csim: EngineCsim) -> None:
    with csim.device() as device:
        with pytest.raises(UsageError, match=r"^the engine must have a circuit, none is loaded: load an image first$"):
            device.likelihood(np.zeros((1, 3), dtype=int))
        # Beside the driver: words of a refused job are taken, and nothing waits.
        for job, status in ((Job.ENCODE, Status.NOT_LOADED), (Job.READ, Status.NOT_LOADED), (99, Status.BAD_JOB)):
            for place in range(3):
                device.registers.write(RECORDS + 4 * place, 1)
            device.registers.write(JOB, job)
            device.registers.write(CONTROL, START)
            for port in device.ports if job == Job.ENCODE else ():
                port.send(np.arange(4, dtype=np.uint32))
            assert device.registers.read(CONTROL) & DONE
            assert device.registers.read(STATUS) == status


@pytest.mark.csim
def test_wrong_use_of_a_device(device: Device, capacity: Capacity) -> None:
    device.load(image_words(CIRCUITS[2], capacity))
    with pytest.raises(UsageError, match=r"^records must be integers of shape \(N, 7\), got float64 \(1, 7\)$"):
        device.likelihood(np.zeros((1, 7)))
    with pytest.raises(UsageError, match=r"^the engine must hold the circuit [0-9a-f]{64}, it holds [0-9a-f]{64}$"):
        device.encode(ReferenceEngine(CIRCUITS[1]), np.zeros((1, 5), dtype=int))
    with pytest.raises(UsageError, match=r"^the engine has 3 streams, got 2 ports$"):
        Device(device.registers, device.ports[:2])
    with pytest.raises(FormatError, match=r"info must begin with 0x31454350 and version 1, got 0x0, 0"):
        Device(SimpleNamespace(read=lambda offset: DONE if offset == CONTROL else 0, write=lambda *_: None), [])
    with pytest.raises(ToolError, match=r"^the engine must end TELL within 0.01 s, it did not$"):
        Device(SimpleNamespace(read=lambda offset: 0, write=lambda *_: None), [], timeout=0.01)


class Channel:
    """One channel of an AXI DMA as PYNQ shows it, in front of a simulated port."""

    def __init__(self, port: object) -> None:
        self.port, self.transferred = port, 0

    def transfer(self, buffer: np.ndarray) -> None:
        if getattr(self, "broken", False):
            raise RuntimeError("DMA channel not idle")
        self.buffer = buffer

    @property
    def idle(self) -> bool:
        return hasattr(self, "sends") or not self.port.left.empty()

    def wait(self) -> None:
        assert self.idle
        if hasattr(self, "sends"):
            self.port.send(np.array(self.buffer))
            return
        packet = self.port.receive(len(self.buffer))
        self.buffer[: len(packet)] = packet
        self.transferred = 4 * len(packet)


@pytest.mark.csim
def test_a_pynq_overlay(device: Device, capacity: Capacity) -> None:
    board = device.registers
    assert isinstance(board, Board)
    overlay = SimpleNamespace(pc_engine_0=board)
    for place, port in enumerate(board.ports):
        send, receive = Channel(port), Channel(port)
        send.sends = True
        setattr(overlay, f"axi_dma_{place}", SimpleNamespace(sendchannel=send, recvchannel=receive))
    names = [f"axi_dma_{place}" for place in range(3)]
    opened = open_overlay(overlay, dmas=names, allocate=lambda words: np.zeros(words, dtype=np.uint32))
    opened.load(image_words(CIRCUITS[8], capacity))
    run_all(opened, ReferenceEngine(CIRCUITS[8]), records_of(CIRCUITS[8]))
    # Something else takes the circuit away: the job is refused, and no channel waits for packets that never come.
    board.write(JOB, Job.LOAD)
    board.write(CONTROL, START)
    board.ports[0].send(np.zeros(1, dtype=np.uint32))
    board.read(CONTROL)
    with pytest.raises(ToolError, match=r"^the engine must end LIKELIHOOD with status 0, it says .*NOT_LOADED"):
        opened.likelihood(records_of(CIRCUITS[8]))
    # The transfers that wait take the next job's packets, where they are long enough.
    with pytest.raises(ToolError, match=r"^the DMA must be free for a packet of \d+ words, it waits for one of 2 that"):
        opened.load(image_words(CIRCUITS[8], capacity))
    board.ports[0].left.queue.clear()
    assert_array_equal(
        opened.likelihood(records_of(CIRCUITS[8])), ReferenceEngine(CIRCUITS[8]).likelihood(records_of(CIRCUITS[8]))
    )
    overlay.axi_dma_1.sendchannel.broken = True
    with pytest.raises(
        ToolError, match=r"^the DMA must take a transfer: DMA channel not idle; load the overlay again$"
    ):
        opened.likelihood(records_of(CIRCUITS[8]))
    with pytest.raises(UsageError, match=r"^the overlay must have the IP axi_dma_7, it has none of that name$"):
        open_overlay(overlay, dmas=["axi_dma_7"])


@pytest.mark.csim
def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/engine.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "EngineCsim" in block)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "engine.md", "exec"), {})


@pytest.mark.csim
def test_the_header_offers_what_the_driver_reads(csim: EngineCsim) -> None:
    top = (csim.folder / "src/pcedge_engine.cpp").read_text()
    for name, offset in {"job": JOB, "status": STATUS, "records": RECORDS, "info": INFO}.items():
        assert f"s_axilite port = {name} offset = 0x{offset:x}" in top


class TestCommands:
    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    @pytest.mark.csim
    def test_images_for_a_project(self, csim: EngineCsim, capacity: Capacity, tmp_path: Path) -> None:
        model, out = tmp_path / "m.onnx", tmp_path / "m.img"
        write_onnx(CIRCUITS[2], model)
        done = self.run("image", model, "--project", csim.folder, "--out", out, "--json")
        words = image_words(CIRCUITS[2], capacity)
        digest = CIRCUITS[2].digest.hex()
        assert json.loads(done.stdout) == {"out": str(out), "words": len(words), "digest": digest}
        assert out.read_bytes() == words.tobytes()
        done = self.run("simulate", csim.folder)
        assert done.exit_code == 0 and "16 records: likelihoods, bytes and symbols equal; cycles" in done.output
        report = verify(CIRCUITS[2], records_of(CIRCUITS[2]), ["engine"], project=csim.folder)
        assert report.mismatches == 0
        assert [one.output for one in report.comparisons[-2:]] == [
            "packets = reference bytes", "symbols of each packet alone",
        ]  # fmt: skip
        assert len(report.comparisons) == 7 and all(one.vectors for one in report.comparisons)
        with pytest.raises(UsageError, match="must have read-only memories for the rung csim"):
            verify(CIRCUITS[0], records_of(CIRCUITS[0]), ["csim"], project=csim.folder)

    @pytest.mark.csim
    def test_a_project_that_was_edited(self, csim: EngineCsim, tmp_path: Path) -> None:
        folder = tmp_path / "p"
        shutil.copytree(csim.folder, folder)
        (folder / "golden/image.u32").write_bytes(b"no image")
        done = self.run("simulate", folder)
        assert done.exit_code == 1 and "image.u32 must be an image of this build, status 12" in done.stderr
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"streams": 9}))
        text = r"^the engine's testbench must answer, it ended with 2: testbench: this engine has 3 streams, not 9$"
        with pytest.raises(ToolError, match=text):
            with EngineCsim(folder).device():
                raise AssertionError

    @pytest.mark.csim
    def test_a_baked_project_takes_no_image(self, tmp_path: Path) -> None:
        model, folder = tmp_path / "m.onnx", tmp_path / "p"
        write_onnx(CIRCUITS[0], model)
        assert self.run("export", model, "--macs", 4, "--streams", 2, "--out", folder).exit_code == 0
        done = self.run("image", model, "--project", folder, "--out", tmp_path / "m.img")
        assert done.exit_code == 2
        assert "must be a project with --memories reload, its memories are read-only" in done.stderr
        with EngineCsim(folder).device() as device:
            with pytest.raises(ToolError, match=r"^the engine must end LOAD with status 0, it says .*BAD_JOB"):
                device.load(np.zeros(4, dtype=np.uint32))
            run_all(device, ReferenceEngine(CIRCUITS[0]), records_of(CIRCUITS[0]))
        with pytest.raises(UsageError, match="must be a project of this circuit, its digest is another one's"):
            verify(CIRCUITS[1], records_of(CIRCUITS[1]), ["engine"], project=folder)

    def test_options_that_do_not_go_together(self, tmp_path: Path) -> None:
        model, out = tmp_path / "m.onnx", tmp_path / "p"
        write_onnx(CIRCUITS[0], model)
        done = self.run("export", model, "--fit", model, "--out", out)
        assert done.exit_code == 2 and "--fit must go with --memories reload" in done.stderr
        done = self.run("export", model, "--kernel", "unrolled", "--memories", "reload", "--out", out)
        assert done.exit_code == 2 and "--memories must go with --kernel engine" in done.stderr
        for command in (["export", model, "--out", out], ["estimate", model]):
            done = self.run(*command, "--search-bits", 0)
            assert done.exit_code == 2 and "search_bits must be in 1..4, got 0" in done.stderr
        done = self.run("image", model, "--project", tmp_path, "--out", tmp_path / "m.img")
        assert done.exit_code == 1 and "must hold a manifest.json" in done.stderr and not out.exists()


@pytest.mark.csim
def test_likelihoods_with_tails_of_fewer_weight_bits(tmp_path: Path) -> None:
    """What is possible, and what stands for dropped weights, grows with the weights of a loaded circuit."""
    drawn = steep(make_circuit(10, 5, 1, 6, "chain", 0.25), 4)
    circuits = [quantize(drawn, QuantizationConfig(bits, 10, 12, "small", tails=bits != 6)) for bits in (11, 3, 2, 6)]
    assert any(any(one.has_tails(index) for index in range(len(one.layers))) for one in circuits)
    capacity = capacity_of(circuits, SHAPE)
    csim = EngineCsim(write_project(circuits[0], tmp_path / "p", shape=SHAPE, reload=True, fit=circuits[1:]))
    with csim.device() as device:
        for circuit in circuits:
            words = image_words(circuit, capacity)
            check_image(words, SHAPE)
            device.load(words)
            records = records_of(circuit, 200)
            assert_array_equal(device.likelihood(records), ReferenceEngine(circuit).likelihood(records))
