"""Names of constructors: what a model card or the command line may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from reidlab.models.attributes import attributes_resnet50, attributes_small
from reidlab.models.baseline import baseline_resnet50, baseline_small

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "baseline_small": baseline_small,
    "baseline_resnet50": baseline_resnet50,
    "attributes_small": attributes_small,
    "attributes_resnet50": attributes_resnet50,
}


def build(name: str, **arguments: Any) -> nn.Module:
    """The network called `name`.

    Raises:
        ValueError: no such network, or it does not take these arguments.
    """
    if name not in BUILDERS:
        raise ValueError(f"unknown model {name!r}; choose one of {', '.join(BUILDERS)}")
    try:
        return BUILDERS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"cannot construct {name}: {error}") from None
