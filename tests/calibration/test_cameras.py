import numpy as np
import pytest

from reidlab.calibration import CameraPairs, camera_pairs
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate


def slow_pairs(query, gallery, distance=None):
    """An evaluation from scratch per pair of cameras."""
    rows, columns = (sorted(set(e.camids.tolist())) for e in (query, gallery))
    table = np.full((3, len(rows), len(columns)), np.nan)
    table[2] = 0
    for i, one in enumerate(rows):
        for j, other in enumerate(columns):
            q, g = (query.camids == one).numpy(), (gallery.camids == other).numpy()
            part = None if distance is None else distance[np.ix_(q, g)]
            try:
                scores = evaluate(query[q], gallery[g], distance=part)
            except ValueError:  # no match between these two
                continue
            table[:, i, j] = scores.mean_ap, scores.rank(1), scores.num_valid_queries
    return table


@pytest.mark.parametrize("own_distance", [False, True])
def test_camera_pairs_match_an_evaluation_per_pair(mixed, small_blocks, own_distance):
    query, gallery = mixed
    rng = np.random.default_rng(0)
    distance = rng.integers(0, 6, (len(query), len(gallery))) if own_distance else None
    found = camera_pairs(query, gallery, distance=distance)
    table = slow_pairs(query, gallery, distance)
    np.testing.assert_allclose(found.mean_ap, table[0])
    np.testing.assert_allclose(found.rank1, table[1])
    np.testing.assert_array_equal(found.queries, table[2])
    assert found.query_cameras.tolist() == sorted(set(query.camids.tolist()))
    assert np.isnan(np.diag(found.mean_ap)).all()
    row, column = np.unravel_index(np.nanargmin(table[0]), table[0].shape)
    assert found.worst == (found.query_cameras[row], found.gallery_cameras[column])


def test_cameras_that_differ_on_both_sides_have_no_diagonal():
    query = Embeddings(np.eye(2, dtype=np.float32), [1, 2], [5, 5])
    gallery = Embeddings(np.eye(2, dtype=np.float32), [1, 2], [7, 9], source="two")
    found = camera_pairs(query, gallery)
    assert found.mean_ap.tolist() == [[1.0, 1.0]] and found.queries.tolist() == [[1, 1]]
    assert found.worst == (5, 7)
    assert (
        repr(found) == "CameraPairs(1 x 2 cameras, worst: camera 5 to 7, mAP 100.0% of 1 queries)"
    )


def test_camera_pairs_print_two_tables_and_the_worst():
    found = CameraPairs(
        np.array([1, 2]),
        np.array([1, 2]),
        np.array([[np.nan, 0.5], [0.25, np.nan]]),
        np.array([[np.nan, 0.4], [0.2, np.nan]]),
        np.array([[0, 1234], [5, 0]]),
        "made up",
    )
    assert str(found).splitlines() == [
        "mAP / rank-1 in %, made up",
        "query camera         to 1         to 2",
        "1                       -  50.0 / 40.0",
        "2             25.0 / 20.0            -",
        "valid queries  to 1   to 2",
        "1                 -  1,234",
        "2                 5      -",
        "worst: camera 2 to 1, mAP 25.0% of 5 queries",
    ]


def test_the_caller_s_distances_stay_as_they_are(mixed):
    query, gallery = mixed
    distance = np.random.default_rng(0).random((len(query), len(gallery)), dtype=np.float32)
    before = distance.copy()
    camera_pairs(query, gallery, distance=distance)
    assert (distance == before).all()


def test_no_match_in_another_camera_is_an_error(people, others):
    query, gallery = people(0, 3, cameras=1)
    with pytest.raises(ValueError, match="match in another camera, got none among 9 queries"):
        camera_pairs(query, gallery)
    with pytest.raises(ValueError, match="got none"):
        camera_pairs(query, others(0, 4, -1))
    with pytest.raises(ValueError, match="three tables"):
        CameraPairs(
            np.arange(2), np.arange(2), np.zeros((2, 2)), np.zeros((2, 1)), np.zeros((2, 2))
        )
