"""Model + samples -> Embeddings: one feature, one person and one camera per image.

Shapes: N images, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlab.data.images import ImageDataset, report_bad
from reidlab.data.packs import is_packed
from reidlab.data.samples import Sample, cameras_of
from reidlab.models.layers import preprocess_of
from reidlab.paths import pick_device


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
        features = self.features.to(torch.promote_types(self.features.dtype, torch.float32))
        if features.numel():  # largest entry 1 first: squares neither overflow nor vanish
            largest = features.abs().amax(dim=1, keepdim=True)  # (N, 1)
            features = features / largest.masked_fill(largest == 0, 1.0)
        unit = torch.nn.functional.normalize(features, dim=1)
        return Embeddings(unit, self.pids, self.camids, self.paths, self.source)


def _as_tensor(values: Any) -> Tensor:
    """A tensor of `values`; arrays torch cannot share (read-only, reversed) are copied first."""
    if isinstance(values, np.ndarray):
        values = np.require(values, requirements=["C", "W"])
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
    bad = (~features.isfinite()).any(dim=1).nonzero().flatten()
    if len(bad):
        first = int(bad[0])
        where = f"row {first}" + (f" ({paths[first]})" if paths else "")
        raise ValueError(
            f"expected finite features, got NaN or infinity in {len(bad)} of {len(features)} rows, "
            f"the first is {where}; look at that image, or at a model that diverged"
        )


def embed(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    flip: bool = False,
    neck: str | None = None,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
    progress: bool = False,
) -> Embeddings:
    """Features of `samples` in their order, as the model gives them.

    Args:
        model: has `preprocess` and `embed(images, camids, viewids, neck)`; left in the mode it
            came in. Camera and view ids are made zero-based for it.
        samples: images with labels as on disk; so are the labels of the result.
        flip: the mean of the raw features of each image and its mirror.
        neck: "before" or "after"; None is the side that the model's publication evaluates.
        batch_size: images per step; it does not change the result beyond rounding.
        device: None is CUDA, then MPS, then the CPU.
        on_error: "raise" at the first bad image, or "skip" them all with a warning.
        progress: show a bar.

    Raises:
        ValueError: no samples, a bad image, or features that are not finite.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    preprocess, device = preprocess_of(model), pick_device(device)
    dataset = ImageDataset(
        samples,
        preprocess.size,
        interpolation=preprocess.interpolation,
        in_memory=is_packed(samples, preprocess.size),
    )
    starts = range(0, len(samples), batch_size)
    blocks = [range(start, min(start + batch_size, len(samples))) for start in starts]
    camids, viewids = _zero_based(samples, device)
    bad: list[str] | None = [] if on_error == "skip" else None
    kept: list[int] = []
    features: list[Tensor] = []
    bar = tqdm(total=len(samples), desc="embedding", disable=not progress)
    with torch.inference_mode(), _evaluating(model.to(device)), bar:
        for index, images in dataset.batches(blocks, bad):
            if not len(index):  # all of them were bad
                continue
            where = index.to(device)
            labels = camids[where], None if viewids is None else viewids[where], neck
            features.append(_features(model, preprocess(images.to(device)), labels, flip))
            kept += index.tolist()
            bar.update(len(index))
    report_bad(bad or [], on_error, len(kept))
    return _collect([samples[i] for i in kept], torch.cat(features), samples)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards in the mode it came in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _features(model: Any, images: Tensor, labels: tuple[Any, ...], flip: bool) -> Tensor:
    """(B, 3, H, W) -> (B, D) float32; with `flip`, the mean with the mirror image's."""
    feature = model.embed(images, *labels)
    if flip:
        feature = (feature + model.embed(images.flip(-1), *labels)) / 2
    return feature.float()


def _zero_based(samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Camera ids (N,) as positions in the dataset's cameras; view ids (N,) where all have one."""
    camera_of = {camid: i for i, camid in enumerate(cameras_of(samples))}
    camids = torch.tensor([camera_of[sample.camid] for sample in samples], device=device)
    views = [sample.viewid for sample in samples if sample.viewid is not None]
    if len(views) < len(samples):
        return camids, None
    view_of = {view: i for i, view in enumerate(sorted(set(views)))}
    return camids, torch.tensor([view_of[view] for view in views], device=device)


def _collect(chosen: Sequence[Sample], features: Tensor, samples: Sequence[Sample]) -> Embeddings:
    return Embeddings(
        features,
        torch.tensor([sample.pid for sample in chosen], device=features.device),
        torch.tensor([sample.camid for sample in chosen], device=features.device),
        paths=tuple(sample.path for sample in chosen),
        source=getattr(samples, "source", ""),
    )
