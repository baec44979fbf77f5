"""How much a feature tells of the camera, and what taking that away is worth.

Shapes: Q queries, G gallery images, D embedding width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.data.samples import JUNK
from reidlab.embedding import Embeddings

BLOCK = 1024  # queries whose similarities are in memory at once


def same_camera_share(query: Embeddings, gallery: Embeddings) -> float:
    """Share of queries whose nearest stranger was seen by the query's own camera, 0 to 1.

    A stranger is anybody else, distractors too; junk is ignored, since it may show the same person.
    Features that say nothing of the camera come close to `expected_share`.

    Args:
        query: features of any length; they are L2-normalised here.
        gallery: where strangers are looked for.

    Raises:
        ValueError: nobody is a stranger to some query.
    """
    own, other = F.normalize(query.features.float()), F.normalize(gallery.features.float())
    hits = 0
    for rows in torch.arange(len(own)).split(BLOCK):
        similarity = own[rows] @ other.T  # (q, G)
        strangers = _strangers(query.pids[rows], gallery.pids)
        nearest = similarity.masked_fill(~strangers, -torch.inf).argmax(dim=1)
        hits += int((gallery.camids[nearest] == query.camids[rows]).sum())
    return hits / len(own)


def expected_share(query: Embeddings, gallery: Embeddings) -> float:
    """`same_camera_share` of features that say nothing: strangers drawn at random, 0 to 1."""
    total = 0.0
    for rows in torch.arange(len(query.pids)).split(BLOCK):
        strangers = _strangers(query.pids[rows], gallery.pids)
        same = strangers & (query.camids[rows, None] == gallery.camids[None])
        total += float((same.sum(dim=1) / strangers.sum(dim=1)).sum())
    return total / len(query.pids)


def center_cameras(query: Embeddings, gallery: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Both without the mean feature of each camera: no labels, no training.

    Features are L2-normalised, then the mean of all images of a camera, queries and gallery
    together, is subtracted from them. It needs many images of every camera at once.

    Args:
        query: features (Q, D).
        gallery: features (G, D).

    Raises:
        ValueError: features of different widths.
    """
    if query.features.shape[1] != gallery.features.shape[1]:
        widths = f"{query.features.shape[1]} and {gallery.features.shape[1]}"
        raise ValueError(f"expected queries and gallery of one network, got widths {widths}")
    features = F.normalize(torch.cat([query.features, gallery.features]).float())
    camids = torch.cat([query.camids, gallery.camids])
    cameras, index = camids.unique(return_inverse=True)
    index = index.to(features.device)
    sums = torch.zeros(len(cameras), features.shape[1], device=features.device)
    counts = torch.bincount(index, minlength=len(cameras)).to(sums)
    means = sums.index_add_(0, index, features) / counts[:, None]
    first, rest = (features - means[index]).split([len(query.pids), len(gallery.pids)])
    return replace(query, features=first), replace(gallery, features=rest)


def _strangers(own: Tensor, others: Tensor) -> Tensor:
    """Which gallery images show somebody else, (q, G) bool."""
    strangers = (own[:, None] != others[None]) & (others[None] != JUNK)
    if not bool(strangers.any(dim=1).all()):
        raise ValueError("every image of the gallery shows the person of some query: no strangers")
    return strangers
