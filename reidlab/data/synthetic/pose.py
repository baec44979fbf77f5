"""Where the joints are: one walking figure per row, in metres.

Axes: x to the side, y up, z to the front; feet on y = 0. A viewer in front looks along -z.
F figures. All lengths in the tables are fractions of the body height.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reidlab.data.synthetic.person import Person
from reidlab.data.synthetic.quadrics import Array, unit

HEAD_SCALE = {"young": 1.34, "teenager": 1.08, "adult": 1.05, "old": 1.05}
THIGH, SHIN, UPPER_ARM, FOREARM = 0.235, 0.235, 0.165, 0.145
HIP, SHOULDER, NECK = 0.52, 0.801, 0.845


@dataclass(frozen=True)
class Pose:
    """What changes from image to image, before the camera sees it.

    Attributes:
        phase: of the walking cycle, radians.
        walk: 0 standing still to 1 full stride.
        gesture: "swing", "phone", "strap" or "pocket".
        head_turn: radians to the side; `head_nod`: radians downwards.
    """

    phase: float
    walk: float
    gesture: str
    head_turn: float
    head_nod: float


@dataclass(frozen=True)
class Skeleton:
    """Joints (F, 3) by name, axes (F, 3) by name, and sizes (F,)."""

    size: Array  # body height in metres
    body: Array  # metres per table unit below the chin
    head: Array  # chin to crown, metres
    joints: dict[str, Array]
    axes: dict[str, Array]

    def spine(self, y: float) -> Array:
        """Point (F, 3) of the bent trunk at table height `y`."""
        rise = (y - HIP) / (NECK - HIP)
        forward = self.joints["lean"][:, 0] * self.body * (NECK - HIP) * (rise + abs(rise) * rise)
        return vector(0, y * self.body + self.joints["hip"][:, 1], forward / 2)


def vector(x: object, y: object, z: object) -> Array:
    """(F, 3) from three scalars or (F,) arrays."""
    parts = [np.atleast_1d(np.asarray(part, float)) for part in (x, y, z)]
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def swing(angle: Array, out: Array | float = 0.0) -> Array:
    """Unit vectors pointing down, turned forwards by `angle` and sideways by `out`."""
    return vector(np.sin(out), -np.cos(angle) * np.cos(out), np.sin(angle) * np.cos(out))


def turned(angle: Array) -> tuple[Array, Array]:
    """Side and front axis after a turn about the vertical."""
    zero = np.zeros_like(angle)
    side = vector(np.cos(angle), zero, -np.sin(angle))
    return side, vector(np.sin(angle), zero, np.cos(angle))


def skeleton(people: Sequence[Person], poses: Sequence[Pose]) -> Skeleton:
    """Joints of every figure, feet on the ground.

    Joints are named `hip`, `neck`, and with `+` or `-` for the side: `hip+`, `knee+`, `ankle+`,
    `toe+`, `shoulder+`, `elbow+`, `wrist+`, `hand+`.
    """
    size = np.array([p.height for p in people])
    head = 0.133 * size * np.array([HEAD_SCALE[p.age] for p in people])
    body = (size - head) / 0.867
    lean = np.array([p.lean for p in people])
    walk = np.array([pose.walk for pose in poses])
    phase = np.array([pose.phase for pose in poses])
    tight = np.array([_freedom(p) for p in people])
    stride = np.array([p.stride for p in people]) * walk * tight
    joints: dict[str, Array] = {"lean": lean[:, None]}
    pelvis = vector(0, HIP * body, 0)
    for sign, name in ((1, "+"), (-1, "-")):
        joints |= _leg(name, sign, people, pelvis, body, phase, stride)
    drop = np.minimum(joints["sole+"][:, 1], joints["sole-"][:, 1])
    for key in [key for key in joints if key != "lean"]:
        joints[key] = joints[key] - vector(0, drop, 0)
    joints["hip"] = vector(0, -drop, 0)  # lift of the trunk, used by `spine`
    twist = -0.35 * stride * np.sin(phase)
    side, front = turned(twist)
    hip_side, hip_front = turned(-0.5 * twist)
    axes = {"side": side, "front": front, "hip side": hip_side, "hip front": hip_front}
    figure = Skeleton(size, body, head, joints, axes)
    for sign, name in ((1, "+"), (-1, "-")):
        joints |= _arm(name, sign, people, poses, figure, phase, walk)
    joints["neck"] = figure.spine(NECK)
    _head_axes(axes, figure, twist, poses, lean)
    return figure


def _freedom(person: Person) -> float:
    """Share of the stride that the lower garment allows."""
    if person.lower.kind != "skirt":
        return 1.0
    return 0.55 if person.lower.long else 0.75


def _leg(
    name: str,
    sign: int,
    people: Sequence[Person],
    pelvis: Array,
    body: Array,
    phase: Array,
    stride: Array,
) -> dict[str, Array]:
    """Hip to toe of one leg; `sole` is its lowest point."""
    beat = phase + (np.pi if sign < 0 else 0.0)
    wide = np.array([0.055 if p.gender == "male" else 0.053 for p in people])
    angle = stride * np.sin(beat) + 0.06
    bend = 0.07 + 2.2 * stride * np.maximum(0, np.cos(beat - 0.25)) ** 2
    hip = pelvis + vector(sign * wide * body, -0.01 * body, 0)
    knee = hip + swing(angle, -sign * 0.02) * (THIGH * body)[:, None]
    ankle = knee + swing(angle - bend, -sign * 0.02) * (SHIN * body)[:, None]
    tilt = np.where(angle - bend < 0, 1.0 * (angle - bend) + 0.15, 0.5 * angle)
    tilt = np.clip(tilt, -1.0, 0.35)
    ahead = vector(sign * 0.16, np.sin(tilt), np.cos(tilt))
    below = vector(0, -np.cos(tilt), np.sin(tilt)) * (0.035 * body)[:, None]
    heel = ankle + below - ahead * (0.02 * body)[:, None]
    toe = ankle + below + ahead * (0.095 * body)[:, None]
    sole = np.where(heel[:, 1:2] < toe[:, 1:2], heel, toe) - vector(0, 0.008 * body, 0)
    parts = {"hip": hip, "knee": knee, "ankle": ankle, "heel": heel, "toe": toe, "sole": sole}
    return {part + name: value for part, value in parts.items()}


def _arm(
    name: str,
    sign: int,
    people: Sequence[Person],
    poses: Sequence[Pose],
    figure: Skeleton,
    phase: Array,
    walk: Array,
) -> dict[str, Array]:
    """Shoulder to hand of one arm."""
    beat = phase + (0.0 if sign < 0 else np.pi)
    wide = np.array([0.104 if p.gender == "male" else 0.090 for p in people])
    wide *= np.array([0.92 if p.age == "young" else 1.0 + 0.04 * p.build for p in people])
    reach = np.array([p.arm_swing for p in people]) * walk
    angle = reach * np.sin(beat) - 0.02
    bend = 0.22 + 0.45 * reach * (1 + np.sin(beat))
    out = np.array([0.10 + 0.05 * max(p.build, 0) + 0.04 * (p.upper.cut > 0.6) for p in people])
    inward = np.zeros_like(angle)
    for row, (person, pose) in enumerate(zip(people, poses, strict=True)):
        carries = person.handbag is not None and person.side == sign
        if carries:
            angle[row], bend[row] = 0.3 * angle[row], 0.12
        elif pose.gesture == "phone" and sign == 1:
            angle[row], bend[row], inward[row] = 0.35, 1.75, 0.35
        elif pose.gesture == "strap" and person.backpack is not None:
            angle[row], bend[row], inward[row] = 0.05, 2.2, 0.15
        elif pose.gesture == "pocket":
            angle[row], bend[row], inward[row] = -0.30, 0.55, 0.1
    shoulder = figure.spine(SHOULDER) + figure.axes["side"] * (sign * wide * figure.body)[:, None]
    elbow = shoulder + swing(angle, sign * out) * (UPPER_ARM * figure.body)[:, None]
    lower = swing(angle + bend, sign * (out * 0.2 - inward))
    wrist = elbow + lower * (FOREARM * figure.body)[:, None]
    hand = wrist + lower * (0.042 * figure.body)[:, None]
    parts = {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hand": hand}
    return {part + name: value for part, value in parts.items()}


def _head_axes(
    axes: dict[str, Array], figure: Skeleton, twist: Array, poses: Sequence[Pose], lean: Array
) -> None:
    """Adds the axes and the chin; the head looks ahead whatever the shoulders do."""
    turn = np.array([pose.head_turn for pose in poses]) + 0.3 * twist
    nod = np.array([pose.head_nod for pose in poses]) + 0.3 * lean
    side, ahead = turned(turn)
    up = unit(vector(0, 1, 0) * np.cos(nod)[:, None] + ahead * np.sin(nod)[:, None])
    axes |= {"head side": side, "head up": up, "head front": np.cross(side, up)}
    base = figure.joints["neck"] + vector(
        0, 0.022 * figure.body, (0.012 + 0.04 * lean) * figure.body
    )
    figure.joints["chin"] = base
