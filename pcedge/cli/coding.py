"""The commands that compress a file and restore it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import click

from pcedge.cli.each import CIRCUIT_OR_STREAMS, DATA, OUT, STREAMS, EachCommand, open_coder
from pcedge.cli.giving import known_values, refuse_given, variables_of
from pcedge.cli.grids import coded_reading
from pcedge.cli.inputs import (
    ARRAY,
    MODEL,
    Marker,
    bits_per_value,
    engine_options,
    reading_of,
    reading_options,
    refuse_other_mark,
    said_header,
    verify_options,
)
from pcedge.cli.inputs import DATA as VALUES
from pcedge.cli.output import Result, announce, counted, must_come_with, progress, warn, whole_file
from pcedge.cli.packets import decode_packets, encode_packets
from pcedge.codec.container import DEFAULT_LANES
from pcedge.codec.predicted import LANE_NUMBERS, MOST_LANES
from pcedge.data.forms import FORMATS
from pcedge.errors import UsageError


class Slice(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Take a slice of records, as 5000:5001."""

    name = "start:stop"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a slice."""
        if isinstance(value, slice):
            return value
        found = re.fullmatch(r"(-?[0-9]{1,18})?:(-?[0-9]{1,18})?", str(value))
        if found is None:
            self.fail(f"it must be START:STOP such as 5000:5001, 5: or -3:, got {value!r}", param, ctx)
        return slice(*(None if end is None else int(end) for end in found.groups()))


@click.command(
    cls=EachCommand, source="data", streams=False, alone={"more": "--append", "known": "--known"},
    example="pcedge encode m.onnx x.npy x.pce --lanes 1",
)  # fmt: skip
@click.argument("model", type=MODEL)
@click.argument("data", nargs=-1, required=True, type=DATA)
@click.argument("out", type=OUT)
@click.option(
    "--lanes", type=click.IntRange(1),
    help=f"S: 1 is smallest, more are faster.  [default: {DEFAULT_LANES}; of a circuit with a predictor stage one for "
    f"every {LANE_NUMBERS:,} numbers, at most {MOST_LANES}]",
)  # fmt: skip
@verify_options
@click.option(
    "--index", is_flag=False, flag_value=0, type=click.IntRange(0), metavar="[RECORDS]",
    help="Let a few records be read without the others: segments of so many records, and an index.  [default: none; "
    "without a number 256, or so many that they are 4,096 numbers]",
)  # fmt: skip
@click.option(
    "--append", "more", is_flag=True,
    help="Put the records at the end of the stream OUT, which must be there; its index and lanes stay.",
)  # fmt: skip
@click.option(
    "--given", metavar="NAME,…",
    help="Leave out variables that the receiver knows, and code the others given them: names of a table's header, or "
    "numbers from 0. decode --given takes their values. Not of circuits with a predictor stage or a symbolizer.  "
    "[default: none]",
)  # fmt: skip
@click.option(
    "--known", type=VALUES, help="With --append, what decode --given takes for the records that OUT has already."
)
@click.option(
    "--missing", type=Marker(),
    help="What marks a missing value of a table, an integer or nan.  [default: what the circuit's columns mark]",
)  # fmt: skip
@click.option(
    "--packet-bytes", type=click.IntRange(1),
    help="Write packets of so many bytes, each decodable without the others.  [default: none]",
)  # fmt: skip
@click.option("--packet-crc", type=click.Choice(["0", "16", "32"]), help="Bits of a packet's checksum.  [default: 16]")
@engine_options
@reading_options
def encode(
    model: str, data: str, out: Path, lanes: int | None, check: str | None, index: int | None, more: bool,
    given: str | None, known: str | None, missing: float | None, packet_bytes: int | None, packet_crc: str | None,
    engine_name: str, threads: int, dtype: str | None, shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Compress a file of numbers without loss; - is stdin, and stdout.

    The stream carries what writes the file again byte for byte, its header too. Where OUT ends in /, or DATA are many
    files or a quoted glob, every file has a stream of its own in that folder, FILE.pce; the same command goes on where
    it was stopped.
    """
    from pcedge.codec import check_stream
    from pcedge.codec.appending import append_file
    from pcedge.codec.checking import default_verify
    from pcedge.codec.decoder import StreamFile
    from pcedge.codec.drift import measure_drift
    from pcedge.codec.encoder import encode_to
    from pcedge.codec.files import fields_of
    from pcedge.data.forms import load_file

    must_come_with("--append", more, "known", without=("index", "given"))
    must_come_with("--packet-bytes", packet_bytes is not None, "packet_crc", without=("lanes", "index"))
    if packet_bytes is not None and more:
        raise click.UsageError("--append must come without --packet-bytes: packets are not appended to")
    engine = open_coder(model, engine_name, threads)
    columns = getattr(engine.circuit.symbolizer, "source", None)
    if missing is not None and (columns is None or not columns.marks_missing):
        raise UsageError(
            f"--missing must go with a circuit whose columns mark missing values, as train --missing makes one, "
            f"{model} has none"
        )
    reading = coded_reading(engine.circuit, reading_of(engine.circuit, dtype, shape, missing, header))
    refuse_other_mark(engine.circuit, data, reading, missing)
    x, form, note = load_file(data, reading)
    header_entry = said_header(data, reading)
    if given is not None:
        refuse_given(engine.circuit.symbolizer, given)
        engine = engine.with_given(variables_of(given, data, reading, len(engine.circuit.order)))
    check = check or default_verify(engine)
    if packet_bytes is not None:
        crc_bits = None if packet_crc is None else int(packet_crc)
        said, text = encode_packets(engine, x, form, out, packet_bytes, crc_bits, check)
        return said | header_entry | bits_per_value(engine.circuit, 8 * said["bytes"], x), text, 0
    appended: dict[str, Any] = {}
    if more:
        values = None
        if known is not None and out.is_file():
            with contextlib.closing(StreamFile(out)) as old:
                values = known_values(known, old.head)
        stream = append_file(engine, out, x, form, lanes, check != "none", values)
        verified = len(x) if check != "none" else 0
        appended = {"appended": len(x)}
    else:
        with whole_file(out) as fresh:
            with progress("encoding") as move, fresh.open("wb") as file:
                stream = encode_to(engine, x, file, lanes, move, fields_of(form), index)
            with progress("verifying") as move:
                verified = check_stream(engine, x, fresh, check, move)
    if note is not None:
        warn(note)
    drift = measure_drift(stream.segments)
    if drift.segments:
        worst = max(drift.segments, key=drift.bits.__getitem__)
        warn(
            f"{len(drift.segments)} of {len(drift.bits)} segments need far more bits than the others, segment {worst} "
            f"{drift.bits[worst]:.1f} a record where {drift.expected:.1f} are usual: the data may have changed"
        )
    symbolizer = engine.circuit.symbolizer
    count = stream.head.shape[0]
    left_out = list(stream.head.given)
    symbols = (symbolizer.records(count) if symbolizer else count) * (len(engine.circuit.order) - len(left_out))
    result: dict[str, Any] = {
        "out": str(out), "records": count, "bytes": stream.bytes,
        "payload_bytes": sum(segment.payload_bytes for segment in stream.segments),
        "lanes": max((segment.lanes for segment in stream.segments), default=0),
        "bits_per_variable": 8 * stream.bytes / symbols if symbols else None,
        "verify": check, "verified_records": verified, "source": None if form is None else form.text,
        "segments": len(stream.segments), "index": None if stream.head.indexed is None else stream.head.indexed[0],
        "stored": sum(segment.stored for segment in stream.segments),
        "expected_bits_per_record": drift.expected,
        "worst_segment": drift.worst,
        "worst_bits_per_record": None if drift.worst is None else drift.bits[drift.worst],
        "drifted_segments": list(drift.segments),
    }  # fmt: skip
    appended |= {"given": left_out} if left_out else {}
    result |= header_entry | appended | bits_per_value(engine.circuit, 8 * stream.bytes * len(x) / max(1, count), x)
    key = "bits_per_value" if symbolizer else "bits_per_variable"
    rate = f", {result[key]:z.4f} bits a {key[9:]}" if result[key] is not None else ""
    rate += f" given {len(left_out)} of {len(engine.circuit.order)}" if left_out else ""
    rate += f"; {counted(verified, 'record')} decoded and compared" if check != "none" else "; not decoded"
    if result["stored"]:
        rate += f"; {result['stored']} of {result['segments']} segments are stored, which coding would make larger"
    of = f"{counted(count, 'record')}, {counted(result['lanes'], 'lane')}"
    return result, f"{out}: {stream.bytes} bytes for {of}{rate}", 0


@click.command(
    cls=EachCommand,
    source="stream",
    streams=True,
    alone={"lost": "--lost", "known": "--given"},
    example="pcedge decode m.onnx x.pce y.npy",
)
@click.argument("model", type=CIRCUIT_OR_STREAMS)
@click.argument("stream", nargs=-1, type=STREAMS, metavar="STREAM...")
@click.argument("out", type=OUT)
@click.option(
    "--format", "name", type=click.Choice(FORMATS),
    help="What OUT holds.  [default: what its suffix says, else what was encoded, byte for byte]",
)  # fmt: skip
@click.option(
    "--records", type=Slice(),
    help="Restore these records only, START:STOP within the stream, negative ones from its end; fast with an index.",
)  # fmt: skip
@click.option(
    "--lost", type=ARRAY,
    help="Of packets, take what came: write 0 where nothing did, and here, as a .npy of booleans, where that is.",
)  # fmt: skip
@click.option(
    "--given", "--known", "known", type=VALUES,
    help="The values of the variables that encode was given, a row for every record of the stream: columns by the "
    "names that the encoded table had, or these alone in the order of their numbers, or whole records.",
)  # fmt: skip
@engine_options
def decode(
    model: str | None, stream: str, out: Path, name: str | None, records: slice | None, lost: Path | None,
    known: str | None, engine_name: str, threads: int,
) -> Result:  # fmt: skip
    """Restore the file of a stream, or its records with their dtype and shape; - is stdin, and stdout.

    Without MODEL the circuit is found by the digest in the stream: a shipped one, or a file in a folder of circuits.

    Where OUT ends in /, or there are many streams or a quoted glob, every stream has a file of its own in that folder.
    """
    from pcedge.codec.decoder import StreamFile, range_of
    from pcedge.codec.files import decode_file, decode_records, file_of, with_values

    name = format_of(out, name)
    engine = open_coder(model, engine_name, threads, stream)
    part: dict[str, Any] = {}
    with contextlib.closing(StreamFile(stream)) as file:
        head = file.head
    packets = head.packet_bytes is not None
    if lost is not None and not packets:
        raise click.UsageError(f"--lost must go with a stream of packets, {stream} has segments")
    if known is not None and packets:
        raise click.UsageError(f"--given must go with a stream of which variables are given, {stream} has packets")
    given = known_values(known, head)
    if packets and records is None:
        array, part = decode_packets(engine, Path(stream), lost)
        restored = with_values(engine.circuit, file_of(file.head, array, name), name)
    elif records is None:
        with progress("decoding") as move:
            restored = decode_file(engine, Path(stream).read_bytes(), name, move, given)
    else:
        start, stop, _ = records.indices(head.shape[0])
        if start > stop:  # in Python a slice such as this one is empty, of a command it is a slip
            raise UsageError(f"--records must not end before its start, got {records.start}:{records.stop}")
        with contextlib.closing(StreamFile(stream)) as file:
            restored = decode_records(engine, file, records, name, given)
        part = {"range": list(range_of(records, head.shape[0])), "of_records": head.shape[0]}
    if out.suffix.lower() in (".txt", ".data") and restored.format in ("npy", "wav", "idx"):
        raise click.UsageError(
            f"the output must hold what its suffix says, a table: --format csv writes one to {out.name}"
        )
    with whole_file(out) as fresh:
        fresh.write_bytes(restored.data)
    x = restored.array
    result: dict[str, Any] = {"out": str(out), "records": len(x), "shape": list(x.shape), "dtype": restored.dtype}
    if restored.format != "npy":
        result["format"] = restored.format
    text = f"{out}: {restored.format if restored.format != 'npy' else restored.dtype} {x.shape}"
    text += f", of {part['of_records']} records" if "of_records" in part else ""
    text += f"; {part['lost']} of {part['numbers']} numbers are lost" if part.get("lost") else ""
    return result | part, text, 0


def format_of(out: Path, name: str | None) -> str | None:
    """Give the format of an output: a suffix that is known never holds another one.

    Raises:
        click.UsageError: it is one that cannot be written, or another than the one that is asked for.
    """
    from pcedge.data.forms import SUFFIXES
    from pcedge.data.readers import KNOWN

    suffix = out.suffix.lower()
    meant = SUFFIXES.get(suffix)
    if meant is None and suffix in KNOWN:
        raise click.UsageError(
            f"the output must have a suffix of what can be written, {', '.join(SUFFIXES)}, or one that says nothing, "
            f"got {out.name}"
        )
    if name is not None and meant not in (None, name):
        raise click.UsageError(f"the output must hold what its suffix says, {meant}, not {name}: {out.name}")
    return name or meant


def say_how(engine: Any) -> None:
    """Say on stderr what a circuit without a tree of regions costs, and who else can read its streams."""
    if not engine.circuit.structured:
        steps = len(engine.program.code.steps)
        announce(
            "the circuit is not structured-decomposable: no hardware codes with it, and it is evaluated "
            f"anew after every variable, {steps} steps a record"
        )
