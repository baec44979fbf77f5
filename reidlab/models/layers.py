"""Pieces that two models or more share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.transforms import EvalTransform

NECKS = ("before", "after")

Model = TypeVar("Model", bound=nn.Module)


class Branches(NamedTuple):
    """What every network's `forward` returns, in training and evaluation alike.

    `features[j]` (B, D) is branch j before its neck, `logits[j]` (B, C) its identity scores.
    A network with one branch has lists of length one; branch 0 is the global one.
    """

    features: list[Tensor]
    logits: list[Tensor]


class BNNeck(nn.Module):
    """Batch-norm neck: metric losses read the feature before it, the classifier after it.

    Args:
        dim: D, width of the feature.
        num_ids: C, number of training identities.

    Source: Luo et al. 2019, "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification" (arXiv:1903.07071), section on BNNeck.
    """

    def __init__(self, dim: int, num_ids: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.norm.bias.requires_grad_(False)  # keeps features centred, which cosine ranking expects
        self.classifier = nn.Linear(dim, num_ids, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> normalised feature (B, D), identity logits (B, C)."""
        normed = self.norm(feature)
        return normed, self.classifier(normed)


def cosine_matrix(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of every row of `x` (N, D) with every row of `y` (M, D) -> (N, M).

    At least float32, under autocast too: a scale of 30 to 100 usually follows.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, y = (F.normalize(z.to(torch.promote_types(z.dtype, torch.float32))) for z in (x, y))
        return x @ y.T


class CosineClassifier(nn.Module):
    """Cosines of features and class weights: a linear layer that ignores both lengths.

    What losses with a margin read (`reidlab.losses.cosface` and its like). No bias.

    Args:
        dim: D, width of the feature.
        num_ids: C, number of training identities.

    Raises:
        ValueError: either is below 1.

    Source: Wang et al. 2018, "CosFace" (arXiv:1801.09414), section 3.1.
    """

    def __init__(self, dim: int, num_ids: int) -> None:
        super().__init__()
        if dim < 1 or num_ids < 1:
            raise ValueError(f"expected a width and identities of 1 or more, got {dim}, {num_ids}")
        directions = torch.randn(num_ids, dim)  # evenly spread over the sphere
        self.weight = nn.Parameter(F.normalize(directions))

    def forward(self, feature: Tensor) -> Tensor:
        """(B, D) -> cosines (B, C)."""
        return cosine_matrix(feature, self.weight)


def chosen_neck(neck: str | None, default: str, choices: Sequence[str] = NECKS) -> str:
    """`neck`, or `default` where it is None.

    Raises:
        ValueError: something that is not among `choices`; nothing else stands for the default.
    """
    chosen = default if neck is None else neck
    if not isinstance(chosen, str) or chosen not in choices:
        raise ValueError(f"neck must be one of {', '.join(choices)}, got {chosen!r}")
    return chosen


def check_no_neck(neck: str | None) -> None:
    """Refuse `neck` "after", and what is no neck at all, for a network that has none.

    Raises:
        ValueError: neither None nor "before".
    """
    if chosen_neck(neck, "before") == "after":
        raise ValueError(
            "neck 'after' needs a batch norm behind the feature, which this network has not; read "
            "the features 'before' it"
        )


def signed(
    model: Model, name: str, arguments: Mapping[str, Any], start: Mapping[str, Any], **more: Any
) -> Model:
    """`model`, remembering how to construct it again, and from which weights it started.

    Args:
        model: just constructed.
        name: of its constructor in the catalogue.
        arguments: of that constructor, but for `seed` and `pretrained`.
        start: the seed, and what else the weights come from.
        more: what else `origin` says of it.
    """
    origin = {"model": name, "arguments": dict(arguments), **more, "start": dict(start)}
    cast(Any, model).origin = origin
    return model


def check_num_ids(num_ids: int) -> int:
    """`num_ids` when it is a whole number of 1 or more.

    Raises:
        ValueError: it is not.
    """
    if isinstance(num_ids, bool) or not isinstance(num_ids, int | np.integer) or num_ids < 1:
        raise ValueError(f"num_ids must be at least 1, got {num_ids!r}")
    return int(num_ids)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights drawn inside depend on `seed` alone; torch's own stream goes on untouched."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def preprocess_of(model: nn.Module) -> EvalTransform:
    """The eval transform of `model`.

    Raises:
        ValueError: it has none.
    """
    if isinstance(model, tuple):
        raise ValueError(
            "expected a model, got a pair; load_model gives (model, preprocess): model, _ = "
            "load_model(...)"
        )
    preprocess = getattr(model, "preprocess", None)
    if not isinstance(preprocess, EvalTransform):
        raise ValueError(
            f"{type(model).__name__}.preprocess must be an EvalTransform (size and normalisation), "
            f"got {preprocess!r}"
        )
    return preprocess
