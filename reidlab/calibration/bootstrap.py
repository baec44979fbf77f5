"""Where the threshold would lie for other people: a bootstrap over people.

Shapes: P query people, C gallery groups, m pairs.
"""

from __future__ import annotations

import numpy as np

from reidlab.calibration.pairs import Integers, Labels
from reidlab.calibration.smallest import Nearest

MANY = 10**5  # accepted pairs; so many come from many people, whose draws differ less
WORK = 2 * 10**8  # pairs weighed in all; more pairs mean fewer draws, never below LEAST
LEAST = 100


def looked_at(wanted: int) -> int:
    """How many of the closest pairs a bootstrap needs: a draw may accept more than `wanted`."""
    return wanted * (2 if wanted > MANY else 4) + 1


def distance_interval(
    nearest: Nearest, labels: Labels, rate: float, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Interval of the threshold's distance, (low, high): the quantiles of `resamples` draws.

    A draw takes as many people as there are, with replacement; a person who is drawn twice brings
    all queries and all gallery images twice, so that a pair weighs the product of both people's
    counts. The threshold of a draw is the distance at which the weight accepted exceeds `rate` of
    the draw's whole weight; it is looked for among the pairs in `nearest` only. Single distractors
    are drawn like people, junk is not. The product of two counts varies more than the pairs do, so
    that the interval is rather too wide than too narrow: in trials it held the truth in 98 to 100
    of 100 cases.

    Args:
        nearest: the closest pairs of different people, as many as `looked_at` says, or all.
        labels: of both sides.
        rate: false accept rate asked for, in (0, 1).
        confidence: of the interval, in (0, 1).
        resamples: draws; fewer where there are very many pairs.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    line, column = people_of(nearest, labels)
    draws = min(resamples, max(LEAST, WORK // max(1, len(line))))
    found = np.empty(draws)
    for draw in range(draws):
        mine, theirs = draw_people(labels, rng)
        weight = (mine[line] * theirs[column]).cumsum()  # (m,)
        wanted = rate * whole_weight(labels, mine, theirs)
        place = int(weight.searchsorted(wanted, "right"))  # the first pair too many
        found[draw] = nearest.distance[min(place, len(weight) - 1)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def people_of(nearest: Nearest, labels: Labels) -> tuple[Integers, Integers]:
    """Query person and gallery group of every pair, (m,) each."""
    person = np.full(len(labels.query_pids), -1)
    person[labels.known] = labels.query_person
    return person[nearest.query], labels.gallery_group[nearest.image]


def draw_people(labels: Labels, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """How often each query person (P,) and each gallery group (C,) is drawn.

    People on both sides are drawn once for both.
    """
    alone = np.flatnonzero(labels.partner < 0)  # query people who are not in the gallery
    there = np.flatnonzero(labels.group_sizes)  # groups of junk have no size
    count = len(there) + len(alone)
    times = np.bincount(rng.integers(count, size=count), minlength=count)
    theirs = np.zeros(len(labels.groups), np.int64)
    theirs[there] = times[: len(there)]
    mine = theirs[labels.partner]
    mine[alone] = times[len(there) :]
    return mine, theirs


def whole_weight(labels: Labels, mine: Integers, theirs: Integers) -> int:
    """Weight of all pairs of different people, those beyond `nearest` included."""
    queries = mine * np.bincount(labels.query_person)  # (P,)
    images = theirs * labels.group_sizes  # (C,)
    there = labels.partner >= 0
    own = (queries[there] * images[labels.partner[there]]).sum()
    return int(queries.sum() * images.sum() - own)
