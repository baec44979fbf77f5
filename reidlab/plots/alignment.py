"""Which stripe of one image is compared with which stripe of another.

Shapes: H stripes, D their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray
from torch import Tensor

from reidlab.losses.alignment import alignment_path, stripe_distances
from reidlab.plots.crops import Crop, path_of
from reidlab.plots.page import (
    BLACK,
    GREY,
    VERMILLION,
    WIDTH,
    PageFigure,
    Pixels,
    new_page,
    read_pixels,
    styled,
)

SIZE = (256, 128)  # pixels of a crop that comes as a file
TALL, WIDE, BETWEEN = 2.5, 1.25, 0.64  # inches: a crop, and the room for lines between two
LEFT, BOTTOM, GROUP = 0.1, 0.44, 3.42  # inches: margins, and from one pair of crops to the next
COLORS = colormaps["cividis"]  # dark where stripes are alike; ordered for every eye

Steps = Sequence[tuple[int, int]]


@styled
def alignment_figure(
    images: Sequence[Crop | Tensor],
    stripes: Tensor,
    *,
    names: tuple[str, str] = ("", ""),
    title: str = "",
) -> Figure:
    """Two crops twice: stripes joined along the shortest path, and straight; the grid beside them.

    A line joins two stripes that the distance compares; the darker and thicker, the more alike. The
    grid shows the distance of every pair of stripes, the shortest path, and the straight diagonal.
    Both sums stand below. The path has 2H - 1 steps and the diagonal H: an aligned distance ranks
    among aligned ones, not against a straight one.

    Args:
        images: two of them: a sample, a file, or uint8 (3, height, width).
        stripes: (2, H, D), of the first and of the second image; from `embed(neck="local")` and
            `stripes_of`.
        names: written above the crops.
        title: shown above.

    Raises:
        ValueError: not two such images, or stripes of another number of images.

    Source: the path is that of AlignedReID (arXiv:1711.08184), figure 3.
    """
    if len(images) != 2 or stripes.ndim != 3 or len(stripes) != 2:
        raise ValueError(
            f"expected two images and stripes (2, H, D), got {len(images)} images and "
            f"{tuple(stripes.shape)}"
        )
    x, y = stripes.detach().cpu().float()
    grid = stripe_distances(x[None], y[None])[0, 0].numpy()  # (H, H)
    pixels = [_pixels(image) for image in images]
    above = 0.62 if title else 0.34
    page = new_page(BOTTOM + TALL + above)
    page.suptitle(title, x=0.01, y=1 - 0.07 / page.get_figheight(), ha="left", va="top")
    path = alignment_path(x, y)
    straight = [(i, i) for i in range(len(grid))]
    shades = Normalize(float(grid.min()), float(grid.max()))
    for place, (word, steps) in enumerate((("aligned", path), ("straight", straight))):
        _joined(page, LEFT + place * GROUP, pixels, names, steps, grid, shades)
        middle = LEFT + place * GROUP + WIDE + BETWEEN / 2
        _write(page, middle, 0.12, _words(word, steps, grid))
    _draw_grid(page, grid, path, shades)
    return page


def _pixels(image: Crop | Tensor) -> Pixels:
    """An image as uint8 (height, width, 3)."""
    if not isinstance(image, Tensor):
        return read_pixels(path_of(image), SIZE)
    if image.ndim != 3 or len(image) != 3 or image.dtype != torch.uint8:
        got = f"{tuple(image.shape)} {image.dtype}"
        raise ValueError(f"expected a file or an image (3, H, W) uint8, got {got}")
    return image.permute(1, 2, 0).cpu().numpy()


def _joined(
    page: PageFigure,
    left: float,
    pixels: Sequence[Pixels],
    names: tuple[str, str],
    steps: Steps,
    grid: NDArray[Any],
    shades: Normalize,
) -> None:
    """Two crops cut into stripes, and a line for each step between them."""
    rows = len(grid)
    sides = []
    for k in range(2):
        axes = _place(page, left + k * (WIDE + BETWEEN), BOTTOM, WIDE, TALL)
        axes.imshow(pixels[k], extent=(0, 1, rows, 0), aspect="auto", interpolation="bicubic")
        axes.set_title(names[k], loc="center", fontsize=10, pad=4)
        axes.hlines(range(1, rows), 0, 1, colors="white", linewidth=0.8, alpha=0.8)
        sides.append(axes)
    for i, j in sorted(steps, key=lambda step: -grid[step]):  # the most alike on top
        near = 1 - float(shades(grid[i, j]))
        line = ConnectionPatch(
            (1, i + 0.5), (0, j + 0.5), "data", "data", axesA=sides[0], axesB=sides[1],
            color=COLORS(shades(grid[i, j])), linewidth=1.0 + 3.0 * near, capstyle="round",
        )  # fmt: skip
        page.add_artist(line)


def _words(word: str, steps: Steps, grid: NDArray[Any]) -> str:
    values = [grid[step] for step in steps]
    return f"{word}: {sum(values):.2f}, the sum of {len(steps)} steps"


def _draw_grid(page: PageFigure, grid: NDArray[Any], path: Steps, shades: Normalize) -> None:
    """The distances of all pairs of stripes, with the path and the diagonal."""
    side = WIDTH - 2 * GROUP - LEFT - 0.42
    axes = _place(page, WIDTH - side - 0.08, BOTTOM + TALL - side, side, side)
    axes.imshow(grid, cmap=COLORS, norm=shades, aspect="auto")
    rows, columns = np.array(path).T
    ends = (0, len(grid) - 1)
    for ink, width in (("white", 4.5), (VERMILLION, 2.5)):
        axes.plot(columns, rows, color=ink, linewidth=width, solid_capstyle="round")
    axes.plot(ends, ends, color="white", linewidth=1.6, linestyle=(0, (2, 2)))
    axes.set_title("distance of stripes", loc="center", fontsize=10, pad=4)
    axes.set_ylabel("stripe on the left", fontsize=9, color=BLACK, labelpad=3)
    axes.set_xlabel("stripe on the right", fontsize=9, color=BLACK, labelpad=3)
    text = f"{grid.min():.2f} (dark) to {grid.max():.2f} (bright)\nline: path, dashes: straight"
    _write(page, WIDTH - side / 2 - 0.08, BOTTOM + TALL - side - 0.36, text, top=True)


def _place(page: PageFigure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without ticks at a place given in inches."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.8)
    return axes


def _write(page: PageFigure, x: float, y: float, text: str, *, top: bool = False) -> None:
    """Centred text at a place given in inches."""
    where = x / WIDTH, y / page.get_figheight()
    page.text(*where, text, ha="center", va="top" if top else "bottom", color=BLACK, fontsize=9)
