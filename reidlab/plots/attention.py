"""Where a position of a crop looks: the spatial attention of an IANet, fused in both ways.

Shapes: N = h * w positions of a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from reidlab.models.ianet import IANet
from reidlab.models.interaction import FUSIONS, Fusion
from reidlab.plots.crops import Crop, path_of, seen_images
from reidlab.plots.page import BLACK, GREY, WIDTH, Pixels, new_page, read_pixels, styled

# Less than an even share, an even share, more: told apart with any common colour blindness.
COLORS = ("#4A90C2", "#A5CDE6", "white", "#F0A05A", "#B34700")
SHARES = LinearSegmentedColormap.from_list("shares", COLORS)
PLACES: Mapping[str, tuple[float, float]] = {  # (down, across) in 0..1 of an upright pedestrian
    "head": (0.10, 0.5),
    "torso": (0.38, 0.5),
    "shoe": (0.90, 0.45),
}
SIDE, GROUP, GAP = 0.12, 0.32, 0.09  # inches: margin, before a group of maps, between maps
OVER, UNDER, BAR = 0.62, 0.42, 0.52  # inches: above and below the maps, and for the scale

Map = NDArray[np.float64]


@styled
def attention_figure(
    model: IANet,
    image: Crop,
    *,
    positions: Mapping[str, tuple[float, float]] = PLACES,
    stage: int = 2,
    title: str = "",
) -> Figure:
    """The crop, and for each position the weights it gives to all others, under both fusions.

    A colour says how many times an even share (1 / N) a place gets, on one scale for all maps; the
    number below a map is its largest. White throughout is the plain average over the crop.

    Args:
        model: a trained network with a block after `stage`; both fusions see the same map of it.
        image: a crop, as a sample or a file; the model sees it as `embed` shows it.
        positions: name -> (down, across) in 0..1 of the crop; one to four.
        stage: whose block.
        title: shown above.

    Raises:
        ValueError: another network, no block after `stage`, positions outside the crop or too many,
            or no such image.

    Source: Hou et al. 2019 (arXiv:1907.08435); see `reidlab.models.interaction.spatial_attention`.
    """
    _check(positions)
    maps = {fusion: attention_maps(model, image, stage, fusion) for fusion in FUSIONS}
    pixels = read_pixels(path_of(image), model.preprocess.size)
    grid = maps[FUSIONS[0]].shape[:2]
    cells = {name: _cell(place, grid) for name, place in positions.items()}
    shown = [shares[cell] for shares in maps.values() for cell in cells.values()]
    octaves = max(1, math.ceil(math.log2(max(float(each.max()) for each in shown))))
    norm = Normalize(-octaves, octaves)
    page, boxes = _page(len(cells), pixels.shape[0] / pixels.shape[1], title)
    _crop(page.add_axes(boxes[0]), pixels, cells, grid)
    places = [(fusion, name) for fusion in FUSIONS for name in cells]
    for (fusion, name), box in zip(places, boxes[1:], strict=True):
        axes = page.add_axes(box)
        axes.set_title(
            f"{[*cells].index(name) + 1}  {name}", fontsize=10, loc="center", weight="normal", pad=4
        )
        _panel(axes, pixels, maps[fusion][cells[name]], cells[name], norm)
    _headings(page, boxes, len(cells))
    _colorbar(page, norm, math.prod(grid))
    return page


def attention_maps(model: IANet, image: Crop, stage: int, fusion: Fusion) -> Map:
    """Shares (h, w, h, w) of one crop: of position [i, j], how many times 1 / N each place gets.

    Args:
        model: with a block after `stage`.
        image: a crop, as a sample or a file.
        stage: whose block.
        fusion: "released" or "renormalised".

    Raises:
        ValueError: another network, no block after `stage`, or no such image.
    """
    if not isinstance(model, IANet):
        raise ValueError(
            f"expected a network with attention, as ianet_small makes them, got "
            f"{type(model).__name__}"
        )
    images = seen_images(model, [image])  # (1, 3, H, W)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            attention = model.attention(images, stage, fusion)[0]  # (N, N)
    finally:
        model.train(training)
    block: Any = model.blocks[str(stage)]
    shares = attention.double().cpu().numpy() * len(attention)
    return shares.reshape(*block.grid, *block.grid)


def _check(positions: Mapping[str, tuple[float, float]]) -> None:
    if not 1 <= len(positions) <= 4:
        raise ValueError(f"expected one to four positions, got {len(positions)}")
    for name, place in positions.items():
        if len(place) != 2 or not all(0 <= part <= 1 for part in place):
            raise ValueError(f"{name}: expected (down, across) in 0..1 of the crop, got {place}")


def _cell(place: tuple[float, float], grid: tuple[int, ...]) -> tuple[int, int]:
    """Row and column of the map in which a place of the crop lies."""
    row, column = (min(int(part * side), side - 1) for part, side in zip(place, grid, strict=True))
    return row, column


def _page(count: int, tall: float, title: str) -> tuple[Any, list[tuple[float, ...]]]:
    """A page with room for the crop and two groups of `count` maps, and their boxes."""
    panels = 1 + 2 * count
    wide = (WIDTH - 2 * SIDE - 2 * GROUP - 2 * (count - 1) * GAP) / panels
    wide = min(wide, 1.3)
    over = OVER + (0.3 if title else 0.0)
    page = new_page(over + wide * tall + UNDER + BAR)
    high = page.get_figheight()
    page.suptitle(title, x=SIDE / WIDTH, y=1 - 0.08 / high, ha="left", va="top")
    lefts = [SIDE]
    for i in range(2 * count):
        lefts.append(lefts[-1] + wide + (GROUP if i % count == 0 else GAP))
    bottom, height = (UNDER + BAR) / high, wide * tall / high
    return page, [(left / WIDTH, bottom, wide / WIDTH, height) for left in lefts]


def _bare(axes: Axes, pixels: Pixels) -> None:
    """The axes of a crop: its pixels as coordinates, and no decoration but a thin frame."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#BBBBBB", linewidth=0.8)
    axes.imshow(pixels, aspect="auto", interpolation="bicubic")


def _crop(
    axes: Axes, pixels: Pixels, cells: Mapping[str, tuple[int, int]], grid: tuple[int, ...]
) -> None:
    """The crop with a numbered ring at each position."""
    _bare(axes, pixels)
    height, width = pixels.shape[:2]
    for number, (row, column) in enumerate(cells.values(), start=1):
        middle = ((column + 0.5) * width / grid[1], (row + 0.5) * height / grid[0])
        radius = 0.075 * width
        axes.add_patch(Circle(middle, radius, fc="white", ec=BLACK, lw=1.2, alpha=0.95))
        axes.text(*middle, str(number), ha="center", va="center_baseline", fontsize=8)
    axes.set_title("crop", fontsize=10, loc="center", weight="normal", pad=4)


def _panel(
    axes: Axes,
    pixels: Pixels,
    shares: Map,
    cell: tuple[int, int],
    norm: Normalize,
) -> None:
    """The crop in grey below the weights of one position, which is framed."""
    height, width = pixels.shape[:2]
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    light = np.repeat((90 + grey * 165 / 255).astype(np.uint8)[..., None], 3, axis=2)
    _bare(axes, light)
    octaves = np.log2(np.maximum(shares, 1e-12))
    axes.imshow(
        octaves, cmap=SHARES, norm=norm, alpha=0.65, aspect="auto",
        interpolation="nearest", extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )  # fmt: skip
    down, across = height / shares.shape[0], width / shares.shape[1]
    corner = (cell[1] * across - 0.5, cell[0] * down - 0.5)
    axes.add_patch(Rectangle(corner, across, down, fill=False, ec=BLACK, lw=1.6, zorder=3))
    most = float(shares.max())
    axes.set_xlabel(f"up to {most:.{3 if most < 1.1 else 1}f} ×", fontsize=9.5, labelpad=4)


def _headings(page: Any, boxes: list[tuple[float, ...]], count: int) -> None:
    """What each group of maps is, above it."""
    words = {
        "released": "released: softmax of A · D",
        "renormalised": "renormalised: A · D over its sum",
    }
    high = page.get_figheight()
    for group, fusion in enumerate(FUSIONS):
        left, bottom, _, height = boxes[1 + group * count]
        page.text(left, bottom + height + 0.3 / high, words[fusion], va="bottom", weight="bold")


def _colorbar(page: Any, norm: Normalize, count: int) -> None:
    """The scale, in even shares of `count` positions."""
    octaves = round(norm.vmax or 1)
    high = page.get_figheight()
    axes = page.add_axes((0.36, 0.33 / high, 0.4, 0.11 / high))
    step = max(1, math.ceil(octaves / 3))
    ticks = [t for t in range(-octaves, octaves + 1) if t % step == 0]
    bar = page.colorbar(
        ScalarMappable(norm, SHARES), cax=axes, orientation="horizontal", ticks=ticks
    )
    bar.ax.set_xticklabels([f"{2**t}" if t >= 0 else f"1/{2**-t}" for t in ticks])
    bar.outline.set_visible(False)
    axes.tick_params(length=2, pad=2)
    axes.grid(False)
    words = f"weight, in even shares (1 / {count})"
    page.text(0.345, 0.385 / high, words, ha="right", va="center", color=GREY)
