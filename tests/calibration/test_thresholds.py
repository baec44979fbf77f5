import warnings

import numpy as np
import pytest
import torch

import reidlab.calibration.smallest
from reidlab.calibration import choose_threshold
from reidlab.calibration.intervals import Estimate, rate_by_person, rate_of_pairs
from reidlab.embedding import Embeddings


def accepted_by_hand(query, gallery, pairs_by_hand, distance):
    """Rates with their variances from lists of pairs, dictionaries and loops."""
    same, different = pairs_by_hand(query, gallery)

    def group(g):
        pid = int(gallery.pids[g])
        return pid if pid > 0 else ("nobody", g)

    persons = sorted({int(p) for p in query.pids if p > 0})
    groups = sorted({group(g) for g in range(len(gallery)) if gallery.pids[g] != -1}, key=str)
    tables = []
    for wanted in (lambda d: d <= distance, lambda d: True):
        rows = dict.fromkeys(persons, 0)
        columns = dict.fromkeys(groups, 0)
        for d, q, g in different:
            if wanted(d):
                rows[int(query.pids[q])] += 1
                columns[group(g)] += 1
        tables.append((np.array(list(rows.values())), np.array(list(columns.values()))))
    partner = np.array([groups.index(p) if p in groups else -1 for p in persons])
    false = rate_of_pairs(tables[0], tables[1], partner)
    mine = {p: [d for d, q, _ in same if int(query.pids[q]) == p] for p in persons}
    hits = np.array([sum(d <= distance for d in mine[p]) for p in persons])
    return false, rate_by_person(hits, np.array([len(mine[p]) for p in persons]))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.99])
def test_the_threshold_is_the_largest_that_keeps_the_rate(mixed, pairs_by_hand, small_blocks, rate):
    query, gallery = mixed
    found = choose_threshold(query, gallery, false_accept_rate=rate, resamples=20)
    _, different = pairs_by_hand(query, gallery)
    distances = sorted(d for d, _, _ in different)
    allowed = int(rate * len(distances))
    assert sum(d <= found.distance for d in distances) == allowed
    middle = (distances[allowed - 1] + distances[allowed]) / 2
    assert found.distance == pytest.approx(middle, abs=1e-6)
    assert found.false_accept.value == pytest.approx(allowed / len(distances))
    assert found.false_accept.pairs == len(distances)


def test_both_rates_and_their_variances_follow_from_the_pairs(mixed, pairs_by_hand, small_blocks):
    query, gallery = mixed
    found = choose_threshold(query, gallery, false_accept_rate=0.07, confidence=0.9, resamples=20)
    false, true = accepted_by_hand(query, gallery, pairs_by_hand, found.distance)
    assert found.false_accept == false.interval(0.9)
    assert found.true_accept == true.interval(0.9)
    assert found.false_accept.people == 12


def test_applied_elsewhere_the_rates_follow_from_the_pairs(people, mixed, pairs_by_hand):
    threshold = choose_threshold(
        *people(8, 15), false_accept_rate=0.05, confidence=0.9, resamples=20
    )
    query, gallery = mixed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = threshold.apply(query, gallery)
    false, true = accepted_by_hand(query, gallery, pairs_by_hand, threshold.distance)
    assert rates.false_accept_here == false.interval(0.9)
    own = threshold.false_accept.deviation / threshold.false_accept.value
    theirs = false.variance**0.5 / false.value * (12 / 15) ** 0.5
    assert rates.false_accept == false.interval(0.9, max(own, theirs), 15)
    assert rates.true_accept == true.interval(0.9)
    assert rates.false_accept.low < rates.false_accept_here.low


def test_blocks_and_pruning_do_not_change_the_threshold(people, monkeypatch):
    query, gallery = people(3, 20)
    whole = choose_threshold(query, gallery, resamples=20)
    monkeypatch.setattr("reidlab.ranking.blocks.BLOCK_ENTRIES", 100)
    monkeypatch.setattr(reidlab.calibration.smallest, "SLACK", 5)
    pruned = choose_threshold(query, gallery, resamples=20)
    assert pruned.distance == pytest.approx(whole.distance, abs=1e-6)
    assert pruned.false_accept.value == whole.false_accept.value
    assert pruned.false_accept.deviation == pytest.approx(whole.false_accept.deviation)


def test_applied_to_its_own_people_a_threshold_has_its_own_rates(people):
    query, gallery = people(5, 20)
    threshold = choose_threshold(query, gallery)
    rates = threshold.apply(query, gallery)
    assert rates.false_accept_here == threshold.false_accept
    assert rates.true_accept == threshold.true_accept
    assert not rates.shift.differs


def test_equal_distances_are_accepted_together_or_not_at_all():
    corners = np.eye(4, dtype=np.float32)
    pids = np.repeat(np.arange(1, 17), 2)
    features = corners[(pids - 1) % 4]  # people of one corner cannot be told apart
    query = Embeddings(features, pids, np.ones(32, int))
    gallery = Embeddings(features, pids, np.tile([1, 2], 16))
    # Of 16 x 15 pairs of people, 3/15 lie at distance 0 and 12/15 at distance 2.
    found = choose_threshold(query, gallery, false_accept_rate=0.5, resamples=20)
    assert found.false_accept.value == pytest.approx(3 / 15)
    assert found.distance == pytest.approx(1.0)
    with pytest.raises(ValueError, match="occurs more than 96 times"):
        choose_threshold(query, gallery, false_accept_rate=0.1, resamples=20)


def test_thresholds_are_found_in_double_precision_too(people):
    query, gallery = people(5, 12)
    wide = [Embeddings(e.features.double(), e.pids, e.camids) for e in (query, gallery)]
    one = choose_threshold(query, gallery, resamples=20).distance
    assert choose_threshold(*wide, resamples=20).distance == pytest.approx(one, abs=1e-5)


def test_the_same_seed_gives_the_same_threshold_and_another_the_same_rates(people):
    query, gallery = people(6, 12)
    one, again = (choose_threshold(query, gallery, resamples=30) for _ in range(2))
    other = choose_threshold(query, gallery, resamples=30, seed=1)
    assert one == again
    assert (one.distance, one.false_accept) == (other.distance, other.false_accept)
    assert one.place.share_spread != other.place.share_spread


def test_a_threshold_prints_what_it_rests_on(people):
    query, gallery = people(5, 20)
    found = choose_threshold(query, gallery, fingerprint="2dc64cee918f", model="run/model")
    assert "(made up, 2dc64cee918f, run/model)" in str(found)
    assert "false accept rate of 1.00 %" in str(found)
    assert "people" in str(found).splitlines()[1]
    rates = found.apply(query, gallery)
    assert [line.split("  ")[0].strip() for line in str(rates).splitlines()[:2]] == [
        "rate",
        "false accept",
    ]
    assert "looks like" in str(rates)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_accept_rate": 0.0}, "false_accept_rate between 0 and 1"),
        ({"false_accept_rate": 1.0}, "false_accept_rate between 0 and 1"),
        ({"confidence": 1.0}, "confidence between 0 and 1"),
        ({"false_accept_rate": 1e-6}, "1,000,000 at the least"),
        ({"resamples": 0}, "resamples of at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(people, options, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(*people(0, 10), **options)


def test_too_few_people_are_refused(people):
    with pytest.raises(ValueError, match="at least 8 people to calibrate on, got 7"):
        choose_threshold(*people(0, 7))


def test_one_camera_only_is_refused(people):
    query, gallery = people(0, 10, cameras=1)
    with pytest.raises(ValueError, match="one person in two cameras, got none"):
        choose_threshold(query, gallery, resamples=5)


def test_nobody_known_is_refused(people, others):
    query, gallery = people(0, 10)
    with pytest.raises(ValueError, match="queries of known people.* got 0 of 4"):
        choose_threshold(others(0, 4), gallery)
    with pytest.raises(ValueError, match="0 of 5"):
        choose_threshold(query, others(0, 5, -1))


def test_one_person_is_no_place_for_false_accepts(people):
    threshold = choose_threshold(*people(0, 10), false_accept_rate=0.05, resamples=20)
    query, gallery = people(1, 1, images=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="different people, got one person only"):
            threshold.apply(query, gallery)


def test_features_of_another_model_are_refused(people):
    threshold = choose_threshold(*people(0, 10), false_accept_rate=0.05, resamples=20)
    with pytest.raises(ValueError, match="width 16 as in the calibration set, got 8"):
        threshold.apply(*people(1, 10, width=8))


@pytest.mark.parametrize(
    ("exponent", "low", "high"),
    [
        (0.35, 0.925, 0.985),  # people as different as those of a trained network: 0.96
        (0.6, 0.89, 0.97),  # a few look-alikes make up most false accepts: 0.94
    ],
)
def test_the_interval_on_new_people_holds_the_rate_asked_for(people, exponent, low, high):
    """Thirty people choose, eighty others are measured, again and again, all from one world.

    The figures beside the bounds were measured over 800 draws.
    """
    options = {"width": 64, "noise": 0.5, "scale": np.arange(1, 65) ** -exponent}
    draws, held, alone = 250, 0, 0
    for draw in range(draws):
        threshold = choose_threshold(*people(2 * draw, 30, **options), resamples=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # resamples=1 knows no spread
            rates = threshold.apply(*people(2 * draw + 1, 80, first=1000, **options))
        held += 0.01 in rates.false_accept
        alone += 0.01 in rates.false_accept_here
    assert low <= held / draws <= high
    assert alone / draws < 0.75  # forgetting that thirty people chose would not do


@pytest.mark.parametrize(("calibration", "new"), [(0.2, 1.0), (1.0, 0.2)])
def test_the_people_who_differ_more_say_how_much_the_choice_is_worth(people, calibration, new):
    scales = [np.r_[np.ones(3), np.full(13, each)] for each in (calibration, new)]
    threshold = choose_threshold(*people(0, 20, scale=scales[0]), resamples=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = threshold.apply(*people(1, 45, scale=scales[1]))
    own = threshold.false_accept.deviation / threshold.false_accept.value
    here = rates.false_accept_here
    theirs = here.deviation / here.value * (45 / 20) ** 0.5
    estimate = Estimate(here.value, here.deviation**2, here.pairs, here.people)
    wanted = estimate.interval(0.95, max(own, theirs), 20)
    assert (rates.false_accept.low, rates.false_accept.high) == pytest.approx(
        (wanted.low, wanted.high)
    )


def test_a_rate_of_zero_is_no_proof(people):
    threshold = choose_threshold(*people(0, 10), false_accept_rate=0.05, resamples=20)
    query, gallery = people(1, 9, noise=0.01, width=16)
    far = torch.eye(16)[(gallery.pids - 1) % 16]
    apart = Embeddings(far, gallery.pids, gallery.camids)
    asked = Embeddings(torch.eye(16)[(query.pids - 1) % 16], query.pids, query.camids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = threshold.apply(asked, apart)
    assert rates.false_accept.value == 0.0 and rates.false_accept.low == 0.0
    assert rates.false_accept.high > 0.2  # nine people say little
    assert rates.true_accept.value == 1.0 and rates.true_accept.low < 0.75
