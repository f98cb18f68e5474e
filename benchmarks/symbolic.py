"""Integers that stand for all integers of a range: the code that computes with them is proved for all of them at once.

A `Number` is an expression of z3 with bounds. numpy arrays of objects hold them, so numpy code runs on them unchanged.
Where the code decides (a comparison, a bit length), a `Path` takes one case, and `explore` runs the code for each of
the cases: on a path every shift is by a known amount, and what z3 sees are sums, products and divisions by powers of 2.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import z3


class Refuted(AssertionError):
    """What was to be proved is false; the text names it and gives numbers for which it is."""


class _Impossible(Exception):
    """No number takes this path."""


@dataclass
class Outcome:
    """What came of one proof: `open` names the claims that the solver could not decide in time."""

    name: str
    seconds: float
    paths: int
    claims: int
    open: list[str]


class Path:
    """One way through the code: the choices taken, what is known on it, and what was proved.

    Attributes:
        lengths: bit lengths that are known, by the id of the expression.
        limits: the least and the greatest number that an operation may give; None where anything is allowed.
    """

    def __init__(self, choices: list[list[int]], proved: dict[tuple[int, ...], bool], seconds: float) -> None:
        """Take the given choices first, each an option and how many there are; a claim has so many seconds.

        `proved` says of claims, by the choices before them and their number, whether they were decided: paths that
        begin alike share them.
        """
        self._choices = choices
        self._proved = proved
        self._replayed = len(choices)
        self._taken = 0
        self._seconds = seconds
        self._known: list[z3.BoolRef] = []
        self._defined: list[z3.BoolRef] = []
        self._products: dict[tuple[int, int], z3.ArithRef] = {}
        self._parts: dict[tuple[int, int], tuple[Number, Number]] = {}
        self._names = 0
        self.lengths: dict[int, int] = {}
        self.limits: tuple[int, int] | None = None
        self._claimed = 0
        self.claims = 0
        self.open: list[str] = []

    def number(self, name: str, low: int, high: int) -> Number:
        """Make a number that may be any of low..high."""
        self._names += 1
        expression = z3.Int(f"{name}_{self._names}")
        self._known += [expression >= low, expression <= high]
        return Number(self, expression, low, high)

    def assume(self, *facts: Truth | bool) -> None:
        """Take facts as given."""
        for fact in facts:
            if isinstance(fact, Truth):
                self._known.append(fact.expression)
            elif not fact:
                raise _Impossible

    def choose(self, cases: list[z3.BoolRef]) -> int:
        """Take one of the cases, which have no common number and leave none out."""
        if self._taken == len(self._choices):
            self._choices.append([0, len(cases)])
        index = self._choices[self._taken][0]
        self._taken += 1
        case = cases[index]
        if self._taken >= self._replayed and self._solve(case, self._seconds, []) == z3.unsat:
            raise _Impossible
        self._known.append(case)
        return index

    def claim(self, text: str, fact: Truth | bool) -> None:
        """Prove a fact on this path.

        Raises:
            Refuted: it is false for some numbers.
        """
        key = (*(option for option, _ in self._choices[: self._taken]), -1 - self._claimed)
        self._claimed += 1
        if key in self._proved:
            return
        self.claims += 1
        self._proved[key] = True
        if fact is True:
            return
        found = self._check(z3.Not(fact.expression) if isinstance(fact, Truth) else z3.BoolVal(not fact), self._seconds)
        if found == z3.sat:
            raise Refuted(f"{text}: false for {self._model}")
        if found == z3.unknown:
            self.open.append(text)
            self._proved[key] = False

    def ordered(self, factor: Value, less: Value, more: Value) -> None:
        """Use the law that products with a factor >= 0 keep order."""
        _check_law("order")
        fact = z3.And(term(factor) >= 0, term(less) <= term(more))
        self._known.append(z3.Implies(fact, term(factor * less) <= term(factor * more)))

    def distributed(self, factor: Value, more: Value, less: Value) -> None:
        """Use the law that a product with a difference is the difference of the products."""
        _check_law("difference")
        self._known.append(term(factor * (more - less)) == term(factor * more) - term(factor * less))

    def holds(self, fact: z3.BoolRef) -> bool:
        """Tell whether a fact is known to be true."""
        return self._solve(z3.Not(fact), self._seconds, []) == z3.unsat

    def parts(self, number: Number, bits: int) -> tuple[Number, Number]:
        """Divide by 2^bits: the quotient, rounded down, and the rest."""
        key = (number.expression.get_id(), bits)
        if key not in self._parts:
            size = 1 << bits
            quotient = self.number("q", number.low >> bits, number.high >> bits)
            rest = self.number("r", 0, size - 1)
            self._known.append(number.expression == quotient.expression * size + rest.expression)
            self._parts[key] = (quotient, rest)
        return self._parts[key]

    def product(self, first: z3.ArithRef, second: z3.ArithRef, low: int, high: int) -> z3.ArithRef:
        """Give a name to a product, of which low..high is known; what it is a product of is looked at only at need."""
        key = tuple(sorted((first.get_id(), second.get_id())))
        if key not in self._products:
            named = self.number("p", low, high).expression
            self._defined.append(named == first * second)
            self._products[key] = named
        return self._products[key]

    def _check(self, fact: z3.BoolRef, seconds: float) -> z3.CheckSatResult:
        """Decide whether a fact can be: without the meaning of the products, which seldom matters, then with it."""
        found = self._solve(fact, seconds, [])
        return found if found == z3.unsat or not self._defined else self._solve(fact, seconds, self._defined)

    def _solve(self, fact: z3.BoolRef, seconds: float, more: list[z3.BoolRef]) -> z3.CheckSatResult:
        solver = z3.Solver()
        solver.set("timeout", int(1000 * seconds))
        solver.add(*self._known, *more, fact)
        found = solver.check()
        self._model = solver.model() if found == z3.sat else None
        return found


@functools.cache
def _check_law(name: str) -> None:
    """Prove a law of products once, of any three integers."""
    a, b, c = z3.Ints("a b c")
    law = {"order": z3.Implies(z3.And(a >= 0, b <= c), a * b <= a * c), "difference": a * (b - c) == a * b - a * c}
    solver = z3.Solver()
    solver.add(z3.Not(law[name]))
    if solver.check() != z3.unsat:
        raise Refuted(f"the law of {name} must hold")


class Truth:
    """A comparison; asking for its value takes one of two paths."""

    def __init__(self, path: Path, expression: z3.BoolRef) -> None:
        """Keep the expression."""
        self.path = path
        self.expression = expression

    def __bool__(self) -> bool:
        """Take one of the two cases."""
        return self.path.choose([self.expression, z3.Not(self.expression)]) == 0


class Number:
    """An integer expression with bounds, low..high."""

    def __init__(self, path: Path, expression: z3.ArithRef, low: int, high: int) -> None:
        """Keep the expression."""
        self.path = path
        self.expression = expression
        self.low = low
        self.high = high

    def __bool__(self) -> bool:
        """Take one of two paths: a number is true where it is not 0."""
        return bool(self != 0)

    def __add__(self, other: Value) -> Value:
        """Add."""
        low, high = bounds(other)
        return self._made(self.expression + term(other), self.low + low, self.high + high)

    __radd__ = __add__

    def __neg__(self) -> Value:
        """Negate."""
        return self._made(-self.expression, -self.high, -self.low)

    def __sub__(self, other: Value) -> Value:
        """Subtract."""
        low, high = bounds(other)
        return self._made(self.expression - term(other), self.low - high, self.high - low)

    def __rsub__(self, other: Value) -> Value:
        """Subtract from."""
        low, high = bounds(other)
        return self._made(term(other) - self.expression, low - self.high, high - self.low)

    def __mul__(self, other: Value) -> Value:
        """Multiply."""
        corners = [a * b for a in (self.low, self.high) for b in bounds(other)]
        low, high = min(corners), max(corners)
        if not isinstance(other, Number):
            return self._made(self.expression * term(other), low, high)
        return self._made(self.path.product(self.expression, other.expression, low, high), low, high)

    __rmul__ = __mul__

    def __rshift__(self, bits: int) -> Value:
        """Shift right with truncation."""
        return self if not bits else _plain(self.path.parts(self, known(bits))[0])

    def __lshift__(self, bits: int) -> Value:
        """Shift left."""
        return self * (1 << known(bits))

    def __and__(self, mask: int) -> Value:
        """Keep the lowest bits."""
        mask = known(mask)
        bits = mask.bit_length()
        if mask != (1 << bits) - 1:
            raise NotImplementedError(f"a mask must be 2^n - 1, got {mask}")
        if (0 <= self.low and self.high <= mask) or self.path.holds(
            z3.And(self.expression >= 0, self.expression <= mask)
        ):
            return _plain(Number(self.path, self.expression, max(self.low, 0), min(self.high, mask)))
        return _plain(self.path.parts(self, bits)[1])

    def __or__(self, other: Value) -> Value:
        """Put bits where there are none, which is proved."""
        low, high = bounds(other)
        if low < 0:
            raise NotImplementedError("bits of negative numbers")
        self.path.claim("bits are put where there are none", (self & ((1 << high.bit_length()) - 1)) == 0)
        return self + other

    def __eq__(self, other: object) -> Truth | bool:  # type: ignore[override]
        """Compare."""
        return self._compared(other, self.expression == term(other), lambda a, b, c, d: a == b == c == d)

    def __ne__(self, other: object) -> Truth | bool:  # type: ignore[override]
        """Compare."""
        return self._compared(other, self.expression != term(other), lambda a, b, c, d: b < c or d < a)

    def __lt__(self, other: Value) -> Truth | bool:
        """Compare."""
        return self._compared(other, self.expression < term(other), lambda a, b, c, d: b < c)

    def __le__(self, other: Value) -> Truth | bool:
        """Compare."""
        return self._compared(other, self.expression <= term(other), lambda a, b, c, d: b <= c)

    def __gt__(self, other: Value) -> Truth | bool:
        """Compare."""
        return self._compared(other, self.expression > term(other), lambda a, b, c, d: a > d)

    def __ge__(self, other: Value) -> Truth | bool:
        """Compare."""
        return self._compared(other, self.expression >= term(other), lambda a, b, c, d: a >= d)

    __hash__ = None  # type: ignore[assignment]

    def _compared(
        self, other: object, expression: z3.BoolRef, sure: Callable[[int, int, int, int], bool]
    ) -> Truth | bool:
        return True if sure(self.low, self.high, *bounds(other)) else Truth(self.path, expression)

    def _made(self, expression: z3.ArithRef, low: int, high: int) -> Value:
        length = self.path.lengths.get(expression.get_id())
        if length is not None:
            low, high = max(low, (1 << length) >> 1), min(high, (1 << length) - 1)
        made = Number(self.path, expression, low, high)
        limits = self.path.limits
        if limits and not (limits[0] <= low and high <= limits[1]):
            fits = z3.And(expression >= limits[0], expression <= limits[1])
            self.path.claim("no operation leaves its width", Truth(self.path, fits))
            made.low, made.high = max(low, limits[0]), min(high, limits[1])
        return _plain(made)


Value = Number | int


def implies(first: Truth | bool, second: Truth | bool) -> Truth | bool:
    """Give the fact that the second holds where the first does."""
    if not isinstance(first, Truth):
        return second if first else True
    after = second.expression if isinstance(second, Truth) else z3.BoolVal(second)
    return Truth(first.path, z3.Implies(first.expression, after))


def term(value: object) -> z3.ArithRef:
    """Give the expression of a number."""
    return value.expression if isinstance(value, Number) else z3.IntVal(int(value))  # type: ignore[call-overload]


def bounds(value: object) -> tuple[int, int]:
    """Give the least and the greatest value."""
    return (value.low, value.high) if isinstance(value, Number) else (int(value),) * 2  # type: ignore[call-overload]


def known(value: object) -> int:
    """Give a number that is the same whatever the input is."""
    low, high = bounds(value)
    if low != high:
        raise NotImplementedError(f"a shift must be known on each path, it may be {low}..{high}")
    return low


def bit_length(value: Value) -> int:
    """Take a path for each length."""
    if not isinstance(value, Number):
        return int(value).bit_length()
    key = value.expression.get_id()
    if key in value.path.lengths:
        return value.path.lengths[key]
    lengths = range(max(value.low, 0).bit_length(), max(value.high, 0).bit_length() + 1)
    least = [(1 << length) >> 1 for length in lengths]
    cases = [
        z3.And(value.expression >= low, value.expression < (1 << length))
        for low, length in zip(least, lengths, strict=True)
    ]
    index = value.path.choose(cases)
    # The case that is known keeps the expression, and so its id.
    length = value.path.lengths[key] = lengths[index]
    value.low, value.high = max(value.low, least[index]), min(value.high, (1 << length) - 1)
    return length


def array(*values: Value) -> np.ndarray:
    """Give a numpy array of numbers."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def explore(name: str, run: Callable[[Path], None], seconds: float) -> Outcome:
    """Run the code on every path; a claim has so many seconds.

    Raises:
        Refuted: a claim is false.
    """
    began = time.process_time()
    outcome = Outcome(name, 0, 0, 0, [])
    choices: list[list[int]] = []
    proved: dict[tuple[int, ...], bool] = {}
    while True:
        path = Path(choices, proved, seconds)
        try:
            run(path)
        except _Impossible:
            pass
        except Refuted as error:
            raise Refuted(f"{name}: {error}") from None
        else:
            outcome.paths += 1
        outcome.claims += path.claims
        outcome.open += path.open
        while choices and choices[-1][0] + 1 == choices[-1][1]:
            choices.pop()
        if not choices:
            outcome.seconds = time.process_time() - began
            return outcome
        choices[-1][0] += 1


def whole(values: Iterable[Value], base: int) -> Value:
    """Give the number with these digits, the highest first; a digit may be more than the base."""
    return functools.reduce(lambda total, value: total * base + value, values, 0)


def _plain(number: Number) -> Value:
    return number.low if number.low == number.high else number
