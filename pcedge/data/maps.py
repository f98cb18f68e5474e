"""What maps data to symbols: a symbolizer, or a predictor stage; their JSON forms, and what they make of data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray
from pcedge.data.prediction import Plan, centred, forward
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.data.tokens import split
from pcedge.errors import UsageError

if TYPE_CHECKING:  # circuits need no readers of files
    from pcedge.data.reading import Reading

#: how data become records of symbols
DataMap = Symbolizer | Predictor


def map_from_dict(described: object) -> DataMap:
    """Read the JSON form of what maps data to symbols: a symbolizer, or a predictor stage.

    Raises:
        UsageError: it is that of neither.
    """
    if isinstance(described, dict) and "kind" in described:
        return Predictor.from_dict(described)
    return Symbolizer.from_dict(described)


def map_from_json(text: str) -> DataMap:
    """Read the JSON form from a text.

    Raises:
        UsageError: it is not that of a symbolizer or of a predictor.
    """
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a symbolizer must be JSON ({error})") from error
    return map_from_dict(described)


def reading_for(mapping: DataMap | None, reading: Reading) -> Reading:
    """Say what a file for a circuit does not say itself, where the columns of its predictor stage know it.

    They take floats and records with fields, of their types also in tables and raw binary, and know what marks missing
    values: their integer goes before one that is given, which stands where only floats are marked.
    """
    columns = mapping.source if isinstance(mapping, Predictor) else None
    if columns is None:
        return reading
    fields = columns.source if columns.source.names else None
    mark = columns.mark
    if mark is None or (math.isnan(mark) and reading.missing is not None):
        mark = reading.missing
    return replace(reading, typed=True, fields=fields, missing=mark)


def symbols_of(mapping: DataMap, x: ArrayLike) -> IntArray:
    """Make the records of symbols of data, (records, variables).

    Those of a predictor stage are a class and a token for every number, as one lane gives them; the raw bits behind a
    token are not among them.

    Raises:
        DataError: the data do not fit.
    """
    if isinstance(mapping, Symbolizer):
        return mapping.apply(x).astype(np.int64)
    classes, tokens, _ = numbers_of(mapping, x)
    return np.stack([classes.ravel(), tokens.ravel()], axis=1)


def numbers_of(
    predictor: Predictor, x: ArrayLike, gone: NDArray[np.bool_] | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """Give class, token, and how many raw bits there are behind it, of every number; (rows, columns) each.

    Args:
        predictor: the stage.
        x: data as it takes them.
        gone: numbers that count as missing, in the shape of a row's numbers, beside those that the columns mark.

    Raises:
        DataError: the data do not fit.
    """
    cells = predictor.cells(x)
    if not len(cells):
        empty = np.zeros((0, predictor.columns), dtype=np.int64)
        return empty, empty, empty
    if gone is not None:
        cells = np.ma.MaskedArray(np.ma.getdata(cells), np.ma.getmaskarray(cells) | gone.reshape(cells.shape))
    classes, residuals = forward(predictor, centred(predictor, cells)[None])
    tokens, _, raw = split(Plan(predictor, 0), classes, residuals)
    return classes[0], tokens[0], raw[0]
