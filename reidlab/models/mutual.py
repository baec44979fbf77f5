"""Networks that learn together: two or more of the same kind, as one module.

The loss that lets them learn from each other is `losses/mutual.py`.

Source: Zhang et al. 2018, "Deep Mutual Learning" (arXiv:1706.00384); for re-identification,
AlignedReID (arXiv:1711.08184), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from reidlab.models.aligned import AlignedReID, aligned_resnet50, aligned_small
from reidlab.models.layers import Branches


class MutualPair(nn.Module):
    """Two networks or more that one `fit` trains; in retrieval, the chosen one stands for all.

    Each of `networks` is complete: `save_model(path, pair.networks[0], card)` keeps one alone.

    Args:
        networks: with different initial weights.
        chosen: which of them `forward` and `embed` read, from 0.

    Raises:
        ValueError: fewer than two networks, or a choice that is none of them.
    """

    def __init__(self, networks: Iterable[AlignedReID], *, chosen: int = 0) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        if len(self.networks) < 2:
            raise ValueError(f"expected two networks or more, got {len(self.networks)}")
        if not 0 <= chosen < len(self.networks):
            raise ValueError(f"chosen must be in 0..{len(self.networks) - 1}, got {chosen}")
        self.chosen = chosen
        own = self.network
        self.num_ids, self.num_stripes = own.num_ids, own.num_stripes
        self.preprocess, self.default_neck = own.preprocess, own.default_neck
        self.origin: dict[str, Any] = {}

    @property
    def network(self) -> AlignedReID:
        """The chosen one."""
        return self.networks[self.chosen]  # pyright: ignore[reportReturnType]

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """What the chosen network gives."""
        return self.network(images, camids, viewids)

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """The feature of the chosen network for retrieval (B, D)."""
        return self.network.embed(images, camids, viewids, neck)


def mutual_small(
    num_ids: int, *, count: int = 2, chosen: int = 0, seed: int = 0, **arguments: Any
) -> MutualPair:
    """Desk networks that learn together; the arguments are those of `aligned_small`.

    Args:
        num_ids: C, number of training identities.
        count: of networks.
        chosen: which of them stands for all in retrieval.
        seed: of the first one's initial weights; the others take the seeds after it.
        **arguments: of every network.
    """
    return _together("mutual_small", aligned_small, num_ids, count, chosen, seed, arguments)


def mutual_resnet50(
    num_ids: int, *, count: int = 2, chosen: int = 0, seed: int = 0, **arguments: Any
) -> MutualPair:
    """Published networks that learn together; the arguments are those of `aligned_resnet50`.

    Args:
        num_ids: C, number of training identities.
        count: of networks.
        chosen: which of them stands for all in retrieval.
        seed: of the first one's initial weights; the others take the seeds after it.
        **arguments: of every network.
    """
    return _together("mutual_resnet50", aligned_resnet50, num_ids, count, chosen, seed, arguments)


def _together(
    name: str,
    make: Callable[..., AlignedReID],
    num_ids: int,
    count: int,
    chosen: int,
    seed: int,
    arguments: dict[str, Any],
) -> MutualPair:
    """`count` networks, remembering how to construct them again."""
    networks = [make(num_ids, **arguments, seed=seed + i) for i in range(count)]
    pair = MutualPair(networks, chosen=chosen)
    own = {**pair.network.origin["arguments"], "count": count, "chosen": chosen}
    start = {"seed": seed, "networks": [network.origin["start"] for network in networks]}
    pair.origin = {"model": name, "arguments": own, "start": start}
    return pair
