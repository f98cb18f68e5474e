"""What commands have in common: results for people and machines, progress on stderr, files written whole."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from pcedge.cli import paths, streams
from pcedge.errors import PcedgeError, ToolError
from pcedge.files import replacing, scratch

if TYPE_CHECKING:  # rich takes longer to import than most commands take
    from rich.console import Console
    from rich.progress import SpinnerColumn
    from rich.table import Table

#: what a command gives: its result for machines, for people, and the exit status
Result = tuple[dict[str, Any], Any, int]

#: forms in which commands write arrays that are no data
ARRAYS = ("npy", "csv", "tsv")

#: exit statuses of a command that a signal ended: 128 + its number
INTERRUPTED, TERMINATED = 130, 143


class Command(click.Command):
    """Add `--json` to a command, show its example, and turn errors into exit statuses."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        """Keep the example for the help text."""
        self.example = example
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object on stdout, for machines.")
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the example."""
        with formatter.section("Example"):
            formatter.write_text(self.example)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; it gives its result, which is printed in one place."""
        global _on_stderr
        as_json = ctx.params.pop("as_json")
        _on_stderr = paths.takes_stdout(ctx)
        _left.clear()
        names, piped = paths.named(ctx), dict[str, str]()
        try:
            with paths.watched(ctx, piped):
                result, text, status = self.work(ctx)
            _show(json.dumps(_unsigned(result), allow_nan=False) if as_json else text, names)
        except BrokenPipeError:
            raise
        except PcedgeError as error:
            _fail(error, error.exit_code, as_json, piped)
        except (OSError, MemoryError) as error:
            _fail(error, 1, as_json, piped)
        if status:
            ctx.exit(status)

    def work(self, ctx: click.Context) -> Any:
        """Do what the command is there for; give its result."""
        return super().invoke(ctx)


def _unsigned(value: Any) -> Any:
    """Take the sign from zeros: a figure that is rounded to nothing, or negated, has none."""
    if isinstance(value, dict):
        return {key: _unsigned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unsigned(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value


#: whether results go to stderr, because stdout takes what a command writes
_on_stderr = False


def _show(text: Any, names: list[str]) -> None:
    """Print a result: one text, or texts and tables, in which there are names of files."""
    try:
        if isinstance(text, str):
            click.echo(streams.printable(text, names), err=_on_stderr)
        else:
            _show_blocks(text, names)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(streams.unwritable("stdout", error)) from error


def _show_blocks(blocks: Iterable[Any], names: list[str]) -> None:
    """Print texts and tables."""
    from rich.console import Console

    # Brackets and colons in names are no markup.
    console = Console(stderr=_on_stderr, markup=False, emoji=False, highlight=False)
    width = console.width
    for block in blocks:
        if isinstance(block, str):
            click.echo(streams.printable(block, names), err=_on_stderr)
        else:
            console.width = max(width, _least_width(block))
            console.print(block)


def _least_width(block: Table) -> int:
    """Say which width a table must have, so that no word or number in it is broken."""
    return sum(column.min_width or 0 for column in block.columns) + 3 * len(block.columns) + 1


#: what a command that a signal ends has done
_left: dict[str, Any] = {}


def leave(result: dict[str, Any]) -> None:
    """Keep what a command has done before a signal ends it, for `show_error`."""
    _left.update(result)


def show_error(error: str, message: str, status: int) -> None:
    """Print an error for machines, where a result would stand, with what was done before."""
    said = {"error": error, "message": message, "exit": status} | _unsigned(_left)
    with contextlib.suppress(OSError):
        click.echo(json.dumps(said, allow_nan=False), err=_on_stderr)


def _fail(error: BaseException, status: int, as_json: bool, piped: dict[str, str]) -> NoReturn:
    text = str(error) or type(error).__name__
    if isinstance(error, OSError):
        text = streams.why(error)
    for file, name in piped.items():
        text = text.replace(file, name)
    if as_json:
        show_error(type(error).__name__, text, status)
    streams.say(f"pcedge: {text}", lines=isinstance(error, ToolError))
    raise click.exceptions.Exit(status)


def spinner(console: Console) -> SpinnerColumn:
    """Make what turns while a command works, of signs that the console has."""
    from rich.progress import SpinnerColumn

    return SpinnerColumn("line" if console.options.ascii_only else "dots")


#: whether a progress bar is there
_moving = False


@contextlib.contextmanager
def progress(label: str) -> Iterator[Any]:
    """Show a progress bar on stderr, one at a time; gives a function (done, total) that moves it.

    Its attribute `shown` says whether there is a terminal that shows it.
    """
    global _moving
    if _moving:  # a terminal has one line for bars
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = (
        spinner(console), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=None)

        def move(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        _moving, move.shown = True, console.is_terminal  # type: ignore[attr-defined]
        try:
            yield move
        finally:
            _moving = False


def in_words(value: object) -> str:
    """Write a value of a result for people."""
    if isinstance(value, float):
        return f"{value:z.4f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def counted(number: int, noun: str) -> str:
    """Write how many there are of something, as 1 lane, 2 lanes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def announce(text: str) -> None:
    """Say on stderr what is being done."""
    streams.say(f"{text} …")


def warn(text: str) -> None:
    """Warn on stderr."""
    streams.say(f"pcedge: warning: {text}")


#: parts of the memories that hold a circuit, and the parts of these
PARTS = {
    "weights": ("row_table",), "tables": (), "leaves": (), "variables": (), "indices": (),
    "programs": ("likelihood_program", "code_program", "operands", "dictionaries"),
}  # fmt: skip

#: the sum of these memories, read-only or loaded, in words
SUMS = {"rom": "ROM", "loaded": "loaded memories"}


def memory_in_words(memory: dict[str, int]) -> str:
    """Write the bits of memories: the circuit's first, parts in parentheses, parts of parts in brackets, then the RAM.

    Args:
        memory: bits of every memory; their sum is `rom` or `loaded`.
    """

    def kbit(name: str) -> str:
        shown = "of both: dictionaries" if name == "dictionaries" else name.replace("_", " ")
        return f"{shown} {memory[name] / 1000:z.3f}"

    within = {
        name: ", ".join(kbit(detail) for detail in details if memory.get(detail)) for name, details in PARTS.items()
    }
    listed = ", ".join(kbit(name) + (f" [{within[name]}]" if within[name] else "") for name in PARTS if memory[name])
    known = {*SUMS, *PARTS, *(detail for some in PARTS.values() for detail in some)}
    ram = ", ".join(kbit(name) for name in memory if name not in known)
    total = next(name for name in SUMS if name in memory)
    return f"{SUMS[total]} {memory[total] / 1000:z.3f} kbit ({listed}); RAM, kbit: {ram}"


def options_given(*names: str) -> list[str]:
    """Give which of some options of the running command are on its command line, not left to their defaults."""
    context = click.get_current_context()
    return [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def must_come_with(option: str, present: bool, *names: str, without: tuple[str, ...] = ()) -> None:
    """Refuse options that have no effect: some go with another option only, some without it only.

    Raises:
        click.UsageError: one of `names` is there and the option is not, or both it and one of `without` are.
    """
    if present and (wrong := options_given(*without)):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must come without {option}, which settles it")
    if not present and (wrong := options_given(*names)):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must come with {option}")


def table(title: str, columns: list[str], rows: list[list[object]], whole: bool = False) -> Table:
    """Make a table; numbers stand right, no word is broken, and with `whole` the first column is in one line."""
    from rich.cells import cell_len
    from rich.table import Table

    block = Table(title=title, title_justify="left")
    shown = [[f"{cell:z.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        right = bool(rows) and all(isinstance(row[number], int | float) or row[number] == "" for row in rows)
        cells = [texts[number] for texts in shown]
        in_one = whole and not number
        words = cells if in_one else [word for cell in cells for word in cell.split()]
        least = max(map(cell_len, [*column.split(), *words]))
        # rich takes from a column that gives way more than its least width, where others could give more.
        block.add_column(
            column, justify="right" if right else "left", overflow="fold", no_wrap=in_one, min_width=least,
            width=least if right else None,
        )  # fmt: skip
    for texts in shown:
        block.add_row(*texts)
    return block


def save_array(path: Path, array: Any) -> None:
    """Write an array to a file that is whole or not there: a table where its suffix says so, else a .npy file.

    numpy writes to an open file through the C library, which loses the error of the last bytes on a full disk.
    """
    from pcedge.data.forms import SUFFIXES, form_of, write

    data = write(form_of(SUFFIXES.get(path.suffix.lower(), "npy"), array), array)
    with whole_file(path) as fresh:
        fresh.write_bytes(data)


def save_table(path: Path, form: str, rows: list[list[Any]]) -> None:
    """Write rows of cells, texts in quotes where they need them, as `csv` or `tsv`."""
    from pcedge.codec.files import table_bytes

    data = table_bytes(form, rows)
    with whole_file(path) as fresh:
        fresh.write_bytes(data)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file takes its place when it is complete, and an older one stays until then.

    A link's target is written, and what is no regular file (a pipe, a device, /dev/stdout) is written to, not replaced.

    Raises:
        click.UsageError: the folder does not exist, or the path is a folder or one of the command's inputs.
    """
    if path.is_dir():
        raise click.UsageError(f"the output must be a file, {path} is a folder")
    if paths.is_special(path):
        with scratch() as folder:
            fresh = folder / "output"
            yield fresh
            paths.copy_to(fresh, path)
        return
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise click.UsageError(f"the folder of {path} must exist")
    paths.refuse_input(path)
    with replacing(path) as fresh:
        yield fresh
        paths.refuse_input(path)  # what was read meanwhile


def mcu_line(core: str, figures: Mapping[str, Any]) -> str:
    """Say in a line what the program in C99 takes on a microcontroller."""
    counts = ", ".join(f"{count:,} {name}" for name, count in figures["instructions_per_symbol"].items())
    alone = figures.get("with_classify")
    classes = f"; {alone['instructions_per_record']:,} a class, {alone['rom_bytes']:,} bytes of ROM" if alone else ""
    return (
        f"{core}: {figures['rom_bytes']:,} bytes of ROM, {figures['ram_bytes']:,} of RAM, {figures['stack_bytes']:,} "
        f"of stack; instructions a symbol: {counts}{classes}"
    )
