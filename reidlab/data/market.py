"""Reading folders laid out like Market-1501: the file name says person and camera."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidlab.data.packs import Manifest, read_manifest
from reidlab.data.samples import DISTRACTOR, Sample, Splits, people

FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
    "validation_query": "validation_query",
    "validation_gallery": "validation_gallery",
}
REQUIRED = ("bounding_box_train", "query", "bounding_box_test")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
NAME = re.compile(r"(-1|\d+)_c(\d+)", re.ASCII)  # 0002_c1s1_000451_03.jpg

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
    this package also brings validation people, attributes and captions.

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
    folder = Path(folder).expanduser().resolve()
    _check_layout(folder)
    manifest = read_manifest(folder)
    known = _Known(manifest)
    parts = {part: _read_part(folder / FOLDERS[part], known) for part in ("train", "query")}
    parts = {part: _real(samples, part) for part, samples in parts.items()}
    parts["gallery"] = _read_part(folder / FOLDERS["gallery"], known)
    for part in ("validation_query", "validation_gallery"):
        exists = (folder / FOLDERS[part]).is_dir()
        parts[part] = _read_part(folder / FOLDERS[part], known) if exists else []
    _check_people(folder, parts)
    if validation_ids:
        parts |= _hold_out(folder, parts, validation_ids, seed)
    title = name or (manifest.content.get("name") if manifest else None) or folder.name
    return Splits(
        train=parts["train"],
        query=parts["query"],
        gallery=parts["gallery"],
        validation=(parts["validation_query"], parts["validation_gallery"]),
        name=title,
        fingerprint="" if validation_ids else known.fingerprint(parts.values()),
    )


class _Known:
    """What a manifest adds to images: attributes and a caption per person, and the fingerprint."""

    def __init__(self, manifest: Manifest | None) -> None:
        content: Mapping[str, Any] = manifest.content if manifest else {}
        self.manifest = manifest
        self.attributes, self.captions = {}, {}
        for pid, person in content.get("people", {}).items():
            self.attributes[int(pid)] = person["attributes"]
            self.captions[int(pid)] = person["caption"]

    def sample(self, path: str, pid: int, camid: int) -> Sample:
        return Sample(
            Path(path),
            pid,
            camid,
            attributes=self.attributes.get(pid),
            caption=self.captions.get(pid),
        )

    def fingerprint(self, parts: Any) -> str:
        """The recorded one when the images are the recorded ones, else empty."""
        if self.manifest is None:
            return ""
        rows = self.manifest.rows
        names = [f"{s.path.parent.name}/{s.path.name}" for part in parts for s in part]
        complete = len(names) == len(rows) and all(name in rows for name in names)
        return self.manifest.content["fingerprint"] if complete else ""


def _read_part(folder: Path, known: _Known) -> list[Sample]:
    names = image_names(folder)
    if not names:
        raise ValueError(_no_images(folder))
    matches = [NAME.match(name) for name in names]
    if misnamed := [name for name, match in zip(names, matches, strict=True) if not match]:
        shown = ", ".join(misnamed[:3])
        raise ValueError(
            f"{folder}: {len(misnamed)} of {len(names)} image names do not say person and camera, "
            f"for instance {shown}; expected names like 0002_c1s1_000451_03.jpg (person 2, "
            "camera 1): rename or remove them"
        )
    labels = [(int(match[1]), int(match[2])) for match in matches if match]
    base = f"{folder}{os.sep}"
    return [known.sample(base + name, *label) for name, label in zip(names, labels, strict=True)]


def image_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files directly in `folder`, sorted."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(EXTENSIONS)
            and not entry.name.startswith(".")  # ._0002_c1.jpg: left behind by macOS archives
            and not entry.is_dir()
        )


def _real(samples: list[Sample], part: str) -> list[Sample]:
    kept = [sample for sample in samples if sample.pid > DISTRACTOR]
    if len(kept) < len(samples):
        log.info("%d distractors and junk images of %s dropped", len(samples) - len(kept), part)
    return kept


def _check_layout(folder: Path) -> None:
    """Raise unless the three folders are there; say where they are instead, if near."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}; expected a folder that holds {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if not (folder / name).is_dir()]
    if not missing:
        return
    found = sorted(child.name for child in folder.iterdir())
    advice = "" if found else "; unpack a dataset there, or make one: `reidlab data make`"
    shown = ", ".join(found[:8]) + (", ..." if found[8:] else "") if found else "nothing"
    message = f"{folder} holds {shown}; expected {', '.join(REQUIRED)}, missing: "
    message += ", ".join(missing) + advice
    if elsewhere := find_market(folder):
        message += f". They lie in {elsewhere}: give that folder"
    raise ValueError(message)


def find_market(folder: Path) -> Path | None:
    """A folder near `folder` that has the three folders: its parent, or one or two levels below."""
    candidates = [folder.parent]
    for pattern in ("*", "*/*"):
        candidates += sorted(child for child in folder.glob(pattern) if child.is_dir())[:200]
    for candidate in candidates:
        if all((candidate / name).is_dir() for name in REQUIRED):
            return candidate
    return None


def _no_images(folder: Path) -> str:
    inside = sorted(child.name for child in folder.iterdir())
    message = f"{folder} holds no images ({', '.join(EXTENSIONS)}), "
    if not inside:
        return message + "it is empty; unpack the dataset again, or make one: `reidlab data make`"
    for child in inside:
        if (folder / child).is_dir() and (nested := image_names(folder / child)):
            return (
                message + f"but its folder {child} holds {len(nested)}, {nested[0]} first; "
                f"move them directly into {folder.name}"
            )
    return message + f"found {', '.join(inside[:5])}; expected files like 0002_c1s1_000451_03.jpg"


def _check_people(folder: Path, parts: Mapping[str, Sequence[Sample]]) -> None:
    train = people(parts["train"])
    if len(train) < 2:
        raise ValueError(
            f"{folder / FOLDERS['train']} shows {len(train)} person in {len(parts['train'])} "
            "images; training needs two people or more: check that the file names start with "
            "different person ids"
        )
    if not parts["query"]:
        raise ValueError(f"{folder / FOLDERS['query']} holds distractors and junk only; no query")
    if shared := train & (people(parts["query"]) | people(parts["gallery"])):
        log.warning(
            "%s: %d people, for instance %d, are in training and test; scores will flatter",
            folder, len(shared), min(shared),
        )  # fmt: skip


def _hold_out(
    folder: Path, parts: Mapping[str, list[Sample]], count: int, seed: int
) -> dict[str, list[Sample]]:
    """Training, validation query and validation gallery, once `count` people changed sides."""
    if count < 1:
        raise ValueError(f"expected validation_ids of 0 or more, got {count}")
    if parts["validation_query"]:
        has = len(people(parts["validation_query"]))
        raise ValueError(
            f"{folder} has validation folders with {has} people already; leave out validation_ids"
        )
    by_person: dict[int, list[Sample]] = {}
    for sample in parts["train"]:
        by_person.setdefault(sample.pid, []).append(sample)
    fit = [pid for pid, own in sorted(by_person.items()) if len({s.camid for s in own}) > 1]
    most = min(len(fit), len(by_person) - 2)
    if count > most:
        raise ValueError(
            f"validation_ids={count}, but at most {most} of {len(by_person)} training people can "
            "be held out (seen by two cameras, and two people left to train)"
        )
    chosen = np.random.default_rng(seed).permutation(fit)[:count].tolist()
    query, gallery = [], []
    for pid in sorted(chosen):
        own = by_person[pid]
        asked = choose_queries([sample.camid for sample in own])
        query += [sample for i, sample in enumerate(own) if i in asked]
        gallery += [sample for i, sample in enumerate(own) if i not in asked]
    held = set(chosen)
    train = [sample for sample in parts["train"] if sample.pid not in held]
    return {"train": train, "validation_query": query, "validation_gallery": gallery}


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
