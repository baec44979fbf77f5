"""Attributes of people on disk: Market-1501's `.mat` file and the course's CSV tables.

`read_attributes` gives an `AttributeTable`, `write_csv` and `write_mat` put one back. What the
columns mean, and the heads of a network that predicts them, stands in `heads`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path

import numpy as np

from reidlab.data.attribute_csv import csv_rows
from reidlab.data.attribute_mat import PARTS, mat_rows
from reidlab.data.heads import (
    COLUMNS,
    HEADS,
    TRAIN_COLUMNS,
    Labels,
    class_weights,
    classes,
    complaint,
    counts,
    labels_of,
    majority,
)
from reidlab.paths import atomic_write

__all__ = [
    "COLUMNS",
    "HEADS",
    "TRAIN_COLUMNS",
    "AttributeTable",
    "Labels",
    "class_weights",
    "classes",
    "counts",
    "labels_of",
    "majority",
    "read_attributes",
    "write_csv",
    "write_mat",
]

MAT_HEADER = b"MATLAB 5.0 MAT-file, written by reidlab"  # instead of scipy's, which holds the time


@dataclass(frozen=True, repr=False)
class AttributeTable(Mapping[int, Labels]):
    """The attributes of many people: `table[pid]["hat"]`. Two tables are equal when their rows are.

    Args:
        rows: person id -> column -> code, kept sorted by person and in the order of `COLUMNS`.
        source: where it came from, for messages.
        places: person id -> where that id stands, e.g. "a.csv, row 17, column id"; readers know it.

    Raises:
        ValueError: a person id that is not an integer above 0, or labels that lack a column, have
            one too many, a code out of range, or two colours for one garment.
    """

    rows: dict[int, dict[str, int]]
    source: str = field(default="", compare=False)
    places: Mapping[int, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        at = f"{self.source}: " if self.source else ""
        for pid, labels in self.rows.items():
            if not isinstance(pid, Integral) or isinstance(pid, bool) or pid < 1:
                raise ValueError(f"{at}expected person ids that are integers above 0, got {pid!r}")
            if problem := complaint(labels):
                raise ValueError(f"{at}person {pid}: {problem}")
        rows = {
            int(pid): {name: int(self.rows[pid][name]) for name in COLUMNS}
            for pid in sorted(self.rows)
        }
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "places", dict(self.places))

    def __getitem__(self, pid: int) -> dict[str, int]:
        """The labels of one person."""
        return self.rows[pid]

    def __iter__(self) -> Iterator[int]:
        """Person ids, ascending."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Number of people."""
        return len(self.rows)

    def place(self, pid: int) -> str:
        """Where the id of a person stands, for messages: file, row and column as far as known."""
        return self.places.get(pid) or f"{self.source or 'the table'}, person {pid}"

    def __repr__(self) -> str:
        """One line: a table of 751 people is too long to show."""
        return f"AttributeTable({len(self)} people, source {self.source!r})"


def read_attributes(path: str | os.PathLike[str], part: str | None = None) -> AttributeTable:
    """The attributes in a file, by person.

    Args:
        path: `market_attribute.mat` as published for Market-1501, or a CSV with the column `id`
            and then the 27 columns in any order, with or without `upmulticolor` and
            `downmulticolor`. An `id` is a person id, or the name of an image that starts with one
            (`0002_c1s1_000451_03.jpg`); images of one person must agree.
        part: "train" or "test" of a `.mat` file; both joined when not given. A CSV has no parts.

    Raises:
        ValueError: the file is missing, damaged or of another kind, a column is missing or
            unknown, or a value is not what its column allows. The message names file, row and
            column.

    Source: Lin et al. 2019, "Improving Person Re-identification by Attribute and Identity
    Learning" (arXiv:1703.07220), for the annotation of Market-1501.
    """
    path = Path(path).expanduser()
    if part not in (None, *PARTS):
        raise ValueError(f"{path} has no part {part!r}; expected train, test, or none for both")
    kind = path.suffix.lower()
    if kind == ".mat":
        rows, places = mat_rows(path, (part,) if part else PARTS)
    elif kind != ".csv":
        raise ValueError(f"{path}: expected a .mat or a .csv file, found the ending {kind!r}")
    elif part:
        raise ValueError(f"{path} is a CSV, which has no part {part!r}; leave out part")
    else:
        rows, places = csv_rows(path)
    return AttributeTable(rows, f"{path} ({part})" if part else str(path), places)


def write_csv(path: str | os.PathLike[str], people: Mapping[int, Labels]) -> None:
    """A table with a header, `id` and the 27 columns; one row per person, whole or not at all.

    Args:
        path: the file, replaced if it is there.
        people: an `AttributeTable`, or person id -> column -> code.

    Raises:
        ValueError: labels are not valid, or the file cannot be written.
    """
    lines = [",".join(("id", *COLUMNS))]
    lines += [
        ",".join(str(value) for value in (pid, *labels.values()))
        for pid, labels in _table(people).rows.items()
    ]
    atomic_write(Path(path).expanduser(), "\n".join(lines) + "\n")


def write_mat(
    path: str | os.PathLike[str], train: Mapping[int, Labels], test: Mapping[int, Labels]
) -> None:
    """`market_attribute.mat` as published for Market-1501: the same people give the same bytes.

    Args:
        path: the file, replaced if it is there.
        train: people of the `train` struct: an `AttributeTable`, or person id -> column -> code.
        test: people of the `test` struct; nobody may be in both.

    Raises:
        ValueError: labels are not valid, somebody is in both parts, or the file cannot be written.
    """
    import scipy.io

    train, test = _table(train), _table(test)
    if shared := sorted(set(train) & set(test)):
        raise ValueError(
            f"{len(shared)} people, for instance {shared[0]}, are in train and test; "
            "every person belongs to one part only"
        )
    content = {"test": _struct(test, COLUMNS), "train": _struct(train, TRAIN_COLUMNS)}
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"market_attribute": content})
    atomic_write(Path(path).expanduser(), MAT_HEADER.ljust(116) + buffer.getvalue()[116:])


def _table(people: Mapping[int, Labels]) -> AttributeTable:
    if isinstance(people, AttributeTable):
        return people
    return AttributeTable({pid: dict(labels) for pid, labels in people.items()})


def _struct(people: AttributeTable, order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One 1xN uint8 row per column and a 1xN cell of four-character ids, people in sorted order."""
    fields = {name: np.array([[row[name] for row in people.values()]], np.uint8) for name in order}
    cells = np.empty((1, len(people)), dtype=object)
    cells[0, :] = [f"{pid:04d}" for pid in people]
    return fields | {"image_index": cells}
