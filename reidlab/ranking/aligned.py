"""Distances that add what stripes say to what whole images say.

Shapes: Q queries, G gallery images, H stripes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.losses.alignment import aligned_distance
from reidlab.models.aligned import stripes_of
from reidlab.ranking.blocks import distance_blocks
from reidlab.ranking.checks import check_features


def dmli_distance(
    query: Embeddings,
    gallery: Embeddings,
    local_query: Embeddings,
    local_gallery: Embeddings,
    *,
    stripes: int = 8,
    aligned: bool = True,
    weight: float = 1.0,
) -> Tensor:
    """Squared Euclidean distance of unit global features plus local distance: (Q, G) float32.

    AlignedReID++ calls the local part dynamically matching local information (DMLI). The sum is
    made for `evaluate(query, gallery, distance=...)`.

    Args:
        query: Q images, their global features; L2-normalised here.
        gallery: G images, likewise.
        local_query: the same Q images, `embed(..., neck="local")`.
        local_gallery: the same G images, likewise.
        stripes: H, `num_stripes` of the network.
        aligned: False compares each stripe with its counterpart.
        weight: of the local distance; 0 ranks by the global one alone.

    Raises:
        ValueError: features that cannot be compared, no such number of stripes, or local features
            of other images than the global ones.

    Source: Luo et al. 2019, "AlignedReID++" (Pattern Recognition 94); its released evaluation adds
    the two distances with equal weight.
    """
    for name, whole, local in (
        ("query", query, local_query),
        ("gallery", gallery, local_gallery),
    ):
        _check_same(name, whole, local)
    total = weight * local_distance(local_query, local_gallery, stripes=stripes, aligned=aligned)
    for rows, block in distance_blocks(query, gallery):
        total[rows] += block
    return total


def local_distance(
    query: Embeddings, gallery: Embeddings, *, stripes: int = 8, aligned: bool = True
) -> Tensor:
    """Distances of stripes alone, (Q, G) float32.

    Args:
        query: Q images, `embed(..., neck="local")`.
        gallery: G images, likewise.
        stripes: H, `num_stripes` of the network.
        aligned: False compares each stripe with its counterpart.

    Raises:
        ValueError: features that cannot be compared, or no such number of stripes.
    """
    check_features(query, gallery)
    sides = (stripes_of(side.features.float(), stripes) for side in (query, gallery))
    with torch.no_grad():
        return aligned_distance(*sides, aligned=aligned)


def _check_same(name: str, whole: Embeddings, local: Embeddings) -> None:
    """Raise unless both are of the same images in the same order."""
    same = len(whole) == len(local) and all(
        torch.equal(one.to(other.device), other)
        for one, other in ((whole.pids, local.pids), (whole.camids, local.camids))
    )
    if not same or (whole.paths and local.paths and whole.paths != local.paths):
        raise ValueError(
            f"expected global and local features of the same {name} images in the same order, got "
            f"{whole} and {local}"
        )
