"""Names of constructors: what a model card or the command line may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from reidlab.models.aligned import aligned_resnet50, aligned_small
from reidlab.models.attributes import attributes_resnet50, attributes_small
from reidlab.models.baseline import baseline_resnet50, baseline_small
from reidlab.models.deep_cosine import deep_cosine, deep_cosine_small
from reidlab.models.ianet import ianet_resnet50, ianet_small
from reidlab.models.la_transformer import la_transformer_base, la_transformer_small
from reidlab.models.multibranch import multibranch_resnet50, multibranch_small
from reidlab.models.mutual import mutual_resnet50, mutual_small
from reidlab.models.siamese import siamese_resnet50, siamese_small
from reidlab.models.transreid import transreid

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "baseline_small": baseline_small,
    "baseline_resnet50": baseline_resnet50,
    "attributes_small": attributes_small,
    "attributes_resnet50": attributes_resnet50,
    "aligned_small": aligned_small,
    "aligned_resnet50": aligned_resnet50,
    "mutual_small": mutual_small,
    "mutual_resnet50": mutual_resnet50,
    "siamese_small": siamese_small,
    "siamese_resnet50": siamese_resnet50,
    "multibranch_small": multibranch_small,
    "multibranch_resnet50": multibranch_resnet50,
    "deep_cosine_small": deep_cosine_small,
    "deep_cosine": deep_cosine,
    "ianet_small": ianet_small,
    "ianet_resnet50": ianet_resnet50,
    "la_transformer_small": la_transformer_small,
    "la_transformer_base": la_transformer_base,
    "transreid": transreid,
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
