"""The experiment on attributes, with a tiny network, and its measures against loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlab.claims import compare, load_claims, run_experiment
from reidlab.claims.attributes import (
    SGD_LR,
    attributes_experiment,
    lengths,
    measure,
    measures_of,
    rare_recall,
    train_arm,
)
from reidlab.claims.catalog import EXPERIMENTS
from reidlab.data.heads import HEADS, counts, labels_of
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample, Splits
from reidlab.embedding import AttributePredictions, predict_attributes
from reidlab.evaluation.attributes import evaluate_attributes
from reidlab.models.attributes import JointHead, SeparateHeads
from reidlab.recipes import recipe
from reidlab.training import History, TrainConfig

TINY = {
    "ids": 24, "validation_ids": 3, "test_ids": 12, "images_per_id": 2, "cameras": 2,
    "size": (64, 32), "difficulty": "smoke", "distractors": 3, "junk": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return read_dataset("synthetic", tmp_path_factory.mktemp("data"), **TINY)


@pytest.fixture(scope="module")
def tiny():
    """The experiment with one epoch of a narrow network."""
    desk = recipe("attributes", "desk")
    train = replace(desk.train, epochs=1, ids_per_batch=3, images_per_id=2, patience=2)
    arguments = {**desk.arguments, "width": 8, "image_size": (64, 32), "pretrained": False}
    return attributes_experiment(replace(desk, arguments=arguments, train=train), options=TINY)


def test_every_arm_differs_from_the_reference_in_one_thing(tiny):
    settings = tiny.settings
    own = settings["reference"]

    def differs(arm):
        names = own.keys() | settings[arm].keys()
        return {n: settings[arm].get(n) for n in names if own.get(n) != settings[arm].get(n)}

    assert differs("unweighted") == {"prepare": None}
    assert differs("one-head") == {"arguments.joint": True}
    assert differs("sgd") == {"train.optimizer": "sgd", "train.lr": SGD_LR}
    assert set(tiny.arms) == {"reference", "unweighted", "one-head", "sgd"}


def test_the_statements_are_about_these_arms(tiny):
    pairs = {s.name: (s.treatment, s.control) for s in tiny.statements}
    assert pairs == {
        "class-weights": ("reference", "unweighted"),
        "twelve-heads": ("reference", "one-head"),
        "adam": ("reference", "sgd"),
        "majority": ("reference", "reference"),
        "majority-accuracy": ("reference", "reference"),
    }
    for statement, kinds in zip(
        tiny.statements[-2:], (("balanced", "guess"), ("accuracy", "majority")), strict=True
    ):
        assert statement.opponent == "guessing"
        assert {m.title for m in statement.measures} >= {"upper colour", "lower colour", "hat"}
        heads = [(m.name, m.against) for m in statement.measures]
        assert heads == [(f"{kinds[0]}/{head}", f"{kinds[1]}/{head}") for head in HEADS]


def test_the_experiment_of_the_course_reads_many_people():
    experiment = EXPERIMENTS["attributes"]()
    assert experiment.options["ids"] > 1000 and experiment.seeds[:3] == (0, 1, 2)
    assert f"rate {SGD_LR:g}" in experiment.statements[2].mechanism


@pytest.mark.parametrize(
    ("arm", "head", "weighs"),
    [("reference", SeparateHeads, True), ("unweighted", SeparateHeads, False),
     ("one-head", JointHead, True)],
)  # fmt: skip
def test_an_arm_trains_the_network_that_it_names(tiny, splits, arm, head, weighs, monkeypatch):
    seen, judged = [], []

    def watched(model, samples, loss, config, **options):
        seen.append((loss.keywords.get("weights") is not None, config.seed, len(samples)))
        judged.append(loss.keywords)
        return options["on_epoch"]

    def validation(samples, **settings):
        judged.append(settings)
        return {sample.pid for sample in samples if sample.pid > 0}

    monkeypatch.setattr("reidlab.claims.attributes.fit", watched)
    monkeypatch.setattr("reidlab.claims.attributes.attribute_validation", validation)
    model, held_out = train_arm(tiny.arms[arm], splits, 5)
    assert isinstance(model.heads, head) and model.origin["start"]["seed"] == 5
    assert seen == [(weighs, 5, 24 * 2)] and judged[0] == judged[1]
    assert held_out == {sample.pid for part in splits.validation for sample in part} - {0, -1}


def test_a_small_experiment_runs_from_images_to_a_file(tiny, splits, tmp_path, monkeypatch):
    table = run_experiment(tiny, out=tmp_path, seeds=[0], only=["reference"], splits=splits)
    measures = table.runs_of("reference")[0]
    assert measures["epochs"] == measures["best_epoch"] == 1
    assert 0 <= measures["accuracy/mean"] <= 1 and table.data["fingerprint"] == splits.fingerprint
    monkeypatch.setitem(EXPERIMENTS, "attributes", lambda: tiny)
    loaded = load_claims("attributes", folder=tmp_path, splits=splits)
    assert compare(loaded, tiny).state == "incomplete"
    again = run_experiment(tiny, out=tmp_path / "b", seeds=[0], only=["reference"], splits=splits)
    assert again.runs_of("reference") == table.runs_of("reference")


# --- measures ---------------------------------------------------------------------------------


def people(seed, count, first=1):
    """Person id -> head -> class."""
    generator = np.random.default_rng(seed)
    rare = {head: np.r_[0.9, np.full(len(n) - 1, 0.1 / (len(n) - 1))] for head, n in HEADS.items()}
    return {
        pid: {head: int(generator.choice(len(n), p=rare[head])) for head, n in HEADS.items()}
        for pid in range(first, first + count)
    }


def samples_of(persons, name, images=2):
    return [
        Sample(f"{name}{pid}-{image}.jpg", pid, 1 + image, attributes=labels_of(classes))
        for pid, classes in persons.items()
        for image in range(images)
    ]


def predicted(samples, seed):
    generator = torch.Generator().manual_seed(seed)
    pids = torch.tensor([sample.pid for sample in samples])
    logits = {
        head: torch.randn(len(samples), len(n), generator=generator) for head, n in HEADS.items()
    }
    return AttributePredictions(logits, pids, torch.ones_like(pids))


def test_measures_agree_with_loops():
    train, test = people(0, 60), people(1, 40, first=100)
    asked = samples_of(test, "test")
    training = counts(labels_of(classes) for classes in train.values())
    predictions = predicted(asked, 2)
    found = measures_of(evaluate_attributes(predictions, asked, train=training), training)
    recalls, margins = [], []
    for head, names in HEADS.items():
        truth = [test[sample.pid][head] for sample in asked]
        answers = predictions.answers[head].tolist()
        right = [t == a for t, a in zip(truth, answers, strict=True)]
        most = max(range(len(names)), key=lambda c: sum(p[head] == c for p in train.values()))
        guess = sum(t == most for t in truth) / len(truth)
        accuracy = sum(right) / len(right)
        per_class = {
            c: sum(r for r, t in zip(right, truth, strict=True) if t == c) / truth.count(c)
            for c in set(truth)
        }
        assert found[f"accuracy/{head}"] == pytest.approx(accuracy)
        assert found[f"majority/{head}"] == pytest.approx(guess)
        assert found[f"guess/{head}"] == pytest.approx(1 / len(per_class))
        assert found[f"margin/{head}"] == pytest.approx(accuracy - guess)
        assert found[f"balanced/{head}"] == pytest.approx(np.mean(list(per_class.values())))
        margins.append(accuracy - guess)
        for c, recall in per_class.items():
            have = sum(person[head] == c for person in train.values())
            if 0 < have < 6:  # fewer than 10 % of 60
                recalls.append(recall)
    assert found["rare/recall"] == pytest.approx(np.mean(recalls))
    assert found["rare/classes"] == len(recalls) > 3
    assert found["margin/mean"] == pytest.approx(np.mean(margins))


def test_a_class_is_rare_below_a_tenth_if_both_sides_have_it():
    test = people(1, 30, first=100)
    for pid, person in test.items():
        person["age"] = pid % 4
    asked = samples_of(test, "test")
    training = counts(labels_of(classes) for classes in people(0, 10).values())
    training |= {head: [1000, *[0] * (len(names) - 1)] for head, names in HEADS.items()}
    training["age"] = [900, 100, 0, 1]  # 100 of 1001 is below a tenth, nobody has the third
    scores = evaluate_attributes(predicted(asked, 3), asked, train=training)
    expected = np.mean([scores.heads["age"].recall[1], scores.heads["age"].recall[3]])
    assert rare_recall(scores, training) == {
        "rare/recall": pytest.approx(expected), "rare/classes": 2.0
    }  # fmt: skip
    training["age"] = [900, 100, 0, 0]  # 100 of 1000 is a tenth
    assert rare_recall(scores, training) == {"rare/classes": 0.0}


def test_only_test_people_are_asked(splits, tiny, monkeypatch):
    asked = []

    def watched(model, samples):
        asked.extend(sample.path for sample in samples)
        return predict_attributes(model, samples)

    monkeypatch.setattr("reidlab.claims.attributes.predict_attributes", watched)
    measure(tiny.arms["reference"].build(seed=0), splits)
    test = [sample for sample in (*splits.query, *splits.gallery) if sample.pid > 0]
    assert asked == [sample.path for sample in test]
    assert 0 < len(splits.query) < len(asked) < len(splits.query) + len(splits.gallery)


def test_people_without_attributes_are_named(splits, tiny):
    model = tiny.arms["reference"].build(seed=0)
    unknown = [replace(sample, attributes=None) for sample in splits.query]
    with pytest.raises(ValueError, match="nobody says which attributes person"):
        measure(model, Splits(splits.train, unknown, splits.gallery))


def test_the_epoch_whose_weights_were_kept_is_told():
    history = History([{"val_loss": value} for value in (3.0, 1.0, 2.0)])
    assert lengths(history, TrainConfig(patience=2)) == {"epochs": 3, "best_epoch": 2}
    assert lengths(history, TrainConfig()) == {"epochs": 3}
