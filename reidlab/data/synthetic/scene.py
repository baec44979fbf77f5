"""Cameras: where they hang, what they look at, and how their pictures come out.

A world is a network of cameras. Each looks at a place of its own (a ground and a wall behind it,
painted in `canvas`), from its own height, with its own light, colors, sharpness and noise.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """What a camera looks at.

    Attributes:
        ground: painter of the floor, key of `canvas.GROUNDS`.
        wall: painter of the backdrop, key of `canvas.WALLS`.
        height: of the camera above the ground, metres.
        distance: from the camera to the people, metres.
        depth: from the people to the backdrop, metres.
        sun: strength of the directed light; `ambient` of the other (they add to about 1).
        things: what may stand between camera and people, keys of `props.PROPS`.
    """

    ground: str
    wall: str
    height: float
    distance: float
    depth: float
    sun: float
    ambient: float
    things: tuple[str, ...]


PLACES: dict[str, Place] = {
    "street": Place("paving", "brick", 2.6, 10.0, 3.0, 0.45, 0.62, ("pole", "bike", "bin")),
    "park": Place("lawn", "trees", 3.0, 9.0, 4.5, 0.40, 0.62, ("hedge", "pole", "bin")),
    "crossing": Place("zebra", "shops", 4.4, 9.0, 5.5, 0.42, 0.64, ("car", "pole", "bike")),
    "hall": Place("tiles", "hall", 3.2, 9.0, 4.0, 0.22, 0.78, ("railing", "bin", "pole")),
    "courtyard": Place("cobbles", "plaster", 2.4, 9.0, 2.2, 0.34, 0.68, ("bike", "hedge", "pole")),
    "campus": Place("path", "glass", 3.0, 10.0, 5.5, 0.48, 0.60, ("railing", "hedge", "bike")),
    "station": Place("concrete", "train", 3.2, 8.0, 3.0, 0.20, 0.78, ("railing", "bin", "pole")),
    "garage": Place("concrete", "pillars", 2.5, 9.0, 4.0, 0.25, 0.74, ("car", "pole", "bin")),
    "market": Place("cobbles", "stalls", 2.8, 8.0, 3.5, 0.46, 0.62, ("bin", "bike", "pole")),
}
WORLDS: dict[str, tuple[str, ...]] = {
    "a": ("street", "park", "crossing", "hall", "courtyard", "campus", "market", "station"),
    "b": ("station", "garage", "crossing", "hall", "street", "campus", "courtyard", "park"),
    "c": ("market", "courtyard", "park", "campus", "street", "hall", "garage", "crossing"),
}
"""Names of the camera networks and the places their cameras look at, in order."""


@dataclass(frozen=True)
class Camera:
    """One fixed camera. Style numbers are at full strength; a shot may ask for less of them.

    Attributes:
        index: position in its network, from 0.
        world: name of the network; `place` what it sees.
        pitch: downward tilt in degrees.
        sun: azimuth of the light, degrees from behind the camera, positive to the right.
        balance: gains of red, green, blue; `gain` of all.
        gamma: above 1 darkens the middle tones.
        saturation: 0 gray to 1 as is; `contrast` around middle gray, 1 as is.
        haze: share of white veil.
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
    balance: tuple[float, float, float]
    gain: float
    gamma: float
    saturation: float
    contrast: float
    haze: float
    blur: float
    motion: float
    noise: float
    jpeg_quality: int
    seed: int


STYLES = (  # balance, gain, gamma, saturation, contrast, haze, blur, motion, noise, quality
    ((1.10, 1.00, 0.84), 1.04, 0.95, 1.05, 1.05, 0.00, 0.45, 0.8, 0.012, 90),
    ((0.84, 1.02, 1.06), 0.88, 1.10, 0.85, 0.95, 0.06, 0.80, 1.6, 0.022, 78),
    ((0.98, 1.00, 1.10), 1.16, 0.85, 0.80, 0.92, 0.10, 0.55, 1.2, 0.016, 85),
    ((1.16, 0.98, 0.74), 0.90, 1.08, 0.92, 1.00, 0.02, 0.75, 1.8, 0.028, 72),
    ((0.90, 0.98, 1.16), 0.98, 1.02, 0.74, 0.95, 0.04, 0.60, 1.2, 0.018, 82),
    ((1.04, 1.06, 0.86), 0.96, 1.12, 1.15, 1.08, 0.00, 0.90, 1.4, 0.020, 75),
    ((1.02, 0.92, 1.08), 1.06, 0.92, 0.88, 0.98, 0.05, 0.50, 1.2, 0.024, 80),
    ((0.92, 1.08, 0.94), 0.86, 1.06, 0.95, 1.05, 0.03, 0.85, 1.6, 0.026, 70),
)


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
    places = WORLDS[world]
    name = places[index % len(places)]
    place = PLACES[name]
    shift = 3 * sorted(WORLDS).index(world) + index // len(places)
    style = STYLES[(index + shift) % len(STYLES)]
    balance, gain, gamma, saturation, contrast, haze, blur, motion, noise, quality = style
    red, green, blue = (float(b * rng.uniform(0.97, 1.03)) for b in balance)
    return Camera(
        index=index,
        world=world,
        place=name,
        pitch=float(np.degrees(np.arctan((place.height - 0.9) / place.distance))),
        sun=float(rng.uniform(20, 65) * rng.choice([-1, 1])),
        balance=(red, green, blue),
        gain=float(gain * rng.uniform(0.97, 1.03)),
        gamma=gamma,
        saturation=saturation,
        contrast=contrast,
        haze=haze,
        blur=float(blur * rng.uniform(0.9, 1.1)),
        motion=motion,
        noise=noise,
        jpeg_quality=quality,
        seed=int(rng.integers(1 << 30)),
    )
