import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reidlab.calibration.intervals import (
    Estimate,
    Rate,
    bootstrap_margin,
    check_confidence,
    percent,
    rate_by_person,
    rate_of_pairs,
    student,
    wilson,
)


def made_up_counts(seed, people, groups):
    """Pairs and accepted pairs per (query person, gallery group); person i is group i."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(1, 6, (people, groups))
    pairs[np.arange(min(people, groups)), np.arange(min(people, groups))] = 0
    return pairs, rng.binomial(pairs, rng.uniform(0, 0.5, (people, 1)))


def slow_variance(pairs, accepted):
    """The definition read aloud: the excess of everything that each single person is part of."""
    rate = accepted.sum() / pairs.sum()
    people, groups = pairs.shape
    total = 0.0
    for one in range(max(people, groups)):
        excess = 0.0
        for q in range(people):
            for g in range(groups):
                if one in (q, g):
                    excess += accepted[q, g] - rate * pairs[q, g]
        total += excess**2
    n = min(people, groups)
    return rate, total / pairs.sum() ** 2 * n / (n - 1)


@pytest.mark.parametrize(("people", "groups"), [(6, 6), (4, 9), (2, 2)])
def test_the_variance_of_a_rate_of_pairs_adds_up_what_each_person_is_part_of(people, groups):
    pairs, accepted = made_up_counts(people, people, groups)
    found = rate_of_pairs(
        (accepted.sum(axis=1), accepted.sum(axis=0)),
        (pairs.sum(axis=1), pairs.sum(axis=0)),
        np.arange(people),
    )
    rate, variance = slow_variance(pairs, accepted)
    assert found.value == pytest.approx(rate)
    assert found.variance == pytest.approx(variance)
    assert (found.pairs, found.people) == (pairs.sum(), people)


def test_people_of_one_side_only_stand_alone():
    pairs, accepted = made_up_counts(3, 4, 5)
    pairs[np.arange(4), np.arange(4)], accepted[np.arange(4), np.arange(4)] = 3, 1
    found = rate_of_pairs(
        (accepted.sum(axis=1), accepted.sum(axis=0)),
        (pairs.sum(axis=1), pairs.sum(axis=0)),
        np.full(4, -1),
    )
    excess = accepted - accepted.sum() / pairs.sum() * pairs
    squares = (excess.sum(axis=1) ** 2).sum() + (excess.sum(axis=0) ** 2).sum()
    assert found.variance == pytest.approx(squares / pairs.sum() ** 2 * 4 / 3)


def test_the_variance_is_close_to_leaving_out_one_person_at_a_time():
    people = 60
    pairs, accepted = made_up_counts(7, people, people)
    found = rate_of_pairs(
        (accepted.sum(axis=1), accepted.sum(axis=0)),
        (pairs.sum(axis=1), pairs.sum(axis=0)),
        np.arange(people),
    )
    without = []
    for one in range(people):
        left = np.ix_(np.arange(people) != one, np.arange(people) != one)
        without.append(accepted[left].sum() / pairs[left].sum())
    jackknife = (people - 1) ** 2 / people * np.var(without, ddof=1)
    assert found.variance == pytest.approx(jackknife, rel=0.1)


def test_the_variance_of_a_rate_by_person_is_that_of_a_ratio():
    accepted, count = np.array([3, 0, 2, 5]), np.array([4, 0, 6, 5])
    found = rate_by_person(accepted, count)
    rate = 10 / 15
    squares = (3 - rate * 4) ** 2 + (2 - rate * 6) ** 2 + (5 - rate * 5) ** 2
    assert found.value == pytest.approx(rate)
    assert found.variance == pytest.approx(squares / 15**2 * 3 / 2)
    assert (found.pairs, found.people) == (15, 3)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0.5, 1e5), st.floats(0.5, 4))
def test_wilson_ends_are_where_the_test_just_accepts(value, size, quantile):
    low, high = wilson(value, size, quantile)
    assert 0 <= low <= value + 1e-12 and value - 1e-12 <= high <= 1
    for end in (low, high):
        if 1e-9 < end < 1 - 1e-9:
            gap = abs(value - end) / math.sqrt(end * (1 - end) / size)
            assert gap == pytest.approx(quantile, rel=1e-4, abs=1e-4)


def test_wilson_touches_the_ends_exactly():
    assert wilson(0.0, 10, 2.0)[0] == 0.0 and wilson(1.0, 10, 2.0)[1] == 1.0


def test_student_is_the_two_sided_quantile():
    assert student(0.95, 29) == pytest.approx(stats.t.ppf(0.975, 29))
    assert student(0.9, 0.3) == pytest.approx(stats.t.ppf(0.95, 1))  # less than 1 is not asked


def test_an_interval_has_the_people_s_variance_and_their_freedom():
    estimate = Estimate(0.1, 0.0004, 10_000, 20)
    found = estimate.interval(0.95)
    assert (found.low, found.high) == pytest.approx(wilson(0.1, 0.09 / 0.0004, student(0.95, 19)))
    assert found.deviation == pytest.approx(0.02)


def test_choosing_the_threshold_widens_the_interval():
    estimate = Estimate(0.1, 0.0004, 10_000, 200)
    found = estimate.interval(0.95, choice=0.3, choosers=20)
    own, added = 0.0004 / 0.09, 0.3**2 * 0.1 / 0.9
    freedom = (own + added) ** 2 / (own**2 / 199 + added**2 / 19)
    expected = wilson(0.1, 1 / (own + added), student(0.95, freedom))
    assert (found.low, found.high) == pytest.approx(expected)
    alone = estimate.interval(0.95)
    assert found.low < alone.low < alone.high < found.high


def test_an_interval_is_never_better_than_independent_pairs():
    found = Estimate(0.5, 0.0, 100, 10).interval(0.95)
    assert (found.low, found.high) == pytest.approx(wilson(0.5, 100, student(0.95, 9)))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_none_speaks_for_as_many_trials_as_people(value):
    found = Estimate(value, 0.0, 10_000, 30).interval(0.95)
    assert (found.low, found.high) == pytest.approx(wilson(value, 30, student(0.95, 29)))
    wider = Estimate(value, 0.0, 10_000, 30).interval(0.95, choice=1.0, choosers=30)
    assert wider.high - wider.low > found.high - found.low


def test_bootstrap_margins_grow_with_few_people():
    draws = np.random.default_rng(0).normal(0.5, 0.1, (1000, 4))
    draws[:, 3] = np.nan
    draws[::7, 1] = np.nan  # draws in which nobody had the label
    margin = bootstrap_margin(draws, np.array([100, 5, 1, 9]), 0.95)
    for column, people in ((0, 100), (1, 5)):
        deviation = np.nanstd(draws[:, column], ddof=1) * math.sqrt(people / (people - 1))
        assert margin[column] == pytest.approx(student(0.95, people - 1) * deviation)
    assert np.isnan(margin[2]) and np.isnan(margin[3])


def test_a_rate_knows_what_it_holds_and_prints_percent():
    rate = Rate(0.0102, 0.0035, 0.0291, 1000, 30, 0.004)
    assert 0.01 in rate and 0.0035 in rate and 0.0034 not in rate and 0.03 not in rate
    assert str(rate) == "1.02 % (0.35 to 2.91)"
    assert [percent(x) for x in (0.5, 0.1, 0.00123, 0.0000123)] == [
        "50.0",
        "10.0",
        "0.12",
        "0.00123",
    ]


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1, 95])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match=r"between 0 and 1, such as 0\.95"):
        check_confidence(confidence)
