"""A table of scores as colours: one cell per pair of cameras."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reidlab.calibration import CameraPairs
from reidlab.plots.page import BLACK, GREY, VERMILLION, new_page, styled

# Pale to dark in Okabe and Ito's blue: order survives any colour blindness, and grey print. Never
# so pale that a picture of 256 colours makes it the grey of empty cells.
PALE_TO_BLUE = LinearSegmentedColormap.from_list("pale to blue", ["#BFDCEC", "#5FA3D0", "#00456E"])
MOST_NUMBERED = 14  # cameras across; more have no room for figures


@styled
def camera_heatmap(pairs: CameraPairs, *, score: str = "mean_ap", title: str = "") -> Figure:
    """One cell per query camera (row) and gallery camera (column); the worst pair is framed.

    In each cell the score in percent and, small, the number of valid queries; empty where there is
    none, as on the diagonal.

    Args:
        pairs: from `camera_pairs`.
        score: "mean_ap" or "rank1".
        title: shown above.

    Raises:
        ValueError: another score.
    """
    if score not in ("mean_ap", "rank1"):
        raise ValueError(f"expected score to be 'mean_ap' or 'rank1', got {score!r}")
    values = 100 * getattr(pairs, score)
    rows, columns = values.shape
    cell = min(0.75, 7.0 / columns)
    page = new_page(max(2.4, cell * rows + (1.25 if title else 0.95)), layout="constrained")
    axes = page.add_subplot(title=title)
    low, high = np.nanmin(values), np.nanmax(values)
    span = max(high - low, 1.0)
    picture = axes.pcolormesh(
        values, cmap=PALE_TO_BLUE, vmin=low - 0.05 * span, vmax=low + span, edgecolor="w", lw=2
    )
    if max(rows, columns) <= MOST_NUMBERED:
        for i, j in zip(*np.isfinite(values).nonzero(), strict=True):
            ink = _ink(picture.to_rgba(values[i, j])[:3])
            for text, size, side in (
                (f"{values[i, j]:.1f}", 11, "bottom"),
                (f"{pairs.queries[i, j]:,}", 8, "top"),
            ):
                down = i + 0.5 if side == "bottom" else i + 0.57
                axes.text(j + 0.5, down, text, ha="center", va=side, fontsize=size, color=ink)
    i, j = (int(at) for at in np.unravel_index(np.nanargmin(values), values.shape))
    axes.add_patch(Rectangle((j, i), 1, 1, fill=False, ec=VERMILLION, lw=3, clip_on=False))
    axes.set_xticks(np.arange(columns) + 0.5, [str(c) for c in pairs.gallery_cameras])
    axes.set_yticks(np.arange(rows) + 0.5, [str(c) for c in pairs.query_cameras])
    axes.set(xlabel="gallery camera", ylabel="query camera", ylim=(rows, 0))
    axes.tick_params(length=0)
    axes.set_facecolor("#EFEFEF")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    name = {"mean_ap": "mAP", "rank1": "rank-1"}[score]
    bar = page.colorbar(picture, ax=axes, label=f"{name} (%)", pad=0.02, fraction=0.04)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    worst = f"framed: the worst pair, camera {pairs.query_cameras[i]} to {pairs.gallery_cameras[j]}"
    note = f"{worst}; small: valid queries" if max(rows, columns) <= MOST_NUMBERED else worst
    page.supxlabel(note, fontsize=9, color=GREY, x=0.02, ha="left")
    return page


def _ink(ground: Any) -> str:
    """White or black, whichever stands out more from a colour (R, G, B in 0..1)."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in ground]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "white" if luminance < 0.2 else BLACK  # where the two contrasts are about equal
