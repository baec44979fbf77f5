"""Checks at the door of the functions that rank."""

from __future__ import annotations

import numbers
from typing import Any

from reidlab.embedding import Embeddings


def check_count(name: str, value: Any, most: int | None = None, why: str = "") -> None:
    """Raise unless `value` is a whole number from 1 to `most`; `why` explains that bound."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and int(value) >= 1 and (most is None or int(value) <= most):
        return
    span = "of at least 1" if most is None else f"from 1 to {most}{why}"
    raise ValueError(f"expected {name} {span}, a whole number, got {value!r}")


def check_features(query: Embeddings, gallery: Embeddings) -> None:
    """Raise unless the features of both sides can be compared."""
    for name, side in (("query", query), ("gallery", gallery)):
        if not isinstance(side, Embeddings):
            raise ValueError(
                f"expected {name} to be Embeddings, got {type(side).__name__}; `embed` makes them, "
                "and Embeddings(features, pids, camids)"
            )
    widths = query.features.shape[1], gallery.features.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"expected features of one width, got {widths[0]} (query) and {widths[1]} (gallery); "
            "embed both with the same model"
        )
    if widths[0] == 0:
        raise ValueError("expected features, got width 0; pass distance=(Q, G) to do without")
    devices = query.features.device, gallery.features.device
    if devices[0] != devices[1]:
        raise ValueError(
            f"expected one device, got {devices[0]} (query) and {devices[1]} (gallery); "
            "move one side with .to(device)"
        )
