"""How far apart are images of one person, and of different people? Exact counts in fixed bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidlab.calibration.pairs import Distances, Floats, Integers, Labels, pair_blocks
from reidlab.embedding import Embeddings

BINS = 1024
PER_UNIT = 256  # bins in a distance of 1: a power of two, so that no edge is rounded


@dataclass(frozen=True, eq=False)
class DistanceHistogram:
    """Counts of distances of the pairs that the market protocol keeps.

    Args:
        edges: (1025,) of the bins, from 0 to 4; a bin holds its lower edge, the last one both.
        same: (1024,) pairs of one person in two cameras.
        different: (1024,) pairs of different people.
        source: the data.
    """

    edges: Floats
    same: Integers
    different: Integers
    source: str = ""

    def __post_init__(self) -> None:
        """Check shapes, once."""
        shapes = self.edges.shape, self.same.shape, self.different.shape
        if len(shapes[0]) != 1 or shapes[1] != shapes[2] or shapes[1] != (shapes[0][0] - 1,):
            raise ValueError(f"expected edges (N + 1,), same (N,) and different (N,), got {shapes}")

    def rates(self) -> tuple[Floats, Floats]:
        """False and true accept rate of a threshold at each edge, (1025,) each, rising to 1.

        At an edge that is a distance itself, that distance is not yet accepted. NaN where there are
        no pairs of that kind.
        """
        rising = (np.append(0.0, side.cumsum()) for side in (self.different, self.same))
        wrong, right = (side / (side[-1] or np.nan) for side in rising)
        return wrong, right

    def __repr__(self) -> str:
        """One short line with the numbers of pairs."""
        return (
            f"DistanceHistogram({int(self.same.sum()):,} pairs of one person, "
            f"{int(self.different.sum()):,} of different people, source={self.source!r})"
        )


def distance_pairs(query: Embeddings, gallery: Embeddings) -> DistanceHistogram:
    """Histograms of the squared distances of unit features, over all pairs that count.

    Junk counts nowhere, one person in one camera neither, distractors of the gallery as different
    people. In blocks of queries; memory for two blocks.

    Args:
        query: Q embeddings.
        gallery: G embeddings.

    Raises:
        ValueError: no query of a known person, only junk in the gallery, or features that do not
            fit.
    """
    labels = Labels(query, gallery)
    same, different = np.zeros((2, BINS), np.int64)
    for block in pair_blocks(query, gallery, labels):
        same += _counts(block.same)
        different += _counts(block.different)
    sources = dict.fromkeys(name for name in (query.source, gallery.source) if name)
    edges = np.arange(BINS + 1) / PER_UNIT
    return DistanceHistogram(edges, same, different, " / ".join(sources))


def _counts(distances: Distances) -> Integers:
    """(1024,) counts per bin; rounding beyond 4 belongs to the last bin, infinity to none."""
    scaled = np.minimum(distances, 2 * BINS / PER_UNIT) * PER_UNIT  # infinity becomes 2 x 1024
    found = np.bincount(scaled.astype(np.int32).ravel(), minlength=2 * BINS + 1)
    counts = found[:BINS].astype(np.int64)
    counts[-1] += found[BINS : 2 * BINS].sum()
    return counts
