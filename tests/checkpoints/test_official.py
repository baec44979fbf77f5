"""Weights of other projects: the reference numbers, and what is said when something is off."""

import argparse
import random
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from reidlab.checkpoints import load_model, load_official, save_model
from reidlab.checkpoints.keys import LAYOUTS
from reidlab.checkpoints.layouts import translate
from reidlab.data.readers import read_dataset
from reidlab.losses import reid_loss
from reidlab.models.baseline import baseline_resnet50
from reidlab.models.resnet import resnet50
from reidlab.models.transreid import transreid_small
from reidlab.training import TrainConfig, fit

SOURCES = {"strong-baseline": "strong", "transreid": "transreid"}
SMALL = {"image_size": (64, 32)}


@pytest.fixture(scope="module")
def published(golden):
    """The state dict of the published networks, filled by the rule of the reference numbers."""
    shapes = golden.json("transreid/manifest_resnet50_strong")
    return {
        key: golden.weight(key, shape, fan_in=True) if shape else torch.tensor(0)
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="module", params=SOURCES)
def reference(request, golden, published):
    data = golden.arrays(f"transreid/golden_resnet50_{SOURCES[request.param]}")
    return request.param, published, data, golden.normal(data["input_shape"])


def close(actual, expected, scale=None):
    expected = torch.tensor(expected)
    atol = 1e-4 * float(expected.abs().max() if scale is None else scale)
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-4)


def close_rows(actual, data, name):
    close(actual[:, :64], data[f"{name}_head64"])
    close(actual.norm(dim=1), data[f"{name}_norm"])
    close(actual.mean(dim=1), data[f"{name}_mean"], scale=actual.square().mean().sqrt())


def test_features_match_the_reference_on_both_sides_of_the_neck(reference):
    source, state, data, images = reference
    model = load_official(source, state)
    assert not model.training and model.num_ids == int(data["num_classes"])
    with torch.inference_mode():
        for neck in ("before", "after"):
            close_rows(model.embed(images, neck=neck), data, f"eval_{neck}")
        assert torch.equal(model.embed(images[:1]), model.embed(images[:1], neck="after"))


def test_training_mode_matches_the_reference(reference):
    source, state, data, images = reference
    model = load_official(source, state).train()
    with torch.no_grad():
        out = model(images)
    close_rows(out.features[0], data, "train_feat")
    close_rows(out.logits[0], data, "train_logits")
    for name in ("running_mean", "running_var"):
        close(getattr(model.neck.norm, name)[:64], data[f"train_bn_{name}_head64"])


# What follows needs no full width: a ResNet-50 of width 4 with seven people.


def their_key(key):
    """Our parameter name as the projects call it, written down a second time."""
    for ours, theirs in (("trunk.", "base."), ("neck.norm.", "bottleneck."), ("neck.", "")):
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    raise KeyError(key)


@pytest.fixture(scope="module")
def narrow():
    torch.manual_seed(0)
    model = baseline_resnet50(7, width=4, **SMALL)
    for module in model.modules():  # statistics that differ from those of a fresh network
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(9)
    return model.eval()


@pytest.fixture
def state(narrow):
    return {their_key(key): value.clone() for key, value in narrow.state_dict().items()}


def same(model, narrow):
    ours, wanted = model.state_dict(), narrow.state_dict()
    assert ours.keys() == wanted.keys()
    return all(torch.equal(ours[key], wanted[key]) for key in wanted)


def legacy(content, file):
    torch.save(content, file, _use_new_zipfile_serialization=False)


WRAPPED = {
    "plain": lambda s: s,
    "parallel": lambda s: {f"module.{key}": value for key, value in s.items()},
    "state_dict": lambda s: {"state_dict": s, "epoch": 120},
    "model": lambda s: {
        "model": s,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        "center_param": {"centers": torch.zeros(7, 128)},
    },
    "both": lambda s: {"net": {f"module.{key}": value for key, value in s.items()}},
    "with ImageNet's classes": lambda s: s | {"base.fc.weight": torch.zeros(1000, 128)},
}


@pytest.mark.parametrize("wrap", WRAPPED)
def test_wrapping_and_prefixes_are_taken_off(state, narrow, wrap):
    assert same(load_official("strong-baseline", WRAPPED[wrap](state), **SMALL), narrow)


@pytest.mark.parametrize("write", [torch.save, legacy, save_file])
def test_files_of_every_format_load(state, narrow, tmp_path, write):
    write(state, tmp_path / "weights.pth")
    assert same(load_official("transreid", tmp_path / "weights.pth", **SMALL), narrow)
    assert same(load_official("transreid", str(tmp_path / "weights.pth"), **SMALL), narrow)


def test_counters_may_be_absent_and_nothing_else_changes(state, narrow):
    plain = {key: value for key, value in state.items() if not key.endswith("tracked")}
    before = {key: value.clone() for key, value in plain.items()}
    model = load_official("strong-baseline", plain, **SMALL)
    assert model.neck.norm.num_batches_tracked == 0
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(model.embed(images), narrow.embed(images))
    with torch.no_grad():
        model.trunk.conv1.weight.zero_()
    assert all(torch.equal(plain[key], before[key]) for key in before)


def test_half_precision_becomes_single(state):
    half = {key: v.half() if v.is_floating_point() else v for key, v in state.items()}
    model = load_official("strong-baseline", half, **SMALL)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.trunk.conv1.weight, half["base.conv1.weight"].float())


def test_the_sources_differ_in_their_pooling(state):
    images = torch.randn(2, 3, 64, 32)
    models = [load_official(source, state, **SMALL) for source in SOURCES]
    assert [model.trunk.maxpool.kernel_size for model in models] == [3, 2]
    assert not torch.allclose(*(model.embed(images) for model in models), rtol=1e-2)


def test_the_preprocessing_is_the_published_one(state):
    model = load_official("strong-baseline", state)
    assert vars(model.preprocess) == {
        "size": (256, 128),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "interpolation": "bilinear",
    }
    assert model.default_neck == "after"
    other = load_official("strong-baseline", state, image_size=[384, 128], last_stride=2)
    assert other.preprocess.size == (384, 128)
    with torch.inference_mode():
        assert model.trunk(torch.zeros(1, 3, 256, 128)).shape[2:] == (16, 8)
        assert other.trunk(torch.zeros(1, 3, 256, 128)).shape[2:] == (8, 4)


def test_it_is_saved_and_comes_back(state, tmp_path):
    model = load_official("transreid", state, **SMALL, last_stride=2)
    save_model(tmp_path, model, {"note": "theirs"})
    again, preprocess = load_model(tmp_path)
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(again.embed(images), model.embed(images))
    assert preprocess == model.preprocess and again.trunk.maxpool.kernel_size == 2


def test_a_training_starts_from_it(state, market_folder, tmp_path):
    people = read_dataset(market_folder).train
    settings = {"ids_per_batch": 2, "images_per_id": 2, "device": "cpu", "epochs": 1}
    config = TrainConfig(**settings, out=tmp_path / "run")
    model = load_official("strong-baseline", state, **SMALL)
    before = model.trunk.conv1.weight.clone()
    fit(model, people, reid_loss, config)
    assert not model.training and not torch.equal(model.trunk.conv1.weight, before)
    state["bottleneck.weight"][3] += 1e-3  # another start: another run
    with pytest.raises(ValueError, match="belongs to another run"):
        fit(load_official("strong-baseline", state, **SMALL), people, reid_loss, config)


def test_the_origin_tells_weights_apart(state):
    def start():
        return load_official("transreid", state, **SMALL).origin["start"]

    first = start()
    assert first["official"] == "transreid" and start() == first
    state["classifier.weight"][0, 0] += 1e-3
    assert start() != first


def chosen_keys(count=6):
    """Some keys of the network, among them some that tell its sizes."""
    keys = [their_key(key) for key in baseline_resnet50(7, width=4, **SMALL).state_dict()]
    plain = [key for key in keys if not key.endswith("tracked")]
    telling = ["base.conv1.weight", "base.bn1.bias", "classifier.weight", "bottleneck.bias"]
    return telling + random.Random(0).sample(sorted(set(plain) - set(telling)), count)


def refused(state, source="strong-baseline", **settings):
    with pytest.raises(ValueError) as caught:
        load_official(source, state, **{**SMALL, **settings})
    return str(caught.value)


@pytest.mark.parametrize("key", chosen_keys())
def test_each_single_change_of_a_key_is_refused_by_name(state, key):
    value = state.pop(key)
    message = refused(state)
    assert message.startswith("the state dict does not fit strong-baseline (a ResNet-50 with")
    assert f"1 missing: {key}" in message and "unknown" not in message
    assert "the keys are those of" not in message
    message = refused(state | {f"{key}_ema": value}, "transreid")
    assert f"1 missing: {key}" in message and f"1 unknown: {key}_ema" in message
    message = refused(state | {key: value[..., None]})
    shape = tuple(value.shape)
    assert f"1 of another shape: {key} is {(*shape, 1)}, expected {shape}" in message


def test_what_is_no_floating_tensor_and_what_is_too_much_is_named(state):
    key, value = "base.layer2.0.conv1.weight", state["base.layer2.0.conv1.weight"]
    assert f"{key} is a list, expected (8, 16, 1, 1)" in refused(state | {key: value.tolist()})
    assert f"{key} is (8, 16, 1, 1) of integers" in refused(state | {key: value.int()})
    odd = refused(state | {"base.bn1.weight": torch.ones(3)})  # one vote against two: width 4
    assert "1 of another shape: base.bn1.weight is (3,), expected (4,)" in odd
    message = refused(state | {"base.extra": torch.zeros(1)})
    assert "1 unknown: base.extra" in message and "missing" not in message


def test_all_problems_are_counted_and_the_first_eight_listed(state):
    lost = [key for key in state if key.startswith("base.layer2.1") and "tracked" not in key]
    odd = {f"queue{i:02}": torch.zeros(1) for i in range(9)} | {"epoch": 3}
    for key in lost:
        del state[key]
    state["base.layer3.0.bn1.weight"] = torch.zeros(5)
    message = refused(state | odd)
    assert f"{len(lost)} missing: {', '.join(sorted(lost)[:8])}, ... ({len(lost) - 8} more)" in (
        message
    )
    assert "10 unknown: epoch (a int), queue00, " in message and "queue06, ... (2 more)" in message
    assert "1 of another shape: base.layer3.0.bn1.weight is (5,), expected (16,)" in message


def vit(prefix):
    names = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight")
    return {prefix + name: torch.zeros(2, 2) for name in names} | {
        "classifier.weight": torch.zeros(7, 2)
    }


def deeper(state, stage, blocks):
    extra = {
        key.replace(f"{stage}.1.", f"{stage}.{i}."): value
        for key, value in state.items()
        if key.startswith(f"base.{stage}.1.")
        for i in range(6, blocks)
    }
    return state | extra


def basic(state):
    return {key: value for key, value in state.items() if "conv3" not in key}


LOOKS = {
    "a vision transformer without .* a start for training, as pretrained=FILE": lambda s: vit(""),
    "ImageNet weights of a ResNet: .* pretrained=FILE": lambda s: resnet50(width=4).state_dict(),
    "a network of reidlab itself": lambda s: baseline_resnet50(7, width=4).state_dict(),
    "a network of reidlab itself, which": lambda s: transreid_small(3).state_dict(),
    "a ResNet-101": lambda s: deeper(s, "layer3", 23),
    "a ResNet-152": lambda s: deeper(deeper(s, "layer2", 8), "layer3", 36),
    "a ResNet-34": basic,
    "a ResNet-18": lambda s: {k: v for k, v in basic(s).items() if "layer3.5" not in k},
    "instance norm": lambda s: s | {"base.layer1.0.bn1.IN.weight": torch.zeros(2)},
    "squeeze and excitation": lambda s: (
        s | {f"base.layer{i}.0.se_module.fc1.weight": torch.zeros(2) for i in (1, 2)}
    ),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("source", SOURCES)
def test_another_network_is_called_by_its_name(state, look, source):
    with pytest.raises(ValueError, match=f"holds {look}" if look[1] == " " else look) as caught:
        load_official(source, LOOKS[look](state), **SMALL)
    others = ""
    if source == "transreid":
        kinds = ("with a batch-norm neck", "with local branches")
        others = "".join(f" or a vision transformer {kind}" for kind in kinds)
    own = f"those of a ResNet-50 with a batch-norm neck{others}"
    assert str(caught.value).endswith(f"; the weights of {source} that are read are {own}")


def test_keys_of_another_source_are_recognised(state, monkeypatch):
    """A made-up source with names of its own stands for those with other networks."""
    own = {"trunk.*": "body.*", "neck.norm.*": "bn.*", "neck.classifier.weight": "id.weight"}
    sizes = {"num_ids": (("id.weight", 0),), "width": (("body.conv1.weight", 0),)}
    other = replace(LAYOUTS[0], source="other", keys=own, sizes=sizes)
    monkeypatch.setattr("reidlab.checkpoints.official.LAYOUTS", (*LAYOUTS, other))
    theirs = {other.theirs(LAYOUTS[0].ours(key)): value for key, value in state.items()}
    assert load_official("other", theirs, **SMALL).num_ids == 7
    assert "; the keys are those of other (a ResNet-50" in refused(theirs)
    both = refused(state, "other")
    assert "; the keys are those of strong-baseline (" in both and ", transreid (" in both


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda s: {"student": s, "teacher": s}, "several state dicts .'student', 'teacher'"),
        (lambda s: s | {"ema": dict(s)}, "several state dicts .the outermost, 'ema'"),
        (lambda s: {"epoch": 3, "acc": 0.5}, r"no state dict: .* acc \(float\), epoch \(int\)"),
        (lambda s: {}, "found nothing"),
        (
            lambda s: s | {"module.classifier.weight": s["classifier.weight"]},
            "with and without 'module.': classifier.weight",
        ),
        (lambda s: 3, "expected a file or a state dict, got int"),
        (lambda s: nn.Linear(1, 1), "got a network; pass its state_dict"),
    ],
)
def test_what_is_no_state_dict_is_refused(state, content, message):
    with pytest.raises(ValueError, match=message):
        load_official("strong-baseline", content(state), **SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": 12}, "has no setting 'stride'; its settings: image_size, last_stride"),
        ({"pool": "3x3"}, "has no setting 'pool'"),
        ({"last_stride": 3}, "last_stride must be 1 or 2, got 3"),
        ({"image_size": 256}, "image_size must be .height, width. in whole pixels, got 256"),
        ({"image_size": (256, 128, 3)}, "image_size must be"),
        ({"image_size": (0, 128)}, "image_size must be"),
        ({"image_size": (25.6, 128)}, "image_size must be"),
    ],
)
def test_unknown_and_odd_settings_are_refused(state, settings, message):
    with pytest.raises(ValueError, match=message):
        load_official("strong-baseline", state, **settings)


@pytest.mark.parametrize("source", ["dino", "clip-reid", "Strong-Baseline", ""])
def test_an_unknown_source_is_answered_with_the_list(source):
    known = "strong-baseline, transreid, alignedreid, ianet, la-transformer"
    with pytest.raises(ValueError, match=f"choose one of {known}$"):
        load_official(source, "nowhere.pth")


def test_files_that_need_code_say_what_the_project_released(state, tmp_path):
    torch.save({"model": state, "cfg": argparse.Namespace()}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="argparse.Namespace.*never executes.*whole pickled"):
        load_official("strong-baseline", tmp_path / "w.pth")
    with pytest.raises(ValueError, match="argparse.Namespace.*never executes") as caught:
        load_official("transreid", tmp_path / "w.pth")
    assert str(caught.value).endswith("'weights.pth')")


def test_files_are_named_when_something_is_off(state, tmp_path):
    file = tmp_path / "weights.pth"
    with pytest.raises(ValueError, match=f"no weights file at {file}"):
        load_official("strong-baseline", file)
    del state["classifier.weight"]
    torch.save(state, file)
    with pytest.raises(ValueError, match=f"{file} does not fit strong-baseline"):
        load_official("strong-baseline", file)


def test_templates_translate_both_ways():
    table = {"blocks.*.attn.*": "layers.*.self.*", "head": "fc"}
    assert translate("blocks.3.attn.qkv.bias", table) == "layers.3.self.qkv.bias"
    assert translate("head", table) == "fc"
    with pytest.raises(ValueError, match="no template for heads"):
        translate("heads", table)
    for layout in LAYOUTS:
        for theirs in layout.needed:
            assert layout.theirs(layout.ours(theirs)) == theirs
