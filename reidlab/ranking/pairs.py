"""Distances among all N items of a re-ranking, without the (N, N) array.

Shapes: N items (queries first, then the gallery), Q queries, G gallery images, D embedding width, B
items of one block, P pairs. Raw values are what lists are ordered by: minus the cosine of features,
or what a matrix holds. `distance` makes distances of them, and `relative` the E of `reciprocal`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.ranking.blocks import BLOCK_ENTRIES, products
from reidlab.ranking.checks import check_features

LEAST_ROWS = 64  # of a block; fewer would leave the product waiting for memory
PRODUCTS = 2**19  # numbers of pairs gathered at once: 2 MiB


@dataclass(frozen=True)
class Variant:
    """What a public code makes of distances.

    Args:
        of_features: power of the squared Euclidean distance of unit features that gives E.
        of_matrix: power of a given distance that gives E.
        by_maximum: E is divided by its largest value in the row.
        own: places of a neighbour list beyond k1, for the item itself.
        blend: factor of the squared Euclidean distance in the final blend.
    """

    of_features: int = 1
    of_matrix: int = 2
    by_maximum: bool = True
    own: int = 1
    blend: float = 1.0


VARIANTS = {
    "zhong": Variant(),
    "torchreid": Variant(of_features=2),
    "transreid": Variant(of_matrix=1),
    "fastreid": Variant(of_matrix=1, by_maximum=False, own=0, blend=0.5),  # 1 - cos
}


@dataclass(frozen=True)
class Pairs(ABC):
    """Raw values of all pairs of N items, Q of them queries, and what a variant makes of them."""

    variant: Variant
    queries: int
    device: torch.device

    power = 1  # E is the raw distance to this power
    blend = 1.0

    @abstractmethod
    def __len__(self) -> int:
        """N, the number of items."""

    @abstractmethod
    def entries(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Raw values of P pairs of items, (P,) float32."""

    @abstractmethod
    def block(self, rows: slice, columns: slice) -> Tensor:
        """Raw values of some items and others, (B, C) float32."""

    def distance(self, raw: Tensor) -> Tensor:
        """Distances from raw values, none below 0."""
        return raw

    def portions(self, start: int, stop: int) -> Iterator[slice]:
        """Items `start` to `stop`, as many at a time as make a block of about two million pairs."""
        step = max(LEAST_ROWS, BLOCK_ENTRIES // len(self))
        for first in range(start, stop, step):
            yield slice(first, min(first + step, stop))

    def relative(self, raw: Tensor, farthest: Tensor) -> Tensor:
        """E of raw values, given the largest of each one's row (of a shape that broadcasts)."""
        found = self.distance(raw)
        if self.variant.by_maximum:
            largest = self.distance(farthest)
            found = found / largest.masked_fill(largest == 0, 1.0)  # all items alike: E is 0
        return found**self.power if self.power != 1 else found


@dataclass(frozen=True)
class FeaturePairs(Pairs):
    """Squared Euclidean distances of unit features (N, D) float32."""

    features: Tensor

    def __len__(self) -> int:
        """N, the number of items."""
        return len(self.features)

    @property
    def power(self) -> int:
        """1, or 2 where a code squares the squared distance."""
        return self.variant.of_features

    @property
    def blend(self) -> float:
        """1, or a half where a code blends with 1 - cos."""
        return self.variant.blend

    def distance(self, raw: Tensor) -> Tensor:
        """Squared Euclidean distance of unit features."""
        return (2 * raw).add_(2).clamp_(min=0)

    def block(self, rows: slice, columns: slice) -> Tensor:
        """One block of the matrix product."""
        return products(-self.features[rows], self.features[columns])

    def entries(self, rows: Tensor, columns: Tensor) -> Tensor:
        """One product of two features per pair."""
        result = torch.empty(len(rows), device=self.device)
        count = max(1, PRODUCTS // self.features.shape[1])
        left, right = (self.features.new_empty(count, self.features.shape[1]) for _ in range(2))
        for start in range(0, len(rows), count):  # into the same places: gathering is the work here
            part = slice(start, start + count)
            size = len(result[part])
            torch.index_select(self.features, 0, rows[part], out=left[:size])
            torch.index_select(self.features, 0, columns[part], out=right[:size])
            result[part] = torch.linalg.vecdot(left[:size], right[:size])
        return result.neg_()


@dataclass(frozen=True)
class MatrixPairs(Pairs):
    """Distances from a symmetric matrix (N, N) of the caller, on any device or on disk."""

    matrix: Tensor | np.ndarray

    def __len__(self) -> int:
        """N, the number of items."""
        return len(self.matrix)

    @property
    def power(self) -> int:
        """2 where a code squares what it is given, else 1."""
        return self.variant.of_matrix

    def block(self, rows: slice, columns: slice) -> Tensor:
        """One block of the matrix, checked."""
        block = self._tensor(self.matrix[rows, columns])
        low, high = (float(value) for value in block.aminmax())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ValueError(
                f"expected finite distances, got NaN or infinity in rows {rows.start} to "
                f"{rows.stop - 1} of distance"
            )
        if low < -1e-4 * max(high, 1.0):
            raise ValueError(
                f"expected distances, got {low:.3g} in rows {rows.start} to {rows.stop - 1} of "
                "distance; similarities become distances as 1 - similarity"
            )
        return block.clamp(min=0)

    def entries(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Entries of the matrix, one by one."""
        if isinstance(self.matrix, np.ndarray):
            found = self.matrix[rows.cpu().numpy(), columns.cpu().numpy()]
        else:
            there = self.matrix.device
            found = self.matrix[rows.to(there), columns.to(there)]
        return self._tensor(found).clamp(min=0)

    def check_symmetric(self) -> None:
        """Raise unless some entries equal those across the diagonal.

        Raises:
            ValueError: they differ.
        """
        rng = np.random.default_rng(0)
        i, j = (torch.from_numpy(rng.integers(0, len(self), 1000)) for _ in range(2))
        here, across = self.entries(i, j), self.entries(j, i)
        apart = (here - across).abs()
        if bool((apart > 1e-3 * here.abs().amax()).any()):  # NaN is found with the blocks
            worst = int(apart.argmax())
            raise ValueError(
                f"expected a symmetric distance, got {float(here[worst]):.4g} at "
                f"({int(i[worst])}, {int(j[worst])}) and {float(across[worst]):.4g} across the "
                "diagonal; (distance + distance.T) / 2 is symmetric"
            )

    def _tensor(self, part: Any) -> Tensor:
        """A part of the matrix as float32 on the device of the result."""
        if isinstance(part, np.ndarray):
            part = torch.from_numpy(np.array(part, dtype=np.float32))
        return part.to(self.device, torch.float32)


def pairs_of(query: Embeddings, gallery: Embeddings, variant: Variant, distance: Any) -> Pairs:
    """The distances among all items, from the features or from a matrix of the caller.

    Raises:
        ValueError: features that cannot be compared, or a matrix of another shape or not symmetric.
    """
    device = gallery.features.device
    if distance is None:
        check_features(query, gallery)
        sides = query.normalized().features, gallery.normalized().features
        return FeaturePairs(variant, len(query), device, torch.cat([s.float() for s in sides]))
    matrix = distance.detach() if isinstance(distance, Tensor) else np.asarray(distance)
    count = len(query) + len(gallery)
    if tuple(matrix.shape) != (count, count):
        raise ValueError(
            f"expected distance of shape ({count}, {count}), all items by all items with the "
            f"queries first, got {tuple(matrix.shape)}; neighbours of the gallery matter, too"
        )
    pairs = MatrixPairs(variant, len(query), device, matrix)
    pairs.check_symmetric()
    return pairs
