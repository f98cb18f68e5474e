"""Archives: what comes back, without any other file, and every error."""

from __future__ import annotations

import lzma
import random
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.series import series, series_circuit
from helpers.streams import numbered, small_circuit
from numpy.testing import assert_array_equal

from pcedge.codec import decode, encode
from pcedge.codec.archive import pack, pack_circuit, unpack
from pcedge.codec.container import varint
from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, PcedgeError, StreamError
from pcedge.export import write_onnx
from pcedge.quantize import quantize
from pcedge.schedule.serialised import to_bytes

CIRCUIT = small_circuit()
DATA = numbered(37, (2, 2, 4)).astype(np.uint8)
STREAM = encode(ReferenceEngine(CIRCUIT), DATA)
GOOD = pack(CIRCUIT, STREAM)


def test_an_archive_holds_both() -> None:
    held = unpack(GOOD)
    assert held.stream == STREAM and held.program.circuit.digest == CIRCUIT.digest
    assert_array_equal(decode(ReferenceEngine(held.program), held.stream), DATA)
    assert GOOD == pack_circuit(CIRCUIT) + STREAM and held.circuit_bytes == len(GOOD) - len(STREAM)
    windowed = quantize(series_circuit())
    held = unpack(pack(windowed, encode(ReferenceEngine(windowed), series(37))))
    assert_array_equal(decode(ReferenceEngine(held.program), held.stream), series(37))


def forged(size: int, packed: bytes, length: int | None = None) -> bytes:
    head = b"\x8ePCZ\x01" + varint(size) + varint(len(packed) if length is None else length) + packed
    return head + zlib.crc32(head).to_bytes(4, "little") + STREAM


def test_errors() -> None:
    program = to_bytes(CIRCUIT)
    packed = lzma.compress(program)
    assert unpack(forged(len(program), packed)).stream == STREAM
    nothing_more = f"the circuit of the archive must be {len(program)} bytes packed by xz, and nothing more, it is not"
    bomb = lzma.compress(bytes(1 << 24))
    for data, text in (
        (b"PK\3\4", "the archive must start with 8e50435a, got 504b0304"),
        (GOOD[:4] + b"\2" + GOOD[5:], "the archive must be of version 1, got 2"),
        (GOOD[:40], "circuit must have "),
        (GOOD[:60] + b"\0\0\0\0" + GOOD[64:], "the checksum of circuit must be "),
        (forged(len(program), packed + b"\0\0\0\0"), nothing_more),
        (forged(len(program), packed[:-1]), nothing_more),
        (forged(len(program) + 1, packed), nothing_more.replace(str(len(program)), str(len(program) + 1))),
        (forged(len(program), bomb), nothing_more),
        (forged(len(program), b"abc" * 9), "the circuit of the archive must be packed by xz, it is not: "),
        (
            forged(1 << 40, packed),
            "the circuit of the archive must need at most 67108864 bytes of memory for a file of",
        ),
        (forged(len(program), packed, 1 << 40), "circuit must have 1099511627776 bytes, "),
        (GOOD[: -len(STREAM)], "magic must have 4 bytes, 0 are left: truncated stream"),
    ):
        with pytest.raises(StreamError) as caught:
            unpack(data)
        assert str(caught.value).startswith(text), str(caught.value)
    with pytest.raises(FormatError):
        unpack(forged(5, lzma.compress(b"abcde")))
    other = quantize(series_circuit())
    with pytest.raises(StreamError, match=r"^the stream must be of the circuit beside it, "):
        pack(other, STREAM)
    with pytest.raises(StreamError, match=r"^the stream must be of the circuit beside it, "):
        unpack(pack_circuit(other) + STREAM)


def test_no_more_is_unpacked_than_the_size() -> None:
    packed = lzma.compress(bytes(1 << 26))
    tracemalloc.start()
    with pytest.raises(StreamError, match=r"^the circuit of the archive must be 100 bytes packed by xz"):
        unpack(forged(100, packed))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24


def test_damage_is_found() -> None:
    seed = 3
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(300):
        data = bytearray(GOOD)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(PcedgeError):
            decode(ReferenceEngine(unpack(bytes(data)).program), unpack(bytes(data)).stream)


def test_commands(tmp_path: Path) -> None:
    write_onnx(CIRCUIT, tmp_path / "m.onnx")
    x = np.resize(np.random.default_rng(0).permutation(DATA), (5000, 3))
    x = np.random.default_rng(1).permutation(x)
    np.save(tmp_path / "x.npy", x)
    said = as_json("pack", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pcz")
    size = (tmp_path / "x.pcz").stat().st_size
    assert said["bytes"] == size == said["circuit_bytes"] + said["stream_bytes"] and said["records"] == 5000
    assert said["circuit_bytes"] == len(pack_circuit(CIRCUIT)) and said["verified_records"] == 5000
    assert said["xz_bytes"] == len(lzma.compress(x.tobytes(), preset=6))
    saved = (said["xz_bytes"] - said["stream_bytes"]) / 5000
    assert said["break_even_records"] == np.ceil(said["circuit_bytes"] / saved) if saved > 0 else True
    assert said["pays"] == (size < said["xz_bytes"])
    (tmp_path / "m.onnx").unlink()
    told = as_json("unpack", tmp_path / "x.pcz", tmp_path / "y.npy")
    assert (told["records"], told["digest"], told["format"]) == (5000, CIRCUIT.digest.hex(), "npy")
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()
    told = as_json("info", tmp_path / "x.pcz")
    assert (told["kind"], told["bytes"], told["circuit_bytes"]) == ("archive", size, said["circuit_bytes"])
    (tmp_path / "x.pcz").write_bytes(GOOD[:-1])
    assert as_json("unpack", tmp_path / "x.pcz", tmp_path / "y.npy", status=1)["error"] == "StreamError"
    write_onnx(CIRCUIT, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", DATA[:1])
    result = run("pack", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pcz")
    assert "xz of the data 60: smaller from " in result.stderr and ", these are 1" in result.stderr
    # A file that comes back byte for byte is packed as it stands.
    text = "".join(f"{a},{b},{c}\n" for a, b, c in x.tolist()).encode()
    (tmp_path / "x.csv").write_bytes(text)
    assert as_json("pack", tmp_path / "m.onnx", tmp_path / "x.csv", tmp_path / "x.pcz")["xz_bytes"] == len(
        lzma.compress(text, preset=6)
    )
