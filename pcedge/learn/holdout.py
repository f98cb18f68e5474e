"""Which records are held out where there is no validation split."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import IntArray


def hold_out(records: IntArray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Split records into those to train on and a share, drawn with the seed, that is held out.

    Training, refinement and search hold out the same records for the same share and seed, so that what judges a
    refined circuit is new to the trained one too.

    Args:
        records: (N, …), at least 2.
        share: the part that is held out; at least one record is, and one is not.
        seed: seed of the draw.

    Example:
        >>> [part.tolist() for part in hold_out(np.arange(8), 0.25, 0)]
        [[0, 2, 3, 5, 6, 7], [1, 4]]
    """
    order = np.random.default_rng([seed, 2]).permutation(len(records))
    count = min(max(1, round(share * len(records))), len(records) - 1)
    return records[np.sort(order[count:])], records[np.sort(order[:count])]
