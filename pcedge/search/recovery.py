"""Which part of a loss by rounding a refinement leaves, tried out on a few records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.arrays import IntArray
from pcedge.engines import ReferenceEngine
from pcedge.quantize import RefineConfig, quantize, refine
from pcedge.search.candidates import Candidate, Choices

#: train records, and passes over them
RECORDS, PASSES = 2048, 8

#: the least that a refinement is believed to leave
LEAST = 0.1


def remaining(
    choices: Choices, start: Candidate, train: IntArray, settings: RefineConfig, records: IntArray
) -> float:  # fmt: skip
    """Refine with the mean W of a candidate, and with the greatest widths, briefly; compare the losses.

    Few records teach a circuit less than it knew. What the greatest widths lose by it is taken off, and leaves are held
    near their tables, as all of the train records would hold them.

    Args:
        choices: the choices.
        start: a candidate of about the widths that are to be chosen.
        train: records to refine on, of which some are taken.
        settings: what the refinement will be told.
        records: records to measure on, which the circuit was not trained on.

    Returns:
        The loss after the refinement, divided by that before: LEAST to 1.
    """
    passes = min(PASSES, settings.passes)
    few = RECORDS if settings.records is None else min(RECORDS, settings.records)
    short = replace(
        settings, passes=passes, gradual=passes // 2, records=few, anchor=max(settings.anchor, float(len(train)))
    )
    widest = replace(choices.whole, state_bits=start.state_bits)
    # One W for all: mixed ones may lose so little that the difference is noise.
    mean = sum(start.weight_bits) // max(1, len(start.weight_bits))
    rounded = replace(widest, weight_bits=(mean,) * len(start.weight_bits))

    def refined(candidate: Candidate) -> float:
        config = choices.config(candidate)
        fitted = refine(choices.circuit(candidate.tables), train, config, short)
        integers = quantize(fitted, config, order=choices.plain.order)
        lo, hi = ReferenceEngine(integers).intervals(records)
        return integers.scale_bits - float(np.log2(hi - lo).mean())

    before = choices.bits(rounded, records) - choices.bits(widest, records)
    if before <= 0:
        return 1.0
    return min(max((refined(rounded) - refined(widest)) / before, LEAST), 1.0)
