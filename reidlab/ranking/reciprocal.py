"""k-reciprocal re-ranking: images that share their mutual neighbours move together.

Shapes: Q queries, G gallery images, N = Q + G items (queries first), D embedding width, K places
kept, L places of a neighbour list, B items of one block.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, overload

import torch
from torch import Tensor
from tqdm.auto import tqdm

from reidlab.embedding import Embeddings
from reidlab.ranking import memory
from reidlab.ranking.checks import check_count
from reidlab.ranking.neighbours import (
    Sparse,
    expanded_pairs,
    mean_of_rows,
    offsets,
    portions,
)
from reidlab.ranking.pairs import VARIANTS, Pairs, pairs_of
from reidlab.ranking.record import Ranking
from reidlab.ranking.topk import nearest

log = logging.getLogger(__name__)


@overload
def k_reciprocal(
    query: Embeddings,
    gallery: Embeddings,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    *,
    variant: str = "zhong",
    distance: Any = None,
    k: None = None,
    progress: bool = False,
) -> Tensor: ...


@overload
def k_reciprocal(
    query: Embeddings,
    gallery: Embeddings,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    *,
    variant: str = "zhong",
    distance: Any = None,
    k: int,
    progress: bool = False,
) -> Ranking: ...


def k_reciprocal(
    query: Embeddings,
    gallery: Embeddings,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    *,
    variant: str = "zhong",
    distance: Any = None,
    k: int | None = None,
    progress: bool = False,
) -> Tensor | Ranking:
    r"""Distances (Q, G) blended from the original ones and shared k-reciprocal neighbours.

    Each item i is described by a sparse vector :math:`V_i` over all items, with weights
    :math:`e^{-E_{ij}}` (of sum 1) for the j of its expanded k-reciprocal set and 0 elsewhere, then
    replaced by the mean over its k2 nearest items. Two items are as far apart as little is shared:

    .. math::
        d_J(i, j) = 1 - \frac{m}{2 - m}, \quad m = \sum_l \min(V_{il}, V_{jl}), \qquad
        d^* = (1 - \lambda)\, d_J + \lambda\, E

    :math:`E_{ij} = D_{ij}^2 / \max_l D_{il}^2`. Public codes differ in what they take for D, and
    their results in the second digit:

    - "zhong", the paper's: D is the Euclidean distance of unit features.
    - "torchreid": D is its square, so that E is the fourth power. A public code that starts from
      cosines agrees with it.
    - "transreid": as "zhong"; a given D is a squared distance and is not squared again. The public
      code keeps V in half precision (up to 0.006 off) and calls it with k1 = 50, k2 = 15.
    - "fastreid": as "zhong" without the division by the maximum, lists of k1 items in place of
      k1 + 1, and E = 1 - cos in the final blend.

    No (N, N) array exists at any time: distances come in blocks, and of V only the entries that are
    not zero are kept. `reciprocal_memory` states what a call may need; more than the machine has
    free is refused before anything is computed.

    Args:
        query: Q embeddings.
        gallery: G embeddings on the same device; labels of both are not looked at.
        k1: neighbours tested for reciprocity.
        k2: neighbours averaged over, the item itself among them; 1 turns that off.
        weight: lambda in [0, 1], share of the original distance; 1 returns E.
        variant: whose arithmetic, see above.
        distance: (N, N) symmetric matrix to use for D, queries before gallery, tensor or array (one
            mapped from disk, too); by default it comes from the features, block by block.
        k: None for all distances, or the number of nearest gallery images wanted: then no (Q, G)
            array exists either.
        progress: show a bar.

    Returns:
        (Q, G) float32 on the features' device; with `k`, the Ranking of the K nearest. With fewer
        items than k1 + 1, lists hold all of them. Time: little beyond the product of all N x N
        features.

    Raises:
        ValueError: k1 or k2 below 1, k or weight out of range, an unknown variant, features that
            cannot be compared, a `distance` that is not (N, N) or not symmetric, or too little
            memory.

    Source: Zhong et al. 2017, "Re-ranking Person Re-identification with k-reciprocal Encoding"
    (arXiv:1701.08398). Differs from the published code in: equal distances rank in item order.
    """
    _check(query, gallery, k1, k2, weight, variant, k)
    features = gallery.features
    width, itemsize = (features.shape[1], features.element_size()) if distance is None else (0, 0)
    need = memory.reciprocal_memory(
        len(query), len(gallery), width, k1=k1, k2=k2, k=k, itemsize=itemsize
    )
    log.info("re-ranking %d queries in %d images needs %s", len(query), len(gallery), need)
    memory.check_free(need, query.features.device)
    pairs = pairs_of(query, gallery, VARIANTS[variant], distance)
    device = query.features.device
    kept = None if k is not None else torch.empty(len(query), len(gallery), device=device)
    lists, farthest = neighbour_lists(pairs, k1, k2, kept, progress)
    encoded = encode(pairs, lists, farthest, k1, k2)
    blocks = _blended(pairs, encoded, farthest, kept, weight, progress)
    if k is None:
        assert kept is not None
        for rows, block in blocks:
            kept[rows] = block
        return kept
    order = torch.empty(len(query), k, dtype=torch.int64, device=device)
    values = torch.empty(len(query), k, device=device)
    for rows, block in blocks:
        order[rows], values[rows] = nearest(block, k)
    return Ranking(order, values, query, gallery)


def neighbour_lists(
    pairs: Pairs, k1: int, k2: int, kept: Tensor | None, progress: bool
) -> tuple[Tensor, Tensor]:
    """The nearest items of every item (N, L), and its raw value with the farthest (N,).

    The raw values of queries with the gallery are also written to `kept` (Q, G), if there is one.
    """
    count, queries = len(pairs), pairs.queries
    length = min(max(k1 + pairs.variant.own, k2), count)
    lists = torch.empty(count, length, dtype=torch.int64, device=pairs.device)
    farthest = torch.empty(count, device=pairs.device)
    bar = tqdm(total=count, desc="neighbours", unit="image", disable=not progress)
    with bar:
        for rows in (*pairs.portions(0, queries), *pairs.portions(queries, count)):
            block = pairs.block(rows, slice(0, count))
            lists[rows] = nearest(block, length)[0]
            farthest[rows] = block.amax(dim=1)
            if kept is not None and rows.start < queries:
                kept[rows] = block[:, queries:]
            bar.update(len(block))
    return lists, farthest


def encode(pairs: Pairs, lists: Tensor, farthest: Tensor, k1: int, k2: int) -> Sparse:
    """V of all items, eq. 7 of the paper, after its local query expansion."""
    length = min(k1 + pairs.variant.own, len(pairs))
    half = min(round(k1 / 2) + 1, length)  # round half to even, as the published code does
    rows, columns = expanded_pairs(lists[:, :length], half)
    exponent = pairs.relative(pairs.entries(rows, columns), farthest[rows])
    values = exponent.neg_().exp_()
    total = values.new_zeros(len(pairs)).index_add_(0, rows, values)
    counts = torch.bincount(rows, minlength=len(pairs))
    encoded = Sparse(offsets(counts), columns, values / total[rows])
    return mean_of_rows(encoded, lists[:, :k2]) if k2 > 1 else encoded


def _blended(
    pairs: Pairs,
    encoded: Sparse,
    farthest: Tensor,
    kept: Tensor | None,
    weight: float,
    progress: bool,
) -> Iterator[tuple[slice, Tensor]]:
    """Final distances of the queries to the gallery, in blocks (B, G); see `neighbour_lists`."""
    owners = encoded.transposed(first=pairs.queries)
    gallery = slice(pairs.queries, len(pairs))
    bar = tqdm(total=pairs.queries, desc="re-ranking", unit="query", disable=not progress)
    with bar:
        for rows in pairs.portions(0, pairs.queries):
            raw = pairs.block(rows, gallery) if kept is None else kept[rows]
            original = pairs.relative(raw, farthest[rows, None]) * pairs.blend
            shared = torch.zeros_like(original)
            add_overlap(shared, encoded, owners, rows)  # m, (B, G)
            jaccard = 1 - shared / (2 - shared)
            yield rows, torch.lerp(jaccard.clamp_(min=0), original, weight)
            bar.update(len(raw))


def add_overlap(shared: Tensor, encoded: Sparse, owners: Sparse, rows: slice) -> None:
    """Add the sum of the smaller entries of V, for some queries and the whole gallery.

    Only where both have an entry in one column does anything come together, so every entry of a
    query meets the gallery's entries of that column and nothing else is looked at.

    Args:
        shared: (B, G), added to in place.
        encoded: V, row by row.
        owners: V of the gallery, column by column.
        rows: the B queries.
    """
    starts = encoded.starts[rows.start : rows.stop + 1]
    entries = slice(int(starts[0]), int(starts[-1]))
    columns, values = encoded.columns[entries], encoded.values[entries]
    query = torch.repeat_interleave(starts.diff())  # of each entry, from 0
    lengths = owners.starts.diff()[columns]
    ends = offsets(lengths)
    first = owners.starts[columns] - ends[:-1]  # plus a running number: what is met
    for start, stop in portions(lengths):
        part = slice(start, stop)
        times = lengths[part]
        begin = int(ends[start])
        met = first[part].repeat_interleave(times)
        met += torch.arange(begin, begin + len(met), device=met.device)
        smaller = torch.minimum(values[part].repeat_interleave(times), owners.values[met])
        place = (query[part] * shared.shape[1]).repeat_interleave(times)
        shared.view(-1).index_add_(0, place.add_(owners.columns[met]), smaller)


def _check(
    query: Embeddings,
    gallery: Embeddings,
    k1: int,
    k2: int,
    weight: float,
    variant: str,
    k: int | None,
) -> None:
    """Raise unless the arguments make sense."""
    if variant not in VARIANTS:
        listed = ", ".join(repr(name) for name in VARIANTS)
        raise ValueError(f"expected variant to be one of {listed}, got {variant!r}")
    check_count("k1", k1)
    check_count("k2", k2)
    if not 0 <= weight <= 1:
        raise ValueError(f"expected weight from 0 to 1, the share of the original, got {weight}")
    if not len(query) or not len(gallery):
        raise ValueError(
            f"expected queries and gallery images, got {len(query)} and {len(gallery)}"
        )
    if k is not None:
        check_count("k", k, len(gallery), ", the size of the gallery")
