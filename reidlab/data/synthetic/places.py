"""Worlds: which places a network of cameras looks at, and in which light.

A place has a ground (painted in `canvas`) and a wall behind it (`walls`). World a is a bright
town, b the inside of stations and shopping centres, c a city under a low sun; a few places of b
and c are also those of a, as real networks share some surroundings and not others.
"""

from dataclasses import dataclass

from reidlab.data.synthetic.palette import RGB
from reidlab.data.synthetic.styles import STYLES, Style


@dataclass(frozen=True)
class Place:
    """What a camera looks at.

    Attributes:
        ground: painter of the floor, key of `canvas.GROUNDS`.
        wall: painter of the backdrop, key of `walls.WALLS`.
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
    "market": Place("cobbles", "stalls", 2.8, 8.0, 3.5, 0.46, 0.62, ("bin", "bike", "pole")),
    # inside: steep views, light from above
    "concourse": Place("terrazzo", "boards", 4.6, 7.0, 2.2, 0.12, 0.84, ("trolley", "belt", "bin")),
    "mall": Place("marble", "boutiques", 4.2, 6.5, 1.8, 0.10, 0.88, ("plant", "belt", "sign")),
    "corridor": Place("linoleum", "doors", 2.9, 5.0, 1.2, 0.12, 0.82, ("sign", "plant", "trolley")),
    "garage": Place("bays", "pillars", 3.4, 6.0, 2.4, 0.16, 0.74, ("car", "pole", "sign")),
    "platform": Place("tactile", "adverts", 4.0, 6.5, 2.0, 0.12, 0.82, ("belt", "bin", "pole")),
    "lobby": Place("carpet", "lifts", 3.6, 5.5, 1.5, 0.10, 0.84, ("plant", "trolley", "belt")),
    # under a low sun: flat views, strong light from one side
    "boulevard": Place("asphalt", "facades", 2.4, 11.0, 5.0, 0.62, 0.44, ("car", "bollard")),
    "promenade": Place("planks", "sea", 2.2, 10.0, 4.0, 0.66, 0.44, ("bench", "bollard", "pole")),
    "avenue": Place("leaves", "autumn", 2.6, 10.0, 4.0, 0.60, 0.44, ("bench", "bike", "hedge")),
    "bridge": Place("asphalt", "skyline", 2.0, 9.0, 2.0, 0.64, 0.44, ("bollard", "bike")),
    "stop": Place("paving", "shelter", 2.6, 9.0, 1.4, 0.56, 0.48, ("bench", "pole", "bin")),
    "square": Place("setts", "arcade", 3.2, 11.0, 4.0, 0.60, 0.46, ("bollard", "bench", "bike")),
}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """A network of cameras and the light that all of them share.

    Attributes:
        places: key of `PLACES` per camera; beyond the last they repeat with other paint.
        styles: character per camera, one step further on every repetition.
        elevation: of the light above the horizon, degrees.
        warmth: how much redder the light is than its shadows, 0 not at all.
        veil: color of haze.
    """

    places: tuple[str, ...]
    styles: tuple[Style, ...]
    elevation: float
    warmth: float
    veil: RGB


WORLDS: dict[str, Network] = {
    "a": Network(
        ("street", "park", "crossing", "hall", "courtyard", "campus", "market", "station"),
        STYLES["town"], elevation=42.0, warmth=0.0, veil=(0.8, 0.8, 0.8),
    ),
    "b": Network(
        ("concourse", "garage", "corridor", "mall", "platform", "lobby", "station", "hall"),
        STYLES["indoors"], elevation=72.0, warmth=-0.12, veil=(0.72, 0.78, 0.80),
    ),
    "c": Network(
        ("boulevard", "promenade", "avenue", "bridge", "stop", "square", "market", "courtyard"),
        STYLES["evening"], elevation=20.0, warmth=0.40, veil=(0.92, 0.78, 0.62),
    ),
}  # fmt: skip
