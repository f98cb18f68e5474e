"""Verification: the equality ladder, traces, projects, and evaluation beside them."""

from pcedge.verify.evaluation import Evaluation, evaluate
from pcedge.verify.ladder import LadderReport, verify
from pcedge.verify.project import Project
from pcedge.verify.statistics import statistics

__all__ = ["Evaluation", "LadderReport", "Project", "evaluate", "statistics", "verify"]
