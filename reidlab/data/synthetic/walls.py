"""Backdrops: what stands behind the people. Colors are muted, so that clothes stay the subject.

Every painter takes metres along the wall `x` and above its foot `y`, both (rows, columns), and
gives a picture (rows, columns, 3).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic import dusk, indoors
from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.strokes import Picture, plain, scatter, window


def _brick(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.56, 0.40, 0.34), x, rng, 0.04)
    row = np.floor(y / 0.14)
    shifted = x + 0.2 * (row % 2)
    picture *= (0.92 + 0.16 * scatter(row, np.floor(shifted / 0.4)))[..., None]
    mortar = ((y / 0.14) % 1 < 0.14) | ((shifted / 0.4) % 1 < 0.05)
    picture[mortar] = (0.60, 0.55, 0.50)
    window(picture, x, y, pitch=3.1, wide=1.5, low=0.7, high=2.3, frame=(0.78, 0.76, 0.72))
    picture[y < 0.35] = plain((0.46, 0.45, 0.44), x, rng)[y < 0.35]
    door = ((x + 1.2) % 9.3 < 1.1) & (y < 2.2)
    picture[door] = (0.24, 0.30, 0.28)
    return picture


def _plaster(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.74, 0.68, 0.57), x, rng, 0.02)
    across = x % 4.3
    arch = (across < 1.5) & (y < 1.7 + np.sqrt(np.maximum(0.5625 - (across - 0.75) ** 2, 0)))
    rim = (np.abs(across - 0.75) < 0.9) & (
        y < 1.72 + np.sqrt(np.maximum(0.81 - (across - 0.75) ** 2, 0))
    )
    picture[rim] = (0.60, 0.55, 0.48)
    picture[arch] = (0.30, 0.24, 0.19)
    picture[arch & (across % 0.3 < 0.03)] = (0.20, 0.16, 0.13)
    shifted = x - 2.2
    window(picture, shifted, y, pitch=4.3, wide=1.1, low=1.0, high=2.2, frame=(0.45, 0.50, 0.44))
    plants = (y < 0.55 + 0.15 * np.sin(x * 9)) & (np.abs(x % 4.3 - 2.0) < 0.28)
    picture[plants] = (0.28, 0.37, 0.22)
    picture[(y < 0.25) & (np.abs(x % 4.3 - 2.0) < 0.22)] = (0.55, 0.34, 0.25)
    return picture


def _trees(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    sky = np.clip((y - 1.5) / 3, 0, 1)[..., None]
    picture = ((1 - sky) * (0.62, 0.68, 0.70) + sky * (0.72, 0.79, 0.86)).astype(np.float32)
    leaves = np.zeros(x.shape)
    for scale in (0.7, 1.6, 3.7, 8.0):
        a, b, c = rng.uniform(0, 6, 3)
        leaves += (
            np.sin(x * scale * 1.7 + a + 1.3 * np.sin(y * scale + b))
            * np.sin(y * scale * 2.1 + c)
            / scale**0.4
        )
    crown = (leaves + 0.9 * np.clip(y - 0.9, -1, 1.5) > 0.1) | (y < 0.9 + 0.12 * np.sin(x * 5))
    tone = 0.85 + 0.20 * leaves + rng.normal(0, 0.10, x.shape)
    green = tint((0.26, 0.36, 0.18)) * tone[..., None].astype(np.float32)
    picture[crown] = np.clip(green, 0.05, 1)[crown]
    trunk = np.abs(x % 3.7 - 1.6 + 0.05 * np.sin(3 * y)) < 0.17 - 0.02 * y
    picture[trunk & (y < 3)] = plain((0.34, 0.27, 0.21), x, rng, 0.12)[trunk & (y < 3)]
    return picture


def _shops(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.62, 0.58, 0.55), x, rng)
    unit = np.floor(x / 4.0)
    hue = np.stack([scatter(unit, 1.0), scatter(unit, 2.0), scatter(unit, 3.0)], axis=-1)
    sign = 0.36 + 0.28 * hue.astype(np.float32)
    window(
        picture,
        x,
        y,
        pitch=4.0,
        wide=3.5,
        low=0.3,
        high=2.3,
        frame=(0.35, 0.34, 0.34),
        glass=(0.34, 0.36, 0.38),
    )
    board = (y > 2.4) & (y < 3.1)
    picture[board] = sign[board]
    letters = board & (np.abs(y - 2.75) < 0.14) & (scatter(np.floor(x / 0.16)) > 0.45)
    picture[letters & (x % 4.0 < 2.6) & (x % 4.0 > 0.7)] = (0.88, 0.87, 0.83)
    return picture


def _hall(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.76, 0.75, 0.73), x, rng, 0.012)
    window(
        picture,
        x,
        y,
        pitch=5.2,
        wide=4.0,
        low=0.05,
        high=2.4,
        frame=(0.62, 0.63, 0.65),
        glass=(0.58, 0.56, 0.50),
    )
    shelf = (x % 5.2 > 0.5) & (x % 5.2 < 3.5) & (y % 0.45 < 0.32) & (y < 2.2) & (y > 0.2)
    goods = scatter(np.floor(x / 0.13), np.floor(y / 0.45))[..., None].astype(np.float32)
    color = tint((0.56, 0.50, 0.45)) + (goods - 0.5) * tint((0.3, 0.2, 0.35))
    picture[shelf] = color[shelf]
    light = (y > 2.7) & (y < 2.85)
    picture[light] = (0.97, 0.96, 0.90)
    column = np.abs(x % 5.2 - 4.6) < 0.38
    shade = 0.86 - 0.25 * ((x % 5.2 - 4.6) / 0.38)
    picture[column] = (tint((0.80, 0.79, 0.76)) * shade[..., None].astype(np.float32))[column]
    return picture


def _glass(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.66, 0.70, 0.73), x, rng, 0.015)
    window(
        picture,
        x,
        y,
        pitch=1.6,
        wide=1.5,
        low=0.4,
        high=2.0,
        frame=(0.52, 0.55, 0.57),
        glass=(0.36, 0.44, 0.50),
    )
    window(
        picture,
        x,
        y,
        pitch=1.6,
        wide=1.5,
        low=2.3,
        high=4.0,
        frame=(0.52, 0.55, 0.57),
        glass=(0.42, 0.50, 0.56),
    )
    bush = y < 0.6 + 0.25 * np.abs(np.sin(x * 1.3)) + 0.05 * np.sin(x * 11)
    tone = 1 + rng.normal(0, 0.14, x.shape)
    green = (tint((0.27, 0.37, 0.19)) * tone[..., None]).astype(np.float32)
    picture[bush] = green[bush]
    return picture


def _train(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.70, 0.71, 0.72), x, rng, 0.01)
    picture[y < 0.18] = (0.15, 0.15, 0.16)
    picture[(y > 0.5) & (y < 0.75)] = (0.28, 0.38, 0.52)
    window(picture, x, y, pitch=2.4, wide=1.7, low=1.0, high=1.9, frame=(0.20, 0.20, 0.22))
    door = x % 7.2 < 1.3
    picture[door & (y > 0.15) & (y < 2.1)] = (0.60, 0.52, 0.30)
    gap = door & (np.abs(x % 7.2 - 0.65) > 0.15) & (np.abs(x % 7.2 - 0.65) < 0.5)
    picture[gap & (y > 1.0) & (y < 1.8)] = (0.22, 0.25, 0.28)
    picture[y > 2.4] = (0.36, 0.36, 0.38)
    return picture


def _pillars(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.44, 0.43, 0.41), x, rng, 0.03)
    picture[(y > 0.9) & (y < 1.1)] = (0.58, 0.52, 0.30)
    car = (np.abs(x % 6.1 - 2.3) < 1.6) & (y < 0.75) | (np.abs(x % 6.1 - 2.4) < 0.9) & (y < 1.3)
    body = 0.25 + 0.35 * scatter(np.floor(x / 6.1), 5.0)[..., None].astype(np.float32)
    picture[car] = (body * tint((1.0, 0.97, 0.95)))[car]
    picture[(np.abs(x % 6.1 - 2.4) < 0.8) & (y > 0.8) & (y < 1.2)] = (0.16, 0.18, 0.20)
    pillar = x % 4.7 < 0.6
    picture[pillar] = plain((0.60, 0.59, 0.56), x, rng)[pillar]
    picture[pillar & (y > 0.3) & (y < 0.9)] = (0.55, 0.45, 0.20)
    return picture


def _stalls(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.40, 0.36, 0.33), x, rng, 0.05)
    unit = np.floor(x / 3.0)
    table = (y < 0.95) & (x % 3.0 < 2.6)
    picture[table] = plain((0.52, 0.43, 0.33), x, rng, 0.04)[table]
    crate = scatter(np.floor(x / 0.42), 4.0)[..., None].astype(np.float32)
    fruit = tint((0.50, 0.42, 0.24)) + (crate - 0.5) * tint((0.45, 0.35, -0.2))
    goods = (y > 0.95) & (y < 1.2 + 0.04 * np.sin(x * 30)) & (x % 3.0 < 2.6)
    picture[goods] = (fruit * (1 + rng.normal(0, 0.12, x.shape))[..., None])[goods]
    striped = (np.floor(x / 0.25) % 2)[..., None].astype(np.float32)
    cloth = 0.5 + 0.2 * scatter(unit, 6.0)[..., None].astype(np.float32)
    awning = (y > 2.0) & (y < 2.7 + 0.05 * np.sin(x * 12))
    color = striped * tint((0.80, 0.77, 0.70)) + (1 - striped) * cloth * (0.9, 0.6, 0.5)
    picture[awning] = color[awning]
    picture[y > 2.7] = (0.66, 0.70, 0.74)
    return picture


WALLS: dict[str, Callable[[NDArray, NDArray, np.random.Generator], Picture]] = {
    "brick": _brick,
    "plaster": _plaster,
    "trees": _trees,
    "shops": _shops,
    "hall": _hall,
    "glass": _glass,
    "train": _train,
    "pillars": _pillars,
    "stalls": _stalls,
    **indoors.WALLS,
    **dusk.WALLS,
}
