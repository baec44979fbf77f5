"""Bounding boxes that a detector put badly: crops that miss the head or the feet.

Shapes: B images of H x W pixels.
"""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from reidlab.data.images import resize
from reidlab.data.transforms import EvalTransform

SIDES = ("top", "bottom", "either")

Network = TypeVar("Network")


def cut_rows(images: Tensor, top: Tensor, bottom: Tensor) -> Tensor:
    """Each image without some of its rows, resized to its old height: a badly placed box.

    Args:
        images: (B, 3, H, W) uint8.
        top: (B,) share of rows that go at the top, 0 or more.
        bottom: (B,) the same at the bottom.

    Returns:
        (B, 3, H, W) uint8; an image that loses nothing stays as it is.

    Raises:
        ValueError: other images, or shares that leave less than one row.
    """
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 (B, 3, H, W), got {tuple(images.shape)} {images.dtype}")
    height = images.shape[2]
    first = (top * height).round().long().tolist()
    last = (height - (bottom * height).round().long()).tolist()
    result = images.clone()
    for i, (start, stop) in enumerate(zip(first, last, strict=True)):
        if not 0 <= start < stop <= height:
            raise ValueError(f"expected a row to stay of {height}, got rows {start} to {stop - 1}")
        if stop - start < height:
            result[i] = _stretched(images[i, :, start:stop], height)
    return result


def misalign(
    images: Tensor, cut: float, side: str = "either", *, generator: torch.Generator
) -> Tensor:
    """Each image without up to a share `cut` of its rows, resized: (B, 3, H, W) uint8.

    Args:
        images: (B, 3, H, W) uint8.
        cut: largest share, in [0, 1); each image loses a share drawn evenly from 0 to `cut`.
        side: where: "top", "bottom", or "either", half of the images each.
        generator: of shares and sides.

    Raises:
        ValueError: a cut or side out of range, or other images.
    """
    _check(cut, side)
    shares = cut * torch.rand(len(images), generator=generator)
    coins = torch.rand(len(images), generator=generator)  # drawn for any side: same shares
    above = {"top": torch.ones_like(coins), "bottom": torch.zeros_like(coins)}.get(
        side, (coins < 0.5).float()
    )
    return cut_rows(images, shares * above, shares * (1 - above))


@dataclass(frozen=True)
class MisalignedTransform(EvalTransform):
    """An eval transform that first takes rows from each image, as `misalign` does.

    What an image loses depends on its pixels and on `seed`, not on the images around it: a split
    is embedded alike in any order and in batches of any size.

    Args:
        cut: largest share of rows.
        side: "top", "bottom" or "either".
        seed: of the draws.

    Raises:
        ValueError: a cut or side out of range.
    """

    cut: float = 0.25
    side: str = "either"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.cut, self.side)

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """Normalised float32 tensor, (3, H, W) for an image, (B, 3, H, W) for a batch."""
        if isinstance(image, Image.Image):
            return self(resize(image.convert("RGB"), self.size, self.interpolation)[None])[0]
        return super().__call__(self.cut_batch(image))

    def cut_batch(self, images: Tensor) -> Tensor:
        """Uint8 images (B, 3, H, W) as the network will see them, before normalisation."""
        found = [
            misalign(each, self.cut, self.side, generator=stream_of(each, self.seed))
            for each in images.split(1)
        ]
        return torch.cat(found) if found else images


def stream_of(image: Tensor, seed: int) -> torch.Generator:
    """A stream of numbers that belongs to the pixels of a uint8 image and to `seed`."""
    digest = zlib.crc32(image.contiguous().cpu().numpy().tobytes(), seed)
    return torch.Generator().manual_seed(digest)


def misaligned(
    model: Network, *, cut: float = 0.25, side: str = "either", seed: int = 0
) -> Network:
    """`model` as it is, but fed with badly placed boxes: its weights are shared, not copied.

    `embed(misaligned(model), samples)` gives the features of misaligned crops.

    Args:
        model: with a `preprocess`.
        cut: largest share of rows that an image loses.
        side: "top", "bottom" or "either".
        seed: of the draws.

    Raises:
        ValueError: a cut or side out of range, or a model without an eval transform.
    """
    twin: Any = copy.copy(model)
    own = getattr(model, "preprocess", None)
    if not isinstance(own, EvalTransform):
        raise ValueError(f"{type(model).__name__}.preprocess must be an EvalTransform, got {own!r}")
    fields = {name: getattr(own, name) for name in EvalTransform.__dataclass_fields__}
    twin.preprocess = MisalignedTransform(**fields, cut=cut, side=side, seed=seed)
    return twin


def _check(cut: float, side: str) -> None:
    if not 0 <= cut < 1:
        raise ValueError(f"cut must be in [0, 1), got {cut}")
    if side not in SIDES:
        raise ValueError(f"side must be one of {', '.join(SIDES)}, got {side!r}")


def _stretched(image: Tensor, height: int) -> Tensor:
    """One image (3, h, W) uint8 at another height."""
    size = (height, image.shape[2])
    wide = F.interpolate(image[None].float(), size, mode="bilinear", align_corners=False)
    return wide[0].round().to(torch.uint8)
