"""Grounds and walls of the places under a roof: world b's own.

Painters as in `canvas` and `walls`: metres in, a picture (rows, columns, 3) out.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.strokes import Picture, flat, lines, noise, plain, scatter, window


def _terrazzo(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.60, 0.61, 0.62), x.shape, rng, 0.03)
    chips = scatter(np.floor(x / 0.05), np.floor(d / 0.09))
    picture *= (0.93 + 0.14 * chips)[..., None].astype(np.float32)
    picture[lines(x, 2.0, 0.04) | lines(d, 2.0, 0.06)] *= 0.72
    picture[np.abs(x % 8.0 - 1.0) < 0.22] = (0.40, 0.42, 0.45)
    return picture


def _marble(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.78, 0.78, 0.77), x.shape, rng, 0.015)
    veins = np.abs(noise(x.shape, (30, 60), rng)) < 0.05
    picture[veins] *= 0.90
    dark = (np.floor(x / 1.0) + np.floor(d / 1.0)) % 2 == 0
    picture[dark] *= tint((0.70, 0.72, 0.75))
    gloss = 0.10 * np.exp(-(((x % 3.2) - 1.6) ** 2) / 0.3)
    return picture + gloss[..., None].astype(np.float32)


def _linoleum(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.50, 0.56, 0.55), x.shape, rng, 0.03)
    picture[np.abs(d - 0.8) < 0.10] = (0.34, 0.44, 0.50)
    picture[lines(x, 2.4, 0.03)] *= 0.86
    lamp = 0.16 * np.exp(-(((x % 2.6) - 1.3) ** 2) / 0.25 - (d + 0.3) ** 2 / 1.2)
    return picture + lamp[..., None].astype(np.float32)


def _bays(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.40, 0.41, 0.41), x.shape, rng, 0.07)
    oil = noise(x.shape, (14, 40), rng) > 0.62
    picture[oil] *= 0.70
    picture[(np.abs(x % 2.6 - 0.4) < 0.07) & (d > 0.2)] = (0.74, 0.74, 0.70)
    arrow = (np.abs(x % 6.0 - 3.0) < 0.10 + 0.3 * np.clip(d + 1.6, 0, 0.8)) & (
        np.abs(d + 1.2) < 0.4
    )
    picture[arrow] = (0.70, 0.66, 0.40)
    return picture


def _tactile(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.54, 0.54, 0.53), x.shape, rng, 0.04)
    picture[lines(x, 0.8, 0.03) | lines(d, 0.8, 0.05)] *= 0.84
    strip = np.abs(d - 1.1) < 0.22
    dots = (x % 0.12 < 0.06) & (d % 0.12 < 0.06)
    picture[strip] = (0.72, 0.66, 0.30)
    picture[strip & dots] = (0.84, 0.78, 0.42)
    picture[d > 1.6] = (0.16, 0.16, 0.17)
    return picture


def _carpet(x: NDArray, d: NDArray, rng: np.random.Generator) -> Picture:
    picture = flat((0.34, 0.36, 0.42), x.shape, rng, 0.10)
    diamond = np.abs(x % 0.9 - 0.45) + np.abs(d % 0.9 - 0.45)
    picture[np.abs(diamond - 0.38) < 0.04] = (0.50, 0.51, 0.54)
    return picture


def _boards(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.58, 0.60, 0.62), x, rng, 0.02)
    board = (x % 5.0 < 3.8) & (y > 0.9) & (y < 2.6)
    picture[board] = (0.10, 0.12, 0.15)
    row, column = np.floor(y / 0.17), np.floor(x / 0.11)
    letters = board & (y % 0.17 < 0.09) & (scatter(row, column) > 0.42) & (x % 5.0 > 0.2)
    picture[letters] = (0.78, 0.74, 0.46)
    gate = (y < 0.8) & (x % 0.9 < 0.34)
    picture[gate] = (0.36, 0.38, 0.41)
    picture[gate & (np.abs(y - 0.72) < 0.04)] = (0.40, 0.72, 0.52)
    picture[(y > 2.8) & (y < 2.95)] = (0.95, 0.98, 1.00)
    return picture


def _boutiques(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.80, 0.81, 0.82), x, rng, 0.01)
    unit = np.floor(x / 3.4)
    lit = tint((0.86, 0.86, 0.80)) * (0.8 + 0.25 * scatter(unit, 2.0))[..., None].astype(np.float32)
    shop = (x % 3.4 < 3.0) & (y < 2.1)
    picture[shop] = lit[shop]
    rail = shop & (np.abs(y - 1.0) < 0.40) & (x % 3.4 > 0.4) & (x % 3.4 < 2.6)
    hung = 0.30 + 0.5 * scatter(np.floor(x / 0.14), unit)[..., None].astype(np.float32)
    picture[rail] = (hung * tint((0.95, 0.95, 1.05)))[rail]
    picture[shop & (x % 1.5 < 0.05)] = (0.42, 0.45, 0.48)
    sign = (x % 3.4 < 3.0) & (y > 2.2) & (y < 2.7)
    hue = np.stack([scatter(unit, 1.0), scatter(unit, 5.0), scatter(unit, 9.0)], axis=-1)
    picture[sign] = (0.20 + 0.45 * hue.astype(np.float32))[sign]
    return picture


def _doors(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.74, 0.77, 0.75), x, rng, 0.012)
    picture[y < 1.0] = plain((0.52, 0.60, 0.60), x, rng, 0.015)[y < 1.0]
    picture[np.abs(y - 1.0) < 0.05] = (0.40, 0.36, 0.32)
    door = (x % 3.1 < 1.0) & (y < 2.05)
    picture[door] = (0.48, 0.46, 0.44)
    picture[door & ((x % 3.1 < 0.07) | (x % 3.1 > 0.93) | (y > 1.97))] = (0.32, 0.34, 0.36)
    picture[door & (np.abs(x % 3.1 - 0.7) < 0.10) & (np.abs(y - 1.5) < 0.25)] = (0.62, 0.70, 0.74)
    notice = (np.abs(x % 3.1 - 2.0) < 0.45) & (np.abs(y - 1.5) < 0.28)
    picture[notice] = (0.62, 0.56, 0.46)
    paper = notice & (scatter(np.floor(x / 0.22), np.floor(y / 0.2)) > 0.35)
    picture[paper & (x % 0.22 > 0.03) & (y % 0.2 > 0.03)] = (0.90, 0.91, 0.90)
    picture[(y > 2.35) & (y < 2.47) & (x % 2.6 < 1.6)] = (0.97, 1.00, 1.00)
    return picture


def _adverts(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.74, 0.76, 0.76), x, rng, 0.012)
    picture[lines(x, 0.30, 0.02) | lines(y, 0.15, 0.015)] *= 0.80
    picture[np.abs(y - 2.0) < 0.14] = (0.18, 0.30, 0.46)
    unit = np.floor(x / 3.6)
    frame = (x % 3.6 < 2.3) & (y > 0.45) & (y < 1.75)
    inner = (x % 3.6 > 0.08) & (x % 3.6 < 2.22) & (y > 0.53) & (y < 1.67)
    hue = np.stack([scatter(unit, 3.0), scatter(unit, 7.0), scatter(unit, 4.0)], axis=-1)
    swell = 0.8 + 0.25 * np.sin(2 * x + 3 * y + 6 * hue[..., 0])
    picture[frame] = (0.24, 0.25, 0.27)
    shown = ((0.30 + 0.45 * hue) * swell[..., None]).astype(np.float32)
    picture[frame & inner] = shown[frame & inner]
    picture[y < 0.15] = (0.30, 0.30, 0.31)
    return picture


def _lifts(x: NDArray, y: NDArray, rng: np.random.Generator) -> Picture:
    picture = plain((0.52, 0.48, 0.44), x, rng, 0.02)
    picture[lines(x, 1.1, 0.03)] *= 0.75
    door = (x % 3.6 < 1.6) & (y < 2.15)
    steel = 0.62 + 0.10 * np.sin(7.0 * (x % 3.6)) + rng.normal(0, 0.008, x.shape)
    picture[door] = (tint((0.97, 1.0, 1.03)) * steel[..., None].astype(np.float32))[door]
    picture[door & (np.abs(x % 3.6 - 0.8) < 0.02)] = (0.20, 0.21, 0.22)
    edge = door & ((x % 3.6 < 0.08) | (x % 3.6 > 1.52) | (y > 2.06))
    picture[edge] = (0.30, 0.31, 0.33)
    picture[(np.abs(x % 3.6 - 1.9) < 0.07) & (np.abs(y - 1.1) < 0.12)] = (0.85, 0.80, 0.55)
    window(picture, x - 2.2, y, pitch=3.6, wide=1.1, low=0.9, high=1.9, frame=(0.30, 0.28, 0.26))
    return picture


Painter = Callable[[NDArray, NDArray, np.random.Generator], Picture]

GROUNDS: dict[str, Painter] = {
    "terrazzo": _terrazzo,
    "marble": _marble,
    "linoleum": _linoleum,
    "bays": _bays,
    "tactile": _tactile,
    "carpet": _carpet,
}
WALLS: dict[str, Painter] = {
    "boards": _boards,
    "boutiques": _boutiques,
    "doors": _doors,
    "adverts": _adverts,
    "lifts": _lifts,
}
