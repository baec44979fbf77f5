"""How well a search by description finds those who fit it.

Shapes: Q wishes, N images or people, R of them relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reidlab.data.wishes import Wish
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attributes.truth import Targets, true_classes
from reidlab.evaluation.checks import check_whole
from reidlab.evaluation.hits import places_of
from reidlab.evaluation.record import aligned
from reidlab.ranking.attributes import Wanted, check_predicted, log_chances, wishes_of

Floats = NDArray[np.float64]
By = Literal["image", "person"]
PLACES = (1, 5, 10)


@dataclass(frozen=True, eq=False, repr=False)
class SearchScores:
    """What `evaluate_attribute_search` found; `print(scores)` shows a row per wish and the mean.

    Args:
        wishes: the Q wishes.
        ap: (Q,) average precision in [0, 1], NaN for a wish that nobody fulfils.
        chance: (Q,) expected average precision of a random order, NaN likewise.
        precision: places k -> (Q,) share of relevant ones among the first k; NaN likewise, and
            where fewer than k are ranked.
        relevant: (Q,) int64, how many fulfil each wish.
        total: N, how many are ranked.
        by: what is ranked, "image" or "person".
        source: the data, as the predictions name it.
    """

    wishes: tuple[Wish, ...]
    ap: Floats
    chance: Floats
    precision: dict[int, Floats]
    relevant: NDArray[np.int64]
    total: int
    by: str
    source: str = ""

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(Q,) wishes that somebody fulfils: those that the means are over."""
        return self.relevant > 0

    @property
    def mean_ap(self) -> float:
        """Mean of `ap` over the wishes that count."""
        return float(self.ap[self.counted].mean())

    @property
    def mean_chance(self) -> float:
        """Mean of `chance` over the same wishes: what `mean_ap` must be read against."""
        return float(self.chance[self.counted].mean())

    def mean_precision(self, k: int) -> float:
        """Mean precision at 1, 5 or 10 places over the same wishes.

        Raises:
            ValueError: another number of places.
        """
        if k not in self.precision:
            raise ValueError(f"expected one of {', '.join(map(str, self.precision))}, got {k!r}")
        return float(self.precision[k][self.counted].mean())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers for JSON, None where there is none."""
        rows = [
            {
                "wish": str(wish),
                "relevant": int(self.relevant[q]),
                "ap": _plain(self.ap[q]),
                "chance": _plain(self.chance[q]),
                "precision": {str(k): _plain(at[q]) for k, at in self.precision.items()},
            }
            for q, wish in enumerate(self.wishes)
        ]
        mean = {"ap": self.mean_ap, "chance": self.mean_chance}
        means = {str(k): _plain(self.mean_precision(k)) for k in self.precision}
        named = {"by": self.by, "total": self.total, "source": self.source}
        return {**named, "mean": {**mean, "precision": means}, "wishes": rows}

    def __len__(self) -> int:
        """Q, the number of wishes."""
        return len(self.wishes)

    def __repr__(self) -> str:
        """One short line."""
        return (
            f"SearchScores(mean AP {self.mean_ap:.1%}, chance {self.mean_chance:.1%}, "
            f"{int(self.counted.sum())} of {len(self)} wishes, {self.total:,} {self._ranked})"
        )

    def __str__(self) -> str:
        """A row per wish, the mean, and what was not counted."""
        found = [q for q in range(len(self)) if self.counted[q]]
        rows = [self._row(q) for q in found]
        mean = {"wish": f"mean of {len(found)}", f"relevant {self._ranked}": ""}
        mean |= {"AP": _percent(self.mean_ap), "chance": _percent(self.mean_chance)}
        mean |= {f"P@{k}": _percent(self.mean_precision(k)) for k in self.precision}
        lines = [aligned([*rows, mean])]
        if none := [str(wish) for q, wish in enumerate(self.wishes) if not self.counted[q]]:
            lines.append(f"not counted, because nobody fulfils them: {'; '.join(none)}")
        return "\n".join(lines)

    @property
    def _ranked(self) -> str:
        return "images" if self.by == "image" else "people"

    def _row(self, q: int) -> dict[str, str]:
        """Column -> text of one wish."""
        share = f"{self.relevant[q]:,} of {self.total:,}"
        row = {"wish": str(self.wishes[q]), f"relevant {self._ranked}": share}
        row |= {"AP": _percent(self.ap[q]), "chance": _percent(self.chance[q])}
        return row | {f"P@{k}": _percent(at[q]) for k, at in self.precision.items()}


def evaluate_attribute_search(
    predictions: AttributePredictions,
    targets: Targets,
    wishes: Wanted | Sequence[Wanted],
    *,
    by: By = "image",
) -> SearchScores:
    """Average precision of ranking a gallery by each wish, beside that of a random order.

    An image is relevant when its person has all that is wanted. The average precision is the mean
    of the precision at the places of the relevant ones, as in `evaluate` with `ap="plain"`; ties
    rank in gallery order, people by their first image.

    Args:
        predictions: of N images.
        targets: head -> (N,) class index of the people shown, or the N samples that were predicted,
            with attributes. Distractors and junk have none: leave them out before. Only the heads
            that are wished for are needed.
        wishes: one wish or several, as `rank_by_attributes` takes them.
        by: "image" ranks images; "person" ranks people by the mean log-probability of their images.

    Raises:
        ValueError: targets that do not belong to the predictions, images of nobody who is
            labelled, images of one person that disagree, a head that is not predicted, a wish that
            cannot be read, or none that anybody fulfils.
    """
    if by not in ("image", "person"):
        raise ValueError(f"unknown by={by!r}; expected image or person")
    if not (asked := wishes_of(wishes)):
        raise ValueError("expected a wish or more, got none")
    check_predicted(predictions, asked)
    wanted = {head for wish in asked for head in wish.heads}
    logits = {head: table for head, table in predictions.logits.items() if head in wanted}
    predictions = replace(predictions, logits=logits)
    truth = true_classes(predictions, targets)
    groups = _groups(predictions, truth) if by == "person" else None
    rows = [_measure(predictions, truth, wish, groups) for wish in asked]
    total = len(predictions) if groups is None else int(groups.max()) + 1
    relevant = np.array([row[0] for row in rows], np.int64)
    if not relevant.any():
        raise ValueError(
            f"nobody among {total:,} fulfils any of the {len(asked)} wishes, for instance "
            f"{str(asked[0])!r}; `common_wishes` draws some that somebody fulfils"
        )
    ap, chance, *precision = np.array([row[1:] for row in rows], np.float64).T
    at: dict[int, Floats] = dict(zip(PLACES, precision, strict=True))
    return SearchScores(asked, ap, chance, at, relevant, total, by, predictions.source)


def chance_ap(relevant: int, total: int) -> float:
    r"""Expected average precision of a random order of N with R relevant ones; exact.

    .. math:: E = \frac{1}{N} \Big[ H_N + \frac{R - 1}{N - 1} (N - H_N) \Big]

    with :math:`H_N = 1 + 1/2 + ... + 1/N`: at place i stands a relevant one with probability R/N,
    and each of the i - 1 before it is relevant with probability (R - 1)/(N - 1). It is above the
    share R/N, the more so the fewer are relevant.

    Args:
        relevant: R, 1..N.
        total: N.

    Raises:
        ValueError: R is outside 1..N.
    """
    check_whole("relevant", relevant, 1)
    check_whole("total", total, relevant)
    if total == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, total + 1)).sum())
    return (harmonic + (relevant - 1) / (total - 1) * (total - harmonic)) / total


def _groups(
    predictions: AttributePredictions, truth: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.int64]:
    """(N,) which person each image shows, numbered from 0 in gallery order.

    Raises:
        ValueError: images of one person have different targets.
    """
    pids = predictions.pids.cpu().numpy()
    _, first, groups = np.unique(pids, return_index=True, return_inverse=True)
    for head, found in truth.items():
        differ = found != found[first][groups]
        if differ.any():
            place = int(differ.argmax())
            raise ValueError(
                f"{head}: image {place} of person {pids[place]} has another target than image "
                f"{first[groups[place]]} of the same person"
            )
    return np.argsort(np.argsort(first))[groups]  # places of ids -> places of first images


def _measure(
    predictions: AttributePredictions,
    truth: Mapping[str, NDArray[np.int64]],
    wish: Wish,
    groups: NDArray[np.int64] | None,
) -> list[float]:
    """Number of relevant ones, AP, its chance level, and precision at each of `PLACES`."""
    chances = log_chances(predictions, [wish])[0].cpu().double().numpy()
    fits = [np.isin(truth[head], sorted(wanted)) for head, wanted in wish.wanted.items()]
    relevant = np.logical_and.reduce(fits)
    if groups is not None:
        chances = np.bincount(groups, chances) / np.bincount(groups)
        relevant = np.bincount(groups, relevant) > 0  # the same for all images of a person
    columns = np.flatnonzero(relevant)
    if not len(columns):
        return [0] + [np.nan] * (2 + len(PLACES))
    places = np.sort(places_of(-chances, columns))
    ap = float(((np.arange(len(places)) + 1) / (places + 1)).mean())
    precision = [(places < k).sum() / k if k <= len(chances) else np.nan for k in PLACES]
    return [len(places), ap, chance_ap(len(places), len(chances)), *precision]


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1%}"
