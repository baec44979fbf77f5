"""How good a network is about people it does not learn from, after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from reidlab.data.images import check_images
from reidlab.data.samples import Sample
from reidlab.data.targets import labelled, targets_of
from reidlab.embedding.attributes import predict_attributes
from reidlab.evaluation.attributes.run import evaluate_attributes
from reidlab.losses import attribute_terms


def attribute_validation(
    samples: Sequence[Sample],
    *,
    weights: Mapping[str, Sequence[float]] | None = None,
    reduction: str = "sum",
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
) -> Callable[[int, nn.Module, Mapping[str, float]], dict[str, float]]:
    """A function for `fit(..., on_epoch=...)` that measures a network on validation people.

    It adds `val_loss` (of all images at once, so that it does not depend on batches),
    `val_accuracy` and `val_balanced` (means over heads, in [0, 1]) to the epoch's row.

    Args:
        samples: images of people who are not trained on, with attributes; distractors and junk
            among them are left out.
        weights: of the training loss, to watch the same quantity; None weighs all alike.
        reduction: of the training loss.
        batch_size: images per step.
        device: where to compute; None picks one.
        on_error: "raise" at bad images, now and not after an epoch, or "skip" them.

    Raises:
        ValueError: nobody is left to validate on, a sample without attributes, or a bad image.
    """
    shown = labelled(samples)
    if not shown:
        raise ValueError("expected images of validation people, got none")
    shown = check_images(shown, on_error=on_error)
    truth = targets_of(shown)

    def validate(epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        found = predict_attributes(model, shown, batch_size=batch_size, device=device)
        labels = {head: truth[head].to(found.logits[head].device) for head in found.heads}
        terms = attribute_terms(found.logits, labels, weights, reduction)
        scores = evaluate_attributes(found, truth, train=shown)
        return {
            "val_loss": float(torch.stack(list(terms.values())).sum()),
            "val_accuracy": scores.mean_accuracy,
            "val_balanced": scores.mean_balanced_accuracy,
        }

    return validate
