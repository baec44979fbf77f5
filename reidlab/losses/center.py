"""Class centers that learn, and the pull towards them.

Shapes: B images, D embedding width, C training identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.checks import check_classes
from reidlab.losses.distances import wide
from reidlab.losses.reid import reid_terms
from reidlab.models.layers import seeded


def center_loss(embeddings: Tensor, pids: Tensor, centers: Tensor) -> Tensor:
    r"""Mean squared distance of each embedding to the center of its identity.

    .. math:: L = \frac{1}{B} \sum_b \lVert x_b - c_{y_b} \rVert^2

    Args:
        embeddings: (B, D), before any batch-norm neck.
        pids: (B,) int64 in 0..C-1.
        centers: (C, D), learned.

    Raises:
        ValueError: shapes disagree, or, on a CPU, an id that is no class.

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition" (ECCV), eq. 2 without its one half, as in the strong baseline (arXiv:1903.07071).
    """
    if embeddings.ndim != 2 or pids.shape != embeddings.shape[:1]:
        got = f"{tuple(embeddings.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected embeddings (B, D) and pids (B,), got {got}")
    if centers.ndim != 2 or centers.shape[1] != embeddings.shape[1]:
        raise ValueError(f"expected centers (C, {embeddings.shape[1]}), got {tuple(centers.shape)}")
    check_classes(pids, len(centers))
    embeddings, centers = wide(embeddings, centers)
    difference = embeddings - centers[pids]  # (B, D)
    return difference.square().sum(dim=1).clamp(1e-12, 1e12).mean()


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
        ValueError: `center_weight` is not above 0, or not finite.

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
        if not 0 < center_weight < math.inf:
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
        terms = reid_terms(branches, batch, self.margin, self.smoothing)
        return terms | {"center": self.center_weight * pull}


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` itself, whose gradient is multiplied by `factor`."""
    return x.detach() + factor * (x - x.detach())
