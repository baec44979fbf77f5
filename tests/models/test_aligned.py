"""AlignedReID's network: branches, what `embed` gives, constructors, files."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlab import TrainConfig, aligned_loss, embed, fit, load_model, read_dataset, save_model
from reidlab.models.aligned import AlignedReID, aligned_resnet50, aligned_small, stripes_of
from reidlab.models.catalog import build
from reidlab.models.resnet import resnet10
from reidlab.recipes import recipe

TINY = {"width": 4, "image_size": (64, 32), "local_dim": 6}


def images(count=3, size=(64, 32)):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


def odd_statistics(model):
    """Batch norms that are far from those of a fresh network."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return model.eval()


@pytest.mark.parametrize("local", ["max", "mean"])
def test_parts_follow_their_definition(local):
    model = odd_statistics(aligned_small(5, local=local, **TINY))
    with torch.no_grad():
        features = model.trunk(images())  # (3, 32, 4, 2)
        found = model.parts(images())
        norm, project = model.local.norm, model.local.project
        rows = []
        for i in range(features.shape[2]):
            row = features[:, :, i : i + 1]  # (3, 32, 1, 2)
            if local == "max":
                lit = norm(row).clamp(min=0)
                row = project(torch.maximum(lit[..., :1], lit[..., 1:]))
            else:
                row = norm(project((row[..., :1] + row[..., 1:]) / 2)).clamp(min=0)
            rows.append(row[:, :, 0, 0] / row[:, :, 0, 0].norm(dim=1, keepdim=True))
    torch.testing.assert_close(found.stripes, torch.stack(rows, dim=1))
    torch.testing.assert_close(found.feature, features.flatten(2).mean(2))
    torch.testing.assert_close(found.logits, model.classifier(found.feature))
    branches = model(images())
    assert len(branches.features) == len(branches.logits) == 1
    torch.testing.assert_close(branches.features[0], found.feature)
    torch.testing.assert_close(branches.logits[0], found.logits)


def test_stripes_of_the_evaluation_need_no_local_weights():
    model = odd_statistics(aligned_small(5, **TINY))
    with torch.no_grad():
        features = model.trunk(images())
        found = stripes_of(model.embed(images(), neck="local"), 4)
        expected = torch.stack([F.normalize(features[:, :, i].amax(2), dim=1) for i in range(4)], 1)
        torch.testing.assert_close(found, expected)
        for parameter in model.local.parameters():
            parameter.zero_()
        assert torch.equal(model.embed(images(), neck="local"), found.flatten(1))


def test_the_first_implementation_evaluates_what_it_trains():
    model = odd_statistics(aligned_small(5, local="mean", **TINY))
    with torch.no_grad():
        found = model.embed(images(), neck="local")
        assert torch.equal(found, model.parts(images()).stripes.flatten(1))
        assert found.shape == (3, 4 * 6)


def test_the_whole_feature_is_the_default_and_not_normalised():
    model = aligned_small(5, **TINY).eval()
    with torch.no_grad():
        found = model.embed(images())
        assert torch.equal(found, model.embed(images(), neck="global"))
        torch.testing.assert_close(found, model.trunk(images()).mean((2, 3)))
        assert float((found.norm(dim=1) - 1).abs().min()) > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_does_not_change_what_is_returned(training):
    model = aligned_small(5, **TINY).train(training)
    assert [tuple(t.shape) for t in model.parts(images())] == [(3, 32), (3, 4, 6), (3, 5)]
    assert model.embed(images(), neck="local").shape == (3, 4 * 32)


@pytest.mark.parametrize(
    ("size", "stride", "count"), [((128, 64), 1, 8), ((128, 64), 2, 4), ((120, 40), 2, 4)]
)
def test_the_number_of_stripes_is_that_of_the_map(size, stride, count):
    model = aligned_small(2, width=4, image_size=size, last_stride=stride).eval()
    assert model.num_stripes == count == model.trunk(images(1, size)).shape[2]
    assert model.embed(images(1, size), neck="local").shape == (1, count * 32)


def test_the_published_network_has_eight_stripes():
    model = aligned_resnet50(751)
    assert (model.num_stripes, model.trunk.dim, model.preprocess.size) == (8, 2048, (256, 128))
    assert tuple(model.local.project.weight.shape) == (128, 2048, 1, 1)
    assert tuple(model.classifier.weight.shape) == (751, 2048)


def test_the_seed_decides_the_weights():
    first, again, other = (aligned_small(3, seed=s, **TINY).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["local.project.weight"], other["local.project.weight"])
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_the_trunk_may_start_from_a_shipped_network():
    model = aligned_small(3, pretrained="crowd")
    assert not torch.equal(model.trunk.conv1.weight, aligned_small(3).trunk.conv1.weight)
    assert model.origin["start"]["pretrained"] == "crowd" and model.origin["start"]["weights"]
    with pytest.raises(ValueError, match="a checkpoint's name, a run's folder or a file, got True"):
        aligned_small(3, pretrained=True)


@pytest.mark.parametrize("local", ["max", "mean"])
def test_it_trains_is_saved_and_comes_back(market_folder, tmp_path, local):
    splits = read_dataset(market_folder)
    model = aligned_small(4, local=local, **TINY)
    before = model.state_dict()["local.project.weight"].clone()
    config = TrainConfig(epochs=1, ids_per_batch=2, images_per_id=2, device="cpu")
    history = fit(model, splits.train, aligned_loss, config)
    assert {"id", "triplet", "local"} <= set(history.rows[-1])
    assert not torch.equal(before, model.state_dict()["local.project.weight"])
    save_model(tmp_path, model, {})
    again, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess and again.num_stripes == 4
    for neck in ("global", "local"):
        found, wanted = (
            embed(each, splits.query, neck=neck, device="cpu") for each in (again, model)
        )
        torch.testing.assert_close(found.features, wanted.features)


@pytest.mark.parametrize("profile", ["desk", "paper"])
def test_the_recipes_build_their_networks(profile):
    chosen = recipe("alignedreid", profile)
    tiny = {"width": 4, "pretrained": False}
    model = chosen.build(7, **tiny)
    assert model.num_ids == 7 and model.num_stripes == 8
    assert chosen.loss is aligned_loss
    rebuilt = build(model.origin["model"], **model.origin["arguments"])
    assert rebuilt.state_dict().keys() == model.state_dict().keys()


def test_the_paper_recipe_is_the_published_one():
    chosen = recipe("alignedreid", "paper")
    train, model = chosen.train, chosen.arguments
    assert (train.optimizer, train.lr, train.weight_decay) == ("adam", 2e-4, 5e-4)
    assert (train.epochs, train.milestones, train.gamma) == (300, (150,), 0.1)
    assert (train.ids_per_batch, train.images_per_id, train.warmup_epochs) == (8, 4, 0)
    assert (model["last_stride"], model["local"], model["local_dim"]) == (2, "max", 128)
    assert dict(chosen.loss_arguments) == {"margin": 0.3, "smoothing": 0.0}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="local must be one of max, mean, got 'min'"):
        aligned_small(3, local="min")
    with pytest.raises(ValueError, match="num_ids must be at least 1"):
        aligned_small(0)
    with pytest.raises(ValueError, match="neck must be one of global, local, got 'after'"):
        aligned_small(3, **TINY).embed(images(), neck="after")
    with pytest.raises(
        ValueError, match="5 stripes in a row, \\(N, 5 \\* width\\), got \\(2, 24\\)"
    ):
        stripes_of(torch.zeros(2, 24), 5)
    for count, features in ((0, torch.zeros(2, 4)), (2, torch.zeros(2, 2, 2))):
        with pytest.raises(ValueError, match="stripes in a row"):
            stripes_of(features, count)


@pytest.mark.parametrize("local", ["max", "mean"])
@pytest.mark.parametrize("height", [96, 60, 32])  # 60 rounds up to as many rows
def test_stripes_of_images_of_another_height_are_refused(local, height):
    model = aligned_small(3, local=local, **TINY).eval()
    other = images(2, (height, 32))
    with pytest.raises(ValueError, match="expected images 64 pixels high.*image_size"):
        model.parts(other)
    with pytest.raises(ValueError, match="expected images 64 pixels high.*image_size"):
        model.embed(other, neck="local")
    assert model.embed(other).shape == (2, 32)


def test_stripes_and_their_width_are_counted_from_one():
    trunk, preprocess = resnet10(width=4), aligned_small(3, **TINY).preprocess
    for wrong in ({"num_stripes": 0}, {"local_dim": 0}):
        with pytest.raises(ValueError, match="num_stripes and local_dim must be at least 1"):
            AlignedReID(trunk, 3, preprocess=preprocess, **wrong)
    model = AlignedReID(trunk, 3, preprocess=preprocess, num_stripes=5)
    with pytest.raises(ValueError, match="5 stripes, got 64 pixels, "):
        model.parts(images())


@pytest.mark.parametrize("nothing", ["", None, 0])
def test_only_false_starts_from_random_weights(nothing):
    with pytest.raises(ValueError, match="expected a checkpoint's name, a run's folder or a file"):
        aligned_small(3, pretrained=nothing)


@pytest.mark.slow
def test_the_published_network_makes_a_step(market_folder):
    splits = read_dataset(market_folder)
    model = aligned_resnet50(4)
    before = model.trunk.conv1.weight.clone()
    config = TrainConfig(epochs=1, ids_per_batch=2, images_per_id=2, device="cpu", warmup_epochs=0)
    history = fit(model, splits.train[:8], aligned_loss, config)
    assert all(torch.isfinite(torch.tensor(row["loss"])) for row in history.rows)
    assert not torch.equal(before, model.trunk.conv1.weight)
