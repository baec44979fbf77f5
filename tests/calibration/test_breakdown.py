import numpy as np
import pytest
import torch

from reidlab.calibration import by_attribute, score_by
from reidlab.data.attributes import AttributeTable
from reidlab.data.heads import HEADS, labels_of
from reidlab.data.samples import Sample
from reidlab.evaluation import PerQuery, Scores


def scored(ap):
    ap = np.asarray(ap, dtype=float)
    valid = np.isfinite(ap)
    return Scores(np.ones(1), float(ap[valid].mean()) if valid.any() else 0.0, 0.0,
                  int(valid.sum()), PerQuery(ap, ap), "market")  # fmt: skip


def test_groups_average_their_valid_queries_lowest_first():
    ap = [1.0, 0.5, np.nan, 0.25, 0.75, 0.0]
    found = score_by(scored(ap), ["b", "b", "b", "a", "a", "c"], [1, 1, 2, 3, 4, 5])
    assert [(g.label, g.mean_ap, g.queries, g.people) for g in found.groups] == [
        ("c", 0.0, 1, 1),
        ("a", 0.5, 2, 2),
        ("b", 0.75, 2, 1),
    ]
    assert np.isnan(found.groups[0].low) and np.isnan(found.groups[2].high)
    assert 0 <= found.groups[1].low < 0.5 < found.groups[1].high <= 1


def people_with(rng, count, level, each=4, spread=0.15):
    """AP of `each` queries of `count` people around a level, and their ids."""
    own = np.clip(rng.normal(level, spread, count), 0, 1)
    ap = np.clip(np.repeat(own, each) + rng.normal(0, 0.05, count * each), 0, 1)
    return ap, np.repeat(np.arange(count), each)


def test_intervals_hold_the_mean_of_more_people_as_often_as_they_say():
    held, draws = 0, 200
    for draw in range(draws):
        ap, pids = people_with(np.random.default_rng(draw), 20, 0.5)
        (group,) = score_by(scored(ap), ["x"] * len(ap), pids, resamples=200).groups
        held += group.low <= 0.5 <= group.high
        assert group.verdict == "not clear"  # there is no rest
    assert 0.91 <= held / draws <= 0.985


@pytest.mark.parametrize(("level", "verdict"), [(0.2, "lower"), (0.8, "higher")])
def test_clear_differences_are_called_so(level, verdict):
    rng = np.random.default_rng(0)
    one, other = people_with(rng, 30, level), people_with(rng, 30, 0.5)
    labels = [True] * len(one[0]) + [False] * len(other[0])
    found = score_by(scored(np.r_[one[0], other[0]]), labels, np.r_[one[1], other[1] + 100])
    verdicts = {g.label: g.verdict for g in found.groups}
    assert verdicts == {True: verdict, False: "lower" if verdict == "higher" else "higher"}


def test_labels_without_meaning_are_seldom_called_different():
    called = 0
    for draw in range(100):
        rng = np.random.default_rng(draw)
        ap, pids = people_with(rng, 160, 0.5)
        labels = rng.integers(0, 10, 160)[pids]  # ten groups of people at random
        found = score_by(scored(ap), labels, pids, resamples=200)
        called += any(g.verdict != "not clear" for g in found.groups)
    assert called <= 10  # 5 % are allowed for


def test_two_people_never_make_a_difference_by_chance_of_agreement():
    rng = np.random.default_rng(0)
    ap, pids = people_with(rng, 30, 0.5)
    lucky = np.r_[np.full(8, 0.58), ap]
    labels = ["two"] * 8 + ["rest"] * len(ap)
    found = score_by(scored(lucky), labels, np.r_[np.repeat([901, 902], 4), pids])
    assert {g.verdict for g in found.groups} == {"not clear"}


def test_queries_of_one_person_do_not_count_as_many():
    rng = np.random.default_rng(1)
    ap, pids = people_with(rng, 10, 0.5, each=40)
    (by_person,) = score_by(scored(ap), [0] * 400, pids).groups
    (by_query,) = score_by(scored(ap), [0] * 400, np.arange(400)).groups
    assert by_person.high - by_person.low > 3 * (by_query.high - by_query.low)


def test_the_seed_decides_and_tensors_and_arrays_do():
    ap, pids = people_with(np.random.default_rng(0), 12, 0.5)
    labels = pids % 3
    plain = score_by(scored(ap), labels.tolist(), pids.tolist())
    assert plain == score_by(scored(ap), torch.tensor(labels), torch.tensor(pids))
    assert plain == score_by(scored(ap), labels, pids)
    assert plain != score_by(scored(ap), labels, pids, seed=1)
    narrow = score_by(scored(ap), labels, pids, confidence=0.5)
    assert narrow.groups[0].low > plain.groups[0].low


def test_a_breakdown_prints_a_table():
    found = score_by(scored([0.5, 0.25]), ["no", "yes"], [1, 2], name="hat")
    assert str(found).splitlines() == [
        "hat  mAP %  interval  queries  people  than the rest",
        "yes   25.0         -        1       1      not clear",
        "no    50.0         -        1       1      not clear",
    ]


def attributes(hat, color):
    return labels_of(dict.fromkeys(HEADS, 0) | {"hat": hat, "up_color": color})


def test_attributes_come_from_the_samples_or_a_table(tmp_path):
    rows = {1: attributes(0, 8), 2: attributes(1, 2), 3: attributes(1, 8)}
    pids = [1, 2, 3, 3]
    carried = [Sample(tmp_path / "x.jpg", pid, 1, attributes=rows[pid]) for pid in pids]
    bare = [Sample(tmp_path / "x.jpg", pid, 1) for pid in pids]
    scores = scored([0.1, 0.2, 0.3, 0.5])
    found = by_attribute(scores, carried)
    from_table = by_attribute(scores, bare, AttributeTable(rows))
    assert repr(found) == repr(from_table)  # a NaN is not equal to itself
    assert list(found) == list(HEADS)
    hats = [(g.label, g.mean_ap, g.queries, g.people) for g in found["hat"].groups]
    assert hats == [("no", 0.1, 1, 1), ("yes", pytest.approx(1 / 3), 3, 2)]
    assert {g.label for g in found["up_color"].groups} == {"multi", "red"}
    assert found["hat"].name == "hat"
    assert list(by_attribute(scores, carried, heads=["hat"])) == ["hat"]
    with pytest.raises(ValueError, match=r"x\.jpg: expected attributes of person 1, got none"):
        by_attribute(scores, bare)
    with pytest.raises(ValueError, match=r"unknown attributes \['shoes'\]"):
        by_attribute(scores, carried, heads=["shoes"])


def test_lengths_and_arguments_are_checked():
    scores = scored([0.5, 0.25])
    for labels, pids, options in (
        ([1], [1, 2], {}),
        ([1, 2], [1], {}),
        ([1, 2], [1, 2], {"resamples": 0}),
    ):
        with pytest.raises(ValueError, match="a label and a person for each of 2 queries"):
            score_by(scores, labels, pids, **options)
    with pytest.raises(ValueError, match="confidence between 0 and 1"):
        score_by(scores, [1, 2], [1, 2], confidence=2)
    with pytest.raises(ValueError, match="queries with a match, got none"):
        score_by(scored([np.nan]), [1], [1])
