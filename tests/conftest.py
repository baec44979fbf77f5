"""What several test files share: the reference numbers, and small made-up people."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
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
def check_apart():
    """A function that fails where words or axes of a picture overlap, or leave the page."""
    return _check_apart


def _check_apart(figure, *, axes: bool = True) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    ticks = [text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
             for tick in axis.get_major_ticks() for text in (tick.label1, tick.label2)]  # fmt: skip
    hidden = {id(text) for text in ticks} - {id(text) for text in _shown_ticks(figure)}
    words = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    words = [text for text in words if id(text) not in hidden]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in words]
    boxes += [("axes", each.get_window_extent(renderer)) for each in figure.axes if axes]
    boxes = [(name, box) for name, box in boxes if box.width > 0]
    page = figure.bbox
    for i, (name, box) in enumerate(boxes):
        inside = -1 <= box.x0 and -1 <= box.y0 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{name!r} leaves the page: {box}"
        for other, its in boxes[:i]:
            within = name != "axes" and other != "axes"
            apart = box.x0 >= its.x1 - 1 or its.x0 >= box.x1 - 1
            apart = apart or box.y0 >= its.y1 - 1 or its.y0 >= box.y1 - 1
            assert apart or not (within or name == other), f"{name!r} lies on {other!r}"


def _shown_ticks(figure):
    """Words of ticks that lie within their axes; matplotlib keeps others, and draws them not."""
    for each in figure.axes:
        for axis in (each.xaxis, each.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    yield from (tick.label1, tick.label2)


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
