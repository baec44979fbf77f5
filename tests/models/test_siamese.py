"""One network for both images of a pair."""

import dataclasses

import pytest
import torch

from reidlab.checkpoints import load_model, save_model
from reidlab.data.samples import Batch
from reidlab.losses.tuples import pair_loss
from reidlab.models.baseline import baseline_small
from reidlab.models.siamese import siamese_resnet50, siamese_small
from reidlab.recipes import recipe

TINY = {"width": 4, "image_size": (64, 32)}
BUILDERS = pytest.mark.parametrize("builder", [siamese_small, siamese_resnet50])


def images(count=4, size=(64, 32)):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


def pairs(size=(64, 32)):
    pids = torch.tensor([0, 0, 1, 0])
    return Batch(images(4, size), pids, pids, pids)


@BUILDERS
@pytest.mark.parametrize("dim", [None, 5])
def test_an_image_becomes_one_embedding_and_no_logits(builder, dim):
    model = builder(dim=dim, **TINY)
    width = dim or model.trunk.dim
    for mode in (True, False):
        found = model.train(mode)(images())
        assert [tuple(x.shape) for x in found.features] == [(4, width)] and found.logits == []
    torch.testing.assert_close(model.embed(images(), neck="before"), model(images()).features[0])


def test_the_embedding_is_the_mean_of_the_map_or_a_linear_function_of_it():
    model = siamese_small(**TINY).eval()
    mean = model.trunk(images()).flatten(2).mean(2)
    torch.testing.assert_close(model.embed(images()), mean)
    short = siamese_small(dim=5, **TINY).eval()
    mean = short.trunk(images()).flatten(2).mean(2)
    torch.testing.assert_close(short.embed(images()), mean @ short.head.weight.T)


@BUILDERS
def test_every_parameter_gets_a_gradient(builder):
    model = builder(dim=5, **TINY)
    torch.stack(list(pair_loss(model, pairs(), margin=50.0).values())).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_swapping_the_images_of_all_pairs_changes_nothing():
    model = siamese_small(**TINY).eval()
    one = pairs()
    order = torch.tensor([1, 0, 3, 2])
    other = Batch(one.images[order], one.pids[order], one.camids, one.index)
    for name, term in pair_loss(model, one, margin=9.0).items():
        torch.testing.assert_close(pair_loss(model, other, margin=9.0)[name], term)


def test_the_recipe_needs_no_people_and_a_saved_network_comes_back(tmp_path):
    chosen = recipe("siamese")
    assert chosen.learns == "distances"
    for num_ids in (None, 12):
        assert chosen.build(num_ids, pretrained=False, **TINY).origin["model"] == "siamese_small"
    model = siamese_small(dim=3, seed=2, **TINY).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess and back.origin["arguments"] == model.origin["arguments"]
    assert torch.equal(back.embed(images()), model.embed(images()))


def test_a_trained_trunk_and_imagenet_weights_are_taken_over(tmp_path):
    trained = baseline_small(3, seed=5, **TINY)
    save_model(tmp_path / "run", trained, {})
    model = siamese_small(pretrained=tmp_path / "run", **TINY)
    assert torch.equal(model.trunk.conv1.weight, trained.trunk.conv1.weight)
    assert model.origin["start"]["weights"]
    source = siamese_resnet50(seed=4, **TINY).trunk
    torch.save(source.state_dict(), tmp_path / "imagenet.pth")
    big = siamese_resnet50(pretrained=tmp_path / "imagenet.pth", **TINY)
    assert torch.equal(big.trunk.layer4[0].conv1.weight, source.layer4[0].conv1.weight)


def test_the_seed_decides_the_weights():
    first, again, other = (siamese_small(dim=3, seed=s, **TINY) for s in (1, 1, 2))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="dim must be at least 1, or None"):
        siamese_small(dim=0, **TINY)
    with pytest.raises(ValueError, match="neck must be one of before, after"):
        siamese_small(**TINY).embed(images(), neck="middle")
    with pytest.raises(ValueError, match="neck 'after' needs a batch norm behind the feature"):
        siamese_small(**TINY).embed(images(), neck="after")


def test_the_paper_recipe_differs_from_the_multibranch_one_in_the_pairs_alone():
    ours, theirs = (recipe(name, "paper").train for name in ("siamese", "multibranch"))
    assert ours == dataclasses.replace(theirs, sampler="pairs")


@pytest.mark.slow
def test_the_paper_network_takes_a_step_at_its_own_size():
    chosen = recipe("siamese", "paper")
    model = chosen.build(pretrained=False)
    terms = chosen.bound_loss(model)(model, pairs((256, 128)))
    torch.stack(list(terms.values())).sum().backward()
    assert model.preprocess.size == (256, 128)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
