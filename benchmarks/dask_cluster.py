"""Write and read 500 MB of images through a Dask cluster of two workers: python benchmarks/dask_cluster.py [--mb N].

Chunks of 10,000 images, drawn from the circuit mnist-16 and shuffled chunk by chunk, are stored by zarr with the codec
`pcedge.pce`; workers are processes that find the circuit by its digest in a folder. What is read is compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from results import table, write_section

from pcedge.codec.registry import ENVIRONMENT, keep_circuit
from pcedge.codec.zarr_codec import PceCodec
from pcedge.export import load_zoo
from pcedge.native import open_engine

CIRCUIT, RECORDS, WORKERS = "mnist-16", 10_000, 2


def chunk(base: Any, block_info: Any = None) -> Any:
    """Give the images of a chunk."""
    number = block_info[None]["chunk-location"][0]
    return base[np.random.default_rng(number).permutation(len(base))]


def seconds(pids: list[int]) -> float:
    """Sum the CPU time of the workers."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def run(megabytes: int, folder: Path) -> list[list[str]]:
    """Write and read; give rows of the table."""
    import dask.array as da
    import zarr
    from distributed import Client, LocalCluster

    circuit = load_zoo(CIRCUIT)
    os.environ[ENVIRONMENT] = str(folder)
    keep_circuit(circuit)
    base = open_engine(circuit).sample(RECORDS, 1).astype(np.uint8)
    chunks = -(-megabytes * 1_000_000 // base.nbytes)
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        held = client.scatter(base, broadcast=True)
        x = da.map_blocks(chunk, held, chunks=((RECORDS,) * chunks, base.shape[1:]), dtype=base.dtype, meta=base[:0])
        store = zarr.create_array(
            folder / "x.zarr", shape=x.shape, chunks=base.shape, dtype=x.dtype, serializer=PceCodec(circuit),
            compressors=None,
        )  # fmt: skip
        rows = []

        def timed(what: str, work: Any) -> Any:
            before, begin = seconds(pids), time.perf_counter()
            given = work()
            wall, cpu = time.perf_counter() - begin, seconds(pids) - before
            size = x.nbytes / 1e6
            rows.append([what, f"{size:,.0f}", f"{wall:.1f}", f"{size / wall:.1f}", f"{cpu:.1f}", f"{size / cpu:.1f}"])
            return given

        timed("write", lambda: da.store(x, store, lock=False))
        kept = da.from_zarr(store)
        timed("read", lambda: kept.sum().compute())
        equal = timed("read and compare", lambda: (kept == x).all().compute())
        if not equal:
            raise AssertionError("the array must come back, it does not")
        stored = sum(path.stat().st_size for path in (folder / "x.zarr").rglob("*") if path.is_file())
        rows.append(["stored", f"{stored / 1e6:,.1f}", "", "", "", ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mb", type=int, default=500, help="raw data; another number than 500 only prints")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = run(given.mb, Path(name))
    lines = [
        f"{WORKERS} workers, each a process of one thread, beside other work; chunks of {RECORDS:,} images of the "
        f"circuit `{CIRCUIT}`, 7.84 MB each. MB of raw data; CPU of the workers, with making the data (write) and "
        "making them again (compare). All of it came back equal.",
        "",
        *table(["job", "MB", "seconds", "MB/s", "CPU, s", "MB a CPU second"], rows),
    ]
    print("\n".join(lines))
    if given.mb == 500:
        write_section("Dask", "python benchmarks/dask_cluster.py", lines)


if __name__ == "__main__":
    main()
