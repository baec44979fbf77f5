"""Things in front of people: boxes of one colour over a part of each crop.

Shapes: B images of H x W pixels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from reidlab.data.images import resize
from reidlab.data.misalign import stream_of
from reidlab.data.transforms import EvalTransform

Network = TypeVar("Network")


def cover(images: Tensor, share: float, *, generator: torch.Generator) -> Tensor:
    """Each image behind a box of one random colour that stands at one of its sides.

    Of every three images one is covered from the left, one from the right and one from below, on
    average; the box reaches over the whole of the other direction.

    Args:
        images: (B, 3, H, W) uint8.
        share: of the image that is covered, in [0, 1].
        generator: of sides and colours.

    Returns:
        (B, 3, H, W) uint8.

    Raises:
        ValueError: other images, or a share out of range.
    """
    _check(share)
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 (B, 3, H, W), got {tuple(images.shape)} {images.dtype}")
    height, width = images.shape[2:]
    sides = torch.randint(3, (len(images),), generator=generator).tolist()
    colors = torch.randint(256, (len(images), 3, 1, 1), generator=generator).to(images)
    rows, columns = round(share * height), round(share * width)
    result = images.clone()
    for image, side, color in zip(result, sides, colors, strict=True):
        if side == 2:
            image[:, height - rows :] = color
        elif side == 1:
            image[:, :, width - columns :] = color
        else:
            image[:, :, :columns] = color
    return result


@dataclass(frozen=True)
class OccludedTransform(EvalTransform):
    """An eval transform that first covers a part of each image, as `cover` does.

    What covers an image depends on its pixels and on `seed`, not on the images around it.

    Args:
        share: of the image that is covered.
        seed: of the draws.

    Raises:
        ValueError: a share out of range.
    """

    share: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.share)

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """Normalised float32 tensor, (3, H, W) for an image, (B, 3, H, W) for a batch."""
        if isinstance(image, Image.Image):
            return self(resize(image.convert("RGB"), self.size, self.interpolation)[None])[0]
        return super().__call__(self.cover_batch(image))

    def cover_batch(self, images: Tensor) -> Tensor:
        """Uint8 images (B, 3, H, W) as the network will see them, before normalisation."""
        covered = [
            cover(each, self.share, generator=stream_of(each, self.seed))
            for each in images.split(1)
        ]
        return torch.cat(covered) if covered else images


def occluded(model: Network, *, share: float = 0.4, seed: int = 0) -> Network:
    """`model` as it is, but fed with covered images: its weights are shared, not copied.

    Args:
        model: with a `preprocess`.
        share: of each image that is covered.
        seed: of the draws.

    Raises:
        ValueError: a share out of range, or a model without an eval transform.
    """
    twin: Any = copy.copy(model)
    own = getattr(model, "preprocess", None)
    if not isinstance(own, EvalTransform):
        raise ValueError(f"{type(model).__name__}.preprocess must be an EvalTransform, got {own!r}")
    fields = {name: getattr(own, name) for name in EvalTransform.__dataclass_fields__}
    twin.preprocess = OccludedTransform(**fields, share=share, seed=seed)
    return twin


def _check(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1, got {share}")
