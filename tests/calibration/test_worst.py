import numpy as np
import pytest
import torch

from reidlab.calibration import worst_queries
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate


def test_the_worst_are_those_with_the_lowest_precision(mixed, small_blocks):
    query, gallery = mixed
    scores = evaluate(query, gallery)
    ap = scores.per_query.ap
    found = worst_queries(scores, 5, query=query, gallery=gallery)
    expected = sorted(np.flatnonzero(np.isfinite(ap)), key=lambda q: (ap[q], q))[:5]
    assert found.queries == expected
    assert [f.ap for f in found] == [ap[q] for q in expected]
    unit = [e.features / e.features.norm(dim=1)[:, None] for e in (query, gallery)]
    for f in found:
        pid, camera = int(query.pids[f.query]), int(query.camids[f.query])
        kept = [
            (float(((unit[0][f.query] - unit[1][g]) ** 2).sum()), g)
            for g in range(len(gallery))
            if gallery.pids[g] != -1
            and (int(gallery.pids[g]), int(gallery.camids[g])) != (pid, camera)
        ]
        ranked = [g for _, g in sorted(kept)]
        right = [g for g in ranked if int(gallery.pids[g]) == pid]
        wrong = [g for g in ranked if int(gallery.pids[g]) != pid]
        assert (f.match, f.match_place) == (right[0], ranked.index(right[0]) + 1)
        assert (f.wrong, f.wrong_place) == (wrong[0], ranked.index(wrong[0]) + 1)
        near = dict((g, d) for d, g in kept)
        assert f.match_distance == pytest.approx(near[f.match], abs=1e-5)
        assert f.wrong_distance == pytest.approx(near[f.wrong], abs=1e-5)


def test_queries_without_a_match_are_no_failures(mixed):
    query, gallery = mixed
    scores = evaluate(query, gallery)
    everything = worst_queries(scores, 1000, query=query, gallery=gallery)
    assert len(everything) == scores.num_valid_queries < len(query)


def test_nobody_else_in_the_gallery_is_shown_as_none():
    query = Embeddings(np.eye(2)[:1], [1], [1])
    gallery = Embeddings(np.eye(2), [1, 1], [2, 3])
    (failure,) = worst_queries(evaluate(query, gallery), 3, query=query, gallery=gallery)
    assert (failure.wrong, failure.wrong_place, failure.match, failure.match_place) == (-1, 0, 0, 1)
    assert np.isnan(failure.wrong_distance) and failure.match_distance == 0.0


def test_failures_print_a_table():
    query = Embeddings(np.eye(2)[:1], [1], [1])
    gallery = Embeddings(np.eye(2), [2, 1], [2, 3])
    found = worst_queries(evaluate(query, gallery), 1, query=query, gallery=gallery)
    assert str(found).splitlines() == [
        "query  AP %  first wrong  at place  best match  at place",
        "0      50.0            0         1           1         2",
    ]


def test_scores_must_belong_to_the_queries(mixed):
    query, gallery = mixed
    scores = evaluate(query, gallery)
    with pytest.raises(ValueError, match="n of at least 1"):
        worst_queries(scores, 0, query=query, gallery=gallery)
    with pytest.raises(ValueError, match=f"these 3 queries, got n=1 and scores of {len(query)}"):
        worst_queries(scores, 1, query=query[:3], gallery=gallery)
    with pytest.raises(ValueError, match="queries with a match in the gallery, found none"):
        worst_queries(scores, 1, query=query, gallery=gallery[gallery.pids.numpy() == -1])
    with pytest.raises(ValueError, match="expected scores of these queries in this gallery"):
        worst_queries(scores, 5, query=query, gallery=gallery[:-9])


def test_scores_of_a_given_distance_need_it_again(mixed):
    query, gallery = mixed
    distance = np.random.default_rng(0).random((len(query), len(gallery)))
    scores = evaluate(query, gallery, distance=distance)
    with pytest.raises(ValueError, match="pass distance= if they were made with one"):
        worst_queries(scores, 3, query=query, gallery=gallery)
    for given in (distance, torch.from_numpy(distance)):
        found = worst_queries(scores, 3, query=query, gallery=gallery, distance=given)
        for failure in found:
            row = distance[failure.query]
            assert failure.match_distance == row[failure.match]
            assert row[failure.wrong] == failure.wrong_distance


def test_other_protocols_are_refused(mixed):
    query, gallery = mixed
    other = evaluate(query, gallery, protocol="no-camera-filter")
    with pytest.raises(ValueError, match="protocol 'market', got 'no-camera-filter'"):
        worst_queries(other, 1, query=query, gallery=gallery)
