"""What leaves are drawn to in the M-step, so that they do not learn their few records by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING
from pcedge.learn.config import LearnConfig

#: a torch tensor
Tensor = Any

#: records of all variables' common marginal that are added to each split of a variable's own
POOLED_RECORDS = 10.0


def leaf_priors(train: IntArray, cardinalities: tuple[int, ...], config: LearnConfig) -> list[FloatArray]:
    """Give the distribution that a variable's leaves are drawn to: its marginal, `config.uniform_share` of it even.

    For the prior `tree` rare symbols of a marginal borrow from all variables with as many symbols.
    """
    counts = []
    for variable, cardinality in enumerate(cardinalities):
        column = train[:, variable]
        counts.append(np.bincount(column[column != MISSING], minlength=cardinality).astype(np.float64))
    pooled: dict[int, FloatArray] = {}
    for cardinality, counted in zip(cardinalities, counts, strict=True):
        pooled[cardinality] = pooled.get(cardinality, np.zeros(cardinality)) + counted
    priors = []
    for cardinality, counted in zip(cardinalities, counts, strict=True):
        even = np.full(cardinality, 1 / cardinality)
        if config.leaf_prior == "tree":
            shared = (pooled[cardinality] + even) / (pooled[cardinality].sum() + 1)
            marginal = tree_shrunk(torch.tensor(counted), torch.tensor(shared), POOLED_RECORDS).numpy()
        else:
            marginal = counted / counted.sum() if counted.sum() else even
        priors.append((1 - config.uniform_share) * marginal + config.uniform_share * even)
    return priors


def tree_shrunk(counts: Tensor, centre: Tensor, strength: float, growth: float = 0.0) -> Tensor:
    """Estimate distributions from counts by a Pólya tree over dyadic intervals of symbols.

    Every interval is split in two, and to each split records are added that split as the centre does: `strength` times
    depth ** `growth`, the depth of the first split being 1. So a row with few counts takes the fine shape of the
    centre and keeps its own coarse one, which one pseudocount for all symbols cannot do. Lavine, "Some Aspects of
    Polya Tree Distributions for Statistical Modelling", Annals of Statistics 1992, section 3: growth 2 is the usual.

    Args:
        counts: (..., symbols).
        centre: distributions that can be broadcast to the counts.
        strength: records added to the first split.
        growth: exponent of the depth.
    """
    depth = max(0, counts.shape[-1] - 1).bit_length()
    padding = (0, (1 << depth) - counts.shape[-1])
    finest = [torch.nn.functional.pad(values, padding) for values in (counts, centre)]
    result = torch.ones_like(counts[..., :1])
    for level in range(depth):
        width = 1 << (depth - level - 1)
        halves = [values.unflatten(-1, (-1, 2, width)).sum(dim=-1) for values in finest]
        observed, drawn = halves
        share = drawn / drawn.sum(dim=-1, keepdim=True)
        share = torch.where(share.isfinite(), share, 0.5)
        split = observed + strength * (level + 1) ** growth * share
        split = split / split.sum(dim=-1, keepdim=True)
        split = torch.where(split.isfinite(), split, share)
        result = (result[..., None] * split).flatten(-2)
    return result[..., : counts.shape[-1]]


def neighbours(tables: Tensor) -> Tensor:
    """Give every symbol half of each neighbour's counts; the borders keep what would fall off."""
    if tables.shape[-1] < 2:
        return tables
    left = torch.cat([tables[..., 1:], tables[..., -1:]], dim=-1)
    right = torch.cat([tables[..., :1], tables[..., :-1]], dim=-1)
    return (left + right) / 2
