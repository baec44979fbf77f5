r"""Do the answers about attributes beat guessing, and how surely?

The images of one person are one observation: people are drawn with replacement, with all their
images. A class worn by three people is three observations however many images they have, so that

- in every draw each class is also worn by two imaginary people, of as many images as the others,
  one always recognised and one never; without them a class whose two people are both recognised
  would seem certain. The accuracy of a head gets such a pair as well: one person for whom the
  network gains over guessing in all images, and one for whom it loses.
- Student's t counts the people of each class, by Satterthwaite's rule: with :math:`V_c` the
  variance that class c of :math:`k_c` people brings, the degrees of freedom are
  :math:`(\sum_c V_c)^2 / \sum_c (V_c^2 / (k_c + 1))`, near those of the rarest class when it
  brings most.

Measured with 30 and 150 people of eight images, six heads as uneven as those of Market-1501 and
400 draws of people: the 95 % interval of the accuracy's margin holds that of all people in 93 to
98 % of them, of the balanced accuracy's in 93 to 100 %. It is too wide, up to 100 %, where people
of the rarest class are nearly all recognised or nearly all missed, and where the network answers
like the guesser.

Heads may fail on the same people. The mean over heads therefore counts as surely as its least sure
head: all heads see the same people in a draw, imaginary ones too, and the degrees of freedom are
the fewest of any head. Measured with six heads that are right and wrong alike, two classes each,
400 draws of people: the 95 % interval of the mean's margin holds that of all people in 96 to 97 %
of them for accuracy and in 95 to 96 % for balanced accuracy with 30 people, in 94 to 97 % with 150
and in 99 to 100 % with 5. It is too wide where heads fail independently of each other: with 30
people it held in 99 to 100 % of 150 draws.

Shapes: N images, P people, n classes of a head, R resamples.

Source: Agresti, Caffo 2000, "Simple and Effective Confidence Intervals for Proportions and
Differences of Proportions Result from Adding Two Successes and Two Failures" (The American
Statistician 54), for the imaginary people. Differs from it in: people bring shares, and the
estimate itself stays what was counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidlab.calibration.intervals import check_confidence, student
from reidlab.calibration.pairs import Floats, Integers
from reidlab.calibration.tables import aligned
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attributes import majority_classes, true_classes
from reidlab.evaluation.attributes.truth import Targets, Training
from reidlab.evaluation.checks import check_whole


@dataclass(frozen=True)
class Margin:
    """How far a score lies above that of guessing, as differences of shares in [-1, 1].

    Args:
        value: score minus the score of always answering the majority of training.
        low: lower end of its interval over people.
        high: upper end.
        people: how many the score rests on: all for accuracy, for balanced accuracy those of the
            rarest class.
        verdict: "above majority" or "below" where an interval, made wider for the number of heads,
            leaves out 0; else "not clear".
    """

    value: float
    low: float
    high: float
    people: int
    verdict: str

    def __contains__(self, difference: float) -> bool:
        """Whether the interval holds `difference`."""
        return self.low <= difference <= self.high


@dataclass(frozen=True)
class Margins:
    """Margins over guessing of every head; `print(margins)` shows a table.

    Args:
        accuracy: head -> margin of its accuracy.
        balanced: head -> margin of its balanced accuracy.
        mean_accuracy: of the mean over the heads; its verdict is not made wider.
        mean_balanced: likewise.
        confidence: of the intervals.
    """

    accuracy: dict[str, Margin]
    balanced: dict[str, Margin]
    mean_accuracy: Margin
    mean_balanced: Margin
    confidence: float = 0.95

    def __str__(self) -> str:
        """A row per head and one for the means; differences in points of percent."""
        rows = [("attribute", "accuracy", "interval", "", "balanced", "interval", "people", "")]
        for name in (*self.accuracy, "mean"):
            a = self.accuracy.get(name, self.mean_accuracy)
            b = self.balanced.get(name, self.mean_balanced)
            rows.append((name, *_cells(a), a.verdict, *_cells(b), f"{b.people:,}", b.verdict))
        return (
            aligned(rows)
            + f"\nscore minus that of guessing, in points; {self.confidence:.0%} intervals over "
            "people; people: of the rarest class"
        )


@dataclass(frozen=True)
class _Draws:
    """A score of one head in R draws of people, and what it rests on.

    Args:
        value: score minus that of guessing, as counted.
        draws: (R,) the same for the drawn people.
        bounds: smallest and largest value there can be.
        parts: (m,) variances that the parts of the score bring.
        freedom: (m,) degrees of freedom of each.
        people: people that the score rests on.
    """

    value: float
    draws: Floats
    bounds: tuple[float, float]
    parts: Floats
    freedom: Floats
    people: int


def attribute_margins(
    predictions: AttributePredictions,
    targets: Targets,
    train: Training,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Margins:
    """Accuracy and balanced accuracy minus those of guessing, with intervals over people.

    Args:
        predictions: of N images of labelled people; distractors and junk left out.
        targets: head -> (N,) class indices, or the N samples with attributes, in the same order.
        train: what decides the guesser's answers: counts, labels or samples of the training side.
        confidence: of the intervals, in (0, 1); verdicts per head are corrected for the number of
            heads (Bonferroni).
        resamples: R, draws of people.
        seed: of these draws.

    Raises:
        ValueError: fewer than two people or draws, a confidence outside (0, 1), or targets or
            training counts that do not fit.
    """
    check_confidence(confidence)
    truth = true_classes(predictions, targets)
    majority = majority_classes(train, predictions.heads)
    check_whole("resamples", resamples, 2)
    check_whole("seed", seed, 0)
    persons, person = np.unique(predictions.pids.cpu().numpy(), return_inverse=True)
    if len(persons) < 2:
        raise ValueError(f"expected two people or more, got {len(persons)}")
    rng = np.random.default_rng(seed)
    even = np.full(len(persons), 1 / len(persons))
    weight = rng.multinomial(len(persons), even, size=resamples).astype(float)  # (R, P)
    chance = rng.random((2, resamples, max(map(len, map(HEADS.__getitem__, predictions.heads)))))
    accuracy, balanced = {}, {}
    for head in predictions.heads:
        right = predictions.answers[head].cpu().numpy() == truth[head]
        images, hits = _tables(truth[head], right, person, len(HEADS[head]))
        accuracy[head] = _accuracy(images, hits, majority[head], weight, chance)
        balanced[head] = _balanced(images, hits, majority[head], weight, chance)
    corrected = 1 - (1 - confidence) / len(predictions.heads)
    levels = confidence, corrected
    return Margins(
        {head: _margin(one, *levels) for head, one in accuracy.items()},
        {head: _margin(one, *levels) for head, one in balanced.items()},
        _margin(_mean(list(accuracy.values())), confidence, confidence),
        _margin(_mean(list(balanced.values())), confidence, confidence),
        confidence,
    )


def _tables(truth: Integers, right: Integers, person: Integers, size: int) -> tuple[Floats, Floats]:
    """(P, n) images of each person and class, and those of them that were recognised."""
    shape = int(person.max()) + 1, size
    cell = person * size + truth
    images, hits = (
        np.bincount(cell, weights=w, minlength=shape[0] * size).reshape(shape)
        for w in (np.ones(len(cell)), right.astype(float))
    )
    return images.astype(float), hits.astype(float)


def _accuracy(
    images: Floats, hits: Floats, majority: int, weight: Floats, chance: Floats
) -> _Draws:
    """Accuracy minus the share of the majority class."""
    gained = hits.sum(axis=1) - images[:, majority]  # (P,) images won over guessing
    count = images.sum(axis=1)
    people = len(count)
    better, worse = _imaginary(people, chance[:, :, 0]) * count.mean()
    draws = (weight @ gained + better - worse) / (weight @ count + better + worse)
    draws = _stretched(draws, np.array(people))
    parts, freedom = np.ones(1), np.array([people + 1.0])
    value = float(gained.sum() / count.sum())
    return _Draws(value, draws, (-1.0, 1.0), parts, freedom, people)


def _balanced(
    images: Floats, hits: Floats, majority: int, weight: Floats, chance: Floats
) -> _Draws:
    """Mean recall of the classes that occur, minus that of guessing."""
    occurs = np.flatnonzero(images.sum(axis=0))
    images, hits = images[:, occurs], hits[:, occurs]  # (P, m)
    people = (images > 0).sum(axis=0)
    size = images.sum(axis=0) / people
    place = np.argsort(np.argsort(people, kind="stable"))  # the rarest classes share a chance
    drawn = [_imaginary(int(k), chance[:, :, p]) for k, p in zip(people, place, strict=True)]
    known, missed = np.stack(drawn, axis=2) * size  # (R, m)
    whole = weight @ images + known + missed
    recall = hits.sum(axis=0) / images.sum(axis=0)  # also where a draw has nobody of a class
    recalls = np.where(whole > 0, (weight @ hits + known) / np.maximum(whole, 1e-9), recall)
    recalls = _stretched(recalls, people)
    guessing = float(np.mean(occurs == majority))
    return _Draws(
        float(recall.mean()) - guessing,
        recalls.mean(axis=1) - guessing,
        (-guessing, 1 - guessing),
        recalls.var(axis=0) / len(occurs) ** 2,
        people + 1.0,
        int(people.min()),
    )


def _imaginary(people: int, chance: Floats) -> Floats:
    """(2, R) how often each of two more people is drawn beside `people` others.

    `chance` (2, R) in [0, 1) decides it, so that heads with the same chance draw alike.
    """
    from scipy.stats import binom

    times = np.arange(people + 3)
    return np.searchsorted(binom.cdf(times, people + 2, 1 / (people + 2)), chance).astype(float)


def _stretched(draws: Floats, people: Integers) -> Floats:
    """Draws whose variance is that of a mean over other people: a bootstrap's is too small."""
    middle = draws.mean(axis=0)
    return middle + (draws - middle) * np.sqrt((people + 2) / (people + 1))


def _mean(each: list[_Draws]) -> _Draws:
    """The mean over heads: in every draw all heads see the same people, imaginary ones too.

    Its freedom is that of the head with the least: heads may fail on the same people.
    """
    low, high = (float(np.mean([one.bounds[side] for one in each])) for side in (0, 1))
    return _Draws(
        float(np.mean([one.value for one in each])),
        np.mean([one.draws for one in each], axis=0),
        (low, high),
        np.ones(1),
        np.array([min(map(_freedom, each))]),
        min(one.people for one in each),
    )


def _freedom(one: _Draws) -> float:
    """Satterthwaite's degrees of freedom."""
    return float(one.parts.sum() ** 2 / (one.parts**2 / one.freedom).sum())


def _margin(one: _Draws, confidence: float, corrected: float) -> Margin:
    """The interval at `confidence`, and the verdict at the level `corrected`."""
    deviation = float(one.draws.std(ddof=1))
    narrow, wide = (deviation * student(level, _freedom(one)) for level in (confidence, corrected))
    low, high = one.bounds
    return Margin(
        one.value,
        max(one.value - narrow, low),
        min(one.value + narrow, high),
        one.people,
        _verdict(one.value, wide),
    )


def _verdict(value: float, margin: float) -> str:
    if not abs(value) > margin:
        return "not clear"
    return "above majority" if value > 0 else "below"


def _cells(margin: Margin) -> tuple[str, str]:
    """A margin and its interval, in points of percent."""
    return f"{100 * margin.value:+.1f}", f"{100 * margin.low:+.1f} to {100 * margin.high:+.1f}"
