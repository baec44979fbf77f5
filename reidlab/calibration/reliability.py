"""Do probabilities mean what they say? Of answers given with 80 %, are 80 % right?

Shapes: N images, n classes of a head, b bins of confidence.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), reliability
diagram and expected calibration error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from reidlab.calibration.pairs import Floats, Integers
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attributes import true_classes
from reidlab.evaluation.attributes.truth import Targets


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers of one head, sorted into b bins of equal width by their probability.

    Args:
        confidence: (b,) mean probability of the answers in each bin, NaN in empty ones.
        accuracy: (b,) share of them that are right, NaN in empty ones.
        images: (b,) how many there are. Bin i holds probabilities above i / b, up to (i + 1) / b.
    """

    confidence: Floats
    accuracy: Floats
    images: Integers

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over the images."""
        some = self.images > 0
        gaps = np.abs(self.accuracy[some] - self.confidence[some])
        return float((gaps * self.images[some]).sum() / self.images.sum())


def reliability_bins(
    predictions: AttributePredictions, targets: Targets, bins: int = 15
) -> dict[str, Reliability]:
    """Head -> how often answers of each confidence are right.

    Args:
        predictions: of N images of labelled people.
        targets: head -> (N,) class indices, or the N samples with attributes, in the same order.
        bins: b, of equal width between 0 and 1.

    Raises:
        ValueError: `bins` below 1, or targets that do not fit.
    """
    if bins < 1:
        raise ValueError(f"expected bins of at least 1, got {bins}")
    truth = true_classes(predictions, targets)
    return {head: _binned(predictions, head, truth[head], bins) for head in predictions.heads}


def expected_calibration_error(
    predictions: AttributePredictions, targets: Targets, bins: int = 15
) -> dict[str, float]:
    """Head -> expected calibration error in [0, 1]; see `reliability_bins`."""
    return {head: one.error for head, one in reliability_bins(predictions, targets, bins).items()}


def negative_log_likelihood(
    predictions: AttributePredictions, targets: Targets
) -> dict[str, float]:
    """Head -> mean of -log p over the images, p the probability of the true class (nats)."""
    truth = true_classes(predictions, targets)
    return {
        head: float(
            torch.nn.functional.cross_entropy(
                predictions.logits[head].cpu().double(), torch.from_numpy(truth[head])
            )
        )
        for head in predictions.heads
    }


def _binned(
    predictions: AttributePredictions, head: str, truth: Integers, bins: int
) -> Reliability:
    chances = predictions.logits[head].cpu().double().softmax(dim=1)
    best, answer = (part.numpy() for part in chances.max(dim=1))
    place = np.clip(np.ceil(best * bins).astype(np.int64) - 1, 0, bins - 1)
    images, sure, right = (
        np.bincount(place, weights=w, minlength=bins)
        for w in (np.ones(len(best)), best, (answer == truth).astype(float))
    )
    with np.errstate(invalid="ignore"):
        return Reliability(sure / images, right / images, images.astype(np.int64))
