"""Trees of tiny images, laid out as the benchmarks document it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 16), (90, 120, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def plant() -> Callable[[Path, Iterable[str]], Path]:
    """A function that writes one tiny image per name below a folder."""
    data = jpeg()

    def write(folder: Path, names: Iterable[str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    return write


@pytest.fixture
def plant_market(plant):
    """A function that writes the three folders: people 1 to 3 train, 7 and 8 are searched."""

    def write(folder: Path, name: Callable[[int, int, int], str]) -> Path:
        plant(folder / "bounding_box_train", (name(p, c, 1) for p in (1, 2, 3) for c in (1, 2)))
        plant(folder / "query", (name(p, 1, 2) for p in (7, 8)))
        plant(folder / "bounding_box_test", (name(p, c, 3) for p in (7, 8) for c in (1, 2)))
        return folder

    return write
