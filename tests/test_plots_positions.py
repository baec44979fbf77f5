"""The picture of a position table: which rows are alike, and how far apart they are."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reidlab.data.transforms import EvalTransform
from reidlab.models.baseline import baseline_small
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots import position_figure
from reidlab.plots.positions import means_by_steps, position_similarity


def network(size=(64, 32), stride=16, width=16):
    torch.manual_seed(0)
    trunk = ViT(size, patch=16, stride=stride, width=width, depth=1, heads=2)
    return TransReID(trunk, 3, parts=0, preprocess=EvalTransform(size))


def maps(figure):
    return [axes for axes in figure.axes if axes.images]


def test_similarities_are_cosines_of_the_rows_of_patches():
    model = network()
    found = position_similarity(model)
    rows = model.trunk.pos_embed[0, 1:].detach()
    assert found.shape == (4, 2, 4, 2)
    for a in range(8):
        for b in range(8):
            expected = F.cosine_similarity(rows[a], rows[b], dim=0)
            torch.testing.assert_close(found[a // 2, a % 2, b // 2, b % 2], expected)


def test_means_go_straight_down_and_across():
    cosines = np.random.default_rng(0).random((3, 2, 3, 2))
    down, across = means_by_steps(cosines)
    pairs = [cosines[0, j, 1, j] for j in (0, 1)] + [cosines[1, j, 2, j] for j in (0, 1)]
    assert down == pytest.approx([np.mean(pairs), np.mean([cosines[0, j, 2, j] for j in (0, 1)])])
    assert across == pytest.approx([np.mean([cosines[i, 0, i, 1] for i in range(3)])])


def test_every_place_has_its_map_where_it_lies(check_apart):
    model = network()
    figure = position_figure(model, title="places")
    found, cosines = maps(figure), position_similarity(model).numpy()
    assert len(found) == 8 and figure.get_suptitle() == "places"
    for place, axes in enumerate(found):
        row, column = divmod(place, 2)
        drawn = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(drawn, cosines[row, column])
        own = axes.collections[0].get_paths()[0].get_extents()
        assert (own.x0, own.y0, own.x1, own.y1) == (
            column - 0.5, row - 0.5, column + 0.5, row + 0.5,
        )  # fmt: skip
        assert axes.get_title() == (str(column + 1) if row == 0 else "")
        assert axes.get_ylabel() == (str(row + 1) if column == 0 else "")
        box, first = axes.get_position(), found[0].get_position()
        assert (box.x0 > first.x0, box.y0 < first.y0) == (column > 0, row > 0)
    assert "cosine of two rows; random ones: ±0.25" in [t.get_text() for t in figure.texts]
    check_apart(figure)


def test_all_maps_share_a_scale_that_holds_every_pair():
    model = network()
    scales = {(a.images[0].norm.vmin, a.images[0].norm.vmax) for a in maps(position_figure(model))}
    ((low, high),) = scales
    cosines = position_similarity(model).view(8, 8).clone().fill_diagonal_(0)
    assert low == -high and high - 0.1 < float(cosines.abs().max()) <= high


def test_curves_are_the_means_and_the_dashes_those_of_all_pairs():
    model = network()
    cosines = position_similarity(model)
    axes = position_figure(model).axes[-1]
    curves = {line.get_label(): line for line in axes.lines}
    for name, values in zip(("down", "across"), means_by_steps(cosines.numpy()), strict=True):
        assert curves[name].get_ydata() == pytest.approx(values)
        assert list(curves[name].get_xdata()) == list(range(1, len(values) + 1))
    table = cosines.view(8, 8)
    rest = [float(table[a, b]) for a in range(8) for b in range(8) if a != b]
    assert curves["any two places"].get_ydata()[0] == pytest.approx(np.mean(rest))


@pytest.mark.parametrize(
    ("size", "stride", "shown"),
    [
        ((256, 128), 12, (8, 8)),
        ((16, 32), 16, (1, 2)),
        ((32, 128), 16, (2, 8)),
        ((128, 64), 16, (8, 4)),
    ],
)
def test_any_grid_fits_on_the_page(size, stride, shown, check_apart):
    figure = position_figure(network(size, stride), title="places")
    found = maps(figure)
    assert len(found) == shown[0] * shown[1]
    check_apart(figure)
    check_apart(position_figure(network(size, stride)))
    if size == (256, 128):
        rows = [a.get_ylabel() for a in found if a.get_ylabel()]
        assert rows[0] == "1" and rows[-1] == "21" and len(rows) == 8
        assert [a.get_title() for a in found if a.get_title()][-1] == "10"


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="a vision transformer.*got Baseline"):
        position_figure(baseline_small(3, width=4, image_size=(64, 32)))
    with pytest.raises(ValueError, match="two places or more, got one"):
        position_figure(network((16, 16)))
