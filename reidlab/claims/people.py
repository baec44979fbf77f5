"""What arms that learn people share: training on the training people, ranking the test people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from reidlab.claims.effects import Measure
from reidlab.data.samples import Splits, training_ids
from reidlab.embedding import Embeddings, embed
from reidlab.evaluation import evaluate
from reidlab.recipes import Recipe
from reidlab.training import fit

MAP = Measure("mAP", "mAP")
RANK1 = Measure("rank1", "rank-1")
CUT = 80  # places of a list that a course report counts


def train_people(arm: Recipe, splits: Splits, seed: int) -> nn.Module:
    """The network of an arm, trained on the training people."""
    return train_start(start_people(arm, splits, seed), arm, splits, seed)


def start_people(arm: Recipe, splits: Splits, seed: int) -> nn.Module:
    """The network of an arm before its training."""
    people = len(training_ids(splits.train))
    return arm.build(people, seed=seed, **arm.counted(splits))


def train_start(model: nn.Module, arm: Recipe, splits: Splits, seed: int) -> nn.Module:
    """`model` itself, trained on the training people."""
    loss = arm.bound_loss(model, samples=splits.train, seed=seed)
    fit(model, splits.train, loss, replace(arm.train, seed=seed))
    return model


def both_sides(model: nn.Module, splits: Splits, **settings: Any) -> tuple[Embeddings, Embeddings]:
    """Embeddings of the test people, query and gallery; `settings` are those of `embed`."""
    return embed(model, splits.query, **settings), embed(model, splits.gallery, **settings)


def retrieval(query: Embeddings, gallery: Embeddings, distance: Any = None) -> dict[str, float]:
    """`mAP` and `rank1` of ranking the gallery under the Market protocol, in [0, 1]."""
    scores = evaluate(query, gallery, distance=distance)
    return {"mAP": scores.mean_ap, "rank1": scores.rank(1)}


def cut_map(query: Embeddings, gallery: Embeddings) -> float:
    """The mAP of the first 80 places, no image removed, divided by all images of the person."""
    places = min(CUT, len(gallery))
    return evaluate(query, gallery, protocol="top-k", k=places, relevant="all").mean_ap


def named(found: Mapping[str, float], suffix: str) -> dict[str, float]:
    """`{"mAP": x}` as `{"mAP/suffix": x}`."""
    return {f"{name}/{suffix}": value for name, value in found.items()}
