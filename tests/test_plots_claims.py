import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from reidlab.claims import Claim, Measure, Statement, judge
from reidlab.plots.claims import claims_plot
from reidlab.plots.page import BLUE, GREY, VERMILLION

MEASURES = tuple(Measure(name, f"title of {name}") for name in ("up", "flat", "down"))
RUNS = {
    "a": {s: {"up": 0.8 + 0.01 * s, "flat": 0.7 + 0.1 * (-1) ** s, "down": 0.6} for s in range(3)},
    "b": {s: {"up": 0.7, "flat": 0.7, "down": 0.7 - 0.003 * s} for s in range(3)},
}


def statement(*measures):
    return Statement("s", "It helps", "a report", "because", "a", "b", measures or MEASURES)


@pytest.fixture
def claim():
    return judge(statement(), RUNS)


def words(figure):
    axes_text = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " | ".join([*axes_text, *(text.get_text() for text in figure.texts)])


def marks(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


def test_every_measure_is_a_row_with_its_seeds_mean_and_interval(claim):
    (axes,) = claims_plot(claim).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [m.title for m in MEASURES]
    seeds = [line.get_xdata() for line in marks(axes, "o") if line.get_markerfacecolor() == "white"]
    for found, effect in zip(seeds, claim.effects, strict=True):
        assert list(found) == pytest.approx([100 * value for value in effect.differences])
    (mean,) = marks(axes, "D")
    assert mean.get_xdata() == pytest.approx([11.0])
    assert sorted(axes.get_ylim()) == [-0.5, 2.5] and axes.yaxis_inverted()


def test_the_verdict_is_written_and_has_a_colour_and_a_mark(claim):
    (axes,) = claims_plot(claim).axes
    texts = {text.get_text(): to_hex(text.get_color()) for text in axes.texts}
    assert [claim.effects[i].verdict for i in range(3)] == ["holds", "not visible", "contradicted"]
    assert texts["holds"] == BLUE.lower() and texts["not visible"] == GREY.lower()
    assert texts["contradicted"] == VERMILLION.lower()
    assert len(marks(axes, "D")) == len(marks(axes, "X")) == 1
    assert "It helps: contradicted (1 holds, 1 contradicted, 1 not visible)" in words(
        claims_plot(claim)
    )
    low, high = (100 * end for end in claim.effects[0].interval)
    assert f"+11.0 (+{low:.1f} to +{high:.1f})" in words(claims_plot(claim))
    assert "\N{MINUS SIGN}9.7 (\N{MINUS SIGN}" in words(claims_plot(claim))


def test_a_line_stands_at_zero_which_is_always_in_sight(claim):
    for shown in (claim, judge(statement(MEASURES[0]), RUNS)):
        (axes,) = claims_plot(shown).axes
        low, high = axes.get_xlim()
        assert low < 0 < high
        assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)


def test_an_interval_that_dwarfs_the_seeds_is_cut_with_an_arrow():
    runs = {"a": {0: {"up": 0.71}, 1: {"up": 0.7}}, "b": {0: {"up": 0.7}, 1: {"up": 0.7}}}
    (axes,) = claims_plot(judge(statement(MEASURES[0]), runs)).axes
    assert max(map(abs, axes.get_xlim())) < 4
    assert marks(axes, "<") and marks(axes, ">") and not marks(axes, "|")
    whole = judge(statement(MEASURES[0]), RUNS)
    assert len(marks(claims_plot(whole).axes[0], "|")) == 2


def test_a_panel_per_claim_without_those_that_were_not_measured(claim):
    missing = Claim(statement())
    figure = claims_plot([claim, missing, claim], title="Claims")
    assert len(figure.axes) == 2 and figure.get_suptitle() == "Claims"
    with pytest.raises(ValueError, match="expected claims that were measured, got 1 without"):
        claims_plot([missing])


def test_equal_arms_are_drawn():
    runs = {arm: {s: {"up": 0.7} for s in range(3)} for arm in "ab"}
    (axes,) = claims_plot(judge(statement(MEASURES[0]), runs)).axes
    low, high = axes.get_xlim()
    assert low < high and axes.get_xlabel() == "a better than b by (points)"
    assert "all seeds alike" in words(axes.figure) and "+0.0 (+0.0 to +0.0)" in words(axes.figure)


def test_the_figure_says_what_is_compared_and_about_whom(claim):
    measure = Measure("up", "up", better="lower", against="flat")
    own = Statement("s", "It helps", "a report", "because", "a", "a", (measure,), "guessing")
    (axes,) = claims_plot(judge(own, RUNS)).axes
    assert axes.get_xlabel() == "a better than guessing by (points)"
    assert "about seeds, not about other people" in words(claims_plot(claim))


def test_zero_has_no_sign():
    runs = {"a": {s: {"up": 0.7 + 0.0002 * (s - 1.05)} for s in range(3)}}
    runs["b"] = {s: {"up": 0.7} for s in range(3)}
    shown = judge(statement(MEASURES[0]), runs)
    assert -0.0005 < shown.effects[0].mean < 0
    assert "+0.0 (" in words(claims_plot(shown))


def test_nothing_is_cut_off_and_pyplot_is_left_alone(claim):
    before = plt.get_fignums()
    figure = claims_plot(claim, title="Claims")
    figure.canvas.draw()
    assert figure.get_tightbbox().x0 >= 0 and figure.get_tightbbox().x1 <= 9.0
    assert plt.get_fignums() == before
