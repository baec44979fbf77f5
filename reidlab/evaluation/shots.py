"""One random image per person: the gallery of single shots, as CUHK03's classic protocol has it.

Shapes: K kept gallery images, P persons among them, R repeats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlab.evaluation.hits import Labels


class SingleShots:
    """Draws one image per person and finds the place of the match among them.

    The draws of a query follow those of the valid queries before it, so they do not depend on how
    the queries are divided into blocks, on junk, or on queries without a match; another order of
    the queries or of one person's images gives other draws.

    Args:
        labels: of both sides; person 0 counts as one person like any other.
        repeats: R, galleries drawn for each query.
        seed: of the draws.
    """

    def __init__(self, labels: Labels, repeats: int, seed: int) -> None:
        grouped = labels.pids[labels.by_person]
        self.labels = labels
        self.persons, self.starts, self.counts = np.unique(
            grouped, return_index=True, return_counts=True
        )
        self.repeats = repeats
        self.generator = np.random.default_rng(seed)

    def places(self, q: int, kept: NDArray[Any]) -> NDArray[np.float64]:
        """Places (R,) of the match in R galleries of single shots, NaN without a match.

        Only the images that are nearer than the match are counted, nothing is sorted.

        Args:
            q: number of the query; ask in rising order.
            kept: (K,) its distances to the kept images.
        """
        same = self.labels.same(q)
        matches = same[~self.labels.under_own_camera(q, same)]
        if not len(matches):
            return np.full(self.repeats, np.nan)
        share = self.generator.random((self.repeats, len(self.persons)), dtype=np.float32)
        own = int(self.persons.searchsorted(self.labels.query_pids[q]))
        drawn = self.starts + (share * self.counts.astype(np.float32)).astype(np.int64)  # (R, P)
        picks = self.labels.by_person[drawn]
        picks[:, own] = matches[(share[:, own] * np.float32(len(matches))).astype(np.int64)]
        distance = kept[picks]  # (R, P)
        match = distance[:, [own]]  # (R, 1)
        ahead = np.count_nonzero(distance < match, axis=1)
        level = distance == match
        if np.count_nonzero(level) > self.repeats:  # more than the match itself: gallery order
            ahead += np.count_nonzero(level & (picks < picks[:, [own]]), axis=1)
        return ahead.astype(np.float64)
