import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from torch.nn import functional as F

from reidlab.losses import (
    CLASSIFICATIONS,
    am_softmax,
    arcface,
    arcface_logits,
    circle,
    circle_logits,
    cosface,
    cosface_logits,
    id_loss,
)
from reidlab.models.layers import CosineClassifier, cosine_matrix, seeded

LOSSES = list(CLASSIFICATIONS.values())
LOGITS = [cosface_logits, arcface_logits, circle_logits]


def some_cosines(images=6, people=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    cosines = 2 * torch.rand(images, people, generator=generator, dtype=dtype) - 1
    return cosines, torch.randint(people, (images,), generator=generator)


def slow_logit(name, cosine, own, scale, margin):
    """The definition of one logit."""
    if name == "circle":
        if own:
            return scale * max(1 + margin - cosine, 0) * (cosine - (1 - margin))
        return scale * max(cosine + margin, 0) * (cosine - margin)
    if not own:
        return scale * cosine
    if name == "cosface":
        return scale * (cosine - margin)
    angle = math.acos(cosine)
    if angle >= math.pi - margin:
        return scale * (cosine - margin * math.sin(margin))
    return scale * math.cos(angle + margin)


def slow_loss(name, cosines, pids, scale, margin):
    total = 0.0
    for row, pid in zip(cosines.tolist(), pids.tolist(), strict=True):
        logits = [slow_logit(name, s, j == pid, scale, margin) for j, s in enumerate(row)]
        top = max(logits)
        total += math.log(sum(math.exp(z - top) for z in logits)) + top - logits[pid]
    return total / len(pids)


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("cos_softmax_s30_m0.2", partial(cosface, scale=30, margin=0.2)),
        ("cos_softmax_s30_m0.35", am_softmax),
        ("cos_softmax_s64_m0.35", partial(cosface, scale=64, margin=0.35)),
        ("pml_cosface_s30_m0.2", partial(cosface, scale=30, margin=0.2)),
        ("pml_cosface_s64_m0.35", partial(cosface, scale=64, margin=0.35)),
        ("simplereid_cosface_s16_m0.1", cosface),
        ("arc_softmax_s30_m0.15", partial(arcface, scale=30, margin=0.15)),
        ("simplereid_arcface_s16_m0.1", arcface),
        ("circle_softmax_s64_m0.35", partial(circle, scale=64, margin=0.35)),
        ("simplereid_circle_s96_m0.3", circle),
    ],
)
def test_margin_losses_match_public_libraries(golden, matches_libraries, case, loss):
    weights = golden.normal((20, 32), "class_weights")
    matches_libraries(case, lambda x, pids: loss(cosine_matrix(x, weights), pids))


@pytest.mark.parametrize("case", ["torchreid_xent_smooth01", "ianet_xent_smooth01"])
def test_smoothed_cross_entropy_matches_public_libraries(matches_libraries, case):
    matches_libraries(case, partial(id_loss, smoothing=0.1), (32, 20), "logits")


@settings(deadline=None, max_examples=25)
@given(
    images=st.integers(1, 6),
    people=st.integers(2, 7),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1.0, 16.0, 64.0]),
    margin=st.sampled_from([0.0, 0.1, 0.5, 1.2]),
)
def test_each_loss_matches_its_definition(images, people, seed, scale, margin):
    cosines, pids = some_cosines(images, people, seed)
    for name in ("cosface", "arcface", "circle"):
        found = CLASSIFICATIONS[name](cosines, pids, scale, margin)
        assert found.item() == pytest.approx(slow_loss(name, cosines, pids, scale, margin))


@pytest.mark.parametrize("seed", range(5))
def test_cosface_and_arcface_agree_with_pytorch_metric_learning(seed):
    generator = torch.Generator().manual_seed(seed)
    x, weights = (torch.randn(n, 6, generator=generator) for n in (8, 5))
    pids = torch.arange(8) % 5
    x[0] = -weights[0]  # an angle beyond pi - margin
    for loss, oracle in (
        (cosface, pml_losses.CosFaceLoss(5, 6, margin=0.2, scale=12)),
        (arcface, pml_losses.ArcFaceLoss(5, 6, margin=math.degrees(0.2), scale=12)),
    ):
        oracle.W.data = weights.T.clone()
        found = loss(cosine_matrix(x, weights), pids, 12, 0.2)
        torch.testing.assert_close(found, oracle(x, pids), rtol=1e-5, atol=1e-5)


def test_defaults_are_those_of_the_sources():
    cosines, pids = some_cosines()
    assert cosface(cosines, pids) == cosface(cosines, pids, 16.0, 0.1)
    assert arcface(cosines, pids) == arcface(cosines, pids, 16.0, 0.1)
    assert circle(cosines, pids) == circle(cosines, pids, 96.0, 0.3)
    assert am_softmax(cosines, pids) == cosface(cosines, pids, 30.0, 0.35)
    for loss, logits in zip([cosface, arcface, circle], LOGITS, strict=True):
        torch.testing.assert_close(
            loss(cosines, pids), F.cross_entropy(logits(cosines, pids), pids)
        )


def test_without_margin_cosface_and_arcface_are_a_scaled_cross_entropy():
    cosines, pids = some_cosines()
    for loss in (cosface, arcface):
        torch.testing.assert_close(loss(cosines, pids, 16, 0), F.cross_entropy(16 * cosines, pids))


@pytest.mark.parametrize("logits", LOGITS)
def test_the_true_logit_rises_with_its_cosine_all_the_way(logits):
    cosines = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None]
    pids = torch.zeros(401, dtype=torch.int64)
    found = logits(cosines, pids, 1.0, 0.5)[:, 0]
    assert (found.diff() > 0).all()


@pytest.mark.parametrize("logits", [cosface_logits, arcface_logits])
def test_the_margin_lowers_the_true_logit_alone(logits):
    cosines, pids = some_cosines()
    plain, lowered = logits(cosines, pids, 8.0, 0.0), logits(cosines, pids, 8.0, 0.4)
    own = F.one_hot(pids, 5).bool()
    assert (lowered[own] < plain[own]).all()
    assert torch.equal(lowered[~own], plain[~own])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_the_ends_of_the_range(loss, dtype):
    step = torch.finfo(dtype).eps
    ends = [1.0, 1 - step, 1 + step, -1.0, -1 + step, -1 - step]
    cosines = torch.tensor(ends, dtype=dtype)[:, None].repeat(1, 3).requires_grad_()
    value = loss(cosines, torch.tensor([0, 1, 2] * 2))
    value.backward()
    assert value.isfinite() and cosines.grad.isfinite().all()


@pytest.mark.parametrize("loss", [cosface, arcface, am_softmax])
def test_gradients_agree_with_finite_differences(loss):
    cosines, pids = some_cosines()
    check = partial(loss, pids=pids)
    assert torch.autograd.gradcheck(check, (0.9 * cosines).requires_grad_())


def test_the_weights_of_circle_loss_have_no_gradient():
    cosines = torch.tensor([[0.2, 0.5]], requires_grad=True)
    circle_logits(cosines, torch.tensor([0]), 10.0, 0.3).sum().backward()
    torch.testing.assert_close(cosines.grad, torch.tensor([[10 * 1.1, 10 * 0.8]]))


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_single(loss):
    cosines, pids = some_cosines(dtype=torch.float32)
    cosines = cosines.bfloat16()
    found = loss(cosines, pids)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(cosines.float(), pids))


def test_what_does_not_fit_is_refused():
    cosines, pids = some_cosines()
    for loss in LOSSES:
        with pytest.raises(ValueError, match=r"cosines \(B, C\) and pids.*\(6, 5\) and \(5,\)"):
            loss(cosines, pids[:5])
        with pytest.raises(ValueError, match="scale > 0 and 0 <= margin < pi, got 0 and 0.1"):
            loss(cosines, pids, 0, 0.1)
        with pytest.raises(ValueError, match="got 16 and -0.1"):
            loss(cosines, pids, 16, -0.1)
        with pytest.raises(ValueError, match=r"cosines in \[-1, 1\], got values up to"):
            loss(30 * cosines, pids)


def test_the_cosine_classifier_sees_directions_alone():
    with seeded(3):
        layer = CosineClassifier(4, 7)
    assert layer.weight.shape == (7, 4) and list(dict(layer.named_parameters())) == ["weight"]
    torch.testing.assert_close(layer.weight.norm(dim=1), torch.ones(7))
    feature = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    cosines = layer(feature)
    for i in range(3):
        for j in range(7):
            wanted = F.cosine_similarity(feature[i], layer.weight[j], dim=0)
            torch.testing.assert_close(cosines[i, j], wanted)
    layer.weight.data *= 5
    torch.testing.assert_close(layer(9 * feature), cosines)


def test_the_cosine_classifier_follows_the_seed_and_refuses_no_people():
    layers = []
    for seed in (0, 0, 1):
        with seeded(seed):
            layers.append(CosineClassifier(4, 7).weight)
    assert torch.equal(layers[0], layers[1]) and not torch.equal(layers[0], layers[2])
    with pytest.raises(ValueError, match="of 1 or more, got 4, 0"):
        CosineClassifier(4, 0)
    with pytest.raises(ValueError, match="of 1 or more, got 0, 4"):
        CosineClassifier(0, 4)


def test_cosines_stay_exact_under_autocast():
    with seeded(0):
        layer = CosineClassifier(16, 4)
    feature = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    exact = layer(feature)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(feature), exact)
    assert layer(feature.bfloat16()).dtype == torch.float32


def test_a_few_steps_teach_the_cosine_classifier():
    with seeded(0):
        layer = CosineClassifier(8, 4)
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    pids = torch.arange(16) % 4
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.2)
    first = am_softmax(layer(x), pids).item()
    for _ in range(30):
        optimizer.zero_grad()
        am_softmax(layer(x), pids).backward()
        optimizer.step()
    assert am_softmax(layer(x), pids) < 0.7 * first


def test_arcface_is_exact_next_to_the_ends():
    cosines = torch.tensor([[1 - 1e-6, 0.0], [1 - 1e-9, 0.0]], dtype=torch.float64)
    found = arcface_logits(cosines, torch.tensor([0, 0]), 1.0, 0.5)[:, 0]
    wanted = [slow_logit("arcface", float(c), True, 1.0, 0.5) for c in cosines[:, 0]]
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("logits", LOGITS)
def test_rounding_may_exceed_one_and_little_more(logits):
    pids = torch.tensor([0])
    assert logits(torch.tensor([[1.005, -1.005]]), pids).isfinite().all()
    for cosines in ([[1.05, 0.0]], [[0.0, -1.05]]):
        with pytest.raises(ValueError, match="got values up to 1.05"):
            logits(torch.tensor(cosines), pids)
