"""Identity plus pairwise loss: which two are added, on what, with which numbers."""

import math

import pytest
import torch
from torch import nn

from reidlab.data.samples import Batch
from reidlab.losses import CLASSIFICATIONS, PAIRWISE, id_and_pairwise_loss, id_loss
from reidlab.models.ianet import ianet_small
from reidlab.models.layers import Branches, CosineClassifier
from reidlab.training import TrainConfig
from reidlab.training.objective import Objective, Optimizers

PIDS = torch.tensor([0, 0, 1, 1, 2, 2])
GIVEN = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


class Told(nn.Module):
    """A network whose features are the images themselves; one linear or cosine classifier."""

    def __init__(self, cosine=False, branches=1):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.classifier = CosineClassifier(5, 3) if cosine else nn.Linear(5, 3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)
        self.branches = branches

    def forward(self, images, camids=None, viewids=None):
        features = [images * (1 + branch) + branch for branch in range(self.branches)]
        return Branches(features, [self.classifier(x) for x in features])


def terms(cosine=False, branches=1, **settings):
    batch = Batch(GIVEN, PIDS, PIDS, PIDS)
    return id_and_pairwise_loss(Told(cosine, branches), batch, **settings)


def test_the_defaults_are_cross_entropy_and_cosine_triplet():
    found = terms()
    model = Told()
    assert list(found) == ["id", "pairwise"]
    torch.testing.assert_close(found["id"], id_loss(model.classifier(GIVEN), PIDS))
    torch.testing.assert_close(found["pairwise"], PAIRWISE["triplet"](GIVEN, PIDS, margin=0.3))


def cosine(a, b):
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


def slow_pairwise(name):
    """Each loss read aloud with the public recipe's numbers: loops over anchors and pairs."""
    total = 0.0
    for i, x in enumerate(GIVEN):
        others = [j for j in range(6) if j != i]
        positive = [cosine(x, GIVEN[j]) for j in others if PIDS[j] == PIDS[i]]
        negative = [cosine(x, GIVEN[j]) for j in others if PIDS[j] != PIDS[i]]
        if name == "triplet":
            total += max(0.0, 0.3 + max(negative) - min(positive))
        elif name == "contrastive":
            pushed = sum(math.exp(16 * s) for s in negative)
            ratios = [math.exp(16 * s) / (math.exp(16 * s) + pushed) for s in positive]
            total += sum(-math.log(ratio) for ratio in ratios) / len(positive)
        elif name == "cosface":
            pushed = sum(math.exp(16 * (s + 0.1)) for s in negative)
            total += math.log1p(pushed * sum(math.exp(-16 * s) for s in positive))
        else:
            down = sum(math.exp(48 * max(s + 0.35, 0) * (s - 0.35)) for s in negative)
            up = sum(math.exp(48 * max(1.35 - s, 0) * (0.65 - s)) for s in positive)
            total += math.log1p(down * up)
    return total / 6


@pytest.mark.parametrize("name", PAIRWISE)
def test_every_pairwise_loss_has_the_numbers_of_the_public_recipe(name):
    found = terms(pairwise=name)["pairwise"]
    assert float(found) == pytest.approx(slow_pairwise(name), rel=1e-5)


def slow_classification(name, weight):
    total = 0.0
    for x, pid in zip(GIVEN, PIDS.tolist(), strict=True):
        cosines = [cosine(x, row) for row in weight]
        own = cosines[pid]
        if name == "cosface":
            logits = [16 * (c - 0.1 * (k == pid)) for k, c in enumerate(cosines)]
        elif name == "arcface":
            assert math.acos(own) < math.pi - 0.1
            turned = math.cos(math.acos(own) + 0.1)
            logits = [16 * (turned if k == pid else c) for k, c in enumerate(cosines)]
        elif name == "circle":
            logits = [96 * max(c + 0.3, 0) * (c - 0.3) for c in cosines]
            logits[pid] = 96 * max(1.3 - own, 0) * (own - 0.7)
        else:
            logits = [30 * (c - 0.35 * (k == pid)) for k, c in enumerate(cosines)]
        highest = max(logits)
        total += highest + math.log(sum(math.exp(v - highest) for v in logits)) - logits[pid]
    return total / 6


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_every_classification_has_its_published_numbers(name):
    found = terms(cosine=True, classification=name)["id"]
    expected = slow_classification(name, Told(cosine=True).classifier.weight.detach())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("nothing", [None, "none"])
def test_the_control_has_the_identity_loss_alone(nothing):
    found = terms(pairwise=nothing)
    assert list(found) == ["id"]
    torch.testing.assert_close(found["id"], terms()["id"])


def test_settings_reach_the_loss_that_they_name():
    both = {"classification": "cosface", "pairwise": "cosface", "cosine": True}
    plain = terms(**both)
    for setting, term in {
        "class_scale": "id",
        "class_margin": "id",
        "pair_scale": "pairwise",
        "pair_margin": "pairwise",
    }.items():
        found = terms(**both, **{setting: 0.25})
        changed = {name for name in plain if not torch.equal(found[name], plain[name])}
        assert changed == {term}
    found = terms(**both, class_scale=20.0, class_margin=0.0)["id"]
    cosines = Told(cosine=True).classifier(GIVEN)
    torch.testing.assert_close(found, nn.functional.cross_entropy(20 * cosines, PIDS))
    found = terms(pairwise="contrastive", pair_scale=4.0)["pairwise"]
    torch.testing.assert_close(found, PAIRWISE["contrastive"](GIVEN, PIDS, scale=4.0))
    assert terms(pair_margin=0.0)["pairwise"] < terms()["pairwise"]


def test_smoothing_belongs_to_cross_entropy():
    expected = id_loss(Told().classifier(GIVEN), PIDS, 0.1)
    torch.testing.assert_close(terms(smoothing=0.1)["id"], expected)


def test_branches_are_weighed_as_elsewhere():
    both, first = terms(branches=2), terms()
    second = PAIRWISE["triplet"](GIVEN * 2 + 1, PIDS)
    torch.testing.assert_close(both["pairwise"], 0.5 * first["pairwise"] + 0.5 * second)
    other = id_loss(Told().classifier(GIVEN * 2 + 1), PIDS)
    torch.testing.assert_close(both["id"], 0.5 * first["id"] + 0.5 * other)


def test_pairs_are_those_of_all_processes_and_classes_those_of_this_one(monkeypatch):
    """Two processes with the same rows stand for a batch of twelve."""
    alone = terms()
    monkeypatch.setattr("reidlab.losses.paired.gathered", lambda x: torch.cat([x, x.flip(0)]))
    shared = terms(pairwise="contrastive")
    rows, pids = torch.cat([GIVEN, GIVEN.flip(0)]), torch.cat([PIDS, PIDS.flip(0)])
    torch.testing.assert_close(shared["pairwise"], PAIRWISE["contrastive"](rows, pids))
    torch.testing.assert_close(shared["id"], alone["id"])


@pytest.mark.parametrize("classification", ["cross-entropy", "cosface", "arcface", "circle"])
@pytest.mark.parametrize("pairwise", ["none", *PAIRWISE])
def test_any_two_train_the_network(classification, pairwise):
    kind = "linear" if classification == "cross-entropy" else "cosine"
    model = ianet_small(3, width=4, image_size=(64, 32), classifier=kind)
    images = torch.randn(6, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    batch = Batch(images, PIDS, PIDS, PIDS)

    def loss(model, batch):
        return id_and_pairwise_loss(model, batch, classification=classification, pairwise=pairwise)

    objective = Objective(model, loss)
    optimizers = Optimizers(objective, TrainConfig(optimizer="adam", lr=1e-3))
    optimizers.schedule(0, 1.0)
    sums = []
    for _ in range(6):
        total = torch.stack(list(objective(batch).values())).sum()
        optimizers.zero_grad()
        total.backward()
        optimizers.step()
        sums.append(float(total.detach()))
    assert all(p.grad is not None for p in model.parameters())
    assert sums[-1] < 0.9 * sums[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairwise": "circles"}, "unknown pairwise 'circles'; choose one of triplet, .*none"),
        (
            {"classification": "softmax"},
            "unknown classification 'softmax'; choose one of cross-entropy, cosface",
        ),
        (
            {"classification": "arcface"},
            "arcface needs cosines, and this network gives logits; .*--classifier cosine",
        ),
        (
            {"cosine": True},
            "cross-entropy needs logits, and this network gives cosines; .*--classifier linear",
        ),
        ({"pair_scale": 4.0}, "the loss triplet has no scale; leave it out"),
        ({"pairwise": "contrastive", "pair_margin": 0.1}, "the loss contrastive has no margin"),
        ({"pairwise": "none", "pair_margin": 0.1}, "without a pairwise loss there is no margin"),
        ({"class_scale": 4.0}, "cross-entropy has no scale; leave it out"),
        (
            {"classification": "cosface", "cosine": True, "smoothing": 0.1},
            "label smoothing belongs to cross-entropy, not to cosface",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        terms(**settings)
