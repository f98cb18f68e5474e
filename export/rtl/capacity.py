"""Reloadable engines in SystemVerilog: what one has room for, and the images that it takes (docs/rtl.md, Images)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from reprlib import repr as shown

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Widths
from pcedge.drivers.contract import DIGEST_WORDS, IMAGE_NAMES, IMAGE_SAME, IMAGE_VERSION
from pcedge.drivers.layout import MOST_WORD, widths_word
from pcedge.drivers.rtl_image import RTL_MAGIC
from pcedge.errors import FormatError, WidthError
from pcedge.export.program.packing import Column, Field, PackedTable
from pcedge.export.project.manifest import BUILT_JOBS
from pcedge.export.rtl.lowering import FIELDS, OWN_CYCLES, SHARED_CYCLES, RtlImage, lower_rtl
from pcedge.export.rtl.params import Layout, bits_of, memories_of, sizes_of, step_widths, variable_widths
from pcedge.export.rtl.size import RtlSize
from pcedge.export.rtl.top import SECTIONS
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: widths that all circuits of an engine share
_SAME = ("leaf_bits", "state_bits", "scale_bits", "range_bits")

#: what a circuit may have less of than its engine; its floor may be any
_MOST = ("weight_bits", "cardinality", "terms", "tail_bits")

#: sizes that follow from the widths, and those that a circuit says itself
_DERIVED = ("WEIGHT_BITS", "MIX_BITS", "CONTEXT_BITS", "WEIGHTED_BITS", "SYMBOL_BITS", "STEP_WIDTH", "VARIABLE_WIDTH")
_OWN = ("FLOOR", "LIKELIHOOD_START", "CODE_START", "RELOAD", "SHARED_PRODUCT", "PASS_GAP", "PAIR_COPY")

#: what an engine has or has not, in words
_PARTS = {
    "KEEPS": "tails", "HAS_TAILS": "tails of leaves", "MIX_TAILS": "tails of sums", "HAS_LISTS": "lists",
    "HAS_ALIGN": "ALIGN",
}  # fmt: skip


@dataclass(frozen=True)
class RtlCapacity:
    """Hold what a reloadable engine has room for."""

    size: RtlSize
    widths: Widths
    #: every size by its name in SystemVerilog
    sizes: dict[str, int]

    def tables(self, image: RtlImage | None = None) -> dict[str, PackedTable]:
        """Lay out the rows of a circuit's program and of its variables, each number as wide as it may be; or none."""
        columns: dict[str, dict[str, Column]] = {"step": {}, "variable": {}}
        if image is not None:
            columns["step"] = {name: image.columns[name] for name in FIELDS}
            names = image.variables.fields
            columns["variable"] = {name: _column(image.variables.column(name)) for name in names}
        widths = {"step": step_widths(self.sizes), "variable": variable_widths(self.sizes)}
        return {name: _plain(widths[name], columns[name]) for name in widths}

    @property
    def layout(self) -> Layout:
        """Say what images hold."""
        sizes, size = self.sizes, self.size
        rooms = {
            "steps": (sizes["STEPS"], sizes["STEP_WIDTH"]),
            "weights": (sizes["TILES"], size.macs * (sizes["WEIGHT_BITS"] + 1)),
            "lists": (sizes["LISTS"], 2 + sizes["POSITION_BITS"] + sizes["LIST_B_BITS"]),
            "leaves": (sizes["LEAF_WORDS"], size.table_lanes * (sizes["NUMBER_BITS"] + 1)),
            "even": (sizes["EVENS"], sizes["LEAF_BITS"] + 1), "odd": (sizes["ODDS"], sizes["LEAF_BITS"] + 1),
            "variables": (sizes["VARIABLES"], sizes["VARIABLE_WIDTH"]), "tails": (sizes["TAILS"], 4),
        }  # fmt: skip
        return Layout(rooms, self._header())

    def _header(self) -> dict[str, tuple[int, int]]:
        sizes, lanes = self.sizes, self.size.lanes
        mark = zlib.crc32(json.dumps([asdict(self.size), self.sizes], sort_keys=True).encode())
        fixed = {"magic": RTL_MAGIC, "version": IMAGE_VERSION, "sections": SECTIONS,
                 "widths": widths_word(self.widths), "shape": mark}  # fmt: skip
        room = {
            "record": (1, sizes["VARIABLES"]), "likelihood_result": (0, sizes["ROWS"] * lanes - 1),
            "likelihood_result_exponent": (0, sizes["SLOTS"] - 1), "nested": (0, self.widths.weight_bits),
            "max_units": (1, sizes["MOST_ROWS"] * lanes), "state_words": (1, sizes["ROWS"] * lanes),
            "exponent_slots": (1, sizes["SLOTS"]), "cardinality": (1, self.widths.cardinality),
            "terms": (1, self.widths.terms), "floor": (1, (1 << self.widths.scale_bits) - 1),
        }  # fmt: skip
        return {name: (word, word) for name, word in fixed.items()} | room

    @property
    def memory_bits(self) -> int:
        """Count the bits of all memories that are loaded."""
        return sum(words * bits for words, bits in self.layout.memories.values())

    def as_dict(self) -> dict[str, object]:
        """Give all numbers by name, for a manifest."""
        size = {name: int(value) for name, value in asdict(self.size).items()}
        return {"size": size, "widths": self.widths.as_dict(), "sizes": self.sizes}


def capacity_of(
    sources: Sequence[IntegerCircuit | Program], size: RtlSize, jobs: Sequence[str] = BUILT_JOBS
) -> RtlCapacity:
    """Find the least capacity that has room for every one of some circuits.

    Raises:
        WidthError: they differ in a width that an engine fixes.
        NotStructuredError: a circuit cannot be coded.
    """
    size = replace(size, shared_product=bool(size.shared_product))
    images = [lower_rtl(source, size, jobs=jobs) for source in sources]
    first = images[0].circuit.widths
    limits = dict(first.as_dict())
    for image in images:
        _same_widths(image.circuit.widths, first)
        for name in _MOST:
            limits[name] = max(limits.get(name, 0), getattr(image.circuit.widths, name))
    widths = Widths(**limits | {"floor": 1})
    signals = widths.signals()
    each = [sizes_of(image) for image in images]
    sizes = {name: max(one[name] for one in each) for name in each[0]}
    sizes |= {
        "WEIGHT_BITS": widths.weight_bits, "MIX_BITS": signals["accumulator"], "CONTEXT_BITS": signals["context_sum"],
        "WEIGHTED_BITS": signals["weighted"], "SYMBOL_BITS": signals["symbol"], "SYMBOLS": widths.cardinality,
        "LIST_B_BITS": max(bits_of(sizes["MOST_ROWS"] * size.lanes), widths.weight_bits + 1), "FLOOR": 1,
        "LIKELIHOOD_START": 0, "CODE_START": 1, "RELOAD": 1, "SHARED_PRODUCT": int(size.shared_product is True),
        # a circuit's pass may be as short as a beat
        "PASS_GAP": (SHARED_CYCLES if size.shared_product else OWN_CYCLES) - 1,
    }  # fmt: skip
    sizes["STEP_WIDTH"] = _row_bits(step_widths(sizes))
    sizes["VARIABLE_WIDTH"] = _row_bits(variable_widths(sizes))
    return RtlCapacity(size, widths, sizes)


def rtl_image_words(source: IntegerCircuit | Program, capacity: RtlCapacity) -> NDArray[np.uint32]:
    """Write a circuit's image for an engine.

    Returns:
        uint32 words: header, words of every memory, these in pieces, CRC-32 of all of it.

    Raises:
        WidthError: the circuit does not fit the engine.
        NotStructuredError: the circuit cannot be coded.
    """
    circuit = Program.of(source).circuit
    widths, build = circuit.widths, capacity.widths
    _same_widths(widths, build)
    for name in _MOST:
        _within(name, getattr(widths, name), getattr(build, name))
    lift = build.weight_bits - widths.weight_bits
    image = lower_rtl(source, capacity.size, lift)
    for name, value in sizes_of(image).items():
        if name in _PARTS and value and not capacity.sizes[name]:
            raise WidthError(f"a circuit of this build must have no {_PARTS[name]}; export with --fit makes room")
        if name not in _DERIVED + _OWN:
            _within(name.lower().replace("_", " "), value, capacity.sizes[name])
    layout = capacity.layout
    memories = memories_of(image, capacity.sizes, capacity.tables(image))
    end = {name: int(image.columns[name].values[image.starts[1] - 1]) for name in ("a", "a_slot")}
    lanes = capacity.size.lanes
    header = {name: getattr(widths, name) for name in ("cardinality", "terms", "floor")} | {
        "record": len(circuit.order), "likelihood_steps": image.counts[0], "code_steps": image.counts[1],
        "likelihood_result": end["a"] * lanes, "likelihood_result_exponent": end["a_slot"], "nested": lift,
        "max_units": image.most_rows * lanes, "state_words": image.rows * lanes, "exponent_slots": image.slots,
        **{name: layout.header[name][0] for name in list(IMAGE_NAMES)[:IMAGE_SAME]},
    }  # fmt: skip
    pieces = [
        np.array([header[name] for name in IMAGE_NAMES], dtype="<u4"),
        np.frombuffer(circuit.digest, dtype="<u4", count=DIGEST_WORDS),
        np.array([len(words) for words, _ in memories.values()], dtype="<u4"),
        *(_pieces(words, bits) for words, bits in memories.values()),
    ]
    joined = np.concatenate(pieces)
    return np.append(joined, np.array([zlib.crc32(joined.tobytes())], dtype="<u4"))


def capacity_from(saved: object, where: str = "manifest.json") -> RtlCapacity:
    """Read a capacity from a manifest.

    Raises:
        FormatError: it is none, or a number is out of its range.
    """
    try:
        if not isinstance(saved, Mapping) or set(saved) != {"size", "widths", "sizes"}:
            raise ValueError(f"it must have size, widths and sizes, got {shown(saved)}")
        for name, table in saved.items():
            if not isinstance(table, Mapping) or any(
                n is not None and (not isinstance(n, int) or not 0 <= n <= MOST_WORD) for n in table.values()
            ):
                raise ValueError(f"{name} must be a table of whole numbers, got {shown(table)}")
        sizes = dict(saved["sizes"])
        chosen = {field.name: saved["size"][field.name] for field in fields(RtlSize)}
        size = RtlSize(**chosen | {"shared_product": bool(chosen["shared_product"])})
        capacity = RtlCapacity(size, Widths(**saved["widths"]), sizes)
        expected = _row_bits(step_widths(sizes)), _row_bits(variable_widths(sizes))
        if (sizes["STEP_WIDTH"], sizes["VARIABLE_WIDTH"]) != expected:
            raise ValueError(f"rows must have {expected[0]} and {expected[1]} bits")
        if missing := [name for name in _PARTS if name not in sizes]:
            raise ValueError(f"sizes must have {missing[0]}: export the project again")
        _ = capacity.layout
    except (KeyError, TypeError, ValueError, WidthError) as error:
        raise FormatError(
            "project-manifest", f"{where}: the capacity of a reloadable build must be whole ({error})"
        ) from error
    return capacity


def _column(values: NDArray[np.int64]) -> Column:
    return Column(values, np.ones(len(values), dtype=bool))


def _row_bits(widths: dict[str, int]) -> int:
    return sum(_plain(widths, {}).word_bits)


def _plain(widths: dict[str, int], columns: dict[str, Column]) -> PackedTable:
    """Put every number into bits of its own, as wide as it may be, whatever the rows hold."""
    placed: dict[str, Field] = {}
    filled = [0]
    for name, bits in widths.items():
        if filled[-1] + bits > 64:
            filled.append(0)
        placed[name] = Field(bits, 0, 1, 0, len(filled) - 1, filled[-1])
        filled[-1] += bits
    rows = len(next(iter(columns.values())).values) if columns else 0
    words = tuple(np.zeros(rows, dtype=np.uint64) for _ in filled)
    for name, column in columns.items():
        field = placed[name]
        values = np.where(column.used, column.values, 0).astype(np.uint64)
        assert int(values.max(initial=0)) < 1 << field.bits, name
        words[field.word][:] |= values << np.uint64(field.shift)
    return PackedTable(rows, placed, words, tuple(filled))


def _pieces(words: list[int], bits: int) -> NDArray[np.uint32]:
    """Cut words into pieces of 32 bits, the lowest first."""
    size = -(-bits // 32)
    data = b"".join(word.to_bytes(4 * size, "little") for word in words)
    return np.frombuffer(data, dtype="<u4")


def _within(name: str, value: int, limit: int) -> None:
    if value > limit:
        message = f"{name} must be at most {limit} in this build, the circuit has {value}"
        raise WidthError(f"{message}; export with --fit makes room")


def _same_widths(widths: Widths, build: Widths) -> None:
    for name in _SAME:
        width, fixed = getattr(widths, name), getattr(build, name)
        if width != fixed:
            raise WidthError(f"{name} must be {fixed} in this build, the circuit has {width}")
