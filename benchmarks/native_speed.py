"""Measure the native engine beside numpy and the machine's peak: mnist-16 on records that it draws itself.

python benchmarks/native_speed.py writes the section of docs/results.md. Times of one thread are CPU time, the least of
some runs that alternate, so other work on the machine counts little; those of several threads are wall-clock.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

import pcedge
from pcedge.engines import Engine, ReferenceEngine
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.native import NativeEngine, instruction_sets
from pcedge.native.build import FLAGS, ISAS, compiler
from pcedge.quantize import quantize
from pcedge.schedule import Program
from pcedge.schedule.steps import Down, Interval, Multiply, Up

CIRCUIT, RECORDS, SEED = "mnist-16", 10_000, 1
PEAK_ROUNDS = 1 << 22

#: jobs of an engine: what is done with records and lanes
JOBS = ("encode", "decode", "likelihood")


def multiplications(program: Program) -> dict[str, float]:
    """Count the multiply-adds of a symbol that both codings take, with a binary search of the decoder."""
    circuit: IntegerCircuit = program.circuit
    mixed = encode = decode = 0
    for step in program.code.steps:
        if isinstance(step, Up | Down):
            layer = circuit.layers[step.layer]
            assert isinstance(layer, IntegerSum)
            mixed += np.asarray(layer.weights).size  # this circuit has no sparse rows
        elif isinstance(step, Multiply):
            mixed += step.units
        elif isinstance(step, Interval):
            leaf = circuit.layers[step.layer]
            assert isinstance(leaf, IntegerInput)
            encode += 2 * step.source.units
            decode += (leaf.shape.cardinality - 1).bit_length() * step.source.units
    variables = len(circuit.order)
    return {"encode": (mixed + encode) / variables, "decode": (mixed + decode) / variables}


def peak(isa: str) -> Callable[[], tuple[int, float]]:
    """Compile what measures the peak of an instruction set; it gives multiply-adds and seconds of CPU."""
    flags = next((some[isa] for some in ISAS.values() if isa in some), ())
    folder = tempfile.mkdtemp()
    library = Path(folder) / "peak.so"
    source = Path(__file__).with_name("peak.c")
    subprocess.run([*compiler(), *FLAGS, "-fvisibility=default", *flags, "-shared", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.peak.restype = ctypes.c_int64
    loaded.peak.argtypes = [ctypes.c_int64, ctypes.c_void_p]
    out = ctypes.c_int32(0)

    def run() -> tuple[int, float]:
        begin = time.process_time()
        count: int = loaded.peak(PEAK_ROUNDS, ctypes.byref(out))
        return count, time.process_time() - begin

    return run


def rates(engine: Engine, records: np.ndarray, lanes: int, jobs: tuple[str, ...] = JOBS) -> dict[str, float]:  # type: ignore[type-arg]
    """Time each job once, in symbols a second of CPU; the native engine has records of a byte, as streams give them."""
    coded: list[bytes] = []
    out = {}
    narrow = {"narrow": True} if isinstance(engine, NativeEngine) else {}
    records = records if narrow else records.astype(np.int64)
    for job in jobs:
        begin = time.process_time()
        if job == "encode":
            coded = engine.encode_lanes(records, lanes)
        elif job == "decode":
            found = engine.decode_lanes(coded, len(records), **narrow)
        else:
            engine.likelihood(records)
        out[job] = records.size / (time.process_time() - begin)
        assert job != "decode" or (found == records).all()
    return out


def latencies(engine: NativeEngine, records: np.ndarray) -> dict[str, float]:  # type: ignore[type-arg]
    """Time each job of one record at a time, record after record, by the wall clock: the least of all, in seconds."""
    coded = [engine.encode_lanes(record, 1) for record in records[:, None]]
    calls: dict[str, Callable[[int], object]] = {
        "encode": lambda i: engine.encode_lanes(records[i : i + 1], 1),
        "decode": lambda i: engine.decode_lanes(coded[i], 1),
        "likelihood": lambda i: engine.likelihood(records[i : i + 1]),
    }
    out = {}
    for job, call in calls.items():
        times = []
        for i in range(len(records)):
            begin = time.perf_counter()
            call(i)
            times.append(time.perf_counter() - begin)
        out[job] = min(times)
    return out


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """Take the best of some runs, job by job."""
    return {job: max(run[job] for run in runs) for job in runs[0]}


def millions(rate: float) -> str:
    """Write a rate in millions."""
    return f"{rate / 1e6:.3g}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="only S = 64 and 1,024, and print")
    parser.add_argument("--circuit", help="another circuit, beside numpy, and print")
    options = parser.parse_args()
    if options.circuit:
        _other(options.circuit, 1024)
        return
    program = Program.of(pcedge.load(CIRCUIT))
    numpy_engine, isas = ReferenceEngine(program), instruction_sets()
    engines = {isa: NativeEngine(program, isa) for isa in isas}
    fastest = engines[isas[0]]
    records = fastest.sample(RECORDS, SEED).astype(np.uint8)
    needed = multiplications(program)
    peaks = {isa: peak(isa) for isa in isas}
    limit = dict.fromkeys(isas, 0.0)
    lines = [
        f"{CIRCUIT}: {len(program.circuit.order)} variables, {RECORDS:,} records drawn from it, seed {SEED}. M px/s of "
        f"CPU time on one core, the best of {options.repeats} rounds that alternate, under whatever else the machine "
        "did. In parentheses times numpy, then the share of the peak: "
        f"{needed['encode']:.0f} multiply-adds a symbol to encode, {needed['decode']:.0f} to decode with a binary "
        "search, over those that the machine does register to register in the same run.",
        "",
    ]
    rows = []
    for lanes in (64, 1024):
        part = records[:lanes]
        found: dict[str, list[dict[str, float]]] = {name: [] for name in ("numpy", *isas)}
        for turn in range(options.repeats):
            for isa in isas:
                count, seconds = peaks[isa]()
                limit[isa] = max(limit[isa], count / seconds)
                for _ in range(4):
                    found[isa].append(rates(engines[isa], part, lanes))
            if turn < 2:
                found["numpy"].append(rates(numpy_engine, part, lanes))
        base = best(found["numpy"])
        rows.append(["numpy", f"{lanes:,}", *(millions(base[job]) for job in JOBS)])
        for isa in isas:
            rate = best(found[isa])
            cells = []
            for job in JOBS:
                share = f", {100 * rate[job] * needed[job] / limit[isa]:.1f} %" if job in needed else ""
                cells.append(f"{millions(rate[job])} ({rate[job] / base[job]:.0f}×{share})")
            rows.append([isa, f"{lanes:,}", *cells])
            print(rows[-1], flush=True)
    if options.quick:
        print({isa: round(value / 1e9, 1) for isa, value in limit.items()})
        return
    lines += table(["engine", "S = records", *JOBS], rows)
    lines += ["", "Peak, G multiply-adds/s: " + ", ".join(f"{isa} {limit[isa] / 1e9:.1f}" for isa in isas) + "."]
    few = best([rates(fastest, records, 1) for _ in range(options.repeats)])
    slow = rates(numpy_engine, records[:100], 1, ("encode", "likelihood"))
    slow |= {"decode": rates(numpy_engine, records[:2], 1, ("encode", "decode"))["decode"]}
    rows = [
        [f"S = 1, {RECORDS:,} records, {isas[0]}", *(millions(few[job]) for job in JOBS)],
        ["the same with numpy (100 records, decode 2)", *(millions(slow[job]) for job in JOBS)],
    ]
    runs = [latencies(fastest, records[:400]) for _ in range(options.repeats)]
    alone = {job: min(run[job] for run in runs) for job in JOBS}
    rows.append([f"one record alone, {isas[0]}, from Python", *(f"{1e6 * alone[job]:.0f} µs" for job in JOBS)])
    lines += ["", *table(["", *JOBS], rows), "", *_threads(CIRCUIT, program, records[:4096])]
    write_section("Speed of the native engine", "python benchmarks/native_speed.py", lines)


def _wall(program: Program, records: np.ndarray, threads: int) -> dict[str, float]:  # type: ignore[type-arg]
    """Give seconds by the wall clock, the least of some."""
    engine = NativeEngine(program, threads=threads)
    coded = engine.encode_lanes(records, len(records))
    times: dict[str, list[float]] = {"encode": [], "decode": []}
    for _ in range(7):
        begin = time.perf_counter()
        engine.encode_lanes(records, len(records))
        middle = time.perf_counter()
        engine.decode_lanes(coded, len(records), narrow=True)
        times["encode"].append(middle - begin)
        times["decode"].append(time.perf_counter() - middle)
    return {job: min(some) for job, some in times.items()}


def _alone(name: str, count: int, barrier: Any, out: Any) -> None:
    """Time half of the records in a process of its own, beside another one."""
    program = Program.of(_circuit(name))
    records = NativeEngine(program).sample(count, SEED).astype(np.uint8)
    barrier.wait()
    out.put(_wall(program, records, 1))


def _threads(name: str, program: Program, records: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    """Compare two threads with one, and with two processes of half the records each, by the wall clock."""
    one, two = _wall(program, records, 1), _wall(program, records, 2)
    context = multiprocessing.get_context("spawn")
    barrier, out = context.Barrier(2), context.Queue()
    both = [context.Process(target=_alone, args=(name, len(records) // 2, barrier, out)) for _ in range(2)]
    for process in both:
        process.start()
    halves = [out.get() for _ in both]
    for process in both:
        process.join()
    gain = {job: one[job] / two[job] for job in one}
    share = {job: max(half[job] for half in halves) / two[job] for job in one}
    return [
        f"Two threads over one, wall-clock, S = {len(records):,}: {gain['encode']:.2f} encoding, {gain['decode']:.2f} "
        f"decoding; over two processes with half the records each: {share['encode']:.2f} and {share['decode']:.2f}; "
        f"load average of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores."
    ]


def _circuit(name: str) -> IntegerCircuit:
    circuit = pcedge.load(name)
    return circuit if isinstance(circuit, IntegerCircuit) else quantize(circuit)


def _other(name: str, count: int) -> None:
    """Print the rates of another circuit beside numpy's."""
    program = Program.of(_circuit(name))
    reference, isas = ReferenceEngine(program), instruction_sets()
    records = NativeEngine(program).sample(count, SEED)
    base = best([rates(reference, records, min(count, 1024)) for _ in range(2)])
    print("numpy", {job: millions(rate) for job, rate in base.items()})
    for isa in isas:
        found = best([rates(NativeEngine(program, isa), records, min(count, 1024)) for _ in range(5)])
        print(isa, {job: f"{millions(rate)} ({rate / base[job]:.1f}×)" for job, rate in found.items()})


if __name__ == "__main__":
    main()
