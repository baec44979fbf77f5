"""Many crops at once: people by camera, or a plain grid.

Shapes: N images of H x W pixels.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reidlab.data.samples import DISTRACTOR, Sample, cameras_of
from reidlab.plots.page import (
    WIDTH,
    PageFigure,
    Pixels,
    image_size,
    name_person,
    new_page,
    read_pixels,
    styled,
)

GAP = 0.05  # of a crop's width, between crops
EMPTY = 238  # grey level where a person was not seen


@styled
def contact_sheet(
    images: Sequence[Sample] | Tensor,
    *,
    columns: int = 12,
    rows: int = 6,
    captions: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """A sheet of crops. Samples: a row per person, grouped by camera; a tensor: in reading order.

    Args:
        images: samples, or uint8 (N, 3, H, W).
        columns: crops side by side. With samples they are shared out evenly among the cameras; when
            there are more cameras than columns, the first ones are shown.
        rows: at most this many. Distractors and junk get rows of their own after the people.
        captions: one per image; samples are then shown in reading order, too.
        title: shown above.

    Raises:
        ValueError: no images, another kind of tensor, captions that do not match, counts below 1.
    """
    if columns < 1 or rows < 1:
        raise ValueError(f"expected counts of at least 1, got {columns=} and {rows=}")
    if not len(images):
        raise ValueError("expected at least one image, got none")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"expected {len(images)} captions, one per image, got {len(captions)}")
    if isinstance(images, Tensor):
        crops = list(_check_pixels(images[: columns * rows]))
        return _reading_order(crops, captions, columns, title)
    if captions is not None:
        size = image_size(images[0].path)
        crops = [read_pixels(sample.path, size) for sample in images[: columns * rows]]
        return _reading_order(crops, captions, columns, title)
    return _people_by_camera(images, columns, rows, title)


def _check_pixels(images: Tensor) -> Pixels:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}; "
            "images in 0..1 become (255 * images).byte()"
        )
    return images.permute(0, 2, 3, 1).cpu().numpy()  # (N, 3, H, W) -> (N, H, W, 3)


def _reading_order(
    crops: list[Pixels], captions: Sequence[str] | None, columns: int, title: str
) -> Figure:
    columns = min(columns, len(crops))
    lines = max((caption.count("\n") + 1 for caption in captions or ()), default=0)
    place = [(i // columns, i % columns) for i in range(len(crops))]
    rows = math.ceil(len(crops) / columns)
    layout = [float(column) for column in range(columns)]
    page, tops, lefts = _mosaic(crops, place, rows, layout, title, margin=0.02, under=0.17 * lines)
    for (row, column), caption in zip(place, captions or (), strict=False):
        bottom = tops[row] + crops[0].shape[0] * 1.02
        middle = lefts[column] + crops[0].shape[1] / 2
        page.axes[0].text(middle, bottom, caption, ha="center", va="top", fontsize=9)
    return page


def _people_by_camera(samples: Sequence[Sample], columns: int, rows: int, title: str) -> Figure:
    cameras = list(cameras_of(samples))
    seen = {sample.camid for sample in samples}
    cameras = [camid for camid in cameras if camid in seen][:columns]
    each = max(1, columns // len(cameras))  # crops per camera
    found: dict[int, dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        found[sample.pid][sample.camid].append(sample)
    people = [pid for pid in found if pid > DISTRACTOR][:rows]
    people += [pid for pid in (0, -1) if pid in found]
    size = image_size(samples[0].path)
    crops, place = [], []
    for row, pid in enumerate(people):
        for group, camid in enumerate(cameras):
            for i, sample in enumerate(found[pid][camid][:each]):
                crops.append(read_pixels(sample.path, size))
                place.append((row, group * each + i))
    layout = [column + 0.16 * (column // each) for column in range(each * len(cameras))]
    page, tops, lefts = _mosaic(crops, place, len(people), layout, title, margin=0.95, over=0.25)
    axes, (height, width) = page.axes[0], size
    for row, pid in enumerate(people):
        middle = tops[row] + height / 2
        axes.text(-0.12 * width, middle, name_person(pid), ha="right", va="center", fontsize=10)
    for group, camid in enumerate(cameras):
        middle = (lefts[group * each] + lefts[group * each + each - 1] + width) / 2
        name = f"camera {camid}" if each * WIDTH / columns > 0.9 else f"c{camid}"
        axes.text(middle, -0.06 * height, name, ha="center", va="bottom", fontsize=10)
    return page


def _mosaic(
    crops: list[Pixels],
    place: list[tuple[int, int]],
    rows: int,
    layout: list[float],
    title: str,
    *,
    margin: float,
    over: float = 0.0,
    under: float = 0.0,
) -> tuple[PageFigure, list[int], list[int]]:
    """A page with all crops pasted into one image: one axes instead of a hundred.

    Args:
        crops: uint8 (H, W, 3) each, all of one size.
        place: (row, column) of each crop.
        rows: how many there are.
        layout: left edge of each column, in crops.
        title: shown above.
        margin: inches left of the image.
        over: inches above it.
        under: inches below each row, for captions.

    Returns:
        The page, and the pixel rows and columns where crops begin.
    """
    height, width, _ = crops[0].shape
    step = width * (1 + GAP)
    lefts = [round(x * step) for x in layout]
    across = lefts[-1] + width
    widest = max(across, round(8 * step))  # a few crops are not blown up to the page
    inch = widest / (WIDTH - margin - 0.05)  # pixels per inch
    row_step = height + max(GAP * width, under * inch)
    tops = [round(row * row_step) for row in range(rows)]
    down = round(tops[-1] + height + under * inch)
    sheet = np.full((down, across, 3), 255, np.uint8)
    if len(place) < rows * len(lefts) and over:
        for top in tops:
            for left in lefts:
                sheet[top : top + height, left : left + width] = EMPTY
    for crop, (row, column) in zip(crops, place, strict=True):
        sheet[tops[row] : tops[row] + height, lefts[column] : lefts[column] + width] = crop
    top = 0.08 + over + (0.32 if title else 0.0)
    page = new_page(top + down / inch + 0.05, sharpness=1.0)
    high = page.get_figheight()
    box = (margin / WIDTH, 0.05 / high, across / inch / WIDTH, down / inch / high)
    axes = page.add_axes(box)
    axes.imshow(sheet, aspect="auto", interpolation="bicubic")
    axes.set_axis_off()
    page.suptitle(title, x=0.01, y=1 - 0.06 / high, ha="left", va="top")
    return page, tops, lefts
