"""Our reader of MATLAB v5 files against scipy's, and against damage."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from reidlab.data import mat5
from reidlab.data.mat5 import read_mat5


def written(content: dict, **options) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8".split())
def test_numbers_of_every_type_are_read(kind, compressed):
    values = np.arange(1, 13).astype(kind)
    found = read_mat5(written({"x": values[None], "y": values[:3]}, do_compression=compressed))
    assert found["x"].dtype == values.dtype
    assert found["x"].tolist() == values.tolist() and found["y"].tolist() == [1, 2, 3]


def test_structs_cells_and_text_are_read():
    cells = np.empty((1, 3), object)
    cells[0, :] = ["0001", "käse", np.uint8([[1, 2]])]
    inner = {"a": np.uint8([[7]]), "a_rather_long_field_name": cells, "t": "text", "e": ""}
    found = read_mat5(written({"s": {"train": inner, "n": np.zeros((1, 0))}}))
    train = found["s"]["train"]
    assert list(train) == list(inner)
    assert train["a"].tolist() == [7] and train["t"] == "text" and train["e"] == ""
    first, second, third = train["a_rather_long_field_name"]
    assert (first, second, third.tolist()) == ("0001", "käse", [1, 2])
    assert len(found["s"]["n"]) == 0


def test_what_is_not_understood_is_none():
    structs = np.array([[(1,), (2,)]], dtype=[("a", object)])
    content = {"z": np.array([[1j]]), "s": scipy.sparse.eye(3).tocsc(), "many": structs, "n": 3}
    found = read_mat5(written(content))
    assert found["z"] is None and found["s"] is None and found["many"] is None
    assert found["n"].tolist() == [3]


def element(order: str, kind: int, content: bytes) -> bytes:
    return struct.pack(f"{order}II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def file(order: str, *elements: bytes) -> bytes:
    ending = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + ending + b"".join(elements)


def array(order: str, flags: int, shape: tuple[int, ...], *content: bytes, name=b"x") -> bytes:
    head = element(order, 6, struct.pack(f"{order}II", flags, 0))
    head += element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
    return element(order, 14, head + element(order, 1, name) + b"".join(content))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_short_elements_are_read(order):
    numbers = element(order, 3, struct.pack(f"{order}3h", 1, -2, 300))
    data = file(order, array(order, 6, (1, 3), numbers))
    assert read_mat5(data)["x"].tolist() == [1, -2, 300]
    short = struct.pack(f"{order}I", 2 << 16 | 2) + b"\x05\x06\0\0"
    data = file(order, array(order, 9, (2, 1), short))
    assert read_mat5(data)["x"].tolist() == [5, 6]
    assert scipy.io.loadmat(io.BytesIO(data))["x"].ravel().tolist() == [5, 6]
    text = element(order, 4, "né".encode("utf-16-le" if order == "<" else "utf-16-be"))
    assert read_mat5(file(order, array(order, 4, (1, 2), text)))["x"] == "né"


def nested(depth: int) -> bytes:
    inner = array("<", 9, (1, 1), element("<", 2, b"\x01"))
    for _ in range(depth):
        inner = array("<", 1, (1, 1), inner)
    return file("<", inner)


def test_arrays_may_lie_within_each_other_up_to_a_depth():
    assert read_mat5(nested(3))["x"][0][0][0].tolist() == [1]
    with pytest.raises(ValueError, match="more than 16 arrays within each other"):
        read_mat5(nested(500))


def damaged(flags: int, shape: tuple[int, ...], *content: bytes) -> bytes:
    return file("<", array("<", flags, shape, *content))


LONG_SHORT_ELEMENT = struct.pack("<I", 6 << 16 | 2) + bytes(4)
DAMAGED = {
    "no array": (file("<", element("<", 2, b"abc")), "kind 2 in place of a variable"),
    "long short element": (damaged(9, (1, 6), LONG_SHORT_ELEMENT), "a short element of 6 bytes"),
    "missing bytes": (file("<", struct.pack("<II", 14, 1 << 31)), "2147483648 bytes are missing"),
    "half a tag": (file("<", b"abc"), "5 bytes are missing"),
    "no class": (file("<", element("<", 14, element("<", 6, bytes(4)))), "without class"),
    "negative shape": (damaged(9, (1, -6), element("<", 2, b"")), r"shape \[1, -6\]"),
    "too many": (damaged(9, (1, 2), element("<", 2, b"abc")), "an array of 2 with 3 numbers"),
    "half a number": (damaged(6, (1, 1), element("<", 9, b"abc")), "multiple of element size"),
    "no numbers": (damaged(9, (1, 2), element("<", 17, b"abcd")), "17 in place of numbers"),
    "no text": (damaged(4, (1, 1), element("<", 9, bytes(8))), "kind 9 in place of text"),
    "broken text": (damaged(4, (1, 2), element("<", 16, b"\xff\xff")), "can't decode"),
    "absent cells": (damaged(1, (1000, 1000)), "8 bytes are missing"),
    "a cell of bytes": (damaged(1, (1, 1), element("<", 2, b"a")), "kind 2 in place of 14"),
    "no field names": (damaged(2, (1, 1), element("<", 5, bytes(4)), element("<", 1, b"")), "of 0"),
    "broken compression": (file("<", struct.pack("<II", 15, 8) + bytes(8)), "decompress"),
    "half a compression": (
        file("<", struct.pack("<II", 15, 9) + zlib.compress(b"a" * 99)[:9]),
        "compressed data without end",
    ),
    "another order of bytes": (bytes(200), "no header of a MATLAB v5 file"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_an_error_with_words(damage):
    data, message = DAMAGED[damage]
    with pytest.raises(ValueError, match=message):
        read_mat5(data)


def test_a_variable_may_not_unfold_without_limit(monkeypatch):
    monkeypatch.setattr(mat5, "LARGEST", 1000)
    data = written({"x": np.zeros((1, 5000), np.uint8)}, do_compression=True)
    with pytest.raises(ValueError, match="compressed data without end"):
        read_mat5(data)


@pytest.mark.parametrize("compressed", [False, True])
def test_single_wrong_bits_never_end_in_anything_but_an_error(compressed):
    cells = np.empty((1, 2), object)
    cells[0, :] = ["0001", "0002"]
    content = {"m": {"train": {"age": np.uint8([[1, 2]]), "ids": cells}}}
    data = written(content, do_compression=compressed)
    refused = 0
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        try:
            read_mat5(bytes(broken))
        except ValueError:
            refused += 1
    assert refused > 50
