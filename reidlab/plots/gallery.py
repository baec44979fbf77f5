"""A ranking to look at: each query and its nearest gallery images.

Shapes: Q queries, K places of the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.typing import LineStyleType

from reidlab.data.samples import JUNK
from reidlab.embedding import Embeddings
from reidlab.plots.page import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    WIDTH,
    PageFigure,
    Pixels,
    image_size,
    name_person,
    new_page,
    read_pixels,
    styled,
)
from reidlab.ranking import Ranking

CAMERA_FILTER = {  # protocol -> does it remove the query's person in the query's camera?
    "market": True,
    "single-gallery-shot": True,
    "no-camera-filter": False,
    "top-k": False,
}
PIXELS_HIGH = 256  # every crop is resized to this height, sharp enough for its place on the page
HEAD, FOOT = 0.27, 0.46  # inches above and below each image, for its two captions


@dataclass(frozen=True)
class Frame:
    """How an image is framed: colour, dashes and a mark, so that colour is not the only cue."""

    color: str
    dashes: LineStyleType
    width: float
    mark: str


RIGHT = Frame(BLUE, "solid", 4.0, "✓")
WRONG = Frame(VERMILLION, (0.0, (1.6, 0.9)), 4.0, "✗")
IGNORED = Frame(GREY, (0.0, (1.0, 1.5)), 1.5, "–")
QUERY = Frame(BLACK, "solid", 1.0, "")


@styled
def gallery_strip(
    ranking: Ranking,
    *,
    queries: Sequence[int] = (0, 1, 2),
    k: int = 8,
    protocol: str = "market",
    title: str = "",
) -> Figure:
    """One row per query: its image, then its k nearest gallery images, nearest first.

    A solid blue frame and a tick mark the right person, a dashed vermillion one and a cross anybody
    else. What the protocol ignores is greyed out and takes no place in the numbering, as in the
    score. Under each image: its camera and its distance to the query.

    Args:
        ranking: from `rank`; its embeddings know the image files.
        queries: rows to show, positions in the ranking; those it does not have are an error.
        k: gallery images per row; a shorter ranking shows all it has.
        protocol: "market" and "single-gallery-shot" ignore the query's person in the query's
            camera, "no-camera-filter" and "top-k" do not. All ignore junk (person id -1).
        title: shown above.

    Raises:
        ValueError: no image paths, an unknown protocol, a query outside the ranking, or k < 1.
    """
    _check(ranking, queries, k, protocol)
    k = min(k, ranking.order.shape[1])
    height, width = image_size(ranking.query.paths[queries[0]])
    cell = WIDTH / (k + 1.35)  # inches; 0.35 of a cell sets the query apart
    image_width = 0.86 * cell
    image_height = min(image_width * height / width, 3.0)
    row_height = HEAD + image_height + FOOT
    top = 0.4 if title else 0.05
    page = new_page(top + row_height * len(queries) + 0.3, sharpness=1.25)
    page.suptitle(title, x=0.01, y=1 - 0.08 / page.get_figheight(), ha="left", va="top")
    size = (PIXELS_HIGH, round(PIXELS_HIGH * image_width / image_height))
    for row, q in enumerate(queries):
        bottom = page.get_figheight() - top - row * row_height - HEAD - image_height
        for column in range(k + 1):
            left = cell * (column + (0.35 if column else 0.0) + 0.07)
            axes = _place(page, left, bottom, image_width, image_height)
            axes.set_gid(f"row {row} column {column}")
        _fill_row(page.axes[-k - 1 :], ranking, q, CAMERA_FILTER[protocol], size)
    _explain(page, CAMERA_FILTER[protocol])
    return page


def _check(ranking: Ranking, queries: Sequence[int], k: int, protocol: str) -> None:
    if protocol not in CAMERA_FILTER:
        raise ValueError(f"protocol must be one of {', '.join(CAMERA_FILTER)}, got {protocol!r}")
    if k < 1:
        raise ValueError(f"expected at least one gallery image per row, got k={k}")
    if not len(queries):
        raise ValueError("expected at least one query to show, got none")
    for q in queries:
        if not 0 <= q < len(ranking):
            raise ValueError(f"expected queries from 0 to {len(ranking) - 1}, got {q}")
    for side, embeddings in (("query", ranking.query), ("gallery", ranking.gallery)):
        if not embeddings.paths:
            raise ValueError(
                f"the {side} embeddings know no image files; embed a list of samples, or give "
                "Embeddings(..., paths=[...]), one path per row"
            )


def _place(page: PageFigure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without ticks at a place given in inches."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    return axes


def _fill_row(
    cells: Sequence[Axes], ranking: Ranking, q: int, camera_filter: bool, size: tuple[int, int]
) -> None:
    """Draw query `q` and its hits into the axes of one row."""
    query, gallery = ranking.query, ranking.gallery
    pid, camid = int(query.pids[q]), int(query.camids[q])
    caption = f"{name_person(pid)}\ncam {camid}"
    _show(cells[0], read_pixels(query.paths[q], size), QUERY, "query", caption)
    place = 0
    for axes, g, distance in zip(
        cells[1:], ranking.order[q].tolist(), ranking.distance[q].tolist(), strict=False
    ):
        reason = _why_ignored(gallery, g, pid, camid, camera_filter)
        frame = IGNORED if reason else RIGHT if int(gallery.pids[g]) == pid else WRONG
        place += not reason
        caption = f"cam {int(gallery.camids[g])}\nd = {distance:.3f}"
        head = f"{frame.mark} {reason or place}"
        _show(axes, read_pixels(gallery.paths[g], size), frame, head, caption)


def _why_ignored(gallery: Embeddings, g: int, pid: int, camid: int, camera_filter: bool) -> str:
    """Why the protocol ignores gallery image `g`, in a word or two; empty when it counts."""
    if int(gallery.pids[g]) == JUNK:
        return "junk"
    same = int(gallery.pids[g]) == pid and int(gallery.camids[g]) == camid
    return "same cam" if camera_filter and same else ""


def _show(axes: Axes, pixels: Pixels, frame: Frame, head: str, caption: str) -> None:
    """One framed image with a word above and two short lines below."""
    if frame is IGNORED:
        grey = pixels.mean(axis=2, keepdims=True)  # (H, W, 1)
        pixels = np.broadcast_to(0.35 * grey + 0.65 * 255, pixels.shape).astype(np.uint8)
    axes.imshow(pixels, aspect="auto", interpolation="bicubic")
    for spine in axes.spines.values():
        spine.set(visible=True, color=frame.color, linewidth=frame.width)
        spine.set_linestyle(frame.dashes)
        spine.set_capstyle("butt")  # square ends would close the gaps
    color = BLACK if frame is QUERY else frame.color
    weight = "normal" if frame is IGNORED else "bold"
    size = 9 if frame is IGNORED else 10.5
    axes.set_title(head, color=color, fontsize=size, fontweight=weight, loc="center", pad=5)
    axes.set_xlabel(
        caption, color=GREY if frame is IGNORED else BLACK, fontsize=9, labelpad=5, linespacing=1.15
    )


def _explain(page: PageFigure, camera_filter: bool) -> None:
    """The line at the foot: what frames and marks mean."""
    ignored = "junk, or same person in the query's camera" if camera_filter else "junk"
    meanings = (
        (RIGHT, "same person"),
        (WRONG, "another person"),
        (IGNORED, f"ignored by the protocol ({ignored})"),
    )
    handles = [
        Patch(fill=False, edgecolor=f.color, ls=f.dashes, lw=f.width / 2, label=f"{f.mark} {text}")
        for f, text in meanings
    ]
    page.legend(
        handles=handles,
        labelcolor=[frame.color for frame, _ in meanings],
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=3,
        handlelength=1.4,
    )
