"""Finished steps of a search for a predictor stage in a file, from which a stopped search goes on to the same result.

The file is sealed as a checkpoint of training is; its contents are JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge import __version__
from pcedge.circuit import Circuit, load_circuit
from pcedge.circuit.file import circuit_bytes
from pcedge.data.predictor import Predictor
from pcedge.errors import FormatError, PcedgeError
from pcedge.learn.checkpoint import put_aside, seal, unseal

#: what is kept of a step: its cost, a stage or a circuit, and other numbers
Step = tuple[float, Any, dict[str, Any]]


def mark_of(arrays: list[NDArray[Any]], settings: list[Any]) -> str:
    """Hash what a search's result depends on: the data, the settings, and the release that searches."""
    hasher = hashlib.sha256(json.dumps(["search", __version__, *settings]).encode())
    for array in arrays:
        hasher.update(f"{array.dtype.descr} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()


@dataclass
class Finished:
    """Hold the steps that are done, by name.

    Args:
        path: their file; None keeps none.
        mark: what the search is of.
    """

    path: Path | None = None
    mark: str = ""
    steps: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def read(path: Path | None, mark: str, aside: Callable[[Path], None] | None) -> Finished:
        """Read the steps of a file, if it is there; see `pcedge.learn.checkpoint.found`.

        Raises:
            FormatError: the file is damaged, or no checkpoint.
            OtherRun: it is of another search, and nobody wants to be told.
        """
        if path is None or not path.exists():
            return Finished(path, mark)
        data = unseal(path)
        try:
            held = json.loads(data)
            of, steps = held["search"], dict(held["steps"])
        except (ValueError, KeyError, TypeError, RecursionError):  # of a training run
            of, steps = None, {}
        if of != mark:
            put_aside(path, aside)
            return Finished(path, mark)
        return Finished(path, mark, steps)

    def step(self, name: str, make: Callable[[], Step], generator: np.random.Generator) -> Step:
        """Give a step's result: as it was kept, or made now and kept.

        Args:
            name: of the step, unique in its search.
            make: makes it.
            generator: what it draws from; it goes on as after the step.

        Raises:
            FormatError: what was kept is no result of a step.
        """
        if name in self.steps:
            try:
                return self._unpacked(self.steps[name], generator)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, PcedgeError) as error:
                raise FormatError(
                    "checkpoint", f"{self.path} must hold finished steps of the search ({error!r:.200})"
                ) from error
        cost, made, numbers = make()
        if self.path is not None:
            kind = "circuit" if isinstance(made, Circuit) else "stage"
            held = base64.b64encode(circuit_bytes(made)).decode() if kind == "circuit" else made.as_dict()
            self.steps[name] = {
                "cost": cost, kind: held, "numbers": numbers, "generator": generator.bit_generator.state,
            }  # fmt: skip
            seal(self.path, json.dumps({"search": self.mark, "steps": self.steps}).encode())
        return cost, made, numbers

    def _unpacked(self, held: dict[str, Any], generator: np.random.Generator) -> Step:
        made: Any
        if "circuit" in held:
            made = load_circuit(base64.b64decode(held["circuit"], validate=True))
        else:
            made = Predictor.from_dict(held["stage"])
        generator.bit_generator.state = held["generator"]
        if not math.isfinite(held["cost"]):
            raise ValueError(f"a cost must be finite, got {held['cost']}")
        return float(held["cost"]), made, dict(held["numbers"])
