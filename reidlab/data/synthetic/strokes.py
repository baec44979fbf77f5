"""Brushes of the scene painters: rough surfaces, windows, lines, smooth noise."""

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy
from torch.nn.functional import interpolate

from reidlab.data.synthetic.palette import tint

Picture = NDArray[np.float32]  # (rows, columns, 3)
Mask = NDArray[np.bool_]


def plain(rgb: tuple, x: NDArray, rng: np.random.Generator, rough: float = 0.03) -> Picture:
    """One color with fine grain and broad stains."""
    stain = np.sin(x * rng.uniform(0.5, 1.1) + rng.uniform(0, 6)) * 0.03
    grain = rng.normal(0, rough, x.shape) + stain
    return (tint(rgb) * (1 + grain)[..., None]).astype(np.float32)


def scatter(a: NDArray, b: NDArray | float = 0.0) -> NDArray:
    """Pseudo-random value in [0, 1) per pair of whole numbers."""
    return np.abs(np.sin(a * 127.1 + b * 311.7) * 43758.5453) % 1


def window(
    picture: Picture,
    x: NDArray,
    y: NDArray,
    *,
    pitch: float,
    wide: float,
    low: float,
    high: float,
    frame: tuple,
    glass: tuple = (0.24, 0.29, 0.35),
) -> Mask:
    """A row of framed windows with a diagonal reflection; returns where they are."""
    across = x % pitch
    inside = (across < wide) & (y > low) & (y < high)
    edge = 0.08
    pane = (across > edge) & (across < wide - edge) & (y > low + edge) & (y < high - edge)
    picture[inside] = frame
    tone = 0.75 + 0.5 * ((across * 0.7 + y) % 1.3 < 0.45) + 0.25 * scatter(np.floor(x / pitch))
    picture[pane] = (tint(glass) * tone[..., None].astype(np.float32))[pane]
    bar = pane & (np.abs(across - wide / 2) < 0.03)
    picture[bar] = frame
    return inside


def noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Smooth noise in [-1, 1] with about `cells` bumps down and across."""
    coarse = from_numpy(rng.uniform(-1, 1, (1, 1, *cells)).astype(np.float32))
    return interpolate(coarse, size=shape, mode="bicubic", align_corners=True)[0, 0].numpy()


def flat(rgb: tuple, shape: tuple[int, int], rng: np.random.Generator, rough: float) -> Picture:
    """One color with coarse and fine roughness."""
    grain = noise(shape, (9, 40), rng) + 0.6 * noise(shape, (shape[0] // 5, shape[1] // 5), rng)
    fine = rng.normal(0, 0.5, shape)
    picture = tint(rgb) * (1 + rough * (grain + fine))[..., None]
    return picture.astype(np.float32)


def lines(value: NDArray, period: float, width: float) -> NDArray:
    """Mask of lines every `period`, `width` wide."""
    return (value / period) % 1 < width / period
