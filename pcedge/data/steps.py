"""Steps of a symbolizer: each maps unsigned numbers to unsigned numbers and back without loss (docs/data.md).

A step sees `values`, uint64 of shape (records, *shape), and `top`, uint64 of shape `shape`: the largest number that
each place can hold, so that a place counts modulo top + 1. The whole range of 64 bits has top 2^64 - 1, and all
additions wrap at 2^64, which is what makes top + 1 = 0 right there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcedge.data.words import Words, along, check_axis, check_even, check_variables, minus, plus, running
from pcedge.errors import UsageError

#: ways to predict a pixel from those above and left of it
NEIGHBOURS = ("left", "above", "average", "median")

#: colours of a pixel, on the last axis
COLOURS = 3

#: rows of a record at most: a segment of a stream holds whole records and no more rows
MAX_ROWS = 1 << 16


@dataclass(frozen=True)
class Difference:
    """Replace each number by its difference to the one before it along an axis, modulo top + 1; the first one stays."""

    #: axis of the record; before a window step there are no records, and axis 0 runs over the rows
    axis: int = 0

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        check_axis("difference", self.axis, top, 1)
        check_even("difference", top, self.axis)
        return top

    def apply(self, values: Words, top: Words) -> Words:
        """Subtract the numbers before."""
        last = np.moveaxis(values, self.axis + 1, -1)
        out = last.copy()
        tops = along(top, self.axis)
        out[..., 1:] = minus(last[..., 1:], last[..., :-1], np.broadcast_to(tops, last.shape)[..., 1:])
        return np.moveaxis(out, -1, self.axis + 1)

    def invert(self, values: Words, top: Words) -> Words:
        """Add up."""
        last = np.moveaxis(values, self.axis + 1, -1)
        return np.moveaxis(running(last, along(top, self.axis)), -1, self.axis + 1)


@dataclass(frozen=True)
class Neighbour:
    """Replace each pixel by its difference to a prediction from its neighbours, modulo top + 1.

    The first row is predicted from the left, the first column from above, and the first pixel by 0. `median` is the
    predictor of JPEG-LS: the median of left, above, and left + above - (above left).
    """

    #: one of `NEIGHBOURS`
    predictor: str = "median"
    #: axis of the pixel rows; the next axis is that of the columns
    axis: int = 0

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        if self.predictor not in NEIGHBOURS:
            raise UsageError(f"neighbour must be one of {', '.join(NEIGHBOURS)}, got {self.predictor!r}")
        check_axis("neighbour", self.axis, top, 2)
        check_even("neighbour", top, self.axis)
        check_even("neighbour", top, self.axis + 1)
        return top

    def _planes(self, array: Words, offset: int) -> Words:
        """Bring the rows and columns to the front, as a view: (rows, columns, …)."""
        return np.moveaxis(array, (self.axis + offset, self.axis + offset + 1), (0, 1))

    def apply(self, values: Words, top: Words) -> Words:
        """Subtract the predictions."""
        out = values.copy()
        pixels, result = self._planes(values, 1), self._planes(out, 1)
        tops = np.broadcast_to(self._planes(top[None], 1), pixels.shape)
        result[0, 1:] = minus(pixels[0, 1:], pixels[0, :-1], tops[0, 1:])
        result[1:, 0] = minus(pixels[1:, 0], pixels[:-1, 0], tops[1:, 0])
        predicted = _predict(self.predictor, pixels[1:, :-1], pixels[:-1, 1:], pixels[:-1, :-1])
        result[1:, 1:] = minus(pixels[1:, 1:], predicted, tops[1:, 1:])
        return out

    def invert(self, values: Words, top: Words) -> Words:
        """Add the predictions, one diagonal after the other: a pixel needs only pixels of earlier ones."""
        out = values.copy()
        pixels = self._planes(out, 1)
        tops = np.broadcast_to(self._planes(top[None], 1), pixels.shape)
        rows, columns = pixels.shape[:2]
        # Not along the axes: these have no pixel before them to wait for but their own.
        for first, line in ((pixels[0], tops[0]), (pixels[:, 0], tops[:, 0])):
            first[:] = np.moveaxis(running(np.moveaxis(first, 0, -1), np.moveaxis(line, 0, -1)), -1, 0)
        for diagonal in range(2, rows + columns - 1):
            row = np.arange(max(1, diagonal - columns + 1), min(rows - 1, diagonal - 1) + 1)
            column = diagonal - row
            if row.size:
                left, above = pixels[row, column - 1], pixels[row - 1, column]
                predicted = _predict(self.predictor, left, above, pixels[row - 1, column - 1])
                pixels[row, column] = plus(pixels[row, column], predicted, tops[row, column])
        return out


@dataclass(frozen=True)
class Relation:
    """Subtract a sum of other channels from one, modulo top + 1: for sensors that measure each other's sums."""

    #: the place that is changed
    target: int
    #: the places that are subtracted from it
    plus: tuple[int, ...] = ()
    #: the places that are added to it
    minus: tuple[int, ...] = ()
    #: axis of the channels
    axis: int = 0

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        check_axis("relation", self.axis, top, 1)
        check_even("relation", top, self.axis)
        channels, others = top.shape[self.axis], (*self.plus, *self.minus)
        if not all(0 <= channel < channels for channel in (self.target, *others)) or self.target in others:
            raise UsageError(
                f"relation must have different channels of 0..{channels - 1}, got {self.target} and {list(others)}"
            )
        return top

    def _sum(self, values: Words, top: Words, add: tuple[int, ...], subtract: tuple[int, ...]) -> Words:
        out = values.copy()
        channels = np.moveaxis(out, self.axis + 1, 0)
        # An array even where a record has this axis alone: numpy warns when a scalar wraps, and 2^64 - 1 + 1 must.
        largest = np.asarray(np.moveaxis(top, self.axis, 0)[self.target])
        for channel in add:
            channels[self.target] = plus(channels[self.target], channels[channel], largest)
        for channel in subtract:
            channels[self.target] = minus(channels[self.target], channels[channel], largest)
        return out

    def apply(self, values: Words, top: Words) -> Words:
        """Subtract what is expected."""
        return self._sum(values, top, self.minus, self.plus)

    def invert(self, values: Words, top: Words) -> Words:
        """Add it again."""
        return self._sum(values, top, self.plus, self.minus)


@dataclass(frozen=True)
class Zigzag:
    """Fold the numbers of a circle so that small ones of either sign become small: 0, -1, 1, -2 to 0, 1, 2, 3."""

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        return top

    def apply(self, values: Words, top: Words) -> Words:
        """Fold."""
        positive = values <= top // np.uint64(2)
        # top - value is the size of the negative number -(top - value + 1), less one.
        return np.where(positive, values * np.uint64(2), (top - values) * np.uint64(2) + np.uint64(1))

    def invert(self, values: Words, top: Words) -> Words:
        """Unfold."""
        half = values // np.uint64(2)
        return np.where(values % np.uint64(2) == np.uint64(0), half, top - half)


@dataclass(frozen=True)
class Offset:
    """Add a number, modulo top + 1: brings small numbers of either sign into one range and keeps their order."""

    #: what is added; negative ones subtract
    amount: int

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        if not -(2**63) <= self.amount < 2**64:
            raise UsageError(f"offset must be an integer of at most 64 bits, got {self.amount}")
        return top

    def _shift(self, top: Words) -> Words:
        tops, indices = np.unique(top, return_inverse=True)
        amounts = [self.amount % (int(entry) + 1) for entry in tops]
        return np.array(amounts, dtype=np.uint64)[indices].reshape(top.shape)

    def apply(self, values: Words, top: Words) -> Words:
        """Add."""
        return plus(values, self._shift(top), top)

    def invert(self, values: Words, top: Words) -> Words:
        """Subtract."""
        return minus(values, self._shift(top), top)


@dataclass(frozen=True)
class Colour:
    """Turn red, green, blue on the last axis into Y, Co, Cg without loss.

    The reversible YCoCg-R transform of H. Malvar and G. Sullivan, "YCoCg-R: A Color Space with RGB Reversibility and
    Low Dynamic Range", JVT-I014r3, 2003. Co and Cg have a sign and so about twice as many values; top is added to them.
    """

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        if top.ndim < 1 or top.shape[-1] != COLOURS:
            raise UsageError(f"colour must have red, green and blue on the last axis, got record shape {top.shape}")
        check_even("colour", top, top.ndim - 1)
        if int(top.max(initial=0)) >= 2**32:
            raise UsageError("colour must have numbers of at most 32 bits")
        out = top.copy()
        out[..., 1:] *= np.uint64(2)
        return out

    def apply(self, values: Words, top: Words) -> Words:
        """Transform."""
        red, green, blue = np.moveaxis(values.astype(np.int64), -1, 0)
        orange = red - blue
        middle = blue + (orange >> 1)
        chroma = green - middle
        luma = middle + (chroma >> 1)
        shift = top[..., 0].astype(np.int64)
        return np.stack([luma, orange + shift, chroma + shift], axis=-1).astype(np.uint64)

    def invert(self, values: Words, top: Words) -> Words:
        """Transform back; what no colour gives wraps into numbers beyond top, which `Symbolizer.invert` refuses."""
        shift = top[..., 0].astype(np.int64)
        luma, orange, chroma = np.moveaxis(values.astype(np.int64), -1, 0)
        orange, chroma = orange - shift, chroma - shift
        middle = luma - (chroma >> 1)
        green = chroma + middle
        blue = middle - (orange >> 1)
        return np.stack([blue + orange, green, blue], axis=-1).astype(np.uint64)


@dataclass(frozen=True)
class Planes:
    """Split each number into groups of bits, the high ones first, on a new last axis."""

    #: bits of every plane
    bits: tuple[int, ...]

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result."""
        if not 1 <= len(self.bits) <= 64 or any(not 1 <= count <= 64 for count in self.bits):
            raise UsageError(f"planes must have 1..64 bits each, got {'+'.join(map(str, self.bits))}")
        needed = int(top.max(initial=0)).bit_length()
        if not needed <= sum(self.bits) <= 64:
            raise UsageError(f"planes must have {needed}..64 bits together, got {'+'.join(map(str, self.bits))}")
        check_variables(top.size * len(self.bits))
        # Every plane of a number can take all its values, but those above the number's highest bits.
        planes = [np.minimum(top >> shift, mask) for shift, mask in self._fields()]
        return np.stack(planes, axis=-1)

    def _fields(self) -> list[tuple[np.uint64, np.uint64]]:
        shifts = [sum(self.bits[plane + 1 :]) for plane in range(len(self.bits))]
        return [(np.uint64(s), np.uint64(2**count - 1)) for s, count in zip(shifts, self.bits, strict=True)]

    def apply(self, values: Words, top: Words) -> Words:
        """Split."""
        return np.stack([(values >> shift) & mask for shift, mask in self._fields()], axis=-1)

    def invert(self, values: Words, top: Words) -> Words:
        """Join; numbers beyond top have no preimage, which `Symbolizer.invert` refuses."""
        out = np.zeros(values.shape[:-1], dtype=np.uint64)
        for plane, (shift, _) in enumerate(self._fields()):
            out |= values[..., plane] << shift
        return out


@dataclass(frozen=True)
class Window:
    """Cut a long series of rows, or an image, into records; the last ones are padded by repeating the last number.

    Before this step all rows are one record, (rows, …). Each size cuts one axis, the rows first; axes without a size
    stay whole.
    """

    #: the record's size along the first axes
    sizes: tuple[int, ...]

    def plan(self, top: Words) -> Words:
        """Give the largest numbers of the result; `top` has size 1 along the rows."""
        if not 1 <= len(self.sizes) <= top.ndim or min(self.sizes) < 1:
            raise UsageError(
                f"window must have 1..{top.ndim} sizes of at least 1 for rows of shape {top.shape[1:]}, "
                f"got {'x'.join(map(str, self.sizes))}"
            )
        if self.sizes[0] > MAX_ROWS:
            raise UsageError(f"window must have at most {MAX_ROWS} rows, got {self.sizes[0]}")
        check_variables(math.prod(self.record(top.shape)))
        for axis in range(1, len(self.sizes)):
            check_even("window", top, axis)
        first = top[tuple(slice(0, 1) for _ in self.sizes)]
        return np.broadcast_to(first, self.record(top.shape)).copy()

    def record(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape of a record."""
        return self.sizes + shape[len(self.sizes) :]

    def counts(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the records along every axis that is cut."""
        return tuple(-(-length // size) for length, size in zip(shape, self.sizes, strict=False))

    def apply(self, values: Words, top: Words) -> Words:
        """Cut `values`, (1, rows, …), into (records, …)."""
        rows = values[0]
        cut, rest = len(self.sizes), rows.shape[len(self.sizes) :]
        counts = self.counts(rows.shape)
        lengths = zip(counts, self.sizes, rows.shape, strict=False)
        short = [count * size - length for count, size, length in lengths]
        if any(short):
            rows = np.pad(rows, [(0, amount) for amount in short] + [(0, 0)] * len(rest), mode="edge")
        split = rows.reshape(*(n for pair in zip(counts, self.sizes, strict=True) for n in pair), *rest)
        order = [*range(0, 2 * cut, 2), *range(1, 2 * cut, 2), *range(2 * cut, 2 * cut + len(rest))]
        records: Words = split.transpose(order).reshape(-1, *self.sizes, *rest)
        return records

    def join(self, values: Words, shape: tuple[int, ...]) -> Words:
        """Put records together to one of shape (1, *shape), without the padding."""
        cut, rest = len(self.sizes), shape[len(self.sizes) :]
        counts = self.counts(shape)
        split = values.reshape(*counts, *self.sizes, *rest)
        order = [axis for pair in zip(range(cut), range(cut, 2 * cut), strict=True) for axis in pair]
        rows = split.transpose([*order, *range(2 * cut, 2 * cut + len(rest))])
        rows = rows.reshape(*(count * size for count, size in zip(counts, self.sizes, strict=True)), *rest)
        return rows[tuple(slice(length) for length in shape)][None]


Step = Difference | Neighbour | Relation | Zigzag | Offset | Colour | Planes | Window

#: the steps by their names in files and specifications
STEPS: dict[str, type[Any]] = {
    "difference": Difference, "neighbour": Neighbour, "relation": Relation, "zigzag": Zigzag, "offset": Offset,
    "colour": Colour, "planes": Planes, "window": Window,
}  # fmt: skip


def _predict(predictor: str, left: Words, above: Words, corner: Words) -> Words:
    if predictor == "left":
        return left
    if predictor == "above":
        return above
    low, high = np.minimum(left, above), np.maximum(left, above)
    if predictor == "average":
        return low + (high - low) // np.uint64(2)
    between = low + (high - corner)  # only taken where low < corner < high
    return np.where(corner >= high, low, np.where(corner <= low, high, between))
