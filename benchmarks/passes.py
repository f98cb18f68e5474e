"""Measure compression passes against controls: python benchmarks/passes.py [CIRCUIT ...]; --table writes the page.

Circuits: digits, nltcs, psdd, ecg, mnist-16, mnist-32; those of MNIST are read from --circuits, where
`benchmarks/learning.py mnist-16 mnist-32 --out DIR` put them. Data: PCEDGE_DATA (default ../shared/data). Figures go to
passes.json as they are measured, and a job that is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "passes.json"

#: shares of the circuit's weights that are aimed at
SHARES = (0.75, 0.5, 0.25)


def jobs_of(names: list[str], seeds: int) -> list[Any]:
    """List all measurements, those of large circuits first."""
    from passes_jobs import CHAINS, CONTROLS, MULTIPLES, SETS, Job

    found = []
    for name in sorted(names, key=lambda name: not name.startswith("mnist")):
        targets = [("kbit", float(value)) for value in SETS[name].kbit] + [("weights", share) for share in SHARES]
        merges = name != "psdd"
        for seed in range(seeds):
            found.append(Job(name, "weights", 1.0, "no pass", seed))
            if name != "psdd":
                found.append(Job(name, "weights", 1.0, "fold", seed))
            for unit, value in reversed(targets):
                chains = [c for c in CHAINS if merges or not ("merge" in c or "sparsify" in c)]
                if name.startswith("mnist"):
                    chains = (
                        ["fold,merge,fold", "merge", "prune:states,fold", "prune:edges", "sparsify"]
                        if name == "mnist-16"
                        else ["fold,merge,fold"]
                    )
                found += [Job(name, unit, value, chain, seed) for chain in chains]
                if merges:
                    found += [Job(name, unit, value, chain, seed, 4) for chain in MULTIPLES]
                if SETS[name].learn is not None:
                    found += [Job(name, unit, value, c, seed) for c in CONTROLS[:2]]
    # One seed of everything first: a run that is cut short has whole rows.
    return sorted(found, key=lambda job: job.seed)


def _work(job: Any, folder: Path, kept: Path, device: str) -> dict[str, Any]:
    import torch
    from passes_jobs import run

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        return run(job, folder, kept, device)
    except Exception as error:  # a pass that does not apply is a row too
        return {"error": f"{type(error).__name__}: {error}"}


def measure(
    names: list[str], seeds: int, folder: Path, workers: int, limit: float, figures: Path, device: str
) -> None:  # fmt: skip
    """Run all jobs that have no figures yet, and write each as it comes."""
    from passes_jobs import base_of

    known = json.loads(figures.read_text()) if figures.exists() else {}
    start, kept = time.monotonic(), Path(tempfile.mkdtemp())
    waiting = [job for job in jobs_of(names, seeds) if job.key not in known]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(
            pool.map(
                base_of, *zip(*[(name, seed, folder, kept) for name in names for seed in range(seeds)], strict=True)
            )
        )
        running = {pool.submit(_work, job, folder, kept, device): job for job in waiting}
        try:
            for done in as_completed(running, timeout=max(1.0, limit - (time.monotonic() - start))):
                known[running[done].key] = done.result()
                figures.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                print(f"{time.monotonic() - start:.0f} s", running[done].key, json.dumps(done.result()), flush=True)
        except TimeoutError:
            print("the time is up; the same command goes on", flush=True)
            for process in list(pool._processes.values()):
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CIRCUIT")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--circuits", type=Path, default=Path(), help="folder of the float circuits of MNIST")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which no more is measured")
    parser.add_argument("--device", default="cpu", help="where circuits are trained, such as cuda")
    parser.add_argument("--figures", type=Path, default=FIGURES)
    parser.add_argument("--table", action="store_true", help="write the figures to docs/passes.md")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.names:
        measure(given.names, given.seeds, given.circuits, given.workers, given.limit, given.figures, given.device)
    if given.table:
        from passes_page import write_page

        write_page(json.loads(given.figures.read_text()))


if __name__ == "__main__":
    main()
