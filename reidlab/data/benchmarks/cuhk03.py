"""CUHK03 under the new protocol (767 and 700 people): prepared folders, or the original files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reidlab.data.benchmarks.facts import CUHK03, Benchmark, compare_counts
from reidlab.data.benchmarks.files import child, image_names, missing_files
from reidlab.data.benchmarks.matfile import extract_images
from reidlab.data.benchmarks.scan import Scan, check_people
from reidlab.data.market import FOLDERS, scan_market
from reidlab.data.samples import Sample

VARIANTS = ("labeled", "detected")
ARCHIVE = "cuhk-03.mat"
RELEASE = "cuhk03_release"
PREPARED = "cuhk03-np"
PARTS = {"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}


def is_cuhk03(folder: Path) -> bool:
    """Whether prepared folders, the original file, or images taken out of it lie there."""
    return any(_prepared(folder, v) or _images_known(folder, v) for v in VARIANTS)


def scan_cuhk03(
    folder: Path,
    benchmark: Benchmark | None = None,
    *,
    variant: str = "detected",
    progress: bool = False,
) -> Scan:
    """The split of the new protocol, with boxes drawn by people or found by a detector.

    Prepared folders (`cuhk03-np/labeled/bounding_box_train`, ...) are read as they are. From the
    original `cuhk-03.mat` the images are taken out once, into `images_labeled` or
    `images_detected` beside it, under the names that `cuhk03_new_protocol_config_labeled.mat` or
    `..._detected.mat` lists; that file says who is who.

    Args:
        folder: holds either form.
        benchmark: ignored, there is but this one.
        variant: "labeled" (drawn by people) or "detected" (by a detector, as papers mostly do).
        progress: show a bar while images are taken out.

    Raises:
        ValueError: no such variant, or neither form is there.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"CUHK03 has no variant {variant!r}; it understands: {', '.join(VARIANTS)}"
        )
    title = f"CUHK03 ({variant})"
    if prepared := _prepared(folder, variant):
        return scan_market(prepared, CUHK03, name=title, variant=variant)
    if not _images_known(folder, variant):
        raise ValueError(
            f"{folder} holds no CUHK03 of variant {variant!r}: expected {variant} with "
            f"{', '.join(list(FOLDERS.values())[:3])}, or {ARCHIVE} with {_config_name(variant)}"
        )
    parts, problems = _read_original(folder, variant, progress)
    where = {part: _config_name(variant) for part in PARTS if parts.get(part)}
    wrong, notes = check_people(where, parts)
    notes += compare_counts(CUHK03, variant, parts)
    return Scan(folder, title, parts, problems + wrong, notes, CUHK03)


def _prepared(folder: Path, variant: str) -> Path | None:
    for top in (folder, folder / PREPARED):
        if (found := child(top, variant)) and (found / FOLDERS["train"]).is_dir():
            return found
    return None


def _images_known(folder: Path, variant: str) -> bool:
    return _find(folder, ARCHIVE) is not None or (folder / f"images_{variant}").is_dir()


def _find(folder: Path, name: str) -> Path | None:
    """The file in `folder`, or in the release's own folder below it."""
    release = child(folder, RELEASE)
    return child(folder, name) or (release and child(release, name))


def _config_name(variant: str) -> str:
    return f"cuhk03_new_protocol_config_{variant}.mat"


def _read_original(
    folder: Path, variant: str, progress: bool
) -> tuple[dict[str, list[Sample]], list[str]]:
    images = folder / f"images_{variant}"
    config = _find(folder, _config_name(variant))
    try:
        if config is None:
            raise ValueError(
                f"{folder / _config_name(variant)} is missing: it says who is who under the new "
                "protocol; it is at https://github.com/zhunzhong07/person-re-ranking"
            )
        content = _read_config(config)
        archive = _find(folder, ARCHIVE)
        if not (images.is_dir() and image_names(images)):
            if archive is None:
                raise ValueError(f"{images} is empty and there is no {ARCHIVE} to fill it from")
            extract_images(archive, variant, images, progress=progress)
        parts = {part: _samples(images, content, key) for part, key in PARTS.items()}
    except ValueError as error:
        return {}, [str(error)]
    listed = [(i, str(s.path)) for own in parts.values() for i, s in enumerate(own, start=1)]
    missing = missing_files(config, listed)
    again = f" (or remove {images}: its images are taken out of {ARCHIVE} again)"
    return parts, [sentence + again for sentence in missing]


def _read_config(path: Path) -> Mapping[str, Any]:
    """The fields of a configuration, flat: indices from 1, labels, cameras and names by image."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
        names = [str(np.asarray(name).ravel()[0]) for name in content["filelist"].ravel()]
        flat: dict[str, Any] = {"filelist": names}
        for key in (*PARTS.values(), "labels"):
            flat[key] = content[key].ravel().astype(np.int64)
        cameras = content["camId"].ravel() if "camId" in content else _cameras(names)
        flat["camId"] = np.asarray(cameras, dtype=np.int64)
    except KeyError as error:
        raise ValueError(f"{path} has no field {error}; it is not the new protocol's") from None
    except Exception as error:  # damage shows itself in every way a parser can fail
        raise ValueError(f"{path} cannot be read ({error}); obtain it again") from None
    lengths = {key: len(flat[key]) for key in ("filelist", "labels", "camId")}
    indices = np.concatenate([flat[key] for key in PARTS.values()])
    if len(set(lengths.values())) > 1 or not len(indices):
        raise ValueError(f"{path} is inconsistent: {lengths}, {len(indices)} images in use")
    if indices.min() < 1 or indices.max() > len(names) or flat["labels"].min() < 1:
        raise ValueError(
            f"{path} points at image {indices.max()} of {len(names)}, or at people below 1"
        )
    return flat


def _cameras(names: list[str]) -> list[int]:
    return [int(name.split("_")[2]) for name in names]  # 1_001_2_06.png: second camera of a pair


def _samples(images: Path, content: Mapping[str, Any], key: str) -> list[Sample]:
    rows = content[key] - 1
    names, labels, cameras = content["filelist"], content["labels"], content["camId"]
    return [Sample(images / names[i], int(labels[i]), int(cameras[i])) for i in rows]
