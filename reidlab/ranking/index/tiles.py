"""The k nearest rows of a gallery that is read once, a tile at a time.

Shapes: Q queries, N gallery rows, D embedding width, B queries of a block, T rows of a tile, k
places kept, M candidates that wait.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.ranking.topk import nearest

GROUP = 32  # columns that share one maximum
TILE = 4096  # gallery rows in a tile, at least
ENTRIES = {"cpu": 2**21}  # cosines held at once: 8 MiB in float32 stay in a processor's cache
LARGE = 2**26  # on an accelerator, whose launches cost more than its memory


def nearest_rows(
    query: Tensor, gallery: Tensor, k: int, rows: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Positions and distances of the k nearest gallery rows, (Q, k) each; ties in gallery order.

    Tiles of the gallery are the outer loop, so that a file larger than the memory is read once;
    blocks of queries are the inner one. Of a tile's cosines (B, T) only the maxima of small groups
    of columns are computed. A group is looked at again only when it may hold one of the query's k
    best so far, which is rare after the first tiles. Beside the result this takes a tile and about
    ten times the cosines held at once: below 200 MB on a CPU for k up to 1,000, whatever Q and N.

    Args:
        query: (Q, D) of unit length, on the device to compute on.
        gallery: (N, D) of unit length, float32 or float64; on that device or on the CPU.
        k: places to keep, 1 to the number of rows that take part.
        rows: rising positions of the rows that take part, on the CPU; None for all.

    Returns:
        int64 positions in `gallery` and their squared distances 2 - 2 cos, on the device of
        `query`, nearest first.
    """
    query = query.to(gallery.dtype)
    if not len(query):
        return query.new_empty((0, k), dtype=torch.int64), query.new_empty((0, k))
    count = len(gallery) if rows is None else len(rows)
    tile = _up(min(count, max(TILE, GROUP * (k + k // 4))))  # more groups than places
    height = max(1, ENTRIES.get(query.device.type, LARGE) // tile)
    blocks = [_Nearest(part, k) for part in query.split(height)]
    room = query.new_empty(min(height, len(query)) * tile)  # used again: fresh pages cost time
    with torch.autocast(query.device.type, enabled=False):  # half precision would reorder
        for start in range(0, count, tile):
            columns = slice(start, min(start + tile, count))
            part = gallery[columns] if rows is None else gallery[rows[columns]]
            part, length = part.to(query.device), len(part)
            if length < tile:  # a product of another shape rounds differently: no more ties
                part = F.pad(part, (0, 0, 0, tile - length))
            for block in blocks:
                cosine = room[: len(block.query) * tile].view(-1, tile)  # (B, T)
                torch.mm(block.query, part.T, out=cosine)
                cosine[:, length:] = -torch.inf
                block.read(cosine, start, length)
    order, distance = (
        torch.cat(found) for found in zip(*(b.result() for b in blocks), strict=True)
    )
    return order if rows is None else rows.to(order.device)[order], distance


def as_distance(cosine: Tensor) -> Tensor:
    """2 - 2 cos, in the steps of `cosine_distance`: of equal cosines come equal distances."""
    return (cosine * -2).add_(2).clamp_(min=0)


def _up(length: int) -> int:
    """`length`, or the next whole number of groups."""
    return -(-length // GROUP) * GROUP


class _Nearest:
    """The k nearest so far of a block of queries, and candidates that wait to be sorted in."""

    def __init__(self, query: Tensor, k: int) -> None:
        """Nothing found yet: places infinitely far away, which every row displaces."""
        self.query = query  # (B, D)
        self.order = torch.zeros((len(query), k), dtype=torch.int64, device=query.device)
        self.distance = query.new_full((len(query), k), torch.inf)
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []  # query, position, distance: (M,)

    def read(self, cosine: Tensor, start: int, length: int) -> None:
        """Look through `cosine` (B, T); its first `length` columns are rows `start` and on."""
        k = self.distance.shape[1]
        if start == 0 and length < GROUP * k:  # the maxima of so few groups tell nothing
            self.order, self.distance = nearest(as_distance(cosine[:, :length]), k)
            return
        groups = cosine.view(len(cosine), -1, GROUP)  # (B, T / GROUP, GROUP)
        minima = as_distance(groups.amax(dim=2))  # (B, T / GROUP)
        worst = self.distance[:, -1:]  # (B, 1); a row as far as that comes later, so loses the tie
        edge = torch.full_like(worst, torch.inf)
        hits = minima < worst
        if minima.shape[1] >= k and int(hits.sum()) > self.distance.numel():
            edge = minima.kthvalue(k, dim=1, keepdim=True).values  # k rows are as near, or nearer
            hits &= minima <= edge
        row, group = hits.nonzero(as_tuple=True)
        found = as_distance(groups[row, group])  # (hits, GROUP)
        fits = (found < worst[row]) & (found <= edge[row])
        hit, column = fits.nonzero(as_tuple=True)  # (M,), left to right for every query
        position = start + group[hit] * GROUP + column
        self.waiting.append((row[hit], position, found[hit, column]))
        if sum(len(rows) for rows, _, _ in self.waiting) > self.distance.numel():
            self._sort_in()

    def result(self) -> tuple[Tensor, Tensor]:
        """Positions and distances, (B, k) each."""
        if self.waiting:
            self._sort_in()
        return self.order, self.distance

    def _sort_in(self) -> None:
        """Merge the candidates that wait into the places; equal ones stay in gallery order."""
        queries, k = self.distance.shape
        numbers = torch.arange(queries, device=self.query.device)
        held = numbers.repeat_interleave(k), self.order.flatten(), self.distance.flatten()
        row, position, distance = (
            torch.cat(parts) for parts in zip(held, *self.waiting, strict=True)
        )
        by_distance = distance.argsort(stable=True)
        chosen = by_distance[row[by_distance].argsort(stable=True)]  # by query, then distance
        counts = row.bincount(minlength=queries)
        first = counts.cumsum(0) - counts  # (B,)
        chosen = chosen[first[:, None] + torch.arange(k, device=first.device)]  # (B, k)
        self.order, self.distance = position[chosen], distance[chosen]
        self.waiting = []
