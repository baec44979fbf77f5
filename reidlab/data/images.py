"""From image files to uint8 tensors: decoding, checking, and a dataset in memory or on disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from reidlab.data.decoding import RESAMPLING, read_image, resize
from reidlab.data.packs import read_pack
from reidlab.data.samples import Sample, Samples, cameras_of, views_of

BLOCK = 2048  # images that wait for a thread at a time

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)


def check_images(
    samples: Sequence[Sample], *, on_error: str = "raise", progress: bool = False
) -> Samples:
    """Decode every image once; the samples whose image is good.

    Args:
        samples: to check, for instance before the first epoch.
        on_error: "raise" refuses bad images, "skip" logs a warning and leaves them out.
        progress: show a bar.

    Raises:
        ValueError: bad images and `on_error="raise"` (all are counted, the first ten are named),
            or none is good.
    """
    good, bad = [], []
    paths = [sample.path for sample in samples]
    verdicts = in_threads(_complaint, paths, label="checking images", progress=progress)
    for sample, complaint in zip(samples, verdicts, strict=True):
        if complaint:
            bad.append(complaint)
        else:
            good.append(sample)
    report_bad(bad, on_error, len(good))
    source = getattr(samples, "source", "")
    return Samples(good, cameras_of(samples), source, views_of(samples))


def in_threads(
    work: Callable[[T], R], items: Sequence[T], *, label: str, progress: bool = False
) -> Iterator[R]:
    """`work` of each item, in order, computed in blocks by threads; memory stays bounded.

    Args:
        work: decodes or reads, so that threads help.
        items: of any number.
        label: beside the bar.
        progress: show the bar.
    """
    pool = ThreadPoolExecutor(reading_threads())
    bar = tqdm(total=len(items), desc=label, disable=not progress, leave=False)
    try:
        for start in range(0, len(items), BLOCK):
            for result in pool.map(work, items[start : start + BLOCK]):
                yield result
                bar.update()
    finally:  # after Ctrl-C nothing of the block is worth waiting for
        bar.close()
        pool.shutdown(cancel_futures=True)


def _complaint(path: Path) -> str:
    try:
        read_image(path)
    except ValueError as error:
        return str(error)
    return ""


def report_bad(bad: Sequence[str], on_error: str, good: int) -> None:
    """Raise for, or warn of, images that cannot be read. `bad` holds one message for each."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    if not bad:
        return
    shown = "\n  ".join([*bad[:10], *([f"... and {len(bad) - 10} more"] if bad[10:] else [])])
    if on_error == "raise" or good == 0:
        advice = (
            "repair or remove them, or leave them out (on_error='skip', --on-error skip)"
            if good
            else "none can be read"
        )
        raise ValueError(f"{len(bad)} of {len(bad) + good} images are bad; {advice}:\n  {shown}")
    log.warning("%d bad images are left out:\n  %s", len(bad), shown)


def reading_threads() -> int:
    """Threads that decode: Pillow works outside Python's lock, more than eight rarely help."""
    return min(8, os.cpu_count() or 1)


class ImageDataset(Dataset[tuple[Tensor, int, int]]):
    """Images of `samples` at one size: `dataset[i]` is (uint8 (3, H, W), pid, camid as on disk).

    Args:
        samples: what to read.
        size: (H, W) in pixels.
        interpolation: "bilinear" or "bicubic", for images of another size.
        in_memory: keep all images as one uint8 tensor (24.6 KB per 128x64 image); a dataset
            made by this package is then read from its pack without decoding.
        progress: show a bar while filling the memory.

    Raises:
        ValueError: unknown interpolation, no samples; with `in_memory` also a bad image.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        size: tuple[int, int] = (128, 64),
        *,
        interpolation: str = "bilinear",
        in_memory: bool = False,
        progress: bool = False,
    ) -> None:
        if interpolation not in RESAMPLING:
            known = ", ".join(RESAMPLING)
            raise ValueError(f"unknown interpolation {interpolation!r}; choose one of {known}")
        if not samples:
            raise ValueError("expected at least one sample, got none")
        self.samples = samples
        self.size = size
        self.interpolation = interpolation
        self.memory: Tensor | None = None
        if in_memory:
            packed = read_pack(samples, size)
            self.memory = self._fill(progress) if packed is None else packed

    def _fill(self, progress: bool) -> Tensor:
        memory = torch.empty((len(self.samples), 3, *self.size), dtype=torch.uint8)
        starts = range(0, len(self.samples), 256)
        blocks = [range(start, min(start + 256, len(self.samples))) for start in starts]
        bar = tqdm(total=len(memory), desc="reading images", disable=not progress, leave=False)
        for block, (_, images) in zip(blocks, self.batches(blocks), strict=True):
            memory[block.start : block.stop] = images
            bar.update(len(block))
        bar.close()
        return memory

    def _read(self, i: int) -> Tensor:
        return resize(read_image(self.samples[i].path), self.size, self.interpolation)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[Tensor, int, int]:
        """Image (3, H, W) uint8, person id, camera id."""
        image = self._read(i) if self.memory is None else self.memory[i]
        return image, self.samples[i].pid, self.samples[i].camid

    def images(self, indices: Sequence[int]) -> Tensor:
        """Images at `indices`: (B, 3, H, W) uint8."""
        if self.memory is not None:
            return self.memory[torch.as_tensor(indices)]
        return torch.stack([self._read(i) for i in indices])

    def batches(
        self, indices: Iterable[Sequence[int]], bad: list[str] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """(positions (B,), images (B, 3, H, W) uint8) for each list of positions, in order.

        Threads decode one batch ahead when images are not in memory. Random augmentation does not
        happen here, so their number never changes a result.

        Args:
            indices: one list of positions per batch.
            bad: where complaints about unreadable images are put, which are then left out;
                without it the first one raises `ValueError`.
        """
        if self.memory is not None:
            for batch in indices:
                yield torch.as_tensor(batch), self.images(batch)
            return
        with ThreadPoolExecutor(reading_threads()) as pool:
            ahead: list[tuple[int, Future[Tensor]]] = []
            for batch in indices:
                coming = [(i, pool.submit(self._read, i)) for i in batch]
                if ahead:
                    yield self._gather(ahead, bad)
                ahead = coming
            if ahead:
                yield self._gather(ahead, bad)

    def _gather(
        self, reads: list[tuple[int, Future[Tensor]]], bad: list[str] | None
    ) -> tuple[Tensor, Tensor]:
        kept, images = [], [torch.empty((0, 3, *self.size), dtype=torch.uint8)]
        for position, future in reads:
            try:
                images.append(future.result()[None])
                kept.append(position)
            except ValueError as error:
                if bad is None:
                    raise
                bad.append(str(error))
        return torch.tensor(kept, dtype=torch.int64), torch.cat(images)
