"""One image each: who, seen by which camera, in which pose, cropped how badly.

A `Shot` holds everything that an image depends on besides its camera, so an image is the same
whatever else is rendered with it.
"""

from dataclasses import dataclass, replace

import numpy as np

from reidlab.data.synthetic.person import Person
from reidlab.data.synthetic.places import PLACES
from reidlab.data.synthetic.pose import Pose
from reidlab.data.synthetic.scene import Camera


@dataclass(frozen=True)
class Difficulty:
    """How hard a data set is.

    Attributes:
        strength: share of each camera's style, 0 all cameras alike to 1 full.
        jitter: scales box jitter, occlusion, exposure spread and motion blur.
        supersample: samples per pixel side that belong to this setting.
    """

    strength: float
    jitter: float
    supersample: int


DIFFICULTIES: dict[str, Difficulty] = {
    "smoke": Difficulty(0.3, 0.5, 1),
    "default": Difficulty(0.6, 0.8, 2),
    "hard": Difficulty(1.0, 1.0, 2),
}


@dataclass(frozen=True)
class Occluder:
    """A thing in front: its kind, metres to the right of the box centre, and metres raised."""

    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Shot:
    """Everything about one image.

    Attributes:
        person: who is shown; `None` for an empty box.
        camera: index into the list of cameras.
        yaw: degrees; 0 faces the camera, 90 walks to the right of the image, 180 shows the back.
        pose: of the person.
        zoom: height of the box in heights of the person, about 1.1.
        shift: of the box's centre, in widths and heights of the box; positive moves the person
            right and down.
        place_x: metres along the scene, which part of the backdrop is seen.
        exposure: multiplies brightness.
        motion: streak in pixels of a 128-row image, horizontal and vertical.
        strength: share of the camera's style.
        occluder: what stands in front, if anything.
        bystander: another person in the box, with `bystander_at` (metres right of the person,
            metres nearer to the camera), `bystander_yaw` and `bystander_pose`.
        noise: seed of the sensor noise.
        defocus: blur beyond the camera's own, sigma in pixels of a 128-row image, horizontal and
            vertical; zeros for none.
        detail: share of the rows and columns that were really recorded; below 1 the image is
            enlarged from so many.
    """

    person: Person | None
    camera: int
    yaw: float
    pose: Pose
    zoom: float
    shift: tuple[float, float]
    place_x: float
    exposure: float
    motion: tuple[float, float]
    strength: float
    occluder: Occluder | None
    bystander: Person | None
    bystander_at: tuple[float, float]
    bystander_yaw: float
    bystander_pose: Pose
    noise: int
    defocus: tuple[float, float] = (0.0, 0.0)
    detail: float = 1.0


def sample_shot(
    person: Person | None,
    camera: Camera,
    *,
    rng: np.random.Generator,
    difficulty: Difficulty,
    bystander: Person | None = None,
) -> Shot:
    """An ordinary detection of `person`.

    Args:
        person: who; `None` gives an empty box.
        camera: whose place and index to use.
        rng: the only source of randomness.
        difficulty: spread of the box, occlusion and exposure.
        bystander: someone else who is partly in the box; must not be the same identity.
    """
    spread = difficulty.jitter
    streak = rng.uniform(0, camera.motion) * spread * (rng.random() < 0.5)
    occluder = _occluder(camera, rng) if rng.random() < 0.22 * spread else None
    x = float(rng.choice([-1, 1]) * rng.uniform(0.28, 0.55))
    near = float(rng.choice([-0.6, 0.6], p=[0.65, 0.35]))
    return Shot(
        person=person,
        camera=camera.index,
        yaw=_yaw(rng),
        pose=_pose(rng),
        zoom=float(1.09 + spread * rng.normal(0, 0.055)),
        shift=(float(rng.normal(0, 0.05) * spread), float(rng.normal(0, 0.022) * spread)),
        place_x=float(rng.uniform(-5.5, 5.5)),
        exposure=float(np.exp(rng.normal(0, 0.11) * spread)),
        motion=(float(streak), float(streak * rng.uniform(-0.3, 0.3))),
        strength=difficulty.strength,
        occluder=occluder,
        bystander=bystander,
        bystander_at=(x * (1.0 if near < 0 else 1.35), near),
        bystander_yaw=_yaw(rng),
        bystander_pose=_pose(rng),
        noise=int(rng.integers(1 << 31)),
    )


def sample_distractor(
    camera: Camera,
    *,
    rng: np.random.Generator,
    difficulty: Difficulty,
    person: Person | None = None,
) -> Shot:
    """A box that shows nobody of interest (pid 0).

    Half of them are pieces of the surroundings, often with a thing in front; with `person` given
    the other half is a part of that stranger, cut by the box.
    """
    kind = rng.random()
    whole = person if kind > 0.5 else None
    shot = sample_shot(whole, camera, rng=rng, difficulty=difficulty)
    if whole is None:
        thing = _occluder(camera, rng, middle=True) if rng.random() < 0.6 else None
        zoom, shift = float(rng.uniform(0.5, 1.1)), (0.0, float(rng.uniform(-0.3, 0.3)))
        return replace(shot, zoom=zoom, shift=shift, occluder=thing)
    zoom = float(rng.uniform(0.35, 0.6))
    shift = (float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.75, 0.75)))
    return replace(shot, zoom=zoom, shift=shift)


def _yaw(rng: np.random.Generator) -> float:
    """Mostly towards, away from and across the view, as on a pavement."""
    base = rng.choice([0.0, 180.0, 90.0, -90.0], p=[0.32, 0.30, 0.19, 0.19])
    return float((base + rng.normal(0, 24) + 180) % 360 - 180)


def _pose(rng: np.random.Generator) -> Pose:
    """A moment of walking, sometimes of standing."""
    walking = rng.random() < 0.85
    return Pose(
        phase=float(rng.uniform(0, 2 * np.pi)),
        walk=float(rng.uniform(0.6, 1.05) if walking else rng.uniform(0.05, 0.25)),
        gesture=str(rng.choice(["swing", "phone", "strap", "pocket"], p=[0.76, 0.09, 0.08, 0.07])),
        head_turn=float(rng.normal(0, 0.28)),
        head_nod=float(rng.normal(0.06, 0.09)),
    )


def _occluder(camera: Camera, rng: np.random.Generator, *, middle: bool = False) -> Occluder:
    """One of the things of the camera's place, off centre unless `middle`."""
    things = PLACES[camera.place].things
    kind = things[int(rng.integers(len(things)))]
    x = rng.uniform(-0.15, 0.15) if middle else rng.choice([-1, 1]) * rng.uniform(0.10, 0.40)
    raised = rng.uniform(-0.22, -0.05) - 0.3 * (kind == "car")
    return Occluder(kind, float(x), float(raised))
