"""The files that a command reads and writes: no output replaces an input, and pipes serve as files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from pcedge.cli.streams import unwritable
from pcedge.errors import DataError, UsageError
from pcedge.files import descriptor_of, is_replaced, refuse_read_only, scratch

#: flags of an open file that is not there to be read
_WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

#: bytes that are copied from a pipe to the disk at most, where `pcedge.limits` bounds what readers keep in memory
MAX_PIPED = 1 << 32

#: names of the files that the running command has opened to read; None while none runs
_opened: set[str] | None = None
_listening = False


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    """Be told by Python of every file that is opened, whichever reader does it."""
    if event == "open" and _opened is not None:
        name, _, flags = arguments
        if isinstance(name, str) and isinstance(flags, int) and not flags & _WRITES:
            _opened.add(name)


@contextlib.contextmanager
def watched(context: click.Context, piped: dict[str, str]) -> Iterator[None]:
    """Run a command in the block: its inputs are kept, and those that are pipes become files that it can read twice.

    Args:
        context: the command with its parameters. Those of type `click.Path` are inputs where they must exist, else
            outputs; a folder stands for the files of the project in it.
        piped: filled with the name of each pipe, by that of the file that stands for it.

    Raises:
        click.UsageError: an output is one of the inputs, or two outputs are one file.
        UsageError: one pipe is given for two inputs.
        DataError: a pipe holds too much.
        OSError: it cannot be read, or an output is a read-only file.
    """
    global _opened, _listening
    if not _listening:
        sys.addaudithook(_listen)
        _listening = True
    _check(context)
    before, _opened = _opened, set()
    try:
        with contextlib.ExitStack() as stack:
            _take_pipes(context, piped, stack)
            yield
    finally:
        _opened = before


def _given(context: click.Context, exists: bool) -> Iterator[tuple[click.Parameter, str]]:
    """Give the paths among a command's parameters: inputs, which must exist, or outputs."""
    for parameter in context.command.params:
        if isinstance(parameter.type, click.Path) and parameter.type.exists == exists:
            value = context.params.get(str(parameter.name))
            for path in value if isinstance(value, tuple) else [value]:
                if path is not None:
                    yield parameter, os.fspath(path)


def named(context: click.Context) -> list[str]:
    """Give the names of the files that a command was given."""
    return [path for exists in (True, False) for _, path in _given(context, exists)]


def _check(context: click.Context) -> None:
    inputs: dict[object, str] = {}
    for _, path in _given(context, True):
        inputs |= {_identity(name): name for name in _files_of(path)}
    inputs.pop(None, None)
    outputs: dict[object, str] = {}
    for parameter, path in _given(context, False):
        refuse_read_only(Path(path))
        for name in _files_of(path):
            if (identity := _identity(name)) in inputs:
                _refuse(inputs[identity])
        option = next((text for text in parameter.opts if text.startswith("-")), str(parameter.name).upper())
        for key in (_identity(path), os.path.realpath(path)):
            other = outputs.setdefault(key, option) if key is not None else option
            if other != option:
                raise click.UsageError(f"{option} must be another file than {other}, both are {path}")


def _files_of(path: str) -> list[str]:
    """Give a file, or the files of the project in a folder."""
    if not os.path.isdir(path):
        return [path]
    from pcedge.export.project.manifest import MANIFEST

    manifest = os.path.join(path, MANIFEST)
    try:
        names = list(json.loads(Path(manifest).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        names = []
    return [manifest, *(os.path.join(path, name) for name in names if isinstance(name, str))]


def _identity(path: str) -> tuple[int, int] | None:
    """Tell which file a name means, links followed; None for what is not there or cannot be replaced."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # a damaged manifest may hold what is no name
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Look at outputs of an earlier run in the block: what it opens is no input."""
    global _opened
    before, _opened = _opened, None
    try:
        yield
    finally:
        _opened = before


def refuse_input(path: Path) -> None:
    """Refuse an output that is one of the files which the running command has opened to read, by any name.

    Raises:
        click.UsageError: it is.
    """
    if (identity := _identity(str(path))) is not None:
        for name in list(_opened or ()):
            if _identity(name) == identity:
                _refuse(name)


def _refuse(name: str) -> None:
    raise click.UsageError(f"the output must be another file than the input {name}")


def _take_pipes(context: click.Context, piped: dict[str, str], stack: contextlib.ExitStack) -> None:
    """Put files with the bytes of pipes in their places: circuits and data are read more than once, and in parts."""
    for parameter, path in list(_given(context, True)):
        if not _is_pipe(path):
            continue
        if path in piped.values():
            raise UsageError(f"an input must be another one than the others where it can be read once only, as {path}")
        file = stack.enter_context(scratch()) / (os.path.basename(path) or "pipe")
        with _open(Path(path), "rb") as source, file.open("wb") as target:
            if _copy(source, target, MAX_PIPED) > MAX_PIPED:
                raise DataError(f"{path} must hold {MAX_PIPED} bytes at most, it is a pipe with more")
        piped[str(file)] = path
        name = str(parameter.name)
        assert isinstance(parameter.type, click.Path)
        fresh = parameter.type.coerce_path_result(str(file))
        value = context.params[name]
        is_many = isinstance(value, tuple)
        context.params[name] = tuple(fresh if os.fspath(v) == path else v for v in value) if is_many else fresh


def _is_pipe(path: str) -> bool:
    """Tell what can be read once only, a pipe or a terminal.

    Raises:
        UsageError: it is another device, which may have no end.
    """
    try:
        kind = os.stat(path).st_mode
    except OSError:  # the name of something shipped
        return False
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        return True
    if not stat.S_ISCHR(kind) or os.path.realpath(path) == os.devnull:
        return False
    with open(path, "rb") as file:
        if not file.isatty():
            raise UsageError(f"an input must be a file, a folder or a pipe, {path} is a device")
    return True


def _copy(source: BinaryIO, target: BinaryIO, limit: int) -> int:
    count = 0
    while count <= limit and (block := source.read(1 << 20)):
        count += target.write(block)
    return count


def _open(path: Path, mode: str) -> Any:
    """Open what is no regular file; one that is open already is continued, wherever it is."""
    number = descriptor_of(path)
    return open(path if number is None else os.dup(number), mode)


def is_special(path: Path) -> bool:
    """Tell an output that is written to where it is, such as a pipe, from a file that is replaced.

    Raises:
        click.UsageError: it is the number of a file that is not open.
    """
    number = descriptor_of(path)
    if number is not None:
        try:
            os.fstat(number)
        except OSError as error:
            raise click.UsageError(f"the output must be open, {path} is not") from error
    return not is_replaced(path)


def copy_to(file: Path, path: Path) -> None:
    """Write a whole file to a pipe or device.

    Raises:
        BrokenPipeError: nobody reads the pipe any more.
        OSError: it does not take all.
    """
    try:
        with file.open("rb") as source, _open(path, "wb") as target:
            shutil.copyfileobj(source, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(unwritable(path, error)) from error


def takes_stdout(context: click.Context) -> bool:
    """Tell whether an output of a command goes to stdout, so that no text may."""
    return any(_is_stdout(Path(path)) for _, path in _given(context, False))


def _is_stdout(path: Path) -> bool:
    number = descriptor_of(path)
    if number == 1:
        return True
    try:
        status, stdout = os.stat(path) if number is None else os.fstat(number), os.fstat(1)
    except OSError:
        return False
    piped = stat.S_ISFIFO(stdout.st_mode) or stat.S_ISSOCK(stdout.st_mode)
    return os.path.samestat(status, stdout) and (piped or (number is not None and stat.S_ISREG(stdout.st_mode)))
