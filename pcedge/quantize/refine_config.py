"""What a refinement of integers may be told, and its entry, which needs no torch until it runs."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from numpy.typing import ArrayLike

from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import Circuit, InputLayer
from pcedge.errors import UsageError
from pcedge.extras import needing
from pcedge.learn.config import LearnConfig
from pcedge.quantize.config import QuantizationConfig

#: called after a pass with (pass, passes, train bits a variable before it, validation bits a variable after it)
Progress = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class RefineConfig:
    """Hold the settings of a refinement.

    Raises:
        UsageError: a setting is out of its range.
    """

    #: full passes over the train records
    passes: int = 40
    #: passes at whose end only a share of the rows is rounded, a growing one: the others make up for those
    gradual: int = 20
    #: share of the rows that is rounded at first
    first_share: float = 0.1
    #: then, again and again, this share of the rows is opened: free for `cycle` - 1 passes, and rounded with the next
    opened: float = 0.25
    cycle: int = 4
    #: so many records that follow the trained leaf tables are counted with the train records: they keep a refinement
    #: from fitting leaves to few records more closely than the training dared to
    anchor: float = 500.0
    #: share of the records held out to choose the best pass, where there is no validation split; the seed and the
    #: share of the training hold out the same records again, which the circuit does not know
    holdout: float = LearnConfig.holdout
    #: records that are used at most, drawn with the seed; None uses all
    records: int | None = None
    #: seed of the held-out records and of the order in which rows are rounded
    seed: int = 0
    #: pseudocounts and leaf priors of the M-step, device and dtype
    learn: LearnConfig = field(default_factory=lambda: LearnConfig(dtype="float32"))

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, least in (("passes", 1), ("gradual", 0), ("cycle", 2), ("records", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "records":
                continue
            if type(value) is not int or value < least:
                raise UsageError(f"{name} must be an integer of at least {least}, got {value!r}")
        for name in ("anchor", "first_share", "opened", "holdout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise UsageError(f"{name} must be a finite number of at least 0, got {value!r}")
        if self.gradual >= self.passes:
            raise UsageError(f"gradual must be below passes, {self.passes}, got {self.gradual}")
        for name in ("first_share", "opened", "holdout"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    def shares(self) -> list[float]:
        """Give the share of the rows that is rounded before the first pass and at the end of every pass.

        Where a 1 is followed by less, rows are opened.

        Example:
            >>> RefineConfig(passes=7, gradual=2, first_share=0.5, opened=0.25, cycle=3).shares()
            [0.5, 0.75, 1.0, 0.75, 0.75, 1.0, 1.0, 1.0]
        """
        steps = [1 - (1 - self.first_share) * (1 - step / self.gradual) for step in range(self.gradual)]
        cycles, left = divmod(self.passes - self.gradual, self.cycle)
        return [*steps, 1.0, *([1 - self.opened] * (self.cycle - 1) + [1.0]) * cycles, *[1.0] * left]


def refine(
    circuit: Circuit,
    data: ArrayLike,
    config: QuantizationConfig | None = None,
    settings: RefineConfig | None = None,
    *,
    valid: ArrayLike | None = None,
    progress: Progress | None = None,
    kept: Callable[[int], None] | None = None,
) -> Circuit:
    """Fit a circuit's parameters as the integers that they will be, by EM with a rounded M-step.

    A pass counts all train records with the rounded weights, finds the most likely parameters for these counts, and
    rounds the weights for the shortest expected code of the same counts. In the first passes some rows stay as they
    are, so that they make up for the others' rounding (as Zhou et al., "Incremental Network Quantization", 2017, do by
    gradients). Then some rows at a time are opened, so that they leave a place where a single step of EM, which is
    short, would always be rounded back to what they were. Leaf tables that were equal stay equal: each is the mean of
    its leaves, and every leaf takes the table
    that suits its counts best. docs/quantization.md says why this and not straight-through gradients.

    Args:
        circuit: a trained circuit.
        data: train records of shape (N, …), -1 where missing.
        config: the widths; `state_bits` plays no part. None takes the defaults.
        settings: passes and priors; None takes the defaults.
        valid: records that choose the best pass; None holds out a part of data.
        progress: called after every pass.
        kept: called in the end with the pass whose parameters are given, 0 for rounding alone.

    Returns:
        The circuit with weights and leaf tables that `quantize` with the same config takes over exactly; of the
        passes that round all rows the one with the best validation, or the rounded circuit, if `valid` says so.

    Raises:
        DataError: records that do not fit, too few, or a likelihood that is no number.
        UsageError: parametric leaves, which rounding turns into tables, and a refinement must not.
        MissingToolError: torch is not installed, or too old.
    """
    if any(isinstance(layer, InputLayer) and layer.parametric is not None for layer in circuit.layers):
        raise UsageError("refine must have a circuit of categorical or Bernoulli leaves, it has parametric ones")
    train = check_records(data, circuit.cardinalities, allow_missing=True)
    valid_records = None if valid is None else check_records(valid, circuit.cardinalities, allow_missing=True)
    with needing("torch", "train", "refining"):
        refining = importlib.import_module("pcedge.quantize.refining")
    fitted: Circuit
    fitted, index = refining.fit_integers(
        circuit, train, valid_records, config or QuantizationConfig(), settings or RefineConfig(), progress
    )
    if kept is not None:
        kept(index)
    return fitted
