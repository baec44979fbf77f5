"""How well attributes are recognised: beside guessing, class by class, and how surely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from reidlab.calibration import Margin, Margins
from reidlab.calibration.reliability import Reliability, reliability_bins
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation import AttributeScores, HeadScores
from reidlab.evaluation.attributes.truth import Targets
from reidlab.evaluation.checks import check_whole
from reidlab.plots.card import spoken
from reidlab.plots.heatmap import PALE_TO_BLUE
from reidlab.plots.page import BLACK, BLUE, GREY, ORANGE, VERMILLION, WIDTH, new_page, styled

Control = Mapping[str, tuple[float, float]]

ROW = 0.31  # inches per head
FEW = 4  # classes of a small table; four of these stand side by side, two of the others
LEFT, RIGHT, ABOVE = 0.68, 0.42, 0.27  # inches around a table for names, numbers and its title
UNCLEAR = "not clear"  # verdict of a margin
DARK = 0.55  # share from which figures in a cell are white


@styled
def attribute_bars(
    scores: AttributeScores,
    margins: Margins | None = None,
    control: AttributeScores | Control | None = None,
    *,
    title: str = "",
) -> Figure:
    """A row per head: the network's score and that of guessing, joined by a line.

    Accuracy at the left, balanced accuracy at the right. The line is blue where the network is
    better, vermillion where it is worse, and with `margins` grey where that is not clear among
    so many heads, which may be though an interval leaves out guessing; both means stand below.

    Args:
        scores: of the network.
        margins: from `attribute_margins`; draws the intervals of the network's lead.
        control: of another network, for instance one trained without class weights; or head ->
            (accuracy, balanced accuracy), for instance stored ones.
        title: shown above.

    Raises:
        ValueError: `margins` or `control` are about other heads.
    """
    names = list(scores.heads)
    for what, other in (("margins", margins and margins.accuracy), ("control", control)):
        shown = other.heads if isinstance(other, AttributeScores) else other
        found = list(names if shown is None else shown)
        if found != names:
            raise ValueError(f"expected {what} of {', '.join(names)}; got {', '.join(found)}")
    page = new_page(ROW * (len(names) + 1.4) + (1.7 if title else 1.4), layout="constrained")
    page.suptitle(title, x=0.01, ha="left")
    left, right = page.subplots(1, 2, sharey=True)
    ends = margins and [*margins.accuracy.values(), margins.mean_accuracy]
    _panel(left, _accuracies(scores), None if control is None else _own(control, 0), ends)
    ends = margins and [*margins.balanced.values(), margins.mean_balanced]
    _panel(right, _balanced(scores), None if control is None else _own(control, 1), ends)
    left.set_title("accuracy")
    right.set_title("balanced accuracy")
    words = [spoken(name) for name in names]
    left.set_yticks([*range(len(names)), len(names) + 0.4], [*words, "mean"], color=BLACK)
    left.set_ylim(len(names) + 0.95, -0.6)
    page.legend(handles=_keys(margins, control), loc="outside lower left", ncols=3)
    return page


@styled
def confusion_grid(
    scores: AttributeScores, heads: Iterable[str] | None = None, *, title: str = ""
) -> Figure:
    """A table per head: rows are what people are, columns what the network answered.

    Cells show the share of a row's images in percent; at its right stands their number.

    Args:
        scores: of the network.
        heads: which of them; all by default.
        title: shown above.

    Raises:
        ValueError: no head, or one that was not asked.
    """
    names = [heads] if isinstance(heads, str) else list(scores.heads if heads is None else heads)
    if not names or any(name not in scores.heads for name in names):
        got = ", ".join(names) or "none"
        raise ValueError(f"expected some of the heads {', '.join(scores.heads)}; got {got}")
    small = [name for name in names if len(HEADS[name]) <= FEW]
    large = [name for name in names if len(HEADS[name]) > FEW]
    rows = [small[i : i + 4] for i in range(0, len(small), 4)]
    rows += [large[i : i + 2] for i in range(0, len(large), 2)]
    top = 0.35 if title else 0.05
    heights = [max(_size(name)[1] for name in row) for row in rows]
    page = new_page(sum(heights) + top + 0.25)
    note = "rows: what people are, with the number of images; columns: the answer; % of the row"
    page.supxlabel(note, x=0.01, ha="left", fontsize=9, color=GREY)
    page.suptitle(title, x=0.01, ha="left")
    total = page.get_figheight()
    for i, row in enumerate(rows):
        for j, name in enumerate(row):
            side, width = _size(name)[0], WIDTH / (4 if name in small else 2)
            left, below = j * width + LEFT, total - top - sum(heights[:i]) - ABOVE - side
            place = left / WIDTH, below / total, (width - LEFT - RIGHT) / WIDTH, side / total
            _table(page.add_axes(place), scores.heads[name])
    return page


@styled
def reliability_diagram(
    predictions: AttributePredictions, targets: Targets, *, bins: int = 10, title: str = ""
) -> Figure:
    """A panel per head: how sure the answers were, and how many of them were right.

    Dots below the diagonal were too sure; their area grows with the number of images. The expected
    calibration error stands in the corner.

    Args:
        predictions: of images of labelled people.
        targets: head -> class indices, or the samples with attributes.
        bins: of probability, of equal width between 0 and 1.
        title: shown above.

    Raises:
        ValueError: `bins` below 1 or no whole number, or targets that do not fit.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599).
    """
    check_whole("bins", bins, 1)
    found = reliability_bins(predictions, targets, bins)
    across = min(4, len(found))
    down = ceil(len(found) / across)
    page = new_page(2.15 * down + (0.6 if title else 0.3), layout="constrained")
    page.suptitle(title, x=0.01, ha="left")
    panels = page.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, (name, one) in zip(panels.flat, found.items(), strict=False):
        _dots(axes, one)
        axes.set_title(spoken(name), fontsize=10)
    for axes in panels.flat[len(found) :]:
        axes.set_axis_off()
    panels[0, 0].set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    for axis in (panels[0, 0].xaxis, panels[0, 0].yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    page.supxlabel("probability of the answer (%)", fontsize=10.5)
    page.supylabel("answers that are right (%)", fontsize=10.5)
    return page


def _own(control: AttributeScores | Control, kind: int) -> list[tuple[float, float]]:
    """The control without its guessing: accuracy (0) or balanced accuracy (1), and the mean."""
    if isinstance(control, AttributeScores):
        return (_accuracies, _balanced)[kind](control)
    values = [float(pair[kind]) for pair in control.values()]
    return [(value, 0.0) for value in [*values, sum(values) / len(values)]]


def _accuracies(scores: AttributeScores) -> list[tuple[float, float]]:
    """The network and guessing: accuracy of every head, and the means."""
    rows = [(head.accuracy, head.majority_accuracy) for head in scores.heads.values()]
    return [*rows, (scores.mean_accuracy, scores.mean_majority_accuracy)]


def _balanced(scores: AttributeScores) -> list[tuple[float, float]]:
    rows = [
        (head.balanced_accuracy, head.majority_balanced_accuracy) for head in scores.heads.values()
    ]
    return [*rows, (scores.mean_balanced_accuracy, scores.mean_majority_balanced_accuracy)]


def _panel(
    axes: Axes,
    rows: list[tuple[float, float]],
    control: list[tuple[float, float]] | None,
    margins: list[Margin] | None,
) -> None:
    """One row per head, the means a little below them."""
    for i, (score, guess) in enumerate(rows):
        y = i + 0.4 * (i == len(rows) - 1)
        color = BLUE if score >= guess else VERMILLION
        if margins and margins[i].verdict == UNCLEAR:
            color = GREY
        axes.plot([guess, score], [y, y], color=color, lw=2, alpha=0.45, zorder=2)
        if margins:
            ends = np.clip([guess + margins[i].low, guess + margins[i].high], 0, 1)
            axes.plot(ends, [y, y], color=color, lw=1.2, marker="|", ms=7, zorder=3)
        if control:
            axes.plot(control[i][0], y, **_CONTROL, zorder=4)
        axes.plot(guess, y, **_GUESS, zorder=4)
        axes.plot(score, y, marker="o", ms=6, color=color, zorder=5)
    axes.axhline(len(rows) - 1.3, color=GREY, lw=0.8)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-0.03, 1.03)  # the same in both panels, so that lengths compare
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])


# A ring wider than the network's dot: seen around it where both are equal.
_GUESS: dict[str, Any] = {"marker": "o", "ms": 10, "mfc": "none", "mec": GREY, "mew": 1.4}
_CONTROL: dict[str, Any] = {"marker": "D", "ms": 5.5, "color": ORANGE}


def _keys(margins: Margins | None, control: object) -> list[Line2D]:
    """What the marks mean."""
    sure = "clearly " if margins else ""
    kinds = [(BLUE, f"network, {sure}above guessing"), (VERMILLION, f"network, {sure}below")]
    kinds += [(GREY, "network, not clear")] if margins else []
    keys = [Line2D([], [], marker="o", ms=6, color=c, lw=2, label=label) for c, label in kinds]
    label = "guessing: the class that training had most"
    keys.append(Line2D([], [], ls="", label=label, **_GUESS))
    if control:
        keys.append(Line2D([], [], ls="", label="control", **_CONTROL))
    if margins:
        label = f"{margins.confidence:.0%} interval of the lead"
        keys.append(Line2D([], [], marker="|", ms=8, color=BLACK, lw=1.2, label=label))
    return keys


def _size(head: str) -> tuple[float, float]:
    """Height of a head's table, and with names and title around, in inches."""
    side = 0.9 if len(HEADS[head]) <= FEW else 3.0
    return side, side + ABOVE + (0.58 if len(HEADS[head]) > 2 else 0.32)


def _table(axes: Axes, head: HeadScores) -> None:
    """The confusions of one head, each row in shares of its images."""
    size = len(head.names)
    support = head.support
    with np.errstate(invalid="ignore"):
        shares = head.confusion / support[:, None]
    axes.pcolormesh(shares, cmap=PALE_TO_BLUE, vmin=0, vmax=1, edgecolor="w", lw=1.5)
    for i, j in np.argwhere(np.isfinite(shares) & (head.confusion > 0)):
        ink = "white" if shares[i, j] > DARK else BLACK
        text = f"{100 * shares[i, j]:.0f}"
        style: Any = {"color": ink, "fontsize": 9 if size == 2 else 8}
        axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", **style)
    words = [spoken(name) for name in head.names]
    middles = np.arange(size) + 0.5
    axes.set_xticks(middles, words, fontsize=8, color=BLACK, rotation=90 if size > 2 else 0)
    axes.set_yticks(middles, words, fontsize=8, color=BLACK)
    for i, number in enumerate(support.tolist()):
        axes.text(size + 0.03 * size, i + 0.5, f"{number:,}", va="center", fontsize=7.5, color=GREY)
    axes.set(xlim=(0, size), ylim=(size, 0))
    axes.tick_params(length=0, pad=2)
    axes.set_title(spoken(head.head), fontsize=10)
    axes.set_facecolor("#EFEFEF")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _dots(axes: Axes, one: Reliability) -> None:
    """Accuracy over confidence, bin by bin."""
    some = one.images > 0
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 2)))
    axes.plot(one.confidence[some], one.accuracy[some], color=BLUE, lw=1.2)
    share = one.images[some] / one.images.sum()
    axes.scatter(
        one.confidence[some], one.accuracy[some], s=10 + 120 * share, color=BLUE, alpha=0.8, lw=0
    )
    label = f"error {one.error:.1%}"
    axes.text(0.97, 0.04, label, ha="right", fontsize=9, transform=axes.transAxes)
