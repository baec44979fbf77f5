"""Weights files of other projects, read without executing anything from them."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # the number older torch.save begins with
LONGEST_HEADER = 100_000_000  # bytes, of a safetensors file
BEGINNINGS = (  # what a file that holds no weights may begin with
    (b"version https://git-lfs", "is a pointer of Git LFS, not the weights; run `git lfs pull`"),
    (b"\x1f\x8b", "is a gzip archive; unpack it first"),
    (b"BZh", "is a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "is an xz archive; unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it first"),
    (b"Rar!", "is a rar archive; unpack it first"),
    (b"\x89HDF", "is an HDF5 file; expected PyTorch or safetensors weights"),
)


class NeedsCodeError(ValueError):
    """A weights file that cannot be read without executing code from it."""


def read_weights(file: Path | str) -> Mapping[Any, Any]:
    """The content of a PyTorch file (new or old format) or a safetensors file, on the CPU.

    The format is told by the content, not by the name.

    Raises:
        NeedsCodeError: the file asks to execute code; the message says how to convert it.
        ValueError: the file is missing, cut short, or something else than weights.
    """
    file = Path(file).expanduser()
    if file.is_dir():
        raise ValueError(f"{file} is a folder; expected a weights file (.pth, .pt, .safetensors)")
    try:
        with file.open("rb") as opened:
            start = opened.read(512)
    except FileNotFoundError:
        raise ValueError(f"no weights file at {file}") from None
    except OSError as error:
        raise ValueError(f"cannot read {file} ({error.strerror})") from None
    if problem := _problem(start, file.suffix):
        raise ValueError(f"{file} {problem}")
    if file.suffix == ".safetensors" or is_safetensors(start):
        return _read_safetensors(file)
    if start.startswith(b"PK"):
        _check_zip(file)
    elif not start.startswith(b"\x80"):
        raise ValueError(f"{file} holds no weights; expected a PyTorch or safetensors file")
    content = _unpickle(file)
    if not isinstance(content, Mapping):
        raise ValueError(f"{file} holds {type(content).__name__}, expected a state dict")
    return content


def _problem(start: bytes, suffix: str) -> str | None:
    """What a file that begins like this is instead of weights, if that is plain to see."""
    if not start:
        return "is empty; fetch or save it again"
    for beginning, words in BEGINNINGS:
        if start.startswith(beginning):
            return words
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not weights; the download ended at a page to log in or to confirm"
    if start.startswith((b"PK", b"\x80")) or suffix == ".safetensors":
        return None
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in start):
        return f"holds text that begins with {start[:40].decode()!r}, not weights; fetch it again"
    return None


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON header, and that header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < LONGEST_HEADER


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is cut short or damaged ({error}); fetch it again") from None


def _check_zip(file: Path) -> None:
    """Raise unless the zip archive is whole and was written by `torch.save`."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError):
        raise ValueError(f"{file} is cut short or damaged; fetch it again") from None
    if damaged:
        raise ValueError(f"{file} is damaged (checksum of {damaged}); fetch it again")
    if "constants.pkl" in names:
        raise NeedsCodeError(
            f"{file} is a TorchScript program, not a state dict; {how_to_convert()}"
        )
    if "data.pkl" not in names:
        raise ValueError(f"{file} is a zip archive without PyTorch weights; unpack it first")


def _unpickle(file: Path) -> Any:
    """What `torch.load` finds, allowing nothing but tensors and plain containers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on pickle, which the messages below replace
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way
        text = str(error)
    if "unexpected EOF" in text or (not zipfile.is_zipfile(file) and _ends_early(file)):
        raise ValueError(f"{file} is cut short; fetch it again")
    if asked := re.search(r"GLOBAL (\S+) was not an allowed global", text):
        raise NeedsCodeError(
            f"{file} is a pickle that asks to execute code ({asked[1]}); {how_to_convert()}"
        )
    if "Unsupported operand" in text or "weights_only=True" in text:
        raise NeedsCodeError(
            f"{file} is a pickle of a kind that can only be read by executing it; "
            f"{how_to_convert()}"
        )
    reason = text.splitlines()[0] if text else "it ends early"
    raise ValueError(f"{file} is damaged ({reason}); fetch it again")


def _ends_early(file: Path) -> bool:
    """Whether one of the pickles that a file of the old format begins with has no end."""
    import pickletools

    with file.open("rb") as opened:
        legacy = opened.read(len(LEGACY)) == LEGACY
        opened.seek(0)
        try:
            for _ in range(5 if legacy else 1):  # number, version, platform, content, storages
                for _ in pickletools.genops(opened):
                    pass
        except Exception:  # whatever half an instruction leads to
            return True
    return False


def how_to_convert() -> str:
    """What to do about a file that would have to be executed."""
    return (
        "reidlab never executes code from a weights file. Load it in the project that made it, "
        "and save the tensors alone: torch.save(model.state_dict(), 'weights.pth')"
    )
