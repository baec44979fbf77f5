"""Open-set search: who is still found when strangers must not be taken for somebody."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from reidlab.calibration import OpenSet
from reidlab.calibration.intervals import percent
from reidlab.plots.curves import DASHES
from reidlab.plots.page import CYCLE, new_page, styled


@styled
def open_set_curve(result: OpenSet | Mapping[str, OpenSet], *, title: str = "") -> Figure:
    """Detection and identification rate over the false positive identification rate.

    The axis below is logarithmic and begins where one query without a mate is taken for somebody.
    Points asked for are marked with their intervals; the dotted line is rank-1 without a threshold.

    Args:
        result: of one system, or name -> result to compare several.
        title: shown above.

    Raises:
        ValueError: nothing to show.
    """
    named = dict(result) if isinstance(result, Mapping) else {"": result}
    if not named:
        raise ValueError("expected a result of open_set, got none")
    page = new_page(4.0, layout="constrained")
    axes = page.add_subplot(title=title)
    least = min(1 / one.without_mate for one in named.values())
    sides = cycle(("right", "left") if len(named) > 1 else ("center",))  # figures kept apart
    for (name, one), color, dashes in zip(named.items(), cycle(CYCLE), cycle(DASHES)):
        side = next(sides)
        x = np.maximum(one.false_positive, least / 2)  # a log axis has no 0
        label = f"{name}  {one.with_mate:,} queries with a mate, {one.without_mate:,} without"
        axes.step(x, one.detected, where="post", color=color, ls=dashes, label=label.strip())
        axes.axhline(one.detected[-1], color=color, ls=":", lw=1)
        for point in one.points:
            across, up = point.false_positive, point.detected
            place = max(across.value, least / 2), up.value
            axes.errorbar(
                *place,
                yerr=[[up.value - up.low], [up.high - up.value]],
                color=color,
                marker="o",
                ms=6,
                lw=1.5,
                capsize=3,
            )
            axes.annotate(
                f"{percent(up.value)} %",
                (place[0], up.high),
                xytext=(0, 3),
                textcoords="offset points",
                ha="left" if place[0] < 1.5 * least else side,
                va="bottom",
                color=color,
                fontsize=9,
            )
    axes.set(xscale="log", xlim=(least / 2, 1.0), ylim=(0, 1.02))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="strangers taken for somebody", ylabel="known people found at rank 1")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="upper left")
    return page
