"""Evaluation: what integers lose against the float circuit. Statistics, never a test of equality."""

from pcedge.evaluate.evaluation import Evaluation, evaluate
from pcedge.evaluate.statistics import statistics

__all__ = ["Evaluation", "evaluate", "statistics"]
