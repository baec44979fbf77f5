"""Losses on one batch of embeddings or logits.

Shapes: B images, D embedding width, C training identities. `pids` (B,) are person ids.
Each loss is a plain function: tensors in, one scalar out, no state, no printing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from reidlab.data.samples import Batch
from reidlab.data.targets import targets
from reidlab.models.layers import Branches, seeded


def pairwise_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of every row of `x` (N, D) to every row of `y` (M, D) -> (N, M)."""
    exact = "donot_use_mm_for_euclid_dist"  # the matmul shortcut is noisy near distance 0
    return torch.cdist(x.float(), y.float(), compute_mode=exact)  # float32 under autocast too


def hardest_pairs(distance: Tensor, pids: Tensor) -> tuple[Tensor, Tensor]:
    """Per anchor: distance to its farthest positive and to its nearest negative, (B,) each.

    An anchor alone in its identity is its own positive (0); without negatives the second is inf.
    """
    same = pids[:, None] == pids[None, :]  # (B, B), true on the diagonal
    farthest_positive = distance.masked_fill(~same, 0.0).amax(dim=1)
    nearest_negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return farthest_positive, nearest_negative


def batch_hard_triplet(embeddings: Tensor, pids: Tensor, margin: float | None = 0.3) -> Tensor:
    r"""Triplet loss on the hardest positive and the hardest negative of each anchor.

    .. math:: L = \frac{1}{B} \sum_a \big[ m + \max_p d(a, p) - \min_n d(a, n) \big]_+

    Args:
        embeddings: (B, D), before any batch-norm neck; not L2-normalised.
        pids: (B,) int64. A PK sampler provides at least two identities per batch.
        margin: m, in the units of `embeddings`; `None` replaces the hinge by softplus.

    Returns:
        Scalar, differentiable, on the device of `embeddings`.

    Raises:
        ValueError: `embeddings` is not (B, D), `pids` is not (B,), or all of one person.

    Source: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss for Person
    Re-Identification" (arXiv:1703.07737), batch-hard loss and its soft-margin variant.
    """
    if embeddings.ndim != 2 or pids.shape != embeddings.shape[:1]:
        got = f"{tuple(embeddings.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected embeddings (B, D) and pids (B,), got {got}")
    positive, negative = hardest_pairs(pairwise_distance(embeddings, embeddings), pids)
    if torch.isinf(negative[:1]).any():
        raise ValueError("expected at least two identities in a batch, got one: no negative exists")
    violation = positive - negative
    return (F.softplus(violation) if margin is None else F.relu(violation + margin)).mean()


def id_loss(logits: Tensor, pids: Tensor, smoothing: float = 0.0) -> Tensor:
    r"""Cross-entropy of identity logits (B, C), optionally with label smoothing.

    .. math:: L = -\frac{1}{B} \sum_b \sum_c q_{bc} \log p_{bc}, \quad
        q_{bc} = (1 - \epsilon) [c = y_b] + \epsilon / C

    Args:
        logits: (B, C) unnormalised scores.
        pids: (B,) int64 in 0..C-1.
        smoothing: epsilon in [0, 1); spread over all C classes, the true one included.

    Raises:
        ValueError: shapes disagree, or `smoothing` is outside [0, 1).

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"
    (arXiv:1512.00567), section 7.
    """
    if logits.ndim != 2 or pids.shape != logits.shape[:1]:
        got = f"{tuple(logits.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected logits (B, C) and pids (B,), got {got}")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    return F.cross_entropy(logits.float(), pids, label_smoothing=smoothing)


def branch_mean(loss: Callable[[Tensor], Tensor], branches: Sequence[Tensor]) -> Tensor:
    """A loss over branches: half the first (global) plus half the mean of the others (local).

    With one branch, that branch's loss. This is the weighting that TransReID's code uses; its
    paper (arXiv:2102.04378, eq. 6) has exactly twice the value.
    """
    first, *others = [loss(branch) for branch in branches]
    return 0.5 * first + 0.5 * torch.stack(others).mean() if others else first


def center_loss(embeddings: Tensor, pids: Tensor, centers: Tensor) -> Tensor:
    r"""Mean squared distance of each embedding to the center of its identity.

    .. math:: L = \frac{1}{B} \sum_b \lVert x_b - c_{y_b} \rVert^2

    Args:
        embeddings: (B, D), before any batch-norm neck.
        pids: (B,) int64 in 0..C-1.
        centers: (C, D), learned.

    Raises:
        ValueError: shapes disagree.

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition" (ECCV), eq. 2 without its one half, as in the strong baseline (arXiv:1903.07071).
    """
    if embeddings.ndim != 2 or pids.shape != embeddings.shape[:1]:
        got = f"{tuple(embeddings.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected embeddings (B, D) and pids (B,), got {got}")
    if centers.ndim != 2 or centers.shape[1] != embeddings.shape[1]:
        raise ValueError(f"expected centers (C, {embeddings.shape[1]}), got {tuple(centers.shape)}")
    difference = embeddings.float() - centers.float()[pids]  # (B, D)
    return difference.square().sum(dim=1).clamp(1e-12, 1e12).mean()


def gathered(tensor: Tensor) -> Tensor:
    """`tensor` (b, ...) of all training processes in a row, (B, ...); alone, as it is.

    Gradients flow back to the process that each row came from. With it, mining sees the whole
    batch, however many processes share it.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    rows: Tensor = _Gather.apply(tensor)  # pyright: ignore[reportAssignmentType]
    return rows


class _Gather(torch.autograd.Function):
    """Rows of all processes; backward, each row's gradients from all processes are summed."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """(b, ...) -> (B, ...)."""
        ctx.own = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, ...) -> (b, ...)."""
        total = gradient.clone()
        distributed.all_reduce(total)
        return total[distributed.get_rank() * ctx.own :][: ctx.own]


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
    return _reid_terms(model(batch.images, batch.camids, batch.viewids), batch, margin, smoothing)


def _reid_terms(
    branches: Branches, batch: Batch, margin: float | None, smoothing: float
) -> dict[str, Tensor]:
    pids = gathered(batch.pids)
    return {
        "id": branch_mean(lambda x: id_loss(x, batch.pids, smoothing), branches.logits),
        "triplet": branch_mean(
            lambda x: batch_hard_triplet(gathered(x), pids, margin), branches.features
        ),
    }


class ReidCenterLoss(nn.Module):
    """`reid_loss` plus a weighted center loss on the global feature: `{"id", "triplet", "center"}`.

    The centers are parameters of the loss. `fit` trains them with plain SGD (`TrainConfig.loss_lr`)
    and keeps them in its checkpoint; they learn from the center loss without its weight.

    Args:
        num_ids: C, number of training identities.
        dim: D, width of the global feature.
        margin: of the triplet loss; `None` for softplus.
        smoothing: of the identity loss.
        center_weight: of the center loss, for the network.
        seed: of the initial centers, standard normal.

    Raises:
        ValueError: `center_weight` is not above 0.

    Source: Luo et al. 2019 (arXiv:1903.07071), section on center loss.
    """

    def __init__(
        self,
        num_ids: int,
        dim: int,
        *,
        margin: float | None = 0.3,
        smoothing: float = 0.1,
        center_weight: float = 5e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not center_weight > 0:
            raise ValueError(f"center_weight must be above 0, got {center_weight}; use reid_loss")
        self.margin, self.smoothing, self.center_weight = margin, smoothing, center_weight
        self.seed = seed
        with seeded(seed):
            self.centers = nn.Parameter(torch.randn(num_ids, dim))

    @classmethod
    def for_model(cls, model: nn.Module, **settings: float | None) -> ReidCenterLoss:
        """For a network with one global neck, whose classifier tells C and D."""
        weight: Tensor = model.get_submodule("neck").classifier.weight  # pyright: ignore
        return cls(*weight.shape, **settings)  # pyright: ignore[reportArgumentType]

    def extra_repr(self) -> str:
        """The settings: they belong to the identity of a run."""
        names = ("margin", "smoothing", "center_weight", "seed")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named terms for one batch."""
        branches = model(batch.images, batch.camids, batch.viewids)
        centers = scale_gradient(self.centers, 1 / self.center_weight)
        pull = center_loss(branches.features[0], batch.pids, centers)
        terms = _reid_terms(branches, batch, self.margin, self.smoothing)
        return terms | {"center": self.center_weight * pull}


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` itself, whose gradient is multiplied by `factor`."""
    return x.detach() + factor * (x - x.detach())


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
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be sum or mean, got {reduction!r}")
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
    reduction: str = "sum",
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
