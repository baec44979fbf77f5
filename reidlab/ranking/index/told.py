"""Networks that were told cameras, and images of which nobody says the camera."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from reidlab.ranking.index.crops import Crops

UNSEEN = ("mean", "none", "error")


def told_cameras(
    model: nn.Module,
    images: Sequence[Path],
    crops: Crops | None,
    unseen: str | None,
    card: Mapping[str, Any],
) -> tuple[nn.Module, str | None]:
    """The network as it should see queries and gallery, and what became of the cameras.

    A network without side information, and one that forgot its cameras, come back as they are. One
    that was told cameras keeps them where all are known to be those of its training; else it comes
    back as a copy, with the same weights, that treats all of them as unknown.

    Args:
        model: any network.
        images: the queries.
        crops: the gallery; None for features that are there already.
        unseen: what all images get, "mean" of the trained rows or "none"; "error": the gallery's
            cameras are those of the training; None: that, where the card says so, else an error.
        card: of the network; empty for one in memory, whose word is its number of cameras.

    Raises:
        ValueError: an unknown name, one for a network that knows no cameras, or cameras that are
            not known and nothing says what their images get.
    """
    sides: Any = getattr(model, "sides", None)
    if unseen is not None and unseen not in UNSEEN:
        raise ValueError(f"unseen must be one of {', '.join(UNSEEN)}, or None, got {unseen!r}")
    if sides is None:
        if unseen is not None:
            raise ValueError("unseen is for networks that were told cameras; leave it out")
        return model, None
    if unseen in ("mean", "none"):
        return _stranger(model, unseen), unseen
    if sides.strangers:
        return model, sides.unseen
    problem = _unknown(sides, images, crops, card, trusted=unseen == "error")
    if problem is None:
        return model, None
    raise ValueError(
        f"this network was told cameras while training, and {problem}. unseen='mean' (--unseen "
        "mean) gives all images the mean of its cameras, 'none' nothing"
    )


def _stranger(model: nn.Module, unseen: str) -> nn.Module:
    """The network with the same weights and without its cameras; `model` stays as it is."""
    twin: Any = copy.copy(model)
    twin.forget_cameras(unseen)
    return twin


def _unknown(
    sides: Any, images: Sequence[Path], crops: Crops | None, card: Mapping[str, Any], trusted: bool
) -> str | None:
    """Why the cameras are not known to be those of the training; None where they are."""
    if crops is None:
        return f"nobody says which camera took {images[0]}"
    if strange := [image for image in images if crops.look_up(image) is None]:
        return f"nobody says which camera took {strange[0]}"
    data, cameras = card.get("data", {}), list(crops.samples.cameras)
    trained = data.get("cameras")
    if cameras != trained and (trained is not None or len(cameras) != sides.cameras):
        there = f"{sides.cameras} of them" if trained is None else ", ".join(map(str, trained))
        here = ", ".join(map(str, cameras))
        return f"the cameras of {crops.folder} ({here}) are not those of its training ({there})"
    if not trusted and "read" in data and data["read"] != str(crops.folder):
        return (
            f"{crops.folder} is not the data it was trained on ({data['read']}); if the cameras "
            "are the same, say so with unseen='error' (--unseen error)"
        )
    return None
