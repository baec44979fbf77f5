import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.ranking.expansion
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.ranking import expand_query


def make(features):
    labels = torch.arange(len(features))
    return Embeddings(features, labels, labels % 3, paths=tuple(f"{i}.jpg" for i in labels))


def split(features, queries):
    return make(features[:queries]), make(features[queries:])


def slow_expansion(features, k, alpha, times):
    """The definition, one item after the other, float64."""
    x = np.asarray(features, np.float64)
    for _ in range(times):
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        cosines = unit @ unit.T
        rows = []
        for i in range(len(x)):
            nearest = sorted(range(len(x)), key=lambda j: (-cosines[i, j], j))[:k]
            rows.append(sum(cosines[i, j] ** alpha * x[j] for j in nearest) / k)
        x = np.stack(rows)
    return x


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "times", "k", "alpha"), [("aqe_1_5_3", 1, 5, 3.0), ("aqe_2_3_1", 2, 3, 1.0)]
)
def test_features_match_the_public_code(golden, name, times, k, alpha):
    recipe = golden.json("misc/rerank_input")
    r = golden.random("rerank")
    centres = r.standard_normal((20, 64))
    ids = r.randint(0, 20, 240)
    x = (centres[ids] + 0.9 * r.standard_normal((240, 64))).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    sides = expand_query(*split(x, recipe["num_query"]), k=k, alpha=alpha, times=times)
    found = torch.cat([side.features for side in sides])
    expected = golden.arrays("misc/query_expansion")[name]  # the queries and eight more
    np.testing.assert_allclose(found[: len(expected)].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert len(sides[0]) == recipe["num_query"] and len(found) == len(x)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 6),
    st.sampled_from([0.0, 1.0, 2.0, 3.0]),
    st.integers(1, 2),
    st.integers(0, 10**6),
)
def test_features_match_the_definition(queries, gallery, k, alpha, times, seed):
    x = normal((queries + gallery, 5), seed)
    k = min(k, len(x))
    query, expanded = expand_query(*split(x, queries), k=k, alpha=alpha, times=times)
    found = torch.cat([query.features, expanded.features]).numpy()
    expected = slow_expansion(x, k, alpha, times)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_labels_paths_and_inputs_stay(monkeypatch):
    x = normal((30, 8), 0)
    query, gallery = split(x.copy(), 10)
    whole = expand_query(query, gallery, k=4)
    monkeypatch.setattr(reidlab.ranking.expansion, "BLOCK_ENTRIES", 1)
    monkeypatch.setattr(reidlab.ranking.expansion, "LEAST_ROWS", 7)
    blocks = expand_query(query, gallery, k=4)
    for before, after, again in zip((query, gallery), whole, blocks, strict=True):
        assert after.pids.equal(before.pids) and after.camids.equal(before.camids)
        assert after.paths == before.paths
        torch.testing.assert_close(after.features, again.features)
    assert np.array_equal(torch.cat([query.features, gallery.features]).numpy(), x)


def test_one_neighbour_leaves_the_features():
    query, gallery = split(normal((20, 6), 1), 5)
    for side, expanded in zip((query, gallery), expand_query(query, gallery, k=1), strict=True):
        torch.testing.assert_close(side.features, expanded.features)


def test_scaling_all_features_scales_the_result():
    x = normal((20, 6), 2)
    small, large = (expand_query(*split(c * x, 5), k=3)[1].features for c in (1, 8))
    torch.testing.assert_close(large, 8 * small)


def test_expansion_raises_the_score_of_people_who_form_clusters():
    rng = np.random.RandomState(0)
    pids = np.concatenate([np.arange(30), np.repeat(np.arange(30), 8)])
    x = rng.standard_normal((30, 24))[pids] + 1.1 * rng.standard_normal((270, 24))
    everyone = Embeddings(x, pids, (np.arange(270) >= 30).astype(np.int64))
    query, gallery = everyone[:30], everyone[30:]
    before, after = evaluate(query, gallery), evaluate(*expand_query(query, gallery, k=6))
    assert after.mean_ap > before.mean_ap + 0.05


def test_double_precision_stays_double():
    query, gallery = split(normal((9, 4), 3).astype(np.float64), 3)
    assert all(side.features.dtype == torch.float64 for side in expand_query(query, gallery, k=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k from 1 to 9, queries and gallery together, a whole number, got 0"),
        ({"k": 10}, "k from 1 to 9"),
        ({"k": 3, "alpha": float("nan")}, "alpha of at least 0, got nan"),
        ({"k": 3, "times": 1.5}, "times of at least 1, a whole number, got 1.5"),
        ({"k": 3, "alpha": -1.0}, "alpha of at least 0, got -1"),
        ({"k": 3, "times": 0}, "times of at least 1, a whole number, got 0"),
        ({"k": 9, "alpha": 0.5}, "no real value for a negative cosine and alpha = 0.5"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        expand_query(*split(normal((9, 4), 4), 3), **arguments)


def test_features_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="features of one width, got 4"):
        expand_query(make(np.ones((2, 4))), make(np.ones((3, 5))), k=2)


@pytest.mark.parametrize("scale", [1e-25, 1e-13, 1e18])
def test_features_of_any_size_are_expanded(scale):
    x = normal((20, 6), 5)
    plain, scaled = (expand_query(*split(c * x, 5), k=3)[1].features for c in (1.0, scale))
    torch.testing.assert_close(scaled / scale, plain, rtol=1e-4, atol=1e-5)
