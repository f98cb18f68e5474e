"""Fuzz the native engine under sanitizers: python -m benchmarks.fuzz_native --seconds 600.

The harness is fuzz_native.c. With clang libFuzzer searches for inputs; with any other compiler seeds are mutated, which
sees no branches but runs everywhere. What is found lies in the folder, and runs again by `--file`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import pcedge
from benchmarks.mutated_circuits import integers
from benchmarks.mutated_imports import DATA
from pcedge.codec.packet_rows import encode_packet_rows
from pcedge.codec.packets import PacketLayout, encode_packets
from pcedge.codec.predicted import encode_rows, token_bounds
from pcedge.data.predictor import Predictor
from pcedge.engines import ReferenceEngine
from pcedge.importers import import_circuit
from pcedge.learn.initial import initial_circuit
from pcedge.native import build
from pcedge.native.engine import NativeEngine
from pcedge.native.stage import lay_out_stage
from pcedge.native.tables import FIELDS, Steps
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program

HARNESS = Path(__file__).with_suffix(".c")
GOLDEN = DATA.parent / "golden"

#: rows of a lane that stages are laid out for; the harness has at most 100
STAGE_ROWS = 128
#: lanes of seeds: few and many columns, some lanes more than a block has
LANES = (1, 3, 17, 73)
#: bytes of a packet's payload in seeds
PAYLOADS = (4, 9, 30)
#: packets of a seed: their places then fit a byte
MOST_PACKETS = 6

SANITIZERS = "address,undefined"
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


@dataclass(frozen=True, eq=False)
class Fuzzed:
    """Hold a program, and the stage in front of it where it has one."""

    program: Program
    stage: Predictor | None = None


def programs() -> list[Fuzzed]:
    """Make small programs with every step, kernel and width; two with a predictor stage."""
    made = [Fuzzed(Program.of(circuit)) for circuit in integers()]
    records = np.random.default_rng(3).integers(0, 70, (60, 3))
    large = initial_circuit("hclt", records, [70] * 3, latents=18)
    for config in (
        QuantizationConfig(weight_bits=16, leaf_bits=16, state_bits=16, coder="wide"),
        QuantizationConfig(weight_bits=8, leaf_bits=12, state_bits=16, coder="wide", tails=False),
    ):
        made.append(Fuzzed(Program.of(quantize(large, config))))
    made.append(Fuzzed(made[0].program.with_given((1, 3))))
    made.append(Fuzzed(Program.of(quantize(import_circuit(DATA / "small2.psdd").circuit))))
    whole = pcedge.load(GOLDEN / "stream_predicted.onnx")
    stage = whole.symbolizer
    assert isinstance(stage, Predictor)
    made.append(Fuzzed(Program.of(whole), stage))
    listed = replace(stage, listed=(-2, 0, 7), escapes=20)
    tokens = np.random.default_rng(4).integers(0, listed.cardinalities, (50, 2))
    mixture = initial_circuit("chain", tokens, listed.cardinalities, latents=2)
    made.append(Fuzzed(Program.of(quantize(replace(mixture, symbolizer=listed))), listed))
    return made


def write_programs(path: Path, fuzzed: list[Fuzzed]) -> None:
    """Write programs and stages as a C header."""
    lines = ['#include "pcedge.h"', ""]
    entries = []
    for number, one in enumerate(fuzzed):
        name = f"p{number}"
        circuit = one.program.circuit
        engine = NativeEngine(one.program)
        tables = engine.tables
        lines += [
            *_array(f"{name}_symbols", "int32_t", np.array(circuit.cardinalities)),
            *_steps(f"{name}_likelihood", tables.likelihood),
            *_steps(f"{name}_code", tables.code),
        ]
        pools = {
            "weights": "uint32_t",
            "tables": "uint32_t",
            "lists": "int32_t",
            "pairs": "int16_t",
            "sums": "uint32_t",
        }
        for pool, kind in pools.items():
            lines += _array(f"{name}_{pool}", kind, getattr(tables, pool))
        sizes = (
            circuit.weight_bits, circuit.leaf_bits, circuit.state_bits, circuit.scale_bits, circuit.range_bits,
            circuit.floor, len(circuit.order), tables.units,
        )  # fmt: skip
        schedules = [
            _schedule(f"{name}_likelihood", tables.likelihood, 0),
            _schedule(f"{name}_code", tables.code, len(one.program.given)),
        ]
        fields = ", ".join([*map(str, sizes), *schedules, *(f"{name}_{pool}" for pool in pools)])
        lines += [f"static const pce_program {name} = {{{fields}}};"]
        stage = "NULL"
        if one.stage is not None:
            lines += _stage(f"{name}_stage", one)
            stage = f"&{name}_stage"
        entries.append(f"{{&{name}, {stage}, {name}_symbols}}")
    lines += [
        "typedef struct {",
        "  const pce_program *program;",
        "  const pce_stage *stage;",
        "  const int32_t *symbols; // of every variable",
        "} fuzzed_t;",
        f"static const fuzzed_t fuzzed[] = {{{', '.join(entries)}}};",
    ]
    path.write_text("\n".join(lines) + "\n")


def _number(value: int) -> str:
    return "INT64_MIN" if value == -(2**63) else str(value)


def _array(name: str, kind: str, values: NDArray[Any]) -> list[str]:
    flat = values.ravel()
    text = ", ".join(_number(int(value)) for value in flat) or "0"
    return [f"static const _Alignas(64) {kind} {name}[] = {{{text}}};"]


def _structures(name: str, kind: str, rows: NDArray[Any]) -> list[str]:
    text = ", ".join("{" + ", ".join(_number(int(value)) for value in row) + "}" for row in rows.tolist()) or "{0}"
    return [f"static const {kind} {name}[] = {{{text}}};"]


def _steps(name: str, steps: Steps) -> list[str]:
    assert steps.rows.shape[1] == len(FIELDS)
    return _structures(name, "pce_step", steps.rows)


def _schedule(name: str, steps: Steps, given: int) -> str:
    numbers = (
        len(steps.rows), int(steps.keep), steps.result, steps.result_slot, steps.words, steps.slots, int(steps.scales),
        given,
    )  # fmt: skip
    return f"{{{', '.join([name, *map(str, numbers)])}}}"


def _stage(name: str, one: Fuzzed) -> list[str]:
    assert one.stage is not None
    stage = lay_out_stage(one.stage, STAGE_ROWS, token_bounds(one.program.circuit))
    kinds = (
        "int64_t", "int32_t", "pce_group", "int64_t", "int64_t", "int64_t", "int32_t", "int32_t", "pce_part",
        "pce_node", "int64_t", "int32_t", "int64_t", "uint32_t",
    )  # fmt: skip
    lines, names = [], []
    for number, (kind, array) in enumerate(zip(kinds, stage.arrays, strict=True)):
        names.append(f"{name}_{number}")
        lines += (_structures if kind.startswith("pce") else _array)(names[-1], kind, array)
    scalars = [str(getattr(stage.native, field)) for field, *_ in stage.native._fields_[:13]]
    return [*lines, f"static const pce_stage {name} = {{{', '.join([*scalars, *names])}}};"]


def _head(number: int, kind: int, isa: int, lanes: int, records: int) -> bytes:
    """Write the first bytes of an input, as the harness reads them."""
    byte = next(byte for byte in range(256) if 1 + byte % (6 if byte % 8 else 80) == lanes)
    return bytes([number, kind, isa, byte, records - lanes])


def seeds(fuzzed: list[Fuzzed]) -> Iterator[bytes]:
    """Give whole inputs of the harness."""
    for number, one in enumerate(fuzzed):
        if one.stage is not None:
            yield from _row_seeds(number, one)
            continue
        engine = ReferenceEngine(one.program)
        for lanes in LANES:
            for records in (lanes, 2 * lanes + 1 if lanes > 1 else 3):
                # What is given is 0.
                known = np.zeros((records, len(engine.circuit.order)), dtype=np.int64) if one.program.given else None
                coded = engine.encode_lanes(engine.sample(records, seed=lanes, known=known), lanes)
                lengths = bytes(min(255, len(lane)) for lane in coded)
                for kind, isa in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (7, 2)):
                    yield _head(number, kind, isa, lanes, records) + lengths + b"".join(coded)
        if not one.program.given:
            yield from _packet_seeds(number, engine)


def _packet_seeds(number: int, engine: ReferenceEngine) -> Iterator[bytes]:
    for payload in PAYLOADS:
        packets = encode_packets(engine, engine.sample(9, seed=payload), PacketLayout(payload + 1, 1))[:MOST_PACKETS]
        heads, payloads = bytes(packet[0] for packet in packets), b"".join(packet[1:] for packet in packets)
        yield _head(number, 5, number % 5, len(packets), min(9, 3 * len(packets))) + heads + payloads


def _row_seeds(number: int, one: Fuzzed) -> Iterator[bytes]:
    assert one.stage is not None
    generator = np.random.default_rng(number)
    columns = one.stage.columns
    for lanes, rows in ((1, 5), (1, 90), (2, 30), (3, 40)):
        x = generator.integers(-40, 41, (rows, columns)).cumsum(axis=0).astype(np.int64)
        coded, raw = encode_rows(one.program.circuit, x, lanes)
        if max(map(len, [*coded, *raw])) < 256:
            yield (
                _head(number, 0, 1 + lanes, lanes, rows) + bytes(map(len, [*coded, *raw])) + b"".join([*coded, *raw])
            )
    for size in (20, 40):
        x = generator.integers(-9, 10, (9, columns)).cumsum(axis=0).astype(np.int64)
        packets = encode_packet_rows(ReferenceEngine(one.program), x, PacketLayout(size, 1))[:MOST_PACKETS]
        heads, payloads = bytes(packet[0] for packet in packets), b"".join(packet[1:] for packet in packets)
        yield _head(number, 5, size // 20, len(packets), 9) + heads + payloads


def make(folder: Path, compiler: str | None = None) -> tuple[Path, bool]:
    """Build engine and harness under sanitizers, and write the seeds.

    Args:
        folder: where all of it goes.
        compiler: a C compiler; clang where there is one if None.

    Returns:
        The program, and whether libFuzzer drives it.
    """
    compiler = compiler or ("clang" if shutil.which("clang") else "gcc")
    searching = "clang" in Path(compiler).name
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", f"-fsanitize={SANITIZERS}"]
    # Comparisons are not traced: they are of a coder's numbers, which tell nothing, and take most of the time.
    traced = ["-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp"] if searching else []
    with _environment("PCEDGE_CC", " ".join([compiler, *flags, *traced])):
        build.build(folder / build.NAME)
    driver = ["-DPCE_LIBFUZZER", "-fsanitize=fuzzer"] if searching else []
    return link(folder, programs(), folder / build.NAME, [compiler, *flags, *driver]), searching


def link(folder: Path, fuzzed: list[Fuzzed], library: Path, compiler: list[str]) -> Path:
    """Write programs and seeds, and compile the harness with a library of the engine; give its path."""
    write_programs(folder / "programs.h", fuzzed)
    whole = folder / "seeds"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir(parents=True)
    for number, seed in enumerate(seeds(fuzzed)):
        (whole / f"{number:04}").write_bytes(seed)
    program = folder / "fuzz_native"
    command = [
        *compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{build.SOURCES}", f"-I{folder}", str(HARNESS),
        str(library.resolve()), "-o", str(program),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return program


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def fuzz(folder: Path, program: Path, searching: bool, seconds: int, count: int, seed: int) -> int:
    """Run the harness so long and so often at least; give its exit status."""
    environment = os.environ | OPTIONS
    if searching:
        found = folder / "corpus"
        found.mkdir(exist_ok=True)
        command = [
            str(program), str(found), str(folder / "seeds"), f"-max_total_time={seconds}", f"-seed={seed or 1}",
            "-max_len=2048", "-print_final_stats=1", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/found-",
            "-verbosity=0",
        ]  # fmt: skip
        return subprocess.run(command, env=environment, check=False).returncode
    end, part = time.monotonic() + seconds, max(1, count)
    while True:
        command = [str(program), str(folder / "seeds"), str(part), str(seed), str(folder / "last")]
        status = subprocess.run(command, env=environment, check=False).returncode
        if status or time.monotonic() >= end:
            return status
        seed += 1


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("build/fuzz"), show_default=True
)
@click.option("--seconds", type=click.IntRange(0), default=600, show_default=True)
@click.option("--count", type=click.IntRange(1), default=100_000, show_default=True, help="Cases of a run by mutation.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--compiler", help="A C compiler; clang has libFuzzer.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Run this input alone.")
def main(folder: Path, seconds: int, count: int, seed: int, compiler: str | None, file: Path | None) -> None:
    """Fuzz the native engine under sanitizers."""
    program, searching = make(folder, compiler)
    if not searching:
        click.echo("clang is missing: seeds are mutated, no search by branches", err=True)
    if file is not None:
        sys.exit(subprocess.run([str(program), str(file)], env=os.environ | OPTIONS, check=False).returncode)
    sys.exit(fuzz(folder, program, searching, seconds, count, seed))


if __name__ == "__main__":
    main()
