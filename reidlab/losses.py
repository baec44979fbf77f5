"""Losses on one batch of embeddings or logits.

Shapes: B images, D embedding width, C training identities. `pids` (B,) are person ids.
Each loss is a plain function: tensors in, one scalar out, no state, no printing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.samples import Batch


def pairwise_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of every row of `x` (N, D) to every row of `y` (M, D) -> (N, M)."""
    exact = "donot_use_mm_for_euclid_dist"  # the matmul shortcut is noisy near distance 0
    return torch.cdist(x.float(), y.float(), compute_mode=exact)  # float32 under autocast too


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


def id_loss(logits: Tensor, pids: Tensor, smoothing: float = 0.0) -> Tensor:
    r"""Cross-entropy of identity logits (B, C), optionally with label smoothing.

    .. math:: L = -\frac{1}{B} \sum_b \sum_c q_{bc} \log p_{bc}, \quad
        q_{bc} = (1 - \epsilon) [c = y_b] + \epsilon / C

    Args:
        logits: (B, C) unnormalised scores.
        pids: (B,) int64 in 0..C-1.
        smoothing: epsilon in [0, 1); spread over all C classes, the true one included.

    Raises:
        ValueError: shapes disagree, or `smoothing` is outside [0, 1).

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"
    (arXiv:1512.00567), section 7.
    """
    if logits.ndim != 2 or pids.shape != logits.shape[:1]:
        got = f"{tuple(logits.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected logits (B, C) and pids (B,), got {got}")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    return F.cross_entropy(logits.float(), pids, label_smoothing=smoothing)


def branch_mean(loss: Callable[[Tensor], Tensor], branches: Sequence[Tensor]) -> Tensor:
    """A loss over branches: half the first (global) plus half the mean of the others (local).

    With one branch, that branch's loss. This is the weighting that TransReID's code uses; its
    paper (arXiv:2102.04378, eq. 6) has exactly twice the value.
    """
    first, *others = [loss(branch) for branch in branches]
    return 0.5 * first + 0.5 * torch.stack(others).mean() if others else first


def reid_loss(
    model: nn.Module, batch: Batch, *, margin: float | None = 0.3, smoothing: float = 0.1
) -> dict[str, Tensor]:
    """Identity loss on the logits plus batch-hard triplet on the features: `{"id", "triplet"}`.

    Args:
        model: returns features (before the neck) and logits per branch.
        batch: PK-sampled; `fit` sums the named terms.
        margin: of the triplet loss; `None` for softplus.
        smoothing: of the identity loss.

    Source: Luo et al. 2019, "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification" (arXiv:1903.07071).
    """
    branches = model(batch.images, batch.camids, batch.viewids)
    return {
        "id": branch_mean(lambda x: id_loss(x, batch.pids, smoothing), branches.logits),
        "triplet": branch_mean(
            lambda x: batch_hard_triplet(x, batch.pids, margin), branches.features
        ),
    }
