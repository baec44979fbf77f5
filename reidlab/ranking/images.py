"""From image files to their nearest images, in one call.

Shapes: Q queries, K places kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reidlab.checkpoints import load_model, read_card
from reidlab.embedding import Embeddings, embed, load_embeddings, read_metadata
from reidlab.ranking.index import Index
from reidlab.ranking.index.crops import UNNAMED, Crops, query_samples, read_crops
from reidlab.ranking.index.files import is_index
from reidlab.ranking.index.filters import Where
from reidlab.ranking.index.folders import index_folder
from reidlab.ranking.index.gallery import whole_k
from reidlab.ranking.index.origin import DECISIVE, agreed, origin_of
from reidlab.ranking.index.told import told_cameras
from reidlab.ranking.record import Ranking

FILES = (".parquet", ".npz")

Gallery = Index | Embeddings | Path | str


def search_images(
    model: nn.Module | Path | str,
    images: Path | str | Sequence[Path | str],
    gallery: Gallery,
    k: int = 10,
    *,
    index: Path | str | None = None,
    cameras: int | Collection[int] | None = None,
    other_cameras: bool = False,
    where: Where | None = None,
    unlabelled: bool = False,
    flip: bool | None = None,
    neck: str | None = None,
    unseen: str | None = None,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
    progress: bool = False,
) -> Ranking:
    """The k gallery images that are most like each of some image files.

    Own crops, two lines::

        hits = search_images("runs/mine", "crop.jpg", "my_crops/", k=10)
        gallery_strip(hits)

    The cosine similarity is `1 - hits.distance / 2`; `hit_rows(hits)` lists places, paths and both.
    Where nobody says who an image shows, its person (and camera) is -2, and `gallery_strip` draws
    neutral frames. A gallery folder laid out like a benchmark, or with names like Market-1501's,
    keeps its persons and cameras, and so does a query that lies in it.

    Args:
        model: with `preprocess`, or what `load_model` takes: a run's folder, a .safetensors file,
            the name of a shipped checkpoint.
        images: one image file or more: the queries.
        gallery: a folder of image files, a file of `reidlab embed` (.parquet, .npz), a saved
            index, an `Index`, or `Embeddings` made with the same model.
        k: places; a smaller gallery gives all it has.
        index: a folder to keep the index of a folder of images in: the next search embeds only
            images that are new or changed. None keeps nothing.
        cameras: only images of these cameras.
        other_cameras: leave out images of the query's own camera, where it is known.
        where: only images with these attributes, where the gallery has some.
        unlabelled: take all images of the folder, whatever it looks like, and no labels.
        flip: average with the mirror image. None is what the gallery was embedded with, else what
            the model's card says, else False.
        neck: "before" or "after"; None is the gallery's, else the model's default.
        unseen: of a network that was told cameras, where those of query or gallery are others or
            unknown: all images get the "mean" of its cameras, or "none"; "error": the gallery has
            the cameras of the training.
        batch_size: images per step.
        device: None is CUDA, then MPS, then the CPU.
        on_error: "raise" or "skip" bad images of the gallery; a bad query is always an error.
        progress: show bars.

    Raises:
        ValueError: no such model, image or gallery; a gallery of another model or other settings;
            a filter that leaves too few images; other cameras asked for a query without one; a
            network that was told cameras, and cameras that nobody knows.
    """
    paths = _query_paths(images)
    whole_k(k)
    if k < 1:
        raise ValueError(f"expected k of at least 1, got {k}")
    net, card, name = _model(model)
    stored, crops = _open(gallery, unlabelled)
    made = stored.metadata if stored else {}
    flip = agreed(made, "flip", flip)
    flip = bool(card.get("flip", False)) if flip is None else flip
    neck = agreed(made, "neck", neck)
    settings: dict[str, Any] = {"flip": flip, "neck": neck, "batch_size": batch_size}
    settings |= {"device": device, "progress": progress}
    origin = origin_of(net, flip=flip, neck=neck, path=name)
    if "model" in made and stored:
        stored.check_model(origin["model"]["weights"], name or "this model")
    elif isinstance(gallery, (str, Path)) and stored:
        stored.check_model(origin["model"]["weights"])  # says that the file lacks it
    net, unseen = told_cameras(net, paths, crops, agreed(made, "unseen", unseen), card)
    if unseen is not None:
        origin["unseen"] = unseen
        if "model" in made and "unseen" not in made:
            raise ValueError(
                "the gallery was embedded with the cameras of its images, the query would be "
                f"without; embed the gallery again with unseen {unseen}"
            )
    for setting in DECISIVE:
        if made.get(setting) is not None:  # None says nothing that could differ
            agreed(made, setting, origin.get(setting))
    query = _embed_queries(net, paths, crops, settings)  # first: a bad query costs no time
    if other_cameras and bool((query.camids == UNNAMED).any()):
        first = query.paths[int((query.camids == UNNAMED).nonzero()[0])]
        raise ValueError(f"{first}: nobody says which camera took it; leave out other_cameras")
    if stored is None:
        assert crops is not None
        keep = None if index is None else Path(index).expanduser()
        stored = index_folder(net, crops, origin, keep, **settings, on_error=on_error)
    filters: dict[str, Any] = {"cameras": cameras, "other_cameras": other_cameras, "where": where}
    return stored.search(query, min(k, len(stored)), **filters)


def hit_rows(hits: Ranking) -> list[dict[str, Any]]:
    """A row per hit: query, place, path, distance, similarity, pid, camid; None where unknown.

    `pandas.DataFrame(hit_rows(hits))` is a table of them. Similarity is the cosine, 1 for the same
    picture, about 0 for pictures that have nothing in common.
    """
    query, gallery = hits.query, hits.gallery
    rows = []
    orders, distances = hits.order.tolist(), hits.distance.tolist()
    for q, (order, far) in enumerate(zip(orders, distances, strict=True)):
        for place, (g, distance) in enumerate(zip(order, far, strict=True), start=1):
            rows.append(
                {
                    "query": str(query.paths[q]) if len(query.paths) else q,
                    "place": place,
                    "path": str(gallery.paths[g]) if len(gallery.paths) else g,
                    "distance": distance,
                    "similarity": 1 - distance / 2,
                    "pid": _known(int(gallery.pids[g])),
                    "camid": _known(int(gallery.camids[g])),
                }
            )
    return rows


def _known(label: int) -> int | None:
    return None if label == UNNAMED else label


def _query_paths(images: Path | str | Sequence[Path | str]) -> list[Path]:
    """The query files; complains of a folder before a model is loaded."""
    several = [images] if isinstance(images, (str, Path)) else images
    paths = [Path(image).expanduser() for image in several]
    if not paths:
        raise ValueError("expected one query image or more, got none")
    for path in paths:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name the query images themselves")
        if not path.exists():
            raise ValueError(f"{path}: no such query image")
    return paths


def _model(model: nn.Module | Path | str) -> tuple[nn.Module, dict[str, Any], str | None]:
    """A network, its card (empty for one in memory), and what to call it."""
    if isinstance(model, nn.Module):
        return model, {}, None
    path = Path(model).expanduser()
    return load_model(model)[0], read_card(model), str(path.resolve() if path.exists() else model)


def _open(gallery: Gallery, unlabelled: bool) -> tuple[Index | None, Crops | None]:
    """An index that is there already, or the image files to make one of."""
    if isinstance(gallery, Index):
        return gallery, None
    if isinstance(gallery, Embeddings):
        return Index(gallery), None
    path = Path(gallery).expanduser()
    if path.suffix in FILES and not path.is_dir():
        head, found = read_metadata(path), load_embeddings(path)
        if head.get("data", {}).get("labelled") is False:
            nobody = torch.full_like(found.pids, UNNAMED)
            found = Embeddings(found.features, nobody, nobody, found.paths, found.source)
        return Index(found, metadata=head), None
    if is_index(path):
        return Index.load(path), None
    return None, read_crops(path, unlabelled=unlabelled)


def _embed_queries(
    model: nn.Module, paths: Sequence[Path], crops: Crops | None, settings: dict[str, Any]
) -> Embeddings:
    """The queries in their order; person and camera -2 where they are unknown."""
    samples, known = query_samples(paths, crops)
    found = embed(model, samples, **{**settings, "progress": False})
    stranger = ~torch.tensor(known, device=found.pids.device)
    pids, camids = (ids.masked_fill(stranger, UNNAMED) for ids in (found.pids, found.camids))
    return Embeddings(found.features, pids, camids, tuple(paths), "queries")
