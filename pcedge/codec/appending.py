"""New records at the end of a stream: what is written is the stream of all records, in the place of the old one."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.codec.container import Stream
from pcedge.codec.decoder import Decoder, StreamFile
from pcedge.codec.encoder import Encoder, Written
from pcedge.codec.fields import Field
from pcedge.codec.files import fields_of, source_of
from pcedge.codec.given import given_of, given_rows, in_words
from pcedge.codec.stream import check_head, segment_rows
from pcedge.data.forms import Form
from pcedge.data.predictor import Predictor
from pcedge.engines.base import LaneCoder
from pcedge.errors import MismatchError, UsageError
from pcedge.files import is_replaced, locked, replacing

#: forms whose headers count the records, in words
COUNTING = {"wav": "a WAV file", "idx": "an IDX file"}


def append(
    engine: LaneCoder,
    stream: StreamFile,
    x: NDArray[Any],
    out: BinaryIO,
    lanes: int | None = None,
    fields: Mapping[int, bytes] | None = None,
    known: ArrayLike | None = None,
) -> Written:
    """Write a stream with more records at its end: the bytes are those of all records encoded at once.

    Whole segments are copied; the last one, if it is short, is decoded and encoded anew with what comes.

    Args:
        engine: the circuit's engine.
        stream: the old stream.
        x: the new records, of its type and shape.
        out: where the new stream is written, another file.
        lanes: S where no whole segment of the old stream says it.
        fields: what the header carries; None takes what the old one has.
        known: the given values of the old stream's records, as `Decoder` takes them; None will do where nothing is
            given, or the last segment of the old stream is full.

    Raises:
        DataError: the records do not fit the circuit or are of another type or shape, or the given values are not those
            of the old stream.
        StreamError: the stream is damaged, or of another circuit.
        UsageError: lanes is not the stream's, or given values are missing that it needs.
    """
    head = stream.head
    check_head(engine.circuit, head)
    if head.packet_bytes is not None:
        raise UsageError(
            "records must be appended to a stream of segments, this one has packets: encode all records anew with "
            "--packet-bytes, or those that come into a stream of their own"
        )
    engine = engine.with_given(head.given)
    size = head.indexed[0] if head.indexed is not None else segment_rows(engine.circuit.symbolizer)
    if known is None and head.given:
        known = _no_values(head, size)
    decoder = Decoder.of(engine, stream, known)
    numbered = list(enumerate(stream.entries()))
    whole = [stream.read(number, entry) for number, entry in numbered if entry.records == size]
    rest = [(number, entry) for number, entry in numbered if entry.records != size]
    kept = next((len(segment.lanes) for segment in whole if segment.stored is None), None)
    if head.indexed is not None:
        kept = head.indexed[1]
    if kept is not None and lanes not in (None, kept):
        raise UsageError(f"lanes must be those of the stream, {kept}, got {lanes}")
    if lanes is None and kept is None and rest and not isinstance(engine.circuit.symbolizer, Predictor):
        # A segment with a lane for every record does not say in how many more it might have been.
        last, symbolizer = stream.read(*rest[-1]), engine.circuit.symbolizer
        most = last.records if symbolizer is None else min(last.records, symbolizer.records(last.records))
        kept = len(last.lanes) if 0 < len(last.lanes) < most else None
    own = (Field.LANE_ORDER, Field.SEGMENTS, Field.STORED, Field.GIVEN)
    beside = {kind: data for kind, data in head.fields if kind not in own} if fields is None else fields
    index = None if head.indexed is None else size
    with Encoder.of(engine, out, lanes or kept, index=index, fields=beside) as encoder:
        encoder.write(decoder.read(0, 0))
        for segment in whole:
            encoder.copy(segment)
        encoder.write(decoder.read(size * len(whole), len(decoder)))
        encoder.write(x)
        return encoder.close()


def append_file(
    engine: LaneCoder, path: Path, x: NDArray[Any], form: Form | None = None, lanes: int | None = None,
    verify: bool = True, known: ArrayLike | None = None,
) -> Written:  # fmt: skip
    """Append records to a stream in a file, which is the old one until the new one is complete and on the disk.

    Args:
        engine: the circuit's engine.
        path: the file.
        x: the new records.
        form: of the file that they came from, which must go on that of the stream's; None where they came from none.
        lanes: S, as of `append`.
        verify: whether the new records are decoded and compared before the new stream takes its place.
        known: the given values of the records that are there, as of `append`.

    Raises:
        DataError: the records do not fit the circuit.
        MismatchError: the new stream does not give back the records.
        StreamError: the stream is damaged, or of another circuit.
        UsageError: the path is no file, the forms do not go together, or as of `append`.
        OSError: another run writes the file, or it cannot be written.
    """
    if not path.is_file() or not is_replaced(path):
        raise UsageError(f"records are appended to a stream in a file that is there, {path} is none")
    with locked(path), contextlib.closing(StreamFile(path)) as stream, replacing(path) as fresh:
        old = source_of(stream.head)
        fields = fields_of(joined(old, form)) if form is not None or old is not None else None
        with fresh.open("wb") as out:
            written = append(engine, stream, x, out, lanes, fields, known)
        if verify:
            _compare(engine, fresh, x, known, stream.head)
    return written


def joined(old: Form | None, new: Form | None) -> Form:
    """Give the form of a file with the records of another one at its end.

    Raises:
        UsageError: the file that would come back is not the one with these records at its end.
    """
    first, second = old or Form("npy"), new or Form("npy")
    if first.format in COUNTING:
        raise UsageError(
            f"records must be appended to a stream of a .npy file, a table or raw binary, this one is of "
            f"{COUNTING[first.format]}, whose header counts its records: encode all of them anew, "
            "or those that come into a stream of their own"
        )
    head, more = (form.head.removeprefix(codecs.BOM_UTF8) for form in (first, second))
    heads = more in (b"", head) and (not first.head or first.format in ("csv", "tsv"))
    if first.text != second.text or not heads or first.tail or second.tail or first.padding:
        raise UsageError(
            f"what is appended must be of the form of the stream's file ({_told(first)}), whose header does not count "
            f"its records and which ends with the last of them, got {_told(second)}"
        )
    return replace(first, padding=second.padding)


def _told(form: Form) -> str:
    """Name a form, and the bytes beside its numbers."""
    parts = {"before": form.head, "behind": form.tail, "left over behind": form.padding}
    beside = [f"{_bytes_told(data)} {where} its numbers" for where, data in parts.items() if data]
    return form.text + (" with " + " and ".join(beside) if beside else "")


def _bytes_told(data: bytes) -> str:
    """Show text, as a table's header is, and of what is none how much it is."""
    try:
        readable = data.decode().replace("\r", "").replace("\n", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        readable = False
    return f"{data[:40]!r}{' …' if len(data) > 40 else ''}" if readable else f"{len(data)} bytes"


def _no_values(head: Stream, size: int) -> NDArray[Any]:
    """Stand in for the given values of whole segments, which are copied as they are.

    Raises:
        UsageError: the last segment is decoded, for which its values are needed.
    """
    if head.shape[0] % size:
        raise UsageError(
            f"the values of variables {in_words(head.given)} of the {head.shape[0]} records that are there must be "
            "given (--known FILE, known= in Python): the last segment is not full, and is encoded anew with what comes"
        )
    return np.zeros((head.shape[0], len(head.given)), dtype=head.dtype)


def _compare(engine: LaneCoder, path: Path, x: NDArray[Any], known: ArrayLike | None, old: Stream) -> None:
    with contextlib.closing(StreamFile(path)) as stream:
        if old.given:
            there = given_rows(old, known) if known is not None else np.zeros((old.shape[0], len(old.given)), old.dtype)
            known = np.concatenate([there, given_of(x, old.given)])
        decoder = Decoder.of(engine, stream, known)
        first = start = len(decoder) - len(x)
        for block in decoder.blocks(start, len(decoder)):
            part = x[first - start : first - start + len(block)]
            # By their bytes: NaN is not equal to itself.
            if block.tobytes() != part.astype(block.dtype, copy=False).tobytes():
                raise MismatchError(f"records {first}..{first + len(block) - 1} must decode to those appended")
            first += len(block)
