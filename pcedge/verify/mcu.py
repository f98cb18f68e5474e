"""A circuit in C99 on emulated microcontrollers against the reference: bytes, symbols, likelihoods, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import MissingToolError, ToolError
from pcedge.export.c99.text import record_bytes
from pcedge.simulate.mcu import CORES, LANE_BYTES, C99Project, Core, Done, scores_of, weighed

#: what was compared: its name, how many vectors, how many of them differ, and the first
Compared = tuple[str, int, int, str | None]


def compare_mcu(
    engine: ReferenceEngine,
    project: C99Project,
    records: IntArray,
    hidden: IntArray,
    announce: Callable[[str], None],
    cores: Sequence[Core] = CORES,
) -> tuple[list[Compared], dict[str, Any]]:
    """Run all jobs on every core whose tools are there, and which has the memory.

    Args:
        engine: the reference of the project's circuit.
        project: of the target c99.
        records: (N, variables), -1 is missing; streams are compared on those without.
        hidden: the same with more symbols missing.
        announce: told which core has run, and which has not and why.
        cores: the cores.

    Returns:
        The comparisons, and for every core what `figures` says of it.

    Raises:
        MissingToolError: no core has its tools.
    """
    complete = records[(records != MISSING).all(axis=1)]
    coded = _lanes(engine, complete)
    jobs = [job for data in (records, hidden) for job in project.weighing(data)]
    for lane, data in coded:
        jobs += [project.encoding(data), project.decoding(lane, len(data))]
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
        weighing, coding = results[:4], results[4:]
        names = ("likelihood", "score", "likelihood, partial evidence", "score, partial evidence")
        for name, done, wanted in zip(names, weighing, expected, strict=True):
            got = scores_of(done.data) if name.startswith("score") else done.data
            compared.append(_rows(f"{core.name} {name}", done, wanted, got, 8 if name.startswith("like") else 4))
        compared += _coding(core, project, coded, coding)
        found[core.name] = figures(rom, results, len(records) * len(engine.circuit.order), complete.size)
    if not found and missing:
        raise MissingToolError(f"the rung mcu must have a compiler and an emulator: {'; '.join(missing)}")
    if not found:
        raise ToolError("the rung mcu must have a core whose memory holds the circuit, none does")
    return compared, found


def figures(rom: int, results: list[Done], weighed_symbols: int, coded_symbols: int) -> dict[str, Any]:
    """Give bytes of ROM, RAM and stack, and instructions a symbol of every job."""
    likelihoods = [results[0], results[2]]
    sums = {
        "encode": (results[4::2], coded_symbols),
        "decode": (results[5::2], coded_symbols),
        "likelihood": (likelihoods, 2 * weighed_symbols),
    }
    return {
        "rom_bytes": rom,
        "ram_bytes": results[0].ram,
        "stack_bytes": max(done.stack for done in results),
        "instructions_per_symbol": {
            name: round(sum(done.instructions for done in some) / symbols)
            for name, (some, symbols) in sums.items()
            if symbols
        },
    }


def _lanes(engine: ReferenceEngine, complete: IntArray) -> list[tuple[bytes, IntArray]]:
    """Encode records into as few lanes as a microcontroller's buffer takes; give each with its records."""
    count = 1
    while len(complete):
        lanes = encode_lanes(engine, complete, count)
        if max(map(len, lanes)) <= LANE_BYTES or count == len(complete):
            return [(lane, complete[number::count]) for number, lane in enumerate(lanes) if len(lane) <= LANE_BYTES]
        count = min(2 * count, len(complete))
    return []


def _coding(
    core: Core, project: C99Project, coded: list[tuple[bytes, IntArray]], results: list[Done]
) -> list[Compared]:
    if not coded:
        return []
    wrong: list[str] = []
    symbols: list[Compared] = []
    for number, (lane, data) in enumerate(coded):
        encoded, decoded = results[2 * number : 2 * number + 2]
        if (encoded.data, encoded.status) != (lane, "ok"):
            wrong.append(f"lane {number}, status {encoded.status}")
        wanted = record_bytes(project.symbol_type, data)
        symbols.append(_rows("", decoded, wanted, decoded.data, len(wanted) // len(data)))
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
