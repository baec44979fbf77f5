"""Query and gallery from two files of `reidlab embed`, checked to belong together."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from reidlab.embedding import Embeddings, load_embeddings, read_metadata

logger = logging.getLogger(__name__)


def read_sides(
    query_file: Path, gallery_file: Path
) -> tuple[Embeddings, Embeddings, dict[str, Any]]:
    """Both sides, and what their files say that belongs beside the scores.

    Raises:
        ValueError: a file cannot be read, shows persons that nobody named, or is the other one's;
            or the two come from different weights, or from one model used differently.
    """
    files = query_file, gallery_file
    heads = [read_metadata(file) for file in files]
    for file, head, other in zip(files, heads, ("gallery", "query"), strict=True):
        data = head.get("data", {})
        if data.get("labelled") is False:
            raise ValueError(
                f"{file}: nobody says who its images show (it was written with --unlabelled), so "
                "there is nothing to score against"
            )
        if str(data.get("part")).endswith(other):
            raise ValueError(
                f"{file} holds {data['part']} images; write --embeddings QUERY GALLERY"
            )
    _check_origin(files, heads)
    query, gallery = map(load_embeddings, files)
    widths = query.features.shape[1], gallery.features.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"{query_file} holds features of width {widths[0]}, {gallery_file} of width "
            f"{widths[1]}; embed both with the same model"
        )
    return query, gallery, _origin(files, heads)


def _check_origin(files: tuple[Path, Path], heads: list[dict[str, Any]]) -> None:
    """Raise when the files say that their features cannot be compared; warn if they do not say."""
    facts = [_facts(head) for head in heads]
    for name in facts[0]:
        first, second = (of_file[name] for of_file in facts)
        if first != second and None not in (first, second):
            raise ValueError(
                f"{files[0]} and {files[1]} differ in {name} ({first}, {second}); embed both sides "
                "in the same way"
            )
    silent = [file for file, known in zip(files, facts, strict=True) if not known["model weights"]]
    if silent:
        listed = " and ".join(map(str, silent))
        logger.warning("%s: not said which weights gave the features, only widths agree", listed)


def _facts(head: dict[str, Any]) -> dict[str, Any]:
    """What both files must share, None where one does not say."""
    return {
        "model weights": head.get("model", {}).get("weights"),
        "neck": head.get("neck"),
        "flip": head.get("flip"),
        "image size": head.get("size"),
    }


def _origin(files: tuple[Path, Path], heads: list[dict[str, Any]]) -> dict[str, Any]:
    """Files, data and model, for the JSON of the scores."""
    prints = [head.get("data", {}).get("fingerprint") for head in heads]
    return {
        "embeddings": [str(file) for file in files],
        "fingerprint": prints[0] if prints[0] == prints[1] else prints,
        "weights": _facts(heads[0])["model weights"],
        "flip": heads[0].get("flip"),
        "neck": heads[0].get("neck"),
    }
