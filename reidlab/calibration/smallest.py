"""The smallest distances between different people, exactly, without holding all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidlab.calibration.pairs import Distances, Integers, Labels, pair_blocks
from reidlab.embedding import Embeddings

SLACK = 2**20  # pairs that may pile up before the larger ones are thrown away


@dataclass(frozen=True)
class Nearest:
    """The pairs of different people that lie closest, and all pairs of one person.

    Args:
        distance: (m,) rising.
        query: (m,) position of each pair's query.
        image: (m,) position of its gallery image.
        same: (S,) distances of the pairs of one person, in no order.
        owner: (S,) position of the query of each of these.
    """

    distance: Distances
    query: Integers
    image: Integers
    same: Distances
    owner: Integers


def nearest_different(
    query: Embeddings, gallery: Embeddings, labels: Labels, count: int
) -> Nearest:
    """The `count` smallest distances of different people, in one pass over the distances.

    Holds at most 2 x `count` pairs and one block, at 20 bytes a pair: what lies beyond the
    `count`-th found so far is left out at once.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        labels: `Labels(query, gallery)`.
        count: how many, at most the pairs of different people.
    """
    pile: list[tuple[Distances, Integers, Integers]] = []
    piled, bound = 0, np.inf
    same, owner = [], []
    for block in pair_blocks(query, gallery, labels):
        line, column = np.nonzero(block.different < bound)  # infinite: not of different people
        pile.append((block.different[line, column], block.rows[line], column))
        piled += len(line)
        same.append(block.same)
        owner.append(block.owner)
        if piled > 2 * count + SLACK:
            pile = [_closest(pile, count)]
            piled, bound = count, pile[0][0].max()
    distance, queries, images = _closest(pile, count)
    order = distance.argsort(kind="stable")
    return Nearest(
        distance[order],
        queries[order],
        images[order],
        np.concatenate(same),
        np.concatenate(owner),
    )


def _closest(
    pile: list[tuple[Distances, Integers, Integers]], count: int
) -> tuple[Distances, Integers, Integers]:
    """The `count` closest of the piled pairs, in no order; all if there are no more."""
    distance, query, image = (np.concatenate(parts) for parts in zip(*pile, strict=True))
    if len(distance) <= count:
        return distance, query, image
    kept = distance.argpartition(count - 1)[:count]
    return distance[kept], query[kept], image[kept]
