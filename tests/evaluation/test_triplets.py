"""The loss of people who do not train, on tuples that stay the same from epoch to epoch."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from reidlab.data.images import ImageDataset
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample, Samples, cameras_of
from reidlab.data.tuples import random_pairs, random_triplets
from reidlab.evaluation.triplets import branch_features, pair_validation, triplet_validation
from reidlab.losses.multibranch import multibranch_loss
from reidlab.models.multibranch import multibranch_small
from reidlab.models.siamese import siamese_small
from reidlab.training import TrainConfig, fit

TINY = {"width": 4, "image_size": (32, 16)}


@pytest.fixture
def people(market_folder):
    return read_dataset(market_folder).train


def features_of(model, samples):
    """Branch features of all images in one batch."""
    images = ImageDataset(samples, model.preprocess.size).images(range(len(samples)))
    with torch.inference_mode():
        return model.eval()(model.preprocess(images)).features


def distance(x, i, j):
    return math.dist(x[i].tolist(), x[j].tolist())


@pytest.mark.parametrize("margin", [0.05, 10.0])
@pytest.mark.parametrize("num_ids", [3, None])
def test_it_is_the_triplet_loss_of_fixed_triplets_summed_over_branches(people, margin, num_ids):
    model = multibranch_small(num_ids, **TINY)
    judge = triplet_validation(people, margin=margin, weight=0.7, seed=4, device="cpu")
    found = judge(1, model, {})
    drawn = random_triplets([s.pid for s in people], np.random.default_rng(4)).tolist()
    total = 0.0
    for x in features_of(model, people):
        terms = [max(0.0, distance(x, a, p) - distance(x, a, n) + margin) for a, p, n in drawn]
        total += 0.7 * sum(terms) / len(terms)
    assert found == {"val_loss": pytest.approx(total, rel=1e-4)}


def test_its_defaults_are_those_of_the_training_loss(people):
    model = multibranch_small(None, **TINY)
    defaults = multibranch_loss.__kwdefaults__
    named = {name: defaults[name] for name in ("margin", "metric", "weight")}
    assert triplet_validation(people)(1, model, {}) == triplet_validation(people, **named)(
        1, model, {}
    )
    squared = triplet_validation(people, metric="squared")(1, model, {})
    assert squared != triplet_validation(people)(1, model, {})


@pytest.mark.parametrize("squared", [True, False])
def test_pairs_are_judged_by_the_contrastive_loss(people, squared):
    model = siamese_small(**TINY)
    settings = {"margin": 2.0, "squared": squared, "halves": False}
    found = pair_validation(people, seed=4, **settings)(1, model, {})
    (x,), total = features_of(model, people), 0.0
    drawn = random_pairs([s.pid for s in people], np.random.default_rng(4)).tolist()
    for a, b in drawn:
        d = distance(x, a, b)
        term = d if people[a].pid == people[b].pid else max(0.0, 2.0 - d)
        total += term**2 if squared else term
    assert found == {"val_loss": pytest.approx(total / len(drawn), rel=1e-4)}


def test_pairs_of_several_branches_count_by_their_mean(people):
    model = multibranch_small(None, **TINY)
    both = pair_validation(people)(1, model, {})["val_loss"]
    apart = []
    for name in ("average", "max"):
        one = multibranch_small(None, branches=(name,), **TINY)
        one.load_state_dict(model.state_dict(), strict=False)
        apart.append(pair_validation(people)(1, one, {})["val_loss"])
    assert both == pytest.approx(sum(apart) / 2)


def test_the_mode_of_the_network_comes_back_and_its_norms_stay(people):
    model = multibranch_small(3, **TINY).train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    judge = triplet_validation(people)
    first = judge(1, model, {})
    assert model.training and all(m.training for m in model.modules())
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert judge(2, model, {}) == first
    assert judge(3, model.eval(), {}) == first and not model.training


def test_seeds_draw_other_triplets_and_batches_do_not_matter(people):
    model = multibranch_small(3, **TINY)
    first = triplet_validation(people)(1, model, {})["val_loss"]
    assert triplet_validation(people, seed=1)(1, model, {})["val_loss"] != first
    assert triplet_validation(people, batch_size=5)(1, model, {})["val_loss"] == pytest.approx(
        first, rel=1e-5
    )


def test_distractors_and_junk_are_left_out(people):
    model = multibranch_small(3, **TINY)
    outsiders = [Sample(Path("nobody.jpg"), pid, 1) for pid in (0, -1)]  # not even read
    more = Samples([*people, *outsiders], cameras_of(people))
    for judge in (triplet_validation, pair_validation):
        assert judge(more)(1, model, {}) == judge(people)(1, model, {})


def test_features_come_in_the_order_of_images_branch_by_branch(people):
    model = multibranch_small(3, **TINY)
    found = branch_features(model, people, batch_size=5, device="cpu")
    for ours, expected in zip(found, features_of(model, people), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_it_stops_a_training_that_no_longer_improves(people):
    def grows(epoch, model, row):
        return {"val_loss": float(epoch)}

    config = TrainConfig(
        epochs=6, sampler="triplets", ids_per_batch=3, images_per_id=4, patience=2, lr=1e-3,
        warmup_epochs=0, device="cpu",
    )  # fmt: skip
    rows = fit(multibranch_small(4, **TINY), people, multibranch_loss, config, on_epoch=grows).rows
    assert len(rows) == 3
    judge = triplet_validation(people)
    rows = fit(multibranch_small(4, **TINY), people, multibranch_loss, config, on_epoch=judge).rows
    assert all(math.isfinite(row["val_loss"]) for row in rows)


def test_nobody_to_validate_on_is_refused_before_the_first_epoch(people):
    for judge in (triplet_validation, pair_validation):
        with pytest.raises(ValueError, match="expected images of validation people, got none"):
            judge([Sample(Path("nobody.jpg"), 0, 1)])
        with pytest.raises(ValueError, match="at least two people"):
            judge([s for s in people if s.pid == people[0].pid])


def test_bad_images_are_found_before_the_first_epoch_or_skipped(people, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    bad = Samples([*people, Sample(tmp_path / "bad.jpg", people[0].pid, 1)], cameras_of(people))
    model = multibranch_small(3, **TINY)
    for judge in (triplet_validation, pair_validation):
        with pytest.raises(ValueError, match="images are bad"):
            judge(bad)
        assert judge(bad, on_error="skip")(1, model, {}) == judge(people)(1, model, {})
