"""Reading folders laid out like Market-1501: the file name says person and camera."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reidlab.data.benchmarks.facts import (
    CUHK03,
    DUKE,
    MARKET,
    OCCLUDED_DUKE,
    Benchmark,
    benchmark_called,
    compare_counts,
)
from reidlab.data.benchmarks.files import EXTENSIONS, image_names
from reidlab.data.benchmarks.folders import NAME, scan_folders
from reidlab.data.benchmarks.holdout import choose_queries
from reidlab.data.benchmarks.scan import Scan, judge
from reidlab.data.packs import read_manifest
from reidlab.data.samples import Sample, Splits

__all__ = [
    "EXTENSIONS", "FOLDERS", "NAME", "REQUIRED", "choose_queries", "find_market", "image_names",
    "read_market", "scan_market",
]  # fmt: skip

FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
    "validation_query": "validation_query",
    "validation_gallery": "validation_gallery",
}
REQUIRED = ("bounding_box_train", "query", "bounding_box_test")
ATTRIBUTES = "market_attribute.mat"
ATTRIBUTE_TABLES = ("annotations_train.csv", "annotations_test.csv", "annotations_validation.csv")

log = logging.getLogger(__name__)


def read_market(
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    validation_ids: int = 0,
    seed: int = 0,
) -> Splits:
    """The splits of a folder that holds `bounding_box_train`, `query` and `bounding_box_test`.

    Files are taken in sorted order; what has no image extension, or a name that starts with a dot,
    is ignored. Distractors (0000) and junk (-1) stay in the galleries; among training images and
    queries they are dropped, because there is nobody to learn or to look for. A dataset made by
    this package also brings validation people, attributes and captions; a folder that holds
    `market_attribute.mat` or the annotation tables brings attributes.

    Args:
        folder: the dataset.
        name: shown in tables; by default the folder's own.
        validation_ids: training people to hold out for validation, where the dataset has no
            validation folders. One of their images per camera asks, the others are searched.
        seed: of the choice of these people.

    Raises:
        ValueError: folders or images are missing, misplaced or misnamed, or fewer than two people
            are left to train.
    """
    return judge(scan_market(folder, name=name), validation_ids=validation_ids, seed=seed)


def scan_market(
    folder: str | os.PathLike[str],
    benchmark: Benchmark | None = None,
    *,
    name: str | None = None,
    variant: str = "",
) -> Scan:
    """What `read_market` finds, before it judges.

    Args:
        folder: the dataset.
        benchmark: what it should be; by default what the folder's name says.
        name: shown in tables; by default the benchmark's, the manifest's or the folder's own.
        variant: key of the benchmark's counts.
    """
    folder = Path(folder).expanduser().resolve()
    if complaint := _wrong_layout(folder):
        if not any((folder / child).is_dir() for child in REQUIRED):
            return Scan(folder, name or folder.name, {}, [complaint], [], benchmark)
    make, title, notes = _sample_maker(folder)
    if benchmark is None and title is None:  # a rendered set is none, whatever it is called
        benchmark, variant = _benchmark(folder)
    parts, problems, found = scan_folders(folder, FOLDERS, make)
    notes += found + compare_counts(benchmark, variant, parts)
    return Scan(
        folder=folder,
        name=name or (benchmark.title if benchmark else title or folder.name),
        parts=parts,
        problems=[complaint, *problems] if complaint else problems,
        notes=notes + _single_camera(folder, parts),
        benchmark=benchmark,
    )


def _benchmark(folder: Path) -> tuple[Benchmark | None, str]:
    """The benchmark and the variant that the folder's name, or its parent's, speaks of."""
    if folder.name in CUHK03.counts and benchmark_called(folder.parent, [CUHK03]):
        return CUHK03, folder.name
    return benchmark_called(folder, [MARKET, DUKE, OCCLUDED_DUKE]), ""


def _single_camera(folder: Path, parts: Mapping[str, list[Sample]]) -> list[str]:
    cameras = {sample.camid for part in ("query", "gallery") for sample in parts[part]}
    if len(cameras) != 1:
        return []
    return [
        f"{folder}: all test images are of camera {min(cameras)}, and the market protocol removes "
        "matches of the query's own camera; score with protocol='no-camera-filter'"
    ]


def _sample_maker(folder: Path) -> tuple[Any, str | None, list[str]]:
    """A function (path, person, camera) -> Sample that adds what is known; a title; notes."""
    manifest = read_manifest(folder)
    if manifest is None:
        attributes, notes = _attributes(folder)
        captions, title = {}, None
    else:
        content, notes = manifest.content, []
        known = {int(pid): person for pid, person in content.get("people", {}).items()}
        attributes = {pid: person["attributes"] for pid, person in known.items()}
        captions = {pid: person["caption"] for pid, person in known.items()}
        title = content.get("name")

    def make(path: str, pid: int, camid: int) -> Sample:
        known = {"attributes": attributes.get(pid), "caption": captions.get(pid)}
        return Sample(Path(path), pid, camid, **known)

    return make, title, notes


def _attributes(folder: Path) -> tuple[dict[int, Mapping[str, int]], list[str]]:
    """Attributes by person from the annotation files in `folder`, and what is wrong with these."""
    paths = [folder / ATTRIBUTES] if (folder / ATTRIBUTES).is_file() else []
    paths = paths or [folder / name for name in ATTRIBUTE_TABLES if (folder / name).is_file()]
    rows: dict[int, Mapping[str, int]] = {}
    notes = []
    for path in paths:
        from reidlab.data.attributes import read_attributes

        try:
            rows |= read_attributes(path).rows
        except ValueError as error:
            notes.append(f"{error}; images are read without the attributes in {path.name}")
    return rows, notes


def _wrong_layout(folder: Path) -> str:
    """Why the three folders are not there, and where they are instead, if near; else empty."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        return f"{folder} {what}; expected a folder that holds {', '.join(REQUIRED)}"
    missing = [name for name in REQUIRED if not (folder / name).is_dir()]
    if not missing:
        return ""
    try:
        found = sorted(child.name for child in folder.iterdir())
    except OSError as error:
        return f"{folder} cannot be read ({error.strerror}); change its permissions"
    advice = "" if found else "; unpack a dataset there, or make one: `reidlab data make`"
    shown = ", ".join(found[:8]) + (", ..." if found[8:] else "") if found else "nothing"
    message = f"{folder} holds {shown}; expected {', '.join(REQUIRED)}, missing: "
    message += ", ".join(missing) + advice
    if elsewhere := find_market(folder):
        return message + f". They lie in {elsewhere}: give that folder"
    if found and image_names(folder):
        message += "; layout='unlabelled' reads images of which nobody says who they show"
    return message


def find_market(folder: Path) -> Path | None:
    """A folder near `folder` that has the three folders: its parent, or one or two levels below."""
    candidates = [folder.parent]
    for pattern in ("*", "*/*"):
        candidates += sorted(child for child in folder.glob(pattern) if child.is_dir())[:200]
    for candidate in candidates:
        if all((candidate / name).is_dir() for name in REQUIRED):
            return candidate
    return None
