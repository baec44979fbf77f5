"""Folders of images of which nobody says who they show: LUPerson, or any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reidlab.data.benchmarks.facts import LUPERSON, Benchmark, benchmark_called, compare_counts
from reidlab.data.benchmarks.files import nested_images
from reidlab.data.benchmarks.scan import Scan
from reidlab.data.packs import MANIFEST
from reidlab.data.samples import Sample


def is_unlabelled(folder: Path) -> bool:
    """Whether a manifest or the folder's name says so: images alone could also lack labels."""
    return bool(_manifest(folder)) or (
        folder.is_dir() and benchmark_called(folder, [LUPERSON]) is not None
    )


def scan_unlabelled(folder: Path, benchmark: Benchmark | None = None) -> Scan:
    """All images in `folder` and below, sorted by path, each a person of its own (1 to N).

    That is what self-supervised methods learn from: every image is a class. There is no query, no
    gallery and no camera (all say 0).
    """
    manifest = _manifest(folder)
    problems, notes, samples = [], [], []
    try:
        images = nested_images(folder / "images" if manifest else folder)
        if manifest:  # numbered: 999 comes before 1000
            images = sorted(images, key=lambda path: (len(str(path)), str(path)))
        samples = [Sample(Path(path), pid, 0) for pid, path in enumerate(images, start=1)]
    except (OSError, ValueError) as error:
        problems.append(str(error))
    if not samples and not problems:
        problems.append(f"{folder} holds no images, nor does any folder in it")
    if manifest and manifest.get("count") not in (None, len(samples)):
        notes.append(
            f"{folder} has {len(samples):,} images, but its {MANIFEST} counts "
            f"{manifest['count']}: it is unfinished, or images were lost or added"
        )
    benchmark = benchmark or benchmark_called(folder, [LUPERSON])
    parts = {"train": samples, "query": [], "gallery": []}
    notes += compare_counts(benchmark, "", parts)
    title = benchmark.title if benchmark else str(manifest.get("name") or folder.name)
    return Scan(folder, title, parts, problems, notes, benchmark, labelled=False)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a rendered set without labels; empty when there is none."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    unlabelled = isinstance(content, dict) and content.get("kind") == "unlabelled"
    return content if unlabelled else {}
