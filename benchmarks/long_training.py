"""Train on many records with default options: python benchmarks/long_training.py [--records N] [--kind int16|uint8].

Sensor-like records are made from a seed: a resonance of each record's own, in noise whose size comes and goes, as int16
or, coarser, as uint8. `--times 10` looks at ten times as many numbers for a predictor
stage, and takes as many more steps of its mixtures; `--steps` says the M-steps on uint8.
Figures: seconds, CPU seconds, and bits a value of new records of the same kind.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data import Splits
from pcedge.learn import LearnConfig, evaluate, fit, sensor
from pcedge.learn.config import by_default

#: variables of a record
LENGTH = 128

#: records that are scored
TEST = 2000


def make(records: int, kind: str = "int16", seed: int = 0) -> NDArray[Any]:
    """Make records of `LENGTH` samples: a damped resonance driven by noise, a slow drift, the sensor's noise."""
    generator = np.random.default_rng(seed)
    pole = 0.97 * np.exp(1j * np.pi * generator.uniform(0.02, 0.2, records))
    first, second = 2 * pole.real, np.abs(pole) ** 2
    loud = np.exp(generator.normal(3.0, 0.8, records))
    drift = generator.normal(0, 300, records)
    burst = np.where(generator.random((LENGTH, records)) < 0.02, 6.0, 1.0)
    out = np.empty((records, LENGTH))
    before, last = np.zeros(records), np.zeros(records)
    for place in range(-64, LENGTH):
        drive = loud * generator.standard_normal(records)
        if place >= 0:
            drive *= burst[place]
        before, last = last, first * last - second * before + drive
        drift = 0.995 * drift + generator.normal(0, 15, records)
        if place >= 0:
            out[:, place] = last + drift + 2 * generator.standard_normal(records)
    if kind == "uint8":
        return np.clip(np.rint(out / 16) + 128, 0, 255).astype(np.uint8)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def measured(data: Splits, config: LearnConfig, times: int) -> dict[str, Any]:
    """Train as `pcedge train` does by default, and score the test rows."""
    assert data.test is not None
    begun, used = time.perf_counter(), time.process_time()
    if data.train.dtype == np.int16:
        from pcedge.evaluate.numbers import row_log_likelihood

        for name in ("SEEN", "JUDGED", "GROWN", "SHORT"):
            setattr(sensor, name, times * getattr(sensor, name))
        circuit, found = sensor.fit_sensor(data)
        took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - used}
        logs = row_log_likelihood(circuit, data.test)
        took |= {"circuit_bytes": found.circuit_bytes, "valid_bits": found.valid_bits}
    else:
        seen: list[tuple[int, int, float, float]] = []
        circuit = fit(data, config, progress=lambda *step: seen.append(step))
        took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - used}
        took |= {"steps": seen[-1][0], "parameters": circuit.parameters}
        logs = evaluate(circuit, data.test)
    return took | {"test_bits": float(-logs.sum() / math.log(2) / data.test.size)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=150_000)
    parser.add_argument("--kind", choices=["int16", "uint8"], default="int16")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--steps", type=int, help="M-steps at most, of uint8")
    parser.add_argument("--save", help="only write the records to a .npy file")
    options = parser.parse_args()
    x = make(options.records + TEST, options.kind)
    if options.save:
        np.save(options.save, x[: options.records])
        return
    steps = {} if options.steps is None else {"iterations": options.steps}
    config = LearnConfig(**by_default(options.records) | steps)
    print(json.dumps(measured(Splits(x[: options.records], None, x[options.records :]), config, options.times)))


if __name__ == "__main__":
    main()
