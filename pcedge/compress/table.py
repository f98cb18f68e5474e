"""The passes by name, and the chains that users write."""

from __future__ import annotations

from pcedge.compress.fold import FOLD
from pcedge.compress.growing import GROW
from pcedge.compress.merge import MERGE
from pcedge.compress.nesting import NEST
from pcedge.compress.passes import Pass
from pcedge.compress.pruning import PRUNE, SHAPES
from pcedge.compress.sharing import SHARE_PASS
from pcedge.compress.sparsify import SPARSIFY
from pcedge.errors import UsageError

PASSES = {each.name: each for each in (MERGE, FOLD, SPARSIFY, PRUNE, SHARE_PASS, NEST, GROW)}

#: what `auto` stands for: the chain that docs/passes.md found best; leaves share tables where memory is limited
AUTO, AUTO_KBIT = "fold,merge,fold", "fold,merge,fold,share"
#: and what it stands for where nothing is limited
AUTO_EXACT = "fold"


def has_value(told: str | None) -> bool:
    """Tell whether what stands behind a pass' colon says how far it goes, whatever the target."""
    return told is not None and told not in SHAPES


def chain(text: str, unit: str | None) -> tuple[tuple[Pass, str | None], ...]:
    """Read a chain of passes, as `fold,prune:states=0.5,share:64`.

    Args:
        text: the names with commas between them, each with a colon before what it is told; or `auto`.
        unit: what the target limits, or None.

    Raises:
        UsageError: there is no such pass, none is named, what it is told is wrong, or it needs a target.

    Example:
        >>> [(each.name, told) for each, told in chain("fold,share:64", None)]
        [('fold', None), ('share', '64')]
    """
    if text == "auto":
        text = AUTO_KBIT if unit == "kbit" else AUTO if unit else AUTO_EXACT
    passes = []
    for entry in text.split(","):
        name, colon, told = entry.strip().partition(":")
        if name not in PASSES:
            raise UsageError(f"a pass must be one of {', '.join(PASSES)}, or auto alone, got {name!r}")
        each, value = PASSES[name], told if colon else None
        each.check(value)
        if unit is None and each.unlimited and not has_value(value):
            raise UsageError(each.unlimited)
        passes.append((each, value))
    return tuple(passes)
