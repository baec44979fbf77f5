"""Distances between embeddings of one batch.

Shapes: N and M images, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of every row of `x` (N, D) to every row of `y` (M, D) -> (N, M)."""
    exact = "donot_use_mm_for_euclid_dist"  # the matmul shortcut is noisy near distance 0
    return torch.cdist(x.float(), y.float(), compute_mode=exact)  # float32 under autocast too
