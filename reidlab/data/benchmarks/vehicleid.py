"""VehicleID: vehicles without camera labels, three sizes of test."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from reidlab.data.benchmarks.facts import VEHICLEID, Benchmark, compare_counts
from reidlab.data.benchmarks.files import missing_files, read_pairs
from reidlab.data.benchmarks.holdout import NO_CAMERA, OTHER_CAMERA
from reidlab.data.benchmarks.scan import Scan, check_people
from reidlab.data.samples import Sample

LISTS, IMAGES = "train_test_split", "image"
SIZES = (800, 1600, 2400)

Row = tuple[str, int]  # path and vehicle


def is_vehicleid(folder: Path) -> bool:
    """Whether `train_test_split/train_list.txt` lies there."""
    return (folder / LISTS / "train_list.txt").is_file()


def scan_vehicleid(
    folder: Path,
    benchmark: Benchmark | None = None,
    *,
    variant: int | str = SIZES[0],
    seed: int = 0,
) -> Scan:
    """The images that `train_list.txt` and `test_list_SIZE.txt` name.

    As published, one random image of each test vehicle is searched and the others ask; papers
    repeat this ten times, here `seed` decides. Nobody knows the cameras: training images and
    queries say camera 0, the gallery says camera 1, so that the market protocol, which removes
    images of the query's own camera, removes nothing.

    Args:
        folder: the dataset.
        benchmark: ignored, there is but this one.
        variant: number of test vehicles, 800, 1600 or 2400.
        seed: of the choice of the gallery.

    Raises:
        ValueError: no such variant.
    """
    if str(variant) not in map(str, SIZES):
        shown = ", ".join(map(str, SIZES))
        raise ValueError(f"VehicleID has no variant {variant!r}; it understands: {shown}")
    problems, rows = [], {}
    for part, name in (("train", "train_list.txt"), ("test", f"test_list_{variant}.txt")):
        try:
            rows[part], wrong = _read_list(folder / LISTS / name, folder / IMAGES)
            problems += wrong
        except ValueError as error:
            rows[part] = []
            problems.append(str(error))
    shift = int(any(pid == 0 for own in rows.values() for _, pid in own))  # 0 would be a distractor
    query, gallery = _draw(rows["test"], seed)
    parts = {
        "train": _samples(rows["train"], NO_CAMERA, shift),
        "query": _samples(query, NO_CAMERA, shift),
        "gallery": _samples(gallery, OTHER_CAMERA, shift),
    }
    test = folder / LISTS / f"test_list_{variant}.txt"
    where = {"train": folder / LISTS / "train_list.txt", "query": test, "gallery": test}
    wrong, notes = check_people({p: w for p, w in where.items() if parts[p]}, parts)
    if rows["test"] and not query:
        wrong.append(f"{test} lists one image per vehicle; nothing is left to ask with")
    notes += compare_counts(VEHICLEID, str(variant), parts)
    title = f"VehicleID ({variant})"
    return Scan(folder, title, parts, problems + wrong, notes, VEHICLEID)


def _read_list(path: Path, images: Path) -> tuple[list[Row], list[str]]:
    rows, lines = [], []
    for number, name, pid in read_pairs(path):
        file = name if Path(name).suffix else f"{name}.jpg"  # the lists leave the ending out
        rows.append((f"{images}{os.sep}{file}", pid))
        lines.append((number, rows[-1][0]))
    return rows, missing_files(path, lines)


def _draw(rows: list[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """Queries and gallery: one random image per vehicle is searched."""
    by_vehicle: dict[int, list[int]] = {}
    for i, (_, pid) in enumerate(rows):
        by_vehicle.setdefault(pid, []).append(i)
    rng = np.random.default_rng(seed)
    chosen = {own[rng.integers(len(own))] for _, own in sorted(by_vehicle.items())}
    query = [row for i, row in enumerate(rows) if i not in chosen]
    return query, [row for i, row in enumerate(rows) if i in chosen]


def _samples(rows: list[Row], camid: int, shift: int) -> list[Sample]:
    return [Sample(Path(path), pid + shift, camid) for path, pid in rows]
