"""Estimators in pickles and joblib files: replayed on plain values, nothing is imported or called."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.arrays import NAMES, buffer_of, shaped
from pcedge.importers.estimators.known import mentioned
from pcedge.importers.estimators.parameters import Described
from pcedge.importers.pickles import RULE, Call, Name, replay, skip
from pcedge.limits import MemoryBudget

_SCALAR = {f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")}
_OBJECT = {"copy_reg._reconstructor", "copyreg._reconstructor"}
_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
#: what stands for nothing that a density needs
_IGNORED = ("collections.deque", "numpy.random.")
_ALLOWED = NAMES | _SCALAR | _OBJECT | {_WRAPPER, "builtins.object", "__builtin__.object"}

#: what a zlib stream starts with, as joblib compresses
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_DEPTH = 60
_CHUNK = 1 << 20


def read(data: bytes, where: str, budget: MemoryBudget) -> Described:
    """Read a pickle of an estimator, of any protocol, or what joblib writes, with zlib or without.

    Args:
        data: the file.
        where: its name, for messages.
        budget: of its memory.

    Raises:
        FormatError: it is damaged, mentions anything but known estimators and arrays, or needs too much memory.
    """
    if data[:2] in _ZLIB:
        data = _unpacked(data, where, budget)
    record = _replayed(data, where, budget)
    try:
        made = _value(record, where, budget, 0)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError(RULE, f"{where} must be a whole estimator ({type(error).__name__}: {error})") from error
    if not isinstance(made, Described):
        raise FormatError(RULE, f"{where} must hold an estimator, it holds a {type(made).__name__}")
    return made


def _replayed(data: bytes, where: str, budget: MemoryBudget) -> Any:
    return replay(
        data, lambda name: name in _ALLOWED or name.startswith(_IGNORED) or mentioned(name), where, budget,
        what="a known estimator", built=lambda call, file: _array_behind(call, file, where, budget),
    )  # fmt: skip


def _unpacked(data: bytes, where: str, budget: MemoryBudget) -> bytes:
    unpacker, parts = zlib.decompressobj(), []
    try:
        while data and not unpacker.eof:
            part = unpacker.decompress(data, _CHUNK)
            budget.take(2 * len(part))
            parts.append(part)
            data = unpacker.unconsumed_tail
    except zlib.error as error:
        raise FormatError(RULE, f"{where} must be a whole zlib stream ({error})") from error
    if not unpacker.eof:
        raise FormatError(RULE, f"{where} must be a whole zlib stream, it ends early")
    return b"".join(parts)


def _array_behind(call: Call, file: BytesIO, where: str, budget: MemoryBudget) -> Any:
    """Read the numbers that joblib writes behind the record of an array."""
    if call.function.text != _WRAPPER:
        return call
    state = call.state
    if not isinstance(state, dict):
        raise TypeError("an array's record must have a state")
    dtype = _dtype(state["dtype"])
    alignment = state.get("numpy_array_alignment_bytes")
    if dtype.hasobject:  # a pickle within the pickle
        start = file.tell()
        skip(file, budget)
        return _replayed(bytes(file.getbuffer()[start : file.tell()]), where, budget)
    if alignment is not None:
        file.read(file.read(1)[0])
    shape = tuple(state["shape"])
    count = dtype.itemsize
    for size in shape:
        if type(size) is not int or not 0 <= size < 1 << 60:
            raise ValueError("a shape must be of integers")
        count *= size
    if count > len(file.getbuffer()):
        raise ValueError(f"the file must hold the {count} bytes of an array")
    return shaped(file.read(count), dtype, shape, "F" if state.get("order") == "F" else "C", budget)


def _value(record: Any, where: str, budget: MemoryBudget, depth: int) -> Any:
    """Turn records into values; a record that several refer to is turned once."""
    if depth > _DEPTH:
        raise ValueError(f"objects must lie at most {_DEPTH} deep in each other")
    if isinstance(record, list | tuple):
        budget.take(16 * len(record))
        return type(record)(_value(item, where, budget, depth + 1) for item in record)
    if isinstance(record, dict):
        budget.take(100 * len(record))
        return {str(key): _value(item, where, budget, depth + 1) for key, item in record.items()}
    if isinstance(record, Name):
        return None
    if not isinstance(record, Call):
        return record
    if record.made is None:
        record.made = _made(record, where, budget, depth)
    return record.made


def _made(record: Call, where: str, budget: MemoryBudget, depth: int) -> Any:
    name = record.function.text
    if name.startswith(_IGNORED):
        return None
    if name in _SCALAR:
        kind, data = record.arguments
        return shaped(buffer_of(data, budget), _dtype(kind), (1,), "C", budget)[0].item()
    if name in NAMES:
        return _array(record, where, budget, depth)
    if name in _OBJECT:
        base = record.arguments[0]
        if not isinstance(base, Name):
            raise TypeError("an object must be of a class")
        name = base.text
    elif name.endswith(".newObj"):
        name = record.arguments[0].text
    state = _value(record.state, where, budget, depth + 1)
    if state is None:
        state = {}
    return Described(name, state if isinstance(state, dict) else {"state": state})


def _array(record: Call, where: str, budget: MemoryBudget, depth: int) -> Any:
    """Make an array of numbers or texts, also with fields; one of objects becomes a list."""
    if record.state is not None and record.function.text.endswith("_reconstruct"):
        _, shape, kind, fortran, data = record.state
        if isinstance(data, list):
            return [_value(item, where, budget, depth + 1) for item in data]
        order = "F" if fortran else "C"
    elif record.function.text.endswith("_frombuffer"):
        data, kind, shape, order = record.arguments
    else:
        raise TypeError(f"got a call of {record.function.text}")
    return shaped(buffer_of(data, budget), _dtype(kind), shape, "F" if order == "F" else "C", budget)


def _dtype(value: Any, depth: int = 0) -> np.dtype[Any]:
    """Read a dtype's record: numbers, texts, or fields of numbers."""
    if not isinstance(value, Call) or value.function.text != "numpy.dtype":
        raise TypeError("the dtype must be plain")
    name = value.arguments[0]
    state = value.state
    if type(name) is not str or depth > 1:
        raise TypeError("the dtype must be plain")
    if name[:1] == "V" and isinstance(state, tuple) and len(state) >= 6 and isinstance(state[3], tuple):
        names, fields, size = state[3], state[4], state[5]
        if type(size) is not int or not 0 < size < 4096 or not all(type(field) is str for field in names):
            raise TypeError("the dtype must have fields with names")
        parts = [fields[field] for field in names]
        return np.dtype({
            "names": list(names), "formats": [_dtype(part[0], depth + 1) for part in parts],
            "offsets": [_offset(part[1]) for part in parts], "itemsize": size,
        })  # fmt: skip
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    kind, size_text = name[:1], name[1:]
    if (
        kind not in tuple("fiubUO")
        or not size_text.isdecimal()
        or len(size_text) > 5
        or order not in ("<", ">", "|", "=")
    ):
        raise TypeError("the dtype must be of numbers or texts")
    dtype: np.dtype[Any] = np.dtype(name if kind != "O" else object)
    return dtype.newbyteorder(">" if order == ">" else "<")


def _offset(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 4096:
        raise TypeError("a field must have an offset")
    return value
