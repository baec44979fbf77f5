"""Scores of attribute predictions: one table of counts per head, and all that follows from it.

Shapes: n classes of a head. Shares are in [0, 1], NaN where they would divide by nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlab.data.heads import HEADS
from reidlab.evaluation.attributes.instance import InstanceScores, plain
from reidlab.evaluation.record import aligned

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeadScores:
    """What the answers of one head are worth.

    Args:
        head: its name; `HEADS[head]` names the classes.
        confusion: (n, n) int64, images that are of the row's class and got the column's answer.
        people: (n,) int64, people with an image of each class.
        majority: index of the class that was most frequent in training: what guessing answers.
    """

    head: str
    confusion: Integers
    people: Integers
    majority: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the n classes."""
        return HEADS[self.head]

    @property
    def support(self) -> Integers:
        """(n,) images of each class."""
        return self.confusion.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of images whose answer is right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall(self) -> Floats:
        """(n,) share of a class's images that were recognised; NaN for a class that nobody has."""
        return _shares(np.diag(self.confusion), self.support)

    @property
    def precision(self) -> Floats:
        """(n,) share of a class's answers that are right; NaN for a class never answered."""
        return _shares(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> Floats:
        """(n,) harmonic mean of both; 0 when either is 0, NaN if neither had nor answered."""
        both = self.support + self.confusion.sum(axis=0)
        return _shares(2 * np.diag(self.confusion), both)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur: each counts the same, however rare."""
        return float(np.nanmean(self.recall))

    @property
    def majority_name(self) -> str:
        """What guessing answers."""
        return self.names[self.majority]

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always answering the majority of training."""
        return float(self.support[self.majority] / self.support.sum())

    @property
    def majority_balanced_accuracy(self) -> float:
        """Balanced accuracy of that answer: one class has recall 1, if it occurs, the others 0."""
        return float(np.mean(np.flatnonzero(self.support) == self.majority))

    @property
    def rarest(self) -> int:
        """Index of the class with the fewest images, of those that occur."""
        support = self.support
        return int(np.where(support > 0, support, support.max() + 1).argmin())

    @property
    def label_accuracies(self) -> dict[str, float]:
        """Class -> (TPR + TNR) / 2 of the binary labels that this head stands for.

        One label for a head of two classes, whose second is the positive one; else one per class.
        Labels without a positive or without a negative image are left out.
        """
        own, total = np.diag(self.confusion), self.confusion.sum()
        negatives = total - self.support
        true_negatives = negatives - (self.confusion.sum(axis=0) - own)
        means = (self.recall + _shares(true_negatives, negatives)) / 2
        first = 1 if len(self.names) == 2 else 0
        named = zip(self.names[first:], means[first:].tolist(), strict=True)
        return {name: mean for name, mean in named if not np.isnan(mean)}

    def as_dict(self) -> dict[str, Any]:
        """All of it for a JSON file; None in place of NaN."""
        classes = {
            name: {
                "images": int(self.support[i]),
                "people": int(self.people[i]),
                "precision": plain(self.precision[i]),
                "recall": plain(self.recall[i]),
                "f1": plain(self.f1[i]),
            }
            for i, name in enumerate(self.names)
        }
        return {
            "accuracy": self.accuracy,
            "majority_accuracy": self.majority_accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "majority_balanced_accuracy": self.majority_balanced_accuracy,
            "majority": self.majority_name,
            "classes": classes,
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True, eq=False, repr=False)
class AttributeScores:
    """What `evaluate_attributes` found; `print(scores)` shows a row per head.

    Args:
        heads: name -> scores.
        instance: scores per image.
        majority_instance: those of guessing.
        images: how many were asked.
        people: how many they show.
        source: the data, as the predictions name it.
    """

    heads: dict[str, HeadScores]
    instance: InstanceScores
    majority_instance: InstanceScores
    images: int
    people: int
    source: str = ""

    @property
    def mean_accuracy(self) -> float:
        """Plain mean over the heads."""
        return self._mean(lambda head: head.accuracy)

    @property
    def mean_balanced_accuracy(self) -> float:
        """Plain mean over the heads."""
        return self._mean(lambda head: head.balanced_accuracy)

    @property
    def mean_majority_accuracy(self) -> float:
        """What guessing reaches."""
        return self._mean(lambda head: head.majority_accuracy)

    @property
    def mean_majority_balanced_accuracy(self) -> float:
        """What guessing reaches."""
        return self._mean(lambda head: head.majority_balanced_accuracy)

    @cached_property
    def label_accuracies(self) -> dict[str, float]:
        """`head: class` -> (TPR + TNR) / 2 of every binary label with positives and negatives."""
        return {
            f"{name}: {label}": value
            for name, head in self.heads.items()
            for label, value in head.label_accuracies.items()
        }

    @property
    def label_mean(self) -> float:
        """The mA of the literature: mean of `label_accuracies`, NaN if there is none."""
        values = list(self.label_accuracies.values())
        return float(np.mean(values)) if values else float("nan")

    @property
    def majority_label_mean(self) -> float:
        """The mA of guessing: of each label either all positives are right or all negatives."""
        return 0.5 if self.label_accuracies else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """All of it for a JSON file; None in place of NaN."""
        return {
            "images": self.images,
            "people": self.people,
            "source": self.source,
            "mean_accuracy": self.mean_accuracy,
            "mean_majority_accuracy": self.mean_majority_accuracy,
            "mean_balanced_accuracy": self.mean_balanced_accuracy,
            "mean_majority_balanced_accuracy": self.mean_majority_balanced_accuracy,
            "label_mean": plain(self.label_mean),
            "majority_label_mean": plain(self.majority_label_mean),
            "instance": self.instance.as_dict(),
            "majority_instance": self.majority_instance.as_dict(),
            "heads": {name: head.as_dict() for name, head in self.heads.items()},
        }

    def __repr__(self) -> str:
        """One short line for the end of a notebook cell."""
        return (
            f"AttributeScores(accuracy {self.mean_accuracy:.1%} (majority "
            f"{self.mean_majority_accuracy:.1%}), balanced {self.mean_balanced_accuracy:.1%} "
            f"(majority {self.mean_majority_balanced_accuracy:.1%}), {self.images:,} images, "
            f"{self.people:,} people, source={self.source!r})"
        )

    def __str__(self) -> str:
        """A row per head, their means, and the scores per label and per image."""
        rows = [_cells(name, head) for name, head in self.heads.items()]
        means = (self.mean_accuracy, self.mean_majority_accuracy)
        means += (self.mean_balanced_accuracy, self.mean_majority_balanced_accuracy)
        last = dict(zip(rows[0], ("mean", *map(_percent, means), "", "", "", ""), strict=True))
        return "\n".join(
            [
                aligned([*rows, last]),
                f"{self.images:,} images of {self.people:,} people"
                + (f", {self.source}" if self.source else "")
                + "; majority: always the class that training had most"
                + self._absent(),
                f"mA {self.label_mean:.1%} ({self.majority_label_mean:.1%}) over "
                f"{len(self.label_accuracies)} binary labels; in brackets: the majority's",
                f"by image: {self._by_image()}",
            ]
        )

    def _by_image(self) -> str:
        """The scores per image, beside those of guessing."""
        own, guess = self.instance, self.majority_instance
        pairs = {
            "accuracy": (own.accuracy, guess.accuracy),
            "precision": (own.precision, guess.precision),
            "recall": (own.recall, guess.recall),
            "F1": (own.f1, guess.f1),
        }
        return ", ".join(f"{name} {a:.1%} ({b:.1%})" for name, (a, b) in pairs.items())

    def _absent(self) -> str:
        """Which classes nobody has, so that no score speaks of them."""
        absent = [
            f"{name} {label}"
            for name, head in self.heads.items()
            for label, images in zip(head.names, head.support, strict=True)
            if not images
        ]
        return f"; nobody has {', '.join(absent)}" if absent else ""

    def _mean(self, score: Callable[[HeadScores], float]) -> float:
        return float(np.mean([score(head) for head in self.heads.values()]))


def _cells(name: str, head: HeadScores) -> dict[str, str]:
    """Column -> text of one head's row."""
    rare = head.rarest
    return {
        "attribute": name,
        "accuracy": _percent(head.accuracy),
        "majority": _percent(head.majority_accuracy),
        "balanced": _percent(head.balanced_accuracy),
        "majority balanced": _percent(head.majority_balanced_accuracy),
        "rarest": head.names[rare],
        "its recall": _percent(float(head.recall[rare])),
        "images": f"{head.support[rare]:>6,}",
        "people": f"{head.people[rare]:>6,}",
    }


def _percent(share: float) -> str:
    return f"{share:6.1%}"


def _shares(part: Integers, whole: Integers) -> Floats:
    """Part of whole, NaN where the whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
