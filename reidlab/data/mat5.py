"""A small reader of MATLAB v5 files: structs, cells, text and numbers, every length checked.

scipy writes our files and checks this reader in the tests, but its own reader can crash the whole
process on a file with one wrong byte, which no `try` catches.

Source: The MathWorks, "MAT-File Format", the chapter on level 5 files.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np

HEADER = 128  # bytes: text, version, byte order
ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}  # version 0x0100 and byte order
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8",
           12: "i8", 13: "u8"}  # fmt: skip
ENCODINGS = {2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}  # of text
CELL, STRUCT, TEXT = 1, 2, 4
NUMERIC = range(6, 16)  # classes of arrays: double, single, eight kinds of integers
COMPLEX = 0x0800
LARGEST = 1 << 27  # bytes a compressed variable may unfold to
DEEPEST = 16  # structs and cells within each other


def read_mat5(data: bytes) -> dict[str, Any]:
    """Variable name -> value, from the bytes of a file.

    Returns:
        A 1x1 struct as a dict, a cell as a flat list, text as `str`, numbers as a flat array; None
        for whatever else there is (sparse, complex, objects, arrays of structs).

    Raises:
        ValueError: the file is of another kind, cut off or damaged.
    """
    order = ORDERS.get(data[HEADER - 4 : HEADER])
    if order is None:
        raise ValueError("no header of a MATLAB v5 file")
    variables, elements = {}, _Elements(data[HEADER:], order)
    while elements.left():
        kind, content = elements.next()
        if kind == COMPRESSED:
            kind, content = _Elements(_unfold(content), order).next()
        if kind != MATRIX:
            raise ValueError(f"an element of kind {kind} in place of a variable")
        name, value = _matrix(content, order)
        variables[name] = value
    return variables


def shapes_of(data: bytes) -> dict[str, tuple[int, ...]]:
    """Variable -> shape, of a file that `read_mat5` has read, and so checked, before."""
    order = ORDERS[data[HEADER - 4 : HEADER]]
    found, elements = {}, _Elements(data[HEADER:], order)
    while elements.left():
        kind, content = elements.next()
        if kind == COMPRESSED:
            _, content = _Elements(_unfold(content), order).next()
        if content:
            parts = _Elements(content, order)
            parts.numbers()  # class and flags
            shape = tuple(int(n) for n in parts.numbers())
            found[parts.next()[1].decode("latin-1")] = shape
    return found


class _Elements:
    """The elements of a file or of an array, one after the other."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.at = data, order, 0

    def left(self) -> bool:
        return self.at < len(self.data)

    def next(self, expected: int | None = None) -> tuple[int, bytes]:
        """Kind and content of the next element."""
        kind, size = struct.unpack(f"{self.order}II", self._take(8))
        if kind >> 16:  # short form: kind and size in one number, the content beside them
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError(f"a short element of {size} bytes")
            content = self.data[self.at - 4 : self.at - 4 + size]
        else:
            content = self._take(size)
            self.at += -size % 8 if kind != COMPRESSED else 0
        if expected not in (None, kind):
            raise ValueError(f"an element of kind {kind} in place of {expected}")
        return kind, content

    def numbers(self) -> np.ndarray:
        """The next element as a flat array."""
        kind, content = self.next()
        if kind not in NUMBERS:
            raise ValueError(f"an element of kind {kind} in place of numbers")
        return np.frombuffer(content, np.dtype(self.order + NUMBERS[kind]))

    def _take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise ValueError(f"{size - len(taken)} bytes are missing")
        self.at += size
        return taken


def _unfold(content: bytes) -> bytes:
    unfolding = zlib.decompressobj()
    try:
        data = unfolding.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unfolding.eof:
        raise ValueError("compressed data without end")
    return data


def _matrix(content: bytes, order: str, depth: int = 0) -> tuple[str, Any]:
    """Name and value of an array."""
    if not content:
        return "", np.zeros(0)
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} arrays within each other")
    elements = _Elements(content, order)
    flags = elements.numbers()
    if len(flags) != 2:
        raise ValueError("an array without class")
    kind = int(flags[0]) & 0xFF
    shape = [int(n) for n in elements.numbers()]
    if min(shape, default=-1) < 0:
        raise ValueError(f"an array of shape {shape}")
    name = elements.next()[1].decode("latin-1")
    count = math.prod(shape)
    if kind == STRUCT and count == 1:
        return name, _struct(elements, order, depth)
    if kind == CELL:
        cells = (elements.next(MATRIX)[1] for _ in range(count))
        return name, [_matrix(cell, order, depth + 1)[1] for cell in cells]
    if kind == TEXT:
        return name, _text(elements, order, count)
    if kind in NUMERIC and not int(flags[0]) & COMPLEX:
        return name, _checked(elements.numbers(), count)
    return name, None


def _struct(elements: _Elements, order: str, depth: int) -> dict[str, Any]:
    widths = elements.numbers()
    names = elements.next()[1]
    width = int(widths[0]) if len(widths) == 1 else 0
    if width < 1 or len(names) % width:
        raise ValueError(f"{len(names)} bytes of field names of {width} each")
    fields = {}
    for start in range(0, len(names), width):
        name = names[start : start + width].split(b"\0")[0].decode("latin-1")
        fields[name] = _matrix(elements.next(MATRIX)[1], order, depth + 1)[1]
    return fields


def _text(elements: _Elements, order: str, count: int) -> str:
    kind, content = elements.next() if count or elements.left() else (2, b"")
    if kind not in ENCODINGS:
        raise ValueError(f"an element of kind {kind} in place of text")
    encoding = ENCODINGS[kind]
    suffix = {"<": "-le", ">": "-be"}[order] if encoding in ("utf-16", "utf-32") else ""
    return content.decode(encoding + suffix)


def _checked(numbers: np.ndarray, count: int) -> np.ndarray:
    if len(numbers) != count:
        raise ValueError(f"an array of {count} with {len(numbers)} numbers")
    return numbers
