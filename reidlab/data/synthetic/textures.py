"""A person's surface colors, painted once on one small picture (an atlas).

Every region of the atlas wraps around one kind of solid: columns are the angle about its axis
(the middle column faces the front), rows its height from bottom to top. Small regions are enough,
because a person is some 120 pixels tall.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.cloth import (
    paint_arm,
    paint_leg,
    paint_skirt,
    paint_torso,
    paint_yoke,
)
from reidlab.data.synthetic.faces import paint_head
from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.person import Person

Picture = NDArray[np.floating]  # (rows, columns, 3)

ATLAS = (128, 192)
REGIONS: dict[str, tuple[int, int, int, int]] = {  # first row, first column, rows, columns
    "torso": (0, 0, 72, 96),
    "head": (0, 96, 48, 64),
    "leg": (0, 160, 64, 32),
    "arm": (64, 160, 48, 16),
    "skirt": (72, 0, 48, 64),
    "backpack": (72, 64, 32, 32),
    "bag": (48, 96, 24, 24),
    "handbag": (48, 120, 24, 24),
    "hair": (72, 96, 24, 24),
    "hat": (72, 120, 16, 24),
    "shoe": (88, 120, 8, 8),
    "scarf": (96, 96, 16, 8),
    "yoke": (96, 104, 8, 8),
    "neck": (96, 112, 4, 4),
    "skin": (96, 116, 4, 4),
}


@lru_cache(maxsize=64)
def paint(person: Person) -> NDArray[np.int32]:
    """Atlas of a person, (rows, columns) with 0xRRGGBB in each entry."""
    atlas = np.zeros((*ATLAS, 3), np.float32)
    painters = {
        "torso": paint_torso,
        "head": paint_head,
        "leg": paint_leg,
        "arm": paint_arm,
        "skirt": paint_skirt,
        "backpack": _backpack,
        "bag": _bag,
        "handbag": _handbag,
        "hair": _hair,
        "hat": _hat,
        "shoe": _shoe,
        "scarf": _scarf,
        "yoke": paint_yoke,
        "neck": _skin,
        "skin": _skin,
    }
    for name, (row, column, rows, columns) in REGIONS.items():
        around, height = grid(rows, columns)
        picture = atlas[row : row + rows, column : column + columns]
        painters[name](picture, person, around, height)
    cloth = _folds(person.seed)
    for name in ("torso", "leg", "arm", "skirt", "scarf"):
        row, column, rows, columns = REGIONS[name]
        atlas[row : row + rows, column : column + columns] *= cloth[
            row : row + rows, column : column + columns, None
        ]
    codes = (np.clip(atlas, 0, 1) * 255 + 0.5).astype(np.int32)
    return (codes[..., 0] << 16) | (codes[..., 1] << 8) | codes[..., 2]


def grid(rows: int, columns: int) -> tuple[Picture, Picture]:
    """Angle in turns (1, columns) from -0.5 to 0.5, 0 in front; height (rows, 1) from 0 to 1."""
    around = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
    height = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    return around[None], height[:, None]


def _folds(seed: int) -> Picture:
    """Brightness of creased cloth, (rows, columns) around 1."""
    base = _crease_map()
    return np.roll(base, (seed % 128, (seed >> 7) % 192), axis=(0, 1))


@lru_cache(maxsize=1)
def _crease_map() -> Picture:
    """Smooth periodic noise with slanted creases."""
    rng = np.random.default_rng(20)
    rows, columns = np.meshgrid(np.arange(128) / 128, np.arange(192) / 192, indexing="ij")
    total = np.zeros(ATLAS)
    for _ in range(28):
        fr, fc = int(rng.integers(2, 15)), int(rng.integers(-14, 15))
        wave = np.sin(2 * np.pi * (fr * rows + fc * columns + rng.random()))
        total += wave / np.hypot(fr, fc) ** 0.6
    return (1 + 0.055 * total / total.std()).astype(np.float32)


def _backpack(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Front pocket and zips; the pack's outside is its back."""
    color = tint(person.backpack or (0, 0, 0))
    picture[:] = color
    behind = 0.5 - np.abs(u)  # turns from the middle of the outside
    pocket = (behind < 0.16) & (v > 0.08) & (v < 0.48)
    picture[pocket] = color * 1.22 + 0.03
    zips = (behind < 0.17) & (np.abs(v - 0.49) < 0.025) | (behind < 0.3) & (np.abs(v - 0.74) < 0.02)
    picture[zips] = color * 0.45
    picture[(behind < 0.035) & (v > 0.55) & (v < 0.66)] = 0.85 - 0.6 * color


def _bag(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Flap and buckle."""
    color = tint(person.bag or (0, 0, 0))
    picture[:] = color
    picture[np.broadcast_to(v > 0.55, picture.shape[:2])] = color * 1.18 + 0.02
    picture[np.broadcast_to(np.abs(v - 0.54) < 0.03, picture.shape[:2])] = color * 0.5
    picture[(np.abs(np.abs(u) - 0.25) < 0.04) & (np.abs(v - 0.5) < 0.09)] = (0.75, 0.68, 0.45)


def _handbag(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """A lighter panel on both faces, a dark rim."""
    color = tint(person.handbag or (0, 0, 0))
    picture[:] = color
    picture[(np.abs(np.abs(u) - 0.25) < 0.12) & (np.abs(v - 0.45) < 0.22)] = color * 1.2 + 0.04
    picture[np.broadcast_to((v > 0.84) | (v < 0.1), picture.shape[:2])] = color * 0.55


def _hair(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Strands, lighter towards the crown."""
    strands = 1 + 0.14 * np.sin(2 * np.pi * 9 * u + 3 * v) + 0.16 * (v - 0.5)
    picture[:] = tint(person.hair_rgb) * strands[..., None]
    picture += 0.025 * np.exp(-(((v - 0.85) / 0.07) ** 2))[..., None]


def _hat(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Seams, a band, and an emblem in front of some."""
    color = tint(person.hat_rgb)
    picture[:] = color
    band = (v > 0.5) & (v < 0.62) if person.hat == "beanie" else (v > 0.48) & (v < 0.58)
    picture[np.broadcast_to(band, picture.shape[:2])] = color * 1.3 + 0.05
    if person.hat == "cap" and person.seed % 2:
        picture[(np.abs(u) < 0.06) & (v > 0.62) & (v < 0.8)] = 0.9 - 0.7 * color


def _shoe(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Plain leather."""
    picture[:] = person.shoes


def _scarf(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Broad soft bars."""
    color = tint(person.scarf or (0, 0, 0))
    picture[:] = color * (1 + 0.2 * np.sin(2 * np.pi * 3 * v))[..., None]


def _skin(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Bare skin, a little darker at the bottom."""
    picture[:] = tint(person.skin) * (0.9 + 0.1 * v)[..., None]
