"""Painted surroundings: one wide picture per camera, from which every crop is cut.

The picture is measured in metres at the distance of the people: x along the scene, y up from
their feet. The ground runs in perspective up to the foot of the backdrop.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from reidlab.data.synthetic import dusk, indoors, walls
from reidlab.data.synthetic.places import PLACES
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.strokes import Picture, flat, lines, noise

DENSITY = 80  # pixels per metre
LEFT, RIGHT, BOTTOM, TOP = -8.0, 8.0, -1.8, 3.6


@lru_cache(maxsize=16)
def backdrop(camera: Camera) -> Tensor:
    """Surroundings of a camera, (3, rows, columns) float32 in [0, 1], first row at the top."""
    place = PLACES[camera.place]
    rng = np.random.default_rng(camera.seed)
    y = TOP - (np.arange(int((TOP - BOTTOM) * DENSITY)) + 0.5) / DENSITY
    x = LEFT + (np.arange(int((RIGHT - LEFT) * DENSITY)) + 0.5) / DENSITY
    foot = place.height * place.depth / (place.distance + place.depth)
    below = np.minimum(y, foot)
    far = place.distance * below / (place.height - below)  # metres behind the people
    gx = x[None] * (1 + far[:, None] / place.distance)
    gy = np.broadcast_to(far[:, None], gx.shape)
    picture = GROUNDS[place.ground](gx, gy, rng)
    shrink = (place.distance + place.depth) / place.distance
    rows = int(np.sum(y > foot))
    if rows:
        wx = np.broadcast_to(x[None] * shrink, (rows, len(x)))
        wy = np.broadcast_to((y[:rows, None] - foot) * shrink, (rows, len(x)))
        picture[:rows] = walls.WALLS[place.wall](wx, wy, rng)
        edge = picture[rows : rows + 6]
        edge *= np.linspace(0.7, 1.0, len(edge), dtype=np.float32)[:, None, None]
    picture = 0.5 + (picture - 0.5) * 0.9
    return from_numpy(np.clip(picture, 0, 1).astype(np.float32)).permute(2, 0, 1).contiguous()


def _paving(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.56, 0.53, 0.50), x.shape, rng, 0.05)
    tone = np.sin(np.floor(x / 0.6) * 12.9 + np.floor(d / 0.9) * 78.2) * 0.05
    picture *= (1 + tone)[..., None]
    picture[lines(x, 0.6, 0.02) | lines(d, 0.9, 0.07)] *= 0.78
    return picture


def _lawn(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.34, 0.44, 0.22), x.shape, rng, 0.12)
    path = np.abs(d - 0.5 + 0.25 * np.sin(x * 0.5)) < 1.5
    picture[path] = flat((0.62, 0.56, 0.46), x.shape, rng, 0.06)[path]
    return picture


def _zebra(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.36, 0.36, 0.38), x.shape, rng, 0.07)
    stripes = ((x / 1.1) % 1 < 0.5) & (np.abs(d - 0.6) < 1.7)
    worn = noise(x.shape, (90, 380), rng) > -0.75
    picture[stripes & worn] = (0.80, 0.80, 0.78)
    kerb = np.abs(d - 3.6) < 0.2
    picture[kerb] = (0.62, 0.61, 0.60)
    picture[d > 3.8] = flat((0.52, 0.50, 0.48), x.shape, rng, 0.05)[d > 3.8]
    return picture


def _tiles(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.72, 0.70, 0.66), x.shape, rng, 0.02)
    dark = (np.floor(x / 1.2) + np.floor(d / 1.2)) % 4 == 0
    picture[dark] *= 0.86
    picture[lines(x, 1.2, 0.03) | lines(d, 1.2, 0.05)] *= 0.85
    shine = 0.10 * np.exp(-(((x % 4) - 2) ** 2) / 0.5)
    return picture + shine[..., None].astype(np.float32)


def _cobbles(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.50, 0.46, 0.42), x.shape, rng, 0.06)
    row = np.floor(d / 0.35)
    shifted = x + 0.13 * (row % 2)
    tone = np.sin(row * 37.1 + np.floor(shifted / 0.26) * 91.7) * 0.10
    picture *= (1 + tone)[..., None]
    picture[lines(shifted, 0.26, 0.035) | lines(d, 0.35, 0.07)] *= 0.72
    return picture


def _path(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.66, 0.64, 0.61), x.shape, rng, 0.04)
    picture[lines(x, 1.5, 0.03)] *= 0.85
    grass = (d > 2.0) | (d < -1.9)
    picture[grass] = flat((0.38, 0.50, 0.24), x.shape, rng, 0.12)[grass]
    picture[np.abs(d - 2.0) < 0.12] = (0.55, 0.54, 0.52)
    return picture


def _concrete(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.50, 0.50, 0.49), x.shape, rng, 0.06)
    picture[lines(x, 3.0, 0.04) | lines(d, 3.0, 0.07)] *= 0.8
    picture[np.abs(d - 2.1) < 0.16] = (0.78, 0.68, 0.28)
    return picture


GROUNDS: dict[str, Callable[[NDArray, NDArray, np.random.Generator], Picture]] = {
    "paving": _paving,
    "lawn": _lawn,
    "zebra": _zebra,
    "tiles": _tiles,
    "cobbles": _cobbles,
    "path": _path,
    "concrete": _concrete,
    **indoors.GROUNDS,
    **dusk.GROUNDS,
}
