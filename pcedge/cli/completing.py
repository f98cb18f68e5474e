"""Completion of the command line by a shell."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from pcedge.cli.output import Command, Result

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, example='eval "$(pcedge completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Result:
    """Print what a shell must read to complete commands, options and files of pcedge."""
    from pcedge.cli import COMPLETE, group

    found: Any = get_completion_class(shell)
    script = found(group, {}, "pcedge", COMPLETE).source()
    return {"shell": shell, "script": script}, script, 0
