"""Weights of LA-Transformer: the reference numbers, and what is said when something is off."""

import pytest
import torch

from reidlab.checkpoints import load_model, load_official, save_model
from reidlab.models.la_transformer import la_transformer_base
from reidlab.models.patch_parts import POOLS

ATOL, RTOL = 5e-5, 2e-4


@pytest.fixture(scope="module")
def published(golden):
    shapes = golden.json("misc/la_transformer_manifest")
    return {
        key: golden.weight(key, shape, fan_in=False) if shape else torch.tensor(0)
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def network(published):
    return load_official("la-transformer", published)


@pytest.fixture(scope="module")
def found(golden, network):
    """What the network says of the reference images, per name of the reference."""
    images = golden.normal((2, 3, 224, 224))
    with torch.inference_mode():
        tokens = network.trunk(images)
        grid = tokens[:, 1:].unflatten(1, (14, 14))
        whole, rows = network.parts(images)
        fused, logits = network(images)
        mean = [(whole + 8 * part) / 9 for part in POOLS["mean"](grid).unbind(1)]
        return {
            "cls": whole,
            "eval_parts": torch.stack(rows, dim=1),
            "fused_parts": torch.stack(fused, dim=1),
            "column_parts": POOLS["both"](grid)[:, 14:],
            "row_column_mean_fused": torch.stack(mean, dim=1),
            "logits": torch.stack(logits, dim=1),
            "vote": network.vote(images),
            "descriptor": network.embed(images),
        }


def close(found, expected):
    torch.testing.assert_close(found, torch.as_tensor(expected), atol=ATOL, rtol=RTOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cls", "eval_parts", "fused_parts", "column_parts", "row_column_mean_fused", "logits",
             "vote"],
)  # fmt: skip
def test_outputs_match_the_reference(golden, found, name):
    data = golden.arrays("misc/la_transformer")
    close(found[name][..., :64], data[name])
    close(found[name].norm(dim=-1).double(), data[f"{name}_norm"])


@pytest.mark.slow
def test_the_descriptor_is_that_of_the_released_test(golden, found):
    data, descriptor = golden.arrays("misc/la_transformer"), found["descriptor"]
    assert descriptor.shape == (2, 10_752)
    close(descriptor[:, :64], data["descriptor_first64"])
    close(descriptor.norm(dim=1).double(), data["descriptor_norm"])
    close(descriptor @ descriptor.T, data["descriptor_inner_products"])


@pytest.mark.slow
def test_it_is_as_the_project_evaluates(network, published):
    assert not network.training and (network.num_ids, network.num_parts) == (751, 14)
    assert network.preprocess.size == (224, 224) and network.preprocess.interpolation == "bicubic"
    assert len(network.trunk.blocks) == 12 and network.trunk.blocks[0].attn.heads == 12
    own, unused = sum(p.numel() for p in network.parameters()), 769 * 751
    assert own + unused == 91_841_537
    assert torch.equal(network.trunk.cls_token, published["model.cls_token"])


# What follows needs no full width.


def their_key(key):
    """Our parameter name as the project calls it, written down a second time."""
    words = key.split(".")
    if words[0] == "trunk":
        return ".".join(["model", *words[1:]])
    block = {"linear": "add_block.0", "norm": "add_block.1", "classifier": "classifier.0"}
    return f"classifier{words[1]}.{block[words[2]]}.{words[3]}"


@pytest.fixture(scope="module")
def narrow():
    """Three rows of two patches, five people; 128 wide, so two heads."""
    model = la_transformer_base(
        5, width=128, depth=11, heads=2, bottleneck=7, image_size=(48, 32), fusion_weight=3.0
    )
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    return model.eval()


@pytest.fixture
def state(narrow):
    own = {their_key(key): value.clone() for key, value in narrow.state_dict().items()}
    unused = {
        "cls_token": torch.ones(1, 1, 128),
        "pos_embed": torch.ones(1, 7, 128),
        "model.head.weight": torch.ones(5, 128),
        "model.head.bias": torch.ones(5),
    }
    return own | unused


def same(model, narrow):
    own, wanted = model.state_dict(), narrow.state_dict()
    return own.keys() == wanted.keys() and all(torch.equal(own[k], wanted[k]) for k in wanted)


def images():
    return torch.randn(2, 3, 48, 32, generator=torch.Generator().manual_seed(0))


def test_shapes_tell_people_parts_width_depth_and_the_image(state, narrow):
    model = load_official("la-transformer", state, fusion_weight=3.0)
    assert same(model, narrow) and model.origin["arguments"] == narrow.origin["arguments"]
    assert (model.num_ids, model.num_parts, model.trunk.grid) == (5, 3, (3, 2))
    with torch.inference_mode():
        assert torch.equal(model.embed(images()), narrow.embed(images()))
        for one, other in zip(model(images()).logits, narrow(images()).logits, strict=True):
            assert torch.equal(one, other)


def test_what_shapes_do_not_tell_is_a_setting(state, narrow):
    usual = load_official("la-transformer", state)
    assert usual.fusion_weight == 8.0 and usual.descriptor == "official"
    fused = load_official("la-transformer", state, descriptor="fused")
    with torch.inference_mode():
        assert torch.equal(usual.embed(images()), narrow.embed(images()))
        assert not torch.equal(fused.embed(images()), usual.embed(images()))
    with pytest.raises(ValueError, match="no setting 'image_size'; its settings: fusion_weight"):
        load_official("la-transformer", state, image_size=(48, 32))
    with pytest.raises(ValueError, match="descriptor must be official or fused, got 'parts'"):
        load_official("la-transformer", state, descriptor="parts")
    with pytest.raises(ValueError, match="fusion_weight must be"):
        load_official("la-transformer", state, fusion_weight=-1.0)


@pytest.mark.parametrize("wrap", [lambda s: {f"module.{k}": v for k, v in s.items()},
                                  lambda s: {"state_dict": s, "epoch": 30}])  # fmt: skip
def test_wrapping_and_prefixes_are_taken_off(state, narrow, wrap):
    assert same(load_official("la-transformer", wrap(state)), narrow)


def test_the_copies_and_the_unused_classifier_may_be_there_or_not(state, narrow):
    for key in ("cls_token", "pos_embed", "model.head.weight", "model.head.bias"):
        del state[key]
        assert same(load_official("la-transformer", state), narrow)


@pytest.mark.parametrize(
    "key",
    ["model.cls_token", "model.pos_embed", "model.norm.weight", "model.patch_embed.proj.weight",
     "model.blocks.4.mlp.fc1.bias", "classifier1.add_block.1.running_var",
     "classifier0.classifier.0.weight", "classifier0.classifier.0.bias",
     "classifier0.add_block.0.bias", "classifier2.classifier.0.bias"],
)  # fmt: skip
def test_a_missing_unknown_or_odd_key_is_refused_by_name(state, key):
    value = state.pop(key)
    with pytest.raises(ValueError, match=f"does not fit la-transformer.*\n  1 missing: {key}$"):
        load_official("la-transformer", state)
    with pytest.raises(ValueError, match=f"1 unknown: {key}_ema"):
        load_official("la-transformer", state | {key: value, f"{key}_ema": value})
    odd = torch.zeros(*value.shape, 2)
    with pytest.raises(ValueError, match=f"of another shape: {key} is "):
        load_official("la-transformer", state | {key: odd})


@pytest.mark.parametrize("part", [0, 2])
def test_a_classifier_too_few_is_told_by_name_where_the_grid_is_square(part):
    model = la_transformer_base(5, width=64, depth=1, heads=1, bottleneck=3, image_size=(48, 48))
    state = {their_key(key): value for key, value in model.state_dict().items()}
    state = {key: value for key, value in state.items() if f"classifier{part}." not in key}
    with pytest.raises(ValueError, match=f"8 missing: classifier{part}.add_block.0.bias") as error:
        load_official("la-transformer", state | {"classifier1.extra": torch.ones(1)})
    assert "1 unknown: classifier1.extra" in str(error.value)


def test_keys_of_other_projects_are_told_apart(narrow):
    model = la_transformer_base(2, width=8, heads=1, bottleneck=2, image_size=(224, 16))
    state = {their_key(key): value for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="the keys are those of la-transformer"):
        load_official("ianet", state)
    with pytest.raises(ValueError, match="a network of reidlab itself"):
        load_official("la-transformer", narrow.state_dict())


def test_it_is_saved_and_comes_back(state, tmp_path):
    model = load_official("la-transformer", state)
    save_model(tmp_path, model, {})
    again, preprocess = load_model(tmp_path)
    with torch.inference_mode():
        assert torch.equal(again.embed(images()), model.embed(images()))
    assert preprocess == model.preprocess and model.origin["start"]["official"] == "la-transformer"
