"""The jobs of the test program of a circuit in C99, and what they give."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.codec.packets import PacketLayout
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.queries import classify
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError
from pcedge.export.c99.text import number_bytes, record_bytes, row_size

#: the jobs of bench.c, by their numbers
ENCODE, DECODE, LIKELIHOOD, SCORE, SYMBOLS, NUMBERS, PACK, UNPACK, CLASSIFY = range(9)

#: what the compiler is told where packets are wanted
WITH_PACKETS = "-DPCEDGE_WITH_PACKETS"

#: what it is told where classes are wanted, and nothing else
ONLY_CLASSES = ("-DPCEDGE_WITH_CLASSIFY", "-DPCEDGE_ONLY_LIKELIHOOD")

#: jobs by name, each with what it gives
Expected = dict[str, tuple["Job", bytes]]


@dataclass(frozen=True)
class Job:
    """Hold a job for the test program: its kind, how many records, and what it reads."""

    kind: int
    count: int
    data: bytes


@dataclass(frozen=True)
class Lane:
    """Hold the jobs that write and read a lane, and what they give."""

    encode: Job
    decode: Job
    encoded: bytes
    decoded: bytes


def reading(count: int, *parts: bytes) -> Job:
    """Make the job that decodes so many records or rows from a lane, and the raw bits of rows."""
    return Job(DECODE, count, b"".join(struct.pack("<I", len(part)) + part for part in parts))


def record_lane(kind: str, lane: bytes, records: IntArray, given: Sequence[int] = ()) -> Lane:
    """Make the jobs that encode records (N, variables) of symbols of a type into one lane, and decode it.

    Variables that are given are told to the decoder.
    """
    data, read = record_bytes(kind, records), reading(len(records), lane)
    if given:
        known = np.zeros_like(records)
        known[:, given] = records[:, given]
        read = replace(read, data=read.data + record_bytes(kind, known))
    return Lane(Job(ENCODE, len(records), data), read, lane, data)


def row_lane(lane: bytes, raw: bytes, rows: bytes, count: int) -> Lane:
    """Make the jobs of a lane of so many rows of a circuit with a predictor stage.

    Args:
        lane: bytes of the tokens.
        raw: bytes of the raw bits.
        rows: as `row_bytes` writes them.
        count: how many rows.
    """
    encoded = lane + raw + struct.pack("<I", len(raw))
    return Lane(Job(ENCODE, count, rows), reading(count, lane, raw), encoded, rows)


def mapping(kind: str, symbolizer: Symbolizer, rows: NDArray[Any]) -> Expected:
    """Make the jobs that map rows of numbers to symbols of a type and back."""
    records, numbers = record_bytes(kind, symbolizer.apply(rows).astype(np.int64)), number_bytes(symbolizer, rows)
    return {
        "symbols": (Job(SYMBOLS, len(rows), numbers), records), "numbers": (Job(NUMBERS, len(rows), records), numbers),
    }  # fmt: skip


def stage_mapping(kind: str, lane: Lane, records: IntArray) -> Expected:
    """Make the job that gives classes and tokens of the rows of a lane."""
    return {"symbols": (replace(lane.encode, kind=SYMBOLS), record_bytes(kind, records))}


def packet_jobs(
    kind: str, records: IntArray, order: Sequence[int], packets: Sequence[bytes], layout: PacketLayout
) -> Expected:
    """Make the jobs that fill packets, and read each of them.

    Args:
        kind: type of a symbol.
        records: all that the packets hold, (N, variables), none missing.
        order: the coding order.
        packets: those of a reference.
        layout: of the packets.
    """
    heads = [int.from_bytes(packet[: layout.place_bytes], "little") for packet in packets]
    ends = [*(head >> 1 for head in heads[1:]), records.size]
    jobs: Expected = {}
    filled, coded = b"", records[:, order].ravel()
    for number, (packet, head, end) in enumerate(zip(packets, heads, ends, strict=True)):
        first, rule = head >> 1, head & 1
        payload = packet[layout.place_bytes :][: layout.payload]
        filled += payload + struct.pack("<II", end - first, rule)
        row, last = first // len(order), (end - 1) // len(order) + 1
        flat = np.full(coded.size, MISSING)
        flat[first:end] = coded[first:end]
        read = np.empty((last - row, len(order)), dtype=np.int64)
        read[:, order] = flat.reshape(records.shape)[row:last]
        data = struct.pack("<III", first % len(order), rule, layout.payload) + payload
        jobs[f"packet {number}"] = Job(UNPACK, len(read), data), record_bytes(kind, read)
    data = struct.pack("<I", layout.payload) + record_bytes(kind, records)
    return {"packets": (Job(PACK, len(records), data), filled), **jobs}


def class_job(engine: ReferenceEngine, kind: str, records: IntArray, variable: int) -> tuple[Job, bytes]:
    """Make the job that finds the class of records (N, variables), -1 is missing, and what it gives.

    Args:
        engine: the reference.
        kind: type of a symbol.
        records: the records.
        variable: the class.
    """
    data = struct.pack("<I", variable) + record_bytes(kind, records)
    codes = np.frombuffer(record_bytes(kind, classify(engine, records, variable)), dtype=kind.removesuffix("_t"))
    return Job(CLASSIFY, len(records), data), codes.astype("<u4").tobytes()


def golden_jobs(engine: ReferenceEngine, kind: str, records: IntArray, golden: Path, lane: bytes) -> Expected:
    """Make the jobs of a project's golden files.

    Args:
        engine: the reference.
        kind: type of a symbol.
        records: the golden records.
        golden: the folder.
        lane: the golden lane.

    Raises:
        FormatError: the golden rows are others than the circuit's.
    """
    symbolizer = engine.circuit.symbolizer
    mapped: Expected = {}
    if isinstance(symbolizer, Predictor):
        rows, raw = (golden / "rows.bin").read_bytes(), (golden / "raw.bin").read_bytes()
        count = _rows_of(golden, rows, row_size(symbolizer))
        if count * symbolizer.columns != len(records):
            raise FormatError(
                "project-golden",
                f"{golden} must hold rows of {len(records)} numbers, got {count} of {symbolizer.columns}",
            )
        coded = row_lane(lane, raw, rows, count)
        mapped = stage_mapping(kind, coded, records)
    else:
        coded = record_lane(kind, lane, records, engine.program.given)
    if isinstance(symbolizer, Symbolizer):
        data = (golden / "rows.bin").read_bytes()
        dtype = np.dtype(symbolizer.dtype).newbyteorder("<")
        _rows_of(golden, data, dtype.itemsize * math.prod(symbolizer.shape))
        rows_given = np.frombuffer(data, dtype).reshape(-1, *symbolizer.shape)
        mapped = mapping(kind, symbolizer, rows_given.astype(symbolizer.dtype))
    weights = record_bytes(kind, records)
    likelihood, score = weighed(engine, records)
    return {
        "encode": (coded.encode, coded.encoded), "decode": (coded.decode, coded.decoded), **mapped,
        "likelihood": (Job(LIKELIHOOD, len(records), weights), likelihood),
        "score": (Job(SCORE, len(records), weights), score),
    }  # fmt: skip


def _rows_of(golden: Path, data: bytes, size: int) -> int:
    """Count golden rows."""
    count, rest = divmod(len(data), size)
    if rest or not count:
        raise FormatError("project-golden", f"{golden}/rows.bin must hold rows of {size} bytes, got {len(data)} bytes")
    return count


def weighed(engine: ReferenceEngine, records: IntArray) -> tuple[bytes, bytes]:
    """Give the reference's likelihoods and scores, as the test program writes them, scores without padding."""
    mantissa, exponent = engine.likelihood(records)
    score = arithmetic.score(mantissa, exponent, engine.circuit.state_bits)
    pairs = np.stack([mantissa, exponent], axis=1)
    return pairs.astype("<i4").tobytes(), score.astype("<u4").tobytes()


def scores_of(data: bytes) -> bytes:
    """Take the scores out of a result of `SCORE`."""
    pairs: NDArray[np.uint32] = np.frombuffer(data, dtype="<u4").reshape(-1, 2)
    return pairs[:, 0].tobytes()
