"""Who is nearest: the K first places of every query, exactly, without sorting the rest.

Shapes: Q queries, G gallery images, K places kept, B queries of one block.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.ranking.blocks import distance_blocks
from reidlab.ranking.checks import check_count
from reidlab.ranking.record import Ranking


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
    check_count("k", k, len(gallery), ", the size of the gallery")
    blocks = [nearest(block, k) for _, block in distance_blocks(query, gallery, distance)]
    if not blocks:  # no queries
        device = gallery.features.device
        blocks = [(torch.empty(0, k, device=device).long(), torch.empty(0, k, device=device))]
    order, values = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    return Ranking(order, values, query, gallery)


def nearest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Columns and values of the k smallest entries per row, (B, k) each; ties in column order.

    A long row is read once: the minima of its groups of neighbouring columns say which k groups
    hold the k smallest entries, and only these are looked at again.

    Args:
        distance: (B, G) without NaN.
        k: 1..G.
    """
    rows, width = distance.shape
    size = 32 * max(1, round(math.sqrt(width / k) / 32))  # few groups, and few columns in k of them
    groups = width // size
    if groups < 2 * k:  # hardly fewer candidates than columns
        return _smallest(distance, k)
    minima = distance[:, : groups * size].unflatten(1, (groups, size)).amin(dim=2)
    chosen = _smallest(minima, k)[0].sort(dim=1).values  # (B, k), left to right
    inside = torch.arange(size, device=distance.device)
    columns = (chosen[:, :, None] * size + inside).flatten(1)  # (B, k * size), still rising
    rest = torch.arange(groups * size, width, device=distance.device).expand(rows, -1)
    columns = torch.cat([columns, rest], dim=1)
    places, values = _smallest(distance.gather(1, columns), k)
    return columns.gather(1, places), values


def _smallest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same for short rows.

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
