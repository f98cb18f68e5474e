"""Commands of pcedge as a script runs them, in this process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from pcedge.cli import group


def run(*words: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(group, [str(word) for word in words])


def as_json(*words: object, status: int = 0) -> dict[str, Any]:
    """Run a command with `--json`, demand its exit status, and give what it says."""
    result = run(*words, "--json")
    assert result.exit_code == status, result.output
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed
