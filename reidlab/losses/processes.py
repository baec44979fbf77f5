"""Rows of a batch that several training processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


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
