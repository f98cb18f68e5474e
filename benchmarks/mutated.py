"""What a mutated input is, and what every parser of inputs has in common."""

from __future__ import annotations

import contextlib
import gc
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.mutations import BYTES, Damage, damage

try:
    from pcedge.limits import BOUNDS, Bound
except ModuleNotFoundError:  # until the bounds of all readers are stated there

    @dataclass(frozen=True)
    class Bound:  # type: ignore[no-redef]
        """Bound the memory of a reader by the size of what it reads."""

        factor: int = 64
        ceiling: int = 1 << 32

        def allowance(self, size: int) -> int:
            """Give the bytes above an idle process that a file of so many bytes may take."""
            return min(max(64 << 20, self.factor * size), self.ceiling)

    BOUNDS: dict[str, Bound] = {}  # type: ignore[no-redef]

#: files of an input, by their names in its folder
Files = dict[str, bytes]

#: small inputs of every kind that other software wrote
DATA = Path(__file__).resolve().parent.parent / "tests/data"


@dataclass(frozen=True)
class Case:
    """Hold a mutated input."""

    files: Files
    #: number of the whole input that it was made of
    source: int
    #: its checksums are as they were: if it is accepted, its content must be that of the whole input
    protected: bool = False
    #: what the reader is told beside the files
    options: Any = None

    @property
    def size(self) -> int:
        """Count the bytes of all files."""
        return sum(map(len, self.files.values()))


class Parser:
    """Read one kind of input as users do, and judge what comes of it."""

    #: as in `--parser`
    name = ""
    #: its key in `pcedge.limits.BOUNDS`; None takes the name
    bound_name: str | None = None
    #: whether its memory is limited; not where another process does the work
    limited = True
    #: seconds of CPU in which it must have read
    seconds = 5.0
    #: seconds of the clock in which it must have read, where another process does the work
    wall: float | None = None
    #: modules and programs that it needs beside the core
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    folder: Path
    whole: list[Case]
    contents: list[Any]

    @property
    def bound(self) -> Bound:
        """Give the memory that it may take."""
        return BOUNDS.get(self.bound_name or self.name, Bound(64, 1 << 32))

    def build(self, folder: Path) -> None:
        """Make what takes long and all processes share, once."""

    def stop(self) -> object:
        """End other processes that do the work, when it is late."""

    def prepare(self, folder: Path) -> None:
        """Make the whole inputs and read each; so all that is imported on the way is there before memory is counted.

        Raises:
            RuntimeError: a whole input is not taken for what it is.
        """
        self.folder = folder
        self.whole = [Case(case.files, number, True, case.options) for number, case in enumerate(self.make())]
        self.contents = []
        for case in self.whole:
            self.place(case)
            self.contents.append(self.content(case, self.read(case)))
        for case in self.whole:
            self.place(case)
            wrong = self.wrong(case, self.read(case))
            if wrong:
                raise RuntimeError(f"{self.name}: the whole input {case.source} must be taken as it is: {wrong}")
        gc.collect()
        gc.freeze()

    @property
    def place_of_files(self) -> Path:
        """Give the folder that a case lies in."""
        return self.folder / "case"

    def place(self, case: Case) -> None:
        """Write a case's files, and nothing else, into their folder."""
        shutil.rmtree(self.place_of_files, ignore_errors=True)
        for name, data in case.files.items():
            path = self.place_of_files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def make(self) -> Sequence[Case]:
        """Make whole inputs, small ones and of every form."""
        raise NotImplementedError

    def damaged(self, dice: Random) -> Case:
        """Damage a whole input."""
        raise NotImplementedError

    def read(self, case: Case) -> Any:
        """Read the case that is in its place; only typed errors may come."""
        raise NotImplementedError

    def content(self, case: Case, found: Any) -> Any:
        """Give what was read in a form that can be compared."""
        raise NotImplementedError

    def fault(self, case: Case, found: Any) -> str | None:
        """Say what is wrong with what was accepted; None where it is valid."""
        return None

    def wrong(self, case: Case, found: Any) -> str | None:
        """Say what is silently wrong with an accepted case."""
        # A splice may leave another whole input.
        if case.protected and self.content(case, found) not in self.contents:
            return "accepted with other content, though its checksum was not made anew"
        return self.fault(case, found)


def resealed(seal: Callable[[], bytes], data: bytes) -> bytes:
    """Give what `seal` makes, or the data as they are where it fails: then there is nothing to seal."""
    with contextlib.suppress(Exception):
        return seal()
    return data


def damage_one(case: Case, dice: Random, whole: Sequence[Case], kinds: Sequence[Damage] = BYTES) -> Files:
    """Damage one file of a case by its bytes; parts come from files of the same suffix."""
    name = dice.choice(sorted(case.files))
    suffix = name.rpartition(".")[2]
    others = [data for one in whole for other, data in sorted(one.files.items()) if other.endswith(suffix)]
    return case.files | {name: damage(case.files[name], dice, kinds, others)}
