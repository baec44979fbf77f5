"""Packs: the decoded images of a dataset in one file beside the JPEGs, read without decoding.

A folder with a pack holds `manifest.json`, which lists every image with its label and file size,
and `pack.npy`, uint8 (N, 3, H, W), whose rows are in the order of the manifest. The pack is only
a faster way to the same pixels: whatever does not match is read from the image files instead.
Dates prove nothing, because copying a dataset renews them; so the bytes of every image are compared
with the recorded checksum, once per process (15 microseconds each).
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reidlab.data.samples import Sample

MANIFEST, PACK = "manifest.json", "pack.npy"
FORMAT = 1  # of the manifest; raise it when its layout changes

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One image of a manifest: its row in the pack, the size and checksum of its file."""

    row: int
    bytes: int
    crc32: int | None  # None in manifests of the first version


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says. Shared between callers, so nobody changes it.

    Args:
        content: the parsed file: format, name, options, fingerprint, people, images, pack, ...
        rows: image file, relative to the folder, with "/" -> its entry.
    """

    content: Mapping[str, Any]
    rows: Mapping[str, Entry]


@dataclass(frozen=True)
class Pack:
    """The rows of a pack that hold some samples, in their order.

    Args:
        path: the `.npy` file.
        size: (H, W) of its images.
        rows: one row per sample.
    """

    path: Path
    size: tuple[int, int]
    rows: list[int]

    def read(self) -> Tensor:
        """The images, (len(rows), 3, H, W) uint8, copied into memory."""
        images = np.load(self.path, mmap_mode="r")
        return torch.from_numpy(np.asarray(images[self.rows]))


def read_pack(samples: Sequence[Sample], size: tuple[int, int]) -> Tensor | None:
    """The images of `samples` from their pack: (N, 3, H, W) uint8, or `None` without a fitting one.

    Args:
        samples: of one dataset made by this package, in any order, repeated or not.
        size: (H, W) in pixels; a pack of another size does not fit.
    """
    pack = find_pack(samples)
    return pack.read() if pack is not None and pack.size == tuple(size) else None


def is_packed(samples: Sequence[Sample], size: tuple[int, int]) -> bool:
    """Whether `read_pack` would find the images: all of them, checked, at this size."""
    pack = find_pack(samples)
    return pack is not None and pack.size == tuple(size)


def find_pack(samples: Sequence[Sample]) -> Pack | None:
    """Where the decoded images of `samples` lie; `None` when they have to be read from their files.

    That is when they come from several folders, when there is no pack or a damaged one, when a
    file is not in the pack, or when it is not the recorded one any more (somebody replaced it).
    """
    if not samples:
        return None
    top = os.path.dirname(os.path.dirname(samples[0].path))
    manifest = read_manifest(top)
    if manifest is None:
        return None
    if reason := pack_complaint(top, manifest):
        log.debug("%s: %s; the pack is not used", top, reason)
        return None
    rows = []
    for sample in samples:
        entry = _entry_of(sample, top, manifest)
        if entry is None or not is_recorded(sample.path, entry):
            log.debug("%s is not the file that was packed; the pack is not used", sample.path)
            return None
        rows.append(entry.row)
    height, width = manifest.content["pack"]["shape"][2:]
    return Pack(Path(top, PACK), (height, width), rows)


def _entry_of(sample: Sample, top: str, manifest: Manifest) -> Entry | None:
    folder, name = os.path.split(sample.path)
    above, part = os.path.split(folder)
    return manifest.rows.get(f"{part}/{name}") if above == top else None


def is_recorded(path: str | os.PathLike[str], entry: Entry) -> bool:
    """Whether the file at `path` has the very bytes that `entry` of a manifest records.

    Without a recorded checksum nobody knows, and the answer is no.
    """
    try:
        status = os.stat(path)
        if status.st_size != entry.bytes:
            return False
        return _file_checksum(os.fspath(path), _version(status)) == entry.crc32
    except OSError:  # gone, or not to be read
        return False


def _version(status: os.stat_result) -> tuple[int, ...]:
    """What tells one content of a file from another, as far as its status does."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


@lru_cache(maxsize=1 << 17)
def _file_checksum(path: str, version: tuple[int, ...]) -> int:
    """Computed once per `version` of an image file."""
    with open(path, "rb", buffering=0) as file:
        return zlib.crc32(file.read())


def read_manifest(folder: str | os.PathLike[str]) -> Manifest | None:
    """The manifest in `folder`, or `None` when there is none that this version can read."""
    path = os.path.join(folder, MANIFEST)
    try:
        return _parse(path, _version(os.stat(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.debug("%s cannot be read: %r", path, error)
        return None


@lru_cache(maxsize=8)
def _parse(path: str, version: tuple[int, ...]) -> Manifest:
    """Read once per `version` of the file."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
    rows = {
        image["file"]: Entry(row, image["bytes"], image.get("crc32"))
        for row, image in enumerate(content["images"])
    }
    count, channels, height, width = content["pack"]["shape"]
    if count != len(rows) or channels != 3 or min(height, width) < 1:
        raise ValueError(f"{len(rows)} images, but a pack of {content['pack']['shape']}")
    return Manifest(content, rows)


def pack_complaint(folder: str | os.PathLike[str], manifest: Manifest) -> str:
    """Why the pack in `folder` is not the one of `manifest`; empty when it is."""
    path, expected = os.path.join(folder, PACK), manifest.content["pack"]
    try:
        status = os.stat(path)
        if status.st_size != expected["bytes"]:
            return f"{PACK} has {status.st_size} bytes, expected {expected['bytes']}"
        if _checksum(path, _version(status)) != expected["crc32"]:
            return f"{PACK} has changed since it was written (checksum)"
        images = np.load(path, mmap_mode="r")
    except (OSError, ValueError, KeyError) as error:
        return f"{PACK} cannot be read ({error})"
    if images.dtype != np.uint8 or list(images.shape) != list(expected["shape"]):
        return f"{PACK} is {images.dtype} {images.shape}, expected uint8 {expected['shape']}"
    return ""


@contextmanager
def new_pack(path: Path, shape: Sequence[int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a pack row by row: gives the function that appends one image, uint8 (3, H, W).

    Plain writing, not a memory map: on a full disk a map kills the process (SIGBUS), a write
    raises.

    Args:
        path: of the `.npy` file; only whole when the block ends well.
        shape: (N, 3, H, W) of all images.

    Raises:
        ValueError: an image of another shape or kind, or another number of them.
        OSError: the disk is full.
    """
    written = 0

    def append(image: np.ndarray) -> None:
        nonlocal written
        if image.dtype != np.uint8 or image.shape != tuple(shape[1:]):
            got = f"{image.dtype} {image.shape}"
            raise ValueError(f"{path}: expected uint8 images {tuple(shape[1:])}, got {got}")
        file.write(image.tobytes())
        written += 1

    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)
        yield append
    if written != shape[0]:
        raise ValueError(f"{path}: expected {shape[0]} images, got {written}")


def checksum(path: str | os.PathLike[str]) -> int:
    """CRC-32 of a file's bytes; about a second per gigabyte."""
    if os.path.getsize(path) == 0:
        return 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return zlib.crc32(mapped)


@lru_cache(maxsize=8)
def _checksum(path: str, version: tuple[int, ...]) -> int:
    """Computed once per `version` of the file."""
    return checksum(path)
