"""How the people of a dataset are spread over attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidlab.data.heads import HEADS
from reidlab.plots.page import BLACK, new_page, styled

# A plain class has a tint by position; a colour is shown as itself.
TINTS = ("#9CC3E0", "#E69F00", "#9FD3B8", "#D7A3C4")
CLOTH = {
    "black": "#2B2B2B", "white": "#F4F4F2", "red": "#C23B35", "purple": "#7B4B94",
    "yellow": "#E8C63F", "gray": "#9A9A9A", "blue": "#3667A6", "green": "#4E8A4B",
    "pink": "#E7A3B8", "brown": "#7A5537", "multi": "#FFFFFF",
}  # fmt: skip
DARK = {"black", "red", "purple", "blue", "green", "brown"}
ROW = 0.34  # inches
NARROW = 0.05  # share below which a segment is too small for its name


@styled
def attribute_balance(
    counts: Mapping[str, Sequence[int]],
    *,
    reference: Mapping[str, Sequence[int]] | None = None,
    title: str = "",
) -> Figure:
    """A bar per head, cut into the shares of its classes; what is rare is named at the right.

    Args:
        counts: head -> number of people per class, as `reidlab.data.attributes.counts` gives it.
        reference: the same of another dataset, drawn as a thinner bar below each.
        title: shown above.

    Raises:
        ValueError: an unknown head, another number of classes, or a head without anybody.
    """
    for table in (counts, reference or {}):
        for head, numbers in table.items():
            _check(head, numbers)
    rows = len(counts)
    step = 1.55 if reference else 1.0
    page = new_page(ROW * step * rows + (0.75 if title else 0.45))
    axes = page.add_axes((0.125, 0.02, 0.585, 1 - (0.6 if title else 0.3) / page.get_figheight()))
    for row, (head, numbers) in enumerate(counts.items()):
        _bar(axes, head, numbers, row * step, 0.72)
        name = {"up_color": "upper colour", "down_color": "lower colour"}.get(head, head)
        axes.text(-0.015, row * step, name, ha="right", va="center", fontsize=10)
        axes.text(1.015, row * step, _rare(head, numbers), ha="left", va="center", fontsize=8.5)
        if reference and head in reference:
            _bar(axes, head, reference[head], row * step + 0.6, 0.34, named=False)
    axes.set(xlim=(0, 1), ylim=(step * rows - 0.4, -0.6))
    axes.set_axis_off()
    page.suptitle(title, x=0.01, ha="left")
    return page


def _check(head: str, numbers: Sequence[int]) -> None:
    if head not in HEADS:
        raise ValueError(f"unknown attribute {head!r}; expected some of {', '.join(HEADS)}")
    if len(numbers) != len(HEADS[head]) or sum(numbers) < 1:
        raise ValueError(
            f"{head}: expected the numbers of people of {', '.join(HEADS[head])}, got "
            f"{list(numbers)}"
        )


def _bar(
    axes: Axes, head: str, numbers: Sequence[int], y: float, height: float, named: bool = True
) -> None:
    """One bar of length 1, cut into the shares of its classes, in their order."""
    left, total = 0.0, sum(numbers)
    for i, (name, number) in enumerate(zip(HEADS[head], numbers, strict=True)):
        share = number / total
        color = CLOTH.get(name, TINTS[i % len(TINTS)]) if "color" in head else TINTS[i]
        pattern = "////" if name == "multi" else None
        axes.barh(
            y, share, height, left, color=color, edgecolor="#777777", linewidth=0.5, hatch=pattern
        )
        if named and share >= max(NARROW, 0.011 * len(name)):
            ink = "white" if "color" in head and name in DARK else BLACK
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if pattern else None
            middle = left + share / 2
            text = name.replace("gray", "grey")
            axes.text(middle, y, text, ha="center", va="center", fontsize=8.5, color=ink, bbox=box)
        left += share


def _rare(head: str, numbers: Sequence[int]) -> str:
    """The rarest class: its number, and how many times the most common one has it."""
    least, most = min(numbers), max(numbers)
    name = HEADS[head][list(numbers).index(least)]
    if least == 0:
        return f"rarest: {name}, nobody"
    return f"rarest: {name}, {least} of {sum(numbers)} (1 : {most / least:.3g})"
