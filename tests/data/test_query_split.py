"""Queries and a gallery out of one list, and the score that a course evaluator gives them."""

from pathlib import Path

import pytest
import torch

from reidlab.data.query_split import split_queries
from reidlab.data.samples import Sample, Samples
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate


def samples_of(counts, cameras=3):
    """`counts` images per person, interleaved."""
    found = []
    for i in range(max(counts.values())):
        for pid, count in counts.items():
            if i < count:
                found.append(Sample(Path(f"{pid}_{i}.jpg"), pid, 1 + i % cameras))
    return found


def counted(samples, pid):
    return sum(sample.pid == pid for sample in samples)


@pytest.mark.parametrize(
    ("images", "share", "queries"),
    [(1, 0.1, 0), (2, 0.1, 1), (5, 0.1, 1), (17, 0.1, 2), (72, 0.1, 7), (10, 0.5, 5), (3, 0.9, 2),
     (2, 0.99, 1)],
)  # fmt: skip
def test_a_person_asks_with_a_share_of_its_images(images, share, queries):
    samples = samples_of({4: images, 8: 3})
    query, gallery = split_queries(samples, share, seed=1)
    assert counted(query, 4) == queries and counted(gallery, 4) == images - queries


def test_every_image_is_on_one_side_and_both_keep_the_order():
    samples = samples_of({1: 9, 2: 4, 3: 1, 7: 12})
    query, gallery = split_queries(samples, 0.3)
    assert sorted([*query, *gallery], key=samples.index) == samples
    for part in (query, gallery):
        assert [samples.index(s) for s in part] == sorted(samples.index(s) for s in part)
    assert {s.pid for s in query} == {1, 2, 7}


def test_distractors_junk_and_single_images_are_only_searched():
    samples = samples_of({0: 20, -1: 20, 5: 1, 6: 20})
    query, gallery = split_queries(samples, 0.1)
    assert [s.pid for s in query] == [6, 6] and len(gallery) == 59


def test_the_seed_decides_and_other_people_do_not():
    samples = samples_of({1: 30, 2: 30})
    first, again, other = (split_queries(samples, 0.2, seed=s)[0] for s in (3, 3, 4))
    assert first == again and set(first) != set(other)
    picked = {s.path for s in first if s.pid == 1}
    assert picked != {s.path for s in samples if s.pid == 1 and int(s.path.stem[2:]) < 6}


@pytest.mark.parametrize("seed", range(4))
def test_a_persons_queries_depend_on_nobody_else_and_on_no_order(seed):
    samples = samples_of({3: 30, 7: 12})
    own = {s for s in split_queries(samples, 0.3, seed=seed)[0] if s.pid == 7}
    alone = [s for s in samples if s.pid == 7]
    for others in ([], samples_of({1: 9}), samples_of({3: 5, 9: 40})):
        for order in ([*alone, *others], [*others, *reversed(alone)]):
            query, _ = split_queries(order, 0.3, seed=seed)
            assert {s for s in query if s.pid == 7} == own


def test_people_with_as_many_images_do_not_ask_with_the_same_ones():
    query, _ = split_queries(samples_of({pid: 20 for pid in range(1, 9)}), 0.2)
    places = {
        pid: {s.path.stem.split("_")[1] for s in query if s.pid == pid} for pid in range(1, 9)
    }
    assert len({frozenset(each) for each in places.values()}) > 4


def test_both_parts_remember_the_dataset():
    samples = Samples(samples_of({1: 4, 2: 4}), cameras=[1, 2, 3, 9], source="made up", views=[0])
    for part in split_queries(samples):
        assert (part.cameras, part.source, part.views) == ([1, 2, 3, 9], "made up", [0])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_must_leave_both_sides_something(share):
    with pytest.raises(ValueError, match="share must be above 0 and below 1, got"):
        split_queries(samples_of({1: 4}), share)


def test_nobody_with_two_images_is_refused():
    with pytest.raises(ValueError, match="two images or more, got 2 people in 4 images"):
        split_queries(samples_of({1: 1, 2: 1, 0: 2}))


def course_map(listed, truth):
    """The course's evaluator: precision at every hit of the list, over the number of true files."""
    scores = []
    for query, files in truth.items():
        found, total = 0, 0.0
        for place, file in enumerate(listed[query], start=1):
            if file in files:
                found += 1
                total += found / place
        scores.append(total / len(files))
    return sum(scores) / len(scores)


def by_hand(gallery_pids, query_pids, camera=1):
    """Features on a circle, so that query 0 meets the gallery in its order."""
    angles = torch.linspace(0.1, 1.4, len(gallery_pids))
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)
    query = torch.tensor([[1.0, 0.0]]).repeat(len(query_pids), 1)
    cameras = [camera] * len(gallery_pids)
    return (
        Embeddings(query, query_pids, [camera] * len(query_pids)),
        Embeddings(gallery, gallery_pids, cameras),
    )


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_lists_cut_at_k_score_as_the_course_evaluator_says(k):
    pids = [4, 9, 4, 9, 9, 4, 9]
    query, gallery = by_hand(pids, [4, 9])
    listed = {q: list(range(k)) for q in (0, 1)}
    truth = {0: {0, 2, 5}, 1: {1, 3, 4, 6}}
    scores = evaluate(query, gallery, protocol="top-k", k=k, relevant="all")
    assert scores.mean_ap == pytest.approx(course_map(listed, truth))


def test_hits_beyond_the_cut_are_lost_and_no_camera_is_removed():
    query, gallery = by_hand([4, 9, 4, 9, 9, 4, 9], [4])
    scores = evaluate(query, gallery, protocol="top-k", k=3, relevant="all")
    assert scores.mean_ap == pytest.approx((1 / 1 + 2 / 3) / 3)  # of three true images, two listed
    lost, gallery = by_hand([9, 9, 9, 4], [4])
    scores = evaluate(lost, gallery, protocol="top-k", k=3, relevant="all")
    assert scores.mean_ap == 0 and scores.num_valid_queries == 1
