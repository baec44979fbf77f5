"""Who is whose neighbour: lists of the nearest items, and the pairs that agree about it.

Shapes: N items (queries first, then the gallery), L places of a list, H places of a half list, B
items of one block, P pairs. A list holds item numbers, nearest first, the item itself among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_PAIRS = 2**20  # candidate pairs held at once: 8 MiB of item numbers


@dataclass(frozen=True)
class Sparse:
    """An (N, N) array that is mostly zero: its other entries, row after row, columns rising.

    Args:
        starts: (N + 1,) int64, where each row begins and the last one ends.
        columns: (P,) int64.
        values: (P,) float32.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor

    def transposed(self, first: int = 0) -> Sparse:
        """Its columns as rows, of the rows from `first` on, which then count from 0."""
        begin = int(self.starts[first])
        columns, values = self.columns[begin:], self.values[begin:]
        order = columns.argsort(stable=True)
        counts = torch.bincount(columns, minlength=len(self.starts) - 1)
        rows = torch.repeat_interleave(self.starts[first:].diff())
        return Sparse(offsets(counts), rows[order], values[order])


def offsets(counts: Tensor) -> Tensor:
    """(N,) counts -> (N + 1,) positions where each begins, and the end."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def ragged(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For `counts` (N,) of things: the owner of each thing and its number there, from 0."""
    owner = torch.repeat_interleave(counts)
    number = torch.arange(len(owner), device=counts.device) - offsets(counts)[owner]
    return owner, number


def reciprocal(lists: Tensor) -> Tensor:
    """Which of the items on a list have the list's owner on theirs, (N, L) bool.

    Args:
        lists: (N, L) int64.
    """
    count, length = lists.shape
    agreed = torch.empty(count, length, dtype=torch.bool, device=lists.device)
    step = max(1, BLOCK_PAIRS // length**2)
    for start in range(0, count, step):
        block = lists[start : start + step]  # (B, L)
        owner = torch.arange(start, start + len(block), device=lists.device)
        agreed[start : start + step] = (lists[block] == owner[:, None, None]).any(dim=2)
    return agreed


def expanded_pairs(lists: Tensor, half: int) -> tuple[Tensor, Tensor]:
    r"""Every item with its expanded set of reciprocal neighbours: rows and columns (P,), rising.

    With :math:`R(i)` the items of i's list that have i on theirs, and :math:`R_{half}` the same for
    lists cut at `half` places:

    .. math:: R^*(i) = R(i) \cup \bigcup_{j \in R(i)} \big\{ R_{half}(j) :
        |R_{half}(j) \cap R(i)| > \tfrac{2}{3} |R_{half}(j)| \big\}

    Args:
        lists: (N, L) int64, different items in a row.
        half: H, 1..L.
    """
    count, length = lists.shape
    agreed, close = reciprocal(lists), reciprocal(lists[:, :half])
    close_count = close.sum(dim=1)  # (N,), |R_half|
    step = max(1, BLOCK_PAIRS // (length * (half + 1)))
    member = torch.zeros(step, count, dtype=torch.bool, device=lists.device)  # of R(i), per block
    found = []
    for start in range(0, count, step):
        own, kept = lists[start : start + step], agreed[start : start + step]  # (B, L)
        inside = member[: len(own)]
        inside.scatter_(1, own, kept)
        theirs = lists[own, :half]  # (B, L, H)
        valid = close[own] & kept[:, :, None]
        shared = inside.gather(1, theirs.flatten(1)).view_as(theirs) & valid
        joins = 3 * shared.sum(dim=2) > 2 * close_count[own]  # (B, L); in whole numbers, exactly
        valid &= joins[:, :, None]
        items = torch.cat([own, theirs.flatten(1)], dim=1)
        items = items.masked_fill(~torch.cat([kept, valid.flatten(1)], dim=1), count)
        found.append(_unique_pairs(items, count, start))
        inside.scatter_(1, own, False)
    rows, columns = (torch.cat(parts) for parts in zip(*found, strict=True))
    return rows, columns


def _unique_pairs(items: Tensor, empty: int, start: int) -> tuple[Tensor, Tensor]:
    """The different items of each row (B, C) but `empty`, as pairs; rows count from `start`."""
    items = items.sort(dim=1).values
    new = items < empty
    new[:, 1:] &= items[:, 1:] != items[:, :-1]
    return new.nonzero()[:, 0] + start, items[new]


def portions(lengths: Tensor) -> Iterator[tuple[int, int]]:
    """Runs of rows that have about BLOCK_PAIRS entries together, one row at the least."""
    ends = lengths.cumsum(0)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = int(torch.searchsorted(ends, before + BLOCK_PAIRS, right=True))
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def mean_of_rows(matrix: Sparse, lists: Tensor) -> Sparse:
    """Row i of the result is the mean of the rows that `lists` (N, k2) names for i."""
    count, k2 = lists.shape
    lengths = matrix.starts.diff()[lists]  # (N, k2) entries to add up
    columns, values, counts = [], [], []
    for start, stop in portions(lengths.sum(dim=1)):
        chosen = lists[start:stop].flatten()
        owner, number = ragged(lengths[start:stop].flatten())
        entry = matrix.starts[chosen][owner] + number
        key = torch.div(owner, k2, rounding_mode="floor") * count + matrix.columns[entry]
        key, order = key.sort(stable=True)
        unique, place = key.unique_consecutive(return_inverse=True)
        total = matrix.values.new_zeros(len(unique))
        total.index_add_(0, place, matrix.values[entry[order]])
        rows = torch.div(unique, count, rounding_mode="floor")
        columns.append(unique - rows * count)
        values.append(total / k2)
        counts.append(torch.bincount(rows, minlength=stop - start))
    return Sparse(offsets(torch.cat(counts)), torch.cat(columns), torch.cat(values))
