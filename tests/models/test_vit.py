"""The transformer trunk: against timm's, against loops, and the details that weights depend on."""

import math

import pytest
import timm
import torch
from torch import nn

from reidlab.models.blocks import Attention, Block, skip_some
from reidlab.models.stems import ConvStem, PatchStem
from reidlab.models.vit import VITS, ViT, make_vit, resize_positions

TINY = {"width": 16, "depth": 3, "heads": 2}


def tiny(image_size=(64, 32), **changes):
    torch.manual_seed(0)
    return ViT(image_size, **(TINY | changes)).eval()


def noisy(model):
    """Weights that show what each tensor does: none is zero or one."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def slow_attention(module, x):
    """One image, one head, one query at a time."""
    width, own = x.shape[2], x.shape[2] // module.heads
    out = torch.zeros_like(x)
    for image in range(len(x)):
        q, k, v = (x[image] @ module.qkv.weight.T + module.qkv.bias).split(width, dim=1)
        for head in range(module.heads):
            part = slice(head * own, (head + 1) * own)
            for token in range(x.shape[1]):
                scores = [float(q[token, part] @ key) * module.scale for key in k[:, part]]
                weights = torch.tensor(scores).softmax(0)
                out[image, token, part] = weights @ v[:, part]
    return out @ module.proj.weight.T + module.proj.bias


@pytest.mark.parametrize("scale", [None, 0.9])
def test_attention_matches_its_definition(scale):
    module, x = noisy(Attention(12, 3, qk_scale=scale)), torch.randn(2, 5, 12)
    assert module.scale == (scale or 0.5)
    with torch.no_grad():
        torch.testing.assert_close(module(x), slow_attention(module, x))
        weights = module.weights(x)
        v = module.qkv(x)[..., 24:].view(2, 5, 3, 4).transpose(1, 2)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(module.proj(mixed), module(x))


def test_a_block_adds_attention_and_then_two_layers_with_an_exact_gelu():
    block, x = noisy(Block(8, 2)).eval(), 3 * torch.randn(2, 4, 8)

    def norm(x, layer):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (x.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt() * layer.weight + (
            layer.bias
        )

    with torch.no_grad():
        middle = x + block.attn(norm(x, block.norm1))
        hidden = block.mlp.fc1(norm(middle, block.norm2))
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        torch.testing.assert_close(block(x), middle + block.mlp.fc2(hidden))
    assert block.mlp.fc1.out_features == 32 and block.norm1.eps == block.norm2.eps == 1e-6


def test_an_ignored_token_changes_nothing_for_the_others():
    block, x = noisy(Block(8, 2)).eval(), torch.randn(2, 4, 8)
    ignored = torch.tensor([[False, False, False, True], [False, True, False, False]])
    with torch.no_grad():
        found = block(x, ignored)
        torch.testing.assert_close(found[0, :3], block(x[:1, :3])[0])
        torch.testing.assert_close(found[1, [0, 2, 3]], block(x[1:, [0, 2, 3]])[0])


def test_stochastic_depth_skips_images_and_keeps_the_mean():
    torch.manual_seed(0)
    found = skip_some(torch.ones(20_000, 2, 3), 0.25)
    assert set(found.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert all(len(row.unique()) == 1 for row in found[:50])
    assert found.mean().item() == pytest.approx(1.0, abs=0.02)
    x = torch.ones(3)
    assert skip_some(x, 0.0) is x


def test_stochastic_depth_grows_with_the_block_and_acts_in_training_only():
    model = tiny(drop_path=0.4)
    assert [block.drop_path for block in model.blocks] == [0.0, 0.2, 0.4]
    assert [block.drop_path for block in tiny(depth=1, drop_path=0.4).blocks] == [0.0]
    images = torch.randn(4, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(images), model(images))
        model.train()
        assert not torch.equal(model(images), model(images))


def test_the_two_branches_of_a_block_are_skipped_independently():
    torch.manual_seed(0)
    block = noisy(Block(4, 1, drop_path=0.5)).train()
    found = block(torch.randn(1, 3, 4).expand(400, -1, -1)).detach()
    assert len(torch.unique(found.flatten(1).round(decimals=3), dim=0)) == 4


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_patch16_224"])
def test_timms_network_has_our_names_and_gives_the_same_tokens(name):
    torch.manual_seed(0)
    theirs = timm.create_model(name, pretrained=False, num_classes=0).eval()
    ours = make_vit("vit_tiny", (224, 224)).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(
            ours(images), theirs.forward_features(images), atol=2e-5, rtol=1e-4
        )


@pytest.mark.parametrize("name", ["vit_tiny", "vit_small", "vit_base"])
def test_every_published_size_is_timms(name):
    with torch.device("meta"):
        theirs = timm.create_model(f"{name}_patch16_224", pretrained=False, num_classes=0)
        ours = make_vit(name, (224, 224))
        same = make_vit(name.replace("vit", "deit"), (224, 224))
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    for model in (ours, same):
        assert {key: value.shape for key, value in model.state_dict().items()} == shapes
    assert ours.blocks[0].attn.scale == theirs.blocks[0].attn.scale


def test_the_first_small_network_is_wide_and_has_no_bias_before_attention():
    with torch.device("meta"):
        model = make_vit("vit_small_8", (256, 128))
    block = model.blocks[0]
    assert (model.dim, len(model.blocks), block.attn.heads) == (768, 8, 8)
    assert block.attn.qkv.bias is None and block.attn.scale == 768**-0.5
    assert block.mlp.fc1.out_features == 3 * 768


@pytest.mark.parametrize(
    ("size", "stride", "grid"),
    [
        ((256, 128), 16, (16, 8)), ((256, 128), 14, (18, 9)), ((256, 128), 12, (21, 10)),
        ((256, 128), 11, (22, 11)), ((384, 128), 16, (24, 8)), ((384, 128), 12, (31, 10)),
        ((256, 256), 16, (16, 16)), ((256, 256), 12, (21, 21)), ((64, 32), (8, 16), (7, 2)),
    ],
)  # fmt: skip
def test_the_grid_follows_image_and_stride(size, stride, grid):
    model = tiny(size, stride=stride, depth=1)
    assert model.grid == grid and model.pos_embed.shape == (1, 1 + math.prod(grid), 16)
    with torch.inference_mode():
        assert model.patch_embed(torch.zeros(1, 3, *size)).shape[2:] == grid


def test_a_token_is_a_linear_map_of_its_pixels_plus_place_plus_side():
    model = noisy(tiny(stride=(8, 16), sides=3, side_scale=2.5))
    images, sides = torch.randn(2, 3, 64, 32), torch.tensor([2, 0])
    with torch.no_grad():
        found = model.tokens(images, sides)
        weight = model.patch_embed.proj.weight.flatten(1)
        for image in range(2):
            side = 2.5 * model.side_embed[sides[image], 0]
            torch.testing.assert_close(
                found[image, 0], model.cls_token[0, 0] + model.pos_embed[0, 0] + side
            )
            for row in range(7):
                for column in range(2):
                    pixels = images[
                        image, :, 8 * row : 8 * row + 16, 16 * column : 16 * column + 16
                    ]
                    number = 1 + 2 * row + column
                    value = weight @ pixels.flatten() + model.patch_embed.proj.bias
                    expected = value + model.pos_embed[0, number] + side
                    torch.testing.assert_close(found[image, number], expected)
        ready = model.side_embed[sides, 0]
        torch.testing.assert_close(model.tokens(images, ready), found)
        torch.testing.assert_close(model.tokens(images), found - 2.5 * ready[:, None])


def test_run_stops_where_it_is_told_and_attention_shows_what_forward_does():
    model, images = noisy(tiny()), torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        tokens = model.tokens(images)
        half = model.run(model.run(tokens, slice(None, -1)), slice(-1, None))
        torch.testing.assert_close(half, model.run(tokens))
        torch.testing.assert_close(model.norm(half), model(images))
        last, maps = model.attention(images)
        torch.testing.assert_close(last, model(images))
        assert [m.shape for m in maps] == [(2, 2, 9, 9)] * 3
        torch.testing.assert_close(maps[1].sum(-1), torch.ones(2, 2, 9))
        torch.testing.assert_close(maps[0], model.blocks[0].weights(tokens))
        later = model.blocks[1].weights(model.run(tokens, slice(1)))
        torch.testing.assert_close(maps[1], later)


def test_dropout_acts_on_positions_projections_and_attention_weights():
    images = torch.randn(2, 3, 64, 32)
    for changes in ({"dropout": 0.5}, {"attention_dropout": 0.5}):
        model = tiny(drop_path=0.0, **changes)
        with torch.no_grad():
            assert torch.equal(model(images), model(images))
            model.train()
            assert not torch.equal(model(images), model(images))
            same = torch.equal(model.tokens(images), model.tokens(images))
        assert same == ("attention_dropout" in changes)


def test_first_weights_are_the_published_ones():
    torch.manual_seed(0)
    model = ViT((256, 128), width=192, depth=2, heads=3, sides=50)
    assert float(model.patch_embed.proj.weight.detach().std()) == pytest.approx(
        math.sqrt(2 / (256 * 192)), rel=0.02
    )
    for table in (model.pos_embed, model.side_embed, model.blocks[1].attn.qkv.weight):
        assert float(table.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(model.cls_token.detach().std()) == pytest.approx(0.02, rel=0.3)
    assert not model.blocks[0].mlp.fc1.bias.any() and bool((model.norm.weight == 1).all())
    assert model.norm.eps == 1e-6


def test_every_parameter_learns():
    for stem, size in (("patch", (64, 32)), ("conv", (64, 32))):
        model = tiny(size, stem=stem, sides=2).train()
        model(torch.randn(2, 3, *size), torch.tensor([0, 1])).square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize(
    ("stride", "grid"), [(16, (8, 4)), ((8, 16), (16, 4)), ((16, 8), (8, 8)), (8, (16, 8))]
)
def test_a_convolutional_stem_keeps_its_weights_at_every_stride(stride, grid):
    model = make_vit("desk", (128, 64), stride=stride)
    assert model.grid == grid
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 128, 64)).shape == (1, 1 + math.prod(grid), 128)
    shapes = [tensor.shape for tensor in model.patch_embed.state_dict().values()]
    usual = make_vit("desk", (128, 64)).patch_embed.state_dict().values()
    assert shapes == [tensor.shape for tensor in usual]
    assert model.patch_embed.grid((128, 64), (16, 16)) == (8, 4)
    assert PatchStem(4, 16, (16, 16)).grid((256, 128), (12, 12)) == (21, 10)


def test_a_convolutional_stem_covers_sizes_that_are_no_multiple_of_its_stride():
    stem = ConvStem(16, 16, (16, 16))
    assert stem.grid((130, 66)) == (9, 5)
    assert stem(torch.zeros(2, 3, 130, 66)).shape == (2, 16, 9, 5)


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        (None, (16, 8), "pos_old_14x14", "pos_new_16x8"),
        (None, (21, 10), "pos_old_14x14", "pos_new_21x10"),
        ((14, 14), (22, 11), "pos_old_14x14", "pos_new_22x11"),
        ((16, 8), (24, 8), "pos_old_16x8", "pos_new_from16x8_24x8"),
    ],
)
def test_position_tables_are_resized_as_published(golden, old, new, key, expected):
    data = golden.arrays("transreid/golden_shuffle_posembed")
    found = resize_positions(torch.tensor(data[key]), new, old)
    torch.testing.assert_close(found, torch.tensor(data[expected]), atol=1e-6, rtol=1e-5)


def test_a_position_table_of_the_same_grid_stays_as_it_is():
    table = torch.randn(1, 33, 4)
    assert resize_positions(table, (8, 4), (8, 4)) is table
    turned = resize_positions(table, (4, 8), (8, 4))
    assert turned.shape == table.shape and torch.equal(turned[:, 0], table[:, 0])
    assert not torch.equal(turned, table)
    half = resize_positions(table.half(), (16, 8), (8, 4))
    assert half.dtype == torch.float16
    with pytest.raises(ValueError, match=r"32 \+ 1 rows is not one of a grid \(5, 5\)"):
        resize_positions(table, (16, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "a depth of 1 or more"),
        ({"heads": 3}, "heads that divide the width.*width 16, heads 3"),
        ({"sides": -1}, "sides -1"),
        ({"drop_path": 1.0}, "drop_path, dropout and attention_dropout lie in 0..1"),
        ({"dropout": -0.1}, "lie in 0..1"),
        ({"stem": "mlp"}, "stem must be one of patch, conv, got 'mlp'"),
        ({"stride": 0}, "a stride of 1 or more"),
        ({"stride": 7.5}, "stride must be two whole numbers, down and across, got 7.5"),
        ({"stride": (8,)}, "stride must be two whole numbers"),
        ({"stride": "8"}, "stride must be two whole numbers"),
        ({"image_size": (64.0, 32)}, r"image_size must be two whole numbers.*got \(64.0, 32\)"),
        ({"image_size": (8, 32)}, "an image of at least one patch, got image .8, 32., patch 16"),
        ({"stem": "conv", "stride": 4}, "patch 16 and strides of 8 or 16, got 16, .4, 4."),
        ({"stem": "conv", "patch": 8}, "patch 16 and strides"),
    ],
)
def test_impossible_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


def test_other_images_and_other_rows_are_refused():
    model, images = tiny(sides=3), torch.zeros(2, 3, 64, 32)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 64, 32\), got \(2, 3, 32, 64\)"):
        model(torch.zeros(2, 3, 32, 64))
    for rows in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match=f"rows 0 to 2 of side information, got {rows[0]} to"):
            model(images, torch.tensor(rows))
    with pytest.raises(ValueError, match="has no table of side information"):
        tiny()(images, torch.tensor([0, 0]))


def test_an_unknown_trunk_is_answered_with_the_names():
    with pytest.raises(ValueError, match="unknown ViT 'vit_huge'; choose one of vit_base.*deit_s"):
        make_vit("vit_huge", (256, 128))
    assert make_vit("desk", (64, 32), width=16, heads=2).dim == 16
    assert set(VITS) >= {"vit_base", "vit_small", "vit_small_8", "desk"}
