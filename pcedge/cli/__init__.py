"""The command line: `pcedge COMMAND --help` shows an example of each."""

from __future__ import annotations

import os
import signal
import sys

import click

from pcedge import __version__
from pcedge.cli import streams
from pcedge.cli.output import INTERRUPTED, TERMINATED, show_error
from pcedge.cli.table import LazyGroup

#: by this variable a shell asks for completions
COMPLETE = "_PCEDGE_COMPLETE"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pcedge")
def group() -> None:
    """Take a trained probabilistic circuit to verified integer hardware.

    Exit status: 0 fine, 1 mismatch or bad data, 2 wrong usage, 3 a tool or extra is missing, 130
    interrupted, 143 terminated.
    """


def _in_a_line(error: click.ClickException) -> str:
    """Write an error of click as all others are written, and where its command's help is."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return text if context is None else f"{text}; {context.command_path} --help shows what it takes"


def _ended(how: str, status: int) -> int:
    """Say that a signal has ended the command; give its exit status."""
    streams.say_ended(f"pcedge: {how}")
    if "--json" in sys.argv:
        show_error(how.capitalize(), how, status)
    return status


def main() -> None:
    """Run the command line."""
    if COMPLETE in os.environ:  # a shell asks, which takes the words as click writes them
        group.main(prog_name="pcedge")
    # As an exception it lets temporary files be removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    streams.prepare()
    try:
        status = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        status = _ended("interrupted", INTERRUPTED)
    except click.ClickException as error:
        status = error.exit_code
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # of click 8.2 on
            error.show()
        else:
            streams.say(f"pcedge: {_in_a_line(error)}")
        if "--json" in sys.argv:
            show_error(type(error).__name__, error.format_message(), status)
    except SystemExit as end:  # of a signal, or because the reader went away, as `| head` does
        status = _ended("terminated", TERMINATED) if end.code == TERMINATED else end.code
    except OSError as error:  # of --help and --version, or of a name that no file can have
        of_stdout = error.filename is None and error.errno in streams.FULL
        streams.say(f"pcedge: {streams.unwritable('stdout', error) if of_stdout else streams.why(error)}")
        status = 1
    sys.exit(streams.finish(status if isinstance(status, int) else 0))
