"""Verification: the equality ladder, traces, and projects seen from Python."""

from pcedge.verify.ladder import LadderReport, verify
from pcedge.verify.project import Project

__all__ = ["LadderReport", "Project", "verify"]
