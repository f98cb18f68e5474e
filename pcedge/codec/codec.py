"""A codec as an object: one circuit, and how its records are laid in lanes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.codec import stream
from pcedge.codec.container import parse
from pcedge.codec.decoder import Decoder, StreamFile, StreamSource, range_of
from pcedge.codec.given import given_rows
from pcedge.codec.packet_stream import decode_packet_stream, whole
from pcedge.codec.source import Source, open_program
from pcedge.errors import UsageError
from pcedge.limits import read_source
from pcedge.native import EngineName, open_engine


class Codec:
    """Compress records of one circuit and restore them; its shape is that of numcodecs' codecs.

    Args:
        circuit: an integer circuit, its program, a file of one (`.pcp`, `.onnx`) as path, bytes or binary file,
            or the name of a shipped one (`pcedge zoo`).
        lanes: S, the lanes of a segment, as in `pcedge.encode`.
        engine: `auto`, `native` or `numpy`; the bytes are the same.
        given: variables that both sides know, which are in no stream that is made; None takes those of the program.

    Raises:
        UsageError: lanes is not positive, there is no such engine, or a variable is none of the circuit.
        MissingToolError: the native engine is asked for, and there is no library.
        FormatError: the file breaks its format.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> codec = Codec(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> codec.decode(codec.encode(np.array([[1], [0]], dtype=np.uint8))).tolist()
        [[1], [0]]
    """

    codec_id = "pcedge"

    def __init__(
        self, circuit: Source, lanes: int | None = None, engine: EngineName = "auto", given: Sequence[int] | None = None
    ) -> None:
        """Open the circuit."""
        self.lanes = stream.check_lanes(lanes)
        self._program, self._name = open_program(circuit, given), engine
        self.engine = open_engine(self._program, engine)

    def __reduce__(self) -> tuple[type[Codec], tuple[object, ...]]:
        """Pickle the circuit and how it is coded; the engine is opened where it is unpickled."""
        return Codec, (self._program, self.lanes, self._name)

    @property
    def digest(self) -> str:
        """Give the digest of the circuit, 64 hexadecimal digits."""
        return self.engine.circuit.digest.hex()

    def encode(self, buf: ArrayLike, index: int | None = None) -> bytes:
        """Compress records, as `pcedge.encode` does.

        Raises:
            DataError: the data do not fit the circuit.
            UsageError: index is out of its range, or variables of a circuit with a symbolizer are given.
        """
        return stream.encode(self.engine, buf, self.lanes, index=index)

    def decode(
        self, buf: StreamSource, out: NDArray[np.generic] | None = None, records: slice | None = None,
        given: ArrayLike | None = None,
    ) -> NDArray[np.generic]:  # fmt: skip
        """Restore records with their dtype and shape.

        Args:
            buf: the stream, or a file of it as path or binary file; for some of its records no more is read than they
                need.
            out: an array of that dtype and shape to write to; None makes one.
            records: which records, a slice of step 1; None restores all.
            given: the values of the stream's given variables for every record, or whole records.

        Raises:
            StreamError: the stream is truncated, damaged, of another version, or of another circuit, or lacks packets.
            UsageError: `out` has another dtype or shape, an end of `records` is not among them, given values are
                missing that the stream needs, or it has no use for them.
            DataError: the given values have another shape, or are not those of the encoder.
        """
        if records is not None:
            restored = self._some(buf, records, given)
        else:
            # A path is one of a file here as with some records.
            named = isinstance(buf, str | os.PathLike) or hasattr(buf, "read")
            parsed = parse(read_source(buf)[0] if named else buf)
            if parsed.packet_bytes is None:
                restored = stream.decode(self.engine, parsed, given=given)
            else:
                given_rows(parsed, given)  # packets have no use for any
                restored = whole(decode_packet_stream(self.engine, parsed))
        if out is None:
            return restored
        if out.dtype != restored.dtype or out.shape != restored.shape:
            raise UsageError(
                f"out must be {restored.dtype} of shape {restored.shape}, got {out.dtype} of shape {out.shape}"
            )
        out[...] = restored
        return out

    def _some(self, buf: StreamSource, records: slice, given: ArrayLike | None) -> NDArray[np.generic]:
        with Decoder.of(self.engine, StreamFile(buf), given) as decoder:
            return decoder.read(*range_of(records, len(decoder)))

    def get_config(self) -> dict[str, Any]:
        """Give what names this codec: `id`, the circuit's digest, the lanes, and what is given."""
        given = {"given": list(self.engine.given)} if self.engine.given else {}
        return {"id": self.codec_id, "digest": self.digest, "lanes": self.lanes} | given

    @classmethod
    def from_config(cls, config: dict[str, Any], circuit: Source) -> Codec:
        """Make the codec that a configuration names.

        Raises:
            UsageError: the circuit has another digest, or the configuration is of another codec.
        """
        codec = cls(circuit, config.get("lanes"), given=config.get("given"))
        if config.get("id") != cls.codec_id or config.get("digest") != codec.digest:
            raise UsageError(
                f"the configuration must be of {cls.codec_id} and the circuit {codec.digest}, "
                f"got {config.get('id')} and {config.get('digest')}"
            )
        return codec
