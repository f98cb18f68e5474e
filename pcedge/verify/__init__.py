"""Verification: the equality ladder, traces, projects, and statistics beside them."""

from pcedge.verify.ladder import LadderReport, verify
from pcedge.verify.project import Project
from pcedge.verify.statistics import statistics

__all__ = ["LadderReport", "Project", "statistics", "verify"]
