"""The parameters of a fitted estimator as plain values, and what is asked of a circuit of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError, UsageError
from pcedge.importers.graph import LAYER_BYTES
from pcedge.importers.gridding import SYMBOLS, Gridding
from pcedge.limits import MemoryBudget

RULE = "import-estimator"

#: bytes of memory for a number of a table, with its logarithm, and for a moment while it is integrated
TABLE_BYTES = 40

#: components that a density of many kernels is reduced to
COMPONENTS = 64


@dataclass(frozen=True, eq=False)
class Described:
    """Hold an object by its class's name and its attributes: arrays, numbers, texts, lists, and others like itself.

    The same is made of an object in memory, of a `.skops` file and of a pickle, so there is one mapping to circuits.
    """

    #: module and class, "sklearn.mixture._gaussian_mixture.GaussianMixture"
    name: str
    #: the attributes by the library's names
    attributes: Mapping[str, Any]
    #: module and class of the classes that it inherits from, nearest first
    bases: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Give the class's name."""
        return self.name.rpartition(".")[2]

    @property
    def library(self) -> str:
        """Give the package."""
        return self.name.partition(".")[0]

    def get(self, name: str, default: Any = None) -> Any:
        """Give an attribute as it is."""
        return self.attributes.get(name, default)

    def need(self, name: str) -> Any:
        """Give an attribute that a fitted object has.

        Raises:
            FormatError: it is not there.
        """
        if self.attributes.get(name) is None:
            raise FormatError(RULE, f"{self.kind} must be fitted, it has no {name}")
        return self.attributes[name]

    def floats(self, name: str, *shape: int | None, low: float | None = None, positive: bool = False) -> FloatArray:
        """Give an attribute as float64 of some shape.

        Args:
            name: of the attribute.
            shape: its sizes, None for any; a number becomes an array of one.
            low: what no number may be below.
            positive: whether all must be above 0.

        Raises:
            FormatError: it is not there, has another shape, or a number that is not finite or is too low.
        """
        return floats(self.need(name), f"{self.kind}.{name}", *shape, low=low, positive=positive)

    def whole(self, name: str, default: int | None = None) -> int:
        """Give an attribute as an integer.

        Raises:
            FormatError: it is none.
        """
        value = self.need(name) if default is None else self.get(name, default)
        value = value.item() if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1 else value
        if type(value) is not int:
            raise FormatError(RULE, f"{self.kind}.{name} must be an integer, got {str(value)[:40]}")
        return value

    def children(self, name: str) -> list[Described]:
        """Give an attribute that is a list of objects.

        Raises:
            FormatError: it is not.
        """
        value = self.need(name)
        if isinstance(value, np.ndarray):
            value = value.ravel().tolist()
        if not isinstance(value, list | tuple) or not all(isinstance(child, Described) for child in value):
            raise FormatError(RULE, f"{self.kind}.{name} must be a list of estimators, got {str(value)[:40]}")
        return list(value)

    def labels(self) -> tuple[str | int | float, ...]:
        """Give the labels of the classes, texts or numbers.

        Raises:
            FormatError: they are of another type, or of several outputs.
        """
        classes = self.need("classes_")
        if isinstance(classes, list) and not all(isinstance(label, str | int | float) for label in classes):
            raise FormatError(RULE, f"{self.kind} must have one output, it has {len(classes)}")
        return tuple(_label(label, self.kind) for label in np.asarray(classes).ravel().tolist())

    def features(self) -> tuple[str, ...]:
        """Give the names of the features that it was fitted with; empty where it was fitted with arrays."""
        names = self.get("feature_names_in_")
        return () if names is None else tuple(str(name) for name in np.asarray(names).ravel().tolist())


@dataclass(frozen=True, eq=False)
class Choices:
    """Hold what whoever imports an estimator asks for."""

    #: how values become symbols
    gridding: Gridding = field(default_factory=Gridding)
    #: steps of a model of sequences
    steps: int | None = None
    #: components that a density of many kernels is reduced to
    components: int | None = None
    #: the features' names
    names: tuple[str, ...] | None = None
    #: of the memory of a file; None for what is in memory already
    budget: MemoryBudget | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("steps", "components"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 1 <= value <= 1 << 16):
                raise UsageError(f"{name} must be an integer in 1..65536, got {value!r}")

    def room(self, components: int, features: int, symbols: int = SYMBOLS) -> None:
        """Take the memory of tables whose sizes a file tells, from the file's budget.

        What more symbols than the default, and steps, multiply is the choice of who asks for them.

        Raises:
            FormatError: it is too much.
        """
        if self.budget is not None:
            self.budget.take(TABLE_BYTES * components * features * symbols + LAYER_BYTES * features)

    def names_for(self, estimator: Described, features: int) -> tuple[str, ...]:
        """Give the features' names: those asked for, those of the fit, or x0, x1 and so on.

        Raises:
            UsageError: there are too many or too few.
        """
        if features > 1 << 20:
            raise FormatError(RULE, f"{estimator.kind} must have {1 << 20} features at most, it has {features}")
        names = self.names or estimator.features() or tuple(f"x{feature}" for feature in range(features))
        if len(names) != features:
            raise UsageError(f"{estimator.kind} has {features} features, got {len(names)} names")
        return tuple(names)

    def no_steps(self, estimator: Described) -> None:
        """Refuse steps where there are none.

        Raises:
            UsageError: steps were asked for.
        """
        if self.steps is not None:
            raise UsageError(f"steps belong to models of sequences, {estimator.kind} is none")


def floats(value: Any, what: str, *shape: int | None, low: float | None = None, positive: bool = False) -> FloatArray:
    """Give a value as float64 of some shape, None for any size; see `Described.floats`."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"got {array.dtype}")
        numbers: FloatArray = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise FormatError(RULE, f"{what} must be numbers ({str(error)[:60]})") from error
    if shape and numbers.ndim == 0 and len(shape) == 1:
        numbers = numbers.reshape(1)
    if len(shape) != numbers.ndim or any(
        size not in (None, have) for size, have in zip(shape, numbers.shape, strict=True)
    ):
        wanted = "×".join("any" if size is None else str(size) for size in shape) or "one number"
        raise FormatError(RULE, f"{what} must be of shape {wanted}, got {numbers.shape}")
    if not numbers.size:
        raise FormatError(RULE, f"{what} must hold numbers, it is empty")
    if not np.isfinite(numbers).all():
        raise FormatError(RULE, f"{what} must be finite, got {numbers[~np.isfinite(numbers)].flat[0]}")
    if positive and not (numbers > 0).all():
        raise FormatError(RULE, f"{what} must be above 0, got {numbers.min():g}")
    if low is not None and (numbers < low).any():
        raise FormatError(RULE, f"{what} must be {low:g} or more, got {numbers.min():g}")
    return numbers


def logarithms(probabilities: NDArray[np.float64]) -> FloatArray:
    """Give logarithms; of zero minus infinity, without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probabilities))


def _label(label: Any, kind: str) -> str | int | float:
    if isinstance(label, bool):
        return int(label)
    if isinstance(label, str | int | float):
        return label
    raise FormatError(RULE, f"the classes of {kind} must be texts or numbers, got {str(label)[:40]!r}")
