import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from reidlab.claims.settings import changed, fingerprint, flat, settings_of
from reidlab.data.transforms import TrainTransform
from reidlab.losses import batch_hard_triplet, reid_loss
from reidlab.recipes import Recipe
from reidlab.training import TrainConfig

BASE = Recipe("m", "desk", "baseline_small", reid_loss, TrainConfig(), "here",
              loss_arguments={"margin": 0.3})  # fmt: skip


def with_train(**changes):
    return replace(BASE, train=replace(BASE.train, **changes))


@pytest.mark.parametrize(
    ("other", "setting"),
    [
        (with_train(epochs=11), "train.epochs: 10 then, 11 now"),
        (with_train(optimizer="sgd"), "train.optimizer: 'adamw' then, 'sgd' now"),
        (with_train(transform=TrainTransform(pad=6)), "train.transform.pad: 5 then, 6 now"),
        (replace(BASE, model="baseline_resnet50"), "model: 'baseline_small' then"),
        (replace(BASE, arguments={"width": 16}), "arguments.width: absent then, 16 now"),
        (replace(BASE, loss=batch_hard_triplet), "loss: 'reidlab.losses.reid_loss' then"),
        (replace(BASE, loss_arguments={"margin": None}), "loss_arguments.margin: 0.3 then, None"),
        (replace(BASE, loss_arguments={}), "loss_arguments.margin: 0.3 then, absent now"),
    ],
)
def test_a_recipe_is_known_by_everything_that_decides_its_result(other, setting):
    then, now = settings_of(BASE), settings_of(other)
    assert fingerprint(then) != fingerprint(now)
    assert any(line.startswith(setting) for line in changed(then, now))


@pytest.mark.parametrize(
    "other",
    [
        with_train(seed=5),
        with_train(device="cpu", out=Path("x"), restart=True),
        replace(BASE, source="elsewhere", profile="paper"),
    ],
)
def test_seed_place_and_words_make_no_other_recipe(other):
    assert changed(settings_of(BASE), settings_of(other)) == []
    assert fingerprint(settings_of(BASE)) == fingerprint(settings_of(other))


def test_settings_survive_json():
    settings = settings_of(with_train(milestones=(1, 2)))
    stored = json.loads(json.dumps(settings))
    assert changed(stored, settings) == [] and fingerprint(stored) == fingerprint(settings)


def test_a_setting_that_did_not_exist_and_has_its_default_changes_nothing():
    now = settings_of(BASE)
    then = {name: value for name, value in now.items() if name != "train.clip_norm"}
    assert changed(then, now) == []
    later = settings_of(with_train(clip_norm=1.0))
    assert changed(then, later) == ["train.clip_norm: absent then, 1.0 now"]
    assert changed(now, then) == ["train.clip_norm: None then, absent now"]


def measured(seed, width=1):
    return {"width": width}


def test_a_function_is_known_by_its_name_and_arguments():
    plain, wide = settings_of(measured), settings_of(functools.partial(measured, width=2))
    assert plain["function"].endswith(".measured") and plain["function"] == wide["function"]
    assert changed(plain, wide) == ["arguments.width: absent then, 2 now"]
    assert settings_of(functools.partial(measured, 3))["arguments.0"] == 3


def test_nested_values_get_dotted_names_and_strange_ones_are_refused():
    found = flat({"a": {"b": (1, 2), "c": {"d": Path("x/y")}}, "f": measured})
    assert found["a.b"] == [1, 2] and found["a.c.d"] == "x/y" and "measured" in found["f"]
    with pytest.raises(ValueError, match=r"setting a.b is <object .*can be compared"):
        flat({"a": {"b": object()}})
