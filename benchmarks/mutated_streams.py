"""Mutated symbolizers and streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from benchmarks.mutated import Case, Parser, damage_one
from benchmarks.mutated_arrays import described, same
from benchmarks.mutated_circuits import integers, records_of
from benchmarks.mutations import TEXT, damage, damage_tree, to_json
from pcedge.circuit import Circuit, InputLayer
from pcedge.codec import decode, encode
from pcedge.codec.container import DTYPES, SEGMENT_RECORDS, Segment, Stream, parse
from pcedge.codec.decoder import Decoder, StreamFile
from pcedge.data import make_symbolizer
from pcedge.data.specification import read_symbolizer, specification
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines import Engine, ReferenceEngine
from pcedge.errors import PcedgeError
from pcedge.integer import IntegerCircuit
from pcedge.native import NativeEngine, instruction_sets
from pcedge.quantize import quantize
from pcedge.schedule import Program

#: values that a symbolizer is tried on, at most
TRIED = 1 << 16


class DisagreementError(BaseException):
    """Tell that two engines say different things of the same bytes; no reader that catches exceptions catches it."""


def engines_of(source: IntegerCircuit | Program) -> list[Engine]:
    """Give the engines of a circuit: the reference, and the native one where it is installed."""
    program = Program.of(source)
    return [ReferenceEngine(program), *([NativeEngine(program)] if instruction_sets() else [])]


def agreed(calls: Sequence[Callable[[], Any]], form: Callable[[Any], Any]) -> Any:
    """Give what all calls give.

    Args:
        calls: one an engine.
        form: makes what they give comparable.

    Raises:
        PcedgeError: all calls raise one of this type.
        DisagreementError: the calls do not give the same.
    """
    given: list[Any] = []
    for call in calls:
        try:
            given.append(call())
        except PcedgeError as error:
            given.append(error)
    first = given[0]
    for other in given[1:]:
        refused = isinstance(first, PcedgeError) or isinstance(other, PcedgeError)
        if type(first) is not type(other) or (not refused and form(first) != form(other)):
            raise DisagreementError(f"engines must agree, one gives {first!r}, another {other!r}")
    if isinstance(first, PcedgeError):
        raise first
    return first


class Symbolizers(Parser):
    """Read symbolizers from JSON and from the text of `--symbolizer`: whatever is accepted restores its data."""

    name = "symbolizer"
    TEXTS = (
        ("range=0..2047,difference,offset=128,window=32,planes=3+8", "int16", (2,)),
        ("range,neighbour=median,zigzag", "uint8", (4, 4)),
        ("range=-8..7,difference=0,zigzag,window=3x2,planes=2+2", "int8", (5,)),
        ("colour,neighbour=left,planes=5+4", "uint8", (4, 4, 3)),
        ("relation=0:plus=1+2:minus=3,planes=4+4", "uint8", (4,)),
        ("planes=8+8+8+8,offset=3", "int32", (3,)),
        ("difference:axis=1,window=4,zigzag,planes=8+8", "uint16", (2, 3)),
    )

    def make(self) -> list[Case]:
        """Write each in both forms."""
        made = []
        for text, dtype, shape in self.TEXTS:
            rows = np.random.default_rng(0).integers(0, 8, (9, *shape)).astype(dtype)
            made.append(Case({}, 0, options=(text, rows)))
            made.append(Case({"s.json": make_symbolizer(text, rows).to_json().encode()}, 0, options=("", rows)))
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage the text, the JSON's tree, or put other steps into it."""
        source = dice.choice(self.whole)
        text, rows = source.options
        if text:
            if dice.random() < 0.5:
                parts = [part for other, _, _ in self.TEXTS for part in other.split(",")]
                chosen = text.split(",")
                for _ in range(dice.choice((1, 2, 3))):
                    place = dice.randrange(len(chosen) + 1)
                    chosen[place : place + dice.randrange(2)] = [dice.choice(parts)]
                text = ",".join(chosen)
            else:
                others = [other.encode() for other, _, _ in self.TEXTS]
                text = damage(text.encode(), dice, TEXT, others).decode("utf-8", "replace")[:100_000]
            return Case({}, source.source, options=(text, rows))
        data = source.files["s.json"]
        if dice.random() < 0.3:
            data = damage(data, dice, TEXT)
        else:
            tree = Symbolizer.from_json(data.decode()).as_dict()
            if dice.random() < 0.5:
                steps = [step for case in self.whole if case.files for step in
                         Symbolizer.from_json(case.files["s.json"].decode()).as_dict()["steps"]]  # fmt: skip
                tree["steps"].insert(dice.randrange(len(tree["steps"]) + 1), dice.choice(steps))
            if dice.random() < 0.7:
                tree = damage_tree(tree, dice)
            data = to_json(tree).encode("utf-8", "surrogatepass")
        return Case({"s.json": data}, source.source, options=("", rows))

    def read(self, case: Case) -> Symbolizer:
        """Make it."""
        text, rows = case.options
        return (
            make_symbolizer(text, rows) if text or not case.files else read_symbolizer(self.place_of_files / "s.json")
        )

    def content(self, case: Case, found: Symbolizer) -> str:
        """Take the JSON form."""
        return found.to_json()

    def fault(self, case: Case, found: Symbolizer) -> str | None:
        """Map data of its range, and restore them; write it and read it again."""
        size = int(np.prod(found.shape))
        dice = np.random.default_rng(1)
        most = max(1, TRIED // size)
        for rows in sorted({1, min(2, most), min(most, 2 * found.segment_rows + 1)}):
            data = dice.integers(found.low, found.high, (rows, *found.shape), dtype=found.dtype, endpoint=True)
            records = found.apply(data)
            if (records >= np.array(found.cardinalities)).any():
                return "a symbol must be below the number of symbols of its variable"
            if not same(found.invert(records, rows), data):
                return "what it maps must be restored"
        if Symbolizer.from_json(found.to_json()) != found:
            return "it must be the same when it is written and read again"
        if case.options[0] and make_symbolizer(specification(found), case.options[1]) != found:
            return "its text must make the same one"
        return None


class Streams(Parser):
    """Decode with the right circuit: a stream has one form, so what is accepted is encoded to the same bytes again."""

    name = "stream"

    def make(self) -> list[Case]:
        """Encode data with every circuit, in few lanes and many, in one segment and in several."""
        self.engines = [engines_of(circuit) for circuit in integers()]
        made = []
        for number, (engine, *_) in enumerate(self.engines):
            symbolizer = engine.circuit.symbolizer
            if symbolizer is None:
                data = records_of(engine.circuit.cardinalities, 12).astype(("u1", "<i2", ">i4")[number % 3])
            else:
                rows = np.random.default_rng(0).integers(0, 8, (14, *symbolizer.shape))
                data = rows.astype(symbolizer.dtype)
            for lanes in (1, 3, None):
                made.append(Case({"x.pce": encode(engine, data, lanes)}, 0, options=number))
            made.append(Case({"x.pce": encode(engine, data[:0])}, 0, options=number))
            window = 1 if symbolizer is None else symbolizer.segment_rows
            made.append(Case({"x.pce": encode(engine, data, 2, index=4 * window)}, 0, options=number))
            # As an encoder would store it of data that its circuit has not seen.
            parsed = parse(encode(engine, data, 2, fields={12: b""}))
            stored = Segment(len(data), (), (), np.ascontiguousarray(data).tobytes())
            made.append(
                Case({"x.pce": replace(parsed, segments=(stored,), fields=((11, b""),)).pack()}, 0, options=number)
            )
            fields = {1: b"raw >i2", 2: b"\2\0\0\0abc", 3: b"rest", 6: b"index", 300: b""}
            made.append(Case({"x.pce": encode(engine, data, 2, fields=fields)}, 0, options=number))
        # More records than a segment has, of one certain variable: they take few bytes.
        leaf = InputLayer(0, np.array([[0.75, 0.25]]))
        self.engines.append(engines_of(quantize(Circuit((leaf,)))))
        many = np.zeros((SEGMENT_RECORDS + 5, 1), dtype=bool)
        many[::1000] = True
        return [*made, Case({"x.pce": encode(self.engines[-1][0], many, 512)}, 0, options=len(self.engines) - 1)]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or lanes and numbers of the parsed stream, whose checksums are made anew."""
        source = dice.choice(self.whole)
        if dice.random() < 0.3:
            return Case(damage_one(source, dice, self.whole), source.source, True, source.options)
        stream = whole = parse(source.files["x.pce"])
        segments = list(stream.segments)
        for _ in range(dice.choice((1, 1, 1, 2))):
            kind = dice.randrange(11)
            if kind == 10:
                fields = dict(stream.fields) | {dice.choice((9, 11)): dice.choice((b"", b"\4\1", b"\4\2", b"\1\1"))}
                stream = replace(stream, fields=tuple(sorted(fields.items())))
            elif kind == 0:
                shape = list(stream.shape)
                shape[dice.randrange(len(shape))] = dice.choice((0, 1, 2, 7, 13, 2**16, 2**31, 2**62))
                stream = replace(stream, shape=tuple(shape))
            elif kind == 1:
                stream = replace(stream, dtype=DTYPES[dice.choice(sorted(DTYPES))])
            elif kind == 2 and segments:
                # Two of a few records and one of all of them would decode to the same.
                half, lanes = whole.segments[0].records // 2, whole.segments[0].lanes
                if dice.random() < 0.5 and half and len(lanes) == 1:
                    # Of the whole stream: the damage so far may keep this one from being decoded.
                    segments[:1] = self._halves(source.options, whole, half)
                    continue
                segments.insert(dice.randrange(len(segments) + 1), dice.choice(segments))
            elif segments:
                which = dice.randrange(len(segments))
                segments[which] = damaged_segment(segments[which], dice)
        data = replace(stream, segments=tuple(segments)).pack()
        return Case({"x.pce": data}, source.source, False, source.options)

    def _halves(self, number: int, stream: Stream, half: int) -> list[Segment]:
        """Encode the records of a stream's first segment as two."""
        engine = self.engines[number][0]
        one = replace(stream, shape=(stream.segments[0].records, *stream.shape[1:]), segments=stream.segments[:1])
        data = decode(engine, one.pack())
        return [segment for part in (data[:half], data[half:]) for segment in parse(encode(engine, part, 1)).segments]

    def read(self, case: Case) -> np.ndarray:
        """Decode it with every engine; a part of it first, with what passes over the others."""
        data = (self.place_of_files / "x.pce").read_bytes()
        engines = self.engines[case.options]
        agreed([lambda engine=engine: _middle(engine, data) for engine in engines], described)
        return agreed([lambda engine=engine: decode(engine, data) for engine in engines], described)

    def content(self, case: Case, found: np.ndarray) -> Any:
        """Take dtype, shape and numbers."""
        return described(found)

    def fault(self, case: Case, found: np.ndarray) -> str | None:
        """Encode it again, in the segments and lanes that it came in."""
        engine, data = self.engines[case.options][0], case.files["x.pce"]
        middle = len(found) // 2
        if not same(_middle(engine, data), found[middle : middle + 2]):
            return "records that are read alone must be those of the whole"
        symbolizer = engine.circuit.symbolizer
        segments, first = [], 0
        parsed = parse(data)
        for segment in parsed.segments:
            part = found[first : first + segment.records]
            first += segment.records
            if segment.stored is not None:
                segments.append(Segment(segment.records, (), (), part.tobytes()))
                continue
            records = engine.check(part, allow_missing=False) if symbolizer is None else symbolizer.apply(part)
            lanes = engine.encode_lanes(records.astype(np.int64), len(segment.lanes))
            segments.append(Segment(segment.records, tuple(lanes)))
        again = Stream(engine.circuit.digest, found.dtype, found.shape, tuple(segments), parsed.fields).pack()
        return None if again == data else "a stream must be what its data are encoded to, these are two forms of them"


def _middle(engine: Engine, data: bytes) -> np.ndarray:
    """Read two records in the middle of a stream."""
    decoder = Decoder.of(engine, StreamFile(data))
    middle = len(decoder) // 2
    return decoder[middle : middle + 2]


def damaged_segment(segment: Segment, dice: Random) -> Segment:
    """Damage a segment's lanes, its stored rows, or its number of records."""
    if segment.stored is not None and dice.random() < 0.7:
        return replace(segment, stored=damage(segment.stored, dice))
    lanes = list(segment.lanes)
    kind = dice.randrange(8)
    which = dice.randrange(len(lanes)) if lanes else 0
    if kind == 0 or not lanes:
        return replace(segment, records=dice.choice((0, 1, 2, segment.records + 1, segment.records - 1, 2**16, 2**40)))
    if kind == 1:
        lanes.insert(which, lanes[dice.randrange(len(lanes))])
    elif kind == 2:
        del lanes[which]
    elif kind == 3:
        # The flush, which any greater byte below the range would do for.
        lanes[which] = lanes[which][:-1] + bytes(
            [min(255, (lanes[which][-1:] or b"\0")[0] + dice.choice((1, 1, 2, 5)))]
        )
    elif kind == 4:
        lanes[which] = dice.randbytes(len(lanes[which]))
    elif kind == 5:
        lanes[which] += dice.choice((b"\0", b"\xff", dice.randbytes(3)))
    else:
        lanes[which] = damage(lanes[which], dice)
    return replace(segment, lanes=tuple(lanes))


STREAMS = (Symbolizers, Streams)
