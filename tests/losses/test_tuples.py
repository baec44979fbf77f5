"""Pairs in a row, triplets in a row, and the contrastive loss of given pairs."""

import pytest
import torch
from torch import nn

from reidlab.data.samples import Batch
from reidlab.losses.tuples import check_triplets, pair_loss, split_tuples
from reidlab.models.layers import Branches


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


def features(count, width=5, seed=0, scale=1.0):
    x = scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return x.requires_grad_()


def slow_pairs(x, pids, margin, squared, halves):
    """The definition read aloud, in the two terms."""
    total = {"same": 0.0, "different": 0.0}
    count = len(x) // 2
    for t in range(count):
        d = sum((a - b) ** 2 for a, b in zip(x[2 * t], x[2 * t + 1], strict=True)) ** 0.5
        same = pids[2 * t] == pids[2 * t + 1]
        term = d if same else max(0.0, margin - float(d))
        term = term**2 if squared else term
        total["same" if same else "different"] += float(term / 2 if halves else term) / count
    return total


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("margin", [0.5, 2.0, 9.0])
def test_the_pair_loss_matches_its_definition(squared, halves, margin):
    x, pids = features(14), [0, 0, 1, 2, 3, 3, 0, 1, 5, 5, 2, 2, 4, 0]
    settings = {"margin": margin, "squared": squared, "halves": halves}
    found = pair_loss(Given([x]), batch_of(pids), **settings)
    expected = slow_pairs(x.tolist(), pids, **settings)
    assert found.keys() == expected.keys()
    for name, term in found.items():
        assert term.item() == pytest.approx(expected[name], rel=1e-4, abs=1e-6)


def test_its_defaults_are_the_published_form():
    x, pids = features(6), [0, 0, 1, 2, 3, 3]
    found = pair_loss(Given([x]), batch_of(pids))
    expected = slow_pairs(x.tolist(), pids, margin=1.0, squared=True, halves=True)
    for name, term in found.items():
        assert term.item() == pytest.approx(expected[name], abs=1e-6)


def test_branches_count_by_their_mean():
    one, other, batch = features(6), features(6, seed=1), batch_of([0, 0, 1, 2, 3, 3])
    apart = [pair_loss(Given([x]), batch, margin=4.0) for x in (one, other)]
    both = pair_loss(Given([one, other]), batch, margin=4.0)
    for name, term in both.items():
        torch.testing.assert_close(term, (apart[0][name] + apart[1][name]) / 2)


@pytest.mark.parametrize(("pids", "absent"), [([0, 0, 1, 1], "different"), ([0, 1, 2, 3], "same")])
def test_a_batch_of_one_kind_of_pairs_has_a_zero_of_the_other_with_a_gradient(pids, absent):
    x = features(4)
    found = pair_loss(Given([x]), batch_of(pids), margin=9.0)
    assert found[absent].item() == 0
    torch.stack(list(found.values())).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_pairs_of_one_image_twice_keep_finite_gradients():
    x = torch.ones(4, 3, requires_grad=True)
    found = pair_loss(Given([x]), batch_of([0, 0, 1, 2]), margin=2.0)
    torch.stack(list(found.values())).sum().backward()
    assert found["different"].item() == pytest.approx(0.5 * 2.0**2 / 2)
    assert x.grad is not None and x.grad.isfinite().all()


def test_the_same_person_is_pulled_and_others_are_pushed():
    x = torch.tensor([[0.0], [1.0], [5.0], [5.5]], requires_grad=True)
    found = pair_loss(Given([x]), batch_of([0, 0, 1, 2]), margin=2.0)
    torch.stack(list(found.values())).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([-0.5, 0.5, 0.75, -0.75])


def test_rows_are_dealt_out_in_turn():
    parts = split_tuples(torch.arange(12).reshape(6, 2), 3)
    assert [part.tolist() for part in parts] == [
        [[0, 1], [6, 7]],
        [[2, 3], [8, 9]],
        [[4, 5], [10, 11]],
    ]


@pytest.mark.parametrize(("count", "length", "kind"), [(5, 2, "pairs"), (4, 3, "triplets")])
def test_half_a_tuple_is_refused_with_the_sampler_to_set(count, length, kind):
    with pytest.raises(ValueError, match=f"expected a batch of {kind}.*--sampler {kind}"):
        split_tuples(torch.zeros(count), length)
    with pytest.raises(ValueError, match="got 0 images"):
        split_tuples(torch.zeros(0), length)


def test_triplets_need_the_same_person_and_then_another():
    check_triplets(torch.tensor([3, 3, 1, 0, 0, 3]))
    for wrong in ([3, 1, 3], [3, 3, 3], [0, 1, 2]):
        with pytest.raises(ValueError, match="1 of 2 triplets are not .*sampler='triplets'"):
            check_triplets(torch.tensor([5, 5, 6, *wrong]))
    with pytest.raises(ValueError, match="expected a batch of triplets"):
        check_triplets(torch.tensor([0, 0, 1, 1]))
