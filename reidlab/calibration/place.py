"""What a calibration set leaves behind, so that other places can be compared with it.

A few numbers and the mean feature, instead of the images: see `shift` for what they are for.

Shapes: N images, P people, D columns, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from reidlab.calibration.pairs import Floats, Integers, as_numpy
from reidlab.data.samples import DISTRACTOR
from reidlab.embedding import Embeddings
from reidlab.ranking import cosine_distance

MOST_IMAGES = 4096  # of either side; 8 million pairs say all there is to say
LEAST_PEOPLE = 8  # fewer people cannot be split in more than a few ways
BLOCK = 512  # rows of distances held at once


@dataclass(frozen=True)
class Place:
    """What is kept of a calibration set for comparing other places with it.

    Args:
        centre: (D,) mean of its unit features.
        radius: median distance among its images.
        share: pairs of its images that are closer, about one half.
        people: how many it has.
        images_per_person: on average.
        centre_spread: how far the centres of two sets of people lie apart at most, but for a share
            of 1 - `level`, in units of sqrt(1/n + 1/m) for n and m people.
        share_spread: the same for the share of close pairs.
        level: one minus the rate of false alarms of both together.
        source: the data.
    """

    centre: tuple[float, ...]
    radius: float
    share: float
    people: int
    images_per_person: float
    centre_spread: float
    share_spread: float
    level: float
    source: str = ""


def describe_place(
    gallery: Embeddings, *, resamples: int = 1000, level: float = 0.99, seed: int = 0
) -> Place:
    """What comparing other places with this one needs, a few numbers.

    Distractors and junk are left out: how many there are differs from set to set.

    Args:
        gallery: N embeddings with person ids; more than 4,096 images are thinned out at random.
        resamples: random halves to split the people into.
        level: one minus the rate of false alarms on other people of the same place.
        seed: of the splits and of the thinning.

    Raises:
        ValueError: fewer than 8 people, `resamples` below 1, or `level` outside (0, 1).
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(
            f"expected resamples of at least 1 and level between 0 and 1, got {resamples}, {level}"
        )
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(as_numpy(gallery.pids) > DISTRACTOR)
    people = len(np.unique(as_numpy(gallery.pids)[known]))
    if people < LEAST_PEOPLE:
        raise ValueError(
            f"expected a gallery of at least {LEAST_PEOPLE} people to calibrate on, got {people}; "
            "so few cannot say how much people differ"
        )
    chosen = thin_out(known, rng)
    unit = gallery[chosen].normalized().features
    member = np.unique(as_numpy(gallery.pids)[chosen], return_inverse=True)[1]  # (N,)
    radius = _median_distance(unit, rng)
    close = _close_by_person(unit, member, radius)  # (P, P)
    sizes = np.bincount(member).astype(np.float64)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    sums = np.zeros((len(sizes), unit.shape[1]))  # (P, D)
    np.add.at(sums, member, unit.cpu().numpy())
    half = _halves(len(sizes), resamples, rng)
    gaps = np.stack([_centre_gaps(sums, sizes, half), _share_gaps(close, pairs, half)])  # (2, R)
    limits = np.maximum(np.quantile(gaps, level, axis=1), 1e-9)  # where nobody differs: any does
    both = np.quantile((gaps / limits[:, None]).max(axis=0), level)  # two chances to be large
    centre_spread, share_spread = (limits * both * np.sqrt(len(sizes) / 4)).tolist()
    return Place(
        centre=tuple((sums.sum(axis=0) / sizes.sum()).tolist()),
        radius=radius,
        share=float(close.sum() / pairs.sum()),
        people=len(sizes),
        images_per_person=len(known) / people,
        centre_spread=centre_spread,
        share_spread=share_spread,
        level=level,
        source=gallery.source,
    )


def thin_out(positions: Integers, rng: np.random.Generator) -> Integers:
    """`positions`, or 4,096 of them at random, in their order."""
    if len(positions) <= MOST_IMAGES:
        return positions
    return np.sort(rng.choice(positions, MOST_IMAGES, replace=False))


def distances_of(unit: Tensor) -> Iterator[Tensor]:
    """Distances of all images to all, some rows at a time; exactly 0 from each to itself."""
    for start in range(0, len(unit), BLOCK):
        block = cosine_distance(unit[start : start + BLOCK], unit)
        block.diagonal(start).zero_()
        yield block


def _median_distance(unit: Tensor, rng: np.random.Generator) -> float:
    """Median distance of different images, from all to all or to 512 of them at random."""
    rows = np.sort(rng.permutation(len(unit))[:BLOCK])
    distance = cosine_distance(unit[rows], unit).cpu().numpy()
    others = np.ones(distance.shape, bool)
    others[np.arange(len(rows)), rows] = False
    return float(np.median(distance[others]))


def _close_by_person(unit: Tensor, member: Integers, radius: float) -> Floats:
    """(P, P) ordered pairs of different images within the radius, by the people of both."""
    people = int(member.max()) + 1
    found = np.zeros((people, people))
    start = 0
    for block in distances_of(unit):
        rows = member[start : start + len(block)]
        line, column = (block <= radius).nonzero().cpu().numpy().T
        code = rows[line] * people + member[column]
        found += np.bincount(code, minlength=people**2).reshape(people, people)
        start += len(block)
    return found - np.diag(np.bincount(member))  # an image is no pair with itself


def _halves(people: int, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, P) ones for a random half of the people, zeros for the other."""
    shuffled = rng.permuted(np.tile(np.arange(people), (resamples, 1)), axis=1)
    return (shuffled < people // 2).astype(np.float64)


def _share_gaps(close: Floats, pairs: Floats, half: Floats) -> Floats:
    """(R,) difference in the share of close pairs between both halves, from (P, P) counts."""

    def share(members: Floats) -> Floats:
        within = [np.einsum("rp,rp->r", members @ table, members) for table in (close, pairs)]
        return within[0] / within[1]

    return np.abs(share(half) - share(1 - half))


def _centre_gaps(sums: Floats, sizes: Floats, half: Floats) -> Floats:
    """(R,) distance between the mean features of both halves, from sums per person (P, D)."""
    gap = np.zeros(len(half))
    for columns in np.array_split(sums, max(1, sums.shape[1] // 256), axis=1):
        first = half @ columns / (half @ sizes)[:, None]
        second = (1 - half) @ columns / ((1 - half) @ sizes)[:, None]
        gap += ((first - second) ** 2).sum(axis=1)
    return np.sqrt(gap)
