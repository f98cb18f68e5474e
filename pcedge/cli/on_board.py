"""The command that runs jobs on a board on a serial line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import (
    ARRAY,
    DATA,
    Marker,
    ModelPath,
    reading_of,
    reading_options,
    said_header,
    to_symbols,
)
from pcedge.cli.output import Command, Result, counted, save_array, table, whole_file
from pcedge.errors import DataError, UsageError

if TYPE_CHECKING:
    from pcedge.drivers.device import Device
    from pcedge.engines.reference import ReferenceEngine

#: what a board is asked for, by option
_JOBS = ("info", "encode", "decode", "likelihood")


class _Circuit(ModelPath):
    """Take a circuit, or the folder of its project."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the circuit of a folder."""
        if Path(value).is_dir():
            return super().convert(str(Path(value) / "model.onnx"), param, ctx)
        return super().convert(value, param, ctx)


@click.command(cls=Command, example="pcedge device m.onnx --port /dev/ttyUSB0 --encode x.npy --out x.pce")
@click.argument("model", type=_Circuit(exists=True))
@click.option("--port", required=True, help="The serial port, as /dev/ttyUSB0 or COM3.")
@click.option("--baud", type=click.IntRange(1), default=1_000_000, show_default=True, help="As in the board's target.")
@click.option("--info", is_flag=True, help="Say what is on the board.")
@click.option(
    "--load", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="First load a serial engine's model, model.bin of its project; alone, or with a job.",
)  # fmt: skip
@click.option("--encode", type=DATA, help="Compress a file of numbers to --out, as pcedge encode does.")
@click.option("--decode", type=click.Path(exists=True, dir_okay=False), help="Restore the file of a stream in --out.")
@click.option("--likelihood", type=DATA, help="Compute the log-likelihood in nats; of every record in --out.")
@click.option("--out", type=ARRAY, help="What is written.")
@click.option("--lanes", type=click.IntRange(1), help="With --encode: see pcedge encode.  [default: as there]")
@click.option("--missing", type=Marker(), help="With --likelihood: what marks a missing value; it is summed out.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=3600.0, show_default=True,
    help="Seconds that a job may take.",
)  # fmt: skip
@reading_options
def device(
    model: str, port: str, baud: int, info: bool, load: Path | None, encode: str | None, decode: str | None,
    likelihood: str | None, out: Path | None, lanes: int | None, missing: float | None, timeout: float,
    dtype: str | None, shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Run a job on the engine of a board on a serial line, which must hold the circuit MODEL, a file or a project."""
    from pcedge.data.predictor import Predictor
    from pcedge.drivers.serial import open_serial
    from pcedge.engines.reference import ReferenceEngine

    asked = {"info": info, "encode": encode, "decode": decode, "likelihood": likelihood}
    chosen = [name for name in _JOBS if asked[name]]
    if len(chosen) != 1 and not (load is not None and not chosen):
        raise click.UsageError(f"one of --{', --'.join(_JOBS)} must be given, got {len(chosen)}")
    job = chosen[0] if chosen else "load"
    if (job in ("encode", "decode")) and out is None:
        raise click.UsageError(f"--{job} must come with --out")
    if job in ("info", "load") and out is not None:
        raise click.UsageError(f"--out must come without --{job}, which writes nothing")
    if lanes is not None and job != "encode":
        raise click.UsageError("--lanes must go with --encode")
    if missing is not None and job != "likelihood":
        raise click.UsageError("--missing must go with --likelihood")
    engine = ReferenceEngine(read_integer(model))
    if isinstance(engine.circuit.symbolizer, Predictor) and job not in ("info", "load"):
        raise UsageError(f"--{job} must have a circuit without a predictor stage: the bridge carries symbols only")
    with open_serial(port, baud=baud, engine=engine, timeout=timeout) as board:
        if load is not None:
            _load(board, load)
        if job == "load":
            return {"port": port, "loaded": str(load)}, f"{load}: the model is loaded", 0
        if job == "info":
            return _info(board, port)
        reading = reading_of(engine.circuit, dtype, shape, missing, header, partial=job == "likelihood")
        if encode is not None and out is not None:
            result, text, status = _encode(board, engine, encode, reading, out, lanes)
        elif decode is not None and out is not None:
            result, text, status = _decode(board, engine, decode, out)
        else:
            assert likelihood is not None
            result, text, status = _likelihood(board, engine, likelihood, reading, out, missing)
        return {"port": port, **result, "cycles": board.cycles}, text, status


def _load(board: Device, path: Path) -> None:
    """Load the model of a serial engine.

    Raises:
        FormatError: the file is no list of words.
    """
    import numpy as np

    from pcedge.drivers.contract import Job
    from pcedge.errors import FormatError

    data = path.read_bytes()
    if not data or len(data) % 4:
        raise FormatError("serial-model", f"{path} must be words of four bytes, it has {len(data)} bytes")
    board.run(Job.LOAD, [], [[np.frombuffer(data, dtype="<u4").astype(np.uint32)]], [])


def _info(board: Device, port: str) -> Result:
    from dataclasses import asdict

    said = asdict(board.info) | {"digest": board.info.digest.hex()}
    rows: list[list[object]] = [[name, value] for name, value in said.items()]
    return {"port": port, **said}, [table(f"the engine on {port}", ["what", "value"], rows)], 0


def _encode(
    board: Device, engine: ReferenceEngine, data: str, reading: Any, out: Path, lanes: int | None
) -> Result:  # fmt: skip
    from pcedge.codec.encoder import encode_to
    from pcedge.codec.files import fields_of
    from pcedge.data.forms import load_file

    x, form, _ = load_file(data, reading)
    with whole_file(out) as fresh, fresh.open("wb") as file:
        written = encode_to(board.coder(engine), x, file, lanes, None, fields_of(form))
    result = {"out": str(out), "records": len(x), "bytes": written.bytes} | said_header(data, reading)
    return result, f"{out}: {written.bytes} bytes for {counted(len(x), 'record')}", 0


def _decode(board: Device, engine: ReferenceEngine, stream: str, out: Path) -> Result:
    from pcedge.codec.files import decode_file

    restored = decode_file(board.coder(engine), Path(stream).read_bytes())
    with whole_file(out) as fresh:
        fresh.write_bytes(restored.data)
    result = {"out": str(out), "records": len(restored.array), "dtype": restored.dtype}
    return result, f"{out}: {restored.dtype} {restored.array.shape}", 0


def _likelihood(
    board: Device, engine: ReferenceEngine, data: str, reading: Any, out: Path | None, missing: float | None
) -> Result:
    import numpy as np

    from pcedge.arithmetic import log_of
    from pcedge.cli.grids import integer_mark
    from pcedge.data import load_array

    raw = load_array(data, reading)
    if not len(raw):
        raise DataError(f"{data} must hold at least one record, it holds none")
    symbols = to_symbols(engine.circuit, raw, integer_mark(missing))
    logs = log_of(*board.likelihood(engine.check(symbols, allow_missing=True)))
    if out is not None:
        save_array(out, logs)
    mean, impossible = float(logs.mean()), int(np.isneginf(logs).sum())
    result = {
        "records": len(logs), "mean_nats": None if impossible else mean, "impossible": impossible,
    } | said_header(data, reading)  # fmt: skip
    text = f"mean log-likelihood {mean:.6f} nats of {counted(len(logs), 'record')}"
    return result, text + (f", {impossible} of them impossible" if impossible else ""), 0
