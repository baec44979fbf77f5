"""Attributes of synthetic people on disk: Market-1501's `.mat`, CSV tables, captions."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io

Labels = Mapping[str, int]

COLUMNS = (
    "age", "backpack", "bag", "handbag", "clothes", "down", "up", "hair", "hat", "gender",
    "upblack", "upwhite", "upred", "uppurple", "upyellow", "upgray", "upblue", "upgreen",
    "downblack", "downwhite", "downpink", "downpurple", "downyellow", "downgray", "downblue",
    "downgreen", "downbrown",
)  # fmt: skip
"""The 27 columns, in the order of the CSV files and of the `.mat` file's `test` struct."""

TRAIN_COLUMNS = (
    "age", "backpack", "bag", "handbag",
    "downblack", "downblue", "downbrown", "downgray", "downgreen", "downpink", "downpurple",
    "downwhite", "downyellow", "upblack", "upblue", "upgreen", "upgray", "uppurple", "upred",
    "upwhite", "upyellow", "clothes", "down", "up", "hair", "hat", "gender",
)  # fmt: skip
"""The same columns in the order of the `.mat` file's `train` struct: readers must go by name."""

MAT_HEADER = b"MATLAB 5.0 MAT-file, written by reidlab"  # instead of scipy's, which holds the time


def write_mat(path: Path, train: Mapping[int, Labels], test: Mapping[int, Labels]) -> None:
    """`market_attribute.mat` as published for Market-1501, from person id -> column -> code."""
    content = {"test": _struct(test, COLUMNS), "train": _struct(train, TRAIN_COLUMNS)}
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"market_attribute": content})
    path.write_bytes(MAT_HEADER.ljust(116) + buffer.getvalue()[116:])


def _struct(people: Mapping[int, Labels], order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One 1xN uint8 row per column and a 1xN cell of four-character ids, people in sorted order."""
    pids = sorted(people)
    fields = {name: np.array([[people[pid][name] for pid in pids]], np.uint8) for name in order}
    cells = np.empty((1, len(pids)), dtype=object)
    cells[0, :] = [f"{pid:04d}" for pid in pids]
    return fields | {"image_index": cells}


def write_csv(path: Path, people: Mapping[int, Labels]) -> None:
    """A table with a header, `id` and the 27 columns; one row per person."""
    lines = [",".join(("id", *COLUMNS))]
    lines += [
        ",".join(str(value) for value in (pid, *(people[pid][name] for name in COLUMNS)))
        for pid in sorted(people)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_captions(path: Path, captions: Mapping[int, str]) -> None:
    """A table with a header, `id` and `caption`; one row per person."""
    lines = ["id,caption", *(f'{pid},"{captions[pid]}"' for pid in sorted(captions))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def describe(labels: Labels) -> str:
    """One sentence that says what the labels say, and nothing else."""
    nouns = (
        ("boy", "teenage boy", "man", "old man"),
        ("girl", "teenage girl", "woman", "old woman"),
    )
    noun = nouns[labels["gender"] - 1][labels["age"] - 1]
    start = "An" if noun[0] in "aeiou" else "A"
    hair = ("short", "long")[labels["hair"] - 1]
    sleeves = ("long", "short")[labels["up"] - 1]
    length = ("long", "short")[labels["down"] - 1]
    lower = "skirt" if labels["clothes"] == 1 else "trousers"
    article = "a " if lower == "skirt" else ""
    worn = f"a {_color(labels, 'up')} top with {sleeves} sleeves and "
    worn += f"{article}{length} {_color(labels, 'down')} {lower}"
    if labels["hat"] == 2:
        worn += ", and a hat"
    things = [f"a {thing}" for thing in ("backpack", "bag", "handbag") if labels[thing] == 2]
    carried = f", carrying {' and '.join(things)}" if things else ""
    return f"{start} {noun} with {hair} hair, wearing {worn}{carried}."


def _color(labels: Labels, garment: str) -> str:
    """The name of the one colour of `garment` ("up" or "down"); all columns 1 mean several."""
    names = [name for name in COLUMNS if name.startswith(garment) and name != garment]
    found = [name.removeprefix(garment) for name in names if labels[name] == 2]
    return found[0] if found else "multicoloured"
