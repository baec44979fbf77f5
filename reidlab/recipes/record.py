"""What a recipe is: network, loss and training of one method, as a plain record."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor, nn

from reidlab.data.samples import Batch, Sample, Splits
from reidlab.models.catalog import build
from reidlab.training import TrainConfig


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
        learns: "people", one class per identity, "attributes", the heads of the network, or
            "distances" between images, for which nobody needs a class.
        counts: constructor's arguments that the dataset decides: "num_cameras", "num_views", and
            "untrained", the cameras that no training image shows.
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
    learns: Literal["people", "attributes", "distances"] = "people"
    counts: tuple[str, ...] = ()
    variant: str | None = None
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("arguments", "loss_arguments"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def build(self, num_ids: int | None = None, **changes: Any) -> nn.Module:
        """The network.

        Args:
            num_ids: people to learn; 0 for none, which builds a network without classifiers where
                there is such a one (multibranch, deep-cosine). Networks of attributes and of
                distances ignore it.
            changes: replace arguments of its constructor.

        Raises:
            ValueError: no `num_ids` for a network that learns people, or 0 where it needs some.
        """
        own = {**self.arguments, **changes}
        if self.learns != "people":
            return build(self.model, **own)
        if num_ids is None:
            raise ValueError(
                f"{self.model} learns people; say how many: recipe.build(num_ids); 0 builds a "
                "network without classifiers, where the method has one"
            )
        return build(self.model, num_ids=num_ids, **own)

    def counted(self, splits: Splits) -> dict[str, Any]:
        """The constructor's arguments that a dataset decides, for `build`.

        Empty for a network that knows neither cameras nor views.
        """
        seen = {sample.camid for sample in splits.train}
        found: dict[str, Any] = {
            "num_cameras": len(splits.cameras),
            "num_views": len(splits.views),
            "untrained": tuple(i for i, camid in enumerate(splits.cameras) if camid not in seen),
        }
        return {name: found[name] for name in self.counts}

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
