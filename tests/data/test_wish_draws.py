from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from reidlab.data.attributes import HEADS, AttributeTable, classes, labels_of
from reidlab.data.samples import Sample
from reidlab.data.wish_draws import common_wishes


def crowd(count: int, seed: int = 0) -> dict[int, dict[str, int]]:
    rng = random.Random(seed)
    drawn = {
        pid: {head: min(rng.randrange(len(n)), rng.randrange(len(n))) for head, n in HEADS.items()}
        for pid in range(1, count + 1)
    }
    return {pid: labels_of(found) for pid, found in drawn.items()}


def test_every_wish_is_fulfilled_by_some_but_not_by_all():
    people = crowd(30)
    wishes = common_wishes(people, count=40)
    assert len(set(wishes)) == len(wishes) == 40
    for wish in wishes:
        fits = [wish.fulfilled(classes(labels)) for labels in people.values()]
        assert any(fits) and not all(fits)
        assert all(len(wanted) == 1 for wanted in wish.wanted.values())
    assert set(Counter(len(wish.heads) for wish in wishes)) == {1, 2, 3}


def test_nobody_looks_for_what_is_not_there():
    for wish in common_wishes(crowd(50), count=60, seed=2):
        for thing in ("backpack", "bag", "handbag", "hat"):
            assert wish.names.get(thing) in (None, ("yes",))


def test_draws_repeat_and_differ_by_seed():
    people = crowd(30)
    turned = dict(reversed(people.items()))
    assert common_wishes(people, seed=3) == common_wishes(AttributeTable(turned), seed=3)
    assert common_wishes(people, seed=3) != common_wishes(people, seed=4)
    assert common_wishes(people, seed=3) == common_wishes(turned, seed=3)
    assert len(common_wishes(people)) == 20


def test_samples_give_the_same_wishes_as_their_people():
    people = crowd(20)
    samples = [
        Sample(Path(f"{pid}_{i}.jpg"), pid, i, attributes=labels)
        for pid, labels in people.items()
        for i in range(1 + pid % 3)
    ]
    random.Random(1).shuffle(samples)
    extra = [Sample(Path("d.jpg"), 0, 1), Sample(Path("j.jpg"), -1, 1)]
    assert common_wishes([*extra, *samples]) == common_wishes(people)
    with pytest.raises(ValueError, match=r"x\.jpg: nobody says which attributes person 77"):
        common_wishes([*samples, Sample(Path("x.jpg"), 77, 1)])


def test_heads_and_sizes_may_be_chosen():
    for wish in common_wishes(crowd(40), count=10, heads=("age", "up_color"), sizes=(2,)):
        assert wish.heads == ("age", "up_color")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "expected count of at least 1"),
        ({"count": 2.5}, "expected count of at least 1"),
        ({"seed": -1}, "expected seed of at least 0"),
        ({"heads": ("hat", "shoes")}, "expected heads out of age, .*; got hat, shoes"),
        ({"heads": ()}, "expected heads out of"),
        ({"sizes": (0,)}, r"expected sizes from 1 to 12, got \(0,\)"),
        ({"sizes": ()}, "expected sizes from 1 to 12"),
        ({"heads": ("hat", "hat"), "sizes": (2,)}, "expected sizes from 1 to 1"),
        ({"heads": ("hat",), "sizes": (1,), "count": 2}, "found only 1 different wishes of 30"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        common_wishes(crowd(30), **options)


def test_nobody_gives_no_wishes():
    for people in ({}, [], [Sample(Path("d.jpg"), 0, 1)]):
        with pytest.raises(ValueError, match="expected people with attributes, got nobody"):
            common_wishes(people)
    same = dict.fromkeys(range(1, 5), next(iter(crowd(1).values())))
    with pytest.raises(ValueError, match="found only 0 different wishes of 4 people"):
        common_wishes(same, count=1)
