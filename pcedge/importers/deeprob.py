"""Circuits of deeprob-kit: its JSON files (`save_spn_json`, `save_binary_clt_json`), and its nodes as live objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.importers.collecting import Collected
from pcedge.importers.gridding import Gridding
from pcedge.importers.kinds import seems, seems_json
from pcedge.importers.normalise import Draft, normalise
from pcedge.importers.spflow_leaves import Content, categorical_table, chances, density, histogram, log_weights
from pcedge.importers.text import decode
from pcedge.limits import MemoryBudget

RULE = "deeprob-nodes"
#: what a number of a file must stay below, so that logarithms and integers of it are exact enough
_MOST = 1e300


@dataclass(frozen=True, eq=False)
class _Node:
    """Hold a node: its class, the variables it is over, its weights or parameters, the numbers of its children."""

    kind: str
    scope: tuple[int, ...]
    children: tuple[int, ...]
    weights: Sequence[float] = ()
    parameters: Mapping[str, Any] | None = None


def read(data: bytes, where: str, budget: MemoryBudget, gridding: Gridding | None = None) -> Draft:
    """Read a JSON file of deeprob-kit: a circuit, or a binary Chow-Liu tree.

    Variables are in the order of their numbers, which are those of the data's columns.

    Raises:
        FormatError: the file is no JSON, or another tool's, or breaks the format.
        CircuitError: a rule of circuits is broken; the message has the node.
    """
    try:
        value = json.loads(decode(data, where))
    except (ValueError, RecursionError) as error:
        raise FormatError(
            RULE, f"{where} must be JSON of deeprob-kit, it seems to be {seems(data)} ({error})"
        ) from error
    graph = value if isinstance(value, dict) else {}
    nodes, edges = (_entries(part) for part in (graph.get("nodes"), graph.get("edges", graph.get("links"))))
    if not nodes or edges is None:
        raise FormatError(RULE, f"{where} must be JSON of deeprob-kit, it seems to be {seems_json(value)}")
    if all("class" in node for node in nodes):
        found, root = _nodes(nodes, edges, where), 0
    elif all({"scope", "weight", "id"} <= set(node) for node in nodes):
        found, root = {0: _tree_of(nodes, edges, where)}, 0
    else:
        raise FormatError(RULE, f"{where} must be JSON of deeprob-kit, it seems to be {seems_json(value)}")
    collected = Collected(where)
    made = _collect(collected, found, root, where)
    return collected.draft(made, gridding, budget)


def _entries(value: Any) -> list[dict[str, Any]] | None:
    """Give a list of objects, None for anything else."""
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else None


def from_deeprob(root: Any, gridding: Gridding | None = None) -> Circuit:
    """Make a circuit of a node of deeprob-kit and all below it.

    Args:
        root: a Sum, Product or leaf.
        gridding: how real values become symbols; None takes 64 symbols by the leaves' quantiles.

    Raises:
        UsageError: it is none, as the torch models of deeprob-kit are.
        FormatError, CircuitError: as reading its JSON.

    Example:
        >>> circuit = from_deeprob(deeprob.spn.learning.learn_spn(…))  # doctest: +SKIP
    """
    numbers: dict[int, int] = {}
    found: dict[int, _Node] = {}
    order, stack = [], [root]
    while stack:
        node = stack.pop()
        if id(node) in numbers:
            continue
        if type(node).__module__.split(".")[0] != "deeprob" or not hasattr(node, "scope"):
            raise UsageError(
                f"a circuit of deeprob-kit must be of nodes, Sum, Product and leaves, got {type(node).__name__}"
            )
        numbers[id(node)] = len(numbers)
        order.append(node)
        stack.extend(getattr(node, "children", ()))
    for number, node in enumerate(order):
        kind = type(node).__name__
        leaf = hasattr(node, "params_dict")
        parameters = {key: _listed(entry) for key, entry in node.params_dict().items()} if leaf else None
        if kind == "BinaryCLT" and parameters is not None:
            parameters = {"tree": _listed(node.tree), "params": _listed(node.params)}
        weights = _listed(node.weights) if kind == "Sum" else ()
        children = tuple(numbers[id(child)] for child in getattr(node, "children", ()))
        found[number] = _Node(kind, tuple(int(column) for column in node.scope), children, weights, parameters)
    collected = Collected("the circuit of deeprob-kit")
    return normalise(collected.draft(_collect(collected, found, 0, "deeprob-kit"), gridding))


def _listed(value: Any) -> Any:
    """Give arrays as lists, everything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


# The file's graph


def _nodes(nodes: list[dict[str, Any]], edges: list[dict[str, Any]], where: str) -> dict[int, _Node]:
    children: dict[int, dict[int, int]] = {}
    for edge in edges:
        source, target, place = (
            _integer(edge.get(key), f"{where}, an edge's {key}") for key in ("source", "target", "idx")
        )
        if children.setdefault(target, {}).setdefault(place, source) != source:
            raise FormatError("import-duplicate", f"{where}: child {place} of node {target} must be given once")
    found: dict[int, _Node] = {}
    for entry in nodes:
        number = _integer(entry.get("id"), f"{where}, a node's id")
        at = f"{where}, node {number}"
        below = children.get(number, {})
        if number in found:
            raise FormatError("import-duplicate", f"{at} must be given once")
        if set(below) != set(range(len(below))):
            raise FormatError(RULE, f"{at}: its children must be numbered 0..{len(below) - 1}, got {sorted(below)[:8]}")
        scope = entry.get("scope")
        if not isinstance(scope, list):
            raise FormatError(RULE, f"{at}: the scope must be a list, got {str(scope)[:40]}")
        parameters = entry.get("params")
        found[number] = _Node(
            str(entry["class"])[:40],
            tuple(_integer(column, f"{at}, its scope") for column in scope),
            tuple(below[place] for place in range(len(below))),
            _floats(entry["weights"], f"{at}, its weights") if "weights" in entry else (),
            parameters if isinstance(parameters, dict) else None,
        )
    if 0 not in found:
        raise FormatError("import-undefined", f"{where} must hold node 0, the root")
    return found


def _tree_of(nodes: list[dict[str, Any]], edges: list[dict[str, Any]], where: str) -> _Node:
    """Make one leaf of the file of a Chow-Liu tree."""
    place = {_integer(node["id"], f"{where}, a node's id"): index for index, node in enumerate(nodes)}
    tree = [-1] * len(nodes)
    for edge in edges:
        source, target = (_integer(edge.get(key), f"{where}, an edge's {key}") for key in ("source", "target"))
        if source not in place or target not in place or tree[place[target]] != -1:
            raise FormatError(RULE, f"{where} must be a tree, the edge from {source} to {target} is none of one")
        tree[place[target]] = place[source]
    scope = tuple(_integer(node["scope"], f"{where}, a node's scope") for node in nodes)
    return _Node("BinaryCLT", scope, (), (), {"tree": tree, "params": [node["weight"] for node in nodes]})


def _integer(value: Any, at: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise FormatError("import-number", f"{at} must be an integer of at least 0, got {str(value)[:40]!r}")
    return value


def _floats(value: Any, at: str, count: int | None = None) -> list[float]:
    if not isinstance(value, list) or not all(type(entry) in (int, float) and abs(entry) < _MOST for entry in value):
        raise FormatError("import-number", f"{at} must be a list of finite numbers, got {str(value)[:60]}")
    if count is not None and len(value) != count:
        raise FormatError(RULE, f"{at} must be {count} numbers, got {len(value)}")
    return [float(entry) for entry in value]


# Units


def _collect(collected: Collected, nodes: dict[int, _Node], root: int, where: str) -> int:
    """Collect what the root reaches, children first; an explicit stack, for circuits nest without limit."""
    made: dict[int, int] = {}
    opened: set[int] = set()
    stack = [root]
    while stack:
        number = stack[-1]
        at = f"{where}, node {number}"
        if number in made:
            stack.pop()
            continue
        node = nodes.get(number)
        if node is None:
            raise FormatError("import-undefined", f"{where} must define all nodes that it names, {number} is not")
        waiting = [child for child in node.children if child not in made]
        if waiting:
            if number in opened:
                raise FormatError("import-cycle", f"{at} must not be above itself")
            opened.add(number)
            stack.extend(reversed(waiting))
            continue
        made[number] = _unit(collected, node, f"{node.kind} {number}", at, [made[child] for child in node.children])
        stack.pop()
    return made[root]


def _unit(collected: Collected, node: _Node, name: str, at: str, children: list[int]) -> int:
    if node.kind in ("Sum", "Product"):
        if not children:
            raise CircuitError(f"{name} must have at least one child, it has none")
        if node.kind == "Product":
            return collected.product(name, children)
        if len(node.weights) != len(children):
            raise FormatError(
                "import-weight", f"{at} must have one weight a child, {len(children)}, got {len(node.weights)}"
            )
        return collected.sum(name, children, log_weights(node.weights, at))
    if children:
        raise FormatError(RULE, f"{at}: a {node.kind} must have no children, it has {len(children)}")
    parameters = node.parameters or {}
    if node.kind == "BinaryCLT":
        return _tree(collected, node.scope, parameters, name, at)
    if node.kind not in _LEAVES:
        raise FormatError(
            "import-leaf", f"{at}: the class must be Sum, Product, BinaryCLT, {', '.join(_LEAVES)}, got {node.kind}"
        )
    if len(node.scope) != 1:
        raise FormatError(RULE, f"{at}: a {node.kind} must be over one variable, got {len(node.scope)}")
    return collected.leaf(name, node.scope[0], _content(node.kind, parameters, at))


#: the parameters of leaves, as deeprob-kit names them
_LEAVES = {
    "Bernoulli": ("p",), "Categorical": ("categories", "probabilities"), "Isotonic": ("densities", "breaks"),
    "Uniform": ("start", "width"), "Gaussian": ("mean", "stddev"),
}  # fmt: skip


def _content(kind: str, parameters: Mapping[str, Any], at: str) -> Content:
    names = _LEAVES[kind]
    if not set(names) <= set(parameters):
        raise FormatError(
            "import-leaf", f"{at}: a {kind} must have {', '.join(names)}, got {', '.join(parameters)[:60]}"
        )
    if kind in ("Categorical", "Isotonic"):
        first, second = (_floats(parameters[name], f"{at}, its {name}") for name in names)
        if kind == "Categorical":
            if len(first) != len(second):
                raise FormatError(
                    "import-leaf", f"{at}: {len(first)} categories need as many probabilities, got {len(second)}"
                )
            return chances(zip(first, second, strict=True), at)
        histogram(second, first, (), at)  # its densities are the bins' masses
        with np.errstate(over="ignore"):
            heights = (np.array(first) / np.diff(second)).tolist()
        return replace(histogram(second, heights, (), at), real=True)
    values = _floats([parameters[name] for name in names], f"{at}, its {', '.join(names)}")
    if kind == "Bernoulli":
        return categorical_table([1 - values[0], values[0]], at)
    if kind == "Gaussian":
        return density("gaussian", values, at)
    return density("uniform", (values[0], values[0] + values[1]), at)


def _without_infinity(part: Any) -> Any:
    """Put a number whose exponential is 0 for the logarithm of 0, which JSON writes as -Infinity."""
    if not isinstance(part, list):
        return part
    return [-1e5 if isinstance(entry, float) and entry == -np.inf else entry for entry in part]


def _tree(collected: Collected, scope: tuple[int, ...], parameters: Mapping[str, Any], name: str, at: str) -> int:
    """Read a binary Chow-Liu tree: params[i, l, k] is log P(variable i is k | its parent is l)."""
    count = len(scope)
    tree = parameters.get("tree")
    rows = parameters.get("params")
    if not isinstance(tree, list) or not isinstance(rows, list) or not len(tree) == len(rows) == count:
        raise FormatError(RULE, f"{at}: a BinaryCLT must have a tree and params of its {count} variables")
    if not all(type(parent) is int and -1 <= parent < count for parent in tree) or tree.count(-1) != 1:
        raise FormatError(RULE, f"{at}: the tree must name a parent for all variables but one, got {str(tree)[:60]}")
    logs = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 2:
            raise FormatError(RULE, f"{at}: params must be (variables, 2, 2), got a row {str(row)[:60]}")
        logs.append([_floats(_without_infinity(part), f"{at}, its params", 2) for part in row])
    below: list[list[int]] = [[] for _ in range(count)]
    for node, parent in enumerate(tree):
        if parent >= 0:
            below[parent].append(node)
    order = [tree.index(-1)]
    for node in order:
        order.extend(below[node])
    if len(order) != count:
        raise FormatError("import-cycle", f"{at}: the tree must reach all its variables from its root")
    units: dict[int, list[int]] = {}
    for node in reversed(order):
        own = f"{name} at variable {scope[node]}"
        states = [
            collected.product(
                own,
                [collected.leaf(own, scope[node], np.eye(2)[state]), *(units[child][state] for child in below[node])],
            )
            for state in range(2)
        ]
        units[node] = [collected.sum(own, states, logs[node][given]) for given in range(2)]
    return units[order[0]][0]
