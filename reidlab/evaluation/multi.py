"""Several images per query: one feature for all that a camera saw of a person.

Shapes: Q queries, N further images, M of them used, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reidlab.embedding import Embeddings


def pool_queries(query: Embeddings, images: Embeddings, *, normalize: bool = True) -> Embeddings:
    """The queries, each with the mean feature of all `images` of its person and camera.

    In Market-1501 `images` are those of `gt_bbox`, which show the query too; the query's own
    feature is therefore not part of the mean. A query without any such image keeps its own feature
    (normalised too, if the others are); `without_images` counts them. Junk (person -1) shows nobody
    and joins no mean.

    Args:
        query: Q embeddings.
        images: N embeddings of the same width, on the same device.
        normalize: scale each image to unit L2 norm before the mean, so that all have the same say
            whatever their length; False averages the features as they are. `evaluate` normalises
            the result either way.

    Returns:
        Q embeddings with the labels and paths of `query`, in float32 or wider; their `source` says
        "multi-query".

    Raises:
        ValueError: widths or devices disagree, or no query has an image.

    Source: Zheng et al. 2015, "Scalable Person Re-identification: A Benchmark" (ICCV), multiple
    queries by average pooling.
    """
    _check(query, images)
    group, lengths, matched = _groups(query, images)
    if not bool(matched.any()):
        raise ValueError(
            f"expected images of the {len(query)} queries' persons under the queries' cameras, "
            f"found none among {len(images)}; check pids and camids of both"
        )
    own, others = (_wide(side.normalized() if normalize else side) for side in (query, images))
    # segment_reduce, not index_add: it adds up in one fixed order on CUDA too
    means = torch.segment_reduce(others[group], "mean", lengths=lengths, axis=0)  # (matched, D)
    features = own.to(torch.promote_types(own.dtype, means.dtype)).clone()
    features[matched] = means.to(features.dtype)
    source = f"{query.source}, multi-query".removeprefix(", ")
    return Embeddings(features, query.pids, query.camids, query.paths, source)


def without_images(query: Embeddings, images: Embeddings) -> int:
    """How many queries have none among `images` and keep their own feature in `pool_queries`."""
    return int((~_groups(query, images)[2]).sum())


def _groups(query: Embeddings, images: Embeddings) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of `images` (M,) query after query, their number per matched query, matched (Q,)."""
    keys = torch.stack([images.pids, images.camids], 1)  # (N, 2)
    wanted = torch.stack([query.pids, query.camids], 1)  # (Q, 2)
    shown, number = torch.cat([keys, wanted]).unique(dim=0, return_inverse=True)
    of_images, of_query = number.split([len(images), len(query)])
    order = of_images.argsort(stable=True)
    counts = torch.bincount(of_images, minlength=len(shown))
    counts[shown[:, 0] == -1] = 0  # junk joins no mean
    starts = torch.searchsorted(of_images[order], of_query.contiguous())  # (Q,)
    lengths = counts[of_query]
    matched = lengths > 0
    starts, lengths = starts[matched], lengths[matched]
    step = torch.arange(int(lengths.sum()), device=starts.device)  # (M,)
    within = step - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    return order[starts.repeat_interleave(lengths) + within], lengths, matched


def _wide(side: Embeddings) -> Tensor:
    """Features in float32 or wider, so that a mean of half precision does not lose digits."""
    return side.features.to(torch.promote_types(side.features.dtype, torch.float32))


def _check(query: Embeddings, images: Embeddings) -> None:
    """Raise unless the features of both can be averaged."""
    widths = query.features.shape[1], images.features.shape[1]
    if widths[0] != widths[1] or not widths[0]:
        raise ValueError(
            f"expected features of one width, got {widths[0]} (query) and {widths[1]} (images); "
            "embed both with the same model"
        )
    devices = query.features.device, images.features.device
    if devices[0] != devices[1]:
        raise ValueError(
            f"expected one device, got {devices[0]} (query) and {devices[1]} (images); "
            "move one side with .to(device)"
        )
