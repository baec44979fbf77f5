"""Where the class token of a vision transformer looks: attention of the last block, and of all.

Shapes: B crops, N patches on a grid h x w, T = N + 1 tokens (the class token first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from reidlab.data.samples import Sample
from reidlab.plots.branches import heat
from reidlab.plots.crops import Crop
from reidlab.plots.gallery import place_axes
from reidlab.plots.page import (
    BLACK,
    GREY,
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
    listed,
    look_inside,
    patch_edges,
    shown_pixels,
    spread,
    trunk_of,
)

LEFT, GAP, UNDER = 1.0, 0.1, 0.44  # inches: for words, between crops, below each for numbers
LESS = 0.34  # inches: the first row has no numbers
MOST = 8  # crops side by side


def rollout(maps: Sequence[Tensor]) -> Tensor:
    r"""How much of each patch has flowed into the class token, (B, N), if attention tells it all.

    .. math:: R_l = \tfrac{1}{2} (\bar A_l + I)\, R_{l-1}, \qquad R_0 = I

    with :math:`\bar A_l` the mean over the heads of block l; the identity stands for the path that
    leads past the attention. The result is the row of the class token without its first entry:
    what lacks to a sum of 1 is the class token's own start. Values, the two layers per token and
    norms are left out: it shows where information may come from, not what is made of it.

    Args:
        maps: attention of each block, first block first, (B, heads, T, T); rows sum to 1.

    Raises:
        ValueError: no maps, or not such ones.

    Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers"
    (arXiv:2005.00928), section 3.
    """
    shapes = {tuple(weights.shape) for weights in maps}
    if len(shapes) != 1 or any(len(shape) != 4 or shape[2] != shape[3] for shape in shapes):
        got = ", ".join(map(str, sorted(shapes))) or "none"
        raise ValueError(f"expected maps (B, heads, T, T), one per block and all alike, got {got}")
    start = flow = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    for weights in maps:
        mixed = weights.mean(dim=1) + start
        flow = mixed / mixed.sum(dim=-1, keepdim=True) @ flow  # (B, T, T)
    return flow[:, 0, 1:]


class Row(NamedTuple):
    """One row of the picture: its name, a remark, its crops, and a note below each."""

    word: str
    remark: str
    crops: list[Pixels]
    notes: list[str]


@styled
def rollout_figure(
    model: nn.Module,
    crops: Sequence[Crop],
    *,
    cameras: Sequence[int] = (),
    views: Sequence[int] = (),
    title: str = "",
) -> Figure:
    """Each crop, below it where its class token looks in the last block, and over all blocks.

    "last block" is the mean over the heads of the class token's row of attention, "rollout" that
    of all blocks (see `rollout`). A colour is a patch's share, from 0, on one scale per row; below
    a crop stand its largest share and what the class token takes from itself. Colours lie where
    the patches do, see `patch_edges`; deep inside the network a token knows of others, too.

    Args:
        model: a vision transformer; of one with local branches, the global one.
        crops: as samples or files, up to eight; six look best.
        cameras: as on disk, for a network that asks for them; see `labels_of`.
        views: likewise.
        title: shown above.

    Raises:
        ValueError: another network, no crops or too many, a bad image, or labels that are missing.

    Source: Abnar and Zuidema 2020 (arXiv:2005.00928).
    """
    trunk = trunk_of(model)
    _, maps = look_inside(model, listed(crops, MOST), cameras, views)
    shares = {"last\nblock": maps[-1].mean(dim=1)[:, 0, 1:], "rollout": rollout(maps)}
    pixels = [shown_pixels(crop, trunk) for crop in crops]
    rows = [Row("crop", "", pixels, [""] * len(crops))]
    even = f"an even share\nis {_percent(1 / maps[-1].shape[-1])} %"
    for word, table in shares.items():
        heated = _heated(pixels, table.unflatten(1, trunk.grid), patch_edges(trunk))
        rows.append(Row(word, even, *heated))
    names = [name_person(c.pid) if isinstance(c, Sample) else "" for c in crops]
    return _page(rows, names, title)


def _heated(pixels: list[Pixels], table: Tensor, edges: Edges) -> tuple[list[Pixels], list[str]]:
    """Crops under the colours of their shares (B, h, w), and a note for each."""
    most, size = float(table.max()), pixels[0].shape[:2]
    pictures, notes = [], []
    for crop, share in zip(pixels, table, strict=True):
        pictures.append(heat(crop, spread(share.numpy(), edges, size), most))
        own = 1 - float(share.sum())
        notes.append(f"up to {_percent(float(share.max()))} %\nown {100 * own:.0f} %")
    return pictures, notes


def _percent(share: float) -> str:
    """A share in percent, with two digits or so."""
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f}"


def _page(rows: list[Row], names: list[str], title: str) -> PageFigure:
    """A row of crops for each entry of `rows`, with its word to the left."""
    pixels = rows[0].crops
    across = min(1.15, (WIDTH - LEFT - 0.05) / len(pixels) - GAP)
    tall = across * pixels[0].shape[0] / pixels[0].shape[1]
    over = (0.36 if title else 0.06) + 0.22
    high = over + len(rows) * (tall + UNDER) - LESS
    page = new_page(high, sharpness=1.25)
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    for i, row in enumerate(rows):
        bottom = high - over - i * (tall + UNDER) - tall + LESS * bool(i)
        middle = (bottom + tall / 2) / high
        page.text(0.01, middle, row.word, va="bottom", fontweight="bold")
        page.text(0.01, middle - 0.06 / high, row.remark, va="top", fontsize=8.5, color=GREY)
        for k, (picture, note) in enumerate(zip(row.crops, row.notes, strict=True)):
            axes = place_axes(page, LEFT + k * (across + GAP), bottom, across, tall)
            bare(axes, picture)
            axes.set_xlabel(note, fontsize=8.5, color=GREY, labelpad=3)
            if not i:
                axes.set_title(
                    names[k], loc="center", fontsize=9, color=BLACK, weight="normal", pad=4
                )
    return page
