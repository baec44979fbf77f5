"""Mutual learning: networks that see the same batch and learn from each other's answers.

Shapes: B images, D feature width, C identities, H stripes.

Sources: Zhang et al. 2018, "Deep Mutual Learning" (arXiv:1706.00384); AlignedReID
(arXiv:1711.08184), section 3.2, for distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.losses.aligned import part_terms, parts_of
from reidlab.losses.alignment import aligned_distance
from reidlab.losses.checks import not_negative, one_of
from reidlab.losses.distances import pairwise_distance, wide
from reidlab.losses.processes import gathered

REDUCTIONS = {"mean": "batchmean", "sum": "sum"}


def mutual_kl(logits: Tensor, other: Tensor, reduction: str = "mean") -> Tensor:
    r"""How far the class probabilities of one network are from another's: scalar, 0 or more.

    .. math:: L = \sum_b \sum_c q_{bc} \log (q_{bc} / p_{bc})

    Args:
        logits: (B, C) of the network that learns, p.
        other: (B, C) of the network to learn from, q; no gradient reaches it.
        reduction: "mean" divides by B, "sum" does not.

    Raises:
        ValueError: shapes that differ, or an unknown reduction.

    Source: Deep Mutual Learning (arXiv:1706.00384), eq. 4.
    """
    if logits.ndim != 2 or logits.shape != other.shape:
        got = f"{tuple(logits.shape)} and {tuple(other.shape)}"
        raise ValueError(f"expected logits (B, C) of two networks, got {got}")
    one_of("reduction", reduction, REDUCTIONS)
    own, target = (each.log_softmax(1) for each in wide(logits, other.detach()))
    return F.kl_div(own, target, reduction=REDUCTIONS[reduction], log_target=True)


def mutual_distance(distance: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of two networks' distances (B, B); no gradient reaches `other`.

    Raises:
        ValueError: shapes that differ.

    Source: AlignedReID (arXiv:1711.08184), eq. 5. Differs from it in: the other side is held
    fixed, as both public implementations do.
    """
    if distance.shape != other.shape:
        got = f"{tuple(distance.shape)} and {tuple(other.shape)}"
        raise ValueError(f"expected distances of one shape, got {got}")
    return F.mse_loss(distance, other.detach())


def mutual_loss(
    model: nn.Module,
    batch: Batch,
    *,
    margin: float = 0.3,
    smoothing: float = 0.0,
    local_weight: float = 1.0,
    global_weight: float = 1.0,
    id_weight: float = 1.0,
    kl_weight: float = 1.0,
    distance_weight: float = 1.0,
    local_distance_weight: float = 0.0,
    reduction: str = "mean",
    mine_on: str = "global",
    aligned: bool = True,
) -> dict[str, Tensor]:
    """`aligned_loss` of each network, and what they learn from each other.

    Terms are summed over networks, so that each learns as it would alone, plus its own mutual
    terms; those are means over the other networks.

    Args:
        model: a `MutualPair`.
        batch: PK-sampled; `fit` sums the named terms.
        margin: of both triplet losses.
        smoothing: of the identity loss.
        local_weight: of the local triplet.
        global_weight: of the global triplet.
        id_weight: of the identity loss.
        kl_weight: of `mutual_kl`.
        distance_weight: of `mutual_distance` between global features.
        local_distance_weight: of the same between stripes; 0 leaves that term out.
        reduction: of `mutual_kl`: "mean" or "sum" over the batch.
        mine_on: as for `aligned_loss`.
        aligned: as for `aligned_loss`.

    Raises:
        ValueError: `model` is no group of networks, or as `aligned_loss`.
    """
    networks = getattr(model, "networks", None)
    if networks is None:
        raise ValueError(
            f"{type(model).__name__} is one network, and mutual learning needs two; see "
            "reidlab.models.mutual.mutual_small"
        )
    not_negative(local_weight=local_weight, global_weight=global_weight, id_weight=id_weight)
    not_negative(kl_weight=kl_weight, distance_weight=distance_weight)
    not_negative(local_distance_weight=local_distance_weight)
    weights = {
        "id": id_weight,
        "triplet": global_weight,
        "local": local_weight,
        "kl": kl_weight,
        "distances": distance_weight,
        "local_distances": local_distance_weight,
    }
    found = [parts_of(network, batch.images) for network in networks]
    settings = {"margin": margin, "smoothing": smoothing, "mine_on": mine_on, "aligned": aligned}
    single = [part_terms(parts, batch, **settings) for parts in found]
    terms = {name: torch.stack([each[name] for each in single]).sum() for name in single[0]}
    logits = [parts.logits for parts in found]
    terms["kl"] = from_others(logits, lambda own, other: mutual_kl(own, other, reduction))
    features = [gathered(parts.feature) for parts in found]
    distances = [pairwise_distance(each, each) for each in features]
    terms["distances"] = from_others(distances, mutual_distance)
    if local_distance_weight:
        stripes = [gathered(parts.stripes) for parts in found]
        local = [aligned_distance(each, each, aligned=aligned) for each in stripes]
        terms["local_distances"] = from_others(local, mutual_distance)
    return {name: weights[name] * term for name, term in terms.items()}


def from_others(answers: Sequence[Tensor], loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Sum over networks of the mean of loss(own answer, another's) over the others."""
    pairs = [(own, other) for own in answers for other in answers if own is not other]
    return torch.stack([loss(own, other) for own, other in pairs]).sum() / (len(answers) - 1)
