"""Mixtures of products, which most fitted densities are, as the layers of a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.densities import Density
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.data.value_grid import Axis, ValueGrid
from pcedge.errors import FormatError
from pcedge.importers.estimators.parameters import RULE, logarithms
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.gridding import Gridding, grid_variable
from pcedge.importers.normalise import Draft

#: components that get a layer each, at most: their steps are as many times more
APART = 32

#: a leaf: a density, or the probabilities of the symbols 0, 1, …
LeafForm = Density | FloatArray


@dataclass(frozen=True, eq=False)
class Variable:
    """Hold a variable: what its symbols stand for, a table for each component, and what its bins forget."""

    axis: Axis
    #: probabilities, (components, symbols)
    tables: FloatArray
    #: nats
    loss: float = 0.0


def variable_of(
    name: str, column: int, leaves: Sequence[LeafForm], weights: Sequence[float] | FloatArray, gridding: Gridding
) -> Variable:
    """Give a variable of leaves: densities get the grid of least loss, tables are over integers from 0.

    Args:
        name: the variable's name.
        column: the data's column.
        leaves: one a component, all of one form.
        weights: how much each counts in the choice of the grid.
        gridding: how many symbols, and data.

    Raises:
        FormatError: there are densities and tables, or the tables are too large.
    """
    densities = [leaf for leaf in leaves if isinstance(leaf, Density)]
    if densities:
        if len(densities) != len(leaves):
            raise FormatError(RULE, f"variable {name!r} must have densities or tables, it has both")
        if len(leaves) * gridding.symbols > MAX_TABLE:
            raise FormatError("import-size", f"all leaf tables together must hold {MAX_TABLE} numbers at most")
        made = grid_variable(name, column, densities, list(weights), gridding)
        return Variable(made.axis, made.tables, made.loss)
    tables = [np.asarray(leaf, dtype=np.float64) for leaf in leaves]
    symbols = max(len(table) for table in tables)
    padded = np.stack([np.pad(table, (0, symbols - len(table))) for table in tables])
    return Variable(Axis(name, column, "integers", count=symbols, outside="refuse"), padded)


def class_variable(
    column: int, labels: Sequence[str | int | float], tables: FloatArray, name: str = "class"
) -> Variable:
    """Give the variable of a classifier's labels: tables are P(label | component), (components, labels)."""
    return Variable(Axis(name, column, "states", states=tuple(labels)), tables)


def mixture_draft(
    name: str, log_weights: FloatArray, variables: Sequence[Variable], notes: tuple[str, ...] = ()
) -> Draft:
    """Give a mixture of products of leaves: an input layer a variable, products, one sum.

    Leaves of a variable that are alike become one. Of a mixture of a few components over values that are ordered, each
    component is a layer of its own: in integers it then has an exponent of its own, and one that is far behind after
    some variables can still win by the others, as it does in a score.

    Args:
        name: what messages call the model.
        log_weights: of the components, (components,).
        variables: each with a table for each component.
        notes: for whoever imports.

    Raises:
        FormatError: the tables are too large.
    """
    if sum(variable.tables.size for variable in variables) > MAX_TABLE:
        raise FormatError("import-size", f"all leaf tables together must hold {MAX_TABLE} numbers at most")
    layers: list[Layer] = []
    layers_names: list[str] = []
    gathers: list[IntArray] = []
    for place, variable in enumerate(variables):
        rows, units = alike(variable.tables)
        layers.append(InputLayer(place, logarithms(rows)))
        layers_names.append(f"{name}: {variable.axis.name}")
        gathers.append(units)
    components = len(log_weights)
    products = 1
    if len(variables) > 1:
        children, units = tuple(range(len(variables))), np.stack(gathers, axis=1)
        apart = components <= APART and any(variable.axis.kind != "states" for variable in variables)
        for part in np.split(units, components) if apart else [units]:
            layers.append(ProductLayer(children, part))
            layers_names.append(f"{name}: components")
        products = len(layers) - len(variables)
    if components > 1 or len(variables) == 1 < len(layers[0].probabilities):  # type: ignore[union-attr]
        weights = np.asarray(log_weights, dtype=np.float64)[None, :]
        if len(variables) == 1:  # leaves that are one have their weights together
            merged = np.full(len(rows), -np.inf)
            np.logaddexp.at(merged, gathers[0], weights[0])
            weights = merged[None, :]
        layers.append(SumLayer(tuple(range(len(layers) - products, len(layers))), weights))
        layers_names.append(f"{name}: mixture")
    return Draft(tuple(layers), tuple(layers_names), notes, *described(variables))


def described(variables: Sequence[Variable]) -> tuple[tuple[str, ...], ValueGrid, tuple[float, ...]]:
    """Give the names, the grid and the losses of variables, as a draft has them."""
    axes = [variable.axis for variable in variables]
    return tuple(axis.name for axis in axes), ValueGrid(tuple(axes)), tuple(variable.loss for variable in variables)


def alike(tables: FloatArray) -> tuple[FloatArray, IntArray]:
    """Give the different rows of a table in their order, and which of them each row is."""
    _, first, inverse = np.unique(tables, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return tables[first[order]], rank[inverse.ravel()]


def scaled(draft: Draft, offset: FloatArray, scale: FloatArray, what: str) -> Draft:
    """Give a draft over z = (x - offset) / scale as one over x: the edges of its bins are told in x.

    Raises:
        FormatError: a variable of the data is over integers or states.
    """
    assert draft.grid is not None
    axes = []
    for axis in draft.grid.axes:
        if axis.column < len(scale):
            if axis.kind != "bins":
                raise FormatError(
                    RULE,
                    f"{what} is before a model whose {axis.name!r} is over whole numbers; fit the model without it",
                )
            edges = np.asarray(axis.edges) * scale[axis.column] + offset[axis.column]
            axis = replace(axis, edges=tuple(edges.tolist()))
        axes.append(axis)
    return replace(draft, grid=ValueGrid(tuple(axes)))
