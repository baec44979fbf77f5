import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reidlab.ranking.blocks
from reidlab.embedding import Embeddings
from reidlab.ranking import Ranking, distance_blocks, nearest, rank


def make(features, source=""):
    n = len(features)
    return Embeddings(features, torch.arange(n), torch.zeros(n, dtype=torch.int64), source=source)


def blank(n):
    return make(torch.empty(n, 0))


def slow_rank(distance, k):
    """Positions by (distance, position), a Python sort per row."""
    return [sorted(range(len(row)), key=lambda g: (row[g], g))[:k] for row in distance.tolist()]


@st.composite
def tied_distances(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    levels = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, float("inf")])
    row = st.lists(levels, min_size=gallery, max_size=gallery)
    rows = draw(st.lists(row, min_size=queries, max_size=queries))
    return torch.tensor(rows), draw(st.integers(1, gallery))


@settings(max_examples=100, deadline=None)
@given(tied_distances())
def test_rank_matches_a_plain_sort_with_ties_in_gallery_order(case):
    distance, k = case
    ranking = rank(blank(len(distance)), blank(distance.shape[1]), k, distance=distance)
    expected = slow_rank(distance, k)
    assert ranking.order.tolist() == expected
    assert ranking.distance.tolist() == distance.gather(1, torch.tensor(expected)).tolist()


@pytest.mark.parametrize("levels", [1, 3, 16, None])
@pytest.mark.parametrize("k", [1, 7, 300])
def test_rank_is_exact_on_larger_matrices(levels, k):
    distance = torch.rand(20, 300, generator=torch.Generator().manual_seed(0))
    distance = distance if levels is None else (distance * levels).floor()
    ranking = rank(blank(20), blank(300), k, distance=distance)
    assert ranking.order.tolist() == slow_rank(distance, k)


@pytest.mark.parametrize("levels", [1, 60, None])
@pytest.mark.parametrize("width", [2100, 2112])
@pytest.mark.parametrize("k", [1, 9, 21])
def test_long_rows_are_read_in_groups_and_stay_exact(levels, width, k):
    distance = torch.rand(9, width, generator=torch.Generator().manual_seed(k))
    distance = distance if levels is None else (distance * levels).floor()
    distance[0, -3:] = distance[0].min() - 1  # the nearest stand in the last, shorter group,
    distance[1] = torch.linspace(1, 0, width)  # or all at the end,
    distance[2, : width // 2] = torch.inf
    order, values = nearest(distance, k)
    expected = torch.tensor(slow_rank(distance, k))
    assert order.equal(expected) and values.equal(distance.gather(1, expected))


def test_rank_orders_by_cosine_of_the_features():
    generator = torch.Generator().manual_seed(1)
    q, g = torch.randn(5, 8, generator=generator), torch.randn(30, 8, generator=generator)
    ranking = rank(make(q), make(g), 30)
    unit_q = q.double() / q.double().norm(dim=1, keepdim=True)
    unit_g = g.double() / g.double().norm(dim=1, keepdim=True)
    distance = ((unit_q[:, None] - unit_g[None]) ** 2).sum(-1)
    assert ranking.order.tolist() == slow_rank(distance, 30)
    expected = distance.gather(1, ranking.order).float()
    torch.testing.assert_close(ranking.distance, expected, atol=2e-6, rtol=0)


def test_rank_does_not_depend_on_the_size_of_the_blocks(monkeypatch):
    distance = (torch.rand(23, 40, generator=torch.Generator().manual_seed(2)) * 5).floor()
    whole = rank(blank(23), blank(40), 6, distance=distance)
    for entries in (1, 40, 7 * 40 + 3):
        monkeypatch.setattr(reidlab.ranking.blocks, "BLOCK_ENTRIES", entries)
        assert rank(blank(23), blank(40), 6, distance=distance).order.equal(whole.order)


def test_blocks_cover_every_query_once_and_stay_small(monkeypatch):
    monkeypatch.setattr(reidlab.ranking.blocks, "BLOCK_ENTRIES", 100)
    query, gallery = make(torch.randn(23, 4)), make(torch.randn(30, 4))
    rows = []
    for part, block in distance_blocks(query, gallery):
        assert block.numel() <= 100 and block.shape == (part.stop - part.start, 30)
        rows += range(part.start, part.stop)
    assert rows == list(range(23))


def test_rank_is_unchanged_when_features_are_scaled():
    generator = torch.Generator().manual_seed(3)
    q, g = torch.randn(4, 6, generator=generator), torch.randn(20, 6, generator=generator)
    scales = 2.0 ** torch.randint(-60, 60, (20, 1), generator=generator)
    order = rank(make(q), make(g), 20).order
    assert rank(make(q * 1024), make(g * scales), 20).order.equal(order)


def test_features_of_zeros_are_orthogonal_to_all_and_rank_in_gallery_order():
    ranking = rank(make(torch.zeros(1, 3)), make(torch.eye(3)), 3)
    assert ranking.order.tolist() == [[0, 1, 2]] and ranking.distance.tolist() == [[2.0, 2.0, 2.0]]
    ranking = rank(make(torch.eye(3)[:1]), make(torch.zeros(4, 3)), 4)
    assert ranking.order.tolist() == [[0, 1, 2, 3]]


def test_distance_is_never_negative_and_at_most_four():
    x = torch.randn(50, 16, generator=torch.Generator().manual_seed(4))
    query, gallery = make(x), make(torch.cat([x, -x]))
    (_, block), *_ = distance_blocks(query, gallery)
    assert block.min() >= 0 and block.max() <= 4 + 1e-6
    assert block.diagonal().max() < 1e-6


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.half, torch.Tensor.tolist])
def test_distance_may_be_an_array_a_list_or_of_another_type(convert):
    distance = torch.tensor([[2.0, 1.0, 1.0], [0.0, 3.0, 0.5]])
    ranking = rank(blank(2), blank(3), 2, distance=convert(distance))
    assert ranking.order.tolist() == [[1, 2], [0, 2]]
    assert ranking.distance.dtype in (torch.float32, torch.float64)


def test_float64_and_integer_distances_keep_their_digits():
    near = np.array([[1.0 + 1e-12, 1.0]])
    assert rank(blank(1), blank(2), 1, distance=near).order.tolist() == [[1]]
    large = torch.tensor([[2**40 + 1, 2**40]])
    assert rank(blank(1), blank(2), 1, distance=large).order.tolist() == [[1]]


def test_a_read_only_memory_map_is_ranked_without_a_warning(tmp_path, recwarn):
    np.save(tmp_path / "d.npy", np.array([[3.0, 1.0, 2.0]], np.float32))
    distance = np.load(tmp_path / "d.npy", mmap_mode="r")
    assert rank(blank(1), blank(3), 3, distance=distance).order.tolist() == [[1, 2, 0]]
    assert not recwarn.list


def test_query_and_gallery_may_differ_in_precision():
    assert rank(make(torch.eye(2).double()), make(torch.eye(2)), 1).order.tolist() == [[0], [1]]
    assert rank(make(torch.eye(2).half()), make(torch.eye(2)), 1).order.tolist() == [[0], [1]]


def test_autocast_does_not_lower_the_precision():
    x = torch.randn(6, 32, generator=torch.Generator().manual_seed(5))
    expected = rank(make(x), make(x), 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = rank(make(x), make(x), 6)
    assert actual.distance.equal(expected.distance)


def test_no_queries_give_an_empty_ranking():
    assert rank(make(torch.empty(0, 3)), make(torch.eye(3)), 2).order.shape == (0, 2)


def test_the_ranking_keeps_both_sides_and_prints_one_short_line():
    query, gallery = make(torch.eye(2)), make(torch.eye(2), source="here")
    ranking = rank(query, gallery, 1)
    assert ranking.query is query and ranking.gallery is gallery
    assert len(ranking) == 2 and "\n" not in repr(ranking)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_outside_the_gallery_is_refused(k):
    with pytest.raises(ValueError, match=f"k from 1 to 3.*got {k}"):
        rank(make(torch.eye(3)), make(torch.eye(3)), k)


def test_an_empty_gallery_is_refused():
    with pytest.raises(ValueError, match="size of the gallery"):
        rank(make(torch.eye(3)), make(torch.empty(0, 3)), 1)


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match=r"one width, got 3 \(query\) and 2 \(gallery\)"):
        rank(make(torch.eye(3)), make(torch.eye(2)), 1)
    with pytest.raises(ValueError, match="pass distance"):
        rank(blank(2), blank(2), 1)


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 3, 1)])
def test_a_distance_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"distance of shape \(2, 3\)"):
        rank(blank(2), blank(3), 1, distance=torch.zeros(shape))


def test_a_nan_distance_is_refused_with_its_place(monkeypatch):
    monkeypatch.setattr(reidlab.ranking.blocks, "BLOCK_ENTRIES", 3)
    distance = torch.zeros(4, 3)
    distance[2, 1] = float("nan")
    with pytest.raises(ValueError, match="query 2, gallery image 1"):
        rank(blank(4), blank(3), 1, distance=distance)


def test_a_ranking_that_does_not_fit_is_refused():
    two, order = blank(2), torch.tensor([[0], [1]])
    for bad, distance, message in (
        (order[:1], torch.zeros(1, 1), r"order of shape \(2, K\)"),
        (order, torch.zeros(2, 2), "one shape"),
        (order + 1, torch.zeros(2, 1), "positions below 2"),
        (order - 1, torch.zeros(2, 1), "positions below 2"),
    ):
        with pytest.raises(ValueError, match=message):
            Ranking(bad, distance, two, two)


@pytest.mark.parametrize("queries", [1, 2, 5])
def test_copies_of_an_image_tie_in_gallery_order(queries):
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        originals = torch.randn(40, 37, generator=generator)
        copies = torch.randint(0, 40, (150,), generator=generator)
        query, gallery = make(torch.randn(queries, 37, generator=generator)), originals[copies]
        for row in rank(query, make(gallery), 150).order.tolist():
            seen: dict[int, int] = {}
            for column in row:
                original = int(copies[column])
                assert seen.get(original, -1) < column
                seen[original] = column


def test_reversed_arrays_of_one_row_are_ranked():
    distance = np.array([[3.0, 1.0, 2.0]])[::-1, ::-1]
    assert rank(blank(1), blank(3), 3, distance=distance).order.tolist() == [[1, 0, 2]]
    assert len(make(np.ones((1, 4))[::-1])) == 1


@pytest.mark.parametrize("kind", [complex, str, object])
def test_distances_that_are_no_real_numbers_are_refused(kind):
    with pytest.raises(ValueError, match="expected distances that are real numbers"):
        rank(blank(1), blank(2), 1, distance=np.ones((1, 2)).astype(kind))
    with pytest.raises(ValueError, match="expected distances that are real numbers"):
        rank(blank(1), blank(2), 1, distance=torch.ones(1, 2, dtype=torch.complex64))


def test_a_k_that_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match="k from 1 to 3, the size of the gallery, a whole number"):
        rank(blank(1), blank(3), 2.0, distance=torch.ones(1, 3))
