"""What a training run may be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pcedge.errors import UsageError

#: called after an iteration with (iteration, iterations, train bits/variable, validation bits/variable)
Progress = Callable[[int, int, float, float], None]

#: a point of the learning curve: (iteration, train bits/variable, validation bits/variable), nan where not computed
Point = tuple[int, float, float]


@dataclass
class Watch:
    """Hold what looks after a run from outside."""

    #: asked before every iteration whether to stop there: the checkpoint is written and `Stopped` raised
    stop: Callable[[], bool] = lambda: False
    #: told where a checkpoint of another run was put, out of the way of this one; None refuses such a checkpoint
    aside: Callable[[Path], None] | None = None
    #: filled with the learning curve, also of the iterations before a stop
    curve: list[Point] = field(default_factory=list)


#: M-steps' worth of a record that a look at it in the validation split costs, the other way round
LOOKS = 3
#: records of the validation split that are looked at at least
LEAST_LOOKED_AT = 512


class Stopped(Exception):
    """Say that a run was stopped because its watch said so.

    Args:
        iteration: the iterations that are done; 0 where there is nothing to go on from.
    """

    def __init__(self, iteration: int) -> None:
        """Keep the iteration."""
        super().__init__(f"stopped after iteration {iteration}")
        self.iteration = iteration


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
    #: share of the time that the looks at the validation split take at most: a sample of so many of its records, drawn
    #: with the seed, is looked at, but at least `LEAST_LOOKED_AT`; 1 looks at all of them
    validation_share: float = 0.1
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
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{setting.name} must be finite, got {value}")
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
        if not 0 < self.validation_share <= 1:
            raise UsageError(f"validation_share must be above 0 and at most 1, got {self.validation_share}")
        if not 0 < self.holdout < 1:
            raise UsageError(f"holdout must be between 0 and 1, got {self.holdout}")
        if self.window < 1:
            raise UsageError(f"window must be at least 1, got {self.window}")
        if self.leaf_prior not in ("even", "tree"):
            raise UsageError(f"leaf_prior must be even or tree, got {self.leaf_prior}")
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype must be float32 or float64, got {self.dtype}")

    def looked_at(self, records: int, batch: int) -> int:
        """Give how many of the validation split's records are looked at.

        Args:
            records: records of the validation split.
            batch: records of an M-step, at most those that there are.

        Example:
            >>> LearnConfig().looked_at(15_000, 2048), LearnConfig(validation_share=1).looked_at(15_000, 2048)
            (682, 15000)
        """
        if self.validation_share == 1:
            return records
        affordable = LOOKS * batch * self.validate_every * self.validation_share / (1 - self.validation_share)
        return min(records, max(LEAST_LOOKED_AT, int(affordable)))


#: records of train from which on the default steps are smaller and more
MANY_RECORDS = 1 << 16
#: settings for that many: M-steps of small batches come further in the same time, and look as often at as many records
MANY = {"batch": 512, "iterations": 1200, "validate_every": 4, "patience": 80}


def by_default(records: int) -> dict[str, Any]:
    """Give the settings of `MANY` for a train split of so many records, the ones of `LearnConfig` for fewer.

    Example:
        >>> by_default(1000)["batch"], by_default(150_000)["batch"]
        (2048, 512)
    """
    return {name: value if records > MANY_RECORDS else getattr(LearnConfig, name) for name, value in MANY.items()}
