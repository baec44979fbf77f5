"""Cameras: where they hang, what they look at, and how their pictures come out.

A world is a network of cameras. Each looks at a place of its own from its own height, with its
own colors, sharpness and noise; the height of the sun and its warmth are the world's.
"""

from dataclasses import dataclass

import numpy as np

from reidlab.data.synthetic.palette import RGB
from reidlab.data.synthetic.places import PLACES, WORLDS


@dataclass(frozen=True)
class Camera:
    """One fixed camera. Style numbers are at full strength; a shot may ask for less of them.

    Attributes:
        index: position in its network, from 0.
        world: name of the network; `place` what it sees.
        pitch: downward tilt in degrees.
        sun: azimuth of the light, degrees from behind the camera, positive to the right;
            `elevation` above the horizon, degrees.
        warmth: how much redder the light is than its shadows, 0 not at all.
        balance: gains of red, green, blue; `gain` of all.
        gamma: above 1 darkens the middle tones.
        saturation: 0 gray to 1 as is; `contrast` around middle gray, 1 as is.
        haze: share of the `veil`, a color that lies over everything.
        blur: sigma in pixels of a 128-row image; `motion` longest streak in the same pixels.
        noise: standard deviation, of 1.
        jpeg_quality: for whoever writes the image to disk.
        seed: of the painted surroundings.
    """

    index: int
    world: str
    place: str
    pitch: float
    sun: float
    elevation: float
    warmth: float
    balance: RGB
    gain: float
    gamma: float
    saturation: float
    contrast: float
    haze: float
    veil: RGB
    blur: float
    motion: float
    noise: float
    jpeg_quality: int
    seed: int


def cameras(world: str = "a", count: int = 6, seed: int = 0) -> list[Camera]:
    """The first `count` cameras of a world.

    `seed` repaints the surroundings and moves every style a little; the order of places and the
    character of each camera belong to the world.
    """
    if world not in WORLDS:
        raise ValueError(f"expected a world of {sorted(WORLDS)}, got {world!r}")
    if count < 1:
        raise ValueError(f"expected at least one camera, got {count}")
    return [_camera(world, index, seed) for index in range(count)]


def _camera(world: str, index: int, seed: int) -> Camera:
    """Camera `index` of a world; beyond the listed places they repeat with other paint."""
    rng = np.random.default_rng([seed, ord(world), index])
    own = WORLDS[world]
    name = own.places[index % len(own.places)]
    place = PLACES[name]
    style = own.styles[(index + index // len(own.places)) % len(own.styles)]
    red, green, blue = (float(b * rng.uniform(0.97, 1.03)) for b in style.balance)
    return Camera(
        index=index,
        world=world,
        place=name,
        pitch=float(np.degrees(np.arctan((place.height - 0.9) / place.distance))),
        sun=float(rng.uniform(20, 65) * rng.choice([-1, 1])),
        elevation=own.elevation,
        warmth=own.warmth,
        balance=(red, green, blue),
        gain=float(style.gain * rng.uniform(0.97, 1.03)),
        gamma=style.gamma,
        saturation=style.saturation,
        contrast=style.contrast,
        haze=style.haze,
        veil=own.veil,
        blur=float(style.blur * rng.uniform(0.9, 1.1)),
        motion=style.motion,
        noise=style.noise,
        jpeg_quality=style.quality,
        seed=int(rng.integers(1 << 30)),
    )
