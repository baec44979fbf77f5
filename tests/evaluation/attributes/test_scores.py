"""Scores of attribute predictions against scikit-learn, loops and hand-worked numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from reidlab.data.attributes import AttributeTable
from reidlab.data.heads import HEADS, counts, labels_of
from reidlab.data.samples import Sample
from reidlab.data.targets import targets_of
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation import evaluate_attributes
from reidlab.evaluation.attributes import majority_classes, true_classes

FIRST = {head: [1] + [0] * (len(names) - 1) for head, names in HEADS.items()}  # training counts


def predicted(answers, pids=None, **options):
    """Predictions with these answers: head -> (N,) class indices."""
    logits = {
        head: torch.nn.functional.one_hot(torch.as_tensor(row), len(HEADS[head])).float()
        for head, row in answers.items()
    }
    count = len(next(iter(logits.values())))
    pids = torch.arange(1, count + 1) if pids is None else torch.as_tensor(pids)
    return AttributePredictions(logits, pids, torch.ones(count, dtype=torch.int64), **options)


@st.composite
def answers_and_truth(draw, heads=tuple(HEADS), most=25):
    """Random answers and truths of a few images; often of few classes, so that some are absent."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    found = []
    for _ in range(2):
        sizes = {head: int(rng.integers(1, len(HEADS[head]) + 1)) for head in heads}
        found.append({head: torch.tensor(rng.integers(0, sizes[head], count)) for head in heads})
    return found


@settings(max_examples=40, deadline=None)
@given(answers_and_truth())
def test_every_head_agrees_with_scikit_learn(drawn):
    answers, truth = drawn
    scores = evaluate_attributes(predicted(answers), truth, train=FIRST)
    for head, one in scores.heads.items():
        y, p, labels = truth[head].numpy(), answers[head].numpy(), range(len(HEADS[head]))
        assert one.accuracy == pytest.approx(metrics.accuracy_score(y, p))
        expected = [np.mean(p[y == c] == c) for c in np.unique(y)]
        assert one.balanced_accuracy == pytest.approx(np.mean(expected))
        if len(set(y)) > 1 and set(p) <= set(y):  # otherwise scikit-learn warns
            assert one.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y, p))
        np.testing.assert_array_equal(one.confusion, metrics.confusion_matrix(y, p, labels=labels))
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            y, p, labels=labels, zero_division=np.nan
        )
        np.testing.assert_allclose(one.precision, precision)
        np.testing.assert_allclose(one.recall, recall)
        np.testing.assert_allclose(one.f1, f1)
        np.testing.assert_array_equal(one.support, support)
        constant = np.zeros_like(y)  # FIRST is nothing but class 0
        assert one.majority_accuracy == pytest.approx(metrics.accuracy_score(y, constant))
        by_class = [np.mean(constant[y == c] == c) for c in np.unique(y)]
        assert one.majority_balanced_accuracy == pytest.approx(np.mean(by_class))


def binary(classes, heads):
    """The binary labels that heads stand for, (N, L): one for two classes, else one per class."""
    columns = []
    for head in heads:
        row = classes[head].numpy()
        columns += [row == c for c in ([1] if len(HEADS[head]) == 2 else range(len(HEADS[head])))]
    return np.stack(columns, axis=1).astype(int)


@settings(max_examples=40, deadline=None)
@given(answers_and_truth())
def test_labels_and_images_agree_with_scikit_learn(drawn):
    answers, truth = drawn
    scores = evaluate_attributes(predicted(answers), truth, train=FIRST)
    y, p = binary(truth, HEADS), binary(answers, HEADS)
    both = [j for j in range(y.shape[1]) if 0 < y[:, j].sum() < len(y)]
    expected = [metrics.balanced_accuracy_score(y[:, j], p[:, j]) for j in both]
    assert list(scores.label_accuracies.values()) == pytest.approx(expected)
    if both:
        assert scores.label_mean == pytest.approx(np.mean(expected))
    else:
        assert math.isnan(scores.label_mean)
    options = {"average": "samples", "zero_division": 0}
    found = scores.instance
    assert found.accuracy == pytest.approx(metrics.jaccard_score(y, p, **options))
    assert found.precision == pytest.approx(metrics.precision_score(y, p, **options))
    assert found.recall == pytest.approx(metrics.recall_score(y, p, **options))
    total = found.precision + found.recall
    assert found.f1 == pytest.approx(2 * found.precision * found.recall / total if total else 0)
    assert found.images == len(y)


@settings(max_examples=30, deadline=None)
@given(answers_and_truth(heads=("hat", "bag", "gender"), most=8))
def test_images_without_positive_labels_are_left_out(drawn):
    answers, truth = drawn
    found = evaluate_attributes(predicted(answers), truth, train=FIRST).instance
    ratios = []
    for y, p in zip(binary(truth, truth), binary(answers, truth), strict=True):
        wanted, given_ = set(np.flatnonzero(y)), set(np.flatnonzero(p))
        if wanted:
            shared = len(wanted & given_)
            precision = shared / len(given_) if given_ else 0
            ratios.append((shared / len(wanted | given_), precision, shared / len(wanted)))
    assert found.images == len(ratios)
    expected = np.mean(ratios, axis=0) if ratios else [np.nan] * 3
    np.testing.assert_allclose([found.accuracy, found.precision, found.recall], expected)


def test_means_are_plain_means_over_the_heads():
    truth = {"hat": torch.tensor([0, 0, 0, 1]), "age": torch.tensor([1, 1, 2, 0])}
    answers = {"hat": torch.tensor([0, 0, 0, 0]), "age": torch.tensor([1, 1, 1, 0])}
    train = {"hat": [9, 1], "age": [0, 3, 3, 1]}
    scores = evaluate_attributes(predicted(answers, [5, 5, 7, 7]), truth, train=train)
    assert (scores.images, scores.people) == (4, 2)
    hat, age = scores.heads["hat"], scores.heads["age"]
    assert (hat.accuracy, hat.balanced_accuracy) == (0.75, 0.5)
    assert (age.accuracy, age.balanced_accuracy) == (0.75, pytest.approx(2 / 3))
    assert (hat.majority_name, age.majority_name) == ("no", "teenager")  # the first of equals
    assert scores.mean_accuracy == 0.75
    assert scores.mean_balanced_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores.mean_majority_accuracy == pytest.approx((0.75 + 0.5) / 2)
    assert scores.mean_majority_balanced_accuracy == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert hat.people.tolist() == [2, 1] and age.people.tolist() == [1, 1, 1, 0]
    assert (hat.names[hat.rarest], age.names[age.rarest]) == ("yes", "young")


def test_a_majority_that_does_not_occur_is_worth_nothing():
    truth = {"age": torch.tensor([1, 2])}
    scores = evaluate_attributes(predicted(truth), truth, train={"age": [0, 0, 0, 4]})
    assert scores.mean_majority_accuracy == 0
    assert scores.mean_majority_balanced_accuracy == 0


@settings(max_examples=20, deadline=None)
@given(answers_and_truth())
def test_guessing_has_the_scores_of_its_answers(drawn):
    answers, truth = drawn
    guesses = {head: torch.zeros_like(row) for head, row in truth.items()}  # FIRST: class 0
    scores = evaluate_attributes(predicted(answers), truth, train=FIRST)
    expected = evaluate_attributes(predicted(guesses), truth, train=FIRST)
    assert scores.majority_instance == expected.instance
    np.testing.assert_allclose(scores.majority_label_mean, expected.label_mean)


def test_scores_print_a_row_per_head_and_say_who_is_missing():
    truth = {"hat": torch.tensor([0, 0, 0, 1]), "age": torch.tensor([1, 1, 2, 0])}
    answers = {"hat": torch.tensor([0, 0, 0, 0]), "age": torch.tensor([1, 1, 1, 0])}
    scores = evaluate_attributes(
        predicted(answers, [5, 5, 7, 7], source="made up"), truth, train=FIRST
    )
    lines = str(scores).splitlines()
    assert lines[0].split("  ")[0] == "attribute"
    cells = [line.split() for line in lines[1:4]]
    assert cells[0] == ["hat", "75.0%", "75.0%", "50.0%", "50.0%", "yes", "0.0%", "1", "1"]
    assert cells[1] == ["age", "75.0%", "25.0%", "66.7%", "33.3%", "young", "100.0%", "1", "1"]
    assert cells[2] == ["mean", "75.0%", "50.0%", "58.3%", "41.7%"]
    assert lines[4].startswith("4 images of 2 people, made up; majority: always the class")
    assert lines[4].endswith("nobody has age old")
    # hat: TPR 0, TNR 1; young: both 1; teenager: TPR 1, TNR 1/2; adult: TPR 0, TNR 1
    assert lines[5] == "mA 68.8% (50.0%) over 4 binary labels; in brackets: the majority's"
    assert lines[6].startswith("by image: accuracy 62.5% (12.5%), precision 75.0% (")
    assert "accuracy 75.0% (majority 50.0%)" in repr(scores) and "\n" not in repr(scores)


def test_scores_are_plain_json():
    truth = {"hat": torch.tensor([0, 0])}
    scores = evaluate_attributes(predicted(truth), truth, train=FIRST)
    found = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert found["mean_accuracy"] == 1 and found["label_mean"] is None
    assert found["majority_instance"]["f1"] is found["majority_label_mean"] is None
    assert found["instance"]["images"] == 0 and found["instance"]["f1"] is None
    yes = {"images": 0, "people": 0, "precision": None, "recall": None, "f1": None}
    assert found["heads"]["hat"]["classes"]["yes"] == yes
    assert found["heads"]["hat"]["confusion"] == [[2, 0], [0, 0]]


def wearing(tmp_path, pid, **worn):
    labels = labels_of(dict.fromkeys(HEADS, 0) | worn)
    return Sample(tmp_path / f"{pid}.jpg", pid, 1, attributes=labels)


def test_targets_may_be_the_samples(tmp_path):
    samples = [wearing(tmp_path, 3, hat=1), wearing(tmp_path, 4, age=2)]
    predictions = predicted({head: torch.tensor([0, 1]) for head in HEADS}, [3, 4])
    from_samples = evaluate_attributes(predictions, samples, train=samples)
    from_targets = evaluate_attributes(predictions, targets_of(samples), train=samples)
    assert from_samples.as_dict() == from_targets.as_dict()
    assert from_samples.heads["hat"].confusion.tolist() == [[0, 1], [1, 0]]
    only = evaluate_attributes(predicted({"hat": torch.tensor([1])}, [3]), samples[:1], train=FIRST)
    assert list(only.heads) == ["hat"] and only.mean_accuracy == 1


def test_samples_of_other_people_are_refused(tmp_path):
    predictions = predicted({"hat": torch.tensor([0, 1])}, [3, 4])
    own = [wearing(tmp_path, 3), wearing(tmp_path, 4)]
    with pytest.raises(ValueError, match=r"row 0: predicted for person 3, but .*4\.jpg shows 4"):
        true_classes(predictions, own[::-1])
    with pytest.raises(ValueError, match="expected the 2 samples that were predicted, got 1"):
        true_classes(predictions, own[:1])
    bare = [own[0], Sample(tmp_path / "4.jpg", 4, 1)]
    with pytest.raises(ValueError, match=r"4\.jpg: nobody says which attributes person 4 has"):
        true_classes(predictions, bare)
    with pytest.raises(ValueError, match=r"4\.jpg: nobody says which attributes person 4 has"):
        majority_classes(bare)


@pytest.mark.parametrize("pid", [0, -1])
def test_distractors_and_junk_are_refused(pid, tmp_path):
    path = tmp_path / "b.jpg"
    answers = {"hat": torch.tensor([0, 1])}
    with pytest.raises(ValueError, match=rf"row 1 shows nobody who is labelled .person id {pid}"):
        true_classes(predicted(answers, [1, pid]), answers)
    named = predicted(answers, [1, pid], paths=(path, path))
    with pytest.raises(ValueError, match=r"b\.jpg shows nobody"):
        true_classes(named, answers)
    kept = named[named.pids > 0]
    assert true_classes(kept, {"hat": answers["hat"][:1]})["hat"].tolist() == [0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 2], "hat: row 1 is of class 2, expected 0 to 1 .no, yes."),
        ([-1, 0], "hat: row 0 is of class -1"),
        ([0, 1, 1], r"each of 2 images, got int64 of shape \(3,\)"),
        ([0.0, 1.0], "whole number for each of 2 images, got float32"),
    ],
)
def test_targets_that_are_no_classes_are_refused(values, message):
    predictions = predicted({"hat": torch.tensor([0, 1])})
    with pytest.raises(ValueError, match=message):
        true_classes(predictions, {"hat": torch.tensor(values)})


@pytest.mark.parametrize("train", [None, 5, [1, 2], {1: 5}, [None], "hat"])
def test_what_tells_no_majority_is_refused(train):
    with pytest.raises(ValueError, match=r"train: expected counts\(...\), an AttributeTable"):
        majority_classes(train)


@pytest.mark.parametrize("targets", [None, 5, [1, 2], torch.tensor([0, 1]), "no"])
def test_targets_of_another_kind_are_refused(targets):
    with pytest.raises(ValueError, match="targets: expected head -> class indices, .*got "):
        true_classes(predicted({"hat": torch.tensor([0, 1])}), targets)


def test_missing_targets_and_images_are_refused():
    predictions = predicted({"hat": torch.tensor([0, 1])})
    with pytest.raises(ValueError, match="expected targets of hat, got those of bag"):
        true_classes(predictions, {"bag": torch.tensor([0, 1])})
    with pytest.raises(ValueError, match="one image or more, got none"):
        true_classes(predictions[:0], {"hat": torch.tensor([], dtype=torch.int64)})


def test_the_majority_comes_from_whatever_tells_it(tmp_path):
    samples = [wearing(tmp_path, 1, hat=1, age=3), wearing(tmp_path, 1, hat=1, age=3)]
    samples.append(wearing(tmp_path, 2, up_color=8))
    expected = {**dict.fromkeys(HEADS, 0), "hat": 1, "age": 3}
    labels = [sample.attributes for sample in samples]
    for train in (samples, labels, iter(labels), counts(labels)):
        assert majority_classes(train) == expected
    assert majority_classes(AttributeTable({7: labels[2]}))["up_color"] == 8
    assert majority_classes({7: labels[2]}, ["up_color"]) == {"up_color": 8}
    assert majority_classes({"hat": np.array([1, 2])}, ["hat"]) == {"hat": 1}


@pytest.mark.parametrize(
    "numbers", [[0, 0], [1, 2, 3], [1, -1], [0.5, 0.5], torch.tensor([1, 2]), 5]
)
def test_counts_that_say_nothing_are_refused(numbers):
    with pytest.raises(ValueError, match="hat: expected how many of the training people are no, y"):
        majority_classes({"hat": numbers}, ["hat"])
    with pytest.raises(ValueError, match="hat: .*got none"):
        majority_classes({"bag": [1, 2]}, ["hat"])
