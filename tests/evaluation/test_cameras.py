from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reidlab.embedding import Embeddings
from reidlab.evaluation.cameras import center_cameras, expected_share, same_camera_share


def random_sides(seed: int, bias: float = 0.0):
    """40 queries and 90 images of 12 people and 3 cameras; `bias` shifts each camera's features."""
    r = np.random.default_rng(seed)
    sides = []
    for count in (40, 90):
        pids, camids = r.integers(-1, 12, count), r.integers(1, 4, count)
        if count == 40:
            pids = 1 + r.integers(0, 11, count)
        features = r.normal(size=(count, 8)) + bias * np.eye(8)[camids]
        sides.append(Embeddings(features.astype(np.float32), pids, camids))
    return sides


def slow_share(query, gallery):
    """The definition read aloud."""
    hits = []
    for x, pid, camid in zip(query.features, query.pids, query.camids, strict=True):
        others = [
            (float(F.cosine_similarity(x, y, dim=0)), int(camera))
            for y, other, camera in zip(gallery.features, gallery.pids, gallery.camids, strict=True)
            if other not in (pid, -1)
        ]
        hits.append(max(others)[1] == camid)
    return np.mean(hits)


def slow_expected(query, gallery):
    shares = []
    for pid, camid in zip(query.pids, query.camids, strict=True):
        others = [
            c for p, c in zip(gallery.pids, gallery.camids, strict=True) if p not in (pid, -1)
        ]
        shares.append(np.mean([c == camid for c in others]))
    return np.mean(shares)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [7, 1024])
def test_shares_match_their_definitions(seed, block, monkeypatch):
    monkeypatch.setattr("reidlab.evaluation.cameras.BLOCK", block)
    sides = random_sides(seed)
    assert same_camera_share(*sides) == pytest.approx(slow_share(*sides))
    assert expected_share(*sides) == pytest.approx(slow_expected(*sides))


def test_a_bias_of_the_camera_shows_in_the_share_and_goes_when_means_are_subtracted():
    biased = random_sides(0, bias=5.0)
    assert same_camera_share(*biased) > 0.95
    centred = center_cameras(*biased)
    assert same_camera_share(*centred) < expected_share(*biased) + 0.2


def test_junk_of_the_same_person_is_no_stranger():
    query = Embeddings(torch.tensor([[1.0, 0.0]]), [5], [1])
    gallery = Embeddings(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), [-1, 6], [1, 2])
    assert same_camera_share(query, gallery) == 0.0
    assert expected_share(query, gallery) == 0.0


def test_centred_features_match_the_definition_and_have_no_mean_per_camera():
    query, gallery = random_sides(1, bias=2.0)
    own, other = center_cameras(query, gallery)
    assert other.pids.equal(gallery.pids) and own.camids.equal(query.camids)
    every = F.normalize(torch.cat([query.features, gallery.features]))
    camids = torch.cat([query.camids, gallery.camids])
    for x, camid, found in zip(
        every, camids, torch.cat([own.features, other.features]), strict=True
    ):
        torch.testing.assert_close(found, x - every[camids == camid].mean(0))


def test_a_gallery_without_strangers_is_refused():
    query = Embeddings(torch.ones(1, 2), [5], [1])
    gallery = Embeddings(torch.ones(2, 2), [5, -1], [1, 2])
    for share in (same_camera_share, expected_share):
        with pytest.raises(ValueError, match="no strangers"):
            share(query, gallery)


def test_features_of_two_networks_have_no_common_mean():
    query, gallery = Embeddings(torch.ones(1, 2), [5], [1]), Embeddings(torch.ones(1, 3), [6], [1])
    with pytest.raises(ValueError, match="of one network, got widths 2 and 3"):
        center_cameras(query, gallery)
