"""Colors by name: what garments, skin, hair and shoes may look like.

Every shade belongs to a named class, because the classes are what attribute labels speak about.
Values are sRGB in [0, 1].
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

RGB = tuple[float, float, float]

SHADES: dict[str, list[RGB]] = {
    "black": [(0.07, 0.07, 0.08), (0.11, 0.11, 0.13), (0.10, 0.09, 0.09)],
    "white": [(0.92, 0.92, 0.91), (0.88, 0.88, 0.90), (0.93, 0.91, 0.86)],
    "red": [(0.72, 0.10, 0.12), (0.60, 0.08, 0.12), (0.82, 0.20, 0.16)],
    "purple": [(0.42, 0.20, 0.52), (0.32, 0.16, 0.40), (0.55, 0.36, 0.66)],
    "yellow": [(0.90, 0.76, 0.20), (0.85, 0.66, 0.12), (0.93, 0.83, 0.45)],
    "gray": [(0.48, 0.48, 0.50), (0.60, 0.60, 0.62), (0.38, 0.39, 0.41)],
    "blue": [(0.14, 0.26, 0.60), (0.22, 0.42, 0.74), (0.12, 0.18, 0.40), (0.40, 0.60, 0.82)],
    "green": [(0.16, 0.42, 0.22), (0.34, 0.42, 0.20), (0.24, 0.58, 0.36), (0.20, 0.30, 0.20)],
    "pink": [(0.90, 0.56, 0.64), (0.84, 0.42, 0.54), (0.93, 0.72, 0.74)],
    "brown": [(0.38, 0.26, 0.16), (0.56, 0.44, 0.30), (0.30, 0.20, 0.14), (0.66, 0.55, 0.40)],
}
JEANS: list[RGB] = [(0.17, 0.25, 0.42), (0.26, 0.37, 0.56), (0.42, 0.54, 0.70), (0.13, 0.17, 0.28)]

UPPER_COLORS = ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")
LOWER_COLORS = (
    "black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown",
)  # fmt: skip

SKIN: list[RGB] = [
    (0.95, 0.78, 0.67), (0.90, 0.70, 0.56), (0.84, 0.63, 0.48),
    (0.72, 0.50, 0.36), (0.55, 0.37, 0.26), (0.38, 0.25, 0.18),
]  # fmt: skip
HAIR: dict[str, RGB] = {
    "black": (0.07, 0.06, 0.06),
    "dark brown": (0.19, 0.12, 0.08),
    "brown": (0.34, 0.21, 0.12),
    "blond": (0.76, 0.60, 0.34),
    "red": (0.55, 0.24, 0.11),
    "gray": (0.62, 0.62, 0.62),
    "white": (0.85, 0.85, 0.84),
}
SHOES: list[RGB] = [
    (0.06, 0.06, 0.06), (0.90, 0.90, 0.90), (0.32, 0.20, 0.12), (0.35, 0.36, 0.38),
    (0.10, 0.10, 0.11), (0.82, 0.81, 0.78), (0.16, 0.20, 0.32), (0.55, 0.16, 0.15),
    (0.62, 0.52, 0.40),
]  # fmt: skip


def jitter(rgb: RGB, rng: np.random.Generator, amount: float = 0.03) -> RGB:
    """A shade near `rgb`: mostly lighter or darker, a little of another hue."""
    moved = np.asarray(rgb) * (1 + rng.uniform(-0.08, 0.08)) + rng.uniform(-amount, amount, 3)
    red, green, blue = (float(round(value, 4)) for value in np.clip(moved, 0.02, 0.96))
    return red, green, blue


def pick(shades: list[RGB], rng: np.random.Generator) -> RGB:
    """One shade of the list, slightly moved."""
    return jitter(shades[int(rng.integers(len(shades)))], rng)


def shade_of(name: str, rng: np.random.Generator) -> RGB:
    """One shade of a named color class."""
    return pick(SHADES[name], rng)


def tint(rgb: ArrayLike) -> NDArray[np.float32]:
    """A color (or a single value) as a float32 array, for painting."""
    return np.asarray(rgb, np.float32)
