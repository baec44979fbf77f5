"""Weighted cross-entropy over the heads of an attribute network.

Shapes: B images, n classes of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.data.targets import targets
from reidlab.losses.checks import one_of


def weighted_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weights: Sequence[float] | None = None,
    *,
    together: bool = False,
) -> Tensor:
    r"""Cross-entropy in which an image counts as much as its class weighs.

    .. math:: L = - \sum_i w_{y_i} \log p_i(y_i) \, / \, \sum_i w_{y_i}

    Args:
        logits: (B, n) before a softmax.
        labels: (B,) int64, class indices.
        weights: of the n classes, 0 or more; None weighs all alike.
        together: of several processes that share a batch, the sum of weights is that of the whole
            batch, so that their mean is the loss of one process; all of them must call this.

    Returns:
        Scalar; 0 where every image of the batch weighs 0.

    Raises:
        ValueError: a weight is negative.
    """
    if weights is None:
        return F.cross_entropy(logits, labels)
    if min(weights) < 0:
        raise ValueError(f"expected weights of 0 or more, got {list(weights)}")
    each = torch.tensor(weights, dtype=torch.float32, device=logits.device)[labels]  # (B,)
    terms = F.cross_entropy(logits.float(), labels, reduction="none")  # (B,)
    whole = each.sum()
    if together and distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(whole)
        whole = whole / distributed.get_world_size()
    return (each * terms).sum() / whole.clamp_min(torch.finfo(each.dtype).tiny)


def attribute_terms(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    weights: Mapping[str, Sequence[float]] | None = None,
    reduction: str = "sum",
    *,
    together: bool = False,
) -> dict[str, Tensor]:
    """One weighted cross-entropy per head; together they are the loss.

    Args:
        logits: head -> (B, n).
        labels: head -> class index (B,) int64, for at least these heads.
        weights: head -> weight per class, from `class_weights`; None weighs all alike.
        reduction: "sum" over heads, or their "mean": every term divided by their number.
        together: see `weighted_cross_entropy`.

    Raises:
        ValueError: an unknown reduction, a head without labels, or weights that do not fit it.
    """
    one_of("reduction", reduction, ("sum", "mean"))
    share = 1 / len(logits) if reduction == "mean" else 1.0
    found = {}
    for head, table in logits.items():
        own = None if weights is None else weights.get(head, ())
        if head not in labels or (own is not None and len(own) != table.shape[1]):
            raise ValueError(
                f"{head}: expected labels and {table.shape[1]} class weights, got "
                f"{'labels' if head in labels else 'no labels'} and weights {own}"
            )
        term = weighted_cross_entropy(table, labels[head], own, together=together)
        found[head] = share * term
    return found


def attribute_loss(
    model: nn.Module,
    batch: Batch,
    *,
    weights: Mapping[str, Sequence[float]] | None = None,
    reduction: Literal["sum", "mean"] = "sum",
) -> dict[str, Tensor]:
    """`attribute_terms` of a batch, named by head.

    Args:
        model: an `AttributeNet`.
        batch: with the attributes of every image.
        weights: head -> weight per class; None weighs all alike.
        reduction: "sum" or "mean" over heads.

    Raises:
        ValueError: the batch has no attributes, or as `attribute_terms`.
    """
    if batch.attributes is None:
        raise ValueError(
            "attributes cannot be learnt: some of the samples have none; give them with "
            "annotate(samples, read_attributes(FILE)), or leave those images out"
        )
    logits = model(batch.images, batch.camids, batch.viewids).logits
    labels = targets(batch.attributes, logits)
    return attribute_terms(logits, labels, weights, reduction, together=True)
