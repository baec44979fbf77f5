"""What pictures of transformers stand on: labels, a look inside, and the places of patches."""

import numpy as np
import pytest
import torch
from torch import nn

from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample
from reidlab.data.transforms import EvalTransform
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_small
from reidlab.models.sides import SideTable
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots.crops import seen_images
from reidlab.plots.patches import (
    Edges,
    labels_of,
    listed,
    look_inside,
    looking,
    middles,
    patch_edges,
    spread,
    trunk_of,
)

SIZE = (64, 32)


def network(sides=None, **own):
    torch.manual_seed(0)
    rows = len(sides) if sides else 0
    trunk = ViT(SIZE, patch=16, width=16, depth=2, heads=2, sides=rows)
    return TransReID(trunk, 3, sides=sides, parts=0, preprocess=EvalTransform(SIZE), **own)


@pytest.fixture
def splits(market_folder):
    return read_dataset(market_folder)


class Plain(nn.Module):
    """A network that has a trunk and no attention of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = ViT(SIZE, patch=16, width=16, depth=2, heads=2)
        self.preprocess = EvalTransform(SIZE)


@pytest.mark.parametrize(
    ("size", "patch", "stride", "down"),
    [
        ((64, 32), 16, 16, [0, 16, 32, 48, 64]),
        ((64, 32), 16, 12, [0, 14, 26, 38, 50, 64]),
        ((67, 32), 16, 16, [0, 16, 32, 48, 64]),  # three rows of pixels that no patch sees
        ((16, 16), 16, 16, [0, 16]),
    ],
)
def test_cells_of_plain_patches_meet_half_way_between_their_middles(size, patch, stride, down):
    trunk = ViT(size, patch=patch, stride=stride, width=8, depth=1, heads=1)
    edges = patch_edges(trunk)
    assert edges.down.tolist() == down
    assert (len(edges.down) - 1, len(edges.across) - 1) == trunk.grid


@pytest.mark.parametrize("stride", [(16, 16), (8, 16), (8, 8)])
def test_cells_of_a_convolutional_stem_lie_where_its_tokens_look(stride):
    size = (80, 64)
    trunk = ViT(size, stride=stride, width=8, depth=1, heads=1, stem="conv")
    edges = patch_edges(trunk)
    row, column = (side // 2 for side in trunk.grid)
    y, x = seen_by(trunk, row, column)
    place = middles(edges).reshape(*trunk.grid, 2)[row, column]
    assert place.tolist() == [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2]
    assert (edges.down[row + 1] - edges.down[row], y[1] - y[0]) == (stride[0], 31)
    last = seen_by(trunk, trunk.grid[0] - 1, trunk.grid[1] - 1)
    assert (edges.down[0], edges.across[0]) == (0, 0)
    assert (edges.down[-1], edges.across[-1]) == (last[0][1], last[1][1])


def seen_by(trunk, row, column):
    """First and last edge of the pixels that change a token of the stem, down and across."""
    for module in trunk.patch_embed.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    image = torch.ones(1, 3, *trunk.image_size, requires_grad=True)
    trunk.patch_embed.eval()(image)[0, 0, row, column].backward()
    found = (image.grad[0, 0] != 0).nonzero()
    return [(int(side.min()), int(side.max()) + 1) for side in found.unbind(1)]


def test_values_of_cells_reach_their_pixels_and_no_others():
    edges = Edges(np.array([0, 2, 5]), np.array([0.0, 1.5, 3.0]))
    found = spread(np.array([[1, 2], [3, 4]]), edges, (6, 4))
    rows = [[1, 1, 2, 0]] * 2 + [[3, 3, 4, 0]] * 3 + [[0, 0, 0, 0]]
    assert found.tolist() == rows
    assert middles(edges).tolist() == [[0.75, 1], [2.25, 1], [0.75, 3.5], [2.25, 3.5]]


def test_a_look_inside_sees_what_embed_shows(splits):
    table = SideTable(3)
    model = network(table).train()
    crops = splits.train[5:8]
    tokens, maps = look_inside(model, crops)
    assert model.training and tokens.shape == (3, 9, 16) and len(maps) == 2
    assert maps[0].shape == (3, 2, 9, 9)
    camids = torch.tensor([splits.cameras.index(crop.camid) for crop in crops])
    with torch.inference_mode():
        expected = model.eval().embed(seen_images(model, crops), camids)
    torch.testing.assert_close(tokens[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_networks_without_an_attention_of_their_own_show_their_trunk(splits):
    model = Plain().eval()
    tokens, maps = look_inside(model, splits.train[:2])
    with torch.inference_mode():
        expected = model.trunk(seen_images(model, splits.train[:2]))
    torch.testing.assert_close(tokens, expected)
    assert len(maps) == 2
    parts = la_transformer_small(3, image_size=SIZE)
    assert look_inside(parts, splits.train[:2])[0].shape[0] == 2


def test_the_mode_returns_even_after_an_error():
    model = network().train()
    with pytest.raises(RuntimeError), looking(model):
        assert not model.training and torch.is_inference_mode_enabled()
        raise RuntimeError
    assert model.training


def test_cameras_are_numbered_as_in_the_dataset(splits):
    model = network(SideTable(3))
    crops = [crop for crop in splits.train if crop.camid == 3][:2]
    assert labels_of(model, crops, cameras=[1, 2, 3]).camids.tolist() == [2, 2]
    assert labels_of(model, splits.train[:1]).camids.tolist() == [splits.train[0].camid - 1]
    assert labels_of(model, splits.train[:1]).viewids is None
    assert labels_of(network(), crops) == (None, None)
    seen = [Sample(crop.path, 1, 1, viewid=7) for crop in crops]
    both = labels_of(network(SideTable(3, 2)), seen, [1, 2, 3], [5, 7])
    assert both.camids.tolist() == [0, 0] and both.viewids.tolist() == [1, 1]


def test_cameras_that_cannot_be_known_are_asked_for(splits):
    model, crops = network(SideTable(3)), list(splits.train[:2])
    with pytest.raises(ValueError, match=r"was told cameras.*pass cameras=splits.cameras"):
        labels_of(model, crops)
    with pytest.raises(ValueError, match="expected cameras among 7, 8, got 1"):
        labels_of(model, crops, cameras=[7, 8])
    with pytest.raises(ValueError, match="told cameras while training and needs"):
        look_inside(model, [crop.path for crop in crops])
    free = network(SideTable(3, unseen="none"))
    assert look_inside(free, [crop.path for crop in crops])[0].shape[0] == 2


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        ("a.png", "expected a list of samples or files, got str"),
        ([], "expected 1 to 2 crops, got 0"),
        (["a", "b", "c"], "expected 1 to 2 crops, got 3; pass some"),
        ([3], "a Sample or the path of an image, got int"),
    ],
)
def test_what_is_no_list_of_crops_is_refused(crops, message):
    with pytest.raises(ValueError, match=message):
        listed(crops, 2)


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="a vision transformer.*got Baseline"):
        trunk_of(baseline_small(3, width=4, image_size=SIZE))
