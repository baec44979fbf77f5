"""Deferred shading: color of the samples that hit a person, each computed once.

Shapes: F figures, P solids, N samples.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.synthetic.quadrics import Rays
from reidlab.data.synthetic.textures import ATLAS, REGIONS


@dataclass(frozen=True)
class Surfaces:
    """Numbers per solid, gathered by the samples that see it.

    Attributes:
        local: (19, F * P) float32: inverse frame (12), e, k, r0, lo, 1 / (hi - lo), slope at lo,
            slope at hi.
        texture: (4, P) float32: row at lo, rows from lo to hi, first column, columns.
        light: (6, F) float32: direction of the light (3), its strength, ambient light, warmth.
        scale: (F,) pixels per metre.
        atlas: (A, rows * columns) int32 colors, and `atlas_of` (F,) which one a figure wears.
    """

    local: Tensor
    texture: Tensor
    light: Tensor
    scale: Tensor
    atlas: Tensor
    atlas_of: Tensor


def gather_surfaces(
    rays: Rays,
    numbers: NDArray,
    tags: list,
    light: NDArray,
    scale: NDArray,
    atlases: list[NDArray],
    atlas_of: NDArray,
    device: torch.device,
) -> Surfaces:
    """Lays the figures' numbers out for lookup by sample."""
    figures, solids = numbers.shape[:2]
    span = np.maximum(numbers[..., 4] - numbers[..., 3], 1e-6)
    columns = [
        rays.inverse.reshape(figures, solids, 12),
        numbers[..., :4],
        1 / span[..., None],
        numbers[..., 5:7],
    ]
    local = np.concatenate(columns, axis=-1).reshape(figures * solids, 19).T

    def floats(array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)

    texture = []
    for region, v0, v1, _ in tags:
        row, column, rows, width = REGIONS[region]
        texture.append((row + v0 * (rows - 0.02), (v1 - v0) * (rows - 0.02), column, width))
    return Surfaces(
        local=floats(local),
        texture=floats(np.array(texture).T),
        light=floats(light.T),
        scale=floats(scale),
        atlas=torch.from_numpy(np.stack(atlases).reshape(len(atlases), -1)).to(device),
        atlas_of=torch.from_numpy(atlas_of).to(device),
    )


def shade(
    surfaces: Surfaces, figure: Tensor, solid: Tensor, x: Tensor, y: Tensor, depth: Tensor
) -> Tensor:
    """Colors (3, N) of samples at pixels (x, y) and `depth` on `solid` of `figure`."""
    row = figure * surfaces.texture.shape[1] + solid
    m = surfaces.local.index_select(1, row)  # (19, N)
    qx, qy, qz = (
        torch.addcmul(m[4 * i + 3], m[4 * i], x)
        .addcmul_(m[4 * i + 1], y)
        .addcmul_(m[4 * i + 2], depth)
        for i in range(3)
    )
    e, k, r0 = m[12], m[13], m[14]
    t = ((qy - m[15]) * m[16]).clamp_(0, 1)
    slope = torch.lerp(m[17], m[18], t)
    ny = torch.where(e > 0, qy, -(r0 + k * qy) * slope)
    normal = [qx * m[j] + ny * m[4 + j] + qz * m[8 + j] for j in range(3)]  # covector, pixels
    scale = surfaces.scale.index_select(0, figure)
    nx, nu, nz = normal[0] * scale, normal[1] * -scale, normal[2]  # metric: right, up, near
    inverse = (nx * nx + nu * nu + nz * nz).clamp_min_(1e-12).rsqrt_()
    light = surfaces.light.index_select(1, figure)
    facing = (nx * light[0] + nu * light[1] + nz * light[2]) * inverse
    wrapped = (facing * 0.8 + 0.2).clamp_min_(0)
    sky = 0.86 + 0.14 * (nu * inverse)
    rim = 0.80 + 0.20 * (nz * inverse)
    brightness = (light[3] * wrapped + light[4] * sky) * rim
    colors = _texels(surfaces, figure, solid, qx, qz, t) * brightness
    if surfaces.light[5].any():  # lit sides turn red or blue, shadows the other way
        shift = (wrapped - 0.45) * light[5]
        colors[0] *= 1 + shift
        colors[2] *= 1 - shift
    return colors


def _texels(
    surfaces: Surfaces, figure: Tensor, solid: Tensor, qx: Tensor, qz: Tensor, t: Tensor
) -> Tensor:
    """Atlas colors (3, N) by angle around the axis and height along it."""
    place = surfaces.texture.index_select(1, solid)  # (4, N)
    turn = torch.atan2(qx, qz) * (1 / (2 * torch.pi)) + 0.5
    column = (place[2] + (turn * place[3]).clamp_(min=0).minimum(place[3] - 0.01)).long()
    row = (place[0] + t * place[1]).long()
    start = surfaces.atlas_of.index_select(0, figure) * (ATLAS[0] * ATLAS[1])
    codes = surfaces.atlas.view(-1)[start + row * ATLAS[1] + column]
    color = torch.stack([codes >> 16, (codes >> 8) & 255, codes & 255]).float()
    return color.mul_(1 / 255)
