"""One map of images, once per attribute: which of them lie together?

Shapes: N images, n classes of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.heads import HEADS
from reidlab.embedding import Embeddings
from reidlab.embedding.attributes import AttributePredictions
from reidlab.plots.balance import CLOTH
from reidlab.plots.card import spoken
from reidlab.plots.page import BLACK, BLUE, GREY, ORANGE, PURPLE, SKY, WIDTH, new_page, styled
from reidlab.plots.scatter import MARKERS, SIZES, project

COLORS = (BLUE, ORANGE, BLACK, PURPLE)  # of the classes that are no colours
SEVERAL = SKY  # points of "multi": a colour that no garment has
PANEL, LEGEND = 3.25, 1.22  # inches
ALONE = (WIDTH - LEGEND - 0.12, 4.6)  # width and height of a panel without neighbours, inches
HEAD = 0.32  # inches above a panel


@styled
def attribute_map(
    embeddings: Embeddings,
    classes: AttributePredictions | Mapping[str, Tensor],
    heads: Sequence[str] | str = ("up_color", "down", "gender", "backpack"),
    *,
    max_points: int = 1000,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """A t-SNE map of images, drawn once per head: the same points, coloured by class.

    Garments have their colour, other classes a colour and a marker; the legend counts the images
    shown. Features are L2-normalised first, as in the ranking. Only neighbourhoods mean something
    on such a map: distances between groups, and their sizes, do not.

    Args:
        embeddings: N images.
        classes: of the same images, what a model answers, or head -> (N,) class index as
            `targets_of` gives it.
        heads: a panel each; one alone takes the whole width.
        max_points: images at most, drawn at random.
        seed: of that draw and of t-SNE.
        title: shown above.

    Raises:
        ValueError: fewer than five images, features narrower than 2, no heads, one that is not
            there, or another number of images.

    Source: van der Maaten and Hinton 2008, "Visualizing Data using t-SNE" (JMLR 9).
    """
    table = classes.answers if isinstance(classes, AttributePredictions) else classes
    heads = [heads] if isinstance(heads, str) else heads
    _check(embeddings, table, heads, max_points)
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(embeddings))[:max_points])
    chosen = embeddings[torch.from_numpy(rows)]
    points = project(chosen.normalized().features.float().cpu().numpy(), seed)
    columns = min(2, len(heads))
    across, down = (PANEL, PANEL) if columns == 2 else ALONE
    above, step = 0.36 if title else 0.06, HEAD + down + 0.1
    page = new_page(above + step * math.ceil(len(heads) / columns))
    high = page.get_figheight()
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    for i, head in enumerate(heads):
        left = 0.06 + (PANEL + LEGEND) * (i % columns)
        bottom = high - above - (i // columns) * step - HEAD - down
        axes = page.add_axes((left / WIDTH, bottom / high, across / WIDTH, down / high))
        _panel(axes, head, points, table[head].cpu().numpy()[rows])
    return page


def _check(
    embeddings: Embeddings, table: Mapping[str, Tensor], heads: Sequence[str], max_points: int
) -> None:
    if not heads or not set(heads) <= set(table):
        named = ", ".join(head for head in heads if head not in table) or "none"
        raise ValueError(f"expected heads among {', '.join(table)}; got {named}")
    for head in heads:
        if tuple(table[head].shape) != (len(embeddings),):
            raise ValueError(
                f"{head}: expected {len(embeddings)} classes, one per image, got "
                f"{tuple(table[head].shape)}"
            )
    if min(len(embeddings), max_points) < 5 or embeddings.features.shape[1] < 2:
        raise ValueError(
            "a map needs at least five images and features of width 2 or more, got "
            f"{min(len(embeddings), max_points)} images of width {embeddings.features.shape[1]}"
        )


def _panel(axes: Axes, head: str, points: NDArray, classes: NDArray) -> None:
    """The map coloured by one head, and the legend at its right."""
    axes.set(xticks=[], yticks=[], title=spoken(head))
    axes.grid(False)
    axes.margins(0.05)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#CCCCCC")
    common = np.argsort([-(classes == c).sum() for c in range(len(HEADS[head]))], kind="stable")
    for c in common.tolist():  # rare classes come last, on top of the others
        here = classes == c
        if here.any():
            axes.scatter(*points[here].T, **_look(head, c), label=_label(head, c, int(here.sum())))
    handles, names = axes.get_legend_handles_labels()
    axes.legend(
        handles, names, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0,
        handletextpad=0.2,
        handlelength=1.3, labelspacing=0.55, markerscale=1.4, fontsize=9,
    )  # fmt: skip


def _label(head: str, c: int, count: int) -> str:
    return f"{spoken(HEADS[head][c])}, {count:,}"


def _look(head: str, c: int) -> dict[str, Any]:
    """How points of a class are drawn."""
    name = HEADS[head][c]
    if "color" in head:
        color = SEVERAL if name == "multi" else CLOTH[name]
        marker, edge = ("X" if name == "multi" else "o"), GREY
    else:
        color, marker, edge = COLORS[c], MARKERS[c], "white"
    return {
        "c": color,
        "marker": marker,
        "s": 0.55 * SIZES.get(marker, 38),
        "linewidths": 0.5,
        "edgecolors": edge,
    }
