"""LA-Transformer's objective: sums over parts, margins, triplets of parts side by side."""

import functools
import math

import pytest
import torch

from reidlab.data.samples import Batch
from reidlab.losses import am_softmax, id_loss, la_loss
from reidlab.losses.needs import check_sampler
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_small

TINY = {"width": 16, "depth": 1, "heads": 2, "bottleneck": 6, "image_size": (48, 32)}


def network(**changes):
    """Three parts, five people; in eval mode, so that calls repeat."""
    return la_transformer_small(5, **(TINY | changes)).eval()


def batch():
    generator = torch.Generator().manual_seed(0)
    pids = torch.tensor([0, 0, 3, 3, 4, 4])
    return Batch(torch.randn(6, 3, 48, 32, generator=generator), pids, pids, pids)


def hardest(rows, pids, margin):
    """The batch-hard triplet loss, anchor by anchor."""
    total = 0.0
    for a, anchor in enumerate(rows):
        apart = [float((anchor - row).norm()) for row in rows]
        near = max(d for d, pid in zip(apart, pids, strict=True) if pid == pids[a])
        far = min(d for d, pid in zip(apart, pids, strict=True) if pid != pids[a])
        violation = near - far
        total += math.log1p(math.exp(violation)) if margin is None else max(0, violation + margin)
    return total / len(rows)


@torch.no_grad()
def test_cross_entropies_of_the_parts_are_added_not_averaged():
    model = network()
    found = la_loss(model, batch())
    logits = model(batch().images).logits
    expected = 0.0
    for part in logits:
        for row, pid in zip(part, batch().pids, strict=True):
            expected -= math.log(math.exp(row[pid]) / sum(math.exp(x) for x in row)) / 6
    assert set(found) == {"id"} and len(logits) == 3
    assert float(found["id"]) == pytest.approx(expected, rel=1e-5)
    assert float(found["id"]) == pytest.approx(3 * math.log(5), rel=0.01)  # small first weights


@torch.no_grad()
def test_am_softmax_reads_the_cosines_of_every_part():
    model = network(head="cosine")
    cosines = model(batch().images).logits
    for settings, scale, margin in (({}, 30.0, 0.35), ({"scale": 4.0, "margin": 0.1}, 4.0, 0.1)):
        found = la_loss(model, batch(), identity="am-softmax", **settings)
        expected = sum(float(am_softmax(x, batch().pids, scale, margin)) for x in cosines)
        assert float(found["id"]) == pytest.approx(expected, rel=1e-6)
    own = [float(id_loss(x, batch().pids)) for x in cosines]
    assert float(found["id"]) > 1.2 * sum(own)


@pytest.mark.parametrize("margin", [0.3, 0.01, None])
@torch.no_grad()
def test_triplets_are_of_fused_parts_of_equal_length_side_by_side(margin):
    model = network(parts_from="both", weight_on="global")
    rows = []
    for parts in zip(*model(batch().images).features, strict=True):
        rows.append(torch.cat([part / part.norm() / math.sqrt(5) for part in parts]))
    found = la_loss(model, batch(), triplet=0.5, triplet_margin=margin)
    assert set(found) == {"id", "triplet"}
    expected = 0.5 * hardest(rows, batch().pids.tolist(), margin)
    assert float(found["triplet"]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@torch.no_grad()
def test_triplets_are_of_all_processes_and_classes_of_this_one(monkeypatch):
    """Two processes, the second with the opposite rows and other people, stand for twelve."""
    model, pids = network(), batch().pids
    alone = la_loss(model, batch())

    def together(x):
        return torch.cat([x, -x])

    monkeypatch.setattr("reidlab.losses.la_transformer.gathered", together)
    shared = la_loss(model, batch(), triplet=1.0)
    rows = [
        torch.cat([part / part.norm() / math.sqrt(3) for part in parts])
        for parts in zip(*model(batch().images).features, strict=True)
    ]
    expected = hardest([*rows, *(-row for row in rows)], together(pids).tolist(), 0.3)
    assert float(shared["triplet"]) == pytest.approx(expected, rel=1e-4)
    assert float(shared["id"]) == float(alone["id"])


def test_a_weight_of_zero_leaves_the_triplets_out_and_plain_batches_will_do():
    assert set(la_loss(network(), batch(), triplet=0.0)) == {"id"}
    check_sampler(la_loss, "shuffle")
    check_sampler(functools.partial(la_loss, triplet=0), "shuffle")
    with pytest.raises(ValueError, match="triplet 1.0 needs sampler pk or groups, got shuffle"):
        check_sampler(functools.partial(la_loss, triplet=1.0), "shuffle")


@pytest.mark.parametrize(
    ("head", "settings", "message"),
    [
        (
            "linear",
            {"identity": "arcface"},
            "identity must be one of ce, am-softmax, got 'arcface'",
        ),
        ("cosine", {}, "identity ce reads a linear head, .* a cosine one; .*head='linear'"),
        ("linear", {"identity": "am-softmax"}, "am-softmax reads a cosine head.*--head cosine"),
        ("linear", {"triplet": -1.0}, "triplet must be 0 or more and finite, got -1.0"),
        ("linear", {"triplet_margin": -0.1}, "triplet_margin must be 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(head, settings, message):
    with pytest.raises(ValueError, match=message):
        la_loss(network(head=head), batch(), **settings)


def test_other_networks_can_be_trained_by_it():
    model = baseline_small(5, width=4, image_size=(48, 32))
    assert set(la_loss(model, batch(), triplet=1.0)) == {"id", "triplet"}
