"""What a compression pass is: from a float circuit, evidence and a target to a smaller circuit (docs/passes.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.file import circuit_checksum
from pcedge.circuit.inference import log_likelihood
from pcedge.circuit.layers import Circuit, SumLayer
from pcedge.circuit.rows import entries
from pcedge.compress.flows import expected_flows
from pcedge.errors import UsageError

#: what `expected_flows` gives: counts in the shape of every layer's parameters, None of products
Flows = list[FloatArray | None]

#: what a pass keeps: the distribution exactly, the region tree and the coding order, or neither
Keeps = Literal["distribution", "structure", "neither"]

#: what a target limits: stored weights of one matrix pass, kbit of read-only memory, cycles a symbol, or the bits a
#: variable that validation records may lose
Unit = Literal["weights", "kbit", "cycles", "loss"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Hold what a pass may look at; test records are never part of it.

    Args:
        train: records of shape (N, variables), -1 where missing.
        valid: records that judge, likewise.
        weights: of every train record in flows, (N,) positive; None counts each once.
        seed: of what is drawn.
        count: counts the flows of some records; as `expected_flows`.
        score: computes log p of some records in nats, (N,); as `log_likelihood`.
        refit: goes on training a circuit for so many M-steps; None where nothing trains.
        max_flow_records: train records at most whose flows are counted, drawn with the seed; None counts all.
    """

    train: IntArray
    valid: IntArray
    weights: FloatArray | None = None
    seed: int = 0
    count: Callable[[Circuit, IntArray], Flows] = expected_flows
    score: Callable[[Circuit, IntArray], FloatArray] = log_likelihood
    refit: Callable[[Circuit, int], Circuit] | None = None
    max_flow_records: int | None = None
    _flows: dict[str, Flows] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the weights."""
        if self.weights is None:
            return
        if self.weights.shape != (len(self.train),):
            raise UsageError(
                f"weights must be one for each of {len(self.train)} train records, got shape {self.weights.shape}"
            )
        if not (np.isfinite(self.weights).all() and (self.weights > 0).all()):
            raise UsageError("the weights of records must be finite and positive")

    def flows(self, circuit: Circuit) -> Flows:
        """Count the flows of the train records, each times its weight; kept for the circuit's digest.

        Records of one weight are counted together, so the sum is that of weighted counts whatever counts.
        """
        digest = circuit_checksum(circuit)
        if digest not in self._flows:
            self._flows.clear()  # of MNIST's circuits they take as much as the circuits
            self._flows[digest] = self._counted(circuit)
        return self._flows[digest]

    def _counted(self, circuit: Circuit) -> Flows:
        records, weights = self.train, self.weights
        if self.max_flow_records is not None and len(records) > self.max_flow_records:
            chosen = np.sort(
                np.random.default_rng([self.seed, 17]).choice(len(records), self.max_flow_records, replace=False)
            )
            records, weights = records[chosen], None if weights is None else weights[chosen]
        if weights is None:
            return self.count(circuit, records)
        total: Flows = []
        for weight in np.unique(weights):
            counted = self.count(circuit, records[weights == weight])
            scaled: Flows = [None if flow is None else weight * flow for flow in counted]
            total = scaled if not total else [_added(a, b) for a, b in zip(total, scaled, strict=True)]
        return total

    def bits(self, circuit: Circuit, records: IntArray | None = None) -> float:
        """Give the mean bits a variable of some records, by default the validation ones; inf if one is impossible."""
        records = self.valid if records is None else records
        return float(-self.score(circuit, records).mean() / np.log(2) / len(circuit.cardinalities))


def _added(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    return None if first is None or second is None else first + second


@dataclass(frozen=True, eq=False)
class Target:
    """Hold how small a circuit is to become.

    Args:
        unit: what is limited.
        value: the limit.
        cost: counts a circuit in that unit, as it will be when the passes that follow and keep its size have run;
            for `loss` the bits a variable that a circuit loses on the validation records.
        multiple: states of a latent come in multiples of so many, the engine's lanes.
        row_bits: what one leaf row costs in bits, by its number of symbols: its table, or its number among shared
            tables.
        weight_bits: what one weight costs in bits.
    """

    unit: Unit
    value: float
    cost: Callable[[Circuit], float]
    multiple: int = 1
    row_bits: Callable[[int], float] = lambda symbols: 12.0 * (symbols - 1)
    weight_bits: float = 8.0
    #: the limit as it was said, where `value` leaves a reserve
    said: float | None = None

    def reached(self, circuit: Circuit) -> bool:
        """Tell whether a circuit keeps the limit."""
        return self.cost(circuit) <= self.value


@dataclass(frozen=True, eq=False)
class Outcome:
    """Hold what a pass made."""

    circuit: Circuit
    #: a row for each step, for JSON
    trace: tuple[dict[str, Any], ...] = ()


#: a pass: circuit, evidence, target (None: no limit), and what stands behind the colon of `prune:states`, or None
Run = Callable[[Circuit, Evidence, "Target | None", "str | None"], Outcome]


@dataclass(frozen=True)
class Pass:
    """Hold a pass and what users are told of it."""

    name: str
    run: Run
    keeps: Keeps
    #: `data` where it counts flows, `target` where it needs a limit or a value of its own
    needs: tuple[str, ...]
    reduces: str
    #: what stands behind the colon of its name; empty for nothing
    argument: str
    source: str
    #: checks what stands behind its colon, and whether it needs a target; raises `UsageError`
    check: Callable[[str | None], None]
    #: what must be said of it where it stands without a target and without a value; empty where it needs neither
    unlimited: str = ""
    #: whether training goes on after it; not where it keeps the distribution, or where training would undo it
    refits: bool = True


def count_weights(circuit: Circuit) -> int:
    """Count the stored weights of all sum layers: the multiply-accumulates of one matrix pass."""
    return sum(entries(layer.weights).size for layer in circuit.layers if isinstance(layer, SumLayer))


#: the greatest count that may stand behind a colon
MOST = 1 << 16


def counted(name: str, what: str) -> Callable[[str | None], None]:
    """Make a check that nothing or a count from 1 on stands behind a pass' colon."""

    def check(told: str | None) -> None:
        if told is not None and not (told.isdecimal() and 1 <= int(told[:9]) <= MOST and len(told) < 9):
            raise UsageError(f"{name} must say {what}, 1 to {MOST}, as in {name}:64, got {name}:{told}")

    return check


def smallest_step(build: Callable[[int], Circuit], last: int, target: Target, first: int = 0) -> int:
    """Find the least number of steps that reaches a target, by bisection, or the most that keeps a limit of loss.

    Of a limit of loss the number is exact to a sixty-fourth of all steps.

    Args:
        build: gives the circuit after so many steps; its cost must not grow with them, nor its loss fall.
        last: the most steps that there are.
        target: the limit.
        first: the least steps.

    Raises:
        UsageError: no number of steps reaches the target.
    """
    if target.unit == "loss":
        # A loss is measured after training, which takes its time: to a sixty-fourth of all steps.
        low, high, near = first, last, max(1, (last - first) // 64)
        while high - low >= near:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if target.reached(build(middle)) else (low, middle - 1)
        return low
    least = target.cost(build(last))
    if least > target.value:
        raise UsageError(
            f"the budget must be at least what this pass reaches, {least:,.6g} {target.unit}, got "
            f"{target.value if target.said is None else target.said:g}"
        )
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if target.reached(build(middle)) else (middle + 1, high)
    return high
