"""Method x profile -> network, loss and training: plain records, sources beside the numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor, nn

from reidlab.data.samples import Batch, Sample
from reidlab.data.targets import weights_of
from reidlab.data.transforms import TrainTransform
from reidlab.losses import ReidCenterLoss, attribute_loss, reid_loss
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
        prepare: training samples -> further settings of the loss, such as class weights.
        learns: "people", one class per identity, or "attributes", the heads of the network.
        variant: of the synthetic dataset that the recipe was made for, where it is not the usual.
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
    prepare: Callable[[Sequence[Sample]], Mapping[str, Any]] | None = None
    learns: Literal["people", "attributes"] = "people"
    variant: str | None = None
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("arguments", "loss_arguments"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def build(self, num_ids: int | None = None, **changes: Any) -> nn.Module:
        """The network.

        Args:
            num_ids: people to learn; a network of attributes needs none, and ignores it.
            changes: replace arguments of its constructor.

        Raises:
            ValueError: no `num_ids` for a network that learns people.
        """
        own = {**self.arguments, **changes}
        if self.learns == "attributes":
            return build(self.model, **own)
        if num_ids is None:
            raise ValueError(f"{self.model} learns people; say how many: recipe.build(num_ids)")
        return build(self.model, num_ids=num_ids, **own)

    def bound_loss(
        self,
        model: nn.Module | None = None,
        *,
        samples: Sequence[Sample] | None = None,
        seed: int = 0,
    ) -> Callable[[nn.Module, Batch], dict[str, Tensor]]:
        """The loss with its settings, as `fit` takes it.

        Args:
            model: needed by losses that learn something themselves, one row per identity.
            samples: to train on; needed by losses that count something in them first.
            seed: of what such a loss starts from.

        Raises:
            ValueError: the loss needs a model or the samples, and they are not there.
        """
        if not isinstance(self.loss, type):
            counted: Mapping[str, Any] = {}
            if self.prepare is not None:
                if samples is None:
                    raise ValueError(
                        f"{self.loss.__name__} weighs the training samples; pass them: "
                        "recipe.bound_loss(samples=splits.train)"
                    )
                counted = self.prepare(samples)
            return functools.partial(self.loss, **self.loss_arguments, **counted)
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

_ATTRIBUTES_DESK = Recipe(
    method="attributes",
    profile="desk",
    model="attributes_small",
    loss=attribute_loss,
    arguments={"last_stride": 2, "pretrained": "crowd"},
    loss_arguments={"reduction": "sum"},
    prepare=weights_of,
    learns="attributes",
    variant="wide",
    train=TrainConfig(
        epochs=5,
        sampler="shuffle",
        ids_per_batch=16,  # with the next line, batches of 64
        images_per_id=4,
        optimizer="adam",
        lr=3e-3,
        warmup_epochs=0.5,
        patience=5,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.0),
    ),
    source=(
        "rate and epochs chosen on the validation people of the synthetic set's variant wide; the "
        "trunk starts from people of another seed, where the published one starts from ImageNet"
    ),
)

_ATTRIBUTES_PAPER = Recipe(
    method="attributes",
    profile="paper",
    model="attributes_resnet50",
    arguments={"image_size": (256, 128), "pretrained": True},
    loss=attribute_loss,
    loss_arguments={"reduction": "sum"},
    prepare=weights_of,
    learns="attributes",
    train=TrainConfig(
        epochs=100,
        sampler="shuffle",
        ids_per_batch=32,  # with the next line, batches of 128
        images_per_id=4,
        optimizer="adam",
        lr=1e-4,
        weight_decay=5e-4,
        schedule="constant",
        warmup_epochs=0,
        patience=5,
        transform=TrainTransform(flip=0.5, pad=10, erase=0.0),
    ),
    source=(
        "a course report on Market-1501 (Barattin and Da Rold, University of Trento): ImageNet's "
        "ResNet-50, twelve heads with dropout 0.2, weighted cross-entropy, Adam 1e-4, decay 5e-4, "
        "batch 128, patience 5. Published: mean accuracy 81 on its own validation people, after 13 "
        "epochs. Ours where the report is silent: 256x128 pixels, mirror and crop, sum over heads"
    ),
)

RECIPES = {
    (r.method, r.profile): r
    for r in (_BASELINE_DESK, _BASELINE_PAPER, _ATTRIBUTES_DESK, _ATTRIBUTES_PAPER)
}


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
