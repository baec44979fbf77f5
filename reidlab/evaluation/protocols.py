"""The rules of each protocol, and one pass over the distances that serves several of them.

Shapes: Q queries, G gallery images, B queries of one block, R repeats.
A hit is a gallery image of the query's person that the protocol keeps; its place counts from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlab.embedding import Embeddings
from reidlab.evaluation.checks import check_whole
from reidlab.evaluation.hits import Hits, Integers, Labels, find_hits
from reidlab.evaluation.record import Floats
from reidlab.evaluation.shots import SingleShots
from reidlab.ranking import distance_blocks

PROTOCOLS = ("market", "no-camera-filter", "top-k", "single-gallery-shot")
AP_FORMS = ("plain", "trapezoid")
RELEVANT = ("found", "all")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless `value` is one of the choices."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"expected {name} to be one of {listed}, got {value!r}")


@dataclass(frozen=True)
class Rule:
    """A protocol and its settings.

    Args:
        protocol: one of `PROTOCOLS`.
        k: length of the lists of "top-k", None for the other protocols.
        relevant: what the AP of "top-k" divides by.
        repeats: draws of "single-gallery-shot", at least 1; unused elsewhere like `seed`.
        seed: of these draws, at least 0.

    Raises:
        ValueError: an unknown choice, a setting that the protocol does not have or needs, or one
            that is no whole number or too small.
    """

    protocol: str = "market"
    k: int | None = None
    relevant: str = "found"
    repeats: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings, once."""
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_choice("relevant", self.relevant, RELEVANT)
        if self.protocol == "top-k" and self.k is None:
            raise ValueError(
                "protocol 'top-k' needs k, the length of the lists; LA-Transformer's figures have "
                "k=10"
            )
        if self.protocol != "top-k" and (self.k is not None or self.relevant != "found"):
            given = f"k={self.k}" if self.k is not None else f"relevant={self.relevant!r}"
            raise ValueError(
                f"{given} belongs to protocol 'top-k', got protocol {self.protocol!r}; leave it "
                "out or choose that protocol (ranks= sets the length of the CMC curve)"
            )
        if self.k is not None:
            check_whole("k", self.k)  # its range is that of the gallery: check_size
        check_whole("repeats", self.repeats, 1)
        check_whole("seed", self.seed, 0)

    def check_size(self, gallery: int) -> None:
        """Raise unless the lists fit into a gallery of this size."""
        if self.k is not None and self.k not in range(1, gallery + 1):
            raise ValueError(
                f"expected k from 1 to {gallery}, the size of the gallery, got {self.k}"
            )


def measure(
    query: Embeddings, gallery: Embeddings, distance: Any = None, rules: Sequence[Rule] = (Rule(),)
) -> list[dict[str, Floats]]:
    """One pass over the distances gives every per-query score under every rule.

    Blocks of distances come to the CPU, wherever the features are, and are counted there in numpy.

    Returns:
        Per rule: "plain", "trapezoid" and "inp", (Q,) float64 with NaN for an invalid query, and
        "first", the place of the first hit from 0, (Q, R) with NaN where there is none (R = 1
        unless the protocol draws).
    """
    labels = Labels.of(query, gallery)
    reach = max((rule.k or 0 for rule in rules), default=0)
    shots = {
        rule: SingleShots(labels, rule.repeats, rule.seed)
        for rule in rules
        if rule.protocol == "single-gallery-shot"
    }
    blocks: list[list[dict[str, Floats]]] = [[] for _ in rules]
    for rows, block in distance_blocks(query, gallery, distance):
        hits, drawn = [], {rule: [] for rule in shots}
        for q, row in enumerate(block.cpu().numpy(), start=rows.start):
            kept = labels.keep(row)
            hits.append(find_hits(row, kept, q, labels, reach))
            for rule, places in drawn.items():
                places.append(shots[rule].places(q, kept))
        for rule, results in zip(rules, blocks, strict=True):
            scores = apply(rule, hits)
            results.append(scores | {"first": np.array(drawn[rule])} if rule in drawn else scores)
    return [_joined(results) for results in blocks]


def apply(rule: Rule, hits: Sequence[Hits]) -> dict[str, Floats]:
    """The per-query scores of B queries under a rule, as `measure` returns them."""
    if rule.k is not None:
        listed = [hit.beyond_junk[hit.beyond_junk < rule.k] for hit in hits]
        counted = listed if rule.relevant == "found" else [hit.places for hit in hits]
        scores = summarise(listed, np.array([len(places) for places in counted]))
        zero = {name: np.nan_to_num(scores[name]) for name in (*AP_FORMS, "inp")}
        return scores | zero  # every query counts: what it does not find scores 0
    other = rule.protocol != "no-camera-filter"
    places = [hit.other_cameras() if other else hit.places for hit in hits]
    return summarise(places, np.array([len(of_query) for of_query in places]))


def summarise(hits: Sequence[Integers], relevant: NDArray[np.int64]) -> dict[str, Floats]:
    """The per-query scores of B queries from the places of their hits, by the equations.

    Args:
        hits: per query the places that count, rising.
        relevant: (B,) what AP divides by: the images that there are to be found. Where it is 0,
            AP and INP are NaN; INP also where not all of them are found.
    """
    counts = np.array([len(places) for places in hits])  # (B,)
    place = np.concatenate(hits)  # all hits in a row, query after query
    owner = np.repeat(np.arange(len(hits)), counts)
    end = counts.cumsum()
    index = np.arange(len(place)) - (end - counts)[owner]  # i, from 0 in each query
    at = (index + 1) / (place + 1)  # precision at the hit
    before = np.where(place > 0, index / np.maximum(place, 1), 1.0)  # and just before it
    there, found = relevant > 0, counts > 0
    scores = {name: np.full(len(hits), np.nan) for name in (*AP_FORMS, "inp")}
    for form, terms in (("plain", at), ("trapezoid", (at + before) / 2)):
        total = np.bincount(owner, weights=terms, minlength=len(hits))
        scores[form][there] = total[there] / relevant[there]
    complete = there & (counts == relevant)
    scores["inp"][complete] = at[end[complete] - 1]  # all H found by the last hit: H / (r + 1)
    first = np.full((len(hits), 1), np.nan)
    first[found, 0] = place[(end - counts)[found]]
    return scores | {"first": first}


def _joined(blocks: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
