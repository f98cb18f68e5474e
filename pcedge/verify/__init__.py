"""Verification: the equality ladder, traces, and projects seen from Python."""

from pcedge.verify.ladder import LadderReport, verify
from pcedge.verify.ladder import verify as verify_ladder
from pcedge.verify.project import Project

__all__ = ["LadderReport", "Project", "verify", "verify_ladder"]
