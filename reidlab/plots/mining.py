"""What mining finds in a batch: every distance, and the two of each anchor that count."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from reidlab.plots.gallery import place_axes
from reidlab.plots.heatmap import PALE_TO_BLUE
from reidlab.plots.page import BLACK, VERMILLION, WIDTH, new_page, styled

MOST = 32  # images of a batch that have room for a thumbnail
SIDE, BELOW = 6.0, 0.25  # inches of the matrix, and below it


@styled
def mined_batch(
    distance: Tensor, pids: Tensor, images: Tensor | None = None, *, title: str = ""
) -> Figure:
    """The distances within a batch; per row the farthest positive and the nearest negative.

    Rows are anchors. The people of a batch stand side by side and have a frame; a circle marks the
    hardest positive, inside the frame, and a cross the hardest negative, outside.

    Args:
        distance: (B, B).
        pids: (B,), images of one person in a row.
        images: uint8 (B, 3, H, W), shown along both sides.
        title: shown above.

    Raises:
        ValueError: an empty batch, shapes that disagree, other images, one person only, too many
            images, or people not in a row.
    """
    near, who = distance.detach().cpu().float().numpy(), pids.cpu().numpy()
    _check(near, who, images)
    same = who[:, None] == who[None, :]
    if same.all():
        raise ValueError("expected at least two people, got one: there is no negative to mark")
    left, above = (1.0, 0.58) if images is not None else (0.2, 0.1)  # inches, for the crops
    page = new_page(BELOW + SIDE + above + (0.4 if title else 0.0))
    page.suptitle(title, x=0.01, ha="left")
    axes = place_axes(page, left, BELOW, SIDE, SIDE)
    picture = axes.pcolormesh(near, cmap=PALE_TO_BLUE.reversed(), edgecolor="w", lw=0.5)
    _mark(axes, near, same)
    _frame(axes, who)
    axes.set(xlim=(0, len(who)), ylim=(len(who), 0))
    for spine in axes.spines.values():
        spine.set_visible(False)
    if images is not None:
        _thumbnails(axes, images)
    _explain(page, picture, (left + SIDE + 0.25) / WIDTH)
    return page


def _check(near: NDArray[Any], who: NDArray[Any], images: Tensor | None) -> None:
    count = len(who)
    if not count:
        raise ValueError("expected a batch of two people or more, got no images")
    if near.shape != (count, count) or (images is not None and len(images) != count):
        shown = "no" if images is None else len(images)
        raise ValueError(
            f"expected distances (B, B) and B person ids and images, got {near.shape}, {count} "
            f"ids and {shown} images"
        )
    if images is not None and (
        images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8
    ):
        got = f"{tuple(images.shape)} {images.dtype}"
        raise ValueError(
            f"expected images (B, 3, H, W) uint8, as they are before normalisation, got {got}"
        )
    if count > MOST:
        raise ValueError(f"expected at most {MOST} images, got {count}; show a smaller batch")
    if 1 + int((np.diff(who) != 0).sum()) != len(set(who.tolist())):
        raise ValueError("expected the images of each person in a row, as a PK sampler gives them")


def _mark(axes: Axes, near: NDArray[Any], same: NDArray[Any]) -> None:
    """A circle on the farthest positive of each row, a cross on its nearest negative."""
    rows = np.arange(len(near)) + 0.5
    positive = np.where(same, near, -np.inf).argmax(axis=1)
    negative = np.where(same, np.inf, near).argmin(axis=1)
    size = 3400 / len(near) ** 1.2
    axes.scatter(positive + 0.5, rows, s=size, fc="none", ec=BLACK, lw=2.0, zorder=3)
    axes.scatter(negative + 0.5, rows, s=size * 0.7, c=VERMILLION, marker="x", lw=2.4, zorder=3)


def _frame(axes: Axes, who: NDArray[Any]) -> None:
    """A square around the distances within each person."""
    cuts = [0, *(np.flatnonzero(np.diff(who)) + 1).tolist(), len(who)]
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        x = [start, stop, stop, start, start]
        y = [start, start, stop, stop, start]
        axes.plot(x, y, color=BLACK, lw=2.2, solid_joinstyle="miter", zorder=2)


def _thumbnails(axes: Axes, images: Tensor) -> None:
    """The crops to the left of their rows and above their columns."""
    count, ratio = len(images), images.shape[3] / images.shape[2]
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    for place, crop in enumerate(pixels):
        for at in (_beside(place, count, ratio), _above(place, count, ratio)):
            own = axes.inset_axes(at)
            own.imshow(crop)
            own.axis("off")


def _beside(place: int, count: int, ratio: float) -> tuple[float, float, float, float]:
    """Where the crop of a row stands, in shares of the matrix: two columns, taking turns."""
    high = 1.9 / count
    wide = high * ratio
    left = -0.008 - wide * (1 + place % 2 * 1.04)
    return left, 1 - (place + 0.5) / count - high / 2, wide, high


def _above(place: int, count: int, ratio: float) -> tuple[float, float, float, float]:
    """Where the crop of a column stands."""
    wide = 0.92 / count
    return (place + 0.5) / count - wide / 2, 1.006, wide, wide / ratio


def _explain(page: Figure, picture: Any, left: float) -> None:
    """Scale and signs, to the right of the matrix."""
    bar = page.colorbar(picture, cax=page.add_axes((left, 0.08, 0.02, 0.45)))
    bar.set_label("distance")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    ring = {"marker": "o", "mfc": "none", "mec": BLACK, "mew": 2, "ms": 11}
    cross = {"marker": "x", "mec": VERMILLION, "mew": 2.4, "ms": 10}
    signs = [
        Line2D([], [], ls="", label="hardest\npositive", **ring),
        Line2D([], [], ls="", label="hardest\nnegative", **cross),
    ]
    page.legend(
        handles=signs,
        title="per row, for its anchor",
        title_fontsize=9.5,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(left - 0.012, 0.9),
        labelspacing=1.2,
    )
