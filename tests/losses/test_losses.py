import functools

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.losses import (
    ReidCenterLoss,
    batch_hard_triplet,
    branch_mean,
    center_loss,
    gathered,
    hardest_pairs,
    id_loss,
    pairwise_distance,
    reid_loss,
    scale_gradient,
)
from reidlab.models.baseline import baseline_small
from reidlab.models.layers import Branches


def slow_batch_hard_triplet(x, pids, margin):
    """The definition read aloud: loops, no masking."""
    terms = []
    for a in range(len(x)):
        positives = [(x[a] - x[p]).norm() for p in range(len(x)) if pids[p] == pids[a]]
        negatives = [(x[a] - x[n]).norm() for n in range(len(x)) if pids[n] != pids[a]]
        violation = max(positives) - min(negatives)
        terms.append(F.softplus(violation) if margin is None else F.relu(violation + margin))
    return torch.stack(terms).mean()


def slow_id_loss(logits, pids, smoothing):
    terms = []
    for row, pid in zip(logits, pids, strict=True):
        log_p = row - row.exp().sum().log()
        target = [smoothing / len(row) + (1 - smoothing) * (c == pid) for c in range(len(row))]
        terms.append(-sum(t * p for t, p in zip(target, log_p, strict=True)))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("margin", [0.0, 0.3, None])
def test_batch_hard_triplet_matches_its_definition(margin):
    torch.manual_seed(0)
    x, pids = torch.randn(12, 5), torch.tensor([0, 1, 2, 3] * 3)
    actual, expected = batch_hard_triplet(x, pids, margin), slow_batch_hard_triplet(x, pids, margin)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_id_loss_matches_its_definition(smoothing):
    torch.manual_seed(0)
    logits, pids = torch.randn(6, 9), torch.tensor([0, 8, 3, 3, 1, 2])
    torch.testing.assert_close(
        id_loss(logits, pids, smoothing), slow_id_loss(logits, pids, smoothing)
    )


def test_hardest_pairs_match_the_reference(golden):
    data = golden.arrays("transreid/golden_losses")
    pids = torch.tensor(data["pids"])
    distance = pairwise_distance(torch.tensor(data["feat"]), torch.tensor(data["feat"]))
    positive, negative = hardest_pairs(distance, pids)
    torch.testing.assert_close(positive, torch.tensor(data["dist_ap"]), atol=1e-5, rtol=0)
    torch.testing.assert_close(negative, torch.tensor(data["dist_an"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("case", "margin"), [("soft", None), ("m03", 0.3)])
@pytest.mark.parametrize("normalized", [False, True])
def test_triplet_matches_the_reference_with_its_gradient(golden, case, margin, normalized):
    data = golden.arrays("transreid/golden_losses")
    name = f"triplet_{case}" + ("_l2" if normalized else "")
    x = torch.tensor(data["feat"], requires_grad=True)
    loss = batch_hard_triplet(
        F.normalize(x) if normalized else x, torch.tensor(data["pids"]), margin
    )
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(data[name]), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.grad, torch.tensor(data[f"{name}_grad"]), atol=1e-5, rtol=0)


def test_cross_entropy_matches_the_reference_with_and_without_smoothing(golden):
    data = golden.arrays("transreid/golden_losses")
    logits, pids = torch.tensor(data["logits"], requires_grad=True), torch.tensor(data["pids"])
    plain = id_loss(logits.detach(), pids)
    smooth = id_loss(logits, pids, 0.1)
    smooth.backward()
    torch.testing.assert_close(plain, torch.tensor(data["ce_plain"]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        smooth.detach(), torch.tensor(data["ce_smooth01"]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        logits.grad, torch.tensor(data["ce_smooth01_grad"]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("branches", [5, 1])
@pytest.mark.parametrize("smooth", ["off", "on"])
@pytest.mark.parametrize("margin", ["soft", "m03"])
def test_the_whole_objective_matches_the_reference(golden, branches, smooth, margin):
    data = golden.arrays("transreid/golden_losses")
    logits, features = torch.tensor(data["branch_scores"]), torch.tensor(data["branch_feats"])
    pids = torch.tensor(data["pids"])

    def network(images, camids, viewids):
        return Branches(list(features[:branches]), list(logits[:branches]))

    batch = Batch(torch.zeros(16, 3, 1, 1), pids, pids, pids)
    terms = reid_loss(
        network,
        batch,
        margin=0.3 if margin == "m03" else None,
        smoothing=0.1 if smooth == "on" else 0.0,
    )
    expected = torch.tensor(data[f"total{branches}_ls_{smooth}_{margin}"])
    torch.testing.assert_close(terms["id"] + terms["triplet"], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("torchreid_triplet_hard_m0.3", functools.partial(batch_hard_triplet, margin=0.3)),
        ("torchreid_triplet_hard_m5", functools.partial(batch_hard_triplet, margin=5.0)),
        ("fastreid_triplet_hard_soft", functools.partial(batch_hard_triplet, margin=None)),
        ("torchreid_xent_plain", id_loss),
        ("torchreid_xent_smooth01", functools.partial(id_loss, smoothing=0.1)),
    ],
)
def test_losses_match_public_libraries(golden, case, loss):
    reference = golden.json("misc/losses")
    wanted = reference["losses"][case]
    x = golden.normal((32, 20), "logits") if "xent" in case else golden.normal((32, 32))
    x.requires_grad_()
    value = loss(x, torch.tensor(reference["labels"]))
    value.backward()
    assert value.item() == pytest.approx(wanted["value"], abs=1e-5)
    assert x.grad.norm().item() == pytest.approx(wanted["grad_norm"], abs=1e-5)
    assert x.grad[0, :8].tolist() == pytest.approx(wanted["grad_row0_first8"], abs=1e-5)


def test_batch_hard_agrees_with_pytorch_metric_learning():
    torch.manual_seed(1)
    x, pids = F.normalize(torch.randn(24, 8)), torch.arange(6).repeat(4)
    triplets = pml_miners.BatchHardMiner()(x, pids)
    oracle = pml_losses.TripletMarginLoss(margin=0.3, reducer=MeanReducer())
    torch.testing.assert_close(batch_hard_triplet(x, pids), oracle(x, pids, triplets))


def test_triplet_is_zero_when_people_are_far_apart():
    x = torch.tensor([[0.0], [0.1], [100.0], [100.1]])
    assert batch_hard_triplet(x, torch.tensor([0, 0, 1, 1])) == 0


def test_triplet_keeps_finite_gradients_on_duplicate_images():
    x = torch.ones(4, 3, requires_grad=True)
    batch_hard_triplet(x, torch.tensor([0, 0, 1, 1])).backward()
    assert x.grad.isfinite().all()


def test_triplet_does_not_depend_on_the_order_of_the_batch():
    torch.manual_seed(0)
    x, pids, order = torch.randn(8, 4), torch.arange(4).repeat(2), torch.randperm(8)
    torch.testing.assert_close(
        batch_hard_triplet(x, pids), batch_hard_triplet(x[order], pids[order])
    )


def test_branch_mean_gives_half_to_the_first_and_half_to_the_others():
    values = [torch.tensor(v) for v in (2.0, 10.0, 20.0)]
    assert branch_mean(lambda v: v, values) == 1.0 + 7.5
    assert branch_mean(lambda v: v, values[:1]) == 2.0


def test_wrong_shapes_and_lonely_people_are_refused():
    with pytest.raises(ValueError, match=r"embeddings \(B, D\)"):
        batch_hard_triplet(torch.randn(3), torch.arange(3))
    with pytest.raises(ValueError, match="two identities"):
        batch_hard_triplet(torch.randn(3, 2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"logits \(B, C\)"):
        id_loss(torch.randn(3, 2), torch.arange(2))
    with pytest.raises(ValueError, match="smoothing"):
        id_loss(torch.randn(3, 2), torch.arange(3) % 2, smoothing=1.0)


def test_center_loss_matches_the_reference(golden):
    data = golden.arrays("transreid/golden_losses")
    feature, pids, centers = (torch.from_numpy(data[k]) for k in ("feat", "pids", "centers"))
    found = center_loss(feature, pids, centers)
    torch.testing.assert_close(found, torch.tensor(data["center_loss"]), atol=1e-5, rtol=1e-5)


def test_center_loss_is_the_mean_of_squared_distances():
    generator = torch.Generator().manual_seed(0)
    x, centers = torch.randn(5, 3, generator=generator), torch.randn(4, 3, generator=generator)
    pids = torch.tensor([0, 3, 3, 1, 0])
    expected = sum(((x[i] - centers[pids[i]]) ** 2).sum() for i in range(5)) / 5
    torch.testing.assert_close(center_loss(x, pids, centers), expected)
    with pytest.raises(ValueError, match=r"expected centers \(C, 3\), got \(4, 2\)"):
        center_loss(x, pids, centers[:, :2])
    with pytest.raises(ValueError, match=r"embeddings \(B, D\) and pids"):
        center_loss(x, pids[:2], centers)


def small_batch(count=4):
    generator = torch.Generator().manual_seed(1)
    pids = torch.tensor([0, 0, 1, 1])
    return Batch(torch.randn(count, 3, 32, 16, generator=generator), pids, pids, pids)


def test_centers_learn_without_the_weight_and_the_network_with_it():
    model = baseline_small(3, width=8, image_size=(32, 16)).eval()
    batch = small_batch()
    loss = ReidCenterLoss.for_model(model, center_weight=1e-3)
    assert loss.centers.shape == (3, model.trunk.dim)
    terms = loss(model, batch)
    assert list(terms) == ["id", "triplet", "center"]
    plain = reid_loss(model, batch)
    assert torch.equal(terms["id"], plain["id"]) and torch.equal(terms["triplet"], plain["triplet"])
    feature = model(batch.images).features[0]
    centers = loss.centers.detach().clone().requires_grad_()
    pull = center_loss(feature, batch.pids, centers)
    torch.testing.assert_close(terms["center"], 1e-3 * pull)
    weight = model.trunk.conv1.weight
    wanted = torch.autograd.grad(pull, [centers, weight], retain_graph=True)
    found = torch.autograd.grad(terms["center"], [loss.centers, weight])
    torch.testing.assert_close(found[0], wanted[0])
    torch.testing.assert_close(found[1], 1e-3 * wanted[1])


def test_initial_centers_follow_their_seed_and_a_weight_is_needed():
    assert torch.equal(ReidCenterLoss(3, 4, seed=1).centers, ReidCenterLoss(3, 4, seed=1).centers)
    assert not torch.equal(ReidCenterLoss(3, 4).centers, ReidCenterLoss(3, 4, seed=1).centers)
    with pytest.raises(ValueError, match="center_weight must be above 0"):
        ReidCenterLoss(3, 4, center_weight=0)


def test_a_scaled_gradient_leaves_the_value():
    x = torch.tensor([1.5, -2.0], requires_grad=True)
    y = scale_gradient(x, 7.0)
    assert torch.equal(y, x)
    y.sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]


def test_alone_gathering_changes_nothing():
    x = torch.randn(3, 2)
    assert gathered(x) is x
