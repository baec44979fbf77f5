import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

import reidlab.ranking.blocks
from reidlab.embedding import Embeddings
from reidlab.evaluation import Roc, roc

GOLDEN = Path(__file__).parent.parent / "golden" / "misc"


def blank(pids, camids, source=""):
    return Embeddings(torch.empty(len(pids), 0), pids, camids, source=source)


def slow_pairs(case, protocol="market"):
    """Distances of kept pairs of the same person, and of different persons: two loops."""
    distance, q_pids, q_camids, g_pids, g_camids = case
    same, different = [], []
    for q in range(len(q_pids)):
        for g in range(len(g_pids)):
            if g_pids[g] == -1:
                continue
            if g_pids[g] != q_pids[q]:
                different.append(distance[q][g])
            elif protocol == "no-camera-filter" or g_camids[g] != q_camids[q]:
                same.append(distance[q][g])
    return np.array(same), np.array(different)


@st.composite
def benchmarks(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 14))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 4, 30, 10**6]))
    distance = generator.integers(0, levels, (queries, gallery)).astype(np.float32)
    people, cameras = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    q_pids = generator.integers(-1, people + 1, queries)
    g_pids = generator.integers(-1, people + 1, gallery)
    q_camids, g_camids = (generator.integers(0, cameras, n) for n in (queries, gallery))
    return distance, q_pids, q_camids, g_pids, g_camids


def of_case(case, **options):
    return roc(blank(*case[1:3]), blank(*case[3:]), distance=case[0], **options)


def of_pairs(same, different):
    """The ROC of given distances: one query, its own person and one other."""
    pids = [1] * len(same) + [2] * len(different)
    row = np.concatenate([same, different])[None]
    return roc(blank([1], [0]), blank(pids, [1] * len(pids)), distance=row)


RATES = np.array([0, 1e-4, 0.01, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1])


# --- true accepts at false accepts ----------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(benchmarks(), st.sampled_from(["market", "no-camera-filter"]))
def test_rates_match_their_definition(case, protocol):
    same, different = slow_pairs(case, protocol)
    if not len(same) or not len(different):
        with pytest.raises(ValueError, match="expected"):
            of_case(case, protocol=protocol)
        return
    found = of_case(case, protocol=protocol)
    assert (found.num_positives, found.num_negatives) == (len(same), len(different))
    rates, thresholds = found.true_accept_rate(RATES), found.threshold_at(RATES)
    for rate, true, at in zip(RATES, rates, thresholds, strict=True):
        allowed = [t for t in (*same, *different, -np.inf) if (different <= t).mean() <= rate]
        assert true == (same <= max(allowed)).mean() == (same <= at).mean()
        assert (different <= at).mean() <= rate
        nearest = same[same <= max(allowed)]
        assert at == (nearest.max() if len(nearest) else -np.inf)


@settings(max_examples=200, deadline=None)
@given(benchmarks())
def test_the_curve_is_that_of_scikit_learn_at_distances_of_same_person_pairs(case):
    same, different = slow_pairs(case)
    if len(same) and len(different):
        labels = np.r_[np.ones(len(same)), np.zeros(len(different))]
        scores = -np.r_[same, different].astype(float)
        far, tar, threshold = roc_curve(labels, scores, drop_intermediate=False)
        found = of_case(case)
        at = np.isin(-threshold, found.threshold)
        np.testing.assert_allclose(found.curve(), (far[at], tar[at]), atol=1e-12)
        np.testing.assert_array_equal(found.threshold, -threshold[at])


def test_a_hand_worked_example():
    """Same person at 1, 3, 5; others at 2, 4, 4, 6: accepting up to 3 costs one of four."""
    found = of_pairs([1.0, 3.0, 5.0], [2.0, 4.0, 4.0, 6.0])
    assert found.true_accept_rate([0, 0.25, 0.5, 0.75, 1]).tolist() == pytest.approx(
        [1 / 3, 2 / 3, 2 / 3, 1, 1]
    )
    assert found.threshold_at([0, 0.25, 0.74, 0.75, 1]).tolist() == [1, 3, 3, 5, 5]
    assert found.true_accept_rate(0.3) == pytest.approx(2 / 3) and found.threshold_at(0.3) == 3


def test_shapes_follow_the_rates_asked():
    found = of_pairs([1.0, 3.0], [2.0])
    assert found.true_accept_rate(0.0).shape == () and found.threshold_at(1).shape == ()
    assert found.true_accept_rate(np.zeros((2, 3))).shape == (2, 3)
    assert found.true_accept_rate(np.zeros(0)).shape == (0,)


def test_nothing_is_accepted_where_an_impostor_is_nearest():
    found = of_pairs([2.0], [1.0, 3.0])
    assert found.true_accept_rate(0.49) == 0 and found.threshold_at(0.49) == -np.inf
    assert found.true_accept_rate(0.5) == 1


def test_an_impostor_at_the_same_distance_is_accepted_too():
    found = of_pairs([1.0], [1.0, 2.0])
    assert found.true_accept_rate([0.0, 0.5]).tolist() == [0, 1]


def test_infinite_distances_are_the_last_to_be_accepted():
    found = of_pairs([1.0, np.inf], [2.0, np.inf])
    assert found.true_accept_rate([0, 0.5, 1]).tolist() == [0.5, 0.5, 1]
    assert found.num_negatives == 2


def test_perfect_features_have_every_rate_one():
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(1, 9).repeat_interleave(4)
    features = torch.eye(8).repeat_interleave(4, 0) + 0.1 * torch.rand(32, 8, generator=generator)
    found = roc(Embeddings(features, pids, pids * 0), Embeddings(features, pids, pids * 0 + 1))
    assert found.true_accept_rate([0, 0.5, 1]).tolist() == [1, 1, 1]


def test_a_person_s_images_beside_junk_and_their_own_camera_do_not_count():
    query = blank([1], [0], "toy")
    gallery = blank([1, -1, 1, 2], [0, 1, 1, 1], "toy")
    distance = [[0.0, 0.0, 2.0, 3.0]]
    market = roc(query, gallery, distance=distance)
    assert (market.num_positives, market.num_negatives) == (1, 1) and market.source == "toy"
    every = roc(query, gallery, distance=distance, protocol="no-camera-filter")
    assert every.num_positives == 2 and every.protocol == "no-camera-filter"
    assert every.threshold.tolist() == [0, 2]


# --- as fast-reid prints it -----------------------------------------------------------------


def fastreid_reference(same, different, rates):
    """TPR at the nearest FPR on scikit-learn's curve, label 1 for pairs of different persons."""
    labels = np.r_[np.zeros(len(same)), np.ones(len(different))]
    fpr, tpr, _ = roc_curve(labels, np.r_[same, different])
    return {rate: tpr[np.abs(fpr - rate).argmin()] for rate in rates}


@settings(max_examples=500, deadline=None)
@given(benchmarks())
def test_reference_is_the_nearest_point_of_scikit_learns_curve(case):
    same, different = slow_pairs(case)
    if len(same) and len(different):
        expected = fastreid_reference(same, different, RATES)
        assert of_case(case).reference(RATES.tolist()) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
)
def test_points_in_line_with_their_neighbours_are_dropped_as_there(same, different):
    rates = np.linspace(0, 1, 23)
    same, different = np.array(same, float), np.array(different, float)
    expected = fastreid_reference(same, different, rates)
    assert of_pairs(same, different).reference(rates.tolist()) == pytest.approx(expected)


def test_reference_matches_fastreid():
    labels = np.load(GOLDEN / "eval_labels.npz")
    distance = np.random.RandomState(crc32(b"eval")).random_sample((60, 300)).astype(np.float32)
    expected = json.loads((GOLDEN / "eval_metrics.json").read_text())["roc"]
    names = ("q_pids", "q_camids", "g_pids", "g_camids")
    case = distance, *(labels[name] for name in names)
    found = of_case(case)
    assert (found.num_positives, found.num_negatives) == (expected["n_pos"], expected["n_neg"])
    stored = {float(rate): value for rate, value in expected["tpr_at_nearest_fpr"].items()}
    assert found.reference(tuple(stored)) == pytest.approx(stored, abs=1e-6)
    assert list(found.reference()) == [1e-4, 1e-3, 1e-2]
    assert sum(map(np.sum, slow_pairs(case))) == pytest.approx(expected["sum_scores"], rel=1e-5)


# --- blocks, kinds of input, refusals -------------------------------------------------------


def test_blocks_of_any_size_and_precision_give_the_same_counts(monkeypatch):
    generator = np.random.default_rng(0)
    case = generator.random((9, 40)), *(generator.integers(0, 4, n) for n in (9, 9, 40, 40))
    case = case[0].astype(np.float32), *case[1:]
    whole, wide = of_case(case), of_case((case[0].astype(np.float64), *case[1:]))
    before = case[0].copy()
    monkeypatch.setattr(reidlab.ranking.blocks, "BLOCK_ENTRIES", 90)
    small = of_case(case)
    for name in ("threshold", "true_accepts", "false_accepts", "false_below"):
        for other in (small, wide):
            np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))
    assert whole.threshold.dtype == np.float64
    assert (case[0] == before).all()


def test_a_matrix_given_without_junk_is_not_written_into():
    distance = torch.rand(4, 6)
    before = distance.clone()
    roc(blank([1, 2, 3, 1], [0] * 4), blank([1, 2, 3, 1, 2, 3], [1] * 6), distance=distance)
    assert torch.equal(distance, before)


def test_bad_input_is_refused():
    query, gallery = blank([1], [0]), blank([1, 2], [1, 1])
    found = of_pairs([1.0], [2.0])
    for rate in (-0.1, 1.1, np.nan):
        for method in (found.true_accept_rate, found.threshold_at, lambda r: found.reference([r])):
            with pytest.raises(ValueError, match="rates from 0 to 1, got"):
                method(rate)
    with pytest.raises(ValueError, match="protocol to be one of 'market', 'no-camera-filter', got"):
        roc(query, gallery, distance=[[0, 1]], protocol="top-k")
    with pytest.raises(ValueError, match="of the same and of different persons, got 1 and 0"):
        roc(query, gallery[:1], distance=[[0.0]])
    with pytest.raises(ValueError, match="found none"):
        roc(query, gallery[1:], distance=[[0.0]])
    with pytest.raises(ValueError, match="gallery images, got none"):
        roc(query, gallery[:0], distance=np.zeros((1, 0)))
    with pytest.raises(ValueError, match="NaN"):
        roc(query, gallery, distance=[[0.0, np.nan]])
    one, two = np.zeros(1), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="four columns"):
        Roc(one, two, two, two, 1, 1)
    with pytest.raises(ValueError, match="four columns"):
        Roc(one[:0], two[:0], two[:0], two[:0], 1, 1)


def test_it_prints_one_line():
    text = repr(of_pairs([1.0], [2.0]))
    assert "\n" not in text and "100.0% at 0.0001, 100.0% at 0.001, 100.0% at 0.01" in text
    assert "1 pairs of the same person, 1 of different ones, protocol='market'" in text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tensors_on_the_gpu_give_the_same_counts():
    generator = np.random.default_rng(0)
    case = generator.random((9, 40)), *(generator.integers(0, 4, n) for n in (9, 9, 40, 40))
    query, gallery = blank(*case[1:3]).to("cuda"), blank(*case[3:]).to("cuda")
    on_gpu = roc(query, gallery, distance=torch.from_numpy(case[0]).cuda())
    np.testing.assert_array_equal(on_gpu.false_accepts, of_case(case).false_accepts)
