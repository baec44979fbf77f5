"""Triplets and identities, summed over the branches of a network.

Shapes: B images, T triplets, D width of a branch, C identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.checks import not_negative, one_of
from reidlab.losses.identity import id_loss
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import (
    batch_all_triplet,
    batch_hard_triplet,
    triplet_loss,
    weighted_triplet,
)
from reidlab.losses.tuples import check_triplets, split_tuples

Mining = Literal["given", "hard", "all", "weighted"]
MINERS = {
    "hard": batch_hard_triplet,
    "all": batch_all_triplet,
    "weighted": functools.partial(weighted_triplet, epsilon=0.0),  # features are not normalised
}


def multibranch_loss(
    model: nn.Module,
    batch: Batch,
    *,
    margin: float | None = 10.0,
    metric: str = "euclidean",
    mining: Mining = "given",
    weight: float = 0.5,
    id_on: Literal["anchor", "all"] = "anchor",
    smoothing: float = 0.0,
) -> dict[str, Tensor]:
    r"""Triplet loss and cross-entropy of every branch: `{"triplet", "id"}`.

    .. math:: L = \lambda \sum_{branches} \big( T_b + CE_b \big)

    A network without classifiers has no "id" term.

    Args:
        model: returns features and logits per branch.
        batch: of sampler "triplets" for given triplets, else of "pk" or "groups".
        margin: alpha, in the units of the metric; 10 suits features that are not normalised. None
            replaces the hinge by softplus.
        metric: distance between features: "euclidean", "squared" or "cosine".
        mining: "given": the triplets that were drawn with the batch, of no particular hardness;
            "hard", "all" or "weighted": made of all images of a batch, of all processes.
        weight: lambda, the same for all terms.
        id_on: given triplets only: identities of the "anchor" alone, or of "all" three images.
        smoothing: of the labels.

    Raises:
        ValueError: an unknown choice, a weight or margin below 0, or a batch of another sampler
            than the mining needs.

    Source: a course report on Market-1501 (Barattin and Da Rold, University of Trento). It prints
    the squared norm and says Euclidean distance: here the latter, `metric="squared"` is the other.
    That the anchor alone is classified is our reading.
    """
    one_of("mining", mining, ("given", *MINERS))
    one_of("id_on", id_on, ("anchor", "all"))
    not_negative(weight=weight)
    found = model(batch.images, batch.camids, batch.viewids)
    terms = {"triplet": branch_triplets(found.features, batch.pids, margin, metric, mining)}
    if found.logits:
        step = 3 if mining == "given" and id_on == "anchor" else 1
        pids = batch.pids[::step]
        terms["id"] = _sum([id_loss(x[::step], pids, smoothing) for x in found.logits])
    return {name: weight * term for name, term in terms.items()}


def branch_triplets(
    features: list[Tensor],
    pids: Tensor,
    margin: float | None,
    metric: str,
    mining: Mining = "given",
) -> Tensor:
    """The triplet losses of all branches, summed.

    Args:
        features: (B, D) per branch.
        pids: (B,).
        margin: in the units of the metric.
        metric: distance between features.
        mining: see `multibranch_loss`.

    Raises:
        ValueError: given triplets that are none.
    """
    if mining == "given":
        check_triplets(pids)
        return _sum([_given(x, margin, metric) for x in features])
    everyone, mine = gathered(pids), MINERS[mining]
    return _sum([mine(gathered(x), everyone, margin, metric=metric) for x in features])


def _given(rows: Tensor, margin: float | None, metric: str) -> Tensor:
    """Triplet loss of features (3 T, D) in the order a, p, n, a, p, n, ..."""
    anchor, positive, negative = split_tuples(rows, 3)
    return triplet_loss(anchor, positive, negative, margin, metric=metric)


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()
