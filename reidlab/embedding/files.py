"""Embeddings in files that other tools read too: Parquet (`.parquet`) and NumPy (`.npz`).

Both hold one row per image, and what the features came from as JSON text.

| column | type | holds |
|---|---|---|
| `path` | string | image file, relative to the folder that the metadata name |
| `pid`, `camid` | int64 | person and camera, as on disk |
| `feature` | D x float32 | what the model gave |

`pandas.read_parquet(file)` and `numpy.load(file)` read them without this package. The metadata are
the entry `reidlab` of the Parquet schema's metadata, and the array `metadata` of an `.npz`.

Parquet is written in row groups as features arrive and needs memory for one block; an `.npz` is
collected first. Either way the file appears complete or not at all.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab import __version__
from reidlab.embedding.formats import FORMAT, FORMATS, Columns
from reidlab.embedding.record import Embeddings
from reidlab.embedding.run import BLOCK
from reidlab.paths import make_folder, whole_file

OWN = ("reidlab_embeddings", "created_by", "versions", "source", "paths", "folder")


def save_embeddings(
    path: Path | str,
    embeddings: Embeddings,
    *,
    folder: Path | str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write `embeddings` to a `.parquet` or `.npz` file; its path.

    Features are kept in float32. Paths that are `Path` objects are stored relative to `folder`, so
    that file and images can move to another machine (`load_embeddings(..., folder=NEW)`); one that
    lies elsewhere is stored in full, and strings are stored as they are.

    Args:
        path: the file; an old one is replaced.
        embeddings: at least one column of features.
        folder: where the images lie; None is the deepest folder that holds them all.
        metadata: what they came from, as JSON-like values: model, data, settings.

    Raises:
        ValueError: another suffix, no pyarrow for `.parquet`, a folder that cannot be written,
            features that cannot be kept, or metadata named like one of ours.
    """
    starts = range(0, max(1, len(embeddings)), BLOCK)
    pieces = (embeddings[start : start + BLOCK] for start in starts)
    return save_blocks(path, pieces, folder=folder, metadata=metadata)


def save_blocks(
    path: Path | str,
    blocks: Iterable[Embeddings],
    *,
    folder: Path | str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write embeddings that arrive in blocks, as from `embed_blocks`, to one file; its path.

    Args:
        path: as for `save_embeddings`, like `metadata`.
        blocks: of one width; at least one.
        folder: where the images lie; None is the deepest folder that holds the first block.
        metadata: what they came from.

    Raises:
        ValueError: as `save_embeddings`; no blocks, or blocks of different widths.
    """
    path = check_target(path)
    blocks = iter(blocks)
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"{path}: expected at least one block of embeddings, got none")
    if not first.features.shape[1]:
        raise ValueError(f"{path}: features of width 0 have nothing to keep")
    head = _head(first, folder, metadata or {})
    columns = (_columns(block, head) for block in itertools.chain([first], blocks))
    with whole_file(path) as file:
        FORMATS[path.suffix].write(file, columns, head)
    return path


def load_embeddings(path: Path | str, *, folder: Path | str | None = None) -> Embeddings:
    """The embeddings in a `.parquet` or `.npz` file of this package, on the CPU.

    Args:
        path: the file.
        folder: where the images lie now; None is where they lay when it was written.

    Raises:
        ValueError: no such file, damaged, not of this package, or one that would run code.
    """
    path = _existing(path)
    columns, head = FORMATS[path.suffix].read(path)
    names: tuple[Any, ...] = () if head["paths"] == "none" else tuple(columns.path)
    if head["paths"] == "files":
        base = Path(head["folder"] if folder is None else folder).expanduser()
        names = tuple(base / name for name in names)
    arrays = (columns.feature, columns.pid, columns.camid)
    try:
        return Embeddings(*map(torch.from_numpy, arrays), paths=names, source=head["source"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_metadata(path: Path | str) -> dict[str, Any]:
    """What a file of embeddings says about itself, without reading the features.

    Raises:
        ValueError: as `load_embeddings`.
    """
    path = _existing(path)
    return FORMATS[path.suffix].read_head(path)


def check_target(path: Path | str) -> Path:
    """`path`, if embeddings can be written there: to complain before the work, not after it.

    Raises:
        ValueError: another suffix, a folder, one that cannot be written, or pyarrow is missing.
    """
    path = _supported(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file")
    make_folder(path.parent)
    return path


def _existing(path: Path | str) -> Path:
    path = _supported(path)
    if not path.is_file():
        raise ValueError(f"no file of embeddings at {path}; `reidlab embed --out` writes one")
    return path


def _supported(path: Path | str) -> Path:
    """`path`, if this machine can read and write files with its suffix."""
    path = Path(path).expanduser()
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(FORMATS)}")
    FORMATS[path.suffix].check_installed()
    return path


def common_folder(paths: Iterable[Path | str]) -> Path | None:
    """The deepest folder that holds all files; `None` where there is none (drives, no paths)."""
    parents = {os.path.dirname(os.path.abspath(path)) for path in paths}
    try:
        return Path(os.path.commonpath(parents)) if parents else None
    except ValueError:  # on different drives
        return None


# --- what is written ---


def _head(
    first: Embeddings, folder: Path | str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """The metadata of a file whose first block is `first`."""
    if taken := sorted(set(metadata) & set(OWN)):
        raise ValueError(f"metadata may not be named {', '.join(taken)}: the file writes them")
    kind = _kind(first)
    if folder is None and kind == "files":
        folder = common_folder(first.paths)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    own = {
        "reidlab_embeddings": FORMAT,
        "created_by": f"reidlab {__version__}",
        "versions": versions,
        "source": first.source,
        "paths": kind,
        "folder": "" if folder is None else os.path.abspath(Path(folder).expanduser()),
    }
    return json.loads(json.dumps(own | dict(metadata), default=str))


def _kind(embeddings: Embeddings) -> str:
    """What the paths are: "files" for `Path` objects, "text" for strings, "none" without any."""
    if not embeddings.paths:
        return "none"
    for kind, name in ((PurePath, "files"), (str, "text")):
        if all(isinstance(path, kind) for path in embeddings.paths):
            return name
    found = ", ".join(sorted({type(path).__name__ for path in embeddings.paths}))
    raise ValueError(f"expected paths that are all Path or all str, got {found}")


def _columns(block: Embeddings, head: Mapping[str, Any]) -> Columns:
    """The four columns of one block: names, and NumPy arrays."""
    if len(block) and _kind(block) != head["paths"]:
        raise ValueError(f"expected paths of one kind in all blocks: {head['paths']}")
    names = [os.fspath(path) for path in block.paths] or [""] * len(block)
    if head["paths"] == "files":
        names = [_relative(name, head["folder"]) for name in names]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name!r} is not valid Unicode; rename that file") from None
    labels = (block.pids.cpu().numpy(), block.camids.cpu().numpy())
    return Columns(names, *labels, _float32(block.features).numpy())


def _relative(name: str, folder: str) -> str:
    """`name` below `folder`, with "/"; in full when it lies elsewhere."""
    path = Path(os.path.abspath(name))
    inside = bool(folder) and path.is_relative_to(folder)
    return (path.relative_to(folder) if inside else path).as_posix()


def _float32(features: Tensor) -> Tensor:
    table = features.to("cpu", torch.float32).contiguous()
    if features.dtype == torch.float64 and not table.isfinite().all():
        raise ValueError("a feature is beyond the range of float32; scale the features first")
    return table
