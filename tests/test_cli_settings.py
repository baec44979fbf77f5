"""Flags of a method's network and loss, derived from their signatures."""

import inspect
from dataclasses import fields

import pytest

from reidlab.cli import main
from reidlab.cli.settings import (
    ELSEWHERE,
    NoSettings,
    changed,
    explained,
    settings_of,
    with_loss,
    with_settings,
)
from reidlab.cli.train import Train
from reidlab.models.catalog import BUILDERS
from reidlab.recipes import PRETRAINING, RECIPES, recipe


def example(model, *, margin: float = 0.3, seed: int = 0, metric: str = "euclidean"):
    """What it does.

    Args:
        model: a network.
        margin: in units of
            the distance: more is stricter.
        metric: of the distance.

    Raises:
        ValueError: never.
    """


def test_keyword_arguments_become_fields_with_the_defaults_of_the_recipe():
    kind = settings_of("Loss", example, {"margin": 1.5})
    assert [each.name for each in fields(kind)] == ["margin", "metric"]
    assert kind().margin == 1.5 and kind().metric == "euclidean"
    assert changed(kind()) == {} and changed(kind(margin=2.0)) == {"margin": 2.0}


def test_help_is_what_the_docstring_says_in_one_line():
    found = explained(example.__doc__.replace("\n    ", "\n"))
    assert found["margin"] == "in units of the distance: more is stricter."
    assert found["metric"] == "of the distance." and "ValueError" not in found
    assert explained("No arguments.") == {}


def test_a_function_without_settings_has_none():
    assert settings_of("Loss", lambda model, batch: {}, {}) is NoSettings
    assert changed(NoSettings()) == {}


@pytest.mark.parametrize("key", RECIPES, ids="-".join)
def test_every_recipe_has_flags_with_help_whose_names_do_not_collide(key):
    chosen = recipe(*key)
    kind = with_settings(Train, chosen)
    own = kind()
    groups = {name: fields(getattr(own, name)) for name in ("network", "loss", "config")}
    transform = fields(own.config.transform)
    names = [each.name for group in (*groups.values(), transform, fields(Train)) for each in group]
    assert len(set(names)) == len(names)
    for name, value in chosen.arguments.items():
        assert name in ELSEWHERE or getattr(own.network, name) == value
    for name, value in chosen.loss_arguments.items():
        assert getattr(own.loss, name) == value
    for group, function in (("network", BUILDERS[chosen.model]), ("loss", chosen.loss)):
        helps = explained(inspect.getdoc(function))
        missing = [each.name for each in groups[group] if not helps.get(each.name)]
        assert not missing, f"{function.__name__} does not explain {missing}"


@pytest.mark.parametrize("key", RECIPES, ids="-".join)
def test_every_flag_can_be_given(key, capsys):
    method, profile = key
    with pytest.raises(SystemExit) as left:
        command = "pretrain" if method in PRETRAINING else "train"
        main([command, method, "--profile", profile, "--help"])
    assert not left.value.code
    assert "fixed" not in capsys.readouterr().out  # tyro's word for a type that it cannot read


def test_settings_of_the_loss_reach_the_recipe():
    chosen = recipe("baseline")
    own = with_settings(Train, chosen)()
    assert with_loss(chosen, own.loss).loss_arguments == chosen.loss_arguments
    changed_loss = type(own.loss)(margin=None, smoothing=0.0)
    found = with_loss(chosen, changed_loss)
    assert dict(found.loss_arguments) == {"margin": None, "smoothing": 0.0}
