"""How good is a ranking: CMC, mean average precision and mean inverse negative penalty.

Shapes: Q queries, G gallery images, R entries of the CMC curve, B queries of one block, H hits.
A hit is a gallery image of the query's person that the protocol keeps; its place counts from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.ranking import distance_blocks

PROTOCOLS = ("market",)
AP_FORMS = ("plain", "trapezoid")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
        num_valid_queries: queries that have a match.
        per_query: the scores of all Q queries.
        protocol: name of the protocol.
        source: the data, as the embeddings name it.
        ap: form of the average precision, "plain" or "trapezoid".
    """

    cmc: Floats
    mean_ap: float
    mean_inp: float
    num_valid_queries: int
    per_query: PerQuery
    protocol: str
    source: str = ""
    ap: str = "plain"

    def __post_init__(self) -> None:
        """Check shapes, once."""
        shapes = self.cmc.shape, self.per_query.ap.shape, self.per_query.inp.shape
        if len(shapes[0]) != 1 or not len(self.cmc) or shapes[1] != shapes[2]:
            raise ValueError(f"expected cmc (R,), ap (Q,) and inp (Q,), got {shapes}")

    def rank(self, k: int) -> float:
        """CMC at rank k: the share of valid queries with a hit among the first k places.

        Raises:
            ValueError: k lies outside the curve.
        """
        if not 1 <= k <= len(self.cmc):
            raise ValueError(
                f"expected k from 1 to {len(self.cmc)}, the length of the curve, got {k}; "
                "evaluate(..., ranks=k) gives a longer one, up to the size of the gallery"
            )
        return float(self.cmc[k - 1])

    def __repr__(self) -> str:
        """One short line for the end of a notebook cell."""
        return (
            f"Scores(rank-1 {self.cmc[0]:.1%}, mAP {self.mean_ap:.1%}, mINP {self.mean_inp:.1%}, "
            f"{self._valid()} queries, protocol={self.protocol!r}, source={self.source!r})"
        )

    def __str__(self) -> str:
        """A header and one row; "-" stands for ranks beyond the curve."""
        cells = {"protocol": self.protocol, "AP": self.ap, "data": self.source or "-"}
        for k in (1, 5, 10):
            cells[f"rank-{k}"] = f"{self.rank(k):.1%}" if k <= len(self.cmc) else "-"
        cells |= {"mAP": f"{self.mean_ap:.1%}", "mINP": f"{self.mean_inp:.1%}"}
        cells["valid queries"] = self._valid()
        widths = [max(len(name), len(cell)) for name, cell in cells.items()]
        lines = (cells.keys(), cells.values())
        padded = (
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
            for line in lines
        )
        return "\n".join(line.rstrip() for line in padded)

    def _valid(self) -> str:
        """How many queries count, e.g. "3,368 of 3,368"."""
        return f"{self.num_valid_queries:,} of {len(self.per_query.ap):,}"


def evaluate(
    query: Embeddings,
    gallery: Embeddings,
    *,
    distance: Any = None,
    protocol: str = "market",
    ap: str = "plain",
    ranks: int = 50,
    k: int | None = None,
    repeats: int = 10,
    seed: int = 0,
) -> Scores:
    r"""CMC, mAP and mINP of ranking the gallery for every query.

    Protocol "market": per query the gallery images of its person **and** its camera are removed,
    person id -1 (junk) is ignored, person id 0 (distractors) is a negative like any other. With
    hits at 0-based places :math:`r_0 < r_1 < \dots < r_{H-1}` of what is left:

    .. math::
        AP = \frac{1}{H} \sum_i \frac{i + 1}{r_i + 1}, \qquad
        AP_{trapezoid} = \frac{1}{2H} \sum_i \Big(\frac{i + 1}{r_i + 1} + \frac{i}{r_i}\Big),
        \qquad INP = \frac{H}{r_{H-1} + 1}

    with :math:`i / r_i = 1` at :math:`r_i = 0`. Equal distances rank in gallery order. All means
    are over the queries that have a match.

    Args:
        query: Q embeddings.
        gallery: G embeddings, any order.
        distance: (Q, G) tensor or array to rank by; by default the squared Euclidean distance of
            the L2-normalised features. Worked through in blocks, so a large one may be mapped from
            disk.
        protocol: "market".
        ap: form of the average precision, "plain" or "trapezoid".
        ranks: entries of the CMC curve; min(ranks, G) are returned, and places beyond the images
            kept for a query repeat its last value.
        k: not used by protocol "market".
        repeats: not used by protocol "market".
        seed: not used by protocol "market".

    Returns:
        Scores. O(Q G H) time for few images H per person, O(Q G log G) for many. Memory beyond the
        inputs: two blocks of distances (8 MiB each) and, without `distance`, a normalised copy of
        the features.

    Raises:
        ValueError: an unknown protocol or form, shapes or devices that disagree, a NaN distance, an
            empty gallery, or no query with a match.

    Source: Zheng et al. 2015, "Scalable Person Re-identification: A Benchmark" (ICCV), protocol
    and trapezoid form; Ye et al. 2021, "Deep Learning for Person Re-identification: A Survey and
    Outlook" (arXiv:2001.04193), mINP. The plain form is the one most papers report since. Differs
    from common implementations in: ties, and the padding of the curve for small galleries.
    """
    _check_choice("protocol", protocol, PROTOCOLS)
    _check_choice("ap", ap, AP_FORMS)
    if ranks < 1:
        raise ValueError(f"expected ranks of at least 1, got {ranks}")
    if not len(gallery):
        raise ValueError(f"expected gallery images, got none for {len(query)} queries")
    if not len(query):
        raise ValueError(f"expected queries, got none for {len(gallery)} gallery images")
    scores = measure(query, gallery, distance)
    valid = np.isfinite(scores["first"])
    if not valid.any():
        raise ValueError(_no_match(query, gallery))
    length = min(ranks, len(gallery))
    first = scores["first"][valid].astype(np.int64)
    found_at = np.bincount(first[first < length], minlength=length)  # (R,) counts of queries
    sources = dict.fromkeys(name for name in (query.source, gallery.source) if name)
    return Scores(
        cmc=found_at.cumsum() / valid.sum(),
        mean_ap=float(scores[ap][valid].mean()),
        mean_inp=float(scores["inp"][valid].mean()),
        num_valid_queries=int(valid.sum()),
        per_query=PerQuery(scores[ap], scores["inp"]),
        protocol=protocol,
        source=" / ".join(sources),
        ap=ap,
    )


def measure(query: Embeddings, gallery: Embeddings, distance: Any = None) -> dict[str, Floats]:
    """One pass over the distances gives every per-query score, both forms of AP among them.

    Returns:
        "plain", "trapezoid", "inp" and "first" (place of the first hit from 0), each (Q,) float64
        with NaN for a query without a match.
    """
    kept = np.flatnonzero(_numpy(gallery.pids) != -1)
    pids, camids = _numpy(gallery.pids)[kept], _numpy(gallery.camids)[kept]
    by_person = pids.argsort(kind="stable")  # gallery order within a person
    starts, stops = (pids[by_person].searchsorted(_numpy(query.pids), s) for s in ("left", "right"))
    query_camids = _numpy(query.camids)
    blocks = []
    for rows, block in distance_blocks(query, gallery, distance):
        hits = []
        for q, row in enumerate(block.cpu().numpy(), start=rows.start):
            same = by_person[starts[q] : stops[q]]
            removed = camids[same] == query_camids[q]
            hits.append(hit_places(row if len(kept) == len(row) else row[kept], same, removed))
        blocks.append(_summarise(hits))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def hit_places(row: NDArray[Any], same: Integers, removed: NDArray[np.bool_]) -> Integers:
    """Places of the hits, from 0 and rising, (H,), once the removed images are gone.

    Args:
        row: (G,) distances of one query.
        same: (S,) columns of the query's person, rising.
        removed: (S,) true for those that the protocol takes away.
    """
    places = places_of(row, same)
    order = places.argsort()
    gone = removed[order]
    return (places[order] - gone.cumsum())[~gone]  # each removed image ahead is one place less


def places_of(row: NDArray[Any], columns: Integers) -> Integers:
    """Places of some columns in the stable ascending order of a row, from 0.

    A place is the number of entries ahead: the equal or smaller ones to the left and the smaller
    ones to the right. Counting them beats sorting the row until a person has very many images.
    """
    if len(columns) > 128:
        places = np.empty(len(row), np.int64)
        places[row.argsort(kind="stable")] = np.arange(len(row))
        return places[columns]
    ahead = np.empty(len(row), np.bool_)
    places = np.empty(len(columns), np.int64)
    for i, column in enumerate(columns.tolist()):
        np.less_equal(row[:column], row[column], out=ahead[:column])
        np.less(row[column:], row[column], out=ahead[column:])
        places[i] = np.count_nonzero(ahead)
    return places


def _summarise(hits: list[Integers]) -> dict[str, Floats]:
    """The per-query scores of B queries from the places of their hits; the equations above."""
    counts = np.array([len(places) for places in hits])  # (B,), H of each query
    place = np.concatenate(hits)  # all hits in a row, query after query
    owner = np.repeat(np.arange(len(hits)), counts)
    end = counts.cumsum()
    index = np.arange(len(place)) - (end - counts)[owner]  # i, from 0 in each query
    at = (index + 1) / (place + 1)  # precision at the hit
    before = np.where(place > 0, index / np.maximum(place, 1), 1.0)  # and just before it
    found = counts > 0
    scores = {name: np.full(len(hits), np.nan) for name in (*AP_FORMS, "inp", "first")}
    for form, terms in (("plain", at), ("trapezoid", (at + before) / 2)):
        total = np.bincount(owner, weights=terms, minlength=len(hits))
        scores[form][found] = total[found] / counts[found]
    scores["first"][found] = place[(end - counts)[found]]
    scores["inp"][found] = at[end[found] - 1]  # all H found by the last hit: H / (r + 1)
    return scores


def _no_match(query: Embeddings, gallery: Embeddings) -> str:
    """Why no query has a match, in words."""
    present = np.isin(_numpy(query.pids), _numpy(gallery.pids)[_numpy(gallery.pids) != -1])
    return (
        f"expected queries with a match in the gallery, found none: of {len(query)} queries, "
        f"{int(present.sum())} have their person only under their own camera, and "
        f"{int((~present).sum())} have no image of their person among {len(gallery)} gallery "
        "images; check pids and camids of both sides (protocol 'market' removes images of the "
        "same person and camera, so one camera id for all removes every match)"
    )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless `value` is one of the choices."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"expected {name} to be one of {listed}, got {value!r}")


def _numpy(labels: Tensor) -> Integers:
    """Labels as a numpy array, from any device."""
    return labels.cpu().numpy()
