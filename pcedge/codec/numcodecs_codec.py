"""The numcodecs codec `pcedge`, which numcodecs finds by its entry point (docs/stores.md)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcedge.codec import stream
from pcedge.codec.registry import digest_for, engine_of
from pcedge.codec.rows import as_rows
from pcedge.codec.source import Source
from pcedge.errors import missing_extra

try:
    from numcodecs.abc import Codec as NumcodecsCodec
    from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "numcodecs", "stores", "the codec of numcodecs") from error


class Pcedge(NumcodecsCodec):  # type: ignore[misc]
    """Compress buffers of integers with one circuit.

    A buffer is taken in the order of its memory, a record after the other: its numbers are a multiple of a record's.

    Args:
        circuit: an integer circuit, its program, or a file of one; None finds it by its digest.
        digest: 64 hexadecimal digits; None takes the circuit's.
        lanes: S, as in `pcedge.encode`.

    Raises:
        UsageError: neither is given, or they are not of one another.
    """

    codec_id = "pcedge"

    def __init__(self, circuit: Source | None = None, digest: str | None = None, lanes: int | None = None) -> None:
        """Name the circuit; it is opened when it is first used."""
        self.digest = digest_for(circuit, digest, "pcedge")
        self.lanes = stream.check_lanes(lanes)

    def encode(self, buf: Any) -> bytes:
        """Compress a buffer.

        Raises:
            DataError: the numbers do not fit the circuit.
        """
        engine = engine_of(self.digest)
        return stream.encode(engine, as_rows(engine.circuit, ensure_contiguous_ndarray(buf)), self.lanes)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Restore a buffer: an array of its numbers, of one dimension, or what `out` is.

        Raises:
            StreamError: the stream is damaged, or of another circuit.
            TypeError: `out` holds objects.
        """
        if out is not None:
            ensure_contiguous_ndarray(out)
        data = ensure_contiguous_ndarray(buf).tobytes()
        array = np.ascontiguousarray(stream.decode(engine_of(self.digest), data)).reshape(-1)
        return ndarray_copy(array, out)
