"""Which patches each local branch of TransReID sees, drawn on a person.

Shapes: N patches on a grid h x w, k local branches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from reidlab.models.jigsaw import local_patches
from reidlab.plots.crops import Crop
from reidlab.plots.gallery import place_axes
from reidlab.plots.page import BLACK, CYCLE, GREY, WIDTH, Pixels, new_page, styled
from reidlab.plots.patches import Edges, bare, patch_edges, shown_pixels, trunk_of

LEFT, GAP, BETWEEN, OVER = 1.28, 0.1, 0.3, 0.3  # inches
WIDEST, HIGHEST = 1.3, 2.7  # inches of a crop
MOST = len(CYCLE)  # branches that have a colour each
HIDDEN = 0.85  # how far patches that a branch does not see fade into white

Groups = Sequence[Sequence[int]]


@styled
def jigsaw_figure(model: nn.Module, crop: Crop, *, title: str = "") -> Figure:
    """The patches of each local branch: in their order, and shifted and shuffled as in `model`.

    The first crop of a row has a colour and a number per branch in each patch; what no branch sees
    is hatched, and a patch that two of them see has both numbers. Beside it stands what is left of
    the crop for each branch. All branches also see the class token, and a patch has looked at the
    others in all blocks but the last. Colours lie where the patches do, see `patch_edges`.

    Args:
        model: a network with local branches; one that does not rearrange has one row.
        crop: as a sample or a file.
        title: shown above.

    Raises:
        ValueError: a network without local branches or with more than seven, or no such image.

    Source: He et al. 2021, "TransReID" (arXiv:2102.04378), section 3.2.
    """
    groups, trunk = _groups(model), trunk_of(model)
    count = trunk.grid[0] * trunk.grid[1]
    pixels, edges = shown_pixels(crop, trunk), patch_edges(trunk)
    even = len({len(group) for group in groups}) > 1  # only then branches may differ in length
    plain = local_patches(
        count, len(groups), rearrange=False, jigsaw="even" if even else "released"
    )
    rows = {"in order": plain}
    if groups != plain:
        rows["shifted,\nshuffled"] = groups
    panels, ratio = 1 + len(groups), pixels.shape[0] / pixels.shape[1]
    wide = min(WIDEST, (WIDTH - LEFT - 0.05) / panels - GAP, HIGHEST / ratio)
    tall, over = wide * ratio, OVER + (0.34 if title else 0.0)
    high = over + len(rows) * (tall + BETWEEN) - BETWEEN + 0.08
    page = new_page(high)
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    for i, (word, shown) in enumerate(rows.items()):
        bottom = high - over - tall - i * (tall + BETWEEN)
        middle = (bottom + tall / 2) / high
        page.text(0.01, middle, word, va="bottom", fontweight="bold")
        page.text(0.01, middle - 0.06 / high, _remark(shown, count), va="top", fontsize=8.5,
                  color=GREY)  # fmt: skip
        boxes = [
            place_axes(page, LEFT + k * (wide + GAP), bottom, wide, tall) for k in range(panels)
        ]
        _colored(boxes[0], pixels, shown, edges, _letters(edges, wide, tall))
        for k, axes in enumerate(boxes[1:]):
            _only(axes, pixels, shown[k], edges, CYCLE[k])
            if not i:
                name = f"branch {k + 1}" if panels < 7 else str(k + 1)
                axes.set_title(name, loc="center", fontsize=9.5, weight="normal", pad=4)
    return page


def _groups(model: nn.Module) -> list[list[int]]:
    """The patches that each local branch of a network sees."""
    trunk_of(model)
    groups = getattr(model, "patches", None)
    if not groups:
        raise ValueError(
            "expected a network with local branches, as transreid_small(num_ids, parts=4) makes "
            f"them, got {type(model).__name__} without"
        )
    if len(groups) > MOST:
        raise ValueError(f"expected up to {MOST} local branches, a colour each, got {len(groups)}")
    return [list(group) for group in groups]


def _remark(groups: Groups, count: int) -> str:
    """How many patches a branch sees, and how many none."""
    sizes = sorted({len(group) for group in groups})
    unseen = count - len({patch for group in groups for patch in group})
    words = f"{' or '.join(map(str, sizes))} patches\nof {count} each"
    return words + (f",\n{unseen} seen by none" if unseen else "")


def _colored(axes: Axes, pixels: Pixels, groups: Groups, edges: Edges, size: float) -> None:
    """The crop under cells with a colour and a number of `size` points per branch."""
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    bare(axes, np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2))
    owners = _owners(groups)
    for patch in range((len(edges.down) - 1) * (len(edges.across) - 1)):
        x, y, wide, tall = _cell(patch, edges)
        own = owners.get(patch, [])
        face = (*to_rgb(CYCLE[own[0]]), 0.5) if own else (1, 1, 1, 0.75)
        hatch = None if own else "////"
        axes.add_patch(Rectangle((x, y), wide, tall, fc=face, ec="white", lw=0.8))
        if hatch:
            axes.add_patch(Rectangle((x, y), wide, tall, fill=False, ec=BLACK, lw=0, hatch=hatch))
        elif size:
            text = "+".join(str(k + 1) for k in own)
            axes.text(x + wide / 2, y + tall / 2, text, ha="center", va="center_baseline",
                      color="white", fontsize=size / len(text) ** 0.5,
                      fontweight="bold")  # fmt: skip


def _owners(groups: Groups) -> dict[int, list[int]]:
    """Patch -> the branches that see it."""
    owners: dict[int, list[int]] = defaultdict(list)
    for k, group in enumerate(groups):
        for patch in group:
            owners[patch].append(k)
    return owners


def _letters(edges: Edges, wide: float, tall: float) -> float:
    """Points for a digit in the smallest cell of a crop so many inches large; 0: unreadable."""
    narrow, low = (
        72 * inches * float(np.diff(edge).min() / edge[-1])
        for inches, edge in ((wide, edges.across), (tall, edges.down))
    )
    points = min(9.0, narrow / 0.7, low / 0.75)  # a digit's width and height, in its size
    return points if points >= 5 else 0.0


def _cell(patch: int, edges: Edges) -> tuple[float, float, float, float]:
    """Left, top, width and height of a cell, in pixels."""
    row, column = divmod(patch, len(edges.across) - 1)
    x, y = float(edges.across[column]), float(edges.down[row])
    return x, y, float(edges.across[column + 1]) - x, float(edges.down[row + 1]) - y


def _only(axes: Axes, pixels: Pixels, group: Sequence[int], edges: Edges, color: str) -> None:
    """The crop, faded wherever a branch does not look; thin lines of its colour around the rest."""
    bare(axes, pixels)
    for patch in range((len(edges.down) - 1) * (len(edges.across) - 1)):
        x, y, wide, tall = _cell(patch, edges)
        if patch not in group:
            axes.add_patch(Rectangle((x, y), wide, tall, fc="white", alpha=HIDDEN, lw=0))
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=2.0)
