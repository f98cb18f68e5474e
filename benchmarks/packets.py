"""What packets of equal size cost, and what is lost: python benchmarks/packets.py [--images N] [--sensors FOLDER].

Of records: the circuit is `mnist-16` of the zoo, the records are test images of MNIST (PCEDGE_DATA names the folder of
the data). With a predictor stage: the sets `ecg` and `shuttle` of benchmarks/sets.py, with circuits that are made as
benchmarks/sensor.py makes them; FOLDER keeps them as NAME.onnx.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from engine import DATA
from numpy.typing import NDArray
from results import table, write_section
from sensor import prepared

from pcedge.arrays import FloatArray, IntArray
from pcedge.codec.packet_rows import UnpackedRows, decode_packet_rows, encode_packet_rows, layout_rows, stage_of
from pcedge.codec.packets import PacketLayout, Unpacked, decode_packets, encode_packets
from pcedge.codec.predicted import map_lanes, token_bounds
from pcedge.data.prediction import Plan, centred, forward
from pcedge.data.readers import load_array
from pcedge.data.tokens import split
from pcedge.export import read_onnx, write_onnx
from pcedge.export.onnx.shipped import load_zoo
from pcedge.integer.circuit import IntegerCircuit
from pcedge.learn.sensor import fit_sensor
from pcedge.native import open_engine
from pcedge.quantize import quantize

SIZES = (64, 128, 256, 512, 1500)
#: what packets of these sizes cost by calculation, in percent
COMPUTED = (8.0, 3.8, 1.9, 0.9, 0.3)
#: the share of packets that is lost, or has a flipped bit
SHARE = 0.01

COLUMNS = [
    "bytes", "packets", "cost", "with CRC-16", "with CRC-32", "packets lost", "symbols lost", "flips noticed, 16", "32",
]  # fmt: skip


def main() -> None:
    """Encode, lose, flip, decode."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="0 leaves them out")
    parser.add_argument("--sensors", type=Path, help="where circuits of sensor data are kept")
    given = parser.parse_args()
    if given.images:
        images(given.images)
    lines = [
        "Test rows of two sets of benchmarks/sets.py, circuits of `pcedge train` without options. *Cost* is what all "
        "full packets need over one lane (S = 1) of the same numbers, tokens and raw bits; *anew* is what of it is for "
        "a stage that begins with nothing known, the cost of as many lanes without any byte of their own.",
        "",
    ]
    for name in ("ecg", "shuttle"):
        lines += sensor(name, given.sensors)
    write_section("Packets with a predictor stage", "python benchmarks/packets.py", lines)


def images(count: int) -> None:
    """Write the table of images."""
    engine = open_engine(load_zoo("mnist-16"))
    records = load_array(str(Path(DATA) / "t10k-images-idx3-ubyte.gz"))[:count].reshape(count, -1).astype(np.int64)
    plain = len(engine.encode_lanes(records, 1)[0])
    lo, hi = engine.intervals(records)
    taken = np.cumsum(engine.circuit.scale_bits - np.log2(hi - lo)) / 8
    rows = []
    for size, computed in zip(SIZES, COMPUTED, strict=True):
        row = measure(
            taken, size,
            lambda size, bits: PacketLayout.of(engine, size, count, bits),
            lambda layout: encode_packets(engine, records, layout),
            lambda sent, layout: _found(decode_packets(engine, sent, layout, count), records),
        )  # fmt: skip
        rows.append([*row[:3], f"{computed} %", *row[3:]])
        print(" | ".join(rows[-1]), flush=True)
    lines = [
        f"{count:,} test images of MNIST and the circuit `mnist-16`. *Cost* is what all full packets need over the one "
        f"lane (S = 1) of the same symbols, {plain:,} bytes for all; places count, checksums in columns of their own.",
        "",
        *table([*COLUMNS[:3], "computed", *COLUMNS[3:]], rows),
    ]  # fmt: skip
    write_section("Packets of equal size", "python benchmarks/packets.py", lines)


def sensor(name: str, folder: Path | None) -> list[str]:
    """Give the table of a set of sensor data."""
    data, test, columns = prepared(name)
    kept = None if folder is None else folder / f"{name}.onnx"
    if kept is not None and kept.is_file():
        circuit = read_onnx(kept)
    else:
        circuit = quantize(fit_sensor(data, source=columns)[0])
        if kept is not None:
            write_onnx(circuit, kept)
    engine = open_engine(circuit)
    stage = stage_of(circuit)
    numbers = centred(stage, stage.cells(test))
    mapped = map_lanes(stage, numbers, 1)
    bounds = token_bounds(circuit)
    first, last = (bounds[mapped.classes, mapped.tokens + more].ravel() for more in (0, 1))
    taken = np.cumsum(circuit.scale_bits - np.log2(last - first) + mapped.sizes.ravel()) / 8
    rows = []
    for size in SIZES:
        row = measure(
            taken, size,
            lambda size, bits: layout_rows(circuit, size, len(numbers), bits),
            lambda layout: encode_packet_rows(engine, numbers, layout),
            lambda sent, layout: _found(decode_packet_rows(engine, sent, layout, len(numbers)), numbers),
        )  # fmt: skip
        layout = layout_rows(circuit, size, len(numbers))
        packets = encode_packet_rows(engine, numbers, layout)
        starts = [int.from_bytes(packet[: layout.place_bytes], "little") >> 1 for packet in packets]
        anew = _anew(circuit, numbers, starts) / taken[starts[-1] - 1] - 1
        rows.append([*row[:3], f"{anew:+.2%}", *row[3:]])
        print(name, " | ".join(rows[-1]), flush=True)
    of = f"`{name}`: {numbers.size:,} numbers, {8 * taken[-1] / numbers.size:.2f} bits each in one lane of "
    of += f"{taken[-1]:,.0f} bytes, {mapped.sizes.sum() / 8:,.0f} of which are raw bits."
    return [of, "", *table([*COLUMNS[:3], "anew", *COLUMNS[3:]], rows), ""]


def _anew(circuit: IntegerCircuit, numbers: IntArray, starts: list[int]) -> float:
    """Compute the bytes of tokens and raw bits where the stage begins anew at every start, but for the last part."""
    stage, bounds, bits = stage_of(circuit), token_bounds(circuit), 0.0
    for start, stop in itertools.pairwise(starts):
        row, skipped = divmod(start, stage.columns)
        block = numbers[row : -(-stop // stage.columns)][None]
        classes, residuals = forward(stage, block, skipped)
        tokens, _, sizes = split(Plan(stage, 0), classes, residuals)
        own = slice(skipped, skipped + stop - start)
        first, last = (bounds[classes.ravel()[own], tokens.ravel()[own] + more] for more in (0, 1))
        bits += float((circuit.scale_bits - np.log2(last - first) + sizes.ravel()[own]).sum())
    return bits / 8


def _found(back: Unpacked | UnpackedRows, sent: IntArray) -> tuple[NDArray[np.bool_], int]:
    """Demand that what came is what was sent; give what came, and how many packets are damaged."""
    found = back.records if isinstance(back, Unpacked) else back.numbers
    assert (found[back.here] == sent[back.here]).all()
    return back.here, len(back.damaged)


def measure(
    taken: FloatArray,
    size: int,
    layout_of: Callable[[int, int], PacketLayout],
    encode: Callable[[PacketLayout], list[bytes]],
    decode: Callable[[list[bytes], PacketLayout], tuple[NDArray[np.bool_], int]],
) -> list[str]:
    """Give a row: what packets cost over `taken`, bytes of one lane up to each symbol, and what is lost."""
    rng = np.random.default_rng(size)
    packets = {}
    for bits in (0, 16, 32):
        # What a checksum takes comes on top, so that all hold the same.
        layout = layout_of(size + bits // 8, bits)
        packets[bits] = layout, encode(layout)
    layout, sent = packets[0]
    assert decode(sent, layout)[0].all()
    # The last packet is not full: what the others hold is compared with the bytes of the same symbols in one lane.
    alone = taken[(int.from_bytes(sent[-1][: layout.place_bytes], "little") >> 1) - 1]
    count = len(sent)
    layout, sent = packets[32]
    # One packet at least.
    gone = np.isin(np.arange(count), rng.choice(count, max(1, round(SHARE * count)), replace=False))
    here, _ = decode([p for p, is_gone in zip(sent, gone, strict=True) if not is_gone], layout)
    noticed = []
    for bits in (16, 32):
        layout, sent = packets[bits]
        flipped = [bytearray(packet) for packet in sent]
        for number in np.flatnonzero(gone):
            bit = int(rng.integers(8 * layout.size))
            flipped[number][bit // 8] ^= 1 << bit % 8
        found, damaged = decode([bytes(packet) for packet in flipped], layout)
        assert (found == here).all()
        noticed.append(f"{damaged} of {int(gone.sum())}")
    return [
        str(size), str(count), *(f"{(count - 1) * (size + more) / alone - 1:+.2%}" for more in (0, 2, 4)),
        f"{gone.mean():.2%}", f"{1 - here.mean():.2%}", *noticed,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
