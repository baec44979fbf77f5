import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlab.embedding import Embeddings
from reidlab.evaluation import compare_protocols, evaluate, pool_queries
from reidlab.evaluation.multi import without_images


def slow_pool(query, images, normalize):
    """The definition: for each query, walk through all images."""
    own, others = (
        [row / (np.linalg.norm(row) or 1.0) if normalize else row for row in side.features.numpy()]
        for side in (query, images)
    )
    pooled = []
    for q in range(len(query)):
        same = [
            others[i]
            for i in range(len(images))
            if images.pids[i] == query.pids[q] != -1 and images.camids[i] == query.camids[q]
        ]
        pooled.append(np.mean(same, axis=0) if same else own[q])
    return np.array(pooled)


def random_side(generator, count, width=4, dtype=np.float32):
    features = generator.standard_normal((count, width)).astype(dtype) * 3
    pids, camids = generator.integers(-1, 4, count), generator.integers(0, 3, count)
    return Embeddings(features, pids, camids)


def any_match(query, images):
    wanted = set(zip(query.pids.tolist(), query.camids.tolist(), strict=True))
    shown = zip(images.pids.tolist(), images.camids.tolist(), strict=True)
    return any(pair in wanted for pair in shown if pair[0] != -1)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 8), st.integers(0, 30), st.booleans(), st.integers(0, 10**6))
def test_queries_become_the_mean_of_their_images(queries, count, normalize, seed):
    generator = np.random.default_rng(seed)
    query, images = random_side(generator, queries), random_side(generator, count)
    if any_match(query, images):
        pooled = pool_queries(query, images, normalize=normalize)
        expected = slow_pool(query, images, normalize)
        np.testing.assert_allclose(pooled.features, expected, atol=1e-5)
        assert pooled.pids.tolist() == query.pids.tolist()
        assert pooled.camids.tolist() == query.camids.tolist()
    else:
        with pytest.raises(ValueError, match=f"found none among {count}; check"):
            pool_queries(query, images, normalize=normalize)


def test_a_worked_example_in_both_forms():
    query = Embeddings([[1.0, 0.0]], [1], [0], ("q.jpg",), "market")
    images = Embeddings([[0.0, 4.0], [2.0, 0.0], [9.0, 9.0]], [1, 1, 1], [0, 0, 1])
    pooled = pool_queries(query, images)
    assert pooled.features.tolist() == [[0.5, 0.5]]  # the query's own is no part
    assert pool_queries(query, images, normalize=False).features.tolist() == [[1.0, 2.0]]
    assert pooled.paths == ("q.jpg",) and pooled.source == "market, multi-query"
    bare = Embeddings(query.features, query.pids, query.camids)
    assert pool_queries(bare, images).source == "multi-query"


def test_queries_without_images_keep_their_own_and_are_counted():
    query = Embeddings([[3.0, 0.0], [0.0, 5.0]], [1, 2], [0, 0])
    images = Embeddings([[0.0, 2.0]], [1], [0])
    pooled = pool_queries(query, images)
    assert pooled.features.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert without_images(query, images) == 1
    assert pool_queries(query, images, normalize=False).features[1].tolist() == [0.0, 5.0]
    assert without_images(query[:1], images) == 0
    table = compare_protocols(query, Embeddings(query.features, [1, 2], [1, 1]), extra=images)
    assert "multi-query: 1 of 2 queries have no further image" in str(table)


def test_a_query_pooled_from_itself_alone_scores_as_before():
    generator = np.random.default_rng(0)
    query, gallery = random_side(generator, 40), random_side(generator, 60)
    pairs = list(zip(query.pids.tolist(), query.camids.tolist(), strict=True))
    query = query[[pairs.index(pair) for pair in sorted(set(pairs)) if pair[0] > 0]]
    before, after = (evaluate(side, gallery) for side in (query, pool_queries(query, query)))
    assert len(query) > 5 and (after.per_query.ap == before.per_query.ap).all()


@pytest.mark.parametrize("normalize", [True, False])
def test_the_queries_given_are_left_unchanged(normalize):
    query, images = (
        random_side(np.random.default_rng(0), 9),
        random_side(np.random.default_rng(1), 40),
    )
    before = query.features.clone(), images.features.clone()
    pool_queries(query, images, normalize=normalize)
    assert torch.equal(query.features, before[0]) and torch.equal(images.features, before[1])


def test_several_images_find_better_than_one():
    generator = np.random.default_rng(0)
    pids, centres = np.arange(1, 31), generator.standard_normal((31, 16))

    def side(images, camera):
        who = pids.repeat(images)
        noise = 2 * generator.standard_normal((len(who), 16))
        return Embeddings(centres[who] + noise, who, np.full(len(who), camera))

    query, images, gallery = side(1, 0), side(8, 0), side(5, 1)
    assert evaluate(pool_queries(query, images), gallery).mean_ap > (
        evaluate(query, gallery).mean_ap + 0.1
    )


def test_precision_is_kept_and_half_is_widened():
    one = {"pids": [1], "camids": [0]}
    for given_type, expected in (
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        query = Embeddings(torch.ones(1, 2, dtype=given_type), **one)
        for normalize in (True, False):
            assert pool_queries(query, query, normalize=normalize).features.dtype == expected
    mixed = pool_queries(
        Embeddings(torch.ones(1, 2), **one), Embeddings(torch.ones(1, 2).double(), **one)
    )
    assert mixed.features.dtype == torch.float64


def test_features_that_do_not_fit_are_refused():
    query = Embeddings(torch.ones(1, 2), [1], [0])
    for width in (3, 0):
        with pytest.raises(ValueError, match=rf"got 2 \(query\) and {width} \(images\)"):
            pool_queries(query, Embeddings(torch.ones(1, width), [1], [0]))
    blank = Embeddings(torch.ones(1, 0), [1], [0])
    with pytest.raises(ValueError, match="features of one width"):
        pool_queries(blank, blank)
    meta = Embeddings.__new__(Embeddings)  # a second device without owning one
    for name in ("features", "pids", "camids"):
        object.__setattr__(meta, name, getattr(query, name).to("meta"))
    with pytest.raises(ValueError, match=r"one device, got cpu \(query\) and meta \(images\)"):
        pool_queries(query, meta)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tensors_on_the_gpu_pool_alike():
    generator = np.random.default_rng(0)
    query, images = random_side(generator, 50), random_side(generator, 500)
    pooled = pool_queries(query.to("cuda"), images.to("cuda"))
    torch.testing.assert_close(pooled.features.cpu(), pool_queries(query, images).features)
