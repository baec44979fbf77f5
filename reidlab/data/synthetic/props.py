"""Things that stand in front of people: pictures with transparency, measured in metres.

Each painter takes x (metres from the middle) and y (metres above the ground), both
(rows, columns), and gives color (rows, columns, 3) and opacity (rows, columns).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from reidlab.data.synthetic.scene import Camera

Painter = Callable[[NDArray, NDArray, np.random.Generator], tuple[NDArray, NDArray]]

DENSITY = 80  # pixels per metre


@lru_cache(maxsize=64)
def prop(kind: str, camera: Camera) -> tuple[Tensor, float, float]:
    """Picture (4, rows, columns) of color and opacity, its width and height in metres."""
    width, height, painter = PROPS[kind]
    rng = np.random.default_rng([camera.seed, list(PROPS).index(kind)])
    rows, columns = int(height * DENSITY), int(width * DENSITY)
    y = height - (np.arange(rows)[:, None] + 0.5) / DENSITY
    x = (np.arange(columns)[None] + 0.5) / DENSITY - width / 2
    x, y = np.broadcast_arrays(x, y)
    color, opacity = painter(x, y, rng)
    full = np.concatenate([np.clip(color, 0, 1), opacity[..., None]], axis=-1)
    return from_numpy(full.astype(np.float32)).permute(2, 0, 1).contiguous(), width, height


def _solid(rgb: tuple, x: NDArray, rng: np.random.Generator, rough: float = 0.03) -> NDArray:
    return np.asarray(rgb) * (1 + rng.normal(0, rough, x.shape))[..., None]


def _muted(rng: np.random.Generator) -> tuple[float, float, float]:
    """A color that parked things have."""
    choices = (
        (0.22, 0.24, 0.27),
        (0.62, 0.62, 0.62),
        (0.50, 0.20, 0.18),
        (0.24, 0.32, 0.44),
        (0.28, 0.36, 0.28),
        (0.78, 0.77, 0.74),
    )
    return choices[int(rng.integers(len(choices)))]


def _pole(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    radius = float(rng.uniform(0.055, 0.10))
    shade = 0.55 + 0.55 * np.sqrt(np.clip(1 - (x / radius) ** 2, 0, 1)) - 0.15 * x / radius
    tone = ((0.44, 0.45, 0.46), (0.30, 0.36, 0.32), (0.52, 0.46, 0.38))[int(rng.integers(3))]
    color = np.asarray(tone) * shade[..., None]
    color[(y > 1.1) & (y < 1.35)] *= 1.35
    return color, (np.abs(x) < radius).astype(float)


def _hedge(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    top = 0.62 + 0.05 * np.sin(7 * x + 1) + 0.03 * np.sin(23 * x) + rng.normal(0, 0.012, x.shape)
    tone = 0.75 + 0.5 * y + 0.12 * np.sin(29 * x + 8 * np.sin(11 * y)) * np.sin(37 * y)
    color = np.asarray((0.25, 0.36, 0.17)) * (tone + rng.normal(0, 0.12, x.shape))[..., None]
    return color, (y < top).astype(float)


def _car(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    body = (np.abs(x) < 2.0) & (y > 0.22) & (y < 0.78 - 0.05 * (np.abs(x) / 2) ** 4)
    cabin = (np.abs(x + 0.1) < 1.15 - 0.55 * np.clip((y - 0.78) / 0.5, 0, 1)) & (y >= 0.7)
    cabin &= y < 1.22
    glass = cabin & (y > 0.80) & (y < 1.15) & (np.abs(x + 0.1) > 0.04)
    wheel = np.minimum(np.hypot(x - 1.25, y - 0.3), np.hypot(x + 1.25, y - 0.3))
    color = np.asarray(_muted(rng)) * (0.75 + 0.5 * y)[..., None]
    color[glass] = (0.20, 0.23, 0.26)
    color[wheel < 0.3] = (0.09, 0.09, 0.09)
    color[wheel < 0.17] = (0.45, 0.45, 0.46)
    color[(np.abs(x) > 1.88) & (np.abs(y - 0.62) < 0.06)] = (0.75, 0.70, 0.60)
    return color, (body | cabin | (wheel < 0.3)).astype(float)


def _bike(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    wheel = np.minimum(np.hypot(x - 0.52, y - 0.34), np.hypot(x + 0.52, y - 0.34))
    tyre = np.abs(wheel - 0.32) < 0.025

    def bar(x0: float, y0: float, x1: float, y1: float, half: float = 0.022) -> NDArray:
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        return np.hypot(x - x0 - t * dx, y - y0 - t * dy) < half

    frame = bar(-0.52, 0.34, -0.2, 0.78) | bar(-0.2, 0.78, 0.38, 0.8) | bar(-0.05, 0.32, 0.38, 0.8)
    frame |= bar(-0.52, 0.34, -0.05, 0.32) | bar(-0.05, 0.32, -0.24, 0.92)
    frame |= bar(0.36, 0.95, 0.52, 0.34)
    black = tyre | bar(-0.36, 0.94, -0.12, 0.94, 0.035) | bar(0.28, 1.0, 0.44, 0.95)
    color = _solid(_muted(rng), x, rng)
    color[black] = (0.10, 0.10, 0.11)
    return color, (frame | black).astype(float)


def _railing(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    posts = (x % 0.16 < 0.028) & (y < 0.95)
    rails = (np.abs(y - 0.95) < 0.035) | (np.abs(y - 0.15) < 0.02)
    color = (
        _solid((0.42, 0.44, 0.46), x, rng) * (0.85 + 0.25 * (np.abs(y - 0.965) < 0.012))[..., None]
    )
    return color, (posts | rails).astype(float)


def _bin(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    half = 0.24 + 0.04 * y
    shade = 0.65 + 0.5 * np.sqrt(np.clip(1 - (x / 0.3) ** 2, 0, 1))
    color = np.asarray(_muted(rng)) * shade[..., None]
    color[y > 0.82] *= 0.6
    color[(np.abs(y - 0.55) < 0.06) & (np.abs(x) < 0.12)] = (0.75, 0.75, 0.72)
    return color, ((np.abs(x) < half) & (y < 0.92)).astype(float)


def _trolley(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    wheel = np.hypot(np.abs(x) - 0.32, y - 0.08) < 0.08
    frame = (np.abs(y - 0.18) < 0.03) & (np.abs(x) < 0.45)
    frame |= (np.abs(x - 0.42) < 0.025) & (y > 0.15) & (y < 1.0)
    first = (np.abs(x + 0.05) < 0.36) & (np.abs(y - 0.44) < 0.23)
    second = (np.abs(x + 0.12) < 0.26) & (np.abs(y - 0.80) < 0.13)
    color = _solid((0.55, 0.57, 0.60), x, rng)
    for case in (first, second):
        color[case] = _muted(rng)
    color[(first & (x % 0.2 < 0.02)) | wheel] *= 0.5
    return color, (wheel | frame | first | second).astype(float)


def _belt(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    post = (np.abs(x % 1.6 - 0.8) < 0.035) & (y < 1.0)
    foot = (np.abs(x % 1.6 - 0.8) < 0.16) & (y < 0.05)
    band = np.abs(y - 0.92 + 0.03 * np.cos(2 * np.pi * x / 1.6)) < 0.04
    color = _solid((0.58, 0.60, 0.62), x, rng)
    color[band & ~post] = _muted(rng)
    return color, (post | foot | band).astype(float)


def _plant(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    pot = (np.abs(x) < 0.20 + 0.1 * y) & (y < 0.45)
    angle, reach = np.arctan2(x, y - 0.4), np.hypot(x, y - 0.4)
    leaf = (reach < 0.42 + 0.22 * np.cos(9 * angle + 1)) & (y > 0.38) & (np.abs(angle) < 1.9)
    tone = 0.7 + 0.5 * np.cos(9 * angle) + rng.normal(0, 0.08, x.shape)
    color = np.asarray((0.20, 0.34, 0.20)) * np.clip(tone, 0.4, 1.3)[..., None]
    color[pot] = (0.62, 0.62, 0.62)
    return color, (pot | leaf).astype(float)


def _sign(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    board = (np.abs(x) < 0.30 - 0.14 * y) & (y < 0.92)
    color = _solid((0.86, 0.76, 0.20), x, rng)
    color[board & (np.abs(x) < 0.10) & (np.abs(y - 0.5) < 0.13)] = (0.15, 0.15, 0.15)
    return color, (board & ~((np.abs(x) < 0.12) & (y < 0.15))).astype(float)


def _bench(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    slats = (np.abs(x) < 0.9) & (y > 0.40) & (y < 0.86) & (y % 0.13 < 0.09)
    legs = (np.abs(np.abs(x) - 0.7) < 0.04) & (y < 0.86)
    color = _solid((0.40, 0.27, 0.17), x, rng, 0.06)
    color[legs & ~slats] = (0.16, 0.16, 0.17)
    return color, (slats | legs).astype(float)


def _bollard(x: NDArray, y: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    half = 0.10 + 0.03 * (y < 0.12)
    shade = 0.6 + 0.5 * np.sqrt(np.clip(1 - (x / 0.13) ** 2, 0, 1)) - 1.5 * x
    color = np.asarray((0.30, 0.29, 0.30)) * shade[..., None]
    color[(y > 0.66) & (y < 0.76)] = (0.82, 0.78, 0.70)
    return color, ((np.abs(x) < half) & (y < 0.92)).astype(float)


PROPS: dict[str, tuple[float, float, Painter]] = {  # width and height in metres, painter
    "bike": (1.8, 1.1, _bike),  # a thing's place in this list seeds its color: only append
    "bin": (0.7, 1.0, _bin),
    "car": (4.2, 1.3, _car),
    "hedge": (3.0, 0.8, _hedge),
    "pole": (0.3, 4.0, _pole),
    "railing": (4.0, 1.05, _railing),
    "trolley": (1.0, 1.05, _trolley),
    "belt": (4.8, 1.05, _belt),
    "plant": (1.4, 1.15, _plant),
    "sign": (0.7, 1.0, _sign),
    "bench": (2.0, 0.95, _bench),
    "bollard": (0.3, 1.0, _bollard),
}
