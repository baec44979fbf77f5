from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer
from torch.nn import functional as F

from reidlab.losses import batch_contrastive, contrastive_loss


def batch(people=4, images=3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(people * images, 5, generator=generator, dtype=dtype)
    return x, torch.arange(people).repeat(images)


def slow_pairs(x, y, same, margin, squared, halves):
    terms = []
    for a, b, alike in zip(x, y, same, strict=True):
        distance = ((a - b) ** 2).sum().sqrt()
        term = distance if alike else max(margin - distance, 0 * distance)
        terms.append((0.5 if halves else 1) * (term**2 if squared else term))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("pml_contrastive_default", batch_contrastive),
        (
            "pml_contrastive_m05_meanreducer",
            partial(batch_contrastive, negative_margin=0.5, average="all"),
        ),
        (
            "pml_contrastive_unnormalised_m10",
            partial(batch_contrastive, negative_margin=10.0, normalize=False),
        ),
    ],
)
def test_batch_contrastive_matches_public_libraries(matches_libraries, case, loss):
    matches_libraries(case, loss)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("margin", [0.7, 4.0])
def test_pairs_match_their_definition(squared, halves, normalize, margin):
    x, _ = batch()
    x, y = x.chunk(2)
    same = torch.tensor([True, False, True, False, False, False])
    found = contrastive_loss(
        x, y, same, margin, squared=squared, halves=halves, normalize=normalize
    )
    if normalize:
        x, y = F.normalize(x), F.normalize(y)
    torch.testing.assert_close(found, slow_pairs(x, y, same, margin, squared, halves))


def test_a_pair_by_hand():
    x, y = torch.zeros(2, 2), torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    same = torch.tensor([1, 0])  # numbers serve as well as bools
    assert contrastive_loss(x, y, same, 7.0) == (25 / 2 + 4 / 2) / 2
    assert contrastive_loss(x, y, same, 7.0, squared=False, halves=False) == (5 + 2) / 2


def test_positives_are_pulled_and_near_negatives_pushed_apart():
    for alike, direction in ((True, 1.0), (False, -1.0)):
        x = torch.tensor([[0.5, 0.0]], requires_grad=True)
        contrastive_loss(x, torch.zeros(1, 2), torch.tensor([alike])).backward()
        torch.testing.assert_close(x.grad, direction * torch.tensor([[0.5, 0.0]]))
    far = torch.tensor([[1.5, 0.0]], requires_grad=True)
    contrastive_loss(far, torch.zeros(1, 2), torch.tensor([False])).backward()
    assert far.grad.abs().max() == 0


@pytest.mark.parametrize("squared", [True, False])
def test_gradients_agree_with_finite_differences(squared):
    x, pids = batch(2, 3, dtype=torch.float64)
    same = torch.tensor([True, False, True])
    check = partial(contrastive_loss, same=same, margin=5.0, squared=squared)
    assert torch.autograd.gradcheck(check, tuple(half.requires_grad_() for half in x.chunk(2)))
    assert torch.autograd.gradcheck(partial(batch_contrastive, pids=pids), x.requires_grad_())


@pytest.mark.parametrize("squared", [True, False])
def test_identical_images_leave_gradients_finite(squared):
    x = torch.ones(2, 3, requires_grad=True)
    contrastive_loss(x, x.detach(), torch.tensor([True, False]), squared=squared).backward()
    assert x.grad.isfinite().all()
    batch_contrastive(x, torch.tensor([0, 1])).backward()
    assert x.grad.isfinite().all()


@settings(deadline=None, max_examples=15)
@given(
    people=st.integers(2, 5),
    images=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    margins=st.sampled_from([(0.0, 1.0), (0.4, 1.3), (0.0, 0.1)]),
    normalize=st.booleans(),
    average=st.sampled_from(["active", "all"]),
)
def test_batch_contrastive_agrees_with_pytorch_metric_learning(
    people, images, seed, margins, normalize, average
):
    x, pids = batch(people, images, seed)
    oracle = pml_losses.ContrastiveLoss(
        *margins,
        distance=LpDistance(normalize_embeddings=normalize),
        reducer=AvgNonZeroReducer() if average == "active" else MeanReducer(),
    )
    found = batch_contrastive(x, pids, *margins, normalize, average=average)
    torch.testing.assert_close(found, oracle(x, pids))


def test_batch_contrastive_averages_over_violations_alone_or_over_all_pairs():
    x, pids = torch.tensor([[0.0], [2.0], [2.5], [9.0]]), torch.tensor([0, 0, 1, 2])
    # positive: |0 - 2| = 2; of five negative pairs only 2 and 2.5 are nearer than 1, by 0.5
    assert batch_contrastive(x, pids, normalize=False) == 2 + 0.5
    assert batch_contrastive(x, pids, normalize=False, average="all") == pytest.approx(2.1)
    assert batch_contrastive(x, pids, 1.5, 0.4, normalize=False) == 0.5


def test_order_and_length_of_features_change_nothing():
    x, pids = batch()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        batch_contrastive(4 * x[order], pids[order]), batch_contrastive(x, pids)
    )


def test_what_does_not_fit_is_refused():
    x, pids = batch()
    with pytest.raises(ValueError, match=r"one label per pair.*got \(11,\) for .*\(12, 5\)"):
        contrastive_loss(x, x, pids[:11] > 0)
    with pytest.raises(ValueError, match="at least one"):
        contrastive_loss(x[:0], x[:0], pids[:0])
    with pytest.raises(ValueError, match="twice"):
        contrastive_loss(x, x[:, :4], pids > 0)
    with pytest.raises(ValueError, match="margin must be above 0 and finite, got 0"):
        contrastive_loss(x, x, pids > 0, 0)
    with pytest.raises(ValueError, match="two identities"):
        batch_contrastive(x, torch.zeros_like(pids))
    with pytest.raises(ValueError, match="average must be one of active, all, got 'none'"):
        batch_contrastive(x, pids, average="none")
