"""Attributes of one's own images, in one call.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from reidlab.checkpoints import load_model
from reidlab.data.benchmarks.files import nested_images
from reidlab.data.samples import Sample, Samples
from reidlab.embedding.attributes import AttributePredictions, classes_of, predict_attributes

UNNAMED = -2  # person and camera of an image of which nobody says them, as in a search


class Calibrates(Protocol):
    """Whatever turns logits into better calibrated ones, for instance `AttributeCalibration`."""

    def apply(self, predictions: AttributePredictions, /) -> AttributePredictions:
        """The same images and heads with other logits."""
        ...


def describe_images(
    model: nn.Module | Path | str,
    images: Path | str | Sequence[Path | str],
    *,
    calibration: Calibrates | None = None,
    flip: bool = False,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
    progress: bool = False,
) -> AttributePredictions:
    """What a model believes about the people on some images, of which nobody says who they are.

    Own crops, two lines::

        found = describe_images("runs/mine", "my_crops/")
        attribute_card(found)  # of reidlab.plots

    Args:
        model: one with attribute heads, or what `load_model` takes: a run's folder, a .safetensors
            file, the name of a shipped checkpoint.
        images: image files and folders, as many as wanted; of a folder all images in it and below
            it, sorted. One that is named twice comes once.
        calibration: applied to the logits.
        flip: the mean of the logits of each image and its mirror.
        batch_size: images per step.
        device: None is CUDA, then MPS, then the CPU.
        on_error: "raise" for images that cannot be read, or "skip" them with a warning.
        progress: show a bar.

    Returns:
        The predictions in the order of the images; persons and cameras are all -2 (unknown).

    Raises:
        ValueError: no such model, or one without attribute heads; a file or folder that is not
            there, a folder without images, or an image that cannot be read.
    """
    paths = image_files(images)  # first: a wrong name costs no time
    net = attribute_model(model)
    samples = Samples([Sample(path, 0, 0) for path in paths], source="own images")
    found = predict_attributes(
        net,
        samples,
        flip=flip,
        batch_size=batch_size,
        device=device,
        on_error=on_error,
        progress=progress,
    )
    nobody = torch.full_like(found.pids, UNNAMED)
    found = AttributePredictions(found.logits, nobody, nobody, found.paths, found.source)
    return found if calibration is None else calibration.apply(found)


def attribute_model(model: nn.Module | Path | str) -> nn.Module:
    """`model`, loaded if it is a name, once it is clear that it has attribute heads.

    Raises:
        ValueError: no such model, or one without attribute heads.
    """
    if isinstance(model, nn.Module):
        net, where = model, ""
    else:
        net, where = load_model(model)[0], f"{model}: "
    try:
        classes_of(net)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None
    return net


def image_files(images: Path | str | Sequence[Path | str]) -> list[Path]:
    """The files meant, in order, each once; folders are replaced by the images in and below them.

    Raises:
        ValueError: nothing is named, something is not there, or a folder holds no images.
    """
    several = [images] if isinstance(images, (str, Path)) else images
    if not several:
        raise ValueError("expected one image file or folder, or more, got none")
    found: dict[Path, None] = {}
    for path in (Path(image).expanduser() for image in several):
        if path.is_dir():
            inside = [Path(name) for name in nested_images(path)]
            if not inside:
                raise ValueError(f"{path} holds no images, nor does any folder in it")
            found |= dict.fromkeys(inside)
        elif path.exists():
            found[path] = None
        else:
            raise ValueError(f"{path}: no such image or folder")
    return list(found)
