"""FlipReID: train what flip-averaged retrieval will use.

Shapes: B images, D width of a branch, C identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.losses.checks import not_negative
from reidlab.losses.la_transformer import Identity, check_heads, identity_sum
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import batch_hard_triplet


def flip_loss(
    model: nn.Module,
    batch: Batch,
    *,
    identity: Identity = "ce",
    scale: float = 30.0,
    margin: float = 0.35,
    triplet_margin: float | None = None,
    consistency: float = 1.0,
) -> dict[str, Tensor]:
    r"""Losses on the mean feature of image and mirror: `{"id", "triplet", "flip"}`.

    .. math:: L = \sum_b ID(m_b) + T(m_b) + w \cdot MSE(f_b(x), f_b(\bar x)), \qquad
        m_b = \tfrac12 \big( f_b(x) + f_b(\bar x) \big)

    over the branches b. Query and gallery are then described by m, too: evaluate with `flip=True`.

    Args:
        model: has `features(images, camids, viewids)`, a feature per branch, and
            `classify(features)`, logits per branch: `LATransformer`, `TransReID`.
        batch: PK-sampled; the images themselves may be mirrored, it makes no difference.
        identity: "ce", cross-entropy of logits, or "am-softmax" of cosines (head="cosine").
        scale: of AM-Softmax.
        margin: of AM-Softmax.
        triplet_margin: of the batch-hard triplet loss on mean features; None is softplus, as
            published.
        consistency: w, weight of the difference between the two; 0 leaves the term at 0.

    Raises:
        ValueError: a network that cannot classify features, heads of the other kind, a weight or
            margin below 0.

    Source: Ni and Rahtu 2021, "FlipReID: Closing the Gap between Training and Inference in Person
    Re-Identification" (arXiv:2105.05639). Differs from it in: both images pass the trunk in one
    batch, so that its batch norms, if any, see them together.
    """
    not_negative(triplet_margin=triplet_margin, consistency=consistency)
    check_heads(model, identity)
    features, classify = _of(model, "features"), _of(model, "classify")
    labels = (_twice(batch.camids), _twice(batch.viewids))
    found = features(torch.cat([batch.images, batch.images.flip(-1)]), *labels)
    halves = [feature.chunk(2) for feature in found]  # (2 B, D) -> (B, D) of image and of mirror
    means = [(one + other) / 2 for one, other in halves]
    everyone = gathered(batch.pids)
    triplets = [batch_hard_triplet(gathered(x), everyone, triplet_margin) for x in means]
    apart = [F.mse_loss(one, other) for one, other in halves]
    return {
        "id": identity_sum(classify(means), batch.pids, identity, scale, margin),
        "triplet": torch.stack(triplets).sum(),
        "flip": consistency * torch.stack(apart).sum(),
    }


def _of(model: nn.Module, name: str) -> Callable[..., Any]:
    """The method `name` of `model`, or an error that says which networks have it."""
    method = getattr(model, name, None)
    if isinstance(method, nn.Module) or not callable(method):
        raise ValueError(
            f"flip_loss classifies mean features, which {type(model).__name__} cannot: it has no "
            f"method {name!r}; train a la-transformer or a transreid network"
        )
    return method


def _twice(labels: Tensor | None) -> Tensor | None:
    return None if labels is None else torch.cat([labels, labels])
