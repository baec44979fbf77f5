"""Pairwise losses on cosines: an anchor's positives against its negatives, in four forms.

Shapes: B images, D embedding width. `pids` (B,) are person ids. For anchor i, s_p are its cosines
to the other images of its person and s_n those to images of other people. All four take embeddings
(B, D) and `pids` (B,) of at least two people, and give a mean over all B anchors. For the three
with a scale, an anchor alone in its identity has nothing to pull and counts 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.checks import not_negative, positive
from reidlab.losses.distances import check_batch, directed, same_person
from reidlab.losses.triplet import batch_hard_triplet
from reidlab.models.layers import cosine_matrix


def cosine_triplet(embeddings: Tensor, pids: Tensor, margin: float | None = 0.3) -> Tensor:
    r"""Triplet loss on the lowest positive and the highest negative cosine of each anchor.

    .. math:: L = \frac{1}{B} \sum_i \big[ m - \min_p s_p + \max_n s_n \big]_+

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more; an image alone is its own positive, of cosine 1.
        margin: m, a difference of cosines; `None` replaces the hinge by softplus.

    Raises:
        ValueError: as `batch_hard_triplet`.

    Source: Hermans et al. 2017 (arXiv:1703.07737), with the negative cosine as distance.
    """
    return batch_hard_triplet(embeddings, pids, margin, metric="cosine")


def pairwise_contrastive(embeddings: Tensor, pids: Tensor, scale: float = 16.0) -> Tensor:
    r"""Each positive competes with the anchor's negatives, not with its other positives.

    .. math:: L = \frac{1}{B} \sum_i \frac{1}{|P_i|} \sum_{p} -\log
        \frac{e^{g s_p}}{e^{g s_p} + \sum_n e^{g s_n}}

    The InfoNCE form of contrast, not the one with margins (`batch_contrastive`).

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        scale: g, the inverse of a temperature.

    Raises:
        ValueError: shapes disagree, all images are of one person, or the scale is not above 0.

    Source: van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding"
    (arXiv:1807.03748), eq. 4, on the labels of a batch: in the denominator one positive at a time.
    """
    cosines, positives, negatives = _pairs(embeddings, pids, scale)
    others = _log_sum_exp(scale * cosines, negatives)  # (B,)
    terms = F.softplus(others[:, None] - scale * cosines) * positives  # (B, B)
    return (terms.sum(dim=1) / positives.sum(dim=1).clamp_min(1)).mean()


def pairwise_cosface(
    embeddings: Tensor, pids: Tensor, scale: float = 16.0, margin: float = 0.1
) -> Tensor:
    r"""Every positive cosine should exceed every negative one by the margin.

    .. math:: L = \frac{1}{B} \sum_i \log \Big( 1 + \sum_n e^{g (s_n + m)} \sum_p e^{-g s_p} \Big)

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        scale: g; the larger, the nearer to the hardest pairs alone.
        margin: m, a difference of cosines.

    Raises:
        ValueError: shapes disagree, all images are of one person, or the scale is not above 0.

    Source: Sun et al. 2020, "Circle Loss" (arXiv:2002.10857), eq. 1, of which the class-level case
    is CosFace (Wang et al. 2018, arXiv:1801.09414).
    """
    not_negative(margin=margin)
    cosines, positives, negatives = _pairs(embeddings, pids, scale)
    push = _log_sum_exp(scale * (cosines + margin), negatives)  # (B,)
    pull = _log_sum_exp(-scale * cosines, positives)
    return F.softplus(push + pull).mean()


def pairwise_circle(
    embeddings: Tensor, pids: Tensor, scale: float = 48.0, margin: float = 0.35
) -> Tensor:
    r"""Pairwise CosFace in which each pair pulls in proportion to its distance from the optimum.

    .. math:: L = \frac{1}{B} \sum_i \log \Big( 1 + \sum_n e^{g\, a_n (s_n - m)}
        \sum_p e^{-g\, a_p (s_p - 1 + m)} \Big), \quad a_p = [1 + m - s_p]_+, \; a_n = [s_n + m]_+

    Args:
        embeddings: (B, D).
        pids: (B,) int64, of two people or more.
        scale: g.
        margin: m; positives aim at 1 + m and negatives at -m. The weights a have no gradient.

    Raises:
        ValueError: shapes disagree, all images are of one person, or the scale is not above 0.

    Source: Sun et al. 2020, "Circle Loss: A Unified Perspective of Pair Similarity Optimization"
    (arXiv:2002.10857), eq. 4 to 8.
    """
    not_negative(margin=margin)
    cosines, positives, negatives = _pairs(embeddings, pids, scale)
    fixed = cosines.detach()
    far, near = F.relu(1 + margin - fixed), F.relu(fixed + margin)  # weights (B, B)
    push = _log_sum_exp(scale * near * (cosines - margin), negatives)  # (B,)
    pull = _log_sum_exp(-scale * far * (cosines - 1 + margin), positives)
    return F.softplus(push + pull).mean()


PAIRWISE = {
    "triplet": cosine_triplet,
    "contrastive": pairwise_contrastive,
    "cosface": pairwise_cosface,
    "circle": pairwise_circle,
}


def _pairs(embeddings: Tensor, pids: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines of a batch, and which are of positive and of negative pairs, (B, B) each."""
    check_batch(embeddings, pids)
    positive(scale=scale)
    rows = directed(embeddings)
    return cosine_matrix(rows, rows), *same_person(pids)


def _log_sum_exp(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log of the sum of exponentials over the chosen entries of each row, (B, B) -> (B,).

    Where none is chosen, so low that no sum with other terms matters, but finite: a row of -inf
    has a NaN for its gradient, which anomaly detection would report.
    """
    lowest = torch.finfo(logits.dtype).min / 4
    return logits.masked_fill(~chosen, lowest).logsumexp(dim=1)
