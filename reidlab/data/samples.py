"""The records that describe a dataset: one image, four splits, one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, overload

import torch
from torch import Tensor

DISTRACTOR, JUNK = 0, -1
LARGEST = 2**63  # labels become int64


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of one person, labels as on disk.

    Args:
        path: the image file.
        pid: person id; 0 is a distractor (a plain negative), -1 is junk (ignored by protocols).
        camid: camera id, as on disk (Market-1501 counts from 1).
        viewid: viewpoint id, where a dataset has one.
        attributes: column -> code, for instance `{"hat": 2}`.
        caption: a sentence that describes the person.

    Raises:
        ValueError: `pid`, `camid` or `viewid` is not an integer, or below the smallest that has a
            meaning.
    """

    path: Path
    pid: int
    camid: int
    viewid: int | None = None
    attributes: Mapping[str, int] | None = None
    caption: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        for name, smallest in (("pid", JUNK), ("camid", 0), ("viewid", 0)):
            if name == "viewid" and self.viewid is None:
                continue
            value = getattr(self, name)
            try:
                value = value.__index__()
            except AttributeError:
                raise ValueError(f"{self.path}: {name} must be an integer, got {value!r}") from None
            if not smallest <= value < LARGEST:
                raise ValueError(
                    f"{self.path}: {name} must be at least {smallest} and below 2**63, got {value}"
                )
            object.__setattr__(self, name, value)


class Samples(list[Sample]):
    """A list of `Sample` that remembers the dataset it was cut from: cameras, views and name.

    A slice keeps them, so that a camera has one number in every part of a dataset.
    """

    def __init__(
        self,
        samples: Iterable[Sample] = (),
        cameras: Sequence[int] = (),
        source: str = "",
        views: Sequence[int] = (),
    ) -> None:
        """Keep `samples`; without `cameras` or `views`, those that occur in them, sorted."""
        super().__init__(samples)
        self.cameras = list(cameras) or _cameras(self)
        self.views = list(views) or _views(self)
        self.source = source

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Sample | Samples:
        """One sample, or a slice that remembers the same dataset."""
        if isinstance(index, slice):
            return Samples(super().__getitem__(index), self.cameras, self.source, self.views)
        return super().__getitem__(index)

    def __add__(self, other: list[Sample]) -> Samples:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Both lists in a row, with the cameras and views of both."""
        cameras = sorted({*self.cameras, *cameras_of(other)})
        views = sorted({*self.views, *views_of(other)})
        return Samples([*self, *other], cameras, self.source, views)

    def copy(self) -> Samples:
        """A list of its own that remembers the same dataset."""
        return self[:]


def cameras_of(samples: Sequence[Sample]) -> list[int]:
    """Camera ids as on disk, sorted: position in this list is the zero-based id."""
    return samples.cameras if isinstance(samples, Samples) else _cameras(samples)


def views_of(samples: Sequence[Sample]) -> list[int]:
    """View ids as on disk, sorted, empty where nobody knows the views; read like `cameras_of`."""
    return samples.views if isinstance(samples, Samples) else _views(samples)


def _cameras(samples: Sequence[Sample]) -> list[int]:
    return sorted({sample.camid for sample in samples})


def _views(samples: Sequence[Sample]) -> list[int]:
    return sorted({sample.viewid for sample in samples if sample.viewid is not None})


def training_ids(samples: Sequence[Sample]) -> list[int]:
    """Person ids to learn, sorted: position in this list is the class. Distractors and junk out."""
    return sorted({sample.pid for sample in samples if sample.pid > DISTRACTOR})


@dataclass(frozen=True)
class Splits:
    """A dataset: who trains, who validates, who asks and who is searched.

    Args:
        train: samples to learn from.
        query: one sample per question.
        gallery: samples that are ranked; distractors (0) and junk (-1) included.
        validation: a pair (query, gallery) of people who are in no other split; may be empty.
        name: shown in tables.
        fingerprint: short hash of names and labels; computed when not given.
        cameras: sorted camera ids of all splits; computed when not given.
        views: sorted view ids of all splits, empty where nobody knows the views; computed when
            not given.
        labelled: False where nobody says who is who; every image then has a `pid` of its own.

    Raises:
        ValueError: a validation person is also in another split.
    """

    train: list[Sample]
    query: list[Sample]
    gallery: list[Sample]
    validation: tuple[list[Sample], list[Sample]] = ([], [])
    name: str = "dataset"
    fingerprint: str = ""
    cameras: list[int] = field(default_factory=list)
    views: list[int] = field(default_factory=list)
    labelled: bool = True

    def __post_init__(self) -> None:
        parts = self._parts()
        held_out = people(self.validation[0]) | people(self.validation[1])
        for part in ("train", "query", "gallery"):
            if shared := held_out & people(parts[part]):
                raise ValueError(
                    f"{self.name}: {len(shared)} validation people are also in {part}, "
                    f"for instance {min(shared)}; every person belongs to one side only"
                )
        every = [sample for part in parts.values() for sample in part]
        cameras, views = self.cameras or _cameras(every), self.views or _views(every)
        wrapped = {name: Samples(part, cameras, self.name, views) for name, part in parts.items()}
        for name in ("train", "query", "gallery"):
            object.__setattr__(self, name, wrapped[name])
        pair = (wrapped["validation query"], wrapped["validation gallery"])
        object.__setattr__(self, "validation", pair)
        object.__setattr__(self, "cameras", list(cameras))
        object.__setattr__(self, "views", list(views))
        object.__setattr__(self, "fingerprint", self.fingerprint or _digest(wrapped))

    def _parts(self) -> dict[str, list[Sample]]:
        return {
            "train": self.train,
            "validation query": self.validation[0],
            "validation gallery": self.validation[1],
            "query": self.query,
            "gallery": self.gallery,
        }

    def __str__(self) -> str:
        """The fingerprint table: images, people and cameras per split."""
        rows = [("split", "images", "people", "cameras")]
        for name, part in self._parts().items():
            cameras = len({sample.camid for sample in part})
            persons = f"{len(people(part)):,}" if self.labelled else "-"
            rows.append((name, count_images(part), persons, str(cameras)))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  " + "  ".join(f"{row[i]:>{widths[i]}}" for i in (1, 2, 3))
            for row in rows
        ]
        rule = "-" * len(lines[0])
        head = f"{self.name}, fingerprint {self.fingerprint}"
        return "\n".join([head, rule, lines[0], rule, *lines[1:], rule])

    def __repr__(self) -> str:
        """One line with the sizes."""
        sizes = ", ".join(f"{name} {len(part)}" for name, part in self._parts().items())
        return f"Splits({self.name!r}, {sizes}, fingerprint {self.fingerprint})"


def people(samples: Sequence[Sample]) -> set[int]:
    """Ids of real people: without distractors and junk."""
    return {sample.pid for sample in samples if sample.pid > DISTRACTOR}


def count_images(samples: Sequence[Sample]) -> str:
    """Number of images, junk apart: `15,913 + 3,819 junk`."""
    junk = sum(sample.pid == JUNK for sample in samples)
    return f"{len(samples) - junk:,}" + (f" + {junk:,} junk" if junk else "")


def _digest(parts: Mapping[str, Sequence[Sample]]) -> str:
    lines = sorted(
        f"{name}/{sample.path.name} {sample.pid} {sample.camid}"
        + ("" if sample.viewid is None else f" {sample.viewid}")
        for name, part in parts.items()
        for sample in part
    )
    text = "\n".join(lines).encode(errors="surrogateescape")  # file names may be no valid text
    return hashlib.sha256(text).hexdigest()[:12]


@dataclass(frozen=True)
class Batch:
    """What a loss receives. B images; labels are zero-based.

    Args:
        images: (B, 3, H, W) float, normalised.
        pids: (B,) int64 in 0..C-1, in the sorted order of the training ids.
        camids: (B,) int64 in 0..cameras-1, in the sorted order of the dataset's cameras.
        index: (B,) int64, position of each image in the list of samples.
        viewids: (B,) int64, where the dataset has views.
        attributes: column -> (B,) int64 codes, where the dataset has attributes.

    Raises:
        ValueError: the labels are not one per image.
    """

    images: Tensor
    pids: Tensor
    camids: Tensor
    index: Tensor
    viewids: Tensor | None = None
    attributes: Mapping[str, Tensor] | None = None

    def __post_init__(self) -> None:
        labels = {"pids": self.pids, "camids": self.camids, "index": self.index}
        labels |= {"viewids": self.viewids} if self.viewids is not None else {}
        labels |= dict(self.attributes or {})
        for name, label in labels.items():
            if label.shape != self.images.shape[:1]:
                got = tuple(label.shape)
                raise ValueError(f"expected {name} ({len(self.images)},), one per image, got {got}")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        fields: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in self.__dict__.items()
        }
        if self.attributes is not None:
            fields["attributes"] = {k: v.to(device) for k, v in self.attributes.items()}
        return Batch(**fields)
