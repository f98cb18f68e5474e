"""The file that a killed search goes on from: what it has measured, in the order in which it did (docs/search.md)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pcedge.errors import FormatError, UsageError
from pcedge.files import write_whole
from pcedge.search.candidates import Candidate

VERSION = 4


@dataclass(frozen=True)
class Round:
    """Hold what one list of candidates scored."""

    #: which candidates they were, see `name_of`
    candidates: str
    #: the score of each on the few records; none of the first list
    few: tuple[float, ...]
    #: scores on the many records, of all of the first list, of a later one's survivors
    many: tuple[float, ...]


def name_of(candidates: Sequence[Candidate]) -> str:
    """Give a name to a list of candidates: equal lists have equal names, others do not."""
    text = json.dumps([asdict(candidate) for candidate in candidates], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_rounds(path: Path, mark: str, rounds: Sequence[Round]) -> None:
    """Write in one move: a search that is killed meanwhile leaves the file before."""
    state = {"version": VERSION, "search": mark, "rounds": [asdict(one) for one in rounds]}
    write_whole(path, json.dumps({**state, "checksum": checksum_of(state)}).encode())


def checksum_of(state: dict[str, object]) -> str:
    """Give the checksum of what a file says."""
    text = json.dumps({key: value for key, value in state.items() if key != "checksum"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_rounds(path: Path, mark: str) -> list[Round]:
    """Read what a search of the same mark has measured.

    Raises:
        FormatError: the file is damaged.
        UsageError: it is of another search.
    """
    try:
        data = path.read_bytes()
        state = json.loads(data.decode())
        version, other = state["version"], state["search"]
        # The checksum is of what the text says; that it says so in no other way makes it one of all bytes.
        if state["checksum"] != checksum_of(state) or data != json.dumps(state).encode():
            raise ValueError("its checksum is wrong")
        if version != VERSION:
            raise ValueError(f"version must be {VERSION}, got {version}")
        rounds = [_round(index, **said) for index, said in enumerate(state["rounds"])]
        if not rounds:
            raise ValueError("it must have measured something")
    except UnicodeDecodeError as error:
        # The error itself holds the whole file.
        why = f"byte {error.start} is no UTF-8"
        raise FormatError("checkpoint", f"{path} must hold the state of a search, it is no text: {why}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FormatError("checkpoint", f"{path} must hold the state of a search ({error!r:.200})") from error
    if other != mark:
        raise UsageError(f"the checkpoint {path} must be of the same circuit, data, budget, widths and settings")
    return rounds


def _round(index: int, candidates: object, few: list[object], many: list[object]) -> Round:
    figures: list[float] = []
    for value in (*few, *many):
        if type(value) is not float or not math.isfinite(value):
            raise ValueError("scores must be finite numbers")
        figures.append(value)
    if type(candidates) is not str or not many or bool(few) is (index == 0) or (few and len(many) > len(few)):
        raise ValueError("a round must have names and scores of its candidates")
    return Round(candidates, tuple(figures[: len(few)]), tuple(figures[len(few) :]))
