"""Which distance is near enough? A threshold for a false accept rate, and its rates elsewhere.

A pair (query image, gallery image) is accepted when its distance is at most the threshold; a false
accept is an accepted pair of different people.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np

from reidlab.calibration.bootstrap import distance_interval, looked_at, people_of
from reidlab.calibration.intervals import (
    Estimate,
    Rate,
    check_confidence,
    percent,
    rate_by_person,
    rate_of_pairs,
)
from reidlab.calibration.pairs import Distances, Integers, Labels, pair_blocks
from reidlab.calibration.place import Place, describe_place
from reidlab.calibration.shift import Shift, compare_statistics, warn_of
from reidlab.calibration.smallest import Nearest, nearest_different
from reidlab.calibration.tables import aligned
from reidlab.embedding import Embeddings

WIDTH = 88  # characters of a line, as in a notebook


@dataclass(frozen=True)
class Rates:
    """What a threshold does to other people; `print(rates)` shows it.

    Args:
        false_accept: share of accepted pairs of different people. Its interval knows that the
            threshold was chosen on few people and that these people are few: with both sets from
            one population it holds the rate that was asked for.
        false_accept_here: the same share; the interval, for this very threshold, only knows that
            these people are few.
        true_accept: share of accepted pairs of one person, interval likewise for this threshold.
        shift: how the gallery compares with the one the threshold was chosen on.
        source: the data.
    """

    false_accept: Rate
    false_accept_here: Rate
    true_accept: Rate
    shift: Shift
    source: str = ""

    def __str__(self) -> str:
        """A table of the rates, and a sentence on the place."""
        rows = [
            ("rate", "%", "interval", "pairs", "people"),
            _row("false accept", self.false_accept),
            _row("  of this threshold", self.false_accept_here),
            _row("true accept", self.true_accept),
        ]
        return f"{aligned(rows)}\n{textwrap.fill(str(self.shift), WIDTH)}"


@dataclass(frozen=True)
class Threshold:
    """A distance below which two images are taken for one person; `print` shows what it rests on.

    Args:
        distance: accepted up to and including this squared distance of unit features, in [0, 4].
        low: where it would lie for other calibration people, lower end of a bootstrap interval.
        high: upper end.
        target: the false accept rate that was asked for.
        confidence: of all intervals.
        false_accept: the share measured on the calibration set, at most `target`; the interval is
            for what it is on other people.
        true_accept: share of pairs of one person that are accepted.
        place: what comparing other galleries needs.
        source: the calibration data.
        fingerprint: of the dataset, if known.
        model: where the features came from, if known.
    """

    distance: float
    low: float
    high: float
    target: float
    confidence: float
    false_accept: Rate
    true_accept: Rate
    place: Place
    source: str = ""
    fingerprint: str = ""
    model: str = ""

    def __str__(self) -> str:
        """The distance, what was asked for, and the rates with their intervals."""
        rows = [
            ("rate", "%", "interval", "pairs", "people"),
            _row("false accept", self.false_accept),
            _row("true accept", self.true_accept),
        ]
        origin = ", ".join(text for text in (self.source, self.fingerprint, self.model) if text)
        head = (
            f"accept up to distance {self.distance:.4g} for a false accept rate of "
            f"{percent(self.target)} % ({origin or 'calibration data without a name'})"
        )
        span = f"on other people the distance would be {self.low:.4g} to {self.high:.4g}"
        return f"{head}\n{span}\n{aligned(rows)}"

    def apply(self, query: Embeddings, gallery: Embeddings) -> Rates:
        """The rates of this threshold on other people, with intervals.

        Warns when the gallery's images, whoever they show, do not lie like those of the
        calibration set: then the rates of the calibration set say little.

        Args:
            query: Q embeddings of the model that the threshold was chosen with.
            gallery: G embeddings.

        Raises:
            ValueError: features of another width or device, or no pair of one of the two kinds.
        """
        shift = compare_statistics(self.place, gallery)
        labels = Labels(query, gallery)
        people, groups = len(labels.people), len(labels.groups)
        by_query, by_image = np.zeros(len(query), np.int64), np.zeros(len(gallery), np.int64)
        same, hits = np.zeros((2, len(query)), np.int64)
        for block in pair_blocks(query, gallery, labels):
            near = block.different <= self.distance
            by_query[block.rows] = np.count_nonzero(near, axis=1)
            by_image += near.sum(axis=0)
            np.add.at(same, block.owner, 1)
            np.add.at(hits, block.owner, block.same <= self.distance)
        accepted = (
            np.bincount(labels.query_person, by_query[labels.known], people).astype(np.int64),
            np.bincount(labels.gallery_group, by_image, groups).astype(np.int64),
        )
        estimate = rate_of_pairs(accepted, _different(labels), labels.partner)
        rates = Rates(
            false_accept=estimate.interval(
                self.confidence, self._choice(estimate), self.false_accept.people
            ),
            false_accept_here=estimate.interval(self.confidence),
            true_accept=_true_accept(labels, same, hits, self.confidence),
            shift=shift,
            source=gallery.source or query.source,
        )
        warn_of(shift, stacklevel=2)
        return rates

    def _choice(self, elsewhere: Estimate) -> float:
        """Relative deviation of the false accept rate that comes from who chose the threshold.

        The calibration people say it themselves. Where those people happen to be alike, the
        threshold comes out too large and they know nothing of it; so if other people differ more,
        theirs counts, scaled to the number of calibration people.
        """
        own = self.false_accept.deviation / self.false_accept.value
        if not elsewhere.value:
            return own
        theirs = math.sqrt(elsewhere.variance) / elsewhere.value
        return max(own, theirs * math.sqrt(elsewhere.people / self.false_accept.people))


def choose_threshold(
    query: Embeddings,
    gallery: Embeddings,
    *,
    false_accept_rate: float = 0.01,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    fingerprint: str = "",
    model: str = "",
) -> Threshold:
    """The largest distance that accepts at most this share of the pairs of different people.

    The threshold lies halfway between the last accepted and the first refused pair, so that
    rounding moves no pair across it. The interval of the distance is a bootstrap over people
    (`bootstrap`). Those of the rates count people, not pairs, in closed form (`intervals`), which
    covered better than resampling in trials. One pass over the distances in blocks; beyond it,
    memory for about eight times the accepted pairs (20 bytes each) and all pairs of one person.

    Args:
        query: Q embeddings of labelled calibration people, who are nobody's training people.
        gallery: G embeddings.
        false_accept_rate: asked for, in (0, 1).
        confidence: of all intervals, in (0, 1).
        resamples: bootstrap draws, at most; and random halves of the calibration people: what
            these differ by is what a new place may differ by without a warning.
        seed: of draws and halves.
        fingerprint: of the dataset, kept with the threshold.
        model: where the features came from, kept with the threshold.

    Raises:
        ValueError: a rate or confidence outside (0, 1), too few pairs or people for this rate, so
            many equal distances that no threshold has it, or features that do not fit.

    Source: Fogliato, Patil, Perona 2023, "Confidence Intervals for Error Rates in 1:1 Matching
    Tasks" (arXiv:2306.01198), for the intervals; see `intervals` for what differs.
    """
    check_confidence(confidence)
    if not 0 < false_accept_rate < 1:
        raise ValueError(
            f"expected false_accept_rate between 0 and 1, such as 0.01, got {false_accept_rate}"
        )
    labels = Labels(query, gallery)
    place = describe_place(gallery, resamples=resamples, seed=seed)
    pairs = _different(labels)
    total = int(pairs[0].sum())
    wanted = math.floor(false_accept_rate * total + 1e-9 * total)  # 0.01 x 100 is 1, not 0.99...
    if not wanted:
        raise ValueError(
            f"expected enough pairs of different people for a false accept rate of "
            f"{false_accept_rate:g}: {math.ceil(1 / false_accept_rate):,} at the least, got "
            f"{total:,}; ask for a higher rate or bring more people"
        )
    nearest = nearest_different(query, gallery, labels, min(looked_at(wanted), total))
    accepted, distance = _cut(nearest.distance, wanted)
    estimate = rate_of_pairs(_count(nearest, labels, accepted), pairs, labels.partner)
    same = np.bincount(nearest.owner, minlength=len(query))
    hits = np.bincount(nearest.owner[nearest.same <= distance], minlength=len(query))
    sources = dict.fromkeys(name for name in (query.source, gallery.source) if name)
    low, high = distance_interval(nearest, labels, false_accept_rate, confidence, resamples, seed)
    return Threshold(
        distance=distance,
        low=low,
        high=high,
        target=false_accept_rate,
        confidence=confidence,
        false_accept=estimate.interval(confidence),
        true_accept=_true_accept(labels, same, hits, confidence),
        place=place,
        source=" / ".join(sources),
        fingerprint=fingerprint,
        model=model,
    )


def _cut(rising: Distances, wanted: int) -> tuple[int, float]:
    """How many pairs are accepted, at most `wanted`, and the distance that does it."""
    if wanted == len(rising):
        return wanted, float(rising[-1])
    refused = rising[wanted]
    accepted = int(rising.searchsorted(refused, "left"))  # equal distances go together
    if not accepted:
        raise ValueError(
            f"expected distances that differ: the smallest between different people, {refused:g}, "
            f"occurs more than {wanted:,} times, so no threshold has this false accept rate"
        )
    last = rising[accepted - 1]
    middle = last / 2 + refused / 2  # in the precision of the distances
    return accepted, float(middle if middle < refused else last)


def _count(nearest: Nearest, labels: Labels, accepted: int) -> tuple[Integers, Integers]:
    """Accepted pairs per query person (P,) and per gallery group (C,)."""
    person, group = people_of(nearest, labels)
    return (
        np.bincount(person[:accepted], minlength=len(labels.people)),
        np.bincount(group[:accepted], minlength=len(labels.groups)),
    )


def _different(labels: Labels) -> tuple[Integers, Integers]:
    """Pairs of different people per query person and per gallery group.

    Raises:
        ValueError: there is none.
    """
    pairs = labels.different_per_person()
    if not pairs[0].sum():
        raise ValueError("expected pairs of different people, got one person only")
    return pairs


def _true_accept(labels: Labels, same: Integers, hits: Integers, confidence: float) -> Rate:
    """Share of accepted pairs of one person, from counts per query (Q,)."""
    if not same.sum():
        raise ValueError(
            "expected pairs of one person in two cameras, got none; check pids and camids of both "
            "sides (one camera id for all removes every pair)"
        )
    per_person = (
        np.bincount(labels.query_person, values[labels.known]).astype(np.int64)
        for values in (hits, same)
    )
    return rate_by_person(*per_person).interval(confidence)


def _row(name: str, rate: Rate) -> tuple[str, ...]:
    """A line of the table of rates."""
    interval = f"{percent(rate.low)} to {percent(rate.high)}"
    return name, percent(rate.value), interval, f"{rate.pairs:,}", str(rate.people)
