"""What an index costs in bytes, and what it saves: one record of a million against all of them.

`python benchmarks/streams.py` prints the table of docs/results.md. Times are of the processor, on one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pcedge
from pcedge.codec import Decoder, encode
from pcedge.codec.decoder import StreamFile
from pcedge.native import open_engine

RECORDS = 1_000_000
#: records of a segment and S; 0 and None are the choice of pcedge, and no index comes first
CHOICES = ((None, None), (0, None), (1024, 4), (64, 1), (4096, 64))


def seconds(work: Callable[[], Any]) -> float:
    """Measure the processor's time of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure digits, which are repeated, and records drawn from nltcs."""
    titles = ("data", "records of a segment, S", "bytes", "more", "all, s", "one, ms", "one to all")
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    digits = open_engine(pcedge.to_integer(pcedge.load("digits")))
    nltcs = open_engine(pcedge.load("nltcs"))
    drawn = nltcs.sample(20_000, 1).astype(np.uint8)
    for name, engine, x in (
        ("digits", digits, np.resize(pcedge.load_array("digits"), (RECORDS, 8, 8))),
        ("nltcs", nltcs, np.resize(drawn, (RECORDS, drawn.shape[1]))),
    ):
        plain = 0
        for rows, lanes in CHOICES:
            data = encode(engine, x, lanes, index=rows)
            plain = plain or len(data)
            decoder = Decoder.of(engine, StreamFile(data))
            every = seconds(lambda decoder=decoder: [len(block) for block in decoder.blocks()])
            step = 10_101 if rows is not None else 100_001
            some = range(0, RECORDS, step)
            one = seconds(lambda decoder=decoder, some=some: [decoder[i] for i in some]) / len(some)
            chosen = "none" if rows is None else "{}, {}".format(*decoder.file.head.indexed)
            print(
                f"| {name} | {chosen} | {len(data)} | {100 * (len(data) / plain - 1):.2f} % | {every:.1f} | "
                f"{1e3 * one:.1f} | 1/{every / one:.0f} |"
            )


if __name__ == "__main__":
    main()
