"""The queries that failed, to look at: each with its nearest images and its average precision."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from reidlab.calibration import Failures
from reidlab.embedding import Embeddings
from reidlab.plots.gallery import gallery_strip
from reidlab.plots.page import styled
from reidlab.ranking import rank


@styled
def failure_strip(
    failures: Failures,
    query: Embeddings,
    gallery: Embeddings,
    *,
    distance: Any = None,
    k: int = 8,
    title: str = "",
) -> Figure:
    """One row per failure as in `gallery_strip`, the average precision above each query.

    Below the query: its camera, and the place of the nearest image that would have been right.

    Args:
        failures: from `worst_queries`.
        query: the Q queries it was given.
        gallery: the G gallery images it was given.
        distance: the (Q, G) distances it was given, if any.
        k: gallery images per row; a smaller gallery shows all it has.
        title: shown above.

    Raises:
        ValueError: no failures, no image paths, or failures of other embeddings.
    """
    if not failures:
        raise ValueError("expected failures to show, got none")
    if max(failures.queries) >= len(query):
        raise ValueError(
            f"expected failures of these {len(query)} queries, got query {max(failures.queries)}"
        )
    for failure in failures:
        if failure.match >= len(gallery) or int(gallery.pids[failure.match]) != int(
            query.pids[failure.query]
        ):
            raise ValueError(
                "expected the query and the gallery of worst_queries, in this order: the match of "
                f"query {failure.query} is another person here"
            )
    if k < 1:
        raise ValueError(f"expected at least one gallery image per row, got k={k}")
    # Ignored images take no place but stand in the row.
    part = None if distance is None else distance[failures.queries]
    ranking = rank(query[failures.queries], gallery, min(k, len(gallery)), distance=part)
    page = gallery_strip(ranking, queries=range(len(failures)), k=k, title=title)
    cells = {axes.get_gid(): axes for axes in page.axes}
    for row, failure in enumerate(failures):
        axes = cells[f"row {row} column 0"]
        axes.set_title(f"AP {failure.ap:.1%}", loc="center", fontsize=10.5, pad=5)
        camera = int(query.camids[failure.query])
        below = f"cam {camera}\nmatch at {failure.match_place:,}"
        axes.set_xlabel(below, fontsize=9, labelpad=5, linespacing=1.15)
    return page
