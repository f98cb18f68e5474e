"""What the literals of a compiled circuit stand for: a literal map of ACE, or the weights of a model count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.data.value_grid import Axis
from pcedge.errors import FormatError
from pcedge.importers.graph import LAYER_BYTES, MAX_SYMBOLS
from pcedge.importers.numbering import check_variable, whole
from pcedge.importers.text import decode, integer, number
from pcedge.limits import MemoryBudget

LMAP, WEIGHTS = "lmap-line", "weights-line"
#: lines of a literal map that describe a literal, and those that count what follows
_LITERALS, _COUNTS = ("I", "P", "C", "A"), ("N", "v", "t", "T")


@dataclass(frozen=True, eq=False)
class Literals:
    """Say what every literal stands for: an indicator of a variable's state, or a constant."""

    #: by literal, the variable's number (from 1), its state, and the logarithm of the indicator's weight
    indicators: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    #: by literal, the logarithm of a constant
    constants: dict[int, float] = field(default_factory=dict)
    #: by variable, what a record's factor is where the circuit does not mention it: a weight a state
    free: dict[int, FloatArray] = field(default_factory=dict)
    #: by variable, its name, column and states, where the file tells them
    axes: dict[int, Axis] = field(default_factory=dict)


def read_lmap(data: bytes, where: str, budget: MemoryBudget) -> Literals:
    """Read ACE's literal map, of its first version or of those with `K` and `S` lines.

    Variables are taken in the order of their `V` lines; states without names are the integers from 0.

    Raises:
        FormatError: a line breaks the format, a literal is described twice, or the circuit maximises.
    """
    found = Literals()
    variables: dict[str, int] = {}
    logs = False
    #: maps with these lines have what eliminates a variable after each weight
    operators = False
    for line, content in enumerate(decode(data, where).split("\n"), 1):
        words = content.strip().split("$")
        if words[0] != "cc":
            if words[0] and not words[0].startswith("c"):
                raise FormatError(LMAP, f"{where}, line {line}: a line must be a comment or start with 'cc$', got "
                                        f"{content[:60]!r}")  # fmt: skip
            continue
        at, kind = f"{where}, line {line}", words[1] if len(words) > 1 else ""
        if kind == "K":
            if words[2:] != ["ALWAYS_SUM"]:
                raise FormatError(
                    LMAP,
                    f"{at}: the circuit must be one of sums, ALWAYS_SUM, got {'$'.join(words[2:])[:60]!r}: what "
                    "maximises is no distribution",
                )
            operators = True
        elif kind == "S":
            if words[2:] not in (["NORMAL"], ["LOG_E"]):
                raise FormatError(LMAP, f"{at}: weights must be NORMAL or LOG_E, got {'$'.join(words[2:])[:60]!r}")
            logs, operators = words[2] == "LOG_E", True
        elif kind == "V":
            _variable(found, variables, words, at, budget)
        elif kind in _LITERALS:
            _literal(found, variables, words, (logs, operators), at)
        elif kind not in _COUNTS:
            raise FormatError(
                LMAP, f"{at}: 'cc$' must be followed by one of K, S, N, v, V, t, T, I, P, C, A, got {kind[:40]!r}"
            )
    if not variables:
        raise FormatError(LMAP, f"{where} must name at least one variable, 'cc$V$name$states', it names none")
    return found


def _variable(found: Literals, variables: dict[str, int], words: list[str], at: str, budget: MemoryBudget) -> None:
    if len(words) < 4 or not words[2]:
        raise FormatError(LMAP, f"{at}: 'cc$V$name$count' must stand here, got {'$'.join(words)[:60]!r}")
    name, count, states = words[2], integer(words[3], at, 1), [word for word in words[4:] if word]
    if name in variables:
        raise FormatError("import-duplicate", f"{at}: variable {name[:40]!r} must be defined once")
    if count > MAX_SYMBOLS or len(states) not in (0, count) or len(set(states)) != len(states):
        raise FormatError(
            LMAP, f"{at}: a variable must have 1..{MAX_SYMBOLS} states, with a name each or none, got {count} and "
            f"{len(states)} names"
        )  # fmt: skip
    budget.take(LAYER_BYTES + 200 * len(states) + 16 * count)
    place = len(variables) + 1
    variables[name] = place
    found.free[place] = np.ones(count)
    named = Axis(name, place - 1, "states", states=tuple(states)) if states else None
    found.axes[place] = named or replace(whole(place, count), name=name)


def _literal(
    found: Literals, variables: dict[str, int], words: list[str], spelling: tuple[bool, bool], at: str
) -> None:
    """Read `I` (an indicator), `P` (a parameter), `C` or `A` (a constant)."""
    logs, operators = spelling
    if len(words) < (5 if operators else 4):
        raise FormatError(LMAP, f"{at}: a literal and its weight must stand here, got {'$'.join(words)[:60]!r}")
    literal = integer(words[2], at, None)
    if literal == 0 or literal in found.indicators or literal in found.constants:
        raise FormatError("import-duplicate", f"{at}: a literal must not be 0 and be described once, got {literal}")
    if logs:
        weight = -math.inf if words[3].lower() in ("-inf", "-infinity") else number(words[3], at)
    else:
        weight = _log(number(words[3], at), at)
    if operators and words[4] == "X" and literal > 0:
        raise FormatError(LMAP, f"{at}: variables must be summed out, '+', literal {literal} is maximised")
    if words[1] != "I":
        found.constants[literal] = weight
        return
    # After name and number of a state some writers have nothing, some its name before the number.
    told = words[5 if operators else 4 :]
    variable = variables.get(told[0]) if len(told) in (2, 3) else None
    if variable is None:
        raise FormatError(
            LMAP,
            f"{at}: an indicator must have a variable of a V line above and its state, got {'$'.join(words)[:60]!r}",
        )
    state = integer(told[-1], at)
    if state >= len(found.free[variable]):
        raise FormatError(LMAP, f"{at}: {told[0][:40]} has the states 0..{len(found.free[variable]) - 1}, got {state}")
    found.indicators[literal] = variable, state, weight


def read_weights(data: bytes | None, where: str, variables: int, budget: MemoryBudget) -> Literals:
    """Read the weights of the literals of variables 1..n, which are 0 and 1; without a file all are 1.

    Lines are `literal weight`, after `w` or `c p weight` where there is one, with a 0 at the end or not, or
    `c weights w1 w-1 w2 w-2 …` for all. Of a variable both literals have a weight, or none.

    Raises:
        FormatError: a line breaks the format, or a weight is missing.
    """
    budget.take((LAYER_BYTES + 600) * variables)
    told: dict[int, float] = {}
    for at, literal, weight in [] if data is None else _weights(decode(data, where), where):
        if literal in told:
            raise FormatError(
                "import-duplicate", f"{at}: the weight of a literal must be given once, got {literal} twice"
            )
        if not 0 < abs(literal) <= variables:
            raise FormatError(WEIGHTS, f"{at}: a literal must be of the variables 1..{variables}, got {literal}")
        told[literal] = _log(weight, at)
    found = Literals()
    for variable in range(1, variables + 1):
        pair = told.get(-variable), told.get(variable)
        if (pair[0] is None) != (pair[1] is None):
            raise FormatError(
                WEIGHTS,
                f"{where}: both literals of a variable must have a weight, or none, variable {variable} has one",
            )
        for state, log in enumerate(pair):
            found.indicators[variable if state else -variable] = variable, state, log or 0.0
        found.free[variable] = np.exp([log or 0.0 for log in pair])
        if not found.free[variable].any():
            raise FormatError(WEIGHTS, f"{where}: variable {variable} must have a weight above 0, both are 0")
    return found


def _weights(text: str, where: str) -> Iterator[tuple[str, int, float]]:
    for line, content in enumerate(text.split("\n"), 1):
        words, at = content.split(), f"{where}, line {line}"
        if words[:2] == ["c", "weights"]:
            for place, word in enumerate(words[2:]):
                yield at, (place // 2 + 1) * (-1 if place % 2 else 1), number(word, at)
            continue
        for mark in (["c", "p", "weight"], ["w"]):
            if words[: len(mark)] == mark:
                words = words[len(mark) :]
                break
        else:
            if not words or words[0] in ("c", "p"):
                continue
        if len(words) == 3 and words[2] == "0":
            words = words[:2]
        if len(words) != 2:
            raise FormatError(WEIGHTS, f"{at}: 'literal weight' must stand here, got {content[:60]!r}")
        yield at, integer(words[0], at, None), number(words[1], at)


def _log(weight: float, at: str) -> float:
    if weight < 0:
        raise FormatError("import-weight", f"{at}: weights must be finite and not negative, got {weight}")
    return math.log(weight) if weight else -math.inf


def check_count(count: int, at: str, rule: str) -> int:
    """Demand a number of variables that is within bounds, none included."""
    return check_variable(count, at, rule) if count else 0
