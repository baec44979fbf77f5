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
        ValueError: a file cannot be read, shows persons that nobody named, holds images of the
            training, or is the other one's; the two are one file, parts that do not belong
            together, or of different datasets; or they come from different weights, or from one
            model used differently.
    """
    files = query_file, gallery_file
    heads = [read_metadata(file) for file in files]
    if query_file.expanduser().samefile(gallery_file.expanduser()):
        raise ValueError(
            f"{query_file} and {gallery_file} are one file, whose images would find themselves; "
            "write --embeddings QUERY GALLERY with a file for each"
        )
    for file, head, other in zip(files, heads, ("gallery", "query"), strict=True):
        _check_part(file, head.get("data", {}), other)
    _check_origin(files, heads)
    _check_data(files, heads)
    query, gallery = map(load_embeddings, files)
    widths = query.features.shape[1], gallery.features.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"{query_file} holds features of width {widths[0]}, {gallery_file} of width "
            f"{widths[1]}; embed both with the same model"
        )
    return query, gallery, _origin(files, heads)


def _check_part(file: Path, data: dict[str, Any], other: str) -> None:
    """Raise when a file cannot be its side; `other` is the name of the other side."""
    if data.get("labelled") is False:
        raise ValueError(
            f"{file}: nobody says who its images show (it was written with --unlabelled), so "
            "there is nothing to score against"
        )
    part = str(data.get("part"))
    if part == "train":
        raise ValueError(
            f"{file} holds train images, whose people the model has seen, so that a score would "
            "mean nothing; write files of other parts (embed --part query, --part gallery)"
        )
    if part.endswith(other):
        raise ValueError(f"{file} holds {part} images; write --embeddings QUERY GALLERY")


def _check_data(files: tuple[Path, Path], heads: list[dict[str, Any]]) -> None:
    """Raise when the images of both files do not belong together; warn if that is not said."""
    facts = [head.get("data", {}) for head in heads]
    parts = [str(data.get("part")) for data in facts]
    prints = [data.get("fingerprint") for data in facts]
    if {"query", "gallery"} <= {part.removeprefix("validation-") for part in parts} and (
        parts[0].removesuffix("query") != parts[1].removesuffix("gallery")
    ):
        raise ValueError(
            f"{files[0]} holds {parts[0]} images, {files[1]} {parts[1]} images, which do not "
            "belong together; write query with gallery, or validation-query with validation-gallery"
        )
    if None not in prints and prints[0] != prints[1]:
        raise ValueError(
            f"{files[0]} and {files[1]} hold images of different datasets (fingerprints "
            f"{prints[0]}, {prints[1]}), whose person numbers have nothing in common; embed both "
            "sides from one dataset"
        )
    if parts == ["all", "all"] and None not in prints:
        raise ValueError(
            f"{files[0]} and {files[1]} both hold all images of one dataset, which would find "
            "themselves; write files of its parts (embed --part query, --part gallery)"
        )
    if silent := [file for file, known in zip(files, prints, strict=True) if known is None]:
        listed = " and ".join(map(str, silent))
        logger.warning("%s: not said which dataset the images are from, taken as the same", listed)


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
