"""The strong baseline's objective: identity loss and batch-hard triplet, branch by branch."""

from __future__ import annotations

from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.identity import branch_mean, id_loss
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import batch_hard_triplet
from reidlab.models.layers import Branches


def reid_loss(
    model: nn.Module, batch: Batch, *, margin: float | None = 0.3, smoothing: float = 0.1
) -> dict[str, Tensor]:
    """Identity loss on the logits plus batch-hard triplet on the features: `{"id", "triplet"}`.

    Args:
        model: returns features (before the neck) and logits per branch.
        batch: PK-sampled; `fit` sums the named terms.
        margin: of the triplet loss; `None` for softplus.
        smoothing: of the identity loss.

    Source: Luo et al. 2019, "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification" (arXiv:1903.07071).
    """
    return reid_terms(model(batch.images, batch.camids, batch.viewids), batch, margin, smoothing)


def reid_terms(
    branches: Branches, batch: Batch, margin: float | None, smoothing: float
) -> dict[str, Tensor]:
    """`reid_loss` of what the network gave for a batch."""
    pids = gathered(batch.pids)
    return {
        "id": branch_mean(lambda x: id_loss(x, batch.pids, smoothing), branches.logits),
        "triplet": branch_mean(
            lambda x: batch_hard_triplet(gathered(x), pids, margin), branches.features
        ),
    }
