"""Which queries fail, and how?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlab.calibration.pairs import as_numpy
from reidlab.calibration.tables import aligned
from reidlab.data.samples import JUNK
from reidlab.embedding import Embeddings
from reidlab.evaluation import Scores, evaluate
from reidlab.ranking import distance_blocks


@dataclass(frozen=True)
class Failure:
    """One query that went wrong. Places count from 1 among the images that the protocol keeps.

    Args:
        query: position of the query.
        ap: its average precision.
        wrong: gallery position of the nearest image of somebody else, -1 if there is none.
        wrong_place: its place.
        wrong_distance: its distance, NaN if there is none.
        match: gallery position of the nearest image of the person.
        match_place: its place; 1 means that the first hit was right.
        match_distance: its distance.
    """

    query: int
    ap: float
    wrong: int
    wrong_place: int
    wrong_distance: float
    match: int
    match_place: int
    match_distance: float


class Failures(tuple[Failure, ...]):
    """Failures, the worst first; `print(failures)` shows a table."""

    __slots__ = ()

    @property
    def queries(self) -> list[int]:
        """Positions of the queries, the worst first."""
        return [failure.query for failure in self]

    def __str__(self) -> str:
        """A row per query."""
        names = ("query", "AP %", "first wrong", "at place", "best match", "at place")
        rows: list[tuple[str, ...]] = [names]
        for f in self:
            wrong = ("-", "-") if f.wrong < 0 else (str(f.wrong), f"{f.wrong_place:,}")
            cells = (str(f.query), f"{100 * f.ap:.1f}", *wrong, str(f.match), f"{f.match_place:,}")
            rows.append(cells)
        return aligned(rows)


def worst_queries(
    scores: Scores, n: int, *, query: Embeddings, gallery: Embeddings, distance: Any = None
) -> Failures:
    """The n queries with the lowest average precision, the worst first; equals in query order.

    Queries without a match are no failures. With `gallery_strip(rank(query, gallery, k),
    queries=failures.queries)`, or `plots.failure_strip`, they can be looked at.

    Args:
        scores: of these queries in this gallery, protocol "market".
        n: how many; fewer come back where fewer queries have a match.
        query: Q embeddings.
        gallery: G embeddings.
        distance: (Q, G), if the scores were made with one.

    Raises:
        ValueError: n below 1, scores of another number of queries or of another protocol, or scores
            that do not belong to these embeddings.
    """
    ap = scores.per_query.ap
    if n < 1 or len(ap) != len(query):
        raise ValueError(
            f"expected n of at least 1 and scores of these {len(query)} queries, got n={n} and "
            f"scores of {len(ap)}"
        )
    if scores.protocol != "market":
        raise ValueError(f"expected scores of protocol 'market', got {scores.protocol!r}")
    order = ap.argsort(kind="stable")[:n]  # NaN sorts last
    worst = order[np.isfinite(ap[order])]
    chosen = query[worst]
    part = None if distance is None else distance[worst]
    again = (
        evaluate(chosen, gallery, distance=part, ap=scores.ap).per_query.ap if len(worst) else []
    )
    if not np.allclose(again, ap[worst], atol=1e-4, equal_nan=True):
        raise ValueError(
            "expected scores of these queries in this gallery, got others; pass distance= if they "
            "were made with one, as after re-ranking"
        )
    found = []
    for rows, block in distance_blocks(chosen, gallery, part):
        for q, row in zip(worst[rows], block.cpu().numpy(), strict=True):
            found.append(_explain(int(q), float(ap[q]), row, query, gallery))
    return Failures(found)


def _explain(q: int, ap: float, row: np.ndarray, query: Embeddings, gallery: Embeddings) -> Failure:
    """What stands where for one query, from its (G,) distances."""
    pids, cameras = as_numpy(gallery.pids), as_numpy(gallery.camids)
    mine = pids == int(query.pids[q])
    kept = np.flatnonzero((pids != JUNK) & ~(mine & (cameras == int(query.camids[q]))))
    ranked = kept[row[kept].argsort(kind="stable")]
    right = mine[ranked]
    first = int(right.argmax())
    match, wrong = int(ranked[first]), int((~right).argmax()) if not right.all() else -1
    at = int(ranked[wrong]) if wrong >= 0 else -1
    gap = float(row[at]) if wrong >= 0 else float("nan")
    return Failure(q, ap, at, wrong + 1, gap, match, first + 1, float(row[match]))
