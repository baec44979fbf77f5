import numpy as np
import pytest

from reidlab.calibration import OpenSet, open_set
from reidlab.calibration.intervals import rate_by_person
from reidlab.embedding import Embeddings


def slow_rates(query, gallery, gone, threshold):
    """The definitions read aloud: (strangers accepted, strangers), (found, known)."""
    unit = [
        e.features.double() / e.features.double().norm(dim=1)[:, None] for e in (query, gallery)
    ]
    alarms, found = [], []
    for q in range(len(query)):
        pid, camera = int(query.pids[q]), int(query.camids[q])
        if pid <= 0:
            continue
        kept = [
            (float(((unit[0][q] - unit[1][g]) ** 2).sum()), int(gallery.pids[g]))
            for g in range(len(gallery))
            if int(gallery.pids[g]) not in (-1, *gone)
            and not (int(gallery.pids[g]) == pid and int(gallery.camids[g]) == camera)
        ]
        distance, who = min(kept)
        if any(other == pid for _, other in kept):
            found.append((pid, distance <= threshold and who == pid))
        else:
            alarms.append((pid, distance <= threshold))
    return alarms, found


def as_rate(outcomes, confidence=0.95):
    people = sorted({pid for pid, _ in outcomes})
    hits = np.array([sum(yes for pid, yes in outcomes if pid == one) for one in people])
    count = np.array([sum(pid == one for pid, _ in outcomes) for one in people])
    return rate_by_person(hits, count).interval(confidence)


@pytest.mark.parametrize("unknown", [0.3, 0.6])
def test_open_set_rates_follow_from_their_definitions(mixed, small_blocks, unknown):
    query, gallery = mixed
    result = open_set(query, gallery, unknown=unknown, false_positive_rates=(0, 0.1, 0.5, 1))
    assert len(result.left_out) == round(unknown * 12)
    for point in result.points:
        alarms, found = slow_rates(query, gallery, result.left_out, point.threshold)
        assert point.false_positive == as_rate(alarms)
        assert point.detected == as_rate(found)
        assert point.false_positive.value <= point.target
    assert (result.without_mate, result.with_mate) == (len(alarms), len(found))
    for i in range(0, len(result.thresholds), 5):
        alarms, found = slow_rates(query, gallery, result.left_out, result.thresholds[i] + 1e-6)
        assert result.false_positive[i] == pytest.approx(np.mean([yes for _, yes in alarms]))
        assert result.detected[i] == pytest.approx(np.mean([yes for _, yes in found]))


def test_a_larger_threshold_finds_more_strangers_or_nobody_else(mixed):
    query, gallery = mixed
    result = open_set(query, gallery, unknown=0.5, false_positive_rates=(0.2,))
    (point,) = result.points
    larger = result.thresholds[result.thresholds > point.threshold][0]
    alarms, _ = slow_rates(query, gallery, result.left_out, larger + 1e-5)
    assert np.mean([yes for _, yes in alarms]) > 0.2


def test_a_stranger_at_distance_0_can_be_kept_out():
    query = corner((0, 1, 1), (1, 2, 1))
    gallery = corner((0, 1, 2), (1, 9, 2))
    (point,) = open_set(query, gallery, false_positive_rates=(0.0,)).points
    assert point.threshold < 0 and point.detected.value == point.false_positive.value == 0.0


def corner(*rows):
    """Embeddings at corners of a cube: (axis, pid, camera) each."""
    features = np.eye(4, dtype=np.float32)[[axis for axis, _, _ in rows]]
    return Embeddings(features, [pid for _, pid, _ in rows], [cam for _, _, cam in rows])


def test_strangers_come_from_the_data_too():
    query = corner((0, 1, 1), (1, 2, 1), (2, 3, 1))
    # Person 2 is there in the query's own camera only, person 3 not at all.
    gallery = corner((0, 1, 2), (1, 2, 1), (1, 9, 2), (3, 0, 2), (2, -1, 2))
    result = open_set(query, gallery, false_positive_rates=(0.5,))
    assert (result.with_mate, result.without_mate, result.left_out) == (1, 2, ())
    (point,) = result.points
    assert point.false_positive.value == 0.5  # person 9 stands where person 2 does
    assert point.threshold < 2 and point.detected.value == 1.0
    assert result.thresholds.tolist() == [0.0, 2.0]
    assert result.false_positive.tolist() == [0.5, 1.0] and result.detected.tolist() == [1.0, 1.0]


def test_a_known_person_behind_somebody_else_is_not_found():
    query = corner((0, 1, 1), (2, 3, 1))
    gallery = corner((1, 1, 2), (0, 9, 2))
    result = open_set(query, gallery, false_positive_rates=(1.0,))
    assert result.points[0].detected.value == 0.0 and result.detected[-1] == 0.0
    assert result.points[0].false_positive.value == 1.0


def test_nothing_kept_for_a_query_is_no_alarm():
    query = corner((0, 1, 1), (1, 2, 1), (0, 1, 3))
    gallery = corner((0, 1, 1))  # for the first query, and for nobody else, nothing is left
    result = open_set(query, gallery, false_positive_rates=(0.5,))
    assert (result.with_mate, result.without_mate) == (1, 2)
    assert result.points[0].false_positive.value == 0.5


def test_the_seed_decides_who_is_left_out(mixed):
    query, gallery = mixed
    first, again, other = (open_set(query, gallery, unknown=0.3, seed=s) for s in (0, 0, 1))
    assert first.left_out == again.left_out != other.left_out
    assert set(first.left_out) <= set(range(1, 13))
    assert len(open_set(query, gallery, unknown=0.01).left_out) == 1


def test_an_open_set_prints_a_table(mixed):
    result = open_set(*mixed, unknown=0.3)
    lines = str(result).splitlines()
    assert lines[0].startswith(f"{result.with_mate} queries with a mate in the gallery, ")
    assert lines[1].split()[:4] == ["false", "positives", "%", "measured"]
    assert len(lines) == 4 and lines[3].startswith("10.0")
    assert "queries with a mate" in repr(result) and "made up" in repr(result)


def test_arguments_are_checked(mixed, people):
    query, gallery = mixed
    for rates in ((), (0.1, 1.5), (-0.1,)):
        with pytest.raises(ValueError, match="false_positive_rates between 0 and 1"):
            open_set(query, gallery, false_positive_rates=rates)
    for unknown in (0.0, 1.0, 3):
        with pytest.raises(ValueError, match="unknown between 0 and 1"):
            open_set(query, gallery, unknown=unknown)
    with pytest.raises(ValueError, match="confidence between 0 and 1"):
        open_set(query, gallery, confidence=0)
    everybody = people(0, 4, cameras=40)
    with pytest.raises(ValueError, match="12 and 0; unknown=0.3 leaves 30 %"):
        open_set(*everybody)
    with pytest.raises(ValueError, match="three curves"):
        OpenSet((), np.zeros(2), np.zeros(2), np.zeros(1), 1, 1)
