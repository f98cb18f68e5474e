"""The functions of the domain `pcedge`: the meaning of every step in standard ONNX operators (docs/onnx.md)."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

import onnx
import onnx.parser

from pcedge.arithmetic import EXACT_BITS, RECIPROCAL_BITS, RECIPROCAL_TABLE, ZERO_EXPONENT
from pcedge.export.onnx.kept_functions import KEPT_BODIES, KEPT_NEEDS
from pcedge.integer.circuit import IntegerCircuit
from pcedge.tails import TAIL_BITS, WEIGHT_TAIL_BITS

DOMAIN = "pcedge"
DOMAIN_VERSION = 1

#: ONNX Runtime 1.20 and later load these
OPSET = 21
IR_VERSION = 10

#: added to any exponent, it brings it below `ZERO_EXPONENT`
FALL = -(2**40)

# Element types of Cast: 7 is int64, 11 double, 13 uint64. Double is only for MatMul, whose products and sums stay below
# 2^53 and so are exact; it is 2 to 9 times as fast as int64 in ONNX Runtime. Uint64 is only for BitShift.
_BODIES = {
    # Shift right; neither is negative.
    "ShiftRight": """(values, amount) => (shifted) {
        words = Cast <to = 13> (values)
        bits = Cast <to = 13> (amount)
        moved = BitShift <direction = "RIGHT"> (words, bits)
        shifted = Cast <to = 7> (moved)
    }""",
    # Values [R, 1, N]; a value has as many bits as the first power of two above it says.
    "BitLength": """(values) => (length) {
        powers = Constant <value = int64[$lengths, 1] {$powers}> ()
        above = Less (values, powers)
        flags = Cast <to = 6> (above)
        length = ArgMax <axis = 1> (flags)
    }""",
    # A record whose entries are all zero gets `fill` as its mantissas and `fall` added to its exponent.
    "Normalise": """<fill, fall> (accumulated, exponent) => (mantissa, moved) {
        axis = Constant <value_ints = [1]> ()
        one = Constant <value_int = $one> ()
        bits = Constant <value_int = $state_bits> ()
        none = Constant <value_int = 0> ()
        least = Constant <value_int = $zero_exponent> ()
        zero_mantissa = Constant <value_int: int = @fill> ()
        zero_amount = Constant <value_int: int = @fall> ()
        top = ReduceMax <keepdims = 1> (accumulated, axis)
        length = pcedge.BitLength (top)
        wide = Mul (accumulated, one)
        shifted = pcedge.ShiftRight (wide, length)
        zero = Equal (length, none)
        mantissa = Where (zero, zero_mantissa, shifted)
        excess = Sub (length, bits)
        amount = Where (zero, zero_amount, excess)
        free = Add (exponent, amount)
        moved = Max (free, least)
    }""",
    # Terms [E, N]; list u of row r holds the terms from starts[r, u] to starts[r, u + 1].
    "AddLists": """(terms, starts) => (sums) {
        front = Constant <value = int64[4] {1, 0, 0, 0}> ()
        first = Constant <value_int = 0> ()
        from_first = Constant <value_ints = [0]> ()
        from_second = Constant <value_ints = [1]> ()
        to_last = Constant <value_ints = [-1]> ()
        to_end = Constant <value_ints = [9223372036854775807]> ()
        axis = Constant <value_ints = [1]> ()
        padded = Pad (terms, front)
        running = CumSum (padded, first)
        begins = Slice (starts, from_first, to_last, axis)
        ends = Slice (starts, from_second, to_end, axis)
        before = Gather (running, begins)
        after = Gather (running, ends)
        sums = Sub (after, before)
    }""",
    # Tables [entries, T] and, for the units of layers [R, units], their columns there: [entries, R, units].
    "Tables": """(tables, states) => (whole) {
        columns = Cast <to = 7> (states)
        whole = Gather <axis = 1> (tables, columns)
    }""",
    # Cumulative masters [entries, M], and master, shift and scale of each table [3, T]: cumulative tables [entries, T].
    "Nested": """(masters, parts) => (tables) {
        axis = Constant <value_ints = [0]> ()
        none = Constant <value_int = 0> ()
        one = Constant <value_ints = [1]> ()
        ends = Constant <value_ints = [2]> ()
        whole = Constant <value_int = $whole> ()
        numbers = Cast <to = 7> (parts)
        entries = Cast <to = 7> (masters)
        number, shift, scale = Split <axis = 0, num_outputs = 3> (numbers)
        columns = Squeeze (number, axis)
        own = Gather <axis = 1> (entries, columns)
        product = Mul (own, scale)
        scaled = Div (product, whole)
        height = Shape <start = 0, end = 1> (masters)
        between = Sub (height, ends)
        size = Concat <axis = 0> (between, one)
        first = Mul (shift, none)
        inner = Expand (shift, size)
        last = Sub (whole, scale)
        offset = Concat <axis = 0> (first, inner, last)
        tables = Add (scaled, offset)
    }""",
    # Rows [R, n], and of the units of blocks [B, units] the number and the turn of their rows: weights [B, units, n].
    "Rows": """(rows, numbers, turns) => (weights) {
        last = Constant <value_ints = [-1]> ()
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        size = Shape <start = 1, end = 2> (rows)
        length = Squeeze (size)
        count = Range (none, length, one)
        number = Cast <to = 7> (numbers)
        turn = Cast <to = 7> (turns)
        named = Unsqueeze (number, last)
        first = Mul (named, size)
        shift = Unsqueeze (turn, last)
        moved = Add (shift, count)
        place = Mod (moved, size)
        places = Add (first, place)
        flat = Reshape (rows, last)
        weights = Gather (flat, places)
    }""",
    "Root": """<layers> (symbols) => (mantissa, exponent) {
        half = Constant <value = int64[1, 1, 1] {$half}> ()
        scale = Constant <value = int64[1, 1, 1] {$root_exponent}> ()
        ones = Constant <value_ints = [1, 1]> ()
        records = Shape <start = 1> (symbols)
        size = Concat <axis = 0> (ones, records)
        mantissa = Expand (half, size)
        exponent = Expand (scale, size)
    }""",
    "Leaf": """<layers, fill, fall> (symbols, tables, rows, variables) => (mantissa, exponent) {
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        axis = Constant <value_ints = [1]> ()
        own = Constant <value = int64[1, 1, 1] {$leaf_exponent}> ()
        height = Shape <start = 0, end = 1> (tables)
        count = Shape <start = 1, end = 2> (tables)
        flat = Flatten <axis = 2> (tables)
        place = Cast <to = 7> (rows)
        base = Unsqueeze (place, axis)
        symbol = Gather (symbols, variables)
        missing = Less (symbol, none)
        last = Sub (height, one)
        next = Add (symbol, one)
        end = Where (missing, last, next)
        start = Max (symbol, none)
        end_first = Mul (end, count)
        start_first = Mul (start, count)
        end_place = Add (end_first, base)
        start_place = Add (start_first, base)
        end_entry = Gather (flat, end_place)
        start_entry = Gather (flat, start_place)
        above = Cast <to = 7> (end_entry)
        below = Cast <to = 7> (start_entry)
        counts = Sub (above, below)
        accumulated = Transpose <perm = [0, 2, 1]> (counts)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, own)
    }""",
    "Sum": """<layers, fill, fall> (source, scale, weights, rows) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        picked = Gather (weights, rows)
        matrix = Cast <to = 11> (picked)
        vector = Cast <to = 11> (source)
        product = MatMul (matrix, vector)
        accumulated = Cast <to = 7> (product)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, own)
    }""",
    "Context": """<layers, fill, fall> (source, scale, weights, rows) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        picked = Gather (weights, rows)
        turned = Transpose <perm = [0, 2, 1]> (picked)
        matrix = Cast <to = 11> (turned)
        vector = Cast <to = 11> (source)
        product = MatMul (matrix, vector)
        accumulated = Cast <to = 7> (product)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, own)
    }""",
    "WeightedLists": """<fill, fall> (source, scale, values, entries, sources, starts) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        axis = Constant <value_ints = [1]> ()
        picked = Gather (values, entries)
        whole = Cast <to = 7> (picked)
        weights = Unsqueeze (whole, axis)
        flat = Flatten <axis = 2> (source)
        plain = Gather (flat, sources)
        terms = Mul (plain, weights)
        accumulated = pcedge.AddLists (terms, starts)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, own)
    }""",
    "SparseSum": """<layers, fill, fall> (source, scale, values, entries, sources, starts) => (mantissa, exponent) {
        mantissa, exponent = pcedge.WeightedLists <fill: int = @fill, fall: int = @fall> (
            source, scale, values, entries, sources, starts)
    }""",
    "SparseContext": """<layers, fill, fall> (source, scale, values, entries, sources, starts) => (mantissa, exponent) {
        mantissa, exponent = pcedge.WeightedLists <fill: int = @fill, fall: int = @fall> (
            source, scale, values, entries, sources, starts)
    }""",
    "ListSum": """<layers, fill, fall> (source, scale, sources, starts) => (mantissa, exponent) {
        flat = Flatten <axis = 2> (source)
        terms = Gather (flat, sources)
        accumulated = pcedge.AddLists (terms, starts)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, scale)
    }""",
    "Pick": """<layers, column> (source, gathers, rows) => (picked) {
        axis = Constant <value_ints = [2]> ()
        which = Constant <value_int: int = @column> ()
        lists = Gather (gathers, rows)
        list = Gather <axis = 2> (lists, which)
        units = Cast <to = 7> (list)
        places = Unsqueeze (units, axis)
        picked = GatherND <batch_dims = 1> (source, places)
    }""",
    "Product": """<layers, fill, fall> (first, first_scale, second, second_scale) => (mantissa, exponent) {
        accumulated = Mul (first, second)
        own = Add (first_scale, second_scale)
        mantissa, exponent = pcedge.Normalise <fill: int = @fill, fall: int = @fall> (accumulated, own)
    }""",
    "Align": """<layers> (first, first_scale, second, second_scale) => (mantissa, exponent) {
        most = Constant <value_int = $exact_bits> ()
        exponent = Max (first_scale, second_scale)
        first_gap = Sub (exponent, first_scale)
        second_gap = Sub (exponent, second_scale)
        first_amount = Min (first_gap, most)
        second_amount = Min (second_gap, most)
        upper = pcedge.ShiftRight (first, first_amount)
        lower = pcedge.ShiftRight (second, second_amount)
        mantissa = Concat <axis = 1> (upper, lower)
    }""",
    # 2^33 / divisor from below; Div of integers that are not negative is a shift with truncation.
    "Reciprocal": """(divisor) => (result) {
        of_index = Constant <value_int = 128> ()
        of_error = Constant <value_int = 16384> ()
        of_result = Constant <value_int = 32768> ()
        last = Constant <value_int = 511> ()
        middle = Constant <value_int = 256> ()
        top = Constant <value_int = 65536> ()
        of_top = Constant <value_int = 131072> ()
        unit = Constant <value_int = 4294967296> ()
        table = Constant <value_ints = [$reciprocals]> ()
        short = Div (divisor, of_index)
        near = Min (short, last)
        index = Sub (near, middle)
        start = Gather (table, index)
        covered = Mul (divisor, start)
        rest = Sub (unit, covered)
        error = Div (rest, of_error)
        raised = Mul (start, error)
        refined = Div (raised, of_result)
        whole = Equal (divisor, top)
        result = Where (whole, of_top, refined)
    }""",
    # Context [R, units, N]; n, the shift to X bits, and R, the scale, both [R, 1, N].
    "Scale": """(context, cardinality) => (amount, scale) {
        axis = Constant <value_ints = [1]> ()
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        bits = Constant <value_int = $reciprocal_bits> ()
        powers = Constant <value_ints = [$powers]> ()
        floor = Constant <value_int = $floor> ()
        space = Constant <value_int = $space> ()
        unit = Constant <value_int = 131072> ()
        offset = Constant <value_int = $bound_offset> ()
        total = ReduceSum <keepdims = 1> (context, axis)
        length = pcedge.BitLength (total)
        over = Sub (length, bits)
        excess = Max (over, none)
        power = Gather (powers, excess)
        almost = Sub (power, one)
        raised = Add (total, almost)
        short = pcedge.ShiftRight (raised, excess)
        under = Sub (bits, length)
        lack = Max (under, none)
        factor = Gather (powers, lack)
        divisor = Mul (short, factor)
        reciprocal = pcedge.Reciprocal (divisor)
        floors = Mul (cardinality, floor)
        room = Sub (space, floors)
        product = Mul (reciprocal, room)
        scale = Div (product, unit)
        amount = Add (length, offset)
    }""",
    # Both ends of an interval side by side: [R, 2, N].
    "Interval": """<layers> (context, symbols, tables, rows, variables) => (lo, hi) {
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        both = Constant <value = int64[2, 1] {0, 1}> ()
        axis = Constant <value_ints = [1]> ()
        units = Constant <value_ints = [3]> ()
        pair = Constant <value_ints = [1, 2]> ()
        floor = Constant <value_int = $floor> ()
        powers = Constant <value_ints = [$powers]> ()
        unit = Constant <value_int = $bound_unit> ()
        height = Shape <start = 0, end = 1> (tables)
        count = Shape <start = 1, end = 2> (tables)
        cardinality = Sub (height, one)
        amount, scale = pcedge.Scale (context, cardinality)
        flat = Flatten <axis = 2> (tables)
        place = Cast <to = 7> (rows)
        base = Unsqueeze (place, pair)
        drawn = Gather (symbols, variables)
        symbol = Unsqueeze (drawn, axis)
        ends = Add (symbol, both)
        end = Max (ends, none)
        first = Mul (end, count)
        places = Add (first, base)
        entries = Gather (flat, places)
        tall = Cast <to = 7> (entries)
        turned = Transpose <perm = [0, 2, 1]> (context)
        mixture = Unsqueeze (turned, axis)
        terms = Mul (tall, mixture)
        weighted = ReduceSum <keepdims = 0> (terms, units)
        right = Max (amount, none)
        short = pcedge.ShiftRight (weighted, right)
        back = Neg (amount)
        left = Max (back, none)
        factor = Gather (powers, left)
        input = Mul (short, factor)
        product = Mul (input, scale)
        share = Div (product, unit)
        floors = Mul (end, floor)
        bound = Add (share, floors)
        missing = Less (symbol, none)
        coded = Where (missing, none, bound)
        lo_row, hi_row = Split <axis = 1, num_outputs = 2> (coded)
        lo = Squeeze (lo_row, axis)
        hi = Squeeze (hi_row, axis)
    }""",
}

#: functions that a function calls
_NEEDS = {
    "Normalise": ("BitLength", "ShiftRight"),
    "Leaf": ("Normalise",),
    "Sum": ("Normalise",),
    "Context": ("Normalise",),
    "WeightedLists": ("AddLists", "Normalise"),
    "SparseSum": ("WeightedLists",),
    "SparseContext": ("WeightedLists",),
    "ListSum": ("AddLists", "Normalise"),
    "Product": ("Normalise",),
    "Align": ("ShiftRight",),
    "Reciprocal": ("ShiftRight",),
    "Scale": ("BitLength", "Reciprocal", "ShiftRight"),
    "Interval": ("Scale", "ShiftRight"),
}


def onnx_functions(circuit: IntegerCircuit, used: Iterable[str]) -> list[onnx.FunctionProto]:
    """Write the functions that a circuit's nodes use, and those that these call, with the circuit's widths."""
    widths = circuit.widths
    constants = {
        "lengths": widths.accumulator + 1,
        "powers": _comma(1 << bit for bit in range(widths.accumulator + 1)),
        "one": 1 << widths.state_bits,
        "whole": 1 << widths.leaf_bits,
        "half": 1 << (widths.state_bits - 1),
        "state_bits": widths.state_bits,
        "root_exponent": 1 - widths.state_bits,
        "leaf_exponent": -widths.leaf_bits,
        "weight_bits": widths.weight_bits,
        "zero_exponent": ZERO_EXPONENT,
        "exact_bits": EXACT_BITS,
        "reciprocal_bits": RECIPROCAL_BITS,
        "reciprocals": _comma(RECIPROCAL_TABLE.tolist()),
        "floor": widths.floor,
        "space": 1 << widths.scale_bits,
        "bound_unit": 1 << widths.bound_input,
        "bound_offset": widths.leaf_bits - widths.bound_input,
        "fall": FALL,
        "tail_exponent": -widths.leaf_bits - TAIL_BITS,
        "tail_unit": 1 << TAIL_BITS,
        "tail_powers": _comma(1 << TAIL_BITS >> exponent for exponent in range(TAIL_BITS + 1)),
        "weight_tail": 1 << WEIGHT_TAIL_BITS,
    }
    wanted: set[str] = set()
    queue = list(used)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue.extend((_NEEDS | KEPT_NEEDS).get(name, ()))
    header = f'<domain: "{DOMAIN}", opset_import: ["": {OPSET}, "{DOMAIN}": {DOMAIN_VERSION}]>'
    return [
        onnx.parser.parse_function(f"{header} {name} {Template(body).substitute(constants)}")
        for name, body in (_BODIES | KEPT_BODIES).items()
        if name in wanted
    ]


def _comma(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
