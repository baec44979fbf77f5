"""TransReID's objective against the published values, its definition, and its margin heads."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.losses.margins import CLASSIFICATIONS, arcface_logits, circle_logits, cosface_logits
from reidlab.losses.transreid import transreid_loss
from reidlab.models.layers import Branches, CosineClassifier, cosine_matrix


class Given(nn.Module):
    """A network that gives the same branches whatever it sees; remembers what it was told."""

    def __init__(self, features, logits, cosine=False):
        super().__init__()
        self.branches = Branches(list(features), list(logits))
        self.head = CosineClassifier(2, 2) if cosine else nn.Linear(2, 2)

    def forward(self, images, camids=None, viewids=None):
        self.told = (images, camids, viewids)
        return self.branches


def batch_of(pids):
    return Batch(torch.zeros(len(pids), 3, 2, 2), pids, pids + 1, pids, viewids=pids + 2)


def drawn(branches, count=8, classes=5):
    torch.manual_seed(0)
    features = torch.randn(branches, count, 4, requires_grad=True)
    logits = torch.randn(branches, count, classes, requires_grad=True)
    return features, logits, torch.arange(4).repeat_interleave(2)


@pytest.mark.parametrize("smoothing", ["off", "on"])
@pytest.mark.parametrize("margin", ["soft", "m03"])
@pytest.mark.parametrize("branches", [1, 5])
def test_the_total_is_the_published_one(golden, branches, margin, smoothing):
    data = {k: torch.from_numpy(v) for k, v in golden.arrays("transreid/golden_losses").items()}
    model = Given(data["branch_feats"][:branches], data["branch_scores"][:branches])
    settings = {
        "margin": None if margin == "soft" else 0.3,
        "smoothing": 0.1 if smoothing == "on" else 0.0,
    }
    terms = transreid_loss(model, batch_of(data["pids"]), **settings)
    total = torch.stack(list(terms.values())).sum()
    expected = data[f"total{branches}_ls_{smoothing}_{margin}"]
    torch.testing.assert_close(total, expected.to(total.dtype), atol=1e-5, rtol=1e-6)


def slow_triplet(x, pids):
    terms = []
    for a in range(len(x)):
        far = max(float((x[a] - x[p]).norm()) for p in range(len(x)) if pids[p] == pids[a])
        near = min(float((x[a] - x[n]).norm()) for n in range(len(x)) if pids[n] != pids[a])
        terms.append(F.softplus(torch.tensor(far - near)))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("weighting", ["released", "paper"])
def test_each_term_matches_its_definition(weighting):
    features, logits, pids = drawn(3)
    terms = transreid_loss(Given(features, logits), batch_of(pids), weighting=weighting)
    scale = 0.5 if weighting == "released" else 1.0
    for name, values in (
        ("id", [F.cross_entropy(x, pids) for x in logits]),
        ("triplet", [slow_triplet(x.detach(), pids) for x in features]),
    ):
        expected = scale * (values[0] + (values[1] + values[2]) / 2)
        torch.testing.assert_close(terms[name], expected)
    assert list(terms) == ["id", "triplet"]


def test_the_papers_weighting_is_twice_the_released_one_and_the_same_for_one_branch():
    for branches, factor in ((5, 2.0), (1, 1.0)):
        features, logits, pids = drawn(branches)
        one, other = (
            transreid_loss(Given(features, logits), batch_of(pids), weighting=weighting)
            for weighting in ("released", "paper")
        )
        for name in one:
            torch.testing.assert_close(other[name], factor * one[name])


def test_every_branch_gets_a_gradient_and_the_network_is_told_cameras_and_views():
    features, logits, pids = drawn(5)
    model, batch = Given(features, logits), batch_of(pids)
    sum(transreid_loss(model, batch).values()).backward()
    assert all(bool(grad.any()) for grad in (*features.grad, *logits.grad))
    assert model.told == (batch.images, batch.camids, batch.viewids)


def test_triplets_are_of_all_processes_and_classes_of_this_one(monkeypatch):
    """Two processes with the same rows in turned order stand for a batch of sixteen."""
    features, logits, pids = drawn(1)
    batch = batch_of(pids)
    alone = transreid_loss(Given(features, logits), batch)
    monkeypatch.setattr("reidlab.losses.transreid.gathered", lambda x: torch.cat([x, 2 * x]))
    shared = transreid_loss(Given(features, logits), batch)
    rows = torch.cat([features[0], 2 * features[0]]).detach()
    expected = slow_triplet(rows, torch.cat([pids, 2 * pids]))
    torch.testing.assert_close(shared["triplet"].detach(), expected)
    torch.testing.assert_close(shared["id"], alone["id"])


def test_margin_and_smoothing_reach_their_terms():
    features, logits, pids = drawn(2)
    model, batch = Given(features, logits), batch_of(pids)
    usual, hinge, smooth = (
        transreid_loss(model, batch, **settings)
        for settings in ({}, {"margin": 0.3}, {"smoothing": 0.1})
    )
    assert hinge["triplet"] != usual["triplet"] and hinge["id"] == usual["id"]
    assert smooth["id"] != usual["id"] and smooth["triplet"] == usual["triplet"]


HEADS = {
    "arcface": (arcface_logits, "arcface"),
    "cosface": (cosface_logits, "cosface"),
    "circle": (circle_logits, "circle"),
    "am-softmax": (cosface_logits, "amsoftmax"),
}


@pytest.mark.parametrize("name", HEADS)
def test_margin_heads_give_the_published_logits_losses_and_gradients(golden, name):
    logits, theirs = HEADS[name]
    data = {
        k: torch.from_numpy(v) for k, v in golden.arrays("transreid/golden_margin_heads").items()
    }
    weight = data[f"{theirs}_weight"]
    weight = weight.T if theirs == "amsoftmax" else weight  # (D, C) there
    feature = data["feat"].clone().requires_grad_()
    scale, margin = data[f"{theirs}_s_m"].tolist()
    cosines, pids = cosine_matrix(feature, weight), data["pids"]
    torch.testing.assert_close(
        logits(cosines, pids, scale, margin).detach(),
        data[f"{theirs}_logits"],
        atol=1e-4,
        rtol=1e-5,
    )
    loss = CLASSIFICATIONS[name](cosines, pids, scale=scale, margin=margin)
    loss.backward()
    expected = data[f"{theirs}_ce"].to(loss.dtype)
    torch.testing.assert_close(loss.detach(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(feature.grad, data[f"{theirs}_grad"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_a_margin_head_takes_the_place_of_cross_entropy_in_every_branch(name):
    features, logits, pids = drawn(3)
    model = Given(features, logits.tanh(), cosine=True)
    settings = {"class_scale": 10.0, "class_margin": 0.2}
    terms = transreid_loss(model, batch_of(pids), classification=name, **settings)
    values = [CLASSIFICATIONS[name](x, pids, scale=10.0, margin=0.2) for x in logits.tanh()]
    torch.testing.assert_close(terms["id"], 0.5 * values[0] + 0.25 * (values[1] + values[2]))


def test_heads_of_the_other_kind_and_unknown_names_are_refused():
    features, logits, pids = drawn(2)
    plain, cosine = (Given(features, logits, cosine=c) for c in (False, True))
    with pytest.raises(ValueError, match="arcface reads a cosine head, this network has a linear"):
        transreid_loss(plain, batch_of(pids), classification="arcface")
    with pytest.raises(ValueError, match="cross-entropy reads a linear head.*--head linear"):
        transreid_loss(cosine, batch_of(pids))
    with pytest.raises(ValueError, match="label smoothing belongs to cross-entropy, not to circle"):
        transreid_loss(cosine, batch_of(pids), classification="circle", smoothing=0.1)
    with pytest.raises(ValueError, match="weighting"):
        transreid_loss(plain, batch_of(pids), weighting="equal")
    with pytest.raises(ValueError, match="classification"):
        transreid_loss(plain, batch_of(pids), classification="softmax")
