"""Scores per image, over the binary labels that heads stand for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class InstanceScores:
    """Scores per image, Y being the positive labels that are true and P those predicted.

    Args:
        accuracy: mean of |Y and P| / |Y or P|.
        precision: mean of |Y and P| / |P|.
        recall: mean of |Y and P| / |Y|.
        images: how many images these are means of: those with a positive label.
    """

    accuracy: float
    precision: float
    recall: float
    images: int

    @property
    def f1(self) -> float:
        """Harmonic mean of the mean precision and the mean recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """All of it for a JSON file; None in place of NaN."""
        return {name: plain(value) for name, value in (asdict(self) | {"f1": self.f1}).items()}


def plain(value: float) -> float | None:
    """A number for a JSON file, which has no NaN."""
    return None if np.isnan(value) else value if isinstance(value, int) else float(value)
