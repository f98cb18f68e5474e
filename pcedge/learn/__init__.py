"""Learning: structures, where they start, leaves and EM. Training needs torch, importing this does not."""

from pcedge.learn.chow_liu import chow_liu_tree
from pcedge.learn.config import LearnConfig
from pcedge.learn.initial import STRUCTURES, initial_circuit
from pcedge.learn.leaves import LEAVES, fit_geometric, fit_logistic, refit_layer, with_leaves
from pcedge.learn.structures import (
    balanced_binary_tree,
    chain,
    hidden_chow_liu_tree,
    independent,
    quad_tree,
    region_tree_circuit,
)
from pcedge.learn.training import count_flows, evaluate, fit, train

__all__ = [
    "LEAVES", "STRUCTURES", "LearnConfig", "balanced_binary_tree", "chain", "chow_liu_tree", "count_flows", "evaluate",
    "fit", "fit_geometric", "fit_logistic", "hidden_chow_liu_tree", "independent", "initial_circuit", "quad_tree",
    "refit_layer", "region_tree_circuit", "train", "with_leaves",
]  # fmt: skip
