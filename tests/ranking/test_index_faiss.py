import builtins

import pytest
import torch

from reidlab.embedding import Embeddings
from reidlab.ranking.index import Index


def make(n, width=16, seed=0, dtype=torch.float32):
    features = torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return Embeddings(features, torch.arange(n), torch.arange(n) % 4 + 1)


@pytest.fixture
def both():
    pytest.importorskip("faiss")
    attributes = {"hat": ["yes", "no", None] * 100}
    gallery = make(300, seed=1)
    return [Index(gallery, attributes=attributes, backend=name) for name in ("torch", "faiss")]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"cameras": [1, 3]},
        {"where": {"hat": "no"}},
        {"other_cameras": True},
        {"other_cameras": True, "where": {"hat": ["no", "yes"]}, "cameras": {2, 3, 4}},
    ],
)
@pytest.mark.parametrize("k", [1, 20])
def test_faiss_finds_what_torch_finds(both, filters, k):
    query = make(9)
    expected, found = (index.search(query, k, **filters) for index in both)
    assert found.order.tolist() == expected.order.tolist()
    torch.testing.assert_close(found.distance, expected.distance, atol=1e-6, rtol=0)
    again = both[1].search(query, k, **filters)
    assert torch.equal(again.order, found.order)


def test_faiss_ranks_all_and_refuses_the_same(both):
    query = make(2)
    expected, found = (index.search(query, 300) for index in both)
    assert found.order.tolist() == expected.order.tolist()
    with pytest.raises(ValueError, match="75 of 300"):
        both[1].search(query, 76, cameras=1)
    assert both[1].search(make(0), 3).order.shape == (0, 3)


def test_faiss_orders_equal_images_like_the_gallery():
    pytest.importorskip("faiss")
    rows = torch.eye(4)[[0, 1, 0, 2, 0, 1]]
    gallery = Embeddings(rows, torch.arange(6), torch.ones(6).long())
    found = Index(gallery, backend="faiss").search(gallery[:2], 6)
    assert found.order.tolist() == [[0, 2, 4, 1, 3, 5], [1, 5, 0, 2, 3, 4]]


def test_faiss_keeps_the_kind_of_numbers(tmp_path):
    pytest.importorskip("faiss")
    gallery = make(30, dtype=torch.float64)
    folder = Index(gallery).save(tmp_path / "index")
    found = Index.load(folder, backend="faiss").search(make(3), 4)
    expected = Index(gallery).search(make(3), 4)
    assert found.order.tolist() == expected.order.tolist()
    assert found.distance.dtype == expected.distance.dtype == torch.float64


def test_without_faiss_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "faiss":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="pip install faiss-cpu"):
        Index(make(3), backend="faiss")
    assert len(Index(make(3)).search(make(1), 1)) == 1
