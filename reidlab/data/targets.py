"""Attributes as tensors: what a loss compares logits with.

Shapes: N images, one class index each per head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from reidlab.data.heads import (
    COLORS,
    COLUMNS,
    HEADS,
    PLAIN_HEADS,
    Labels,
    class_weights,
    classes,
    counts,
)
from reidlab.data.samples import DISTRACTOR, Sample, Samples, cameras_of, views_of


def targets(codes: Mapping[str, Tensor], heads: Iterable[str] = tuple(HEADS)) -> dict[str, Tensor]:
    """Head -> class index (N,) int64, from the columns of a batch.

    Args:
        codes: column -> codes (N,) as on disk, 1 and up: `batch.attributes`.
        heads: which of the twelve.

    Raises:
        ValueError: a column is missing, a head is unknown, or a code has no meaning.
    """
    chosen = _known(heads)
    if missing := [name for name in COLUMNS if name not in codes]:
        raise ValueError(f"expected the 27 attribute columns, {', '.join(missing)} missing")
    found = {}
    for head in chosen:
        if head in PLAIN_HEADS:
            found[head] = codes[head].long() - 1
            if bool(((found[head] < 0) | (found[head] >= len(HEADS[head]))).any()):
                raise ValueError(
                    f"expected codes of {head} from 1 to {len(HEADS[head])} "
                    f"({', '.join(HEADS[head])}), got {sorted(set(codes[head].tolist()))}"
                )
        else:
            garment = head.removesuffix("_color")
            worn = torch.stack([codes[garment + color] == 2 for color in COLORS[garment]])  # (k, N)
            several = ~worn.any(dim=0, keepdim=True)  # the last class, "multi"
            found[head] = torch.cat([worn, several]).int().argmax(dim=0)
    return found


def labelled(samples: Sequence[Sample]) -> Samples:
    """The images of people; distractors (0) and junk (-1) are left out, nobody describes them."""
    shown = (sample for sample in samples if sample.pid > DISTRACTOR)
    source = getattr(samples, "source", "")
    return Samples(shown, cameras_of(samples), source, views_of(samples))


def people_of(samples: Sequence[Sample]) -> dict[int, Labels]:
    """Person id -> labels, of the people that samples show; each counts once.

    Raises:
        ValueError: a sample has no attributes, or others than an earlier image of its person.
    """
    first: dict[int, tuple[Sample, Labels]] = {}
    for sample in samples:
        labels = _labels(sample)
        other, known = first.setdefault(sample.pid, (sample, labels))
        if labels is not known and dict(labels) != dict(known):
            differ = next(c for c in {**known, **labels} if labels.get(c) != known.get(c))
            raise ValueError(
                f"{sample.path}: column {differ} of person {sample.pid} is {labels.get(differ)}, "
                f"but {known.get(differ)} in {other.path}; a person has one answer for all images"
            )
    return {pid: labels for pid, (_, labels) in first.items()}


def weights_of(samples: Sequence[Sample]) -> dict[str, dict[str, list[float]]]:
    """The class weights that `attribute_loss` wants: by people, not by images.

    Raises:
        ValueError: a sample has no attributes.
    """
    return {"weights": class_weights(counts(people_of(samples)))}


def targets_of(samples: Sequence[Sample], heads: Iterable[str] = tuple(HEADS)) -> dict[str, Tensor]:
    """Head -> class index (N,) int64 of the people that N samples show.

    Raises:
        ValueError: a sample has no attributes, or labels that are not valid; the message names it.
    """
    chosen, rows = _known(heads), []
    for sample in samples:
        labels = _labels(sample)
        try:
            rows.append(classes(labels))
        except ValueError as error:
            raise ValueError(f"{sample.path}: {error}") from None
    return {head: torch.tensor([row[head] for row in rows], dtype=torch.int64) for head in chosen}


def _known(heads: Iterable[str]) -> list[str]:
    chosen = list(heads)
    if unknown := [head for head in chosen if head not in HEADS]:
        raise ValueError(
            f"unknown attribute {', '.join(map(repr, unknown))}; expected some of "
            f"{', '.join(HEADS)}"
        )
    return chosen


def _labels(sample: Sample) -> Labels:
    if sample.attributes is None:
        raise ValueError(
            f"{sample.path}: nobody says which attributes person {sample.pid} has; give them with "
            "annotate(samples, read_attributes(FILE)), or leave the image out"
        )
    return sample.attributes
