import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from reidlab.losses import pairwise_cosface
from reidlab.plots import penalty_curves
from reidlab.plots.penalties import _people

NAMES = [
    "contrastive with margin 1",
    "triplet, margin 0.3",
    "InfoNCE, scale 16",
    "CosFace, scale 16, margin 0.1",
    "Circle, scale 48, margin 0.35",
]


def formulas(s, t):
    """Loss by scale for one positive of cosine s and two negatives of cosine t."""
    push, pull = max(t + 0.35, 0) * (t - 0.35), max(1.35 - s, 0) * (s - 0.65)
    return [
        (1 - s) + max(1 - math.sqrt(2 - 2 * t), 0) ** 2 / 2,
        max(t - s + 0.3, 0),
        math.log(1 + 2 * math.exp(16 * (t - s))) / 16,
        math.log(1 + 2 * math.exp(16 * (t - s + 0.1))) / 16,
        math.log(1 + 2 * math.exp(48 * (push - pull))) / 48,
    ]


@pytest.fixture(scope="module")
def figure():
    return penalty_curves(positive=0.7, negative=0.2)


def curves(figure, panel):
    """Name -> (cosine, height) of the lines that stand in the legend."""
    lines = figure.axes[panel].lines
    return {x.get_label(): x.get_data() for x in lines if not x.get_label().startswith("_")}


def test_the_vectors_have_the_cosines_asked_for():
    x = _people(torch.tensor(0.4), torch.tensor(-0.3))
    wanted = torch.tensor(
        [[1, 0.4, -0.3, -0.3], [0.4, 1, -0.3, -0.3], [-0.3, -0.3, 1, 0.4], [-0.3, -0.3, 0.4, 1]]
    )
    torch.testing.assert_close(x @ x.T, wanted)


def test_losses_follow_their_formulas(figure):
    for panel in (0, 1):
        found = curves(figure, panel)
        assert list(found) == NAMES
        for i, name in enumerate(NAMES):
            wanted = [formulas(s, 0.2) if panel == 0 else formulas(0.7, s) for s in found[name][0]]
            np.testing.assert_allclose(found[name][1], np.array(wanted)[:, i], atol=1e-6)


def test_below_stands_the_size_of_the_slope(figure):
    for panel in (0, 1):
        above, below = curves(figure, panel), curves(figure, panel + 2)
        for name in NAMES[:4]:  # the fourth and fifth bend; Circle's weights have no gradient
            slope = np.abs(np.gradient(above[name][1], above[name][0]))
            calm = slice(2, -2)
            apart = np.abs(below[name][1] - slope)[calm]
            assert np.quantile(apart, 0.97) < 0.02
        assert all((height >= 0).all() for _, height in below.values())


def test_the_pull_of_circle_grows_with_distance_while_triplets_is_one_or_nothing(figure):
    pulls = curves(figure, 2)
    cosine, triplet = pulls["triplet, margin 0.3"]
    np.testing.assert_allclose(triplet, np.where(cosine < 0.5, 1.0, 0.0), atol=1e-6)
    circle = pulls["Circle, scale 48, margin 0.35"][1]
    np.testing.assert_allclose(circle[:20], 1.35 - cosine[:20], atol=1e-3)


def test_curves_end_where_no_such_vectors_exist(figure):
    left, right = (curves(figure, panel)[NAMES[0]][0] for panel in (0, 1))
    assert left[[0, -1]] == pytest.approx([-0.6, 1.0], abs=1e-3)
    assert right[[0, -1]] == pytest.approx([-0.85, 0.85], abs=1e-3)


def test_own_losses_are_drawn_as_they_are_and_pyplot_is_left_alone():
    before = plt.get_fignums()
    own = penalty_curves({"mine": lambda x, pids: pairwise_cosface(x, pids, 4.0)}, title="Mine")
    assert plt.get_fignums() == before
    cosine, height = curves(own, 0)["mine"]
    wanted = np.log(1 + 2 * np.exp(4 * (0.3 - cosine + 0.1)))
    np.testing.assert_allclose(height, wanted, atol=1e-6)
    assert own.axes[0].get_ylabel() == "loss" and own.get_suptitle() == "Mine"
    assert penalty_curves().axes[0].get_ylabel() == "loss / scale"
    assert own.png().startswith(b"\x89PNG")


def test_nothing_to_show_and_impossible_cosines_are_refused():
    with pytest.raises(ValueError, match="at least one loss"):
        penalty_curves({})
    with pytest.raises(ValueError, match=r"cosines in \(-1, 1\), got 1.0 and 0.3"):
        penalty_curves(positive=1.0)
    with pytest.raises(ValueError, match=r"cosines in \(-1, 1\), got 0.8 and -1.0"):
        penalty_curves(negative=-1.0)


@pytest.mark.parametrize("positive", [-0.9, 0.9])
@pytest.mark.parametrize("negative", [-0.9, 0.9])
def test_extreme_cosines_are_drawn_on_axes_of_their_own(positive, negative):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = penalty_curves({"mine": pairwise_cosface}, positive=positive, negative=negative)
        assert page.png().startswith(b"\x89PNG")
    left, right = 2 * abs(negative) - 1, (1 + positive) / 2
    for axes in page.axes[::2]:
        assert axes.get_xlim() == pytest.approx((left, 1))
    for axes in page.axes[1::2]:
        assert axes.get_xlim() == pytest.approx((-right, right))
    for axes in page.axes:
        low, high = axes.get_xlim()
        assert axes.get_position().width > 0.3  # no text takes its room
        assert all(low < text.get_position()[0] < high for text in axes.texts)


def test_the_line_of_equal_cosines_is_named_where_it_is_drawn(figure):
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [[" as near as\n the negatives "], [" as near as\n the positives "], [], []]
    never = penalty_curves({"mine": pairwise_cosface}, negative=-0.9)
    assert not never.axes[0].texts and len(never.axes[0].lines) == 1


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, pids: torch.tensor(3.0),
        lambda x, pids: torch.full((), 3.0, requires_grad=True) * 1,
    ],
)
def test_a_loss_that_depends_on_nothing_is_refused(loss):
    with pytest.raises(ValueError, match="flat: 3 does not depend on the embeddings"):
        penalty_curves({"flat": loss})
