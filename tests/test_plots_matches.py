"""What makes two crops alike: holes, matches, and the picture of both."""

import numpy as np
import pytest
import torch
from matplotlib.patches import ConnectionPatch, Rectangle

from reidlab.data.readers import read_dataset
from reidlab.data.transforms import EvalTransform
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_small
from reidlab.models.sides import SideTable
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots import match_figure
from reidlab.plots.crops import seen_images
from reidlab.plots.effects import mutual_matches, removal_effects
from reidlab.plots.patches import look_inside, middles, patch_edges, spread

SIZE = (64, 32)


def network(sides=None, **own):
    torch.manual_seed(0)
    rows = len(sides) if sides else 0
    trunk = ViT(SIZE, patch=16, width=16, depth=2, heads=2, sides=rows, drop_path=0.0)
    for name, values in trunk.named_parameters():
        if values.ndim > 1:
            torch.nn.init.normal_(values, std=0.1 if "pos" in name else 0.3)
    own = {"parts": 2, "shift": 2} | own
    return TransReID(trunk, 3, sides=sides, preprocess=EvalTransform(SIZE), **own)


@pytest.fixture
def pair(market_folder):
    people = read_dataset(market_folder).train
    return people[0:4:3]


def slow_effects(model, images, labels, neck=None):
    """The definition: one hole, one forward pass, one cosine at a time."""

    def describe(image, k):
        camid = None if labels is None else labels[k : k + 1]
        feature = model.embed(image[None], camid, None, neck)[0].double()
        return feature / feature.norm()

    whole = [describe(image, k) for k, image in enumerate(images)]
    cosine = float(whole[0] @ whole[1])
    rows, columns = model.trunk.grid
    effects = torch.zeros(2, rows, columns)
    for k in range(2):
        for i in range(rows):
            for j in range(columns):
                hole = images[k].clone()
                for channel in range(3):
                    mean = images[k][channel].mean()
                    hole[channel, 16 * i : 16 * (i + 1), 16 * j : 16 * (j + 1)] = mean
                effects[k, i, j] = cosine - float(describe(hole, k) @ whole[1 - k])
    return cosine, effects


@pytest.mark.parametrize("cameras", [0, 3])
@pytest.mark.parametrize("neck", [None, "after"])
def test_effects_match_their_definition(pair, cameras, neck, monkeypatch):
    monkeypatch.setattr("reidlab.plots.effects.STEP", 3)  # several passes, the last one shorter
    model = network(SideTable(cameras) if cameras else None).train()
    with torch.no_grad():
        for each in model.necks:
            each.norm.running_mean.normal_()
    cosine, effects = removal_effects(model, pair, neck=neck)
    assert model.training and effects.shape == (2, 4, 2)
    labels = torch.tensor([sample.camid - 1 for sample in pair]) if cameras else None
    with torch.inference_mode():
        expected = slow_effects(model.eval(), seen_images(model, pair), labels, neck)
    assert cosine == pytest.approx(expected[0], abs=1e-5)
    torch.testing.assert_close(effects, expected[1], rtol=1e-3, atol=2e-6)
    assert effects.abs().amax(dim=(1, 2)).min() > 1e-4


def test_any_transformer_that_embeds_will_do(pair):
    model = la_transformer_small(3, image_size=SIZE)
    cosine, effects = removal_effects(model, [sample.path for sample in pair])
    assert -1 <= cosine <= 1 and effects.shape == (2, *model.trunk.grid)


def test_matches_are_each_others_most_similar():
    generator = torch.Generator().manual_seed(0)
    query, hit = torch.randn(7, 5, generator=generator), torch.randn(9, 5, generator=generator)
    cosine = torch.nn.functional.cosine_similarity
    found = mutual_matches(query, 3 * hit)
    table = [[float(cosine(x, y, dim=0)) for y in hit] for x in query]
    expected = [
        (i, j, table[i][j])
        for i in range(7)
        for j in range(9)
        if table[i][j] == max(table[i]) == max(row[j] for row in table)
    ]
    expected.sort(key=lambda match: -match[2])
    assert [match[:2] for match in found] == [match[:2] for match in expected]
    assert [match[2] for match in found] == pytest.approx([match[2] for match in expected])
    assert 1 < len(found) < 7


def test_a_crop_matches_itself_place_by_place():
    tokens = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    assert sorted(match[:2] for match in mutual_matches(tokens, tokens)) == [
        (i, i) for i in range(6)
    ]


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((3,), (3, 4)), ((3, 4), (1, 3, 4))])
def test_other_tokens_are_refused(shapes):
    with pytest.raises(ValueError, match=r"expected tokens \(N, D\) and \(M, D\), got"):
        mutual_matches(*(torch.zeros(shape) for shape in shapes))


def test_the_left_pair_shows_the_effects_on_one_scale(pair):
    model = network(SideTable(3))
    figure = match_figure(model, pair, cameras=[1, 2, 3], title="alike")
    cosine, effects = removal_effects(model, pair)
    most = float(effects.abs().max())
    for k in range(2):
        drawn = figure.axes[k].images[-1]
        level = spread(effects[k].numpy(), patch_edges(model.trunk), SIZE)
        np.testing.assert_allclose(np.asarray(drawn.get_array()), level, rtol=1e-6)
        assert (drawn.norm.vmin, drawn.norm.vmax) == pytest.approx((-most, most))
        word = ("query", "hit")[k]
        assert figure.axes[k].get_title() == f"{word}\nperson {pair[k].pid}, cam {pair[k].camid}"
    words = [text.get_text() for text in figure.texts]
    assert f"what the cosine, {cosine:.4f}, loses without the patch" in words
    assert figure.get_suptitle() == "alike"
    bar = next(axes for axes in figure.axes[4:])
    shown = [text.get_text() for text in bar.get_xticklabels()]
    assert shown == [f"−{most:.2g}", "0", f"+{most:.2g}"]


@pytest.mark.parametrize("lines", [0, 2, 99])
def test_lines_join_the_matches_that_do_most(pair, lines):
    model = network()
    figure = match_figure(model, pair, lines=lines)
    tokens, _ = look_inside(model, pair)
    _, effects = removal_effects(model, pair)
    gains = effects.flatten(1)
    every = mutual_matches(tokens[0, 1:], tokens[1, 1:])
    every.sort(key=lambda match: -float(gains[0, match[0]] + gains[1, match[1]]))
    shown = every[:lines]
    assert len(every) > 2
    places = middles(patch_edges(model.trunk))
    found = [line for line in figure.artists if isinstance(line, ConnectionPatch)]
    ends = [(tuple(line.xy1), tuple(line.xy2)) for line in found[::2]]  # each has a white rim
    assert ends == [(tuple(places[i]), tuple(places[j])) for i, j, _ in reversed(shown)]
    assert all(line.axesA is figure.axes[2] and line.axesB is figure.axes[3] for line in found)
    for side, axes in ((0, figure.axes[2]), (1, figure.axes[3])):
        frames = [p for p in axes.patches if isinstance(p, Rectangle)]
        cells = [(p.get_xy(), p.get_width(), p.get_height()) for p in frames]
        corners = [divmod(match[side], 2) for match in reversed(shown)]
        assert cells == [((16 * column, 16 * row), 16, 16) for row, column in corners]
    words = [text.get_text() for text in figure.texts]
    cosines = "   ".join(f"{n}: {match[2]:.2f}" for n, match in enumerate(shown, start=1))
    told = [word for word in words if "patches of each other" in word]
    assert (cosines in words and len(told) == 1) if lines else not told
    for n in range(1, len(shown) + 1):
        assert words.count(str(n)) == 2


def test_numbers_stand_on_their_patches(pair):
    model = network()
    figure = match_figure(model, pair, lines=1)
    (i, j), places = last_pair(figure), middles(patch_edges(model.trunk))
    numbers = [text for text in figure.texts if text.get_text() == "1"]
    for text, axes, place in zip(numbers, figure.axes[2:4], (i, j), strict=True):
        expected = figure.transFigure.inverted().transform(axes.transData.transform(place))
        assert text.get_position() == pytest.approx(tuple(expected))
        assert tuple(place) in {tuple(each) for each in places}


def last_pair(figure):
    line = [each for each in figure.artists if isinstance(each, ConnectionPatch)][-1]
    return line.xy1, line.xy2


@pytest.mark.parametrize("title", ["", "alike"])
@pytest.mark.parametrize("size", [(64, 32), (64, 64)])
def test_nothing_overlaps(pair, size, title, check_apart):
    torch.manual_seed(0)
    trunk = ViT(size, patch=16, stride=12, width=16, depth=2, heads=2)
    model = TransReID(trunk, 3, parts=0, preprocess=EvalTransform(size))
    figure = match_figure(model, pair, lines=1, title=title)
    for number in [text for text in figure.texts if text.get_text() == "1"]:
        number.remove()  # they stand on crops
    check_apart(figure)
    assert match_figure(model, [s.path for s in pair]).axes[0].get_title() == "query"


def test_what_cannot_be_compared_is_refused(pair):
    model = network()
    for crops, message in (
        (pair[:1], "expected two crops, a query and a hit, got 1"),
        ([*pair, pair[0]], "a query and a hit, got 3"),
        ("ab", "expected a list of samples or files, got str"),
    ):
        with pytest.raises(ValueError, match=message):
            match_figure(model, crops)
    with pytest.raises(ValueError, match="expected 0 lines or more, got -1"):
        match_figure(model, pair, lines=-1)
    with pytest.raises(ValueError, match="neck must be one of"):
        match_figure(model, pair, neck="middle")
    with pytest.raises(ValueError, match="a vision transformer.*got Baseline"):
        match_figure(baseline_small(3, width=4, image_size=SIZE), pair)
