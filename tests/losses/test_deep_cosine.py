"""Cross-entropy of scaled cosines and the cost of the scale."""

import math

import pytest
import torch
from torch import nn

from reidlab.data.samples import Batch
from reidlab.losses import batch_hard_triplet
from reidlab.losses.deep_cosine import cosine_softmax_loss, soft_triplet_loss
from reidlab.models.deep_cosine import CosineSoftmax, deep_cosine_small
from reidlab.models.layers import Branches


class Head(nn.Module):
    """The classifier of a network whose unit features are known."""

    def __init__(self, feature, num_ids, t):
        super().__init__()
        self.feature = nn.functional.normalize(feature)
        self.classifier = CosineSoftmax(feature.shape[1], num_ids, t)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.randn(num_ids, feature.shape[1]))

    def forward(self, images, camids=None, viewids=None):
        return Branches([self.feature], [self.classifier(self.feature)])


def batch_of(pids):
    pids = torch.as_tensor(pids)
    return Batch(torch.zeros(len(pids), 3, 2, 1), pids, pids, pids)


@pytest.mark.parametrize("t", [0.0, 1.3, -2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_matches_its_definition(t, smoothing):
    torch.manual_seed(0)
    model, pids = Head(torch.randn(5, 4), 3, t), [0, 2, 1, 1, 0]
    found = cosine_softmax_loss(model, batch_of(pids), smoothing=smoothing)
    scale, total = math.log(1 + math.exp(t)), 0.0
    for b, pid in enumerate(pids):
        cosines = []
        for w in model.classifier.weight.detach():
            cosines.append(float(w @ model.feature[b] / w.norm()))
        below = sum(math.exp(scale * c) for c in cosines)
        for k, c in enumerate(cosines):
            share = (1 - smoothing) * (k == pid) + smoothing / 3
            total -= share * math.log(math.exp(scale * c) / below) / len(pids)
    assert found["id"].item() == pytest.approx(total, rel=1e-4)
    assert found["scale"].item() == pytest.approx(0.1 * t * t / 2)


def test_the_cost_of_the_scale_pulls_its_number_to_zero():
    model = Head(torch.randn(2, 4), 3, 2.0)
    cosine_softmax_loss(model, batch_of([0, 1]), scale_weight=0.3)["scale"].backward()
    assert model.classifier.t.grad.item() == pytest.approx(0.3 * 2.0)


def test_the_loss_falls_with_the_scale_where_everybody_is_recognised():
    losses = []
    for t in (0.0, 3.0, 6.0):
        model = Head(torch.eye(3), 3, t)
        with torch.no_grad():
            model.classifier.weight.copy_(torch.eye(3))
        losses.append(cosine_softmax_loss(model, batch_of([0, 1, 2]))["id"].item())
    assert losses[0] > losses[1] > losses[2]


def test_the_length_of_the_directions_does_not_matter():
    torch.manual_seed(0)
    model = Head(torch.randn(4, 4), 3, 1.0)
    before = cosine_softmax_loss(model, batch_of([0, 1, 2, 0]))["id"]
    with torch.no_grad():
        model.classifier.weight.mul_(torch.tensor([[2.0], [0.1], [7.0]]))
    torch.testing.assert_close(cosine_softmax_loss(model, batch_of([0, 1, 2, 0]))["id"], before)


def test_a_network_without_a_classifier_is_refused_and_learns_by_triplets():
    model = deep_cosine_small(width=4, dim=6, image_size=(32, 16), dropout=0.0).eval()
    pids = torch.tensor([0, 0, 1, 1])
    batch = Batch(torch.rand(4, 3, 32, 16), pids, pids, pids)
    with pytest.raises(ValueError, match="DeepCosine has no classifier with a scale t"):
        cosine_softmax_loss(model, batch)
    feature = model.embed(batch.images)
    for margin in (None, 0.2):
        (term,) = soft_triplet_loss(model, batch, margin=margin).values()
        torch.testing.assert_close(term, batch_hard_triplet(feature, pids, margin))
    torch.testing.assert_close(
        soft_triplet_loss(model, batch), soft_triplet_loss(model, batch, margin=None)
    )


def test_triplets_are_mined_among_the_images_of_all_processes(monkeypatch):
    own, other = torch.randn(2, 6, 4).unbind()
    pids, theirs = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 3, 1, 3, 2, 2])
    model = Head(own, 3, 0.0)
    other = nn.functional.normalize(other)

    def together(rows):
        return torch.cat([rows, theirs if rows.ndim == 1 else other])

    monkeypatch.setattr("reidlab.losses.deep_cosine.gathered", together)
    (found,) = soft_triplet_loss(model, batch_of(pids)).values()
    wanted = batch_hard_triplet(torch.cat([model.feature, other]), torch.cat([pids, theirs]), None)
    torch.testing.assert_close(found, wanted)
