"""The experiment "unseen-camera": a network that was told cameras meets one it never saw.

The training people are shown without the images of the last camera; the test people have them.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import both_sides, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.claims.sides import HE, TOLD, side_arms
from reidlab.data.samples import Samples, Splits
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.models.sides import Unseen
from reidlab.models.transreid import TransReID
from reidlab.recipes import Recipe, recipe


def unseen_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "unseen-camera" on the default synthetic set.

    Args:
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("transreid", "desk") if reference is None else reference
    arms = side_arms(own)
    arms["sie"] = replace(arms["sie"], arguments={**arms["sie"].arguments, "unseen": "mean"})
    experiment = Experiment(
        name="unseen-camera",
        title="side information (SIE) at a camera that no training image shows",
        arms=arms,
        statements=statements(),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def statements() -> tuple[Statement, ...]:
    """What to add to the tokens of a new camera's images, and whether it was worth it."""
    return (
        Statement(
            "mean-none",
            "For a new camera, the mean of the known rows is better than none",
            "ours",
            "same network; trained tokens always had a row added, so none is something new to it",
            treatment="sie",
            control="sie",
            measures=(Measure("new", "mAP, new camera", against="new/none"),),
            versus="no row",
        ),
        Statement(
            "sie-new",
            "Telling the network the other cameras still helps at a new one",
            HE,
            f"{TOLD}; the new camera's images get the mean row",
            treatment="sie",
            control="plain",
            measures=(Measure("new", "mAP, new camera"),),
        ),
        Statement(
            "sie-known",
            "It helps at the cameras it was told",
            HE,
            TOLD,
            treatment="sie",
            control="plain",
            measures=(Measure("known", "mAP, the others"),),
        ),
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm without the last camera and rank all test images with it; no mirrors."""
    model = train_people(arm, without_camera(splits, splits.cameras[-1]), seed)
    found = measure(model, splits)
    if isinstance(model, TransReID) and model.sides is not None:
        other = measure(with_unseen(model, "none"), splits)
        found |= {f"{name}/none": value for name, value in other.items()}
    return found


def without_camera(splits: Splits, camid: int) -> Splits:
    """The dataset without the training images of one camera, whose id stays known.

    Raises:
        ValueError: a camera that it has not.
    """
    if camid not in splits.cameras:
        raise ValueError(f"camera must be one of {splits.cameras}, got {camid}")
    kept = [sample for sample in splits.train if sample.camid != camid]
    train = Samples(kept, splits.cameras, splits.name, splits.views)
    return replace(splits, train=train)


def with_unseen(model: TransReID, unseen: Unseen) -> TransReID:
    """The same network and weights; images of cameras that it was not told get something else."""
    twin, sides = copy.copy(model), copy.copy(model.sides)
    if sides is None:
        raise ValueError("this network has no table of cameras")
    sides.unseen = unseen
    twin.sides = sides
    return twin


def measure(model: nn.Module, splits: Splits) -> dict[str, float]:
    """`mAP`, `rank1`, and the mAP of queries of the last camera, `new`, and of others, `known`."""
    query, gallery = both_sides(model, splits)
    return retrieval(query, gallery) | by_camera(query, gallery, splits.cameras[-1])


def by_camera(query: Embeddings, gallery: Embeddings, camid: int) -> dict[str, float]:
    """The mAP of queries of camera `camid`, `new`, and of all others, `known`."""
    ap = np.asarray(evaluate(query, gallery).per_query.ap)
    own = query.camids.cpu().numpy() == camid
    return {"new": float(np.nanmean(ap[own])), "known": float(np.nanmean(ap[~own]))}
