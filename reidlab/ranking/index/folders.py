"""A folder of crops as an `Index` that is kept and brought up to date.

Shapes: N images, D embedding width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reidlab.data.samples import Sample, Samples
from reidlab.embedding import Embeddings, embed
from reidlab.ranking.index.crops import UNNAMED, Crops
from reidlab.ranking.index.files import is_index
from reidlab.ranking.index.filters import attribute_values
from reidlab.ranking.index.gallery import Index
from reidlab.ranking.index.origin import DECISIVE


def index_folder(
    model: nn.Module,
    crops: Crops,
    origin: dict[str, Any],
    keep: Path | None = None,
    **settings: Any,
) -> Index:
    """The index of `crops`; what `keep` holds already is not embedded again.

    An image counts as unchanged when its path, size and time of change are. The folder `keep` is
    written when everything is embedded: interrupted, it stays as it was.

    Args:
        model: that embeds.
        crops: the images.
        origin: from `origin_of`, for this model and these settings.
        keep: folder of the index; None keeps nothing.
        settings: of `embed`.

    Raises:
        ValueError: `keep` holds the index of another folder or model, or bad images as in `embed`.
    """
    old = _kept(keep, crops, origin)
    stamps = {str(sample.path): _stamp(sample.path) for sample in crops.samples}
    rows = _unchanged(old, stamps) if old else {}
    if old and len(rows) == len(old) == len(crops.samples) and _same_labels(old, crops):
        return old
    fresh = [sample for sample in crops.samples if str(sample.path) not in rows]
    found = None
    if fresh:
        if rows:  # bad images alone would be an error, also when they may be skipped
            fresh.append(next(s for s in crops.samples if str(s.path) in rows))
        context = Samples(fresh, crops.samples.cameras, crops.samples.source, crops.samples.views)
        found = embed(model, context, **settings).to("cpu").normalized()
    index = _assembled(crops, old, rows, found, stamps, origin)
    if keep is not None:
        index.save(keep, images=crops.folder if crops.folder.is_dir() else None)
    return index


def _kept(keep: Path | None, crops: Crops, origin: dict[str, Any]) -> Index | None:
    """The index in `keep`, None if there is none; of this folder and this model."""
    if keep is None or not is_index(keep):
        return None
    try:
        old = Index.load(keep)
    except ValueError as error:
        raise ValueError(f"{error}; remove {keep} to embed all images again") from None
    made = old.metadata
    if made.get("data", {}).get("folder") != str(crops.folder) or "stamps" not in made:
        raise ValueError(f"{keep} holds the index of another gallery; name another folder for it")
    old.check_model(origin["model"]["weights"], str(origin["model"]["path"] or "this model"))
    for name in DECISIVE:
        there, here = made.get(name), origin.get(name)
        if there != here:
            raise ValueError(
                f"{keep} was made with {name} {there}, not {here}; name another folder for the "
                "index, or remove that one"
            )
    return old


def _stamp(path: Path) -> list[int]:
    """Size and time of change; of an image that is gone, what no file has."""
    try:
        status = os.stat(path)
    except OSError:  # embedding it will say what is wrong
        return [-1, -1]
    return [status.st_size, status.st_mtime_ns]


def _unchanged(old: Index, stamps: dict[str, list[int]]) -> dict[str, int]:
    """Path -> row in `old`, of the images that are still the same."""
    pairs = zip(map(str, old.gallery.paths), old.metadata["stamps"], strict=True)
    return {path: row for row, (path, stamp) in enumerate(pairs) if stamps.get(path) == stamp}


def _same_labels(old: Index, crops: Crops) -> bool:
    """Whether the images have the order and the labels of `old`."""
    labels = _labels(crops.samples, crops.labelled)
    paths = [str(path) for path in old.gallery.paths]
    return (
        paths == [str(sample.path) for sample in crops.samples]
        and old.gallery.pids.tolist() == labels[0]
        and old.gallery.camids.tolist() == labels[1]
    )


def _labels(samples: Sequence[Sample], labelled: bool) -> tuple[list[int], list[int]]:
    if not labelled:
        return [UNNAMED] * len(samples), [UNNAMED] * len(samples)
    return [sample.pid for sample in samples], [sample.camid for sample in samples]


def _assembled(
    crops: Crops,
    old: Index | None,
    rows: dict[str, int],
    found: Embeddings | None,
    stamps: dict[str, list[int]],
    origin: dict[str, Any],
) -> Index:
    """Old and new features in the order of the images; those that cannot be read are left out."""
    new = {str(path): row for row, path in enumerate(found.paths)} if found else {}
    samples = [s for s in crops.samples if str(s.path) in rows or str(s.path) in new]
    tables = [side for side in (old.gallery if old else None, found) if side is not None]
    features = torch.empty((len(samples), tables[-1].features.shape[1]))
    for position, sample in enumerate(samples):
        path = str(sample.path)
        if found and path in new:
            features[position] = found.features[new[path]]
        elif old:
            features[position] = old.gallery.features[rows[path]]
    pids, camids = map(torch.tensor, _labels(samples, crops.labelled))
    paths = [sample.path for sample in samples]
    described = any(sample.attributes for sample in samples)
    return Index(
        Embeddings(features, pids, camids, tuple(paths), crops.samples.source),
        attributes=attribute_values(s.attributes for s in samples) if described else None,
        metadata=origin
        | {"data": {"folder": str(crops.folder), "labelled": crops.labelled}}
        | {"stamps": [stamps[str(path)] for path in paths]},
    )
