"""What a stream without its given variables takes, beside the conditional bits of the others and the whole stream.

`python benchmarks/given.py` prints the table of docs/results.md. Streams have one lane, whose end is all that they have
more than these bits, beside their headers.
"""

from __future__ import annotations

import numpy as np

import pcedge
from pcedge.codec import decode, encode
from pcedge.codec.container import parse
from pcedge.native import open_engine


def main() -> None:
    """Measure the shipped digits, and records drawn from nltcs."""
    titles = ("data", "given", "conditional bits / 8", "payload", "stream", "without --given")
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    nltcs = open_engine(pcedge.load("nltcs"))
    for name, engine, x in (
        ("nltcs", nltcs, nltcs.sample(3236, 1).astype(np.uint8)),
        ("digits", open_engine(pcedge.to_integer(pcedge.load("digits"))), pcedge.load_array("digits")),
    ):
        order, records = engine.circuit.order, x.reshape(len(x), -1)
        choices = {"first in order": order[:1], "first 4": order[:4], "last 4": order[-4:]}
        for words, some in (choices | {"half": range(len(order) // 2)}).items():
            given = engine.with_given(some)
            lo, hi = given.intervals(records)
            bits = float((engine.circuit.scale_bits - np.log2((hi - lo)[:, given.program.coded])).sum())
            stream = encode(given, x, 1)
            assert np.array_equal(decode(engine, stream, given=x), x)
            print(
                f"| {name}, {len(x)} | {words} | {bits / 8:.1f} | {parse(stream).payload_bytes} | {len(stream)} | "
                f"{len(encode(engine, x, 1))} |"
            )


if __name__ == "__main__":
    main()
