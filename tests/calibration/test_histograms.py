import numpy as np
import pytest

from reidlab.calibration import DistanceHistogram, distance_pairs
from reidlab.embedding import Embeddings


def test_histograms_count_the_pairs_that_the_protocol_keeps(mixed, pairs_by_hand, small_blocks):
    query, gallery = mixed
    found = distance_pairs(query, gallery)
    same, different = pairs_by_hand(query, gallery)
    for counts, pairs in ((found.same, same), (found.different, different)):
        assert counts.sum() == len(pairs)
        bins = np.array([min(int(d * 256), 1023) for d, _, _ in pairs])
        expected = np.bincount(bins, minlength=1024)
        # float32 may put a distance on the other side of an edge, never farther
        assert np.abs((counts - expected).cumsum()).max() <= 1
    assert found.edges[0] == 0 and found.edges[-1] == 4 and len(found.edges) == 1025
    assert found.source == "made up"


def test_opposite_and_equal_features_fall_into_the_outer_bins():
    query = Embeddings(np.array([[1.0, 0.0]]), [1], [1])
    gallery = Embeddings(np.array([[1.0, 0], [-1, 0], [0, 1], [-1, 0]]), [1, 2, 3, 1], [2, 1, 1, 3])
    found = distance_pairs(query, gallery)
    assert np.flatnonzero(found.same).tolist() == [0, 1023]
    assert np.flatnonzero(found.different).tolist() == [512, 1023]


def test_rates_at_the_edges_rise_to_one():
    found = DistanceHistogram(np.arange(4) / 2, np.array([2, 1, 1]), np.array([0, 1, 9]))
    wrong, right = found.rates()
    assert wrong.tolist() == [0.0, 0.0, 0.1, 1.0] and right.tolist() == [0.0, 0.5, 0.75, 1.0]
    assert repr(found) == (
        "DistanceHistogram(4 pairs of one person, 10 of different people, source='')"
    )


def test_a_histogram_checks_its_shapes(others):
    with pytest.raises(ValueError, match="expected edges"):
        DistanceHistogram(np.arange(3), np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="known people"):
        distance_pairs(others(0, 2), others(1, 2))
