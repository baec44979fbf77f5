"""What each loss makes of a pair's similarity: how much it costs, and how hard it pulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from reidlab.losses import (
    contrastive_loss,
    cosine_triplet,
    pairwise_circle,
    pairwise_contrastive,
    pairwise_cosface,
)
from reidlab.plots.curves import DASHES
from reidlab.plots.page import CYCLE, GREY, new_page, styled

Loss = Callable[[Tensor, Tensor], Tensor]  # embeddings (B, D) and pids (B,) -> scalar

PEOPLE = torch.tensor([0, 0, 1, 1])
POINTS = 181


def _margin_contrastive(x: Tensor, pids: Tensor) -> Tensor:
    """The loss of a positive and of a negative pair, summed."""
    return 2 * contrastive_loss(x[[0, 0]], x[[1, 2]], pids[[0, 0]] == pids[[1, 2]])


FAMILY: dict[str, Loss] = {
    "contrastive with margin 1": _margin_contrastive,
    "triplet, margin 0.3": cosine_triplet,
    "InfoNCE, scale 16": lambda x, pids: pairwise_contrastive(x, pids, 16) / 16,
    "CosFace, scale 16, margin 0.1": lambda x, pids: pairwise_cosface(x, pids, 16, 0.1) / 16,
    "Circle, scale 48, margin 0.35": lambda x, pids: pairwise_circle(x, pids, 48, 0.35) / 48,
}


@styled
def penalty_curves(
    losses: Mapping[str, Loss] | None = None,
    *,
    positive: float = 0.8,
    negative: float = 0.3,
    title: str = "",
) -> Figure:
    """Loss (above) and size of its gradient (below) over the cosine of a pair.

    Left positive pairs move while negatives stay at `negative`, right negative pairs move while
    positives stay at `positive`. Each point is a call of the loss on four unit vectors, two
    images of two people: both pairs of one person have one cosine, all pairs of two people another.
    Where no such vectors exist a curve ends.

    Args:
        losses: name -> function of embeddings and pids; None shows five, divided by their scales.
        positive: cosine of positive pairs on the right, in (-1, 1).
        negative: cosine of negative pairs on the left, in (-1, 1).
        title: shown above.

    Raises:
        ValueError: nothing to show, a cosine outside (-1, 1), or a loss that does not depend on the
            embeddings.
    """
    share = " / scale" if losses is None else ""
    losses = FAMILY if losses is None else losses
    if not losses:
        raise ValueError("expected at least one loss, got none")
    if not (-1 < positive < 1 and -1 < negative < 1):
        raise ValueError(f"expected cosines in (-1, 1), got {positive} and {negative}")
    page = new_page(6.4, layout="constrained")
    page.suptitle(title, x=0.01, ha="left")
    grid: Any = page.subplots(2, 2, sharex="col", sharey="row")
    for column, (moving, fixed) in enumerate([("positive", negative), ("negative", positive)]):
        styles = zip(cycle(CYCLE), cycle(DASHES))
        for (name, loss), (color, dashes) in zip(losses.items(), styles, strict=False):
            cosines, value, slope = _curve(name, loss, moving, fixed)
            line = {"color": color, "ls": dashes, "label": name}
            grid[0, column].plot(cosines, value, **line)
            grid[1, column].plot(cosines, np.abs(slope), **line)
    _name_axes(grid, positive, negative, share)
    page.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return page


def _curve(name: str, loss: Loss, moving: str, fixed: float) -> tuple[NDArray, NDArray, NDArray]:
    """Cosines of the moving pair, the loss there, and its derivative by that cosine."""
    ends = _ends(moving, fixed)
    hair = min(1e-4, (ends[1] - ends[0]) / 1000)  # at the ends the vectors have no derivative
    cosines = torch.linspace(ends[0] + hair, ends[1] - hair, POINTS, dtype=torch.float64)
    rows = []
    for cosine in cosines:
        one = cosine.clone().requires_grad_()
        other = torch.tensor(fixed, dtype=torch.float64)
        vectors = _people(one, other) if moving == "positive" else _people(other, one)
        value = loss(vectors, PEOPLE)
        slope = _slope(value, one)
        if slope is None:
            raise ValueError(
                f"{name}: {value.item():g} does not depend on the embeddings, so that nothing "
                "pulls at them; expected a function of embeddings and pids with a gradient"
            )
        rows.append((cosine.item(), value.item(), slope.item()))
    found = np.array(rows).T
    return found[0], found[1], found[2]


def _slope(value: Tensor, cosine: Tensor) -> Tensor | None:
    """The derivative of a loss by the cosine; None where it does not depend on it."""
    if not value.requires_grad:
        return None
    return torch.autograd.grad(value, cosine, allow_unused=True)[0]


def _ends(moving: str, fixed: float) -> tuple[float, float]:
    """Between which cosines the moving pairs can be, when the other ones have cosine `fixed`."""
    widest = (1 + fixed) / 2  # the largest cosine of negatives, where the people coincide
    return (2 * abs(fixed) - 1, 1.0) if moving == "positive" else (-widest, widest)


def _people(positive: Tensor, negative: Tensor) -> Tensor:
    """Four unit vectors (4, 4), two images of two people, with the given cosines.

    The means of the people lie in a plane; the images of each stand off its mean on an own axis.
    """
    length, off = ((1 + positive) / 2).sqrt(), ((1 - positive) / 2).sqrt()
    cosine = negative / length.square()  # of the angle between the means
    zero = torch.zeros_like(length)
    first = torch.stack([length, zero])
    second = length * torch.stack([cosine, (1 - cosine.square()).sqrt()])
    aside, across = torch.stack([off, zero]), torch.stack([zero, off])
    return torch.stack(
        [
            torch.cat([first, aside]),
            torch.cat([first, -aside]),
            torch.cat([second, across]),
            torch.cat([second, -across]),
        ]
    )


def _name_axes(grid: NDArray, positive: float, negative: float, share: str) -> None:
    """Titles, labels, and a line where positives and negatives are equally similar."""
    grid[0, 0].set_title(f"Positive pairs move, negatives at {negative:g}")
    grid[0, 1].set_title(f"Negative pairs move, positives at {positive:g}")
    grid[1, 0].set_title("How hard positives are pulled")
    grid[1, 1].set_title("How hard negatives are pushed")
    grid[0, 0].set(ylabel=f"loss{share}", xlim=_ends("positive", negative))
    grid[0, 1].set_xlim(_ends("negative", positive))
    grid[1, 0].set(ylabel=f"size of the gradient{share}", xlabel="cosine of positive pairs")
    grid[1, 1].set(xlabel="cosine of negative pairs")
    others = 2 * [(negative, "negatives"), (positive, "positives")]
    for axes, (cosine, other) in zip(grid.flat, others, strict=True):
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", nbins=5)
        low, high = axes.get_xlim()
        if not low < cosine < high:  # never as near as the others
            continue
        axes.axvline(cosine, color=GREY, ls=":", lw=1.2, zorder=1.5)
        if axes in grid[0]:
            _say(axes, cosine, f" as near as\n the {other} ", left=cosine > (low + high) / 2)


def _say(axes: Axes, cosine: float, words: str, *, left: bool) -> None:
    """`words` beside a line, on the side that has more room."""
    axes.text(
        cosine,
        0.97,
        words,
        color=GREY,
        fontsize=9,
        va="top",
        ha="right" if left else "left",
        multialignment="left",
        transform=axes.get_xaxis_transform(),
    )
