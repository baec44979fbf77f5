"""Everything that is wrong with a dataset, at once: labels, names, links, and every image decoded.

A side is training, validation or test; a picture is the bytes of an image file.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from reidlab.data.benchmarks.folders import NAME
from reidlab.data.benchmarks.holdout import is_without_cameras
from reidlab.data.benchmarks.scan import PARTS, Scan
from reidlab.data.decoding import read_image
from reidlab.data.findings import Finding, Report, place
from reidlab.data.images import in_threads
from reidlab.data.packs import MANIFEST, is_recorded, pack_complaint, read_manifest
from reidlab.data.samples import DISTRACTOR, Sample, people

SIDES = {
    "train": "training",
    "validation_query": "validation",
    "validation_gallery": "validation",
    "query": "test",
    "gallery": "test",
}
LARGE = 4_000_000  # pixels; more looks like a whole photograph
STRETCHED = 8.0  # times longer than wide, or wider than long

Use = tuple[str, Sample]  # a part, and a sample in it


class Look(NamedTuple):
    """What one file turned out to be: a complaint, or a digest and a size in pixels."""

    complaint: str = ""
    digest: bytes = b""
    size: tuple[int, int] = (0, 0)  # width, height


def inspect(scan: Scan, *, progress: bool = False) -> Report:
    """All that is wrong, doubtful or good to know about a scanned dataset.

    Every image is decoded once, by threads, and its bytes are hashed; 30,000 crops take about ten
    seconds of a core.

    Args:
        scan: what lies in the dataset's folder.
        progress: show a bar.
    """
    uses = [(part, sample) for part in PARTS for sample in scan.parts.get(part, ())]
    paths = list(dict.fromkeys(sample.path for _, sample in uses))
    looks = in_threads(look_at, paths, label="checking images", progress=progress)
    seen = dict(zip(paths, looks, strict=True))
    findings = [
        *(Finding("refused", problem) for problem in scan.problems),
        *(Finding("reader", note) for note in scan.notes),
        *_pictures(seen),
        *_links(scan.folder, seen),
        *_spellings(scan.folder, paths),
        *_repeated(scan, uses, seen),
        *_rendering(scan.folder, seen),
        *(_labels(scan, uses) if scan.labelled else ()),
    ]
    return Report(scan.name, scan.folder, len(paths), findings)


def look_at(path: Path) -> Look:
    """Decode and hash one image file."""
    try:
        size = read_image(path).size
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except ValueError as error:
        return Look(complaint=str(error).removeprefix(f"{path}: "))
    except OSError as error:  # gone between decoding and hashing
        return Look(complaint=f"cannot be read ({error.strerror})")
    return Look(digest=digest, size=size)


def _pictures(seen: dict[Path, Look]) -> Iterator[Finding]:
    """Images that cannot be read, or look unlike a crop of a person."""
    for path, look in seen.items():
        width, height = look.size
        if look.complaint:
            yield Finding("unreadable", look.complaint, path)
        elif width * height > LARGE:
            yield Finding("large", f"{width}x{height} pixels; is it a whole photograph?", path)
        elif max(width / height, height / width) > STRETCHED:
            yield Finding("shape", f"{width}x{height} pixels; is the crop right?", path)


def _links(folder: Path, seen: dict[Path, Look]) -> Iterator[Finding]:
    """Links beside the images that lead nowhere, apart from the images themselves."""
    for directory in dict.fromkeys([folder, *(path.parent for path in seen)]):
        try:
            with os.scandir(directory) as entries:
                links = sorted(entry.path for entry in entries if entry.is_symlink())
        except OSError:  # the reader has said so, or its images could not be read
            continue
        for link in links:
            if Path(link) not in seen and not os.path.exists(link):
                target = os.readlink(link)
                yield Finding("link", f"leads to {target}, which is not there", Path(link))


def _spellings(folder: Path, paths: Sequence[Path]) -> Iterator[Finding]:
    """Paths that Windows and macOS take for one: equal but for capitals or the form of accents."""
    first: dict[str, Path] = {}
    for path in paths:
        shown = place(path, folder)
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", shown).casefold())
        other = first.setdefault(plain, path)
        if other != path:
            why = f"Windows and macOS confuse it with {place(other, folder)}; rename one"
            yield Finding("spelling", why, path)


def _repeated(scan: Scan, uses: Sequence[Use], seen: dict[Path, Look]) -> Iterator[Finding]:
    """The same picture, or the same name, more than once."""
    by_digest: dict[bytes, list[Use]] = defaultdict(list)
    by_name: dict[str, dict[bytes, Path]] = defaultdict(dict)
    listed: set[tuple[str, Path]] = set()
    for part, sample in uses:
        look = seen[sample.path]
        if (part, sample.path) in listed:
            yield Finding("listed", f"again in {part}, as {_who(sample)}", sample.path)
        elif not look.complaint:
            by_digest[look.digest].append((part, sample))
            if NAME.match(sample.path.name):  # other names need not be unique
                by_name[sample.path.name].setdefault(look.digest, sample.path)
        listed.add((part, sample.path))
    for own in by_digest.values():
        if len(own) > 1:
            yield _copies(scan, own)
    for same in by_name.values():
        for other in list(same.values())[1:]:
            first = place(next(iter(same.values())), scan.folder)
            yield Finding("names", f"another picture than {first}; rename one", other)


def _copies(scan: Scan, uses: Sequence[Use]) -> Finding:
    """What it means that all these are one picture; public benchmarks are not ours to mend."""
    (_, first), *others = uses
    level = "warning" if scan.benchmark else ""
    shown = [f"{place(s.path, scan.folder)} ({_who(s)})" for _, s in others[:3]]
    shown += [f"{len(others) - 3} more"] if others[3:] else []
    same = f"{_who(first)}; the same bytes: {', '.join(shown)}"
    if len({SIDES[part] for part, _ in uses}) > 1:
        return Finding("leak", f"{same}; keep it on one side", first.path, level)
    if scan.labelled and len(people([sample for _, sample in uses])) > 1:
        return Finding("conflict", f"{same}; only one can be right", first.path, level)
    return Finding("copies", same, first.path)


def _who(sample: Sample) -> str:
    name = {0: "distractor", -1: "junk"}.get(sample.pid, f"person {sample.pid}")
    return f"{name}, camera {sample.camid}"


def _rendering(folder: Path, seen: dict[Path, Look]) -> Iterator[Finding]:
    """How a dataset made by this package differs from its manifest."""
    manifest = read_manifest(folder)
    if manifest is None:
        yield from _shards(folder)
        return
    from reidlab.data.synthetic.dataset import validate

    for file, entry in manifest.rows.items():
        path = folder / file
        if not os.path.lexists(path):
            yield Finding("changed", f"missing, but listed in {MANIFEST}", path)
        elif not is_recorded(path, entry) and not seen.get(path, Look()).complaint:
            yield Finding("changed", "another picture than the one that was rendered", path)
    for path in seen:
        if path.is_relative_to(folder) and path.relative_to(folder).as_posix() not in manifest.rows:
            yield Finding("changed", f"not listed in {MANIFEST}; remove it", path)
    for reason in dict.fromkeys([validate(folder), pack_complaint(folder, manifest)]):
        if reason.startswith("it was drawn by version"):
            yield Finding("version", f"{reason}; `reidlab data make` renders a new one")
        elif reason:
            yield Finding("changed", f"{reason}; make it again: `reidlab data make --overwrite`")


def _shards(folder: Path) -> Iterator[Finding]:
    """How a rendered set without labels differs from its manifest."""
    from reidlab.data.synthetic.shards import contents_differ, damage, read_unlabelled_manifest

    for shard in (read_unlabelled_manifest(folder) or {}).get("shards", ()):
        if reason := damage(folder, shard) or contents_differ(folder, shard):
            yield Finding("changed", f"{reason}; remove the folder and make the set again")


def _labels(scan: Scan, uses: Sequence[Use]) -> Iterator[Finding]:
    """People and cameras: who is on two sides, who finds nobody, who is seen but once."""
    yield from _two_sides(uses)
    parts = {part: scan.parts.get(part, []) for part in PARTS}
    for query, gallery in (("query", "gallery"), ("validation_query", "validation_gallery")):
        yield from _unmatched(parts[query], parts[gallery])
    train = parts["train"]
    if not train:
        return
    own: dict[int, list[Sample]] = defaultdict(list)
    for sample in train:
        if sample.pid > DISTRACTOR:
            own[sample.pid].append(sample)
    for pid, images in sorted(own.items()):
        if len(images) == 1:
            yield Finding("one image", f"person {pid}: no pair to learn from", images[0].path)
    if is_without_cameras(train):
        return
    for pid, images in sorted(own.items()):
        if len(images) > 1 and len({sample.camid for sample in images}) == 1:
            yield Finding("one camera", f"person {pid}: {len(images)} images, {_camera(images)}")
    known = {sample.camid for sample in train}
    for part in ("query", "gallery"):
        for camid in sorted({sample.camid for sample in parts[part]} - known):
            yield Finding("cameras", f"camera {camid}, in {part}: its colours will be new")


def _camera(images: Sequence[Sample]) -> str:
    return f"all under camera {images[0].camid}"


def _two_sides(uses: Sequence[Use]) -> Iterator[Finding]:
    sides: dict[int, dict[str, int]] = defaultdict(dict)
    for part, sample in uses:
        if sample.pid > DISTRACTOR:
            own = sides[sample.pid]
            own[SIDES[part]] = own.get(SIDES[part], 0) + 1
    for pid, own in sorted(sides.items()):
        if len(own) > 1:
            shown = ", ".join(f"{count} in {side}" for side, count in own.items())
            yield Finding("people", f"person {pid}: {shown}; scores will flatter")


def _unmatched(query: Sequence[Sample], gallery: Sequence[Sample]) -> Iterator[Finding]:
    cameras: dict[int, set[int]] = defaultdict(set)
    for sample in gallery:
        cameras[sample.pid].add(sample.camid)
    missing = [s for s in query if s.pid > DISTRACTOR and not cameras[s.pid] - {s.camid}]
    for sample in missing:
        seen = cameras[sample.pid]
        why = "only under its own camera" if seen else "no image at all"
        message = f"{_who(sample)}: {why} in the gallery; it is not scored"
        yield Finding("unmatched", message, sample.path)
