"""Made-up people: features around a centre of their own, seen by several cameras."""

from __future__ import annotations

import numpy as np
import pytest

from reidlab.embedding import Embeddings


def crowd(seed, people, *, queries=3, images=5, width=16, noise=0.7, cameras=4, first=1, **options):
    """Query and gallery of `people` drawn from one distribution, by default any two alike."""
    rng = np.random.default_rng(seed)
    scale = options.get("scale", np.ones(width))
    shift = options.get("shift", np.zeros(width))
    centre = rng.normal(size=(people, width)) * scale + shift

    def seen(each):
        pids = np.repeat(np.arange(people), each)
        features = centre[pids] + noise * rng.normal(size=(len(pids), width)) * scale
        camids = rng.integers(1, cameras + 1, len(pids))
        return Embeddings(features.astype(np.float32), pids + first, camids, source="made up")

    return seen(queries), seen(images)


def joined(*parts):
    """Embeddings one after the other."""
    columns = (
        np.concatenate([np.asarray(getattr(part, name)) for part in parts])
        for name in ("features", "pids", "camids")
    )
    return Embeddings(*columns, source=parts[0].source)


def strangers(seed, count, pid=0, width=16):
    """Images of distractors (0) or junk (-1)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, width)).astype(np.float32)
    return Embeddings(features, np.full(count, pid), rng.integers(1, 5, count))


@pytest.fixture
def people():
    """The function that makes people up."""
    return crowd


@pytest.fixture
def mixed():
    """Twelve people, distractors and junk in the gallery, and queries of unknown people."""
    query, gallery = crowd(1, 12, images=6)
    gallery = joined(gallery, strangers(2, 9), strangers(3, 7, -1))
    gallery = gallery[np.random.default_rng(4).permutation(len(gallery))]
    return joined(query[:20], strangers(5, 2), query[20:], strangers(6, 2, -1)), gallery


@pytest.fixture
def pairs_by_hand():
    """The function that lists all pairs that count, in loops."""

    def listed(query, gallery):
        unit = [e.features.double() / e.features.double().norm(dim=1)[:, None] for e in
                (query, gallery)]  # fmt: skip
        same, different = [], []
        for q in range(len(query)):
            for g in range(len(gallery)):
                one, other = int(query.pids[q]), int(gallery.pids[g])
                if one <= 0 or other == -1:
                    continue
                d = float(((unit[0][q] - unit[1][g]) ** 2).sum())
                if one != other:
                    different.append((d, q, g))
                elif int(query.camids[q]) != int(gallery.camids[g]):
                    same.append((d, q, g))
        return same, different

    return listed


@pytest.fixture
def small_blocks(monkeypatch):
    """Distances in blocks of a few queries."""
    monkeypatch.setattr("reidlab.ranking.blocks.BLOCK_ENTRIES", 200)


@pytest.fixture
def join():
    """The function that puts embeddings one after the other."""
    return joined


@pytest.fixture
def others():
    """The function that makes distractors and junk up."""
    return strangers
