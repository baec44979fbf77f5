"""Garments painted on the atlas: patterns, prints, hems, openings, straps.

Every painter fills `picture` (rows, columns, 3) in place; `u` (1, columns) is the angle in turns, 0
in front, and `v` (rows, 1) the height from 0 to 1.
"""

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.person import Garment, Person

Picture = NDArray[np.floating]
Mask = NDArray[np.bool_]


def _pattern(picture: Picture, garment: Garment, u: Picture, v: Picture, scale: float) -> None:
    """Main color and its all-over pattern; `scale` is how many stripes fit in the height."""
    picture[:] = garment.rgb
    name, second = garment.pattern, tint(garment.second)
    if name == "stripes":  # thin: the main color still dominates
        picture[np.broadcast_to((v * scale) % 1 < 0.27, picture.shape[:2])] = second
    elif name == "bold":
        picture[np.broadcast_to((v * scale * 0.6) % 1 < 0.5, picture.shape[:2])] = second
    elif name == "checks":
        mix = 0.5 * ((v * scale) % 1 < 0.5) + 0.5 * ((u * scale * 1.6) % 1 < 0.5)
        picture += (second - picture) * mix[..., None].astype(np.float32)


def paint_torso(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
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
    if lower.kind == "skirt":
        hem = 0.60
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
        picture[collar] = np.clip(tint(picture[collar]) * 0.72 + 0.03, 0, 1)


def _front(picture: Picture, person: Person, x: Picture, y: Picture, front: Mask) -> None:
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


def _logo(picture: Picture, person: Person, x: Picture, y: Picture, front: Mask) -> None:
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
        picture[down | under] = tint(person.backpack) * 0.85
    if person.bag is not None:
        rise = (y - 0.53) / (0.835 - 0.53)
        path = person.side * (0.92 - 1.45 * rise)
        picture[(np.abs(x - path) < 0.085) & (rise > -0.05)] = tint(person.bag) * 0.85


def paint_arm(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Sleeve, and skin below a short one."""
    upper = person.upper
    _pattern(picture, upper, u, v, 12)
    if upper.pattern == "twotone" and person.seed % 2:
        picture[:] = upper.second
    edge = 0.025 if upper.long else 0.70
    picture[np.broadcast_to(v < edge + 0.03, picture.shape[:2])] *= 0.8
    picture[np.broadcast_to(v < edge, picture.shape[:2])] = person.skin


def paint_leg(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
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
    if lower.kind == "shorts":
        picture[np.broadcast_to((v < 0.60) & (v > 0.57), shape)] *= 0.7
        picture[np.broadcast_to(v < 0.585, shape)] = person.skin
        if person.seed % 3:
            picture[np.broadcast_to(v < 0.10, shape)] = (0.85, 0.85, 0.85)
    if person.boots and not (lower.kind == "trousers" and lower.long):
        picture[np.broadcast_to(v < 0.30, shape)] = person.shoes
    if lower.kind == "trousers":
        picture[np.broadcast_to(v < 0.03, shape)] *= 0.7


def paint_skirt(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
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


def paint_yoke(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Shoulders take the main color of the upper garment."""
    sleeve = person.upper.pattern == "twotone" and person.seed % 2
    picture[:] = person.upper.second if sleeve else person.upper.rgb
    if person.upper.pattern == "checks":
        _pattern(picture, person.upper, u, v, 2)
