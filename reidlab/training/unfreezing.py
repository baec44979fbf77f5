"""Block-wise training: a transformer's last blocks first, the others one by one."""

from __future__ import annotations

from types import TracebackType

from torch import nn

from reidlab.models.vit import ViT


def first_open(epoch: int, depth: int, every: int) -> int:
    """Index of the first block that trains in `epoch` (from 0), of `depth` blocks.

    Step k = 1 + epoch // every opens the blocks from depth - 1 - k on: the first step two of them,
    each later one one more.

    Args:
        epoch: the one that trains, from 0.
        depth: number of blocks.
        every: epochs per step.

    Source: the released notebook of LA-Transformer (Sharma et al. 2021, arXiv:2106.03720), where
    every is 2 and the twelve blocks of a ViT-B all train from epoch 20 on.
    """
    return max(0, depth - 2 - epoch // every)


class BlockWise:
    """Which blocks of a network train in which epoch; nothing else is ever frozen.

    Patches, positions, class token, norms and heads train from the start. Weights that are frozen
    have no gradient, so the optimiser neither moves nor decays them. Left as a context, it opens
    all that it froze.

    Args:
        model: its `trunk` is a `ViT`.
        every: epochs until the next block; None freezes nothing, in any network.

    Raises:
        ValueError: there are blocks to unfreeze, and the network has none.
    """

    def __init__(self, model: nn.Module, every: int | None) -> None:
        self.every = every or 1
        trunk = getattr(model, "trunk", None)
        if every is not None and not isinstance(trunk, ViT):
            raise ValueError(
                f"unfreeze_every={every} trains a transformer block by block, and "
                f"{type(model).__name__} has none; set it to None (leave out --unfreeze-every), or "
                "train a network whose trunk is a ViT, such as la_transformer_small"
            )
        blocks = list(trunk.blocks) if every is not None and isinstance(trunk, ViT) else []
        self.blocks = [[p for p in block.parameters() if p.requires_grad] for block in blocks]

    def open(self, epoch: int) -> None:
        """Freeze and open the blocks as `epoch`, from 0, asks for."""
        first = first_open(epoch, len(self.blocks), self.every)
        for index, parameters in enumerate(self.blocks):
            for parameter in parameters:
                parameter.requires_grad_(index >= first)

    def __enter__(self) -> BlockWise:
        """Nothing is frozen until `open`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Open all blocks again, also after an error."""
        for parameters in self.blocks:
            for parameter in parameters:
                parameter.requires_grad_(True)
