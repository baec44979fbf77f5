"""IANet's own weights: the reference numbers at both strides, and what is said about odd files."""

import pytest
import torch
from torch import nn

from reidlab.checkpoints import load_model, load_official, save_model
from reidlab.models.ianet import ianet_resnet50
from reidlab.models.resnet import resnet50

SMALL = {"image_size": (64, 32)}


@pytest.fixture(scope="module")
def published(golden):
    """The state dict of the published network, filled by the rule of the reference numbers."""
    shapes = golden.json("misc/ianet_manifest")["model"]
    return {
        key: golden.weight(key, shape, fan_in=True) if shape else torch.tensor(0)
        for key, shape in shapes.items()
    }


@pytest.mark.parametrize("stride", [1, 2])
def test_feature_and_logits_match_the_reference(golden, published, stride):
    data, images = golden.arrays("misc/ianet_model"), golden.normal((2, 3, 256, 128))
    model = load_official("ianet", published, last_stride=stride)
    assert not model.training and model.num_ids == 751 and model.preprocess.size == (256, 128)
    with torch.inference_mode():
        found = {"feat": model.embed(images), "logits": model(images).logits[0]}
    for name, value in found.items():
        expected = torch.tensor(data[f"stride{stride}_{name}"])
        atol = 2e-4 * float(expected.abs().max())
        torch.testing.assert_close(value[:, :64], expected, atol=atol, rtol=2e-4)
        norm = torch.tensor(data[f"stride{stride}_{name}_norm"]).float()
        torch.testing.assert_close(value.norm(dim=1), norm, atol=0, rtol=2e-4)


# What follows needs no full width: a network of width 4 with seven people.

THEIRS = {  # our beginnings of names, written down a second time
    "blocks.2.spatial_norm.": "layer2.4.W1.",
    "blocks.2.channel_norm.": "layer2.4.W2.",
    "blocks.3.spatial_norm.": "layer3.6.W1.",
    "blocks.3.channel_norm.": "layer3.6.W2.",
    "neck.norm.": "bn.",
    "neck.": "",
    "trunk.": "",
}


def their_key(key):
    ours = next(name for name in THEIRS if key.startswith(name))
    return THEIRS[ours] + key.removeprefix(ours)


@pytest.fixture(scope="module")
def narrow():
    model = ianet_resnet50(7, width=4, **SMALL)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(values, std=0.3, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=generator)
            module.num_batches_tracked.fill_(9)
    nn.init.normal_(model.neck.classifier.bias, generator=generator)
    return model.eval()


@pytest.fixture
def state(narrow):
    return {their_key(key): value.clone() for key, value in narrow.state_dict().items()}


def same(model, narrow):
    ours, wanted = model.state_dict(), narrow.state_dict()
    assert ours.keys() == wanted.keys()
    return all(torch.equal(ours[key], wanted[key]) for key in wanted)


def refused(state, **settings):
    with pytest.raises(ValueError) as caught:
        load_official("ianet", state, **{**SMALL, **settings})
    return str(caught.value)


def test_the_manifest_and_our_network_have_the_same_keys(golden):
    shapes = golden.json("misc/ianet_manifest")["model"]
    with torch.device("meta"):
        ours = ianet_resnet50(751).state_dict()
    assert {their_key(key): list(value.shape) for key, value in ours.items()} == shapes


@pytest.mark.parametrize("wrap", ["plain", "parallel", "state_dict", "file"])
def test_wrapping_and_prefixes_are_taken_off(state, narrow, tmp_path, wrap):
    parallel = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": parallel, "epoch": 60}, tmp_path / "weights.pth")
    weights = {
        "plain": state,
        "parallel": parallel,
        "state_dict": {"state_dict": parallel, "rank1": 0.944},
        "file": tmp_path / "weights.pth",
    }[wrap]
    assert same(load_official("ianet", weights, **SMALL), narrow)


def test_counters_may_be_absent(state, narrow):
    plain = {key: value for key, value in state.items() if not key.endswith("tracked")}
    model = load_official("ianet", plain, **SMALL)
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model.embed(images), narrow.embed(images))


@pytest.mark.parametrize("people", [1, 12])
def test_shapes_tell_the_number_of_people(state, people):
    state |= {"classifier.weight": torch.zeros(people, 128), "classifier.bias": torch.ones(people)}
    assert load_official("ianet", state, **SMALL).num_ids == people


def test_settings_reach_the_network(state):
    images = torch.zeros(1, 3, 96, 48)
    for stride, size in ((1, (6, 3)), (2, (3, 2))):
        model = load_official("ianet", state, image_size=(96, 48), last_stride=stride)
        assert model.preprocess.size == (96, 48) and model.blocks["2"].grid == (12, 6)
        assert model.trunk(images).shape[2:] == size and model.fusion == "released"
        assert model.embed(images).shape == (1, 128)


KEYS = (
    "conv1.weight",
    "bn1.bias",
    "layer1.0.downsample.0.weight",
    "layer2.4.W1.weight",
    "layer2.4.W2.running_var",
    "layer3.6.W1.running_mean",
    "layer3.6.W2.bias",
    "layer4.2.bn3.weight",
    "bn.weight",
    "bn.bias",
    "classifier.weight",
    "classifier.bias",
)


@pytest.mark.parametrize("key", KEYS)
def test_each_single_change_of_a_key_is_refused_by_name(state, key):
    value = state.pop(key)
    message = refused(state)
    assert message.startswith("the state dict does not fit ianet (a ResNet-50 with interaction")
    assert f"1 missing: {key}" in message and "unknown" not in message
    message = refused(state | {f"{key}_ema": value})
    assert f"1 missing: {key}" in message and f"1 unknown: {key}_ema" in message
    shape = tuple(value.shape)
    message = refused(state | {key: value[..., None]})
    assert f"1 of another shape: {key} is {(*shape, 1)}, expected {shape}" in message


def test_other_networks_are_called_by_their_names(state, narrow):
    plain = resnet50(width=4).state_dict()
    assert "holds ImageNet weights of a ResNet" in refused(plain)
    assert "holds a network of reidlab itself" in refused(narrow.state_dict())
    with pytest.raises(ValueError, match="the keys are those of ianet"):
        load_official("strong-baseline", state, **SMALL)


def test_settings_that_it_lacks_are_refused(state):
    assert "has no setting 'fusion'; its settings: image_size, last_stride" in refused(
        state, fusion="renormalised"
    )
    assert "last_stride must be 1 or 2, got 3" in refused(state, last_stride=3)


def test_it_is_saved_and_comes_back(state, tmp_path):
    model = load_official("ianet", state, **SMALL, last_stride=2)
    save_model(tmp_path, model, {"note": "theirs"})
    again, preprocess = load_model(tmp_path)
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again.embed(images), model.embed(images))
    assert preprocess == model.preprocess and model.origin["start"]["official"] == "ianet"
