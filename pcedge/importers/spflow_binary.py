"""SPFlow's binary form as the SPN compiler reads it: Cap'n Proto, by the schema `spflow.capnp` beside this module."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from pcedge.errors import FormatError
from pcedge.extras import needing
from pcedge.importers.graph import Leaf, Product, Sum, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow import categorical_table, histogram_table, log_weights
from pcedge.limits import MemoryBudget

RULE = "bin-message"
#: as SPFlow names them in its text form
_PREFIX = {
    "product": "ProductNode", "sum": "SumNode", "hist": "HistogramNode", "categorical": "CategoricalNode",
    "gaussian": "GaussianNode",
}  # fmt: skip


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read a `.bin` file: a model, or a query with a model in it.

    Raises:
        FormatError: the message is damaged, or a unit breaks the format; the message has the unit.
        CircuitError: a rule of circuits is broken; the message has the unit.
        MissingToolError: pycapnp is not installed.
    """
    schema, failure = _schema()
    try:
        # A message may point at one place many times. All is visited once or twice: with a limit of four times the
        # file's size, in words of 8 bytes, no list is read again and again.
        with schema.Header.from_bytes(data, traversal_limit_in_words=len(data) // 2 + 1024) as header:
            model = header.model if header.which() == "model" else header.query.joint.model
            count, root = int(model.numFeatures), int(model.rootNode)
            units = _units(model.nodes, count, where, budget)
    except (failure, ValueError, MemoryError, OverflowError) as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FormatError(RULE, f"{where} must be a Cap'n Proto message of spflow.capnp ({text})") from error
    if root not in units:
        raise FormatError("import-undefined", f"{where} must name its root among its units, {root} is none")
    return layers_of(units, root, count, budget)


def _check_points(points: list[float], breaks: list[int], at: str) -> None:
    """Refuse a histogram over real values, whose breaks this format cuts to integers: its bins' middles still tell."""
    for index, (point, low, high) in enumerate(zip(points, breaks, breaks[1:], strict=False)):
        if not (low <= point < high and point == math.floor(point)):
            raise FormatError(
                "import-leaf",
                f"{at}: the breaks of a histogram must be integers, those of bin {index} are not: {point!r} stands for "
                f"what the file calls {low}..{high}; a histogram over real values has to be turned into one over "
                "integer symbols first",
            )


@cache
def _schema() -> tuple[Any, type[Exception]]:
    with needing("capnp", "capnp", "reading Cap'n Proto circuits (.bin)"):
        import capnp
    # pycapnp hooks into import for .capnp files; nothing here needs that.
    capnp.remove_import_hook()
    with as_file(files("pcedge.importers").joinpath("spflow.capnp")) as path:
        return capnp.load(str(path)), capnp.KjException


def _units(nodes: Any, count: int, where: str, budget: MemoryBudget) -> dict[Hashable, Unit]:
    units: dict[Hashable, Unit] = {}
    if not 0 < count <= len(nodes):
        raise FormatError(RULE, f"{where} must have 1 feature or more and a unit for each, got {count}")
    for node in nodes:
        kind, key = str(node.which()), int(node.id)
        name = f"{_PREFIX.get(kind, kind)}_{key}"
        at = f"{where}, {name}"
        if key in units:
            raise FormatError("import-duplicate", f"{at}: the id {key} must be given once")
        if kind == "product":
            units[key] = Product(name, tuple(int(child) for child in node.product.children))
            continue
        if kind == "sum":
            children, weights = list(node.sum.children), list(node.sum.weights)
            if len(children) != len(weights):
                raise FormatError(
                    "import-weight", f"{at} must have one weight a child, {len(children)}, got {len(weights)}"
                )
            units[key] = Sum(name, tuple(int(child) for child in children), log_weights(weights, at))
            continue
        if kind == "hist":
            leaf = node.hist
            breaks = list(leaf.breaks)
            _check_points(list(leaf.binReprPoints), breaks, at)
            table = histogram_table(breaks, list(leaf.densities), at, budget)
        elif kind == "categorical":
            leaf = node.categorical
            table = categorical_table(list(leaf.probabilities), at)
        else:
            raise FormatError(
                "import-leaf",
                f"{at}: the type must be product, sum, hist or categorical, got {kind}; a leaf of another type has to "
                "be turned into a histogram over integer symbols first",
            )
        if not 0 <= leaf.scope < count:
            raise FormatError(RULE, f"{at}: the variable must be in 0..{count - 1}, got {leaf.scope}")
        units[key] = Leaf(name, int(leaf.scope), table)
    return units
