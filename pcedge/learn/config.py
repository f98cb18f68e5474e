"""What a training run may be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from pcedge.errors import UsageError

#: called after an iteration with (iteration, iterations, train bits/variable, validation bits/variable)
Progress = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class LearnConfig:
    """Hold the settings of a training run.

    Raises:
        UsageError: a setting is out of its range.
    """

    #: `hclt` (hidden Chow–Liu tree), `chain`, `binary`, `quad` or `independent`, see `initial_circuit`
    structure: str = "hclt"
    #: `categorical`, `logistic` or `geometric`
    leaves: str = "categorical"
    #: of `quad`: (height, width) or (height, width, channels)
    shape: tuple[int, ...] | None = None
    #: of `chain` and `binary`: the variables in their order; None for 0, 1, 2, …
    order: tuple[int, ...] | None = None
    #: of `independent`: variables of a part at most
    block: int = 1
    #: states of every variable's latent: the circuit grows with their square, and so does its hardware
    latents: int = 16
    #: seed of the initial parameters, the order of the batches and the held-out records
    seed: int = 0
    #: M-steps at most; training stops earlier when the validation split says so, see `patience`
    iterations: int = 300
    #: records an M-step; as many as the train split has, or more, make full-batch EM, which cannot oscillate
    batch: int = 2048
    #: share of the train split that is held out for early stopping when there is no validation split
    holdout: float = 0.1
    #: M-steps between two looks at the validation split, each of which costs about a third of an M-step a record
    validate_every: int = 1
    #: M-steps without a better validation likelihood before training stops, but at least `validate_every`: never
    #: before the second look, nor without one since the best; 0 never stops early, and then the last parameters are
    #: the result instead of the best ones
    patience: int = 20
    #: records added to every sum unit's expected counts, spread evenly over its children
    sum_pseudocount: float = 0.3
    #: records added to every leaf's expected counts, see `leaf_prior`; symbols that training never saw get their
    #: probability from here
    leaf_pseudocount: float = 0.15
    #: share of the leaf pseudocount that is spread evenly over the symbols instead
    uniform_share: float = 0.02
    #: how leaves are drawn to the variable's marginal (see `uniform_share`): `even` adds the pseudocount once to a
    #: row; `tree` adds it, times depth ** `leaf_growth`, to every split of the symbols into halves, quarters and so on,
    #: so that rows with few counts keep their coarse shape and take the fine one of the marginal; for ordered symbols
    leaf_prior: str = "tree"
    #: how much more finer splits are drawn to the marginal
    leaf_growth: float = 2.0
    #: share of every expected count of a symbol that goes to its two neighbours, half to each, in the M-step; only for
    #: symbols with an order, such as grey values, and 0 for names without one
    blur: float = 0.0
    #: mini-batch EM only: the share of batch t in the running counts is (window + t - 1) ** -0.6, so they
    #: average more and more batches
    window: float = 4.0
    #: seconds between two checkpoints, where a file for them is named
    checkpoint_seconds: float = 60.0
    #: `cpu` or a torch device such as `cuda`
    device: str = "cpu"
    #: `float64`, or `float32` for speed on a GPU
    dtype: str = "float64"

    def __post_init__(self) -> None:
        """Check every setting."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{field.name} must be finite, got {value}")
        least = {"latents": 1, "iterations": 1, "batch": 1, "seed": 0, "patience": 0, "validate_every": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("sum_pseudocount", "leaf_pseudocount", "leaf_growth", "checkpoint_seconds"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("uniform_share", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be in 0..1, got {getattr(self, name)}")
        if not 0 < self.holdout < 1:
            raise UsageError(f"holdout must be between 0 and 1, got {self.holdout}")
        if self.window < 1:
            raise UsageError(f"window must be at least 1, got {self.window}")
        if self.leaf_prior not in ("even", "tree"):
            raise UsageError(f"leaf_prior must be even or tree, got {self.leaf_prior}")
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype must be float32 or float64, got {self.dtype}")
