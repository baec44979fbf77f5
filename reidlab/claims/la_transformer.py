"""The experiment "la-transformer": column pooling, a margin with triplets, mirrored queries."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import MAP, both_sides, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.embedding import Embeddings, embed
from reidlab.evaluation import evaluate
from reidlab.models.la_transformer import LATransformer
from reidlab.recipes import Recipe, recipe

SINGLA = "a course report (Singla, IIT Delhi), 28 queries"
SHARMA = "Sharma et al. 2021, LA-Transformer (arXiv:2106.03720)"
NI = "Ni and Rahtu 2021, FlipReID (arXiv:2105.05639)"
MARGIN = {"identity": "am-softmax", "triplet": 1.0}
TUNED = {"scale": 16.0, "margin": 0.1}
SCRATCH_LR = 1e-3
PLACES = 10  # of a list that the released test looks at


def la_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "la-transformer" on the default synthetic set.

    Args:
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    experiment = Experiment(
        name="la-transformer",
        title="column pooling, AM-Softmax and triplets, mirrored queries, on rows of patches",
        arms=la_arms(recipe("la-transformer", "desk") if reference is None else reference),
        statements=statements(),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def la_arms(own: Recipe) -> dict[str, Recipe]:
    """The report's ladder, and what separates its steps."""

    def arm(parts_from: str, head: str = "linear", **loss: Any) -> Recipe:
        arguments = {**own.arguments, "parts_from": parts_from, "head": head}
        return replace(own, arguments=arguments, loss_arguments={**own.loss_arguments, **loss})

    rows, margin = arm("rows"), arm("mean", "cosine", **MARGIN)
    scratch = {**rows.arguments, "pretrained": False}

    def tuned(parts_from: str) -> Recipe:
        found = arm(parts_from, "cosine", **MARGIN, **TUNED)
        arguments = {**found.arguments, "dropout": 0.0}
        return replace(found, arguments=arguments, train=replace(own.train, lr=2 * own.train.lr))

    return {
        "rows": rows,
        "mean": arm("mean"),
        "both": arm("both"),
        "mean-triplet": arm("mean", triplet=1.0),
        "mean-margin": margin,
        "mean-tuned": tuned("mean"),
        "rows-tuned": tuned("rows"),
        "rows-scratch": replace(rows, arguments=scratch, train=replace(rows.train, lr=SCRATCH_LR)),
    }


def statements() -> tuple[Statement, ...]:
    """The report's three improvements, what lies in them, and the start."""
    return (*_report(), *_ours())


def _report() -> tuple[Statement, ...]:
    margin = (
        "a margin in cosine for every part, scale 30 and margin 0.35, and batch-hard triplets of "
        "all parts side by side"
    )
    return (
        Statement(
            "columns",
            "Averaging row i with column i helps",
            f"{SINGLA}: mAP 0.908 without, 0.947 with",
            "every part also holds patches from above and below",
            treatment="mean",
            control="rows",
            measures=(MAP,),
        ),
        Statement(
            "margin",
            "AM-Softmax with triplets is better than cross-entropy",
            f"{SINGLA}: mAP 0.947 without, 0.971 with",
            f"{margin}; both arms average rows and columns",
            treatment="mean-margin",
            control="mean",
            measures=(MAP,),
        ),
        Statement(
            "flip",
            "Averaging each query with its mirror helps",
            f"{SINGLA}: mAP 0.971 without, 0.975 with",
            "same network and gallery; the query's feature is a mean of two",
            treatment="mean-margin",
            control="mean-margin",
            measures=(Measure("mAP/flip", "mAP", against="mAP"),),
            versus="the query as it is",
        ),
        Statement(
            "all",
            "All three together help",
            f"{SINGLA}: mAP 0.908 without, 0.975 with",
            "the ladder from its lowest rung to its highest",
            treatment="mean-margin",
            control="rows",
            measures=(Measure("mAP/flip", "mAP", against="mAP"),),
        ),
    )


def _ours() -> tuple[Statement, ...]:
    return (
        Statement(
            "both",
            "Rows and columns side by side are better than their average",
            "ours: the natural alternative",
            "a row and the column of the same index have one patch in common at most",
            treatment="both",
            control="mean",
            measures=(MAP,),
        ),
        Statement(
            "margin-tuned",
            "With scale, margin, rate and dropout chosen on validation people, AM-Softmax and "
            "triplets are better than cross-entropy",
            "ours: the report names none of these numbers",
            "scale 16 and margin 0.1, twice the rate, no dropout; both arms average rows and "
            "columns",
            treatment="mean-tuned",
            control="mean",
            measures=(MAP,),
        ),
        Statement(
            "rows-tuned",
            "So chosen, they are better than cross-entropy on rows alone, too",
            "ours: the ladder without its first rung",
            "as above; both arms have rows only",
            treatment="rows-tuned",
            control="rows",
            measures=(MAP,),
        ),
        Statement(
            "triplet",
            "Of that step, the triplets alone help",
            "ours",
            "cross-entropy in both arms",
            treatment="mean-triplet",
            control="mean",
            measures=(MAP,),
        ),
        Statement(
            "flip-both",
            "Averaging the gallery with its mirrors, too, is better than queries alone",
            NI,
            "same network; both sides are described alike",
            treatment="mean-margin",
            control="mean-margin",
            measures=(Measure("mAP/flip-both", "mAP", against="mAP/flip"),),
            versus="queries alone",
        ),
        Statement(
            "fused",
            "The class token helps the ranking, where it was mixed in for training",
            SHARMA,
            "same network; the released test leaves it out",
            treatment="rows",
            control="rows",
            measures=(Measure("mAP/fused", "mAP", against="mAP"),),
            versus="parts alone",
        ),
        Statement(
            "start",
            "Starting from people of another world is better than from random weights",
            f"{SHARMA}: the published network starts from ImageNet",
            "as many steps on the same people; the rate suits each start",
            treatment="rows",
            control="rows-scratch",
            measures=(MAP,),
        ),
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it, with and without mirrors."""
    return measure(train_people(arm, splits, seed), splits)


def measure(model: nn.Module, splits: Splits) -> dict[str, float]:
    """`mAP`, `rank1`, with `/flip`, `/flip-both` and `/fused`, and both figures of the lists."""
    query, gallery = both_sides(model, splits)
    mirrored = embed(model, splits.query, flip=True)
    found = retrieval(query, gallery) | of_lists(query, gallery)
    found["mAP/flip"] = retrieval(mirrored, gallery)["mAP"]
    found["mAP/flip-both"] = retrieval(mirrored, embed(model, splits.gallery, flip=True))["mAP"]
    found["mAP/fused"] = retrieval(*both_sides(with_token(model), splits))["mAP"]
    return found


def of_lists(query: Embeddings, gallery: Embeddings) -> dict[str, float]:
    """`mAP/ten` and `rank1/ten` as the released test counts: lists of ten, nothing removed."""
    places = min(PLACES, len(gallery))
    scores = evaluate(query, gallery, protocol="top-k", k=places, relevant="found")
    return {"mAP/ten": scores.mean_ap, "rank1/ten": scores.rank(1)}


def with_token(model: nn.Module) -> LATransformer:
    """The same network and weights, ranked by parts that the class token is mixed into."""
    if not isinstance(model, LATransformer):
        raise ValueError(f"expected an LA-Transformer, got {type(model).__name__}")
    twin = copy.copy(model)
    twin.descriptor = "fused"
    return twin
