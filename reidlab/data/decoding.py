"""One image file to 8-bit RGB, with a plain word about every file that is no picture."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

SMALLEST_SIDE = 8  # pixels; below this there is no person to see
LARGEST = 50_000_000  # pixels; whatever Pillow's own limit is set to
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")  # none that runs other programs
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
LOOKS_LIKE = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"pk\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
}


def read_image(path: Path | str) -> Image.Image:
    """The image at `path` as 8-bit RGB: CMYK, palette, grey, 16-bit and transparent ones converted.

    Its size is judged by the head of the file, before any pixel is decoded.

    Raises:
        ValueError: missing, empty, truncated, no image, over 50 million pixels, or under 8 pixels
            a side.
    """
    path = Path(path)
    _check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(path, *image.size)
            return _to_rgb(ImageOps.exif_transpose(image))
    except _OtherSize:
        raise
    except UnidentifiedImageError:
        found = _looks_like(path)
        raise ValueError(f"{path}: found {found}; replace or remove it") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        count = re.search(r"\d+", str(error))  # Pillow refuses before we do, when told to
        raise _too_large(path, f"{count[0]} pixels" if count else str(error)) from None
    except PermissionError:
        raise ValueError(f"{path}: may not be read; change its permissions") from None
    except Exception as error:  # damage shows itself in every way a decoder can fail
        raise ValueError(f"{path}: damaged or truncated ({error}); replace or remove it") from None


class _OtherSize(ValueError):
    """The image is fine, but too small or too large."""


def _check_file(path: Path) -> None:
    """Raise unless `path` leads to a file with something in it; a pipe would wait for ever."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise ValueError(
                f"{path}: a broken link to {os.readlink(path)}; restore that file or remove the "
                "link"
            ) from None
        raise ValueError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # a loop of links, a name too long or with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: cannot be opened ({reason}); remove it") from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
        raise ValueError(f"{path}: found {what}, expected an image file; remove it")
    if status.st_size == 0:
        raise ValueError(f"{path}: found an empty file; replace or remove it")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST:
        raise _too_large(path, f"{width}x{height} pixels")
    if min(width, height) < SMALLEST_SIDE:
        raise _OtherSize(
            f"{path}: {width}x{height} pixels, expected at least {SMALLEST_SIDE} a side; remove it"
        )


def _too_large(path: Path, found: str) -> ValueError:
    return _OtherSize(
        f"{path}: {found}, too many pixels for a crop of a person (at most "
        f"{LARGEST // 1_000_000} million); remove it"
    )


def _looks_like(path: Path) -> str:
    """What a file that is no image seems to be, by its first bytes."""
    with open(path, "rb") as file:
        start = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start.strip(b"\0"):
        return "nothing but zero bytes"
    known = (what for head, what in LOOKS_LIKE.items() if start.startswith(head))
    return next(known, f"something that is no image ({', '.join(FORMATS)})")


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
