from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from reidlab.losses import (
    PAIRWISE,
    cosine_triplet,
    pairwise_circle,
    pairwise_contrastive,
    pairwise_cosface,
)

LOSSES = list(PAIRWISE.values())
SCALED = [pairwise_contrastive, pairwise_cosface, pairwise_circle]


def batch(people=4, images=3, seed=0, dtype=torch.float32, width=5):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(people * images, width, generator=generator, dtype=dtype)
    return x, torch.arange(people).repeat(images)


def sides(x, pids):
    """Cosines of each anchor: to other images of its person, to images of others."""
    x = [row / row.norm() for row in x]
    everyone = range(len(x))
    for i in everyone:
        alike = [x[i] @ x[j] for j in everyone if j != i and pids[j] == pids[i]]
        others = [x[i] @ x[j] for j in everyone if pids[j] != pids[i]]
        yield alike, others


def slow_triplet(x, pids, margin=0.3):
    terms = []
    for alike, others in sides(x, pids):
        terms.append(F.relu(max(others) - min([*alike, 1.0]) + margin))
    return sum(terms) / len(terms)


def slow_contrastive(x, pids, scale=16.0):
    total = torch.zeros((), dtype=x.dtype)
    for alike, others in sides(x, pids):
        rivals = sum((scale * s).exp() for s in others)
        terms = [-((scale * s).exp() / ((scale * s).exp() + rivals)).log() for s in alike]
        total += sum(terms) / max(1, len(terms))
    return total / len(x)


def slow_cosface(x, pids, scale=16.0, margin=0.1):
    total = torch.zeros((), dtype=x.dtype)
    for alike, others in sides(x, pids):
        push = sum((scale * (s + margin)).exp() for s in others)
        pull = sum((-scale * s).exp() for s in alike)
        total += torch.log(1 + torch.as_tensor(push * pull))
    return total / len(x)


def slow_circle(x, pids, scale=48.0, margin=0.35):
    total = torch.zeros((), dtype=x.dtype)
    for alike, others in sides(x, pids):
        push = sum((scale * F.relu(s + margin) * (s - margin)).exp() for s in others)
        pull = sum((-scale * F.relu(1 + margin - s) * (s - 1 + margin)).exp() for s in alike)
        total += torch.log(1 + torch.as_tensor(push * pull))
    return total / len(x)


SLOW = {
    "triplet": slow_triplet,
    "contrastive": slow_contrastive,
    "cosface": slow_cosface,
    "circle": slow_circle,
}


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("simplereid_triplet_cosine_m0.3", cosine_triplet),
        ("ianet_triplet_cosine_m03", cosine_triplet),
        ("simplereid_contrastive_s16", pairwise_contrastive),
        ("simplereid_contrastive_s4", partial(pairwise_contrastive, scale=4)),
        ("simplereid_pairwise_cosface_s16_m0", partial(pairwise_cosface, margin=0)),
        ("simplereid_pairwise_cosface_s16_m0.2", partial(pairwise_cosface, margin=0.2)),
        ("simplereid_pairwise_circle_s48_m0.35", pairwise_circle),
        ("fastreid_pairwise_cosface_m025_g64", partial(pairwise_cosface, scale=64, margin=0.25)),
        ("fastreid_pairwise_cosface_m035_g16", partial(pairwise_cosface, scale=16, margin=0.35)),
        ("fastreid_pairwise_circle_m025_g128", partial(pairwise_circle, scale=128, margin=0.25)),
    ],
)
def test_pairwise_losses_match_public_libraries(matches_libraries, case, loss):
    matches_libraries(case, loss)


@settings(deadline=None, max_examples=10)
@given(people=st.integers(2, 4), images=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_each_loss_matches_its_definition(people, images, seed):
    x, pids = batch(people, images, seed, torch.float64)
    for name, loss in PAIRWISE.items():
        torch.testing.assert_close(loss(x, pids), SLOW[name](x, pids))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("triplet", {"margin": 1.2}),
        ("contrastive", {"scale": 2.0}),
        ("cosface", {"scale": 5.0, "margin": 0.4}),
        ("circle", {"scale": 7.0, "margin": 0.1}),
    ],
)
def test_settings_enter_as_the_definition_says(name, options):
    x, pids = batch(dtype=torch.float64)
    pids[0] = 9  # one person alone, people of unequal numbers
    torch.testing.assert_close(PAIRWISE[name](x, pids, **options), SLOW[name](x, pids, **options))


@pytest.mark.parametrize("seed", range(5))
def test_circle_agrees_with_pytorch_metric_learning(seed):
    x, pids = batch(5, 3, seed)
    pids[:2] = torch.tensor([7, 8])  # people seen once count 0 there too
    oracle = pml_losses.CircleLoss(m=0.4, gamma=20, reducer=MeanReducer())
    torch.testing.assert_close(pairwise_circle(x, pids, 20, 0.4), oracle(x, pids))


@pytest.mark.parametrize("seed", range(5))
def test_the_contrastive_form_agrees_with_ntxent_of_pytorch_metric_learning(seed):
    x, pids = batch(5, 3, seed)
    oracle = pml_losses.NTXentLoss(temperature=1 / 16, reducer=MeanReducer())
    torch.testing.assert_close(pairwise_contrastive(x, pids), oracle(x, pids))


def test_the_triplet_without_margin_is_soft():
    x, pids = batch()
    terms = [F.softplus(max(others) - min(alike)) for alike, others in sides(x, pids)]
    torch.testing.assert_close(cosine_triplet(x, pids, None), torch.stack(terms).mean())


@pytest.mark.parametrize("loss", [cosine_triplet, pairwise_contrastive, pairwise_cosface])
def test_gradients_agree_with_finite_differences(loss):
    x, pids = batch(3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(partial(loss, pids=pids), x.requires_grad_())


def test_the_weights_of_circle_loss_have_no_gradient():
    x, pids = batch(3, 2, dtype=torch.float64)
    x.requires_grad_()
    (found,) = torch.autograd.grad(pairwise_circle(x, pids, 6.0, 0.3), x)
    fixed = F.normalize(x.detach()) @ F.normalize(x.detach()).T
    cosines = F.normalize(x) @ F.normalize(x).T
    total = torch.zeros((), dtype=x.dtype)
    for i in range(6):
        alike = [j for j in range(6) if j != i and pids[j] == pids[i]]
        others = [j for j in range(6) if pids[j] != pids[i]]
        push = sum((6 * F.relu(fixed[i, j] + 0.3) * (cosines[i, j] - 0.3)).exp() for j in others)
        pull = sum((-6 * F.relu(1.3 - fixed[i, j]) * (cosines[i, j] - 0.7)).exp() for j in alike)
        total = total + torch.log(1 + push * pull) / 6
    (wanted,) = torch.autograd.grad(total, x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("loss", LOSSES)
def test_order_length_and_names_change_nothing(loss):
    x, pids = batch()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    value = loss(x, pids)
    torch.testing.assert_close(loss(x[order], pids[order]), value)
    torch.testing.assert_close(loss(9 * x, 50 - pids), value)


@pytest.mark.parametrize("loss", SCALED)
def test_an_image_alone_counts_zero_and_has_no_pull(loss):
    x = torch.tensor([[1.0, 0.2], [0.9, -0.1], [-1.0, 0.0]], requires_grad=True)
    pids = torch.tensor([0, 0, 1])
    value = loss(x, pids, scale=2.0)
    slow = SLOW[next(name for name, one in PAIRWISE.items() if one is loss)]
    torch.testing.assert_close(value, slow(x, pids, scale=2.0))
    value.backward()
    assert x.grad.isfinite().all() and x.grad[:2].abs().max() > 0
    nobody_twice = loss(x, torch.tensor([0, 1, 2]))
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        (gradient,) = torch.autograd.grad(nobody_twice, x)
    assert nobody_twice == 0 and gradient.abs().max() == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_cosines_and_scales_stay_finite(loss):
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    pids = torch.tensor([0, 0, 1, 1])  # positives opposite, negatives identical
    value = loss(x, pids) if loss is cosine_triplet else loss(x, pids, scale=1e4)
    value.backward()
    assert value.isfinite() and value > 0 and x.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_people_far_apart_cost_nothing_and_mixed_ones_something(loss):
    x = torch.eye(2).repeat_interleave(2, dim=0)
    apart, mixed = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert loss(x, apart) < 1e-4
    assert loss(x, mixed) > 1.0


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_and_autocast_give_single_precision(loss):
    x, pids = batch()
    x = x.bfloat16()
    value = loss(x.float(), pids)
    torch.testing.assert_close(loss(x, pids), value)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(x.float(), pids), value)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_that_cannot_be_used_is_refused(loss):
    x, pids = batch()
    with pytest.raises(ValueError, match="two identities in a batch, got one in 12 images"):
        loss(x, torch.zeros_like(pids))
    with pytest.raises(ValueError, match=r"\(B, D\) and pids \(B,\)"):
        loss(x[0], pids)
    if loss in SCALED:
        with pytest.raises(ValueError, match="scale must be above 0 and finite, got 0"):
            loss(x, pids, scale=0)


@pytest.mark.parametrize("loss", PAIRWISE.values())
def test_a_feature_of_no_length_does_not_drown_the_others(loss):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    x[0] = 0
    x.requires_grad_()
    loss(x, torch.tensor([0, 0, 1, 1, 2, 2])).backward()
    assert torch.equal(x.grad[0], torch.zeros(4)) and x.grad[1:].abs().sum() > 0
