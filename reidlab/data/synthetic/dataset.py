"""Synthetic datasets on disk: rendered once, laid out like Market-1501, checked on every reuse."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reidlab.data.market import FOLDERS, image_names, read_market
from reidlab.data.packs import MANIFEST, pack_complaint, read_manifest
from reidlab.data.samples import Splits
from reidlab.data.synthetic.plan import SyntheticOptions, make_plan
from reidlab.data.synthetic.staging import staging
from reidlab.data.synthetic.writing import fingerprint, generator_version, write_dataset
from reidlab.paths import data_root

log = logging.getLogger(__name__)


def synthetic(
    root: str | os.PathLike[str] | None = None,
    *,
    progress: bool = False,
    device: str | torch.device | None = None,
    **options: Any,
) -> Splits:
    """The synthetic dataset with these options, rendered on first use and cached.

    A cache that is half-written, damaged, or of another version is rendered again.

    Args:
        root: folder for data, see `paths.data_root`; the cache lies in `cache/synthetic` below it.
        progress: show a bar while rendering.
        device: to render on; the CPU unless given, because its pixels are the same every time.
        options: fields of `SyntheticOptions`.

    Raises:
        ValueError: a bad option, or a cache folder that cannot be written.
    """
    wanted = SyntheticOptions(**options)
    folder = cache_folder(wanted, root)
    if reason := validate(folder, wanted):
        log.info("rendering %s: %s", folder, reason)
        _build(folder, wanted, progress=progress, device=device)
    return read_market(folder)


def cache_folder(options: SyntheticOptions, root: str | os.PathLike[str] | None = None) -> Path:
    """Where the cache of these options lies, whether it exists or not."""
    height, width = options.size
    digest = hashlib.sha256(json.dumps(options.as_dict()).encode()).hexdigest()[:8]
    name = f"{options.world}-{options.difficulty}-{height}x{width}-{digest}"
    return data_root(root) / "cache" / "synthetic" / name


def make_dataset(
    folder: str | os.PathLike[str],
    options: SyntheticOptions | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
    device: str | torch.device | None = None,
) -> Path:
    """Render a dataset into `folder`; one that is already there with these options is kept.

    The folder appears complete or not at all: everything is written beside it and renamed.

    Args:
        folder: absent, empty, or a dataset made by this function.
        options: what to render.
        overwrite: replace a dataset that is damaged or was made with other options.
        progress: show a bar.
        device: to render on; the CPU unless given, because its pixels are the same every time.

    Returns:
        The folder.

    Raises:
        ValueError: the folder holds something else, or another dataset and `overwrite` is false,
            or it cannot be written.
    """
    folder, options = Path(folder).expanduser().resolve(), options or SyntheticOptions()
    if folder.is_dir() and any(folder.iterdir()):
        if read_manifest(folder) is None:
            raise ValueError(
                f"{folder} is not empty and holds no dataset made by reidlab (no {MANIFEST} that "
                "can be read); choose a new or an empty folder"
            )
        reason = validate(folder, options)
        if not reason:
            return folder
        if not overwrite:
            raise ValueError(
                f"{folder} holds a dataset, but {reason}; "
                "choose another folder, or overwrite=True (--overwrite) to render it again"
            )
        log.info("rendering %s again: %s", folder, reason)
    _build(folder, options, progress=progress, device=device)
    return folder


def open_dataset(folder: str | os.PathLike[str], options: SyntheticOptions | None = None) -> Splits:
    """The splits of a dataset made by `make_dataset`, after checking every part of it.

    Raises:
        ValueError: it is incomplete or damaged, or was not made with `options`.
    """
    if reason := validate(folder, options):
        raise ValueError(f"{folder} cannot be used: {reason}; make it again with make_dataset")
    return read_market(folder)


def validate(folder: str | os.PathLike[str], options: SyntheticOptions | None = None) -> str:
    """Why `folder` is not the complete dataset of `options`; an empty string when it is.

    Checked are the options and version that made it, its labels, the size of every file, that no
    image was added, and the checksum of the pack. Without `options`, any will do.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return "it is not there yet"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"it holds no {MANIFEST} that can be read"
    content = manifest.content
    if reason := _other_origin(content, options):
        return reason
    if content.get("fingerprint") != fingerprint(content):
        return f"its {MANIFEST} was changed"
    return _wrong_file(folder, content) or pack_complaint(folder, manifest)


def _other_origin(content: Mapping[str, Any], options: SyntheticOptions | None) -> str:
    made_with, version = content.get("options", {}), content.get("generator")
    if options is not None:
        wanted = options.as_dict()
        if differ := differences(made_with, wanted | {"poor": options.poor}):
            return f"it was made with {differ}"
    if version != generator_version():
        return f"it was drawn by version {version}, this is {generator_version()}"
    return ""


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """`seed=0, not 5` for every option in which `made` is not `wanted`; empty when they agree."""
    found = {"poor": 0.0} | dict(made)
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return ", ".join(f"{name}={found.get(name)}, not {wanted[name]}" for name in names)


def _wrong_file(folder: Path, content: Mapping[str, Any]) -> str:
    """The first file that is missing, has another size, or does not belong."""
    expected = {image["file"]: image["bytes"] for image in content["images"]} | content["files"]
    found: dict[str, int] = {}
    for part in ("", *FOLDERS.values()):
        if not (folder / part).is_dir():
            continue
        with os.scandir(folder / part) as entries:
            prefix = f"{part}/" if part else ""
            found |= {f"{prefix}{e.name}": e.stat().st_size for e in entries if e.is_file()}
    for name, size in expected.items():
        if found.get(name) != size:
            has = f"has {found[name]} bytes, expected {size}" if name in found else "is missing"
            return f"{name} {has}"
    parts = [part for part in FOLDERS.values() if (folder / part).is_dir()]
    added = sum(len(image_names(folder / part)) for part in parts) - len(content["images"])
    return f"{added} images were added" if added > 0 else ""


def _build(
    folder: Path,
    options: SyntheticOptions,
    *,
    progress: bool,
    device: str | torch.device | None,
) -> None:
    """Render beside `folder` and put it in place, unless someone else was quicker."""
    plan = make_plan(options)
    with staging(folder, keep=lambda: not validate(folder, options)) as work:
        write_dataset(work, plan, progress=progress, device=device)
