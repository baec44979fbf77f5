"""Crops for pictures of what a network sees: the pixels that it gets, and their file to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from reidlab.data.images import read_image
from reidlab.data.samples import Sample
from reidlab.models.layers import preprocess_of

Crop = Sample | Path | str


def path_of(image: Crop) -> Path | str:
    """The file of a sample, or the file itself.

    Raises:
        ValueError: neither of them.
    """
    if isinstance(image, Sample):
        return image.path
    if not isinstance(image, Path | str):
        raise ValueError(f"expected a Sample or the path of an image, got {type(image).__name__}")
    return image


def seen_images(model: nn.Module, images: Sequence[Crop]) -> Tensor:
    """What `model` gets to see of each file, as `embed` reads it: (N, 3, H, W), on its device.

    Raises:
        ValueError: not samples or files, a bad image, or a model without `preprocess`.
    """
    preprocess = preprocess_of(model)
    device = next(model.parameters()).device
    return torch.stack([preprocess(read_image(path_of(image))) for image in images]).to(device)
