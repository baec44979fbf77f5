"""Stopping early: when, with which weights, and after an interruption."""

import math

import pytest
import torch

from reidlab.data.readers import read_dataset
from reidlab.losses import reid_loss
from reidlab.models.baseline import baseline_small
from reidlab.training import TrainConfig, fit
from reidlab.training.stopping import Patience, best_epoch, check_watched

TINY = {"ids_per_batch": 2, "images_per_id": 2, "device": "cpu"}


@pytest.fixture
def people(market_folder):
    return read_dataset(market_folder).train


def tiny_model():
    return baseline_small(4, width=4, image_size=(32, 16))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def rows(*values):
    return [{"val_loss": value} for value in values]


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ((3.0, 2.0, 2.5), 2, 1),
        ((2.0, 2.0, 2.0), 1, 1),  # equal is no improvement
        ((math.nan, 5.0, 6.0), 2, 3),
        ((math.nan,), 0, 0),
        ((), 0, 0),
        ((math.inf, 1.0), 2, 1),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best(values, lowest, highest):
    for kind, expected in (("lowest", lowest), (None, lowest), ("highest", highest)):
        assert best_epoch(rows(*values), TrainConfig(patience=3, monitor_best=kind)) == expected


def test_more_of_a_score_is_better_unless_somebody_says_otherwise():
    better = {"val_loss": True, "loss": True, "hat": True, "val_mAP": False, "val_accuracy": False}
    for name, lower in better.items():
        assert TrainConfig(monitor=name).lower_is_better is lower
        assert TrainConfig(monitor=name, monitor_best="lowest").lower_is_better
    assert "monitor" not in TrainConfig(monitor="loss").identity()
    assert TrainConfig(patience=2, monitor="val_mAP").identity()["monitor_best"] == "highest"


def test_patience_counts_epochs_since_the_best_one():
    patience = Patience(TrainConfig(patience=2))
    over = [patience.is_over(rows(*(3.0, 1.0, 2.0, 1.5)[:n])) for n in range(5)]
    assert over == [False, False, False, False, True]
    assert not Patience(TrainConfig()).is_over([{"loss": 1.0}] * 50)


def run(people, values, out=None, model=None, stop_at=None, **settings):
    """Train with these validation losses; model, log and the weights after each epoch."""
    model, seen = model or tiny_model(), []

    def judge(epoch, model, row):
        seen.append(weights(model))
        if epoch == stop_at:
            raise KeyboardInterrupt
        return {"val_loss": values[epoch - 1]}

    config = TrainConfig(**TINY | {"epochs": len(values), "patience": 2} | settings, out=out)
    return model, fit(model, people, reid_loss, config, on_epoch=judge), seen


def test_training_stops_and_the_best_epoch_comes_back(people):
    model, history, seen = run(people, [3.0, 1.0, 2.0, 1.5, 0.5, 0.4])
    assert len(history) == len(seen) == 4
    assert same(weights(model), seen[1]) and not same(seen[1], seen[3])


def test_without_patience_the_last_epoch_stays(people):
    model, history, seen = run(people, [3.0, 1.0, 2.0, 1.5], patience=None)
    assert len(history) == 4 and same(weights(model), seen[3])


def test_the_best_epoch_comes_back_when_the_epochs_run_out(people):
    model, history, seen = run(people, [3.0, 1.0, 2.0], patience=5)
    assert len(history) == 3 and same(weights(model), seen[1])


def test_highest_is_best_where_asked_for(people):
    values = [0.1, 0.9, 0.5]
    model, _, seen = run(people, values, patience=5, monitor_best="highest")
    assert same(weights(model), seen[1])


@pytest.mark.parametrize("stop_at", [2, 3, 4])
def test_an_interrupted_run_stops_at_the_same_epoch_with_the_same_weights(
    people, tmp_path, stop_at
):
    values = [3.0, 1.0, 2.0, 1.5, 0.5]
    whole, expected, _ = run(people, values)
    with pytest.raises(KeyboardInterrupt):
        run(people, values, out=tmp_path, stop_at=stop_at)
    resumed, history, seen = run(people, values, out=tmp_path)
    assert len(history) == len(expected) == 4 and len(seen) == 4 - (stop_at - 1)
    assert same(weights(resumed), weights(whole))
    again, history, seen = run(people, values, out=tmp_path)  # a finished run is only read
    assert len(history) == 4 and not seen and same(weights(again), weights(whole))


def test_a_column_that_nobody_adds_is_named(people):
    config = TrainConfig(**TINY, epochs=2, patience=1)
    with pytest.raises(ValueError, match="patience=1 watches 'val_loss', which only on_epoch can"):
        fit(tiny_model(), people, reid_loss, config)
    for helper in ("attribute_validation", "triplet_validation", "pair_validation"):
        with pytest.raises(ValueError, match=rf"pass on_epoch, .*{helper}\(held_out"):
            check_watched(config, judged=False)
    with pytest.raises(ValueError, match="patience=1 watches 'val_loss', which epoch 1 does not"):
        fit(tiny_model(), people, reid_loss, config, on_epoch=lambda *_: {"val_mAP": 0.5})
    watched = TrainConfig(**TINY, epochs=2, patience=1, monitor="loss")
    assert len(fit(tiny_model(), people, reid_loss, watched)) <= 2


def test_a_patience_of_zero_is_refused():
    with pytest.raises(ValueError, match="patience must be 1 or more, or None, got 0"):
        TrainConfig(patience=0)
