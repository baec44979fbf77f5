"""What is true about a rendered image: boxes of parts, occlusion, truncation.

Shapes: B images, (h, w) samples, N samples that hit someone.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from reidlab.data.synthetic.framing import Figures
from reidlab.data.synthetic.raster import LOW_BITS, SECOND
from reidlab.data.synthetic.shots import Shot

PARTS = ("head", "torso", "legs", "hat", "backpack", "bag", "handbag")


def describe(
    shots: Sequence[Shot],
    figures: Figures,
    hit: Tensor,
    seen: Tensor,
    alone: Tensor,
    opacity: Tensor,
    shape: tuple[int, int],
    supersample: int,
) -> list[dict]:
    """One dict per image, see `render.render`.

    Args:
        shots: B of them.
        figures: who is where.
        hit: (N,) flat sample positions over (B, h, w).
        seen: (N,) their buffer entries.
        alone: (B,) samples that the subject covers before anything hides it.
        opacity: (B, 1, H, W) of things in front.
        shape: (h, w).
        supersample: samples per pixel side.
    """
    h, w = shape
    number = (seen & LOW_BITS).long()
    hidden = opacity if supersample == 1 else interpolate(opacity, scale_factor=supersample)
    mine = (number < SECOND) & (hidden.reshape(-1)[hit] < 0.5)
    hit, number = hit[mine], number[mine]
    image, inside = hit // (h * w), hit % (h * w)
    part_of = torch.tensor([PARTS.index(tag[3]) for tag in figures.tags], device=hit.device)
    key = image * len(PARTS) + part_of[number - 1]
    columns = torch.zeros(len(shots) * len(PARTS), w, dtype=torch.bool, device=hit.device)
    rows = torch.zeros(len(shots) * len(PARTS), h, dtype=torch.bool, device=hit.device)
    columns[key, inside % w] = True
    rows[key, inside // w] = True
    shown = torch.bincount(image, minlength=len(shots)).cpu().numpy()
    boxes = np.concatenate([_ends(columns.cpu().numpy()), _ends(rows.cpu().numpy())], axis=1)
    boxes = boxes[:, [0, 2, 1, 3]].reshape(len(shots), len(PARTS), 4) / supersample
    whole = alone.cpu().numpy()
    return [
        _one(
            shot,
            figures.box[i] / supersample,
            boxes[i],
            float(shown[i]),
            float(whole[i]),
            (h / supersample, w / supersample),
        )
        for i, shot in enumerate(shots)
    ]


def _ends(mask: NDArray[np.bool_]) -> NDArray:
    """First and one past last true column per row, (n, 2); NaN where there is none."""
    some = np.asarray(mask.any(axis=1, keepdims=True))
    first, last = mask.argmax(axis=1), mask.shape[1] - mask[:, ::-1].argmax(axis=1)
    return np.where(some, np.stack([first, last], axis=1), np.nan)


def _one(
    shot: Shot, box: NDArray, parts: NDArray, shown: float, whole: float, size: tuple[float, float]
) -> dict:
    """Truth of one image, plain numbers only."""
    if shot.person is None:
        return {"yaw": None, "box": None, "parts": {}, "occluded": 0.0, "truncated": False}
    height, width = size
    limits = np.array([width, height, width, height])
    inside: NDArray = np.clip(box, 0, limits)
    cut = float(np.abs(inside - box).max()) > 0.5
    return {
        "yaw": round(shot.yaw, 1),
        "box": [round(float(value), 1) for value in inside],
        "parts": {
            name: [float(value) for value in parts[i]]
            for i, name in enumerate(PARTS)
            if np.isfinite(parts[i]).all()
        },
        "occluded": round(1 - shown / whole, 3) if whole else 1.0,
        "truncated": cut,
    }
