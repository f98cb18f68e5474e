"""Prove the arithmetic (docs/proofs.md): for every state, interval and context, not for drawn ones.

`python -m benchmarks.prove` runs the functions of `pcedge/arithmetic.py`, the range coder over lanes and the C of the
native engine on symbolic integers; it needs the extra `proof`. It ends with 1 if something is false.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.proofs import LEAF_BITS, STATE_BITS, bit_lengths, coder, intervals, normalise, reciprocals
from benchmarks.proofs_c import kernel_coder, kernel_intervals, kernel_reciprocals
from benchmarks.symbolic import Outcome, Path, Refuted, explore
from pcedge.arithmetic import EXACT_BITS

#: P of the two coders; B is 2 P
SCALES = (24, 16)

#: widths of a context's sum: 16 units, and the widest that still fits 53 bits with L
SUM_BITS = (20, EXACT_BITS - LEAF_BITS)


def prove(name: str, run: Callable[[Path], None], seconds: float, limit: float) -> Outcome | None:
    """Prove in a process of its own, for the solver may go on beyond the time that it was given; None: it was stopped.

    Raises:
        Refuted: a claim is false.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(explore, (name, run, seconds)).get(limit)
        except multiprocessing.TimeoutError:
            return None


def quick() -> dict[str, Callable[[Path], None]]:
    """Give what takes seconds."""
    return {"bit length": bit_lengths, "reciprocal": reciprocals, "reciprocal in C": kernel_reciprocals}


def all_proofs() -> dict[str, Callable[[Path], None]]:
    """Give all proofs by name."""
    found = quick()
    for revive, keep in ((False, False), (True, False), (False, True)):
        kind = "tails" if keep else "revived" if revive else "plain"
        bits = STATE_BITS + 12
        found[f"normalise {bits} to {STATE_BITS} bits, {kind}"] = partial(
            normalise, accumulated_bits=bits, revive=revive, keep=keep
        )
    for scale_bits in SCALES:
        name = f"P {scale_bits}"
        found[f"{name}: one symbol encoded and decoded"] = partial(coder, scale_bits=scale_bits)
        found[f"{name}: the coder in C"] = partial(kernel_coder, scale_bits=scale_bits)
        for sum_bits in SUM_BITS:
            sums = f"{name}, contexts' sums of {sum_bits} bits"
            found[f"{sums}: intervals"] = partial(intervals, scale_bits=scale_bits, sum_bits=sum_bits)
            found[f"{sums}: intervals in C"] = partial(kernel_intervals, scale_bits=scale_bits, sum_bits=sum_bits)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="what the solver may take for one claim")
    parser.add_argument("--limit", type=float, default=600, help="what one proof may take in all")
    parser.add_argument("--only", default="", help="a part of the names of the proofs to run")
    arguments = parser.parse_args()
    chosen = {name: run for name, run in all_proofs().items() if arguments.only in name}
    undecided = 0
    for name, run in chosen.items():
        try:
            outcome = prove(name, run, arguments.seconds, arguments.limit)
        except Refuted as error:
            print(f"refuted: {error}", file=sys.stderr)
            return 1
        if outcome is None:
            undecided += 1
            print(f"{name}: stopped after {arguments.limit:g} s", flush=True)
            continue
        undecided += bool(outcome.open)
        left = f"; not decided: {', '.join(sorted(set(outcome.open)))}" if outcome.open else ""
        print(f"{name}: {outcome.claims} claims on {outcome.paths} paths in {outcome.seconds:.0f} s{left}", flush=True)
    print(f"{len(chosen)} proofs, {undecided} of them not decided in full")
    return 0


if __name__ == "__main__":
    sys.exit(main())
