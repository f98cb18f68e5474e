"""Logistic circuits, `.circuit`: read where their weights are those of a density, refused where they only classify."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable

from pcedge.data.value_grid import Axis
from pcedge.errors import FormatError
from pcedge.importers.graph import MAX_SYMBOLS, Leaf, Product, Sum, Unit
from pcedge.importers.juice import one_hot
from pcedge.importers.normalise import Draft, normalise
from pcedge.importers.numbering import check_variable, numbered_layers
from pcedge.importers.text import decode, integer, number
from pcedge.limits import MemoryBudget

RULE, NO_DENSITY = "circuit-line", "circuit-density"
#: nats that the total of a density may be off by, for weights are often written as float32
_OFF = 1e-4
_ELEMENT = re.compile(r"\(([^()]*)\)")
#: bytes of memory at most for each class of a line
_LINE_BYTES = 900


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read literals `T` and `F`, decisions `D`, and the bias `B`, which is the root, with a weight a class in each.

    A logistic circuit gives P(class | x), which says nothing of how probable x is. Its score of a class is a sum of
    weights along the one way through a deterministic circuit; where the exponentials of all scores, over all x and
    classes, add up to 1, they are a joint density of x and class. That is read, with a last variable `class` where
    there are several.

    Raises:
        FormatError: a line breaks the format, or the exponentials do not add up to 1: the circuit classifies only.
        CircuitError: the circuit is not smooth or not decomposable.
    """
    units: dict[Hashable, Unit] = {}
    known: set[int] = set()
    variables: set[int] = set()
    classes = 0
    last: int | None = None
    done = False
    for line, content in enumerate(decode(data, where).split("\n"), 1):
        words, at = content.split(), f"{where}, line {line}"
        if not words or words[0].startswith("c") or content.strip() in ("Logistic Circuit", "Logisitic Circuit"):
            continue
        if words[0] not in ("T", "F", "D", "B") or done:
            raise FormatError(
                RULE, f"{at}: 'T id vtree variable {{weight}}', F, 'D id vtree count {{(prime sub {{weight}})}}' or, at the "
                f"end, 'B {{weight}}' must stand here, got {content[:60]!r}"
            )  # fmt: skip
        budget.take(_LINE_BYTES * max(1, classes))
        if words[0] == "B":
            if last is None:
                raise FormatError(RULE, f"{at}: the bias must stand below the nodes, there is none")
            weights = _weights(words[1:], classes, at)
            units["bias"] = Sum("the bias", tuple(("class", c) for c in range(classes)), weights)
            done = True
            continue
        node = integer(words[1], at) if len(words) > 1 else -1
        if node in known:
            raise FormatError("import-duplicate", f"{at}: node {node} must be defined once")
        name = f"node {node} (line {line})"
        if words[0] == "D":
            classes = _decision(units, known, content, (node, classes, name, at), budget)
        else:
            weights = _weights(words[4:], classes, at)
            classes = len(weights)
            variable = check_variable(integer(words[3], at), at, RULE)
            variables.add(variable)
            literal = one_hot(int(words[0] == "T"), 2, budget)
            units["literal", node] = Leaf(name, variable, literal)
            for place, weight in enumerate(weights):
                units[node, place] = Sum(name, (("literal", node),), (weight,))
        known.add(node)
        last = node
    if not done:
        raise FormatError(RULE, f"{where} must end with the bias, 'B {{weight}}': a truncated file")
    return _joint(units, last, classes, max(variables), where, budget)


def _weights(words: list[str], classes: int, at: str) -> tuple[float, ...]:
    weights = tuple(number(word, at) for word in words)
    if not weights or (classes and len(weights) != classes) or len(weights) > MAX_SYMBOLS:
        raise FormatError(RULE, f"{at}: every line must have a weight a class, {classes or 'at least 1'}, got {len(weights)}")
    return weights


def _decision(
    units: dict[Hashable, Unit], known: set[int], content: str, where: tuple[int, int, str, str], budget: MemoryBudget
) -> int:
    """Add a decision node, a sum a class; give the number of classes."""
    node, classes, name, at = where
    head = content.partition("(")[0].split()
    elements = [found.split() for found in _ELEMENT.findall(content)]
    if len(head) != 4 or integer(head[3], at) != len(elements) or not elements:
        raise FormatError(RULE, f"{at}: node {node} must have as many elements '(prime sub {{weight}})' as it says, got {len(elements)}")
    pairs: list[tuple[int, int]] = []
    rows: list[tuple[float, ...]] = []
    for words in elements:
        pair = [integer(word, at) for word in words[:2]]
        if len(pair) != 2 or not set(pair) <= known:
            raise FormatError("import-undefined", f"{at}: prime and sub must stand above their node, {' '.join(words[:2])} do not")
        rows.append(_weights(words[2:], classes, at))
        classes = len(rows[0])
        pairs.append((pair[0], pair[1]))
    budget.take(_LINE_BYTES * classes * len(pairs))
    for place in range(classes):
        keys = [(prime, sub, place) for prime, sub in pairs]
        for (prime, sub), key in zip(pairs, keys, strict=True):
            units.setdefault(key, Product(f"({prime} {sub}) of {name}", ((prime, place), (sub, place))))
        units[node, place] = Sum(name, tuple(keys), tuple(row[place] for row in rows))
    return classes


def _joint(
    units: dict[Hashable, Unit], root: int | None, classes: int, last: int, where: str, budget: MemoryBudget
) -> Draft:
    """Layer the joint of variables and class, if it is one."""
    label = last + 1
    for place in range(classes):
        if classes == 1:
            units["class", place] = Sum("the root", ((root, place),), (0.0,))
            continue
        units["label", place] = Leaf(f"class {place}", label, one_hot(place, classes, budget))
        units["class", place] = Product(f"class {place}", ((root, place), ("label", place)))
    axes = {} if classes == 1 else {label: Axis("class", last, "states", states=tuple(range(classes)))}
    draft = numbered_layers(units, "bias", budget, axes)
    total = normalise(draft).log_constant
    if not abs(total) < _OFF:
        raise FormatError(
            NO_DENSITY,
            f"{where} must hold a density: the exponentials of its scores, over all records and classes, must add up to 1, "
            f"they add up to {math.exp(min(total, 700)):.6g}. A logistic circuit is a classifier, P(class | x), which says "
            "nothing of how probable x is: train a circuit on the data, or import the PSDD that it was made of",
        )
    return draft
