"""From shots to figures in pixel space: turn, tilt, and cut the box.

Space after `frame`: x to the right and y down in samples, depth in metres towards the camera.
F figures, P solids per figure, B images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidlab.data.synthetic.body import build
from reidlab.data.synthetic.person import Person
from reidlab.data.synthetic.quadrics import Array, Rays, bounds, prepare
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.shots import Shot

TYPICAL = 1.72  # metres: the box height that an empty box pretends to be cut for


@dataclass(frozen=True)
class Figures:
    """People of a batch, main figures first.

    Attributes:
        people: F of them; `images` (F,) where each stands; the first `mains` are the subjects.
        rays, numbers, shown, tags: their solids, see `quadrics`.
        scale: (B,) samples per metre; `feet` (B, 2) sample where the subject's origin falls.
        box: (B, 4) bounding box of the whole subject in samples, uncut; NaN without subject.
    """

    people: list[Person]
    images: NDArray[np.int64]
    mains: int
    rays: Rays
    numbers: Array
    shown: NDArray[np.bool_]
    tags: list[tuple[str, float, float, str]]
    scale: Array
    feet: Array
    box: Array


def frame(shots: Sequence[Shot], cameras: Sequence[Camera], size: tuple[int, int]) -> Figures:
    """Figures of all shots, projected for images of `size` (H, W) samples."""
    mains = [(i, s.person, s.yaw, s.pose) for i, s in enumerate(shots) if s.person]
    others = [
        (i, s.bystander, s.bystander_yaw, s.bystander_pose)
        for i, s in enumerate(shots)
        if s.bystander
    ]
    rows = mains + others
    pitch = np.radians([cameras[s.camera].pitch for s in shots])
    scale, feet, box = _empty_frames(shots, size)
    images = np.array([row[0] for row in rows], dtype=np.int64)
    people = [row[1] for row in rows if row[1] is not None]
    solids = build(people, [row[3] for row in rows])
    frames, origins, numbers, shown = solids.stacked()
    view = _views(np.radians([row[2] for row in rows]), pitch[images])  # (F, 3, 3)
    frames = view[:, None] @ frames
    origins = (view[:, None] @ origins[..., None])[..., 0]
    origins[len(mains) :] += _offsets(shots, others, pitch)[:, None]
    if mains:
        _fit(
            shots,
            images[: len(mains)],
            size,
            (scale, feet, box),
            bounds(frames, origins, numbers)[: len(mains)],
            shown[: len(mains)],
        )
    stretch = np.stack([scale, -scale, np.ones_like(scale)], axis=1)[images]  # (F, 3)
    frames = frames * stretch[:, None, :, None]
    origins = origins * stretch[:, None]
    origins[..., :2] += feet[images][:, None]
    rays = prepare(frames, origins, numbers)
    return Figures(people, images, len(mains), rays, numbers, shown, solids.tags, scale, feet, box)


def _views(yaw: Array, pitch: Array) -> Array:
    """Rotations (F, 3, 3) by the figure's yaw, then by the camera's pitch."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(c)
    return np.stack(
        [
            np.stack([c, zero, s], axis=-1),
            np.stack([s * sp, cp, -c * sp], axis=-1),
            np.stack([-s * cp, sp, c * cp], axis=-1),
        ],
        axis=1,
    )


def _offsets(shots: Sequence[Shot], others: list, pitch: Array) -> Array:
    """Displacements (n, 3) of bystanders in view space; nearer on the ground is lower."""
    at = np.array([shots[row[0]].bystander_at for row in others], dtype=float).reshape(-1, 2)
    tilt = pitch[[row[0] for row in others]]
    return np.stack([at[:, 0], -at[:, 1] * np.sin(tilt), at[:, 1] * np.cos(tilt)], axis=1)


def _empty_frames(shots: Sequence[Shot], size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Scale, feet and box as if a typical person stood in every image."""
    height, width = size
    zoom = np.array([s.zoom for s in shots])
    shift = np.array([s.shift for s in shots])
    scale = height / (TYPICAL * zoom)
    feet = np.stack(
        [width * (0.5 + shift[:, 0]), height * (0.5 + shift[:, 1]) + TYPICAL / 2 * scale], axis=1
    )
    return scale, feet, np.full((len(shots), 4), np.nan)


def _fit(
    shots: Sequence[Shot],
    images: NDArray,
    size: tuple[int, int],
    out: tuple,
    box: Array,
    shown: NDArray,
) -> None:
    """Sets scale, feet and box of the images that have a subject from its projection.

    The box is as tall as the person, or wide enough for most of a long stride.
    """
    height, width = size
    low = np.where(shown[..., None], box[..., :2], np.inf).min(axis=1)  # (n, 2) x, y up
    high = np.where(shown[..., None], box[..., 2:], -np.inf).max(axis=1)
    zoom = np.array([shots[i].zoom for i in images])
    shift = np.array([shots[i].shift for i in images])
    extent = high - low
    scale = height / (np.maximum(extent[:, 1], 1.7 * extent[:, 0]) * zoom)
    middle = (low + high) / 2
    feet = np.stack(
        [
            width * (0.5 + shift[:, 0]) - middle[:, 0] * scale,
            height * (0.5 + shift[:, 1]) + middle[:, 1] * scale,
        ],
        axis=1,
    )
    out[0][images], out[1][images] = scale, feet
    corners = [
        feet[:, 0] + low[:, 0] * scale,
        feet[:, 1] - high[:, 1] * scale,
        feet[:, 0] + high[:, 0] * scale,
        feet[:, 1] - low[:, 1] * scale,
    ]
    out[2][images] = np.stack(corners, axis=1)
