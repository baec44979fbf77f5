"""A ranking to look at: each query and its nearest gallery images.

Shapes: Q queries, K places of the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.typing import LineStyleType
from PIL import Image

from reidlab.data.images import read_image
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
from reidlab.ranking.index.crops import UNNAMED

CAMERA_FILTER = {  # protocol -> does it remove the query's person in the query's camera?
    "market": True,
    "single-gallery-shot": True,
    "no-camera-filter": False,
    "top-k": False,
}
PIXELS_HIGH = 256  # every crop is resized to this height, sharp enough for its place on the page
HEAD, FOOT = 0.27, 0.46  # inches above and below each image, for its two captions
LETTER = 0.085  # inches a letter of a caption takes, on average


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
NEUTRAL = Frame(GREY, "solid", 1.0, "")


@dataclass(frozen=True)
class Cell:
    """One image of a row: its file, its frame, a word above and two short lines below."""

    path: Any
    frame: Frame
    head: str
    caption: str


@styled
def gallery_strip(
    ranking: Ranking,
    *,
    queries: Sequence[int] | None = None,
    k: int = 8,
    protocol: str = "market",
    title: str = "",
    labelled: bool | None = None,
    captions: Sequence[Sequence[str]] | None = None,
) -> Figure:
    """One row per query: its image, then its k nearest gallery images, nearest first.

    A solid blue frame and a tick mark the right person, a dashed vermillion one and a cross anybody
    else. What the protocol ignores is greyed out and takes no place in the numbering, as in the
    score. Under each image: its camera and its distance to the query.

    Where nobody says who is who, all frames are alike, and every image has its place. Under it:
    its camera, or else the name of its file, and the cosine similarity of the features. Images
    keep their proportions.

    Args:
        ranking: from `rank`, `Index.search` or `search_images`; its embeddings know the image
            files.
        queries: rows to show, positions in the ranking; those it does not have are an error. None
            is the first three, or all of fewer.
        k: gallery images per row; a shorter ranking shows all it has.
        protocol: "market" and "single-gallery-shot" ignore the query's person in the query's
            camera, "no-camera-filter" and "top-k" do not. All ignore junk (person id -1).
        title: shown above.
        labelled: whether the person ids of query and gallery belong together. None is yes, unless
            somebody shown has the id -2 that `search_images` gives to unknown people. Say False
            for sets without labels, whose images are only numbered.
        captions: instead of those under the gallery images: for each row, a text of one or two
            short lines per image.

    Raises:
        ValueError: no image paths, an unknown protocol, a query outside the ranking, k < 1, or
            another number of captions than images.
    """
    queries = range(min(3, len(ranking))) if queries is None else queries
    _check(ranking, queries, k, protocol)
    k = min(k, ranking.order.shape[1])
    _check_captions(captions, len(queries), k)
    labelled = _all_named(ranking, queries, k) if labelled is None else labelled
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
            axes = place_axes(page, left, bottom, image_width, image_height)
            axes.set_gid(f"row {row} column {column}")
        shown = _neutral(ranking, q, int(cell / LETTER))
        if labelled:
            shown = _judged(ranking, q, CAMERA_FILTER[protocol])
        for column, (axes, image) in enumerate(zip(page.axes[-k - 1 :], shown, strict=False)):
            own = image.caption if captions is None or not column else captions[row][column - 1]
            pixels = (read_pixels if labelled else fit_pixels)(image.path, size)
            show_cell(axes, pixels, image.frame, image.head, own)
    if labelled:
        _explain(page, CAMERA_FILTER[protocol])
    elif captions is None:
        text = "cos: cosine similarity of the features, 1 for the same picture"
        page.text(0.01, 0.05 / page.get_figheight(), text, color=GREY, fontsize=9.5)
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


def place_axes(page: PageFigure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without ticks at a place given in inches."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    return axes


def _judged(ranking: Ranking, q: int, camera_filter: bool) -> list[Cell]:
    """Query `q` and its hits, right, wrong or ignored."""
    query, gallery = ranking.query, ranking.gallery
    pid, camid = int(query.pids[q]), int(query.camids[q])
    cells = [Cell(query.paths[q], QUERY, "query", f"{name_person(pid)}\ncam {camid}")]
    place = 0
    for g, distance in zip(ranking.order[q].tolist(), ranking.distance[q].tolist(), strict=True):
        reason = _why_ignored(gallery, g, pid, camid, camera_filter)
        frame = IGNORED if reason else RIGHT if int(gallery.pids[g]) == pid else WRONG
        place += not reason
        caption = f"cam {int(gallery.camids[g])}\nd = {distance:.3f}"
        cells.append(Cell(gallery.paths[g], frame, f"{frame.mark} {reason or place}", caption))
    return cells


def _neutral(ranking: Ranking, q: int, letters: int) -> list[Cell]:
    """Query `q` and its hits, without a word on who they show."""
    query, gallery = ranking.query, ranking.gallery
    cells = [Cell(query.paths[q], QUERY, "query", _whereabouts(query, q, letters))]
    hits = zip(ranking.order[q].tolist(), ranking.distance[q].tolist(), strict=True)
    for place, (g, distance) in enumerate(hits, start=1):
        caption = f"{_whereabouts(gallery, g, letters)}\ncos {1 - distance / 2:.3f}"
        cells.append(Cell(gallery.paths[g], NEUTRAL, str(place), caption))
    return cells


def _whereabouts(images: Embeddings, row: int, letters: int) -> str:
    """The camera of an image; where none is known (-2, or all 0), the end of its file's name."""
    camid = int(images.camids[row])
    if camid > 0 or (camid == 0 and bool(images.camids.any())):
        return f"cam {camid}"
    name = Path(images.paths[row]).stem
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _all_named(ranking: Ranking, queries: Sequence[int], k: int) -> bool:
    """Whether everybody shown has a person id that says something."""
    rows = list(queries)
    shown = ranking.gallery.pids[ranking.order[rows, :k].to(ranking.gallery.pids.device)]
    return not bool((ranking.query.pids[rows] == UNNAMED).any() or (shown == UNNAMED).any())


def fit_pixels(path: Path | str, size: tuple[int, int]) -> Pixels:
    """The image at `path`, as large as it fits into uint8 `size` (H, W, 3), on white."""
    height, width = size
    paper = Image.new("RGB", (width, height), "white")
    image = read_image(path)
    scale = min(width / image.width, height / image.height)
    fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    corner = (width - fitted[0]) // 2, (height - fitted[1]) // 2
    paper.paste(image.resize(fitted, Image.Resampling.BICUBIC), corner)
    return np.asarray(paper)


def _check_captions(captions: Sequence[Sequence[str]] | None, rows: int, k: int) -> None:
    if captions is None:
        return
    found = [len(row) for row in captions]
    if len(found) != rows or min(found) < k:
        raise ValueError(
            f"expected captions for {rows} rows of {k} gallery images, got {len(found)} rows of "
            f"{', '.join(map(str, found)) or 'nothing'}"
        )


def _why_ignored(gallery: Embeddings, g: int, pid: int, camid: int, camera_filter: bool) -> str:
    """Why the protocol ignores gallery image `g`, in a word or two; empty when it counts."""
    if int(gallery.pids[g]) == JUNK:
        return "junk"
    same = int(gallery.pids[g]) == pid and int(gallery.camids[g]) == camid
    return "same cam" if camera_filter and same else ""


def show_cell(axes: Axes, pixels: Pixels, frame: Frame, head: str, caption: str) -> None:
    """One framed image with a word above and two short lines below."""
    if frame is IGNORED:
        grey = pixels.mean(axis=2, keepdims=True)  # (H, W, 1)
        pixels = np.broadcast_to(0.35 * grey + 0.65 * 255, pixels.shape).astype(np.uint8)
    axes.imshow(pixels, aspect="auto", interpolation="bicubic")
    for spine in axes.spines.values():
        spine.set(visible=True, color=frame.color, linewidth=frame.width)
        spine.set_linestyle(frame.dashes)
        spine.set_capstyle("butt")  # square ends would close the gaps
    color = BLACK if frame in (QUERY, NEUTRAL) else frame.color
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
