"""The table of commands: it says what the commands are, and `pcedge --help` needs nothing else."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import click
import pytest

from pcedge.cli import group
from pcedge.cli.table import TABLE


@pytest.mark.parametrize("name", TABLE)
def test_the_table_says_what_a_command_is(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None and command.name == name
    assert click.Command(name, help=TABLE[name][2]).get_short_help_str(1000) == command.get_short_help_str(1000)


def test_an_unknown_command_is_none() -> None:
    assert group.get_command(click.Context(group), "nothing") is None


def test_help_imports_no_room_and_takes_little_time() -> None:
    script = (
        "import sys, json\n"
        "from pcedge.cli import group\n"
        "group.main(['--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not modules & {"numpy", "onnx", "rich", "torch"}
    rooms = {name for name in modules if name.startswith("pcedge.")}
    assert rooms <= {
        f"pcedge.{name}" for name in ("cli", "cli.output", "cli.paths", "cli.streams", "cli.table", "errors", "files")
    }
    for name in TABLE:
        assert f"\n  {name} " in done.stdout
    # 0.2 s here, of which Python itself takes a third; twice the bound of 0.25 s, for slower machines.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
