"""Weights of AlignedReID++: the reference numbers, and what is said when something is off."""

import pytest
import torch

from reidlab.checkpoints import load_model, load_official, save_model
from reidlab.models.aligned import aligned_resnet50, stripes_of

SMALL = {"image_size": (64, 32)}


@pytest.fixture(scope="module")
def published(golden):
    shapes = golden.json("misc/alignedreid_model_manifest")
    return {
        key: golden.weight(key, shape, fan_in=True) if shape else torch.tensor(0)
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def found(golden, published):
    """What the network says: evaluation and training path, batch norm in eval mode."""
    model = load_official("alignedreid", published)
    images = golden.normal((2, 3, 256, 128))
    with torch.inference_mode():
        parts = model.parts(images)
        return {
            "eval_global": model.embed(images),
            "eval_local": stripes_of(model.embed(images, neck="local"), model.num_stripes),
            "train_logits": parts.logits,
            "train_local": parts.stripes,
        }


@pytest.mark.parametrize("name", ["eval_global", "eval_local", "train_logits", "train_local"])
def test_outputs_match_the_reference(golden, found, name):
    data = golden.arrays("misc/alignedreid_model")
    expected = torch.tensor(data[name])
    scale = 2e-4 * float(expected.abs().max())
    torch.testing.assert_close(found[name][..., :64], expected, atol=scale, rtol=2e-4)
    norms = torch.tensor(data[f"{name}_norm"])
    torch.testing.assert_close(found[name].norm(dim=-1).double(), norms, atol=1e-5, rtol=2e-4)


def test_it_is_as_the_project_evaluates(published):
    model = load_official("alignedreid", published)
    assert not model.training and (model.num_ids, model.num_stripes) == (751, 8)
    assert model.preprocess.size == (256, 128) and model.default_neck == "global"


# What follows needs no full width.


def their_key(key):
    """Our parameter name as the project calls it, written down a second time."""
    stages = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    first, rest = key.split(".", 1)
    if first == "trunk":
        stage, rest = rest.split(".", 1)
        return f"base.{stages[stage]}.{rest}"
    renamed = {"local.norm": "bn", "local.project": "conv1", "classifier": "classifier"}
    head, leaf = key.rsplit(".", 1)
    return f"{renamed[head]}.{leaf}"


@pytest.fixture(scope="module")
def narrow():
    model = aligned_resnet50(7, width=4, local_dim=10, **SMALL)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    return model.eval()


@pytest.fixture
def state(narrow):
    return {their_key(key): value.clone() for key, value in narrow.state_dict().items()}


def same(model, narrow):
    own, wanted = model.state_dict(), narrow.state_dict()
    return own.keys() == wanted.keys() and all(torch.equal(own[k], wanted[k]) for k in wanted)


def test_shapes_tell_people_width_and_stripes(state, narrow):
    model = load_official("alignedreid", state, **SMALL)
    assert same(model, narrow) and model.num_ids == 7
    assert model.origin["arguments"]["local_dim"] == 10


@pytest.mark.parametrize("wrap", [lambda s: {f"module.{k}": v for k, v in s.items()},
                                  lambda s: {"state_dict": s, "epoch": 300}])  # fmt: skip
def test_wrapping_and_prefixes_are_taken_off(state, narrow, wrap):
    assert same(load_official("alignedreid", wrap(state), **SMALL), narrow)


def test_the_last_stride_is_a_setting(state):
    assert load_official("alignedreid", state).num_stripes == 8
    model = load_official("alignedreid", state, last_stride=1)
    assert model.num_stripes == 16
    assert model.trunk(torch.zeros(1, 3, 256, 128)).shape[2:] == (16, 8)
    with pytest.raises(ValueError, match="last_stride must be 1 or 2, got 3"):
        load_official("alignedreid", state, last_stride=3)
    with pytest.raises(ValueError, match="no setting 'local'.*image_size, last_stride"):
        load_official("alignedreid", state, local="mean")


@pytest.mark.parametrize(
    "key", ["base.0.weight", "base.7.2.bn3.bias", "bn.running_mean", "conv1.bias",
            "classifier.weight"],
)  # fmt: skip
def test_a_missing_or_unknown_key_is_refused_by_name(state, key):
    value = state.pop(key)
    with pytest.raises(ValueError, match=f"does not fit alignedreid.*\n  1 missing: {key}"):
        load_official("alignedreid", state, **SMALL)
    with pytest.raises(ValueError, match=f"1 unknown: {key}_ema"):
        load_official("alignedreid", state | {key: value, f"{key}_ema": value}, **SMALL)


def test_the_keys_of_another_project_are_told_apart(state):
    with pytest.raises(ValueError, match="the keys are those of alignedreid"):
        load_official("strong-baseline", state, **SMALL)


def test_it_is_saved_and_comes_back(state, tmp_path):
    model = load_official("alignedreid", state, **SMALL, last_stride=1)
    save_model(tmp_path, model, {})
    again, preprocess = load_model(tmp_path)
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        for neck in ("global", "local"):
            assert torch.equal(again.embed(images, neck=neck), model.embed(images, neck=neck))
    assert preprocess == model.preprocess and again.num_stripes == 4
