from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlab.data.attribute_split import AttributeSplit, split_by_attributes, split_samples
from reidlab.data.attributes import COLUMNS, HEADS, AttributeTable, labels_of
from reidlab.data.samples import Sample, Samples


def person(rng: random.Random, skew: float = 1.0) -> dict[str, int]:
    """Somebody with classes drawn so that later ones are rarer."""
    found = {}
    for head, names in HEADS.items():
        weights = [(i + 1) ** -skew for i in range(len(names))]
        found[head] = rng.choices(range(len(names)), weights)[0]
    return labels_of(found)


def crowd(count: int, seed: int = 0, skew: float = 1.0) -> dict[int, dict[str, int]]:
    rng = random.Random(seed)
    return {pid: person(rng, skew) for pid in rng.sample(range(1, 10 * count + 1), count)}


def slow_split(people, ratio, seed):
    """The procedure read aloud: one value after the other, lists only."""
    listed = []
    for place, column in enumerate(COLUMNS):
        for code in (1, 2, 3, 4):
            having = sorted(pid for pid in people if people[pid][column] == code)
            if having:
                listed.append((len(having), place, code, having))
    listed.sort(key=lambda entry: entry[:3])
    rng = np.random.default_rng(seed)
    train, validation = [], []
    for count, _, _, having in listed:
        left = [pid for pid in having if pid not in train and pid not in validation]
        if count == 1:
            train += left
            continue
        left = [int(pid) for pid in rng.permutation(left)]
        cut = math.floor(Fraction(str(ratio)) * len(left))
        train += left[:cut]
        validation += left[cut:]
    return sorted(train), sorted(validation)


@pytest.mark.parametrize("ratio", [0.8, 0.5, 0.29, 0.21])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_split_is_the_procedure_read_aloud(ratio, seed):
    people = crowd(100 + 40 * seed, seed)
    split = split_by_attributes(people, ratio, seed)
    assert (list(split.train), list(split.validation)) == slow_split(people, ratio, seed)
    assert (split.ratio, split.seed) == (ratio, seed)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(40, 90),
    world=st.integers(0, 10**6),
    ratio=st.floats(0.3, 0.95),
    seed=st.integers(0, 99),
)
def test_everybody_is_on_one_side_and_the_counts_are_true(count, world, ratio, seed):
    people = crowd(count, world, skew=1.5)
    split = split_by_attributes(people, ratio, seed)
    assert sorted(split.train + split.validation) == sorted(people)
    assert list(split.train) == sorted(set(split.train))
    assert list(split.validation) == sorted(set(split.validation))
    for (column, code), (train, held) in split.counts.items():
        assert train == sum(people[pid][column] == code for pid in split.train)
        assert held == sum(people[pid][column] == code for pid in split.validation)
        share = split.reached_by_value[column, code]
        assert share == train / (train + held)
        assert ((column, code) in split.missing_in_train) == (train == 0)
        assert ((column, code) in split.missing_in_validation) == (held == 0)
        if train + held == 1:
            assert train == 1
    occurring = {(c, code) for labels in people.values() for c, code in labels.items()}
    assert set(split.counts) == occurring
    assert split.reached == len(split.train) / count


@given(seed=st.integers(0, 50), turn=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_people_does_not_matter(seed, turn):
    people = crowd(60, 3)
    pids = list(people)
    turn.shuffle(pids)
    turned = {pid: dict(reversed(people[pid].items())) for pid in pids}
    assert split_by_attributes(turned, seed=seed) == split_by_attributes(people, seed=seed)
    assert split_by_attributes(AttributeTable(people), seed=seed) == split_by_attributes(
        people, seed=seed
    )


@pytest.mark.parametrize("percent", [7, 14, 28, 29, 55, 56, 57, 58, 80])
def test_a_share_that_is_a_whole_number_is_not_rounded_down(percent):
    same = dict.fromkeys(range(1, 101), dict.fromkeys(COLUMNS, 1))
    assert len(split_by_attributes(same, percent / 100).train) == percent
    assert 0.29 * 100 < 29  # which is why it might be


def test_seeds_differ_and_repeat():
    people = crowd(100)
    splits = [split_by_attributes(people, seed=seed) for seed in (0, 1, 0)]
    assert splits[0] == splits[2] and splits[0].train != splits[1].train


def test_the_ratio_holds_for_values_that_many_have():
    split = split_by_attributes(crowd(800, 5))
    assert split.reached == pytest.approx(0.8, abs=0.03)
    for value, (train, held) in split.counts.items():
        if train + held >= 100:
            assert split.reached_by_value[value] == pytest.approx(0.8, abs=0.08)
    assert not split.missing_in_train


def test_the_rarest_value_is_shared_out_first():
    plain = dict.fromkeys(COLUMNS, 1)
    people = {pid: plain | {"hat": 2 if pid <= 5 else 1} for pid in range(1, 101)}
    for seed in range(5):
        split = split_by_attributes(people, seed=seed)
        assert split.counts["hat", 2] == (4, 1)
        assert split.counts["hat", 1] == (76, 19)


def test_the_only_person_with_a_value_trains_and_it_is_reported():
    plain = dict.fromkeys(COLUMNS, 1)
    people = {pid: plain | {"downpurple": 2 if pid == 4 else 1} for pid in range(1, 11)}
    for seed in range(8):
        split = split_by_attributes(people, seed=seed)
        assert 4 in split.train
        assert split.missing_in_validation == (("downpurple", 2),)
        assert split.missing_in_train == ()
        assert "missing in validation: downpurple 2 (yes)" in str(split)
        assert "missing in train: nothing" in str(split)


def test_a_value_can_end_on_one_side_and_is_reported():
    plain = dict.fromkeys(COLUMNS, 1)
    people = {1: plain | {"hat": 2, "bag": 2}, 2: plain | {"hat": 2}}  # the bag's owner trains,
    people |= {pid: plain for pid in range(3, 13)}  # so that the other hat validates
    split = split_by_attributes(people)
    assert 1 in split.train and 2 in split.validation
    assert split.counts["hat", 2] == (1, 1)
    people[2] = plain | {"hat": 2, "upred": 2}
    split = split_by_attributes(people)
    assert {1, 2} <= set(split.train) and ("hat", 2) in split.missing_in_validation


def test_the_report_says_what_was_reached():
    plain = dict.fromkeys(COLUMNS, 1)
    people = {pid: plain | {"age": 1 + (pid > 4)} for pid in range(1, 13)}
    text = str(split_by_attributes(people))
    assert text.splitlines()[0] == (
        "9 people train and 3 validate: 75.0%, asked for 80.0% (seed 0)"
    )
    assert "age         young 3 + 1 (75%), teenager 6 + 2 (75%)" in text
    assert "hat         no 9 + 3 (75%)" in text
    assert len(text.splitlines()) == 3 + 27
    assert max(map(len, str(split_by_attributes(crowd(700))).splitlines())) <= 110
    expected = "AttributeSplit(9 train, 3 validation, ratio 0.750, asked 0.8, seed 0)"
    assert repr(split_by_attributes(people)) == expected


@pytest.mark.parametrize("ratio", [0, 1, 0.0, 1.0, -0.1, 80, math.nan, "0.8", True, None])
def test_other_ratios_are_refused(ratio):
    with pytest.raises(ValueError, match="expected a ratio between 0 and 1"):
        split_by_attributes(crowd(20), ratio)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="expected a seed of 0 or more"):
        split_by_attributes(crowd(20), seed=seed)


def test_too_few_people_are_refused():
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"expected two people or more to split, got {count}"):
            split_by_attributes(crowd(count))


def test_people_without_labels_are_refused():
    with pytest.raises(ValueError, match="person 3 has no labels"):
        split_by_attributes(crowd(20) | {3: None})  # type: ignore
    with pytest.raises(ValueError, match="person 3: column hat is 5"):
        split_by_attributes(crowd(20) | {3: dict.fromkeys(COLUMNS, 1) | {"hat": 5}})


def test_an_empty_side_is_refused():
    plain = dict.fromkeys(COLUMNS, 1)
    with pytest.raises(ValueError, match="nobody is left for validation: 2 people .* only one"):
        split_by_attributes({1: plain, 2: plain | {"hat": 2}})
    with pytest.raises(ValueError, match="nobody is left for training: 5 people .* larger ratio"):
        split_by_attributes(dict.fromkeys(range(1, 6), plain), 0.1)
    split = split_by_attributes({1: plain, 2: plain})
    assert len(split.train) == len(split.validation) == 1


def test_a_record_with_somebody_on_both_sides_is_refused():
    with pytest.raises(ValueError, match="3 is on both"):
        AttributeSplit((1, 3), (2, 3), 0.8, 0, {})


def images(people: dict[int, dict[str, int]], each: int = 3) -> list[Sample]:
    return [
        Sample(Path(f"{pid}_{i}.jpg"), pid, i, attributes=labels)
        for i in range(each)
        for pid, labels in people.items()
    ]


def test_images_follow_their_people():
    people = crowd(50)
    extra = [Sample(Path("d.jpg"), 0, 7), Sample(Path("j.jpg"), -1, 1)]
    samples = Samples([*images(people), *extra], [0, 1, 2, 7, 9], "mine", [4])
    train, validation, split = split_samples(samples, 0.7, 3)
    assert split == split_by_attributes(people, 0.7, 3)
    assert {s.pid for s in train} == set(split.train)
    assert {s.pid for s in validation} == set(split.validation)
    assert len(train) == 3 * len(split.train) and len(validation) == 3 * len(split.validation)
    assert train == [s for s in samples if s.pid in split.train]
    for side in (train, validation):
        assert (side.cameras, side.source, side.views) == ([0, 1, 2, 7, 9], "mine", [4])


def test_images_without_labels_are_named():
    with pytest.raises(ValueError, match=r"^x\.jpg: nobody says .* person 999 has; give them with"):
        split_samples([*images(crowd(20)), Sample(Path("x.jpg"), 999, 1)])


def test_images_of_one_person_must_agree():
    people = crowd(20)
    pid = next(iter(people))
    age = people[pid]["age"]
    other = Sample(Path("x.jpg"), pid, 1, attributes=people[pid] | {"age": 5 - age})
    expected = rf"^x\.jpg: column age of person {pid} is {5 - age}, but {age} in {pid}_0\.jpg"
    with pytest.raises(ValueError, match=expected):
        split_samples([*images(people), other])
