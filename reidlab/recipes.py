"""Method x profile -> network, loss and training: plain records, sources beside the numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.data.transforms import TrainTransform
from reidlab.losses import ReidCenterLoss, reid_loss
from reidlab.models.catalog import build
from reidlab.training import TrainConfig

PROFILES = ("desk", "paper")


@dataclass(frozen=True)
class Recipe:
    """How one method is trained under one profile.

    Args:
        method: name on the command line.
        profile: "desk" (two CPU cores, minutes) or "paper" (the published setting).
        model: name of the network's constructor.
        arguments: of that constructor, without `num_ids`.
        loss: (model, batch, **loss_arguments) -> named terms; or a class with parameters of its
            own, whose `for_model(model, **loss_arguments)` makes such a function.
        loss_arguments: settings of the loss.
        train: sampler, transforms, optimiser and schedule.
        flip: average the features of image and mirror when evaluating.
        source: where the numbers come from.
    """

    method: str
    profile: str
    model: str
    loss: Callable[..., Any]
    train: TrainConfig
    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    loss_arguments: Mapping[str, Any] = field(default_factory=dict)
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("arguments", "loss_arguments"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def build(self, num_ids: int, **changes: Any) -> nn.Module:
        """The network for `num_ids` people; `changes` replace arguments of its constructor."""
        return build(self.model, num_ids=num_ids, **{**self.arguments, **changes})

    def bound_loss(
        self, model: nn.Module | None = None, *, seed: int = 0
    ) -> Callable[[nn.Module, Batch], dict[str, Tensor]]:
        """The loss with its settings, as `fit` takes it.

        Args:
            model: needed by losses that learn something themselves, one row per identity.
            seed: of what such a loss starts from.

        Raises:
            ValueError: the loss needs a model and there is none.
        """
        if not isinstance(self.loss, type):
            return functools.partial(self.loss, **self.loss_arguments)
        if model is None:
            raise ValueError(
                f"{self.loss.__name__} has parameters that fit a network; pass it: "
                "recipe.bound_loss(model)"
            )
        return self.loss.for_model(model, **self.loss_arguments, seed=seed)  # pyright: ignore


_BASELINE_DESK = Recipe(
    method="baseline",
    profile="desk",
    model="baseline_small",
    loss=reid_loss,
    loss_arguments={"margin": 0.3, "smoothing": 0.1},
    train=TrainConfig(epochs=20),  # its defaults are this recipe
    flip=True,
    source="chosen on the validation people of the default synthetic set",
)

_BASELINE_PAPER = Recipe(
    method="baseline",
    profile="paper",
    model="baseline_resnet50",
    arguments={"image_size": (256, 128), "pretrained": True},
    loss=ReidCenterLoss,
    loss_arguments={"margin": 0.3, "smoothing": 0.1, "center_weight": 5e-4},
    train=TrainConfig(
        epochs=120,
        ids_per_batch=16,
        images_per_id=4,
        optimizer="adam",
        lr=3.5e-4,
        weight_decay=5e-4,
        schedule="multistep",
        schedule_by="epoch",
        milestones=(40, 70),
        gamma=0.1,
        warmup_epochs=10,
        warmup_factor=0.01,
        loss_lr=0.5,  # of the class centers
        transform=TrainTransform(
            flip=0.5,
            pad=10,
            erase=0.5,
            erase_area=(0.02, 0.4),
            erase_fill="mean",
            erase_aspect="linear",
            erase_tries=100,
        ),
    ),
    source=(
        "Luo et al. 2019 (arXiv:1903.07071) and its released configuration with center loss. "
        "Published: Market-1501 rank-1 94.5, mAP 85.9. Differs in: bfloat16 autocast on CUDA"
    ),
)

RECIPES = {(r.method, r.profile): r for r in (_BASELINE_DESK, _BASELINE_PAPER)}


def recipe(method: str, profile: str = "desk") -> Recipe:
    """The recipe of `method` under `profile`.

    Raises:
        ValueError: no such method or profile; the message lists those there are.
    """
    if (method, profile) not in RECIPES:
        methods = ", ".join(sorted({name for name, _ in RECIPES}))
        raise ValueError(
            f"no recipe for method {method!r} and profile {profile!r}; methods: {methods}; "
            f"profiles: {', '.join(PROFILES)}"
        )
    return RECIPES[method, profile]
