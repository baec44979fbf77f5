"""A million paths in two arrays, of which one is read at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, overload

import numpy as np

from reidlab.embedding import common_folder


@dataclass(frozen=True)
class PackedPaths:
    """Paths as they are stored.

    Args:
        kind: "files" for `Path` objects, "text" for strings, "none" without any.
        folder: that files are relative to; empty where there is none.
        blob: all of them in UTF-8, one after the other.
        ends: (N,) int64, where each ends.
    """

    kind: str
    folder: str
    blob: bytes
    ends: np.ndarray


def pack_paths(paths: Sequence[Any], folder: Path | str | None) -> PackedPaths:
    """`paths` as two arrays; files relative to `folder`, or to the deepest that holds them all.

    Raises:
        ValueError: paths that are neither all `Path` nor all `str`.
    """
    if not len(paths):
        return PackedPaths("none", "", b"", np.empty(0, np.int64))
    files = all(isinstance(path, PurePath) for path in paths)
    if not files and not all(isinstance(path, str) for path in paths):
        found = ", ".join(sorted({type(path).__name__ for path in paths}))
        raise ValueError(f"expected paths that are all Path or all str, got {found}")
    base, names = "", [os.fspath(path) for path in paths]
    if files:
        names = [os.path.abspath(name) for name in names]
        shared = common_folder(names) if folder is None else Path(folder).expanduser()
        base = "" if shared is None else os.path.abspath(shared)
        inside = base.rstrip(os.sep) + os.sep
        names = [name.removeprefix(inside) if base else name for name in names]
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return PackedPaths("files" if files else "text", base, b"".join(encoded), ends)


class StoredPaths(Sequence[Any]):
    """Paths on disk, read one by one; like a tuple of `Path` or `str`."""

    def __init__(self, kind: str, folder: str, blob: np.ndarray, ends: np.ndarray) -> None:
        """Keep the arrays of `PackedPaths`, mapped from their files."""
        self._base = Path(folder).expanduser() if kind == "files" else None
        self._blob, self._ends = blob, ends

    def __len__(self) -> int:
        """N, the number of paths."""
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One path, or a tuple of them."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        position = range(len(self))[index]  # knows negative ones, and refuses those outside
        start = int(self._ends[position - 1]) if position else 0
        name = self._blob[start : int(self._ends[position])].tobytes()
        text = name.decode("utf-8", "surrogateescape")
        return text if self._base is None else self._base / text

    def __iter__(self) -> Iterator[Any]:
        """The paths in order."""
        return (self[i] for i in range(len(self)))
