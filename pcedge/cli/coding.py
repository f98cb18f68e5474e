"""The commands that compress a file and restore it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import (
    DATA,
    MODEL,
    Marker,
    PipedPath,
    bits_per_value,
    reading_of,
    reading_options,
    said_header,
)
from pcedge.cli.output import Command, Result, announce, counted, progress, warn, whole_file
from pcedge.codec.checking import DEFAULT_VERIFY, SAMPLE_SECONDS, VERIFY
from pcedge.codec.container import DEFAULT_LANES
from pcedge.codec.predicted import LANE_NUMBERS, MOST_LANES
from pcedge.data.forms import FORMATS
from pcedge.errors import UsageError


@click.command(cls=Command, example="pcedge encode m.onnx x.npy x.pce --lanes 1")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.argument("out", type=PipedPath(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--lanes", type=click.IntRange(1),
    help=f"S: 1 is smallest, more are faster.  [default: {DEFAULT_LANES}; of a circuit with a predictor stage one for "
    f"every {LANE_NUMBERS:,} numbers, at most {MOST_LANES}]",
)  # fmt: skip
@click.option(
    "--verify", "check", default=DEFAULT_VERIFY, show_default=True, type=click.Choice(VERIFY),
    help="Decode the stream and compare it with the data before it takes its place: all of it; the first and the last "
    f"segment for up to {SAMPLE_SECONDS:g} seconds; or nothing.",
)  # fmt: skip
@click.option(
    "--missing", type=Marker(),
    help="What marks a missing value of a table, an integer or nan.  [default: what the circuit's columns mark]",
)  # fmt: skip
@reading_options
def encode(
    model: str, data: str, out: Path, lanes: int | None, check: str, missing: float | None, dtype: str | None,
    shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Compress a file of numbers without loss; - is stdin, and stdout.

    The stream carries what writes the file again byte for byte, its header too.
    """
    from pcedge.codec import check_stream
    from pcedge.codec.container import parse
    from pcedge.codec.files import fields_of
    from pcedge.codec.stream import encode as compress
    from pcedge.data.forms import load_file
    from pcedge.engines import ReferenceEngine

    engine = ReferenceEngine(read_integer(model))
    columns = getattr(engine.circuit.symbolizer, "source", None)
    if missing is not None and (columns is None or not columns.marks_missing):
        raise UsageError(
            f"--missing must go with a circuit whose columns mark missing values, as train --missing makes one, "
            f"{model} has none"
        )
    say_how(engine)
    reading = reading_of(engine.circuit, dtype, shape, missing, header)
    x, form, note = load_file(data, reading)
    header_entry = said_header(data, reading)
    with whole_file(out) as fresh:
        with progress("encoding") as move:
            packed = compress(engine, x, lanes, move, fields_of(form))
        with progress("verifying") as move:
            verified = check_stream(engine, x, packed, check, move)
        fresh.write_bytes(packed)
    if note is not None:
        warn(note)
    stream = parse(packed)
    symbolizer = engine.circuit.symbolizer
    symbols = (symbolizer.records(len(x)) if symbolizer else len(x)) * len(engine.circuit.order)
    result: dict[str, Any] = {
        "out": str(out), "records": len(x), "bytes": len(packed), "payload_bytes": stream.payload_bytes,
        "lanes": max((len(s.lanes) for s in stream.segments), default=0),
        "bits_per_variable": 8 * len(packed) / symbols if symbols else None,
        "verify": check, "verified_records": verified, "source": None if form is None else form.text,
    }  # fmt: skip
    result |= header_entry | bits_per_value(engine.circuit, 8 * len(packed), x)
    key = "bits_per_value" if symbolizer else "bits_per_variable"
    rate = f", {result[key]:z.4f} bits a {key[9:]}" if result[key] is not None else ""
    rate += f"; {counted(verified, 'record')} decoded and compared" if check != "none" else "; not decoded"
    of = f"{counted(len(x), 'record')}, {counted(result['lanes'], 'lane')}"
    return result, f"{out}: {len(packed)} bytes for {of}{rate}", 0


@click.command(cls=Command, example="pcedge decode m.onnx x.pce y.npy")
@click.argument("model", type=MODEL)
@click.argument("stream", type=PipedPath(exists=True, dir_okay=False, allow_dash=True))
@click.argument("out", type=PipedPath(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--format", "name", type=click.Choice(FORMATS),
    help="What OUT holds.  [default: what its suffix says, else what was encoded, byte for byte]",
)  # fmt: skip
def decode(model: str, stream: str, out: Path, name: str | None) -> Result:
    """Restore the file of a stream, or its records with their dtype and shape; - is stdin, and stdout."""
    from pcedge.codec.files import decode_file
    from pcedge.engines import ReferenceEngine

    name = _format_of(out, name)
    engine = ReferenceEngine(read_integer(model))
    say_how(engine)
    with progress("decoding") as move:
        restored = decode_file(engine, Path(stream).read_bytes(), name, move)
    if out.suffix.lower() in (".txt", ".data") and restored.format in ("npy", "wav", "idx"):
        raise click.UsageError(
            f"the output must hold what its suffix says, a table: --format csv writes one to {out.name}"
        )
    with whole_file(out) as fresh:
        fresh.write_bytes(restored.data)
    x = restored.array
    result: dict[str, Any] = {"out": str(out), "records": len(x), "shape": list(x.shape), "dtype": str(x.dtype)}
    if restored.format != "npy":
        result["format"] = restored.format
    return result, f"{out}: {restored.format if restored.format != 'npy' else x.dtype} {x.shape}", 0


def _format_of(out: Path, name: str | None) -> str | None:
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
            "the circuit is not structured-decomposable: the numpy reference alone codes with it, and evaluates it "
            f"anew after every variable, {steps} steps a record"
        )
