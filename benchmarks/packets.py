"""What packets of equal size cost, and what is lost: python benchmarks/packets.py [--images N].

The circuit is `mnist-16` of the zoo, the records are test images of MNIST (PCEDGE_DATA names the folder of the data).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from engine import DATA
from results import table, write_section

from pcedge.codec.packets import PacketLayout, decode_packets, encode_packets
from pcedge.data.readers import load_array
from pcedge.export.onnx.shipped import load_zoo
from pcedge.native import open_engine

SIZES = (64, 128, 256, 512, 1500)
#: what packets of these sizes cost by calculation, in percent
COMPUTED = (8.0, 3.8, 1.9, 0.9, 0.3)
#: the share of packets that is lost, or has a flipped bit
SHARE = 0.01


def main() -> None:
    """Encode, lose, flip, decode."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    count = parser.parse_args().images
    engine = open_engine(load_zoo("mnist-16"))
    images = load_array(str(Path(DATA) / "t10k-images-idx3-ubyte.gz"))[:count].reshape(count, -1).astype(np.int64)
    plain = len(engine.encode_lanes(images, 1)[0])
    lo, hi = engine.intervals(images)
    taken = np.cumsum(engine.circuit.scale_bits - np.log2(hi - lo)) / 8
    rng = np.random.default_rng(0)
    rows = []
    for size, computed in zip(SIZES, COMPUTED, strict=True):
        packets = {}
        for bits in (0, 16, 32):
            # What a checksum takes comes on top, so that all hold the same.
            layout = PacketLayout.of(engine, size + bits // 8, count, bits)
            packets[bits] = layout, encode_packets(engine, images, layout)
        layout, sent = packets[0]
        back = decode_packets(engine, sent, layout, count)
        assert (back.records == images).all()
        # The last packet is not full: what the others hold is compared with the bytes of the same symbols in one lane.
        symbols = int.from_bytes(sent[-1][: layout.place_bytes], "little") >> 1
        alone = taken[symbols - 1]
        layout, sent = packets[32]
        gone = rng.random(len(sent)) < SHARE
        lost = decode_packets(engine, [p for p, is_gone in zip(sent, gone, strict=True) if not is_gone], layout, count)
        noticed = []
        for bits in (16, 32):
            layout, sent = packets[bits]
            flipped = [bytearray(packet) for packet in sent]
            for number in np.flatnonzero(gone):
                bit = int(rng.integers(8 * layout.size))
                flipped[number][bit // 8] ^= 1 << bit % 8
            found = decode_packets(engine, [bytes(packet) for packet in flipped], layout, count)
            assert (found.records == np.where(lost.here, images, -1)).all()
            noticed.append(f"{len(found.damaged)} of {int(gone.sum())}")
        rows.append([
            str(size), str(len(packets[0][1])), f"{(len(sent) - 1) * size / alone - 1:+.2%}", f"{computed} %",
            *(f"{(len(packets[0][1]) - 1) * (size + more) / alone - 1:+.2%}" for more in (2, 4)),
            f"{gone.mean():.2%}", f"{1 - lost.here.mean():.2%}", *noticed,
        ])  # fmt: skip
        print(" | ".join(rows[-1]), flush=True)
    lines = [
        f"{count:,} test images of MNIST and the circuit `mnist-16`. *Cost* is what all full packets need over the one "
        f"lane (S = 1) of the same symbols, {plain:,} bytes for all; places count, checksums in columns of their own.",
        "",
        *table(
            ["bytes", "packets", "cost", "computed", "with CRC-16", "with CRC-32", "packets lost", "symbols lost",
             "flips noticed, 16", "32"], rows,
        ),
    ]  # fmt: skip
    write_section("Packets of equal size", "python benchmarks/packets.py", lines)


if __name__ == "__main__":
    main()
