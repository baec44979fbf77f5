"""Finding image files and reading list files, without surprises from the file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
DIGITS = 18  # of a label: all such numbers fit int64


def image_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files directly in `folder`, sorted.

    Raises:
        ValueError: the folder may not be read.
    """
    return sorted(
        entry.name for entry in _entries(folder) if is_image(entry.name) and not _is_folder(entry)
    )


def folder_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the folders directly in `folder`, links included, sorted; hidden ones left out.

    Raises:
        ValueError: the folder may not be read.
    """
    entries = (entry for entry in _entries(folder) if not entry.name.startswith("."))
    return sorted(entry.name for entry in entries if _is_folder(entry))


def nested_images(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Paths of the images in `folder` and in all folders below it, in sorted order.

    Links to folders are followed, each folder is entered once, hidden folders are left out.

    Raises:
        ValueError: a folder may not be read.
    """
    return _nested(os.fspath(folder), set())


def _nested(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:  # a link that leads back up
        return
    seen.add((status.st_dev, status.st_ino))
    for name in image_names(folder):
        yield os.path.join(folder, name)
    for name in folder_names(folder):
        yield from _nested(os.path.join(folder, name), seen)


def is_image(name: str) -> bool:
    """Whether a file of this name counts as an image, by extension; hidden files do not."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")  # ._1.jpg: from macOS


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ValueError(
            f"{os.fspath(folder)} cannot be read ({error.strerror}); check that it is a folder "
            "that you may read"
        ) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def child(folder: Path, name: str) -> Path | None:
    """The file or folder `name` in `folder`, also when it is spelt in other capitals."""
    if (folder / name).exists():
        return folder / name
    try:
        found = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return None
    same = [other for other in found if other.lower() == name.lower()]
    return folder / same[0] if same else None


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without byte order mark.

    Raises:
        ValueError: it is missing, may not be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; unpack the dataset again") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 (byte {error.start}); save it again with that encoding"
        ) from None


def read_pairs(path: Path) -> list[tuple[int, str, int]]:
    """The lines `name number` of a list file, each with its line number; empty lines left out.

    Raises:
        ValueError: the file cannot be read, is empty, or a line reads differently.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        *name, label = line.strip().rsplit(maxsplit=1)
        if not name or not is_number(label):
            raise ValueError(
                f"{path}, line {number}: expected an image and the number of who it shows, "
                f"separated by a space, found {line.strip()[:80]!r}"
            )
        rows.append((number, name[0], int(label)))
    if not rows:
        raise ValueError(f"{path} is empty; unpack the dataset again")
    return rows


def is_number(text: str) -> bool:
    """Whether this is a whole number, not negative, that fits a label."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


def missing_files(listing: Path, rows: list[tuple[int, str]]) -> list[str]:
    """A sentence on the paths, given with their lines, that do not exist; none when all do."""
    missing = [(number, path) for number, path in rows if not os.path.lexists(path)]
    if not missing:
        return []
    number, path = missing[0]
    return [
        f"{listing}: {len(missing)} of {len(rows)} images listed there do not exist, first "
        f"{path} (line {number}); put them there, or remove their lines"
    ]
