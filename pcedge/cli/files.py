"""Reading of circuits by what a file holds, not by its name."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pcedge.circuit import Circuit, load_circuit
from pcedge.codec import archive
from pcedge.codec.container import MAGIC, Reader, parse, read_head
from pcedge.codec.decoder import StreamFile
from pcedge.codec.fields import Field
from pcedge.errors import UsageError
from pcedge.export import zoo
from pcedge.integer import IntegerCircuit
from pcedge.schedule import serialised

#: segments of a stream that are shown to people
SHOWN = 4


def is_zoo_name(path: str) -> bool:
    """Tell whether a path is the name of a shipped circuit; a file of that name goes first."""
    return path in zoo() and not Path(path).is_file()


def describe_stream(path: str) -> dict[str, Any] | None:
    """Describe a compressed stream; None for any other file."""
    if is_zoo_name(path):
        return None
    with open(path, "rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            return None
    packets: dict[str, Any] = {}
    with contextlib.closing(StreamFile(path)) as file:
        head, size = file.head, len(file.data)
        if head.packet_bytes is None:
            segments = [(entry.bytes, file.read(number, entry)) for number, entry in enumerate(file.entries())]
        else:
            segments = []
            packets = {"packets": len(parse(file.data[:]).packets), "packet_bytes": head.packet_bytes}
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
        "given": list(head.given),
        "index": None if head.indexed is None else head.indexed[0],
        "stored": sum(segment.stored is not None for _, segment in segments),
        "segment_list": [
            {
                "number": number, "records": segment.records, "bytes": count, "lanes": len(segment.lanes),
                "stored": segment.stored is not None,
            }
            for number, (count, segment) in enumerate(segments)
        ],
    }  # fmt: skip


def describe_archive(path: str) -> dict[str, Any] | None:
    """Describe an archive; None for any other file."""
    if is_zoo_name(path):
        return None
    with open(path, "rb") as file:
        if file.read(len(archive.MAGIC)) != archive.MAGIC:
            return None
    held = archive.unpack(Path(path).read_bytes(), path)
    head = read_head(Reader(held.stream))
    return {
        "kind": "archive",
        "digest": held.program.circuit.digest.hex(),
        "dtype": str(head.dtype),
        "shape": list(head.shape),
        "bytes": held.circuit_bytes + len(held.stream),
        "circuit_bytes": held.circuit_bytes,
        "stream_bytes": len(held.stream),
    }


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
    if is_zoo_name(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(serialised.MAGIC)) == serialised.MAGIC


def is_float_file(path: str) -> bool:
    """Tell a float circuit (safetensors: eight bytes of length, then JSON) from an ONNX file."""
    if is_zoo_name(path):
        return path == "digits"
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def read_float(path: str, why: str = "") -> Circuit:
    """Read a float circuit; refuse an integer one by name, and say why."""
    if not is_float_file(path):  # the name digits is the float circuit wherever one will do
        raise UsageError(f"{path} must be a float circuit (.pcedge), it is none{why}")
    return load_circuit(path)


def read_integer(path: str) -> IntegerCircuit:
    """Read an integer circuit; refuse a float one by name."""
    if is_zoo_name(path):
        from pcedge.export import load_zoo

        return load_zoo(path)
    if is_float_file(path):
        raise UsageError(f"{path} must be an integer circuit (.onnx), it is a float one: run pcedge quantize first")
    if is_program_file(path):
        return serialised.read_program(path).circuit
    from pcedge.export import read_onnx

    return read_onnx(path)
