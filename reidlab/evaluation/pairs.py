"""True accepts against false accepts over all thresholds, the pairs of all queries pooled.

Shapes: T distinct distances of same-person pairs ("thresholds"), Q queries, G gallery images.
A pair is accepted when its distance is not above the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reidlab.embedding import Embeddings
from reidlab.evaluation.hits import Integers, Labels
from reidlab.evaluation.protocols import check_choice
from reidlab.evaluation.record import Floats
from reidlab.evaluation.run import check_sides, no_match, source_of
from reidlab.ranking import distance_blocks

POOLED = ("market", "no-camera-filter")


@dataclass(frozen=True, eq=False, repr=False)
class Roc:
    """Counts at every distance of a same-person pair; the rates in between follow from them.

    Between two such distances the true accepts do not change, so this is the whole curve.

    Args:
        threshold: (T,) float64, rising.
        true_accepts: (T,) same-person pairs at or below each threshold.
        false_accepts: (T,) pairs of different persons at or below it.
        false_below: (T,) those strictly below it.
        num_positives: same-person pairs in all.
        num_negatives: pairs of different persons in all.
        protocol: which pairs were kept.
        source: the data.

    Raises:
        ValueError: lengths disagree, or there are no pairs of one kind.
    """

    threshold: Floats
    true_accepts: Integers
    false_accepts: Integers
    false_below: Integers
    num_positives: int
    num_negatives: int
    protocol: str = "market"
    source: str = ""

    def __post_init__(self) -> None:
        """Check lengths and counts, once."""
        columns = (self.threshold, self.true_accepts, self.false_accepts, self.false_below)
        shapes = {column.shape for column in columns}
        if len(shapes) != 1 or self.threshold.ndim != 1 or not len(self.threshold):
            raise ValueError(f"expected four columns (T,) of one length, got {sorted(shapes)}")
        if self.num_positives < 1 or self.num_negatives < 1:
            raise ValueError(
                "expected pairs of the same and of different persons, got "
                f"{self.num_positives} and {self.num_negatives}"
            )

    def true_accept_rate(self, false_accept_rate: ArrayLike) -> Floats:
        """Share of same-person pairs accepted at the largest threshold that keeps the false rate.

        Args:
            false_accept_rate: wanted rates in [0, 1], a number or any shape.

        Returns:
            Rates of the same shape, 0 where even the nearest same-person pair is too far.

        Raises:
            ValueError: a rate outside [0, 1].
        """
        at = self._last_within(false_accept_rate)
        return np.where(at >= 0, self.true_accepts[at] / self.num_positives, 0.0)

    def threshold_at(self, false_accept_rate: ArrayLike) -> Floats:
        """The largest distance of a same-person pair that keeps the false accept rate.

        Accepting up to it gives `true_accept_rate`; a larger threshold, up to the next false
        accept, accepts no further pair of the same person.

        Args:
            false_accept_rate: wanted rates in [0, 1], a number or any shape.

        Returns:
            Distances of the same shape, -inf where nothing may be accepted.

        Raises:
            ValueError: a rate outside [0, 1].
        """
        at = self._last_within(false_accept_rate)
        return np.where(at >= 0, self.threshold[at], -np.inf)

    def curve(self) -> tuple[Floats, Floats]:
        """False accept rate and true accept rate at every threshold, (T,) each, both rising."""
        false, true = self.false_accepts, self.true_accepts
        return false / self.num_negatives, true / self.num_positives

    def reference(self, rates: Sequence[float] = (1e-4, 1e-3, 1e-2)) -> dict[float, float]:
        """The figure that fast-reid prints as TPR@FPR, for comparison with it: rate -> TPR.

        There "positive" is a pair of different persons and the score is the distance. TPR is thus
        the share of different-person pairs rejected when about `rate` of the same-person pairs are,
        at the measured FPR nearest to `rate` (the smaller of two). As in scikit-learn's curve, a
        point in line with its neighbours is dropped beforehand and cannot be the nearest.

        Raises:
            ValueError: a rate outside [0, 1].
        """
        _check_rates(np.asarray(rates, dtype=np.float64))
        rejected, rejecting = self._rejections()
        nearest = [int(np.abs(rejected - rate).argmin()) for rate in rates]
        return {rate: float(rejecting[at]) for rate, at in zip(rates, nearest, strict=True)}

    def _rejections(self) -> tuple[Floats, Floats]:
        """Per false rejection rate on scikit-learn's curve, rising: the rate, its lowest TPR.

        That point is where the rate is reached, at the distance of a same-person pair, or (0, 0).
        """
        # from the farthest threshold to the nearest; a, b: pairs of each kind exactly there
        a = np.diff(self.true_accepts, prepend=0)[::-1]
        b = (self.false_accepts - self.false_below)[::-1]
        accepted, below = self.false_accepts[::-1], self.false_below[::-1]
        same_step = np.zeros(len(a), np.bool_)
        next_door = below[:-1] == accepted[1:]  # no distance between this and the next threshold
        same_step[:-1] = next_door & (a[:-1] == a[1:]) & (b[:-1] == b[1:])
        same_step[0] &= accepted[0] != self.num_negatives  # both ends of the curve always stay
        rejected = np.append(0, a.cumsum()[~same_step])
        rejecting = np.append(0, self.num_negatives - below[~same_step])
        return rejected / self.num_positives, rejecting / self.num_negatives

    def _last_within(self, false_accept_rate: ArrayLike) -> Integers:
        """Index of the last threshold that keeps the false accept rate, or -1."""
        wanted = np.asarray(false_accept_rate, dtype=np.float64)
        _check_rates(wanted)
        return np.asarray(self.curve()[0].searchsorted(wanted, side="right") - 1)

    def __repr__(self) -> str:
        """One short line with three operating points."""
        rates = (1e-4, 1e-3, 1e-2)
        points = zip(rates, self.true_accept_rate(rates).tolist(), strict=True)
        listed = ", ".join(f"{tar:.1%} at {far:g}" for far, tar in points)
        return (
            f"Roc(true accept rate {listed}; {self.num_positives:,} pairs of the same person, "
            f"{self.num_negatives:,} of different ones, protocol={self.protocol!r}, "
            f"source={self.source!r})"
        )


def roc(
    query: Embeddings, gallery: Embeddings, *, distance: Any = None, protocol: str = "market"
) -> Roc:
    """The exact ROC of telling pairs of one person from pairs of two, pooled over all queries.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        distance: (Q, G) to threshold, as for `evaluate`.
        protocol: "market" leaves out junk and the query's person under its own camera,
            "no-camera-filter" only junk. All queries take part, also those without a match.

    Returns:
        Roc. The distances are passed over twice: the first pass collects those of same-person
        pairs, the second counts the others around them block by block, so that no more is ever
        held than about 64 bytes for each same-person pair and three blocks of distances (8 MiB
        each; 16 in float64). Sorting and counting are numpy on the CPU.

    Raises:
        ValueError: another protocol, as `evaluate`, or no pair of one of the two kinds.

    Source: the pooled form and its reading "TPR at FPR" are those of the fast-reid toolbox (He et
    al. 2020, arXiv:2006.02631); true accept rate at a false accept rate is the biometric custom.
    """
    check_choice("protocol", protocol, POOLED)
    check_sides(query, gallery, "plain", 1)
    labels = Labels.of(query, gallery)
    own_camera = protocol == "no-camera-filter"
    positives = _positives(distance_blocks(query, gallery, distance), labels, own_camera)
    if not len(positives):
        raise ValueError(no_match(query, gallery, protocol))
    threshold, counts = np.unique(positives, return_counts=True)
    below, at_most = np.zeros((2, len(threshold)), np.int64)
    negatives = 0
    for values in _negatives(distance_blocks(query, gallery, distance), labels):
        below += values.searchsorted(threshold, "left")
        at_most += values.searchsorted(threshold, "right")
        negatives += len(values)
    return Roc(
        threshold.astype(np.float64),
        counts.cumsum(),
        at_most,
        below,
        len(positives),
        negatives,
        protocol,
        source_of(query, gallery),
    )


def _positives(blocks: Any, labels: Labels, own_camera: bool) -> NDArray[Any]:
    """Distances of all same-person pairs that are kept, in the precision of the blocks."""
    pieces = []
    for rows, block in blocks:
        for q, row in enumerate(block.cpu().numpy(), start=rows.start):
            same = labels.same(q)
            same = same if own_camera else same[~labels.under_own_camera(q, same)]
            pieces.append(row[labels.kept[same]])
    return np.concatenate(pieces)


def _negatives(blocks: Any, labels: Labels) -> Any:
    """Distances of the pairs of different persons, sorted, block by block."""
    for rows, block in blocks:
        kept = block.cpu().numpy()[:, labels.kept]  # a copy: what follows is written into it
        for q, row in enumerate(kept, start=rows.start):
            row[labels.same(q)] = np.nan  # sorted to the end, behind infinity
        values = kept.reshape(-1)
        values.sort()
        yield values[: len(values) - np.count_nonzero(np.isnan(values))]


def _check_rates(rates: Floats) -> None:
    """Raise unless all rates lie in [0, 1]."""
    outside = ~((rates >= 0) & (rates <= 1))
    if outside.any():
        raise ValueError(f"expected rates from 0 to 1, got {rates[outside].flat[0]:g}")
