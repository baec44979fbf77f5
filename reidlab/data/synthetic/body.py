"""A person in a pose as a list of solids: trunk, limbs, head, and what is worn and carried.

Lengths are fractions of the body height (of the head's height in `_head` and below). A tag names
the texture region, the stretch of it that the solid shows (v at its low and high end), and the
part of the ground truth that it belongs to.
"""

from collections.abc import Callable, Sequence

import numpy as np

from reidlab.data.synthetic.person import Person
from reidlab.data.synthetic.pose import Pose, Skeleton, skeleton, vector
from reidlab.data.synthetic.quadrics import Array, Solids
from reidlab.data.synthetic.wear import hair, hats, in_head, luggage

EASE = {"tshirt": 0.004, "shirt": 0.005, "sweater": 0.008, "hoodie": 0.011, "jacket": 0.013,
        "coat": 0.015}  # fmt: skip
TRUNK = (0.455, 0.50, 0.54, 0.58, 0.625, 0.685, 0.745, 0.785, 0.815, 0.838, 0.85)
WIDTH = {  # half widths at the heights of TRUNK
    "male": (0.070, 0.094, 0.095, 0.091, 0.088, 0.094, 0.102, 0.099, 0.078, 0.046, 0.032),
    "female": (0.074, 0.103, 0.101, 0.088, 0.076, 0.080, 0.089, 0.085, 0.066, 0.040, 0.028),
}
DEPTH = {
    "male": (0.052, 0.066, 0.065, 0.061, 0.058, 0.062, 0.067, 0.062, 0.052, 0.040, 0.034),
    "female": (0.054, 0.072, 0.069, 0.058, 0.052, 0.058, 0.070, 0.060, 0.046, 0.035, 0.030),
}


def traits(people: Sequence[Person], value: Callable[[Person], object]) -> Array:
    """One number per person, (F,)."""
    return np.array([float(value(person)) for person in people])  # pyright: ignore


def build(people: Sequence[Person], poses: Sequence[Pose]) -> Solids:
    """Solids of F figures in metres, feet on y = 0, facing +z."""
    figure = skeleton(people, poses)
    solids = Solids(len(people))
    _trunk(solids, figure, people)
    for name in "+-":
        _arm(solids, figure, people, name)
        _leg(solids, figure, people, name)
    _skirt(solids, figure, people)
    _head(solids, figure, people)
    hair(solids, figure, people)
    hats(solids, figure, people)
    luggage(solids, figure, people)
    return solids


def _trunk_radii(people: Sequence[Person], level: int) -> tuple[Array, Array, Array]:
    """Half width, half depth and forward shift of the dressed trunk at one level, (F,) each."""
    y = TRUNK[level]
    build_ = traits(people, lambda p: p.build)
    belly = np.exp(-(((y - 0.60) / 0.07) ** 2))
    female = traits(people, lambda p: p.gender == "female" and p.age != "young")
    young = traits(people, lambda p: p.age == "young")
    sex = ["male" if p.gender == "male" or p.age == "young" else "female" for p in people]
    heavy = 1 + build_ * (0.08 + 0.10 * belly) * (y < 0.83)
    a = np.array([WIDTH[s][level] for s in sex]) * heavy * (1 - 0.05 * young * (y > 0.7))
    b = np.array([DEPTH[s][level] for s in sex]) * (heavy + np.maximum(build_, 0) * 0.3 * belly)
    ease = traits(people, lambda p: EASE[p.upper.kind] * (0.6 + 0.8 * p.upper.cut))
    ease = ease * np.interp(
        y, (0.75, 0.80, 0.83), (1.0, 0.4, 0.0)
    )  # cloth hangs from the shoulders
    hem = 0.004 * (0.49 < y < 0.55)
    bust = 0.008 * female * np.exp(-(((y - 0.745) / 0.025) ** 2))
    seat = -0.006 * np.exp(-(((y - 0.51) / 0.03) ** 2))
    return a + ease + hem, b + ease + hem, bust + seat + 0.012 * belly * np.maximum(build_, 0)


def _trunk(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """Hip to neck as one smooth stack, sloping shoulders, neck and scarf."""
    scale = figure.body
    levels = [_trunk_radii(people, i) for i in range(len(TRUNK))]
    centers = [
        figure.spine(y) + vector(0, 0, shift * scale)
        for y, (_, _, shift) in zip(TRUNK, levels, strict=True)
    ]
    heights = np.array(TRUNK)
    widths = np.stack([a for a, _, _ in levels], axis=1)
    slopes = np.gradient(widths, heights, axis=1)  # (F, levels)
    for i in range(len(TRUNK) - 1):
        (a0, b0, _), (a1, b1, _) = levels[i], levels[i + 1]
        upper = TRUNK[i] > 0.6
        axes = (figure.axes["side" if upper else "hip side"],
                figure.axes["front" if upper else "hip front"])  # fmt: skip
        v0, v1 = ((y - TRUNK[0]) / (TRUNK[-1] - TRUNK[0]) for y in TRUNK[i : i + 2])
        solids.frustum(
            centers[i], centers[i + 1], axes,
            (a0 * scale, b0 * scale, a1 * scale, b1 * scale), ("torso", v0, v1, "torso"),
            slopes=(slopes[:, i], slopes[:, i + 1]),
        )  # fmt: skip
    ease = traits(people, lambda p: EASE[p.upper.kind])
    neck_y = figure.spine(0.831)
    for name in "+-":
        shoulder = figure.joints["shoulder" + name]
        inner = neck_y + (shoulder - neck_y) * 0.22
        solids.limb(
            shoulder, inner, figure.axes["front"], (0.025 + 0.5 * ease) * scale, 0.024 * scale,
            ("yoke", 0, 1, "torso"), flat=1.0,
        )  # fmt: skip
    base, chin = figure.spine(0.835), figure.joints["chin"]
    top = chin + figure.axes["head up"] * (0.3 * figure.head)[:, None]
    top = top - figure.axes["head front"] * (0.07 * figure.head)[:, None]
    male = traits(people, lambda p: 0.033 if p.gender == "male" else 0.027)
    slim = male * traits(people, lambda p: 0.9 if p.age == "young" else 1.0 + 0.08 * p.build)
    solids.limb(
        base, top, figure.axes["side"], slim * 1.08 * scale, slim * scale, ("neck", 0, 1, "head")
    )
    _scarf(solids, figure, people)


def _scarf(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """A roll around the neck and one end on the chest."""
    worn = [p.scarf is not None for p in people]
    scale, axes = figure.body, (figure.axes["side"], figure.axes["front"])
    tag = ("scarf", 0.0, 1.0, "torso")
    low, mid, high = (figure.spine(y) + vector(0, 0, 0.008 * scale) for y in (0.822, 0.845, 0.875))
    solids.frustum(low, mid, axes, tuple(r * scale for r in (0.062, 0.056, 0.060, 0.055)), tag,
                   shown=worn)  # fmt: skip
    solids.frustum(mid, high, axes, tuple(r * scale for r in (0.060, 0.055, 0.044, 0.043)), tag,
                   shown=worn)  # fmt: skip
    knot = figure.spine(0.82) + figure.axes["front"] * (0.06 * scale)[:, None]
    end = figure.spine(0.70) + figure.axes["front"] * (0.075 * scale)[:, None]
    end = end + figure.axes["side"] * (0.02 * scale)[:, None]
    solids.limb(end, knot, figure.axes["side"], 0.026 * scale, 0.022 * scale, tag, flat=0.5,
                shown=worn)  # fmt: skip


def _arm(solids: Solids, figure: Skeleton, people: Sequence[Person], name: str) -> None:
    """Upper arm, forearm and hand; a short sleeve is a wider cone over the bare arm."""
    scale, side = figure.body, figure.axes["side"]
    shoulder, elbow, wrist, hand = (
        figure.joints[joint + name] for joint in ("shoulder", "elbow", "wrist", "hand")
    )
    strong = traits(
        people,
        lambda p: (1.0 if p.gender == "male" else 0.86) * (1 + 0.12 * p.build)
        * (0.9 if p.age == "young" else 1.0),
    )  # fmt: skip
    long = traits(people, lambda p: p.upper.long)
    ease = traits(people, lambda p: EASE[p.upper.kind] * (0.7 + 0.5 * p.upper.cut))
    r_shoulder = (0.0275 * strong + 0.6 * ease) * scale
    r_elbow = (0.0225 * strong + ease * long) * scale
    r_wrist = (0.0165 * strong + ease * 0.9 * long) * scale
    solids.ball(shoulder, r_shoulder, ("yoke", 0, 1, "torso"))
    solids.limb(elbow, shoulder, side, r_elbow, r_shoulder, ("arm", 0.5, 1.0, "torso"))
    solids.ball(elbow, r_elbow, ("arm", 0.49, 0.51, "torso"))
    solids.limb(wrist, elbow, side, r_wrist, r_elbow, ("arm", 0.0, 0.5, "torso"))
    cuff = shoulder + (elbow - shoulder) * 0.62
    solids.limb(cuff, shoulder, side, (0.0275 * strong + ease * 1.3) * scale, r_shoulder * 1.02,
                ("arm", 0.7, 1.0, "torso"), shown=long < 0.5)  # fmt: skip
    along = hand - wrist
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    front = np.cross(side, along)
    across = np.cross(along, front)
    solids.ellipsoid(
        hand, (across, along, front),
        (0.0145 * scale, 0.044 * scale, 0.022 * scale), ("skin", 0, 1, "torso"),
    )  # fmt: skip


def _leg(solids: Solids, figure: Skeleton, people: Sequence[Person], name: str) -> None:
    """Thigh, calf in two pieces, and a shoe; trousers and shorts widen them."""
    scale, side = figure.body, figure.axes["hip side"]
    hip, knee, ankle = (figure.joints[joint + name] for joint in ("hip", "knee", "ankle"))
    build_ = traits(people, lambda p: p.build)
    thick = (1 + 0.14 * build_) * traits(people, lambda p: 0.92 if p.age == "young" else 1.0)
    cut = traits(people, lambda p: p.lower.cut)
    trousers = traits(people, lambda p: p.lower.kind == "trousers" and p.lower.long)
    shorts = traits(people, lambda p: p.lower.kind == "shorts")
    wide = trousers * (0.003 + 0.009 * cut)
    boots = traits(people, lambda p: p.boots and not (p.lower.kind == "trousers" and p.lower.long))
    calf = knee + (ankle - knee) * 0.33 - figure.axes["hip front"] * (0.006 * scale)[:, None]
    r_hip = (0.050 * thick + wide * 0.4) * scale
    r_knee = (0.0335 * thick + wide) * scale
    r_calf = (0.0325 * thick + wide * 1.1) * scale
    r_ankle = (0.0195 * thick + trousers * (0.006 + 0.022 * cut) + 0.006 * boots) * scale
    solids.limb(knee, hip, side, r_knee, r_hip, ("leg", 0.5, 1.0, "legs"))
    solids.ball(knee, r_knee, ("leg", 0.49, 0.51, "legs"))
    solids.limb(calf, knee, side, r_calf, r_knee, ("leg", 0.34, 0.5, "legs"))
    solids.ball(calf, r_calf, ("leg", 0.33, 0.35, "legs"))
    solids.limb(ankle, calf, side, r_ankle, r_calf, ("leg", 0.0, 0.34, "legs"))
    hem = hip + (knee - hip) * 0.86
    solids.limb(hem, hip, side, (0.042 * thick + 0.004 + 0.014 * cut) * scale, r_hip * 1.02,
                ("leg", 0.6, 1.0, "legs"), shown=shorts > 0.5)  # fmt: skip
    heel, toe = figure.joints["heel" + name], figure.joints["toe" + name]
    tag = ("shoe", 0.0, 1.0, "legs")
    foot = scale * traits(people, lambda p: 1.0 if p.gender == "male" else 0.9)
    solids.limb(heel, toe, side, 0.025 * foot, 0.022 * foot, tag, flat=0.85)
    solids.ball(heel, 0.024 * foot, tag)
    solids.ball(toe, 0.021 * foot, tag)
    solids.limb(heel * 0.7 + toe * 0.3, ankle, side, 0.026 * foot, 0.022 * foot, tag)


def _skirt(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """Skirt, lower half of a dress, or tails of a coat, wide enough for the stride."""
    skirt = np.array([p.lower.kind == "skirt" for p in people], dtype=bool)
    coat = np.array([p.upper.kind == "coat" for p in people], dtype=bool) & ~skirt
    scale = figure.body
    hem = np.where(coat, 0.37, traits(people, lambda p: 0.17 if p.lower.long else 0.31))
    cut = traits(people, lambda p: p.lower.cut) * skirt
    knees = np.abs(figure.joints["knee+"][:, 2] - figure.joints["knee-"][:, 2]) / scale / 2
    spread = knees * (0.52 - hem) / 0.235
    waist = _trunk_radii(people, 4), _trunk_radii(people, 1)
    a = [waist[0][0] + 0.002, waist[1][0] + 0.007, waist[1][0] + 0.012 + 0.035 * cut]
    b = [waist[0][1] + 0.002, waist[1][1] + 0.010, waist[1][1] + 0.012 + 0.03 * cut + 0.5 * spread]
    a.append(a[2] + 0.012 * cut + 0.05 * cut * (0.31 - np.minimum(hem, 0.31)) / 0.14)
    b.append(np.maximum(b[2], 0.045 + spread + 0.02))
    heights = [np.full_like(scale, 0.615), np.full_like(scale, 0.51), 0.45 * 0.51 + 0.55 * hem, hem]
    points = [vector(0, y * scale + figure.joints["hip"][:, 1], 0) for y in heights]
    points[0] = points[0] + figure.spine(0.615) * [0, 0, 1]
    axes = (figure.axes["hip side"], figure.axes["hip front"])
    fine = [_between((points, a, b), step / 3) for step in range(10)]  # steps too small to see
    for step, ((high, a1, b1), (low, a0, b0)) in enumerate(zip(fine, fine[1:], strict=False)):
        stretch = ("skirt", 1 - (step + 1) / 9, 1 - step / 9, "legs")
        radii = (a0 * scale, b0 * scale, a1 * scale, b1 * scale)
        solids.frustum(low, high, axes, radii, stretch, shown=skirt | coat)


def _between(knots: tuple[list[Array], ...], position: float) -> list[Array]:
    """Each list of knots read at a fractional position."""
    first = min(int(position), len(knots[0]) - 2)
    part = position - first
    return [(1 - part) * values[first] + part * values[first + 1] for values in knots]


def _head(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """Chin to crown as one stack with the face painted on it; nose and ears."""
    size = figure.head
    round_ = 1 + 0.05 * traits(people, lambda p: max(p.build, 0) + (p.age == "young"))
    jaw = traits(people, lambda p: 1.06 if p.gender == "male" else 0.94)
    levels = ((0.0, 0.11, 0.13, 0.13), (0.08, 0.19, 0.21, 0.09), (0.25, 0.255, 0.30, 0.04),
              (0.45, 0.295, 0.355, 0.01), (0.60, 0.31, 0.38, 0.0))  # fmt: skip
    axes = (figure.axes["head side"], figure.axes["head front"])

    def spot(x: float, u: float, z: float) -> Array:
        return in_head(figure, x, u, z)

    for low, high in zip(levels, levels[1:], strict=False):
        (u0, a0, b0, z0), (u1, a1, b1, z1) = low, high
        wide0, wide1 = (round_ * (jaw if u < 0.3 else 1.0) for u in (u0, u1))
        mid = np.array([0.55, 0.0])
        solids.frustum(
            spot(0, u0, z0), spot(0, u1, z1), axes,
            (a0 * wide0 * size, b0 * size, a1 * wide1 * size, b1 * size),
            ("head", u0, u1, "head"),
            slopes=(np.full_like(size, mid[int(u0 > 0.2)]), np.full_like(size, mid[1])),
        )  # fmt: skip
    up = figure.axes["head up"]
    solids.ellipsoid(
        spot(0, 0.60, 0), (axes[0], up, axes[1]),
        (0.31 * round_ * size, 0.385 * size, 0.38 * size), ("head", 0.6, 1.0, "head"),
        clip=(0.0, 1.0),
    )  # fmt: skip
    solids.ellipsoid(
        spot(0, 0.385, 0.35), (axes[0], up, axes[1]),
        (0.05 * size, 0.085 * size, 0.085 * size), ("neck", 0.9, 1, "head"),
    )  # fmt: skip
    for sign in (1, -1):
        solids.ellipsoid(
            spot(sign * 0.30, 0.42, -0.02), (axes[0], up, axes[1]),
            (0.04 * size, 0.09 * size, 0.06 * size), ("neck", 0.9, 1, "head"),
        )  # fmt: skip
