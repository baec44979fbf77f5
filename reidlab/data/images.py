"""From image files to uint8 tensors: decoding, checking, and a dataset in memory or on disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from reidlab.data.packs import read_pack
from reidlab.data.samples import Sample, Samples, cameras_of

SMALLEST_SIDE = 8  # pixels; below this there is no person to see
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

log = logging.getLogger(__name__)


def read_image(path: Path | str) -> Image.Image:
    """The image at `path` as 8-bit RGB: CMYK, palette, grey, 16-bit and transparent ones converted.

    Raises:
        ValueError: missing, empty, truncated, no image, absurdly large, or under 8 pixels a side.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            rgb = _to_rgb(upright)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except PermissionError:
        raise ValueError(f"{path}: may not be read; change its permissions") from None
    except UnidentifiedImageError:
        found = "an empty file" if path.stat().st_size == 0 else "something that is no image"
        raise ValueError(f"{path}: found {found}; replace or remove it") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{path}: too many pixels for a crop of a person; remove it") from None
    except Exception as error:  # damage shows itself in every way a decoder can fail
        raise ValueError(f"{path}: damaged or truncated ({error}); replace or remove it") from None
    if min(rgb.size) < SMALLEST_SIDE:
        width, height = rgb.size
        raise ValueError(
            f"{path}: {width}x{height} pixels, expected at least {SMALLEST_SIDE} a side; remove it"
        )
    return rgb


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # more than 8 bits: Pillow would clip, not scale
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
            raise ValueError(f"mode {image.mode} with values outside 0 to 65535")
        full = 1.0 if image.mode == "F" else 255.0 if image.mode == "I" else 65535.0
        full = full if values.max() <= full else 255.0 if values.max() <= 255 else 65535.0
        image = Image.fromarray((values / full * 255.0).round().astype(np.uint8))
    return image.convert("RGB")


def resize(image: Image.Image, size: tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    """`image` at `size` (H, W) as a uint8 tensor (3, H, W); untouched when it has that size."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), RESAMPLING[interpolation])
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)


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
    with ThreadPoolExecutor(reading_threads()) as pool:
        verdicts = pool.map(_complaint, [sample.path for sample in samples], chunksize=16)
        bar = tqdm(total=len(samples), desc="checking images", disable=not progress, leave=False)
        for sample, complaint in zip(samples, verdicts, strict=True):
            if complaint:
                bad.append(complaint)
            else:
                good.append(sample)
            bar.update()
        bar.close()
    report_bad(bad, on_error, len(good))
    return Samples(good, cameras_of(samples), getattr(samples, "source", ""))


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
