"""The sizes of a predictor stage as SystemVerilog, `stage.svh`, and its tables as images of memories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pcedge.arithmetic import ceil_log2
from pcedge.data.features import STARTS, parts_of, seen_by, sees_residuals
from pcedge.data.predictor import Group, Predictor
from pcedge.export.project.prediction import stage_of
from pcedge.export.project.stage import MOST_FEATURE, PART_BITS, SEEN_BITS, WEIGHT_BITS, LineBuffer, line_buffer
from pcedge.export.project.tokens import token_contexts
from pcedge.integer.circuit import IntegerCircuit

#: bits of a class's bias and shift, of a feature, and of a number as narrow groups see it (docs/predictor.md)
BIAS_BITS, SHIFT_BITS, FEATURE_BITS, NARROW_BITS = 41, 6, 54, 33

#: line buffers, in the order of their numbers in a reading
BUFFERS = ("values", "firsts", "residuals")

#: what a part of a feature is (`pcedge.data.features`): a number's size, and that of a difference of two
_SIZE, _DIFFERENCE = 2, 3


@dataclass(frozen=True)
class Reading:
    """Hold one reading of a line buffer: what the number there is multiplied with, and where it is added."""

    #: place in `BUFFERS`
    buffer: int
    #: places before the next number
    distance: int
    factor: int = 0
    #: what a feature begins with that this is the first of (`STARTS`); None where it is not
    start: int | None = None
    #: a feature ends with this one
    last: bool = False
    #: it is taken off the number that was read before
    difference: bool = False
    #: only the size counts
    size: bool = False


@dataclass(frozen=True)
class Table:
    """Hold an image: rows of fields, named, with their bits; the first field is in the highest bits."""

    fields: tuple[tuple[str, int], ...]
    rows: tuple[tuple[int, ...], ...]

    @property
    def width(self) -> int:
        """Count the bits of a word."""
        return sum(bits for _, bits in self.fields)

    @property
    def bits(self) -> int:
        """Count the bits of the memory; where all words are the same it is none."""
        return self.width * len(self.rows) if len(set(self.rows)) > 1 else 0

    def hex(self) -> str:
        """Write what `$readmemh` reads."""
        lines = []
        for row in self.rows or ((0,) * len(self.fields),):
            word = 0
            for value, (name, bits) in zip(row, self.fields, strict=True):
                assert -(1 << bits) <= 2 * value and value < 1 << bits, (name, value, bits)
                word = word << bits | value & (1 << bits) - 1
            lines.append(f"{word:0{-(-self.width // 4)}x}\n")
        return "".join(lines)


@dataclass(frozen=True, eq=False)
class StageTables:
    """Hold a stage as hardware has it."""

    sizes: dict[str, int]
    #: by the name of the image's file, without `stage_` and `.hex`
    tables: dict[str, Table]
    #: numbers that SystemVerilog indexes, side by side: name, bits of each, values
    lists: tuple[tuple[str, int, tuple[int, ...]], ...]
    #: bits of line buffers and adaptive weights
    memory_bits: dict[str, int]

    def header(self) -> str:
        """Write `stage.svh`."""
        return "\n".join([*self._lines(), ""])

    def images(self) -> dict[str, str]:
        """Write the images, by the names of their files."""
        return {f"stage_{name}.hex": table.hex() for name, table in self.tables.items()}

    def _lines(self) -> Iterator[str]:
        yield "// Sizes and words of the tables of one predictor stage. Generated."
        yield "`ifndef PC_STAGE_SVH"
        yield "`define PC_STAGE_SVH"
        for name, size in self.sizes.items():
            yield f"localparam int STAGE_{name} = {size};"
        for name, bits, values in self.lists:
            word = sum((value & (1 << bits) - 1) << bits * place for place, value in enumerate(values))
            yield f"localparam logic [{bits * len(values) - 1}:0] STAGE_{name} = {bits * len(values)}'h{word:x};"
        for name, table in self.tables.items():
            yield f"localparam int STAGE_{name.upper()}_WORDS = {max(1, len(table.rows))};"
            yield f"localparam int STAGE_{name.upper()}_WIDTH = {table.width};"
            if len(table.fields) > 1:
                yield "typedef struct packed {"
                for field, bits in table.fields:
                    yield f"  logic [{bits - 1}:0] {field};"
                yield f"}} stage_{name}_t;"
        yield "`endif"


def bits_for(count: int) -> int:
    """Give the bits of an address of so many words: at least one."""
    return max(1, ceil_log2(count))


def stage_tables(circuit: IntegerCircuit) -> StageTables:
    """Lay out the tables of a circuit's predictor stage and of its tokens.

    Args:
        circuit: a circuit that has a stage.
    """
    predictor = stage_of(circuit)
    assert predictor is not None
    groups, features, nodes = predictor.groups, predictor.features, predictor.tree
    wide = any(group.wide for group in groups)
    number_bits = 64 if wide else max(2, max(g.high - g.low for g in groups).bit_length() + 1)
    inputs = predictor.adaptation.neighbours if predictor.adaptation else ()
    seen = seen_by(features)
    buffers = {
        "values": line_buffer(predictor.shape, [*predictor.neighbours, *seen[0]]),
        "firsts": line_buffer(predictor.shape, inputs),
        "residuals": line_buffer(predictor.shape, seen[1]),
    }
    terms = [_terms(predictor, group, buffers["values"]) for group in groups]
    of_inputs = [Reading(1, buffers["firsts"].distances[offset]) for offset in inputs]
    parts = _parts(predictor, buffers)
    readings = [*itertools.chain.from_iterable(terms), *of_inputs, *parts]
    firsts = [0, *itertools.accumulate(map(len, terms))]
    context, table = token_contexts(circuit)
    data = np.dtype(predictor.dtype)
    signals = circuit.widths.signals()
    read_bits, count_bits = bits_for(len(readings) + 1), bits_for(max(map(len, terms), default=0) + 1)
    class_bits, column_bits = bits_for(len(predictor.classes)), bits_for(predictor.columns)
    units, tokens = context.shape[1], len(table) - 1
    tables = {
        "columns": Table((("group", bits_for(len(groups))),), tuple((g,) for g in predictor.group_of)),
        "groups": _groups(groups, firsts, terms, len(inputs), read_bits, count_bits),
        "reads": _reads(readings, max(b.places for b in buffers.values())),
        "nodes": _nodes(predictor, class_bits),
        "classes": Table((("bias", BIAS_BITS), ("shift", SHIFT_BITS)), predictor.classes),
        "listed": Table((("residual", 64),), tuple((r,) for r in predictor.listed)),
        "contexts": Table((("weight", circuit.state_bits),), tuple((v,) for v in context.ravel().tolist())),
        "tables": Table((("below", circuit.leaf_bits + 1),), tuple((v,) for v in table.ravel().tolist())),
    }
    sizes = {
        "COLUMNS": predictor.columns, "COLUMN_BITS": column_bits, "AXES": len(predictor.shape),
        "INDEX_BITS": bits_for(max(predictor.shape) + 1), "GROUPS": len(groups), "GROUP_BITS": bits_for(len(groups)),
        "INPUTS": len(inputs), "WEIGHTS": max(1, len(groups) * len(inputs)),
        "WEIGHT_ADDRESS_BITS": bits_for(max(1, len(groups) * len(inputs))), "INPUT_BITS": bits_for(len(inputs)),
        "FEATURES": len(features), "FEATURE_BITS": FEATURE_BITS, "FEATURE_ADDRESS_BITS": bits_for(len(features)),
        "NODES": len(nodes), "NODE_BITS": bits_for(len(nodes)), "CLASSES": len(predictor.classes),
        "CLASS_BITS": class_bits, "CENTRE": predictor.centre, "ESCAPES": predictor.escapes, "TOKENS": tokens,
        "TOKEN_BITS": 16, "LISTED": len(predictor.listed), "PLACE_BITS": bits_for(len(predictor.listed) + 1),
        "LISTED_BITS": bits_for(len(predictor.listed)), "MISSING": int(predictor.missing_token is not None),
        "GAIN": predictor.adaptation.gain if predictor.adaptation else 0, "NUMBER_BITS": number_bits,
        "DATA_BITS": 8 * data.itemsize, "DATA_SIGNED": int(data.kind == "i"), "WIDE": int(wide),
        **{f"{name.upper()}_PLACES": buffer.places for name, buffer in buffers.items()},
        **{f"HAS_{name.upper()}": int(bool(buffer.distances)) for name, buffer in buffers.items()},
        "CLEAR": max(1, len(groups) * len(inputs), *(buffer.places for buffer in buffers.values())),
        "ZEROS_BITS": bits_for(2 + max(max(buffer.zeros) for buffer in buffers.values())),
        "DISTANCE_BITS": bits_for(max(buffer.places for buffer in buffers.values())),
        "READ_BITS": read_bits, "COUNT_BITS": count_bits, "FIRST_INPUT": firsts[-1],
        "FIRST_PART": firsts[-1] + len(inputs), "PARTS": len(parts), "LIST_BITS": read_bits,
        "STATE_BITS": circuit.state_bits, "LEAF_BITS": circuit.leaf_bits, "SCALE_BITS": circuit.scale_bits,
        "SUM_BITS": signals["context_sum"], "WEIGHTED_BITS": signals["context_sum"] + circuit.leaf_bits,
        "FLOOR": circuit.floor, "UNITS": units, "UNIT_BITS": bits_for(units),
        "CONTEXT_ADDRESS_BITS": bits_for(context.size), "TABLE_ADDRESS_BITS": bits_for(table.size),
        "SEARCH_BITS": bits_for(tokens),
    }  # fmt: skip
    lists = (
        ("AXIS_SIZES", sizes["INDEX_BITS"], tuple(predictor.shape)),
        *((f"{name.upper()}_ZEROS", sizes["ZEROS_BITS"], b.zeros) for name, b in buffers.items()),
    )
    kept = {
        "line_buffers": sum(b.places * number_bits for b in buffers.values() if b.distances),
        "adaptive_weights": WEIGHT_BITS * len(groups) * len(inputs),
        "rom": sum(t.bits for name, t in tables.items() if name not in ("contexts", "tables")),
        "token_rom": tables["contexts"].bits + tables["tables"].bits,
    }
    assert SEEN_BITS < NARROW_BITS and PART_BITS < WEIGHT_BITS
    return StageTables(sizes, tables, lists, kept)


def _terms(predictor: Predictor, group: Group, buffer: LineBuffer) -> list[Reading]:
    """Give the neighbours of a group whose coefficients are not 0."""
    both = zip(predictor.neighbours, group.coefficients, strict=True)
    return [Reading(0, buffer.distances[offset], factor) for offset, factor in both if factor]


def _parts(predictor: Predictor, buffers: dict[str, LineBuffer]) -> list[Reading]:
    """Give what all features add up; each has one reading at least, and a difference two."""
    found: list[Reading] = []
    for feature in predictor.features:
        buffer = 2 * sees_residuals(feature)
        start: int | None = STARTS.get(feature.kind, 0)
        own: list[tuple[int, int, bool, bool]] = []
        for part in parts_of(feature, buffers[BUFFERS[buffer]].distances.__getitem__):
            if part.kind == _DIFFERENCE:
                own += [(part.distance, 0, False, False), (part.other, part.weight, True, True)]
            else:
                own.append((part.distance, part.weight, False, part.kind == _SIZE))
        for place, (distance, factor, difference, size) in enumerate(own or [(0, 0, False, False)]):
            last = place + 1 == max(1, len(own))
            found.append(Reading(buffer, distance, factor, None if place else start, last, difference, size))
    return found


def _groups(
    groups: Sequence[Group], firsts: list[int], terms: list[list[Reading]], inputs: int, read_bits: int,
    count_bits: int,
) -> Table:  # fmt: skip
    rows = []
    for number, group in enumerate(groups):
        low, high = (0, 0) if group.wide else (group.low - group.origin, group.high - group.origin)
        rows.append((
            int(group.wide), group.origin % 2**64, (group.low - group.origin) % 2**64, group.high - group.low, low,
            high, group.constant, firsts[number], len(terms[number]), number * inputs,
        ))  # fmt: skip
    fields = (
        ("wide", 1), ("origin", 64), ("least", 64), ("span", 64), ("low", NARROW_BITS), ("high", NARROW_BITS),
        ("offset", 50), ("first_term", read_bits), ("terms", count_bits),
        ("first_weight", bits_for(max(1, len(groups) * inputs))),
    )  # fmt: skip
    return Table(fields, tuple(rows))


def _reads(readings: Sequence[Reading], places: int) -> Table:
    rows = tuple(
        (r.buffer, r.distance, r.factor, int(r.start is not None), r.start or 0, r.last, r.difference, r.size)
        for r in readings
    )
    fields = (
        ("buffer", 2), ("distance", bits_for(places)), ("factor", WEIGHT_BITS), ("first", 1), ("start", 2), ("last", 1),
        ("difference", 1), ("size", 1),
    )  # fmt: skip
    return Table(fields, rows)


def _nodes(predictor: Predictor, class_bits: int) -> Table:
    """Lay out the tree: a child is a node, or, with `ends`, a class."""
    bits = max(bits_for(len(predictor.tree)), class_bits)
    rows = tuple(
        (
            node.feature, max(-MOST_FEATURE, min(MOST_FEATURE, node.threshold)),
            *itertools.chain.from_iterable((child < 0, child if child >= 0 else -1 - child)
                                           for child in (node.below, node.above)),
        )
        for node in predictor.tree
    )  # fmt: skip
    fields = (
        ("feature", bits_for(len(predictor.features))), ("threshold", FEATURE_BITS), ("below_ends", 1), ("below", bits),
        ("above_ends", 1), ("above", bits),
    )  # fmt: skip
    return Table(fields, rows)
