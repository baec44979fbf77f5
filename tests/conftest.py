"""What several test files share: the reference numbers, and small made-up people."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

GOLDEN = Path(__file__).parent / "golden"


class Golden:
    """Reference numbers, and the rule that fills weights and inputs from their names."""

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as file:
            return dict(file)

    def json(self, name: str):
        return json.loads((GOLDEN / f"{name}.json").read_text())

    def random(self, name: str) -> np.random.RandomState:
        return np.random.RandomState(zlib.crc32(name.encode()))

    def normal(self, shape, name: str = "input") -> torch.Tensor:
        return torch.from_numpy(self.random(name).standard_normal(shape).astype(np.float32))

    def weight(self, key: str, shape, *, fan_in: bool) -> torch.Tensor:
        n = self.random(key).standard_normal(tuple(shape))
        if key.endswith("running_mean"):
            n = 0.1 * n
        elif key.endswith("running_var"):
            n = 1.0 + 0.1 * np.abs(n)
        elif key.endswith("bias"):
            n = 0.02 * n
        elif len(shape) == 1 and key.endswith("weight"):
            n = 1.0 + 0.1 * n
        elif fan_in and len(shape) == 4:
            n = n / np.sqrt(np.prod(shape[1:]))
        else:
            n = 0.02 * n
        return torch.from_numpy(np.asarray(n, dtype=np.float32))


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()


@pytest.fixture
def market_folder(tmp_path: Path) -> Path:
    """A tiny dataset laid out like Market-1501: one colour per person, four people per side."""
    return write_market(tmp_path / "market")


@pytest.fixture(scope="session")
def market_writer():
    """The function that writes such a dataset, for fixtures that share one."""
    return write_market


def write_market(folder: Path, people: int = 4, cameras: int = 3, images: int = 2) -> Path:
    rng = np.random.default_rng(0)
    for split, first in (("bounding_box_train", 1), ("bounding_box_test", 100), ("query", 100)):
        (folder / split).mkdir(parents=True)
        for pid in range(first, first + people):
            color = np.random.default_rng(pid).integers(30, 220, 3)
            for camera in range(1, cameras + 1):
                for shot in range(1 if split == "query" else images):
                    noise = rng.integers(-25, 25, (64, 32, 3))
                    frame = shot + (0 if split == "query" else 10)
                    name = f"{pid:04d}_c{camera}s1_{frame:06d}_00.jpg"
                    pixels = np.clip(color + noise, 0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(folder / split / name, quality=95)
    return folder
