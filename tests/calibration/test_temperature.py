"""Temperatures, class weights undone, and errors of calibration."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlab.calibration import (
    AttributeCalibration,
    calibrate_attributes,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
)
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions


def predicted(logits):
    logits = {head: torch.as_tensor(table) for head, table in logits.items()}
    count = len(next(iter(logits.values())))
    pids = torch.arange(count) // 4 + 1
    return AttributePredictions(logits, pids, torch.ones(count).long())


def drawn(seed, head, count, *, temperature=1.0, weights=None):
    """Logits that are `temperature` times too large and shifted by log weights, and their truth."""
    rng = np.random.default_rng(seed)
    size = len(HEADS[head])
    logits = 1.5 * rng.normal(size=(count, size)) + rng.normal(size=size)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chances.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    shift = np.log(np.ones(size) if weights is None else np.asarray(weights))
    return torch.tensor(temperature * logits + shift), torch.tensor(truth)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    tables, truth = {}, {}
    for i, head in enumerate(("hat", "age", "up_color")):
        tables[head], truth[head] = drawn(i, head, 20_000, temperature=temperature)
    found = calibrate_attributes(predicted(tables), truth)
    assert list(found.temperatures.values()) == pytest.approx([temperature] * 3, rel=0.06)
    assert found.notes == {} and (found.images, found.people) == (20_000, 5_000)


def test_class_weights_are_undone():
    weights = [40.0, 1.0, 3.5, 71.0]
    logits, truth = drawn(0, "age", 20_000, temperature=1.0, weights=weights)
    predictions = predicted({"age": logits})
    found = calibrate_attributes(predictions, {"age": truth}, weights={"age": weights})
    assert found.temperatures["age"] == pytest.approx(1, rel=0.06)
    chances = found.apply(predictions).probabilities["age"]
    shares = torch.bincount(truth, minlength=4) / len(truth)
    torch.testing.assert_close(chances.mean(dim=0).float(), shares.float(), atol=0.01, rtol=0)
    assert expected_calibration_error(found.apply(predictions), {"age": truth})["age"] < 0.02
    assert expected_calibration_error(predictions, {"age": truth})["age"] > 0.1


def test_applying_divides_after_the_shift():
    found = AttributeCalibration({"hat": 2.0}, {"hat": [1.0, 4.0]}, 10, 5)
    logits = torch.tensor([[1.0, 3.0], [0.5, -2.0]])
    cooled = found.apply(predicted({"hat": logits})).logits["hat"]
    expected = (logits.double() - torch.tensor([1.0, 4.0]).double().log()) / 2
    torch.testing.assert_close(cooled, expected)


def test_a_class_that_nobody_had_gets_no_probability():
    logits, truth = drawn(0, "age", 400)
    truth[:5] = 3  # and yet somebody is of that class
    weights = {"age": [2.0, 1.0, 1.0, 0.0]}
    predictions = predicted({"age": logits})
    found = calibrate_attributes(predictions, {"age": truth}, weights=weights)
    known = truth < 3
    some = predicted({"age": logits[known]})
    alone = calibrate_attributes(some, {"age": truth[known]}, weights=weights)
    assert found.temperatures == alone.temperatures
    cooled = found.apply(predictions)
    assert torch.isfinite(cooled.logits["age"]).all()
    assert cooled.probabilities["age"][:, 3].max() == 0
    torch.testing.assert_close(
        cooled.probabilities["age"].sum(dim=1), torch.ones(400, dtype=torch.float64)
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.05, 30))
def test_without_weights_answers_stay_and_the_fit_is_never_worse(seed, count, scale):
    rng = np.random.default_rng(seed)
    logits = {h: (scale * rng.normal(size=(count, len(HEADS[h])))).astype("f4") for h in HEADS}
    truth = {h: torch.tensor(rng.integers(0, len(HEADS[h]), count)) for h in HEADS}
    predictions = predicted(logits)
    found = calibrate_attributes(predictions, truth)
    cooled = found.apply(predictions)
    before, after = (negative_log_likelihood(each, truth) for each in (predictions, cooled))
    for head in HEADS:
        assert torch.equal(cooled.answers[head], predictions.answers[head])
        assert 0.25 <= found.temperatures[head] <= 10
        if head not in found.notes or "one class" not in found.notes[head]:
            assert after[head] <= before[head] + 1e-12


def test_one_class_alone_takes_the_mean_of_the_others():
    tables, truth = {}, {}
    for i, (head, temperature) in enumerate({"bag": 4.0, "age": 1.0, "hat": 1.0}.items()):
        tables[head], truth[head] = drawn(i, head, 4000, temperature=temperature)
    truth["hat"] = torch.zeros(4000, dtype=torch.int64)
    found = calibrate_attributes(predicted(tables), truth)
    mean = np.sqrt(found.temperatures["bag"] * found.temperatures["age"])
    assert found.temperatures["hat"] == pytest.approx(mean) == pytest.approx(2, rel=0.1)
    assert found.notes == {"hat": "one class only: the mean of the other heads"}
    assert "one class only" in str(found)
    alone = calibrate_attributes(predicted({"hat": tables["hat"]}), {"hat": truth["hat"]})
    assert alone.temperatures == {"hat": 1.0}
    assert alone.notes == {"hat": "one class only: left at 1"}


@pytest.mark.parametrize(("sign", "end"), [(1.0, 0.25), (-1.0, 10.0)])
def test_few_images_never_ask_for_certainty(sign, end):
    truth = torch.tensor([0, 1, 0, 1])
    logits = sign * torch.nn.functional.one_hot(truth, 2).double()
    found = calibrate_attributes(predicted({"hat": logits}), {"hat": truth})
    assert found.temperatures == {"hat": end}
    assert found.notes == {"hat": "at the end of the range"}


def slow_error(logits, truth, bins):
    """The definition read aloud: bins (i / b, (i + 1) / b], loops, no arrays."""
    chances = torch.softmax(torch.as_tensor(logits).double(), dim=1).tolist()
    total = 0.0
    for i in range(bins):
        inside = [
            (max(row), row.index(max(row)) == int(right))
            for row, right in zip(chances, truth, strict=True)
            if i / bins < max(row) <= (i + 1) / bins
        ]
        if inside:
            sure = sum(chance for chance, _ in inside) / len(inside)
            right = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) / len(chances) * abs(right - sure)
    return total


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("head", ["hat", "down_color"])
def test_the_calibration_error_matches_its_definition(head, bins):
    logits, truth = drawn(3, head, 300, temperature=3.0)
    predictions = predicted({head: logits})
    found = expected_calibration_error(predictions, {head: truth}, bins)
    assert found == pytest.approx({head: slow_error(logits, truth, bins)})
    table = reliability_bins(predictions, {head: truth}, bins)[head]
    assert table.images.sum() == 300 and len(table.images) == bins
    assert np.array_equal(np.isnan(table.accuracy), table.images == 0)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    predictions = predicted({"hat": torch.zeros(4, 2)})  # 50 % exactly
    found = reliability_bins(predictions, {"hat": torch.tensor([0, 0, 0, 1])}, bins=2)["hat"]
    assert found.images.tolist() == [4, 0]
    assert found.error == pytest.approx(0.25)
    with pytest.raises(ValueError, match="bins of at least 1, got 0"):
        reliability_bins(predictions, {"hat": torch.tensor([0, 0, 0, 1])}, bins=0)


def test_the_likelihood_is_that_of_the_true_class():
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    found = negative_log_likelihood(predicted({"hat": logits}), {"hat": torch.tensor([1, 1])})
    first, second = np.log(1 + np.exp(-1)), np.log(1 + np.exp(2))
    assert found == {"hat": pytest.approx((first + second) / 2)}


@pytest.fixture
def fitted():
    tables, truth = {}, {}
    for i, head in enumerate(("hat", "age")):
        tables[head], truth[head] = drawn(i, head, 200, temperature=2.0)
    weights = {"hat": [1.0, 36.55], "age": [40.6, 1.0, 3.6, 0.0]}
    return calibrate_attributes(predicted(tables), truth, weights=weights)


def test_a_calibration_survives_its_file(fitted, tmp_path):
    path = fitted.save(tmp_path / "new" / "c.json")
    assert AttributeCalibration.load(path) == fitted
    assert AttributeCalibration.from_dict(json.loads(json.dumps(fitted.as_dict()))) == fitted
    assert fitted.save(tmp_path / "d.json").read_bytes() == path.read_bytes()
    assert "36.5" in str(fitted) and "200 images of 50 people" in str(fitted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "many"}, "images is many, of a wrong type"),
        ({"people": 0}, "people is 0, of a wrong type"),
        ({"temperatures": {"hat": True, "age": 1.0}}, "temperatures is .* of a wrong type"),
        ({"temperatures": {"hat": 99.0, "age": 1.0}}, "hat: expected a temperature from 0.25"),
        ({"temperatures": {"hat": float("nan"), "age": 1.0}}, "hat: expected a temperature"),
        ({"temperatures": {"hat": 1.0}}, "temperatures and weights of the same heads"),
        ({"weights": {"hat": [1.0], "age": [1.0] * 4}}, "hat: expected a weight of 0 or more for"),
        ({"weights": {"hat": [0, 0], "age": [1.0] * 4}}, "not all 0"),
        ({"weights": {"hat": [1.0, -1.0], "age": [1.0] * 4}}, "hat: expected a weight of 0"),
        ({"weights": {"hat": "ab", "age": [1.0] * 4}}, "weights is .* of a wrong type"),
        ({"notes": {"hat": 3}}, "notes is .* of a wrong type"),
        ({"reidlab_attribute_calibration": 2}, "with 'reidlab_attribute_calibration': 1"),
        ({"more": 1}, "expected the fields images, people, .* got .*more"),
    ],
)
def test_a_spoilt_file_is_refused(change, message, fitted, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(fitted.as_dict() | change))
    with pytest.raises(ValueError, match=rf"c\.json: .*{message}"):
        AttributeCalibration.load(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.json"):
        AttributeCalibration.load(tmp_path / "none.json")
    for content in (b"{", b"\xff\xfe", b"[]"):
        (tmp_path / "c.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"c\.json: expected"):
            AttributeCalibration.load(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("temperatures", "weights", "message"),
    [
        ({"hat": None}, {"hat": [1, 1]}, "hat: expected a temperature from 0.25 to 10.0, got None"),
        ({"hat": "1"}, {"hat": [1, 1]}, "hat: expected a temperature"),
        ({"hat": 1.0}, {"hat": None}, "hat: expected a weight of 0 or more .* got None"),
        ({"hat": 1.0}, {"hat": [1, "x"]}, "hat: expected a weight of 0 or more"),
        ({"hat": None}, None, "expected weights by head, got None"),
        (None, {"hat": [1, 1]}, "expected temperatures by head, got None"),
        (["hat"], ["hat"], "expected temperatures by head"),
    ],
)
def test_what_is_no_number_is_refused(temperatures, weights, message):
    with pytest.raises(ValueError, match=message):
        AttributeCalibration(temperatures, weights, 1, 1)


def test_heads_and_weights_are_checked(fitted):
    logits, truth = drawn(0, "bag", 20)
    predictions = predicted({"bag": logits})
    with pytest.raises(ValueError, match="expected predictions of hat, age, got bag besides"):
        fitted.apply(predictions)
    with pytest.raises(ValueError, match="class weights of every head, bag missing"):
        calibrate_attributes(predictions, {"bag": truth}, weights={"hat": [1.0, 1.0]})
    with pytest.raises(ValueError, match="bag: expected a weight of 0 or more for each of no, yes"):
        calibrate_attributes(predictions, {"bag": truth}, weights={"bag": [1.0, float("inf")]})
    with pytest.raises(ValueError, match="unknown attribute 'shoes'"):
        AttributeCalibration({"shoes": 1.0}, {"shoes": [1.0]}, 1, 1)
