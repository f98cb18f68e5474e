"""Fuzz every reader of foreign bytes, led by the branches it takes: python -m benchmarks.fuzz_readers --seconds 600.

atheris puts libFuzzer behind Python. Each reader of benchmarks/mutate.py has a process and an equal part of the time;
what is wrong with a case is what is wrong there: an error that is not typed, a hang, memory beyond the bound, content
that is not valid. With `--sealed` the inputs are taken apart, damaged, and put together with checksums made anew, and
what both engines read they must read alike.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import click

from pcedge.errors import MissingToolError, missing_extra
from pcedge.files import scratch

#: bytes in front of an input: the whole input that says what else is read, and which of its files this is
HEAD = 2
#: of so many inputs that are mutated one is taken apart with `--sealed`; the others only have their bytes changed
SEALED_IN = 2
#: seconds in which an input must be done, in C too
HANG_SECONDS = 60
#: the readers of `--sealed`, whose inputs have checksums or digests
SEALED = ("circuit", "onnx", "program", "stream", "predicted", "packets", "archive", "npz", "images")
#: those that run simulated hardware, which benchmarks/mutate.py tries
LEFT_OUT = ("image", "golden")


def target(name: str, words: list[str], *, sealed: bool) -> None:
    """Fuzz one reader in this process, which ends with it; the words are libFuzzer's."""
    import atheris

    with atheris.instrument_imports(include=["pcedge"]):
        from benchmarks.mutate import PARSERS
        from benchmarks.mutate_workers import judge, watch
        from benchmarks.mutated import Case, Parser

    parser: Parser = PARSERS[name]()
    folder = Path(os.environ["PCEDGE_FUZZ_SCRATCH"])
    parser.build(folder)
    parser.prepare(folder)

    def case_of(data: bytes) -> Case | None:
        """Read an input of the fuzzer: a whole input of which one file is another."""
        if len(data) < HEAD:
            return None
        source = parser.whole[data[0] % len(parser.whole)]
        if not source.files:
            return None
        names = sorted(source.files)
        changed = source.files | {names[data[1] % len(names)]: bytes(data[HEAD:])}
        return replace(source, files=changed, protected=False)

    def inputs(cases: Sequence[Case]) -> Iterator[bytes]:
        for case in cases:
            for number, file in enumerate(sorted(case.files)):
                yield bytes([case.source, number]) + case.files[file]

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        """Take an input apart and damage it, where it can be taken apart; else change bytes behind the head."""
        dice = Random(seed)
        case = case_of(data)
        if case is not None and dice.randrange(SEALED_IN) == 0:
            whole, parser.whole = parser.whole, [case]
            try:
                made = parser.damaged(dice)
            except Exception:  # an input that is no whole one any more
                made = None
            finally:
                parser.whole = whole
            found = [] if made is None else [one for one in inputs([made]) if one != data and len(one) <= most]
            if found:
                return found[0] if len(found) == 1 else dice.choice(found)
        return bytes(data[:HEAD]) + bytes(atheris.Mutate(data[HEAD:], max(1, most - HEAD)))

    def try_one(data: bytes) -> None:
        case = case_of(data)
        if case is None:
            return
        _, failures, _, _ = judge(parser, case)
        for failure in failures:
            print(f"{name}: {failure.kind}: {failure.error}\n{failure.traceback}", file=sys.stderr, flush=True)
            # Of Python's exceptions libFuzzer keeps the input.
            raise AssertionError(f"{name}: {failure.kind}: {failure.error}")

    seeds = folder / "seeds"
    seeds.mkdir()
    longest = 0
    for number, one in enumerate(inputs(parser.whole)):
        (seeds / f"{number:04}").write_bytes(one)
        longest = max(longest, len(one))
    watch((signal.SIGPROF,))
    replayed = any(not word.startswith("-") and Path(word).is_file() for word in words)
    argv = [sys.argv[0], *words, *([] if replayed else [str(seeds), f"-max_len={2 * longest + 1024}"])]
    # The whole inputs only follow the corpus, which is what is added to.
    atheris.Setup(argv, try_one, **({"custom_mutator": mutated} if sealed else {}))
    atheris.Fuzz()


def fuzz(
    name: str, corpus: Path, seconds: int, seed: int, *, sealed: bool, file: Path | None = None
) -> tuple[int, int]:
    """Fuzz one reader in a process of its own.

    Returns:
        Its exit status, and how many cases it ran.
    """
    own = corpus / name
    own.mkdir(parents=True, exist_ok=True)
    words = [str(file)] if file else [
        str(own), f"-max_total_time={seconds}", f"-seed={seed or 1}", f"-artifact_prefix={corpus}/found-{name}-",
        "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    words += [f"-timeout={HANG_SECONDS}", "-rss_limit_mb=8192"]
    # Libraries of linear algebra start threads, whose stacks count as memory.
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with scratch() as folder:
        environment["PCEDGE_FUZZ_SCRATCH"] = str(folder)
        call = f"from benchmarks.fuzz_readers import target; target({name!r}, {words!r}, sealed={sealed})"
        done = subprocess.run(
            [sys.executable, "-c", call],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    ran = re.findall(r"stat::number_of_executed_units: *(\d+)", done.stderr)
    if done.returncode:
        click.echo(re.sub("^INFO: Instrumenting.*\n", "", done.stderr, flags=re.MULTILINE)[-6000:], err=True)
    return done.returncode, int(ran[-1]) if ran else 0


def readers(chosen: str, *, sealed: bool) -> list[str]:
    """Name the readers to fuzz.

    Raises:
        MissingToolError: atheris is missing.
        click.UsageError: there is no such reader, or the one that is named needs what is not installed.
    """
    if not importlib.util.find_spec("atheris"):
        raise missing_extra("atheris", "fuzz", "fuzzing of the readers")
    from benchmarks.mutate import PARSERS, parsers_of

    if chosen != "all":
        if chosen not in PARSERS:
            raise click.UsageError(f"--reader must be one of {', '.join(PARSERS)} or all, got {chosen}")
        return [parser.name for parser in parsers_of(chosen)]
    names = [parser.name for parser in parsers_of("all") if parser.name not in LEFT_OUT]
    return [name for name in names if name in SEALED] if sealed else names


@click.command()
@click.option("--reader", "chosen", default="all", show_default=True, help="As --parser of benchmarks.mutate.")
@click.option("--seconds", type=click.IntRange(1), default=600, show_default=True, help="Of all readers together.")
@click.option("--sealed", is_flag=True, help="Damage the structure, and make checksums anew.")
@click.option(
    "--corpus", type=click.Path(file_okay=False, path_type=Path), default=Path("build/fuzz-readers"), show_default=True,
    help="Inputs that took new branches, kept for the next run; and found-…, those that failed.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Run this input alone.")
def main(chosen: str, seconds: int, sealed: bool, corpus: Path, seed: int, file: Path | None) -> None:
    """Fuzz the readers of foreign bytes."""
    try:
        names = readers(chosen, sealed=sealed)
    except MissingToolError as error:
        raise click.ClickException(str(error)) from error
    if file is not None and chosen == "all":
        raise click.UsageError("--file must come with --reader NAME")
    failed = 0
    for name in names:
        status, cases = fuzz(name, corpus, max(1, seconds // len(names)), seed, sealed=sealed, file=file)
        failed += status != 0
        kept = sum(1 for _ in (corpus / name).iterdir())
        click.echo(f"{name}: {cases} cases, {kept} kept, {f'FAILED ({status})' if status else 'nothing found'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
