"""The checkpoint of a compression: the circuit after the passes that are done, and what they did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.file import circuit_bytes, circuit_checksum, load_circuit
from pcedge.circuit.layers import Circuit
from pcedge.errors import FormatError, UsageError
from pcedge.files import write_whole

#: what a file begins with; then the SHA-256 of the rest, a line of JSON and the circuit's file
MAGIC = b"pcedge-compression 1 "


@dataclass(frozen=True)
class Step:
    """Hold what one pass of a chain did."""

    name: str
    #: what stood behind its colon, or was chosen in its place
    argument: str | None
    keeps: str
    #: stored weights before and after
    weights: tuple[int, int]
    #: the cost in the target's unit before and after, as it will be at the end of the chain; None without one
    cost: tuple[float | None, float | None]
    #: bits a variable that train records lose before the refit
    predicted_bits: float
    #: bits a variable of the validation records before the pass, after it, and after the refit
    bits_before: float
    bits_after: float
    bits_refitted: float
    #: M-steps of the refit
    refit: int
    seconds: float
    trace: tuple[dict[str, Any], ...] = ()


def mark_of(
    circuit: Circuit, train: IntArray, valid: IntArray, weights: FloatArray | None, config: Any
) -> str:  # fmt: skip
    """Give the fingerprint of a run: the same circuit, records, weights and settings give the same."""
    hasher = hashlib.sha256((circuit_checksum(circuit) + json.dumps(asdict(config), sort_keys=True)).encode())
    for array in (train, valid, np.zeros(0) if weights is None else weights):
        hasher.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()


def write(path: Path, mark: str, circuit: Circuit, steps: list[Step]) -> None:
    """Write in one move: a run that is killed meanwhile leaves the file before."""
    line = json.dumps({"mark": mark, "steps": [asdict(step) for step in steps]}).encode() + b"\n"
    body = line + circuit_bytes(circuit)
    write_whole(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def found(path: Path, mark: str, aside: Callable[[Path], None] | None = None) -> tuple[Circuit, list[Step]] | None:
    """Read a checkpoint; None where there is none, or where it is of another run and was put aside.

    Raises:
        FormatError: it is damaged.
        UsageError: it is of another run.
    """
    if not path.exists():
        return None
    head, _, body = path.read_bytes().partition(b"\n")
    if head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise FormatError("checkpoint", f"{path} must be the whole checkpoint of a compression, it is not")
    line, _, rest = body.partition(b"\n")
    try:
        state = json.loads(line)
        other = state["mark"]
        steps = [
            Step(
                **{
                    **step,
                    "weights": tuple(step["weights"]),
                    "cost": tuple(step["cost"]),
                    "trace": tuple(step["trace"]),
                }
            )
            for step in state["steps"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("checkpoint", f"{path} must hold the state of a compression ({error!r:.200})") from error
    if other != mark:
        if aside is not None:
            other = path.with_name(f"{path.name}.old")
            path.replace(other)
            aside(other)
            return None
        raise UsageError(
            f"the checkpoint {path} must be of the same circuit, data, passes, target and settings, it is of others"
        )
    return load_circuit(rest), steps
