"""Attention rollout: its definition in loops, and what the picture shows of it."""

import numpy as np
import pytest
import torch

from reidlab.data.readers import read_dataset
from reidlab.data.transforms import EvalTransform
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots import rollout_figure
from reidlab.plots.branches import heat
from reidlab.plots.page import read_pixels
from reidlab.plots.patches import look_inside, patch_edges, spread
from reidlab.plots.rollout import rollout

SIZE = (64, 32)


def random_maps(blocks=3, shape=(2, 4, 6, 6), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [(2 * torch.randn(shape, generator=generator)).softmax(dim=-1) for _ in range(blocks)]


def slow_rollout(maps):
    """The definition read aloud: one image, one block, one row after the other."""
    batch, heads, count, _ = maps[0].shape
    result = torch.zeros(batch, count - 1)
    for b in range(batch):
        flow = [[float(i == j) for j in range(count)] for i in range(count)]
        for weights in maps:
            rows = []
            for i in range(count):
                row = [sum(float(weights[b, h, i, j]) for h in range(heads)) / heads
                       for j in range(count)]  # fmt: skip
                row[i] += 1.0
                rows.append([value / sum(row) for value in row])
            flow = [[sum(rows[i][m] * flow[m][j] for m in range(count)) for j in range(count)]
                    for i in range(count)]  # fmt: skip
        result[b] = torch.tensor(flow[0][1:])
    return result


@pytest.fixture(scope="module", params=[16, 12])
def model(request):
    torch.manual_seed(0)
    trunk = ViT(SIZE, patch=16, stride=request.param, width=16, depth=3, heads=2)
    for block in trunk.blocks:
        torch.nn.init.normal_(block.attn.qkv.weight, std=0.5)
    return TransReID(trunk, 3, parts=2, shift=2, preprocess=EvalTransform(SIZE))


@pytest.fixture
def crops(market_folder):
    return read_dataset(market_folder).train[::3]


def test_rollout_matches_its_definition():
    maps = random_maps()
    torch.testing.assert_close(rollout(maps), slow_rollout(maps), rtol=1e-5, atol=1e-6)


def test_tokens_that_only_look_at_themselves_leave_nothing_to_patches():
    assert rollout([torch.eye(5).expand(2, 3, 5, 5)] * 4).tolist() == [[0.0] * 4] * 2


def test_even_attention_is_shared_evenly():
    found = rollout([torch.full((1, 2, 5, 5), 0.2)])
    torch.testing.assert_close(found, torch.full((1, 4), 0.1))


def test_the_order_of_blocks_matters():
    maps = random_maps()
    assert not torch.allclose(rollout(maps), rollout(maps[::-1]), atol=1e-4)


@pytest.mark.parametrize(
    ("maps", "got"),
    [
        ([], "got none"),
        ([torch.zeros(2, 5, 5)], r"got \(2, 5, 5\)"),
        ([torch.zeros(1, 2, 5, 4)], r"got \(1, 2, 5, 4\)"),
        ([torch.zeros(1, 2, 5, 5), torch.zeros(1, 2, 4, 4)], r"got \(1, 2, 4, 4\), \(1, 2, 5"),
    ],
)
def test_other_maps_are_refused(maps, got):
    with pytest.raises(ValueError, match=f"one per block and all alike, {got}"):
        rollout(maps)


def test_every_crop_stands_above_both_of_its_maps(model, crops):
    figure = rollout_figure(model, crops, title="looks")
    count, trunk = len(crops), model.trunk
    _, maps = look_inside(model, crops)
    last, flow = maps[-1].mean(1)[:, 0, 1:], rollout(maps)
    assert len(figure.axes) == 3 * count and figure.get_suptitle() == "looks"
    for row, shares in enumerate((None, last, flow)):
        for k, crop in enumerate(crops):
            axes = figure.axes[row * count + k]
            pixels = read_pixels(crop.path, SIZE)
            if shares is None:
                expected = pixels
                assert axes.get_title() == f"person {crop.pid}"
            else:
                share = shares[k].view(trunk.grid)
                level = spread(share.numpy(), patch_edges(trunk), SIZE)
                expected = heat(pixels, level, float(shares.max()))
                most, own = 100 * float(share.max()), 100 * (1 - float(share.sum()))
                shown = f"{most:.0f}" if most >= 10 else f"{most:.1f}"
                assert axes.get_xlabel() == f"up to {shown} %\nown {own:.0f} %"
            assert (np.asarray(axes.images[0].get_array()) == expected).all()
    even = 100 / (1 + trunk.grid[0] * trunk.grid[1])
    words = [text.get_text() for text in figure.texts]
    assert words.count(f"an even share\nis {even:{'.0f' if even >= 10 else '.1f'}} %") == 2


@pytest.mark.parametrize("count", [1, 8])
def test_crops_stay_apart_and_on_the_page(model, crops, count, check_apart):
    figure = rollout_figure(model, [*crops, *crops, *crops][:count], title="looks")
    check_apart(figure)
    check_apart(rollout_figure(model, crops[:1]))
    assert len(figure.axes) == 3 * count
    assert rollout_figure(model, [crops[0].path]).axes[0].get_title() == ""


def test_none_and_too_many_crops_are_refused(model, crops):
    with pytest.raises(ValueError, match="expected 1 to 8 crops, got 0"):
        rollout_figure(model, [])
    with pytest.raises(ValueError, match="expected 1 to 8 crops, got 9"):
        rollout_figure(model, [crops[0]] * 9)
