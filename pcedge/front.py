"""The front door: what `import pcedge` offers beside the classes and functions of the rooms (see `pcedge.__all__`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import limits
from pcedge.circuit import Circuit, load_circuit
from pcedge.codec import files
from pcedge.codec.codec import Codec
from pcedge.codec.decoder import StreamFile, StreamSource
from pcedge.codec.registry import find_circuit
from pcedge.codec.source import Source, program_of
from pcedge.codec.stream import check_lanes
from pcedge.data.reading import PLAIN, Reading
from pcedge.files import is_safetensors
from pcedge.integer import IntegerCircuit
from pcedge.native import EngineName
from pcedge.schedule.program import Program

if TYPE_CHECKING:
    from pcedge.evaluate.explaining import Explanation


def load(source: limits.Source) -> Circuit | IntegerCircuit:
    """Open a circuit of any form.

    Args:
        source: a float circuit (`.pcedge`), an integer circuit (`.onnx`) or a program (`.pcp`), as path, bytes or
            binary file; or the name of a shipped circuit, see `pcedge zoo`, where there is no such file. `digits` is
            the float circuit.

    Raises:
        FormatError: the file breaks its format.
        UsageError: the source is neither a path nor bytes nor a binary file.
        OSError: the file cannot be read.

    Example:
        >>> type(load("digits")).__name__, type(load("nltcs")).__name__
        ('Circuit', 'IntegerCircuit')
    """
    if isinstance(source, str):
        from pcedge.export.onnx.shipped import is_shipped, load_zoo

        if is_shipped(source):
            return load_circuit(source) if source == "digits" else load_zoo(source)
    data, where = limits.read_source(source)
    if is_safetensors(data):
        return load_circuit(source if isinstance(source, str | os.PathLike) else data)
    return program_of(data, where).circuit


def to_integer(circuit: Circuit, **settings: Any) -> IntegerCircuit:
    """Quantize a float circuit; an integer circuit has the same bits in every engine.

    Args:
        circuit: the float circuit.
        settings: fields of `pcedge.quantize.QuantizationConfig`: `weight_bits`, `leaf_bits`, `state_bits`, …; the
            others are the circuit's defaults (W 8, A 16, L 12, or 15 with a predictor stage or a grid that clips).

    Raises:
        WidthError: a width is out of its range.
        UsageError: a setting is out of its range.
    """
    from pcedge.quantize import QuantizationConfig, quantize

    return quantize(circuit, replace(QuantizationConfig.of(circuit), **settings))


@lru_cache(maxsize=2)
def _kept(circuit: IntegerCircuit | Program, engine: EngineName) -> Codec:
    return Codec(circuit, engine=engine)


def _codec(
    circuit: Source, lanes: int | None = None, engine: EngineName = "auto", given: Sequence[int] | None = None
) -> Codec:
    """Open a codec. Those of the last two circuits stay: to lay a circuit out takes longer than to code many records.

    A file is read anew, for it may be another one.
    """
    if given is not None or not isinstance(circuit, IntegerCircuit | Program) or not isinstance(engine, str):
        return Codec(circuit, lanes, engine, given)
    codec = copy(_kept(circuit, engine))
    codec.lanes = check_lanes(lanes)
    return codec


def encode(
    circuit: Source, x: ArrayLike, lanes: int | None = None, engine: EngineName = "auto", index: int | None = None,
    given: Sequence[int] | None = None,
) -> bytes:  # fmt: skip
    """Compress records to a stream.

    Args:
        circuit: an integer circuit, a file of one (`.pcp`, `.onnx`), or the name of a shipped one (`pcedge zoo`).
        x: integers or booleans of shape (N, …), none missing; with a symbolizer, the data that it takes; with a grid,
            values, of which the stream keeps the symbols.
        lanes: S, the lanes of a segment; more lanes decode faster and cost a flush byte and a length each.
        engine: `auto`, `native` or `numpy`; the bytes are the same.
        index: records of a segment of a stream with an index, of which some can be read without the others; 0 chooses
            them. None writes no index.
        given: variables that whoever decodes knows: nothing is stored of them, and the others are coded given them.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: lanes is not positive, index is out of its range, or variables cannot be given.

    Example:
        >>> from pcedge.data import load_array
        >>> x = load_array("digits")
        >>> bool(np.array_equal(decode("digits", encode("digits", x)), x))
        True
    """
    codec = _codec(circuit, lanes, engine, given)
    grid = files.coded_grid(codec.engine.circuit)
    if grid is not None:
        x = grid.symbols_of(x).astype(grid.dtype)
    return codec.encode(x, index)


def decode(
    circuit: Source | None, data: StreamSource, engine: EngineName = "auto", records: slice | None = None,
    given: ArrayLike | None = None,
) -> NDArray[np.generic]:  # fmt: skip
    """Restore the records of a stream, with their dtype and shape; of a circuit with a grid, the grid's values.

    Args:
        circuit: an integer circuit, a file of one (`.pcp`, `.onnx`), or the name of a shipped one (`pcedge zoo`); None
            finds that which the stream names, as `pcedge.codec.registry.find_circuit` does.
        data: the stream, or a file of it as path or binary file, of which no more is read than some records need.
        engine: `auto`, `native` or `numpy`.
        records: which records, a slice of step 1; None restores all.
        given: the values of the stream's given variables, a row for every record, or whole records.

    Raises:
        StreamError: the stream is truncated, damaged, of another version, or of another circuit.
        UsageError: no circuit is found, an end of `records` is not among them, given values are missing that the stream
            needs, or it has no use for them.
        DataError: the given values have another shape, or are not those of the encoder.
    """
    codec = _codec(_named(data) if circuit is None else circuit, engine=engine)
    return files.values_of(codec.engine.circuit, codec.decode(data, records=records, given=given))


def encode_file(
    circuit: Source, source: str | os.PathLike[str], lanes: int | None = None, reading: Reading = PLAIN,
    given: Sequence[int] | None = None,
) -> bytes:  # fmt: skip
    """Compress a file to a stream, which carries what writes the file again byte for byte.

    Args:
        circuit: an integer circuit, a file of one (`.pcp`, `.onnx`), or the name of a shipped one (`pcedge zoo`).
        source: a file as `load_array` takes it.
        lanes: S, as in `encode`.
        reading: what the file does not say itself.
        given: variables that whoever decodes knows, as in `encode`.

    Raises:
        DataError: the file is damaged, or its data do not fit the circuit.
        UsageError: lanes is not positive, the reading does not fit the file, or variables cannot be given.
    """
    return files.encode_file(_codec(circuit, given=given).engine, os.fspath(source), reading, lanes).stream


def decode_file(
    circuit: Source | None, data: bytes, format: str | None = None, given: ArrayLike | None = None
) -> bytes:
    """Restore the file of a stream.

    Args:
        circuit: an integer circuit, a file of one (`.pcp`, `.onnx`), or the name of a shipped one (`pcedge zoo`); None
            finds that which the stream names.
        data: the stream.
        format: `npy`, `csv`, `tsv`, `raw`, `wav` or `idx`; None gives the file that was encoded, byte for byte, and a
            `.npy` file where the stream names none.
        given: the values of the stream's given variables, as in `decode`.

    Raises:
        StreamError: the stream is truncated, damaged, of another version, or of another circuit.
        UsageError: no circuit is found, the format cannot hold the data, or given values as in `decode`.
        DataError: the given values have another shape, or are not those of the encoder.
    """
    return files.decode_file(
        _codec(_named(data) if circuit is None else circuit).engine, data, format, given=given
    ).data


def _named(data: StreamSource) -> Program:
    """Find the circuit that a stream names.

    Raises:
        StreamError: its header is damaged.
        UsageError: there is no such circuit.
    """
    with contextlib.closing(StreamFile(data)) as file:
        found = find_circuit(file.head.digest.hex())
    if not isinstance(data, bytes | bytearray | memoryview | str | os.PathLike):
        data.seek(0)  # whoever decodes reads it again
    return found


def explain(
    circuit: Circuit | Source, x: ArrayLike, records: Sequence[int] | None = None, top: int = 5, *,
    others: bool = True, missing: float | None = None, engine: EngineName = "auto",
) -> Explanation:  # fmt: skip
    """Share the bits of records, -log2 p, out to their variables; the shares of a record sum to its bits.

    Args:
        circuit: a float circuit, an integer one, a file of either, or the name of a shipped one (`pcedge zoo`), which
            is the integer circuit.
        x: data of shape (N, …) as the circuit takes them; a symbol of -1, or a value of a grid that is NaN or None, is
            missing and summed out.
        records: numbers of the records that are explained; None takes those that cost most, the lower of equals first.
        top: how many these are, at most.
        others: whether to give the bits of each variable given all others, too: a likelihood a variable.
        missing: of a circuit with a predictor stage, what marks a missing number.
        engine: `auto`, `native` or `numpy`, of an integer circuit; the result is the same.

    Returns:
        An `Explanation`: `records`, (n,), `shares`, `given_others` and `widths`, (n, variables), `bits`, (n,), ….

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: a number is that of no record, or `top` is below 1.
        FormatError: the file breaks its format.

    Example:
        >>> from pcedge.data import load_array
        >>> found = explain("digits", load_array("digits"), top=1)
        >>> found.records.tolist(), found.bits.round(1).tolist(), int(found.shares[0].argmax())
        ([293], [191.9], 34)
    """
    from pcedge.data.maps import symbols_of
    from pcedge.data.predictor import Predictor
    from pcedge.evaluate.explaining import explain_records, explain_rows
    from pcedge.export.onnx.shipped import is_shipped

    if not isinstance(circuit, Circuit | IntegerCircuit | Program) and not is_shipped(circuit):
        circuit = load(circuit)
    model = circuit if isinstance(circuit, Circuit) else _codec(circuit, engine=engine).engine
    described = model if isinstance(model, Circuit) else model.circuit
    if isinstance(described.symbolizer, Predictor):
        return explain_rows(model, x, records, top, missing)
    if described.symbolizer is not None:
        x = symbols_of(described.symbolizer, x)
    elif described.grid is not None and not described.grid.plain:
        x = described.grid.symbols_of(x, allow_missing=True)
    return explain_records(model, x, records, top, others=others)
