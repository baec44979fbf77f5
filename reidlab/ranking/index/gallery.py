"""`Index`: a gallery that is searched again and again, in memory or in files.

Shapes: N gallery images, D embedding width, Q queries, K places kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.ranking.index import files
from reidlab.ranking.index.filters import (
    Attribute,
    Where,
    attribute_mask,
    camera_mask,
    describe,
)
from reidlab.ranking.index.tiles import nearest_rows
from reidlab.ranking.record import Ranking

Backend = Literal["torch", "faiss"]
Search = Callable[[Tensor, Tensor, int, Tensor | None], tuple[Tensor, Tensor]]


class Index:
    """Exact search in a gallery, filtered by camera and attributes, kept in files if wanted.

    One normalised copy of the features is made on construction, in float32 (float64 stays). A
    loaded index reads its features from the file as they are needed.

    Args:
        gallery: N embeddings.
        attributes: name -> one value per gallery image: texts, numbers, or true and false; None
            where unknown. `attribute_values` makes it from the labels of people.
        metadata: JSON-like values to keep: model, data, settings. `metadata["model"]["weights"]`,
            as `reidlab embed` writes it, lets `check_model` refuse another model.
        backend: "torch", or "faiss" for the same search by that library (`pip install faiss-cpu`).
            It works on the CPU and copies the features once more.

    Raises:
        ValueError: an empty gallery, attributes that do not fit it, an unknown backend, or FAISS
            is not installed.
    """

    def __init__(
        self,
        gallery: Embeddings,
        *,
        attributes: Mapping[str, Sequence[Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        backend: Backend = "torch",
    ) -> None:
        """Normalise the features, once."""
        if not len(gallery):
            raise ValueError("expected a gallery to search, got one without images")
        if not gallery.features.shape[1]:
            raise ValueError("expected features, got width 0; an index has nothing else to compare")
        self.gallery = gallery
        self.metadata = dict(metadata or {})
        self.attributes = {
            name: Attribute.of(name, values, len(gallery))
            for name, values in (attributes or {}).items()
        }
        self._unit = gallery.normalized().features  # (N, D)
        self._nearest = _choose(backend)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        images: Path | str | None = None,
        backend: Backend = "torch",
        verify: bool = False,
    ) -> Index:
        """The index that `save` wrote to `folder`; a million vectors open in milliseconds.

        Features stay in their file and are read when a search needs them (on the CPU, also for
        queries elsewhere). `gallery.features` are then the normalised ones.

        Args:
            folder: of the index.
            images: where the image files lie now; None is where they lay when it was saved.
            backend: as in the constructor.
            verify: read and check every byte. Otherwise the first and the last blocks of each
                file and some between are checked: all of a file below 2 MiB.

        Raises:
            ValueError: no index there, damaged, incomplete, or of a newer version.
        """
        stored = files.read_index(Path(folder).expanduser(), images, verify)
        index = cls.__new__(cls)
        index.gallery, index.metadata = stored.gallery, stored.metadata
        index.attributes = stored.attributes
        index._unit = stored.gallery.features
        index._nearest = _choose(backend)
        return index

    def save(self, folder: Path | str, *, images: Path | str | None = None) -> Path:
        """Write the index to `folder`; the folder.

        It appears whole or not at all: an interrupted save leaves the old index, if there was one,
        as it was. Paths that are `Path` objects are stored relative to `images`, so that index and
        images can move to another machine.

        Args:
            folder: absent, empty, or an index, which is replaced.
            images: folder of the image files; None is the deepest that holds them all.

        Raises:
            ValueError: the folder holds something else, cannot be written, or another process is
                writing into it; paths or metadata that cannot be kept.
        """
        folder = Path(folder).expanduser()
        files.write_index(folder, self.gallery, self._unit, self.attributes, self.metadata, images)
        return folder

    def __len__(self) -> int:
        """N, the number of gallery images."""
        return len(self._unit)

    def __repr__(self) -> str:
        """One short line: images, width, cameras and attributes."""
        known = f", attributes {', '.join(self.attributes)}" if self.attributes else ""
        images, width = self._unit.shape
        return f"Index({images:,} images x {width}, {len(self.cameras)} cameras{known})"

    @cached_property
    def cameras(self) -> list[int]:
        """The camera ids of the gallery, sorted."""
        return np.unique(self._camids).tolist()

    @cached_property
    def _camids(self) -> np.ndarray:
        """Camera ids (N,) on the CPU."""
        return self.gallery.camids.cpu().numpy()

    def search(
        self,
        query: Embeddings,
        k: int = 10,
        *,
        cameras: int | Collection[int] | None = None,
        other_cameras: bool = False,
        where: Where | None = None,
    ) -> Ranking:
        """The k nearest gallery images of every query that pass the filters.

        `order` holds positions in the whole gallery; `distance` is the squared Euclidean distance
        of the L2-normalised features, 2 - 2 cos. Ties are in gallery order. The result is that of
        `rank` up to the rounding of products of other shapes, without a matrix of all distances.
        FAISS gives the same, but chooses freely among equals at the last place.

        It is computed where the query's features lie; a gallery on the CPU goes there in tiles.
        `other_cameras` searches once per camera of the queries.

        Args:
            query: Q embeddings, made like the gallery's.
            k: places to keep.
            cameras: only images of these cameras.
            other_cameras: leave out, for each query, the images of its own camera.
            where: only images with these attributes, such as {"backpack": "yes",
                "up_color": ["red", "white"]}; several values are alternatives.

        Raises:
            ValueError: features of another width or device, an unknown camera, attribute or value,
                or fewer than k images pass the filters.
        """
        self._check_query(query, k)
        passing = np.ones(len(self), bool)
        if cameras is not None:
            passing &= camera_mask(self._camids, self.cameras, cameras)
        if where:
            passing &= attribute_mask(self.attributes, where, len(self))
        unit = query.normalized().features
        order = torch.empty((len(query), k), dtype=torch.int64, device=unit.device)
        distance = torch.empty((len(query), k), dtype=self._unit.dtype, device=unit.device)
        for own, rows in self._groups(query, other_cameras):
            allowed = passing if own is None else passing & (self._camids != own)
            if (count := int(allowed.sum())) < k:
                raise ValueError(self._too_few(count, k, describe(cameras, where, own)))
            chosen = None if allowed.all() else torch.from_numpy(allowed.nonzero()[0])
            order[rows], distance[rows] = self._nearest(unit[rows], self._unit, k, chosen)
        return Ranking(order, distance, query, self.gallery)

    def check_model(self, weights: str, name: str = "the model") -> None:
        """Raise unless the gallery was embedded with these weights.

        Args:
            weights: their digest, from `weights_digest(model)`.
            name: of the model that is to be used now, for the message.

        Raises:
            ValueError: another model, or the index does not say which.
        """
        model = self.metadata.get("model")
        stored = model.get("weights") if isinstance(model, Mapping) else None
        if stored is None:
            raise ValueError(
                "the gallery does not say which model made it; embed it again with `reidlab embed` "
                "or `search_images`, which note that"
            )
        if stored != weights:
            raise ValueError(
                f"the gallery was embedded with {self._made_by()} (weights {stored}), not with "
                f"{name} (weights {weights}): their features cannot be compared; search with that "
                "model, or embed the gallery again"
            )

    def _made_by(self) -> str:
        """The model of the gallery in words."""
        model = self.metadata.get("model")
        known = model if isinstance(model, Mapping) else {}
        return str(known.get("path") or known.get("name") or "another model")

    def _check_query(self, query: Embeddings, k: int) -> None:
        images, width = self._unit.shape
        if query.features.shape[1] != width:
            raise ValueError(
                f"expected queries of width {width} like the gallery's, got "
                f"{query.features.shape[1]}; embed them with the same model ({self._made_by()})"
            )
        if self._unit.device.type != "cpu" and self._unit.device != query.features.device:
            raise ValueError(
                f"the gallery is on {self._unit.device}, the query on {query.features.device}; "
                "move the query with .to(device)"
            )
        whole_k(k)
        if not 1 <= k <= images:
            raise ValueError(f"expected k from 1 to {images}, the size of the gallery, got {k}")

    def _groups(
        self, query: Embeddings, other_cameras: bool
    ) -> Iterator[tuple[int | None, Tensor | slice]]:
        """Queries that are searched together: (the camera to leave out, their rows)."""
        if not other_cameras:
            yield None, slice(None)
            return
        for camera in query.camids.unique().tolist():
            yield camera, (query.camids == camera).nonzero().flatten()

    def _too_few(self, count: int, k: int, filters: str) -> str:
        return (
            f"{count} of {len(self)} gallery images pass {filters}, fewer than the {k} places "
            "asked for; lower k or widen the filter"
        )


def whole_k(k: Any) -> None:
    """Raise unless `k` is a whole number.

    Raises:
        ValueError: it is not.
    """
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise ValueError(f"expected k as a whole number of places, got {k!r}; give k=10, say")


def _choose(backend: str) -> Search:
    """The function that searches."""
    if backend == "torch":
        return nearest_rows
    if backend == "faiss":
        from reidlab.ranking.index.flat import FlatSearch

        return FlatSearch()
    raise ValueError(f"backend must be 'torch' or 'faiss', got {backend!r}")
