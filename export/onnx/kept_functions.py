"""The functions of a likelihood with tails in standard ONNX operators (docs/arithmetic.md, section Tails)."""

from __future__ import annotations

#: as `_BODIES` of `functions`; a mantissa of 1 says that an entry is possible, and weighs nothing
KEPT_BODIES = {
    # What mantissas weigh, and which entries are possible, as 0 and 1.
    "Live": """(mantissa) => (values, some) {
        one = Constant <value_int = 1> ()
        lone = Equal (mantissa, one)
        flags = Cast <to = 7> (lone)
        values = Sub (mantissa, flags)
        some = Min (mantissa, one)
    }""",
    "KeptNormalise": """(accumulated, exponent) => (mantissa, moved) {
        axis = Constant <value_ints = [1]> ()
        scale = Constant <value_int = $one> ()
        bits = Constant <value_int = $state_bits> ()
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        fall = Constant <value_int = $fall> ()
        least = Constant <value_int = $zero_exponent> ()
        top = ReduceMax <keepdims = 1> (accumulated, axis)
        length = pcedge.BitLength (top)
        wide = Mul (accumulated, scale)
        shifted = pcedge.ShiftRight (wide, length)
        some = Min (accumulated, one)
        kept = Max (shifted, some)
        lone = Equal (accumulated, one)
        others = Less (one, length)
        beside = And (lone, others)
        mantissa = Where (beside, one, kept)
        zero = Equal (length, none)
        excess = Sub (length, bits)
        amount = Where (zero, fall, excess)
        free = Add (exponent, amount)
        moved = Max (free, least)
    }""",
    # The counts of the records' symbols, [R, units, N], and their places in a list of symbols, [R, N].
    "Counts": """(symbols, tables, rows, variables) => (counts, start) {
        none = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        axis = Constant <value_ints = [1]> ()
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
        difference = Sub (above, below)
        counts = Transpose <perm = [0, 2, 1]> (difference)
    }""",
    "KeptLeaf": """<layers> (symbols, tables, rows, variables) => (mantissa, exponent) {
        own = Constant <value = int64[1, 1, 1] {$leaf_exponent}> ()
        counts, start = pcedge.Counts (symbols, tables, rows, variables)
        mantissa, exponent = pcedge.KeptNormalise (counts, own)
    }""",
    # Tails [T, V]: exponents of each symbol, and for each layer its row there; a missing symbol has the largest count.
    "TailLeaf": """<layers> (symbols, tables, rows, variables, tails, tail_rows) => (mantissa, exponent) {
        own = Constant <value = int64[1, 1, 1] {$tail_exponent}> ()
        unit = Constant <value_int = $tail_unit> ()
        axis = Constant <value_ints = [1]> ()
        powers = Constant <value_ints = [$tail_powers]> ()
        counts, start = pcedge.Counts (symbols, tables, rows, variables)
        scaled = Mul (counts, unit)
        width = Shape <start = 1, end = 2> (tails)
        row = Cast <to = 7> (tail_rows)
        first = Mul (row, width)
        base = Unsqueeze (first, axis)
        place = Add (start, base)
        flat = Flatten <axis = 2> (tails)
        places = Unsqueeze (place, axis)
        listed = Gather <axis = 0> (flat, places)
        axis_last = Constant <value_ints = [3]> ()
        squeezed = Squeeze (listed, axis_last)
        fall = Cast <to = 7> (squeezed)
        tail = Gather (powers, fall)
        accumulated = Max (scaled, tail)
        mantissa, exponent = pcedge.KeptNormalise (accumulated, own)
    }""",
    "KeptSum": """<layers> (source, scale, weights, rows) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        one = Constant <value_int = 1> ()
        picked = Gather (weights, rows)
        matrix = Cast <to = 11> (picked)
        values, some = pcedge.Live (source)
        vector = Cast <to = 11> (values)
        product = MatMul (matrix, vector)
        whole = Cast <to = 7> (product)
        flags = Cast <to = 11> (some)
        ways = MatMul (matrix, flags)
        counted = Cast <to = 7> (ways)
        possible = Min (counted, one)
        accumulated = Max (whole, possible)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.KeptNormalise (accumulated, own)
    }""",
    "TailSum": """<layers> (source, scale, weights, rows) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        none = Constant <value_int = 0> ()
        drop = Constant <value_int = $weight_tail> ()
        axis = Constant <value_ints = [1]> ()
        picked = Gather (weights, rows)
        weight = Cast <to = 7> (picked)
        matrix = Cast <to = 11> (picked)
        dropped = Equal (weight, none)
        zeros = Cast <to = 11> (dropped)
        values, some = pcedge.Live (source)
        vector = Cast <to = 11> (values)
        product = MatMul (matrix, vector)
        small = Div (values, drop)
        rest = Cast <to = 11> (small)
        more = MatMul (zeros, rest)
        both = Add (product, more)
        whole = Cast <to = 7> (both)
        possible = ReduceMax <keepdims = 1> (some, axis)
        accumulated = Max (whole, possible)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.KeptNormalise (accumulated, own)
    }""",
    "KeptLists": """(source, scale, values, entries, sources, starts) => (mantissa, exponent) {
        bits = Constant <value_int = $weight_bits> ()
        one = Constant <value_int = 1> ()
        axis = Constant <value_ints = [1]> ()
        picked = Gather (values, entries)
        whole = Cast <to = 7> (picked)
        weights = Unsqueeze (whole, axis)
        flat = Flatten <axis = 2> (source)
        plain = Gather (flat, sources)
        live, some = pcedge.Live (plain)
        terms = Mul (live, weights)
        sums = pcedge.AddLists (terms, starts)
        flags = Mul (some, weights)
        ways = pcedge.AddLists (flags, starts)
        possible = Min (ways, one)
        accumulated = Max (sums, possible)
        own = Sub (scale, bits)
        mantissa, exponent = pcedge.KeptNormalise (accumulated, own)
    }""",
    "KeptSparseSum": """<layers> (source, scale, values, entries, sources, starts) => (mantissa, exponent) {
        mantissa, exponent = pcedge.KeptLists (source, scale, values, entries, sources, starts)
    }""",
    "KeptProduct": """<layers> (first, first_scale, second, second_scale) => (mantissa, exponent) {
        left, left_some = pcedge.Live (first)
        right, right_some = pcedge.Live (second)
        product = Mul (left, right)
        possible = Mul (left_some, right_some)
        accumulated = Max (product, possible)
        own = Add (first_scale, second_scale)
        mantissa, exponent = pcedge.KeptNormalise (accumulated, own)
    }""",
    "KeptAlign": """<layers> (first, first_scale, second, second_scale) => (mantissa, exponent) {
        one = Constant <value_int = 1> ()
        most = Constant <value_int = $exact_bits> ()
        exponent = Max (first_scale, second_scale)
        first_gap = Sub (exponent, first_scale)
        second_gap = Sub (exponent, second_scale)
        first_amount = Min (first_gap, most)
        second_amount = Min (second_gap, most)
        upper = pcedge.ShiftRight (first, first_amount)
        lower = pcedge.ShiftRight (second, second_amount)
        shifted = Concat <axis = 1> (upper, lower)
        whole = Concat <axis = 1> (first, second)
        some = Min (whole, one)
        mantissa = Max (shifted, some)
    }""",
}

#: functions that a function calls
KEPT_NEEDS = {
    "KeptNormalise": ("BitLength", "ShiftRight"),
    "KeptLeaf": ("Counts", "KeptNormalise"),
    "TailLeaf": ("Counts", "KeptNormalise"),
    "KeptSum": ("Live", "KeptNormalise"),
    "TailSum": ("Live", "KeptNormalise"),
    "KeptLists": ("Live", "AddLists", "KeptNormalise"),
    "KeptSparseSum": ("KeptLists",),
    "KeptProduct": ("Live", "KeptNormalise"),
    "KeptAlign": ("ShiftRight",),
}
