"""Which part of a loss by rounding a refinement leaves, tried out on a few records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.circuit.layers import IntArray
from pcedge.coder import Engine
from pcedge.quantize import RefineConfig, quantize, refine
from pcedge.verify.candidates import Candidate, Choices, Remains

#: train records, and passes over them
RECORDS, PASSES = 4096, 4

#: the least and the most that a refinement is believed to leave
LEAST, MOST = 0.1, 1.0


def remaining(
    choices: Choices, start: Candidate, train: IntArray, settings: RefineConfig, records: IntArray
) -> Remains:  # fmt: skip
    """Refine the rounded weights of a candidate, its shared tables, and neither, briefly; compare their losses.

    Few records teach a circuit less than it knew. Its loss with the greatest widths and leaf tables of its own says how
    much less; what the others lose beyond it is what rounding and sharing cost after a refinement.

    Args:
        choices: the choices.
        start: a candidate of about the widths that are to be chosen.
        train: records to refine on, of which some are taken.
        settings: what the refinement will be told.
        records: records to measure on, which the circuit was not trained on.
    """
    passes = min(PASSES, settings.passes)
    few = min(RECORDS, RECORDS if settings.records is None else settings.records)
    short = replace(settings, passes=passes, gradual=passes // 2, records=few)
    whole = replace(choices.whole, state_bits=start.state_bits)

    def losses(candidate: Candidate) -> tuple[float, float]:
        config = choices.config(candidate)
        fitted = refine(choices.circuit(candidate.tables), train, config, short)
        integers = quantize(fitted, config, order=choices.plain.order)
        lo, hi = Engine(integers).intervals(records)
        return choices.bits(candidate, records), integers.scale_bits - float(np.log2(hi - lo).mean())

    before, after = losses(whole)

    def part(candidate: Candidate) -> float:
        if candidate == whole:
            return 1.0
        rounded, refined = losses(candidate)
        if rounded <= before:
            return 1.0
        return min(max((refined - after) / (rounded - before), LEAST), MOST)

    weights = part(replace(whole, weight_bits=start.weight_bits))
    return Remains(weights, part(replace(whole, tables=start.tables)))
