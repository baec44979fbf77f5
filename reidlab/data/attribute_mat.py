"""From `market_attribute.mat` to rows by person, with errors that name struct, row and column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidlab.data.attribute_files import ADVICE, Places, Rows, check_names, integer, read_bytes
from reidlab.data.heads import COLUMNS, complaint
from reidlab.data.mat5 import HEADER, ORDERS, read_mat5

PARTS = ("train", "test")
MAT_VARIABLE, MAT_IDS = "market_attribute", "image_index"
HDF5, PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"


def mat_rows(path: Path, parts: Sequence[str]) -> tuple[Rows, Places]:
    """Person id -> labels, and where that id stands, from a MATLAB v5 file, its structs joined.

    Raises:
        ValueError: see `read_attributes`.
    """
    structs = _struct(_variable(path), f"{path}, {MAT_VARIABLE}")
    rows: Rows = {}
    places: Places = {}
    for part in parts:
        where = f"{path}, {part}"
        if part not in structs:
            raise ValueError(f"{where}: no such struct; found {', '.join(structs)}")
        own, at = _struct_rows(where, _struct(structs[part], where))
        if shared := sorted(own.keys() & rows.keys()):
            raise ValueError(
                f"{at[shared[0]]}: {len(shared)} people, for instance {shared[0]}, are in train "
                "and test; every person belongs to one part only"
            )
        rows |= own
        places |= at
    return rows, places


def _variable(path: Path) -> Any:
    """The variable `market_attribute`; an error that says what there is in its place."""
    data = read_bytes(path)
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
    check_names(where, "fields", list(fields), (*COLUMNS, MAT_IDS))


def _struct_rows(where: str, fields: dict[str, Any]) -> tuple[Rows, Places]:
    """Person id -> labels, and where that id stands, from one struct of columns."""
    _check_fields(where, fields)
    names = fields[MAT_IDS]
    if not isinstance(names, list):
        raise ValueError(f"{where}, column {MAT_IDS}: expected a cell array of person ids")
    columns = {c: _column(f"{where}, column {c}", fields[c], len(names)) for c in COLUMNS}
    rows: Rows = {}
    places: Places = {}
    for i, name in enumerate(names):
        at = f"{where}, row {i + 1}"
        pid = integer(name.strip()) if isinstance(name, str) else None
        if not pid:
            raise ValueError(f"{at}, column {MAT_IDS}: expected a person id as text, found {name}")
        if pid in rows:
            raise ValueError(f"{at}, column {MAT_IDS}: person {name} stands there twice")
        labels = {c: _number(f"{at} (id {name}), column {c}", columns[c][i]) for c in COLUMNS}
        if problem := complaint(labels):
            raise ValueError(f"{at} (id {name}): {problem}")
        rows[pid] = labels
        places[pid] = f"{at}, column {MAT_IDS}"
    return rows, places


def _column(where: str, values: Any, count: int) -> list[int | float]:
    """One number per person."""
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{where}: expected one number per person, found no numbers")
    if len(values) != count:
        raise ValueError(
            f"{where} has {len(values)} values, expected {count} as there are cells in {MAT_IDS}, "
            f"so that row {min(len(values), count) + 1} is incomplete; {ADVICE}"
        )
    return values.tolist()


def _number(where: str, value: Any) -> int:
    """A value of any numeric type, MATLAB's doubles included, that is a whole number."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError(f"{where}: expected an integer, found {value}")
