"""AlignedReID's objective: identity, global triplets, and local ones on the same hard pairs.

Shapes: B images, H stripes, D width of the global feature, d of a stripe, C identities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.alignment import aligned_distance, aligned_pairs
from reidlab.losses.checks import not_negative, one_of
from reidlab.losses.distances import pairwise_distance
from reidlab.losses.identity import id_loss
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import penalty
from reidlab.models.aligned import Parts

MINING = ("global", "local")


def hard_indices(distance: Tensor, pids: Tensor) -> tuple[Tensor, Tensor]:
    """Per anchor: positions of its farthest positive and of its nearest negative, (B,) int64 each.

    Args:
        distance: (B, B).
        pids: (B,).

    Raises:
        ValueError: all of one person, so that no negative exists.
    """
    same = pids[:, None] == pids[None, :]  # (B, B)
    if bool(same.all()):
        raise ValueError("expected at least two identities in a batch, got one: no negative exists")
    positive = distance.masked_fill(~same, -torch.inf).argmax(dim=1)
    negative = distance.masked_fill(same, torch.inf).argmin(dim=1)
    return positive, negative


def local_triplet(
    stripes: Tensor,
    pids: Tensor,
    pairs: tuple[Tensor, Tensor] | None = None,
    *,
    margin: float = 0.3,
    aligned: bool = True,
) -> Tensor:
    """Triplet loss of local distances.

    Args:
        stripes: (B, H, d), unit length.
        pids: (B,).
        pairs: positions of each anchor's positive and negative, from `hard_indices` of another
            distance; None mines on the local distance itself, which needs it between all images.
        margin: between the distance to the positive and to the negative.
        aligned: as for `aligned_distance`.
    """
    if pairs is not None:
        near, far = (aligned_pairs(stripes, stripes[each], aligned=aligned) for each in pairs)
        return penalty(near - far, margin).mean()
    distance = aligned_distance(stripes, stripes, aligned=aligned)  # (B, B)
    near, far = (distance.gather(1, each[:, None]) for each in hard_indices(distance, pids))
    return penalty(near - far, margin).mean()


def aligned_loss(
    model: nn.Module,
    batch: Batch,
    *,
    margin: float = 0.3,
    smoothing: float = 0.0,
    local_weight: float = 1.0,
    global_weight: float = 1.0,
    id_weight: float = 1.0,
    mine_on: str = "global",
    aligned: bool = True,
) -> dict[str, Tensor]:
    """Identity loss, batch-hard triplet and local triplet: `{"id", "triplet", "local"}`.

    The triplet is on the global feature as it is, not L2-normalised.

    Args:
        model: an `AlignedReID`.
        batch: PK-sampled; `fit` sums the named terms.
        margin: of both triplet losses.
        smoothing: of the identity loss.
        local_weight: of the local triplet; 0 trains the global feature alone.
        global_weight: of the global triplet.
        id_weight: of the identity loss.
        mine_on: which distance picks the local triplet's pairs: "global" takes those of the global
            triplet, as published; "local" its own.
        aligned: False trains on straight local distances, the control.

    Raises:
        ValueError: `mine_on` is neither, a weight or the margin is below 0, a batch of one person,
            or a network without stripes.

    Source: AlignedReID (arXiv:1711.08184), section 3.1, and AlignedReID++ (Luo et al. 2019).
    """
    not_negative(local_weight=local_weight, global_weight=global_weight, id_weight=id_weight)
    weights = {"id": id_weight, "triplet": global_weight, "local": local_weight}
    settings = {"margin": margin, "smoothing": smoothing, "mine_on": mine_on, "aligned": aligned}
    terms = part_terms(parts_of(model, batch.images), batch, **settings)
    return {name: weights[name] * term for name, term in terms.items()}


def part_terms(
    parts: Parts, batch: Batch, *, margin: float, smoothing: float, mine_on: str, aligned: bool
) -> dict[str, Tensor]:
    """The terms of `aligned_loss` without their weights, of what a network gave for a batch."""
    one_of("mine_on", mine_on, MINING)
    pids = gathered(batch.pids)
    feature, stripes = gathered(parts.feature), gathered(parts.stripes)
    distance = pairwise_distance(feature, feature)  # (B, B), of all processes' images
    pairs = hard_indices(distance, pids)
    near, far = (distance.gather(1, each[:, None]) for each in pairs)
    shared = pairs if mine_on == "global" else None
    return {
        "id": id_loss(parts.logits, batch.pids, smoothing),
        "triplet": penalty(near - far, margin).mean(),
        "local": local_triplet(stripes, pids, shared, margin=margin, aligned=aligned),
    }


def parts_of(model: Any, images: Tensor) -> Parts:
    """Global feature, stripes and logits of `images`.

    Raises:
        ValueError: a network that has no stripes.
    """
    if not hasattr(model, "parts"):
        raise ValueError(
            f"{type(model).__name__} has no stripes; aligned_loss trains an AlignedReID, from "
            "aligned_small or aligned_resnet50"
        )
    return model.parts(images)
