"""Learning rates over epochs, and the optimiser they drive."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from reidlab.training.config import TrainConfig


def warmup_cosine(
    epoch: float,
    *,
    epochs: int,
    lr: float,
    base: float | None = None,
    warmup_epochs: float = 5,
    warmup_factor: float = 0.01,
    min_lr_factor: float = 0.002,
) -> float:
    """Learning rate at `epoch` (0..epochs): linear warm-up, then a cosine over all epochs.

    The cosine does not subtract the warm-up, so it is joined at cos(pi * warmup / epochs).

    Args:
        epoch: 0 before the first step; e while (or after) epoch e trains.
        epochs: length of the whole schedule.
        lr: of the weights; start and end of the schedule are shares of it.
        base: of this parameter group, when it differs (biases at twice the rate).
        warmup_epochs: length of the warm-up.
        warmup_factor: start, as a share of `lr`.
        min_lr_factor: end, as a share of `lr`.

    Source: the schedule of TransReID's code (He et al. 2021, arXiv:2102.04378).
    """
    base = lr if base is None else base
    if epoch < warmup_epochs:
        start = warmup_factor * lr
        return start + epoch * (base - start) / warmup_epochs
    end = min_lr_factor * lr
    return end + 0.5 * (base - end) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def warmup_multistep(
    epoch: float,
    *,
    lr: float,
    milestones: Sequence[int] = (40, 70),
    gamma: float = 0.1,
    warmup_epochs: float = 10,
    warmup_factor: float = 0.01,
) -> float:
    """Learning rate at `epoch` (from 0): linear warm-up, times `gamma` at each milestone.

    Source: the schedule of the strong baseline (Luo et al. 2019, arXiv:1903.07071).
    """
    warm = 1.0
    if epoch < warmup_epochs:
        done = epoch / warmup_epochs
        warm = warmup_factor * (1 - done) + done
    return lr * warm * gamma ** sum(epoch >= milestone for milestone in milestones)


def learning_rate(config: TrainConfig, epoch: int, done: float, base: float) -> float:
    """Learning rate of a parameter group whose base is `base`.

    Args:
        config: names the schedule.
        epoch: the epoch that trains, from 0.
        done: share of it that will be done after this step, in (0, 1].
        base: the group's own base rate.
    """
    by_step = config.schedule_by == "step"
    if config.schedule == "cosine":
        return warmup_cosine(
            epoch + (done if by_step else 1),
            epochs=config.epochs,
            lr=config.lr,
            base=base,
            warmup_epochs=config.warmup_epochs,
            warmup_factor=config.warmup_factor,
            min_lr_factor=config.min_lr_factor,
        )
    return warmup_multistep(
        epoch + (done if by_step and epoch < config.warmup_epochs else 0),
        lr=base,
        milestones=config.milestones if config.schedule == "multistep" else (),
        gamma=config.gamma,
        warmup_epochs=config.warmup_epochs,
        warmup_factor=config.warmup_factor,
    )


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser, one group per base learning rate; each group remembers it as "base"."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = config.bias_lr_factor if "bias" in name else 1.0
            groups.setdefault(config.lr * factor, []).append(parameter)
    params = [{"params": members, "lr": base, "base": base} for base, members in groups.items()]
    device = next(model.parameters()).device.type
    common = {"weight_decay": config.weight_decay, "fused": device in ("cuda", "cpu")}
    if config.optimizer == "sgd":
        # fused SGD needs a momentum of all weights or of none, and newly opened ones have none
        common["fused"] &= config.unfreeze_every is None
        return torch.optim.SGD(params, lr=config.lr, momentum=config.momentum, **common)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(params, lr=config.lr, **common)
