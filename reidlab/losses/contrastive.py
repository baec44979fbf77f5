"""Contrastive losses with margins: pairs of one person close, others beyond a distance.

Shapes: N pairs, B images, D embedding width. `pids` (B,) are person ids.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.checks import not_negative, one_of, positive
from reidlab.losses.distances import check_batch, distance_matrix, paired_distance, same_person


def contrastive_loss(
    x: Tensor,
    y: Tensor,
    same: Tensor,
    margin: float = 1.0,
    *,
    squared: bool = True,
    halves: bool = True,
    normalize: bool = False,
) -> Tensor:
    r"""Pairs of one person are pulled together, others pushed until a distance of `margin`.

    .. math:: L = \frac{1}{N} \sum_i \tfrac12\, y_i\, d_i^2 + \tfrac12\, (1 - y_i)\, [m - d_i]_+^2

    Args:
        x: (N, D), one image of each pair.
        y: (N, D), the other.
        same: (N,) bool, true (or 1) for two images of one person.
        margin: m, in the units of the Euclidean distance d.
        squared: False leaves out both squares.
        halves: False leaves out both factors 1/2.
        normalize: embeddings are scaled to length 1 first; then d is 2 at most.

    Returns:
        Scalar, a mean over all pairs.

    Raises:
        ValueError: `x` and `y` are not (N, D), no pairs, `same` is not (N,), or the margin is not
            above 0.

    Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping"
    (CVPR), eq. 4 with the label turned round.
    """
    if same.shape != x.shape[:1] or not len(same):
        got = f"{tuple(same.shape)} for embeddings {tuple(x.shape)}"
        raise ValueError(f"expected one label per pair, at least one, got {got}")
    positive(margin=margin)  # of 0, no negative would be pushed
    distance = paired_distance(x, y, normalize=normalize)  # (N,)
    terms = distance.where(same.bool(), F.relu(margin - distance))
    terms = terms.square() if squared else terms
    return (0.5 * terms if halves else terms).mean()


def batch_contrastive(
    embeddings: Tensor,
    pids: Tensor,
    positive_margin: float = 0.0,
    negative_margin: float = 1.0,
    normalize: bool = True,
    *,
    average: str = "active",
) -> Tensor:
    r"""All pairs of a batch: positives pulled within one margin, negatives pushed beyond another.

    .. math:: L = \frac{1}{|A_+|} \sum_{(a, p)} [d(a, p) - m_+]_+
        + \frac{1}{|A_-|} \sum_{(a, n)} [m_- - d(a, n)]_+

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        positive_margin: m+, a Euclidean distance below which positives are left alone.
        negative_margin: m-, a Euclidean distance above which negatives are.
        normalize: embeddings are scaled to length 1 first.
        average: each of the two sums is divided by its number of terms above 0 ("active"), so that
            the few negatives that are too near are not drowned, or by that of "all".

    Returns:
        Scalar; a sum without (active) terms is 0.

    Raises:
        ValueError: `embeddings` is not (B, D), `pids` is not (B,), all of one person, an unknown
            average, or a margin below 0.

    Source: the form of pytorch-metric-learning (arXiv:2008.09164) of Hadsell et al. 2006: neither
    squared nor halved.
    """
    check_batch(embeddings, pids)
    one_of("average", average, ("active", "all"))
    not_negative(positive_margin=positive_margin, negative_margin=negative_margin)
    distance = distance_matrix(embeddings, embeddings, normalize=normalize)
    positives, negatives = same_person(pids)
    near = F.relu(distance[positives] - positive_margin)  # one entry per ordered pair
    far = F.relu(negative_margin - distance[negatives])
    return _average(near, average) + _average(far, average)


def _average(terms: Tensor, average: str) -> Tensor:
    """Mean of all terms, or of those above 0; 0 where there are none."""
    count = (terms > 0).sum() if average == "active" else terms.new_tensor(terms.numel())
    return terms.sum() / count.clamp_min(1)
