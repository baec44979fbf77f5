import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.evaluation.hits
import reidlab.ranking.blocks
from reidlab.embedding import Embeddings
from reidlab.evaluation import AP_FORMS, PROTOCOLS, evaluate
from reidlab.evaluation.hits import entries_ahead
from reidlab.evaluation.protocols import Rule, measure

GOLDEN = Path(__file__).parent.parent / "golden" / "misc"
SHOTS = "single-gallery-shot"


def blank(pids, camids=None, source=""):
    """Labels without features, to go with a distance matrix; one camera unless told."""
    camids = np.zeros(len(pids), int) if camids is None else camids
    return Embeddings(torch.empty(len(pids), 0), pids, camids, source=source)


def slow_hits(case, q, protocol, k=None):
    """Places of one query's hits, and how many images of its person the protocol ranks: loops."""
    distance, q_pids, q_camids, g_pids, g_camids = case
    order = sorted(range(len(g_pids)), key=lambda g: (distance[q][g], g))
    person = [g for g in order if g_pids[g] == q_pids[q] != -1]
    if protocol != "top-k":
        order = [g for g in order if g_pids[g] != -1]
    if protocol in ("market", SHOTS):
        order = [g for g in order if not (g in person and g_camids[g] == q_camids[q])]
    ranked = len([g for g in order if g in person])
    return [place for place, g in enumerate(order[:k]) if g in person], ranked


def slow_evaluate(case, protocol, k=None, relevant="found", ranks=50):
    """Every protocol as it is described, a query at a time; single shots without their CMC."""
    ap, trapezoid, inp, curves = [], [], [], []
    for q in range(len(case[1])):
        hits, ranked = slow_hits(case, q, protocol, k)
        divisor = len(hits) if relevant == "found" else ranked
        at = [(i + 1) / (r + 1) for i, r in enumerate(hits)]
        before = [i / r if r > 0 else 1.0 for i, r in enumerate(hits)]
        void = 0.0 if k else np.nan
        ap.append(sum(at) / divisor if divisor else void)
        both = sum((a + b) / 2 for a, b in zip(at, before, strict=True))
        trapezoid.append(both / divisor if divisor else void)
        complete = bool(hits) and len(hits) == divisor
        inp.append(len(hits) / (hits[-1] + 1) if complete else (0.0 if k else np.nan))
        if hits or k:
            length = min(ranks, len(case[3]))
            curves.append([float(bool(hits) and hits[0] <= r) for r in range(length)])
    cmc = np.mean(curves, axis=0) if curves else None
    return {"plain": ap, "trapezoid": trapezoid, "inp": inp, "cmc": cmc, "valid": len(curves)}


@st.composite
def benchmarks(draw, levels=(1, 2, 4, 10**6), max_queries=6, max_gallery=12):
    """A small benchmark with ties, junk, distractors, people seen by one camera only."""
    queries, gallery = draw(st.integers(1, max_queries)), draw(st.integers(1, max_gallery))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = draw(st.sampled_from(levels))
    distance = generator.integers(0, few, (queries, gallery)).astype(np.float32)
    people, cameras = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    q_pids = generator.integers(-1 if draw(st.booleans()) else 1, people + 1, queries)
    g_pids = generator.integers(-1, people + 1, gallery)
    q_camids, g_camids = (generator.integers(0, cameras, n) for n in (queries, gallery))
    return distance, q_pids, q_camids, g_pids, g_camids


RULES = [
    {"protocol": "market"},
    {"protocol": "no-camera-filter"},
    {"protocol": "top-k", "k": 1},
    {"protocol": "top-k", "k": 4},
    {"protocol": "top-k", "k": 4, "relevant": "all"},
    {"protocol": SHOTS, "repeats": 3},
]


def fitting(rule, gallery):
    """The rule with a list that is no longer than the gallery."""
    return rule | ({"k": min(rule["k"], gallery)} if "k" in rule else {})


def of_definition(rule):
    """Settings that the definition knows."""
    return {name: value for name, value in rule.items() if name != "repeats"}


def score(case, **options):
    query, gallery = blank(case[1], case[2]), blank(case[3], case[4])
    return evaluate(query, gallery, distance=case[0], **options)


def assert_same_scores(scores, expected, form="plain", cmc=True):
    if cmc:
        np.testing.assert_allclose(scores.cmc, expected["cmc"], atol=1e-12)
    np.testing.assert_allclose(scores.per_query.ap, expected[form], atol=1e-12)
    np.testing.assert_allclose(scores.per_query.inp, expected["inp"], atol=1e-12)
    assert scores.num_valid_queries == expected["valid"]
    assert scores.mean_ap == pytest.approx(np.nanmean(expected[form]), abs=1e-12)
    assert scores.mean_inp == pytest.approx(np.nanmean(expected["inp"]), abs=1e-12)


# --- against the definitions ----------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(benchmarks(), st.integers(1, 15), st.sampled_from(AP_FORMS), st.sampled_from(RULES))
def test_scores_match_their_definitions(case, ranks, form, rule):
    rule = fitting(rule, len(case[3]))
    expected = slow_evaluate(case, **of_definition(rule), ranks=ranks)
    if expected["valid"]:
        scores = score(case, **rule, ranks=ranks, ap=form)
        assert_same_scores(scores, expected, form, cmc=rule["protocol"] != SHOTS)
        assert len(scores.cmc) == min(ranks, len(case[3]))
    else:
        with pytest.raises(ValueError, match="found none"):
            score(case, **rule, ranks=ranks, ap=form)


@pytest.mark.parametrize("levels", [1, 16, 2**20])
@pytest.mark.parametrize("rule", RULES[1:], ids=str)
def test_scores_match_their_definitions_when_a_person_has_hundreds_of_images(levels, rule):
    generator = np.random.default_rng(0)
    distance = generator.integers(0, levels, (3, 900)).astype(np.float32)
    q_pids, g_pids = np.array([1, 2, 1]), generator.integers(-1, 3, 900)
    assert min((g_pids == pid).sum() for pid in q_pids) > reidlab.evaluation.hits.SORTED_FROM
    case = distance, q_pids, np.arange(3) % 2, g_pids, generator.integers(0, 3, 900)
    rule = rule | ({"k": 700} if "k" in rule else {})
    expected = slow_evaluate(case, **of_definition(rule))
    assert_same_scores(score(case, **rule), expected, cmc=rule["protocol"] != SHOTS)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 5), st.integers(0, 10**6))
def test_entries_ahead_are_those_that_a_stable_sort_puts_before(size, values, levels, seed):
    generator = np.random.default_rng(seed)
    row = generator.integers(0, levels, size).astype(np.float32)
    asked = generator.integers(-1, levels + 1, values).astype(np.float32)
    cuts = generator.integers(0, size + 1, values)
    found = entries_ahead(row, asked, cuts)
    expected = [
        (row[:cut] <= value).sum() + (row[cut:] < value).sum()
        for value, cut in zip(asked, cuts, strict=True)
    ]
    assert found.tolist() == expected


@settings(max_examples=50, deadline=None)
@given(benchmarks(max_queries=12), st.integers(1, 30))
def test_several_rules_in_one_pass_and_small_blocks_change_nothing(case, entries):
    rules = [Rule(**fitting(rule, len(case[3]))) for rule in RULES]
    query, gallery = blank(*case[1:3]), blank(*case[3:])
    together = measure(query, gallery, case[0], rules)
    whole = reidlab.ranking.blocks.BLOCK_ENTRIES
    try:
        reidlab.ranking.blocks.BLOCK_ENTRIES = entries
        alone = [measure(query, gallery, case[0], [rule])[0] for rule in rules]
    finally:
        reidlab.ranking.blocks.BLOCK_ENTRIES = whole
    for one, other in zip(together, alone, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


# --- against published code -----------------------------------------------------------------


def test_ten_place_lists_score_as_in_the_la_transformer_notebook():
    stored = json.loads((GOLDEN / "la_metrics.json").read_text())
    found = {"ap": [], "rank1": [], "rank5": [], "rank10": []}
    for label, nearest in zip(stored["labels"], stored["lists"], strict=True):
        beyond = [label] * 3  # images of the person behind the list change nothing
        distance = [np.arange(13.0)]
        scores = evaluate(
            blank([label]), blank([*nearest, *beyond]), distance=distance, protocol="top-k", k=10
        )
        found["ap"].append(scores.mean_ap)
        for k in (1, 5, 10):
            found[f"rank{k}"].append(scores.rank(k) == 1)
        assert scores.rank(13) == scores.rank(10)
    np.testing.assert_allclose(found["ap"], stored["ap10"], atol=1e-12)
    for k in (1, 5, 10):
        assert found[f"rank{k}"] == stored[f"rank{k}"]


@pytest.fixture(scope="module")
def published():
    """The stored labels with their distances, and the results of the reference."""
    stored = np.load(GOLDEN / "eval_labels.npz")
    distance = np.random.RandomState(crc32(b"eval")).random_sample((60, 300)).astype(np.float32)
    np.testing.assert_allclose(distance.sum(dtype=np.float64), stored["dist_checksum"][0])
    reference = json.loads((GOLDEN / "eval_metrics.json").read_text())["cuhk03_single_shot"]
    labels = (stored[name] for name in ("q_pids", "q_camids", "g_pids", "g_camids"))
    return (distance, *labels), reference


def test_single_shots_agree_with_torchreid_in_mean_and_spread(published):
    case, reference = published
    assert reference["repeats_per_call"] == 10
    calls = [score(case, protocol=SHOTS, seed=seed) for seed in range(100)]
    assert calls[0].mean_ap == pytest.approx(reference["mAP_unmasked"], abs=1e-6)
    curves = np.array([scores.cmc for scores in calls])
    mean, spread = (np.array(reference[name]) for name in ("cmc_mean", "cmc_std_of_one_call"))
    assert curves.shape[1] == 50 and len(mean) == 20
    curves = curves[:, :20]
    error = spread * np.sqrt(1 / len(calls) + 1 / reference["calls"])
    sure = spread > 1e-6
    assert (np.abs(curves.mean(0) - mean)[sure] < 4 * error[sure]).all()
    assert (np.abs(curves.mean(0) - mean)[~sure] < 1e-6).all()
    assert (np.abs(curves - mean)[:, sure] < 6 * spread[sure]).all()
    ratio = curves.std(0, ddof=1)[sure] / spread[sure]
    assert 0.85 < ratio.mean() < 1.15 and (ratio > 0.6).all() and (ratio < 1.6).all()


# --- single shots ---------------------------------------------------------------------------


def expected_first_place(case, q):
    """Chance that the drawn match comes first: for each own image, nobody's draw is nearer."""
    distance, q_pids, q_camids, g_pids, g_camids = case
    own = [g for g, pid in enumerate(g_pids) if pid == q_pids[q] and g_camids[g] != q_camids[q]]
    chance = 0.0
    for match in own:
        free = 1.0
        for pid in set(g_pids.tolist()) - {-1, q_pids[q]}:
            images = [g for g, other in enumerate(g_pids) if other == pid]
            ahead = [g for g in images if (distance[q][g], g) < (distance[q][match], match)]
            free *= 1 - len(ahead) / len(images)
        chance += free / len(own)
    return chance


@pytest.mark.parametrize("levels", [3, 10**6])
def test_rank_1_of_single_shots_tends_to_its_exact_expectation(levels):
    generator = np.random.default_rng(3)
    distance = generator.integers(0, levels, (5, 40)).astype(np.float32)
    g_pids, g_camids = generator.integers(-1, 5, 40), generator.integers(0, 3, 40)
    case = distance, np.array([1, 2, 3, 4, 1]), np.array([0, 1, 2, 0, 1]), g_pids, g_camids
    chances = np.array([expected_first_place(case, q) for q in range(5)])
    assert 0 < chances.mean() < 1
    repeats = 4000
    found = score(case, protocol=SHOTS, repeats=repeats, seed=1).rank(1)
    error = np.sqrt((chances * (1 - chances)).sum() / repeats) / 5
    assert abs(found - chances.mean()) < 4 * error


def test_single_shots_repeat_with_the_seed_and_differ_with_another():
    generator = np.random.default_rng(0)
    case = generator.random((20, 200)), np.arange(20) % 5, np.zeros(20, int)
    case = *case, generator.integers(0, 5, 200), np.ones(200, int)
    first, again, other = (score(case, protocol=SHOTS, seed=seed).cmc for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_one_image_per_person_needs_no_luck():
    generator = np.random.default_rng(0)
    case = generator.random((8, 8)), np.arange(8), np.zeros(8, int)
    case = *case, generator.permutation(8), np.ones(8, int)
    expected = score(case).cmc
    np.testing.assert_allclose(score(case, protocol=SHOTS, repeats=2).cmc, expected)


def test_distractors_are_one_person_to_single_shots():
    """Nine of ten images of person 0 are nearer than the match: one draw, ahead nine in ten."""
    distance = np.array([[*np.arange(9.0), 9.5, 9.2]])
    case = distance, [1], [0], [*[0] * 10, 1], [1] * 11
    scores = score(case, protocol=SHOTS, repeats=5000)
    assert scores.rank(2) == 1 and scores.rank(1) == pytest.approx(0.1, abs=0.02)


def test_images_of_the_own_camera_are_never_drawn():
    case = [[0.0, 5.0, 1.0]], [1], [0], [1, 1, 2], [0, 1, 1]
    scores = score(case, protocol=SHOTS, repeats=50)
    assert scores.cmc.tolist() == [0, 1, 1] and scores.mean_ap == 0.5


# --- lists ----------------------------------------------------------------------------------


def test_a_hand_worked_list():
    """Nearest first: same camera, junk, hit, miss | hit; the list has four places."""
    query, gallery = blank([1], [0]), blank([1, -1, 1, 2, 1], [0, 0, 1, 1, 2])
    distance = [[0.0, 1.0, 2.0, 3.0, 4.0]]
    found = evaluate(query, gallery, distance=distance, protocol="top-k", k=4)
    assert found.mean_ap == pytest.approx((1 + 2 / 3) / 2)
    assert found.mean_inp == pytest.approx(2 / 3)
    every = evaluate(query, gallery, distance=distance, protocol="top-k", k=4, relevant="all")
    assert every.mean_ap == pytest.approx((1 + 2 / 3) / 3) and every.mean_inp == 0
    whole = evaluate(query, gallery, distance=distance, protocol="top-k", k=5, relevant="all")
    assert whole.mean_inp == pytest.approx(3 / 5)
    assert evaluate(query, gallery, distance=distance, protocol="no-camera-filter").mean_ap == (
        pytest.approx((1 + 2 / 2 + 3 / 4) / 3)
    )


def test_every_query_counts_in_lists_with_zero_where_nothing_is_found():
    query, gallery = blank([1, 2, 9, -1]), blank([1, 2, -1])
    distance = np.array([[0, 1, 2], [0, 1, 2], [0, 1, 2], [1, 1, 0.0]])
    for relevant in ("found", "all"):
        scores = evaluate(
            query, gallery, distance=distance, protocol="top-k", k=1, relevant=relevant
        )
        assert scores.per_query.ap.tolist() == scores.per_query.inp.tolist() == [1, 0, 0, 0]
        assert scores.num_valid_queries == 4 and scores.cmc.tolist() == [0.25] * 3


def test_a_list_without_any_hit_scores_zero():
    for gallery in (blank([2, 3]), blank([-1, -1])):
        scores = evaluate(blank([1]), gallery, distance=[[0.0, 1.0]], protocol="top-k", k=2)
        assert scores.mean_ap == scores.mean_inp == 0 and scores.cmc.tolist() == [0, 0]


@settings(max_examples=50, deadline=None)
@given(benchmarks())
def test_a_list_of_the_whole_gallery_without_junk_is_the_ranking_of_all_cameras(case):
    case = *case[:3], np.maximum(case[3], 0), case[4]
    expected = slow_evaluate(case, "no-camera-filter")
    if expected["valid"] == len(case[1]):
        scores = score(case, protocol="top-k", k=len(case[3]), relevant="all")
        assert_same_scores(scores, expected)


@settings(max_examples=50, deadline=None)
@given(benchmarks(), st.integers(1, 12))
def test_ap_over_all_images_is_never_above_ap_over_hits_found(case, k):
    k = min(k, len(case[3]))
    found, every = (
        score(case, protocol="top-k", k=k, relevant=relevant).per_query
        for relevant in ("found", "all")
    )
    assert (every.ap <= found.ap + 1e-12).all() and (every.inp <= found.inp + 1e-12).all()


def test_junk_in_front_pushes_hits_out_of_the_list():
    query, gallery = blank([1]), blank([1, 2])
    more = blank([-1, 1, 2])
    options = {"protocol": "top-k", "k": 1}
    assert evaluate(query, gallery, distance=[[0.0, 1.0]], **options).mean_ap == 1
    assert evaluate(query, more, distance=[[0.0, 0.0, 1.0]], **options).mean_ap == 0
    assert evaluate(query, more, distance=[[0.5, 0.0, 1.0]], **options).mean_ap == 1


# --- properties of all protocols ------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(benchmarks(), st.sampled_from(RULES), st.integers(1, 4), st.integers(0, 10**6))
def test_junk_changes_nothing_except_in_lists(case, rule, amount, seed):
    if rule["protocol"] == "top-k" or not slow_evaluate(case, **of_definition(rule))["valid"]:
        return
    before = score(case, **rule)
    generator = np.random.default_rng(seed)
    at = generator.integers(0, len(case[3]) + 1, amount)
    more = np.insert(case[0], at, generator.integers(-1, 5, (len(case[0]), amount)), axis=1)
    camids = np.insert(case[4], at, generator.integers(0, 3, amount))
    after = score((more, *case[1:3], np.insert(case[3], at, -1), camids), **rule)
    np.testing.assert_array_equal(after.cmc[: len(before.cmc)], before.cmc)
    np.testing.assert_array_equal(after.per_query.ap, before.per_query.ap)
    np.testing.assert_array_equal(after.per_query.inp, before.per_query.inp)


@settings(max_examples=150, deadline=None)
@given(benchmarks(levels=(10**6,)), st.sampled_from(RULES), st.integers(0, 10**6))
def test_the_order_of_gallery_and_queries_does_not_matter(case, rule, seed):
    rule = fitting(rule, len(case[3]))
    if not slow_evaluate(case, **of_definition(rule))["valid"]:
        return
    generator = np.random.default_rng(seed)
    distance = case[0] + generator.random(case[0].shape)  # no ties
    q, g = generator.permutation(len(case[1])), generator.permutation(len(case[3]))
    before = score((distance, *case[1:]), **rule)
    other = (distance[q][:, g], case[1][q], case[2][q], case[3][g], case[4][g])
    after = score(other, **rule)
    np.testing.assert_array_equal(after.per_query.ap, before.per_query.ap[q])
    np.testing.assert_array_equal(after.per_query.inp, before.per_query.inp[q])
    if rule["protocol"] != SHOTS:  # whose draws follow the order
        np.testing.assert_allclose(after.cmc, before.cmc, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(benchmarks(), st.sampled_from(RULES), st.sampled_from([1e-3, 0.5, 7.0]))
def test_scaling_the_distances_changes_nothing(case, rule, scale):
    rule = fitting(rule, len(case[3]))
    if slow_evaluate(case, **of_definition(rule))["valid"]:
        before, after = score(case, **rule), score((case[0] * np.float64(scale), *case[1:]), **rule)
        np.testing.assert_array_equal(after.cmc, before.cmc)
        np.testing.assert_array_equal(after.per_query.ap, before.per_query.ap)


@settings(max_examples=60, deadline=None)
@given(benchmarks(), st.sampled_from(RULES))
def test_trapezoid_is_never_larger_and_every_score_is_a_share(case, rule):
    rule = fitting(rule, len(case[3]))
    if slow_evaluate(case, **of_definition(rule))["valid"]:
        plain, trapezoid = (score(case, **rule, ap=form) for form in AP_FORMS)
        assert not (trapezoid.per_query.ap > plain.per_query.ap + 1e-12).any()
        assert (np.diff(plain.cmc) >= 0).all() and 0 <= plain.cmc[0] <= plain.cmc[-1] <= 1 + 1e-12
        assert not ((plain.per_query.inp < 0) | (plain.per_query.ap > 1 + 1e-12)).any()


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("form", AP_FORMS)
def test_a_perfect_ranking_scores_one(rule, form):
    pids = np.arange(1, 7).repeat(4)
    different = (pids[:, None] != pids[None]).astype(float)
    scores = score((different, pids, np.zeros(24, int), pids, np.ones(24, int)), **rule, ap=form)
    assert scores.mean_ap == scores.mean_inp == 1
    assert scores.cmc.tolist() == [1] * 24


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_ties_rank_in_gallery_order(rule):
    level = np.zeros((1, 3))
    ahead, behind = (
        score((level, [1], [0], pids, [1, 1, 1]), **fitting(rule, 3))
        for pids in ([1, 2, 3], [2, 3, 1])
    )
    assert ahead.rank(1) == 1 and ahead.mean_ap == 1
    assert behind.rank(2) == 0 and behind.mean_ap == (
        0 if rule.get("k") == 1 else pytest.approx(1 / 3)
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_tie_of_two_goes_to_the_first_in_the_gallery(rule):
    for pids, expected in (([1, 2, 3], 1), ([2, 1, 3], 0)):
        scores = score(([[0.0, 0.0, 1.0]], [1], [0], pids, [1, 1, 1]), **fitting(rule, 3))
        assert scores.rank(1) == expected


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_one_query_and_one_gallery_image_are_enough(rule):
    scores = score(([[0.3]], [1], [0], [1], [1]), **fitting(rule, 1))
    assert scores.cmc.tolist() == [1.0] and scores.mean_ap == scores.mean_inp == 1.0


# --- what is refused, and what the record says ----------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "top-k"}, "'top-k' needs k"),
        ({"protocol": "top-k", "k": 0}, "k from 1 to 3, the size of the gallery, got 0"),
        ({"protocol": "top-k", "k": 4}, "k from 1 to 3, the size of the gallery, got 4"),
        ({"k": 3}, "k=3 belongs to protocol 'top-k', got protocol 'market'"),
        ({"protocol": SHOTS, "k": 3}, "k=3 belongs to protocol 'top-k'"),
        ({"relevant": "all"}, "relevant='all' belongs to protocol 'top-k'"),
        ({"protocol": "top-k", "k": 1, "relevant": "some"}, "relevant to be one of 'found', 'all'"),
        ({"protocol": SHOTS, "repeats": 0}, "repeats of at least 1, got 0"),
        ({"protocol": SHOTS, "seed": -1}, "seed of at least 0, got -1"),
        ({"seed": None}, "seed to be a whole number, got None"),
    ],
)
def test_settings_that_do_not_fit_the_protocol_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(blank([1]), blank([1, 2, 3], [1, 1, 1]), distance=np.zeros((1, 3)), **options)


@pytest.mark.parametrize("value", [1.5, 1.0, True, np.True_, np.float64(1), "1", [1]])
@pytest.mark.parametrize("name", ["k", "repeats", "seed", "ranks"])
def test_a_count_that_is_no_whole_number_is_refused(name, value):
    options = {"protocol": "top-k", "k": 1} | {name: value}
    with pytest.raises(ValueError) as caught:
        evaluate(blank([1]), blank([1, 2], [1, 1]), distance=[[0, 1]], **options)
    assert str(caught.value) == f"expected {name} to be a whole number, got {value!r}"


def test_counts_of_numpy_are_whole_numbers_and_a_seed_may_be_zero():
    one = np.int64(1)
    for options in (
        {"protocol": "top-k", "k": one, "ranks": one},
        {"protocol": SHOTS, "repeats": one, "seed": np.int64(0)},
    ):
        scores = evaluate(blank([1]), blank([1, 2], [1, 1]), distance=[[0, 1]], **options)
        assert scores.rank(one) == 1


@pytest.mark.parametrize("protocol", ["no-camera-filter", SHOTS])
def test_no_valid_query_is_refused_with_the_reason(protocol):
    query, gallery = blank([5, 6]), blank([1, 5, -1] if protocol == SHOTS else [1, 2, -1])
    with pytest.raises(ValueError, match="found none") as caught:
        evaluate(query, gallery, distance=np.zeros((2, 3)), protocol=protocol)
    text = str(caught.value)
    if protocol == SHOTS:
        assert "1 have their person only under their own camera, and 1 have no image" in text
        assert "protocol 'single-gallery-shot' removes" in text
    else:
        assert "of 2 queries, 2 have no image of their person" in text and "removes" not in text


def test_labels_say_the_protocol_in_full():
    def label(**options):
        query, gallery = blank([1], [0], "toy"), blank([1, 2], [1, 1], "toy")
        scores = evaluate(query, gallery, distance=[[0.0, 1.0]], **options)
        assert scores.source == "toy" and scores.label in str(scores) + repr(scores)
        assert scores.protocol == options["protocol"]
        return scores.label, scores.k, scores.relevant, scores.repeats, scores.seed

    none = (None,) * 4
    assert label(protocol="market") == ("market", *none)
    assert label(protocol="no-camera-filter") == ("no-camera-filter", *none)
    found = label(protocol="top-k", k=2)
    assert found == ("top-2, AP over hits found", 2, "found", None, None)
    every = label(protocol="top-k", k=1, relevant="all")
    assert every == ("top-1, AP over all images", 1, "all", None, None)
    drawn = label(protocol=SHOTS, repeats=7, seed=5)
    assert drawn == ("single-gallery-shot, 7 repeats, seed 5", None, None, 7, 5)
    assert len(PROTOCOLS) == 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_tensors_on_the_gpu_give_the_same_scores(published, rule):
    case, _ = published
    query, gallery = blank(*case[1:3]), blank(*case[3:])
    distance = torch.from_numpy(case[0])
    expected = evaluate(query, gallery, distance=distance, **rule)
    scores = evaluate(query.to("cuda"), gallery.to("cuda"), distance=distance.cuda(), **rule)
    assert scores.mean_ap == expected.mean_ap and (scores.cmc == expected.cmc).all()
