import math

import numpy as np
import pytest
from torch import nn

from reidlab.training import TrainConfig, learning_rate, warmup_cosine, warmup_multistep
from reidlab.training.schedules import make_optimizer


@pytest.mark.parametrize(("lr", "warmup"), [(0.008, 5), (0.0004, 20)])
def test_warmup_cosine_matches_the_reference_for_weights_and_biases(golden, lr, warmup):
    table = golden.arrays("transreid/golden_schedules")[f"cosine_base{lr}_ep120_wu{warmup}"]
    for column, base in ((0, lr), (1, 2 * lr)):
        ours = [
            warmup_cosine(e, epochs=120, lr=lr, base=base, warmup_epochs=warmup) for e in range(121)
        ]
        np.testing.assert_allclose(ours, table[:, column], rtol=1e-9)


def test_warmup_multistep_matches_the_reference(golden):
    data = golden.arrays("transreid/golden_schedules")
    steps = tuple(data["warmup_multistep_steps"].tolist())
    ours = [warmup_multistep(e, lr=3.5e-4, milestones=steps) for e in range(120)]
    np.testing.assert_allclose(ours, data["warmup_multistep_3.5e-4"], rtol=1e-9)


def test_epoch_wise_training_reads_the_same_tables(golden):
    data = golden.arrays("transreid/golden_schedules")
    cosine = TrainConfig(epochs=120, lr=0.008, warmup_epochs=5, schedule_by="epoch")
    multi = TrainConfig(
        epochs=120, lr=3.5e-4, warmup_epochs=10, schedule="multistep", schedule_by="epoch"
    )
    for epoch in (0, 3, 4, 39, 40, 69, 70, 119):
        for done in (0.1, 1.0):
            rate = learning_rate(cosine, epoch, done, 0.016)
            assert rate == pytest.approx(data["cosine_base0.008_ep120_wu5"][epoch + 1, 1])
            rate = learning_rate(multi, epoch, done, 3.5e-4)
            assert rate == pytest.approx(data["warmup_multistep_3.5e-4"][epoch])


def test_step_wise_cosine_rises_then_falls_to_its_end():
    config = TrainConfig(epochs=10, lr=1.0, warmup_epochs=1)
    rates = [learning_rate(config, e, s / 20, 1.0) for e in range(10) for s in range(1, 21)]
    peak = int(np.argmax(rates))
    assert 18 <= peak <= 20
    assert all(np.diff(rates[:peak]) > 0) and all(np.diff(rates[peak:]) < 0)
    assert rates[-1] == pytest.approx(0.002)


def test_constant_stays_constant_after_the_warmup():
    config = TrainConfig(schedule="constant", lr=0.5, warmup_epochs=0)
    assert {learning_rate(config, e, 1.0, 0.5) for e in range(50)} == {0.5}


def test_optimizer_gives_biases_their_own_rate():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    for kind in ("sgd", "adam", "adamw"):
        config = TrainConfig(optimizer=kind, lr=0.1, bias_lr_factor=2.0)
        groups = make_optimizer(model, config).param_groups
        assert {group["base"]: len(group["params"]) for group in groups} == {0.1: 2, 0.2: 2}


def test_frozen_parameters_are_left_alone():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    groups = make_optimizer(model, TrainConfig()).param_groups
    assert sum(len(group["params"]) for group in groups) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be above 0"),
        ({"lr": -1.0}, "lr must be above 0"),
        ({"weight_decay": -1e-3}, "weight_decay must be 0 or more"),
        ({"ids_per_batch": 1}, "a triplet needs a negative"),
        ({"sampler": "shuffle", "ids_per_batch": 1, "images_per_id": 1}, "at least 2 images"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"optimizer": "lion"}, "optimizer must be one of adamw, adam, sgd, got 'lion'"),
        ({"schedule": "cosinee"}, "schedule must be one of cosine, multistep, constant"),
        ({"sampler": "foo"}, "sampler must be one of pk, groups, shuffle"),
        ({"epochs": 2.5}, "epochs must be an integer"),
        ({"epochs": True}, "epochs must be an integer, got True"),
        ({"patience": 2.0}, "patience must be an integer, got 2.0"),
        ({"patience": True}, "patience must be an integer, got True"),
        ({"patience": "2"}, "patience must be an integer, got '2'"),
        ({"lr": "0.1"}, "lr must be a finite number, got '0.1'"),
        ({"lr": True}, "lr must be a finite number, got True"),
        ({"lr": math.inf}, "lr must be a finite number, got inf"),
        ({"clip_norm": math.nan}, "clip_norm must be a finite number, got nan"),
        ({"weight_decay": None}, "weight_decay must be a finite number, got None"),
        ({"monitor_best": "least"}, "monitor_best must be one of lowest, highest, None, got"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"seed": 2**32}, "seed must be below"),
        ({"warmup_factor": -3}, "warmup_factor must be 0 or more"),
    ],
)
def test_contradictory_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize(("sampler", "images"), [("pairs", 2), ("triplets", 3)])
def test_a_tuple_alone_is_a_batch_of_its_images(sampler, images):
    config = TrainConfig(sampler=sampler, ids_per_batch=1, images_per_id=1)
    assert (config.batch_size, config.images_per_batch) == (1, images)
    assert TrainConfig().images_per_batch == TrainConfig().batch_size == 32


def test_whole_numbers_pass_where_a_fraction_is_possible():
    config = TrainConfig(lr=1, warmup_epochs=0, clip_norm=5, patience=3, milestones=(4,))
    assert (config.lr, config.clip_norm, config.patience) == (1, 5, 3)


def test_settings_that_never_change_a_result_are_not_part_of_the_identity():
    one = TrainConfig(device="cpu", out="a", in_memory=True)
    assert one.identity() == TrainConfig(out="b").identity()
    assert one.identity() != TrainConfig(seed=1).identity()


def test_half_a_warmup_is_half_the_rate():
    assert math.isclose(
        warmup_cosine(2.5, epochs=10, lr=1.0, warmup_epochs=5, warmup_factor=0), 0.5
    )
