"""Poor crops: what a detector delivers when it goes wrong.

Junk boxes (pid -1) belong to every labelled set. Beyond them any shot can be spoiled in one of
five ways, so that unlabelled sets hold what a filter has to find.
"""

from dataclasses import replace

import numpy as np

from reidlab.data.synthetic.person import Person
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.shots import Difficulty, Shot, sample_shot

KINDS = ("cut", "two", "empty", "blur", "tiny")
"""Bodies cut by the box, two people, nobody, heavy blur, crops enlarged from a few pixels."""

USUAL_SHARE = {"a": 0.0, "b": 0.0, "c": 0.25}
"""Share of poor crops in an unlabelled set of each world, unless another is asked for."""


def spoil(shot: Shot, kind: str, *, rng: np.random.Generator, stranger: Person) -> Shot:
    """The shot, gone wrong.

    Args:
        shot: an ordinary detection.
        kind: one of `KINDS`.
        rng: the only source of randomness.
        stranger: who stands beside the person where there are two.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "cut":
        return _cut(shot, rng)
    if kind == "two":
        return _two(shot, stranger, _sign(rng), rng)
    if kind == "empty":
        zoom, shift = float(rng.uniform(0.6, 1.1)), (0.0, float(rng.uniform(-0.25, 0.25)))
        return replace(shot, person=None, bystander=None, zoom=zoom, shift=shift)
    if kind == "blur":
        return replace(shot, defocus=_defocus(rng))
    if kind == "tiny":
        return replace(shot, detail=float(rng.uniform(0.13, 0.20)))
    raise ValueError(f"unknown kind of poor crop {kind!r}; choose one of {', '.join(KINDS)}")


def sample_junk(
    person: Person | None,
    camera: Camera,
    *,
    rng: np.random.Generator,
    difficulty: Difficulty,
    bystander: Person | None = None,
) -> Shot:
    """A detection of a person too poor to count (pid -1).

    One of: mostly background, the legs alone, half of the body, or (with `bystander`) two people
    with an equal share of the box.
    """
    shot = sample_shot(person, camera, rng=rng, difficulty=difficulty)
    case = int(rng.integers(4 if bystander is not None else 3))
    sign = _sign(rng)
    if case == 0:
        shift = (sign * float(rng.uniform(0.2, 0.4)), float(rng.uniform(-0.1, 0.15)))
        return replace(shot, zoom=float(rng.uniform(1.7, 2.3)), shift=shift)
    if case == 1:
        return _legs(shot, rng)
    if case == 2:
        return _half(shot, sign, rng)
    return _two(shot, bystander, sign, rng)


def _sign(rng: np.random.Generator) -> float:
    return float(rng.choice([-1, 1]))


def _cut(shot: Shot, rng: np.random.Generator) -> Shot:
    """Legs, half of the body, or head and shoulders alone."""
    case, sign = int(rng.integers(3)), _sign(rng)
    if case == 0:
        return _legs(shot, rng)
    if case == 1:
        return _half(shot, sign, rng)
    shift = (float(rng.normal(0, 0.08)), float(rng.uniform(0.5, 0.7)))
    return replace(shot, zoom=float(rng.uniform(0.5, 0.7)), shift=shift)


def _legs(shot: Shot, rng: np.random.Generator) -> Shot:
    shift = (float(rng.normal(0, 0.08)), -float(rng.uniform(0.5, 0.65)))
    return replace(shot, zoom=float(rng.uniform(0.6, 0.8)), shift=shift)


def _half(shot: Shot, sign: float, rng: np.random.Generator) -> Shot:
    return replace(shot, shift=(sign * float(rng.uniform(0.42, 0.55)), 0.0))


def _two(shot: Shot, other: Person | None, sign: float, rng: np.random.Generator) -> Shot:
    """Both with an equal share of the box."""
    at = (sign * float(rng.uniform(0.42, 0.55)), float(rng.choice([-0.4, 0.4])))
    return replace(shot, bystander=other, bystander_at=at, shift=(-sign * 0.22, 0.0), zoom=1.2)


def _defocus(rng: np.random.Generator) -> tuple[float, float]:
    """Out of focus, or a long streak of motion, with equal chances."""
    if rng.random() < 0.5:
        sigma = float(rng.uniform(2.6, 4.2))
        return sigma, sigma
    return float(rng.uniform(4.5, 7.5)), 0.8
