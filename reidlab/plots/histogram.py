"""Distances of one person's images and of different people's, and what a threshold does to them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from reidlab.calibration import DistanceHistogram, Threshold
from reidlab.plots.page import BLACK, BLUE, VERMILLION, new_page, styled

SHOWN = 64  # bins across the picture; the counts are kept finer


@styled
def distance_histogram(
    histogram: DistanceHistogram,
    *,
    threshold: Threshold | float | None = None,
    log: bool = False,
    title: str = "",
) -> Figure:
    """Two outlines, pairs of one person and of different people, and both errors of a threshold.

    Linear: each outline is the share of its own kind, since pairs of one person are few. `log`:
    counts, so that the few are seen at their true number.

    Args:
        histogram: from `distance_pairs`.
        threshold: a vertical line; wrongly accepted pairs left of it and missed ones right of it
            are shaded, and their shares stand in the legend.
        log: counts on a logarithmic axis instead of shares.
        title: shown above.

    Raises:
        ValueError: no pairs at all, or a threshold outside 0..4.
    """
    if not histogram.same.sum() + histogram.different.sum():
        raise ValueError("expected a histogram with pairs, got an empty one")
    at = threshold.distance if isinstance(threshold, Threshold) else threshold
    if at is not None and not 0 <= at <= 4:
        raise ValueError(f"expected a threshold from 0 to 4, a squared distance, got {at}")
    edges, same, different = _thinned(histogram)
    page = new_page(4.0, layout="constrained")
    axes = page.add_subplot(title=title)
    parts = (
        (different, VERMILLION, (0, (5, 1.5)), "different people", "accepted"),
        (same, BLUE, "solid", "same person", "refused"),
    )
    exact = histogram.different, histogram.same
    for (counts, color, dashes, name, error), fine in zip(parts, exact, strict=True):
        total = max(int(counts.sum()), 1)
        label = f"{name}, {int(counts.sum()):,} pairs"
        if at is not None:
            share = _share_below(fine, histogram.edges, at)
            label += f", about {share if error == 'accepted' else 1 - share:.1%} {error}"
        height = counts.astype(float) if log else counts / total
        if log:
            height = np.where(counts > 0, height, np.nan)
        axes.stairs(height, edges, color=color, ls=dashes, lw=2, label=label, baseline=None)
        if at is not None:
            _shade(axes, height, edges, at, color, left=error == "accepted", log=log)
    if at is not None:
        axes.axvline(at, color=BLACK, lw=1.5)
        near_end = at > 0.8 * edges[-1]
        text, side = f" threshold {at:.3g} ", "right" if near_end else "left"
        over = axes.get_xaxis_transform()  # just above the axes
        axes.text(at, 1.0, text, va="bottom", ha=side, fontsize=9.5, transform=over)
    last = edges[-1] if at is None else max(edges[-1], 1.02 * at)
    axes.set(xlabel="distance (squared, unit features)", xlim=(0, last))
    if log:
        axes.set(yscale="log", ylabel="pairs", ylim=(0.7, None))
    else:
        axes.set(ylabel="share of the pairs of each kind", ylim=(0, None))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    page.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return page


def _share_below(counts: NDArray, edges: NDArray, at: float) -> float:
    """Share of the pairs up to `at`; those of the bin it lies in are taken as spread evenly."""
    rising = np.append(0, counts.cumsum())
    return float(np.interp(at, edges, rising)) / max(int(rising[-1]), 1)


def _thinned(histogram: DistanceHistogram) -> tuple[NDArray, NDArray, NDArray]:
    """About 64 bins up to the largest distance, so that outlines are calm."""
    used = np.flatnonzero(histogram.same + histogram.different)[-1] + 1
    step = max(1, -(-int(used) // SHOWN))
    bins = -(-int(used) // step)
    width = histogram.edges[1] - histogram.edges[0]

    def summed(counts: NDArray) -> NDArray:
        padded = np.zeros(bins * step, counts.dtype)
        padded[: min(len(counts), bins * step)] = counts[: bins * step]
        return padded.reshape(bins, step).sum(axis=1)

    edges = np.arange(bins + 1) * step * width
    return edges, summed(histogram.same), summed(histogram.different)


def _shade(
    axes: Axes, height: NDArray, edges: NDArray, at: float, color: str, *, left: bool, log: bool
) -> None:
    """Fill one outline on the wrong side of the threshold, cut at the line itself."""
    x = np.repeat(edges, 2)[1:-1]  # each bin's left and right end
    y = np.repeat(np.nan_to_num(height), 2)
    inside = height[min(int(at / (edges[1] - edges[0])), len(height) - 1)]
    wrong = x <= at if left else x >= at
    cut = np.nan_to_num(inside)
    x, y = x[wrong], y[wrong]
    x, y = (np.append(x, at), np.append(y, cut)) if left else (np.append(at, x), np.append(cut, y))
    axes.fill_between(x, y, 0.7 if log else 0.0, where=y > 0, color=color, alpha=0.3, lw=0)
