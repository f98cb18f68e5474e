"""Completion of the command line by a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from pcedge.cli.output import Command, Result

SHELLS = ("bash", "zsh", "fish")


def rungs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of some rungs with commas between them."""
    from pcedge.verify.ladder import MORE_RUNGS, RUNGS

    before, comma, last = incomplete.rpartition(",")
    left = [name for name in (*RUNGS, *MORE_RUNGS) if name.startswith(last) and name not in before.split(",")]
    return [CompletionItem(before + comma + name) for name in left]


def targets(*more: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete the names of targets, of more that a command takes in their place, and of files."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pcedge.export import targets as known

        return begun((*known(), *more), incomplete)

    return complete


def devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of devices and boards of the open flow, and of files."""
    from pcedge.export.open_target import open_targets

    return begun(open_targets(), incomplete)


def begun(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Give the names that begin as a word does, and the files that do."""
    return [*(CompletionItem(n) for n in names if n.startswith(incomplete)), CompletionItem(incomplete, type="file")]


@click.command(cls=Command, example='eval "$(pcedge completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Result:
    """Print what a shell must read to complete commands, options and files of pcedge."""
    from pcedge.cli import COMPLETE, group

    found: Any = get_completion_class(shell)
    script = found(group, {}, "pcedge", COMPLETE).source()
    return {"shell": shell, "script": script}, script, 0
