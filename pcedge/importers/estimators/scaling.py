"""scikit-learn's pipelines: scalers before a density move into the edges of its grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError, UsageError
from pcedge.importers.estimators.assembling import scaled
from pcedge.importers.estimators.parameters import RULE, Choices, Described
from pcedge.importers.normalise import Draft


@dataclass(frozen=True, eq=False)
class Scaling:
    """Hold what scalers do together: the last step sees (x - offset) / scale."""

    offset: FloatArray
    scale: FloatArray
    #: the names of the scalers, for messages
    what: str
    #: the features' names of the first
    names: tuple[str, ...]

    def draft(self, make: Callable[[Choices], Draft], choices: Choices) -> Draft:
        """Give the draft over x of what `make` gives over the scaled values.

        Raises:
            FormatError: the model is over whole numbers.
            UsageError: the data have too few columns.
        """
        data = choices.gridding.data
        if data is not None:
            if data.ndim != 2 or data.shape[1] % len(self.scale):
                raise UsageError(
                    f"the data of a grid must have {len(self.scale)} columns, they have shape {data.shape}"
                )
            repeats = data.shape[1] // len(self.scale)
            data = (data - np.tile(self.offset, repeats)) / np.tile(self.scale, repeats)
        inner = replace(
            choices, gridding=replace(choices.gridding, data=data), names=choices.names or self.names or None
        )
        return scaled(make(inner), self.offset, self.scale, self.what)


def folded(estimator: Described) -> tuple[Scaling | None, Described]:
    """Give the last step of a pipeline, and what the scalers before it do; an estimator alone as it is.

    Raises:
        UsageError: a step before the last is no scaler.
        FormatError: an attribute is not what the library gives.
    """
    if estimator.kind != "Pipeline" or estimator.library != "sklearn":
        return None, estimator
    steps = estimator.need("steps")
    if (
        not isinstance(steps, list | tuple)
        or not steps
        or not all(isinstance(s, list | tuple) and len(s) == 2 for s in steps)
    ):
        raise FormatError(RULE, "Pipeline.steps must be pairs of a name and an estimator")
    inner = [step for _, step in steps if step is not None and step != "passthrough"]
    if not inner or not all(isinstance(step, Described) for step in inner):
        raise FormatError(RULE, "Pipeline.steps must be pairs of a name and an estimator")
    offset: FloatArray | None = None
    scale = np.ones(1)
    names: tuple[str, ...] = ()
    for step in inner[:-1]:
        shift, factor = _scaler(step)
        # Before: z = (x - offset) / scale; this step: (z - shift) / factor.
        offset = shift if offset is None else offset + scale * shift
        scale = scale * factor
        names = names or step.features()
    before, last = folded(inner[-1])
    if before is not None:
        raise UsageError("a Pipeline must not hold a Pipeline; give the steps of both in one")
    if offset is None:
        return None, last
    return Scaling(offset, scale, " and ".join(step.kind for step in inner[:-1]), names), last


def _scaler(step: Described) -> tuple[FloatArray, FloatArray]:
    """Give offset and scale of a scaler."""
    features = step.whole("n_features_in_")
    zeros, ones = np.zeros(features), np.ones(features)
    if step.kind == "StandardScaler":
        shift = step.floats("mean_", features) if step.get("with_mean", True) else zeros
        factor = step.floats("scale_", features) if step.get("with_std", True) else ones
    elif step.kind == "MinMaxScaler":  # z = x · scale_ + min_
        factor = 1 / np.where((given := step.floats("scale_", features)) != 0, given, 1.0)
        shift = -step.floats("min_", features) * factor
    elif step.kind == "MaxAbsScaler":
        shift, factor = zeros, step.floats("scale_", features)
    elif step.kind == "RobustScaler":
        shift = step.floats("center_", features) if step.get("with_centering", True) else zeros
        factor = step.floats("scale_", features) if step.get("with_scaling", True) else ones
    else:
        raise UsageError(
            f"the steps of a Pipeline before the last must be StandardScaler, MinMaxScaler, MaxAbsScaler or "
            f"RobustScaler, got {step.kind}; give from_estimator the last step, and the circuit what {step.kind} gives"
        )
    if not (factor > 0).all():
        raise FormatError(RULE, f"the scale of {step.kind} must be above 0, got {factor.min():g}")
    return shift, factor
