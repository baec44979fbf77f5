"""Z-buffer: which solid is seen at every sample of every image.

Depth and the solid's number share one int32: the bits of a positive float sort like the float, so
its eight lowest bits can carry the number, and `max` keeps the nearest solid.

Shapes: B images, F figures, P solids per figure, (H, W) samples.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.synthetic.quadrics import Rays

OFFSET = 6.0  # metres added to depth: all depths lie in [4, 8) and share their exponent
SECOND = 128  # added to the numbers of an image's second figure
LOW_BITS = 255


def new_buffer(count: int, height: int, width: int, device: torch.device) -> Tensor:
    """Empty buffer (B, H, W) int32."""
    return torch.zeros(count, height, width, dtype=torch.int32, device=device)


def depth_of(buffer: Tensor) -> Tensor:
    """Depth in metres of the samples that hit something."""
    return (buffer & ~LOW_BITS).view(torch.float32) - OFFSET


def draw(
    buffer: Tensor, rays: Rays, shown: NDArray[np.bool_], images: NDArray[np.int64], number: int
) -> None:
    """Draws figures into the buffer, in place.

    Args:
        buffer: (B, H, W) int32.
        rays: of the F figures.
        shown: (F, P) which solids exist.
        images: (F,) image of each figure, no image twice.
        number: added to the 1-based number of a solid, 0 or `SECOND`.
    """
    _, height, width = buffer.shape
    low = np.floor(rays.box[..., :2]).astype(np.int64)  # (F, P, 2) x, y
    high = np.ceil(rays.box[..., 2:]).astype(np.int64)
    limits = np.array([width, height])
    seen = shown & ((high > 0) & (low < limits)).all(-1)
    low, high = np.clip(low, 0, limits), np.clip(high, 0, limits)
    coefficients = np.concatenate([rays.depth, rays.height], axis=-1).astype(np.float32)
    flat = buffer.view(-1)
    for solid in range(shown.shape[1]):
        rows = np.flatnonzero(seen[:, solid])
        if len(rows):
            _draw_one(
                flat,
                (height, width),
                low[rows, solid],
                high[rows, solid],
                rays.center[rows, solid],
                coefficients[rows, solid],
                images[rows],
                number + solid + 1,
            )


def _draw_one(
    flat: Tensor,
    shape: tuple[int, int],
    low: NDArray,
    high: NDArray,
    center: NDArray,
    coefficients: NDArray,
    images: NDArray,
    number: int,
) -> None:
    """One solid of n figures, each in a window of the same size around its bounding box."""
    height, width = shape
    w, h = (int(side) for side in (high - low).max(axis=0))
    x0 = np.minimum(low[:, 0], width - w)
    y0 = np.minimum(low[:, 1], height - h)
    device = flat.device
    xs = torch.from_numpy((x0 + 0.5 - center[:, 0]).astype(np.float32)).to(device)
    ys = torch.from_numpy((y0 + 0.5 - center[:, 1]).astype(np.float32)).to(device)
    xs = xs[:, None] + torch.arange(w, device=device)  # (n, w)
    ys = ys[:, None] + torch.arange(h, device=device)  # (n, h)
    c = torch.from_numpy(coefficients).to(device)[:, :, None]  # (n, 15, 1)
    root_x = c[:, 1] * xs + c[:, 3] * xs * xs
    root_y = c[:, 0] + c[:, 2] * ys + c[:, 5] * ys * ys
    square = root_y[:, :, None] + root_x[:, None, :]  # (n, h, w)
    square.addcmul_((c[:, 4] * ys)[:, :, None], xs[:, None, :])
    depth = square.sqrt_()  # NaN where the ray misses
    depth += (c[:, 6] + c[:, 8] * ys)[:, :, None]
    depth += (c[:, 7] * xs)[:, None, :]
    along = (c[:, 9] + c[:, 11] * ys)[:, :, None] + (c[:, 10] * xs)[:, None, :]
    along.addcmul_(c[:, 12, :, None], depth)
    hit = (along >= c[:, 13, :, None]) & (along <= c[:, 14, :, None])  # false for NaN
    packed = (depth.add_(OFFSET).view(torch.int32) & ~LOW_BITS) | number
    packed *= hit
    start = torch.from_numpy(images * (height * width) + y0 * width + x0).to(device)
    index = start[:, None, None] + torch.arange(h, device=device)[:, None] * width
    index = (index + torch.arange(w, device=device)).view(-1)  # (n * h * w)
    flat[index] = torch.maximum(flat[index], packed.view(-1))
