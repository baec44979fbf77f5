"""From the bytes of an annotation file to rows by person, with errors that name row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidlab.data.heads import COLORS, COLUMNS, complaint
from reidlab.data.mat5 import HEADER, ORDERS, read_mat5

Rows = dict[int, dict[str, int]]

PARTS = ("train", "test")
MAT_VARIABLE, MAT_IDS = "market_attribute", "image_index"
MULTI = {"up": "upmulticolor", "down": "downmulticolor"}
IMAGE = re.compile(r"(?:.*[/\\])?([^/\\]+\.(?:jpe?g|png|bmp))", re.IGNORECASE)
HDF5, PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"
ADVICE = "get the file again, or write it anew"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); expected a .mat or a .csv file"
        ) from None


def csv_rows(path: Path) -> Rows:
    """Person id -> labels from a CSV with a header.

    Raises:
        ValueError: see `read_attributes`.
    """
    (top, header), *body = _cells(path)
    _check_header(f"{path}, row {top}", header)
    rows: Rows = {}
    first: dict[int, str] = {}  # person id -> "row N"
    for number, cells in body:
        where = f"{path}, row {number}"
        if len(cells) != len(header):
            raise ValueError(
                f"{where} has {len(cells)} cells, expected {len(header)} as in the header; "
                "is the file cut off?"
            )
        name, *values = cells
        pid = _person(where, name)
        labels = {c: _code(where, c, v) for c, v in zip(header[1:], values, strict=True)}
        labels = _without_multi(where, labels)
        if problem := complaint(labels):
            raise ValueError(f"{where} (id {name}): {problem}")
        if pid in rows:
            _check_repeated(where, name, labels, rows[pid], f"person {pid} of {first[pid]}")
        rows[pid] = labels
        first.setdefault(pid, f"row {number}")
    return rows


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """Row number (the header is row 1) and cells of each row, empty rows left out."""
    try:
        text = _read_bytes(path).decode("utf-8-sig")
        lines = csv.reader(io.StringIO(text, newline=None), strict=True)
        rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(lines, 1)]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 (byte {error.start}); expected a CSV with a header"
        ) from None
    except csv.Error as error:
        raise ValueError(f"{path} is no complete CSV ({error}); {ADVICE}") from None
    if rows := [(number, cells) for number, cells in rows if any(cells)]:
        return rows
    raise ValueError(f"{path} is empty; expected a header, id and the 27 columns")


def _check_header(where: str, header: list[str]) -> None:
    if header[0] != "id":
        mark = ";" if ";" in header[0] else "\t"
        hint = f"; separate cells by commas, not by {mark!r}" if mark in header[0] else ""
        raise ValueError(f"{where}: expected the first column id, found {header[0][:60]!r}{hint}")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{where}: column {', '.join(repeated)} stands there more than once")
    multi = MULTI.values() if set(header) & set(MULTI.values()) else ()
    _check_names(where, "columns", header, ("id", *COLUMNS, *multi))


def _check_names(where: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Raise unless both hold the same names; the message lists those that differ."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    parts = [f"{what} {', '.join(missing)} missing"] if missing else []
    parts += [f"unknown {what} {', '.join(map(repr, unknown))}"] if unknown else []
    if parts:
        raise ValueError(f"{where}: {'; '.join(parts)}; expected those of Market-1501's attributes")


def _integer(text: str) -> int | None:
    """Digits as a number; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _code(where: str, column: str, cell: str) -> int:
    if (code := _integer(cell)) is None:
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
    if pid := _integer(named[1]):
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


def mat_rows(path: Path, parts: Sequence[str]) -> Rows:
    """Person id -> labels from a MATLAB v5 file, its structs joined.

    Raises:
        ValueError: see `read_attributes`.
    """
    structs = _struct(_variable(path), f"{path}, {MAT_VARIABLE}")
    rows: Rows = {}
    for part in parts:
        where = f"{path}, {part}"
        if part not in structs:
            raise ValueError(f"{where}: no such struct; found {', '.join(structs)}")
        own = _struct_rows(where, _struct(structs[part], where))
        if shared := sorted(own.keys() & rows.keys()):
            raise ValueError(
                f"{path}: {len(shared)} people, for instance {shared[0]}, are in train and test; "
                "every person belongs to one part only"
            )
        rows |= own
    return rows


def _variable(path: Path) -> Any:
    """The variable `market_attribute`; an error that says what there is in its place."""
    data = _read_bytes(path)
    _check_kind(path, data)
    try:
        content = read_mat5(data)
    except ValueError as error:
        raise ValueError(f"{path} is cut off or damaged ({error}); {ADVICE}") from None
    if MAT_VARIABLE in content:
        return content[MAT_VARIABLE]
    for name, value in content.items():  # another dataset's: say which columns are foreign
        for part, columns in value.items() if isinstance(value, dict) else ():
            if part in PARTS and isinstance(columns, dict):
                _check_fields(f"{path}, {name}.{part}", columns)
    raise ValueError(
        f"{path} holds {', '.join(content) or 'nothing'}; expected the variable {MAT_VARIABLE}"
    )


def _check_kind(path: Path, data: bytes) -> None:
    if data[HEADER - 4 : HEADER] in ORDERS:
        return
    if HDF5 in (data[:8], data[512:520]):
        found = "is a MATLAB v7.3 file (HDF5); in MATLAB, save it again with '-v7'"
    elif data[:1] == PICKLE:
        found = "is a pickle, which may run code and is not opened"
    elif len(data) < HEADER:
        found = f"has {len(data)} bytes and is empty or cut off; {ADVICE}"
    else:
        found = f"starts with {data[:16]!r}"
    raise ValueError(f"{path}: expected a MATLAB v5 file; this one {found}")


def _struct(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a 1x1 struct; {ADVICE}")
    return value


def _check_fields(where: str, fields: dict[str, Any]) -> None:
    _check_names(where, "fields", list(fields), (*COLUMNS, MAT_IDS))


def _struct_rows(where: str, fields: dict[str, Any]) -> Rows:
    """Person id -> labels from one struct of columns."""
    _check_fields(where, fields)
    names = fields[MAT_IDS]
    if not isinstance(names, list):
        raise ValueError(f"{where}, column {MAT_IDS}: expected a cell array of person ids")
    columns = {c: _column(f"{where}, column {c}", fields[c], len(names)) for c in COLUMNS}
    rows: Rows = {}
    for i, name in enumerate(names):
        at = f"{where}, row {i + 1}"
        pid = _integer(name.strip()) if isinstance(name, str) else None
        if not pid:
            raise ValueError(f"{at}, column {MAT_IDS}: expected a person id as text, found {name}")
        if pid in rows:
            raise ValueError(f"{at}, column {MAT_IDS}: person {name} stands there twice")
        labels = {c: _number(f"{at} (id {name}), column {c}", columns[c][i]) for c in COLUMNS}
        if problem := complaint(labels):
            raise ValueError(f"{at} (id {name}): {problem}")
        rows[pid] = labels
    return rows


def _column(where: str, values: Any, count: int) -> list[int | float]:
    """One number per person."""
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{where}: expected one number per person, found no numbers")
    if len(values) != count:
        raise ValueError(
            f"{where} has {len(values)} values, expected {count} as there are cells in {MAT_IDS}; "
            f"{ADVICE}"
        )
    return values.tolist()


def _number(where: str, value: Any) -> int:
    """A value of any numeric type, MATLAB's doubles included, that is a whole number."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError(f"{where}: expected an integer, found {value}")
