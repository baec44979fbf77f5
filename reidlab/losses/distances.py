"""Distances between embeddings of one batch.

Shapes: N and M images, D embedding width, B images of a batch.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.checks import one_of
from reidlab.models.layers import cosine_matrix

METRICS = ("euclidean", "squared", "cosine")
SHORTEST = 1e-12  # a length that `F.normalize` still divides by


def pairwise_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of every row of `x` (N, D) to every row of `y` (M, D) -> (N, M).

    At least float32, under autocast too.
    """
    exact = "donot_use_mm_for_euclid_dist"  # the matmul shortcut is noisy near distance 0
    with torch.autocast(x.device.type, enabled=False):
        x, y = wide(x, y)
        return torch.cdist(x, y, compute_mode=exact)


def distance_matrix(
    x: Tensor, y: Tensor, metric: str = "euclidean", *, normalize: bool = False
) -> Tensor:
    """Distance of every row of `x` (N, D) to every row of `y` (M, D) -> (N, M).

    Args:
        x: embeddings.
        y: embeddings of the same width.
        metric: "euclidean", "squared" (Euclidean distance squared), or "cosine": 1 - cosine, which
            a margin treats as it treats the negative cosine.
        normalize: rows are scaled to length 1 first; "squared" is then 2 - 2 cosine.

    Returns:
        At least float32, under autocast too; float64 stays float64.

    Raises:
        ValueError: an unknown metric, or `x` and `y` are not tables of one width.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        got = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"expected embeddings (N, D) and (M, D) of one width, got {got}")
    if one_of("metric", metric, METRICS) == "cosine":
        return 1 - cosine_matrix(*map(directed, wide(x, y)))
    if normalize:
        x, y = (F.normalize(directed(z)) for z in wide(x, y))
    distance = pairwise_distance(x, y)
    return distance.square() if metric == "squared" else distance


def paired_distance(
    x: Tensor, y: Tensor, metric: str = "euclidean", *, normalize: bool = False
) -> Tensor:
    """Distance of each row of `x` (N, D) to the same row of `y` (N, D) -> (N,).

    The diagonal of `distance_matrix`, with the same metrics.

    Raises:
        ValueError: an unknown metric, or `x` and `y` are not tables of one shape.
    """
    if x.ndim != 2 or x.shape != y.shape:
        got = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"expected embeddings (N, D) twice, got {got}")
    x, y = wide(x, y)
    if one_of("metric", metric, METRICS) == "cosine" or normalize:
        x, y = F.normalize(directed(x)), F.normalize(directed(y))
    if metric == "cosine":
        return 1 - (x * y).sum(dim=1)
    difference = x - y
    if metric == "squared":
        return difference.square().sum(dim=1)
    return torch.linalg.vector_norm(difference, dim=1)


def check_batch(embeddings: Tensor, pids: Tensor) -> None:
    """Refuse what no loss over the pairs of a batch can use.

    Raises:
        ValueError: `embeddings` is not (B, D), `pids` is not (B,), or all are of one person.
    """
    if embeddings.ndim != 2 or pids.shape != embeddings.shape[:1]:
        got = f"{tuple(embeddings.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected embeddings (B, D) and pids (B,), got {got}")
    if bool((pids == pids[:1]).all()):
        got = f"one in {len(pids)} images" if len(pids) else "an empty batch"
        raise ValueError(
            f"expected at least two identities in a batch, got {got}: no negative exists; "
            "sample P >= 2 identities, as PKSampler does"
        )


def same_person(pids: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs of a batch are positive and which negative, (B, B) bool each.

    An image and itself are neither.
    """
    same = pids[:, None] == pids[None, :]  # (B, B), true on the diagonal
    itself = torch.eye(len(pids), dtype=torch.bool, device=pids.device)
    return same & ~itself, ~same


def wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All in one type: float32, or float64 when one of them has it."""
    kind = functools.reduce(torch.promote_types, (x.dtype for x in tensors), torch.float32)
    return tuple(x.to(kind) for x in tensors)


def directed(x: Tensor) -> Tensor:
    """Rows (N, D), to be scaled to length 1; those of hardly any length are held fixed.

    They have no direction, and the slope of the scaling there, 1e12, would drown all others.
    """
    fixed = x.detach()
    long = fixed.norm(dim=1, keepdim=True) > SHORTEST  # (N, 1)
    return x if bool(long.all()) else x.where(long, fixed)
