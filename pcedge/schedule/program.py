"""The program of a circuit: all that every back end reads of it, derived once (docs/program.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.evidence import check_given
from pcedge.schedule.ranges import Analysis, Leaves, analyse, needed_widths
from pcedge.schedule.reevaluation import reevaluation_schedule
from pcedge.schedule.schedules import code_schedule, likelihood_schedule
from pcedge.schedule.steps import Init, Schedule, Step, Zeros, zeros_of


@dataclass(frozen=True, eq=False)
class Schedules:
    """Hold the two schedules of a structure; weights and leaf tables have no part in them."""

    #: any circuit of the structure
    circuit: IntegerCircuit
    #: the variables that encoder and decoder know before a record is coded, ascending
    given: tuple[int, ...] = ()

    @cached_property
    def likelihood(self) -> Schedule:
        """Derive the likelihood schedule."""
        return likelihood_schedule(self.circuit)

    @cached_property
    def code(self) -> Schedule:
        """Derive the code schedule; a circuit that is not structured is evaluated anew after every variable."""
        schedule = code_schedule if self.circuit.structured else reevaluation_schedule
        return schedule(self.circuit, self.given)


@dataclass(frozen=True, eq=False)
class Program:
    """Hold a circuit with its two schedules, the widths that its numbers need, and its coding order.

    Each is derived when it is first asked for, and once: whoever needs more than one hands the program on.

    Example:
        >>> import numpy as np
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> program = Program.of(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> program.needed["accumulator"], len(program.likelihood.steps), Program.of(program) is program
        (13, 1, True)
    """

    circuit: IntegerCircuit
    schedules: Schedules

    @classmethod
    def of(cls, source: IntegerCircuit | Program) -> Program:
        """Make the program of a circuit; a program is given back as it is.

        Raises:
            UsageError: `source` is neither.
        """
        if isinstance(source, Program):
            return source
        if not isinstance(source, IntegerCircuit):
            raise UsageError(
                f"a program must be that of an integer circuit, which quantize makes, got {type(source).__name__}"
            )
        return cls(source, Schedules(source))

    def with_parameters(self, circuit: IntegerCircuit) -> Program:
        """Make the program of a circuit of the same structure, order and tails or none, which shares the schedules.

        Raises:
            UsageError: one has a likelihood with tails, the other has not.
        """
        if circuit.tails != self.circuit.tails:
            raise UsageError("circuits that share schedules must both have tails or neither, got one of each")
        return Program(circuit, self.schedules)

    def with_given(self, given: Sequence[int]) -> Program:
        """Make the program that codes all variables but those, which encoder and decoder know.

        Args:
            given: variables, in any order.

        Raises:
            UsageError: one is no variable of the circuit, or stands twice.
        """
        variables = check_given(self.circuit, given)
        return self if variables == self.given else Program(self.circuit, Schedules(self.circuit, variables))

    @property
    def given(self) -> tuple[int, ...]:
        """Give the variables that encoder and decoder know before a record is coded."""
        return self.schedules.given

    @cached_property
    def coded(self) -> list[int]:
        """List the places of the coding order whose variables are not given."""
        given = set(self.given)
        return [place for place, variable in enumerate(self.circuit.order) if variable not in given]

    def zeros(self, schedule: Schedule, step: Step) -> Zeros:
        """Tell what becomes of zeros in a step of one of the schedules."""
        tails = not isinstance(step, Init) and self.circuit.has_tails(step.layer)
        return zeros_of(step, schedule.keep, tails)

    @property
    def likelihood(self) -> Schedule:
        """Give the schedule of the likelihood: every layer once, children before parents."""
        return self.schedules.likelihood

    @property
    def code(self) -> Schedule:
        """Give the schedule that codes every variable once, in coding order, but for those that are given."""
        return self.schedules.code

    @cached_property
    def analyses(self) -> tuple[Analysis, Analysis]:
        """Bound what the steps of the likelihood and of the code schedule can hold."""
        leaves: Leaves = {}
        likelihood, code = (analyse(self.circuit, schedule, leaves) for schedule in (self.likelihood, self.code))
        return likelihood, code

    @cached_property
    def needed(self) -> dict[str, int]:
        """Compute the width in bits that the circuit's numbers need of every signal (docs/bounds.md)."""
        return needed_widths(self.circuit, self.analyses)
