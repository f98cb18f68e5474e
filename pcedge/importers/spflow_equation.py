"""SPFlow's equation form of a circuit, as spn_to_str_equation writes it and str_to_spn reads it."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field

from pcedge.errors import FormatError
from pcedge.importers.graph import Product, Sum
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow_leaves import LEAVES, RULE, Content, RawLeaf, draft_of, log_weights, read_leaf
from pcedge.importers.spflow_names import LEAF, names_of, variables_of
from pcedge.importers.text import number
from pcedge.limits import MemoryBudget

_START = re.compile(r"\s*(?:\(|[A-Za-z]\w*\()")
_SPACE = re.compile(r"\s+")
_WEIGHT = re.compile(r"([^\s*()|+]+)\s*\*")
_TYPE = re.compile(r"([A-Za-z]\w*)\(")


def is_equation(text: str) -> bool:
    """Tell whether a text starts as an equation does: with a parenthesis, or a leaf without a name."""
    return _START.match(text) is not None


@dataclass(eq=False)
class _Term:
    weight: float | None = None
    factors: list[Hashable] = field(default_factory=list)


@dataclass(eq=False)
class _Open:
    """Hold what stands within a parenthesis that is not closed yet."""

    line: int
    terms: list[_Term] = field(default_factory=lambda: [_Term()])


class _Reader:
    """Read an equation with a stack of open parentheses, for files nest without limit."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.units: dict[Hashable, Product | Sum] = {}
        #: leaves: their variable's name, what they are
        self.leaves: dict[Hashable, tuple[str, str, Content]] = {}
        self.stack = [_Open(1)]
        self.line = 1
        self.comment = ""

    def at(self, what: str) -> str:
        return f"{self.where}, line {self.line}: {what}"

    def read(self) -> Hashable:
        """Give the root's key."""
        position, wanted = 0, True  # whether a leaf, a weight or a parenthesis must come
        while position < len(self.text):
            start = position
            if space := _SPACE.match(self.text, position):
                position = space.end()
            elif self.text[position] == "#":
                end = self.text.find("\n", position)
                position = len(self.text) if end < 0 else end
                self.comment = self.text[start + 1 : position]
            elif wanted:
                position, wanted = self._operand(position)
            else:
                position, wanted = self._operator(position)
            self.line += self.text.count("\n", start, position)
        if len(self.stack) > 1:
            raise FormatError(
                RULE, f"{self.where} must close every parenthesis, {len(self.stack) - 1} are open at its end: a "
                "truncated file"
            )  # fmt: skip
        if wanted:
            raise FormatError(RULE, f"{self.where} must end with a unit: a truncated file")
        return self._closed()

    def _operand(self, position: int) -> tuple[int, bool]:
        term = self.stack[-1].terms[-1]
        if self.text[position] == "(":
            self.stack.append(_Open(self.line))
            return position + 1, True
        kind = _TYPE.match(self.text, position)
        if kind:
            leaf = LEAF.match(self.text, kind.end())
            key = f"{kind[1]}_{len(self.units) + len(self.leaves)}"
            at = self.at(key)
            if not leaf:
                if kind[1] not in LEAVES:
                    read_leaf(kind[1], "", at)
                raise FormatError(RULE, f"{at}: '{kind[1]}(variable|…)' must stand here, got {self._got(position)}")
            self.leaves[key] = (at, leaf[1].strip(), read_leaf(kind[1], leaf[2], at))
            term.factors.append(key)
            return leaf.end(), False
        weight = _WEIGHT.match(self.text, position)
        if weight and term.weight is None and not term.factors:
            term.weight = number(weight[1], self.at("a weight"))
            return weight.end(), True
        raise FormatError(RULE, self.at(f"a weight, a leaf or '(' must stand here, got {self._got(position)}"))

    def _operator(self, position: int) -> tuple[int, bool]:
        sign = self.text[position]
        if sign == "*":
            return position + 1, True
        if sign == "+":
            self.stack[-1].terms.append(_Term())
            return position + 1, True
        if sign == ")" and len(self.stack) > 1:
            key = self._closed()
            self.stack.pop()
            self.stack[-1].terms[-1].factors.append(key)
            return position + 1, False
        raise FormatError(RULE, self.at(f"'*', '+' or ')' must stand here, got {self._got(position)}"))

    def _closed(self) -> Hashable:
        """Make the unit of what stands in the innermost parenthesis."""
        terms = self.stack[-1].terms
        children = []
        for term in terms:
            if len(term.factors) == 1:
                children.append(term.factors[0])
            else:
                key = f"ProductNode_{len(self.units) + len(self.leaves)}"
                self.units[key] = Product(f"{key} (line {self.line})", tuple(term.factors))
                children.append(key)
        weights = [term.weight for term in terms]
        if weights == [None]:
            return children[0]
        key = f"SumNode_{len(self.units) + len(self.leaves)}"
        given = [weight for weight in weights if weight is not None]
        if len(given) < len(weights):
            raise FormatError(RULE, self.at("every term of a sum must have a weight, 'weight*(…)', one has none"))
        self.units[key] = Sum(f"{key} (line {self.line})", tuple(children), log_weights(given, self.at(key)))
        return key

    def _got(self, position: int) -> str:
        return repr(self.text[position : position + 40].splitlines()[0])


def read(text: str, where: str, budget: MemoryBudget, gridding: Gridding) -> Draft:
    """Read an equation: leaves `Type(variable|…)`, products `(a * b)`, sums `(weight*(a) + weight*(b))`.

    A last line that starts with `#` may name the variables, as in the other form.

    Raises:
        FormatError: the text breaks the format; the message has the line.
        CircuitError: a rule of circuits is broken; the message has the unit.
    """
    reader = _Reader(text, where)
    root = reader.read()
    variables = variables_of((variable for _, variable, _ in reader.leaves.values()), names_of(reader.comment, where))
    units: dict[Hashable, RawLeaf | Product | Sum] = dict(reader.units)
    for key, (at, variable, content) in reader.leaves.items():
        units[key] = RawLeaf(str(key), variables.place(variable, at), content)
    return draft_of(units, root, variables, gridding, budget)
