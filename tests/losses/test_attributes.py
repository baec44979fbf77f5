"""Weighted cross-entropy of attribute heads, against its definition and PyTorch's own."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from reidlab.data.heads import HEADS, labels_of
from reidlab.data.samples import Batch
from reidlab.losses import attribute_loss, attribute_terms, weighted_cross_entropy
from reidlab.models.attributes import attributes_small


def slow_weighted(logits, labels, weights):
    """The definition read aloud."""
    total = norm = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(x) for x in row))
        total += weights[label] * (log_sum - row[label])
        norm += weights[label]
    return total / norm if norm else 0.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 5))
def test_it_matches_its_definition_and_torch(seed, images, size):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, size, generator=generator)
    labels = torch.randint(0, size, (images,), generator=generator)
    weights = (5 * torch.rand(size, generator=generator)).tolist()
    found = weighted_cross_entropy(logits, labels, weights)
    expected = slow_weighted(logits, labels, weights)
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)  # float32 near 0
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, torch.tensor(weights)))
    whole = [round(w) + 1 for w in weights]  # integers are weights, too
    expected = F.cross_entropy(logits, labels, torch.tensor(whole).float())
    torch.testing.assert_close(weighted_cross_entropy(logits, labels, whole), expected)
    plain = weighted_cross_entropy(logits, labels)
    torch.testing.assert_close(plain, weighted_cross_entropy(logits, labels, [2.0] * size))


def test_classes_of_weight_zero_count_for_nothing():
    logits = torch.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True)
    alone = weighted_cross_entropy(logits[:1], torch.tensor([0]), [1.0, 0.0])
    both = weighted_cross_entropy(logits, torch.tensor([0, 1]), [1.0, 0.0])
    torch.testing.assert_close(both, alone)
    nobody = weighted_cross_entropy(logits, torch.tensor([1, 1]), [1.0, 0.0])
    nobody.backward()
    assert nobody.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_terms_are_summed_or_averaged_over_heads():
    logits = {"hat": torch.randn(4, 2), "age": torch.randn(4, 4)}
    labels = {"hat": torch.tensor([0, 1, 0, 0]), "age": torch.tensor([0, 1, 2, 3])}
    weights = {"hat": [1.0, 3.0], "age": [1.0, 2.0, 3.0, 4.0]}
    summed = attribute_terms(logits, labels, weights)
    mean = attribute_terms(logits, labels, weights, "mean")
    assert list(summed) == ["hat", "age"]
    for head in logits:
        expected = weighted_cross_entropy(logits[head], labels[head], weights[head])
        torch.testing.assert_close(summed[head], expected)
        torch.testing.assert_close(mean[head], expected / 2)


def test_what_does_not_fit_is_named():
    logits = {"hat": torch.zeros(1, 2)}
    labels = {"hat": torch.tensor([0])}
    with pytest.raises(ValueError, match="reduction must be one of sum, mean, got 'max'"):
        attribute_terms(logits, labels, reduction="max")
    with pytest.raises(ValueError, match="hat: expected labels and 2 class weights, got no labels"):
        attribute_terms(logits, {})
    with pytest.raises(ValueError, match=r"hat: expected labels and 2 .* weights \[1.0\]"):
        attribute_terms(logits, labels, {"hat": [1.0]})
    with pytest.raises(ValueError, match=r"expected weights of 0 or more, got \[1, -3\]"):
        weighted_cross_entropy(logits["hat"], labels["hat"], [1, -3])
    with pytest.raises(ValueError, match=r"hat: .* weights \(\)"):
        attribute_terms(logits, labels, {"age": [1.0] * 4})


def test_the_loss_of_a_batch_reads_codes_as_they_stand_on_disk():
    model = attributes_small(width=4, image_size=(32, 16)).eval()
    rows = [labels_of(dict.fromkeys(HEADS, 1)), labels_of(dict.fromkeys(HEADS, 0))]
    codes = {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
    numbers = torch.arange(2)
    batch = Batch(torch.randn(2, 3, 32, 16), numbers, numbers, numbers, attributes=codes)
    labels = {head: torch.tensor([1, 0]) for head in HEADS}
    expected = attribute_terms(model(batch.images).logits, labels)
    found = attribute_loss(model, batch)
    assert list(found) == list(HEADS)
    for head in HEADS:
        torch.testing.assert_close(found[head], expected[head])
    bare = Batch(batch.images, numbers, numbers, numbers)
    with pytest.raises(ValueError, match="some of the samples have none; give them with annotate"):
        attribute_loss(model, bare)
