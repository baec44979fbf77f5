"""Triplet losses: which triplets of a batch count, and how.

Shapes: B images, D embedding width, T triplets. `pids` (B,) are person ids. d(a, p) and d(a, n) are
the distances of an anchor to an image of its own person and to one of another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from reidlab.losses.checks import not_negative, one_of
from reidlab.losses.distances import check_batch, distance_matrix, paired_distance, same_person

BLOCK = 2**24  # triplets held at once
LARGEST_EXPONENT = math.log(torch.finfo(torch.float32).max)  # 88.7: exp of more is infinite


def hardest_pairs(distance: Tensor, pids: Tensor) -> tuple[Tensor, Tensor]:
    """Per anchor: distance to its farthest positive and to its nearest negative, (B,) each.

    An anchor alone in its identity is its own positive (0); without negatives the second is inf.
    """
    same = pids[:, None] == pids[None, :]  # (B, B), true on the diagonal
    farthest_positive = distance.masked_fill(~same, 0.0).amax(dim=1)
    nearest_negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return farthest_positive, nearest_negative


def triplet_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float | None = 0.3,
    *,
    metric: str = "euclidean",
    normalize: bool = False,
) -> Tensor:
    r"""Triplet loss on triplets that were chosen outside.

    .. math:: L = \frac{1}{T} \sum_t \big[ m + d(a_t, p_t) - d(a_t, n_t) \big]_+

    Args:
        anchor: (T, D).
        positive: (T, D), other images of the anchors' people.
        negative: (T, D), images of other people.
        margin: m, in the units of the distance; `None` replaces the hinge by softplus.
        metric: "euclidean", "squared" or "cosine", see `distance_matrix`.
        normalize: embeddings are scaled to length 1 first.

    Raises:
        ValueError: the three are not tables of one shape, no triplets, an unknown metric, or a
            margin below 0.

    Source: Schroff, Kalenichenko, Philbin 2015, "FaceNet" (arXiv:1503.03832), section 3.1, with the
    distance not squared unless `metric` says so. `torch.nn.TripletMarginLoss` also adds 1e-6 to
    every coordinate of a difference, which changes a distance by 1e-6 sqrt(D) at most.
    """
    if not anchor.shape == positive.shape == negative.shape or not len(anchor):
        got = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
        raise ValueError(f"expected three tables (T, D) of at least one triplet, got {got}")
    near = paired_distance(anchor, positive, metric, normalize=normalize)
    far = paired_distance(anchor, negative, metric, normalize=normalize)
    return penalty(near - far, margin).mean()


def batch_hard_triplet(
    embeddings: Tensor,
    pids: Tensor,
    margin: float | None = 0.3,
    *,
    metric: str = "euclidean",
    normalize: bool = False,
) -> Tensor:
    r"""Triplet loss on the hardest positive and the hardest negative of each anchor.

    .. math:: L = \frac{1}{B} \sum_a \big[ m + \max_p d(a, p) - \min_n d(a, n) \big]_+

    Args:
        embeddings: (B, D), before any batch-norm neck; not L2-normalised.
        pids: (B,) int64. A PK sampler provides at least two identities per batch.
        margin: m, in the units of the distance; `None` replaces the hinge by softplus.
        metric: "euclidean", "squared" or "cosine", see `distance_matrix`.
        normalize: embeddings are scaled to length 1 first.

    Returns:
        Scalar, differentiable, on the device of `embeddings`.

    Raises:
        ValueError: `embeddings` is not (B, D), `pids` is not (B,), all of one person, an unknown
            metric, or a margin below 0.

    Source: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss for Person
    Re-Identification" (arXiv:1703.07737), batch-hard loss and its soft-margin variant.
    """
    check_batch(embeddings, pids)
    distance = distance_matrix(embeddings, embeddings, metric, normalize=normalize)
    positive, negative = hardest_pairs(distance, pids)
    return penalty(positive - negative, margin).mean()


def batch_all_triplet(
    embeddings: Tensor,
    pids: Tensor,
    margin: float | None = 0.3,
    *,
    metric: str = "euclidean",
    normalize: bool = False,
    average: str = "active",
) -> Tensor:
    r"""Triplet loss on every triplet that a batch holds: all p other than a, all n.

    .. math:: L = \frac{1}{|A|} \sum_{(a, p, n)} \big[ m + d(a, p) - d(a, n) \big]_+

    A batch of P x K images holds PK (K - 1) (PK - K) triplets; a batch of two people nearly
    B^3 / 4. At most 2^24 are held at once, in a few arrays of 64 MiB: gradients recompute them
    block by block.

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        margin: m, in the units of the distance; `None` replaces the hinge by softplus.
        metric: "euclidean", "squared" or "cosine", see `distance_matrix`.
        normalize: embeddings are scaled to length 1 first.
        average: A is the triplets with a loss above 0 ("active"), or "all" of them. The first keeps
            the gradient from fading as fewer and fewer triplets violate the margin.

    Returns:
        Scalar; 0 where there are no (active) triplets, as when nobody appears twice.

    Raises:
        ValueError: as `batch_hard_triplet`, or an unknown average.

    Source: Hermans, Beyer, Leibe 2017 (arXiv:1703.07737), batch-all loss, eq. 6, and its variant
    over non-zero terms.
    """
    check_batch(embeddings, pids)
    one_of("average", average, ("active", "all"))
    not_negative(margin=margin)
    distance = distance_matrix(embeddings, embeddings, metric, normalize=normalize)
    positives, negatives = same_person(pids)
    total, count = distance.new_zeros(()), distance.new_zeros(())
    for pairs in positives.nonzero().split(max(1, BLOCK // len(pids))):  # (n, 2): anchor, positive
        block = checkpoint(_all_triplets, distance, negatives, pairs, margin, use_reentrant=False)
        total = total + block.sum()
        count += (block > 0).sum() if average == "active" else negatives[pairs[:, 0]].sum()
    return total / count.clamp_min(1)


def _all_triplets(
    distance: Tensor, negatives: Tensor, pairs: Tensor, margin: float | None
) -> Tensor:
    """Losses (n, B) of n pairs (anchor, positive) with every image; 0 where it is no negative."""
    anchor, positive = pairs.T
    violation = distance[anchor, positive][:, None] - distance[anchor]  # (n, B)
    return penalty(violation, margin).masked_fill(~negatives[anchor], 0.0)


def weighted_triplet(
    embeddings: Tensor,
    pids: Tensor,
    margin: float | None = 0.3,
    *,
    metric: str = "euclidean",
    normalize: bool = False,
    epsilon: float = 1e-6,
) -> Tensor:
    r"""Triplet loss on each anchor's weighted means of its positive and its negative distances.

    .. math:: L = \frac{1}{B} \sum_a \Big[ m + \sum_p w_p\, d(a, p) - \sum_n w_n\, d(a, n) \Big]_+,
        \quad w_p = \frac{e^{d(a, p)}}{\epsilon\, e^{\max_q d(a, q)} + \sum_q e^{d(a, q)}}, \quad
        w_n = \frac{e^{-d(a, n)}}{\epsilon + \sum_k e^{-d(a, k)}}

    Softer than the hardest pairs: every pair pulls, hard ones more. As in the reference the anchor
    counts among its own positives, and epsilon stands beside a sum that fades with distance: where
    all negatives are farther than about 14, their weights no longer add up to 1 and the mean falls
    with distance. With such embeddings use `normalize`, or `epsilon` 0.

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        margin: m, in the units of the distance; `None` or 0 replaces the hinge by softplus, and
            where exp of a violation would be infinite in float32, by a margin of 0.3.
        metric: "euclidean", "squared" or "cosine", see `distance_matrix`.
        normalize: embeddings are scaled to length 1 first.
        epsilon: 0 makes the weights a plain softmax.

    Raises:
        ValueError: as `batch_hard_triplet`, or `epsilon` is below 0.

    Source: Ristani and Tomasi 2018, "Features for Multi-Target Multi-Camera Tracking and
    Re-Identification" (arXiv:1803.10859), adaptive weights, in the form of FastReID
    (arXiv:2006.02631).
    """
    check_batch(embeddings, pids)
    not_negative(epsilon=epsilon, margin=margin)
    distance = distance_matrix(embeddings, embeddings, metric, normalize=normalize)
    _, negatives = same_person(pids)
    rest = math.log(epsilon) if epsilon > 0 else -math.inf
    near = distance.masked_fill(negatives, -torch.inf)  # (B, B), the anchor among its positives
    far = (-distance).masked_fill(~negatives, -torch.inf)
    largest = near.amax(dim=1, keepdim=True)  # (B, 1)
    positive = _weighted(distance, near, largest + rest)
    negative = _weighted(distance, far, torch.full_like(largest, rest))
    violation = positive - negative
    if not margin:
        margin = 0.3 if bool((violation > LARGEST_EXPONENT).any()) else None
    return penalty(violation, margin).mean()


def _weighted(distance: Tensor, logits: Tensor, rest: Tensor) -> Tensor:
    """Mean of each row of `distance`, weighted by the softmax of `logits` beside one of `rest`."""
    weights = torch.cat([logits, rest], dim=1).softmax(dim=1)[:, :-1]  # (B, B)
    return (weights * distance).sum(dim=1)


def penalty(violation: Tensor, margin: float | None) -> Tensor:
    """Hinge of a violation plus margin, or its softplus without one.

    Raises:
        ValueError: a margin below 0, or one that is not finite.
    """
    not_negative(margin=margin)
    return F.softplus(violation) if margin is None else F.relu(violation + margin)
