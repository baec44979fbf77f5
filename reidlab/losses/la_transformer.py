"""LA-Transformer's objective: every part names the person; a margin and triplets on demand.

Shapes: B images, P parts, D width of a part, C identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.checks import check_head, not_negative, one_of
from reidlab.losses.identity import id_loss
from reidlab.losses.margins import am_softmax
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import batch_hard_triplet
from reidlab.models.patch_parts import side_by_side

Identity = Literal["ce", "am-softmax"]
IDENTITIES = ("ce", "am-softmax")


def la_loss(
    model: nn.Module,
    batch: Batch,
    *,
    identity: Identity = "ce",
    scale: float = 30.0,
    margin: float = 0.35,
    triplet: float = 0.0,
    triplet_margin: float | None = 0.3,
) -> dict[str, Tensor]:
    r"""Identity losses of all parts, added; with a weight, triplets of all parts: `{"id", ...}`.

    .. math:: L = \sum_{i=1}^{P} CE(logits_i) +
        \mu\, T\big( [\hat f_1, ..., \hat f_P] / \sqrt P \big)

    The sum grows with the number of parts, as does the step that SGD would take.

    Args:
        model: returns fused parts and logits, or cosines, per part.
        batch: with people in 0..C-1; PK-sampled where there are triplets.
        identity: "ce", cross-entropy of logits, or "am-softmax" of cosines (head="cosine").
        scale: of AM-Softmax.
        margin: of AM-Softmax, a difference of cosines.
        triplet: mu, weight of a batch-hard triplet loss on the fused parts, each scaled to length
            1 / sqrt(P), side by side; 0 leaves it out.
        triplet_margin: its margin, of distances in 0..2; None replaces the hinge by softplus.

    Raises:
        ValueError: an unknown identity loss, or one for heads of the other kind; a weight or
            margin below 0.

    Source: Sharma, Kapil, Chapman 2021 (arXiv:2106.03720) and its released code for the sum;
    AM-Softmax and triplets after a course report on it (Singla, IIT Delhi), which gives neither
    scale nor margins nor what they are applied to. These are ours.
    """
    not_negative(triplet=triplet, triplet_margin=triplet_margin)
    check_heads(model, identity)
    found = model(batch.images, batch.camids, batch.viewids)
    terms = {"id": identity_sum(found.logits, batch.pids, identity, scale, margin)}
    if triplet:
        rows, everyone = gathered(side_by_side(found.features)), gathered(batch.pids)
        terms["triplet"] = triplet * batch_hard_triplet(rows, everyone, triplet_margin)
    return terms


def identity_sum(
    logits: Sequence[Tensor],
    pids: Tensor,
    identity: Identity = "ce",
    scale: float = 30.0,
    margin: float = 0.35,
) -> Tensor:
    """The identity losses of all branches, added.

    Args:
        logits: logits, or cosines, (B, C) per branch.
        pids: (B,) in 0..C-1.
        identity: see `la_loss`.
        scale: see `la_loss`.
        margin: see `la_loss`.

    Raises:
        ValueError: an unknown identity loss, or what that loss refuses.
    """
    if one_of("identity", identity, IDENTITIES) == "ce":
        return torch.stack([id_loss(x, pids) for x in logits]).sum()
    return torch.stack([am_softmax(x, pids, scale, margin) for x in logits]).sum()


def check_heads(model: nn.Module, identity: str) -> None:
    """Refuse an identity loss that reads another kind of head than the network has.

    Args:
        model: with classifiers.
        identity: see `la_loss`.

    Raises:
        ValueError: an unknown loss; cosines for a cross-entropy, or logits for AM-Softmax.
    """
    cosine = one_of("identity", identity, IDENTITIES) == "am-softmax"
    check_head(model, f"identity {identity}", cosine=cosine)
