"""Plans of small projects."""

from __future__ import annotations

from pcedge.export.project.directory import ProjectPlan, plan_project

FORMAT = {
    "format": "pcedge-project", "digest": "0" * 64, "variables": 1, "golden_records": 1,
    "steps": {"likelihood": 1, "code": 1},
}  # fmt: skip


def plan_of(name: str) -> ProjectPlan:
    """Make a plan of some files of its own and some that all plans have."""
    names = [f"src/{name}{number}.txt" for number in range(20)] + [f"golden/{number}.bin" for number in range(20)]
    return plan_project(FORMAT, {file: name.encode() * 99 for file in names})
