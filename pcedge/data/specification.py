"""Symbolizers from a short text, from a file, or chosen from data (docs/data.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.readers import Splits
from pcedge.data.steps import NEIGHBOURS, STEPS, Difference, Neighbour, Offset, Planes, Relation, Step, Window
from pcedge.data.symbolizer import MAX_DIMENSIONS, Symbolizer, value_range
from pcedge.errors import DataError, FormatError, UsageError

Array = NDArray[Any]

#: bits of a plane that `auto` makes: 256 entries a leaf table
AUTO_BITS = 8

#: `auto` takes rows of at most so many values for a series, which it cuts into records of about so many values
AUTO_ROW, AUTO_WINDOW = 16, 64

#: rows that `auto` looks at: about so many evenly spaced ones, or the first ones of a series
AUTO_ROWS = 20_000

#: the one argument that each step takes after `=`
_ARGUMENTS = {
    "offset": "amount", "planes": "bits", "window": "sizes", "neighbour": "predictor", "difference": "axis",
    "relation": "target",
}  # fmt: skip
_SEPARATORS = {"planes": "+", "window": "x", "relation": "+"}
_EXAMPLE = "range=0..4095,difference:axis=0,offset=128,window=32,planes=4+8"


def make_symbolizer(text: str, data: Array, more: tuple[Array, ...] = ()) -> Symbolizer:
    """Make a symbolizer for data.

    Args:
        text: `auto`, the name of a `.json` file, or a specification: steps with commas between them, for example
            `range=0..4095,difference:axis=0,offset=128,window=32,planes=4+8`.
        data: what it is for: dtype and shape of a row are taken from here, and `auto` tries candidates on it.
        more: further data (validation and test split) that a bare `range` and `auto` must cover.

    Raises:
        UsageError: the text is none of these, or its steps do not fit the data.
        FormatError: the file holds no symbolizer.
        DataError: the data are no integers, or have no rows.
    """
    if data.dtype.kind not in "iub" or data.ndim < 2 or not 2 <= data.ndim <= MAX_DIMENSIONS + 1:
        raise DataError(f"data for a symbolizer must be integers of shape (rows, …), got {data.dtype} {data.shape}")
    if not data.size:
        raise DataError(f"data for a symbolizer must hold at least one value, got shape {data.shape}")
    if text == "auto":
        return _choose(data)
    if text.endswith(".json"):
        return read_symbolizer(text)
    low, high = value_range(data.dtype.name)
    steps: list[Step] = []
    for index, word in enumerate(text.split(",")):
        name, values = _parse(word.strip())
        if name != "range":
            steps.append(_make(name, values))
        elif index:
            raise UsageError(f"range must be the first step, got {text!r}")
        else:
            low, high = _range(values, (data, *(split for split in more if split.size)))
    return Symbolizer(data.dtype.name, data.shape[1:], low, high, tuple(steps))


def symbolize(text: str, data: Splits) -> tuple[Symbolizer, Splits]:
    """Make a symbolizer for splits, and map them to records of symbols.

    Args:
        text: as for `make_symbolizer`.
        data: the splits; without a validation split, training holds out records, that is windows, of the result.
    """
    more = tuple(split for split in (data.valid, data.test) if split is not None)
    symbolizer = make_symbolizer(text, data.train, more)
    return symbolizer, data.map(symbolizer.apply)


def read_symbolizer(path: str | Path) -> Symbolizer:
    """Read a symbolizer's JSON form from a file.

    Raises:
        FormatError: the file holds no symbolizer.
        OSError: the file cannot be read.
    """
    try:
        return Symbolizer.from_json(Path(path).read_text(encoding="utf-8"))
    except (UsageError, UnicodeDecodeError) as error:
        raise FormatError("symbolizer", f"{path}: {error}") from error


def specification(symbolizer: Symbolizer) -> str:
    """Write a symbolizer as `make_symbolizer` reads it.

    Example:
        >>> specification(Symbolizer("int16", (2,), 0, 2047, (Difference(0), Window((32,)), Planes((3, 8)))))
        'range=0..2047,difference=0,window=32,planes=3+8'
    """
    names = {kind: name for name, kind in STEPS.items()}
    words = [f"range={symbolizer.low}..{symbolizer.high}"]
    for step in symbolizer.steps:
        name = names[type(step)]
        first = _ARGUMENTS.get(name)
        text = name
        if first is not None:
            value = getattr(step, first)
            text += "=" + (_SEPARATORS[name].join(map(str, value)) if isinstance(value, tuple) else str(value))
        for key in ("plus", "minus") if isinstance(step, Relation) else ():
            channels = "+".join(map(str, getattr(step, key)))
            text += f":{key}={channels}" if channels else ""
        if isinstance(step, Neighbour | Relation) and step.axis:
            text += f":axis={step.axis}"
        words.append(text)
    return ",".join(words)


def _parse(word: str) -> tuple[str, dict[str, str]]:
    """Take `name=value:key=value` apart; the value after the name has the empty key."""
    head, *options = word.split(":")
    name, _, value = head.partition("=")
    if name not in ("range", *STEPS):
        raise UsageError(f"a step must be one of range, {', '.join(STEPS)} as in {_EXAMPLE!r}, got {word!r}")
    values = {"": value} if "=" in head else {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key in values:
            raise UsageError(f"an option of step {name} must be key=value, once, got {option!r}")
        values[key] = value
    return name, values


def _make(name: str, values: dict[str, str]) -> Step:
    fields = STEPS[name].__dataclass_fields__
    given: dict[str, Any] = {}
    for key, value in values.items():
        field = key or _ARGUMENTS.get(name, "")
        if field not in fields or field in given:
            raise UsageError(f"step {name} must have options of {', '.join(fields) or 'no name'}, got {key or value!r}")
        if fields[field].type == "str":
            given[field] = value
        elif fields[field].type == "int":
            given[field] = _number(name, value)
        else:
            given[field] = tuple(_number(name, number) for number in value.split(_SEPARATORS[name]))
    try:
        step: Step = STEPS[name](**given)
    except TypeError as error:
        raise UsageError(f"step {name} must have a value, as in {_EXAMPLE!r}") from error
    return step


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise UsageError(f"step {name} must have integers, got {text!r}")
    return int(text)


def _range(values: dict[str, str], splits: tuple[Array, ...]) -> tuple[int, int]:
    if not values:
        return min(int(split.min()) for split in splits), max(int(split.max()) for split in splits)
    low, dots, high = values.get("", "").partition("..")
    if not dots or set(values) != {""}:
        raise UsageError(
            f"range must be LOW..HIGH, or nothing for the range of the data, got {values.get('', values)!r}"
        )
    return _number("range", low), _number("range", high)


def _choose(data: Array) -> Symbolizer:
    """Try some steps; take the least sum of the empirical entropies of the variables, for each value.

    The whole range of the dtype stays codable. Rows of few values are taken as a series, and cut into windows, where
    differences to the row before are worth it; rows of one value always are.
    """
    low, high = value_range(data.dtype.name)
    bits = (high - low).bit_length()
    planes: list[Step] = []
    if bits > AUTO_BITS:
        groups = -(-bits // AUTO_BITS)
        planes = [Planes((bits - AUTO_BITS * (groups - 1),) + (AUTO_BITS,) * (groups - 1))]
    shift: list[Step] = [Offset(1 << (AUTO_BITS - 1))] if planes else []
    size = data[0].size
    window = Window((max(1, AUTO_WINDOW // size),))

    def make(steps: list[Step]) -> Symbolizer:
        return Symbolizer(data.dtype.name, data.shape[1:], low, high, (*steps, *planes))

    tried: list[tuple[float, list[Step]]] = []
    sample = data[:: max(1, len(data) // AUTO_ROWS)]
    if size > 1:
        axes = [axis for axis, length in enumerate(data.shape[1:]) if length > 1]
        candidates: list[list[Step]] = [[], *([Difference(axis), *shift] for axis in axes)]
        candidates += [[Difference(axes[0]), Difference(axis), *shift] for axis in axes[1:]]
        pictures = data.ndim >= 3 and min(data.shape[1:3]) >= 4
        candidates += [[Neighbour(kind), *shift] for kind in NEIGHBOURS if pictures]
        tried = [(_entropy(make(steps).apply(sample)), steps) for steps in candidates]
    if size == 1 or (size <= AUTO_ROW and len(data) >= AUTO_WINDOW):
        across = [axis + 1 for axis, length in enumerate(data.shape[1:]) if length > 1]
        before: list[list[Step]] = [[]] if size == 1 else []
        before += [[Difference(0), *shift], *([Difference(0), Difference(axis), *shift] for axis in across)]
        # Windows of one row measure what the differences are worth.
        single = Window((1,))
        tried += [(_entropy(make([*steps, single]).apply(data[:AUTO_ROWS])), [*steps, window]) for steps in before]
    least = min(cost for cost, _ in tried)
    # The simple ones come first: a gain below a hundredth may be chance.
    return next(make(steps) for cost, steps in tried if cost <= 1.01 * least)


def _entropy(records: NDArray[np.uint16]) -> float:
    """Sum up the columns' entropies in bits a record, corrected for few records.

    The correction, (symbols seen - 1) / 2N nats: G. Miller, "Note on the bias of information estimates", 1955.
    """
    total = 0.0
    for column in records.T:
        counts = np.unique(column, return_counts=True)[1]
        shares = counts / counts.sum()
        total += float(-(shares * np.log2(shares)).sum() + (len(counts) - 1) / (2 * len(column)) / np.log(2))
    return total
