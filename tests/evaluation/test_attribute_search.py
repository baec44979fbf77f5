from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from reidlab.data.attributes import HEADS, labels_of
from reidlab.data.samples import Sample
from reidlab.data.wishes import read_wish
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attribute_search import chance_ap, evaluate_attribute_search
from reidlab.ranking.attributes import rank_by_attributes

WISHES = ["hat", "red or blue top, backpack", "old, no hat", "short trousers"]


def gallery(people: int, images: int = 3, seed: int = 0, skill: float = 1.0):
    """Predictions of a gallery, more or less right, and the truth."""
    rng = np.random.default_rng(seed)
    pids = rng.permutation(np.repeat(np.arange(1, people + 1), images))
    targets, logits = {}, {}
    for head, names in HEADS.items():
        own = rng.integers(0, len(names), people)
        targets[head] = torch.as_tensor(own[pids - 1])
        right = np.eye(len(names))[own[pids - 1]]
        noise = rng.standard_normal((len(pids), len(names)))
        logits[head] = torch.as_tensor(noise + skill * right)
    predictions = AttributePredictions(
        logits, torch.as_tensor(pids), torch.zeros(len(pids)).long(), source="made up"
    )
    return predictions, targets


def slow_ap(order: list[int], relevant: set[int]) -> float:
    """Precision at each hit, then the mean."""
    hits, precisions = 0, []
    for place, image in enumerate(order, 1):
        if image in relevant:
            hits += 1
            precisions.append(hits / place)
    return sum(precisions) / len(precisions)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_definition_and_of_scikit_learn(seed):
    predictions, targets = gallery(15, seed=seed)
    scores = evaluate_attribute_search(predictions, targets, WISHES)
    ranking = rank_by_attributes(predictions, WISHES)
    for q, text in enumerate(WISHES):
        wish, order = read_wish(text), ranking.order[q].tolist()
        truth = [wish.fulfilled({h: int(t[i]) for h, t in targets.items()}) for i in range(45)]
        assert scores.relevant[q] == sum(truth) > 0
        assert scores.ap[q] == pytest.approx(slow_ap(order, set(np.flatnonzero(truth).tolist())))
        by_image = torch.empty(45, dtype=torch.float64)
        by_image[ranking.order[q]] = ranking.score[q]
        assert scores.ap[q] == pytest.approx(average_precision_score(truth, by_image.numpy()))
        for k in (1, 5, 10):
            assert scores.precision[k][q] == sum(truth[i] for i in order[:k]) / k
        assert scores.chance[q] == chance_ap(sum(truth), 45)
    assert scores.mean_ap == pytest.approx(scores.ap.mean())
    assert scores.mean_chance == pytest.approx(scores.chance.mean())
    assert scores.mean_precision(5) == pytest.approx(scores.precision[5].mean())
    assert (scores.total, scores.by, scores.source) == (45, "image", "made up")


@pytest.mark.parametrize("seed", range(3))
def test_people_rank_by_the_mean_of_their_images(seed):
    predictions, targets = gallery(20, images=6, seed=seed)
    keep = torch.arange(70)  # people with few images and with many
    assert len(predictions[keep].pids.unique()) == 20
    predictions, targets = predictions[keep], {head: t[keep] for head, t in targets.items()}
    scores = evaluate_attribute_search(predictions, targets, WISHES, by="person")
    assert (scores.total, scores.by) == (20, "person")
    for q, text in enumerate(WISHES):
        wish = read_wish(text)
        means, relevant = {}, set()
        for pid in range(1, 21):
            own = np.flatnonzero(predictions.pids.numpy() == pid)
            logs = []
            for i in own:
                chance = 1.0
                for head, wanted in wish.wanted.items():
                    chance *= float(predictions.probabilities[head][i][sorted(wanted)].sum())
                logs.append(np.log(chance))
            means[pid] = np.mean(logs)
            if wish.fulfilled({head: int(t[own[0]]) for head, t in targets.items()}):
                relevant.add(pid)
        order = sorted(means, key=lambda pid: (-means[pid], pid))
        assert scores.relevant[q] == len(relevant)
        if relevant:
            assert scores.ap[q] == pytest.approx(slow_ap(order, relevant))
            assert scores.precision[5][q] == len(relevant & set(order[:5])) / 5


def test_a_perfect_model_scores_1_and_a_blind_one_like_chance():
    predictions, targets = gallery(60, skill=100.0)
    assert evaluate_attribute_search(predictions, targets, WISHES).mean_ap == pytest.approx(1)
    blind = [gallery(60, seed=seed, skill=0.0) for seed in range(30)]
    scores = [evaluate_attribute_search(p, t, "hat") for p, t in blind]
    ap, chance = np.mean([s.mean_ap for s in scores]), np.mean([s.mean_chance for s in scores])
    assert ap == pytest.approx(chance, abs=0.02)


def test_ties_rank_in_gallery_order():
    logits = {"hat": torch.zeros(4, 2)}
    predictions = AttributePredictions(logits, torch.arange(1, 5), torch.zeros(4).long())
    scores = evaluate_attribute_search(predictions, {"hat": torch.tensor([0, 1, 0, 1])}, "hat")
    assert scores.ap.tolist() == [(1 / 2 + 2 / 4) / 2]
    assert scores.precision[1].tolist() == [0.0]
    assert np.isnan(scores.precision[5]).all() and np.isnan(scores.mean_precision(5))


@pytest.mark.parametrize("total", range(1, 7))
def test_the_chance_level_is_the_mean_over_all_orders(total):
    for relevant in range(1, total + 1):
        orders = itertools.permutations(range(total))
        every = [slow_ap(list(order), set(range(relevant))) for order in orders]
        assert chance_ap(relevant, total) == pytest.approx(np.mean(every), abs=1e-12)


@pytest.mark.parametrize(("relevant", "total"), [(1, 200), (20, 200), (190, 200)])
def test_the_chance_level_is_that_of_random_orders(relevant, total):
    rng = np.random.default_rng(0)
    aps = []
    for _ in range(2000):
        places = np.sort(rng.permutation(total)[:relevant])
        aps.append(np.mean((np.arange(relevant) + 1) / (places + 1)))
    error = np.std(aps) / np.sqrt(len(aps))
    assert chance_ap(relevant, total) == pytest.approx(np.mean(aps), abs=4 * error + 1e-12)
    assert chance_ap(relevant, total) > relevant / total


@given(total=st.integers(2, 5000), data=st.data())
@settings(max_examples=50, deadline=None)
def test_the_chance_level_rises_with_the_number_of_relevant_ones(total, data):
    relevant = data.draw(st.integers(1, total - 1))
    assert 0 < chance_ap(relevant, total) < chance_ap(relevant + 1, total) <= 1 + 1e-12


@pytest.mark.parametrize(("relevant", "total"), [(0, 5), (6, 5), (1.0, 5), (True, 5), (1, 0)])
def test_other_numbers_have_no_chance_level(relevant, total):
    with pytest.raises(ValueError, match="expected (relevant|total)"):
        chance_ap(relevant, total)


def test_wishes_that_nobody_fulfils_are_reported_and_not_counted():
    predictions, targets = gallery(10)
    targets["hat"][:] = 0
    targets["age"][0] = 3
    scores = evaluate_attribute_search(predictions, targets, ["hat", "old"])
    assert scores.counted.tolist() == [False, True] and scores.relevant[0] == 0
    assert (
        np.isnan(scores.ap[0]) and np.isnan(scores.chance[0]) and np.isnan(scores.precision[1][0])
    )
    assert scores.mean_ap == scores.ap[1] and scores.mean_chance == scores.chance[1]
    assert scores.mean_precision(1) == scores.precision[1][1]
    assert str(scores).splitlines()[-1] == "not counted, because nobody fulfils them: hat"
    with pytest.raises(ValueError, match="nobody among 30 fulfils any of the 1 wishes, .* 'hat'"):
        evaluate_attribute_search(predictions, targets, "hat")
    with pytest.raises(ValueError, match="expected a wish or more, got none"):
        evaluate_attribute_search(predictions, targets, [])


def test_the_table_shows_every_wish_and_the_mean():
    predictions, targets = gallery(10, skill=100.0)
    scores = evaluate_attribute_search(predictions, targets, ["hat", "long hair"])
    lines = str(scores).splitlines()
    head = "wish relevant images AP chance P@1 P@5 P@10".split()
    assert lines[0].split() == head
    share = f"{scores.relevant[0]} of 30"
    assert lines[1].split("  ")[0] == "hat" and share in lines[1] and " 100.0% " in lines[1]
    assert lines[3].startswith("mean of 2") and f"{scores.mean_chance:.1%}" in lines[3]
    people = evaluate_attribute_search(predictions, targets, "hat", by="person")
    assert "relevant people" in str(people) and " of 10 " in str(people)
    assert repr(people).startswith("SearchScores(mean AP 100.0%, chance ")
    assert repr(people).endswith("1 of 1 wishes, 10 people)")


def test_scores_become_json():
    predictions, targets = gallery(3, 2)
    found = evaluate_attribute_search(predictions, targets, ["long hair", "pink trousers, hat"])
    content = json.loads(json.dumps(found.as_dict()))
    assert content["wishes"][0]["wish"] == "long hair" and content["total"] == 6
    assert content["wishes"][0]["ap"] == found.ap[0]
    assert content["wishes"][0]["precision"]["10"] is None  # of 6 images
    assert content["mean"]["ap"] == found.mean_ap
    assert content["mean"]["precision"]["1"] == found.mean_precision(1)
    with pytest.raises(ValueError, match="expected one of 1, 5, 10, got 3"):
        found.mean_precision(3)


def samples_of(predictions, targets) -> list[Sample]:
    return [
        Sample(
            Path(f"{i}.jpg"),
            pid,
            1,
            attributes=labels_of({h: int(t[i]) for h, t in targets.items()}),
        )
        for i, pid in enumerate(predictions.pids.tolist())
    ]


def test_samples_bring_their_own_truth():
    predictions, targets = gallery(12)
    samples = samples_of(predictions, targets)
    found = evaluate_attribute_search(predictions, samples, WISHES)
    expected = evaluate_attribute_search(predictions, targets, WISHES)
    np.testing.assert_array_equal(found.ap, expected.ap)
    for wrong, message in (
        (samples[::-1], "row 0: predicted for person"),
        (samples[:-1], "expected the 36 samples that were predicted, got 35"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_attribute_search(predictions, wrong, WISHES)
    nobody = [*samples[:-1], Sample(Path("x.jpg"), samples[-1].pid, 1)]
    with pytest.raises(ValueError, match=r"x\.jpg: nobody says which attributes"):
        evaluate_attribute_search(predictions, nobody, WISHES)


def test_targets_must_belong_to_the_predictions():
    predictions, targets = gallery(4)
    hat = targets["hat"]
    for wrong, message in (
        ({"age": targets["age"]}, "expected targets of hat, got those of age"),
        ({"hat": hat[:-1]}, "hat: expected a whole number for each of 12 images, got"),
        ({"hat": hat.double()}, "hat: expected a whole number for each of 12 images, got float64"),
        ({"hat": hat.clone().fill_(2)}, "hat: row 0 is of class 2, expected 0 to 1"),
        ({"hat": hat.clone().index_fill_(0, torch.tensor(5), -1)}, "row 5 is of class -1"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_attribute_search(predictions, wrong, "hat")
    with pytest.raises(ValueError, match="unknown by='camera'; expected image or person"):
        evaluate_attribute_search(predictions, targets, "hat", by="camera")  # type: ignore
    few = AttributePredictions(
        {"age": predictions.logits["age"]}, predictions.pids, predictions.pids
    )
    with pytest.raises(ValueError, match="asks for hat, which the model does not predict"):
        evaluate_attribute_search(few, targets, "hat")


def test_people_need_ids_and_one_truth():
    predictions, targets = gallery(4)
    first, second = np.flatnonzero(predictions.pids.numpy() == 2)[:2]
    targets["hat"][second] = 1 - targets["hat"][second]
    expected = f"hat: image {second} of person 2 has another target than image {first}"
    with pytest.raises(ValueError, match=expected):
        evaluate_attribute_search(predictions, targets, "hat", by="person")
    evaluate_attribute_search(predictions, targets, "hat")
    for pid, by in itertools.product((0, -1, -2), ("person", "image")):
        predictions.pids[7] = pid
        with pytest.raises(ValueError, match=rf"row 7 shows nobody .* \(person id {pid}\)"):
            evaluate_attribute_search(predictions, targets, "hat", by=by)


def test_people_who_tie_rank_by_their_first_image():
    pids = torch.tensor([9, 4, 9, 2, 4, 2])
    predictions = AttributePredictions({"hat": torch.zeros(6, 2)}, pids, pids)
    for pid, place in ((9, 1), (4, 2), (2, 3)):
        scores = evaluate_attribute_search(
            predictions, {"hat": (pids == pid).long()}, "hat", by="person"
        )
        assert scores.ap.tolist() == [1 / place]


@pytest.mark.parametrize("wish", [None, 5, {"hat": True}, [None]])
def test_what_is_no_wish_is_refused(wish):
    predictions, targets = gallery(4)
    for call in (
        lambda: rank_by_attributes(predictions, wish),
        lambda: evaluate_attribute_search(predictions, targets, wish),
    ):
        with pytest.raises(ValueError, match="expected a (wish|text|class name)"):
            call()
