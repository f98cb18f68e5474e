"""Traces: every step's integers from every rung, and where two of them first differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.schedule.steps import Interval, Step, describe
from pcedge.simulate.csim import Csim
from pcedge.simulate.ort import OrtSession


@dataclass(frozen=True, eq=False)
class TraceEntry:
    """Hold what one step computed for all records."""

    #: `likelihood` or `code`
    schedule: str
    #: number of the step in its schedule
    index: int
    #: the step
    step: Step
    #: mantissas, (units, N); for an INTERVAL step its two ends, (2, N)
    mantissa: IntArray
    #: exponents, (N,); zeros for an INTERVAL step
    exponent: IntArray

    @property
    def name(self) -> str:
        """Name the step for people."""
        return f"{self.schedule} step {self.index} ({describe(self.step)})"


Trace = list[TraceEntry]


def trace_numpy(engine: ReferenceEngine, records: IntArray) -> Trace:
    """Trace the reference."""
    trace: Trace = []

    def observer(schedule: str) -> object:
        return lambda index, step, result: trace.append(TraceEntry(schedule, index, step, *result))

    engine.likelihood(records, observer("likelihood"))  # type: ignore[arg-type]
    if not engine.circuit.structured:
        return trace
    lo, hi = engine.intervals(records, observer("code"))  # type: ignore[arg-type]
    return _with_intervals(trace, lo, hi)


def trace_ort(engine: ReferenceEngine, session: OrtSession, records: IntArray) -> Trace:
    """Trace onnxruntime, in the order of the reference's steps."""
    values = session.trace(records)
    outputs = session.run(records)
    trace: Trace = []
    for schedule, steps in _schedules(engine).items():
        for index, step in enumerate(steps):
            result = values[schedule][index]
            if result is None:
                result = (np.zeros((2, len(records)), dtype=np.int64), np.zeros(len(records), dtype=np.int64))
            trace.append(TraceEntry(schedule, index, step, *result))
    return _with_intervals(trace, outputs["lo"], outputs["hi"]) if "lo" in outputs else trace


def trace_csim(engine: ReferenceEngine, csim: Csim, records: IntArray) -> Trace:
    """Trace the HLS engine."""
    traces = csim.trace(records)
    trace: Trace = []
    position = 0
    for schedule, steps in _schedules(engine).items():
        for index, step in enumerate(steps):
            entries = [record[position] for record in traces]
            mantissa = np.stack([entry[0] for entry in entries], axis=1)
            exponent = np.array([entry[1] for entry in entries], dtype=np.int64)
            trace.append(TraceEntry(schedule, index, step, mantissa, exponent))
            position += 1
    return trace


def first_difference(expected: Trace, got: Trace) -> str | None:
    """Name the first step, in the order of the schedules, whose integers differ; None where all are equal."""
    for left, right in zip(expected, got, strict=True):
        differs = (left.mantissa != right.mantissa).any(axis=0) | (left.exponent != right.exponent)
        if differs.any():
            record = int(np.flatnonzero(differs)[0])
            texts = _vector_text(left, record), _vector_text(right, record)
            return f"{left.name}, record {record}: expected {texts[0]}, got {texts[1]}"
    return None


def _schedules(engine: ReferenceEngine) -> dict[str, tuple[Step, ...]]:
    schedules = {"likelihood": engine.program.likelihood.steps}
    if engine.circuit.structured:
        schedules["code"] = engine.program.code.steps
    return schedules


def _with_intervals(trace: Trace, lo: IntArray, hi: IntArray) -> Trace:
    """Put the interval ends in the place of INTERVAL steps' vectors."""
    columns = iter(range(lo.shape[1]))
    out: Trace = []
    for entry in trace:
        if isinstance(entry.step, Interval):
            column = next(columns)
            ends: Vector = (np.stack([lo[:, column], hi[:, column]]), np.zeros(len(lo), dtype=np.int64))
            entry = TraceEntry(entry.schedule, entry.index, entry.step, *ends)
        out.append(entry)
    return out


def _vector_text(entry: TraceEntry, record: int) -> str:
    values = entry.mantissa[:, record].tolist()
    text = ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")
    return f"[{text}] * 2^{entry.exponent[record]}"
