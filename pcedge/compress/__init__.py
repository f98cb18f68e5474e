"""Pruning and growing of float circuits by circuit flow (Dang, Liu, Van den Broeck, NeurIPS 2022). Needs numpy only."""

from pcedge.compress.flows import expected_flows, loss_bound
from pcedge.compress.growing import grow
from pcedge.compress.pruning import Pruned, prune

__all__ = ["Pruned", "expected_flows", "grow", "loss_bound", "prune"]
