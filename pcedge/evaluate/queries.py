"""Random marginal and conditional queries, answered by the float circuit and by the integer one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING, Circuit
from pcedge.engines.reference import ReferenceEngine
from pcedge.evaluate.statistics import log2_pair

#: queries answered at a time
BLOCK = 512

#: told (queries done, queries in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class QueryErrors:
    """Hold the errors of the queries that both circuits answer, and how many they do not.

    Each of the two counts has `impossible`, queries that the integers answer by 0, or whose evidence they call
    impossible, where the float answer is positive; `float_impossible`, the other way round; and `undefined`, queries
    without an error: a marginal whose logarithm is infinite in one circuit only, a conditional whose evidence is
    impossible in either.
    """

    #: |log2 p(evidence), integers − float|, in bits
    marginal: FloatArray
    marginal_impossible: dict[str, int]
    #: |p(x_v = s | evidence), integers − float|
    conditional: FloatArray
    conditional_impossible: dict[str, int]


@dataclass(frozen=True, eq=False)
class Answers:
    """Hold what both circuits answer to some queries: a log2 each, -inf for impossible, NaN for impossible evidence."""

    floats: FloatArray
    integers: FloatArray

    @staticmethod
    def join(parts: list[Answers]) -> Answers:
        """Put answers one after another."""
        return Answers(np.concatenate([p.floats for p in parts]), np.concatenate([p.integers for p in parts]))

    def counts(self, undefined: int) -> dict[str, int]:
        """Count the queries that one circuit alone calls impossible, beside those without an error."""
        floats, integers = self.floats > -np.inf, self.integers > -np.inf  # NaN is not
        return {
            "impossible": int((floats & ~integers).sum()),
            "float_impossible": int((integers & ~floats).sum()),
            "undefined": undefined,
        }


def query_errors(
    circuit: Circuit,
    engine: ReferenceEngine,
    records: IntArray,
    count: int,
    seed: int,
    progress: Progress | None = None,
) -> QueryErrors:
    """Ask `count` marginal and as many conditional queries about records of the data.

    Args:
        circuit: the float circuit.
        engine: the engine of the integer circuit.
        records: checked records without missing symbols, (N, variables), N > 0.
        count: queries of each kind, at least 1.
        seed: of the random generator.
        progress: told after every block of queries.
    """
    generator = np.random.default_rng(seed)
    say = progress or (lambda *_: None)
    marginals, conditionals = [], []
    done = 0
    for evidence in marginal_queries(records, count, generator):
        marginals.append(Answers(*log2_pair(circuit, engine, evidence)))
        done += len(evidence)
        say(done, 2 * count)
    for evidence, variable, symbol in conditional_queries(records, engine.circuit.cardinalities, count, generator):
        asked = evidence.copy()
        asked[np.arange(len(asked)), variable] = symbol
        joint, given = log2_pair(circuit, engine, asked), log2_pair(circuit, engine, evidence)
        conditionals.append(Answers(*(_ratio(*pair) for pair in zip(joint, given, strict=True))))
        done += len(evidence)
        say(done, 2 * count)
    return compared(Answers.join(marginals), Answers.join(conditionals))


def compared(marginal: Answers, conditional: Answers) -> QueryErrors:
    """Compare the answers of the two circuits."""
    with np.errstate(invalid="ignore"):
        bits = np.abs(marginal.integers - marginal.floats)
    # Two circuits that both call evidence impossible agree.
    bits[np.isneginf(marginal.integers) & np.isneginf(marginal.floats)] = 0.0
    bits = bits[np.isfinite(bits)]
    shares = np.abs(np.exp2(conditional.integers) - np.exp2(conditional.floats))
    shares = shares[~np.isnan(shares)]
    return QueryErrors(
        bits, marginal.counts(len(marginal.floats) - len(bits)),
        shares, conditional.counts(len(conditional.floats) - len(shares)),
    )  # fmt: skip


def marginal_queries(records: IntArray, count: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """Draw evidence, (n, variables) a block: a record, and a random subset of 1 to all variables that is known."""
    variables = records.shape[1]
    for first in range(0, count, BLOCK):
        yield np.stack(
            [
                _known(records, generator.permutation(variables)[: generator.integers(1, variables + 1)], generator)
                for _ in range(min(BLOCK, count - first))
            ]
        )


def conditional_queries(
    records: IntArray, cardinalities: tuple[int, ...], count: int, generator: np.random.Generator
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Draw evidence (n, variables), a variable that is not in it, and a symbol of that variable, (n,) each, a block.

    Evidence is a record's, at a random subset of 0 to all other variables; the symbol is the record's own half the
    time, else any of the variable's.
    """
    variables = records.shape[1]
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        evidence = np.full((size, variables), MISSING, dtype=np.int64)
        asked, symbols = (np.zeros(size, dtype=np.int64) for _ in range(2))
        for query in range(size):
            asked[query], *others = generator.permutation(variables)
            record = records[generator.integers(len(records))]
            known = np.array(others[: generator.integers(0, variables)], dtype=np.int64)
            evidence[query, known] = record[known]
            as_recorded = generator.random() < 0.5
            symbols[query] = record[asked[query]] if as_recorded else generator.integers(cardinalities[asked[query]])
        yield evidence, asked, symbols


def _known(records: IntArray, known: IntArray, generator: np.random.Generator) -> IntArray:
    evidence = np.full(records.shape[1], MISSING, dtype=np.int64)
    evidence[known] = records[generator.integers(len(records)), known]
    return evidence


def _ratio(joint: FloatArray, given: FloatArray) -> FloatArray:
    """Give log2 of the quotient; NaN where the evidence is impossible."""
    return joint - np.where(np.isneginf(given), np.nan, given)
