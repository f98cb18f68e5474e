"""Checkpoints: a training run's state as a safetensors file, from which a killed run goes on to the same result."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.file import circuit_checksum
from pcedge.circuit.layers import Circuit
from pcedge.errors import FormatError, UsageError
from pcedge.learn.config import LearnConfig

VERSION = 1
#: settings that may differ between the run that was stopped and the one that goes on
FREE = ("iterations", "patience", "device")


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


def fingerprint(circuit: Circuit, train: IntArray, valid: IntArray, config: LearnConfig) -> str:
    """Hash what a run's result depends on, but for its length and device."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    hasher = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + circuit_checksum(circuit).encode())
    for part in (train, valid):
        hasher.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    return hasher.hexdigest()


def write(path: Path, state: State, run: str) -> None:
    """Write a checkpoint in one move: a run that is killed meanwhile leaves the one before."""
    from safetensors.numpy import save

    header = {
        "version": VERSION, "run": run, "iteration": state.iteration, "place": state.place,
        "best": None if np.isneginf(state.best) else state.best, "best_at": state.best_at,
        "generator": state.generator,
    }  # fmt: skip
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(save(state.tensors, {"pcedge-checkpoint": json.dumps(header)}))
    os.replace(fresh, path)


def read(path: Path, run: str) -> State:
    """Read a checkpoint of the run with this fingerprint.

    Raises:
        FormatError: the file is no checkpoint.
        UsageError: it belongs to other data, another circuit or other settings.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = path.read_bytes()
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["pcedge-checkpoint"])
        state = State(
            header["iteration"], header["place"], -np.inf if header["best"] is None else header["best"],
            header["best_at"], header["generator"], tensors,
        )  # fmt: skip
        version, of = header["version"], header["run"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("checkpoint", f"{path} must be a checkpoint of pcedge ({error!r})") from error
    if version != VERSION:
        raise FormatError("checkpoint", f"{path} must be of version {VERSION}, got {version!r}")
    if of != run:
        raise UsageError(
            f"{path} must be of a run with the same data, structure and settings; it is of another: "
            "name another checkpoint, or remove it to start anew"
        )
    return state
