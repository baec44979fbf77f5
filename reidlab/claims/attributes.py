"""Twelve heads on one trunk: do class weights, separate heads and Adam do what is said of them?

Every arm differs from the reference, the desk recipe of `attributes`, in one thing.

Learning rates were chosen on the 200 validation people of the variant "wide", seed 0, five epochs,
by mean balanced accuracy: Adam 0.735, 0.759, 0.764 at 0.001, 0.002, 0.003; SGD with momentum 0.9
0.678, 0.730, 0.736 at 0.01, 0.03, 0.1. Three seeds were run first, then two more for all arms.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.record import Statement
from reidlab.data.heads import HEADS, counts
from reidlab.data.samples import Splits
from reidlab.data.targets import labelled, people_of
from reidlab.data.variants import with_variant
from reidlab.embedding import predict_attributes
from reidlab.evaluation.attributes import AttributeScores, evaluate_attributes
from reidlab.evaluation.attributes.validation import attribute_validation
from reidlab.recipes import Recipe, recipe
from reidlab.training import History, TrainConfig, fit
from reidlab.training.stopping import best_epoch

RARE = 0.1  # share of the training people below which a class is rare
SGD_LR = 0.1  # best of 0.01, 0.03, 0.1 on validation people, with momentum 0.9
TITLES = {"up_color": "upper colour", "down_color": "lower colour"}  # of heads named otherwise
REPORT = "Barattin and Da Rold, University of Trento, Deep Learning assignment report, section 3"

ACCURACY = Measure("accuracy/mean", "mean accuracy")
BALANCED = Measure("balanced/mean", "mean balanced accuracy")
RARE_RECALL = Measure("rare/recall", "mean recall of rare classes")


def attributes_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "attributes" on the synthetic set of many people with few images each.

    Args:
        reference: the recipe that all arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("attributes", "desk") if reference is None else reference
    arms = {
        "reference": own,
        "unweighted": replace(own, prepare=None),
        "one-head": replace(own, arguments={**own.arguments, "joint": True}),
        "sgd": replace(own, train=replace(own.train, optimizer="sgd", lr=SGD_LR)),
    }
    experiment = Experiment(
        name="attributes",
        title="twelve attribute heads on one trunk",
        arms=arms,
        statements=statements(own.train),
        measure=run_arm,
        dataset="synthetic",
        options=with_variant({"variant": "wide"}),
        seeds=(0, 1, 2, 3, 4),  # three leave two degrees of freedom: too few for twelve heads
    )
    return replace(experiment, **changes)


def statements(train: TrainConfig) -> tuple[Statement, ...]:
    """What a course report says about its network, for arms around a reference trained so."""
    adam = f"{train.optimizer} with learning rate {train.lr:g}"
    return (
        Statement(
            "class-weights",
            "Weighting classes by their rarity makes the network recognise rare classes",
            REPORT,
            "an image of a class that is n times rarer than the most frequent one counts n times, "
            "so always answering the frequent class no longer pays; frequent classes pay for that",
            treatment="reference",
            control="unweighted",
            measures=(RARE_RECALL, BALANCED),
        ),
        Statement(
            "twelve-heads",
            "Twelve heads perform better than a single one",
            REPORT,
            "linear layers side by side are one linear layer; with the same logits and loss the "
            "two differ only in dropout, which hides other features from each head, or the same "
            "from all. The report's single head had 30 outputs: its attributes were coded "
            "otherwise, too",
            treatment="reference",
            control="one-head",
            measures=(ACCURACY, BALANCED),
        ),
        Statement(
            "adam",
            "Adam easily outperforms SGD",
            REPORT,
            "Adam scales the step of every weight by its own gradients, SGD takes one rate for "
            f"all. Here {adam} against SGD with momentum {train.momentum:g} and rate {SGD_LR:g}, "
            "each the best of three rates on validation people",
            treatment="reference",
            control="sgd",
            measures=(ACCURACY, BALANCED),
        ),
        Statement(
            "majority",
            "Every attribute is recognised better than without looking, by balanced accuracy",
            f"{REPORT}, which gives accuracies above 60 % without this baseline",
            "the mean recall of the classes; whoever always gives one answer recalls one class "
            "wholly and the others never",
            treatment="reference",
            control="reference",
            measures=heads("balanced", against="guess"),
            versus="guessing",
        ),
        Statement(
            "majority-accuracy",
            "Every attribute is also answered right more often than by its most frequent class",
            f"{REPORT}, which gives accuracies above 60 % without this baseline",
            "plain accuracy rewards ignoring rare classes, and class weights forbid just that: "
            "where a class is rare, wrong alarms outnumber what is found",
            treatment="reference",
            control="reference",
            measures=heads("accuracy", against="majority"),
            versus="guessing",
        ),
    )


def heads(kind: str, against: str) -> tuple[Measure, ...]:
    """The same measure of every head, each compared with another measure of the same run."""
    return tuple(
        Measure(f"{kind}/{head}", TITLES.get(head, head), against=f"{against}/{head}")
        for head in HEADS
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and measure it on the test people."""
    model, history = train_arm(arm, splits, seed)
    return measure(model, splits) | lengths(history, arm.train)


def train_arm(arm: Recipe, splits: Splits, seed: int) -> tuple[nn.Module, History]:
    """The network of an arm, trained on the training people, and its log.

    After each epoch the loss of the arm is measured on the validation people, which decides when to
    stop and which epoch is kept.
    """
    samples, (query, gallery) = labelled(splits.train), splits.validation
    model = arm.build(seed=seed)
    loss: Any = arm.bound_loss(model, samples=samples, seed=seed)
    watch = attribute_validation(query + gallery, **loss.keywords)
    return model, fit(model, samples, loss, replace(arm.train, seed=seed), on_epoch=watch)


def lengths(history: History, config: TrainConfig) -> dict[str, float]:
    """Epochs run, and with a `patience` the one whose weights were kept."""
    found = {"epochs": float(len(history))}
    if config.patience is not None:
        found["best_epoch"] = float(best_epoch(history.rows, config))
    return found


def measure(model: nn.Module, splits: Splits) -> dict[str, float]:
    """What a network knows about the test people, beside the answers of no network at all.

    `accuracy/HEAD`, `balanced/HEAD` (mean recall of the classes that occur), `majority/HEAD`
    (accuracy of the most frequent class of training), `guess/HEAD` (its balanced accuracy) and
    `margin/HEAD` (accuracy minus majority);
    of each also the plain mean over heads, as `accuracy/mean`. `rare/recall` and `rare/classes`
    are explained at `rare_recall`. Shares are in [0, 1].

    Args:
        model: has attribute heads.
        splits: with attributes; query and gallery are asked, without distractors and junk.

    Raises:
        ValueError: somebody in training, query or gallery has no attributes.
    """
    training = counts(people_of(labelled(splits.train)))
    asked = labelled(splits.query + splits.gallery)
    scores = evaluate_attributes(predict_attributes(model, asked), asked, train=training)
    return measures_of(scores, training)


def measures_of(scores: AttributeScores, training: dict[str, list[int]]) -> dict[str, float]:
    """The measures of `measure`, from scores and head -> people of each class in training."""
    kinds = {
        "accuracy": {name: head.accuracy for name, head in scores.heads.items()},
        "balanced": {name: head.balanced_accuracy for name, head in scores.heads.items()},
        "majority": {name: head.majority_accuracy for name, head in scores.heads.items()},
        "guess": {name: h.majority_balanced_accuracy for name, h in scores.heads.items()},
    }
    pairs = zip(kinds["accuracy"].items(), kinds["majority"].values(), strict=True)
    kinds["margin"] = {name: accuracy - guess for (name, accuracy), guess in pairs}
    found = {
        f"{kind}/{name}": value
        for kind, values in kinds.items()
        for name, value in {**values, "mean": float(np.mean(list(values.values())))}.items()
    }
    return found | rare_recall(scores, training)


def rare_recall(scores: AttributeScores, training: dict[str, list[int]]) -> dict[str, float]:
    """`rare/recall` and `rare/classes`: plain mean recall of rare classes, and their number.

    A class of a head is rare when at least one training person has it, but fewer than 10 % do.
    Only classes that a test person has are counted; without any there is no `rare/recall`.
    """
    recalls = [
        float(head.recall[i])
        for name, head in scores.heads.items()
        for i, number in enumerate(training[name])
        if 0 < number < RARE * sum(training[name]) and head.support[i]
    ]
    mean = {"rare/recall": float(np.mean(recalls))} if recalls else {}
    return mean | {"rare/classes": float(len(recalls))}
