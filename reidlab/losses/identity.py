"""Cross-entropy of identity logits.

Shapes: B images, D embedding width, C training identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.checks import check_classes
from reidlab.losses.distances import wide


def id_loss(logits: Tensor, pids: Tensor, smoothing: float = 0.0) -> Tensor:
    r"""Cross-entropy of identity logits (B, C), optionally with label smoothing.

    .. math:: L = -\frac{1}{B} \sum_b \sum_c q_{bc} \log p_{bc}, \quad
        q_{bc} = (1 - \epsilon) [c = y_b] + \epsilon / C

    Args:
        logits: (B, C) unnormalised scores.
        pids: (B,) int64 in 0..C-1.
        smoothing: epsilon in [0, 1); spread over all C classes, the true one included.

    Raises:
        ValueError: shapes disagree, `smoothing` is outside [0, 1), or, on a CPU, an id that is no
            class.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"
    (arXiv:1512.00567), section 7.
    """
    if logits.ndim != 2 or pids.shape != logits.shape[:1]:
        got = f"{tuple(logits.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected logits (B, C) and pids (B,), got {got}")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    check_classes(pids, logits.shape[1])
    (logits,) = wide(logits)
    return F.cross_entropy(logits, pids, label_smoothing=smoothing)


def branch_mean(loss: Callable[[Tensor], Tensor], branches: Sequence[Tensor]) -> Tensor:
    """A loss over branches: half the first (global) plus half the mean of the others (local).

    With one branch, that branch's loss. This is the weighting that TransReID's code uses; its
    paper (arXiv:2102.04378, eq. 6) has exactly twice the value.
    """
    first, *others = [loss(branch) for branch in branches]
    return 0.5 * first + 0.5 * torch.stack(others).mean() if others else first
