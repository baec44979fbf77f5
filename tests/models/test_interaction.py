"""The interaction-and-aggregation block: the reference numbers, its definition read aloud."""

import math

import pytest
import torch
from torch import nn

from reidlab.models.interaction import (
    FUSIONS,
    IABlock,
    appearance_relation,
    channel_attention,
    location_prior,
    spatial_attention,
    uniformity,
)

NAMES = {"W1": "spatial_norm", "W2": "channel_norm"}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def awake(block, seed=0):
    """`block` with batch norms that do something, in eval mode and double precision."""
    generator = torch.Generator().manual_seed(seed)
    for norm in (block.spatial_norm, block.channel_norm):
        for values in (norm.weight, norm.bias, norm.running_mean):
            nn.init.normal_(values, std=0.5, generator=generator)
        nn.init.uniform_(norm.running_var, 0.5, 2.0, generator=generator)
    return block.double().eval()


def softmax(values):
    exponentials = [math.exp(v - max(values)) for v in values]
    return [e / sum(exponentials) for e in exponentials]


def slow_prior(height, width, sigma):
    places = [(v, u) for v in range(height) for u in range(width)]
    return [
        softmax(
            [
                -((v - q) ** 2) / (2 * sigma[0] ** 2) - (u - p) ** 2 / (2 * sigma[1] ** 2)
                for q, p in places
            ]
        )
        for v, u in places
    ]


def slow_attention(columns, prior, fusion):
    """S of one map; `columns[i]` is the list of channels at position i."""
    rows = []
    for i, own in enumerate(columns):
        products = [
            sum(a * b for a, b in zip(own, other, strict=True)) / math.sqrt(len(own))
            for other in columns
        ]
        both = [a * d for a, d in zip(softmax(products), prior[i], strict=True)]
        rows.append(softmax(both) if fusion == "released" else [v / sum(both) for v in both])
    return rows


def slow_norm(norm, values, channel):
    mean, var = float(norm.running_mean[channel]), float(norm.running_var[channel])
    scale, shift = float(norm.weight[channel]), float(norm.bias[channel])
    return [shift + scale * (v - mean) / math.sqrt(var + norm.eps) for v in values]


def slow_block(block, x, sigma, fusion):
    """One map (C, h, w) through SIA, then CIA: loops, no matrices."""
    channels, height, width = x.shape
    flat = x.reshape(channels, -1).tolist()  # C lists of N
    columns = [list(column) for column in zip(*flat, strict=True)]
    attention = slow_attention(columns, slow_prior(height, width, sigma), fusion)
    z = []
    for c, row in enumerate(flat):
        mixed = [sum(s * v for s, v in zip(weights, row, strict=True)) for weights in attention]
        mixed = slow_norm(block.spatial_norm, mixed, c)
        z.append([v + m for v, m in zip(row, mixed, strict=True)])
    out = []
    for c, row in enumerate(z):
        weights = softmax([sum(a * b for a, b in zip(row, o, strict=True)) for o in z])
        mixed = [sum(w * z[k][i] for k, w in enumerate(weights)) for i in range(len(row))]
        mixed = slow_norm(block.channel_norm, mixed, c)
        out.append([v + m for v, m in zip(row, mixed, strict=True)])
    return torch.tensor(out, dtype=torch.float64).reshape(x.shape)


def test_block_matches_the_reference(golden):
    data, shapes = golden.arrays("misc/ianet_block"), golden.json("misc/ianet_manifest")["block"]
    block = IABlock(24, (8, 4), sigma=(10, 5)).eval()
    state = {
        f"{NAMES[key[:2]]}{key[2:]}": golden.weight(key, shape, fan_in=False)
        for key, shape in shapes.items()
        if shape
    }
    assert not block.load_state_dict(state, strict=False).unexpected_keys
    x = golden.normal((2, 24, 8, 4))
    torch.testing.assert_close(
        block.prior, torch.tensor(data["location_prior"]), atol=1e-7, rtol=1e-5
    )
    torch.testing.assert_close(block(x), torch.tensor(data["block_out"]), atol=1e-5, rtol=1e-5)
    expected = data["spatial_attention_minmax_times_hw"].tolist()
    assert uniformity(block.attention(x)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("sigma", [None, (0.7, 2.0)])
def test_block_matches_its_definition(fusion, sigma):
    block = awake(IABlock(3, (4, 2), sigma, fusion=fusion))
    x = normal(2, 3, 4, 2)
    told = sigma or (0.625 * 4, 0.625 * 2)
    with torch.no_grad():
        expected = torch.stack([slow_block(block, each, told, fusion) for each in x])
        torch.testing.assert_close(block(x), expected, atol=1e-6, rtol=1e-6)
        columns = x[0].flatten(1).T.tolist()
        attention = torch.tensor(slow_attention(columns, slow_prior(4, 2, told), fusion))
    torch.testing.assert_close(block.attention(x)[0].float(), attention, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_new_block_is_the_identity(fusion):
    block = IABlock(4, (3, 2), fusion=fusion)
    x = normal(2, 4, 3, 2).float()
    for mode in (True, False):
        assert torch.equal(block.train(mode)(x), x)
    assert {name: float(p.detach().abs().sum()) for name, p in block.named_parameters()} == {
        "spatial_norm.weight": 0,
        "spatial_norm.bias": 0,
        "channel_norm.weight": 0,
        "channel_norm.bias": 0,
    }


def test_a_new_block_learns_from_the_first_step():
    block = IABlock(4, (3, 2))
    (block(normal(2, 4, 3, 2).float()) * normal(2, 4, 3, 2, seed=1)).sum().backward()
    assert all(bool(p.grad.abs().min() > 0) for p in block.parameters())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_are_those_of_the_function(fusion, layout, count):
    """One image alone, too: odd strides of its map make batch norm's gradients wrong."""
    block = awake(IABlock(2, (2, 2), fusion=fusion))
    x = normal(count, 2, 2, 2).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(block, x)


def test_the_prior_is_symmetric_in_space_and_its_rows_sum_to_one():
    prior = location_prior((4, 3), (1.5, 0.8))
    torch.testing.assert_close(prior.sum(dim=1), torch.ones(12))
    grid = prior.view(4, 3, 4, 3)  # v, u of a position, then of the one it looks at
    torch.testing.assert_close(grid.flip(0, 2), grid)
    torch.testing.assert_close(grid.flip(1, 3), grid)
    assert bool((prior.argmax(dim=1) == torch.arange(12)).all())
    assert grid[0, 0, 1, 0] > grid[0, 0, 0, 1]  # sigma is larger downwards
    torch.testing.assert_close(location_prior((4, 3), (1e6, 1e6)), torch.full((12, 12), 1 / 12))


def test_attention_of_images_depends_on_nothing_but_each_image():
    x, prior = normal(3, 5, 6), location_prior((3, 2), (2, 1)).double()
    for fusion in FUSIONS:
        found = spatial_attention(x, prior, fusion)
        torch.testing.assert_close(found.sum(dim=2), torch.ones(3, 6, dtype=torch.float64))
        torch.testing.assert_close(spatial_attention(x[1:2], prior, fusion), found[1:2])


def test_positions_and_channels_may_be_renamed():
    x, order = normal(2, 5, 6), torch.tensor([3, 1, 5, 0, 2, 4])
    relation = appearance_relation(x)
    torch.testing.assert_close(appearance_relation(x[:, :, order]), relation[:, order][:, :, order])
    channels = torch.tensor([2, 0, 4, 1, 3])
    torch.testing.assert_close(appearance_relation(x[:, channels]), relation)
    torch.testing.assert_close(
        channel_attention(x[:, channels]), channel_attention(x)[:, channels][:, :, channels]
    )


def test_the_released_attention_is_nearly_uniform_and_the_other_is_not():
    x, prior = 3 * normal(2, 16, 128), location_prior((16, 8), (10, 5)).double()
    low, high = uniformity(spatial_attention(x, prior))
    assert 0.98 < low <= 1 <= high < 1.02
    assert high / low < math.exp(prior.max())
    low, high = uniformity(spatial_attention(x, prior, "renormalised"))
    assert low < 0.01 and high > 20


def test_the_renormalised_attention_stays_finite_where_products_vanish():
    x = torch.zeros(1, 1, 4)
    x[0, 0, 3] = 300.0  # position 3 looks at itself alone; the prior of others for it underflows
    x[0, 0, 0] = 300.0
    found = spatial_attention(x, location_prior((4, 1), (0.05, 1.0)), "renormalised")
    torch.testing.assert_close(found, torch.eye(4)[None])


def test_uniformity_is_told_in_shares_of_an_average():
    attention = torch.tensor([[[0.1, 0.9], [0.5, 0.5]]], requires_grad=True)
    assert uniformity(attention) == pytest.approx((0.2, 1.8))


def test_the_prior_is_no_weight_and_follows_the_block():
    block = IABlock(4, (3, 2), (1.0, 2.0))
    assert not any("prior" in key for key in block.state_dict())
    torch.testing.assert_close(block.double().prior, location_prior((3, 2), (1, 2)).double())
    assert len(list(block.parameters())) == 4 and sum(p.numel() for p in block.parameters()) == 16


def test_sums_stay_in_single_precision_under_autocast():
    block = awake(IABlock(8, (4, 2))).float()
    x = normal(2, 8, 4, 2).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(block(x), block(x.clone())) and block(x).dtype == torch.float32
        assert block.attention(x.bfloat16()).dtype == torch.float32
        mixed = block(x)
    assert torch.equal(mixed, block(x))
    assert block(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 4, 2, 3), (2, 5, 3, 2), (2, 4, 6)])
def test_a_map_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"takes maps \(B, 4, 3, 2\), got .*image_size"):
        IABlock(4, (3, 2))(torch.zeros(shape))


def test_odd_arguments_are_refused():
    with pytest.raises(ValueError, match="fusion must be one of released, renormalised, got 'sum'"):
        IABlock(4, (3, 2), fusion="sum")
    with pytest.raises(ValueError, match="fusion must be one of"):
        spatial_attention(torch.zeros(1, 2, 2), torch.ones(2, 2), "none")
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        IABlock(0, (3, 2))
    for grid, sigma in (((0, 2), None), ((3, 2), (0.0, 1.0)), ((3, 2), (1.0, float("nan")))):
        with pytest.raises(ValueError, match=r"expected grid \(h, w\) of at least 1 x 1"):
            IABlock(4, grid, sigma)
