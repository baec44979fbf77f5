"""Network and loss as one module, and the optimisers of what both learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.training.config import TrainConfig
from reidlab.training.schedules import learning_rate, make_optimizer

Loss = Callable[[nn.Module, Batch], dict[str, Tensor]]


class Objective(nn.Module):
    """Batch -> named loss terms.

    Whatever the loss calls on the network happens inside this `forward`, so that several processes
    can be synchronised around it. A loss may be a module with parameters of its own.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars; `fit` sums them."""
        return self.loss(self.model, batch)

    def parts(self) -> dict[str, nn.Module]:
        """What has a state to save, by name."""
        loss = {"loss": self.loss} if isinstance(self.loss, nn.Module) else {}
        return {"model": self.model, **loss}

    def prepare(self, freeze_norm: bool) -> None:
        """Into training mode; with `freeze_norm`, batch norm uses its running statistics."""
        self.train()
        if freeze_norm:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


class Optimizers:
    """One optimiser for the network; plain SGD for what the loss learns, if it learns anything.

    Args:
        objective: both.
        config: names optimiser, rates and schedule.
    """

    def __init__(self, objective: Objective, config: TrainConfig) -> None:
        self.config = config
        self.main = make_optimizer(objective.model, config)
        self.all = [self.main]
        if isinstance(objective.loss, nn.Module):
            own = [
                parameter for parameter in objective.loss.parameters() if parameter.requires_grad
            ]
            self.all += [torch.optim.SGD(own, lr=config.loss_lr)] if own else []

    def schedule(self, epoch: int, done: float) -> None:
        """Set the network's rates; `done` is the share of the epoch after this step."""
        for group in self.main.param_groups:
            group["lr"] = learning_rate(self.config, epoch, done, group["base"])

    @property
    def rate(self) -> float:
        """The network's learning rate as last set, of its first group."""
        return self.main.param_groups[0]["lr"]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Update what has a gradient."""
        for optimizer in self.all:
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """One per optimiser."""
        return [optimizer.state_dict() for optimizer in self.all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Continue from saved states; which kernel is used stays what suits this device."""
        for optimizer, state in zip(self.all, states, strict=True):
            kernels = [group.get("fused") for group in optimizer.param_groups]
            optimizer.load_state_dict(state)
            for group, fused in zip(optimizer.param_groups, kernels, strict=True):
                group["fused"] = fused
