"""The experiment "multibranch": what identity loss, two branches, margin and mining are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import MAP, RANK1, both_sides, cut_map, named, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.embedding import Embeddings
from reidlab.models.multibranch import MultiBranch
from reidlab.recipes import Recipe, recipe

REPORT = "Barattin and Da Rold, University of Trento, Deep Learning assignment report, section 4"
HERMANS = "Hermans et al. 2017 (arXiv:1703.07737)"
MARGINS = (1.0, 5.0, 15.0)  # the others that the report tried
IMAGES = 4  # of each person, in batches for mining that have as many images as the triplets'
BUDGET = "Both arms see as many images, but for the few that do not fill a batch"


def multibranch_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "multibranch" on the default synthetic set.

    Args:
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("multibranch", "desk") if reference is None else reference
    arms = {
        "reference": own,
        "no-id": without_ids(own),
        "average": with_arguments(own, branches=("average",)),
        "max": with_arguments(own, branches=("max",)),
        "all-ids": with_loss(own, id_on="all"),
        "hard": mined(own),
        "hard-no-id": mined(without_ids(own)),
        **{f"margin-{m:g}": with_loss(own, margin=m) for m in MARGINS},
    }
    experiment = Experiment(
        name="multibranch",
        title="a two-branch network trained on triplets and identities",
        arms=arms,
        statements=statements(own),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def without_ids(own: Recipe) -> Recipe:
    """The same network without classifiers, and so without their loss."""
    return replace(own, learns="distances")


def with_arguments(own: Recipe, **arguments: Any) -> Recipe:
    """Another network."""
    return replace(own, arguments={**own.arguments, **arguments})


def with_loss(own: Recipe, **settings: Any) -> Recipe:
    """Another setting of the loss."""
    return replace(own, loss_arguments={**own.loss_arguments, **settings})


def mined(own: Recipe) -> Recipe:
    """Batch-hard triplets in place of random ones, for as many images.

    A pass over triplets shows every image three times on average, one over P x K batches once.
    """
    train = replace(
        own.train,
        sampler="pk",
        ids_per_batch=3 * own.train.batch_size // IMAGES,
        images_per_id=IMAGES,
        epochs=3 * own.train.epochs,
        warmup_epochs=3 * own.train.warmup_epochs,
    )
    return replace(with_loss(own, mining="hard"), train=train)


def statements(own: Recipe) -> tuple[Statement, ...]:
    """What the report says about its network, and what is said about mining."""
    margin = own.loss_arguments.get("margin", 10.0)
    both = replace(MAP, title="mAP, trained together")
    found = [
        Statement(
            "id-loss",
            "An identity loss beside the triplet loss improves retrieval",
            f"{REPORT}: mAP 0.64 without, 0.81 with it, by its own protocol",
            "a triplet compares an image with two others, the classifier with all training people "
            "at once",
            treatment="reference",
            control="no-id",
            measures=(MAP, RANK1),
        )
    ]
    found += [
        Statement(
            f"both-over-{single}",
            f"Two branches rank better than the {single} branch alone",
            f"{REPORT} (the idea; it gives no figure)",
            f"{why}. The control is a network that has only the {single} branch, with half the sum "
            "of losses and half the width",
            treatment="reference",
            control=single,
            measures=(both,),
        )
        for single, why in (
            ("average", "the maximum keeps single striking places that an average dilutes"),
            ("max", "the average keeps what is spread over the body, which a maximum ignores"),
        )
    ]
    found += [
        Statement(
            f"concatenated-over-{single}",
            f"In one network, both features rank better than that of the {single} branch",
            f"{REPORT} (the idea; it gives no figure)",
            "the two features err on different people; side by side they have twice the width",
            treatment="reference",
            control="reference",
            measures=(Measure("mAP", "mAP, same network", against=f"mAP/{single}"),),
            versus=f"{single} feature",
        )
        for single in ("average", "max")
    ]
    found.append(
        Statement(
            "equal-length",
            "Branches of equal length, side by side, rank better than branches as long as they are",
            "ours: the report does not say how the two features are put together",
            "the longer of two features rules the cosine of both, and maxima are longer than "
            "averages; here each branch is L2-normalised first, in the same network",
            treatment="reference",
            control="reference",
            measures=(Measure("mAP/unit", "mAP, same network", against="mAP"),),
            versus="own lengths",
        )
    )
    found += [
        Statement(
            f"margin-{other:g}",
            f"A margin of {margin:g} ranks better than one of {other:g}",
            f"{REPORT}: 1, 5, 10 and 15 were tried, 10 was chosen",
            "features are not normalised, so a network meets any margin by longer features; what "
            "counts is the margin beside the distances it starts with",
            treatment="reference",
            control=f"margin-{other:g}",
            measures=(MAP,),
        )
        for other in MARGINS
    ]
    found += [
        Statement(
            f"batch-hard{suffix}",
            f"Batch-hard mining ranks better than random triplets, {words} identity loss",
            f"{HERMANS}; the report of the two branches found that online mining brought more "
            "problems than results",
            "of all triplets in a batch, those that are violated most, where a random stranger is "
            f"rarely nearer than the positive. {BUDGET}",
            treatment=f"hard{suffix}",
            control=control,
            measures=(MAP, RANK1),
        )
        for suffix, words, control in (("", "with", "all-ids"), ("-no-id", "without", "no-id"))
    ]
    return tuple(found)


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it."""
    model = train_people(arm, splits, seed)
    if not isinstance(model, MultiBranch):
        raise ValueError(f"expected a network with branches, got {type(model).__name__}")
    return measure(model, splits)


def measure(model: MultiBranch, splits: Splits) -> dict[str, float]:
    """`mAP` and `rank1` of the whole descriptor, and of each branch as `mAP/average`.

    `mAP/unit` gives all branches the same length first; `mAP/cut` counts the first 80 places, own
    camera included; `length/average` is the mean length of a branch's features in the gallery.
    """
    query, gallery = both_sides(model, splits)
    found = retrieval(query, gallery) | {"mAP/cut": cut_map(query, gallery)}
    names = list(model.stages)
    sides = [split_branches(side, len(names)) for side in (query, gallery)]
    for name, asked, searched in zip(names, *sides, strict=True):
        found |= named(retrieval(asked, searched), name)
        found[f"length/{name}"] = float(searched.features.norm(dim=1).mean())
    unit = [
        replace(side, features=torch.cat([F.normalize(part.features) for part in parts], dim=1))
        for side, parts in zip((query, gallery), sides, strict=True)
    ]
    return found | {"mAP/unit": retrieval(*unit)["mAP"]}


def split_branches(side: Embeddings, count: int) -> list[Embeddings]:
    """Embeddings of the branches of a whole descriptor (N, count * D), one (N, D) each."""
    return [replace(side, features=part) for part in side.features.chunk(count, dim=1)]
