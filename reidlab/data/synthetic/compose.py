"""The painted layers of an image: backdrop, shadow on the ground, things in front.

Shapes: B images, (H, W) pixels. Positions of `Figures` are in samples, `supersample` per pixel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from reidlab.data.synthetic import canvas
from reidlab.data.synthetic.framing import Figures
from reidlab.data.synthetic.places import PLACES
from reidlab.data.synthetic.props import prop
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.shots import Shot


def _metres(
    figures: Figures, rows: Sequence[int], size: tuple[int, int], supersample: int
) -> tuple[NDArray, NDArray]:
    """Pixel centres in metres from the subject's feet: x (n, W) to the right, y (n, H) up."""
    scale = figures.scale[rows, None] / supersample
    feet = figures.feet[rows] / supersample
    x = (np.arange(size[1]) + 0.5 - feet[:, :1]) / scale
    y = (feet[:, 1:] - np.arange(size[0]) - 0.5) / scale
    return x, y


def _cut(picture: Tensor, x: NDArray, y: NDArray, mode: str) -> Tensor:
    """Crops (n, C, H, W) at coordinates x (n, W), y (n, H), both -1 to 1 over the picture."""
    gx, gy = (torch.from_numpy(g.astype(np.float32)).to(picture.device) for g in (x, y))
    n, height, width = len(x), y.shape[1], x.shape[1]
    grid = torch.stack(
        [gx[:, None, :].expand(n, height, width), gy[:, :, None].expand(n, height, width)], dim=-1
    )
    source = picture[None].expand(n, -1, -1, -1)
    return grid_sample(source, grid, padding_mode=mode, align_corners=False)


def cut_backdrops(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    figures: Figures,
    size: tuple[int, int],
    supersample: int,
    device: torch.device,
) -> Tensor:
    """Surroundings (B, 3, H, W)."""
    result = torch.empty(len(shots), 3, *size, device=device)
    for camera in sorted({s.camera for s in shots}):
        rows = [i for i, s in enumerate(shots) if s.camera == camera]
        picture = canvas.backdrop(cameras[camera]).to(device)
        x, y = _metres(figures, rows, size, supersample)
        x = x - x.mean(axis=1, keepdims=True) + np.array([[shots[i].place_x] for i in rows])
        x = (x - canvas.LEFT) / (canvas.RIGHT - canvas.LEFT) * 2 - 1
        y = (canvas.TOP - y) / (canvas.TOP - canvas.BOTTOM) * 2 - 1
        result[rows] = _cut(picture, x, y, "border")
    return result


def ground_shadow(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    figures: Figures,
    size: tuple[int, int],
    supersample: int,
    device: torch.device,
) -> Tensor:
    """Brightness of the ground (B, 1, H, W): a soft pool at the feet, drawn away from the light."""
    x, y = _metres(figures, range(len(shots)), size, supersample)
    gx, gy = (torch.from_numpy(g.astype(np.float32)).to(device) for g in (x, y))
    total = torch.zeros(len(shots), size[0], size[1], device=device)
    places = [PLACES[cameras[s.camera].place] for s in shots]
    tilt = np.sin(np.radians([cameras[s.camera].pitch for s in shots]))
    lean = -np.sin(np.radians([cameras[s.camera].sun for s in shots]))
    sun = np.array([p.sun for p in places])
    height = np.tan(np.radians([cameras[s.camera].elevation for s in shots]))
    long = np.minimum(np.tan(np.radians(42)) / height, 2.0)  # 1 at the height that 0.40 is for
    for number, first in ((0, True), (1, False)):
        here = np.array([(s.person if first else s.bystander) is not None for s in shots])
        at = np.array([(0.0, 0.0) if first else s.bystander_at for s in shots])
        for reach, wide, dark in ((0.0, 0.26, 0.50), (0.40, 0.42, 0.55)):
            # the contact shadow, and the longer one that the sun casts
            power = here * dark * (sun if reach else 1.0)
            far = reach * long
            cx = at[:, 0] + far * lean
            cy = (0.6 * far - at[:, 1]) * tilt + 0.01 * number
            columns = [power, cx, cy, np.full_like(cx, wide), 0.05 + wide * tilt * 0.5]
            p, cx, cy, sx, sy = torch.from_numpy(np.stack(columns).astype(np.float32)).to(device)
            across = torch.exp(-(((gx - cx[:, None]) / sx[:, None]) ** 2)) * p[:, None]
            down = torch.exp(-(((gy - cy[:, None]) / sy[:, None]) ** 2))
            total += down[:, :, None] * across[:, None, :]
    return (1 - total.clamp_(0, 0.65))[:, None]


def cut_props(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    figures: Figures,
    size: tuple[int, int],
    supersample: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Things in front: color (B, 3, H, W) and opacity (B, 1, H, W), zero without a thing."""
    result = torch.zeros(len(shots), 4, *size, device=device)
    for row, shot in enumerate(shots):
        if shot.occluder is None:
            continue
        picture, width, height = prop(shot.occluder.kind, cameras[shot.camera])
        x, y = _metres(figures, [row], size, supersample)
        x = x - x.mean(axis=1, keepdims=True) - shot.occluder.x
        y = y - shot.occluder.y
        result[row] = _cut(picture.to(device), x * 2 / width, 1 - y * 2 / height, "zeros")[0]
    return result[:, :3], result[:, 3:]
