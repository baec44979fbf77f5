"""For whom does the search work? Average precision by any label of the query.

Shapes: Q queries, P people, L labels, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from reidlab.calibration.intervals import bootstrap_margin, check_confidence
from reidlab.calibration.pairs import Floats
from reidlab.calibration.tables import aligned
from reidlab.data.heads import HEADS, Labels, classes
from reidlab.data.samples import Sample
from reidlab.evaluation import Scores


@dataclass(frozen=True)
class Group:
    """The queries that share a label.

    Args:
        label: their label.
        mean_ap: mean average precision of the queries with a match, in [0, 1].
        low: lower end of its interval over people, NaN for a single person.
        high: upper end.
        queries: how many have a match.
        people: how many they show.
        verdict: "lower" or "higher" than all other queries together where an interval of the
            difference, made wider for the number of groups, leaves out 0; else "not clear".
    """

    label: Any
    mean_ap: float
    low: float
    high: float
    queries: int
    people: int
    verdict: str


@dataclass(frozen=True)
class Breakdown:
    """Average precision by label, lowest first; `print(breakdown)` shows a table.

    Args:
        groups: one per label that has a query with a match.
        name: what the labels are.
        confidence: of the intervals.
    """

    groups: tuple[Group, ...]
    name: str = "label"
    confidence: float = 0.95

    def __str__(self) -> str:
        """A row per label, and what the last column means."""
        rows = [(self.name, "mAP %", "interval", "queries", "people", "than the rest")]
        for g in self.groups:
            known = np.isfinite(g.low)
            interval = f"{100 * g.low:.1f} to {100 * g.high:.1f}" if known else "-"
            cells = (str(g.label), f"{100 * g.mean_ap:.1f}", interval, f"{g.queries:,}")
            rows.append((*cells, f"{g.people:,}", g.verdict))
        return aligned(rows)


def score_by(
    scores: Scores,
    labels: Sequence[Any] | Tensor | np.ndarray,
    people: Sequence[int] | Tensor | np.ndarray,
    *,
    name: str = "label",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    comparisons: int | None = None,
) -> Breakdown:
    """Mean average precision per label of the query, with intervals over people.

    People are drawn with replacement, with all their queries: the queries of one person are not
    independent. A verdict compares a label with all other queries in the same draws, and its
    interval is wider for the number of labels (Bonferroni), so that among many labels a chance
    difference is not called one.

    Args:
        scores: of Q queries.
        labels: (Q,) anything that can be told apart and printed: attribute values, cameras, ...
        people: (Q,) person ids of the queries, `query.pids`.
        name: what the labels are, for the table.
        confidence: of the intervals, in (0, 1).
        resamples: draws of people.
        seed: of these draws.
        comparisons: how many labels are looked at in all, if other breakdowns of the same scores
            are read beside this one; None is the labels of this one.

    Raises:
        ValueError: lengths disagree, no query has a match, or a bad argument.
    """
    check_confidence(confidence)
    plain, pids = _listed(labels), _listed(people)
    if not len(plain) == len(pids) == len(scores.per_query.ap) or resamples < 1:
        raise ValueError(
            f"expected a label and a person for each of {len(scores.per_query.ap)} queries and "
            f"resamples of at least 1, got {len(plain)}, {len(pids)} and {resamples}"
        )
    valid = np.flatnonzero(np.isfinite(scores.per_query.ap))
    if not len(valid):
        raise ValueError("expected queries with a match, got none in these scores")
    names = list(dict.fromkeys(plain[q] for q in valid))
    group = np.array([names.index(plain[q]) for q in valid])  # (valid,)
    persons, person = np.unique(np.array([pids[q] for q in valid]), return_inverse=True)
    total, count = np.zeros((2, len(persons), len(names)))  # (P, L) summed AP, queries
    np.add.at(total, (person, group), scores.per_query.ap[valid])
    np.add.at(count, (person, group), 1)
    means, gaps = _draws(total, count, resamples, np.random.default_rng(seed))
    size = (count > 0).sum(axis=0)  # (L,) people with this label
    others = (count.sum(axis=1, keepdims=True) > count).sum(axis=0)  # with another one
    margin = bootstrap_margin(means, size, confidence)
    wide = 1 - (1 - confidence) / (comparisons or len(names))
    wide_margin = bootstrap_margin(gaps, np.minimum(size, others), wide)
    rest = total.sum() - total.sum(axis=0), count.sum() - count.sum(axis=0)
    mean = total.sum(axis=0) / count.sum(axis=0)
    gap = mean - rest[0] / np.maximum(rest[1], 1)
    groups = [
        Group(
            label,
            float(mean[i]),
            float(np.maximum(mean[i] - margin[i], 0.0)),  # a NaN stays one
            float(np.minimum(mean[i] + margin[i], 1.0)),
            int(count[:, i].sum()),
            int(size[i]),
            _verdict(gap[i], wide_margin[i]),
        )
        for i, label in enumerate(names)
    ]
    return Breakdown(tuple(sorted(groups, key=lambda g: g.mean_ap)), name, confidence)


def by_attribute(
    scores: Scores,
    samples: Sequence[Sample],
    table: Mapping[int, Labels] | None = None,
    *,
    heads: Iterable[str] = tuple(HEADS),
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Breakdown]:
    """`score_by` for the attributes of people: head -> breakdown by the names of its classes.

    Args:
        scores: of Q queries.
        samples: the Q queries.
        table: person id -> labels, from `read_attributes`; by default what the samples carry.
        heads: which of the twelve.
        confidence: of the intervals; verdicts are corrected for all classes of all heads.
        resamples: draws of people.
        seed: of these draws.

    Raises:
        ValueError: an unknown head, or a query without attributes.
    """
    chosen = [heads] if isinstance(heads, str) else list(heads)
    if unknown := [head for head in chosen if head not in HEADS]:
        raise ValueError(f"unknown attributes {unknown}; expected some of {', '.join(HEADS)}")
    found = []
    for sample in samples:
        labels = sample.attributes if table is None else table.get(sample.pid)
        if labels is None:
            raise ValueError(
                f"{sample.path}: expected attributes of person {sample.pid}, got none; pass "
                "table=read_attributes(...) of the file that describes these people"
            )
        found.append(classes(labels))
    people = [sample.pid for sample in samples]
    named = {head: [HEADS[head][row[head]] for row in found] for head in chosen}
    return {
        head: score_by(
            scores,
            named[head],
            people,
            name=head,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            comparisons=sum(len(set(values)) for values in named.values()),
        )
        for head in chosen
    }


def _draws(
    total: Floats, count: Floats, resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(R, L) mean AP per label in each draw of people, and its difference from all the rest."""
    people = len(total)
    weight = rng.multinomial(people, np.full(people, 1 / people), size=resamples).astype(float)
    sums, counts = weight @ total, weight @ count  # (R, L)
    rest = sums.sum(axis=1, keepdims=True) - sums, counts.sum(axis=1, keepdims=True) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
        gaps = means - np.where(rest[1] > 0.5, rest[0] / rest[1], np.nan)
    return means, gaps


def _verdict(gap: float, margin: float) -> str:
    """What may be said about a difference; nothing where its margin is unknown."""
    if not abs(gap) > margin:  # also when the margin is NaN
        return "not clear"
    return "higher" if gap > 0 else "lower"


def _listed(values: Sequence[Any] | Tensor | np.ndarray) -> list[Any]:
    """Plain Python values, from any device."""
    plain = values.cpu().numpy() if isinstance(values, Tensor) else values
    listed = plain.tolist() if isinstance(plain, np.ndarray) else list(plain)
    if not isinstance(listed, list) or any(isinstance(each, list | dict | set) for each in listed):
        raise ValueError("expected one plain value per query, such as a text or a number")
    return [None if each != each else each for each in listed]  # NaN: unknown, and all alike
