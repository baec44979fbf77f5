"""Between which two cameras does the search fail?

Shapes: A query cameras, C gallery cameras, H hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlab.calibration.pairs import Distances, Floats, Integers, as_numpy
from reidlab.calibration.tables import aligned
from reidlab.data.samples import JUNK
from reidlab.embedding import Embeddings
from reidlab.ranking import distance_blocks


@dataclass(frozen=True, eq=False, repr=False)
class CameraPairs:
    """Scores per pair of cameras; `print(pairs)` shows a table.

    Args:
        query_cameras: (A,) ids, rising: rows.
        gallery_cameras: (C,) ids, rising: columns.
        mean_ap: (A, C) mean average precision in [0, 1], NaN where no query is valid.
        rank1: (A, C) share of valid queries whose nearest kept image is right, NaN likewise.
        queries: (A, C) valid queries.
        source: the data.
    """

    query_cameras: Integers
    gallery_cameras: Integers
    mean_ap: Floats
    rank1: Floats
    queries: Integers
    source: str = ""

    def __post_init__(self) -> None:
        """Check shapes, once."""
        shape = len(self.query_cameras), len(self.gallery_cameras)
        shapes = self.mean_ap.shape, self.rank1.shape, self.queries.shape
        if shapes != (shape, shape, shape):
            raise ValueError(f"expected three tables of shape {shape}, got {shapes}")

    @property
    def worst(self) -> tuple[int, int]:
        """Query camera and gallery camera of the lowest mAP; the first of equals."""
        row, column = np.unravel_index(np.nanargmin(self.mean_ap), self.mean_ap.shape)
        return int(self.query_cameras[row]), int(self.gallery_cameras[column])

    def __repr__(self) -> str:
        """One short line that names the worst pair."""
        return (
            f"CameraPairs({len(self.query_cameras)} x {len(self.gallery_cameras)} cameras, "
            f"{self._worst()})"
        )

    def __str__(self) -> str:
        """Scores in percent and numbers of valid queries, a row per query camera, a table each."""
        tables = [f"mAP / rank-1 in %{', ' + self.source if self.source else ''}"]
        shares = zip(self.mean_ap, self.rank1, strict=True)
        scores = [
            [
                f"{100 * a:.1f} / {100 * r:.1f}" if a == a else "-"
                for a, r in zip(*pair, strict=True)
            ]
            for pair in shares
        ]
        counts = [[f"{n:,}" if n else "-" for n in row] for row in self.queries.tolist()]
        for name, cells in (("query camera", scores), ("valid queries", counts)):
            rows = [(name, *(f"to {camera}" for camera in self.gallery_cameras))]
            rows += [
                (str(camera), *row) for camera, row in zip(self.query_cameras, cells, strict=True)
            ]
            tables.append(aligned(rows))
        return "\n".join([*tables, self._worst()])

    def _worst(self) -> str:
        """The worst pair in words."""
        row, column = np.unravel_index(np.nanargmin(self.mean_ap), self.mean_ap.shape)
        return (
            f"worst: camera {self.query_cameras[row]} to {self.gallery_cameras[column]}, "
            f"mAP {self.mean_ap[row, column]:.1%} of {self.queries[row, column]:,} queries"
        )


def camera_pairs(query: Embeddings, gallery: Embeddings, *, distance: Any = None) -> CameraPairs:
    """mAP, rank-1 and number of valid queries per (query camera, gallery camera).

    For a pair only the gallery images of that camera are ranked, with the rules of the market
    protocol otherwise; its diagonal is empty, because a person's images in the query's own camera
    are removed. One pass over the distances, in blocks of queries.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        distance: (Q, G) to rank by; by default the squared Euclidean distance of the unit features.

    Raises:
        ValueError: no query has a match in another camera, or features or `distance` do not fit.
    """
    kept = np.flatnonzero(as_numpy(gallery.pids) != JUNK)
    pids, cameras = as_numpy(gallery.pids)[kept], as_numpy(gallery.camids)[kept]
    gallery_cameras = np.unique(cameras)
    query_cameras, row_of = np.unique(as_numpy(query.camids), return_inverse=True)
    columns = [kept[cameras == camera] for camera in gallery_cameras]
    members = [_by_person(pids[cameras == camera]) for camera in gallery_cameras]
    sums = np.zeros((3, len(query_cameras), len(gallery_cameras)))  # AP, rank-1, queries
    query_pids = as_numpy(query.pids)
    blocks = distance_blocks(query, gallery, distance) if len(kept) and len(query) else ()
    for rows, block in blocks:
        values: Distances = block.cpu().numpy()
        for column, (places, people) in enumerate(zip(columns, members, strict=True)):
            part = values[:, places]  # (B, images of this camera)
            for q in range(rows.start, rows.stop):
                row = row_of[q]
                same = people.get(int(query_pids[q]))
                if same is None or query_cameras[row] == gallery_cameras[column]:
                    continue
                ap, first = _score(part[q - rows.start], same)
                sums[:, row, column] += ap, first, 1
    counts = sums[2].astype(np.int64)
    if not counts.any():
        raise ValueError(
            f"expected queries with a match in another camera, got none among {len(query)} queries "
            f"and {len(gallery)} gallery images; check pids and camids of both sides"
        )
    with np.errstate(invalid="ignore"):
        mean_ap, rank1 = sums[0] / counts, sums[1] / counts
    sources = dict.fromkeys(name for name in (query.source, gallery.source) if name)
    return CameraPairs(query_cameras, gallery_cameras, mean_ap, rank1, counts, " / ".join(sources))


def _by_person(pids: Integers) -> dict[int, Integers]:
    """Person -> rising positions of the person's images."""
    order = pids.argsort(kind="stable")
    people, starts = np.unique(pids[order], return_index=True)
    return dict(zip(people.tolist(), np.split(order, starts[1:]), strict=True))


def _score(row: Distances, same: Integers) -> tuple[float, bool]:
    """Average precision and rank-1 of one query, of whose images `same` are right.

    A place is the number of images ahead: the smaller ones, and the equal ones to the left.
    """
    mine = row[same]  # (H,)
    ahead = (row[None, :] < mine[:, None]).sum(axis=1)
    level = row[None, :] == mine[:, None]  # (H, images)
    ahead += (level & (np.arange(len(row)) < same[:, None])).sum(axis=1)
    places = np.sort(ahead)
    return float((np.arange(1, len(places) + 1) / (places + 1)).mean()), bool(places[0] == 0)
