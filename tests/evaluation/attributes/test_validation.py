"""The judge of every epoch: loss, accuracy and balanced accuracy of validation people."""

import dataclasses
from pathlib import Path

import pytest
import torch

from reidlab.data.heads import HEADS, class_weights, counts, labels_of
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample
from reidlab.data.targets import people_of, targets_of
from reidlab.embedding import predict_attributes
from reidlab.evaluation.attributes import evaluate_attributes
from reidlab.evaluation.attributes.validation import attribute_validation
from reidlab.losses import attribute_terms
from reidlab.models.attributes import attributes_small


@pytest.fixture
def people(market_folder):
    def label(sample):
        classes = {head: sample.pid % len(names) for head, names in HEADS.items()}
        return dataclasses.replace(sample, attributes=labels_of(classes))

    return [label(sample) for sample in read_dataset(market_folder).train]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_it_is_the_loss_of_all_images_at_once(people, reduction):
    model = attributes_small(width=4, image_size=(32, 16))
    weights = class_weights(counts(people_of(people)))
    outsider = Sample(Path("distractor.jpg"), 0, 1)  # not even read
    judge = attribute_validation(
        [*people, outsider], weights=weights, reduction=reduction, batch_size=5, device="cpu"
    )
    found = judge(1, model, {})
    predictions = predict_attributes(model, people, device="cpu")
    terms = attribute_terms(predictions.logits, targets_of(people), weights, reduction)
    assert found["val_loss"] == pytest.approx(float(sum(terms.values())), rel=1e-5)
    scores = evaluate_attributes(predictions, people, train=people)
    assert found["val_accuracy"] == scores.mean_accuracy
    assert found["val_balanced"] == scores.mean_balanced_accuracy


def test_bad_people_are_found_before_the_training(people):
    with pytest.raises(ValueError, match="expected images of validation people, got none"):
        attribute_validation([Sample(Path("x.jpg"), 0, 1)])
    with pytest.raises(ValueError, match="nobody says which attributes person"):
        attribute_validation([dataclasses.replace(people[0], attributes=None)])
    people[0].path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=people[0].path.name):
        attribute_validation(people)
    model = attributes_small(width=4, image_size=(32, 16))
    found = attribute_validation(people, on_error="skip", device="cpu")(1, model, {})
    assert torch.isfinite(torch.tensor(list(found.values()))).all()
