"""Training that ends after so many steps: where it stops, what it logs, how it goes on."""

import pytest
import torch

from reidlab.claims.settings import changed, settings_of
from reidlab.data.readers import read_dataset
from reidlab.losses import reid_loss
from reidlab.models.baseline import baseline_small
from reidlab.recipes import recipe
from reidlab.training import TrainConfig, fit, learning_rate

TINY = {"epochs": 3, "ids_per_batch": 2, "images_per_id": 2, "device": "cpu"}  # 6 steps per epoch


@pytest.fixture
def people(market_folder):
    return read_dataset(market_folder).train


def network():
    return baseline_small(4, width=4, image_size=(32, 16))


class Counting:
    """`reid_loss`, which stands still after some steps if it is told to."""

    def __init__(self, stop=None):
        self.steps, self.stop = 0, stop

    def __call__(self, model, batch):
        self.steps += 1
        if self.steps == self.stop:
            raise KeyboardInterrupt
        return reid_loss(model, batch)


def counting(stop=None):
    """All of them count as the same loss."""
    loss = Counting(stop)
    loss.__qualname__ = "counting"  # type: ignore[attr-defined]
    return loss


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def steps_per_epoch(people):
    loss = counting()
    fit(network(), people, loss, TrainConfig(**TINY | {"epochs": 1}))
    return loss.steps


def test_it_stops_in_the_middle_of_an_epoch_which_has_its_row(people):
    whole = steps_per_epoch(people)
    assert whole > 2
    for limit, epochs in ((1, 1), (whole, 1), (whole + 2, 2)):
        loss = counting()
        history = fit(network(), people, loss, TrainConfig(**TINY, max_steps=limit))
        assert loss.steps == limit and len(history) == epochs
    loss = counting()
    assert len(fit(network(), people, loss, TrainConfig(**TINY, max_steps=99))) == 3
    assert 2 * whole < loss.steps < 99


def test_the_loss_of_a_short_epoch_is_the_mean_of_its_steps(people):
    seen = []

    def noting(model, batch):
        terms = reid_loss(model, batch)
        seen.append(float(torch.stack(list(terms.values())).sum().detach()))
        return terms

    history = fit(network(), people, noting, TrainConfig(**TINY, max_steps=2))
    assert history.rows[0]["loss"] == pytest.approx(sum(seen) / 2, rel=1e-6) and len(seen) == 2


def test_learning_rates_are_those_of_the_whole_training(people):
    whole = steps_per_epoch(people)
    config = TrainConfig(**TINY, max_steps=2)
    history = fit(network(), people, reid_loss, config)
    assert history.rows[0]["lr"] == learning_rate(config, 0, 2 / whole, config.lr)


def test_a_stopped_run_ends_after_the_same_number_of_steps_in_the_same_weights(people, tmp_path):
    whole = steps_per_epoch(people)
    config = TrainConfig(**TINY, max_steps=whole + 2)
    straight = network()
    fit(straight, people, counting(), config)
    config = TrainConfig(**TINY, max_steps=whole + 2, out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), people, counting(stop=whole + 2), config)
    again, loss = network(), counting()
    assert len(fit(again, people, loss, config)) == 2
    assert same(weights(straight), weights(again)) and loss.steps == 2
    finished, loss = network(), counting()
    fit(finished, people, loss, config)
    assert not loss.steps and same(weights(straight), weights(finished))


def test_another_number_of_steps_is_another_run(people, tmp_path):
    fit(network(), people, counting(), TrainConfig(**TINY, max_steps=1, out=tmp_path))
    with pytest.raises(ValueError, match="max_steps: there 1, here 2"):
        fit(network(), people, counting(), TrainConfig(**TINY, max_steps=2, out=tmp_path))


def test_settings_without_it_are_those_of_before():
    assert "max_steps" not in TrainConfig().identity()
    assert TrainConfig(max_steps=3).identity()["max_steps"] == 3
    now = settings_of(recipe("baseline"))
    assert changed(now, now) == [] and "train.max_steps" not in now
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="max_steps must be"):
            TrainConfig(max_steps=wrong)
