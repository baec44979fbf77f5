"""At which places of a ranking the images of the query's person stand, without sorting it.

Shapes: Q queries, G gallery images, K of them kept (all but junk), J junk, S of one person.
A place counts from 0. Everything here is numpy on the CPU, wherever the features are: the places
are found by counting rows of distances that fit into the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reidlab.embedding import Embeddings

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SORTED_FROM = 128  # images of one person from which sorting a row beats counting


@dataclass(frozen=True, eq=False)
class Labels:
    """Persons and cameras of both sides, with the gallery grouped by person.

    "Position" means a place among the kept images, which are those that are not junk.

    Args:
        query_pids: (Q,) persons of the queries.
        query_camids: (Q,) their cameras.
        gallery_pids: (G,) persons of the gallery, -1 being junk.
        gallery_camids: (G,) their cameras.
    """

    query_pids: Integers
    query_camids: Integers
    gallery_pids: Integers
    gallery_camids: Integers

    @classmethod
    def of(cls, query: Embeddings, gallery: Embeddings) -> Labels:
        """Labels from any device, as arrays on the CPU."""
        tensors = (query.pids, query.camids, gallery.pids, gallery.camids)
        return cls(*map(_numpy, tensors))

    @cached_property
    def kept(self) -> Integers:
        """(K,) columns of the gallery that are not junk, rising."""
        return np.flatnonzero(self.gallery_pids != -1)

    @cached_property
    def junk(self) -> Integers:
        """(J,) columns of the gallery that are junk, rising."""
        return np.flatnonzero(self.gallery_pids == -1)

    @cached_property
    def pids(self) -> Integers:
        """(K,) persons of the kept images."""
        return self.gallery_pids[self.kept]

    @cached_property
    def camids(self) -> Integers:
        """(K,) cameras of the kept images."""
        return self.gallery_camids[self.kept]

    @cached_property
    def by_person(self) -> Integers:
        """(K,) positions, one person after the other, in gallery order within a person."""
        return self.pids.argsort(kind="stable")

    @cached_property
    def bounds(self) -> tuple[Integers, Integers]:
        """(Q,) first and (Q,) end of each query's person within `by_person`."""
        grouped = self.pids[self.by_person]
        start, stop = (grouped.searchsorted(self.query_pids, side) for side in ("left", "right"))
        return start, stop

    def same(self, q: int) -> Integers:
        """(S,) positions of the person of query q, rising."""
        starts, stops = self.bounds
        return self.by_person[starts[q] : stops[q]]

    def under_own_camera(self, q: int, positions: Integers) -> Mask:
        """True for those positions that show what the camera of query q saw."""
        return self.camids[positions] == self.query_camids[q]

    def keep(self, row: NDArray[Any]) -> NDArray[Any]:
        """(K,) distances of the kept images, from (G,) of all; the same array without junk."""
        return row[self.kept] if len(self.junk) else row


@dataclass(frozen=True, eq=False)
class Hits:
    """Where the images of one query's person stand in its ranking, nearest first.

    Args:
        places: (S,) places among the kept images, rising.
        own_camera: (S,) true for images of the query's camera.
        beyond_junk: (S,) places among all images, for those below `reach`; others may be too low,
            but not below it.
    """

    places: Integers
    own_camera: Mask
    beyond_junk: Integers

    def other_cameras(self) -> Integers:
        """Places once the images of the person under the query's own camera are gone, rising."""
        gone = self.own_camera
        return (self.places - gone.cumsum())[~gone]  # each one gone ahead is one place less


def find_hits(row: NDArray[Any], kept: NDArray[Any], q: int, labels: Labels, reach: int) -> Hits:
    """The hits of query q.

    Args:
        row: (G,) distances.
        kept: (K,) those of the kept images.
        q: number of the query.
        labels: of both sides.
        reach: below how many places, junk counted, `beyond_junk` must be exact.
    """
    same = labels.same(q)
    places = places_of(kept, same)
    order = places.argsort()
    same, places = same[order], places[order]
    beyond = places
    if reach and len(labels.junk):
        near = places.searchsorted(reach)  # places only grow when junk is counted too
        columns = labels.kept[same[:near]]
        cuts = labels.junk.searchsorted(columns)
        beyond = places.copy()
        beyond[:near] += entries_ahead(row[labels.junk], row[columns], cuts)
    return Hits(places, labels.under_own_camera(q, same), beyond)


def places_of(row: NDArray[Any], columns: Integers) -> Integers:
    """Places of some columns in the stable ascending order of a row, from 0."""
    return entries_ahead(row, row[columns], columns)


def entries_ahead(row: NDArray[Any], values: NDArray[Any], cuts: Integers) -> Integers:
    """How many entries of a row come before each value: smaller ones, and equal ones left of it.

    Counting beats sorting the row until there are very many values.

    Args:
        row: (N,) distances.
        values: (S,) distances that may or may not be of this row.
        cuts: (S,) column from which on an equal entry comes after the value, 0..N.
    """
    if len(values) > SORTED_FROM:
        return _ahead_by_sorting(row, values, cuts)
    ahead = np.empty(len(row), np.bool_)
    count = np.empty(len(values), np.int64)
    for i, (value, cut) in enumerate(zip(values, cuts.tolist(), strict=True)):
        np.less_equal(row[:cut], value, out=ahead[:cut])
        np.less(row[cut:], value, out=ahead[cut:])
        count[i] = np.count_nonzero(ahead)
    return count


def _ahead_by_sorting(row: NDArray[Any], values: NDArray[Any], cuts: Integers) -> Integers:
    """`entries_ahead` for many values."""
    order = row.argsort(kind="stable")
    ranked = row[order]
    first, end = (ranked.searchsorted(values, side) for side in ("left", "right"))
    level = zip(first.tolist(), end.tolist(), cuts.tolist(), strict=True)
    # equal entries stand in column order, so those left of the cut come first among them
    return first + np.array([order[a:b].searchsorted(cut) for a, b, cut in level], np.int64)


def _numpy(labels: Tensor) -> Integers:
    """Labels as a numpy array, from any device."""
    return labels.cpu().numpy()
