"""Schedules: the programs of steps that every engine replays, and what their numbers can become."""

from pcedge.schedule.ranges import needed_widths
from pcedge.schedule.reevaluation import reevaluation_schedule
from pcedge.schedule.schedules import code_schedule, likelihood_schedule
from pcedge.schedule.steps import Op, Ref, Schedule, Step

__all__ = [
    "Op", "Ref", "Schedule", "Step", "code_schedule", "likelihood_schedule", "needed_widths", "reevaluation_schedule",
]  # fmt: skip
