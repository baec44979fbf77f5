"""Margins over guessing: what is counted, how surely, and how often the intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reidlab.calibration import attribute_margins
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation import evaluate_attributes

TRAIN = {head: [9] + [1] * (len(names) - 1) for head, names in HEADS.items()}


def predicted(answers, pids):
    logits = {
        head: torch.nn.functional.one_hot(torch.as_tensor(row), len(HEADS[head])).float()
        for head, row in answers.items()
    }
    return AttributePredictions(logits, torch.as_tensor(pids), torch.ones(len(pids)).long())


def answered(seed, recalls, shares, people=40, images=6, spread=1.0):
    """People of classes by `shares`; each is recognised in a share of images of their own.

    head -> recall per class, head -> share per class; wrong answers are any other class.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), images)
    answers, truth = {}, {}
    for head, recall in recalls.items():
        size = len(recall)
        own = rng.choice(size, people, p=shares[head])
        mean = np.clip(np.asarray(recall)[own], 1e-3, 1 - 1e-3)
        chance = rng.beta(mean * spread, (1 - mean) * spread)
        right = rng.random(len(person)) < chance[person]
        wrong = (own[person] + rng.integers(1, size, len(person))) % size
        answers[head] = torch.tensor(np.where(right, own[person], wrong))
        truth[head] = torch.tensor(own[person])
    return predicted(answers, person + 1), truth


SHARES = {"gender": [0.6, 0.4], "hat": [0.92, 0.08], "age": [0.1, 0.6, 0.25, 0.05]}
RECALLS = {"gender": [0.8, 0.6], "hat": [0.9, 0.4], "age": [0.3, 0.8, 0.6, 0.1]}
MAJORITY = {"gender": [6, 4], "hat": [9, 1], "age": [1, 6, 2, 1]}


def test_values_are_the_scores_minus_those_of_guessing():
    predictions, truth = answered(0, RECALLS, SHARES)
    scores = evaluate_attributes(predictions, truth, train=MAJORITY)
    margins = attribute_margins(predictions, truth, MAJORITY, resamples=50)
    for head, one in scores.heads.items():
        gap = one.accuracy - one.majority_accuracy
        assert margins.accuracy[head].value == pytest.approx(gap)
        gap = one.balanced_accuracy - one.majority_balanced_accuracy
        assert margins.balanced[head].value == pytest.approx(gap)
        assert margins.accuracy[head].people == 40
        assert margins.balanced[head].people == min(n for n in one.people if n)
    gap = scores.mean_accuracy - scores.mean_majority_accuracy
    assert margins.mean_accuracy.value == pytest.approx(gap)
    gap = scores.mean_balanced_accuracy - scores.mean_majority_balanced_accuracy
    assert margins.mean_balanced.value == pytest.approx(gap)
    for margin in (*margins.accuracy.values(), *margins.balanced.values(), margins.mean_accuracy):
        assert -1 <= margin.low < margin.value < margin.high <= 1
        assert margin.value in margin and margin.high + 0.1 not in margin


def test_intervals_hold_the_margin_of_all_people_as_often_as_they_say():
    draws, held = 200, dict.fromkeys((*(("accuracy", h) for h in SHARES), "mean", "balanced"), 0)
    truth_accuracy = {
        head: float(np.dot(SHARES[head], RECALLS[head])) - max(SHARES[head]) for head in SHARES
    }
    for draw in range(draws):
        predictions, truth = answered(draw, RECALLS, SHARES)
        found = attribute_margins(predictions, truth, MAJORITY, resamples=150, seed=draw)
        for head, value in truth_accuracy.items():
            held["accuracy", head] += value in found.accuracy[head]
        held["mean"] += float(np.mean(list(truth_accuracy.values()))) in found.mean_accuracy
        held["balanced"] += 0.7 - 0.5 in found.balanced["gender"]
    for name, count in held.items():
        assert count / draws >= 0.90, name
    assert held["accuracy", "gender"] / draws <= 0.99 and held["balanced"] / draws <= 0.99


def test_intervals_hold_the_balanced_margin_with_a_handful_of_rare_people():
    draws, held, width = 150, 0, []
    for draw in range(draws):
        predictions, truth = answered(draw, RECALLS, SHARES, people=60)
        found = attribute_margins(predictions, truth, MAJORITY, resamples=150, seed=draw)
        occurs = np.unique(truth["age"].numpy())
        expected = float(np.mean(np.array(RECALLS["age"])[occurs]) - np.mean(occurs == 1))
        held += expected in found.balanced["age"]
        width.append(found.balanced["age"].high - found.balanced["age"].low)
    assert held / draws >= 0.92
    assert np.mean(width) < 0.6


def test_the_mean_of_heads_that_fail_on_the_same_people_is_no_surer_than_one_head():
    heads = ("gender", "hat", "backpack", "bag", "clothes", "hair")
    for people in (7, 31):  # odd: one class is the rarer one
        own, truth = answered(4, {"gender": [0.8, 0.6]}, {"gender": [0.6, 0.4]}, people=people)
        logits = {
            head: own.logits["gender"] if i % 2 else own.logits["gender"].flip(1)  # rare one first
            for i, head in enumerate(heads)
        }
        same = {h: truth["gender"] if i % 2 else 1 - truth["gender"] for i, h in enumerate(heads)}
        counts = {head: [6, 4] if i % 2 else [4, 6] for i, head in enumerate(heads)}
        predictions = AttributePredictions(logits, own.pids, own.camids)
        found = attribute_margins(predictions, same, counts, resamples=500)
        for kind in ("accuracy", "balanced"):
            mean, one = getattr(found, f"mean_{kind}"), getattr(found, kind)["hat"]
            assert (mean.low, mean.high) == pytest.approx((one.low, one.high), abs=1e-9)


def test_heads_that_are_no_better_are_seldom_called_so():
    shares = {head: [0.5, 0.5] for head in ("bag", "backpack", "handbag", "clothes", "up", "hair")}
    recalls = {head: [0.5, 0.5] for head in shares}
    called = 0
    for draw in range(100):
        predictions, truth = answered(draw, recalls, shares, people=80)
        found = attribute_margins(predictions, truth, TRAIN, resamples=150, seed=draw)
        called += any(m.verdict != "not clear" for m in found.balanced.values())
    assert called <= 11  # 5 % are allowed for


@pytest.mark.parametrize(("recall", "verdict"), [(0.95, "above majority"), (0.05, "below")])
def test_clear_differences_are_called_so(recall, verdict):
    recalls, shares = {"gender": [recall] * 2}, {"gender": [0.5, 0.5]}
    predictions, truth = answered(0, recalls, shares, people=60)
    found = attribute_margins(predictions, truth, TRAIN)
    assert found.accuracy["gender"].verdict == found.balanced["gender"].verdict == verdict
    assert found.mean_accuracy.verdict == found.mean_balanced.verdict == verdict


def test_a_network_that_guesses_is_neither_above_nor_below():
    truth = {"hat": torch.tensor([0] * 76 + [1] * 4)}
    predictions = predicted({"hat": torch.zeros(80, dtype=torch.int64)}, np.arange(80) // 2 + 1)
    found = attribute_margins(predictions, truth, TRAIN)
    for margin in (found.accuracy["hat"], found.balanced["hat"]):
        assert margin.value == 0 and margin.verdict == "not clear"
        assert margin.low < 0 < margin.high


def test_two_people_who_are_recognised_are_not_enough():
    """Of 40 people two wear hats; every image is right, however many images there are."""
    person = np.repeat(np.arange(40), 16)
    truth = {"hat": torch.tensor((person < 2).astype(int))}
    found = attribute_margins(predicted(truth, person + 1), truth, TRAIN)
    margin = found.balanced["hat"]
    assert margin.value == 0.5 and margin.high == 0.5  # more is not possible
    assert margin.low < 0.2 and margin.people == 2
    assert found.accuracy["hat"].verdict == "not clear"
    lead = found.accuracy["hat"]
    assert lead.high > lead.value + 0.01  # other people may wear more hats
    wrong = attribute_margins(predicted({"hat": 1 - truth["hat"]}, person + 1), truth, TRAIN)
    assert wrong.balanced["hat"].low == wrong.balanced["hat"].value == -0.5
    truth = {"hat": torch.tensor((person < 12).astype(int))}
    found = attribute_margins(predicted(truth, person + 1), truth, TRAIN)
    assert found.balanced["hat"].low > 0.3
    assert found.balanced["hat"].verdict == "above majority"


def test_images_of_one_person_do_not_count_as_many():
    predictions, truth = answered(1, RECALLS, SHARES, people=12, images=30, spread=0.5)
    by_person = attribute_margins(predictions, truth, MAJORITY)
    alone = AttributePredictions(predictions.logits, torch.arange(1, 361), predictions.camids)
    by_image = attribute_margins(alone, truth, MAJORITY)
    for kind in ("accuracy", "balanced"):
        wide, narrow = (getattr(each, kind)["gender"] for each in (by_person, by_image))
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_verdicts_are_corrected_for_the_number_of_heads():
    """A lead that one head alone makes clear is not clear among six."""
    heads = ("bag", "backpack", "handbag", "clothes", "up", "hair")
    person = np.arange(100)
    right = person < 62  # of 100 people, half of each class
    truth = torch.tensor(person % 2)
    answers = torch.tensor(np.where(right, person % 2, 1 - person % 2))
    one, six = (
        attribute_margins(
            predicted(dict.fromkeys(some, answers), person + 1),
            dict.fromkeys(some, truth),
            TRAIN,
            resamples=4000,
        )
        for some in (heads[:1], heads)
    )
    assert one.balanced["bag"].verdict == "above majority"
    assert six.balanced["bag"].verdict == "not clear"
    assert six.balanced["bag"].low == pytest.approx(one.balanced["bag"].low, abs=0.02)


def test_the_seed_decides_and_confidence_widens():
    predictions, truth = answered(0, RECALLS, SHARES)
    plain = attribute_margins(predictions, truth, MAJORITY, resamples=60)
    assert plain == attribute_margins(predictions, truth, MAJORITY, resamples=60)
    assert plain != attribute_margins(predictions, truth, MAJORITY, resamples=60, seed=1)
    narrow = attribute_margins(predictions, truth, MAJORITY, resamples=60, confidence=0.5)
    assert narrow.accuracy["age"].low > plain.accuracy["age"].low
    assert narrow.mean_balanced.high < plain.mean_balanced.high


def test_margins_print_a_table():
    predictions, truth = answered(0, RECALLS, SHARES)
    found = attribute_margins(predictions, truth, MAJORITY, resamples=60)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["attribute", *SHARES, "mean"]
    assert f"{100 * found.accuracy['gender'].value:+.1f}" in lines[1]
    assert f"{100 * found.mean_balanced.value:+.1f}" in lines[4]
    assert lines[5].startswith("score minus that of guessing, in points; 95% intervals")


def test_arguments_are_checked():
    predictions, truth = answered(0, RECALLS, SHARES, people=2, images=2)
    with pytest.raises(ValueError, match="two people or more, got 1"):
        first = {head: row[:2] for head, row in truth.items()}
        attribute_margins(predictions[:2], first, MAJORITY)
    for wrong in ({"resamples": 1}, {"resamples": 10.5}, {"seed": -1}, {"seed": None}):
        with pytest.raises(ValueError, match=f"expected {next(iter(wrong))}"):
            attribute_margins(predictions, truth, MAJORITY, **wrong)
    with pytest.raises(ValueError, match="confidence between 0 and 1"):
        attribute_margins(predictions, truth, MAJORITY, confidence=1.0)
    with pytest.raises(ValueError, match="hat: expected how many of the training people"):
        attribute_margins(predictions, truth, {"gender": [1, 2]})
