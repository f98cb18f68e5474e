"""The standard streams of a command, whatever they are: closed, full, of few characters."""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

import click

#: what stands for signs that an encoding may lack; others are escaped
PLAIN = {"×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<="}


#: signs that a terminal acts on, but for tabs and the ends of lines
_ACTED_ON = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

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


def printable(text: str, names: Iterable[str] = ()) -> str:
    r"""Escape the signs that a terminal acts on, and the ends of lines in names of files.

    Example:
        >>> printable("a\nb.npy: 3 records\n\x1b[2J", ["a\nb.npy"])
        'a\\nb.npy: 3 records\n\\x1b[2J'
    """
    for name in names:
        text = text.replace(name, name.replace("\n", r"\n"))
    return _ACTED_ON.sub(lambda sign: rf"\x{ord(sign[0]):02x}", text)


def say(text: str, lines: bool = False) -> None:
    """Write a line to stderr, or the lines of what a tool said."""
    click.echo(printable(text, [] if lines else [text]), err=True)


def say_ended(text: str) -> None:
    """Say that a signal ends the command; where a terminal shows ^C, in its place."""
    start = "\r" if sys.stderr.isatty() else ""
    click.echo(start + printable(text, [text]), err=True)


def why(error: OSError) -> str:
    """Say which file a command could not read or write, and why."""
    if error.errno is None:  # it says so itself
        return str(error)
    name = "a file" if error.filename is None else os.fsdecode(error.filename)
    return f"{name} must be one that can be read or written, it is not: {error.strerror}"


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
