"""Who is nearest: from two sets of embeddings to an ordered gallery.

Shapes: Q queries, G gallery images, D embedding width, K places kept, B queries of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab.embedding import Embeddings

BLOCK_ENTRIES = 2**21  # distances held at once: 8 MiB in float32


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """The K nearest gallery images of each query.

    Args:
        order: (Q, K) int64, positions in `gallery`, nearest first.
        distance: (Q, K) floating point, their distances, rising along each row.
        query: the Q queries.
        gallery: the G gallery images.

    Raises:
        ValueError: the shapes do not belong together, or a position lies outside the gallery.
    """

    order: Tensor
    distance: Tensor
    query: Embeddings
    gallery: Embeddings

    def __post_init__(self) -> None:
        """Check shapes and positions, once."""
        if self.order.ndim != 2 or len(self.order) != len(self.query):
            raise ValueError(
                f"expected order of shape ({len(self.query)}, K), got {tuple(self.order.shape)}"
            )
        if self.distance.shape != self.order.shape:
            shapes = f"{tuple(self.order.shape)} and {tuple(self.distance.shape)}"
            raise ValueError(f"expected order and distance of one shape, got {shapes}")
        outside = (self.order < 0) | (self.order >= len(self.gallery))
        if bool(outside.any()):
            raise ValueError(f"expected positions below {len(self.gallery)} in order, got others")

    def __len__(self) -> int:
        """Q, the number of queries."""
        return len(self.order)

    def __repr__(self) -> str:
        """One short line: queries, places kept, gallery size."""
        queries, places = self.order.shape
        return f"Ranking({queries:,} queries, {places} nearest of {len(self.gallery):,} images)"


def rank(query: Embeddings, gallery: Embeddings, k: int, *, distance: Any = None) -> Ranking:
    """The k nearest gallery images of every query, nothing filtered; ties in gallery order.

    Works through the queries in blocks of about two million distances (one row at the least), so
    that memory beyond the result and one normalised copy of the features stays below 100 MB for
    k much smaller than G, however many queries there are.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        k: places to keep, 1..G.
        distance: (Q, G) tensor or array to rank by; by default the squared Euclidean distance of
            the L2-normalised features, which orders like the cosine.

    Raises:
        ValueError: k is outside 1..G, widths, devices or shapes disagree, or a distance is NaN.
    """
    if not 1 <= k <= len(gallery):
        raise ValueError(
            f"expected k from 1 to {len(gallery)}, the size of the gallery, got {k}; "
            "k = len(gallery) ranks all of it"
        )
    blocks = [nearest(block, k) for _, block in distance_blocks(query, gallery, distance)]
    if not blocks:  # no queries
        device = gallery.features.device
        blocks = [(torch.empty(0, k, device=device).long(), torch.empty(0, k, device=device))]
    order, values = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    return Ranking(order, values, query, gallery)


def nearest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Columns and values of the k smallest entries per row, (B, k) each; ties in column order.

    `topk` alone would pick and order equal entries as it likes; the k-th value it finds says which
    columns are surely in and how many of the equal ones still fit.
    """
    edge = distance.topk(k, dim=1, largest=False).values[:, -1:]  # (B, 1), the k-th smallest
    closer, level = distance < edge, distance == edge  # (B, G)
    room = k - closer.sum(dim=1, keepdim=True)  # (B, 1)
    chosen = closer | (level & (level.cumsum(dim=1, dtype=torch.int32) <= room))
    columns = chosen.nonzero()[:, 1].view(len(distance), k)  # k per row, left to right
    values, places = distance.gather(1, columns).sort(dim=1, stable=True)
    return columns.gather(1, places), values


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
        _check_features(query, gallery)
        query, gallery = query.normalized(), gallery.normalized()
    else:
        distance = distance.detach() if isinstance(distance, Tensor) else np.asarray(distance)
        if tuple(distance.shape) != (len(query), len(gallery)):
            raise ValueError(
                f"expected distance of shape ({len(query)}, {len(gallery)}), queries by gallery, "
                f"got {tuple(distance.shape)}"
            )
    return _blocks(query, gallery, distance)


def cosine_distance(query: Tensor, gallery: Tensor) -> Tensor:
    """Squared Euclidean distance 2 - 2 cos of unit rows (B, D) and (G, D) -> (B, G) in [0, 4]."""
    with torch.autocast(query.device.type, enabled=False):  # half precision would reorder
        return torch.matmul(query.to(gallery.dtype), gallery.T).mul_(-2).add_(2).clamp_(min=0)


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


def _as_floating(block: Tensor | np.ndarray) -> Tensor:
    """A block of the caller's matrix as float32, or as float64 where float32 could lose digits."""
    if isinstance(block, np.ndarray):
        exact = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
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


def _check_features(query: Embeddings, gallery: Embeddings) -> None:
    """Raise unless the features of both sides can be compared."""
    widths = query.features.shape[1], gallery.features.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"expected features of one width, got {widths[0]} (query) and {widths[1]} (gallery); "
            "embed both with the same model"
        )
    if widths[0] == 0:
        raise ValueError("expected features, got width 0; pass distance=(Q, G) to do without")
    devices = query.features.device, gallery.features.device
    if devices[0] != devices[1]:
        raise ValueError(
            f"expected one device, got {devices[0]} (query) and {devices[1]} (gallery); "
            "move one side with .to(device)"
        )
