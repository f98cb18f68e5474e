"""Compare engines in SystemVerilog with the reference, in Verilator, on whole test sets and on MNIST images.

Likelihood, likelihood with a tenth of the symbols missing, encode, decode: every integer and byte. Cycles are counted
and are compared with the cycle model's. `--records N` of MNIST (200), `--only NAME`. Projects are kept in
build/rtl-ladder. As many run at a time as there are processors. Data as in learning.py.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from learning import DATA
from results import table, write_section

from pcedge.arrays import IntArray
from pcedge.data import load_array, load_data
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.export.project.manifest import BUILT_JOBS, RTL
from pcedge.export.rtl.cycles import CycleModel
from pcedge.export.rtl.fitting import lower_for
from pcedge.simulate.rtl import RtlProject

BUILD = Path(__file__).parent.parent / "build/rtl-ladder"

#: circuits of the zoo, and the engine of each; of one the device that it is exported for, where tiles are logic, and
#: the jobs that it has room for there
ENGINES = (
    ("digits", RtlSize(16, 8, 4, 2)), ("digits", RtlSize(4, 2, 2, 1)), ("mnist-16", RtlSize(16, 8, 4, 2)),
    ("mnist-16", RtlSize(64, 16, 16, 2)), ("mnist-850", RtlSize(16, 8, 4, 2)), ("mnist-850", RtlSize(64, 16, 8, 4)),
    ("mnist-600", RtlSize(64, 32, 8, 4, cores=2)), ("mnist-16", RtlSize(64, 14, 16, 2), "ecp5-85k", ("encode",)),
)  # fmt: skip


def records_of(name: str, count: int) -> IntArray:
    """Read test records, of MNIST so many."""
    if name == "digits":
        test = load_data("digits").test
        assert test is not None
    else:
        test = load_array(DATA / "mnist/t10k-images-idx3-ubyte.gz")[:count]
    return test.reshape(len(test), -1).astype(np.int64)


def compared(
    records: IntArray, name: str, size: RtlSize, target: str = RTL, jobs: tuple[str, ...] = BUILT_JOBS
) -> list[list[str]]:
    """Run every job that is built; give a row for each."""
    circuit = load_zoo(name)
    engine = ReferenceEngine(circuit)
    words = f"{size.macs} × {size.streams}, {size.lanes}, {size.table_lanes}"
    words += "" if size.cores == 1 else f"; {size.cores} cores"
    words += "" if target == RTL else f"; {target}"
    folder = BUILD / f"{name}-{size.macs}-{size.streams}-{size.lanes}-{size.table_lanes}-{size.cores}-{target}"
    start = time.perf_counter()
    project = RtlProject(write_rtl(engine.program, folder, size=size, target=target, jobs=jobs))
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.1, -1, records)
    coded = encode_lanes(engine, records, size.streams)
    model = CycleModel(lower_for(engine.program, size, target, jobs))
    rows = []
    with project.device() as device:

        def add(job: str, wrong: int, of: str) -> None:
            counts = [len(records[stream :: size.streams]) for stream in range(size.streams)]
            expected = model.count(job, counts, None if job == "likelihood" else records)
            rows.append(
                [name, words, of, f"{len(records):,}", f"{device.cycles / records.size:.3f}",
                 "equal" if expected == device.cycles else f"{expected / records.size:.3f}", str(wrong)]
            )  # fmt: skip
            print(" | ".join(rows[-1]), f"{time.perf_counter() - start:.0f} s", flush=True)

        for of, values in (("likelihood", records), ("with missing", hidden)) if "likelihood" in jobs else ():
            found, right = np.stack(device.likelihood(values)), np.stack(engine.likelihood(values))
            add("likelihood", int((found != right).any(axis=0).sum()), of)
        lanes = device.encode_lanes(records, size.streams)
        add("encode", sum(a != b for a, b in zip(lanes, coded, strict=True)), "encode")
        if "decode" in jobs:
            add("decode", int((device.decode_lanes(coded, len(records)) != records).any(axis=1).sum()), "decode")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        runs = [
            pool.submit(compared, records_of(name, given.records), name, *of_engine)
            for name, *of_engine in ENGINES if given.only in name
        ]  # fmt: skip
    rows = [row for run in runs for row in run.result()]
    if not given.only:
        head = ["circuit", "macs × streams, lanes, table lanes", "job", "records", "cycles a symbol", "model", "wrong"]
        lines = [
            "Engines in SystemVerilog in Verilator against the reference: every likelihood, byte of a lane and decoded "
            "symbol; *wrong* counts records, of encode lanes. *Model*: whether the cycle model counts the same cycles.",
            "", *table(head, rows),
        ]  # fmt: skip
        write_section("RTL: the ladder", "python benchmarks/rtl_ladder.py", lines)
    if any(row[-1] != "0" for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
