r"""Searching when the person may not be there at all.

A *mate* of a query is a gallery image of its person that the market protocol keeps: another camera,
no junk. With the distance of the nearest kept image, at a threshold t:

- detection and identification rate: of the queries with a mate, the share whose nearest kept image
  is of their person and at most t away;
- false positive identification rate: of the queries without a mate, the share whose nearest kept
  image, whoever it shows, is at most t away.

Source: Phillips, Grother, Micheals 2011, "Evaluation Methods in Face Recognition" (Handbook of Face
Recognition), open-set identification at rank 1; Grother and Ngan 2014, "Face Recognition Vendor
Test" (NIST IR 8009), the name of the second rate; Liao et al. 2014, "Open-set Person
Re-identification" (arXiv:1408.0872), the same two rates in re-identification. Differs from them in:
the camera rule of the market protocol, and the rates count query images, not people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reidlab.calibration.intervals import Rate, check_confidence, percent, rate_by_person
from reidlab.calibration.pairs import Floats, Integers, as_numpy
from reidlab.calibration.tables import aligned
from reidlab.data.samples import DISTRACTOR, JUNK
from reidlab.embedding import Embeddings
from reidlab.ranking import distance_blocks


@dataclass(frozen=True)
class OpenPoint:
    """One threshold of an open-set search.

    Args:
        target: false positive rate that was asked for.
        threshold: a distance that keeps the measured rate at or below it; a larger one that does,
            too, finds nobody else.
        false_positive: false positive identification rate.
        detected: detection and identification rate.
    """

    target: float
    threshold: float
    false_positive: Rate
    detected: Rate


@dataclass(frozen=True, eq=False, repr=False)
class OpenSet:
    """An open-set search; `print(result)` shows the points as a table.

    Args:
        points: one per rate asked for.
        thresholds: (T,) rising, where one of the two rates changes.
        false_positive: (T,) false positive identification rate at each.
        detected: (T,) detection and identification rate at each.
        with_mate: queries with a mate.
        without_mate: queries without.
        left_out: ids of the people who were left out of the gallery on purpose.
        source: the data.
    """

    points: tuple[OpenPoint, ...]
    thresholds: Floats
    false_positive: Floats
    detected: Floats
    with_mate: int
    without_mate: int
    left_out: tuple[int, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Check shapes, once."""
        shapes = self.thresholds.shape, self.false_positive.shape, self.detected.shape
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            raise ValueError(f"expected three curves of shape (T,), got {shapes}")

    def __repr__(self) -> str:
        """One short line."""
        return (
            f"OpenSet({self.with_mate:,} queries with a mate, {self.without_mate:,} without, "
            f"rank-1 {self.detected[-1]:.1%} without a threshold, source={self.source!r})"
        )

    def __str__(self) -> str:
        """A row per point."""
        names = ("false positives %", "measured %", "interval", "threshold", "found %", "interval")
        rows: list[tuple[str, ...]] = [names]
        for p in self.points:
            cells = percent(p.target), percent(p.false_positive.value), _ends(p.false_positive)
            found = f"{p.threshold:.4g}", percent(p.detected.value), _ends(p.detected)
            rows.append((*cells, *found))
        head = (
            f"{self.with_mate:,} queries with a mate in the gallery, {self.without_mate:,} without"
            f"{', ' + self.source if self.source else ''}"
        )
        return f"{head}\n{aligned(rows)}"


@dataclass(frozen=True)
class _Nearest:
    """Per query of a known person: distance and rightness of its nearest kept image."""

    person: Integers  # (Q,) ids
    distance: Floats  # (Q,) infinite where nothing is kept
    right: np.ndarray  # (Q,) it is of the query's person
    mate: np.ndarray  # (Q,) there is such an image at all


def open_set(
    query: Embeddings,
    gallery: Embeddings,
    *,
    false_positive_rates: Iterable[float] | float = (0.01, 0.1),
    unknown: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> OpenSet:
    """Detection and identification rate against false positive identification rate, at rank 1.

    One pass over the distances, in blocks of queries. Intervals are over people. Queries with
    person 0 or -1 are left out: nobody knows whether they have a mate.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        false_positive_rates: asked for, each in [0, 1].
        unknown: share of the query people, in (0, 1), whose images are taken out of the gallery at
            random, one person at least; None takes the data as it is.
        confidence: of the intervals.
        seed: of who is taken out.

    Raises:
        ValueError: no query with, or none without a mate, a bad argument, or features that do not
            fit.
    """
    check_confidence(confidence)
    if isinstance(false_positive_rates, float | int):
        false_positive_rates = [false_positive_rates]
    false_positive_rates = list(false_positive_rates)
    if not false_positive_rates or not all(0 <= r <= 1 for r in false_positive_rates):
        raise ValueError(
            f"expected false_positive_rates between 0 and 1, got {false_positive_rates}"
        )
    left_out = _choose(query, unknown, seed)
    nearest = _nearest(query, gallery, left_out)
    mated, strangers = nearest.mate, ~nearest.mate
    if not mated.any() or not strangers.any():
        advice = "unknown=0.3 leaves 30 % of the people out of the gallery"
        raise ValueError(
            "expected queries with and queries without a mate in the gallery, got "
            f"{mated.sum()} and {strangers.sum()}; "
            + (advice if mated.any() else "check the pids and camids of both sides")
        )
    alarms = np.sort(nearest.distance[strangers])
    hits = np.sort(nearest.distance[mated & nearest.right])
    grid = np.unique(np.concatenate([alarms, hits]))
    points = tuple(
        _point(rate, _threshold(alarms, grid, rate), nearest, confidence)
        for rate in false_positive_rates
    )
    sources = dict.fromkeys(name for name in (query.source, gallery.source) if name)
    return OpenSet(
        points=points,
        thresholds=grid,
        false_positive=alarms.searchsorted(grid, "right") / len(alarms),
        detected=hits.searchsorted(grid, "right") / mated.sum(),
        with_mate=int(mated.sum()),
        without_mate=int(strangers.sum()),
        left_out=tuple(left_out.tolist()),
        source=" / ".join(sources),
    )


def _choose(query: Embeddings, unknown: float | None, seed: int) -> Integers:
    """Ids of the people to leave out, sorted."""
    people = np.unique(as_numpy(query.pids))
    people = people[people > DISTRACTOR]
    if unknown is None:
        return people[:0]
    if not 0 < unknown < 1:
        raise ValueError(f"expected unknown between 0 and 1, such as 0.3, got {unknown}")
    count = max(1, round(unknown * len(people)))
    return np.sort(np.random.default_rng(seed).permutation(people)[:count])


def _nearest(query: Embeddings, gallery: Embeddings, left_out: Integers) -> _Nearest:
    """The nearest kept image of every query of a known person."""
    pids, cameras = as_numpy(gallery.pids), as_numpy(gallery.camids)
    gone = np.isin(pids, left_out) | (pids == JUNK)
    person, camera = as_numpy(query.pids), as_numpy(query.camids)
    distance = np.full(len(query), np.inf)
    right, mate = np.zeros((2, len(query)), bool)
    for rows, block in distance_blocks(query, gallery) if len(gallery) else ():
        values = block.cpu().numpy()
        values[:, gone] = np.inf
        mine = pids[None, :] == person[rows, None]  # (B, G)
        values[mine & (cameras[None, :] == camera[rows, None])] = np.inf
        first = values.argmin(axis=1)
        line = np.arange(len(values))
        distance[rows] = values[line, first]
        right[rows] = mine[line, first] & np.isfinite(values[line, first])
        mate[rows] = (mine & np.isfinite(values)).any(axis=1)
    known = person > DISTRACTOR
    return _Nearest(person[known], distance[known], right[known], mate[known])


def _threshold(alarms: Floats, grid: Floats, rate: float) -> float:
    """A distance that at most this share of the rising `alarms` is within, and most of the rest.

    Halfway between the last distance of `grid` that may be accepted and the first alarm that may
    not, so that rounding moves neither across.
    """
    allowed = int(np.floor(rate * len(alarms) + 1e-9))
    if allowed >= len(alarms):
        return 4.0  # no squared distance of unit features is larger
    refused = alarms[allowed]
    if not np.isfinite(refused):
        return 4.0
    below = grid[grid < refused]
    last = below[-1] if len(below) else -refused if refused else -2.0  # negative accepts nothing
    return float((last + refused) / 2)


def _point(target: float, threshold: float, nearest: _Nearest, confidence: float) -> OpenPoint:
    """Both rates at one threshold, with intervals over people."""
    within = nearest.distance <= threshold
    rates = []
    for among, accepted in ((~nearest.mate, within), (nearest.mate, within & nearest.right)):
        person = np.unique(nearest.person[among], return_inverse=True)[1]
        counts = np.bincount(person)
        hits = np.bincount(person, accepted[among]).astype(np.int64)
        rates.append(rate_by_person(hits, counts).interval(confidence))
    return OpenPoint(target, threshold, rates[0], rates[1])


def _ends(rate: Rate) -> str:
    """An interval in percent."""
    return f"{percent(rate.low)} to {percent(rate.high)}"
