"""AlignedReID's loss against reference numbers and against loops over anchors."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.losses import (
    aligned_loss,
    aligned_pairs,
    batch_hard_triplet,
    id_loss,
    local_triplet,
    pairwise_distance,
)
from reidlab.losses.aligned import hard_indices
from reidlab.models.aligned import Parts, aligned_small


def stripes(count, height=4, width=6, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, height, width, generator=generator, dtype=dtype)
    return F.normalize(drawn, dim=2)


def reference_batch(golden):
    features = golden.normal((24, 64), "aligned_global")
    local = F.normalize(golden.normal((24, 128, 8), "aligned_local"), dim=1).transpose(1, 2)
    pids = torch.arange(6).repeat_interleave(4)
    return features, local, pids, golden.arrays("misc/alignedreid_distance")


def test_mined_pairs_and_both_losses_match_the_reference(golden):
    features, local, pids, expected = reference_batch(golden)
    pairs = hard_indices(pairwise_distance(features, features), pids)
    assert pairs[0].tolist() == expected["hard_pos"].tolist()
    assert pairs[1].tolist() == expected["hard_neg"].tolist()
    found = [float(batch_hard_triplet(features, pids)), float(local_triplet(local, pids, pairs))]
    np.testing.assert_allclose(found, expected["loss_global_local"][:2], rtol=1e-5)
    np.testing.assert_allclose(found, expected["loss_global_local"][2:4], rtol=1e-5)


def loops(features, local, logits, pids, margin, *, own=False, aligned=True):
    """The three terms anchor by anchor."""

    def distance(a, b):
        return float(aligned_pairs(a[None], b[None], aligned=aligned))

    terms = np.zeros(2)
    count = len(pids)
    for a in range(count):
        whole = [math.dist(features[a].tolist(), features[b].tolist()) for b in range(count)]
        part = [distance(local[a], local[b]) for b in range(count)]
        for k, (values, judge) in enumerate(((whole, whole), (part, part if own else whole))):
            same = [b for b in range(count) if pids[b] == pids[a]]
            other = [b for b in range(count) if pids[b] != pids[a]]
            far, near = max(same, key=judge.__getitem__), min(other, key=judge.__getitem__)
            terms[k] += max(0.0, margin + values[far] - values[near]) / count
    return {"id": float(F.cross_entropy(logits, pids)), "triplet": terms[0], "local": terms[1]}


class Answers(torch.nn.Module):
    """A network that gives the same answer to every batch."""

    def __init__(self, parts):
        super().__init__()
        self.answer = parts

    def parts(self, images):
        return self.answer


def made_up(seed=0, people=3, each=3):
    generator = torch.Generator().manual_seed(seed)
    count = people * each
    pids = torch.arange(people).repeat(each)
    parts = Parts(
        torch.randn(count, 5, generator=generator),
        stripes(count, seed=seed),
        torch.randn(count, people, generator=generator),
    )
    none = torch.zeros(count, dtype=torch.int64)
    return Answers(parts), Batch(torch.zeros(count, 3, 8, 4), pids, none, none)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("aligned", [False, True])
def test_terms_follow_the_definition(own, aligned):
    model, batch = made_up()
    mine_on = "local" if own else "global"
    found = aligned_loss(model, batch, margin=0.5, mine_on=mine_on, aligned=aligned)
    feature, local, logits = model.answer
    expected = loops(feature, local, logits, batch.pids, 0.5, own=own, aligned=aligned)
    assert list(found) == ["id", "triplet", "local"]
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_weights_and_smoothing_reach_their_terms():
    model, batch = made_up(seed=1)
    plain = aligned_loss(model, batch)
    weighted = aligned_loss(
        model, batch, id_weight=2.0, global_weight=3.0, local_weight=0.5, smoothing=0.2
    )
    assert float(weighted["triplet"]) == pytest.approx(3 * float(plain["triplet"]))
    assert float(weighted["local"]) == pytest.approx(0.5 * float(plain["local"]))
    smooth = float(id_loss(model.answer.logits, batch.pids, 0.2))
    assert float(weighted["id"]) == pytest.approx(2 * smooth)


def test_every_weight_of_the_network_learns():
    model = aligned_small(3, width=4, image_size=(64, 32), local_dim=6)
    _, batch = made_up()
    images = torch.rand(9, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    batch = Batch(images, batch.pids, batch.camids, batch.index)
    sum(aligned_loss(model, batch).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


def test_a_loss_without_stripes_or_negatives_is_refused():
    model, batch = made_up()
    with pytest.raises(ValueError, match="mine_on must be one of global, local, got 'both'"):
        aligned_loss(model, batch, mine_on="both")
    with pytest.raises(ValueError, match="Linear has no stripes"):
        aligned_loss(torch.nn.Linear(2, 2), batch)
    with pytest.raises(ValueError, match="at least two identities"):
        hard_indices(torch.rand(4, 4), torch.zeros(4))
