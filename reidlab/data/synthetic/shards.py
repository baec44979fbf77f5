"""The files of an unlabelled set: shards of images, tables of truth, the manifest.

A shard is rendered beside the others and renamed when it is whole; only then the manifest lists
it. What the manifest does not list, or lists otherwise than it is found, is rendered again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from reidlab.data.packs import FORMAT, MANIFEST
from reidlab.data.synthetic.crowd import Crowd, Snapshot
from reidlab.data.synthetic.options import UnlabelledOptions
from reidlab.data.synthetic.staging import replace_file
from reidlab.data.synthetic.writing import generator_version, shoot

KIND = "unlabelled"
SHARD = 1000  # images per folder
IMAGES, TRUTH, PARTIAL = "images", "truth", ".partial"
NOTE = "truth/ says who is shown and what is wrong: to check a filter such as CFS, NOT to train on"


@dataclass(frozen=True)
class UnlabelledTruth:
    """What is known about one image of an unlabelled set: to check a filter, not to train on.

    Args:
        file: relative to the folder of the set, `images/000/000000.jpg`.
        pid: the person shown, from 1; 0 for nobody.
        camid: from 1.
        poor: how the crop was spoiled, one of `poor.KINDS`; `None` for a good one.
        yaw: degrees, 0 faces the camera; `None` for nobody.
    """

    file: str
    pid: int
    camid: int
    poor: str | None
    yaw: float | None


COLUMNS = tuple(field.name for field in fields(UnlabelledTruth))


def read_unlabelled_manifest(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest of an unlabelled set, or `None` when the folder holds none that can be read."""
    try:
        content = json.loads(Path(folder, MANIFEST).read_text(encoding="utf-8"))
        right = (content["format"], content["kind"]) == (FORMAT, KIND)
        right &= {"generator", "options", "count"} <= set(content)
        return content if right and all(map(_is_entry, content["shards"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_entry(shard: Mapping[str, Any]) -> bool:
    numbers = (shard["images"], shard["bytes"], shard["truth"]["crc32"])
    folder, table = re.fullmatch(f"{IMAGES}/([0-9]+)", shard["folder"]), shard["truth"]["file"]
    right = folder is not None and table == f"{TRUTH}/{folder[1]}.csv"
    return right and all(isinstance(number, int) for number in numbers)


def read_table(folder: Path, shard: Mapping[str, Any]) -> list[UnlabelledTruth]:
    """The truth about the images of one shard.

    Raises:
        ValueError: the table is missing, was changed, or has a row too many or too few.
    """
    path, again = (
        folder / shard["truth"]["file"],
        "make_unlabelled with the same options repairs it",
    )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); {again}") from None
    if zlib.crc32(data) != shard["truth"]["crc32"]:
        raise ValueError(f"{path} has changed since it was written (checksum); {again}")
    rows = csv.DictReader(io.StringIO(data.decode()))
    return [
        UnlabelledTruth(
            row["file"],
            int(row["pid"]),
            int(row["camid"]),
            row["poor"] or None,
            float(row["yaw"]) if row["yaw"] else None,
        )
        for row in rows
    ]


class ShardWriter:
    """Renders the missing shards of a set into its folder, one after the other.

    Args:
        folder: of the set; this process is its only writer.
        options: what to render.
        count: number of images.
        listed: entries of shards that an earlier run finished with the same options; those whose
            files are not as they were left are rendered again.
        device: to render on.
    """

    def __init__(
        self,
        folder: Path,
        options: UnlabelledOptions,
        count: int,
        listed: Sequence[Mapping[str, Any]],
        device: str | torch.device | None = None,
    ) -> None:
        self.folder, self.options, self.count, self.device = folder, options, count, device
        self.crowd = Crowd(options)
        known = {int(Path(shard["folder"]).name): dict(shard) for shard in listed}
        self.finished = {n: shard for n, shard in known.items() if not damage(folder, shard)}

    @property
    def done(self) -> int:
        """Number of images in finished shards."""
        return sum(shard["images"] for shard in self.finished.values())

    def write(self, on_images: Callable[[int], object]) -> None:
        """Everything that is missing; `on_images` hears how many images have come."""
        starts = range(0, self.count, SHARD)
        shards = {i // SHARD: range(i, min(i + SHARD, self.count)) for i in starts}
        self.finished = {
            number: shard
            for number, shard in self.finished.items()
            if number in shards and shard["images"] == len(shards[number])
        }
        on_images(self.done)
        self._save()  # from here on the folder is known as this set
        self._remove_unlisted()
        try:
            for number in sorted(set(shards) - set(self.finished)):
                entry = self._render(number, shards[number], on_images)
                self.finished[number] = entry
                self._save()
        finally:
            shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)

    def _render(
        self, number: int, indices: range, on_images: Callable[[int], object]
    ) -> dict[str, Any]:
        """One shard, put in its place; its entry in the manifest."""
        work, place = self.folder / PARTIAL, self.folder / IMAGES / f"{number:03d}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        snapshots = [self.crowd.snapshot(i) for i in indices]
        known: dict[int, tuple[UnlabelledTruth, bytes]] = {}
        for snapshot, data, yaw in self._photographs(snapshots):
            name = f"{snapshot.index:06d}.jpg"
            (work / name).write_bytes(data)
            file = f"{IMAGES}/{place.name}/{name}"
            row = UnlabelledTruth(file, snapshot.pid, snapshot.camid, snapshot.poor, yaw)
            known[snapshot.index] = row, data
            on_images(1)
        rows, files = zip(*(known[i] for i in indices), strict=True)
        table = _write_table(self.folder / TRUTH / f"{number:03d}.csv", rows)
        place.parent.mkdir(exist_ok=True)
        if place.exists():  # another number of images, or damaged
            shutil.rmtree(place)
        os.rename(work, place)
        whole = b"".join(files)
        entry = {"folder": f"{IMAGES}/{place.name}", "images": len(files)}
        return entry | {"bytes": len(whole), "crc32": zlib.crc32(whole), "truth": table}

    def _photographs(
        self, snapshots: Sequence[Snapshot]
    ) -> Iterator[tuple[Snapshot, bytes, float | None]]:
        """Each snapshot with its JPEG file and yaw; person by person, each painted once."""
        ordered = sorted(snapshots, key=lambda snapshot: snapshot.pid)
        taken = shoot(
            [snapshot.shot for snapshot in ordered],
            self.crowd.network,
            size=self.options.size,
            supersample=self.options.samples,
            device=self.device,
        )
        for snapshot, (data, truth) in zip(ordered, taken, strict=True):
            yield snapshot, data, truth["yaw"]

    def _save(self) -> None:
        """The manifest, whole or as it was before."""
        shards = [self.finished[number] for number in sorted(self.finished)]
        content = {
            "format": FORMAT,
            "kind": KIND,
            "name": f"synthetic-{self.options.world} unlabelled ({self.options.difficulty})",
            "generator": generator_version(),
            "options": self.options.as_dict(),
            "count": self.count,
            "complete": self.done == self.count,
            "truth": NOTE,
        }
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
        rows = ",\n".join(json.dumps(shard) for shard in shards)
        text = "{\n" + ",\n".join(lines) + f',\n"shards": [\n{rows}\n]\n}}\n'
        path = self.folder / MANIFEST
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            replace_file(path, text.encode())

    def _remove_unlisted(self) -> None:
        """Shards and tables of an earlier set, or of a run that was killed."""
        listed = {f"{number:03d}" for number in self.finished}
        for folder in (self.folder / IMAGES, self.folder / TRUTH):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.stem.isdigit() and path.stem not in listed:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_table(path: Path, rows: Sequence[UnlabelledTruth]) -> dict[str, Any]:
    """A CSV file with one row per image; its entry in the manifest."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(astuple(row) for row in rows)
    data = text.getvalue().encode()
    path.parent.mkdir(exist_ok=True)
    path.with_name("README.txt").write_text(f"{NOTE}.\n", encoding="utf-8")
    replace_file(path, data)
    return {"file": f"{TRUTH}/{path.name}", "crc32": zlib.crc32(data)}


def damage(folder: Path, shard: Mapping[str, Any]) -> str:
    """Why the files of a shard are not those that were written; empty when they are.

    Checked are number and sizes of the images and the checksum of the table; contents are not read.
    """
    try:
        with os.scandir(folder / shard["folder"]) as entries:
            sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(".jpg")]
        if (len(sizes), sum(sizes)) != (shard["images"], shard["bytes"]):
            found = f"{len(sizes)} images of {sum(sizes)} bytes"
            return f"{shard['folder']} holds {found}, not {shard['images']} of {shard['bytes']}"
        read_table(folder, shard)
    except OSError as error:
        return f"{shard['folder']} cannot be read ({error.strerror})"
    except ValueError as error:
        return str(error)
    return ""


def contents_differ(folder: Path, shard: Mapping[str, Any]) -> str:
    """Why the images of a shard are not the rendered ones, after reading them; empty when they are.

    Raises:
        OSError: an image cannot be read.
    """
    found = 0
    for path in sorted((folder / shard["folder"]).glob("*.jpg")):
        found = zlib.crc32(path.read_bytes(), found)
    if found != shard["crc32"]:
        return f"{shard['folder']} holds other pictures than those that were rendered there"
    return ""
