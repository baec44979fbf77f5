"""An index on disk: arrays that are mapped into memory, and a page that says what they are.

    gallery.index/
        index.json             sizes, sources, names of attribute values, checksums
        data-3f2a.../
            features.npy       (N, D) float32 or float64, rows of unit length
            labels.npy         (2, N) int64: person, camera
            attributes.npy     (A, N) int32: positions in the lists of values, -1 unknown
            paths.bin          N paths, one after the other, in UTF-8
            path_ends.npy      (N,) int64: where each of them ends

A save writes a new data folder and then replaces the page, in one step: whoever reads the page
finds the old index or the new one. Every 256 KiB of a file have a checksum, so that opening needs
to look at a few of them only and still notices a file that was cut, exchanged or mixed up.

Shapes: N gallery images, D embedding width, A attributes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab import __version__
from reidlab.data.synthetic.locking import LOCK, only_writer
from reidlab.embedding import Embeddings
from reidlab.paths import atomic_write
from reidlab.ranking.index.filters import Attribute
from reidlab.ranking.index.names import StoredPaths, pack_paths

FORMAT = 1  # of the folder; raise it when its layout changes
PAGE, DATA = "index.json", "data-"
OURS = re.compile(r"data-[0-9a-f]{16}")  # only such folders are ever removed
KEY = "reidlab_index"
HEAD = re.compile(rb'\s*\{\s*"reidlab_index"')  # how a page of ours begins
BLOCK = 2**18  # bytes with a checksum of their own
LOOKED_AT = 8  # blocks of a file that opening checks
ROWS = 65_536  # written at a time
TRIES = 5  # of a reader whose index is replaced under its hands


@dataclass(frozen=True)
class Stored:
    """What a folder holds."""

    gallery: Embeddings  # features of unit length, on disk
    attributes: dict[str, Attribute]
    metadata: dict[str, Any]


# --- writing ---


def write_index(
    folder: Path,
    gallery: Embeddings,
    unit: Tensor,
    attributes: Mapping[str, Attribute],
    metadata: Mapping[str, Any],
    images: Path | str | None,
) -> None:
    """Replace what `folder` holds by a new index; see `Index.save`."""
    _check_replaceable(folder)
    names = pack_paths(gallery.paths, images)
    page = {
        "created_by": f"reidlab {__version__}",
        "source": gallery.source,
        "paths": names.kind,
        "folder": names.folder,
        "attributes": {name: attribute.values for name, attribute in attributes.items()},
        "metadata": dict(metadata),
    }
    try:
        page = json.loads(json.dumps(page, default=str))
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must be JSON-like values: {error}") from None
    arrays: dict[str, Any] = {"features.npy": unit}
    arrays["labels.npy"] = torch.stack([gallery.pids, gallery.camids])
    if attributes:
        arrays["attributes.npy"] = np.stack([attribute.codes for attribute in attributes.values()])
    if names.kind != "none":
        arrays |= {"paths.bin": names.blob, "path_ends.npy": names.ends}
    with only_writer(folder):
        _clear(folder, _current(folder))  # what killed processes left
        data = folder / f"{DATA}{secrets.token_hex(8)}"
        try:
            data.mkdir()
            for name, array in arrays.items():
                _write(data / name, array)
            page["data"] = data.name
            page["files"] = {name: _checksums(data / name) for name in arrays}
            atomic_write(folder / PAGE, _as_text(page))
        except OSError as error:
            raise ValueError(
                f"cannot write {folder} ({error.strerror or error}); make room or choose another "
                "folder"
            ) from None
        finally:
            _clear(folder, _current(folder))  # the old data after success, else the new


def _check_replaceable(folder: Path) -> None:
    """Raise unless `folder` is absent, empty, or an index, which may be damaged."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; an index is a folder, name another")
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    kept = [name for name in names if OURS.fullmatch(name)]
    pages = [name for name in names if name in (PAGE, LOCK) or name.startswith(f".{PAGE}.")]
    others = sorted(set(names) - set(kept) - set(pages))
    if not others and PAGE in names and not kept and _current(folder) is None:
        others = [PAGE]  # somebody else's page of this name
    if others:
        raise ValueError(
            f"{folder} holds other files than an index, for instance {others[0]}; name a new or "
            "empty folder"
        )


def _current(folder: Path) -> str | None:
    """Name of the data folder that the page names; None where no page says one."""
    try:
        content = json.loads((folder / PAGE).read_bytes())
        return str(content["index"]["data"]) if KEY in content else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _clear(folder: Path, kept: str | None) -> None:
    """Remove all data folders but `kept`; what another system holds open may stay until later."""
    for path in _data_folders(folder):
        if path.name != kept:
            shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, array: Tensor | np.ndarray | bytes) -> None:
    """A `.npy` file in blocks of rows, or plain bytes, safely on the disk."""
    with path.open("wb") as file:
        if isinstance(array, bytes):
            file.write(array)
        else:
            first = _numpy(array[:1])
            head = {"descr": first.dtype.str, "fortran_order": False, "shape": tuple(array.shape)}
            np.lib.format.write_array_header_1_0(file, head)
            for start in range(0, len(array), ROWS):
                file.write(_numpy(array[start : start + ROWS]).data)
        file.flush()
        os.fsync(file.fileno())


def _numpy(array: Tensor | np.ndarray) -> np.ndarray:
    plain = array.cpu().numpy() if isinstance(array, Tensor) else array
    return np.ascontiguousarray(plain)


def _as_text(page: dict[str, Any]) -> str:
    content = json.dumps(page)
    return f'{{"{KEY}": {FORMAT}, "crc": {zlib.crc32(content.encode())}, "index": {content}}}\n'


def _checksums(path: Path) -> dict[str, Any]:
    """Size of a file, and the checksum of each of its blocks."""
    size = path.stat().st_size
    return {"bytes": size, "crc": list(_block_sums(path, range(-(-size // BLOCK))))}


def _block_sums(path: Path, blocks: range | list[int]) -> Iterator[int]:
    with path.open("rb") as file:
        for block in blocks:
            file.seek(block * BLOCK)
            yield zlib.crc32(file.read(BLOCK))


# --- reading ---


def read_index(folder: Path, images: Path | str | None, verify: bool) -> Stored:
    """The index in `folder`, its arrays mapped into memory; see `Index.load`.

    A save in between removes the files that the page named: then the new page counts.
    """
    for left in reversed(range(TRIES)):
        page = _read_page(folder)
        try:
            return _read_files(folder, page, images, verify)
        except (OSError, ValueError) as error:
            if left and _current(folder) != page["data"]:
                continue
            if isinstance(error, ValueError):
                raise
            reason = f"{error.filename or PAGE}: {error.strerror or error}"
            raise _damaged(folder, reason) from None
    raise AssertionError("the last try returns or raises")


def _read_files(
    folder: Path, page: dict[str, Any], images: Path | str | None, verify: bool
) -> Stored:
    """What `page` names, checked and mapped."""
    data = folder / page["data"]
    for name, expected in page["files"].items():
        _check_file(data / name, expected, verify)
    features, labels = _map(data / "features.npy"), _map(data / "labels.npy")
    count = len(features)
    paths: Any = ()
    if page["paths"] != "none":
        base = page["folder"] if images is None else os.fspath(images)
        ends = _map(data / "path_ends.npy")
        paths = StoredPaths(page["paths"], base, _map_bytes(data / "paths.bin"), ends)
    codes = _map(data / "attributes.npy") if page["attributes"] else np.empty((0, count), np.int32)
    if labels.shape != (2, count) or codes.shape != (len(page["attributes"]), count):
        raise _damaged(folder, "its files are of different lengths")
    if page["paths"] != "none" and len(paths) != count:
        raise _damaged(folder, f"{len(paths)} paths for {count} images")
    attributes = {
        name: Attribute(tuple(values), row)
        for (name, values), row in zip(page["attributes"].items(), codes, strict=True)
    }
    gallery = _trusted(features, labels, paths, page["source"])
    return Stored(gallery, attributes, page["metadata"])


def is_index(folder: Path) -> bool:
    """Whether `folder` looks like an index of ours, whole or not."""
    page = folder / PAGE
    if page.is_file():
        with page.open("rb") as file:
            if HEAD.match(file.read(256)):
                return True
    return any((data / "features.npy").is_file() for data in _data_folders(folder))


def _data_folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{DATA}*") if OURS.fullmatch(path.name)]


def read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of the index in `folder`, without opening its arrays.

    Raises:
        ValueError: as `Index.load`.
    """
    return _read_page(folder)["metadata"]


def _read_page(folder: Path) -> dict[str, Any]:
    """What `index.json` says."""
    path = folder / PAGE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if _data_folders(folder):
            raise ValueError(
                f"the index in {folder} is incomplete: its first save was interrupted, or {PAGE} "
                "was removed; save it again"
            ) from None
        raise ValueError(
            f"no index at {folder}; Index.save or `reidlab search` makes one"
        ) from None
    except UnicodeDecodeError:
        raise _damaged(folder, f"{PAGE} is no text") from None
    try:
        content = json.loads(text)
    except ValueError:
        raise _damaged(folder, f"{PAGE} cannot be read") from None
    if not isinstance(content, dict) or not isinstance(content.get(KEY), int):
        raise ValueError(f"{path} is not of an index of reidlab; name another folder")
    if content[KEY] > FORMAT:
        raise ValueError(
            f"{folder} is an index of a newer reidlab (format {content[KEY]}, this one reads "
            f"{FORMAT}); update reidlab, or build the index again"
        )
    page: dict[str, Any] = content.get("index", {})
    if content.get("crc") != zlib.crc32(json.dumps(page).encode()):
        raise _damaged(folder, f"{PAGE} was changed")
    return page


def _check_file(path: Path, expected: Mapping[str, Any], verify: bool) -> None:
    """Raise unless size and checksums are as they were written."""
    if not path.is_file():
        raise _damaged(path.parent.parent, f"{path} is missing")
    size, sums = path.stat().st_size, expected["crc"]
    if size != expected["bytes"]:
        raise _damaged(
            path.parent.parent, f"{path} has {size:,} bytes instead of {expected['bytes']:,}"
        )
    chosen = range(len(sums))
    if not verify and len(sums) > LOOKED_AT:
        chosen = np.linspace(0, len(sums) - 1, LOOKED_AT).astype(int).tolist()
    for block, found in zip(chosen, _block_sums(path, chosen), strict=True):
        if found != sums[block]:
            raise _damaged(
                path.parent.parent,
                f"{path} was changed near byte {block * BLOCK:,}, or belongs to another index",
            )


def _damaged(folder: Path, reason: str) -> ValueError:
    return ValueError(f"the index in {folder} is damaged ({reason}); save or build it again")


def _map(path: Path) -> np.ndarray:
    """The array in a `.npy` file; changes to it stay in memory, which makes it writable."""
    return np.load(path, mmap_mode="c", allow_pickle=False)


def _map_bytes(path: Path) -> np.ndarray:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.empty(0, np.uint8)
    return np.memmap(path, np.uint8, mode="r")


def _trusted(features: np.ndarray, labels: np.ndarray, paths: Any, source: str) -> Embeddings:
    """Embeddings that were checked before they were saved: looking again would read the file."""
    made = object.__new__(Embeddings)
    pids, camids = torch.from_numpy(labels)
    tensors = {"features": torch.from_numpy(features), "pids": pids, "camids": camids}
    for name, value in (tensors | {"paths": paths, "source": source}).items():
        object.__setattr__(made, name, value)
    return made
