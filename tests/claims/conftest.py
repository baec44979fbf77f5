"""Experiments that take no time: arms that compute their measures from the seed."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from reidlab.claims import Experiment, Measure, Statement
from reidlab.data.samples import Sample, Splits
from reidlab.losses import reid_loss
from reidlab.recipes import Recipe
from reidlab.training import TrainConfig

WORDS = {"source": "a report", "mechanism": "because"}
SCORE = Measure("score", "mean score")
COST = Measure("cost", "cost", unit="epochs", better="lower")

calls = []  # (arm, seed) of every run since the test began
failures = set()  # of these


def measures(seed, *, name, score, cost):
    """As a training would: every seed is a little different, in both arms nearly alike."""
    calls.append((name, seed))
    if (name, seed) in failures:
        raise RuntimeError(f"{name} was killed with seed {seed}")
    noise = 0.0 if name == "with" else (0.0, 1e-4, -1e-4)[seed % 3]
    return {"score": score + 0.01 * seed + noise, "cost": cost + seed**2 + noise, "guess": 0.5}


def arm(name, score, cost=10.0):
    return functools.partial(measures, name=name, score=score, cost=cost)


def fake_experiment(**changes):
    experiment = Experiment(
        name="fake",
        title="does it work",
        arms={"with": arm("with", 0.8, 9.0), "without": arm("without", 0.7), "odd": arm("odd", 1)},
        statements=(
            Statement("better", "It helps", **WORDS, treatment="with", control="without",
                      measures=(SCORE, COST)),
            Statement("above", "It beats a guess", **WORDS, treatment="with", control="with",
                      measures=(replace(SCORE, against="guess"),)),
        ),
    )  # fmt: skip
    return replace(experiment, **changes)


@pytest.fixture
def fake():
    """The function that makes such an experiment; nothing has run yet."""
    calls.clear()
    failures.clear()
    return fake_experiment


@pytest.fixture
def made_arm():
    """The function that makes an arm."""
    return arm


@pytest.fixture
def run_so_far():
    """(arm, seed) of all runs since the test began."""
    return calls


@pytest.fixture
def break_at():
    """Add (arm, seed) here to have the run fail."""
    return failures


def people(count=2, shift=0):
    """Splits of files that are not there, which nobody opens."""
    sides = [
        [Sample(f"{side}{pid}.jpg", pid + shift, 1) for pid in range(first, first + count)]
        for side, first in (("train", 1), ("query", 50), ("gallery", 50))
    ]
    return Splits(*sides, name="made up")


def trained(recipe, splits, seed):
    """Stands in for training a recipe."""
    calls.append((recipe.train.lr, seed))
    return {"score": recipe.train.lr + 0.01 * seed, "cost": 1.0, "guess": 0.5}


@pytest.fixture
def with_recipes(fake, monkeypatch):
    """The function that makes an experiment on recipes, which reads `made_people` when it runs."""
    monkeypatch.setattr("reidlab.claims.experiment.read_dataset", lambda *_, **__: people())
    base = Recipe("m", "desk", "baseline_small", reid_loss, TrainConfig(lr=0.8), "here")
    slow = replace(base, train=replace(base.train, lr=0.7))

    def made(**changes):
        arms = {"with": base, "without": slow}
        options = {"dataset": "made up", "options": {"ids": 2, "size": (8, 4)}}
        return fake(**{"arms": arms, "measure": trained, **options, **changes})

    return made


@pytest.fixture
def made_people():
    """The function that makes splits."""
    return people
