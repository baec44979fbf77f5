"""The experiment "classics": the convolutional networks of the course, each with its own recipe."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from torch import nn

from reidlab.claims.experiment import Experiment
from reidlab.claims.people import MAP, RANK1, both_sides, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.recipes import Recipe, recipe

METHODS = ("baseline", "siamese", "multibranch", "ianet", "alignedreid", "deep-cosine")
TABLE = "the comparison table of a project report on LA-Transformer: rank-1 91.8 and 79.1"


def classics_experiment(**changes: Any) -> Experiment:
    """The experiment "classics" on the default synthetic set.

    Args:
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    experiment = Experiment(
        name="classics",
        title="the convolutional networks of the course under their desk recipes",
        arms={name: desk(name) for name in METHODS},
        statements=(
            Statement(
                "aligned-deep-cosine",
                "AlignedReID ranks better than Deep Cosine Metric Learning",
                TABLE,
                "the one starts from a trained trunk and mines triplets, the other learns from "
                "nothing and by classes alone; by default neither recipe was tuned on test people",
                treatment="alignedreid",
                control="deep-cosine",
                measures=(MAP, RANK1),
            ),
        ),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def desk(method: str) -> Recipe:
    """The desk recipe; the baseline's with half of its epochs, which is nearly as good."""
    own = recipe(method, "desk")
    return replace(own, train=replace(own.train, epochs=10)) if method == "baseline" else own


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm, rank the test people, and note size and speed.

    `speed` is in images per second of embedding, on one core; `weights` is what is trained.
    """
    model = train_people(arm, splits, seed)
    start = time.process_time()
    query, gallery = both_sides(model, splits, flip=arm.flip)
    seconds = (time.process_time() - start) / (1 + arm.flip)  # a mirror is another image
    speed = (len(query) + len(gallery)) / seconds
    return retrieval(query, gallery) | {"speed": speed, "weights": float(trained(model))}


def trained(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)
