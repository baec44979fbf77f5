"""A search by attributes to look at: each wish and the images that fit it best.

Shapes: Q wishes, K places of the ranking, N gallery images.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from reidlab.data.heads import HEADS
from reidlab.evaluation.checks import check_whole
from reidlab.plots.card import UNKNOWN, spoken, truth_table
from reidlab.plots.gallery import (
    FOOT,
    HEAD,
    LETTER,
    NEUTRAL,
    PIXELS_HIGH,
    RIGHT,
    WRONG,
    Cell,
    fit_pixels,
    place_axes,
    show_cell,
)
from reidlab.plots.page import BLACK, GREY, WIDTH, PageFigure, image_size, new_page, styled
from reidlab.ranking.attributes import AttributeRanking

Wanted = Mapping[str, frozenset[int]]

SHORT = {"up_color": "upper", "down_color": "lower", "up": "sleeves", "down": "legs"}
WORDS = 1.38  # inches that a wish's words take
LINE = 0.17  # inches a line of them takes
ACROSS = 10  # images side by side; more go on below


@styled
def attribute_gallery(
    ranking: AttributeRanking,
    *,
    truth: Mapping[str, Tensor] | None = None,
    wishes: Sequence[int] | None = None,
    k: int = 8,
    title: str = "",
) -> Figure:
    """One row per wish: its words, then the k images that most likely fulfil it, best first.

    A solid blue frame and a tick mark an image whose person has all that is wanted, a dashed
    vermillion one and a cross anybody else. Where nobody says it, the frame is grey. Under each
    image: the probability that all wanted attributes hold together, and below it what the person
    has instead; where nobody says it, the wanted attribute that the model doubts most.

    Args:
        ranking: from `rank_by_attributes`; its predictions know the image files.
        truth: head -> (N,) class index of the gallery images, as `targets_of` gives it; -1 where
            nobody says it.
        wishes: rows to show, positions in the ranking. None is the first four, or all of fewer.
        k: images per wish, ten side by side; a shorter ranking shows all it has.
        title: shown above.

    Raises:
        ValueError: no image paths, a wish outside the ranking, k below 1 or no whole number, or
            truth that does not belong to these images.
    """
    rows = range(min(4, len(ranking.order))) if wishes is None else wishes
    _check(ranking, rows, k)
    known = truth_table(truth, ranking.predictions)
    k = min(k, ranking.order.shape[1])
    paths = ranking.predictions.paths
    height, width = image_size(paths[int(ranking.order[rows[0], 0])])
    across = min(max(k, 4), ACROSS)
    cell = (WIDTH - WORDS) / across  # inches
    image_width = 0.86 * cell
    image_height = min(image_width * height / width, 3.0)
    step = HEAD + image_height + FOOT
    said = [textwrap.wrap(str(ranking.wishes[q]), 15) for q in rows]
    heights = [max(math.ceil(k / across) * step, HEAD + LINE * len(s) + 0.1) for s in said]
    top = 0.4 if title else 0.05
    page = new_page(top + sum(heights) + 0.3, sharpness=1.25)
    page.suptitle(title, x=0.01, y=1 - 0.08 / page.get_figheight(), ha="left", va="top")
    size = (PIXELS_HIGH, round(PIXELS_HIGH * image_width / image_height))
    judged = False
    for row, q in enumerate(rows):
        upper = page.get_figheight() - top - sum(heights[:row]) - HEAD
        _words(page, said[row], upper)
        for column, shown in enumerate(_cells(ranking, known, q, k, int(cell / LETTER))):
            judged |= shown.frame is not NEUTRAL
            left = WORDS + cell * (column % across + 0.07)
            bottom = upper - image_height - step * (column // across)
            axes = place_axes(page, left, bottom, image_width, image_height)
            axes.set_gid(f"row {row} column {column}")
            pixels = fit_pixels(shown.path, size)
            show_cell(axes, pixels, shown.frame, shown.head, shown.caption)
    _explain(page, judged)
    return page


def _check(ranking: AttributeRanking, rows: Sequence[int], k: int) -> None:
    check_whole("k", k, 1)
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        raise ValueError(f"expected wishes as positions in the ranking such as [0], got {rows!r}")
    if not rows:
        raise ValueError("expected at least one wish to show, got none")
    for q in rows:
        check_whole("each of wishes", q)
        if not 0 <= q < len(ranking.order):
            raise ValueError(f"expected wishes from 0 to {len(ranking.order) - 1}, got {q}")
    if not ranking.predictions.paths:
        raise ValueError(
            "the predictions know no image files; predict from samples, or give "
            "AttributePredictions(..., paths=[...]), one path per row"
        )


def _cells(
    ranking: AttributeRanking, truth: Mapping[str, Tensor], q: int, k: int, letters: int
) -> list[Cell]:
    """The first k images for a wish, with two lines on each of at most so many letters."""
    wanted, paths = ranking.wishes[q].wanted, ranking.predictions.paths
    places = zip(ranking.order[q, :k].tolist(), ranking.score[q, :k].tolist(), strict=True)
    chances = {head: values.tolist() for head, values in ranking.chances(q).items()}
    cells = []
    for place, (g, score) in enumerate(places, start=1):
        verdict = fulfils(wanted, truth, g)
        frame = {None: NEUTRAL, True: RIGHT, False: WRONG}[verdict]
        if verdict is None:
            below = _doubt({head: values[place - 1] for head, values in chances.items()})
        else:
            wrong = instead(wanted, truth, g)
            below = wrong[0] + "…" * (len(wrong) > 1) if wrong else ""
        below = below if len(below) <= letters + 1 else f"{below[:letters]}…"
        head = f"{frame.mark} {place}".strip()
        cells.append(Cell(paths[g], frame, head, f"p = {score:.2f}\n{below}".rstrip()))
    return cells


def fulfils(wanted: Wanted, truth: Mapping[str, Tensor], g: int) -> bool | None:
    """Whether the person in image g has all that is wanted; None where nobody says it."""
    known = {head: int(truth[head][g]) if head in truth else UNKNOWN for head in wanted}
    if any(c != UNKNOWN and c not in wanted[head] for head, c in known.items()):
        return False
    return None if UNKNOWN in known.values() else True


def instead(wanted: Wanted, truth: Mapping[str, Tensor], g: int) -> list[str]:
    """What the person in image g is known to have instead of what is wanted, such as `hat`."""
    return [
        class_words(head, int(truth[head][g]))
        for head in wanted
        if head in truth and int(truth[head][g]) not in (UNKNOWN, *wanted[head])
    ]


def class_words(head: str, c: int) -> str:
    """A class in two words: `no backpack`, `hat`, `upper grey`, `hair short`, `female`."""
    name = spoken(HEADS[head][c])
    if HEADS[head] == ("no", "yes"):
        return head if name == "yes" else f"no {head}"
    if head in ("age", "gender", "clothes"):
        return name
    return f"{SHORT.get(head, head)} {name}"


def _doubt(chances: Mapping[str, float]) -> str:
    """The wanted attribute that is least likely; empty where one alone is wanted."""
    if len(chances) < 2:
        return ""
    head = min(chances, key=chances.__getitem__)
    return f"{SHORT.get(head, head)}?"


def _words(page: PageFigure, lines: Sequence[str], top: float) -> None:
    """A wish in bold at the left of its row."""
    page.text(
        0.08 / WIDTH, top / page.get_figheight(), "\n".join(lines),
        ha="left", va="top", fontsize=9.5, fontweight="bold", color=BLACK, parse_math=False,
    )  # fmt: skip


def _explain(page: PageFigure, judged: bool) -> None:
    """The lines at the foot: what frames and numbers mean."""
    text = "p: how likely all of it holds, in the eyes of the model"
    if not judged:
        text += "; below it, what it doubts most"
    page.text(0.99, 0.11 / page.get_figheight(), text, color=GREY, fontsize=9.5, ha="right")
    if judged:
        meanings = ((RIGHT, "has it all"), (WRONG, "has not"))
        handles = [
            Patch(
                fill=False, edgecolor=f.color, ls=f.dashes, lw=f.width / 2, label=f"{f.mark} {word}"
            )
            for f, word in meanings
        ]
        page.legend(
            handles=handles, labelcolor=[f.color for f, _ in meanings], loc="lower left",
            bbox_to_anchor=(0.0, 0.0), ncols=2, handlelength=1.4,
        )  # fmt: skip
