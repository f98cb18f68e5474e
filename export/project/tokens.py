"""The intervals of a predictor stage's tokens as C++: contexts of the classes and tables, `pcedge_tokens.hpp`."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import IntArray
from pcedge.data.predictor import Predictor
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.project.stage import Tables
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Interval


def token_code(circuit: IntegerCircuit) -> tuple[str, int]:
    """Write `pcedge_tokens.hpp`; give it, and the bits of its tables."""
    context, table = token_contexts(circuit)
    tables, signals = Tables(), circuit.widths.signals()
    tables.add("context", context.ravel().tolist())
    tables.add("table", table.ravel().tolist())
    constants = {
        "int state_bits": circuit.state_bits, "int leaf_bits": circuit.leaf_bits, "int scale_bits": circuit.scale_bits,
        "int range_bits": circuit.range_bits, "int context_sum_bits": signals["context_sum"],
        "int weighted_bits": signals["context_sum"] + circuit.leaf_bits, "unsigned floor": circuit.floor,
        "unsigned units": context.shape[1], "unsigned tokens": len(table) - 1,
    }  # fmt: skip
    lines = [f"  static constexpr {name} = {value};\n" for name, value in constants.items()]
    body = "".join([*lines, *tables.lines])
    return _HEADER.format(digest=circuit.digest.hex(), body=body), sum(tables.bits.values())


def token_contexts(circuit: IntegerCircuit) -> tuple[IntArray, IntArray]:
    """Give what a token's interval is made of.

    Returns:
        For every class the context of the token that the code schedule leaves, (classes, units), and the cumulative
        entries of all units, (tokens + 1, units).
    """
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor) and circuit.order.index(0) < circuit.order.index(1)
    engine = ReferenceEngine(Program.of(circuit).with_given((0,)))
    symbols = np.zeros((2, len(stage.classes)), dtype=np.int64)
    symbols[0] = np.arange(len(stage.classes))
    found: dict[int, tuple[int, IntArray]] = {}

    def code(step: Interval, context: IntArray) -> IntArray:
        found[step.variable] = step.layer, context.copy()
        drawn: IntArray = symbols[step.variable]
        return drawn

    engine.replay(engine.program.code, symbols.copy(), code)
    layer, context = found[1]
    return context.T, engine.table(layer).T


_HEADER = """\
// The intervals of one circuit's tokens: widths, sizes and tables. Generated; the circuit is in model.onnx.
// digest {digest}
#ifndef PCEDGE_TOKENS_HPP
#define PCEDGE_TOKENS_HPP

#include "pcedge_stage.hpp"

struct pcedge_tokens {{
  using integers = pcedge_stage::integers;
{body}}};

#endif
"""
