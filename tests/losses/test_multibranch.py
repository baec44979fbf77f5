"""Triplets and identities over branches."""

import math

import pytest
import torch
from torch import nn

from reidlab.data.samples import Batch
from reidlab.losses import batch_all_triplet, batch_hard_triplet, weighted_triplet
from reidlab.losses.multibranch import branch_triplets, multibranch_loss
from reidlab.models.layers import Branches

TRIPLETS = [0, 0, 1, 2, 2, 0, 1, 1, 2]
PK = [0, 0, 0, 1, 1, 1, 2, 2, 2]
MINERS = {"hard": batch_hard_triplet, "all": batch_all_triplet}


class Given(nn.Module):
    """A network whose answers are known."""

    def __init__(self, features, logits=()):
        super().__init__()
        self.answer = Branches(list(features), list(logits))

    def forward(self, images, camids=None, viewids=None):
        return self.answer


def batch_of(pids):
    pids = torch.as_tensor(pids)
    return Batch(torch.zeros(len(pids), 3, 2, 1), pids, pids, pids)


def table(width, seed, scale=1.0, count=9):
    x = scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return x.requires_grad_()


def two_branches(scale=1.0):
    return [table(5, 0, scale), table(5, 1, scale)], [table(3, 2), table(3, 3)]


def slow_distance(x, y, metric):
    if metric == "cosine":
        product = sum(a * b for a, b in zip(x, y, strict=True))
        return 1 - product / math.hypot(*x) / math.hypot(*y)
    squared = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    return squared if metric == "squared" else math.sqrt(squared)


def slow_triplets(x, margin, metric):
    terms = []
    for t in range(len(x) // 3):
        a, p, n = x[3 * t : 3 * t + 3]
        terms.append(max(0.0, slow_distance(a, p, metric) - slow_distance(a, n, metric) + margin))
    return sum(terms) / len(terms)


def slow_entropy(logits, pids, rows, smoothing=0.0):
    terms = []
    for i in rows:
        total = sum(math.exp(v) for v in logits[i])
        for c, v in enumerate(logits[i]):
            share = smoothing / len(logits[i]) + (1 - smoothing) * (c == pids[i])
            terms.append(-share * math.log(math.exp(v) / total))
    return sum(terms) / len(rows)


@pytest.mark.parametrize("metric", ["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("margin", [0.1, 10.0])
@pytest.mark.parametrize("id_on", ["anchor", "all"])
def test_the_loss_of_given_triplets_matches_its_definition(metric, margin, id_on):
    features, logits = two_branches()
    found = multibranch_loss(
        Given(features, logits), batch_of(TRIPLETS), margin=margin, metric=metric, weight=0.7,
        id_on=id_on, smoothing=0.2,
    )  # fmt: skip
    rows = range(0, 9, 3) if id_on == "anchor" else range(9)
    triplet = sum(slow_triplets(x.tolist(), margin, metric) for x in features)
    entropy = sum(slow_entropy(x.tolist(), TRIPLETS, rows, 0.2) for x in logits)
    assert found["triplet"].item() == pytest.approx(0.7 * triplet, rel=1e-4)
    assert found["id"].item() == pytest.approx(0.7 * entropy, rel=1e-4)


def test_its_defaults_are_the_reported_ones():
    features, logits = two_branches()
    found = multibranch_loss(Given(features, logits), batch_of(TRIPLETS))
    triplet = sum(slow_triplets(x.tolist(), 10.0, "euclidean") for x in features)
    entropy = sum(slow_entropy(x.tolist(), TRIPLETS, (0, 3, 6)) for x in logits)
    assert found["triplet"].item() == pytest.approx(0.5 * triplet, rel=1e-4)
    assert found["id"].item() == pytest.approx(0.5 * entropy, rel=1e-4)


@pytest.mark.parametrize("mining", ["hard", "all"])
@pytest.mark.parametrize("metric", ["euclidean", "squared", "cosine"])
def test_mining_looks_at_the_whole_batch_and_classifies_every_image(mining, metric):
    features, logits = two_branches()
    found = multibranch_loss(
        Given(features, logits), batch_of(PK), margin=0.3, metric=metric, mining=mining
    )
    mine, pids = MINERS[mining], torch.tensor(PK)
    expected = 0.5 * sum(mine(x, pids, 0.3, metric=metric) for x in features)
    torch.testing.assert_close(found["triplet"], expected)
    entropy = sum(slow_entropy(x.tolist(), PK, range(9)) for x in logits)
    assert found["id"].item() == pytest.approx(0.5 * entropy, rel=1e-4)


def test_weights_of_negatives_that_are_all_far_still_sum_to_one():
    (x, _), _ = two_branches(scale=30.0)
    pids = torch.tensor(PK)
    found = branch_triplets([x], pids, 10.0, "euclidean", "weighted")
    torch.testing.assert_close(found, weighted_triplet(x, pids, 10.0, epsilon=0.0))
    assert (found - weighted_triplet(x, pids, 10.0)).abs() > 1


def test_without_classifiers_there_is_no_term_for_them():
    features, _ = two_branches()
    for pids, mining in ((TRIPLETS, "given"), (PK, "hard")):
        found = multibranch_loss(Given(features), batch_of(pids), mining=mining)
        assert list(found) == ["triplet"]


def test_one_branch_is_enough_and_branches_add_up():
    features, logits = two_branches()
    apart = [
        multibranch_loss(Given([x], [y]), batch_of(TRIPLETS))
        for x, y in zip(features, logits, strict=True)
    ]
    both = multibranch_loss(Given(features, logits), batch_of(TRIPLETS))
    for name, term in both.items():
        torch.testing.assert_close(term, apart[0][name] + apart[1][name])


def test_features_that_are_not_normalised_are_left_so():
    features, _ = two_branches()
    longer = [3 * x.detach() for x in features]
    one, other = (branch_triplets(x, torch.tensor(TRIPLETS), 2.0, "euclidean")
                  for x in (features, longer))  # fmt: skip
    expected = sum(slow_triplets(x.tolist(), 2.0, "euclidean") for x in longer)
    assert other.item() == pytest.approx(expected, rel=1e-4) and one.item() != other.item()


def test_no_margin_is_a_softplus():
    x = table(4, 0, count=3)
    a, p, n = x.tolist()
    gap = slow_distance(a, p, "euclidean") - slow_distance(a, n, "euclidean")
    found = branch_triplets([x], torch.tensor([0, 0, 1]), None, "euclidean")
    assert found.item() == pytest.approx(math.log1p(math.exp(gap)), rel=1e-4)


def test_gradients_pull_the_partner_and_push_the_stranger():
    x = torch.tensor([[0.0], [2.0], [3.0]], requires_grad=True)
    branch_triplets([x], torch.tensor([4, 4, 1]), 10.0, "euclidean").backward()
    assert x.grad.flatten().tolist() == [0.0, 1.0, -1.0]


def test_an_anchor_that_is_its_own_partner_keeps_finite_gradients():
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]], requires_grad=True)
    branch_triplets([x], torch.tensor([0, 0, 1]), 10.0, "euclidean").backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_batches_of_another_sampler_are_refused_with_what_to_do():
    features, logits = two_branches()
    model = Given(features, logits)
    with pytest.raises(ValueError, match="3 of 3 triplets.*--sampler triplets.*another mining"):
        multibranch_loss(model, batch_of(PK))
    with pytest.raises(ValueError, match="mining must be one of given, hard, all, weighted"):
        multibranch_loss(model, batch_of(PK), mining="hardest")
    with pytest.raises(ValueError, match="id_on must be one of anchor, all, got 'positive'"):
        multibranch_loss(model, batch_of(PK), id_on="positive")
    with pytest.raises(ValueError, match="metric"):
        multibranch_loss(model, batch_of(TRIPLETS), metric="manhattan")


def test_triplets_are_mined_among_the_images_of_all_processes(monkeypatch):
    (x, _), _ = two_branches()
    other, theirs = table(5, 7).detach(), torch.tensor([0, 3, 1, 3, 2, 2, 0, 1, 3])

    def together(rows):
        return torch.cat([rows, theirs if rows.ndim == 1 else other])

    monkeypatch.setattr("reidlab.losses.multibranch.gathered", together)
    everyone = torch.cat([torch.tensor(PK), theirs])
    for mining, mine in MINERS.items():
        found = branch_triplets([x], torch.tensor(PK), 0.3, "euclidean", mining)
        torch.testing.assert_close(found, mine(torch.cat([x, other]), everyone, 0.3))
    given = branch_triplets([x], torch.tensor(TRIPLETS), 9.0, "euclidean")  # these are its own
    assert given.item() == pytest.approx(slow_triplets(x.tolist(), 9.0, "euclidean"), rel=1e-4)
