"""Attribute predictions against the truth, and beside them what guessing would have reached.

Shapes: N images, n classes of a head.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attributes.instance import InstanceScores
from reidlab.evaluation.attributes.record import AttributeScores, HeadScores, Integers
from reidlab.evaluation.attributes.truth import Targets, Training, majority_classes, true_classes


def evaluate_attributes(
    predictions: AttributePredictions, targets: Targets, *, train: Training
) -> AttributeScores:
    """Accuracy, balanced accuracy and confusions of every head, beside those of guessing.

    The label-based mean accuracy (mA) and the scores per image are about binary labels: a head of
    two classes is one label, whose second class is the positive one; of other heads each class is a
    label. A label without positive or without negative images is left out of the mA. An image
    without any positive label is left out of the scores per image (with all twelve heads there is
    none: everybody has an age); where none is predicted, precision is 0.

    Args:
        predictions: of N images of labelled people; distractors and junk left out.
        targets: head -> (N,) class indices, or the N samples with attributes, in the same order.
        train: what decides the guesser's answers: counts, labels or samples of the training side.

    Raises:
        ValueError: see `true_classes` and `majority_classes`.

    Source: Li et al. 2016, "A Richly Annotated Dataset for Pedestrian Attribute Recognition"
    (arXiv:1603.07054), for mA and the scores per image; empty sets as in the evaluations published
    around it. Differs from it in: labels come from heads, of which one class is always answered.
    """
    truth = true_classes(predictions, targets)
    majority = majority_classes(train, predictions.heads)
    answers = {head: found.cpu().numpy() for head, found in predictions.answers.items()}
    people, person = np.unique(predictions.pids.cpu().numpy(), return_inverse=True)
    scores = {
        head: HeadScores(
            head,
            _confusion(truth[head], answers[head], len(HEADS[head])),
            _people(truth[head], person, len(HEADS[head])),
            majority[head],
        )
        for head in predictions.heads
    }
    guesses = {head: np.full_like(truth[head], majority[head]) for head in truth}
    return AttributeScores(
        scores,
        _instance_scores(truth, answers),
        _instance_scores(truth, guesses),
        len(predictions),
        len(people),
        predictions.source,
    )


def _confusion(truth: Integers, answers: Integers, size: int) -> Integers:
    """(n, n) images by their class (rows) and their answer (columns)."""
    return np.bincount(truth * size + answers, minlength=size * size).reshape(size, size)


def _people(truth: Integers, person: Integers, size: int) -> Integers:
    """(n,) people with an image of each class."""
    pairs = np.unique(person * size + truth)  # each person and class once
    return np.bincount(pairs % size, minlength=size)


def _instance_scores(
    truth: Mapping[str, Integers], answers: Mapping[str, Integers]
) -> InstanceScores:
    """Means over images of shared, true and predicted positive labels."""
    true, predicted, shared = np.zeros((3, len(next(iter(truth.values())))))
    for head, right in truth.items():
        given = answers[head]
        if len(HEADS[head]) == 2:
            true += right == 1
            predicted += given == 1
            shared += (right == 1) & (given == 1)
        else:  # one of the labels of this head is true, and one is predicted
            true += 1
            predicted += 1
            shared += right == given
    some = true > 0
    if not some.any():
        return InstanceScores(np.nan, np.nan, np.nan, 0)
    true, predicted, shared = true[some], predicted[some], shared[some]
    return InstanceScores(
        float(np.mean(shared / (true + predicted - shared))),
        float(np.mean(shared / np.maximum(predicted, 1))),
        float(np.mean(shared / true)),
        int(some.sum()),
    )
