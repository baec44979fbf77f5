"""Grounds and walls of the city under a low sun: world c's own.

Painters as in `canvas` and `walls`: metres in, a picture (rows, columns, 3) out.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.strokes import Picture, flat, lines, noise, plain, scatter


def _sky(y: NDArray, low: tuple, high: tuple, top: float) -> Picture:
    """From the color at the horizon to the one at `top` metres."""
    share = np.clip(y / top, 0, 1)[..., None].astype(np.float32)
    return ((1 - share) * tint(low) + share * tint(high)).astype(np.float32)


def _asphalt(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.40, 0.38, 0.38), x.shape, rng, 0.09)
    puddle = noise(x.shape, (12, 26), rng) > 0.55
    picture[puddle] = (
        tint((0.66, 0.56, 0.48)) * (1 + 0.06 * noise(x.shape, (60, 60), rng))[puddle, None]
    )
    picture[(np.abs(d + 0.9) < 0.07) & (x % 2.2 < 1.3)] = (0.78, 0.76, 0.70)
    picture[np.abs(d - 2.6) < 0.14] = (0.58, 0.54, 0.50)
    return picture


def _planks(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.56, 0.43, 0.31), x.shape, rng, 0.05)
    tone = 0.86 + 0.28 * scatter(np.floor(d / 0.32), np.floor((x + np.floor(d / 0.32)) / 2.7))
    picture *= tone[..., None].astype(np.float32)
    picture[lines(d, 0.32, 0.05)] *= 0.55
    return picture


def _leaves(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.48, 0.42, 0.35), x.shape, rng, 0.06)
    cell = np.floor(x / 0.055), np.floor(d / 0.11)
    heap = 0.10 * noise(x.shape, (8, 22), rng) + 0.08 * np.abs(d - 0.4)
    fallen = scatter(*cell) < 0.12 + heap
    hue = scatter(cell[0] + 7, cell[1])[..., None].astype(np.float32)
    color = tint((0.62, 0.38, 0.14)) + (hue - 0.5) * tint((0.26, 0.26, 0.06))
    picture[fallen] = color[fallen]
    return picture


def _setts(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.58, 0.50, 0.42), x.shape, rng, 0.05)
    arc = d + 0.25 * np.cos(x * 2 * np.pi / 1.6)
    row = np.floor(arc / 0.28)
    tone = 0.85 + 0.3 * scatter(row, np.floor(x / 0.2))
    picture *= tone[..., None].astype(np.float32)
    picture[lines(arc, 0.28, 0.06) | lines(x + 0.1 * (row % 2), 0.2, 0.03)] *= 0.62
    return picture


def _facades(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    unit = np.floor(x / 4.6)
    tone = 0.75 + 0.5 * scatter(unit, 1.0)[..., None].astype(np.float32)
    hue = (scatter(unit, 2.0)[..., None].astype(np.float32) - 0.5) * tint((0.16, 0.02, -0.14))
    picture = (plain((0.46, 0.37, 0.33), x, rng) * tone + hue).astype(np.float32)
    column, floor = np.floor(x / 1.15), np.floor(y / 1.35)
    pane = (np.abs(x % 1.15 - 0.57) < 0.30) & (np.abs(y % 1.35 - 0.75) < 0.42)
    lit = scatter(column, floor + 3.0) > 0.45
    picture[pane] = (0.16, 0.17, 0.24)
    picture[pane & lit] = (0.98, 0.80, 0.42)
    picture[pane & (np.abs(x % 1.15 - 0.57) < 0.03)] = (0.30, 0.26, 0.24)
    picture[(y > 2.7) & (y % 1.35 < 0.12)] *= 0.8
    return picture


def _sea(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = _sky(y - 0.9, (0.98, 0.70, 0.42), (0.56, 0.56, 0.70), 3.0)
    cloud = noise(x.shape, (14, 8), rng) > 0.35
    picture[cloud & (y > 1.3)] = picture[cloud & (y > 1.3)] * 0.8 + 0.2 * tint((0.85, 0.52, 0.45))
    water = y < 0.9
    waves = 0.85 + 0.15 * np.sin(x * 6 + 9 * np.sin(y * 38)) + rng.normal(0, 0.05, x.shape)
    glitter = 0.6 * np.exp(-((x - 1.5) ** 2) / 5.0)[..., None].astype(np.float32)
    color = tint((0.36, 0.38, 0.44)) + glitter * tint((0.55, 0.36, 0.12))
    picture[water] = (color * waves[..., None].astype(np.float32))[water]
    rails = (np.abs(y - 0.78) < 0.03) | (np.abs(y - 0.4) < 0.02) | ((x % 1.5 < 0.06) & (y < 0.8))
    picture[rails] = (0.22, 0.20, 0.20)
    return picture


def _autumn(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = _sky(y - 1.0, (0.96, 0.84, 0.62), (0.70, 0.72, 0.76), 3.0)
    leaves = 0.9 * noise(x.shape, (16, 36), rng) + 1.1 * noise(x.shape, (90, 220), rng)
    crown = (leaves + 0.8 * np.clip(y - 1.4, -1, 1.2) > 0.15) & (y > 0.5)
    hue = noise(x.shape, (4, 10), rng)[..., None]
    color = tint((0.58, 0.36, 0.14)) + hue * tint((0.14, 0.14, 0.04))
    tone = 0.85 + 0.22 * leaves + rng.normal(0, 0.08, x.shape)
    picture[crown] = np.clip(color * tone[..., None].astype(np.float32), 0.04, 1)[crown]
    hedge = y < 0.55 + 0.06 * np.sin(x * 5)
    picture[hedge] = plain((0.40, 0.33, 0.16), x, rng, 0.16)[hedge]
    trunk = np.abs(x % 2.9 - 1.2 + 0.04 * np.sin(3 * y)) < 0.20 - 0.03 * y
    picture[trunk] = plain((0.22, 0.16, 0.13), x, rng, 0.14)[trunk]
    return picture


def _skyline(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = _sky(y, (0.96, 0.62, 0.46), (0.52, 0.46, 0.62), 3.4)
    for wide, high, tone in ((1.9, 2.4, 0.62), (1.3, 1.7, 0.44)):
        block = np.floor(x / wide)
        roof = 0.5 + high * (0.35 + 0.65 * scatter(block, high))
        shade = tint((0.62, 0.48, 0.52)) * tint(tone * 1.3)
        picture[y < roof] = shade
        lamp = (y < roof - 0.1) & (x % 0.24 < 0.10) & (y % 0.26 < 0.12)
        lit = lamp & (scatter(np.floor(x / 0.24), np.floor(y / 0.26)) > 0.55)
        picture[lit] = (0.96, 0.76, 0.44)
    wall = (y < 0.9) & ((y > 0.78) | (x % 0.34 < 0.14))
    picture[wall] = plain((0.50, 0.44, 0.40), x, rng, 0.04)[wall]
    return picture


def _shelter(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = _sky(y, (0.78, 0.66, 0.56), (0.62, 0.62, 0.70), 3.5)
    town = y < 1.1 + 0.9 * scatter(np.floor(x / 2.3), 2.0)
    picture[town] = plain((0.44, 0.38, 0.37), x, rng, 0.04)[town]
    glass = (x % 6.0 < 4.4) & (y < 2.15)
    picture[glass] = picture[glass] * 0.55 + tint((0.30, 0.30, 0.30))
    picture[(x % 6.0 < 4.4) & (y > 2.15) & (y < 2.40)] = (0.24, 0.25, 0.27)
    picture[glass & (x % 1.46 < 0.06)] = (0.22, 0.22, 0.24)
    seat = glass & (np.abs(y - 0.5) < 0.05) & (x % 6.0 > 1.6)
    picture[seat] = (0.66, 0.22, 0.16)
    poster = (x % 6.0 < 1.3) & (y > 0.35) & (y < 1.95)
    hue = scatter(np.floor(x / 6.0), 8.0)[..., None].astype(np.float32)
    glow = tint((0.98, 0.92, 0.80)) - hue * tint((0.10, 0.50, 0.62)) * (y[..., None] < 1.3)
    picture[poster] = glow[poster]
    return picture


def _arcade(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.72, 0.53, 0.40), x, rng, 0.025)
    across = x % 2.4 - 1.2
    arch = (np.abs(across) < 0.8) & (y < 1.6 + np.sqrt(np.maximum(0.64 - across**2, 0)))
    rim = (np.abs(across) < 0.95) & (y < 1.6 + np.sqrt(np.maximum(0.9025 - across**2, 0)))
    picture[rim] = (0.84, 0.70, 0.54)
    inside = tint((0.30, 0.19, 0.16)) + np.exp(-(across**2 + (y - 1.3) ** 2) / 0.12)[
        ..., None
    ] * tint((0.6, 0.42, 0.16))
    picture[arch] = inside.astype(np.float32)[arch]
    picture[(y > 2.75) & (y < 2.9)] = (0.84, 0.70, 0.54)
    picture[(y > 3.1) & (np.abs(across) < 0.4)] = (0.26, 0.22, 0.26)
    return picture


Painter = Callable[[NDArray, NDArray, np.random.Generator], Picture]

GROUNDS: dict[str, Painter] = {
    "asphalt": _asphalt,
    "planks": _planks,
    "leaves": _leaves,
    "setts": _setts,
}
WALLS: dict[str, Painter] = {
    "facades": _facades,
    "sea": _sea,
    "autumn": _autumn,
    "skyline": _skyline,
    "shelter": _shelter,
    "arcade": _arcade,
}
