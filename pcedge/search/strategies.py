"""Strategies: which candidates a search measures, given what it has measured so far (docs/search.md).

A strategy is a generator function. It is called with a `Space`, yields lists of candidates, and is sent what they
scored; the search measures, keeps the best, ends it after its generations, and replays it where a checkpoint is
continued, so that a strategy needs no state of its own but must be deterministic given its `Space`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np

from pcedge.search.candidates import Candidate, Choices
from pcedge.search.choosing import Limits, mutated


@dataclass(frozen=True, eq=False)
class Space:
    """Hold what a strategy chooses from."""

    #: the circuit rounded at every level, with what each level costs and is expected to lose
    choices: Choices
    #: what every candidate must keep
    limits: Limits
    #: candidates of the least expected loss, the best first; some have one W for all layers
    starts: tuple[Candidate, ...]
    #: candidates to propose in a generation
    offspring: int
    seed: int

    def dice(self, generation: int) -> np.random.Generator:
        """Give the random numbers of a generation."""
        return np.random.default_rng([self.seed, 11, generation])


class Observed(NamedTuple):
    """Hold what a search tells of the candidates that were proposed last."""

    #: expected bits a variable of each, those of the first list on the many records, later ones on the few
    scores: tuple[float, ...]
    #: the best candidate so far on the many records, and its score
    best: Candidate
    bits: float


#: what a strategy yields and is sent
Proposals = Generator[list[Candidate], Observed, None]

#: a function that proposes candidates: the first list is measured on the many records, of later ones the survivors
Strategy = Callable[[Space], Proposals]


def evolve(space: Space) -> Proposals:
    """Propose the starts, then offspring of the best one (Sieberling et al., "EvoPress", 2024).

    Example:
        >>> from pcedge.circuit import load_circuit
        >>> from pcedge.data import load_data
        >>> from pcedge.search.search import Budget, SearchConfig, search
        >>> def starts_alone(space):
        ...     yield list(space.starts)
        >>> circuit, valid = load_circuit("digits"), load_data("digits").valid.reshape(180, -1).astype("int64")
        >>> budget, settings = Budget(memory_bits=300_000), SearchConfig(generations=1, offspring=2, few=16, many=32)
        >>> [len(search(circuit, valid, budget, settings=settings, strategy=strategy).history)
        ...  for strategy in (starts_alone, evolve)]
        [1, 2]
    """
    told = yield list(space.starts)
    for generation in count(1):
        dice = space.dice(generation)
        told = yield [mutated(space.choices, told.best, space.limits, dice) for _ in range(space.offspring)]
