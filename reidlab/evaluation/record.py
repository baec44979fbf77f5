"""What an evaluation found: one row of scores, with the protocol that it was measured under.

Shapes: Q queries, R entries of the CMC curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidlab.evaluation.checks import check_whole

Floats = NDArray[np.float64]

COUNTS = {  # which gallery images a protocol ranks
    "market": "other cameras",
    "no-camera-filter": "all cameras",
    "top-k": "all cameras and junk",
    "single-gallery-shot": "other cameras, one image per person",
}
RELEVANT = {"found": "AP over hits found", "all": "AP over all images"}


@dataclass(frozen=True, eq=False)
class PerQuery:
    """Scores of the single queries, NaN where a query has no match.

    Args:
        ap: (Q,) float64, average precision in [0, 1].
        inp: (Q,) float64, inverse negative penalty in [0, 1].
    """

    ap: Floats
    inp: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """What `evaluate` found; `print(scores)` shows it as a table row.

    Args:
        cmc: (R,) float64, share of valid queries with a hit among the first 1, 2, ..., R places.
        mean_ap: mean of `per_query.ap` over the valid queries, in [0, 1].
        mean_inp: mean of `per_query.inp` over the valid queries, in [0, 1].
        num_valid_queries: queries that have a match; all of them under protocol "top-k".
        per_query: the scores of all Q queries.
        protocol: name of the protocol.
        source: the data, as the embeddings name it.
        ap: form of the average precision, "plain" or "trapezoid".
        k: length of the lists of protocol "top-k".
        relevant: what the AP of protocol "top-k" divides by, "found" or "all".
        repeats: draws per query of protocol "single-gallery-shot".
        seed: of those draws.
        detail: what was done to features or distances before, in words; part of the label.
    """

    cmc: Floats
    mean_ap: float
    mean_inp: float
    num_valid_queries: int
    per_query: PerQuery
    protocol: str
    source: str = ""
    ap: str = "plain"
    k: int | None = None
    relevant: str | None = None
    repeats: int | None = None
    seed: int | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        """Check shapes, once."""
        shapes = self.cmc.shape, self.per_query.ap.shape, self.per_query.inp.shape
        if len(shapes[0]) != 1 or not len(self.cmc) or shapes[1] != shapes[2]:
            raise ValueError(f"expected cmc (R,), ap (Q,) and inp (Q,), got {shapes}")

    @property
    def label(self) -> str:
        """The protocol in full, e.g. "top-10, AP over hits found"."""
        parts = [self.protocol if self.k is None else f"top-{self.k}"]
        parts += [] if self.relevant is None else [RELEVANT[self.relevant]]
        parts += [] if self.repeats is None else [f"{self.repeats} repeats, seed {self.seed}"]
        return ", ".join([*parts, self.detail] if self.detail else parts)

    def rank(self, k: int) -> float:
        """CMC at rank k: the share of valid queries with a hit among the first k places.

        Raises:
            ValueError: k lies outside the curve, or is no whole number.
        """
        check_whole("k", k)
        if not 1 <= k <= len(self.cmc):
            raise ValueError(
                f"expected k from 1 to {len(self.cmc)}, the length of the curve, got {k}; "
                "evaluate(..., ranks=k) gives a longer one, up to the size of the gallery"
            )
        return float(self.cmc[k - 1])

    def figures(self) -> dict[str, float]:
        """CMC at ranks 1, 5 and 10 (NaN beyond the curve), mAP and mINP, each in [0, 1]."""
        at = {f"rank-{k}": self.rank(k) if k <= len(self.cmc) else np.nan for k in (1, 5, 10)}
        return at | {"mAP": self.mean_ap, "mINP": self.mean_inp}

    def cells(self) -> dict[str, str]:
        """Column -> text of the printed row; "-" stands for ranks beyond the curve."""
        row = {"protocol": self.label, "AP": self.ap, "data": self.source or "-"}
        for name, value in self.figures().items():
            row[name] = "-" if np.isnan(value) else f"{value:.1%}"
        return row | {"valid queries": self._valid()}

    def __repr__(self) -> str:
        """One short line for the end of a notebook cell."""
        return (
            f"Scores(rank-1 {self.cmc[0]:.1%}, mAP {self.mean_ap:.1%}, mINP {self.mean_inp:.1%}, "
            f"{self._valid()} queries, protocol={self.label!r}, source={self.source!r})"
        )

    def __str__(self) -> str:
        """A header and one row."""
        return aligned([self.cells()])

    def _valid(self) -> str:
        """How many queries count, e.g. "3,368 of 3,368"."""
        return f"{self.num_valid_queries:,} of {len(self.per_query.ap):,}"


def aligned(rows: Sequence[dict[str, str]]) -> str:
    """A header and one line per row, columns flush left; all rows have the same columns."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)
