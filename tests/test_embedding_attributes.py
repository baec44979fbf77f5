"""Predictions of attributes: the record, and from images to logits."""

import pytest
import torch

from reidlab.data.heads import HEADS
from reidlab.data.images import ImageDataset
from reidlab.data.readers import read_dataset
from reidlab.embedding import AttributePredictions, predict_attributes
from reidlab.embedding.attributes import classes_of
from reidlab.models.attributes import attributes_small
from reidlab.models.baseline import baseline_small


@pytest.fixture(scope="module")
def people(market_writer, tmp_path_factory):
    return read_dataset(market_writer(tmp_path_factory.mktemp("people") / "market")).train


@pytest.fixture(scope="module")
def model():
    return attributes_small(width=4, image_size=(32, 16), seed=1)


def record(count=3, heads=("hat", "age"), **changes):
    logits = {head: torch.randn(count, len(HEADS[head])) for head in heads}
    given = {"logits": logits, "pids": torch.arange(count), "camids": torch.ones(count).long()}
    return AttributePredictions(**given | changes)


def test_logits_are_those_of_the_network_image_by_image(people, model):
    model.train()
    found = predict_attributes(model, people, batch_size=5, device="cpu")
    assert model.training and len(found) == len(people)
    assert found.pids.tolist() == [s.pid for s in people]
    assert found.camids.tolist() == [s.camid for s in people]
    assert list(found.paths) == [s.path for s in people] and found.heads == tuple(HEADS)
    model.eval()
    pixels = ImageDataset(people, (32, 16), in_memory=True).memory
    for i in (0, 7):
        with torch.no_grad():
            alone = model(model.preprocess(pixels[i : i + 1])).logits
        for head in HEADS:  # 2, 4, 9 or 10 wide: a head in another's place would show
            torch.testing.assert_close(found.logits[head][i], alone[head][0])


def test_flip_is_the_mean_of_both_sides(people, model):
    plain, both = (predict_attributes(model, people[:4], flip=f, device="cpu") for f in (0, 1))
    pixels = ImageDataset(people[:4], (32, 16), in_memory=True).memory
    with torch.no_grad():
        mirrored = model.eval()(model.preprocess(pixels.flip(-1))).logits
    for head in HEADS:
        mean = (plain.logits[head] + mirrored[head]) / 2
        torch.testing.assert_close(both.logits[head], mean)


def test_a_truncated_image_is_named_or_left_out(market_folder, model):
    samples = read_dataset(market_folder).train
    data = samples[2].path.read_bytes()
    samples[2].path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=samples[2].path.name):
        predict_attributes(model, samples, device="cpu")
    found = predict_attributes(model, samples, on_error="skip", device="cpu")
    assert len(found) == len(samples) - 1 and samples[2].path not in found.paths


def test_a_network_without_heads_is_refused(people):
    with pytest.raises(ValueError, match="Baseline has no attribute heads; train a network"):
        predict_attributes(baseline_small(3, width=4), people)
    assert classes_of(attributes_small(heads=("hat",), width=4)) == {"hat": ("no", "yes")}


def test_probabilities_answers_and_names_follow_from_logits():
    logits = {"hat": torch.tensor([[0.0, 0.0], [-1.0, 1.0]]), "age": torch.zeros(2, 4)}
    found = record(2, logits=logits)
    assert found.answers["hat"].tolist() == [0, 1]  # the first of equal ones
    torch.testing.assert_close(found.probabilities["age"], torch.full((2, 4), 0.25))
    name, chance = found.names(1)["hat"]
    assert name == "yes" and chance == pytest.approx(1 / (1 + torch.e**-2))


def test_some_images_may_be_chosen_in_any_order():
    found = record(4)
    for rows in ([3, 0], torch.tensor([3, 0]), torch.tensor([3, 0]).numpy()):
        part = found[rows]
        assert part.pids.tolist() == [3, 0] and len(part) == 2
        assert torch.equal(part.logits["age"], found.logits["age"][[3, 0]])
    assert found[found.pids > 1].pids.tolist() == [2, 3]
    assert found[1:].pids.tolist() == [1, 2, 3]
    assert [one.pids.tolist() for one in found] == [[0], [1], [2], [3]]
    assert found[-1].pids.tolist() == [3]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="expected some of age, .* got shoes"):
        record(1, logits={"shoes": torch.zeros(1, 2)})
    with pytest.raises(ValueError, match=r"hat: expected logits of shape \(3, 2\).* got \(3, 4\)"):
        record(3, logits={"hat": torch.zeros(3, 4)})
    with pytest.raises(ValueError, match="hat: some logits are not finite"):
        record(1, logits={"hat": torch.tensor([[0.0, torch.nan]])})
    for table in (torch.zeros(1, 2).long(), torch.zeros(1, 2).numpy()):
        with pytest.raises(ValueError, match="hat: expected a tensor of floating point logits"):
            record(1, logits={"hat": table})
    with pytest.raises(ValueError, match=r"expected person ids of shape \(N,\), got \(3, 1\)"):
        record(3, pids=torch.zeros(3, 1))
    with pytest.raises(ValueError, match="expected 3 camera ids and paths, got 2 and 0"):
        record(3, camids=torch.zeros(2))
