"""A circuit in C99 on emulated microcontrollers against the reference: bytes, symbols, likelihoods, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.codec.packets import PacketLayout, encode_packets
from pcedge.codec.predicted import encode_mapped, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import MissingToolError, ToolError
from pcedge.export.c99.project import rows_of
from pcedge.export.c99.text import record_bytes, row_bytes
from pcedge.integer.circuit import IntegerCircuit
from pcedge.simulate.mcu import CORES, LANE_BYTES, C99Project, Core, Done
from pcedge.simulate.mcu_jobs import (
    ONLY_CLASSES,
    WITH_PACKETS,
    Expected,
    Job,
    Lane,
    class_job,
    mapping,
    packet_jobs,
    record_lane,
    row_lane,
    scores_of,
    stage_mapping,
    weighed,
)
from pcedge.verify.comparison import PACKET_BYTES, PACKET_CRC_BITS, PACKET_RECORDS

#: the variable that is classified, where the grid names it
CLASS = "class"

#: what was compared: its name, how many vectors, how many of them differ, and the first
Compared = tuple[str, int, int, str | None]


def compare_mcu(
    engine: ReferenceEngine,
    project: C99Project,
    records: IntArray,
    hidden: IntArray,
    announce: Callable[[str], None],
    cores: Sequence[Core] = CORES,
    cells: NDArray[Any] | None = None,
) -> tuple[list[Compared], dict[str, Any]]:
    """Run all jobs on every core whose tools are there, and which has the memory.

    Args:
        engine: the reference of the project's circuit.
        project: of the target c99.
        records: (N, variables), -1 is missing; streams are compared on those without.
        hidden: the same with more symbols missing.
        announce: told which core has run, and which has not and why.
        cores: the cores.
        cells: of a circuit with a predictor stage: rows of numbers (`Predictor.cells`), which are coded in the place
            of records.

    Returns:
        The comparisons, and for every core what `figures` says of it.

    Raises:
        MissingToolError: no core has its tools.
    """
    complete = records[(records != MISSING).all(axis=1)]
    coded = _lanes(engine, project, complete) if cells is None else _row_lanes(engine.circuit, cells)
    mapped = _mapping(engine.circuit, project, complete, cells)
    packets_of = complete[
        : min(PACKET_RECORDS, LANE_BYTES // len(record_bytes(project.symbol_type, complete[:1]) or b"0"))
    ]
    packed = _packed(engine, project.symbol_type, packets_of)
    asked = _asked(engine, project.symbol_type, hidden)
    jobs = [job for data in (records, hidden) for job in project.weighing(data)]
    jobs += [job for job, _ in mapped.values()]
    for lane in coded:
        jobs += [lane.encode, lane.decode]
    expected = [result for data in (records, hidden) for result in weighed(engine, data)]
    compared: list[Compared] = []
    found: dict[str, Any] = {}
    missing: list[str] = []
    for core in cores:
        try:
            results, rom = project.run_on(core, jobs)
        except MissingToolError as error:
            missing.append(str(error))
            announce(f"mcu: skipped, {error}")
            continue
        except ToolError as error:
            if "overflowed by" not in str(error):
                raise
            announce(f"mcu: {core.name} is skipped, the circuit does not fit its memory")
            continue
        announce(f"mcu: {core.name} has run")
        weighing, maps, coding = results[:4], results[4 : 4 + len(mapped)], results[4 + len(mapped) :]
        names = ("likelihood", "score", "likelihood, partial evidence", "score, partial evidence")
        for name, done, wanted in zip(names, weighing, expected, strict=True):
            got = scores_of(done.data) if name.startswith("score") else done.data
            compared.append(_rows(f"{core.name} {name}", done, wanted, got, 8 if name.startswith("like") else 4))
        for (name, (job, wanted)), done in zip(mapped.items(), maps, strict=True):
            pieces = math.gcd(len(wanted), job.count)  # rows, of a window fewer
            compared.append(_rows(f"{core.name} {name}", done, wanted, done.data, len(wanted) // pieces))
        compared += _coding(core, coded, coding)
        many = complete.size if cells is None else sum(lane.encode.count for lane in coded) * cells[0].size
        told = figures(rom, weighing, coding, len(records) * len(engine.circuit.order), many)
        if packed:
            results, rom = project.run_on(core, [job for job, _ in packed.values()], (WITH_PACKETS,))
            compared += _packets(core, packed, results)
            told["with_packets"] = _packet_figures(rom, results, packets_of.size)
        if asked is not None:
            (done,), rom = project.run_on(core, [asked[0]], ONLY_CLASSES)
            compared.append(_rows(f"{core.name} class", done, asked[1], done.data, 4))
            told["with_classify"] = _class_figures(rom, done, asked[0].count)
        found[core.name] = told
    if not found and missing:
        raise MissingToolError(f"the rung mcu must have a compiler and an emulator: {'; '.join(missing)}")
    if not found:
        raise ToolError("the rung mcu must have a core whose memory holds the circuit, none does")
    return compared, found


def _packed(engine: ReferenceEngine, kind: str, records: IntArray) -> Expected:
    """Make the jobs of packets; none where a circuit has none in C."""
    if engine.program.given or isinstance(engine.circuit.symbolizer, Predictor) or not len(records):
        return {}
    layout = PacketLayout.of(engine, PACKET_BYTES, len(records), PACKET_CRC_BITS)
    return packet_jobs(kind, records, engine.circuit.order, encode_packets(engine, records, layout), layout)


def _asked(engine: ReferenceEngine, kind: str, records: IntArray) -> tuple[Job, bytes] | None:
    """Make the job that classifies; None of a circuit whose grid names no class."""
    grid = engine.circuit.grid
    if grid is None or CLASS not in grid.names:
        return None
    return class_job(engine, kind, records, grid.variable(CLASS))


def _class_figures(rom: int, done: Done, records: int) -> dict[str, Any]:
    """Give what a program that does nothing but classify takes, and instructions a record."""
    return {
        "rom_bytes": rom, "ram_bytes": done.ram, "stack_bytes": done.stack,
        "instructions_per_record": round(done.instructions / records),
    }  # fmt: skip


def _packets(core: Core, packed: Expected, results: list[Done]) -> list[Compared]:
    """Compare payloads that were filled, and what was read of each."""
    (_, (_, wanted)), *others = packed.items()
    size = len(wanted) // len(others)
    out = [_rows(f"{core.name} packets = reference bytes", results[0], wanted, results[0].data, size)]
    read = [
        _rows("", done, rows, done.data, len(rows)) for (_, (_, rows)), done in zip(others, results[1:], strict=True)
    ]
    first = next((f"packet {number}" for number, one in enumerate(read) if one[2]), None)
    return [*out, (f"{core.name} symbols of each packet alone", len(read), sum(one[2] for one in read), first)]


def _packet_figures(rom: int, results: list[Done], symbols: int) -> dict[str, Any]:
    """Give what packets take, and instructions a symbol."""
    return {
        "rom_bytes": rom,
        "ram_bytes": results[0].ram,
        "stack_bytes": max(done.stack for done in results),
        "instructions_per_symbol": {
            "pack": round(results[0].instructions / symbols),
            "unpack": round(sum(done.instructions for done in results[1:]) / symbols),
        },
    }


def figures(
    rom: int, weighing: list[Done], coding: list[Done], weighed_symbols: int, coded_symbols: int
) -> dict[str, Any]:
    """Give bytes of ROM, RAM and stack, and instructions a symbol of every job; a stage codes numbers."""
    sums = {
        "encode": (coding[::2], coded_symbols),
        "decode": (coding[1::2], coded_symbols),
        "likelihood": (weighing[::2], 2 * weighed_symbols),
    }
    return {
        "rom_bytes": rom,
        "ram_bytes": weighing[0].ram,
        "stack_bytes": max(done.stack for done in (*weighing, *coding)),
        "instructions_per_symbol": {
            name: round(sum(done.instructions for done in some) / symbols)
            for name, (some, symbols) in sums.items()
            if symbols
        },
    }


def _lanes(engine: ReferenceEngine, project: C99Project, complete: IntArray) -> list[Lane]:
    """Encode records into as few lanes as a microcontroller's buffer takes."""
    count = 1
    while len(complete):
        lanes = encode_lanes(engine, complete, count)
        if max(map(len, lanes)) <= LANE_BYTES or count == len(complete):
            pairs = ((lane, complete[number::count]) for number, lane in enumerate(lanes))
            kind = project.symbol_type
            given = engine.program.given
            return [record_lane(kind, lane, data, given) for lane, data in pairs if len(lane) <= LANE_BYTES]
        count = min(2 * count, len(complete))
    return []


def _mapping(circuit: IntegerCircuit, project: C99Project, complete: IntArray, cells: NDArray[Any] | None) -> Expected:
    """Make the jobs that map numbers to symbols, of a symbolizer also back."""
    symbolizer = circuit.symbolizer
    if isinstance(symbolizer, Symbolizer):
        return mapping(project.symbol_type, symbolizer, rows_of(symbolizer, complete))
    if symbolizer is None or cells is None:
        return {}
    mapped = map_lanes(symbolizer, centred(symbolizer, cells), 1)
    records = np.stack([mapped.classes.ravel(), mapped.tokens.ravel()], axis=1)
    lane = row_lane(b"", b"", row_bytes(symbolizer, cells), len(cells))
    return stage_mapping(project.symbol_type, lane, records)


def _row_lanes(circuit: IntegerCircuit, cells: NDArray[Any]) -> list[Lane]:
    """Encode rows into as few lanes as a microcontroller's buffers take."""
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    count = 1
    while True:
        mapped = map_lanes(predictor, centred(predictor, cells), count)
        coded, raw = encode_mapped(circuit, mapped), mapped.packed()
        if max(map(len, (*coded, *raw))) <= LANE_BYTES or count == len(cells):
            break
        count = min(2 * count, len(cells))
    parts = np.split(cells, np.cumsum(mapped.rows)[:-1])
    return [
        row_lane(lane, beside, row_bytes(predictor, part), len(part))
        for lane, beside, part in zip(coded, raw, parts, strict=True)
        if max(len(lane), len(beside)) <= LANE_BYTES
    ]


def _coding(core: Core, coded: list[Lane], results: list[Done]) -> list[Compared]:
    if not coded:
        return []
    wrong: list[str] = []
    symbols: list[Compared] = []
    for number, lane in enumerate(coded):
        encoded, decoded = results[2 * number : 2 * number + 2]
        if (encoded.data, encoded.status) != (lane.encoded, "ok"):
            wrong.append(f"lane {number}, status {encoded.status}")
        symbols.append(_rows("", decoded, lane.decoded, decoded.data, len(lane.decoded) // lane.decode.count))
    first = next((one[3] for one in symbols if one[3]), None)
    count, differ = sum(one[1] for one in symbols), sum(one[2] for one in symbols)
    return [
        (f"{core.name} encode = reference bytes (lanes)", len(coded), len(wrong), wrong[0] if wrong else None),
        (f"{core.name} decode of reference streams", count, differ, first),
    ]


def _rows(name: str, done: Done, expected: bytes, got: bytes, size: int) -> Compared:
    """Compare rows of so many bytes."""
    count = len(expected) // size
    if done.status != "ok" or len(got) != len(expected):
        return name, count, count, f"status {done.status}, {len(got)} bytes of {len(expected)}"
    pairs = (np.frombuffer(data, np.uint8).reshape(count, size) for data in (expected, got))
    left, right = pairs
    differs = np.flatnonzero((left != right).any(axis=1))
    return name, count, len(differs), f"record {differs[0]}" if len(differs) else None
