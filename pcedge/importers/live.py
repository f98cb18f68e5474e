"""Estimators in the user's own process: their attributes are read by name, their libraries are never imported here."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcedge.circuit.layers import Circuit
from pcedge.errors import UsageError
from pcedge.importers.estimators import Choices, Described, estimator_draft
from pcedge.importers.gridding import BINS, SYMBOLS, Gridding
from pcedge.importers.normalise import Draft, normalise

#: packages whose objects are read by their attributes
_READ = ("sklearn", "hmmlearn", "pomegranate")

#: packages whose objects a function of its own reads, by its module and name; it takes the object, maybe `gridding`,
#: and gives a circuit
ELSEWHERE: dict[str, tuple[str, str]] = {
    "pgmpy": ("pcedge.importers.pgmpy_networks", "from_pgmpy"),
    "spflow": ("pcedge.importers.spflow_modules", "from_spflow"),
    "deeprob": ("pcedge.importers.deeprob", "from_deeprob"),
    "cirkit": ("pcedge.importers.cirkit", "from_cirkit"),
}

#: classes of scikit-learn that are compiled and give arrays as their state: trees of decisions and of neighbours
_COMPILED = ("Tree", "KDTree", "BallTree")

#: how deep objects may lie in objects
_DEPTH = 12


def from_estimator(
    estimator: Any,
    *,
    symbols: int = SYMBOLS,
    data: ArrayLike | None = None,
    steps: int | None = None,
    components: int | None = None,
    names: Sequence[str] | None = None,
    outside: str = "clip",
    bins: str = BINS[0],
) -> Circuit:
    """Give the circuit of a fitted estimator: its density, over a grid of symbols where it is over real numbers.

    Known are mixtures, naive Bayes classifiers, kernel densities, trees and forests of scikit-learn, also behind a
    scaler in a pipeline, hidden Markov models of hmmlearn, and models of pomegranate (docs/importers.md). A
    classifier's class is the last variable, `class`.

    Args:
        estimator: a fitted object.
        symbols: of a real variable, at most.
        data: records that the grid is chosen for, (records, columns), NaN where missing; best those of the fit.
        steps: of a model of sequences: how many steps the circuit has.
        components: of a kernel density: how many components stand for all kernels.
        names: of the features; None takes those of the fit, else x0, x1, …
        outside: what becomes of values beyond the grid's ends, `clip` or `refuse`.
        bins: of real variables: `even`, of one width, so that scores tell the density; or `least-loss`, for coding.

    Raises:
        UsageError: the class is not known, or a choice does not fit.
        FormatError: the estimator is not fitted, or has no circuit.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> fitted = GaussianNB().fit([[0.0], [0.2], [4.0], [4.5]], ["low", "low", "high", "high"])
        >>> circuit = from_estimator(fitted, names=["length"])
        >>> circuit.grid.names, circuit.cardinalities
        (('length', 'class'), (64, 2))
    """
    choices = _choices(symbols, data, steps, components, names, outside, bins)
    for prefix, (module, function) in ELSEWHERE.items():
        if (type(estimator).__module__ + ".").startswith(prefix + "."):
            for name, value in (("steps", steps), ("components", components), ("names", names)):
                if value is not None:
                    raise UsageError(f"{name} must not be given for a model of {prefix}, got {value!r}")
            read: Callable[..., Circuit] = getattr(importlib.import_module(module), function)
            gridded = "gridding" in inspect.signature(read).parameters
            return read(estimator, gridding=choices.gridding) if gridded else read(estimator)
    return normalise(draft_of(estimator, choices))


def draft_of(estimator: Any, choices: Choices) -> Draft:
    """Give the layers of an estimator's circuit with notes and losses, not yet normalised."""
    library = type(estimator).__module__.partition(".")[0]
    bases = tuple(_name(base) for base in type(estimator).__mro__[1:-1])
    if library not in _READ and not any(base.partition(".")[0] in _READ for base in bases):
        raise UsageError(
            f"an estimator must be of {', '.join([*_READ, *ELSEWHERE])}, got {_name(type(estimator))[:80]}"
        )
    described = plain(estimator)
    assert isinstance(described, Described)
    return estimator_draft(described, choices)


def plain(value: Any, depth: int = 0) -> Any:
    """Give arrays, numbers, texts, lists, dicts as they are, tensors as arrays, and other objects as `Described`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            return value
        return [plain(item, depth + 1) for item in value.ravel()]
    if depth > _DEPTH or isinstance(value, type) or (callable(value) and not hasattr(value, "__dict__")):
        return None
    if isinstance(value, list | tuple):
        return type(value)(plain(item, depth + 1) for item in value) if type(value) in (list, tuple) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    kind = type(value)
    if hasattr(value, "_modules") and hasattr(value, "_buffers"):  # a module of torch
        if kind.__name__ in ("ModuleList", "ParameterList"):
            return [plain(item, depth + 1) for item in value]
        held = {**vars(value), **value._parameters, **value._buffers, **value._modules}
        attributes = {name: held[name] for name in held if name not in _TORCH}
    elif kind.__module__.startswith("sklearn.") and kind.__name__.startswith(_COMPILED):
        state = value.__getstate__()  # arrays
        attributes = state if isinstance(state, dict) else {"state": plain(state, depth)}
    elif hasattr(value, "__dict__"):
        attributes = vars(value)
    else:
        return None
    bases = tuple(_name(base) for base in kind.__mro__[1:-1])
    return Described(_name(kind), {str(name): plain(item, depth + 1) for name, item in attributes.items()}, bases)


#: what a module of torch has beside its own attributes
_TORCH = frozenset(
    {"training", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_factor_graph", "edges_"}
)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _choices(
    symbols: int,
    data: ArrayLike | None,
    steps: int | None,
    components: int | None,
    names: Sequence[str] | None,
    outside: str,
    bins: str,
) -> Choices:
    if outside not in ("clip", "refuse"):
        raise UsageError(f"outside must be clip or refuse, got {outside!r}")
    records = None
    if data is not None:
        try:
            records = np.asarray(data, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the data of a grid must be numbers ({error})") from error
    return Choices(
        Gridding(symbols, records, outside, bins), steps, components, None if names is None else tuple(names)
    )
