"""The predictor stage of a circuit as C++: sizes and tables of `pcedge_stage.hpp`, and what they take of a device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcedge.data.features import STARTS, Part, parts_of, seen_by, sees_residuals
from pcedge.data.prediction import NARROW
from pcedge.data.predictor import NARROW_BITS, Feature, Offset, Predictor

#: widths of kernels: of a coefficient or a weight, of numbers that features see, and of a feature's weight
WEIGHT_BITS, SEEN_BITS, PART_BITS = 22, 32, 12

#: features are below this, so a threshold beyond it decides nothing else
MOST_FEATURE = 1 << 52

#: integers on a line of a generated table
_COLUMNS = 16


@dataclass(frozen=True)
class LineBuffer:
    """Hold how numbers of a lane lie in a line buffer: in their order, with zeros between rows and between axes."""

    #: numbers that are held, at least one
    places: int
    #: zeros behind a number with which so many axes of a row end
    zeros: tuple[int, ...]
    #: how far before the next number each neighbour lies
    distances: dict[Offset, int]


def line_buffer(shape: Sequence[int], offsets: Sequence[Offset]) -> LineBuffer:
    """Lay out a line buffer for neighbours: as long as the farthest one."""
    if not offsets:
        return LineBuffer(1, (0,) * (len(shape) + 1), {})
    pads = [max(*along, 0) - min(*along, 0) for along in list(zip(*offsets, (0,) * (1 + len(shape)), strict=True))[1:]]
    strides = [math.prod(size + pad for size, pad in zip(shape[a:], pads[a:], strict=True)) for a in range(len(shape))]
    strides.append(1)  # axis a of a row steps by strides[a + 1], rows by strides[0]
    distances = {offset: sum(map(math.prod, zip(offset, strides, strict=True))) for offset in offsets}
    places = max(distances.values()) + 1
    behind = itertools.accumulate(pad * step for pad, step in zip(pads[::-1], strides[:0:-1], strict=True))
    return LineBuffer(places, (0, *(min(zeros, places) for zeros in behind)), distances)


@dataclass
class Tables:
    """Collect the functions of constant tables, and count their bits."""

    lines: list[str] = field(default_factory=list)
    bits: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Sequence[int], *, signed: bool = False, indent: str = "  ") -> None:
        """Write a table; one whose entries are all equal is no memory."""
        width = max((v.bit_length() if v >= 0 else (~v).bit_length()) for v in (*values, 0)) + signed
        size = next(size for size in (8, 16, 32, 64) if size >= max(1, width))
        sign = "" if signed else "u"
        kind, suffix = f"std::{sign}int{max(size, 32)}_t", f"{sign}{'ll' if size == 64 else ''}"
        if len(set(values)) < 2:
            body = f"    return {values[0] if values else 0}{suffix};\n"
            head = f"static {kind} {name}(std::uint32_t)"
        else:
            self.bits[name] = len(values) * width
            numbers = [f"{value}{suffix}" for value in values]
            rows = [", ".join(numbers[at : at + _COLUMNS]) for at in range(0, len(numbers), _COLUMNS)]
            macro = "SIGNED" if signed else "UNSIGNED"
            listed = ",\n        ".join(rows)
            body = (
                f"    static const PCEDGE_STAGE_{macro}({size}, {width}) entries[{len(values)}] = {{\n"
                f"        {listed}}};\n"
                f'    return entries[PCEDGE_WITHIN(place, {len(values)}u, "{name}")];\n'
            )
            head = f"static {kind} {name}(std::uint32_t place)"
        text = f"  {head} {{\n#pragma HLS INLINE\n{body}  }}\n"
        more = indent[2:]
        self.lines += [more + line if line.strip() and line[0] != "#" else line for line in text.splitlines(True)]


@dataclass(frozen=True, eq=False)
class StageCode:
    """Hold the text of a stage and what it takes, counted without synthesis."""

    header: str
    #: bits of line buffers and adaptive weights of one top, and of all constant tables
    memory_bits: dict[str, int]
    #: the factors' bits of every multiplier, by what it is for
    multipliers: dict[str, tuple[int, int]]
    #: multiplications of a number, at most
    multiplications: int
    #: passes of the loops for a number, at most, but for those that write zeros and raw bits
    passes: int

    def as_dict(self) -> dict[str, Any]:
        """Give the figures, for a manifest or an estimate."""
        return {
            "memory_bits": self.memory_bits, "multiplications": self.multiplications,
            "passes": self.passes,
            "multipliers": {name: list(bits) for name, bits in self.multipliers.items()},
        }  # fmt: skip


def stage_code(predictor: Predictor, digest: bytes) -> StageCode:
    """Write `pcedge_stage.hpp`: widths, sizes and tables of a stage.

    Args:
        predictor: the stage.
        digest: of the circuit.
    """
    tables, groups, features = Tables(), predictor.groups, predictor.features
    wide = any(group.wide for group in groups)
    number_bits = 64 if wide else max(2, max(g.high - g.low for g in groups).bit_length() + 1)
    inputs = predictor.adaptation.neighbours if predictor.adaptation else ()
    seen = seen_by(features)
    buffers = {
        "values": line_buffer(predictor.shape, [*predictor.neighbours, *seen[0]]),
        "firsts": line_buffer(predictor.shape, inputs),
        "residuals": line_buffer(predictor.shape, seen[1]),
    }
    terms = _groups(tables, predictor, buffers["values"])
    used = [0 if group.wide else many for group, many in zip(groups, terms, strict=True)]
    tables.add("input_distance", [buffers["firsts"].distances[offset] for offset in inputs])
    parts, weighted = _features(tables, features, buffers)
    _tree(tables, predictor)
    tables.add("size", predictor.shape)
    tables.add("listed", predictor.listed, signed=True)
    data = np.dtype(predictor.dtype)
    constants = {
        "unsigned columns": predictor.columns, "unsigned axes": len(predictor.shape), "unsigned groups": len(groups),
        "unsigned inputs": len(inputs), "unsigned features": len(features), "unsigned nodes": len(predictor.tree),
        "unsigned depth": _depth(predictor), "unsigned centre": predictor.centre,
        "unsigned escapes": predictor.escapes, "unsigned tokens": predictor.cardinalities[1],
        "unsigned listed_residuals": len(predictor.listed),
        "bool marks_missing": predictor.missing_token is not None,
        "unsigned gain": predictor.adaptation.gain if predictor.adaptation else 0,
        "int number_bits": number_bits, "int data_bits": 8 * data.itemsize, "bool data_signed": data.kind == "i",
        "bool wide": wide, "bool sees_residuals": bool(seen[1]),
    }  # fmt: skip
    lines = [f"  static constexpr {name} = {str(value).lower()};\n" for name, value in constants.items()]
    for name, buffer in buffers.items():
        inner = Tables()
        inner.add("zeros", buffer.zeros, indent="    ")
        tables.bits |= {f"{name}_zeros": bits for bits in inner.bits.values()}
        lines += [
            f"  struct {name} {{\n    static constexpr unsigned places = {buffer.places};\n",
            *inner.lines,
            "  };\n",
        ]
    weight_bits = WEIGHT_BITS * len(groups) * len(inputs)
    kept = {name: b.places * number_bits for name, b in buffers.items() if b.distances}
    multipliers = {
        "prediction": (WEIGHT_BITS, min(number_bits, NARROW.bit_length() + 1)) if any(used) else None,
        "adaptation": (WEIGHT_BITS, SEEN_BITS) if inputs else None,
        "features": (PART_BITS, SEEN_BITS + 1) if weighted else None,
    }
    return StageCode(
        _HEADER.format(digest=digest.hex(), body="".join([*lines, *tables.lines])),
        {"line_buffers": sum(kept.values()), "adaptive_weights": weight_bits, "rom": sum(tables.bits.values())},
        {name: bits for name, bits in multipliers.items() if bits},
        max(used) + len(inputs) + weighted,
        max(terms) + 2 * len(inputs) + parts + _depth(predictor),
    )


def _groups(tables: Tables, predictor: Predictor, buffer: LineBuffer) -> list[int]:
    """Write the tables of groups; give how many neighbours each has whose coefficient is not 0."""
    groups = predictor.groups
    terms = [
        [(buffer.distances[o], a) for o, a in zip(predictor.neighbours, group.coefficients, strict=True) if a]
        for group in groups
    ]
    narrow = [(0, 0) if g.wide else (g.low - g.origin, g.high - g.origin) for g in groups]
    assert all(-(1 << NARROW_BITS) <= low <= high < 1 << NARROW_BITS for low, high in narrow)
    tables.add("group", predictor.group_of)
    tables.add("is_wide", [int(group.wide) for group in groups])
    tables.add("origin", [group.origin % 2**64 for group in groups])
    tables.add("least", [(group.low - group.origin) % 2**64 for group in groups])
    tables.add("span", [group.high - group.low for group in groups])
    tables.add("low", [low for low, _ in narrow], signed=True)
    tables.add("high", [high for _, high in narrow], signed=True)
    tables.add("constant", [group.constant for group in groups], signed=True)
    tables.add("first_term", _firsts(terms))
    flat = list(itertools.chain.from_iterable(terms))
    tables.add("term_distance", [distance for distance, _ in flat])
    tables.add("coefficient", [coefficient for _, coefficient in flat], signed=True)
    return [len(of) for of in terms]


def _features(tables: Tables, features: Sequence[Feature], buffers: dict[str, LineBuffer]) -> tuple[int, int]:
    """Write the tables of features and their parts; give how many parts there are, and how many have a weight."""
    parts: list[list[Part]] = []
    for feature in features:
        buffer = buffers["residuals" if sees_residuals(feature) else "values"]
        parts.append(parts_of(feature, buffer.distances.__getitem__))
    flat = list(itertools.chain.from_iterable(parts))
    tables.add("feature_start", [STARTS.get(feature.kind, 0) for feature in features])
    tables.add("first_part", _firsts(parts))
    tables.add("part_kind", [part.kind for part in flat])
    tables.add("part_distance", [part.distance for part in flat])
    tables.add("part_other", [part.other for part in flat])
    tables.add("part_weight", [part.weight for part in flat], signed=True)
    return len(flat), sum(len(feature.weights) for feature in features)


def _tree(tables: Tables, predictor: Predictor) -> None:
    """Write the tables of nodes and classes."""
    nodes = predictor.tree
    tables.add("node_feature", [node.feature for node in nodes])
    tables.add("node_threshold", [max(-MOST_FEATURE, min(MOST_FEATURE, node.threshold)) for node in nodes], signed=True)
    tables.add("node_below", [node.below for node in nodes], signed=True)
    tables.add("node_above", [node.above for node in nodes], signed=True)
    tables.add("bias", [bias for bias, _ in predictor.classes], signed=True)
    tables.add("shift", [shift for _, shift in predictor.classes])


def _depth(predictor: Predictor) -> int:
    """Count the nodes on the longest way to a class."""
    depths = [0] * (len(predictor.tree) + 1)
    for number, node in reversed(list(enumerate(predictor.tree))):
        depths[number] = 1 + max(depths[child] if child >= 0 else 0 for child in (node.below, node.above))
    return depths[0]


def _firsts(lists: Sequence[Sequence[object]]) -> list[int]:
    return [0, *itertools.accumulate(map(len, lists))]


_HEADER = """\
// The predictor stage of one circuit: widths, sizes and tables. Generated; the stage is in model.onnx.
// digest {digest}
#ifndef PCEDGE_STAGE_TABLES_HPP
#define PCEDGE_STAGE_TABLES_HPP

#include "pcedge/arith/bounded.hpp"
#include "pcedge/arith/integers.hpp"

// Exact widths cost nothing in hardware; a simulator starts faster with plain integers.
#ifdef __SYNTHESIS__
#define PCEDGE_STAGE_UNSIGNED(size, bits) ap_uint<bits>
#define PCEDGE_STAGE_SIGNED(size, bits) ap_int<bits>
#else
#define PCEDGE_STAGE_UNSIGNED(size, bits) std::uint##size##_t
#define PCEDGE_STAGE_SIGNED(size, bits) std::int##size##_t
#endif

struct pcedge_stage {{
#ifdef PCEDGE_PLAIN_INTEGERS
  using integers = pcedge::plain_integers;
#else
  using integers = pcedge::ap_integers;
#endif
{body}}};

#endif
"""
