"""What the right answers are, and which answer a guesser would give.

Shapes: N images, n classes of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.heads import HEADS, Labels, counts
from reidlab.data.samples import Sample
from reidlab.data.targets import targets_of
from reidlab.embedding.attributes import AttributePredictions

Integers = NDArray[np.int64]
Targets = Mapping[str, Tensor] | Sequence[Sample]
Training = Mapping[str, Sequence[int]] | Mapping[int, Labels] | Iterable[Labels] | Sequence[Sample]
EXPECTED = "expected counts(...), an AttributeTable, or samples or labels of the training people"


def true_classes(predictions: AttributePredictions, targets: Targets) -> dict[str, Integers]:
    """Head -> class index (N,) of the images that `predictions` are about, for its heads.

    Args:
        predictions: of N images of labelled people.
        targets: head -> (N,) class indices, as `targets_of` gives them, or the N samples
            themselves with their attributes, in the order of the predictions.

    Raises:
        ValueError: there are no images, one shows nobody who is labelled (distractors and junk),
            or `targets` are something else or not about these images: another number, another
            person, no attributes, a class that a head does not have. The message names the image.
    """
    if not len(predictions):
        raise ValueError("expected predictions of one image or more, got none")
    pids = predictions.pids.cpu().numpy()
    if len(nobody := np.flatnonzero(pids < 1)):
        raise ValueError(
            f"{_image(predictions, int(nobody[0]))} shows nobody who is labelled (person id "
            f"{pids[nobody[0]]}), as do {len(nobody) - 1} others; leave distractors and junk out: "
            "predictions[predictions.pids > 0]"
        )
    if not isinstance(targets, Mapping):
        if not isinstance(targets, Sequence) or not all(isinstance(s, Sample) for s in targets):
            raise ValueError(
                "targets: expected head -> class indices, as targets_of(samples) gives them, or "
                f"the samples that were predicted, got {_shown(targets)}"
            )
        _check_same(predictions, targets)
        targets = targets_of(targets, predictions.heads)
    return {head: _checked(predictions, head, targets) for head in predictions.heads}


def majority_classes(train: Training, heads: Iterable[str] = tuple(HEADS)) -> dict[str, int]:
    """Head -> index of the most frequent class: what somebody would answer who sees no image.

    Of equally frequent classes the first is taken.

    Args:
        train: counts, as `counts` gives them; an `AttributeTable` or other labels by person; labels
            alone; or samples with attributes, each image counting once.
        heads: which of the twelve.

    Raises:
        ValueError: nobody is counted, counts that are not those of a head's classes, or something
            else altogether.
    """
    if not isinstance(train, Iterable) or isinstance(train, str):
        raise ValueError(f"train: {EXPECTED}, got {_shown(train)}")
    if isinstance(train, Mapping):
        by_name = bool(train) and all(isinstance(key, str) for key in train)
        found: Any = train if by_name else counts(map(_labels, train.values()))
    else:
        found = counts(map(_labels, train))
    return {head: _majority(head, found.get(head)) for head in heads}


def _labels(row: Any) -> Labels:
    """The labels of one person, from a sample or as they are."""
    if not isinstance(row, Sample | Mapping):
        raise ValueError(f"train: {EXPECTED}; among them is {_shown(row)}")
    if not isinstance(row, Sample):
        return row
    if row.attributes is None:
        raise ValueError(
            f"{row.path}: nobody says which attributes person {row.pid} has; give them with "
            "annotate(samples, read_attributes(FILE)), or leave the image out"
        )
    return row.attributes


def _majority(head: str, numbers: Any) -> int:
    """Index of the largest of a head's counts."""
    names = HEADS[head]
    listed = list(numbers) if isinstance(numbers, Sequence | np.ndarray) else []
    whole = all(isinstance(n, Integral) and int(n) >= 0 for n in listed)
    if len(listed) != len(names) or not whole or not sum(listed):
        got = "none" if numbers is None else f"{str(numbers)[:60]}"
        raise ValueError(
            f"{head}: expected how many of the training people are {', '.join(names)}, as "
            f"counts(...) tells, got {got}"
        )
    return listed.index(max(listed))


def _check_same(predictions: AttributePredictions, samples: Sequence[Sample]) -> None:
    """Raise unless the samples show the people of the predictions, row by row."""
    if len(samples) != len(predictions):
        raise ValueError(
            f"expected the {len(predictions)} samples that were predicted, got {len(samples)}"
        )
    for row, (pid, sample) in enumerate(zip(predictions.pids.tolist(), samples, strict=True)):
        if pid != sample.pid:
            raise ValueError(
                f"row {row}: predicted for person {pid}, but {sample.path} shows {sample.pid}; "
                "give the samples that were predicted, in their order"
            )


def _checked(
    predictions: AttributePredictions, head: str, targets: Mapping[str, Tensor]
) -> Integers:
    """The targets of one head as an array, each of them a class that it has."""
    names = HEADS[head]
    if head not in targets:
        raise ValueError(f"expected targets of {head}, got those of {', '.join(targets)}")
    values = torch.as_tensor(targets[head]).cpu()
    if values.shape != (len(predictions),) or values.is_floating_point() or values.is_complex():
        raise ValueError(
            f"{head}: expected a whole number for each of {len(predictions)} images, got "
            f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"
        )
    found = values.numpy().astype(np.int64)
    if len(wrong := np.flatnonzero((found < 0) | (found >= len(names)))):
        raise ValueError(
            f"{head}: {_image(predictions, int(wrong[0]))} is of class {found[wrong[0]]}, expected "
            f"0 to {len(names) - 1} ({', '.join(names)})"
        )
    return found


def _shown(value: Any) -> str:
    """The start of a value that is not what was expected."""
    return f"{value!r:.60}"


def _image(predictions: AttributePredictions, row: int) -> str:
    """How to call an image in a message."""
    return str(predictions.paths[row]) if predictions.paths else f"row {row}"
