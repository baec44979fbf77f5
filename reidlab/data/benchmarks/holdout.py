"""Holding people out of training, so that a dataset without validation or test people has some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reidlab.data.samples import DISTRACTOR, Sample

NO_CAMERA, OTHER_CAMERA = 0, 1


def hold_out(
    train: Sequence[Sample], count: int, seed: int, option: str = "validation_ids"
) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Training, query and gallery, once `count` people changed sides.

    With cameras, one image per camera asks and the others are searched. Without (every image says
    camera 0), the first image of a person asks; the others are searched as camera 1, because the
    market protocol removes images of the query's own camera.

    Args:
        train: to take people from.
        count: how many people.
        seed: of the choice of these people.
        option: what the caller calls `count`, for messages.

    Raises:
        ValueError: fewer people than `count` can be held out.
    """
    if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
        raise ValueError(f"expected {option} of 0 or more, got {count!r}")
    by_person: dict[int, list[Sample]] = {}
    for sample in train:
        if sample.pid > DISTRACTOR:
            by_person.setdefault(sample.pid, []).append(sample)
    cameras = not is_without_cameras(train)
    enough = "seen by two cameras" if cameras else "seen in two images"
    fit = [
        pid
        for pid, own in sorted(by_person.items())
        if len({s.camid for s in own} if cameras else own) > 1
    ]
    most = max(0, min(len(fit), len(by_person) - 2))
    if count > most:
        raise ValueError(
            f"{option}={count}, but at most {most} of {len(by_person)} training people can "
            f"be held out ({enough}, and two people left to train)"
        )
    chosen = np.random.default_rng(seed).permutation(fit)[:count].tolist()
    query, gallery = [], []
    for pid in sorted(chosen):
        own = by_person[pid]
        asked = choose_queries([sample.camid for sample in own]) if cameras else {0}
        query += [sample for i, sample in enumerate(own) if i in asked]
        gallery += [sample for i, sample in enumerate(own) if i not in asked]
    held = set(chosen)
    left = [sample for sample in train if sample.pid not in held]
    return left, query, gallery if cameras else as_camera(gallery, OTHER_CAMERA)


def is_without_cameras(samples: Sequence[Sample]) -> bool:
    """Whether nobody knows the cameras: every image says camera 0."""
    return all(sample.camid == NO_CAMERA for sample in samples)


def as_camera(samples: Sequence[Sample], camid: int) -> list[Sample]:
    """The same images, said to be of camera `camid`."""
    return [replace(sample, camid=camid) for sample in samples]


def choose_queries(camids: Sequence[int]) -> set[int]:
    """Positions of one person's images that ask: the first of each camera, while all find a match.

    A match is an image of the gallery, that is one that does not ask, under another camera. With
    two images each under two cameras every camera has its query.

    Args:
        camids: camera of each image; two cameras or more for any query.
    """
    first: dict[int, int] = {}
    for i, camid in enumerate(camids):
        first.setdefault(camid, i)
    counts = {camid: list(camids).count(camid) for camid in first}
    chosen: set[int] = set()
    for camid in sorted(first, key=lambda c: (-counts[c], c)):
        left = [c for i, c in enumerate(camids) if i not in chosen | {first[camid]}]
        asking = {camids[i] for i in chosen} | {camid}
        if all(any(other != own for other in left) for own in asking):
            chosen.add(first[camid])
    return chosen
