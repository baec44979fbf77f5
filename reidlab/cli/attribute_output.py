"""What `reidlab attributes` leaves behind: tables as text, CSV and JSON, and pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from reidlab.cli.search import printable
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.paths import atomic_write, make_folder, whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
ENDINGS = {"out": PICTURES, "csv": (".csv",), "json": (".json",), "official": (".mat",)}
LINES = 4  # of text for each image
FIRST = 20  # images, or hits, that are printed

Row = dict[str, Any]


def checked_targets(
    targets: dict[str, Path | None],
    images: Sequence[Path],
    dataset: Path | None,
    overwrite: bool,
) -> dict[str, Path]:
    """Flag -> file to write; complains before the work, not after it.

    Args:
        targets: flag -> name, None where the flag was not given.
        images: image files and folders of them that are read.
        dataset: a folder or file in which nothing is written.
        overwrite: whether files that are there may be replaced.

    Raises:
        ValueError: a wrong ending, a folder, a file that is there, a file that is an input, or a
            picture in a folder of images: it would be one of them the next time.
    """
    found: dict[str, Path] = {}
    for flag, given in targets.items():
        if given is None:
            continue
        path, said = given.expanduser(), f"--{flag} {given}"
        if path.is_dir():
            raise ValueError(f"{said} is a folder; name a file")
        if path.suffix.lower() not in ENDINGS[flag]:
            raise ValueError(f"{said}: expected a name that ends in {', '.join(ENDINGS[flag])}")
        _spare(said, path, [dataset] if dataset else [], True)
        _spare(said, path, images, flag == "out")
        if os.path.lexists(path) and not overwrite:
            raise ValueError(f"{said} is there already; choose another, or add --overwrite")
        found[flag] = path
    for path in found.values():
        make_folder(path.parent)
    return found


def _spare(said: str, path: Path, inputs: Sequence[Path], inside: bool) -> None:
    """Raise if writing `path` would replace an input or, if asked, put a file into one."""
    names = {path.resolve(), path.parent.resolve() / path.name}  # of a link: both ends
    for given in inputs:
        place = given.expanduser().resolve()
        if place in names:
            raise ValueError(f"{said} is one of the inputs; choose another file")
        if inside and any(place in name.parents for name in names):
            raise ValueError(f"{said} lies in {given}, among the inputs; choose a place elsewhere")


def write_picture(figure: Figure, path: Path) -> None:
    """The figure as a file, whole or not at all; the ending says which kind."""
    with whole_file(path) as beside:
        figure.savefig(beside, format=path.suffix[1:].lower(), dpi=150)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Rows with the same keys as a CSV file with a header; every text stands in quotes."""
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    table.writerow(rows[0])
    table.writerows(["" if cell is None else cell for cell in row.values()] for row in rows)
    atomic_write(path, text.getvalue().encode(errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Any plain content as JSON."""
    atomic_write(path, json.dumps(content, indent=2) + "\n")


def flat_rows(predictions: AttributePredictions) -> list[Row]:
    """A row per image: path, person, and of each head the answer and its probability."""
    rows = []
    for i in range(len(predictions)):
        row: Row = {"path": str(predictions.paths[i]), "pid": known(predictions.pids[i])}
        for head, (name, chance) in predictions.names(i).items():
            row |= {head: name, f"{head}_probability": round(chance, 6)}
        rows.append(row)
    return rows


def full_rows(predictions: AttributePredictions) -> list[Row]:
    """The same with the probability of every class, nested, for JSON."""
    tables = {head: table.tolist() for head, table in predictions.probabilities.items()}
    rows = []
    for i in range(len(predictions)):
        heads = {
            head: {
                "answer": name,
                "probabilities": dict(
                    zip(HEADS[head], [round(p, 6) for p in tables[head][i]], strict=True)
                ),
            }
            for head, (name, _) in predictions.names(i).items()
        }
        path, pid = str(predictions.paths[i]), known(predictions.pids[i])
        rows.append({"path": path, "pid": pid, "attributes": heads})
    return rows


def known(label: Tensor) -> int | None:
    """A person's id; None where nobody says who it is."""
    return int(label) if int(label) >= -1 else None


def as_text(predictions: AttributePredictions) -> str:
    """The first images: a name, and below it the attributes in columns."""
    blocks = [_block(predictions, i) for i in range(min(len(predictions), FIRST))]
    if more := len(predictions) - FIRST:
        if more > 0:
            blocks.append(f"... and {more:,} more images; --csv FILE and --json FILE hold all")
    return "\n".join(blocks)


def _block(predictions: AttributePredictions, i: int) -> str:
    cells = [
        f"{head:<10}  {name:<8}  {round(100 * chance):>3} %"
        for head, (name, chance) in predictions.names(i).items()
    ]
    lines = [f"  {'    '.join(cells[row::LINES])}" for row in range(min(LINES, len(cells)))]
    return "\n".join([printable(predictions.paths[i]), *lines])


def say(text: str) -> None:
    """Print what any terminal can show: letters that it lacks become escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
