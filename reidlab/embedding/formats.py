"""The two kinds of files that hold embeddings, byte for byte: Parquet and NumPy archives.

Shapes: N images, D embedding width. What the columns mean stands in `files.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1  # of these files; raise it when their layout changes
KEY = "reidlab"  # of the metadata of a Parquet file
NAMES = ("path", "pid", "camid", "feature")


@dataclass(frozen=True)
class Columns:
    """The images of a file, or of one block of it; unchecked."""

    path: list[str]  # N names
    pid: np.ndarray  # (N,) int64
    camid: np.ndarray  # (N,) int64
    feature: np.ndarray  # (N, D) float32


@dataclass(frozen=True)
class Format:
    """How one kind of file is written and read; reading raises `ValueError` for any other file."""

    check_installed: Callable[[], Any]
    write: Callable[[Path, Iterable[Columns], Mapping[str, Any]], None]
    read: Callable[[Path], tuple[Columns, dict[str, Any]]]
    read_head: Callable[[Path], dict[str, Any]]


# --- Parquet ---


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(
            "Parquet files need pyarrow: pip install pyarrow; or name an .npz file, which needs "
            "nothing more"
        ) from None
    return pyarrow, pyarrow.parquet


def write_parquet(file: Path, blocks: Iterable[Columns], head: Mapping[str, Any]) -> None:
    """One row group per block. Pages carry checksums; features are compressed losslessly."""
    arrow, parquet = _pyarrow()
    writer = schema = None
    try:
        for block in blocks:
            width = block.feature.shape[1]
            if schema is None or writer is None:
                schema = _schema(width, head)
                writer = parquet.ParquetWriter(
                    file,
                    schema,
                    compression="zstd",
                    use_dictionary=["camid"],
                    use_byte_stream_split=["feature.list.element"],  # a sixth less than zstd alone
                    write_statistics=["path", "pid", "camid"],
                    write_page_checksum=True,
                )
            _check_width(width, schema.field("feature").type.list_size)
            flat = arrow.array(block.feature.reshape(-1))
            features = arrow.FixedSizeListArray.from_arrays(flat, width)
            columns = [block.path, block.pid, block.camid, features]
            writer.write_table(arrow.table(columns, schema=schema))
    finally:
        if writer is not None:
            writer.close()


def _schema(width: int, head: Mapping[str, Any]) -> Any:
    arrow, _ = _pyarrow()
    types = (arrow.string(), arrow.int64(), arrow.int64(), arrow.list_(arrow.float32(), width))
    fields = [arrow.field(name, kind, False) for name, kind in zip(NAMES, types, strict=True)]
    return arrow.schema(fields, metadata={KEY: json.dumps(head)})


def _check_width(found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"expected features of width {expected} in all blocks, got {found}")


def read_parquet(path: Path) -> tuple[Columns, dict[str, Any]]:
    """Columns and metadata; the features go straight into their place, one row group at a time."""
    _, parquet = _pyarrow()
    head = read_parquet_head(path)
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            return _read_groups(file), head
    except Exception as error:  # damage shows itself in every way a decoder can fail
        raise _damaged(path, error) from None


def _read_groups(file: Any) -> Columns:
    count, width = file.metadata.num_rows, _width(file.schema_arrow)
    names: list[str] = []
    pids, camids = np.empty(count, np.int64), np.empty(count, np.int64)
    features = np.empty((count, width), np.float32)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group).combine_chunks()
        rows = slice(len(names), len(names) + len(table))
        names += table["path"].to_pylist()
        pids[rows], camids[rows] = table["pid"].to_numpy(), table["camid"].to_numpy()
        flat = table["feature"].combine_chunks().flatten()
        features[rows] = flat.to_numpy().reshape(-1, width)
    return Columns(path=names, pid=pids, camid=camids, feature=features)


def read_parquet_head(path: Path) -> dict[str, Any]:
    """The metadata of a Parquet file of this package."""
    _, parquet = _pyarrow()
    try:
        schema = parquet.read_schema(path)
    except Exception as error:
        raise _damaged(path, error) from None
    head = _checked(path, (schema.metadata or {}).get(KEY.encode(), b""))
    if not schema.remove_metadata().equals(_schema(_width(schema), {}).remove_metadata()):
        raise _foreign(path, f"columns {', '.join(f'{f.name} {f.type}' for f in schema)}")
    return head


def _width(schema: Any) -> int:
    """D of a file's features; 1 where there are none, which then fits no schema of ours."""
    index = schema.get_field_index("feature")
    return getattr(schema.field(index).type, "list_size", 1) if index >= 0 else 1


# --- NumPy ---


def write_npz(file: Path, blocks: Iterable[Columns], head: Mapping[str, Any]) -> None:
    """One archive without compression (`numpy.load` reads it), collected in memory first."""
    parts = list(blocks)
    for part in parts:
        _check_width(part.feature.shape[1], parts[0].feature.shape[1])
    names = np.array([name for part in parts for name in part.path], dtype=np.str_)
    features = [part.feature for part in parts]
    arrays: dict[str, Any] = {
        "path": names,
        "pid": np.concatenate([part.pid for part in parts]),
        "camid": np.concatenate([part.camid for part in parts]),
        "feature": features[0] if len(features) == 1 else np.concatenate(features),
        "metadata": np.array(json.dumps(head)),
    }
    with open(file, "wb") as target:  # a file, not a name: NumPy would append .npz to it
        np.savez(target, **arrays)


def read_npz(path: Path) -> tuple[Columns, dict[str, Any]]:
    """Columns and metadata; nothing in the file is executed."""
    arrays = _arrays(path, (*NAMES, "metadata"))
    head = _checked(path, str(arrays["metadata"]))
    count, width = arrays["path"].size, arrays["feature"].shape[-1:]
    shapes = {"path": (count,), "pid": (count,), "camid": (count,), "feature": (count, *width)}
    kinds = {"path": "U", "pid": "i8", "camid": "i8", "feature": "f4"}
    for name, shape in shapes.items():
        array = arrays[name]
        known = kinds[name] in (array.dtype.kind, array.dtype.str[1:])
        if array.shape != shape or not known:
            raise _foreign(path, f"{name} {array.dtype} {array.shape}")
    columns = {name: arrays[name] for name in NAMES[1:]}
    return Columns(arrays["path"].tolist(), **columns), head


def read_npz_head(path: Path) -> dict[str, Any]:
    """The metadata of an archive of this package."""
    return _checked(path, str(_arrays(path, ("metadata",))["metadata"]))


def _arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Some arrays of an archive; only these are read."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with archive:
            return {name: archive[name] for name in names}
    except Exception as error:  # damage shows itself in every way a decoder can fail
        raise _damaged(path, error) from None


# --- both ---


def _checked(path: Path, text: str | bytes) -> dict[str, Any]:
    """The metadata in `text`, if they are ours and of this format."""
    try:
        head = json.loads(text)
        version = head["reidlab_embeddings"]
        complete = {"paths", "folder", "source"} <= head.keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _foreign(path, "no metadata of ours") from None
    if version != FORMAT or not complete:
        raise _foreign(path, f"format {version}, this version reads {FORMAT}")
    return head


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:200]
    return ValueError(
        f"{path} is damaged or holds no embeddings ({type(error).__name__}: {reason}); "
        "make it again with `reidlab embed`"
    )


def _foreign(path: Path, found: str) -> ValueError:
    return ValueError(
        f"{path} was not written by this version of reidlab: found {found}, expected the columns "
        f"{', '.join(NAMES)} and metadata; make it with `reidlab embed` or save_embeddings"
    )


FORMATS = {
    ".parquet": Format(_pyarrow, write_parquet, read_parquet, read_parquet_head),
    ".npz": Format(lambda: None, write_npz, read_npz, read_npz_head),
}
