"""SPFlow's binary form as the SPN compiler reads it: Cap'n Proto, by the schema `spflow.capnp` beside this module."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from pcedge.errors import FormatError
from pcedge.extras import needing
from pcedge.importers.collecting import by_columns
from pcedge.importers.graph import Product, Sum
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow_leaves import (
    Content,
    Histogram,
    RawLeaf,
    categorical_table,
    density,
    histogram,
    log_weights,
)  # fmt: skip
from pcedge.limits import MemoryBudget

RULE = "bin-message"
#: as SPFlow names them in its text form
_PREFIX = {
    "product": "ProductNode", "sum": "SumNode", "hist": "HistogramNode", "categorical": "CategoricalNode",
    "gaussian": "GaussianNode",
}  # fmt: skip

#: the schema's numbers of types over real values: real, interval, positive; of the one such meta type, real
_REAL_TYPES, _REAL_META = (0, 1, 2), 0


def read(data: bytes, where: str, budget: MemoryBudget, gridding: Gridding | None = None) -> Draft:
    """Read a `.bin` file: a model, or a query with a model in it.

    Variables are in the order of their numbers, which are those of the data's columns, whatever numbers these are.

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
            units = _units(model.nodes, where)
    except (failure, ValueError, MemoryError, OverflowError) as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FormatError(RULE, f"{where} must be a Cap'n Proto message of spflow.capnp ({text})") from error
    if root not in units:
        raise FormatError("import-undefined", f"{where} must name its root among its units, {root} is none")
    columns = sorted({unit.variable for unit in units.values() if isinstance(unit, RawLeaf)})
    if not 0 < len(columns) == count:
        raise FormatError(
            RULE, f"{where} must have as many features as it says, {count}, its leaves are of {len(columns)}: "
            f"{', '.join(map(str, columns[:8]))}{', …' if len(columns) > 8 else ''}"
        )  # fmt: skip
    return by_columns(units, root, gridding, budget)


def _histogram(leaf: Any, at: str) -> Histogram:
    """Read a histogram; of one over real values the format cuts the breaks to integers, its bins' middles still tell.

    A file that does not say a type reads as one that says "real": only with points does that count.
    """
    breaks, densities, points = list(leaf.breaks), list(leaf.densities), list(leaf.binReprPoints)
    said = bool(points) and (leaf.metaType.raw == _REAL_META or leaf.type.raw in _REAL_TYPES)
    if not said and all(point == math.floor(point) for point in points if math.isfinite(point)):
        return histogram(breaks, densities, points, at)
    if len(points) != len(breaks) - 1 or not all(map(math.isfinite, points)):
        raise FormatError("import-leaf", f"{at}: a histogram over real values must have a point for every bin")
    return replace(histogram(_whole_breaks(points, breaks, at), densities, points, at), real=True)


def _whole_breaks(points: list[float], breaks: list[int], at: str) -> list[float]:
    """Find the breaks before they were cut: they are integers, or those of bins of one width around their middles."""
    if all(
        point in (low, (low + high) // 2, (low + high) / 2)
        for point, low, high in zip(points, breaks, breaks[1:], strict=False)
    ):
        return [float(value) for value in breaks]
    if len(points) > 1:
        width = (points[-1] - points[0]) / (len(points) - 1)
        made = [points[0] + (place - 0.5) * width for place in range(len(breaks))]
        near = 1e-9 * max(map(abs, (*made, width)))
        even = all(abs((a + b) / 2 - point) <= near for a, b, point in zip(made, made[1:], points, strict=False))
        if (
            even
            and width > 0
            and all(
                math.trunc(value - near) <= cut <= math.trunc(value + near)
                for value, cut in zip(made, breaks, strict=True)
            )
        ):
            return made
    raise FormatError(
        "import-leaf",
        f"{at}: the breaks of a histogram over real values must be those of bins of one width, for this format cuts "
        f"them to integers, {breaks[:8]}, beside the middles {points[:8]}; write the circuit as text, with "
        "spn_to_str_ref_graph",
    )


@cache
def _schema() -> tuple[Any, type[Exception]]:
    with needing("capnp", "capnp", "reading Cap'n Proto circuits (.bin)"):
        import capnp
    # pycapnp hooks into import for .capnp files; nothing here needs that.
    capnp.remove_import_hook()
    with as_file(files("pcedge.importers").joinpath("spflow.capnp")) as path:
        return capnp.load(str(path)), capnp.KjException


def _units(nodes: Any, where: str) -> dict[Hashable, RawLeaf | Product | Sum]:
    units: dict[Hashable, RawLeaf | Product | Sum] = {}
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
        content: Content
        if kind == "hist":
            leaf = node.hist
            content = _histogram(leaf, at)
        elif kind == "categorical":
            leaf = node.categorical
            content = categorical_table(list(leaf.probabilities), at)
        else:
            leaf = node.gaussian
            content = density("gaussian", (float(leaf.mean), float(leaf.stddev)), at)
        if leaf.scope < 0:
            raise FormatError(RULE, f"{at}: the variable must be a number of at least 0, got {leaf.scope}")
        units[key] = RawLeaf(name, int(leaf.scope), content)
    return units
