import random
from collections import Counter

import numpy as np
import pytest

from reidlab.data.samplers import (
    PKSampler,
    ShuffleSampler,
    _chunks,
    epoch_seed,
    group_batches,
    pk_batches,
)

CASES = [("b16_k4", 4, 4), ("b32_k8", 4, 8)]


def draw(pids, p, k, seed):
    return pk_batches(pids, p, k, shuffler=random.Random(seed), drawer=np.random.RandomState(seed))


@pytest.mark.parametrize(("case", "p", "k"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_batches_match_the_reference_draw_by_draw(golden, case, p, k, seed):
    data = golden.arrays("transreid/golden_sampler")
    batches = draw(data["pids"].tolist(), p, k, seed)
    assert sum(batches, []) == data[f"{case}_indices_seed{seed}"].tolist()


@pytest.mark.parametrize(("case", "p", "k"), CASES)
def test_yield_matches_the_reference_over_twenty_seeds(golden, case, p, k):
    data = golden.arrays("transreid/golden_sampler")
    pids = data["pids"].tolist()
    yields = [sum(map(len, draw(pids, p, k, seed))) for seed in range(20)]
    assert yields == data[f"{case}_yielded_20seeds"].tolist()


def test_epoch_zero_of_the_sampler_is_the_reference_draw(golden):
    data = golden.arrays("transreid/golden_sampler")
    sampler = PKSampler(data["pids"].tolist(), 4, 4, seed=1)
    assert sum(sampler, []) == data["b16_k4_indices_seed1"].tolist()


def test_every_batch_has_p_people_with_k_images_each():
    pids = np.random.default_rng(0).integers(0, 12, 200).tolist()
    for batch in PKSampler(pids, 5, 4, seed=3):
        counts = Counter(pids[i] for i in batch)
        assert sorted(counts.values()) == [4] * 5


def test_a_person_with_one_image_fills_its_places_with_that_image():
    batch = next(iter(PKSampler([7, 8, 8, 8], 2, 3)))
    assert Counter(batch)[0] == 3


def test_epochs_differ_and_seeds_repeat():
    first, second = (
        PKSampler([0, 1, 2, 3] * 8, 2, 4, seed=5),
        PKSampler([0, 1, 2, 3] * 8, 2, 4, seed=5),
    )
    assert list(first) == list(second)
    second.set_epoch(1)
    assert list(first) != list(second)
    assert epoch_seed(5, 1) != epoch_seed(6, 1) != epoch_seed(5, 2)


def test_too_few_people_are_refused_with_advice():
    with pytest.raises(ValueError, match="needs 4 people, the samples have 1; lower"):
        PKSampler([3, 3, 3], 4, 2)
    with pytest.raises(ValueError, match="positive"):
        PKSampler([1, 2], 2, 0)


def test_shuffle_shows_every_image_once_and_never_a_batch_of_one():
    assert sorted(sum(ShuffleSampler(10, 5, seed=1), [])) == list(range(10))
    assert [len(batch) for batch in ShuffleSampler(11, 5)] == [5, 5]
    with pytest.raises(ValueError, match="images"):
        ShuffleSampler(0, 4)


def groups(pids, p, k, seed=0):
    settings = {"shuffler": random.Random(seed), "drawer": np.random.RandomState(seed)}
    return group_batches(pids, p, k, **settings)


def test_groups_are_of_one_person_each_and_no_image_comes_twice():
    pids = np.random.default_rng(0).integers(0, 12, 200).tolist()
    batches = groups(pids, 5, 4)
    for batch in batches:
        assert len(batch) == 20
        assert all(len({pids[i] for i in batch[s : s + 4]}) == 1 for s in range(0, 20, 4))
    drawn = sum(batches, [])
    assert len(drawn) == len(set(drawn))
    whole = sum(count // 4 for count in Counter(pids).values())
    assert len(batches) == whole // 5


def test_a_batch_of_groups_may_hold_one_person_twice_and_pk_may_not():
    pids = [0] * 16 + [1] * 16 + [2] * 16
    met = [len({pids[i] for i in b}) for seed in range(5) for b in groups(pids, 3, 4, seed)]
    assert set(met) == {2, 3}
    assert all(len({pids[i] for i in batch}) == 3 for batch in draw(pids, 3, 4, 0))


@pytest.mark.parametrize(
    ("counts", "p", "batches"),
    [([16, 16], 2, 4), ([8, 4], 2, 1), ([40, 4], 2, 1), ([40, 4, 8], 3, 3), ([12, 12, 4], 3, 2)],
)
def test_no_batch_of_groups_holds_one_person_alone(counts, p, batches):
    pids = [pid for pid, count in enumerate(counts) for _ in range(count)]
    for seed in range(20):
        found = groups(pids, p, 4, seed)
        assert len(found) == batches and found == groups(pids, p, 4, seed)
        for batch in found:
            assert len(batch) == 4 * p and len({pids[i] for i in batch}) > 1
            assert all(len({pids[i] for i in batch[s : s + 4]}) == 1 for s in range(0, 4 * p, 4))
        drawn = sum(found, [])
        assert len(drawn) == len(set(drawn))


def test_batches_of_groups_that_are_mixed_stay_as_they_were_shuffled():
    pids = sorted(list(range(30)) * 8)
    for seed in range(5):
        shuffler, drawer = random.Random(seed), np.random.RandomState(seed)
        chunks = _chunks(pids, 4, shuffler, drawer)
        flat = [chunk for own in chunks.values() for chunk in own]
        shuffler.shuffle(flat)
        plain = [sum(flat[s : s + 6], []) for s in range(0, 60, 6)]
        assert groups(pids, 6, 4, seed) == plain


def test_one_group_per_batch_is_one_person_as_asked_for():
    assert len(groups([0] * 8 + [1] * 8, 1, 4)) == 4


def test_groups_of_people_with_few_images_repeat_some_and_a_rest_waits():
    pids = [0, 0, 1, 1, 1, 1, 1]
    (batch,) = groups(pids, 2, 4)
    counts = Counter(pids[i] for i in batch)
    assert counts == {0: 4, 1: 4}
    assert len({i for i in batch if pids[i] == 1}) == 4
    assert groups(pids, 3, 4) == []


def test_groups_follow_their_seed_and_the_sampler_asks_for_them():
    pids = np.random.default_rng(1).integers(0, 6, 90).tolist()
    assert groups(pids, 3, 4, 1) == groups(pids, 3, 4, 1) != groups(pids, 3, 4, 2)
    sampler = PKSampler(pids, 3, 4, seed=1, distinct=False)
    assert list(sampler) == groups(pids, 3, 4, 1) != list(PKSampler(pids, 3, 4, seed=1))
    sampler.set_epoch(1)
    assert list(sampler) == groups(pids, 3, 4, epoch_seed(1, 1))


def test_processes_share_groups():
    pids = np.random.default_rng(1).integers(0, 6, 90).tolist()
    shared = [
        list(PKSampler(pids, 4, 3, distinct=False, rank=rank, processes=2)) for rank in range(2)
    ]
    together = [one + other for one, other in zip(*shared, strict=True)]
    assert together == groups(pids, 4, 3)
