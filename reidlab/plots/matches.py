"""Why a hit is a hit: what each patch does for the similarity of two crops, and patches alike.

Shapes: N patches on a grid h x w, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from numpy.typing import NDArray
from torch import nn

from reidlab.data.samples import Sample
from reidlab.plots.attention import SHARES
from reidlab.plots.crops import Crop
from reidlab.plots.effects import Match, mutual_matches, removal_effects
from reidlab.plots.gallery import place_axes
from reidlab.plots.page import (
    BLACK,
    GREY,
    VERMILLION,
    WIDTH,
    PageFigure,
    Pixels,
    name_person,
    new_page,
    styled,
)
from reidlab.plots.patches import (
    Edges,
    bare,
    look_inside,
    middles,
    patch_edges,
    shown_pixels,
    spread,
    trunk_of,
)

SIDE, BELOW, OVER = 0.12, 0.86, 0.42  # inches: margin, below and above the crops
WIDE, TALLEST, NEAR, FAR = 1.72, 3.6, 0.14, 1.1  # of a crop; between the two of a pair


@styled
def match_figure(
    model: nn.Module,
    crops: Sequence[Crop],
    *,
    lines: int = 4,
    neck: str | None = None,
    cameras: Sequence[int] = (),
    views: Sequence[int] = (),
    title: str = "",
) -> Figure:
    """A query and a hit twice: what each patch does for their similarity, and patches alike.

    Left: how much the cosine of the two descriptors, by which a hit is ranked, falls when a patch
    is filled with its crop's mean colour (see `removal_effects`). Orange patches make the crops
    alike, blue ones set them apart. Nothing is assumed about the network; the scale follows the
    largest effect, which may be small.

    Right: pairs of patches that are each other's most similar one, by the cosine of the last
    tokens. Of all such pairs those are drawn whose two patches do most for the similarity. A line
    is no cause: the class token of one crop never meets the patches of the other, and tokens are
    also alike for lying at the same place.

    Args:
        model: a vision transformer; of one with local branches, tokens are those of the global one.
        crops: two of them, query and hit, as samples or files.
        lines: pairs drawn, at most.
        neck: the side of the neck on which descriptors are compared; see `embed`.
        cameras: as on disk, for a network that asks for them; see `labels_of`.
        views: likewise.
        title: shown above.

    Raises:
        ValueError: another network or neck, not two crops, a bad image, labels that are missing, or
            fewer than 0 lines.
    """
    if lines < 0:
        raise ValueError(f"expected 0 lines or more, got {lines}")
    labels: dict[str, Any] = {"cameras": cameras, "views": views}
    cosine, effects = removal_effects(model, crops, neck=neck, **labels)
    tokens, _ = look_inside(model, crops, **labels)
    gains = effects.flatten(1)  # (2, N)
    matches = sorted(
        mutual_matches(tokens[0, 1:], tokens[1, 1:]),
        key=lambda match: -float(gains[0, match[0]] + gains[1, match[1]]),
    )[:lines]
    trunk = trunk_of(model)
    pixels = [shown_pixels(crop, trunk) for crop in crops]
    return _page(pixels, _names(crops), effects.numpy(), matches, patch_edges(trunk), cosine, title)


def _names(crops: Sequence[Crop]) -> list[str]:
    """Who is on the two crops, and in which camera."""
    named = [f"{name_person(c.pid)}, cam {c.camid}" if isinstance(c, Sample) else "" for c in crops]
    return [f"{word}\n{name}".strip() for word, name in zip(("query", "hit"), named, strict=True)]


def _page(
    pixels: list[Pixels],
    names: list[str],
    effects: NDArray[Any],
    matches: list[Match],
    edges: Edges,
    cosine: float,
    title: str,
) -> PageFigure:
    """Both pairs of crops with headings above and explanations below."""
    ratio = pixels[0].shape[0] / pixels[0].shape[1]
    wide = min(WIDE, TALLEST / ratio)
    tall, over = wide * ratio, OVER + (0.32 if title else 0.0)
    high = BELOW + tall + over
    page = new_page(high)
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    lefts = [SIDE, SIDE + wide + NEAR, WIDTH - SIDE - 2 * wide - FAR, WIDTH - SIDE - wide]
    pairs = [place_axes(page, left, BELOW, wide, tall) for left in lefts]
    scale = max(float(np.abs(effects).max()), 1e-12)
    norm = Normalize(-scale, scale)
    for k, axes in enumerate(pairs):
        axes.set_title(names[k % 2], loc="center", fontsize=9.5, weight="normal", pad=4)
        if k < 2:
            _effects(axes, pixels[k], effects[k], edges, norm)
        else:
            bare(axes, pixels[k - 2])
    _join(page, pairs[2], pairs[3], matches, edges)
    _colorbar(page, lefts[0], 2 * wide + NEAR, norm, cosine)
    _explain(page, (lefts[2] + wide + FAR / 2) / WIDTH, matches)
    return page


def _effects(
    axes: Axes, pixels: Pixels, effects: NDArray[Any], edges: Edges, norm: Normalize
) -> None:
    """The crop in pale grey under the effects of its patches."""
    height, width = pixels.shape[:2]
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    bare(axes, np.repeat((90 + grey * 165 / 255).astype(np.uint8)[..., None], 3, axis=2))
    axes.imshow(
        spread(effects, edges, (height, width)), cmap=SHARES, norm=norm, alpha=0.65,
        aspect="auto", interpolation="nearest", extent=(0, width, height, 0),
    )  # fmt: skip


def _join(page: PageFigure, left: Axes, right: Axes, matches: list[Match], edges: Edges) -> None:
    """Matching patches framed, joined and numbered, the first on top."""
    places = middles(edges)
    for number, (i, j, _) in reversed([*enumerate(matches, start=1)]):
        for color, line in (("white", 4.0), (VERMILLION, 2.0)):
            page.add_artist(
                ConnectionPatch(
                    tuple(places[i]),
                    tuple(places[j]),
                    "data",
                    "data",
                    axesA=left,
                    axesB=right,
                    color=color,
                    linewidth=line,
                )  # fmt: skip
            )
        for axes, patch in ((left, i), (right, j)):
            _frame(axes, patch, edges)
            at = axes.transData + page.transFigure.inverted()
            x, y = at.transform(places[patch])
            page.text(
                x, y, str(number), ha="center", va="center", fontsize=8,
                bbox={"boxstyle": "circle,pad=0.25", "fc": "white", "ec": BLACK, "lw": 0.8},
            )  # fmt: skip


def _frame(axes: Axes, patch: int, edges: Edges) -> None:
    """A frame around one cell of the grid."""
    row, column = divmod(patch, len(edges.across) - 1)
    top, bottom = edges.down[row : row + 2]
    left, right = edges.across[column : column + 2]
    box = Rectangle((left, top), right - left, bottom - top, fill=False, ec=VERMILLION, lw=1.6)
    axes.add_patch(box)


def _colorbar(page: PageFigure, left: float, wide: float, norm: Normalize, cosine: float) -> None:
    """The scale of the effects, below the first pair."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, 0.62 / high, wide / WIDTH, 0.1 / high))
    most = float(norm.vmax or 0)
    bar = page.colorbar(
        ScalarMappable(norm, SHARES), cax=axes, orientation="horizontal",
        ticks=[-most, 0, most], format=lambda value, _: _signed(value),
    )  # fmt: skip
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.tick_params(length=2, pad=2)
    axes.grid(False)
    for text, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
        text.set_horizontalalignment(side)
    words = f"what the cosine, {cosine:.4f}, loses without the patch"
    page.text((left + wide / 2) / WIDTH, 0.1 / high, words, ha="center", color=GREY, fontsize=9.5)


def _signed(value: float) -> str:
    """A number of two digits with its sign, as it is printed."""
    return f"{value:+.2g}".replace("-", "−") if value else "0"


def _explain(page: PageFigure, middle: float, matches: list[Match]) -> None:
    """What the lines are, and the cosines of their ends."""
    if not matches:
        return
    cosines = "   ".join(f"{n}: {match[2]:.2f}" for n, match in enumerate(matches, start=1))
    for text, y in ((cosines, 0.58), ("most similar patches of each other, cosine of tokens", 0.1)):
        page.text(middle, y / page.get_figheight(), text, ha="center", color=GREY, fontsize=9.5)
