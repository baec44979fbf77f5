"""The picture of a table of side information: cosines, lengths, names and average crops."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reidlab.data.readers import read_dataset
from reidlab.data.samples import Samples
from reidlab.data.transforms import EvalTransform
from reidlab.models.baseline import baseline_small
from reidlab.models.sides import SideTable
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots import sides, sides_figure
from reidlab.plots.page import read_pixels
from reidlab.plots.sides import side_similarity

SIZE = (64, 32)


def network(table, scale=2.0):
    torch.manual_seed(0)
    rows = len(table) if table else 0
    trunk = ViT(SIZE, patch=16, width=16, depth=1, heads=2, sides=rows, side_scale=scale)
    return TransReID(trunk, 3, sides=table, parts=0, preprocess=EvalTransform(SIZE))


@pytest.fixture
def train(market_folder):
    return read_dataset(market_folder).train


def with_views(samples):
    """The same crops, seen from view 5 and view 9 in turn."""
    return Samples(
        [dataclasses.replace(s, viewid=9 if i % 2 else 5) for i, s in enumerate(samples)],
        samples.cameras,
    )


def names(figure):
    return [t.get_text() for t in figure.texts if t.get_text().startswith(("camera", "view"))]


def crops(figure):
    return [np.asarray(a.images[0].get_array()) for a in figure.axes if a.images]


def test_similarity_is_the_cosine_and_length_counts_lambda():
    model = network(SideTable(3), scale=2.5)
    cosines, lengths = side_similarity(model)
    rows = model.trunk.side_embed.detach()[:, 0]
    for a in range(3):
        assert float(lengths[a]) == pytest.approx(2.5 * float((rows[a] ** 2).sum()) ** 0.5)
        for b in range(3):
            torch.testing.assert_close(cosines[a, b], F.cosine_similarity(rows[a], rows[b], dim=0))


def test_the_matrix_shows_cosines_of_different_rows_and_the_bars_their_lengths(train, check_apart):
    model = network(SideTable(3))
    with torch.no_grad():
        model.trunk.side_embed[2] = 0.3 * model.trunk.side_embed[0] - model.trunk.side_embed[1]
    figure = sides_figure(model, train, title="rows")
    cosines, lengths = side_similarity(model)
    matrix, bars = figure.axes[0], figure.axes[-2]
    drawn = matrix.collections[0].get_array()
    assert np.ma.getmaskarray(drawn).tolist() == np.eye(3, dtype=bool).tolist()
    others = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(np.asarray(drawn)[others], cosines.numpy()[others])
    words = {t.get_position(): t.get_text() for t in matrix.texts}
    assert len(words) == 6
    for (x, y), word in words.items():
        value = float(cosines[int(y), int(x)])
        assert float(word.replace("−", "-")) == pytest.approx(value, abs=0.0051)
    assert matrix.get_ylim() == (3, 0) and bars.get_ylim() == (3, 0)
    widths = [bar.get_width() for bar in bars.patches]
    assert widths == pytest.approx(lengths.tolist())
    position = model.trunk.pos_embed.detach()[0, 1:].norm(dim=1).mean()
    assert bars.lines[0].get_xdata()[0] == pytest.approx(float(position))
    assert "λ (2) times a row;\ndashed: mean position" in [t.get_text() for t in figure.texts]
    most = max(0.75, float(cosines.numpy()[others].__abs__().max()))
    norm = matrix.collections[0].norm
    assert (norm.vmin, norm.vmax) == pytest.approx((-most, most), rel=1e-6)
    assert figure.get_suptitle() == "rows" and names(figure) == [f"camera {c}" for c in (1, 2, 3)]
    check_apart(figure)


def test_random_rows_stay_pale(train):
    scale = sides_figure(network(SideTable(3)), train).axes[0].collections[0].norm
    assert scale.vmax == pytest.approx(0.75)  # three deviations of 1 / 4
    words = [t.get_text() for t in sides_figure(network(SideTable(3)), train).texts]
    assert "cosine of two rows; random ones: ±0.25" in words


def test_no_cosine_is_minus_nothing(train):
    model = network(SideTable(3))
    with torch.no_grad():
        model.trunk.side_embed.zero_()
        for row, value in enumerate((1.0, 1.0, 0.0)):
            model.trunk.side_embed[row, 0, row] = value
        model.trunk.side_embed[1, 0, 0] = -1e-4
    words = [t.get_text() for t in sides_figure(model, train).axes[0].texts]
    assert words == ["0.00"] * 6


def test_crops_are_means_of_their_camera(train, monkeypatch):
    monkeypatch.setattr(sides, "AVERAGED", 3)
    found = crops(sides_figure(network(SideTable(3)), train))
    assert len(found) == 3
    for camera, picture in zip((1, 2, 3), found, strict=True):
        own = [s for s in train if s.camid == camera]
        chosen = [own[0], own[round((len(own) - 1) / 2)], own[-1]]
        mean = np.mean([read_pixels(s.path, SIZE).astype(float) for s in chosen], axis=0)
        np.testing.assert_allclose(picture, mean, atol=0.51)


def test_names_are_those_on_disk(train):
    far = Samples([dataclasses.replace(s, camid=10 * s.camid) for s in train])
    figure = sides_figure(network(SideTable(3, untrained=[1])), far)
    assert names(figure) == ["camera 10", "camera 20\nnot trained", "camera 30"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["10", "20", "30"]
    words = [t for t in figure.texts if t.get_text().startswith("camera")]
    heights = [t.get_position()[1] for t in words]
    assert heights == sorted(heights, reverse=True)
    pictures = [axes.get_position() for axes in figure.axes if axes.images]
    assert [box.y0 < y < box.y1 for box, y in zip(pictures, heights, strict=True)] == [True] * 3


def test_rows_of_cameras_and_views_come_in_their_order(train, check_apart):
    seen = with_views(train)
    figure = sides_figure(network(SideTable(3, 2)), seen, title="rows")
    words = [f"camera {c}\nview {v}" for c in (1, 2, 3) for v in (5, 9)]
    assert names(figure) == words
    check_apart(figure)
    pairs = [(c, v) for c in (1, 2, 3) for v in (5, 9)]
    there = [pair for pair in pairs if any((s.camid, s.viewid) == pair for s in seen)]
    assert len(crops(figure)) == len(there)
    own = [read_pixels(s.path, SIZE).astype(float) for s in seen
           if (s.camid, s.viewid) == there[-1]]  # fmt: skip
    np.testing.assert_allclose(crops(figure)[-1], np.mean(own, axis=0), atol=0.51)
    assert names(sides_figure(network(SideTable(0, 2)), seen)) == ["view 5", "view 9"]


@pytest.mark.parametrize("count", [2, 15, 20])
def test_any_number_of_cameras_fits_on_the_page(train, count, check_apart):
    many = Samples([dataclasses.replace(s, camid=1 + i % count) for i, s in enumerate(train)])
    figure = sides_figure(network(SideTable(count)), many, title="rows")
    check_apart(figure)
    check_apart(sides_figure(network(SideTable(count)), many))
    assert len(names(figure)) == count and len(crops(figure)) == count
    assert bool(figure.axes[0].texts) == (count <= 14)


def test_what_has_no_such_table_is_refused(train):
    for model, samples, message in (
        (network(None), train, r"a table of side information, as transreid_small\(num_ids"),
        (baseline_small(3, width=4, image_size=SIZE), train, "a vision transformer"),
        (network(SideTable(1)), train, "two rows or more, got one"),
        (network(SideTable(4)), train, "the table knows 4 cameras, the samples 3"),
        (network(SideTable(3, 2)), train, "the table knows 2 views, the samples 0"),
        (network(SideTable(3)), [], "expected samples of the dataset"),
        (network(SideTable(3)), [train[0].path], "expected samples of the dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            sides_figure(model, samples)
