"""A person's surface colors, painted once on one small picture (an atlas).

Every region of the atlas wraps around one kind of solid: columns are the angle about its axis
(the middle column faces the front), rows its height from bottom to top. Small regions are enough,
because a person is some 120 pixels tall.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.faces import paint_head
from reidlab.data.synthetic.wardrobe import Garment, Person

Picture = NDArray[np.float32]  # (rows, columns, 3)

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
        "torso": _torso, "head": paint_head, "leg": _leg, "arm": _arm, "skirt": _skirt,
        "backpack": _backpack, "bag": _bag, "handbag": _handbag, "hair": _hair, "hat": _hat,
        "shoe": _shoe, "scarf": _scarf, "yoke": _yoke, "neck": _skin, "skin": _skin,
    }  # fmt: skip
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


def _pattern(picture: Picture, garment: Garment, u: Picture, v: Picture, scale: float) -> None:
    """Main color and its all-over pattern; `scale` is how many stripes fit in the height."""
    picture[:] = garment.rgb
    name, second = garment.pattern, np.float32(garment.second)
    if name == "stripes":  # thin: the main color still dominates
        picture[np.broadcast_to((v * scale) % 1 < 0.27, picture.shape[:2])] = second
    elif name == "bold":
        picture[np.broadcast_to((v * scale * 0.6) % 1 < 0.5, picture.shape[:2])] = second
    elif name == "checks":
        mix = 0.5 * ((v * scale) % 1 < 0.5) + 0.5 * ((u * scale * 1.6) % 1 < 0.5)
        picture += (second - picture) * mix[..., None].astype(np.float32)


def _torso(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Upper garment to the hip, the top of the lower one, prints, straps and neckline."""
    upper, lower = person.upper, person.lower
    y = 0.455 + 0.395 * v  # body heights, as in the trunk's table
    x = np.sin(2 * np.pi * u)  # -1 to 1 across the chest or the back
    front = np.abs(u) < 0.25
    _pattern(picture, upper, u, v, 14)
    if upper.pattern == "twotone":
        picture[np.broadcast_to(y < 0.69, picture.shape[:2])] = upper.second
    if upper.pattern == "band":
        picture[np.broadcast_to((y > 0.70) & (y < 0.735), picture.shape[:2])] = upper.second
    _front(picture, person, x, y, front)
    if upper.pattern == "logo":
        _logo(picture, person, x, y, front)
    hem = 0.545 if upper.kind == "shirt" and upper.cut < 0.5 else 0.50 - 0.015 * upper.cut
    if not person.dress:
        below = np.broadcast_to(y < hem, picture.shape[:2])
        picture[below] = lower.rgb
        belt = np.broadcast_to((y < hem) & (y > hem - 0.012), picture.shape[:2])
        picture[belt] *= 0.45
    _straps(picture, person, x, y, u)
    depth = 0.806 if upper.kind in ("tshirt", "shirt") else 0.822
    neckline = 0.838 - (0.838 - depth) * np.clip(1 - np.abs(x) * 2.0, 0, 1) * front
    picture[y > neckline + 0.004] = person.skin
    if upper.kind in ("shirt", "hoodie", "jacket", "coat"):
        collar = (y <= neckline + 0.006) & (y > neckline - 0.014)
        picture[collar] = np.clip(np.float32(picture[collar]) * 0.72 + 0.03, 0, 1)


def _front(picture: Picture, person: Person, x: Picture, y: Picture, front: Picture) -> None:
    """Opening of a jacket, zip or buttons, pockets."""
    upper = person.upper
    if upper.pattern == "open":
        inside = front & (np.abs(x) < 0.26 + 0.25 * np.clip(y - 0.72, 0, 1)) & (y > 0.4)
        edge = front & (np.abs(x) < 0.34 + 0.25 * np.clip(y - 0.72, 0, 1)) & ~inside
        picture[edge] *= 0.6
        picture[inside] = upper.second
    elif upper.kind in ("jacket", "coat", "shirt") and not person.dress:
        line = front & (np.abs(x) < 0.045) & (y > 0.4)
        picture[line] = picture[line] * 0.55 + 0.06
    if upper.kind in ("jacket", "coat", "hoodie"):
        pocket = front & (np.abs(np.abs(x) - 0.45) < 0.22) & (np.abs(y - 0.565) < 0.007)
        picture[pocket] *= 0.6
    if upper.kind == "hoodie":
        hood = ~front & (np.abs(x) < 0.62) & (y > 0.775)
        picture[hood] *= 0.75


def _logo(picture: Picture, person: Person, x: Picture, y: Picture, front: Picture) -> None:
    """An emblem on the chest and, for most, a larger one on the back; the form is the seed's."""
    second = person.upper.second
    form = person.seed % 5
    for side, size in ((front, 1.0), (~front, 1.25 * ((person.seed >> 4) % 3 > 0))):
        if size == 0:
            continue
        across, up = x / (0.46 * size), (y - 0.725) / (0.052 * size)
        mask = {
            0: across**2 + up**2 < 1,
            1: (np.abs(across) < 0.95) & (np.abs(up) < 0.7),
            2: (np.abs(across) < (1 - up) * 0.6) & (up > -1),
            3: (np.abs(across) < 1.1) & (np.abs(np.abs(up) - 0.5) < 0.3),
            4: np.abs(across) + np.abs(up) < 1.1,
        }[form]
        picture[mask & side] = second


def _straps(picture: Picture, person: Person, x: Picture, y: Picture, u: Picture) -> None:
    """Straps of a backpack on the chest, and of a shoulder bag across front and back."""
    front = np.abs(u) < 0.25
    if person.backpack is not None:
        down = front & (np.abs(np.abs(x) - 0.60) < 0.11) & (y > 0.69)
        under = (np.abs(np.abs(u) - 0.20) < 0.10) & (np.abs(y - 0.685) < 0.010)
        picture[down | under] = np.float32(person.backpack) * 0.85
    if person.bag is not None:
        rise = (y - 0.53) / (0.835 - 0.53)
        path = person.side * (0.92 - 1.45 * rise)
        picture[(np.abs(x - path) < 0.085) & (rise > -0.05)] = np.float32(person.bag) * 0.85


def _arm(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Sleeve, and skin below a short one."""
    upper = person.upper
    _pattern(picture, upper, u, v, 12)
    if upper.pattern == "twotone" and person.seed % 2:
        picture[:] = upper.second
    edge = 0.025 if upper.long else 0.70
    picture[np.broadcast_to(v < edge + 0.03, picture.shape[:2])] *= 0.8
    picture[np.broadcast_to(v < edge, picture.shape[:2])] = person.skin


def _leg(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Trousers, or shorts, or bare legs and tights below a skirt; socks and boots."""
    lower, shape = person.lower, picture.shape[:2]
    if lower.kind == "skirt":
        tights = person.seed % 4 == 0
        picture[:] = (0.10, 0.09, 0.10) if tights else person.skin
    else:
        _pattern(picture, lower, u, v, 10)
        if lower.pattern == "twotone":
            picture[np.broadcast_to(v < 0.5, shape)] = lower.second
        if lower.pattern == "side":
            picture[np.broadcast_to(np.abs(np.abs(u) - 0.25) < 0.07, shape)] = lower.second
        picture *= (1 + 0.10 * np.exp(-((np.abs(u) / 0.12) ** 2)) * (v > 0.3))[..., None]
        seam = (np.abs(v - 0.5) < 0.02) & (np.abs(u) < 0.2)
        picture[seam] *= 0.88
    if lower.kind == "shorts":
        picture[np.broadcast_to((v < 0.60) & (v > 0.57), shape)] *= 0.7
        picture[np.broadcast_to(v < 0.585, shape)] = person.skin
        if person.seed % 3:
            picture[np.broadcast_to(v < 0.10, shape)] = (0.85, 0.85, 0.85)
    if person.boots and not (lower.kind == "trousers" and lower.long):
        picture[np.broadcast_to(v < 0.30, shape)] = person.shoes
    if lower.kind == "trousers":
        picture[np.broadcast_to(v < 0.03, shape)] *= 0.7


def _skirt(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Cloth of the skirt or of the coat, with pleats and a darker hem."""
    if person.lower.kind == "skirt":
        _pattern(picture, person.lower, u, v, 8)
        if person.lower.pattern == "twotone":
            picture[np.broadcast_to(v < 0.5, picture.shape[:2])] = person.lower.second
    else:
        picture[:] = person.upper.rgb
        if person.upper.pattern == "open":
            picture[np.broadcast_to(np.abs(u) < 0.035, picture.shape[:2])] = person.lower.rgb
    pleats = 0.10 * np.sin(2 * np.pi * 11 * u) * (1 - v) * person.lower.cut
    picture *= (1 + pleats)[..., None]
    picture[np.broadcast_to(v < 0.05, picture.shape[:2])] *= 0.75


def _backpack(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Front pocket and zips; the pack's outside is its back."""
    color = np.float32(person.backpack or (0, 0, 0))
    picture[:] = color
    behind = 0.5 - np.abs(u)  # turns from the middle of the outside
    pocket = (behind < 0.16) & (v > 0.08) & (v < 0.48)
    picture[pocket] = color * 1.22 + 0.03
    zips = (behind < 0.17) & (np.abs(v - 0.49) < 0.025) | (behind < 0.3) & (np.abs(v - 0.74) < 0.02)
    picture[zips] = color * 0.45
    picture[(behind < 0.035) & (v > 0.55) & (v < 0.66)] = 0.85 - 0.6 * color


def _bag(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Flap and buckle."""
    color = np.float32(person.bag or (0, 0, 0))
    picture[:] = color
    picture[np.broadcast_to(v > 0.55, picture.shape[:2])] = color * 1.18 + 0.02
    picture[np.broadcast_to(np.abs(v - 0.54) < 0.03, picture.shape[:2])] = color * 0.5
    picture[(np.abs(np.abs(u) - 0.25) < 0.04) & (np.abs(v - 0.5) < 0.09)] = (0.75, 0.68, 0.45)


def _handbag(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """A lighter panel on both faces, a dark rim."""
    color = np.float32(person.handbag or (0, 0, 0))
    picture[:] = color
    picture[(np.abs(np.abs(u) - 0.25) < 0.12) & (np.abs(v - 0.45) < 0.22)] = color * 1.2 + 0.04
    picture[np.broadcast_to((v > 0.84) | (v < 0.1), picture.shape[:2])] = color * 0.55


def _hair(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Strands, lighter towards the crown."""
    strands = 1 + 0.14 * np.sin(2 * np.pi * 9 * u + 3 * v) + 0.16 * (v - 0.5)
    picture[:] = np.float32(person.hair_rgb) * strands[..., None]
    picture += 0.025 * np.exp(-(((v - 0.85) / 0.07) ** 2))[..., None]


def _hat(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Seams, a band, and an emblem in front of some."""
    color = np.float32(person.hat_rgb)
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
    color = np.float32(person.scarf or (0, 0, 0))
    picture[:] = color * (1 + 0.2 * np.sin(2 * np.pi * 3 * v))[..., None]


def _yoke(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Shoulders take the main color of the upper garment."""
    sleeve = person.upper.pattern == "twotone" and person.seed % 2
    picture[:] = person.upper.second if sleeve else person.upper.rgb
    if person.upper.pattern == "checks":
        picture[:] = (np.float32(person.upper.rgb) + np.float32(person.upper.second)) / 2


def _skin(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Bare skin, a little darker at the bottom."""
    picture[:] = np.float32(person.skin) * (0.9 + 0.1 * v)[..., None]


