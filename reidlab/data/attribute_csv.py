"""From a CSV of annotations to rows by person, with errors that name row and column."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from reidlab.data.attribute_files import ADVICE, Places, Rows, check_names, integer, read_bytes
from reidlab.data.heads import COLORS, COLUMNS, complaint

NO_NAME = ' "\ufeff'  # what may stand around a column's name
MULTI = {"up": "upmulticolor", "down": "downmulticolor"}
IMAGE = re.compile(r"(?:.*[/\\])?([^/\\]+\.(?:jpe?g|png|bmp))", re.IGNORECASE)
CELL = re.compile(r'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^,\n]*+)(?=[,\n]|\Z)')  # quoted or not


def csv_rows(path: Path) -> tuple[Rows, Places]:
    """Person id -> labels, and where that id stands first, from a CSV with a header.

    Raises:
        ValueError: see `read_attributes`.
    """
    (top, header), *body = _cells(path)
    _check_header(f"{path}, row {top}", header)
    rows: Rows = {}
    places: Places = {}
    for number, cells in body:
        where = f"{path}, row {number}"
        _check_width(where, cells, header)
        name, *values = cells
        pid = _person(where, name)
        labels = {c: _code(where, c, v) for c, v in zip(header[1:], values, strict=True)}
        labels = _without_multi(where, labels)
        if problem := complaint(labels):
            raise ValueError(f"{where} (id {name}): {problem}")
        if pid in rows:
            row = places[pid].removeprefix(f"{path}, ").removesuffix(", column id")
            _check_repeated(where, name, labels, rows[pid], f"person {pid} of {row}")
        rows[pid] = labels
        places.setdefault(pid, f"{where}, column id")
    return rows, places


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """Row number (the header is row 1) and cells of each row, empty rows left out."""
    text = _text(path)
    lines = csv.reader(io.StringIO(text), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begin = 0  # line of the text that the row starts with, counted from 0
    try:
        for number, row in enumerate(lines, 1):
            rows.append((number, [cell.strip() for cell in row]))
            begin = lines.line_num
    except csv.Error as error:
        at = _bad_cell(text, sum(len(line) + 1 for line in text.split("\n")[:begin]))
        raise ValueError(
            f"{path}, {_place(text, len(rows) + 1, at)} is no complete CSV ({error}); is a quote "
            f"missing? {ADVICE}"
        ) from None
    if rows := [(number, cells) for number, cells in rows if any(cells)]:
        return rows
    raise ValueError(f"{path} is empty; expected in row 1 a header, id and the 27 columns")


def _text(path: Path) -> str:
    """The text of a file, lines ended by newlines."""
    data = read_bytes(path)
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        good = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        row = good.count(b"\n") + 1
        at = good[good.rfind(b"\n") + 1 :].count(b",")
        raise ValueError(
            f"{path}, {_place(good.decode(errors='replace'), row, at)} is no text in UTF-8 "
            f"(byte {error.start}); expected a CSV with a header"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bad_cell(text: str, start: int) -> int:
    """Which cell of the row that starts there a strict reader refuses, counted from 0."""
    cell = 0
    while found := CELL.match(text, start):
        long = found.end() - start > csv.field_size_limit()
        if long or text[found.end() : found.end() + 1] != ",":
            break
        start, cell = found.end() + 1, cell + 1
    return cell


def _place(text: str, row: int, cell: int) -> str:
    """`row 3, column hat`, or the number of the cell where the header does not name it."""
    header = text.split("\n", 1)[0].split(",")
    if row > 1 and cell < len(header):
        return f"row {row}, column {header[cell].strip(NO_NAME)}"
    return f"row {row}, cell {cell + 1}"


def _check_width(where: str, cells: list[str], header: list[str]) -> None:
    """Raise unless a row has as many cells as the header."""
    if len(cells) == len(header):
        return
    if len(cells) > len(header):
        hint = f"what stands after column {header[-1]} belongs to none"
    elif separator := _separator(cells[0]):
        hint = f"separate cells by commas, not by {separator!r}"
    else:
        hint = f"column {header[len(cells)]} has no cell, is the file cut off?"
    raise ValueError(
        f"{where} has {len(cells)} cells, expected {len(header)} as in the header; {hint}"
    )


def _separator(cell: str) -> str:
    """What somebody may have put in the place of commas, an empty text if nothing."""
    return next((mark for mark in (";", "\t") if mark in cell), "")


def _check_header(where: str, header: list[str]) -> None:
    if header[0] != "id":
        mark = _separator(header[0])
        hint = f"; separate cells by commas, not by {mark!r}" if mark else ""
        raise ValueError(f"{where}: expected the first column id, found {header[0][:60]!r}{hint}")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{where}: column {', '.join(repeated)} stands there more than once")
    multi = MULTI.values() if set(header) & set(MULTI.values()) else ()
    check_names(where, "columns", header, ("id", *COLUMNS, *multi))


def _code(where: str, column: str, cell: str) -> int:
    if (code := integer(cell)) is None:
        found = f"{cell[:40]!r}" if cell else "an empty cell"
        raise ValueError(f"{where}, column {column}: expected an integer, found {found}")
    return code


def _person(where: str, cell: str) -> int:
    """The person id that a cell of the column `id` says, as a number or in an image's name."""
    image = IMAGE.fullmatch(cell)
    if not image:
        if pid := _code(where, "id", cell):
            return pid
        raise ValueError(f"{where}, column id: expected a person id above 0, found {cell}")
    named = re.match(r"(-?\d+)_c\d", image[1])
    if not named:
        raise ValueError(
            f"{where}, column id: the image {cell} does not say who it shows; expected person ids, "
            "or names that start with one, like 0002_c1s1_000451_03.jpg. Images of the course's "
            "test set have no known people, so that their rows belong to nobody"
        )
    if pid := integer(named[1]):
        return pid
    raise ValueError(
        f"{where}, column id: the image {cell} is a distractor or junk and shows no labelled "
        "person; remove its row"
    )


def _without_multi(where: str, labels: dict[str, int]) -> dict[str, int]:
    """Labels without the columns for several colours, which must say what the others say."""
    for garment, column in MULTI.items():
        if column not in labels:
            continue
        worn = [color for color in COLORS[garment] if labels[garment + color] == 2]
        expected = 1 if worn else 2
        if labels[column] != expected:
            said = f"{garment}{worn[0]} is 2" if worn else f"no colour column of {garment} is 2"
            raise ValueError(
                f"{where}, column {column}: found {labels[column]}, expected {expected}, "
                f"because {said}"
            )
    return {name: code for name, code in labels.items() if name not in MULTI.values()}


def _check_repeated(
    where: str, name: str, labels: dict[str, int], known: dict[str, int], earlier: str
) -> None:
    """Raise unless `name` is another image of a person, with the same labels as before."""
    if not IMAGE.fullmatch(name):
        raise ValueError(f"{where}, column id: {name} is {earlier} again; one row per person")
    if differ := [column for column in COLUMNS if labels[column] != known[column]]:
        raise ValueError(
            f"{where}, column {differ[0]}: {name} is {labels[differ[0]]}, but {earlier} is "
            f"{known[differ[0]]}; a table by person needs one answer for all images of a person"
        )
