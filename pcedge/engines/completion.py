"""The most probable completion by an integer circuit: its likelihood schedule with maxima (docs/queries.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import arithmetic, tails
from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.determinism import deterministic
from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import MISSING
from pcedge.circuit.rows import row_entries
from pcedge.engines.base import Engine, Progress
from pcedge.engines.queries import classify
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import assert_never
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.integer.leaves import leaf_entries
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Align, Down, Init, Interval, Leaf, ListSum, Multiply, Ref, Step, Up

#: numbers that the vectors of a batch of records hold
BATCH_NUMBERS = 1 << 23


@dataclass(frozen=True, eq=False)
class IntegerCompletion:
    """Hold the most probable completion of records by integers, or the best guess at it."""

    #: symbols with nothing missing, (N, variables)
    records: IntArray
    #: likelihood of each, mantissa * 2**exponent, (N,) each
    likelihood: Vector
    #: whether no completion of a record is more probable, up to truncation, (N,)
    exact: NDArray[np.bool_]


def is_deterministic(circuit: IntegerCircuit) -> bool:
    """Tell whether maxima give the most probable completions, by counts and weights and not by tails."""
    positive: list[Any] = []
    for layer in circuit.layers:
        if isinstance(layer, IntegerInput):
            positive.append(np.diff(layer.cumulative, axis=1) > 0)
        else:
            positive.append(layer.weights if isinstance(layer, IntegerSum) else None)
    return deterministic(circuit.shapes, positive, leaves=False)


def most_probable(
    source: IntegerCircuit | Program,
    evidence: ArrayLike,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> IntegerCompletion:
    """Complete records by the most probable symbols of what is missing, all together.

    Args:
        source: the circuit, or its program.
        evidence: symbols, (N, variables), -1 where nothing is known.
        engine: computes likelihoods; None takes the reference.
        progress: told (records done, records in all).

    Raises:
        DataError: the evidence does not fit.
    """
    program = Program.of(source)
    circuit, engine = program.circuit, engine or ReferenceEngine(program)
    known = check_records(evidence, circuit.cardinalities, allow_missing=True)
    records, missing = known.copy(), known == MISSING
    count = missing.sum(axis=1)
    several = np.flatnonzero(count > 1)
    single = missing & (count == 1)[:, None]
    for variable in np.flatnonzero(single.any(axis=0)).tolist():
        rows = np.flatnonzero(single[:, variable])
        # Where no symbol is possible, zeros choose the lowest.
        records[rows, variable] = np.maximum(classify(engine, known[rows], variable), 0)
    maxima = _Maxima(program)
    for first in range(0, len(several), maxima.batch):
        rows = several[first : first + maxima.batch]
        records[rows] = maxima.completed(known[rows].T).T
        if progress:
            progress(first + len(rows), len(several))
    exact = count < 2
    if several.size and is_deterministic(circuit):
        exact[:] = True
    return IntegerCompletion(records, engine.likelihood(records), exact)


class _Maxima:
    """Replay the likelihood schedule of a circuit with maxima, and trace what they come from."""

    def __init__(self, program: Program) -> None:
        self.circuit, self.schedule = program.circuit, program.likelihood
        self.bits, self.keep = self.circuit.state_bits, self.schedule.keep
        held = sum(step.units for step in self.schedule.steps)
        self.batch = max(1, BATCH_NUMBERS // (held + 1))
        self.leaves: dict[int, tuple[Vector, IntArray]] = {}

    def completed(self, known: IntArray) -> IntArray:
        """Complete records, (variables, N)."""
        values: dict[int, Vector] = {}
        for step in self.schedule.steps:
            assert not isinstance(step, Interval)
            values[step.target] = self._step(step, values, known)
        return self._traced(values, known)

    def _step(self, step: Step, values: dict[int, Vector], known: IntArray) -> Vector:
        match step:
            case Leaf():
                (leaf, scales), _ = self._leaf(step.layer)
                own = known[step.variable]
                return leaf.take(own, axis=1, mode="wrap"), scales.take(own, mode="wrap")
            case Align(sources=(first, second)):
                return arithmetic.align(_view(values, first), _view(values, second), self.keep)
            case Multiply(sources=(first, second), gathers=gathers):
                sides = _view(values, first), _view(values, second)
                a, b = (m if gather is None else m[gather] for (m, _), gather in zip(sides, gathers, strict=True))
                accumulated = tails.multiply(a, b) if self.keep else a * b
                exponent = sides[0][1] + sides[1][1]
            case Up():
                mantissa, exponent = _view(values, step.source)
                candidates = [self._candidates(step.layer, unit, mantissa)[0] for unit in range(step.units)]
                accumulated = np.stack([weighed.max(axis=0) for weighed in candidates])
                exponent = exponent - self.circuit.weight_bits
            case Init() | Down() | ListSum() | Interval():
                raise AssertionError(f"a likelihood must have no step {step.op.name}")
            case _:
                assert_never(step)
        return arithmetic.normalise(accumulated, exponent, self.bits, False, self.keep)

    def _leaf(self, index: int) -> tuple[Vector, IntArray]:
        """Keep the vectors of every symbol, in the last column the largest, and the symbol that each unit has it of."""
        if index not in self.leaves:
            layer = self.circuit.layers[index]
            assert isinstance(layer, IntegerInput)
            entries, exponent = leaf_entries(layer, self.circuit.leaf_bits, keep=self.keep)
            entries[:, -1] = entries[:, :-1].max(axis=1)
            exponents = np.full(entries.shape[1], exponent, dtype=np.int64)
            vectors = arithmetic.normalise(entries, exponents, self.bits, False, self.keep)
            self.leaves[index] = vectors, entries[:, :-1].argmax(axis=1)
        return self.leaves[index]

    def _candidates(self, index: int, unit: int, mantissa: IntArray) -> tuple[IntArray, IntArray]:
        """Weigh what a unit of a sum layer chooses from: (children, N), and the places of these children."""
        layer = self.circuit.layers[index]
        assert isinstance(layer, IntegerSum)
        _, places, weights = row_entries(layer.weights, unit)
        if not layer.tails:
            places, weights = places[weights > 0], weights[weights > 0]
        own, column = mantissa[places], weights[:, None]
        if not self.keep:
            return own * column, places
        live = tails.live(own)
        weighed = np.where(column > 0, live * column, live >> tails.WEIGHT_TAIL_BITS)
        return np.where(weighed.any(axis=0), weighed, np.minimum(own, 1)), places

    def _traced(self, values: dict[int, Vector], known: IntArray) -> IntArray:
        """Go back from the result to the symbols."""
        records, count = known.copy(), known.shape[1]
        entry = {value: np.full(count, -1, dtype=np.int64) for value in values}
        entry[self.schedule.result][:] = 0
        for step in reversed(self.schedule.steps):
            assert not isinstance(step, Interval)
            rows = np.flatnonzero(entry[step.target] >= 0)
            units = entry[step.target][rows]
            match step:
                case Leaf():
                    there = known[step.variable, rows] == MISSING
                    records[step.variable, rows[there]] = self._leaf(step.layer)[1][units[there]]
                case Align(sources=(first, second)):
                    left = units < first.units
                    entry[first.value][rows[left]] = first.offset + units[left]
                    entry[second.value][rows[~left]] = second.offset + units[~left] - first.units
                case Multiply():
                    for source, gather in zip(step.sources, step.gathers, strict=True):
                        entry[source.value][rows] = source.offset + (units if gather is None else gather[units])
                case Up():
                    mantissa, _ = _view(values, step.source)
                    for unit in np.unique(units).tolist():
                        own = rows[units == unit]
                        weighed, places = self._candidates(step.layer, unit, mantissa[:, own])
                        entry[step.source.value][own] = step.source.offset + places[weighed.argmax(axis=0)]
        return records


def _view(values: dict[int, Vector], source: Ref) -> Vector:
    mantissa, exponent = values[source.value]
    return mantissa[source.offset : source.offset + source.units], exponent
