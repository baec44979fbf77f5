"""The experiments "sides-mild" and "sides-vivid": telling a transformer the camera (SIE).

The people of the default set, seen by cameras that differ little, or as much as they can. What lies
between, the default set itself, is part of the experiment "transreid".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import (
    MAP,
    both_sides,
    named,
    retrieval,
    start_people,
    train_start,
)
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.embedding import Embeddings
from reidlab.evaluation.cameras import center_cameras, expected_share, same_camera_share
from reidlab.models.transreid import TransReID
from reidlab.recipes import Recipe, recipe

HE = "He et al. 2021, TransReID (arXiv:2102.04378)"
STYLES = {"mild": "cameras that differ little", "vivid": "cameras that differ much"}
CENTRED, SHARE = "mAP/centred", "strangers"
TOLD = "a row per camera is added to all tokens of an image, times 3"
KNOCKED = {"none": "no row added", "wrong": "the row of another camera"}


def sides_experiment(style: str, reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment on the synthetic set whose cameras differ as `style` says.

    Args:
        style: "mild" or "vivid".
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    experiment = Experiment(
        name=f"sides-{style}",
        title=f"side information (SIE), {STYLES[style]}",
        arms=side_arms(recipe("transreid", "desk") if reference is None else reference),
        statements=(*helps(STYLES[style]), *side_statements(STYLES[style])),
        measure=run_arm,
        dataset="synthetic",
        options={"variant": style},
    )
    return replace(experiment, **changes)


def side_arms(own: Recipe) -> dict[str, Recipe]:
    """A plain network with and without a row per camera; neither has local branches."""
    plain = {**own.arguments, "parts": 0}
    return {
        "plain": replace(own, arguments=plain, counts=()),
        "sie": replace(own, arguments=plain),
    }


def helps(cameras: str) -> tuple[Statement, ...]:
    """The claim itself."""
    return (
        Statement(
            "sie",
            f"Side information (SIE) helps, {cameras}",
            f"{HE}: MSMT17 mAP 61.0 without, 62.4 with",
            TOLD,
            treatment="sie",
            control="plain",
            measures=(MAP,),
        ),
    )


def side_statements(cameras: str) -> tuple[Statement, ...]:
    """The rival of side information, and its mechanism, between the arms "plain" and "sie"."""
    return (
        Statement(
            "rival",
            "Subtracting each camera's mean feature, without training, helps a network that was "
            f"told nothing, {cameras}",
            "ours: the honest rival",
            "it needs many images of every camera at once, but no labels",
            treatment="plain",
            control="plain",
            measures=(Measure(CENTRED, "mAP", against="mAP"),),
            versus="features as they are",
        ),
        Statement(
            "over-rival",
            f"Telling the network the camera is better than subtracting means, {cameras}",
            "ours",
            f"{TOLD}; the rival needs no training",
            treatment="sie",
            control="plain",
            measures=(Measure("mAP", "mAP", against=CENTRED),),
        ),
        Statement(
            "rival-after",
            f"Subtracting means still helps a network that was told the camera, {cameras}",
            "ours",
            "if the table had removed what is the camera's, nothing would be left to subtract",
            treatment="sie",
            control="sie",
            measures=(Measure(CENTRED, "mAP", against="mAP"),),
            versus="features as they are",
        ),
        Statement(
            "bias",
            "Told the camera, fewer queries have a stranger of their own camera nearest, "
            f"{cameras}",
            f"{HE}: the table is to remove the camera's bias",
            f"{TOLD}. Counted as the share of other nearest strangers, so that more is better",
            treatment="sie",
            control="plain",
            measures=(Measure("others", "other cameras"),),
        ),
        Statement(
            "training",
            f"Learning to tell people apart across cameras lowers that share by itself, {cameras}",
            "ours",
            "the same network before and after fine-tuning, told nothing",
            treatment="plain",
            control="plain",
            measures=(Measure("others", "other cameras", against="others/before"),),
            versus="before fine-tuning",
        ),
        *(
            Statement(
                f"used-{name}",
                f"A network that was told the camera does worse with {words}, {cameras}",
                "ours: the table is used, which is not yet a benefit",
                "same network and images; only what is added to the tokens differs",
                treatment="sie",
                control="sie",
                measures=(Measure("mAP", "mAP", against=f"mAP/{name}"),),
                versus=words,
            )
            for name, words in KNOCKED.items()
        ),
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Fine-tune one arm and rank the test people with it; no mirrors."""
    model = start_people(arm, splits, seed)
    found = before_training(model, splits)
    model = train_start(model, arm, splits, seed)
    return found | about_cameras(*both_sides(model, splits)) | knocked_out(model, splits)


def before_training(model: nn.Module, splits: Splits) -> dict[str, float]:
    """`mAP/before` and the like of a network that is told nothing; else nothing."""
    told = isinstance(model, TransReID) and model.sides is not None
    return {} if told else named(about_cameras(*both_sides(model, splits)), "before")


def about_cameras(query: Embeddings, gallery: Embeddings) -> dict[str, float]:
    """`mAP`, `rank1`, `mAP/centred`, and the shares of nearest strangers by camera."""
    found = retrieval(query, gallery)
    found[CENTRED] = retrieval(*center_cameras(query, gallery))["mAP"]
    found[SHARE] = same_camera_share(query, gallery)
    found["others"] = 1 - found[SHARE]
    found["expected"] = expected_share(query, gallery)
    return found


def knocked_out(model: nn.Module, splits: Splits) -> dict[str, float]:
    """The mAP with rows that are zero, or those of the next camera; empty without a table."""
    table = model.trunk.side_embed if isinstance(model, TransReID) else None
    if not isinstance(table, nn.Parameter):
        return {}
    kept, found = table.detach().clone(), {}
    others = {"none": torch.zeros_like(kept), "wrong": kept.roll(1, dims=0)}
    for name, rows in others.items():
        table.data.copy_(rows)
        found[f"mAP/{name}"] = retrieval(*both_sides(model, splits))["mAP"]
    table.data.copy_(kept)
    return found
