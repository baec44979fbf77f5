import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.ranking.memory
import reidlab.ranking.neighbours
import reidlab.ranking.pairs
import reidlab.ranking.reciprocal
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.ranking import k_reciprocal, nearest, reciprocal_memory
from reidlab.ranking.pairs import VARIANTS, pairs_of
from reidlab.ranking.reciprocal import encode, neighbour_lists


def make(features):
    labels = torch.zeros(len(features), dtype=torch.int64)
    return Embeddings(torch.as_tensor(features), labels, labels)


def split(features, queries):
    return make(features[:queries]), make(features[queries:])


def slow_reciprocal(distance, queries, k1, k2, weight, *, squared=True, variant="zhong", blend=1.0):
    """The definition in sets and loops, float64. `distance`: D of all items, queries first."""
    n = len(distance)
    original = np.asarray(distance, np.float64) ** (2 if squared else 1)
    largest = original.max(axis=0)
    weights_from = original if variant == "fastreid" else (original / largest).T
    order = [sorted(range(n), key=lambda j: (weights_from[i][j], j)) for i in range(n)]
    own = 0 if variant == "fastreid" else 1

    def mutual(i, k):
        return {j for j in order[i][:k] if i in order[j][:k]}

    vectors = np.zeros((n, n))
    length = k1 + own
    for i in range(n):
        core = mutual(i, length)
        whole = set(core)
        for j in core:
            near = mutual(j, min(round(k1 / 2) + 1, length))
            if len(near & core) > 2 / 3 * len(near):
                whole |= near
        members = sorted(whole)
        weights = np.exp(-weights_from[i][members])
        vectors[i, members] = weights / weights.sum()
    if k2 > 1:
        vectors = np.stack([vectors[order[i][:k2]].mean(axis=0) for i in range(n)])
    result = np.empty((queries, n - queries))
    for q in range(queries):
        for g in range(queries, n):
            shared = np.minimum(vectors[q], vectors[g]).sum()
            result[q, g - queries] = 1 - shared / (2 - shared)
    return (1 - weight) * result + weight * blend * weights_from[:queries, queries:]


def people(count, width, clusters, seed, noise=0.9):
    rng = np.random.RandomState(seed)
    centres = rng.standard_normal((clusters, width))
    x = centres[rng.randint(0, clusters, count)] + noise * rng.standard_normal((count, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def euclidean(x):
    x = x.astype(np.float64)
    return np.sqrt(np.maximum(2 - 2 * x @ x.T, 0))


@pytest.fixture(scope="module")
def golden_features(golden):
    recipe = golden.json("misc/rerank_input")
    r = golden.random("rerank")
    centres = r.standard_normal((20, 64))
    ids = r.randint(0, 20, 240)
    x = (centres[ids] + 0.9 * r.standard_normal((240, 64))).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(x[0, :8], recipe["first"], atol=1e-6)
    np.testing.assert_allclose(x.sum(dtype=np.float64), recipe["checksum"], atol=1e-4)
    return split(x, recipe["num_query"])


def assert_nearly_all_equal(found, expected, tolerance=1e-5):
    """Neighbour lists may flip where float distances tie: 1 entry in 10,000 may differ."""
    equal = np.abs(found.numpy().astype(np.float64) - expected) <= tolerance
    assert equal.mean() >= 0.9999, f"only {equal.mean():.4%} of {equal.size} entries agree"


@pytest.mark.parametrize(
    ("variant", "file", "name", "settings"),
    [
        ("zhong", "rerank_zhong", "zhong_euclid_20_6_03", (20, 6, 0.3)),
        ("zhong", "rerank_zhong", "zhong_euclid_10_1_00", (10, 1, 0.0)),
        ("zhong", "rerank_zhong", "zhong_euclid_13_4_05", (13, 4, 0.5)),
        ("torchreid", "rerank_torchreid_layumi", "torchreid_on_squared_20_6_03", (20, 6, 0.3)),
        ("torchreid", "rerank_torchreid_layumi", "layumi_from_cosine_20_6_03", (20, 6, 0.3)),
        ("fastreid", "rerank_fastreid", "fastreid_jaccard_20_6", (20, 6, 0.0)),
        ("fastreid", "rerank_fastreid", "fastreid_cosine_mix_03", (20, 6, 0.3)),
    ],
)
def test_results_match_the_public_codes(golden, golden_features, variant, file, name, settings):
    found = k_reciprocal(*golden_features, *settings, variant=variant)
    assert_nearly_all_equal(found, golden.arrays(f"misc/{file}")[name])


@pytest.mark.parametrize(
    ("file", "settings", "half_precision"), [("k20_6", (20, 6), 3e-3), ("k50_15", (50, 15), 6e-3)]
)
@pytest.mark.parametrize("given", [False, True])
def test_results_match_the_transreid_code(golden, file, settings, half_precision, given):
    inputs = golden.arrays("transreid/golden_rerank_k20_6")
    x = inputs["rr_feats_raw"]
    queries = int(inputs["rr_num_query"])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    distance = np.maximum(2 - 2 * unit @ unit.T, 0) if given else None
    found = k_reciprocal(*split(x, queries), *settings, variant="transreid", distance=distance)
    expected = golden.arrays(f"transreid/golden_rerank_{file}")
    name = f"k{settings[0]}_{settings[1]}_0.3"
    assert_nearly_all_equal(found, expected[f"rr64_{name}"])
    assert np.abs(found.numpy() - expected[f"rr_{name}"]).max() < half_precision


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(["zhong", "torchreid", "transreid", "fastreid"]),
    st.integers(0, 10**6),
)
def test_results_match_the_definition(queries, gallery, k1, k2, weight, variant, seed):
    x = people(queries + gallery, 6, 4, seed)
    found = k_reciprocal(*split(x, queries), k1, k2, weight, variant=variant)
    squared = variant in ("zhong", "torchreid")
    distance = euclidean(x) if variant == "zhong" else euclidean(x) ** 2
    settings = {"squared": squared, "variant": variant}
    settings["blend"] = 0.5 if variant == "fastreid" else 1.0  # 1 - cos
    expected = slow_reciprocal(distance, queries, k1, k2, weight, **settings)
    assert np.abs(found.numpy() - expected).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 30), st.sampled_from([*VARIANTS]), st.integers(0, 10**6))
def test_a_given_matrix_with_ties_is_ordered_by_item(queries, gallery, variant, seed):
    count = queries + gallery
    levels = np.random.default_rng(seed).integers(1, 5, (count, count)) / 4.0
    distance = np.triu(levels, 1) + np.triu(levels, 1).T  # few levels: ties everywhere
    found = k_reciprocal(
        *split(np.empty((count, 0)), queries), 4, 3, variant=variant, distance=distance
    )
    settings = {"squared": variant in ("zhong", "torchreid"), "variant": variant}
    expected = slow_reciprocal(distance, queries, 4, 3, 0.3, **settings)
    assert np.abs(found.numpy() - expected).max() < 1e-5


@pytest.fixture(scope="module")
def crowd():
    return split(people(300, 16, 25, seed=1), 40)


@pytest.mark.parametrize("entries", [1, 1000, 10_000])
def test_results_do_not_depend_on_the_size_of_blocks(crowd, monkeypatch, entries):
    whole = k_reciprocal(*crowd)
    monkeypatch.setattr(reidlab.ranking.pairs, "BLOCK_ENTRIES", entries)
    monkeypatch.setattr(reidlab.ranking.pairs, "LEAST_ROWS", 7)
    monkeypatch.setattr(reidlab.ranking.pairs, "PRODUCTS", 50)
    monkeypatch.setattr(reidlab.ranking.neighbours, "BLOCK_PAIRS", entries)
    torch.testing.assert_close(k_reciprocal(*crowd), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", [1, 7, 260])
def test_the_nearest_are_those_of_all_distances(crowd, k):
    ranking = k_reciprocal(*crowd, k=k)
    order, values = nearest(k_reciprocal(*crowd), k)
    torch.testing.assert_close(ranking.distance, values, rtol=0, atol=1e-6)
    assert (ranking.order == order).double().mean() > 0.999
    assert ranking.gallery is crowd[1]


def test_features_are_compared_by_direction_only(crowd):
    query, gallery = crowd
    scaled = make(query.features * 7), make(gallery.features.double() * 0.1)
    torch.testing.assert_close(k_reciprocal(*scaled), k_reciprocal(*crowd), rtol=0, atol=1e-5)


def test_the_order_of_the_gallery_moves_columns_only(crowd):
    query, gallery = crowd
    order = torch.randperm(len(gallery), generator=torch.Generator().manual_seed(0))
    moved = k_reciprocal(query, gallery[order])
    torch.testing.assert_close(moved, k_reciprocal(*crowd)[:, order], rtol=0, atol=1e-5)


def test_weight_one_is_the_relative_distance(crowd):
    query, gallery = crowd
    x = torch.cat([query.features, gallery.features])
    squared = (2 - 2 * x @ x.T).clamp(min=0)
    expected = (squared / squared.amax(dim=1, keepdim=True))[:40, 40:]
    torch.testing.assert_close(k_reciprocal(*crowd, weight=1.0), expected, rtol=0, atol=1e-6)


def test_re_ranking_raises_the_score_of_people_who_form_clusters():
    rng = np.random.RandomState(0)
    pids = np.concatenate([np.arange(30), np.repeat(np.arange(30), 8)])
    centres = rng.standard_normal((30, 24))
    x = (centres[pids] + 1.1 * rng.standard_normal((270, 24))).astype(np.float32)
    cameras = np.concatenate([np.zeros(30, np.int64), np.ones(240, np.int64)])
    everyone = Embeddings(x, pids, cameras)
    query, gallery = everyone[:30], everyone[30:]
    before = evaluate(query, gallery).mean_ap
    after = evaluate(query, gallery, distance=k_reciprocal(query, gallery)).mean_ap
    assert before + 0.05 < after


def test_identical_images_are_at_distance_zero():
    x = np.tile([[1.0, 2.0, 2.0]], (6, 1)).astype(np.float32)
    for variant in VARIANTS:
        found = k_reciprocal(*split(x, 2), 3, 2, variant=variant)
        assert found.isfinite().all()
        one = torch.eye(3)[[0, 0, 0, 0]]
        found = k_reciprocal(make(one[:1]), make(one[1:]), 20, 1, variant=variant)
        torch.testing.assert_close(found, torch.zeros(1, 3), rtol=0, atol=1e-6)


def test_inputs_are_left_unchanged(crowd):
    query, gallery = crowd
    x = torch.cat([query.features, gallery.features])
    distance = (2 - 2 * x @ x.T).clamp(min=0).fill_diagonal_(0)
    features, given = gallery.features.clone(), distance.clone()
    for variant in VARIANTS:
        k_reciprocal(query, gallery, variant=variant, distance=distance)
        k_reciprocal(query, gallery, variant=variant)
    assert distance.equal(given) and gallery.features.equal(features)


def test_a_matrix_may_be_mapped_from_disk(crowd, tmp_path):
    x = torch.cat([side.features for side in crowd]).numpy()
    distance = euclidean(x)
    np.save(tmp_path / "d.npy", distance)
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    found = k_reciprocal(*crowd, distance=mapped)
    torch.testing.assert_close(found, k_reciprocal(*crowd), rtol=0, atol=1e-4)


def asymmetric(distance):
    return distance * np.linspace(1, 2, len(distance))[:, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:40, 40:], r"shape \(300, 300\).*queries first.*got \(40, 260\)"),
        (asymmetric, "expected a symmetric distance"),
        (lambda d: 1 - 2 * d, "expected distances, got -.* 1 - similarity"),
        (lambda d: np.where(d > 1.6, np.nan, d), "NaN or infinity"),
        (lambda d: np.where(d > 1.6, np.inf, d), "NaN or infinity"),
    ],
)
def test_a_matrix_that_is_no_distance_is_refused(crowd, change, message):
    distance = change(euclidean(torch.cat([side.features for side in crowd]).numpy()))
    with pytest.raises(ValueError, match=message):
        k_reciprocal(*crowd, distance=distance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k1": 0}, "k1 of at least 1, a whole number, got 0"),
        ({"k1": 2.5}, "k1 of at least 1, a whole number, got 2.5"),
        ({"k2": 0}, "k2 of at least 1, a whole number, got 0"),
        ({"k": True}, "k from 1 to 260, the size of the gallery, a whole number, got True"),
        ({"weight": 1.2}, "weight from 0 to 1.*got 1.2"),
        ({"weight": float("nan")}, "weight from 0 to 1"),
        ({"variant": "zong"}, "'zhong', 'torchreid', 'transreid', 'fastreid', got 'zong'"),
        ({"k": 0}, "k from 1 to 260"),
        ({"k": 261}, "k from 1 to 260"),
    ],
)
def test_arguments_out_of_range_are_refused(crowd, arguments, message):
    with pytest.raises(ValueError, match=message):
        k_reciprocal(*crowd, **arguments)


def test_empty_sides_and_other_widths_are_refused(crowd):
    with pytest.raises(ValueError, match="expected queries and gallery images, got 0 and 260"):
        k_reciprocal(crowd[0][:0], crowd[1])
    with pytest.raises(ValueError, match="features of one width, got 16"):
        k_reciprocal(crowd[0], make(torch.ones(3, 5)))


def test_what_cannot_fit_is_refused_before_anything_is_computed(crowd, monkeypatch):
    monkeypatch.setattr(reidlab.ranking.memory, "free_memory", lambda device: 10_000_000)
    monkeypatch.setattr(reidlab.ranking.reciprocal, "pairs_of", None)  # would fail if called
    with pytest.raises(ValueError, match=r"needs about .* on cpu, where 10.0 MB are free"):
        k_reciprocal(*crowd)


def test_the_memory_stated_grows_with_the_gallery_not_with_its_square():
    small, large = (reciprocal_memory(100, n, 128, k=50).total for n in (10**5, 10**6))
    assert large < 11 * small
    everything = reciprocal_memory(3368, 15913, 512)
    assert everything.result == 4 * 3368 * 15913 and "result 214.4 MB" in str(everything)
    assert everything.total - everything.result < 10**9


@pytest.mark.parametrize("width", [2, 8, 64, 512])
@pytest.mark.parametrize("noise", [0.1, 1.0, 100.0])
def test_vectors_have_no_more_entries_than_the_memory_reckons_with(width, noise):
    pairs = pairs_of(*split(people(1500, width, 60, 0, noise), 100), VARIANTS["zhong"], None)
    lists, farthest = neighbour_lists(pairs, 20, 6, None, False)
    assert len(encode(pairs, lists, farthest, 20, 1).values) <= 1.5 * 21 * 1500
    assert len(encode(pairs, lists, farthest, 20, 6).values) <= 6 * 21 * 1500


def test_every_vector_is_a_share_of_one(crowd):
    pairs = pairs_of(*crowd, VARIANTS["zhong"], None)
    lists, farthest = neighbour_lists(pairs, 20, 6, None, False)
    encoded = encode(pairs, lists, farthest, 20, 6)
    rows = torch.repeat_interleave(encoded.starts.diff())
    total = torch.zeros(300).index_add_(0, rows, encoded.values)
    torch.testing.assert_close(total, torch.ones(300))
    pairs_seen = rows * 300 + encoded.columns
    assert (pairs_seen.diff() > 0).all()  # sorted, none twice


def test_a_bar_is_shown_only_when_asked_for(crowd, capsys):
    k_reciprocal(*crowd)
    assert capsys.readouterr().err == ""
    k_reciprocal(*crowd, progress=True)
    assert "re-ranking" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("variant", [*VARIANTS])
def test_the_gpu_gives_the_same_distances(crowd, variant):
    expected = k_reciprocal(*crowd, variant=variant).numpy()
    found = k_reciprocal(*(side.to("cuda") for side in crowd), variant=variant)
    assert found.device.type == "cuda"
    assert_nearly_all_equal(found.cpu(), expected)
