"""Losses on one batch of embeddings or logits.

Each is a plain function: tensors in, one scalar out, no state, no printing. What `fit` takes has
the form (model, batch) -> named terms, which it sums.
"""

from reidlab.losses.aligned import aligned_loss, local_triplet
from reidlab.losses.alignment import (
    aligned_distance,
    aligned_pairs,
    alignment_path,
    shortest_path,
)
from reidlab.losses.attributes import attribute_loss, attribute_terms, weighted_cross_entropy
from reidlab.losses.center import ReidCenterLoss, center_loss, scale_gradient
from reidlab.losses.contrastive import batch_contrastive, contrastive_loss
from reidlab.losses.deep_cosine import cosine_softmax_loss, soft_triplet_loss
from reidlab.losses.distances import distance_matrix, paired_distance, pairwise_distance
from reidlab.losses.flip import flip_loss
from reidlab.losses.identity import branch_mean, id_loss
from reidlab.losses.la_transformer import la_loss
from reidlab.losses.margins import (
    CLASSIFICATIONS,
    am_softmax,
    arcface,
    arcface_logits,
    circle,
    circle_logits,
    cosface,
    cosface_logits,
)
from reidlab.losses.multibranch import branch_triplets, multibranch_loss
from reidlab.losses.mutual import mutual_loss
from reidlab.losses.paired import id_and_pairwise_loss
from reidlab.losses.pairwise import (
    PAIRWISE,
    cosine_triplet,
    pairwise_circle,
    pairwise_contrastive,
    pairwise_cosface,
)
from reidlab.losses.processes import gathered
from reidlab.losses.reid import reid_loss
from reidlab.losses.transreid import branch_sum, transreid_loss
from reidlab.losses.triplet import (
    batch_all_triplet,
    batch_hard_triplet,
    hardest_pairs,
    triplet_loss,
    weighted_triplet,
)
from reidlab.losses.tuples import pair_loss

__all__ = [
    "CLASSIFICATIONS",
    "PAIRWISE",
    "ReidCenterLoss",
    "aligned_distance",
    "aligned_loss",
    "aligned_pairs",
    "alignment_path",
    "am_softmax",
    "arcface",
    "arcface_logits",
    "attribute_loss",
    "attribute_terms",
    "batch_all_triplet",
    "batch_contrastive",
    "batch_hard_triplet",
    "branch_mean",
    "branch_triplets",
    "branch_sum",
    "center_loss",
    "circle",
    "circle_logits",
    "contrastive_loss",
    "cosface",
    "cosface_logits",
    "cosine_softmax_loss",
    "cosine_triplet",
    "distance_matrix",
    "flip_loss",
    "gathered",
    "hardest_pairs",
    "id_and_pairwise_loss",
    "id_loss",
    "la_loss",
    "local_triplet",
    "multibranch_loss",
    "mutual_loss",
    "paired_distance",
    "pair_loss",
    "pairwise_circle",
    "pairwise_contrastive",
    "pairwise_cosface",
    "pairwise_distance",
    "reid_loss",
    "scale_gradient",
    "shortest_path",
    "soft_triplet_loss",
    "transreid_loss",
    "triplet_loss",
    "weighted_cross_entropy",
    "weighted_triplet",
]
