from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.ranking.attributes
from reidlab.data.attributes import HEADS
from reidlab.data.wishes import Wish, read_wish
from reidlab.embedding.attributes import AttributePredictions
from reidlab.ranking.attributes import AttributeRanking, log_chances, rank_by_attributes


def predicted(count: int, seed: int = 0, heads=tuple(HEADS), spread: float = 2.0):
    torch.manual_seed(seed)
    logits = {head: spread * torch.randn(count, len(HEADS[head])) for head in heads}
    return AttributePredictions(logits, torch.arange(count), torch.zeros(count).long())


def hats(*logits: float, **more) -> AttributePredictions:
    """Images whose logit for a hat is given, that for none being 0."""
    table = torch.tensor([[0.0, value] for value in logits], dtype=torch.float64)
    ids = torch.arange(len(table))
    return AttributePredictions({"hat": table} | more, ids, ids)


def slow_chance(predictions, image: int, wanted: dict[str, set[int]]) -> float:
    """The product read aloud: softmax by hand, wanted classes summed, heads multiplied."""
    product = 1.0
    for head, classes in wanted.items():
        powers = [math.exp(value) for value in predictions.logits[head][image].tolist()]
        product *= sum(powers[i] for i in classes) / sum(powers)
    return product


WISHES = ["red top, backpack", "old", "no red or blue top, short trousers, not old", "hat"]


@pytest.mark.parametrize("k", [1, 7, 40, None])
def test_the_ranking_is_that_of_the_probabilities_by_hand(k):
    predictions = predicted(40)
    ranking = rank_by_attributes(predictions, WISHES, k)
    assert ranking.order.shape == ranking.score.shape == (4, k or 40)
    for q, text in enumerate(WISHES):
        wanted = read_wish(text).wanted
        chances = [slow_chance(predictions, image, wanted) for image in range(40)]
        order = sorted(range(40), key=lambda i: (-chances[i], i))[: k or 40]
        assert ranking.order[q].tolist() == order
        expected = torch.tensor([chances[i] for i in order], dtype=torch.float64)
        torch.testing.assert_close(ranking.score[q], expected, rtol=1e-5, atol=1e-12)
    assert ranking.wishes == tuple(map(read_wish, WISHES))
    assert ranking.predictions is predictions and len(ranking) == 4


def test_the_chances_of_the_heads_multiply_to_the_score():
    ranking = rank_by_attributes(predicted(30), WISHES, 5)
    for q in range(len(WISHES)):
        chances = ranking.chances(q)
        assert list(chances) == list(ranking.wishes[q].heads)
        product = torch.stack(list(chances.values())).prod(dim=0)
        torch.testing.assert_close(product, ranking.score[q])
    table = ranking.predictions.probabilities["hat"][ranking.order[3], 1]
    torch.testing.assert_close(ranking.chances(3)["hat"].float(), table)


@pytest.mark.parametrize(
    "wish",
    ["hat, red top", Wish({"hat": frozenset([1]), "up_color": frozenset([2])}),
     {"hat": "yes", "up_color": ["red"]}],
)  # fmt: skip
def test_one_wish_may_be_words_a_wish_or_names(wish):
    ranking = rank_by_attributes(predicted(9), wish, 3)
    assert ranking.order.shape == (1, 3)
    assert str(ranking.wishes[0]) == "red top, hat"
    mixed = rank_by_attributes(predicted(9), [wish, "old"], 3)
    assert torch.equal(mixed.order[0], ranking.order[0]) and len(mixed) == 2
    assert repr(mixed) == "AttributeRanking(2 wishes, 3 of 9 images)"


def test_equal_chances_rank_in_gallery_order():
    ranking = rank_by_attributes(hats(1.0, 2.0, 1.0, 2.0, 1.0), ["hat", "no hat"])
    assert ranking.order.tolist() == [[1, 3, 0, 2, 4], [0, 2, 4, 1, 3]]
    assert rank_by_attributes(hats(*[0.5] * 300), "hat", 4).order.tolist() == [[0, 1, 2, 3]]


def test_images_that_are_nearly_sure_are_still_told_apart():
    sure = hats(50.0, 60.0, 55.0, 300.0, 299.0)
    assert rank_by_attributes(sure, "hat").order.tolist() == [[3, 4, 1, 2, 0]]
    assert rank_by_attributes(sure, "no hat").order.tolist() == [[0, 2, 1, 4, 3]]
    ranking = rank_by_attributes(hats(-2000.0, -1500.0, -1e30), "hat")
    assert ranking.order.tolist() == [[1, 0, 2]]
    assert ranking.score.tolist() == [[0.0, 0.0, 0.0]]  # too small for a probability, but ranked


def test_half_precision_is_ranked_in_full():
    predictions = predicted(50)
    half = AttributePredictions(
        {head: table.half() for head, table in predictions.logits.items()},
        predictions.pids,
        predictions.camids,
    )
    ranking = rank_by_attributes(half, "old, hat", 5)
    assert ranking.score.dtype == torch.float64 and torch.isfinite(ranking.score).all()


def test_blocks_of_wishes_change_nothing(monkeypatch):
    predictions = predicted(25)
    whole = rank_by_attributes(predictions, WISHES * 3, 6)
    for block in (1, 25, 60, 25 * 12):
        monkeypatch.setattr(reidlab.ranking.attributes, "BLOCK", block)
        parts = rank_by_attributes(predictions, WISHES * 3, 6)
        assert torch.equal(parts.order, whole.order) and torch.equal(parts.score, whole.score)


@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), count=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_a_shift_of_all_logits_of_a_head_changes_nothing(seed, shift, count):
    predictions = predicted(count, seed)
    moved = AttributePredictions(
        {head: table.double() + shift for head, table in predictions.logits.items()},
        predictions.pids,
        predictions.camids,
    )
    wishes = [read_wish(text) for text in WISHES]
    found, again = log_chances(predictions, wishes), log_chances(moved, wishes)
    torch.testing.assert_close(found, again, rtol=1e-9, atol=1e-9)
    assert bool((found <= 0).all())


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_wish_and_its_opposite_have_chances_that_sum_to_1(seed):
    wishes = [read_wish(text) for text in ("red or blue top", "no red or blue top")]
    both = log_chances(predicted(20, seed, spread=5.0), wishes).exp()
    torch.testing.assert_close(both.sum(dim=0), torch.ones(20, dtype=torch.float64))


def test_a_head_that_is_not_predicted_is_named():
    predictions = predicted(5, heads=("hat", "age"))
    assert len(rank_by_attributes(predictions, "hat, old")) == 1
    expected = (
        "'red top, hat' asks for up_color, which the model does not predict; it knows hat, age"
    )
    with pytest.raises(ValueError, match=expected):
        rank_by_attributes(predictions, ["old", "red top, hat"])


@pytest.mark.parametrize("k", [0, 6, -1, 2.0, True])
def test_other_numbers_of_places_are_refused(k):
    with pytest.raises(ValueError, match="expected k from 1 to 5, the number of images"):
        rank_by_attributes(predicted(5), "hat", k)


def test_nothing_to_rank_is_refused():
    with pytest.raises(ValueError, match="expected wishes and images to rank, got 1 and 0"):
        rank_by_attributes(predicted(0), "hat")
    with pytest.raises(ValueError, match="got 0 and 5"):
        rank_by_attributes(predicted(5), [])
    with pytest.raises(ValueError, match="unknown word 'wings'"):
        rank_by_attributes(predicted(5), "wings")


def test_a_ranking_checks_its_shapes():
    good = rank_by_attributes(predicted(5), "hat", 2)
    for order, score, message in (
        (good.order[0], good.score[0], r"order of shape \(1, K\), got \(2,\)"),
        (good.order, good.score[:, :1], "order and score of one shape"),
        (good.order + 5, good.score, "positions below 5"),
        (good.order - 5, good.score, "positions below 5"),
    ):
        with pytest.raises(ValueError, match=message):
            AttributeRanking(order, score, good.predictions, good.wishes)
