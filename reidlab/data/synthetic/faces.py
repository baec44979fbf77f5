"""The face and the hairline, painted on the head's region of the atlas.

Features are a little larger than life, so that they survive on a head twelve pixels wide.
"""

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.palette import tint
from reidlab.data.synthetic.person import Person

Picture = NDArray[np.floating]
EYE, EYE_LEVEL, BROW, MOUTH = 0.40, 0.475, 0.575, 0.195


def paint_head(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Skin, hair that grows on the skull, eyes, brows, mouth, beard and glasses.

    Args:
        picture: (rows, columns, 3), written in place.
        person: whose face.
        u: (1, columns) angle in turns, 0 in front.
        v: (rows, 1) height, 0 chin to 1 crown.
    """
    skin = tint(person.skin)
    x = np.where(np.abs(u) < 0.25, np.sin(2 * np.pi * u), 9.0 * np.sign(u))
    picture[:] = skin
    _blend(picture, _spot(x, v, 0.62, 0.32, 0.22, 0.09), skin * (1.0, 0.82, 0.80), 0.6)
    _blend(picture, _spot(x, v, EYE, EYE_LEVEL + 0.02, 0.24, 0.085), skin * 0.72, 0.8)
    _blend(picture, _spot(x, v, 0.0, 0.30, 0.16, 0.035), skin * 0.66, 0.8)
    _beard(picture, person, x, u, v)
    _mouth(picture, person, x, v)
    _eyes(picture, person, x, v)
    _scalp(picture, person, u, v)


def _spot(x: Picture, v: Picture, at: float, level: float, wide: float, tall: float) -> Picture:
    """Soft mask of an ellipse, mirrored to both sides of the face."""
    distance = ((np.abs(x) - at) / wide) ** 2 + ((v - level) / tall) ** 2
    return np.clip(1.6 - 1.2 * distance, 0, 1)


def _blend(picture: Picture, mask: NDArray, color: object, amount: float = 1.0) -> None:
    picture += (np.asarray(color, np.float32) - picture) * (mask * amount)[..., None]


def _eyes(picture: Picture, person: Person, x: Picture, v: Picture) -> None:
    """Whites, irises, brows; glasses over them."""
    dark = tint(person.hair_rgb) * 0.6
    if person.hair_rgb[0] > 0.55:
        dark = tint(person.skin) * 0.55
    thick = 0.026 if person.gender == "male" else 0.017
    _blend(picture, _spot(x, v, EYE, BROW, 0.21, thick), dark)
    _blend(picture, _spot(x, v, EYE, EYE_LEVEL, 0.155, 0.034), (0.92, 0.91, 0.89))
    _blend(picture, _spot(x, v, EYE, EYE_LEVEL, 0.075, 0.040), (0.10, 0.08, 0.07))
    if person.gender == "female":
        _blend(picture, _spot(x, v, EYE, EYE_LEVEL + 0.042, 0.17, 0.014), (0.08, 0.06, 0.06))
    if person.glasses == "dark":
        _blend(picture, _spot(x, v, EYE, EYE_LEVEL, 0.26, 0.075), (0.05, 0.05, 0.06))
    if person.glasses == "clear":
        ring = _spot(x, v, EYE, EYE_LEVEL, 0.27, 0.085) - _spot(x, v, EYE, EYE_LEVEL, 0.18, 0.055)
        _blend(picture, np.clip(ring * 1.5, 0, 1), (0.07, 0.06, 0.06))
    if person.glasses != "none":
        bridge = (np.abs(x) < 0.2) | ((np.abs(x) > 0.6) & (np.abs(x) < 8))
        _blend(picture, bridge * (np.abs(v - EYE_LEVEL - 0.02) < 0.016), (0.08, 0.07, 0.07))


def _mouth(picture: Picture, person: Person, x: Picture, v: Picture) -> None:
    """Lips, fuller and redder for women."""
    skin = tint(person.skin)
    woman = person.gender == "female"
    lips = skin * (0.80, 0.42, 0.42) if woman else skin * (0.66, 0.48, 0.46)
    _blend(picture, _spot(x, v, 0.0, MOUTH, 0.25, 0.036 if woman else 0.026), lips)
    _blend(picture, _spot(x, v, 0.0, MOUTH, 0.22, 0.010), skin * 0.35, 0.8)


def _beard(picture: Picture, person: Person, x: Picture, u: Picture, v: Picture) -> None:
    """Jaw and upper lip."""
    if person.beard == "none":
        return
    hair = tint(person.hair_rgb)
    jaw = (np.abs(u) < 0.27) & (v < 0.13 + 1.1 * np.maximum(np.abs(u) - 0.05, 0))
    lip = (np.abs(x) < 0.38) & (np.abs(v - 0.25) < 0.028)
    strength = {"stubble": 0.30, "moustache": 0.9, "full": 0.88}[person.beard]
    mask = lip if person.beard == "moustache" else jaw | lip
    _blend(picture, mask.astype(np.float32), hair, strength)


def _scalp(picture: Picture, person: Person, u: Picture, v: Picture) -> None:
    """Hair that lies on the skull: hairline in front, sideburns, the whole back."""
    side = np.abs(u)
    line = (
        0.80
        - 0.40 * np.clip((side - 0.12) / 0.10, 0, 1)
        - 0.22 * np.clip((side - 0.27) / 0.08, 0, 1)
    )
    hair = tint(person.hair_rgb)
    if person.hair == "bald":
        ring = (v > line) & (v < 0.62) & (side > 0.18)
        _blend(picture, ring.astype(np.float32), hair, 0.7 if person.age == "old" else 0.25)
        return
    strength = 0.75 if person.hair == "buzz" else 1.0
    _blend(picture, (v > line).astype(np.float32), hair, strength)
