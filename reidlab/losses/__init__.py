"""Losses on one batch of embeddings or logits.

Each is a plain function: tensors in, one scalar out, no state, no printing. What `fit` takes has
the form (model, batch) -> named terms, which it sums.
"""

from reidlab.losses.attributes import attribute_loss, attribute_terms, weighted_cross_entropy
from reidlab.losses.center import ReidCenterLoss, center_loss, scale_gradient
from reidlab.losses.distances import pairwise_distance
from reidlab.losses.identity import branch_mean, id_loss
from reidlab.losses.processes import gathered
from reidlab.losses.reid import reid_loss
from reidlab.losses.triplet import batch_hard_triplet, hardest_pairs

__all__ = [
    "ReidCenterLoss",
    "attribute_loss",
    "attribute_terms",
    "batch_hard_triplet",
    "branch_mean",
    "center_loss",
    "gathered",
    "hardest_pairs",
    "id_loss",
    "pairwise_distance",
    "reid_loss",
    "scale_gradient",
    "weighted_cross_entropy",
]
