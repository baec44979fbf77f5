import numpy as np
import pytest

from reidlab.calibration import choose_threshold
from reidlab.calibration.bootstrap import (
    distance_interval,
    draw_people,
    looked_at,
    people_of,
    whole_weight,
)
from reidlab.calibration.pairs import Labels
from reidlab.calibration.smallest import nearest_different


def closest(query, gallery, rate):
    labels = Labels(query, gallery)
    total = int(labels.different_per_person()[0].sum())
    count = min(looked_at(int(rate * total)), total)
    return nearest_different(query, gallery, labels, count), labels


def slow_draw(query, gallery, labels, mine, theirs, rate):
    """Write every drawn pair of different people down, as often as it is drawn, and sort."""
    x, y = (side.normalized().features.numpy() for side in (query, gallery))
    distances = []
    for p, person in enumerate(labels.people):
        for q in np.flatnonzero(query.pids.numpy() == person):
            for g, group in enumerate(labels.gallery_group):
                pid = int(gallery.pids[g])
                if pid not in (-1, person):
                    distances += [2 - 2 * float(x[q] @ y[g])] * int(mine[p] * theirs[group])
    distances.sort()
    return distances[int(rate * len(distances))], len(distances)  # the first pair too many


def test_a_draw_is_the_quantile_of_the_pairs_written_down(people, mixed):
    for query, gallery in (people(0, 9), mixed):
        nearest, labels = closest(query, gallery, 0.05)
        line, column = people_of(nearest, labels)
        rng = np.random.default_rng(3)
        for _ in range(5):
            mine, theirs = draw_people(labels, rng)
            expected, count = slow_draw(query, gallery, labels, mine, theirs, 0.05)
            assert whole_weight(labels, mine, theirs) == count
            weight = (mine[line] * theirs[column]).cumsum()
            place = weight.searchsorted(0.05 * count, "right")
            assert place < len(weight)
            assert nearest.distance[place] == pytest.approx(expected, abs=1e-5)


def test_people_on_both_sides_are_drawn_once_and_junk_never(mixed):
    labels = Labels(*mixed)
    mine, theirs = draw_people(labels, np.random.default_rng(0))
    both = labels.partner >= 0
    assert (mine[both] == theirs[labels.partner[both]]).all()
    assert not theirs[labels.group_sizes == 0].any()
    assert mine[~both].sum() + theirs.sum() == (~both).sum() + (labels.group_sizes > 0).sum()


def test_query_people_without_a_gallery_are_drawn_too(people):
    query, gallery = people(0, 8)
    labels = Labels(query, gallery[np.flatnonzero(gallery.pids.numpy() > 3)])
    draws = [draw_people(labels, np.random.default_rng(seed))[0] for seed in range(20)]
    assert (np.stack(draws)[:, :3] > 0).any(axis=0).all()


def test_the_interval_holds_the_threshold_and_repeats(people):
    first, again = (choose_threshold(*people(0, 30), resamples=300, seed=5) for _ in range(2))
    assert first == again
    assert 0 < first.low < first.distance < first.high
    assert f"would be {first.low:.4g} to {first.high:.4g}" in str(first)
    other = choose_threshold(*people(0, 30), resamples=300, seed=6)
    assert other.distance == first.distance and other.low != first.low


def test_more_people_and_less_confidence_make_it_narrower(people):
    few, many = (choose_threshold(*people(0, n), resamples=300) for n in (12, 60))
    assert many.high - many.low < few.high - few.low
    loose = choose_threshold(*people(0, 12), resamples=300, confidence=0.5)
    assert few.low < loose.low < loose.high < few.high


def test_the_interval_holds_the_thresholds_that_other_people_choose(people):
    chosen = [choose_threshold(*people(s, 25), resamples=200) for s in range(60)]
    distances = [each.distance for each in chosen]
    right = np.median(distances)  # about the threshold of a large set
    assert np.mean([each.low <= right <= each.high for each in chosen]) >= 0.93
    width = np.median([each.high - each.low for each in chosen])
    assert width < 2 * np.ptp(np.quantile(distances, [0.025, 0.975]))  # wide, but not idle


def test_very_many_pairs_mean_fewer_draws(people, monkeypatch):
    nearest, labels = closest(*people(0, 10), 0.1)
    monkeypatch.setattr("reidlab.calibration.bootstrap.WORK", 1)
    monkeypatch.setattr("reidlab.calibration.bootstrap.LEAST", 2)
    short = distance_interval(nearest, labels, 0.1, 0.9, 1000, 0)
    monkeypatch.setattr("reidlab.calibration.bootstrap.WORK", 10**9)
    assert short == distance_interval(nearest, labels, 0.1, 0.9, 2, 0)
    assert short != distance_interval(nearest, labels, 0.1, 0.9, 1000, 0)
