"""numpy arrays and torch tensors from the records of a pickle, without running numpy's or torch's own loaders."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import FormatError
from pcedge.importers.pickles import RULE, Call, Name, replay, skip
from pcedge.limits import MemoryBudget

#: numpy's names for its loaders; numpy 2 moved them from `core` to `_core`
_MODULES = ("numpy.core.", "numpy._core.")
_RECONSTRUCT = {f"{module}multiarray._reconstruct" for module in _MODULES}
_FROM_BUFFER = {f"{module}numeric._frombuffer" for module in _MODULES}
_ENCODE = "_codecs.encode"
_TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_STORAGE = "torch.storage._load_from_bytes"
#: the names that arrays and tensors need; each is understood below, none is called
NAMES = {
    "numpy.ndarray", "numpy.dtype", _ENCODE, _STORAGE, "collections.OrderedDict", *_RECONSTRUCT, *_FROM_BUFFER,
    *_TENSORS,
}  # fmt: skip

_DTYPES = {
    f"{kind}{size}" for kind, sizes in {"f": "248", "i": "1248", "u": "1248", "b": "1"}.items() for size in sizes
}
#: a torch storage's type and its numbers; bfloat16 is not a numpy type
_STORAGES = {
    "torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2", "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2", "torch.CharStorage": "|i1", "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}  # fmt: skip


def to_array(value: Any, where: str, budget: MemoryBudget) -> NDArray[Any]:
    """Make the array that a record describes.

    Raises:
        FormatError: the record is none of an array or tensor of numbers, or its parts do not fit together; or the file
            needs too much memory.
    """
    try:
        return _array(value, where, budget)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise FormatError(RULE, f"{where} must be an array of numbers ({type(error).__name__}: {error})") from error


def _array(value: Any, where: str, budget: MemoryBudget) -> NDArray[Any]:
    if not isinstance(value, Call):
        raise TypeError(f"got a {type(value).__name__}")
    name = value.function.text
    if name in _RECONSTRUCT:
        _, shape, dtype, fortran, data = value.state
        return shaped(buffer_of(data, budget), _dtype(dtype), shape, "F" if fortran else "C", budget)
    if name in _FROM_BUFFER:
        data, dtype, shape, order = value.arguments
        return shaped(buffer_of(data, budget), _dtype(dtype), shape, "F" if order == "F" else "C", budget)
    if name in _TENSORS:
        return _tensor(value, where, budget)
    raise TypeError(f"got a call of {name}")


def _dtype(value: Any) -> np.dtype[Any]:
    """Read a dtype's record: its name, and in its state the byte order."""
    if not isinstance(value, Call) or value.function.text != "numpy.dtype":
        raise TypeError("the dtype must be a plain number")
    # Anything but a text could be nested so that comparing it takes for ever.
    name, order = value.arguments[0], value.state[1] if value.state is not None else "<"
    if type(name) is not str or name not in _DTYPES:
        raise TypeError("the dtype must be a plain number")
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise TypeError("the dtype must have a byte order")
    dtype: np.dtype[Any] = np.dtype(name).newbyteorder(">" if order == ">" else "<")
    return dtype


def buffer_of(value: Any, budget: MemoryBudget) -> bytes:
    """Take bytes; protocol 2 writes them as a call of `_codecs.encode` on a latin-1 string."""
    if isinstance(value, Call) and value.function.text == _ENCODE and value.arguments[1] == "latin1":
        if value.made is None:
            budget.take(len(value.arguments[0]))
            value.made = bytes(value.arguments[0].encode("latin1"))
        value = value.made
    if type(value) not in (bytes, bytearray):
        raise TypeError("the data must be bytes")
    return bytes(value)


def shaped(data: bytes, dtype: np.dtype[Any], shape: Any, order: Any, budget: MemoryBudget) -> NDArray[Any]:
    """Give bytes as an array of some shape."""
    sizes = (shape,) if type(shape) is int else tuple(shape)
    if len(sizes) > 8 or any(type(size) is not int or not 0 <= size < 1 << 60 for size in sizes):
        raise ValueError("the shape must be of at most 8 integers")
    # The size is compared before anything is made: a shape in a file must not choose how much memory is taken.
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"shape {sizes} of {dtype} needs {math.prod(sizes) * dtype.itemsize} bytes, got {len(data)}")
    budget.take(2 * len(data))
    array = np.frombuffer(data, dtype=dtype).reshape(sizes, order=order)
    if dtype.names is not None:
        return array
    return array.astype(dtype.newbyteorder("="), copy=False)


def _tensor(value: Call, where: str, budget: MemoryBudget) -> NDArray[Any]:
    """Make a tensor's array: a storage with offset, sizes and strides."""
    record, offset, sizes, strides = value.arguments[:4]
    if not isinstance(record, Call) or record.function.text != _STORAGE:
        raise TypeError("a tensor must have its storage in the file")
    if record.made is None:
        record.made = _storage(buffer_of(record.arguments[0], budget), where, budget)
    storage = record.made
    if len(sizes) != len(strides) or len(sizes) > 8:
        raise ValueError("a tensor must have a stride for each of at most 8 sizes")
    for number in (offset, *sizes, *strides):
        if type(number) is not int or not 0 <= number < 1 << 60:
            raise ValueError("offset, sizes and strides of a tensor must be integers of at least 0")
    count = math.prod(sizes)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if count > len(storage) or (count and last >= len(storage)):
        raise ValueError("a tensor must lie within its storage")
    budget.take(2 * count * storage.itemsize)
    steps = tuple(stride * storage.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(storage[offset:] if count else storage, sizes, steps).copy()


def _storage(data: bytes, where: str, budget: MemoryBudget) -> NDArray[Any]:
    """Read torch's legacy file of one storage: five pickles, then the count and the numbers.

    The layout is that of `torch.save(…, _use_new_zipfile_serialization=False)`: magic number, protocol version,
    system, the storage as a persistent id, the list of keys.
    """
    file = BytesIO(data)
    spans: list[tuple[int, int]] = []
    for _ in range(5):
        start = file.tell()
        skip(file, budget)
        spans.append((start, file.tell()))
    budget.take(2 * len(data))
    record = replay(
        data[slice(*spans[3])], lambda name: name in _STORAGES or name.startswith("torch."), where, budget,
        persistent=True,
    )  # fmt: skip
    kind = record.arguments[1]
    if (
        not isinstance(record, Call)
        or record.arguments[0] != "storage"
        or not isinstance(kind, Name)
        or kind.text not in _STORAGES
    ):
        raise TypeError("a storage must hold plain numbers")
    dtype = np.dtype(_STORAGES[kind.text])
    numbers = data[spans[4][1] + 8 :]
    if int.from_bytes(data[spans[4][1] : spans[4][1] + 8], "little") * dtype.itemsize != len(numbers):
        raise ValueError("a storage must hold as many numbers as it says")
    return np.frombuffer(numbers, dtype=dtype).astype(dtype.newbyteorder("="), copy=False)
