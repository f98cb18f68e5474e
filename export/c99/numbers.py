"""The predictor stage of a circuit as C99: sizes and tables, the fragments of header and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pcedge.data.features import STARTS, parts_of, seen_by, sees_residuals
from pcedge.data.predictor import SATURATION, Feature, Predictor
from pcedge.export.c99.arrays import array, signed_type, structs, unsigned_type
from pcedge.export.project.stage import LineBuffer, line_buffer
from pcedge.export.project.tokens import token_contexts
from pcedge.integer.circuit import IntegerCircuit

#: bits of an integer type whose products with coefficients and sums fit the interpreter's
_LEVEL_BITS = (32, 64)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Hold what header and source say of a predictor stage."""

    #: what the header defines
    sizes: dict[str, object]
    #: lines of the source
    tables: list[str]


def lay_out_numbers(circuit: IntegerCircuit, predictor: Predictor) -> Numbers:
    """Lay out the predictor stage of a circuit.

    Args:
        circuit: the circuit, over class and token.
        predictor: its stage.
    """
    groups, features, adaptation = predictor.groups, predictor.features, predictor.adaptation
    inputs = adaptation.neighbours if adaptation else ()
    seen = seen_by(features)
    values, firsts, residuals = (
        line_buffer(predictor.shape, offsets) for offsets in ([*predictor.neighbours, *seen[0]], inputs, seen[1])
    )
    wide = any(group.wide for group in groups)
    span = max(group.high - group.low for group in groups)
    number_bits = 64 if wide else max(2, span.bit_length() + 1)
    level_bits = next(bits for bits in (16, *_LEVEL_BITS) if bits >= number_bits)
    most = _most_feature(predictor, min(span, SATURATION))
    context, _ = token_contexts(circuit)
    sizes: dict[str, object] = {
        "NUMBER_TYPE": "uint8_t" if predictor.dtype == "bool" else f"{predictor.dtype}_t",
        "NUMBER_BITS": number_bits,
        "LEVEL_TYPE": f"int{level_bits}_t",
        "WHOLE_TYPE": f"uint{level_bits}_t",
        "WIDE": int(wide),
        "COLUMNS": f"{predictor.columns}U",
        "AXES": f"{len(predictor.shape)}U",
        "NUMBER_GROUPS": f"{len(groups)}U",
        "VALUES": f"{values.places}U",
        "FIRSTS": f"{firsts.places if inputs else 0}U",
        "RESIDUALS": f"{residuals.places if seen[1] else 0}U",
        "INPUTS": f"{len(inputs)}U",
        "FEATURES": f"{len(features) if predictor.tree else 0}U",
        "FEATURE_BITS": most.bit_length() + 1,
        "FEATURE_TYPE": signed_type(most),
        "CONTEXTS": f"{context.shape[1]}U",
        "CENTRE": f"{predictor.centre}U",
        "ESCAPES": f"{predictor.escapes}U",
        "TOKENS": f"{predictor.cardinalities[1]}U",
        "LISTED_RESIDUALS": f"{len(predictor.listed)}U",
        "MARKS_MISSING": int(predictor.missing_token is not None),
        "GAIN": f"{adaptation.gain if adaptation else 0}U",
    }
    tables = _groups(predictor, values)
    tables += array(unsigned_type(max(predictor.shape)), "AXES", predictor.shape)
    tables += array("uint32_t", "VALUE_ZEROS", values.zeros)
    if inputs:
        tables += array("uint32_t", "INPUT_DISTANCES", [firsts.distances[offset] for offset in inputs])
        tables += array("uint32_t", "FIRST_ZEROS", firsts.zeros)
    if seen[1]:
        tables += array("uint32_t", "RESIDUAL_ZEROS", residuals.zeros)
    if predictor.tree:
        tables += _features(features, values, residuals)
        nodes = [(max(-most, min(most, n.threshold)), n.below, n.above, n.feature) for n in predictor.tree]
        tables += structs("node_t", "NODES", nodes)
    tables += structs("class_t", "CLASSES", predictor.classes)
    if predictor.listed:
        tables += array(signed_type(max(map(abs, predictor.listed))), "LISTED_RESIDUALS", predictor.listed)
    coding = array("uint16_t", "CONTEXTS", context.ravel().tolist())
    return Numbers(sizes, [*tables, "#if PCEDGE_CODES", *coding, "#endif"])


def _most_feature(predictor: Predictor, span: int) -> int:
    """Bound the size of features, whose parts are of numbers up to `span`."""
    most = max(predictor.columns, span)
    for feature in predictor.features:
        weights = sum(map(abs, feature.weights)) or len(feature.neighbours)
        most = max(most, span * (1 + weights))
    return most + 1  # a threshold beyond decides nothing else


def _groups(predictor: Predictor, buffer: LineBuffer) -> list[str]:
    """Write what groups share, with one behind them that says where the last one's terms end, and the terms."""
    terms: list[tuple[int, int]] = []
    rows: list[tuple[int | str, ...]] = []
    for group in predictor.groups:
        low, high = (0, 0) if group.wide else (group.low - group.origin, group.high - group.origin)
        rows.append((
            _whole(group.origin), _whole(group.low), _whole(group.high - group.low), group.constant, low, high,
            len(terms), int(group.wide),
        ))  # fmt: skip
        pairs = zip(predictor.neighbours, group.coefficients, strict=True)
        terms += [(a, buffer.distances[offset]) for offset, a in pairs if a]
    rows.append((*(_whole(0),) * 3, 0, 0, 0, len(terms), 0))
    lines = structs("number_group_t", "NUMBER_GROUPS", rows)
    own = predictor.group_of == tuple(range(predictor.columns))
    lines.append(f"#define COLUMN_IS_GROUP {int(own)}")
    if len(predictor.groups) > 1 and not own:
        lines += array(unsigned_type(len(predictor.groups)), "NUMBER_GROUP_OF", predictor.group_of)
    return lines + structs("term_t", "TERMS", terms or [(0, 0)])


def _whole(number: int) -> str:
    """Write a number modulo 2^64."""
    return f"UINT64_C({number % 2**64})"


def _features(features: Sequence[Feature], values: LineBuffer, residuals: LineBuffer) -> list[str]:
    parts: list[tuple[int, int, int, int]] = []
    firsts = [(0, 0)]
    for number, feature in enumerate(features):
        buffer = residuals if sees_residuals(feature) else values
        parts += [
            (part.distance, part.other, part.weight, part.kind)
            for part in parts_of(feature, buffer.distances.__getitem__)
        ]
        firsts[number] = (firsts[number][0], STARTS.get(feature.kind, 0))
        firsts.append((len(parts), 0))
    return structs("feature_parts_t", "FEATURES", firsts) + structs("part_t", "PARTS", parts or [(1, 1, 0, 0)])
