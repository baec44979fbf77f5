"""MSMT17, version 1 and 2: people under 15 cameras, split by list files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from reidlab.data.benchmarks.facts import MSMT17, Benchmark, compare_counts
from reidlab.data.benchmarks.files import child, missing_files, read_pairs
from reidlab.data.benchmarks.scan import Scan, check_people
from reidlab.data.samples import Sample

VARIANTS = {  # folder, images of training, images of test
    "v1": ("MSMT17_V1", "train", "test"),
    "v2": ("MSMT17_V2", "mask_train_v2", "mask_test_v2"),
}
LISTS = {
    "train": "list_train.txt",
    "validation": "list_val.txt",
    "query": "list_query.txt",
    "gallery": "list_gallery.txt",
}
NAME = re.compile(r"\d+_\d+_(\d+)_", re.ASCII)  # 0000_000_01_0303morning_0015_0.jpg: camera 1
FIRST_PERSON = 1  # the lists count from 0, which means a distractor elsewhere


@dataclass(frozen=True)
class _Listed:
    """One list file: path, person, camera and line number of each image."""

    file: Path
    rows: list[tuple[str, int, int, int]]

    def samples(self, offset: int) -> list[Sample]:
        return [Sample(Path(path), pid + offset, camid) for path, pid, camid, _ in self.rows]


def is_msmt17(folder: Path) -> bool:
    """Whether a version lies in `folder` or below it."""
    return any(_find(folder, variant) for variant in VARIANTS)


def scan_msmt17(
    folder: Path,
    benchmark: Benchmark | None = None,
    *,
    variant: str | None = None,
    with_validation: bool = True,
) -> Scan:
    """The images that the lists name, with the camera from the third field of their names.

    People count from 1, and those of the test from where those of training end: the lists count
    both from 0, although they show different people.

    Args:
        folder: `MSMT17_V1`, `MSMT17_V2`, or the folder that holds them.
        benchmark: given when the dataset is asked for by its name, not by its path.
        variant: "v1", "v2" (faces blurred), or None for the one that the path
            names, else the one that is there, version 1 first.
        with_validation: train on the val list as well, as published transformers do; both lists
            show the same people.

    Raises:
        ValueError: no such variant, or it is not there.
    """
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"MSMT17 has no variant {variant!r}; it understands: v1, v2")
    there = [name for name in VARIANTS if _find(folder, name)]
    if not there or variant not in (None, *there):
        wanted = [VARIANTS[name] for name in VARIANTS if variant in (None, name)]
        expected = " or ".join(f"{top} with {train} and {test}" for top, train, test in wanted)
        raise ValueError(f"{folder} does not hold MSMT17: expected {expected} and the list files")
    by_path = [name for name in there if folder.name.upper() == VARIANTS[name][0]]
    named = by_path[0] if by_path and benchmark is None else None  # a path, not "msmt17"
    chosen = variant or named or there[0]
    notes = []
    if not (variant or named) and len(there) > 1:
        notes.append(
            f"{folder} holds both versions; version 1 is read, variant='v2' chooses the other"
        )
    top, train, test = _find(folder, chosen) or (folder, folder, folder)
    lists, problems = _read_lists(top, train, test, with_validation)
    parts = _parts(lists, with_validation)
    where = {part: lists[part].file for part in ("train", "query", "gallery") if part in lists}
    wrong, known = check_people({p: f for p, f in where.items() if parts[p]}, parts)
    key = "with validation" if with_validation else "without validation"
    notes += known + compare_counts(MSMT17, key, parts)
    return Scan(top, f"MSMT17 {chosen.upper()}", parts, problems + wrong, notes, MSMT17)


def _find(folder: Path, variant: str) -> tuple[Path, Path, Path] | None:
    """The version's folder with its two folders of images: `folder`, one in it, or beside it."""
    name, *images = VARIANTS[variant]
    beside = folder.parent if folder.name.upper().startswith("MSMT17_V") else None
    for top in (folder, child(folder, name), beside and child(beside, name)):
        if top is None or not top.is_dir():
            continue
        if top.name.upper() != name and not any(child(top, file) for file in LISTS.values()):
            continue
        train, test = (child(top, image_folder) for image_folder in images)
        if train and test and train.is_dir() and test.is_dir():
            return top, train, test
    return None


def _read_lists(
    top: Path, train: Path, test: Path, with_validation: bool
) -> tuple[dict[str, _Listed], list[str]]:
    """The lists that can be read, and what is wrong with them."""
    lists, problems = {}, []
    for part, name in LISTS.items():
        path = child(top, name)
        if path is None and part == "validation" and not with_validation:
            continue
        try:
            images = test if part in ("query", "gallery") else train
            lists[part], wrong = _read_list(path or top / name, images)
            problems += wrong
        except ValueError as error:
            problems.append(str(error))
    return lists, problems


def _read_list(path: Path, images: Path) -> tuple[_Listed, list[str]]:
    rows = []
    for number, name, pid in read_pairs(path):
        match = NAME.match(name.rpartition("/")[2])
        if match is None:
            raise ValueError(
                f"{path}, line {number}: expected a name like "
                f"0000/0000_000_01_0303morning_0015_0.jpg (camera 1), found {name!r}"
            )
        rows.append((f"{images}{os.sep}{name}", pid, int(match[1]), number))
    return _Listed(path, rows), missing_files(path, [(row[3], row[0]) for row in rows])


def _parts(lists: dict[str, _Listed], with_validation: bool) -> dict[str, list[Sample]]:
    learned = [lists[part] for part in ("train", "validation") if part in lists]
    people = max((row[1] for listed in learned for row in listed.rows), default=-1) + 1
    used = learned if with_validation else [lists["train"]] if "train" in lists else []
    return {
        "train": [sample for listed in used for sample in listed.samples(FIRST_PERSON)],
        **{
            part: lists[part].samples(FIRST_PERSON + people) if part in lists else []
            for part in ("query", "gallery")
        },
    }
