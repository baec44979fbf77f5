"""From two sets of embeddings to the scores of one protocol.

Shapes: Q queries, G gallery images, R entries of the CMC curve, H hits of one query.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reidlab.embedding import Embeddings
from reidlab.evaluation.checks import check_whole
from reidlab.evaluation.hits import Labels
from reidlab.evaluation.protocols import AP_FORMS, Rule, check_choice, measure
from reidlab.evaluation.record import Floats, PerQuery, Scores


def evaluate(
    query: Embeddings,
    gallery: Embeddings,
    *,
    distance: Any = None,
    protocol: str = "market",
    ap: str = "plain",
    ranks: int = 50,
    k: int | None = None,
    relevant: str = "found",
    repeats: int = 10,
    seed: int = 0,
) -> Scores:
    r"""CMC, mAP and mINP of ranking the gallery for every query, under a protocol.

    | protocol | what is ranked |
    |---|---|
    | "market" | all but junk (person -1) and the query's person under its own camera |
    | "no-camera-filter" | all but junk |
    | "top-k" | everything; only the first `k` places count, junk takes places and never matches |
    | "single-gallery-shot" | as "market", but CMC sees one random image of each person |

    Person 0 (distractors) is a negative like any other. With hits at 0-based places
    :math:`r_0 < r_1 < \dots < r_{H-1}` of what is ranked:

    .. math::
        AP = \frac{1}{H} \sum_i \frac{i + 1}{r_i + 1}, \qquad
        AP_{trapezoid} = \frac{1}{2H} \sum_i \Big(\frac{i + 1}{r_i + 1} + \frac{i}{r_i}\Big),
        \qquad INP = \frac{H}{r_{H-1} + 1}

    with :math:`i / r_i = 1` at :math:`r_i = 0`. Equal distances rank in gallery order. All means
    are over the queries that have a match. "top-k" knows no invalid query: one without a hit among
    its k places scores AP 0 and INP 0, and counts.

    Args:
        query: Q embeddings.
        gallery: G embeddings, any order.
        distance: (Q, G) tensor or array to rank by; by default the squared Euclidean distance of
            the L2-normalised features. Worked through in blocks, so a large one may be mapped from
            disk.
        protocol: one of the table's.
        ap: form of the average precision, "plain" or "trapezoid".
        ranks: entries of the CMC curve; min(ranks, G) are returned, and places beyond the images
            ranked for a query (beyond k under "top-k") repeat its last value.
        k: of "top-k" alone, which needs it: places of each list, 1..G.
        relevant: of "top-k" alone: AP divides by the hits "found" in the list, or by "all" images
            of the person in the gallery; INP is then 0 unless the list holds all of them.
        repeats: of "single-gallery-shot": galleries drawn for each query, CMC is their mean. Its
            AP and INP are those of the whole gallery.
        seed: of these draws.

    Returns:
        Scores. O(Q G H) time for few images H per person, O(Q G log G) for many; on the CPU except
        for the distances, which are computed where the features are. Memory beyond the inputs: two
        blocks of distances (8 MiB each) and, without `distance`, a normalised copy of the features.

    Raises:
        ValueError: an unknown protocol or form, a setting that the protocol does not have or
            needs, or that is no whole number, shapes or devices that disagree, a NaN distance, an
            empty gallery or no queries, or no query with a match.

    Source: Zheng et al. 2015, "Scalable Person Re-identification: A Benchmark" (ICCV), protocol
    "market" and the trapezoid form; Ye et al. 2021, "Deep Learning for Person Re-identification: A
    Survey and Outlook" (arXiv:2001.04193), mINP; Li et al. 2014, "DeepReID" (CVPR), single shots;
    "top-k" with k=10 is how the published notebook of Sharma et al. 2021, "Person
    Re-Identification with a Locally Aware Transformer" (arXiv:2106.03720), arrives at its figures.
    The plain form is the one most papers report. Differs from common implementations in: ties, and
    the padding of the curve for small galleries.
    """
    rule = Rule(protocol, k, relevant, repeats, seed)
    check_sides(query, gallery, ap, ranks)
    rule.check_size(len(gallery))
    (measured,) = measure(query, gallery, distance, [rule])
    if not has_valid(measured):
        raise ValueError(no_match(query, gallery, protocol))
    return to_scores(rule, measured, ap, min(ranks, len(gallery)), source_of(query, gallery))


def check_sides(query: Embeddings, gallery: Embeddings, ap: str, ranks: int) -> None:
    """Raise unless there is something to rank, and a curve of at least one entry to fill."""
    for name, side in (("query", query), ("gallery", gallery)):
        if not isinstance(side, Embeddings):
            raise ValueError(
                f"expected {name} to be Embeddings, got {type(side).__name__}; `embed` makes them, "
                "and expand_query gives a pair of them: evaluate(*pair)"
            )
    check_choice("ap", ap, AP_FORMS)
    check_whole("ranks", ranks, 1)
    if not len(gallery):
        raise ValueError(f"expected gallery images, got none for {len(query)} queries")
    if not len(query):
        raise ValueError(f"expected queries, got none for {len(gallery)} gallery images")


def has_valid(measured: dict[str, Floats]) -> bool:
    """Whether any query counts."""
    return not np.isnan(measured["plain"]).all()


def to_scores(
    rule: Rule, measured: dict[str, Floats], ap: str, length: int, source: str, detail: str = ""
) -> Scores:
    """The record of one rule and one form of AP, with a curve of `length`, from `measure`."""
    valid = ~np.isnan(measured["plain"])
    first = measured["first"][valid]  # (valid, R), NaN and places beyond the curve never count
    early = first[first < length].astype(np.int64)
    curve = np.bincount(early, minlength=length).cumsum() / first.size
    top, draws = rule.protocol == "top-k", rule.protocol == "single-gallery-shot"
    return Scores(
        cmc=curve,
        mean_ap=float(measured[ap][valid].mean()),
        mean_inp=float(measured["inp"][valid].mean()),
        num_valid_queries=int(valid.sum()),
        per_query=PerQuery(measured[ap], measured["inp"]),
        protocol=rule.protocol,
        source=source,
        ap=ap,
        k=rule.k,
        relevant=rule.relevant if top else None,
        repeats=rule.repeats if draws else None,
        seed=rule.seed if draws else None,
        detail=detail,
    )


def source_of(query: Embeddings, gallery: Embeddings) -> str:
    """The data of both sides, named once if they are the same."""
    return " / ".join(dict.fromkeys(name for name in (query.source, gallery.source) if name))


def no_match(query: Embeddings, gallery: Embeddings, protocol: str) -> str:
    """Why no query has a match, in words."""
    labels = Labels.of(query, gallery)
    present = np.isin(labels.query_pids, labels.pids)
    text = f"expected queries with a match in the gallery, found none: of {len(query)} queries, "
    if protocol != "no-camera-filter":
        text += f"{int(present.sum())} have their person only under their own camera, and "
    text += (
        f"{int((~present).sum())} have no image of their person among {len(gallery)} gallery "
        "images; check pids and camids of both sides"
    )
    if protocol == "no-camera-filter":
        return text
    return text + (
        f" (protocol {protocol!r} removes images of the same person and camera, so one camera id "
        "for all removes every match)"
    )
