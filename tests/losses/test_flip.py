"""FlipReID: losses on the mean of image and mirror, and on how far they are apart."""

import math

import pytest
import torch

from reidlab.data.samples import Batch
from reidlab.losses import am_softmax, flip_loss
from reidlab.losses.needs import check_sampler
from reidlab.losses.triplet import batch_hard_triplet
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_small
from reidlab.models.transreid import transreid_small

SIZE = (48, 32)


def small(**changes):
    own = {"width": 16, "depth": 1, "heads": 2, "bottleneck": 6, "image_size": SIZE}
    return la_transformer_small(5, **(own | changes)).eval()


def sided():
    return transreid_small(5, image_size=SIZE, parts=0, num_cameras=3).eval()


def batch(**changes):
    generator = torch.Generator().manual_seed(0)
    pids = torch.tensor([0, 0, 3, 3, 4, 4])
    cameras = torch.tensor([0, 1, 2, 0, 1, 2])
    fields = {"images": torch.randn(6, 3, *SIZE, generator=generator), "camids": cameras}
    return Batch(**({"pids": pids, "index": pids} | fields | changes))


def halves(model):
    """Features of the images and of their mirrors, from two calls."""
    one = batch()
    mirrored = torch.stack([torch.stack([row[:, list(range(31, -1, -1))] for row in image])
                            for image in one.images])  # fmt: skip
    return [model(x, one.camids).features for x in (one.images, mirrored)]


@pytest.mark.parametrize("make", [small, sided])
@torch.no_grad()
def test_every_term_is_the_sum_over_branches(make):
    model = make()
    found = flip_loss(model, batch())
    pids, terms = batch().pids.tolist(), {"id": 0.0, "triplet": 0.0, "flip": 0.0}
    for b, (one, other) in enumerate(zip(*halves(model), strict=True)):
        mean = (one + other) / 2
        terms["flip"] += float(((one - other) ** 2).sum()) / one.numel()
        features = [x.clone() for x in halves(model)[0]]
        features[b] = mean
        logits = model.classify(features)[b]
        for i, pid in enumerate(pids):
            terms["id"] -= float(logits[i].log_softmax(0)[pid]) / 6
            apart = [float((mean[i] - row).norm()) for row in mean]
            near = max(d for d, other_pid in zip(apart, pids, strict=True) if other_pid == pid)
            far = min(d for d, other_pid in zip(apart, pids, strict=True) if other_pid != pid)
            terms["triplet"] += math.log1p(math.exp(near - far)) / 6
    assert set(found) == set(terms)
    for name, expected in terms.items():
        assert float(found[name]) == pytest.approx(expected, rel=2e-4), name


@torch.no_grad()
def test_mirrored_images_give_the_same_losses():
    model = small()
    one, other = (
        flip_loss(model, batch(images=x)) for x in (batch().images, batch().images.flip(-1))
    )
    for name in one:
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-5)


@torch.no_grad()
def test_an_image_that_is_its_own_mirror_costs_nothing():
    images = batch().images
    images = images + images.flip(-1)
    assert float(flip_loss(small(), batch(images=images))["flip"]) == pytest.approx(0, abs=1e-10)


@torch.no_grad()
def test_settings_reach_their_terms():
    usual = flip_loss(small(), batch())
    changed = flip_loss(small(), batch(), consistency=0.5, triplet_margin=0.0)
    assert float(changed["flip"]) == pytest.approx(0.5 * float(usual["flip"]))
    assert float(changed["id"]) == float(usual["id"])
    assert float(changed["triplet"]) < float(usual["triplet"])
    assert float(flip_loss(small(), batch(), consistency=0.0)["flip"]) == 0


@torch.no_grad()
def test_triplets_are_of_all_processes_and_classes_of_this_one(monkeypatch):
    model = small()
    alone = flip_loss(model, batch())
    monkeypatch.setattr("reidlab.losses.flip.gathered", lambda x: torch.cat([x, 3 * x]))
    shared = flip_loss(model, batch())
    pids, expected = batch().pids, 0.0
    for one, other in zip(*halves(model), strict=True):
        rows = torch.cat([(one + other) / 2, 3 * (one + other) / 2])
        expected += float(batch_hard_triplet(rows, torch.cat([pids, 3 * pids]), None))
    assert float(shared["triplet"]) == pytest.approx(expected, rel=1e-5)
    assert float(shared["triplet"]) != pytest.approx(float(alone["triplet"]), rel=1e-3)
    assert (shared["id"], shared["flip"]) == (alone["id"], alone["flip"])


@torch.no_grad()
def test_cosine_heads_take_am_softmax():
    model = small(head="cosine")
    found = flip_loss(model, batch(), identity="am-softmax", scale=8.0, margin=0.2)
    means = [(one + other) / 2 for one, other in zip(*halves(model), strict=True)]
    expected = sum(float(am_softmax(x, batch().pids, 8.0, 0.2)) for x in model.classify(means))
    assert float(found["id"]) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="identity ce reads a linear head"):
        flip_loss(model, batch())


@pytest.mark.parametrize("make", [small, sided])
def test_gradients_reach_every_parameter(make):
    model = make().train()
    torch.stack(list(flip_loss(model, batch()).values())).sum().backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_labels_are_repeated_for_the_mirrors():
    model = sided()
    views = torch.zeros(6, dtype=torch.int64)
    assert flip_loss(model, batch(viewids=views))["id"].isfinite()
    assert torch.equal(
        flip_loss(model, batch())["id"], flip_loss(model, batch(viewids=views))["id"]
    )


def test_what_it_cannot_train_is_refused():
    with pytest.raises(ValueError, match="flip_loss classifies mean features, which Baseline.*no "
                                         "method 'features'; train a la-transformer"):  # fmt: skip
        flip_loss(baseline_small(5, width=4, image_size=SIZE), batch())
    for name in ("consistency", "triplet_margin"):
        with pytest.raises(ValueError, match=f"{name} must be 0 or more and finite, got -1.0"):
            flip_loss(small(), batch(), **{name: -1.0})
    with pytest.raises(ValueError, match="flip_loss needs sampler pk or groups, got shuffle"):
        check_sampler(flip_loss, "shuffle")
