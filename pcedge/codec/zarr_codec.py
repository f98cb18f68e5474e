"""The zarr v3 codec `pcedge.pce`, array to bytes, which zarr finds by its entry point (docs/stores.md)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcedge.codec import stream
from pcedge.codec.registry import digest_for, engine_of, find_circuit, name_circuit
from pcedge.codec.rows import as_rows, check_chunk
from pcedge.codec.source import Source
from pcedge.errors import UsageError, missing_extra
from pcedge.schedule.serialised import from_bytes, to_bytes

try:
    import zarr
    from zarr.abc.codec import ArrayBytesCodec
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.common import JSON, parse_named_configuration
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "zarr", "stores", "the codec of zarr") from error

NAME = "pcedge.pce"
#: the group beside an array in which circuits are kept, by their digests
GROUP = "pcedge"


@dataclass(frozen=True, init=False)
class PceCodec(ArrayBytesCodec):  # type: ignore[misc]
    """Compress chunks with one circuit: a chunk, in C order, is a number of records.

    Args:
        circuit: an integer circuit, its program, or a file of one; None finds it by its digest.
        digest: 64 hexadecimal digits.
        lanes: S, as in `pcedge.encode`.

    Raises:
        UsageError: neither circuit nor digest is given, or they are not of one another.
    """

    is_fixed_size = False

    digest: str
    lanes: int | None

    def __init__(self, circuit: Source | None = None, *, digest: str | None = None, lanes: int | None = None) -> None:
        """Name the circuit; it is opened when it is first used."""
        object.__setattr__(self, "digest", digest_for(circuit, digest, NAME))
        object.__setattr__(self, "lanes", stream.check_lanes(lanes))

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> PceCodec:
        """Make the codec that an array's metadata name."""
        _, configuration = parse_named_configuration(data, NAME)
        return cls(**configuration)

    def to_dict(self) -> dict[str, JSON]:
        """Give what the metadata hold: the digest, and the lanes where they are chosen."""
        chosen: dict[str, JSON] = {} if self.lanes is None else {"lanes": self.lanes}
        return {"name": NAME, "configuration": {"digest": self.digest, **chosen}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Demand chunks that the circuit takes when an array is made; where there is no circuit yet, any will do.

        Raises:
            DataError: a chunk's numbers are no multiple of a record's, or of another kind.
        """
        try:
            circuit = find_circuit(self.digest).circuit
        except UsageError:
            return
        # Chunks of unequal shapes are seen when they are written.
        chunk = getattr(chunk_grid, "chunk_shape", None)
        if chunk is not None:
            check_chunk(circuit, chunk, dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Refuse: the size hangs on the data."""
        raise NotImplementedError

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = stream.decode(engine_of(self.digest), chunk_data.to_bytes())
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array.reshape(chunk_spec.shape))

    def _encode_sync(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        engine = engine_of(self.digest)
        rows = as_rows(engine.circuit, np.ascontiguousarray(chunk_data.as_numpy_array()))
        return chunk_spec.prototype.buffer.from_bytes(stream.encode(engine, rows, self.lanes))


def keep_in_group(group: zarr.Group, digest: str) -> None:
    """Put a circuit into the group `pcedge/` beside arrays, so that the store needs no other file."""
    data = np.frombuffer(to_bytes(find_circuit(digest)), dtype=np.uint8)
    group.require_group(GROUP).create_array(digest, data=data, overwrite=True)


def find_in_group(group: zarr.Group) -> list[str]:
    """Have this process know the circuits of the group `pcedge/`; give their digests.

    Raises:
        FormatError: one breaks its format.
    """
    if GROUP not in group:
        return []
    kept: Any = group[GROUP]
    return [
        name_circuit(from_bytes(np.asarray(array[:]).tobytes(), f"the circuit {name}"))
        for name, array in sorted(kept.arrays())
    ]
