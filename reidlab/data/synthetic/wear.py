"""Hair, hats and what is carried: the solids that sit on a body.

Hair and hats are measured in head heights from the chin, bags in body heights.
"""

from collections.abc import Sequence

import numpy as np

from reidlab.data.synthetic.person import LONG_HAIR, Person
from reidlab.data.synthetic.pose import Skeleton, vector
from reidlab.data.synthetic.quadrics import Array, Solids


def in_head(figure: Skeleton, x: float, u: float, z: float) -> Array:
    """Point (F, 3): `x` to the side, `u` above the chin, `z` to the front, in head heights."""
    offset = [
        figure.axes[axis] * (value * figure.head)[:, None]
        for axis, value in (("head side", x), ("head up", u), ("head front", z))
    ]
    return figure.joints["chin"] + offset[0] + offset[1] + offset[2]


def tilted(figure: Skeleton, angle: float) -> tuple[Array, Array, Array]:
    """Head axes with the up axis leaning back by `angle`, so that a clip follows the hairline."""
    up, front = figure.axes["head up"], figure.axes["head front"]
    c, s = np.cos(angle), np.sin(angle)
    return figure.axes["head side"], up * c - front * s, front * c + up * s


def hair(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """A cap of hair per style; long hair falls behind the neck so that the throat stays bare."""
    size = figure.head
    covered = np.array([p.hat != "none" for p in people], dtype=bool)
    style = np.array([p.hair for p in people], dtype=str)
    tag = ("hair", 0.3, 1.0, "head")

    def cap(names: tuple, radii: tuple, clip: float, u: float, z: float, tilt: float) -> None:
        shown = np.isin(style, names)
        if np.any(shown):
            solids.ellipsoid(
                in_head(figure, 0, u, z),
                tilted(figure, tilt),
                tuple(r * size for r in radii),
                tag,
                clip=(clip, 1.0),
                shown=shown,
            )
        else:  # keep the list's length the same for every batch
            solids.ellipsoid(
                in_head(figure, 0, u, z),
                tilted(figure, tilt),
                tuple(r * size for r in radii),
                tag,
                shown=False,
            )

    cap(("short", "quiff"), (0.34, 0.43, 0.415), -0.05, 0.62, -0.035, 0.62)
    cap(("pixie",), (0.365, 0.46, 0.44), -0.30, 0.61, -0.05, 0.68)
    cap(("long", "wavy"), (0.365, 0.46, 0.435), -0.40, 0.61, -0.06, 0.72)
    cap(("ponytail",), (0.335, 0.42, 0.415), -0.12, 0.615, -0.035, 0.66)
    afro = (style == "afro") & ~covered
    solids.ellipsoid(
        in_head(figure, 0, 0.68, -0.09),
        tilted(figure, 0.6),
        (0.47 * size, 0.50 * size, 0.47 * size),
        tag,
        clip=(-0.25, 1.0),
        shown=afro,
    )
    quiff = (style == "quiff") & ~covered
    solids.ellipsoid(
        in_head(figure, 0, 0.97, 0.19),
        tilted(figure, 0.3),
        (0.25 * size, 0.12 * size, 0.19 * size),
        tag,
        shown=quiff,
    )
    _falling(solids, figure, style)


def _falling(solids: Solids, figure: Skeleton, style: np.ndarray) -> None:
    """Hair below the ears: a curtain at the back, or a tail."""
    size = figure.head
    axes = (figure.axes["head side"], figure.axes["head front"])
    tag = ("hair", 0.0, 0.5, "head")
    wavy = np.where(style == "wavy", 1.14, 1.0) * size
    loose = np.isin(style, ("long", "wavy"))
    stack = (
        (0.62, 0.355, 0.34, -0.12),
        (0.25, 0.365, 0.24, -0.20),
        (-0.15, 0.38, 0.17, -0.27),
        (-0.50, 0.34, 0.13, -0.34),
        (-0.72, 0.24, 0.07, -0.37),
    )
    for (u0, a0, b0, z0), (u1, a1, b1, z1) in zip(stack[1:], stack, strict=False):
        solids.frustum(
            in_head(figure, 0, u0, z0),
            in_head(figure, 0, u1, z1),
            axes,
            (a0 * wavy, b0 * wavy, a1 * wavy, b1 * wavy),
            tag,
            shown=loose,
        )
    tail = style == "ponytail"
    knots = ((0.70, -0.40, 0.09), (0.55, -0.56, 0.13), (0.1, -0.54, 0.13), (-0.35, -0.47, 0.05))
    for (u1, z1, r1), (u0, z0, r0) in zip(knots, knots[1:], strict=False):
        solids.limb(
            in_head(figure, 0, u0, z0),
            in_head(figure, 0, u1, z1),
            axes[0],
            r0 * size,
            r1 * size,
            tag,
            shown=tail,
        )
    solids.ball(in_head(figure, 0, 0.55, -0.56), 0.13 * size, tag, shown=tail)


def hats(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """A dome for every hat; a peak on the cap, a disc around the brimmed one."""
    size = figure.head
    kind = np.array([p.hat for p in people], dtype=str)
    long = np.array([p.hair in LONG_HAIR or p.hair == "pixie" for p in people], dtype=bool)
    wide = np.where(long, 1.06, 1.0) * size
    tag = ("hat", 0.0, 1.0, "hat")
    axes = tilted(figure, 0.12)
    solids.ellipsoid(
        in_head(figure, 0, 0.72, -0.02),
        axes,
        (0.37 * wide, 0.37 * wide, 0.43 * wide),
        tag,
        clip=(0.0, 1.0),
        shown=np.isin(kind, ("cap", "brim")),
    )
    solids.ellipsoid(
        in_head(figure, 0, 0.66, -0.03),
        tilted(figure, 0.22),
        (0.375 * wide, 0.50 * wide, 0.44 * wide),
        tag,
        clip=(0.05, 1.0),
        shown=kind == "beanie",
    )
    solids.ellipsoid(
        in_head(figure, 0, 0.73, 0.46),
        tilted(figure, -0.25),
        (0.28 * size, 0.035 * size, 0.27 * size),
        ("hat", 0.1, 0.3, "hat"),
        shown=kind == "cap",
    )
    solids.ellipsoid(
        in_head(figure, 0, 0.74, 0.0),
        axes,
        (0.62 * size, 0.04 * size, 0.66 * size),
        ("hat", 0.3, 0.6, "hat"),
        shown=kind == "brim",
    )


def luggage(solids: Solids, figure: Skeleton, people: Sequence[Person]) -> None:
    """Backpack with straps over the shoulders, shoulder bag, handbag with handles."""
    _backpack(solids, figure, [p.backpack is not None for p in people])
    scale = figure.body
    sign = np.array([float(p.side) for p in people])
    axes = (figure.axes["hip side"], figure.axes["hip front"])
    worn = [p.bag is not None for p in people]
    away = vector(-sign * 0.135 * scale, 0, -0.01 * scale)
    _pouch(
        solids,
        [figure.spine(y) + away for y in (0.435, 0.46, 0.56)],
        axes,
        [(r * scale, q * scale) for r, q in ((0.032, 0.072), (0.037, 0.083), (0.035, 0.079))],
        "bag",
        worn,
        0.008 * scale,
    )
    held = [p.handbag is not None for p in people]
    hand = np.where(sign[:, None] > 0, figure.joints["hand+"], figure.joints["hand-"])
    hand = hand - vector(0, 0.02 * scale, 0)
    _pouch(
        solids,
        [hand - vector(0, drop * scale, 0) for drop in (0.19, 0.175, 0.07)],
        axes,
        [(r * scale, q * scale) for r, q in ((0.031, 0.075), (0.034, 0.082), (0.025, 0.060))],
        "handbag",
        held,
        0.006 * scale,
    )
    for end in (1, -1):
        tip = hand - vector(0, 0.07 * scale, 0) + axes[1] * (end * 0.04 * scale)[:, None]
        solids.limb(
            tip,
            hand,
            axes[0],
            0.0055 * scale,
            0.0055 * scale,
            ("handbag", 0.85, 0.9, "handbag"),
            shown=held,
        )


def _backpack(solids: Solids, figure: Skeleton, worn: list[bool]) -> None:
    """A rounded pack on the back; its straps are painted on the chest and lie on the shoulders."""
    scale = figure.body
    axes = (figure.axes["side"], figure.axes["front"])
    levels = (
        (0.585, 0.060, 0.036),
        (0.60, 0.082, 0.054),
        (0.66, 0.090, 0.060),
        (0.76, 0.084, 0.050),
        (0.80, 0.070, 0.040),
    )
    points = [figure.spine(y) - axes[1] * (0.105 * scale)[:, None] for y, _, _ in levels]
    radii = [(a * scale, b * scale) for _, a, b in levels]
    _pouch(solids, points, axes, radii, "backpack", worn, 0.026 * scale)
    up = np.cross(axes[1], axes[0])
    for sign in (1, -1):
        top = figure.spine(0.824) + axes[0] * (sign * 0.063 * scale)[:, None]
        solids.ellipsoid(
            top,
            (axes[0], up, axes[1]),
            (0.013 * scale, 0.026 * scale, 0.047 * scale),
            ("backpack", 0.9, 1.0, "backpack"),
            shown=worn,
        )


def _pouch(
    solids: Solids,
    points: Sequence[Array],
    axes: tuple[Array, Array],
    radii: list,
    part: str,
    worn: list[bool],
    dome: Array,
) -> None:
    """A stack of pieces from the bottom to the top, one texture over all, closed by a dome."""
    stops = np.linspace(0, 1, len(points))
    for i in range(len(points) - 1):
        solids.frustum(
            points[i],
            points[i + 1],
            axes,
            (*radii[i], *radii[i + 1]),
            (part, float(stops[i]), float(stops[i + 1]), part),
            shown=worn,
        )
    up = np.cross(axes[1], axes[0])
    solids.ellipsoid(
        points[-1],
        (axes[0], up, axes[1]),
        (radii[-1][0], dome, radii[-1][1]),
        (part, 0.95, 1.0, part),
        shown=worn,
    )
