import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.ranking.blocks
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.evaluation.hits import places_of
from reidlab.evaluation.protocols import AP_FORMS, measure

GOLDEN = Path(__file__).parent.parent / "golden"


def blank(pids, camids, source=""):
    """Labels without features, to go with a distance matrix."""
    return Embeddings(torch.empty(len(pids), 0), pids, camids, source=source)


def slow_evaluate(distance, q_pids, q_camids, g_pids, g_camids, ranks=50):
    """The definitions read aloud, one query and one gallery image at a time."""
    ap, trapezoid, inp, curves = [], [], [], []
    for q, row in enumerate(distance):
        order = sorted(range(len(row)), key=lambda g: (row[g], g))
        kept = [g for g in order if g_pids[g] != -1]
        kept = [g for g in kept if g_pids[g] != q_pids[q] or g_camids[g] != q_camids[q]]
        hits = [place for place, g in enumerate(kept) if g_pids[g] == q_pids[q]]
        if not hits:
            ap.append(np.nan), trapezoid.append(np.nan), inp.append(np.nan)
            continue
        at = [(i + 1) / (r + 1) for i, r in enumerate(hits)]
        before = [i / r if r > 0 else 1.0 for i, r in enumerate(hits)]
        ap.append(sum(at) / len(hits))
        trapezoid.append(sum((a + b) / 2 for a, b in zip(at, before, strict=True)) / len(hits))
        inp.append(len(hits) / (hits[-1] + 1))
        curves.append([float(hits[0] <= r) for r in range(min(ranks, len(g_pids)))])
    cmc = np.mean(curves, axis=0) if curves else None
    return {"plain": ap, "trapezoid": trapezoid, "inp": inp, "cmc": cmc, "valid": len(curves)}


def assert_same_scores(scores, expected, form="plain"):
    np.testing.assert_allclose(scores.cmc, expected["cmc"], atol=1e-12)
    np.testing.assert_allclose(scores.per_query.ap, expected[form], atol=1e-12)
    np.testing.assert_allclose(scores.per_query.inp, expected["inp"], atol=1e-12)
    assert scores.num_valid_queries == expected["valid"]
    assert scores.mean_ap == pytest.approx(np.nanmean(expected[form]), abs=1e-12)
    assert scores.mean_inp == pytest.approx(np.nanmean(expected["inp"]), abs=1e-12)
    assert scores.cmc.dtype == scores.per_query.ap.dtype == scores.per_query.inp.dtype == np.float64


@st.composite
def benchmarks(draw, max_queries=6, max_gallery=12):
    """A small benchmark with ties, junk, distractors, people seen by one camera only."""
    queries = draw(st.integers(1, max_queries))
    gallery = draw(st.integers(1, max_gallery))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 4, 10**6]))
    distance = generator.integers(0, levels, (queries, gallery)).astype(np.float32)
    people, cameras = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    q_pids, g_pids = (
        generator.integers(1, people + 1, queries),
        generator.integers(-1, people + 1, gallery),
    )
    q_camids, g_camids = (generator.integers(0, cameras, n) for n in (queries, gallery))
    return distance, q_pids, q_camids, g_pids, g_camids


def evaluate_arrays(distance, q_pids, q_camids, g_pids, g_camids, **options):
    query, gallery = blank(q_pids, q_camids), blank(g_pids, g_camids)
    return evaluate(query, gallery, distance=distance, **options)


# --- against published code -----------------------------------------------------------------


@pytest.fixture(scope="module")
def golden():
    """The stored labels, the distances rebuilt from their recipe, the reference results."""
    labels = np.load(GOLDEN / "misc" / "eval_labels.npz")
    state = np.random.RandomState(zlib.crc32(b"eval") & 0xFFFFFFFF)
    distance = state.random_sample((60, 300)).astype(np.float32)
    check = distance.sum(dtype=np.float64), distance[3, 7], distance[-1, -1]
    np.testing.assert_allclose(check, labels["dist_checksum"], rtol=1e-7)
    reference = json.loads((GOLDEN / "misc" / "eval_metrics.json").read_text())
    query = blank(labels["q_pids"], labels["q_camids"])
    return query, blank(labels["g_pids"], labels["g_camids"]), distance, reference


@pytest.mark.parametrize("code", ["torchreid_py", "torchreid_cy", "fastreid_py", "fastreid_cy"])
def test_scores_match_torchreid_and_fastreid(golden, code):
    query, gallery, distance, reference = golden
    scores, expected = evaluate(query, gallery, distance=distance), reference[code]
    np.testing.assert_allclose(scores.cmc, expected["cmc"], atol=1e-6)
    assert scores.mean_ap == pytest.approx(expected["mAP"], abs=1e-6)
    valid = ~np.isnan(scores.per_query.ap)
    if "mINP" in expected:
        assert scores.mean_inp == pytest.approx(expected["mINP"], abs=1e-6)
        assert scores.num_valid_queries == valid.sum() == expected["valid_queries"]
    if "AP" in expected:
        np.testing.assert_allclose(scores.per_query.ap[valid], expected["AP"], atol=1e-6)
        np.testing.assert_allclose(scores.per_query.inp[valid], expected["INP"], atol=1e-6)


def test_trapezoid_form_matches_the_original_market_code(golden):
    query, gallery, distance, reference = golden
    scores = evaluate(query, gallery, distance=distance, ap="trapezoid")
    expected = np.array(reference["trapezoid"]["AP"], dtype=float)  # None becomes NaN
    np.testing.assert_allclose(scores.per_query.ap, expected, atol=1e-6)
    total = scores.mean_ap * scores.num_valid_queries
    over_all = reference["trapezoid"]["mAP_over_all_queries"]
    assert total / len(query) == pytest.approx(over_all, abs=1e-6)


def test_scores_match_the_strong_baseline_code():
    stored = np.load(GOLDEN / "transreid" / "golden_ranking.npz")
    labels = (stored[name] for name in ("q_pids", "q_camids", "g_pids", "g_camids"))
    scores = evaluate_arrays(stored["distmat"], *labels)
    assert scores.cmc.shape == (50,)
    np.testing.assert_allclose(scores.cmc, stored["cmc"], atol=1e-6)
    assert scores.mean_ap == pytest.approx(float(stored["mAP"]), abs=1e-6)
    assert scores.num_valid_queries == int(stored["num_valid_q"])


def test_a_gallery_too_small_for_the_published_code_is_scored():
    stored = np.load(GOLDEN / "transreid" / "golden_ranking.npz")
    assert bool(stored["small_gallery20_raises"])
    case = [stored[name] for name in ("distmat", "q_pids", "q_camids", "g_pids", "g_camids")]
    case = [case[0][:, :20], *case[1:3], case[3][:20], case[4][:20]]
    assert_same_scores(evaluate_arrays(*case), slow_evaluate(*case))


# --- against the definitions ----------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(benchmarks(), st.integers(1, 15), st.sampled_from(["plain", "trapezoid"]))
def test_scores_match_their_definitions(case, ranks, form):
    expected = slow_evaluate(*case, ranks=ranks)
    if expected["valid"]:
        assert_same_scores(evaluate_arrays(*case, ranks=ranks, ap=form), expected, form)
    else:
        with pytest.raises(ValueError, match="found none"):
            evaluate_arrays(*case, ranks=ranks, ap=form)


@pytest.mark.parametrize("levels", [1, 16, 2**20])
def test_scores_match_their_definitions_when_a_person_has_hundreds_of_images(levels):
    generator = np.random.default_rng(0)
    distance = generator.integers(0, levels, (6, 1500)).astype(np.float32)
    q_pids, g_pids = np.array([1, 2, 1, 2, 1, 3]), generator.integers(-1, 4, 1500)
    case = distance, q_pids, np.arange(6) % 3, g_pids, generator.integers(0, 3, 1500)
    assert min((g_pids == pid).sum() for pid in q_pids) > 128  # sorted, no longer counted
    assert_same_scores(evaluate_arrays(*case), slow_evaluate(*case))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 5), st.integers(0, 10**6))
def test_places_are_those_of_a_stable_sort(size, levels, seed):
    generator = np.random.default_rng(seed)
    row = generator.integers(0, levels, size).astype(np.float32)
    columns = np.flatnonzero(generator.random(size) < 0.8)
    order = np.argsort(row, kind="stable").tolist()
    assert places_of(row, columns).tolist() == [order.index(c) for c in columns]


# --- properties -----------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(benchmarks(), st.integers(0, 10**6))
def test_the_order_of_queries_and_of_an_untied_gallery_does_not_matter(case, seed):
    distance, q_pids, q_camids, g_pids, g_camids = case
    generator = np.random.default_rng(seed)
    distance = generator.permuted(np.arange(distance.size).reshape(distance.shape), axis=1)
    if not slow_evaluate(distance, *case[1:])["valid"]:
        return
    expected = evaluate_arrays(distance, *case[1:])
    q, g = generator.permutation(len(q_pids)), generator.permutation(len(g_pids))
    scores = evaluate_arrays(distance[q][:, g], q_pids[q], q_camids[q], g_pids[g], g_camids[g])
    np.testing.assert_allclose(scores.per_query.ap, expected.per_query.ap[q], atol=1e-12)
    np.testing.assert_allclose(scores.per_query.inp, expected.per_query.inp[q], atol=1e-12)
    np.testing.assert_allclose(scores.cmc, expected.cmc, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(benchmarks(), st.integers(1, 5), st.integers(0, 10**6))
def test_junk_changes_nothing(case, amount, seed):
    distance, q_pids, q_camids, g_pids, g_camids = case
    expected = slow_evaluate(*case)
    if not expected["valid"]:
        return
    generator = np.random.default_rng(seed)
    at = generator.integers(0, len(g_pids) + 1, amount)
    more = np.insert(distance, at, generator.integers(-1, 5, (len(distance), amount)), axis=1)
    camids = np.insert(g_camids, at, generator.integers(0, 3, amount))
    scores = evaluate_arrays(more, q_pids, q_camids, np.insert(g_pids, at, -1), camids)
    scores = replace(scores, cmc=scores.cmc[: len(expected["cmc"])])  # junk may lengthen the curve
    assert_same_scores(scores, expected)


@settings(max_examples=50, deadline=None)
@given(benchmarks(), st.sampled_from([1e-3, 0.5, 7.0]))
def test_scaling_the_distances_changes_nothing(case, scale):
    if slow_evaluate(*case)["valid"]:
        scores = evaluate_arrays(case[0] * np.float64(scale), *case[1:])
        assert_same_scores(scores, slow_evaluate(*case))


@settings(max_examples=50, deadline=None)
@given(benchmarks())
def test_trapezoid_is_never_larger_and_every_score_is_a_share(case):
    if slow_evaluate(*case)["valid"]:
        plain, trapezoid = (evaluate_arrays(*case, ap=form) for form in ("plain", "trapezoid"))
        valid = ~np.isnan(plain.per_query.ap)
        assert (trapezoid.per_query.ap[valid] <= plain.per_query.ap[valid] + 1e-12).all()
        assert (np.diff(plain.cmc) >= 0).all() and 0 <= plain.cmc[0] <= plain.cmc[-1] <= 1
        assert (plain.per_query.inp[valid] > 0).all() and (plain.per_query.ap[valid] <= 1).all()


def features_of_people(generator, people, images, width=16):
    """Features close to their person's centre, people far apart."""
    centres = torch.eye(people, width) * 10
    noise = torch.rand(people * images, width, generator=generator)
    return centres.repeat_interleave(images, dim=0) + 0.1 * noise


def test_a_perfect_ranking_scores_one_everywhere():
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(1, 9).repeat_interleave(4)
    query = Embeddings(features_of_people(generator, 8, 4), pids, torch.zeros(32).long())
    gallery = Embeddings(features_of_people(generator, 8, 4), pids, torch.ones(32).long())
    for form in ("plain", "trapezoid"):
        scores = evaluate(query, gallery, ap=form)
        assert scores.mean_ap == scores.mean_inp == 1.0
        assert scores.cmc.tolist() == [1.0] * 32


def test_features_are_ranked_by_cosine_at_any_scale(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    q, g = torch.randn(9, 5, generator=generator), torch.randn(40, 5, generator=generator)
    labels = [torch.randint(0, 4, (n,), generator=generator) for n in (9, 9, 40, 40)]
    query, gallery = Embeddings(q, *labels[:2]), Embeddings(g, *labels[2:])
    unit_q, unit_g = (x.double() / x.double().norm(dim=1, keepdim=True) for x in (q, g))
    expected = slow_evaluate((2 - 2 * unit_q @ unit_g.T).numpy(), *(x.numpy() for x in labels))
    assert_same_scores(evaluate(query, gallery), expected)
    scaled = Embeddings(g * (1 + 30 * torch.rand(40, 1, generator=generator)), *labels[2:])
    assert_same_scores(evaluate(query, scaled), expected)
    monkeypatch.setattr(reidlab.ranking.blocks, "BLOCK_ENTRIES", 100)
    assert_same_scores(evaluate(query, gallery), expected)


def test_features_of_zeros_are_scored_as_ties():
    query = Embeddings(torch.zeros(1, 4), [1], [0])
    gallery = Embeddings(torch.randn(3, 4), [2, 1, 1], [1, 1, 1])
    assert evaluate(query, gallery).cmc.tolist() == [0.0, 1.0, 1.0]


def test_distance_may_be_a_tensor_an_array_or_a_list_of_any_real_type(golden):
    query, gallery, distance, _ = golden
    expected = evaluate(query, gallery, distance=distance).mean_ap
    tensor = torch.from_numpy(distance)
    for other in (tensor, tensor.double(), tensor.requires_grad_(), distance.tolist()):
        assert evaluate(query, gallery, distance=other).mean_ap == expected
    transposed = np.asfortranarray(distance)
    transposed.flags.writeable = False
    assert evaluate(query, gallery, distance=transposed).mean_ap == expected
    whole = (distance * 1e6).astype(np.int64)
    assert evaluate(query, gallery, distance=whole).mean_ap == pytest.approx(expected, abs=1e-3)


def test_the_distance_given_is_left_unchanged(golden):
    query, gallery, distance, _ = golden
    before = distance.copy()
    evaluate(query, gallery, distance=distance)
    assert np.array_equal(distance, before)


def test_both_forms_come_from_one_pass(golden):
    query, gallery, distance, _ = golden
    (scores,) = measure(query, gallery, distance)
    for form in AP_FORMS:
        single = evaluate(query, gallery, distance=distance, ap=form).per_query.ap
        np.testing.assert_array_equal(scores[form], single)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tensors_on_the_gpu_give_the_same_scores(golden):
    query, gallery, distance, _ = golden
    expected = evaluate(query, gallery, distance=distance)
    on_gpu = torch.from_numpy(distance).cuda()
    scores = evaluate(query.to("cuda"), gallery.to("cuda"), distance=on_gpu)
    assert scores.mean_ap == expected.mean_ap and (scores.cmc == expected.cmc).all()
