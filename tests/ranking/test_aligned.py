"""Global and local distances added up, from embeddings."""

import pytest
import torch
from torch.nn import functional as F

from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.losses import aligned_distance
from reidlab.ranking.aligned import dmli_distance, local_distance


def side(count, width, seed, *, unit=0):
    """Embeddings of `count` images; of `unit` stripes of length 1 if there are any."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator)
    if unit:
        features = F.normalize(features.unflatten(1, (unit, -1)), dim=2).flatten(1)
    pids, camids = torch.arange(count) % 3, torch.arange(count) % 2
    return Embeddings(features, pids, camids)


@pytest.fixture
def sides():
    return side(5, 7, 1), side(9, 7, 2), side(5, 24, 3, unit=4), side(9, 24, 4, unit=4)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.25, 0.0])
def test_it_is_the_squared_distance_of_unit_features_and_the_local_one(sides, aligned, weight):
    query, gallery, local_query, local_gallery = sides
    found = dmli_distance(*sides, stripes=4, aligned=aligned, weight=weight)
    assert found.shape == (5, 9) and found.dtype == torch.float32
    local = aligned_distance(
        local_query.features.view(5, 4, 6), local_gallery.features.view(9, 4, 6), aligned=aligned
    )
    for q in range(5):
        for g in range(9):
            a, b = (F.normalize(e.features[i], dim=0) for e, i in ((query, q), (gallery, g)))
            expected = float((a - b).square().sum()) + weight * float(local[q, g])
            assert float(found[q, g]) == pytest.approx(expected, abs=1e-5)
    alone = local_distance(local_query, local_gallery, stripes=4, aligned=aligned)
    torch.testing.assert_close(alone, local)


def test_without_local_weight_the_ranking_is_the_global_one(sides):
    plain = evaluate(sides[0], sides[1])
    found = evaluate(*sides[:2], distance=dmli_distance(*sides, stripes=4, weight=0.0))
    assert found.mean_ap == pytest.approx(plain.mean_ap)


def test_eight_stripes_are_the_usual_number():
    query, local = side(2, 3, 1), side(2, 16, 2, unit=8)
    found = dmli_distance(query, query, local, local)
    torch.testing.assert_close(found, dmli_distance(query, query, local, local, stripes=8))


def test_features_of_other_images_are_refused(sides):
    query, gallery, local_query, local_gallery = sides
    named = Embeddings(query.features, query.pids, query.camids, paths=tuple("abcde"))
    other = Embeddings(
        local_query.features, local_query.pids, local_query.camids, paths=tuple("abced")
    )
    for bad in (
        (query, gallery, local_query[:3], local_gallery),
        (query, gallery, local_query[[1, 0, 2, 3, 4]], local_gallery),
        (named, gallery, other, local_gallery),
    ):
        with pytest.raises(ValueError, match="same query images in the same order"):
            dmli_distance(*bad, stripes=4)
    moved = Embeddings(local_gallery.features, local_gallery.pids, local_gallery.camids + 1)
    with pytest.raises(ValueError, match="same gallery images"):
        dmli_distance(query, gallery, local_query, moved, stripes=4)


def test_another_number_of_stripes_is_refused(sides):
    with pytest.raises(
        ValueError, match="5 stripes in a row, \\(N, 5 \\* width\\), got \\(5, 24\\)"
    ):
        dmli_distance(*sides, stripes=5)
    with pytest.raises(ValueError, match="features of one width"):
        local_distance(sides[0], sides[2])
