"""Code sensor data with defaults only: python benchmarks/sensor.py [--rivals FILE] [--search] [NAME ...].

Circuits are made as `pcedge train --data FILE --out c.pcedge` and `pcedge quantize` make them, without any option, and
code the test rows of the sets of benchmarks/sets.py. What other tools need is measured beside them (baselines.py), or
taken from a file that `python benchmarks/baselines.py --out FILE` wrote. A set or a tool that is not there is left out
with a reason. Named sets only print; without names docs/results.md is written. `--search` instead tries 30 settings
that a user could give, drawn by a seed, and says how far the defaults are from the best of them.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from baselines import sizes
from results import table, write_section
from sets import SETS, load
from telemetry import Missing

from pcedge.cli.sensing import columns_for
from pcedge.codec.stream import decode, encode
from pcedge.data import Splits
from pcedge.data.columns import Array, Columns
from pcedge.engines import ReferenceEngine
from pcedge.evaluate.numbers import row_log_likelihood
from pcedge.export import to_onnx
from pcedge.learn.sensor import fit_sensor
from pcedge.quantize import quantize

COLUMNS = [
    "set", "test numbers", "bits", "stream, bytes", "circuit, bytes", "best other, bytes", "to it", "break-even, MB",
    "impossible", "classes/states", "training, s",
]  # fmt: skip

#: what is no codec
NO_RIVALS = ("raw", "ten taps, entropy")


#: settings that --search tries
SEARCHED = 30


def prepared(name: str) -> tuple[Splits, Array, Columns | None]:
    """Load a set: what is trained on, test rows, and the columns of data that are no plain integers."""
    splits = load(name)
    structs = splits.train.dtype.names is not None
    train, test = (part[:, None] if part.ndim == 1 and not structs else part for part in (splits.train, splits.test))
    data = Splits(train, splits.valid, typed=True)
    return data, test, columns_for(data, (), None)


def search(name: str) -> str:
    """Code the test rows with defaults, and with settings drawn; give a line."""
    data, test, columns = prepared(name)
    generator = np.random.default_rng(0)
    sizes = []
    for number in range(1 + SEARCHED):
        settings: dict[str, int] = {}
        if number:
            records, size = np.exp(generator.uniform(np.log([1e3, 16e3]), np.log([1e9, 256e3]))).astype(int).tolist()
            settings = {"records": records, "size_bytes": size, "seed": int(generator.integers(1 << 16))}
        engine = ReferenceEngine(quantize(fit_sensor(data, source=columns, **settings)[0]))
        sizes.append(len(encode(engine, test)))
        print(f"{name}: {settings or 'defaults'}: {sizes[-1]:,} bytes", flush=True)
    best = min(sizes[1:])
    return f"{name}: defaults {sizes[0]:,} bytes, best of {SEARCHED} {best:,}: {sizes[0] / best - 1:+.2%}"


def run(name: str, rivals: dict[str, int] | None) -> list[str]:
    """Learn, code and compare one set; give a row."""
    data, test, columns = prepared(name)
    start = time.perf_counter()
    circuit, report = fit_sensor(data, source=columns)
    seconds = time.perf_counter() - start
    numbers = test.size if columns is None else len(test) * math.prod(columns.cell_shape)
    model = quantize(circuit)
    size = len(to_onnx(model).SerializeToString(deterministic=True))
    engine = ReferenceEngine(model)
    packed = encode(engine, test)
    back = decode(engine, packed)
    assert back.dtype == test.dtype and back.tobytes() == test.tobytes()
    impossible = int(np.isneginf(row_log_likelihood(model, test)).sum())
    found = {tool: count for tool, count in (rivals or sizes(name, load(name).test)).items() if tool not in NO_RIVALS}
    best = min(found, key=lambda tool: found[tool])
    saved = (found[best] - len(packed)) / test.nbytes
    return [
        name, f"{numbers:,}", f"**{8 * len(packed) / numbers:.4f}**", f"{len(packed):,}", f"{size:,}",
        f"{best} {found[best]:,}", f"{100 * (len(packed) / found[best] - 1):+.1f} %",
        f"{size / saved / 1e6:.2f}" if saved > 0 else "never", str(impossible), f"{report.classes}/{report.states}",
        f"{seconds:.0f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SETS], metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--rivals", type=Path, metavar="FILE", help="what baselines.py --out wrote")
    parser.add_argument("--search", action="store_true", help=f"try {SEARCHED} settings beside the defaults")
    given = parser.parse_args()
    if given.search:
        print("\n".join([search(name) for name in given.names or ("econt", "m13", "eeg", "accelerometer", "fenix")]))
        return
    known = json.loads(given.rivals.read_text(encoding="utf-8")) if given.rivals else {}
    rows, remarks = [], []
    for name in given.names or SETS:
        try:
            rows.append(run(name, known.get(name)))
            print(" | ".join(rows[-1]), flush=True)
        except Missing as reason:
            print(f"{name} is left out: {reason}", flush=True)
            remarks += ["", f"{name} was left out of this run: {reason}."]
    if given.names or not rows:
        return
    lines = [
        "Test rows, coded with defaults only. *bits* is bits a number of the whole stream, header and checksums "
        "counted, decoded to the same array; *circuit* the bytes of its `.onnx`; *best other* the least of what "
        "`python benchmarks/baselines.py` lists; *break-even* the MB of raw data after which the circuit has paid for "
        "itself against it; *impossible* the test rows of integer likelihood 0. Sets and splits are those of "
        "`benchmarks/sets.py`.",
        "",
        *table(COLUMNS, rows),
        *remarks,
    ]
    write_section("Sensor data with a predictor stage", "python benchmarks/sensor.py", lines)


if __name__ == "__main__":
    main()
