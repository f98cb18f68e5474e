"""UAI, the format of the inference competitions: sizes of variables, scopes of functions, and their tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.networks import ROUNDED, Collected, Network
from pcedge.importers.text import decode, integer, number
from pcedge.limits import MemoryBudget

RULE = "uai-syntax"

_WORD = re.compile(r"\S+")


def read(data: bytes, where: str, budget: MemoryBudget) -> Network:
    """Read a UAI file of the type BAYES or MARKOV.

    The last variable of a scope runs fastest. In a Bayesian network each variable has one function, whose last variable
    it is; the others are its parents. A Markov network is what its functions multiply to: the logarithm of its total is
    the circuit's `log_constant`. Variables are named V0, V1, …, their states are 0, 1, ….

    Raises:
        FormatError: the text breaks the format, a table its rules; the message has the function.
    """
    words = _Words(decode(data, where), where)
    kind = words.take("BAYES or MARKOV")
    if kind.upper() not in ("BAYES", "MARKOV"):
        raise FormatError(RULE, f"{where} must begin with BAYES or MARKOV, got {kind[:40]!r}")
    directed = kind.upper() == "BAYES"
    collected = Collected(where, budget)
    for variable in range(words.integer("the number of variables")):
        size = words.integer(f"the number of states of variable {variable}")
        collected.add_variable(f"V{variable}", size, f"{where}, variable {variable}")
    scopes = []
    for place in range(words.integer("the number of functions")):
        at = f"{where}, function {place}"
        count = words.integer(f"the number of variables of function {place}")
        scope = []
        for _ in range(count):
            scope.append(words.integer(f"a variable of function {place}"))
            if scope[-1] >= len(collected.names):
                raise FormatError(
                    "network-variable",
                    f"{at}: a variable must be in 0..{len(collected.names) - 1}, got {scope[-1]}",
                )
        if directed and not scope:
            raise FormatError(RULE, f"{at} must have a variable, for the network is Bayesian")
        budget.take(200 + 40 * count)
        scopes.append(scope)
    for place, scope in enumerate(scopes):
        at = f"{where}, function {place}"
        shape = collected.room(scope, at)
        said = words.integer(f"the number of entries of function {place}")
        if said != math.prod(shape):
            raise FormatError(
                "network-table", f"{at} must have {math.prod(shape)} entries for its variables, it says {said}"
            )
        values = np.empty(said)
        for entry in range(said):
            values[entry] = words.number(f"entry {entry} of function {place}")
        if directed:
            _check_direction(values, shape[-1], at)
            collected.add_table(scope[-1], scope[:-1], values, at)
        else:
            collected.add_factor(scope, values, at)
    words.end()
    return collected.network(directed=directed)


def _check_direction(values: FloatArray, states: int, at: str) -> None:
    """Name the mistake of tables that run the other way."""
    sums, others = values.reshape(-1, states).sum(axis=1), values.reshape(states, -1).sum(axis=0)
    if np.abs(sums - 1).max() > ROUNDED >= np.abs(others - 1).max():
        raise FormatError(
            "network-table",
            f"{at}: the states of the function's last variable must run fastest, but only with them slowest do rows "
            "sum to 1: a table that pgmpy wrote; give its network as BIF",
        )


class _Words:
    """Give the words of a text one after the other."""

    def __init__(self, text: str, where: str) -> None:
        self._words: Iterator[re.Match[str]] = _WORD.finditer(text)
        self._where = where

    def take(self, what: str) -> str:
        word = next(self._words, None)
        if word is None:
            raise FormatError(RULE, f"{self._where} must have {what}, it ends before: a truncated file")
        return word[0]

    def integer(self, what: str) -> int:
        return integer(self.take(what), f"{self._where}, {what}")

    def number(self, what: str) -> float:
        return number(self.take(what), f"{self._where}, {what}")

    def end(self) -> None:
        word = next(self._words, None)
        if word is not None:
            raise FormatError(RULE, f"{self._where} must end after the last function, got {word[0][:40]!r}")
