"""Which pairs of images count, and their distances, a block of queries at a time.

Shapes: Q queries, G gallery images, B queries of one block, P query people, C gallery groups.

The market protocol decides: junk (person -1) counts nowhere; a pair of one person counts when two
cameras took it; a pair of different people always counts, distractors (person 0) of the gallery
included. A query with person 0 or -1 counts nowhere, since nobody knows whom it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.samples import DISTRACTOR, JUNK
from reidlab.embedding import Embeddings
from reidlab.ranking import distance_blocks

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Distances = NDArray[np.floating]


@dataclass(frozen=True)
class PairBlock:
    """The pairs of some queries with the whole gallery.

    Args:
        rows: (B,) positions of the queries.
        different: (B, G) distances, infinite where the pair is not one of different people.
        same: (S,) distances of the pairs of one person.
        owner: (S,) position of the query of each of these.
    """

    rows: Integers
    different: Distances
    same: Distances
    owner: Integers


class Labels:
    """Who is who on both sides, as numbers from 0.

    Every person of the gallery is a group, and so is every single distractor: two of them may or
    may not be one person.

    Args:
        query: Q embeddings.
        gallery: G embeddings.

    Raises:
        ValueError: no query of a known person, or no gallery image that is not junk.
    """

    def __init__(self, query: Embeddings, gallery: Embeddings) -> None:
        pids, others = as_numpy(query.pids), as_numpy(gallery.pids)
        self.query_pids, self.query_cameras = pids, as_numpy(query.camids)
        self.gallery_pids, self.gallery_cameras = others, as_numpy(gallery.camids)
        self.known = np.flatnonzero(pids > DISTRACTOR)  # queries that count
        self.junk = np.flatnonzero(others == JUNK)
        if not len(self.known) or len(self.junk) == len(others):
            raise ValueError(
                f"expected queries of known people (ids above 0) and gallery images that are not "
                f"junk, got {len(self.known)} of {len(pids)} and "
                f"{len(others) - len(self.junk)} of {len(others)}; check the pids of both sides"
            )
        self.people, self.query_person = np.unique(pids[self.known], return_inverse=True)
        groups = np.where(others > DISTRACTOR, others, -1 - np.arange(len(others)))
        self.groups, self.gallery_group = np.unique(groups, return_inverse=True)  # (C,), (G,)
        counted = self.gallery_group[others != JUNK]
        self.group_sizes = np.bincount(counted, minlength=len(self.groups))  # (C,), junk has 0
        place = np.searchsorted(self.groups, self.people)
        place = np.minimum(place, len(self.groups) - 1)
        self.partner = np.where(self.groups[place] == self.people, place, -1)  # (P,), -1 absent

    def different_per_person(self) -> tuple[Integers, Integers]:
        """Pairs of different people per query person (P,) and per gallery group (C,)."""
        queries = np.bincount(self.query_person)
        own = np.where(self.partner >= 0, self.group_sizes[self.partner], 0)  # (P,)
        per_person = queries * (self.group_sizes.sum() - own)
        of_partner = np.zeros(len(self.groups), np.int64)
        np.add.at(of_partner, self.partner[self.partner >= 0], queries[self.partner >= 0])
        return per_person, self.group_sizes * (len(self.known) - of_partner)


def pair_blocks(query: Embeddings, gallery: Embeddings, labels: Labels) -> Iterator[PairBlock]:
    """The counting pairs of all queries, block by block; memory for two blocks of distances.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        labels: `Labels(query, gallery)`.

    Raises:
        ValueError: widths or devices of the features disagree.
    """
    by_person = labels.gallery_pids.argsort(kind="stable")
    rising = labels.gallery_pids[by_person]
    first, last = (rising.searchsorted(labels.query_pids, side) for side in ("left", "right"))
    for rows, block in distance_blocks(query, gallery):
        values: Distances = block.cpu().numpy()  # ours: a product of features, no view
        inside = labels.known[(labels.known >= rows.start) & (labels.known < rows.stop)]
        if not len(inside):
            continue
        if len(inside) < len(values):
            values = values[inside - rows.start]
        count = (last - first)[inside]
        line = np.repeat(np.arange(len(inside)), count)  # (S,) row of each pair of one person
        step = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
        column = by_person[np.repeat(first[inside], count) + step]
        kept = labels.gallery_cameras[column] != labels.query_cameras[inside[line]]
        same = values[line[kept], column[kept]]
        values[line, column] = np.inf
        values[:, labels.junk] = np.inf
        yield PairBlock(inside, values, same, inside[line[kept]])


def as_numpy(labels: Tensor) -> Integers:
    """Labels as a numpy array, from any device."""
    return labels.cpu().numpy()
