"""The predictor stage: what turns numbers of any width into classes and tokens, exactly (docs/predictor.md)."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.data.columns import Columns
from pcedge.data.entries import entries, listed, offsets, read_object
from pcedge.data.rules import MAX_LISTED, MAX_NODES, check_listed, check_ranges, check_tree
from pcedge.data.symbolizer import DTYPES, MAX_DIMENSIONS, MAX_SYMBOLS, integer, integers, value_range
from pcedge.data.words import MAX_VARIABLES, check_variables
from pcedge.errors import DataError, UsageError

VERSION = 2

#: numpy's name of the type of cells, where data have columns
CELLS = "int64"

#: how far a neighbour may be, along any axis
MAX_REACH = 64
MAX_NEIGHBOURS = 64
MAX_FEATURES = 64

#: fractional bits of coefficients, and of adaptive weights
COEFFICIENT_BITS = 16
#: coefficients, weights and the terms of features are below this
MAX_COEFFICIENT = 1 << 21
#: columns whose range is not below 2^32 are predicted by whole coefficients, modulo 2^64
NARROW_BITS = 32
#: numbers that features see saturate at 2^31
SATURATION = (1 << 31) - 1

#: what a feature is made of
KINDS = ("column", "prediction", "slope", "value", "residual", "activity", "gradient")

#: a neighbour: how far back along each axis, rows first; the first that is not 0 is positive
Offset = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Hold what the columns of one group share: the range of their numbers, and how they are predicted."""

    low: int
    high: int
    #: what is taken from every number first; what lies outside of the data counts as this number
    origin: int
    #: one for each neighbour, in 2^-16 of it; of a wide group whole
    coefficients: tuple[int, ...]
    #: added to the prediction, in the same unit
    constant: int = 0

    @property
    def wide(self) -> bool:
        """Tell whether numbers of this group count modulo 2^64."""
        return self.high - self.low >= 1 << NARROW_BITS


@dataclass(frozen=True)
class Adaptation:
    """Hold the sign-LMS stage: it predicts the residual of the first prediction from residuals around it."""

    neighbours: tuple[Offset, ...]
    #: a weight moves by about 2^-rate of the neighbour's share in all of them
    rate: int

    @property
    def gain(self) -> int:
        """Give the bits by which a neighbour's residual is shifted up before its share is taken."""
        return COEFFICIENT_BITS - self.rate + (len(self.neighbours) - 1).bit_length()


@dataclass(frozen=True)
class Feature:
    """Hold a number that chooses the class: a kind, and the neighbours that it is made of with their weights."""

    kind: str
    neighbours: tuple[Offset, ...] = ()
    weights: tuple[int, ...] = ()


@dataclass(frozen=True)
class Node:
    """Compare a feature: at most the threshold goes `below`, else `above`: a later node, or class c as -1 - c."""

    feature: int
    threshold: int
    below: int
    above: int


@dataclass(frozen=True)
class Predictor:
    """Map rows of numbers to cells, each a class, which both sides know before it is coded, and a token.

    Args:
        dtype: numpy's name of the data's type.
        shape: shape of a row: the data's without the first axis. A number of it is a column.
        groups: what groups of columns share.
        group_of: the group of every column.
        neighbours: what the first prediction looks at.
        adaptation: the sign-LMS stage, if there is one.
        features: what the tree compares.
        tree: its nodes; none makes one class.
        classes: the bias and the shift of every class.
        centre: tokens -centre..centre - 1 of a residual, shifted, are symbols of their own.
        escapes: symbols on either side of them, each with one raw bit more than the one before.
        listed: residuals, ascending, that have tokens of their own behind those.
        source: what maps the array that comes to the numbers here, its cells, and back; None where they are the data.

    Raises:
        UsageError: a rule of docs/predictor.md is broken.
    """

    dtype: str
    shape: tuple[int, ...]
    groups: tuple[Group, ...]
    group_of: tuple[int, ...]
    neighbours: tuple[Offset, ...]
    adaptation: Adaptation | None
    features: tuple[Feature, ...]
    tree: tuple[Node, ...]
    classes: tuple[tuple[int, int], ...]
    centre: int
    escapes: int
    listed: tuple[int, ...] = ()
    source: Columns | None = None

    def __post_init__(self) -> None:
        """Check every rule."""
        if self.source is not None and (self.dtype, self.shape) != (CELLS, self.source.cell_shape):
            raise UsageError(
                f"a predictor of columns must be of {CELLS} and their shape {self.source.cell_shape}, "
                f"got {self.dtype} {self.shape}"
            )
        if self.dtype not in DTYPES:
            raise UsageError(f"the dtype of a predictor must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if not 1 <= len(self.shape) <= MAX_DIMENSIONS or min(self.shape) < 1:
            raise UsageError(f"rows must have 1..{MAX_DIMENSIONS} dimensions of at least 1, got shape {self.shape}")
        check_variables(math.prod(self.shape))
        self._check_groups()
        self._check_neighbours("neighbours", self.neighbours)
        if self.adaptation is not None:
            self._check_neighbours("neighbours of the adaptation", self.adaptation.neighbours)
            if not self.adaptation.neighbours or not 1 <= self.adaptation.rate <= 16:
                raise UsageError(
                    "an adaptation must have neighbours and a rate in 1..16, "
                    f"got {len(self.adaptation.neighbours)} and {self.adaptation.rate}"
                )
        self._check_features()
        check_tree(self.tree, len(self.features), len(self.classes))
        self._check_tokens()

    def _check_groups(self) -> None:
        columns = math.prod(self.shape)
        if len(self.group_of) != columns or set(self.group_of) != set(range(len(self.groups))):
            raise UsageError(
                f"every one of {columns} columns must have a group of 0..{len(self.groups) - 1}, and every group one"
            )
        if self.source is not None:
            for column, of in enumerate(self.group_of):
                held = (self.groups[of].low, self.groups[of].high)
                if held != self.source.ranges[column]:
                    low, high = self.source.ranges[column]
                    raise UsageError(f"the group of column {column} must have its range {low}..{high}, got {held}")
        least, largest = value_range(self.dtype)
        for number, group in enumerate(self.groups):
            where = f"group {number}"
            if not least <= group.low <= group.high <= largest:
                raise UsageError(
                    f"{where}: the range must ascend within {least}..{largest}, got {group.low}..{group.high}"
                )
            if not group.low <= group.origin <= group.high:
                raise UsageError(f"{where}: the origin must be in {group.low}..{group.high}, got {group.origin}")
            if len(group.coefficients) != len(self.neighbours):
                raise UsageError(
                    f"{where} must have a coefficient for each of {len(self.neighbours)} neighbours, "
                    f"got {len(group.coefficients)}"
                )
            limit = 4 if group.wide else MAX_COEFFICIENT
            if any(abs(entry) >= limit for entry in group.coefficients):
                raise UsageError(
                    f"{where}: coefficients must be below {limit}, got {max(map(abs, group.coefficients))}"
                )
            if abs(group.constant) >= 1 << (NARROW_BITS + COEFFICIENT_BITS) or (group.wide and group.constant):
                raise UsageError(
                    f"{where}: the constant must be below 2^48, and 0 of a wide group, got {group.constant}"
                )

    def _check_neighbours(self, what: str, neighbours: Sequence[Offset]) -> None:
        if len(neighbours) > MAX_NEIGHBOURS:
            raise UsageError(f"{what} must be at most {MAX_NEIGHBOURS}, got {len(neighbours)}")
        for offset in neighbours:
            first = next((step for step in offset if step), 0)
            if len(offset) != 1 + len(self.shape) or first < 1 or max(map(abs, offset)) > MAX_REACH:
                raise UsageError(
                    f"{what} must come before the number, at most {MAX_REACH} along each of {1 + len(self.shape)} "
                    f"axes, got {offset}"
                )

    def _check_features(self) -> None:
        if len(self.features) > MAX_FEATURES:
            raise UsageError(f"there must be at most {MAX_FEATURES} features, got {len(self.features)}")
        for feature in self.features:
            if feature.kind not in KINDS:
                raise UsageError(f"a feature must be one of {', '.join(KINDS)}, got {feature.kind!r}")
            self._check_neighbours(f"neighbours of feature {feature.kind}", feature.neighbours)
            counts = {"column": (0, 0), "prediction": (0, 0), "slope": (1, 0), "gradient": (len(feature.neighbours), 0)}
            many = len(feature.neighbours)
            if (many, len(feature.weights)) != counts.get(feature.kind, (max(many, 1), many)) or (
                feature.kind == "gradient" and (many % 2 or not many)
            ):
                raise UsageError(
                    f"feature {feature.kind} must have the neighbours and weights that it is made of, "
                    f"got {many} and {len(feature.weights)}"
                )
            if any(abs(weight) > 1 << 10 for weight in feature.weights):
                raise UsageError(f"the weights of a feature must be at most 1024, got {feature.weights}")

    def _check_tokens(self) -> None:
        check_listed(self.listed)
        if not 1 <= self.centre <= MAX_SYMBOLS // 4 or not 0 <= self.escapes <= 64:
            raise UsageError(
                f"centre must be in 1..{MAX_SYMBOLS // 4}, escapes in 0..64, got {self.centre}, {self.escapes}"
            )
        for number, (bias, shift) in enumerate(self.classes):
            if not 0 <= shift <= 60 or abs(bias) >= 1 << 40:
                raise UsageError(
                    f"class {number} must have a bias below 2^40 and a shift in 0..60, got {bias}, {shift}"
                )
        needed = max(self.escapes_needed(shift, bias) for bias, shift in self.classes)
        if self.escapes < needed:
            raise UsageError(f"the range of the data must have {needed} escapes, got {self.escapes}")

    def escapes_needed(self, shift: int, bias: int) -> int:
        """Give the escapes that the largest residual of any group needs in a class."""
        most = max((1 << 63) if group.wide else group.high - group.low for group in self.groups) + abs(bias)
        beyond = (most >> shift) + 1 - self.centre
        return max(0, (beyond + 1).bit_length()) if beyond >= 0 else 0

    @staticmethod
    def from_dict(described: object) -> Predictor:
        """Read the JSON form.

        Raises:
            UsageError: it is not that of a predictor; the caller says which file.
        """
        keys = {"version", "kind", *(field.name for field in fields(Predictor))} - {"listed", "source"}
        if (
            not isinstance(described, dict)
            or set(described) - {"listed", "source"} != keys
            or described["kind"] != "predictor"
        ):
            raise UsageError(
                f"a predictor must be an object of {', '.join(sorted(keys))}, and source if it has columns"
            )
        if type(described["version"]) is not int or described["version"] != VERSION:
            raise UsageError(f"a predictor must be of version {VERSION}, got {str(described['version'])[:40]}")
        if not isinstance(described["dtype"], str):
            raise UsageError("a predictor's dtype must be a text")
        runs = [integers("group_of", run) for run in entries("group_of", described["group_of"])]
        if any(len(run) != 2 or run[1] < 1 for run in runs) or sum(run[1] for run in runs) > MAX_VARIABLES:
            raise UsageError("group_of must be runs of a group and how many columns it has")
        stage = described["adaptation"]
        tree = [integers("tree", column, MAX_NODES) for column in entries("tree", described["tree"])]
        classes = [integers("classes", column, MAX_SYMBOLS) for column in entries("classes", described["classes"])]
        if [len(tree), len(classes)] != [4, 2] or len({*map(len, tree)}) > 1 or len({*map(len, classes)}) > 1:
            raise UsageError("tree and classes must be columns of one length, 4 and 2 of them")
        return Predictor(
            described["dtype"], integers("shape", described["shape"]),
            tuple(read_object(Group, entry) for entry in entries("groups", described["groups"])),
            tuple(itertools.chain.from_iterable([group] * count for group, count in runs)),
            offsets("neighbours", described["neighbours"]),
            None if stage is None else read_object(Adaptation, stage),
            tuple(read_object(Feature, entry) for entry in entries("features", described["features"])),
            tuple(Node(*entry) for entry in zip(*tree, strict=True)), tuple(zip(*classes, strict=True)),
            integer("centre", described["centre"]), integer("escapes", described["escapes"]),
            integers("listed", described["listed"], MAX_LISTED) if "listed" in described else (),
            Columns.from_dict(described["source"]) if "source" in described else None,
        )  # fmt: skip

    @property
    def given(self) -> tuple[int, ...]:
        """Give the variables of a record that both sides know before it is coded: the class."""
        return (0,)

    @property
    def cardinalities(self) -> tuple[int, int]:
        """Give the classes and the tokens, at least 2 of each."""
        tokens = self.first_listed + len(self.listed) + (self.missing_token is not None)
        return max(2, len(self.classes)), tokens

    @property
    def first_listed(self) -> int:
        """Give the token of the first listed residual: those before it are of any residuals."""
        return 2 * self.centre + 2 * self.escapes

    @cached_property
    def missing_token(self) -> int | None:
        """Give the token of a missing number, the last one; None where columns mark none."""
        marked = self.source is not None and self.source.marks_missing
        return self.first_listed + len(self.listed) if marked else None

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Give the shape of a row of the data."""
        return self.shape if self.source is None else self.source.shape

    @property
    def columns(self) -> int:
        """Give the numbers of a row."""
        return math.prod(self.shape)

    def records(self, rows: int) -> int:
        """Give the number of records of so many rows: every number is one."""
        return rows * self.columns

    @cached_property
    def reach(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Give how far neighbours lie along each axis, before a number and behind it."""
        seen = [*self.neighbours, *(self.adaptation.neighbours if self.adaptation else ())]
        seen += itertools.chain.from_iterable(feature.neighbours for feature in self.features)
        steps = list(zip(*seen, (0,) * (1 + len(self.shape)), strict=True))
        before = tuple(max(along) for along in steps)
        behind = tuple(max(-step for step in along) for along in steps)
        return before, behind

    def check(self, x: ArrayLike) -> NDArray[Any]:
        """Check that data can be mapped; of data with columns, but for the values, which `cells` checks.

        Raises:
            DataError: wrong dtype or shape, or a value out of the range of its column.
        """
        if self.source is not None:
            return self.source.check(x)
        array = np.asarray(x)
        if isinstance(x, np.ma.MaskedArray) or array.dtype.kind not in "iub":
            raise DataError(f"data must be a plain array of integers, got {array.dtype}")
        if array.shape[1:] != self.shape or not array.ndim:
            raise DataError(
                f"data must have shape (rows, {', '.join(map(str, self.shape))}) for this predictor, got {array.shape}"
            )
        check_ranges(array, self.groups, self.group_of)
        return array

    def cells(self, x: ArrayLike) -> NDArray[Any]:
        """Give the numbers of data, (rows, *shape); a masked array where columns mark missing ones.

        Raises:
            DataError: the data do not fit.
        """
        return self.check(x) if self.source is None else self.source.apply(x)

    def data(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Give the data of numbers.

        Raises:
            DataError: a number is out of the range of its column, or stands for no value.
        """
        check_ranges(np.ma.getdata(cells), self.groups, self.group_of)
        return cells if self.source is None else self.source.invert(cells)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form: columns of numbers in the place of lists of objects."""
        runs = [[number, len(list(run))] for number, run in itertools.groupby(self.group_of)]
        more: dict[str, Any] = {"listed": list(self.listed)} if self.listed else {}
        more |= {} if self.source is None else {"source": self.source.as_dict()}
        return {
            "version": VERSION, "kind": "predictor", "dtype": self.dtype, "shape": list(self.shape),
            "groups": [listed(group) for group in self.groups], "group_of": runs,
            "neighbours": [list(offset) for offset in self.neighbours],
            "adaptation": None if self.adaptation is None else listed(self.adaptation),
            "features": [listed(feature) for feature in self.features],
            "tree": [[getattr(node, field.name) for node in self.tree] for field in fields(Node)],
            "classes": [[entry[side] for entry in self.classes] for side in range(2)],
            "centre": self.centre, "escapes": self.escapes,
        } | more  # fmt: skip

    def to_json(self) -> str:
        """Write the JSON form; equal predictors give equal texts."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
