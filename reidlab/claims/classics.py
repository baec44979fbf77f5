"""The experiment "classics": networks of the course that no other experiment is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reidlab.claims.experiment import Experiment
from reidlab.claims.people import MAP, RANK1, both_sides, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.recipes import Recipe, recipe

METHODS = ("siamese", "alignedreid", "deep-cosine")
TABLE = (
    "the comparison table of a course report on LA-Transformer: rank-1 91.8 and 79.1, mAP 79.3 and "
    "56.7 on Market-1501"
)


def classics_experiment(**changes: Any) -> Experiment:
    """The experiment "classics" on the default synthetic set.

    Args:
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    experiment = Experiment(
        name="classics",
        title="networks under their desk recipes, for one table",
        arms={name: recipe(name, "desk") for name in METHODS},
        statements=(
            Statement(
                "aligned-deep-cosine",
                "AlignedReID ranks better than Deep Cosine Metric Learning",
                TABLE,
                "two whole recipes, not one difference: the one mines hard triplets on a residual "
                "trunk and averages each image with its mirror, the other learns classes alone, on "
                "smaller images and without a mirror; as published, the former also starts from "
                "ImageNet, which here it does not",
                treatment="alignedreid",
                control="deep-cosine",
                measures=(MAP, RANK1),
            ),
        ),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it."""
    model = train_people(arm, splits, seed)
    return retrieval(*both_sides(model, splits, flip=arm.flip))
