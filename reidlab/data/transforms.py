"""What happens to pixels before a network sees them: train and eval pipelines.

Both work on whole uint8 batches (B, 3, H, W), on the CPU or a GPU. All randomness comes from one
generator, so that neither the device nor the number of loading workers changes what is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from reidlab.data.images import RESAMPLING, resize

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONSTANTS = {"zero": (0.0, 0.0, 0.0), "mean": IMAGENET_MEAN}  # what fills an erased box
FILLS, ASPECTS = ("noise", *CONSTANTS), ("log", "linear")


@dataclass(frozen=True)
class EvalTransform:
    """Resize and normalise: the preprocessing that belongs to a network's weights.

    Called with a PIL image it gives (3, H, W); with a uint8 batch (B, 3, H, W) of the right size,
    that batch normalised, float32.

    Args:
        size: (H, W) in pixels.
        mean: per channel, of values in 0..1.
        std: per channel.
        interpolation: "bilinear" or "bicubic".

    Raises:
        ValueError: a size, deviation or interpolation that makes no sense.
    """

    size: tuple[int, int] = (128, 64)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):  # lists, as JSON gives them, become tuples
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.size) != 2 or min(self.size) < 1 or min(self.std) <= 0:
            raise ValueError(f"expected size (H, W) and std above 0, got {self.size}, {self.std}")
        if self.interpolation not in RESAMPLING:
            known = ", ".join(RESAMPLING)
            raise ValueError(f"unknown interpolation {self.interpolation!r}; choose one of {known}")

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """Normalised float32 tensor, (3, H, W) for an image, (B, 3, H, W) for a batch."""
        if isinstance(image, Image.Image):
            return self(resize(image.convert("RGB"), self.size, self.interpolation)[None])[0]
        if image.dtype != torch.uint8 or tuple(image.shape[-2:]) != self.size:
            got = f"{tuple(image.shape)} {image.dtype}"
            raise ValueError(f"expected uint8 images (B, 3, {self.size[0]}, {self.size[1]}), {got}")
        scale = torch.tensor(self.std, device=image.device).mul(255.0).reciprocal()
        shift = torch.tensor(self.mean, device=image.device) / torch.tensor(
            self.std, device=image.device
        )
        return image.float().mul_(scale[:, None, None]).sub_(shift[:, None, None])


@dataclass(frozen=True)
class TrainTransform:
    """Random flip, padded crop and random erasing, around a network's own normalisation.

    Order: flip, zero pad, crop back (on uint8 pixels), normalise, erase.

    Args:
        flip: probability of a mirrored image.
        pad: pixels of black on each side before the random crop.
        erase: probability of erasing one box.
        erase_area: smallest and largest share of the image.
        erase_fill: "noise" gives every erased pixel its own N(0, 1) after normalisation, "zero"
            the mean colour, "mean" the numbers of ImageNet's mean, written into the normalised
            image as the released strong baseline does (a shade lighter than the mean colour).
        erase_aspect: how height / width of the box is drawn from 0.3..1/0.3: "log" (both ways
            alike) or "linear" (mostly tall boxes).
        erase_tries: boxes drawn until one fits into the image.
        interpolation: for resizing training images ("bicubic" in TransReID, whose evaluation
            nevertheless uses "bilinear").

    Raises:
        ValueError: a probability outside 0..1, an unknown fill or interpolation.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation" (arXiv:1708.04896). Defaults are
    those of TransReID (arXiv:2102.04378); the strong baseline (arXiv:1903.07071) erases with
    "mean", "linear" and a hundred tries.
    """

    flip: float = 0.5
    pad: int = 10
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 1 / 3)
    erase_fill: str = "noise"
    interpolation: str = "bilinear"
    erase_aspect: str = "log"
    erase_tries: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "erase_area", tuple(self.erase_area))
        low, high = self.erase_area
        if not (0 <= self.flip <= 1 and 0 <= self.erase <= 1 and 0 < low <= high <= 1):
            raise ValueError(f"expected probabilities in 0..1 and areas in order, got {self}")
        if self.pad < 0 or self.erase_tries < 1:
            raise ValueError(f"expected pad >= 0 and erase_tries >= 1, got {self}")
        if self.erase_fill not in FILLS or self.erase_aspect not in ASPECTS:
            raise ValueError(
                f"expected erase_fill one of {', '.join(FILLS)} and erase_aspect one of "
                f"{', '.join(ASPECTS)}, got {self.erase_fill!r} and {self.erase_aspect!r}"
            )
        if self.interpolation not in RESAMPLING:
            known = ", ".join(RESAMPLING)
            raise ValueError(f"unknown interpolation {self.interpolation!r}; choose one of {known}")

    def __call__(
        self,
        images: Tensor,
        normalize: EvalTransform,
        generator: torch.Generator,
        share: Share | None = None,
    ) -> Tensor:
        """Augmented, normalised float32 batch from uint8 `images` (B, 3, H, W).

        With `share`, `images` are that part of a larger batch: numbers are drawn for all of it, so
        that several processes augment as one would.
        """
        share = share or Share(0, len(images))
        images = random_flip(images, self.flip, generator, share)
        images = random_crop(images, self.pad, generator, share)
        return random_erase(normalize(images), self, generator, share)


@dataclass(frozen=True)
class Share:
    """Images `first`, `first + 1`, ... of a batch of `total`."""

    first: int
    total: int

    def of(self, drawn: Tensor, count: int) -> Tensor:
        """The entries of `drawn` (..., total) that belong to `count` images from `first`."""
        return drawn[..., self.first : self.first + count]


def random_flip(
    images: Tensor, probability: float, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """Each image mirrored left to right with `probability`."""
    share = share or Share(0, len(images))
    chosen = torch.rand(share.total, generator=generator) < probability
    chosen = share.of(chosen, len(images)).to(images.device)[:, None, None, None]
    return torch.where(chosen, images.flip(-1), images)


def random_crop(
    images: Tensor, pad: int, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """Each image shifted by up to `pad` pixels each way, black coming in: pad, then crop back."""
    if pad == 0:
        return images
    batch, _, height, width = images.shape
    share = share or Share(0, batch)
    corners = torch.randint(0, 2 * pad + 1, (2, share.total), generator=generator)
    padded = F.pad(images, (pad, pad, pad, pad))
    crops = [
        padded[i, :, top : top + height, left : left + width]
        for i, (top, left) in enumerate(share.of(corners, batch).T.tolist())
    ]
    return torch.stack(crops)


def random_erase(
    images: Tensor, how: TrainTransform, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """One box per chosen image filled in place; `images` are normalised."""
    batch, channels, height, width = images.shape
    share = share or Share(0, batch)
    chosen = torch.rand(share.total, generator=generator) < how.erase
    boxes = erase_boxes(share.total, (height, width), how, generator)
    constant = CONSTANTS.get(how.erase_fill)
    for i in torch.nonzero(chosen).flatten().tolist():
        top, left, rows, columns = boxes[i]
        if constant is None:  # drawn for images of other processes, too
            fill = torch.randn((channels, rows, columns), generator=generator)
        else:
            fill = torch.tensor(constant)[:, None, None]
        if 0 <= (own := i - share.first) < batch:
            images[own, :, top : top + rows, left : left + columns] = fill.to(images.device)
    return images


def erase_boxes(
    count: int, size: tuple[int, int], how: TrainTransform, generator: torch.Generator
) -> list[list[int]]:
    """`count` boxes (top, left, rows, columns) inside `size`; an empty one when all tries fail."""
    height, width = size
    part = torch.empty(count, how.erase_tries).uniform_(*how.erase_area, generator=generator)
    low, high = (0.3, 1 / 0.3) if how.erase_aspect == "linear" else (math.log(0.3), -math.log(0.3))
    aspect = torch.empty(count, how.erase_tries).uniform_(low, high, generator=generator)
    aspect = aspect if how.erase_aspect == "linear" else aspect.exp()
    pixels = part * height * width
    rows, columns = (pixels * aspect).sqrt().round(), (pixels / aspect).sqrt().round()
    fits = (rows < height) & (columns < width)  # (count, tries)
    first = fits.int().argmax(dim=1, keepdim=True)
    rows, columns = rows.gather(1, first)[:, 0], columns.gather(1, first)[:, 0]
    rows, columns = rows * fits.any(dim=1), columns * fits.any(dim=1)
    place = torch.rand(2, count, generator=generator)
    top = (place[0] * (height - rows + 1)).floor()
    left = (place[1] * (width - columns + 1)).floor()
    return torch.stack([top, left, rows, columns], dim=1).long().tolist()
