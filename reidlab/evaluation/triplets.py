"""The loss of a metric network on people it does not learn from, after every epoch.

Validation people are in no other split, so a classifier has no class for them: only the terms that
compare images exist. Shapes: N images, T tuples, D width of a branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from reidlab.data.images import check_images
from reidlab.data.samples import DISTRACTOR, Sample, Samples, cameras_of, views_of
from reidlab.data.tuples import random_pairs, random_triplets
from reidlab.embedding import embed
from reidlab.losses.multibranch import branch_triplets
from reidlab.losses.tuples import pair_terms, split_tuples
from reidlab.models.layers import preprocess_of

OnEpoch = Callable[[int, nn.Module, Mapping[str, float]], dict[str, float]]


def triplet_validation(
    samples: Sequence[Sample],
    *,
    margin: float | None = 10.0,
    metric: str = "euclidean",
    weight: float = 0.5,
    seed: int = 0,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
) -> OnEpoch:
    """A function for `fit(..., on_epoch=...)` that adds `val_loss`, the loss of fixed triplets.

    Every image is once an anchor; partners and strangers are drawn once, so that epochs are
    compared on the same triplets. The value is that of `multibranch_loss` without its identity
    term, which these people cannot have: it is not comparable with the loss of the training log.

    Args:
        samples: images of people who are not trained on; distractors and junk are left out.
        margin: of the training loss.
        metric: of the training loss.
        weight: of the training loss.
        seed: of the draw.
        batch_size: images per step; it does not change the result beyond rounding.
        device: where to compute; None picks one.
        on_error: "raise" at bad images, now and not after an epoch, or "skip" them.

    Raises:
        ValueError: fewer than two people to validate on, or a bad image.
    """
    shown, pids = _people(samples, on_error)
    drawn = torch.from_numpy(random_triplets(pids.tolist(), np.random.default_rng(seed)))

    def validate(epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        branches = branch_features(model, shown, batch_size=batch_size, device=device)
        rows = [x[drawn.flatten().to(x.device)] for x in branches]  # (3 T, D) per branch
        labels = pids[drawn.flatten()].to(rows[0].device)
        return {"val_loss": float(weight * branch_triplets(rows, labels, margin, metric))}

    return validate


def pair_validation(
    samples: Sequence[Sample],
    *,
    margin: float = 1.0,
    squared: bool = True,
    halves: bool = True,
    seed: int = 0,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
) -> OnEpoch:
    """As `triplet_validation` for a network of pairs: `val_loss` is that of `pair_loss`.

    Args:
        samples: images of people who are not trained on; distractors and junk are left out.
        margin: of the training loss.
        squared: of the training loss.
        halves: of the training loss.
        seed: of the draw.
        batch_size: images per step.
        device: where to compute; None picks one.
        on_error: "raise" at bad images, now and not after an epoch, or "skip" them.

    Raises:
        ValueError: fewer than two people to validate on, or a bad image.
    """
    shown, pids = _people(samples, on_error)
    drawn = torch.from_numpy(random_pairs(pids.tolist(), np.random.default_rng(seed)))
    settings = {"margin": margin, "squared": squared, "halves": halves}

    def validate(epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        branches = branch_features(model, shown, batch_size=batch_size, device=device)
        first, second = split_tuples(pids[drawn.flatten()], 2)
        losses = []
        for x in branches:
            rows = x[drawn.flatten().to(x.device)]  # (2 T, D)
            terms = pair_terms(rows, (first == second).to(x.device), **settings)
            losses.append(torch.stack(list(terms.values())).sum())
        return {"val_loss": float(torch.stack(losses).mean())}

    return validate


def branch_features(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    batch_size: int = 128,
    device: str | torch.device | None = None,
) -> list[Tensor]:
    """Features (N, D) of every branch as losses see them, in evaluation mode.

    Args:
        model: returns features per branch; left in the mode it came in.
        samples: N images.
        batch_size: images per step.
        device: None is CUDA, then MPS, then the CPU.

    Raises:
        ValueError: no samples, or a bad image.
    """
    side_by_side = _AllBranches(model)
    found = embed(side_by_side, samples, batch_size=batch_size, device=device)
    return list(found.features.split(side_by_side.widths, dim=1))


class _AllBranches(nn.Module):
    """A network whose features are those of all branches in a row, for `embed` to collect."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.preprocess = model, preprocess_of(model)
        self.training = model.training
        self.widths: list[int] = []

    def embed(
        self, images: Tensor, camids: Tensor, viewids: Tensor | None, neck: str | None
    ) -> Tensor:
        """(B, 3, H, W) -> (B, sum of D)."""
        features = self.model(images, camids, viewids).features
        self.widths = [x.shape[1] for x in features]
        return torch.cat(features, dim=1)


def _people(samples: Sequence[Sample], on_error: str) -> tuple[Samples, Tensor]:
    """Images of real people that can be read, and who they are."""
    kept = [sample for sample in samples if sample.pid > DISTRACTOR]
    if not kept:
        raise ValueError("expected images of validation people, got none")
    source = getattr(samples, "source", "")
    known = Samples(kept, cameras_of(samples), source, views_of(samples))
    shown = check_images(known, on_error=on_error)
    return shown, torch.tensor([sample.pid for sample in shown])
