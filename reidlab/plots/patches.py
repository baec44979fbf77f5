"""What the pictures of transformers share: a look inside, and where each patch lies on the crop.

Shapes: B crops, N patches on a grid h x w, T = N + 1 tokens (the class token first), D width,
H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor, nn

from reidlab.data.samples import Sample
from reidlab.models.stems import PatchStem
from reidlab.models.vit import ViT
from reidlab.plots.crops import Crop, path_of, seen_images
from reidlab.plots.page import Pixels, read_pixels

SEEN_BY_CONV = 15.5  # pixels that a token of a `ConvStem` sees to each side of its middle
FRAME = "#BBBBBB"

Values = NDArray[Any]


class Labels(NamedTuple):
    """Zero-based cameras and views (B,) of some crops; None for what a network does not ask."""

    camids: Tensor | None
    viewids: Tensor | None


class Edges(NamedTuple):
    """Where the cells of a grid h x w meet, in pixels from the upper left corner of the crop."""

    down: Values
    """(h + 1,)."""
    across: Values
    """(w + 1,)."""


def trunk_of(model: nn.Module) -> ViT:
    """The vision transformer inside `model`.

    Raises:
        ValueError: it has none.
    """
    trunk = getattr(model, "trunk", None)
    if not isinstance(trunk, ViT):
        raise ValueError(
            f"expected a vision transformer, as transreid_small makes them, got "
            f"{type(model).__name__}"
        )
    return trunk


def listed(crops: Sequence[Crop], most: int) -> Sequence[Crop]:
    """`crops` when they are 1 to `most` samples or files.

    Raises:
        ValueError: no list, none, or more.
    """
    if not isinstance(crops, Sequence) or isinstance(crops, str):
        raise ValueError(f"expected a list of samples or files, got {type(crops).__name__}")
    if not 1 <= len(crops) <= most:
        raise ValueError(f"expected 1 to {most} crops, got {len(crops)}; pass some of them")
    for crop in crops:
        path_of(crop)
    return crops


def labels_of(
    model: nn.Module,
    crops: Sequence[Crop],
    cameras: Sequence[int] = (),
    views: Sequence[int] = (),
) -> Labels:
    """Cameras and views of `crops` as `embed` hands them to `model`, which may not ask for them.

    Args:
        model: its `sides`, where it has such a table, say what it asks for.
        crops: samples; files have no labels.
        cameras: camera ids as on disk, sorted, as `splits.cameras`; without them, those that a
            slice of a dataset's samples remembers.
        views: view ids likewise.

    Raises:
        ValueError: the network asks for labels of a plain list, or a crop has one that is not among
            those given.
    """
    sides = getattr(model, "sides", None)
    if sides is None or not all(isinstance(crop, Sample) for crop in crops):
        return Labels(None, None)  # a network that cannot do without says so
    device = next(model.parameters()).device
    found: list[Tensor | None] = []
    for name, asked, given in (("camera", sides.cameras, cameras), ("view", sides.views, views)):
        known = list(given) or getattr(crops, f"{name}s", [])
        found.append(_numbered(name, crops, known).to(device) if asked else None)
    return Labels(*found)


def _numbered(name: str, crops: Sequence[Any], known: Sequence[int]) -> Tensor:
    """Positions (B,) of the crops' cameras or views among those known."""
    if not known:
        raise ValueError(
            f"this network was told {name}s; which of them has number 0 cannot be seen from a few "
            f"crops: pass {name}s=splits.{name}s, or a slice of a dataset's samples"
        )
    labels = [crop.camid if name == "camera" else crop.viewid for crop in crops]
    strange = sorted({str(label) for label in labels if label not in known})
    if strange:
        raise ValueError(
            f"expected {name}s among {', '.join(map(str, known))}, got {', '.join(strange)}"
        )
    return torch.tensor([list(known).index(label) for label in labels])


@contextmanager
def looking(model: nn.Module) -> Iterator[None]:
    """`model` in eval mode without gradients; afterwards in the mode it came in."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def look_inside(
    model: nn.Module,
    crops: Sequence[Crop],
    cameras: Sequence[int] = (),
    views: Sequence[int] = (),
) -> tuple[Tensor, list[Tensor]]:
    """Last tokens (B, T, D) and each block's attention (B, heads, T, T), float32 on the CPU.

    Args:
        model: a vision transformer; one with local branches shows its global one. Left in the mode
            it came in.
        crops: as samples or files, seen as `embed` shows them.
        cameras: see `labels_of`.
        views: see `labels_of`.

    Raises:
        ValueError: another network, a bad image, or labels that are missing.
    """
    trunk = trunk_of(model)
    labels = labels_of(model, crops, cameras, views)
    own: Callable[..., Any] | None = getattr(model, "attention", None)
    images = seen_images(model, crops)
    with looking(model):
        tokens, maps = trunk.attention(images) if own is None else own(images, *labels)
    return tokens.float().cpu(), [weights.float().cpu() for weights in maps]


def patch_edges(trunk: ViT) -> Edges:
    """Each pixel of a crop belongs to the patch whose middle is nearest: the edges between them.

    A patch of a plain stem that does not overlap is its own cell. Where patches overlap, a cell is
    the inner part of one. A token of a convolutional stem has its middle at the upper left of the
    square that an even grid would give it: there the cells of the first row and column are
    narrow, those of the last wide. Pixels that no patch sees belong to none.
    """
    sides = zip(trunk.image_size, trunk.grid, trunk.stride, strict=True)
    stem = trunk.patch_embed
    half = stem.proj.kernel_size[0] / 2 if isinstance(stem, PatchStem) else SEEN_BY_CONV
    first = half if isinstance(stem, PatchStem) else 0.5  # middle of the first patch
    return Edges(*(_edges(*side, first, half) for side in sides))


def _edges(size: int, count: int, step: int, first: float, half: float) -> Values:
    middles = first + step * np.arange(count)
    ends = max(0.0, middles[0] - half), min(float(size), middles[-1] + half)
    return np.array([ends[0], *(middles[1:] + middles[:-1]) / 2, ends[1]])


def middles(edges: Edges) -> Values:
    """Middle of each cell (N, 2), as (x, y) in pixels, row by row."""
    y, x = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    return np.stack([np.tile(x, len(y)), np.repeat(y, len(x))], axis=1)


def spread(values: Values, edges: Edges, size: tuple[int, int]) -> Values:
    """Values (h, w) of patches -> those of pixels (H, W); 0 where no patch sees one."""
    rows, columns = (
        np.searchsorted(edge, np.arange(side) + 0.5, side="left") - 1
        for edge, side in zip(edges, size, strict=True)
    )
    inside = (rows < values.shape[0])[:, None] & (columns < values.shape[1])
    near = values[rows.clip(0, len(values) - 1)[:, None], columns.clip(0, values.shape[1] - 1)]
    return np.where(inside, near, 0.0)


def shown_pixels(crop: Crop, trunk: ViT) -> Pixels:
    """A crop to show, as large as the network's images."""
    return read_pixels(path_of(crop), trunk.image_size)


def bare(axes: Axes, pixels: Pixels) -> None:
    """The axes of a crop: pixels from its corner as coordinates, nothing around it but a frame."""
    height, width = pixels.shape[:2]
    axes.imshow(pixels, extent=(0, width, height, 0), aspect="auto", interpolation="bicubic")
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=FRAME, linewidth=0.8)
