"""VeRi-776: vehicles under 20 cameras, with the viewpoint where key-point files say it."""

from __future__ import annotations

from pathlib import Path

from reidlab.data.benchmarks.facts import VERI, Benchmark, benchmark_called, compare_counts
from reidlab.data.benchmarks.files import is_number, read_text
from reidlab.data.benchmarks.folders import scan_folders
from reidlab.data.benchmarks.scan import Scan
from reidlab.data.samples import Sample

FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
KEY_POINTS = ("keypoint_train.txt", "keypoint_test.txt")
VIEWS = 8  # 0 to 7


def is_veri776(folder: Path) -> bool:
    """Whether the three folders lie there."""
    return all((folder / name).is_dir() for name in FOLDERS.values())


def scan_veri776(folder: Path, benchmark: Benchmark | None = None) -> Scan:
    """The folders `image_train`, `image_query` and `image_test`; cameras c001 to c020.

    The view (0 to 7) of an image is the last number of its line in `keypoint_train.txt` or
    `keypoint_test.txt`, which others published for these images and which lie beside the folders.
    Images without a line keep their place with no view; published code leaves them out.
    """
    benchmark = benchmark or benchmark_called(folder, [VERI])
    problems = [
        f"{folder / name} is missing; unpack the dataset again"
        for name in FOLDERS.values()
        if not (folder / name).is_dir()
    ]
    views, wrong = _read_views(folder)

    def make(path: str, pid: int, camid: int) -> Sample:
        return Sample(Path(path), pid, camid, viewid=views.get(Path(path).name))

    parts, misnamed, notes = scan_folders(folder, FOLDERS, make)
    if views:
        every = [sample for part in parts.values() for sample in part]
        if without := sum(sample.viewid is None for sample in every):
            notes.append(
                f"{folder}: {without:,} of {len(every):,} images are not in "
                f"{' or '.join(KEY_POINTS)}; they are kept without a view"
            )
    notes += compare_counts(benchmark, "", parts)
    title = benchmark.title if benchmark else folder.name
    return Scan(folder, title, parts, problems + wrong + misnamed, notes, benchmark)


def _read_views(folder: Path) -> tuple[dict[str, int], list[str]]:
    """View by file name, and what is wrong with the key-point files."""
    views: dict[str, int] = {}
    problems = []
    for path in (folder / name for name in KEY_POINTS if (folder / name).is_file()):
        try:
            lines = read_text(path).splitlines()
        except ValueError as error:
            problems.append(str(error))
            continue
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) > 1 and is_number(words[-1]) and int(words[-1]) < VIEWS:
                views[words[0].replace("\\", "/").rpartition("/")[2]] = int(words[-1])
            elif words:
                problems.append(
                    f"{path}, line {number}: expected an image, its key points and its view "
                    f"(0 to {VIEWS - 1}), found {line.strip()[:80]!r}"
                )
                break
    return views, problems
