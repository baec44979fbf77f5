r"""Clipped quadrics: the one kind of surface that people are made of.

A solid has a local frame with origin c and columns M (scaled axes), so that a point p has local
coordinates q = M^-1 (p - c). Its surface is

.. math:: q_x^2 + q_z^2 + e\, q_y^2 = (r_0 + k\, q_y)^2, \qquad lo \le q_y \le hi

an ellipsoid for e = 1, k = 0 and an elliptic cone for e = 0. Along a ray parallel to the z axis
both sides are quadratic in depth, and the coefficients are polynomials in the pixel coordinates.
So a hit test costs about ten element-wise operations per pixel, whatever the pose.

Shapes: F figures, P solids per figure.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass
class Solids:
    """A growing list of solids, each given for all F figures at once.

    `rows` holds per solid: frame (F, 3, 3), origin (F, 3), numbers (F, 7) = e, k, r0, lo, hi,
    slope at lo, slope at hi; `tags` holds texture region, its v range, and the part's name.
    """

    count: int
    rows: list[tuple[Array, Array, Array]] = field(default_factory=list)
    shown: list[NDArray[np.bool_]] = field(default_factory=list)
    tags: list[tuple[str, float, float, str]] = field(default_factory=list)

    def _add(self, frame: Array, origin: Array, numbers: list, tag: tuple, shown: object) -> None:
        full = [np.broadcast_to(np.asarray(value, float), (self.count,)) for value in numbers]
        self.rows.append((frame, origin, np.stack(full, axis=1)))
        self.shown.append(np.broadcast_to(np.asarray(shown, bool), (self.count,)))
        self.tags.append(tag)

    def ellipsoid(
        self,
        center: Array,
        axes: tuple[Array, Array, Array],
        radii: tuple,
        tag: tuple[str, float, float, str],
        *,
        clip: tuple[float, float] = (-1.0, 1.0),
        shown: object = True,
    ) -> None:
        """Half-lengths `radii` along unit `axes` (side, up, front), each (F, 3)."""
        frame = np.stack([a * _column(r) for a, r in zip(axes, radii, strict=True)], axis=2)
        self._add(frame, center, [1, 0, 1, *clip, 0, 0], tag, shown)

    def frustum(
        self,
        low: Array,
        high: Array,
        axes: tuple[Array, Array],
        radii: tuple,
        tag: tuple[str, float, float, str],
        *,
        slopes: tuple | None = None,
        shown: object = True,
    ) -> None:
        """Elliptic cone piece between two points (F, 3), open at both ends.

        `radii` is (side at low, front at low, side at high, front at high), in metres along
        `axes` (side, front). `slopes` (d radius / d height at both ends) bends the shading, so
        that stacked pieces look like one smooth surface.
        """
        a0, b0, a1, b1 = (np.broadcast_to(np.asarray(r, float), (self.count,)) for r in radii)
        aspect = (b0 + b1) / (a0 + a1)
        frame = np.stack([axes[0], high - low, axes[1] * _column(aspect)], axis=2)
        length = np.linalg.norm(high - low, axis=1)
        s0, s1 = ((a1 - a0), (a1 - a0)) if slopes is None else (s * length for s in slopes)
        seam = 0.004 / length  # pieces overlap a little, or rays slip through where they meet
        self._add(frame, low, [0, a1 - a0, a0, -seam, 1 + seam, s0, s1], tag, shown)

    def limb(
        self,
        low: Array,
        high: Array,
        side: Array,
        r_low: object,
        r_high: object,
        tag: tuple[str, float, float, str],
        *,
        flat: float = 1.0,
        shown: object = True,
    ) -> None:
        """Round (or flattened) cone piece from `low` to `high`; `side` fixes its texture."""
        along = unit(high - low)
        front = unit(np.cross(side, along))
        across = np.cross(along, front)
        a, b = np.asarray(r_low), np.asarray(r_high)
        self.frustum(low, high, (across, front), (a, a * flat, b, b * flat), tag, shown=shown)

    def ball(
        self,
        center: Array,
        radius: object,
        tag: tuple[str, float, float, str],
        shown: object = True,
    ) -> None:
        """Sphere, closing a joint."""
        eye = [np.broadcast_to(np.eye(3)[i], center.shape) for i in range(3)]
        self.ellipsoid(center, (eye[0], eye[1], eye[2]), (radius,) * 3, tag, shown=shown)

    def stacked(self) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Frames (F, P, 3, 3), origins (F, P, 3), numbers (F, P, 7), shown (F, P)."""
        frames, origins, numbers = (np.stack(part, axis=1) for part in zip(*self.rows, strict=True))
        return frames, origins, numbers, np.stack(self.shown, axis=1)


def unit(vectors: Array) -> Array:
    """Rows (F, 3) at length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _column(value: object) -> Array:
    """A scalar or (F,) as a column that multiplies (F, 3)."""
    return np.atleast_1d(np.asarray(value, float))[:, None]


@dataclass(frozen=True)
class Rays:
    """What rasterising and shading need, per figure and solid, in pixels and metres of depth.

    Attributes:
        center: (F, P, 2) pixel that the polynomials are relative to.
        box: (F, P, 4) bounding x0, y0, x1, y1 in pixels.
        depth: (F, P, 9): six coefficients (1, x, y, xx, xy, yy) under the root, then the three
            (1, x, y) before it. Depth is the larger root.
        height: (F, P, 6): local y as (1, x, y, depth), then lo and hi.
        inverse: (F, P, 3, 4): local coordinates from (x, y, depth, 1), x and y absolute.
    """

    center: Array
    box: Array
    depth: Array
    height: Array
    inverse: Array


def prepare(frames: Array, origins: Array, numbers: Array) -> Rays:
    """Coefficients of every solid for rays along the third axis.

    Args:
        frames: (F, P, 3, 3) columns in (pixel, pixel, metre) space.
        origins: (F, P, 3).
        numbers: (F, P, 7) of `Solids`.
    """
    e, k, r0, lo, hi = np.moveaxis(numbers[..., :5], -1, 0)
    inverse = np.linalg.inv(frames)
    gx, gy, w = inverse[..., 0], inverse[..., 1], inverse[..., 2]  # (F, P, 3) columns
    weight = np.stack([np.ones_like(e), e - k * k, np.ones_like(e)], axis=-1)

    def dot(u: Array, v: Array) -> Array:
        return (u * v * weight).sum(-1)

    a = dot(w, w)
    safe = np.where(a > 1e-6, a, 1.0)
    bx, by, b0 = dot(w, gx), dot(w, gy), -r0 * k * w[..., 1]
    cx, cy = -r0 * k * gx[..., 1], -r0 * k * gy[..., 1]
    square = np.stack(
        [
            b0 * b0 + a * r0 * r0,
            2 * (b0 * bx - a * cx),
            2 * (b0 * by - a * cy),
            bx * bx - a * dot(gx, gx),
            2 * (bx * by - a * dot(gx, gy)),
            by * by - a * dot(gy, gy),
        ],
        axis=-1,
    )
    square = np.where((a > 1e-6)[..., None], square / (safe * safe)[..., None], -1.0)
    line = -np.stack([b0, bx, by], axis=-1) / safe[..., None]
    line[..., 0] += origins[..., 2]
    along = np.stack(
        [-w[..., 1] * origins[..., 2], gx[..., 1], gy[..., 1], w[..., 1], lo, hi], axis=-1
    )
    offset = -(inverse @ origins[..., None])
    return Rays(
        center=origins[..., :2],
        box=bounds(frames, origins, numbers),
        depth=np.concatenate([square, line], axis=-1),
        height=along,
        inverse=np.concatenate([inverse, offset], axis=-1),
    )


def bounds(frames: Array, origins: Array, numbers: Array) -> Array:
    """Boxes (F, P, 4) around the projections: x0, y0, x1, y1."""
    e, k, r0, lo, hi = np.moveaxis(numbers[..., :5], -1, 0)
    plane = frames[..., :2, :]  # (F, P, 2, 3)
    ring = np.sqrt(plane[..., 0] ** 2 + plane[..., 2] ** 2)  # (F, P, 2) per unit of radius
    ball = np.sqrt((plane**2).sum(-1)) * r0[..., None]
    ends = [origins[..., :2] + plane[..., 1] * y[..., None] for y in (lo, hi)]
    radii = [ring * (r0 + k * y)[..., None] for y in (lo, hi)]
    cone_low = np.minimum(ends[0] - radii[0], ends[1] - radii[1])
    cone_high = np.maximum(ends[0] + radii[0], ends[1] + radii[1])
    is_ball = (e > 0)[..., None]
    low = np.where(is_ball, origins[..., :2] - ball, cone_low)
    high = np.where(is_ball, origins[..., :2] + ball, cone_high)
    return np.concatenate([low, high], axis=-1)
