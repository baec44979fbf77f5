"""Model + samples -> Embeddings, all at once or in blocks.

Shapes: N images, B images in a step, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlab.data.images import ImageDataset, report_bad
from reidlab.data.packs import is_packed
from reidlab.data.samples import Sample, cameras_of, views_of
from reidlab.data.transforms import EvalTransform
from reidlab.embedding.record import Embeddings
from reidlab.models.layers import preprocess_of
from reidlab.paths import pick_device

BLOCK = 8192  # images; 16 MB of features at width 512


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
    (found,) = embed_blocks(
        model,
        samples,
        block=max(1, len(samples)),
        flip=flip,
        neck=neck,
        batch_size=batch_size,
        device=device,
        on_error=on_error,
        progress=progress,
    )
    return found


def embed_blocks(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    block: int = BLOCK,
    flip: bool = False,
    neck: str | None = None,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
    progress: bool = False,
) -> Iterator[Embeddings]:
    """The result of `embed` in pieces, for sets whose features exceed the memory.

    The model is in eval mode until the last piece is taken; only then bad images are reported.

    Args:
        model: as for `embed`, like all other arguments.
        samples: any number.
        block: images per piece, at most; a piece lacks the images that were skipped.
        flip: average with the mirror image.
        neck: side of the neck.
        batch_size: images per step.
        device: where to compute; the pieces stay there.
        on_error: "raise" or "skip".
        progress: show one bar for all pieces.

    Raises:
        ValueError: as `embed`; a bad image when its piece is taken.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    for name, value in (("batch_size", batch_size), ("block", block)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not samples:
        raise ValueError("expected at least one sample, got none")
    job = _Job(model, preprocess_of(model), pick_device(device), flip, neck, batch_size)
    return _blocks(job, samples, block, on_error, progress)


@dataclass(frozen=True)
class _Job:
    """How images become features."""

    model: Any
    preprocess: EvalTransform
    device: torch.device
    flip: bool
    neck: str | None
    batch_size: int

    @torch.inference_mode()
    def features(self, images: Tensor, camids: Tensor, viewids: Tensor | None) -> Tensor:
        """Uint8 images (B, 3, H, W) -> (B, D) float32; with `flip`, the mean with the mirror's."""
        prepared = self.preprocess(images.to(self.device))
        labels = camids, viewids, self.neck
        feature = self.model.embed(prepared, *labels)
        if self.flip:
            feature = (feature + self.model.embed(prepared.flip(-1), *labels)) / 2
        return feature.float()


def _blocks(
    job: _Job, samples: Sequence[Sample], block: int, on_error: str, progress: bool
) -> Iterator[Embeddings]:
    """One piece after the other; at the end, the bad images of all of them."""
    bad: list[str] | None = [] if on_error == "skip" else None
    good = 0
    camids, viewids = _zero_based(samples, job.device)
    bar = tqdm(total=len(samples), desc="embedding", disable=not progress)
    with _evaluating(job.model.to(job.device)), bar:
        for start in range(0, len(samples), block):
            part = slice(start, start + block)
            labels = camids[part], None if viewids is None else viewids[part]
            found = _embed_part(job, samples[part], labels, bad, bar)
            if found is not None:
                good += len(found)
                yield found
    report_bad(bad or [], on_error, good)


def _embed_part(
    job: _Job,
    samples: Sequence[Sample],
    labels: tuple[Tensor, Tensor | None],
    bad: list[str] | None,
    bar: Any,
) -> Embeddings | None:
    """Embeddings of the images that can be read, `None` when there are none."""
    size, (camids, viewids) = job.preprocess.size, labels
    dataset = ImageDataset(
        samples,
        size,
        interpolation=job.preprocess.interpolation,
        in_memory=is_packed(samples, size),
    )
    starts = range(0, len(samples), job.batch_size)
    steps = [range(start, min(start + job.batch_size, len(samples))) for start in starts]
    kept: list[int] = []
    table: Tensor | None = None  # (N, D), filled from the top: no second copy as with torch.cat
    for index, images in dataset.batches(steps, bad):
        if not len(index):  # all of them were bad
            continue
        where = index.to(job.device)
        found = job.features(images, camids[where], None if viewids is None else viewids[where])
        if table is None:
            table = torch.empty((len(samples), found.shape[1]), device=found.device)
        table[len(kept) : len(kept) + len(index)] = found
        kept += index.tolist()
        bar.update(len(index))
    if table is None:
        return None
    return _collect([samples[i] for i in kept], table[: len(kept)], samples)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards in the mode it came in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _zero_based(samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Camera ids (N,) as positions in the dataset's; view ids (N,) where all have one."""
    camera_of = {camid: i for i, camid in enumerate(cameras_of(samples))}
    camids = torch.tensor([camera_of[sample.camid] for sample in samples], device=device)
    views = [sample.viewid for sample in samples if sample.viewid is not None]
    if len(views) < len(samples):
        return camids, None
    view_of = {view: i for i, view in enumerate(views_of(samples))}
    return camids, torch.tensor([view_of[view] for view in views], device=device)


def _collect(chosen: Sequence[Sample], features: Tensor, samples: Sequence[Sample]) -> Embeddings:
    return Embeddings(
        features,
        torch.tensor([sample.pid for sample in chosen], device=features.device),
        torch.tensor([sample.camid for sample in chosen], device=features.device),
        paths=tuple(sample.path for sample in chosen),
        source=getattr(samples, "source", ""),
    )
