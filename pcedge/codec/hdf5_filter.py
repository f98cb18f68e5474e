"""The filter of HDF5 that h5py compresses chunks with (docs/stores.md); importing this module registers it.

HDF5 takes a filter as a structure of two functions; they are made here by ctypes, so that nothing is compiled against
its headers and the engine does the work.
"""

from __future__ import annotations

import ctypes
import logging
import math
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from h5py import h5i, h5p, h5t, h5z
from numpy.typing import NDArray

from pcedge.codec import stream
from pcedge.codec.registry import digest_for, engine_of
from pcedge.codec.rows import as_rows
from pcedge.codec.source import Source
from pcedge.data.formats import HDF5_FILTER
from pcedge.errors import PcedgeError, StreamError, UsageError

FILTER_ID = HDF5_FILTER

#: of the numbers that a dataset carries: this version, the digest's eight words, dtype, lanes (0 is the default)
VERSION = 1
COUNT = 11

#: flags that HDF5 calls a filter with, and the version of the structure below
_REVERSE, _CLASS_VERSION = 0x0100, 1

_LOG = logging.getLogger("pcedge")

_Filter = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_uint, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint), ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_void_p),
)  # fmt: skip
_SetLocal = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class _Class(ctypes.Structure):
    """Lay out H5Z_class2_t (H5Zpublic.h)."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", _SetLocal),
        ("filter", _Filter),
    )


# The memory of a chunk changes hands, so it must be of the C library that HDF5 was built with.
_C = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
_C.malloc.argtypes, _C.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
_C.free.argtypes, _C.free.restype = (ctypes.c_void_p,), None


def options(
    circuit: Source | None = None, dtype: Any = np.uint8, *, digest: str | None = None, lanes: int | None = None
) -> dict[str, Any]:
    """Give what h5py's `create_dataset` takes to compress a dataset: `create_dataset(…, **options(circuit, x.dtype))`.

    Args:
        circuit: an integer circuit, its program, or a file of one; None finds it by its digest.
        dtype: the dataset's.
        digest: 64 hexadecimal digits.
        lanes: S, as in `pcedge.encode`.

    Raises:
        UsageError: neither circuit nor digest is given, they are not of one another, or the dtype is none of numbers.
    """
    found = np.frombuffer(bytes.fromhex(digest_for(circuit, digest, "pcedge of HDF5")), dtype="<u4")
    kind = np.dtype(dtype)
    if kind.kind not in "iubf":
        raise UsageError(f"a dataset that pcedge compresses must have numbers, got {kind}")
    code = ord(kind.kind) | kind.itemsize << 8 | ord(kind.str[0]) << 16
    values = (VERSION, *map(int, found), code, stream.check_lanes(lanes) or 0)
    return {"compression": FILTER_ID, "compression_opts": values}


def _parameters(values: Sequence[int]) -> tuple[str, np.dtype[Any], int | None]:
    """Give the digest, dtype and lanes of a dataset's numbers.

    Raises:
        UsageError: they are none of this version.
    """
    if len(values) != COUNT or values[0] != VERSION:
        raise UsageError(
            f"a dataset's filter {FILTER_ID} must have {COUNT} numbers of version {VERSION}, got {values[:COUNT]}"
        )
    digest = np.array(values[1:9], dtype="<u4").tobytes().hex()
    kind, size, order = values[9] & 0xFF, values[9] >> 8 & 0xFF, values[9] >> 16
    try:
        return digest, np.dtype(f"{chr(order)}{chr(kind)}{size}"), values[10] or None
    except (TypeError, ValueError) as error:
        raise UsageError(f"a dataset's dtype must be of numbers, got {values[9]:#x}") from error


def _changed(data: bytes, values: Sequence[int], reverse: bool) -> bytes:
    """Compress a chunk, or restore it."""
    digest, dtype, lanes = _parameters(values)
    engine = engine_of(digest)
    if reverse:
        return stream.decode(engine, data).astype(dtype, copy=False).tobytes()
    return stream.encode(engine, as_rows(engine.circuit, np.frombuffer(data, dtype=dtype)), lanes)


class _Reading(threading.local):
    """Hold what `read` learns of the chunks that HDF5 has this thread restore."""

    active = False
    #: bytes of a chunk, which HDF5 takes from what a filter gives, however short that is
    size = 0
    error: BaseException | None = None


_READING = _Reading()


def _exchange(flags: int, count: int, values: Any, size: int, room: Any, buffer: Any) -> int:
    """Put a new chunk in the place of an old one; 0 says that it could not be."""
    reverse = bool(flags & _REVERSE)
    try:
        data = _changed(ctypes.string_at(buffer[0], size), values[:count], reverse)
        if reverse and len(data) < _READING.size:
            raise StreamError(f"a chunk must restore {_READING.size} bytes, its stream holds {len(data)}")
        if not reverse and len(data) >= size:
            return 0  # as HDF5's own filters do: the chunk is stored as it is
        fresh = _C.malloc(max(1, len(data)))
        if not fresh:
            raise MemoryError
    except (PcedgeError, MemoryError) as error:
        # HDF5 says only that a filter failed; where it may, it then stores the chunk as it is.
        if reverse and _READING.active:
            _READING.error = error
        else:
            _LOG.warning("a chunk is not %s: %s", "restored" if reverse else "compressed", error or "no memory")
        return 0
    ctypes.memmove(fresh, data, len(data))
    _C.free(buffer[0])
    buffer[0], room[0] = fresh, len(data)
    return len(data)


def read(dataset: Any) -> NDArray[Any]:
    """Read a dataset of h5py whole; say why where that is a chunk which is not restored.

    Raises:
        PcedgeError: the circuit of a chunk is not found, or the chunk is damaged.
        OSError: HDF5 cannot read it for another reason.
    """
    _READING.active, _READING.error = True, None
    _READING.size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    try:
        return np.asarray(dataset[()])
    except OSError as error:
        if _READING.error is not None:
            raise _READING.error from error
        raise
    finally:
        _READING.active, _READING.size, _READING.error = False, 0, None


def _look(properties: int, kind: int, _: int) -> int:
    """Look at a dataset that is made: numbers of another type than `options` was told compress badly, if at all."""
    try:
        values = _owned(h5p.PropDCID, properties).get_filter_by_id(FILTER_ID)[1]
        wanted, found = _parameters(values)[1], _dtype_of(kind)
    except (PcedgeError, AttributeError, TypeError, ValueError, RuntimeError):
        return 0  # the first chunk says what is wrong
    if found != wanted:
        _LOG.warning(
            "a dataset of %s must have the options of its dtype, options(circuit, %r), it has those of %s: its chunks "
            "are hardly compressed, or stored as they are", found, found.str, wanted,
        )  # fmt: skip
    return 0


def _dtype_of(kind: int) -> np.dtype[Any]:
    """Give numpy's name of a type of HDF5; booleans of h5py are enumerations of a byte."""
    classes = {h5t.INTEGER: h5t.TypeIntegerID, h5t.FLOAT: h5t.TypeFloatID, h5t.ENUM: h5t.TypeEnumID}
    plain = _owned(h5t.TypeID, kind)
    found: np.dtype[Any] = _owned(classes.get(plain.get_class(), h5t.TypeOpaqueID), kind).dtype
    return found


def _owned(made: Any, number: int) -> Any:
    """Take an identifier that HDF5 owns: h5py gives it back when the object goes."""
    found = made(number)
    h5i.inc_ref(found)
    return found


# They live as long as HDF5 may call them.
_FUNCTION, _SET_LOCAL = _Filter(_exchange), _SetLocal(_look)
_CLASS = _Class(_CLASS_VERSION, FILTER_ID, 1, 1, b"pcedge", None, _SET_LOCAL, _FUNCTION)


def address() -> int:
    """Give where the filter's function is, for the plugin (pcedge/native/src/hdf5_plugin.c)."""
    found = ctypes.cast(_FUNCTION, ctypes.c_void_p).value
    assert found is not None
    return found


def register() -> None:
    """Have the HDF5 of this process know the filter."""
    h5z.register_filter(ctypes.addressof(_CLASS))


register()
