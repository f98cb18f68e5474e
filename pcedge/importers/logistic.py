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
    nodes = _Nodes(budget)
    done = False
    for line, content in enumerate(decode(data, where).split("\n"), 1):
        words, at = content.split(), f"{where}, line {line}"
        if not words or words[0].startswith("c") or content.strip() in ("Logistic Circuit", "Logisitic Circuit"):
            continue
        if words[0] not in ("T", "F", "D", "B") or done:
            raise FormatError(
                RULE,
                f"{at}: 'T id vtree variable {{weight}}', F, 'D id vtree count {{(prime sub {{weight}})}}' or, at the "
                f"end, 'B {{weight}}' must stand here, got {content[:60]!r}",
            )
        budget.take(_LINE_BYTES * max(1, nodes.classes))
        if words[0] == "B":
            nodes.bias(words[1:], at)
            done = True
            continue
        node = integer(words[1], at) if len(words) > 1 else -1
        if node in nodes.terms:
            raise FormatError("import-duplicate", f"{at}: node {node} must be defined once")
        name = f"node {node} (line {line})"
        if words[0] == "D":
            nodes.decision(node, content, name, at)
        else:
            nodes.literal(node, words, name, at)
    if not done:
        raise FormatError(RULE, f"{where} must end with the bias, 'B {{weight}}': a truncated file")
    return _joint(nodes, where)


class _Nodes:
    """Collect nodes: of each class a unit, and the weight that a literal adds wherever it is used."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.units: dict[Hashable, Unit] = {}
        #: by node and class, the unit's key and the weight to be added
        self.terms: dict[int, list[tuple[Hashable, float]]] = {}
        self.classes = 0
        self.last_variable = 0

    def weights(self, words: list[str], at: str) -> tuple[float, ...]:
        """Read the weights of all classes; the first line with some tells how many these are."""
        weights = tuple(number(word, at) for word in words)
        self.classes = self.classes or len(weights)
        if not weights or len(weights) != self.classes or len(weights) > MAX_SYMBOLS:
            raise FormatError(
                RULE, f"{at}: every line must have a weight a class, {self.classes or 'at least 1'}, got {len(weights)}"
            )
        return weights

    def literal(self, node: int, words: list[str], name: str, at: str) -> None:
        """Add a literal."""
        weights = self.weights(words[4:], at)
        variable = check_variable(integer(words[3], at), at, RULE)
        self.last_variable = max(self.last_variable, variable)
        self.units["literal", node] = Leaf(name, variable, one_hot(int(words[0] == "T"), 2, self.budget))
        self.terms[node] = [(("literal", node), weight) for weight in weights]

    def decision(self, node: int, content: str, name: str, at: str) -> None:
        """Add a decision node, a sum a class over products of a prime and a sub."""
        head = content.partition("(")[0].split()
        elements = [found.split() for found in _ELEMENT.findall(content)]
        if len(head) != 4 or integer(head[3], at) != len(elements) or not elements:
            raise FormatError(
                RULE,
                f"{at}: node {node} must have as many elements (prime sub {{weight}}) as it says, got {len(elements)}",
            )
        rows: list[tuple[int, int, tuple[float, ...]]] = []
        for words in elements:
            pair = [integer(word, at) for word in words[:2]]
            if len(pair) != 2 or not set(pair) <= self.terms.keys():
                raise FormatError(
                    "import-undefined", f"{at}: prime and sub must stand above their node, {' '.join(words[:2])} do not"
                )
            rows.append((pair[0], pair[1], self.weights(words[2:], at)))
        self.budget.take(_LINE_BYTES * self.classes * len(rows))
        for place in range(self.classes):
            keys: list[Hashable] = []
            logs = []
            for prime, sub, weights in rows:
                (first, more), (second, still_more) = self.terms[prime][place], self.terms[sub][place]
                keys.append((first, second))
                logs.append(weights[place] + more + still_more)
                self.units.setdefault((first, second), Product(f"({prime} {sub}) of {name}", (first, second)))
            self.units[node, place] = Sum(name, tuple(keys), tuple(logs))
        self.terms[node] = [((node, place), 0.0) for place in range(self.classes)]

    def bias(self, words: list[str], at: str) -> None:
        """Add the root: over the classes, or over the last node alone where there is one class."""
        if not self.terms:
            raise FormatError(RULE, f"{at}: the bias must stand below the nodes, there is none")
        weights = self.weights(words, at)
        root = self.terms[next(reversed(self.terms))]
        logs = tuple(weight + more for weight, (_, more) in zip(weights, root, strict=True))
        if self.classes == 1:
            self.units["bias"] = Sum("the bias", (root[0][0],), logs)
            return
        label = self.last_variable + 1
        for place, (key, _) in enumerate(root):
            self.units["label", place] = Leaf(f"class {place}", label, one_hot(place, self.classes, self.budget))
            self.units["class", place] = Product(f"class {place}", (key, ("label", place)))
        self.units["bias"] = Sum("the bias", tuple(("class", place) for place in range(self.classes)), logs)


def _joint(nodes: _Nodes, where: str) -> Draft:
    """Layer the joint of variables and class, if it is one."""
    axes = {}
    if nodes.classes > 1:
        states = tuple(range(nodes.classes))
        axes[nodes.last_variable + 1] = Axis("class", nodes.last_variable, "states", states=states)
    draft = numbered_layers(nodes.units, "bias", nodes.budget, axes)
    total = normalise(draft).log_constant
    if not abs(total) < _OFF:
        raise FormatError(
            NO_DENSITY,
            f"{where} must hold a density: the exponentials of its scores, over all records and classes, must add up "
            f"to 1, they add up to {math.exp(min(total, 700)):.6g}. A logistic circuit is a classifier, P(class | x), "
            "and says nothing of how probable x is: train a circuit on the data, or import the PSDD it was made of",
        )
    return draft
