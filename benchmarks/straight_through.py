"""Compare rounded EM with straight-through gradients through brevitas on digits: python benchmarks/straight_through.py.

Needs the extras train and qat. The rows of sums are brevitas weight quantizers whose rounding is that of the export;
gradients of the likelihood are the expected counts over the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import QuantType
from brevitas.proxy import WeightQuantProxyFromInjector
from results import table, write_section

from pcedge.circuit import Circuit, load_circuit
from pcedge.data import load_data
from pcedge.learn import LearnConfig
from pcedge.learn.model import Model
from pcedge.learn.plan import LeafStack, SumStack
from pcedge.learn.priors import leaf_priors
from pcedge.quantize import QuantizationConfig, RefineConfig, refine
from pcedge.quantize.rounding import least_code_length

STEPS, BATCH = 150, 256
#: a dropped weight counts as this much, as in `refine`
DROPPED = 1e-6
#: learning rates of rows and of leaf tables
RATES = ((0.003, 0.0), (0.01, 0.0), (0.03, 0.0), (0.01, 0.001), (0.03, 0.003))


class Rounding(torch.autograd.Function):
    """Round rows forward, and let gradients through."""

    @staticmethod
    def forward(context: Any, rows: torch.Tensor, bits: int) -> torch.Tensor:
        """Round as the export does."""
        return torch.tensor(least_code_length(rows.detach().numpy(), 1 << bits) / (1 << bits))

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Take the gradient of the rounded rows for that of the rows."""
        return gradient, None


class RowQuant(torch.nn.Module):
    """Give brevitas a row's value, scale, zero point and bit width."""

    def __init__(self, bit_width: int) -> None:
        """Take W from the injector."""
        super().__init__()
        self.bit_width = bit_width

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Quantize."""
        scale = torch.tensor(2.0**-self.bit_width)
        return Rounding.apply(rows, self.bit_width), scale, torch.tensor(0.0), torch.tensor(float(self.bit_width))


class Gradients(Model):
    """Give the gradients of sum weights instead of their counts."""

    def _entry_counts(self, on: Any, share: torch.Tensor, scaled: torch.Tensor) -> torch.Tensor:
        return torch.bmm(share, scaled.transpose(1, 2)).flatten()


def quantizer(bits: int) -> WeightQuantProxyFromInjector:
    class Weights(ExtendedInjector):
        proxy_class = WeightQuantProxyFromInjector
        tensor_quant = RowQuant
        quant_type = QuantType.INT
        bit_width, signed, narrow_range = bits, False, False

    return WeightQuantProxyFromInjector(torch.nn.Linear(1, 1), Weights)


def score(model: Model, records: np.ndarray) -> float:
    return -float(model.log_likelihood(model.load(records)).mean()) / (records.shape[1] * np.log(2))


def by_gradient(circuit: Circuit, splits: list[np.ndarray], bits: int, rates: tuple[float, float]) -> tuple[float, ...]:
    """Give validation and test bits of the start and of the best step by validation."""
    train, valid, test = splits
    model = Gradients(circuit, leaf_priors(train, circuit.cardinalities, LearnConfig()), LearnConfig())
    rounded, start = quantizer(bits), model.parameters.clone()
    places: list[tuple[slice, bool, torch.nn.Parameter]] = []
    for stack in (stack for level in model.plan.levels for stack in level):
        if isinstance(stack, LeafStack | SumStack):
            part = slice(stack.first, stack.first + int(np.prod(stack.shape)))
            logits = start[part].view(-1, stack.shape[2]).clamp_min(DROPPED).log()
            places.append((part, isinstance(stack, SumStack), torch.nn.Parameter(logits)))
    groups = [[logits for _, sums, logits in places if sums is kind] for kind in (True, False)]
    optimiser = torch.optim.Adam([{"params": group} for group in groups])

    def put() -> list[torch.Tensor]:
        rows = []
        for part, sums, logits in places:
            value = torch.softmax(logits, 1)
            value = rounded(value)[0] if sums else value
            model.parameters[part] = value.detach().flatten().clamp_min(DROPPED)
            rows.append(value)
        return rows

    put()
    first = best = (score(model, valid), score(model, test))
    generator = np.random.default_rng(0)
    for step in range(STEPS):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / STEPS)
        rows = put()
        batch = train[generator.choice(len(train), BATCH, replace=False)]
        counts = model.counts(model.load(batch))[:-1] / BATCH
        loss = torch.zeros(())
        for (part, sums, _), row in zip(places, rows, strict=True):
            given = counts[part].view(row.shape)
            loss = loss - ((row if sums else row.clamp_min(1e-300).log()) * given).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 10 == 9:
            put()
            best = min(best, (score(model, valid), score(model, test)))
    return *first, *best


def by_em(circuit: Circuit, splits: list[np.ndarray], bits: int) -> tuple[float, float]:
    train, valid, test = splits
    fitted = refine(circuit, train, QuantizationConfig(bits, 16), RefineConfig(), valid=valid)
    model = Model(fitted, leaf_priors(train, circuit.cardinalities, LearnConfig()), LearnConfig())
    model.parameters.clamp_min_(DROPPED)
    return score(model, valid), score(model, test)


def main() -> None:
    data, circuit = load_data("digits"), load_circuit("digits")
    splits = [part.reshape(len(part), -1).astype(np.int64) for part in (data.train, data.valid, data.test)]
    rows = []
    for bits in (4, 3):
        for place, rates in enumerate(RATES):
            figures = by_gradient(circuit, splits, bits, rates)
            if not place:
                rows.append([f"W{bits}", "rounded only", f"{figures[0]:.4f}", f"{figures[1]:.4f}"])
            name = f"straight-through, Adam {rates[0]} rows, {rates[1]} leaves"
            rows.append([f"W{bits}", name, f"{figures[2]:.4f}", f"{figures[3]:.4f}"])
        rows.append([f"W{bits}", "rounded EM, 10 passes", *(f"{bits_:.4f}" for bits_ in by_em(circuit, splits, bits))])
    lines = [
        "Bits a variable of the digits circuit with rounded sum rows (float leaves, no truncation); the best step or "
        f"pass by validation. Straight-through: {STEPS} steps of {BATCH} images.",
        "",
        *table(["widths", "training", "validation", "test"], rows),
    ]
    write_section("Rounded EM and straight-through gradients", "python benchmarks/straight_through.py", lines)


if __name__ == "__main__":
    main()
