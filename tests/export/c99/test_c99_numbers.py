"""Numbers in C99: predictor stages, symbolizers and given variables give the reference's bytes, symbols and numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from helpers.cpp import break_source
from helpers.engine_contract import CIRCUITS
from helpers.paths import GOLDEN
from helpers.predictors import STAGE, circuit_of, random_predictor

import pcedge
from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.codec.predicted import decode_rows, encode_rows
from pcedge.data import Columns
from pcedge.data.prediction import centred, restored
from pcedge.data.predictor import CELLS, Group, Predictor
from pcedge.data.steps import Colour, Difference, Neighbour, Offset, Planes, Relation, Step, Window, Zigzag
from pcedge.data.symbolizer import Symbolizer, value_range
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, FormatError, MismatchError, StreamError, UsageError
from pcedge.export import write_c99
from pcedge.export.c99.text import number_bytes, record_bytes, row_bytes
from pcedge.export.project.prediction import draw_rows
from pcedge.integer.circuit import IntegerCircuit
from pcedge.quantize import quantize
from pcedge.schedule.program import Program
from pcedge.simulate.mcu import CORES, C99Project
from pcedge.simulate.mcu_jobs import ENCODE, NUMBERS, SYMBOLS, Job, mapping, reading
from pcedge.toolchain import tools
from pcedge.verify import verify

STRICT = ("-O0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
SANITIZED = (*STRICT, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")

#: a stage whose columns mark missing numbers by -32,768
LISTED = replace(STAGE, listed=(-900, -2, 0, 1, 5))
GAPS = replace(LISTED, dtype=CELLS, source=Columns.of(np.zeros((1, 2), np.int16), missing=-(2**15)))

STAGES: dict[str, Predictor] = {
    "small": STAGE,
    "gaps": GAPS,
    "listed, an image": random_predictor(1),
    "wide": random_predictor(2),
    "wide, one class": random_predictor(4),
    "adaptive, five columns by four": random_predictor(5),
    "bool": random_predictor(6),
    "three axes": random_predictor(10),
    "of 33 bits": random_predictor(17),
}

BYTE = (0, 255)
SYMBOLIZERS: dict[str, Symbolizer] = {
    "relation, offset, planes": Symbolizer(
        "int16", (4,), -(2**15), 2**15 - 1, (Relation(3, (2,), (0,)), Offset(128), Planes((8, 8)))
    ),
    "difference along a row": Symbolizer("int32", (5,), -7, 70_000, (Difference(0), Zigzag(), Planes((9, 8)))),
    "median": Symbolizer("uint8", (3, 4), 3, 200, (Neighbour("median", 0), Zigzag())),
    "left": Symbolizer("uint8", (3, 4, 2), *BYTE, (Neighbour("left", 0),)),
    "above": Symbolizer("uint8", (3, 4), *BYTE, (Neighbour("above", 0),)),
    "average": Symbolizer("uint8", (3, 4), *BYTE, (Neighbour("average", 0),)),
    "colour": Symbolizer("uint8", (2, 3, 3), *BYTE, (Colour(), Neighbour("median", 0), Planes((4, 5)), Offset(-3))),
    "window behind a difference": Symbolizer(
        "int16", (2,), -1000, 1000, (Difference(0), Offset(1000), Window((4,)), Planes((4, 7)))
    ),
    "tiles behind neighbours of rows": Symbolizer(
        "uint8", (3, 5), *BYTE, (Neighbour("median", 0), Window((2, 3, 2)), Difference(1))
    ),
    "64 bits": Symbolizer("uint64", (1,), 0, 2**64 - 1, (Difference(0), Zigzag(), Planes((8,) * 8))),
    "bool, no step": Symbolizer("bool", (5,), 0, 1, ()),
}


def circuit_with(symbolizer: Symbolizer) -> IntegerCircuit:
    """Quantize independent variables for a symbolizer."""
    generator = np.random.default_rng(1)
    leaves = [
        InputLayer(variable, generator.dirichlet(np.full(symbols, 2.0), 1))
        for variable, symbols in enumerate(symbolizer.cardinalities)
    ]
    product = ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), np.int64))
    return quantize(Circuit((*leaves, product), symbolizer=symbolizer))


def drawn(symbolizer: Symbolizer, rows: int) -> np.ndarray:
    """Draw numbers of the whole range, ends among them."""
    generator = np.random.default_rng(2)
    span = symbolizer.high - symbolizer.low
    numbers = generator.integers(0, span, (rows, *symbolizer.shape), dtype=np.uint64, endpoint=True)
    numbers = np.where(generator.random(numbers.shape) < 0.1, np.uint64(span), numbers)
    return (numbers + np.uint64(symbolizer.low % 2**64)).astype(symbolizer.dtype)


@pytest.mark.parametrize("kind", STAGES)
def test_predictor_stages_on_the_host(kind: str, tmp_path: Path) -> None:
    project = C99Project(write_c99(circuit_of(STAGES[kind]), tmp_path / "p"), SANITIZED)
    said = project.golden().splitlines()[0]
    assert said.endswith("records: encode, decode, symbols, likelihood and score equal the reference")


def test_the_golden_stream_of_a_stage(tmp_path: Path) -> None:
    circuit = pcedge.load(GOLDEN / "stream_predicted.onnx")
    assert "encode, decode, symbols" in C99Project(write_c99(circuit, tmp_path / "p"), SANITIZED).golden()


def test_damaged_lanes_of_rows(tmp_path: Path) -> None:
    """What the reference refuses is refused, and what it reads is read."""
    circuit = circuit_of(LISTED)
    cells = draw_rows(LISTED, 12, seed=5)
    ((lane,), (raw,)) = encode_rows(circuit, centred(LISTED, cells), 1)
    generator = np.random.default_rng(3)
    cases = [(lane, raw), (lane[:-1], raw), (lane + b"\0", raw), (lane, raw[:-1]), (lane, raw + b"\0"), (b"", b"")]
    for _ in range(150):
        parts = [bytearray(lane), bytearray(raw)]
        part = parts[int(generator.integers(2))]
        part[int(generator.integers(len(part)))] ^= 1 << int(generator.integers(8))
        cases.append((bytes(parts[0]), bytes(parts[1])))
    project = C99Project(write_c99(circuit, tmp_path / "p"), SANITIZED)
    refused = 0
    for case, done in zip(cases, project.run([reading(12, *case) for case in cases]), strict=True):
        try:
            numbers = restored(LISTED, decode_rows(circuit, [case[0]], [case[1]], 12))
        except (StreamError, DataError):
            assert done.status == "damaged"
            refused += 1
            continue
        assert (done.status, done.data) == ("ok", row_bytes(LISTED, numbers))
    assert 5 <= refused < len(cases)


def test_numbers_out_of_range_are_refused_alone(tmp_path: Path) -> None:
    circuit = circuit_of(replace(STAGE, groups=tuple(replace(g, low=-999, high=999) for g in STAGE.groups)))
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor)
    cells = draw_rows(stage, 9)
    wrong = np.insert(cells, [3, 7], [[1000, 0], [0, -1000]], axis=0)
    project = C99Project(write_c99(circuit, tmp_path / "p"), SANITIZED)
    (done,) = project.run([Job(ENCODE, len(wrong), row_bytes(stage, wrong))])
    ((lane,), (raw,)) = encode_rows(circuit, centred(stage, cells), 1)
    assert done.status == "symbol"
    assert done.data[: len(lane) + len(raw)] == lane + raw
    small = C99Project(project.folder, (*SANITIZED, "-UBENCH_BYTES", "-DBENCH_BYTES=3"))
    (done,) = small.run([Job(ENCODE, len(cells), row_bytes(stage, cells))])
    assert done.status == "room"


#: kinds whose steps are all that there are; the others are compiled at night
MOST = ("colour", "tiles behind neighbours of rows", "window behind a difference", "64 bits")


@pytest.mark.parametrize(
    "kind", [kind if kind in MOST else pytest.param(kind, marks=pytest.mark.nightly) for kind in SYMBOLIZERS]
)
def test_symbolizers_on_the_host(kind: str, tmp_path: Path) -> None:
    symbolizer = SYMBOLIZERS[kind]
    project = C99Project(write_c99(circuit_with(symbolizer), tmp_path / "p"), SANITIZED)
    assert "encode, decode, symbols, numbers, likelihood, score and packets" in project.golden()
    rows = drawn(symbolizer, 3 * symbolizer.segment_rows + 1)
    for (job, wanted), done in zip(
        both := list(mapping(project.symbol_type, symbolizer, rows).values()),
        project.run([job for job, _ in both]),
        strict=True,
    ):
        assert (done.status, done.data) == ("ok", wanted), job.kind
    # Symbols of no numbers: what the reference refuses is refused.
    generator = np.random.default_rng(4)
    part = symbolizer.records(symbolizer.segment_rows)
    least = symbolizer.apply(rows[: symbolizer.segment_rows]).astype(np.int64)
    cases = [generator.integers(0, np.array(symbolizer.cardinalities), least.shape) for _ in range(10)]
    for _ in range(20):
        case = least.copy()
        place = (int(generator.integers(part)), int(generator.integers(least.shape[1])))
        case[place] = (case[place] + 1) % symbolizer.cardinalities[place[1]]
        cases.append(case)
    jobs, expected = [], []
    for number, case in enumerate(cases):
        count = symbolizer.segment_rows - (number % 2 if symbolizer.segment_rows > 1 else 0)
        jobs.append(Job(NUMBERS, count, record_bytes(project.symbol_type, case)))
        try:
            expected.append(number_bytes(symbolizer, symbolizer.invert(case, count)))
        except DataError:
            expected.append(b"")
    for done, wanted in zip(project.run(jobs), expected, strict=True):
        assert (done.status, done.data) == ("ok", wanted) if wanted else done.status == "damaged"


def test_numbers_that_have_no_symbols(tmp_path: Path) -> None:
    symbolizer = SYMBOLIZERS["difference along a row"]
    rows = drawn(symbolizer, 3)
    rows[1, 2] = -8
    project = C99Project(write_c99(circuit_with(symbolizer), tmp_path / "p"), SANITIZED)
    (done,) = project.run([Job(SYMBOLS, 3, number_bytes(symbolizer, rows))])
    assert done.status == "symbol"


def test_all_steps_are_tested() -> None:
    steps: set[type[Step]] = {type(step) for symbolizer in SYMBOLIZERS.values() for step in symbolizer.steps}
    assert steps == set(get_args(Step))
    assert {s.dtype for s in SYMBOLIZERS.values()} >= {"int16", "int32", "uint8", "uint64", "bool"}
    assert all(value_range(s.dtype)[0] <= s.low for s in SYMBOLIZERS.values())


@pytest.mark.parametrize("given", [(1, 2), (0, 4)])
@pytest.mark.parametrize("kind", ["hidden", "unstructured"])
def test_given_variables_cost_nothing(kind: str, given: tuple[int, ...], tmp_path: Path) -> None:
    circuit = CIRCUITS[kind]
    program = Program.of(circuit).with_given(given)
    project = C99Project(write_c99(program, tmp_path / "p"), SANITIZED)
    assert "encode, decode" in project.golden()
    records = ReferenceEngine(circuit).sample(8)
    (lane,) = ReferenceEngine(program).encode_lanes(records, 1)
    assert len(lane) < len(ReferenceEngine(circuit).encode_lanes(records, 1)[0])
    read = reading(1, lane)
    (done,) = project.run(
        [replace(read, data=read.data + b"\xfe" * len(record_bytes(project.symbol_type, records[:1])))]
    )
    assert done.status == "symbol"  # no symbol of its variable, and nothing is read outside
    text = (project.folder / "manifest.json").read_text()
    (project.folder / "manifest.json").write_text(text.replace('"given": [', '"given": ["1", '))
    with pytest.raises(FormatError, match="given must be a list of variables"):
        project.golden()


JOBS = ("ENCODE", "DECODE", "LIKELIHOOD", "SCORE")


@pytest.mark.parametrize("kind", ["stage", "symbolizer"])
def test_jobs_can_be_left_out(kind: str, tmp_path: Path) -> None:
    circuit = circuit_of(GAPS) if kind == "stage" else circuit_with(SYMBOLIZERS["tiles behind neighbours of rows"])
    folder = write_c99(circuit, tmp_path / "p")
    sizes = {}
    for job in (*JOBS, ""):
        switches = [f"-DPCEDGE_ONLY_{job}"] if job else []
        out = tmp_path / "one.o"
        tools.run(["gcc", "-std=c99", *STRICT, "-O1", *switches, "-c", "src/pcedge.c", "-o", out], folder, "gcc")
        sizes[job] = out.stat().st_size
        names = tools.run(["nm", "-g", "--defined-only", out], folder, "nm")
        assert ("pcedge_symbols\n" in names) == (job != "DECODE" and not (kind == "stage" and job == "ENCODE"))
        assert ("pcedge_numbers\n" in names) == (kind == "symbolizer" and job in ("DECODE", ""))
        undefined = set(tools.run(["nm", "-u", out], folder, "nm").split()) - {"U"}
        assert undefined <= {"__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "memcpy"}
    assert all(size < sizes[""] for job, size in sizes.items() if job)


def test_golden_rows_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^rows must be of a circuit with a predictor stage, this one has none$"):
        write_c99(CIRCUITS["chain"], tmp_path / "p", rows=np.zeros((1, 2), np.int16))
    with pytest.raises(DataError, match=r"^golden vectors of a predictor stage must have at least one row, got none$"):
        write_c99(circuit_of(STAGE), tmp_path / "p", rows=np.zeros((0, 2), np.int16))
    folder = write_c99(circuit_of(STAGE), tmp_path / "p", rows=np.zeros((3, 2), np.int16))
    for data, message in ((b"", "must hold rows of 6 bytes, got 0 bytes"), (bytes(12), "must hold rows of 6 numbers")):
        (folder / "golden/rows.bin").write_bytes(data)
        with pytest.raises(FormatError, match=message):
            C99Project(folder).golden()


def test_a_difference_of_numbers_is_found(tmp_path: Path) -> None:
    folder = write_c99(circuit_of(STAGE), tmp_path / "p")
    break_source(folder / "src/pcedge.c", "token.count = n - 1U + shift;", "token.count = n + shift;")
    with pytest.raises(MismatchError, match=r"^c99: encode differs from the reference, its status is ok$"):
        C99Project(folder).golden()


def there() -> set[str]:
    return {core.name for core in CORES if shutil.which(core.compiler) and shutil.which(core.emulator)}


@pytest.mark.skipif(not there(), reason="apt-get install gcc-arm-none-eabi qemu-system-arm")
@pytest.mark.parametrize("kind", ["stage", "symbolizer"])
def test_microcontrollers(kind: str) -> None:
    if kind == "stage":
        circuit, rows = circuit_of(GAPS), np.cumsum(np.arange(40).reshape(20, 2) % 7, axis=0).astype(np.int16)
        rows[3:6, 1] = -(2**15)
        records = ReferenceEngine(circuit).sample(10)
        report = verify(circuit, records, ("mcu",), rows=rows)
    else:
        symbolizer = SYMBOLIZERS["window behind a difference"]
        circuit, rows = circuit_with(symbolizer), drawn(symbolizer, 12)
        report = verify(circuit, symbolizer.apply(rows).astype(np.int64), ("mcu",))
    assert report.mismatches == 0
    assert set(report.mcu) == there()
    assert len(report.comparisons) == (7 if kind == "stage" else 10) * len(report.mcu)
    names = " ".join(comparison.output for comparison in report.comparisons)
    assert "symbols" in names and ("numbers" in names) == (kind == "symbolizer")


def test_cells_of_fields_are_named(tmp_path: Path) -> None:
    x = np.array([(-3, 0.25), (5, 0.5)], dtype=[("a", "<i2"), ("b*/", "<f8")])
    source = replace(Columns.of(x), order=(1, 0))
    groups = tuple(Group(low, high, max(0, low), (1 << 16,)) for low, high in source.ranges)
    stage = Predictor(CELLS, (2,), groups, (0, 1), ((1, 0),), None, (), (), ((0, 0),), 4, 64, (), source)
    folder = write_c99(circuit_of(stage), tmp_path / "p", rows=x)
    cells = json.loads((folder / "manifest.json").read_text())["cells"]
    assert [cell.partition(":")[0] for cell in cells] == ["b*/", "a"]
    header = (folder / "src/pcedge.h").read_text()
    assert "each of this column:\n" + "".join(f'//   {n}: "{cell}"\n' for n, cell in enumerate(cells)) in header
    assert C99Project(folder).golden()
