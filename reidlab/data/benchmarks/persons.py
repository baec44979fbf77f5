"""One folder per person: the simplest layout, and what tools prepare for class-per-folder code."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reidlab.data.benchmarks.facts import Benchmark
from reidlab.data.benchmarks.files import folder_names, image_names, is_number
from reidlab.data.benchmarks.holdout import NO_CAMERA, OTHER_CAMERA, as_camera
from reidlab.data.benchmarks.scan import Scan, check_people, drop_nobody
from reidlab.data.samples import DISTRACTOR, JUNK, Sample

log = logging.getLogger(__name__)

CAMERA = re.compile(r"(?:^|_)c(\d{1,9})", re.ASCII)  # 0002_c1s1_000451_03.jpg
ENDING = re.compile(r"(?<!\d)(\d{1,9})$", re.ASCII)
SPLIT = {  # part -> the folder that is read, the first that is there
    "train": ("train_all", "train"),
    "query": ("query",),
    "gallery": ("gallery",),
    "validation_query": ("validation_query",),
    "validation_gallery": ("validation_gallery",),
}
UNUSED = ("val", "multi-query")  # the same people and images as in train_all and gallery
RESERVED = {"bounding_box_train", "bounding_box_test", "query", "gallery", "train", "test", "val"}
RESERVED |= {"train_all", "image", "images", "image_train", "image_query", "image_test", "pytorch"}
LOOKED_AT = 100  # folders, until two of them hold images


@dataclass(frozen=True)
class _Found:
    """One image: its file, the folder that names its person, and the camera in its name."""

    path: Path
    person: str
    camera: str | None


def is_persons(folder: Path) -> bool:
    """Whether two folders or more in it hold images, and no name is that of a part."""
    names = folder_names(folder)
    if RESERVED & {name.lower() for name in names}:
        return False
    holding = (name for name in names[:LOOKED_AT] if image_names(folder / name))
    return next(holding, None) is not None and next(holding, None) is not None


def is_split_persons(folder: Path) -> bool:
    """Whether `train` (or `train_all`), `query` and `gallery` are there, with folders in them."""
    top = _split_top(folder)
    return all(_part_folder(top, part) for part in ("train", "query", "gallery"))


def scan_persons(folder: Path, benchmark: Benchmark | None = None) -> Scan:
    """A folder per person, all of them to train on.

    The folder's name is the identity. Whole numbers are kept as they are (0 is a distractor, -1
    junk, as in Market-1501). Other names keep the numbers that they end in ("person 7"), if all do
    and no two are the same; else they get the numbers after the largest one, in sorted order. The
    camera comes from `_cN` in the file names where all of them have it; else every image says
    camera 0, and people who are held out later (`test_ids`, `validation_ids`) are
    searched as camera 1, so that the market protocol keeps their matches.
    """
    return _scan(folder, {"train": folder}, [], benchmark)


def scan_split_persons(folder: Path, benchmark: Benchmark | None = None) -> Scan:
    """Folders `train`, `query` and `gallery` with a folder per person in each.

    That is also how a known preparation of Market-1501 writes its folder `pytorch`: `train_all`
    is read when it is there, because `val` takes one image from each of its people. Names and
    cameras are read as in `scan_persons`; without cameras the gallery says camera 1.
    """
    top = _split_top(folder)
    found = {part: _part_folder(top, part) for part in SPLIT}
    notes = []
    for name in UNUSED:
        if (top / name).is_dir():
            log.info("%s is not read: its people are those of training or gallery", top / name)
    return _scan(top, {part: path for part, path in found.items() if path}, notes, benchmark)


def _split_top(folder: Path) -> Path:
    return folder / "pytorch" if (folder / "pytorch").is_dir() else folder


def _part_folder(top: Path, part: str) -> Path | None:
    there = (top / name for name in SPLIT[part])
    return next((path for path in there if path.is_dir() and folder_names(path)), None)


def _scan(
    top: Path, folders: Mapping[str, Path], notes: list[str], benchmark: Benchmark | None
) -> Scan:
    found, problems = {}, []
    for part, folder in folders.items():
        try:
            found[part], wrong = _images(folder)
            notes += wrong
        except ValueError as error:
            problems.append(str(error))
    every = [image for own in found.values() for image in own]
    numbers, wrong = _numbers(top, {image.person for image in every})
    problems += wrong
    without = [image for image in every if image.camera is None]
    cameras = bool(every) and not without
    if 0 < len(without) < len(every):
        notes.append(
            f"{top}: {len(without):,} of {len(every):,} file names do not say the camera (_cN), "
            f"for instance {without[0].path.name}; so nobody's camera is used, and matches under "
            "the same camera count"
        )
    parts = {part: _samples(own, numbers, cameras) for part, own in found.items()}
    notes += drop_nobody(parts, top)
    if not cameras:
        for part in ("gallery", "validation_gallery"):
            parts[part] = as_camera(parts.get(part, []), OTHER_CAMERA)
    where = {part: folders[part] for part in found if found[part]}
    wrong, known = check_people(where, parts)
    if not every:
        problems.append(f"{top} holds no folders with images, one per person")
    name = top.parent.name if top.name == "pytorch" else top.name
    return Scan(top, name, parts, problems + wrong, notes + known, benchmark)


def _images(folder: Path) -> tuple[list[_Found], list[str]]:
    found, empty = [], []
    for person in folder_names(folder):
        names = image_names(folder / person)
        if not names:
            empty.append(person)
        for name in names:
            match = CAMERA.search(name)
            found.append(_Found(folder / person / name, person, match[1] if match else None))
    notes = []
    if empty:
        notes.append(
            f"{folder}: {len(empty)} of {len(empty) + len({f.person for f in found})} folders "
            f"hold no images directly, for instance {empty[0]}; they are left out"
        )
    if loose := image_names(folder):
        notes.append(
            f"{folder}: {len(loose)} images lie beside the folders, for instance {loose[0]}; "
            "nobody says who they show, so they are left out"
        )
    return found, notes


def _numbers(top: Path, names: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Person id by folder name."""
    numbers, problems = {}, []
    taken: dict[int, str] = {}
    texts = []
    for name in sorted(names):
        if name != str(JUNK) and not is_number(name):
            texts.append(name)
            continue
        numbers[name] = int(name)
        if (other := taken.setdefault(int(name), name)) != name:
            problems.append(
                f"{top}: the folders {other} and {name} are the same number; rename one, or join "
                "them if they show the same person"
            )
    ends = [ENDING.search(name) for name in texts]
    own = [int(end[1]) for end in ends if end]  # person 7, person 12
    if len(own) == len(texts) == len(set(own) - set(taken) - {DISTRACTOR}):
        return numbers | dict(zip(texts, own, strict=True)), problems
    first = max([DISTRACTOR, *taken]) + 1
    numbers |= {name: number for number, name in enumerate(texts, start=first)}
    return numbers, problems


def _samples(found: list[_Found], numbers: Mapping[str, int], cameras: bool) -> list[Sample]:
    return [
        Sample(
            image.path,
            numbers[image.person],
            int(image.camera) if cameras and image.camera else NO_CAMERA,
        )
        for image in found
    ]
