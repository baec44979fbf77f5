"""What a vision transformer's position table knows: which places it takes for neighbours.

Shapes: N patches on a grid h x w, D width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor, nn

from reidlab.models.layers import cosine_matrix
from reidlab.plots.attention import SHARES
from reidlab.plots.gallery import place_axes
from reidlab.plots.page import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    WIDTH,
    PageFigure,
    new_page,
    styled,
)
from reidlab.plots.patches import FRAME, trunk_of

LEFT, BELOW, OVER, GAP = 0.46, 0.62, 0.3, 0.06  # inches
TALL, WIDE = 4.8, 4.6  # inches, at most, for all maps together
LARGEST = 0.35  # inches of a place
MOST = 8  # maps down, and across


def position_similarity(model: nn.Module) -> Tensor:
    """Cosines (h, w, h, w) of the rows that a network adds to its patches; class token left out.

    Args:
        model: a vision transformer; nothing but its table is read.

    Raises:
        ValueError: another network, or a grid of one place.
    """
    trunk = trunk_of(model)
    if math.prod(trunk.grid) < 2:
        raise ValueError("expected a grid of two places or more, got one: nothing to compare")
    rows = trunk.pos_embed.detach().float().cpu()[0, 1:]  # (N, D)
    return cosine_matrix(rows, rows).view(*trunk.grid, *trunk.grid)


@styled
def position_figure(model: nn.Module, *, title: str = "") -> Figure:
    """For each place of the grid, how like its row of the table is to those of all places.

    Each small map has the shape of the grid, and stands where its own place, the black square,
    lies in it; of a large grid some rows and columns are shown. The curves beside them are means
    over all pairs of places so many steps apart, straight down or across, and over all pairs of
    different places. Random rows of width D have cosines
    around 0, with a deviation of 1 / sqrt(D).

    Args:
        model: a vision transformer.
        title: shown above.

    Raises:
        ValueError: another network, or a grid of one place.

    Source: the picture is that of Dosovitskiy et al. 2021 (arXiv:2010.11929), figure 7.
    """
    cosines = position_similarity(model).numpy()
    grid = cosines.shape[:2]
    norm = _norm(cosines)
    rows, columns = (_chosen(side) for side in grid)
    cell = min((TALL / len(rows) - GAP) / grid[0], (WIDE / len(columns) - GAP) / grid[1], LARGEST)
    tall, wide = cell * grid[0], cell * grid[1]  # of one map
    span = len(rows) * (tall + GAP) - GAP
    high = BELOW + max(span, 2.2) + OVER + (0.34 if title else 0.0)
    page = new_page(high)
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    for down, row in enumerate(rows):
        bottom = BELOW + max(span, 2.2) - (down + 1) * tall - down * GAP
        for right, column in enumerate(columns):
            axes = place_axes(page, LEFT + right * (wide + GAP), bottom, wide, tall)
            _map(axes, cosines[row, column], (row, column), norm)
            if not right:
                axes.set_ylabel(str(row + 1), rotation=0, ha="right", va="center", fontsize=9)
            if not down:
                axes.set_title(str(column + 1), fontsize=9, loc="center", weight="normal", pad=3)
    used = len(columns) * (wide + GAP) - GAP
    page.text(0.01, (BELOW + max(span, 2.2) + 0.05) / high, "row", fontsize=9, va="bottom")
    _colorbar(page, LEFT, max(used, 1.6), norm)
    chance = trunk_of(model).dim ** -0.5
    page.text(LEFT / WIDTH, 0.03 / high, f"cosine of two rows; random ones: ±{chance:.2f}",
              color=GREY, fontsize=9)  # fmt: skip
    _curves(page, LEFT + max(used, 1.6) + 1.0, 0.75 * span, cosines)
    return page


def _norm(cosines: NDArray[Any]) -> Normalize:
    """A scale around 0 that holds the cosines of different places."""
    count = math.prod(cosines.shape[:2])
    others = cosines.reshape(count, count)[~np.eye(count, dtype=bool)]
    most = float(np.abs(others).max(initial=0.0))
    most = min(1.0, max(0.1, math.ceil(10 * most) / 10))
    return Normalize(-most, most)


def _chosen(count: int) -> list[int]:
    """Up to eight places of `count`, evenly spread, the first and the last among them."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, MOST))})


def _map(axes: Axes, cosines: NDArray[Any], own: tuple[int, int], norm: Normalize) -> None:
    """The cosines of one place with all others (h, w); its own cell is black."""
    axes.imshow(cosines, cmap=SHARES, norm=norm, aspect="auto", interpolation="nearest")
    axes.fill_between([own[1] - 0.5, own[1] + 0.5], own[0] - 0.5, own[0] + 0.5, color=BLACK, lw=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=FRAME, linewidth=0.6)


def _colorbar(page: PageFigure, left: float, wide: float, norm: Normalize) -> None:
    """The scale of the cosines, below the maps."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, 0.42 / high, wide / WIDTH, 0.1 / high))
    most = float(norm.vmax or 1)
    bar = page.colorbar(
        ScalarMappable(norm, SHARES), cax=axes, orientation="horizontal", ticks=[-most, 0, most]
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.tick_params(length=2, pad=2)
    axes.grid(False)


def means_by_steps(cosines: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Mean cosines of places 1, 2, ... steps apart, straight down and straight across.

    Args:
        cosines: (h, w, h, w), as from `position_similarity`.
    """
    high, wide = cosines.shape[:2]
    down = [
        float(np.mean([cosines[i, j, i + s, j] for i in range(high - s) for j in range(wide)]))
        for s in range(1, high)
    ]
    across = [
        float(np.mean([cosines[i, j, i, j + s] for i in range(high) for j in range(wide - s)]))
        for s in range(1, wide)
    ]
    return down, across


def _curves(page: PageFigure, left: float, tall: float, cosines: NDArray[Any]) -> None:
    """Mean cosine by distance on the grid, beside the maps."""
    high, tall = page.get_figheight(), max(tall, 1.9)
    top = OVER + (0.34 if page.get_suptitle() else 0.0)
    box = (left / WIDTH, (high - top - tall) / high, (WIDTH - left - 0.15) / WIDTH, tall / high)
    axes = page.add_axes(box)
    for values, word, color, sign in zip(
        means_by_steps(cosines), ("down", "across"), (BLUE, VERMILLION), ("o", "s"), strict=True
    ):
        axes.plot(range(1, len(values) + 1), values, color=color, marker=sign, ms=5, label=word)
    count = math.prod(cosines.shape[:2])
    rest = (cosines.sum() - np.trace(cosines.reshape(count, count))) / max(1, count * (count - 1))
    axes.axhline(float(rest), color=GREY, lw=1.2, ls=(0, (4, 3)), label="any two places")
    axes.set(xlabel="steps apart on the grid", ylabel="mean cosine")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
