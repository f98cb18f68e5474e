"""The standard streams of a command, whatever they are: closed, full, of few characters."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO, cast

import click

#: what stands for signs that an encoding may lack; others are escaped
PLAIN = {"×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<="}


#: what is wrong where a stream that is open does not take what is written
FULL = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG, errno.EPIPE, errno.EINVAL, errno.EAGAIN)


class _Plain:
    """Write text as it is: where an encoding is ASCII, click writes UTF-8 to the buffer, which this has not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


class _Messages(_Plain):
    """Write messages; where that fails, they are lost: it is no reason to stop."""

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            _discard(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _discard(self._stream)


def prepare() -> None:
    """Let stdout and stderr take every text, and keep the numbers of closed streams from files that are opened.

    What is written to a closed stdout fails, to a closed stderr is lost.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # the least free number is this one
    # Python has none for closed ones.
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
    codecs.register_error("pcedge", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="pcedge")
    sys.stdout, sys.stderr = cast(TextIO, _Plain(sys.stdout)), cast(TextIO, _Messages(sys.stderr))


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write signs that an encoding lacks, and bytes of names that are no text, in ASCII."""
    if isinstance(error, UnicodeEncodeError) and (substitute := PLAIN.get(error.object[error.start])):
        return substitute, error.start + 1
    return codecs.backslashreplace_errors(error)


def say(text: str) -> None:
    """Write a line to stderr."""
    click.echo(text, err=True)


def unwritable(name: object, error: OSError) -> str:
    """Say that a stream or device does not take what is written."""
    return f"{name} must take what is written to it, it does not: {error.strerror or error}"


def finish(status: int) -> int:
    """Write what streams hold back; give the exit status, which is 1 where stdout does not take it."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if not status:
            say(f"pcedge: {unwritable('stdout', error)}")
            status = 1
    sys.stderr.flush()
    return status


def _discard(stream: TextIO) -> None:
    """Let a stream's text vanish, also what it holds back: Python would try to write that at its end, and complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
