"""Reading of circuits by what a file holds, not by its name."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pcedge.circuit import Circuit, load_circuit
from pcedge.codec import archive
from pcedge.codec.container import MAGIC, Segment, parse
from pcedge.codec.decoder import StreamFile
from pcedge.codec.fields import Field
from pcedge.codec.packet_stream import layout_of
from pcedge.codec.packets import is_whole
from pcedge.codec.registry import name_circuit
from pcedge.errors import FormatError, UsageError
from pcedge.export.onnx.shipped import is_shipped, load_zoo
from pcedge.files import is_safetensors
from pcedge.integer import IntegerCircuit
from pcedge.schedule import serialised

#: what files that are no circuit begin with, and what they are
OTHERS = {b"\x93NUMPY": "a .npy file of data", MAGIC: "a stream", archive.MAGIC: "an archive"}

#: segments of a stream that are shown to people
SHOWN = 4


def describe_stream(path: str) -> dict[str, Any] | None:
    """Describe a compressed stream; None for any other file."""
    if is_shipped(path):
        return None
    with open(path, "rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            return None
    with contextlib.closing(StreamFile(path)) as file:
        return _stream(file)


def _stream(file: StreamFile) -> dict[str, Any]:
    """Describe a stream, all of whose checksums are computed.

    Raises:
        StreamError: the header, the index or a segment is damaged. Packets may be, which are told.
    """
    head, size = file.head, len(file.data)
    segments: list[tuple[int, Segment]] = []
    packets: dict[str, Any] = {}
    if head.packet_bytes is None:
        segments = [(entry.bytes, file.read(number, entry)) for number, entry in enumerate(file.entries())]
    else:
        parsed, layout = parse(file.data[:]), layout_of(head)
        # A symbolizer's records have other places than the data; the circuit says which.
        places = 1 << (8 * layout.place_bytes)
        packets = {
            "packets": len(parsed.packets), "packet_bytes": layout.size, "packet_crc": layout.crc_bits,
            "damaged_packets": [n for n, packet in enumerate(parsed.packets) if not is_whole(packet, layout, places)],
        }  # fmt: skip
    return packets | {
        "kind": "stream",
        "version": head.version,
        "digest": head.digest.hex(),
        "dtype": str(head.dtype),
        "shape": list(head.shape),
        "segments": len(segments),
        "lanes": max((len(segment.lanes) for _, segment in segments), default=0),
        "bytes": size,
        "payload_bytes": sum(segment.payload_bytes for _, segment in segments)
        + packets.get("packets", 0) * packets.get("packet_bytes", 0),
        "fields": [kind for kind, _ in head.fields],
        # A stream that names no source is such a file, and comes back as one (docs/stream.md).
        "source": dict(head.fields).get(Field.SOURCE, b"npy").decode("ascii", "backslashreplace") or None,
        "index": None if head.indexed is None else head.indexed[0],
        "stored": sum(segment.stored is not None for _, segment in segments),
        "segment_list": [
            {
                "number": number, "records": segment.records, "bytes": count, "lanes": len(segment.lanes),
                "stored": segment.stored is not None,
            }
            for number, (count, segment) in enumerate(segments)
        ],
    } | ({"given": list(head.given)} if head.given else {})  # fmt: skip


def describe_archive(path: str) -> dict[str, Any] | None:
    """Describe an archive; None for any other file."""
    if is_shipped(path):
        return None
    with open(path, "rb") as file:
        if file.read(len(archive.MAGIC)) != archive.MAGIC:
            return None
    held = archive.unpack(Path(path).read_bytes(), path)
    stream = _stream(StreamFile(held.stream))
    return {
        "kind": "archive",
        "digest": held.program.circuit.digest.hex(),
        "dtype": stream["dtype"],
        "shape": stream["shape"],
        "bytes": held.circuit_bytes + len(held.stream),
        "circuit_bytes": held.circuit_bytes,
        "stream_bytes": len(held.stream),
    } | {key: stream[key] for key in stream if "packet" in key}


def segments_in_words(segments: list[dict[str, Any]]) -> str:
    """Write the first segments of a stream for people."""
    texts = [
        f"{s['records']} records, {s['bytes']} bytes, " + ("stored" if s["stored"] else f"{s['lanes']} lanes")
        for s in segments[:SHOWN]
    ]
    more = f"; … ({len(segments)} segments)" if len(segments) > SHOWN else ""
    return "; ".join(texts) + more if texts else "none"


def is_program_file(path: str) -> bool:
    """Tell a program file, which numpy alone reads, from an ONNX file."""
    if is_shipped(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(serialised.MAGIC)) == serialised.MAGIC


def is_float_file(path: str) -> bool:
    """Tell a float circuit (safetensors: eight bytes of length, then JSON) from an ONNX file."""
    if is_shipped(path):
        return path == "digits"
    with open(path, "rb") as file:
        return is_safetensors(file.read(9))


def read_float(path: str, why: str = "") -> Circuit:
    """Read a float circuit; refuse an integer one by name, and say why."""
    if not is_float_file(path):  # the name digits is the float circuit wherever one will do
        raise UsageError(f"{path} must be a float circuit (.pcedge), it is none{why}")
    return load_circuit(path)


def read_integer(path: str) -> IntegerCircuit:
    """Read an integer circuit; refuse a float one by name.

    Whoever looks for a circuit by its digest, as the filter of HDF5 does, then finds it.
    """
    circuit = _read_integer(path)
    name_circuit(circuit)
    return circuit


def _read_integer(path: str) -> IntegerCircuit:
    if is_shipped(path):
        return load_zoo(path)
    if is_float_file(path):
        raise UsageError(f"{path} must be an integer circuit (.onnx), it is a float one: run pcedge quantize first")
    if is_program_file(path):
        return serialised.read_program(path).circuit
    with open(path, "rb") as file:
        start = file.read(max(map(len, OTHERS)))
    found = "empty" if not start else next((kind for magic, kind in OTHERS.items() if start.startswith(magic)), None)
    if found is not None:
        raise FormatError("onnx-container", f"{path} must be a circuit (.onnx, .pcp, .pcedge), it is {found}")
    from pcedge.export import read_onnx

    return read_onnx(path)
