"""Learning: Chow–Liu trees, hidden Chow–Liu circuits and EM. Training needs torch, importing this does not."""

from pcedge.learn.chow_liu import chow_liu_tree
from pcedge.learn.config import LearnConfig
from pcedge.learn.structures import hidden_chow_liu_tree
from pcedge.learn.training import fit, train

__all__ = ["LearnConfig", "chow_liu_tree", "fit", "hidden_chow_liu_tree", "train"]
