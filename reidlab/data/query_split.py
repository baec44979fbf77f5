"""Queries and a gallery from images of the same people, for datasets that name neither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reidlab.data.samples import DISTRACTOR, Sample, Samples, cameras_of, views_of


def split_queries(
    samples: Sequence[Sample], share: float = 0.1, *, seed: int = 0
) -> tuple[Samples, Samples]:
    """(query, gallery): of every person a share of the images asks, the others are searched.

    A person gives max(1, round(share x images)) queries and keeps one image in the gallery at
    least; whoever has a single image, distractors and junk are in the gallery alone. Cameras play
    no part, so a query may have its match next to it in time: score such a split with protocol
    "top-k" or "no-camera-filter" and do not compare it with the usual one of a benchmark.

    Args:
        samples: images of people, in any order; both parts keep it.
        share: of a person's images that ask, above 0 and below 1.
        seed: decides which. A person's queries depend neither on the order of the list nor on who
            else is in it, but on the paths of the files.

    Raises:
        ValueError: a share outside (0, 1), or nobody with two images.

    Source: a course report on Market-1501 (Barattin and Da Rold, University of Trento), which names
    the ratio 0.1. That it is taken within each person is our reading: people divided among queries
    and gallery would leave every query without a match.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, got {share}")
    positions: dict[int, list[int]] = {}
    for i, sample in enumerate(samples):
        if sample.pid > DISTRACTOR:
            positions.setdefault(sample.pid, []).append(i)
    asking: set[int] = set()
    for pid, own in positions.items():
        own.sort(key=lambda i: samples[i].path)
        count = min(max(1, round(share * len(own))), len(own) - 1)
        drawn = np.random.default_rng((seed, pid)).permutation(len(own))[:count]
        asking.update(own[i] for i in drawn)
    if not asking:
        raise ValueError(
            f"expected people with two images or more, got {len(positions)} people in "
            f"{len(samples)} images: no query would have a match"
        )
    parts = ([s for i, s in enumerate(samples) if (i in asking) == asks] for asks in (True, False))
    remembered = cameras_of(samples), getattr(samples, "source", ""), views_of(samples)
    query, gallery = (Samples(part, *remembered) for part in parts)
    return query, gallery
