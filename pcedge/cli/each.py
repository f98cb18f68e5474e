"""One command for many files: a stream for each file of folders and globs, and back, under their own names."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import DataPath, ModelPath, PipedPath
from pcedge.cli.output import Command, Result, counted, leave, options_given, progress
from pcedge.cli.paths import unwatched
from pcedge.cli.streams import say, say_ended, why
from pcedge.data.forms import SUFFIXES
from pcedge.data.readers import DIGITS, KNOWN, split_name
from pcedge.errors import DataError, PcedgeError
from pcedge.export import zoo

#: what ends the name of a stream
SUFFIX = ".pce"

#: seconds between two lines of progress off a terminal
EVERY = 10.0

_META = "pcedge.each"


class _Globbed(PipedPath):
    """Take a glob such as 'data/**/*.npy' too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let globs that match something through."""
        if is_glob(value):
            if not any(True for _ in _matches(value)):
                self.fail(f"no file is named as {value!r} says", param, ctx)
            return value
        return super().convert(value, param, ctx)


class _Data(_Globbed, DataPath):
    """Take what `DataPath` does, or a glob."""


class _FileOrFolder(PipedPath):
    """Take a file that is written, or a folder for many; a name that ends in / is one of a folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Keep that a name is one of a folder, which a path forgets."""
        text = os.fspath(value)
        if ctx is not None and text.endswith(("/", os.sep)):
            ctx.meta[_META] = True
        return super().convert(value, param, ctx)


class _ModelOrStreams(ModelPath):
    """Take a circuit, or what holds streams, which name theirs."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let folders, globs and stdin through."""
        if os.path.isdir(value) or is_glob(value) or value == "-":
            return STREAMS.convert(value, param, ctx)
        return super().convert(value, param, ctx)


#: what encode and decode read, and what they write
DATA = _Data(exists=True, allow_dash=True)
STREAMS = _Globbed(exists=True, allow_dash=True)
CIRCUIT_OR_STREAMS = _ModelOrStreams(exists=True)
OUT = _FileOrFolder(path_type=Path, allow_dash=True)


def is_glob(value: Any) -> bool:
    """Tell a glob from the name of something."""
    text = str(value)
    return glob.has_magic(text) and not os.path.exists(text) and not os.path.exists(split_name(text)[0])


def _matches(pattern: str) -> Iterator[str]:
    """Give the files that a glob names."""
    file, name = split_name(pattern)
    rest = "" if name is None else f"::{name}"
    return (f"{path}{rest}" for path in glob.iglob(str(file), recursive=True) if _is_file(path))


def _is_file(path: str) -> bool:
    """Tell whether a name is that of a file, or of a link that leads nowhere, which is told as a failure."""
    return os.path.isfile(path) or (os.path.islink(path) and not os.path.exists(path))


def encoded_name(name: str) -> str:
    """Name the stream of a file.

    Example:
        >>> encoded_name("a/x.npy")
        'a/x.npy.pce'
    """
    return name + SUFFIX


def decoded_name(name: str, form: str | None = None) -> str:
    """Name the file of a stream: what was encoded, where that can be written, else with .npy or the format behind.

    Example:
        >>> [decoded_name(n) for n in ("a/x.npy.pce", "x.png.pce", "y.pce")], decoded_name("x.npy.pce", "csv")
        (['a/x.npy', 'x.png.npy', 'y'], 'x.csv')
    """
    plain = name.removesuffix(SUFFIX)
    stem, suffix = os.path.splitext(plain)
    meant = SUFFIXES.get(suffix.lower())
    if form is not None and meant is not None and meant != form:
        return f"{stem}.{form}"
    if meant is None and suffix.lower() in KNOWN:
        return f"{plain}.{form or 'npy'}"
    return plain


class EachCommand(Command):
    """Do for each file of folders and globs what a command does for one.

    Args:
        source: the parameter that names the files; it takes many words.
        streams: whether they are streams, else what streams are made of.
        alone: options that go with one file only, by their parameters, as they are written.
    """

    def __init__(self, *args: Any, source: str, streams: bool, alone: dict[str, str], **kwargs: Any) -> None:
        """Add the options of many files."""
        super().__init__(*args, **kwargs)
        self.source, self.streams, self.alone = source, streams, alone
        self.params += [
            click.Option(["--again"], is_flag=True, help="Of many files, do those too that are complete."),
            click.Option(["--fail-fast"], is_flag=True, help="Of many files, stop at the first that fails."),
        ]

    def work(self, ctx: click.Context) -> Any:
        """Do the one file, or each of many."""
        again, fail_fast = ctx.params.pop("again"), ctx.params.pop("fail_fast")
        if self.streams:
            _find_streams(ctx, self.source)
        words, out = ctx.params[self.source], ctx.params["out"]
        many = _META in ctx.meta or len(words) > 1 or is_glob(words[0])
        many = many or (os.path.isdir(words[0]) and (self.streams or out.is_dir()))
        if not many:
            if out.is_dir():
                raise click.UsageError(
                    f"the output must be a file, {out} is a directory; {out}/ takes files by their names"
                )
            if wrong := options_given("again", "fail_fast"):
                raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a folder that many files go to")
            ctx.params[self.source] = words[0]
            try:
                return super().work(ctx)
            except DataError as error:
                if os.path.isdir(words[0]):
                    raise DataError(f"{error}; {out}/ as the output takes every file by itself") from error
                raise
        if DIGITS in words and not os.path.exists(DIGITS):
            raise click.UsageError(f"what many files are made of must be files, {DIGITS} is the name of shipped data")
        if wrong := options_given(*self.alone):
            raise click.UsageError(f"{self.alone[wrong[0]]} must go with one file, not with many")
        if out.exists() and not out.is_dir():
            raise click.UsageError(f"what many files go to must be a folder, {out} is none")
        return self._each(ctx, self._places(words, out, ctx.params.get("name")), out, again, fail_fast)

    def _places(self, words: tuple[str, ...], out: Path, form: str | None) -> list[tuple[str, Path]]:
        """Give the files that are read, and for each the one that is written.

        Raises:
            click.UsageError: there are none, or two would be written to one place.
        """
        named: Callable[[str], str] = (lambda name: decoded_name(name, form)) if self.streams else encoded_name
        places: dict[Path, str] = {}
        for path, name in (found for word in words for found in self._files(word)):
            place = out / named(name)
            if (other := places.setdefault(place, path)) != path:
                raise click.UsageError(f"every file must have a place of its own, {other} and {path} go to {place}")
        if not places:
            kind = "streams (.pce)" if self.streams else "files"
            raise click.UsageError(f"{' '.join(map(str, words))} must hold {kind}, there are none")
        return [(path, place) for place, path in places.items()]

    def _files(self, word: str) -> Iterator[tuple[str, str]]:
        """Give the files that a word stands for, in the order of their names, and their names below the folder OUT.

        Folders are taken with those in them; what is hidden, and what is neither file nor link, is left out. A folder
        that cannot be listed stands for itself, and fails.
        """
        if os.path.isdir(word):
            closed: list[OSError] = []
            for folder, inner, names in os.walk(word, onerror=closed.append):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    if not name.startswith(".") and _is_file(path) and name.endswith(SUFFIX) == self.streams:
                        yield path, os.path.relpath(path, word)
            yield from ((str(error.filename), os.path.relpath(error.filename, word)) for error in closed)
        elif is_glob(word):
            # The part before the first wildcard is where names begin.
            parts = Path(split_name(word)[0]).parts
            base = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
            real: set[tuple[str, str]] = set()
            for path in sorted(_matches(word), key=lambda path: (path.count(os.sep), path)):
                # Links that lead back make many names of a folder; the shortest one counts.
                folder, name = os.path.split(path)
                key = os.path.realpath(folder), name
                if path.endswith(SUFFIX) == self.streams and key not in real:
                    real.add(key)
                    yield path, os.path.relpath(path, base)
        else:
            yield word, os.path.basename(word)

    def _each(
        self, ctx: click.Context, places: list[tuple[str, Path]], out: Path, again: bool, fail_fast: bool
    ) -> Result:
        """Do the files; give what became of each."""
        if ctx.params["model"] is not None:  # what is wrong with the circuit is wrong for all
            open_coder(ctx.params["model"], ctx.params["engine_name"], ctx.params["threads"])
        done: list[dict[str, Any]] = []
        told = time.monotonic()
        try:
            with progress("files") as move:
                move(0, len(places))
                for path, place in places:
                    done.append(self._one(ctx, path, place, again))
                    move(len(done), len(places))
                    if not move.shown and time.monotonic() > told + EVERY:
                        told = time.monotonic()
                        say(f"{len(done)} of {len(places)} files, {path} was the last")
                    if done[-1]["status"] == "failed":
                        say(f"pcedge: {_why(done[-1], self.source)}")
                        if fail_fast:
                            break
        except (KeyboardInterrupt, SystemExit):
            say_ended(f"pcedge: stopped after {len(done)} of {len(places)} files; the same command goes on from there")
            leave(self._summed(done, len(places), out)[0])
            raise
        return self._summed(done, len(places), out)

    def _one(self, ctx: click.Context, path: str, place: Path, again: bool) -> dict[str, Any]:
        """Do one file; give what became of it."""
        file = split_name(path)[0]
        said: dict[str, Any] = {self.source: path, "out": str(place)}
        try:
            # The time of what is read marks what is written of it, once that is complete.
            changed = file.stat().st_mtime_ns
            if file.is_dir():
                raise DataError(f"the folder {path} must be one that can be listed")
            if not again and self._is_complete(ctx, place, changed):
                size = {} if self.streams else {"bytes": place.stat().st_size}
                return said | {"status": "complete", "exit": 0} | size
            _make_folder(place.parent)
            ctx.params[self.source], ctx.params["out"] = path, place
            result, _, status = super().work(ctx)
            os.utime(place, ns=(place.stat().st_atime_ns, changed))
            return {**said, **result, "status": "failed" if status else "written", "exit": status}
        except (PcedgeError, click.UsageError, OSError, MemoryError) as error:
            status = getattr(error, "exit_code", 1)
            text = error.format_message() if isinstance(error, click.UsageError) else str(error)
            text = why(error) if isinstance(error, OSError) else text
            return said | {"status": "failed", "error": type(error).__name__, "message": text, "exit": status}

    def _is_complete(self, ctx: click.Context, place: Path, changed: int) -> bool:
        """Tell whether a file is what a run like this one has made of what is read."""
        try:
            if place.stat().st_mtime_ns != changed:
                return False
        except OSError:
            return False
        if self.streams:
            return ctx.params.get("records") is None
        from pcedge.codec.complete import is_complete

        given, crc = ctx.params, ctx.params["packet_crc"]
        engine = open_coder(given["model"], given["engine_name"], given["threads"])
        with unwatched():
            return is_complete(
                engine, place, given["lanes"], given["index"], given["packet_bytes"], None if crc is None else int(crc)
            )

    def _summed(self, done: list[dict[str, Any]], count: int, out: Path) -> Result:
        """Sum up what became of many files."""
        of = {status: [e for e in done if e["status"] == status] for status in ("written", "complete", "failed")}
        result = {
            "out": str(out), "files": done, **{status: len(entries) for status, entries in of.items()},
            "left": count - len(done),
        }  # fmt: skip
        text = f"{out}: {counted(len(of['written']), 'file')} written, {len(of['complete'])} complete before"
        text += f", {len(of['failed'])} failed" if of["failed"] else ""
        text += f", {result['left']} left" if result["left"] else ""
        # Where all failed in one way, as of wrong usage, the status says so.
        statuses = {entry["exit"] for entry in of["failed"]}
        status = statuses.pop() if len(of["failed"]) == count and len(statuses) == 1 else int(bool(of["failed"]))
        return result, text, status


def _make_folder(path: Path) -> None:
    """Make the folder of an output.

    Raises:
        OSError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"{path} must be a folder, or one that can be made, it is not: {error.strerror}") from error


def _why(entry: dict[str, Any], source: str) -> str:
    """Say what was wrong with a file."""
    path, text = entry[source], str(entry.get("message", "failed"))
    return text if os.path.normpath(path) in text else f"{path}: {text}"


def _find_streams(ctx: click.Context, source: str) -> None:
    """Take the first word for streams where it is no circuit: the model is None then.

    Raises:
        click.MissingParameter: there are no streams.
    """
    from pcedge.codec import archive, container

    model = ctx.params["model"]
    if model in zoo() or not (os.path.isdir(model) or is_glob(model) or _holds(model, container.MAGIC, archive.MAGIC)):
        if not ctx.params[source]:
            raise click.MissingParameter(ctx=ctx, param=next(p for p in ctx.command.params if p.name == source))
        return
    ctx.params[source], ctx.params["model"] = (model, *ctx.params[source]), None


def _holds(path: str, *magics: bytes) -> bool:
    """Tell whether there is a file that begins with one of some bytes."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(max(map(len, magics))).startswith(magics)


def open_coder(model: str | None, name: str, threads: int, stream: str = "") -> Any:
    """Open the engine of the running command, once for all of its files; say what coding costs where it costs much.

    Args:
        model: the circuit; None takes that whose digest the stream names.
        name: of the engine.
        threads: its threads.
        stream: a file of a stream.

    Raises:
        UsageError: there is no such circuit.
        StreamError: the header of the stream is damaged.
    """
    from pcedge.cli.coding import say_how
    from pcedge.codec.decoder import StreamFile
    from pcedge.codec.registry import find_circuit
    from pcedge.native import open_engine

    held, key = click.get_current_context().meta, model
    if key is None:
        with contextlib.closing(StreamFile(stream)) as file:
            key = file.head.digest.hex()
    if _META + key not in held:
        engine = open_engine(read_integer(model) if model is not None else find_circuit(key), name, threads)
        say_how(engine)
        held[_META + key] = engine
    return held[_META + key]
