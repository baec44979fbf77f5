import pytest

from reidlab.data.benchmarks.holdout import choose_queries, hold_out
from reidlab.data.samples import Sample, people


def images(cameras, persons=4, shots=3):
    return [
        Sample(f"{pid}_{camid}_{shot}.jpg", pid, camid)
        for pid in range(1, persons + 1)
        for camid in cameras
        for shot in range(shots)
    ]


def test_held_out_people_leave_training_and_find_a_match_under_another_camera():
    train, query, gallery = hold_out(images((1, 2)), 2, 0)
    assert len(people(train)) == 2 and people(query) == people(gallery)
    assert not people(train) & people(query)
    assert len(train) + len(query) + len(gallery) == 24
    assert all(any(s.pid == q.pid and s.camid != q.camid for s in gallery) for q in query)


def test_without_cameras_one_image_asks_and_the_gallery_is_another_camera():
    train, query, gallery = hold_out(images((0,)), 2, 0)
    assert {s.camid for s in train} == {s.camid for s in query} == {0}
    assert {s.camid for s in gallery} == {1}
    assert len(query) == 2 and len(gallery) == 4
    assert [s.path.name for s in query] == [f"{pid}_0_0.jpg" for pid in sorted(people(query))]


def test_distractors_stay_in_training_and_are_nobody_to_hold_out():
    extra = [Sample("d.jpg", 0, camid) for camid in (1, 2)]
    train, query, _ = hold_out(images((1, 2)) + extra, 2, 0)
    assert extra == train[-2:] and 0 not in people(query)
    with pytest.raises(ValueError, match="at most 2 of 4"):
        hold_out(images((1, 2)) + extra, 3, 0)


def test_too_many_people_are_refused_in_the_words_of_the_option():
    with pytest.raises(ValueError, match=r"test_ids=3, but at most 2 of 4 .*two cameras, and two"):
        hold_out(images((1, 2)), 3, 0, "test_ids")
    with pytest.raises(ValueError, match=r"=1, but at most 0 of 4 .*in two images"):
        hold_out(images((0,), shots=1), 1, 0)
    with pytest.raises(ValueError, match="at most 0 of 1"):
        hold_out(images((1, 2), persons=1), 1, 0)


@pytest.mark.parametrize("count", [-1, "3", 1.5])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match=f"expected test_ids of 0 or more, got {count!r}"):
        hold_out(images((1, 2)), count, 0, "test_ids")


def test_queries_are_chosen_while_all_find_a_match():
    assert choose_queries([1, 1, 2, 2]) == {0, 2}
    assert choose_queries([1, 2]) == {0}
    assert choose_queries([1, 1]) == set()
