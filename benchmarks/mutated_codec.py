"""Mutated program files, streams of a predictor stage, streams of packets, and archives, read by both engines."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import numpy as np

import pcedge
from benchmarks.mutated import DATA, Case, Parser, damage_one, resealed
from benchmarks.mutated_arrays import described
from benchmarks.mutated_circuits import TRIED, in_rows, integers, records_of
from benchmarks.mutated_streams import DisagreementError, Streams, agreed, damaged_segment, engines_of
from benchmarks.mutations import damage
from pcedge.codec import encode
from pcedge.codec.archive import MAGIC, VERSION, Archive, pack, unpack
from pcedge.codec.container import DIGEST_BYTES, Reader, Stream, parse, read_head, varint
from pcedge.codec.fields import Field
from pcedge.codec.packet_stream import Received, decode_packet_stream, encode_packet_stream, layout_of
from pcedge.codec.packets import CRC_BITS, PacketLayout, _checksum, decode_packets
from pcedge.codec.segments import encode_segments
from pcedge.codec.stream import decode
from pcedge.engines import Engine, ReferenceEngine
from pcedge.errors import FormatError, StreamError
from pcedge.integer import IntegerCircuit
from pcedge.limits import Bound, MemoryBudget
from pcedge.schedule import Program
from pcedge.schedule.serialised import _circuit, _parse, from_bytes, to_bytes
from pcedge.schedule.serialised import pack as pack_sections

GOLDEN = DATA.parent / "golden"
#: what a number of a section may become
NUMBERS = (0, 1, 2, 3, 8, 63, 64, 255, 256, 65535, 65536, 2**24, 2**31 - 1, -1, -2, -(2**31))
#: lanes that an accepted program's engines are compared in
LANES = 3
#: packets that are compared one by one, at most
MOST_PACKETS = 40
#: memory for xz beside what the program and the stream may take (SECURITY.md)
XZ_MEMORY = 1 << 27


def engines_fault(program: Program) -> str | None:
    """Say where the engines differ on records of a program that somebody else wrote."""
    records = records_of(program.circuit.cardinalities, TRIED)
    asked = np.where(np.random.default_rng(2).random(records.shape) < 0.3, -1, records)
    engines = engines_of(program)
    coded = [engine.encode_lanes(records, LANES) for engine in engines]
    if any(lanes != coded[0] for lanes in coded):
        return "engines must encode to the same bytes"
    for engine in engines:
        if not np.array_equal(engine.decode_lanes(coded[0], len(records)), records):
            return f"what {type(engine).__name__} decodes must be what was encoded"
        for name in ("likelihood", "intervals"):
            wanted, found = getattr(engines[0], name)(asked), getattr(engine, name)(asked)
            if not all(map(np.array_equal, wanted, found)):
                return f"the {name} of {type(engine).__name__} must be that of the reference"
    return None


def damage_program(data: bytes, dice: Random) -> tuple[bytes, bool]:
    """Change numbers of a program file's sections, and make its checksum anew.

    Returns:
        The file, and whether digest and steps are made anew too: it is then what a writer gives for another circuit.
    """
    sections: dict[str, Any] = {name: values.astype(np.int64) for name, values in _parse(data, "p").items()}
    for _ in range(dice.choice((1, 1, 2, 3))):
        name = dice.choice([name for name, values in sections.items() if values.size])
        sections[name] = _changed(sections[name], dice)
    if dice.random() < 0.6:
        return resealed(lambda: _rewritten(sections, len(data)), data), True
    return resealed(lambda: pack_sections(data[8:40], sections), data), False


def _changed(values: np.ndarray, dice: Random) -> np.ndarray:
    values, kind = values.copy(), dice.randrange(8)
    one, two = dice.randrange(values.size), dice.randrange(values.size)
    if kind == 0:
        values[one] = dice.choice(NUMBERS)
    elif kind == 1:
        values[[one, two]] = values[[two, one]]
    elif kind < 5:  # what one gains another loses: sums of weights stay
        step, two = dice.choice((1, 1, int(values[one]) // 2)), min(values.size - 1, one + dice.choice((1, 1, 2, 7)))
        values[one] -= step
        values[two] += step
    elif kind == 5:
        values = values[: dice.randrange(values.size)]
    elif kind == 6:
        values = np.concatenate([values[:one], values[two : two + dice.randrange(1, 9)], values[one:]])
    else:
        values[one] += dice.choice((-1, 1))
    return values


def _rewritten(sections: dict[str, Any], size: int) -> bytes:
    """Write the circuit that sections hold, as its own writer would."""
    budget = MemoryBudget("program", size, "p", lambda message: FormatError("program-size", message))
    return to_bytes(_circuit(sections, budget))


class ProgramFile(Parser):
    """Read program files (`.pcp`); those of other circuits, too, mean the same to every engine."""

    name = "program"

    def make(self) -> list[Case]:
        """Write every form, with tails and without."""
        circuits = [*integers(), replace(integers()[0], tails=False), *in_rows(integers())]
        return [Case({"p.pcp": data}, 0) for data in dict.fromkeys(map(to_bytes, circuits))]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or numbers of the sections."""
        source = dice.choice(self.whole)
        if dice.random() < 0.3:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        data, _ = damage_program(source.files["p.pcp"], dice)
        return Case({"p.pcp": data}, source.source)

    def read(self, case: Case) -> Program:
        """Read it."""
        return from_bytes((self.place_of_files / "p.pcp").read_bytes())

    def content(self, case: Case, found: Program) -> bytes:
        """Take the digest, which hashes all that a circuit means."""
        return found.circuit.likelihood_digest

    def fault(self, case: Case, found: Program) -> str | None:
        """Compare the engines."""
        return engines_fault(found)


class PredictedStreams(Streams):
    """Decode streams of numbers, with a predictor stage."""

    name, bound_name = "predicted", "stream"

    def make(self) -> list[Case]:
        """Encode numbers in few lanes and many, with an index, and such as no model expects."""
        circuit = pcedge.load(GOLDEN / "stream_predicted.onnx")
        self.engines = [engines_of(circuit)]
        dice = np.random.default_rng(0)
        calm = dice.integers(-40, 41, (60, 2)).cumsum(axis=0).astype(np.int16)
        wild = dice.integers(-(2**15), 2**15, (9, 2)).astype(np.int16)
        engine = self.engines[0][0]
        made = [encode(engine, calm, lanes) for lanes in (None, 1, 3)] + [encode(engine, calm, 2, index=16)]
        made += [encode(engine, wild, 1, stored=False), encode(engine, calm[:0]), encode(engine, calm.astype(">i4"), 2)]
        return [Case({"x.pce": data}, 0, options=0) for data in made]

    def fault(self, case: Case, found: np.ndarray) -> str | None:
        """Encode it again, in the segments and lanes that it came in."""
        engine, stream, first = self.engines[0][0], parse(case.files["x.pce"]), 0
        segments = []
        for segment in stream.segments:
            part = found[first : first + segment.records]
            first += segment.records
            if segment.stored is not None:
                segments.append(replace(segment, stored=part.tobytes()))
            else:
                segments += encode_segments(engine, part, segment.records, len(segment.lanes), stored=False)
        same = replace(stream, segments=tuple(segments)).pack() == case.files["x.pce"]
        return None if same else "a stream must be what its data are encoded to, these are two forms of them"


def _data_of(circuit: IntegerCircuit, count: int) -> np.ndarray:
    """Draw data that a circuit codes, with its symbolizer where it has one."""
    symbolizer = circuit.symbolizer
    if symbolizer is None:
        return records_of(circuit.cardinalities, count).astype("u1")
    return np.random.default_rng(0).integers(0, 8, (count, *symbolizer.shape)).astype(symbolizer.dtype)


class Packets(Parser):
    """Decode streams of packets: damage under a checksum loses its packets, and nothing else."""

    name, bound_name = "packets", "stream"

    def make(self) -> list[Case]:
        """Encode data with every circuit, in packets of few bytes and many, with each checksum."""
        self.engines = [engines_of(circuit) for circuit in integers()]
        made = []
        for number, (engine, *_) in enumerate(self.engines):
            data = _data_of(engine.circuit, 14)
            least = engine.circuit.scale_bits // 8 + 2
            for crc, size in ((0, 0), (16, 1), (32, 6)):
                packed = encode_packet_stream(engine, data, least + crc // 8 + size, crc)
                made.append(Case({"x.pce": packed}, 0, options=number))
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or packets and the header of the parsed stream, whose checksums are made anew."""
        source = dice.choice(self.whole)
        stream = parse(source.files["x.pce"])
        layout = layout_of(stream)
        # Packets know no stream: those of another one, of the same size, would be taken for this one's.
        if dice.random() < 0.4:
            protected = layout.crc_bits == 32
            return Case(damage_one(source, dice, [source]), source.source, protected, source.options)
        packets = list(stream.packets)
        for _ in range(dice.choice((1, 1, 2, 4))):
            kind = dice.randrange(8)
            which = dice.randrange(len(packets)) if packets else 0
            if kind == 0:
                size, place, crc = layout.size, layout.place_bytes, layout.crc_bits
                laid = dice.choice(
                    ((size + 1, place, crc), (size, place + 1, crc), (size, place, 16), (1, 0, 8), (2**40, 9, 32))
                )
                layout = PacketLayout(*laid)
            elif kind == 1:
                rows = dice.choice((0, 1, 13, 15, 2**16, 2**31, 2**62))
                stream = replace(stream, shape=(rows, *stream.shape[1:]))
            elif kind == 2:
                packets.insert(dice.randrange(len(packets) + 1), packets[which] if packets else b"")
            elif kind == 3 and packets:
                del packets[which]
            elif packets:
                body = damage(packets[which][: len(packets[which]) - layout.crc_bits // 8], dice)
                packets[which] = body + _checksum(body, layout) if layout.crc_bits in CRC_BITS else body
        laid = varint(layout.size) + bytes([layout.place_bytes, layout.crc_bits])
        fields = dict(stream.fields) | {Field.PACKETS: laid}
        data = replace(stream, fields=tuple(sorted(fields.items())), packets=tuple(packets)).pack()
        return Case({"x.pce": data}, source.source, False, source.options)

    def read(self, case: Case) -> Received:
        """Decode what came."""
        data = (self.place_of_files / "x.pce").read_bytes()
        engines = self.engines[case.options]

        def form(got: Received) -> Any:
            # Where packets contradict each other a symbol is either's (docs/packets.md).
            numbers = None if self._overlap(engines, parse(data)) else described(got.array)
            return numbers, described(got.here), got.damaged

        try:
            return agreed([lambda engine=engine: decode_packet_stream(engine, data) for engine in engines], form)
        except DisagreementError:
            if self._overlap(engines, parse(data)):  # a symbolizer may take one of them alone
                raise StreamError("packets must not contradict each other") from None
            raise

    def _overlap(self, engines: Sequence[Engine], stream: Stream) -> bool:
        """Tell whether a symbol may be in two packets; of each alone the engines must say the same."""
        layout, symbolizer = layout_of(stream), engines[0].circuit.symbolizer
        count = stream.shape[0] if symbolizer is None else symbolizer.records(stream.shape[0])
        if len(stream.packets) > MOST_PACKETS:  # a damaged one that grew
            return True
        seen = np.zeros((count, len(engines[0].circuit.order)), dtype=bool)
        twice = False
        for packet in stream.packets:
            calls = [partial(decode_packets, engine, [packet], layout, count) for engine in engines]
            here = agreed(calls, lambda got: (described(got.records), got.damaged)).here
            twice |= bool((seen & here).any())
            seen |= here
        return twice

    def content(self, case: Case, found: Received) -> Any:
        """Take numbers, and which of them came."""
        return described(found.array), described(found.here)

    def wrong(self, case: Case, found: Received) -> str | None:
        """Demand the numbers of the whole stream wherever some came, and 0 elsewhere."""
        if found.array[~found.here].any():
            return "what did not come must be 0"
        if case.protected:
            (kind, shape, numbers), _ = self.contents[case.source]
            whole = np.frombuffer(numbers, kind).reshape(shape)
            if found.array.shape != shape or (found.array != whole)[found.here].any():
                return "accepted with other content, though its checksum was not made anew"
        return None


@dataclass(frozen=True)
class _WithXz(Bound):
    """Bound what an archive takes: its circuit as a program, and what xz takes."""

    def allowance(self, size: int) -> int:
        return super().allowance(size) + XZ_MEMORY


class Archives(Parser):
    """Unpack archives: a circuit and data of strangers, which both engines decode alike."""

    name = "archive"
    bound = _WithXz(512, 1 << 34)

    def make(self) -> list[Case]:
        """Pack a stream of every circuit beside it, and one of a predictor stage."""
        made = [pack(pcedge.load(GOLDEN / "stream_predicted.onnx"), (GOLDEN / "stream_predicted.bin").read_bytes())]
        for circuit in integers():
            data = _data_of(circuit, 12)
            made.append(pack(circuit, encode(ReferenceEngine(circuit), data, 2)))
        return [Case({"x.pcz": data}, 0) for data in made]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, the sizes, the program, or the stream; checksums are made anew, and the stream's digest."""
        source = dice.choice(self.whole)
        data = source.files["x.pcz"]
        if dice.random() < 0.3:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        archive = unpack(data)
        program, stream, kind = to_bytes(archive.program), archive.stream, dice.randrange(5)
        if kind < 3:
            program, whole = damage_program(program, dice)
            if whole:
                stream = _of_digest(stream, program[8 : 8 + DIGEST_BYTES])
        if kind >= 2:
            stream = resealed(lambda: _damaged_stream(stream, dice), stream)
        size, packed = len(program), lzma.compress(program, preset=0)
        if dice.random() < 0.1:
            size = dice.choice((0, 1, size - 1, size + 1, 2**20, 2**26, 2**40, 2**62))
        elif dice.random() < 0.1:
            packed = damage(packed, dice)
        head = MAGIC + bytes([VERSION]) + varint(size) + varint(len(packed)) + packed
        return Case({"x.pcz": head + zlib.crc32(head).to_bytes(4, "little") + stream}, source.source)

    def read(self, case: Case) -> tuple[Archive, np.ndarray]:
        """Unpack it, and decode its stream."""
        archive = unpack((self.place_of_files / "x.pcz").read_bytes())
        calls = [lambda engine=engine: decode(engine, archive.stream) for engine in engines_of(archive.program)]
        return archive, agreed(calls, described)

    def content(self, case: Case, found: tuple[Archive, np.ndarray]) -> Any:
        """Take the circuit's digest, and the data."""
        return found[0].program.circuit.digest, described(found[1])

    def fault(self, case: Case, found: tuple[Archive, np.ndarray]) -> str | None:
        """Compare the engines on other records too."""
        return engines_fault(found[0].program)


def _of_digest(stream: bytes, digest: bytes) -> bytes:
    """Write the same stream as one of another circuit."""
    reader = Reader(stream)
    head = read_head(reader)
    return replace(head, digest=digest).pack_head() + stream[reader.offset :]


def _damaged_stream(data: bytes, dice: Random) -> bytes:
    stream = parse(data)
    segments = list(stream.segments)
    which = dice.randrange(len(segments))
    segments[which] = damaged_segment(segments[which], dice)
    return replace(stream, segments=tuple(segments)).pack()


CODEC = (ProgramFile, PredictedStreams, Packets, Archives)
