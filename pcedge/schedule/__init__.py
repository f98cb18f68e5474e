"""Schedules: the programs of steps that every engine replays, and what their numbers can become."""

from pcedge.schedule.program import Program
from pcedge.schedule.serialised import read_program, write_program
from pcedge.schedule.steps import Op, Ref, Schedule, Step

__all__ = ["Op", "Program", "Ref", "Schedule", "Step", "read_program", "write_program"]
