"""Version 2 of the stream: its fields, what may be passed over, and every error."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest
from helpers.paths import GOLDEN
from helpers.streams import numbered, small_circuit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.codec import check_stream, decode, encode
from pcedge.codec.fields import Field
from pcedge.codec.stream import Stream, parse
from pcedge.engines import ReferenceEngine
from pcedge.errors import StreamError, UsageError

ENGINE = ReferenceEngine(small_circuit())
DATA = numbered(7, (2, 2, 4)).astype(np.uint8)
PLAIN = encode(ENGINE, DATA, 2)
#: what the golden file carries: all fields that stand beside the records, and one that no version defines
FIELDS = {
    Field.SOURCE: b"raw >i2",
    Field.FRAME: b"\x04\0\0\0headtail",
    Field.PADDING: b"\1\2\3",
    Field.INDEX: b"",
    1000: b"?",
}


def head_end(stream: bytes) -> int:
    """Find the end of the header: its shape is that of DATA."""
    return stream.index(b"\x02\x07\x03") + 3


def forged(*fields: bytes, count: int | None = None, version: int = 2) -> bytes:
    """Put fields in a stream, whatever they are, with a right checksum."""
    end = head_end(PLAIN)
    header = PLAIN[:4] + bytes([version]) + PLAIN[5:end]
    header += bytes([len(fields) if count is None else count]) + b"".join(fields)
    return header + zlib.crc32(header).to_bytes(4, "little") + PLAIN[end + 4 :]


def refuse(stream: bytes, text: str) -> None:
    with pytest.raises(StreamError, match=f"^{re.escape(text)}$"):
        decode(ENGINE, stream)


def write_golden() -> None:
    """Write the file anew: only for a new version of the format."""
    (GOLDEN / "stream_fields.bin").write_bytes(encode(ENGINE, DATA, 2, fields=FIELDS))


def test_the_golden_file_decodes_and_is_written_again() -> None:
    stored = (GOLDEN / "stream_fields.bin").read_bytes()
    assert_array_equal(decode(ENGINE, stored), DATA)
    assert dict(parse(stored).fields) == FIELDS
    assert encode(ENGINE, DATA, 2, fields=FIELDS) == stored
    assert parse(stored).pack() == stored
    assert check_stream(ENGINE, DATA, stored, "all") == 7


def test_without_fields_a_stream_is_of_version_1() -> None:
    assert PLAIN[4] == 1 == parse(PLAIN).version
    assert encode(ENGINE, DATA, 2, fields={}) == PLAIN
    one = encode(ENGINE, DATA, 2, fields={1: b"csv"})
    # A byte for each of number, type and length, and the field.
    assert one[4] == 2 and len(one) == len(PLAIN) + 6
    assert one[head_end(one) :][:6] == b"\x01\x01\x03csv"
    assert one[-len(PLAIN) + head_end(PLAIN) + 4 :] == PLAIN[head_end(PLAIN) + 4 :]
    refuse(forged(), "a stream that version 1 can hold must be of it, got 2")


@given(st.dictionaries(st.sampled_from([1, 2, 3, 6, 8, 10, 65536]), st.binary(max_size=300), max_size=7))
@settings(max_examples=30, deadline=None)
def test_fields_come_back_and_change_no_record(fields: dict[int, bytes]) -> None:
    stream = encode(ENGINE, DATA, 2, fields=fields)
    assert dict(parse(stream).fields) == fields
    assert_array_equal(decode(ENGINE, stream), DATA)
    assert parse(stream).segments == parse(PLAIN).segments


@pytest.mark.parametrize("kind", [4, 5, 7, 9, 65535])
def test_what_may_not_be_passed_over_is_refused(kind: int) -> None:
    text = (
        f"the stream must have no field of type {kind}, which this version of pcedge does not understand and may not "
        "pass over: a later version reads it"
    )
    refuse(encode(ENGINE, DATA, 2, fields={kind: b""}), text)


def test_damaged_fields() -> None:
    refuse(forged(b"\1\0", b"\1\0"), "the next field must have a type of 2..65536, got 1")
    refuse(forged(b"\2\0", b"\1\0"), "the next field must have a type of 3..65536, got 1")
    refuse(forged(b"\0\0"), "the next field must have a type of 1..65536, got 0")
    refuse(forged(b"\x81\x80\x04\0"), "the next field must have a type of 1..65536, got 65537")
    refuse(forged(count=65), "a stream must have at most 64 fields, got 65")
    refuse(forged(b"\x81\0\0"), "fields: a count must be written in as few bytes as it needs")
    stream = encode(ENGINE, DATA, 2, fields=FIELDS)
    for end in range(head_end(stream), stream.index(b"?") + 5):
        with pytest.raises(StreamError, match=r"truncated stream|damaged stream"):
            decode(ENGINE, stream[:end])
    long = forged(b"\1\xff\xff\xff\xff\x0f")
    refuse(long, f"field 1 must have 4294967295 bytes, {len(PLAIN) - head_end(PLAIN)} are left: truncated stream")
    with pytest.raises(StreamError, match=r"^the stream must be of version 1 or 2, got 3$"):
        parse(forged(version=3))


@pytest.mark.parametrize("fields", [{0: b""}, {-1: b""}, {65537: b""}, dict.fromkeys(range(1, 66), b"")])
def test_fields_that_are_none(fields: dict[int, bytes]) -> None:
    with pytest.raises(UsageError, match=r"^a stream must have at most 64 fields of types 1\.\.65536, got \["):
        encode(ENGINE, DATA, fields=fields)


@pytest.mark.parametrize("name", [b"|V0", b"|V1000000", b"<f16", b"|O", b"<U9", b"<c8", b"M8"])
def test_types_of_version_2(name: bytes) -> None:
    header = b"\x8ePCE\x02" + small_circuit().digest[:16] + bytes([len(name)]) + name + b"\x01\x07\0"
    text = f"the dtype must be an integer or float type of numpy, or |V and a size, got {name!r}"
    refuse(header + zlib.crc32(header).to_bytes(4, "little"), text)


def test_data_of_another_type_than_the_circuits() -> None:
    digest, segments = small_circuit().digest[:16], parse(PLAIN).segments
    for dtype in (np.dtype("<f4"), np.dtype("V34")):
        text = f"the data must be of type <i8, as the circuit's, the header says {dtype.str}"
        refuse(Stream(digest, dtype, (7, 3), segments).pack(), text)
