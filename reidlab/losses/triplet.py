"""Triplet losses: which triplets of a batch count, and how.

Shapes: B images, D embedding width. `pids` (B,) are person ids.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.distances import pairwise_distance


def hardest_pairs(distance: Tensor, pids: Tensor) -> tuple[Tensor, Tensor]:
    """Per anchor: distance to its farthest positive and to its nearest negative, (B,) each.

    An anchor alone in its identity is its own positive (0); without negatives the second is inf.
    """
    same = pids[:, None] == pids[None, :]  # (B, B), true on the diagonal
    farthest_positive = distance.masked_fill(~same, 0.0).amax(dim=1)
    nearest_negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return farthest_positive, nearest_negative


def batch_hard_triplet(embeddings: Tensor, pids: Tensor, margin: float | None = 0.3) -> Tensor:
    r"""Triplet loss on the hardest positive and the hardest negative of each anchor.

    .. math:: L = \frac{1}{B} \sum_a \big[ m + \max_p d(a, p) - \min_n d(a, n) \big]_+

    Args:
        embeddings: (B, D), before any batch-norm neck; not L2-normalised.
        pids: (B,) int64. A PK sampler provides at least two identities per batch.
        margin: m, in the units of `embeddings`; `None` replaces the hinge by softplus.

    Returns:
        Scalar, differentiable, on the device of `embeddings`.

    Raises:
        ValueError: `embeddings` is not (B, D), `pids` is not (B,), or all of one person.

    Source: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss for Person
    Re-Identification" (arXiv:1703.07737), batch-hard loss and its soft-margin variant.
    """
    if embeddings.ndim != 2 or pids.shape != embeddings.shape[:1]:
        got = f"{tuple(embeddings.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected embeddings (B, D) and pids (B,), got {got}")
    positive, negative = hardest_pairs(pairwise_distance(embeddings, embeddings), pids)
    if torch.isinf(negative[:1]).any():
        raise ValueError("expected at least two identities in a batch, got one: no negative exists")
    violation = positive - negative
    return (F.softplus(violation) if margin is None else F.relu(violation + margin)).mean()
