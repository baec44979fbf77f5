"""The `.mat` file that answers for Market-1501's attribute evaluator travel in.

Shapes: N images, 12 columns.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlab.data.attributes import MAT_HEADER
from reidlab.data.mat5 import read_mat5, shapes_of
from reidlab.evaluation.attributes.official import Codes, check_matrix
from reidlab.paths import atomic_write, make_folder

LONGEST_NAME = 31  # characters of a variable that every MATLAB reads
VARIABLE = "gallery_market"


def write_official(
    path: str | os.PathLike[str], matrix: NDArray[Any], *, name: str = VARIABLE
) -> Path:
    """Write a matrix of `official_matrix` to a MATLAB v5 file; its path. Same matrix, same bytes.

    Args:
        path: the file, ending in .mat, replaced if it is there; its folder is made.
        matrix: (N, 12) codes.
        name: of the variable; that of the published example by default.

    Raises:
        ValueError: the matrix holds something else, `name` is no name in MATLAB, or the file
            cannot be written.
    """
    import scipy.io

    path = Path(path).expanduser()
    if path.suffix.lower() != ".mat":
        raise ValueError(f"{path}: expected a name that ends in .mat, found {path.suffix!r}")
    if not (name.isidentifier() and name.isascii() and name[0] != "_") or len(name) > LONGEST_NAME:
        raise ValueError(
            f"expected a variable of up to {LONGEST_NAME} letters, digits and underscores that "
            f"starts with a letter, got {name!r}"
        )
    codes = check_matrix(matrix, "matrix")
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {name: codes})
    make_folder(path.parent)
    atomic_write(path, MAT_HEADER.ljust(116) + buffer.getvalue()[116:])
    return path


def read_official(path: str | os.PathLike[str]) -> Codes:
    """The matrix (N, 12) uint8 in a file of `write_official`, or of another program.

    Args:
        path: a MATLAB v5 file with one matrix of numbers, whatever it is called.

    Raises:
        ValueError: the file is missing, damaged or of another kind, holds no matrix or several, or
            one of another shape, or a value that its column does not allow. The message names file,
            row and column, both counted from 1.
    """
    path = Path(path).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); expected a .mat file"
        ) from None
    try:
        values, shapes = read_mat5(data), shapes_of(data)
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a whole MATLAB v5 file ({error}); get it again, or in MATLAB save "
            "it with '-v7'"
        ) from None
    found = {name: shapes[name] for name, one in values.items() if isinstance(one, np.ndarray)}
    if len(found) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in found.items()) or "none"
        raise ValueError(f"{path}: expected one matrix of numbers, found {listed}")
    ((name, shape),) = found.items()
    if len(shape) != 2 or shape[1] != 12:
        turned = "; it lies on its side, transpose it" if shape[:1] == (12,) else ""
        raise ValueError(
            f"{path}: expected a row of 12 codes per image, found {name} of shape {shape}{turned}"
        )
    return check_matrix(values[name].reshape(shape, order="F"), str(path))
