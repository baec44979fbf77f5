"""What features came from, as far as it decides them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from reidlab.models.layers import preprocess_of

DECISIVE = ("flip", "neck", "size", "unseen")  # beside the weights


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the names and values of all weights, first 16 hex digits."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(plain.view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]


def origin_of(
    model: nn.Module, *, flip: bool, neck: str | None, path: str | None = None
) -> dict[str, Any]:
    """Model and settings, in the words of `reidlab embed`.

    Args:
        model: with `preprocess`, and `default_neck` if it has two sides.
        flip: whether the mirror image counts.
        neck: side of the neck; None is the model's default.
        path: where the model was loaded from.
    """
    origin: Any = getattr(model, "origin", None)
    name = origin["model"] if isinstance(origin, Mapping) else type(model).__name__
    return {
        "model": {"name": name, "path": path, "weights": weights_digest(model)},
        "flip": flip,
        "neck": neck or getattr(model, "default_neck", None),
        "size": list(preprocess_of(model).size),
    }


def agreed(stored: Mapping[str, Any], name: str, given: Any) -> Any:
    """A setting of the query that fits the gallery's: the given one, or the gallery's if None.

    Raises:
        ValueError: the gallery was embedded with another.
    """
    if name not in stored or _comparable(stored[name]) == _comparable(given):
        return given
    if given is None:
        return stored[name]
    cure = "take a model with that size" if name == "size" else f"leave {name} out"
    raise ValueError(
        f"the gallery was embedded with {name} {stored[name]}, the query would be with {name} "
        f"{given}; {cure}, or embed the gallery again"
    )


def _comparable(value: Any) -> Any:
    """A size is a list once it was in a file, and may be a tuple before."""
    return list(value) if isinstance(value, tuple) else value
