"""Scanning folders of images whose names say who is seen by which camera, as Market-1501 does."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from reidlab.data.benchmarks.files import folder_names, image_names
from reidlab.data.benchmarks.scan import check_people
from reidlab.data.samples import DISTRACTOR, Sample

NAME = re.compile(r"(-1|\d+)_c(\d+)", re.ASCII)  # 0002_c1s1_000451_03.jpg
EXAMPLE = "0002_c1s1_000451_03.jpg"

Make = Callable[[str, int, int], Sample]  # from path, person and camera

log = logging.getLogger(__name__)


def scan_folders(
    folder: Path, names: Mapping[str, str], make: Make
) -> tuple[dict[str, list[Sample]], list[str], list[str]]:
    """Samples by part, problems and notes of a dataset with one folder of images per part.

    Distractors (0) and junk (-1) are kept in galleries only: there is nobody to learn or to look
    for. Folders that do not exist are passed over; who needs them complains.

    Args:
        folder: the dataset.
        names: part -> its folder.
        make: builds a sample.
    """
    parts: dict[str, list[Sample]] = {}
    where: dict[str, Path] = {}
    problems: list[str] = []
    for part, name in names.items():
        parts[part], wrong = (
            scan_part(folder / name, make) if (folder / name).is_dir() else ([], [])
        )
        problems += wrong
        if parts[part]:
            where[part] = folder / name
    for part in ("train", "query", "validation_query"):
        parts[part] = _real(parts.get(part, []), part)
    wrong, notes = check_people(where, parts)
    return parts, problems + wrong, notes


def scan_part(folder: Path, make: Make) -> tuple[list[Sample], list[str]]:
    """The samples of one folder, and what is wrong with it."""
    try:
        names = image_names(folder)
        if not names:
            return [], [_no_images(folder)]
    except ValueError as error:
        return [], [str(error)]
    base, samples, misnamed = f"{folder}{os.sep}", [], []
    for name in names:
        match = NAME.match(name)
        try:
            if match is None:
                raise ValueError
            samples.append(make(base + name, int(match[1]), int(match[2])))
        except ValueError:  # no such name, or a number with dozens of digits
            misnamed.append(name)
    if not misnamed:
        return samples, []
    return samples, [
        f"{folder}: {len(misnamed)} of {len(names)} image names do not say person and camera, "
        f"for instance {', '.join(misnamed[:3])}; expected names like {EXAMPLE} (person 2, "
        "camera 1): rename or remove them"
    ]


def _no_images(folder: Path) -> str:
    inside = sorted(entry.name for entry in os.scandir(folder))
    message = f"{folder} holds no images, "
    if not inside:
        return message + "it is empty; unpack the dataset again, or make one: `reidlab data make`"
    for name in folder_names(folder):
        if nested := image_names(folder / name):
            return (
                message + f"but its folder {name} holds {len(nested)}, {nested[0]} first; "
                f"move them directly into {folder.name}"
            )
    return message + f"found {', '.join(inside[:5])}; expected files like {EXAMPLE}"


def _real(samples: list[Sample], part: str) -> list[Sample]:
    kept = [sample for sample in samples if sample.pid > DISTRACTOR]
    if len(kept) < len(samples):
        log.info("%d distractors and junk images of %s dropped", len(samples) - len(kept), part)
    return kept
