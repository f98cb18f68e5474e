"""From data to a trained circuit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import Circuit
from pcedge.data import Splits
from pcedge.errors import DataError, UsageError
from pcedge.extras import needing
from pcedge.learn.config import LearnConfig, Progress, Watch, by_default
from pcedge.learn.holdout import hold_out
from pcedge.learn.initial import initial_circuit

#: symbols of a variable at most, where the data alone say how many there are
MAX_SYMBOLS = 1 << 16


def train(
    data: Splits | ArrayLike,
    *,
    latents: int = LearnConfig.latents,
    seed: int = LearnConfig.seed,
    structure: str = LearnConfig.structure,
    leaves: str = LearnConfig.leaves,
    cardinalities: int | Sequence[int] | None = None,
    iterations: int | None = None,
    batch: int | None = None,
    device: str = LearnConfig.device,
    progress: Progress | None = None,
) -> Circuit:
    """Learn a circuit, a hidden Chow–Liu tree by default; see `fit`, which takes every setting.

    Args:
        data: splits, or one array of train records; -1 is a missing symbol, which is summed out.
        latents: states of every latent.
        structure: `hclt`, `chain`, `binary` or `independent` (`quad` needs `LearnConfig.shape`, so `fit`).
        leaves: `categorical`, `logistic` or `geometric`.
        seed: the same seed gives the same circuit on the same machine.
        cardinalities: symbols of every variable, one number for all or one each; None takes the largest symbol of all
            splits plus one, and at least 2.
        iterations: M-steps at most; None follows the number of records where batch does, see `by_default`.
        batch: records an M-step, likewise.
        device: `cpu` or a torch device.
        progress: called after every iteration.

    Raises:
        DataError: the data are no integer records, or out of range.
        UsageError: a setting is out of its range.
        MissingToolError: torch is not installed, or too old.
    """
    splits = data if isinstance(data, Splits) else Splits(np.asarray(data))
    said: dict[str, Any] = {
        name: value for name, value in (("iterations", iterations), ("batch", batch)) if value is not None
    }
    config = LearnConfig(
        structure=structure, leaves=leaves, latents=latents, seed=seed, device=device,
        **said or by_default(len(splits.train)),
    )  # fmt: skip
    return fit(splits, config, cardinalities=cardinalities, progress=progress)


def fit(
    data: Splits | ArrayLike,
    config: LearnConfig | None = None,
    *,
    cardinalities: int | Sequence[int] | None = None,
    circuit: Circuit | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    watch: Watch | None = None,
) -> Circuit:
    """Learn a circuit from the train split, stopping by the validation split; the test split is not looked at.

    Args:
        data: splits, or one array of train records; symbols of -1 are missing and summed out. Without a validation
            split some train records are held out.
        config: the settings; None takes the default ones for so many records.
        cardinalities: as in `train`; only the default looks at the test split, for its largest symbol.
        circuit: where to start; None makes a hidden Chow–Liu tree that starts at clusters.
        progress: called after every iteration.
        checkpoint: a file that is written now and then, and continued from where it exists; the result is the same as
            that of a run that was never stopped.
        watch: what looks after the run: stops it, and takes its learning curve.

    Raises:
        DataError: the data are no integer records, or out of range.
        UsageError: a setting is out of its range, the device does not work here, or the checkpoint is of another run.
        FormatError: the checkpoint is damaged.
        MissingToolError: torch is not installed, or too old.
        Stopped: the watch said so.
    """
    em = _torch_part("em")
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of the checkpoint {path} must exist")
    splits = data if isinstance(data, Splits) else Splits(np.asarray(data))
    config = config or LearnConfig(**by_default(len(splits.train)))
    sizes = circuit.cardinalities if circuit is not None else _cardinalities(splits, cardinalities)
    records = check_records(splits.train, sizes, allow_missing=True)
    if splits.valid is not None and len(splits.valid):
        valid = check_records(splits.valid, sizes, allow_missing=True)
    else:
        records, valid = _hold_out(records, config)
    with _torch_part("workers").joined(config) as workers:
        if circuit is None:
            circuit = initial_circuit(
                config.structure, records, sizes, latents=config.latents, seed=config.seed, leaves=config.leaves,
                shape=config.shape, order=config.order, block=config.block,
            )  # fmt: skip
        trained: Circuit = em.fit_parameters(circuit, records, valid, config, progress, path, workers, watch)
    return trained


def _cardinalities(splits: Splits, given: int | Sequence[int] | None) -> tuple[int, ...]:
    variables = int(np.prod(splits.train.shape[1:]))
    if variables == 0:
        raise DataError(f"records must have at least one variable, got shape {splits.train.shape}")
    if given is None:
        records = [split for split in (splits.train, splits.valid, splits.test) if split is not None and split.size]
        symbols = max(2, *(int(split.max()) + 1 for split in records))
        if symbols > MAX_SYMBOLS:
            raise DataError(
                f"symbols must be below {MAX_SYMBOLS}, got {symbols - 1}: a symbolizer makes wide numbers small "
                "(docs/data.md), and cardinalities says what is meant if it is not"
            )
        return (symbols,) * variables
    sizes = (int(given),) * variables if isinstance(given, int | np.integer) else tuple(int(size) for size in given)
    if len(sizes) != variables:
        raise UsageError(f"cardinalities must be one number or one for each of {variables} variables, got {len(sizes)}")
    if min(sizes) < 1:
        raise UsageError(f"cardinalities must be at least 1, got {min(sizes)}")
    return sizes


def _hold_out(records: IntArray, config: LearnConfig) -> tuple[IntArray, IntArray]:
    if len(records) < 2:
        raise DataError(f"training must have at least 2 records when there is no validation split, got {len(records)}")
    return hold_out(records, config.holdout, config.seed)


def evaluate(circuit: Circuit, data: ArrayLike, config: LearnConfig | None = None) -> FloatArray:
    """Compute log p of every record in nats, like `log_likelihood` but stack by stack and on any device.

    Args:
        circuit: any circuit.
        data: records, -1 where missing.
        config: device and dtype.

    Raises:
        DataError, UsageError, MissingToolError: as in `fit`.
    """
    records = check_records(data, circuit.cardinalities, allow_missing=True)
    return np.asarray(_torch_part("em").log_likelihoods(circuit, records, config or LearnConfig()))


def count_flows(circuit: Circuit, data: ArrayLike, config: LearnConfig | None = None) -> list[FloatArray | None]:
    """Compute what `pcedge.compress.expected_flows` does, stack by stack and on any device."""
    records = check_records(data, circuit.cardinalities, allow_missing=True)
    flows: list[FloatArray | None] = _torch_part("em").flows(circuit, records, config or LearnConfig())
    return flows


def check_device(config: LearnConfig) -> None:
    """Demand that torch is installed and the device works here.

    Raises:
        UsageError: the device does not work.
        MissingToolError: torch is not installed, or too old.
    """
    _torch_part("workers").own_device(config)


def _torch_part(name: str) -> Any:
    """Import a module that needs torch."""
    with needing("torch", "train", "training"):
        module = importlib.import_module(f"pcedge.learn.{name}")
    return module
