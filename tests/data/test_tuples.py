"""Pairs and triplets drawn before a batch is made."""

from collections import Counter

import numpy as np
import pytest

from reidlab.data.tuples import People, TupleSampler, random_pairs, random_triplets

PIDS = [7, 3, 7, 7, 5, 3, 9, 7, 5, 5, 3, 5, 7]  # 7 five times, 5 four, 3 three, 9 once
LONELY = PIDS.index(9)


def generator(seed=0):
    return np.random.default_rng(seed)


def people_of(seed, count=60, people=7):
    return np.random.default_rng(seed).integers(0, people, count).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_triplets_hold_an_anchor_another_image_of_its_person_and_a_stranger(seed):
    drawn = random_triplets(PIDS, generator(seed))
    assert sorted(drawn[:, 0]) == list(range(len(PIDS)))
    for a, p, n in drawn.tolist():
        assert PIDS[p] == PIDS[a] and PIDS[n] != PIDS[a]
        assert (p == a) == (a == LONELY)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pairs_are_of_the_same_person_as_often_as_asked(share):
    pids = people_of(0, 2000)
    drawn = random_pairs(pids, generator(), share)
    assert sorted(drawn[:, 0]) == list(range(len(pids)))
    same = [pids[a] == pids[b] for a, b in drawn.tolist()]
    assert np.mean(same) == pytest.approx(share, abs=0.04)
    assert all(a != b for a, b in drawn.tolist())


def test_half_of_the_pairs_are_of_the_same_person_unless_told_otherwise():
    pids = people_of(1, 2000)
    drawn = random_pairs(pids, generator())
    assert np.mean([pids[a] == pids[b] for a, b in drawn.tolist()]) == pytest.approx(0.5, abs=0.04)


def test_whoever_has_one_image_gets_a_stranger():
    for seed in range(20):
        drawn = dict(random_pairs(PIDS, generator(seed), share=1.0).tolist())
        assert drawn[LONELY] != LONELY
        assert all(PIDS[a] == PIDS[b] for a, b in drawn.items() if a != LONELY)


def test_partners_and_strangers_are_all_equally_likely():
    """2,000 draws per anchor; the bounds are five standard deviations of a fair draw."""
    people, repeats = People(PIDS), 2000
    for anchor in range(len(PIDS)):
        anchors, source = np.full(repeats, anchor), generator(anchor)
        same = [i for i, pid in enumerate(PIDS) if pid == PIDS[anchor] and i != anchor]
        others = [i for i, pid in enumerate(PIDS) if pid != PIDS[anchor]]
        for drawn, expected in (
            (people.partners(anchors, source), same or [anchor]),
            (people.strangers(anchors, source), others),
        ):
            counts, fair = Counter(drawn.tolist()), 1 / len(expected)
            assert set(counts) == set(expected)
            slack = 5 * (repeats * fair * (1 - fair)) ** 0.5 + 1e-9
            assert all(abs(count - repeats * fair) <= slack for count in counts.values())


def test_strangers_of_the_first_and_the_last_person_reach_every_image():
    people = People([0, 0, 1, 2, 2])
    for anchor, others in ((0, {2, 3, 4}), (4, {0, 1, 2})):
        drawn = people.strangers(np.full(200, anchor), generator())
        assert set(drawn.tolist()) == others


def test_anchors_come_in_random_order():
    first = random_triplets(PIDS, generator(1))[:, 0].tolist()
    assert first != sorted(first) and first != random_triplets(PIDS, generator(2))[:, 0].tolist()
    assert random_pairs(PIDS, generator(1))[:, 0].tolist() != sorted(first)


def test_the_generator_decides_everything():
    for draw in (random_pairs, random_triplets):
        assert (draw(PIDS, generator(4)) == draw(PIDS, generator(4))).all()
        assert (draw(PIDS, generator(4)) != draw(PIDS, generator(5))).any()


def test_one_person_alone_has_no_strangers():
    for pids in ([4, 4, 4], []):
        for draw in (random_pairs, random_triplets):
            with pytest.raises(ValueError, match="images of at least two people, got [01]"):
                draw(pids, generator())
        with pytest.raises(ValueError, match="at least two people"):
            TupleSampler(pids)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_zero_and_one(share):
    with pytest.raises(ValueError, match=r"share must be in 0..1, got"):
        random_pairs(PIDS, generator(), share)


@pytest.mark.parametrize(("kind", "length"), [("pairs", 2), ("triplets", 3)])
def test_batches_hold_whole_tuples_in_a_row_and_every_image_once_as_anchor(kind, length):
    pids = people_of(2)
    batches = list(TupleSampler(pids, kind, 8, seed=3))
    assert [len(batch) for batch in batches] == [8 * length] * 7 + [4 * length]
    rows = np.array(sum(batches, [])).reshape(-1, length)
    assert sorted(rows[:, 0]) == list(range(60))
    if kind == "triplets":
        assert all(pids[a] == pids[p] != pids[n] for a, p, n in rows.tolist())
    draw = random_pairs if kind == "pairs" else random_triplets
    assert (rows == draw(pids, generator(3))).all()


@pytest.mark.parametrize("kind", ["pairs", "triplets"])
def test_epochs_differ_and_seeds_repeat(kind):
    first, second = (TupleSampler(people_of(2), kind, 8, seed=5) for _ in range(2))
    assert list(first) == list(second) == list(first)
    second.set_epoch(1)
    assert list(first) != list(second)
    first.set_epoch(1)
    assert list(first) == list(second)
    assert list(TupleSampler(people_of(2), kind, 8, seed=6)) != list(
        TupleSampler(people_of(2), kind, 8, seed=5)
    )


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("kind", ["pairs", "triplets"])
def test_shares_of_processes_make_up_the_batch(kind, processes):
    pids = people_of(2)  # 60 tuples: seven batches of 8 and one of 4
    whole = list(TupleSampler(pids, kind, 8, seed=3))
    parts = [
        list(TupleSampler(pids, kind, 8, seed=3, rank=rank, processes=processes))
        for rank in range(processes)
    ]
    together = [sum(shares, []) for shares in zip(*parts, strict=True)]
    assert together == whole
    length = {"pairs": 2, "triplets": 3}[kind]
    assert all(len(batch) % length == 0 for part in parts for batch in part)


def test_a_last_batch_that_cannot_be_shared_is_left_out_by_everybody_alike():
    pids = people_of(2, 17)
    parts = [list(TupleSampler(pids, "triplets", 8, rank=r, processes=4)) for r in range(4)]
    assert {tuple(map(len, part)) for part in parts} == {(6, 6)}


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="3 processes cannot share a batch of 8 pairs equally"):
        TupleSampler(PIDS, "pairs", 8, processes=3)
    with pytest.raises(ValueError, match="batch of 0"):
        TupleSampler(PIDS, "triplets", 0)
