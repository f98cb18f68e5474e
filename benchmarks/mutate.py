"""Mutate inputs of every reader and count what goes wrong: python -m benchmarks.mutate --parser NAME --count 10000.

A case is *unclean* where anything but a typed error comes out of the reader: another exception, a warning, a crash, a
hang. It is *silent* where damaged content is accepted: other content under a checksum that was not made anew, or
content that is not valid. It is over its *memory* where the reader takes more than the bound that is stated for it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.mutate_workers import Failure, Tally, make_case, run_cases
from benchmarks.mutated import Parser
from benchmarks.mutated_arrays import ARRAYS
from benchmarks.mutated_circuits import CIRCUITS
from benchmarks.mutated_codec import CODEC
from benchmarks.mutated_hardware import HARDWARE
from benchmarks.mutated_imports import IMPORTS
from benchmarks.mutated_runs import RUNS
from benchmarks.mutated_streams import STREAMS
from benchmarks.results import table, write_section

PARSERS: dict[str, type[Parser]] = {
    kind.name: kind for kind in (*CIRCUITS, *IMPORTS, *ARRAYS, *STREAMS, *CODEC, *RUNS, *HARDWARE)
}
KINDS = ("unclean", "silent", "memory")
COLUMNS = ["parser", "cases", "accepted", "refused", *KINDS, "peak, MiB", "allowed, MiB", "CPU"]
LEGEND = (
    "Damaged inputs of every reader, checksums made anew in part. *Unclean*: anything but a typed error came out; "
    "*silent*: damaged content was accepted; *memory*: more was taken than is stated (SECURITY.md). *Peak*: the most "
    "that a case took above an idle process, beside what that case is allowed. *CPU* includes making the cases and "
    "checking what was accepted."
)


def parsers_of(name: str) -> list[Parser]:
    """Make the parsers of a name.

    Raises:
        click.UsageError: the one that is named needs what is not installed; of all, such ones are left out.
    """
    chosen = []
    for kind in PARSERS.values() if name == "all" else [PARSERS[name]]:
        missing = [module for module in kind.modules if not importlib.util.find_spec(module)]
        missing += [program for program in kind.programs if not shutil.which(program)]
        if missing and name != "all":
            raise click.UsageError(f"{kind.name} needs {', '.join(missing)}")
        if missing:
            click.echo(f"{kind.name} is left out: it needs {', '.join(missing)}", err=True)
        else:
            chosen.append(kind())
    return chosen


def rows_of(tallies: dict[str, Tally]) -> list[list[str]]:
    """Make a row a parser."""
    return [
        [
            name, str(tally.cases), str(tally.accepted), str(tally.refused),
            *(str(tally.count(kind)) for kind in KINDS), f"{tally.peak / 2**20:.0f}", f"{tally.allowed / 2**20:.0f}",
            f"{tally.seconds:.0f} s",
        ]
        for name, tally in tallies.items()
    ]  # fmt: skip


def show_failures(name: str, tally: Tally) -> None:
    """Group failures by their cause; give numbers of cases, and one traceback with `--case`."""
    causes: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in tally.failures:
        causes.setdefault((failure.kind, re.sub("[0-9]+", "0", failure.error)[:40], failure.where), []).append(failure)
    for (kind, _, where), cases in sorted(causes.items(), key=lambda cause: -len(cause[1])):
        numbers = ", ".join(str(failure.case) for failure in cases[:5]) + (", …" if len(cases) > 5 else "")
        click.echo(f"{name}: {kind}, {len(cases)} cases ({numbers}): {where}\n    {cases[0].error}")


@click.command()
@click.option("--parser", "name", type=click.Choice([*PARSERS, "all"]), default="all", show_default=True)
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="Cases of each parser.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--case", type=click.IntRange(0), help="Run this case alone and show its traceback.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="With --case: keep its files here.")
@click.option("--unlimited", is_flag=True, help="Without limits of memory: what else is wrong.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--table", "as_table", is_flag=True, help="Write the section of docs/results.md.")
def main(
    name: str, count: int, seed: int, case: int | None, keep: Path | None, unlimited: bool, workers: int, as_json: bool,
    as_table: bool,
) -> None:  # fmt: skip
    """Mutate inputs of a reader, and count what is unclean, silent or over its memory."""
    # Libraries of linear algebra start threads, whose stacks count as memory.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    parsers = parsers_of(name)
    for parser in parsers if unlimited else ():
        parser.limited = False
    if case is not None and name == "all":
        raise click.UsageError("--case must come with --parser NAME")
    if keep is not None:
        if case is None:
            raise click.UsageError("--keep must come with --case")
        keep_case(parsers[0], case, seed, keep)
    tallies = run_cases(parsers, range(count) if case is None else [case], seed, workers)
    for own, tally in tallies.items():
        if not as_json:
            show_failures(own, tally)
        if case is not None:
            for failure in tally.failures:
                click.echo(failure.traceback)
    rows = rows_of(tallies)
    if as_json:
        click.echo(json.dumps({own: tally.as_dict() for own, tally in tallies.items()}))
    else:
        click.echo("\n".join(table(COLUMNS, rows)))
    if as_table:
        command = f"python -m benchmarks.mutate --parser {name} --count {count} --seed {seed} --table"
        write_section("Mutation", command, [LEGEND, "", *table(COLUMNS, rows)])
    sys.exit(1 if any(tally.failures for tally in tallies.values()) else 0)


def keep_case(parser: Parser, case: int, seed: int, folder: Path) -> None:
    """Write the files of a case, so that it can be tried by hand."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = [Path(scratch) / part for part in ("built", "own")]
        for part in parts:
            part.mkdir()
        parser.build(parts[0])
        parser.prepare(parts[1])
        made = make_case(parser, case, seed)
    for name, data in made.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    click.echo(f"{parser.name}, case {case}: made of whole input {made.source}, options {made.options!r}", err=True)


if __name__ == "__main__":
    main()
