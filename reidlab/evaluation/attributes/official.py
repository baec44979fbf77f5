"""Market-1501's own attribute evaluator: twelve columns, colours in an order of their own.

Shapes: N gallery images of labelled people, 12 columns.

Source: Lin et al. 2019, "Improving Person Re-identification by Attribute and Identity Learning"
(arXiv:1703.07220); layout and rules from the description of its annotation's evaluator, not from
its source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reidlab.data.heads import HEADS, PLAIN_HEADS, Labels, classes
from reidlab.data.samples import Sample
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.record import aligned

Codes = NDArray[np.uint8]

_ORDER = (
    "gender", "hair", "age", "up", "down", "clothes", "hat", "backpack", "bag", "handbag",
)  # fmt: skip
OFFICIAL: dict[str, tuple[str, ...]] = {name: PLAIN_HEADS[name] for name in _ORDER} | {
    "up_color": ("black", "white", "red", "purple", "gray", "blue", "green", "yellow"),
    "down_color": (
        "black", "white", "pink", "gray", "blue", "green", "brown", "yellow", "purple",
    ),
}  # fmt: skip
"""The twelve columns in order, as heads, with the names of their codes 1, 2, ... No "multi"."""

SEVERAL = 0  # the true code of several colours: no answer equals it
LISTED = "one row per gallery image with a person id above 0, in order of file name"


@dataclass(frozen=True)
class OfficialScores:
    """What the evaluator says; `print(scores)` shows a row per column.

    Args:
        accuracy: column -> share of images whose code is right, in [0, 1].
        images: how many there are.
        several: column -> images that can never be right, because the garment has several colours.
        either: images of which this is so for one garment or both.
    """

    accuracy: dict[str, float]
    images: int
    several: dict[str, int]
    either: int

    @property
    def mean(self) -> float:
        """Plain mean of the twelve columns."""
        return float(np.mean(list(self.accuracy.values())))

    def __str__(self) -> str:
        """A row per column, the mean, and what no answer could get right."""
        rows = [
            {
                "column": name,
                "accuracy": f"{share:6.1%}",
                "never right": f"{self.several[name]:>6,}" if self.several.get(name) else "",
            }
            for name, share in {**self.accuracy, "mean": self.mean}.items()
        ]
        note = (
            f"{self.images:,} images; {self.either:,} show a garment of several colours, which has "
            "no code here and is never right"
        )
        return f"{aligned(rows)}\n{note}"


def official_matrix(predictions: AttributePredictions) -> Codes:
    """The evaluator's matrix (N, 12) uint8 of answers, rows and columns in its order.

    There is no code for several colours: where that is the answer, the most likely single colour
    is written; `several_colors` counts these images. Distractors and junk get no row.

    Args:
        predictions: of the gallery, all twelve heads, with paths: rows go by file name.

    Raises:
        ValueError: a head is missing, there are no paths, or nobody with a person id above 0.
    """
    kept = _labelled(predictions)
    columns = []
    for head, names in OFFICIAL.items():
        singles = [HEADS[head].index(name) for name in names]  # "multi" is not among them
        columns.append(kept.logits[head].cpu()[:, singles].argmax(dim=1).numpy() + 1)
    return np.stack(columns, axis=1).astype(np.uint8)


def several_colors(predictions: AttributePredictions) -> dict[str, int]:
    """Colour column -> images of `official_matrix` whose answer was several colours."""
    answers = _labelled(predictions).answers
    return {
        head: int((answers[head] == HEADS[head].index("multi")).sum())
        for head in OFFICIAL
        if "multi" in HEADS[head]
    }


def evaluate_official(
    matrix: NDArray[Any], gallery: Sequence[Sample], table: Mapping[int, Labels] | None = None
) -> OfficialScores:
    """Share of images with the right code, column by column, as the evaluator counts.

    Args:
        matrix: (N, 12) codes of the gallery images with a person id above 0, in order of file name:
            from `official_matrix` or `read_official`.
        gallery: all gallery samples in any order; distractors and junk are left out.
        table: person id -> labels, from `read_attributes`; by default what the samples carry.

    Raises:
        ValueError: another number of rows or columns, a code that a column does not have, or a
            person without attributes.
    """
    shown = sorted((s for s in gallery if s.pid > 0), key=lambda s: (s.path.name, str(s.path)))
    codes = check_matrix(matrix, "matrix")
    if len(codes) != len(shown) or not shown:
        raise ValueError(
            f"expected {len(shown):,} rows, {LISTED}; got {len(codes):,}"
            + ("" if len(codes) != len(gallery) else ": leave out distractors and junk")
        )
    truth = np.array([_true_codes(sample, table) for sample in shown])  # (N, 12)
    share = (codes == truth).mean(axis=0)
    several = truth == SEVERAL
    counted = {head: int(n) for head, n in zip(OFFICIAL, several.sum(axis=0), strict=True)}
    return OfficialScores(
        dict(zip(OFFICIAL, share.tolist(), strict=True)),
        len(shown),
        {head: counted[head] for head in OFFICIAL if "multi" in HEADS[head]},
        int(several.any(axis=1).sum()),
    )


def check_matrix(matrix: NDArray[Any] | Tensor, where: str) -> Codes:
    """`matrix` as uint8, once every value is a code of its column; `where` begins the message.

    Raises:
        ValueError: it is not; row and column are counted from 1.
    """
    values = np.asarray(matrix)
    if values.ndim != 2 or values.shape[1] != len(OFFICIAL) or values.dtype.kind not in "iuf":
        raise ValueError(
            f"{where}: expected numbers of shape (images, 12), {LISTED}; got {values.dtype} of "
            f"shape {values.shape}"
        )
    largest = np.array([len(names) for names in OFFICIAL.values()])
    fine = (values >= 1) & (values <= largest) & (values == np.trunc(values))
    if not fine.all():
        row, column = (int(each[0]) for each in np.nonzero(~fine))
        head, names = list(OFFICIAL.items())[column]
        allowed = ", ".join(f"{i} {name}" for i, name in enumerate(names, start=1))
        raise ValueError(
            f"{where}, row {row + 1}, column {column + 1} ({head}): found "
            f"{values[row, column]:g}, expected one of: {allowed}"
        )
    return values.astype(np.uint8)


def _labelled(predictions: AttributePredictions) -> AttributePredictions:
    """The images of labelled people in order of file name."""
    if missing := [head for head in OFFICIAL if head not in predictions.heads]:
        raise ValueError(f"expected all twelve heads, {', '.join(missing)} missing")
    if len(predictions) and not predictions.paths:
        raise ValueError(
            "expected predictions with paths, because rows go in order of file name; predict from "
            "samples, or give AttributePredictions(..., paths=...)"
        )
    pids = predictions.pids.tolist()
    rows = [row for row, pid in enumerate(pids) if pid > 0]
    if not rows:
        raise ValueError(f"expected {LISTED}; got {len(predictions)} images, none with such an id")
    rows.sort(key=lambda row: (predictions.paths[row].name, str(predictions.paths[row])))
    return predictions[rows]


def _true_codes(sample: Sample, table: Mapping[int, Labels] | None) -> list[int]:
    """The twelve codes of the person in an image."""
    labels = sample.attributes if table is None else table.get(sample.pid)
    if labels is None:
        raise ValueError(
            f"{sample.path}: expected attributes of person {sample.pid}, got none; pass "
            "table=read_attributes(...) of the file that describes these people"
        )
    try:
        worn = classes(labels)
    except ValueError as error:
        raise ValueError(f"{sample.path}: {error}") from None
    found = {head: HEADS[head][worn[head]] for head in OFFICIAL}
    return [
        names.index(found[head]) + 1 if found[head] in names else SEVERAL
        for head, names in OFFICIAL.items()
    ]
