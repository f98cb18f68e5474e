"""From a float circuit to PyJuice: its `.jpc` file, which `pyjuice.load` reads; PyJuice is not needed to write it."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.layers import Circuit, InputLayer, ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.files import write_whole

#: what the files' arrays are pickled with: the protocol that PyJuice's own files have
_PROTOCOL = 4

_MODULE, _CLASS = b"pyjuice.nodes.distributions.categorical", b"Categorical"


def write_jpc(circuit: Circuit, path: str | Path) -> None:
    """Write a circuit as a `.jpc` file of PyJuice 2.

    Every layer is a vector of nodes in blocks of one, leaves are `Categorical` over the variable's symbols, parameters
    are float32, as PyJuice computes: a log-likelihood is off by some 1e-7 for each factor. PyJuice wants products and
    sums in turn: a sum of sums gets products of one factor between, a product of products sums of one child. What the
    file does not hold are a grid, a symbolizer and the log constant.

    Example:
        >>> import tempfile
        >>> from pcedge.importers import import_circuit
        >>> path = Path(tempfile.mkdtemp()) / "c.jpc"
        >>> write_jpc(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)), path)
        >>> import_circuit(path).circuit.layers[0].probabilities.round(6).tolist()
        [[0.25, 0.75]]
    """
    write_whole(Path(path), pickle.dumps(_vectors(circuit), _PROTOCOL))


def _vectors(circuit: Circuit) -> list[dict[str, Any]]:
    """Describe every layer as PyJuice describes its vectors of nodes."""
    vectors: list[dict[str, Any]] = []
    #: of every layer, its vector, and that with products or sums of one between, where a parent needs it
    places: list[int] = []
    between: dict[int, int] = {}

    def add(kind: str, units: int, children: Sequence[int], **fields: Any) -> int:
        vectors.append({"type": kind, "num_node_blocks": units, "block_size": 1, "chs": tuple(children), **fields})
        return len(vectors) - 1

    def other(child: int, kind: str) -> int:
        """Give a layer's vector as the child of one of a kind: never of the same."""
        place = places[child]
        if vectors[place]["type"] != kind:
            return place
        if child not in between:
            units = circuit.shapes[child].units
            one = np.arange(units, dtype=np.int64)
            if kind == "Product":
                between[child] = add(
                    "Sum", units, [place], edge_ids=np.stack([one, one]), params=np.ones((units, 1, 1), np.float32)
                )
            else:
                between[child] = add("Product", units, [place], edge_ids=one[:, None])
        return between[child]

    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            units, symbols = layer.table.shape
            places.append(
                add("Input", units, (), params=layer.table.reshape(-1).astype(np.float32), scope=[int(layer.variable)],
                    dist=_categorical(symbols))
            )  # fmt: skip
        elif isinstance(layer, ProductLayer):
            children = [other(child, "Product") for child in layer.children]
            places.append(add("Product", len(layer.gather), children, edge_ids=layer.gather.astype(np.int64)))
        else:
            rows, columns, values = _entries(layer.weights)
            children = [other(child, "Sum") for child in layer.children]
            edges, parameters = np.stack([rows, columns]), values.reshape(-1, 1, 1)
            places.append(add("Sum", layer.weights.shape[0], children, edge_ids=edges, params=parameters))
    return vectors


def _entries(weights: NDArray[Any] | SparseRows) -> tuple[IntArray, IntArray, NDArray[np.float32]]:
    """Give the rows, columns and values of weights, without those that are 0 in float32."""
    rows = weights if isinstance(weights, SparseRows) else SparseRows.from_dense(weights)
    values = np.asarray(rows.values, dtype=np.float32)
    kept = values > 0
    return rows.row_of_entry[kept], rows.indices[kept], values[kept]


def _categorical(symbols: int) -> bytes:
    """Pickle PyJuice's `Categorical(symbols)` by hand, which needs no PyJuice: a class by its name, and its fields."""

    def text(word: bytes) -> bytes:
        return pickle.SHORT_BINUNICODE + bytes([len(word)]) + word

    fields = b"".join(text(name) + pickle.EMPTY_LIST for name in (b"post_fw_fns", b"post_bp_fns", b"sampling_fns"))
    count = text(b"num_cats") + pickle.BININT + struct.pack("<i", symbols)
    made = text(_MODULE) + text(_CLASS) + pickle.STACK_GLOBAL + pickle.EMPTY_TUPLE + pickle.NEWOBJ
    state = pickle.EMPTY_DICT + pickle.MARK + fields + count + pickle.SETITEMS + pickle.BUILD
    return pickle.PROTO + bytes([_PROTOCOL]) + made + state + pickle.STOP
