"""The experiment "transreid": jigsaw patches, side information, neck, start, more tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import (
    MAP,
    both_sides,
    retrieval,
    start_people,
    train_start,
)
from reidlab.claims.record import Statement
from reidlab.claims.sides import (
    HE,
    TOLD,
    about_cameras,
    before_training,
    knocked_out,
    side_statements,
)
from reidlab.data.occlude import occluded
from reidlab.data.packs import read_manifest
from reidlab.data.samples import Splits
from reidlab.embedding import Embeddings, embed
from reidlab.evaluation import evaluate
from reidlab.models.transreid import TransReID
from reidlab.recipes import Recipe, recipe

BRANCHES = "four local branches share a copy of the last block; each sees a quarter of patches"
COVERED = Measure("mAP/covered", "mAP, covered")
HIDDEN = Measure("mAP/hidden", "mAP, hidden")
SCRATCH = {"pretrained": False}
SCRATCH_LR = 1e-3
DENSE = (8, 16)  # twice the rows of patches
LEAST_HIDDEN = 0.1  # share of a person that a thing hides, for a query to count as hidden


def transreid_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "transreid" on the default synthetic set.

    Args:
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    experiment = Experiment(
        name="transreid",
        title="local branches (JPM), side information (SIE), BNNeck, the start, more tokens",
        arms=transreid_arms(recipe("transreid", "desk") if reference is None else reference),
        statements=statements(),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def few_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "jpm-few": local branches where there is little to learn from.

    A third of the training people, three times the epochs, the same test.

    Args:
        reference: the recipe that both arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("transreid", "desk") if reference is None else reference
    arms = transreid_arms(replace(own, train=replace(own.train, epochs=3 * own.train.epochs)))
    few = "with a third of the people to learn from, and three times the epochs"
    experiment = Experiment(
        name="jpm-few",
        title=f"local branches (JPM) {few}",
        arms={name: arms[name] for name in ("plain", "jpm")},
        statements=(
            Statement(
                "jpm-few",
                f"Jigsaw patches help {few}",
                "ours: five losses on different views of the patches may keep a network from "
                "learning its people by heart",
                BRANCHES,
                treatment="jpm",
                control="plain",
                measures=(MAP,),
            ),
        ),
        measure=run_arm,
        dataset="synthetic",
        options={"ids": 50},
    )
    return replace(experiment, **changes)


def transreid_arms(own: Recipe) -> dict[str, Recipe]:
    """Every arm differs from another one in one thing."""

    def arm(base: Recipe = own, sides: bool = False, **arguments: Any) -> Recipe:
        counts = own.counts if sides else ()
        return replace(base, arguments={**base.arguments, **arguments}, counts=counts)

    scratch = replace(own, train=replace(own.train, lr=SCRATCH_LR))
    longer = replace(own, train=replace(own.train, epochs=2 * own.train.epochs - 1))
    return {
        "plain": arm(parts=0),
        "jpm": arm(),
        "sie": arm(sides=True, parts=0),
        "both": arm(sides=True),
        "plain-scratch": arm(scratch, parts=0, **SCRATCH),
        "jpm-scratch": arm(scratch, **SCRATCH),
        "sie-scratch": arm(scratch, sides=True, parts=0, **SCRATCH),
        "both-scratch": arm(scratch, sides=True, **SCRATCH),
        "no-neck": arm(parts=0, bnneck=False),
        "dense": arm(parts=0, stride=DENSE),
        "dense-jpm": arm(stride=DENSE),
        "plain-longer": arm(longer, parts=0),
    }


def statements() -> tuple[Statement, ...]:
    """What is said of each part, from the shipped start and from random weights."""
    usual = "cameras that differ as usual"
    four = (*_four(""), *_four("-scratch"))
    return (*four, *side_statements(usual), *_more_about_jpm(), *_others())


def _four(start: str) -> tuple[Statement, ...]:
    """JPM, SIE and both, against neither."""
    words = " from random weights" if start else ""
    return (
        Statement(
            f"jpm{start}",
            f"Jigsaw patches (JPM) help{words}",
            f"{HE}: MSMT17 mAP 61.0 without, 63.6 with",
            BRANCHES,
            treatment=f"jpm{start}",
            control=f"plain{start}",
            measures=(MAP,),
        ),
        Statement(
            f"sie{start}",
            f"Side information (SIE) helps{words}",
            f"{HE}: MSMT17 mAP 61.0 without, 62.4 with",
            TOLD,
            treatment=f"sie{start}",
            control=f"plain{start}",
            measures=(MAP,),
        ),
        Statement(
            f"both{start}",
            f"Both together help{words}",
            f"{HE}: MSMT17 mAP 61.0 without, 64.9 with; Market-1501 87.1 and 88.2",
            f"{BRANCHES}; {TOLD}",
            treatment=f"both{start}",
            control=f"plain{start}",
            measures=(MAP,),
        ),
    )


def _more_about_jpm() -> tuple[Statement, ...]:
    """Where local branches might help although the whole set shows nothing, and what they add."""
    weaker = "a branch that does not see the covered part keeps its feature"
    return (
        Statement(
            "jpm-hidden",
            "Jigsaw patches help queries that a thing hides in part",
            HE,
            f"{weaker}. Queries whose person is hidden to {100 * LEAST_HIDDEN:.0f} % or more",
            treatment="jpm",
            control="plain",
            measures=(HIDDEN,),
        ),
        Statement(
            "jpm-covered",
            "Jigsaw patches help queries with a box over 40 % of them",
            HE,
            f"{weaker}. Boxes of one colour from the left, right or below, on all queries",
            treatment="jpm",
            control="plain",
            measures=(COVERED,),
        ),
        Statement(
            "jpm-local",
            "The local features add to the global one of the same network",
            HE,
            "one network, ranked by all five features or by the first alone",
            treatment="jpm",
            control="jpm",
            measures=(Measure("mAP", "mAP", against="mAP/global"),),
            versus="global feature alone",
        ),
        Statement(
            "jpm-dense",
            "Jigsaw patches help where there are more patches",
            HE,
            "twice the rows of patches: a branch sees 16 of 64, not 8 of 32",
            treatment="dense-jpm",
            control="dense",
            measures=(MAP,),
        ),
    )


def _others() -> tuple[Statement, ...]:
    """The neck, the start, and overlapping patches."""
    return (
        Statement(
            "neck",
            "A batch norm between feature and classifier helps",
            "Luo et al. 2019 (arXiv:1903.07071)",
            "identity loss after it, triplet loss before it",
            treatment="plain",
            control="no-neck",
            measures=(MAP,),
        ),
        Statement(
            "start",
            "Starting from people of another world is better than from random weights",
            f"{HE}: all results start from ImageNet",
            "as many steps on the same people; the rate suits each start",
            treatment="plain",
            control="plain-scratch",
            measures=(MAP,),
        ),
        Statement(
            "dense",
            "Twice the patches are better, with as many epochs",
            f"{HE}: Market-1501 mAP 88.2 at stride 16, 88.9 at stride 12, JPM and SIE included",
            "the last convolution of the stem steps 8 pixels down, not 16; same weights",
            treatment="dense",
            control="plain",
            measures=(MAP,),
        ),
        Statement(
            "dense-time",
            "Twice the patches are better in the same time",
            "ours: the honest comparison",
            "the control trains for as many CPU-seconds, in nearly twice the epochs",
            treatment="dense",
            control="plain-longer",
            measures=(MAP,),
        ),
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it: clear, hidden and covered; no mirrors."""
    model = start_people(arm, splits, seed)
    cameras = isinstance(model, TransReID) and not model.parts  # measured of plain networks
    found = before_training(model, splits) if cameras else {}
    model = train_start(model, arm, splits, seed)
    found |= knocked_out(model, splits) if cameras else {}
    return found | measure(model, splits, seed)


def measure(model: nn.Module, splits: Splits, seed: int) -> dict[str, float]:
    """What `about_cameras` gives, `mAP/hidden`, `mAP/covered`, and `mAP/global` of the first."""
    query, gallery = both_sides(model, splits)
    found = about_cameras(query, gallery)
    ap = evaluate(query, gallery).per_query.ap
    found["mAP/hidden"] = float(np.nanmean(np.asarray(ap)[hidden(splits)]))
    covered = embed(occluded(model, seed=seed), splits.query)
    found["mAP/covered"] = retrieval(covered, gallery)["mAP"]
    if isinstance(model, TransReID) and model.parts:
        first = (_first(side, model.trunk.dim) for side in (query, gallery))
        found["mAP/global"] = retrieval(*first)["mAP"]
    return found


def _first(features: Embeddings, width: int) -> Embeddings:
    return replace(features, features=features.features[:, :width])


def hidden(splits: Splits) -> np.ndarray:
    """Which queries are hidden in part by something, as the renderer's manifest says, (Q,) bool.

    Raises:
        ValueError: a dataset without such truth.
    """
    if not splits.query:
        raise ValueError("expected queries")
    share = _hidden_shares(str(splits.query[0].path.parents[1]))
    return np.array([share[sample.path.name] >= LEAST_HIDDEN for sample in splits.query])


@lru_cache(maxsize=4)
def _hidden_shares(folder: str) -> dict[str, float]:
    """Name of a query's file -> share of the person that is hidden."""
    manifest = read_manifest(Path(folder))
    if manifest is None:
        raise ValueError(f"{folder} has no manifest that says what hides people; use synthetic")
    images = [image for image in manifest.content["images"] if image["split"] == "query"]
    return {Path(image["file"]).name: float(image["occluded"]) for image in images}
