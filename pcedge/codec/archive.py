"""Archives: a circuit and a stream in one file, which needs no other to be unpacked (docs/stream.md)."""

from __future__ import annotations

import lzma
import zlib
from typing import NamedTuple

from pcedge.codec.container import MAGIC as STREAM
from pcedge.codec.container import Reader, read_head, varint
from pcedge.errors import StreamError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.limits import check_bytes
from pcedge.schedule.program import Program
from pcedge.schedule.serialised import from_bytes, to_bytes

MAGIC = b"\x8ePCZ"
VERSION = 1

#: memory that unpacking may take beside what it gives: the dictionary of xz's largest preset, and more
_XZ_MEMORY = 1 << 27


class Archive(NamedTuple):
    """Hold what an archive holds."""

    program: Program
    stream: bytes
    #: bytes of the circuit, packed
    circuit_bytes: int


def pack_circuit(source: IntegerCircuit | Program) -> bytes:
    """Write what an archive has before its stream: the circuit's program file, packed by xz.

    Raises:
        FormatError: a number of the circuit does not fit the file's 32 bits.
    """
    program = to_bytes(source)
    packed = lzma.compress(program, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    head = MAGIC + bytes([VERSION]) + varint(len(program)) + varint(len(packed)) + packed
    return head + zlib.crc32(head).to_bytes(4, "little")


def pack(source: IntegerCircuit | Program, stream: bytes) -> bytes:
    """Put a circuit and a stream of it into one file.

    Raises:
        FormatError: a number of the circuit does not fit the file's 32 bits.
        StreamError: the stream is damaged at its beginning, or of another circuit.

    Example:
        >>> import numpy as np
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.codec import decode, encode
        >>> from pcedge.engines import ReferenceEngine
        >>> from pcedge.quantize import quantize
        >>> circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> archive = unpack(pack(circuit, encode(ReferenceEngine(circuit), [[1], [0]])))
        >>> decode(ReferenceEngine(archive.program), archive.stream).tolist()
        [[1], [0]]
    """
    program = Program.of(source)
    _check_digest(program, stream)
    return pack_circuit(program) + stream


def unpack(data: bytes, where: str = "the archive") -> Archive:
    """Take an archive apart.

    Args:
        data: its bytes.
        where: how messages call it.

    Raises:
        StreamError: it is none, is damaged, or claims more memory than its bytes allow; or its stream is of another
            circuit.
        FormatError: its circuit breaks the format of program files.
    """
    reader = Reader(data)
    if reader.take(len(MAGIC), "magic") != MAGIC:
        hint = ", as a stream: pcedge decode takes it, with its circuit" if data.startswith(STREAM) else ""
        raise StreamError(f"{where} must start with {MAGIC.hex()}, got {data[: len(MAGIC)].hex()}{hint}")
    version = reader.take(1, "version")[0]
    if version != VERSION:
        raise StreamError(f"{where} must be of version {VERSION}, got {version}")
    size, packed_size = reader.varint("circuit"), reader.varint("circuit")
    # Before any of it is taken: what is unpacked, and what its reader then needs at least.
    check_bytes("program", size, packed_size, f"the circuit of {where}", StreamError)
    packed = reader.take(packed_size, "circuit")
    reader.check("circuit", 0)
    program = from_bytes(_inflate(packed, size, where), f"the circuit of {where}")
    stream = data[reader.offset :]
    _check_digest(program, stream)
    return Archive(program, stream, reader.offset)


def _inflate(packed: bytes, size: int, where: str) -> bytes:
    """Unpack so many bytes, and no more than one beyond them."""
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        data = unpacker.decompress(packed, size + 1)
    except lzma.LZMAError as error:
        raise StreamError(f"the circuit of {where} must be packed by xz, it is not: {error}") from error
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise StreamError(f"the circuit of {where} must be {size} bytes packed by xz, and nothing more, it is not")
    return data


def _check_digest(program: Program, stream: bytes) -> None:
    head = read_head(Reader(stream))
    ours = program.circuit.digest[: len(head.digest)]
    if head.digest != ours:
        raise StreamError(f"the stream must be of the circuit beside it, {ours.hex()}, it is of {head.digest.hex()}")
