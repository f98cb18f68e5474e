"""scikit-learn's estimators in `.skops` files: JSON and arrays in a zip, read without skops and without executing."""

from __future__ import annotations

import io
import json
import tokenize
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import FormatError
from pcedge.importers.estimators.known import mentioned
from pcedge.importers.estimators.parameters import Described
from pcedge.limits import MemoryBudget

RULE = "import-skops"

#: bytes of memory that a byte of the JSON takes at most, parsed and turned into values
JSON_BYTE = 48

#: how deep nodes may lie in nodes
_DEPTH = 60

#: nodes that stand for what no density needs: types, functions, states of generators
_IGNORED = frozenset(
    {
        "TypeNode",
        "FunctionNode",
        "MethodNode",
        "RandomStateNode",
        "RandomGeneratorNode",
        "SliceNode",
        "OperatorFuncNode",
    }
)

_CHUNK = 1 << 20


def read(data: bytes, where: str, budget: MemoryBudget) -> Described:
    """Read a `.skops` file.

    Args:
        data: the file.
        where: its name, for messages.
        budget: of its memory.

    Raises:
        FormatError: it is damaged, holds something else than an estimator of numbers, or needs too much memory.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "schema.json" not in names or len(set(names)) != len(names):
                raise FormatError(RULE, f"{where} must hold one schema.json, it has {', '.join(names[:4])[:120]}")
            text = _member(archive, "schema.json", where, budget)
            budget.take(JSON_BYTE * len(text))
            schema = json.loads(text)
            made = _Reader(archive, where, budget).value(schema, 0)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError,
        RecursionError, NotImplementedError, OverflowError, RuntimeError, OSError,
    ) as error:  # fmt: skip
        raise FormatError(RULE, f"{where} must be a whole .skops file ({type(error).__name__}: {error})") from error
    if not isinstance(made, Described):
        raise FormatError(RULE, f"{where} must hold an estimator, it holds a {type(made).__name__}")
    return made


def _member(archive: zipfile.ZipFile, name: str, where: str, budget: MemoryBudget) -> bytes:
    """Read a member; what it says of its size is not believed."""
    parts = []
    with archive.open(name) as file:
        while part := file.read(_CHUNK):
            budget.take(len(part))
            parts.append(part)
    return b"".join(parts)


class _Reader:
    """Turn the nodes of a schema into values; nodes may refer to others by their ids."""

    def __init__(self, archive: zipfile.ZipFile, where: str, budget: MemoryBudget) -> None:
        self.archive, self.where, self.budget = archive, where, budget
        self.known: dict[Any, Any] = {}

    def value(self, node: Any, depth: int) -> Any:
        if not isinstance(node, dict) or type(node.get("__loader__")) is not str:
            raise ValueError("a node must be an object with a __loader__")
        if depth > _DEPTH:
            raise ValueError(f"nodes must lie at most {_DEPTH} deep in each other")
        number = node.get("__id__")
        if node["__loader__"] == "CachedNode":
            return self.known[_plain(number)]
        made = self._value(node, node["__loader__"], depth + 1)
        if number is not None:
            self.known[_plain(number)] = made
        return made

    def _value(self, node: dict[str, Any], loader: str, depth: int) -> Any:
        self.budget.take(200)
        if loader in _IGNORED:
            return None
        if loader == "JsonNode":
            return json.loads(node["content"])
        if loader in ("ListNode", "TupleNode", "SetNode"):
            items = [self.value(child, depth) for child in _list(node["content"])]
            return tuple(items) if loader == "TupleNode" else items
        if loader == "DictNode":
            return {key: self.value(child, depth) for key, child in node["content"].items()}
        if loader == "NdArrayNode":
            if node.get("type") == "numpy":
                return read_npy(_member(self.archive, node["file"], self.where, self.budget), self.where, self.budget)
            return [self.value(child, depth) for child in _items(node["content"])]
        if loader in ("ObjectNode", "TreeNode"):
            name = f"{node['__module__']}.{node['__class__']}"
            if name == "collections.deque":  # of a fit's history
                return None
            if not mentioned(name):
                raise FormatError(
                    RULE, f"{self.where} must hold a known estimator, it mentions {name[:80]!r}: nothing of it was run"
                )
            content = self.value(node["content"], depth) if node.get("content") is not None else {}
            return Described(name, content if isinstance(content, dict) else {"state": content})
        raise ValueError(f"a node's __loader__ must be one that estimators have, got {loader[:40]!r}")


def read_npy(data: bytes, where: str, budget: MemoryBudget) -> NDArray[Any]:
    """Read a `.npy` file of numbers or texts; its header must not choose how much memory is taken.

    Raises:
        FormatError: it is damaged, or holds objects.
    """
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version} is not known")
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(file)
    except (
        ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError, OverflowError, tokenize.TokenError,
    ) as error:  # fmt: skip
        raise FormatError(RULE, f"{where} must hold whole .npy files ({type(error).__name__}: {error})") from error
    rest = data[file.tell() :]
    count = 1
    for size in shape:
        count *= int(size)
    if dtype.hasobject or not dtype.itemsize or any(size < 0 for size in shape) or count * dtype.itemsize != len(rest):
        raise FormatError(
            RULE, f"{where} must hold .npy files of as many numbers as they say, {shape} of {dtype} is not"
        )
    budget.take(len(rest))
    array = np.frombuffer(rest, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array[()] if array.ndim else array.reshape(())


def _plain(number: Any) -> int:
    if type(number) is not int:
        raise TypeError("an __id__ must be an integer")
    return number


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a node's content must be a list")
    return value


def _items(value: Any) -> list[Any]:
    return _list(value["content"] if isinstance(value, dict) else value)
