"""A forest plot: what every claim comes to, seed by seed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reidlab.claims import Claim, Effect
from reidlab.claims.effects import ABOUT
from reidlab.plots.page import BLACK, BLUE, GREY, VERMILLION, new_page, styled

ROW = 0.29  # inches per effect
TITLE, AXIS, LINE = 0.18, 0.62, 0.2  # above a panel, below it, and per line of its title
BELOW = 0.4  # for the note
NOTE = (
    "circles: seeds; mark and bar: their mean with its interval (Student's t over seeds), wider "
    f"for claims about several measures\n{ABOUT}"
)
LETTERS = 104  # of a title's line
LOOKS = {  # verdict -> colour and marker of the mean: told apart without colours, too
    "holds": (BLUE, "D"),
    "contradicted": (VERMILLION, "X"),
    "not visible": (GREY, "o"),
    "all seeds alike": (GREY, "s"),
}
CLOSE = 3.0  # an interval is cut where it is this many times as wide as the seeds are far from 0


@styled
def claims_plot(claims: Iterable[Claim] | Claim, *, title: str = "") -> Figure:
    """A panel per claim and a row per measure: small circles are seeds, the mark is their mean.

    To the right of 0 the treatment is better. Each panel has a scale of its own. An interval that
    would dwarf the seeds is cut, with an arrow; its ends are written beside it.

    Args:
        claims: a `ClaimTable`, some of its claims, or one; those not measured yet are left out.
        title: shown above.

    Raises:
        ValueError: none of the claims was measured.
    """
    listed = [claims] if isinstance(claims, Claim) else list(claims)
    shown = [claim for claim in listed if claim.effects]
    if not shown:
        raise ValueError(f"expected claims that were measured, got {len(listed)} without effects")
    headings = [textwrap.wrap(f"{c.sentence}: {c.summary}", LETTERS) for c in shown]
    heights = [TITLE + LINE * len(h) + ROW * len(c.effects) + AXIS
               for h, c in zip(headings, shown, strict=True)]  # fmt: skip
    above = 0.45 if title else 0.05
    page = new_page(sum(heights) + above + BELOW)
    page.suptitle(title, x=0.01, ha="left")
    page.text(0.01, 0.06 / page.get_figheight(), NOTE, fontsize=9, color=GREY, va="bottom")
    whole, top = page.get_figheight(), page.get_figheight() - above
    for claim, heading, height in zip(shown, headings, heights, strict=True):
        rows = ROW * len(claim.effects)
        bottom = top - height + AXIS
        axes = page.add_axes((0.215, bottom / whole, 0.425, rows / whole))
        place = (bottom + rows + 0.07) / whole
        page.text(0.01, place, "\n".join(heading), fontsize=10.5, weight="bold", va="bottom")
        _panel(axes, claim)
        top -= height
    return page


def _panel(axes: Axes, claim: Claim) -> None:
    """The effects of one claim, from top to bottom."""
    scaled = [effect.measure.scaled for effect in claim.effects]
    pairs = list(zip(claim.effects, scaled, strict=True))
    seeds = [scale(value) for effect, scale in pairs for value in effect.differences]
    ends = [scale(end) for effect, scale in pairs for end in effect.interval]
    reach = max(map(abs, seeds)) * CLOSE or 1.0
    low, high = max(min(*ends, *seeds, 0.0), -reach), min(max(*ends, *seeds, 0.0), reach)
    room = 0.05 * (high - low or 1.0)
    axes.set(xlim=(low - room, high + room), ylim=(len(pairs) - 0.5, -0.5))
    for row, effect in enumerate(claim.effects):
        _row(axes, row, effect)
    axes.axvline(0, color=BLACK, lw=1, zorder=1)
    axes.set_yticks(range(len(pairs)), [effect.measure.title for effect in claim.effects])
    axes.tick_params(axis="y", length=0, labelcolor=BLACK)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    units = list(dict.fromkeys(effect.measure.points for effect in claim.effects))
    own = claim.statement
    axes.set_xlabel(
        f"{own.treatment} better than {own.opponent} by ({', '.join(units)})",
        fontsize=9, labelpad=2,
    )  # fmt: skip


def _row(axes: Axes, row: int, effect: Effect) -> None:
    """Seeds, mean and interval; at the right the figures and the verdict."""
    color, marker = LOOKS[effect.verdict]
    scale = effect.measure.scaled
    mean, (low, high) = scale(effect.mean), map(scale, effect.interval)
    left, right = axes.get_xlim()
    cut = max(low, left), min(high, right)
    axes.plot(cut, (row, row), color=color, lw=2, solid_capstyle="butt", zorder=2)
    for end, inside, arrow in ((cut[0], low >= left, "<"), (cut[1], high <= right, ">")):
        mark = "|" if inside else arrow
        axes.plot(end, row, mark, color=color, ms=7, clip_on=False, zorder=2)
    values = [scale(value) for value in effect.differences]
    axes.plot(
        values, [row + 0.27] * len(values), "o", mfc="white", mec=color, mew=1, ms=4, zorder=3
    )
    axes.plot(mean, row, marker, color=color, ms=7, mec="white", mew=0.7, zorder=4)
    text = f"{mean:+z.1f} ({low:+z.1f} to {high:+z.1f})".replace("-", "\N{MINUS SIGN}")
    inks = ((1.02, text, BLACK), (1.49, effect.verdict, color))
    for x, words, ink in inks:
        axes.text(x, row, words, transform=axes.get_yaxis_transform(), va="center", fontsize=9,
                  color=ink)  # fmt: skip
