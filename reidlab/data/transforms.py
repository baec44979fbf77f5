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
            the mean colour.
        interpolation: for resizing training images ("bicubic" in TransReID, whose evaluation
            nevertheless uses "bilinear").

    Raises:
        ValueError: a probability outside 0..1, an unknown fill or interpolation.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation" (arXiv:1708.04896), with the
    settings of TransReID (arXiv:2102.04378): one box, log-uniform aspect in 0.3..1/0.3, ten tries.
    """

    flip: float = 0.5
    pad: int = 10
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 1 / 3)
    erase_fill: str = "noise"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "erase_area", tuple(self.erase_area))
        low, high = self.erase_area
        if not (0 <= self.flip <= 1 and 0 <= self.erase <= 1 and 0 < low <= high <= 1):
            raise ValueError(f"expected probabilities in 0..1 and areas in order, got {self}")
        if self.pad < 0 or self.erase_fill not in ("noise", "zero"):
            raise ValueError(f"expected pad >= 0 and erase_fill 'noise' or 'zero', got {self}")
        if self.interpolation not in RESAMPLING:
            known = ", ".join(RESAMPLING)
            raise ValueError(f"unknown interpolation {self.interpolation!r}; choose one of {known}")

    def __call__(
        self, images: Tensor, normalize: EvalTransform, generator: torch.Generator
    ) -> Tensor:
        """Augmented, normalised float32 batch from uint8 `images` (B, 3, H, W)."""
        images = random_flip(images, self.flip, generator)
        images = random_crop(images, self.pad, generator)
        return random_erase(
            normalize(images), self.erase, self.erase_area, self.erase_fill, generator
        )


def random_flip(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Each image mirrored left to right with `probability`."""
    chosen = torch.rand(len(images), generator=generator) < probability
    chosen = chosen.to(images.device)[:, None, None, None]
    return torch.where(chosen, images.flip(-1), images)


def random_crop(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to `pad` pixels each way, black coming in: pad, then crop back."""
    if pad == 0:
        return images
    batch, _, height, width = images.shape
    corners = torch.randint(0, 2 * pad + 1, (2, batch), generator=generator).tolist()
    padded = F.pad(images, (pad, pad, pad, pad))
    crops = [
        padded[i, :, top : top + height, left : left + width]
        for i, (top, left) in enumerate(zip(*corners, strict=True))
    ]
    return torch.stack(crops)


def random_erase(
    images: Tensor,
    probability: float,
    area: tuple[float, float],
    fill: str,
    generator: torch.Generator,
) -> Tensor:
    """One box per chosen image replaced in place by noise or zeros; `images` are normalised."""
    batch, channels, height, width = images.shape
    chosen = torch.rand(batch, generator=generator) < probability
    boxes = erase_boxes(batch, (height, width), area, generator)
    for i in torch.nonzero(chosen).flatten().tolist():
        top, left, rows, columns = boxes[i]
        patch = images[i, :, top : top + rows, left : left + columns]
        if fill == "zero":
            patch.zero_()
        else:
            noise = torch.randn((channels, rows, columns), generator=generator)
            patch.copy_(noise)
    return images


def erase_boxes(
    count: int, size: tuple[int, int], area: tuple[float, float], generator: torch.Generator
) -> list[list[int]]:
    """`count` boxes (top, left, rows, columns) inside `size`; an empty one when ten tries fail."""
    height, width = size
    tries = 10
    share = torch.empty(count, tries).uniform_(*area, generator=generator)
    log_aspect = torch.empty(count, tries).uniform_(
        math.log(0.3), math.log(1 / 0.3), generator=generator
    )
    pixels, aspect = share * height * width, log_aspect.exp()
    rows, columns = (pixels * aspect).sqrt().round(), (pixels / aspect).sqrt().round()
    fits = (rows < height) & (columns < width)  # (count, tries)
    first = fits.int().argmax(dim=1, keepdim=True)
    rows, columns = rows.gather(1, first)[:, 0], columns.gather(1, first)[:, 0]
    rows, columns = rows * fits.any(dim=1), columns * fits.any(dim=1)
    place = torch.rand(2, count, generator=generator)
    top = (place[0] * (height - rows + 1)).floor()
    left = (place[1] * (width - columns + 1)).floor()
    return torch.stack([top, left, rows, columns], dim=1).long().tolist()
