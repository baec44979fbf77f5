"""What makes two crops similar for a network, patch by patch, and which patches are alike.

Shapes: N patches on a grid h x w, D width, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.models.layers import cosine_matrix
from reidlab.plots.crops import Crop, seen_images
from reidlab.plots.patches import Edges, Labels, labels_of, listed, looking, patch_edges, trunk_of

STEP = 64  # crops with a hole in one forward pass

Match = tuple[int, int, float]


def removal_effects(
    model: nn.Module,
    crops: Sequence[Crop],
    *,
    neck: str | None = None,
    cameras: Sequence[int] = (),
    views: Sequence[int] = (),
) -> tuple[float, Tensor]:
    r"""Cosine of two crops' descriptors, and what each patch of them (2, h, w) does for it.

    .. math:: e_i = \cos(f(x), f(y)) - \cos(f(x_{-i}), f(y))

    where :math:`f` is `model.embed` with all its branches, necks and side information, and
    :math:`x_{-i}` is the crop whose cell i (see `patch_edges`) is filled with the crop's mean
    colour; the other crop stays as it is. Above 0: the patch makes them alike. The network has not
    seen such holes unless it was trained with erasing. Effects do not add up to the cosine: what
    two patches both show is lost with neither of them alone. Takes 2 N + 2 forward passes.

    Args:
        model: a vision transformer; left in the mode it came in.
        crops: two of them, as samples or files.
        neck: side of the neck, as for `embed`.
        cameras: see `labels_of`.
        views: see `labels_of`.

    Raises:
        ValueError: another network, not two crops, a bad image, or labels that are missing.

    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks"
    (arXiv:1311.2901), section 4.2, with the cosine in place of a class score.
    """
    trunk, labels = trunk_of(model), labels_of(model, _two(crops), cameras, views)
    images, edges = seen_images(model, crops), patch_edges(trunk)
    with looking(model):
        features = _descriptors(model, images, labels, neck)  # (2, D)
        whole = cosine_matrix(features[:1], features[1:])[0, 0]
        effects = []
        for k in range(2):
            holes = _with_holes(images[k], edges)  # (N, 3, H, W)
            found = _descriptors(model, holes, _repeated(labels, k, len(holes)), neck)
            cosines = cosine_matrix(found, features[1 - k : 2 - k])[:, 0]
            effects.append((whole - cosines).unflatten(0, trunk.grid))
    return float(whole), torch.stack(effects).float().cpu()


def _two(crops: Sequence[Crop]) -> Sequence[Crop]:
    """`crops` when they are a query and a hit."""
    if isinstance(crops, Sequence) and not isinstance(crops, str) and len(crops) != 2:
        raise ValueError(f"expected two crops, a query and a hit, got {len(crops)}")
    return listed(crops, 2)


def _descriptors(model: Any, images: Tensor, labels: Labels, neck: str | None) -> Tensor:
    """Features (B, D) of images, some at a time."""
    parts = []
    for start in range(0, len(images), STEP):
        own = [None if given is None else given[start : start + STEP] for given in labels]
        parts.append(model.embed(images[start : start + STEP], *own, neck))
    return torch.cat(parts)


def _repeated(labels: Labels, k: int, count: int) -> Labels:
    """The labels of crop k, `count` times."""
    return Labels(*(None if given is None else given[k].expand(count) for given in labels))


def _with_holes(image: Tensor, edges: Edges) -> Tensor:
    """Copies (N, 3, H, W) of an image (3, H, W), a different cell of each in its mean colour."""
    down, across = ([round(float(at)) for at in edge] for edge in edges)
    holes = image.expand((len(down) - 1) * (len(across) - 1), -1, -1, -1).clone()
    color = image.mean(dim=(1, 2))[:, None, None]
    for i in range(len(holes)):
        row, column = divmod(i, len(across) - 1)
        holes[i, :, down[row] : down[row + 1], across[column] : across[column + 1]] = color
    return holes


def mutual_matches(query: Tensor, hit: Tensor) -> list[Match]:
    """Pairs of patches (i, j, cosine), each the most similar of the other's crop; best first.

    Args:
        query: tokens of patches (N, D), such as the last ones after their norm.
        hit: those of another crop (M, D).

    Raises:
        ValueError: not two such tables of one width.
    """
    if query.ndim != 2 or hit.ndim != 2 or query.shape[1] != hit.shape[1]:
        raise ValueError(
            f"expected tokens (N, D) and (M, D), got {tuple(query.shape)} and {tuple(hit.shape)}"
        )
    cosines = cosine_matrix(query, hit)  # (N, M)
    there, back = cosines.argmax(dim=1).tolist(), cosines.argmax(dim=0).tolist()
    found = [(i, j, float(cosines[i, j])) for i, j in enumerate(there) if back[j] == i]
    return sorted(found, key=lambda match: -match[2])
