"""The attribute network: names, shapes, what separates its two kinds of heads, where it starts."""

import json

import pytest
import torch

from reidlab.checkpoints import load_model, save_model
from reidlab.data.heads import HEADS
from reidlab.losses import attribute_terms
from reidlab.models.attributes import attributes_resnet50, attributes_small
from reidlab.models.baseline import baseline_resnet50, baseline_small
from reidlab.models.catalog import build

SIZES = {head: len(names) for head, names in HEADS.items()}
TINY = {"width": 4, "image_size": (32, 16)}


def images(count=3, size=(32, 16)):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("builder", [attributes_small, attributes_resnet50])
def test_logits_are_keyed_by_attribute_and_as_many_as_classes(builder, joint):
    model = builder(joint=joint, **TINY)
    found = model(images())
    assert {head: tuple(t.shape) for head, t in found.logits.items()} == {
        head: (3, size) for head, size in SIZES.items()
    }
    assert sum(SIZES.values()) == 41
    model.eval()
    torch.testing.assert_close(model.embed(images()), model(images()).features[0])
    assert model.embed(images()).shape == (3, model.trunk.dim)


def test_full_size_matches_the_report():
    model = attributes_resnet50()
    assert model.trunk.dim == 2048
    heads = sum(p.numel() for p in model.heads.parameters())
    assert heads == 41 * 2048 + 41
    dropouts = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropouts == [0.2] * 12
    with torch.inference_mode():  # ImageNet's last stride: 256x128 pixels leave a map of 8x4
        assert model.trunk(images(1, (256, 128))).shape == (1, 2048, 8, 4)


def test_one_head_is_twelve_heads_stacked_but_for_dropout():
    twelve = attributes_small(**TINY).eval()
    one = attributes_small(joint=True, **TINY).eval()
    one.trunk.load_state_dict(twelve.trunk.state_dict())
    linear = one.heads.layers[1]
    with torch.no_grad():
        linear.weight.copy_(torch.cat([twelve.heads[head][1].weight for head in HEADS]))
        linear.bias.copy_(torch.cat([twelve.heads[head][1].bias for head in HEADS]))
    for head, logits in twelve(images()).logits.items():
        torch.testing.assert_close(one(images()).logits[head], logits)
    for model, same in ((one, True), (twelve, False)):
        model.train()
        torch.manual_seed(0)
        with torch.no_grad():
            for layers in [linear] if same else [twelve.heads[h][1] for h in HEADS]:
                layers.weight.fill_(1.0)
                layers.bias.zero_()
        found = model(images()).logits
        first = found["age"][:, 0]  # sums of the features that dropout left
        assert all(torch.allclose(first, t[:, 0]) for t in found.values()) == same


def test_every_parameter_gets_a_gradient():
    model = attributes_small(**TINY)
    labels = {head: torch.arange(3) % size for head, size in SIZES.items()}
    torch.stack(list(attribute_terms(model(images()).logits, labels).values())).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_some_heads_may_be_chosen_and_unknown_ones_are_refused():
    model = attributes_small(heads=("hat", "up_color"), **TINY)
    assert list(model(images()).logits) == ["hat", "up_color"]
    with pytest.raises(ValueError, match="expected heads among age, backpack.*got shoes"):
        attributes_small(heads=("shoes",), **TINY)
    with pytest.raises(ValueError, match="expected heads"):
        attributes_small(heads=(), **TINY)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1"):
        attributes_small(dropout=1.0, **TINY)


def test_a_saved_network_comes_back_with_the_names_of_its_classes(tmp_path):
    model = attributes_small(heads=("age", "hat"), joint=True, **TINY).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess
    assert back.classes == {"age": HEADS["age"], "hat": HEADS["hat"]}
    for head, logits in model(images()).logits.items():
        assert torch.equal(back(images()).logits[head], logits)


def test_a_head_reads_the_mean_of_the_map():
    model = attributes_small(**TINY).eval()
    found = model.trunk(images()).flatten(2).mean(dim=2)  # (B, D, h, w) -> (B, D)
    torch.testing.assert_close(model.embed(images()), found)
    linear = model.heads["age"][1]
    torch.testing.assert_close(model(images()).logits["age"], linear(found))


def test_classes_in_another_order_are_refused(tmp_path):
    file = save_model(tmp_path, attributes_small(**TINY), {}).with_suffix(".json")
    card = json.loads(file.read_text())
    card["origin"]["classes"]["age"].reverse()
    file.write_text(json.dumps(card))
    with pytest.raises(ValueError, match="its logits mean .*old.*those of this version"):
        load_model(tmp_path)


def test_the_same_seed_gives_the_same_network_and_the_catalogue_knows_it():
    first, again, other = (build("attributes_small", seed=seed, **TINY) for seed in (1, 1, 2))
    assert torch.equal(first.trunk.conv1.weight, again.trunk.conv1.weight)
    assert not torch.equal(first.trunk.conv1.weight, other.trunk.conv1.weight)


def test_a_trunk_starts_where_a_trained_network_ended(tmp_path):
    trained = baseline_small(3, width=4, image_size=(32, 16), seed=5)
    file = save_model(tmp_path / "run", trained, {})
    for source in (tmp_path / "run", str(tmp_path / "run"), file):
        model = attributes_small(pretrained=source, **TINY)
        for name, tensor in trained.trunk.state_dict().items():
            assert torch.equal(model.trunk.state_dict()[name], tensor)
    assert model.origin["start"]["weights"] and "pretrained" not in model.origin["arguments"]


def test_a_trunk_that_does_not_fit_is_refused(tmp_path):
    save_model(tmp_path / "wide", baseline_small(3, width=8), {})
    with pytest.raises(
        ValueError, match="has another trunk than this network:\n.*of another shape"
    ):
        attributes_small(pretrained=tmp_path / "wide", **TINY)
    save_model(tmp_path / "deep", baseline_resnet50(3, width=4), {})
    with pytest.raises(ValueError, match="has another trunk"):
        attributes_small(pretrained=tmp_path / "deep", **TINY)
    with pytest.raises(ValueError, match="no trained network at nowhere: expected a run's folder"):
        attributes_small(pretrained="nowhere", **TINY)
    for nothing in ("", True):
        with pytest.raises(ValueError, match="expected a checkpoint's name"):
            attributes_small(pretrained=nothing, **TINY)
