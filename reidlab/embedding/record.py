"""Embeddings: one feature, one person and one camera per image.

Shapes: N images, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHUNK = 8192  # rows worked on at once


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings:
    """Features of N images with their labels, all on one device.

    Arrays and lists are accepted too and become tensors on the device of `features`. Features stay
    as the model gave them: nothing is normalised here.

    Args:
        features: (N, D) floating point; integers become float32. D = 0 is allowed, for use with a
            distance matrix of one's own.
        pids: (N,) integers, person ids as on disk (0 distractor, -1 junk).
        camids: (N,) integers, camera ids.
        paths: one path per image, or none at all.
        source: the data these images come from, for tables and titles.

    Raises:
        ValueError: shapes, devices or types disagree, or a feature is NaN or infinite.
    """

    features: Tensor
    pids: Tensor
    camids: Tensor
    paths: tuple[Any, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Convert to tensors and check, once."""
        features = _as_tensor(self.features).detach()
        if features.ndim != 2:
            raise ValueError(
                f"expected features of shape (N, D), got {tuple(features.shape)}; "
                "one row per image, so a single image is features[None]"
            )
        if features.is_complex():
            raise ValueError(f"expected real features, got {features.dtype}")
        features = features if features.is_floating_point() else features.float()
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "pids", _labels("pids", self.pids, features))
        object.__setattr__(self, "camids", _labels("camids", self.camids, features))
        object.__setattr__(self, "paths", tuple(self.paths))
        if len(self.paths) not in (0, len(features)):
            raise ValueError(
                f"expected no paths or {len(features)}, one per row of features, "
                f"got {len(self.paths)}"
            )
        _check_finite(features, self.paths)

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.features)

    def __repr__(self) -> str:
        """One short line: counts, width, device and source."""
        people, cameras = len(self.pids.unique()), len(self.camids.unique())
        return (
            f"Embeddings({len(self):,} images x {self.features.shape[1]}, {people:,} person ids, "
            f"{cameras} cameras, {self.features.device}, source={self.source!r})"
        )

    def __getitem__(self, index: Any) -> Embeddings:
        """The chosen images as new Embeddings; `index` is an array of positions, a mask or a slice.

        A single integer gives Embeddings of one image.
        """
        index = index.cpu().numpy() if isinstance(index, Tensor) else index
        positions = np.atleast_1d(np.arange(len(self))[index])  # knows masks and negative steps
        rows = torch.as_tensor(positions.copy(), device=self.features.device)
        paths = tuple(self.paths[i] for i in positions) if self.paths else ()
        return Embeddings(
            self.features[rows], self.pids[rows], self.camids[rows], paths, self.source
        )

    def to(self, device: torch.device | str) -> Embeddings:
        """The same embeddings on another device."""
        moved = (tensor.to(device) for tensor in (self.features, self.pids, self.camids))
        return Embeddings(*moved, paths=self.paths, source=self.source)

    def normalized(self) -> Embeddings:
        """Features scaled to unit L2 norm, in float32 or wider; a row of zeros stays zero."""
        kind = torch.promote_types(self.features.dtype, torch.float32)
        unit = torch.empty_like(self.features, dtype=kind)
        for start in range(0, len(self), CHUNK):  # no further copy of all features
            rows = slice(start, start + CHUNK)
            unit[rows] = unit_rows(self.features[rows].to(kind))
        return Embeddings(unit, self.pids, self.camids, self.paths, self.source)


def unit_rows(features: Tensor) -> Tensor:
    """Floating-point rows (N, D) scaled to unit L2 norm, whatever their size; zeros stay zeros."""
    if features.numel():  # largest entry 1 first: squares neither overflow nor vanish
        largest = features.abs().amax(dim=1, keepdim=True)  # (N, 1)
        features = features / largest.masked_fill(largest == 0, 1.0)
    return torch.nn.functional.normalize(features, dim=1)


def _as_tensor(values: Any) -> Tensor:
    """A tensor of `values`; arrays torch cannot share (read-only, reversed) are copied first."""
    if isinstance(values, np.ndarray):
        backwards = min(values.strides, default=0) < 0
        values = values.copy() if backwards else np.require(values, requirements=["C", "W"])
    return torch.as_tensor(values)


def _labels(name: str, values: Any, features: Tensor) -> Tensor:
    """`values` as int64 (N,) on the device of `features`; a tensor must be there already."""
    labels = _as_tensor(values)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"expected {name} of shape ({len(features)},), one per row of features, "
            f"got {tuple(labels.shape)}"
        )
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.numel() and not whole:
        raise ValueError(f"expected integers in {name}, got {labels.dtype}; convert them first")
    if isinstance(values, Tensor) and labels.device != features.device:
        raise ValueError(
            f"expected {name} on {features.device} like the features, got {labels.device}; "
            "move one of them with .to(device)"
        )
    return labels.to(device=features.device, dtype=torch.int64)


def _check_finite(features: Tensor, paths: tuple[Any, ...]) -> None:
    """Raise if any feature is NaN or infinite, naming the first such row."""
    if not features.numel() or bool(torch.stack(features.aminmax()).isfinite().all()):
        return  # the extremes show NaN and infinity at the speed of memory
    parts = features.split(CHUNK)  # isfinite makes copies: not of all features at once
    bad = torch.cat([~part.isfinite().all(dim=1) for part in parts]).nonzero().flatten()
    if len(bad):
        first = int(bad[0])
        where = f"row {first}" + (f" ({paths[first]})" if paths else "")
        raise ValueError(
            f"expected finite features, got NaN or infinity in {len(bad)} of {len(features)} rows, "
            f"the first is {where}; look at that image, or at a model that diverged"
        )
