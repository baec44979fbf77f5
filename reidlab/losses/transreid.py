"""TransReID's objective: identity and soft-margin triplet loss of every branch.

Shapes: B images, D width of a branch, C identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.checks import check_head, one_of
from reidlab.losses.identity import branch_mean, id_loss
from reidlab.losses.margins import CLASSIFICATIONS
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import batch_hard_triplet

Weighting = Literal["released", "paper"]
CROSS_ENTROPY = "cross-entropy"


def transreid_loss(
    model: nn.Module,
    batch: Batch,
    *,
    margin: float | None = None,
    smoothing: float = 0.0,
    weighting: Weighting = "released",
    classification: str = CROSS_ENTROPY,
    class_scale: float = 30.0,
    class_margin: float = 0.5,
) -> dict[str, Tensor]:
    r"""Identity loss on logits plus batch-hard triplet on features: `{"id", "triplet"}`.

    .. math:: L = \tfrac12 L_g + \tfrac1{2k} \sum_j L_j \quad\text{or, "paper",}\quad
        L = L_g + \tfrac1k \sum_j L_j

    The second is twice the first, which matters where the learning rate stays the same.

    Args:
        model: returns features (before the neck) and logits per branch, the global one first.
        batch: PK-sampled; `fit` sums the named terms.
        margin: of the triplet loss; None is softplus of the violation, as published.
        smoothing: of the labels, cross-entropy only.
        weighting: "released", as the published code weighs the branches, or "paper".
        classification: "cross-entropy", or one of `CLASSIFICATIONS` for a network whose heads give
            cosines: "arcface", "cosface", "circle", "am-softmax".
        class_scale: factor on cosines of such a loss.
        class_margin: of such a loss, in cosine or radians.

    Raises:
        ValueError: an unknown name, heads of the other kind, or smoothing without cross-entropy.

    Source: He et al. 2021, "TransReID" (arXiv:2102.04378), eq. 6, and its released code.
    """
    one_of("weighting", weighting, tuple(WEIGHTINGS))
    mean = WEIGHTINGS[weighting]
    judge = _classification(model, classification, smoothing, class_scale, class_margin)
    found = model(batch.images, batch.camids, batch.viewids)
    everyone = gathered(batch.pids)
    return {
        "id": mean(lambda x: judge(x, batch.pids), found.logits),
        "triplet": mean(
            lambda x: batch_hard_triplet(gathered(x), everyone, margin), found.features
        ),
    }


def branch_sum(loss: Callable[[Tensor], Tensor], branches: Sequence[Tensor]) -> Tensor:
    """A loss over branches as TransReID's paper adds them: the first plus the others' mean."""
    first, *others = [loss(branch) for branch in branches]
    return first + torch.stack(others).mean() if others else first


WEIGHTINGS = {"released": branch_mean, "paper": branch_sum}


def _classification(
    model: nn.Module, name: str, smoothing: float, scale: float, margin: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """(logits or cosines (B, C), pids) -> scalar; the classifier is of the right kind."""
    one_of("classification", name, (CROSS_ENTROPY, *CLASSIFICATIONS))
    check_head(model, name, cosine=name != CROSS_ENTROPY)
    if name == CROSS_ENTROPY:
        return lambda logits, pids: id_loss(logits, pids, smoothing)
    if smoothing:
        raise ValueError(f"label smoothing belongs to cross-entropy, not to {name}")
    judge = CLASSIFICATIONS[name]
    return lambda found, pids: judge(found, pids, scale=scale, margin=margin)
