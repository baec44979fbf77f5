import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from reidlab.calibration import attribute_margins, expected_calibration_error
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation import evaluate_attributes
from reidlab.plots.attributes import attribute_bars, confusion_grid, reliability_diagram
from reidlab.plots.page import BLUE, GREY, ORANGE, VERMILLION

UNSURE = "network, not clear"

TRAIN = {head: [9] + [1] * (len(names) - 1) for head, names in HEADS.items()}


@pytest.fixture(autouse=True)
def pyplot_is_left_alone():
    before = plt.get_fignums(), dict(matplotlib.rcParams)
    yield
    assert plt.get_fignums() == before[0]
    assert dict(matplotlib.rcParams) == before[1]


def made_up(seed, heads=tuple(HEADS), right=1.5, count=60):
    rng = np.random.default_rng(seed)
    person, logits, truth = np.arange(count) // 3, {}, {}
    for head in heads:
        size = len(HEADS[head])
        own = np.random.default_rng(len(head)).integers(0, size, count // 3)[person]
        table = rng.normal(size=(count, size))
        table[np.arange(count), own] += right
        logits[head], truth[head] = torch.tensor(table), torch.tensor(own)
    return AttributePredictions(logits, torch.tensor(person) + 1, torch.ones(count).long()), truth


def scored(seed=0, **options):
    predictions, truth = made_up(seed, **options)
    return evaluate_attributes(predictions, truth, train=TRAIN)


def marks(axes, marker, color=None):
    return [
        (line.get_xdata()[0], to_hex(line.get_color()))
        for line in axes.lines
        if line.get_marker() == marker and len(line.get_xdata()) == 1
        if color is None or to_hex(line.get_color()) == color.lower()
    ]


def test_bars_show_network_and_guessing_in_both_panels():
    scores = scored()
    figure = attribute_bars(scores, title="here")
    left, right = figure.axes
    for axes, kind in ((left, "accuracy"), (right, "balanced_accuracy")):
        expected = [
            (getattr(head, f"majority_{kind}"), getattr(head, kind))
            for head in scores.heads.values()
        ]
        mean = getattr(scores, f"mean_majority_{kind}"), getattr(scores, f"mean_{kind}")
        found = [x for x, _ in marks(axes, "o")]
        assert list(zip(found[::2], found[1::2], strict=True)) == [*expected, mean]
        for guess, score in expected:
            assert axes.get_xlim()[0] < min(guess, score) and max(guess, score) < axes.get_xlim()[1]
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == [*list(HEADS)[:-2], "upper colour", "lower colour", "mean"]


def test_what_is_worse_than_guessing_is_vermillion():
    better, worse = (scored(heads=("gender",), right=r) for r in (9.0, -9.0))
    for scores, color in ((better, BLUE), (worse, VERMILLION)):
        axes = attribute_bars(scores).axes[1]
        assert [c for _, c in marks(axes, "o")[1::2]] == [color.lower()] * 2


def test_intervals_begin_at_guessing_and_the_control_is_marked():
    predictions, truth = made_up(0)
    scores, control = scored(), scored(1)
    margins = attribute_margins(predictions, truth, TRAIN, resamples=50)
    figure = attribute_bars(scores, margins, control)
    axes = figure.axes[1]
    ends = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
    head, margin = scores.heads["age"], margins.balanced["age"]
    guess = head.majority_balanced_accuracy
    assert ends[0].tolist() == pytest.approx([guess + margin.low, min(guess + margin.high, 1)])
    assert len(ends) == 13
    others = [x for x, _ in marks(axes, "D", ORANGE)]
    expected = [one.balanced_accuracy for one in control.heads.values()]
    assert others == [*expected, control.mean_balanced_accuracy]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "control" in words and "95% interval of the lead" in words
    plain = [text.get_text() for text in attribute_bars(scores).legends[0].get_texts()]
    assert len(plain) == 3


def test_leads_that_are_not_clear_are_grey_and_explained():
    predictions, truth = made_up(0)
    scores = scored()
    margins = attribute_margins(predictions, truth, TRAIN, resamples=50)
    figure = attribute_bars(scores, margins)
    axes = figure.axes[0]
    rows = [*margins.accuracy.values(), margins.mean_accuracy]
    colors = [c for _, c in marks(axes, "o")[1::2]]
    for margin, color in zip(rows, colors, strict=True):
        clear = BLUE if margin.value > 0 else VERMILLION
        assert color == (GREY if margin.verdict == "not clear" else clear).lower()
    assert GREY.lower() in colors and BLUE.lower() in colors
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:3] == ["network, clearly above guessing", "network, clearly below", UNSURE]
    plain = [text.get_text() for text in attribute_bars(scores).legends[0].get_texts()]
    assert plain[:2] == ["network, above guessing", "network, below"]


def test_the_ring_of_guessing_is_seen_around_an_equal_dot():
    predictions, truth = made_up(0, ("hat",))
    same = AttributePredictions(
        {"hat": torch.tensor([[1.0, 0.0]]).repeat(60, 1)}, predictions.pids, predictions.camids
    )
    axes = attribute_bars(evaluate_attributes(same, truth, train=TRAIN)).axes[0]
    ring, dot = [line for line in axes.lines if line.get_marker() == "o"][:2]
    assert ring.get_xdata()[0] == dot.get_xdata()[0]
    assert ring.get_markersize() - ring.get_markeredgewidth() > dot.get_markersize() + 1


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_bins_are_a_whole_number(bins):
    with pytest.raises(ValueError, match="expected bins"):
        reliability_diagram(*made_up(0, ("hat",)), bins=bins)


def test_margins_and_controls_of_other_heads_are_refused():
    scores, fewer = scored(), scored(heads=("hat",))
    with pytest.raises(ValueError, match="expected control of age, .*; got hat"):
        attribute_bars(scores, None, fewer)
    predictions, truth = made_up(0, ("hat",))
    margins = attribute_margins(predictions, truth, TRAIN, resamples=10)
    with pytest.raises(ValueError, match="expected margins of age, .*; got hat"):
        attribute_bars(scores, margins)


def test_confusions_are_shares_of_their_row():
    scores = scored(heads=("hat", "age"))
    figure = confusion_grid(scores)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["hat", "age"]
    hat = figure.axes[0]
    head = scores.heads["hat"]
    shares = head.confusion / head.support[:, None]
    expected = [f"{100 * shares[i, j]:.0f}" for i, j in np.argwhere(head.confusion > 0)]
    assert [text.get_text() for text in hat.texts] == [*expected, *map(str, head.support)]
    np.testing.assert_allclose(hat.collections[0].get_array().ravel(), shares.ravel())
    assert [label.get_text() for label in hat.get_yticklabels()] == ["no", "yes"]
    assert hat.get_ylim() == (2, 0)  # the first class on top


def test_names_and_tables_stay_on_the_page_and_apart():
    figure = confusion_grid(scored(), title="all")
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert len(boxes) == 12
    page = figure.bbox
    for i, box in enumerate(boxes):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_class_that_nobody_has_is_an_empty_row():
    predictions, truth = made_up(0, ("hat",))
    truth = {"hat": torch.zeros_like(truth["hat"])}
    scores = evaluate_attributes(predictions, truth, train=TRAIN)
    axes = confusion_grid(scores).axes[0]
    assert axes.texts[-1].get_text() == "0"
    assert "nan" not in " ".join(text.get_text() for text in axes.texts)


def test_some_heads_can_be_chosen():
    scores = scored()
    figure = confusion_grid(scores, ["up_color", "hat"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["hat", "upper colour"]
    assert len(confusion_grid(scores, "hat").axes) == 1
    with pytest.raises(ValueError, match="some of the heads age, .* got shoes"):
        confusion_grid(scores, ["shoes"])
    with pytest.raises(ValueError, match="got none"):
        confusion_grid(scores, [])


def test_the_reliability_diagram_draws_the_bins_and_their_error():
    predictions, truth = made_up(0)
    figure = reliability_diagram(predictions, truth, bins=5, title="here")
    errors = expected_calibration_error(predictions, truth, bins=5)
    shown = [axes.texts[0].get_text() for axes in figure.axes]
    assert shown == [f"error {error:.1%}" for error in errors.values()]
    table = predictions.probabilities["hat"].max(dim=1).values.numpy()
    bin_ = np.ceil(5 * table) - 1
    right = (predictions.answers["hat"] == truth["hat"]).numpy()
    axes = figure.axes[list(HEADS).index("hat")]
    expected = [(table[bin_ == b].mean(), right[bin_ == b].mean()) for b in np.unique(bin_)]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), expected)
    few = reliability_diagram(*made_up(0, ("hat", "bag")))
    assert len(few.axes) == 2


def test_every_picture_can_be_stored():
    predictions, truth = made_up(0, ("hat", "up_color"))
    scores = evaluate_attributes(predictions, truth, train=TRAIN)
    for figure in (
        attribute_bars(scores),
        confusion_grid(scores),
        reliability_diagram(predictions, truth),
    ):
        assert figure.png().startswith(b"\x89PNG")


def test_a_stored_control_is_drawn_where_the_same_scores_would_be():
    own, other = scored(0), scored(1)
    stored = {h: (x.accuracy, x.balanced_accuracy) for h, x in other.heads.items()}
    pictures = [attribute_bars(own, None, control).png() for control in (other, stored)]
    assert pictures[0] == pictures[1]
    with pytest.raises(ValueError, match="expected control of"):
        attribute_bars(own, None, {"hat": (0.5, 0.5)})
