"""Distances of queries to a gallery, a block of queries at a time.

Shapes: Q queries, G gallery images, D embedding width, B queries of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.ranking.checks import check_features

BLOCK_ENTRIES = 2**21  # distances held at once: 8 MiB in float32


def distance_blocks(
    query: Embeddings, gallery: Embeddings, distance: Any = None
) -> Iterator[tuple[slice, Tensor]]:
    """Distances to the whole gallery, a block of queries at a time: (rows, (B, G) floating point).

    The matrix of all queries never exists unless the caller brings it. Without `distance` the
    features of both sides are normalised once, and a row of zeros is as far from everything as two
    orthogonal features (distance 2).

    Args:
        query: Q embeddings.
        gallery: G embeddings, G at least 1.
        distance: (Q, G) tensor or array on any device, converted block by block; or None for the
            squared Euclidean distance of the L2-normalised features.

    Raises:
        ValueError: widths, devices or shapes disagree, or a distance is NaN (that one while
            iterating).
    """
    if distance is None:
        check_features(query, gallery)
        query, gallery = query.normalized(), gallery.normalized()
    else:
        distance = distance.detach() if isinstance(distance, Tensor) else np.asarray(distance)
        if tuple(distance.shape) != (len(query), len(gallery)):
            raise ValueError(
                f"expected distance of shape ({len(query)}, {len(gallery)}), queries by gallery, "
                f"got {tuple(distance.shape)}"
            )
        _check_real(distance)
    return _blocks(query, gallery, distance)


def cosine_distance(query: Tensor, gallery: Tensor) -> Tensor:
    """Squared Euclidean distance 2 - 2 cos of unit rows (B, D) and (G, D) -> (B, G) in [0, 4]."""
    return products(-2 * query.to(gallery.dtype), gallery).add_(2).clamp_(min=0)


def products(rows: Tensor, columns: Tensor) -> Tensor:
    """Inner products of (B, D) and (G, D) -> (B, G); of equal columns come equal products."""
    if len(rows) == 1:  # a product with one row rounds differently from column to column
        return products(rows.expand(2, -1), columns)[:1]
    with torch.autocast(rows.device.type, enabled=False):  # half precision would reorder
        return torch.matmul(rows, columns.T)


def _blocks(
    query: Embeddings, gallery: Embeddings, distance: Any
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the blocks of `distance_blocks`, its arguments being in order."""
    step = max(1, BLOCK_ENTRIES // max(1, len(gallery)))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        if distance is None:
            block = cosine_distance(query.features[rows], gallery.features)
        else:
            block = _as_floating(distance[rows])
        _check_numbers(block, start)
        yield rows, block


def _check_real(distance: Tensor | np.ndarray) -> None:
    """Raise unless a matrix of the caller holds numbers that have an order."""
    if isinstance(distance, Tensor):
        real = not distance.is_complex()
    else:
        real = distance.dtype.kind in "fiub"
    if not real:
        raise ValueError(f"expected distances that are real numbers, got {distance.dtype}")


def _as_floating(block: Tensor | np.ndarray) -> Tensor:
    """A block of the caller's matrix as float32, or as float64 where float32 could lose digits."""
    if isinstance(block, np.ndarray):
        exact = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
        if min(block.strides, default=0) < 0:  # torch knows no reversed arrays
            block = block.copy()
        return torch.from_numpy(np.require(block, dtype=exact, requirements=["C", "W"]))
    exact = block.dtype if block.dtype.is_floating_point else torch.float64
    return block.to(torch.promote_types(exact, torch.float32))


def _check_numbers(block: Tensor, start: int) -> None:
    """Raise if a distance is NaN; the maximum of a block shows it without a mask of its size."""
    if block.numel() and bool(block.max().isnan()):
        row, column = block.isnan().nonzero()[0].tolist()
        raise ValueError(
            f"expected distances that are numbers, got NaN, the first at query {start + row}, "
            f"gallery image {column}; infinity is allowed and ranks last"
        )
