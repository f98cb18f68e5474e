"""What a rung's comparison with the reference says, and how differences are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import IntArray, unmasked
from pcedge.circuit.layers import MISSING
from pcedge.codec import packet_rows, packets
from pcedge.codec.packet_rows import UnpackedRows
from pcedge.codec.packets import PacketLayout, Unpacked
from pcedge.drivers.device import Device
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import StreamError
from pcedge.integer.circuit import IntegerCircuit

#: lanes of the streams that are compared
VERIFY_LANES = 8

#: bytes of the packets that are compared, their checksum's bits, and records in them at most: the reference walks a
#: record alone wherever a packet begins
PACKET_BYTES, PACKET_CRC_BITS, PACKET_RECORDS = 64, 16, 16
#: numbers in them at most, of a predictor stage; one row at least
PACKET_NUMBERS = 1000

#: share of symbols hidden for the partial-evidence check
HIDDEN_SHARE = 0.3


@dataclass(frozen=True)
class Comparison:
    """Hold one comparison of a rung with the reference."""

    #: one of `RUNGS` and `MORE_RUNGS`
    rung: str
    #: what was compared
    output: str
    #: records compared, of a predictor stage numbers, or lanes where bytes are compared
    vectors: int
    #: how many of them differ in any bit
    mismatches: int
    #: the first difference, by layer where there is a trace
    first: str | None = None


def hide(records: IntArray, seed: int = 0) -> IntArray:
    """Hide a share of the symbols at random: partial evidence."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(records.shape) < HIDDEN_SHARE, MISSING, records)


def compare_lanes(rung: str, name: str, expected: list[bytes], got: list[bytes]) -> Comparison:
    """Count the lanes whose bytes differ."""
    pairs = list(zip(expected, got, strict=True))
    differs = [lane for lane, (left, right) in enumerate(pairs) if left != right]
    first = f"lane {differs[0]}, byte {_first_byte(*pairs[differs[0]])}" if differs else None
    return Comparison(rung, name, len(expected), len(differs), first)


def compare_records(rung: str, name: str, expected: IntArray, got: IntArray, column: str = "variable") -> Comparison:
    """Count the records, (N, columns), that differ; the first difference names the column."""
    differs = np.argwhere(expected != got)
    first = None
    if differs.size:
        record, place = (int(position) for position in differs[0])
        first = f"record {record}, {column} {place}: expected {expected[record, place]}, got {got[record, place]}"
    return Comparison(rung, name, len(expected), len(np.unique(differs[:, 0])), first)


def compare_packets(
    rung: str,
    name: str,
    reference: ReferenceEngine,
    complete: IntArray,
    encode: Callable[[IntArray, PacketLayout], list[bytes]],
    decode: Callable[[Sequence[bytes], PacketLayout, int], Unpacked],
) -> list[Comparison]:
    """Compare packets of equal size that a rung writes, and what it reads of the reference's, each of them alone.

    Nothing where there are no records.
    """
    if not len(complete):
        return []
    records = complete[:PACKET_RECORDS]
    layout = PacketLayout.of(reference, PACKET_BYTES, len(records), PACKET_CRC_BITS)
    expected, got = packets.encode_packets(reference, records, layout), encode(records, layout)
    out = [_compare_bytes(rung, f"{name}packets = reference bytes", expected, got)]
    # What each says alone, and all together.
    parts = [decode([packet], layout, len(records)).records for packet in expected]
    alone = [packets.decode_packets(reference, [packet], layout, len(records)).records for packet in expected]
    shape = (-1, records.shape[1])
    out.append(
        compare_records(
            rung, f"{name}symbols of each packet alone",
            np.concatenate([*alone, records]).reshape(shape),
            np.concatenate([*parts, decode(expected, layout, len(records)).records]).reshape(shape),
        )
    )  # fmt: skip
    return out


def compare_packet_rows(
    rung: str,
    name: str,
    circuit: IntegerCircuit,
    numbers: IntArray,
    encode: Callable[[IntArray, PacketLayout], list[bytes]],
    decode: Callable[[Sequence[bytes], PacketLayout, int], UnpackedRows],
) -> list[Comparison]:
    """Compare packets of a circuit with a predictor stage, as `compare_packets` does those of records.

    Args:
        rung: its name.
        name: what stands before the name of each comparison.
        circuit: the circuit.
        numbers: centred, (rows, columns); those of the first rows are compared.
        encode: of the rung.
        decode: of the rung.
    """
    reference, rows = ReferenceEngine(circuit), max(1, PACKET_NUMBERS // numbers.shape[1])
    numbers = numbers[:rows]
    layout = packet_rows.layout_rows(circuit, PACKET_BYTES, len(numbers), PACKET_CRC_BITS)
    expected, got = packet_rows.encode_packet_rows(reference, numbers, layout), encode(numbers, layout)
    out = [_compare_bytes(rung, f"{name}rows, packets = reference bytes", expected, got)]
    # One alone, the others together.
    parts = (expected[:1], expected[1:])
    alone = [packet_rows.decode_packet_rows(reference, some, layout, len(numbers)) for some in parts]
    found = [decode(some, layout, len(numbers)) for some in parts]
    left, right = (np.concatenate([_flat(part) for part in each]) for each in (alone, found))
    out.append(compare_records(rung, f"{name}rows, numbers of packets", left, right, "column"))
    return out


def _flat(rows: UnpackedRows) -> IntArray:
    """Lay numbers, which are missing, and which came, side by side."""
    numbers, gone = unmasked(rows.numbers)
    gone = np.zeros(rows.here.shape, dtype=bool) if gone is None else gone
    return np.concatenate([np.where(gone, 0, numbers), gone.astype(np.int64), rows.here.astype(np.int64)], axis=1)


def _compare_bytes(rung: str, name: str, expected: list[bytes], got: list[bytes]) -> Comparison:
    differs = [number for number, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]]
    wrong = len(differs) + abs(len(expected) - len(got))
    first = f"packet {min([*differs, len(expected), len(got)])}" if wrong else None
    return Comparison(rung, name, len(expected), wrong, first)


def _first_byte(expected: bytes, got: bytes) -> int:
    for offset, (left, right) in enumerate(zip(expected, got, strict=False)):
        if left != right:
            return offset
    return min(len(expected), len(got))


def compare_coding(
    engine: ReferenceEngine,
    rung: str,
    prefix: str,
    encode: Callable[[IntArray, int], list[bytes]],
    decode: Callable[[list[bytes], int], IntArray],
    records: IntArray,
) -> list[Comparison]:
    """Compare the bytes that a rung writes, and what each reads of the other's; nothing without complete records."""
    complete = records[(records != MISSING).all(axis=1)]
    if not len(complete):
        return []
    lanes = min(VERIFY_LANES, len(complete))
    reference, coded = encode_lanes(engine, complete, lanes), encode(complete, lanes)
    out = [compare_lanes(rung, f"{prefix}encode = reference bytes (lanes)", reference, coded)]
    name = f"{prefix}decode of reference streams"
    try:
        out.append(compare_records(rung, name, complete, decode(reference, len(complete))))
    except StreamError as error:  # a rung that takes the reference's lanes for damaged restores no record of them
        out.append(Comparison(rung, name, len(complete), len(complete), str(error)))
    if not out[0].mismatches:
        decoded = decode_lanes(engine, coded, len(complete))
        out.append(compare_records(rung, f"reference decode of {prefix}encode streams", complete, decoded))
    return out


def compare_device(rung: str, engine: ReferenceEngine, device: Device, records: IntArray) -> list[Comparison]:
    """Compare what a device computes: likelihoods, also with missing symbols, and lanes both ways."""
    out = []
    for name, data in (("likelihood", records), ("likelihood, partial evidence", hide(records))):
        pairs = zip(engine.likelihood(data), device.likelihood(data), strict=True)
        differs = np.flatnonzero(np.any([left != right for left, right in pairs], axis=0))
        first = f"record {differs[0]}" if len(differs) else None
        out.append(Comparison(rung, name, len(data), len(differs), first))
    return out + compare_coding(engine, rung, "", device.encode_lanes, device.decode_lanes, records)
