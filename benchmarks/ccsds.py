"""A lossless coder after CCSDS 123.0-B, the field's hardware baseline: local sums, sign-LMS, adaptive Golomb-Rice.

Predictor (its sections 4.4 to 4.9, full prediction mode, neighbour-oriented sums) and sample-adaptive entropy coder
(5.4.3.2) are those of the standard, with its default constants. Three things are ours: the container, edges of the
image (a neighbour outside it takes the value of the nearest one before it), and series, whose local sum is the sample
before and whose differences are those of earlier samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: bands before this one that predict it (P)
BANDS = 3

#: samples before the last one that predict a series; as many as an image has sides
HISTORY = 3

#: fraction bits of a weight (Ω)
WEIGHT_BITS = 13

#: exponents of the weight update: first, last, and samples of one step between them
FIRST_SHIFT, LAST_SHIFT, SHIFT_EVERY = -1, 3, 64

#: longest unary part of a code (U_max), initial count exponent (γ_0) and the one at which counts are halved (γ*)
UNARY_LIMIT, FIRST_COUNT, COUNT_LIMIT = 18, 1, 6

#: what the first accumulator holds (K of the standard): the first codes have this many low bits
FIRST_BITS = 3


@dataclass(frozen=True)
class Sampling:
    """Hold the range of the samples: bits of one, and the least value."""

    bits: int
    least: int

    @property
    def greatest(self) -> int:
        """Give the greatest value."""
        return self.least + (1 << self.bits) - 1

    @property
    def middle(self) -> int:
        """Give the value that stands for a sample before the first."""
        return self.least + (1 << (self.bits - 1))


class Lanes:
    """Predict and code one sample of every lane at a time: a lane is a band, or a channel of a series."""

    def __init__(self, lanes: int, inputs: int, width: int, sampling: Sampling) -> None:
        """Start lanes that have seen nothing; width is the samples of an image's row."""
        self.sampling = sampling
        self.width = width
        self.seen = 0
        self.weights = np.zeros((lanes, inputs), dtype=np.int64)
        # Bands: 7/8 of the weight on the band before, an eighth of it on each one further away (4.6.3.2).
        shares = [(7 << WEIGHT_BITS) >> 3]
        for _ in range(BANDS - 1):
            shares.append(shares[-1] >> 3)
        self.weights[:, :BANDS] = shares
        self.sums = np.full(lanes, (3 * (1 << (FIRST_BITS + 6)) - 49) * (1 << FIRST_COUNT) >> 7, dtype=np.int64)
        self.count = 1 << FIRST_COUNT

    def predict(self, local: Array, inputs: Array, part: slice = slice(None)) -> Array:
        """Give twice the predicted sample, rounded down to an integer."""
        sampling, half = self.sampling, 1 << (WEIGHT_BITS + 1)
        if not self.seen:
            return np.full(len(local), 2 * sampling.middle, dtype=np.int64)
        high = (self.weights[part] * inputs).sum(axis=1) + ((local - 4 * sampling.middle) << WEIGHT_BITS)
        high += 2 * half * sampling.middle + half
        # A prediction in units of 1/2^(Ω+2) of a sample, in the range of the samples.
        return np.clip(high, 2 * half * sampling.least, 2 * half * sampling.greatest + half) // half

    def map(self, samples: Array, doubled: Array) -> Array:
        """Map prediction errors to numbers that are at least 0, small for small errors (4.9)."""
        predicted = doubled >> 1
        error = samples - predicted
        room = np.minimum(predicted - self.sampling.least, self.sampling.greatest - predicted)
        towards = np.where(doubled & 1, -error, error) >= 0
        size = np.abs(error)
        return np.where(size > room, size + room, np.where(towards, 2 * size, 2 * size - 1))

    def unmap(self, mapped: Array, doubled: Array) -> Array:
        """Give the samples back."""
        predicted = doubled >> 1
        below, above = predicted - self.sampling.least, self.sampling.greatest - predicted
        room = np.minimum(below, above)
        near = np.where(mapped & 1, -(mapped + 1 >> 1), mapped >> 1) * np.where(doubled & 1, -1, 1)
        far = np.where(below > above, room - mapped, mapped - room)
        return predicted + np.where(mapped > 2 * room, far, near)

    def low_bits(self) -> Array:
        """Choose the low bits of every lane's next code from what it had on average (5.4.3.2.4)."""
        average = (self.sums + (49 * self.count >> 7)) // self.count
        exponent = np.frexp(average.astype(np.float64))[1].astype(np.int64) - 1
        return np.clip(exponent, 0, max(self.sampling.bits - 2, 0))

    def update(self, samples: Array, doubled: Array, mapped: Array, inputs: Array) -> None:
        """Learn from one sample of every lane."""
        if self.seen:
            shift = FIRST_SHIFT + (self.seen - self.width) // SHIFT_EVERY
            shift = min(max(shift, FIRST_SHIFT), LAST_SHIFT) + self.sampling.bits - WEIGHT_BITS
            step = np.where(2 * samples - doubled < 0, -1, 1)[:, None] * inputs
            step = step >> shift if shift >= 0 else step << -shift
            limit = 1 << (WEIGHT_BITS + 2)
            self.weights = np.clip(self.weights + (step + 1 >> 1), -limit, limit - 1)
            # Raw first samples are no part of the sums.
            if self.count < (1 << COUNT_LIMIT) - 1:
                self.sums += mapped
                self.count += 1
            else:
                self.sums = self.sums + mapped + 1 >> 1
                self.count = self.count + 1 >> 1
        self.seen += 1


def _image(cube: Array, middle: int, row: int | None = None) -> tuple[Array, Array]:
    """Give local sums, shape (rows, columns, lanes), and inputs, shape (…, inputs), of one row or all."""
    x = cube.astype(np.int64)
    west, north = np.full_like(x, middle), np.full_like(x, middle)
    west[:, 1:], north[1:] = x[:, :-1], x[:-1]
    west[1:, 0] = x[:-1, 0]
    north[0] = west[0]
    north_west, north_east = north.copy(), north.copy()
    north_west[1:, 1:], north_east[1:, :-1] = x[:-1, :-1], x[:-1, 1:]
    return _inputs(x, west + north_west + north + north_east, [north, west, north_west], row)


def _series(cube: Array, middle: int, row: int | None = None) -> tuple[Array, Array]:
    """Give the same of a series, shape (rows, 1, channels)."""
    x = cube.astype(np.int64)
    before = [np.concatenate([x[:1]] * lag + [x[:-lag]])[: len(x)] for lag in range(1, HISTORY + 2)]
    for values in before:
        # Later rows may use the first sample for those before it; itself it is unknown.
        values[0] = middle
    return _inputs(x, 4 * before[0], before[1:], row)


def _inputs(x: Array, local: Array, sides: list[Array], row: int | None) -> tuple[Array, Array]:
    rows = slice(None) if row is None else slice(row, row + 1)
    local = local[rows]
    centre = 4 * x[rows] - local
    inputs = []
    for back in range(1, BANDS + 1):
        inputs.append(np.zeros_like(centre))
        inputs[-1][..., back:] = centre[..., :-back]
    inputs += [4 * side[rows] - local for side in sides]
    return local, np.stack(inputs, axis=-1)


#: bits, sign, series or image, dtype, rows, columns, lanes
HEADER = struct.Struct("<BBB3sIII")


def encode(array: Array, series: bool) -> bytes:
    """Code integers of at most 32 bits: a series, (rows,) or (rows, channels), or an image, (rows, columns, …)."""
    cube = _cube(array, series)
    least, greatest = int(cube.min()), int(cube.max())
    bits = max(greatest, ~least).bit_length() + (least < 0)
    sampling = Sampling(max(bits, 1), -(1 << (bits - 1)) if least < 0 else 0)
    lanes = Lanes(cube.shape[2], BANDS + 3, 0 if series else cube.shape[1], sampling)
    locals_, inputs = (_series if series else _image)(cube, sampling.middle)
    locals_, inputs = locals_.reshape(-1, cube.shape[2]), inputs.reshape(-1, *inputs.shape[2:])
    pixels = cube.reshape(-1, cube.shape[2]).astype(np.int64)
    low, codes = np.empty_like(pixels), np.empty_like(pixels)
    for index, (samples, local, given) in enumerate(zip(pixels, locals_, inputs, strict=True)):
        doubled = lanes.predict(local, given)
        codes[index], low[index] = lanes.map(samples, doubled), lanes.low_bits()
        lanes.update(samples, doubled, codes[index], given)
    head = HEADER.pack(
        sampling.bits, least < 0, series, array.dtype.newbyteorder("<").str.encode("ascii"), *cube.shape
    )  # fmt: skip
    return head + _pack(codes, low, sampling.bits)


def _cube(array: Array, series: bool) -> Array:
    if series:
        return array.reshape(len(array), 1, -1)
    return array.reshape(*array.shape[:2], -1)


def _pack(codes: Array, low: Array, bits: int) -> bytes:
    """Write the codes' bits: zeros, a one and low bits, or as many zeros as there may be and the number itself."""
    high = codes >> low
    long = high >= UNARY_LIMIT
    lengths = np.where(long, UNARY_LIMIT + bits, high + 1 + low)
    values = np.where(long, codes, (1 << low) + (codes & ((1 << low) - 1)))
    # The first pixel is written as it is: nothing predicts it.
    lengths[0], values[0] = bits, codes[0]
    ends = np.cumsum(lengths.ravel())
    out = np.zeros(int(ends[-1]), dtype=np.uint8)
    flat, sizes = values.ravel(), lengths.ravel()
    for place in range(int(np.max(sizes))):
        inside = sizes > place
        out[ends[inside] - 1 - place] = (flat[inside] >> min(place, 62)) & 1
    return np.packbits(out).tobytes()


def decode(data: bytes) -> Array:
    """Decode, to the array of shape (rows, columns, lanes): sample by sample, made for checks of small arrays."""
    bits, signed, series, name, *shape = HEADER.unpack_from(data)
    stream = np.unpackbits(np.frombuffer(data, dtype=np.uint8, offset=HEADER.size))
    sampling = Sampling(bits, -(1 << (bits - 1)) if signed else 0)
    cube = np.zeros(shape, dtype=np.dtype(name.decode("ascii")))
    lanes = Lanes(shape[2], BANDS + 3, 0 if series else shape[1], sampling)
    neighbours = _series if series else _image
    at = 0
    for row, column in np.ndindex(*shape[:2]):
        low, codes, doubled = lanes.low_bits(), np.zeros(shape[2], dtype=np.int64), np.zeros(shape[2], dtype=np.int64)
        for lane in range(shape[2]):
            local, given = (part[0, column] for part in neighbours(cube[: row + 1], sampling.middle, row))
            one = slice(lane, lane + 1)
            doubled[one] = lanes.predict(local[one], given[one], one)
            codes[lane], at = _take(stream, at, int(low[lane]), bits, lanes.seen == 0)
            cube[row, column, one] = lanes.unmap(codes[one], doubled[one])
        given = neighbours(cube[: row + 1], sampling.middle, row)[1][0, column]
        lanes.update(cube[row, column].astype(np.int64), doubled, codes, given)
    return cube


def _take(stream: Array, at: int, low: int, bits: int, raw: bool) -> tuple[int, int]:
    zeros = 0
    while not raw and zeros < UNARY_LIMIT and not stream[at + zeros]:
        zeros += 1
    if raw or zeros == UNARY_LIMIT:
        begin, length, high = at + zeros, bits, 0
    else:
        begin, length, high = at + zeros + 1, low, zeros
    number = int("".join(map(str, stream[begin : begin + length])) or "0", 2)
    return (high << low) + number, begin + length
