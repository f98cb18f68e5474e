"""Expectation maximisation: full-batch, or mini-batch with running expected counts."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer
from pcedge.errors import CircuitError, DataError, FormatError
from pcedge.learn import checkpoint as checkpoints
from pcedge.learn.config import LearnConfig, Point, Progress, Stopped, Watch
from pcedge.learn.model import Model, Snapshot
from pcedge.learn.priors import leaf_priors
from pcedge.learn.workers import Workers, own_device

#: values that an E-step keeps at a time, records times units: bounds the memory, at some 40 bytes each
VALUES = 2**24
#: how many times as much a GPU holds
GPU_SCALE = 2**6

#: what the rows of a checkpoint's parameters may sum to beside 1: float32 adds many thousand symbols
ROW_ERROR = 1e-3

#: exponent of the running counts' window: above 1/2 they converge, and near 1 they drag counts of old parameters along
GROWTH = 0.6


def fit_parameters(
    circuit: Circuit, train: IntArray, valid: IntArray, config: LearnConfig, progress: Progress | None = None,
    checkpoint: Path | None = None, workers: Workers | None = None, watch: Watch | None = None,
) -> Circuit:  # fmt: skip
    """Train a circuit's parameters, starting at those it has.

    Args:
        circuit: any circuit.
        train: records of shape (N, variables), -1 where missing.
        valid: records that tell when to stop.
        config: the settings.
        progress: called after every iteration; the train figure is of the batch, before its M-step, the validation
            figure the last one that was computed, of a sample of the records.
        checkpoint: a file that is written every `config.checkpoint_seconds`, and continued from where it exists.
        workers: this process' place among those that train together; None works alone.
        watch: what looks after the run.

    Returns:
        The circuit with the parameters of the best validation likelihood (with those of the last iteration, if
        `config.patience` is 0).

    Raises:
        DataError: the likelihood is no number any more.
        UsageError, FormatError: the checkpoint is of another run, or no checkpoint.
        Stopped: the watch said so.
    """
    valid = _looked_at(valid, min(config.batch, len(train)), config)
    workers, watch = workers or Workers(device=config.device), watch or Watch()
    run = _Run(circuit, train, valid, config, workers)
    mark = checkpoints.fingerprint(circuit, train, valid, config) if checkpoint is not None else ""
    if checkpoint is not None and (state := checkpoints.found(checkpoint, mark, watch.aside)) is not None:
        try:
            run.restore(state)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, RuntimeError, CircuitError) as error:
            raise FormatError("checkpoint", f"{checkpoint} must hold a whole state of the run ({error!r})") from error
    watch.curve[:] = run.curve
    run.curve = watch.curve
    saved = time.monotonic()
    while run.iteration < config.iterations and not run.done:
        if workers.any(watch.stop()):
            if checkpoint is not None and workers.rank == 0 and run.iteration:
                checkpoints.write(checkpoint, run.state(), mark)
            raise Stopped(run.iteration)
        train_bits, valid_bits = run.step(), run.valid_bits
        if run.iteration % config.validate_every == 0 or run.iteration == config.iterations:
            valid_bits = run.validate()
        run.curve.append((run.iteration, train_bits, valid_bits))
        if progress is not None:
            progress(run.iteration, config.iterations, train_bits, valid_bits)
        if checkpoint is not None and workers.rank == 0 and time.monotonic() - saved >= config.checkpoint_seconds:
            checkpoints.write(checkpoint, run.state(), mark)
            saved = time.monotonic()
    if checkpoint is not None and workers.rank == 0:
        checkpoints.write(checkpoint, run.state(), mark)
    return run.model.to_circuit(run.kept)


def _looked_at(valid: IntArray, batch: int, config: LearnConfig) -> IntArray:
    """Draw the records of the validation split that tell when to stop."""
    count = config.looked_at(len(valid), batch)
    if count == len(valid):
        return valid
    return valid[np.sort(np.random.default_rng([config.seed, 4]).choice(len(valid), count, replace=False))]


def log_likelihoods(circuit: Circuit, records: IntArray, config: LearnConfig) -> FloatArray:
    """Compute log p of every record on the device, as float64 of shape (N,)."""
    model, size = _model(circuit, records, config)
    batches = [
        model.log_likelihood(model.load(records[start : start + size])).cpu().numpy().astype(np.float64)
        for start in range(0, len(records), size)
    ]
    return np.concatenate(batches) if batches else np.zeros(0)


def flows(circuit: Circuit, records: IntArray, config: LearnConfig) -> list[FloatArray | None]:
    """Compute the expected counts of every layer's parameters on the device; None for products."""
    model, size = _model(circuit, records, config)
    total = np.zeros(model.plan.parameters + 1)
    for start in range(0, len(records), size):
        total += model.counts(model.load(records[start : start + size])).cpu().numpy()
    return model.by_layer(total[:-1])


def _model(circuit: Circuit, records: IntArray, config: LearnConfig) -> tuple[Model, int]:
    model = Model(circuit, leaf_priors(records[:0], circuit.cardinalities, config), config, own_device(config))
    return model, records_at_a_time(model)


def records_at_a_time(model: Model) -> int:
    """Say how many records are evaluated at a time."""
    values = VALUES if model.device.type == "cpu" else VALUES * GPU_SCALE
    return max(1, values // model.plan.rows)


class _Run:
    """Hold the state of a training run, and make its iterations."""

    def __init__(
        self, circuit: Circuit, train: IntArray, valid: IntArray, config: LearnConfig, workers: Workers
    ) -> None:
        self.config = config
        self.workers = workers
        self.model = Model(circuit, leaf_priors(train, circuit.cardinalities, config), config, workers.device)
        workers.agree(self.model.parameters)
        self.records = len(train)
        self.train = self.model.load(train)
        self.valid = self.model.load(workers.share(valid))
        self.valid_records = len(valid)
        self.per_nat = 1 / (math.log(2) * train.shape[1])
        self.size = min(config.batch, len(train))
        self.full = self.size == len(train)
        self.generator = np.random.default_rng([config.seed, 1])
        self.order = np.arange(len(train))
        self.place = len(train)
        self.iteration = 0
        self.best, self.best_at = -math.inf, 0
        self.kept = self.model.snapshot()
        self.curve: list[Point] = []
        self.running: Any = None
        self.batch_size = records_at_a_time(self.model)

    @property
    def done(self) -> bool:
        """Tell whether the validation likelihood has not grown for long enough, and was looked at meanwhile."""
        patience = self.config.patience and max(self.config.patience, self.config.validate_every)
        return bool(patience) and self.iteration - self.best_at >= patience

    @property
    def valid_bits(self) -> float:
        """Give the validation bits a variable that were computed last."""
        return self.curve[-1][2] if self.curve else math.nan

    def step(self) -> float:
        """Make one E-step and one M-step; give the batch's bits a variable before the M-step."""
        if not self.full and self.place + self.size > self.records:
            self.order, self.place = self.generator.permutation(self.records), 0
        batch = self.order if self.full else self.order[self.place : self.place + self.size]
        self.place += self.size
        self.iteration += 1
        counts = self.workers.add(self._counts(self.workers.share(batch)))
        total = float(counts[-1])
        if not math.isfinite(total):
            raise DataError(f"the train likelihood must stay finite, it is {total} in iteration {self.iteration}")
        counts = counts[:-1] * (self.records / self.size)
        if self.running is None or self.full:
            self.running = counts
        else:
            # The share of a new batch falls, so the average covers more and more batches.
            rate = (self.config.window + self.iteration - 1) ** -GROWTH
            self.running.lerp_(counts, rate)
        self.model.update(self.running)
        return float(-total / self.size * self.per_nat)

    def _counts(self, batch: IntArray) -> Any:
        total: Any = None
        # Parts of one size: a GPU records its graph once for each size.
        size = -(-len(batch) // -(-len(batch) // self.batch_size)) if len(batch) else 1
        for start in range(0, len(batch), size):
            chosen = torch.tensor(batch[start : start + size], device=self.model.device)
            counts = self.model.counts(self.train.index_select(1, chosen))
            total = counts if total is None else total + counts
        if total is None:  # a batch of fewer records than there are workers
            return self.model.parameters.new_zeros(self.model.plan.parameters + 1)
        return total

    def validate(self) -> float:
        """Compute the validation bits a variable, and keep the parameters if they are the best so far."""
        score = torch.zeros(1, dtype=torch.float64, device=self.model.device)
        for start in range(0, self.valid.shape[1], self.batch_size):
            score += self.model.log_likelihood(self.valid[:, start : start + self.batch_size]).sum(dtype=torch.float64)
        mean = float(self.workers.add(score)) / self.valid_records
        if mean > self.best or self.config.patience == 0:
            self.best, self.best_at = mean, self.iteration
            self.kept = self.model.snapshot()
        return float(-mean * self.per_nat)

    def state(self) -> checkpoints.State:
        """Give what the next iteration depends on."""
        tensors = {
            "order": self.order,
            "parameters": self.model.parameters.cpu().numpy(),
            "running": self.running.cpu().numpy(),
            "kept": self.kept.parameters.cpu().numpy(),
        }
        for name, leaves in (("leaves", self.model.leaves), ("kept-leaves", self.kept.leaves)):
            for index, layer in leaves.items():
                assert layer.parametric is not None
                tensors[f"{name}.{index}"] = layer.parametric.parameters
        generator = self.generator.bit_generator.state
        return checkpoints.State(
            self.iteration, self.place, self.best, self.best_at, generator, tensors, list(self.curve)
        )

    def restore(self, state: checkpoints.State) -> None:
        """Go on where a checkpoint was written.

        Raises:
            KeyError, TypeError, ValueError, OverflowError, CircuitError: it holds no state that this run could reach.
        """
        numbers = (state.iteration, state.place, state.best_at)
        if any(type(number) is not int for number in numbers) or type(state.best) is not float:
            raise TypeError(f"iteration, place and best must be numbers, got {numbers} and {state.best!r}")
        last = state.place if self.full else self.records
        if not (0 <= state.best_at <= state.iteration and 0 <= state.place <= last) or not state.best < math.inf:
            raise ValueError(f"iteration, place and best must be in their ranges, got {numbers} and {state.best}")
        ends = [0, *(point[0] for point in state.curve), state.iteration + 1]
        if any(first >= last for first, last in itertools.pairwise(ends)):
            raise ValueError(f"the curve must be of the iterations up to {state.iteration}, in their order")
        tensors = {}
        for name in ("running", "kept", "parameters"):
            array = state.tensors[name]
            if array.shape != self.model.parameters.shape or array.dtype != self.config.dtype:
                raise ValueError(f"{name} must have {len(self.model.parameters)} numbers of {self.model.dtype}")
            tensors[name] = torch.tensor(array, device=self.model.device)
            if not (array >= 0).all() or not np.isfinite(array).all():
                raise ValueError(f"{name} must have numbers from 0 on")
            if name == "running" and not (array <= 2 * self.records).all():
                # Twice as many leave room for the rounding of float32.
                raise ValueError(f"running must have expected counts of {self.records} records, got {array.max()}")
            if name != "running" and float((self.model.row_totals(tensors[name]) - 1).abs().max()) > ROW_ERROR:
                raise ValueError(f"every row of {name} must sum to 1")
        order = state.tensors["order"]
        if order.dtype != self.order.dtype or not np.array_equal(np.sort(order), np.arange(self.records)):
            raise ValueError(f"order must name each of {self.records} records once, as {self.order.dtype}")
        self.iteration, self.place, self.best, self.best_at = (
            state.iteration, state.place, state.best, state.best_at,
        )  # fmt: skip
        self.curve = state.curve
        self.generator.bit_generator.state = state.generator
        self.order = order
        self.running = tensors["running"]
        self.kept = Snapshot(tensors["kept"], self._leaves(state.tensors, "kept-leaves"))
        self.model.restore(Snapshot(tensors["parameters"], self._leaves(state.tensors, "leaves")))

    def _leaves(self, tensors: Any, name: str) -> dict[int, InputLayer]:
        layers = {}
        for index, layer in self.model.leaves.items():
            assert layer.parametric is not None
            parameters, array = layer.parametric.parameters, tensors[f"{name}.{index}"]
            if array.shape != parameters.shape or array.dtype != parameters.dtype:
                raise ValueError(
                    f"{name}.{index} must be {parameters.dtype} {parameters.shape}, got {array.dtype} {array.shape}"
                )
            layers[index] = InputLayer.of(layer.variable, replace(layer.parametric, parameters=array))
        return layers
