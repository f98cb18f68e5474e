"""Checkpoints: a training run's state in a file, from which a killed run goes on to the same result.

The first line is `pcedge-checkpoint VERSION SHA256`, the rest a safetensors file with this SHA-256: everything but the
tensors is JSON in its metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.file import circuit_checksum
from pcedge.circuit.layers import Circuit
from pcedge.errors import FormatError, UsageError
from pcedge.files import is_safetensors, write_whole
from pcedge.learn.config import LearnConfig, Point

MAGIC = b"pcedge-checkpoint"
VERSION = 2
#: settings that may differ between the run that was stopped and the one that goes on; of the validation split it is the
#: sample that counts
FREE = ("iterations", "patience", "device", "validation_share")


@dataclass
class State:
    """Hold everything that the next iteration depends on."""

    iteration: int = 0
    #: the next record of the shuffled train split
    place: int = 0
    best: float = -np.inf
    best_at: int = 0
    #: state of the generator that shuffles
    generator: Any = None
    #: order: shuffled records; parameters, running (counts) and kept (best parameters), as numpy arrays
    tensors: Any = None
    #: the learning curve so far
    curve: list[Point] = field(default_factory=list)


def fingerprint(circuit: Circuit, train: IntArray, valid: IntArray, config: LearnConfig) -> str:
    """Hash what a run's result depends on, but for its length and device."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    # How often checkpoints are written is no part of the result; it was hashed before it was known to be none.
    settings["checkpoint_seconds"] = LearnConfig.checkpoint_seconds
    hasher = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + circuit_checksum(circuit).encode())
    for split in (train, valid):
        hasher.update(str(split.shape).encode() + np.ascontiguousarray(split).tobytes())
    return hasher.hexdigest()


def write(path: Path, state: State, run: str) -> None:
    """Write a checkpoint in one move: a run that is killed meanwhile leaves the one before."""
    from safetensors.numpy import save

    header = {
        "run": run, "iteration": state.iteration, "place": state.place,
        "best": None if np.isneginf(state.best) else state.best, "best_at": state.best_at,
        "generator": state.generator, "curve": [[None if np.isnan(x) else x for x in entry] for entry in state.curve],
    }  # fmt: skip
    seal(path, save(state.tensors, {"pcedge-checkpoint": json.dumps(header)}))


def seal(path: Path, data: bytes) -> None:
    """Write bytes with their checksum in one move."""
    write_whole(path, _first_line(data) + data)


def found(path: Path, run: str, aside: Callable[[Path], None] | None) -> State | None:
    """Read a checkpoint, if there is one; one of another run is put aside where somebody wants to be told, see `read`.

    Raises:
        FormatError, OtherRun: as in `read`.
    """
    if not path.exists():
        return None
    try:
        return read(path, run)
    except OtherRun:
        put_aside(path, aside)
        return None


def put_aside(path: Path, aside: Callable[[Path], None] | None) -> None:
    """Rename a checkpoint of another run, and say so; to be called where that is known.

    Raises:
        OtherRun: nobody wants to be told.
    """
    if aside is None:
        raise OtherRun(path)
    other = path.with_name(f"{path.name}.old")
    path.replace(other)
    aside(other)


def read(path: Path, run: str) -> State:
    """Read a checkpoint of the run with this fingerprint.

    Raises:
        FormatError: the file is no checkpoint, of another version, or damaged.
        OtherRun: it belongs to other data, another circuit or other settings.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = unseal(path)
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["pcedge-checkpoint"])
        state = State(
            header["iteration"], header["place"], -np.inf if header["best"] is None else header["best"],
            header["best_at"], header["generator"], tensors, _curve(header.get("curve", [])),
        )  # fmt: skip
        of = header["run"]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("checkpoint", f"{path} must be a checkpoint of pcedge ({error!r})") from error
    if of != run:
        raise OtherRun(path)
    return state


class OtherRun(UsageError):
    """Say that a checkpoint is of other data, another structure or other settings."""

    def __init__(self, path: Path) -> None:
        """Say it of this file."""
        super().__init__(
            f"{path} must be of a run with the same data, structure and settings; it is of another: "
            "name another checkpoint, or remove it to start anew"
        )


def _curve(entries: Any) -> list[Point]:
    """Read a learning curve.

    Raises:
        TypeError, ValueError: it is none.
    """
    curve = []
    for iteration, *bits in entries:
        train, valid = (np.nan if value is None else value for value in bits)
        if type(iteration) is not int or type(train) is not float or type(valid) is not float:
            raise TypeError(f"the curve must hold iterations and bits, got {iteration!r}, {train!r} and {valid!r}")
        curve.append((iteration, train, valid))
    return curve


def _first_line(data: bytes) -> bytes:
    return b"%s %d %s\n" % (MAGIC, VERSION, hashlib.sha256(data).hexdigest().encode())


def unseal(path: Path) -> bytes:
    """Give what follows the first line, if that is right.

    Raises:
        FormatError: the file is no checkpoint, of another version, or damaged.
    """
    data = path.read_bytes()
    line, _, rest = data.partition(b"\n")
    words = line.split(b" ")
    # Version 1 was a safetensors file alone: eight bytes of length, then JSON.
    old = is_safetensors(data) and b"pcedge-checkpoint" in data
    if old or (words[0] == MAGIC and len(words) == 3 and words[1].isdigit() and words[1] != b"%d" % VERSION):
        version = "1" if old else words[1][:20].decode()
        raise FormatError(
            "checkpoint",
            f"{path} must be of version {VERSION}, got {version}: go on with the release of pcedge that wrote it, or "
            "remove it to start anew",
        )
    if words[0] != MAGIC:
        raise FormatError("checkpoint", f"{path} must be a checkpoint of pcedge, it starts otherwise")
    if data != _first_line(rest) + rest:
        raise FormatError(
            "checkpoint",
            f"{path} must be a checkpoint of pcedge with its checksum, it is damaged: remove it to start anew",
        )
    return rest
