"""The table of side information: which cameras a network takes for alike.

Shapes: R rows of the table, D width, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from reidlab.data.samples import Sample, cameras_of, views_of
from reidlab.models.layers import cosine_matrix
from reidlab.models.sides import SideTable
from reidlab.models.vit import ViT
from reidlab.plots.attention import SHARES
from reidlab.plots.gallery import place_axes
from reidlab.plots.heatmap import MOST_NUMBERED
from reidlab.plots.page import BLACK, BLUE, GREY, WIDTH, PageFigure, Pixels, new_page, styled
from reidlab.plots.patches import bare, shown_pixels, trunk_of

NAMES, BELOW, OVER = 1.12, 0.72, 0.36  # inches: for names, below and above the matrix
SIDE, CELL, BARS = 4.6, 0.72, 2.3  # inches: of the matrix and a row, at most; of the bars
FARTHER = 4.3  # inches: where bars begin at least, so that words below a small matrix have room
AVERAGED = 48  # crops of a row's average, evenly spread over the samples


class Group(NamedTuple):
    """One row of the table: its name as on disk, and the samples it is added to."""

    name: str
    samples: list[Sample]


def side_similarity(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Cosines (R, R) of the rows of the table, and the length (R,) of what is added to a token.

    Args:
        model: a vision transformer with a table of side information. A length counts the factor
            lambda.

    Raises:
        ValueError: a network without such a table, or with a single row.
    """
    trunk, table = _table(model)
    rows = table.detach().float().cpu()[:, 0]  # (R, D)
    return cosine_matrix(rows, rows), trunk.side_scale * rows.norm(dim=1)


def _table(model: nn.Module) -> tuple[ViT, Tensor]:
    trunk = trunk_of(model)
    if trunk.side_embed is None or not isinstance(getattr(model, "sides", None), SideTable):
        raise ValueError(
            "expected a network with a table of side information, as transreid_small(num_ids, "
            f"num_cameras=6) makes them, got {type(model).__name__} without"
        )
    if len(trunk.side_embed) < 2:
        raise ValueError("expected a table of two rows or more, got one: nothing to compare")
    return trunk, trunk.side_embed


@styled
def sides_figure(model: nn.Module, samples: Sequence[Sample], *, title: str = "") -> Figure:
    """Cosine of what a network adds for each camera, its length, and the cameras' average crops.

    An average crop shows what a camera does to every image: its light and its colours. Rows of
    cameras alike need not be alike: the table starts from random rows, whose cosines have a
    deviation of 1 / sqrt(D), and learns only what helps to tell people apart. The scale spans at
    least three such deviations. Names are those on disk; a row that no training image taught says
    so.

    Args:
        model: a vision transformer with a table for cameras, views, or both.
        samples: of the dataset it was trained on, such as `splits.train`: they say which camera a
            row belongs to, and are averaged.
        title: shown above.

    Raises:
        ValueError: a network without a table or with one row in it, no samples, samples of other
            cameras or views than the table has rows for, or a bad image.
    """
    trunk, _ = _table(model)
    cosines, lengths = (values.numpy() for values in side_similarity(model))
    groups = _groups(model, samples)
    crops = [_average(group.samples, trunk) for group in groups]
    ratio = trunk.image_size[0] / trunk.image_size[1]
    cell = min(CELL, SIDE / len(groups))
    side, thumb = cell * len(groups), 0.94 * cell / ratio
    over = OVER + (0.34 if title else 0.0)
    page = new_page(BELOW + side + over)
    high = page.get_figheight()
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    left = NAMES + thumb + 0.1
    matrix = place_axes(page, left, BELOW, side, side)
    chance = trunk.dim**-0.5  # deviation of the cosine of random rows
    norm = _matrix(matrix, cosines, [group.name for group in groups], chance)
    _thumbnails(page, crops, groups, cell, thumb)
    _bars(page, max(left + side + 0.3, FARTHER), side, lengths, trunk)
    _colorbar(page, left, side, norm, chance)
    return page


def _groups(model: Any, samples: Sequence[Sample]) -> list[Group]:
    """The rows of the table in their order, with name and samples."""
    if not samples or not all(isinstance(sample, Sample) for sample in samples):
        raise ValueError("expected samples of the dataset the network was trained on, such as "
                         "splits.train")  # fmt: skip
    sides: SideTable = model.sides
    cameras = _known("camera", cameras_of(samples), sides.cameras)
    views = _known("view", views_of(samples), sides.views)
    groups = []
    for row in range(len(sides)):
        camera, view = divmod(row, max(1, sides.views))
        found, words = list(samples), []
        if cameras:
            found = [sample for sample in found if sample.camid == cameras[camera]]
            words.append(f"camera {cameras[camera]}")
        if views:
            found = [sample for sample in found if sample.viewid == views[view]]
            words.append(f"view {views[view]}")
        if camera in sides.untrained:
            words.append("not trained")
        groups.append(Group("\n".join(words), found))
    return groups


def _known(name: str, found: Sequence[int], rows: int) -> Sequence[int]:
    """Labels on disk, one for each of the table's, or none where it does not ask."""
    if rows and len(found) != rows:
        raise ValueError(
            f"the table knows {rows} {name}s, the samples {len(found)}; pass samples of the "
            "dataset the network was trained on, such as splits.train"
        )
    return found if rows else ()


def _average(samples: Sequence[Sample], trunk: ViT) -> Pixels | None:
    """The mean of up to 48 crops, uint8 (H, W, 3); None of none."""
    if not samples:
        return None
    spread = np.linspace(0, len(samples) - 1, min(len(samples), AVERAGED)).round().astype(int)
    crops = [shown_pixels(samples[i], trunk).astype(np.float64) for i in spread]
    return np.mean(crops, axis=0).round().astype(np.uint8)


def _matrix(axes: Axes, cosines: NDArray[Any], names: list[str], chance: float) -> Normalize:
    """Cosines of different rows in colour; the diagonal, 1 by definition, is empty."""
    count = len(cosines)
    others = np.where(np.eye(count, dtype=bool), np.nan, cosines)
    most = min(1.0, max(3 * chance, float(np.nanmax(np.abs(others)))))
    norm = Normalize(-most, most)
    axes.pcolormesh(others, cmap=SHARES, norm=norm, edgecolor="w", lw=2)
    axes.set(ylim=(count, 0))
    if count <= MOST_NUMBERED:
        for i, j in zip(*np.isfinite(others).nonzero(), strict=True):
            text = f"{round(float(others[i, j]), 2) + 0.0:.2f}".replace("-", "−")
            ink = "white" if others[i, j] > 0.8 * most else BLACK
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=9, color=ink)
        short = [name.split("\n")[0].removeprefix("camera ") for name in names]
        if len({*short}) == count:
            axes.set_xticks(np.arange(count) + 0.5, short)
            axes.xaxis.tick_top()
            axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("#EFEFEF")
    return norm


def _thumbnails(
    page: PageFigure, crops: list[Pixels | None], groups: list[Group], cell: float, wide: float
) -> None:
    """Average crop and name to the left of each row."""
    high = page.get_figheight()
    size = 10 if cell > 0.4 else max(5.0, 24 * cell)
    for i, (crop, group) in enumerate(zip(crops, groups, strict=True)):
        bottom = BELOW + (len(groups) - 1 - i) * cell
        name = group.name if cell > 0.4 else group.name.replace("\n", ", ")
        page.text((NAMES - 0.08) / WIDTH, (bottom + cell / 2) / high, name, ha="right", va="center",
                  fontsize=size)  # fmt: skip
        if crop is not None:
            bare(place_axes(page, NAMES, bottom + 0.03 * cell, wide, 0.94 * cell), crop)


def _bars(page: PageFigure, left: float, side: float, lengths: NDArray[Any], trunk: ViT) -> None:
    """The length of each row, and of the mean position for comparison."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, BELOW / high, BARS / WIDTH, side / high))
    axes.barh(np.arange(len(lengths)) + 0.5, lengths, height=0.6, color=BLUE)
    position = float(trunk.pos_embed.detach().float()[0, 1:].norm(dim=1).mean())
    axes.axvline(position, color=BLACK, lw=1.4, ls=(0, (4, 3)))
    axes.set(ylim=(len(lengths), 0), yticks=[], xlim=(0, 1.08 * max(position, lengths.max(), 1e-9)))
    axes.set_title("length", loc="center", fontsize=10, weight="normal", pad=4)
    axes.grid(axis="y", visible=False)
    words = f"λ ({trunk.side_scale:g}) times a row;\ndashed: mean position"
    page.text((left + BARS / 2) / WIDTH, 0.05 / high, words, ha="center", va="bottom", color=GREY,
              fontsize=9)  # fmt: skip


def _colorbar(page: PageFigure, left: float, side: float, norm: Normalize, chance: float) -> None:
    """The scale of the cosines, below the matrix."""
    high, most = page.get_figheight(), float(norm.vmax or 1)
    wide = max(1.6, 0.6 * side)
    left += (side - wide) / 2
    axes = page.add_axes((left / WIDTH, 0.5 / high, wide / WIDTH, 0.1 / high))
    bar = page.colorbar(
        ScalarMappable(norm, SHARES), cax=axes, orientation="horizontal", ticks=[-most, 0, most],
        format=lambda value, _: f"{value:.2f}".replace("-", "−") if value else "0",
    )  # fmt: skip
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.tick_params(length=2, pad=2)
    axes.grid(False)
    words = f"cosine of two rows; random ones: ±{chance:.2f}"
    page.text((left + wide / 2) / WIDTH, 0.08 / high, words, ha="center", color=GREY, fontsize=9.5)
