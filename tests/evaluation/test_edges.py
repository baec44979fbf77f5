import numpy as np
import pytest
import torch

from reidlab.embedding import Embeddings
from reidlab.evaluation import PerQuery, Scores, evaluate


def blank(pids, camids, source=""):
    """Labels without features, to go with a distance matrix."""
    return Embeddings(torch.empty(len(pids), 0), pids, camids, source=source)


# --- small and awkward cases ----------------------------------------------------------------


def test_a_hand_worked_example():
    """Kept gallery of person 1, nearest first: hit, miss, hit; the same camera stands in front."""
    query, gallery = blank([1], [0]), blank([1, 2, 1, 1, -1], [1, 1, 2, 0, 1])
    distance = [[0.2, 0.3, 0.4, 0.1, 0.0]]
    scores = evaluate(query, gallery, distance=distance)
    assert scores.mean_ap == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert scores.mean_inp == pytest.approx(2 / 3)
    assert scores.cmc.tolist() == [1.0] * 5
    trapezoid = evaluate(query, gallery, distance=distance, ap="trapezoid")
    assert trapezoid.mean_ap == pytest.approx(((1 + 1) / 2 + (2 / 3 + 1 / 2) / 2) / 2)


def test_ties_rank_in_gallery_order():
    first, last = blank([1, 2, 2], [1, 1, 1]), blank([2, 2, 1], [1, 1, 1])
    query, level = blank([1], [0]), np.zeros((1, 3))
    assert evaluate(query, first, distance=level).mean_ap == 1
    assert evaluate(query, last, distance=level).mean_ap == pytest.approx(1 / 3)


def test_infinite_distances_rank_last_in_gallery_order():
    distance = [[np.inf, np.inf, -np.inf, 0.0]]
    scores = evaluate(blank([1], [0]), blank([2, 1, 2, 2], [1] * 4), distance=distance)
    assert scores.per_query.inp.tolist() == [1 / 4]


def test_one_query_and_one_gallery_image_are_enough():
    scores = evaluate(blank([1], [0]), blank([1], [1]), distance=[[0.3]])
    assert scores.cmc.tolist() == [1.0] and scores.mean_ap == scores.mean_inp == 1.0


def test_the_curve_repeats_its_last_value_where_few_images_are_kept():
    query, gallery = blank([1, 2], [0, 0]), blank([1, 1, 1, 2], [0, 0, 1, 1])
    distance = [[0.1, 0.2, 0.3, 0.0], [0.1, 0.2, 0.3, 0.4]]
    assert evaluate(query, gallery, distance=distance).cmc.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert evaluate(query, gallery, distance=distance, ranks=2).cmc.tolist() == [0.0, 0.5]


def test_a_query_without_a_match_has_nan_and_does_not_count():
    query, gallery = blank([1, 2, 3], [0, 0, 0]), blank([1, 2, 2], [1, 0, 0])
    scores = evaluate(query, gallery, distance=np.zeros((3, 3)))
    assert np.isnan(scores.per_query.ap).tolist() == [False, True, True]
    assert np.isnan(scores.per_query.inp).tolist() == [False, True, True]
    assert scores.num_valid_queries == 1 and scores.mean_ap == 1.0 and scores.cmc[0] == 1.0


# --- the record -----------------------------------------------------------------------------


def test_scores_print_a_header_and_one_row():
    query, gallery = blank([1, 2, 9], [0, 0, 0], "toy"), blank([2, 1, 1], [1, 1, 2], "toy")
    distance = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
    scores = evaluate(query, gallery, distance=distance)
    assert scores.protocol == "market" and scores.source == "toy"
    header, row = str(scores).splitlines()
    assert header.split() == "protocol AP data rank-1 rank-5 rank-10 mAP mINP valid queries".split()
    assert row.split()[:4] == ["market", "plain", "toy", "50.0%"]
    assert row.split()[-5:] == ["79.2%", "83.3%", "2", "of", "3"]
    assert "\n" not in repr(scores) and "toy" in repr(scores)
    assert "trapezoid" in str(evaluate(query, gallery, distance=distance, ap="trapezoid"))


def test_a_row_shows_counts_with_separators_and_dashes_beyond_the_curve():
    nan = np.full(3368, 0.5)
    scores = Scores(np.array([0.5, 0.75]), 0.5, 0.5, 3368, PerQuery(nan, nan), "market")
    assert str(scores).splitlines()[1].endswith("3,368 of 3,368")
    assert str(scores).splitlines()[1].split()[2:6] == ["-", "50.0%", "-", "-"]


def test_rank_reads_the_curve_and_refuses_what_lies_beyond():
    scores = evaluate(blank([1], [0]), blank([2, 1], [1, 1]), distance=[[0.0, 1.0]])
    assert (scores.rank(1), scores.rank(2)) == (0.0, 1.0)
    for k in (0, 3):
        with pytest.raises(ValueError, match=f"from 1 to 2.*got {k}"):
            scores.rank(k)
    for k in (1.0, True, "1", None):
        with pytest.raises(ValueError, match=f"k to be a whole number, got {k!r}"):
            scores.rank(k)


def test_two_sources_are_both_named():
    query, gallery = blank([1], [0], "flip"), blank([1], [1], "plain")
    assert evaluate(query, gallery, distance=[[0.0]]).source == "flip / plain"
    assert evaluate(query, blank([1], [1]), distance=[[0.0]]).source == "flip"


def test_scores_that_do_not_fit_are_refused():
    two, three = np.zeros(2), np.zeros(3)
    for cmc, per_query in ((two, PerQuery(two, three)), (two[:0], PerQuery(two, two))):
        with pytest.raises(ValueError, match=r"cmc \(R,\)"):
            Scores(cmc, 0.0, 0.0, 2, per_query, "market")


# --- what is refused ------------------------------------------------------------------------


def test_no_valid_query_is_refused_with_the_reason():
    query, gallery = blank([1, 2, 3], [0, 0, 0]), blank([1, 1, -1, 0], [0, 0, 0, 0])
    message = "of 3 queries, 1 have their person only.*2 have no image.*check pids and camids"
    with pytest.raises(ValueError, match=message):
        evaluate(query, gallery, distance=np.zeros((3, 4)))


def test_junk_alone_is_no_match_even_for_a_query_labelled_junk():
    with pytest.raises(ValueError, match="found none"):
        evaluate(blank([-1], [0]), blank([-1], [1]), distance=[[0.0]])


def test_an_empty_gallery_or_query_set_is_refused():
    with pytest.raises(ValueError, match="gallery images, got none for 2 queries"):
        evaluate(blank([1, 2], [0, 0]), blank([], []), distance=np.zeros((2, 0)))
    with pytest.raises(ValueError, match="expected queries, got none"):
        evaluate(blank([], []), blank([1], [0]), distance=np.zeros((0, 1)))


@pytest.mark.parametrize("option", ["protocol", "ap"])
def test_an_unknown_choice_is_refused_with_the_list(option):
    known = {
        "protocol": "'market', 'no-camera-filter', 'top-k', 'single-gallery-shot'",
        "ap": "'plain', 'trapezoid'",
    }[option]
    with pytest.raises(ValueError, match=f"{option} to be one of {known}, got 'other'"):
        evaluate(blank([1], [0]), blank([1], [1]), distance=[[0.0]], **{option: "other"})


def test_ranks_below_one_are_refused():
    with pytest.raises(ValueError, match="ranks of at least 1, got 0"):
        evaluate(blank([1], [0]), blank([1], [1]), distance=[[0.0]], ranks=0)


def test_distances_and_features_that_do_not_fit_are_refused():
    query, gallery = blank([1], [0]), blank([1, 2], [1, 1])
    with pytest.raises(ValueError, match=r"distance of shape \(1, 2\).*got \(2, 1\)"):
        evaluate(query, gallery, distance=np.zeros((2, 1)))
    with pytest.raises(ValueError, match="query 0, gallery image 1"):
        evaluate(query, gallery, distance=[[0.0, np.nan]])
    with pytest.raises(ValueError, match="pass distance"):
        evaluate(query, gallery)
    with pytest.raises(ValueError, match=r"got 3 \(query\) and 0 \(gallery\)"):
        evaluate(Embeddings(torch.ones(1, 3), [1], [0]), gallery)


def test_what_is_no_embeddings_is_refused_with_advice():
    side = Embeddings(np.ones((2, 3)), [1, 2], [1, 1])
    with pytest.raises(ValueError, match=r"query to be Embeddings, got tuple.*evaluate\(\*pair\)"):
        evaluate((side, side), side)
    with pytest.raises(ValueError, match="gallery to be Embeddings, got Tensor"):
        evaluate(side, side.features)
