"""The float circuit: layers of input, product and sum units, checked when they are made."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.rows import SparseRows, batches, entries, float_entries, joined, row_sums
from pcedge.circuit.structure import Shape, Spans, check_grid, check_shapes, check_symbolizer, layer_scopes
from pcedge.data.maps import DataMap
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError

#: how far a row of probabilities may be from 1 and still count as normalised
ROW_TOLERANCE = 1e-6

#: the value of a symbol that was not observed
MISSING = -1


@dataclass(frozen=True, eq=False)
class InputLayer:
    """Leaves over one variable: row u of `probabilities` is the distribution of unit u.

    `probabilities` is (units, cardinality) for categorical leaves, and (units,) for Bernoulli leaves, where it is the
    probability of the symbol 1. `parametric` tells where the table of parametric leaves comes from; `logistic`,
    `geometric` and `of` make such layers.
    """

    variable: int
    probabilities: FloatArray
    parametric: Parametric | None = None

    def __post_init__(self) -> None:
        """Take lists and numpy integers too."""
        object.__setattr__(self, "probabilities", _array(self.probabilities, "probabilities"))
        if isinstance(self.variable, np.integer):
            object.__setattr__(self, "variable", int(self.variable))
        if type(self.variable) is not int:
            raise CircuitError(f"the variable of an input layer must be an integer, got {self.variable!r}")
        if self.parametric is not None and self.probabilities is not self.parametric.table:  # as `of` gives it
            if not np.array_equal(self.probabilities, self.parametric.table):
                raise CircuitError(
                    f"the probabilities of {self.parametric.kind} leaves (variable {self.variable}) must be the table "
                    "of their parameters, they differ"
                )

    @staticmethod
    def of(variable: int, parametric: Parametric) -> InputLayer:
        """Make the leaves that parameters describe."""
        return InputLayer(variable, parametric.table, parametric)

    @staticmethod
    def logistic(variable: int, mean: object, scale: object, cardinality: int) -> InputLayer:
        """Make discretized logistic leaves, one a mean and scale, both of shape (units,); see `Parametric`.

        Example:
            >>> InputLayer.logistic(0, [1.0], [0.5], 3).table.round(3).tolist()
            [[0.269, 0.462, 0.269]]
        """
        columns = [_array(values, "mean and scale").reshape(-1) for values in (mean, scale)]
        if len(columns[0]) != len(columns[1]):
            raise CircuitError(
                f"logistic leaves must have one scale a mean, got {len(columns[1])} for {len(columns[0])}"
            )
        return InputLayer.of(variable, Parametric("logistic", np.stack(columns, axis=1), cardinality))

    @staticmethod
    def geometric(variable: int, ratio: object, cardinality: int) -> InputLayer:
        """Make truncated geometric leaves, one a ratio, of shape (units,); see `Parametric`."""
        return InputLayer.of(variable, Parametric("geometric", _array(ratio, "ratio").reshape(-1, 1), cardinality))

    @property
    def kind(self) -> str:
        """Give `bernoulli`, `categorical`, `logistic` or `geometric`."""
        if self.parametric is not None:
            return self.parametric.kind
        return "bernoulli" if self.probabilities.ndim == 1 else "categorical"

    @cached_property
    def table(self) -> FloatArray:
        """Give the probabilities as (units, cardinality), whatever the kind."""
        if self.probabilities.ndim == 1:
            return np.stack([1.0 - self.probabilities, self.probabilities], axis=1)
        return self.probabilities

    @property
    def shape(self) -> Shape:
        """Give what the structure checks need to know."""
        cardinality = 2 if self.probabilities.ndim == 1 else self.probabilities.shape[1]
        return Shape("input", len(self.probabilities), (), self.variable, cardinality)


@dataclass(frozen=True, eq=False)
class ProductLayer:
    """Products that gather any units: unit u multiplies unit `gather[u, c]` of every child layer c.

    `children` are indices of earlier layers, `gather` is (units, children).
    """

    children: tuple[int, ...]
    gather: IntArray

    def __post_init__(self) -> None:
        """Take lists too."""
        gather = np.asarray(self.gather)
        if gather.dtype.kind in "iu":
            gather = gather.astype(np.int64, copy=False)
        object.__setattr__(self, "gather", gather)
        object.__setattr__(self, "children", _children(self.children))

    @property
    def shape(self) -> Shape:
        """Give what the structure checks need to know."""
        return Shape("product", len(self.gather), self.children, gather=self.gather)


@dataclass(frozen=True, eq=False)
class SumLayer:
    """Mixtures: unit u weighs the units of all child layers, put one after the other, by row u of `weights`.

    `weights` is (units, total units of the children), dense or as sparse rows.
    """

    children: tuple[int, ...]
    weights: FloatArray | SparseRows

    def __post_init__(self) -> None:
        """Take lists too."""
        if isinstance(self.weights, SparseRows):
            weights: FloatArray | SparseRows = replace(self.weights, values=_array(self.weights.values, "weights"))
        else:
            weights = _array(self.weights, "weights")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "children", _children(self.children))

    @property
    def shape(self) -> Shape:
        """Give what the structure checks need to know."""
        return Shape("sum", self.weights.shape[0], self.children, columns=self.weights.shape[1])


Layer = InputLayer | ProductLayer | SumLayer


def parameters_of(layer: Layer) -> FloatArray:
    """Give what the rows of a layer hold: leaf tables, or the entries of weights; nothing of a product layer."""
    if isinstance(layer, InputLayer):
        return layer.table
    return np.zeros(0) if isinstance(layer, ProductLayer) else float_entries(layer.weights)


@dataclass(frozen=True, eq=False)
class Circuit:
    """Hold a smooth and decomposable circuit with normalised sums, children before parents, the root last.

    Args:
        layers: the layers; a layer names its children by their index in this tuple. The last one is the root and has
            one unit.
        log_constant: what the normalisation of an imported circuit took out, in nats: its log-likelihood as it was
            written is that of this circuit plus this number. Inference does not add it, `pcedge loglik` does; 0
            for every other circuit.
        symbolizer: how data become the symbols that the circuit is over; None where they are symbols already.
        grid: what the symbols of every variable stand for: names, columns of the data, bins or states (docs/grids.md).

    Raises:
        CircuitError: a rule is broken; the message says which, where, and what came instead.

    Example:
        >>> import numpy as np
        >>> coins = InputLayer(0, np.array([0.5, 0.9]))
        >>> Circuit((coins, SumLayer((0,), np.array([[0.25, 0.75]])))).cardinalities
        (2,)
    """

    layers: tuple[Layer, ...]
    log_constant: float = 0.0
    symbolizer: DataMap | None = None
    grid: ValueGrid | None = None

    def __post_init__(self) -> None:
        """Check every rule."""
        if type(self.log_constant) is not float or not math.isfinite(self.log_constant):
            raise CircuitError(f"the log constant must be a finite float, got {self.log_constant!r}")
        if not isinstance(self.layers, (tuple, list)):
            raise CircuitError(f"layers must be a tuple of layers, got {type(self.layers).__name__}")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, (InputLayer, ProductLayer, SumLayer)):
                raise CircuitError(
                    f"layer {index} must be an InputLayer, ProductLayer or SumLayer, got {type(layer).__name__}"
                )
            _check_arrays(index, layer)
        _ = self.spans
        _check_inputs([(index, layer) for index, layer in enumerate(self.layers) if isinstance(layer, InputLayer)])
        _check_sums([(index, layer) for index, layer in enumerate(self.layers) if isinstance(layer, SumLayer)])
        check_symbolizer(self.symbolizer, self.cardinalities)
        check_grid(self.grid, self.symbolizer, self.cardinalities)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Give the structure without the parameters."""
        return tuple(layer.shape for layer in self.layers)

    @cached_property
    def spans(self) -> Spans | None:
        """Check the structure, and give its layers' spans; None where the circuit is not structured."""
        return check_shapes(self.shapes)

    @cached_property
    def scopes(self) -> tuple[int, ...]:
        """Give every layer's scope as a bit mask over the variables."""
        return layer_scopes(self.shapes)

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Give the number of symbols of every variable."""
        symbols = {shape.variable: shape.cardinality for shape in self.shapes if shape.kind == "input"}
        return tuple(symbols[variable] for variable in sorted(symbols))

    @property
    def parameters(self) -> int:
        """Count the weights and leaf probabilities; of parametric leaves, their parameters."""
        total = 0
        for layer in self.layers:
            if isinstance(layer, InputLayer):
                total += (layer.probabilities if layer.parametric is None else layer.parametric.parameters).size
            elif isinstance(layer, SumLayer):
                total += entries(layer.weights).size
        return total


def _array(values: object, what: str) -> FloatArray:
    """Make a float64 array of numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"got {array.dtype}")
    except ValueError as error:
        raise CircuitError(f"{what} must be an array of numbers ({error})") from error
    return array.astype(np.float64, copy=False)


def _children(children: object) -> tuple[int, ...]:
    """Make a tuple of plain integers."""
    try:
        return tuple(operator.index(child) for child in children)  # type: ignore[attr-defined]
    except TypeError as error:
        raise CircuitError(f"the children of a layer must be integers, got {children!r}") from error


def _check_arrays(index: int, layer: Layer) -> None:
    """Refuse arrays whose dimensions or dtype would mean something else."""
    if isinstance(layer, InputLayer):
        if layer.probabilities.ndim not in (1, 2):
            raise CircuitError(
                f"layer {index} (input, variable {layer.variable}): probabilities must have 1 (Bernoulli) or 2 "
                f"(categorical) dimensions, got {layer.probabilities.ndim}"
            )
    elif isinstance(layer, ProductLayer):
        if layer.gather.ndim != 2 or layer.gather.dtype.kind not in "iu":
            raise CircuitError(
                f"layer {index} (product): gather must hold integers in 2 dimensions, "
                f"got {layer.gather.dtype} in {layer.gather.ndim}"
            )
    elif not isinstance(layer.weights, SparseRows) and layer.weights.ndim != 2:
        raise CircuitError(f"layer {index} (sum): weights must have 2 dimensions, got {layer.weights.ndim}")


def _check_probabilities(values: NDArray[np.generic], where: str) -> None:
    """Refuse NaN, infinite and negative values."""
    floats = np.asarray(values, dtype=np.float64)
    if not np.isfinite(floats).all():
        raise CircuitError(f"{where} must be finite, got {floats[~np.isfinite(floats)].flat[0]}")
    if (floats < 0).any():
        raise CircuitError(f"{where} must not be negative, got {floats.min():.6g}")


def _check_inputs(layers: list[tuple[int, InputLayer]]) -> None:
    """Check all leaves: those of one size together, and one by one where something is wrong, to name it."""
    for numbers, tables in stacked([layer.probabilities for _, layer in layers]):
        try:
            _check_input(0, InputLayer(0, tables.reshape(-1, *tables.shape[2:])))
        except CircuitError:
            for number in numbers:
                _check_input(*layers[number])


def _check_sums(layers: list[tuple[int, SumLayer]]) -> None:
    """Check all sums, as `_check_inputs` does."""
    weights = [layer.weights for _, layer in layers]
    for numbers in batches(weights):
        try:
            _check_sum(0, SumLayer((), joined([weights[number] for number in numbers])))
        except CircuitError:
            for number in numbers:
                _check_sum(*layers[number])


def _check_input(index: int, layer: InputLayer) -> None:
    where = f"layer {index} (input, variable {layer.variable})"
    _check_probabilities(layer.probabilities, f"{where}: probabilities")
    if layer.kind == "bernoulli":
        if (layer.probabilities > 1).any():
            raise CircuitError(f"{where}: a Bernoulli probability must be at most 1, got {layer.probabilities.max()}")
        return
    totals = layer.probabilities.sum(axis=1)
    off = np.flatnonzero(np.abs(totals - 1) > ROW_TOLERANCE)
    if off.size:
        raise CircuitError(f"{where}: the distribution of unit {off[0]} must sum to 1, got {totals[off[0]]:.9g}")


def _check_sum(index: int, layer: SumLayer) -> None:
    where = f"layer {index} (sum)"
    weights = layer.weights
    if isinstance(weights, SparseRows):
        _check_sparse(where, weights)
    _check_probabilities(entries(weights), f"{where}: weights")
    totals = np.asarray(row_sums(weights), dtype=np.float64)
    off = np.flatnonzero(np.abs(totals - 1) > ROW_TOLERANCE)
    if off.size:
        raise CircuitError(f"{where}: the weights of unit {off[0]} must sum to 1, got {totals[off[0]]:.9g}")


def _check_sparse(where: str, rows: SparseRows) -> None:
    pointers = rows.indptr
    for name in ("indptr", "indices"):
        if getattr(rows, name).dtype.kind not in "iu" or getattr(rows, name).ndim != 1:
            raise CircuitError(f"{where}: {name} must hold integers in 1 dimension")
    if pointers[0] != 0 or pointers[-1] != len(rows.indices) or len(rows.indices) != len(rows.values):
        raise CircuitError(f"{where}: row pointers must run from 0 to the number of entries, {len(rows.values)}")
    if (np.diff(pointers) <= 0).any():
        empty = int(np.flatnonzero(np.diff(pointers) <= 0)[0])
        raise CircuitError(f"{where}: every row must hold at least one entry, row {empty} holds none")
    if (rows.indices < 0).any() or (rows.indices >= rows.columns).any():
        wrong = rows.indices[(rows.indices < 0) | (rows.indices >= rows.columns)][0]
        raise CircuitError(f"{where}: columns must be in 0..{rows.columns - 1}, got {wrong}")
    keys = np.repeat(np.arange(rows.shape[0]), np.diff(pointers)) * rows.columns + rows.indices
    if (np.diff(keys) <= 0).any():
        raise CircuitError(f"{where}: the columns of a row must ascend without repetition")
