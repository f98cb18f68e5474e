"""Write tests/vectors/*.csv: conformance vectors of every primitive, from plain Python integers.

Nothing here uses numpy or pcedge: the functions below say the rules of docs/arithmetic.md and docs/predictor.md a
second time, so that the files check every implementation. Run `python tests/make_vectors.py` to write the files again;
they must not change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "vectors"

ZERO_EXPONENT = -(2**30)
CODERS = ((16, 32), (24, 48))
#: bits below a count, and below a weight, where there are tails
TAIL_BITS, WEIGHT_TAIL_BITS = 15, 4
Row = dict[str, int | Sequence[int]]


def accumulate(weights: Sequence[Sequence[int]], vector: Sequence[int]) -> list[int]:
    """Multiply a matrix by a vector."""
    return [sum(w * m for w, m in zip(row, vector, strict=True)) for row in weights]


def normalise(values: Sequence[int], exponent: int, state_bits: int, revive: bool) -> tuple[list[int], int]:
    """Shift with truncation so that the largest entry has `state_bits` bits."""
    length = max(values).bit_length()
    if length == 0:
        if revive:
            return [2 ** (state_bits - 1)] * len(values), max(exponent, ZERO_EXPONENT)
        return [0] * len(values), ZERO_EXPONENT
    moved = length - state_bits
    scaled = [v // 2**moved if moved >= 0 else v * 2**-moved for v in values]
    return scaled, max(exponent + moved, ZERO_EXPONENT)


def align(first: tuple[Sequence[int], int], second: tuple[Sequence[int], int]) -> tuple[list[int], int]:
    """Put two vectors under the greater exponent; from 53 places on nothing is left of a mantissa."""
    exponent = max(first[1], second[1])
    return [m // 2 ** min(exponent - own, 64) for vector, own in (first, second) for m in vector], exponent


def tail_entry(count: int, exponent: int) -> int:
    """Give what a leaf with tails accumulates: a count with 15 bits below, or for none a power of two."""
    return count * 2**TAIL_BITS if count else 2 ** (TAIL_BITS - exponent)


def live(mantissa: int) -> int:
    """Give what a mantissa weighs: 1 only says that an entry is possible."""
    return 0 if mantissa == 1 else mantissa


def kept_mix(weights: Sequence[Sequence[int]], vector: Sequence[int], tails: bool) -> list[int]:
    """Multiply a matrix by a vector; an entry without a value that is possible becomes 1."""
    result = []
    for row in weights:
        total, possible = 0, False
        for w, m in zip(row, vector, strict=True):
            total += w * live(m) if w or not tails else live(m) // 2**WEIGHT_TAIL_BITS
            possible = possible or (m > 0 and (w > 0 or tails))
        result.append(total or int(possible))
    return result


def kept_product(first: int, second: int) -> int:
    """Multiply two mantissas; a product without a value that is possible becomes 1."""
    return live(first) * live(second) or int(first > 0 and second > 0)


def kept_normalise(values: Sequence[int], exponent: int, state_bits: int) -> tuple[list[int], int]:
    """Shift as `normalise`; what was not zero stays possible, and what only was possible stays so beside values."""
    scaled, moved = normalise(values, exponent, state_bits, False)
    if max(values) > 1:
        scaled = [1 if v == 1 else max(m, min(v, 1)) for v, m in zip(values, scaled, strict=True)]
    return scaled, moved


def kept_align(first: tuple[Sequence[int], int], second: tuple[Sequence[int], int]) -> tuple[list[int], int]:
    """Put two vectors under the greater exponent; what was not zero stays possible."""
    shifted, exponent = align(first, second)
    return [max(m, min(v, 1)) for v, m in zip([*first[0], *second[0]], shifted, strict=True)], exponent


def reciprocal(divisor: int) -> int:
    """Approximate 2^33 / divisor from below."""
    if divisor == 2**16:
        return 2**17
    index = divisor // 128 - 256
    start = 2**31 // ((256 + index) * 128 + 64)
    return start * ((2**32 - divisor * start) // 2**14) // 2**15


def interval_scale(total: int, cardinality: int, leaf_bits: int, scale_bits: int, floor: int) -> tuple[int, int]:
    """Give the shift of a weighted entry, and the scale."""
    length = total.bit_length()
    divisor = -(-total // 2 ** (length - 16)) if length > 16 else total * 2 ** (16 - length)
    return length + leaf_bits - (scale_bits + 2), reciprocal(divisor) * (2**scale_bits - cardinality * floor) // 2**17


def interval_bound(weighted: int, symbol: int, amount: int, scale: int, scale_bits: int, floor: int) -> int:
    """Give the lower end of a symbol's interval."""
    shifted = weighted // 2**amount if amount >= 0 else weighted * 2**-amount
    return symbol * floor + shifted * scale // 2 ** (scale_bits + 2)


def encode_step(low: int, width: int, start: int, end: int, scale_bits: int) -> tuple[int, int, list[int]]:
    """Narrow, and move out bytes while the range has at most B - 8 bits."""
    bits = 2 * scale_bits
    unit = width // 2**scale_bits
    low, width, digits = low + unit * start, unit * (end - start), []
    while width < 2 ** (bits - 8):
        digits.append(low // 2 ** (bits - 8))
        low, width = low % 2 ** (bits - 8) * 256, width * 256
    return low, width, digits


def flush(low: int, scale_bits: int) -> int:
    """Give the last digit."""
    return -(-low // 2 ** (2 * scale_bits - 8))


def decode_step(
    offset: int, width: int, start: int, end: int, fresh: Sequence[int], scale_bits: int
) -> tuple[int, int, int]:
    """Take an interval out, and fetch bytes while the range has at most B - 8 bits."""
    unit = width // 2**scale_bits
    offset, width, used = offset - unit * start, unit * (end - start), 0
    while width < 2 ** (2 * scale_bits - 8):
        offset, width, used = offset * 256 + fresh[used], width * 256, used + 1
    return offset, width, used


def spread(rng: random.Random, total: int, state_bits: int, units: int) -> list[int]:
    """Split a sum over mantissas of `state_bits` bits."""
    left, parts = total, []
    for unit in range(units):
        room = (units - unit - 1) * (2**state_bits - 1)
        part = rng.randint(max(0, left - room), min(left, 2**state_bits - 1))
        parts.append(part)
        left -= part
    rng.shuffle(parts)
    return parts


def accumulate_rows(rng: random.Random) -> Iterator[Row]:
    """Cover every W and A: widest values, certain weights, zeros, up and down."""
    for weight_bits in range(2, 17):
        for state_bits in range(8, 17) if weight_bits <= 8 else (8, 12, 16):
            for case in range(5):
                transposed = case % 2
                rows, columns = [(1, 1), (3, 5), (4, 2), (2, 64), (64, 2)][case]
                whole = 2**weight_bits
                matrix = []
                for _ in range(rows):
                    cuts = sorted(rng.randint(0, whole) for _ in range(columns - 1))
                    certain = rng.random() < 0.4
                    line = [b - a for a, b in zip([0, *cuts], [*cuts, whole], strict=True)]
                    place = rng.randrange(columns)
                    matrix.append([whole * (c == place) for c in range(columns)] if certain else line)
                if case == 4:  # every row puts all its weight on one column: the widest sum on the way down
                    matrix = [[whole, 0]] * rows
                size = rows if transposed else columns
                top = 2**state_bits - 1
                vector = [top] * size if rng.random() < 0.4 else [rng.choice((0, 1, top, rng.randint(0, top)))
                                                                  for _ in range(size)]  # fmt: skip
                used = [list(line) for line in zip(*matrix, strict=True)] if transposed else matrix
                yield {
                    "weight_bits": weight_bits, "state_bits": state_bits, "transposed": transposed,
                    "rows": rows, "columns": columns, "weights": [w for line in matrix for w in line],
                    "vector": vector, "result": accumulate(used, vector),
                }  # fmt: skip


def normalise_rows(rng: random.Random) -> Iterator[Row]:
    """Cover zero vectors, 2^n and 2^n ± 1 as the largest entry, every A, and exponents at saturation."""
    exponents = (0, -1, -16, -1000, ZERO_EXPONENT, ZERO_EXPONENT + 1, ZERO_EXPONENT + 40, -(2**31))
    for state_bits in range(8, 17):
        cases = [[0], [0, 0, 0], [1], [0, 1, 0], [2**53 - 1, 2**53 - 1], [2**52, 1, 0]]
        for bits in (2, state_bits - 1, state_bits, state_bits + 1, 16, 17, 31, 32, 33, 48):
            for largest in (2**bits - 1, 2**bits, 2**bits + 1):
                cases.append([rng.randint(0, largest) for _ in range(rng.randrange(4))] + [largest])
        for number, values in enumerate(cases):
            for revive in (0, 1) if number < 4 else (number % 2,):
                exponent = exponents[(number + state_bits) % len(exponents)]
                mantissa, moved = normalise(values, exponent, state_bits, bool(revive))
                yield {
                    "state_bits": state_bits, "revive": revive, "exponent": exponent, "accumulated": values,
                    "mantissa": mantissa, "new_exponent": moved,
                }  # fmt: skip


def align_rows(rng: random.Random) -> Iterator[Row]:
    """Cover equal exponents, every distance around a mantissa's width, huge ones, and zero vectors."""
    distances = [*range(18), 31, 32, 33, 52, 53, 54, 63, 64, 65, 2**20, 2**30 - 5, 2**30]
    for distance in distances:
        for sign in (1, -1):
            for case in range(4):
                state_bits = rng.randint(8, 16)
                top = 2**state_bits - 1
                first = [rng.choice((0, 1, top, rng.randint(0, top))) for _ in range(rng.randint(1, 6))]
                second = [rng.choice((0, 1, top, rng.randint(0, top))) for _ in range(rng.randint(1, 6))]
                if case == 3:
                    first = [0] * len(first)
                high = max(ZERO_EXPONENT + distance, rng.choice((0, -5, -1000, ZERO_EXPONENT)))
                one, two = (high, high - distance)[::sign]
                mantissa, exponent = align((first, one), (second, two))
                yield {
                    "first": first, "first_exponent": one, "second": second, "second_exponent": two,
                    "mantissa": mantissa, "exponent": exponent,
                }  # fmt: skip


def reciprocal_rows(rng: random.Random) -> Iterator[Row]:
    """Cover both ends of every other table entry, and 2^16."""
    divisors = {2**15, 2**15 + 1, 2**16 - 1, 2**16}
    for index in range(256):
        first = (256 + index) * 128
        divisors |= {first, first + 127} if index % 2 else {first + 63, first + 64, first + rng.randrange(128)}
    for divisor in sorted(divisors):
        yield {"divisor": divisor, "result": reciprocal(divisor)}


def interval_rows(rng: random.Random) -> Iterator[Row]:
    """Cover sums at 2^n ± 1, the divisor 2^16, the first and last bound, V up to 256, the largest floor."""
    for scale_bits, _ in CODERS:
        for state_bits in (8, 9, 12, 15, 16):
            for bits in range(1, state_bits + 8):
                for total in sorted({max(1, 2**bits - 1), 2**bits, 2**bits + 1}):
                    units = -(-total // (2**state_bits - 1))
                    if units > 128:
                        continue
                    context = spread(rng, total, state_bits, min(128, units + rng.randrange(3)))
                    leaf_bits = rng.choice((8, 12, 16))
                    cardinality = rng.choice((1, 2, 3, 10, 255, 256))
                    floor = rng.choice((1, 1, max(1, 2 ** (scale_bits - 15) // cardinality),
                                        2 ** (scale_bits - 1) // cardinality))  # fmt: skip
                    symbol = rng.choice((0, cardinality, rng.randint(0, cardinality)))
                    whole = total * 2**leaf_bits
                    weighted = {0: 0, cardinality: whole}.get(symbol, rng.choice((0, 1, whole, rng.randint(0, whole))))
                    amount, scale = interval_scale(total, cardinality, leaf_bits, scale_bits, floor)
                    bound = interval_bound(weighted, symbol, amount, scale, scale_bits, floor)
                    yield {
                        "scale_bits": scale_bits, "leaf_bits": leaf_bits, "state_bits": state_bits, "floor": floor,
                        "cardinality": cardinality, "context": context, "symbol": symbol, "weighted": weighted,
                        "amount": amount, "scale": scale, "bound": bound,
                    }  # fmt: skip


def coder_states(rng: random.Random) -> Iterator[tuple[int, int, int, int, int]]:
    """Give (P, low, range, start, end): ends of every width, all ones in low, intervals that carry, runs of 255."""
    for scale_bits, bits in CODERS:
        for _ in range(160):
            width = rng.choice((2 ** (bits - 8), 2**bits - 1, 2 ** (bits - 1), rng.randrange(2 ** (bits - 8), 2**bits)))
            low = rng.choice((0, 2**bits - 1, 2**bits - 2**scale_bits, 255 * 2 ** (bits - 8),
                              rng.randrange(2**bits), 2**bits - rng.randrange(1, 2 ** (bits // 2))))  # fmt: skip
            start = rng.choice((0, 1, 2**scale_bits - 1, rng.randrange(2**scale_bits)))
            end = min(2**scale_bits, start + rng.choice((1, 2, 255, 256, 257, rng.randint(1, 2**scale_bits))))
            yield scale_bits, low, width, start, end


def encode_rows(rng: random.Random) -> Iterator[Row]:
    """Take one step of the encoder, and the digit that a flush after it would give."""
    for scale_bits, low, width, start, end in coder_states(rng):
        new_low, new_width, digits = encode_step(low, width, start, end, scale_bits)
        yield {
            "scale_bits": scale_bits, "low": low, "range": width, "start": start, "end": end,
            "new_low": new_low, "new_range": new_width, "digits": digits, "flush": flush(new_low, scale_bits),
        }  # fmt: skip


def decode_rows(rng: random.Random) -> Iterator[Row]:
    """Take one step of the decoder from a position inside the interval, at its ends too."""
    for scale_bits, _, width, start, end in coder_states(rng):
        unit = width >> scale_bits
        offset = rng.choice((unit * start, unit * end - 1, rng.randrange(unit * start, unit * end)))
        fresh = [rng.choice((0, 255, rng.randrange(256))) for _ in range(scale_bits // 8)]
        new_offset, new_width, used = decode_step(offset, width, start, end, fresh, scale_bits)
        yield {
            "scale_bits": scale_bits, "offset": offset, "range": width, "start": start, "end": end, "bytes": fresh,
            "unit": unit, "new_offset": new_offset, "new_range": new_width, "used": used,
        }  # fmt: skip


def logarithm(place: int) -> int:
    """Give the greatest k with 2^(k / 256) at most 1 + (place + 1/2) / 128."""
    return max(k for k in range(256) if 2**k * 256**256 <= (257 + 2 * place) ** 256)


def score_rows(rng: random.Random) -> Iterator[Row]:
    """Cover every table entry at both of its ends, certain and impossible records, and both limits of the score."""
    table = [logarithm(place) for place in range(128)]
    exponents = (-7, -16, -17, -100, -5000, -(2**24), -(2**24) - 20, ZERO_EXPONENT)
    for state_bits in range(8, 17):
        wide = state_bits - 8
        yield {"state_bits": state_bits, "mantissa": 0, "exponent": ZERO_EXPONENT, "score": 2**32 - 1}
        yield {"state_bits": state_bits, "mantissa": 2 ** (state_bits - 1), "exponent": 1 - state_bits, "score": 0}
        for place in range(128):
            for mantissa in sorted({(128 + place) * 2**wide, (129 + place) * 2**wide - 1}):
                exponent = min(-state_bits, rng.choice(exponents))
                bits = -256 * (exponent + state_bits - 1) - table[place]
                yield {"state_bits": state_bits, "mantissa": mantissa, "exponent": exponent,
                       "score": max(0, min(bits, 2**32 - 2))}  # fmt: skip


def tail_rows(rng: random.Random) -> Iterator[Row]:
    """Cover every L and exponent, counts of 0, 1 and 2^L."""
    for leaf_bits in range(8, 17):
        for exponent in range(TAIL_BITS + 1):
            for count in (0, rng.choice((1, 2**leaf_bits, rng.randint(1, 2**leaf_bits)))):
                yield {"leaf_bits": leaf_bits, "count": count, "tail": exponent, "entry": tail_entry(count, exponent)}


def kept_mix_rows(rng: random.Random) -> Iterator[Row]:
    """Cover zero weights with tails and without, vectors of zeros and ones, and both beside values."""
    for weight_bits in range(2, 17):
        for state_bits in (8, 12, 16):
            for case in range(6):
                rows, columns = rng.randint(1, 4), rng.randint(1, 7)
                matrix = []
                for _ in range(rows):
                    cuts = sorted(rng.choice((0, rng.randint(0, 2**weight_bits))) for _ in range(columns - 1))
                    matrix.append([b - a for a, b in zip([0, *cuts], [*cuts, 2**weight_bits], strict=True)])
                top = 2**state_bits - 1
                choices = ((0, 1), (0, 1), (0, 1, 2, 15, 16), (0, 1, top), (0, 1, 2, 16, rng.randint(0, top)), (top,))[
                    case
                ]
                vector, tails = [rng.choice(choices) for _ in range(columns)], case % 2
                yield {
                    "weight_bits": weight_bits, "state_bits": state_bits, "tails": tails, "rows": rows,
                    "columns": columns, "weights": [w for line in matrix for w in line], "vector": vector,
                    "result": kept_mix(matrix, vector, bool(tails)),
                }  # fmt: skip


def kept_product_rows(rng: random.Random) -> Iterator[Row]:
    """Cover all pairs of nothing, what is only possible, the least value, any and the greatest."""
    for state_bits in range(8, 17):
        values = (0, 1, 2, rng.randint(3, 2**state_bits - 2), 2**state_bits - 1)
        for one in values:
            for two in values:
                yield {"state_bits": state_bits, "one": one, "two": two, "product": kept_product(one, two)}


def kept_normalise_rows(rng: random.Random) -> Iterator[Row]:
    """Cover vectors without a value, and those beside values of every length, for every A."""
    exponents = (0, -1, -16, -1000, ZERO_EXPONENT, ZERO_EXPONENT + 40, -(2**31))
    for state_bits in range(8, 17):
        cases = [[0], [1], [0, 1, 1], [1, 2], [1, 3, 0, 2], [2**53 - 1, 1, 0, 2, 2**20]]
        for bits in (2, state_bits - 1, state_bits, state_bits + 1, 17, 32, 48):
            cases.append([rng.choice((0, 1, 2, rng.randint(0, 2**bits))) for _ in range(4)] + [2**bits - 1])
            cases.append([rng.choice((0, 1, 2)) for _ in range(3)] + [2**bits])
        for number, values in enumerate(cases):
            exponent = exponents[(number + state_bits) % len(exponents)]
            mantissa, moved = kept_normalise(values, exponent, state_bits)
            yield {"state_bits": state_bits, "exponent": exponent, "accumulated": values, "mantissa": mantissa,
                   "new_exponent": moved}  # fmt: skip


def kept_align_rows(rng: random.Random) -> Iterator[Row]:
    """Cover every distance around a mantissa's width, huge ones, and vectors without a value."""
    for distance in (*range(18), 33, 53, 64, 2**20, 2**30):
        for sign in (1, -1):
            top = 2 ** rng.randint(8, 16) - 1
            first, second = ([rng.choice((0, 1, 2, top, rng.randint(0, top))) for _ in range(5)] for _ in range(2))
            high = max(ZERO_EXPONENT + distance, rng.choice((0, -5, -1000)))
            one, two = (high, high - distance)[::sign]
            mantissa, exponent = kept_align((first, one), (second, two))
            yield {
                "first": first, "first_exponent": one, "second": second, "second_exponent": two,
                "mantissa": mantissa, "exponent": exponent,
            }  # fmt: skip


def held(number: int, low: int, high: int) -> int:
    """Hold a number within a range."""
    return max(low, min(high, number))


def wrapped(number: int) -> int:
    """Give a number of 64 bits with sign, modulo 2^64."""
    return (number + 2**63) % 2**64 - 2**63


def predicted(coefficients: Sequence[int], numbers: Sequence[int], constant: int, low: int, high: int) -> int:
    """Predict a number of a narrow group."""
    seen = [held(number, 1 - 2**32, 2**32 - 1) for number in numbers]
    total = sum(a * x for a, x in zip(coefficients, seen, strict=True)) + constant
    return held((total + 2**15) // 2**16, low, high)


def prediction_rows(rng: random.Random) -> Iterator[Row]:
    """Cover both kinds of groups: the widest coefficients and numbers, ends of ranges, halves that round."""
    for case in range(300):
        many, wide = rng.choice((1, 2, 3, 64)), case % 3 == 0
        top = 2 ** rng.choice((1, 7, 16, 31, 32)) - 1
        low, high = rng.choice(((-top, 0), (0, top), (-(top // 2), top - top // 2)))
        ends = (-(2**63), 2**63 - 1, 2**32, -(2**32), 0, 1, -1)
        numbers = [rng.choice((low, high, rng.randint(low, high), rng.choice(ends))) for _ in range(many)]
        largest = rng.choice((3, 2**14, 2**16, 2**21 - 1))
        coefficients = [rng.choice((0, 1, -1, largest, -largest, rng.randint(-largest, largest))) for _ in range(many)]
        constant = rng.choice((0, 2**15, -(2**15), -(2**15) - 1, 2**48 - 1, 1 - 2**48, rng.randint(-(2**20), 2**20)))
        if wide:
            coefficients, constant = [rng.randint(-3, 3) for _ in range(many)], 0
            numbers = [rng.choice((*ends, rng.randint(-(2**63), 2**63 - 1))) for _ in range(many)]
        total = sum(a * x for a, x in zip(coefficients, numbers, strict=True))
        yield {
            "wide": int(wide), "low": low, "high": high, "constant": constant, "coefficients": coefficients,
            "numbers": numbers,
            "result": wrapped(total) if wide else predicted(coefficients, numbers, constant, low, high),
        }  # fmt: skip


def adaptation_rows(rng: random.Random) -> Iterator[Row]:
    """Cover every rate and number of inputs, zeros, saturated inputs and weights, all signs, and no residual."""
    for case in range(300):
        many, rate = rng.choice((1, 2, 3, 4, 5, 17, 64)), 1 + case % 16
        top, most = 2**31 - 1, 2**21 - 1
        scale = 2 ** rng.randint(0, 33)
        inputs = [rng.choice((0, 1, -1, scale, -scale, rng.randint(-scale, scale))) for _ in range(many)]
        weights = [rng.choice((0, most, -most, rng.randint(-most, most))) for _ in range(many)]
        low, high = -(2 ** rng.choice((3, 15, 32))) + 1, 2 ** rng.choice((3, 15, 32)) - 1
        first = rng.choice((low, high, 0, rng.randint(low, high)))
        seen = [held(entry, -top, top) for entry in inputs]
        total = sum(w * r for w, r in zip(weights, seen, strict=True))
        result = held(first + (total + 2**15) // 2**16, low, high)
        number = rng.choice((result, result - 1, result + 1, low, high))
        number = held(number, low, high)
        shift, gain = sum(map(abs, seen)).bit_length(), 16 - rate + (many - 1).bit_length()
        moved = []
        for weight, entry in zip(weights, seen, strict=True):
            move = abs(entry) * 2**gain // 2**shift
            up = (number > result) - (number < result) if entry > 0 else (number < result) - (number > result)
            moved.append(held(weight + up * move, -most, most))
        yield {
            "rate": rate, "low": low, "high": high, "prediction": first, "inputs": inputs, "weights": weights,
            "number": number, "corrected": result, "new_weights": moved,
        }  # fmt: skip


def split(residual: int, bias: int, shift: int, centre: int, escapes: int) -> tuple[int, int, int]:
    """Give the token of a residual, the raw bits behind it, and how many they are."""
    rest = wrapped(residual - bias)
    v, low = rest // 2**shift, rest % 2**shift
    if -centre <= v < centre:
        return escapes + centre + v, low, shift
    distance = v - centre + 1 if v >= centre else -centre - v
    size = distance.bit_length()
    token = escapes + 2 * centre + size - 1 if v >= centre else escapes - size
    return token, (distance - 2 ** (size - 1)) * 2**shift + low, size - 1 + shift


def token_rows(rng: random.Random) -> Iterator[Row]:
    """Cover both ends of the centre and of every escape, every shift, the widest residuals and biases."""
    for shift in range(61):
        centre = rng.choice((1, 2, 12, 100, 2**14))
        size = 63 - shift
        escapes = max(1, size + 1)
        edges = [v + near for v in (-centre, centre, 0) for near in (-1, 0, 1)]
        level = rng.randint(1, max(1, size - 1))
        edges += [side * (centre + 2**level) + near for side in (1, -1) for near in (-1, 0, 1)]
        bias = rng.choice((0, 1, -1, 2**40 - 1, 1 - 2**40, rng.randint(-(2**30), 2**30)))
        cases = [wrapped(v * 2**shift + rng.randrange(2**shift) + bias) for v in edges]
        for residual in (*cases, -(2**63), 2**63 - 1, rng.randint(-(2**63), 2**63 - 1)):
            token, raw, count = split(residual, bias, shift, centre, escapes)
            yield {
                "bias": bias, "shift": shift, "centre": centre, "escapes": escapes, "residual": residual,
                "token": token, "raw": raw, "count": count,
            }  # fmt: skip


FILES: dict[str, Callable[[random.Random], Iterator[Row]]] = {
    "accumulate": accumulate_rows,
    "normalise": normalise_rows,
    "align": align_rows,
    "reciprocal": reciprocal_rows,
    "interval": interval_rows,
    "encode": encode_rows,
    "decode": decode_rows,
    "score": score_rows,
    "tails": tail_rows,
    "kept_mix": kept_mix_rows,
    "kept_product": kept_product_rows,
    "kept_normalise": kept_normalise_rows,
    "kept_align": kept_align_rows,
    "prediction": prediction_rows,
    "adaptation": adaptation_rows,
    "token": token_rows,
}


def text_of(name: str) -> str:
    """Make one file's text."""
    lines: list[str] = []
    for row in FILES[name](random.Random(f"pcedge {name}")):
        if not lines:
            lines.append(",".join(row))
        lines.append(",".join(str(v) if isinstance(v, int) else " ".join(map(str, v)) for v in row.values()))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every file."""
    for name in FILES:
        (FOLDER / f"{name}.csv").write_text(text_of(name), encoding="ascii")


if __name__ == "__main__":
    main()
