"""IANet: where its blocks stand, what its losses read, where it starts."""

import hashlib

import pytest
import torch
from torch import nn

from reidlab.checkpoints import load_model, save_model
from reidlab.data.samples import Batch
from reidlab.models.baseline import baseline_small
from reidlab.models.catalog import build
from reidlab.models.ianet import IANet, ianet_resnet50, ianet_small
from reidlab.models.interaction import IABlock, location_prior
from reidlab.models.layers import CosineClassifier
from reidlab.models.resnet import resnet10
from reidlab.recipes import recipe

TINY = {"width": 4, "image_size": (64, 32)}


def images(count=3, size=(64, 32)):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


def awake(model, seed=0):
    """`model` with blocks that do something."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.blocks.named_parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
        assert "norm" in name
    return model


@pytest.mark.parametrize("builder", [ianet_small, ianet_resnet50])
def test_forward_gives_the_feature_after_the_norm_and_its_logits(builder):
    model = awake(builder(7, **TINY))
    for mode in (True, False):
        features, logits = model.train(mode)(images())
        assert features[0].shape == (3, model.trunk.dim) and logits[0].shape == (3, 7)
        assert len(features) == len(logits) == 1
        torch.testing.assert_close(model.neck.classifier(features[0]), logits[0])
    pooled = model.embed(images(), neck="before")
    torch.testing.assert_close(model.embed(images()), features[0])
    torch.testing.assert_close(model.embed(images(), neck="after"), model.neck.norm(pooled))
    assert model.default_neck == "after" and not torch.allclose(pooled, features[0])


def test_blocks_stand_where_they_are_published():
    model = ianet_resnet50(751)
    second, third = model.blocks["2"], model.blocks["3"]
    assert (second.channels, second.grid) == (512, (32, 16))
    assert (third.channels, third.grid) == (1024, (16, 8))
    assert torch.equal(second.prior, location_prior((32, 16), (20, 10)))
    assert torch.equal(third.prior, location_prior((16, 8), (10, 5)))
    assert model.neck.classifier.weight.shape == (751, 2048)
    own = sum(p.numel() for p in model.blocks.parameters())
    assert own == 4 * (512 + 1024)


@pytest.mark.parametrize("size", [(128, 64), (100, 50), (97, 33)])
@pytest.mark.parametrize("stages", [(1,), (2, 3), (3,), (1, 2, 3)])
def test_grids_follow_the_image_size(size, stages):
    model = ianet_small(3, width=4, image_size=size, stages=stages).eval()
    assert model.embed(images(1, size)).shape == (1, 32)
    assert list(model.blocks) == [str(stage) for stage in stages]


def by_hand(model, image):
    """The pooled feature, layer by layer."""
    trunk = model.trunk
    x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(image))))
    x = model.blocks["2"](trunk.layer2(trunk.layer1(x)))
    x = trunk.layer4(model.blocks["3"](trunk.layer3(x)))
    return x.mean(dim=(2, 3))


def test_a_block_follows_its_stage():
    model = awake(ianet_small(3, **TINY)).eval()
    torch.testing.assert_close(model.embed(images(), neck="before"), by_hand(model, images()))
    trunk = model.trunk(images()).mean(dim=(2, 3))
    assert not torch.allclose(model.embed(images(), neck="before"), trunk, rtol=1e-2)


def test_without_blocks_or_before_training_it_is_the_plain_network():
    plain, model = (ianet_small(3, stages=s, **TINY).eval() for s in ((), (2, 3)))
    assert len(plain.blocks) == 0
    for name, tensor in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert torch.equal(model.embed(images()), plain.embed(images()))
    other = images(2, (96, 48))
    assert plain.embed(other).shape == (2, 32)  # without a prior any size will do
    torch.testing.assert_close(
        plain.embed(images(), neck="before"), plain.trunk(images()).mean(dim=(2, 3))
    )


def test_attention_is_that_of_the_map_that_the_block_sees():
    model = awake(ianet_small(3, **TINY)).eval()
    trunk = model.trunk
    x = trunk.layer1(trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images())))))
    second = trunk.layer2(x)
    third = trunk.layer3(model.blocks["2"](second))
    for stage, x in ((2, second), (3, third)):
        torch.testing.assert_close(
            model.attention(images(), stage), model.blocks[str(stage)].attention(x)
        )
    sharp = model.attention(images(), 2, "renormalised")
    assert sharp.max() > 1.5 * model.attention(images(), 2).max()
    with pytest.raises(ValueError, match="no block after stage 4; stages with a block: 2, 3"):
        model.attention(images(), 4)
    with pytest.raises(ValueError, match="stages with a block: none"):
        ianet_small(3, stages=(), **TINY).attention(images(), 2)


def test_the_fusion_reaches_both_blocks():
    released, other = (
        awake(ianet_small(3, fusion=f, **TINY)).eval() for f in ("released", "renormalised")
    )
    assert [block.fusion for block in other.blocks.values()] == ["renormalised"] * 2
    assert not torch.allclose(released.embed(images()), other.embed(images()), rtol=1e-3)


def test_the_head_starts_as_published():
    head = ianet_small(4000, width=32).neck
    weight, classes = head.norm.weight.detach(), head.classifier.weight.detach()
    assert abs(float(weight.mean()) - 1) < 0.005
    assert 0.015 < float(weight.std()) < 0.025
    assert head.norm.bias.requires_grad and not head.norm.bias.any()
    assert 0.0009 < float(classes.std()) < 0.0011
    assert not head.classifier.bias.any()


def test_a_cosine_classifier_gives_cosines():
    model = ianet_small(5, classifier="cosine", **TINY).eval()
    (feature,), (cosines,) = model(images())
    assert isinstance(model.neck.classifier, CosineClassifier)
    expected = nn.functional.cosine_similarity(
        feature[:, None], model.neck.classifier.weight[None], dim=2
    )
    torch.testing.assert_close(cosines, expected)


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_every_parameter_gets_a_gradient(classifier):
    model = ianet_small(5, classifier=classifier, **TINY)
    features, logits = model(images(4))
    target = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    ((logits[0] * target).sum() + features[0].pow(3).sum()).backward()
    names = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not names


@pytest.mark.parametrize(
    "settings",
    [{"fusion": "renormalised", "classifier": "cosine"}, {"stages": ()}, {"last_stride": 2}],
)
def test_a_saved_network_comes_back(tmp_path, settings):
    model = awake(ianet_small(4, **TINY, **settings)).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert isinstance(back, IANet) and preprocess == model.preprocess
    assert torch.equal(back.embed(images()), model.embed(images()))
    assert back.origin["arguments"] == model.origin["arguments"]


def test_the_same_seed_gives_the_same_network_and_the_catalogue_knows_both():
    for name in ("ianet_small", "ianet_resnet50"):
        first, again, other = (build(name, num_ids=3, seed=s, **TINY) for s in (1, 1, 2))
        for part in ("trunk.conv1.weight", "neck.norm.weight", "neck.classifier.weight"):
            assert torch.equal(first.state_dict()[part], again.state_dict()[part])
            assert not torch.equal(first.state_dict()[part], other.state_dict()[part])


def test_the_desk_network_starts_where_a_trained_one_ended(tmp_path):
    trained = baseline_small(3, seed=5, **TINY)
    save_model(tmp_path / "run", trained, {})
    model = ianet_small(6, pretrained=tmp_path / "run", seed=4, **TINY)
    for name, tensor in trained.trunk.state_dict().items():
        assert torch.equal(model.trunk.state_dict()[name], tensor)
    file = tmp_path / "run" / "model.safetensors"
    assert model.origin["start"] == {
        "seed": 4,
        "pretrained": str(tmp_path / "run"),
        "weights": hashlib.sha256(file.read_bytes()).hexdigest()[:12],
    }
    assert "pretrained" not in model.origin["arguments"]
    assert ianet_small(6, seed=4, **TINY).origin["start"] == {"seed": 4}


def test_the_published_network_starts_from_a_file_of_imagenet_weights(tmp_path):
    theirs = ianet_resnet50(3, seed=5, **TINY).trunk.state_dict()
    torch.save(theirs, tmp_path / "resnet50.pth")
    model = ianet_resnet50(6, pretrained=tmp_path / "resnet50.pth", **TINY)
    assert torch.equal(model.trunk.layer4[2].conv3.weight, theirs["layer4.2.conv3.weight"])
    assert model.origin["start"]["pretrained"].endswith("resnet50.pth")


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"takes maps \(B, 8, 8, 4\), got .*image_size"):
        ianet_small(3, **TINY)(images(2, (96, 48)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stages": (2, 4)}, r"stages must be different ones among 1, 2, 3, got \(2, 4\)"),
        ({"stages": (2, 2)}, "stages must be different"),
        ({"stages": 2}, r"stages must be different ones among 1, 2, 3, got 2; such as \(2, 3\)"),
        ({"stages": "23"}, "stages must be different"),
        ({"stages": (2.0,)}, r"stages must be different.*got \(2.0,\)"),
        ({"stages": (True,)}, r"stages must be different.*got \(True,\)"),
        ({"fusion": "product"}, "fusion must be one of released, renormalised, got 'product'"),
        ({"fusion": "product", "stages": ()}, "fusion must be one of"),
        ({"classifier": "arcface"}, "classifier must be one of linear, cosine, got 'arcface'"),
        ({"num_ids": None}, "num_ids must be at least 1, got None"),
        ({"num_ids": True}, "num_ids must be at least 1, got True"),
        ({"num_ids": 0}, "num_ids must be at least 1, got 0"),
    ],
)
def test_odd_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ianet_small(**{"num_ids": 3, **TINY, **arguments})
    model = ianet_small(3, **TINY)
    with pytest.raises(ValueError, match="neck must be one of"):
        model.embed(images(), neck="middle")
    with pytest.raises(ValueError, match="neck must be one of"):
        IANet(resnet10(width=4), 3, preprocess=model.preprocess, default_neck="none")


@pytest.mark.slow
@pytest.mark.parametrize("last_stride", [1, 2])
def test_the_published_network_takes_a_step_of_the_paper_recipe(last_stride):
    chosen = recipe("ianet", "paper")
    model = chosen.build(2, pretrained=False, last_stride=last_stride)
    assert all(isinstance(block, IABlock) for block in model.blocks.values())
    pids = torch.tensor([0, 0, 1, 1])
    batch = Batch(images(4, (256, 128)), pids, pids, pids)
    optimizer = torch.optim.Adam(model.parameters(), lr=3.5e-4)
    before = [p.detach().clone() for p in model.parameters()]
    first = chosen.bound_loss()(model, batch)
    assert set(first) == {"id", "pairwise"}
    torch.stack(list(first.values())).sum().backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    second = chosen.bound_loss()(model, batch)
    assert sum(second.values()) < sum(first.values())
