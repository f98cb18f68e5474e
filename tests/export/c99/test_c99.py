"""The program in C99 gives the bytes, symbols, likelihoods and scores of the reference, wherever it runs."""

from __future__ import annotations

import itertools
import json
import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.classifiers import naive_bayes
from helpers.commands import as_json, run
from helpers.cpp import break_source
from helpers.engine_contract import CIRCUITS, any_records
from helpers.paths import GOLDEN
from helpers.special import in_rows
from strategies import make_circuit, make_unstructured, steep

import pcedge
from pcedge.arrays import IntArray
from pcedge.circuit import Circuit, InputLayer, SparseRows
from pcedge.cli.output import mcu_line
from pcedge.codec.packets import PacketLayout, decode_packets, encode_packets
from pcedge.data import load_array
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, MismatchError, MissingToolError, ToolError, UsageError
from pcedge.export import load_zoo, write_c99, write_onnx
from pcedge.export.c99.layout import Layout, lay_out, packed
from pcedge.export.c99.text import record_bytes
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Op, Zeros
from pcedge.simulate import mcu
from pcedge.simulate.mcu import CORES, C99Project
from pcedge.simulate.mcu_jobs import (
    CLASSIFY,
    ONLY_CLASSES,
    PACK,
    UNPACK,
    WITH_PACKETS,
    Job,
    class_job,
    packet_jobs,
    scores_of,
    weighed,
)
from pcedge.toolchain import tools
from pcedge.verify import verify

STRICT = ("-O0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
SANITIZED = (*STRICT, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
pytestmark = needs_gcc


def made(seed: int) -> IntegerCircuit:
    """Make a circuit with other structure, widths, tables and tails for each seed."""
    rng = np.random.default_rng(seed)
    circuit = make_circuit(seed, 6, 6, (5, 40, 300)[seed % 3], ("random", "chain", "star")[seed % 3], 0.25)
    config = QuantizationConfig(
        weight_bits=(8, 16, 8, 12)[seed % 4], leaf_bits=(12, 9, 16)[seed % 3], state_bits=(16, 8)[seed % 2],
        coder=("wide", "small")[seed % 2], leaf_masters=None if seed % 3 else 2, tails=bool(rng.integers(2)),
    )  # fmt: skip
    return quantize(steep(circuit, 3) if seed % 2 else circuit, config)


def wide_sum() -> IntegerCircuit:
    """Make a circuit whose dense block has an exact size, rows of a certain child, and few bits."""
    return quantize(make_circuit(3, 5, 9, 4, "hidden", 0.6), QuantizationConfig(weight_bits=4, tails=True))


def tailed_sums(weight_bits: int) -> IntegerCircuit:
    """Make a circuit in which weights of 0 of dense sums are tails, too."""
    config = QuantizationConfig(weight_bits=weight_bits, tails=True)
    circuit = quantize(steep(make_circuit(8, 6, 6, 9, "hidden", 0.25), 3), config)
    layers = tuple(
        replace(layer, tails=True)
        if isinstance(layer, IntegerSum) and not isinstance(layer.weights, SparseRows)
        else layer
        for layer in circuit.layers
    )
    return replace(circuit, layers=layers)


ALL: dict[str, IntegerCircuit] = {
    **CIRCUITS,
    **{f"made {seed}": made(seed) for seed in (0, 1, 2, 3, 5)},
    "few bits": wide_sum(),
    "tailed sums": tailed_sums(8),
    "tailed sums of many bits": tailed_sums(14),
    **{f"{kind} in rows": in_rows(made(seed)) for kind, seed in (("plain", 0), ("sharp", 1), ("wide", 5))},
    "tailed sums in rows": in_rows(tailed_sums(8)),
    "unstructured in rows": in_rows(quantize(make_unstructured(2, 6, 4, 0.0), QuantizationConfig(weight_bits=3))),
    "unstructured, sharp": quantize(make_unstructured(2, 6, 4, 0.6), QuantizationConfig(weight_bits=8)),
    "one leaf": quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))),
    "one symbol": quantize(Circuit((InputLayer(0, np.array([[1.0]])),))),
}


def records_of(circuit: IntegerCircuit, count: int = 24) -> IntArray:
    records = np.concatenate([ReferenceEngine(circuit).sample(count // 2, seed=3), any_records(circuit, count // 2)])
    return np.asarray(records)


def compare(project: C99Project, circuit: IntegerCircuit, records: IntArray) -> None:
    engine = ReferenceEngine(circuit)
    hidden = np.where(np.random.default_rng(4).random(records.shape) < 0.3, -1, records)
    (lane,) = engine.encode_lanes(records, 1)
    jobs = [project.encoding(records), project.decoding(lane, len(records)), *project.weighing(hidden)]
    encoded, decoded, likelihood, score = project.run(jobs, project.compile())
    assert [done.status for done in (encoded, decoded, likelihood, score)] == ["ok"] * 4
    assert encoded.data == lane
    assert decoded.data == record_bytes(project.symbol_type, records)
    assert (likelihood.data, scores_of(score.data)) == weighed(engine, hidden)


@pytest.mark.parametrize("kind", ALL)
def test_any_circuit_on_the_host(kind: str, tmp_path: Path) -> None:
    """Packets too, of sizes that hold a part of a record, and many."""
    project = C99Project(write_c99(ALL[kind], tmp_path / "p"), (*SANITIZED, WITH_PACKETS))
    circuit, records = ALL[kind], records_of(ALL[kind])
    compare(project, circuit, records)
    engine, least = ReferenceEngine(circuit), circuit.scale_bits // 8 + 1
    for payload in (least, least + 1, least + 4, 40):
        layout = PacketLayout(payload + 8, 8)
        packets = encode_packets(engine, records, layout)
        jobs = packet_jobs(project.symbol_type, records, circuit.order, packets, layout)
        results = project.run([job for job, _ in jobs.values()], tmp_path / "p/build/host")
        for (name, (_, wanted)), done in zip(jobs.items(), results, strict=True):
            assert (done.status, done.data) == ("ok", wanted), (payload, name)


def test_any_bytes_are_read_as_the_reference_reads_them(tmp_path: Path) -> None:
    circuit, generator = ALL["made 1"], np.random.default_rng(0)
    project, engine = (
        C99Project(write_c99(circuit, tmp_path / "p"), (*SANITIZED, WITH_PACKETS)),
        ReferenceEngine(circuit),
    )
    count, jobs, wanted = 30, [], []
    for number in range(120):
        place, rule, size = int(generator.integers(6)), number % 2, 3 + number % 10
        body = generator.integers(0, 256, size, dtype=np.uint8).tobytes()
        jobs.append(Job(UNPACK, count, struct.pack("<III", place, rule, size) + body))
        packet = (2 * place + rule).to_bytes(8, "little") + body
        here = decode_packets(engine, [packet], PacketLayout(8 + size, 8), count)
        wanted.append(record_bytes(project.symbol_type, here.records))
    for done, expected in zip(project.run(jobs), wanted, strict=True):
        assert expected.startswith(done.data) and set(expected[len(done.data) :]) <= {255}


def test_a_packet_at_the_lower_end_of_all_its_intervals(tmp_path: Path) -> None:
    """Records of first symbols, whose payload is all zeros."""
    circuit = ALL["made 1"]
    project = C99Project(write_c99(circuit, tmp_path / "p"), (*SANITIZED, WITH_PACKETS))
    records, layout = np.zeros((30, len(circuit.order)), dtype=np.int64), PacketLayout(16, 8)
    first, *packets = encode_packets(ReferenceEngine(circuit), records, layout)
    assert first == bytes(16) and packets
    jobs = packet_jobs(project.symbol_type, records, circuit.order, [first, *packets], layout)
    for done, (_, wanted) in zip(project.run([job for job, _ in jobs.values()]), jobs.values(), strict=True):
        assert (done.status, done.data) == ("ok", wanted)


def test_golden_packets(tmp_path: Path) -> None:
    project = C99Project(write_c99(ALL["hidden"], tmp_path / "p"))
    path = tmp_path / "p/golden/packets.bin"
    data = path.read_bytes()
    assert project.golden().endswith(f", {len(data) // 64} packets")
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(FormatError, match="must hold packets with their checksums, some are damaged"):
        project.golden()
    path.write_bytes(data)
    break_source(tmp_path / "p/src/pcedge.c", "m->most = most;", "m->most = most - 1U;")
    with pytest.raises(MismatchError, match="c99: packets differs from the reference"):
        project.golden()


def test_packets_that_cannot_be(tmp_path: Path) -> None:
    """Too small for a symbol, a symbol that is none; and circuits that have no packets do not compile with them."""
    circuit = ALL["made 0"]
    project = C99Project(write_c99(circuit, tmp_path / "p"), (*SANITIZED, WITH_PACKETS))
    records = records_of(circuit, 2)
    small = Job(PACK, 1, struct.pack("<I", 2) + record_bytes(project.symbol_type, records[:1]))
    wrong = Job(PACK, 1, struct.pack("<I", 20) + record_bytes(project.symbol_type, 0 * records[:1] - 1))
    assert [done.status for done in project.run([small, wrong])] == ["room", "symbol"]
    given = Program.of(circuit).with_given((0,))
    project = C99Project(write_c99(given, tmp_path / "q"), (*STRICT, WITH_PACKETS))
    with pytest.raises(ToolError, match="PCEDGE_WITH_PACKETS must go with a circuit without predictor stage"):
        project.compile()


def test_the_circuits_have_everything_that_a_file_may_hold() -> None:
    layouts = [lay_out(circuit) for circuit in ALL.values()]
    assert all(any(layout.has(op) for layout in layouts) for op in Op)
    for op, zeros in ((Op.LEAF, Zeros.TAIL), (Op.UP, Zeros.TAIL), (Op.UP, Zeros.KEEP), (Op.UP, Zeros.REVIVE)):
        assert any(layout.has(op, zeros) for layout in layouts), (op, zeros)
    flags = set(itertools.chain.from_iterable((form[5] for form in layout.forms) for layout in layouts))
    assert all(any(flag & bit for flag in flags) for bit in (1, 2, 4, 8))
    banks = [row for layout in layouts for row in layout.weights.rows]
    assert {row[-1] for row in banks} == {0, 1, 2}  # bytes, bytes with 256, any
    assert any(row[3] for row in banks) and any(row[6] for row in banks)  # marked rows, zero bits at the end
    assert any(layout.leaves.nested for layout in layouts)
    assert {layout.leaves.nibbles for layout in layouts} >= {2, 3, 4}
    assert any(len(layout.leaves.groups) > 1 for layout in layouts)
    assert any(layout.lowered.program.needed["accumulator"] > 32 for layout in layouts)


def test_the_golden_circuit_reads_the_golden_lanes(tmp_path: Path) -> None:
    circuit = pcedge.load(GOLDEN / "model.onnx")
    project = C99Project(write_c99(circuit, tmp_path / "p"), STRICT)
    compare(project, circuit, records_of(circuit))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[C99Project, IntegerCircuit, Path]:
    """Give digits' project, compiled once."""
    circuit = load_zoo("digits")
    project = C99Project(write_c99(circuit, tmp_path_factory.mktemp("c99") / "p"), ("-O1", *SANITIZED[1:]))
    return project, circuit, project.compile()


def test_digits_on_the_host(digits: tuple[C99Project, IntegerCircuit, Path]) -> None:
    project, circuit, _ = digits
    records = np.reshape(load_array("digits")[:40], (40, -1)).astype(np.int64)
    compare(project, circuit, records)
    said = "16 records: encode, decode, likelihood, score and packets equal the reference"
    assert project.golden().splitlines()[0] == said


def test_statuses(digits: tuple[C99Project, IntegerCircuit, Path]) -> None:
    project, circuit, executable = digits
    engine = ReferenceEngine(circuit)
    records = engine.sample(6)
    (lane,) = engine.encode_lanes(records, 1)
    wrong = records.copy()
    wrong[2, 5], wrong[4, 0] = 17, -1

    def status(*jobs: Job) -> list[str]:
        return [done.status for done in project.run(jobs, executable)]

    encoded, *others = project.run((project.encoding(wrong), *project.weighing(wrong)), executable)
    assert [encoded.status, *(done.status for done in others)] == ["symbol"] * 3
    # Of the records that were not refused nothing is lost.
    assert encoded.data == engine.encode_lanes(np.delete(records, [2, 4], axis=0), 1)[0]
    flipped = bytes([lane[0] ^ 1]) + lane[1:]
    damaged = (b"", lane[:-1], lane + b"\0", lane[:-1] + bytes([(lane[-1] + 1) & 255]), b"\xff" * len(lane))
    assert set(status(*(project.decoding(data, 6) for data in damaged))) == {"damaged"}
    done = project.run([project.decoding(flipped, 6)], executable)[0]
    assert done.status == "damaged" or done.data != record_bytes(project.symbol_type, records)


def test_a_full_buffer_and_runs_of_carries(tmp_path: Path) -> None:
    """A lane of whole bytes of 255 that a carry or none follows, in buffers of every size."""
    circuit = CIRCUITS["chain"]
    project = C99Project(write_c99(circuit, tmp_path / "p"), SANITIZED)
    engine = ReferenceEngine(circuit)
    # Decode what is next to a run of 255: its encoder holds all of them back.
    lanes = [b"\x7f" + b"\xff" * 40 + end for end in (b"\xfe", b"\xff\xff", b"\x00")]
    rows = [_decoded(engine, lane, 30) for lane in lanes]
    jobs = [project.encoding(row) for row in rows]
    for done, row in zip(project.run(jobs), rows, strict=True):
        assert (done.status, done.data) == ("ok", engine.encode_lanes(row, 1)[0])
    small = C99Project(project.folder, (*SANITIZED, "-UBENCH_BYTES", "-DBENCH_BYTES=3"))
    (done,) = small.run([small.encoding(rows[0])])
    assert done.status == "room"


def _decoded(engine: ReferenceEngine, lane: bytes, count: int) -> IntArray:
    from pcedge.engines.lanes import decode_lanes

    return decode_lanes(engine, [lane], count, strict=False)


JOBS = ("ENCODE", "DECODE", "LIKELIHOOD", "SCORE")


@pytest.mark.parametrize("kind", ["hidden", "unstructured", "few bits"])
def test_jobs_can_be_left_out(kind: str, tmp_path: Path) -> None:
    folder = write_c99(ALL[kind], tmp_path / "p")
    sizes: dict[Sequence[str], int] = {}
    for chosen in [(job,) for job in JOBS] + [("ENCODE", "SCORE"), ("DECODE", "LIKELIHOOD"), ()]:
        switches = [f"-DPCEDGE_ONLY_{job}" for job in chosen]
        out = tmp_path / "one.o"
        tools.run(["gcc", "-std=c99", *STRICT, *switches, "-c", "src/pcedge.c", "-o", out], folder, "gcc")
        sizes[chosen] = out.stat().st_size
        names = tools.run(["nm", "-g", "--defined-only", out], folder, "nm")
        assert ("pcedge_encode\n" in names) == (not chosen or "ENCODE" in chosen)
        assert ("pcedge_decode\n" in names) == (not chosen or "DECODE" in chosen)
        assert ("pcedge_score\n" in names) == (not chosen or "SCORE" in chosen)
    assert all(size < sizes[()] for chosen, size in sizes.items() if chosen)


@pytest.mark.parametrize("kind", ALL)
def test_classes_on_the_host(kind: str, tmp_path: Path) -> None:
    """A program that does nothing else: records with missing symbols, impossible ones, and any variable."""
    project = C99Project(write_c99(ALL[kind], tmp_path / "p"), SANITIZED)
    circuit, records = ALL[kind], records_of(ALL[kind])
    records = np.where(np.random.default_rng(6).random(records.shape) < 0.3, -1, records)
    engine, last = ReferenceEngine(circuit), len(circuit.order) - 1
    jobs = [class_job(engine, project.symbol_type, records, variable) for variable in sorted({0, last})]
    for done, (_, wanted) in zip(
        project.run([job for job, _ in jobs], project.compile(ONLY_CLASSES)), jobs, strict=True
    ):
        assert (done.status, done.data) == ("ok", wanted)
    data = records.copy()
    data[:, last] = circuit.cardinalities[last]  # no symbol: it is not looked at
    job = Job(CLASSIFY, len(data), struct.pack("<I", last) + record_bytes(project.symbol_type, data))
    assert project.run([job], project.folder / "build/host")[0].data == jobs[-1][1]
    bad = Job(CLASSIFY, 1, struct.pack("<I", last + 1) + record_bytes(project.symbol_type, records[:1]))
    assert project.run([bad], project.folder / "build/host")[0].status == "symbol"


def test_classes_need_likelihoods(tmp_path: Path) -> None:
    project = C99Project(write_c99(ALL["one leaf"], tmp_path / "p"), STRICT)
    with pytest.raises(ToolError, match="PCEDGE_WITH_CLASSIFY must go with the likelihood or the score"):
        project.compile((ONLY_CLASSES[0], "-DPCEDGE_ONLY_ENCODE"))
    for more in ("-DPCEDGE_ONLY_SCORE", "-DPCEDGE_ONLY_DECODE", "-DPCEDGE_ONLY_ENCODE"):
        project.compile((*ONLY_CLASSES, more))


def test_the_source_calls_nothing(digits: tuple[C99Project, IntegerCircuit, Path], tmp_path: Path) -> None:
    folder = digits[0].folder
    tools.run(["gcc", "-std=c99", "-O2", "-c", "src/pcedge.c", "-o", tmp_path / "one.o"], folder, "gcc")
    undefined = tools.run(["nm", "-u", tmp_path / "one.o"], folder, "nm").split()
    assert set(undefined) - {"U"} <= {"__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert not tools.run(["size", "-A", tmp_path / "one.o"], folder, "size").split(".bss")[1].split()[0].strip("0")


def test_what_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the target c99 must have numbers below 2\^20 in its lists, got 1048576$"):
        packed([1, 1 << 20])
    write_onnx(CIRCUITS["chain"], tmp_path / "m.onnx")
    result = run("export", tmp_path / "m.onnx", "--target", "c99", "--macs", "4", "--out", tmp_path / "p")
    assert result.exit_code == 2
    assert "--macs must go with a target of hardware, c99 is none" in result.output


def test_a_difference_is_found(tmp_path: Path) -> None:
    folder = write_c99(CIRCUITS["hidden"], tmp_path / "p")
    source = folder / "src/pcedge.c"
    text = break_source(source, "moved += (int32_t)length - A;", "moved += (int32_t)length - A + 1;")
    with pytest.raises(MismatchError, match=r"^c99: encode differs from the reference, its status is ok$"):
        C99Project(folder).golden()
    source.write_text(text)
    assert run("simulate", folder).exit_code == 0
    (folder / "golden/lane.bin").write_bytes(b"\0")
    with pytest.raises(MismatchError, match=r"^c99: encode differs from the reference"):
        C99Project(folder).golden()


def there(core: mcu.Core) -> bool:
    return all(shutil.which(tool) for tool in (core.compiler, core.emulator))


@pytest.mark.skipif(not any(map(there, CORES)), reason="apt-get install gcc-arm-none-eabi qemu-system-arm")
@pytest.mark.parametrize("kind", ["unstructured", "made 3"])
def test_microcontrollers(kind: str) -> None:
    records = records_of(ALL[kind])
    records[3, 0] = -1
    report = verify(ALL[kind], records, ("mcu",))
    assert report.mismatches == 0
    assert set(report.mcu) == {core.name for core in CORES if there(core)}
    assert len(report.comparisons) == 8 * len(report.mcu)
    assert {c.output.split(" ", 1)[1] for c in report.comparisons[6:8]} == {
        "packets = reference bytes", "symbols of each packet alone",
    }  # fmt: skip
    packets = next(iter(report.mcu.values()))["with_packets"]
    assert packets["rom_bytes"] > 0 and packets["instructions_per_symbol"].keys() == {"pack", "unpack"}
    assert [c.vectors for c in report.comparisons[:6]] == [24, 24, 24, 24, 1, 23]


@pytest.mark.skipif(not any(map(there, CORES)), reason="apt-get install gcc-arm-none-eabi qemu-system-arm")
def test_a_classifier_on_microcontrollers() -> None:
    """A circuit whose grid names a class is classified too, by a program that does nothing else."""
    circuit = quantize(naive_bayes(1, classes=4, features=6, symbols=8))
    report = verify(circuit, records_of(circuit), ("mcu",))
    assert report.mismatches == 0
    classes = [one for one in report.comparisons if one.output.endswith(" class")]
    assert len(classes) == len(report.mcu) and {one.vectors for one in classes} == {24}
    for figures in report.mcu.values():
        alone = figures["with_classify"]
        assert 0 < alone["rom_bytes"] < figures["rom_bytes"] and alone["ram_bytes"] < figures["ram_bytes"]
        likelihood = figures["instructions_per_symbol"]["likelihood"] * len(circuit.order)
        assert 3 < alone["instructions_per_record"] / likelihood < 5  # a likelihood for each of 4 classes
        assert f"{alone['instructions_per_record']:,} a class" in mcu_line("core", figures)


@pytest.mark.skipif(not there(CORES[1]), reason=f"apt-get install {CORES[1].packages}")
def test_digits_on_a_cortex_m3(tmp_path: Path) -> None:
    write_onnx(load_zoo("digits"), tmp_path / "m.onnx")
    report = as_json("export", tmp_path / "m.onnx", "--target", "c99", "--out", tmp_path / "p")
    assert json.loads((tmp_path / "p/report.json").read_text()) == report
    figures = report["mcu"]["cortex-m3"]
    assert figures["rom_bytes"] <= 48_000
    assert figures["ram_bytes"] <= 700
    assert 0 < figures["stack_bytes"] <= 512
    assert 0 < figures["instructions_per_symbol"]["encode"] <= 3_500
    assert 0 < figures["instructions_per_symbol"]["decode"] <= 3_900


def test_tools_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcu.shutil, "which", lambda name: None)
    circuit = CIRCUITS["chain"]
    message = r"cortex-m3 needs arm-none-eabi-gcc: apt-get install gcc-arm-none-eabi qemu-system-arm"
    with pytest.raises(MissingToolError, match=message):
        verify(circuit, records_of(circuit), ("mcu",))
    write_onnx(circuit, tmp_path / "m.onnx")
    result = as_json("export", tmp_path / "m.onnx", "--target", "c99", "--out", tmp_path / "p")
    assert "mcu" not in result
    assert not (tmp_path / "p/report.json").exists()


def test_a_program_that_ends_early(tmp_path: Path) -> None:
    project = C99Project(write_c99(CIRCUITS["chain"], tmp_path / "p"))
    script = tmp_path / "early"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    with pytest.raises(ToolError, match=r"^the test program must write 1 results, got 0: it ended early$"):
        project.run([project.encoding(records_of(CIRCUITS["chain"]))], script)


def test_layouts_are_made_of_whole_numbers() -> None:
    layout: Layout = lay_out(CIRCUITS["hidden"])
    assert packed([1, 2, 15]).data.tolist() == [0x21, 0x0F, 0, 0]
    assert packed([1, 300]).nibbles == 3
    assert packed([1, 300], whole=True).data.tolist() == [1, 0, 44, 1, 0, 0]
    assert layout.factor >= 1
