"""Parts of a person as means of patches: rows of the grid, columns, or both.

Shapes: B images, h x w patches on the grid, D width of a token, P parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def row_parts(grid: Tensor) -> Tensor:
    """Tokens (B, h, w, D) -> the mean of each row (B, h, D)."""
    return grid.mean(dim=2)


def column_parts(grid: Tensor) -> Tensor:
    """Tokens (B, h, w, D) -> the mean of each column (B, w, D)."""
    return grid.mean(dim=1)


def mean_parts(grid: Tensor) -> Tensor:
    """Tokens (B, h, w, D) -> half of row part i plus half of column part i (B, h, D).

    Row i and column i have one patch in common at most; that they share an index is all that joins
    them. On a square grid column part i is the mean of column i. On others there are h of them all
    the same: means of h equal stretches of the patches read column by column, so that on a grid
    twice as high as wide each is one half of a column.

    Source: equation 2 of a course report on LA-Transformer (Singla, IIT Delhi), for 14x14; other
    grids are ours.
    """
    by_column = grid.transpose(1, 2).flatten(1, 2)  # (B, h, w, D) -> (B, w h, D)
    stretches = F.adaptive_avg_pool1d(by_column.transpose(1, 2), grid.shape[1])  # (B, D, h)
    return (row_parts(grid) + stretches.transpose(1, 2)) / 2


def both_parts(grid: Tensor) -> Tensor:
    """Tokens (B, h, w, D) -> rows, then columns (B, h + w, D)."""
    return torch.cat([row_parts(grid), column_parts(grid)], dim=1)


POOLS = {"rows": row_parts, "mean": mean_parts, "both": both_parts}


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """P parts (B, D), each scaled to length 1 / sqrt(P), in a row of length 1: (B, P D)."""
    return torch.cat([F.normalize(part, dim=1) for part in parts], dim=1) / math.sqrt(len(parts))
