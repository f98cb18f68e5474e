"""Smaller and larger float circuits by circuit flow (Dang, Liu, Van den Broeck, NeurIPS 2022). Needs numpy only."""

from pcedge.compress.flows import expected_flows, loss_bound
from pcedge.compress.growing import grow
from pcedge.compress.pruning import Pruned, prune, sap_round
from pcedge.compress.sharing import share_leaves
from pcedge.compress.sparsity import latent_information, pq_index, sap_fraction

__all__ = [
    "Pruned",
    "expected_flows",
    "grow",
    "latent_information",
    "loss_bound",
    "pq_index",
    "prune",
    "sap_fraction",
    "sap_round",
    "share_leaves",
]
