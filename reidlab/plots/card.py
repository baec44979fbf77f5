"""Crops, and beside each what a model says about the person on it.

Shapes: N images, n classes of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from reidlab.data.heads import HEADS
from reidlab.data.images import read_image
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.checks import check_whole
from reidlab.plots.balance import CLOTH
from reidlab.plots.page import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    WIDTH,
    PageFigure,
    Pixels,
    name_person,
    new_page,
    styled,
)

ROW = 0.215  # inches a head takes
TITLE, UNDER = 0.36, 0.2  # inches of the page's title and of the line above a card
CROP = 0.95  # inches, the widest crop
ALONE = 6.4  # inches, the width of cards that stand one below the other
PIXELS = 2 * 215  # height of a crop as drawn: sharp enough for its place on the page
OTHERS = "#C9D6E2"  # bars of the classes that were not chosen
UNKNOWN = -1  # a class that nobody says
TEXT = {"fontsize": 8.5, "va": "center_baseline"}


@styled
def attribute_card(
    predictions: AttributePredictions,
    images: Tensor | None = None,
    *,
    truth: Mapping[str, Tensor] | None = None,
    k: int = 6,
    columns: int = 2,
    title: str = "",
) -> Figure:
    """The first k crops; beside each, a row per head: the answer, and how sure the model is.

    A bar is as long as the page allows for probability 1. Its strong part is the answer's share,
    the thin parts after it are those of the other classes, largest first. The parts of a garment's
    colour are drawn in that colour, "multi" hatched. With `truth`, a cross and the right class
    stand behind every wrong answer, whose bar is vermillion.

    Args:
        predictions: of N images.
        images: uint8 (N, 3, H, W). None reads the files that the predictions know.
        truth: head -> (N,) class index, as `targets_of` gives it; -1 where nobody says it. A head
            that is missing is not judged.
        k: crops at most.
        columns: cards side by side, 1 or 2.
        title: shown above.

    Raises:
        ValueError: no images, neither pixels nor files, another shape, or a class that is none.
    """
    check_whole("k", k, 1)
    if columns not in (1, 2):
        raise ValueError(f"expected 1 or 2 columns, got {columns!r}")
    crops = _crops(predictions, images, k)
    answers = truth_table(truth, predictions)
    columns = min(columns, len(crops))
    rows = math.ceil(len(crops) / columns)
    high = max(ROW * len(predictions.heads), 1.2)
    above = TITLE if title else 0.06
    page = new_page(above + rows * (UNDER + high + 0.2), sharpness=1.5)
    page.suptitle(title, x=0.01, y=1 - 0.07 / page.get_figheight(), ha="left", va="top")
    across = WIDTH / 2 if columns == 2 else ALONE
    for i, pixels in enumerate(crops):
        left = across * (i % columns) + 0.08
        top = page.get_figheight() - above - (i // columns) * (UNDER + high + 0.2)
        page.text(
            left / WIDTH, (top - 0.09) / page.get_figheight(), _name(predictions, i, across),
            fontsize=9, color=GREY, va="center", parse_math=False,
        )  # fmt: skip
        _crop(page, pixels, left, top - UNDER, high)
        box = (left + CROP + 0.06, top - UNDER - high, across - CROP - 0.16, high)
        right = {head: int(classes[i]) for head, classes in answers.items()}
        _table(page, box, predictions, i, right)
    return page


def truth_table(
    truth: Mapping[str, Tensor] | None, predictions: AttributePredictions
) -> dict[str, Tensor]:
    """Head -> (N,) class index of what is known of the predicted heads; -1 where nobody knows.

    Raises:
        ValueError: not one class per image, or a class that the head does not have.
    """
    known = truth or {}
    found = {head: known[head] for head in predictions.heads if head in known}
    for head, classes in found.items():
        if tuple(classes.shape) != (len(predictions),):
            raise ValueError(
                f"{head}: expected truth ({len(predictions)},), one class per image, got "
                f"{tuple(classes.shape)}"
            )
        wrong = (classes < UNKNOWN) | (classes >= len(HEADS[head]))
        if bool(wrong.any()):
            raise ValueError(
                f"{head}: expected classes from 0 to {len(HEADS[head]) - 1}, or -1 for unknown, "
                f"got {int(classes[wrong][0])} for image {int(wrong.nonzero()[0])}"
            )
    return found


def spoken(name: str) -> str:
    """A head or a class as people write it: `up_color` is `upper colour`, `gray` is `grey`."""
    names = {"up_color": "upper colour", "down_color": "lower colour", "gray": "grey"}
    return names.get(name, name)


def _crops(predictions: AttributePredictions, images: Tensor | None, k: int) -> list[Pixels]:
    """The first k images, uint8 (H, W, 3) each."""
    if not len(predictions):
        raise ValueError("expected predictions of at least one image, got none")
    if images is None:
        if not predictions.paths:
            raise ValueError("the predictions know no image files; give images, uint8 (N, 3, H, W)")
        return [_read(path) for path in predictions.paths[:k]]
    wanted = (len(predictions), 3)
    if images.ndim != 4 or tuple(images.shape[:2]) != wanted or images.element_size() != 1:
        raise ValueError(
            f"expected uint8 images ({len(predictions)}, 3, H, W), got {images.dtype} "
            f"{tuple(images.shape)}; images in 0..1 become (255 * images).byte()"
        )
    return list(images[:k].permute(0, 2, 3, 1).cpu().numpy())  # (k, 3, H, W) -> (k, H, W, 3)


def _read(path: Path) -> Pixels:
    """The image of a file, no larger than it is drawn."""
    image = read_image(path)
    scale = PIXELS / image.height
    size = max(1, round(image.width * scale)), PIXELS
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC) if scale < 1 else image)


def _name(predictions: AttributePredictions, i: int, across: float) -> str:
    """Person and camera where somebody is known, else the end of the file's name."""
    pid, camid = int(predictions.pids[i]), int(predictions.camids[i])
    if pid > 0 or not predictions.paths:
        who = name_person(pid) if pid >= -1 else f"image {i}"
        return f"{who}, camera {camid}" if camid > 0 else who
    name, letters = predictions.paths[i].name, int(across / 0.08)
    name = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _axes(page: PageFigure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without frame and ticks at a place given in inches."""
    high = page.get_figheight()
    axes = page.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))
    axes.set_axis_off()
    return axes


def _crop(page: PageFigure, pixels: Pixels, left: float, top: float, high: float) -> None:
    """A crop with its own proportions, as large as it fits."""
    height, width = pixels.shape[:2]
    inch = max(height / high, width / CROP)  # pixels
    axes = _axes(page, left, top - height / inch, width / inch, height / inch)
    axes.imshow(pixels, aspect="auto", interpolation="bicubic")
    axes.set_gid("crop")


def _table(
    page: PageFigure,
    box: tuple[float, float, float, float],
    predictions: AttributePredictions,
    i: int,
    right: Mapping[str, int],
) -> None:
    """A row per head of image i; x counts inches from the left of `box`."""
    axes, width = _axes(page, *box), box[2]
    axes.set(xlim=(0, width), ylim=(len(predictions.heads) - 0.5, -0.5))
    axes.set_gid("table")
    name, answer = 0.78, 0.86  # where the head ends and the answer begins
    bar = (1.54, width - 1.54 - (1.32 if right else 0.44))  # its left, and probability 1
    for y, (head, logits) in enumerate(predictions.logits.items()):
        chances = logits[i].double().softmax(dim=0).tolist()
        best = int(logits[i].argmax())
        judged = right.get(head, UNKNOWN)
        wrong = judged not in (UNKNOWN, best)
        axes.text(name, y, spoken(head), ha="right", color=GREY, **TEXT)
        text = answer
        if "color" in head:
            _swatch(axes, HEADS[head][best], answer, y)
            text += 0.17
        axes.text(text, y, spoken(HEADS[head][best]), color=BLACK, fontweight="bold", **TEXT)
        _bar(axes, head, chances, best, y, bar, VERMILLION if wrong else BLUE)
        axes.text(sum(bar) + 0.42, y, f"{100 * chances[best]:.0f} %", ha="right", **TEXT)
        if wrong:
            mark = f"✗ {spoken(HEADS[head][judged])}"
            axes.text(sum(bar) + 0.47, y, mark, color=VERMILLION, fontweight="bold", **TEXT)


def _swatch(axes: Axes, name: str, left: float, y: float) -> None:
    """A small square in the colour of a garment."""
    axes.barh(
        y, 0.13, 0.6, left, color=CLOTH[name], edgecolor=GREY, linewidth=0.6,
        hatch="/////" if name == "multi" else None,
    )  # fmt: skip


def _bar(
    axes: Axes,
    head: str,
    chances: list[float],
    best: int,
    y: float,
    place: tuple[float, float],
    color: str,
) -> None:
    """The share of the answer, then thinner those of the other classes, largest first."""
    left, whole = place
    axes.barh(y, whole, 0.62, left, color=PALE, linewidth=0)
    others = sorted((c for c in range(len(chances)) if c != best), key=lambda c: -chances[c])
    for c in (best, *others):
        name, high = HEADS[head][c], 0.62 if c == best else 0.3
        own = {"color": color if c == best else OTHERS, "linewidth": 0.0}
        if "color" in head and c != best:
            own = {"color": CLOTH[name], "edgecolor": "#A0A0A0", "linewidth": 0.4}
            own["hatch"] = "/////" if name == "multi" else None
        if chances[c] >= 0.01 or c == best:
            axes.barh(y, whole * chances[c], high, left, **own)  # pyright: ignore[reportArgumentType]
        left += whole * chances[c]
