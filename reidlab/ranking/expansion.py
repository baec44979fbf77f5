"""Average query expansion: every image moves towards those it finds.

Shapes: Q queries, G gallery images, N = Q + G items, D embedding width, B items of one block.
"""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm.auto import tqdm

from reidlab.embedding import Embeddings, unit_rows
from reidlab.ranking.blocks import BLOCK_ENTRIES, products
from reidlab.ranking.checks import check_count, check_features
from reidlab.ranking.pairs import LEAST_ROWS
from reidlab.ranking.topk import nearest


def expand_query(
    query: Embeddings,
    gallery: Embeddings,
    *,
    k: int = 10,
    alpha: float = 3.0,
    times: int = 1,
    progress: bool = False,
) -> tuple[Embeddings, Embeddings]:
    r"""Both sides, each feature replaced by a weighted mean of its k nearest among both.

    .. math:: x_i \leftarrow \frac{1}{k} \sum_{j \in N_k(i)} \cos(x_i, x_j)^\alpha\, x_j

    The item itself counts as one of its k nearest. The features on the right are not normalised,
    as they come; the sum is divided by k, not by the sum of the weights, which cosine ranking does
    not see. Labels, paths and source stay.

    Args:
        query: Q embeddings.
        gallery: G embeddings on the same device.
        k: items to average, 1..Q + G.
        alpha: exponent; 0 gives the plain mean, larger ones trust near items more. A negative
            cosine needs a whole number.
        times: rounds, each on the result of the one before.
        progress: show a bar.

    Returns:
        Expanded queries and gallery, float32 or wider. Time: one product of all N x N features per
        round; memory: a few copies of the features and a block of similarities.

    Raises:
        ValueError: k, alpha or times out of range, features that cannot be compared, or a negative
            cosine among the k nearest with a broken alpha.

    Source: Chum et al. 2007, "Total Recall" (ICCV), average query expansion; Radenovic et al. 2018,
    "Fine-tuning CNN Image Retrieval with No Human Annotation" (arXiv:1711.02512), the weights
    cos^alpha. Differs from them in: the gallery is expanded as well, as public re-identification
    code does.
    """
    check_features(query, gallery)
    count = len(query) + len(gallery)
    check_count("k", k, count, ", queries and gallery together")
    if not alpha >= 0:
        raise ValueError(f"expected alpha of at least 0, got {alpha}")
    check_count("times", times)
    kind = torch.promote_types(query.features.dtype, gallery.features.dtype)
    kind = torch.promote_types(kind, torch.float32)
    features = torch.cat([side.features.to(kind) for side in (query, gallery)])  # (N, D)
    bar = tqdm(total=times * count, desc="expanding", unit="image", disable=not progress)
    with bar:
        for _ in range(times):
            features = _expanded(features, k, alpha, bar)
    parts = features.split([len(query), len(gallery)])
    first, second = (
        Embeddings(part, side.pids, side.camids, side.paths, side.source)
        for part, side in zip(parts, (query, gallery), strict=True)
    )
    return first, second


def _expanded(features: Tensor, k: int, alpha: float, bar: tqdm) -> Tensor:
    """One round: (N, D) -> (N, D)."""
    unit = unit_rows(features)
    result = torch.empty_like(features)
    step = max(LEAST_ROWS, BLOCK_ENTRIES // len(features))
    for start in range(0, len(features), step):
        rows = slice(start, start + step)
        order, opposite = nearest(products(-unit[rows], unit), k)  # (B, k), minus the cosines
        weights = (-opposite) ** alpha
        if not bool(weights.isfinite().all()):
            raise ValueError(
                f"cos ** alpha has no real value for a negative cosine and alpha = {alpha}; use a "
                "whole number, or fewer neighbours"
            )
        total = torch.zeros_like(unit[rows])
        for weight, neighbour in zip(weights.T, order.T, strict=True):  # no (B, k, D) array
            total += weight[:, None] * features[neighbour]
        result[rows] = total / k
        bar.update(len(order))
    return result
