"""The rung `native`: the native engine with every instruction set that the machine has, against the reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.circuit.layers import MISSING
from pcedge.codec import packet_rows, packets
from pcedge.codec.predicted import encode_rows, lane_rows, token_bounds
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import StreamError
from pcedge.native import NativeEngine, instruction_sets
from pcedge.native.library import library
from pcedge.verify.comparison import (
    VERIFY_LANES,
    Comparison,
    compare_lanes,
    compare_packet_rows,
    compare_packets,
    compare_records,
    hide,
)

#: records that are sampled, at most: the reference decodes them one by one
SAMPLES = 64


def compare_native(
    reference: ReferenceEngine, records: IntArray, cells: NDArray[Any] | None = None
) -> list[Comparison]:
    """Compare likelihoods, marginals, intervals, bytes of lanes, decoded records and samples.

    Args:
        reference: the numpy engine of the circuit.
        records: int64 of shape (N, variables), -1 is missing; lanes are compared on those without.
        cells: rows of numbers of a circuit with a predictor stage (`Predictor.cells`), coded to lanes too.

    Raises:
        MissingToolError: there is no library.
        DataError: the rows do not fit.
    """
    library()
    alone = np.full_like(records, MISSING)
    rows, variables = np.arange(len(records)), np.arange(len(records)) % records.shape[1]
    alone[rows, variables] = records[rows, variables]
    hidden = hide(records)
    vectors = {
        "likelihood": (records, reference.likelihood(records)),
        "likelihood, partial evidence": (hidden, reference.likelihood(hidden)),
        "marginals of single variables": (alone, reference.likelihood(alone)),
        "intervals lo, hi": (records, reference.intervals(records)),
        "intervals lo, hi, partial evidence": (hidden, reference.intervals(hidden)),
    }
    complete = records[(records != MISSING).all(axis=1)]
    lanes = min(VERIFY_LANES, len(complete))
    coded = reference.encode_lanes(complete, lanes) if lanes else []
    samples = reference.sample(min(SAMPLES, len(records)))
    stage = None if cells is None else _stage(reference, cells)
    out = []
    for isa in instruction_sets():
        engine = NativeEngine(reference.program, isa)
        for name, (data, expected) in vectors.items():
            got = engine.intervals(data) if name.startswith("intervals") else engine.likelihood(data)
            out.append(_pairs(f"{isa}: {name}", expected, got))
        if lanes:
            found = engine.encode_lanes(complete, lanes)
            out.append(compare_lanes("native", f"{isa}: encode = reference bytes (lanes)", coded, found))
            out.append(_decoded(engine, f"{isa}: decode of reference streams", coded, complete))
            code = partial(packets.encode_packets, engine), partial(packets.decode_packets, engine)
            out += compare_packets("native", f"{isa}: ", reference, complete, *code)
        out.append(compare_records("native", f"{isa}: samples", samples, engine.sample(len(samples))))
        if stage is not None:
            out += _rows(engine, isa, *stage)
            out += compare_packet_rows(
                "native", f"{isa}: ", reference.circuit, stage[0],
                partial(packet_rows.encode_packet_rows, engine), partial(packet_rows.decode_packet_rows, engine),
            )  # fmt: skip
    return out


def _decoded(engine: NativeEngine, name: str, coded: list[bytes], complete: IntArray) -> Comparison:
    try:
        return compare_records("native", name, complete, engine.decode_lanes(coded, len(complete)))
    except StreamError as error:
        return Comparison("native", name, len(complete), len(complete), str(error))


def _pairs(name: str, expected: tuple[IntArray, IntArray], got: tuple[IntArray, IntArray]) -> Comparison:
    """Compare mantissas and exponents, or both ends of intervals: they are laid side by side."""
    left, right = (np.stack(pair, axis=-1).reshape(len(pair[0]), -1) for pair in (expected, got))
    return compare_records("native", name, left, right, "output")


def _stage(reference: ReferenceEngine, cells: NDArray[Any]) -> tuple[IntArray, list[bytes], list[bytes]]:
    predictor = reference.circuit.symbolizer
    assert isinstance(predictor, Predictor)
    numbers = centred(predictor, cells)
    return numbers, *encode_rows(reference.circuit, numbers, min(VERIFY_LANES, len(numbers)))


def _rows(engine: NativeEngine, isa: str, numbers: IntArray, coded: list[bytes], raw: list[bytes]) -> list[Comparison]:
    """Compare lanes of numbers with a predictor stage; a number that is missing is not compared."""
    tokens, bits = encode_rows(engine, numbers, len(coded))
    flat, gone = unmasked(numbers)
    out = [
        compare_lanes("native", f"{isa}: rows, bytes of tokens (lanes)", coded, tokens),
        compare_lanes("native", f"{isa}: rows, raw bits (lanes)", raw, bits),
    ]
    decoded = engine.decode_rows(coded, raw, lane_rows(len(flat), len(coded)), token_bounds(engine.circuit))
    name = f"{isa}: rows, decoded numbers"
    if decoded is None:
        return [*out, Comparison("native", name, len(flat), len(flat), "bytes of the reference are refused")]
    found, absent = decoded
    if gone is not None:
        marks, name_of_marks = gone.astype(np.int64), f"{isa}: rows, missing numbers"
        out.append(compare_records("native", name_of_marks, marks, absent.astype(np.int64), "column"))
        flat, found = np.where(gone, 0, flat), np.where(gone, 0, found)
    return [*out, compare_records("native", name, flat, found, "column")]
