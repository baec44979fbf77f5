from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer
from torch.nn import functional as F

from reidlab.losses import (
    batch_all_triplet,
    batch_hard_triplet,
    distance_matrix,
    triplet,
    triplet_loss,
    weighted_triplet,
)
from reidlab.losses.distances import METRICS

IN_BATCH = [batch_hard_triplet, batch_all_triplet, weighted_triplet]
sizes = {"people": st.integers(2, 5), "images": st.integers(2, 4), "seed": st.integers(0, 10**6)}


def batch(people=4, images=3, seed=0, dtype=torch.float32, width=6):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(people * images, width, generator=generator, dtype=dtype)
    return x, torch.arange(people).repeat(images)


def hinge(violation, margin):
    return F.softplus(violation) if margin is None else F.relu(violation + margin)


def triplets(pids):
    everyone = range(len(pids))
    for a in everyone:
        for p in everyone:
            for n in everyone:
                if a != p and pids[a] == pids[p] and pids[a] != pids[n]:
                    yield a, p, n


def slow_batch_all(distance, pids, margin, average):
    terms = [hinge(distance[a, p] - distance[a, n], margin) for a, p, n in triplets(pids)]
    counted = [term for term in terms if term > 0] if average == "active" else terms
    return sum(terms) / max(1, len(counted))


def slow_weighted(distance, pids, margin, epsilon):
    terms = []
    for a, row in enumerate(distance):
        near = [d for d, pid in zip(row, pids, strict=True) if pid == pids[a]]
        far = [d for d, pid in zip(row, pids, strict=True) if pid != pids[a]]
        near_sum = sum(d.exp() for d in near) + epsilon * max(near).exp()
        far_sum = sum((-d).exp() for d in far) + epsilon
        positive = sum(d.exp() / near_sum * d for d in near)
        negative = sum((-d).exp() / far_sum * d for d in far)
        terms.append(hinge(positive - negative, margin))
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("fastreid_triplet_hard_m03", batch_hard_triplet),
        (
            "fastreid_triplet_hard_m03_cosine",
            partial(batch_hard_triplet, metric="squared", normalize=True),
        ),
        ("fastreid_triplet_hard_soft", partial(batch_hard_triplet, margin=None)),
        ("fastreid_triplet_weighted_m03", weighted_triplet),
        ("fastreid_triplet_weighted_soft", partial(weighted_triplet, margin=0)),
        ("ianet_triplet_cosine_m03", partial(batch_hard_triplet, metric="cosine")),
        ("ianet_triplet_euclid_m03", batch_hard_triplet),
        ("pml_triplet_all_m02", partial(batch_all_triplet, margin=0.2, normalize=True)),
        *(
            (f"torchreid_triplet_hard_m{margin:g}", partial(batch_hard_triplet, margin=margin))
            for margin in (0.3, 1, 5, 10, 15)
        ),
    ],
)
def test_triplet_losses_match_public_libraries(matches_libraries, case, loss):
    matches_libraries(case, loss)


@pytest.mark.parametrize("margin", [1, 5, 10, 15])
def test_given_triplets_match_torch(golden, matches_libraries, margin):
    others = golden.normal((10, 32), "positive"), golden.normal((10, 32), "negative")
    case = f"torch_triplet_margin_m{margin}"
    matches_libraries(case, lambda x, _: triplet_loss(x, *others, margin), (10, 32), "anchor")


@pytest.mark.parametrize("margin", [0.0, 0.3, None])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("normalize", [False, True])
def test_given_triplets_match_their_definition(margin, metric, normalize):
    x, _ = batch(4, 3)
    rows = x.chunk(3)
    found = triplet_loss(*rows, margin, metric=metric, normalize=normalize)
    distance = distance_matrix(x, x, metric, normalize=normalize)
    terms = [hinge(distance[i, 4 + i] - distance[i, 8 + i], margin) for i in range(4)]
    torch.testing.assert_close(found, torch.stack(terms).mean())


@pytest.mark.parametrize("margin", [0.0, 0.3, None])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("normalize", [False, True])
def test_batch_hard_takes_the_hardest_under_each_metric(margin, metric, normalize):
    x, pids = batch()
    distance = distance_matrix(x, x, metric, normalize=normalize)
    terms = []
    for a in range(len(x)):
        positive = max(distance[a, pids == pids[a]])
        terms.append(hinge(positive - min(distance[a, pids != pids[a]]), margin))
    found = batch_hard_triplet(x, pids, margin, metric=metric, normalize=normalize)
    torch.testing.assert_close(found, torch.stack(terms).mean())


@settings(deadline=None, max_examples=15)
@given(**sizes, margin=st.sampled_from([0.0, 0.3, None]), metric=st.sampled_from(METRICS))
def test_batch_all_counts_every_triplet(people, images, seed, margin, metric):
    x, pids = batch(people, images, seed)
    distance = distance_matrix(x, x, metric, normalize=True)
    for average in ("active", "all"):
        found = batch_all_triplet(x, pids, margin, metric=metric, normalize=True, average=average)
        torch.testing.assert_close(found, slow_batch_all(distance, pids, margin, average))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("average", "reducer"), [("active", AvgNonZeroReducer), ("all", MeanReducer)]
)
def test_batch_all_agrees_with_pytorch_metric_learning(seed, average, reducer):
    x, pids = batch(3, 4, seed)
    oracle = pml_losses.TripletMarginLoss(
        margin=0.5, distance=LpDistance(normalize_embeddings=False), reducer=reducer()
    )
    found = batch_all_triplet(x, pids, 0.5, average=average)
    torch.testing.assert_close(found, oracle(x, pids))


@pytest.mark.parametrize("block", [1, 40, 100])
def test_batch_all_does_not_depend_on_the_size_of_its_blocks(monkeypatch, block):
    x, pids = batch()
    wanted = x.clone().requires_grad_()
    batch_all_triplet(wanted, pids).backward()
    monkeypatch.setattr(triplet, "BLOCK", block)
    found = x.clone().requires_grad_()
    value = batch_all_triplet(found, pids)
    value.backward()
    torch.testing.assert_close(value.detach(), batch_all_triplet(x, pids))
    torch.testing.assert_close(found.grad, wanted.grad)


def test_batch_all_never_holds_more_triplets_than_a_block(monkeypatch):
    x, pids = batch(6, 4)  # 24 x 3 pairs x 24 images
    largest = []
    inner = triplet._all_triplets

    def spy(distance, negatives, pairs, margin):
        block = inner(distance, negatives, pairs, margin)
        largest.append(block.numel())
        return block

    monkeypatch.setattr(triplet, "_all_triplets", spy)
    monkeypatch.setattr(triplet, "BLOCK", 240)
    batch_all_triplet(x, pids)
    assert max(largest) == 240 and sum(largest) == 24 * 3 * 24


@settings(deadline=None, max_examples=15)
@given(**sizes, margin=st.sampled_from([0.3, 1.0, None]), epsilon=st.sampled_from([0.0, 1e-6, 0.1]))
def test_weighted_triplet_matches_its_definition(people, images, seed, margin, epsilon):
    x, pids = batch(people, images, seed)
    wanted = slow_weighted(distance_matrix(x, x), pids, margin, epsilon)
    torch.testing.assert_close(weighted_triplet(x, pids, margin, epsilon=epsilon), wanted)


def test_without_margin_weighted_triplet_falls_back_where_exp_overflows():
    x, pids = batch()
    torch.testing.assert_close(
        weighted_triplet(x, pids, 0), slow_weighted(distance_matrix(x, x), pids, None, 1e-6)
    )
    far = 100 * x  # violations of more than 88.7
    assert weighted_triplet(far, pids, None) == weighted_triplet(far, pids, 0.3)
    assert weighted_triplet(far, pids, None) > 88.7


def test_weights_stay_finite_at_any_distance():
    for epsilon in (0.0, 1e-6):
        x, pids = batch()
        x = (1e4 * x).requires_grad_()
        value = weighted_triplet(x, pids, epsilon=epsilon)
        value.backward()
        assert value.isfinite() and x.grad.isfinite().all()


def test_only_a_plain_softmax_keeps_far_negatives_in_the_mean():
    pids = torch.tensor([0, 0, 1, 1])
    x = torch.tensor([[0.0], [0.0], [40.0], [40.0]])
    assert weighted_triplet(x, pids, 1.0, epsilon=0) == 0
    assert weighted_triplet(x, pids, 1.0) > 0.99


@pytest.mark.parametrize("loss", IN_BATCH)
@pytest.mark.parametrize("metric", METRICS)
def test_gradients_agree_with_finite_differences(loss, metric):
    x, pids = batch(3, 2, dtype=torch.float64, width=3)
    check = partial(loss, pids=pids, margin=None, metric=metric)
    assert torch.autograd.gradcheck(check, x.requires_grad_())


@pytest.mark.parametrize("loss", IN_BATCH)
def test_order_shift_and_names_of_people_change_nothing(loss):
    x, pids = batch()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    value = loss(x, pids)
    torch.testing.assert_close(loss(x[order], pids[order]), value)
    torch.testing.assert_close(loss(x + 2.0, pids), value)
    torch.testing.assert_close(loss(x, 100 - 7 * pids), value)
    torch.testing.assert_close(loss(5 * x, pids, normalize=True), loss(x, pids, normalize=True))


@pytest.mark.parametrize("loss", IN_BATCH)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("margin", [0.3, None])
def test_duplicates_leave_gradients_finite(loss, metric, margin):
    x = torch.ones(6, 3, requires_grad=True)
    loss(x, torch.tensor([0, 0, 1, 1, 2, 2]), margin, metric=metric).backward()
    assert x.grad.isfinite().all()


def test_a_batch_in_which_nobody_appears_twice_has_no_triplets():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = batch_all_triplet(x, torch.arange(4))
    value.backward()
    assert value == 0 and x.grad.abs().max() == 0


def test_active_triplets_keep_the_loss_from_fading():
    x = torch.tensor([[0.0], [1.0], [1.1], [50.0]])
    pids = torch.tensor([0, 0, 1, 2])
    # (0, 1, 2): 1.0 - 1.1 + 0.3, (1, 0, 2): 1.0 - 0.1 + 0.3; person 2 is far from both
    torch.testing.assert_close(batch_all_triplet(x, pids), torch.tensor(1.4 / 2))
    torch.testing.assert_close(batch_all_triplet(x, pids, average="all"), torch.tensor(1.4 / 4))


@pytest.mark.parametrize("loss", IN_BATCH)
def test_a_batch_that_cannot_be_used_is_refused(loss):
    x, pids = batch()
    with pytest.raises(ValueError, match="two identities in a batch, got one in 12 images"):
        loss(x, torch.zeros_like(pids))
    with pytest.raises(ValueError, match="two identities in a batch, got an empty batch"):
        loss(x[:0], pids[:0])
    with pytest.raises(ValueError, match=r"\(B, D\) and pids \(B,\), got \(12, 6\) and \(11,\)"):
        loss(x, pids[:11])
    with pytest.raises(ValueError, match="metric must be"):
        loss(x, pids, metric="manhattan")


def test_settings_and_triplets_that_mean_nothing_are_refused():
    x, pids = batch()
    with pytest.raises(ValueError, match="average must be one of active, all, got 'some'"):
        batch_all_triplet(x, pids, average="some")
    with pytest.raises(ValueError, match="epsilon must be 0 or more and finite, got -1"):
        weighted_triplet(x, pids, epsilon=-1)
    with pytest.raises(ValueError, match=r"\(T, D\).*got \(12, 6\), \(12, 6\), \(11, 6\)"):
        triplet_loss(x, x, x[:11])
    with pytest.raises(ValueError, match="at least one triplet"):
        triplet_loss(x[:0], x[:0], x[:0])


def test_one_violation_whose_exp_overflows_brings_the_margin_for_all():
    x = torch.tensor([[0.0], [200.0], [1.0], [1.5], [0.9]])
    pids = torch.tensor([0, 0, 1, 1, 2])
    single = weighted_triplet(x, pids, None, epsilon=0)
    assert single == weighted_triplet(x, pids, 0.3, epsilon=0)
    distance, limit = distance_matrix(x, x), torch.finfo(x.dtype).max
    positive, _ = triplet.hardest_pairs(distance, pids)
    assert positive.max().exp() > limit > positive.min().exp()
