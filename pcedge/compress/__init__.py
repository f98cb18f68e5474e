"""Smaller and larger float circuits by circuit flow (Dang, Liu, Van den Broeck, NeurIPS 2022). Needs numpy only."""

from pcedge.compress.flows import expected_flows, loss_bound
from pcedge.compress.growing import grow
from pcedge.compress.pruning import Pruned, prune
from pcedge.compress.sharing import share_leaves

__all__ = ["Pruned", "expected_flows", "grow", "loss_bound", "prune", "share_leaves"]
