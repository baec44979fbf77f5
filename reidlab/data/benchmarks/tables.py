"""CSV files that list images: `path, pid, camid[, viewid, split]`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reidlab.data.benchmarks.facts import Benchmark
from reidlab.data.benchmarks.files import is_number, missing_files, read_text
from reidlab.data.benchmarks.holdout import NO_CAMERA, OTHER_CAMERA, as_camera
from reidlab.data.benchmarks.scan import PARTS, Scan, check_people, drop_nobody
from reidlab.data.samples import JUNK, Sample

NEEDED, OPTIONAL = ("path", "pid", "camid"), ("viewid", "split")
MOST = 20  # problems that are listed one by one


@dataclass
class _Table:
    """What was read so far."""

    file: Path
    parts: dict[str, list[Sample]] = field(default_factory=lambda: {part: [] for part in PARTS})
    lines: list[tuple[int, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_table(path: Path) -> bool:
    """Whether this is a CSV file, by its name."""
    return path.suffix.lower() == ".csv" and path.is_file()


def scan_table(path: Path, benchmark: Benchmark | None = None) -> Scan:
    """The images that a CSV file lists, in its order.

    The first line names the columns, in any order. `path` is relative to the file's own folder;
    `pid` and `camid` are whole numbers (0 is a distractor, -1 junk, as in Market-1501); `viewid`
    may be empty; `split` is train, query, gallery, validation_query or validation_gallery, and
    everything trains where there is no such column. Where every image says the same camera the
    market protocol would remove every match, so training images and queries then say camera 0 and
    galleries camera 1.
    """
    table = _Table(path)
    try:
        _read(table, read_text(path))
    except ValueError as error:
        table.problems.append(str(error))
    _without_cameras(table)
    table.problems += missing_files(path, table.lines)
    table.notes += _repeated(table) + drop_nobody(table.parts, path)
    where = {part: f"{path}, split {part}" for part, own in table.parts.items() if own}
    problems, notes = check_people(where, table.parts)
    if not table.lines and not table.problems:
        table.problems.append(f"{path} lists no images")
    _cap(table)
    return Scan(
        path,
        path.stem,
        table.parts,
        table.problems + problems,
        table.notes + notes,
        benchmark,
    )


def _read(table: _Table, text: str) -> None:
    rows = _rows(table.file, text)
    _, names = next(rows, (1, []))
    header = [name.strip().lower() for name in names]
    _check_header(table, header)
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            table.problems.append(
                f"{table.file}, line {line}: expected {len(header)} columns "
                f"({', '.join(header)}), found {len(row)}"
            )
            continue
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        _read_row(table, line, cells)


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their last line."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise ValueError(
            f"{file}, line {rows.line_num}: {error}; expected a CSV file with commas between the "
            "columns and every quote closed"
        ) from None


def _check_header(table: _Table, header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing or twice:
        what = f"missing: {', '.join(missing)}" if missing else f"twice: {', '.join(twice)}"
        raise ValueError(
            f"{table.file}, line 1: expected the columns {', '.join(NEEDED)} and, if known, "
            f"{', '.join(OPTIONAL)}, separated by commas, found {', '.join(header)[:80]!r}; {what}"
        )
    if unknown := [name for name in header if name not in NEEDED + OPTIONAL]:
        table.notes.append(f"{table.file}: columns that nobody reads: {', '.join(unknown)}")


def _read_row(table: _Table, line: int, cells: dict[str, str]) -> None:
    wrong = _wrong_cell(cells)
    if wrong is not None:
        column, expected = wrong
        table.problems.append(
            f"{table.file}, line {line}, column {column}: expected {expected}, found "
            f"{cells[column][:80]!r}"
        )
        return
    path = _locate(table.file, cells["path"])
    view = cells.get("viewid")
    sample = Sample(
        Path(path), int(cells["pid"]), int(cells["camid"]), viewid=int(view) if view else None
    )
    table.parts[cells.get("split", "train")].append(sample)
    table.lines.append((line, path))


def _locate(file: Path, cell: str) -> str:
    """The image that a cell names, relative to the table; written on Windows, it is found, too."""
    path = os.path.normpath(os.path.join(os.path.dirname(file), cell))
    if "\\" in cell and os.sep == "/" and not os.path.lexists(path):
        return _locate(file, cell.replace("\\", "/"))
    return path


def _repeated(table: _Table) -> list[str]:
    """A note when an image is listed more than once."""
    first: dict[str, int] = {}
    again = [(line, path) for line, path in table.lines if first.setdefault(path, line) != line]
    if not again:
        return []
    line, path = again[0]
    return [
        f"{table.file}: {len(again):,} images are listed more than once, for instance {path} in "
        f"lines {first[path]} and {line}; they are read each time"
    ]


def _wrong_cell(cells: dict[str, str]) -> tuple[str, str] | None:
    """The first column that reads badly, and what was expected there."""
    if not cells["path"]:
        return "path", "an image file"
    if cells["pid"] != str(JUNK) and not is_number(cells["pid"]):
        return "pid", "a whole number, -1 for junk"
    if not is_number(cells["camid"]):
        return "camid", "a whole number, 0 or more"
    if cells.get("viewid") and not is_number(cells["viewid"]):
        return "viewid", "a whole number, 0 or more, or nothing"
    if cells.get("split", "train") not in PARTS:
        return "split", f"one of {', '.join(PARTS)}"
    return None


def _without_cameras(table: _Table) -> None:
    """Give galleries a camera of their own where all images say the same."""
    cameras = {sample.camid for own in table.parts.values() for sample in own}
    if len(cameras) != 1:
        return
    for part, own in table.parts.items():
        camid = OTHER_CAMERA if part.endswith("gallery") else NO_CAMERA
        table.parts[part] = as_camera(own, camid)
    if table.parts["gallery"] or cameras != {NO_CAMERA}:
        table.notes.append(
            f"{table.file}: every image says camera {cameras.pop()}, so nobody knows the cameras; "
            "galleries say camera 1 and all others camera 0, so that matches count"
        )


def _cap(table: _Table) -> None:
    if more := len(table.problems) - MOST:
        if more > 0:
            del table.problems[MOST:]
            table.problems.append(f"{table.file}: {more} more problems of this kind")
