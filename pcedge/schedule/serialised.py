"""The serialised form of a program: a file that numpy alone reads (docs/program.md, section Serialised form)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.data.maps import map_from_json
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError, FormatError, PcedgeError
from pcedge.files import write_whole
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.integer.nested import NestedTables
from pcedge.limits import MemoryBudget, Source, read_source
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Init, Interval, Leaf, ListSum, Multiply, Schedule, Step, Zeros

MAGIC = b"PCPR"
#: version of the file of a circuit, and of one with a row table
VERSION, ROWS_VERSION = 1, 2

#: bytes of magic, version, digest and number of sections
_HEADER = 44
#: bytes of a section's entry in the directory: its type, and how many numbers it has
_ENTRY = 12

#: the types of sections
_TYPES = {1: "<u1", 2: "<u2", 4: "<i4"}

#: the sections, in their order
SECTIONS = (
    "widths", "order", "symbolizer", "constant", "layers", "children", "gathers", "leaves", "tables", "weights",
    "indptr", "indices", "nested", "masters", "parts", "likelihood", "code", "lists", "needed",
)  # fmt: skip

#: the section that the file of a circuit with a row table has behind them, its lengths; by version all but tails
ROWS = "rows"
_NAMES = {VERSION: SECTIONS, ROWS_VERSION: (*SECTIONS, ROWS)}

#: the section that the file of a circuit with tails has beside them, at the end: for every layer that has tails its
#: number, and of an input the exponents of its symbols
TAILS = "tails"

#: numbers of a layer: `KINDS`, variable, units, symbols or columns, children, entries (sparse; else -1)
LAYER_FIELDS = ("kind", "variable", "units", "columns", "children", "entries")
KINDS = ("input", "product", "sum")

#: numbers of a step; -1 where it has none
STEP_FIELDS = (
    "op", "revive", "target", "units", "a", "a_offset", "a_units", "b", "b_offset", "b_units", "layer", "variable",
    "list", "list_b",
)  # fmt: skip

#: bytes of memory that reading takes at most: for each byte of the sections, for each layer with its steps, and for a
#: moment for an entry of a leaf table
_A_BYTE, _A_LAYER, _MOMENT = 64, 12_000, 64

#: how the text of a grid begins, in the section of the symbolizer
_GRID = '{"axes":'
_WIDTHS = ("weight_bits", "leaf_bits", "state_bits", "scale_bits", "range_bits", "floor")


def write_program(source: IntegerCircuit | Program, path: str | Path) -> None:
    """Write a program file (`.pcp`); the same circuit gives the same bytes.

    Raises:
        FormatError: a number does not fit the file's 32 bits.
    """
    write_whole(Path(path), to_bytes(source))


def read_program(path: Source) -> Program:
    """Read a program file (`.pcp`).

    Args:
        path: the file, its bytes, or the open binary file.

    Raises:
        FormatError: the file breaks the format, or its steps are not those of its circuit.
        UsageError: `path` is none of the three.
        OSError: the file cannot be read.
    """
    return from_bytes(*read_source(path))


def to_bytes(source: IntegerCircuit | Program) -> bytes:
    """Write a program; the same circuit gives the same bytes.

    Args:
        source: the circuit, or its program where that is at hand.

    Raises:
        FormatError: a number does not fit the file's 32 bits.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> from_bytes(to_bytes(circuit)).circuit.digest == circuit.digest
        True
    """
    program = Program.of(source).with_given(())
    return pack(program.circuit.digest, _sections(program))


def pack(digest: bytes, sections: Mapping[str, IntArray | bytes]) -> bytes:
    """Write the sections of a program, whatever they hold.

    Raises:
        FormatError: a number does not fit 32 bits.
    """
    directory, bodies = [], []
    version = ROWS_VERSION if ROWS in sections else VERSION
    for name in (*_NAMES[version], TAILS) if TAILS in sections else _NAMES[version]:
        array = _narrow(name, sections[name])
        directory.append(np.array([array.itemsize, array.size & 0xFFFFFFFF, array.size >> 32], dtype="<u4").tobytes())
        body = array.tobytes()
        bodies.append(body + bytes(-len(body) % 4))
    head = MAGIC + version.to_bytes(4, "little") + digest + len(directory).to_bytes(4, "little")
    data = head + b"".join(directory) + b"".join(bodies)
    return data + zlib.crc32(data).to_bytes(4, "little")


def digest_of(head: bytes) -> bytes | None:
    """Give the digest that the first 40 bytes of a program file name; None where they are of another file."""
    return head[8:40] if head.startswith(MAGIC) and len(head) >= 40 else None


def from_bytes(data: bytes, where: str = "the program") -> Program:
    """Read a program.

    Args:
        data: the file's bytes.
        where: how errors name it.

    Raises:
        FormatError: the bytes break the format, or their steps are not those of their circuit.
    """
    sections = _parse(data, where)
    budget = MemoryBudget("program", len(data), where, lambda message: FormatError("program-size", message))
    try:
        circuit = _circuit(sections, budget)
    except FormatError:
        raise
    except (CircuitError, ValueError, IndexError, TypeError, OverflowError) as error:
        raise FormatError("program-circuit", f"{where} must hold an integer circuit ({error})") from error
    except PcedgeError as error:
        raise FormatError("program-circuit", f"{where}: {error}") from error
    if circuit.digest != data[8:40]:
        raise FormatError("program-digest", f"the circuit of {where} must have the digest {data[8:40].hex()}")
    program = Program.of(circuit)
    if to_bytes(program) != data:
        raise FormatError("program-canonical", f"{where} must hold the steps and widths that its circuit gives")
    return program


def _parse(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    if data[:4] != MAGIC:
        raise FormatError("program-magic", f"{where} must begin with {MAGIC!r}, got {data[:4]!r}")
    version = int.from_bytes(data[4:8], "little")
    if version not in _NAMES:
        raise FormatError("program-version", f"{where} must be of version {VERSION} or {ROWS_VERSION}, got {version}")
    if len(data) < _HEADER + 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise FormatError("program-checksum", f"{where} must be whole, its checksum says that it is damaged")
    count = int.from_bytes(data[40:44], "little")
    least, names = len(_NAMES[version]), (*_NAMES[version], TAILS)[:count]
    if not least <= count <= least + 1:
        raise FormatError(
            "program-sections", f"{where} must have {least} sections, or one more with tails, got {count}"
        )
    offset = _HEADER + _ENTRY * count
    sections: dict[str, NDArray[Any]] = {}
    for number, name in enumerate(names):
        start = _HEADER + _ENTRY * number
        size, low, high = (int.from_bytes(data[at : at + 4], "little") for at in range(start, start + _ENTRY, 4))
        length = low | high << 32
        if size not in _TYPES or size * length > len(data) - 4 - offset:
            raise FormatError("program-sections", f"section {name} of {where} must lie within the file")
        sections[name] = np.frombuffer(data, _TYPES[size], length, offset)
        offset += size * length + -(size * length) % 4
    if offset != len(data) - 4:
        raise FormatError("program-sections", f"{where} must end with its last section")
    return sections


def _narrow(name: str, values: IntArray | bytes) -> NDArray[Any]:
    """Give numbers in the narrowest type that holds them all."""
    if isinstance(values, bytes):
        return np.frombuffer(values, np.uint8)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low >= 0 and high < 1 << 8:
        return values.astype("<u1")
    if low >= 0 and high < 1 << 16:
        return values.astype("<u2")
    if low < -(1 << 31) or high >= 1 << 31:
        raise FormatError("program-numbers", f"numbers of section {name} must fit 32 bits, got {low}..{high}")
    return values.astype("<i4")


def _join(arrays: Sequence[Any]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *(np.asarray(array, dtype=np.int64).ravel() for array in arrays)])


def _sections(program: Program) -> dict[str, IntArray | bytes]:
    circuit = program.circuit
    rows: list[list[int]] = []
    tables, lists = _Pool(), _Pool()
    arrays: dict[str, list[Any]] = {
        name: [] for name in ("children", "gathers", "leaves", "weights", "indptr", "indices")
    }
    for layer in circuit.layers:
        shape = layer.shape
        entries = -1
        if isinstance(layer, IntegerInput):
            arrays["leaves"].append([tables.put(row) for row in layer.cumulative[:, 1:-1]])
        elif isinstance(layer, ProductLayer):
            arrays["gathers"].append(layer.gather)
        elif isinstance(layer.weights, SparseRows):
            entries = len(layer.weights.values)
            arrays["weights"].append(layer.weights.values)
            arrays["indptr"].append(layer.weights.indptr)
            arrays["indices"].append(layer.weights.indices)
        else:
            arrays["weights"].append(layer.weights)
        arrays["children"].append(shape.children)
        columns = shape.cardinality if isinstance(layer, IntegerInput) else shape.columns
        rows.append([KINDS.index(shape.kind), shape.variable, shape.units, columns, len(shape.children), entries])
    likelihood, code = (_step_rows(program, schedule, lists) for schedule in (program.likelihood, program.code))
    nested = circuit.nested
    meaning = circuit.grid or circuit.symbolizer
    tails: dict[str, IntArray | bytes] = {}
    if circuit.tails:
        tails[TAILS] = _join([_tails(index, layer) for index, layer in enumerate(circuit.layers)])
    if circuit.row_lengths:
        tails[ROWS] = _join([circuit.row_lengths])
    return tails | {
        "widths": _join([[int(getattr(circuit, name)) for name in _WIDTHS]]),
        "order": _join([circuit.order]),
        "symbolizer": b"" if meaning is None else meaning.to_json().encode(),
        "constant": repr(circuit.log_constant).encode() if circuit.log_constant else b"",
        "layers": _join([rows]),
        **{name: _join(values) for name, values in arrays.items()},
        "nested": _join([[nesting.symbols, len(nesting.masters), len(nesting.parts)] for nesting in nested]),
        "masters": _join([nesting.masters for nesting in nested]),
        "parts": _join([nesting.parts for nesting in nested]),
        "likelihood": likelihood,
        "code": code,
        "lists": _join(lists.blocks),
        "tables": _join(tables.blocks),
        "needed": _join([list(program.needed.values())]),
    }  # fmt: skip


@dataclass
class _Pool:
    """Collect blocks of numbers, each different one once, and find them by their address."""

    blocks: list[IntArray] = field(default_factory=list)
    addresses: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def put(self, block: IntArray) -> int:
        """Give the address of a block."""
        key = block.tobytes()
        if key not in self.addresses:
            self.addresses[key] = self.size
            self.blocks.append(block)
            self.size += len(block)
        return self.addresses[key]


def _tails(index: int, layer: IntegerLayer) -> list[int]:
    """Give the numbers of a layer that has tails; none of any other."""
    if isinstance(layer, IntegerInput):
        return [] if layer.tails is None else [index, *layer.tails.tolist()]
    return [index] if isinstance(layer, IntegerSum) and layer.tails else []


def _step_rows(program: Program, schedule: Schedule, lists: _Pool) -> IntArray:
    """Write the value that a schedule leaves, and its steps."""
    found = (_row(step, program.zeros(schedule, step), lists) for step in schedule.steps)
    rows = [[numbers.get(name, -1) for name in STEP_FIELDS] for numbers in found]
    return _join([[schedule.result], rows])


def _row(step: Step, zeros: Zeros, lists: _Pool) -> dict[str, int]:
    """Give the numbers that a step has."""
    numbers = {"op": int(step.op), "revive": int(zeros), "units": step.units}
    if not isinstance(step, Interval):
        numbers["target"] = step.target
    for side, source in zip("ab", step.sources, strict=False):
        numbers |= {side: source.value, f"{side}_offset": source.offset, f"{side}_units": source.units}
    if not isinstance(step, Init):
        numbers["layer"] = step.layer
    if isinstance(step, Leaf | Interval):
        numbers["variable"] = step.variable
    elif isinstance(step, ListSum):
        numbers["list"] = lists.put(np.concatenate([np.diff(step.lists.indptr), step.lists.indices]).astype(np.int64))
    elif isinstance(step, Multiply):
        for name, gather in zip(("list", "list_b"), step.gathers, strict=True):
            if gather is not None:
                numbers[name] = lists.put(gather.astype(np.int64))
    return numbers


class _Reader:
    """Take numbers from a section, one block after the other."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values, self.place = values, 0

    def take(self, *shape: int) -> IntArray:
        if any(size < 0 for size in shape):
            raise ValueError(f"sizes must not be negative, got {shape}")
        count = 1
        for size in shape:
            count *= size
        if count > len(self.values) - self.place:
            raise ValueError(f"{count} numbers must follow, got {len(self.values) - self.place}")
        block = self.values[self.place : self.place + count]
        self.place += count
        return block.astype(np.int64).reshape(shape)


def _rows_at(pool: NDArray[Any], addresses: IntArray, length: int) -> IntArray:
    """Read blocks of one length from a pool."""
    if length < 0 or addresses.min(initial=0) < 0 or addresses.max(initial=0) + length > len(pool):
        raise ValueError(f"blocks of {length} numbers must lie within the {len(pool)} that there are")
    rows: IntArray = pool[addresses[:, None] + np.arange(length)].astype(np.int64)
    return rows


def _circuit(sections: dict[str, NDArray[Any]], budget: MemoryBudget) -> IntegerCircuit:
    readers = {name: _Reader(values) for name, values in sections.items()}
    widths = dict(zip(_WIDTHS, readers["widths"].take(len(_WIDTHS)).tolist(), strict=True))
    count, rest = divmod(len(sections["layers"]), len(LAYER_FIELDS))
    if rest:
        raise ValueError(f"layers must have {len(LAYER_FIELDS)} numbers each")
    layers: list[IntegerLayer] = []
    budget.take(_A_BYTE * sum(values.nbytes for values in sections.values()) + _A_LAYER * count)
    for kind, variable, units, columns, fan_in, entries in readers["layers"].take(count, len(LAYER_FIELDS)).tolist():
        children = tuple(readers["children"].take(fan_in).tolist())
        if kind == 0:
            # Units may share a table in the file.
            budget.take(8 * units * columns)
            budget.check(_MOMENT * units * columns)
            inner = _rows_at(sections["tables"], readers["leaves"].take(units), columns - 1)
            ends = np.zeros((units, 1), np.int64), np.full((units, 1), 1 << min(widths["leaf_bits"], 32), np.int64)
            layers.append(IntegerInput(variable, np.concatenate([ends[0], inner, ends[1]], axis=1)))
        elif kind == 1:
            layers.append(ProductLayer(children, readers["gathers"].take(units, fan_in)))
        elif kind == 2 and entries < 0:
            layers.append(IntegerSum(children, readers["weights"].take(units, columns)))
        elif kind == 2:
            rows = SparseRows(
                readers["indptr"].take(units + 1), readers["indices"].take(entries), readers["weights"].take(entries),
                columns,
            )  # fmt: skip
            layers.append(IntegerSum(children, rows))
        else:
            raise ValueError(f"the kind of a layer must be in 0..2, got {kind}")
    nested = []
    for symbols, masters, tables in readers["nested"].take(len(sections["nested"]) // 3, 3).tolist():
        arrays = readers["masters"].take(masters, symbols + 1), readers["parts"].take(tables, 3)
        budget.take(8 * tables * symbols)
        budget.check(_MOMENT * tables * symbols)
        nested.append(NestedTables(*arrays))
    if TAILS in readers:
        _add_tails(layers, readers[TAILS])
    text, constant = (sections[name].astype(np.uint8).tobytes().decode() for name in ("symbolizer", "constant"))
    grid = ValueGrid.from_json(text) if text.startswith(_GRID) else None
    return IntegerCircuit(
        tuple(layers), order=tuple(readers["order"].take(len(sections["order"])).tolist()),
        symbolizer=map_from_json(text) if text and grid is None else None, nested=tuple(nested), grid=grid,
        log_constant=float(constant) if constant else 0.0, tails=TAILS in readers,
        row_lengths=tuple(sections[ROWS].tolist()) if ROWS in sections else (), **widths,
    )  # fmt: skip


def _add_tails(layers: list[IntegerLayer], reader: _Reader) -> None:
    """Give the layers their tails."""
    while reader.place < len(reader.values):
        index = int(reader.take(1)[0])
        layer = layers[index] if index >= 0 else None
        if isinstance(layer, IntegerInput):
            layers[index] = replace(layer, tails=reader.take(layer.shape.cardinality))
        elif isinstance(layer, IntegerSum):
            layers[index] = replace(layer, tails=True)
        else:
            raise ValueError(f"a layer with tails must be an input or a sum, got number {index}")
