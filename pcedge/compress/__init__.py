"""Smaller and larger float circuits: passes with one interface, and what they are made of. Needs numpy only."""

from pcedge.compress.flows import expected_flows, loss_bound
from pcedge.compress.fold import fold
from pcedge.compress.growing import grow
from pcedge.compress.marginal import marginal
from pcedge.compress.merge import merge_path
from pcedge.compress.passes import Evidence, Outcome, Pass, Target
from pcedge.compress.pruning import Pruned, prune, sap_round
from pcedge.compress.rows import share_rows
from pcedge.compress.sharing import share_leaves
from pcedge.compress.sparsity import latent_information, pq_index, sap_fraction
from pcedge.compress.table import PASSES, chain

__all__ = [
    "PASSES", "Evidence", "Outcome", "Pass", "Pruned", "Target", "chain", "expected_flows", "fold", "grow",
    "latent_information", "loss_bound", "marginal", "merge_path", "pq_index", "prune", "sap_fraction", "sap_round",
    "share_leaves", "share_rows",
]  # fmt: skip
