"""The receiver operating characteristic: how well two sets are told apart by a score, with exact ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.errors import DataError


def auroc(inliers: ArrayLike, outliers: ArrayLike) -> float:
    """Compute the area under the ROC curve: how often an inlier scores above an outlier; a tie counts half.

    Args:
        inliers: scores, (N,) with N > 0, finite or infinite.
        outliers: scores, (M,) with M > 0.

    Example:
        >>> auroc([2.0, 1.0, -np.inf], [1.0, -np.inf])
        0.6666666666666666
    """
    mine, other = np.asarray(inliers, dtype=np.float64), np.sort(np.asarray(outliers, dtype=np.float64))
    for scores in (mine, other):
        if not scores.size or np.isnan(scores).any():
            raise DataError(f"scores must be at least one number and no NaN, got {scores.size} scores")
    smaller = np.searchsorted(other, mine, side="left")
    upto = np.searchsorted(other, mine, side="right")
    return (int(smaller.sum()) + int(upto.sum())) / (2 * mine.size * other.size)


def roc(inliers: FloatArray, outliers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the ROC curve from (0, 0) to (1, 1): shares of outliers and of inliers that reach each threshold."""
    thresholds = np.unique(np.concatenate([inliers, outliers]))[::-1]
    shares = []
    for scores in (outliers, inliers):
        passed = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
        shares.append(np.concatenate([[0.0], passed / len(scores)]))
    return shares[0], shares[1]
