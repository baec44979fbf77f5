"""Settings that make no sense, and people who are no class, are refused by name."""

import inspect
import math

import pytest
import torch

from reidlab.data.samples import Batch
from reidlab.losses import (
    CLASSIFICATIONS,
    ReidCenterLoss,
    aligned_loss,
    batch_all_triplet,
    batch_contrastive,
    batch_hard_triplet,
    center_loss,
    contrastive_loss,
    cosine_softmax_loss,
    cosine_triplet,
    id_and_pairwise_loss,
    id_loss,
    local_triplet,
    multibranch_loss,
    mutual_loss,
    pair_loss,
    pairwise_circle,
    pairwise_contrastive,
    pairwise_cosface,
    reid_loss,
    triplet_loss,
    weighted_triplet,
)
from reidlab.losses.checks import check_classes, not_negative, one_of, positive
from reidlab.losses.mutual import mutual_kl
from reidlab.models.aligned import aligned_small
from reidlab.models.baseline import baseline_small
from reidlab.models.deep_cosine import deep_cosine_small
from reidlab.models.ianet import ianet_small
from reidlab.models.multibranch import multibranch_small
from reidlab.models.mutual import mutual_small

BAD = (-0.1, math.nan, math.inf)
TINY = {"width": 4, "image_size": (64, 32)}
PIDS = torch.tensor([0, 0, 1, 1, 1, 0])  # pairs, two triplets, and two people
ROWS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
OF_ROWS = [
    (batch_hard_triplet, "margin"),
    (batch_all_triplet, "margin"),
    (weighted_triplet, "margin"),
    (weighted_triplet, "epsilon"),
    (cosine_triplet, "margin"),
    (batch_contrastive, "positive_margin"),
    (batch_contrastive, "negative_margin"),
    (pairwise_contrastive, "scale"),
    (pairwise_cosface, "scale"),
    (pairwise_cosface, "margin"),
    (pairwise_circle, "scale"),
    (pairwise_circle, "margin"),
]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(("loss", "name"), OF_ROWS)
def test_a_loss_of_features_names_the_setting_that_makes_no_sense(loss, name, value):
    assert loss(ROWS, PIDS, **{name: 0.5}).isfinite()
    with pytest.raises(ValueError, match=rf"^{name} must be .* and finite, got {value}$"):
        loss(ROWS, PIDS, **{name: value})


@pytest.mark.parametrize("value", BAD)
def test_margins_of_given_pairs_and_triplets_must_make_sense(value):
    x, y, z = ROWS[:2], ROWS[2:4], ROWS[4:]
    wrong = rf"^margin must be .* and finite, got {value}$"
    with pytest.raises(ValueError, match=wrong):
        triplet_loss(x, y, z, value)
    with pytest.raises(ValueError, match=wrong):
        contrastive_loss(x, y, torch.tensor([True, False]), value)
    with pytest.raises(ValueError, match=wrong):
        local_triplet(ROWS.reshape(6, 5, 1), PIDS, margin=value)


def weights_of(loss):
    return [name for name in inspect.signature(loss).parameters if name.endswith("weight")]


NETWORKS = {
    aligned_loss: lambda: aligned_small(2, **TINY),
    mutual_loss: lambda: mutual_small(2, **TINY),
    multibranch_loss: lambda: multibranch_small(2, **TINY, pretrained=False),
    cosine_softmax_loss: lambda: deep_cosine_small(2, **TINY),
    reid_loss: lambda: baseline_small(2, **TINY),
    pair_loss: lambda: baseline_small(2, **TINY),
    id_and_pairwise_loss: lambda: ianet_small(2, **TINY),
}


@pytest.mark.parametrize("loss", NETWORKS)
def test_weights_and_margins_of_a_batch_must_make_sense(loss):
    model = NETWORKS[loss]()
    batch = Batch(torch.rand(6, 3, 64, 32), PIDS, PIDS, PIDS)
    names = [n for n in inspect.signature(loss).parameters if n in ("margin", "pair_margin")]
    for name in [*weights_of(loss), *names]:
        for value in BAD:
            setting = name.removeprefix("pair_")
            with pytest.raises(ValueError, match=rf"^{setting} must be .*, got {value}$"):
                loss(model, batch, **{name: value})


@pytest.mark.parametrize("value", [0, *BAD])
def test_a_pull_to_centers_needs_a_weight(value):
    with pytest.raises(ValueError, match=f"center_weight must be above 0, got {value}"):
        ReidCenterLoss(3, 4, center_weight=value)


@pytest.mark.parametrize("loss", CLASSIFICATIONS.values())
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scales_and_margins_of_classifications_are_finite(loss, value):
    for settings in ((value, 0.1), (16, value)):
        with pytest.raises(ValueError, match="expected scale > 0 and 0 <= margin < pi"):
            loss(torch.zeros(2, 3), torch.tensor([0, 1]), *settings)


@pytest.mark.parametrize("wrong", [-1, -100, 3])
def test_people_who_are_no_class_are_refused(wrong):
    pids = torch.tensor([0, wrong, 2])
    for loss in (id_loss, *CLASSIFICATIONS.values()):
        with pytest.raises(ValueError, match=rf"expected classes in 0\.\.2, got {wrong}; number"):
            loss(torch.zeros(3, 3), pids)
        assert loss(torch.zeros(3, 3), pids.clamp(0, 2)).isfinite()
    with pytest.raises(ValueError, match=rf"expected classes in 0\.\.2, got {wrong}; number"):
        center_loss(torch.zeros(3, 5), pids, torch.zeros(3, 5))


def test_without_images_there_is_no_class_to_refuse():
    check_classes(torch.zeros(0, dtype=torch.int64), 3)


def test_sensible_settings_pass():
    not_negative(margin=None, weight=0, scale=1e9)
    positive(scale=1e-9)
    assert one_of("metric", "cosine", ("squared", "cosine")) == "cosine"
    with pytest.raises(ValueError, match="metric must be one of squared, cosine, got 'l2'"):
        one_of("metric", "l2", ("squared", "cosine"))


def test_double_precision_is_kept():
    x, pids = ROWS.double(), PIDS
    values = [id_loss(x, pids, 0.1), mutual_kl(x, x.flip(0)), center_loss(x, pids, x)]
    narrow = [
        id_loss(ROWS, pids, 0.1),
        mutual_kl(ROWS, ROWS.flip(0)),
        center_loss(ROWS, pids, ROWS),
    ]
    for wide, single in zip(values, narrow, strict=True):
        assert (wide.dtype, single.dtype) == (torch.float64, torch.float32)
        torch.testing.assert_close(wide.float(), single)
    step = torch.zeros_like(x)
    step[0, 0] = 1e-12  # lost in single precision
    assert id_loss(x + step, pids) != id_loss(x, pids)
    assert mutual_kl(x + step, x.flip(0)) != mutual_kl(x, x.flip(0))
    assert center_loss(x + step, pids, x.flip(0)) != center_loss(x, pids, x.flip(0))
    half = ROWS.bfloat16()
    for loss in (lambda y: id_loss(y, pids), lambda y: center_loss(y, pids, y.flip(0))):
        assert loss(half).dtype == torch.float32
        assert torch.equal(loss(half), loss(half.float()))
