"""The commands that put a circuit and data into one file, and take the data out again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from pcedge.cli.coding import format_of, say_how
from pcedge.cli.files import read_integer
from pcedge.cli.grids import coded_reading
from pcedge.cli.inputs import (
    MODEL,
    DataPath,
    PipedPath,
    engine_options,
    reading_of,
    reading_options,
    said_header,
    verify_options,
)
from pcedge.cli.output import Command, Result, progress, warn, whole_file
from pcedge.cli.rivals import COMPARED, packed_bytes, packed_file_bytes
from pcedge.cli.streams import say
from pcedge.data.forms import FORMATS, Form
from pcedge.data.readers import split_name


@click.command(cls=Command, example="pcedge pack m.onnx x.npy x.pcz")
@click.argument("model", type=MODEL)
@click.argument("data", type=DataPath(exists=True, allow_dash=True))
@click.argument("out", type=PipedPath(dir_okay=False, path_type=Path, allow_dash=True))
@click.option("--lanes", type=click.IntRange(1), help="S: 1 is smallest, more are faster.  [default: 64]")
@verify_options
@engine_options
@reading_options
def pack(
    model: str, data: str, out: Path, lanes: int | None, check: str | None, engine_name: str, threads: int,
    dtype: str | None, shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Put a circuit and a file that it compresses into one archive, which needs no other file; - is stdin, and stdout.

    It is said before from how many records on that is smaller than xz.
    """
    from pcedge.codec import check_stream
    from pcedge.codec.archive import pack_circuit
    from pcedge.codec.checking import default_verify
    from pcedge.codec.files import fields_of
    from pcedge.codec.stream import encode
    from pcedge.data.forms import load_file
    from pcedge.native import open_engine

    engine = open_engine(read_integer(model), engine_name, threads)
    say_how(engine)
    reading = coded_reading(engine.circuit, reading_of(engine.circuit, dtype, shape, header=header))
    x, form, note = load_file(data, reading)
    header_entry = said_header(data, reading)
    check = check or default_verify(engine)
    with whole_file(out) as fresh:
        circuit = pack_circuit(engine.program)
        with progress("encoding") as move:
            stream = encode(engine, x, lanes, move, fields_of(form))
        other = _xz_bytes(x, data, form)
        records = _break_even(len(circuit), other - len(stream), len(x))
        pays = len(circuit) + len(stream) < other
        say(
            f"circuit {len(circuit)} bytes, stream {len(stream)}, both {len(circuit) + len(stream)}; xz of the "
            f"{'data' if _is_array(form) else 'file'} {other}: "
            + (f"smaller from {records} records on, these are {len(x)}" if records else "never smaller than that")
        )
        with progress("verifying") as move:
            verified = check_stream(engine, x, stream, check, move)
        fresh.write_bytes(circuit + stream)
    if note is not None:
        warn(note)
    result = {
        "out": str(out), "records": len(x), "bytes": len(circuit) + len(stream), "circuit_bytes": len(circuit),
        "stream_bytes": len(stream), "raw_bytes": x.nbytes, "xz_bytes": other, "break_even_records": records,
        "pays": pays, "verify": check, "verified_records": verified, "source": None if form is None else form.text,
    } | header_entry  # fmt: skip
    return result, f"{out}: {len(circuit) + len(stream)} bytes for {len(x)} records, xz has {other}", 0


def _is_array(form: Form | None) -> bool:
    """Tell whether data are packed as numbers: those of a .npy file, or of one that does not come back."""
    return form is None or form.format == "npy"


def _xz_bytes(x: Any, data: str, form: Form | None) -> int:
    """Give the bytes that xz makes of the file, as it would be packed without pcedge; of arrays of their numbers."""
    if not _is_array(form):
        return packed_file_bytes(split_name(data)[0])
    rows = max(1, COMPARED // max(1, x[:1].nbytes))
    return packed_bytes(np.ascontiguousarray(x[:rows]).tobytes(), x.nbytes)


def _break_even(circuit: int, saved: int, records: int) -> int | None:
    """Give the records from which the circuit has paid for itself; None where it never does."""
    return math.ceil(circuit * records / saved) if saved > 0 else None


@click.command(cls=Command, example="pcedge unpack x.pcz x.npy")
@click.argument("archive", type=PipedPath(exists=True, dir_okay=False, allow_dash=True))
@click.argument("out", type=PipedPath(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--format", "name", type=click.Choice(FORMATS),
    help="What OUT holds.  [default: what its suffix says, else what was packed, byte for byte]",
)  # fmt: skip
@engine_options
def unpack(archive: str, out: Path, name: str | None, engine_name: str, threads: int) -> Result:
    """Restore the file of an archive; - is stdin, and stdout."""
    from pcedge.codec.archive import unpack as take_apart
    from pcedge.codec.files import decode_file
    from pcedge.native import open_engine

    name = format_of(out, name)
    parts = take_apart(Path(archive).read_bytes(), archive)
    engine = open_engine(parts.program, engine_name, threads)
    say_how(engine)
    with progress("decoding") as move:
        restored = decode_file(engine, parts.stream, name, move)
    with whole_file(out) as fresh:
        fresh.write_bytes(restored.data)
    x = restored.array
    result: dict[str, Any] = {
        "out": str(out), "records": len(x), "shape": list(x.shape), "dtype": restored.dtype, "format": restored.format,
        "digest": engine.circuit.digest.hex(),
    }  # fmt: skip
    return result, f"{out}: {restored.format if restored.format != 'npy' else restored.dtype} {x.shape}", 0
