"""The result of a search: which gallery images are nearest to each query.

Shapes: Q queries, K places kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from reidlab.embedding import Embeddings


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
