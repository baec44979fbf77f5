"""Curves: how training went, and how the score grows with the rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from reidlab.evaluation import Scores
from reidlab.plots.page import BLACK, CYCLE, GREY, new_page, styled

BOOKKEEPING = {"epoch", "step", "lr", "seconds", "images", "images_per_second", "grad_norm"}
SCORES = {"map", "mean_ap", "minp", "mean_inp", "accuracy", "rank1", "rank-1", "rank_1"}
DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))

VAL_LOSS = "val_loss"
NAMES = {"loss": "total", VAL_LOSS: "validation"}


class HasRows(Protocol):
    """Whatever logs one row per epoch, such as a `History`."""

    @property
    def rows(self) -> list[dict[str, float]]:
        """One dict per epoch."""
        ...


@styled
def training_curves(
    history: HasRows | Mapping[str, Sequence[float]], *, log: bool = False, title: str = ""
) -> Figure:
    """Loss terms over the epochs, scores beside them where they were logged, learning rate below.

    Columns named `lr`, `epoch`, `seconds`, `images_per_second`, ... are no losses; scores are those
    whose name starts with `val_`, and mAP, mINP, rank-1, accuracy. `loss` is the total, `val_loss`
    that of validation people, drawn beside it.

    Args:
        history: a `History`, or name -> one value per epoch.
        log: logarithmic axis for the losses.
        title: shown above.

    Raises:
        ValueError: no epoch, no loss term, or columns of different lengths.
    """
    table = _columns(history)
    scores = [
        name
        for name in table
        if (name.startswith("val_") and name != VAL_LOSS) or name.lower() in SCORES
    ]
    terms = [name for name in table if name not in scores and name not in BOOKKEEPING]
    if not terms:
        raise ValueError(f"expected at least one loss term, got the columns {', '.join(table)}")
    epochs = table.get("epoch", np.arange(1, len(table[terms[0]]) + 1))
    page = new_page(4.4 if "lr" in table else 3.8, layout="constrained")
    page.suptitle(title, x=0.01, ha="left")
    heights = [2.6, 1] if "lr" in table else [1]
    grid = page.add_gridspec(len(heights), 2 if scores else 1, height_ratios=heights)
    losses = page.add_subplot(grid[0, 0])
    terms.sort(key=lambda name: name != "loss")  # the total first, drawn in black
    _lines(losses, epochs, {name: table[name] for name in terms})
    losses.set(ylabel="loss", xlabel="epoch", yscale="log" if log else "linear")
    if scores:
        right = page.add_subplot(grid[:, 1], sharex=losses)
        _lines(right, epochs, {name: table[name] for name in scores})
        right.set(ylabel="score", xlabel="epoch")
    if "lr" in table:
        rate = page.add_subplot(grid[1, 0], sharex=losses)
        _lines(rate, epochs, {"lr": table["lr"]}, legend=False)
        rate.set(ylabel="lr", xlabel="epoch")
        rate.yaxis.set_major_locator(MaxNLocator(2))
        rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        losses.set_xlabel("")
        losses.tick_params(labelbottom=False)
    losses.xaxis.set_major_locator(_whole_numbers())
    return page


@styled
def cmc_curve(scores: Scores | Mapping[str, Scores], *, ranks: int = 20, title: str = "") -> Figure:
    """The share of queries with a hit among the first r places, over r.

    Args:
        scores: of one system, or name -> scores to compare several.
        ranks: places to show at most.
        title: shown above.

    Raises:
        ValueError: nothing to show, or `ranks` below 1.
    """
    named = dict(scores) if isinstance(scores, Mapping) else {"": scores}
    if not named or ranks < 1:
        raise ValueError(f"expected scores and ranks of at least 1, got {len(named)} and {ranks}")
    page = new_page(3.8, layout="constrained")
    axes = page.add_subplot(title=title)
    for (name, score), colour, dashes in zip(named.items(), cycle(CYCLE), cycle(DASHES)):
        shown = np.asarray(score.cmc)[:ranks]
        label = f"{name}  rank-1 {shown[0]:.1%}, mAP {score.mean_ap:.1%}".strip()
        places = np.arange(1, len(shown) + 1)
        axes.plot(places, shown, color=colour, ls=dashes, marker="o", ms=4.5, label=label)
    axes.set(xlabel="rank", ylabel="queries with a hit", ylim=(0, 1.02))
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="lower right")
    return page


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def _columns(history: HasRows | Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Name -> (epochs,) float array; an epoch that lacks a value gets NaN."""
    if isinstance(history, Mapping):
        table = {name: np.asarray(values, dtype=float) for name, values in history.items()}
    else:
        names = dict.fromkeys(name for row in history.rows for name in row)
        table = {
            name: np.array([row.get(name, np.nan) for row in history.rows], dtype=float)
            for name in names
        }
    lengths = {len(values) for values in table.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            "expected a history of one epoch or more, every column of the same length, got "
            f"{len(table)} columns of lengths {sorted(lengths)}; call fit(...) first"
        )
    return table


def _lines(axes: Axes, epochs: Any, columns: dict[str, Any], *, legend: bool = True) -> None:
    """One line per column; colour and dashes both tell them apart, the total is black."""
    styles = zip(cycle(CYCLE[:-1]), cycle(DASHES), strict=False)
    for name, values in columns.items():
        colour, dashes = (BLACK, "solid") if name == "loss" else next(styles)
        if name == "lr":
            colour = GREY
        known = np.isfinite(values)
        few = known.sum() <= 30
        axes.plot(
            epochs[known],
            values[known],
            color=colour,
            ls=dashes,
            marker="o" if few else None,
            ms=4,
            label=NAMES.get(name, name.removeprefix("val_")),
        )
    if legend:
        axes.legend()
