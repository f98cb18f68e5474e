"""Schedules: the programs of steps that every engine replays (docs/program.md).

`likelihood_schedule` goes upward only. `code_schedule` walks the tree of regions depth first and keeps a context and an
inside vector for each region. Both are pure functions of the circuit and its coding order.
"""

from __future__ import annotations

from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.steps import Schedule
from pcedge.schedule.tables import likelihood_table, to_schedule
from pcedge.schedule.walk import code_table


def likelihood_schedule(circuit: IntegerCircuit) -> Schedule:
    """List the steps that give the root's value: every layer once, children before parents."""
    return to_schedule(circuit, likelihood_table(circuit), circuit.tails)


def code_schedule(circuit: IntegerCircuit, given: tuple[int, ...] = ()) -> Schedule:
    """List the steps that code every variable once, in coding order, but for those that are given.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
    """
    return to_schedule(circuit, code_table(circuit, given=given))
